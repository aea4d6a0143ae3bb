// SPDX-License-Identifier: Apache-2.0
//
// What the functions answer:
//
//   [1, "OK" | "DUPLICATE" | "ALREADY_SATISFIED", field...]
//   [0, "<code>", detail...]
//   -ERR ...                          a fault of the function itself
//
// Every reader returns false, and leaves `out` as it was, for an answer that
// can't be one to its command: another shape, or other ids than were sent. An
// unknown code, and a fault, are kUnknownCode with their texts as details.

#ifndef FFGRANT_VALKEY_INTERNAL_CLAIM_REPLIES_H_
#define FFGRANT_VALKEY_INTERNAL_CLAIM_REPLIES_H_

#include <optional>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/valkey/internal/claim_commands.h"
#include "ffgrant/valkey/internal/reply.h"

namespace ffgrant::valkey::internal {

struct FunctionReply {
  enum class Kind : std::uint8_t { kOk, kDuplicate, kAlreadySatisfied, kRejected };
  Kind kind = Kind::kOk;
  ClaimError error = ClaimError::kNone;  // of kRejected
  std::span<const Reply> fields;         // behind the word; all of kind kString
  std::optional<std::string_view> Field(std::size_t i) const noexcept {
    if (i >= fields.size()) return std::nullopt;
    return fields[i].text;
  }
};

// Empty if it is no function's answer. `details`, where given, is cleared and
// gets those of a rejection.
std::optional<FunctionReply> ReadFunctionReply(const Reply& reply, ErrorDetails* details) noexcept;

bool ReadCreate(const Reply& reply, const ExecutionIdView& id, ErrorDetails* details,
                CreateOutcome& out) noexcept;
// Reads the answer of ff_issue_claim_grant, which has no expiry, or of
// ff_issue_reclaim_grant, which has one.
bool ReadIssue(const Reply& reply, std::string_view id, bool has_expiry, ErrorDetails* details,
               IssueOutcome& out) noexcept;
// `attempt_id`: empty where the call keeps the one that is there.
bool ReadClaim(const Reply& reply, const LeaseId& lease_id,
               const std::optional<AttemptId>& attempt_id, ErrorDetails* details,
               ClaimOutcome& out) noexcept;
// Neither expiry, attempt id nor kind are in this answer: the first two are
// filled in by what was sent where the attempt is new.
bool ReadIssueAndClaim(const Reply& reply, const LeaseId& lease_id, const AttemptId& attempt_id,
                       ErrorDetails* details, ClaimOutcome& out) noexcept;
bool ReadRenew(const Reply& reply, ErrorDetails* details, RenewOutcome& out) noexcept;
bool ReadMarkExpired(const Reply& reply, MarkExpiredOutcome& out) noexcept;
bool ReadRevoke(const Reply& reply, ErrorDetails* details, RevokeOutcome& out) noexcept;
bool ReadResume(const Reply& reply, ErrorDetails* details, ResumeOutcome& out) noexcept;
// Part of a millisecond, which a policy may bring along, is rounded up: it is eligible only then.
bool ReadFail(const Reply& reply, ErrorDetails* details, FailOutcome& out) noexcept;
// The word behind "OK" must be `word`; empty: it doesn't matter.
bool ReadWord(const Reply& reply, std::string_view word, ErrorDetails* details,
              Outcome& out) noexcept;

// Reads the answer to WriteReadHints. kExecutionNotFound in `error` if there is no such hash.
bool ReadHints(const Reply& reply, CoreHints& out, ClaimError& error) noexcept;

// Decimal text; empty, and false, for anything else.
std::optional<std::int64_t> ReadInteger(std::string_view text) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLAIM_REPLIES_H_
