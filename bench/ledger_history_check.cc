// SPDX-License-Identifier: Apache-2.0

#include "bench/ledger_history_check.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/map_ledger.h"
#include "bench/population.h"

namespace ffgrant::bench {
namespace {

constexpr std::size_t kSteps = 40'000;
// A window of this many executions is in use; it moves on by one every few
// steps, since an execution whose lease ran out can't be completed any more.
constexpr std::size_t kWindow = 200;
constexpr std::size_t kStepsPerMove = 20;
constexpr std::size_t kExecutions = kWindow + kSteps / kStepsPerMove;
constexpr std::array<WorkerIdentity, 3> kWorkers = {
    {{{"w1"}, {"w1-a"}}, {{"w1"}, {"w1-b"}}, {{"w2"}, {"w2-a"}}}};

// A grant that has run out is gone or still there: contract 7.7 item 8 leaves
// it to the ledger which of the two a claim reports.
ClaimError Comparable(ClaimError error) {
  return error == ClaimError::kClaimGrantExpired ? ClaimError::kInvalidClaimGrant : error;
}

struct Answer {
  ClaimError error = ClaimError::kNone;
  CreateOutcome::Status status = CreateOutcome::Status::kWaiting;
  TimestampMs grant_expires_at;
  Lease lease;
  friend bool operator==(const Answer&, const Answer&) = default;
};

// One call, chosen at random, the same for every ledger.
struct Step {
  enum class Kind { kCreate, kIssue, kClaim, kComplete, kForget };
  Kind kind = Kind::kCreate;
  ExecutionIdView id;
  WorkerIdentity worker;
  const CapabilitySet* capabilities = nullptr;
  LaneIdView lane = LaneIdView::Unchecked(kLane);
  std::int64_t ttl_ms = 0;
  LeaseId lease_id;
  LeaseFence fence;
};

template <class Ledger>
Answer Play(Ledger& ledger, const Step& step) {
  Answer answer;
  switch (step.kind) {
    case Step::Kind::kCreate: {
      CreateExecutionArgs args;
      args.execution_id = step.id;
      args.lane = LaneIdView::Unchecked(kLane);
      args.required = step.capabilities;
      const CreateOutcome outcome = ledger.CreateExecution(args);
      answer.error = outcome.error;
      answer.status = outcome.status;
      break;
    }
    case Step::Kind::kIssue: {
      IssueGrantArgs args;
      args.execution_id = step.id;
      args.worker = step.worker;
      args.lane = step.lane;
      args.grant_ttl_ms = step.ttl_ms;
      args.offered = step.capabilities;
      const IssueOutcome outcome = ledger.IssueClaimGrant(args);
      answer.error = outcome.error;
      if (outcome) answer.grant_expires_at = outcome.expires_at;
      break;
    }
    case Step::Kind::kClaim: {
      ClaimArgs args;
      args.execution_id = step.id;
      args.worker = step.worker;
      args.lane = step.lane;
      args.lease_id = step.lease_id;
      args.lease_ttl_ms = step.ttl_ms;
      args.attempt_id = AttemptIdOf(step.id);
      const ClaimOutcome outcome = ledger.Claim(args);
      answer.error = Comparable(outcome.error);
      if (outcome) answer.lease = outcome.lease;
      break;
    }
    case Step::Kind::kComplete:
      answer.error = ledger.Complete(step.id, step.fence).error;
      break;
    case Step::Kind::kForget:
      answer.error = ledger.Forget(step.id).error;
      break;
  }
  return answer;
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

void CheckLedgersAgree() {
  ManualClock clock(TimestampMs{1'700'000'000'000});
  CoreLedger core(kExecutions, clock);
  MapLedger<StringKey> by_text(kExecutions, clock);
  MapLedger<UuidKey> by_uuid(kExecutions, clock);
  const auto history = std::make_unique<History>();
  for (std::size_t i = 0; i < kSteps; ++i) {
    const Step step = history->Next();
    const Answer answer = Play(by_text, step);
    SelfCheck(Play(by_uuid, step) == answer, "the two map ledgers differ", step.id.text());
    const Answer got = Play(core, step);
    if (got != answer) {
      SelfCheckFailed("the ledger differs from the map: " + std::string(ErrorName(got.error)) +
                          " against " + std::string(ErrorName(answer.error)) + " at step " +
                          std::to_string(i),
                      step.id.text());
    }
    history->Note(step, answer);
    clock.Advance(history->TimeToPass());
  }
  SelfCheck(history->SawEverything(), "the random history misses an outcome", "");
}

}  // namespace ffgrant::bench
