// SPDX-License-Identifier: Apache-2.0
//
// The names that the pair's ledger must keep, and those that a call needs besides:
// a count by which it may say that it is full.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "testing/model/ledger_pair.h"

namespace ffgrant::testing {

LedgerPair::Names LedgerPair::NamesInUse() {
  Names names;
  for (const Execution& execution : executions_) {
    const std::optional<ExecutionNames> held = model_.InspectNames(execution.View());
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

LedgerPair::Names LedgerPair::NamesOf(const IssueGrantArgs& args, LaneIdView own_lane) const {
  Names names;
  if (args.grant_ttl_ms <= 0) {
    return names;  // such a grant never exists
  }
  names.insert(
      {std::string(args.worker.worker_id.text), std::string(args.worker.worker_instance_id.text)});
  if (args.lane.text() != own_lane.text()) {
    names.insert({std::string(args.lane.text()), ""});
  }
  for (const std::string_view text :
       {args.capability_hash, args.route_snapshot_json, args.admission_summary}) {
    names.insert({std::string(text), ""});
  }
  names.erase({"", ""});
  return names;
}

LedgerPair::Names LedgerPair::NamesOf(const WorkerIdentity& worker, const ExecutionIdView& id,
                                      LaneIdView lane, LaneIdView own_lane) {
  Names names;
  const std::optional<ExecutionNames> held = model_.InspectNames(id);
  // The instance that was granted goes by the grant's name.
  if (!held.has_value() || held->grant_worker_instance_id != worker.worker_instance_id.text) {
    names.insert({std::string(worker.worker_id.text), std::string(worker.worker_instance_id.text)});
  }
  if (lane.text() != own_lane.text()) {
    names.insert({std::string(lane.text()), ""});
  }
  names.erase({"", ""});
  return names;
}

void LedgerPair::TakeStepInLittleRoom(const Target& target) {
  const TimestampMs before = clock_.Now();
  const Names had = NamesInUse();
  TakeStep(target);
  const Names has = NamesInUse();
  if (!Fits(has)) {
    Problem("the ledger keeps more names than it has room for");
  }
  // What time alone lets go of, the ledger finds out when it looks for room.
  if (clock_.Now() == before && !std::includes(has.begin(), has.end(), had.begin(), had.end())) {
    released_ = true;
  }
}

}  // namespace ffgrant::testing
