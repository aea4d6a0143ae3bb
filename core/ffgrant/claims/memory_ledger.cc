// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/memory_ledger.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <stdexcept>

#include "ffgrant/claims/internal/memory_ledger_impl.h"
#include "ffgrant/internal/throw.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant {

using internal::kNoSlot;
using internal::NameId;
using internal::NamePool;
using internal::Slot;
using State = internal::State;

namespace {

const MemoryLedgerOptions& Checked(const MemoryLedgerOptions& o) {
  const auto require = [](bool ok, const char* what) {
    if (!ok) internal::Throw<std::invalid_argument>(what);
  };
  require(o.max_executions >= 1 && o.max_executions <= std::size_t{1} << 31,
          "max_executions must be in 1..2^31");
  require(o.max_lanes >= 1 && o.max_lanes <= 4096, "max_lanes must be in 1..4096");
  require(o.max_names >= 1 && o.max_names <= std::size_t{1} << 24, "max_names must be in 1..2^24");
  require(o.max_name_bytes >= 1 && o.max_name_bytes <= std::size_t{1} << 32,
          "max_name_bytes must be in 1..2^32");
  require(o.max_capability_sets >= 1 && o.max_capability_sets <= 65535,
          "max_capability_sets must be in 1..65535");
  require(o.max_text_bytes >= 1 && o.max_text_bytes <= std::size_t{1} << 32,
          "max_text_bytes must be in 1..2^32");
  require(o.partitions.IsValid(), "partition counts must not be 0");
  require(o.max_candidates >= 1, "max_candidates must not be 0");
  require(o.clock != nullptr, "a clock is needed");
  return o;
}

std::uint64_t SeedOf(const MemoryLedgerOptions& o) noexcept {
  if (o.hash_seed) return *o.hash_seed;
  // A run under the deterministic scheduler must be repeatable, so ids and names have the same
  // places each time.
  if (internal::kScheduled) return 0;
  std::uint64_t halves[2];  // 122 random bits: six of the 128 bits are the same in every uuid
  std::memcpy(halves, RandomUuid().bytes.data(), sizeof halves);
  return internal::Mix(halves[0] ^ internal::kMixA, halves[1] ^ internal::kMixB);
}

CreateOutcome Refuse(ClaimError error) noexcept {
  CreateOutcome outcome;
  outcome.error = error;
  return outcome;
}

// A retry policy is kept as the second text of an interned name. The same policy always has the
// same bytes.
constexpr std::size_t kPolicyBytes =
    sizeof RetryPolicy::max_retries + sizeof RetryPolicy::backoff + sizeof RetryPolicy::delay_ms +
    sizeof RetryPolicy::max_delay_ms + sizeof RetryPolicy::multiplier;
using PolicyBytes = std::array<char, kPolicyBytes>;

// Calls `copy(member, at)` for each member of the policy; `at` is the offset of the member in
// PolicyBytes.
template <class Policy, class Copy>
void ForEachMember(Policy& p, Copy copy) noexcept {
  std::size_t at = 0;
  const auto next = [&](auto& member) {
    copy(member, at);
    at += sizeof member;
  };
  next(p.max_retries);
  next(p.backoff);
  next(p.delay_ms);
  next(p.max_delay_ms);
  next(p.multiplier);
}

}  // namespace

MemoryLedger::Impl::Impl(const MemoryLedgerOptions& o) : Impl(o, SeedOf(o)) {}

MemoryLedger::Impl::Impl(const MemoryLedgerOptions& o, std::uint64_t seed)
    : clock(*o.clock),
      partition_count(o.partitions.num_flow_partitions),
      max_candidates(o.max_candidates),
      table(o.max_executions, seed),
      long_names(o.max_name_bytes),
      workers(o.max_names, seed, long_names),
      lanes(o.max_lanes, seed, long_names),
      required_sets(o.max_capability_sets, seed, long_names),
      texts(o.max_text_bytes),
      verdicts(required_sets),
      queues(table, o.max_lanes, partition_count) {}

bool MemoryLedger::Impl::Suffices(NameId required, std::string_view offered) noexcept {
  return internal::CapabilityVerdicts::Offer(verdicts, offered).Satisfies(required);
}

