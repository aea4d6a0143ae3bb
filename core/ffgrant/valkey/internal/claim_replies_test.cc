// SPDX-License-Identifier: Apache-2.0
//
// Tests every reader with answers that are right, with answers that can't be right, and with
// answers that no function gives.

#include "ffgrant/valkey/internal/claim_replies.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/naive/naive_uuid.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::internal {
namespace {

using testing::Array;
using testing::Bulk;
using testing::OkReply;
using testing::RejectedReply;
using testing::Words;

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
const std::string kLease = "22222222-2222-4222-8222-222222222222";
const std::string kAttempt = "33333333-3333-4333-8333-333333333333";
const std::string kOther = "44444444-4444-4444-8444-444444444444";

Uuid UuidOf(std::string_view text) { return ParseUuid(text, ParseMode::kStrict).uuid; }
const LeaseId kLeaseId = {UuidOf(kLease)};
const AttemptId kAttemptId = {UuidOf(kAttempt)};

// Makes the answer [1, word, fields...].
std::string Answer(std::string_view word, const Words& fields) {
  std::vector<std::string> all = {":1\r\n", Bulk(word)};
  for (const std::string& field : fields) all.push_back(Bulk(field));
  return Array(all);
}
std::string Duplicate(const Words& fields) { return Answer("DUPLICATE", fields); }
std::string Satisfied(const Words& fields) { return Answer("ALREADY_SATISFIED", fields); }

std::string Text(const Uuid& uuid) { return ffgrant::testing::NaiveUuidText(uuid); }
std::string Text(std::int64_t number) { return " " + std::to_string(number); }
std::string Text(const Outcome& outcome) { return std::string(ErrorName(outcome.error)); }

// Shows an outcome in one line.
std::string Shown(const Outcome& out) { return Text(out); }
std::string Shown(const CreateOutcome& out) {
  constexpr std::string_view kStatuses[] = {" waiting", " delayed", " duplicate"};
  return Text(out) + std::string(kStatuses[static_cast<int>(out.status)]);
}
std::string Shown(const IssueOutcome& out) { return Text(out) + Text(out.expires_at.value); }
std::string Shown(const RenewOutcome& out) { return Text(out) + Text(out.expires_at.value); }
std::string Shown(const ClaimOutcome& out) {
  const Lease& lease = out.lease;
  return Text(out) + " " + Text(lease.fence.lease_id.uuid) +
         Text(static_cast<std::int64_t>(lease.fence.lease_epoch.value)) + " " +
         Text(lease.fence.attempt_id.uuid) + Text(lease.attempt_index.value) +
         Text(lease.expires_at.value) + " " + std::string(LeaseKindName(lease.kind));
}
std::string Shown(const MarkExpiredOutcome& out) {
  return Text(out) + " " + std::string(ReasonWord(out.already));
}
std::string Shown(const RevokeOutcome& out) {
  return Text(out) + " " + std::string(ReasonWord(out.already)) + " " + Text(out.lease_id.uuid) +
         Text(static_cast<std::int64_t>(out.lease_epoch.value));
}
std::string Shown(const FailOutcome& out) {
  return Text(out) + (out.retried ? " retried" : "") + Text(out.delay_until.value);
}
std::string Shown(const ResumeOutcome& out) {
  return Text(out) + (out.delayed ? " delayed" : " waiting");
}

constexpr std::string_view kRefused = "refused";

// Returns what `read` makes of `bytes`: the outcome as text, or kRefused if `read` returns false.
// If `read` returns false, it must leave the outcome alone. A rejection writes only the error.
template <class Result, class Read>
std::string Taken(const std::string& bytes, const Read& read) {
  ReplyReader reader;
  reader.Feed(bytes);
  EXPECT_EQ(reader.Next(), ReplyReader::Status::kReply) << bytes;
  Result out;
  out.error = ClaimError::kLedgerFull;  // no answer has this error
  const std::string before = Shown(out);
  const bool taken = read(reader.reply(), out);
  if (!taken) {
    EXPECT_EQ(Shown(out), before) << bytes;
    return std::string(kRefused);
  }
  if (out.error != ClaimError::kNone) {
    Result rejected;
    rejected.error = out.error;
    EXPECT_EQ(Shown(out), Shown(rejected)) << bytes;
    return Text(out);
  }
  return Shown(out);
}

std::string Create(const std::string& bytes, ErrorDetails* details) {
  return Taken<CreateOutcome>(bytes, [&](const Reply& reply, CreateOutcome& out) {
    return ReadCreate(reply, ParseExecutionId(kId, ParseMode::kStrict).id, details, out);
  });
}
std::string Issue(const std::string& bytes, ErrorDetails* details) {
  return Taken<IssueOutcome>(bytes, [&](const Reply& reply, IssueOutcome& out) {
    return ReadIssue(reply, kId, false, details, out);
  });
}
std::string IssueReclaim(const std::string& bytes, ErrorDetails* details) {
  return Taken<IssueOutcome>(bytes, [&](const Reply& reply, IssueOutcome& out) {
    return ReadIssue(reply, kId, true, details, out);
  });
}
std::string Claim(const std::string& bytes, ErrorDetails* details) {
  return Taken<ClaimOutcome>(bytes, [&](const Reply& reply, ClaimOutcome& out) {
    return ReadClaim(reply, kLeaseId, kAttemptId, details, out);
  });
}
std::string ClaimResumed(const std::string& bytes, ErrorDetails* details) {
  return Taken<ClaimOutcome>(bytes, [&](const Reply& reply, ClaimOutcome& out) {
    return ReadClaim(reply, kLeaseId, std::nullopt, details, out);
  });
}
std::string IssueAndClaim(const std::string& bytes, ErrorDetails* details) {
  return Taken<ClaimOutcome>(bytes, [&](const Reply& reply, ClaimOutcome& out) {
    return ReadIssueAndClaim(reply, kLeaseId, kAttemptId, details, out);
  });
}
std::string Renew(const std::string& bytes, ErrorDetails* details) {
  return Taken<RenewOutcome>(
      bytes, [&](const Reply& reply, RenewOutcome& out) { return ReadRenew(reply, details, out); });
}
std::string MarkExpired(const std::string& bytes, ErrorDetails*) {
  return Taken<MarkExpiredOutcome>(bytes, [](const Reply& reply, MarkExpiredOutcome& out) {
    return ReadMarkExpired(reply, out);
  });
}
std::string Revoke(const std::string& bytes, ErrorDetails* details) {
  return Taken<RevokeOutcome>(bytes, [&](const Reply& reply, RevokeOutcome& out) {
    return ReadRevoke(reply, details, out);
  });
}
std::string Resume(const std::string& bytes, ErrorDetails* details) {
  return Taken<ResumeOutcome>(bytes, [&](const Reply& reply, ResumeOutcome& out) {
    return ReadResume(reply, details, out);
  });
}
std::string Failed(const std::string& bytes, ErrorDetails* details) {
  return Taken<FailOutcome>(
      bytes, [&](const Reply& reply, FailOutcome& out) { return ReadFail(reply, details, out); });
}
std::string Completed(const std::string& bytes, ErrorDetails* details) {
  return Taken<Outcome>(bytes, [&](const Reply& reply, Outcome& out) {
    return ReadWord(reply, "completed", details, out);
  });
}
std::string AnyWord(const std::string& bytes, ErrorDetails* details) {
  return Taken<Outcome>(
      bytes, [&](const Reply& reply, Outcome& out) { return ReadWord(reply, "", details, out); });
}

using Reader = std::string (*)(const std::string& bytes, ErrorDetails* details);

constexpr Reader kReaders[] = {Create,        Issue,     IssueReclaim, Claim,  ClaimResumed,
                               IssueAndClaim, Renew,     MarkExpired,  Revoke, Resume,
                               Failed,        Completed, AnyWord};

TEST(ClaimReplyReaders, WhatNoFunctionAnswersIsRefusedByAll) {
  const std::string id(kId);
  for (const std::string& bytes :
       {std::string("+OK\r\n"), std::string(":1\r\n"), std::string("$-1\r\n"), Bulk("OK"),
        std::string("*-1\r\n"), std::string("*0\r\n"), std::string("*1\r\n:1\r\n"),
        std::string("*1\r\n:0\r\n"),
        // The first element must be a number, 0 or 1.
        Array({Bulk("1"), Bulk("OK"), Bulk(id)}), Array({"$-1\r\n", Bulk("OK"), Bulk(id)}),
        Array({":2\r\n", Bulk("OK"), Bulk(id)}), Array({":-1\r\n", Bulk("stale_lease")}),
        // All other elements must be texts.
        Array({":1\r\n", "+OK\r\n", Bulk(id)}), Array({":1\r\n", Bulk("OK"), ":1\r\n"}),
        Array({":1\r\n", Bulk("OK"), Bulk(id), "$-1\r\n"}), Array({":0\r\n", ":1\r\n"}),
        Array({":0\r\n", Bulk("stale_lease"), "*0\r\n"}),
        // The word is one that no function answers, or the fields that must follow a word are
        // missing.
        Answer("ok", {id}), Answer("OK ", {id}), Answer("", {id}), Answer("stale_lease", {}),
        OkReply({}), Duplicate({}), Satisfied({})}) {
    for (const Reader read : kReaders) {
      ErrorDetails details;
      ASSERT_TRUE(details.Add("an earlier call's"));
      EXPECT_EQ(read(bytes, &details), kRefused) << bytes;
      if (read != MarkExpired) {
        EXPECT_EQ(details.size(), 0u) << bytes;
      }
    }
  }
}

TEST(ClaimReplyReaders, RejectionsAreTakenByAll) {
  const struct {
    std::string bytes;
    std::string_view error;
    std::vector<std::string_view> details;
  } kCases[] = {
      {RejectedReply("stale_lease"), "stale_lease", {}},
      {Array({":0\r\n", Bulk("max_retries_exhausted"), Bulk("3")}), "max_retries_exhausted", {"3"}},
      {Array({":0\r\n", Bulk("surprise"), Bulk("a"), Bulk("")}),
       "unknown_code",
       {"surprise", "a", ""}},
      {RejectedReply(""), "unknown_code", {""}},
      // The codes that only this side uses are unknown if a server sends them.
      {RejectedReply("unavailable"), "unknown_code", {"unavailable"}},
      {RejectedReply("none"), "unknown_code", {"none"}},
      {"-ERR user_function:1: attempt\r\n", "unknown_code", {"ERR user_function:1: attempt"}},
      {"-WRONGTYPE what\r\n", "unknown_code", {"WRONGTYPE what"}},
  };
  for (const auto& c : kCases) {
    for (const Reader read : kReaders) {
      ErrorDetails details;
      ASSERT_TRUE(details.Add("an earlier call's"));
      // A claim may have happened although its reply is an error.
      const bool claims = read == Claim || read == ClaimResumed || read == IssueAndClaim;
      const std::string_view error =
          claims && c.bytes.starts_with("-") ? "unknown_outcome" : c.error;
      EXPECT_EQ(read(c.bytes, &details), error) << c.bytes;
      EXPECT_EQ(read(c.bytes, nullptr), error) << c.bytes;
      if (read == MarkExpired) continue;
      ASSERT_EQ(details.size(), c.details.size()) << c.bytes;
      for (std::size_t i = 0; i < details.size(); ++i) EXPECT_EQ(details[i], c.details[i]);
    }
  }
}

TEST(ClaimReplyReaders, WhatOneTakesAndAnotherDoesNot) {
  const std::string id(kId);
  const std::string other_id = "{fp:7}:" + kOther;
  const std::string lease = kLease + " 3 " + kAttempt + " 2";
  const std::string none = Text(Uuid{});
  const struct {
    Reader read;
    std::string bytes;
    std::string expected;
  } kCases[] = {
      {Create, OkReply({id, "waiting"}), "none waiting"},
      {Create, OkReply({id, "delayed"}), "none delayed"},
      {Create, Duplicate({id}), "none duplicate"},
      {Create, Duplicate({other_id}), "refused"},
      {Create, OkReply({id}), "refused"},
      {Create, OkReply({id, "eligible"}), "refused"},
      {Create, OkReply({other_id, "waiting"}), "refused"},
      {Create, Satisfied({id, "waiting"}), "refused"},
      {Create, Satisfied({id, "delayed"}), "refused"},

      {Issue, OkReply({id}), "none 0"},
      {Issue, OkReply({other_id}), "refused"},
      {Issue, Duplicate({id}), "refused"},
      {Issue, Satisfied({id}), "refused"},
      {IssueReclaim, OkReply({id, "99"}), "none 99"},
      {IssueReclaim, OkReply({id, "-5"}), "none -5"},
      {IssueReclaim, OkReply({id}), "refused"},
      {IssueReclaim, OkReply({id, ""}), "refused"},
      {IssueReclaim, OkReply({id, "9 "}), "refused"},
      {IssueReclaim, OkReply({id, "+9"}), "refused"},
      {IssueReclaim, OkReply({id, "9223372036854775808"}), "refused"},
      {IssueReclaim, OkReply({other_id, "99"}), "refused"},
      {IssueReclaim, Duplicate({id, "99"}), "refused"},

      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "initial"}),
       "none " + lease + " 17 initial"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "retry"}), "none " + lease + " 17 retry"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "replay"}),
       "none " + lease + " 17 replay"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "resumed"}),
       "none " + lease + " 17 resumed"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "reclaim"}),
       "none " + lease + " 17 reclaim"},
      {Claim, OkReply({kOther, "3", "17", kAttempt, "2", "retry"}), "refused"},
      {Claim, OkReply({"no uuid", "3", "17", kAttempt, "2", "retry"}), "refused"},
      {Claim, OkReply({kLease, "-3", "17", kAttempt, "2", "retry"}), "refused"},
      {Claim, OkReply({kLease, "3", "soon", kAttempt, "2", "retry"}), "refused"},
      {Claim, OkReply({kLease, "3", "17", kOther, "2", "retry"}), "refused"},
      {Claim, OkReply({kLease, "3", "17", "", "2", "retry"}), "refused"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "4294967296", "retry"}), "refused"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2", "again"}), "refused"},
      {Claim, OkReply({kLease, "3", "17", kAttempt, "2"}), "refused"},
      {Claim, Duplicate({kLease, "3", "17", kAttempt, "2", "retry"}), "refused"},
      {Claim, Satisfied({kLease, "3", "17", kAttempt, "2", "retry"}), "refused"},
      // The claim keeps the execution's attempt, whichever it is, but there must be one.
      {ClaimResumed, OkReply({kLease, "3", "17", kAttempt, "2", "resumed"}),
       "none " + lease + " 17 resumed"},
      {ClaimResumed, OkReply({kLease, "3", "17", "no uuid", "2", "resumed"}), "refused"},
      {ClaimResumed, OkReply({kOther, "3", "17", kAttempt, "2", "resumed"}), "refused"},

      {IssueAndClaim, OkReply({kLease, "3", "2"}), "none " + lease + " 0 initial"},
      {IssueAndClaim, OkReply({kOther, "3", "2"}), "refused"},
      {IssueAndClaim, OkReply({kLease, "three", "2"}), "refused"},
      {IssueAndClaim, OkReply({kLease, "3", "-2"}), "refused"},
      {IssueAndClaim, OkReply({kLease, "3"}), "refused"},
      {IssueAndClaim, Duplicate({kLease, "3", "2"}), "refused"},

      {Renew, OkReply({"123"}), "none 123"},
      {Renew, OkReply({"soon"}), "refused"},
      {Renew, OkReply({"1e3"}), "refused"},
      {Renew, Duplicate({"123"}), "refused"},

      {MarkExpired, OkReply({"marked_expired"}), "none "},
      {MarkExpired, OkReply({"expired"}), "refused"},
      {MarkExpired, Duplicate({"marked_expired"}), "refused"},
      {MarkExpired, Satisfied({"unowned"}), "none unowned"},
      {MarkExpired, Satisfied({"marked_expired"}), "refused"},
      {MarkExpired, Satisfied({""}), "refused"},

      {Revoke, OkReply({"revoked", kLease, "5"}), "none  " + kLease + " 5"},
      {Revoke, OkReply({"removed", kLease, "5"}), "refused"},
      {Revoke, OkReply({"revoked", "no uuid", "5"}), "refused"},
      {Revoke, OkReply({"revoked", kLease, "five"}), "refused"},
      {Revoke, OkReply({"revoked", kLease}), "refused"},
      {Revoke, OkReply({"revoked"}), "refused"},
      {Revoke, Duplicate({"revoked", kLease, "5"}), "refused"},
      {Revoke, Satisfied({"already_revoked"}), "none already_revoked " + none + " 0"},
      {Revoke, Satisfied({"revoked", kLease, "5"}), "refused"},

      {Resume, OkReply({"waiting"}), "none waiting"},
      {Resume, OkReply({"delayed"}), "none delayed"},
      {Resume, OkReply({"suspended"}), "refused"},
      {Resume, Duplicate({"waiting"}), "refused"},

      {Failed, OkReply({"terminal_failed"}), "none 0"},
      {Failed, OkReply({"retry_scheduled", "1700"}), "none retried 1700"},
      {Failed, OkReply({"retry_scheduled", "1700.5"}), "none retried 1701"},
      {Failed, OkReply({"retry_scheduled", "-3.5"}), "none retried -3"},
      // A time that is very far away is stored by FlowFabric with an exponent.
      {Failed, OkReply({"retry_scheduled", "1.0017959396307e+15"}),
       "none retried 1001795939630700"},
      {Failed, OkReply({"retry_scheduled", "9.223372036854774784e18"}),
       "none retried 9223372036854774784"},
      {Failed, OkReply({"retry_scheduled", "9.223372036854775808e18"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "-9.223372036854775808e18"}),
       "none retried -9223372036854775808"},
      {Failed, OkReply({"retry_scheduled", "-9.223372036854777856e18"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "9223372036854775808"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1e19"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "-1e19"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "inf"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "nan"}), "refused"},
      {Failed, OkReply({"retry_scheduled", ""}), "refused"},
      {Failed, OkReply({"retry_scheduled", " 1.5"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1.5 "}), "refused"},
      {Failed, OkReply({"retry_scheduled", "+1.5"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1,5"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "0x1p3"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1.5e"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1e-999"}), "refused"},
      {Failed, OkReply({"retry_scheduled", "1." + std::string(62, '0')}), "refused"},
      {Failed, OkReply({"retry_scheduled"}), "refused"},
      {Failed, OkReply({"failed"}), "refused"},
      {Failed, Duplicate({"terminal_failed"}), "refused"},

      {Completed, OkReply({"completed"}), "none"},
      {Completed, OkReply({"cancelled"}), "refused"},
      {Completed, Duplicate({"completed"}), "refused"},
      {AnyWord, OkReply({"whatever"}), "none"},
      {AnyWord, OkReply({""}), "none"},
      {AnyWord, Duplicate({"whatever"}), "refused"},
  };
  for (const auto& c : kCases) {
    ErrorDetails details;
    EXPECT_EQ(c.read(c.bytes, &details), c.expected) << c.bytes;
    EXPECT_EQ(details.size(), 0u) << c.bytes;
  }
}

TEST(ClaimReplyReaders, Hints) {
  const auto fields = [](const Words& words) {
    std::vector<std::string> all;
    for (const std::string& word : words) all.push_back(word == "nil" ? "$-1\r\n" : Bulk(word));
    return Array(all);
  };
  // The fields are the lane, the attempt index, the worker instance, the waitpoint and the lane of
  // the last lease.
  const struct {
    std::string bytes;
    std::string expected;
  } kCases[] = {
      {fields({"main", "2", "i", "wp", "other"}), "none main 2 i wp other"},
      {fields({"main", "2", "i", "wp", ""}), "none main 2 i wp main"},
      {fields({"main", "nil", "nil", "nil", "nil"}), "none main 0   main"},
      {fields({"main", "", "", "", ""}), "none main 0   main"},
      {fields({"nil", "nil", "nil", "nil", "nil"}), "execution_not_found"},
      {"-WRONGTYPE what\r\n", "unknown_code"},
      {fields({"main", "2", "i", "wp"}), "refused"},
      {fields({"main", "2", "i", "wp", "other", "more"}), "refused"},
      {Array({Bulk("main"), ":2\r\n", Bulk("i"), Bulk("wp"), Bulk("other")}), "refused"},
      {Array({Bulk("main"), Bulk("2"), Bulk("i"), Bulk("wp"), "*0\r\n"}), "refused"},
      {"*0\r\n", "refused"},
      {"$4\r\nmain\r\n", "refused"},
  };
  for (const auto& c : kCases) {
    ReplyReader reader;
    reader.Feed(c.bytes);
    ASSERT_EQ(reader.Next(), ReplyReader::Status::kReply);
    CoreHints hints;
    hints.lane = "as it was";
    ClaimError error = ClaimError::kLedgerFull;
    const bool taken = ReadHints(reader.reply(), hints, error);
    std::string shown = taken ? std::string(ErrorName(error)) : std::string(kRefused);
    if (error == ClaimError::kNone) {
      shown += " " + hints.lane + Text(hints.attempt_index) + " " + hints.worker_instance_id + " " +
               hints.waitpoint_id + " " + hints.current_lane;
    } else {
      EXPECT_EQ(hints.lane, "as it was") << c.bytes;
    }
    EXPECT_EQ(shown, c.expected) << c.bytes;
    if (!taken) {
      EXPECT_EQ(error, ClaimError::kLedgerFull) << c.bytes;
    }
  }
}

// Calls readers, and keeps the texts that an answer leaves in the details.
class ClaimReplies : public ::testing::Test {
 protected:
  const Reply& Read(std::string_view bytes) {
    reader_.Reset();
    reader_.Feed(bytes);
    EXPECT_EQ(reader_.Next(), ReplyReader::Status::kReply) << bytes;
    return reader_.reply();
  }
  bool Claim(std::string_view bytes, ClaimOutcome& out) {
    return ReadClaim(Read(bytes), kLeaseId, kAttemptId, &details, out);
  }
  ErrorDetails details;

 private:
  ReplyReader reader_;
};

TEST_F(ClaimReplies, AClaimsAnswer) {
  ClaimOutcome out;
  ASSERT_TRUE(Claim(OkReply({kLease, "3", "1700000000000", kAttempt, "2", "retry"}), out));
  EXPECT_EQ(out.error, ClaimError::kNone);
  EXPECT_EQ(out.lease.fence, (LeaseFence{kLeaseId, {3}, kAttemptId}));
  EXPECT_EQ(out.lease.expires_at, TimestampMs{1'700'000'000'000});
  EXPECT_EQ(out.lease.attempt_index, AttemptIndex{2});
  EXPECT_EQ(out.lease.kind, LeaseKind::kRetry);
}

TEST_F(ClaimReplies, WhatIsNoAnswerToThisClaimIsTakenForNone) {
  for (const std::string& bytes :
       {OkReply({kAttempt, "3", "17", kAttempt, "2", "retry"}),  // a different lease
        OkReply({kLease, "3", "17", kLease, "2", "retry"}),      // a different attempt
        OkReply({kLease, "-3", "17", kAttempt, "2", "retry"}),
        OkReply({kLease, "3", "1.7e16", kAttempt, "2", "retry"}),
        OkReply({kLease, "3", "17", kAttempt, "4294967296", "retry"}),
        OkReply({kLease, "3", "17", kAttempt, "2", "Retry"}),
        OkReply({kLease, "3", "17", kAttempt, "2"}), OkReply({}),
        std::string("*2\r\n:1\r\n$9\r\nDUPLICATE\r\n"), std::string("*2\r\n:2\r\n$2\r\nOK\r\n"),
        std::string("*2\r\n$1\r\n1\r\n$2\r\nOK\r\n"), std::string("*1\r\n:0\r\n"),
        std::string("*2\r\n:0\r\n:1\r\n"), std::string("*0\r\n"), std::string("+OK\r\n"),
        std::string("$-1\r\n"), std::string(":1\r\n")}) {
    ClaimOutcome out;
    EXPECT_FALSE(Claim(bytes, out)) << bytes;
    EXPECT_EQ(out.error, ClaimError::kNone);
    EXPECT_EQ(out.lease, Lease{}) << bytes;
  }
}

TEST_F(ClaimReplies, EveryCodeOfTheContractIsAnErrorOfItsOwn) {
  int known = 0;
  for (int i = 1; i <= static_cast<int>(ClaimError::kUnavailable); ++i) {
    const auto error = static_cast<ClaimError>(i);
    if (!ClaimErrorFromCode(ErrorName(error))) continue;
    ++known;
    ClaimOutcome out;
    ASSERT_TRUE(Claim(RejectedReply(ErrorName(error)), out));
    EXPECT_EQ(out.error, error);
    EXPECT_EQ(details.size(), 0u);
  }
  EXPECT_EQ(known, 27);
}

TEST_F(ClaimReplies, UnknownCodesFaultsAndDetailsKeepTheirTexts) {
  ClaimOutcome out;
  ASSERT_TRUE(Claim("*4\r\n:0\r\n$8\r\nsurprise\r\n$1\r\na\r\n$0\r\n\r\n", out));
  EXPECT_EQ(out.error, ClaimError::kUnknownCode);
  ASSERT_EQ(details.size(), 3u);
  EXPECT_EQ(details[0], "surprise");
  EXPECT_EQ(details[1], "a");
  EXPECT_EQ(details[2], "");
  ASSERT_TRUE(Claim("-WRONGTYPE what\r\n", out));
  EXPECT_EQ(out.error, ClaimError::kUnknownOutcome);
  ASSERT_EQ(details.size(), 1u);
  EXPECT_EQ(details[0], "WRONGTYPE what");
  ASSERT_TRUE(
      Claim("*6\r\n:0\r\n$20\r\nexecution_not_active\r\n$7\r\nsuccess\r\n$1\r\n4\r\n"
            "$8\r\nterminal\r\n$1\r\nx\r\n",
            out));
  EXPECT_EQ(out.error, ClaimError::kExecutionNotActive);
  ASSERT_EQ(details.size(), 4u);
  EXPECT_EQ(details[2], "terminal");
  // A text that is too long is cut, not lost.
  ASSERT_TRUE(Claim("-" + std::string(6000, 'x') + "\r\n", out));
  EXPECT_EQ(details[0], std::string(512, 'x'));
}

TEST_F(ClaimReplies, TheOtherAnswers) {
  CreateOutcome create;
  ASSERT_TRUE(ReadCreate(Read(OkReply({std::string(kId), "delayed"})),
                         ParseExecutionId(kId, ParseMode::kStrict).id, nullptr, create));
  EXPECT_EQ(create.status, CreateOutcome::Status::kDelayed);
  ASSERT_TRUE(ReadCreate(Read(Array({":1\r\n", Bulk("DUPLICATE"), Bulk(kId)})),
                         ParseExecutionId(kId, ParseMode::kStrict).id, nullptr, create));
  EXPECT_EQ(create.status, CreateOutcome::Status::kDuplicate);
  EXPECT_FALSE(ReadCreate(Read(OkReply({"{fp:7}:other", "waiting"})),
                          ParseExecutionId(kId, ParseMode::kStrict).id, nullptr, create));

  IssueOutcome issue;
  ASSERT_TRUE(ReadIssue(Read(OkReply({std::string(kId), "99"})), kId, true, nullptr, issue));
  EXPECT_EQ(issue.expires_at, TimestampMs{99});
  EXPECT_FALSE(ReadIssue(Read(OkReply({std::string(kId)})), kId, true, nullptr, issue));
  ASSERT_TRUE(ReadIssue(Read(OkReply({std::string(kId)})), kId, false, nullptr, issue));

  ClaimOutcome fused;
  ASSERT_TRUE(
      ReadIssueAndClaim(Read(OkReply({kLease, "8", "1"})), kLeaseId, kAttemptId, nullptr, fused));
  EXPECT_EQ(fused.lease.fence.lease_epoch, LeaseEpoch{8});
  EXPECT_EQ(fused.lease.attempt_index, AttemptIndex{1});
  EXPECT_FALSE(
      ReadIssueAndClaim(Read(OkReply({kAttempt, "8", "1"})), kLeaseId, kAttemptId, nullptr, fused));

  MarkExpiredOutcome mark;
  for (const AlreadySatisfied reason :
       {AlreadySatisfied::kExecutionNotFound, AlreadySatisfied::kNotActive,
        AlreadySatisfied::kAlreadyExpired, AlreadySatisfied::kAlreadyRevoked,
        AlreadySatisfied::kUnowned, AlreadySatisfied::kNotYetExpired}) {
    ASSERT_TRUE(ReadMarkExpired(
        Read(Array({":1\r\n", Bulk("ALREADY_SATISFIED"), Bulk(ReasonWord(reason))})), mark));
    EXPECT_EQ(mark.already, reason);
  }
  RevokeOutcome revoke;
  ASSERT_TRUE(ReadRevoke(Read(OkReply({"revoked", kLease, "5"})), nullptr, revoke));
  EXPECT_EQ(revoke.lease_id, kLeaseId);
  EXPECT_EQ(revoke.lease_epoch, LeaseEpoch{5});
  ResumeOutcome resume;
  ASSERT_TRUE(ReadResume(Read(OkReply({"delayed"})), nullptr, resume));
  EXPECT_TRUE(resume.delayed);
  RenewOutcome renew;
  ASSERT_TRUE(ReadRenew(Read(OkReply({"123"})), nullptr, renew));
  EXPECT_EQ(renew.expires_at, TimestampMs{123});
  Outcome word;
  EXPECT_TRUE(ReadWord(Read(OkReply({"completed"})), "completed", nullptr, word));
  EXPECT_FALSE(ReadWord(Read(OkReply({"cancelled"})), "completed", nullptr, word));
}

TEST_F(ClaimReplies, Hints) {
  CoreHints hints;
  ClaimError error = ClaimError::kNone;
  ASSERT_TRUE(
      ReadHints(Read("*5\r\n$4\r\nmain\r\n$1\r\n2\r\n$1\r\ni\r\n$-1\r\n$0\r\n\r\n"), hints, error));
  EXPECT_EQ(error, ClaimError::kNone);
  EXPECT_EQ(hints.attempt_index, 2u);
  EXPECT_EQ(hints.current_lane, "main");
  ASSERT_TRUE(ReadHints(Read("*5\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"), hints, error));
  EXPECT_EQ(error, ClaimError::kExecutionNotFound);
  EXPECT_FALSE(ReadHints(Read("*1\r\n$4\r\nmain\r\n"), hints, error));
  EXPECT_FALSE(ReadHints(Read(":1\r\n"), hints, error));
}

}  // namespace
}  // namespace ffgrant::valkey::internal
