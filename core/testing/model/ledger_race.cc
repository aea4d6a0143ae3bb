// SPDX-License-Identifier: Apache-2.0

#include "testing/model/ledger_race.h"

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace ffgrant::testing {
namespace {

constexpr TimestampMs kStart = {1'700'000'000'000};
constexpr std::size_t kAllPlaces = 1024;
// Behind the set-up's.
constexpr std::uint8_t kFirstNumber = 64;
// What is in use once all grants have run out, and one more, fits: three leases'
// workers, their lane, a capability.
constexpr std::size_t kFewNames = 7;
constexpr int kNobody = -1;  // who looks when the threads are done

MemoryLedgerOptions Options(const Race& race, const Clock& clock) {
  MemoryLedgerOptions options;
  options.max_executions = race.max_executions;
  options.max_lanes = 2;
  options.max_names = race.few_names ? kFewNames : 64;
  options.max_name_bytes = 1024;
  options.partitions.num_flow_partitions = kPartitions;
  options.clock = &clock;
  return options;
}

// What brings an execution to where it stands at the start.
std::vector<RecordedCall> CallsTo(StartState state, std::uint8_t e, bool urgent) {
  using Kind = CallKind;
  using S = StartState;
  std::vector<RecordedCall> calls;
  const auto add = [&](Kind kind, std::int64_t ms) {
    RecordedCall call;
    call.kind = kind;
    call.execution = call.worker = e;
    call.number = static_cast<std::uint8_t>(e * 16 + calls.size() + 1);
    call.ms = ms;
    if (kind == Kind::kCreate && e == 1) call.cap = 1;
    calls.push_back(call);
  };
  if (state == S::kAbsent) return calls;
  add(Kind::kCreate, kStart.value + 2);
  calls.back().worker = urgent ? 1 : 0;  // its priority
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
    default:
      break;
  }
  return calls;
}

OptionalFence FenceOf(FenceKind kind, const std::optional<Lease>& latest) {
  LeaseFence fence = latest ? latest->fence : LeaseFence{};
  OptionalFence partial = fence;
  switch (kind) {
    case FenceKind::kLatest:
      return fence;
    case FenceKind::kAbsent:
      return {};
    case FenceKind::kPartial:
      partial.attempt_id.reset();
      return partial;
    case FenceKind::kWrongLease:
      fence.lease_id.uuid.bytes[7] = 1;
      return fence;
    case FenceKind::kWrongEpoch:
      fence.lease_epoch.value += 1;
      return fence;
  }
  std::abort();
}

bool IsFenced(CallKind kind) {
  return kind == CallKind::kRenew || kind == CallKind::kSuspend || kind == CallKind::kComplete ||
         kind == CallKind::kRevoke;
}

// What threads know of leases is shared, too.
internal::Shared LeaseOf(std::uint8_t execution) {
  return static_cast<internal::Shared>(8 + execution);
}

void Mix(std::uint64_t& hash, std::uint64_t value) {
  hash = (hash ^ value) * 0x9E3779B97F4A7C15;
  hash ^= hash >> 29;
}
void Mix(std::uint64_t& hash, std::string_view text) {
  Mix(hash, std::hash<std::string_view>()(text));
}
void Mix(std::uint64_t& hash, const Uuid& uuid) {
  std::uint64_t halves[2];
  std::memcpy(halves, uuid.bytes.data(), sizeof halves);
  Mix(hash, halves[0]);
  Mix(hash, halves[1]);
}
void Mix(std::uint64_t& hash, const std::optional<TimestampMs>& time) {
  Mix(hash, time ? static_cast<std::uint64_t>(time->value) : 1);
}
void Mix(std::uint64_t& hash, const ExecutionState& s) {
  for (const std::string_view word :
       {s.lifecycle_phase, s.ownership_state, s.eligibility_state, s.blocking_reason,
        s.terminal_outcome, s.attempt_state, s.public_state}) {
    Mix(hash, word);
  }
  for (const std::optional<TimestampMs>& time :
       {std::optional(s.created_at), s.lease_acquired_at, s.lease_expires_at,
        s.lease_last_renewed_at, s.lease_renewal_deadline, s.grant_created_at, s.grant_expires_at,
        s.delay_until, s.last_capability_mismatch_at}) {
    Mix(hash, time);
  }
  if (s.current_lease_id) Mix(hash, s.current_lease_id->uuid);
  if (s.current_attempt_id) Mix(hash, s.current_attempt_id->uuid);
  Mix(hash, std::uint64_t{s.total_attempt_count} << 32 | s.lease_reclaim_count);
  Mix(hash, s.current_lease_epoch.value << 32 | s.current_attempt_index.value);
  std::uint64_t flags = static_cast<std::uint64_t>(s.priority);
  for (const bool flag : {s.lease_current, s.has_grant, s.in_eligible, s.in_delayed, s.in_active,
                          s.in_suspended, s.in_terminal, s.in_lease_expiry}) {
    flags = flags << 1 | (flag ? 1 : 0);
  }
  Mix(hash, flags);
}
void Mix(std::uint64_t& hash, const ExecutionNames& names) {
  for (const std::string* text :
       {&names.required_capabilities, &names.grant_worker_id, &names.grant_worker_instance_id,
        &names.grant_lane_id, &names.capability_hash, &names.route_snapshot_json,
        &names.admission_summary, &names.current_worker_id, &names.current_worker_instance_id,
        &names.current_lane}) {
    Mix(hash, std::string_view(*text));
  }
}
void Mix(std::uint64_t& hash, const Answer& answer) {
  Mix(hash, static_cast<std::uint64_t>(answer.error) << 32 | std::uint64_t{answer.word} << 16 |
                std::uint64_t{answer.counts[0]} << 8 | answer.counts[1]);
  Mix(hash, static_cast<std::uint64_t>(answer.number));
  if (answer.lease) {
    Mix(hash, answer.lease->fence.lease_id.uuid);
    Mix(hash, answer.lease->fence.attempt_id.uuid);
    Mix(hash, answer.lease->fence.lease_epoch.value << 32 | answer.lease->attempt_index.value);
    Mix(hash, std::optional(answer.lease->expires_at));
    Mix(hash, static_cast<std::uint64_t>(answer.lease->kind));
  }
  if (answer.revoked) {
    Mix(hash, answer.revoked->lease_id.uuid);
    Mix(hash, answer.revoked->lease_epoch.value);
  }
  if (answer.state) Mix(hash, *answer.state);
  if (answer.names) Mix(hash, *answer.names);
  Mix(hash, std::string_view(answer.details));
}

}  // namespace

