// SPDX-License-Identifier: Apache-2.0
//
// Runs the scenarios against ledgers that each have one defect: the scenarios must find it. Also
// tests the random histories, PresenceOf(), and how the runner treats reviewed differences.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "testing/calls/calling_ledger.h"
#include "testing/calls/make.h"
#include "testing/scenarios/differential.h"
#include "testing/scenarios/memory_engine.h"
#include "testing/scenarios/runner.h"

namespace ffgrant::claims_conformance {
namespace {

enum class Defect : std::uint8_t {
  kNone,
  kEpoch,          // a claim answers with the wrong epoch
  kExpiry,         // a claim answers that its lease lasts 1 ms longer than it does
  kCode,           // a claim without a grant of its own answers that the grant has expired
  kDetails,        // the error of an issue has no details, such as the missing capabilities
  kDuplicate,      // a second creation, or a delayed one, answers as a first that is not delayed
  kGrantExpiry,    // an issue answers that its grant lasts 1 ms longer than it does
  kReclaimKind,    // a reclaim answers as a first claim
  kRenewedExpiry,  // a renewal answers an expiry that is late by its whole ttl
  kOverride,       // a completion with a fence that lacks parts is accepted
  kStale,          // a suspension with a stale fence answers that it has happened
  kMarked,         // a lease that is already marked is said to be marked now
  kRevoked,        // a revocation names another lease
  kDelayed,        // a delayed resume answers that it is not delayed
  kEligible,       // a claimed execution is shown as eligible
  kWorker,         // the owner is not shown
  kMismatchTime,   // the time of the last capability mismatch is not shown
  kTtl,            // the ttl of an issue is cut down to the limit and accepted
  kRetryTime,      // a retry is shown as due 1 ms later than it is
  kRetryKind,      // a retry answers as a first claim
  kRetryCount,     // a waiting retry is not counted
  kLastFailure,    // a final failure answers that it is retried
};

constexpr Defect kDefects[] = {Defect::kEpoch,        Defect::kExpiry,        Defect::kCode,
                               Defect::kDetails,      Defect::kDuplicate,     Defect::kGrantExpiry,
                               Defect::kReclaimKind,  Defect::kRenewedExpiry, Defect::kOverride,
                               Defect::kStale,        Defect::kMarked,        Defect::kRevoked,
                               Defect::kDelayed,      Defect::kEligible,      Defect::kWorker,
                               Defect::kMismatchTime, Defect::kTtl,           Defect::kRetryTime,
                               Defect::kRetryKind,    Defect::kRetryCount,    Defect::kLastFailure};

namespace calls = testing::calls;
using testing::Answer;
using testing::Call;
using testing::CallKind;

class FaultyLedger final : public testing::CallingLedger {
 public:
  FaultyLedger(ClaimLedger& right, Defect defect) : right_(right), defect_(defect) {}

  Answer Do(const Call& call) override {
    Answer answer = Make(right_, Bent(call));
    const bool is_claim = call.kind() == CallKind::kClaim;
    if (is_claim && answer.lease && Has(Defect::kEpoch)) {
      answer.lease->fence.lease_epoch.value += 1;
    }
    if (is_claim && answer.lease && Has(Defect::kExpiry)) answer.lease->expires_at.value += 1;
    if (is_claim && answer.error == ClaimError::kInvalidClaimGrant && Has(Defect::kCode)) {
      answer.error = ClaimError::kClaimGrantExpired;
    }
    const bool is_issue = call.kind() == CallKind::kIssue;
    if (is_issue && Has(Defect::kDetails)) answer.details.clear();
    if (is_issue && answer.expires_at && Has(Defect::kGrantExpiry)) answer.expires_at->value += 1;
    if (answer.created && Has(Defect::kDuplicate)) {
      answer.created = CreateOutcome::Status::kWaiting;
    }
    if (call.kind() == CallKind::kReclaim && answer.lease && Has(Defect::kReclaimKind)) {
      answer.lease->kind = LeaseKind::kInitial;
    }
    if (const auto* renew = call.As<calls::Renew>();
        renew != nullptr && answer.expires_at && Has(Defect::kRenewedExpiry)) {
      answer.expires_at->value += renew->args.lease_ttl_ms;
    }
    if (call.kind() == CallKind::kSuspend && answer.error == ClaimError::kStaleLease &&
        Has(Defect::kStale)) {
      answer = {};
    }
    if (call.kind() == CallKind::kMarkExpired && Has(Defect::kMarked) &&
        answer.already == AlreadySatisfied::kAlreadyExpired) {
      answer.already = AlreadySatisfied::kNo;
    }
    if (answer.revoked && Has(Defect::kRevoked)) answer.revoked->lease_id = {};
    if (Has(Defect::kDelayed)) answer.delayed = false;
    if (answer.retry_at && Has(Defect::kRetryTime)) answer.retry_at->value += 1;
    if (answer.lease && answer.lease->kind == LeaseKind::kRetry && Has(Defect::kRetryKind)) {
      answer.lease->kind = LeaseKind::kInitial;
    }
    if (answer.state && answer.state->attempt_state == "pending_retry_attempt" &&
        Has(Defect::kRetryCount)) {
      answer.state->retry_count -= 1;
    }
    if (call.kind() == CallKind::kFail && answer.ok() && Has(Defect::kLastFailure)) {
      answer.retry_at = answer.retry_at.value_or(TimestampMs{});
    }
    if (answer.state && Has(Defect::kEligible) && answer.state->lifecycle_phase == "active") {
      answer.state->in_eligible = true;
    }
    if (answer.state && Has(Defect::kMismatchTime)) {
      answer.state->last_capability_mismatch_at.reset();
    }
    if (answer.names && Has(Defect::kWorker)) answer.names->current_worker_id.clear();
    return answer;
  }

