// SPDX-License-Identifier: Apache-2.0

#include "testing/model/ledger_race.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ffgrant::testing {
namespace {

// The least number that a call of a thread can have. The set-up's calls have smaller numbers.
constexpr std::uint8_t kFirstNumber = 64;
// There is room for four names. Once all grants have run out, at most three names are still in use,
// one for each execution's lease, so one more name fits.
constexpr std::size_t kFewNames = 4;
constexpr int kNobody = -1;  // for calls before and after the threads' run

MemoryLedgerOptions Options(const Race& race, const Clock& clock) {
  MemoryLedgerOptions options;
  options.max_executions = race.max_executions;
  options.max_lanes = 2;
  options.max_names = race.few_names ? kFewNames : 64;
  options.max_name_bytes = 1024;
  options.max_text_bytes = 4096;
  options.max_capability_sets = 8;
  options.partitions.num_flow_partitions = kPartitions;
  options.clock = &clock;
  return options;
}

// Returns the calls that bring an execution into its state at the start.
std::vector<PlannedCall> CallsTo(StartState state, std::uint8_t e, bool urgent) {
  using Kind = CallKind;
  using S = StartState;
  std::vector<PlannedCall> calls;
  const auto add = [&](Kind kind, std::int64_t ms) {
    PlannedCall call;
    call.kind = kind;
    call.execution = call.worker = e;
    call.ms = ms;
    if (kind == Kind::kCreate && e == 1) call.cap = 1;
    calls.push_back(call);
  };
  if (state == S::kAbsent) return calls;
  add(Kind::kCreate, 2);
  calls.back().worker = urgent ? 1 : 0;  // in a creation this field is the priority
  if (state == S::kDelayed) calls.back().flag = true;
  if (state == S::kDelayed || state == S::kEligible) return calls;
  add(Kind::kIssue, 3);
  if (state == S::kGranted) return calls;
  const bool is_over = state == S::kDue || state == S::kExpired || state == S::kExpiredGranted;
  add(Kind::kClaim, is_over ? 0 : 3);
  switch (state) {
    case S::kExpired:
    case S::kExpiredGranted:
      add(Kind::kMarkExpired, 0);
      if (state == S::kExpiredGranted) add(Kind::kIssueReclaim, 3);
      break;
    case S::kRevoked:
      add(Kind::kRevoke, 0);
      break;
    case S::kSuspended:
    case S::kResumed:
    case S::kResumedGranted:
      add(Kind::kSuspend, 0);
      if (state == S::kSuspended) break;
      add(Kind::kResume, 0);
      if (state == S::kResumedGranted) add(Kind::kIssue, 3);
      break;
    case S::kCompleted:
      add(Kind::kComplete, 0);
      break;
    case S::kFailed:
      add(Kind::kFail, 0);
      break;
    default:
      break;
  }
  return calls;
}

// The threads also share what they know of each execution's last lease.
internal::Shared LeaseOf(std::uint8_t execution) {
  return static_cast<internal::Shared>(8 + execution);
}

// Hashes an answer field by field, since making a text of the answer would take too long.
class Hash {
 public:
  template <class... T>
  Hash& Mix(const T&... values) {
    (Add(values), ...);
    return *this;
  }
  std::uint64_t value() const { return hash_; }

 private:
  void Add(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15;
    hash_ ^= hash_ >> 29;
  }
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  void Add(T value) { Add(static_cast<std::uint64_t>(value)); }
  void Add(std::string_view text) { Add(std::hash<std::string_view>()(text)); }
  void Add(const std::string& text) { Add(std::string_view(text)); }
  void Add(const Uuid& uuid) {
    std::uint64_t halves[2];
    std::memcpy(halves, uuid.bytes.data(), sizeof halves);
    Mix(halves[0], halves[1]);
  }
  template <class Tag>
  void Add(const UuidId<Tag>& id) {
    Add(id.uuid);
  }
  template <class Tag, class Rep>
  void Add(const Counter<Tag, Rep>& counter) {
    Add(counter.value);
  }
  void Add(TimestampMs time) { Add(time.value); }
  template <class T>
  void Add(const std::optional<T>& value) {
    value ? Add(*value) : Add(kAbsent);
  }
  void Add(const OptionalFence& f) { Mix(f.lease_id, f.lease_epoch, f.attempt_id); }
  void Add(const LeaseFence& f) { Mix(f.lease_id, f.lease_epoch, f.attempt_id); }
  void Add(const Lease& l) { Mix(l.fence, l.attempt_index, l.expires_at, l.kind); }
  void Add(const ChosenGrant& g) { Mix(g.execution_id.text(), g.expires_at_ms); }
  void Add(const Looked& l) { Mix(l.partitions, l.seen, l.unreachable); }
  void Add(const Maintained& m) { Mix(m.leases_expired, m.promoted); }
  void Add(const ExecutionState& s) {
    Mix(s.lifecycle_phase, s.ownership_state, s.eligibility_state, s.blocking_reason,
        s.terminal_outcome, s.attempt_state, s.public_state, s.priority, s.created_at,
        s.total_attempt_count, s.lease_reclaim_count, s.retry_count, s.current_lease_epoch,
        s.lease_current, s.current_lease_id, s.current_attempt_id, s.current_attempt_index,
        s.lease_acquired_at, s.lease_expires_at, s.lease_last_renewed_at, s.lease_renewal_deadline,
        s.has_grant, s.grant_created_at, s.grant_expires_at, s.delay_until,
        s.last_capability_mismatch_at, s.in_eligible, s.in_delayed, s.in_active, s.in_suspended,
        s.in_terminal, s.in_lease_expiry);
  }
  void Add(const ExecutionNames& n) {
    Mix(n.required_capabilities, n.grant_worker_id, n.grant_worker_instance_id, n.grant_lane_id,
        n.capability_hash, n.route_snapshot_json, n.admission_summary, n.current_worker_id,
        n.current_worker_instance_id, n.current_lane);
  }
  void Add(const Answer& a) {
    Mix(static_cast<std::uint64_t>(a.error) | static_cast<std::uint64_t>(a.already) << 8 |
            std::uint64_t{a.delayed} << 16 | std::uint64_t{a.size} << 32,
        a.created, a.expires_at, a.retry_at, a.chosen, a.looked, a.lease, a.revoked, a.state,
        a.names, a.maintained);
    for (const std::string& detail : a.details) Add(detail);
  }

