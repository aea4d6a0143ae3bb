// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/deployment_claims.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "ffgrant/execution_id.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/calls/call_generator.h"
#include "testing/calls/make.h"
#include "testing/simulation/simulated_deployment.h"

namespace ffgrant::valkey::testing {
namespace {

using ffgrant::testing::Answer;
using ffgrant::testing::AnswerOf;
using ffgrant::testing::Call;
using ffgrant::testing::CallGenerator;
using ffgrant::testing::CallKind;
using ffgrant::testing::Choices;
using ffgrant::testing::Describe;
using ffgrant::testing::UuidText;
namespace calls = ffgrant::testing::calls;

constexpr std::int64_t kLimitMs = 500;
// A call may end this long after its time limit. A wait that finds something to do takes a
// millisecond here, and a call may need several waits after its time is up.
constexpr std::int64_t kTickMs = 30;
constexpr std::size_t kExecutions = 8;
constexpr std::size_t kShownCalls = 100;

class WorldClock final : public Clock {
 public:
  explicit WorldClock(SimulatedWorld& world) : world_(world) {}
  TimestampMs Now() const noexcept override { return {world_.now()}; }

 private:
  SimulatedWorld& world_;
};

// Returns FlowFabric's name of the function that does a call's work; empty if no function does.
std::string_view FunctionOf(CallKind kind) {
  switch (kind) {
    case CallKind::kCreate:
      return "ff_create_execution";
    case CallKind::kIssue:
    case CallKind::kClaimForWorker:
      return "ff_issue_claim_grant";
    case CallKind::kClaim:
      return "ff_claim_execution";
    case CallKind::kClaimResumed:
      return "ff_claim_resumed_execution";
    case CallKind::kRenew:
      return "ff_renew_lease";
    case CallKind::kMarkExpired:
      return "ff_mark_lease_expired_if_due";
    case CallKind::kRevoke:
      return "ff_revoke_lease";
    case CallKind::kIssueReclaim:
      return "ff_issue_reclaim_grant";
    case CallKind::kReclaim:
      return "ff_reclaim_execution";
    case CallKind::kSuspend:
      return "ff_suspend_execution";
    case CallKind::kResume:
      return "ff_resume_execution";
    case CallKind::kComplete:
      return "ff_complete_execution";
    case CallKind::kFail:
      return "ff_fail_execution";
    default:
      return "";
  }
}

// Returns the lease that a call asks for; empty if it asks for none.
std::string WantedLease(const Call& call) {
  if (const auto* c = call.As<calls::Claim>()) return UuidText(c->args.lease_id.uuid);
  if (const auto* c = call.As<calls::ClaimResumed>()) return UuidText(c->args.lease_id.uuid);
  if (const auto* c = call.As<calls::Reclaim>()) return UuidText(c->args.lease_id.uuid);
  return "";
}

class DeploymentClaims {
 public:
  explicit DeploymentClaims(std::uint64_t seed)
      : deployment_(seed),
        clock_(deployment_.world()),
        ids_(seed),
        generator_(
            [this](std::uint32_t bound) {
              return static_cast<std::uint32_t>(deployment_.Below(bound));
            },
            MakeChoices(), clock_) {
    ValkeyLedgerOptions options;
    options.client = ClientFor(deployment_);
    options.connections = 3;
    options.waitpoint_secret_hex = "00ff";
    ledger_ = std::make_unique<ValkeyLedger>(options);
    ClientOptions piped = ClientFor(deployment_);
    piped.max_in_flight = 32;
    pipeline_ = std::make_unique<ClaimPipeline>(piped);
    ServerInfo server;
    if (!ledger_->Connect(server)) Blame("cannot connect to a healthy cluster");
    PipelineOfLives();
  }

  DeploymentRun Run(std::uint64_t calls) {
    deployment_.Begin();
    while (run_.calls < calls && run_.problem.empty()) {
      deployment_.MayHappen();
      switch (deployment_.Below(40)) {
        case 0:
          BatchOfLives();
          break;
        case 1:
          PipelineOfLives();
          break;
        case 2:
        case 3:
          FusedLife();
          break;
        case 4:
          InterruptedLife();
          break;
        case 5:
          ReclaimedLife();
          break;
        default:
          OneCall();
          break;
      }
      if (deployment_.OneIn(4)) deployment_.world().Pass(deployment_.Upto(40));
      if (deployment_.OneIn(150)) deployment_.world().Pass(1500);
      Blame(deployment_.witness().problem());
    }
    if (run_.problem.empty()) CheckWhenHealed();
    run_.executed = deployment_.witness().executed();
    run_.losses = deployment_.witness().losses();
    run_.happened = deployment_.happened();
    if (!run_.problem.empty()) {
      std::string text;
      for (const std::string& line : history_) text += line + "\n";
      run_.problem = text + run_.problem;
    }
    return std::move(run_);
  }

