// SPDX-License-Identifier: Apache-2.0
//
// Tests what ClaimForWorker() chooses, also when servers answer wrongly, late or not at all.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/routing.h"
#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

// ---- one server ----------------------------------------------------------------------

class Choices : public ::testing::Test {
 protected:
  static void FewPartitions(ValkeyLedgerOptions& options) {
    options.defaults.partitions.num_flow_partitions = 8;
  }
  static void ThreeCandidates(ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 3;
  }

  // Starts with `count` eligible executions in partition 7, and nothing elsewhere.
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
  // Returns the id that is chosen, or why there is none.
  std::string ChooseId(const CapabilitySet* offered = nullptr) {
    const ClaimForWorkerOutcome outcome = Choose(offered);
    return std::string(outcome ? outcome.grant.view().execution_id.text()
                               : ErrorName(outcome.error));
  }
  std::string IdAt(std::size_t i) const { return std::string(ways_[i].execution.text()); }
  // Expects that the search did not see one of eight partitions to its end, so that the answer is
  // kNothingInWindow and not kNoEligibleExecution.
  static void ExpectNotAllSeen(const ClaimForWorkerOutcome& outcome,
                               std::uint32_t unreachable = 0) {
    EXPECT_EQ(outcome.error, ClaimError::kNothingInWindow);
    EXPECT_EQ(outcome.partitions, 8u);
    EXPECT_EQ(outcome.partitions_seen, 7u);
    EXPECT_EQ(outcome.partitions_unreachable, unreachable);
    EXPECT_FALSE(outcome.saw_all());
  }
  // Returns the ranges of partition 7's eligible set that were read, as "0 0 1 32".
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
  ExpectNotAllSeen(Choose());
  EXPECT_EQ(Ranges(), "0 0 1 2");
  Start(2, [](ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 1;
  });
  Grant(0, 1);
  ExpectNotAllSeen(Choose());
  EXPECT_EQ(Ranges(), "0 0");
  // The search reads no more than max_candidates, here with one range behind the head.
  Start(34, [](ValkeyLedgerOptions& options) {
    FewPartitions(options);
    options.max_candidates = 33;
  });
  Grant(0, 33);
  ExpectNotAllSeen(Choose());
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
  // The field is missing, so nothing is required.
  rig_->Answer("required_capabilities", kNil);
  EXPECT_EQ(ChooseId(), IdAt(1));
}

// The calls are cancelled as the server gets the command with the index `at`. The search stops, and
// the next call takes no partition for one that does not answer. The execution that can be granted
// is the head of its partition, or is behind the head, so that the search waits for the answers
// about it.
class CancelledChoices : public Choices, public ::testing::WithParamInterface<std::size_t> {};
TEST_P(CancelledChoices, HoldUpNoLaterOne) {
  const std::size_t behind = GetParam();
  bool stopped = false;
  for (int at = 0; at < 20; ++at) {
    SCOPED_TRACE(at);
    Start(behind + 1);
    Grant(0, behind);
    int commands = 0;
    rig_->server.answer = [&](std::int64_t, const Words&) {
      if (commands++ == at) rig_->ledger->CancelCalls();
      return std::optional<std::string>();
    };
    const ClaimForWorkerOutcome first = Choose();
    rig_->server.answer = nullptr;
    if (!first) {
      EXPECT_TRUE(first.error == ClaimError::kUnavailable ||
                  first.error == ClaimError::kUnknownOutcome)
          << ErrorName(first.error);
      stopped = true;
    }
    const bool granted = rig_->Count("ff_issue_claim_grant") != 0;
    const ClaimForWorkerOutcome second = Choose();
    EXPECT_EQ(second.error, granted ? ClaimError::kNoEligibleExecution : ClaimError::kNone);
    EXPECT_EQ(second.partitions_unreachable, 0u);
  }
  EXPECT_TRUE(stopped);
}
INSTANTIATE_TEST_SUITE_P(AtTheHeadAndBehind, CancelledChoices, ::testing::Values(0, 1));

// The cancelled questions are still open as the next call begins. Then the server answers them, or
// their connection ends.
TEST_F(Choices, CancelledQuestionsMakeNoPartitionLate) {
  for (const bool answers : {true, false}) {
    SCOPED_TRACE(answers);
    Start(1);
    int commands = 0;
    rig_->network->SetScript([&](Operation operation) -> Fault {
      if (operation != Operation::kAnswer || commands++ != 0) return {};
      rig_->ledger->CancelCalls();
      return answers ? Fault{Fault::Kind::kLate, 20} : Fault{Fault::Kind::kSilence};
    });
    EXPECT_EQ(Choose().error, ClaimError::kUnavailable);
    EXPECT_LE(rig_->Count("ZRANGE"), 5u) << "no further partition was asked";
    rig_->network->SetScript(nullptr);
    if (!answers) {
      rig_->network->HangUp(static_cast<std::int64_t>(rig_->network->connections()));
    }
    const ClaimForWorkerOutcome second = Choose();
    EXPECT_EQ(second.error, ClaimError::kNone);
    EXPECT_EQ(second.partitions_unreachable, 0u);
  }
}

