// SPDX-License-Identifier: Apache-2.0
//
// A ValkeyLedger makes the calls of the claim path on a Valkey or Redis server, or on a cluster of
// them.
//
//   ValkeyLedger ledger({.client = {.servers = {{"127.0.0.1", 6379}}}});
//   if (!ledger.CreateExecution({.execution_id = id, .lane = lane})) ...
//
// The server decides everything: what changes an execution is one of FlowFabric's functions
// (contract 7), which runs atomically on the server and by the server's clock. Where the server has
// FlowFabric's own function library, the ledger uses it. Where it has none, the ledger uses ours,
// which answers alike, and loads it first if it may (function_library.h).

#ifndef FFGRANT_VALKEY_VALKEY_LEDGER_H_
#define FFGRANT_VALKEY_VALKEY_LEDGER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "ffgrant/claims/claim_ledger.h"
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
  // How many connections there are to each server that is needed, 1..1024. Threads share them: no
  // call waits for another call to end, nor for a server that it does not ask. Calls are quickest
  // with as many connections as threads, because each thread then has a connection to itself.
  std::size_t connections = 4;
  // How many of a partition's eligible executions ClaimForWorker() looks at, at most, before it
  // goes on to the next partition. At least 1.
  std::size_t max_candidates = 1024;
  // Suspend() makes the server sign a token, and for this the partition needs a secret. In a
  // partition that has none yet, the ledger installs this secret, an even number of hex digits; the
  // constructor refuses any other text. If the text is empty, the ledger installs no secret, and in
  // such a partition Suspend() ends with kUnknownCode and the detail `hmac_secret_not_initialized`.
  std::string waitpoint_secret_hex = {};
};

// What became of a claim.
enum class ClaimFate : std::uint8_t {
  kHeld,        // the lease of the claim is the current one, and is still held
  kEnded,       // the claim happened; its lease has been completed, lost or revoked since
  kNotClaimed,  // the claim has left no trace
};

// If there is an error, no other member has a meaning.
struct FoundClaim : Outcome {
  ClaimFate fate = ClaimFate::kNotClaimed;
  Lease lease;  // set with kHeld; its kind is the attempt's kind, also if the attempt was resumed
  // `final` has a meaning with kNotClaimed, for a claim that this ledger made. It is true if the
  // claim can't happen any more. It is false if a connection that may still carry the claim could
  // not be shut on its server; then ask again. The ledger shuts such a connection wherever it finds
  // the process of that server, which it recognises by what INFO says. Once that process has ended,
  // no connection has to be shut. While the server can't be reached, `final` stays false even if a
  // replica has been promoted, because the server could be promoted back before the claim arrives.
  // `final` also stays false where an ACL forbids INFO, CLIENT ID or CLIENT KILL.
  bool final = true;
};

// Besides ClaimLedger's errors any call can end with
//   kUnavailable     The call did not happen: no server could be reached in time, the server
//                    refused to serve, or the call was cancelled before it was sent. A call that
//                    only reads also ends in this way if no answer comes or it is cancelled. The
//                    calls about workers may have done a part of their work.
//   kUnknownOutcome  The call was sent, and no answer came in time or will ever come: it may have
//                    happened or not. The ledger never repeats such a call. FindClaim() finds out
//                    what became of a claim, Inspect() what became of another call. A claim that
//                    the server answers with an error also ends in this way: the function may have
//                    written the lease before it failed.
//   kUnknownCode     The server answered with a code or a word that the contract does not have.
//                    Any call but a claim also ends in this way if the server answers with an
//                    error that is no refusal; the function may have done a part of its work
//                    before that.
// In each case the detail has the text that explains it.
//
// Every call ends within client.request_timeout_ms, whatever fails. The limit is for all that the
// call does. A batch has one limit for all of its commands; those that have not been sent within
// the limit end with kUnavailable.
//
// The ledger takes canonical ids of configured partitions only, as MemoryLedger does. As a rule a
// call is one round trip. ClaimResumed, Revoke, Reclaim, Suspend, Resume, Complete and Fail take
// one more, because they first read the names of their keys. CreateExecution with a `delay_until`
// and PromoteDelayedIfDue take one more, because they first read the server's time; the creation
// takes a few more if the delay ends just then. IssueClaimGrant takes one more if it can't read the
// grant's expiry. The first Suspend of a partition may have to install a secret, and is then
// repeated. The ledger repeats reads, and calls that the server can't have executed, within the
// time limit. Once buffers have grown, the calls of ClaimLedger allocate nothing unless a
// connection fails. The exceptions are InspectNames() and Fail(), which may allocate each time. The
// calls that only this class has may allocate.
//
// These rules hold for the process around a ledger:
//   fork      A ledger belongs to the process that made it. A child must not call its copy. It
//             may destroy the copy, which sends nothing to the server, and may make a ledger of
//             its own. The ledger's descriptors end with exec (close-on-exec).
//   the end   A ledger may be static: its destructor needs nothing that exit() has taken
//             away, and waits for nobody. No call may be under way then; CancelCalls() ends
//             the calls of other threads. The library's threads that look names up do not
//             hold up the end of the process.
//   signals   The library installs no handler and raises no signal (not even SIGPIPE). A call
//             that is interrupted by a signal goes on. The library's own threads, which look
//             names up, block all signals. Make no call from a signal handler.
//
// Thread-safe.
class ValkeyLedger final : public ClaimLedger {
 public:
  // Throws std::invalid_argument for options out of range. The first call connects.
  explicit ValkeyLedger(const ValkeyLedgerOptions& options);
  ~ValkeyLedger() override;
  ValkeyLedger(const ValkeyLedger&) = delete;
  ValkeyLedger& operator=(const ValkeyLedger&) = delete;

