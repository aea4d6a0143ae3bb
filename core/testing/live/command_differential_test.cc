// SPDX-License-Identifier: Apache-2.0
//
// Compares the simulated commands and scripts with those of a real Valkey server: random commands
// on a few keys, and scripts that show what scripts can see. The shipped functions are not loaded.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "testing/live/real_server.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {
namespace {

class Pair {
 public:
  Pair() : simulated_({.run_id = "run", .address = {}}) {
    (void)real_.Do({"FLUSHALL"});
    (void)real_.Do({"FUNCTION", "FLUSH"});
  }

  // Runs a command on both servers and returns what differs; empty if nothing does.
  std::string Both(const Command& command) {
    const ReplyPointer real = real_.At(command, now_us_);
    const ReplyPointer simulated = Read(simulated_.Execute(1, command, now_us_));
    if (Describe(*real) == Describe(*simulated)) return "";
    return Describe(command) + "\n  real      " + Describe(*real) + "\n  simulated " +
           Describe(*simulated);
  }
  std::string Keys() {
    const auto real = real_.Dump(now_us_);
    simulated_.keys().SetNow(now_us_ / 1000);
    return Difference(real, simulated_.keys().Dump());
  }
  std::int64_t now_ms() const { return now_us_ / 1000; }

 private:
  RealServer real_;
  SimulatedServer simulated_;
  std::int64_t now_us_ = 1;
};

class CommandMaker {
 public:
  explicit CommandMaker(std::uint64_t seed) : random_(seed) {}

  Command Next(std::int64_t now_ms) {
    Command command = Make(now_ms);
    if (OneIn(15)) command.resize(1 + Below(command.size()));
    if (OneIn(15)) command.push_back(Odd());
    if (OneIn(15) && command.size() > 1) command[1 + Below(command.size() - 1)] = Odd();
    return command;
  }

 private:
  std::size_t Below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  bool OneIn(std::size_t n) { return Below(n) == 0; }
  std::string Pick(std::initializer_list<const char*> texts) {
    return texts.begin()[Below(texts.size())];
  }
  std::string Odd() {
    return Pick({"", "-1", "0", "1e3", "0x10", "nan", "inf", "1.5", "MAXLEN", "~", "*", "COUNT",
                 "4503599627370497", "-9223372036854775808", "99999999999999999999", "\r\n"});
  }
  std::string Key(const char* type) {
    return OneIn(12) ? Pick({"text", "hash", "set", "zset", "stream"}) : type + Pick({"", "2"});
  }
  std::string Member() { return "m" + std::to_string(Below(8)); }
  std::string Score() {
    return OneIn(2) ? std::to_string(Below(5))
                    : Pick({"-1", "0.1", "1e15", "-9e15", "1.5e-7", "inf", "-inf", "+2", "1e20",
                            "1700000000000.5", "-8999998276543210", "4503599627370497", "1e400",
                            "nan", "0x1", "5e-324", "1e22", "123456789012345678"});
  }
  std::string When(std::int64_t now_ms) {
    return std::to_string(now_ms + static_cast<std::int64_t>(Below(20)) - 3);
  }
  // Makes texts around the sizes at which an entry of a stream is stored differently.
  std::string Value() {
    static constexpr std::size_t kSizes[] = {0, 1, 20, 62, 63, 64, 65, 126, 127, 128, 300, 4095};
    return OneIn(3) ? Pick({"0", "127", "128", "-1", "4095", "-4096", "4096", "32768", "-8388608",
                            "2147483647", "-2147483649", "1795907727632", "007", "-0"})
                    : std::string(kSizes[Below(OneIn(20) ? 12 : 8)], 'v');
  }

