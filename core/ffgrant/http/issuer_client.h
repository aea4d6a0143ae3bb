// SPDX-License-Identifier: Apache-2.0
//
// Talks to FlowFabric's server over HTTP. The server creates executions and gives out grants for
// them (contract 5 and 6; core/contract/live-observed.md).
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
  kNothingInWindow,     // 204: nothing in the part that the server looked at; ask again
  kNotReclaimable,      // 200, the answer to a reclaim; the message says why
  kReclaimCapExceeded,  // 200, the answer to a reclaim
  kBadRequest,          // 400, 415, 422
  kUnauthorized,        // 401, 403: no token, or the wrong one
  kNotFound,            // 404: no such execution, no result, no such route
  kTooLarge,            // 413
  kConflict,            // 409: `kind` says which conflict it was
  kTooManyRequests,     // 429
  kServerFault,         // 500 and above, except 503
  kServerUnavailable,   // 503
  kUnexpectedStatus,    // any other status
  kMalformedResponse,   // the body is none that this route answers with
  kResponseTooLarge,    // the answer's body is longer than max_response_bytes
  // The server did not answer. The request may have been executed, except after kNotConnected and
  // kInvalidRequest.
  kNotConnected,  // nothing was sent: no address was found, no connection could be made or became
                  // free in time, or the server's certificate was not trusted
  kTimeout,
  kConnectionLost,
  kStopped,         // the stop descriptor became readable
  kInvalidRequest,  // nothing was sent: a text is no UTF-8, a name can't stand in a URL, or the
                    // execution_id of Create() is no execution id
};
// Returns "none", "nothing_in_window", "not_reclaimable" and so on.
std::string_view ErrorName(IssuerError error) noexcept;

struct [[nodiscard]] IssuerStatus {
  IssuerError error = IssuerError::kNone;
  int http_status = 0;  // 0: there was no answer
  // The server's words or the client's. Never the token: an ellipsis stands for it, here and in
  // `kind`, if the server repeats it.
  std::string message;
  std::string kind;               // the kind in an error body (contract 5.6)
  std::optional<bool> retryable;  // whether a retry may help, if the error body says it
  explicit operator bool() const noexcept { return error == IssuerError::kNone; }
};

struct IssuerOptions {
  // The server's address: http:// or https://, a host, a port if it is not the usual one, and
  // whatever stands before /v1 in the paths.
  std::string url = {};
  // Where the bearer token comes from: the value of an environment variable, or the first line of a
  // file. The file is read again when the server refuses the token. If neither is given, no token
  // is sent; not both may be given.
  std::string token_variable = {};
  std::string token_file = {};
  // A PEM file with the certificates to trust in place of the system's.
  std::string ca_file = {};
  std::int64_t connect_timeout_ms = 2000;  // 1..86'400'000, a day
  // The time limit of a whole call, including the wait for a free connection. 1..86'400'000.
  std::int64_t request_timeout_ms = 10'000;
  // How many connections are kept open, and how many requests there can be at once. 1..1024.
  std::size_t connections = 4;
  // The longest body of an answer. 1..536'870'912, 512 MiB. Memory is taken as an answer needs it.
  std::size_t max_response_bytes = std::size_t{4} << 20;
  // Calls end with kStopped as soon as this descriptor is readable (StopSignals::descriptor()). -1:
  // there is none.
  int stop_descriptor = -1;
};

// Sets where the token comes from: the file that FF_API_TOKEN_FILE names, or else the environment
// variable FF_API_TOKEN. Sets `ca_file` to the file that FF_API_CA_FILE names. An empty variable
// counts as not set. If neither variable of the token is set, the token's fields stay as they are;
// `ca_file` stays as it is if its variable is not set. Opens no file. Reads the environment: do not
// call it while another thread may call setenv().
void SetFromEnvironment(IssuerOptions& options);

// A client is thread-safe. Calls block, but none for longer than request_timeout_ms. Calls
// allocate. A call whose answer is lost says so, and the client does not repeat it. But libcurl
// repeats a request if a kept connection turns out to be closed before any byte of an answer came:
// a creation may then find the execution that its own first request has created. With TLS the
// certificate is always checked.
//
// libcurl obeys its environment variables http_proxy, https_proxy, all_proxy and no_proxy. A proxy
// for http:// sees the token. Before libcurl 7.87 a name server that never answers holds up a call
// for longer than its limit, and a connection that breaks under TLS raises SIGPIPE, which the
// program should ignore. After fork() a child must neither call nor destroy its copy; exec() closes
// the sockets.
class IssuerClient {
 public:
  // Throws std::invalid_argument for options that are not allowed, and std::runtime_error for a
  // token that can't be read. The constructor does not connect; the first call does.
  explicit IssuerClient(const IssuerOptions& options);
  ~IssuerClient();
  IssuerClient(const IssuerClient&) = delete;
  IssuerClient& operator=(const IssuerClient&) = delete;

  // `created` is false if there was already an execution with this id; that execution stays as it
  // is.
  IssuerStatus Create(const CreateRequest& request, bool& created);
  // After kNothingInWindow ask again. `grant` is what the server sent: check it with
  // CheckIngress().
  IssuerStatus Claim(std::string_view worker_id, const ClaimRequestView& request,
                     ClaimGrant& grant);
  IssuerStatus Reclaim(std::string_view execution_id, const ReclaimRequestView& request,
                       ReclaimGrant& grant);
  // `already` says why there was nothing to revoke ("already_revoked"); it is empty if this call
  // has revoked the lease.
  IssuerStatus Revoke(std::string_view execution_id, std::string& already);
  // Gets the result that the execution was completed with. kNotFound says that there is no result
  // yet, that there will be none, or that there is no such execution.
  IssuerStatus Result(std::string_view execution_id, std::string& result);
  // Gets the public state: "waiting", "active", "completed" and so on.
  IssuerStatus State(std::string_view execution_id, std::string& state);
  IssuerStatus Cancel(std::string_view execution_id, const CancelRequest& request);
  // `effect` is what the signal has done; it is empty for a signal that the server had already.
  IssuerStatus Signal(std::string_view execution_id, const SignalRequest& request,
                      std::string& effect);
  // Asks whether the server is ready.
  IssuerStatus Health();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ffgrant::http
FFGRANT_API_END

#endif  // FFGRANT_HTTP_ISSUER_CLIENT_H_
