// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/cluster_state.h"

#include <algorithm>
#include <utility>

#include "testing/naive/naive_hash.h"

namespace ffgrant::valkey::testing {

std::uint16_t SlotOf(std::string_view key) {
  // The keys of one call nearly always have the same tag.
  thread_local std::string last_tag;
  thread_local std::uint16_t last_slot = ffgrant::testing::NaiveHashSlot("");
  const std::string_view tag = ffgrant::testing::NaiveHashTag(key);
  if (tag != last_tag) {
    last_tag = tag;
    last_slot = ffgrant::testing::NaiveHashSlot(key);
  }
  return last_slot;
}

ClusterState::ClusterState(std::string my_id, Endpoint address)
    : my_id_(std::move(my_id)), owners_(kSlotCount, 0), unclaimed_(kSlotCount, false) {
  members_[my_id_] = {my_id_, std::move(address), "", 0, false};
}

std::size_t ClusterState::FindName(std::string_view id) const {
  return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), id) - names_.begin());
}

std::uint16_t ClusterState::NameOf(const std::string& id) {
  const std::size_t found = FindName(id);
  if (found == names_.size()) names_.push_back(id);
  return static_cast<std::uint16_t>(found);
}

void ClusterState::Bind(std::uint16_t slot, std::uint16_t name) {
  owners_[slot] = name;
  unclaimed_[slot] = false;
}

const ClusterMember* ClusterState::Owner(std::uint16_t slot) const {
  const auto found = members_.find(OwnerId(slot));
  return found == members_.end() ? nullptr : &found->second;
}

std::size_t ClusterState::CountSlots(std::string_view id) const {
  const std::size_t name = FindName(id);
  if (name == names_.size()) return 0;
  return static_cast<std::size_t>(
      std::count(owners_.begin(), owners_.end(), static_cast<std::uint16_t>(name)));
}

std::uint64_t ClusterState::HighestEpoch() const {
  std::uint64_t highest = 0;
  for (const auto& [id, member] : members_) highest = std::max(highest, member.epoch);
  return highest;
}

void ClusterState::Take(std::uint16_t first, std::uint16_t last) {
  const std::uint16_t name = NameOf(my_id_);
  for (std::uint32_t slot = first; slot <= last; ++slot) {
    Bind(static_cast<std::uint16_t>(slot), name);
  }
}

void ClusterState::Drop(std::uint16_t first, std::uint16_t last) {
  for (std::uint32_t slot = first; slot <= last; ++slot) Bind(static_cast<std::uint16_t>(slot), 0);
}

void ClusterState::Give(std::uint16_t slot, const std::string& to) { Bind(slot, NameOf(to)); }

void ClusterState::SetStable(std::uint16_t slot) {
  migrating_.erase(slot);
  importing_.erase(slot);
}

void ClusterState::Forget(const std::string& id) {
  members_.erase(id);
  forgotten_.insert(id);
  std::replace(owners_.begin(), owners_.end(), NameOf(id), std::uint16_t{0});
}

ClusterState::Change ClusterState::Learn(const ClusterState& sender) {
  if (forgotten_.count(sender.my_id_) != 0) return {};
  for (const auto& [id, member] : sender.members_) {
    // What the sender says of a third node is news only if the third node is unknown here.
    if (forgotten_.count(id) != 0 || id == my_id_) continue;
    if (id == sender.my_id_) {
      members_[id] = member;
    } else if (members_.count(id) == 0) {
      members_[id] = member;
      members_[id].epoch = 0;  // the node tells its epoch itself, together with its slots
    }
  }
  return Rebind(sender.my_id_, sender);
}

ClusterState::Change ClusterState::LearnOfOwner(const ClusterState& teller) {
  if (!me().primary_id.empty() || forgotten_.count(teller.my_id_) != 0) return {};
  const auto mine = static_cast<std::uint16_t>(FindName(my_id_));
  const std::size_t me_there = teller.FindName(my_id_);
  for (std::uint32_t s = 0; s < kSlotCount; ++s) {
    const auto slot = static_cast<std::uint16_t>(s);
    if (owners_[slot] != mine || teller.owners_[slot] == me_there) continue;
    const ClusterMember* const owner = teller.Owner(slot);
    if (owner == nullptr || teller.IsUnclaimed(slot) || owner->epoch <= me().epoch) continue;
    // The teller sends only one update, which is about this owner.
    const auto known = members_.find(owner->id);
    if (known == members_.end() || known->second.epoch >= owner->epoch) return {};
    known->second.epoch = owner->epoch;
    known->second.primary_id.clear();
    return Rebind(owner->id, teller);
  }
  return {};
}

