// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes the keys of a Valkey or Redis server, or of a cluster, with hiredis. Shares
// nothing with ffgrant::valkey, which is under test.

#ifndef FFGRANT_TESTING_SCENARIOS_HIREDIS_STORE_H_
#define FFGRANT_TESTING_SCENARIOS_HIREDIS_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "testing/scenarios/raw_store.h"

struct redisContext;

namespace ffgrant::claims_conformance {

// A reply as a tree of texts.
struct RedisReply {
  bool is_error = false;
  bool is_nil = false;
  std::string text;  // a string, status or error; an integer as decimal text
  std::vector<RedisReply> elements;
};

class HiredisStore final : public RawStore {
 public:
  // `host` and `port` may be those of any node of a cluster. A host that begins with '/' is a unix
  // socket. Logs in if `username` or `password` is given. Throws std::runtime_error.
  HiredisStore(const std::string& host, int port, std::string username = {},
               std::string password = {});
  ~HiredisStore() override;

  // Sends the command to the node that has `key`; if `key` is empty, to the first node. Follows
  // MOVED. Throws if a server is gone; an error reply is returned as a reply.
  RedisReply Command(const std::string& key, const std::vector<std::string>& words);
  std::int64_t NowMs();  // the clock of the first node
  std::vector<std::string> SetMembers(const std::string& key);
  std::size_t SetSize(const std::string& key);  // the size of a sorted set

  Fields Hash(const std::string& key) override;
  std::optional<std::int64_t> ExpireTime(const std::string& key) override;
  bool Exists(const std::string& key) override;
  std::optional<double> Score(const std::string& key, const std::string& member) override;
  Snapshot Read(const Wanted& wanted) override;
  std::string Describe(const std::string& key) override;
  void SetField(const std::string& key, const std::string& field,
                const std::string& value) override;
  void SetText(const std::string& key, const std::string& text) override;
  void Persist(const std::string& key) override;
  void Delete(const std::string& key) override;
  void RemoveMember(const std::string& key, const std::string& member) override;
  Answer Call(const std::string& function, const std::vector<std::string>& keys,
              const std::vector<std::string>& args) override;
  // Sets the prefix that Call() puts in place of FlowFabric's "ff_".
  void set_function_prefix(const std::string& prefix) { function_prefix_ = prefix; }

 private:
  using Connection = std::unique_ptr<redisContext, void (*)(redisContext*)>;
  redisContext& At(const std::string& address);
  void LogIn(redisContext& connection);
  // Does the same as Command(), but throws for an error reply.
  RedisReply Ask(const std::string& key, const std::vector<std::string>& words);
  // Sends many commands together to the node of `key`. That node must be known already.
  std::vector<RedisReply> AskMany(const std::string& key,
                                  const std::vector<std::vector<std::string>>& commands);

  std::string function_prefix_ = "ff_";
  const std::string username_;
  const std::string password_;
  std::string first_;                              // HOST:PORT, or the path of a unix socket
  std::map<std::string, Connection> connections_;  // by address
  std::map<std::string, std::string> homes_;       // hash tag -> address
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_HIREDIS_STORE_H_
