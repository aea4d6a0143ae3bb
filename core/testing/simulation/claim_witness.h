// SPDX-License-Identifier: Apache-2.0
//
// Test only: sees every function that the servers of a deployment execute, in the order of
// execution, whatever the clients are told. The witness knows the current lease of each execution,
// unless a failover may have lost changes of the execution. It reports the first rule that the
// servers break, for example if two known leases of an execution are live at the same time.
//
//   server.on_function = [&](const auto& command, const auto& reply) {
//     witness.Saw(command, reply, world.now());
//   };
//   witness.Executed("ff_renew_lease", id);   // how often, on whichever server

#ifndef FFGRANT_TESTING_SIMULATION_CLAIM_WITNESS_H_
#define FFGRANT_TESTING_SIMULATION_CLAIM_WITNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::valkey::testing {

class ClaimWitness {
 public:
  struct LeaseSeen {
    std::string execution_id;
    std::uint64_t epoch = 0;
    bool lost = false;  // a failover may have lost this lease after it was given
  };

  // Notes that a member of the deployment has run a function at `now` and has answered `reply`.
  void Saw(const std::vector<std::string>& command, const std::string& reply, std::int64_t now);
  // Notes that a server which does not belong to the deployment (any more) has run a function. Such
  // a run breaks a rule unless the function is about the server.
  void SawElsewhere(const std::vector<std::string>& command);
  // Notes that the executions in the slots for which `in` returns true may have lost their last
  // changes.
  void Lose(const std::function<bool(std::uint16_t slot)>& in);

  // Executed() returns how often `function` was executed for the execution `id`. Taken() returns
  // how many of these runs answered OK. `function` is FlowFabric's name.
  std::int64_t Executed(std::string_view function, std::string_view id) const;
  std::int64_t Taken(std::string_view function, std::string_view id) const;
  // Returns the lease with this id; null if no server ever gave it.
  const LeaseSeen* FindLease(std::string_view lease_id) const;
  // Returns whether the execution may have lost changes since its last lease was given.
  bool HasLost(std::string_view id) const;
  // Returns when the execution's current lease ends, by the server's clock; empty if no server has
  // given a lease that still stands, or if changes may have been lost.
  std::optional<std::int64_t> LeaseEnd(std::string_view id) const;
  // Returns the id of the current lease by the id of its execution, for all executions whose
  // current lease is known.
  std::map<std::string, std::string> CurrentLeases() const;
  // Forbids this lease: a server that gives the lease from now on breaks a rule.
  void NeverAgain(std::string_view lease_id) { forbidden_.insert(std::string(lease_id)); }

  std::uint64_t executed() const { return executed_; }
  std::uint64_t losses() const { return losses_; }
  // The first rule that was broken; empty while every rule holds.
  const std::string& problem() const { return problem_; }

 private:
  struct Count {
    std::int64_t executed = 0;
    std::int64_t taken = 0;
  };
  struct Execution {
    std::string lease_id;  // of the current lease, unless `lost`; empty if there is none
    std::int64_t lease_end = 0;
    std::uint64_t epoch = 0;
    std::uint16_t slot = 0;
    bool lost = false;
  };

  void Blame(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  void LeaseGiven(Execution& execution, const std::string& id, const std::string& lease_id,
                  std::uint64_t epoch, std::int64_t end, std::int64_t now);

  std::map<std::string, Count, std::less<>> counts_;  // the key is "FUNCTION EXECUTION_ID"
  std::map<std::string, Execution, std::less<>> executions_;
  std::map<std::string, LeaseSeen, std::less<>> leases_;
  std::set<std::string, std::less<>> forbidden_;
  std::uint64_t executed_ = 0;
  std::uint64_t losses_ = 0;
  std::string problem_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_CLAIM_WITNESS_H_
