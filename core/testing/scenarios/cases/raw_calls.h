// SPDX-License-Identifier: Apache-2.0
//
// Builds calls and makes them by FCALL, without the ledger. KEYS and ARGV are in the order of
// ffgrant/valkey/functions/README.md, with any texts that a client of another make might send.

#ifndef FFGRANT_TESTING_SCENARIOS_CASES_RAW_CALLS_H_
#define FFGRANT_TESTING_SCENARIOS_CASES_RAW_CALLS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "testing/calls/answer.h"
#include "testing/scenarios/run.h"

namespace ffgrant::claims_conformance {

inline const std::string kRawLease = "11111111-1111-4111-8111-111111111111";
inline const std::string kRawAttempt = "22222222-2222-4222-8222-222222222222";
inline const std::string kRawTtl = std::to_string(kLong);

struct RawCall {
  std::vector<std::string> keys;
  std::vector<std::string> args;
};

struct RawCreateOptions {
  std::string priority = "0";
  std::string policy = "{}";
  std::string delay = {};
  std::string dedup_ttl = {};
  std::string tags = "{}";
  std::string deadline = {};
  std::string idempotency = {};
};
inline std::string RawTag(const Execution& e) {
  return e.expected.id.substr(0, e.expected.id.find('}') + 1);
}
inline std::string RawIdempotencyKey(const Execution& e, const std::string& name) {
  return "ff:idem:" + RawTag(e) + ":default:" + name;
}
inline RawCall RawCreate(const Execution& e, const RawCreateOptions& options = {}) {
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.ExecutionKey("payload"), x.ExecutionKey("policy"),
           x.ExecutionKey("tags"), x.LaneKey(options.delay.empty() ? "eligible" : "delayed"),
           options.idempotency.empty() ? "ff:noop:" + RawTag(e)
                                       : RawIdempotencyKey(e, options.idempotency),
           x.IndexKey("execution_deadline"), x.IndexKey("all_executions")},
          {x.id, "default", x.lane, "task", options.priority, "me", options.policy, "payload",
           options.delay, options.dedup_ttl, options.tags, options.deadline, "7"}};
}

inline RawCall RawIssue(Run& run, const Execution& e, const std::string& ttl = kRawTtl,
                        const std::string& offered = "") {
  const Worker worker = run.Named(kWorker1);
  return {{e.expected.ExecutionKey("core"), e.expected.ExecutionKey("claim_grant"),
           e.expected.LaneKey("eligible")},
          {e.expected.id, worker.id, worker.instance, e.expected.lane, "", ttl, "", "", offered}};
}

struct RawClaimOptions {
  std::string ttl = kRawTtl;
  std::string renew_before = kRawTtl;
  std::string policy = {};
  std::string timeout = {};
  std::string deadline = {};
  std::size_t attempt = 0;  // the index that the attempt will have
};
inline RawCall RawClaim(Run& run, const Execution& e, const RawClaimOptions& options = {}) {
  const Worker worker = run.Named(kWorker1);
  const Expected& x = e.expected;
  const std::string attempt = x.AttemptKey(options.attempt);
  return {{x.ExecutionKey("core"), x.ExecutionKey("claim_grant"), x.LaneKey("eligible"),
           x.IndexKey("lease_expiry"), x.WorkerLeasesKey(worker.instance), attempt,
           attempt + ":usage", attempt + ":policy", x.ExecutionKey("attempts"),
           x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"), x.LaneKey("active"),
           x.IndexKey("attempt_timeout"), x.IndexKey("execution_deadline")},
          {x.id, worker.id, worker.instance, x.lane, "", kRawLease, options.ttl,
           options.renew_before, kRawAttempt, options.policy, options.timeout, options.deadline}};
}

