// SPDX-License-Identifier: Apache-2.0
//
// Tests the client on a scripted network. In most runs one thing goes wrong, and the runs try the
// places where it can go wrong one after another. Also tests what FindClaim() says about claims
// whose outcome is unknown.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Kind = Fault::Kind;
using Call = ClaimPipeline::Call;
using Way = ScriptedRig::Way;

// Makes all calls of one execution, and then, without faults, all calls of another. Compares how
// each of the first execution's calls ended with what the server did, including what it does late.
void RunWay(ScriptedRig& rig, bool wants_success, const std::string& where) {
  const Way way(1);
  std::vector<ClaimPipeline::Completion> all;
  for (const Call call : kWay) {
    all.push_back(rig.Run(way, call));
    EXPECT_EQ(rig.Contradiction(way, all.back()), "")
        << where << ", call " << static_cast<int>(call) << " " << ErrorName(all.back().error);
    if (wants_success) {
      EXPECT_EQ(all.back().error, ClaimError::kNone)
          << where << ", call " << static_cast<int>(call);
    }
  }
  rig.network->SetScript(nullptr);
  const Way after(2);
  for (const Call call : kWay) {
    ASSERT_EQ(rig.Run(after, call).error, ClaimError::kNone) << where << ": no recovery";
  }
  rig.network->DeliverAll();
  for (const auto& done : all) EXPECT_EQ(rig.Contradiction(way, done), "") << where << ", late";
  EXPECT_EQ(rig.pipeline().in_flight(), 0u);
}

struct Traffic {
  std::size_t to_server = 0;
  std::size_t to_client = 0;
  std::size_t answers = 0;
};

Traffic TrafficOfAWay() {
  ScriptedRig rig;
  Traffic traffic;
  rig.network->SetScript([&](Operation operation) {
    traffic.answers += operation == Operation::kAnswer;
    return Fault{};
  });
  const Way way(1);
  for (const Call call : kWay) EXPECT_EQ(rig.Run(way, call).error, ClaimError::kNone);
  traffic.to_server = rig.network->bytes_to_server();
  traffic.to_client = rig.network->bytes_to_client();
  return traffic;
}

// Returns a script that cuts the stream once `operation` has moved `at` bytes: the next operation
// of this kind gets the fault `then`. Before the cut one byte moves at a time, so that the number
// of bytes that have moved is known.
ScriptedNetwork::Script CutAt(Operation operation, std::size_t at, Kind then) {
  return [operation, then, left = at, done = false](Operation asked) mutable -> Fault {
    if (asked != operation || done) return {};
    done = left == 0;
    if (done) return {then};
    --left;
    return {Kind::kPartial, 1};
  };
}

TEST(ScriptedFaults, TheWayItselfWorks) {
  ScriptedRig rig;
  RunWay(rig, true, "no fault");
  EXPECT_EQ(rig.network->connections(), 1u);
  EXPECT_EQ(rig.pipeline().server().name, "valkey");
  EXPECT_EQ(rig.pipeline().server().version, "9.9.9");
  EXPECT_EQ(rig.pipeline().server().contract_version, "34");
}

TEST(ScriptedFaults, EverySplitOfEveryStreamGivesTheSame) {
  const Traffic traffic = TrafficOfAWay();
  for (const Operation operation : {Operation::kRead, Operation::kWrite}) {
    const std::size_t bytes = operation == Operation::kRead ? traffic.to_client : traffic.to_server;
    ASSERT_GT(bytes, 400u);
    for (const Kind then : {Kind::kWouldBlock, Kind::kInterrupted}) {
      for (std::size_t at = 0; at < bytes; at += operation == Operation::kRead ? 1 : 7) {
        // The usual time limits are too short if every byte takes a millisecond.
        ScriptedRig rig([](ClientOptions options) {
          options.connect_timeout_ms = options.request_timeout_ms = 10'000;
          return options;
        });
        rig.network->SetScript(CutAt(operation, at, then));
        RunWay(rig, true, "cut at " + std::to_string(at));
        ASSERT_FALSE(HasFailure());
      }
    }
  }
}

TEST(ScriptedFaults, AResetAtEveryByteIsNeverTakenForAnAnswer) {
  const Traffic traffic = TrafficOfAWay();
  for (const Operation operation : {Operation::kRead, Operation::kWrite}) {
    const std::size_t bytes = operation == Operation::kRead ? traffic.to_client : traffic.to_server;
    for (std::size_t at = 0; at < bytes; at += operation == Operation::kRead ? 1 : 7) {
      ScriptedRig rig([](ClientOptions options) {
        options.connect_timeout_ms = options.request_timeout_ms = 10'000;
        return options;
      });
      rig.network->SetScript(CutAt(operation, at, Kind::kReset));
      RunWay(rig, false, "reset at " + std::to_string(at));
      ASSERT_FALSE(HasFailure());
    }
  }
}