[[gnu::noinline]] ClaimError MemoryLedger::Impl::RefuseMismatch(Slot slot, std::string_view offered,
                                                                std::int64_t now,
                                                                ErrorDetails* details) noexcept {
  table.extra(slot).last_capability_mismatch_at.Set(now);
  if (details != nullptr) {
    std::array<char, kMaxCapabilityCsvSize> required;
    std::array<char, kMaxCapabilityCsvSize> missing;
    const NameId set = table[slot].required;
    required_sets.CopyFirst(set, required.data());
    const std::string_view csv(required.data(), required_sets.FirstSize(set));
    details->Add({missing.data(), MissingCapabilities(csv, offered, missing)});
  }
  return ClaimError::kCapabilityMismatch;
}

// Keeps the texts of a grant. Returns false, and changes nothing, if there is no room.
[[gnu::noinline]] bool MemoryLedger::Impl::KeepGrantTexts(Record& record,
                                                          const IssueGrantArgs& args,
                                                          bool own_lane) noexcept {
  return texts.SetGrant(record.texts,
                        {own_lane ? std::string_view() : args.lane.text(), args.capability_hash,
                         args.route_snapshot_json, args.admission_summary});
}

// This function is inlined into the path of IssueClaimGrant() and IssueClaimGrants(). Other callers
// go through Issue().
[[gnu::always_inline]] inline ClaimError MemoryLedger::Impl::IssueInline(
    GrantKind kind, Region& region, Slot slot, const IssueGrantArgs& args, std::int64_t now,
    TimestampMs& expires_at, Missing& missing, ErrorDetails* details) noexcept {
  Record& record = table[slot];
  if (record.GrantIsLive(now)) return ClaimError::kGrantAlreadyExists;
  // A claim grant's lane names the eligible set in which the execution must be.
  const bool own_lane = lanes.FirstIs(record.lane, args.lane.text());
  if (kind == GrantKind::kClaim && !own_lane) return ClaimError::kExecutionNotInEligibleSet;
  if (record.required != 0) {
    const std::string_view offered = CsvOf(args.offered);
    if (!Suffices(record.required, offered)) return RefuseMismatch(slot, offered, now, details);
  }
  // A grant with such a ttl never exists. A server, too, deletes a key at once that is to expire
  // now or earlier.
  if (args.grant_ttl_ms <= 0) {
    expires_at = {now + args.grant_ttl_ms};
    return ClaimError::kNone;
  }
  const NameId worker = HoldWorker(region, args.worker);
  if (worker == NamePool::kFull) [[unlikely]] {
    missing = Missing::kName;
    Detail(details, "names");
    return ClaimError::kLedgerFull;
  }
  const std::size_t opaque_texts =
      args.capability_hash.size() | args.route_snapshot_json.size() | args.admission_summary.size();
  const bool plain = own_lane && opaque_texts == 0 && record.texts == 0;
  if (!plain && !KeepGrantTexts(record, args, own_lane)) [[unlikely]] {
    UndoWorker(region, worker);
    missing = Missing::kText;
    Detail(details, "texts");
    return ClaimError::kLedgerFull;
  }
  // The grant that was here before has run out.
  if (record.has_grant) ReleaseWorker(region, record.grant_worker);
  record.has_grant = true;
  record.grant_worker = worker;
  record.grant_created_at = now;
  record.grant_expires_at = now + args.grant_ttl_ms;
  expires_at = {record.grant_expires_at};
  return ClaimError::kNone;
}

ClaimError MemoryLedger::Impl::Issue(GrantKind kind, Region& region, Slot slot,
                                     const IssueGrantArgs& args, std::int64_t now,
                                     TimestampMs& expires_at, Missing& missing,
                                     ErrorDetails* details) noexcept {
  return IssueInline(kind, region, slot, args, now, expires_at, missing, details);
}

