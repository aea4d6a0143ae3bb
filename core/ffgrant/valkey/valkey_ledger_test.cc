// SPDX-License-Identifier: Apache-2.0
//
// Tests what a call does with the answers to its further questions to the server: about a grant's
// expiry, the server's time, the names of keys, and a secret.

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

const std::string kTime = Array({Bulk("1700000000"), Bulk("123999")});
constexpr std::int64_t kTimeMs = 1'700'000'000'123;

// Returns answers to TIME that tell no time.
std::vector<std::string> NoTimes() {
  std::vector<std::string> all = {kFault, ":1\r\n", "*0\r\n", Bulk("1700000000"),
                                  Array({Bulk("1700000000")})};
  for (const std::string_view seconds :
       {"", "x", "-1", "50000000001", "9223372036854775807", "9223372036854775808"}) {
    all.push_back(Array({Bulk(seconds), Bulk("0")}));
  }
  for (const std::string_view micros : {"", "x", "-1", "1000000", "9223372036854775807"}) {
    all.push_back(Array({Bulk("1700000000"), Bulk(micros)}));
  }
  return all;
}

// ---- a grant's expiry --------------------------------------------------------------

TEST(IssueClaimGrantReplies, HaveTheExpiryThatIsStoredOrElseTheServersTimeAndTheTtl) {
  struct Case {
    std::string reply;  // empty: no reply comes
    std::int64_t expires_at;
  };
  const Case kCases[] = {
      {Bulk("1700000000001"), 1'700'000'000'001},
      {kNil, kTimeMs + 5000},
      {kFault, kTimeMs + 5000},
      {"-NOPERM no permissions\r\n", kTimeMs + 5000},
      {Bulk(""), kTimeMs + 5000},
      {Bulk("soon"), kTimeMs + 5000},
      {":1700000000001\r\n", kTimeMs + 5000},
      {"+1700000000001\r\n", kTimeMs + 5000},
      {"*0\r\n", kTimeMs + 5000},
      {"", 0},  // the call has no time left then
  };
  for (const Case& c : kCases) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.Answer("TIME", kTime);
    if (c.reply.empty()) {
      rig.Silence("grant_expires_at");
    } else {
      rig.Answer("grant_expires_at", c.reply);
    }
    ErrorDetails details;
    const IssueOutcome issued = rig.ledger->IssueClaimGrant(rig.IssueArgs(way), &details);
    EXPECT_EQ(issued.error, ClaimError::kNone) << c.reply;
    EXPECT_EQ(issued.expires_at, TimestampMs{c.expires_at}) << c.reply;
    EXPECT_EQ(details.size(), 0u);
  }
}

TEST(IssueClaimGrantReplies, HaveNoExpiryWhereNeitherItNorTheTimeCanBeRead) {
  for (const std::string& reply : NoTimes()) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.Answer("grant_expires_at", kNil);
    rig.Answer("TIME", reply);
    const IssueOutcome issued = rig.ledger->IssueClaimGrant(rig.IssueArgs(way));
    EXPECT_EQ(issued.error, ClaimError::kNone) << reply;
    EXPECT_EQ(issued.expires_at, TimestampMs{0}) << reply;
  }
  for (const auto& [seconds, micros, time_ms] :
       {std::tuple<std::string_view, std::string_view, std::int64_t>{"0", "999", 0},
        {"0", "0", 0},
        {"50000000000", "999999", 50'000'000'000'999}}) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.Answer("grant_expires_at", kNil);
    rig.Answer("TIME", Array({Bulk(seconds), Bulk(micros)}));
    EXPECT_EQ(rig.ledger->IssueClaimGrant(rig.IssueArgs(way)).expires_at,
              TimestampMs{time_ms + 5000});
  }
}

// The grant that is there while this call waits belongs to another call.
TEST(IssueClaimGrantReplies, HaveNoExpiryThatWasReadBeforeTheGrant) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.server.refusals = {"TRYAGAIN Multiple keys request"};
  rig.Answer("grant_expires_at", Bulk("77"));
  rig.Answer("TIME", kTime);
  const IssueOutcome issued = rig.ledger->IssueClaimGrant(rig.IssueArgs(way));
  EXPECT_EQ(issued.error, ClaimError::kNone);
  EXPECT_EQ(issued.expires_at, TimestampMs{kTimeMs + 5000});
}

