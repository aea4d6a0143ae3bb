// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/session.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/client_rig.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::internal {
namespace {

using testing::Fault;
using testing::Operation;
using testing::ScriptedNetwork;
using testing::ScriptedServer;

// In these tests a call has at most one command under way, apart from commands that it may leave
// behind.
class SessionTest : public ::testing::Test {
 protected:
  static ClientOptions Options(ClientOptions options) {
    options.max_in_flight = 1;
    return options;
  }

  // Creates execution `number`; `read` gets the answer.
  template <class Read>
  void Add(Group& group, std::uint64_t number, Read& read) {
    const testing::ScriptedRig::Way way(number);
    const CreateExecutionArgs args = {.execution_id = way.execution.view(),
                                      .lane = ParseLaneId("main").lane};
    group.Add(
        7, false,
        [&](RespCommand& command) { WriteCreate(command, args, {}, {}, session.scratch); }, read);
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  ClientOptions options = Options(testing::ScriptedOptions(server, network));
  SharedClient client{options, options.make_network(), nullptr};
  Session session{client};
};

TEST_F(SessionTest, AGroupLargerThanTheClientTakesWaitsForRoom) {
  std::vector<std::string> answers;
  auto read = [&](const Reply& reply) {
    answers.emplace_back(reply.TextAt(2).value_or(""));
    return true;
  };
  ErrorDetails details;
  session.Begin();
  Group group(session, &details);
  for (std::uint64_t number = 0; number < 5; ++number) Add(group, number, read);
  EXPECT_EQ(group.Wait(), ClaimError::kNone);
  session.End();
  ASSERT_EQ(answers.size(), 5u);
  for (std::uint64_t number = 0; number < 5; ++number) {
    const testing::ScriptedRig::Way way(number);
    EXPECT_EQ(answers[number], way.execution.text());
  }
  EXPECT_EQ(details.size(), 0u);
}

// Describes how a command ends: with its answer, with the refusal `text`, with a reply that does
// not fit, or without a reply.
struct End {
  enum class Kind : std::uint8_t { kAnswer, kRefusal, kMisfit, kSilence } kind;
  std::string_view text = {};
};
constexpr End kAnswer = {End::Kind::kAnswer};
constexpr End kMisfit = {End::Kind::kMisfit};
constexpr End kSilence = {End::Kind::kSilence};
constexpr End kNoPerm = {End::Kind::kRefusal, "NOPERM no permissions"};
constexpr End kFull = {End::Kind::kRefusal, "OOM command not allowed"};

TEST_F(SessionTest, OfSeveralFailuresTheFirstOfTheWorstKindIsTold) {
  constexpr std::string_view kMisfitText = "an answer that does not fit its command";
  constexpr std::string_view kSilenceText = "no reply in time";
  const struct {
    std::vector<End> ends;
    ClaimError error;
    std::string_view text;
  } kCases[] = {
      {{kAnswer, kAnswer}, ClaimError::kNone, ""},
      {{kAnswer, kNoPerm}, ClaimError::kUnavailable, kNoPerm.text},
      {{kNoPerm, kFull, kAnswer}, ClaimError::kUnavailable, kNoPerm.text},
      {{kFull, kNoPerm}, ClaimError::kUnavailable, kFull.text},
      {{kMisfit, kAnswer}, ClaimError::kUnknownOutcome, kMisfitText},
      {{kMisfit, kSilence}, ClaimError::kUnknownOutcome, kMisfitText},
      {{kSilence, kMisfit}, ClaimError::kUnknownOutcome, kSilenceText},
      {{kNoPerm, kSilence, kMisfit}, ClaimError::kUnknownOutcome, kSilenceText},
      {{kMisfit, kNoPerm}, ClaimError::kUnknownOutcome, kMisfitText},
  };
  std::uint64_t number = 0;
  for (const auto& c : kCases) {
    End current = kAnswer;
    std::string current_id;
    int answered = 0;
    network = nullptr;
    SharedClient own_client(options, options.make_network(), nullptr);
    Session own(own_client);
    network->SetScript([&](Operation operation) -> Fault {
      const bool silent = operation == Operation::kAnswer && current.kind == End::Kind::kSilence &&
                          server.Executions("ff_create_execution", current_id) != 0;
      if (silent) current = kAnswer;  // later commands, on the next connection, are answered
      return silent ? Fault{Fault::Kind::kSilence} : Fault{};
    });
    auto read = [&](const Reply&) {
      ++answered;
      return current.kind != End::Kind::kMisfit;
    };
    ErrorDetails details;
    for (ErrorDetails* const told : {&details, static_cast<ErrorDetails*>(nullptr)}) {
      own.Begin();
      Group group(own, told);
      for (const End& end : c.ends) {
        const testing::ScriptedRig::Way way(++number);
        group.Add(
            7, false,
            [&](RespCommand& command) {
              current = end;
              current_id = way.execution.text();
              if (end.kind == End::Kind::kRefusal) server.refusals = {std::string(end.text)};
              WriteCreate(command,
                          {.execution_id = way.execution.view(), .lane = ParseLaneId("main").lane},
                          {}, {}, own.scratch);
            },
            read);
      }
      EXPECT_EQ(group.Wait(), c.error);
      EXPECT_EQ(own.client().in_flight(), 0u);
      own.End();
    }
    ASSERT_EQ(details.size(), c.text.empty() ? 0u : 1u);
    if (!c.text.empty()) {
      EXPECT_EQ(details[0], c.text);
    }
    EXPECT_TRUE(server.refusals.empty());
  }
}

// The answer to a question comes after the call that asked has ended, during the next call.
TEST_F(SessionTest, ACallMayLeaveACommandBehind) {
  struct Left {
    Session* session;
    int ends = 0;
  } left{&session};
  const CallTarget target = {.self = &left,
                             .on_reply =
                                 [](void* self, std::uint64_t, const Reply&) noexcept {
                                   auto& all = *static_cast<Left*>(self);
                                   ++all.ends;
                                   all.session->LeftEnded();
                                   return true;
                                 },
                             .on_failure = nullptr,
                             .tag = 0};
  const auto ping = [](RespCommand& command) {
    command.Begin(1);
    command.Arg("PING");
  };
  session.Begin();
  const std::uint64_t before = session.ends();
  session.SubmitToLeave(0, true, target, ping);
  session.WaitForEnd(before);
  EXPECT_EQ(left.ends, 1);
  session.SubmitToLeave(0, true, target, ping);
  session.Wait();  // nothing to wait for
  EXPECT_EQ(left.ends, 1);
  session.End();
  session.Begin();
  session.SubmitToLeave(0, true, target, ping);
  const std::uint64_t ends = session.ends();
  while (left.ends < 3) session.WaitForEnd(session.ends());
  EXPECT_GT(session.ends(), ends);
  session.End();
}

TEST(SessionWaitTest, EndsAtItsTime) {
  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  const ClientOptions options = testing::ScriptedOptions(server, network);
  SessionPool pool(options, 1);
  SessionPool::Lease lease = pool.Take();
  Session& session = lease.session;
  network->SetScript(testing::Always(Operation::kAnswer, Fault::Kind::kSilence));
  const CallTarget target = {
      .self = &session,
      .on_reply =
          [](void* self, std::uint64_t, const Reply&) noexcept {
            static_cast<Session*>(self)->LeftEnded();
            return true;
          },
      .on_failure = [](void* self, std::uint64_t, CallFailure,
                       std::string_view) noexcept { static_cast<Session*>(self)->LeftEnded(); },
      .tag = 0};
  session.SubmitToLeave(0, true, target, [](RespCommand& command) {
    command.Begin(1);
    command.Arg("PING");
  });
  const std::uint64_t ends = session.ends();
  const std::int64_t now = session.NowMs();
  session.WaitForEnd(ends, now + 10);
  EXPECT_EQ(session.ends(), ends);
  EXPECT_EQ(session.NowMs(), now + 10);
  session.WaitForEnd(ends, now);  // this time has already passed
  EXPECT_EQ(session.NowMs(), now + 10);
  session.WaitForEnd(ends);
  EXPECT_EQ(session.ends(), ends + 1);
  EXPECT_EQ(session.NowMs(), session.deadline());
}

TEST(SessionPoolTest, HasOneToSomeConnections) {
  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  const ClientOptions options = testing::ScriptedOptions(server, network);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1025}, SIZE_MAX}) {
    EXPECT_THROW(SessionPool(options, size), std::invalid_argument) << size;
  }
  EXPECT_EQ(network, nullptr) << "made before the size was looked at";
  for (const std::size_t size : {std::size_t{1}, std::size_t{3}, std::size_t{1024}}) {
    ClientOptions small = options;
    small.max_in_flight = 1;
    SessionPool pool(small, size);
    EXPECT_EQ(pool.size(), size);
    // A call has a client to itself as long as there are enough clients.
    const SessionPool::Lease first = pool.Take();
    const SessionPool::Lease second = pool.Take();
    EXPECT_EQ(&first.session.client() == &second.session.client(), size == 1);
  }
}

}  // namespace
}  // namespace ffgrant::valkey::internal
