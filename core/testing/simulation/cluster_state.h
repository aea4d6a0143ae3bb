// SPDX-License-Identifier: Apache-2.0
//
// Test only: keeps what one node of a cluster believes about the cluster. The node redirects
// clients by these beliefs. Nodes may believe different things: each learns from the nodes that it
// can talk to, and a greater epoch wins.

#ifndef FFGRANT_TESTING_SIMULATION_CLUSTER_STATE_H_
#define FFGRANT_TESTING_SIMULATION_CLUSTER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/network.h"
#include "testing/simulation/key_commands.h"

namespace ffgrant::valkey::testing {

inline constexpr std::uint16_t kSlotCount = 16384;

// Returns CRC16 of the key, or of its hash tag, modulo the number of slots.
std::uint16_t SlotOf(std::string_view key);

struct ClusterMember {
  std::string id;
  Endpoint address;        // the address that the node announces
  std::string primary_id;  // set for a replica; empty: the node is a primary
  std::uint64_t epoch = 0;
  bool failed = false;
};

class ClusterState {
 public:
  ClusterState(std::string my_id, Endpoint address);

  const std::string& my_id() const { return my_id_; }
  ClusterMember& me() { return members_.at(my_id_); }
  const ClusterMember& me() const { return members_.at(my_id_); }
  std::map<std::string, ClusterMember>& members() { return members_; }
  const std::map<std::string, ClusterMember>& members() const { return members_; }
  // Returns null if nobody owns the slot, or if the owner is not known any more.
  const ClusterMember* Owner(std::uint16_t slot) const;
  // Returns "" if nobody owns the slot.
  const std::string& OwnerId(std::uint16_t slot) const { return names_[owners_[slot]]; }
  // Returns whether a primary that claims the slot gets it whatever its epoch is. True for a slot
  // that has no owner, and for a slot that its owner did not claim when this node last heard from
  // the owner.
  bool IsUnclaimed(std::uint16_t slot) const { return owners_[slot] == 0 || unclaimed_[slot]; }
  std::size_t CountSlots(std::string_view id) const;
  std::uint64_t HighestEpoch() const;

  // Take() gives the slots [first, last] to this node; Drop() leaves them without an owner.
  void Take(std::uint16_t first, std::uint16_t last);
  void Drop(std::uint16_t first, std::uint16_t last);
  // Does CLUSTER SETSLOT NODE: gives the slot to the node `to`.
  void Give(std::uint16_t slot, const std::string& to);
  void SetMigrating(std::uint16_t slot, const std::string& to) { migrating_[slot] = to; }
  void SetImporting(std::uint16_t slot, const std::string& from) { importing_[slot] = from; }
  void SetStable(std::uint16_t slot);
  // Does CLUSTER FORGET: this node drops the node `id` with its slots. From now on it ignores what
  // that node says, and what others say about it.
  void Forget(const std::string& id);

  // The actions that follow from the news that this node has learnt.
  struct Change {
    std::string follow;               // the node that this node replicates from now on, or ""
    std::vector<std::uint16_t> lost;  // if this node stays a primary: slots whose keys it deletes
  };
  // Takes over what `sender` says of itself, and which other nodes it knows. If the sender has
  // taken the last slot of this node's shard, the result tells this node to follow the sender.
  Change Learn(const ClusterState& sender);
  // Models the update with which `teller` answers an outdated claim. If this node is a primary and
  // believes that it owns a slot, but `teller` knows another owner with a newer epoch, this node
  // learns the owner's epoch and slots from `teller`.
  Change LearnOfOwner(const ClusterState& teller);

  // Refusal() returns an empty text if this node executes a command with these keys, else the error
  // that it answers, such as "MOVED 5 10.0.0.1:6379". `space` holds the keys of this node.
  struct Request {
    Arguments keys;
    bool writes = false;
    bool asking = false;    // whether the command comes after ASKING
    bool readonly = false;  // whether the command comes after READONLY
  };
  std::string Refusal(const Request& request, KeySpace& space) const;

  // Answers CLUSTER SLOTS | SHARDS | NODES | MYID | INFO.
  void Reply(std::string_view subcommand, ReplySink& reply) const;

  bool down = false;  // whether the node believes that the cluster is down, and so serves no keys
  // Hosts that this node tells in place of those that the members announce. "" and "?" stand for
  // hosts that this node does not know.
  std::map<std::string, std::string> told_hosts;  // node id -> host

 private:
  struct Range {
    std::uint16_t first;
    std::uint16_t last;
    const ClusterMember* owner;
  };
  std::uint16_t NameOf(const std::string& id);
  // Returns the place of `id` in names_; names_.size() if it is not there.
  std::size_t FindName(std::string_view id) const;
  void Bind(std::uint16_t slot, std::uint16_t name);
  // Gives the node `id` the slots that it claims according to `teller`, wherever its claim wins.
  Change Rebind(const std::string& id, const ClusterState& teller);
  std::vector<Range> Ranges() const;
  std::string HostOf(const ClusterMember& member) const;
  std::string Redirection(std::string_view kind, std::uint16_t slot, const std::string& id) const;
  void ReplyToSlots(ReplySink& reply) const;
  void ReplyToShards(ReplySink& reply) const;
  std::string NodesText() const;

  std::string my_id_;
  std::map<std::string, ClusterMember> members_;  // includes this node
  std::vector<std::string> names_ = {""};         // ids; the first stands for nobody
  std::vector<std::uint16_t> owners_;             // by slot; each is a place in names_
  std::vector<bool> unclaimed_;                   // by slot
  std::map<std::uint16_t, std::string> migrating_;
  std::map<std::uint16_t, std::string> importing_;
  std::set<std::string> forgotten_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_CLUSTER_STATE_H_