 private:
  struct Wanted {
    std::string execution;
    std::string lease;
  };
  // How often a function may have been executed for an execution: the least and the greatest
  // number.
  struct Bounds {
    std::int64_t least = 0;
    std::int64_t most = 0;
  };

  static ClientOptions ClientFor(SimulatedDeployment& deployment) {
    ClientOptions options;
    options.servers = {deployment.name()};
    options.request_timeout_ms = options.connect_timeout_ms = kLimitMs;
    options.make_network = [&deployment] { return deployment.NewNetwork(); };
    return options;
  }

  Choices MakeChoices() {
    using K = CallKind;
    Choices choices;
    choices.kinds = {
        K::kCreate,         K::kIssue,        K::kIssue,        K::kIssue,        K::kIssue,
        K::kClaimForWorker, K::kClaim,        K::kClaim,        K::kClaim,        K::kClaim,
        K::kClaim,          K::kClaimResumed, K::kClaimResumed, K::kIssueReclaim, K::kIssueReclaim,
        K::kReclaim,        K::kReclaim,      K::kReclaim,      K::kRenew,        K::kRenew,
        K::kMarkExpired,    K::kMarkExpired,  K::kRevoke,       K::kSuspend,      K::kSuspend,
        K::kResume,         K::kResume,       K::kComplete,     K::kFail};
    for (std::size_t i = 0; i < kExecutions; ++i) choices.executions.push_back(NewExecution());
    choices.workers = {{"w1", "w1-i1"}, {"w1", "w1-i2"}, {"w2", "w2-i1"}};
    choices.lanes = {"other"};
    choices.claims_in_own_lane = true;
    choices.required = {nullptr, nullptr, nullptr, Choices::Set("gpu")};
    choices.offered = {nullptr, Choices::Set("gpu"), Choices::Set("gpu")};
    choices.retries = {std::nullopt, RetryPolicy{.max_retries = 1, .delay_ms = 50}};
    choices.delay_ms = 1;
    choices.delay_spread = 300;
    choices.ttl_ms = 200;
    choices.ttl_spread = 6000;
    choices.odd_ttl_one_in = 20;
    choices.odd_ttls = {0, -1, 1};
    choices.windows = {kAllPartitions, 8, 32};
    return choices;
  }

  Choices::Execution NewExecution() {
    const MintedExecutionId id(static_cast<std::uint16_t>(deployment_.Below(256)), ids_.Next());
    return {std::string(id.text()), "main"};
  }

  void Blame(const std::string& problem) {
    if (run_.problem.empty()) run_.problem = problem;
  }

  std::int64_t now() { return deployment_.world().now(); }

  // ---- judging -------------------------------------------------------------------

  void Note(std::string line) {
    history_.push_back(std::to_string(now()) + " " + std::move(line));
    if (history_.size() > kShownCalls) history_.pop_front();
  }

  void CheckTime(std::int64_t begin, const std::string& what) {
    const std::int64_t took = now() - begin;
    run_.longest_ms = std::max(run_.longest_ms, took);
    if (took > kLimitMs + kTickMs) Blame(what + " took " + std::to_string(took) + " ms");
  }

  // Compares how often `function` may have run for execution `id` with how often it has run. Of
  // claim grants and suspensions only successful runs count: a scheduler may ask for a grant that
  // the function refuses, and a suspension that fails because the partition has no secret is made
  // again once the secret is installed.
  void Account(std::string_view function, std::string_view id, ClaimError error) {
    Bounds& bounds = bounds_[std::string(function) + " " + std::string(id)];
    const bool unknown = error == ClaimError::kUnknownOutcome || error == ClaimError::kUnknownCode;
    const bool grants = function == "ff_issue_claim_grant";
    const bool taken_only = grants || function == "ff_suspend_execution";
    const bool happened = error == ClaimError::kNone;
    bounds.least += happened;
    bounds.most += happened || unknown || (!taken_only && error != ClaimError::kUnavailable);
    const std::int64_t seen = taken_only ? deployment_.witness().Taken(function, id)
                                         : deployment_.witness().Executed(function, id);
    if (grants && seen > bounds.most && unknown_choices_ > 0) {
      --unknown_choices_;
      ++bounds.most;
    }
    if (seen < bounds.least || seen > bounds.most) {
      Blame(std::string(function) + " ran " + std::to_string(seen) + " times for " +
            std::string(id) + ", not " + std::to_string(bounds.least) + " to " +
            std::to_string(bounds.most));
    }
  }

