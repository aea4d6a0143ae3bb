// SPDX-License-Identifier: Apache-2.0
//
// The claim path on a Valkey or Redis server, or on a cluster of them.
//
//   ValkeyLedger ledger({.client = {.servers = {{"127.0.0.1", 6379}}}});
//   if (!ledger.CreateExecution({.execution_id = id, .lane = lane})) ...
//
// All decisions are the server's: each call is one of FlowFabric's functions
// (contract 7), atomic there, on the server's clock. FlowFabric's own function
// library is used where the server has it; where it has none, ours is loaded,
// which answers alike (function_library.h).

#ifndef FFGRANT_VALKEY_VALKEY_LEDGER_H_
#define FFGRANT_VALKEY_VALKEY_LEDGER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/ending.h"
#include "ffgrant/config.h"
#include "ffgrant/valkey/client_counters.h"
#include "ffgrant/valkey/client_options.h"
#include "ffgrant/valkey/execution_content.h"
#include "ffgrant/valkey/execution_input.h"
#include "ffgrant/valkey/server_info.h"
#include "ffgrant/valkey/worker_registration.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

struct ValkeyLedgerOptions {
  ClientOptions client = {};
  ClaimDefaults defaults = {};
  // To each server that is needed, 1..1024. Calls of different threads share them:
  // none waits for another to be over, nor for a server that it does not ask. As
  // many threads as this have one each, which is the quickest.
  std::size_t connections = 4;
  // How many of a partition's eligible executions ClaimForWorker() looks at
  // before it goes on to the next partition. At least 1.
  std::size_t max_candidates = 1024;
  // Suspending signs a token, for which a partition needs a secret. Where it
  // has none yet, this one is installed: hex digits, an even number of them.
  // Empty: none is, and Suspend() says kUnknownCode, `hmac_secret_not_initialized`.
  std::string waitpoint_secret_hex = {};
};

// What became of a claim.
enum class ClaimFate : std::uint8_t {
  kHeld,        // its lease is the current one
  kEnded,       // it happened; the lease has been completed, lost or revoked since
  kNotClaimed,  // no trace of it
};

// Nothing of it holds with an error.
struct FoundClaim : Outcome {
  ClaimFate fate = ClaimFate::kNotClaimed;
  Lease lease;  // with kHeld; kind: that of the attempt, also if it was resumed
  // With kNotClaimed, of a claim that this ledger made: whether it can't happen any
  // more. False if a connection that may still carry the claim could not be shut on
  // its server; then ask again. It is shut where the server says by INFO that it is
  // the same process, wherever it is found; and need not be where that process has
  // ended. So it stays false while that server can't be reached, though its replica
  // may have been promoted: it could be promoted back before the claim arrives. And it
  // stays false where an ACL forbids INFO, CLIENT ID or CLIENT KILL.
  bool final = true;
};

// Besides ClaimLedger's errors any call can end with
//   kUnavailable     it did not happen: no server could be reached, or it
//                    refused to serve
//   kUnknownOutcome  it was sent, and its answer will never come: it may have
//                    happened or not. Never repeated by itself. Of claims,
//                    FindClaim() knows; of others, Inspect(). A claim that the
//                    server answers with an error ends so too: the function may have
//                    written the lease before it failed.
//   kUnknownCode     the server answered with a code or a word that the contract
//                    does not have; or, but for a claim, with a fault, before which
//                    the function may have done a part of its work
// each with the text behind it as a detail.
//
// Every call ends within client.request_timeout_ms, whatever fails: that one limit is
// for all that the call does, and for a whole batch. What a batch has not sent by then
// is kUnavailable.
//
// Takes canonical ids of configured partitions only, as MemoryLedger does. A
// call is one round trip; ClaimResumed, Revoke, Reclaim, Suspend, Resume and
// Complete read the names of their keys first, which is a second. Reads and
// calls that the server can't have executed are repeated within the time limit.
// Nothing is allocated in a call once buffers have grown, except by InspectNames(), by
// Fail() and when a connection fails.
//
// The process around it:
//   fork      A ledger belongs to the process that made it. A child makes none of its calls,
//             but may destroy its copy, which says nothing to the server, and may make a
//             ledger of its own. Its descriptors end with exec (close-on-exec).
//   the end   A ledger may be static: its destructor needs nothing that exit() has taken
//             away, and waits for nobody. No call may be under way then; CancelCalls()
//             ends those of other threads. Threads that look names up do not hold up the
//             end of the process.
//   signals   No handler is installed, no signal raised (SIGPIPE included), and a call that
//             one interrupts goes on. The library's own threads, which look names up, block
//             all signals. No call is to be made from a signal handler.
//
// Thread-safe.
class ValkeyLedger final : public ClaimLedger {
 public:
  // Throws std::invalid_argument for options out of range. Connects with the
  // first call.
  explicit ValkeyLedger(const ValkeyLedgerOptions& options);
  ~ValkeyLedger() override;
  ValkeyLedger(const ValkeyLedger&) = delete;
  ValkeyLedger& operator=(const ValkeyLedger&) = delete;

