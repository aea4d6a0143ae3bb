// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/claim_pipeline.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/pipeline_functions.h"
#include "testing/naive/naive_uuid.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Call = ClaimPipeline::Call;
using Kind = Fault::Kind;
using ffgrant::testing::NaiveUuidText;
using Way = ScriptedRig::Way;

constexpr Call kCalls[] = {Call::kCreate,        Call::kIssue, Call::kClaim,
                           Call::kIssueAndClaim, Call::kRenew, Call::kComplete};

// Submits a call of the kind `call`.
bool Submit(ScriptedRig& rig, const Way& way, Call call, std::uint64_t tag) {
  const ExecutionIdView id = way.execution.view();
  if (call == Call::kIssueAndClaim) {
    return rig.pipeline().SubmitIssueAndClaim({.execution_id = id,
                                               .worker = {{"w1"}, {"w1-i1"}},
                                               .lane = ParseLaneId("main").lane,
                                               .lease_id = way.lease_id,
                                               .lease_ttl_ms = 5000,
                                               .attempt_id = way.attempt_id},
                                              tag);
  }
  if (call == Call::kRenew) {
    return rig.pipeline().SubmitRenew({.execution_id = id,
                                       .attempt_index = {0},
                                       .fence = LeaseFence{way.lease_id, {1}, way.attempt_id},
                                       .lease_ttl_ms = 5000},
                                      tag);
  }
  return rig.Submit(way, call, tag);
}

// Submits a call that is refused at once.
bool SubmitRefused(ScriptedRig& rig, const Way& way, std::uint64_t tag) {
  return rig.pipeline().SubmitIssue({.execution_id = way.execution.view(),
                                     .worker = {{"w1"}, {"w1-i1"}},
                                     .lane = ParseLaneId("main").lane,
                                     .grant_ttl_ms = kMaxTtlMs + 1},
                                    tag);
}

// Polls until nothing is under way any more; returns everything that completed, by tag.
std::multimap<std::uint64_t, ClaimPipeline::Completion> RunAll(ScriptedRig& rig) {
  std::multimap<std::uint64_t, ClaimPipeline::Completion> all;
  for (int i = 0; i < 100'000; ++i) {
    for (const auto& done : rig.pipeline().Poll(50)) all.emplace(done.tag, done);
    if (rig.pipeline().in_flight() == 0) return all;
  }
  std::abort();  // a call did not complete
}

TEST(ClaimPipelineTest, HoldsAsManyCallsAsItsOptionsSay) {
  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  ClientOptions options = ScriptedOptions(server, network);
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{65536}}) {
    options.max_in_flight = size;
    EXPECT_EQ(ClaimPipeline(options).capacity(), size);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{65537}, SIZE_MAX}) {
    options.max_in_flight = size;
    EXPECT_THROW(ClaimPipeline{options}, std::invalid_argument) << size;
  }
}

TEST(ClaimPipelineTest, DefaultsOutOfRangeAreRefused) {
  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  const ClientOptions options = ScriptedOptions(server, network);
  ClaimDefaults defaults;
  for (const std::int64_t grace : {std::int64_t{-1}, kMaxTtlMs + 1, INT64_MAX, INT64_MIN}) {
    defaults.lease_history_grace_ms = grace;
    EXPECT_THROW(ClaimPipeline(options, defaults), std::invalid_argument) << grace;
  }
  for (const std::int64_t grace : {std::int64_t{0}, kMaxTtlMs}) {
    defaults.lease_history_grace_ms = grace;
    EXPECT_NO_THROW(ClaimPipeline(options, defaults)) << grace;
  }
  defaults.partitions.num_flow_partitions = 0;
  EXPECT_THROW(ClaimPipeline(options, defaults), std::invalid_argument);
}

