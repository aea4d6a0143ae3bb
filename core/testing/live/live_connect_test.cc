// SPDX-License-Identifier: Apache-2.0
//
// Tests how the client connects to a real server: names, logins, rights, and which library's
// functions it finds there.

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

// Needs a single server. Each test leaves it without functions, without the user `worker`, and with
// a limit of 10,000 clients.
class LiveConnect : public LiveServer {
 protected:
  void SetUp() override {
    if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "a server of its own is asked";
    admin = std::make_unique<Operator>(Variable("FFGRANT_SERVER"));
  }
  void TearDown() override {
    if (admin == nullptr) return;
    admin->Do({"ACL", "DELUSER", "worker"});
    admin->Do({"FUNCTION", "FLUSH"});
    admin->Do({"CONFIG", "SET", "maxclients", "10000"});
  }

  // Gives the user `worker` all rights, and then applies `rules`.
  void SetUser(const std::vector<std::string>& rules) {
    std::vector<std::string> words = {"ACL", "SETUSER", "worker", "reset", "on",
                                      ">pw", "~*",      "&*",     "+@all"};
    words.insert(words.end(), rules.begin(), rules.end());
    ASSERT_EQ(admin->Do(words), "OK");
  }
  ValkeyLedgerOptions AsUser(const std::string& password = "pw") const {
    ValkeyLedgerOptions options;
    options.client = Where(2000);
    options.client.username = "worker";
    options.client.password = password;
    return options;
  }
  static std::string Connect(ValkeyLedger& ledger, ServerInfo* into = nullptr) {
    ServerInfo info;
    ErrorDetails details;
    const Outcome connected = ledger.Connect(info, &details);
    if (into != nullptr) *into = info;
    std::string text(ErrorName(connected.error));
    for (std::size_t i = 0; i < details.size(); ++i) text += ": " + std::string(details[i]);
    return text;
  }
  // Returns our library as it was before its functions had names of their own.
  static std::string OldOurs() {
    return Replaced(FlowFabricStandIn(), "name=flowfabric\n", "name=ffgrant\n") +
           "redis.register_function('ffgrant_version', function() return '2' end)\n";
  }
  std::string Libraries() {
    std::string all;
    for (const std::string name : {"ffgrant", "flowfabric"}) {
      const std::string found = admin->Do({"FUNCTION", "LIST", "LIBRARYNAME", name});
      if (!found.empty()) all += (all.empty() ? "" : " ") + name;
    }
    return all;
  }

  std::unique_ptr<Operator> admin;
};

// ---- names -------------------------------------------------------------------------

TEST_F(LiveConnect, ANameThatHangsHoldsUpNoCallAndNoOtherServer) {
  std::promise<void> go_on;
  const std::shared_future<void> gone = go_on.get_future().share();
  ClientOptions client = Where(500);
  client.connect_timeout_ms = 500;
  const Endpoint healthy = client.servers[0];
  client.servers = {{"db.hole", healthy.port}};
  client.make_network = [gone] {
    return MakeSocketNetwork([gone](const std::string& name) {
      if (name == "db.hole") gone.wait();
      return NameAddresses{{"127.0.0.1"}, ""};
    });
  };
  {
    ValkeyLedger ledger({.client = client});
    for (int i = 0; i < 2; ++i) {
      const Clock::time_point begin = Clock::now();
      EXPECT_EQ(Connect(ledger),
                "unavailable: no connection in time: looking up db.hole takes too long");
      EXPECT_LE(MsSince(begin), 1500) << "beyond its limit of 500";
    }
  }
  client.servers = {{"db.hole", healthy.port}, {"db.test", healthy.port}};
  ValkeyLedger ledger({.client = client});
  EXPECT_EQ(Connect(ledger), "none") << "the second one is well";
  go_on.set_value();
}

TEST_F(LiveConnect, EveryAddressOfANameIsTried) {
  ClientOptions client = Where();
  client.servers[0].host = "db.test";
  // Nobody listens at the first two addresses.
  client.make_network = [] {
    return MakeSocketNetwork([](const std::string&) {
      return NameAddresses{{"127.0.0.9", "::1", "127.0.0.1"}, ""};
    });
  };
  ValkeyLedger ledger({.client = client});
  EXPECT_EQ(Connect(ledger), "none");
}

TEST_F(LiveConnect, TheSystemLooksNamesUp) {
  ClientOptions client = Where();
  client.servers[0].host = "localhost";
  ValkeyLedger ledger({.client = client});
  EXPECT_EQ(Connect(ledger), "none");
  client.servers[0].host = "x";
  client.request_timeout_ms = 300;
  client.make_network = [] {
    return MakeSocketNetwork([](const std::string&) { return NameAddresses{{}, "no such name"}; });
  };
  ValkeyLedger nowhere({.client = client});
  EXPECT_EQ(Connect(nowhere), "unavailable: can't connect: x: no such name");
}

