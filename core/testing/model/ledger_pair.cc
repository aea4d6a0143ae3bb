// SPDX-License-Identifier: Apache-2.0

#include "testing/model/ledger_pair.h"

#include <algorithm>
#include <vector>

#include "testing/naive/naive_execution_id.h"

namespace ffgrant::testing {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;
constexpr std::uint16_t kPartitions = 3;

MemoryLedgerOptions Options(const Clock& clock, const LedgerPair::Room& room) {
  MemoryLedgerOptions options;
  options.max_executions = room.max_executions;
  options.max_lanes = room.max_lanes;
  options.max_names = room.max_names;
  options.max_name_bytes = 1024;
  options.max_text_bytes = room.max_text_pieces * 60;
  options.max_capability_sets = room.max_capability_sets;
  options.hash_seed = 1;
  options.partitions.num_flow_partitions = kPartitions;
  options.clock = &clock;
  return options;
}

Choices MakeChoices() {
  using K = CallKind;
  Choices choices;
  choices.kinds = {K::kCreate,       K::kCreate,         K::kCreate,
                   K::kIssue,        K::kIssue,          K::kIssue,
                   K::kIssue,        K::kClaimForWorker, K::kClaimForWorker,
                   K::kClaim,        K::kClaim,          K::kClaim,
                   K::kClaim,        K::kClaimResumed,   K::kClaimResumed,
                   K::kRenew,        K::kRenew,          K::kMarkExpired,
                   K::kRevoke,       K::kIssueReclaim,   K::kIssueReclaim,
                   K::kIssueReclaim, K::kReclaim,        K::kReclaim,
                   K::kSuspend,      K::kSuspend,        K::kResume,
                   K::kResume,       K::kComplete,       K::kComplete,
                   K::kForget,       K::kMaintain,       kChurn,
                   K::kAdvance,      K::kFail,           K::kIssueReclaim,
                   K::kReclaim,      K::kResume};
  // Two of the executions are in one partition and lane, and the order of their uuids is not their
  // order in this table.
  choices.executions = {{"{fp:1}:22222222-2222-4222-8222-222222222222", "main"},
                        {"{fp:1}:11111111-1111-4111-8111-111111111111", "main"},
                        {"{fp:0}:33333333-3333-4333-8333-333333333333", "main"},
                        {"{fp:1}:44444444-4444-4444-8444-444444444444", "other lane"}};
  choices.aliases = {"{fp:01}:22222222-2222-4222-8222-222222222222",
                     "{fp:1}:22222222222242228222222222222222"};
  choices.outside = "{fp:3}:22222222-2222-4222-8222-222222222222";
  choices.workers = {{"w1", "w1-i1"}, {"w1", "w1-i2"}, {"w2", "w2-i1"}};
  choices.has_nameless_workers = true;
  choices.lanes = {"main", "other lane", "unheard of"};
  const auto all = Choices::Set("arm,big,gpu");
  const auto empty = Choices::Set("");
  const auto gpu = Choices::Set("gpu");
  choices.required = {nullptr, nullptr, nullptr, empty, gpu, Choices::Set("arm,gpu")};
  choices.offered = {nullptr, empty, gpu, all, all, all};
  choices.priorities = {0, 1, 2, 9000, 9001, -5};
  constexpr auto kFixed = RetryPolicy::Backoff::kFixed;
  choices.retries = {RetryPolicy{.max_retries = 2, .backoff = kFixed, .delay_ms = 3},
                     RetryPolicy{.delay_ms = 1, .max_delay_ms = 2, .multiplier = 1.5},
                     RetryPolicy{.max_retries = 1, .backoff = kFixed, .delay_ms = 0},
                     std::nullopt,
                     std::nullopt,
                     std::nullopt};
  choices.delay_ms = -1;
  choices.delay_spread = 6;
  choices.odd_ttls = {0, -1, -7, kMaxTtlMs, -kMaxTtlMs, kMaxTtlMs + 1, -kMaxTtlMs - 1};
  choices.windows = {kAllPartitions, kAllPartitions, kAllPartitions, 1, 2,
                     kPartitions,    kPartitions + 1};
  choices.has_batches = true;
  return choices;
}

// The choices are made once, since making a set of capabilities takes longer than a call.
const Choices& PairChoices() {
  static const Choices choices = MakeChoices();
  return choices;
}

// Returns whether `view` has the canonical id `id` as text, and the partition and uuid of this id.
bool SameId(const ExecutionIdView& view, std::string_view id) {
  const NaiveExecutionId expected = NaiveParseExecutionId(id, ParseMode::kStrict);
  return expected.error == ExecutionIdError::kNone && view.text() == id &&
         view.partition() == Partition{PartitionFamily::kExecution, expected.index} &&
         view.uuid() == expected.uuid && view.is_canonical();
}

}  // namespace

