// SPDX-License-Identifier: Apache-2.0
//
// Asks FlowFabric's server for grants, with many requests under way at once, from one thread.
// GrantPipeline is to IssuerClient what valkey::ClaimPipeline is to ValkeyLedger. A program that
// hosts many workers in one loop needs both pipelines, and no thread for each worker.
//
//   GrantPipeline grants({.url = "http://127.0.0.1:9090", .connections = 64});
//   grants.Submit("w1", {.lane_id = "main", .worker_instance_id = "w1-i1", .grant_ttl_ms = 5000},
//                 /*tag=*/7);
//   while (grants.in_flight() > 0) {
//     for (const GrantPipeline::Completion& done : grants.Poll(100)) Use(done);
//   }
//
// Every request that Submit() takes ends in exactly one completion, unless the pipeline is
// destroyed first. The completion's status is one of those that IssuerClient::Claim() returns:
// kNone and a grant, kNothingInWindow (ask again), or an error.
//
// Threads: only one thread at a time may use a pipeline. The pipeline starts no thread, but libcurl
// looks names up in threads of its own.
// Cost: a request allocates, mostly in libcurl.
// Blocking: only Poll() waits, for no longer than it is told. But if the server refuses a token
// that came from a token_file, Poll() and PrepareWait() read the file again. A request has
// options.request_timeout_ms from its submission; the first Poll() after this time ends the
// request. A request whose time is up before it was sent is not sent. What issuer_client.h says of
// libcurl's versions, of proxies and of fork() holds here too.
// Ownership: the pipeline copies what it needs of its arguments. It follows contract 5.1, 5.2 and
// 5.6.

#ifndef FFGRANT_HTTP_GRANT_PIPELINE_H_
#define FFGRANT_HTTP_GRANT_PIPELINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/grant.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/json/claim_request.h"

FFGRANT_API_BEGIN
namespace ffgrant::http {

class GrantPipeline {
 public:
  struct Completion {
    std::uint64_t tag = 0;
    IssuerStatus status;
    // If the status is kNone, the grant that the server sent: check it with CheckIngress().
    ClaimGrant grant;
  };

  // Throws std::invalid_argument for options that issuer_client.h does not allow. Throws
  // std::runtime_error if the token can't be read or the system has no descriptor left. The
  // constructor does not connect; the first request does.
  explicit GrantPipeline(const IssuerOptions& options);
  ~GrantPipeline();  // gives up what is under way
  GrantPipeline(const GrantPipeline&) = delete;
  GrantPipeline& operator=(const GrantPipeline&) = delete;

  // Asks for a grant as IssuerClient::Claim() does. Returns false, and does nothing, while the
  // pipeline is full: it holds at most capacity() requests, which are under way or have completed
  // and wait for Poll() to return them. A request whose texts can't be sent completes with
  // kInvalidRequest; a request that is submitted while there is a stop request completes with
  // kStopped.
  bool Submit(std::string_view worker_id, const ClaimRequestView& request, std::uint64_t tag);

  // Advances all requests, and returns those that have completed. If none has completed, Poll()
  // waits until one does, but for at most `timeout_ms`; if `timeout_ms` is negative, the wait has
  // no limit. Poll() does not wait if no request is under way. The completions are valid until the
  // next call of Poll().
  std::span<const Completion> Poll(std::int64_t timeout_ms);

  // descriptor() and PrepareWait() are for a caller that has an event loop of its own. The loop in
  // claim_pipeline.h shows how to use them.
  //
  // descriptor() is readable, level-triggered, while a socket or a stop request waits for Poll(0).
  // The descriptor stays the same as long as the pipeline lives. Do not read, write or close it.
  //
  // PrepareWait() sends what was submitted, and returns the number of milliseconds after which
  // Poll(0) has to be called even if the descriptor is not readable; -1: never. Call PrepareWait()
  // before each wait, after all calls of Submit(). Neither function blocks.
  int descriptor() const noexcept;
  int PrepareWait();

  std::size_t in_flight() const noexcept;  // not yet completed
  std::size_t capacity() const noexcept;   // options.connections

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::http
FFGRANT_API_END

#endif  // FFGRANT_HTTP_GRANT_PIPELINE_H_