// Returns a script that gives the fault to the answer with the index `nth`, counted from 0.
ScriptedNetwork::Script AtAnswer(std::size_t nth, Fault fault) {
  return [nth, fault](Operation operation) mutable -> Fault {
    if (operation != Operation::kAnswer) return {};
    return nth-- == 0 ? fault : Fault{};
  };
}

TEST(ScriptedFaults, EveryAnswerCanBeLostLateLargeOrNoAnswer) {
  const Traffic traffic = TrafficOfAWay();
  for (const Fault fault :
       {Fault{Kind::kSilence}, Fault{Kind::kLate, 50}, Fault{Kind::kLate, 900},
        Fault{Kind::kOversized, 1 << 17}, Fault{Kind::kOversized, 100}, Fault{Kind::kGarbage}}) {
    for (std::size_t nth = 0; nth < traffic.answers; ++nth) {
      ScriptedRig rig;
      rig.network->SetScript(AtAnswer(nth, fault));
      RunWay(rig, fault.kind == Kind::kLate && fault.size == 50,
             "fault " + std::to_string(static_cast<int>(fault.kind)) + " of answer " +
                 std::to_string(nth));
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST(ScriptedFaults, AnAnswerThatComesTwiceIsNotTheNextCalls) {
  const Traffic traffic = TrafficOfAWay();
  for (std::size_t nth = 0; nth < traffic.answers; ++nth) {
    ScriptedRig rig;
    rig.network->SetScript(AtAnswer(nth, {Kind::kTwice}));
    RunWay(rig, false, "answer " + std::to_string(nth) + " twice");
    ASSERT_FALSE(HasFailure());
  }
}

TEST(ScriptedFaults, OfClaimsInFlightNoneGetsAnothersAnswer) {
  for (std::size_t twice = 0; twice < 4; ++twice) {
    ScriptedRig rig;
    std::vector<Way> ways;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      ways.emplace_back(100 + seed);
      ASSERT_TRUE(rig.Run(ways.back(), Call::kCreate));
      ASSERT_TRUE(rig.Run(ways.back(), Call::kIssue));
    }
    rig.network->SetScript(AtAnswer(twice, {Kind::kTwice}));
    for (std::size_t i = 0; i < ways.size(); ++i) {
      ASSERT_TRUE(rig.Submit(ways[i], Call::kClaim, i));
    }
    std::size_t ended = 0;
    while (ended < ways.size()) {
      for (const auto& done : rig.pipeline().Poll(100)) {
        ++ended;
        EXPECT_EQ(rig.Contradiction(ways[done.tag], done), "") << twice << " " << done.tag;
      }
    }
  }
}

TEST(ScriptedFaults, NothingIsSentAgainThatMayHaveBeenExecuted) {
  ScriptedRig rig;
  const Way way(1);
  ASSERT_TRUE(rig.Run(way, Call::kCreate));
  rig.network->SetScript(AtAnswer(0, {Kind::kSilence}));
  EXPECT_EQ(rig.Run(way, Call::kIssue).error, ClaimError::kUnknownOutcome);
  rig.network->SetScript(nullptr);
  EXPECT_EQ(rig.Run(way, Call::kIssue).error, ClaimError::kGrantAlreadyExists);
  EXPECT_EQ(rig.server.Executions("ff_issue_claim_grant", std::string(way.execution.text())), 2);
}

TEST(ScriptedFaults, WhereNobodyListensItDidNotHappen) {
  ScriptedRig rig;
  std::vector<std::int64_t> tries;
  rig.network->SetScript([&](Operation operation) -> Fault {
    if (operation == Operation::kOpen) tries.push_back(rig.network->NowMs());
    return operation == Operation::kOpen ? Fault{Kind::kRefused} : Fault{};
  });
  const Way way(1);
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_EQ(rig.Run(way, Call::kCreate).error, ClaimError::kUnavailable);
  EXPECT_EQ(rig.pipeline().last_error(), "can't connect");
  EXPECT_GE(rig.network->NowMs() - begin, 200);
  EXPECT_LE(rig.network->NowMs() - begin, 300);
  // The time between two tries grows.
  ASSERT_GE(tries.size(), 4u);
  EXPECT_LE(tries.size(), 12u);
  EXPECT_GT(tries.back() - tries[tries.size() - 2], 2 * (tries[2] - tries[1]));
  rig.network->SetScript(nullptr);
  EXPECT_TRUE(rig.Run(way, Call::kCreate));
}

TEST(ScriptedFaults, WhatAServerRefusesForNowIsAskedAgain) {
  for (const std::string refusal :
       {"LOADING Redis is loading the dataset in memory", "TRYAGAIN Multiple keys request",
        "BUSY Redis is busy running a script", "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down"}) {
    ScriptedRig rig;
    const Way way(1);
    rig.server.refusals.assign(3, refusal);
    EXPECT_TRUE(rig.Run(way, Call::kCreate)) << refusal;
    EXPECT_EQ(rig.server.Executions("ff_create_execution", std::string(way.execution.text())), 1);

    rig.server.refusals.assign(1000, refusal);
    EXPECT_EQ(rig.Run(way, Call::kIssue).error, ClaimError::kUnavailable) << refusal;
    EXPECT_EQ(rig.pipeline().last_error(), refusal);
    EXPECT_GT(rig.server.refusals.size(), 900u) << "asked without pause";
  }
}

TEST(ScriptedFaults, WhatAServerRefusesForGoodIsNotAskedAgain) {
  for (const std::string refusal : {"NOPERM no permissions", "OOM command not allowed",
                                    "MISCONF disk", "NOREPLICAS Not enough good replicas"}) {
    ScriptedRig rig;
    const Way way(1);
    rig.server.refusals.assign(2, refusal);
    EXPECT_EQ(rig.Run(way, Call::kCreate).error, ClaimError::kUnavailable);
    EXPECT_EQ(rig.pipeline().last_error(), refusal);
    EXPECT_EQ(rig.server.refusals.size(), 1u);
  }
}

TEST(ScriptedFaults, AFaultOfTheFunctionIsAnErrorOfItsOwn) {
  ScriptedRig rig;
  const Way way(1);
  rig.server.refusals = {"WRONGTYPE Operation against a key"};
  EXPECT_EQ(rig.Run(way, Call::kCreate).error, ClaimError::kUnknownCode);
  EXPECT_EQ(rig.pipeline().last_error(), "WRONGTYPE Operation against a key");
}

// An error that ends a function in its middle is no refusal, whatever the error's text begins with:
// the function may have written something before.
TEST(ScriptedFaults, AnErrorFromWithinAFunctionIsNoRefusal) {
  for (const std::string begin :
       {"NOPERM User u has no permissions to run the 'xadd' command", "OOM command not allowed",
        "ERR The user executing the script can't run this command or subcommand",
        "READONLY a replica", "TRYAGAIN Multiple keys", "MOVED 0 127.0.0.1:7",
        "ERR Function not found", "BUSY a script runs"}) {
    for (const std::string end : {" script: ff_x, on @user_function:7.",  // Redis
                                  " script: on @user_function:7."}) {     // Valkey
      for (const Call call : {Call::kCreate, Call::kClaim}) {
        ScriptedRig rig;
        const Way way(1);
        rig.server.refusals = {begin + end};
        EXPECT_EQ(rig.Run(way, call).error,
                  call == Call::kClaim ? ClaimError::kUnknownOutcome : ClaimError::kUnknownCode)
            << begin + end;
        EXPECT_EQ(rig.pipeline().last_error(), begin + end);
        EXPECT_EQ(rig.network->connections(), 1u);
      }
    }
  }
}

TEST(ScriptedFaults, ARefusalMayNameAScript) {
  ScriptedRig rig;
  rig.server.refusals = {"NOPERM a script: is forbidden"};
  EXPECT_EQ(rig.Run(Way(1), Call::kClaim).error, ClaimError::kUnavailable);
}

TEST(ScriptedFaults, AMissingLibraryIsLoadedOnceAndTheCallRepeated) {
  ScriptedRig rig;
  rig.server.has_library = false;
  const Way way(1);
  EXPECT_TRUE(rig.Run(way, Call::kCreate));
  EXPECT_EQ(rig.server.loads, 1);
  // Another client has flushed the library while the connection stands.
  rig.server.has_library = false;
  EXPECT_TRUE(rig.Run(way, Call::kIssue));
  EXPECT_EQ(rig.server.loads, 2);
  EXPECT_EQ(rig.network->connections(), 1u);
  EXPECT_EQ(rig.server.Executions("ff_issue_claim_grant", std::string(way.execution.text())), 1);
}

TEST(ScriptedFaults, SomebodyElsesLibraryIsUsedAndLeftAlone) {
  ScriptedRig rig;
  rig.server.foreign_library = true;
  EXPECT_TRUE(rig.Run(Way(1), Call::kCreate));
  EXPECT_EQ(rig.server.loads + rig.server.replaces, 0);
  EXPECT_EQ(rig.pipeline().server().library_version, "");
  EXPECT_EQ(rig.pipeline().server().contract_version, "34");
}

TEST(ScriptedFaults, AnOlderLibraryOfOursIsReplacedANewerIsNot) {
  for (const auto& [version, replaces] :
       {std::pair<std::string_view, int>{"1", 1}, {kFunctionLibraryVersion, 0}, {"999", 0}}) {
    ScriptedRig rig;
    rig.server.own_version = version;
    EXPECT_TRUE(rig.Run(Way(1), Call::kCreate));
    EXPECT_EQ(rig.server.replaces, replaces) << version;
    EXPECT_EQ(rig.server.loads, 0);
  }
}

TEST(ScriptedFaults, WithoutLeaveToLoadAMissingLibraryIsTheServersRefusal) {
  ScriptedRig rig([](ClientOptions options) {
    options.load_library = false;
    return options;
  });
  rig.server.has_library = false;
  EXPECT_EQ(rig.Run(Way(1), Call::kCreate).error, ClaimError::kUnavailable);
  EXPECT_EQ(rig.server.loads, 0);
}

TEST(ScriptedFaults, WhatAServerWouldTakeApartWronglyIsNotSent) {
  ScriptedRig rig;
  const Way way(1);
  ASSERT_TRUE(rig.Run(way, Call::kCreate));
  const std::size_t sent = rig.network->bytes_to_server();
  const ExecutionIdView id = way.execution.view();
  const LaneIdView lane = ParseLaneId("main").lane;
  for (const std::int64_t ttl : {kMaxTtlMs + 1, -kMaxTtlMs - 1, INT64_MAX, INT64_MIN}) {
    ASSERT_TRUE(rig.pipeline().SubmitIssue(
        {.execution_id = id, .worker = {{"w"}, {"i"}}, .lane = lane, .grant_ttl_ms = ttl}, 5));
    const auto done = rig.pipeline().Poll(0);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].error, ClaimError::kInvalidInput);
    EXPECT_EQ(done[0].tag, 5u);
  }
  const auto other =
      ParseExecutionId("{fp:07}:11111111-1111-4111-8111-111111111111", ParseMode::kLenient);
  ASSERT_TRUE(rig.pipeline().SubmitCreate({.execution_id = other.id, .lane = lane}, "", 6));
  EXPECT_EQ(rig.pipeline().Poll(0)[0].error, ClaimError::kInvalidInput);
  EXPECT_EQ(rig.network->bytes_to_server(), sent);
}

