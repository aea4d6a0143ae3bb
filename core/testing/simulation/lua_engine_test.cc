// SPDX-License-Identifier: Apache-2.0
//
// Tests what a script sees. The expected texts are answers of Valkey 9.1.2. The test beside a real
// server (live/command_differential_test.cc) compares more answers.

#include "testing/simulation/lua_engine.h"

#include <gtest/gtest.h>

#include <string>

#include "ffgrant/valkey/function_library.h"
#include "testing/simulation/server_console.h"
#include "testing/simulation/sha1.h"

namespace ffgrant::valkey::testing {
namespace {

class LuaEngineTest : public ::testing::Test {
 protected:
  SimulatedServer server_{{.run_id = "run", .address = {}}};
  ServerConsole console_{server_};
};

TEST_F(LuaEngineTest, LuaValuesBecomeReplies) {
  EXPECT_EQ(console_.Run("return {1.9, -1.9, 'x', true, false, 'y', nil, 7}"),
            "[:1, :-1, x, :1, nil, y]");
  EXPECT_EQ(console_.Run("return {}"), "[]");
  EXPECT_EQ(console_.Run("return"), "nil");
  EXPECT_EQ(console_.Run("return {ok = 'fine'}"), "+fine");
  EXPECT_EQ(console_.Run("return {err = 'CODE and text'}"), "-CODE and text");
  EXPECT_EQ(console_.Run("return {1, {2, {3}}}"), "[:1, [:2, [:3]]]");
  EXPECT_EQ(console_.Run("return 2^63"), ":-9223372036854775808");
  EXPECT_EQ(console_.Run("return 0/0"), ":-9223372036854775808");
  EXPECT_EQ(console_.Run("return redis.error_reply('CODE')"), "-ERR CODE");
  EXPECT_EQ(console_.Run("return redis.error_reply('no code')"), "-no code");
  EXPECT_EQ(console_.Run("return redis.status_reply('fine')"), "+fine");
}

TEST_F(LuaEngineTest, RepliesBecomeLuaValues) {
  console_.Do({"HSET", "h", "a", "1"});
  EXPECT_EQ(console_.Run("return type(redis.call('HGET', 'h', 'b'))"), "boolean");
  EXPECT_EQ(console_.Run("return type(redis.call('HSET', 'h', 'a', '2'))"), "number");
  EXPECT_EQ(console_.Run("return redis.call('SET', 'k', 'v').ok"), "OK");
  EXPECT_EQ(console_.Run("local t = redis.call('HMGET', 'h', 'a', 'b', 'c') "
                         "return {t[1], tostring(t[2]), #t}"),
            "[2, false, :3]");
  EXPECT_EQ(console_.Run("return redis.call('TIME')[1]"), "1700000000");
}

TEST_F(LuaEngineTest, NumbersBecomeTexts) {
  const auto text = [&](const std::string& number) {
    return console_.Run("redis.call('SET', 'k', " + number + ") return redis.call('GET', 'k')");
  };
  EXPECT_EQ(text("0.1"), "0.1");
  EXPECT_EQ(text("1e17"), "100000000000000000");
  EXPECT_EQ(text("1e20"), "1e+20");
  EXPECT_EQ(text("123456789012345680000"), "123456789012345680000");
  EXPECT_EQ(text("2^53 + 2"), "9007199254740994");
  EXPECT_EQ(text("1e-5"), "0.00001");
  EXPECT_EQ(text("1e-7"), "1e-7");
  EXPECT_EQ(text("-1.5e-6"), "-1.5e-6");
  EXPECT_EQ(text("123456.789"), "123456.789");
  EXPECT_EQ(text("0.1 + 0.2"), "0.30000000000000004");
  EXPECT_EQ(text("1.2e22"), "1.2e+22");
  EXPECT_EQ(text("5e-324"), "5e-324");
  EXPECT_EQ(text("-1/0"), "-inf");
}

TEST_F(LuaEngineTest, ErrorsNameTheLineAndEndTheScript) {
  EXPECT_EQ(console_.Run("\nlocal x\nreturn x.y"),
            "-ERR user_function:4: attempt to index local 'x' (a nil value) script: on "
            "@user_function:4.");
  EXPECT_EQ(console_.Run("error('boom')"),
            "-ERR user_function:2: boom script: on @user_function:2.");
  EXPECT_EQ(console_.Run("error({err = 'My boom'})"), "-My boom script: on @user_function:2.");
  EXPECT_EQ(console_.Run("error(setmetatable({}, {__index = function() error('no') end}))"),
            "-ERR unknown error script: on @user_function:2.");
  EXPECT_EQ(console_.Run("error({})"), "-ERR unknown error script: on @user_function:2.");
  EXPECT_EQ(console_.Run("return redis.call('SET', 'k')"),
            "-ERR Wrong number of args calling command from script script: on @user_function:2.");
  EXPECT_EQ(console_.Run("return redis.call('NOSUCH')"),
            "-ERR Unknown command called from script script: on @user_function:2.");
  EXPECT_EQ(console_.Run("return redis.call('AUTH', 'x')"),
            "-ERR This Valkey command is not allowed from script script: on @user_function:2.");
  EXPECT_EQ(console_.Run("return redis.call()"),
            "-ERR Please specify at least one argument for this call script: on @user_function:2.");
  EXPECT_EQ(console_.Run("return redis.call('SET', 'k', {})"),
            "-ERR Command arguments must be strings or integers script: on @user_function:2.");
}

TEST_F(LuaEngineTest, WhatWasWrittenBeforeAnErrorStays) {
  EXPECT_EQ(console_.Run("redis.call('SET', 'a', '1') redis.call('HSET', 'a', 'f', 'v') "
                         "redis.call('SET', 'b', '2')"),
            "-WRONGTYPE Operation against a key holding the wrong kind of value script: on "
            "@user_function:2.");
  EXPECT_EQ(console_.Do({"GET", "a"}), "1");
  EXPECT_EQ(console_.Do({"EXISTS", "b"}), ":0");
}

TEST_F(LuaEngineTest, ErrorsCanBeCaught) {
  console_.Do({"SET", "k", "v"});
  EXPECT_EQ(console_.Run("return {pcall(redis.call, 'HGET', 'k', 'f')}"),
            "[nil, WRONGTYPE Operation against a key holding the wrong kind of value]");
  EXPECT_EQ(console_.Run("return redis.pcall('HGET', 'k', 'f').err"),
            "WRONGTYPE Operation against a key holding the wrong kind of value");
  EXPECT_EQ(console_.Run("return {pcall(error, 'text')}"), "[nil, text]");
}

TEST_F(LuaEngineTest, ScriptsHaveTheServersLibrariesAndNoOthers) {
  EXPECT_EQ(console_.Run("return nope"),
            "-ERR user_function:2: Script attempted to access nonexistent global variable 'nope' "
            "script: on @user_function:2.");
  EXPECT_EQ(console_.Run("x = 1"),
            "-ERR user_function:2: Attempt to modify a readonly table script: on "
            "@user_function:2.");
  for (const char* const name : {"io", "debug", "package", "require", "print", "dofile"}) {
    EXPECT_NE(console_.Run(std::string("return type(") + name + ")").find("nonexistent"),
              std::string::npos)
        << name;
  }
  EXPECT_EQ(console_.Run("return bit.bxor(5, 3) + bit.band(12, 10) * 10 + bit.lshift(1, 4)"),
            ":102");
  EXPECT_EQ(console_.Run("return bit.bnot(0)"), ":-1");
  EXPECT_EQ(console_.Run("return cjson.encode({1, 'a', {}})"), "[1,\"a\",{}]");
  EXPECT_EQ(console_.Run("return {pcall(cjson.decode, '{bad')}"),
            "[nil, Expected object key string but found invalid token at character 2]");
  EXPECT_EQ(console_.Run("return redis.sha1hex('')"), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
}

TEST_F(LuaEngineTest, Sha1OfEveryLength) {
  const auto sha1 = [](const std::string& text) {
    const auto hex = Sha1Hex(text);
    return std::string(hex.data(), hex.size());
  };
  EXPECT_EQ(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(sha1(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
  // The expected value is the SHA-1 of `all`, which joins the SHA-1 texts of `a` * n, n = 0..199.
  std::string all;
  for (std::size_t n = 0; n < 200; ++n) all += sha1(std::string(n, 'a'));
  EXPECT_EQ(sha1(all), "cb062fe66512892ec8c722ee74ff9ac151cc4b61");
}

TEST_F(LuaEngineTest, LibrariesThatCannotBeLoadedChangeNothing) {
  ASSERT_EQ(console_.Load("return 'first'"), "t");
  const auto load = [&](const std::string& code) {
    return console_.Do({"FUNCTION", "LOAD", "REPLACE", code});
  };
  EXPECT_EQ(load("nolua"), "-ERR Missing library metadata");
  EXPECT_EQ(load("#!lua name=x"), "-ERR Invalid library metadata");
  EXPECT_EQ(load("#!lua\n"), "-ERR Library name was not given");
  EXPECT_EQ(load("#!lua name=a b=c\n"), "-ERR Invalid metadata value given: b=c");
  EXPECT_EQ(load("#!js name=a\n"), "-ERR Engine 'js' not found");
  EXPECT_EQ(load("#!lua name=t\nreturn 1"), "-ERR No functions registered");
  EXPECT_EQ(load("#!lua name=t\nreturn 1 1"),
            "-ERR Error compiling function: user_function:2: '<eof>' expected near '1'");
  EXPECT_EQ(load("#!lua name=t\nlocal x = tonumber('1')"),
            "-ERR Error registering functions: ERR user_function:2: Script attempted to access "
            "nonexistent global variable 'tonumber'");
  EXPECT_EQ(load("#!lua name=other\nredis.register_function('f', function() end)"),
            "-ERR Function f already exists");
  EXPECT_EQ(load("#!lua name=t\nredis.register_function('f-f', function() end)"),
            "-ERR Function names can only contain letters, numbers, or underscores(_) and must be "
            "at least one character long");
  EXPECT_EQ(console_.Do({"FUNCTION", "LOAD", "#!lua name=t\nreturn 1"}),
            "-ERR Library 't' already exists");
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "first");
  EXPECT_EQ(console_.Run("redis.register_function('late', function() end)"),
            "-ERR user_function:2: attempt to call field 'register_function' (a nil value) script: "
            "on @user_function:2.");
}

TEST_F(LuaEngineTest, ReplacingALibraryDropsItsOldFunctions) {
  const std::string old =
      "#!lua name=t\nredis.register_function('f', function() return 'old' end)\n"
      "redis.register_function('g', function() return 'old' end)";
  ASSERT_EQ(console_.Do({"FUNCTION", "LOAD", old}), "t");
  ASSERT_EQ(console_.Load("return 'new'"), "t");
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "new");
  EXPECT_EQ(console_.Do({"FCALL", "g", "0"}), "-ERR Function not found");
  EXPECT_EQ(console_.Do({"FUNCTION", "DELETE", "t"}), "+OK");
  EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), "-ERR Function not found");
}

TEST_F(LuaEngineTest, FunctionsThatPromiseNotToWriteAreHeldToIt) {
  ASSERT_EQ(console_.Load("return redis.call('SET', keys[1], 'v')", "flags={'no-writes'}"), "t");
  const std::string refused =
      "-ERR Write commands are not allowed from read-only scripts. script: on @user_function:2.";
  EXPECT_EQ(console_.Do({"FCALL", "f", "1", "k"}), refused);
  EXPECT_EQ(console_.Do({"FCALL_RO", "f", "1", "k"}), refused);
  ASSERT_EQ(console_.Load("return 1"), "t");
  EXPECT_EQ(console_.Do({"FCALL_RO", "f", "0"}),
            "-ERR Can not execute a script with write flag using *_ro command.");
}

TEST_F(LuaEngineTest, LinesAreCounted) {
  const std::string code =
      "#!lua name=t\n"                                    // 1
      "local function never()\n"                          // 2
      "  return 1\n"                                      // 3
      "end\n"                                             // 4
      "redis.register_function('f', function(_, args)\n"  // 5
      "  if args[1] == 'x' then\n"                        // 6
      "    return never()\n"                              // 7
      "  end\n"                                           // 8
      "  -- a comment\n"                                  // 9
      "  return 2\n"                                      // 10
      "end)\n";                                           // 11
  ASSERT_EQ(console_.Do({"FUNCTION", "LOAD", code}), "t");
  server_.lua().CountLines("t");
  ASSERT_EQ(console_.Do({"FUNCTION", "LOAD", "REPLACE", code}), "t");
  EXPECT_GT(server_.lua().LineCounts().at(5), 0u) << "loading registers the function";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(console_.Do({"FCALL", "f", "0"}), ":2");
  auto counts = server_.lua().LineCounts();
  EXPECT_EQ(counts.at(6), 3u);
  EXPECT_EQ(counts.at(10), 3u);
  EXPECT_EQ(counts.at(3), 0u);
  EXPECT_EQ(counts.at(7), 0u);
  EXPECT_EQ(counts.count(9), 0u);
  EXPECT_EQ(counts.count(1), 0u);
  EXPECT_EQ(console_.Do({"FCALL", "f", "0", "x"}), ":1");
  counts = server_.lua().LineCounts();
  EXPECT_EQ(counts.at(3), 1u);
  EXPECT_EQ(counts.at(7), 1u);
  server_.lua().CountLines("");
  EXPECT_TRUE(server_.lua().LineCounts().empty());
}

TEST_F(LuaEngineTest, EveryFunctionOfTheShippedLibraryHasLines) {
  const std::vector<int> lines = LinesWithCode(FunctionLibrarySource());
  EXPECT_GT(lines.size(), 500u);
  EXPECT_TRUE(LinesWithCode("#!lua name=t\nthis is no Lua").empty());
}

}  // namespace
}  // namespace ffgrant::valkey::testing
