// SPDX-License-Identifier: Apache-2.0
//
// Tests what a worker does with an execution between its claim and its end, down to the shipped
// functions: it reads the input, and returns a result or fails. Also tests creations with a delay,
// how a worker registers, how partition counts are read, claims whose answers are lost, and the
// DeploymentWorker, which does all that a worker has to do.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "ffgrant/claims/ending.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/deployment_worker.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/naive/signal_masks.h"
#include "testing/simulation/simulated_world.h"

namespace ffgrant::valkey::testing {
namespace {

constexpr std::string_view kMisfit = "an answer that does not fit its command";
const std::string kNil = "$-1\r\n";

// Returns an array of `count` texts in RESP. If `last` is not empty, it takes the place of the last
// text.
std::string Texts(int count, const std::string& last = "") {
  std::string reply = "*" + std::to_string(count) + "\r\n";
  for (int i = 0; i < count; ++i) reply += i + 1 == count && !last.empty() ? last : "$1\r\nx\r\n";
  return reply;
}

class WorkerCalls : public ::testing::Test {
 protected:
  WorkerCalls() : server_(world_.Start({"10.0.0.1", 6379})), ids_(1) {
    ValkeyLedgerOptions options;
    options.client.servers = {{"10.0.0.1", 6379}};
    options.client.request_timeout_ms = 500;
    options.client.max_reply_bytes = 1 << 20;
    options.client.make_network = [this] { return world_.NewNetwork(); };
    options.connections = 1;
    ledger_ = std::make_unique<ValkeyLedger>(options);
  }

  MintedExecutionId Create(const ExecutionContent& content = {},
                           const std::optional<RetryPolicy>& retry = {}) {
    const MintedExecutionId id(7, ids_.Next());
    ErrorDetails details;
    EXPECT_TRUE(ledger_->CreateExecution({.execution_id = id.view(), .lane = lane_, .retry = retry},
                                         content, &details))
        << (details.size() > 0 ? details[0] : "");
    return id;
  }
  Lease Claim(const MintedExecutionId& id) {
    EXPECT_TRUE(ledger_->IssueClaimGrant(
        {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
    const ClaimOutcome claimed = ledger_->Claim({.execution_id = id.view(),
                                                 .worker = worker_,
                                                 .lane = lane_,
                                                 .lease_id = {ids_.Next()},
                                                 .lease_ttl_ms = 5000,
                                                 .attempt_id = {ids_.Next()}});
    EXPECT_TRUE(claimed) << ErrorName(claimed.error);
    return claimed.lease;
  }
  FailOutcome Fail(const MintedExecutionId& id, const Lease& lease, std::string_view reason = "r",
                   std::string_view category = "c") {
    return ledger_->Fail(
        {.execution_id = id.view(), .fence = lease.fence, .reason = reason, .category = category},
        &details_);
  }
  // Runs a bare command on the server's keys, as an operator does. Returns the reply in RESP.
  std::string Do(const std::vector<std::string>& words) {
    return server_.Execute(9999, words, world_.now() * 1000);
  }
  // From now on the server answers the commands that have the word `word` with `reply`, and
  // executes none of them.
  void Answer(const std::string& word, const std::string& reply) {
    server_.answer = [word, reply, before = server_.answer](
                         std::int64_t client, const std::vector<std::string>& command) {
      const bool has = std::find(command.begin(), command.end(), word) != command.end();
      if (has) return std::optional<std::string>(reply);
      return before ? before(client, command) : std::nullopt;
    };
  }
  std::string Key(const MintedExecutionId& id, std::string_view role) {
    return "ff:exec:{fp:7}:" + std::string(id.text()) + ":" + std::string(role);
  }
  std::string Core(const MintedExecutionId& id, const std::string& field) {
    const std::string reply = Do({"HGET", Key(id, "core"), field});
    const std::size_t begin = reply.find("\r\n") + 2;
    return reply[1] == '-' ? "" : reply.substr(begin, reply.size() - begin - 2);
  }
  void Promote(const MintedExecutionId& id) {
    bool promoted = false;
    EXPECT_TRUE(ledger_->PromoteDelayedIfDue(id.view(), lane_, promoted));
    EXPECT_TRUE(promoted);
  }

  SimulatedWorld world_;
  SimulatedServer& server_;
  UuidGenerator ids_;
  std::unique_ptr<ValkeyLedger> ledger_;
  ErrorDetails details_;
  const LaneIdView lane_ = ParseLaneId("main").lane;
  const WorkerIdentity worker_ = {{"w1"}, {"w1-i1"}};
};

// ---- creation with a delay ---------------------------------------------------------

// AssignRequired() refuses these bytes, but a caller may take a set that was made in another way.
TEST_F(WorkerCalls, CreationWithBytesThatNoRequirementMayHaveIsRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte > 0x20 && byte != 0x7F) continue;
    SCOPED_TRACE(byte);
    CapabilitySet required;
    ASSERT_EQ(required.AssignOfferedCsv("x" + std::string(1, static_cast<char>(byte))),
              CapabilityError::kNone);
    const MintedExecutionId id(7, ids_.Next());
    const CreateOutcome created = ledger_->CreateExecution(
        {.execution_id = id.view(), .lane = lane_, .required = &required}, &details_);
    EXPECT_EQ(created.error, ClaimError::kInvalidCapabilities) << ErrorName(created.error);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "required:control_or_whitespace");
    EXPECT_FALSE(ledger_->Inspect(id.view()));
  }
}

// The client reads the time before it creates. The delay can end before the server executes the
// creation, and the execution is then eligible at once. So it has to be in the eligible set.
TEST_F(WorkerCalls, CreationWhoseDelayEndsOnTheWayIsEligible) {
  for (int d = 0; d <= 5; ++d) {
    SCOPED_TRACE(d);
    server_.answer = [this](std::int64_t, const std::vector<std::string>& command) {
      if (command[0] == "FCALL" && command[1] == "ffgrant_create_execution") world_.Pass(3);
      return std::optional<std::string>();
    };
    const MintedExecutionId id(7, ids_.Next());
    const CreateOutcome created =
        ledger_->CreateExecution({.execution_id = id.view(),
                                  .lane = lane_,
                                  .priority = 3,
                                  .delay_until = TimestampMs{world_.now() + d}},
                                 &details_);
    server_.answer = nullptr;
    ASSERT_TRUE(created) << ErrorName(created.error);
    const auto state = ledger_->Inspect(id.view());
    ASSERT_TRUE(state);
    const bool eligible = state->eligibility_state == "eligible_now";
    EXPECT_EQ(eligible, created.status == CreateOutcome::Status::kWaiting);
    EXPECT_EQ(state->in_eligible, eligible);
    EXPECT_EQ(state->in_delayed, !eligible);
    if (!eligible) continue;
    const std::string score =
        std::to_string(std::stoll(Core(id, "created_at")) - 3'000'000'000'000);
    EXPECT_EQ(Do({"ZSCORE", "ff:idx:{fp:7}:lane:main:eligible", std::string(id.text())}),
              "$" + std::to_string(score.size()) + "\r\n" + score + "\r\n");
    Claim(id);
  }
}

// The execution was created, so no failure of what follows is kUnavailable.
TEST_F(WorkerCalls, CreationThatCanNotBeMadeEligibleHasAnUnknownOutcome) {
  Create();  // so that the functions are loaded
  for (const char* const word : {"HGET", "ZADD"}) {
    SCOPED_TRACE(word);
    server_.answer = [this, word](std::int64_t, const std::vector<std::string>& command) {
      if (command[0] == "FCALL" && command[1] == "ffgrant_create_execution") world_.Pass(3);
      return command[0] == word ? std::optional<std::string>("-OOM no room\r\n") : std::nullopt;
    };
    const MintedExecutionId id(7, ids_.Next());
    EXPECT_EQ(ledger_
                  ->CreateExecution({.execution_id = id.view(),
                                     .lane = lane_,
                                     .delay_until = TimestampMs{world_.now() + 2}},
                                    &details_)
                  .error,
              ClaimError::kUnknownOutcome);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "OOM no room");
    server_.answer = nullptr;
    EXPECT_EQ(Core(id, "eligibility_state"), "eligible_now");
  }
}

TEST_F(WorkerCalls, CreationThatIsMadeEligibleTakesNoAnswerThatSaysNothing) {
  // Creates an execution whose delay ends on the way. The server answers the next step, which sends
  // a command with the word `word`, with `reply`.
  const auto create = [this](const std::string& word, const std::string& reply,
                             ErrorDetails* details) {
    Create();  // so that the client is connected, and the functions are loaded
    server_.answer = [this, word, reply](std::int64_t, const std::vector<std::string>& command) {
      if (command[0] == "FCALL" && command[1] == "ffgrant_create_execution") world_.Pass(3);
      const bool has = std::find(command.begin(), command.end(), word) != command.end();
      return has ? std::optional<std::string>(reply) : std::nullopt;
    };
    const MintedExecutionId id(7, ids_.Next());
    const ClaimError error = ledger_
                                 ->CreateExecution({.execution_id = id.view(),
                                                    .lane = lane_,
                                                    .delay_until = TimestampMs{world_.now() + 2}},
                                                   details)
                                 .error;
    server_.answer = nullptr;
    return error;
  };
  // These replies come to the reads of both fields, `created_at` and `priority`.
  for (const std::string& reply : {std::string("-ERR odd\r\n"), kNil, Bulk("x"), Bulk("-1"),
                                   Bulk("9001"), Bulk(std::to_string(kMaxTtlMs + 1))}) {
    SCOPED_TRACE(reply);
    EXPECT_EQ(create("HGET", reply, nullptr), ClaimError::kUnknownCode);
    EXPECT_EQ(create("HGET", reply, &details_), ClaimError::kUnknownCode);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], reply[0] == '-' ? "ERR odd" : "the new execution has no score");
  }
  for (const std::string& reply :
       {kNil, Bulk("x"), Bulk("-1"), Bulk(std::to_string(kMaxTtlMs + 1))}) {
    SCOPED_TRACE(reply);
    EXPECT_EQ(create("created_at", reply, &details_), ClaimError::kUnknownCode);
  }
  EXPECT_EQ(create("created_at", Bulk(std::to_string(kMaxTtlMs)), &details_), ClaimError::kNone);
  EXPECT_EQ(create("HGET", Bulk("0"), &details_), ClaimError::kNone);
  EXPECT_EQ(create("priority", Bulk("9000"), &details_), ClaimError::kNone);
  EXPECT_EQ(create("HGET", ":1\r\n", &details_), ClaimError::kUnknownOutcome);
  EXPECT_EQ(details_[0], kMisfit);
  EXPECT_EQ(create("ZADD", "-WRONGTYPE x\r\n", &details_), ClaimError::kUnknownCode);
  EXPECT_EQ(details_[0], "WRONGTYPE x");
  EXPECT_EQ(create("ZADD", "+OK\r\n", &details_), ClaimError::kUnknownOutcome);
  EXPECT_EQ(details_[0], kMisfit);
  // The execution is in the eligible set by then.
  for (const std::string reply : {":0\r\n", "-WRONGTYPE x\r\n", "+OK\r\n"}) {
    EXPECT_EQ(create("ZREM", reply, &details_), ClaimError::kNone) << reply;
    EXPECT_EQ(details_.size(), 0u);
  }
}

