// SPDX-License-Identifier: Apache-2.0
//
// Four sources share these parts of the embedded ledger: memory_ledger.cc (create, issue,
// maintain), memory_ledger_claim_for_worker.cc (schedule), memory_ledger_leases.cc (claim to fail)
// and memory_ledger_names.cc (room for names and texts).

#ifndef FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_
#define FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ffgrant/claims/internal/capability_verdicts.h"
#include "ffgrant/claims/internal/execution_record.h"
#include "ffgrant/claims/internal/execution_table.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/ready_queues.h"
#include "ffgrant/claims/internal/record_texts.h"
#include "ffgrant/claims/internal/scan_places.h"
#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/claims/internal/text_pool.h"
#include "ffgrant/claims/memory_ledger.h"

namespace ffgrant {

// A thread takes locks in this order: a partition's queue lock, a region's lock, the lock of a
// stripe of verdicts, the lock of a pool of names, the lock of a pool of texts. No thread holds two
// locks of one of these kinds (LockKind). Only once a call has the region's lock does it read the
// time that it stores, so that the times of the calls of one execution are in the calls' order.
class MemoryLedger::Impl {
 public:
  explicit Impl(const MemoryLedgerOptions& options);
  Impl(const MemoryLedgerOptions& options, std::uint64_t seed);

  using Record = internal::ExecutionRecord;
  using State = internal::State;
  using Slot = internal::Slot;
  using Region = internal::ExecutionTable::Region;

  // Holds a record and its region's lock; has no record if there is no such execution.
  class Held {
   public:
    Held() = default;
    Held(Region& region, Record* record, Slot slot) noexcept
        : region_(&region), record_(record), slot_(slot) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
      if (region_ != nullptr) region_->lock.unlock();
    }
    explicit operator bool() const noexcept { return record_ != nullptr; }
    Record* operator->() const noexcept { return record_; }
    Record& operator*() const noexcept { return *record_; }
    Slot slot() const noexcept { return slot_; }
    Region& region() const noexcept { return *region_; }

   private:
    Region* region_ = nullptr;
    Record* record_ = nullptr;
    Slot slot_ = internal::kNoSlot;
  };
  Held Find(const ExecutionIdView& id) noexcept { return Find(id, table.Hash(id)); }
  // `hash` must be the hash of `id`.
  Held Find(const ExecutionIdView& id, std::uint64_t hash) noexcept {
    if (!id.is_canonical()) return {};
    // Taking the lock waits for all earlier writes of this thread. The record is prefetched before,
    // so that it arrives during this wait.
    table.PrefetchRecord(hash);
    Region& region = table.RegionOf(hash);
    region.lock.lock();
    const Slot slot = table.Find(hash, id);
    return {region, slot == internal::kNoSlot ? nullptr : &table[slot], slot};
  }

  std::int64_t Now() const noexcept { return std::clamp(clock.Now().value, -kMaxTtlMs, kMaxTtlMs); }

  // Instance and lane are recorded, not compared (contract 7.7, 5).
  bool GrantIsOf(const Record& record, const WorkerIdentity& worker) const noexcept {
    return workers.FirstIs(record.grant_worker, worker.worker_id.text);
  }

  // Issue() does what contract 7.1 demands after the check of the state. Claim and reclaim grants
  // differ only in that check and in the lane rule. The caller must hold the region's lock. Issue()
  // returns kLedgerFull, and changes nothing, if there is no room for a name or a text.
  enum class GrantKind : bool { kClaim, kReclaim };
  // What a call found no room for.
  enum class Missing : std::uint8_t { kNothing, kName, kText };
  ClaimError Issue(GrantKind kind, Region& region, Slot slot, const IssueGrantArgs& args,
                   std::int64_t now, TimestampMs& expires_at, Missing& missing,
                   ErrorDetails* details) noexcept;
  ClaimError IssueInline(GrantKind kind, Region& region, Slot slot, const IssueGrantArgs& args,
                         std::int64_t now, TimestampMs& expires_at, Missing& missing,
                         ErrorDetails* details) noexcept;
  // These functions do the rare parts of Issue().
  bool Suffices(internal::NameId required, std::string_view offered) noexcept;
  ClaimError RefuseMismatch(Slot slot, std::string_view offered, std::int64_t now,
                            ErrorDetails* details) noexcept;
  bool KeepGrantTexts(Record& record, const IssueGrantArgs& args, bool own_lane) noexcept;