TEST(ClaimPipelineTest, TakesNoMoreUntilWhatCompletedIsTaken) {
  ScriptedRig rig([](ClientOptions options) {
    options.max_in_flight = 2;
    return options;
  });
  std::vector<Way> ways;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) ways.emplace_back(seed);
  ASSERT_TRUE(rig.Run(ways[0], Call::kCreate));

  // Two calls are under way.
  ASSERT_TRUE(Submit(rig, ways[1], Call::kCreate, 1));
  ASSERT_TRUE(Submit(rig, ways[2], Call::kCreate, 2));
  EXPECT_FALSE(Submit(rig, ways[3], Call::kCreate, 3));
  EXPECT_FALSE(SubmitRefused(rig, ways[3], 3));
  EXPECT_EQ(rig.pipeline().in_flight(), 2u);
  auto all = RunAll(rig);
  ASSERT_EQ(all.size(), 2u);
  for (const auto& [tag, done] : all) EXPECT_TRUE(done) << tag;
  EXPECT_FALSE(rig.server.WasCreated(std::string(ways[3].execution.text())));

  // One call is under way and one has completed.
  ASSERT_TRUE(SubmitRefused(rig, ways[0], 4));
  ASSERT_TRUE(Submit(rig, ways[3], Call::kCreate, 5));
  EXPECT_EQ(rig.pipeline().in_flight(), 1u);
  EXPECT_FALSE(Submit(rig, ways[4], Call::kCreate, 6));
  // A completed call is returned at once, however long Poll() may wait.
  const std::int64_t before = rig.network->NowMs();
  const auto done = rig.pipeline().Poll(60'000);
  EXPECT_EQ(rig.network->NowMs(), before);
  ASSERT_GE(done.size(), 1u);
  EXPECT_EQ(done[0].tag, 4u);
  EXPECT_EQ(done[0].error, ClaimError::kInvalidInput);
  EXPECT_TRUE(Submit(rig, ways[4], Call::kCreate, 6));
  const std::size_t early = done.size() - 1;
  all = RunAll(rig);
  EXPECT_EQ(all.size() + early, 2u);
  EXPECT_TRUE(rig.server.WasCreated(std::string(ways[3].execution.text())));
  EXPECT_TRUE(rig.server.WasCreated(std::string(ways[4].execution.text())));
}

TEST(ClaimPipelineTest, AnswersToEveryCall) {
  const Way way(1);
  const std::string id(way.execution.text());
  const std::string lease = NaiveUuidText(way.lease_id.uuid);
  const std::string attempt = NaiveUuidText(way.attempt_id.uuid);
  const struct {
    Call call;
    std::string fits;
    std::string misfits;
  } kCases[] = {
      {Call::kCreate, OkReply({id, "delayed"}), OkReply({"{fp:7}:another", "waiting"})},
      {Call::kIssue, OkReply({id}), OkReply({"{fp:7}:another"})},
      {Call::kClaim, OkReply({lease, "3", "99", attempt, "2", "retry"}),
       OkReply({attempt, "3", "99", attempt, "2", "retry"})},
      {Call::kIssueAndClaim, OkReply({lease, "3", "2"}), OkReply({attempt, "3", "2"})},
      {Call::kRenew, OkReply({"99"}), OkReply({"soon"})},
      {Call::kComplete, OkReply({"completed"}), OkReply({"cancelled"})},
  };
  for (const auto& c : kCases) {
    const std::string where = "call " + std::to_string(static_cast<int>(c.call));
    ScriptedRig rig;
    const auto run = [&](const std::string& answer) {
      rig.server.answer = [answer](std::int64_t, const Words& command) {
        const bool of_a_claim = command[0] == "FCALL" && !command[1].ends_with("_version");
        return of_a_claim ? std::optional(answer) : std::nullopt;
      };
      EXPECT_TRUE(Submit(rig, way, c.call, 7));
      const auto all = RunAll(rig);
      EXPECT_EQ(all.size(), 1u) << where;
      const ClaimPipeline::Completion done =
          all.empty() ? ClaimPipeline::Completion() : all.begin()->second;
      EXPECT_EQ(done.tag, 7u);
      EXPECT_EQ(done.call, c.call);
      return done;
    };

    const ClaimPipeline::Completion done = run(c.fits);
    EXPECT_EQ(done.error, ClaimError::kNone) << where;
    const bool claims = c.call == Call::kClaim || c.call == Call::kIssueAndClaim;
    EXPECT_EQ(done.created, c.call == Call::kCreate ? CreateOutcome::Status::kDelayed
                                                    : CreateOutcome::Status::kWaiting);
    EXPECT_EQ(done.lease.fence,
              claims ? (LeaseFence{way.lease_id, {3}, way.attempt_id}) : LeaseFence{})
        << where;
    EXPECT_EQ(done.lease.expires_at, TimestampMs{c.call == Call::kClaim ? 99 : 0}) << where;
    EXPECT_EQ(done.expires_at, TimestampMs{c.call == Call::kRenew ? 99 : 0}) << where;

    EXPECT_EQ(run(RejectedReply("stale_lease")).error, ClaimError::kStaleLease) << where;
    EXPECT_EQ(rig.pipeline().last_error(), "");
    EXPECT_EQ(run(RejectedReply("surprise")).error, ClaimError::kUnknownCode) << where;
    EXPECT_EQ(rig.pipeline().last_error(), "surprise");
    EXPECT_EQ(run("-ERR user_function: line 1\r\n").error,
              claims ? ClaimError::kUnknownOutcome : ClaimError::kUnknownCode)
        << where;
    EXPECT_EQ(rig.pipeline().last_error(), "ERR user_function: line 1");
    // A text that is too long is cut, not lost.
    EXPECT_EQ(run(RejectedReply(std::string(300, 'x'))).error, ClaimError::kUnknownCode);
    EXPECT_EQ(rig.pipeline().last_error(), std::string(256, 'x'));

    EXPECT_EQ(run(c.misfits).error, ClaimError::kUnknownOutcome) << where;
    EXPECT_EQ(rig.pipeline().last_error(), "an answer that does not fit its command");
    EXPECT_EQ(run("+OK\r\n").error, ClaimError::kUnknownOutcome) << where;
  }
}

