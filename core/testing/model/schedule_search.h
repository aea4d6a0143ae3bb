// SPDX-License-Identifier: Apache-2.0
//
// All schedules of a few threads, one after another, depth first. Orders that
// differ only in steps that have nothing to do with each other are tried once:
// sleep sets (Godefroid, "Partial-order methods for the verification of
// concurrent systems", 1996).
//
// That is sound as long as a step's footprint says all that it touches: locks,
// what is marked in internal/schedule_point.h, and what a lock guards, which
// counts as the lock. So it relies on there being no data race, which other
// tests look for: threads under a sanitizer, and schedules that switch after
// unlocking.

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
  // Without partial-order reduction: to test it.
  explicit ScheduleSearch(bool reduce = true) : reduce_(reduce) {}

  // Before each run; false when there are no more.
  bool NextRun();
  // Whether the last run was the like of another one, from some step on.
  bool redundant() const { return redundant_; }

  int Choose(int current, std::uint32_t runnable) override;
  void Stepped(const Footprint& footprint) override;

 private:
  // A place where somebody was chosen.
  struct Node {
    std::uint32_t runnable = 0;
    std::uint32_t sleeping = 0;  // whose steps other branches have covered
    std::uint32_t tried = 0;
    int chosen = 0;
    std::array<Footprint, Scheduler::kMaxFibers> footprints;  // of all the above

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