  // TryIssueClaimGrant() and TryClaim() make one try, and are inlined where the path is hot.
  // IssueWithRoom() and ClaimWithRoom() repeat the try by WithRoom(). Results are written straight
  // to where the caller wants them. If a struct is copied right after one of its small fields was
  // stored, each such field costs a stall.
  ClaimError TryIssueClaimGrant(const IssueGrantArgs& args, std::uint64_t hash,
                                TimestampMs& expires_at, Missing& missing,
                                ErrorDetails* details) noexcept;
  ClaimError IssueWithRoom(const IssueGrantArgs& args, std::uint64_t hash, TimestampMs& expires_at,
                           ErrorDetails* details) noexcept;
  ClaimError TryClaim(const ClaimArgs& args, std::uint64_t hash, Lease& lease, Missing& missing,
                      ErrorDetails* details) noexcept;
  ClaimError ClaimWithRoom(const ClaimArgs& args, std::uint64_t hash, Lease& lease,
                           ErrorDetails* details) noexcept;
  // Calls `call(i, hash)` for each of `args` in order. The records are
  // prefetched long before their calls.
  template <class Args, class Call>
  void ForEachPrefetched(std::span<const Args> args, Call call) noexcept {
    std::array<std::uint64_t, kBatch> hashes;
    for (std::size_t begin = 0; begin < args.size(); begin += kBatch) {
      const std::size_t count = std::min(kBatch, args.size() - begin);
      for (std::size_t i = 0; i < count; ++i) {
        hashes[i] = table.Hash(args[begin + i].execution_id);
        table.PrefetchTags(hashes[i]);
      }
      for (std::size_t i = 0; i < count; ++i) table.PrefetchRecord(hashes[i]);
      for (std::size_t i = 0; i < count; ++i) call(begin + i, hashes[i]);
    }
  }
  // About how many cache misses a processor's core keeps in flight.
  static constexpr std::size_t kBatch = 16;

  // The result of a visit to a partition.
  enum class Visit : std::uint8_t {
    kNothing,   // there is nothing for this worker
    kCutShort,  // max_candidates executions with grants were passed over: others may be behind them
    kSettled,   // a grant, or an error that ends the call
  };
  // The lane and the partition that a call looks at. The call holds the partition's queue lock.
  struct Candidates {
    std::uint16_t lane;
    std::uint16_t partition;
    std::string_view offered;
    std::size_t passed_over = 0;  // how many executions with a grant were passed over
  };
  // Takes out of the heap of parked executions those whose grants have ended, and queues them again
  // if they are still eligible.
  void ReturnParked(const Candidates& candidates) noexcept;
  // Returns the first queued execution in order for which the offered capabilities suffice; kNoSlot
  // if there is none.
  Slot FirstInOrder(const Candidates& candidates) noexcept;
  Visit IssueFromPartition(std::uint16_t lane, std::uint16_t partition,
                           const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome,
                           Missing& missing) noexcept;
  // Does the work of ClaimForWorker() once the arguments have been checked.
  ClaimError Schedule(std::uint16_t lane, const internal::ScanWindow& window,
                      const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome,
                      std::uint32_t& looked_at, Missing& missing) noexcept;