  Command Make(std::int64_t now_ms) {
    switch (Below(28)) {
      case 0:
        return {"SET", Key("text"), Value().substr(0, 40)};
      case 1:
        return {"SET", Key("text"), "v", Pick({"PX", "px", "PXAT"}),
                OneIn(2) ? When(now_ms) : Pick({"5", "0", "-1", "1.5", "x"})};
      case 2:
        return {"GET", Key("text")};
      case 3:
        return {"DEL", Key("text"), Key("hash")};
      case 4:
        return {"EXISTS", Key("text"), Key("zset"), Key("set")};
      case 5:
        return {"TYPE", Key("stream")};
      case 6:
        return {"PEXPIREAT", Key(Pick({"text", "hash", "zset"}).c_str()), When(now_ms)};
      case 7:
        return {Pick({"PEXPIRETIME", "PERSIST", "PTTL"}), Key("text")};
      case 8:
        return {"HSET", Key("hash"), Member(), Value().substr(0, 60), Member(), "2"};
      case 9:
        return {"HGET", Key("hash"), Member()};
      case 10:
        return {"HMGET", Key("hash"), Member(), "none", Member()};
      case 11:
        return {"HGETALL", Key("hash")};
      case 12:
        return {"HDEL", Key("hash"), Member(), Member()};
      case 13:
        return {"SADD", Key("set"), Member(), Member()};
      case 14:
        return {"SREM", Key("set"), Member(), Member()};
      case 15:
        return {"SISMEMBER", Key("set"), Member()};
      case 16:
        return {"ZADD", Key("zset"), Score(), Member()};
      case 17:
        return {"ZADD", Key("zset"), Score(), Member(), Score(), Member()};
      case 18:
        return {"ZREM", Key("zset"), Member(), Member()};
      case 19:
        return {"ZSCORE", Key("zset"), Member()};
      case 20:
        return {"ZRANGE", Key("zset"), Pick({"0", "1", "-2", "9"}), Pick({"-1", "0", "31", "-9"}),
                "WITHSCORES"};
      case 21:
        return {Pick({"XRANGE", "XREVRANGE"}),     Key("stream"), Pick({"-", "+", "5", "5-1"}),
                Pick({"+", "-", "1795907727632"}), "COUNT",       Pick({"1", "0", "2000"})};
      case 22:
        return {Pick({"XLEN", "ZCARD"}), Key("stream")};
      case 23:
        return {"GETRANGE", Key("text"), Pick({"0", "1", "-2", "-9", "9", "x"}),
                Pick({"-1", "0", "31", "-9", "1", "1.5"})};
      case 24:
        return {"SET", Key("text"), "nx", "NX", "PX", Pick({"5", "0", "-1", "x"})};
      case 25:
        return {"PEXPIRE", Key(Pick({"text", "hash"}).c_str()), Pick({"3", "0", "-1", "x"})};
      default:
        break;
    }
    Command add = {"XADD", Key("stream")};
    if (OneIn(2)) {
      add.insert(add.end(), {"MAXLEN", Pick({"~", "~", "~", "="}),
                             Pick({"0", "10", "150", "150", "1000", "-1", "x"})});
    }
    add.insert(add.end(), {OneIn(20) ? "5-1" : "*", Member(), Value()});
    while (OneIn(2)) add.insert(add.end(), {Member(), Value()});
    return add;
  }

  std::mt19937_64 random_;
};

TEST(CommandDifferential, SameRepliesAndSameKeys) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Pair pair;
    CommandMaker maker(seed);
    for (int i = 0; i < 1500; ++i) {
      const std::string difference = pair.Both(maker.Next(pair.now_ms()));
      ASSERT_TRUE(difference.empty()) << "seed " << seed << ", command " << i << difference;
      if (i % 10 != 9) continue;
      const std::string keys = pair.Keys();
      ASSERT_TRUE(keys.empty()) << "seed " << seed << ", command " << i << keys;
    }
  }
}

// Makes the lease history of an execution. An entry of the history has up to a few hundred bytes,
// and the server keeps about 700 entries.
TEST(CommandDifferential, StreamsAreTrimmedByTheSameNodes) {
  Pair pair;
  std::mt19937_64 random(1);
  for (int i = 0; i < 4000; ++i) {
    const bool acquired = random() % 3 != 0;
    const Command add = {"XADD",
                         "x",
                         "MAXLEN",
                         "~",
                         "700",
                         "*",
                         "event",
                         acquired ? "acquired" : "released",
                         "lease_id",
                         "11111111-1111-4111-8111-111111111111",
                         "lease_epoch",
                         std::to_string(i),
                         acquired ? "worker_id" : "reason",
                         std::string(random() % 90, 'w'),
                         "ts",
                         std::to_string(pair.now_ms())};
    ASSERT_EQ(pair.Both(add), "");
    if (i % 50 == 0) {
      ASSERT_EQ(pair.Both({"XLEN", "x"}), "") << i;
    }
  }
  EXPECT_EQ(pair.Keys(), "");
}

