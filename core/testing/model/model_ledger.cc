// SPDX-License-Identifier: Apache-2.0
//
// Has the model's records, grants and maintenance; leases are in model_ledger_leases.cc.

#include "testing/model/model_ledger.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "testing/model/model_texts.h"
#include "testing/naive/naive_hash.h"

namespace ffgrant::testing {

using namespace model;  // NOLINT(google-build-using-namespace): the helpers are the model's

namespace {

std::vector<std::string> Tokens(const std::string& csv) {
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : csv + ",") {
    if (c != ',') {
      token += c;
    } else if (!token.empty()) {
      tokens.push_back(token);
      token.clear();
    }
  }
  return tokens;
}

// Returns the missing tokens, sorted and comma-joined.
std::string MissingTokens(const std::string& required, const std::string& offered) {
  const std::vector<std::string> offered_tokens = Tokens(offered);
  std::set<std::string> missing;
  for (const std::string& token : Tokens(required)) {
    if (std::find(offered_tokens.begin(), offered_tokens.end(), token) == offered_tokens.end()) {
      missing.insert(token);
    }
  }
  std::string csv;
  for (const std::string& token : missing) {
    csv += (csv.empty() ? "" : ",") + token;
  }
  return csv;
}

std::optional<TimestampMs> OptionalTime(const Hash& hash, const char* name) {
  const auto field = hash.find(std::string_view(name));
  if (field == hash.end() || field->second.empty()) {
    return std::nullopt;
  }
  return TimestampMs{Number(field->second)};
}

// Returns a literal that equals `text`, which is one of the words that the fields hold.
std::string_view Word(const std::string& text) {
  static constexpr std::string_view kWords[] = {"runnable",
                                                "active",
                                                "suspended",
                                                "terminal",  // lifecycle_phase
                                                "unowned",
                                                "leased",
                                                "lease_expired_reclaimable",
                                                "lease_revoked",
                                                "eligible_now",
                                                "not_eligible_until_time",
                                                "not_applicable",
                                                "none",
                                                "waiting_for_worker",
                                                "waiting_for_delay",
                                                "waiting_for_resume_delay",
                                                "waiting_for_retry_backoff",
                                                "waiting_for_signal",
                                                "success",
                                                "failed",
                                                "pending_first_attempt",
                                                "pending_retry_attempt",
                                                "running_attempt",
                                                "attempt_interrupted",
                                                "attempt_terminal",
                                                "waiting",
                                                "delayed",
                                                "completed"};
  const auto* word = std::find(std::begin(kWords), std::end(kWords), text);
  if (word == std::end(kWords)) {
    std::abort();
  }
  return *word;
}

}  // namespace

static bool IsFollowed(const RetryPolicy& policy) {
  const std::int64_t most = 50'000'000'000'000;
  return policy.delay_ms >= 0 && policy.delay_ms <= most && policy.max_delay_ms >= 0 &&
         policy.max_delay_ms <= most && policy.multiplier >= 0 && policy.multiplier < HUGE_VAL;
}

ModelLedger::ModelLedger(const Clock& clock, PartitionConfig partitions)
    : clock_(clock), partitions_(partitions) {}

// ---- the stored things -------------------------------------------------------

std::vector<std::string> ModelLedger::SortedSet::InOrder() const {
  std::set<std::pair<std::int64_t, std::string>> order;
  for (const auto& [member, score] : scores) {
    order.emplace(score, member);
  }
  std::vector<std::string> members;
  for (const auto& [score, member] : order) {
    members.push_back(member);
  }
  return members;
}

Hash* ModelLedger::Core(const ExecutionIdView& id) {
  const auto core = cores_.find(IdText(id));
  return core == cores_.end() ? nullptr : &core->second;
}

Hash* ModelLedger::Grant(const std::string& id) {
  const auto grant = grants_.find(id);
  if (grant == grants_.end()) {
    return nullptr;
  }
  if (Now() > Number(grant->second["grant_expires_at"])) {
    grants_.erase(grant);
    return nullptr;
  }
  return &grant->second;
}

ModelLedger::LaneSets& ModelLedger::SetsOf(const Hash& core) {
  return lane_sets_[{core.at("partition_id"), core.at("lane_id")}];
}

ModelLedger::SortedSet& ModelLedger::LeaseExpiry(const Hash& core) {
  return lease_expiry_[core.at("partition_id")];
}

