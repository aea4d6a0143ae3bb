// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/execution_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#include "ffgrant/claims/internal/mix.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant::internal {
namespace {

// A word of tags, a byte a slot. A taken slot's tag has the top bit set.
constexpr std::size_t kSlotsPerWord = 8;
constexpr std::uint8_t kEmpty = 0;   // ends a search
constexpr std::uint8_t kErased = 1;  // does not
constexpr std::uint64_t kOnes = 0x0101010101010101u;
constexpr std::uint64_t kTops = 0x8080808080808080u;

std::uint8_t TagOf(std::uint64_t hash) noexcept {
  return static_cast<std::uint8_t>(hash >> 56 | 0x80);
}

// The top bits of the bytes of `word` that equal `tag`, and perhaps of one
// above such a byte: a hint that is checked against the record.
std::uint64_t Matches(std::uint64_t word, std::uint8_t tag) noexcept {
  const std::uint64_t x = word ^ kOnes * tag;
  return (x - kOnes) & ~x & kTops;
}

// Exact: bytes that are zero.
bool HasEmpty(std::uint64_t word) noexcept { return ((word - kOnes) & ~word & kTops) != 0; }

std::size_t LowestByte(std::uint64_t tops) noexcept {
  return static_cast<std::size_t>(std::countr_zero(tops)) / 8;
}

// Records spread over regions like balls over bins. Room for 16 standard
// deviations above the mean means that no region fills up before the ledger.
constexpr double kSpare = 16;
constexpr std::size_t kRecordsPerRegion = 256;
constexpr std::size_t kMaxRegions = 256;

std::size_t RegionCount(std::size_t max_executions) noexcept {
  return std::bit_floor(
      std::clamp<std::size_t>(max_executions / kRecordsPerRegion, 1, kMaxRegions));
}

std::size_t RegionWords(std::size_t max_executions, std::size_t regions) noexcept {
  const double mean = static_cast<double>(max_executions) / static_cast<double>(regions);
  // A quarter at the least, to keep searches short.
  const double spare = std::max(mean / 4, regions == 1 ? 0.0 : kSpare * std::sqrt(mean));
  return static_cast<std::size_t>((mean + spare) / kSlotsPerWord) + 1;
}

}  // namespace

void ExecutionTable::Unmap::operator()(ExecutionRecord* p) const noexcept { munmap(p, bytes); }

ExecutionTable::ExecutionTable(std::size_t max_executions)
    : max_executions_(max_executions),
      region_count_(RegionCount(max_executions)),
      region_words_(RegionWords(max_executions, region_count_)),
      region_slots_(region_words_ * kSlotsPerWord),
      regions_(new Region[region_count_]),
      tags_(new std::atomic<std::uint64_t>[region_count_ * region_words_]()) {
  const Uuid random = RandomUuid();
  std::memcpy(&seed_, random.bytes.data() + 8, sizeof seed_);
  // Straight from the system: zeroed when touched, and in large pages where
  // they are to be had, since accesses are all over the place.
  constexpr std::size_t kLargePage = std::size_t{2} << 20;
  const std::size_t bytes = slot_count() * sizeof(ExecutionRecord) + kLargePage;
  void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  memory_ = {static_cast<ExecutionRecord*>(p), Unmap{bytes}};
  const auto address = (reinterpret_cast<std::uintptr_t>(p) + kLargePage - 1) & ~(kLargePage - 1);
  records_ = reinterpret_cast<ExecutionRecord*>(address);
  madvise(records_, bytes - kLargePage, MADV_HUGEPAGE);  // a wish: failure is fine
  // Touch it now, so that no later call pays for it or dies of it.
  for (std::size_t slot = 0; slot < slot_count(); ++slot) new (&records_[slot]) ExecutionRecord{};
}

ExecutionTable::~ExecutionTable() = default;

std::uint64_t ExecutionTable::Hash(std::uint16_t partition, const Uuid& uuid) const noexcept {
  std::uint64_t words[2];
  std::memcpy(words, uuid.bytes.data(), sizeof words);
  return Mix(words[0] ^ seed_, Mix(words[1] ^ kMixA, partition ^ kMixB));
}