TEST(CommandDifferential, NumbersOfScriptsBecomeTheSameTexts) {
  Pair pair;
  ASSERT_EQ(pair.Both({"FUNCTION", "LOAD",
                       "#!lua name=t\nredis.register_function('f', function(keys, args)\n"
                       "local n = tonumber(args[1])\nredis.call('SET', keys[1], n)\n"
                       "redis.call('ZADD', keys[2], n, 'm')\n"
                       "return {redis.call('GET', keys[1]), redis.call('ZSCORE', keys[2], 'm'),\n"
                       "tostring(n), n, cjson.encode({n})} end)"}),
            "");
  std::mt19937_64 random(1);
  char text[64];
  for (int i = 0; i < 3000; ++i) {
    const auto digits = static_cast<double>(random() % 1'000'000'000'000);
    const int kind = i % 4;
    // Makes times and scores, short decimals, whole numbers of any size, and negative eighths.
    const double number = kind == 0   ? 1.7e12 + digits - 9e15 * static_cast<double>(random() % 2)
                          : kind == 1 ? digits / 1000
                          : kind == 2 ? static_cast<double>(random() >> (random() % 60))
                                      : -static_cast<double>(random() % 1000) / 8;
    std::snprintf(text, sizeof text, "%.17g", number);
    EXPECT_EQ(pair.Both({"FCALL", "f", "2", "k", "z", text}), "") << text;
  }
}

// Each text is the body of a function of (keys, args). The key that keys[1] names holds a text.
constexpr const char* kBodies[] = {
    "return nope",
    "local x = nil\nreturn x.y",
    "return redis.call('SET', keys[1])",
    "return redis.call('NOSUCH')",
    "return redis.call('AUTH', 'x')",
    "return redis.call('HSET', keys[1], 'a', '1')",
    "return redis.call('HSET', 'h', 'a')",
    "error('boom')",
    "error('boom', 0)",
    "error('multi\\r\\nline')",
    "error({err = 'My boom'})",
    "error({err = 'CODE'})",
    "error({x = 1})",
    "error()",
    "return redis.error_reply('no code')",
    "return redis.error_reply('CODE')",
    "return redis.error_reply('-CODE text')",
    "return redis.error_reply(1)",
    "return redis.error_reply('a', 'b')",
    "return redis.status_reply('fine')",
    "return redis.call('SET', keys[1], {})",
    "return redis.call('SET', keys[1], nil)",
    "return redis.call('SET', keys[1], true)",
    "return redis.call()",
    "return {1.9, -1.9, 'x', true, false, nil, 7}",
    "return {1, {2, {3, {}}}, {err = 'E x'}, {ok = 'o'}}",
    "return {ok = 'fine\\r\\nline'}",
    "return {pcall(redis.call, 'HSET', keys[1], 'a', '1')}",
    "return redis.pcall('HSET', keys[1], 'a', '1')",
    "return redis.pcall('HSET', keys[1], 'a', '1').err",
    "return {pcall(error, {err = 'x y'})}",
    "return {pcall(error)}",
    "return 2^63",
    "return -2^63",
    "return 2^53 + 1",
    "return 0/0",
    "return -0.9",
    "x = 1",
    "return tostring(1e15) .. tostring(0.1) .. tostring(1e100) .. tostring(-0)",
    "return redis.call('TIME')",
    "redis.call('SET', 'a', '1') return redis.call('HSET', keys[1], 'b', 'c')",
    "return cjson.decode('{bad')",
    "return cjson.encode({1, 2, {a = 0.1}, 'x\\0/\\\"\\195\\169', true, cjson.null})",
    "return cjson.encode({[1] = 1, [50] = 2})",
    "return cjson.encode(function() end)",
    "return {pcall(cjson.decode, '[1,2')}",
    "return cjson.decode('[1, -0, 1e400, \"\\\\u00e9\\\\ud83d\\\\ude00\", null, true]')[4]",
    "return {pcall(cjson.decode, '\"\\\\ud800\"')}",
    "return #cjson.decode('[]') .. cjson.encode(cjson.decode('{}'))",
    "return {pcall(cjson.decode, string.rep('[', 2000))}",
    "return redis.sha1hex()",
    "return redis.sha1hex('') .. redis.sha1hex('abc') .. redis.sha1hex(12)",
    "return string.rep('x', 3) .. nil",
    "return string.format('%d %5.2f %s %q', 3.9, 1.005, 'a', 'b\\n')",
    "return string.format('%d', 1e15)",
    "return {bit.bxor(5, 3), bit.band(-1, 255), bit.bnot(0), bit.lshift(1, 31), bit.tobit(2^32 + "
    "1)}",
    "return {bit.rshift(-1, 28), bit.arshift(-256, 4), bit.bor(1, 2, 4), bit.tobit(-1.5)}",
    "return {tonumber('0x10'), tonumber(' 5 '), tonumber('1e2'), tonumber('5x') or 'nil'}",
    "return {tostring(tonumber('nan') ~= tonumber('nan')), tostring(tonumber('inf'))}",
    "return {next({}), #{1, 2, nil}, select('#', nil, nil)}",
    "return table.concat({1, 2.5, 'x'}, ',')",
    "return {unpack({1, 2, 3})}",
    "return {string.find('a.b', '.', 1, true), string.gsub('aXb', '%u', '%%')}",
    "local t = {3, 1, 2} table.sort(t) return t",
    "return redis.call('PUBLISH', 'channel', 'text')",
    "return redis.call('EXISTS', keys[1], 'none')",
    "return redis.call('set', 'b', 12)",
    "return redis.call('SET', 'c', 1e15 + 0.5) and redis.call('GET', 'c')",
    "local t = redis.call('XADD', 's', '*', 'f', 'v') return redis.call('XREVRANGE', 's', '+', "
    "'-')",
    "return redis.call('XREVRANGE', 's', '+', '-', 'COUNT', 0)",
    "return {type(redis.call('HGET', 'none', 'f')), type(redis.call('HGETALL', 'none'))}",
    "return redis.register_function('late', function() end)",
    "return type(redis.call('KEYS', '*'))",
    "return (function() return redis.call('GET', 'zz', 'zz') end)()",
    "local f = function() error('deep') end f()",
    "return {xpcall(function() error('caught') end, function(e) return 'handled ' .. e end)}",
    "return setmetatable({}, {__index = function() return 'x' end})",
    "return {tostring(nil), tostring(true), type(tostring)}",
    "return math.floor(-1.5) + math.max(1, 2) + math.fmod(5, 3)",
    "return string.byte('a') .. string.char(65, 0):len() .. ('x'):rep(2)",
};

