// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/ending.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::testing {
namespace {

const ExecutionIdView kId =
    ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111", ParseMode::kStrict).id;
constexpr std::string_view kAttempt = "33333333-3333-4333-8333-333333333333";
const LeaseFence kFence = {
    {ParseUuid("22222222-2222-4222-8222-222222222222", ParseMode::kStrict).uuid},
    {4},
    {ParseUuid(kAttempt, ParseMode::kStrict).uuid}};

ErrorDetails Details(std::initializer_list<std::string_view> texts) {
  ErrorDetails details;
  for (const std::string_view text : texts) details.Add(text);
  return details;
}

TEST(EarlierEnd, OfACompletionNeedsOutcomeEpochAndAttempt) {
  constexpr ClaimError kNot = ClaimError::kExecutionNotActive;
  EXPECT_TRUE(HasCompleted(kFence, kNot, Details({"success", "4", "terminal", kAttempt})));
  const ErrorDetails others[] = {Details({"failed", "4", "terminal", kAttempt}),
                                 Details({"cancelled", "4", "terminal", kAttempt}),
                                 Details({"success", "5", "terminal", kAttempt}),
                                 Details({"success", "04", "terminal", kAttempt}),
                                 Details({"success", "4", "terminal", ""}),
                                 Details({"none", "4", "runnable", ""}),
                                 Details({"success", "4", "terminal"}),
                                 Details({})};
  for (const ErrorDetails& details : others) EXPECT_FALSE(HasCompleted(kFence, kNot, details));
  const ErrorDetails good = Details({"success", "4", "terminal", kAttempt});
  for (const ClaimError error : {ClaimError::kNone, ClaimError::kStaleLease}) {
    EXPECT_FALSE(HasCompleted(kFence, error, good));
  }
  OptionalFence partial = kFence;
  partial.attempt_id.reset();
  EXPECT_FALSE(HasCompleted(partial, kNot, good));
  EXPECT_FALSE(HasCompleted(OptionalFence(), kNot, good));
}

TEST(EarlierEnd, OfAFailureIsTerminalOrARetryThatWaits) {
  constexpr ClaimError kNot = ClaimError::kExecutionNotActive;
  const auto ended = HasFailed(kFence, kNot, Details({"failed", "4", "terminal", kAttempt}));
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
  EXPECT_FALSE(ended->retried);
  const auto retried = HasFailed(kFence, kNot, Details({"none", "4", "runnable", ""}));
  ASSERT_TRUE(retried);
  EXPECT_TRUE(retried->retried);
  EXPECT_EQ(retried->delay_until.value, 0);
  const ErrorDetails others[] = {
      Details({"success", "4", "terminal", kAttempt}), Details({"failed", "4", "terminal", ""}),
      Details({"none", "5", "runnable", ""}),
      // The holder suspended the execution, and somebody may have resumed it: it has not failed.
      Details({"none", "4", "runnable", kAttempt}), Details({"none", "4", "suspended", kAttempt})};
  for (const ErrorDetails& details : others) EXPECT_FALSE(HasFailed(kFence, kNot, details));
}

// A ledger that answers from a script.
class Script {
 public:
  struct Said {
    ClaimError error = ClaimError::kNone;
    std::vector<std::string> details = {};
  };
  explicit Script(std::initializer_list<Said> said) : answers(said) {}

  Outcome Complete(const CompleteArgs&, std::string_view result, ErrorDetails* details) noexcept {
    EXPECT_EQ(result, "bytes");
    const Said said = Next();
    Say(said, details);
    return {said.error};
  }
  FailOutcome Fail(const FailArgs& args, ErrorDetails* details) noexcept {
    EXPECT_EQ(args.reason, "why");
    const Said said = Next();
    Say(said, details);
    FailOutcome outcome;
    outcome.error = said.error;
    outcome.delay_until = {7};
    return outcome;
  }

  std::deque<Said> answers;
  int asked = 0;