LedgerPair::LedgerPair(Choose choose, Room room)
    : room_(room),
      clock_(TimestampMs{kStart}),
      memory_(Options(clock_, room)),
      model_(clock_, Options(clock_, room).partitions),
      generator_(std::move(choose), PairChoices(), clock_,
                 [this](const ExecutionIdView& id) { return model_.Inspect(id); }),
      driver_([this](const Call& call) { return Make(call); },
              {[this](const Call& call, const Answer& answer) { return Beside(call, answer); },
               [this](const Call& call, const Answer& answer) {
                 return observer_.Saw(call, answer, clock_.Now());
               }}) {}

Answer LedgerPair::Make(const Call& call) {
  const auto* advance = call.As<calls::Advance>();
  if (advance == nullptr) return testing::Make(memory_, call);
  clock_.Advance(advance->args);
  return {};
}

// ---- judges ------------------------------------------------------------------

std::string LedgerPair::Beside(const Call& call, const Answer& answer) {
  if (call.kind() == CallKind::kAdvance) return {};
  See(call, answer);
  if (answer.error == ClaimError::kLedgerFull) return WhyNotFull(call, answer);
  if (const auto* scan = call.As<calls::ClaimForWorker>()) return BesideChoice(scan->args, answer);
  const std::string missing = MissingFor(call);
  const Answer models = testing::Make(model_, call);
  if (answer.created && answer.ok() && answer.created != CreateOutcome::Status::kDuplicate) {
    if (!missing.empty()) return "was created although the ledger is full of " + missing;
    created_[std::string(call.execution().text())] = CreatedBy(call);
  }
  if (call.kind() == CallKind::kForget && answer.ok()) {
    created_.erase(std::string(call.execution().text()));
  }
  if (answer == models) return {};
  return "was " + state_before_ + "; the model says " + Describe(models);
}

// The model says which executions may be chosen, at most one in each partition, wherever the search
// begins.
std::string LedgerPair::BesideChoice(const ClaimForWorkerArgs& args, const Answer& answer) {
  const std::vector<std::string> allowed = model_.AllowedChoices(args);
  if (args.grant_ttl_ms > kMaxTtlMs || args.grant_ttl_ms < -kMaxTtlMs) {
    return answer.error == ClaimError::kInvalidInput ? "" : "a ttl out of range was taken";
  }
  const bool is_all = args.max_partitions == kAllPartitions || args.max_partitions >= kPartitions;
  const std::uint32_t window = is_all ? kPartitions : args.max_partitions;
  const Looked looked = answer.looked.value_or(Looked());
  if (looked.partitions != kPartitions || looked.unreachable != 0) return "looked elsewhere";
  if (!answer.ok()) {
    if (answer.error !=
        (is_all ? ClaimError::kNoEligibleExecution : ClaimError::kNothingInWindow)) {
      return "another error than of a search in vain";
    }
    if (looked.seen != window) return "the window was not seen";
    return allowed.size() + window <= kPartitions
               ? ""
               : "of " + std::to_string(allowed.size()) + " choices";
  }
  if (looked.seen == 0 || looked.seen > window) return "seen more than the window";
  const ChosenGrant& grant = *answer.chosen;
  const std::string id(grant.execution_id.text());
  if (std::count(allowed.begin(), allowed.end(), id) == 0) return "the choice is not allowed";
  const IssueOutcome model = model_.IssueClaimGrant(GrantFor(args, grant.execution_id.view()));
  const std::string partition_key = id.substr(0, id.find('}') + 1);
  // A time on the wire is never before 1970.
  const std::int64_t expires_at = std::max<std::int64_t>(model.expires_at.value, 0);
  const bool right = model && grant.expires_at_ms == static_cast<std::uint64_t>(expires_at) &&
                     grant.partition_key == partition_key &&
                     grant.grant_key == "ff:exec:" + partition_key + ":" + id + ":claim_grant" &&
                     SameId(grant.execution_id.view(), id);
  return right ? "" : "the grant is wrong";
}

