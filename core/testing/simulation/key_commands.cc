// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/key_commands.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

void RunTime(CommandCall& call) {
  call.reply.Array(2);
  call.reply.Bulk(std::to_string(call.now_us / 1'000'000));
  call.reply.Bulk(std::to_string(call.now_us % 1'000'000));
}

// The reply is 0 because nobody subscribes.
void RunPublish(CommandCall& call) { call.reply.Integer(0); }

void RunDel(CommandCall& call) {
  std::int64_t removed = 0;
  for (const std::string_view key : call.words.subspan(1)) removed += call.keys.Remove(key);
  call.changed = removed > 0;
  call.reply.Integer(removed);
}

void RunExists(CommandCall& call) {
  std::int64_t there = 0;
  for (const std::string_view key : call.words.subspan(1)) there += call.keys.Find(key) != nullptr;
  call.reply.Integer(there);
}

void RunType(CommandCall& call) {
  const KeySpace::Entry* const entry = call.keys.Find(call.words[1]);
  call.reply.Status(entry == nullptr ? "none" : TypeName(entry->value));
}

void ExpireAt(CommandCall& call, bool relative) {
  if (call.words.size() > 3) {
    return call.reply.Error("ERR Unsupported option " + std::string(call.words[3]));
  }
  auto when = ParseInteger(call.words[2]);
  if (!when) return call.reply.Error(kNoInteger);
  if (relative) {
    if (*when > INT64_MAX - call.keys.now()) {
      return call.reply.Error("ERR invalid expire time in 'pexpire' command");
    }
    *when += call.keys.now();
  }
  KeySpace::Entry* const entry = call.keys.Find(call.words[1]);
  if (entry == nullptr) return call.reply.Integer(0);
  if (*when <= call.keys.now()) {
    call.keys.Remove(call.words[1]);
  } else {
    entry->expires_at = *when;
  }
  call.changed = true;
  call.reply.Integer(1);
}

void RunPexpireat(CommandCall& call) { ExpireAt(call, false); }
void RunPexpire(CommandCall& call) { ExpireAt(call, true); }

void RunPexpiretime(CommandCall& call) {
  const KeySpace::Entry* const entry = call.keys.Find(call.words[1]);
  call.reply.Integer(entry == nullptr ? -2 : entry->expires_at);
}

void RunPttl(CommandCall& call) {
  const KeySpace::Entry* const entry = call.keys.Find(call.words[1]);
  if (entry == nullptr) return call.reply.Integer(-2);
  if (entry->expires_at == KeySpace::kNever) return call.reply.Integer(-1);
  call.reply.Integer(entry->expires_at - call.keys.now());
}

void RunPersist(CommandCall& call) {
  KeySpace::Entry* const entry = call.keys.Find(call.words[1]);
  call.changed = entry != nullptr && entry->expires_at != KeySpace::kNever;
  if (call.changed) entry->expires_at = KeySpace::kNever;
  call.reply.Integer(call.changed ? 1 : 0);
}

void RunGet(CommandCall& call) {
  bool wrong_type = false;
  const auto* const text = call.keys.FindAs<std::string>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  text == nullptr ? call.reply.Nil() : call.reply.Bulk(*text);
}

// Negative offsets count from the end.
void RunGetrange(CommandCall& call) {
  const auto begin = ParseInteger(call.words[2]);
  const auto end = ParseInteger(call.words[3]);
  if (!begin || !end) return call.reply.Error(kNoInteger);
  bool wrong_type = false;
  const auto* const text = call.keys.FindAs<std::string>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  const auto size = static_cast<std::int64_t>(text == nullptr ? 0 : text->size());
  if (*begin < 0 && *end < 0 && *begin > *end) return call.reply.Bulk("");
  const auto at = [size](std::int64_t offset) {
    return offset < 0 ? std::max<std::int64_t>(offset + size, 0) : offset;
  };
  const std::int64_t first = at(*begin);
  const std::int64_t last = std::min(at(*end), size - 1);
  if (size == 0 || first > last) return call.reply.Bulk("");
  call.reply.Bulk(std::string_view(*text).substr(static_cast<std::size_t>(first),
                                                 static_cast<std::size_t>(last - first + 1)));
}

