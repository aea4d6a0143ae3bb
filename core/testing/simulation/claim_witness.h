// SPDX-License-Identifier: Apache-2.0
//
// Test only: keeps what the servers of a deployment have executed, in the order in which they did
// so, whatever their clients were told. It knows who holds the lease of each execution, and reports
// it if the servers ever gave two leases at once.
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
    bool lost = false;  // a failover may have taken it back since
  };

  // A member of the deployment has run a function at `now`, and answered `reply`.
  void Saw(const std::vector<std::string>& command, const std::string& reply, std::int64_t now);
  // The same, for a server that does not belong to the deployment (any more).
  void SawElsewhere(const std::vector<std::string>& command);
  // Executions of slots for which `in` holds may have lost their last changes.
  void Lose(const std::function<bool(std::uint16_t slot)>& in);

  // Executed() says how often `function`, by FlowFabric's name, was executed for execution `id`;
  // Taken() says how often it answered with success.
  std::int64_t Executed(std::string_view function, std::string_view id) const;
  std::int64_t Taken(std::string_view function, std::string_view id) const;
  // The lease with this id, if a server ever gave it; null if none did.
  const LeaseSeen* FindLease(std::string_view lease_id) const;
  // Whether the execution has lost changes.
  bool HasLost(std::string_view id) const;
  // When the execution's current lease ends, by the server's clock. Empty if no server has given a
  // lease that still stands, or if changes may have been lost.
  std::optional<std::int64_t> LeaseEnd(std::string_view id) const;
  // The executions whose current lease is known; maps their ids to the ids of these leases.
  std::map<std::string, std::string> CurrentLeases() const;
  // From now on no server may give this lease.
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
    std::string lease_id;  // of the current lease; empty: there is none, or it is not known
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

  std::map<std::string, Count, std::less<>> counts_;  // "function id"
  std::map<std::string, Execution, std::less<>> executions_;
  std::map<std::string, LeaseSeen, std::less<>> leases_;
  std::set<std::string, std::less<>> forbidden_;
  std::uint64_t executed_ = 0;
  std::uint64_t losses_ = 0;
  std::string problem_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_CLAIM_WITNESS_H_
