// SPDX-License-Identifier: Apache-2.0

#include "bench/ledger_history_check.h"

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/population.h"

namespace ffgrant::bench::history {
namespace {

constexpr std::array<WorkerIdentity, 3> kWorkers = {
    {{{"w1"}, {"w1-a"}}, {{"w1"}, {"w1-b"}}, {{"w2"}, {"w2-a"}}}};

// A grant that has run out is gone or still there: contract 7.7 item 8 leaves
// it to the ledger which of the two a claim reports.
ClaimError Comparable(ClaimError error) {
  return error == ClaimError::kClaimGrantExpired ? ClaimError::kInvalidClaimGrant : error;
}

class History {
 public:
  History() : population_(kExecutions), fences_(kExecutions) {
    constexpr std::array<std::string_view, 1> kGpu = {"gpu"};
    constexpr std::array<std::string_view, 2> kMore = {"gpu", "cuda"};
    SelfCheck(gpu_.AssignRequired(kGpu) == CapabilityError::kNone, "capabilities", "gpu");
    SelfCheck(more_.AssignOffered(kMore) == CapabilityError::kNone, "capabilities", "gpu,cuda");
  }

  Step Next() {
    Step step;
    last_ = steps_++ / kStepsPerMove + random_.Below(kWindow);
    step.id = population_[last_];
    step.worker = kWorkers[random_.Below(kWorkers.size())];
    step.kind = static_cast<Step::Kind>(random_.Below(5));
    step.ttl_ms = static_cast<std::int64_t>(random_.Below(2000)) - 20;
    if (random_.Below(3) == 0) step.capabilities = random_.Below(2) == 0 ? &gpu_ : &more_;
    // Refused when a grant is issued, not compared when one is consumed.
    if (step.kind != Step::Kind::kCreate && random_.Below(10) == 0) {
      step.lane = LaneIdView::Unchecked("other");
    }
    step.lease_id.uuid = random_.NextUuid();
    step.fence = fences_[last_];
    if (random_.Below(8) == 0) ++step.fence.lease_epoch.value;
    return step;
  }

  void Note(const Step& step, const Answer& answer) {
    if (step.kind == Step::Kind::kClaim && answer.error == ClaimError::kNone) {
      fences_[last_] = answer.lease.fence;
    }
    ++seen_[static_cast<std::size_t>(step.kind)][answer.error == ClaimError::kNone ? 0 : 1];
  }

  std::int64_t TimeToPass() { return static_cast<std::int64_t>(random_.Below(3)); }

  // A history in which some call never succeeds, or never fails, proves little.
  bool SawEverything() const {
    for (const auto& kind : seen_) {
      if (kind[0] < 50) return false;
      if (kind[1] < 50 && &kind != &seen_[0]) return false;
    }
    return true;
  }

 private:
  Random random_{11};
  Population population_;
  std::vector<LeaseFence> fences_;
  CapabilitySet gpu_;
  CapabilitySet more_;
  std::size_t steps_ = 0;
  std::size_t last_ = 0;
  std::array<std::array<std::size_t, 2>, 5> seen_{};
};

}  // namespace

void CheckAgainstCore(std::string_view name, ManualClock& clock,
                      const std::function<Answer(const Step&)>& other) {
  CoreLedger core(kExecutions, clock);
  const auto history = std::make_unique<History>();
  for (std::size_t i = 0; i < kSteps; ++i) {
    const Step step = history->Next();
    Answer expected = Play(core, step);
    Answer answer = other(step);
    expected.error = Comparable(expected.error);
    answer.error = Comparable(answer.error);
    if (answer != expected) {
      SelfCheckFailed("the ledger differs from " + std::string(name) + ": " +
                          std::string(ErrorName(expected.error)) + " against " +
                          std::string(ErrorName(answer.error)) + " at step " + std::to_string(i),
                      step.id.text());
    }
    history->Note(step, answer);
    clock.Advance(history->TimeToPass());
  }
  SelfCheck(history->SawEverything(), "the random history misses an outcome", "");
}

}  // namespace ffgrant::bench::history
