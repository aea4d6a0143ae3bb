// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/execution_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#include "ffgrant/internal/throw.h"

namespace ffgrant::internal {
namespace {

// Records spread over regions as balls that are thrown at random spread over bins. If there are
// several regions, each has room for 10 standard deviations above the mean, so that no region fills
// up before the ledger does: even of the smallest regions only one in 10^14 would.
constexpr double kSpare = kScheduled ? 0 : 10;
// There are many regions even for few executions, so that two threads rarely want the same lock. In
// runs under the deterministic scheduler (kScheduled) ledgers are tiny, and yet a ledger for two
// executions has two regions.
constexpr std::size_t kRecordsPerRegion = kScheduled ? 1 : 8;
constexpr std::size_t kMaxRegions = 256;

std::size_t RegionCount(std::size_t max_executions) noexcept {
  return std::bit_floor(
      std::clamp<std::size_t>(max_executions / kRecordsPerRegion, 1, kMaxRegions));
}

std::size_t RegionWords(std::size_t max_executions, std::size_t regions) noexcept {
  const double mean = static_cast<double>(max_executions) / static_cast<double>(regions);
  // The spare room is at least an eighth of the mean, to keep searches short.
  const double spare = std::max(mean / 8, regions == 1 ? 0.0 : kSpare * std::sqrt(mean));
  return static_cast<std::size_t>((mean + spare) / kSlotsPerWord) + 1;
}

}  // namespace

void ExecutionTable::Unmap::operator()(void* p) const noexcept { munmap(p, bytes); }

ExecutionTable::ExecutionTable(std::size_t max_executions, std::uint64_t seed)
    : max_executions_(max_executions),
      region_count_(RegionCount(max_executions)),
      region_mask_(region_count_ - 1),
      region_words_(RegionWords(max_executions, region_count_)),
      region_slots_(region_words_ * kSlotsPerWord),
      seeds_{Mix(seed ^ kMixB, kMixA), Mix(seed ^ kMixA, kMixB ^ kMixA)},
      regions_(new Region[region_count_]),
      tags_(new std::atomic<std::uint64_t>[region_count_ * region_words_]()),
      passed_(new std::uint8_t[region_count_ * region_words_]()),
      extras_(new ExecutionExtra[region_count_ * region_slots_]) {
  // The memory comes straight from the system, which zeroes it when it is touched. The memory has
  // large pages where the system gives them, since the accesses go all over the memory.
  constexpr std::size_t kLargePage = kScheduled ? alignof(ExecutionRecord) : std::size_t{2} << 20;
  const std::size_t bytes = slot_count() * sizeof(ExecutionRecord) + kLargePage;
  void* const p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  // Never true: no test makes the system run out of memory.
  if (p == MAP_FAILED) internal::Throw<std::bad_alloc>();
  memory_ = {p, Unmap{bytes}};
  const auto address = (reinterpret_cast<std::uintptr_t>(p) + kLargePage - 1) & ~(kLargePage - 1);
  records_ = reinterpret_cast<ExecutionRecord*>(address);
  madvise(records_, bytes - kLargePage, MADV_HUGEPAGE);  // only advice: it may fail
  // The memory is touched now, so that no later call has to wait for a page, or dies because there
  // is none.
  for (std::size_t slot = 0; slot < slot_count(); ++slot) new (&records_[slot]) ExecutionRecord{};
}

ExecutionTable::~ExecutionTable() = default;

std::size_t ExecutionTable::NextWord(std::size_t word) const noexcept {
  const std::size_t next = word + 1;
  return next % region_words_ == 0 ? next - region_words_ : next;
}

Slot ExecutionTable::Search(std::uint64_t hash, const ExecutionIdView& id) const noexcept {
  std::size_t word = FirstWord(hash);
  for (std::size_t looked_at = 0; looked_at < region_words_; ++looked_at, word = NextWord(word)) {
    const std::uint64_t tags = tags_[word].load(std::memory_order_relaxed);
    for (std::uint64_t m = MatchTag(tags, TagOf(hash)); m != 0; m &= m - 1) {
      const std::size_t slot = word * kSlotsPerWord + LowestByte(m);
      if (IsOf(records_[slot], id)) return static_cast<Slot>(slot);
    }
    if (passed_[word] == 0) break;
  }
  return kNoSlot;
}

void ExecutionTable::SetTag(Slot slot, std::uint8_t tag) noexcept {
  std::atomic<std::uint64_t>& word = tags_[slot / kSlotsPerWord];
  const std::size_t shift = slot % kSlotsPerWord * 8;
  const std::uint64_t others =
      word.load(std::memory_order_relaxed) & ~(std::uint64_t{0xFF} << shift);
  word.store(others | std::uint64_t{tag} << shift, std::memory_order_relaxed);
}

Slot ExecutionTable::Insert(std::uint64_t hash) noexcept {
  LockOf(hash).AssertHeld();
  ScheduleWrite(Shared::kSize);
  // `size_` is never above `max_executions_`, not even for a moment, because other threads read it
  // too.
  std::size_t size = size_.load(std::memory_order_relaxed);
  do {
    if (size == max_executions_) return kNoSlot;
  } while (!size_.compare_exchange_weak(size, size + 1, std::memory_order_relaxed));

  const std::size_t first = FirstWord(hash);
  std::size_t word = first;
  std::uint64_t free = 0;
  for (std::size_t looked_at = 0; looked_at < region_words_; ++looked_at, word = NextWord(word)) {
    free = ~tags_[word].load(std::memory_order_relaxed) & kByteTops;
    if (free != 0) break;
  }
  if (free == 0) {  // this region is full, the others are not
    size_.fetch_sub(1, std::memory_order_relaxed);
    return kNoSlot;
  }
  for (std::size_t full = first; full != word; full = NextWord(full)) {
    if (passed_[full] != kManyPassed) ++passed_[full];
  }
  const auto slot = static_cast<Slot>(word * kSlotsPerWord + LowestByte(free));
  SetTag(slot, TagOf(hash));
  return slot;
}

void ExecutionTable::Erase(std::uint64_t hash, Slot slot) noexcept {
  LockOf(hash).AssertHeld();
  for (std::size_t word = FirstWord(hash); word != slot / kSlotsPerWord; word = NextWord(word)) {
    if (passed_[word] != kManyPassed) --passed_[word];
  }
  SetTag(slot, 0);
  ScheduleWrite(Shared::kSize);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

bool ExecutionTable::IsTaken(Slot slot) const noexcept {
  regions_[slot / region_slots_].lock.AssertHeld();
  const std::uint64_t word = tags_[slot / kSlotsPerWord].load(std::memory_order_relaxed);
  return (word >> (slot % kSlotsPerWord * 8) & 0x80) != 0;
}

void ExecutionTable::PrefetchTags(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&tags_[FirstWord(hash)]);
}

}  // namespace ffgrant::internal
