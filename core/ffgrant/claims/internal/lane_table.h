// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_CLAIMS_INTERNAL_LANE_TABLE_H_
#define FFGRANT_CLAIMS_INTERNAL_LANE_TABLE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/lane_id.h"

namespace ffgrant::internal {

// The lanes that executions were created in, numbered as they come. Lanes are
// few and stay, so that a search from the front is enough, and a lane's text
// can be read by any thread that knows its number.
class LaneTable {
 public:
  explicit LaneTable(std::size_t max_lanes) : lanes_(max_lanes) {}

  std::optional<std::uint16_t> Find(LaneIdView lane) const noexcept {
    ScheduleRead(Shared::kLanes);
    const std::size_t count = count_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
      if (Text(static_cast<std::uint16_t>(i)) == lane.text()) return static_cast<std::uint16_t>(i);
    }
    return std::nullopt;
  }

  // `lane` is a checked one. Empty if the table is full.
  std::optional<std::uint16_t> FindOrAdd(LaneIdView lane) noexcept {
    if (const auto found = Find(lane)) return found;
    const std::scoped_lock lock(adding_);
    if (const auto found = Find(lane)) return found;
    const std::size_t count = count_.load(std::memory_order_relaxed);
    if (count == lanes_.size()) return std::nullopt;
    lanes_[count].size =
        static_cast<std::uint8_t>(lane.text().copy(lanes_[count].text.data(), kMaxLaneIdSize));
    SchedulePoint(Shared::kLanes);
    count_.store(count + 1, std::memory_order_release);
    return static_cast<std::uint16_t>(count);
  }

  std::string_view Text(std::uint16_t lane) const noexcept {
    return {lanes_[lane].text.data(), lanes_[lane].size};
  }

 private:
  struct Lane {
    std::array<char, kMaxLaneIdSize> text;
    std::uint8_t size = 0;
  };
  std::vector<Lane> lanes_;
  std::atomic<std::size_t> count_{0};
  SpinLock adding_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_LANE_TABLE_H_
