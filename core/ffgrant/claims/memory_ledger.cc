// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/memory_ledger.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <stdexcept>

#include "ffgrant/claims/internal/memory_ledger_impl.h"

namespace ffgrant {

using internal::kNoSlot;
using internal::NameId;
using internal::NamePool;
using State = internal::State;

namespace {

const MemoryLedgerOptions& Checked(const MemoryLedgerOptions& o) {
  const auto require = [](bool ok, const char* what) {
    if (!ok) throw std::invalid_argument(what);
  };
  require(o.max_executions >= 1 && o.max_executions <= std::size_t{1} << 31,
          "max_executions must be in 1..2^31");
  require(o.max_lanes >= 1 && o.max_lanes <= 4096, "max_lanes must be in 1..4096");
  require(o.max_names >= 1 && o.max_names <= std::size_t{1} << 24, "max_names must be in 1..2^24");
  require(o.max_name_bytes >= 1 && o.max_name_bytes <= std::size_t{1} << 32,
          "max_name_bytes must be in 1..2^32");
  require(o.partitions.IsValid(), "partition counts must not be 0");
  require(o.max_candidates >= 1, "max_candidates must not be 0");
  require(o.clock != nullptr, "a clock is needed");
  return o;
}

CreateOutcome Refuse(ClaimError error) noexcept {
  CreateOutcome outcome;
  outcome.error = error;
  return outcome;
}

}  // namespace

MemoryLedger::Impl::Impl(const MemoryLedgerOptions& o)
    : clock(*o.clock),
      partition_count(o.partitions.num_flow_partitions),
      max_candidates(o.max_candidates),
      table(o.max_executions),
      lanes(o.max_lanes),
      names(o.max_names, o.max_name_bytes),
      queues(table, o.max_lanes, partition_count),
      names_in_use(o.max_names + 1) {}

std::uint64_t MemoryLedger::Impl::MakeRoomForNames() noexcept {
  const std::scoped_lock one_at_a_time(making_room);
  const bool in_vain =
      swept_in_vain_at != internal::kNever && Now() - swept_in_vain_at < kSweepPauseMs;
  internal::ScheduleWrite(internal::Shared::kReleased);
  if (!released.exchange(false, std::memory_order_relaxed) && in_vain) return kNoTry;
  for (std::size_t region = 0; region < table.region_count(); ++region) {
    table.region(region).lock.lock();
  }
  const std::int64_t now = Now();
  std::fill(names_in_use.begin(), names_in_use.end(), std::uint8_t{0});
  for (Slot slot = 0; slot < table.slot_count(); ++slot) {
    if (!table.IsTaken(slot)) continue;
    Record& r = table[slot];
    if (!GrantIsLive(r, now)) {
      r.has_grant = false;
      r.grant_is_plain = true;
      r.grant_worker = r.grant_lane = 0;
      r.capability_hash = r.route_snapshot_json = r.admission_summary = 0;
    }
    if (!internal::IsActive(r.state)) {
      r.lease_is_plain = true;
      r.lease_worker = r.lease_lane = 0;
    }
    for (const NameId id : {r.required, r.grant_worker, r.lease_worker, r.grant_lane, r.lease_lane,
                            r.capability_hash, r.route_snapshot_json, r.admission_summary}) {
      names_in_use[id] = 1;
    }
  }
  const std::uint64_t freed = names.freed();
  names.Keep(names_in_use);
  swept_in_vain_at = names.freed() == freed ? now : internal::kNever;
  const std::uint64_t made = names.made();
  for (std::size_t region = 0; region < table.region_count(); ++region) {
    table.region(region).last_worker = 0;  // its number may become another's
    table.region(region).lock.unlock();
  }
  return made;
}

[[gnu::noinline]] ClaimError MemoryLedger::Impl::RefuseMismatch(Record& record,
                                                                std::string_view offered,
                                                                std::int64_t now,
                                                                ErrorDetails* details) noexcept {
  record.last_capability_mismatch_at = now;
  if (details != nullptr) {
    std::array<char, kMaxCapabilityCsvSize> missing;
    const std::string_view required = names.First(record.required);
    details->Add({missing.data(), MissingCapabilities(required, offered, missing)});
  }
  return ClaimError::kCapabilityMismatch;
}

// False, and nothing changed, if names are missing.
[[gnu::noinline]] bool MemoryLedger::Impl::KeepGrantTexts(Record& record,
                                                          const IssueGrantArgs& args,
                                                          bool own_lane) noexcept {
  const NameId lane = own_lane ? 0 : names.Intern(args.lane.text());
  const NameId hash = names.Intern(args.capability_hash);
  const NameId route = names.Intern(args.route_snapshot_json);
  const NameId admission = names.Intern(args.admission_summary);
  if (std::max({lane, hash, route, admission}) == NamePool::kFull) return false;
  record.grant_is_plain = (lane | hash | route | admission) == 0;
  record.grant_lane = lane;
  record.capability_hash = hash;
  record.route_snapshot_json = route;
  record.admission_summary = admission;
  return true;
}

// Inlined where grants are issued one after another.
[[gnu::always_inline]] inline ClaimError MemoryLedger::Impl::IssueInline(
    GrantKind kind, Record& record, Region& region, const IssueGrantArgs& args, std::int64_t now,
    TimestampMs& expires_at, ErrorDetails* details) noexcept {
  if (GrantIsLive(record, now)) return ClaimError::kGrantAlreadyExists;
  // A claim grant's lane names the eligible set in which the execution must be.
  const bool own_lane = internal::TextEqual(lanes.Text(record.lane), args.lane.text());
  if (kind == GrantKind::kClaim && !own_lane) return ClaimError::kExecutionNotInEligibleSet;
  if (record.required != 0) {
    const std::string_view offered = CsvOf(args.offered);
    if (!CapabilitiesSatisfied(names.First(record.required), offered)) {
      return RefuseMismatch(record, offered, now, details);
    }
  }
  // As a key that is told to expire in the past: it never exists.
  if (args.grant_ttl_ms <= 0) {
    expires_at = {now + args.grant_ttl_ms};
    return ClaimError::kNone;
  }
  const std::uint64_t made_before = internal::NamePool::made_by_this_thread();
  const std::string_view id = args.worker.worker_id.text;
  const std::string_view instance = args.worker.worker_instance_id.text;
  NameId worker = region.last_worker;
  if (!names.Is(worker, id, instance)) {
    worker = names.Intern(id, instance);
    if (worker != NamePool::kFull) region.last_worker = worker;
  }
  const std::size_t opaque_texts =
      args.capability_hash.size() + args.route_snapshot_json.size() + args.admission_summary.size();
  const bool plain = own_lane && opaque_texts == 0 && record.grant_is_plain;
  if (worker == NamePool::kFull || (!plain && !KeepGrantTexts(record, args, own_lane)))
      [[unlikely]] {
    NoteOrphans(made_before);
    Detail(details, "names");
    return ClaimError::kLedgerFull;
  }
  record.has_grant = true;
  record.grant_worker = worker;
  record.grant_created_at = now;
  record.grant_expires_at = now + args.grant_ttl_ms;
  expires_at = {record.grant_expires_at};
  return ClaimError::kNone;
}

ClaimError MemoryLedger::Impl::Issue(GrantKind kind, Record& record, Region& region,
                                     const IssueGrantArgs& args, std::int64_t now,
                                     TimestampMs& expires_at, ErrorDetails* details) noexcept {
  return IssueInline(kind, record, region, args, now, expires_at, details);
}

[[gnu::always_inline]] inline ClaimError MemoryLedger::Impl::TryIssueClaimGrant(
    const IssueGrantArgs& args, std::uint64_t hash, TimestampMs& expires_at,
    ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  if (!TtlInRange(args.grant_ttl_ms)) {
    Detail(details, "grant_ttl_ms is out of range");
    return ClaimError::kInvalidInput;
  }
  const Held held = Find(args.execution_id, hash);
  if (!held) return ClaimError::kExecutionNotFound;
  if (!internal::IsEligible(held->state)) return ClaimError::kExecutionNotEligible;
  return IssueInline(GrantKind::kClaim, *held, held.region(), args, Now(), expires_at, details);
}

[[gnu::noinline]] ClaimError MemoryLedger::Impl::IssueWithRoom(const IssueGrantArgs& args,
                                                               std::uint64_t hash,
                                                               TimestampMs& expires_at,
                                                               ErrorDetails* details) noexcept {
  return WithNames([&]() noexcept { return TryIssueClaimGrant(args, hash, expires_at, details); });
}

bool MemoryLedger::Impl::Promote(Slot slot, std::uint16_t partition) noexcept {
  const std::scoped_lock queue(queues.LockOf(partition));
  const std::scoped_lock region(table.LockOfSlot(slot));
  Record& record = table[slot];
  // It was seen without the queue's lock and may be another's by now.
  if (!table.IsTaken(slot) || record.partition != partition) return false;
  if (!internal::IsDelayed(record.state) || record.delay_until > Now()) return false;
  record.state = internal::IsResumed(record.state) ? State::kResumedEligible : State::kEligible;
  queues.Push(record.lane, partition, slot);
  return true;
}

CreateOutcome MemoryLedger::Impl::Create(const CreateExecutionArgs& args, bool& names_missing,
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
  const NameId required = names.Intern(CsvOf(args.required));
  names_missing = required == NamePool::kFull;
  if (names_missing) {
    Detail(details, "names");
    return Refuse(ClaimError::kLedgerFull);
  }
  const internal::Slot slot = table.Insert(hash);
  if (slot == kNoSlot) {
    Detail(details, "executions");
    return Refuse(ClaimError::kLedgerFull);
  }
  // Last, since a lane stays.
  const auto lane = lanes.FindOrAdd(args.lane);
  if (!lane) {
    table.Erase(hash, slot);
    Detail(details, "lanes");
    return Refuse(ClaimError::kLedgerFull);
  }
  const std::int64_t now = Now();
  const bool delayed = args.delay_until && args.delay_until->value > now;
  Record& record = table[slot];
  record = {};
  record.uuid = args.execution_id.uuid();
  record.partition = partition;
  record.lane = *lane;
  record.state = delayed ? State::kDelayed : State::kEligible;
  record.grant_is_plain = true;
  record.lease_is_plain = true;
  record.required = required;
  record.created_at = now;
  record.last_capability_mismatch_at = internal::kNever;
  record.priority =
      static_cast<std::uint16_t>(std::clamp<std::int64_t>(args.priority, 0, kMaxPriority));
  record.delay_until = delayed ? args.delay_until->value : 0;
  record.has_reclaim_cap = args.max_reclaim_count.has_value() || required != 0;
  record.max_reclaim_count = args.max_reclaim_count.value_or(kPolicyMaxReclaimCount);
  if (!delayed) queues.Push(*lane, partition, slot);
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
  CreateOutcome outcome;
  m.WhileNamesAreMissing([&]() noexcept {
    bool names_missing = false;
    outcome = m.Create(args, names_missing, details);
    return names_missing;
  });
  return outcome;
}

IssueOutcome MemoryLedger::IssueClaimGrant(const IssueGrantArgs& args,
                                           ErrorDetails* details) noexcept {
  Impl& m = *impl_;
  const std::uint64_t hash = m.table.Hash(args.execution_id);
  TimestampMs expires_at;
  ClaimError error = m.TryIssueClaimGrant(args, hash, expires_at, details);
  if (error == ClaimError::kLedgerFull) [[unlikely]] {
    error = m.IssueWithRoom(args, hash, expires_at, details);
  }
  // Put together last, in registers; a byte stored in it early would be loaded
  // as a word here, with a stall.
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
    outcome.error = m.TryIssueClaimGrant(args[i], hash, outcome.expires_at, nullptr);
    if (outcome.error == ClaimError::kLedgerFull) [[unlikely]] {
      outcome.error = m.IssueWithRoom(args[i], hash, outcome.expires_at, nullptr);
    }
  });
}