[[gnu::always_inline]] inline ClaimError MemoryLedger::Impl::TryIssueClaimGrant(
    const IssueGrantArgs& args, std::uint64_t hash, TimestampMs& expires_at, Missing& missing,
    ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (!TtlInRange(args.grant_ttl_ms)) {
    Detail(details, "grant_ttl_ms is out of range");
    return ClaimError::kInvalidInput;
  }
  const Held held = Find(args.execution_id, hash);
  if (!held) return ClaimError::kExecutionNotFound;
  if (!internal::IsEligible(held->state)) return ClaimError::kExecutionNotEligible;
  return IssueInline(GrantKind::kClaim, held.region(), held.slot(), args, Now(), expires_at,
                     missing, details);
}

[[gnu::noinline]] ClaimError MemoryLedger::Impl::IssueWithRoom(const IssueGrantArgs& args,
                                                               std::uint64_t hash,
                                                               TimestampMs& expires_at,
                                                               ErrorDetails* details) noexcept {
  return WithRoom([&](Missing& missing) noexcept {
    return TryIssueClaimGrant(args, hash, expires_at, missing, details);
  });
}

std::optional<RetryPolicy> MemoryLedger::Impl::RetryPolicyOf(NameId required) const noexcept {
  if (required_sets.SecondSize(required) == 0) return std::nullopt;
  PolicyBytes bytes;
  required_sets.CopySecond(required, bytes.data());
  RetryPolicy policy;
  ForEachMember(policy, [&](auto& member, std::size_t at) {
    std::memcpy(&member, bytes.data() + at, sizeof member);
  });
  return policy;
}

bool MemoryLedger::Impl::Promote(Slot slot, std::uint16_t partition) noexcept {
  const std::scoped_lock queue(queues.LockOf(partition));
  const std::scoped_lock region(table.LockOfSlot(slot));
  // The slot was seen without the queue's lock and may be another execution's by now.
  if (!table.IsTaken(slot)) return false;
  Record& record = table[slot];
  if (record.partition != partition || !internal::IsDelayed(record.state)) return false;
  if (record.delay_until() > Now()) return false;
  record.state = internal::Promoted(record.state);
  queues.Push(QueueOf(record.lane), partition, slot);
  return true;
}

CreateOutcome MemoryLedger::Impl::Create(const CreateExecutionArgs& args, Missing& missing,
                                         ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  const std::uint16_t partition = args.execution_id.partition().index;
  const std::uint64_t hash = table.Hash(args.execution_id);
  const std::scoped_lock queue(queues.LockOf(partition));
  const std::scoped_lock region(table.LockOf(hash));
  CreateOutcome outcome;
  if (table.Find(hash, args.execution_id) != kNoSlot) {
    outcome.status = CreateOutcome::Status::kDuplicate;
    return outcome;
  }
  PolicyBytes bytes;
  if (args.retry) {
    ForEachMember(*args.retry, [&](const auto& member, std::size_t at) {
      std::memcpy(bytes.data() + at, &member, sizeof member);
    });
  }
  const NameId required = required_sets.Hold(
      CsvOf(args.required), std::string_view(bytes.data(), args.retry ? bytes.size() : 0));
  if (required == NamePool::kFull) {
    // The number of a set becomes free only when an execution is forgotten. Bytes for long texts
    // also become free when workers' names are released.
    if (required_sets.free_names() > 0) missing = Missing::kName;
    Detail(details, missing == Missing::kName ? "names" : "capability sets");
    return Refuse(ClaimError::kLedgerFull);
  }
  const NameId lane = lanes.Hold(args.lane.text());
  const Slot slot = lane == NamePool::kFull ? kNoSlot : table.Insert(hash);
  if (slot == kNoSlot) {
    required_sets.Release(required);
    if (lane != NamePool::kFull) lanes.Release(lane);
    if (lane == NamePool::kFull && lanes.free_names() > 0) missing = Missing::kName;
    Detail(details, lane != NamePool::kFull     ? "executions"
                    : missing == Missing::kName ? "names"
                                                : "lanes");
    return Refuse(ClaimError::kLedgerFull);
  }
  const std::int64_t now = Now();
  const bool delayed = args.delay_until && args.delay_until->value > now;
  Record& record = table[slot];
  record = {};
  record.uuid = args.execution_id.uuid();
  record.partition = partition;
  record.lane = static_cast<std::uint16_t>(lane);
  record.state = delayed ? State::kDelayed : State::kEligible;
  record.required = required;
  record.priority =
      static_cast<std::uint16_t>(std::clamp<std::int64_t>(args.priority, 0, kMaxPriority));
  if (delayed) record.DelayUntil(args.delay_until->value);
  record.has_reclaim_cap = args.max_reclaim_count.has_value() || required != 0;
  internal::ExecutionExtra& extra = table.extra(slot);
  extra.created_at.Set(now);
  extra.last_capability_mismatch_at.Set(internal::kNever);
  extra.max_reclaim_count = args.max_reclaim_count.value_or(kPolicyMaxReclaimCount);
  if (!delayed) queues.Push(QueueOf(record.lane), partition, slot);
  outcome.status = delayed ? CreateOutcome::Status::kDelayed : CreateOutcome::Status::kWaiting;
  return outcome;
}

