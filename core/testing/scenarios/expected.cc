// SPDX-License-Identifier: Apache-2.0

#include "testing/scenarios/expected.h"

#include <algorithm>
#include <charconv>

namespace ffgrant::claims_conformance {
namespace {

std::optional<std::int64_t> ParseNumber(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

std::int64_t TwoThirds(std::int64_t ttl_ms) {
  const std::int64_t twice = 2 * ttl_ms;
  return twice / 3 - (twice % 3 < 0 ? 1 : 0);
}

// ---- values --------------------------------------------------------------------

Value Value::Time(const Moment& moment, std::int64_t offset) {
  Value value("");
  value.kind_ = Kind::kTime;
  value.moment_ = moment;
  value.offset_ = offset;
  return value;
}

Value Value::Anything() {
  Value value("");
  value.kind_ = Kind::kAnything;
  return value;
}

bool Value::Matches(const std::string& text) const {
  switch (kind_) {
    case Kind::kText:
      return text == text_;
    case Kind::kAnything:
      return true;
    case Kind::kTime:
      break;
  }
  const std::optional<std::int64_t> time = ParseNumber(text);
  return time.has_value() && std::to_string(*time) == text && moment_.Is(*time - offset_);
}

bool Value::MatchesTime(std::int64_t time) const { return Matches(std::to_string(time)); }

std::string Value::Text() const {
  switch (kind_) {
    case Kind::kText:
      return text_;
    case Kind::kAnything:
      return "(anything)";
    case Kind::kTime:
      break;
  }
  return moment_.Text(offset_);
}

// ---- grants and names ----------------------------------------------------------

Presence PresenceOf(const std::optional<ExpectedGrant>& grant, std::int64_t before,
                    std::int64_t after, bool exact_time) {
  if (!grant.has_value() || before > grant->issued.latest() + grant->ttl_ms) {
    return Presence::kGone;
  }
  const std::int64_t last_certain = grant->issued.earliest() + grant->ttl_ms - (exact_time ? 0 : 1);
  return after <= last_certain ? Presence::kThere : Presence::kEither;
}

Expected::Expected(std::string id_text, std::string lane_text)
    : id(std::move(id_text)), lane(std::move(lane_text)), tag_(id.substr(0, id.find('}') + 1)) {}

std::string Expected::ExecutionKey(std::string_view role) const {
  return "ff:exec:" + tag_ + ":" + id + ":" + std::string(role);
}
std::string Expected::AttemptKey(std::size_t index) const {
  return "ff:attempt:" + tag_ + ":" + id + ":" + std::to_string(index);
}
std::string Expected::LaneKey(std::string_view role) const { return LaneKey(role, lane); }
std::string Expected::LaneKey(std::string_view role, std::string_view of_lane) const {
  return "ff:idx:" + tag_ + ":lane:" + std::string(of_lane) + ":" + std::string(role);
}
std::string Expected::IndexKey(std::string_view role) const {
  return "ff:idx:" + tag_ + ":" + std::string(role);
}
std::string Expected::WorkerLeasesKey(std::string_view instance) const {
  return "ff:idx:" + tag_ + ":worker:" + std::string(instance) + ":leases";
}

Value Expected::Get(const std::string& name) const {
  const auto field = core.find(name);
  return field == core.end() ? Value("") : field->second;
}

std::string Expected::Field(const std::string& name) const { return Get(name).Text(); }

std::int64_t Expected::Count(const std::string& name) const {
  return ParseNumber(Field(name)).value_or(0);
}

void Expected::Set(std::initializer_list<std::pair<const char*, Value>> fields) {
  for (const auto& [name, value] : fields) {
    core.insert_or_assign(name, value);
    written.insert(name);
  }
}

Value Expected::EligibleScore() const {
  const Value created = Get("created_at");
  return Value::Time(created.moment(),
                     created.offset() - Count("priority") * std::int64_t{1'000'000'000'000});
}

Record Expected::Event(const char* name, const Moment& at) const {
  return {{"event", name},
          {"lease_id", Field("current_lease_id")},
          {"lease_epoch", Field("current_lease_epoch")},
          {"attempt_index", Field("current_attempt_index")},
          {"attempt_id", Field("current_attempt_id")},
          {"worker_id", Field("current_worker_id")},
          {"ts", Value::Time(at)}};
}

// ---- create ----------------------------------------------------------------------

void Expected::Created(const Moment& at, std::int64_t priority, const std::string& required,
                       std::optional<std::int64_t> delay_until) {
  exists = true;
  const std::string until = delay_until.has_value() ? std::to_string(*delay_until) : "";
  const bool delayed = delay_until.has_value();
  for (const char* empty : {"current_attempt_index",
                            "current_attempt_id",
                            "current_lease_id",
                            "current_worker_id",
                            "current_worker_instance_id",
                            "started_at",
                            "completed_at",
                            "lease_acquired_at",
                            "lease_expires_at",
                            "lease_last_renewed_at",
                            "lease_renewal_deadline",
                            "lease_expired_at",
                            "lease_revoked_at",
                            "lease_revoke_reason",
                            "current_suspension_id",
                            "current_waitpoint_id",
                            "pending_retry_reason",
                            "pending_replay_reason",
                            "pending_replay_requested_by",
                            "pending_previous_attempt_index",
                            "progress_pct",
                            "progress_message",
                            "progress_updated_at",
                            "flow_id"}) {
    Set({{empty, ""}});
  }
  Set({{"execution_id", id},
       {"lane_id", lane},
       {"current_lane", lane},
       {"partition_id", tag_.substr(4, tag_.size() - 5)},
       {"namespace", Value::Anything()},
       {"execution_kind", Value::Anything()},
       {"creator_identity", Value::Anything()},
       {"priority", Value::Number(std::clamp<std::int64_t>(priority, 0, 9000))},
       {"lifecycle_phase", "runnable"},
       {"ownership_state", "unowned"},
       {"eligibility_state", delayed ? "not_eligible_until_time" : "eligible_now"},
       {"blocking_reason", delayed ? "waiting_for_delay" : "waiting_for_worker"},
       {"blocking_detail", delayed ? "delayed until " + until : ""},
       {"terminal_outcome", "none"},
       {"attempt_state", "pending_first_attempt"},
       {"public_state", delayed ? "delayed" : "waiting"},
       {"total_attempt_count", "0"},
       {"current_lease_epoch", "0"},
       {"retry_count", "0"},
       {"replay_count", "0"},
       {"lease_reclaim_count", "0"},
       {"created_at", Value::Time(at)},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)},
       {"delay_until", until}});
  if (!required.empty()) Set({{"required_capabilities", required}});
  if (delayed) {
    const bool exact = *delay_until >= -kMaxExactScore && *delay_until <= kMaxExactScore;
    sorted_sets.insert_or_assign(LaneKey("delayed"),
                                 exact ? until : std::to_string(static_cast<double>(*delay_until)));
  } else {
    sorted_sets.insert_or_assign(LaneKey("eligible"), EligibleScore());
  }
}

// ---- 7.1 -------------------------------------------------------------------------

void Expected::Granted(const Moment& at, const Record& opaque, const Worker& worker,
                       const std::string& grant_lane, std::int64_t ttl_ms) {
  // A key whose expiry is not in the future is gone at once (functions 5, edge 7).
  if (ttl_ms <= 0) return;
  Record fields = opaque;
  fields.insert_or_assign("worker_id", worker.id);
  fields.insert_or_assign("worker_instance_id", worker.instance);
  fields.insert_or_assign("lane_id", grant_lane);
  fields.insert_or_assign("created_at", Value::Time(at));
  fields.insert_or_assign("grant_expires_at", Value::Time(at, ttl_ms));
  grant = ExpectedGrant{fields, at, ttl_ms};
}

void Expected::CapabilityMismatch(const Moment& at) {
  Set({{"last_capability_mismatch_at", Value::Time(at)}});
}

// ---- leases ------------------------------------------------------------------------

void Expected::TakeLease(const Moment& at, const NewLease& taken, const std::string& attempt_id) {
  const Value epoch = Value::Number(Count("current_lease_epoch") + 1);
  const Value expires = Value::Time(at, taken.ttl_ms);
  const Value deadline = Value::Time(at, TwoThirds(taken.ttl_ms));
  grant.reset();
  lease = Record{{"lease_id", taken.lease_id},
                 {"lease_epoch", epoch},
                 {"execution_id", id},
                 {"attempt_id", attempt_id},
                 {"worker_id", taken.worker.id},
                 {"worker_instance_id", taken.worker.instance},
                 {"acquired_at", Value::Time(at)},
                 {"expires_at", expires},
                 {"last_renewed_at", Value::Time(at)},
                 {"renewal_deadline", deadline}};
  lease_renewed.reset();
  Set({{"lifecycle_phase", "active"},
       {"ownership_state", "leased"},
       {"eligibility_state", "not_applicable"},
       {"blocking_reason", "none"},
       {"blocking_detail", ""},
       {"terminal_outcome", "none"},
       {"attempt_state", "running_attempt"},
       {"public_state", "active"},
       {"current_attempt_id", attempt_id},
       {"current_lease_id", taken.lease_id},
       {"current_lease_epoch", epoch},
       {"current_worker_id", taken.worker.id},
       {"current_worker_instance_id", taken.worker.instance},
       {"current_lane", taken.lane},
       {"lease_acquired_at", Value::Time(at)},
       {"lease_expires_at", expires},
       {"lease_last_renewed_at", Value::Time(at)},
       {"lease_renewal_deadline", deadline},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  sorted_sets.erase(LaneKey("eligible"));
  sorted_sets.insert_or_assign(IndexKey("lease_expiry"), expires);
  sorted_sets.insert_or_assign(LaneKey("active", taken.lane), expires);
  worker_sets = {WorkerLeasesKey(taken.worker.instance)};
}

void Expected::NewAttempt(const Moment& at, const NewLease& taken, const char* type) {
  const std::int64_t index = Count("total_attempt_count");
  Set({{"current_attempt_index", Value::Number(index)},
       {"total_attempt_count", Value::Number(index + 1)}});
  attempts.push_back({{"attempt_id", taken.attempt_id},
                      {"execution_id", id},
                      {"attempt_index", Value::Number(index)},
                      {"attempt_type", type},
                      {"attempt_state", "started"},
                      {"created_at", Value::Time(at)},
                      {"started_at", Value::Time(at)},
                      {"lease_id", taken.lease_id},
                      {"lease_epoch", Field("current_lease_epoch")},
                      {"worker_id", taken.worker.id},
                      {"worker_instance_id", taken.worker.instance}});
  attempt_scores.push_back(Value::Time(at));
}

void Expected::Claimed(const Moment& at, const NewLease& taken) {
  const bool is_retry = Field("attempt_state") == "pending_retry_attempt";
  TakeLease(at, taken, taken.attempt_id);
  NewAttempt(at, taken, is_retry ? "retry" : "initial");
  if (is_retry) {
    attempts.back().insert_or_assign("retry_reason", Field("pending_retry_reason"));
    attempts.back().insert_or_assign("previous_attempt_index",
                                     Field("pending_previous_attempt_index"));
    Set({{"pending_retry_reason", ""},
         {"pending_replay_reason", ""},
         {"pending_replay_requested_by", ""},
         {"pending_previous_attempt_index", ""}});
  }
  if (Get("started_at").IsEmpty()) Set({{"started_at", Value::Time(at)}});
  history.push_back(Event("acquired", at));
}

void Expected::ClaimedResumed(const Moment& at, const NewLease& taken) {
  TakeLease(at, taken, Field("current_attempt_id"));
  Set({{"lease_expired_at", ""}, {"lease_revoked_at", ""}, {"lease_revoke_reason", ""}});
  Record& attempt = attempts.back();
  for (const auto& [name, value] : Record{{"attempt_state", "started"},
                                          {"resumed_at", Value::Time(at)},
                                          {"lease_id", taken.lease_id},
                                          {"lease_epoch", Field("current_lease_epoch")},
                                          {"worker_id", taken.worker.id},
                                          {"worker_instance_id", taken.worker.instance},
                                          {"suspended_at", ""},
                                          {"suspension_id", ""}}) {
    attempt.insert_or_assign(name, value);
  }
  Record event = Event("acquired", at);
  event.insert_or_assign("reason", "claim_resumed");
  history.push_back(event);
}

void Expected::Renewed(const Moment& at, std::int64_t ttl_ms) {
  const Value expires = Value::Time(at, ttl_ms);
  const Value deadline = Value::Time(at, TwoThirds(ttl_ms));
  Set({{"lease_last_renewed_at", Value::Time(at)},
       {"lease_renewal_deadline", deadline},
       {"lease_expires_at", expires},
       {"last_mutation_at", Value::Time(at)}});
  lease->insert_or_assign("last_renewed_at", Value::Time(at));
  lease->insert_or_assign("renewal_deadline", deadline);
  lease->insert_or_assign("expires_at", expires);
  lease_renewed = at;
  // The score in the lane's active set is not changed: it stays at the first expiry.
  sorted_sets.insert_or_assign(IndexKey("lease_expiry"), expires);
}

void Expected::MarkedExpired(const Moment& at) {
  Record event = Event("expired", at);
  event.insert_or_assign("worker_instance_id", Field("current_worker_instance_id"));
  history.push_back(event);
  Set({{"ownership_state", "lease_expired_reclaimable"},
       {"blocking_reason", "waiting_for_worker"},
       {"blocking_detail", "lease expired, awaiting reclaim"},
       {"attempt_state", "attempt_interrupted"},
       {"public_state", "active"},
       {"lease_expired_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
}

void Expected::Revoked(const Moment& at) {
  Record event = Event("revoked", at);
  event.insert_or_assign("worker_instance_id", Field("current_worker_instance_id"));
  event.insert_or_assign("reason", Value::Anything());
  history.push_back(event);
  Set({{"ownership_state", "lease_revoked"},
       {"blocking_reason", "waiting_for_worker"},
       {"blocking_detail", Value::Anything()},
       {"attempt_state", "attempt_interrupted"},
       {"public_state", "active"},
       {"lease_revoked_at", Value::Time(at)},
       {"lease_revoke_reason", Value::Anything()},
       {"last_mutation_at", Value::Time(at)}});
  lease.reset();
  sorted_sets.erase(IndexKey("lease_expiry"));
  worker_sets.clear();
}

void Expected::Reclaimed(const Moment& at, const NewLease& taken) {
  const std::string reason = "lease_" + Field("ownership_state");
  const std::string old_index = Field("current_attempt_index");
  const std::string old_epoch = Field("current_lease_epoch");
  Record& old_attempt = attempts.back();
  old_attempt.insert_or_assign("attempt_state", "interrupted_reclaimed");
  old_attempt.insert_or_assign("ended_at", Value::Time(at));
  old_attempt.insert_or_assign("failure_reason", reason);

  sorted_sets.erase(LaneKey("active", Field("current_lane")));
  TakeLease(at, taken, taken.attempt_id);
  NewAttempt(at, taken, "reclaim");
  attempts.back().insert_or_assign("reclaim_reason", reason);
  attempts.back().insert_or_assign("previous_attempt_index", old_index);
  Set({{"lease_expired_at", ""},
       {"lease_revoked_at", ""},
       {"lease_revoke_reason", ""},
       {"lease_reclaim_count", Value::Number(Count("lease_reclaim_count") + 1)}});
  history.push_back({{"event", "reclaimed"},
                     {"old_lease_epoch", old_epoch},
                     {"new_lease_id", taken.lease_id},
                     {"new_lease_epoch", Field("current_lease_epoch")},
                     {"new_attempt_id", taken.attempt_id},
                     {"new_attempt_index", Field("current_attempt_index")},
                     {"worker_id", taken.worker.id},
                     {"ts", Value::Time(at)}});
}

// Does what a suspension, an end of the attempt and too many reclaims have in common. Clears the
// lease's expiry, last renewal and renewal deadline too, unless `keep_in` is "times", as after too
// many reclaims.
void Expected::DropLease(const char* keep_in) {
  sorted_sets.erase(LaneKey("active", Field("current_lane")));
  sorted_sets.erase(IndexKey("lease_expiry"));
  worker_sets.clear();
  lease.reset();
  Set({{"current_lease_id", ""}, {"current_worker_id", ""}, {"current_worker_instance_id", ""}});
  if (std::string_view(keep_in) != "times") {
    Set({{"lease_expires_at", ""}, {"lease_last_renewed_at", ""}, {"lease_renewal_deadline", ""}});
  }
}

void Expected::ReclaimedTooOften(const Moment& at) {
  DropLease("times");
  Set({{"lifecycle_phase", "terminal"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "not_applicable"},
       {"blocking_reason", "none"},
       {"blocking_detail", ""},
       {"terminal_outcome", "failed"},
       {"attempt_state", "attempt_terminal"},
       {"public_state", "failed"},
       {"failure_reason", "max_reclaims_exceeded"},
       {"completed_at", Value::Time(at)},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  sorted_sets.insert_or_assign(LaneKey("terminal"), Value::Time(at));
}

void Expected::Suspended(const Moment& at) {
  Record event = Event("released", at);
  event.erase("worker_id");
  event.insert_or_assign("reason", "suspend");
  history.push_back(event);
  DropLease();
  Set({{"lifecycle_phase", "suspended"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "not_applicable"},
       {"blocking_reason", "waiting_for_signal"},
       {"blocking_detail", Value::Anything()},
       {"terminal_outcome", "none"},
       {"attempt_state", "attempt_interrupted"},
       {"public_state", "suspended"},
       {"current_suspension_id", Value::Anything()},
       {"current_waitpoint_id", Value::Anything()},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  attempts.back().insert_or_assign("attempt_state", "suspended");
  attempts.back().insert_or_assign("suspended_at", Value::Time(at));
  attempts.back().insert_or_assign("suspension_id", Value::Anything());
  sorted_sets.insert_or_assign(LaneKey("suspended"), Value::Anything());
}

void Expected::Resumed(const Moment& at, std::int64_t delay_ms) {
  const bool delayed = delay_ms > 0;
  Set({{"lifecycle_phase", "runnable"},
       {"ownership_state", "unowned"},
       {"eligibility_state", delayed ? "not_eligible_until_time" : "eligible_now"},
       {"blocking_reason", delayed ? "waiting_for_resume_delay" : "waiting_for_worker"},
       {"blocking_detail", delayed ? "resume delay " + std::to_string(delay_ms) + "ms" : ""},
       {"terminal_outcome", "none"},
       {"attempt_state", "attempt_interrupted"},
       {"public_state", delayed ? "delayed" : "waiting"},
       {"current_suspension_id", ""},
       {"current_waitpoint_id", ""},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  sorted_sets.erase(LaneKey("suspended"));
  if (delayed) {
    sorted_sets.insert_or_assign(LaneKey("delayed"), Value::Time(at, delay_ms));
  } else {
    sorted_sets.insert_or_assign(LaneKey("eligible"), EligibleScore());
  }
}

void Expected::Completed(const Moment& at) {
  Record event = Event("released", at);
  event.erase("worker_id");
  event.erase("attempt_id");
  event.insert_or_assign("reason", "completed");
  history.push_back(event);
  DropLease();
  Set({{"lifecycle_phase", "terminal"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "not_applicable"},
       {"blocking_reason", "none"},
       {"blocking_detail", ""},
       {"terminal_outcome", "success"},
       {"attempt_state", "attempt_terminal"},
       {"public_state", "completed"},
       {"lease_expired_at", ""},
       {"lease_revoked_at", ""},
       {"lease_revoke_reason", ""},
       {"completed_at", Value::Time(at)},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  attempts.back().insert_or_assign("attempt_state", "ended_success");
  attempts.back().insert_or_assign("ended_at", Value::Time(at));
  sorted_sets.insert_or_assign(LaneKey("terminal"), Value::Time(at));
}

// ---- fail, and what a scanner does then --------------------------------------------

void Expected::EndAttempt(const Moment& at, const std::string& reason, const std::string& category,
                          const char* why_released) {
  Record event = Event("released", at);
  event.erase("worker_id");
  event.erase("attempt_id");
  event.insert_or_assign("reason", why_released);
  history.push_back(event);
  DropLease();
  Record& attempt = attempts.back();
  attempt.insert_or_assign("attempt_state", "ended_failure");
  attempt.insert_or_assign("ended_at", Value::Time(at));
  attempt.insert_or_assign("failure_reason", reason);
  attempt.insert_or_assign("failure_category", category);
  Set({{"failure_reason", reason},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
}

void Expected::Failed(const Moment& at, const std::string& reason, const std::string& category) {
  EndAttempt(at, reason, category, "failed_terminal");
  Set({{"lifecycle_phase", "terminal"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "not_applicable"},
       {"blocking_reason", "none"},
       {"blocking_detail", ""},
       {"terminal_outcome", "failed"},
       {"attempt_state", "attempt_terminal"},
       {"public_state", "failed"},
       {"completed_at", Value::Time(at)}});
  sorted_sets.insert_or_assign(LaneKey("terminal"), Value::Time(at));
}

void Expected::FailedAndRetried(const Moment& at, const std::string& reason,
                                const std::string& category, std::int64_t delay_until) {
  EndAttempt(at, reason, category, "failed_retry_scheduled");
  const std::string index = Field("current_attempt_index");
  const std::string until = std::to_string(delay_until);
  Set({{"lifecycle_phase", "runnable"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "not_eligible_until_time"},
       {"blocking_reason", "waiting_for_retry_backoff"},
       {"blocking_detail",
        "retry backoff until " + until + " (attempt " + index + " failed: " + reason + ")"},
       {"terminal_outcome", "none"},
       {"attempt_state", "pending_retry_attempt"},
       {"public_state", "delayed"},
       {"pending_retry_reason", reason},
       {"pending_previous_attempt_index", index},
       {"retry_count", Value::Number(Count("retry_count") + 1)},
       {"current_attempt_id", ""},
       {"delay_until", until}});
  sorted_sets.insert_or_assign(LaneKey("delayed"), until);
}

void Expected::Promoted(const Moment& at) {
  Set({{"lifecycle_phase", "runnable"},
       {"ownership_state", "unowned"},
       {"eligibility_state", "eligible_now"},
       {"blocking_reason", "waiting_for_worker"},
       {"blocking_detail", ""},
       {"terminal_outcome", "none"},
       {"public_state", "waiting"},
       {"delay_until", ""},
       {"last_transition_at", Value::Time(at)},
       {"last_mutation_at", Value::Time(at)}});
  sorted_sets.erase(LaneKey("delayed"));
  sorted_sets.insert_or_assign(LaneKey("eligible"), EligibleScore());
}

}  // namespace ffgrant::claims_conformance