// The set of partition 7 has the id of an execution in another partition. The search does not take
// this id for an execution of partition 7 with the same UUID.
TEST_F(Choices, AnIdOfAnotherPartitionIsPassedOver) {
  Start(2);
  const std::string uuid = NaiveUuidText(ways_[0].execution.view().uuid());
  rig_->Answer("ff:idx:{fp:7}:lane:main:eligible", Array({Bulk("{fp:6}:" + uuid)}), 0, 1);
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

// The questions that the search asks about the head of a partition (place 0), and about the
// executions behind the head (place 1).
const struct {
  std::string word;
  std::size_t place;
} kQuestions[] = {
    {"ff:idx:{fp:7}:lane:main:eligible", 0}, {"EXISTS", 0}, {"required_capabilities", 0},
    {"ff:idx:{fp:7}:lane:main:eligible", 1}, {"EXISTS", 1}, {"required_capabilities", 1},
};

// After an error the outcome does not say that there is nothing to claim, and the search goes on.
TEST_F(Choices, AnErrorOfTheServerIsToldIfNothingElseIsFound) {
  for (const auto& [word, place] : kQuestions) {
    Start(2);
    if (place == 1) Grant(0, 1);
    // The other execution has a grant already, so that nothing else is found.
    if (place == 0) Grant(1, 1);
    rig_->Answer(word, kFault, place, 1);
    EXPECT_EQ(Choose().error, ClaimError::kUnknownCode) << word << place;
  }
  // If the user may not ask a question, every call that asks the question reports an error.
  for (const auto& [word, place] : kQuestions) {
    for (const std::string reply :
         {"-NOPERM this user has no permissions\r\n", "-ERR unknown command 'x'\r\n"}) {
      Start(1);
      if (place == 1) Grant(0, 1);
      rig_->Answer(word, reply, place);
      for (int i = 0; i < 2; ++i) {
        const ClaimForWorkerOutcome outcome = Choose();
        const bool is_asked = word != "EXISTS" && word != "required_capabilities";
        // With place 1 the only execution is granted, so the search asks nothing about another one.
        if (place == 0 || is_asked) {
          EXPECT_EQ(outcome.error, ClaimError::kUnknownCode) << word << place << reply;
        }
        EXPECT_EQ(outcome.partitions_unreachable, 0u) << word << place << reply;
      }
    }
  }
  Start(2);
  rig_->Answer("EXISTS", kFault, 0, 1);
  EXPECT_EQ(ChooseId(), IdAt(1));
  // The search goes on with other partitions.
  Start(1);
  for (int partition = 0; partition < 7; ++partition) {
    rig_->Answer("ff:idx:{fp:" + std::to_string(partition) + "}:lane:main:eligible", kFault);
  }
  EXPECT_EQ(Choose().error, ClaimError::kNone);
  EXPECT_EQ(Choose().error, ClaimError::kUnknownCode);
}

// The search looks at the executions behind the head in groups. What it has read of one execution
// says nothing about the execution at the same place in the next group.
TEST_F(Choices, WhatIsReadIsThatOfOneExecution) {
  for (const std::size_t place : {1, 5, 32}) {
    for (const std::size_t faulty : {place, place + 32}) {
      Start(70);
      for (std::size_t i = 0; i < 70; ++i) {
        if (i != faulty && i != place + 32) Grant(i, 1);
      }
      // What the execution requires can't be read.
      rig_->Answer("ff:exec:{fp:7}:" + IdAt(faulty) + ":core", kFault, 0, 1);
      EXPECT_EQ(ChooseId(), faulty == place ? IdAt(place + 32) : "unknown_code") << faulty;
    }
  }
}

TEST_F(Choices, WhatIsNoAnswerIsAPartitionThatCantBeReached) {
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
      SCOPED_TRACE(word + " " + std::to_string(place) + " " + reply);
      ExpectNotAllSeen(Choose(), 1);
      EXPECT_EQ(rig_->Count("ff_issue_claim_grant"), 0u);
    }
    Start(2);
    if (place == 1) Grant(0, 1);
    rig_->Silence(word, place);
    SCOPED_TRACE(word + " " + std::to_string(place) + " silence");
    // All questions that were sent on that connection after the unanswered one are lost with the
    // connection.
    const ClaimForWorkerOutcome silent = Choose();
    EXPECT_EQ(silent.error, ClaimError::kNothingInWindow);
    EXPECT_GE(silent.partitions_unreachable, 1u);
    EXPECT_FALSE(silent.saw_all());
  }
}

