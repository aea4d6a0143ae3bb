// SPDX-License-Identifier: Apache-2.0
//
// Makes each call that the client's table of rights lists (internal/rights.h, functions/README.md).
// The caller is first an ACL user who has only the rights that the table names for the call, and
// then users who each lack one of these rights.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/rights.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

using internal::AllNeededRights;
using internal::NeededRights;

std::set<std::string> Words(std::string_view text) {
  std::set<std::string> words;
  while (!text.empty()) {
    const std::size_t size = std::min(text.find(' '), text.size());
    words.emplace(text.substr(0, size));
    text.remove_prefix(std::min(size + 1, text.size()));
  }
  return words;
}

class LiveRights : public LiveServer {
 protected:
  void SetUp() override {
    if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "users are a server's own";
    admin_ = std::make_unique<Operator>(Variable("FFGRANT_SERVER"));
    ServerInfo info;
    ASSERT_TRUE(ledger_.Connect(info));
    ASSERT_EQ(info.function_prefix, "ffgrant_");
  }
  void TearDown() override {
    if (admin_ == nullptr) return;
    admin_->Do({"ACL", "DELUSER", "worker"});
    (void)ledger_.UnregisterWorker(registration_);
  }

  // Returns the patterns of keys that a call needs, as the table in functions/README.md lists them.
  static std::set<std::string> KeysOf(std::string_view call) {
    static const std::map<std::string, std::set<std::string_view>> kCalls = {
        {"ff:attempt:*",
         {"Claim", "ClaimResumed", "IssueGrantAndClaim", "Reclaim", "Suspend", "Complete", "Fail",
          "ReadInput", "FindClaim"}},
        {"ff:stream:*", {"Reclaim", "Complete", "Fail"}},
        {"ff:wp:*", {"Suspend", "Resume"}},
        {"ff:sec:*", {"Suspend"}},
        {"ff:noop:*", {"CreateExecution", "Suspend"}},
        {"ff:worker:*", {"RegisterWorker", "RefreshWorker", "UnregisterWorker"}},
        {"ff:idx:*:workers", {"RegisterWorker", "RefreshWorker", "UnregisterWorker"}},
        {"ff:config:*", {"ReadPartitions"}}};
    std::set<std::string> keys;
    const auto all = AllNeededRights();
    if (std::any_of(all.begin(), all.end(), [&](const NeededRights& needed) {
          return needed.call == call && needed.of_execution;
        })) {
      keys.insert("ff:exec:*");
      if (call != "FindClaim" && call != "ReadInput") keys.insert("ff:idx:*");
    }
    for (const auto& [pattern, calls] : kCalls) {
      if (calls.count(call) != 0) keys.insert(pattern);
    }
    return keys;
  }

  // Makes the ledger of a user who may call functions, run these commands and use these keys.
  std::unique_ptr<ValkeyLedger> LedgerOf(const std::set<std::string>& commands,
                                         const std::set<std::string>& keys = {"ff:*"}) {
    std::vector<std::string> words = {"ACL", "SETUSER", "worker", "reset",
                                      "on",  "nopass",  "+fcall"};
    for (const std::string& pattern : keys) words.push_back("~" + pattern);
    for (const std::string& command : commands) words.push_back("+" + command);
    EXPECT_EQ(admin_->Do(words), "OK");
    ValkeyLedgerOptions options;
    options.client = Where();
    options.client.username = "worker";
    options.connections = 1;
    return std::make_unique<ValkeyLedger>(options);
  }