TEST(IssueClaimGrantReplies, OfAGrantThatWasNotIssuedHaveNoExpiry) {
  struct Case {
    std::string reply;  // empty: no reply comes
    ClaimError error;
    std::string detail;
  };
  const Case kCases[] = {
      {"", ClaimError::kUnknownOutcome, "no reply in time"},
      {"+OK\r\n", ClaimError::kUnknownOutcome, kMisfit},
      {"-NOPERM no permissions\r\n", ClaimError::kUnavailable, "NOPERM no permissions"},
      {RejectedReply("grant_already_exists"), ClaimError::kGrantAlreadyExists, ""},
  };
  for (const Case& c : kCases) {
    for (const bool with_details : {true, false}) {
      ScriptedLedger rig;
      const Way way(1);
      rig.Create(way);
      if (c.reply.empty()) {
        rig.Silence("ff_issue_claim_grant");
      } else {
        rig.Answer("ff_issue_claim_grant", c.reply);
      }
      ErrorDetails details;
      const IssueOutcome issued =
          rig.ledger->IssueClaimGrant(rig.IssueArgs(way), with_details ? &details : nullptr);
      EXPECT_EQ(issued.error, c.error) << c.reply;
      EXPECT_EQ(issued.expires_at, TimestampMs{0}) << c.reply;
      EXPECT_EQ(OnlyDetail(details), with_details ? c.detail : "") << c.reply;
      EXPECT_EQ(rig.Count("TIME"), 0u);
    }
  }
}

// ---- the server's time -------------------------------------------------------------

TEST(ServerTime, ThatCantBeReadEndsTheCallsThatNeedIt) {
  for (const std::string& reply : NoTimes()) {
    ScriptedLedger rig;
    const Way way(1);
    const ExecutionIdView id = way.execution.view();
    rig.Answer("TIME", reply);
    ErrorDetails details;
    EXPECT_EQ(
        rig.ledger
            ->CreateExecution({.execution_id = id, .lane = rig.lane, .delay_until = TimestampMs{1}},
                              &details)
            .error,
        ClaimError::kUnavailable)
        << reply;
    EXPECT_EQ(OnlyDetail(details), kMisfit);
    bool promoted = true;
    EXPECT_EQ(rig.ledger->PromoteDelayedIfDue(id, rig.lane, promoted, &details).error,
              ClaimError::kUnavailable)
        << reply;
    EXPECT_FALSE(promoted);
    EXPECT_EQ(rig.Count("ff_create_execution") + rig.Count("ff_promote_delayed"), 0u);
  }
}

TEST(ServerTime, DecidesWhetherWhatIsDelayedIsDue) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Answer("TIME", kTime);
  rig.Answer("ff_promote_delayed", OkReply({"promoted"}), 0, 1);
  rig.Answer("ff_promote_delayed", RejectedReply("execution_not_found"), 1, 1);
  bool promoted = false;
  EXPECT_TRUE(rig.ledger->PromoteDelayedIfDue(way.execution.view(), rig.lane, promoted));
  EXPECT_TRUE(promoted);
  ASSERT_EQ(rig.Count(std::to_string(kTimeMs)), 1u);
  EXPECT_EQ(rig.ledger->PromoteDelayedIfDue(way.execution.view(), rig.lane, promoted).error,
            ClaimError::kExecutionNotFound);
  EXPECT_FALSE(promoted);
}

// ---- the names of keys -------------------------------------------------------------

struct HintedCall {
  std::string function;
  std::function<ClaimError(ValkeyLedger&, const ExecutionIdView&, ErrorDetails*)> call;
};