  static constexpr std::uint64_t kAbsent = 0x5DEECE66D;
  std::uint64_t hash_ = 0;
};

OptionalFence FenceIn(const Call& call) {
  if (const auto* renew = call.As<calls::Renew>()) return renew->args.fence;
  if (const auto* suspend = call.As<calls::Suspend>()) return suspend->args.fence;
  if (const auto* complete = call.As<calls::Complete>()) return complete->args.fence;
  if (const auto* fail = call.As<calls::Fail>()) return fail->args.fence;
  OptionalFence fence;
  if (const auto* revoke = call.As<calls::Revoke>())
    fence.lease_id = revoke->args.expected_lease_id;
  return fence;
}

}  // namespace

LedgerRace::LedgerRace() : model_clock_(kRaceStart) {}

void LedgerRace::Prepare(const Race& race) {
  race_ = race;
  model_clock_.Set(kRaceStart);
  model_ = std::make_unique<ModelLedger>(model_clock_, Options(race, model_clock_).partitions);
  latest_ = {};
  fixed_.assign(256, std::nullopt);
  before_.clear();
  std::size_t executions = 0;
  for (std::uint8_t e = 0; e < kExecutions; ++e) {
    const std::vector<PlannedCall> calls =
        CallsTo(race.start[e], e, race.last_is_urgent && e == kExecutions - 1);
    if (!calls.empty() && executions++ == race.max_executions) break;
    auto number = static_cast<std::uint8_t>(e * 16 + 1);
    for (const PlannedCall& planned : calls) {
      HistoryEntry& entry = before_.emplace_back();
      entry.call = CallOf(planned, number++, latest_[e]);
      entry.answer = Make(*model_, entry.call);
      entry.execution = e;
      entry.fiber = kNobody;
      Learn(e, entry.answer);
    }
  }
}

void LedgerRace::Learn(std::uint8_t execution, const Answer& answer) {
  if (!answer.lease) return;
  internal::ScheduleWrite(LeaseOf(execution));
  latest_[execution] = answer.lease;
}

Call LedgerRace::Resolve(PlannedCall planned, std::uint8_t number, std::uint8_t given) {
  const bool is_given = planned.execution == PlannedCall::kGiven;
  if (is_given) planned.execution = given;
  if (planned.is_fenced()) {
    internal::ScheduleRead(LeaseOf(planned.execution));
    return CallOf(planned, number, latest_[planned.execution]);
  }
  if (is_given) return CallOf(planned, number);
  // This call is the same in every run.
  std::optional<Call>& fixed = fixed_[number];
  if (!fixed) fixed = CallOf(planned, number);
  return *fixed;
}

Answer LedgerRace::MakeHere(const Call& call) {
  const auto* advance = call.As<calls::Advance>();
  if (advance == nullptr) return Make(*ledger_, call);
  internal::SchedulePoint(internal::Shared::kClock);
  clock_->Advance(advance->args);
  return {};
}

void LedgerRace::Record(const Call& call, Answer answer, Scheduler::CallEvents events, int thread,
                        std::uint8_t number) {
  HistoryEntry& entry = history_.emplace_back();
  entry.call = call;
  entry.answer = std::move(answer);
  entry.execution = NumberOf(call.execution());
  entry.number = number;
  entry.called_at = events.called_at;
  entry.returned_at = events.returned_at;
  entry.acted_at = events.acted_at;
  entry.fiber = thread;
}

