// SPDX-License-Identifier: Apache-2.0
//
// Tries all schedules of a few threads, one after another, depth first. Of the schedules that
// differ only in the order of independent steps, it tries only one, by sleep sets (Godefroid,
// "Partial-order methods for the verification of concurrent systems", 1996).
//
// Sleep sets are sound as long as the footprint of a step names everything that the step touches:
// locks, what internal/schedule_point.h marks, and the data that a lock guards, which count as the
// lock. So the search relies on there being no data race. Other tests look for data races: threads
// under a sanitizer, and schedules that switch after unlocking.

#ifndef FFGRANT_TESTING_MODEL_SCHEDULE_SEARCH_H_
#define FFGRANT_TESTING_MODEL_SCHEDULE_SEARCH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "testing/model/scheduler.h"

namespace ffgrant::testing {

class ScheduleSearch final : public Chooser {
 public:
  // `reduce` = false turns the partial-order reduction off, so that it can be tested.
  explicit ScheduleSearch(bool reduce = true) : reduce_(reduce) {}

  // Is called before each run. Returns false when there are no more runs.
  bool NextRun();
  // Whether the last run, from some step on, only repeated what other runs have covered.
  bool redundant() const { return redundant_; }

  int Choose(int current, std::uint32_t runnable) override;
  void Stepped(const Footprint& footprint) override;

 private:
  // A point at which a fiber was chosen.
  struct Node {
    std::uint32_t runnable = 0;
    std::uint32_t sleeping = 0;  // the fibers whose steps other branches have covered
    std::uint32_t tried = 0;
    int chosen = 0;
    std::array<Footprint, Scheduler::kMaxFibers> footprints;  // of `sleeping`, `tried`, `chosen`

    int Pick(int preferred) const;
  };

  bool reduce_;
  bool first_ = true;
  bool redundant_ = false;
  std::size_t depth_ = 0;
  std::vector<Node> path_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_SCHEDULE_SEARCH_H_
