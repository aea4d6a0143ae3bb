// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/server_engine.h"

#include <chrono>
#include <set>
#include <stdexcept>
#include <thread>

namespace ffgrant::claims_conformance {
namespace {

// The secret that signs the token of a suspension if the server has no secret yet.
constexpr const char* kSecretHex =
    "0000000000000000000000000000000000000000000000000000000000000001";
constexpr const char* kSecretId = "ffgrant";

valkey::ValkeyLedgerOptions Options(const valkey::ClientOptions& where, bool load,
                                    const std::string& contract) {
  valkey::ValkeyLedgerOptions options;
  options.client = where;
  options.client.load_library = load;
  if (!contract.empty()) options.client.contract_versions = {contract};
  options.client.request_timeout_ms = 10'000;
  options.waitpoint_secret_hex = kSecretHex;
  return options;
}

std::string Capitalized(std::string name) {
  if (!name.empty()) name[0] = static_cast<char>(name[0] & ~0x20);
  return name;
}

}  // namespace

ServerEngine::ServerEngine(const valkey::ClientOptions& where, const valkey::ClientOptions& store,
                           bool use_loaded_library, const std::string& contract)
    : store_(store.servers.front().host, store.servers.front().port, store.username,
             store.password),
      ledger_(Options(where, !use_loaded_library, contract)) {
  ErrorDetails details;
  const Outcome connected = ledger_.Connect(info_, &details);
  if (!connected) {
    std::string text(ErrorName(connected.error));
    for (std::size_t i = 0; i < details.size(); ++i) text += ": " + std::string(details[i]);
    throw std::runtime_error(text);
  }
  store_.set_function_prefix(info_.function_prefix);
}

std::string ServerEngine::library() const {
  return info_.library_version.empty() ? "flowfabric" : "ffgrant";
}

std::string ServerEngine::description() const {
  return Capitalized(info_.name) + " " + info_.version + (info_.cluster ? " cluster" : "") +
         (info_.library_version.empty()
              ? ", the functions that it has loaded"
              : ", ffgrant's functions, version " + info_.library_version) +
         ", contract " + info_.contract_version;
}

void ServerEngine::PassUntil(std::int64_t time) {
  for (std::int64_t now = Now(); now < time; now = Now()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(time - now));
  }
}

void ServerEngine::CleanUp(const std::deque<Execution>& executions, const std::string& prefix) {
  std::set<std::string> whole;  // the keys that nobody else uses
  std::set<std::string> tags;
  for (const Execution& execution : executions) {
    const Expected& e = execution.expected;
    tags.insert(e.tag());
    for (const std::string& waitpoint : store_.SetMembers(e.ExecutionKey("waitpoints"))) {
      for (const char* rest : {"", ":signals", ":condition"}) {
        whole.insert("ff:wp:" + e.tag() + ":" + waitpoint + rest);
      }
    }
    for (const char* role :
         {"core", "claim_grant", "payload", "result", "policy", "tags", "lease:current",
          "lease:history", "attempts", "suspension:current", "waitpoints"}) {
      whole.insert(e.ExecutionKey(role));
    }
    const std::size_t attempts = store_.SetSize(e.ExecutionKey("attempts"));
    for (std::size_t i = 0; i <= attempts; ++i) {  // the last attempt may be half written
      for (const char* rest : {"", ":usage", ":policy"}) whole.insert(e.AttemptKey(i) + rest);
    }
    for (const std::string& lane : {e.lane, prefix + "other-lane"}) {
      for (const char* role : {"eligible", "delayed", "active", "suspended", "terminal"}) {
        whole.insert(e.LaneKey(role, lane));
      }
    }
    for (const Worker& worker : {kWorker1, kWorker1Other, kWorker2}) {
      whole.insert(e.WorkerLeasesKey(prefix + worker.instance));
    }
    for (const char* role : {"lease_expiry", "attempt_timeout", "execution_deadline",
                             "all_executions", "suspension_timeout"}) {
      store_.RemoveMember(e.IndexKey(role), e.id);
    }
  }
  for (const std::string& key : whole) store_.Delete(key);
  for (const std::string& tag : tags) {
    const std::string secrets = "ff:sec:" + tag + ":waitpoint_hmac";
    Fields fields = store_.Hash(secrets);
    if (fields["current_kid"] == kSecretId) store_.Delete(secrets);
  }
}

}  // namespace ffgrant::claims_conformance