  void CheckLease(const std::string& execution, const std::string& wanted, ClaimError error,
                  const std::optional<Lease>& lease) {
    const ClaimWitness::LeaseSeen* const seen = deployment_.witness().FindLease(wanted);
    if (error == ClaimError::kNone) {
      ++run_.claims;
      if (!lease || seen == nullptr || seen->execution_id != execution ||
          lease->fence.lease_epoch.value != seen->epoch ||
          UuidText(lease->fence.lease_id.uuid) != wanted) {
        Blame("no server gave the lease " + wanted + " like that");
      }
    } else if (error == ClaimError::kUnavailable) {
      RuleOut(execution, wanted);
    } else if (error == ClaimError::kUnknownOutcome) {
      Settle(execution, wanted);
    } else if (seen != nullptr) {
      Blame("rejected, but a server gave the lease " + wanted);
    }
  }

  void RuleOut(const std::string& execution, const std::string& lease) {
    ++run_.ruled_out;
    const ClaimWitness::LeaseSeen* const seen = deployment_.witness().FindLease(lease);
    if (seen != nullptr && !seen->lost) Blame("ruled out, but a server gave the lease " + lease);
    deployment_.witness().NeverAgain(lease);
    ruled_out_.push_back({execution, lease});
  }

  FoundClaim Find(const std::string& execution, const std::string& lease) {
    const ExecutionIdView id = ParseExecutionId(execution, ParseMode::kStrict).id;
    const std::int64_t begin = now();
    const FoundClaim found = ledger_->FindClaim(id, {ParseUuid(lease, ParseMode::kStrict).uuid});
    static constexpr const char* kFates[] = {"held", "ended", "not claimed"};
    const std::string what =
        "find " + execution + " lease " + lease + " -> " + std::string(ErrorName(found.error)) +
        (found ? std::string(" ") + kFates[static_cast<std::size_t>(found.fate)] : "") +
        (found.final ? "" : ", not final");
    Note(what);
    ++run_.calls;
    ++run_.answers["find " + std::string(ErrorName(found.error))];
    CheckTime(begin, what);
    if (!found) return found;
    const ClaimWitness::LeaseSeen* const seen = deployment_.witness().FindLease(lease);
    const bool claimed = found.fate != ClaimFate::kNotClaimed;
    if (claimed && (seen == nullptr || seen->execution_id != execution)) {
      Blame("found, but no server gave the lease " + lease);
    }
    if (!claimed && seen != nullptr && !seen->lost) {
      Blame("not found, but a server gave the lease " + lease);
    }
    return found;
  }

  void Settle(const std::string& execution, const std::string& lease) {
    for (int i = 0; i < 6; ++i) {
      const FoundClaim found = Find(execution, lease);
      if (found && found.fate != ClaimFate::kNotClaimed) return;
      if (found && found.final) return RuleOut(execution, lease);
      deployment_.world().Pass(200);
    }
  }

  // Judges the answer to a call that was made at `begin`.
  void Judge(const Call& call, const Answer& answer, std::int64_t begin) {
    Blame(deployment_.witness().problem());
    ++run_.calls;
    ++run_.answers[std::string(call.name()) + " " + std::string(Word(answer))];
    run_.unknown += answer.error == ClaimError::kUnknownOutcome;
    run_.unavailable += answer.error == ClaimError::kUnavailable;
    const std::string what = Describe(call) + " -> " + Describe(answer);
    Note(what);
    CheckTime(begin, what);
    const std::string_view function = FunctionOf(call.kind());
    if (function.empty()) return;
    std::string execution(call.execution().text());
    if (call.kind() == CallKind::kClaimForWorker) {
      unknown_choices_ += answer.error == ClaimError::kUnknownOutcome;
      if (!answer.ok()) return;
      execution = answer.chosen->execution_id.text();
    }
    Account(function, execution, answer.error);
    if (const std::string lease = WantedLease(call); !lease.empty()) {
      CheckLease(execution, lease, answer.error, answer.lease);
    }
    if (call.kind() == CallKind::kRenew && answer.ok()) {
      const auto end = deployment_.witness().LeaseEnd(execution);
      if (end && *end != answer.expires_at->value) Blame("renewed until another time");
    }
  }

