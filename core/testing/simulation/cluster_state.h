// SPDX-License-Identifier: Apache-2.0
//
// Test only: what one node of a cluster believes about the cluster, and where it
// sends a command by it. Nodes may believe different things: each learns from
// those that it can talk to, and a greater epoch wins.

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

// CRC16 of the key, or of its hash tag, modulo the number of slots.
std::uint16_t SlotOf(std::string_view key);

struct ClusterMember {
  std::string id;
  Endpoint address;        // as it announces itself
  std::string primary_id;  // of a replica; empty: it is a primary
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
  // Null: nobody, or somebody who is not known any more.
  const ClusterMember* Owner(std::uint16_t slot) const;
  // "": nobody's.
  const std::string& OwnerId(std::uint16_t slot) const { return names_[owners_[slot]]; }
  std::size_t CountSlots(std::string_view id) const;
  std::uint64_t HighestEpoch() const;

  // [first, last] are this node's, or nobody's, from now on.
  void Take(std::uint16_t first, std::uint16_t last);
  void Drop(std::uint16_t first, std::uint16_t last);
  // CLUSTER SETSLOT NODE: the slot is that node's.
  void Give(std::uint16_t slot, const std::string& to);
  void SetMigrating(std::uint16_t slot, const std::string& to) { migrating_[slot] = to; }
  void SetImporting(std::uint16_t slot, const std::string& from) { importing_[slot] = from; }
  void SetStable(std::uint16_t slot);
  // CLUSTER FORGET: what others say of `id` is not believed again.
  void Forget(const std::string& id);
  // Takes over what `sender` says of itself and of others. True if the last slot of
  // this primary, or of this replica's primary, has gone to the sender, whose
  // replica this node has to be now.
  bool Learn(const ClusterState& sender);

  // Whether this node executes a command with these keys: empty, or the error that
  // it answers, as "MOVED 5 10.0.0.1:6379". `exists` says whether it has a key.
  struct Request {
    Arguments keys;
    bool writes = false;
    bool asking = false;    // behind ASKING
    bool readonly = false;  // behind READONLY
  };
  std::string Refusal(const Request& request, KeySpace& space) const;

  // CLUSTER SLOTS | SHARDS | NODES | MYID | INFO.
  void Reply(std::string_view subcommand, ReplySink& reply) const;

  bool down = false;  // it sees no majority of the primaries
  // What it says of addresses: "" and "?" stand for hosts that it does not know.
  std::map<std::string, std::string> told_hosts;  // node id -> host

 private:
  struct Range {
    std::uint16_t first;
    std::uint16_t last;
    const ClusterMember* owner;
  };
  std::uint16_t NameOf(const std::string& id);
  std::vector<Range> Ranges() const;
  std::string HostOf(const ClusterMember& member) const;
  std::string Redirection(std::string_view kind, std::uint16_t slot, const std::string& id) const;
  void ReplyToSlots(ReplySink& reply) const;
  void ReplyToShards(ReplySink& reply) const;
  std::string NodesText() const;

  std::string my_id_;
  std::map<std::string, ClusterMember> members_;  // this node among them
  std::vector<std::string> names_ = {""};         // ids; the first is nobody's
  std::vector<std::uint16_t> owners_;             // by slot, in names_
  std::map<std::uint16_t, std::string> migrating_;
  std::map<std::uint16_t, std::string> importing_;
  std::set<std::string> forgotten_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_CLUSTER_STATE_H_
