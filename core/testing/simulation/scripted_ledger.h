// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs a ledger on a scripted network. The server in this network gives the right
// answers, unless a test wants others.

#ifndef FFGRANT_TESTING_SIMULATION_SCRIPTED_LEDGER_H_
#define FFGRANT_TESTING_SIMULATION_SCRIPTED_LEDGER_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/naive/naive_uuid.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::testing {

using ffgrant::testing::NaiveUuidText;

class ScriptedLedger {
 public:
  using Way = ScriptedRig::Way;

  explicit ScriptedLedger(void (*change)(ValkeyLedgerOptions&) = nullptr) {
    ValkeyLedgerOptions options;
    options.client = ScriptedOptions(server, network);
    options.connections = 1;
    if (change != nullptr) change(options);
    ledger = std::make_unique<ValkeyLedger>(options);
    server.edit_reply = [this](const Words& command, std::string& reply) { Edit(command, reply); };
    network->SetScript([this](Operation operation) -> Fault {
      if (unplugged && operation == Operation::kOpen) return {Fault::Kind::kRefused};
      if (unplugged && operation == Operation::kWrite) return {Fault::Kind::kReset};
      if (operation != Operation::kAnswer || !silent_) return {};
      silent_ = false;
      return {Fault::Kind::kSilence};
    });
    ServerInfo who;
    EXPECT_TRUE(ledger->Connect(who));
    commands.clear();
  }

  // From now on the server answers with `reply` to the commands that have the word `word`. It skips
  // the first `skipped` of these commands, and then answers `count` of them in this way. It
  // executes all of them.
  void Answer(std::string word, std::string reply, std::size_t skipped = 0,
              std::size_t count = SIZE_MAX) {
    edits_.push_back({std::move(word), std::move(reply), skipped, count, false});
  }
  // Does the same as Answer(), but the reply never comes, nor does anything after it on that
  // connection.
  void Silence(std::string word, std::size_t skipped = 0, std::size_t count = SIZE_MAX) {
    edits_.push_back({std::move(word), "", skipped, count, true});
  }
  // Undoes Answer() and Silence(), and clears server.given_fields.
  void Restore() {
    edits_.clear();
    server.given_fields.clear();
  }
  // Returns how many commands with the word `word` were executed.
  std::size_t Count(std::string_view word) const {
    return static_cast<std::size_t>(
        std::count_if(commands.begin(), commands.end(),
                      [&](const Words& command) { return Has(command, word); }));
  }

  void Create(const Way& way) {
    EXPECT_TRUE(ledger->CreateExecution({.execution_id = way.execution.view(), .lane = lane}));
  }
  IssueGrantArgs IssueArgs(const Way& way) const {
    return {
        .execution_id = way.execution.view(), .worker = worker, .lane = lane, .grant_ttl_ms = 5000};
  }
  ClaimArgs ArgsFor(const Way& way) const {
    return {.execution_id = way.execution.view(),
            .worker = worker,
            .lane = lane,
            .lease_id = way.lease_id,
            .lease_ttl_ms = 5000,
            .attempt_id = way.attempt_id};
  }

  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  std::unique_ptr<ValkeyLedger> ledger;
  // The commands that were executed since the constructor ended, also those of new connections.
  std::vector<Words> commands;
  bool unplugged = false;  // whether nothing reaches the server any more
  const LaneIdView lane = ParseLaneId("main").lane;
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};

 private:
  struct Edited {
    std::string word;
    std::string reply;
    std::size_t skipped;
    std::size_t count;
    bool silent;
  };

  static bool Has(const Words& command, std::string_view word) {
    return std::find(command.begin(), command.end(), word) != command.end();
  }

  void Edit(const Words& command, std::string& reply) {
    commands.push_back(command);
    for (Edited& edit : edits_) {
      if (!Has(command, edit.word) || edit.count == 0) continue;
      if (edit.skipped > 0) {
        --edit.skipped;
        continue;
      }
      --edit.count;
      if (edit.silent) {
        silent_ = true;
      } else {
        reply = edit.reply;
      }
    }
  }

  std::vector<Edited> edits_;
  bool silent_ = false;
};

// Returns `count` executions of partition 7, in the order of their ids.
inline std::vector<ScriptedLedger::Way> WaysInOrder(std::size_t count) {
  std::vector<ScriptedLedger::Way> ways;
  for (std::size_t i = 0; i < count; ++i) ways.emplace_back(i + 1);
  std::sort(ways.begin(), ways.end(),
            [](const auto& a, const auto& b) { return a.execution.text() < b.execution.text(); });
  return ways;
}

// No server is asked about these ids: the first is not canonical (it has 07 for 7), and the
// partition of the second is beyond the configured ones.
inline constexpr std::string_view kUnaskedIds[] = {"{fp:07}:11111111-1111-4111-8111-111111111111",
                                                   "{fp:256}:11111111-1111-4111-8111-111111111111"};
inline ExecutionIdView UnaskedId(std::string_view text) {
  return ParseExecutionId(text, ParseMode::kLenient).id;
}

// kNil is a reply without a value. kFault is an error of the command itself, and not a refusal to
// serve.
inline const std::string kNil = "$-1\r\n";
inline const std::string kFaultText = "WRONGTYPE Operation against a key";
inline const std::string kFault = "-" + kFaultText + "\r\n";
// The detail of a call whose reply can't be its answer.
inline const std::string kMisfit = "an answer that does not fit its command";

// Returns the only detail; an empty text if there is none, or more than one.
inline std::string OnlyDetail(const ErrorDetails& details) {
  return details.size() == 1 ? std::string(details[0]) : std::string();
}

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SCRIPTED_LEDGER_H_