std::size_t ExecutionTable::FirstWord(std::uint64_t hash) const noexcept {
  // The middle bits, since the low ones chose the region and the high ones are
  // the tag.
  const std::uint64_t middle = hash >> 16 & 0xFFFFFFFF;
  return RegionOf(hash) * region_words_ + (middle * region_words_ >> 32);
}

std::size_t ExecutionTable::NextWord(std::size_t word) const noexcept {
  const std::size_t next = word + 1;
  return next % region_words_ == 0 ? next - region_words_ : next;
}

std::uint8_t ExecutionTable::TagAt(Slot slot) const noexcept {
  const std::uint64_t word = tags_[slot / kSlotsPerWord].load(std::memory_order_relaxed);
  return static_cast<std::uint8_t>(word >> (slot % kSlotsPerWord * 8));
}

void ExecutionTable::SetTag(Slot slot, std::uint8_t tag) noexcept {
  std::atomic<std::uint64_t>& word = tags_[slot / kSlotsPerWord];
  const std::size_t shift = slot % kSlotsPerWord * 8;
  const std::uint64_t others =
      word.load(std::memory_order_relaxed) & ~(std::uint64_t{0xFF} << shift);
  word.store(others | std::uint64_t{tag} << shift, std::memory_order_relaxed);
}

Slot ExecutionTable::Find(std::uint64_t hash, const ExecutionIdView& id) const noexcept {
  std::size_t word = FirstWord(hash);
  for (std::size_t looked_at = 0; looked_at < region_words_; ++looked_at, word = NextWord(word)) {
    const std::uint64_t tags = tags_[word].load(std::memory_order_relaxed);
    for (std::uint64_t m = Matches(tags, TagOf(hash)); m != 0; m &= m - 1) {
      const std::size_t slot = word * kSlotsPerWord + LowestByte(m);
      const ExecutionRecord& record = records_[slot];
      if (record.uuid == id.uuid() && record.partition == id.partition().index) {
        return static_cast<Slot>(slot);
      }
    }
    if (HasEmpty(tags)) return kNoSlot;
  }
  return kNoSlot;
}

Slot ExecutionTable::Insert(std::uint64_t hash) noexcept {
  if (size_.fetch_add(1, std::memory_order_relaxed) >= max_executions_) {
    size_.fetch_sub(1, std::memory_order_relaxed);
    return kNoSlot;
  }
  std::size_t word = FirstWord(hash);
  for (std::size_t looked_at = 0; looked_at < region_words_; ++looked_at, word = NextWord(word)) {
    const std::uint64_t free = ~tags_[word].load(std::memory_order_relaxed) & kTops;
    if (free == 0) continue;
    const auto slot = static_cast<Slot>(word * kSlotsPerWord + LowestByte(free));
    SetTag(slot, TagOf(hash));
    return slot;
  }
  size_.fetch_sub(1, std::memory_order_relaxed);
  return kNoSlot;
}

void ExecutionTable::Erase(Slot slot) noexcept {
  // No search went past a word that has an empty slot, so that this one may
  // become empty too.
  const std::uint64_t tags = tags_[slot / kSlotsPerWord].load(std::memory_order_relaxed);
  SetTag(slot, HasEmpty(tags) ? kEmpty : kErased);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

bool ExecutionTable::IsTaken(Slot slot) const noexcept { return (TagAt(slot) & 0x80) != 0; }

void ExecutionTable::PrefetchTags(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&tags_[FirstWord(hash)]);
}

void ExecutionTable::PrefetchRecord(std::uint64_t hash) const noexcept {
  const std::size_t word = FirstWord(hash);
  const std::uint64_t m = Matches(tags_[word].load(std::memory_order_relaxed), TagOf(hash));
  if (m == 0) return;
  const auto* const record =
      reinterpret_cast<const char*>(&records_[word * kSlotsPerWord + LowestByte(m)]);
  __builtin_prefetch(record, 1);
  __builtin_prefetch(record + 64, 1);
}

}  // namespace ffgrant::internal
