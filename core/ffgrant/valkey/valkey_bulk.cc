// SPDX-License-Identifier: Apache-2.0
//
// The calls that keep many commands under way: batches, and the scheduler's
// choice.

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "ffgrant/routing.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::CheckTtlAndId;
using internal::Reply;
using internal::RespCommand;
using internal::Session;

namespace {

// ---- batches -------------------------------------------------------------------

// Sends args[i] for every i, as many at once as the client takes. `Batch` has
// Check(i), Write(i, command), Read(i, reply) and SetError(i, error).
template <class Batch>
void RunBatch(Session& session, Batch& batch, std::size_t size) noexcept {
  struct Run {
    Session& session;
    Batch& batch;
    static bool OnReply(void* self, std::uint64_t i, const Reply& reply) noexcept {
      Run& run = *static_cast<Run*>(self);
      if (!run.batch.Read(i, reply)) return false;
      run.session.Ended();
      return true;
    }
    static void OnFailure(void* self, std::uint64_t i, internal::CallFailure failure,
                          std::string_view) noexcept {
      Run& run = *static_cast<Run*>(self);
      run.batch.SetError(i, failure == internal::CallFailure::kUnavailable
                                ? ClaimError::kUnavailable
                                : ClaimError::kUnknownOutcome);
      run.session.Ended();
    }
  };
  Run run{session, batch};
  for (std::size_t i = 0; i < size; ++i) {
    const ClaimError refusal = batch.Check(i);
    batch.SetError(i, refusal);
    if (refusal != ClaimError::kNone) continue;
    const internal::CallTarget target = {
        .self = &run, .on_reply = &Run::OnReply, .on_failure = &Run::OnFailure, .tag = i};
    session.Submit(
        batch.Slot(i), batch.read_only(i), target,
        [&](RespCommand& command) { batch.Write(i, command); }, batch.Key(i));
  }
  session.Wait();
}

// Each grant and, right behind it, its expiry: commands 2 i and 2 i + 1. What was
// issued has its expiry then even if the time is over before the batch is.
struct IssueBatch {
  std::span<const IssueGrantArgs> args;
  std::span<IssueOutcome> outcomes;
  const PartitionConfig& partitions;

  // The expiry of a grant that has not been issued yet: one that is read before is
  // another's.
  static constexpr std::int64_t kNotYet = -1;

  static bool read_only(std::size_t k) noexcept { return k % 2 == 1; }
  static internal::CommandKey Key(std::size_t) noexcept { return internal::kNoKey; }
  std::uint16_t Slot(std::size_t k) const { return HashSlot(args[k / 2].execution_id.partition()); }
  ClaimError Check(std::size_t k) const noexcept {
    const IssueGrantArgs& grant = args[k / 2];
    return CheckTtlAndId(grant.grant_ttl_ms, {}, grant.execution_id, partitions, nullptr);
  }
  void Write(std::size_t k, RespCommand& command) const {
    if (read_only(k)) {
      internal::WriteReadGrantExpiry(command, args[k / 2].execution_id);
    } else {
      WriteIssue(command, args[k / 2]);
    }
  }
  bool Read(std::size_t k, const Reply& reply) const noexcept {
    IssueOutcome& outcome = outcomes[k / 2];
    if (read_only(k)) {
      TimestampMs others;
      const bool issued = outcome && outcome.expires_at.value != kNotYet;
      // What is no expiry is none. It costs no other grant its answer, which names its
      // execution and would show that the stream is out of step.
      (void)internal::ReadGrantExpiry(reply, issued ? outcome.expires_at : others);
      return true;
    }
    outcome.expires_at = {};
    return ReadIssue(reply, args[k / 2].execution_id.text(), false, nullptr, outcome);
  }
  void SetError(std::size_t k, ClaimError error) const noexcept {
    if (read_only(k)) return;  // that the expiry can't be read is no failure
    outcomes[k / 2].error = error;
    outcomes[k / 2].expires_at = {error == ClaimError::kNone ? kNotYet : 0};
  }
};

struct ClaimBatch {
  std::span<const ClaimArgs> args;
  std::span<ClaimOutcome> outcomes;
  const PartitionConfig& partitions;
  internal::CommandKey (*key_of)(const LeaseId&) noexcept;