// Texts that their caller overwrites.
class PassingTexts {
 public:
  std::string_view operator()(std::string_view text) { return texts_.emplace_back(text); }
  void Overwrite() {
    for (std::string& text : texts_) text.assign(text.size(), 'x');
  }

 private:
  std::deque<std::string> texts_;
};

// Once a call is submitted, its caller may overwrite whatever the arguments view. What is sent, and
// how the call completes, is the same.
TEST(ClaimPipelineTest, KeepsNoneOfItsArguments) {
  const Way way(1);
  const std::string id(way.execution.text());
  const std::string lease = NaiveUuidText(way.lease_id.uuid);
  const std::string attempt = NaiveUuidText(way.attempt_id.uuid);
  const std::map<Call, std::string> answers = {
      {Call::kCreate, OkReply({id, "waiting"})},
      {Call::kIssue, OkReply({id})},
      {Call::kClaim, OkReply({lease, "1", "99", attempt, "0", "initial"})},
      {Call::kIssueAndClaim, OkReply({lease, "1", "0"})},
      {Call::kRenew, OkReply({"99"})},
      {Call::kComplete, OkReply({"completed"})},
  };
  const auto submit = [&way](ClaimPipeline& pipeline, Call call, PassingTexts& text) {
    const ExecutionIdView view =
        ParseExecutionId(text(way.execution.text()), ParseMode::kStrict).id;
    const LaneIdView lane = ParseLaneId(text("main")).lane;
    const WorkerIdentity worker = {{text("w1")}, {text("w1-i1")}};
    const ClaimArgs claim = {.execution_id = view,
                             .worker = worker,
                             .lane = lane,
                             .lease_id = way.lease_id,
                             .lease_ttl_ms = 5000,
                             .attempt_id = way.attempt_id};
    const LeaseFence fence = {way.lease_id, {1}, way.attempt_id};
    switch (call) {
      case Call::kCreate:
        return pipeline.SubmitCreate({.execution_id = view, .lane = lane}, text("payload"), 7);
      case Call::kIssue:
        return pipeline.SubmitIssue({.execution_id = view,
                                     .worker = worker,
                                     .lane = lane,
                                     .grant_ttl_ms = 5000,
                                     .capability_hash = text("hash"),
                                     .route_snapshot_json = text("{}"),
                                     .admission_summary = text("summary")},
                                    7);
      case Call::kClaim:
        return pipeline.SubmitClaim(claim, 7);
      case Call::kIssueAndClaim:
        return pipeline.SubmitIssueAndClaim(claim, 7);
      case Call::kRenew:
        return pipeline.SubmitRenew(
            {.execution_id = view, .attempt_index = {0}, .fence = fence, .lease_ttl_ms = 5000}, 7);
      default:
        return pipeline.SubmitComplete(
            {.execution_id = view, .fence = fence},
            {.attempt_index = {0}, .lane = lane, .worker_instance_id = {text("w1-i1")}}, 7,
            text("result"));
    }
  };
  for (const Call call : kCalls) {
    SCOPED_TRACE(static_cast<int>(call));
    std::vector<std::vector<Words>> sent;
    for (const bool overwritten : {false, true}) {
      ScriptedRig rig;
      std::vector<Words>& commands = sent.emplace_back();
      rig.server.answer = [&](std::int64_t, const Words& command) {
        const bool of_a_claim = command[0] == "FCALL" && !command[1].ends_with("_version");
        if (of_a_claim) commands.push_back(command);
        return of_a_claim ? std::optional(answers.at(call)) : std::nullopt;
      };
      PassingTexts texts;
      ASSERT_TRUE(submit(rig.pipeline(), call, texts));
      if (overwritten) texts.Overwrite();
      const auto all = RunAll(rig);
      ASSERT_EQ(all.size(), 1u);
      EXPECT_EQ(all.begin()->second.error, ClaimError::kNone) << overwritten;
    }
    EXPECT_EQ(sent[0].size(), 1u);
    EXPECT_EQ(sent[0], sent[1]);
  }
}

