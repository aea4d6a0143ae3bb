// SPDX-License-Identifier: Apache-2.0
//
// Names that records refer to by number.

#ifndef FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_
#define FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/claims/internal/short_text.h"
#include "ffgrant/claims/internal/spin_lock.h"

namespace ffgrant::internal {

// 0 is the empty name and "none".
using NameId = std::uint32_t;

// A fixed number of texts in a fixed number of bytes. A name is a pair, such
// as worker id and instance id; the second text may be empty.
//
// Find() and the texts may be read while another thread interns. Keep() must
// be alone: the ledger reads names under a region's lock only, and takes all
// of these locks before it calls Keep().
class NamePool {
 public:
  NamePool(std::size_t max_names, std::size_t max_bytes);

  // The number of a name, made if need be. kFull if there is no room.
  static constexpr NameId kFull = 0xFFFFFFFF;
  NameId Intern(std::string_view first, std::string_view second = {}) noexcept {
    if (first.empty() && second.empty()) return 0;
    ScheduleRead(Shared::kNames);
    const auto hash = static_cast<std::uint32_t>(HashText(second, HashText(first, kMixA)));
    const NameId id = Find(hash, first, second);
    return id != 0 ? id : Make(hash, first, second);
  }

  std::string_view First(NameId id) const noexcept {
    const Entry& e = entries_[id];
    return {bytes_.get() + e.begin, e.first_size};
  }
  std::string_view Second(NameId id) const noexcept {
    const Entry& e = entries_[id];
    return {bytes_.get() + e.begin + e.first_size, e.second_size};
  }

  bool Is(NameId id, std::string_view first, std::string_view second) const noexcept {
    return TextEqual(First(id), first) && TextEqual(Second(id), second);
  }

  // Frees every name that isn't marked in `in_use` (one byte a number, size
  // max_names + 1) and closes the gaps.
  void Keep(std::span<const std::uint8_t> in_use) noexcept;
  // How many names were ever freed: if that stands still, there was no room.
  std::uint64_t freed() const noexcept { return freed_.load(std::memory_order_relaxed); }
  // How many were ever made; and by this thread, in all pools.
  std::uint64_t made() const noexcept { return made_.load(std::memory_order_relaxed); }
  static std::uint64_t made_by_this_thread() noexcept { return made_by_thread_; }

 private:
  // Small, since every grant reads one. A free number's texts are empty.
  struct alignas(16) Entry {
    std::uint32_t begin = 0;
    std::uint32_t hash = 0;
    std::uint32_t first_size = 0;
    std::uint32_t second_size = 0;
  };
  static bool IsUsed(const Entry& e) noexcept { return (e.first_size | e.second_size) != 0; }

  NameId Find(std::uint32_t hash, std::string_view first, std::string_view second) const noexcept {
    for (std::size_t at = hash & table_mask_;; at = (at + 1) & table_mask_) {
      // The entry was written before its number was stored here.
      const NameId id = table_[at].load(std::memory_order_acquire);
      if (id == 0) return 0;
      if (entries_[id].hash == hash && Is(id, first, second)) return id;
    }
  }
  // Out of the hot path, which then needs fewer registers.
  [[gnu::noinline]] NameId Make(std::uint32_t hash, std::string_view first,
                                std::string_view second) noexcept;
  void Link(NameId id) noexcept;

  std::vector<Entry> entries_;  // by number; the first is the empty name
  std::unique_ptr<char[]> bytes_;
  std::size_t max_bytes_;
  std::size_t used_bytes_ = 0;
  std::vector<NameId> order_;  // what Keep() sorts in
  std::vector<NameId> free_;   // numbers, used from the back

  // Open addressing, half empty at the least; 0 ends a search.
  std::unique_ptr<std::atomic<NameId>[]> table_;
  std::size_t table_mask_;

  std::atomic<std::uint64_t> freed_{0};
  std::atomic<std::uint64_t> made_{0};
  inline static thread_local std::uint64_t made_by_thread_ = 0;
  SpinLock interning_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_NAME_POOL_H_
