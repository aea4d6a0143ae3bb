// SPDX-License-Identifier: Apache-2.0
//
// The simulated server beside a real Valkey: the same calls at the same microsecond,
// and then the reply and the whole key space have to be the same, byte for byte.
//
// The real server's clock cannot be set, so the simulated one's is: each call goes to
// the real server as MULTI, TIME, call, EXEC, where time stands still.
//
// What may differ, and is made alike here:
//   - the order of the fields of a hash and of the members of a set;
//   - the address that tostring() gives a table, as `table: 0x55813d53c3f0`.

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/live/live_server.h"
#include "testing/simulation/function_calls.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {
namespace {

using Command = std::vector<std::string>;
using ReplyPointer = std::unique_ptr<redisReply, void (*)(void*)>;

// Every key with its type, expiry and content, as one reply.
constexpr char kDump[] = R"lua(
  local found = { redis.call('TIME') }
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    local content
    if kind == 'string' then content = { redis.call('GET', key) }
    elseif kind == 'hash' then content = redis.call('HGETALL', key)
    elseif kind == 'set' then content = redis.call('SMEMBERS', key)
    elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    else content = redis.call('XRANGE', key, '-', '+') end
    found[#found + 1] = { key, kind, tostring(redis.call('PEXPIRETIME', key)), content }
  end
  return found)lua";

// Without the addresses of tables.
std::string Text(const redisReply& reply) {
  static constexpr std::string_view kTable = "table: 0x";
  std::string text(reply.str, reply.len);
  for (std::size_t at = 0; (at = text.find(kTable, at)) != std::string::npos;) {
    at += kTable.size();
    const std::size_t end = std::min(text.find_first_not_of("0123456789abcdef", at), text.size());
    text.replace(at, end - at, "0");
  }
  return text;
}

// As a client sees it: every part with its type.
std::string Describe(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return ":" + std::to_string(reply.integer);
    case REDIS_REPLY_NIL:
      return "nil";
    case REDIS_REPLY_ERROR:
      return "-" + Quoted(Text(reply));
    case REDIS_REPLY_STATUS:
      return "+" + Quoted(Text(reply));
    case REDIS_REPLY_STRING:
      return Quoted(Text(reply));
    default:
      break;
  }
  std::string text = "[";
  for (std::size_t i = 0; i < reply.elements; ++i) text += " " + Describe(*reply.element[i]);
  return text + " ]";
}

std::vector<std::string> Texts(const redisReply& reply) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    texts.push_back(element.type == REDIS_REPLY_INTEGER ? std::to_string(element.integer)
                    : element.str == nullptr            ? ""
                                                        : Text(element));
  }
  return texts;
}

// RESP as hiredis reads it.
ReplyPointer Read(const std::string& resp) {
  redisReader* const reader = redisReaderCreate();
  void* reply = nullptr;
  redisReaderFeed(reader, resp.data(), resp.size());
  redisReaderGetReply(reader, &reply);
  redisReaderFree(reader);
  return {static_cast<redisReply*>(reply), &freeReplyObject};
}

class RealServer {
 public:
  RealServer() {
    Endpoint endpoint;
    EXPECT_TRUE(ParseEndpoint(Variable("FFGRANT_SERVER"), endpoint));
    context_ = redisConnect(endpoint.host.c_str(), endpoint.port);
  }
  ~RealServer() { redisFree(context_); }
  RealServer(const RealServer&) = delete;

  ReplyPointer Do(const Command& words) {
    Append(words);
    return Next();
  }

  // `command` at a moment that `now_us` gets. It stays as it was for a command that
  // is refused before it is executed.
  ReplyPointer At(const Command& command, std::int64_t& now_us) {
    for (const Command& words : {Command{"MULTI"}, Command{"TIME"}, command, Command{"EXEC"}}) {
      Append(words);
    }
    (void)Next();
    (void)Next();
    ReplyPointer queued = Next();
    const ReplyPointer executed = Next();
    if (queued == nullptr || executed == nullptr || executed->elements != 2) return queued;
    now_us = Microseconds(*executed->element[0]);
    ReplyPointer reply(executed->element[1], &freeReplyObject);
    executed->element[1] = nullptr;
    return reply;
  }

  static std::int64_t Microseconds(const redisReply& time) {
    return 1'000'000 * std::atoll(time.element[0]->str) + std::atoll(time.element[1]->str);
  }

 private:
  void Append(const Command& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts.data(), sizes.data());
  }
  ReplyPointer Next() {
    void* reply = nullptr;
    redisGetReply(context_, &reply);
    return {static_cast<redisReply*>(reply), &freeReplyObject};
  }

  redisContext* context_ = nullptr;
};

// As KeySpace::Dump() has it.
std::string DescribeContent(const std::string& type, const redisReply& content) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < content.elements; ++i) {
    const redisReply& element = *content.element[i];
    if (type == "string") return Quoted(Text(element));
    if (type == "stream") {
      std::string part = " " + Quoted(Text(*element.element[0])) + ":";
      for (const std::string& word : Texts(*element.element[1])) part += Quoted(word);
      parts.push_back(part);
    } else if (type == "set") {
      parts.push_back(" " + Quoted(Text(element)));
    } else if (i % 2 == 0) {
      parts.push_back(" " + Quoted(Text(element)) + "=" + Quoted(Text(*content.element[i + 1])));
    }
  }
  if (type == "set" || type == "hash") std::sort(parts.begin(), parts.end());
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