TEST(ClaimPipelineTest, ACompletionSendsItsResult) {
  ScriptedRig rig;
  const Way way(1);
  std::vector<std::string> results;
  rig.server.answer = [&](std::int64_t, const Words& command) {
    if (command[0] != "FCALL" || command[1].ends_with("_version")) {
      return std::optional<std::string>();
    }
    // The result is the last word but one; the last word says whether an operator overrides.
    results.push_back(command.at(command.size() - 2));
    return std::optional(OkReply({"completed"}));
  };
  const auto complete = [&](std::string_view result) {
    return rig.pipeline().SubmitComplete(
        {.execution_id = way.execution.view(),
         .fence = LeaseFence{way.lease_id, {1}, way.attempt_id}},
        {.attempt_index = {0}, .lane = ParseLaneId("main").lane, .worker_instance_id = {"w1-i1"}},
        1, result);
  };
  const std::string bytes("\0\r\n\xff{}", 6);
  EXPECT_TRUE(complete(bytes));
  EXPECT_EQ(RunAll(rig).begin()->second.error, ClaimError::kNone);
  EXPECT_TRUE(complete({}));
  EXPECT_EQ(RunAll(rig).begin()->second.error, ClaimError::kNone);
  EXPECT_EQ(results, (std::vector<std::string>{bytes, ""}));
}

