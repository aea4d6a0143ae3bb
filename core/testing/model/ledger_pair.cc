// SPDX-License-Identifier: Apache-2.0

#include "testing/model/ledger_pair.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "testing/calls/describe.h"
#include "testing/naive/naive_execution_id.h"

namespace ffgrant::testing {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;
constexpr std::uint16_t kPartitions = 3;
// Having looked for room in vain, the ledger doesn't look again for so long,
// unless something was let go of.
constexpr std::int64_t kPauseMs = 100;

MemoryLedgerOptions Options(const Clock& clock, const LedgerPair::Room& room) {
  MemoryLedgerOptions options;
  options.max_executions = 16;
  options.max_lanes = 4;
  options.max_names = room.max_names;
  options.max_name_bytes = room.max_name_bytes;
  options.partitions.num_flow_partitions = kPartitions;
  options.clock = &clock;
  return options;
}

CapabilitySet Offered(std::string_view csv) {
  CapabilitySet set;
  static_cast<void>(set.AssignOfferedCsv(csv));
  return set;
}

// Whether what a view says of itself is what its text, a canonical id, says.
bool SameId(const ExecutionIdView& view, std::string_view id) {
  const NaiveExecutionId expected = NaiveParseExecutionId(id, ParseMode::kStrict);
  return expected.error == ExecutionIdError::kNone && view.text() == id &&
         view.partition() == Partition{PartitionFamily::kExecution, expected.index} &&
         view.uuid() == expected.uuid && view.is_canonical();
}

// The first word: what coverage is counted by.
std::string FirstWord(const std::string& text) { return text.substr(0, text.find(' ')); }

}  // namespace

LedgerPair::LedgerPair(Choose choose, Room room)
    : choose_(std::move(choose)),
      room_(room),
      clock_(TimestampMs{kStart}),
      memory_(Options(clock_, room)),
      model_(clock_, Options(clock_, room).partitions) {
  // Two of them in one partition and lane; the uuids' order is not that of
  // their making.
  executions_ = {{"{fp:1}:22222222-2222-4222-8222-222222222222", "main"},
                 {"{fp:1}:11111111-1111-4111-8111-111111111111", "main"},
                 {"{fp:0}:33333333-3333-4333-8333-333333333333", "main"},
                 {"{fp:1}:44444444-4444-4444-8444-444444444444", "other lane"}};
  offered_ = {Offered(""), Offered("gpu"), Offered("arm,big,gpu")};
  required_ = {Offered(""), Offered("gpu"), Offered("arm,gpu")};
}

void LedgerPair::Problem(const std::string& text) {
  if (problem_.empty()) {
    problem_ = text;
  }
}

template <class T>
void LedgerPair::Same(std::string_view operation, const T& memory, const T& model) {
  std::string memory_text = Describe(memory);
  std::string model_text = Describe(model);
  See(operation, FirstWord(model_text));
  for (std::size_t i = 0; i < memory_details_.size(); ++i) {
    memory_text += " [" + std::string(memory_details_[i]) + "]";
  }
  for (std::size_t i = 0; i < model_details_.size(); ++i) {
    model_text += " [" + std::string(model_details_[i]) + "]";
  }
  memory_details_.clear();
  model_details_.clear();
  if (memory_text != model_text) {
    Problem(state_before_ + ", " + std::string(operation) + ": ledger says " + memory_text +
            ", model says " + model_text);
  }
}

void LedgerPair::See(std::string_view operation, std::string_view outcome) {
  seen_.insert(state_before_ + " " + std::string(operation) + " " + std::string(outcome));
}

void LedgerPair::CompareState(const ExecutionIdView& id) {
  const auto compare = [&](const char* what, const auto& memory, const auto& model) {
    if (memory != model) {
      Problem(what + (" of " + std::string(id.text())) + " (was " + state_before_ +
              ")\n  ledger: " + Describe(memory) + "\n  model:  " + Describe(model));
    }
  };
  compare("state", memory_.Inspect(id), model_.Inspect(id));
  compare("names", memory_.InspectNames(id), model_.InspectNames(id));
}

