// SPDX-License-Identifier: Apache-2.0
//
// Tests that a successful IssueGrantAndClaim() returns the lease that is stored, that FindClaim()
// says what is stored, and that a reply that can't be read is reported and never taken for
// something else.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

constexpr std::string_view kOther = "99999999-9999-4999-8999-999999999999";

std::string Nils(std::size_t count) { return Array(std::vector<std::string>(count, kNil)); }
// Returns a core in which every field is `element`.
std::string CoreOf(const std::string& element) {
  return Array(std::vector<std::string>(internal::kCoreFieldCount, element));
}

struct ReadFault {
  std::string what;
  std::function<void(ScriptedLedger&)> arm;
};

// Returns faults of single fields of the core with which its lease can't be read.
std::vector<ReadFault> UnreadableLeases() {
  std::vector<ReadFault> all;
  const struct {
    std::string field;
    std::vector<std::string> values;
  } kFields[] = {
      {"current_attempt_id", {"", "x"}},
      {"lease_expires_at", {"", "soon", "1e5"}},
      {"current_lease_epoch", {"", "x", "-1"}},
      {"current_attempt_index", {"", "x", "-1", "4294967296"}},
  };
  for (const auto& c : kFields) {
    for (const std::string& value : c.values) {
      all.push_back({c.field + "=" + value, [field = c.field, value](ScriptedLedger& rig) {
                       rig.server.given_fields[field] = Bulk(value);
                     }});
    }
  }
  return all;
}

// Returns replies to HMGET of the core that are no core.
std::vector<std::string> NoCores() {
  return {":1\r\n",
          "+OK\r\n",
          kNil,
          Bulk("x"),
          "*0\r\n",
          Nils(internal::kCoreFieldCount - 1),
          Nils(internal::kCoreFieldCount + 1),
          CoreOf(":1\r\n"),
          CoreOf("*0\r\n")};
}

// ---- grant and claim at once -----------------------------------------------------

TEST(IssueGrantAndClaim, HasTheLeaseThatIsStoredAfterOneRoundTrip) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.commands.clear();
  rig.server.given_fields["lease_expires_at"] = Bulk("1700000005000");
  ErrorDetails details;
  const ClaimOutcome claim = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way), &details);
  ASSERT_EQ(claim.error, ClaimError::kNone);
  EXPECT_EQ(claim.lease, (Lease{.fence = {way.lease_id, {1}, way.attempt_id},
                                .attempt_index = {0},
                                .expires_at = {1'700'000'005'000},
                                .kind = LeaseKind::kInitial}));
  EXPECT_EQ(details.size(), 0u);
  EXPECT_EQ(rig.commands.size(), 2u);
}

TEST(IssueGrantAndClaim, OfAnInterruptedAttemptIsItsResumption) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.server.given_fields["current_attempt_id"] = Bulk(kOther);
  rig.Answer("ff_issue_grant_and_claim", OkReply({NaiveUuidText(way.lease_id.uuid), "7", "2"}));
  const ClaimOutcome claim = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way));
  ASSERT_EQ(claim.error, ClaimError::kNone);
  EXPECT_EQ(claim.lease.kind, LeaseKind::kResumed);
  EXPECT_EQ(claim.lease.fence.attempt_id, AttemptId{ParseUuid(kOther, ParseMode::kStrict).uuid});
  EXPECT_EQ(claim.lease.fence.lease_epoch, LeaseEpoch{7});
  EXPECT_EQ(claim.lease.attempt_index, AttemptIndex{2});
  EXPECT_EQ(rig.Count("attempt_type"), 0u);
}