void LedgerPair::See(const Call& call, const Answer& answer) {
  std::string operation(call.name());
  if (answer.maintained) {
    seen_.insert("any maintain " +
                 std::string(answer.maintained->leases_expired != 0 ? "expired" : "nothing"));
    seen_.insert("any maintain " +
                 std::string(answer.maintained->promoted != 0 ? "promoted" : "nothing"));
    return;
  }
  const bool is_malformed =
      call.kind() == CallKind::kCreate && answer.error == ClaimError::kInvalidInput;
  if (is_malformed) operation = "create_badly";
  if (const auto* complete = call.As<calls::Complete>();
      complete != nullptr && complete->args.operator_override) {
    operation = "complete_override";
  }
  if (const auto* fail = call.As<calls::Fail>(); fail != nullptr && fail->args.operator_override) {
    operation = "fail_override";
  }
  seen_.insert((is_malformed ? "any" : state_before_) + " " + operation + " " +
               std::string(Word(answer)));
}

void LedgerPair::CompareState(const ExecutionIdView& id) {
  const auto compare = [&](const char* what, const auto& memory, const auto& model) {
    if (memory != model) {
      driver_.Blame(what + (" of " + std::string(id.text())) + " (was " + state_before_ +
                    ")\n  ledger: " + Describe(memory) + "\n  model:  " + Describe(model));
    }
  };
  compare("state", memory_.Inspect(id), model_.Inspect(id));
  compare("names", memory_.InspectNames(id), model_.InspectNames(id));
}

void LedgerPair::CompareEverything() {
  for (const Choices::Execution& execution : generator_.executions()) {
    CompareState(execution.view());
  }
  if (memory_.size() != model_.size()) driver_.Blame("sizes differ");
}

// ---- the history -------------------------------------------------------------

void LedgerPair::Do(const Call& call) {
  const TimestampMs before = clock_.Now();
  const ExecutionIdView id = call.execution();
  state_before_ =
      id.text().empty() ? "any" : StateName(model_.Inspect(generator_.target()), clock_.Now());
  generator_.Learn(call, driver_.Do(call));
  if (call.kind() == CallKind::kMaintain) lingering_.clear();
  if (!IsAmple()) CountWhatIsKept(before);
}

bool LedgerPair::Step() {
  const Call call = generator_.Next();
  Do(call);
  const bool churns = generator_.is_churning();
  while (generator_.is_churning()) Do(generator_.Next());
  if (churns || call.kind() == CallKind::kClaimForWorker || call.kind() == CallKind::kMaintain) {
    CompareEverything();
  }
  CompareState(generator_.target());
  if (generator_.OneIn(16)) CompareEverything();
  return problem().empty();
}

bool LedgerPair::Settle() {
  CompareEverything();
  Do(calls::Advance{1000});
  Do(calls::Maintain{});
  CompareEverything();
  const Choices::Capabilities& all = PairChoices().offered.back();
  for (const char* lane : {"main", "other lane"}) {
    ClaimForWorkerArgs args;
    args.worker = {{"settler"}, {lane}};
    args.lane = LaneIdView::Unchecked(lane);
    args.grant_ttl_ms = 1;
    args.offered = all.get();
    for (std::size_t i = 0; i <= generator_.executions().size(); ++i) {
      Do({calls::ClaimForWorker{args}, all});
    }
  }
  CompareEverything();
  return problem().empty();
}

}  // namespace ffgrant::testing