// A large command is sent from within its Submit(). If the connection breaks there, no call ends
// before the next Poll(), and each keeps its tag.
TEST(ClaimPipelineTest, ASubmitThatBreaksTheConnectionLeavesEachItsTag) {
  ScriptedRig rig;
  std::vector<Way> ways;
  for (std::uint64_t seed = 0; seed < 10; ++seed) ways.emplace_back(seed);
  ASSERT_TRUE(rig.Run(ways[0], Call::kCreate));

  // The next commands are sent, but get no answer for now.
  rig.network->SetScript([](Operation operation) -> Fault {
    return {operation == Operation::kArrive ? Kind::kHold : Kind::kNone};
  });
  ASSERT_TRUE(Submit(rig, ways[1], Call::kCreate, 1));
  ASSERT_TRUE(Submit(rig, ways[2], Call::kCreate, 2));
  EXPECT_TRUE(rig.pipeline().Poll(0).empty());
  rig.network->SetScript([](Operation operation) -> Fault {
    return {operation == Operation::kWrite ? Kind::kReset : Kind::kNone};
  });
  const CreateExecutionArgs large = {.execution_id = ways[3].execution.view(),
                                     .lane = ParseLaneId("main").lane};
  ASSERT_TRUE(rig.pipeline().SubmitCreate(large, std::string(100'000, 'x'), 3));
  EXPECT_EQ(rig.pipeline().in_flight(), 3u);
  rig.network->SetScript(nullptr);
  for (std::uint64_t tag = 4; tag < 10; ++tag) {
    ASSERT_TRUE(Submit(rig, ways[tag], Call::kCreate, tag));
  }

  const auto all = RunAll(rig);
  EXPECT_EQ(all.size(), 9u);
  for (std::uint64_t tag = 1; tag < 10; ++tag) {
    ASSERT_EQ(all.count(tag), 1u) << tag;
    const auto& done = all.find(tag)->second;
    EXPECT_EQ(done.error, tag <= 2 ? ClaimError::kUnknownOutcome : ClaimError::kNone) << tag;
    EXPECT_EQ(rig.Contradiction(ways[tag], done), "") << tag;
  }
  // No place for a later call is lost either.
  for (std::size_t i = 0; i < rig.pipeline().capacity(); ++i) {
    EXPECT_TRUE(Submit(rig, ways[0], Call::kCreate, 100 + i));
  }
  EXPECT_EQ(RunAll(rig).size(), rig.pipeline().capacity());
}

TEST(ClaimPipelineTest, ArgumentsThatCantBeSentAreRefusedByEveryCall) {
  ScriptedRig rig;
  ASSERT_TRUE(rig.Run(Way(1), Call::kCreate));
  const std::size_t sent = rig.network->bytes_to_server();
  // The defaults don't have this partition.
  const MintedExecutionId id(300, Way(1).ids.Next());
  Way way(2);
  way.execution = id;
  for (const Call call : kCalls) {
    ASSERT_TRUE(Submit(rig, way, call, 9));
    EXPECT_EQ(rig.pipeline().in_flight(), 0u);
    const auto done = rig.pipeline().Poll(0);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].error,
              call == Call::kCreate ? ClaimError::kInvalidInput : ClaimError::kExecutionNotFound);
    EXPECT_EQ(done[0].tag, 9u);
    EXPECT_EQ(done[0].call, call);
  }
  EXPECT_EQ(rig.network->bytes_to_server(), sent);
}

// A call that was refused has completed without a server. The caller's event loop must not wait.
TEST(ClaimPipelineTest, AWaitIsNotBegunIfACallHasCompleted) {
  ScriptedRig rig;
  const Way way(1);
  EXPECT_EQ(rig.pipeline().PrepareWait(), -1) << "nothing is under way";
  ASSERT_TRUE(SubmitRefused(rig, way, 1));
  EXPECT_EQ(rig.pipeline().PrepareWait(), 0);
  ASSERT_TRUE(Submit(rig, way, Call::kCreate, 2));
  EXPECT_EQ(rig.pipeline().PrepareWait(), 0);
  const auto done = rig.pipeline().Poll(0);
  ASSERT_GE(done.size(), 1u);
  EXPECT_EQ(done[0].tag, 1u);
  (void)RunAll(rig);
  EXPECT_EQ(rig.pipeline().PrepareWait(), -1);
}

// PrepareWait() itself may end the last call that is under way. The caller's event loop must not
// wait then either, since nothing more would wake it.
TEST(ClaimPipelineTest, AWaitIsNotBegunIfItsPreparationEndsTheLastCall) {
  enum End { kTimeIsUp, kTimeIsUpUnsent, kCancelled, kRefused };
  for (const End end : {kTimeIsUp, kTimeIsUpUnsent, kCancelled, kRefused}) {
    SCOPED_TRACE(static_cast<int>(end));
    ScriptedRig rig;
    const bool is_sent = end == kTimeIsUp || end == kCancelled;
    if (is_sent) {
      ASSERT_TRUE(rig.Run(Way(1), Call::kCreate));
    }
    if (end == kRefused) {
      rig.server.answer = [](std::int64_t, const Words& command) -> std::optional<std::string> {
        if (command[0] != "INFO") return std::nullopt;
        return "-NOAUTH Authentication required.\r\n";
      };
      ASSERT_EQ(rig.Run(Way(1), Call::kCreate).error, ClaimError::kUnavailable);
    }
    rig.network->SetScript([](Operation operation) -> Fault {
      if (operation == Operation::kOpen) return {Kind::kWouldBlock};
      return {operation == Operation::kArrive ? Kind::kHold : Kind::kNone};
    });
    ASSERT_TRUE(Submit(rig, Way(2), Call::kCreate, 7));
    if (end != kRefused) {  // a call that is refused ends in the first PrepareWait()
      EXPECT_GT(rig.pipeline().PrepareWait(), 0);
      EXPECT_EQ(rig.pipeline().in_flight(), 1u);
    }
    if (end == kCancelled) rig.pipeline().CancelAll();
    if (end == kTimeIsUp || end == kTimeIsUpUnsent) rig.network->Wait({}, 1000);
    EXPECT_EQ(rig.pipeline().PrepareWait(), 0);
    EXPECT_EQ(rig.pipeline().PrepareWait(), 0) << "until Poll() has returned it";
    const auto done = rig.pipeline().Poll(0);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].tag, 7u);
    EXPECT_EQ(done[0].error, is_sent ? ClaimError::kUnknownOutcome : ClaimError::kUnavailable);
    EXPECT_EQ(rig.pipeline().PrepareWait(), -1);
  }
}

