// SPDX-License-Identifier: Apache-2.0
//
// Counts the names and texts that the pair's ledger must keep, and those that a call needs in
// addition. These counts say whether the ledger may answer that it is full.

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/model/ledger_pair.h"

namespace ffgrant::testing {
namespace {

// A ledger that has looked for room and found none does not look again for kPauseMs, unless
// something was released.
constexpr std::int64_t kPauseMs = 100;

// Texts are kept in pieces of 60 bytes (MemoryLedgerOptions::max_text_bytes).
std::size_t PiecesOf(std::string_view text) { return (text.size() + 59) / 60; }

template <class Set>
Set Without(const Set& set, const Set& others) {
  Set rest;
  std::set_difference(set.begin(), set.end(), others.begin(), others.end(),
                      std::inserter(rest, rest.end()));
  return rest;
}

// An execution that has texts takes one more piece, which says where the texts are.
std::size_t PiecesOf(
    const std::set<std::tuple<std::string, std::string_view, std::string>>& texts) {
  std::size_t pieces = 0;
  std::set<std::string> executions;
  for (const auto& [execution, member, text] : texts) {
    pieces += PiecesOf(text);
    executions.insert(execution);
  }
  return pieces + executions.size();
}

}  // namespace

LedgerPair::Kept LedgerPair::WhatIsKept() {
  Kept kept;
  for (const Choices::Execution& execution : generator_.executions()) {
    const std::optional<ExecutionNames> held = model_.InspectNames(execution.view());
    if (!held.has_value()) continue;
    const Name granted = {held->grant_worker_id, held->grant_worker_instance_id};
    kept.grants.insert({std::string(execution.id), granted});
    kept.names.insert(granted);
    kept.names.insert({held->current_worker_id, held->current_worker_instance_id});
    const std::pair<std::string_view, std::string> members[] = {
        {"current_lane", held->current_lane == execution.lane ? "" : held->current_lane},
        {"grant_lane", held->grant_lane_id == execution.lane ? "" : held->grant_lane_id},
        {"capability_hash", held->capability_hash},
        {"route_snapshot", held->route_snapshot_json},
        {"admission_summary", held->admission_summary}};
    for (const auto& [member, text] : members) {
      if (!text.empty()) kept.texts.insert({std::string(execution.id), member, text});
    }
  }
  kept.names.erase({"", ""});  // the empty name takes no place
  return kept;
}

std::size_t LedgerPair::TextPiecesFor(const Call& call, const Texts& in_use) {
  const std::string id(call.execution().text());
  std::size_t pieces = 0;
  const auto add_lane = [&](LaneIdView lane) {
    if (lane != generator_.OwnLane(id)) pieces += PiecesOf(lane.text());
  };
  const auto add_grant = [&](const IssueGrantArgs& args) {
    if (args.grant_ttl_ms <= 0) return;  // without a positive ttl no grant remains
    add_lane(args.lane);
    for (const std::string_view text :
         {args.capability_hash, args.route_snapshot_json, args.admission_summary}) {
      pieces += PiecesOf(text);
    }
  };
  if (const auto* issue = call.As<calls::Issue>()) {
    add_grant(issue->args);
  } else if (const auto* issue_reclaim = call.As<calls::IssueReclaim>()) {
    add_grant(issue_reclaim->args);
  } else if (const auto* claim = call.As<calls::Claim>()) {
    add_lane(claim->args.lane);
  } else if (const auto* claim_resumed = call.As<calls::ClaimResumed>()) {
    add_lane(claim_resumed->args.lane);
  } else if (const auto* reclaim = call.As<calls::Reclaim>()) {
    add_lane(reclaim->args.lane);
  }
  const bool has_texts = std::any_of(in_use.begin(), in_use.end(),
                                     [&](const auto& text) { return std::get<0>(text) == id; });
  return pieces + (pieces != 0 && !has_texts ? 1 : 0);
}

LedgerPair::Names LedgerPair::NamesFor(const Call& call) {
  Names names;
  const WorkerIdentity worker = call.worker();
  const Name holder = {std::string(worker.worker_id.text),
                       std::string(worker.worker_instance_id.text)};
  const auto grant = [&](std::int64_t ttl_ms) {
    if (ttl_ms > 0) names.insert(holder);  // without a positive ttl no grant remains
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
    // The granted worker's instance uses the name that the grant holds.
    if (!held.has_value() || held->grant_worker_instance_id != holder.second) names.insert(holder);
  }
  names.erase({"", ""});
  return names;
}

LedgerPair::Created LedgerPair::CreatedBy(const Call& call) {
  const CreateExecutionArgs& args = call.As<calls::Create>()->args;
  Created created = {std::string(args.lane.text()), {}};
  if (args.required != nullptr) created.required = args.required->csv();
  if (args.retry) {
    const RetryPolicy& policy = *args.retry;
    created.required +=
        '/' + std::to_string(policy.max_retries) + '/' +
        std::to_string(static_cast<int>(policy.backoff)) + '/' + std::to_string(policy.delay_ms) +
        '/' + std::to_string(policy.max_delay_ms) + '/' + std::to_string(policy.multiplier);
  }
  return created;
}

std::string LedgerPair::MissingFor(const Call& call) const {
  if (call.kind() != CallKind::kCreate) return {};
  const Created needed = CreatedBy(call);
  std::set<std::string> lanes, sets;
  for (const auto& [id, held] : created_) {
    lanes.insert(held.lane);
    sets.insert(held.required);
  }
  sets.erase("");  // an execution without capabilities and policy takes no place
  if (!needed.required.empty() && sets.count(needed.required) == 0 &&
      sets.size() >= room_.max_capability_sets) {
    return "capability sets";
  }
  if (lanes.count(needed.lane) == 0 && lanes.size() >= room_.max_lanes) return "lanes";
  return created_.size() >= room_.max_executions ? "executions" : "";
}

std::string LedgerPair::WhyNotFull(const Call& call, const Answer& answer) {
  if (call.kind() == CallKind::kCreate) {
    const std::string missing = MissingFor(call);
    if (missing.empty()) return "full, with room for the execution";
    ModelLedger with_room = model_;
    const Answer otherwise = testing::Make(with_room, call);
    if (!otherwise.ok() || otherwise.created == CreateOutcome::Status::kDuplicate) {
      return "full, where the model says " + Describe(otherwise);
    }
    return answer.details == std::vector<std::string>{missing}
               ? ""
               : "full of something else than " + missing;
  }
  const auto [names, grants, texts] = WhatIsKept();
  Names all = names;
  all.merge(NamesFor(call));
  const std::size_t pieces = PiecesOf(texts);
  const std::size_t all_pieces = pieces + TextPiecesFor(call, texts);
  const auto looks = [&](const Shortage& shortage) {
    return !shortage.at || clock_.Now().value - *shortage.at >= kPauseMs || shortage.released;
  };
  // If the call needs room, the ledger may say that room is missing if there is too little, or if
  // the ledger does not look for room at present.
  const auto may_miss = [&](const Shortage& shortage, bool is_needed, bool fits) {
    return is_needed && !(fits && looks(shortage));
  };
  const bool misses_names =
      may_miss(names_short_, all.size() > names.size(), all.size() <= room_.max_names);
  const bool misses_texts =
      may_miss(texts_short_, all_pieces > pieces, all_pieces <= room_.max_text_pieces);
  if (!misses_names && !misses_texts) {
    return "full, with " + std::to_string(names.size()) + " of " + std::to_string(room_.max_names) +
           " names and " + std::to_string(pieces) + " of " + std::to_string(room_.max_text_pieces) +
           " pieces in use";
  }
  if (misses_names) {
    if (looks(names_short_)) lingering_.clear();  // the ledger looked at all grants in vain
    names_short_ = {clock_.Now().value, false};
  }
  if (misses_texts) texts_short_ = {clock_.Now().value, false};
  ModelLedger with_room = model_;
  Call asked = call;
  if (const auto* scan = call.As<calls::ClaimForWorker>()) {
    // The model does not know where the window begins, so it is asked whether any partition has an
    // execution to choose.
    ClaimForWorkerArgs args = scan->args;
    args.max_partitions = kAllPartitions;
    asked = calls::ClaimForWorker{args};
  }
  if (const Answer otherwise = testing::Make(with_room, asked); !otherwise.ok()) {
    return "full, where the model says " + Describe(otherwise);
  }
  for (const std::string& detail : answer.details) {
    if (!(misses_names && detail == "names") && !(misses_texts && detail == "texts")) {
      return "full of something else than is missing";
    }
  }
  return {};
}

void LedgerPair::CountWhatIsKept(TimestampMs before) {
  const Kept had = std::exchange(kept_, WhatIsKept());
  if (kept_.names.size() > room_.max_names || PiecesOf(kept_.texts) > room_.max_text_pieces) {
    driver_.Blame("the ledger keeps more than it has room for");
  }
  // When time alone releases something, the ledger notices that only when it looks for room.
  if (clock_.Now() != before) {
    for (const auto& [execution, name] : Without(had.grants, kept_.grants)) lingering_.insert(name);
    return;
  }
  names_short_.released |= !Without(Without(had.names, kept_.names), lingering_).empty();
  texts_short_.released |= !Without(had.texts, kept_.texts).empty();
}

}  // namespace ffgrant::testing