  static bool read_only(std::size_t) noexcept { return false; }
  internal::CommandKey Key(std::size_t i) const noexcept { return key_of(args[i].lease_id); }
  std::uint16_t Slot(std::size_t i) const { return HashSlot(args[i].execution_id.partition()); }
  ClaimError Check(std::size_t i) const noexcept {
    return CheckTtlAndId(args[i].lease_ttl_ms, {}, args[i].execution_id, partitions, nullptr);
  }
  void Write(std::size_t i, RespCommand& command) const { WriteClaim(command, args[i]); }
  bool Read(std::size_t i, const Reply& reply) const noexcept {
    return ReadClaim(reply, args[i].lease_id, args[i].attempt_id, nullptr, outcomes[i]);
  }
  void SetError(std::size_t i, ClaimError error) const noexcept {
    outcomes[i].error = error;
    outcomes[i].lease = {};
  }
};

// ---- the scheduler's choice ------------------------------------------------------

// Partitions that are looked at in one go, and candidates of one partition.
constexpr std::size_t kPartitionsAtOnce = 32;
constexpr std::size_t kCandidatesAtOnce = 32;

struct Candidate {
  std::array<char, kMaxExecutionIdSize> text;
  std::size_t size = 0;
  bool there = false;
  bool granted = true;
  bool suits = false;

  ExecutionIdView id() const noexcept {
    return ParseExecutionId({text.data(), size}, ParseMode::kStrict).id;
  }
};

// Elements [first, last] of the eligible set.
void WriteRange(RespCommand& command, Partition partition, LaneIdView lane, std::uint64_t first,
                std::uint64_t last) {
  command.Begin(4);
  command.Arg("ZRANGE");
  command.Key(
      [&](std::span<char> out) { return FormatKey(LaneKey::kEligible, partition, lane, out); });
  command.Arg(first);
  command.Arg(last);
}

// Fills in what an eligible set's range holds; ids of other spellings, which
// nobody may claim, stay empty. An error of the server's is noted in `error`.
bool ReadRange(const Reply& reply, std::span<Candidate> candidates, std::size_t& count,
               ClaimError& error) noexcept {
  if (reply.is(Reply::Type::kError)) {
    error = ClaimError::kUnknownCode;
    return true;
  }
  if (!reply.is(Reply::Type::kArray) || reply.elements.size() > candidates.size()) return false;
  for (const Reply& element : reply.elements) {
    if (!element.is(Reply::Type::kString)) return false;
    Candidate& candidate = candidates[count++];
    candidate.there = true;
    candidate.size = 0;
    if (!ParseExecutionId(element.text, ParseMode::kStrict)) continue;
    candidate.size = element.text.copy(candidate.text.data(), candidate.text.size());
  }
  return true;
}

// Which of them have no grant, and requirements that are met. One of which the
// server answers with an error, which is noted, is taken for granted.
ClaimError ReadStates(Session& session, std::span<Candidate> candidates, std::string_view offered,
                      ClaimError& error) noexcept {
  internal::Group group(session, nullptr);
  struct Grant {
    Candidate* candidate;
    ClaimError* error;
    bool operator()(const Reply& reply) const noexcept {
      if (reply.is(Reply::Type::kError)) {
        *error = ClaimError::kUnknownCode;
        return true;
      }
      candidate->granted = reply.integer != 0;
      return reply.is(Reply::Type::kInteger);
    }
  };
  struct Required {
    Candidate* candidate;
    std::string_view offered;
    ClaimError* error;
    bool operator()(const Reply& reply) const noexcept {
      if (reply.is(Reply::Type::kError)) {
        *error = ClaimError::kUnknownCode;
        return true;
      }
      candidate->suits = CapabilitiesSatisfied(reply.text, offered);  // nil: none are required
      return reply.is(Reply::Type::kString) || reply.is(Reply::Type::kNil);
    }
  };
  std::array<Grant, kPartitionsAtOnce> grants;
  std::array<Required, kPartitionsAtOnce> required;
  static_assert(kCandidatesAtOnce <= kPartitionsAtOnce &&
                2 * kPartitionsAtOnce <= internal::Group::kMaxSize);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    candidates[i].granted = true;
    candidates[i].suits = false;
    if (candidates[i].size == 0) continue;
    const ExecutionIdView id = candidates[i].id();
    const std::uint16_t slot = HashSlot(id.partition());
    grants[i] = {&candidates[i], &error};
    required[i] = {&candidates[i], offered, &error};
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id);
          command.Begin(2);
          command.Arg("EXISTS");
          keys.Execution(ExecutionKey::kClaimGrant);
        },
        grants[i]);
    group.Add(
        slot, true,
        [&](RespCommand& command) {
          internal::ClaimKeys keys(command, id);
          command.Begin(3);
          command.Arg("HGET");
          keys.Execution(ExecutionKey::kCore);
          command.Arg("required_capabilities");
        },
        required[i]);
  }
  return group.Wait();
}