std::optional<ExecutionState> MemoryLedger::Inspect(const ExecutionIdView& id) noexcept {
  const Impl::Held held = impl_->Find(id);
  if (!held) return std::nullopt;
  return internal::Describe(*held, impl_->Now());
}

MemoryLedger::MaintenanceResult MemoryLedger::RunMaintenance(std::size_t max_places) noexcept {
  Impl& m = *impl_;
  const std::size_t slots = m.table.slot_count();
  const std::size_t places = std::min(max_places, slots);
  internal::ScheduleWrite(internal::Shared::kCursor);
  const std::size_t begin = m.maintenance_cursor.fetch_add(places, std::memory_order_relaxed);
  MaintenanceResult result;
  // The partition, if it is a delayed execution's place that is due.
  const auto look_at = [&m, &result](internal::Slot slot) noexcept -> std::optional<std::uint16_t> {
    const std::scoped_lock region(m.table.LockOfSlot(slot));
    if (!m.table.IsTaken(slot)) return std::nullopt;
    internal::ExecutionRecord& record = m.table[slot];
    if (record.state == State::kLeased && record.lease_expires_at <= m.Now()) {
      record.state = State::kLeaseExpired;
      ++result.leases_expired;
    }
    if (!internal::IsDelayed(record.state) || record.delay_until > m.Now()) return std::nullopt;
    return record.partition;
  };
  for (std::size_t i = 0; i < places; ++i) {
    const auto slot = static_cast<internal::Slot>((begin + i) % slots);
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
  m.queues.Remove(held->lane, id.partition().index, held.slot());
  m.table.Erase(m.table.Hash(id), held.slot());
  m.NoteRelease();
  return {};
}

std::size_t MemoryLedger::size() const noexcept { return impl_->table.size(); }
std::size_t MemoryLedger::capacity() const noexcept { return impl_->table.max_executions(); }

std::optional<ExecutionNames> MemoryLedger::InspectNames(const ExecutionIdView& id) {
  const internal::NamePool& pool = impl_->names;
  // Under the lock to the end: names may move when it is released.
  const Impl::Held held = impl_->Find(id);
  if (!held) return std::nullopt;
  const internal::ExecutionRecord& record = *held;
  const std::string_view own_lane = impl_->lanes.Text(record.lane);
  ExecutionNames names;
  names.required_capabilities = pool.First(record.required);
  if (impl_->GrantIsLive(record, impl_->Now())) {
    names.grant_worker_id = pool.First(record.grant_worker);
    names.grant_worker_instance_id = pool.Second(record.grant_worker);
    names.grant_lane_id = own_lane;
    if (!record.grant_is_plain) {
      if (record.grant_lane != 0) names.grant_lane_id = pool.First(record.grant_lane);
      names.capability_hash = pool.First(record.capability_hash);
      names.route_snapshot_json = pool.First(record.route_snapshot_json);
      names.admission_summary = pool.First(record.admission_summary);
    }
  }
  if (internal::IsActive(record.state)) {
    names.current_worker_id = pool.First(record.lease_worker);
    names.current_worker_instance_id = pool.Second(record.lease_worker);
    names.current_lane = record.lease_is_plain ? own_lane : pool.First(record.lease_lane);
  }
  return names;
}

}  // namespace ffgrant