// ---- input ----------------------------------------------------------------------

TEST_F(WorkerCalls, InputIsWhatWasCreated) {
  const std::string payload("\0\xff\r\n{x}", 7);
  const MintedExecutionId id =
      Create({.payload = payload, .kind = "resize", .tags_json = R"({"team.name":"a b","n":"3"})"});
  const Lease lease = Claim(id);
  ExecutionInput input(1024);
  ASSERT_TRUE(ledger_->ReadInput(id.view(), lease.attempt_index, input, &details_));
  EXPECT_EQ(input.payload(), payload);
  EXPECT_EQ(input.kind(), "resize");
  EXPECT_EQ(input.tag_count(), 2u);
  EXPECT_EQ(input.FindTag("team.name"), "a b");
  EXPECT_EQ(input.FindTag("n"), "3");
  EXPECT_EQ(input.FindTag("team"), std::nullopt);
  EXPECT_EQ(input.attempt_type(), "initial");
  EXPECT_EQ(input.attempt_reason(), "");
  EXPECT_EQ(input.previous_attempt(), std::nullopt);

  // The same buffer is used for another execution, and nothing of the first execution's input is
  // left.
  const MintedExecutionId bare = Create();
  const Lease other = Claim(bare);
  ASSERT_TRUE(ledger_->ReadInput(bare.view(), other.attempt_index, input));
  EXPECT_EQ(input.payload(), "");
  EXPECT_EQ(input.kind(), "task");
  EXPECT_EQ(input.tag_count(), 0u);
}

TEST_F(WorkerCalls, InputIsBounded) {
  const MintedExecutionId id =
      Create({.payload = std::string(100, 'p'), .kind = "k", .tags_json = R"({"t":"v"})"});
  const Lease lease = Claim(id);
  const std::size_t all = 100 + 1 + 2 + 7;  // payload, kind, tag and "initial"
  ExecutionInput enough(all);
  EXPECT_TRUE(ledger_->ReadInput(id.view(), lease.attempt_index, enough));
  EXPECT_EQ(enough.payload().size(), 100u);
  for (const std::size_t bound : {all - 1, std::size_t{100}, std::size_t{99}, std::size_t{0}}) {
    ExecutionInput input(bound);
    EXPECT_EQ(ledger_->ReadInput(id.view(), lease.attempt_index, input).error,
              ClaimError::kInvalidInput);
    EXPECT_EQ(input.payload(), "");
    EXPECT_EQ(input.tag_count(), 0u);
    EXPECT_EQ(ledger_->ReadInput(id.view(), lease.attempt_index, input, &details_).error,
              ClaimError::kInvalidInput);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "the input is larger than its buffer may be");
  }
}

// A payload of more than half of max_reply_bytes is refused, and the connection stays.
TEST_F(WorkerCalls, InputBeyondTheReplyLimitIsRefused) {
  const MintedExecutionId id = Create({.payload = std::string(600 << 10, 'p')});
  const Lease lease = Claim(id);
  ExecutionInput input(std::size_t{64} << 20);
  EXPECT_EQ(ledger_->ReadInput(id.view(), lease.attempt_index, input).error,
            ClaimError::kInvalidInput);
  EXPECT_TRUE(ledger_->Complete({.execution_id = id.view(), .fence = lease.fence}));
}

