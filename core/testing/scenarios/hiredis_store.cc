// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/hiredis_store.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace ffgrant::claims_conformance {
namespace {

constexpr int kRedirections = 8;
constexpr timeval kPatience = {10, 0};

RedisReply TreeOf(const redisReply& reply) {
  RedisReply tree;
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      tree.is_nil = true;
      break;
    case REDIS_REPLY_INTEGER:
      tree.text = std::to_string(reply.integer);
      break;
    case REDIS_REPLY_ARRAY:
      for (std::size_t i = 0; i < reply.elements; ++i) {
        tree.elements.push_back(TreeOf(*reply.element[i]));
      }
      break;
    default:
      tree.is_error = reply.type == REDIS_REPLY_ERROR;
      tree.text.assign(reply.str, reply.len);
  }
  return tree;
}

// Returns the hash tag of a key, such as "{fp:7}"; a key without one is returned whole. The tag
// decides which node has the key.
std::string TagOf(const std::string& key) {
  const std::size_t open = key.find('{');
  const std::size_t close = key.find('}', open);
  return open == std::string::npos || close == std::string::npos
             ? key
             : key.substr(open, close - open + 1);
}

// Returns the fields that a flat list of names and values has.
Fields FieldsOf(const RedisReply& reply) {
  Fields fields;
  for (std::size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    fields[reply.elements[i].text] = reply.elements[i + 1].text;
  }
  return fields;
}

std::optional<std::int64_t> TimeOf(const RedisReply& reply) {
  const std::int64_t time = std::atoll(reply.text.c_str());
  return time < 0 ? std::nullopt : std::optional(time);
}

std::optional<double> ScoreOf(const RedisReply& reply) {
  return reply.is_nil ? std::nullopt : std::optional(std::atof(reply.text.c_str()));
}

std::string Flat(const RedisReply& reply) {
  if (reply.elements.empty()) return reply.text;
  std::string text = "[";
  for (const RedisReply& element : reply.elements) text += Flat(element) + "|";
  return text + "]";
}

}  // namespace

HiredisStore::HiredisStore(const std::string& host, int port, std::string username,
                           std::string password)
    : username_(std::move(username)),
      password_(std::move(password)),
      first_(host.starts_with('/') ? host : host + ":" + std::to_string(port)) {
  At(first_);
}

HiredisStore::~HiredisStore() = default;

redisContext& HiredisStore::At(const std::string& address) {
  const auto found = connections_.find(address);
  if (found != connections_.end() && found->second->err == 0) return *found->second;
  const std::size_t colon = address.rfind(':');
  Connection connection(
      address.starts_with('/')
          ? redisConnectUnixWithTimeout(address.c_str(), kPatience)
          : redisConnectWithTimeout(address.substr(0, colon).c_str(),
                                    std::atoi(address.c_str() + colon + 1), kPatience),
      redisFree);
  if (connection == nullptr || connection->err != 0) {
    throw std::runtime_error(address + ": " +
                             (connection == nullptr ? "no memory" : connection->errstr));
  }
  redisSetTimeout(connection.get(), kPatience);
  LogIn(*connection);
  return *connections_.insert_or_assign(address, std::move(connection)).first->second;
}

void HiredisStore::LogIn(redisContext& connection) {
  if (username_.empty() && password_.empty()) return;
  std::vector<const char*> words = {"AUTH", username_.c_str(), password_.c_str()};
  std::vector<std::size_t> sizes = {4, username_.size(), password_.size()};
  if (username_.empty()) {
    words.erase(words.begin() + 1);
    sizes.erase(sizes.begin() + 1);
  }
  const std::unique_ptr<redisReply, void (*)(void*)> reply(
      static_cast<redisReply*>(redisCommandArgv(&connection, static_cast<int>(words.size()),
                                                words.data(), sizes.data())),
      freeReplyObject);
  if (reply == nullptr || reply->type == REDIS_REPLY_ERROR) {
    throw std::runtime_error(reply == nullptr ? connection.errstr : reply->str);
  }
}

RedisReply HiredisStore::Command(const std::string& key, const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::string tag = TagOf(key);
  for (int i = 0; i < kRedirections; ++i) {
    const auto home = homes_.find(tag);
    const std::string address = home == homes_.end() || key.empty() ? first_ : home->second;
    redisContext& connection = At(address);
    const std::unique_ptr<redisReply, void (*)(void*)> reply(
        static_cast<redisReply*>(redisCommandArgv(&connection, static_cast<int>(words.size()),
                                                  texts.data(), sizes.data())),
        freeReplyObject);
    if (reply == nullptr) throw std::runtime_error(address + ": " + connection.errstr);
    RedisReply tree = TreeOf(*reply);
    // A redirection is "MOVED 2729 127.0.0.1:7101". Without a host it means the host that was
    // asked.
    if (!tree.is_error || !tree.text.starts_with("MOVED ")) return tree;
    std::string to = tree.text.substr(tree.text.rfind(' ') + 1);
    if (to.starts_with(':')) {
      to = (address.starts_with('/') ? "127.0.0.1" : address.substr(0, address.rfind(':'))) + to;
    }
    homes_[tag] = to;
  }
  throw std::runtime_error("too many redirections for " + key);
}