// ---- create ------------------------------------------------------------------

CreateOutcome ModelLedger::CreateExecution(const CreateExecutionArgs& args,
                                           ErrorDetails* details) noexcept {
  Clear(details);
  if (!args.execution_id.is_canonical()) {
    AddDetails(details, {"execution_id is not canonical"});
    return Refuse<CreateOutcome>(ClaimError::kInvalidInput);
  }
  const std::uint16_t partition = args.execution_id.partition().index;
  if (partition >= partitions_.num_flow_partitions) {
    AddDetails(details, {"partition index is out of range"});
    return Refuse<CreateOutcome>(ClaimError::kInvalidInput);
  }
  const std::string lane(args.lane.text());
  std::string lane_error;
  if (lane.empty()) {
    lane_error = "lane_id is empty";
  } else if (lane.size() > 64) {
    lane_error = "lane_id exceeds 64 bytes (got " + std::to_string(lane.size()) + ")";
  } else {
    for (std::size_t i = 0; i < lane.size() && lane_error.empty(); ++i) {
      if (lane[i] < 0x20 || lane[i] > 0x7E) {
        lane_error = "lane_id contains non-ASCII-printable byte at index " + std::to_string(i);
      }
    }
  }
  if (!lane_error.empty()) {
    AddDetails(details, {lane_error});
    return Refuse<CreateOutcome>(ClaimError::kInvalidInput);
  }

  if (args.retry.has_value() && !IsFollowed(*args.retry)) {
    AddDetails(details, {"the retry policy is out of range"});
    return Refuse<CreateOutcome>(ClaimError::kInvalidInput);
  }

  CreateOutcome outcome;
  if (Core(args.execution_id) != nullptr) {
    outcome.status = CreateOutcome::Status::kDuplicate;
    return outcome;
  }
  const std::int64_t now = Now();
  const std::int64_t priority = std::clamp<std::int64_t>(args.priority, 0, 9000);
  const bool delayed = args.delay_until.has_value() && args.delay_until->value > now;
  const std::string id = IdText(args.execution_id);
  // Requirements and retries are stored in a policy, and every policy has a cap.
  const bool has_requirements = args.required != nullptr && !args.required->csv().empty();
  const char* policy_cap = has_requirements || args.retry.has_value() ? "100" : "";
  Hash& core = cores_[id];
  Set(core,
      {{"execution_id", id},
       {"lane_id", lane},
       {"current_lane", lane},
       {"partition_id", Text(std::int64_t{partition})},
       {"priority", Text(priority)},
       {"required_capabilities", args.required == nullptr ? "" : std::string(args.required->csv())},
       {"policy.max_reclaim_count", args.max_reclaim_count.has_value()
                                        ? Text(std::int64_t{*args.max_reclaim_count})
                                        : policy_cap},
       {"lifecycle_phase", "runnable"},
       {"ownership_state", "unowned"},
       {"eligibility_state", delayed ? "not_eligible_until_time" : "eligible_now"},
       {"blocking_reason", delayed ? "waiting_for_delay" : "waiting_for_worker"},
       {"terminal_outcome", "none"},
       {"attempt_state", "pending_first_attempt"},
       {"public_state", delayed ? "delayed" : "waiting"},
       {"total_attempt_count", "0"},
       {"current_attempt_index", ""},
       {"current_attempt_id", ""},
       {"current_lease_id", ""},
       {"current_lease_epoch", "0"},
       {"lease_reclaim_count", "0"},
       {"retry_count", "0"},
       {"created_at", Text(now)},
       {"delay_until", delayed ? Text(args.delay_until->value) : ""}});
  if (args.retry.has_value()) {
    retry_policies_[id] = *args.retry;
  }
  if (delayed) {
    SetsOf(core).delayed.scores[id] = args.delay_until->value;
    outcome.status = CreateOutcome::Status::kDelayed;
  } else {
    MakeEligible(core);
  }
  return outcome;
}

void ModelLedger::MakeEligible(Hash& core) {
  SetsOf(core).eligible.scores[core["execution_id"]] =
      -(Number(core["priority"]) * 1'000'000'000'000) + Number(core["created_at"]);
}

// ---- grants ------------------------------------------------------------------

