// SPDX-License-Identifier: Apache-2.0
//
// What a call of the pair is made of: ids, workers, lanes, times and fences,
// mostly right, seldom wrong in each way that matters.

#include <array>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "testing/model/ledger_pair.h"

namespace ffgrant::testing {

LedgerPair::Target LedgerPair::ChooseTarget() {
  // Spellings that the ledger must not take for the canonical id.
  static const std::string kAliases[] = {"{fp:01}:22222222-2222-4222-8222-222222222222",
                                         "{fp:1}:22222222222242228222222222222222"};
  if (OneIn(64)) {
    return {ParseExecutionId(kAliases[choose_(2)], ParseMode::kLenient).id,
            LaneIdView::Unchecked(executions_[0].lane)};
  }
  const Execution& execution = executions_[choose_(static_cast<std::uint32_t>(executions_.size()))];
  return {execution.View(), LaneIdView::Unchecked(execution.lane)};
}

WorkerIdentity LedgerPair::ChooseWorker(std::string_view id) {
  static constexpr std::array<WorkerIdentity, 3> kWorkers = {
      {{{"w1"}, {"w1-i1"}}, {{"w1"}, {"w1-i2"}}, {{"w2"}, {"w2-i1"}}}};
  if (OneIn(24)) return {};  // nothing forbids empty names
  // Often the one that holds a grant, from another instance.
  const auto& grant = observer_.Of(id).grant;
  if (grant.has_value() && !OneIn(3)) {
    return grant->worker_id == "w1" ? kWorkers[1] : kWorkers[2];
  }
  return kWorkers[choose_(3)];
}

LaneIdView LedgerPair::ChooseLane(LaneIdView own) {
  static constexpr std::string_view kLanes[] = {"main", "other lane", "unheard of"};
  return OneIn(6) ? LaneIdView::Unchecked(kLanes[choose_(3)]) : own;
}

std::int64_t LedgerPair::ChooseTtl() {
  static constexpr std::int64_t kOdd[] = {
      0, -1, -7, kMaxTtlMs, -kMaxTtlMs, kMaxTtlMs + 1, -kMaxTtlMs - 1};
  return OneIn(8) ? kOdd[choose_(std::size(kOdd))] : 1 + choose_(8);
}

const CapabilitySet* LedgerPair::ChooseOffered() {
  const std::uint32_t choice = choose_(6);
  return choice == 0 ? nullptr : &offered_[choice < 3 ? choice - 1 : 2];
}

OptionalFence LedgerPair::ChooseFence(std::string_view id) {
  const LeaseObserver::Execution& known = observer_.Of(id);
  LeaseFence fence = {{NextUuid()}, {1}, {NextUuid()}};
  if (known.lease.has_value()) {
    fence = known.lease->fence;
  } else if (!known.ended.empty()) {
    fence = known.ended.back();
  }
  switch (choose_(12)) {
    case 0:
      return {};
    case 1:
    case 6: {
      OptionalFence partial = fence;
      switch (choose_(5)) {
        case 0:
          partial.lease_id.reset();
          break;
        case 1:
          partial.lease_epoch.reset();
          break;
        case 2:
          partial.attempt_id.reset();
          break;
        case 3:
          partial.lease_id.reset();
          partial.lease_epoch.reset();
          break;
        default:
          partial.lease_epoch.reset();
          partial.attempt_id.reset();
          break;
      }
      return partial;
    }
    case 2:
      fence.lease_id.uuid = NextUuid();
      break;
    case 3:
      fence.lease_epoch.value += OneIn(2) ? 1 : std::uint64_t{1} << 32;
      break;
    case 4:
      fence.attempt_id.uuid = NextUuid();
      break;
    case 5:
      if (!known.ended.empty()) {
        fence = known.ended[choose_(static_cast<std::uint32_t>(known.ended.size()))];
      }
      break;
    default:
      break;
  }
  return fence;
}

Uuid LedgerPair::NextUuid() {
  Uuid uuid;
  std::uint64_t number = ++next_uuid_;
  for (std::size_t i = uuid.bytes.size(); i > 8; --i) {
    uuid.bytes[i - 1] = static_cast<std::uint8_t>(number);
    number >>= 8;
  }
  return uuid;
}

}  // namespace ffgrant::testing