// ---- logins ------------------------------------------------------------------------

TEST_F(LiveConnect, AWrongPasswordEndsTheCallAtOnce) {
  SetUser({});
  admin->Do({"ACL", "LOG", "RESET"});
  ValkeyLedger ledger(AsUser("wrong"));
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Connect(ledger),
              "unavailable: WRONGPASS invalid username-password pair or user is disabled.");
  }
  // Other threads try to connect too, on other connections.
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back([&] { (void)Connect(ledger); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(MsSince(begin), 1900) << "the limit of one call is 2 s";
  const std::string log = admin->Do({"ACL", "LOG"});
  EXPECT_NE(log.find("count 1 "), std::string::npos) << log;
}

TEST_F(LiveConnect, AUserMayHaveNoPassword) {
  ASSERT_EQ(admin->Do({"ACL", "SETUSER", "worker", "reset", "on", "nopass", "~*", "+@all"}), "OK");
  ValkeyLedger ledger(AsUser(""));
  EXPECT_EQ(Connect(ledger), "none");
  EXPECT_NE(admin->Do({"CLIENT", "LIST"}).find("user=worker"), std::string::npos);
  // The client logs in as the user that was named, or not at all.
  SetUser({});
  ValkeyLedger other(AsUser(""));
  EXPECT_EQ(Connect(other),
            "unavailable: WRONGPASS invalid username-password pair or user is disabled.");
}

TEST_F(LiveConnect, AServerThatIsFullSaysSo) {
  ASSERT_EQ(admin->Do({"CONFIG", "SET", "maxclients", "1"}), "OK");
  ValkeyLedgerOptions options;
  options.client = Where(300);
  ValkeyLedger ledger(options);
  ServerInfo info;
  EXPECT_EQ(Connect(ledger, &info), "unavailable: ERR max number of clients reached");
  EXPECT_EQ(info.name, "");
  ASSERT_EQ(admin->Do({"CONFIG", "SET", "maxclients", "100"}), "OK");
  EXPECT_EQ(Connect(ledger, &info), "none");
  EXPECT_NE(info.name, "");
}

// ---- rights ------------------------------------------------------------------------

TEST_F(LiveConnect, AClaimThatEndsInTheMiddleIsUnknownAndFoundOut) {
  ASSERT_EQ(Connect(ledger_), "none");
  for (const std::string command : {"XADD", "ZREM", "ZADD", "HSET", "SADD", "HMGET"}) {
    SetUser({"-" + command});
    ValkeyLedger ledger(AsUser());
    ServerInfo info;
    EXPECT_EQ(Connect(ledger, &info), "none") << command;
    EXPECT_TRUE(info.rights_known);
    bool named = false;
    for (const RefusedCall& refused : info.refused_calls) {
      EXPECT_EQ(refused.commands, std::vector<std::string>{command});
      named |= refused.call == "Claim";
    }
    EXPECT_TRUE(named) << command;

    const MintedExecutionId id = Create();
    ASSERT_TRUE(Issue(id));
    const ClaimArgs args = ArgsFor(id);
    ErrorDetails details;
    EXPECT_EQ(ledger.Claim(args, &details).error, ClaimError::kUnknownOutcome) << command;
    ASSERT_EQ(details.size(), 1u);
    EXPECT_NE(details[0].find(" script: "), std::string_view::npos) << details[0];
    const FoundClaim found = ledger_.FindClaim(id.view(), args.lease_id);
    ASSERT_TRUE(found) << command;
    const bool leased = ledger_.Inspect(id.view())->ownership_state == "leased";
    EXPECT_EQ(found.fate, leased ? ClaimFate::kHeld : ClaimFate::kNotClaimed) << command;
    // A call that issues a grant ends with kUnknownCode instead.
    if (command == "HSET") {
      const MintedExecutionId other = Create();
      const IssueGrantArgs issue = {
          .execution_id = other.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000};
      EXPECT_EQ(ledger.IssueClaimGrant(issue).error, ClaimError::kUnknownCode);
    }
  }
}

TEST_F(LiveConnect, RightsThatNoCallNeedsAreNotNeeded) {
  ASSERT_EQ(Connect(ledger_), "none");
  SetUser({"-@all", "+fcall", "+hmget", "+hget", "+hset", "+exists", "+time", "+zadd", "+zrem",
           "+zscore", "+sadd", "+set", "+get", "+del", "+xadd", "+pexpireat"});
  ValkeyLedger ledger(AsUser());
  ServerInfo info;
  EXPECT_EQ(Connect(ledger, &info), "none");
  EXPECT_EQ(info.name, "") << "INFO is forbidden, and so nothing is known";
  EXPECT_EQ(info.library_version, kFunctionLibraryVersion);
  const MintedExecutionId id(7, RandomUuid());
  ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane_}));
  ASSERT_TRUE(ledger.IssueClaimGrant(
      {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
  EXPECT_TRUE(ledger.Claim(ArgsFor(id)));
}

TEST_F(LiveConnect, WithoutFunctionsAndTheRightToLoadThemNothingWorks) {
  SetUser({"-function"});
  ValkeyLedger ledger(AsUser());
  const std::string end = Connect(ledger);
  EXPECT_TRUE(end.starts_with("unavailable: NOPERM ")) << end;
  EXPECT_NE(end.find("function"), std::string::npos) << end;
  ASSERT_EQ(Connect(ledger_), "none") << "who may loads them";
  EXPECT_EQ(Connect(ledger), "none");
  SetUser({"-fcall"});
  ValkeyLedger other(AsUser());
  const std::string no_calls = Connect(other);
  EXPECT_TRUE(no_calls.starts_with("unavailable: NOPERM ")) << no_calls;
}

// ---- whose functions ---------------------------------------------------------------

TEST_F(LiveConnect, BothLibrariesLiveSideBySideWhicheverComesFirst) {
  // Our library is loaded first, then FlowFabric's, in the way of FlowFabric's own loader.
  ASSERT_EQ(Connect(ledger_), "none");
  const MintedExecutionId id = Create();
  EXPECT_EQ(admin->Do({"FCALL", "ff_version", "0"}), "ERR Function not found");
  EXPECT_EQ(admin->Do({"FUNCTION", "LOAD", "REPLACE", FlowFabricStandIn()}), "flowfabric");
  EXPECT_EQ(Libraries(), "ffgrant flowfabric");
  EXPECT_TRUE(Issue(id)) << "a client that runs goes on";
  ServerInfo info;
  ValkeyLedger second({.client = Where()});
  EXPECT_EQ(Connect(second, &info), "none");
  EXPECT_EQ(info.function_prefix, "ff_");
  EXPECT_TRUE(second.Claim(ArgsFor(id)));

  // FlowFabric's library is there first: ours is then not loaded, because nobody needs it.
  ASSERT_EQ(admin->Do({"FUNCTION", "FLUSH"}), "OK");
  EXPECT_EQ(admin->Do({"FUNCTION", "LOAD", "REPLACE", FlowFabricStandIn()}), "flowfabric");
  ValkeyLedger third({.client = Where()});
  EXPECT_EQ(Connect(third, &info), "none");
  EXPECT_EQ(Libraries(), "flowfabric");
  EXPECT_EQ(info.library_version, "");
  EXPECT_TRUE(info.rights_known);
  // When FlowFabric's library goes away, a client that has used it loads ours.
  ASSERT_EQ(admin->Do({"FUNCTION", "FLUSH"}), "OK");
  const MintedExecutionId other = Create();
  EXPECT_EQ(Libraries(), "ffgrant");
  EXPECT_TRUE(third.IssueClaimGrant(
      {.execution_id = other.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
}

TEST_F(LiveConnect, AnOldLibraryOfOursLeavesFlowFabricsNames) {
  ASSERT_EQ(admin->Do({"FUNCTION", "FLUSH"}), "OK");
  ASSERT_EQ(admin->Do({"FUNCTION", "LOAD", OldOurs()}), "ffgrant");
  ServerInfo info;
  EXPECT_EQ(Connect(ledger_, &info), "none");
  EXPECT_EQ(info.library_version, kFunctionLibraryVersion);
  EXPECT_EQ(info.function_prefix, "ffgrant_");
  EXPECT_EQ(admin->Do({"FUNCTION", "LOAD", "REPLACE", FlowFabricStandIn()}), "flowfabric");
  EXPECT_TRUE(Issue(Create()));
}

TEST_F(LiveConnect, FunctionsOfAnotherContractAreLeftAlone) {
  ASSERT_EQ(admin->Do({"FUNCTION", "FLUSH"}), "OK");
  ASSERT_EQ(admin->Do({"FUNCTION", "LOAD", FlowFabricStandIn("12")}), "flowfabric");
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Connect(ledger_),
              "unavailable: the server's functions follow another contract: ff_version answers "
              "12, not 34");
  }
  EXPECT_LE(MsSince(begin), 5000) << "at once";
  EXPECT_EQ(Libraries(), "flowfabric");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
