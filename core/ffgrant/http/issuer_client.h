// SPDX-License-Identifier: Apache-2.0
//
// FlowFabric's server over HTTP: what creates executions and gives out grants for them
// (contract 5 and 6; core/contract/live-observed.md).
//
//   IssuerClient issuer({.url = "http://127.0.0.1:9090", .token_variable = "FF_API_TOKEN"});
//   ClaimGrant grant;
//   const IssuerStatus status = issuer.Claim("w1", {.lane_id = "main",
//                                                   .worker_instance_id = "w1-i1",
//                                                   .grant_ttl_ms = 5000}, grant);
//   if (status.error == IssuerError::kNothingInWindow) Pause();   // and ask again

#ifndef FFGRANT_HTTP_ISSUER_CLIENT_H_
#define FFGRANT_HTTP_ISSUER_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/grant.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/issuer_bodies.h"
#include "ffgrant/json/reclaim_request.h"

FFGRANT_API_BEGIN
namespace ffgrant::http {

enum class IssuerError : std::uint8_t {
  kNone,
  // The server answered.
  kNothingInWindow,     // 204: nothing in the part that it looked at; there may be work elsewhere
  kNotReclaimable,      // 200 of a reclaim; the message says why
  kReclaimCapExceeded,  // 200 of a reclaim
  kBadRequest,          // 400, 415, 422
  kUnauthorized,        // 401, 403: no token, or the wrong one
  kNotFound,            // 404: no such execution, no result, no such route
  kTooLarge,            // 413
  kConflict,            // 409: `kind` says of what sort
  kTooManyRequests,     // 429
  kServerFault,         // 500 and above, but 503
  kServerUnavailable,   // 503
  kUnexpectedStatus,    // any other
  kMalformedResponse,   // a body that is none of this route's
  kResponseTooLarge,    // more than max_response_bytes
  // It did not: the request may have been executed, but after kNotConnected.
  kNotConnected,  // nothing was sent: no address, no connection, none that became free in time,
                  // no trust in the server's certificate
  kTimeout,
  kConnectionLost,
  kStopped,         // the stop descriptor became readable
  kInvalidRequest,  // nothing was sent: a text is no UTF-8, or a name can't stand in a path
};
// "none", "nothing_in_window", "not_reclaimable" and so on.
std::string_view ErrorName(IssuerError error) noexcept;

struct [[nodiscard]] IssuerStatus {
  IssuerError error = IssuerError::kNone;
  int http_status = 0;            // 0: there was no answer
  std::string message;            // the server's words, or ours; never the token
  std::string kind;               // of an error body (contract 5.6)
  std::optional<bool> retryable;  // likewise
  explicit operator bool() const noexcept { return error == IssuerError::kNone; }
};

struct IssuerOptions {
  // http:// or https://, a host, a port if it is not the usual one, and what stands before /v1
  // in the paths.
  std::string url = {};
  // The bearer token: the value of an environment variable, or the first line of a file, which
  // is read again when a server refuses the token. Neither: none is sent.
  std::string token_variable = {};
  std::string token_file = {};
  // PEM certificates to trust in place of the system's.
  std::string ca_file = {};
  std::int64_t connect_timeout_ms = 2000;  // 1..86'400'000, a day
  // The limit of a whole call, in which it also waits for a free connection. 1..86'400'000.
  std::int64_t request_timeout_ms = 10'000;
  // Kept open, and at most so many requests at once. 1..1024.
  std::size_t connections = 4;
  std::size_t max_response_bytes = std::size_t{4} << 20;
  // Calls end with kStopped as soon as it is readable (StopSignals::descriptor()). -1: none.
  int stop_descriptor = -1;
};

// Thread-safe. Blocks; each call keeps request_timeout_ms. A call whose answer is lost says so
// and is not made again, but by libcurl where a kept connection turns out to be closed before
// any byte of an answer: a creation may then find what it has created itself. Allocates. With
// TLS the certificate is checked, always.
class IssuerClient {
 public:
  // Throws std::invalid_argument for options out of range, std::runtime_error for a token that
  // can't be read. Connects with the first call.
  explicit IssuerClient(const IssuerOptions& options);
  ~IssuerClient();
  IssuerClient(const IssuerClient&) = delete;
  IssuerClient& operator=(const IssuerClient&) = delete;

  // `created`: false if there was one with this id, which stays as it is.
  IssuerStatus Create(const CreateRequest& request, bool& created);
  // kNothingInWindow: ask again. `grant` as the server sent it: check it (CheckIngress()).
  IssuerStatus Claim(std::string_view worker_id, const ClaimRequestView& request,
                     ClaimGrant& grant);
  IssuerStatus Reclaim(std::string_view execution_id, const ReclaimRequestView& request,
                       ReclaimGrant& grant);
  // `already`: why there was nothing to revoke, "already_revoked"; empty if it was revoked now.
  IssuerStatus Revoke(std::string_view execution_id, std::string& already);
  // What it was completed with. kNotFound: nothing, so far or for good.
  IssuerStatus Result(std::string_view execution_id, std::string& result);
  // The public state: "waiting", "active", "completed" and so on.
  IssuerStatus State(std::string_view execution_id, std::string& state);
  IssuerStatus Cancel(std::string_view execution_id, const CancelRequest& request);
  // `effect`: what the signal has done; empty for one that was there already.
  IssuerStatus Signal(std::string_view execution_id, const SignalRequest& request,
                      std::string& effect);
  // Whether the server is ready.
  IssuerStatus Health();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::http
FFGRANT_API_END

#endif  // FFGRANT_HTTP_ISSUER_CLIENT_H_
