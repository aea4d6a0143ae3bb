// SPDX-License-Identifier: Apache-2.0
//
// Says which state of an execution has to be stored. This file is written from the contract:
// sections 3 and 7 of core/contract/wire-contract.md, sections 2, 3 and 5 of valkey-functions.md,
// stored-state-observed.md and section 1 of live-observed.md. Nothing of a ledger is used here: key
// names and numbers are composed as texts. After each call that changes something, Run notes the
// effect by the function with the effect's name, such as expected.Claimed(...). Which answer the
// call must get is for the scenario to say (run.h).

#ifndef FFGRANT_TESTING_SCENARIOS_EXPECTED_H_
#define FFGRANT_TESTING_SCENARIOS_EXPECTED_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/scenarios/moment.h"

namespace ffgrant::claims_conformance {

// The text of a stored field: a given text, a time, or any text that the client chooses.
class Value {
 public:
  Value(std::string text) : text_(std::move(text)) {}  // NOLINT: a text is one
  Value(const char* text) : text_(text) {}             // NOLINT: a text is one
  static Value Time(const Moment& moment, std::int64_t offset = 0);
  static Value Number(std::int64_t number) { return Value(std::to_string(number)); }
  static Value Anything();

  // The first text that matches a time pins the time.
  bool Matches(const std::string& text) const;
  bool MatchesTime(std::int64_t time) const;  // Matches() of the time in decimal
  bool IsEmpty() const { return kind_ == Kind::kText && text_.empty(); }
  bool IsAnything() const { return kind_ == Kind::kAnything; }
  std::string Text() const;  // for messages
  const Moment& moment() const { return moment_; }
  std::int64_t offset() const { return offset_; }

 private:
  enum class Kind : std::uint8_t { kText, kTime, kAnything };
  Kind kind_ = Kind::kText;
  std::string text_;
  Moment moment_;
  std::int64_t offset_ = 0;
};

// Scores of a sorted set are doubles: whole numbers beyond this one may be rounded.
inline constexpr std::int64_t kMaxExactScore = std::int64_t{1} << 53;

using Record = std::map<std::string, Value>;  // a hash, or an entry of a stream

struct Worker {
  std::string id;
  std::string instance;
};

struct ExpectedGrant {
  Record fields;
  Moment issued;
  std::int64_t ttl_ms = 0;
};

// Whether, between two readings of the clock in ms, a grant is certainly gone, is certainly there,
// or may be either. A grant is good in the millisecond of its expiry. But a server that tidies up
// may delete the grant's key in that millisecond (Redis has done so since 7.2), so for that
// millisecond only an exact clock makes certain whether the grant is there.
enum class Presence : std::uint8_t { kGone, kThere, kEither };
Presence PresenceOf(const std::optional<ExpectedGrant>& grant, std::int64_t before,
                    std::int64_t after, bool exact_time);

struct NewLease {
  Worker worker;
  std::string lane;
  std::string lease_id;
  std::string attempt_id;  // for claim and reclaim
  std::int64_t ttl_ms = 0;
};

class Expected {
 public:
  Expected(std::string id, std::string lane);

  // ---- effects, by the section that describes them ----
  void Created(const Moment& at, std::int64_t priority, const std::string& required,
               std::optional<std::int64_t> delay_until);  // functions 2, 3
  void Granted(const Moment& at, const Record& opaque, const Worker& worker,
               const std::string& lane, std::int64_t ttl_ms);    // 7.1, 7.6
  void CapabilityMismatch(const Moment& at);                     // 7.1
  void Claimed(const Moment& at, const NewLease& lease);         // 7.2
  void ClaimedResumed(const Moment& at, const NewLease& lease);  // 7.3
  void Renewed(const Moment& at, std::int64_t ttl_ms);           // 7.4
  void MarkedExpired(const Moment& at);                          // 7.5
  void Revoked(const Moment& at);                                // 7.5
  void Reclaimed(const Moment& at, const NewLease& lease);       // 7.6
  void ReclaimedTooOften(const Moment& at);                      // 7.6
  void Suspended(const Moment& at);
  void Resumed(const Moment& at, std::int64_t delay_ms);
  void Completed(const Moment& at);  // functions 2
  // core/contract/live-observed.md, 1
  void Failed(const Moment& at, const std::string& reason, const std::string& category);
  void FailedAndRetried(const Moment& at, const std::string& reason, const std::string& category,
                        std::int64_t delay_until);
  void Promoted(const Moment& at);
  // A grant disappears by itself when its time has ended (7.7, 6).
  void GrantGone() { grant.reset(); }

  // The fields of the core that effects have set since the caller last cleared this.
  std::set<std::string> written;

  // ---- what is there ----
  bool exists = false;
  std::string id;
  std::string lane;
  Record core;
  std::optional<ExpectedGrant> grant;
  std::optional<Record> lease;               // lease:current
  std::optional<Moment> lease_renewed;       // last renewal; if set, the lease's key has an expiry
  std::map<std::string, Value> sorted_sets;  // key -> score; the execution is in no others
  std::set<std::string> worker_sets;         // keys of the instances' sets that have the execution
  std::vector<Record> attempts;              // by attempt index
  std::vector<Value> attempt_scores;
  std::vector<Record> history;  // lease:history, oldest first

  // ---- names (contract 3) ----
  const std::string& tag() const { return tag_; }
  std::string ExecutionKey(std::string_view role) const;  // ff:exec:T:E:<role>
  std::string AttemptKey(std::size_t index) const;        // ff:attempt:T:E:<index>
  std::string LaneKey(std::string_view role) const;       // of the execution's own lane
  std::string LaneKey(std::string_view role, std::string_view of_lane) const;
  std::string IndexKey(std::string_view role) const;  // ff:idx:T:<role>
  std::string WorkerLeasesKey(std::string_view instance) const;

  Value Get(const std::string& name) const;          // a field of the core; empty if there is none
  std::string Field(const std::string& name) const;  // as a text
  std::int64_t Count(const std::string& name) const;

 private:
  void Set(std::initializer_list<std::pair<const char*, Value>> fields);
  void TakeLease(const Moment& at, const NewLease& lease, const std::string& attempt_id);
  void NewAttempt(const Moment& at, const NewLease& lease, const char* type);
  void DropLease(const char* keep_in = "");
  Record Event(const char* name, const Moment& at) const;
  void EndAttempt(const Moment& at, const std::string& reason, const std::string& category,
                  const char* why_released);
  Value EligibleScore() const;

  std::string tag_;
};

// Returns floor(2 * ttl / 3), also for a negative ttl.
std::int64_t TwoThirds(std::int64_t ttl_ms);

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_EXPECTED_H_