TEST_F(Choices, WhatBecomesOfTheGrantDecidesWhetherTheSearchGoesOn) {
  struct Case {
    std::string reply;  // empty: no reply comes
    ClaimError error;
    ClaimError of_all =
        ClaimError::kNoEligibleExecution;  // the error if all executions get the reply
  };
  const Case kCases[] = {
      {"", ClaimError::kUnknownOutcome},
      {"-NOPERM no permissions\r\n", ClaimError::kUnknownCode},
      {"-OOM command not allowed\r\n", ClaimError::kNothingInWindow},
      {RejectedReply("invalid_capabilities"), ClaimError::kInvalidCapabilities},
      // This execution is passed over.
      {kFault, ClaimError::kNone, ClaimError::kUnknownCode},
      // This execution can't be granted to the worker, so the next one is taken.
      {RejectedReply("grant_already_exists"), ClaimError::kNone},
      {RejectedReply("execution_not_eligible"), ClaimError::kNone},
      {RejectedReply("capability_mismatch"), ClaimError::kNone},
  };
  for (const Case& c : kCases) {
    for (const std::size_t place : {0u, 1u}) {  // 0: the head; 1: an execution behind the head
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
      // Every execution gets the reply, so none can be granted.
      Start(3);
      rig_->Answer("ff_issue_claim_grant", c.reply);
      EXPECT_EQ(Choose().error, c.of_all) << c.reply;
    }
  }
}

TEST_F(Choices, OptionsOutOfRangeAreRefused) {
  const auto make = [](void (*change)(ValkeyLedgerOptions&)) { ScriptedLedger ledger(change); };
  EXPECT_THROW(make([](ValkeyLedgerOptions& o) { o.max_candidates = 0; }), std::invalid_argument);
  EXPECT_THROW(make([](ValkeyLedgerOptions& o) { o.defaults.partitions.num_flow_partitions = 0; }),
               std::invalid_argument);
  for (const std::int64_t grace : {std::int64_t{-1}, kMaxTtlMs + 1, INT64_MAX, INT64_MIN}) {
    ValkeyLedgerOptions options;
    options.defaults.lease_history_grace_ms = grace;
    EXPECT_THROW(ValkeyLedger ledger(options), std::invalid_argument) << grace;
  }
}

// ---- windows -------------------------------------------------------------------------

// Returns the partitions whose ranges were read.
std::vector<int> PartitionsAsked(const std::vector<Words>& commands) {
  std::vector<int> asked;
  for (const Words& command : commands) {
    if (command[0] == "ZRANGE") asked.push_back(std::stoi(command[1].substr(11)));
  }
  return asked;
}

TEST_F(Choices, AnIdleCallAsksEachPartitionOfItsWindowOnce) {
  Start(0);
  const ClaimForWorkerOutcome all = Choose();
  EXPECT_EQ(all.error, ClaimError::kNoEligibleExecution);
  EXPECT_TRUE(all.saw_all());
  const std::vector<int> asked = PartitionsAsked(rig_->commands);
  EXPECT_EQ(asked.size(), 8u);
  EXPECT_EQ(std::set<int>(asked.begin(), asked.end()).size(), 8u);
  // Windows follow one another; the first begins at the worker's own place.
  const int start = ScanStart(rig_->worker.worker_instance_id, 8);
  std::vector<int> in_turn;
  for (int call = 0; call < 4; ++call) {
    rig_->commands.clear();
    const ClaimForWorkerOutcome some = rig_->ledger->ClaimForWorker(
        {.worker = rig_->worker, .lane = rig_->lane, .grant_ttl_ms = 5000, .max_partitions = 3});
    EXPECT_EQ(some.error, ClaimError::kNothingInWindow);
    EXPECT_EQ(some.partitions_seen, 3u);
    EXPECT_EQ(some.partitions, 8u);
    const std::vector<int> window = PartitionsAsked(rig_->commands);
    in_turn.insert(in_turn.end(), window.begin(), window.end());
  }
  std::vector<int> expected;
  for (int i = 0; i < 12; ++i) expected.push_back((start + i) % 8);
  EXPECT_EQ(in_turn, expected);
}