inline RawCall RawClaimResumed(Run& run, const Execution& e, const std::string& timeout = "") {
  const Worker worker = run.Named(kWorker1);
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.ExecutionKey("claim_grant"), x.LaneKey("eligible"),
           x.IndexKey("lease_expiry"), x.WorkerLeasesKey(worker.instance), x.AttemptKey(0),
           x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"), x.LaneKey("active"),
           x.IndexKey("attempt_timeout"), x.IndexKey("execution_deadline")},
          {x.id, worker.id, worker.instance, x.lane, "", kRawLease, kRawTtl, timeout}};
}
// Grants and claims in one call.
inline RawCall RawFusedClaim(Run& run, const Execution& e, const std::string& timeout = "") {
  const Worker worker = run.Named(kWorker1);
  const Expected& x = e.expected;
  return {
      {x.ExecutionKey("core"), x.ExecutionKey("claim_grant"), x.LaneKey("eligible"),
       x.IndexKey("lease_expiry"), x.WorkerLeasesKey(worker.instance), x.ExecutionKey("attempts"),
       x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"), x.LaneKey("active"),
       x.IndexKey("attempt_timeout"), x.IndexKey("execution_deadline")},
      {x.id, worker.id, worker.instance, x.lane, "", kRawLease, kRawTtl, kRawAttempt, "", timeout,
       ""}};
}

// Fails the attempt of a lease that RawClaim() made.
inline RawCall RawFail(Run& run, const Execution& e, std::size_t attempt, const std::string& epoch,
                       const std::string& retry_policy) {
  const Expected& x = e.expected;
  return {
      {x.ExecutionKey("core"), x.AttemptKey(attempt), x.IndexKey("lease_expiry"),
       x.WorkerLeasesKey(run.Named(kWorker1).instance), x.LaneKey("terminal"), x.LaneKey("delayed"),
       x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"), x.LaneKey("active"),
       "ff:stream:" + RawTag(e) + ":" + x.id + ":" + std::to_string(attempt) + ":meta",
       x.IndexKey("attempt_timeout"), x.IndexKey("execution_deadline")},
      {x.id, kRawLease, epoch, kRawAttempt, "no disk", "transient", retry_policy}};
}

// Completes the first attempt of an execution whose first lease RawClaim() made.
inline RawCall RawComplete(Run& run, const Execution& e) {
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.AttemptKey(0), x.IndexKey("lease_expiry"),
           x.WorkerLeasesKey(run.Named(kWorker1).instance), x.LaneKey("terminal"),
           x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"), x.LaneKey("active"),
           "ff:stream:" + RawTag(e) + ":" + x.id + ":0:meta", x.ExecutionKey("result"),
           x.IndexKey("attempt_timeout"), x.IndexKey("execution_deadline")},
          {x.id, kRawLease, "1", kRawAttempt, "done"}};
}

// Reclaims an execution whose first attempt was interrupted.
inline RawCall RawReclaim(Run& run, const Execution& e) {
  const Worker worker = run.Named(kWorker1);
  const Expected& x = e.expected;
  return {
      {x.ExecutionKey("core"), x.ExecutionKey("claim_grant"), x.AttemptKey(0),
       "ff:stream:" + RawTag(e) + ":" + x.id + ":0:meta", x.AttemptKey(1),
       x.AttemptKey(1) + ":usage", x.ExecutionKey("attempts"), x.ExecutionKey("lease:current"),
       x.ExecutionKey("lease:history"), x.IndexKey("lease_expiry"),
       x.WorkerLeasesKey(worker.instance), x.LaneKey("active"), x.IndexKey("attempt_timeout"),
       x.IndexKey("execution_deadline")},
      {x.id, worker.id, worker.instance, x.lane, kRawLease, kRawTtl, kRawAttempt, "{}", "1000"}};
}

inline RawCall RawMarkExpired(const Execution& e) {
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.ExecutionKey("lease:current"), x.IndexKey("lease_expiry"),
           x.ExecutionKey("lease:history")},
          {x.id}};
}

inline RawCall RawRevoke(Run& run, const Execution& e) {
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"),
           x.IndexKey("lease_expiry"), x.WorkerLeasesKey(run.Named(kWorker1).instance)},
          {x.id}};
}

inline RawCall RawIssueReclaim(Run& run, const Execution& e, const std::string& offered = "") {
  RawCall call = RawIssue(run, e, kRawTtl, offered);
  call.keys[2] = e.expected.IndexKey("lease_expiry");
  return call;
}

// Renews the execution's last lease.
inline RawCall RawRenew(const Execution& e) {
  const Expected& x = e.expected;
  return {{x.ExecutionKey("core"), x.ExecutionKey("lease:current"), x.ExecutionKey("lease:history"),
           x.IndexKey("lease_expiry")},
          {x.id, std::to_string(e.attempt_index.value), testing::UuidText(e.fence.attempt_id->uuid),
           testing::UuidText(e.fence.lease_id->uuid), std::to_string(e.fence.lease_epoch->value),
           kRawTtl, "5000"}};
}