// Tags, a reason or a kind are more than one reply may have. The reply ends its connection; but
// each ReadInput() asks for it only once.
TEST_F(WorkerCalls, InputBeyondTheReplyLimitIsAskedForOnce) {
  const std::string large(std::size_t{2} << 20, 'x');
  for (const std::string what : {"tags", "reason", "kind"}) {
    SCOPED_TRACE(what);
    const MintedExecutionId id = Create({.payload = "p"});
    const Lease lease = Claim(id);
    const std::string attempt = "ff:attempt:{fp:7}:" + std::string(id.text()) + ":" +
                                std::to_string(lease.attempt_index.value);
    if (what == "tags") {
      for (const char name : {'a', 'b', 'c'}) {
        Do({"HSET", Key(id, "tags"), std::string(1, name), large.substr(0, 600'000)});
      }
    } else if (what == "reason") {
      Do({"HSET", attempt, "retry_reason", large});
    } else {
      Do({"HSET", Key(id, "core"), "execution_kind", large});
    }
    ExecutionInput input(std::size_t{64} << 20);
    const std::uint64_t before = ledger_->counters().connects;
    for (ErrorDetails* const details : {static_cast<ErrorDetails*>(nullptr), &details_}) {
      EXPECT_EQ(ledger_->ReadInput(id.view(), lease.attempt_index, input, details).error,
                ClaimError::kInvalidInput);
      EXPECT_EQ(input.payload(), "");
    }
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "the input is larger than its buffer may be");
    EXPECT_LE(ledger_->counters().connects - before, 2u);
    EXPECT_TRUE(ledger_->Complete({.execution_id = id.view(), .fence = lease.fence}));
  }
}

TEST_F(WorkerCalls, InputThatIsNotThere) {
  ExecutionInput input;
  const MintedExecutionId absent(7, ids_.Next());
  EXPECT_EQ(ledger_->ReadInput(absent.view(), {0}, input).error, ClaimError::kExecutionNotFound);
  const MintedExecutionId id = Create({.payload = "p"});
  Do({"DEL", Key(id, "payload")});
  Do({"HSET", Key(id, "payload"), "a", "b"});
  EXPECT_EQ(ledger_->ReadInput(id.view(), {0}, input, &details_).error, ClaimError::kUnknownCode);
  ASSERT_EQ(details_.size(), 1u);
  EXPECT_TRUE(details_[0].starts_with("WRONGTYPE"));
}

TEST_F(WorkerCalls, InputOfARetryAndOfAReclaim) {
  const MintedExecutionId id =
      Create({.payload = "p"}, RetryPolicy{.max_retries = 1, .delay_ms = 10});
  ASSERT_TRUE(Fail(id, Claim(id), "no disk"));
  world_.Pass(20);
  Promote(id);
  const Lease retried = Claim(id);
  EXPECT_EQ(retried.kind, LeaseKind::kRetry);
  ExecutionInput input;
  ASSERT_TRUE(ledger_->ReadInput(id.view(), retried.attempt_index, input));
  EXPECT_EQ(input.attempt_type(), "retry");
  EXPECT_EQ(input.attempt_reason(), "no disk");
  EXPECT_EQ(input.previous_attempt(), AttemptIndex{0});

  ASSERT_TRUE(ledger_->Revoke({.execution_id = id.view()}));
  ASSERT_TRUE(ledger_->IssueReclaimGrant(
      {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
  const ClaimOutcome reclaimed = ledger_->Reclaim({.execution_id = id.view(),
                                                   .worker = worker_,
                                                   .lane = lane_,
                                                   .lease_id = {ids_.Next()},
                                                   .lease_ttl_ms = 5000,
                                                   .attempt_id = {ids_.Next()}});
  ASSERT_TRUE(reclaimed);
  ASSERT_TRUE(ledger_->ReadInput(id.view(), reclaimed.lease.attempt_index, input));
  EXPECT_EQ(input.attempt_type(), "reclaim");
  EXPECT_EQ(input.attempt_reason(), "lease_lease_revoked");
  EXPECT_EQ(input.previous_attempt(), AttemptIndex{1});

  // FlowFabric's functions can replay an execution that has ended; the attempt is claimed like a
  // retry (contract 7).
  const MintedExecutionId again = Create();
  ASSERT_TRUE(ledger_->Complete({.execution_id = again.view(), .fence = Claim(again).fence}));
  Do({"HSET", Key(again, "core"), "lifecycle_phase", "runnable", "ownership_state", "unowned",
      "eligibility_state", "eligible_now", "terminal_outcome", "none", "attempt_state",
      "pending_replay_attempt", "pending_replay_reason", "by hand",
      "pending_previous_attempt_index", "0"});
  Do({"ZADD", "ff:idx:{fp:7}:lane:main:eligible", "0", std::string(again.text())});
  const Lease replayed = Claim(again);
  EXPECT_EQ(replayed.kind, LeaseKind::kReplay);
  ASSERT_TRUE(ledger_->ReadInput(again.view(), replayed.attempt_index, input));
  EXPECT_EQ(input.attempt_type(), "replay");
  EXPECT_EQ(input.attempt_reason(), "by hand");
  EXPECT_EQ(input.previous_attempt(), AttemptIndex{0});

  // Nothing of an earlier input is left for the next execution, or after an error.
  const MintedExecutionId other = Create();
  ASSERT_TRUE(ledger_->ReadInput(other.view(), Claim(other).attempt_index, input));
  EXPECT_EQ(input.payload(), "");
  EXPECT_EQ(input.attempt_type(), "initial");
  EXPECT_EQ(input.attempt_reason(), "");
  EXPECT_EQ(input.previous_attempt(), std::nullopt);
  ASSERT_TRUE(ledger_->ReadInput(id.view(), reclaimed.lease.attempt_index, input));
  const MintedExecutionId absent(7, ids_.Next());
  EXPECT_EQ(ledger_->ReadInput(absent.view(), AttemptIndex{0}, input).error,
            ClaimError::kExecutionNotFound);
  EXPECT_EQ(input.attempt_type(), "");
  EXPECT_EQ(input.previous_attempt(), std::nullopt);
}

TEST_F(WorkerCalls, InputIsTakenOnlyFromAnswersThatFit) {
  const MintedExecutionId id = Create({.payload = "p", .kind = "k", .tags_json = R"({"t":"v"})"});
  const Lease lease = Claim(id);
  ExecutionInput input;
  const auto read = [&](ErrorDetails* details) {
    const ClaimError error =
        ledger_->ReadInput(id.view(), lease.attempt_index, input, details).error;
    EXPECT_TRUE(error == ClaimError::kNone || input.payload().empty());
    EXPECT_TRUE(error == ClaimError::kNone || input.kind().empty());
    EXPECT_TRUE(error == ClaimError::kNone || input.tag_count() == 0);
    EXPECT_TRUE(error == ClaimError::kNone || input.attempt_type().empty());
    return error;
  };
  const struct {
    std::string word;
    std::vector<std::string> misfits;
  } kCases[] = {
      {"lane_id", {Texts(0), Texts(1), Texts(3), Texts(2, ":1\r\n"), Texts(2, "*0\r\n"), kNil}},
      {"GETRANGE", {":1\r\n", "+p\r\n", kNil, Texts(0), Texts(1)}},
      {"HGETALL", {"$1\r\nx\r\n", kNil, Texts(1), Texts(3), Texts(2, kNil), Texts(2, ":1\r\n")}},
      {"attempt_type", {Texts(0), Texts(5), Texts(7), Texts(6, ":1\r\n"), "+x\r\n", kNil}},
  };
  for (const auto& c : kCases) {
    for (const std::string& reply : c.misfits) {
      Answer(c.word, reply);
      EXPECT_EQ(read(&details_), ClaimError::kUnavailable) << c.word << " " << reply;
      ASSERT_EQ(details_.size(), 1u);
      EXPECT_EQ(details_[0], kMisfit);
      server_.answer = nullptr;
    }
    Answer(c.word, "-ERR no\r\n");
    EXPECT_EQ(read(nullptr), ClaimError::kUnknownCode) << c.word;
    EXPECT_EQ(read(&details_), ClaimError::kUnknownCode) << c.word;
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "ERR no");
    server_.answer = nullptr;
  }
  // The detail is about the error that is returned, whichever of the two errors was found first.
  Answer("GETRANGE", "-ERR no\r\n");
  Answer("lane_id", Texts(0));
  EXPECT_EQ(read(&details_), ClaimError::kUnavailable);
  ASSERT_EQ(details_.size(), 1u);
  EXPECT_EQ(details_[0], kMisfit);
  server_.answer = nullptr;
  EXPECT_EQ(read(&details_), ClaimError::kNone);
  EXPECT_EQ(details_.size(), 0u);
  EXPECT_EQ(input.payload(), "p");
}

// If the execution does not exist, the call says so, whatever is wrong with the other answers and
// whichever answer comes first.
TEST_F(WorkerCalls, InputOfWhatIsNotThereIsNotFoundWhateverElseIsWrong) {
  const MintedExecutionId absent(7, ids_.Next());
  Do({"HSET", Key(absent, "payload"), "a", "b"});
  ExecutionInput input;
  for (const bool is_late : {false, true}) {
    // After the answer TRYAGAIN the client asks again, when it already has the other answers.
    bool is_first = is_late;
    server_.answer = [&](std::int64_t, const std::vector<std::string>& command) {
      const bool is_core = command.size() > 2 && command[2] == "lane_id";
      return is_core && std::exchange(is_first, false)
                 ? std::optional<std::string>("-TRYAGAIN Multiple keys request\r\n")
                 : std::nullopt;
    };
    EXPECT_EQ(ledger_->ReadInput(absent.view(), {0}, input, &details_).error,
              ClaimError::kExecutionNotFound);
    EXPECT_EQ(details_.size(), 0u);
    EXPECT_FALSE(is_first);
  }
}

TEST_F(WorkerCalls, InputNamesThePreviousAttemptOnlyIfANumberIsStored) {
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  std::string key;
  server_.answer = [&](std::int64_t, const std::vector<std::string>& command) {
    if (command.size() > 2 && command[2] == "attempt_type") key = command[1];
    return std::optional<std::string>();
  };
  ExecutionInput input;
  ASSERT_TRUE(ledger_->ReadInput(id.view(), lease.attempt_index, input));
  const std::pair<std::string, std::optional<AttemptIndex>> cases[] = {
      {"0", AttemptIndex{0}},
      {"4294967295", AttemptIndex{4294967295}},
      {"4294967296", {}},
      {"-1", {}},
      {"1x", {}},
      {"", {}},
      {" 1", {}}};
  for (const auto& [text, index] : cases) {
    Do({"HSET", key, "previous_attempt_index", text});
    ASSERT_TRUE(ledger_->ReadInput(id.view(), lease.attempt_index, input));
    EXPECT_EQ(input.previous_attempt(), index) << text;
  }
  const MintedExecutionId outside(256, ids_.Next());
  EXPECT_EQ(ledger_->ReadInput(outside.view(), {0}, input).error, ClaimError::kExecutionNotFound)
      << "a partition that is not configured";
}

// ---- results --------------------------------------------------------------------

TEST_F(WorkerCalls, ResultsAreAnyBytes) {
  const std::string result("\0\xff\r\n$5", 6);
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  EXPECT_TRUE(ledger_->Complete({.execution_id = id.view(), .fence = lease.fence}, result));
  EXPECT_EQ(Do({"GET", Key(id, "result")}), "$6\r\n" + result + "\r\n");
  const MintedExecutionId without = Create();
  EXPECT_TRUE(ledger_->Complete({.execution_id = without.view(), .fence = Claim(without).fence}));
  EXPECT_EQ(Do({"GET", Key(without, "result")}), "$-1\r\n");
}

TEST_F(WorkerCalls, ACompletionWhoseAnswerIsLostIsReconciled) {
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  const CompleteArgs args = {.execution_id = id.view(), .fence = lease.fence};
  world_.Freeze(server_, true);
  world_.At(world_.now() + 700, [&] { world_.Freeze(server_, false); });
  EXPECT_TRUE(CompleteOnce(*ledger_, args, "done"));
  EXPECT_EQ(Core(id, "public_state"), "completed");
  // Without CompleteOnce() the second call is refused, and its details tell who has completed the
  // execution.
  EXPECT_EQ(ledger_->Complete(args, &details_).error, ClaimError::kExecutionNotActive);
  EXPECT_TRUE(HasCompleted(lease.fence, ClaimError::kExecutionNotActive, details_));
}

// ---- failures -------------------------------------------------------------------

TEST_F(WorkerCalls, AFailureWithoutAPolicyIsFinal) {
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  const FailOutcome failed = Fail(id, lease, std::string_view("bo\0om", 5), "cat");
  ASSERT_TRUE(failed) << ErrorName(failed.error);
  EXPECT_FALSE(failed.retried);
  EXPECT_EQ(Core(id, "public_state"), "failed");
  EXPECT_EQ(Core(id, "failure_reason"), std::string("bo\0om", 5));
  const auto state = ledger_->Inspect(id.view());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->terminal_outcome, "failed");
  EXPECT_TRUE(state->in_terminal);
  EXPECT_FALSE(state->in_active || state->in_lease_expiry || state->lease_current);
  EXPECT_EQ(Fail(id, lease).error, ClaimError::kExecutionNotActive);
  EXPECT_FALSE(HasFailed(lease.fence, ClaimError::kExecutionNotActive, details_)->retried);
}

TEST_F(WorkerCalls, APolicySaysWhenItIsTriedAgain) {
  const MintedExecutionId id =
      Create({}, RetryPolicy{.max_retries = 3, .delay_ms = 100, .max_delay_ms = 250});
  for (const std::int64_t delay : {100, 200, 250}) {
    const Lease lease = Claim(id);
    const FailOutcome failed = Fail(id, lease, "flaky");
    ASSERT_TRUE(failed) << ErrorName(failed.error);
    EXPECT_TRUE(failed.retried);
    EXPECT_LE(failed.delay_until.value - world_.now(), delay);
    EXPECT_GE(failed.delay_until.value - world_.now(), delay - 20);
    EXPECT_EQ(Core(id, "delay_until"), std::to_string(failed.delay_until.value));
    EXPECT_EQ(Core(id, "blocking_reason"), "waiting_for_retry_backoff");
    EXPECT_EQ(Fail(id, lease).error, ClaimError::kExecutionNotActive);
    EXPECT_TRUE(HasFailed(lease.fence, ClaimError::kExecutionNotActive, details_)->retried);
    const auto state = ledger_->Inspect(id.view());
    ASSERT_TRUE(state);
    EXPECT_EQ(state->attempt_state, "pending_retry_attempt");
    EXPECT_TRUE(state->in_delayed);
    EXPECT_EQ(state->delay_until, failed.delay_until);
    world_.Pass(delay + 1);
    Promote(id);
  }
  const Lease last = Claim(id);
  EXPECT_EQ(last.attempt_index.value, 3u);
  EXPECT_EQ(last.kind, LeaseKind::kRetry);
  EXPECT_FALSE(Fail(id, last).retried);
  EXPECT_EQ(Core(id, "public_state"), "failed");
}

TEST_F(WorkerCalls, AFixedDelayIsTheSameEachTime) {
  const MintedExecutionId id = Create(
      {}, RetryPolicy{.max_retries = 2, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 70});
  for (int i = 0; i < 2; ++i) {
    const FailOutcome failed = Fail(id, Claim(id));
    EXPECT_TRUE(failed.retried);
    EXPECT_GE(failed.delay_until.value - world_.now(), 50);
    world_.Pass(80);
    Promote(id);
  }
  EXPECT_FALSE(Fail(id, Claim(id)).retried);
}

// The execution is in the delayed set of its own lane, from where a scanner promotes it, and not in
// that of the claimer's lane.
TEST_F(WorkerCalls, ARetryWaitsInTheExecutionsOwnLane) {
  const MintedExecutionId id = Create({}, RetryPolicy{.delay_ms = 5000});
  ASSERT_TRUE(ledger_->IssueClaimGrant(
      {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
  const ClaimOutcome claimed = ledger_->Claim({.execution_id = id.view(),
                                               .worker = worker_,
                                               .lane = ParseLaneId("other").lane,
                                               .lease_id = {ids_.Next()},
                                               .lease_ttl_ms = 5000,
                                               .attempt_id = {ids_.Next()}});
  ASSERT_TRUE(claimed);
  ASSERT_TRUE(Fail(id, claimed.lease));
  EXPECT_TRUE(ledger_->Inspect(id.view())->in_delayed);
  EXPECT_FALSE(ledger_->Inspect(id.view())->in_active);
}

TEST_F(WorkerCalls, PartsOfAMillisecondAreRoundedUp) {
  const MintedExecutionId id = Create();
  Do({"SET", Key(id, "policy"),
      R"({"retry_policy":{"max_retries":1,"backoff":{"type":"fixed","delay_ms":100.5}}})"});
  const FailOutcome failed = Fail(id, Claim(id));
  ASSERT_TRUE(failed.retried);
  const std::string stored = Core(id, "delay_until");
  EXPECT_EQ(stored, std::to_string(failed.delay_until.value - 1) + ".5");
  EXPECT_EQ(ledger_->Inspect(id.view())->delay_until, failed.delay_until);
}

TEST_F(WorkerCalls, APolicyThatCantBeFollowedIsRefusedBeforeAnythingChanges) {
  for (const char* policy : {R"({"retry_policy":{"max_retries":null}})",
                             R"({"retry_policy":{"max_retries":2,"backoff":null}})"}) {
    const MintedExecutionId id = Create();
    const Lease lease = Claim(id);
    Do({"SET", Key(id, "policy"), policy});
    EXPECT_EQ(Fail(id, lease).error, ClaimError::kInvalidPolicyJson) << policy;
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_TRUE(details_[0].starts_with("retry_policy: "));
    EXPECT_EQ(ledger_->Fail({.execution_id = id.view(), .fence = lease.fence}).error,
              ClaimError::kInvalidPolicyJson);
    EXPECT_EQ(Core(id, "public_state"), "active");
    EXPECT_TRUE(ledger_->Complete({.execution_id = id.view(), .fence = lease.fence}));
  }
}

// The ledger writes and reads the policies of other executions between the calls for this one.
TEST_F(WorkerCalls, AFailureIsRetriedByItsOwnPolicyAlone) {
  const RetryPolicy retry = {
      .max_retries = 3, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 0};
  for (const std::string own : {"", "{}", R"({"max_reclaim_count":1})"}) {
    for (const bool other_failed : {false, true}) {
      const MintedExecutionId id = Create();
      const Lease lease = Claim(id);
      Do({"DEL", Key(id, "policy")});
      if (!own.empty()) Do({"SET", Key(id, "policy"), own});
      const MintedExecutionId other = Create({}, retry);
      if (other_failed) {
        EXPECT_TRUE(Fail(other, Claim(other)).retried);
      }
      const FailOutcome outcome = Fail(id, lease);
      EXPECT_TRUE(outcome) << ErrorName(outcome.error);
      EXPECT_FALSE(outcome.retried) << own << ", " << other_failed;
      EXPECT_EQ(Core(id, "lifecycle_phase"), "terminal");
    }
  }
}

TEST_F(WorkerCalls, FailuresThatAreRefused) {
  const MintedExecutionId absent(7, ids_.Next());
  EXPECT_EQ(Fail(absent, {}).error, ClaimError::kExecutionNotFound);
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  FailArgs args = {.execution_id = id.view(), .fence = lease.fence};
  args.fence.lease_epoch.reset();
  EXPECT_EQ(ledger_->Fail(args).error, ClaimError::kPartialFenceTriple);
  args.fence = {};
  EXPECT_EQ(ledger_->Fail(args).error, ClaimError::kFenceRequired);
  args.fence = LeaseFence{{ids_.Next()}, {1}, lease.fence.attempt_id};
  EXPECT_EQ(ledger_->Fail(args).error, ClaimError::kStaleLease);
  Do({"DEL", Key(id, "policy")});
  Do({"HSET", Key(id, "policy"), "a", "b"});
  EXPECT_EQ(Fail(id, lease).error, ClaimError::kUnknownCode);
  Do({"DEL", Key(id, "policy")});
  args.fence = {};
  args.operator_override = true;
  EXPECT_TRUE(ledger_->Fail(args));
  EXPECT_EQ(
      ledger_
          ->CreateExecution(
              {.execution_id = absent.view(), .lane = lane_, .retry = RetryPolicy{.delay_ms = -1}})
          .error,
      ClaimError::kInvalidInput);
}

TEST_F(WorkerCalls, FailuresFollowOnlyAnswersThatFit) {
  const MintedExecutionId id = Create();
  const Lease lease = Claim(id);
  const FailArgs args = {.execution_id = id.view(), .fence = lease.fence};
  const auto detail = [&] { return details_.size() == 1 ? std::string(details_[0]) : "none"; };
  for (const std::string& reply : {std::string(":1\r\n"), std::string("+OK\r\n"), Texts(0)}) {
    for (const std::string word : {"GET", "HMGET"}) {
      Answer(word, reply);
      EXPECT_EQ(Fail(id, lease).error, ClaimError::kUnavailable) << word << " " << reply;
      EXPECT_EQ(detail(), kMisfit);
      server_.answer = nullptr;
    }
  }
  for (const std::string word : {"GET", "HMGET"}) {
    Answer(word, "-ERR " + word + "\r\n");
    EXPECT_EQ(ledger_->Fail(args).error, ClaimError::kUnknownCode);
    EXPECT_EQ(Fail(id, lease).error, ClaimError::kUnknownCode);
    EXPECT_EQ(detail(), "ERR " + word);
    server_.answer = nullptr;
  }
  // The detail is about the error that is returned.
  Answer("GET", "-ERR no\r\n");
  Answer("HMGET", Texts(0));
  EXPECT_EQ(Fail(id, lease).error, ClaimError::kUnavailable);
  EXPECT_EQ(detail(), kMisfit);
  Answer("HMGET", "*5\r\n" + kNil + kNil + kNil + kNil + kNil);
  EXPECT_EQ(Fail(id, lease).error, ClaimError::kExecutionNotFound);
  EXPECT_EQ(details_.size(), 0u);
  server_.answer = nullptr;
  EXPECT_EQ(Core(id, "public_state"), "active");
  EXPECT_EQ(Fail(MintedExecutionId(256, ids_.Next()), lease).error, ClaimError::kExecutionNotFound)
      << "a partition that is not configured";
  EXPECT_TRUE(Fail(id, lease));
}

// ---- flows ----------------------------------------------------------------------

// Whatever runs the flow goes on with the flow when it is told of an execution. So it must be told
// only that executions have ended.
TEST_F(WorkerCalls, AFlowIsToldOnceOfEachEndAndOfNothingElse) {
  std::vector<std::string> told;
  server_.on_publish = [&](std::string_view channel, std::string_view text) {
    EXPECT_EQ(channel, "ff:dag:completions");
    told.emplace_back(text);
  };
  // Returns whether exactly one thing was told since is_told() was last asked: that `id` has ended
  // with `outcome`. Anything else must not have been told.
  const auto is_told = [&](const MintedExecutionId& id, std::string_view outcome) {
    const std::vector<std::string> texts = std::exchange(told, {});
    EXPECT_LE(texts.size(), 1u);
    if (texts.empty()) return false;
    EXPECT_NE(texts[0].find("\"flow_id\":\"f-1\""), std::string::npos) << texts[0];
    for (const std::string& part :
         {"\"execution_id\":\"" + std::string(id.text()) + '"', std::string("\"flow_id\":\"f-1\""),
          "\"outcome\":\"" + std::string(outcome) + '"'}) {
      if (texts[0].find(part) == std::string::npos) return false;
    }
    return true;
  };
  for (const bool is_in_flow : {true, false}) {
    SCOPED_TRACE(is_in_flow);
    const auto create = [&](const std::optional<RetryPolicy>& retry = {}) {
      const MintedExecutionId id = Create({}, retry);
      if (is_in_flow) Do({"HSET", Key(id, "core"), "flow_id", "f-1"});
      return id;
    };
    const MintedExecutionId done = create();
    const Lease of_done = Claim(done);
    EXPECT_EQ(Fail(done, {}).error, ClaimError::kStaleLease);
    EXPECT_TRUE(told.empty()) << told[0];
    ASSERT_TRUE(ledger_->Complete({.execution_id = done.view(), .fence = of_done.fence}));
    EXPECT_EQ(is_told(done, "success"), is_in_flow);
    EXPECT_EQ(Fail(done, of_done).error, ClaimError::kExecutionNotActive);
    EXPECT_TRUE(told.empty()) << told[0];

    const MintedExecutionId retried = create(
        RetryPolicy{.max_retries = 2, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 0});
    for (int i = 0; i < 2; ++i) {
      ASSERT_TRUE(Fail(retried, Claim(retried)).retried);
      EXPECT_TRUE(told.empty()) << told[0];
      Promote(retried);
    }
    const FailOutcome failed = Fail(retried, Claim(retried));
    ASSERT_TRUE(failed && !failed.retried);
    EXPECT_EQ(is_told(retried, "failed"), is_in_flow);
    EXPECT_TRUE(told.empty());
  }
}

// ---- registration -----------------------------------------------------------------

class Registering : public WorkerCalls {
 protected:
  Registering() {
    EXPECT_EQ(gpu_.AssignOfferedCsv("gpu,arm"), CapabilityError::kNone);
    registration_.worker = worker_;
    registration_.lanes = lanes_;
    registration_.offered = &gpu_;
    registration_.ttl_ms = 5000;
  }
  ClaimError Register(const WorkerRegistration& r) {
    return ledger_->RegisterWorker(r, &details_).error;
  }
  ClaimError Refresh(const WorkerRegistration& r) {
    return ledger_->RefreshWorker(r, &details_).error;
  }
  ClaimError Unregister(const WorkerRegistration& r) {
    return ledger_->UnregisterWorker(r, &details_).error;
  }
  bool Exists(const std::string& key) { return Do({"EXISTS", key}) == ":1\r\n"; }
  std::string Caps(const std::string& field) {
    const std::string reply = Do({"HGET", kCaps, field});
    if (reply[1] == '-') return "";
    const std::size_t begin = reply.find("\r\n") + 2;
    return reply.substr(begin, reply.size() - begin - 2);
  }
  bool IsListed() { return Do({"SISMEMBER", "ff:idx:default:workers", "w1-i1"}) == ":1\r\n"; }

  const std::string kAlive = "ff:worker:default:w1-i1:alive";
  const std::string kCaps = "ff:worker:default:w1-i1:caps";
  const std::array<LaneIdView, 3> lanes_ = {ParseLaneId("side").lane, ParseLaneId("main").lane,
                                            ParseLaneId("side").lane};
  CapabilitySet gpu_;
  WorkerRegistration registration_;
};

// The key that says to whom the other keys belong is deleted last. So if ending a registration has
// broken off, it can be tried again.
TEST_F(Registering, AnEndThatBreaksOffIsFinishedByTheNext) {
  for (int done = 0; done < 3; ++done) {
    SCOPED_TRACE(done);
    ASSERT_EQ(Register(registration_), ClaimError::kNone);
    int deletions = 0;
    server_.answer = [&](std::int64_t,
                         const std::vector<std::string>& command) -> std::optional<std::string> {
      if (command[0] != "DEL" && command[0] != "SREM") return std::nullopt;
      return deletions++ == done ? std::optional<std::string>("-ERR no\r\n") : std::nullopt;
    };
    EXPECT_NE(Unregister(registration_), ClaimError::kNone);
    server_.answer = nullptr;
    EXPECT_TRUE(Exists(kAlive));
    ASSERT_EQ(Unregister(registration_), ClaimError::kNone);
    EXPECT_FALSE(Exists(kAlive) || Exists(kCaps) || IsListed());
  }
}

// After a lost answer the key may be gone, and another process may have set the key again since
// then.
TEST_F(Registering, AnEndWhoseAnswerIsLostIsNotRepeated) {
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  int deletions = 0;
  server_.answer = [&](std::int64_t,
                       const std::vector<std::string>& command) -> std::optional<std::string> {
    if (command[0] != "DEL" || !command[1].ends_with(":alive")) return std::nullopt;
    ++deletions;
    return "";  // no answer ever
  };
  EXPECT_EQ(Unregister(registration_), ClaimError::kUnknownOutcome);
  EXPECT_EQ(deletions, 1);
}

TEST_F(Registering, WritesWhatFlowFabricsScannerReads) {
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  EXPECT_EQ(Caps("worker_id"), "w1");
  EXPECT_EQ(Caps("lanes_csv"), "main,side");
  EXPECT_EQ(Caps("caps_csv"), "arm,gpu");
  EXPECT_EQ(Caps("ttl_ms"), "5000");
  EXPECT_EQ(Caps("registered_at_ms"), Caps("last_heartbeat_ms"));
  EXPECT_TRUE(IsListed());
  EXPECT_EQ(Do({"PTTL", kAlive}).substr(0, 2), ":4");
  EXPECT_EQ(Do({"PTTL", kCaps}).substr(0, 2), ":4");
  // The call is made again, as after a lost answer, and the registration has all of its time again.
  world_.Pass(3000);
  EXPECT_EQ(Register(registration_), ClaimError::kNone);
  EXPECT_EQ(Do({"PTTL", kAlive}).substr(0, 2), ":4");
  ASSERT_EQ(Unregister(registration_), ClaimError::kNone);
  EXPECT_FALSE(Exists(kAlive) || Exists(kCaps) || IsListed());
  EXPECT_EQ(Unregister(registration_), ClaimError::kNone);
}

TEST_F(Registering, IsRefreshedAndElseRunsOut) {
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  // The times are from the caller's own clock. They are set to 5 here, so that the test can tell an
  // old time from a new one.
  Do({"HSET", kCaps, "registered_at_ms", "5", "last_heartbeat_ms", "5"});
  world_.Pass(4000);
  ASSERT_EQ(Refresh(registration_), ClaimError::kNone);
  EXPECT_EQ(Caps("registered_at_ms"), "5");
  EXPECT_NE(Caps("last_heartbeat_ms"), "5");
  // A field that is missing comes back, and the time since which the worker is registered stays the
  // same.
  Do({"HDEL", kCaps, "caps_csv"});
  ASSERT_EQ(Refresh(registration_), ClaimError::kNone);
  EXPECT_EQ(Caps("registered_at_ms"), "5");
  EXPECT_EQ(Caps("caps_csv"), "arm,gpu");
  Do({"DEL", kCaps});
  ASSERT_EQ(Refresh(registration_), ClaimError::kNone);
  EXPECT_EQ(Caps("registered_at_ms"), Caps("last_heartbeat_ms"));
  world_.Pass(4000);
  EXPECT_TRUE(Exists(kAlive) && Exists(kCaps));
  world_.Pass(2000);
  EXPECT_FALSE(Exists(kAlive) || Exists(kCaps));
  ASSERT_EQ(Refresh(registration_), ClaimError::kNone);
  EXPECT_TRUE(Exists(kAlive) && Exists(kCaps) && IsListed());
}

TEST_F(Registering, OfAnInstanceThatAnotherProcessHasIsRefused) {
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  WorkerRegistration other = registration_;
  other.token = ids_.Next();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(i == 0 ? Register(other) : Refresh(other), ClaimError::kInvalidInput);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "worker_instance_id: another process has registered it");
  }
  EXPECT_EQ(Unregister(other), ClaimError::kNone);
  EXPECT_TRUE(Exists(kAlive) && Exists(kCaps) && IsListed());
  // FlowFabric's own worker writes "1" as token.
  world_.Pass(6000);
  Do({"SET", kAlive, "1", "PX", "5000"});
  EXPECT_EQ(Refresh(registration_), ClaimError::kInvalidInput);
  world_.Pass(6000);
  EXPECT_EQ(Register(other), ClaimError::kNone);
}

TEST_F(Registering, EndsWithWhatTheServerAnswersToEachStep) {
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  enum class Kind { kRegister, kRefresh };
  using enum ClaimError;
  const struct {
    Kind kind;
    std::string word;  // of the command that gets `reply`
    std::string reply;
    ClaimError error;
    std::string_view detail;
  } kCases[] = {
      // The registration exists already, so the calls read to whom it belongs, and prolong it.
      {Kind::kRegister, "SET", ":1\r\n", kUnknownOutcome, kMisfit},
      {Kind::kRegister, "SET", "$1\r\nx\r\n", kUnknownOutcome, kMisfit},
      {Kind::kRegister, "SET", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRegister, "GET", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRegister, "GET", ":1\r\n", kUnavailable, kMisfit},
      {Kind::kRegister, "PEXPIRE", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRegister, "PEXPIRE", "+OK\r\n", kUnknownOutcome, kMisfit},
      {Kind::kRegister, "PEXPIRE", ":0\r\n", kUnavailable, "the registration ran out just now"},
      {Kind::kRegister, "HSET", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRegister, "HSET", "+OK\r\n", kUnknownOutcome, kMisfit},
      {Kind::kRegister, "SADD", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRefresh, "GET", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRefresh, "GET", ":1\r\n", kUnavailable, kMisfit},
      {Kind::kRefresh, "GET", "+x\r\n", kUnavailable, kMisfit},
      {Kind::kRefresh, "GET", "*0\r\n", kUnavailable, kMisfit},
      {Kind::kRefresh, "PEXPIRE", "-ERR no\r\n", kUnknownCode, "ERR no"},
      {Kind::kRefresh, "PEXPIRE", kNil, kUnknownOutcome, kMisfit},
      {Kind::kRefresh, "PEXPIRE", ":0\r\n", kUnavailable, "the registration ran out just now"},
      {Kind::kRefresh, "HSET", "-ERR no\r\n", kUnknownCode, "ERR no"},
  };
  for (const auto& c : kCases) {
    for (const bool with_details : {true, false}) {
      Answer(c.word, c.reply);
      details_.clear();
      ErrorDetails* const details = with_details ? &details_ : nullptr;
      const Outcome outcome = c.kind == Kind::kRegister
                                  ? ledger_->RegisterWorker(registration_, details)
                                  : ledger_->RefreshWorker(registration_, details);
      EXPECT_EQ(outcome.error, c.error) << c.word << " " << c.reply;
      ASSERT_EQ(details_.size(), with_details ? 1u : 0u) << c.word << " " << c.reply;
      if (with_details) {
        EXPECT_EQ(details_[0], c.detail) << c.word << " " << c.reply;
      }
      server_.answer = nullptr;
      // A registration works afterwards.
      EXPECT_EQ(Register(registration_), kNone) << c.word << " " << c.reply;
    }
  }
}

TEST_F(Registering, WithoutCapabilitiesOrLanesIsFine) {
  registration_.offered = nullptr;
  registration_.lanes = {};
  ASSERT_EQ(Register(registration_), ClaimError::kNone);
  EXPECT_EQ(Caps("caps_csv"), "");
  EXPECT_EQ(Caps("lanes_csv"), "");
}

TEST_F(Registering, TimesOutOfRangeAreRefused) {
  for (const std::int64_t ttl : {std::int64_t{999}, std::int64_t{0}, kMaxTtlMs + 1}) {
    registration_.ttl_ms = ttl;
    EXPECT_EQ(Register(registration_), ClaimError::kInvalidInput);
    EXPECT_EQ(Refresh(registration_), ClaimError::kInvalidInput);
  }
  EXPECT_FALSE(Exists(kAlive));
}

// ---- partition counts -----------------------------------------------------------------

TEST_F(WorkerCalls, PartitionCountsAreReadAndHeldAgainstOurs) {
  ServerInfo server;
  StoredPartitions stored = ledger_->ReadPartitions(&details_);
  ASSERT_TRUE(stored);
  EXPECT_FALSE(stored.stored);
  EXPECT_EQ(stored.partitions, PartitionConfig());
  EXPECT_TRUE(ledger_->Connect(server, &details_));

  Do({"HSET", "ff:config:partitions", "num_flow_partitions", "512", "num_budget_partitions", "32",
      "num_quota_partitions", "16"});
  stored = ledger_->ReadPartitions(&details_);
  ASSERT_TRUE(stored);
  EXPECT_TRUE(stored.stored);
  EXPECT_EQ(stored.partitions, (PartitionConfig{512, 32, 16}));
  EXPECT_EQ(ledger_->Connect(server, &details_).error, ClaimError::kInvalidInput);
  ASSERT_EQ(details_.size(), 1u);
  EXPECT_EQ(details_[0],
            "the deployment has 512 flow, 32 budget and 16 quota partitions, and this ledger was "
            "made for 256 flow, 32 budget and 32 quota partitions");
  EXPECT_EQ(ledger_->Connect(server).error, ClaimError::kInvalidInput);

  // A difference in any one of the counts is enough for a refusal.
  for (const char* const other :
       {"num_flow_partitions", "num_budget_partitions", "num_quota_partitions"}) {
    Do({"HSET", "ff:config:partitions", "num_flow_partitions", "256", "num_budget_partitions", "32",
        "num_quota_partitions", "32"});
    EXPECT_TRUE(ledger_->Connect(server));
    Do({"HSET", "ff:config:partitions", other, "31"});
    EXPECT_EQ(ledger_->Connect(server).error, ClaimError::kInvalidInput) << other;
  }
  Do({"HSET", "ff:config:partitions", "num_quota_partitions", "16"});

  for (const char* wrong : {"0", "", "x", "65536", "-1", "2.5"}) {
    Do({"HSET", "ff:config:partitions", "num_flow_partitions", wrong});
    EXPECT_EQ(ledger_->ReadPartitions(&details_).error, ClaimError::kInvalidInput) << wrong;
    EXPECT_EQ(details_[0], "ff:config:partitions: num_flow_partitions is no partition count");
    EXPECT_EQ(ledger_->Connect(server).error, ClaimError::kInvalidInput);
    EXPECT_EQ(ledger_->Connect(server, &details_).error, ClaimError::kInvalidInput);
    EXPECT_EQ(details_[0], "ff:config:partitions: num_flow_partitions is no partition count");
  }
  Do({"HSET", "ff:config:partitions", "num_flow_partitions", "256", "num_quota_partitions", "32"});
  EXPECT_TRUE(ledger_->Connect(server));
  Do({"DEL", "ff:config:partitions"});
  Do({"SET", "ff:config:partitions", "text"});
  EXPECT_EQ(ledger_->ReadPartitions().error, ClaimError::kUnknownCode);
  EXPECT_TRUE(ledger_->Connect(server));
}

TEST_F(WorkerCalls, PartitionCountsAreTakenOnlyFromAnAnswerThatFits) {
  for (const std::string& reply : {Texts(0), Texts(2), Texts(4), kNil, std::string(":3\r\n"),
                                   std::string("$3\r\n256\r\n"), std::string("+256\r\n")}) {
    Answer("ff:config:partitions", reply);
    const StoredPartitions stored = ledger_->ReadPartitions(&details_);
    EXPECT_EQ(stored.error, ClaimError::kUnavailable) << reply;
    EXPECT_FALSE(stored.stored);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], kMisfit);
    server_.answer = nullptr;
  }
}

// ---- claims that are lost ------------------------------------------------------------

// A claim goes out on the ledger's second connection while another call uses the first one. The
// claim's answer comes late, or never. All later calls take the first connection, so it is
// FindClaim() that has to look at the second one.
TEST_F(WorkerCalls, AClaimOnAConnectionThatNobodyUsesIsFinalInTheEnd) {
  for (const Fault fault : {Fault{Fault::Kind::kLate, 600}, Fault{Fault::Kind::kLate, 1100},
                            Fault{Fault::Kind::kSilence}}) {
    SCOPED_TRACE(static_cast<int>(fault.kind));
    SCOPED_TRACE(fault.size);
    std::vector<ScriptedNetwork*> networks;
    ValkeyLedgerOptions options;
    options.client.servers = {{"10.0.0.1", 6379}};
    options.client.request_timeout_ms = 500;
    options.client.make_network = [&] {
      std::unique_ptr<ScriptedNetwork> made = world_.NewNetwork();
      networks.push_back(made.get());
      return made;
    };
    options.connections = 2;
    ValkeyLedger ledger(options);
    const MintedExecutionId id = Create();
    const LeaseId lease_id = {ids_.Next()};
    ClaimError lost = ClaimError::kNone;
    bool claims = false;
    bool is_asked = false;
    server_.answer = [&](std::int64_t,
                         const std::vector<std::string>& command) -> std::optional<std::string> {
      if (command[0] == "FCALL" && command[1].ends_with("_claim_execution")) {
        is_asked = true;
        return RejectedReply("invalid_claim_grant");
      }
      if (command[0] == "HMGET" && !std::exchange(claims, true)) {
        lost = ledger
                   .Claim({.execution_id = id.view(),
                           .worker = worker_,
                           .lane = lane_,
                           .lease_id = lease_id,
                           .lease_ttl_ms = 5000,
                           .attempt_id = {ids_.Next()}})
                   .error;
      }
      return std::nullopt;
    };
    networks.at(1)->SetScript([&](Operation operation) -> Fault {
      return operation == Operation::kAnswer && std::exchange(is_asked, false) ? fault : Fault{};
    });
    (void)ledger.Inspect(id.view());
    server_.answer = nullptr;
    ASSERT_EQ(lost, ClaimError::kUnknownOutcome);
    world_.Pass(fault.size == 1100 ? 500 : 1000);
    const FoundClaim found = ledger.FindClaim(id.view(), lease_id);
    ASSERT_TRUE(found) << ErrorName(found.error);
    EXPECT_EQ(found.fate, ClaimFate::kNotClaimed);
    EXPECT_TRUE(found.final);
  }
}

// ---- all of it in one --------------------------------------------------------------

class Deployments : public WorkerCalls {
 protected:
  // Returns options for a worker without threads, on the simulated world's time.
  DeploymentWorkerOptions Options(const std::string& instance = "w1-i1") {
    DeploymentWorkerOptions options;
    options.ledger.client.servers = {{"10.0.0.1", 6379}};
    options.ledger.client.request_timeout_ms = 500;
    options.ledger.client.make_network = [this] { return world_.NewNetwork(); };
    options.ledger.connections = 1;
    options.worker = {
        .worker_id = "w1", .worker_instance_id = instance, .permits = 2, .lease_ttl_ms = 3000};
    options.keeper.has_threads = false;
    options.keeper.jitter = 0;
    options.keeper.now_ms = [this] { return world_.now(); };
    options.lanes = {"main"};
    EXPECT_EQ(options.offered.AssignOfferedCsv("gpu"), CapabilityError::kNone);
    options.registration_ttl_ms = 3000;
    options.has_thread = false;
    return options;
  }
  // Grants an execution to the worker instance `instance` and returns the grant.
  IssuedGrant Granted(const MintedExecutionId& id, std::string_view instance = "w1-i1") {
    const IssueOutcome issued = ledger_->IssueClaimGrant({.execution_id = id.view(),
                                                          .worker = {{"w1"}, {instance}},
                                                          .lane = lane_,
                                                          .grant_ttl_ms = 5000});
    EXPECT_TRUE(issued);
    return {id.view(), issued.expires_at};
  }
  // Claims, suspends and resumes an execution. The next claim of it is refused, and
  // ClaimResumed() is called in its place.
  void Interrupt(const MintedExecutionId& id) {
    ValkeyLedgerOptions options = Options().ledger;
    options.waitpoint_secret_hex = "00ff";
    ValkeyLedger ledger(options);
    EXPECT_TRUE(ledger.Suspend({.execution_id = id.view(), .fence = Claim(id).fence}, &details_));
    EXPECT_TRUE(ledger.Resume({.execution_id = id.view()}, &details_));
  }
  std::string Alive() { return Do({"EXISTS", "ff:worker:default:w1-i1:alive"}); }
};

TEST_F(Deployments, FromItsStartToItsEnd) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  EXPECT_TRUE(worker.registration());
  EXPECT_EQ(Alive(), ":1\r\n");
  EXPECT_EQ(Do({"HGET", "ff:worker:default:w1-i1:caps", "caps_csv"}), "$3\r\ngpu\r\n");
  EXPECT_EQ(Do({"HGET", "ff:worker:default:w1-i1:caps", "lanes_csv"}), "$4\r\nmain\r\n");

  const MintedExecutionId id = Create({.payload = "abc"});
  const IssuedGrant grant = Granted(id);
  Work work = worker.Claim(grant.view(), lane_, &details_);
  ASSERT_TRUE(work);
  EXPECT_EQ(work.id().text(), id.text());
  ExecutionInput input;
  ASSERT_TRUE(work.ReadInput(input));
  EXPECT_EQ(input.payload(), "abc");
  // The loop takes longer than the lease and the registration would last, but the worker keeps
  // both.
  for (int i = 0; i < 20; ++i) {
    (void)worker.RunDue();
    world_.Pass(500);
  }
  EXPECT_FALSE(work.lost());
  EXPECT_EQ(Alive(), ":1\r\n");
  ASSERT_TRUE(work.Complete("ABC", &details_));
  EXPECT_EQ(Do({"GET", Key(id, "result")}), "$3\r\nABC\r\n");

  const MintedExecutionId other = Create();
  const IssuedGrant of_other = Granted(other);
  Work failing = worker.Claim(of_other.view(), lane_);
  ASSERT_TRUE(failing);
  EXPECT_FALSE(failing.Fail("no disk", "permanent").retried);
  EXPECT_EQ(Core(other, "failure_reason"), "no disk");

  EXPECT_TRUE(worker.Stop());
  EXPECT_EQ(Alive(), ":0\r\n");
  EXPECT_TRUE(worker.Stop());
}

TEST_F(Deployments, AClaimWhoseAnswerIsLostIsLookedFor) {
  const struct {
    ClaimError end;
    bool may_shut = true;     // whether CLIENT KILL works; if not, the claim's fate stays unknown
    bool is_told = true;      // whether the caller wants the details
    bool is_resumed = false;  // whether the lost answer is that of ClaimResumed()
  } kCases[] = {{ClaimError::kNone},
                {ClaimError::kNone, true, false},
                {ClaimError::kNone, true, true, true},
                {ClaimError::kStaleLease},
                {ClaimError::kStaleLease, true, false},
                {ClaimError::kStaleLease, true, true, true},
                {ClaimError::kUnavailable},
                {ClaimError::kUnavailable, true, true, true},
                {ClaimError::kUnknownOutcome},
                {ClaimError::kUnknownOutcome, true, false},
                {ClaimError::kUnknownOutcome, false}};
  for (const auto& c : kCases) {
    const ClaimError end = c.end;
    const bool may_shut = c.may_shut;
    SCOPED_TRACE(::testing::Message() << may_shut << c.is_told << c.is_resumed);
    const std::string function = c.is_resumed ? "_claim_resumed_execution" : "_claim_execution";
    const auto is_claim = [&](const std::vector<std::string>& command) {
      return command.size() > 1 && command[1].ends_with(function);
    };
    DeploymentWorker worker(Options());
    ASSERT_TRUE(worker.Start(&details_));
    const MintedExecutionId id = Create();
    if (c.is_resumed) Interrupt(id);
    const IssuedGrant grant = Granted(id);
    bool is_lost = false;
    if (end == ClaimError::kUnavailable || !may_shut) {
      server_.answer = [&](std::int64_t, const std::vector<std::string>& command) {
        if (!may_shut && command.size() > 1 && command[1] == "KILL") {
          return std::optional<std::string>("-NOPERM no\r\n");
        }
        const bool is_first = is_claim(command) && !std::exchange(is_lost, true);
        return is_first ? std::optional<std::string>("") : std::nullopt;  // no answer ever
      };
    } else {
      server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
        if (!is_claim(command) || std::exchange(is_lost, true)) return;
        world_.CutOff(server_, true);
        const std::int64_t after = end == ClaimError::kUnknownOutcome ? 2000 : 700;
        world_.At(world_.now() + after, [&] {
          world_.CutOff(server_, false);
          if (end == ClaimError::kStaleLease) Do({"HSET", Key(id, "core"), "current_lease_id", ""});
        });
      };
    }
    details_.clear();
    const Work work = worker.Claim(grant.view(), lane_, c.is_told ? &details_ : nullptr);
    EXPECT_TRUE(is_lost);
    EXPECT_EQ(work.error, end) << ErrorName(work.error) << ", not " << ErrorName(end);
    // An error has words: those of the claim, unless those of the search replace them.
    EXPECT_EQ(details_.size(), work || !c.is_told ? 0u : 1u);
    if (details_.size() > 0) {
      EXPECT_NE(details_[0], "");
    }
    if (work) {
      EXPECT_EQ(work.lease().attempt_index.value, 0u);
      EXPECT_FALSE(work.lost());
    }
    server_.answer = nullptr;
    server_.on_function = nullptr;
    world_.Pass(3000);
    EXPECT_TRUE(worker.Stop());
  }
}