// The search looks at one partition only, and does not see it to its end. This is no fault of the
// server.
TEST_F(Choices, APartitionThatWasNotSeenToItsEndIsNotUnreachable) {
  const auto choose_in_7 = [&] {
    ClaimForWorkerOutcome outcome;
    for (int i = 0; i < 8; ++i) {
      rig_->commands.clear();
      outcome = rig_->ledger->ClaimForWorker(
          {.worker = rig_->worker, .lane = rig_->lane, .grant_ttl_ms = 5000, .max_partitions = 1});
      if (PartitionsAsked(rig_->commands).at(0) == 7) break;
    }
    EXPECT_EQ(PartitionsAsked(rig_->commands).at(0), 7);
    EXPECT_EQ(outcome.error, ClaimError::kNothingInWindow);
    EXPECT_EQ(outcome.partitions_seen, 0u);
    EXPECT_EQ(outcome.partitions_unreachable, 0u);
    EXPECT_FALSE(outcome.saw_all());
    EXPECT_EQ(rig_->Count("ff_issue_claim_grant"), 0u);
  };
  {
    SCOPED_TRACE("there are more candidates than may be looked at");
    Start(4, ThreeCandidates);
    Grant(0, 3);
    choose_in_7();
    EXPECT_EQ(Ranges(), "0 0 1 2");
  }
  // The time of the call is up once the state of the head is known: before a grant is issued, or
  // before the executions behind the head are read.
  for (const bool granted : {false, true}) {
    SCOPED_TRACE(granted ? "the head has a grant" : "the head has no grant");
    Start(2);
    if (granted) Grant(0, 1);
    rig_->server.answer = [this](std::int64_t, const Words& command) -> std::optional<std::string> {
      if (command.back() == "required_capabilities") rig_->network->Wait({}, 250);
      return std::nullopt;
    };
    choose_in_7();
    EXPECT_EQ(Ranges(), "0 0");
  }
}

// ---- shards --------------------------------------------------------------------------

// A cluster of three servers, on ports 1 to 3, each with a third of the slots.
class Shards : public ::testing::Test {
 protected:
  static constexpr std::uint16_t kPartitions = 48;
  static constexpr std::int64_t kLimitMs = 200;
  static constexpr std::size_t kSlowMs = 3;

  Shards() {
    server_.answer = [this](std::int64_t client, const Words& command) {
      return Answer(client, command);
    };
    Connect(kPartitions);
  }

  void Connect(std::uint16_t partitions) {
    ValkeyLedgerOptions options;
    options.client = ScriptedOptions(server_, network_);
    options.client.servers = {{"127.0.0.1", 1}, {"127.0.0.1", 2}, {"127.0.0.1", 3}};
    options.client.request_timeout_ms = kLimitMs;
    options.client.max_in_flight = 64;
    options.connections = 1;
    options.defaults.partitions.num_flow_partitions = partitions;
    ledger_ = std::make_unique<ValkeyLedger>(options);
    server_.edit_reply = [this](const Words& command, std::string&) {
      commands_.push_back(command);
    };
    network_->SetScript([this](Operation operation) -> Fault {
      if (operation == Operation::kOpen) {
        const auto last = static_cast<std::int64_t>(network_->connections());
        if (dead_.contains(network_->endpoint(last).port)) return {Fault::Kind::kRefused};
      }
      if (operation == Operation::kAnswer && frozen_.contains(network_->endpoint(asking_).port)) {
        return {Fault::Kind::kSilence};
      }
      if (operation == Operation::kAnswer && network_->endpoint(asking_).port == slow_) {
        return {Fault::Kind::kLate, slow_ms_};
      }
      return {};
    });
    ServerInfo who;
    EXPECT_TRUE(ledger_->Connect(who));
  }