std::vector<HintedCall> HintedCalls() {
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
  const LaneIdView lane = ParseLaneId("main").lane;
  return {
      {"ff_claim_resumed_execution",
       [=](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger
             .ClaimResumed({.execution_id = id,
                            .worker = worker,
                            .lane = lane,
                            .lease_id = {},
                            .lease_ttl_ms = 5000},
                           details)
             .error;
       }},
      {"ff_revoke_lease",
       [](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger.Revoke({.execution_id = id}, details).error;
       }},
      {"ff_reclaim_execution",
       [=](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger
             .Reclaim({.execution_id = id,
                       .worker = worker,
                       .lane = lane,
                       .lease_id = {},
                       .lease_ttl_ms = 5000,
                       .attempt_id = {}},
                      details)
             .error;
       }},
      {"ff_suspend_execution",
       [](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger.Suspend({.execution_id = id, .fence = {}}, details).error;
       }},
      {"ff_resume_execution",
       [](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger.Resume({.execution_id = id}, details).error;
       }},
      {"ff_complete_execution",
       [](ValkeyLedger& ledger, const ExecutionIdView& id, ErrorDetails* details) {
         return ledger.Complete({.execution_id = id, .fence = {}}, details).error;
       }},
  };
}

TEST(KeyNames, ThatCantBeReadEndTheCallBeforeItIsMade) {
  struct Case {
    std::function<void(ScriptedLedger&)> arm;
    ClaimError error;
    std::string detail;
  };
  std::vector<Case> cases = {
      {[](ScriptedLedger& rig) { rig.Answer("current_waitpoint_id", kFault); },
       ClaimError::kUnknownCode, kFaultText},
      {[](ScriptedLedger& rig) { rig.Answer("current_waitpoint_id", "-NOPERM no\r\n"); },
       ClaimError::kUnavailable, "NOPERM no"},
      {[](ScriptedLedger& rig) { rig.Silence("current_waitpoint_id"); }, ClaimError::kUnavailable,
       "no reply in time"},
      {[](ScriptedLedger& rig) { rig.Answer("current_waitpoint_id", ":1\r\n"); },
       ClaimError::kUnavailable, kMisfit},
      {[](ScriptedLedger& rig) { rig.server.given_fields["lane_id"] = kNil; },
       ClaimError::kExecutionNotFound, ""},
  };
  // The names of keys contain the index. With a wrong index they would name another attempt's keys.
  for (const std::string index : {"x", "-1", "1.0", "4294967296"}) {
    cases.push_back({[index](ScriptedLedger& rig) {
                       rig.server.given_fields["current_attempt_index"] = Bulk(index);
                     },
                     ClaimError::kUnavailable, kMisfit});
  }
  for (const HintedCall& hinted : HintedCalls()) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      for (const bool with_details : {true, false}) {
        ScriptedLedger rig;
        const Way way(1);
        rig.Create(way);
        cases[i].arm(rig);
        ErrorDetails details;
        EXPECT_EQ(hinted.call(*rig.ledger, way.execution.view(), with_details ? &details : nullptr),
                  cases[i].error)
            << hinted.function << " " << i;
        EXPECT_EQ(OnlyDetail(details), with_details ? cases[i].detail : "")
            << hinted.function << " " << i;
        EXPECT_EQ(rig.Count(hinted.function), 0u) << i;
      }
    }
    ScriptedLedger rig;
    for (const std::string_view id : kUnaskedIds) {
      EXPECT_EQ(hinted.call(*rig.ledger, UnaskedId(id), nullptr), ClaimError::kExecutionNotFound);
    }
    EXPECT_EQ(rig.commands.size(), 0u) << hinted.function;
  }
}

// Before the first attempt there is no index; the call is sent, and the server rejects it.
TEST(KeyNames, WithoutAnAttemptYetAreThoseOfTheFirst) {
  for (const std::string& index : {Bulk(""), kNil, Bulk("0")}) {
    ScriptedLedger rig;
    const Way way(1);
    rig.Create(way);
    rig.server.given_fields["current_attempt_index"] = index;
    const LeaseFence fence = {way.lease_id, {1}, way.attempt_id};
    EXPECT_EQ(rig.ledger->Complete({.execution_id = way.execution.view(), .fence = fence}).error,
              ClaimError::kStaleLease);
    EXPECT_EQ(rig.Count("ff:attempt:{fp:7}:" + std::string(way.execution.text()) + ":0"), 1u);
  }
}

