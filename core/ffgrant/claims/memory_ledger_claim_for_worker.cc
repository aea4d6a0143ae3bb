// SPDX-License-Identifier: Apache-2.0
//
// Implements ClaimForWorker() of the embedded ledger: the choice of an execution for a worker, as a
// scheduler makes it.

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "ffgrant/claims/internal/memory_ledger_impl.h"
#include "ffgrant/internal/fnv1a.h"

namespace ffgrant {

using internal::kNoSlot;

void MemoryLedger::Impl::ReturnParked(const Candidates& c) noexcept {
  internal::Slot slot = queues.FirstParked(c.lane, c.partition);
  if (slot == kNoSlot) return;
  const std::int64_t now = Now();
  for (; slot != kNoSlot && queues.ParkedUntil(slot) < now;
       slot = queues.FirstParked(c.lane, c.partition)) {
    const std::scoped_lock region(table.LockOfSlot(slot));
    // An execution that has another grant by now is parked again when it comes to the top.
    if (internal::IsEligible(table[slot].state)) {
      queues.Push(c.lane, c.partition, slot);
    } else {
      queues.Remove(c.lane, c.partition, slot);
    }
  }
}

internal::Slot MemoryLedger::Impl::FirstInOrder(const Candidates& c) noexcept {
  std::optional<internal::CapabilityVerdicts::Offer> offer;
  return queues.Best(c.lane, c.partition, [&](internal::NameId required) noexcept {
    if (required == 0) return true;
    if (!offer) offer.emplace(verdicts, c.offered);
    return offer->Satisfies(required);
  });
}

// Issuing and claiming don't need the queue's lock. So the state of the first execution in order is
// not known before its region's lock is taken. This function holds no region's lock while it parks
// or removes that execution, because a change of the heaps may take some cache misses.
MemoryLedger::Impl::Visit MemoryLedger::Impl::IssueFromPartition(std::uint16_t lane,
                                                                 std::uint16_t partition,
                                                                 const ClaimForWorkerArgs& args,
                                                                 ClaimForWorkerOutcome& outcome,
                                                                 Missing& missing) noexcept {
  const std::scoped_lock queue(queues.LockOf(partition));
  Candidates candidates = {lane, partition, CsvOf(args.offered)};
  for (;;) {
    ReturnParked(candidates);
    const internal::Slot first = FirstInOrder(candidates);
    // An execution that is queued holds its lane, so that the lane's text can be compared.
    if (first == kNoSlot || !lanes.FirstIs(table.fixed(first).lane, args.lane.text())) {
      return Visit::kNothing;
    }
    std::optional<std::int64_t> granted_until;
    {
      Region& region = table.RegionOfSlot(first);
      const std::scoped_lock lock(region.lock);
      const Record& record = table[first];
      const std::int64_t now = Now();
      if (internal::IsEligible(record.state) && !record.GrantIsLive(now)) {
        // If the grant of an execution that was passed over has ended by `now`, the search begins
        // again, so that the choice is right at one moment.
        const internal::Slot parked = queues.FirstParked(lane, partition);
        if (parked != kNoSlot && queues.ParkedUntil(parked) < now) continue;
        const MintedExecutionId id(record.partition, record.uuid);
        TimestampMs expires_at;
        outcome.error = Issue(GrantKind::kClaim, region, first,
                              {id.view(), args.worker, args.lane, args.grant_ttl_ms, args.offered},
                              now, expires_at, missing, nullptr);
        if (outcome) outcome.grant = IssuedGrant(id.view(), expires_at);
        return Visit::kSettled;
      }
      if (internal::IsEligible(record.state)) granted_until = record.grant_expires_at;
    }
    if (!granted_until) {
      // The execution stays ineligible: it could become eligible only under the queue's lock, which
      // this thread holds.
      queues.Remove(lane, partition, first);
    } else if (candidates.passed_over == max_candidates) {
      return Visit::kCutShort;
    } else {
      ++candidates.passed_over;
      queues.Park(lane, partition, first, *granted_until);
    }
  }
}

ClaimError MemoryLedger::Impl::Schedule(std::uint16_t lane, const internal::ScanWindow& window,
                                        const ClaimForWorkerArgs& args,
                                        ClaimForWorkerOutcome& outcome, std::uint32_t& looked_at,
                                        Missing& missing) noexcept {
  const std::uint32_t end = window.first + window.size;
  std::uint32_t cut_short = 0;
  // The window has two parts: one up to the last partition, and one from partition 0 on.
  const std::pair<std::uint32_t, std::uint32_t> parts[] = {
      {window.first, std::min(end, window.count)}, {0, end - std::min(end, window.count)}};
  for (const auto& [first, part_end] : parts) {
    for (std::size_t p = queues.NextNonEmpty(lane, first); p < part_end;
         p = queues.NextNonEmpty(lane, p + 1)) {
      const Visit visit =
          IssueFromPartition(lane, static_cast<std::uint16_t>(p), args, outcome, missing);
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
  const std::string_view text = args.lane.text();
  // A hold on a lane changes a counter that all threads share. So the lane's number is guessed, and
  // an execution is granted only if its lane has the text that was asked for. The lane is held only
  // if there is no guess, or if nothing is found, because then the guess may be wrong: once the
  // last execution of a lane is forgotten, the lane's number may become another lane's.
  internal::NameId lane = m.lanes.Guess(text);
  internal::NameId held = 0;
  if (lane == 0) lane = held = m.lanes.HoldIfThere(text);
  if (lane == 0) {
    // No execution has this lane: wherever the window lies, it is empty.
    const bool whole = args.max_partitions == 0 || args.max_partitions >= m.partition_count;
    outcome.partitions_seen = whole ? m.partition_count : args.max_partitions;
    outcome.error = whole ? ClaimError::kNoEligibleExecution : ClaimError::kNothingInWindow;
    return outcome;
  }
  internal::ScanPlaces::Scan scan(m.scans, internal::Fnv1a64(args.worker.worker_instance_id.text),
                                  internal::Fnv1a64(text), m.partition_count, args.max_partitions);
  std::uint32_t looked_at = 0;
  const auto schedule = [&](internal::NameId number) noexcept {
    return m.WithRoom([&](Impl::Missing& missing) noexcept {
      return m.Schedule(QueueOf(number), scan.window(), args, outcome, looked_at, missing);
    });
  };
  outcome.error = schedule(lane);
  if (held == 0 && (outcome.error == ClaimError::kNoEligibleExecution ||
                    outcome.error == ClaimError::kNothingInWindow)) {
    held = m.lanes.HoldIfThere(text);
    if (held != 0 && held != lane) outcome.error = schedule(held);
  }
  scan.End(looked_at);
  m.lanes.Release(held);
  return outcome;
}

}  // namespace ffgrant