// Somebody has claimed the execution and is heard of no more. The worker gets a reclaim grant.
TEST_F(Deployments, AnExecutionWhoseLeaseHasExpiredIsTakenOver) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  for (const bool is_answer_lost : {false, true}) {
    const MintedExecutionId id = Create({.payload = "abc"});
    const Lease lost = Claim(id);
    const auto granted = [&] {
      const IssueOutcome issued = ledger_->IssueReclaimGrant(
          {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000});
      return issued.error;
    };
    EXPECT_EQ(granted(), ClaimError::kExecutionNotReclaimable);
    world_.Pass(5000);
    // The renewal by the owner, which comes too late, marks the lease as expired. On a deployment
    // FlowFabric's scanner would do this.
    const RenewOutcome late = ledger_->Renew({.execution_id = id.view(),
                                              .attempt_index = lost.attempt_index,
                                              .fence = lost.fence,
                                              .lease_ttl_ms = 5000});
    EXPECT_EQ(late.error, ClaimError::kLeaseExpired);
    ASSERT_EQ(granted(), ClaimError::kNone);
    // The worker compares the grant's expiry with the clock of this machine, not with the world's.
    const IssuedGrant issued(id.view(), TimestampMs{INT64_MAX});
    const ReclaimGrantView grant = {issued.view(), lane_};
    bool is_lost = !is_answer_lost;
    server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
      if (!command[1].ends_with("_reclaim_execution") || std::exchange(is_lost, true)) return;
      world_.CutOff(server_, true);
      world_.At(world_.now() + 700, [&] { world_.CutOff(server_, false); });
    };
    Work work = worker.Reclaim(grant, &details_);
    EXPECT_TRUE(is_lost);
    server_.on_function = nullptr;
    ASSERT_TRUE(work) << ErrorName(work.error);
    EXPECT_EQ(work.id().text(), id.text());
    EXPECT_EQ(work.lease().attempt_index.value, 1u);
    ExecutionInput input;
    ASSERT_TRUE(work.ReadInput(input));
    EXPECT_EQ(input.payload(), "abc");
    EXPECT_EQ(input.attempt_type(), "reclaim");
    for (int i = 0; i < 20; ++i) {
      (void)worker.RunDue();
      world_.Pass(500);
    }
    EXPECT_FALSE(work.lost());
    EXPECT_EQ(ledger_->Complete({.execution_id = id.view(), .fence = lost.fence}).error,
              ClaimError::kStaleLease);
    ASSERT_TRUE(work.Complete("ABC", &details_));
    EXPECT_EQ(worker.Reclaim(grant).error, ClaimError::kExecutionNotReclaimable);
  }
  const MintedExecutionId other = Create();
  const IssuedGrant expired(other.view(), TimestampMs{1});
  EXPECT_EQ(worker.Reclaim({expired.view(), lane_}).error, ClaimError::kClaimGrantExpired);
}