TEST(CallsOfIdsThatNoServerKnows, AreNotMade) {
  ScriptedLedger rig;
  for (const std::string_view text : kUnaskedIds) {
    const ExecutionIdView id = UnaskedId(text);
    const MarkExpiredOutcome marked = rig.ledger->MarkLeaseExpiredIfDue(id);
    EXPECT_EQ(marked.error, ClaimError::kNone);
    EXPECT_EQ(marked.already, AlreadySatisfied::kExecutionNotFound);
    bool promoted = true;
    EXPECT_EQ(rig.ledger->PromoteDelayedIfDue(id, rig.lane, promoted).error,
              ClaimError::kExecutionNotFound);
    EXPECT_FALSE(promoted);
  }
  EXPECT_EQ(rig.commands.size(), 0u);
}

// ---- a secret ----------------------------------------------------------------------

TEST(WaitpointSecret, IsHexOrIsRefused) {
  const auto make = [](const std::string& secret) {
    ValkeyLedgerOptions options;
    options.waitpoint_secret_hex = secret;
    const ValkeyLedger ledger(options);
  };
  for (const std::string secret : {"", "00", "09afAF", "00ff00ff"}) EXPECT_NO_THROW(make(secret));
  for (const std::string secret :
       {"0", "00f", "0g", "G0", "/0", "0:", "@0", "0`", "0x00", " 00 "}) {
    EXPECT_THROW(make(secret), std::invalid_argument) << secret;
  }
  EXPECT_THROW(make(std::string("0\0", 2)), std::invalid_argument);
}

TEST(WaitpointSecret, IsInstalledOnceWhereThereIsOneToInstall) {
  const std::string kNoSecret = RejectedReply("hmac_secret_not_initialized");
  const std::string kInstall = "ff_rotate_waitpoint_hmac_secret";
  struct Case {
    bool has_secret;
    std::string first;    // the answer to the first suspension
    std::string install;  // the answer to the installation; empty: no reply comes
    ClaimError error;
    std::size_t installs;
    std::size_t suspensions;
  };
  const std::string ok = OkReply({"suspended"});
  const Case kCases[] = {
      {false, ok, ok, ClaimError::kNone, 0, 1},
      {true, ok, ok, ClaimError::kNone, 0, 1},
      {true, RejectedReply("stale_lease"), ok, ClaimError::kStaleLease, 0, 1},
      {false, kNoSecret, ok, ClaimError::kUnknownCode, 0, 1},
      {true, kNoSecret, ok, ClaimError::kNone, 1, 2},
      {true, kNoSecret, kFault, ClaimError::kUnknownCode, 1, 1},
      {true, kNoSecret, "", ClaimError::kUnknownOutcome, 1, 1},
  };
  for (std::size_t i = 0; i < std::size(kCases); ++i) {
    const Case& c = kCases[i];
    ScriptedLedger rig(
        c.has_secret ? +[](ValkeyLedgerOptions& options) { options.waitpoint_secret_hex = "00ff"; }
                     : nullptr);
    const Way way(1);
    rig.Create(way);
    rig.Answer("ff_suspend_execution", c.first, 0, 1);
    rig.Answer("ff_suspend_execution", ok, 1);
    if (c.install.empty()) {
      rig.Silence(kInstall);
    } else {
      rig.Answer(kInstall, c.install);
    }
    ErrorDetails details;
    EXPECT_EQ(
        rig.ledger->Suspend({.execution_id = way.execution.view(), .fence = {}}, &details).error,
        c.error)
        << i;
    EXPECT_EQ(rig.Count(kInstall), c.installs) << i;
    EXPECT_EQ(rig.Count("ff_suspend_execution"), c.suspensions) << i;
    if (c.first == kNoSecret && !c.has_secret) {
      EXPECT_EQ(OnlyDetail(details), "hmac_secret_not_initialized");
    }
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