void LedgerPair::CompareEverything() {
  for (const Execution& execution : executions_) {
    CompareState(execution.View());
  }
  if (memory_.size() != model_.size()) {
    Problem("sizes differ");
  }
}

// ---- room for names ----------------------------------------------------------

template <class Needed, class Call>
bool LedgerPair::IsFull(std::string_view operation, ClaimError error, Needed needed, Call call) {
  if (error != ClaimError::kLedgerFull) {
    return false;
  }
  const Names in_use = NamesInUse();
  Names all = in_use;
  all.merge(needed());
  const bool in_vain =
      full_at_.has_value() && clock_.Now().value - *full_at_ < kPauseMs && !released_;
  if (all == in_use || (Fits(all) && !in_vain)) {
    Problem(std::string(operation) + ": full, with " + std::to_string(in_use.size()) + " of " +
            std::to_string(room_.max_names) + " names in use");
  }
  ModelLedger with_room = model_;
  if (const ClaimError otherwise = call(with_room); otherwise != ClaimError::kNone) {
    Problem(std::string(operation) + ": full, where it must be refused with " +
            std::string(ErrorName(otherwise)));
  }
  for (std::size_t i = 0; i < memory_details_.size(); ++i) {
    if (memory_details_[i] != "names") {
      Problem(std::string(operation) + ": full of " + std::string(memory_details_[i]));
    }
  }
  memory_details_.clear();
  full_at_ = clock_.Now().value;
  released_ = false;
  See(operation, ErrorName(error));
  return true;
}

// ---- calls -------------------------------------------------------------------

bool LedgerPair::Step() {
  const Target target = ChooseTarget();
  state_before_ = StateName(model_.Inspect(target.id), clock_.Now());
  if (IsAmple()) {
    TakeStep(target);
  } else {
    TakeStepInLittleRoom(target);
  }
  CompareState(target.id);
  if (OneIn(16)) {
    CompareEverything();
  }
  if (!observer_.problem().empty()) {
    Problem("invariant: " + observer_.problem());
  }
  return problem_.empty();
}

void LedgerPair::TakeStep(const Target& target) {
  switch (choose_(34)) {
    case 0:
    case 1:
    case 2:
      Create(target);
      break;
    case 3:
    case 4:
    case 5:
    case 6:
      Issue(target, false);
      break;
    case 7:
    case 8:
      ClaimForWorker();
      break;
    case 9:
    case 10:
    case 11:
    case 12:
      Claim(target);
      break;
    case 13:
    case 14:
      ClaimResumed(target);
      break;
    case 15:
    case 16:
      Renew(target);
      break;
    case 17:
      MarkExpired(target);
      break;
    case 18:
      Revoke(target);
      break;
    case 19:
    case 20:
    case 21:
      Issue(target, true);
      break;
    case 22:
    case 23:
      Reclaim(target);
      break;
    case 24:
    case 25:
      Suspend(target);
      break;
    case 26:
    case 27:
      Resume(target);
      break;
    case 28:
    case 29:
      Complete(target);
      break;
    case 30:
      Forget(target);
      break;
    case 31:
      Maintain();
      break;
    case 32:
      Churn(target);
      break;
    default:
      MoveClock();
      break;
  }
}

void LedgerPair::MoveClock() {
  if (OneIn(2)) {
    clock_.Advance(choose_(3));
    return;
  }
  // To the edge of something: just before it, at it, just after it.
  const std::optional<ExecutionState> state = model_.Inspect(ChooseTarget().id);
  if (!state.has_value()) {
    return;
  }
  std::optional<TimestampMs> edge = state->lease_expires_at;
  if (state->has_grant) {
    edge = state->grant_expires_at;
  } else if (state->in_delayed) {
    edge = state->delay_until;
  }
  const std::int64_t now = clock_.Now().value;
  const std::int64_t to =
      edge.value_or(TimestampMs{now}).value - 1 + static_cast<std::int64_t>(choose_(3));
  if (to >= now && to < now + 100) {
    clock_.Set({to});
  }
}

