// SPDX-License-Identifier: Apache-2.0
//
// Compares the KEYS and ARGV that claim_commands.h writes with texts that are spelled out here.

#include "ffgrant/valkey/internal/claim_commands.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::internal {
namespace {

using testing::Words;

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
const std::string kExec = "ff:exec:{fp:7}:" + std::string(kId);
const std::string kAttempt = "ff:attempt:{fp:7}:" + std::string(kId);
const std::string kIndex = "ff:idx:{fp:7}";
const std::string kLane = kIndex + ":lane:main";
constexpr std::string_view kLease = "22222222-2222-4222-8222-222222222222";
constexpr std::string_view kAttemptId = "33333333-3333-4333-8333-333333333333";

ExecutionIdView Id() { return ParseExecutionId(kId, ParseMode::kStrict).id; }
LaneIdView Lane() { return ParseLaneId("main").lane; }
Uuid UuidOf(std::string_view text) { return ParseUuid(text, ParseMode::kStrict).uuid; }
WorkerIdentity TheWorker() { return {{"w1"}, {"w1-i1"}}; }
CoreHints Hints() {
  CoreHints hints;
  hints.attempt_index = 2;
  hints.lane = "main";
  hints.current_lane = "other";
  hints.worker_instance_id = "w0-i0";
  hints.waitpoint_id = "wp";
  return hints;
}

Words Written(const std::function<void(RespCommand&)>& write) {
  std::string bytes;
  RespCommand command(bytes);
  write(command);
  const std::vector<Words> commands = testing::TakeCommands(bytes);
  EXPECT_EQ(bytes, "");
  EXPECT_EQ(commands.size(), 1u);
  return commands.empty() ? Words() : commands[0];
}

void ExpectCall(const std::function<void(RespCommand&)>& write, const std::string& function,
                const Words& keys, const Words& args) {
  Words expected = {"FCALL", function, std::to_string(keys.size())};
  expected.insert(expected.end(), keys.begin(), keys.end());
  expected.insert(expected.end(), args.begin(), args.end());
  EXPECT_EQ(Written(write), expected) << function;
}

TEST(ClaimCommands, Create) {
  std::string scratch;
  ClaimDefaults defaults;
  CreateExecutionArgs args = {.execution_id = Id(), .lane = Lane(), .priority = 5};
  const Words keys = {kExec + ":core",
                      kExec + ":payload",
                      kExec + ":policy",
                      kExec + ":tags",
                      kLane + ":eligible",
                      "ff:noop:{fp:7}",
                      kIndex + ":execution_deadline",
                      kIndex + ":all_executions"};
  ExpectCall([&](RespCommand& c) { WriteCreate(c, args, {.payload = "p"}, defaults, scratch); },
             "ff_create_execution", keys,
             {std::string(kId), "default", "main", "task", "5", "ffgrant", "{}", "p", "", "", "{}",
              "", "7"});
  const ExecutionContent content = {.kind = "resize", .tags_json = R"({"a":"b"})"};
  CreateExecutionArgs retried = args;
  retried.retry =
      RetryPolicy{.max_retries = 2, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 500};
  ExpectCall([&](RespCommand& c) { WriteCreate(c, retried, content, defaults, scratch); },
             "ff_create_execution", keys,
             {std::string(kId), "default", "main", "resize", "5", "ffgrant",
              R"({"priority":0,"retry_policy":{"max_retries":2,"backoff":{"type":"fixed",)"
              R"("delay_ms":500},"retryable_categories":[]},"max_reclaim_count":100,)"
              R"("max_replay_count":10,"budget_ids":[],"max_signals_per_execution":10000})",
              "", "", "", R"({"a":"b"})", "", "7"});

  CapabilitySet required;
  const std::string_view tokens[] = {"b\"\\", "a"};
  ASSERT_EQ(required.AssignRequired(tokens), CapabilityError::kNone);
  args.required = &required;
  args.max_reclaim_count = 3;
  args.delay_until = TimestampMs{1'800'000'000'000};
  Words delayed_keys = keys;
  delayed_keys[4] = kLane + ":delayed";
  ExpectCall([&](RespCommand& c) { WriteCreate(c, args, {}, defaults, scratch); },
             "ff_create_execution", delayed_keys,
             {std::string(kId), "default", "main", "task", "5", "ffgrant",
              R"({"priority":0,"max_reclaim_count":3,"max_replay_count":10,"budget_ids":[],)"
              R"("routing_requirements":{"required_capabilities":["a","b\"\\"]},)"
              R"("max_signals_per_execution":10000})",
              "", "1800000000000", "", "{}", "", "7"});
}

