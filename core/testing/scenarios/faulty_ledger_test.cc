// SPDX-License-Identifier: Apache-2.0
//
// The scenarios against ledgers that are wrong in one thing each: they must
// find it. And what becomes of differences that are reviewed.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "testing/scenarios/differential.h"
#include "testing/scenarios/memory_engine.h"
#include "testing/scenarios/runner.h"

namespace ffgrant::claims_conformance {
namespace {

enum class Defect : std::uint8_t {
  kNone,
  kEpoch,          // a claim says the wrong epoch
  kExpiry,         // a lease is said to last a millisecond longer
  kCode,           // another worker's grant is said to be expired
  kDetails,        // a capability mismatch does not say what is missing
  kDuplicate,      // creating again is said to create
  kGrantExpiry,    // a grant is said to last longer
  kReclaimKind,    // a reclaim is said to be a first claim
  kRenewedExpiry,  // a renewal is counted from the old expiry
  kOverride,       // a fence in parts completes
  kStale,          // any fence suspends
  kMarked,         // what is marked already is said to be marked now
  kRevoked,        // a revocation names another lease
  kDelayed,        // a delayed resumption is said to be none
  kEligible,       // a claimed execution is shown as eligible
  kWorker,         // the owner is not shown
  kMismatchTime,   // a mismatch leaves no time
  kTtl,            // a ttl out of range is cut down and taken
};

constexpr Defect kDefects[] = {
    Defect::kEpoch,     Defect::kExpiry,      Defect::kCode,        Defect::kDetails,
    Defect::kDuplicate, Defect::kGrantExpiry, Defect::kReclaimKind, Defect::kRenewedExpiry,
    Defect::kOverride,  Defect::kStale,       Defect::kMarked,      Defect::kRevoked,
    Defect::kDelayed,   Defect::kEligible,    Defect::kWorker,      Defect::kMismatchTime,
    Defect::kTtl};

class FaultyLedger final : public ClaimLedger {
 public:
  FaultyLedger(ClaimLedger& right, Defect defect) : right_(right), defect_(defect) {}

  CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                ErrorDetails* details) noexcept override {
    CreateOutcome outcome = right_.CreateExecution(args, details);
    if (Has(Defect::kDuplicate)) outcome.status = CreateOutcome::Status::kWaiting;
    return outcome;
  }
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                               ErrorDetails* details) noexcept override {
    IssueGrantArgs with = args;
    if (Has(Defect::kTtl) && with.grant_ttl_ms > kMaxTtlMs) with.grant_ttl_ms = kMaxTtlMs;
    IssueOutcome outcome = right_.IssueClaimGrant(with, details);
    if (Has(Defect::kGrantExpiry)) outcome.expires_at.value += 1;
    if (Has(Defect::kDetails) && details != nullptr) details->clear();
    return outcome;
  }
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs& args) noexcept override {
    return right_.ClaimForWorker(args);
  }
  ClaimOutcome Claim(const ClaimArgs& args, ErrorDetails* details) noexcept override {
    ClaimOutcome outcome = right_.Claim(args, details);
    if (Has(Defect::kEpoch)) outcome.lease.fence.lease_epoch.value += 1;
    if (Has(Defect::kExpiry)) outcome.lease.expires_at.value += 1;
    if (Has(Defect::kCode) && outcome.error == ClaimError::kInvalidClaimGrant) {
      outcome.error = ClaimError::kClaimGrantExpired;
    }
    return outcome;
  }
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& args, ErrorDetails* details) noexcept override {
    return right_.ClaimResumed(args, details);
  }
  RenewOutcome Renew(const RenewArgs& args, ErrorDetails* details) noexcept override {
    RenewOutcome outcome = right_.Renew(args, details);
    if (Has(Defect::kRenewedExpiry)) outcome.expires_at.value += args.lease_ttl_ms;
    return outcome;
  }
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept override {
    MarkExpiredOutcome outcome = right_.MarkLeaseExpiredIfDue(id);
    if (Has(Defect::kMarked) && outcome.already == AlreadySatisfied::kAlreadyExpired) {
      outcome.already = AlreadySatisfied::kNo;
    }
    return outcome;
  }
  RevokeOutcome Revoke(const RevokeArgs& args, ErrorDetails* details) noexcept override {
    RevokeOutcome outcome = right_.Revoke(args, details);
    if (Has(Defect::kRevoked)) outcome.lease_id = {};
    return outcome;
  }
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs& args,
                                 ErrorDetails* details) noexcept override {
    return right_.IssueReclaimGrant(args, details);
  }
  ClaimOutcome Reclaim(const ReclaimArgs& args, ErrorDetails* details) noexcept override {
    ClaimOutcome outcome = right_.Reclaim(args, details);
    if (Has(Defect::kReclaimKind)) outcome.lease.kind = LeaseKind::kInitial;
    return outcome;
  }
  Outcome Suspend(const SuspendArgs& args, ErrorDetails* details) noexcept override {
    const Outcome outcome = right_.Suspend(args, details);
    if (!Has(Defect::kStale) || outcome.error != ClaimError::kStaleLease) return outcome;
    return {};
  }
  ResumeOutcome Resume(const ResumeArgs& args, ErrorDetails* details) noexcept override {
    ResumeOutcome outcome = right_.Resume(args, details);
    if (Has(Defect::kDelayed)) outcome.delayed = false;
    return outcome;
  }
  Outcome Complete(const CompleteArgs& args, ErrorDetails* details) noexcept override {
    CompleteArgs with = args;
    if (Has(Defect::kOverride) && right_.Complete(args).error == ClaimError::kPartialFenceTriple) {
      with.fence = OptionalFence();
      with.operator_override = true;
    }
    return right_.Complete(with, details);
  }
  std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept override {
    auto state = right_.Inspect(id);
    if (!state.has_value()) return state;
    if (Has(Defect::kEligible) && state->lifecycle_phase == "active") state->in_eligible = true;
    if (Has(Defect::kMismatchTime)) state->last_capability_mismatch_at.reset();
    return state;
  }
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) override {
    auto names = right_.InspectNames(id);
    if (names.has_value() && Has(Defect::kWorker)) names->current_worker_id.clear();
    return names;
  }
  void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                        std::span<IssueOutcome> outcomes) noexcept override {
    right_.IssueClaimGrants(args, outcomes);
  }
  void Claims(std::span<const ClaimArgs> args, std::span<ClaimOutcome> outcomes) noexcept override {
    right_.Claims(args, outcomes);
  }

 private:
  bool Has(Defect defect) const { return defect_ == defect; }

  ClaimLedger& right_;
  Defect defect_;
};

class FaultyEngine final : public Engine {
 public:
  explicit FaultyEngine(Defect defect) : defect_(defect) { BeginScenario(); }
  std::string kind() const override { return "faulty"; }
  std::string description() const override { return "faulty"; }
  ClaimLedger& ledger() override { return *ledger_; }
  std::int64_t Now() override { return right_.Now(); }
  void PassUntil(std::int64_t time) override { right_.PassUntil(time); }
  bool has_exact_time() const override { return true; }
  RawStore* store() override { return nullptr; }
  std::uint16_t partition_count() const override { return right_.partition_count(); }
  void BeginScenario() override {
    right_.BeginScenario();
    ledger_ = std::make_unique<FaultyLedger>(right_.ledger(), defect_);
  }

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
  EXPECT_GT(taken, 50u * 200 / 5);  // not all were rejections
}

TEST(Histories, SeedsDecide) {
  MemoryEngine engine;
  EXPECT_EQ(RunDifferential(engine, "", 7, 100).taken, RunDifferential(engine, "", 7, 100).taken);
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

TEST(Differences, AreThereForScenariosThatExist) {
  for (const Difference& difference : ReviewedDifferences()) {
    EXPECT_FALSE(Only(difference.scenario).name.empty());
    EXPECT_FALSE(difference.reason.empty());
  }
}

}  // namespace
}  // namespace ffgrant::claims_conformance