void LedgerPair::Create(const Target& target) {
  CreateExecutionArgs args;
  args.execution_id = target.id;
  args.lane = target.lane;
  static const std::string kOutside = "{fp:3}:22222222-2222-4222-8222-222222222222";
  static const std::string kLongLane(65, 'x');
  const char* operation = "create";
  if (!target.id.is_canonical() || OneIn(16)) {
    operation = "create_badly";
    state_before_ = "any";
    switch (choose_(target.id.is_canonical() ? 4 : 1)) {
      case 0:
        args.execution_id =
            ParseExecutionId("{fp:+1}:22222222-2222-4222-8222-222222222222", ParseMode::kLenient)
                .id;
        break;
      case 1:
        args.execution_id = ParseExecutionId(kOutside, ParseMode::kStrict).id;
        break;
      case 2:
        args.lane = LaneIdView::Unchecked(OneIn(2) ? std::string_view() : kLongLane);
        break;
      default:
        args.lane = LaneIdView::Unchecked("a\x7F");
        break;
    }
  }
  static constexpr std::int64_t kPriorities[] = {0, 1, 2, 9000, 9001, -5};
  args.priority = kPriorities[choose_(std::size(kPriorities))];
  const std::uint32_t requirement = choose_(6);
  args.required = requirement < 3 ? nullptr : &required_[requirement - 3];
  if (OneIn(4)) {
    args.delay_until = TimestampMs{clock_.Now().value - 1 + choose_(6)};
  }
  if (OneIn(2)) {
    args.max_reclaim_count = choose_(3);
  }
  const CreateOutcome memory = memory_.CreateExecution(args, &memory_details_);
  const auto needed = [&] {
    Names names = {{std::string(args.required == nullptr ? "" : args.required->csv()), ""}};
    names.erase({"", ""});
    return names;
  };
  if (IsFull(operation, memory.error, needed,
             [&](ModelLedger& model) { return model.CreateExecution(args).error; })) {
    return;
  }
  const CreateOutcome model = model_.CreateExecution(args, &model_details_);
  Same(operation, memory, model);
}

void LedgerPair::Issue(const Target& target, bool reclaim) {
  IssueGrantArgs args;
  args.execution_id = target.id;
  args.worker = ChooseWorker(target.id.text());
  args.lane = ChooseLane(target.lane);
  args.grant_ttl_ms = ChooseTtl();
  args.offered = ChooseOffered();
  // New texts most of the time, so that the ledger has to throw away old ones.
  const std::string number = std::to_string(++next_text_);
  const std::string hash = OneIn(2) ? "" : "hash " + number;
  const std::string route = OneIn(2) ? "" : "{\"route\":" + number + "}";
  const std::string admission = OneIn(2) ? "" : "admitted";
  args.capability_hash = hash;
  args.route_snapshot_json = route;
  args.admission_summary = admission;
  const char* const operation = reclaim ? "issue_reclaim" : "issue";
  const bool batch = !reclaim && OneIn(4);
  IssueOutcome memory;
  if (reclaim) {
    memory = memory_.IssueReclaimGrant(args, &memory_details_);
  } else if (batch) {
    memory_.IssueClaimGrants({&args, 1}, {&memory, 1});
  } else {
    memory = memory_.IssueClaimGrant(args, &memory_details_);
  }
  if (IsFull(
          operation, memory.error, [&] { return NamesOf(args, target.lane); },
          [&](ModelLedger& model) {
            return (reclaim ? model.IssueReclaimGrant(args) : model.IssueClaimGrant(args)).error;
          })) {
    return;
  }
  IssueOutcome model;
  if (reclaim) {
    model = model_.IssueReclaimGrant(args, &model_details_);
  } else if (batch) {
    model_.IssueClaimGrants({&args, 1}, {&model, 1});
  } else {
    model = model_.IssueClaimGrant(args, &model_details_);
  }
  if (memory) {
    observer_.GrantIssued(target.id.text(), args.worker.worker_id.text, args.grant_ttl_ms,
                          clock_.Now().value, memory.expires_at);
  }
  Same(operation, memory, model);
}

