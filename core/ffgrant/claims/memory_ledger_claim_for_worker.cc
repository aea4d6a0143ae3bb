// SPDX-License-Identifier: Apache-2.0
//
// The embedded ledger as a scheduler.

#include <algorithm>
#include <mutex>
#include <utility>

#include "ffgrant/claims/internal/memory_ledger_impl.h"
#include "ffgrant/internal/fnv1a.h"

namespace ffgrant {

using internal::kNoSlot;

void MemoryLedger::Impl::ReturnParked(const Candidates& c) noexcept {
  const std::int64_t now = Now();
  for (;;) {
    const internal::Slot slot = queues.FirstParked(c.lane, c.partition);
    if (slot == kNoSlot || queues.ParkedUntil(slot) >= now) return;
    queues.Remove(c.lane, c.partition, slot);
    const std::scoped_lock region(table.LockOfSlot(slot));
    // One that has another grant by now is parked again when it comes to the top.
    if (internal::IsEligible(table[slot].state)) queues.Push(c.lane, c.partition, slot);
  }
}

internal::Slot MemoryLedger::Impl::BestReady(Candidates& c) noexcept {
  ReturnParked(c);
  for (;;) {
    internal::Slot best = kNoSlot;
    bool granted = false;
    std::int64_t granted_until = 0;
    for (internal::Slot top = queues.FirstTop(c.lane, c.partition); top != kNoSlot;) {
      bool eligible;
      {
        const std::scoped_lock region(table.LockOfSlot(top));
        const Record& record = table[top];
        eligible = internal::IsEligible(record.state);
        if (eligible && (best == kNoSlot || queues.Before(top, best)) &&
            CapabilitiesSatisfied(names.First(record.required), c.offered)) {
          best = top;
          granted = GrantIsLive(record, Now());
          granted_until = record.grant_expires_at;
        }
      }
      if (!eligible) {
        // It stays so: only who has the queue's lock makes it eligible.
        queues.Remove(c.lane, c.partition, top);
        // The heap has another top now, or is gone: look from the front again.
        top = queues.FirstTop(c.lane, c.partition);
        best = kNoSlot;
        continue;
      }
      top = queues.NextTop(top);
    }
    if (best == kNoSlot || !granted) return best;
    c.cut_short = c.passed_over == max_candidates;
    if (c.cut_short) return kNoSlot;
    ++c.passed_over;
    queues.Park(c.lane, c.partition, best, granted_until);
  }
}

MemoryLedger::Impl::Visit MemoryLedger::Impl::IssueFromPartition(
    std::uint16_t lane, std::uint16_t partition, const ClaimForWorkerArgs& args,
    ClaimForWorkerOutcome& outcome) noexcept {
  const std::scoped_lock queue(queues.LockOf(partition));
  Candidates candidates = {lane, partition, CsvOf(args.offered)};
  // Issuing and claiming don't need the queue's lock: either may come in
  // between the choice and the grant, and then there is another choice.
  for (;;) {
    const internal::Slot best = BestReady(candidates);
    if (best == kNoSlot) return candidates.cut_short ? Visit::kCutShort : Visit::kNothing;
    Region& region = table.RegionOfSlot(best);
    const std::scoped_lock lock(region.lock);
    Record& record = table[best];
    const std::int64_t now = Now();
    if (!internal::IsEligible(record.state) || GrantIsLive(record, now)) continue;
    // Nor may the time of one that was passed over have come meanwhile.
    const internal::Slot parked = queues.FirstParked(lane, partition);
    if (parked != kNoSlot && queues.ParkedUntil(parked) < now) continue;
    const MintedExecutionId id(record.partition, record.uuid);
    TimestampMs expires_at;
    outcome.error = Issue(GrantKind::kClaim, record, region,
                          {id.view(), args.worker, args.lane, args.grant_ttl_ms, args.offered}, now,
                          expires_at, nullptr);
    if (outcome) outcome.grant = IssuedGrant(id.view(), expires_at);
    return Visit::kSettled;
  }
}

ClaimError MemoryLedger::Impl::Schedule(std::uint16_t lane, const internal::ScanWindow& window,
                                        const ClaimForWorkerArgs& args,
                                        ClaimForWorkerOutcome& outcome,
                                        std::uint32_t& looked_at) noexcept {
  const std::uint32_t end = window.first + window.size;
  std::uint32_t cut_short = 0;
  // The window up to the last partition, and from partition 0 on.
  const std::pair<std::uint32_t, std::uint32_t> parts[] = {
      {window.first, std::min(end, window.count)}, {0, end - std::min(end, window.count)}};
  for (const auto& [first, part_end] : parts) {
    for (std::size_t p = queues.NextNonEmpty(lane, first); p < part_end;
         p = queues.NextNonEmpty(lane, p + 1)) {
      const Visit visit = IssueFromPartition(lane, static_cast<std::uint16_t>(p), args, outcome);
      if (visit == Visit::kSettled) {
        const auto place = static_cast<std::uint32_t>(p);
        looked_at = (place + window.count - window.first) % window.count + 1;
        outcome.partitions_seen = looked_at - cut_short;
        return outcome.error;
      }
      cut_short += visit == Visit::kCutShort;
    }
  }
  looked_at = window.size;
  outcome.partitions_seen = window.size - cut_short;
  return outcome.partitions_seen == window.count ? ClaimError::kNoEligibleExecution
                                                 : ClaimError::kNothingInWindow;
}

ClaimForWorkerOutcome MemoryLedger::ClaimForWorker(const ClaimForWorkerArgs& args) noexcept {
  Impl& m = *impl_;
  ClaimForWorkerOutcome outcome;
  if (!TtlInRange(args.grant_ttl_ms)) {
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  outcome.partitions = m.partition_count;
  const std::optional<std::uint16_t> lane = m.lanes.Find(args.lane);
  if (!lane) {
    // Nobody has created anything there: wherever the window lies, it is empty.
    const bool whole = args.max_partitions == 0 || args.max_partitions >= m.partition_count;
    outcome.partitions_seen = whole ? m.partition_count : args.max_partitions;
    outcome.error = whole ? ClaimError::kNoEligibleExecution : ClaimError::kNothingInWindow;
    return outcome;
  }
  internal::ScanPlaces::Scan scan(m.scans, internal::Fnv1a64(args.worker.worker_instance_id.text),
                                  *lane, m.partition_count, args.max_partitions);
  std::uint32_t looked_at = 0;
  outcome.error = m.WithNames(
      [&]() noexcept { return m.Schedule(*lane, scan.window(), args, outcome, looked_at); });
  scan.End(looked_at);
  return outcome;
}

}  // namespace ffgrant