  // Reaches the server, or in a cluster every primary that has partitions. Loads the functions
  // where they are missing and may be loaded. Says who the server is, and which calls will work:
  //   kNone         Every call will work, as far as the server tells, except those in
  //                 `server.refused_calls`.
  //   kUnavailable  On at least one primary no call will work: the primary can't be reached, it
  //                 refuses the login, its functions follow another contract, it has no functions
  //                 and they may not be loaded, or the user may not call them. Or the
  //                 user's rights leave no call about an execution that works on every primary.
  //                 The detail has the server's own words, or ours.
  //   kInvalidInput The deployment has other partition counts than defaults.partitions, and the
  //                 detail names both; or the deployment's stored counts are not valid, and the
  //                 detail says so. A ledger whose counts are too high would take ids of partitions
  //                 that the deployment does not have. A ledger whose counts are too low would
  //                 refuse the ids of the partitions that are left out, and never search these.
  // Takes at most one request_timeout_ms. Needs only the rights that calls need.
  Outcome Connect(ServerInfo& server, ErrorDetails* details = nullptr);

  // What all connections of the ledger have done so far, added up. May be called from any thread at
  // any moment; holds up no call, and waits for none.
  ClientCounters counters() const noexcept;

  // Ends all calls that are under way in other threads, and does not wait until they have ended. A
  // call that has not been sent, or only reads, ends with kUnavailable; a call that has been sent
  // and writes ends with kUnknownOutcome, and FindClaim() then works as ever. Each of these calls
  // has the detail "the call was cancelled". Calls that begin afterwards are not touched. A process
  // that is about to end can call CancelCalls() so that it need not wait for its calls. May be
  // called from any thread, but not from a signal handler.
  void CancelCalls() noexcept;

