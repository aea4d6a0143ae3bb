// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger's parts, for its sources: memory_ledger.cc (create, issue,
// maintain), memory_ledger_claim_for_worker.cc (schedule) and
// memory_ledger_leases.cc (claim to complete).

#ifndef FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_
#define FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ffgrant/claims/internal/execution_record.h"
#include "ffgrant/claims/internal/execution_table.h"
#include "ffgrant/claims/internal/lane_table.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/ready_queues.h"
#include "ffgrant/claims/internal/scan_places.h"
#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/claims/memory_ledger.h"

namespace ffgrant {

// Locks, in the order in which they are taken: a partition's queue lock, a
// region's lock, the name pool's. The clock is read under the region's lock,
// so that the times of one execution's calls are in the order of the calls.
class MemoryLedger::Impl {
 public:
  explicit Impl(const MemoryLedgerOptions& options);

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
    Region& region = table.RegionOf(hash);
    region.lock.lock();
    const Slot slot = table.Find(hash, id);
    return {region, slot == internal::kNoSlot ? nullptr : &table[slot], slot};
  }

  std::int64_t Now() const noexcept { return std::clamp(clock.Now().value, -kMaxTtlMs, kMaxTtlMs); }

  bool GrantIsLive(const Record& record, std::int64_t now) const noexcept {
    return record.has_grant && now <= record.grant_expires_at;
  }
  // Instance and lane are recorded, not compared (contract 7.7, 5).
  bool GrantIsOf(const Record& record, const WorkerIdentity& worker) const noexcept {
    return internal::TextEqual(names.First(record.grant_worker), worker.worker_id.text);
  }

  // 7.1 behind the state check, which is all that the two kinds of grants
  // differ in but for the lane; under the record's lock. kLedgerFull, and
  // nothing is changed, if names are missing.
  enum class GrantKind : bool { kClaim, kReclaim };
  ClaimError Issue(GrantKind kind, Record& record, Region& region, const IssueGrantArgs& args,
                   std::int64_t now, TimestampMs& expires_at, ErrorDetails* details) noexcept;
  ClaimError IssueInline(GrantKind kind, Record& record, Region& region, const IssueGrantArgs& args,
                         std::int64_t now, TimestampMs& expires_at, ErrorDetails* details) noexcept;
  // Its rare parts.
  ClaimError RefuseMismatch(Record& record, std::string_view offered, std::int64_t now,
                            ErrorDetails* details) noexcept;
  bool KeepGrantTexts(Record& record, const IssueGrantArgs& args, bool own_lane) noexcept;

  // One try, inlined where it is hot, and the rest of what WithNames() does.
  // Results are filled in where the caller wants them: small fields that are stored and at once
  // copied with the whole struct cost a stall each.
  ClaimError TryIssueClaimGrant(const IssueGrantArgs& args, std::uint64_t hash,
                                TimestampMs& expires_at, ErrorDetails* details) noexcept;
  ClaimError IssueWithRoom(const IssueGrantArgs& args, std::uint64_t hash, TimestampMs& expires_at,
                           ErrorDetails* details) noexcept;
  ClaimError TryClaim(const ClaimArgs& args, std::uint64_t hash, Lease& lease,
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
    bool cut_short = false;       // there were more of them than max_candidates
  };
  // Queues again what was parked until a time that is over.
  void ReturnParked(const Candidates& candidates) noexcept;
  // The first in order that these capabilities suffice for and that has no live grant; kNoSlot
  // if there is none. Drops what is no longer eligible, and parks what has a grant.
  Slot BestReady(Candidates& candidates) noexcept;
  Visit IssueFromPartition(std::uint16_t lane, std::uint16_t partition,
                           const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome) noexcept;
  // The call behind its checks.
  ClaimError Schedule(std::uint16_t lane, const internal::ScanWindow& window,
                      const ClaimForWorkerArgs& args, ClaimForWorkerOutcome& outcome,
                      std::uint32_t& looked_at) noexcept;

  // A lease for one whose grant is live and its own: grant consumed, epoch
  // grown. False, and nothing changed, if names are missing.
  // By reference: two words that were just stored would be loaded as one, with
  // a stall.
  inline bool StartLease(Record& record, const WorkerIdentity& worker, const LaneIdView& lane,
                         const LeaseId& lease_id, std::int64_t ttl_ms, std::int64_t now) noexcept;

