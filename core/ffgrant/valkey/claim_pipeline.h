// SPDX-License-Identifier: Apache-2.0
//
// The hot calls of the claim path with many of them under way at once, from one
// thread: what a load generator, or a scheduler that hands out grants in bulk,
// is built on.
//
//   ClaimPipeline pipeline(options);
//   pipeline.SubmitIssue(args, /*tag=*/7);
//   while (pipeline.in_flight() > 0) {
//     for (const ClaimPipeline::Completion& done : pipeline.Poll(100)) Use(done);
//   }
//
// Every submitted call ends in exactly one completion. Its error is one of
//   kNone, kInvalidInput (unsent: an argument is out of range, or the id is of no configured
//   partition), and what the function of the call answers:
//     kCreate         nothing else
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
//   kUnavailable      it did not happen: no server could be reached, or it refused to serve
//   kUnknownOutcome   it was sent and its answer will never come, or it was a claim that the
//                     server answered with an error: it may have happened, or not, or may still
//                     happen. ValkeyLedger's FindClaim() finds out whether it has happened; that
//                     it cannot happen any more, FindClaim() knows of its own ledger's claims only
//   kUnknownCode      the server answered with a code or a word that the contract does not have,
//                     or, but for a claim, with a fault
//
// Threads: one at a time, but for CancelAll() and counters().
// Cost: a call is written into a buffer and allocates nothing once the buffers have grown to the
// largest call; one system call sends and one takes what many calls have said.
// Blocking: only Poll() waits, for as long as it is told; within it a call waits no longer than
// options.request_timeout_ms from its submission and then completes, whatever fails.
// Ownership: arguments are not kept, views in a Completion are none. For fork(), the end of the
// process and signals the same holds as for ValkeyLedger. Contract 7.

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
    CreateOutcome::Status created = CreateOutcome::Status::kWaiting;  // kCreate
    // kClaim. kIssueAndClaim: its answer has neither the expiry nor the kind,
    // and not the attempt id of a resumed attempt, which keeps its own.
    Lease lease;
    TimestampMs expires_at;  // kRenew
  };

  // What a completing worker knows of its lease, so that it need not be read.
  struct Holder {
    AttemptIndex attempt_index;
    LaneIdView lane;  // that was claimed with
    WorkerInstanceIdView worker_instance_id;
  };

  // Throws std::invalid_argument for options out of range. Connects with the
  // first call.
  explicit ClaimPipeline(const ClientOptions& options, const ClaimDefaults& defaults = {});
  ~ClaimPipeline();  // what is under way is given up
  ClaimPipeline(const ClaimPipeline&) = delete;
  ClaimPipeline& operator=(const ClaimPipeline&) = delete;

  // False, and nothing done, while capacity() calls are under way or completed
  // and not yet taken by Poll(). The arguments are not kept. Those that a server
  // would take apart wrongly complete with kInvalidInput, unsent.
  //
  // SubmitCreate: `delay_until`, where given, must lie ahead. The server puts an
  // execution whose delay is over into the set that KEYS name, the delayed one, where no
  // scheduler looks; so does FlowFabric's typed call. ValkeyLedger reads the server's
  // time first.
  bool SubmitCreate(const CreateExecutionArgs& args, std::string_view payload, std::uint64_t tag);
  bool SubmitIssue(const IssueGrantArgs& args, std::uint64_t tag);
  bool SubmitClaim(const ClaimArgs& args, std::uint64_t tag);
  bool SubmitIssueAndClaim(const ClaimArgs& args, std::uint64_t tag);
  bool SubmitRenew(const RenewArgs& args, std::uint64_t tag);
  bool SubmitComplete(const CompleteArgs& args, const Holder& holder, std::uint64_t tag);

  // Moves everything on and returns what has completed: at once if something
  // has, else as soon as something does, or nothing after `timeout_ms`. Valid
  // until the next call of Poll().
  std::span<const Completion> Poll(std::int64_t timeout_ms) noexcept;

  // For a loop of somebody else's (epoll, asio, libuv), in place of a Poll() that waits:
  //
  //   epoll_ctl(loop, EPOLL_CTL_ADD, pipeline.descriptor(), ...EPOLLIN...);   once
  //   for (;;) {
  //     epoll_wait(loop, events, size, pipeline.PrepareWait());   or a timer for it
  //     for (const auto& done : pipeline.Poll(0)) ...
  //     ... submit more ...
  //   }
  //
  // descriptor(): readable, level-triggered, when Poll(0) has something to do. The same for
  // the life of the pipeline. Not to be read, written or closed. -1 if the system gives
  // none (then Poll(0) has to be called now and then), or the network of the options does not.
  // PrepareWait(): sends what was submitted, and returns after how many milliseconds
  // Poll(0) has to be called even if the descriptor is not readable, -1: never. Before each
  // wait, after all Submit...(). Neither blocks. core/examples/claim_with_epoll.cc is one.
  int descriptor() noexcept;
  int PrepareWait() noexcept;

  // From any thread, not from a signal handler: has all calls under way complete with the
  // next Poll(), one that waits included, with kUnavailable or, where they were sent,
  // kUnknownOutcome. Calls that are submitted from now on are not touched.
  void CancelAll() noexcept;

  // What its connections have done so far. From any thread, at any moment.
  ClientCounters counters() const noexcept;

  std::size_t in_flight() const noexcept;  // not yet completed
  std::size_t capacity() const noexcept;   // options.max_in_flight
  // Why a call failed that completed with kUnavailable, kUnknownOutcome or
  // kUnknownCode: the last such text.
  std::string_view last_error() const noexcept;
  const ServerInfo& server() const noexcept;
  std::uint64_t redirections() const noexcept;  // MOVED and ASK so far
  std::uint64_t connects() const noexcept;      // connections begun so far

 private:
  friend struct internal::PipelineFunctions;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_CLAIM_PIPELINE_H_