// Requirements that AssignRequired() would refuse are sent as they are, so that the server can say
// what is wrong with them.
TEST(ClaimCommands, RequirementsAreWrittenAsJsonWhateverTheirBytes) {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte == ',') continue;
    const std::string token = "x" + std::string(1, static_cast<char>(byte)) + "y";
    CapabilitySet required;
    ASSERT_EQ(required.AssignOfferedCsv(token), CapabilityError::kNone);
    CreateExecutionArgs args;
    args.execution_id = Id();
    args.lane = Lane();
    args.required = &required;
    std::string scratch;
    const Words words = Written([&](RespCommand& c) { WriteCreate(c, args, {}, {}, scratch); });
    ASSERT_EQ(words.size(), 24u);
    char escaped[8] = {static_cast<char>(byte)};
    if (byte < 0x20) std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
    if (byte == '"' || byte == '\\') std::snprintf(escaped, sizeof escaped, "\\%c", byte);
    const std::string& policy = words[3 + 8 + 6];
    EXPECT_NE(policy.find("\"required_capabilities\":[\"x" + std::string(escaped) + "y\"]"),
              std::string::npos)
        << byte << ": " << policy;
  }
}

// A count that the caller gives is stored even if it is the one that a policy has by default,
// because without a policy the cap that a call of Reclaim() names would hold.
TEST(ClaimCommands, ACountOfReclaimsIsStoredWhateverItIs) {
  for (const std::uint32_t count : {0u, 1u, 99u, 100u, 101u, 1000u, 0xFFFFFFFFu}) {
    CreateExecutionArgs args;
    args.execution_id = Id();
    args.lane = Lane();
    args.max_reclaim_count = count;
    std::string scratch;
    const Words words = Written([&](RespCommand& c) { WriteCreate(c, args, {}, {}, scratch); });
    ASSERT_EQ(words.size(), 24u);
    const std::string& policy = words[3 + 8 + 6];
    EXPECT_NE(policy.find("\"max_reclaim_count\":" + std::to_string(count) + ","),
              std::string::npos)
        << count << ": " << policy;
  }
}

TEST(ClaimCommands, IssueAndIssueReclaim) {
  CapabilitySet offered;
  ASSERT_EQ(offered.AssignOfferedCsv("gpu,a"), CapabilityError::kNone);
  const IssueGrantArgs args = {.execution_id = Id(),
                               .worker = TheWorker(),
                               .lane = Lane(),
                               .grant_ttl_ms = 5000,
                               .offered = &offered,
                               .capability_hash = "h",
                               .route_snapshot_json = "r",
                               .admission_summary = "s"};
  const Words argv = {std::string(kId), "w1", "w1-i1", "main", "h", "5000", "r", "s", "a,gpu"};
  ExpectCall([&](RespCommand& c) { WriteIssue(c, args); }, "ff_issue_claim_grant",
             {kExec + ":core", kExec + ":claim_grant", kLane + ":eligible"}, argv);
  ExpectCall([&](RespCommand& c) { WriteIssue(c, args, "bare"); }, "bare",
             {kExec + ":core", kExec + ":claim_grant", kLane + ":eligible"}, argv);
  ExpectCall([&](RespCommand& c) { WriteIssueReclaim(c, args); }, "ff_issue_reclaim_grant",
             {kExec + ":core", kExec + ":claim_grant", kIndex + ":lease_expiry"}, argv);
}