IssueOutcome ModelLedger::IssueClaimGrant(const IssueGrantArgs& args,
                                          ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.grant_ttl_ms, "grant_ttl_ms", details)) {
    return Refuse<IssueOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "runnable") {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotEligible);
  }
  if ((*core)["eligibility_state"] != "eligible_now") {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotEligible);
  }
  const std::string id = IdText(args.execution_id);
  if (Grant(id) != nullptr) {
    return Refuse<IssueOutcome>(ClaimError::kGrantAlreadyExists);
  }
  // The caller's lane says which eligible set is looked into.
  if ((*core)["lane_id"] != args.lane.text() || !SetsOf(*core).eligible.Has(id)) {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotInEligibleSet);
  }
  const ClaimError error = CheckCapabilities(*core, args.offered, details);
  if (error != ClaimError::kNone) {
    return Refuse<IssueOutcome>(error);
  }
  IssueOutcome outcome;
  outcome.expires_at = WriteGrant(args);
  return outcome;
}

IssueOutcome ModelLedger::IssueReclaimGrant(const IssueGrantArgs& args,
                                            ErrorDetails* details) noexcept {
  Clear(details);
  if (!TtlInRange(args.grant_ttl_ms, "grant_ttl_ms", details)) {
    return Refuse<IssueOutcome>(ClaimError::kInvalidInput);
  }
  Hash* core = Core(args.execution_id);
  if (core == nullptr) {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotFound);
  }
  if ((*core)["lifecycle_phase"] != "active") {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotReclaimable);
  }
  if ((*core)["ownership_state"] != "lease_expired_reclaimable" &&
      (*core)["ownership_state"] != "lease_revoked") {
    return Refuse<IssueOutcome>(ClaimError::kExecutionNotReclaimable);
  }
  if (Grant(IdText(args.execution_id)) != nullptr) {
    return Refuse<IssueOutcome>(ClaimError::kGrantAlreadyExists);
  }
  const ClaimError error = CheckCapabilities(*core, args.offered, details);
  if (error != ClaimError::kNone) {
    return Refuse<IssueOutcome>(error);
  }
  IssueOutcome outcome;
  outcome.expires_at = WriteGrant(args);
  return outcome;
}

ClaimError ModelLedger::CheckCapabilities(Hash& core, const CapabilitySet* offered,
                                          ErrorDetails* details) {
  const std::string missing =
      MissingTokens(core["required_capabilities"],
                    offered == nullptr ? std::string() : std::string(offered->csv()));
  if (missing.empty()) {
    return ClaimError::kNone;
  }
  core["last_capability_mismatch_at"] = Text(Now());
  AddDetails(details, {missing});
  return ClaimError::kCapabilityMismatch;
}

TimestampMs ModelLedger::WriteGrant(const IssueGrantArgs& args) {
  const std::int64_t now = Now();
  const std::int64_t expires_at = now + args.grant_ttl_ms;
  const std::string id = IdText(args.execution_id);
  // A key whose expiry is not in the future never exists.
  if (args.grant_ttl_ms > 0) {
    Set(grants_[id], {{"worker_id", std::string(args.worker.worker_id.text)},
                      {"worker_instance_id", std::string(args.worker.worker_instance_id.text)},
                      {"lane_id", std::string(args.lane.text())},
                      {"capability_hash", std::string(args.capability_hash)},
                      {"route_snapshot_json", std::string(args.route_snapshot_json)},
                      {"admission_summary", std::string(args.admission_summary)},
                      {"created_at", Text(now)},
                      {"grant_expires_at", Text(expires_at)}});
  }
  return {expires_at};
}

bool ModelLedger::IsToBeHad(const ClaimForWorkerArgs& args, const std::string& id) {
  const auto core = cores_.find(id);
  if (core == cores_.end() || core->second["lane_id"] != args.lane.text() ||
      !SetsOf(core->second).eligible.Has(id)) {
    return false;
  }
  const std::string offered = args.offered == nullptr ? "" : std::string(args.offered->csv());
  return MissingTokens(core->second["required_capabilities"], offered).empty() &&
         Grant(id) == nullptr;
}

std::optional<std::string> ModelLedger::ChoiceIn(int partition, const ClaimForWorkerArgs& args) {
  const auto sets = lane_sets_.find({std::to_string(partition), std::string(args.lane.text())});
  if (sets == lane_sets_.end()) {
    return std::nullopt;
  }
  for (const std::string& id : sets->second.eligible.InOrder()) {
    if (IsToBeHad(args, id)) {
      return id;
    }
  }
  return std::nullopt;
}

