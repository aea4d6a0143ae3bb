// SPDX-License-Identifier: Apache-2.0
//
// Batches: calls that keep many commands under way.

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
    Batch& batch;
    std::size_t open = 0;
    static bool OnReply(void* self, std::uint64_t i, const Reply& reply) noexcept {
      Run& run = *static_cast<Run*>(self);
      if (!run.batch.Read(i, reply)) return false;
      --run.open;
      return true;
    }
    static void OnFailure(void* self, std::uint64_t i, internal::CallFailure failure,
                          std::string_view) noexcept {
      Run& run = *static_cast<Run*>(self);
      --run.open;
      run.batch.SetError(i, failure == internal::CallFailure::kUnavailable
                                ? ClaimError::kUnavailable
                                : ClaimError::kUnknownOutcome);
    }
  };
  constexpr std::int64_t kLong = 60'000;  // every command has a deadline of its own
  Run run{batch};
  for (std::size_t i = 0; i < size; ++i) {
    const ClaimError refusal = batch.Check(i);
    batch.SetError(i, refusal);
    if (refusal != ClaimError::kNone) continue;
    const internal::CallTarget target = {
        .self = &run, .on_reply = &Run::OnReply, .on_failure = &Run::OnFailure, .tag = i};
    ++run.open;
    while (!session.client.Submit(batch.Slot(i), batch.read_only(), target,
                                  [&](RespCommand& command) { batch.Write(i, command); })) {
      session.client.Poll(kLong);
    }
  }
  while (run.open > 0) session.client.Poll(kLong);
}

struct IssueBatch {
  std::span<const IssueGrantArgs> args;
  std::span<IssueOutcome> outcomes;
  const PartitionConfig& partitions;

  bool read_only() const noexcept { return false; }
  std::uint16_t Slot(std::size_t i) const { return HashSlot(args[i].execution_id.partition()); }
  ClaimError Check(std::size_t i) const noexcept {
    return CheckTtlAndId(args[i].grant_ttl_ms, {}, args[i].execution_id, partitions, nullptr);
  }
  void Write(std::size_t i, RespCommand& command) const { WriteIssue(command, args[i]); }
  bool Read(std::size_t i, const Reply& reply) const noexcept {
    return ReadIssue(reply, args[i].execution_id.text(), false, nullptr, outcomes[i]);
  }
  void SetError(std::size_t i, ClaimError error) const noexcept {
    outcomes[i].error = error;
    outcomes[i].expires_at = {};
  }
};

// The expiries of the grants that the batch before has issued.
struct ExpiryBatch {
  std::span<const IssueGrantArgs> args;
  std::span<IssueOutcome> outcomes;

  bool read_only() const noexcept { return true; }
  std::uint16_t Slot(std::size_t i) const { return HashSlot(args[i].execution_id.partition()); }
  // Nothing is read for one that was refused; its error stays.
  ClaimError Check(std::size_t i) const noexcept { return outcomes[i].error; }
  void Write(std::size_t i, RespCommand& command) const {
    internal::WriteReadGrantExpiry(command, args[i].execution_id);
  }
  bool Read(std::size_t i, const Reply& reply) const noexcept {
    return internal::ReadGrantExpiry(reply, outcomes[i].expires_at);
  }
  void SetError(std::size_t, ClaimError) const noexcept {}
};

struct ClaimBatch {
  std::span<const ClaimArgs> args;
  std::span<ClaimOutcome> outcomes;
  const PartitionConfig& partitions;

  bool read_only() const noexcept { return false; }
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

}  // namespace

void ValkeyLedger::IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                    std::span<IssueOutcome> outcomes) noexcept {
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  IssueBatch grants{args, outcomes, impl_->partitions()};
  RunBatch(lease.session, grants, args.size());
  ExpiryBatch expiries{args, outcomes};
  RunBatch(lease.session, expiries, args.size());
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
  ClaimBatch claims{args, outcomes, impl_->partitions()};
  RunBatch(lease.session, claims, args.size());
}

}  // namespace ffgrant::valkey
