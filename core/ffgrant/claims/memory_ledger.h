// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger implements the claim path in one process, so that nothing has to be
// installed.

#ifndef FFGRANT_CLAIMS_MEMORY_LEDGER_H_
#define FFGRANT_CLAIMS_MEMORY_LEDGER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/config.h"
#include "ffgrant/partition.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct MemoryLedgerOptions {
  // The number of executions held at once, 1..2^31; terminal executions count until they are
  // forgotten. A ledger for a million executions takes about 200 bytes for each, a ledger for
  // 65,536 takes 330 bytes for each. A ledger for 1,000 takes 4 MB in all, most of it for names and
  // texts.
  std::size_t max_executions = 65536;
  // The number of distinct lanes of the executions that are held, 1..4096. The
  // ledger makes a table of lanes x partitions. A lane whose last execution was
  // forgotten makes room.
  std::size_t max_lanes = 64;
  // The number of distinct workers (pairs of worker id and instance id) that
  // live grants and leases refer to, 1..2^24.
  std::size_t max_names = 4096;
  // The number of distinct pairs of required capabilities and retry policy of the executions that
  // are held, 1..65535.
  std::size_t max_capability_sets = 1024;
  // The bytes, in pieces of 60, for those workers, lanes and capability sets
  // whose texts have more than 48 bytes, 1..2^32.
  std::size_t max_name_bytes = 1 << 20;
  // The bytes, in pieces of 60, for texts that only few grants and leases have: opaque texts, and a
  // lane that is not the execution's own. Each execution with such texts takes one piece more.
  // 1..2^32.
  std::size_t max_text_bytes = 1 << 20;
  // The largest number of executions with a grant that ClaimForWorker() passes over in a partition
  // before it goes on to the next partition. At least 1. The next call goes on after these
  // executions.
  std::size_t max_candidates = 1024;
  PartitionConfig partitions = {};
  const Clock* clock = &CounterClock();  // must outlive the ledger
  // The seed with which ids and names are hashed. If it is empty, the seed
  // comes from the operating system, so that nobody can choose ids or names
  // that collide. A number makes runs alike, for benchmarks and tests.
  std::optional<std::uint64_t> hash_seed = {};
};

