// SPDX-License-Identifier: Apache-2.0
//
// Tests the edge cases of the simulated commands. live/command_differential_test.cc compares
// thousands of commands with a real server.

#include "testing/simulation/key_commands.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/simulation/number_text.h"
#include "testing/simulation/server_console.h"

namespace ffgrant::valkey::testing {
namespace {

class KeyCommandsTest : public ::testing::Test {
 protected:
  SimulatedServer server_{{.run_id = "run", .address = {}}};
  ServerConsole console_{server_};
};

TEST_F(KeyCommandsTest, KeysEndAfterTheirLastMillisecond) {
  const std::int64_t end = console_.now_ms + 5;
  console_.Do({"SET", "k", "v"});
  EXPECT_EQ(console_.Do({"PEXPIREAT", "k", std::to_string(end)}), ":1");
  EXPECT_EQ(console_.Do({"PEXPIRETIME", "k"}), ":" + std::to_string(end));
  console_.now_ms = end;
  EXPECT_EQ(console_.Do({"GET", "k"}), "v");
  console_.now_ms = end + 1;
  EXPECT_EQ(console_.Do({"EXISTS", "k"}), ":0");
  EXPECT_EQ(console_.Do({"DBSIZE"}), ":0");
  EXPECT_TRUE(server_.keys().Dump().empty());
}

TEST_F(KeyCommandsTest, AnExpiryThatIsNotInTheFutureDeletesAtOnce) {
  console_.Do({"SET", "k", "v"});
  EXPECT_EQ(console_.Do({"PEXPIREAT", "k", std::to_string(console_.now_ms)}), ":1");
  EXPECT_EQ(console_.Do({"EXISTS", "k"}), ":0");
  EXPECT_EQ(console_.Do({"PEXPIREAT", "k", "5"}), ":0");
  console_.Do({"SET", "k", "v", "PX", "10"});
  console_.Do({"SET", "k", "v"});
  EXPECT_EQ(console_.Do({"PEXPIRETIME", "k"}), ":-1");
}

TEST_F(KeyCommandsTest, TimesThatAreNoWholeNumbersAreRefused) {
  console_.Do({"SET", "k", "v"});
  for (const char* const text : {"", "x", "1e3", "1.5", "+5", "05", " 5", "5 ", "-0",
                                 "9223372036854775808", "99999999999999999999"}) {
    EXPECT_EQ(console_.Do({"PEXPIREAT", "k", text}), "-ERR value is not an integer or out of range")
        << text;
  }
  EXPECT_EQ(console_.Do({"PEXPIREAT", "k", "9223372036854775807"}), ":1");
}

TEST_F(KeyCommandsTest, CommandsOnKeysOfAnotherTypeAreRefused) {
  console_.Do({"SET", "text", "v"});
  console_.Do({"ZADD", "zset", "1", "m"});
  const std::string wrong = "-" + std::string(kWrongType);
  const std::vector<std::vector<std::string>> of_text = {
      {"HSET", "text", "f", "v"},      {"HGET", "text", "f"},
      {"HMGET", "text", "f"},          {"HGETALL", "text"},
      {"HDEL", "text", "f"},           {"SADD", "text", "m"},
      {"SREM", "text", "m"},           {"ZADD", "text", "1", "m"},
      {"ZREM", "text", "m"},           {"ZSCORE", "text", "m"},
      {"ZRANGE", "text", "0", "1"},    {"XADD", "text", "*", "f", "v"},
      {"XREVRANGE", "text", "+", "-"}, {"GET", "zset"}};
  for (const auto& command : of_text) EXPECT_EQ(console_.Do(command), wrong) << command[0];
  EXPECT_EQ(console_.Do({"SET", "zset", "v"}), "+OK");
  EXPECT_EQ(console_.Do({"DEL", "text", "zset", "none"}), ":2");
}

TEST_F(KeyCommandsTest, CollectionsGoWithTheirLastMember) {
  console_.Do({"HSET", "h", "a", "1", "b", "2", "a", "3"});
  EXPECT_EQ(console_.Do({"HGETALL", "h"}), "[a, 3, b, 2]");
  EXPECT_EQ(console_.Do({"HDEL", "h", "a", "a", "b"}), ":2");
  console_.Do({"SADD", "s", "a"});
  console_.Do({"SREM", "s", "a", "z"});
  console_.Do({"ZADD", "z", "1", "a"});
  console_.Do({"ZREM", "z", "a"});
  EXPECT_EQ(console_.Do({"EXISTS", "h", "s", "z"}), ":0");
}

TEST_F(KeyCommandsTest, HashesOfAnySizeFindTheirFields) {
  for (int i = 0; i < 200; ++i) console_.Do({"HSET", "h", "f" + std::to_string(i), "v"});
  for (int i = 0; i < 200; i += 3) console_.Do({"HDEL", "h", "f" + std::to_string(i)});
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(console_.Do({"HGET", "h", "f" + std::to_string(i)}), i % 3 == 0 ? "nil" : "v");
  }
}

TEST_F(KeyCommandsTest, SortedSetsAreOrderedByScoreAndThenByBytes) {
  console_.Do({"ZADD", "z", "1", "b", "1", "a", "-1", "c", "0", "d"});
  EXPECT_EQ(console_.Do({"ZRANGE", "z", "0", "-1"}), "[c, d, a, b]");
  EXPECT_EQ(console_.Do({"ZRANGE", "z", "-2", "9"}), "[a, b]");
  EXPECT_EQ(console_.Do({"ZRANGE", "z", "2", "1"}), "[]");
  EXPECT_EQ(console_.Do({"ZADD", "z", "5", "c"}), ":0");
  EXPECT_EQ(console_.Do({"ZRANGE", "z", "0", "-1", "WITHSCORES"}), "[d, 0, a, 1, b, 1, c, 5]");
  EXPECT_EQ(console_.Do({"ZSCORE", "z", "c"}), "5");
}

TEST_F(KeyCommandsTest, ScoresThatAreNoNumbersAreRefused) {
  for (const char* const text :
       {"", "abc", "nan", "-nan", "0x10", " 1", "1 ", "1e", "1e400", "1e-400", "--1", "+-1", "."}) {
    EXPECT_EQ(console_.Do({"ZADD", "z", text, "m"}), "-ERR value is not a valid float") << text;
  }
  for (const auto& [text, score] : std::vector<std::pair<std::string, std::string>>{
           {"+1", "1"},
           {"1.", "1"},
           {"-.5", "-0.5"},
           {"1E5", "100000"},
           {"iNf", "inf"},
           {"-infinity", "-inf"},
           {"-8999998276543210", "-8999998276543210"}}) {
    console_.Do({"ZADD", "z", text, "m"});
    EXPECT_EQ(console_.Do({"ZSCORE", "z", "m"}), score) << text;
  }
}

TEST_F(KeyCommandsTest, StreamsNumberTheirEntriesByTime) {
  EXPECT_EQ(console_.Do({"XADD", "x", "*", "a", "1"}), "1700000000000-0");
  EXPECT_EQ(console_.Do({"XADD", "x", "*", "a", "2"}), "1700000000000-1");
  console_.now_ms -= 10;  // the clock goes back
  EXPECT_EQ(console_.Do({"XADD", "x", "*", "a", "3"}), "1700000000000-2");
  EXPECT_EQ(console_.Do({"XREVRANGE", "x", "+", "-", "COUNT", "2"}),
            "[[1700000000000-2, [a, 3]], [1700000000000-1, [a, 2]]]");
  EXPECT_EQ(console_.Do({"XREVRANGE", "x", "+", "-", "COUNT", "0"}), "nil");
  EXPECT_EQ(console_.Do({"XADD", "x", "5-1", "a", "b"}),
            "-ERR The ID specified in XADD is equal or smaller than the target stream top item");
}

TEST_F(KeyCommandsTest, AboutSoManyEntriesAreKeptByWholeNodes) {
  // A node of a stream holds at most 100 entries.
  for (int i = 0; i < 250; ++i) console_.Do({"XADD", "x", "MAXLEN", "~", "120", "*", "a", "1"});
  EXPECT_EQ(console_.Do({"XLEN", "x"}), ":150");
  EXPECT_EQ(console_.Do({"XADD", "x", "MAXLEN", "~", "0", "*", "a", "1"}).substr(0, 4), "1700");
  EXPECT_EQ(console_.Do({"XLEN", "x"}), ":0");
  EXPECT_EQ(console_.Do({"EXISTS", "x"}), ":1");
  EXPECT_EQ(console_.Do({"XADD", "x", "MAXLEN", "~", "-1", "*", "a", "1"}),
            "-ERR The MAXLEN argument must be >= 0.");
  EXPECT_EQ(console_.Do({"XADD", "x", "MAXLEN", "~", "1e3", "*", "a", "1"}),
            "-ERR value is not an integer or out of range");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