// The answer for a retry or a replay looks like that for a first claim.
TEST(IssueGrantAndClaim, OfALaterAttemptHasItsKind) {
  for (const LeaseKind kind : {LeaseKind::kRetry, LeaseKind::kReplay}) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.Answer("ff_issue_grant_and_claim", OkReply({NaiveUuidText(way.lease_id.uuid), "7", "2"}));
    rig.server.given_fields["attempt_type"] = Bulk(LeaseKindName(kind));
    const ClaimOutcome claim = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way));
    ASSERT_EQ(claim.error, ClaimError::kNone);
    EXPECT_EQ(claim.lease.kind, kind);
    EXPECT_EQ(claim.lease.fence, (LeaseFence{way.lease_id, {7}, way.attempt_id}));

    rig.Restore();
    const Way next(2);
    rig.Create(next);
    rig.Answer("ff_issue_grant_and_claim", OkReply({NaiveUuidText(next.lease_id.uuid), "7", "2"}));
    rig.Answer("attempt_type", kFault);
    ErrorDetails details;
    const ClaimOutcome unknown = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(next), &details);
    EXPECT_EQ(unknown.error, ClaimError::kUnknownOutcome);
    EXPECT_EQ(unknown.lease, Lease{});
    EXPECT_EQ(OnlyDetail(details), kFaultText);
  }
}

TEST(IssueGrantAndClaim, WhoseLeaseCantBeReadIsUnknownAndFoundOut) {
  std::vector<ReadFault> faults = UnreadableLeases();
  faults.push_back({"silence", [](ScriptedLedger& rig) { rig.Silence("lifecycle_phase"); }});
  for (const std::string& reply : NoCores()) {
    faults.push_back(
        {reply, [reply](ScriptedLedger& rig) { rig.Answer("lifecycle_phase", reply); }});
  }
  for (const std::string& reply : {kFault, std::string("-NOPERM no permissions\r\n"), Nils(27)}) {
    faults.push_back(
        {reply, [reply](ScriptedLedger& rig) { rig.Answer("lifecycle_phase", reply); }});
  }
  for (const std::string_view other : {kOther, std::string_view(), std::string_view("x")}) {
    faults.push_back({"another lease: " + std::string(other), [other](ScriptedLedger& rig) {
                        rig.server.given_fields["current_lease_id"] = Bulk(other);
                      }});
  }
  faults.push_back({"the lease of the next holder", [](ScriptedLedger& rig) {
                      rig.server.given_fields["current_lease_id"] = Bulk(kOther);
                      rig.server.given_fields["current_attempt_id"] = Bulk(kOther);
                      rig.server.given_fields["current_attempt_index"] = Bulk("1");
                      rig.server.given_fields["current_lease_epoch"] = Bulk("2");
                      rig.server.given_fields["lease_expires_at"] = Bulk("1700000005000");
                    }});
  for (const ReadFault& fault : faults) {
    for (const bool with_details : {true, false}) {
      ScriptedLedger rig;
      const Way way(1);
      rig.Create(way);
      fault.arm(rig);
      ErrorDetails details;
      const ClaimOutcome claim =
          rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way), with_details ? &details : nullptr);
      EXPECT_EQ(claim.error, ClaimError::kUnknownOutcome) << fault.what;
      EXPECT_EQ(claim.lease, Lease{}) << fault.what;
      EXPECT_EQ(OnlyDetail(details).empty(), !with_details) << fault.what;
      rig.Restore();
      const FoundClaim found = rig.ledger->FindClaim(way.execution.view(), way.lease_id);
      ASSERT_EQ(found.error, ClaimError::kNone) << fault.what;
      EXPECT_EQ(found.fate, ClaimFate::kHeld) << fault.what;
      EXPECT_EQ(found.lease.fence, (LeaseFence{way.lease_id, {1}, way.attempt_id}));
    }
  }
}

TEST(IssueGrantAndClaim, TellsWhyTheLeaseIsUnknown) {
  const struct {
    std::string reply;
    std::string detail;
  } kCases[] = {
      {kFault, kFaultText},
      {"-NOPERM no permissions\r\n", "NOPERM no permissions"},
      {":1\r\n", kMisfit},
      {Nils(27), "the lease is not the one that is stored"},
  };
  for (const auto& c : kCases) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.Answer("lifecycle_phase", c.reply);
    ErrorDetails details;
    EXPECT_EQ(rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way), &details).error,
              ClaimError::kUnknownOutcome);
    EXPECT_EQ(OnlyDetail(details), c.detail);
  }
}

