// SPDX-License-Identifier: Apache-2.0

#include "testing/model/schedule_search.h"

#include <bit>
#include <cstdlib>

namespace ffgrant::testing {

// Returns -1 if no fiber is left to try.
int ScheduleSearch::Node::Pick(int preferred) const {
  const std::uint32_t left = runnable & ~tried & ~sleeping;
  if (left == 0) return -1;
  return preferred >= 0 && (left >> preferred & 1) != 0 ? preferred : std::countr_zero(left);
}

bool ScheduleSearch::NextRun() {
  depth_ = 0;
  redundant_ = false;
  if (first_) {
    first_ = false;
    return true;
  }
  while (!path_.empty()) {
    Node& node = path_.back();
    node.tried |= 1u << node.chosen;
    const int next = node.Pick(-1);
    if (next >= 0) {
      node.chosen = next;
      return true;
    }
    path_.pop_back();
  }
  return false;
}

int ScheduleSearch::Choose(int current, std::uint32_t runnable) {
  if (redundant_) return std::countr_zero(runnable);
  if (depth_ < path_.size()) {
    const Node& node = path_[depth_++];
    if (node.runnable != runnable) std::abort();  // the same choices led to another state
    return node.chosen;
  }
  Node node;
  node.runnable = runnable;
  if (reduce_ && depth_ > 0) {
    const Node& parent = path_[depth_ - 1];
    const Footprint& step = parent.footprints[static_cast<std::size_t>(parent.chosen)];
    const std::uint32_t covered = parent.sleeping | parent.tried;
    for (std::uint32_t left = covered; left != 0; left &= left - 1) {
      const auto fiber = static_cast<std::size_t>(std::countr_zero(left));
      if (!parent.footprints[fiber].IndependentOf(step)) continue;
      node.sleeping |= 1u << fiber;
      node.footprints[fiber] = parent.footprints[fiber];
    }
  }
  node.chosen = node.Pick(current);
  if (node.chosen < 0) {
    redundant_ = true;
    return std::countr_zero(runnable);
  }
  path_.push_back(node);
  ++depth_;
  return node.chosen;
}

void ScheduleSearch::Stepped(const Footprint& footprint) {
  if (redundant_ || depth_ == 0) return;
  Node& node = path_[depth_ - 1];
  node.footprints[static_cast<std::size_t>(node.chosen)] = footprint;
}

}  // namespace ffgrant::testing