void LedgerRace::RunThread(std::size_t thread) {
  std::uint8_t given = 0;
  // Numbers follow from a call's place in the plan, so that they are the same in every order.
  auto number = static_cast<std::uint8_t>(kFirstNumber + thread * 32);
  Scheduler::CallEvents events;
  const auto judge = [&](const Call& call, const Answer& answer) {
    if (answer.chosen) given = NumberOf(answer.chosen->execution_id.view()) % kExecutions;
    const std::uint8_t execution = NumberOf(call.execution());
    if (execution < kExecutions) Learn(execution, answer);
    Record(call, answer, events, static_cast<int>(thread), number++);
    return std::string();
  };
  Driver driver(
      [&](const Call& call) {
        scheduler_.CallBegins();
        Answer answer = MakeHere(call);
        events = scheduler_.CallEnds();
        return answer;
      },
      {judge});
  for (PlannedCall planned : race_.threads[thread]) {
    const auto next = static_cast<std::uint8_t>(number + kExecutions);
    const Call call = Resolve(planned, number, given);
    if (call.in_batch) {
      std::vector<Call> calls = {call};
      planned.execution = NumberOf(call.execution());
      for (std::uint8_t i = 1; i < kExecutions; ++i) {
        planned.execution = static_cast<std::uint8_t>((planned.execution + 1) % kExecutions);
        calls.push_back(CallOf(planned, static_cast<std::uint8_t>(number + i)));
      }
      scheduler_.CallBegins();
      const std::vector<Answer> answers = MakeBatch(*ledger_, calls);
      events = scheduler_.CallEnds();
      for (std::size_t i = 0; i < calls.size(); ++i) judge(calls[i], answers[i]);
    } else {
      driver.Do(call);
    }
    number = next;
  }
}

void LedgerRace::LookAtTheEnd() {
  static const std::vector<Call> looks = [] {
    std::vector<Call> made;
    for (const CallKind kind : {CallKind::kInspect, CallKind::kInspectNames}) {
      for (std::uint8_t e = 0; e < kExecutions; ++e) {
        made.push_back(CallOf({.kind = kind, .execution = e}, 0));
      }
    }
    made.insert(made.end(), {calls::Size{}, calls::Advance{1000}, calls::Maintain{}});
    for (std::uint8_t i = 0; i <= kExecutions; ++i) {
      made.push_back(
          CallOf({.kind = CallKind::kClaimForWorker, .own_instance = true, .ms = 1000}, i));
    }
    return made;
  }();
  for (std::size_t i = 0; i < looks.size(); ++i) {
    const std::uint32_t now = scheduler_.NextEvent();
    Answer answer = MakeHere(looks[i]);
    const bool did = answer.ok();
    Record(looks[i], std::move(answer), {now, now, now}, kNobody, static_cast<std::uint8_t>(i));
    if (!did) break;  // the scheduler has found nothing more
  }
}

std::string LedgerRace::Run(Chooser& chooser) {
  ledger_.reset();
  clock_ = std::make_unique<ScheduledClock>(kRaceStart);
  Scheduler::ResetLockNumbers();
  ledger_ = std::make_unique<MemoryLedger>(Options(race_, *clock_));
  history_.clear();
  latest_ = {};
  for (const HistoryEntry& entry : before_) {
    const Answer answer = Make(*ledger_, entry.call);
    Learn(entry.execution, answer);
    if (answer != entry.answer) {
      return "before the race: " + Describe(entry.call) + " -> " + Describe(answer) +
             ", model says " + Describe(entry.answer);
    }
  }
  std::array<std::function<void()>, Race::kMaxThreads> bodies;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    bodies[i] = [this, i] { RunThread(i); };
  }
  scheduler_.SetPointsAfterUnlock(race_.points_after_unlock);
  switch (scheduler_.Run(bodies, chooser)) {
    case Scheduler::Result::kDone:
      break;
    case Scheduler::Result::kDeadlock:
      return "deadlock after\n" + Describe(history_);
    case Scheduler::Result::kTooManySteps:
      return "no end after\n" + Describe(history_);
  }
  return {};
}

std::string LedgerRace::Check() {
  Circumstances circumstances;
  circumstances.max_executions = race_.max_executions;
  circumstances.names_may_run_out = race_.few_names;
  std::string problem = CheckLinearizable(history_, *model_, model_clock_, circumstances);
  if (!problem.empty()) return problem;
  return CheckInvariants(history_, before_);
}

std::uint64_t LedgerRace::HistoryHash() const {
  Hash hash;
  for (const HistoryEntry& entry : history_) {
    // For each call the hash covers which call it is, its answer, and which calls had returned when
    // the call began.
    hash.Mix(entry.call.kind(), entry.execution, entry.number, FenceIn(entry.call), entry.answer);
    for (const HistoryEntry& other : history_) {
      hash.Mix(other.returned_at < entry.called_at ? other.number : std::uint8_t{0});
    }
  }
  return hash.value();
}

}  // namespace ffgrant::testing