// The core was read while the claim was waiting.
TEST(IssueGrantAndClaim, ThatWasRefusedForNowHasItsLeaseAllTheSame) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.server.refusals = {"TRYAGAIN Multiple keys request"};
  rig.server.given_fields["lease_expires_at"] = Bulk("1700000005000");
  const ClaimOutcome claim = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way));
  ASSERT_EQ(claim.error, ClaimError::kNone);
  EXPECT_EQ(claim.lease.expires_at, TimestampMs{1'700'000'005'000});

  const Way next(2);
  rig.Restore();
  rig.Create(next);
  rig.server.refusals = {"TRYAGAIN Multiple keys request"};
  rig.Answer("lifecycle_phase", kFault, 1);
  ErrorDetails details;
  const ClaimOutcome unknown = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(next), &details);
  EXPECT_EQ(unknown.error, ClaimError::kUnknownOutcome);
  EXPECT_EQ(OnlyDetail(details), kFaultText);
}

TEST(IssueGrantAndClaim, ThatIsRejectedHasNoLease) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  ASSERT_TRUE(rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way)));
  // The stored lease is the one that this call asks for.
  const ClaimOutcome again = rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way));
  EXPECT_EQ(again.error, ClaimError::kExecutionNotEligible);
  EXPECT_EQ(again.lease, Lease{});

  // The first command is refused for now, so that the core is read before the rejection.
  rig.server.refusals = {"TRYAGAIN Multiple keys request"};
  rig.commands.clear();
  EXPECT_EQ(rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way)).error,
            ClaimError::kExecutionNotEligible);
  EXPECT_EQ(rig.Count("lifecycle_phase"), 1u);
}

TEST(IssueGrantAndClaim, WithoutItsAnswerIsUnknownOrDidNotHappen) {
  const struct {
    std::string reply;  // empty: no reply comes
    ClaimError error;
    std::string detail;
  } kCases[] = {
      {"", ClaimError::kUnknownOutcome, "no reply in time"},
      {"+OK\r\n", ClaimError::kUnknownOutcome, kMisfit},
      {"-NOPERM no permissions\r\n", ClaimError::kUnavailable, "NOPERM no permissions"},
      {kFault, ClaimError::kUnknownOutcome, kFaultText},
  };
  for (const auto& c : kCases) {
    for (const bool with_details : {true, false}) {
      ScriptedLedger rig;
      const Way way(1);
      rig.Create(way);
      if (c.reply.empty()) {
        rig.Silence("ff_issue_grant_and_claim");
      } else {
        rig.Answer("ff_issue_grant_and_claim", c.reply);
      }
      // Whatever becomes of the read of the core, the claim's own result is reported.
      rig.Answer("lifecycle_phase", "-ERR of the core\r\n");
      ErrorDetails details;
      const ClaimOutcome claim =
          rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way), with_details ? &details : nullptr);
      EXPECT_EQ(claim.error, c.error) << c.reply;
      EXPECT_EQ(claim.lease, Lease{});
      EXPECT_EQ(OnlyDetail(details), with_details ? c.detail : "") << c.reply;
    }
  }
}

TEST(IssueGrantAndClaim, WithArgumentsThatNoServerMayGetIsNotSent) {
  ScriptedLedger rig;
  const Way way(1);
  ClaimArgs args = rig.ArgsFor(way);
  args.lease_ttl_ms = kMaxTtlMs + 1;
  ErrorDetails details;
  EXPECT_EQ(rig.ledger->IssueGrantAndClaim(args, &details).error, ClaimError::kInvalidInput);
  EXPECT_EQ(OnlyDetail(details), "lease_ttl_ms is out of range");
  args.lease_ttl_ms = 5000;
  for (const std::string_view id : kUnaskedIds) {
    args.execution_id = UnaskedId(id);
    EXPECT_EQ(rig.ledger->IssueGrantAndClaim(args, &details).error, ClaimError::kExecutionNotFound);
    EXPECT_EQ(details.size(), 0u);
  }
  EXPECT_EQ(rig.commands.size(), 0u);
}