  Lease Claimed(const MintedExecutionId& id) {
    EXPECT_TRUE(Issue(id));
    const ClaimOutcome claimed = ledger_.Claim(ArgsFor(id));
    EXPECT_TRUE(claimed);
    return claimed.lease;
  }
  MintedExecutionId Lost() {
    const MintedExecutionId id = Create();
    (void)Claimed(id);
    EXPECT_TRUE(ledger_.Revoke({.execution_id = id.view()}));
    return id;
  }
  MintedExecutionId Suspended() {
    const MintedExecutionId id = Create();
    const Lease lease = Claimed(id);
    EXPECT_TRUE(ledger_.Suspend({.execution_id = id.view(), .fence = lease.fence}));
    return id;
  }
  IssueGrantArgs IssueArgs(const MintedExecutionId& id) const {
    return {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 60'000};
  }

  // Uses a ledger with all rights to bring an execution into the state that the call needs; then
  // makes the call as the user. Returns how the call ended.
  using Make = std::function<ClaimError(ValkeyLedger& user, ErrorDetails* details)>;
  std::map<std::string_view, Make> Calls() {
    const auto calls = [this](auto function) -> Make { return function; };
    return {
        {"CreateExecution", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id(7, RandomUuid());
           return user.CreateExecution({.execution_id = id.view(), .lane = lane_}, details).error;
         })},
        {"IssueClaimGrant", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           return user.IssueClaimGrant(IssueArgs(Create()), details).error;
         })},
        {"ClaimForWorker", calls([this](ValkeyLedger& user, ErrorDetails*) {
           (void)Create();
           return user.ClaimForWorker({.worker = worker_, .lane = lane_, .grant_ttl_ms = 1000})
               .error;
         })},
        {"Claim", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           EXPECT_TRUE(Issue(id));
           return user.Claim(ArgsFor(id), details).error;
         })},
        {"ClaimResumed", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Suspended();
           EXPECT_TRUE(ledger_.Resume({.execution_id = id.view()}));
           EXPECT_TRUE(Issue(id));
           return user
               .ClaimResumed({.execution_id = id.view(),
                              .worker = worker_,
                              .lane = lane_,
                              .lease_id = {RandomUuid()},
                              .lease_ttl_ms = 60'000},
                             details)
               .error;
         })},
        {"IssueGrantAndClaim", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           return user.IssueGrantAndClaim(ArgsFor(Create()), details).error;
         })},
        {"Renew", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           return user
               .Renew({.execution_id = id.view(),
                       .attempt_index = lease.attempt_index,
                       .fence = lease.fence,
                       .lease_ttl_ms = 60'000},
                      details)
               .error;
         })},
        {"MarkLeaseExpiredIfDue", calls([this](ValkeyLedger& user, ErrorDetails*) {
           const MintedExecutionId id = Create();
           (void)Claimed(id);
           return user.MarkLeaseExpiredIfDue(id.view()).error;
         })},
        {"Revoke", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           (void)Claimed(id);
           return user.Revoke({.execution_id = id.view()}, details).error;
         })},
        {"IssueReclaimGrant", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           return user.IssueReclaimGrant(IssueArgs(Lost()), details).error;
         })},
        {"Reclaim", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Lost();
           EXPECT_TRUE(ledger_.IssueReclaimGrant(IssueArgs(id)));
           return user
               .Reclaim({.execution_id = id.view(),
                         .worker = worker_,
                         .lane = lane_,
                         .lease_id = {RandomUuid()},
                         .lease_ttl_ms = 60'000,
                         .attempt_id = {RandomUuid()}},
                        details)
               .error;
         })},
        {"Suspend", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           // `ledger_` first suspends another execution, so that the partition gets a secret.
           (void)Suspended();
           return user.Suspend({.execution_id = id.view(), .fence = lease.fence}, details).error;
         })},
        {"Resume", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Suspended();
           return user.Resume({.execution_id = id.view()}, details).error;
         })},
        {"Complete", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           return user.Complete({.execution_id = id.view(), .fence = lease.fence}, details).error;
         })},
        {"Fail", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           return user.Fail({.execution_id = id.view(), .fence = lease.fence}, details).error;
         })},
        {"ReadInput", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           ExecutionInput input;
           return user.ReadInput(id.view(), lease.attempt_index, input, details).error;
         })},
        {"RegisterWorker", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           EXPECT_TRUE(ledger_.UnregisterWorker(registration_));
           return user.RegisterWorker(registration_, details).error;
         })},
        {"RefreshWorker", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           EXPECT_TRUE(ledger_.RegisterWorker(registration_));
           return user.RefreshWorker(registration_, details).error;
         })},
        {"UnregisterWorker", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           EXPECT_TRUE(ledger_.RegisterWorker(registration_));
           return user.UnregisterWorker(registration_, details).error;
         })},
        {"ReadPartitions", calls([](ValkeyLedger& user, ErrorDetails* details) {
           return user.ReadPartitions(details).error;
         })},
        {"PromoteDelayedIfDue", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           bool promoted = false;
           return user.PromoteDelayedIfDue(id.view(), lane_, promoted, details).error;
         })},
        {"FindClaim", calls([this](ValkeyLedger& user, ErrorDetails* details) {
           const MintedExecutionId id = Create();
           const Lease lease = Claimed(id);
           const FoundClaim found = user.FindClaim(id.view(), lease.fence.lease_id, details);
           EXPECT_TRUE(!found || found.fate == ClaimFate::kHeld);
           return found.error;
         })},
        // Inspect() has no error of its own: it returns nothing if it could not read.
        {"Inspect", calls([this](ValkeyLedger& user, ErrorDetails*) {
           const MintedExecutionId id = Create();
           return user.Inspect(id.view()) ? ClaimError::kNone : ClaimError::kUnavailable;
         })},
    };
  }

  std::unique_ptr<Operator> admin_;
  const WorkerRegistration registration_ = {.worker = worker_, .lanes = {}};
};