std::vector<RedisReply> HiredisStore::AskMany(
    const std::string& key, const std::vector<std::vector<std::string>>& commands) {
  const auto home = homes_.find(TagOf(key));
  redisContext& connection = At(home == homes_.end() ? first_ : home->second);
  for (const std::vector<std::string>& words : commands) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    redisAppendCommandArgv(&connection, static_cast<int>(words.size()), texts.data(), sizes.data());
  }
  std::vector<RedisReply> replies;
  for (const std::vector<std::string>& words : commands) {
    void* reply = nullptr;
    if (redisGetReply(&connection, &reply) != REDIS_OK) {
      throw std::runtime_error(words[0] + " " + words[1] + ": " + connection.errstr);
    }
    replies.push_back(TreeOf(*static_cast<redisReply*>(reply)));
    freeReplyObject(reply);
    if (replies.back().is_error) {
      throw std::runtime_error(words[0] + " " + words[1] + ": " + replies.back().text);
    }
  }
  return replies;
}

RedisReply HiredisStore::Ask(const std::string& key, const std::vector<std::string>& words) {
  RedisReply reply = Command(key, words);
  if (reply.is_error) throw std::runtime_error(words[0] + " " + key + ": " + reply.text);
  return reply;
}

std::int64_t HiredisStore::NowMs() {
  const RedisReply reply = Ask("", {"TIME"});
  return std::atoll(reply.elements.at(0).text.c_str()) * 1000 +
         std::atoll(reply.elements.at(1).text.c_str()) / 1000;
}

std::vector<std::string> HiredisStore::SetMembers(const std::string& key) {
  std::vector<std::string> members;
  for (const RedisReply& member : Ask(key, {"SMEMBERS", key}).elements) {
    members.push_back(member.text);
  }
  return members;
}

std::size_t HiredisStore::SetSize(const std::string& key) {
  return static_cast<std::size_t>(std::atoll(Ask(key, {"ZCARD", key}).text.c_str()));
}

Fields HiredisStore::Hash(const std::string& key) { return FieldsOf(Ask(key, {"HGETALL", key})); }

std::optional<std::int64_t> HiredisStore::ExpireTime(const std::string& key) {
  return TimeOf(Ask(key, {"PEXPIRETIME", key}));
}

bool HiredisStore::Exists(const std::string& key) { return Ask(key, {"EXISTS", key}).text == "1"; }

std::optional<double> HiredisStore::Score(const std::string& key, const std::string& member) {
  return ScoreOf(Ask(key, {"ZSCORE", key, member}));
}

Snapshot HiredisStore::Read(const Wanted& wanted) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& key : wanted.hashes) {
    commands.push_back({"HGETALL", key});
    commands.push_back({"PEXPIRETIME", key});
  }
  for (const auto& [key, member] : wanted.scores) commands.push_back({"ZSCORE", key, member});
  for (const auto& [key, member] : wanted.members) commands.push_back({"SISMEMBER", key, member});
  for (const std::string& key : wanted.streams) commands.push_back({"XRANGE", key, "-", "+"});

  Snapshot snapshot;
  const std::string& any = wanted.hashes.at(0);
  Ask(any, {"EXISTS", any});  // finds the node
  const std::vector<RedisReply> replies = AskMany(any, commands);
  auto reply = replies.begin();
  for (const std::string& key : wanted.hashes) {
    snapshot.hashes[key] = FieldsOf(*reply++);
    snapshot.expiries[key] = TimeOf(*reply++);
  }
  for (const auto& place : wanted.scores) snapshot.scores[place] = ScoreOf(*reply++);
  for (const auto& place : wanted.members) snapshot.members[place] = (reply++)->text == "1";
  for (const std::string& key : wanted.streams) {
    for (const RedisReply& entry : (reply++)->elements) {
      snapshot.streams[key].push_back(FieldsOf(entry.elements.at(1)));
    }
  }
  return snapshot;
}

std::string HiredisStore::Describe(const std::string& key) {
  const std::string type = Ask(key, {"TYPE", key}).text;
  std::string content;
  if (type == "hash") {
    for (const auto& [name, value] : Hash(key)) content += name + "=" + value + "|";
  } else if (type == "string") {
    content = Ask(key, {"GET", key}).text;
  } else if (type == "zset") {
    content = Flat(Ask(key, {"ZRANGE", key, "0", "-1", "WITHSCORES"}));
  } else if (type == "set") {
    content = Flat(Ask(key, {"SORT", key, "ALPHA"}));
  } else if (type == "stream") {
    content = Flat(Ask(key, {"XRANGE", key, "-", "+"}));
  }
  const std::optional<std::int64_t> expiry = ExpireTime(key);
  return key + " " + type + " " + content +
         (expiry.has_value() ? " until " + std::to_string(*expiry) : "");
}

void HiredisStore::SetField(const std::string& key, const std::string& field,
                            const std::string& value) {
  Ask(key, {"HSET", key, field, value});
}
void HiredisStore::SetText(const std::string& key, const std::string& text) {
  Ask(key, {"SET", key, text});
}
void HiredisStore::Persist(const std::string& key) { Ask(key, {"PERSIST", key}); }
void HiredisStore::Delete(const std::string& key) { Ask(key, {"DEL", key}); }

void HiredisStore::RemoveMember(const std::string& key, const std::string& member) {
  const std::string type = Ask(key, {"TYPE", key}).text;
  if (type != "none") Ask(key, {type == "set" ? "SREM" : "ZREM", key, member});
}

RawStore::Answer HiredisStore::Call(const std::string& function,
                                    const std::vector<std::string>& keys,
                                    const std::vector<std::string>& args) {
  const std::string name = function_prefix_ + function.substr(std::string_view("ff_").size());
  std::vector<std::string> words = {"FCALL", name, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  const RedisReply reply = Command(keys.empty() ? "" : keys[0], words);
  Answer answer;
  answer.is_error = reply.is_error;
  if (reply.elements.empty()) answer.texts.push_back(reply.text);
  for (const RedisReply& element : reply.elements) answer.texts.push_back(element.text);
  return answer;
}

}  // namespace ffgrant::claims_conformance