  std::optional<std::string> Answer(std::int64_t client, const Words& command) {
    asking_ = client;
    if (command[0] == "INFO") {
      return Bulk(
          "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.9.9\r\n"
          "redis_mode:cluster\r\nrun_id:process" +
          std::to_string(network_->endpoint(client).port) + "\r\nrole:master\r\n");
    }
    if (command[0] != "CLUSTER") return std::nullopt;
    std::vector<std::string> ranges;
    for (int port = 1; port <= 3; ++port) {
      ranges.push_back(
          Array({Integer(Begin(port)), Integer(Begin(port + 1) - 1),
                 Array({Bulk("127.0.0.1"), Integer(port), Bulk("node" + std::to_string(port))})}));
    }
    return Array(ranges);
  }
  static int Begin(int port) { return port == 4 ? 16384 : (port - 1) * 5461; }
  static int PortOf(std::uint16_t partition) {
    const int slot = HashSlot(Partition{PartitionFamily::kExecution, partition});
    return slot < Begin(2) ? 1 : slot < Begin(3) ? 2 : 3;
  }
  // Returns how many of the first `partitions` partitions belong to the server at `port`.
  static std::uint32_t PartitionsOf(int port, std::uint16_t partitions = kPartitions) {
    std::uint32_t count = 0;
    for (std::uint16_t p = 0; p < partitions; ++p) count += PortOf(p) == port;
    return count;
  }
  void CreateOneInEach() {
    for (std::uint16_t p = 0; p < kPartitions; ++p) Create(p);
  }
  void Create(std::uint16_t partition) {
    const MintedExecutionId id(partition, RandomUuid());
    EXPECT_TRUE(ledger_->CreateExecution({.execution_id = id.view(), .lane = lane_}));
  }
  // Returns the partitions whose eligible sets were read.
  std::set<std::uint16_t> Asked() const {
    std::set<std::uint16_t> asked;
    for (std::uint16_t p = 0; p < kPartitions; ++p) {
      const std::string key = "ff:idx:{fp:" + std::to_string(p) + "}:lane:main:eligible";
      for (const Words& command : commands_) {
        if (command[0] == "ZRANGE" && command[1] == key) asked.insert(p);
      }
    }
    return asked;
  }
  void Freeze(std::uint16_t port) { frozen_.insert(port); }
  void Kill(std::uint16_t port) {
    dead_.insert(port);
    for (std::int64_t id = 1; id <= static_cast<std::int64_t>(network_->connections()); ++id) {
      if (network_->endpoint(id).port == port) network_->HangUp(id);
    }
  }
  void Recover() {
    frozen_.clear();
    dead_.clear();
  }

  ClaimForWorkerOutcome Choose(std::uint16_t max_partitions = kAllPartitions) {
    const std::int64_t before = network_->NowMs();
    const ClaimForWorkerOutcome outcome =
        ledger_->ClaimForWorker({.worker = {{"w1"}, {"w1-i1"}},
                                 .lane = lane_,
                                 .grant_ttl_ms = 5000,
                                 .max_partitions = max_partitions});
    took_ = network_->NowMs() - before;
    EXPECT_LE(took_, kLimitMs + 10);
    return outcome;
  }
  // Calls ClaimForWorker() until it grants nothing any more; returns the partitions of the
  // executions that were granted.
  std::set<std::uint16_t> TakeAll() {
    std::set<std::uint16_t> gave;
    while (const ClaimForWorkerOutcome outcome = Choose()) {
      gave.insert(outcome.grant.view().execution_id.partition().index);
    }
    return gave;
  }

  ScriptedServer server_;
  ScriptedNetwork* network_ = nullptr;
  std::unique_ptr<ValkeyLedger> ledger_;
  std::vector<Words> commands_;
  std::set<std::uint16_t> frozen_;  // ports of servers that take everything and answer nothing
  std::set<std::uint16_t> dead_;    // ports of servers that refuse connections
  std::uint16_t slow_ = 0;          // port of the server whose answers take slow_ms_
  std::size_t slow_ms_ = kSlowMs;
  std::int64_t asking_ = 1;
  std::int64_t took_ = 0;
  LaneIdView lane_ = ParseLaneId("main").lane;
};

TEST_F(Shards, AllTogetherGiveEverything) {
  CreateOneInEach();
  EXPECT_EQ(TakeAll().size(), kPartitions);
  const ClaimForWorkerOutcome none = Choose();
  EXPECT_EQ(none.error, ClaimError::kNoEligibleExecution);
  EXPECT_TRUE(none.saw_all());
}

TEST_F(Shards, WhatTheOthersHaveIsGivenWhileOneIsAway) {
  for (const bool frozen : {true, false}) {
    SCOPED_TRACE(frozen ? "frozen" : "dead");
    commands_.clear();
    CreateOneInEach();
    frozen ? Freeze(2) : Kill(2);
    std::set<std::uint16_t> gave;
    for (std::uint32_t i = 0; i < kPartitions - PartitionsOf(2); ++i) {
      const ClaimForWorkerOutcome outcome = Choose();
      ASSERT_TRUE(outcome) << i << " " << ErrorName(outcome.error);
      gave.insert(outcome.grant.view().execution_id.partition().index);
      EXPECT_LT(took_, kLimitMs / 4) << i;
    }
    EXPECT_EQ(gave.size(), kPartitions - PartitionsOf(2));
    for (const std::uint16_t partition : gave) EXPECT_NE(PortOf(partition), 2);
    // The search found nothing where it could look, but this does not mean that there is nothing.
    for (int i = 0; i < 5; ++i) {
      const ClaimForWorkerOutcome none = Choose();
      EXPECT_EQ(none.error, ClaimError::kNothingInWindow);
      EXPECT_EQ(none.partitions_seen, kPartitions - PartitionsOf(2));
      EXPECT_EQ(none.partitions_unreachable, PartitionsOf(2));
      EXPECT_FALSE(none.saw_all());
      if (i > 0) {
        EXPECT_LT(took_, kLimitMs / 2) << i;  // only the first call waits
      }
    }
    Recover();
    gave.clear();
    for (int i = 0; i < 200 && gave.size() < PartitionsOf(2); ++i) {
      if (const ClaimForWorkerOutcome outcome = Choose()) {
        gave.insert(outcome.grant.view().execution_id.partition().index);
      }
    }
    EXPECT_EQ(gave.size(), PartitionsOf(2));
    EXPECT_EQ(Choose().error, ClaimError::kNoEligibleExecution);
  }
}

