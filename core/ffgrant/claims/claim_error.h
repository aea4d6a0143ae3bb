// SPDX-License-Identifier: Apache-2.0
//
// Lists the errors of the claim path (contract 8).

#ifndef FFGRANT_CLAIMS_CLAIM_ERROR_H_
#define FFGRANT_CLAIMS_CLAIM_ERROR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

enum class ClaimError : std::uint8_t {
  kNone,
  // These are the store's own codes. ErrorName() returns the code on the wire.
  kExecutionNotFound,
  kExecutionNotEligible,
  kExecutionNotInEligibleSet,
  kGrantAlreadyExists,
  kCapabilityMismatch,   // detail: sorted missing tokens, comma-joined
  kInvalidCapabilities,  // detail, for example `worker:too_many_tokens`
  kInvalidInput,         // detail: which argument and why
  kInvalidPolicyJson,    // detail
  kExecutionNotLeaseable,
  kLeaseConflict,
  kInvalidClaimGrant,
  kClaimGrantExpired,
  kUseClaimResumedExecution,
  kNotAResumedExecution,
  kNoEligibleExecution,
  kActiveAttemptExists,
  kExecutionNotReclaimable,
  kNoActiveLease,
  kMaxRetriesExhausted,  // detail: the cap
  kStaleLease,           // Revoke() adds a detail
  kLeaseExpired,
  kLeaseRevoked,
  kExecutionNotActive,  // details: outcome, epoch, phase, attempt id
  kExecutionNotSuspended,
  kFenceRequired,
  kPartialFenceTriple,
  kAttemptNotInCreatedState,
  // The library's own codes, which a store never sends.
  kNothingInWindow,      // nothing was found, but the call did not look at everything
  kLedgerFull,           // the capacity fixed at construction is used up
  kWorkerAtCapacity,     // no permit; the grant was not touched
  kInvalidPartitionKey,  // the worker itself refused the grant's partition key
  kGrantMismatch,        // the grant isn't for this execution or lane
  kUnknownCode,          // the store answered with an error or a code that this list does not have
  kUnknownOutcome,       // no answer came, or a claim was answered with an error: the call
                         // may or may not have happened
  kUnavailable,          // nothing was sent, or the store refused to serve
};

// Returns the code on the wire, such as "execution_not_found"; for our own
// codes a name such as "ledger_full"; for kNone "none".
std::string_view ErrorName(ClaimError error) noexcept;

// Returns the error whose wire code is `code`; empty for an unknown code and
// for codes that a store never sends.
std::optional<ClaimError> ClaimErrorFromCode(std::string_view code) noexcept;

// The reference classifies its codes in two tables, which disagree on some codes (contract 8, bold
// rows): ScriptClass() follows its script's table, and EngineClass() its engine's table.
enum class ErrorClassification : std::uint8_t { kTerminal, kRetryable, kInformational, kBug };
std::string_view ErrorClassificationName(ErrorClassification c) noexcept;
ErrorClassification ScriptClass(ClaimError error) noexcept;
ErrorClassification EngineClass(ClaimError error) noexcept;

// The details that come with a code, as texts in order, held by value. The longest detail that the
// contract has is a list of capability tokens, of at most kMaxCapabilityCsvSize (4096) bytes.
class ErrorDetails {
 public:
  static constexpr std::size_t kMaxDetails = 4;
  static constexpr std::size_t kMaxBytes = 4608;

  std::size_t size() const noexcept { return size_; }
  std::string_view operator[](std::size_t i) const noexcept {
    return {bytes_.data() + begin_[i], static_cast<std::size_t>(begin_[i + 1] - begin_[i])};
  }
  void clear() noexcept { size_ = 0; }
  // Appends a detail. Returns false, and changes nothing, if it does not fit or there are
  // kMaxDetails details already.
  bool Add(std::string_view text) noexcept;
  bool Add(std::uint64_t number) noexcept;

 private:
  std::array<char, kMaxBytes> bytes_;
  std::array<std::uint16_t, kMaxDetails + 1> begin_{};
  std::size_t size_ = 0;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_CLAIM_ERROR_H_
