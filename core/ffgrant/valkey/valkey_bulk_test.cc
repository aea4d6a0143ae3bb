// SPDX-License-Identifier: Apache-2.0
//
// Batches of which some calls fail, and the scheduler's choice among answers
// that are none.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

std::vector<Way> WaysInOrder(std::size_t count) {
  std::vector<Way> ways;
  for (std::size_t i = 0; i < count; ++i) ways.emplace_back(i + 1);
  std::sort(ways.begin(), ways.end(),
            [](const Way& a, const Way& b) { return a.execution.text() < b.execution.text(); });
  return ways;
}

// ---- batches -----------------------------------------------------------------------

class Batches : public ::testing::Test {
 protected:
  explicit Batches(std::size_t size = 40) : ways_(WaysInOrder(size)) {
    for (const Way& way : ways_) {
      rig_.Create(way);
      issues_.push_back(rig_.IssueArgs(way));
      claims_.push_back(rig_.ArgsFor(way));
    }
    // As left by a call before.
    IssueOutcome used;
    used.error = ClaimError::kLedgerFull;
    used.expires_at = {1};
    issued_.assign(size, used);
    ClaimOutcome claimed;
    claimed.error = ClaimError::kLedgerFull;
    claimed_.assign(size, claimed);
    rig_.commands.clear();
  }

  // Whether `function` was executed for the one at `i`.
  bool Executed(const std::string& function, std::size_t i) const {
    return rig_.server.Executions(function, std::string(ways_[i].execution.text())) != 0;
  }

  ScriptedLedger rig_;
  const std::vector<Way> ways_;
  std::vector<IssueGrantArgs> issues_;
  std::vector<ClaimArgs> claims_;
  std::vector<IssueOutcome> issued_;
  std::vector<ClaimOutcome> claimed_;
};

TEST_F(Batches, EachCallHasItsOwnEnd) {
  issues_[3].grant_ttl_ms = kMaxTtlMs + 1;
  issues_[5].execution_id = UnaskedId(kUnaskedIds[0]);
  const Way unknown(1000);
  issues_[7].execution_id = claims_[7].execution_id = unknown.execution.view();
  claims_[3].lease_ttl_ms = -kMaxTtlMs - 1;
  claims_[5].execution_id = UnaskedId(kUnaskedIds[1]);
  rig_.ledger->IssueClaimGrants(issues_, issued_);
  for (ClaimOutcome& before : claimed_) before.lease.fence.lease_epoch = {42};
  rig_.ledger->Claims(claims_, claimed_);
  for (std::size_t i = 0; i < issues_.size(); ++i) {
    const ClaimError expected = i == 3             ? ClaimError::kInvalidInput
                                : i == 5 || i == 7 ? ClaimError::kExecutionNotFound
                                                   : ClaimError::kNone;
    EXPECT_EQ(issued_[i].error, expected) << i;
    EXPECT_EQ(issued_[i].expires_at, TimestampMs{expected == ClaimError::kNone ? 9000 : 0}) << i;
    EXPECT_EQ(claimed_[i].error, expected) << i;
    EXPECT_EQ(
        claimed_[i].lease.fence,
        claimed_[i] ? (LeaseFence{ways_[i].lease_id, {1}, ways_[i].attempt_id}) : LeaseFence{})
        << i;
  }
}