// The server counts the lease from the moment in which it executes the claim, however late its
// answer comes. So the worker counts from the moment before it sends the claim.
TEST_F(Deployments, ALeaseIsNeverHeldLongerThanByTheServer) {
  enum class Kind { kClaim, kResumed, kReclaim };
  for (const Kind kind : {Kind::kClaim, Kind::kResumed, Kind::kReclaim}) {
    // With the last of these delays the answer is lost, and the worker looks for what became of its
    // claim.
    for (const std::int64_t late_ms : {0, 400, 700}) {
      SCOPED_TRACE(::testing::Message() << static_cast<int>(kind) << ", late by " << late_ms);
      DeploymentWorker worker(Options());
      ASSERT_TRUE(worker.Start(&details_));
      const MintedExecutionId id = Create();
      const std::string function = kind == Kind::kClaim     ? "_claim_execution"
                                   : kind == Kind::kResumed ? "_claim_resumed_execution"
                                                            : "_reclaim_execution";
      if (kind == Kind::kResumed) Interrupt(id);
      if (kind == Kind::kReclaim) {
        (void)Claim(id);
        ASSERT_TRUE(ledger_->Revoke({.execution_id = id.view()}));
        ASSERT_TRUE(ledger_->IssueReclaimGrant(
            {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
      } else {
        (void)Granted(id);
      }
      std::int64_t ends_at = 0;  // on the server
      server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
        if (!command[1].ends_with(function) || ends_at != 0) return;
        ends_at = world_.now() + 3000;
        if (late_ms == 0) return;
        world_.CutOff(server_, true);
        world_.At(world_.now() + late_ms, [&] { world_.CutOff(server_, false); });
      };
      // The worker compares the grant's expiry with the clock of this machine, not with the
      // world's.
      const IssuedGrant grant(id.view(), TimestampMs{INT64_MAX});
      const Work work = kind == Kind::kReclaim ? worker.Reclaim({grant.view(), lane_}, &details_)
                                               : worker.Claim(grant.view(), lane_, &details_);
      server_.on_function = nullptr;
      ASSERT_TRUE(work) << ErrorName(work.error);
      ASSERT_GE(world_.now(), ends_at - 3000 + late_ms);
      EXPECT_FALSE(work.lost());
      world_.Pass(ends_at - world_.now() - 1);
      EXPECT_TRUE(work.lost()) << "1 ms before the server lets it expire";
    }
  }
}

TEST_F(Deployments, ItsEndIsTheRegistrations) {
  {
    DeploymentWorker worker(Options());
    ASSERT_TRUE(worker.Start());
    EXPECT_EQ(Alive(), ":1\r\n");
  }
  EXPECT_EQ(Alive(), ":0\r\n");
  // The key that is deleted here comes back with the next refresh.
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start());
  Do({"DEL", "ff:worker:default:w1-i1:alive"});
  world_.Pass(999);
  EXPECT_LE(worker.RunDue(), 1);
  EXPECT_EQ(Alive(), ":0\r\n");
  world_.Pass(1);
  (void)worker.RunDue();
  EXPECT_EQ(Alive(), ":1\r\n");
  // After Stop() a caller may go on to call RunDue(), for the leases that the worker still keeps.
  ASSERT_TRUE(worker.Stop());
  for (int i = 0; i < 10; ++i) {
    world_.Pass(1000);
    (void)worker.RunDue();
    EXPECT_EQ(Alive(), ":0\r\n") << i;
  }
}

// registration() tells of the last try alone, whatever the try before it came to.
TEST_F(Deployments, ARegistrationIsAsItsLastTryHasLeftIt) {
  const struct {
    ClaimError error;
    std::string reply;  // to the question whose the registration is; empty: the server's own reply
  } kCases[] = {{ClaimError::kNone, ""},
                {ClaimError::kInvalidInput, "$7\r\nanother\r\n"},
                {ClaimError::kUnknownCode, "-ERR no\r\n"},
                {ClaimError::kUnavailable, ":1\r\n"}};
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  EXPECT_EQ(worker.registration().error, ClaimError::kNone);
  for (const auto& before : kCases) {
    for (const auto& last : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << ErrorName(before.error) << ", " << ErrorName(last.error));
      for (const auto& c : {before, last}) {
        server_.answer = nullptr;
        if (!c.reply.empty()) Answer("GET", c.reply);
        world_.Pass(1000);  // the next refresh is due, also after one that has worked
        (void)worker.RunDue();
        EXPECT_EQ(worker.registration().error, c.error);
      }
    }
  }
  server_.answer = nullptr;
  EXPECT_TRUE(worker.Stop());
}

