// SPDX-License-Identifier: Apache-2.0
//
// Gives short forms of a ledger's calls to tests that make many calls.

#ifndef FFGRANT_TESTING_CALLS_LEDGER_CALLS_H_
#define FFGRANT_TESTING_CALLS_LEDGER_CALLS_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"

namespace ffgrant::testing {

inline constexpr std::int64_t kNow = 1'700'000'000'000;
inline constexpr std::string_view kA = "{fp:1}:aaaaaaaa-0000-4000-8000-000000000001";
inline constexpr std::string_view kB = "{fp:1}:bbbbbbbb-0000-4000-8000-000000000002";
inline constexpr std::string_view kC = "{fp:1}:cccccccc-0000-4000-8000-000000000003";
inline constexpr WorkerIdentity kW1 = {{"w1"}, {"w1-i1"}};
inline constexpr WorkerIdentity kW1Other = {{"w1"}, {"w1-i2"}};
inline constexpr WorkerIdentity kW2 = {{"w2"}, {"w2-i1"}};
inline constexpr LaneIdView kMain = LaneIdView::Unchecked("main");
inline constexpr LaneIdView kOtherLane = LaneIdView::Unchecked("other");

inline ExecutionIdView Id(std::string_view text) {
  return ParseExecutionId(text, ParseMode::kLenient).id;
}

inline Uuid UuidOf(std::uint8_t number) {
  Uuid uuid;
  uuid.bytes[15] = number;
  return uuid;
}

inline CapabilitySet Caps(std::string_view csv) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignOfferedCsv(csv), CapabilityError::kNone);
  return set;
}

inline MemoryLedgerOptions SmallOptions(const Clock& clock) {
  MemoryLedgerOptions options;
  options.max_executions = 8;
  options.max_lanes = 2;
  options.max_names = 16;
  options.max_name_bytes = 512;
  options.max_text_bytes = 512;
  options.max_capability_sets = 8;
  options.partitions.num_flow_partitions = 4;
  options.clock = &clock;
  return options;
}

// Makes calls with few words, by default on lane kMain and for kW1, or for kW2 if the call is about
// a reclaim. The details of the last call are in `details` until the next call. Lease ids and
// attempt ids count up.
class Calls {
 public:
  Calls(ClaimLedger& to, ManualClock& time) : ledger(to), clock(time) {}

  CreateOutcome Create(std::string_view id, LaneIdView lane = kMain, std::int64_t priority = 0,
                       const CapabilitySet* required = nullptr,
                       std::optional<std::int64_t> delay_until = {},
                       std::optional<std::uint32_t> cap = {}) {
    CreateExecutionArgs args;
    args.execution_id = Id(id);
    args.lane = lane;
    args.priority = priority;
    args.required = required;
    if (delay_until.has_value()) args.delay_until = TimestampMs{*delay_until};
    args.max_reclaim_count = cap;
    return ledger.CreateExecution(args, &details);
  }
  IssueGrantArgs IssueArgs(std::string_view id, WorkerIdentity worker, std::int64_t ttl,
                           const CapabilitySet* offered, LaneIdView lane) {
    IssueGrantArgs args;
    args.execution_id = Id(id);
    args.worker = worker;
    args.lane = lane;
    args.grant_ttl_ms = ttl;
    args.offered = offered;
    return args;
  }
  ClaimError Issue(std::string_view id, WorkerIdentity worker = kW1, std::int64_t ttl = 100,
                   const CapabilitySet* offered = nullptr, LaneIdView lane = kMain) {
    return ledger.IssueClaimGrant(IssueArgs(id, worker, ttl, offered, lane), &details).error;
  }
  ClaimError IssueReclaim(std::string_view id, WorkerIdentity worker = kW2, std::int64_t ttl = 100,
                          const CapabilitySet* offered = nullptr) {
    return ledger.IssueReclaimGrant(IssueArgs(id, worker, ttl, offered, kMain), &details).error;
  }
  ClaimOutcome Claim(std::string_view id, WorkerIdentity worker = kW1, std::int64_t ttl = 1000,
                     LaneIdView lane = kMain) {
    return ledger.Claim({Id(id), worker, lane, {UuidOf(++next)}, ttl, {UuidOf(++next)}}, &details);
  }
  ClaimOutcome ClaimResumed(std::string_view id, WorkerIdentity worker = kW1,
                            std::int64_t ttl = 1000) {
    return ledger.ClaimResumed({Id(id), worker, kMain, {UuidOf(++next)}, ttl}, &details);
  }
  ClaimOutcome Reclaim(std::string_view id, WorkerIdentity worker = kW2, std::int64_t ttl = 1000,
                       std::optional<std::uint32_t> cap = {}) {
    return ledger.Reclaim({Id(id), worker, kMain, {UuidOf(++next)}, ttl, {UuidOf(++next)}, cap},
                          &details);
  }
  ClaimError Complete(std::string_view id, const OptionalFence& fence,
                      bool override_fence = false) {
    return ledger.Complete({Id(id), fence, override_fence}, &details).error;
  }
  ExecutionState State(std::string_view id) {
    const auto state = ledger.Inspect(Id(id));
    EXPECT_TRUE(state.has_value());
    return state.value_or(ExecutionState());
  }
  std::vector<std::string> Details() const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < details.size(); ++i) texts.emplace_back(details[i]);
    return texts;
  }
  // Creates the execution, grants it to kW1 and claims it.
  Lease Leased(std::string_view id, std::int64_t ttl = 1000,
               std::optional<std::uint32_t> cap = {}) {
    EXPECT_TRUE(Create(id, kMain, 0, nullptr, {}, cap));
    EXPECT_EQ(Issue(id), ClaimError::kNone);
    const ClaimOutcome outcome = Claim(id, kW1, ttl);
    EXPECT_TRUE(outcome);
    return outcome.lease;
  }

  ClaimLedger& ledger;
  ManualClock& clock;
  ErrorDetails details;
  std::uint8_t next = 0;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_LEDGER_CALLS_H_