  // Starts a lease for an execution whose live grant belongs to this worker: consumes the grant and
  // raises the epoch. If there is no room, returns false with the detail that says for what, and
  // changes nothing. The ids and the lane come by reference. If they came by value, two words that
  // were just stored would be loaded as one, and the load would stall.
  inline bool StartLease(Record& record, Region& region, const WorkerIdentity& worker,
                         const LaneIdView& lane, const LeaseId& lease_id, std::int64_t ttl_ms,
                         std::int64_t now, Missing& missing, ErrorDetails* details) noexcept;

  // Makes the checks of contract 7.4 that all calls with a fence share: all but the execution's
  // existence and the attempt index. Marks a lease whose time has passed as expired.
  ClaimError CheckFence(Record& record, const OptionalFence& fence, bool fence_may_be_absent,
                        std::int64_t now, ErrorDetails* details) noexcept;

  // Returns the retry policy that is kept with `required`; empty if there is none. The caller must
  // hold the region's lock of a record that has these requirements.
  std::optional<RetryPolicy> RetryPolicyOf(internal::NameId required) const noexcept;

  // Creates an execution; the caller must have checked the arguments. Sets `missing` only if a
  // search for room may help.
  CreateOutcome Create(const CreateExecutionArgs& args, Missing& missing,
                       ErrorDetails* details) noexcept;

  // ---- names and texts, under the region's lock ------------------------------

  // Holds a worker's name for one of the region's records, and returns its number; NamePool::kFull
  // if there is no room. If the region has used the name lately, the function writes to no memory
  // that threads of other regions share.
  internal::NameId HoldWorker(Region& region, const WorkerIdentity& worker) noexcept {
    const std::string_view id = worker.worker_id.text;
    const std::string_view instance = worker.worker_instance_id.text;
    internal::ExecutionTable::RecentName& first = region.recent[0];
    if (workers.Is(first.name, id, instance)) [[likely]] {
      ++first.holds;
      return first.name;
    }
    return HoldOtherWorker(region, id, instance);
  }
  internal::NameId HoldOtherWorker(Region& region, std::string_view id,
                                   std::string_view instance) noexcept;
  // If `name` is one of the region's recent names, takes one off its count of holds and returns
  // true; otherwise returns false.
  static bool ReleaseRecent(Region& region, internal::NameId name) noexcept {
    for (internal::ExecutionTable::RecentName& recent : region.recent) {
      if (recent.name != name) continue;
      --recent.holds;
      return true;
    }
    return false;
  }
  void ReleaseWorker(Region& region, internal::NameId name) noexcept {
    if (!ReleaseRecent(region, name)) [[unlikely]]
      workers.Release(name);
  }
  // Releases a worker's name that was held but then not needed.
  void UndoWorker(Region& region, internal::NameId name) noexcept {
    if (!ReleaseRecent(region, name)) workers.Undo(name);
  }
  // Ends the region's own hold on a recent name. The records of the region still hold the name.
  void ForgetRecent(internal::ExecutionTable::RecentName& recent) noexcept;
  // DropGrant() drops a record's grant, with its name and texts. DropLease() drops the name and the
  // text of a lease; the caller changes the state.
  void DropGrant(Record& record, Region& region) noexcept;
  void DropLease(Record& record, Region& region) noexcept {
    ReleaseWorker(region, record.lease_worker);
    record.lease_worker = 0;
    if (record.texts != 0) [[unlikely]]
      texts.DropLease(record.texts);
  }

  // ---- room, without a lock ----------------------------------------------------

  // A name or a text is free as soon as nothing refers to it. But a grant that
  // runs out still refers to its name and texts. If room is missing, a search
  // looks for such grants.
  //
  // Drops grants that have run out, and stops once a name, or a text, is free. If a name is
  // missing, first ends the regions' own holds on names. Visits each slot at most once,
  // kSlotsUnderLock slots at a time under one region's lock. Returns how many slots were visited.
  // If a search has found no name, no other search for a name is made for kSearchPauseMs unless a
  // name is freed; likewise for texts. During this pause the function does nothing but return the
  // number of all slots.
  std::size_t SearchForRoom(Missing missing) noexcept;
  static constexpr std::size_t kSlotsUnderLock = 64;
  static constexpr std::int64_t kSearchPauseMs = 100;
  std::size_t PartsOfRegion() const noexcept {
    return (table.region_slots() + kSlotsUnderLock - 1) / kSlotsUnderLock;
  }
  std::size_t SearchParts() const noexcept { return PartsOfRegion() * table.region_count(); }
  std::uint64_t Freed(Missing missing) const noexcept {
    return missing == Missing::kText ? texts.freed() : workers.freed();
  }