// A server tells its head, which has a grant, and falls silent before it tells what comes after the
// head. It may have told of executions in its other partitions, which nobody can be granted now.
class SilentHalfway : public Shards, public ::testing::WithParamInterface<bool> {};
TEST_P(SilentHalfway, WhatTheOtherServersHaveIsGiven) {
  // The searches of this worker begin at two partitions of server 2.
  std::string instance;
  std::uint16_t start = 0;
  const auto begins_at_two = [&start] {
    const auto next = static_cast<std::uint16_t>((start + 1) % kPartitions);
    return PortOf(start) == 2 && PortOf(next) == 2;
  };
  for (int i = 0; instance.empty() || !begins_at_two(); ++i) {
    instance = "i" + std::to_string(i);
    start = static_cast<std::uint16_t>(ScanStart({instance}, kPartitions));
  }
  const MintedExecutionId granted(start, RandomUuid());
  ASSERT_TRUE(ledger_->CreateExecution({.execution_id = granted.view(), .lane = lane_}));
  ASSERT_TRUE(ledger_->IssueClaimGrant({.execution_id = granted.view(),
                                        .worker = {{"x"}, {"x-1"}},
                                        .lane = lane_,
                                        .grant_ttl_ms = 5000}));
  for (std::uint16_t p = 0; p < kPartitions; ++p) {
    if (PortOf(p) != 2 || (GetParam() && p != start)) Create(p);
  }
  server_.answer = [this](std::int64_t client, const Words& command) {
    if (command[0] == "ZRANGE" && command[2] != "0") Freeze(network_->endpoint(client).port);
    return Answer(client, command);
  };
  for (int call = 0; call < 3; ++call) {
    SCOPED_TRACE(call);
    const std::int64_t before = network_->NowMs();
    const ClaimForWorkerOutcome outcome = ledger_->ClaimForWorker(
        {.worker = {{"w"}, {instance}}, .lane = lane_, .grant_ttl_ms = 5000});
    EXPECT_TRUE(outcome) << ErrorName(outcome.error);
    EXPECT_NE(PortOf(outcome.grant.view().partition().partition.index), 2);
    const std::int64_t first = GetParam() ? kLimitMs - 1 : kLimitMs * 3 / 4;
    EXPECT_LE(network_->NowMs() - before, call == 0 ? first : kLimitMs / 4);
  }
  EXPECT_TRUE(frozen_.contains(2));
}
INSTANTIATE_TEST_SUITE_P(WithMoreThere, SilentHalfway, ::testing::Bool());

// The partitions that were late are asked again in turn, so a server that is there again is found
// while another one is still away.
TEST_F(Shards, OneOfTwoThatWereAwayIsFoundAgain) {
  for (const bool frozen : {true, false}) {
    for (std::uint16_t back = 1; back <= 3; ++back) {
      const auto away = static_cast<std::uint16_t>(back % 3 + 1);
      for (const std::uint16_t port : {back, away}) frozen ? Freeze(port) : Kill(port);
      for (int i = 0; i < 5; ++i) (void)Choose();
      frozen_.erase(back);
      dead_.erase(back);
      network_->Wait({}, 5000);  // after this time the client may connect to the server again
      bool is_found = false;
      for (int i = 0; i < 100 && !is_found; ++i) {
        is_found = Choose().partitions_seen == kPartitions - PartitionsOf(away);
      }
      EXPECT_TRUE(is_found) << back << " is back, " << away << " is away";
      Recover();
      network_->Wait({}, 5000);
      for (int i = 0; i < 200 && !Choose().saw_all(); ++i) continue;
    }
  }
}