// Grants that run out at once, with new texts each time, so that the ledger has
// to throw away old ones while others hold on to theirs.
void LedgerPair::Churn(const Target& target) {
  for (int i = 0; i < 8; ++i) {
    state_before_ = StateName(model_.Inspect(target.id), clock_.Now());
    IssueGrantArgs args;
    args.execution_id = target.id;
    args.worker = ChooseWorker(target.id.text());
    args.lane = target.lane;
    args.grant_ttl_ms = 1;
    args.offered = &offered_[2];
    const std::string number = std::to_string(++next_text_);
    const std::string texts[] = {"hash " + number, "{\"route\":" + number + "}",
                                 "admitted " + number};
    args.capability_hash = texts[0];
    args.route_snapshot_json = texts[1];
    args.admission_summary = texts[2];
    const IssueOutcome memory = memory_.IssueClaimGrant(args, &memory_details_);
    if (IsFull(
            "issue", memory.error, [&] { return NamesOf(args, target.lane); },
            [&](ModelLedger& model) { return model.IssueClaimGrant(args).error; })) {
      continue;
    }
    const IssueOutcome model = model_.IssueClaimGrant(args, &model_details_);
    if (memory) {
      observer_.GrantIssued(target.id.text(), args.worker.worker_id.text, args.grant_ttl_ms,
                            clock_.Now().value, memory.expires_at);
    }
    Same("issue", memory, model);
    clock_.Advance(2);
  }
  CompareEverything();
}

void LedgerPair::ClaimForWorker() {
  state_before_ = "any";
  ClaimForWorkerArgs args;
  args.worker = ChooseWorker("");
  args.lane = ChooseLane(LaneIdView::Unchecked("main"));
  args.grant_ttl_ms = ChooseTtl();
  args.offered = ChooseOffered();
  Schedule(args);
  CompareEverything();
}

void LedgerPair::Schedule(const ClaimForWorkerArgs& args) {
  const std::vector<std::string> allowed = model_.AllowedChoices(args);
  const ClaimForWorkerOutcome memory = memory_.ClaimForWorker(args);
  const auto needed = [&] {
    IssueGrantArgs issue;
    issue.worker = args.worker;
    issue.grant_ttl_ms = args.grant_ttl_ms;
    return NamesOf(issue, issue.lane);
  };
  if (IsFull("claim_for_worker", memory.error, needed,
             [&](ModelLedger& model) { return model.ClaimForWorker(args).error; })) {
    return;
  }
  See("claim_for_worker", ErrorName(memory.error));
  if (args.grant_ttl_ms > kMaxTtlMs || args.grant_ttl_ms < -kMaxTtlMs) {
    if (memory.error != ClaimError::kInvalidInput) {
      Problem("claim_for_worker: ttl out of range taken");
    }
  } else if (!memory) {
    if (memory.error != ClaimError::kNoEligibleExecution || !allowed.empty()) {
      Problem("claim_for_worker: ledger says " + std::string(ErrorName(memory.error)) + ", of " +
              std::to_string(allowed.size()) + " choices");
    }
  } else {
    const ClaimGrantView grant = memory.grant.view();
    const std::string id(grant.execution_id.text());
    if (std::count(allowed.begin(), allowed.end(), id) == 0) {
      Problem("claim_for_worker: chose " + id + ", which is not allowed");
      return;
    }
    IssueGrantArgs issue;
    issue.execution_id = grant.execution_id;
    issue.worker = args.worker;
    issue.lane = args.lane;
    issue.grant_ttl_ms = args.grant_ttl_ms;
    issue.offered = args.offered;
    const IssueOutcome model = model_.IssueClaimGrant(issue);
    const std::string partition_key = id.substr(0, id.find('}') + 1);
    // The wire has no time before 1970.
    const std::int64_t expires_at = std::max<std::int64_t>(model.expires_at.value, 0);
    if (!model || grant.expires_at_ms != static_cast<std::uint64_t>(expires_at) ||
        grant.partition_key != partition_key ||
        grant.grant_key != "ff:exec:" + partition_key + ":" + id + ":claim_grant" ||
        !SameId(grant.execution_id, id)) {
      Problem("claim_for_worker: the grant of " + id + " is wrong");
    }
    observer_.GrantIssued(id, args.worker.worker_id.text, args.grant_ttl_ms, clock_.Now().value,
                          model.expires_at);
  }
}