// The search of one call; Impl is ValkeyLedger's, which is private.
template <class Impl>
class Choice {
 public:
  Choice(Impl& impl, Session& session, const ClaimForWorkerArgs& args)
      : impl_(impl), session_(session), args_(args) {}

  // True once the call has its outcome.
  bool TryPartitions(std::size_t first, std::size_t count) noexcept {
    std::array<Candidate, kPartitionsAtOnce> heads;
    if (!ReadHeads(first, count, heads)) return true;
    for (std::size_t i = 0; i < count; ++i) {
      if (!heads[i].there) continue;
      if (!heads[i].granted && heads[i].suits && TryIssue(heads[i])) return true;
      if (TryRest(PartitionAt(first + i))) return true;
    }
    return false;
  }

  ClaimForWorkerOutcome outcome;

 private:
  Partition PartitionAt(std::size_t place) const noexcept {
    return {PartitionFamily::kExecution,
            static_cast<std::uint16_t>(place % impl_.partitions().num_flow_partitions)};
  }
  std::string_view offered() const noexcept {
    return args_.offered == nullptr ? std::string_view() : args_.offered->csv();
  }
  bool Failed(ClaimError failure) noexcept {
    if (failure == ClaimError::kNone) return false;
    outcome.error = failure;
    return true;
  }

  bool ReadHeads(std::size_t first, std::size_t count, std::span<Candidate> heads) noexcept {
    struct Head {
      Candidate* candidate;
      ClaimError* error;
      bool operator()(const Reply& reply) const noexcept {
        std::size_t found = 0;
        return ReadRange(reply, {candidate, 1}, found, *error);
      }
    };
    std::array<Head, kPartitionsAtOnce> readers;
    internal::Group group(session_, nullptr);
    for (std::size_t i = 0; i < count; ++i) {
      readers[i] = {&heads[i], &outcome.error};
      const Partition partition = PartitionAt(first + i);
      group.Add(
          HashSlot(partition), true,
          [&](RespCommand& command) { WriteRange(command, partition, args_.lane, 0, 0); },
          readers[i]);
    }
    if (Failed(group.Wait())) return false;
    return !Failed(ReadStates(session_, heads.first(count), offered(), outcome.error));
  }

