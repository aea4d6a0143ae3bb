// SPDX-License-Identifier: Apache-2.0
//
// Test only: reaches the server that scripts/claim-server has started, by an operator's own
// connection and by a ledger.

#ifndef FFGRANT_TESTING_LIVE_LIVE_SERVER_H_
#define FFGRANT_TESTING_LIVE_LIVE_SERVER_H_

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/valkey_ledger.h"

namespace ffgrant::valkey::testing {

inline std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

inline std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

// A minimal client for an operator's commands.
class Operator {
 public:
  explicit Operator(const std::string& where) {
    Endpoint endpoint;
    EXPECT_TRUE(ParseEndpoint(where, endpoint)) << "no server: run this by scripts/claim-server";
    context_ = redisConnect(endpoint.host.c_str(), endpoint.port);
    EXPECT_TRUE(context_ != nullptr && context_->err == 0);
  }
  ~Operator() { redisFree(context_); }
  Operator(const Operator&) = delete;

  // Returns the reply as text; an array as its elements with spaces between.
  std::string Do(const std::vector<std::string>& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
      texts.push_back(word.data());
      sizes.push_back(word.size());
    }
    auto* const reply = static_cast<redisReply*>(
        redisCommandArgv(context_, static_cast<int>(texts.size()), texts.data(), sizes.data()));
    EXPECT_NE(reply, nullptr);
    const std::string text = reply == nullptr ? "" : Text(*reply);
    freeReplyObject(reply);
    return text;
  }

 private:
  static std::string Text(const redisReply& reply) {
    if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
    if (reply.type == REDIS_REPLY_ARRAY) {
      std::string all;
      for (std::size_t i = 0; i < reply.elements; ++i) {
        all += (i == 0 ? "" : " ") + Text(*reply.element[i]);
      }
      return all;
    }
    return reply.str == nullptr ? "" : std::string(reply.str, reply.len);
  }

  redisContext* context_;
};

// Returns `text` with every `from` replaced by `to`.
inline std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// Returns a stand-in for FlowFabric's library: the text of our library, under FlowFabric's names.
// Its ff_version answers `contract`.
inline std::string FlowFabricStandIn(const std::string& contract = "34") {
  std::string text(FunctionLibrarySource());
  text = Replaced(text, "name=ffgrant\n", "name=flowfabric\n");
  text = Replaced(text, "'ffgrant_", "'ff_");
  return Replaced(text, "LIBRARY_VERSION = '" + std::string(kFunctionLibraryVersion) + "'",
                  "LIBRARY_VERSION = '" + contract + "'");
}
inline ClientOptions Where(std::int64_t patience_ms = 10'000) {
  ClientOptions options;
  Endpoint endpoint;
  EXPECT_TRUE(ParseEndpoint(Variable("FFGRANT_SERVER"), endpoint))
      << "no server: run this by scripts/claim-server";
  options.servers = {endpoint};
  options.request_timeout_ms = patience_ms;
  return options;
}

class LiveServer : public ::testing::Test {
 protected:
  explicit LiveServer(std::int64_t patience_ms = 10'000)
      : ledger_({.client = Where(patience_ms),
                 .defaults = {},
                 .waitpoint_secret_hex = std::string(64, 'a')}) {
    // Each test has a lane of its own, so that it does not find another test's executions.
    lane_text_ = "live-";
    const Uuid uuid = RandomUuid();
    for (const std::uint8_t byte : uuid.bytes) lane_text_ += static_cast<char>('a' + byte % 26);
    lane_ = ParseLaneId(lane_text_).lane;
  }

  MintedExecutionId Create(std::uint16_t partition = 7, std::int64_t priority = 0,
                           const CapabilitySet* required = nullptr) {
    MintedExecutionId id(partition, RandomUuid());
    ErrorDetails details;
    const CreateOutcome created = ledger_.CreateExecution(
        {.execution_id = id.view(), .lane = lane_, .priority = priority, .required = required},
        &details);
    EXPECT_TRUE(created) << ErrorName(created.error) << " "
                         << (details.size() > 0 ? details[0] : "");
    return id;
  }
  IssueOutcome Issue(const MintedExecutionId& id, std::int64_t ttl = 60'000) {
    return ledger_.IssueClaimGrant(
        {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = ttl});
  }
  ClaimArgs ArgsFor(const MintedExecutionId& id) {
    return {.execution_id = id.view(),
            .worker = worker_,
            .lane = lane_,
            .lease_id = {RandomUuid()},
            .lease_ttl_ms = 60'000,
            .attempt_id = {RandomUuid()}};
  }

  std::string lane_text_;
  LaneIdView lane_;
  const WorkerIdentity worker_ = {{"w1"}, {"w1-i1"}};
  ValkeyLedger ledger_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_LIVE_LIVE_SERVER_H_
