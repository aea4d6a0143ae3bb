// SPDX-License-Identifier: Apache-2.0
//
// Compares what the client sends with core/contract/defaults-observed.md. Every argument that a
// caller need not give must have a row in that file, and the client must send what the row says.

#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ffgrant/valkey/internal/claim_commands.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::internal {
namespace {

using testing::Words;

// The arguments by their numbers in ARGV, which count from 1.
using Arguments = std::map<std::size_t, std::string>;
using Tables = std::map<std::string, Arguments>;  // by the name of the function

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";

std::string Trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// Reads a cell: "empty" or `code`.
std::string SentIn(const std::string& cell) {
  if (cell == "empty") return "";
  EXPECT_TRUE(cell.size() >= 2 && cell.front() == '`' && cell.back() == '`') << cell;
  return cell.substr(1, cell.size() - 2);
}

// Reads the rows | n | argument | sent | reference | below each heading that names functions.
Tables ReadTables() {
  std::ifstream file(FFGRANT_DEFAULTS_TABLE);
  EXPECT_TRUE(file.is_open()) << FFGRANT_DEFAULTS_TABLE;
  Tables tables;
  std::vector<std::string> functions;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) {
      functions.clear();
      for (std::size_t at = line.find("ff_"); at != std::string::npos;) {
        const std::size_t end = line.find_first_of(", ", at);
        functions.push_back(line.substr(at, end - at));
        at = line.find("ff_", at + 1);
      }
    }
    const bool is_row = line.starts_with("| ") && line.size() > 2 && std::isdigit(line[2]) != 0;
    if (!is_row) continue;
    std::vector<std::string> cells;
    for (std::size_t at = 1; at < line.size();) {
      const std::size_t end = line.find('|', at);
      cells.push_back(Trimmed(line.substr(at, end - at)));
      at = end + 1;
    }
    EXPECT_EQ(cells.size(), 4u) << line;
    if (cells.size() != 4) continue;
    for (const std::string& function : functions) {
      tables[function][std::stoul(cells[0])] = SentIn(cells[2]);
    }
  }
  return tables;
}

// A call whose caller gives only the arguments that every caller must give. `given` has the numbers
// of these arguments.
struct Call {
  std::function<void(RespCommand&)> write;
  std::set<std::size_t> given;
};

class Defaults : public ::testing::Test {
 protected:
  Defaults() {
    id_ = ParseExecutionId(kId, ParseMode::kStrict).id;
    lane_ = ParseLaneId("main").lane;
    const WorkerIdentity worker = {{"w"}, {"w-i"}};
    const IssueGrantArgs issue = {
        .execution_id = id_, .worker = worker, .lane = lane_, .grant_ttl_ms = 5000};
    const ClaimArgs claim = {.execution_id = id_,
                             .worker = worker,
                             .lane = lane_,
                             .lease_id = {},
                             .lease_ttl_ms = 30'000,
                             .attempt_id = {}};
    const ClaimResumedArgs resumed = {.execution_id = id_,
                                      .worker = worker,
                                      .lane = lane_,
                                      .lease_id = {},
                                      .lease_ttl_ms = 30'000};
    const ReclaimArgs reclaim = {.execution_id = id_,
                                 .worker = worker,
                                 .lane = lane_,
                                 .lease_id = {},
                                 .lease_ttl_ms = 30'000,
                                 .attempt_id = {}};
    const OptionalFence fence = LeaseFence{};
    const RenewArgs renew = {
        .execution_id = id_, .attempt_index = {}, .fence = fence, .lease_ttl_ms = 1};
    const auto id = id_;
    calls_ = {
        {"ff_create_execution",
         {[this](RespCommand& c) {
            WriteCreate(c, {.execution_id = id_, .lane = lane_}, {}, defaults_, scratch_);
          },
          {1, 3, 13}}},
        {"ff_issue_claim_grant", {[=](RespCommand& c) { WriteIssue(c, issue); }, {1, 2, 3, 4, 6}}},
        {"ff_issue_reclaim_grant",
         {[=](RespCommand& c) { WriteIssueReclaim(c, issue); }, {1, 2, 3, 4, 6}}},
        {"ff_claim_execution",
         {[=](RespCommand& c) { WriteClaim(c, claim); }, {1, 2, 3, 4, 6, 7, 9}}},
        {"ff_issue_grant_and_claim",
         {[=](RespCommand& c) { WriteIssueAndClaim(c, claim); }, {1, 2, 3, 4, 6, 7, 8}}},
        {"ff_claim_resumed_execution",
         {[=](RespCommand& c) { WriteClaimResumed(c, resumed, 0); }, {1, 2, 3, 4, 6, 7}}},
        {"ff_renew_lease",
         {[this, renew](RespCommand& c) { WriteRenew(c, renew, defaults_); }, {1, 2, 3, 4, 5, 6}}},
        {"ff_revoke_lease",
         {[this](RespCommand& c) { WriteRevoke(c, {.execution_id = id_}, {}, defaults_); }, {1}}},
        {"ff_reclaim_execution",
         {[=](RespCommand& c) { WriteReclaim(c, reclaim, 0); }, {1, 2, 3, 4, 5, 6, 7}}},
        {"ff_complete_execution",
         {[=](RespCommand& c) { WriteComplete(c, {.execution_id = id, .fence = fence}, {}); },
          {1, 2, 3, 4}}},
        {"ff_fail_execution",
         {[=](RespCommand& c) { WriteFail(c, {.execution_id = id, .fence = fence}, {}, {}); },
          {1, 2, 3, 4}}},
        {"ff_suspend_execution",
         {[=](RespCommand& c) {
            WriteSuspend(c, {.execution_id = id, .fence = fence}, {}, Uuid(), Uuid());
          },
          {1, 2, 3, 4, 5, 6, 7, 8}}},
        {"ff_resume_execution",
         {[=](RespCommand& c) { WriteResume(c, {.execution_id = id}, {}); }, {1}}},
        {"ff_rotate_waitpoint_hmac_secret",
         {[=](RespCommand& c) { WriteInstallWaitpointSecret(c, id, "00"); }, {2}}},
    };
  }

  // Returns the arguments that the caller did not give.
  static Arguments FilledIn(const std::string& function, const Call& call) {
    std::string bytes;
    RespCommand command(bytes);
    call.write(command);
    const std::vector<Words> commands = testing::TakeCommands(bytes);
    EXPECT_EQ(commands.size(), 1u);
    const Words& words = commands.at(0);
    EXPECT_EQ(words.at(1), function);
    const std::size_t before = 2 + std::stoul(words.at(2));
    Arguments arguments;
    for (std::size_t n = 1; before + n < words.size(); ++n) {
      if (!call.given.contains(n)) arguments[n] = words[before + n];
    }
    return arguments;
  }

  ExecutionIdView id_;
  LaneIdView lane_;
  ClaimDefaults defaults_;
  std::string scratch_;
  std::map<std::string, Call> calls_;
};

TEST_F(Defaults, AreThoseOfTheTable) {
  const Tables tables = ReadTables();
  for (const auto& [function, call] : calls_) {
    const auto table = tables.find(function);
    ASSERT_NE(table, tables.end()) << function;
    EXPECT_EQ(FilledIn(function, call), table->second) << function;
  }
  for (const auto& [function, table] : tables) {
    EXPECT_TRUE(calls_.contains(function)) << function;
    EXPECT_FALSE(table.empty()) << function;
  }
}

}  // namespace
}  // namespace ffgrant::valkey::internal