// A server that has no memory left, or takes no writes for another reason, still says what the user
// may do.
TEST_F(WorkerCalls, RightsAreToldByAServerThatTakesNoWrites) {
  for (const char* const refusal :
       {"", "OOM command not allowed", "MISCONF no disk", "NOREPLICAS not enough"}) {
    server_.refusal = refusal;
    ServerInfo info;
    EXPECT_TRUE(ledger_->Connect(info)) << refusal;
    EXPECT_TRUE(info.rights_known) << refusal;
    EXPECT_TRUE(info.refused_calls.empty()) << refusal;
  }
}

// An earlier registration, which could not be ended, is the worker's own, so the worker takes it
// up.
TEST_F(Deployments, AStartTakesUpWhatAStopHasLeft) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  world_.CutOff(server_, true);
  EXPECT_FALSE(worker.Stop());
  world_.CutOff(server_, false);
  EXPECT_EQ(Alive(), ":1\r\n");
  world_.Pass(500);
  EXPECT_TRUE(worker.Start(&details_)) << (details_.size() > 0 ? details_[0] : "");
  EXPECT_TRUE(worker.Stop());
  EXPECT_EQ(Alive(), ":0\r\n");
}

// A new start would end the keeper that keeps the lease, and the worker that gave the permit.
TEST_F(Deployments, AStartIsRefusedWhileAWorkLives) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  const MintedExecutionId id = Create();
  const IssuedGrant grant = Granted(id);
  Work work = worker.Claim(grant.view(), lane_, &details_);
  ASSERT_TRUE(work) << ErrorName(work.error);
  for (const bool is_stopped : {false, true}) {
    SCOPED_TRACE(is_stopped);
    if (is_stopped) {
      EXPECT_TRUE(worker.Stop());
    }
    EXPECT_EQ(worker.Start().error, ClaimError::kInvalidInput);
    EXPECT_EQ(worker.Start(&details_).error, ClaimError::kInvalidInput);
    ASSERT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], "a Work of an earlier Start() still lives");
    EXPECT_EQ(Alive(), is_stopped ? ":0\r\n" : ":1\r\n") << "nothing has changed";
    for (int i = 0; i < 20; ++i) {
      (void)worker.RunDue();
      world_.Pass(500);
    }
    EXPECT_FALSE(work.lost());
  }
  // A Work that has been ended does no harm, and neither does one that never was one.
  EXPECT_TRUE(work.Complete("x", &details_));
  const Work refused = worker.Claim(grant.view(), lane_);
  EXPECT_FALSE(refused);
  ASSERT_TRUE(worker.Start(&details_)) << (details_.size() > 0 ? details_[0] : "");
  // A lost lease, too, is the keeper's until its Work dies.
  const MintedExecutionId other = Create();
  const IssuedGrant of_other = Granted(other);
  {
    const Work lost = worker.Claim(of_other.view(), lane_, &details_);
    ASSERT_TRUE(lost) << ErrorName(lost.error);
    world_.Pass(10'000);
    EXPECT_TRUE(lost.lost());
    EXPECT_EQ(worker.Start(&details_).error, ClaimError::kInvalidInput);
  }
  EXPECT_TRUE(worker.Start(&details_)) << (details_.size() > 0 ? details_[0] : "");
  EXPECT_TRUE(worker.Stop());
}

