// SPDX-License-Identifier: Apache-2.0
//
// Implements the batches, each of which keeps many commands under way at once.

#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::CheckTtlAndId;
using internal::Reply;
using internal::RespCommand;
using internal::Session;

namespace {

// ---- batches -------------------------------------------------------------------

// Sends command i of the batch for every i below `size` that passes Check(i), as many at once as
// the client takes. `Batch` has Check(i), SetError(i, error), Slot(i), read_only(i), Key(i),
// Write(i, command) and Read(i, reply).
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

// Sends the call that issues grant i as command 2 i and, right after it, a read of the grant's
// expiry as command 2 i + 1. So a grant that was issued has its expiry even if the batch runs out
// of time later.
struct BatchOfIssues {
  std::span<const IssueGrantArgs> args;
  std::span<IssueOutcome> outcomes;
  const PartitionConfig& partitions;

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
      // A reply that is no expiry counts as a missing expiry. The rest of the batch still gets its
      // answers. If answers and commands were out of step, the answers to the issuing calls would
      // show it, because each of these names its execution.
      (void)internal::ReadGrantExpiry(reply, outcome ? outcome.expires_at : others);
      return true;
    }
    outcome.expires_at = {};  // what was read before the grant was issued is another grant's expiry
    return ReadIssue(reply, args[k / 2].execution_id.text(), false, nullptr, outcome);
  }
  void SetError(std::size_t k, ClaimError error) const noexcept {
    if (read_only(k)) return;  // an expiry that can't be read is no failure
    outcomes[k / 2].error = error;
    outcomes[k / 2].expires_at = {};
  }
};

struct BatchOfClaims {
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

}  // namespace

void ValkeyLedger::IssueClaimGrants(std::span<const IssueGrantArgs> args,
                                    std::span<IssueOutcome> outcomes) noexcept {
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  BatchOfIssues grants{args, outcomes, impl_->partitions()};
  RunBatch(lease.session, grants, 2 * args.size());
  for (std::size_t i = 0; i < args.size(); ++i) {
    TimestampMs now;
    if (outcomes[i] && outcomes[i].expires_at.value == 0 &&
        Impl::ReadTime(lease.session, args[i].execution_id, nullptr, now) == ClaimError::kNone) {
      outcomes[i].expires_at = {now.value + args[i].grant_ttl_ms};
    }
  }
}

void ValkeyLedger::ClaimBatch(std::span<const ClaimArgs> args,
                              std::span<ClaimOutcome> outcomes) noexcept {
  internal::SessionPool::Lease lease = impl_->sessions.Take();
  BatchOfClaims claims{args, outcomes, impl_->partitions(), &Impl::KeyOf};
  RunBatch(lease.session, claims, args.size());
}

}  // namespace ffgrant::valkey
