// SPDX-License-Identifier: Apache-2.0
//
// A ClaimPipeline makes the hot calls of the claim path from one thread, and keeps many of them
// under way at once. A load generator, or a scheduler that hands out grants in bulk, can be built
// on this class.
//
//   ClaimPipeline pipeline(options);
//   pipeline.SubmitIssue(args, /*tag=*/7);
//   do {
//     for (const ClaimPipeline::Completion& done : pipeline.Poll(100)) Use(done);
//   } while (pipeline.in_flight() > 0);
//
// Every submitted call ends in exactly one completion. The completion's error is one of
//   kNone
//   kInvalidInput     The call was not sent, because an argument is not valid. For kCreate this
//                     includes an id that is not canonical or belongs to no configured partition.
//                     Any other call with such an id ends with kExecutionNotFound, and is not
//                     sent either.
//   an error that the function of the call answers:
//     kCreate         none, if the requirements were made by CapabilitySet::AssignRequired()
//     kIssue          kExecutionNotFound, kExecutionNotEligible, kGrantAlreadyExists,
//                     kExecutionNotInEligibleSet, kInvalidCapabilities, kCapabilityMismatch
//     kClaim          kExecutionNotFound, kExecutionNotLeaseable, kLeaseConflict,
//                     kActiveAttemptExists, kUseClaimResumedExecution, kInvalidClaimGrant,
//                     kClaimGrantExpired
//     kIssueAndClaim  kExecutionNotFound, kExecutionNotEligible, kLeaseConflict,
//                     kActiveAttemptExists, kGrantAlreadyExists, kExecutionNotInEligibleSet
//     kRenew          kExecutionNotFound, kFenceRequired, kPartialFenceTriple,
//                     kExecutionNotActive, kLeaseRevoked, kLeaseExpired, kStaleLease
//     kComplete       the same as kRenew
//   kUnavailable      The call did not happen: no server could be reached in time, the server
//                     refused to serve, or the call was cancelled before it was sent.
//   kUnknownOutcome   The call was sent, and no answer came in time or will ever come, or what came
//                     can't be the answer to this call; or the call is kClaim or kIssueAndClaim,
//                     and the server answered with an error that is no refusal to serve. The call
//                     may have happened, or not, or may still happen. ValkeyLedger's FindClaim()
//                     finds out whether a claim has happened. But if a pipeline's claim has not
//                     happened, FindClaim() can't tell whether it may still happen:
//                     FoundClaim::final has a meaning only for claims of FindClaim()'s own ledger.
//   kUnknownCode      The server answered with a code that the contract does not have. Any call
//                     but kClaim and kIssueAndClaim also ends in this way if the server answers
//                     with an error that is no refusal to serve.
//
// Threads: only one thread at a time may use a pipeline, except for CancelAll() and counters().
// Cost: a call is written into a buffer. Nothing is allocated once the buffers have grown to the
// largest call, unless something fails. One system call sends many calls, and one system call
// receives many answers.
// Blocking: only Poll() waits, and for no longer than it is told. If the caller goes on polling,
// each call completes within options.request_timeout_ms of its submission, whatever fails.
// Ownership: the pipeline keeps no views of a call's arguments, and a Completion holds no views
// into the pipeline.
// What valkey_ledger.h says of fork(), the end of the process and signals holds here too. Contract
// 7 describes the calls.

#ifndef FFGRANT_VALKEY_CLAIM_PIPELINE_H_
#define FFGRANT_VALKEY_CLAIM_PIPELINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/config.h"
#include "ffgrant/valkey/client_counters.h"
#include "ffgrant/valkey/client_options.h"
#include "ffgrant/valkey/server_info.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

namespace internal {
struct PipelineFunctions;
}

class ClaimPipeline {
 public:
  enum class Call : std::uint8_t { kCreate, kIssue, kClaim, kIssueAndClaim, kRenew, kComplete };

  struct Completion : Outcome {
    std::uint64_t tag = 0;
    Call call = Call::kCreate;
    CreateOutcome::Status created = CreateOutcome::Status::kWaiting;  // for kCreate
    // Set for kClaim and kIssueAndClaim. The server's answer to kIssueAndClaim has no expiry, kind
    // or attempt id. So the lease of kIssueAndClaim has the expiry 0, the kind kInitial whatever
    // the attempt's kind is, and the attempt id that the call was given. This id is not right if
    // the attempt was resumed, because then the attempt keeps the id that it had.
    Lease lease;
    TimestampMs expires_at;  // for kRenew
  };

