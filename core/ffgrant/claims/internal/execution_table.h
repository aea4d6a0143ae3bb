// SPDX-License-Identifier: Apache-2.0
//
// An ExecutionTable has all records of a ledger, and finds them by partition and uuid.

#ifndef FFGRANT_CLAIMS_INTERNAL_EXECUTION_TABLE_H_
#define FFGRANT_CLAIMS_INTERNAL_EXECUTION_TABLE_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "ffgrant/claims/internal/execution_record.h"
#include "ffgrant/claims/internal/short_text.h"
#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/execution_id.h"

namespace ffgrant::internal {

// The place of a record, fixed from insertion to removal.
using Slot = std::uint32_t;
inline constexpr Slot kNoSlot = 0xFFFFFFFF;

// Each slot has a tag of one byte, and eight tags make a word. The tag of a taken slot has the top
// bit set, and the tag of a free slot is 0.
inline constexpr std::size_t kSlotsPerWord = 8;

inline std::uint8_t TagOf(std::uint64_t hash) noexcept {
  return static_cast<std::uint8_t>(hash >> 56 | 0x80);
}

inline constexpr std::uint64_t kByteOnes = 0x0101010101010101u;
inline constexpr std::uint64_t kByteTops = 0x8080808080808080u;

// Returns a word in which the top bit of each byte is set if that byte of `word` equals `tag`. In a
// byte above such a byte the top bit may be set by mistake. So the bits are hints, which are
// checked against the record.
inline std::uint64_t MatchTag(std::uint64_t word, std::uint8_t tag) noexcept {
  const std::uint64_t x = word ^ kByteOnes * tag;
  return (x - kByteOnes) & ~x & kByteTops;
}

inline std::size_t LowestByte(std::uint64_t tops) noexcept {
  return static_cast<std::size_t>(std::countr_zero(tops)) / 8;
}

// A hash table that consists of regions with a lock each, so that threads rarely wait for each
// other. A slot's tag has 7 bits of the hash, and all tags lie together. So a search mostly reads
// one or two words of tags, which are in cache, and then only the record that it wants. A record
// whose word is full goes to the next word that has room. Each word counts the records that went
// past it, and a search ends at the first word that no record went past. So an erased record leaves
// no mark behind, however often slots are reused, unless a count has reached kManyPassed.
//
//   region:  | lock |   tag words: [tttttttt][tttttttt]...
//                       records: [..][..]...   extras: [.][.]...
class ExecutionTable {
 public:
  // Makes room for `max_executions` (1..2^31). Two tables with the same seed give the same hashes.
  // Only somebody who knows the seed can choose ids that collide.
  ExecutionTable(std::size_t max_executions, std::uint64_t seed);
  ~ExecutionTable();
  ExecutionTable(const ExecutionTable&) = delete;
  ExecutionTable& operator=(const ExecutionTable&) = delete;

  std::uint64_t Hash(const ExecutionIdView& id) const noexcept {
    std::uint64_t words[2];
    std::memcpy(words, id.uuid().bytes.data(), sizeof words);
    const std::uint64_t mixed =
        Mix(words[0] ^ seeds_[0], Mix(words[1] ^ seeds_[1], id.partition().index ^ kMixB));
    // The product is mixed once more, since the lowest bits choose the region. If uuids are
    // consecutive numbers, the lowest bits of a single product advance in even steps, and with a
    // few seeds in a thousand they then leave out most regions.
    return Mix(mixed, kMixA);
  }

  // A worker's name that the region itself holds once in the pool. While the name is here, `holds`
  // counts the holds of the region's records, less their releases, and the pool counts neither.
  struct RecentName {
    NameId name = 0;
    std::int32_t holds = 0;
    std::uint32_t hash = 0;
  };
  struct alignas(64) Region {
    SpinLock lock{LockKind::kRegion};
    // The names of workers that this region took up last. The region's lock guards them. The
    // worker of the next call is mostly among these workers, and a thread that holds the lock has
    // this cache line already. So most calls change no count of names that all regions share,
    // whether the threads work for one worker or for a few.
    std::array<RecentName, 4> recent = {};
    std::uint8_t next_recent = 0;  // the place in `recent` that the next new name takes
  };
  Region& RegionOf(std::uint64_t hash) noexcept { return regions_[hash & region_mask_]; }
  Region& RegionOfSlot(Slot slot) noexcept { return regions_[slot / region_slots_]; }

  // LockOf() returns the lock that guards every record with this hash, and LockOfSlot() the lock
  // that guards the record in this slot.
  SpinLock& LockOf(std::uint64_t hash) noexcept { return RegionOf(hash).lock; }
  SpinLock& LockOfSlot(Slot slot) noexcept { return RegionOfSlot(slot).lock; }