  // ---- calls ---------------------------------------------------------------------

  void OneCall() {
    const std::int64_t begin = now();
    if (deployment_.OneIn(25)) {
      const ExecutionIdView id = AnyExecution().view();
      const bool names = deployment_.OneIn(2);
      const Call call = names ? Call(calls::InspectNames{id}) : Call(calls::Inspect{id});
      Judge(call, Make(*ledger_, call), begin);
      return;
    }
    const Call call = generator_.Next();
    if (deployment_.OneIn(10)) deployment_.MayHappen();
    const Answer answer = Make(*ledger_, call);
    Judge(call, answer, begin);
    generator_.Learn(call, answer);
    const bool ends = call.kind() == CallKind::kComplete || call.kind() == CallKind::kFail;
    const bool over = ends && answer.ok();
    if (over || deployment_.OneIn(60)) NextExecution();
  }

  // Puts another execution in place of the oldest, and mostly creates the new one right away.
  void NextExecution() {
    generator_.Replace(NewExecution());
    if (deployment_.OneIn(4)) return;
    const Call call =
        calls::Create{{.execution_id = generator_.executions().back().view(), .lane = lane_}};
    const std::int64_t begin = now();
    Judge(call, Make(*ledger_, call), begin);
  }

  const Choices::Execution& AnyExecution() {
    return generator_.executions()[deployment_.Below(generator_.executions().size())];
  }