// SET key value [NX] [PX ms | PXAT ms]
void RunSet(CommandCall& call) {
  std::int64_t expires_at = KeySpace::kNever;
  const bool if_absent = call.words.size() > 3 && SameWord(call.words[3], "NX");
  const Arguments options = call.words.subspan(if_absent ? 4 : 3);
  if (!options.empty()) {
    const bool relative = SameWord(options[0], "PX");
    if (options.size() != 2 || (!relative && !SameWord(options[0], "PXAT"))) {
      return call.reply.Error(kSyntax);
    }
    const auto number = ParseInteger(options[1]);
    if (!number) return call.reply.Error(kNoInteger);
    const std::int64_t from = relative ? call.keys.now() : 0;
    if (*number <= 0 || *number > INT64_MAX - from) {
      return call.reply.Error("ERR invalid expire time in 'set' command");
    }
    expires_at = from + *number;
  }
  if (if_absent && call.keys.Find(call.words[1]) != nullptr) return call.reply.Nil();
  if (expires_at != KeySpace::kNever && expires_at <= call.keys.now()) {
    call.keys.Remove(call.words[1]);
  } else {
    call.keys.Put(call.words[1], std::string(call.words[2]), expires_at);
  }
  call.changed = true;
  call.reply.Status("OK");
}

// KEYS *
void RunKeys(CommandCall& call) {
  if (call.words[1] != "*") return call.reply.Error(kSyntax);
  const std::vector<std::string> keys = call.keys.Keys();
  call.reply.Array(keys.size());
  for (const std::string& key : keys) call.reply.Bulk(key);
}

void RunDbsize(CommandCall& call) {
  call.reply.Integer(static_cast<std::int64_t>(call.keys.Keys().size()));
}

void RunFlushall(CommandCall& call) {
  call.keys.Clear();
  call.changed = true;
  call.reply.Status("OK");
}

constexpr KeyCommand kCommands[] = {
    {"del", -2, true, 1, -1, &RunDel},
    {"exists", -2, false, 1, -1, &RunExists},
    {"type", 2, false, 1, 1, &RunType},
    {"pexpireat", -3, true, 1, 1, &RunPexpireat},
    {"pexpire", -3, true, 1, 1, &RunPexpire},
    {"pexpiretime", 2, false, 1, 1, &RunPexpiretime},
    {"pttl", 2, false, 1, 1, &RunPttl},
    {"persist", 2, true, 1, 1, &RunPersist},
    {"get", 2, false, 1, 1, &RunGet},
    {"getrange", 4, false, 1, 1, &RunGetrange},
    {"set", -3, true, 1, 1, &RunSet},
    {"keys", 2, false, 0, 0, &RunKeys},
    {"dbsize", 1, false, 0, 0, &RunDbsize},
    {"flushall", 1, true, 0, 0, &RunFlushall},
    {"time", 1, false, 0, 0, &RunTime},
    {"publish", 3, false, 0, 0, &RunPublish},
    {"hset", -4, true, 1, 1, &RunHset},
    {"hget", 3, false, 1, 1, &RunHget},
    {"hmget", -3, false, 1, 1, &RunHmget},
    {"hgetall", 2, false, 1, 1, &RunHgetall},
    {"hdel", -3, true, 1, 1, &RunHdel},
    {"sadd", -3, true, 1, 1, &RunSadd},
    {"srem", -3, true, 1, 1, &RunSrem},
    {"smembers", 2, false, 1, 1, &RunSmembers},
    {"sismember", 3, false, 1, 1, &RunSismember},
    {"zadd", -4, true, 1, 1, &RunZadd},
    {"zrem", -3, true, 1, 1, &RunZrem},
    {"zscore", 3, false, 1, 1, &RunZscore},
    {"zrange", -4, false, 1, 1, &RunZrange},
    {"zcard", 2, false, 1, 1, &RunZcard},
    {"xadd", -5, true, 1, 1, &RunXadd},
    {"xrange", -4, false, 1, 1, &RunXrange},
    {"xrevrange", -4, false, 1, 1, &RunXrevrange},
    {"xlen", 2, false, 1, 1, &RunXlen},
};

}  // namespace

bool SameWord(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return Lower(x) == Lower(y); });
}

const KeyCommand* FindKeyCommand(std::string_view name) {
  static const auto* const by_name = [] {
    auto* const map = new std::unordered_map<std::string_view, const KeyCommand*>;
    for (const KeyCommand& command : kCommands) map->emplace(command.name, &command);
    return map;
  }();
  char lower[16];
  if (name.size() > sizeof lower) return nullptr;
  std::transform(name.begin(), name.end(), lower, &Lower);
  const auto found = by_name->find({lower, name.size()});
  return found == by_name->end() ? nullptr : found->second;
}

}  // namespace ffgrant::valkey::testing