std::vector<std::string> ModelLedger::AllowedChoices(const ClaimForWorkerArgs& args) {
  std::vector<std::string> choices;
  for (int partition = 0; partition < partitions_.num_flow_partitions; ++partition) {
    const std::optional<std::string> choice = ChoiceIn(partition, args);
    if (choice.has_value()) {
      choices.push_back(*choice);
    }
  }
  return choices;
}

ClaimForWorkerOutcome ModelLedger::ClaimForWorker(const ClaimForWorkerArgs& args) noexcept {
  if (!TtlInRange(args.grant_ttl_ms, "grant_ttl_ms", nullptr)) {
    return Refuse<ClaimForWorkerOutcome>(ClaimError::kInvalidInput);
  }
  const int count = partitions_.num_flow_partitions;
  const int window =
      args.max_partitions == 0 || args.max_partitions > count ? count : args.max_partitions;
  const std::string instance(args.worker.worker_instance_id.text);
  const auto [next, first_time] =
      next_partition_.try_emplace({instance, std::string(args.lane.text())}, 0);
  if (first_time) {
    next->second = static_cast<int>((NaiveFnv1a64(instance) % 65536) % count);
  }
  ClaimForWorkerOutcome outcome;
  outcome.partitions = count;
  for (int looked_at = 0; looked_at < window; ++looked_at) {
    const std::optional<std::string> choice = ChoiceIn(next->second, args);
    next->second = (next->second + 1) % count;
    ++outcome.partitions_seen;
    if (!choice.has_value()) {
      continue;
    }
    IssueGrantArgs issue;
    issue.execution_id = ParseExecutionId(*choice, ParseMode::kStrict).id;
    issue.worker = args.worker;
    issue.lane = args.lane;
    issue.grant_ttl_ms = args.grant_ttl_ms;
    issue.offered = args.offered;
    outcome.grant = IssuedGrant(issue.execution_id, IssueClaimGrant(issue).expires_at);
    return outcome;
  }
  outcome.error = window == count ? ClaimError::kNoEligibleExecution : ClaimError::kNothingInWindow;
  return outcome;
}

// ---- the embedded ledger's own -------------------------------------------------

ModelLedger::MaintenanceResult ModelLedger::RunMaintenance() {
  MaintenanceResult result;
  for (auto& [id, core] : cores_) {
    const MaintenanceResult one = Maintain(id, core);
    result.leases_expired += one.leases_expired;
    result.promoted += one.promoted;
  }
  return result;
}

ModelLedger::MaintenanceResult ModelLedger::RunMaintenance(const ExecutionIdView& id) {
  Hash* core = Core(id);
  return core == nullptr ? MaintenanceResult() : Maintain(IdText(id), *core);
}

ModelLedger::MaintenanceResult ModelLedger::Maintain(const std::string& id, Hash& core) {
  MaintenanceResult result;
  const std::int64_t now = Now();
  if (core["lifecycle_phase"] == "active" && core["ownership_state"] == "leased" &&
      Number(core["lease_expires_at"]) <= now) {
    MarkExpired(core);
    ++result.leases_expired;
  }
  SortedSet& delayed = SetsOf(core).delayed;
  if (delayed.Has(id) && delayed.scores[id] <= now) {
    delayed.scores.erase(id);
    Set(core, {{"lifecycle_phase", "runnable"},
               {"ownership_state", "unowned"},
               {"eligibility_state", "eligible_now"},
               {"blocking_reason", "waiting_for_worker"},
               {"terminal_outcome", "none"},
               {"public_state", "waiting"},
               {"delay_until", ""}});
    MakeEligible(core);
    ++result.promoted;
  }
  return result;
}

Outcome ModelLedger::Forget(const ExecutionIdView& id) {
  Hash* core = Core(id);
  if (core == nullptr) {
    return {ClaimError::kExecutionNotFound};
  }
  if ((*core)["lifecycle_phase"] != "terminal") {
    return {ClaimError::kInvalidInput};
  }
  SetsOf(*core).terminal.scores.erase(IdText(id));
  grants_.erase(IdText(id));
  retry_policies_.erase(IdText(id));
  cores_.erase(IdText(id));
  return {};
}