  // The caller must hold LockOf(hash). Returns the slot of the execution's record; kNoSlot if there
  // is none.
  Slot Find(std::uint64_t hash, const ExecutionIdView& id) const noexcept {
    regions_[hash & region_mask_].lock.AssertHeld();
    // The record is nearly always the first match of the first word.
    const std::size_t word = FirstWord(hash);
    const std::uint64_t m = MatchTag(tags_[word].load(std::memory_order_relaxed), TagOf(hash));
    if (m != 0) [[likely]] {
      const std::size_t slot = word * kSlotsPerWord + LowestByte(m);
      if (IsOf(records_[slot], id)) [[likely]]
        return static_cast<Slot>(slot);
    }
    return Search(hash, id);
  }
  // The caller must hold LockOf(hash). Takes a free slot and returns it; kNoSlot if the table or
  // the region is full.
  Slot Insert(std::uint64_t hash) noexcept;
  // The caller must hold LockOf(hash). Frees the slot of a record with this hash.
  void Erase(std::uint64_t hash, Slot slot) noexcept;
  bool IsTaken(Slot slot) const noexcept;

  // The caller must hold the region's lock.
  ExecutionRecord& operator[](Slot slot) noexcept {
    regions_[slot / region_slots_].lock.AssertHeld();
    return records_[slot];
  }
  ExecutionExtra& extra(Slot slot) noexcept {
    regions_[slot / region_slots_].lock.AssertHeld();
    return extras_[slot];
  }
  // fixed() and created_at() need no lock for a slot that cannot be erased meanwhile. Of the record
  // that fixed() returns, only uuid, partition, lane, priority and requirements may then be read:
  // they do not change while the slot is taken.
  const ExecutionRecord& fixed(Slot slot) const noexcept { return records_[slot]; }
  std::int64_t created_at(Slot slot) const noexcept { return extras_[slot].created_at.Get(); }

  // PrefetchTags() and PrefetchRecord() prefetch what Find() will read, and need no lock. There are
  // two steps, so that a caller can do something else in between: first the tags, then the record
  // that the tags point to.
  void PrefetchTags(std::uint64_t hash) const noexcept;
  void PrefetchRecord(std::uint64_t hash) const noexcept {
    const std::size_t word = FirstWord(hash);
    const std::uint64_t m = MatchTag(tags_[word].load(std::memory_order_relaxed), TagOf(hash));
    // If no tag matches, some other record is prefetched, which does no harm.
    PrefetchSlot(word * kSlotsPerWord + LowestByte(m | std::uint64_t{1} << 63));
  }
  void PrefetchSlot(std::size_t slot) const noexcept {
    const auto* const record = reinterpret_cast<const char*>(&records_[slot]);
    __builtin_prefetch(record, 1);
    __builtin_prefetch(record + 64, 1);
  }

  std::size_t region_count() const noexcept { return region_count_; }
  Region& region(std::size_t index) noexcept { return regions_[index]; }
  std::size_t region_slots() const noexcept { return region_slots_; }
  std::size_t slot_count() const noexcept { return region_count_ * region_slots_; }
  std::size_t max_executions() const noexcept { return max_executions_; }
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(void* p) const noexcept;
  };

  std::size_t FirstWord(std::uint64_t hash) const noexcept {
    // The middle bits are used, since the low bits choose the region and the
    // high bits are the tag. The result is region * words + (middle * words >>
    // 32), computed in one product, which has 8 + 32 + 21 bits at the most.
    const std::uint64_t region = hash & region_mask_;
    const std::uint64_t middle = hash >> 16 & 0xFFFFFFFF;
    return (region << 32 | middle) * region_words_ >> 32;
  }
  // Compares word by word, because a comparison of the arrays is a call to memcmp.
  static bool IsOf(const ExecutionRecord& record, const ExecutionIdView& id) noexcept {
    std::uint64_t a[2];
    std::uint64_t b[2];
    std::memcpy(a, record.uuid.bytes.data(), sizeof a);
    std::memcpy(b, id.uuid().bytes.data(), sizeof b);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0 && record.partition == id.partition().index;
  }
  // Does what Find() does, but looks at every match and at as many words as need be.
  [[gnu::noinline]] Slot Search(std::uint64_t hash, const ExecutionIdView& id) const noexcept;
  std::size_t NextWord(std::size_t word) const noexcept;
  void SetTag(Slot slot, std::uint8_t tag) noexcept;

  std::size_t max_executions_;
  std::size_t region_count_;  // a power of two
  std::size_t region_mask_;   // region_count_ - 1
  std::size_t region_words_;  // tag words in a region
  std::size_t region_slots_;  // 8 * region_words_
  std::array<std::uint64_t, 2> seeds_;

  std::unique_ptr<Region[]> regions_;
  // The tags are atomic because PrefetchRecord() reads them without the lock. All other uses hold
  // the lock.
  std::unique_ptr<std::atomic<std::uint64_t>[]> tags_;
  // For each word, how many records went past it. A count that has reached kManyPassed no longer
  // changes, since the true number isn't known from then on.
  std::unique_ptr<std::uint8_t[]> passed_;
  static constexpr std::uint8_t kManyPassed = 255;
  std::unique_ptr<void, Unmap> memory_;
  ExecutionRecord* records_;
  std::unique_ptr<ExecutionExtra[]> extras_;
  std::atomic<std::size_t> size_{0};
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_EXECUTION_TABLE_H_