 private:
  bool Has(Defect defect) const { return defect_ == defect; }

  // Returns the call that the faulty ledger makes instead of `call`.
  Call Bent(const Call& call) {
    if (const auto* issue = call.As<calls::Issue>(); issue != nullptr && Has(Defect::kTtl)) {
      IssueGrantArgs args = issue->args;
      args.grant_ttl_ms = std::min(args.grant_ttl_ms, kMaxTtlMs);
      return calls::Issue{args};
    }
    if (const auto* complete = call.As<calls::Complete>();
        complete != nullptr && Has(Defect::kOverride) &&
        right_.Complete(complete->args).error == ClaimError::kPartialFenceTriple) {
      return calls::Complete{{complete->args.execution_id, {}, true}};
    }
    return call;
  }

  ClaimLedger& right_;
  Defect defect_;
};

class FaultyEngine final : public Engine {
 public:
  explicit FaultyEngine(Defect defect) : defect_(defect) { BeginScenario(); }
  std::string kind() const override { return "faulty"; }
  std::string description() const override { return "faulty"; }
  ClaimLedger& ledger() override { return *ledger_; }
  std::int64_t Now() override {
    if (looks_left-- == 0) throw std::runtime_error("the server is gone");
    return right_.Now();
  }
  void PassUntil(std::int64_t time) override { right_.PassUntil(time); }
  bool has_exact_time() const override { return true; }
  bool Promote(const ExecutionIdView& id, LaneIdView lane) override {
    return right_.Promote(id, lane);
  }
  RawStore* store() override { return nullptr; }
  std::uint16_t partition_count() const override { return right_.partition_count(); }
  void BeginScenario() override {
    right_.BeginScenario();
    ledger_ = std::make_unique<FaultyLedger>(right_.ledger(), defect_);
  }

  std::int64_t looks_left = INT64_MAX;  // Now() fails once it was called so often

 private:
  Defect defect_;
  MemoryEngine right_;
  std::unique_ptr<FaultyLedger> ledger_;
};

std::size_t FailingScenarios(Defect defect) {
  FaultyEngine engine(defect);
  std::size_t failing = 0;
  for (const Scenario& scenario : AllScenarios()) {
    failing += RunScenario(engine, scenario, "").failures.empty() ? 0 : 1;
  }
  return failing;
}

TEST(FaultyLedgers, NoneIsFoundWithoutADefect) { EXPECT_EQ(FailingScenarios(Defect::kNone), 0u); }

TEST(FaultyLedgers, EveryDefectIsFound) {
  for (const Defect defect : kDefects) {
    EXPECT_GT(FailingScenarios(defect), 0u) << "defect " << static_cast<int>(defect);
  }
}

TEST(FaultyLedgers, HistoriesFindThemToo) {
  for (const Defect defect : {Defect::kEpoch, Defect::kCode, Defect::kStale, Defect::kEligible}) {
    bool found = false;
    for (std::uint64_t seed = 1; seed <= 20 && !found; ++seed) {
      FaultyEngine engine(defect);
      found = !RunDifferential(engine, "", seed, 300).problem.empty();
    }
    EXPECT_TRUE(found) << "defect " << static_cast<int>(defect);
  }
}

// ---- histories -------------------------------------------------------------------

TEST(Histories, MemoryAgreesWithTheModel) {
  std::size_t taken = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    MemoryEngine engine;
    const DifferentialResult result = RunDifferential(engine, "", seed, 200);
    EXPECT_EQ(result.problem, "") << "seed " << seed;
    EXPECT_EQ(result.calls, 200u);
    taken += result.taken;
  }
  EXPECT_GT(taken, 50u * 200 / 5);  // more than a fifth of the calls must have been taken
}

TEST(Histories, SeedsDecide) {
  MemoryEngine engine;
  EXPECT_EQ(RunDifferential(engine, "", 7, 100).taken, RunDifferential(engine, "", 7, 100).taken);
}

TEST(Histories, EndWithAProblemWhenTheEngineFails) {
  for (const std::int64_t looks : {0, 1, 2, 50}) {
    FaultyEngine engine(Defect::kNone);
    engine.looks_left = looks;
    const DifferentialResult result = RunDifferential(engine, "", 7, 100);
    EXPECT_TRUE(result.problem.starts_with("stopped: the server is gone")) << result.problem;
    EXPECT_LT(result.calls, 100u);
    EXPECT_EQ(result.executions.empty(), looks == 0) << "whatever was made is to be cleaned up";
  }
}

// ---- reviewed differences ------------------------------------------------------------

Scenario Only(std::string_view name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.FullName() == name) return scenario;
  }
  ADD_FAILURE() << "no scenario " << name;
  return {};
}