  // What stands behind the head.
  bool TryRest(Partition partition) noexcept {
    std::array<Candidate, kCandidatesAtOnce> candidates;
    for (std::uint64_t begin = 1; begin < impl_.options.max_candidates;
         begin += kCandidatesAtOnce) {
      const std::uint64_t end =
          std::min<std::uint64_t>(begin + kCandidatesAtOnce, impl_.options.max_candidates);
      std::size_t count = 0;
      if (Failed(CallAndWait(
              session_, HashSlot(partition), true, nullptr,
              [&](RespCommand& command) {
                WriteRange(command, partition, args_.lane, begin, end - 1);
              },
              [&](const Reply& reply) {
                return ReadRange(reply, candidates, count, outcome.error);
              }))) {
        return true;
      }
      const std::span<Candidate> found(candidates.data(), count);
      if (Failed(ReadStates(session_, found, offered(), outcome.error))) return true;
      for (const Candidate& candidate : found) {
        if (!candidate.granted && candidate.suits && TryIssue(candidate)) return true;
      }
      if (count < kCandidatesAtOnce) return false;
    }
    return false;
  }

  // False if somebody else was faster, or it faults: any other may still do.
  bool TryIssue(const Candidate& candidate) noexcept {
    const ExecutionIdView id = candidate.id();
    IssueOutcome issued;
    impl_.Issue(session_,
                {.execution_id = id,
                 .worker = args_.worker,
                 .lane = args_.lane,
                 .grant_ttl_ms = args_.grant_ttl_ms,
                 .offered = args_.offered},
                nullptr, issued);
    if (issued) {
      outcome.error = ClaimError::kNone;
      outcome.grant = IssuedGrant(id, issued.expires_at);
      return true;
    }
    if (issued.error == ClaimError::kUnknownCode) {  // which must not be in the others' way
      outcome.error = issued.error;
      return false;
    }
    return issued.error == ClaimError::kUnknownOutcome ||
                   issued.error == ClaimError::kUnavailable ||
                   issued.error == ClaimError::kInvalidCapabilities
               ? Failed(issued.error)
               : false;
  }

  Impl& impl_;
  Session& session_;
  const ClaimForWorkerArgs& args_;
};

}  // namespace

void ValkeyLedger::IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                    std::span<IssueOutcome> outcomes) noexcept {
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  IssueBatch grants{args, outcomes, impl_->partitions()};
  RunBatch(lease.session, grants, 2 * args.size());
  for (std::size_t i = 0; i < args.size(); ++i) {
    TimestampMs now;
    if (outcomes[i] && outcomes[i].expires_at.value == 0 &&
        Impl::ReadTime(lease.session, args[i].execution_id, nullptr, now) == ClaimError::kNone) {
      outcomes[i].expires_at = {now.value + args[i].grant_ttl_ms};
    }
  }
}

void ValkeyLedger::Claims(std::span<const ClaimArgs> args,
                          std::span<ClaimOutcome> outcomes) noexcept {
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  ClaimBatch claims{args, outcomes, impl_->partitions(), &Impl::KeyOf};
  RunBatch(lease.session, claims, args.size());
}

ClaimForWorkerOutcome ValkeyLedger::ClaimForWorker(const ClaimForWorkerArgs& args) noexcept {
  if (args.grant_ttl_ms < -kMaxTtlMs || args.grant_ttl_ms > kMaxTtlMs) {
    ClaimForWorkerOutcome outcome;
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  Choice choice(*impl_, lease.session, args);
  choice.outcome.error = ClaimError::kNoEligibleExecution;
  // The reference's round: from a place of the worker's own that moves on with
  // time.
  const std::size_t count = impl_->partitions().num_flow_partitions;
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  const std::size_t start =
      (ScanStart(args.worker.worker_instance_id, impl_->partitions().num_flow_partitions) +
       static_cast<std::uint64_t>(now.count()) / 250 * 32 % count) %
      count;
  for (std::size_t looked = 0; looked < count; looked += kPartitionsAtOnce) {
    if (choice.TryPartitions(start + looked, std::min(kPartitionsAtOnce, count - looked))) break;
  }
  return choice.outcome;
}

}  // namespace ffgrant::valkey
