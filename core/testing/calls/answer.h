// SPDX-License-Identifier: Apache-2.0
//
// Holds the answer of a ledger to any call, as a value that can be kept, compared and shown. A
// field that means nothing for an outcome is left empty, so that two answers are equal if they say
// the same.

#ifndef FFGRANT_TESTING_CALLS_ANSWER_H_
#define FFGRANT_TESTING_CALLS_ANSWER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::testing {

// A grant as a scheduler gets it, with copies of its texts.
struct ChosenGrant {
  ExecutionId execution_id;
  std::string partition_key;
  std::string grant_key;
  std::uint64_t expires_at_ms = 0;
  friend bool operator==(const ChosenGrant&, const ChosenGrant&) = default;
};

// How far a scheduler has looked, counted in partitions.
struct Looked {
  std::uint32_t partitions = 0;
  std::uint32_t seen = 0;
  std::uint32_t unreachable = 0;
  friend bool operator==(const Looked&, const Looked&) = default;
};

// The work that one round of maintenance did.
struct Maintained {
  std::size_t leases_expired = 0;
  std::size_t promoted = 0;
  friend bool operator==(const Maintained&, const Maintained&) = default;
};

struct Answer {
  ClaimError error = ClaimError::kNone;
  std::optional<CreateOutcome::Status> created;
  AlreadySatisfied already = AlreadySatisfied::kNo;
  bool delayed = false;
  std::optional<TimestampMs> expires_at;  // of a grant, or of a renewed lease
  std::optional<TimestampMs> retry_at;    // of a failure that is retried
  std::optional<ChosenGrant> chosen;
  std::optional<Looked> looked;       // set by ClaimForWorker, whether or not it found something
  std::optional<Lease> lease;         // the lease that was created
  std::optional<LeaseFence> revoked;  // without the attempt id
  std::optional<ExecutionState> state;
  std::optional<ExecutionNames> names;
  std::optional<Maintained> maintained;
  std::size_t size = 0;
  std::vector<std::string> details;

  bool ok() const { return error == ClaimError::kNone; }
  friend bool operator==(const Answer&, const Answer&) = default;
};

// Returns an answer without details.
Answer AnswerOf(const Outcome& outcome);
Answer AnswerOf(const CreateOutcome& outcome);
Answer AnswerOf(const IssueOutcome& outcome);
Answer AnswerOf(const ClaimForWorkerOutcome& outcome);
Answer AnswerOf(const ClaimOutcome& outcome);
Answer AnswerOf(const RenewOutcome& outcome);
Answer AnswerOf(const MarkExpiredOutcome& outcome);
Answer AnswerOf(const RevokeOutcome& outcome);
Answer AnswerOf(const ResumeOutcome& outcome);
Answer AnswerOf(const FailOutcome& outcome);
Answer AnswerOf(std::optional<ExecutionState> state);
Answer AnswerOf(std::optional<ExecutionNames> names);

// Returns the outcome's word if it has one, such as "waiting", "duplicate", "already_expired",
// "delayed" or "retry"; otherwise the name of the error, such as "none" or "stale_lease".
std::string_view Word(const Answer& answer);
// Returns the word, and everything else that the answer says.
std::string Describe(const Answer& answer);
std::string Describe(const std::optional<ExecutionState>& state);
std::string Describe(const std::optional<ExecutionNames>& names);

// Returns a name for the kind of state that an execution is in: "absent", "created_granted",
// "leased"... A lease that has run out at `now` and is not marked as expired is "due".
std::string StateName(const std::optional<ExecutionState>& state, TimestampMs now);

std::string UuidText(const Uuid& uuid);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_ANSWER_H_