constexpr std::string_view kScenario = "7.2 claim_consumes_the_grant_and_leases";

Difference Listed(std::string_view actual) {
  return {"faulty", "", kScenario, "3 claim: epoch", actual, "a test"};
}

TEST(Differences, UnlistedFails) {
  FaultyEngine engine(Defect::kEpoch);
  const ScenarioResult result = RunScenario(engine, Only(kScenario), "", {});
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0], "3 claim: epoch\n    expected 1\n    actual   2");
}

TEST(Differences, ListedPasses) {
  for (const std::string_view actual : {"2", "*"}) {
    FaultyEngine engine(Defect::kEpoch);
    const Difference listed[] = {Listed(actual)};
    const ScenarioResult result = RunScenario(engine, Only(kScenario), "", listed);
    EXPECT_TRUE(result.failures.empty());
    EXPECT_EQ(result.differences, 1u);
  }
}

TEST(Differences, ListedOtherwiseFailsTwice) {
  FaultyEngine engine(Defect::kEpoch);
  const Difference listed[] = {Listed("3")};
  EXPECT_EQ(RunScenario(engine, Only(kScenario), "", listed).failures.size(), 2u);
}

TEST(Differences, ListedAndGoneFails) {
  FaultyEngine engine(Defect::kNone);
  const Difference listed[] = {Listed("2")};
  const ScenarioResult result = RunScenario(engine, Only(kScenario), "", listed);
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_NE(result.failures[0].find("none any more"), std::string::npos);
}

TEST(Differences, AnotherEnginesAreItsOwn) {
  FaultyEngine engine(Defect::kNone);
  Difference listed = Listed("2");
  listed.engine = "server";
  EXPECT_TRUE(RunScenario(engine, Only(kScenario), "", {&listed, 1}).failures.empty());
  listed.engine = "faulty";
  listed.library = "flowfabric";
  EXPECT_TRUE(RunScenario(engine, Only(kScenario), "", {&listed, 1}).failures.empty());
}

TEST(Presence, IsCertainUntilTheExpiryAndOpenInItsMillisecond) {
  const ExpectedGrant grant{{}, Moment(1000, 1002), 20};
  const auto of = [&grant](std::int64_t before, std::int64_t after, bool exact_time) {
    return PresenceOf(grant, before, after, exact_time);
  };
  for (const bool exact : {true, false}) {
    EXPECT_EQ(of(1000, 1019, exact), Presence::kThere);
    EXPECT_EQ(of(1000, 1020, exact), exact ? Presence::kThere : Presence::kEither);
    EXPECT_EQ(of(1000, 1021, exact), Presence::kEither);
    EXPECT_EQ(of(1022, 1030, exact), Presence::kEither);
    EXPECT_EQ(of(1023, 1030, exact), Presence::kGone);
    EXPECT_EQ(PresenceOf(std::nullopt, 1000, 1000, exact), Presence::kGone);
  }
}

TEST(Differences, AreThereForScenariosThatExist) {
  for (const Difference& difference : ReviewedDifferences()) {
    EXPECT_FALSE(Only(difference.scenario).name.empty());
    EXPECT_FALSE(difference.reason.empty());
  }
}

}  // namespace
}  // namespace ffgrant::claims_conformance