// As in clusterUpdateSlotsConfigWith() of Valkey, a slot goes to a primary that claims it with a
// greater epoch than its owner's, or with any epoch if it has no owner or its owner does not claim
// it any more. An owner that does not claim the slot stays the owner until another primary claims
// it, because it can redirect clients. But the epoch of such an owner does not count: it may be
// newer only because the owner has got other slots, while this node has not yet heard who now has
// this slot.
ClusterState::Change ClusterState::Rebind(const std::string& id, const ClusterState& teller) {
  const ClusterMember& claimant = members_.at(id);
  const std::string shard = me().primary_id.empty() ? my_id_ : me().primary_id;
  const std::uint16_t name = NameOf(id);
  const std::uint16_t old_name = NameOf(shard);
  const std::size_t name_there = teller.FindName(id);
  const bool is_primary = claimant.primary_id.empty();
  bool loses = false;
  Change change;
  for (std::uint32_t s = 0; s < kSlotCount; ++s) {
    const auto slot = static_cast<std::uint16_t>(s);
    const bool claims =
        is_primary && teller.owners_[slot] == name_there && !teller.unclaimed_[slot];
    if (owners_[slot] == name) {
      unclaimed_[slot] = !claims;
      continue;
    }
    if (!claims) continue;
    const ClusterMember* const owner = Owner(slot);
    if (owner != nullptr && !IsUnclaimed(slot) && owner->epoch >= claimant.epoch) continue;
    loses = loses || owners_[slot] == old_name;
    if (shard == my_id_ && owners_[slot] == old_name) change.lost.push_back(slot);
    Bind(slot, name);
    migrating_.erase(slot);
  }
  if (loses && CountSlots(shard) == 0) return {id, {}};
  return change;
}

std::string ClusterState::HostOf(const ClusterMember& member) const {
  const auto told = told_hosts.find(member.id);
  return told == told_hosts.end() ? member.address.host : told->second;
}

std::string ClusterState::Redirection(std::string_view kind, std::uint16_t slot,
                                      const std::string& id) const {
  const auto found = members_.find(id);
  if (found == members_.end()) return "CLUSTERDOWN Hash slot not served";
  return std::string(kind) + " " + std::to_string(slot) + " " + HostOf(found->second) + ":" +
         std::to_string(found->second.address.port);
}

std::string ClusterState::Refusal(const Request& request, KeySpace& space) const {
  if (request.keys.empty()) return "";
  const std::uint16_t slot = SlotOf(request.keys.front());
  std::size_t missing = 0;
  bool several = false;
  for (const std::string_view key : request.keys) {
    if (SlotOf(key) != slot) return "CROSSSLOT Keys in request don't hash to the same slot";
    several = several || key != request.keys.front();
  }
  const std::string& owner = OwnerId(slot);
  if (owner.empty()) return "CLUSTERDOWN Hash slot not served";
  if (down) return "CLUSTERDOWN The cluster is down";
  const auto migrating = migrating_.find(slot);
  const auto importing = importing_.find(slot);
  if (migrating != migrating_.end() || importing != importing_.end()) {
    for (const std::string_view key : request.keys) missing += space.Find(key) == nullptr;
  }
  static const std::string kTryAgain = "TRYAGAIN Multiple keys request during rehashing of slot";
  if (migrating != migrating_.end() && owner == my_id_ && missing > 0) {
    return missing < request.keys.size() ? kTryAgain : Redirection("ASK", slot, migrating->second);
  }
  if (importing != importing_.end() && request.asking) {
    return several && missing > 0 ? kTryAgain : "";
  }
  if (owner == my_id_) return "";
  const bool replica_may = request.readonly && !request.writes && owner == me().primary_id;
  return replica_may ? "" : Redirection("MOVED", slot, owner);
}

std::vector<ClusterState::Range> ClusterState::Ranges() const {
  std::vector<Range> ranges;
  for (std::uint32_t first = 0; first < kSlotCount;) {
    std::uint32_t last = first;
    while (last + 1 < kSlotCount && owners_[last + 1] == owners_[first]) ++last;
    const ClusterMember* const owner = Owner(static_cast<std::uint16_t>(first));
    if (owner != nullptr) {
      ranges.push_back(
          {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last), owner});
    }
    first = last + 1;
  }
  return ranges;
}

