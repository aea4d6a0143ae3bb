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
    names.insert({held->required_capabilities, ""});
    names.insert({held->grant_worker_id, held->grant_worker_instance_id});
    names.insert({held->capability_hash, ""});
    names.insert({held->route_snapshot_json, ""});
    names.insert({held->admission_summary, ""});
    names.insert({held->current_worker_id, held->current_worker_instance_id});
    for (const std::string& lane : {held->grant_lane_id, held->current_lane}) {
      if (lane != execution.lane) {
        names.insert({lane, ""});
      }
    }
  }
  names.erase({"", ""});  // takes no place
  return names;
}

bool LedgerPair::Fits(const Names& names) const {
  std::size_t bytes = 0;
  for (const auto& [first, second] : names) {
    bytes += first.size() + second.size();
  }
  return names.size() <= room_.max_names && bytes <= room_.max_name_bytes;
}

LedgerPair::Names LedgerPair::NamesFor(const Call& call) {
  Names names;
  const WorkerIdentity worker = call.worker();
  const Name holder = {std::string(worker.worker_id.text),
                       std::string(worker.worker_instance_id.text)};
  const auto insert = [&](std::string_view text) { names.insert({std::string(text), ""}); };
  const auto insert_lane = [&](LaneIdView lane) {
    if (lane != generator_.OwnLane(call.execution().text())) insert(lane.text());
  };
  const auto grant = [&](const IssueGrantArgs& args) {
    if (args.grant_ttl_ms <= 0) return;  // such a grant never exists
    names.insert(holder);
    insert_lane(args.lane);
    for (const std::string_view text :
         {args.capability_hash, args.route_snapshot_json, args.admission_summary}) {
      insert(text);
    }
  };
  const auto lease = [&](LaneIdView lane) {
    const std::optional<ExecutionNames> held = model_.InspectNames(call.execution());
    // The instance that was granted goes by the grant's name.
    if (!held.has_value() || held->grant_worker_instance_id != holder.second) names.insert(holder);
    insert_lane(lane);
  };
  if (const auto* c = call.As<calls::Create>(); c != nullptr && c->args.required != nullptr) {
    insert(c->args.required->csv());
  } else if (const auto* w = call.As<calls::ClaimForWorker>()) {
    if (w->args.grant_ttl_ms > 0) names.insert(holder);
  } else if (const auto* i = call.As<calls::Issue>()) {
    grant(i->args);
  } else if (const auto* ir = call.As<calls::IssueReclaim>()) {
    grant(ir->args);
  } else if (const auto* l = call.As<calls::Claim>()) {
    lease(l->args.lane);
  } else if (const auto* lr = call.As<calls::ClaimResumed>()) {
    lease(lr->args.lane);
  } else if (const auto* r = call.As<calls::Reclaim>()) {
    lease(r->args.lane);
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