  struct Life {
    MintedExecutionId id;
    LeaseId lease_id;
    AttemptId attempt_id;
    LeaseFence fence = {};
  };
  std::vector<Life> NewLives() {
    std::vector<Life> lives;
    for (std::uint64_t i = 2 + deployment_.Below(5); i > 0; --i) {
      lives.push_back(
          {MintedExecutionId(static_cast<std::uint16_t>(deployment_.Below(256)), ids_.Next()),
           {ids_.Next()},
           {ids_.Next()}});
    }
    return lives;
  }
  calls::Create CreateOf(const Life& life) const {
    return {{.execution_id = life.id.view(), .lane = lane_}};
  }
  calls::Issue IssueOf(const Life& life) const {
    return {
        {.execution_id = life.id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 60'000}};
  }
  calls::Claim ClaimOf(const Life& life) const {
    return {{.execution_id = life.id.view(),
             .worker = worker_,
             .lane = lane_,
             .lease_id = life.lease_id,
             .lease_ttl_ms = 60'000,
             .attempt_id = life.attempt_id}};
  }
  calls::Renew RenewOf(const Life& life) const {
    return {{life.id.view(), {0}, life.fence, 60'000}};
  }
  calls::Complete CompleteOf(const Life& life) const { return {{life.id.view(), life.fence}}; }

  // Makes the same call for several executions in one batch.
  template <class CallOf>
  std::vector<Life> Batch(const std::vector<Life>& lives, const CallOf& call_of) {
    std::vector<Call> batch;
    for (const Life& life : lives) batch.emplace_back(call_of(life)).in_batch = true;
    const std::int64_t begin = now();
    const std::vector<Answer> answers = MakeBatch(*ledger_, batch);
    const std::int64_t end = now();
    std::vector<Life> left;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      // Judging may take time too; this time is not counted.
      Judge(batch[i], answers[i], begin + (now() - end));
      if (answers[i].ok()) left.push_back(lives[i]);
    }
    return left;
  }

  void BatchOfLives() {
    std::vector<Life> lives = NewLives();
    for (const Life& life : lives) {
      const Call call = CreateOf(life);
      const std::int64_t begin = now();
      Judge(call, Make(*ledger_, call), begin);
    }
    deployment_.MayHappen();
    lives = Batch(lives, [this](const Life& life) { return IssueOf(life); });
    deployment_.MayHappen();
    (void)Batch(lives, [this](const Life& life) { return ClaimOf(life); });
  }

  // Issues a grant and claims in one call, for an execution that may have to be promoted first.
  void FusedLife() {
    const Life life = NewLives().front();
    const bool delayed = deployment_.OneIn(3);
    calls::Create create = CreateOf(life);
    if (delayed) create.args.delay_until = TimestampMs{now() + 5};
    const Call created = create;
    std::int64_t begin = now();
    Judge(created, Make(*ledger_, created), begin);
    if (delayed) {
      deployment_.world().Pass(6);
      begin = now();
      bool promoted = false;
      const Outcome outcome = ledger_->PromoteDelayedIfDue(life.id.view(), lane_, promoted);
      JudgeOther("promote", "ff_promote_delayed", life, outcome.error, begin);
    }
    deployment_.MayHappen();
    begin = now();
    const Call claim = ClaimOf(life);
    const ClaimOutcome outcome = ledger_->IssueGrantAndClaim(claim.As<calls::Claim>()->args);
    JudgeOther("issue and claim", "ff_issue_grant_and_claim", life, outcome.error, begin);
    const std::string execution(life.id.text());
    // The call reads the lease after the claim. If it can't, the error is kUnknownOutcome, although
    // the claim has happened.
    CheckLease(execution, UuidText(life.lease_id.uuid), outcome.error,
               outcome ? std::optional(outcome.lease) : std::nullopt);
  }

  // Makes a call. Returns false if it has not succeeded.
  bool Step(Life& life, const Call& call) {
    deployment_.MayHappen();
    const std::int64_t begin = now();
    const Answer answer = Make(*ledger_, call);
    Judge(call, answer, begin);
    if (answer.lease) life.fence = answer.lease->fence;
    return answer.ok();
  }
  bool Leased(Life& life, std::int64_t ttl_ms) {
    calls::Claim claim = ClaimOf(life);
    claim.args.lease_ttl_ms = ttl_ms;
    return Step(life, CreateOf(life)) && Step(life, IssueOf(life)) && Step(life, claim);
  }

  // Suspends an execution, resumes it and claims it again.
  void InterruptedLife() {
    Life life = NewLives().front();
    if (!Leased(life, 60'000) || !Step(life, calls::Suspend{{life.id.view(), life.fence}}) ||
        !Step(life, calls::Resume{{life.id.view(), 0}}) || !Step(life, IssueOf(life))) {
      return;
    }
    const LeaseId lease_id = {ids_.Next()};
    if (Step(life, calls::ClaimResumed{{life.id.view(), worker_, lane_, lease_id, 60'000}})) {
      (void)Step(life, CompleteOf(life));
    }
  }

  // Lets a lease end or revokes it, and reclaims the execution; does this up to three times.
  void ReclaimedLife() {
    Life life = NewLives().front();
    if (!Leased(life, 100)) return;
    for (int i = 0; i < 3; ++i) {
      const bool revoked = deployment_.OneIn(2);
      if (!revoked) deployment_.world().Pass(101);
      const Call ends = revoked ? Call(calls::Revoke{{life.id.view()}})
                                : Call(calls::MarkExpired{life.id.view()});
      if (!Step(life, ends) || !Step(life, calls::IssueReclaim{IssueOf(life).args})) return;
      const calls::Reclaim reclaim = {
          {life.id.view(), worker_, lane_, {ids_.Next()}, 100, {ids_.Next()}, {}}};
      if (!Step(life, reclaim)) return;
    }
  }

  void JudgeOther(const char* name, std::string_view function, const Life& life, ClaimError error,
                  std::int64_t begin) {
    const std::string what = std::string(name) + " " + std::string(life.id.text()) + " lease " +
                             UuidText(life.lease_id.uuid) + " -> " + std::string(ErrorName(error));
    ++run_.calls;
    ++run_.answers[std::string(name) + " " + std::string(ErrorName(error))];
    run_.unknown += error == ClaimError::kUnknownOutcome;
    run_.unavailable += error == ClaimError::kUnavailable;
    Note(what);
    CheckTime(begin, what);
    Account(function, life.id.text(), error);
  }

  // Leads several executions side by side on one pipeline, each from its creation to its end.
  void PipelineOfLives() {
    std::vector<Life> lives = NewLives();
    for (int step = 0; step < 5 && !lives.empty(); ++step) {
      deployment_.MayHappen();
      lives = PipelineStep(lives, step);
    }
  }

  Call CallOfStep(const Life& life, int step) const {
    switch (step) {
      case 0:
        return CreateOf(life);
      case 1:
        return IssueOf(life);
      case 2:
        return ClaimOf(life);
      case 3:
        return RenewOf(life);
      default:
        return CompleteOf(life);
    }
  }

  bool Submit(const Call& call, std::uint64_t tag) {
    if (const auto* c = call.As<calls::Create>()) return pipeline_->SubmitCreate(c->args, "x", tag);
    if (const auto* c = call.As<calls::Issue>()) return pipeline_->SubmitIssue(c->args, tag);
    if (const auto* c = call.As<calls::Claim>()) return pipeline_->SubmitClaim(c->args, tag);
    if (const auto* c = call.As<calls::Renew>()) return pipeline_->SubmitRenew(c->args, tag);
    return pipeline_->SubmitComplete(
        call.As<calls::Complete>()->args,
        {.attempt_index = {0}, .lane = lane_, .worker_instance_id = worker_.worker_instance_id},
        tag);
  }

  std::vector<Life> PipelineStep(std::vector<Life>& lives, int step) {
    const std::int64_t begin = now();
    std::vector<Call> made;
    for (const Life& life : lives) {
      made.push_back(CallOfStep(life, step));
      if (!Submit(made.back(), made.size() - 1)) Blame("the pipeline takes no call");
    }
    struct Ended {
      ClaimPipeline::Completion completion;
      std::int64_t at;
    };
    std::map<std::uint64_t, Ended> ended;
    for (int i = 0; i < 10'000 && pipeline_->in_flight() > 0; ++i) {
      for (const ClaimPipeline::Completion& done : pipeline_->Poll(20)) {
        if (!ended.emplace(done.tag, Ended{done, now()}).second) Blame("a call ended twice");
      }
    }
    std::vector<Life> left;
    for (std::size_t i = 0; i < lives.size(); ++i) {
      const auto found = ended.find(i);
      if (found == ended.end()) {
        Blame("a call of the pipeline never ended");
        return {};
      }
      const auto& [done, at] = found->second;
      Answer answer;
      answer.error = done.error;
      if (step == 2 && done) answer.lease = done.lease;
      if (step == 3 && done) answer.expires_at = done.expires_at;
      JudgePiped(made[i], answer, now() - (at - begin));
      if (!done) continue;
      if (step == 2) lives[i].fence = done.lease.fence;
      left.push_back(lives[i]);
    }
    return left;
  }

  // Judges a call of a pipeline. If the outcome of a pipeline's claim is unknown, does not look for
  // the lease, because nobody can rule out that the claim still happens.
  void JudgePiped(const Call& call, const Answer& answer, std::int64_t begin) {
    if (answer.error == ClaimError::kUnknownOutcome && call.kind() == CallKind::kClaim) {
      ++run_.calls;
      ++run_.unknown;
      Note("piped " + Describe(call) + " -> " + Describe(answer));
      CheckTime(begin, Describe(call));
      Account(FunctionOf(call.kind()), call.execution().text(), answer.error);
      return;
    }
    Judge(call, answer, begin);
  }

  // ---- the end -------------------------------------------------------------------

  void CheckWhenHealed() {
    deployment_.Heal();
    deployment_.world().Pass(2000);
    Blame(deployment_.witness().problem());
    for (const Wanted& wanted : ruled_out_) {
      const FoundClaim found = Find(wanted.execution, wanted.lease);
      if (found && found.fate != ClaimFate::kNotClaimed) Blame("came back: " + wanted.lease);
    }
    for (const auto& [id, lease] : deployment_.witness().CurrentLeases()) {
      const auto state = ledger_->Inspect(ParseExecutionId(id, ParseMode::kStrict).id);
      if (!state || !state->current_lease_id || UuidText(state->current_lease_id->uuid) != lease) {
        Blame(id + ": the lease " + lease + " is not stored: " + Describe(state));
      }
    }
    const Life life = NewLives().front();
    for (int step = 0; step < 3; ++step) {
      const Call call = CallOfStep(life, step);
      const Answer answer = Make(*ledger_, call);
      if (!answer.ok())
        Blame("after all was healed: " + Describe(call) + " -> " + Describe(answer));
    }
  }

  SimulatedDeployment deployment_;
  WorldClock clock_;
  UuidGenerator ids_;
  CallGenerator generator_;
  std::unique_ptr<ValkeyLedger> ledger_;
  std::unique_ptr<ClaimPipeline> pipeline_;
  const LaneIdView lane_ = ParseLaneId("main").lane;
  const WorkerIdentity worker_ = {{"w1"}, {"w1-i1"}};
  DeploymentRun run_;
  std::map<std::string, Bounds> bounds_;  // the key is "FUNCTION EXECUTION_ID"
  // Choices of schedulers whose outcome is unknown, less those that have been found as grants.
  std::uint64_t unknown_choices_ = 0;
  std::vector<Wanted> ruled_out_;
  std::deque<std::string> history_;
};

}  // namespace

DeploymentRun RunDeployment(std::uint64_t seed, std::uint64_t calls) {
  return DeploymentClaims(seed).Run(calls);
}

}  // namespace ffgrant::valkey::testing