// A caller that goes on making calls that are refused still gets the answer to an earlier call.
TEST(ClaimPipelineTest, RefusedCallsHoldUpNoOther) {
  ScriptedRig rig;
  const Way good(1);
  const Way bad(2);
  ASSERT_TRUE(Submit(rig, good, Call::kCreate, 1));
  std::set<std::uint64_t> ended;
  for (std::uint64_t tag = 2; tag < 100 && ended.count(1) == 0; ++tag) {
    ASSERT_TRUE(SubmitRefused(rig, bad, tag));
    for (const ClaimPipeline::Completion& done : rig.pipeline().Poll(1000)) ended.insert(done.tag);
    EXPECT_EQ(ended.count(tag), 1u);
    rig.network->Wait({}, 10);
  }
  EXPECT_EQ(ended.count(1), 1u);
}

// The caller's thread stalls for longer than the limit, after its calls have been sent. All answers
// have come meanwhile.
TEST(ClaimPipelineTest, TimeInWhichNobodyPollsIsNoDelayOfTheServers) {
  ScriptedRig rig([](ClientOptions options) {
    options.max_in_flight = 256;
    return options;
  });
  ASSERT_TRUE(rig.Run(Way(0), Call::kCreate));
  rig.network->SetScript([](Operation operation) -> Fault {
    return operation == Operation::kAnswer ? Fault{Kind::kLate, 10} : Fault{};
  });
  for (std::uint64_t tag = 1; tag <= 256; ++tag) {
    ASSERT_TRUE(Submit(rig, Way(tag), Call::kCreate, tag));
  }
  EXPECT_TRUE(rig.pipeline().Poll(0).empty());
  rig.network->Wait({}, 1000);
  const auto all = RunAll(rig);
  EXPECT_EQ(all.size(), 256u);
  for (const auto& [tag, done] : all) EXPECT_TRUE(done) << tag << " " << ErrorName(done.error);
  EXPECT_EQ(rig.pipeline().connects(), 1u);
}

TEST(ClaimPipelineTest, CountsWhatItsConnectionsDo) {
  ScriptedRig rig;
  EXPECT_EQ(rig.pipeline().connects(), 0u);
  EXPECT_EQ(rig.pipeline().counters().commands, 0u);
  ASSERT_TRUE(rig.Run(Way(1), Call::kCreate));
  ASSERT_TRUE(rig.Run(Way(2), Call::kCreate));
  EXPECT_EQ(rig.pipeline().connects(), 1u);
  ClientCounters counters = rig.pipeline().counters();
  EXPECT_EQ(counters.connects, 1u);
  EXPECT_EQ(counters.commands, 2u);
  EXPECT_EQ(counters.replies, 2u);
  EXPECT_EQ(counters.bytes_sent, rig.network->bytes_to_server());
  EXPECT_EQ(counters.bytes_received, rig.network->bytes_to_client());
  rig.network->HangUp(1);
  ASSERT_TRUE(rig.Run(Way(3), Call::kCreate));
  EXPECT_EQ(rig.pipeline().connects(), 2u);
  counters = rig.pipeline().counters();
  EXPECT_EQ(counters.connects, 2u);
  EXPECT_EQ(counters.connections_lost, 1u);
}

// A benchmark puts functions of its own in the place of the calls' functions.
TEST(ClaimPipelineTest, CallsTheFunctionThatItIsToldTo) {
  for (const Call call : {Call::kIssue, Call::kClaim, Call::kIssueAndClaim, Call::kComplete}) {
    SCOPED_TRACE(static_cast<int>(call));
    ScriptedRig rig;
    const Way way(1);
    std::vector<Words> sent;
    rig.server.answer = [&](std::int64_t, const Words& command) -> std::optional<std::string> {
      if (command[0] != "FCALL" || command[1].ends_with("_version")) return std::nullopt;
      sent.push_back(command);
      return RejectedReply("stale_lease");
    };
    for (const std::string_view function : {"", "bench_limit", ""}) {
      internal::PipelineFunctions::Use(rig.pipeline(), call, function);
      ASSERT_TRUE(Submit(rig, way, call, 1));
      EXPECT_EQ(RunAll(rig).begin()->second.error, ClaimError::kStaleLease);
    }
    ASSERT_EQ(sent.size(), 3u);
    EXPECT_EQ(sent[1][1], "bench_limit");
    EXPECT_EQ(sent[0], sent[2]);
    EXPECT_TRUE(sent[0][1].starts_with("ff_")) << sent[0][1];
    sent[1][1] = sent[0][1];
    EXPECT_EQ(sent[1], sent[0]) << "the same KEYS and ARGV";
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