MemoryLedger::MemoryLedger(const MemoryLedgerOptions& options)
    : impl_(std::make_unique<Impl>(Checked(options))) {}

MemoryLedger::~MemoryLedger() = default;

CreateOutcome MemoryLedger::CreateExecution(const CreateExecutionArgs& args,
                                            ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  if (details != nullptr) details->clear();
  if (!args.execution_id.is_canonical()) {
    Detail(details, "execution_id is not canonical");
    return Refuse(ClaimError::kInvalidInput);
  }
  if (args.execution_id.partition().index >= m.partition_count) {
    Detail(details, "partition index is out of range");
    return Refuse(ClaimError::kInvalidInput);
  }
  if (const LaneIdResult lane = ParseLaneId(args.lane.text()); !lane) {
    std::array<char, 96> text;
    const WriteResult written = FormatLaneIdError(lane, text);
    Detail(details, {text.data(), written.size});
    return Refuse(ClaimError::kInvalidInput);
  }
  if (args.retry && !IsValid(*args.retry)) {
    Detail(details, "the retry policy is out of range");
    return Refuse(ClaimError::kInvalidInput);
  }
  CreateOutcome outcome;
  m.WhileFull([&](Impl::Missing& missing) noexcept { outcome = m.Create(args, missing, details); });
  return outcome;
}

IssueOutcome MemoryLedger::IssueClaimGrant(const IssueGrantArgs& args,
                                           ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  const std::uint64_t hash = m.table.Hash(args.execution_id);
  TimestampMs expires_at;
  Impl::Missing missing = Impl::Missing::kNothing;
  ClaimError error = m.TryIssueClaimGrant(args, hash, expires_at, missing, details);
  if (error == ClaimError::kLedgerFull) [[unlikely]] {
    error = m.IssueWithRoom(args, hash, expires_at, details);
  }
  // The outcome is put together last, in registers. If a byte of it were stored early, that byte
  // would be loaded here as part of a word, and the load would stall.
  IssueOutcome outcome;
  outcome.error = error;
  outcome.expires_at = expires_at;
  return outcome;
}

void MemoryLedger::IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                    std::span<IssueOutcome> outcomes) noexcept {
  Impl& m = *impl_;
  m.ForEachPrefetched(args, [&](std::size_t i, std::uint64_t hash) noexcept {
    IssueOutcome& outcome = outcomes[i];
    outcome.expires_at = {};
    Impl::Missing missing = Impl::Missing::kNothing;
    outcome.error = m.TryIssueClaimGrant(args[i], hash, outcome.expires_at, missing, nullptr);
    if (outcome.error == ClaimError::kLedgerFull) [[unlikely]] {
      outcome.error = m.IssueWithRoom(args[i], hash, outcome.expires_at, nullptr);
    }
  });
}

std::optional<ExecutionState> MemoryLedger::Inspect(const ExecutionIdView& id) noexcept {
  const Impl::Held held = impl_->Find(id);
  if (!held) return std::nullopt;
  return internal::Describe(*held, impl_->table.extra(held.slot()), impl_->Now());
}