std::optional<ExecutionState> ModelLedger::Inspect(const ExecutionIdView& id) noexcept {
  Hash* found = Core(id);
  if (found == nullptr) {
    return std::nullopt;
  }
  Hash& core = *found;
  const std::string text = IdText(id);
  ExecutionState state;
  state.lifecycle_phase = Word(core["lifecycle_phase"]);
  state.ownership_state = Word(core["ownership_state"]);
  state.eligibility_state = Word(core["eligibility_state"]);
  state.blocking_reason = Word(core["blocking_reason"]);
  state.terminal_outcome = Word(core["terminal_outcome"]);
  state.attempt_state = Word(core["attempt_state"]);
  state.public_state = Word(core["public_state"]);
  state.priority = Number(core["priority"]);
  state.created_at = {Number(core["created_at"])};
  state.total_attempt_count = static_cast<std::uint32_t>(Number(core["total_attempt_count"]));
  state.lease_reclaim_count = static_cast<std::uint32_t>(Number(core["lease_reclaim_count"]));
  state.retry_count = static_cast<std::uint32_t>(Number(core["retry_count"]));
  state.current_lease_epoch = {static_cast<std::uint64_t>(Number(core["current_lease_epoch"]))};
  state.lease_current = leases_.count(text) != 0;
  if (!core["current_lease_id"].empty()) {
    state.current_lease_id = LeaseId{UuidOf(core["current_lease_id"])};
  }
  if (!core["current_attempt_id"].empty()) {
    state.current_attempt_id = AttemptId{UuidOf(core["current_attempt_id"])};
  }
  state.current_attempt_index = {static_cast<std::uint32_t>(Number(core["current_attempt_index"]))};
  state.lease_acquired_at = OptionalTime(core, "lease_acquired_at");
  state.lease_expires_at = OptionalTime(core, "lease_expires_at");
  state.lease_last_renewed_at = OptionalTime(core, "lease_last_renewed_at");
  state.lease_renewal_deadline = OptionalTime(core, "lease_renewal_deadline");
  if (Hash* grant = Grant(text)) {
    state.has_grant = true;
    state.grant_created_at = OptionalTime(*grant, "created_at");
    state.grant_expires_at = OptionalTime(*grant, "grant_expires_at");
  }
  state.delay_until = OptionalTime(core, "delay_until");
  state.last_capability_mismatch_at = OptionalTime(core, "last_capability_mismatch_at");
  const LaneSets& sets = SetsOf(core);
  state.in_eligible = sets.eligible.Has(text);
  state.in_delayed = sets.delayed.Has(text);
  state.in_active = sets.active.Has(text);
  state.in_suspended = sets.suspended.Has(text);
  state.in_terminal = sets.terminal.Has(text);
  state.in_lease_expiry = LeaseExpiry(core).Has(text);
  return state;
}

std::optional<ExecutionNames> ModelLedger::InspectNames(const ExecutionIdView& id) {
  Hash* core = Core(id);
  if (core == nullptr) {
    return std::nullopt;
  }
  ExecutionNames names;
  names.required_capabilities = (*core)["required_capabilities"];
  if (Hash* grant = Grant(IdText(id))) {
    names.grant_worker_id = (*grant)["worker_id"];
    names.grant_worker_instance_id = (*grant)["worker_instance_id"];
    names.grant_lane_id = (*grant)["lane_id"];
    names.capability_hash = (*grant)["capability_hash"];
    names.route_snapshot_json = (*grant)["route_snapshot_json"];
    names.admission_summary = (*grant)["admission_summary"];
  }
  names.current_worker_id = (*core)["current_worker_id"];
  names.current_worker_instance_id = (*core)["current_worker_instance_id"];
  // The hash keeps the last lease's lane, which the embedded ledger forgets.
  if ((*core)["lifecycle_phase"] == "active") {
    names.current_lane = (*core)["current_lane"];
  }
  return names;
}

void ModelLedger::IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                   std::span<IssueOutcome> outcomes) noexcept {
  for (std::size_t i = 0; i < args.size(); ++i) {
    outcomes[i] = IssueClaimGrant(args[i]);
  }
}

void ModelLedger::ClaimBatch(std::span<const ClaimArgs> args,
                             std::span<ClaimOutcome> outcomes) noexcept {
  for (std::size_t i = 0; i < args.size(); ++i) {
    outcomes[i] = Claim(args[i]);
  }
}

}  // namespace ffgrant::testing