TEST(CommandDifferential, ScriptsSeeTheSameServer) {
  Pair pair;
  ASSERT_EQ(pair.Both({"SET", "text", "v"}), "");
  for (const char* const body : kBodies) {
    const std::string library =
        "#!lua name=t\nredis.register_function('f', function(keys, args)\n" + std::string(body) +
        "\nend)";
    ASSERT_EQ(pair.Both({"FUNCTION", "LOAD", "REPLACE", library}), "") << body;
    EXPECT_EQ(pair.Both({"FCALL", "f", "1", "text", "a", "b"}), "") << body;
  }
  EXPECT_EQ(pair.Keys(), "");
}

TEST(CommandDifferential, LibrariesAreRefusedForTheSameReasons) {
  Pair pair;
  const std::string f = "redis.register_function('f', function() end)";
  ASSERT_EQ(pair.Both({"FUNCTION", "LOAD", "#!lua name=t\n" + f}), "");
  for (const std::string& code : std::vector<std::string>{
           "",
           "nolua",
           "#!lua name=x",
           "#!lua\n",
           "#!lua name=a b=c\n",
           "#!js name=a\n",
           "#!LUA name=q\n",
           "#!lua name=a-b\n",
           "#!lua name=q name=r\n",
           "#!lua name=\n",
           "#!lua name=q\nreturn 1",
           "#!lua name=q\nreturn 1 1",
           "#!lua name=q\nerror('x')",
           "#!lua name=q\nredis.call('x')",
           "#!lua name=q\nlocal x = tonumber('1')",
           "#!lua name=q\nx = 1",
           "#!lua name=q\n" + f,
           "#!lua name=t\n" + f,
           "#!lua name=q\nredis.register_function('qq', 1)",
           "#!lua name=q\nredis.register_function(nil, function() end)",
           "#!lua name=q\nredis.register_function('qq')",
           "#!lua name=q\nredis.register_function()",
           "#!lua name=q\nredis.register_function('q-q', function() end)",
           "#!lua name=q\nfor i = 1, 2 do redis.register_function('qq', function() end) end",
           "#!lua name=q\nredis.register_function{function_name='qq', callback=function() end, "
           "flags={'no-such'}}"}) {
    EXPECT_EQ(pair.Both({"FUNCTION", "LOAD", code}), "");
  }
  EXPECT_EQ(pair.Both({"FUNCTION", "LOAD", "WHAT", "#!lua name=t\n" + f}), "");
  EXPECT_EQ(pair.Both({"FUNCTION", "DELETE", "none"}), "");
  EXPECT_EQ(pair.Both({"FCALL", "f", "0"}), "");
  EXPECT_EQ(pair.Both({"FUNCTION", "LOAD", "REPLACE", "#!lua name=t\nreturn 1"}), "");
  EXPECT_EQ(pair.Both({"FCALL", "f", "0"}), "");
  EXPECT_EQ(pair.Both({"FCALL_RO", "f", "0"}), "");
  EXPECT_EQ(pair.Both({"FUNCTION", "LIST"}), "");
  EXPECT_EQ(pair.Both({"FUNCTION", "DELETE", "t"}), "");
  EXPECT_EQ(pair.Both({"FCALL", "f", "0"}), "");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