TEST_F(Batches, WhatIsNotAnsweredIsUnknownAndWhatIsRefusedDidNotHappen) {
  rig_.ledger->IssueClaimGrants({&issues_[20], 20}, {&issued_[20], 20});
  struct Half {
    std::string function;
    std::size_t at;
    std::function<void(std::size_t)> run;  // four from a place on
    std::function<ClaimError(std::size_t)> error;
  };
  const Half kHalves[] = {
      {"ff_issue_claim_grant", 0,
       [&](std::size_t i) {
         rig_.ledger->IssueClaimGrants({&issues_[i], 4}, {&issued_[i], 4});
       },
       [&](std::size_t i) { return issued_[i].error; }},
      {"ff_claim_execution", 20,
       [&](std::size_t i) {
         rig_.ledger->Claims({&claims_[i], 4}, {&claimed_[i], 4});
       },
       [&](std::size_t i) { return claimed_[i].error; }},
  };
  for (const Half& half : kHalves) {
    const std::size_t at = half.at;
    const auto expect = [&](std::size_t first, const std::vector<ClaimError>& errors) {
      for (std::size_t i = 0; i < errors.size(); ++i) {
        EXPECT_EQ(half.error(at + first + i), errors[i]) << half.function << first + i;
        EXPECT_TRUE(errors[i] != ClaimError::kNone || Executed(half.function, at + first + i));
      }
    };
    constexpr ClaimError kOk = ClaimError::kNone;
    constexpr ClaimError kUnknown = ClaimError::kUnknownOutcome;
    rig_.Answer(half.function, "-NOPERM no permissions\r\n", 1, 1);
    half.run(at);
    expect(0, {kOk, ClaimError::kUnavailable, kOk, kOk});
    // With the connection goes all that is under way on it.
    rig_.Restore();
    rig_.Silence(half.function, 1, 1);
    half.run(at + 4);
    expect(4, {kOk, kUnknown, kUnknown, kUnknown});
    rig_.Restore();
    rig_.Answer(half.function, "+OK\r\n", 2, 1);
    half.run(at + 8);
    expect(8, {kOk, kOk, kUnknown, kUnknown});
    rig_.Restore();
    rig_.unplugged = true;
    half.run(at + 12);
    expect(12, std::vector<ClaimError>(4, ClaimError::kUnavailable));
    rig_.unplugged = false;
    half.run(at + 16);
    expect(16, std::vector<ClaimError>(4, kOk));
  }
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(issued_[i].expires_at.value, issued_[i] ? 9000 : 0) << i;
  }
}