// A server that is back is found with each number of partitions, wherever the searches begin, and
// even if a late partition of the server that is back always follows one of the server that is
// away.
TEST_F(Shards, EachLatePartitionIsAskedInTurn) {
  int tried = 0;
  for (std::uint16_t partitions = 2; partitions <= 12; ++partitions) {
    for (std::uint16_t back = 1; back <= 3; ++back) {
      const auto away = static_cast<std::uint16_t>(back % 3 + 1);
      const std::uint32_t expected = partitions - PartitionsOf(away, partitions);
      if (PartitionsOf(back, partitions) == 0 || expected == partitions) continue;
      ++tried;
      Connect(partitions);
      for (const std::uint16_t port : {back, away}) Kill(port);
      for (int i = 0; i < 5; ++i) (void)Choose();
      dead_.erase(back);
      network_->Wait({}, 5000);  // after this time the client may connect to the server again
      // One call asks the late partition, and a call after the answer sees the server's partitions.
      std::uint32_t seen = 0;
      for (int i = 0; i < 2 * partitions + 2 && seen != expected; ++i) {
        seen = Choose().partitions_seen;
        network_->Wait({}, 5);
      }
      EXPECT_EQ(seen, expected) << partitions << ": " << back << " is back, " << away << " away";
      Recover();
    }
  }
  EXPECT_GT(tried, 10);
}

TEST_F(Shards, NoneOfThemIsThere) {
  for (const bool frozen : {true, false}) {
    for (std::uint16_t port = 1; port <= 3; ++port) frozen ? Freeze(port) : Kill(port);
    for (int i = 0; i < 3; ++i) {
      const ClaimForWorkerOutcome none = Choose();
      EXPECT_EQ(none.error, ClaimError::kUnavailable);
      EXPECT_EQ(none.partitions_seen, 0u);
      EXPECT_GT(none.partitions_unreachable, 0u);
    }
    Recover();
    ClaimForWorkerOutcome outcome;
    for (int i = 0; i < 50 && !outcome.saw_all(); ++i) outcome = Choose();
    EXPECT_EQ(outcome.error, ClaimError::kNoEligibleExecution);
  }
}

// The windows go through all partitions once, and count those of the shard that is away as
// unreachable.
TEST_F(Shards, WindowsPassOverWhatIsAway) {
  Freeze(3);
  std::uint32_t seen = 0;
  std::uint32_t unreachable = 0;
  for (int i = 0; i < 8; ++i) {
    const ClaimForWorkerOutcome none = Choose(6);
    EXPECT_EQ(none.error, ClaimError::kNothingInWindow);
    EXPECT_EQ(none.partitions_seen + none.partitions_unreachable, 6u);
    seen += none.partitions_seen;
    unreachable += none.partitions_unreachable;
  }
  EXPECT_EQ(seen, kPartitions - PartitionsOf(3));
  EXPECT_EQ(unreachable, PartitionsOf(3));
}

// If all partitions of a call's window are late (partition_scan.h), the call asks them again and
// waits for them, even if partitions outside the window are not late.
TEST_F(Shards, AWindowThatWasAwayAsAWholeIsAskedAgain) {
  int tried = 0;
  for (std::uint16_t size = 1; size <= 4; ++size) {
    for (std::uint16_t port = 1; port <= 3; ++port) {
      // Windows come in the same order in each round, because nothing is eligible yet.
      std::size_t place = 0;
      std::set<std::uint16_t> window;
      for (std::size_t i = 0; i < kPartitions / size; ++i) {
        commands_.clear();
        EXPECT_EQ(Choose(size).error, ClaimError::kNothingInWindow);
        const std::set<std::uint16_t> asked = Asked();
        EXPECT_EQ(asked.size(), size);
        if (window.empty() && std::all_of(asked.begin(), asked.end(), [&](std::uint16_t partition) {
              return PortOf(partition) == port;
            })) {
          window = asked;
          place = i;
        }
      }
      if (window.empty()) continue;
      ++tried;
      Kill(port);
      for (std::size_t i = 0; i < kPartitions / size + place; ++i) (void)Choose(size);
      Recover();
      network_->Wait({}, 5000);  // after this time the client may connect to the server again
      Create(*window.rbegin());
      const ClaimForWorkerOutcome outcome = Choose(size);
      ASSERT_TRUE(outcome) << size << " " << port << " " << ErrorName(outcome.error);
      EXPECT_EQ(outcome.grant.view().execution_id.partition().index, *window.rbegin());
      // The next round begins where this one did.
      for (std::size_t i = place + 1; i < kPartitions / size; ++i) (void)Choose(size);
    }
  }
  EXPECT_GE(tried, 6);
}

