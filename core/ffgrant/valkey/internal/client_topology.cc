// SPDX-License-Identifier: Apache-2.0
//
// Finds out which nodes are in the cluster and which slots they serve, and decides which table the
// client believes.
//
// The first table of slots is accepted from any server. Each later one is accepted by one of two
// rules:
//   1. It comes from a member of the last good table. It names more than half of the nodes that
//      the last good table named, and gives no older configuration epoch to any node that is a
//      primary in both tables.
//   2. Since a table was needed, every member has failed, or has given a table that was refused. If
//      another client of the same ledger has accepted a newer table, the client goes on with the
//      members of that table, by the test of rule 1. If there is no newer table, or its members
//      have all failed or been refused in the same way, a table is accepted from a configured
//      server. That table must name a member other than the server itself, unless no member could
//      give a good table for half a minute. A client that has to ask the configured servers knows
//      no more than one that has just been started.
// In every case the table has to name the node that gave the table, by the id that the node had
// when the client connected to it.
//
// A table must name more than half of the nodes because a node that left for another cluster keeps
// its connections, and after a soft reset also its id and process. The table of such a node names
// the nodes of the new cluster. A cluster whose nodes are replaced one after the other, or whose
// shards fail over, keeps most of its ids from one table to the next, so a client that is in use
// follows the cluster for ever. A client that slept while half of the cluster was replaced, or
// whose cluster was reset, goes on by rule 2. Such a client needs what a fresh client needs: a
// configured server that is alive. The client waits for half a minute because a configured server,
// too, may have left for another cluster, and the members may be cut off for a while. Epochs are
// compared node by node, because the greatest epoch goes away with its node, while a node's own
// epoch only grows.
//
// A server is a stranger if it is found at a member's address under another id, or if a redirection
// names it and no table does. Before the client sends a caller's command to a stranger, the
// stranger's own table has to pass the test of rule 1. The client does not accept this table as its
// own.
//
// If the user may not ask for tables (an ACL forbids CLUSTER SLOTS), redirections tell where slots
// are: a command whose slot is no known node's goes to any server that the client is connected to.
//
// Some servers tell no ids (an ACL forbids CLUSTER MYID and CLUSTER NODES, or the table has none).
// Such servers can't be tested in this way, so the client knows them by their addresses.

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {
namespace {

// The least time in ms between two questions for the table. After a table that was refused, the
// client asks another node without waiting.
constexpr std::int64_t kRefreshEveryMs = 50;
// If slots have no owner in a table, the client asks for the table again after this many ms, or
// sooner if a command needs such a slot.
constexpr std::int64_t kPartAgainMs = 1000;
// If no member could give a good table for this long while the client was in use, the client
// believes a configured server even if that server's table names no other member.
constexpr std::int64_t kBeginAnewMs = 30'000;
// A client in use that needs a table looks for it more often than this, in ms. If the last look is
// longer ago, the client was not in use meanwhile, or needed no table. Then only this much of the
// time since that look counts as use, and the failures of nodes that the client noted before are
// too old to count.
constexpr std::int64_t kSleptMs = 1000;
// If the client connects to members only to ask them for a table, it makes at most this many
// connections at once. Connections to members that have failed since the table was needed do not
// count.
constexpr std::size_t kMaxAskedAtOnce = 32;

}  // namespace

// ---- who may tell ------------------------------------------------------------------

// A client without a table begins with the members of the table that another client has accepted.
void Client::LearnMembers() noexcept {
  if (!deployment_->members.GetNewer(table_number_, members_)) return;
  if (slots_.empty()) slots_.assign(kHashSlotCount, std::int16_t{-1});
  RefreshSoon();
}

const Member* Client::MemberOf(const Node& node) const noexcept {
  const bool by_id = !node.node_id.empty() && HasIds(members_);
  for (const Member& member : members_) {
    if (by_id ? member.id == node.node_id : member.endpoint == node.endpoint) return &member;
  }
  return nullptr;
}

bool Client::IsConfigured(const Node& node) const noexcept {
  return std::find(options_.servers.begin(), options_.servers.end(), node.endpoint) !=
         options_.servers.end();
}

bool Client::MayTell(const Node& node) const noexcept {
  return members_.empty() || MemberOf(node) != nullptr || (configured_turn_ && IsConfigured(node));
}

bool Client::IsStranger(const Node& node) const noexcept {
  return HasIds(members_) && MemberOf(node) == nullptr;
}

void Client::RefreshSoon() noexcept {
  const std::int64_t now = network_->NowMs();
  refresh_at_ = std::min(refresh_at_, std::max(now, refreshed_at_ + kRefreshEveryMs));
  if (needed_since_ == kNever) needed_since_ = now;
}

// Returns the next node to ask for a table. The nodes take turns, because a node that was thrown
// out of the cluster never has a table that is of use.
Node* Client::NextToTell(std::int64_t now) noexcept {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[next_asked_++ % nodes_.size()];
    // A server keeps a log of what it forbids, so it is not asked often.
    const std::int64_t pause = node.forbids_tables ? options_.refusal_pause_ms : kRefreshEveryMs;
    if (node.state == Node::State::kReady && node.errand == Errand::kNone && node.abandoned == 0 &&
        MayTell(node) && (node.refused_at < 0 || now - node.refused_at >= pause)) {
      return &node;
    }
  }
  return nullptr;
}