// The time to renew before is rounded down, as the functions round one that they compute.
TEST(ClaimCommands, RenewBeforeIsRoundedDown) {
  const struct {
    std::int64_t ttl_ms;
    std::string_view renew_before;
  } kCases[] = {{0, "0"}, {1, "0"}, {2, "1"}, {3, "2"}, {-1, "-1"}, {-2, "-2"}, {-5, "-4"}};
  for (const auto& c : kCases) {
    std::string bytes;
    RespCommand command(bytes);
    WriteClaim(command, {.execution_id = Id(),
                         .worker = TheWorker(),
                         .lane = Lane(),
                         .lease_id = {UuidOf(kLease)},
                         .lease_ttl_ms = c.ttl_ms,
                         .attempt_id = {UuidOf(kAttemptId)}});
    const std::string sent = "\r\n" + std::to_string(c.ttl_ms) + "\r\n$" +
                             std::to_string(c.renew_before.size()) + "\r\n" +
                             std::string(c.renew_before) + "\r\n";
    EXPECT_NE(bytes.find(sent), std::string::npos) << c.ttl_ms;
  }
}

TEST(ClaimCommands, ClaimFusedAndResumed) {
  const ClaimArgs args = {.execution_id = Id(),
                          .worker = TheWorker(),
                          .lane = Lane(),
                          .lease_id = {UuidOf(kLease)},
                          .lease_ttl_ms = 30'000,
                          .attempt_id = {UuidOf(kAttemptId)}};
  ExpectCall([&](RespCommand& c) { WriteClaim(c, args); }, "ff_claim_execution",
             {kExec + ":core", kExec + ":claim_grant", kLane + ":eligible",
              kIndex + ":lease_expiry", kIndex + ":worker:w1-i1:leases", kAttempt + ":0",
              kAttempt + ":0:usage", kAttempt + ":0:policy", kExec + ":attempts",
              kExec + ":lease:current", kExec + ":lease:history", kLane + ":active",
              kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
             {std::string(kId), "w1", "w1-i1", "main", "", std::string(kLease), "30000", "20000",
              std::string(kAttemptId), "{}", "", ""});
  ExpectCall([&](RespCommand& c) { WriteIssueAndClaim(c, args); }, "ff_issue_grant_and_claim",
             {kExec + ":core", kExec + ":claim_grant", kLane + ":eligible",
              kIndex + ":lease_expiry", kIndex + ":worker:w1-i1:leases", kExec + ":attempts",
              kExec + ":lease:current", kExec + ":lease:history", kLane + ":active",
              kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
             {std::string(kId), "w1", "w1-i1", "main", "", std::string(kLease), "30000",
              std::string(kAttemptId), "{}", "", ""});
  const ClaimResumedArgs resumed = {.execution_id = Id(),
                                    .worker = TheWorker(),
                                    .lane = Lane(),
                                    .lease_id = {UuidOf(kLease)},
                                    .lease_ttl_ms = 30'000};
  ExpectCall([&](RespCommand& c) { WriteClaimResumed(c, resumed, 2); },
             "ff_claim_resumed_execution",
             {kExec + ":core", kExec + ":claim_grant", kLane + ":eligible",
              kIndex + ":lease_expiry", kIndex + ":worker:w1-i1:leases", kAttempt + ":2",
              kExec + ":lease:current", kExec + ":lease:history", kLane + ":active",
              kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
             {std::string(kId), "w1", "w1-i1", "main", "", std::string(kLease), "30000", ""});
}

TEST(ClaimCommands, RenewRevokeMarkExpired) {
  ClaimDefaults defaults;
  RenewArgs renew = {.execution_id = Id(),
                     .attempt_index = {2},
                     .fence = LeaseFence{{UuidOf(kLease)}, {4}, {UuidOf(kAttemptId)}},
                     .lease_ttl_ms = 9000};
  const Words renew_keys = {kExec + ":core", kExec + ":lease:current", kExec + ":lease:history",
                            kIndex + ":lease_expiry"};
  ExpectCall(
      [&](RespCommand& c) { WriteRenew(c, renew, defaults); }, "ff_renew_lease", renew_keys,
      {std::string(kId), "2", std::string(kAttemptId), std::string(kLease), "4", "9000", "5000"});
  renew.fence = {};
  ExpectCall([&](RespCommand& c) { WriteRenew(c, renew, defaults); }, "ff_renew_lease", renew_keys,
             {std::string(kId), "2", "", "", "", "9000", "5000"});
  ExpectCall([&](RespCommand& c) { WriteMarkExpired(c, Id()); }, "ff_mark_lease_expired_if_due",
             {kExec + ":core", kExec + ":lease:current", kIndex + ":lease_expiry",
              kExec + ":lease:history"},
             {std::string(kId)});
  ExpectCall(
      [&](RespCommand& c) {
        WriteRevoke(c, {.execution_id = Id(), .expected_lease_id = LeaseId{UuidOf(kLease)}},
                    Hints(), defaults);
      },
      "ff_revoke_lease",
      {kExec + ":core", kExec + ":lease:current", kExec + ":lease:history",
       kIndex + ":lease_expiry", kIndex + ":worker:w0-i0:leases"},
      {std::string(kId), std::string(kLease), "operator_revoke"});
}

TEST(ClaimCommands, Reclaim) {
  ReclaimArgs args = {.execution_id = Id(),
                      .worker = TheWorker(),
                      .lane = Lane(),
                      .lease_id = {UuidOf(kLease)},
                      .lease_ttl_ms = 30'000,
                      .attempt_id = {UuidOf(kAttemptId)},
                      .max_reclaim_count = 7};
  const Words keys = {kExec + ":core",
                      kExec + ":claim_grant",
                      kAttempt + ":2",
                      "ff:stream:{fp:7}:" + std::string(kId) + ":2:meta",
                      kAttempt + ":3",
                      kAttempt + ":3:usage",
                      kExec + ":attempts",
                      kExec + ":lease:current",
                      kExec + ":lease:history",
                      kIndex + ":lease_expiry",
                      kIndex + ":worker:w1-i1:leases",
                      kLane + ":active",
                      kIndex + ":attempt_timeout",
                      kIndex + ":execution_deadline"};
  ExpectCall([&](RespCommand& c) { WriteReclaim(c, args, 2); }, "ff_reclaim_execution", keys,
             {std::string(kId), "w1", "w1-i1", "main", std::string(kLease), "30000",
              std::string(kAttemptId), "{}", "7"});
  args.max_reclaim_count.reset();
  ExpectCall([&](RespCommand& c) { WriteReclaim(c, args, 2); }, "ff_reclaim_execution", keys,
             {std::string(kId), "w1", "w1-i1", "main", std::string(kLease), "30000",
              std::string(kAttemptId), "{}", "1000"});
}

TEST(ClaimCommands, SuspendResumeComplete) {
  const OptionalFence fence = LeaseFence{{UuidOf(kLease)}, {4}, {UuidOf(kAttemptId)}};
  const std::string suspension = "44444444-4444-4444-8444-444444444444";
  const std::string waitpoint = "55555555-5555-4555-8555-555555555555";
  const std::string wp = "ff:wp:{fp:7}:";
  const std::string other = kIndex + ":lane:other";
  ExpectCall(
      [&](RespCommand& c) {
        WriteSuspend(c, {.execution_id = Id(), .fence = fence}, Hints(), UuidOf(suspension),
                     UuidOf(waitpoint));
      },
      "ff_suspend_execution",
      {kExec + ":core", kAttempt + ":2", kExec + ":lease:current", kExec + ":lease:history",
       kIndex + ":lease_expiry", kIndex + ":worker:w0-i0:leases", kExec + ":suspension:current",
       wp + waitpoint, wp + waitpoint + ":signals", kIndex + ":suspension_timeout",
       kIndex + ":pending_waitpoint_expiry", other + ":active", other + ":suspended",
       kExec + ":waitpoints", wp + waitpoint + ":condition", kIndex + ":attempt_timeout",
       "ff:sec:{fp:7}:waitpoint_hmac", "ff:noop:{fp:7}"},
      {std::string(kId),
       "2",
       std::string(kAttemptId),
       std::string(kLease),
       "4",
       suspension,
       waitpoint,
       "wpk:" + waitpoint,
       "waiting_for_signal",
       "worker",
       "",
       R"({"allow_operator_override":true,"condition_type":"signal_set",)"
       R"("minimum_signal_count":1,"required_signal_names":[],"signal_match_mode":"any",)"
       R"("timeout_behavior":"fail"})",
       R"({"close_waitpoint_on_resume":true,"consume_matched_signals":true,)"
       R"("resume_target":"runnable","retain_signal_buffer_until_closed":false})",
       "",
       "",
       "fail",
       "1000",
       "",
       "0",
       "0"});
  ExpectCall(
      [&](RespCommand& c) { WriteResume(c, {.execution_id = Id(), .delay_ms = 9}, Hints()); },
      "ff_resume_execution",
      {kExec + ":core", kExec + ":suspension:current", wp + "wp", wp + "wp:signals",
       kIndex + ":suspension_timeout", kLane + ":eligible", kLane + ":delayed",
       other + ":suspended"},
      {std::string(kId), "signal", "9"});
  ExpectCall(
      [&](RespCommand& c) {
        WriteComplete(c, {.execution_id = Id(), .fence = fence, .operator_override = true},
                      Hints());
      },
      "ff_complete_execution",
      {kExec + ":core", kAttempt + ":2", kIndex + ":lease_expiry", kIndex + ":worker:w0-i0:leases",
       other + ":terminal", kExec + ":lease:current", kExec + ":lease:history", other + ":active",
       "ff:stream:{fp:7}:" + std::string(kId) + ":2:meta", kExec + ":result",
       kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
      {std::string(kId), std::string(kLease), "4", std::string(kAttemptId), "",
       "operator_override"});
  ExpectCall(
      [&](RespCommand& c) {
        WriteComplete(c, {.execution_id = Id(), .fence = fence}, Hints(), {}, "a\r\n");
      },
      "ff_complete_execution",
      {kExec + ":core", kAttempt + ":2", kIndex + ":lease_expiry", kIndex + ":worker:w0-i0:leases",
       other + ":terminal", kExec + ":lease:current", kExec + ":lease:history", other + ":active",
       "ff:stream:{fp:7}:" + std::string(kId) + ":2:meta", kExec + ":result",
       kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
      {std::string(kId), std::string(kLease), "4", std::string(kAttemptId), "a\r\n", ""});
  ExpectCall(
      [&](RespCommand& c) {
        WriteFail(c,
                  {.execution_id = Id(),
                   .fence = fence,
                   .reason = "why",
                   .category = "transient",
                   .operator_override = true},
                  Hints(), "{}");
      },
      "ff_fail_execution",
      {kExec + ":core", kAttempt + ":2", kIndex + ":lease_expiry", kIndex + ":worker:w0-i0:leases",
       other + ":terminal", kLane + ":delayed", kExec + ":lease:current", kExec + ":lease:history",
       other + ":active", "ff:stream:{fp:7}:" + std::string(kId) + ":2:meta",
       kIndex + ":attempt_timeout", kIndex + ":execution_deadline"},
      {std::string(kId), std::string(kLease), "4", std::string(kAttemptId), "why", "transient",
       "{}", "operator_override"});
  EXPECT_EQ(Written([](RespCommand& c) { WriteReadHints(c, Id()); }),
            (Words{"HMGET", kExec + ":core", "lane_id", "current_attempt_index",
                   "current_worker_instance_id", "current_waitpoint_id", "current_lane"}));
}

}  // namespace
}  // namespace ffgrant::valkey::internal