// ---- what became of a claim --------------------------------------------------------

class FindClaimReplies : public ::testing::Test {
 protected:
  FindClaimReplies() {
    rig_.Create(way_);
    EXPECT_TRUE(rig_.ledger->IssueGrantAndClaim(rig_.ArgsFor(way_)));
    rig_.commands.clear();
  }

  FoundClaim Find(ErrorDetails* details = nullptr) {
    return rig_.ledger->FindClaim(way_.execution.view(), way_.lease_id, details);
  }

  ScriptedLedger rig_;
  const Way way_{1};
  const std::string lease_ = NaiveUuidText(way_.lease_id.uuid);
};

TEST_F(FindClaimReplies, IdsThatNoServerKnowsAreNotAskedFor) {
  for (const std::string_view id : kUnaskedIds) {
    ErrorDetails details;
    details.Add("from before");
    EXPECT_EQ(rig_.ledger->FindClaim(UnaskedId(id), way_.lease_id, &details).error,
              ClaimError::kExecutionNotFound);
    EXPECT_EQ(details.size(), 0u);
  }
  EXPECT_EQ(rig_.commands.size(), 0u);
}

TEST_F(FindClaimReplies, AnErrorOfTheServerIsNoFate) {
  const struct {
    std::string_view command;
    bool ended;  // whether the claim has ended when the command is sent; if not, it is held
  } kCases[] = {{"lifecycle_phase", false}, {"attempt_type", false}, {"XREVRANGE", true}};
  for (const auto& c : kCases) {
    for (const bool with_details : {true, false}) {
      rig_.Restore();
      if (c.ended) rig_.server.given_fields["current_lease_id"] = Bulk("");
      rig_.Answer(std::string(c.command), kFault);
      ErrorDetails details;
      const FoundClaim found = Find(with_details ? &details : nullptr);
      EXPECT_EQ(found.error, ClaimError::kUnknownCode) << c.command;
      EXPECT_EQ(found.fate, ClaimFate::kNotClaimed);
      EXPECT_EQ(found.lease, Lease{});
      EXPECT_EQ(OnlyDetail(details), with_details ? kFaultText : "") << c.command;
      EXPECT_EQ(rig_.network->connections(), 1u);
    }
  }
}

TEST_F(FindClaimReplies, WhatIsNoAnswerIsNoFate) {
  std::vector<ReadFault> faults = UnreadableLeases();
  for (const std::string& reply : NoCores()) {
    faults.push_back(
        {reply, [reply](ScriptedLedger& rig) { rig.Answer("lifecycle_phase", reply); }});
  }
  for (const std::string reply : {":1\r\n", "+initial\r\n", "*0\r\n"}) {
    faults.push_back({reply, [reply](ScriptedLedger& rig) { rig.Answer("attempt_type", reply); }});
  }
  const std::string event = Array({Bulk("event"), Bulk("acquired")});
  for (const std::string& reply :
       {std::string(":1\r\n"), kNil, Bulk("x"), Array({Bulk("x")}), Array({Array({Bulk("1-1")})}),
        Array({Array({Bulk("1-1"), event, event})}), Array({Array({Bulk("1-1"), Bulk("x")})})}) {
    faults.push_back({"history " + reply, [reply](ScriptedLedger& rig) {
                        rig.server.given_fields["current_lease_id"] = Bulk("");
                        rig.Answer("XREVRANGE", reply);
                      }});
  }
  for (const ReadFault& fault : faults) {
    rig_.Restore();
    fault.arm(rig_);
    ErrorDetails details;
    const FoundClaim found = Find(&details);
    EXPECT_EQ(found.error, ClaimError::kUnavailable) << fault.what;
    EXPECT_EQ(found.fate, ClaimFate::kNotClaimed) << fault.what;
    EXPECT_EQ(found.lease, Lease{}) << fault.what;
    EXPECT_EQ(OnlyDetail(details), kMisfit) << fault.what;
  }
}

