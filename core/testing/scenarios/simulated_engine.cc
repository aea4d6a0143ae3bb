// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/simulated_engine.h"

#include <utility>
#include <variant>

#include "ffgrant/valkey/function_library.h"
#include "testing/simulation/server_console.h"

namespace ffgrant::claims_conformance {

using valkey::testing::HashValue;
using valkey::testing::KeySpace;
using valkey::testing::SetValue;
using valkey::testing::SimulatedServer;
using valkey::testing::SortedSetValue;
using valkey::testing::StreamValue;

namespace {

// Returns the value of `key` if it is a T, and otherwise null.
template <class T>
const T* As(KeySpace& keys, const std::string& key) {
  bool wrong_type = false;
  return keys.FindAs<T>(key, wrong_type);
}

}  // namespace

SimulatedServer& SimulatedStore::At(const std::string& key) {
  if (cluster_ == nullptr) return *server_;
  return cluster_->node(cluster_->PrimaryOf(valkey::testing::SlotOf(key)));
}

KeySpace& SimulatedStore::Keys(const std::string& key) {
  KeySpace& keys = At(key).keys();
  keys.SetNow(world_.now());
  return keys;
}

// Executes a command as an operator would, on a connection of its own.
void SimulatedStore::Do(const std::string& key, const std::vector<std::string>& words) {
  (void)At(key).Execute(-1, words, 1000 * world_.now());
}

Fields SimulatedStore::Hash(const std::string& key) {
  const HashValue* const hash = As<HashValue>(Keys(key), key);
  if (hash == nullptr) return {};
  return {hash->fields().begin(), hash->fields().end()};
}

std::optional<std::int64_t> SimulatedStore::ExpireTime(const std::string& key) {
  const KeySpace::Entry* const entry = Keys(key).Find(key);
  if (entry == nullptr || entry->expires_at == KeySpace::kNever) return std::nullopt;
  return entry->expires_at;
}

bool SimulatedStore::Exists(const std::string& key) { return Keys(key).Find(key) != nullptr; }

std::optional<double> SimulatedStore::Score(const std::string& key, const std::string& member) {
  const SortedSetValue* const set = As<SortedSetValue>(Keys(key), key);
  const double* const score = set == nullptr ? nullptr : set->Score(member);
  return score == nullptr ? std::nullopt : std::optional(*score);
}

Snapshot SimulatedStore::Read(const Wanted& wanted) {
  Snapshot snapshot;
  for (const std::string& key : wanted.hashes) {
    snapshot.hashes[key] = Hash(key);
    snapshot.expiries[key] = ExpireTime(key);
  }
  for (const auto& place : wanted.scores) {
    snapshot.scores[place] = Score(place.first, place.second);
  }
  for (const auto& place : wanted.members) {
    const SetValue* const set = As<SetValue>(Keys(place.first), place.first);
    snapshot.members[place] = set != nullptr && set->Has(place.second);
  }
  for (const std::string& key : wanted.streams) {
    const StreamValue* const stream = As<StreamValue>(Keys(key), key);
    if (stream == nullptr) continue;
    for (const StreamValue::Node& node : stream->nodes()) {
      for (const StreamValue::Entry& entry : node.entries) {
        Fields& fields = snapshot.streams[key].emplace_back();
        for (std::size_t i = 0; i < entry.words.size(); i += 2) {
          fields[entry.words[i]] = entry.words[i + 1];
        }
      }
    }
  }
  return snapshot;
}

std::string SimulatedStore::Describe(const std::string& key) {
  return key + " " + Keys(key).DumpKey(key);
}

void SimulatedStore::SetField(const std::string& key, const std::string& field,
                              const std::string& value) {
  Do(key, {"HSET", key, field, value});
}
void SimulatedStore::SetText(const std::string& key, const std::string& text) {
  Do(key, {"SET", key, text});
}
void SimulatedStore::Persist(const std::string& key) { Do(key, {"PERSIST", key}); }
void SimulatedStore::Delete(const std::string& key) { Do(key, {"DEL", key}); }

void SimulatedStore::RemoveMember(const std::string& key, const std::string& member) {
  Do(key, {As<SetValue>(Keys(key), key) != nullptr ? "SREM" : "ZREM", key, member});
}

RawStore::Answer SimulatedStore::Call(const std::string& function,
                                      const std::vector<std::string>& keys,
                                      const std::vector<std::string>& args) {
  // The simulated servers have our library, whose functions have names of their own.
  const std::string ours = "ffgrant_" + function.substr(std::string_view("ff_").size());
  std::vector<std::string> words = {"FCALL", ours, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  const std::string reply = At(keys.empty() ? "" : keys[0]).Execute(-1, words, 1000 * world_.now());
  Answer answer;
  answer.is_error = reply.starts_with('-');
  answer.texts = valkey::testing::RespText::Elements(reply);
  return answer;
}

SimulatedEngine::SimulatedEngine(bool cluster) {
  world_.tick_ms = 0;
  valkey::ValkeyLedgerOptions options;
  if (cluster) {
    cluster_.emplace(world_, valkey::testing::SimulatedCluster::Options{});
    store_.emplace(world_, *cluster_);
    options.client.servers = {cluster_->node(0).address()};
  } else {
    SimulatedServer& server = world_.Start({"10.0.0.1", 6379});
    store_.emplace(world_, server);
    options.client.servers = {server.address()};
  }
  options.client.make_network = [this] { return world_.NewNetwork(); };
  options.connections = 1;
  options.waitpoint_secret_hex = "0000000000000000000000000000000000000000000000000000000000000001";
  ledger_ = std::make_unique<valkey::ValkeyLedger>(options);
  // A scenario may call a function on a node to which the client has not been yet.
  for (const auto& server : world_.servers()) {
    const std::string library(valkey::FunctionLibrarySource());
    (void)server->Execute(-1, {"FUNCTION", "LOAD", library}, 1000 * world_.now());
  }
}

}  // namespace ffgrant::claims_conformance