// A registration that could not be ended is ended by the next Stop().
TEST_F(Deployments, AStopThatFailsMayBeMadeAgain) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  for (int i = 0; i < 2; ++i) {
    world_.CutOff(server_, true);
    EXPECT_EQ(worker.Stop(&details_).error, ClaimError::kUnavailable);
    EXPECT_EQ(worker.Stop(&details_).error, ClaimError::kUnavailable);
    // A Start() that does not get as far as registering leaves the earlier registration.
    EXPECT_FALSE(worker.Start(&details_));
    world_.CutOff(server_, false);
    EXPECT_EQ(Alive(), ":1\r\n");
    world_.Pass(1);
    if (i == 0) {
      server_.answer = [](std::int64_t, const std::vector<std::string>& command) {
        // Start() fails after it has read the counts, and Stop() before it has ended anything.
        const bool fails = command[0] == "GET" || command[0] == "FCALL";
        return fails ? std::optional<std::string>("-ERR odd\r\n") : std::nullopt;
      };
      EXPECT_FALSE(worker.Start(&details_));
      server_.answer = nullptr;
      EXPECT_EQ(Alive(), ":1\r\n");
    }
    EXPECT_TRUE(worker.Stop(&details_));
    EXPECT_EQ(Alive(), ":0\r\n");
    EXPECT_TRUE(worker.Stop(&details_));
    if (i == 0) {
      ASSERT_TRUE(worker.Start(&details_));
    }
  }
}