TEST_F(FindClaimReplies, NoAnswerInTimeIsNoFate) {
  for (const std::string word : {"lifecycle_phase", "attempt_type", "XREVRANGE"}) {
    rig_.Restore();
    if (word == "XREVRANGE") rig_.server.given_fields["current_lease_id"] = Bulk("");
    rig_.Silence(word);
    ErrorDetails details;
    const FoundClaim found = Find(&details);
    EXPECT_EQ(found.error, ClaimError::kUnavailable) << word;
    EXPECT_EQ(OnlyDetail(details), "no reply in time") << word;
  }
}

TEST_F(FindClaimReplies, AHeldLeaseHasTheKindOfItsAttempt) {
  for (const LeaseKind kind :
       {LeaseKind::kInitial, LeaseKind::kRetry, LeaseKind::kReplay, LeaseKind::kReclaim}) {
    rig_.server.given_fields["attempt_type"] = Bulk(LeaseKindName(kind));
    const FoundClaim found = Find();
    ASSERT_EQ(found.error, ClaimError::kNone);
    EXPECT_EQ(found.fate, ClaimFate::kHeld);
    EXPECT_EQ(found.lease.kind, kind);
  }
  const struct {
    std::string reply;
    std::string detail;
  } kUnknown[] = {{Bulk("fallback"), "fallback"}, {Bulk("Retry"), "Retry"}};
  for (const auto& c : kUnknown) {
    rig_.server.given_fields["attempt_type"] = c.reply;
    ErrorDetails details;
    EXPECT_EQ(Find(&details).error, ClaimError::kUnknownCode);
    EXPECT_EQ(OnlyDetail(details), c.detail);
  }
  // The hash has no field attempt_type.
  rig_.server.given_fields["attempt_type"] = kNil;
  EXPECT_EQ(Find().error, ClaimError::kUnknownCode);
}

TEST_F(FindClaimReplies, ALeaseThatIsCurrentAndNotHeldHasEnded) {
  for (const std::string_view state : {"lease_expired_reclaimable", "lease_revoked", "unowned"}) {
    rig_.server.given_fields["ownership_state"] = Bulk(state);
    const FoundClaim found = Find();
    EXPECT_EQ(found.error, ClaimError::kNone);
    EXPECT_EQ(found.fate, ClaimFate::kEnded) << state;
  }
  EXPECT_EQ(rig_.Count("attempt_type"), 0u);
}

TEST_F(FindClaimReplies, TheHistoryTellsOfLeasesThatWere) {
  const struct {
    Words fields;
    ClaimFate fate;
  } kCases[] = {
      {{"event", "acquired", "lease_id", lease_}, ClaimFate::kEnded},
      {{"lease_id", lease_, "event", "acquired"}, ClaimFate::kEnded},
      {{"event", "reclaimed", "new_lease_id", lease_}, ClaimFate::kEnded},
      {{"event", "expired", "lease_id", lease_}, ClaimFate::kNotClaimed},
      {{"event", "acquired", "lease_id", std::string(kOther)}, ClaimFate::kNotClaimed},
      {{"event", "acquired", "attempt_id", lease_}, ClaimFate::kNotClaimed},
      {{"event", "acquired", "lease_id"}, ClaimFate::kNotClaimed},
      {{"lease_id", lease_}, ClaimFate::kNotClaimed},
      {{}, ClaimFate::kNotClaimed},
  };
  rig_.server.given_fields["current_lease_id"] = Bulk("");
  for (const auto& c : kCases) {
    std::vector<std::string> encoded;
    for (const std::string& word : c.fields) encoded.push_back(Bulk(word));
    const std::string before = Array(
        {Bulk("2-1"),
         Array({Bulk("event"), Bulk("acquired"), Bulk("lease_id"), Bulk(std::string(kOther))})});
    const std::string history = Array({before, Array({Bulk("1-1"), Array(encoded)})});
    rig_.Answer("XREVRANGE", history);
    const FoundClaim found = Find();
    EXPECT_EQ(found.error, ClaimError::kNone) << history;
    EXPECT_EQ(found.fate, c.fate) << history;
  }
}