void ClusterState::Reply(std::string_view subcommand, ReplySink& reply) const {
  if (SameWord(subcommand, "SLOTS")) return ReplyToSlots(reply);
  if (SameWord(subcommand, "SHARDS")) return ReplyToShards(reply);
  if (SameWord(subcommand, "NODES")) return reply.Bulk(NodesText());
  if (SameWord(subcommand, "MYID")) return reply.Bulk(my_id_);
  if (SameWord(subcommand, "INFO")) {
    return reply.Bulk("cluster_enabled:1\r\ncluster_state:" + std::string(down ? "fail" : "ok") +
                      "\r\ncluster_known_nodes:" + std::to_string(members_.size()) +
                      "\r\ncluster_current_epoch:" + std::to_string(HighestEpoch()) + "\r\n");
  }
  reply.Error("ERR unknown subcommand '" + std::string(subcommand) + "'. Try CLUSTER HELP.");
}

void ClusterState::ReplyToSlots(ReplySink& reply) const {
  const std::vector<Range> ranges = Ranges();
  reply.Array(ranges.size());
  for (const Range& range : ranges) {
    std::vector<const ClusterMember*> nodes = {range.owner};
    for (const auto& [id, member] : members_) {
      if (member.primary_id == range.owner->id && !member.failed) nodes.push_back(&member);
    }
    reply.Array(2 + nodes.size());
    reply.Integer(range.first);
    reply.Integer(range.last);
    for (const ClusterMember* const node : nodes) {
      reply.Array(4);
      reply.Bulk(HostOf(*node));
      reply.Integer(node->address.port);
      reply.Bulk(node->id);
      reply.Array(0);
    }
  }
}

void ClusterState::ReplyToShards(ReplySink& reply) const {
  std::vector<const ClusterMember*> primaries;
  for (const auto& [id, member] : members_) {
    if (member.primary_id.empty()) primaries.push_back(&member);
  }
  const std::vector<Range> ranges = Ranges();
  reply.Array(primaries.size());
  for (const ClusterMember* const primary : primaries) {
    std::vector<std::int64_t> slots;
    for (const Range& range : ranges) {
      if (range.owner == primary) slots.insert(slots.end(), {range.first, range.last});
    }
    std::vector<const ClusterMember*> nodes = {primary};
    for (const auto& [id, member] : members_) {
      if (member.primary_id == primary->id) nodes.push_back(&member);
    }
    reply.Array(4);
    reply.Bulk("slots");
    reply.Array(slots.size());
    for (const std::int64_t slot : slots) reply.Integer(slot);
    reply.Bulk("nodes");
    reply.Array(nodes.size());
    for (const ClusterMember* const node : nodes) {
      reply.Array(14);
      for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
               {"id", node->id}, {"ip", node->address.host}, {"endpoint", HostOf(*node)}}) {
        reply.Bulk(name);
        reply.Bulk(value);
      }
      reply.Bulk("port");
      reply.Integer(node->address.port);
      reply.Bulk("role");
      reply.Bulk(node->primary_id.empty() ? "master" : "replica");
      reply.Bulk("replication-offset");
      reply.Integer(0);
      reply.Bulk("health");
      reply.Bulk(node->failed ? "fail" : "online");
    }
  }
}

std::string ClusterState::NodesText() const {
  const std::vector<Range> ranges = Ranges();
  std::string text;
  for (const auto& [id, member] : members_) {
    const std::string port = std::to_string(member.address.port);
    text += id + " " + HostOf(member) + ":" + port + "@1" + port + " ";
    text += id == my_id_ ? "myself," : "";
    text += member.primary_id.empty() ? "master" : "slave";
    text += member.failed ? ",fail " : " ";
    text += (member.primary_id.empty() ? "-" : member.primary_id) + " 0 0 " +
            std::to_string(member.epoch) + (member.failed ? " disconnected" : " connected");
    for (const Range& range : ranges) {
      if (range.owner != &member) continue;
      text += " " + std::to_string(range.first);
      if (range.last != range.first) text += "-" + std::to_string(range.last);
    }
    text += "\n";
  }
  return text;
}

}  // namespace ffgrant::valkey::testing