// The embedded ledger takes canonical execution ids only. It identifies an execution by partition
// and uuid, so that two spellings of one id can't be granted twice (contract 1.8). CreateExecution
// refuses ids that are not canonical with kInvalidInput; the other calls find no execution with
// such an id.
//
//   MemoryLedger ledger({.max_executions = 1000});
//   if (!ledger.CreateExecution({.execution_id = id, .lane = lane})) return;
//   const auto chosen =
//       ledger.ClaimForWorker({.worker = worker, .lane = lane, .grant_ttl_ms = 5000});
//   if (chosen) Send(chosen.grant.view());  // to the worker, who calls Claim()
//
// Threads: any thread may make any call at any time, except the constructor and the destructor.
// Calls about one execution take effect one after the other, each at one moment. ClaimForWorker()
// looks at partitions one after the other, each at a moment of its own.
//
// Memory: the constructor allocates all of it (and throws std::bad_alloc if there is none,
// std::invalid_argument for options out of range). After that only InspectNames() allocates.
//
// Ownership: a call copies what it keeps. The views in its arguments are read only during the call,
// and an outcome does not point to anything. The clock must outlive the ledger.
//
// Cost: as a rule a call costs a search in a hash table and one reading of the clock, and two or
// three cache misses if the execution is not in the processor's cache (results/bench.md has the
// times). A batch has the misses of up to 16 calls under way at once. CreateExecution() and
// Resume() without a delay, ClaimForWorker() and Forget() can also change a queue, and so can
// RunMaintenance() when a delay has ended. The cost of this change is logarithmic in the number of
// executions that wait in the partition and lane, plus a step for each kind of them: executions are
// of one kind if they have the same required capabilities and the same retry policy. The cost of a
// text is linear in its size.
//
// Clock: if the clock is set back, grants and leases live longer by that step (clock.h). And
// ClaimForWorker() passes over an execution that it has once found with a grant until the clock is
// past the end of this grant. So if the grant had run out when the clock was set back, and
// RunMaintenance() or a search for room had taken it away, the execution has no grant and
// ClaimForWorker() nevertheless does not choose it yet. IssueClaimGrant() does not wait.
//
// Blocking: a call does not wait until another call is answered. It waits only for the locks of the
// places that both calls look at. A large ledger has 256 locks of executions and 256 of partitions.
// A thread that finds a lock taken spins for about a microsecond and then sleeps in the kernel
// until the lock is free. A lock is held for some tens of nanoseconds, but longer in these cases:
//  - ClaimForWorker() keeps its partition's lock while it passes over up to max_candidates
//    executions with a grant, puts back into the queue those whose grants have ended, and takes out
//    of the queue those that are no longer eligible. It looks at one execution of each kind to find
//    the first in order, and again for each execution that it passes over, puts back or takes out.
//  - The other calls that change a queue keep its partition's lock while they look at one execution
//    of each kind.
//  - A call keeps the locks that it has while it copies or compares the texts of a grant,
//    capabilities and the ids of a worker. InspectNames() keeps an execution's lock while it
//    allocates.
//  - Calls that find no room look at up to 64 places under one lock.
//
// A call that finds no room answers kLedgerFull. The detail says what is full: "executions",
// "lanes", "capability sets", "names" or "texts". A grant that has run out keeps its name and texts
// until it is replaced, its execution is forgotten, or RunMaintenance() or a call that finds no
// room for a name or a text looks at it. Such a call visits each place at most once. After a search
// that has found nothing, the ledger does not search for the same kind of room again for 100 ms,
// unless some room of this kind was freed.
//
// These are all the errors of each call:
//
//   CreateExecution    kInvalidInput, kLedgerFull
//   IssueClaimGrant    kInvalidInput, kExecutionNotFound, kExecutionNotEligible,
//                      kGrantAlreadyExists, kExecutionNotInEligibleSet, kCapabilityMismatch,
//                      kLedgerFull
//   ClaimForWorker     kInvalidInput, kNoEligibleExecution, kNothingInWindow, kLedgerFull
//   Claim              kInvalidInput, kExecutionNotFound, kExecutionNotLeaseable,
//                      kUseClaimResumedExecution, kInvalidClaimGrant, kLedgerFull
//   ClaimResumed       kInvalidInput, kExecutionNotFound, kExecutionNotLeaseable,
//                      kNotAResumedExecution, kInvalidClaimGrant, kLedgerFull
//   Renew              kInvalidInput, kExecutionNotFound, kFenceRequired, kPartialFenceTriple,
//                      kExecutionNotActive, kLeaseRevoked, kLeaseExpired, kStaleLease
//   Revoke             kExecutionNotFound, kExecutionNotActive, kStaleLease
//   IssueReclaimGrant  kInvalidInput, kExecutionNotFound, kExecutionNotReclaimable,
//                      kGrantAlreadyExists, kCapabilityMismatch, kLedgerFull
//   Reclaim            kInvalidInput, kExecutionNotFound, kExecutionNotReclaimable,
//                      kMaxRetriesExhausted, kInvalidClaimGrant, kLedgerFull
//   Suspend, Complete, Fail
//                      kExecutionNotFound, kFenceRequired, kPartialFenceTriple,
//                      kExecutionNotActive, kLeaseRevoked, kLeaseExpired, kStaleLease
//   Resume             kInvalidInput, kExecutionNotFound, kExecutionNotSuspended
//   Forget             kExecutionNotFound, kInvalidInput
class MemoryLedger final : public ClaimLedger {
 public:
  explicit MemoryLedger(const MemoryLedgerOptions& options);
  ~MemoryLedger() override;
  MemoryLedger(const MemoryLedger&) = delete;
  MemoryLedger& operator=(const MemoryLedger&) = delete;

  CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                ErrorDetails* details = nullptr) noexcept override;
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                               ErrorDetails* details = nullptr) noexcept override;
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs&) noexcept override;
  ClaimOutcome Claim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& args,
                            ErrorDetails* details = nullptr) noexcept override;
  RenewOutcome Renew(const RenewArgs& args, ErrorDetails* details = nullptr) noexcept override;
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView&) noexcept override;
  RevokeOutcome Revoke(const RevokeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs& args,
                                 ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome Reclaim(const ReclaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Suspend(const SuspendArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ResumeOutcome Resume(const ResumeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Complete(const CompleteArgs& args, ErrorDetails* details = nullptr) noexcept override;
  // RunMaintenance() makes a retry eligible once its delay has ended, as it does with any delayed
  // execution.
  FailOutcome Fail(const FailArgs& args, ErrorDetails* details = nullptr) noexcept override;
  std::optional<ExecutionState> Inspect(const ExecutionIdView&) noexcept override;
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView&) override;
  void IssueClaimGrants(std::span<const IssueGrantArgs>, std::span<IssueOutcome>) noexcept override;
  void ClaimBatch(std::span<const ClaimArgs>, std::span<ClaimOutcome>) noexcept override;

  // Does the work of the reference's scanners (contract 7.5). Call it now and then, for example
  // every 1500 ms. Each call goes on where the last call stopped and looks at no more than
  // `max_places` places, one at a time under a lock, so that a call is bounded. A call also frees
  // the names and texts of grants that ran out.
  struct MaintenanceResult {
    std::size_t leases_expired = 0;  // marked lease_expired_reclaimable
    std::size_t promoted = 0;        // delayed executions that are eligible now
  };
  MaintenanceResult RunMaintenance(std::size_t max_places) noexcept;

  // Removes a terminal execution and makes room. Errors: kExecutionNotFound,
  // and kInvalidInput if it is not terminal.
  Outcome Forget(const ExecutionIdView& id) noexcept;

  std::size_t size() const noexcept;      // the number of executions held
  std::size_t capacity() const noexcept;  // options.max_executions

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_MEMORY_LEDGER_H_
