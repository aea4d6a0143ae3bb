// SPDX-License-Identifier: Apache-2.0
//
// Reads what the functions answer:
//
//   [1, "OK" | "DUPLICATE" | "ALREADY_SATISFIED", field...]
//   [0, "<code>", detail...]
//   -ERR ...                          a fault of the function itself
//
// Every reader returns false, and leaves `out` as it was, if the reply can't be an answer to the
// reader's command, because the reply has another shape, a word that is not known, or other ids
// than those that were sent. An unknown code and a fault become kUnknownCode, with their texts as
// details; but in the reply to a claim a fault becomes kUnknownOutcome.

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
  ClaimError error = ClaimError::kNone;  // set with kRejected
  std::span<const Reply> fields;         // what follows the word or the code; all of type kString
  std::optional<std::string_view> Field(std::size_t i) const noexcept {
    if (i >= fields.size()) return std::nullopt;
    return fields[i].text;
  }
};

// Returns nothing if `reply` is no function's answer. If `details` is given, it is cleared and gets
// the details of a rejection.
std::optional<FunctionReply> ReadFunctionReply(const Reply& reply, ErrorDetails* details) noexcept;

bool ReadCreate(const Reply& reply, const ExecutionIdView& id, ErrorDetails* details,
                CreateOutcome& out) noexcept;
// Reads the reply of ff_issue_claim_grant or ff_issue_reclaim_grant. Only ff_issue_reclaim_grant
// replies with an expiry.
bool ReadIssue(const Reply& reply, std::string_view id, bool has_expiry, ErrorDetails* details,
               IssueOutcome& out) noexcept;
// `attempt_id` is empty if the call keeps the attempt that the execution has.
bool ReadClaim(const Reply& reply, const LeaseId& lease_id,
               const std::optional<AttemptId>& attempt_id, ErrorDetails* details,
               ClaimOutcome& out) noexcept;
// Reads an answer that has no expiry, attempt id or kind. `out` gets no expiry, the kind kInitial,
// and the attempt id that was sent. This id is right only for a new attempt.
bool ReadIssueAndClaim(const Reply& reply, const LeaseId& lease_id, const AttemptId& attempt_id,
                       ErrorDetails* details, ClaimOutcome& out) noexcept;
bool ReadRenew(const Reply& reply, ErrorDetails* details, RenewOutcome& out) noexcept;
bool ReadMarkExpired(const Reply& reply, MarkExpiredOutcome& out) noexcept;
bool ReadRevoke(const Reply& reply, ErrorDetails* details, RevokeOutcome& out) noexcept;
bool ReadResume(const Reply& reply, ErrorDetails* details, ResumeOutcome& out) noexcept;
// A policy's delay may have a fraction of a millisecond. The time at which the delay ends is
// rounded up, because the execution is not eligible before that time.
bool ReadFail(const Reply& reply, ErrorDetails* details, FailOutcome& out) noexcept;
// The word after "OK" must be `word`; if `word` is empty, any word will do.
bool ReadWord(const Reply& reply, std::string_view word, ErrorDetails* details,
              Outcome& out) noexcept;

// Reads the answer to the command of WriteReadHints(). Sets `error` to kExecutionNotFound if there
// is no core hash, to kUnknownCode if the server has answered with an error, and else to kNone.
bool ReadHints(const Reply& reply, CoreHints& out, ClaimError& error) noexcept;

// Reads a time that somebody may wait for. A fraction of a millisecond is rounded up, because a
// wait for this time must not end before it. Returns nothing if the text is no decimal number of at
// most 63 characters, or the time does not fit into 64 bits.
std::optional<TimestampMs> ReadTimeToCome(std::string_view text) noexcept;

// Reads a decimal number that fits into 64 bits; returns nothing for anything else.
std::optional<std::int64_t> ReadInteger(std::string_view text) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLAIM_REPLIES_H_