bool LedgerPair::Settle() {
  CompareEverything();
  clock_.Advance(1000);
  state_before_ = "any";
  Maintain();
  for (const char* lane : {"main", "other lane"}) {
    ClaimForWorkerArgs args;
    args.worker = {{"settler"}, {lane}};
    args.lane = LaneIdView::Unchecked(lane);
    args.grant_ttl_ms = 1;
    args.offered = &offered_.back();
    for (std::size_t i = 0; i <= executions_.size(); ++i) Schedule(args);
  }
  CompareEverything();
  if (!observer_.problem().empty()) {
    Problem("invariant: " + observer_.problem());
  }
  return problem_.empty();
}

void LedgerPair::NoteLease(const Target& target, WorkerIdentity worker, std::int64_t ttl_ms,
                           const ClaimOutcome& outcome) {
  if (outcome) {
    observer_.LeaseCreated(target.id.text(), worker.worker_id.text, ttl_ms, clock_.Now().value,
                           outcome.lease);
  } else if (outcome.error == ClaimError::kMaxRetriesExhausted) {
    observer_.Failed(target.id.text(), clock_.Now().value);
  }
}

void LedgerPair::Claim(const Target& target) {
  const ClaimArgs args = {target.id,
                          ChooseWorker(target.id.text()),
                          ChooseLane(target.lane),
                          {NextUuid()},
                          ChooseTtl(),
                          {NextUuid()}};
  const bool batch = OneIn(4);
  ClaimOutcome memory;
  if (batch) {
    memory_.Claims({&args, 1}, {&memory, 1});
  } else {
    memory = memory_.Claim(args, &memory_details_);
  }
  if (IsFull(
          "claim", memory.error,
          [&] { return NamesOf(args.worker, target.id, args.lane, target.lane); },
          [&](ModelLedger& model) { return model.Claim(args).error; })) {
    return;
  }
  ClaimOutcome model;
  if (batch) {
    model_.Claims({&args, 1}, {&model, 1});
  } else {
    model = model_.Claim(args, &model_details_);
  }
  NoteLease(target, args.worker, args.lease_ttl_ms, memory);
  Same("claim", memory, model);
}

void LedgerPair::ClaimResumed(const Target& target) {
  const ClaimResumedArgs args = {target.id,
                                 ChooseWorker(target.id.text()),
                                 ChooseLane(target.lane),
                                 {NextUuid()},
                                 ChooseTtl()};
  const ClaimOutcome memory = memory_.ClaimResumed(args, &memory_details_);
  if (IsFull(
          "claim_resumed", memory.error,
          [&] { return NamesOf(args.worker, target.id, args.lane, target.lane); },
          [&](ModelLedger& model) { return model.ClaimResumed(args).error; })) {
    return;
  }
  const ClaimOutcome model = model_.ClaimResumed(args, &model_details_);
  NoteLease(target, args.worker, args.lease_ttl_ms, memory);
  Same("claim_resumed", memory, model);
}

void LedgerPair::Reclaim(const Target& target) {
  ReclaimArgs args = {target.id,
                      ChooseWorker(target.id.text()),
                      ChooseLane(target.lane),
                      {NextUuid()},
                      ChooseTtl(),
                      {NextUuid()},
                      {}};
  if (OneIn(3)) {
    args.max_reclaim_count = choose_(4);
  }
  const ClaimOutcome memory = memory_.Reclaim(args, &memory_details_);
  if (IsFull(
          "reclaim", memory.error,
          [&] { return NamesOf(args.worker, target.id, args.lane, target.lane); },
          [&](ModelLedger& model) { return model.Reclaim(args).error; })) {
    return;
  }
  const ClaimOutcome model = model_.Reclaim(args, &model_details_);
  NoteLease(target, args.worker, args.lease_ttl_ms, memory);
  Same("reclaim", memory, model);
}