LedgerRace::LedgerRace() : model_clock_(kStart) {}

void LedgerRace::Prepare(const Race& race) {
  race_ = race;
  model_clock_.Set(kStart);
  model_ = std::make_unique<ModelLedger>(model_clock_, Options(race, model_clock_).partitions);
  latest_ = {};
  set_up_.clear();
  set_up_answers_.clear();
  before_.clear();
  std::size_t executions = 0;
  for (std::uint8_t e = 0; e < kExecutions; ++e) {
    std::vector<RecordedCall> calls =
        CallsTo(race.start[e], e, race.last_is_urgent && e == kExecutions - 1);
    if (!calls.empty() && executions++ == race.max_executions) break;
    for (RecordedCall& call : calls) {
      if (IsFenced(call.kind)) call.fence = FenceOf(FenceKind::kLatest, latest_[e]);
      const Answer answer = MakeCall(call, *model_);
      Learn(call, answer);
      set_up_.push_back(call);
      set_up_answers_.push_back(answer);
      HistoryEntry entry;
      entry.call = call;
      entry.answer = answer;
      entry.fiber = kNobody;
      before_.push_back(entry);
    }
  }
}

void LedgerRace::Learn(const RecordedCall& call, const Answer& answer) {
  if (!answer.lease) return;
  internal::ScheduleWrite(LeaseOf(call.execution));
  latest_[call.execution] = answer.lease;
}

RecordedCall LedgerRace::Resolve(const PlannedCall& planned, std::uint8_t given) {
  RecordedCall call;
  call.kind = planned.kind;
  call.execution = planned.execution == PlannedCall::kGiven ? given : planned.execution;
  call.worker = planned.worker;
  call.number = next_number_++;
  call.own_instance = planned.own_instance;
  call.with_text = planned.with_text;
  call.other_lane = planned.other_lane;
  call.flag = planned.flag;
  call.ms = planned.ms;
  call.cap = planned.cap;
  if (planned.kind == CallKind::kCreate) call.ms = kStart.value + planned.ms;
  if (IsFenced(planned.kind)) {
    internal::ScheduleRead(LeaseOf(call.execution));
    const std::optional<Lease>& latest = latest_[call.execution];
    call.fence = FenceOf(planned.fence, latest);
    if (latest) call.attempt_index = latest->attempt_index;
  }
  return call;
}

Answer LedgerRace::Make(const RecordedCall& call) {
  Answer answer;
  switch (call.kind) {
    case CallKind::kAdvance:
      internal::SchedulePoint(internal::Shared::kClock);
      clock_->Advance(call.ms);
      return answer;
    case CallKind::kMaintain: {
      const MemoryLedger::MaintenanceResult result = ledger_->RunMaintenance(kAllPlaces);
      answer.counts[0] = static_cast<std::uint8_t>(result.leases_expired);
      answer.counts[1] = static_cast<std::uint8_t>(result.promoted);
      return answer;
    }
    default:
      return MakeCall(call, *ledger_);
  }
}