  // Reaches the server, of a cluster every primary that has partitions; loads the
  // functions where they are missing; says who the server is, and what will work:
  //   kNone         every call will, as far as the server tells, but for those in
  //                 `server.refused_calls`
  //   kUnavailable  on one primary at least no call will: it can't be reached, or
  //                 refuses the login, the functions follow another contract, there
  //                 are none and they may not be loaded, or the user may not call
  //                 them. The detail has the server's own words, or ours
  //   kInvalidInput the deployment has other partition counts than defaults.partitions; the
  //                 detail names both. With wrong counts a grant of a partition beyond them
  //                 would be of no execution, and one of the others in nobody's sight
  // Within one request_timeout_ms. Needs no right but those of calls.
  Outcome Connect(ServerInfo& server, ErrorDetails* details = nullptr);

  // What its connections have done so far, all together. From any thread, at any moment;
  // holds up no call, and waits for none.
  ClientCounters counters() const noexcept;

  // Ends all calls that are under way in other threads, without waiting for it: what has
  // not been sent is kUnavailable, what has is kUnknownOutcome where it writes, each with
  // the detail "the call was cancelled"; FindClaim() then works as ever. Calls that begin
  // afterwards are not touched. For a process that wants to end, for one. From any
  // thread, not from a signal handler.
  void CancelCalls() noexcept;

  CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                ErrorDetails* details = nullptr) noexcept override;
  // The same with what the execution is about.
  CreateOutcome CreateExecution(const CreateExecutionArgs& args, const ExecutionContent& content,
                                ErrorDetails* details = nullptr) noexcept;
  // `expires_at` is read behind the grant. If that is gone by then (claimed, or
  // its ttl was not positive), or can't be read, it is the server's time then
  // plus the ttl; 0 if that can't be read either. So it is in a batch.
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                               ErrorDetails* details = nullptr) noexcept override;
  // Partitions whose server can't be reached are passed over, and counted in the
  // outcome; kUnavailable if that is all of them. What a server answers with a
  // fault is passed over too; if nothing else is found, it is kUnknownCode.
  // kUnknownOutcome: of a grant that was sent.
  //
  // Partitions are asked side by side, a few at first, up to 32 while none has
  // anything: an idle call is one range query for each of its partitions. It
  // waits for a server that does not answer only if it finds nothing elsewhere,
  // and for no more than request_timeout_ms in all; later calls don't wait for that
  // server at all, until it answers again. (Calls that are under way at the same
  // time each find out by themselves that it does not.)
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs& args) noexcept override;
  ClaimOutcome Claim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& args,
                            ErrorDetails* details = nullptr) noexcept override;
  RenewOutcome Renew(const RenewArgs& args, ErrorDetails* details = nullptr) noexcept override;
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept override;
  RevokeOutcome Revoke(const RevokeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs& args,
                                 ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome Reclaim(const ReclaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Suspend(const SuspendArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ResumeOutcome Resume(const ResumeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Complete(const CompleteArgs& args, ErrorDetails* details = nullptr) noexcept override;
  // The same with a result, which may be any bytes: kept, unless it is empty, for who asks for
  // it (core/contract/live-observed.md, 3). CompleteOnce() makes it again after a lost answer.
  Outcome Complete(const CompleteArgs& args, std::string_view result,
                   ErrorDetails* details = nullptr) noexcept;
  // Read in a few steps: what changes meanwhile may be seen by half. Empty also
  // if the server can't be reached, or answers one of them with an error.
  std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept override;
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) override;
  void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                        std::span<IssueOutcome> outcomes) noexcept override;
  void Claims(std::span<const ClaimArgs> args, std::span<ClaimOutcome> outcomes) noexcept override;

  // Grant and claim at once, without asking for capabilities: an operator's
  // call (contract 7, kind Operator). A suspended attempt is resumed by it and
  // keeps its id. kInvalidInput, kExecutionNotFound, kExecutionNotEligible,
  // kLeaseConflict, kActiveAttemptExists, kGrantAlreadyExists,
  // kExecutionNotInEligibleSet.
  // The answer leaves some of the lease out, which is read behind it, in the same
  // round trip if all goes well; a retry's kind is read in one more. kUnknownOutcome
  // also if the claim happened and its lease can't be read, or has ended since:
  // FindClaim() knows.
  ClaimOutcome IssueGrantAndClaim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept;

  // What a claimed execution is about, for who has claimed it: in one round trip, behind the
  // claim, so that the lease is running while it is read. `attempt` is the lease's. With
  // an error `out` is empty.
  //   kInvalidInput        more than out.max_bytes(), or a payload of more than half of
  //                        client.max_reply_bytes; the detail says so
  //   kExecutionNotFound   there is no such execution
  //   kUnknownCode         a key holds something of another type; the detail says so
  Outcome ReadInput(const ExecutionIdView& id, AttemptIndex attempt, ExecutionInput& out,
                    ErrorDetails* details = nullptr) noexcept;

  // Ends the lease without a result: the execution is tried again as its policy says, or
  // fails for good. The policy is read first, with the names of keys. The errors are
  // Complete()'s, and
  //   kInvalidPolicyJson   its retry policy can't be followed; nothing was changed, and the
  //                        detail says what is wrong
  //   kInvalidInput        with our functions also: a delay of the policy is out of range;
  //                        nothing was changed
  // Allocates if the execution has a policy. FailOnce() makes it again after a lost answer.
  FailOutcome Fail(const FailArgs& args, ErrorDetails* details = nullptr) noexcept;

  // The partition counts that the deployment's first server has stored (contract 1.4), for the
  // options of a ledger that is to work there. kInvalidInput, with what is wrong as detail, for
  // counts that are none; kUnknownCode if the user may not read them; kUnavailable.
  StoredPartitions ReadPartitions(ErrorDetails* details = nullptr) noexcept;

  // Registers a worker as FlowFabric's SDK does, and keeps or ends its registration, in a few
  // plain commands, so that it works on a cluster as well.
  //
  // Register and Refresh: kInvalidInput, and nothing is written, while another process has
  // registered the instance id, or for a ttl out of range. Refreshing a registration that
  // has run out registers anew. Unregistering what is gone, or another's, is no error and
  // changes nothing. The owner is read first, in a round trip of its own: a registration that runs
  // out just then, and that another process takes at once, is prolonged or removed all the same.
  // So refresh in time. kUnavailable, kUnknownOutcome: make the call again, with the same token.
  Outcome RegisterWorker(const WorkerRegistration& registration,
                         ErrorDetails* details = nullptr) noexcept;
  Outcome RefreshWorker(const WorkerRegistration& registration,
                        ErrorDetails* details = nullptr) noexcept;
  Outcome UnregisterWorker(const WorkerRegistration& registration,
                           ErrorDetails* details = nullptr) noexcept;

  // What became of the claim (or resumption, or reclaim) that was to create
  // `lease_id`, after kUnknownOutcome: first shuts, for at most half of the limit and
  // all at once, the lost connections that may still carry it; then reads.
  // kExecutionNotFound, kUnavailable, kUnknownCode.
  FoundClaim FindClaim(const ExecutionIdView& id, const LeaseId& lease_id,
                       ErrorDetails* details = nullptr) noexcept;

  // Makes a delayed execution eligible whose time has come: what FlowFabric's
  // scanner does. True in `promoted` if it was due.
  Outcome PromoteDelayedIfDue(const ExecutionIdView& id, LaneIdView lane, bool& promoted,
                              ErrorDetails* details = nullptr) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_VALKEY_LEDGER_H_