  // 7.4's first checks, shared by everything that is fenced. Marks a lease
  // whose time is over.
  ClaimError CheckFence(Record& record, const OptionalFence& fence, bool fence_may_be_absent,
                        std::int64_t now, ErrorDetails* details) noexcept;

  // The number of a lane that isn't the execution's own; 0 if it is.
  // NamePool::kFull if there is no room.
  [[gnu::always_inline]] internal::NameId LaneName(const Record& record,
                                                   const LaneIdView& lane) noexcept {
    return internal::TextEqual(lanes.Text(record.lane), lane.text()) ? 0
                                                                     : names.Intern(lane.text());
  }

  // A create whose arguments are in order.
  CreateOutcome Create(const CreateExecutionArgs& args, bool& names_missing,
                       ErrorDetails* details) noexcept;

  // Frees names that no live grant, no lease and no requirement refers to.
  // Stops all calls for as long as it takes; so after a try in vain there is
  // none until something was released, or until grants may have run out.
  // Returns how many names had been made when it was done; kNoTry if there was
  // none, which no number of names comes near.
  static constexpr std::uint64_t kNoTry = ~std::uint64_t{0} / 2;
  std::uint64_t MakeRoomForNames() noexcept;
  // Runs `call`, which says whether names were missing, and runs it again after
  // making room if they were. Other threads may take the room that was made, or
  // have made some just before; only if nobody could free a name is there none,
  // or if nobody else took what was freed.
  template <class Call>
  void WhileNamesAreMissing(Call call) noexcept {
    std::uint64_t made_by_then = kNoTry;
    for (int tries = 0;; ++tries) {
      const std::uint64_t freed = names.freed();
      const std::uint64_t own = internal::NamePool::made_by_this_thread();
      if (!call()) [[likely]]
        return;
      const std::uint64_t made = internal::NamePool::made_by_this_thread() - own;
      if (names.made() - made_by_then == made) return;
      made_by_then = MakeRoomForNames();
      if (names.freed() == freed) return;
      // Never true: others would have to take the room each time.
      if (tries == kMaxTries) return;
    }
  }
  // The same for a call whose kLedgerFull says just that.
  template <class Call>
  ClaimError WithNames(Call call) noexcept {
    ClaimError error;
    WhileNamesAreMissing([&]() noexcept {
      error = call();
      return error == ClaimError::kLedgerFull;
    });
    return error;
  }
  static constexpr int kMaxTries = 16;

  // Makes a delayed execution eligible. False if it no longer is a due one.
  bool Promote(Slot slot, std::uint16_t partition) noexcept;

  const Clock& clock;
  const std::uint16_t partition_count;
  const std::size_t max_candidates;
  internal::ExecutionTable table;
  internal::LaneTable lanes;
  internal::NamePool names;
  internal::ReadyQueues queues;
  internal::ScanPlaces scans;
  std::vector<std::uint8_t> names_in_use;            // MakeRoomForNames() marks here,
  internal::SleepingLock making_room;                // one thread at a time
  std::int64_t swept_in_vain_at = internal::kNever;  // guarded by making_room
  static constexpr std::int64_t kSweepPauseMs = 100;
  std::atomic<bool> released{true};  // since the last try

  // A grant, a lease or an execution let go of its names.
  void NoteRelease() noexcept {
    internal::ScheduleWrite(internal::Shared::kReleased);
    // Mostly it is set: reading leaves the line to all processors.
    if (!released.load(std::memory_order_relaxed)) released.store(true, std::memory_order_relaxed);
  }
  // Of a call for which names are missing: what it made before one was, beyond
  // `made_before`, is nobody's.
  void NoteOrphans(std::uint64_t made_before) noexcept {
    if (internal::NamePool::made_by_this_thread() != made_before) NoteRelease();
  }
  std::atomic<std::size_t> maintenance_cursor{0};
};

// Adds what there is to say, if anybody asked.
inline void Detail(ErrorDetails* details, std::string_view text) noexcept {
  if (details != nullptr) details->Add(text);
}

inline std::string_view CsvOf(const CapabilitySet* set) noexcept {
  return set == nullptr ? std::string_view() : set->csv();
}

// Beyond it, times could not be stored exactly (contract 9.5).
constexpr bool TtlInRange(std::int64_t ttl_ms) noexcept {
  return ttl_ms >= -kMaxTtlMs && ttl_ms <= kMaxTtlMs;
}

}  // namespace ffgrant

#endif  // FFGRANT_CLAIMS_INTERNAL_MEMORY_LEDGER_IMPL_H_
