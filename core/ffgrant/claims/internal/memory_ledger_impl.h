// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger's parts, for its sources: memory_ledger.cc (create, issue,
// maintain), memory_ledger_claim_for_worker.cc (schedule), memory_ledger_leases.cc
// (claim to complete) and memory_ledger_names.cc (room for names and texts).

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

// Locks, in the order in which they are taken: a partition's queue lock, a
// region's lock, a stripe of verdicts or a pool's lock. No thread holds two of
// one kind, but for a pool of names and its pool of long texts. The clock is read
// under the region's lock, so that the times of one execution's calls are in the
// order of the calls.
class MemoryLedger::Impl {
 public:
  explicit Impl(const MemoryLedgerOptions& options);
  Impl(const MemoryLedgerOptions& options, std::uint64_t seed);

  using Record = internal::ExecutionRecord;
  using State = internal::State;
  using Slot = internal::Slot;
  using Region = internal::ExecutionTable::Region;

  // A record under its region's lock; none if there is no such execution.
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
  // With the hash of `id`.
  Held Find(const ExecutionIdView& id, std::uint64_t hash) noexcept {
    if (!id.is_canonical()) return {};
    // The record is on its way while the lock is taken, which waits for all that
    // was written before.
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

  // Contract 7.1 after the state check. Claim and reclaim grants differ only in
  // that check and in the lane rule. Under the region's lock. kLedgerFull, and
  // nothing is changed, if there is no room for a name or a text.
  enum class GrantKind : bool { kClaim, kReclaim };
  // What a call found no room for.
  enum class Missing : std::uint8_t { kNothing, kName, kText };
  ClaimError Issue(GrantKind kind, Region& region, Slot slot, const IssueGrantArgs& args,
                   std::int64_t now, TimestampMs& expires_at, Missing& missing,
                   ErrorDetails* details) noexcept;
  ClaimError IssueInline(GrantKind kind, Region& region, Slot slot, const IssueGrantArgs& args,
                         std::int64_t now, TimestampMs& expires_at, Missing& missing,
                         ErrorDetails* details) noexcept;
  // Its rare parts.
  bool Suffices(internal::NameId required, std::string_view offered) noexcept;
  ClaimError RefuseMismatch(Slot slot, std::string_view offered, std::int64_t now,
                            ErrorDetails* details) noexcept;
  bool KeepGrantTexts(Record& record, const IssueGrantArgs& args, bool own_lane) noexcept;

  // One try, inlined where it is hot, and the rest of what WithRoom() does.
  // Results are filled in where the caller wants them: small fields that are stored and at once
  // copied with the whole struct cost a stall each.
  ClaimError TryIssueClaimGrant(const IssueGrantArgs& args, std::uint64_t hash,
                                TimestampMs& expires_at, Missing& missing,
                                ErrorDetails* details) noexcept;
  ClaimError IssueWithRoom(const IssueGrantArgs& args, std::uint64_t hash, TimestampMs& expires_at,
                           ErrorDetails* details) noexcept;
  ClaimError TryClaim(const ClaimArgs& args, std::uint64_t hash, Lease& lease, Missing& missing,
                      ErrorDetails* details) noexcept;
  ClaimError ClaimWithRoom(const ClaimArgs& args, std::uint64_t hash, Lease& lease,
                           ErrorDetails* details) noexcept;
  // Calls `call(i, hash)` for each of `args` in order, their records on the
  // way to the cache long before.
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
  // About how many cache misses a core keeps in flight.
  static constexpr std::size_t kBatch = 16;

  // What a visit to a partition came to.
  enum class Visit : std::uint8_t {
    kNothing,   // there is nothing for this worker
    kCutShort,  // nothing before max_candidates with grants: more may be behind them
    kSettled,   // a grant, or an error that ends the call
  };
  // A partition of the lane on its way through one call; under the queue's lock.
  struct Candidates {
    std::uint16_t lane;
    std::uint16_t partition;
    std::string_view offered;
    std::size_t passed_over = 0;  // that hold a grant
  };
  // Queues again what was parked until a time that is over.
  void ReturnParked(const Candidates& candidates) noexcept;
  // Among the executions that the offered capabilities suffice for, the first in order; kNoSlot if
  // there is none.
  Slot FirstInOrder(const Candidates& candidates) noexcept;
  Visit IssueFromPartition(std::uint16_t lane, std::uint16_t partition,
                           const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome,
                           Missing& missing) noexcept;
  // The call behind its checks.
  ClaimError Schedule(std::uint16_t lane, const internal::ScanWindow& window,
                      const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome,
                      std::uint32_t& looked_at, Missing& missing) noexcept;

  // A lease for one whose grant is live and its own: grant consumed, epoch
  // grown. False, and nothing changed, if there is no room.
  // By reference: two words that were just stored would be loaded as one, with
  // a stall.
  inline bool StartLease(Record& record, Region& region, const WorkerIdentity& worker,
                         const LaneIdView& lane, const LeaseId& lease_id, std::int64_t ttl_ms,
                         std::int64_t now, Missing& missing) noexcept;

  // 7.4's first checks, shared by everything that is fenced. Marks a lease
  // whose time is over.
  ClaimError CheckFence(Record& record, const OptionalFence& fence, bool fence_may_be_absent,
                        std::int64_t now, ErrorDetails* details) noexcept;

  // The retry policy that goes with requirements, under the region's lock of a record that has
  // them; empty if there is none.
  std::optional<RetryPolicy> RetryPolicyOf(internal::NameId required) const noexcept;

  // A create whose arguments are in order. Says what is missing only if a search may find it.
  CreateOutcome Create(const CreateExecutionArgs& args, Missing& missing,
                       ErrorDetails* details) noexcept;

  // ---- names and texts, under the region's lock ------------------------------

  // A worker's name, held by one of the region's records; NamePool::kFull if
  // there is no room. A name that the region used lately costs nothing shared.
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
  // One hold less of the region's count of a recent name; false if `name` is not recent.
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
  // The same for a name that was held for nothing.
  void UndoWorker(Region& region, internal::NameId name) noexcept {
    if (!ReleaseRecent(region, name)) workers.Undo(name);
  }
  // The region lets go of a recent name; its records go on holding it.
  void ForgetRecent(internal::ExecutionTable::RecentName& recent) noexcept;
  // Grant and lease let go of what they refer to.
  void DropGrant(Record& record, Region& region) noexcept;
  void DropLease(Record& record, Region& region) noexcept {
    ReleaseWorker(region, record.lease_worker);
    record.lease_worker = 0;
    if (record.texts != 0) [[unlikely]]
      texts.DropLease(record.texts);
  }

  // ---- room, without a lock ----------------------------------------------------

  // A name and a text are free as soon as nothing refers to them. But nobody is
  // told when a grant runs out; where room is missing, such grants are looked for.
  //
  // Drops grants that have run out until a name, or a text, is free: at most each
  // slot once, kSlotsUnderLock at a time under one region's lock. Returns how many
  // slots were visited; all of them for a search that is not made, since there is
  // none for kSearchPauseMs after one in vain, unless something was freed.
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

  // Runs `call(missing)`, which says what it found no room for, and runs it again while there is
  // room to be found: until each slot was visited. Other threads may take the room first, so the
  // tries are bounded by themselves.
  template <class Call>
  void WhileFull(Call call) noexcept {
    std::size_t visited = 0;
    for (std::size_t tries = 0;; ++tries) {
      const std::uint64_t freed[] = {Freed(Missing::kName), Freed(Missing::kText)};
      Missing missing = Missing::kNothing;
      call(missing);
      if (missing == Missing::kNothing) [[likely]]
        return;
      if (visited >= table.slot_count() || tries > 2 * SearchParts()) return;
      if (Freed(missing) == freed[missing == Missing::kText]) visited += SearchForRoom(missing);
    }
  }
  // The same for a call that answers with an error.
  template <class Call>
  ClaimError WithRoom(Call call) noexcept {
    ClaimError error;
    WhileFull([&](Missing& missing) noexcept { error = call(missing); });
    return error;
  }

  // Makes a delayed execution eligible. False if it no longer is a due one.
  bool Promote(Slot slot, std::uint16_t partition) noexcept;

  const Clock& clock;
  const std::uint16_t partition_count;
  const std::size_t max_candidates;
  internal::ExecutionTable table;
  internal::TextPool long_names;
  internal::NamePool workers;  // held by grants, leases and regions
  internal::NamePool lanes;    // by executions; a lane's number is its queue's, and one more
  // By executions: what is required, comma-joined, and a RetryPolicy's bytes if there is one.
  internal::NamePool required_sets;
  internal::RecordTexts texts;
  internal::CapabilityVerdicts verdicts;
  internal::ReadyQueues queues;
  internal::ScanPlaces scans;
  std::atomic<std::size_t> maintenance_cursor{0};
  std::atomic<std::size_t> search_cursor{0};
  // The last search in vain: when, and Freed() then. One for names and one for texts.
  struct InVain {
    std::atomic<std::int64_t> at{internal::kNever};
    std::atomic<std::uint64_t> freed{0};
  };
  std::array<InVain, 2> in_vain;
  // Names have run out: regions hold none for themselves, until many are free.
  std::atomic<bool> names_are_scarce{false};
};

// Adds what there is to say, if anybody asked.
inline void Detail(ErrorDetails* details, std::string_view text) noexcept {
  if (details != nullptr) details->Add(text);
}

inline std::string_view CsvOf(const CapabilitySet* set) noexcept {
  return set == nullptr ? std::string_view() : set->csv();
}

// The queue of a lane's number, which is at least 1.
inline std::uint16_t QueueOf(internal::NameId lane) noexcept {
  return static_cast<std::uint16_t>(lane - 1);
}

// Beyond it, times could not be stored exactly (contract 9.5).
constexpr bool TtlInRange(std::int64_t ttl_ms) noexcept {
  return ttl_ms >= -kMaxTtlMs && ttl_ms <= kMaxTtlMs;
}

}  // namespace ffgrant

#endif  // FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_