  // The server decides whether `delay_until` has come. If it comes while the call is under way, the
  // ledger moves the new execution into the eligible set after the creation. kUnknownOutcome and
  // kUnknownCode can then also mean that the execution was created, but that this step failed:
  // Inspect() then says whether the execution is in a set.
  CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                ErrorDetails* details = nullptr) noexcept override;
  // Does the same, and also stores what the execution is about.
  CreateOutcome CreateExecution(const CreateExecutionArgs& args, const ExecutionContent& content,
                                ErrorDetails* details = nullptr) noexcept;
  // `expires_at` is read after the grant was issued. If the grant is gone by then (claimed, or its
  // ttl was not positive) or can't be read, `expires_at` is the server's time at that moment plus
  // the ttl, or 0 if that time can't be read either. The same holds for each grant of a batch.
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                               ErrorDetails* details = nullptr) noexcept override;
  // Passes over partitions whose server can't be reached, and counts them in the outcome; if it can
  // reach none, the outcome is kUnavailable. It also passes over partitions whose server answers
  // with an error; if it then finds nothing in the others, the outcome is kUnknownCode.
  // kUnknownOutcome means that the ledger asked for a grant and the answer never came.
  //
  // Partitions are asked side by side: a few at first, and up to 32 at once as long as none has
  // anything, besides those of a silent server. A call that finds all of its partitions empty sends
  // one range query for each of them. The call looks at what the partitions have in the order of
  // the partitions, and not of the answers, so that a quick server does not starve a slower one.
  // The call waits only 10 ms for a server that does not answer. If it finds nothing elsewhere it
  // waits longer, but for no more than request_timeout_ms in all. Later calls don't wait for that
  // server until it answers again, unless they have partitions of silent servers only. (Calls that
  // are under way at the same time each find out by themselves that this server does not answer.)
  // For a server that has answered and then falls silent, the call waits longer: for half of the
  // time that is left if it looks behind the head of a partition, and like any other call if it
  // asks for a grant. If another partition could not be reached in this call, it waits for the
  // answer about a grant for half of the time that is left, too, unless the call has one partition
  // only.
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
  // Does the same, and also stores `result`, which may be any bytes. The server keeps the result,
  // unless it is empty, for anybody who asks for it (core/contract/live-observed.md, 3).
  // CompleteOnce() repeats this call after a lost answer.
  Outcome Complete(const CompleteArgs& args, std::string_view result,
                   ErrorDetails* details = nullptr) noexcept;
  // The call also reads the stored retry policy, in the round trip that reads the names of keys.
  // The errors are those of the interface, and
  //  kInvalidPolicyJson   The execution's retry policy can't be followed. Nothing was changed,
  //                       and the detail says what is wrong.
  //  kInvalidInput        Our functions also answer with this error if the policy has a
  //                       delay that is out of range. Nothing was changed.
  // Allocates if the execution has a policy. A scanner of the deployment makes the retry eligible
  // once its time has come, or PromoteDelayedIfDue() does.
  FailOutcome Fail(const FailArgs& args, ErrorDetails* details = nullptr) noexcept override;
  // Reads the state in a few steps, so it may see only a part of a change that happens meanwhile.
  // Also returns nothing if the server can't be reached, or answers one of the steps with an error.
  std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept override;
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) override;
  void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                        std::span<IssueOutcome> outcomes) noexcept override;
  void ClaimBatch(std::span<const ClaimArgs> args,
                  std::span<ClaimOutcome> outcomes) noexcept override;

  // Issues a grant and claims it at once, without asking for capabilities: an operator's call
  // (contract 7, kind Operator). If the execution has come back from a suspension, the call goes on
  // with the interrupted attempt, which keeps its id. Errors: kInvalidInput, kExecutionNotFound,
  // kExecutionNotEligible, kLeaseConflict, kActiveAttemptExists, kGrantAlreadyExists,
  // kExecutionNotInEligibleSet.
  //
  // The function's answer leaves out some of the lease. The ledger reads the rest after the claim,
  // in the same round trip if all goes well. Reading the kind of a retry or a replay takes one more
  // round trip. kUnknownOutcome can also mean that the claim happened, but that its lease can't be
  // read or has ended since; FindClaim() finds out.
  ClaimOutcome IssueGrantAndClaim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept;

  // Reads what a claimed execution is about, for the worker that has claimed it. This takes one
  // round trip after the claim, so the lease is running meanwhile. `attempt` is the attempt index
  // of the lease. After an error `out` is empty.
  //   kInvalidInput        The input is more than out.max_bytes(), its payload is more than half of
  //                        client.max_reply_bytes, or its tags, its kind or the attempt's texts are
  //                        more than one reply may have; the detail says so. In the last case the
  //                        reply ends its connection.
  //   kExecutionNotFound   There is no such execution.
  //   kUnknownCode         The server answers with an error, for example because a key holds
  //                        something of another type; the detail has the error.
  Outcome ReadInput(const ExecutionIdView& id, AttemptIndex attempt, ExecutionInput& out,
                    ErrorDetails* details = nullptr) noexcept;

  // Reads the partition counts that FlowFabric's server stored when the deployment first started
  // (contract 1.4). A ledger that is to work in the deployment needs these counts in its options.
  // kInvalidInput: the stored counts are not valid, and the detail says what is wrong.
  // kUnknownCode: the server answers with an error, for example because the key holds something of
  // another type. kUnavailable: as for every call, and also if the user may not read the counts.
  StoredPartitions ReadPartitions(ErrorDetails* details = nullptr) noexcept;

  // These three calls register a worker under the keys that FlowFabric's SDK uses, keep its
  // registration and end it. They use a few ordinary commands, so that they work on a cluster as
  // well.
  //
  // RegisterWorker and RefreshWorker say kInvalidInput, and write nothing, if the ttl is out of
  // range, or as long as another process has registered the instance id. Refreshing a registration
  // that has run out registers anew. Unregistering a registration that is gone, or is another
  // process's, is no error and changes nothing.
  //
  // RefreshWorker and UnregisterWorker first read, in a round trip of its own, which process has
  // registered the id. RegisterWorker reads this if the id is registered already. If our
  // registration runs out right after that and another process takes the id at once, the call still
  // prolongs or removes that process's registration. So refresh in time. After kUnavailable or
  // kUnknownOutcome make the call again with the same token.
  Outcome RegisterWorker(const WorkerRegistration& registration,
                         ErrorDetails* details = nullptr) noexcept;
  Outcome RefreshWorker(const WorkerRegistration& registration,
                        ErrorDetails* details = nullptr) noexcept;
  Outcome UnregisterWorker(const WorkerRegistration& registration,
                           ErrorDetails* details = nullptr) noexcept;

  // Finds out, after kUnknownOutcome, what became of the claim (or resumption, or reclaim) that was
  // to create `lease_id`. The call first shuts the lost connections that may still carry the claim,
  // all at once and for at most half of the time limit; then it reads. Errors: kExecutionNotFound,
  // kUnavailable, kUnknownCode.
  FoundClaim FindClaim(const ExecutionIdView& id, const LeaseId& lease_id,
                       ErrorDetails* details = nullptr) noexcept;

  // Makes a delayed execution eligible if its time has come, as FlowFabric's scanner does. Sets
  // `promoted` to whether the execution has become eligible.
  Outcome PromoteDelayedIfDue(const ExecutionIdView& id, LaneIdView lane, bool& promoted,
                              ErrorDetails* details = nullptr) noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_VALKEY_LEDGER_H_