// Returns whether a member may still tell a table. If `connect` is set, this function also connects
// to members that are not connected.
bool Client::AwaitMembers(bool connect) noexcept {
  bool pending = false;
  std::size_t connecting = 0;
  for (const Member& member : members_) {
    if (member.endpoint.port == 0) continue;
    Node* node = FindNode(member.endpoint);
    if (node == nullptr) {
      pending = true;
      if (!connect || connecting >= kMaxAskedAtOnce) continue;
      node = NodeAt(member.endpoint);
      if (node == nullptr) continue;
      node->announced_id = member.id;
    }
    const bool ready = node->state == Node::State::kReady;
    const bool failed = ready ? node->stranger || node->refused_at >= needed_since_
                              : node->unreachable_at >= needed_since_;
    pending |= !failed;
    if (ready || !connect) continue;
    if (!failed && connecting++ >= kMaxAskedAtOnce) continue;
    node->wanted = true;
  }
  return pending;
}

void Client::WantConfigured() noexcept {
  for (const Endpoint& endpoint : options_.servers) {
    Node* const node = NodeAt(endpoint);
    if (node != nullptr && node->state == Node::State::kDown) node->wanted = true;
  }
}

void Client::RefreshSlots(std::int64_t now) noexcept {
  if (refresh_at_ > now) return;
  if (needed_since_ == kNever || now - refreshed_at_ > kSleptMs) needed_since_ = now;
  configured_turn_ = members_.empty() || !AwaitMembers(false);
  // The members of a table that another client has accepted may know more than the configured
  // servers.
  if (configured_turn_ && deployment_->members.GetNewer(table_number_, members_)) {
    configured_turn_ = !AwaitMembers(false);
  }
  if (configured_turn_) members_lost_for_ms_ += std::min(now - refreshed_at_, kSleptMs);
  if (Node* const node = NextToTell(now)) {
    AskForSlots(*node);
    return;
  }
  refreshed_at_ = now;
  refresh_at_ = now + kRefreshEveryMs;
  (void)AwaitMembers(true);
  WantConfigured();  // so that these servers are connected once they may give a table
}

void Client::AskForSlots(Node& node) {
  refreshed_at_ = network_->NowMs();
  refresh_at_ = refreshed_at_ + kRefreshEveryMs;
  Run(node, Errand::kMembers);
}

// ---- what they tell ----------------------------------------------------------------

bool Client::IsOurCluster(const std::vector<Member>& told) const noexcept {
  if (!HasIds(members_) || !HasIds(told)) return true;
  std::size_t common = 0;
  auto other = told.begin();
  for (const Member& member : members_) {
    while (other != told.end() && other->id < member.id) ++other;
    if (other == told.end()) break;
    if (other->id != member.id) continue;
    ++common;
    if (member.primary && other->primary && other->epoch < member.epoch) return false;
  }
  return 2 * common > members_.size();
}

bool Client::MayBeginAnew(const Node& node, const std::vector<Member>& told) const noexcept {
  if (!configured_turn_ || !IsConfigured(node)) return false;
  // IsOurCluster() has said no, so both tables have ids.
  const bool names_another = std::any_of(
      members_.begin(), members_.end(),
      [&](const Member& member) { return member.id != node.node_id && HasId(told, member.id); });
  return names_another || members_lost_for_ms_ >= kBeginAnewMs;
}

void Client::OnMembers(Node& node, const Reply& reply) {
  node.told.clear();
  node.told_own_id.clear();
  if (reply.is(Reply::Type::kString)) {
    ReadMembers(reply.text, node.endpoint, node.told, node.told_own_id);
  }
  Run(node, Errand::kSlots);
}

void Client::OnSlots(Node& node, const Reply& reply) noexcept {
  std::vector<Member> told = std::exchange(node.told, {});
  const bool is_table = HasSlots(reply, HostBeside(node.endpoint));
  if (is_table) AddTable(reply, HostBeside(node.endpoint), told);
  const bool tells = MayTell(node);
  const bool is_itself =
      node.node_id.empty() || !HasIds(told) ||
      (HasId(told, node.node_id) && (node.told_own_id.empty() || node.told_own_id == node.node_id));
  if (is_table && is_itself && (IsOurCluster(told) || MayBeginAnew(node, told))) {
    if (tells) {
      Adopt(node, reply, std::move(told));
    } else {
      node.stranger = false;
    }
    return;
  }
  if (node.state == Node::State::kReady && !node.told_own_id.empty() && !node.node_id.empty() &&
      node.told_own_id != node.node_id) {
    AskWhoItIs(node);
  }
  node.refused_at = network_->NowMs();
  node.forbids_tables = reply.is(Reply::Type::kError) && IsForbidden(reply.text);
  tables_forbidden_ |= node.forbids_tables && tells;
  const std::string_view reason = reply.is(Reply::Type::kError) ? reply.text
                                  : !is_table                   ? "the server has no table of slots"
                                  : !is_itself
                                      ? "the server is not in its own table of slots"
                                      : "the server's table of slots is of another cluster";
  slots_refusal_.assign(reason);
  refresh_at_ = node.refused_at;  // another node may have a good table
  if (!tells && node.stranger && !IsConfigured(node)) Disown(node, reason);
}

