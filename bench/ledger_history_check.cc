// SPDX-License-Identifier: Apache-2.0

#include "bench/ledger_history_check.h"

#include <map>
#include <string>
#include <utility>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/population.h"
#include "testing/calls/call_generator.h"

namespace ffgrant::bench::history {
namespace {

using testing::Answer;
using testing::Call;
using testing::CallKind;
using testing::Choices;

// Reduces an answer to the parts that all ledgers give. A grant that has run out may be gone or
// still be there: contract 7.7 item 8 lets the ledger choose which of the two a claim reports.
// Baselines give no details.
Answer WhatAllTell(Answer answer) {
  if (answer.error == ClaimError::kClaimGrantExpired) answer.error = ClaimError::kInvalidClaimGrant;
  answer.details.clear();
  return answer;
}

constexpr std::size_t kCalls = 5;

Choices ChoicesOf(const Population& population) {
  Choices choices;
  choices.kinds = {CallKind::kCreate, CallKind::kIssue, CallKind::kClaim, CallKind::kComplete,
                   CallKind::kForget};
  for (std::size_t i = 0; i < kWindow; ++i) {
    choices.executions.push_back({std::string(population[i].text()), std::string(kLane)});
  }
  choices.workers = {{"w1", "w1-a"}, {"w1", "w1-b"}, {"w2", "w2-a"}};
  choices.lanes = {"other"};
  const auto gpu = Choices::Set("gpu");
  const auto more = Choices::Set("cuda,gpu");
  choices.required = choices.offered = {nullptr, nullptr, nullptr, nullptr, gpu, more};
  choices.delay_spread = 0;
  choices.ttl_ms = -20;
  choices.ttl_spread = 2000;
  choices.has_partial_fences = false;
  return choices;
}

}  // namespace

void CheckAgainstCore(std::string_view name, ManualClock& clock, testing::Driver::Maker other) {
  Random random(11);
  const Population population(kExecutions);
  CoreLedger core(kExecutions, clock);
  testing::CallGenerator generator(
      [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random.Below(bound)); },
      ChoicesOf(population), clock);
  testing::Driver driver([&](const Call& call) { return Make(core, call); },
                         {testing::SameAs(std::string(name), std::move(other), WhatAllTell)});
  // Counts how often each kind of call succeeded and failed.
  std::map<CallKind, std::pair<std::size_t, std::size_t>> seen;
  for (std::size_t i = 0; i < kSteps; ++i) {
    if (i > 0 && i % kStepsPerMove == 0) {
      generator.Replace(
          {std::string(population[kWindow + i / kStepsPerMove - 1].text()), std::string(kLane)});
    }
    const Call call = generator.Next();
    const Answer answer = driver.Do(call);
    if (!driver.problem().empty()) {
      SelfCheckFailed("the ledger differs at step " + std::to_string(i), driver.problem());
    }
    generator.Learn(call, answer);
    ++(answer.ok() ? seen[call.kind()].first : seen[call.kind()].second);
    clock.Advance(static_cast<std::int64_t>(random.Below(3)));
  }
  // A history in which some kind of call hardly ever succeeds or fails proves little.
  SelfCheck(seen.size() == kCalls, "the random history misses a call", "");
  for (const auto& [kind, counts] : seen) {
    SelfCheck(counts.first >= 50 && (counts.second >= 50 || kind == CallKind::kCreate),
              "the random history misses an outcome", "");
  }
}

}  // namespace ffgrant::bench::history