// ---- what became of a claim ------------------------------------------------------

struct LedgerRig {
  explicit LedgerRig(const std::function<void(ScriptedServer&)>& prepare = nullptr) {
    if (prepare) prepare(server);
    ValkeyLedgerOptions options;
    options.client = ScriptedOptions(server, network);
    options.connections = 1;
    ledger = std::make_unique<ValkeyLedger>(options);
    EXPECT_TRUE(ledger->CreateExecution({.execution_id = id(), .lane = lane}));
    EXPECT_TRUE(ledger->IssueClaimGrant(
        {.execution_id = id(), .worker = worker, .lane = lane, .grant_ttl_ms = 5000}));
  }
  ExecutionIdView id() const { return way.execution.view(); }
  ClaimArgs Args() const {
    return {.execution_id = id(),
            .worker = worker,
            .lane = lane,
            .lease_id = way.lease_id,
            .lease_ttl_ms = 5000,
            .attempt_id = way.attempt_id};
  }
  ClaimOutcome Claim(ErrorDetails* details = nullptr) { return ledger->Claim(Args(), details); }
  ClaimOutcome ClaimInABatch() {
    const ClaimArgs args = Args();
    ClaimOutcome outcome;
    ledger->ClaimBatch({&args, 1}, {&outcome, 1});
    return outcome;
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  Way way{1};
  LaneIdView lane = ParseLaneId("main").lane;
  WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
  std::unique_ptr<ValkeyLedger> ledger;
};

TEST(FindClaim, TellsAClaimThatHappened) {
  LedgerRig rig;
  rig.network->SetScript(AtAnswer(0, {Kind::kSilence}));
  ErrorDetails details;
  EXPECT_EQ(rig.Claim(&details).error, ClaimError::kUnknownOutcome);
  ASSERT_EQ(details.size(), 1u);
  EXPECT_EQ(details[0], "no reply in time");
  rig.network->SetScript(nullptr);
  const FoundClaim found = rig.ledger->FindClaim(rig.id(), rig.way.lease_id);
  ASSERT_EQ(found.error, ClaimError::kNone);
  EXPECT_EQ(found.fate, ClaimFate::kHeld);
  EXPECT_EQ(found.lease.fence, (LeaseFence{rig.way.lease_id, {1}, rig.way.attempt_id}));
  EXPECT_TRUE(rig.ledger->Complete({.execution_id = rig.id(), .fence = found.lease.fence}));
  EXPECT_EQ(rig.ledger->FindClaim(rig.id(), rig.way.lease_id).fate, ClaimFate::kEnded);
}

TEST(FindClaim, TellsForGoodThatAClaimDidNotHappen) {
  LedgerRig rig;
  // The command stays on its way, and does not arrive while the call waits.
  bool hold = true;
  rig.network->SetScript([&](Operation operation) -> Fault {
    return operation == Operation::kArrive && hold ? Fault{Kind::kHold} : Fault{};
  });
  EXPECT_EQ(rig.Claim().error, ClaimError::kUnknownOutcome);
  hold = false;
  const FoundClaim found = rig.ledger->FindClaim(rig.id(), rig.way.lease_id);
  ASSERT_EQ(found.error, ClaimError::kNone);
  EXPECT_EQ(found.fate, ClaimFate::kNotClaimed);
  EXPECT_TRUE(found.final);
  rig.network->DeliverAll();
  std::array<char, kUuidTextSize> lease;
  FormatUuid(rig.way.lease_id.uuid, lease);
  EXPECT_FALSE(rig.server.WasClaimed({lease.data(), lease.size()})) << "claimed after all";
}

TEST(FindClaim, SaysWhereTheServerCantBeReached) {
  LedgerRig rig;
  rig.network->SetScript([](Operation operation) -> Fault {
    return {operation == Operation::kRead   ? Kind::kReset
            : operation == Operation::kOpen ? Kind::kRefused
                                            : Kind::kNone};
  });
  EXPECT_EQ(rig.Claim().error, ClaimError::kUnknownOutcome);
  const FoundClaim found = rig.ledger->FindClaim(rig.id(), rig.way.lease_id);
  EXPECT_EQ(found.error, ClaimError::kUnavailable);
  EXPECT_FALSE(found.final);
}

TEST(FindClaim, IsNotSureWhereConnectionsMayNotBeShut) {
  for (const std::string subcommand : {"ID", "KILL"}) {
    for (const bool in_a_batch : {false, true}) {
      LedgerRig rig([&](ScriptedServer& server) { server.forbidden = {subcommand}; });
      bool hold = true;
      rig.network->SetScript([&](Operation operation) -> Fault {
        return operation == Operation::kArrive && hold ? Fault{Kind::kHold} : Fault{};
      });
      EXPECT_EQ((in_a_batch ? rig.ClaimInABatch() : rig.Claim()).error,
                ClaimError::kUnknownOutcome);
      hold = false;
      const FoundClaim found = rig.ledger->FindClaim(rig.id(), rig.way.lease_id);
      EXPECT_EQ(found.fate, ClaimFate::kNotClaimed);
      EXPECT_FALSE(found.final) << subcommand << (in_a_batch ? ", in a batch" : "");
      rig.network->DeliverAll();
      EXPECT_EQ(rig.ledger->FindClaim(rig.id(), rig.way.lease_id).fate, ClaimFate::kHeld);
    }
  }
}

TEST(FindClaim, AfterARestartNothingOfTheOldProcessIsLeft) {
  LedgerRig rig;
  rig.network->SetScript(AtAnswer(0, {Kind::kSilence}));
  EXPECT_EQ(rig.Claim().error, ClaimError::kUnknownOutcome);
  rig.network->SetScript(nullptr);
  rig.server.Restart();
  const FoundClaim found = rig.ledger->FindClaim(rig.id(), rig.way.lease_id);
  EXPECT_EQ(found.fate, ClaimFate::kHeld);
  EXPECT_TRUE(found.final);
}

TEST(FindClaim, KnowsNoClaimOfAnUnknownExecution) {
  LedgerRig rig;
  const MintedExecutionId other(8, Uuid{});
  EXPECT_EQ(rig.ledger->FindClaim(other.view(), rig.way.lease_id).error,
            ClaimError::kExecutionNotFound);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
