// SPDX-License-Identifier: Apache-2.0
//
// ScanPlaces remembers at which partition each worker instance's next search of a lane begins.

#ifndef FFGRANT_CLAIMS_INTERNAL_SCAN_PLACES_H_
#define FFGRANT_CLAIMS_INTERNAL_SCAN_PLACES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/internal/fnv1a.h"

namespace ffgrant::internal {

// The partitions that one call looks at: `size` of `count`, from `first` on, in a ring.
struct ScanWindow {
  std::uint32_t first = 0;
  std::uint32_t size = 0;
  std::uint32_t count = 0;

  std::uint32_t At(std::uint32_t offset) const noexcept { return (first + offset) % count; }
};

// A scanner is a worker instance on a lane. Its first window begins at ScanStart(); each later
// window begins where the scanner's last call stopped looking. So calls that find nothing get to
// every partition in turn, and a partition that always has something keeps no later partition
// waiting.
//
// A scanner's place is found by hash. A scanner that finds another scanner in its place takes the
// place over, and begins its window at an arbitrary partition, even if that window is its first.
// Two scanners that keep taking each other's place still get to every partition, only not in a
// fixed number of calls.
//
// Lock-free, thread-safe. If two calls of one scanner overlap, the window of one follows the window
// of the other.
class ScanPlaces {
 public:
  static constexpr std::size_t kPlaces = 1024;

  class Scan {
   public:
    // `instance` is Fnv1a64() of the worker instance id. `lane` is Fnv1a64() of the lane.
    Scan(ScanPlaces& places, std::uint64_t instance, std::uint64_t lane, std::uint16_t count,
         std::uint16_t max_partitions) noexcept;
    Scan(const Scan&) = delete;
    Scan& operator=(const Scan&) = delete;

    const ScanWindow& window() const noexcept { return window_; }
    // Records that the call has looked at the first `looked_at` partitions of its window. The
    // scanner's next call begins after these partitions, unless another call has begun meanwhile.
    void End(std::uint32_t looked_at) noexcept;

   private:
    std::uint64_t WordAt(std::uint32_t partition) const noexcept {
      return tag_ | (partition % window_.count);
    }
    std::atomic<std::uint64_t>& place_;
    std::uint64_t tag_;  // tells scanners apart; its low 16 bits are 0, for the partition
    ScanWindow window_;
  };

 private:
  std::array<std::atomic<std::uint64_t>, kPlaces> places_{};  // 0: no scanner has the place
  std::atomic<std::uint64_t> lost_{0};
};

inline ScanPlaces::Scan::Scan(ScanPlaces& places, std::uint64_t instance, std::uint64_t lane,
                              std::uint16_t count, std::uint16_t max_partitions) noexcept
    : place_(places.places_[((instance ^ lane * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u) >> 54]),
      tag_((instance + lane * 0xC2B2AE3D27D4EB4Fu) << 16 | std::uint64_t{1} << 63) {
  static_assert(kPlaces == 1u << (64 - 54));
  window_.count = count;
  window_.size = max_partitions == 0 || max_partitions > count ? count : max_partitions;
  ScheduleWrite(Shared::kScans);
  std::uint64_t word = place_.load(std::memory_order_relaxed);
  do {
    if (((word ^ tag_) >> 16) == 0) {
      window_.first = static_cast<std::uint32_t>(word & 0xFFFF) % count;
    } else {
      window_.first = ScanStartOf(instance, count);
      if (word != 0) {
        const std::uint64_t lost = places.lost_.fetch_add(1, std::memory_order_relaxed) + 1;
        window_.first += static_cast<std::uint32_t>(lost * 0x9E3779B97F4A7C15u >> 48);
        window_.first %= count;
      }
    }
  } while (!place_.compare_exchange_weak(word, WordAt(window_.first + window_.size),
                                         std::memory_order_relaxed));
}

inline void ScanPlaces::Scan::End(std::uint32_t looked_at) noexcept {
  ScheduleWrite(Shared::kScans);
  // If another call has taken the window after this one by now, or another scanner has taken the
  // place, the place stays as it is.
  std::uint64_t word = WordAt(window_.first + window_.size);
  place_.compare_exchange_strong(word, WordAt(window_.first + looked_at),
                                 std::memory_order_relaxed);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_SCAN_PLACES_H_