void LedgerPair::Renew(const Target& target) {
  RenewArgs args = {target.id, {0}, ChooseFence(target.id.text()), ChooseTtl()};
  const auto& known = observer_.Of(target.id.text());
  args.attempt_index = known.last_attempt_index.value_or(AttemptIndex{0});
  if (OneIn(8)) {
    args.attempt_index.value += 1;
  }
  const RenewOutcome memory = memory_.Renew(args, &memory_details_);
  const RenewOutcome model = model_.Renew(args, &model_details_);
  if (memory.error != ClaimError::kInvalidInput) {
    observer_.Fenced(LeaseObserver::FencedCall::kRenew, target.id.text(), args.fence, false,
                     clock_.Now().value, memory.error, memory.expires_at);
  }
  Same("renew", memory, model);
}

void LedgerPair::MarkExpired(const Target& target) {
  const MarkExpiredOutcome memory = memory_.MarkLeaseExpiredIfDue(target.id);
  const MarkExpiredOutcome model = model_.MarkLeaseExpiredIfDue(target.id);
  if (memory && memory.already == AlreadySatisfied::kNo) {
    observer_.MarkedExpired(target.id.text(), clock_.Now().value);
  }
  Same("mark_expired", memory, model);
}

void LedgerPair::Revoke(const Target& target) {
  RevokeArgs args = {target.id, {}};
  if (OneIn(2)) {
    args.expected_lease_id = ChooseFence(target.id.text()).lease_id;
  }
  const RevokeOutcome memory = memory_.Revoke(args, &memory_details_);
  const RevokeOutcome model = model_.Revoke(args, &model_details_);
  observer_.Revoked(target.id.text(), memory);
  Same("revoke", memory, model);
}

void LedgerPair::Suspend(const Target& target) {
  const SuspendArgs args = {target.id, ChooseFence(target.id.text())};
  const Outcome memory = memory_.Suspend(args, &memory_details_);
  const Outcome model = model_.Suspend(args, &model_details_);
  observer_.Fenced(LeaseObserver::FencedCall::kSuspend, target.id.text(), args.fence, false,
                   clock_.Now().value, memory.error, {});
  Same("suspend", memory, model);
}

void LedgerPair::Resume(const Target& target) {
  const ResumeArgs args = {target.id, OneIn(2) ? ChooseTtl() : 0};
  const ResumeOutcome memory = memory_.Resume(args, &memory_details_);
  const ResumeOutcome model = model_.Resume(args, &model_details_);
  Same("resume", memory, model);
}

void LedgerPair::Complete(const Target& target) {
  const CompleteArgs args = {target.id, ChooseFence(target.id.text()), OneIn(2)};
  const Outcome memory = memory_.Complete(args, &memory_details_);
  const Outcome model = model_.Complete(args, &model_details_);
  observer_.Fenced(LeaseObserver::FencedCall::kComplete, target.id.text(), args.fence,
                   args.operator_override, clock_.Now().value, memory.error, {});
  Same(args.operator_override ? "complete_override" : "complete", memory, model);
}

void LedgerPair::Maintain() {
  const auto memory = memory_.RunMaintenance(1 << 20);
  const auto model = model_.RunMaintenance();
  if (memory.leases_expired != model.leases_expired || memory.promoted != model.promoted) {
    Problem("maintenance: ledger expired " + std::to_string(memory.leases_expired) +
            " and promoted " + std::to_string(memory.promoted) + ", model " +
            std::to_string(model.leases_expired) + " and " + std::to_string(model.promoted));
  }
  state_before_ = "any";
  See("maintain", model.leases_expired != 0 ? "expired" : "nothing");
  See("maintain", model.promoted != 0 ? "promoted" : "nothing");
  CompareEverything();
}

void LedgerPair::Forget(const Target& target) {
  const Outcome memory = memory_.Forget(target.id);
  const Outcome model = model_.Forget(target.id);
  if (memory) {
    observer_.Forgotten(target.id.text());
  }
  Same("forget", memory, model);
}

}  // namespace ffgrant::testing