TEST_F(LiveRights, WhatTheTableNamesForACallIsEnoughForIt) {
  const std::map<std::string_view, Make> calls = Calls();
  for (const NeededRights& needed : AllNeededRights()) {
    ASSERT_EQ(calls.count(needed.call), 1u) << "add a line to Calls(): " << needed.call;
    std::set<std::string> commands = Words(needed.itself);
    commands.merge(Words(needed.ours));
    const std::set<std::string> keys = KeysOf(needed.call);
    const auto user = LedgerOf(commands, keys);
    ErrorDetails details;
    EXPECT_EQ(calls.at(needed.call)(*user, &details), ClaimError::kNone)
        << needed.call << " " << (details.size() > 0 ? details[0] : "");
    for (const std::string& lacking : keys) {
      std::set<std::string> fewer = keys;
      fewer.erase(lacking);
      const auto other = LedgerOf(commands, fewer);
      EXPECT_NE(calls.at(needed.call)(*other, nullptr), ClaimError::kNone)
          << needed.call << " without " << lacking;
    }
  }
  EXPECT_EQ(calls.size(), AllNeededRights().size());
}

// Connect() names the call that lacks a right. The call itself either does not get as far as the
// forbidden command, or ends with the server's words.
TEST_F(LiveRights, ACallThatLacksOneSaysSo) {
  const std::map<std::string_view, Make> calls = Calls();
  int said = 0;
  int named = 0;
  for (const NeededRights& needed : AllNeededRights()) {
    std::set<std::string> all = Words(needed.itself);
    all.merge(Words(needed.ours));
    for (const std::string& lacking : all) {
      std::set<std::string> commands = all;
      commands.erase(lacking);
      const auto user = LedgerOf(commands);
      ErrorDetails details;
      const ClaimError error = calls.at(needed.call)(*user, &details);
      const std::string what = std::string(needed.call) + " without " + lacking;
      if (error != ClaimError::kNone) {
        ++said;
        EXPECT_TRUE(error == ClaimError::kUnavailable || error == ClaimError::kUnknownCode ||
                    error == ClaimError::kUnknownOutcome)
            << what << ": " << ErrorName(error);
        // If there is a detail, it has the server's words.
        const std::string words(details.size() > 0 ? details[0] : "NOPERM");
        EXPECT_TRUE(words.find("NOPERM") != std::string::npos ||
                    words.find("permission") != std::string::npos ||
                    words.find("can't run this command") != std::string::npos)
            << what << ": " << words;
      }
      ServerInfo info;
      (void)user->Connect(info);
      EXPECT_TRUE(info.rights_known) << what;
      const auto refused =
          std::find_if(info.refused_calls.begin(), info.refused_calls.end(),
                       [&](const RefusedCall& call) { return call.call == needed.call; });
      ASSERT_NE(refused, info.refused_calls.end()) << what;
      EXPECT_EQ(refused->commands, std::vector<std::string>{lacking}) << what;
      ++named;
    }
  }
  EXPECT_GE(named, 100);
  EXPECT_GE(said, named * 2 / 3) << "of " << named;
}

}  // namespace
}  // namespace ffgrant::valkey::testing