// Ends the connection to a server that turned out not to belong to the cluster. The client sends no
// caller's command to such a server, whoever named it.
void Client::Disown(Node& node, std::string_view reason) noexcept {
  Down(node, reason);
  ForgetSlotsOf(node);
  for (Request& request : requests_) {
    if (request.ask_node != &node) continue;
    request.ask_node = nullptr;
    request.refusal.assign(reason);
  }
  node.leaving = has_leaving_ = true;
}

void Client::ForgetSlotsOf(const Node& node) noexcept {
  std::replace(slots_.begin(), slots_.end(), static_cast<std::int16_t>(node.index),
               std::int16_t{-1});
}

void Client::Adopt(Node& teller, const Reply& reply, std::vector<Member> told) {
  const std::string own_host = HostBeside(teller.endpoint);
  members_ = std::move(told);
  table_number_ = deployment_->members.Set(members_);
  counts_.slot_tables.Add();
  Log(LogLevel::kInfo, "a new table of slots: ", std::to_string(members_.size()),
      " nodes, told by ", NameOf(teller.endpoint));
  for (const auto& node : nodes_) {
    node->leaving = true;
    node->announced_id.clear();
  }
  std::fill(slots_.begin(), slots_.end(), std::int16_t{-1});
  std::unordered_map<std::string, Node*> seen;
  for (const Reply& element : reply.elements()) {
    const auto range = ReadRange(element, own_host);
    if (!range) continue;
    const Endpoint& where = range->primary.endpoint;
    const auto [place, is_new] =
        seen.emplace(where.host + " " + std::to_string(where.port), nullptr);
    if (is_new) place->second = NodeAt(where);
    if (place->second == nullptr) continue;
    place->second->leaving = false;
    place->second->announced_id = range->primary.id;
    std::fill(slots_.begin() + range->first, slots_.begin() + range->last + 1,
              static_cast<std::int16_t>(place->second->index));
  }
  const bool whole = std::find(slots_.begin(), slots_.end(), -1) == slots_.end();
  refresh_at_ = whole ? kNever : refreshed_at_ + kPartAgainMs;
  needed_since_ = kNever;
  configured_turn_ = false;
  members_lost_for_ms_ = 0;
  slots_refusal_.clear();
  tables_forbidden_ = false;
  has_leaving_ = true;
  for (const auto& node : nodes_) {
    node->refused_at = -1;
    if (node->leaving && node->state == Node::State::kDown) node->wanted = false;
    if (node->state != Node::State::kReady) continue;
    node->stranger = IsStranger(*node);
    if (node->stranger && !node->announced_id.empty() && node->errand == Errand::kNone &&
        node.get() != &teller) {
      // The server may have another id by now: CLUSTER RESET HARD gives it one, and closes no
      // connection.
      AskWhoItIs(*node);
    } else if (!node->stranger && !node->has_library && node->errand == Errand::kNone &&
               node.get() != &teller) {
      CheckFunctions(*node);
    }
  }
  teller.stranger = IsStranger(teller);
}

// Forgets nodes that the newest table does not need, once nothing is under way on them. Such nodes
// are kept while the client looks for a table, or for a server on which to shut a connection,
// because they may be of use then.
void Client::ForgetIdle() noexcept {
  if (!has_leaving_ || needed_since_ != kNever) return;
  has_leaving_ = false;
  std::vector<std::int16_t> places(nodes_.size(), -1);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    const bool asked = std::any_of(requests_.begin(), requests_.end(), [&](const Request& r) {
      return r.state == Request::State::kWaiting && r.ask_node == &node;
    });
    const bool busy = node.pursued || (node.up() && !node.expected.empty());
    if (node.leaving && !asked && !busy) {
      if (node.state != Node::State::kDown) CountEnd(node);
      node.stream->Close();
      continue;
    }
    has_leaving_ |= node.leaving;
    node.index = static_cast<int>(kept);
    places[i] = static_cast<std::int16_t>(kept);
    if (kept != i) nodes_[kept] = std::move(nodes_[i]);
    ++kept;
  }
  if (kept == places.size()) return;
  nodes_.resize(kept);
  for (std::int16_t& slot : slots_) {
    if (slot >= 0) slot = places[static_cast<std::size_t>(slot)];
  }
}

}  // namespace ffgrant::valkey::internal