class Differential {
 public:
  explicit Differential(std::uint64_t seed)
      : prefix_(FunctionLibrarySource().find("'ff_create_execution'") == std::string_view::npos
                    ? "ffgrant_"
                    : "ff_"),
        calls_(seed, prefix_),
        simulated_({.run_id = "run", .address = {}}) {
    const std::string source(FunctionLibrarySource());
    for (const Command& command :
         {Command{"FLUSHALL"}, Command{"FUNCTION", "LOAD", "REPLACE", source}}) {
      EXPECT_EQ(Describe(*real_.Do(command)), Describe(*Read(simulated_.Execute(1, command, 1))));
    }
  }

  // What differs after the next call; empty if nothing does.
  std::string Step() {
    const Command command = calls_.Next(now_us_ / 1000);
    const ReplyPointer real = real_.At(command, now_us_);
    const ReplyPointer simulated = Read(simulated_.Execute(1, command, now_us_));
    if (real == nullptr || simulated == nullptr) return "no reply";
    const std::string call = "\n  " + Describe(command) + "\n    -> " + Describe(*real);
    if (Describe(*real) != Describe(*simulated)) {
      return "reply: real " + Describe(*real) + "\n  simulated " + Describe(*simulated) + call;
    }
    Count(command, *real);
    calls_.Learn(Texts(*real));
    const std::string state = Compare();
    return state.empty() ? "" : state + call;
  }

  static std::map<std::string, std::size_t>& answers() {
    static std::map<std::string, std::size_t> counted;
    return counted;
  }

 private:
  static std::string Describe(const Command& command) {
    std::string text;
    for (const std::string& word : command) text += " " + Quoted(word);
    return text;
  }
  using ReplyDescriber = std::string (*)(const redisReply&);
  static std::string Describe(const redisReply& reply) {
    return static_cast<ReplyDescriber>(&testing::Describe)(reply);
  }

  // How often each function had which answer: its error's or rejection's code.
  static void Count(const Command& command, const redisReply& reply) {
    if (command[0] != "FCALL") return;
    const std::vector<std::string> texts = Texts(reply);
    const std::string code = reply.type == REDIS_REPLY_ERROR ? "error"
                             : texts.size() > 1              ? texts[1]
                                                             : "text";
    ++answers()[command[1] + " " + code];
  }

  std::string Compare() {
    const ReplyPointer dump = real_.Do({"EVAL", kDump, "0"});
    std::map<std::string, std::string> real;
    for (std::size_t i = 1; i < dump->elements; ++i) {
      const redisReply& key = *dump->element[i];
      const std::string type = Text(*key.element[1]);
      real[Text(*key.element[0])] = type + " " + Text(*key.element[2]) + " " +
                                    DescribeContent(type, *key.element[3]);
    }
    now_us_ = RealServer::Microseconds(*dump->element[0]);
    simulated_.keys().SetNow(now_us_ / 1000);
    const std::map<std::string, std::string> simulated = simulated_.keys().Dump();
    if (real == simulated) return "";
    std::string text = "keys:";
    for (const auto& [key, line] : real) {
      const auto found = simulated.find(key);
      if (found == simulated.end()) {
        text += "\n  only real: " + key + " " + line;
      } else if (found->second != line) {
        text += "\n  " + key + "\n    real      " + line + "\n    simulated " + found->second;
      }
    }
    for (const auto& [key, line] : simulated) {
      if (real.count(key) == 0) text += "\n  only simulated: " + key + " " + line;
    }
    return text;
  }

  std::string prefix_;
  FunctionCalls calls_;
  RealServer real_;
  SimulatedServer simulated_;
  std::int64_t now_us_ = 1;
};

TEST(FunctionDifferential, SameRepliesAndSameKeys) {
  const std::string wanted = Variable("FFGRANT_DIFFERENTIAL_CALLS");
  const int calls = wanted.empty() ? 5000 : std::atoi(wanted.c_str());
  constexpr int kWalk = 100;
  for (int walk = 0; walk < calls / kWalk; ++walk) {
    Differential differential(static_cast<std::uint64_t>(walk));
    for (int i = 0; i < kWalk; ++i) {
      const std::string difference = differential.Step();
      ASSERT_TRUE(difference.empty()) << "seed " << walk << ", call " << i << "\n" << difference;
    }
  }
  for (const std::string_view name : FunctionCalls::Names()) {
    std::size_t taken = 0;
    for (const auto& [answer, count] : Differential::answers()) {
      if (answer.find(std::string(name) + " ") != std::string::npos &&
          (answer.ends_with(" OK") || answer.ends_with(" text"))) {
        taken += count;
      }
    }
    EXPECT_GT(taken, 0u) << name << " never succeeded";
  }
  if (!Variable("FFGRANT_DIFFERENTIAL_CALLS").empty()) {
    for (const auto& [answer, count] : Differential::answers()) {
      std::printf("%8zu %s\n", count, answer.c_str());
    }
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
