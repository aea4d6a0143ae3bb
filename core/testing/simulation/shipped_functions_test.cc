// SPDX-License-Identifier: Apache-2.0
//
// Calls the shipped functions with too few KEYS or ARGV, as no client does, at moments that only a
// simulated clock meets, and as two users who ask which commands are refused.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/simulation/server_console.h"

namespace ffgrant::valkey::testing {
namespace {

class ShippedFunctions : public ::testing::Test {
 protected:
  ShippedFunctions() {
    EXPECT_EQ(console_.Do({"FUNCTION", "LOAD", std::string(FunctionLibrarySource())}), "ffgrant");
  }

  SimulatedServer server_{{.run_id = "run-1", .address = {"10.0.0.1", 6379}}};
  ServerConsole console_{server_};
};

// If a call broke off between two writes, half of its work would be left behind.
TEST_F(ShippedFunctions, TooFewKeysOrArgumentsChangeNothing) {
  // The least numbers of KEYS and ARGV with which each function (functions/README.md) does not
  // break off. Clients send at least as many.
  const struct {
    const char* function;
    std::size_t keys;
    std::size_t args;
  } kFunctions[] = {{"create_execution", 8, 13},         {"issue_claim_grant", 3, 6},
                    {"claim_execution", 14, 9},          {"claim_resumed_execution", 11, 7},
                    {"issue_grant_and_claim", 11, 8},    {"complete_execution", 12, 1},
                    {"fail_execution", 12, 1},           {"renew_lease", 4, 7},
                    {"mark_lease_expired_if_due", 4, 1}, {"revoke_lease", 5, 1},
                    {"issue_reclaim_grant", 3, 6},       {"reclaim_execution", 14, 7},
                    {"suspend_execution", 17, 13},       {"resume_execution", 8, 1},
                    {"promote_delayed", 3, 2},           {"rotate_waitpoint_hmac_secret", 1, 3}};
  for (const auto& f : kFunctions) {
    const std::string name = std::string("ffgrant_") + f.function;
    const auto call = [&](std::size_t keys, std::size_t args) {
      std::vector<std::string> words = {"FCALL", name, std::to_string(keys)};
      for (std::size_t i = 0; i < keys; ++i) words.push_back("{fp:7}:" + name + std::to_string(i));
      for (std::size_t i = 0; i < args; ++i) words.push_back("1");
      return console_.Do(words);
    };
    const auto before = server_.keys().Dump();
    const std::string refusal = "-ERR " + name + " takes " + std::to_string(f.keys) + " KEYS";
    for (const std::size_t args : {std::size_t{0}, f.args - 1, f.args, f.args + 5}) {
      EXPECT_TRUE(call(f.keys - 1, args).starts_with(refusal)) << name << ", " << args;
    }
    for (const std::size_t args : {std::size_t{0}, f.args - 1}) {
      EXPECT_TRUE(call(f.keys, args).starts_with(refusal)) << name << ", " << args;
    }
    EXPECT_EQ(server_.keys().Dump(), before) << name;
    const std::string enough = call(f.keys, f.args);
    EXPECT_FALSE(enough.starts_with("-")) << name << ": " << enough;
  }
}

// A secret is valid until its grace has passed, the last millisecond included. The next rotation
// removes the secrets that are not valid any more.
TEST_F(ShippedFunctions, ARotationRemovesTheSecretsWhoseGraceIsOver) {
  const auto rotate = [&](const std::string& kid) {
    return console_.Do({"FCALL", "ffgrant_rotate_waitpoint_hmac_secret", "1", "{fp:7}:secrets", kid,
                        "aabb", "1000"});
  };
  for (const std::int64_t late_ms : {0, 1}) {
    EXPECT_EQ(console_.Do({"DEL", "{fp:7}:secrets"}), late_ms == 0 ? ":0" : ":1");
    EXPECT_TRUE(rotate("k1").starts_with("[:1, OK, rotated"));
    EXPECT_TRUE(rotate("k2").starts_with("[:1, OK, rotated"));
    console_.now_ms += 1000 + late_ms;
    EXPECT_TRUE(rotate("k3").starts_with("[:1, OK, rotated"));
    const bool gone = late_ms != 0;
    for (const char* const field : {"secret:k1", "expires_at:k1"}) {
      EXPECT_EQ(console_.Do({"HGET", "{fp:7}:secrets", field}) == "nil", gone) << late_ms;
    }
    EXPECT_EQ(console_.Do({"HGET", "{fp:7}:secrets", "secret:k2"}), "aabb");
  }
}

// An answer depends on the user who asks, and on the rights that this user has now.
TEST_F(ShippedFunctions, RefusedCommandsAreThoseOfWhoeverAsks) {
  const std::vector<std::string> ask = {
      "FCALL", "ffgrant_refused_commands", "1", "{fp:7}:k", "SET", "XADD", "HSET"};
  EXPECT_EQ(console_.Do(ask), "[]");
  server_.users["default"] = {};
  server_.users["ann"].denied = {"xadd"};
  ServerConsole ann(server_, 2);
  EXPECT_EQ(ann.Do({"AUTH", "ann", "any"}), "+OK");
  EXPECT_EQ(ann.Do(ask), "[XADD]");
  EXPECT_EQ(console_.Do(ask), "[]");
  server_.users["ann"].denied = {"hset"};
  EXPECT_EQ(ann.Do(ask), "[HSET]");
  // Every refused command is named, wherever it stands.
  server_.users["ann"].denied = {"set", "hset"};
  EXPECT_EQ(ann.Do(ask), "[SET, HSET]");
  server_.users["ann"].denied = {"set", "xadd", "hset"};
  EXPECT_EQ(ann.Do(ask), "[SET, XADD, HSET]");
  server_.users["ann"].denied = {};
  EXPECT_EQ(ann.Do(ask), "[]");
}

// Redis 8 checks a command only if the command takes as many arguments as are given.
TEST_F(ShippedFunctions, RefusedCommandsAreFoundWhereEachNeedsItsArguments) {
  std::string source(FunctionLibrarySource());
  const std::string check = "local check = redis.acl_check_cmd";
  ASSERT_NE(source.find(check), std::string::npos);
  source.replace(source.find(check), check.size(), R"(
  local check = function(command, ...)
    local counts = { TIME = 0, GET = 1, SET = 2, HSET = 3, XADD = 4 }
    if select('#', ...) ~= counts[command] then error('Wrong number of args calling command') end
    return redis.acl_check_cmd(command, ...)
  end)");
  ASSERT_EQ(console_.Do({"FUNCTION", "LOAD", "REPLACE", source}), "ffgrant");
  server_.users["default"] = {};
  server_.users["ann"] = {};
  ServerConsole ann(server_, 2);
  ASSERT_EQ(ann.Do({"AUTH", "ann", "any"}), "+OK");
  for (const std::string command : {"TIME", "GET", "SET", "HSET", "XADD"}) {
    const std::vector<std::string> ask = {"FCALL", "ffgrant_refused_commands", "1", "{fp:7}:k",
                                          command};
    server_.users["ann"].denied = {};
    EXPECT_EQ(ann.Do(ask), "[]") << command;
    std::string name = command;
    for (char& c : name) c = static_cast<char>(c - 'A' + 'a');
    server_.users["ann"].denied = {name};
    EXPECT_EQ(ann.Do(ask), "[" + command + "]");
  }
}

// The functions remember numbers that they have read and times that they have written, but not all
// of them: a server runs for years.
TEST_F(ShippedFunctions, WhatTheyRememberIsBounded) {
  int ttl_ms = 100'000;
  const auto call = [&](int times) {
    for (int i = 0; i < times; ++i) {
      ++console_.now_ms;
      EXPECT_EQ(console_.Do({"FCALL", "ffgrant_issue_claim_grant", "3", "{fp:7}:core",
                             "{fp:7}:grant", "{fp:7}:eligible", "{fp:7}:id", "w", "i", "lane", "",
                             std::to_string(++ttl_ms)}),
                "[:0, execution_not_found]");
    }
    return server_.lua().CollectGarbage();
  };
  const int before = call(3000);
  EXPECT_LT(call(20'000), before + 100) << "KiB";
}

}  // namespace
}  // namespace ffgrant::valkey::testing
