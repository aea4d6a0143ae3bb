// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_server.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/simulation/function_calls.h"
#include "testing/simulation/server_console.h"

namespace ffgrant::valkey::testing {
namespace {

class SimulatedServerTest : public ::testing::Test {
 protected:
  SimulatedServer server_{{.run_id = "run-1", .address = {"10.0.0.1", 6379}}};
  ServerConsole console_{server_};
};

TEST_F(SimulatedServerTest, UnknownCommandsAndWrongCountsAreRefused) {
  EXPECT_EQ(console_.Do({"NOSUCH", "a", "bb"}),
            "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'bb' ");
  EXPECT_EQ(console_.Do({"get"}), "-ERR wrong number of arguments for 'get' command");
  EXPECT_EQ(console_.Do({"FCALL", "f"}), "-ERR wrong number of arguments for 'fcall' command");
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "-ERR Function not found");
  console_.Load("return 1");
  EXPECT_EQ(console_.Do({"FCALL", "f", "x"}), "-ERR Bad number of keys provided");
  EXPECT_EQ(console_.Do({"FCALL", "f", "1"}),
            "-ERR Number of keys can't be greater than number of args");
  EXPECT_EQ(console_.Do({"FCALL", "f", "-1"}), "-ERR Number of keys can't be negative");
}

TEST_F(SimulatedServerTest, ConnectionsHaveIdsAndCanBeKilled) {
  ServerConsole other(server_, 2);
  EXPECT_EQ(other.Do({"CLIENT", "ID"}), ":2");
  EXPECT_EQ(console_.Do({"CLIENT", "KILL", "ID", "2"}), ":1");
  EXPECT_TRUE(server_.HasClosed(2));
  EXPECT_FALSE(server_.HasClosed(1));
  EXPECT_EQ(console_.Do({"CLIENT", "KILL", "ID", "2"}), ":0");
  EXPECT_EQ(console_.Do({"CLIENT", "KILL", "ID", "0"}), "-ERR client-id should be greater than 0");
}

TEST_F(SimulatedServerTest, PasswordsAreAskedFor) {
  EXPECT_EQ(console_.Do({"AUTH", "default", "any"}), "+OK");
  EXPECT_EQ(console_.Do({"AUTH", "ann", "x"}),
            "-WRONGPASS invalid username-password pair or user is disabled.");
  server_.users["default"].password = "secret";
  server_.users["ann"] = {};
  ServerConsole late(server_, 3);
  EXPECT_EQ(late.Do({"PING"}), "-NOAUTH Authentication required.");
  EXPECT_EQ(late.Do({"AUTH", "wrong"}),
            "-WRONGPASS invalid username-password pair or user is disabled.");
  EXPECT_EQ(late.Do({"AUTH", "secret"}), "+OK");
  EXPECT_EQ(late.Do({"PING"}), "+PONG");
  ServerConsole ann(server_, 4);
  EXPECT_EQ(ann.Do({"AUTH", "ann", ""}), "+OK");
}

TEST_F(SimulatedServerTest, WhatAUserMayNotDoIsRefusedInScriptsToo) {
  server_.users["default"].denied = {"client|kill", "hset"};
  EXPECT_EQ(console_.Do({"CLIENT", "KILL", "ID", "9"}),
            "-NOPERM User default has no permissions to run the 'client|kill' command");
  EXPECT_EQ(console_.Do({"CLIENT", "ID"}), ":1");
  EXPECT_EQ(console_.Run("redis.call('SET', 'a', '1') redis.call('HSET', 'h', 'f', 'v')"),
            "-ERR ACL failure in script: User default has no permissions to run the 'hset' "
            "command script: on @user_function:2.");
  EXPECT_EQ(console_.Do({"GET", "a"}), "1");
}

TEST_F(SimulatedServerTest, AProcessIsKnownByItsRunId) {
  console_.Do({"SET", "k", "v"});
  console_.Load("return 1");
  EXPECT_NE(console_.Do({"INFO"}).find("run_id:run-1\r\n"), std::string::npos);
  server_.Restart("run-2", true);
  EXPECT_TRUE(server_.HasClosed(1));
  ServerConsole again(server_, 5);
  EXPECT_NE(again.Do({"INFO"}).find("run_id:run-2\r\n"), std::string::npos);
  EXPECT_EQ(again.Do({"GET", "k"}), "v");
  EXPECT_EQ(again.Do({"FCALL", "f", "0"}), ":1");
  server_.Restart("run-3", false);
  ServerConsole empty(server_, 6);
  EXPECT_EQ(empty.Do({"GET", "k"}), "nil");
  EXPECT_EQ(empty.Do({"FCALL", "f", "0"}), "-ERR Function not found");
}

TEST_F(SimulatedServerTest, RefusalsLeaveEverythingAsItIs) {
  console_.Load("return redis.call('SET', 'k', 'v')");
  server_.refusal = "LOADING Valkey is loading the dataset in memory";
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "-" + server_.refusal);
  EXPECT_EQ(console_.Do({"GET", "k"}), "-" + server_.refusal);
  EXPECT_EQ(console_.Do({"CLIENT", "ID"}), ":1");
  server_.refusal = "OOM command not allowed when used memory > 'maxmemory'.";
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "-" + server_.refusal);
  EXPECT_EQ(console_.Do({"GET", "k"}), "nil");
  server_.refusal.clear();
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "+OK");
}