  // What a worker that completes an execution knows of its lease. The caller passes these values
  // in, so that the pipeline need not read them.
  struct Holder {
    AttemptIndex attempt_index;
    LaneIdView lane;  // the lane that the claim was made with
    WorkerInstanceIdView worker_instance_id;
  };

  // Throws std::invalid_argument for options or defaults out of range. Does not connect: the first
  // Poll() or PrepareWait() after a Submit function does.
  explicit ClaimPipeline(const ClientOptions& options, const ClaimDefaults& defaults = {});
  ~ClaimPipeline();  // gives up what is under way
  ClaimPipeline(const ClaimPipeline&) = delete;
  ClaimPipeline& operator=(const ClaimPipeline&) = delete;

  // Each Submit function returns false, and does nothing, while the pipeline is full. The pipeline
  // holds at most capacity() calls: those under way, and those that have completed and that Poll()
  // has not returned yet.
  //
  // SubmitCreate: `delay_until`, if given, must be in the future. If the delay has already ended,
  // the server still puts the execution into the set that KEYS name, which is the delayed set,
  // where no scheduler looks. FlowFabric's typed call also has this effect. ValkeyLedger avoids
  // this effect: it reads the server's time first, and moves the execution if need be.
  bool SubmitCreate(const CreateExecutionArgs& args, std::string_view payload, std::uint64_t tag);
  bool SubmitIssue(const IssueGrantArgs& args, std::uint64_t tag);
  bool SubmitClaim(const ClaimArgs& args, std::uint64_t tag);
  bool SubmitIssueAndClaim(const ClaimArgs& args, std::uint64_t tag);
  bool SubmitRenew(const RenewArgs& args, std::uint64_t tag);
  // SubmitComplete: `result` may be any bytes, as in ValkeyLedger::Complete().
  bool SubmitComplete(const CompleteArgs& args, const Holder& holder, std::uint64_t tag,
                      std::string_view result = {});

  // Makes progress with all calls, and returns those that have completed. If calls are under way
  // and none has completed yet, waits for at most `timeout_ms` until one does. Returns an empty
  // span if none completes in this time. The completions are valid until the next Poll().
  std::span<const Completion> Poll(std::int64_t timeout_ms) noexcept;

  // descriptor() and PrepareWait() serve the caller's own event loop (epoll, asio, libuv), in place
  // of a Poll() that waits:
  //
  //   epoll_ctl(loop, EPOLL_CTL_ADD, pipeline.descriptor(), ...EPOLLIN...);   once
  //   for (;;) {
  //     epoll_wait(loop, events, size, pipeline.PrepareWait());   or a timer for it
  //     for (const auto& done : pipeline.Poll(0)) ...
  //     ... submit more ...
  //   }
  //
  // descriptor() is readable, level-triggered, while a socket waits for Poll(0). The descriptor
  // stays the same as long as the pipeline lives. Do not read, write or close it. descriptor()
  // returns -1 if the system has no descriptor left (then call Poll(0) now and then), or if the
  // network of the options has none.
  //
  // PrepareWait() sends what was submitted. It returns the number of milliseconds after which
  // Poll(0) has to be called even if the descriptor is not readable, or -1 if that is not needed.
  // Call PrepareWait() before each wait, after all Submit...(). PrepareWait() and descriptor() do
  // not block. A whole loop of this kind is in core/examples/claim_with_epoll.cc.
  int descriptor() noexcept;
  int PrepareWait() noexcept;

  // Makes all calls under way complete in the next Poll(), or in a Poll() that is already waiting.
  // A call that was sent completes with kUnknownOutcome, any other with kUnavailable. Calls that
  // are submitted from now on are not touched. May be called from any thread, but not from a signal
  // handler.
  void CancelAll() noexcept;

  // What the pipeline's connections have done so far. May be called from any thread at any moment.
  ClientCounters counters() const noexcept;

  std::size_t in_flight() const noexcept;  // calls that have not completed yet
  std::size_t capacity() const noexcept;   // options.max_in_flight
  // Says why a call failed: the text of the last call that completed with kUnavailable,
  // kUnknownOutcome or kUnknownCode, cut to 256 bytes.
  std::string_view last_error() const noexcept;
  const ServerInfo& server() const noexcept;
  std::uint64_t redirections() const noexcept;  // MOVED and ASK followed so far
  std::uint64_t connects() const noexcept;      // connections begun so far

 private:
  friend struct internal::PipelineFunctions;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_CLAIM_PIPELINE_H_
