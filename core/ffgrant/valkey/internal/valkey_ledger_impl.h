// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_INTERNAL_VALKEY_LEDGER_IMPL_H_
#define FFGRANT_VALKEY_INTERNAL_VALKEY_LEDGER_IMPL_H_

#include <cstdint>
#include <cstring>

#include "ffgrant/claims/internal/scan_places.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/internal/argument_checks.h"
#include "ffgrant/valkey/internal/claim_commands.h"
#include "ffgrant/valkey/internal/claim_keys.h"
#include "ffgrant/valkey/internal/claim_replies.h"
#include "ffgrant/valkey/internal/session.h"
#include "ffgrant/valkey/valkey_ledger.h"

namespace ffgrant::valkey {

class ValkeyLedger::Impl {
 public:
  // Throws std::invalid_argument for options out of range.
  explicit Impl(const ValkeyLedgerOptions& o);

  // The key by which FindClaim() asks for the claim that was to create the lease `lease_id`.
  static internal::CommandKey KeyOf(const LeaseId& lease_id) noexcept {
    std::uint64_t halves[2];
    static_assert(sizeof halves == sizeof lease_id.uuid.bytes);
    std::memcpy(halves, lease_id.uuid.bytes.data(), sizeof halves);
    const std::uint64_t key = halves[0] ^ (halves[1] * 0x9E3779B97F4A7C15);
    return key == internal::kNoKey || key == internal::kEveryKey ? 1 : key;
  }

  // Makes one call of a function. If `refusal` is an error, the call ends with that error and is
  // not sent. If the call is a claim, `key` is the claim's key.
  template <class Result, class Write, class Read>
  Result Call(const ExecutionIdView& id, ClaimError refusal, ErrorDetails* details,
              const Write& write, const Read& read,
              internal::CommandKey key = internal::kNoKey) noexcept {
    Result outcome;
    outcome.error = refusal;
    if (refusal != ClaimError::kNone) return outcome;
    internal::SessionPool::Lease lease = sessions.Take();
    CallOn(lease.session, id, details, outcome, write, read, key);
    return outcome;
  }

  template <class Result, class Write, class Read>
  static void CallOn(internal::Session& session, const ExecutionIdView& id, ErrorDetails* details,
                     Result& outcome, const Write& write, const Read& read,
                     internal::CommandKey key = internal::kNoKey) noexcept {
    const ClaimError failure = CallAndWait(
        session, HashSlot(id.partition()), false, details,
        [&](internal::RespCommand& command) { write(session, command); },
        [&](const internal::Reply& reply) { return read(reply, outcome); }, key);
    if (failure != ClaimError::kNone) outcome.error = failure;
  }

  // Does what Call() does, but first reads the values of session.hints from the core hash.
  template <class Result, class Write, class Read>
  Result CallWithHints(const ExecutionIdView& id, ClaimError refusal, ErrorDetails* details,
                       const Write& write, const Read& read,
                       internal::CommandKey key = internal::kNoKey) noexcept {
    Result outcome;
    outcome.error = refusal;
    if (refusal != ClaimError::kNone) return outcome;
    internal::SessionPool::Lease lease = sessions.Take();
    outcome.error = ReadHintsOf(lease.session, id, details);
    if (outcome) CallOn(lease.session, id, details, outcome, write, read, key);
    return outcome;
  }

  static ClaimError ReadHintsOf(internal::Session& session, const ExecutionIdView& id,
                                ErrorDetails* details) noexcept;

  // Issues a grant and, right afterwards, reads the grant's expiry.
  void Issue(internal::Session& session, const IssueGrantArgs& args, ErrorDetails* details,
             IssueOutcome& outcome) noexcept;
  // Reads the time of the server that has the execution `id`.
  static ClaimError ReadTime(internal::Session& session, const ExecutionIdView& id,
                             ErrorDetails* details, TimestampMs& now) noexcept;
  // Moves an execution that was created just now from the delayed set to the eligible set.
  static ClaimError MoveToEligible(internal::Session& session, const ExecutionIdView& id,
                                   LaneIdView lane, ErrorDetails* details) noexcept;

  const PartitionConfig& partitions() const noexcept { return options.defaults.partitions; }

  const ValkeyLedgerOptions options;
  internal::SessionPool sessions;
  ffgrant::internal::ScanPlaces scans;
};

}  // namespace ffgrant::valkey

#endif  // FFGRANT_VALKEY_INTERNAL_VALKEY_LEDGER_IMPL_H_