TEST_F(SimulatedServerTest, TransactionsStandStillInTime) {
  EXPECT_EQ(console_.Do({"MULTI"}), "+OK");
  EXPECT_EQ(console_.Do({"TIME"}), "+QUEUED");
  EXPECT_EQ(console_.Do({"SET", "k", "v"}), "+QUEUED");
  EXPECT_EQ(console_.Do({"EXEC"}), "[[1700000000, 0], +OK]");
  EXPECT_EQ(console_.Do({"EXEC"}), "-ERR EXEC without MULTI");
  console_.Do({"MULTI"});
  console_.Do({"NOSUCH"});
  EXPECT_EQ(console_.Do({"EXEC"}), "-EXECABORT Transaction discarded because of previous errors.");
}

TEST_F(SimulatedServerTest, BeyondItsClientsItSaysSoAndHangsUp) {
  console_.Do({"PING"});
  server_.max_clients = 1;
  ServerConsole second(server_, 2);
  EXPECT_EQ(second.Do({"PING"}), "-ERR max number of clients reached");
  EXPECT_TRUE(server_.HasClosed(2));
  server_.CloseConnection(1);
  ServerConsole third(server_, 3);
  EXPECT_EQ(third.Do({"PING"}), "+PONG");
}

// ---- replicas ------------------------------------------------------------------

TEST_F(SimulatedServerTest, AReplicaHasWhatItsPrimaryHas) {
  console_.Do({"SET", "before", "1"});
  console_.Load(
      "redis.call('XADD', keys[1], '*', 'f', 'v') redis.call('HSET', keys[2], 'f', 'v') "
      "redis.call('SET', keys[3], 'v', 'PX', 50)");
  SimulatedServer replica({.run_id = "run-2", .address = {"10.0.0.2", 6379}});
  replica.BecomeReplicaOf(server_);
  console_.Do({"FCALL", "f", "3", "x", "h", "s"});
  console_.Do({"DEL", "before"});
  replica.keys().SetNow(console_.now_ms);
  EXPECT_EQ(replica.keys().Dump(), server_.keys().Dump());
  ServerConsole at_replica(replica, 7);
  EXPECT_EQ(at_replica.Do({"SET", "k", "v"}),
            "-READONLY You can't write against a read only replica.");
  EXPECT_EQ(at_replica.Do({"FCALL", "f", "0"}),
            "-READONLY You can't write against a read only replica.");
  EXPECT_EQ(at_replica.Do({"HGET", "h", "f"}), "v");
  EXPECT_NE(at_replica.Do({"INFO"}).find("role:slave"), std::string::npos);
}