// An execution whose claim was found only afterwards also takes one of the worker's permits.
TEST_F(Deployments, AClaimThatIsFoundHasAPermit) {
  DeploymentWorkerOptions options = Options();
  options.worker.permits = 1;
  DeploymentWorker worker(options);
  ASSERT_TRUE(worker.Start(&details_));
  const MintedExecutionId id = Create();
  const IssuedGrant grant = Granted(id);
  const MintedExecutionId other = Create();
  const IssuedGrant of_other = Granted(other);
  bool is_lost = false;
  server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
    if (!command[1].ends_with("_claim_execution") || std::exchange(is_lost, true)) return;
    world_.CutOff(server_, true);
    world_.At(world_.now() + 700, [&] { world_.CutOff(server_, false); });
  };
  {
    const Work work = worker.Claim(grant.view(), lane_, &details_);
    ASSERT_TRUE(work) << ErrorName(work.error);
    EXPECT_TRUE(is_lost);
    EXPECT_EQ(worker.Claim(of_other.view(), lane_).error, ClaimError::kWorkerAtCapacity);
  }
  EXPECT_TRUE(worker.Claim(of_other.view(), lane_));
}

TEST_F(Deployments, AWorkerWithoutLanesRegistersNothing) {
  DeploymentWorkerOptions options = Options();
  options.lanes.clear();
  DeploymentWorker worker(options);
  ASSERT_TRUE(worker.Start());
  for (int i = 0; i < 10; ++i) {
    world_.Pass(1000);
    (void)worker.RunDue();
    for (const char* const instance : {"", "w1-i1"}) {
      EXPECT_EQ(Do({"EXISTS", "ff:worker:default:" + std::string(instance) + ":alive"}), ":0\r\n");
    }
  }
  EXPECT_TRUE(worker.Stop());
}

TEST_F(Deployments, AnInstanceIdIsOneProcess) {
  DeploymentWorker first(Options());
  ASSERT_TRUE(first.Start());
  DeploymentWorker second(Options());
  EXPECT_EQ(second.Start(&details_).error, ClaimError::kInvalidInput);
  EXPECT_EQ(details_[0], "worker_instance_id: another process has registered it");
  // When the second worker stops, the first worker stays registered.
  EXPECT_TRUE(second.Stop());
  EXPECT_EQ(Alive(), ":1\r\n");
  EXPECT_TRUE(first.Stop());
  EXPECT_TRUE(second.Start());
}

TEST_F(Deployments, WithoutLanesItRegistersNothing) {
  DeploymentWorkerOptions options = Options();
  options.lanes.clear();
  DeploymentWorker worker(options);
  ASSERT_TRUE(worker.Start());
  EXPECT_EQ(Alive(), ":0\r\n");
  EXPECT_EQ(worker.RunDue(), 1000);
  options.lanes = {"a\x7f"};
  DeploymentWorker odd(options);
  EXPECT_EQ(odd.Start(&details_).error, ClaimError::kInvalidInput);
  EXPECT_EQ(details_[0], "lane_id contains non-ASCII-printable byte at index 1");
  EXPECT_EQ(odd.Start().error, ClaimError::kInvalidInput);
  for (const std::int64_t ttl : {std::int64_t{999}, std::int64_t{0}, kMaxTtlMs + 1}) {
    options.registration_ttl_ms = ttl;
    EXPECT_THROW(DeploymentWorker{options}, std::invalid_argument) << ttl;
  }
  for (const std::int64_t ttl : {std::int64_t{1000}, kMaxTtlMs}) {
    options.registration_ttl_ms = ttl;
    EXPECT_NO_THROW(DeploymentWorker{options}) << ttl;
  }
  options = Options();
  options.keeper.jitter = 2;
  EXPECT_THROW(DeploymentWorker{options}, std::invalid_argument) << "not only at the start";
}

// A caller that has its own loop may still leave the registration to the worker's thread.
TEST_F(Deployments, WhatAThreadRefreshesRunDueLeavesToIt) {
  for (const bool has_thread : {true, false}) {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<std::int64_t> now = world_.now();
    std::atomic<bool> has_told = false;
    std::promise<void> looked;
    DeploymentWorkerOptions options = Options();
    options.has_thread = has_thread;
    options.registration_ttl_ms = 60'000;
    options.keeper.now_ms = [&] {
      const std::int64_t read = now.load();
      // The thread finds nothing to do now, and then sleeps for 20 s of real time.
      if (std::this_thread::get_id() != caller && !has_told.exchange(true)) looked.set_value();
      return read;
    };
    DeploymentWorker worker(options);
    const std::size_t take_signals = ffgrant::testing::ThreadsThatTake(SIGTERM);
    ASSERT_TRUE(worker.Start(&details_));
    EXPECT_EQ(ffgrant::testing::ThreadsThatTake(SIGTERM), take_signals);
    EXPECT_EQ(worker.identity().worker_id.text, "w1");
    EXPECT_EQ(worker.identity().worker_instance_id.text, "w1-i1");
    EXPECT_EQ(worker.server().name, "valkey");
    if (has_thread) looked.get_future().wait();
    int refreshed = 0;
    server_.answer = [&](std::int64_t, const std::vector<std::string>& command) {
      refreshed += command[0] == "PEXPIRE" && command[1].ends_with(":alive");
      return std::optional<std::string>();
    };
    now += 20'000;
    EXPECT_EQ(worker.RunDue(), 1000);
    EXPECT_EQ(refreshed, has_thread ? 0 : 1);
    server_.answer = nullptr;
    EXPECT_TRUE(worker.Stop());
    EXPECT_EQ(Alive(), ":0\r\n");
  }
}

// A third of this time is more nanoseconds than a signed number of 64 bits can hold.
TEST_F(Deployments, ARegistrationThatLivesForAgesKeepsNoThreadBusy) {
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> reads = 0;
  std::promise<void> looked;
  DeploymentWorkerOptions options = Options();
  options.has_thread = true;
  options.registration_ttl_ms = kMaxTtlMs;
  options.keeper.now_ms = [&, now = world_.now()] {
    if (std::this_thread::get_id() != caller && reads++ == 0) looked.set_value();
    return now;
  };
  DeploymentWorker worker(options);
  ASSERT_TRUE(worker.Start(&details_));
  looked.get_future().wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(worker.Stop());
  EXPECT_EQ(reads, 1) << "the thread sleeps for a minute of real time";
}

TEST_F(Deployments, WhatTheKeepersThreadsRenewRunDueLeavesToThem) {
  for (const bool has_threads : {true, false}) {
    const std::thread::id caller = std::this_thread::get_id();
    const std::int64_t begin = world_.now();
    std::int64_t now = begin;
    DeploymentWorkerOptions options = Options();
    options.lanes.clear();
    options.keeper.has_threads = has_threads;
    // Time stands still for the keeper's threads, so they find nothing to renew.
    options.keeper.now_ms = [&] { return std::this_thread::get_id() == caller ? now : begin; };
    DeploymentWorker worker(options);
    ASSERT_TRUE(worker.Start(&details_));
    const MintedExecutionId id = Create();
    const KeptLease kept = worker.keeper().Keep(id.view(), Claim(id), 5000, now);
    int renewed = 0;
    server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
      renewed += command[1].ends_with("_renew_lease");
    };
    now += 4000;
    EXPECT_LE(worker.RunDue(), 1000);
    EXPECT_EQ(renewed, has_threads ? 0 : 1);
    server_.on_function = nullptr;
  }
}

// A worker's keeper keeps each lease that the worker has claimed, until the work has ended.
TEST_F(Deployments, TheKeeperIsTheWorkersOwn) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  EXPECT_EQ(worker.keeper().size(), 0u);
  const MintedExecutionId id = Create();
  const IssuedGrant grant = Granted(id);
  Work work = worker.Claim(grant.view(), lane_, &details_);
  ASSERT_TRUE(work);
  EXPECT_EQ(worker.keeper().size(), 1u);
  ASSERT_TRUE(work.Complete(""));
  EXPECT_EQ(worker.keeper().size(), 0u);
  EXPECT_EQ(worker.ledger().Inspect(id.view())->public_state, "completed");
}

// An ending may need several tries, and the lease has to last until one of the tries gets through.
TEST_F(Deployments, ALeaseIsKeptUntilItsEndingHasReturned) {
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_));
  for (const bool fails : {false, true}) {
    const MintedExecutionId id = Create();
    const IssuedGrant grant = Granted(id);
    Work work = worker.Claim(grant.view(), lane_, &details_);
    ASSERT_TRUE(work);
    std::vector<std::size_t> kept;
    server_.on_function = [&](const std::vector<std::string>& command, const std::string&) {
      if (command[1].ends_with("_complete_execution") || command[1].ends_with("_fail_execution")) {
        kept.push_back(worker.keeper().size());
      }
    };
    EXPECT_TRUE(fails ? bool(work.Fail("no disk", "permanent")) : bool(work.Complete("")));
    server_.on_function = nullptr;
    EXPECT_EQ(kept, std::vector<std::size_t>{1u}) << fails;
    EXPECT_EQ(worker.keeper().size(), 0u);
  }
}

// The partition counts are the deployment's, and each refusal names what is wrong.
TEST_F(Deployments, GrantsAreCheckedOnEntry) {
  Do({"HSET", "ff:config:partitions", "num_flow_partitions", "512", "num_budget_partitions", "32",
      "num_quota_partitions", "32"});
  DeploymentWorker worker(Options());
  ASSERT_TRUE(worker.Start(&details_)) << details_[0];
  const auto refusal = [&](std::string_view id, std::string_view key, std::string_view grant_key) {
    const ClaimGrantView grant = {ParseExecutionId(id, ParseMode::kLenient).id, key, grant_key,
                                  5000};
    const Work work = worker.Claim(grant, lane_, &details_);
    EXPECT_NE(work.error, ClaimError::kExecutionNotFound);
    EXPECT_EQ(details_.size(), 1u);
    EXPECT_EQ(details_[0], ErrorName(work.ingress()));
    return work.ingress();
  };
  constexpr std::string_view kUuid = "11111111-1111-4111-8111-111111111111";
  const std::string uuid(kUuid);
  EXPECT_EQ(refusal("{fp:007}:" + uuid, "{fp:7}", "x"), IngressError::kNonCanonicalExecutionId);
  EXPECT_EQ(refusal("{fp:600}:" + uuid, "{fp:600}", "x"), IngressError::kPartitionOutOfRange);
  EXPECT_EQ(refusal("{fp:7}:" + uuid, "{fp:8}", "x"), IngressError::kTagMismatch);
  EXPECT_EQ(refusal("{fp:7}:" + uuid, "fp:7", "x"), IngressError::kInvalidPartitionKey);
  // A partition beyond the default counts is valid here.
  const MintedExecutionId id(511, ids_.Next());
  const ClaimGrantView unknown = {id.view(), "{fp:511}", "x", 5000};
  EXPECT_EQ(worker.Claim(unknown, lane_).error, ClaimError::kExecutionNotFound);

  Do({"HSET", "ff:config:partitions", "num_flow_partitions", "many"});
  DeploymentWorker other(Options("w1-i2"));
  EXPECT_EQ(other.Start(&details_).error, ClaimError::kInvalidInput);
  EXPECT_EQ(details_[0], "ff:config:partitions: num_flow_partitions is no partition count");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
