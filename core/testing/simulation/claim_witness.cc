// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/claim_witness.h"

#include <cstdlib>
#include <utility>

#include "testing/simulation/cluster_state.h"
#include "testing/simulation/scripted_server.h"
#include "testing/simulation/server_console.h"

namespace ffgrant::valkey::testing {
namespace {

// Returns whether a function is about the server and not about an execution.
bool IsAboutServer(std::string_view function) {
  return function.ends_with("_version") || function == "ff_refused_commands" ||
         function == "ff_rotate_waitpoint_hmac_secret";
}

// Returns the ARGV of a command that has the form `FCALL function count KEYS ARGV`.
std::vector<std::string> ArgumentsOf(const std::vector<std::string>& command) {
  const auto first = static_cast<std::size_t>(3 + std::atoll(command[2].c_str()));
  return {command.begin() + static_cast<std::ptrdiff_t>(first), command.end()};
}

std::string KeyOf(std::string_view function, std::string_view id) {
  return std::string(function) + " " + std::string(id);
}

}  // namespace

void ClaimWitness::Saw(const std::vector<std::string>& raw, const std::string& reply,
                       std::int64_t now) {
  const std::vector<std::string> command = WithFlowFabricName(raw);
  const std::string& function = command[1];
  if (IsAboutServer(function)) return;
  const std::vector<std::string> args = ArgumentsOf(command);
  const std::string& id = args[0];
  ++executed_;
  Count& count = counts_[KeyOf(function, id)];
  ++count.executed;
  if (!reply.starts_with("*")) return;  // the function ended with an error
  const std::vector<std::string> answer = RespText::Elements(reply);
  Execution& execution = executions_[id];
  // This answer means that the execution has failed.
  if (answer[1] == "max_retries_exhausted") execution.lease_id.clear();
  if (answer[0] != "1") return;
  execution.slot = SlotOf(id.substr(0, id.find('}') + 1));
  const std::string& word = answer[1];
  count.taken += word == "OK";
  if (function == "ff_claim_execution" || function == "ff_claim_resumed_execution" ||
      function == "ff_reclaim_execution") {
    LeaseGiven(execution, id, answer[2], std::strtoull(answer[3].c_str(), nullptr, 10),
               std::atoll(answer[4].c_str()), now);
  } else if (function == "ff_issue_grant_and_claim") {
    LeaseGiven(execution, id, answer[2], std::strtoull(answer[3].c_str(), nullptr, 10),
               now + std::atoll(args[6].c_str()), now);
  } else if (function == "ff_renew_lease") {
    if (execution.lease_id != args[3] && !execution.lost) {
      Blame(id + ": a lease was renewed that is not the current one: " + args[3]);
    }
    execution.lease_end = std::atoll(answer[2].c_str());
  } else if (function == "ff_mark_lease_expired_if_due" && word == "OK") {
    if (execution.lease_end > now && !execution.lost) {
      Blame(id + ": a lease was marked expired that has not ended");
    }
    execution.lease_id.clear();
  } else if ((function == "ff_revoke_lease" && word == "OK") ||
             function == "ff_suspend_execution" || function == "ff_complete_execution" ||
             function == "ff_fail_execution") {
    execution.lease_id.clear();
  }
}

void ClaimWitness::LeaseGiven(Execution& execution, const std::string& id,
                              const std::string& lease_id, std::uint64_t epoch, std::int64_t end,
                              std::int64_t now) {
  const auto [at, is_new] = leases_.try_emplace(lease_id, LeaseSeen{id, epoch});
  if (!is_new) Blame(id + ": a server has given the lease " + lease_id + " twice");
  if (forbidden_.count(lease_id) != 0) {
    Blame(id + ": a server has given the lease " + lease_id + ", which was ruled out for good");
  }
  if (!execution.lost) {
    if (!execution.lease_id.empty() && execution.lease_end > now) {
      Blame(id + ": two live leases, " + execution.lease_id + " and " + lease_id);
    }
    if (epoch <= execution.epoch) {
      Blame(id + ": epoch " + std::to_string(epoch) + " after " + std::to_string(execution.epoch));
    }
  }
  execution.lost = false;
  execution.lease_id = lease_id;
  execution.lease_end = end;
  execution.epoch = epoch;
}

void ClaimWitness::SawElsewhere(const std::vector<std::string>& raw) {
  const std::vector<std::string> command = WithFlowFabricName(raw);
  if (IsAboutServer(command[1])) return;
  Blame(command[1] + " was called on a server of somebody else's: " + ArgumentsOf(command)[0]);
}

void ClaimWitness::Lose(const std::function<bool(std::uint16_t slot)>& in) {
  ++losses_;
  for (auto& [id, execution] : executions_) {
    if (in(execution.slot)) execution.lost = true;
  }
  for (auto& [id, lease] : leases_) lease.lost = lease.lost || HasLost(lease.execution_id);
}

std::int64_t ClaimWitness::Executed(std::string_view function, std::string_view id) const {
  const auto found = counts_.find(KeyOf(function, id));
  return found == counts_.end() ? 0 : found->second.executed;
}

std::int64_t ClaimWitness::Taken(std::string_view function, std::string_view id) const {
  const auto found = counts_.find(KeyOf(function, id));
  return found == counts_.end() ? 0 : found->second.taken;
}

const ClaimWitness::LeaseSeen* ClaimWitness::FindLease(std::string_view lease_id) const {
  const auto found = leases_.find(lease_id);
  return found == leases_.end() ? nullptr : &found->second;
}

bool ClaimWitness::HasLost(std::string_view id) const {
  const auto found = executions_.find(id);
  return found != executions_.end() && found->second.lost;
}

std::optional<std::int64_t> ClaimWitness::LeaseEnd(std::string_view id) const {
  const auto found = executions_.find(id);
  if (found == executions_.end() || found->second.lost || found->second.lease_id.empty()) {
    return std::nullopt;
  }
  return found->second.lease_end;
}

std::map<std::string, std::string> ClaimWitness::CurrentLeases() const {
  std::map<std::string, std::string> current;
  for (const auto& [id, execution] : executions_) {
    if (!execution.lost && !execution.lease_id.empty()) current[id] = execution.lease_id;
  }
  return current;
}

}  // namespace ffgrant::valkey::testing