TEST_F(SimulatedServerTest, AKeyExpiresAtTheSameTimeOnAReplicaThatIsBehind) {
  SimulatedServer replica({.run_id = "run-2", .address = {"10.0.0.2", 6379}});
  replica.BecomeReplicaOf(server_);
  replica.SetLinkOpen(false);
  console_.Do({"SET", "set", "v", "PX", "100"});
  console_.Do({"SET", "if absent", "v", "NX", "PX", "100"});
  console_.Do({"SET", "later", "v"});
  console_.Do({"PEXPIRE", "later", "100"});
  console_.Do({"SET", "at once", "v"});
  console_.Do({"PEXPIRE", "at once", "-1"});
  console_.now_ms += 50;
  console_.Do({"SET", "set now", "v"});
  replica.SetLinkOpen(true);
  EXPECT_EQ(server_.keys().Dump().size(), 4u);
  EXPECT_EQ(replica.keys().Dump(), server_.keys().Dump());
}

TEST_F(SimulatedServerTest, APromotedReplicaLacksWhatWasOnItsWay) {
  SimulatedServer replica({.run_id = "run-2", .address = {"10.0.0.2", 6379}});
  replica.BecomeReplicaOf(server_);
  console_.Load("redis.call('SET', 'a', args[1]) redis.call('SET', 'b', args[1])");
  console_.Do({"FCALL", "f", "0", "1"});
  replica.SetLinkOpen(false);
  console_.Do({"FCALL", "f", "0", "2"});
  console_.Do({"FCALL", "f", "0", "3"});
  EXPECT_EQ(replica.waiting_changes(), 2u);
  EXPECT_EQ(console_.Do({"WAIT", "1", "0"}), ":0");
  replica.Deliver(1);
  replica.Promote();
  ServerConsole promoted(replica, 7);
  // The changes of one call of a function arrive as a whole or not at all.
  EXPECT_EQ(promoted.Do({"GET", "a"}), "2");
  EXPECT_EQ(promoted.Do({"GET", "b"}), "2");
  EXPECT_EQ(promoted.Do({"FCALL", "f", "0", "4"}), "nil");
  EXPECT_EQ(console_.Do({"GET", "a"}), "3");
  // The old primary comes back as a replica of the new one.
  server_.BecomeReplicaOf(replica);
  EXPECT_EQ(console_.Do({"GET", "a"}), "4");
  const std::string info = console_.Do({"INFO"});
  EXPECT_NE(info.find("master_replid:run-2-history-1"), std::string::npos) << info;
  EXPECT_NE(info.find("master_replid2:run-1-history-0"), std::string::npos) << info;
}

// ---- the shipped functions -----------------------------------------------------

std::vector<std::string> Play(std::uint64_t seed, int calls) {
  SimulatedServer server({.run_id = "run", .address = {}});
  ServerConsole console(server);
  console.Do({"FUNCTION", "LOAD", std::string(FunctionLibrarySource())});
  const bool own = FunctionLibrarySource().find("'ff_create_execution'") == std::string_view::npos;
  FunctionCalls made(seed, own ? "ffgrant_" : "ff_");
  std::vector<std::string> replies;
  for (int i = 0; i < calls; ++i) {
    replies.push_back(console.Do(made.Next(console.now_ms)));
    console.now_ms += i % 7;
  }
  for (const auto& [key, line] : server.keys().Dump()) replies.push_back(key + " " + line);
  return replies;
}

TEST_F(SimulatedServerTest, TheSameSeedIsTheSameRun) {
  EXPECT_EQ(Play(1, 500), Play(1, 500));
  EXPECT_NE(Play(1, 500), Play(2, 500));
}

}  // namespace
}  // namespace ffgrant::valkey::testing