// Returns a key of this run: on a real server a partition's own secret may belong to somebody else.
inline std::string SecretsKey(Run& run, const Execution& e) {
  return "ff:sec:" + RawTag(e) + ":" + run.Name("hmac");
}
inline RawCall RawRotate(Run& run, const Execution& e, const std::string& kid,
                         const std::string& secret, const std::string& grace = "1000") {
  return {{SecretsKey(run, e)}, {kid, secret, grace}};
}

inline RawCall RawSuspend(Run& run, const Execution& e, const std::string& waitpoint,
                          const std::string& condition = R"({"required_signal_names":["go"]})") {
  const Expected& x = e.expected;
  const std::string wp = "ff:wp:" + RawTag(e) + ":" + waitpoint;
  const Worker worker = run.Named(kWorker1);
  return {
      {x.ExecutionKey("core"), x.AttemptKey(0), x.ExecutionKey("lease:current"),
       x.ExecutionKey("lease:history"), x.IndexKey("lease_expiry"),
       x.WorkerLeasesKey(worker.instance), x.ExecutionKey("suspension:current"), wp,
       wp + ":signals", x.IndexKey("suspension_timeout"), x.IndexKey("pending_waitpoint_expiry"),
       x.LaneKey("active"), x.LaneKey("suspended"), x.ExecutionKey("waitpoints"), wp + ":condition",
       x.IndexKey("attempt_timeout"), SecretsKey(run, e), "ff:noop:" + RawTag(e)},
      {x.id,
       "0",
       testing::UuidText(e.fence.attempt_id->uuid),
       testing::UuidText(e.fence.lease_id->uuid),
       "1",
       "susp-1",
       waitpoint,
       "key-1",
       "waiting_for_signal",
       "worker",
       "",
       condition,
       "{}",
       "",
       "",
       "fail",
       "1000",
       "",
       "0",
       "0"}};
}

// Resumes the execution's suspension.
inline RawCall RawResume(Run& run, const Execution& e) {
  const Expected& x = e.expected;
  const std::string wp = "ff:wp:" + RawTag(e) + ":" +
                         run.store().Hash(x.ExecutionKey("core")).at("current_waitpoint_id");
  return {{x.ExecutionKey("core"), x.ExecutionKey("suspension:current"), wp, wp + ":signals",
           x.IndexKey("suspension_timeout"), x.LaneKey("eligible"), x.LaneKey("delayed"),
           x.LaneKey("suspended")},
          {x.id, "signal", "0"}};
}

// Returns all texts of an answer with spaces between them; "-CODE" for an error.
inline std::string AllTexts(const RawStore::Answer& answer) {
  if (answer.is_error) return "-" + answer.texts[0].substr(0, answer.texts[0].find(' '));
  std::string text;
  for (const std::string& part : answer.texts) text += (text.empty() ? "" : " ") + part;
  return text;
}
// Returns the first two texts of an answer with a space between them; "-CODE" for an error.
inline std::string FirstTexts(RawStore::Answer answer) {
  if (!answer.is_error && answer.texts.size() > 2) answer.texts.resize(2);
  return AllTexts(answer);
}

// Gives the partition of `e` a waitpoint secret, which suspensions need.
inline void InstallSecret(Run& run, const Execution& e, const std::string& secret = "00ff") {
  const RawCall rotate = RawRotate(run, e, "kid", secret);
  run.CheckEqual(
      "rotate", "1 OK",
      FirstTexts(run.store().Call("ff_rotate_waitpoint_hmac_secret", rotate.keys, rotate.args)));
}

// Returns all texts of the answer to a call.
inline std::string AnswerTo(Run& run, const std::string& function, const RawCall& call) {
  return AllTexts(run.store().Call(function, call.keys, call.args));
}
// Expects an answer. If it is a refusal ("0 CODE ..."), makes the call again and expects the same
// refusal, since the first one must have changed nothing.
inline void ExpectRaw(Run& run, const std::string& what, const std::string& expected,
                      const std::string& function, const RawCall& call) {
  run.CheckEqual(what, expected, AnswerTo(run, function, call));
  if (expected.starts_with("0 ")) {
    run.CheckEqual(what + ", again", expected, AnswerTo(run, function, call));
  }
}

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_CASES_RAW_CALLS_H_