void LedgerRace::Record(const RecordedCall& call, const Answer& answer,
                        Scheduler::CallEvents events, int thread) {
  HistoryEntry& entry = history_.emplace_back();
  entry.call = call;
  entry.answer = answer;
  entry.called_at = events.called_at;
  entry.returned_at = events.returned_at;
  entry.acted_at = events.acted_at;
  entry.fiber = thread;
}

void LedgerRace::RunThread(std::size_t thread) {
  std::uint8_t given = 0;
  // Numbers by place, so that they are the same in every order.
  auto number = static_cast<std::uint8_t>(kFirstNumber + thread * 32);
  for (const PlannedCall& planned : race_.threads[thread]) {
    next_number_ = number;
    number = static_cast<std::uint8_t>(number + kExecutions);
    std::vector<RecordedCall> calls = {Resolve(planned, given)};
    if (planned.batch && (planned.kind == CallKind::kIssue || planned.kind == CallKind::kClaim)) {
      calls[0].in_batch = true;
      for (std::uint8_t i = 1; i < kExecutions; ++i) {
        calls.push_back(calls[0]);
        calls[i].execution = static_cast<std::uint8_t>((calls[0].execution + i) % kExecutions);
        calls[i].number = static_cast<std::uint8_t>(calls[0].number + i);
      }
    }
    scheduler_.CallBegins();
    std::vector<Answer> answers;
    if (calls[0].in_batch) {
      answers = MakeCalls(calls, *ledger_);
    } else {
      answers.push_back(Make(calls[0]));
    }
    const Scheduler::CallEvents events = scheduler_.CallEnds();
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (calls[i].kind == CallKind::kClaimForWorker && answers[i].error == ClaimError::kNone &&
          answers[i].word < kExecutions) {
        given = answers[i].word;
      }
      Learn(calls[i], answers[i]);
      Record(calls[i], answers[i], events, static_cast<int>(thread));
    }
  }
}

void LedgerRace::LookAtTheEnd() {
  const auto make = [&](RecordedCall call) {
    const std::uint32_t now = scheduler_.NextEvent();
    const Answer answer = Make(call);
    Record(call, answer, {now, now, now}, kNobody);
    return answer;
  };
  RecordedCall call;
  for (const CallKind kind : {CallKind::kInspect, CallKind::kInspectNames}) {
    call.kind = kind;
    for (call.execution = 0; call.execution < kExecutions; ++call.execution) make(call);
  }
  call.execution = 0;
  call.kind = CallKind::kSize;
  make(call);
  call.kind = CallKind::kAdvance;
  call.ms = 1000;
  make(call);
  call.kind = CallKind::kMaintain;
  make(call);
  call.kind = CallKind::kClaimForWorker;
  call.own_instance = true;
  for (std::uint8_t i = 0; i <= kExecutions; ++i) {
    call.number = i;
    if (make(call).error != ClaimError::kNone) break;
  }
}

std::string LedgerRace::Run(Chooser& chooser) {
  ledger_.reset();
  clock_ = std::make_unique<ScheduledClock>(kStart);
  Scheduler::ResetLockNumbers();
  ledger_ = std::make_unique<MemoryLedger>(Options(race_, *clock_));
  history_.clear();
  latest_ = {};
  for (std::size_t i = 0; i < set_up_.size(); ++i) {
    const Answer answer = MakeCall(set_up_[i], *ledger_);
    Learn(set_up_[i], answer);
    if (answer != set_up_answers_[i]) {
      return "before the race: " + Describe(set_up_[i]) + " -> " + Describe(answer) +
             ", model says " + Describe(set_up_answers_[i]);
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
  History all = before_;
  all.insert(all.end(), history_.begin(), history_.end());
  return CheckInvariants(all);
}

std::uint64_t LedgerRace::HistoryHash() const {
  std::uint64_t hash = 0;
  for (const HistoryEntry& entry : history_) {
    // Which call, what it was told, and which calls were over when it began.
    Mix(hash, static_cast<std::uint64_t>(entry.call.kind) << 16 |
                  std::uint64_t{entry.call.execution} << 8 | entry.call.number);
    Mix(hash, entry.call.fence.lease_epoch ? entry.call.fence.lease_epoch->value : 0);
    if (entry.call.fence.lease_id) Mix(hash, entry.call.fence.lease_id->uuid);
    Mix(hash, entry.answer);
    for (const HistoryEntry& other : history_) {
      Mix(hash, other.returned_at < entry.called_at ? other.call.number : 0u);
    }
  }
  return hash;
}

}  // namespace ffgrant::testing