  // Runs `call(missing)`, which sets `missing` to what it found no room for. Runs the call again
  // until nothing is missing, or until the searches have visited every slot. The number of tries
  // has a bound of its own, because other threads may take the room first.
  template <class Call>
  void WhileFull(Call call) noexcept {
    std::size_t visited = 0;
    for (std::size_t tries = 0;; ++tries) {
      const std::uint64_t freed[] = {Freed(Missing::kName), Freed(Missing::kText)};
      Missing missing = Missing::kNothing;
      call(missing);
      if (missing == Missing::kNothing) [[likely]]
        return;
      // Never true: `tries > 2 * SearchParts()`: others would have to take the room each time.
      if (visited >= table.slot_count() || tries > 2 * SearchParts()) return;
      if (Freed(missing) == freed[missing == Missing::kText]) visited += SearchForRoom(missing);
    }
  }
  // Does what WhileFull() does, and returns the error that `call` has returned last.
  template <class Call>
  ClaimError WithRoom(Call call) noexcept {
    ClaimError error;
    WhileFull([&](Missing& missing) noexcept { error = call(missing); });
    return error;
  }

  // Makes the delayed execution in `slot` eligible. Returns false if the slot no longer has a
  // delayed execution that is due.
  bool Promote(Slot slot, std::uint16_t partition) noexcept;

  const Clock& clock;
  const std::uint16_t partition_count;
  const std::size_t max_candidates;
  internal::ExecutionTable table;
  internal::TextPool long_names;
  internal::NamePool workers;  // held by grants, leases and regions
  // Held by executions, and by calls of ClaimForWorker(). A lane's number is the number of its
  // queue plus 1.
  internal::NamePool lanes;
  // Held by executions: the required capabilities, comma-joined, and the bytes of the RetryPolicy
  // if there is one.
  internal::NamePool required_sets;
  internal::RecordTexts texts;
  internal::CapabilityVerdicts verdicts;
  internal::ReadyQueues queues;
  internal::ScanPlaces scans;
  std::atomic<std::size_t> maintenance_cursor{0};
  std::atomic<std::size_t> search_cursor{0};
  // The time of the last search that found nothing, and the value of Freed() before that search.
  // in_vain[0] is for names, in_vain[1] for texts.
  struct InVain {
    std::atomic<std::int64_t> at{internal::kNever};
    std::atomic<std::uint64_t> freed{0};
  };
  std::array<InVain, 2> in_vain;
  // True from the moment that a search for a name begins until a region sees that more than half of
  // the names are free again. Meanwhile regions take up no names for themselves.
  std::atomic<bool> names_are_scarce{false};
};

// Adds a detail if the caller has asked for details.
inline void Detail(ErrorDetails* details, std::string_view text) noexcept {
  if (details != nullptr) details->Add(text);
}

inline std::string_view CsvOf(const CapabilitySet* set) noexcept {
  return set == nullptr ? std::string_view() : set->csv();
}

// Returns the number of the queue of a lane. The lane's number must be at least 1.
inline std::uint16_t QueueOf(internal::NameId lane) noexcept {
  return static_cast<std::uint16_t>(lane - 1);
}

// With a ttl outside this range, times could not be stored exactly (contract 9.5).
constexpr bool TtlInRange(std::int64_t ttl_ms) noexcept {
  return ttl_ms >= -kMaxTtlMs && ttl_ms <= kMaxTtlMs;
}

}  // namespace ffgrant

#endif  // FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_