TEST_F(Batches, ExpiriesAreThoseThatAreStoredOrElseTheServersTimeAndTheTtl) {
  const std::string kTime = Array({Bulk("1700000000"), Bulk("0")});
  constexpr std::int64_t kReckoned = 1'700'000'005'000;
  struct Case {
    std::string reply;
    std::int64_t expires_at;
  };
  const Case kCases[] = {
      {Bulk("1700000000001"), 1'700'000'000'001},
      {kNil, kReckoned},
      {kFault, kReckoned},
      {"-NOPERM no permissions\r\n", kReckoned},
      {Bulk("soon"), kReckoned},
      {":1700000000001\r\n", kReckoned},
      {"+1700000000001\r\n", kReckoned},
      {"*0\r\n", kReckoned},
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    rig_.Restore();
    rig_.Answer("TIME", kTime);
    rig_.Answer("grant_expires_at", kCases[i].reply);
    rig_.ledger->IssueClaimGrants({&issues_[2 * i], 2}, {&issued_[2 * i], 2});
    for (const std::size_t place : {2 * i, 2 * i + 1}) {
      EXPECT_EQ(issued_[place].error, ClaimError::kNone) << kCases[i].reply;
      EXPECT_EQ(issued_[place].expires_at, TimestampMs{kCases[i].expires_at}) << kCases[i].reply;
    }
  }
  // Neither.
  rig_.Restore();
  rig_.Answer("TIME", kFault);
  rig_.Answer("grant_expires_at", kNil);
  rig_.ledger->IssueClaimGrants({&issues_[30], 2}, {&issued_[30], 2});
  EXPECT_EQ(issued_[30].error, ClaimError::kNone);
  EXPECT_EQ(issued_[30].expires_at, TimestampMs{0});
  // Of one that was not issued, nothing is reckoned.
  rig_.Restore();
  rig_.Answer("TIME", kTime);
  rig_.ledger->IssueClaimGrants({&issues_[30], 1}, {&issued_[30], 1});
  EXPECT_EQ(issued_[30].error, ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(issued_[30].expires_at, TimestampMs{0});
}

// ---- the scheduler's choice --------------------------------------------------------

class Choices : public ::testing::Test {
 protected:
  static void FewPartitions(ValkeyLedgerOptions& options) {
    options.defaults.partitions.num_flow_partitions = 8;
  }
  static void ThreeCandidates(ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 3;
  }

  // `count` eligible executions in partition 7, and nothing elsewhere.
  void Start(std::size_t count, void (*change)(ValkeyLedgerOptions&) = FewPartitions) {
    rig_ = std::make_unique<ScriptedLedger>(change);
    ways_ = WaysInOrder(count);
    for (const Way& way : ways_) rig_->Create(way);
  }
  void Grant(std::size_t first, std::size_t count) {
    for (std::size_t i = first; i < first + count; ++i) {
      EXPECT_TRUE(rig_->ledger->IssueClaimGrant(rig_->IssueArgs(ways_[i])));
    }
  }
  ClaimForWorkerOutcome Choose(const CapabilitySet* offered = nullptr) {
    rig_->commands.clear();
    return rig_->ledger->ClaimForWorker(
        {.worker = rig_->worker, .lane = rig_->lane, .grant_ttl_ms = 5000, .offered = offered});
  }
  // The id that is chosen, or why there is none.
  std::string ChooseId(const CapabilitySet* offered = nullptr) {
    const ClaimForWorkerOutcome outcome = Choose(offered);
    return std::string(outcome ? outcome.grant.view().execution_id.text()
                               : ErrorName(outcome.error));
  }
  std::string IdAt(std::size_t i) const { return std::string(ways_[i].execution.text()); }
  // The ranges of partition 7's eligible set that were read, as "0 0 1 32".
  std::string Ranges() const {
    std::string ranges;
    for (const Words& command : rig_->commands) {
      if (command[0] != "ZRANGE" || command[1] != "ff:idx:{fp:7}:lane:main:eligible") continue;
      ranges += (ranges.empty() ? "" : " ") + command[2] + " " + command[3];
    }
    return ranges;
  }

  std::unique_ptr<ScriptedLedger> rig_;
  std::vector<Way> ways_;
};

TEST_F(Choices, TtlsThatNoServerMayGetAreRefused) {
  Start(1);
  for (const std::int64_t ttl : {kMaxTtlMs + 1, -kMaxTtlMs - 1, INT64_MAX, INT64_MIN}) {
    rig_->commands.clear();
    EXPECT_EQ(
        rig_->ledger
            ->ClaimForWorker({.worker = rig_->worker, .lane = rig_->lane, .grant_ttl_ms = ttl})
            .error,
        ClaimError::kInvalidInput);
    EXPECT_EQ(rig_->commands.size(), 0u);
  }
}

TEST_F(Choices, TheFirstWithoutAGrantIsTaken) {
  Start(40);
  for (const std::size_t granted : {0, 1, 35}) {
    if (granted > 0) Grant(granted == 1 ? 1 : 2, granted == 1 ? 0 : granted - 2);
    const ClaimForWorkerOutcome found = Choose();
    ASSERT_EQ(found.error, ClaimError::kNone) << granted;
    EXPECT_EQ(found.grant.view().execution_id, ways_[granted].execution.view()) << granted;
    EXPECT_EQ(found.grant.view().expires_at_ms, 9000u);
    EXPECT_EQ(Ranges(), granted == 0 ? "0 0" : granted == 1 ? "0 0 1 32" : "0 0 1 32 33 64");
  }
  Grant(36, 4);
  EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
}

TEST_F(Choices, NoMoreCandidatesAreLookedAtThanConfigured) {
  Start(4, ThreeCandidates);
  Grant(0, 3);
  EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
  EXPECT_EQ(Ranges(), "0 0 1 2");
  Start(2, [](ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 1;
  });
  Grant(0, 1);
  EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
  EXPECT_EQ(Ranges(), "0 0");
  // As many as are there, and as one range holds.
  Start(34, [](ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 33;
  });
  Grant(0, 33);
  EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
  EXPECT_EQ(Ranges(), "0 0 1 32");
}

TEST_F(Choices, OnlyWhatTheWorkerCanDoIsTaken) {
  CapabilitySet gpu;
  ASSERT_EQ(gpu.AssignOfferedCsv("gpu"), CapabilityError::kNone);
  Start(2);
  rig_->Answer("required_capabilities", Bulk("gpu"));
  EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
  EXPECT_EQ(ChooseId(&gpu), IdAt(0));
  rig_->Restore();
  // No field: nothing is required.
  rig_->Answer("required_capabilities", kNil);
  EXPECT_EQ(ChooseId(), IdAt(1));
}

TEST_F(Choices, AnIdOfAnotherSpellingIsPassedOver) {
  const std::string other(kUnaskedIds[0]);
  Start(2);
  rig_->Answer("ff:idx:{fp:7}:lane:main:eligible", Array({Bulk(other)}), 0, 1);
  EXPECT_EQ(ChooseId(), IdAt(1));
  Start(3);
  Grant(0, 1);
  rig_->Answer("ff:idx:{fp:7}:lane:main:eligible",
               Array({Bulk(other), Bulk(ways_[2].execution.text())}), 1, 1);
  EXPECT_EQ(ChooseId(), IdAt(2));
}

// What is asked of the head, and of those behind it.
const struct {
  std::string word;
  std::size_t place;
} kQuestions[] = {
    {"ff:idx:{fp:7}:lane:main:eligible", 0}, {"EXISTS", 0}, {"required_capabilities", 0},
    {"ff:idx:{fp:7}:lane:main:eligible", 1}, {"EXISTS", 1}, {"required_capabilities", 1},
};

// Neither that nothing is there, nor the end of the search.
TEST_F(Choices, AnErrorOfTheServerIsToldIfNothingElseIsFound) {
  for (const auto& [word, place] : kQuestions) {
    Start(2);
    if (place == 1) Grant(0, 1);
    // Of the head all; then what is behind it is granted.
    if (place == 0) Grant(1, 1);
    rig_->Answer(word, kFault, place, 1);
    EXPECT_EQ(Choose().error, ClaimError::kUnknownCode) << word << place;
  }
  Start(2);
  rig_->Answer("EXISTS", kFault, 0, 1);
  EXPECT_EQ(ChooseId(), IdAt(1));
  // Other partitions go on.
  Start(1);
  for (int partition = 0; partition < 7; ++partition) {
    rig_->Answer("ff:idx:{fp:" + std::to_string(partition) + "}:lane:main:eligible", kFault);
  }
  EXPECT_EQ(Choose().error, ClaimError::kNone);
  EXPECT_EQ(Choose().error, ClaimError::kUnknownCode);
}

TEST_F(Choices, WhatIsNoAnswerEndsTheSearch) {
  const std::vector<std::string> no_ranges = {":1\r\n",  "+OK\r\n",         kNil,
                                              Bulk("x"), Array({":1\r\n"}), Array({kNil})};
  for (const auto& [word, place] : kQuestions) {
    std::vector<std::string> replies = {"+OK\r\n", "*0\r\n"};
    if (word == "EXISTS") replies.insert(replies.end(), {Bulk("1"), kNil});
    if (word == "required_capabilities") replies.push_back(":1\r\n");
    if (word.starts_with("ff:idx")) {
      replies = no_ranges;
      replies.push_back(Array(std::vector<std::string>(place == 0 ? 2 : 33, Bulk("x"))));
    }
    for (const std::string& reply : replies) {
      Start(2);
      if (place == 1) Grant(0, 1);
      rig_->Answer(word, reply, place, 1);
      EXPECT_EQ(Choose().error, ClaimError::kUnavailable) << word << place << " " << reply;
      EXPECT_EQ(rig_->Count("ff_issue_claim_grant"), 0u);
    }
    Start(2);
    if (place == 1) Grant(0, 1);
    rig_->Silence(word, place);
    EXPECT_EQ(Choose().error, ClaimError::kUnavailable) << word << place;
  }
}

TEST_F(Choices, WhatBecomesOfTheGrantDecidesWhetherTheSearchGoesOn) {
  struct Case {
    std::string reply;  // empty: none comes
    ClaimError error;
    ClaimError of_all = ClaimError::kNoEligibleExecution;  // if it is of every one
  };
  const Case kCases[] = {
      {"", ClaimError::kUnknownOutcome},
      {"-NOPERM no permissions\r\n", ClaimError::kUnavailable},
      {RejectedReply("invalid_capabilities"), ClaimError::kInvalidCapabilities},
      // That one is passed over.
      {kFault, ClaimError::kNone, ClaimError::kUnknownCode},
      // Somebody was faster: the other one is taken.
      {RejectedReply("grant_already_exists"), ClaimError::kNone},
      {RejectedReply("execution_not_eligible"), ClaimError::kNone},
      {RejectedReply("capability_mismatch"), ClaimError::kNone},
  };
  for (const Case& c : kCases) {
    for (const std::size_t place : {0u, 1u}) {  // the head, or behind it
      Start(3);
      if (place == 1) Grant(0, 1);
      if (c.reply.empty()) {
        rig_->Silence("ff_issue_claim_grant", 0, 1);
      } else {
        rig_->Answer("ff_issue_claim_grant", c.reply, 0, 1);
      }
      const bool goes_on = c.error == ClaimError::kNone;
      EXPECT_EQ(ChooseId(), goes_on ? IdAt(place + 1) : ErrorName(c.error)) << c.reply;
      EXPECT_EQ(rig_->Count("ff_issue_claim_grant"), goes_on ? 2u : 1u) << c.reply;
      if (!goes_on) continue;
      // All of them: there is nothing.
      Start(3);
      rig_->Answer("ff_issue_claim_grant", c.reply);
      EXPECT_EQ(Choose().error, c.of_all) << c.reply;
    }
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
