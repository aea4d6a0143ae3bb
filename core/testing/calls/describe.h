// SPDX-License-Identifier: Apache-2.0
//
// Outcomes and states as text: to compare and to print.

#ifndef FFGRANT_TESTING_CALLS_DESCRIBE_H_
#define FFGRANT_TESTING_CALLS_DESCRIBE_H_

#include <optional>
#include <string>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::testing {

// The first word is the error's or the outcome's own; what follows is all that
// the outcome says. Fields that mean nothing with it are left out.
std::string Describe(const Outcome& outcome);
std::string Describe(const CreateOutcome& outcome);
std::string Describe(const IssueOutcome& outcome);
std::string Describe(const ClaimOutcome& outcome);
std::string Describe(const RenewOutcome& outcome);
std::string Describe(const MarkExpiredOutcome& outcome);
std::string Describe(const RevokeOutcome& outcome);
std::string Describe(const ResumeOutcome& outcome);
std::string Describe(const std::optional<ExecutionState>& state);
std::string Describe(const std::optional<ExecutionNames>& names);

// What an execution can be told apart by: "absent", "created_granted", "due"...
std::string StateName(const std::optional<ExecutionState>& state, TimestampMs now);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_DESCRIBE_H_