 private:
  static void Say(const Said& said, ErrorDetails* details) {
    details->clear();
    for (const std::string& detail : said.details) details->Add(std::string_view(detail));
  }
  Said Next() {
    ++asked;
    EXPECT_FALSE(answers.empty());
    Said said = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return said;
  }
};

constexpr ClaimError kLost = ClaimError::kUnknownOutcome;
constexpr ClaimError kAway = ClaimError::kUnavailable;
const Script::Said kCompleted = {ClaimError::kExecutionNotActive,
                                 {"success", "4", "terminal", std::string(kAttempt)}};

ClaimError Complete(Script& script, ErrorDetails* details = nullptr) {
  return CompleteOnce(script, {.execution_id = kId, .fence = kFence}, "bytes", details).error;
}

TEST(CompleteOnce, IsMadeAgainUntilThereIsAnAnswer) {
  Script first({{ClaimError::kNone}});
  EXPECT_EQ(Complete(first), ClaimError::kNone);
  EXPECT_EQ(first.asked, 1);
  Script happened({{kLost}, kCompleted});
  EXPECT_EQ(Complete(happened), ClaimError::kNone);
  Script away({{kAway}, {kLost}, {ClaimError::kNone}});
  EXPECT_EQ(Complete(away), ClaimError::kNone);
  EXPECT_EQ(away.asked, 3);
  // An earlier process may have made the call whose answer was lost.
  Script before({kCompleted});
  EXPECT_EQ(Complete(before), ClaimError::kNone);
  EXPECT_EQ(before.asked, 1);
  Script never({{kLost}});
  EXPECT_EQ(Complete(never), kLost);
  EXPECT_EQ(never.asked, kEndingTries);
}

TEST(CompleteOnce, LeavesWhatSomebodyElseHasDone) {
  Script cancelled(
      {{kLost},
       {ClaimError::kExecutionNotActive, {"cancelled", "4", "terminal", std::string(kAttempt)}}});
  ErrorDetails details;
  EXPECT_EQ(Complete(cancelled, &details), ClaimError::kExecutionNotActive);
  EXPECT_EQ(details[0], "cancelled");
  Script stale({{ClaimError::kStaleLease}});
  EXPECT_EQ(Complete(stale), ClaimError::kStaleLease);
  EXPECT_EQ(stale.asked, 1);
}

TEST(FailOnce, KnowsWhatTheEarlierOneCameTo) {
  const FailArgs args = {.execution_id = kId, .fence = kFence, .reason = "why"};
  Script at_once({{ClaimError::kNone}});
  EXPECT_EQ(FailOnce(at_once, args).delay_until.value, 7);
  Script retried({{kLost}, {ClaimError::kExecutionNotActive, {"none", "4", "runnable", ""}}});
  const FailOutcome outcome = FailOnce(retried, args);
  EXPECT_TRUE(outcome);
  EXPECT_TRUE(outcome.retried);
  EXPECT_EQ(outcome.delay_until.value, 0);
  // An earlier process may have made the call whose answer was lost.
  Script before({{ClaimError::kExecutionNotActive, {"none", "4", "runnable", ""}}});
  EXPECT_TRUE(FailOnce(before, args).retried);
  EXPECT_EQ(before.asked, 1);
  Script others({{ClaimError::kExecutionNotActive, {"none", "5", "runnable", ""}}});
  EXPECT_EQ(FailOnce(others, args).error, ClaimError::kExecutionNotActive);
  EXPECT_EQ(others.asked, 1);
  Script never({{kAway}});
  EXPECT_EQ(FailOnce(never, args).error, kAway);
  EXPECT_EQ(never.asked, kEndingTries);
}

TEST(RetryPolicies, AreValidWithinTheirRange) {
  EXPECT_TRUE(IsValid({}));
  EXPECT_TRUE(IsValid({.delay_ms = 0, .max_delay_ms = kMaxTtlMs, .multiplier = 0}));
  EXPECT_FALSE(IsValid({.delay_ms = -1}));
  EXPECT_FALSE(IsValid({.delay_ms = kMaxTtlMs + 1}));
  EXPECT_FALSE(IsValid({.max_delay_ms = -1}));
  EXPECT_FALSE(IsValid({.multiplier = -0.5}));
  EXPECT_FALSE(IsValid({.multiplier = std::numeric_limits<double>::infinity()}));
  EXPECT_FALSE(IsValid({.multiplier = std::numeric_limits<double>::quiet_NaN()}));
}

TEST(RetryPolicies, AreEqualIfAllOfThemIs) {
  const RetryPolicy usual;
  EXPECT_EQ(usual, RetryPolicy());
  const RetryPolicy others[] = {{.max_retries = 4},
                                {.backoff = RetryPolicy::Backoff::kFixed},
                                {.delay_ms = 1001},
                                {.max_delay_ms = 60001},
                                {.multiplier = 2.5}};
  for (const RetryPolicy& other : others) EXPECT_NE(other, usual);
}

TEST(RetryPolicies, SayHowLongARetryWaits) {
  using Delay = std::optional<std::int64_t>;
  const RetryPolicy usual;
  EXPECT_EQ(RetryDelayMs(usual, 0), Delay(1000));
  EXPECT_EQ(RetryDelayMs(usual, 2), Delay(4000));
  EXPECT_EQ(RetryDelayMs(usual, 3), Delay());
  EXPECT_EQ(RetryDelayMs({.max_retries = 0}, 0), Delay());
  EXPECT_EQ(RetryDelayMs({.max_retries = 7}, 5), Delay(32000));
  EXPECT_EQ(RetryDelayMs({.max_retries = 7}, 6), Delay(60000));
  const RetryPolicy fixed = {
      .max_retries = 2, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 7, .max_delay_ms = 1};
  EXPECT_EQ(RetryDelayMs(fixed, 0), Delay(7));
  EXPECT_EQ(RetryDelayMs(fixed, 1), Delay(7));
  EXPECT_EQ(RetryDelayMs(fixed, 2), Delay());
  // A part of a millisecond counts as a whole one: 1.5, 2.25, 0.5.
  const RetryPolicy parts = {.delay_ms = 1, .multiplier = 1.5};
  EXPECT_EQ(RetryDelayMs(parts, 1), Delay(2));
  EXPECT_EQ(RetryDelayMs(parts, 2), Delay(3));
  EXPECT_EQ(RetryDelayMs({.delay_ms = 1, .multiplier = 0.5}, 1), Delay(1));
  EXPECT_EQ(RetryDelayMs({.delay_ms = 5, .multiplier = 0}, 0), Delay(5));
  EXPECT_EQ(RetryDelayMs({.delay_ms = 5, .multiplier = 0}, 1), Delay(0));
  // The power of the multiplier is too large for a finite double.
  const std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
  EXPECT_EQ(RetryDelayMs({.max_retries = most, .max_delay_ms = kMaxTtlMs}, most - 1),
            Delay(kMaxTtlMs));
  EXPECT_EQ(RetryDelayMs({.max_retries = most, .delay_ms = 0}, most - 1), Delay(0));
}

}  // namespace
}  // namespace ffgrant::testing