// Executions on a slow server are granted, although a quick server always has some as well.
TEST_F(Shards, ASlowServerIsNotPassedOverForEver) {
  slow_ = 2;
  int tried = 0;
  for (std::uint16_t busy = 0; busy < kPartitions; ++busy) {
    const auto other = static_cast<std::uint16_t>((busy + kPartitions - 1) % kPartitions);
    if (PortOf(busy) == slow_ || PortOf(other) != slow_) continue;
    ++tried;
    const std::string lane = "lane" + std::to_string(busy);
    lane_ = ParseLaneId(lane).lane;
    for (int i = 0; i < 4; ++i) Create(busy);
    Create(other);
    std::set<std::uint16_t> gave;
    for (int i = 0; i < 2; ++i) {
      const ClaimForWorkerOutcome outcome = Choose();
      ASSERT_TRUE(outcome) << ErrorName(outcome.error);
      gave.insert(outcome.grant.view().execution_id.partition().index);
      EXPECT_LE(took_, 10 * kSlowMs);
    }
    EXPECT_EQ(gave, (std::set<std::uint16_t>{busy, other}));
  }
  EXPECT_GT(tried, 0);
}

// A call that finds nothing elsewhere waits for servers that have not answered within 10 ms, until
// its time is up. So it is granted what a slow server has, wherever that partition is. It does not
// wait any longer for a silent server that it has asked as well.
TEST_F(Shards, ASilentServerHoldsUpNoSlowOne) {
  slow_ms_ = 30;  // up to five answers have to come one after the other
  for (const bool frozen : {true, false}) {
    for (std::uint16_t silent = 1; silent <= 3; ++silent) {
      for (std::uint16_t partition = 0; partition < kPartitions; ++partition) {
        if (PortOf(partition) == silent) continue;
        const std::string lane =
            (frozen ? "frozen" : "dead") + std::to_string(silent) + "-" + std::to_string(partition);
        SCOPED_TRACE(lane);
        lane_ = ParseLaneId(lane).lane;
        Connect(kPartitions);
        Create(partition);
        slow_ = static_cast<std::uint16_t>(PortOf(partition));
        frozen ? Freeze(silent) : Kill(silent);
        const ClaimForWorkerOutcome outcome = Choose();
        ASSERT_TRUE(outcome) << ErrorName(outcome.error);
        EXPECT_EQ(outcome.grant.view().execution_id.partition().index, partition);
        EXPECT_LT(took_, kLimitMs);
        Recover();
        slow_ = 0;
      }
    }
  }
}

// An answer to an earlier call, for another lane, is ignored.
TEST_F(Shards, LateAnswersMisleadNobody) {
  CreateOneInEach();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Choose());
  for (int i = 0; i < 3; ++i) {
    const ClaimForWorkerOutcome other = ledger_->ClaimForWorker(
        {.worker = {{"w1"}, {"w1-i1"}}, .lane = ParseLaneId("b").lane, .grant_ttl_ms = 5000});
    EXPECT_EQ(other.error, ClaimError::kNoEligibleExecution);
    EXPECT_TRUE(other.saw_all());
    ASSERT_TRUE(Choose());
  }
}

// A call in one lane returns while its question to the slow server is still open. The next call, in
// another lane, waits for the answer to that question, and then asks anew.
TEST_F(Shards, AQuestionOfAnEarlierCallIsAskedAnew) {
  slow_ = 2;
  slow_ms_ = 20;
  // The searches of this worker begin at a quick server's partition; the next partition is the slow
  // server's.
  std::string instance;
  std::uint16_t start = 0;
  const auto next = [&start] { return static_cast<std::uint16_t>((start + 1) % kPartitions); };
  for (int i = 0; instance.empty() || PortOf(start) == slow_ || PortOf(next()) != slow_; ++i) {
    instance = "i" + std::to_string(i);
    start = static_cast<std::uint16_t>(ScanStart({instance}, kPartitions));
  }
  const LaneIdView one = ParseLaneId("one").lane;
  const LaneIdView other = ParseLaneId("other").lane;
  lane_ = one;
  Create(start);
  lane_ = other;
  Create(next());
  const auto claim = [&](LaneIdView lane) {
    const std::int64_t before = network_->NowMs();
    const ClaimForWorkerOutcome outcome = ledger_->ClaimForWorker(
        {.worker = {{"w"}, {instance}}, .lane = lane, .grant_ttl_ms = 5000});
    took_ = network_->NowMs() - before;
    EXPECT_TRUE(outcome) << ErrorName(outcome.error);
    return outcome ? outcome.grant.view().execution_id.partition().index : kPartitions;
  };
  EXPECT_EQ(claim(one), start);
  EXPECT_LT(took_, 20) << "it did not wait for the slow one";
  EXPECT_EQ(claim(other), next());
}

}  // namespace
}  // namespace ffgrant::valkey::testing
