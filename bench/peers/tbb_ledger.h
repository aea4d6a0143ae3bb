// SPDX-License-Identifier: Apache-2.0
//
// Makes oneTBB's concurrent_hash_map a store of StoreLedger (bench/map_ledger.h):
// https://oneapi-src.github.io/oneTBB/main/tbb_userguide/concurrent_hash_map.html
// An accessor locks its element, so the store needs no shards or mutexes of its own. The map is
// made with its final number of buckets. The key is the uuid and the partition. Uuids are random,
// so their bits serve as the hash.

#ifndef FFGRANT_BENCH_PEERS_TBB_LEDGER_H_
#define FFGRANT_BENCH_PEERS_TBB_LEDGER_H_

#include <tbb/concurrent_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "bench/map_ledger.h"
#include "bench/plain_execution.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::peers {

class TbbMap {
 public:
  explicit TbbMap(std::size_t max_executions) : executions_(max_executions) {}

  template <class Create>
  bool Insert(const ExecutionIdView& id, Create create) {
    Map::accessor found;
    const bool inserted = executions_.insert(found, KeyOf(id));
    if (inserted) create(found->second);
    return inserted;
  }

  template <class Work>
  auto Visit(const ExecutionIdView& id, Work work) {
    Map::accessor found;
    return work(executions_.find(found, KeyOf(id)) ? &found->second : nullptr);
  }

  void Erase(const ExecutionIdView& id) { executions_.erase(KeyOf(id)); }

 private:
  struct Key {
    Uuid uuid;
    std::uint16_t partition = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct HashCompare {
    std::size_t hash(const Key& key) const {
      std::uint64_t bits;
      std::memcpy(&bits, key.uuid.bytes.data() + 8, sizeof bits);  // the first half has the version
      return bits >> 8 ^ key.partition;
    }
    bool equal(const Key& a, const Key& b) const { return a == b; }
  };
  using Map = tbb::concurrent_hash_map<Key, PlainExecution, HashCompare>;

  static Key KeyOf(const ExecutionIdView& id) { return {id.uuid(), id.partition().index}; }

  Map executions_;
};

using TbbLedger = StoreLedger<TbbMap>;

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_TBB_LEDGER_H_
