// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs commands on a real server and says at which moment the server ran each command,
// so that a simulated server can be given the same command and moment. Also shows as text the
// replies of both servers, the real server's keys, and what differs between the servers' keys.

#ifndef FFGRANT_TESTING_LIVE_REAL_SERVER_H_
#define FFGRANT_TESTING_LIVE_REAL_SERVER_H_

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/live/live_server.h"
#include "testing/simulation/key_space.h"

namespace ffgrant::valkey::testing {

using Command = std::vector<std::string>;
using ReplyPointer = std::unique_ptr<redisReply, void (*)(void*)>;

// Returns a reply's text without the addresses of tables.
inline std::string Text(const redisReply& reply) {
  static constexpr std::string_view kTable = "table: 0x";
  std::string text(reply.str, reply.len);
  for (std::size_t at = 0; (at = text.find(kTable, at)) != std::string::npos;) {
    at += kTable.size();
    const std::size_t end = std::min(text.find_first_not_of("0123456789abcdef", at), text.size());
    text.replace(at, end - at, "0");
  }
  return text;
}

// Shows a reply as a client sees it: every part with its type.
inline std::string Describe(const redisReply& reply) {
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

inline std::vector<std::string> Texts(const redisReply& reply) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    const redisReply& element = *reply.element[i];
    texts.push_back(element.type == REDIS_REPLY_INTEGER ? std::to_string(element.integer)
                    : element.str == nullptr            ? ""
                                                        : Text(element));
  }
  return texts;
}

// Reads RESP with hiredis.
inline ReplyPointer Read(const std::string& resp) {
  redisReader* const reader = redisReaderCreate();
  void* reply = nullptr;
  redisReaderFeed(reader, resp.data(), resp.size());
  redisReaderGetReply(reader, &reply);
  redisReaderFree(reader);
  return {static_cast<redisReply*>(reply), &freeReplyObject};
}

// A script that returns, as one reply, the server's time and every key with its type, expiry and
// content.
inline constexpr char kDump[] = R"lua(
  local found = { redis.call('TIME') }
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local kind = redis.call('TYPE', key).ok
    local content
    if kind == 'string' then content = { redis.call('GET', key) }
    elseif kind == 'hash' then content = redis.call('HGETALL', key)
    elseif kind == 'set' then content = redis.call('SMEMBERS', key)
    elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
    else content = redis.call('XRANGE', key, '-', '+') end
    local expiry = string.format('%.0f', redis.call('PEXPIRETIME', key))
    found[#found + 1] = { key, kind, expiry, content }
  end
  return found)lua";

// Shows content in the same way as KeySpace::Dump().
inline std::string DescribeContent(const std::string& type, const redisReply& content) {
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

  // Runs `command` and sets `now_us` to the moment at which the command ran. `now_us` stays as it
  // was if the server refuses the command before executing it.
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

  // Shows all keys as KeySpace::Dump() of a simulated server does; sets `now_us` to the moment at
  // which the keys were read.
  std::map<std::string, std::string> Dump(std::int64_t& now_us) {
    const ReplyPointer dump = Do({"EVAL", kDump, "0"});
    std::map<std::string, std::string> keys;
    for (std::size_t i = 1; i < dump->elements; ++i) {
      const redisReply& key = *dump->element[i];
      const std::string type = Text(*key.element[1]);
      keys[Text(*key.element[0])] =
          type + " " + Text(*key.element[2]) + " " + DescribeContent(type, *key.element[3]);
    }
    now_us = Microseconds(*dump->element[0]);
    return keys;
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

inline std::string Describe(const Command& command) {
  std::string text;
  for (const std::string& word : command) text += " " + Quoted(word);
  return text;
}

// Returns what differs between two dumps; empty if nothing does.
inline std::string Difference(const std::map<std::string, std::string>& real,
                              const std::map<std::string, std::string>& simulated) {
  std::string text;
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

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_LIVE_REAL_SERVER_H_