TEST_F(FindClaimReplies, OfWhatIsNotThereNothingIsFound) {
  rig_.Answer("lifecycle_phase", Nils(27));
  EXPECT_EQ(Find().error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(rig_.Count("XREVRANGE"), 0u);
}

// A lost claim is remembered under a key that is made of its lease id. Whatever the id is, the key
// stands for this claim, and never for no claim or for every claim.
TEST(FindClaim, IsNotFinalForTheClaimThatWasLostAndOnlyForThatOne) {
  for (const std::uint8_t first : {std::uint8_t{0x00}, std::uint8_t{0xff}, std::uint8_t{0x5a}}) {
    ScriptedLedger rig;
    rig.server.forbidden = {"KILL"};  // so that the lost connection can't be shut
    const Way way(1);
    const Way other(2);
    rig.Create(way);
    rig.Create(other);
    ASSERT_TRUE(rig.ledger->IssueClaimGrant(rig.IssueArgs(way)));
    ClaimArgs args = rig.ArgsFor(way);
    std::array<std::uint8_t, 16> bytes = {};
    std::fill_n(bytes.begin(), 8, first);
    std::copy(bytes.begin(), bytes.end(), args.lease_id.uuid.bytes.begin());
    rig.Silence("ff_claim_execution");
    ASSERT_EQ(rig.ledger->Claim(args).error, ClaimError::kUnknownOutcome);
    rig.Restore();
    const FoundClaim lost = rig.ledger->FindClaim(way.execution.view(), args.lease_id);
    EXPECT_FALSE(lost.final) << int{first};
    const FoundClaim never_lost = rig.ledger->FindClaim(other.execution.view(), other.lease_id);
    ASSERT_TRUE(never_lost);
    EXPECT_TRUE(never_lost.final) << int{first};
    EXPECT_EQ(never_lost.fate, ClaimFate::kNotClaimed);
  }
}

// Whichever call creates the lease: while a lost command of that call may still arrive, nothing
// that is found is final. Once its connection has been shut, it is.
TEST(FindClaim, IsNotFinalForALostCallOfAnyKindThatCreatesALease) {
  using Lose = ClaimError (*)(ScriptedLedger & rig, const Way& way);
  const struct {
    std::string function;
    Lose lose;
  } kCases[] = {
      {"ff_claim_execution",
       [](ScriptedLedger& rig, const Way& way) {
         return rig.ledger->Claim(rig.ArgsFor(way)).error;
       }},
      {"ff_claim_execution",
       [](ScriptedLedger& rig, const Way& way) {
         const ClaimArgs args = rig.ArgsFor(way);
         ClaimOutcome outcome;
         rig.ledger->ClaimBatch({&args, 1}, {&outcome, 1});
         return outcome.error;
       }},
      {"ff_issue_grant_and_claim",
       [](ScriptedLedger& rig, const Way& way) {
         return rig.ledger->IssueGrantAndClaim(rig.ArgsFor(way)).error;
       }},
      {"ff_claim_resumed_execution",
       [](ScriptedLedger& rig, const Way& way) {
         return rig.ledger
             ->ClaimResumed({.execution_id = way.execution.view(),
                             .worker = rig.worker,
                             .lane = rig.lane,
                             .lease_id = way.lease_id,
                             .lease_ttl_ms = 5000})
             .error;
       }},
      {"ff_reclaim_execution",
       [](ScriptedLedger& rig, const Way& way) {
         return rig.ledger
             ->Reclaim({.execution_id = way.execution.view(),
                        .worker = rig.worker,
                        .lane = rig.lane,
                        .lease_id = way.lease_id,
                        .lease_ttl_ms = 5000,
                        .attempt_id = way.attempt_id})
             .error;
       }},
  };
  for (const auto& c : kCases) {
    for (const bool may_be_shut : {false, true}) {
      SCOPED_TRACE(c.function + (may_be_shut ? ", shut" : ", not shut"));
      ScriptedLedger rig;
      if (!may_be_shut) rig.server.forbidden = {"KILL"};
      const Way way(1);
      rig.Create(way);
      rig.Silence(c.function);
      EXPECT_EQ(c.lose(rig, way), ClaimError::kUnknownOutcome);
      rig.Restore();
      EXPECT_EQ(rig.Count(c.function), 1u);
      const FoundClaim found = rig.ledger->FindClaim(way.execution.view(), way.lease_id);
      ASSERT_TRUE(found) << ErrorName(found.error);
      EXPECT_EQ(found.final, may_be_shut);
      EXPECT_EQ(rig.Count("KILL"), 1u);
    }
  }
}

// Two connections of one ledger go to a cluster. The ledger's table is old: it doesn't name the
// node that has the execution by now. A claim that was sent on one of the connections is on its way
// to that node.
TEST(FindClaimInACluster, IsNotFinalIfANodeAnswersThatMayStillExecuteTheClaim) {
  const Way way(1);
  const std::string moved =
      "-MOVED " + std::to_string(HashSlot(way.execution.view().partition())) + " 127.0.0.1:2\r\n";
  ScriptedServer server;
  server.mode = "cluster";
  std::vector<ScriptedNetwork*> networks;
  ValkeyLedgerOptions options;
  options.connections = 2;
  options.client.servers = {{.host = "127.0.0.1", .port = 1}};
  options.client.request_timeout_ms = 200;
  options.client.connect_timeout_ms = 100;
  options.client.make_network = [&] {
    auto made = std::make_unique<ScriptedNetwork>(server);
    networks.push_back(made.get());
    return made;
  };
  ValkeyLedger ledger(options);
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
  const LaneIdView lane = ParseLaneId("main").lane;
  std::size_t asked = 0;  // the place in `networks` of the connection that is used
  ClaimError lost = ClaimError::kNone;
  bool is_moved = false;
  server.answer = [&](std::int64_t id, const Words& command) -> std::optional<std::string> {
    const std::uint16_t port = networks[asked]->endpoint(id).port;
    if (command[0] == "INFO") {
      return Bulk("redis_mode:cluster\r\nrole:master\r\nrun_id:run" + std::to_string(port) +
                  "\r\n");
    }
    if (command[0] == "CLUSTER") {
      return Array({Array({Integer(0), Integer(16383), Array({Bulk("127.0.0.1"), Integer(1)})})});
    }
    const bool has_key = command[0] == "FCALL" ? command[2] != "0"
                                               : command[0] == "HMGET" || command[0] == "XREVRANGE";
    if (has_key && is_moved && port == 1) return moved;
    if (asked == 1 && has_key) return "";  // the claim stays on its way
    if (command[0] != "FCALL" || command[1] != "ff_issue_claim_grant") return std::nullopt;
    // While this call uses one connection, another thread claims on the other connection.
    asked = 1;
    is_moved = true;
    std::thread([&] {
      lost = ledger
                 .Claim({.execution_id = way.execution.view(),
                         .worker = worker,
                         .lane = lane,
                         .lease_id = way.lease_id,
                         .lease_ttl_ms = 5000,
                         .attempt_id = way.attempt_id})
                 .error;
    }).join();
    asked = 0;
    return std::nullopt;
  };
  ASSERT_TRUE(ledger.CreateExecution({.execution_id = way.execution.view(), .lane = lane}));
  ASSERT_TRUE(ledger.IssueClaimGrant({.execution_id = way.execution.view(),
                                      .worker = worker,
                                      .lane = lane,
                                      .grant_ttl_ms = 5000}));
  ASSERT_EQ(lost, ClaimError::kUnknownOutcome);
  networks[1]->SetScript([&](Operation operation) -> Fault {
    const auto last = static_cast<std::int64_t>(networks[1]->connections());
    const bool refused = operation == Operation::kOpen && networks[1]->endpoint(last).port == 2;
    return refused ? Fault{Fault::Kind::kRefused} : Fault{};
  });
  const FoundClaim found = ledger.FindClaim(way.execution.view(), way.lease_id);
  ASSERT_TRUE(found) << ErrorName(found.error);
  EXPECT_EQ(found.fate, ClaimFate::kNotClaimed);
  EXPECT_FALSE(found.final);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