MemoryLedger::MaintenanceResult MemoryLedger::RunMaintenance(std::size_t max_places) noexcept {
  Impl& m = *impl_;
  const std::size_t slots = m.table.slot_count();
  const std::size_t places = std::min(max_places, slots);
  internal::ScheduleWrite(internal::Shared::kCursor);
  const std::size_t begin = m.maintenance_cursor.fetch_add(places, std::memory_order_relaxed);
  MaintenanceResult result;
  // Does the maintenance of a slot, except the promotion. Returns the partition if the slot has a
  // delayed execution that is due.
  const auto look_at = [&m, &result](Slot slot) noexcept -> std::optional<std::uint16_t> {
    Impl::Region& region = m.table.RegionOfSlot(slot);
    const std::scoped_lock lock(region.lock);
    if (!m.table.IsTaken(slot)) return std::nullopt;
    internal::ExecutionRecord& record = m.table[slot];
    const std::int64_t now = m.Now();
    if (record.state == State::kLeased && record.LeaseIsDue(now)) {
      record.state = State::kLeaseExpired;
      ++result.leases_expired;
    }
    // The name and the texts of the grant become free for others.
    if (record.has_grant && !record.GrantIsLive(now)) m.DropGrant(record, region);
    if (!internal::IsDelayed(record.state) || record.delay_until() > now) return std::nullopt;
    return record.partition;
  };
  for (std::size_t i = 0; i < places; ++i) {
    const auto slot = static_cast<Slot>((begin + i) % slots);
    if (const auto partition = look_at(slot)) result.promoted += m.Promote(slot, *partition);
  }
  return result;
}

Outcome MemoryLedger::Forget(const ExecutionIdView& id) noexcept {
  Impl& m = *impl_;
  if (!id.is_canonical() || id.partition().index >= m.partition_count) {
    return {ClaimError::kExecutionNotFound};
  }
  const std::scoped_lock queue(m.queues.LockOf(id.partition().index));
  const Impl::Held held = m.Find(id);
  if (!held) return {ClaimError::kExecutionNotFound};
  if (!internal::IsTerminal(held->state)) return {ClaimError::kInvalidInput};
  if (held->has_grant) m.DropGrant(*held, held.region());
  m.queues.Remove(QueueOf(held->lane), id.partition().index, held.slot());
  m.required_sets.Release(held->required);
  m.lanes.Release(held->lane);
  m.table.Erase(m.table.Hash(id), held.slot());
  return {};
}

std::size_t MemoryLedger::size() const noexcept { return impl_->table.size(); }
std::size_t MemoryLedger::capacity() const noexcept { return impl_->table.max_executions(); }

std::optional<ExecutionNames> MemoryLedger::InspectNames(const ExecutionIdView& id) {
  using internal::RecordText;
  const Impl& m = *impl_;
  // The lock is held to the end: as long as it is held, the record keeps its names and texts.
  const Impl::Held held = impl_->Find(id);
  if (!held) return std::nullopt;
  const internal::ExecutionRecord& record = *held;
  const auto lane = [&](RecordText kind) {
    std::string other = m.texts.Text(record.texts, kind);
    return other.empty() ? m.lanes.First(record.lane) : other;
  };
  ExecutionNames names;
  names.required_capabilities = m.required_sets.First(record.required);
  if (record.GrantIsLive(m.Now())) {
    names.grant_worker_id = m.workers.First(record.grant_worker);
    names.grant_worker_instance_id = m.workers.Second(record.grant_worker);
    names.grant_lane_id = lane(RecordText::kGrantLane);
    names.capability_hash = m.texts.Text(record.texts, RecordText::kCapabilityHash);
    names.route_snapshot_json = m.texts.Text(record.texts, RecordText::kRouteSnapshot);
    names.admission_summary = m.texts.Text(record.texts, RecordText::kAdmissionSummary);
  }
  if (internal::IsActive(record.state)) {
    names.current_worker_id = m.workers.First(record.lease_worker);
    names.current_worker_instance_id = m.workers.Second(record.lease_worker);
    names.current_lane = lane(RecordText::kLeaseLane);
  }
  return names;
}

}  // namespace ffgrant
