// SPDX-License-Identifier: Apache-2.0
//
// The names that the pair's ledger must keep, and those that a call needs besides:
// a count by which it may say that it is full.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "testing/model/ledger_pair.h"

namespace ffgrant::testing {
namespace {

// Having looked for room in vain, the ledger doesn't look again for so long,
// unless something was let go of.
constexpr std::int64_t kPauseMs = 100;

}  // namespace

LedgerPair::Names LedgerPair::NamesInUse() {
  Names names;
  for (const Choices::Execution& execution : generator_.executions()) {
    const std::optional<ExecutionNames> held = model_.InspectNames(execution.view());
    if (!held.has_value()) {
      continue;
    }
    names.insert({held->grant_worker_id, held->grant_worker_instance_id});
    names.insert({held->current_worker_id, held->current_worker_instance_id});
  }
  names.erase({"", ""});  // takes no place
  return names;
}

bool LedgerPair::Fits(const Names& names) const { return names.size() <= room_.max_names; }

LedgerPair::Names LedgerPair::NamesFor(const Call& call) {
  Names names;
  const WorkerIdentity worker = call.worker();
  const Name holder = {std::string(worker.worker_id.text),
                       std::string(worker.worker_instance_id.text)};
  const auto grant = [&](std::int64_t ttl_ms) {
    if (ttl_ms > 0) names.insert(holder);  // else such a grant never exists
  };
  if (const auto* w = call.As<calls::ClaimForWorker>()) {
    grant(w->args.grant_ttl_ms);
  } else if (const auto* i = call.As<calls::Issue>()) {
    grant(i->args.grant_ttl_ms);
  } else if (const auto* ir = call.As<calls::IssueReclaim>()) {
    grant(ir->args.grant_ttl_ms);
  } else if (call.As<calls::Claim>() != nullptr || call.As<calls::ClaimResumed>() != nullptr ||
             call.As<calls::Reclaim>() != nullptr) {
    const std::optional<ExecutionNames> held = model_.InspectNames(call.execution());
    // The instance that was granted goes by the grant's name.
    if (!held.has_value() || held->grant_worker_instance_id != holder.second) names.insert(holder);
  }
  names.erase({"", ""});
  return names;
}

std::string LedgerPair::WhyNotFull(const Call& call, const Answer& answer) {
  const Names in_use = NamesInUse();
  Names all = in_use;
  all.merge(NamesFor(call));
  const bool in_vain =
      full_at_.has_value() && clock_.Now().value - *full_at_ < kPauseMs && !released_;
  full_at_ = clock_.Now().value;
  released_ = false;
  if (all == in_use || (Fits(all) && !in_vain)) {
    return "full, with " + std::to_string(in_use.size()) + " of " +
           std::to_string(room_.max_names) + " names in use";
  }
  ModelLedger with_room = model_;
  Call asked = call;
  if (const auto* scan = call.As<calls::ClaimForWorker>()) {
    // The model does not say where a window begins: there must be something in some partition.
    ClaimForWorkerArgs args = scan->args;
    args.max_partitions = kAllPartitions;
    asked = calls::ClaimForWorker{args};
  }
  if (const Answer otherwise = testing::Make(with_room, asked); !otherwise.ok()) {
    return "full, where the model says " + Describe(otherwise);
  }
  for (const std::string& detail : answer.details) {
    if (detail != "names") return "full of something else than names";
  }
  return {};
}

void LedgerPair::StepInLittleRoom() {
  const TimestampMs before = clock_.Now();
  const Names had = std::exchange(names_in_use_, {});
  StepAtEase();
  names_in_use_ = NamesInUse();
  const Names& has = names_in_use_;
  if (!Fits(has)) {
    driver_.Blame("the ledger keeps more names than it has room for");
  }
  // What time alone lets go of, the ledger finds out when it looks for room.
  if (clock_.Now() == before && !std::includes(has.begin(), has.end(), had.begin(), had.end())) {
    released_ = true;
  }
}

}  // namespace ffgrant::testing
