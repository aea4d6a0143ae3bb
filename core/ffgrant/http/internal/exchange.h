// SPDX-License-Identifier: Apache-2.0
//
// Makes one request to FlowFabric's server and reads its answer, as a libcurl transfer.
// IssuerClient runs one transfer at a time in each call; GrantPipeline runs many side by side.

#ifndef FFGRANT_HTTP_INTERNAL_EXCHANGE_H_
#define FFGRANT_HTTP_INTERNAL_EXCHANGE_H_

#include <curl/curl.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ffgrant/grant.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::http::internal {

// Initialises libcurl once in the process. Throws std::runtime_error if libcurl refuses.
void InitCurl();

// Returns the options with a URL that ends without '/'. Throws std::invalid_argument for options
// that issuer_client.h does not allow.
IssuerOptions Checked(IssuerOptions options);

// Reads the bearer token from where the options say; the token is empty if they say nothing. Throws
// std::runtime_error if the token can't be read or can't stand in a header.
std::string ReadToken(const IssuerOptions& options);

IssuerStatus Refused(IssuerError error, std::string message);
IssuerStatus NotUtf8();
IssuerStatus NoSegment();
IssuerStatus NoUrl();
IssuerStatus Malformed(IssuerStatus status, std::string message);
IssuerStatus Malformed(IssuerStatus status, const JsonResult& result);

// Appends `text` as a path segment, and writes bytes that can't stand there as %XX. Returns false
// for a text that can't be a segment.
bool AppendSegment(std::string_view text, std::string& path);

// Makes a libcurl multi handle, which from libcurl 8.20 on does not wait for look-ups of names when
// it ends. Throws std::runtime_error if there is no memory.
CURLM* NewMulti();

// The claim route (contract 5.1). If `answered` is a success, ReadClaim() reads the answer's body
// into `grant`, or returns kNothingInWindow for status 204.
class Exchange;
bool ClaimPath(std::string_view worker_id, std::string& path);
bool WriteClaimBody(const ClaimRequestView& request, std::string& out);
IssuerStatus ReadClaim(IssuerStatus answered, Exchange& exchange, ClaimGrant& grant);

// The sockets of the connections that a CURLM keeps. libcurl 7.87 and 7.88 use a kept connection
// even if the server has sent something on it that nobody asked for. The next request would get
// these bytes as its answer.
class KeptSockets {
 public:
  // Notes the connection of a transfer that has ended. The transfer must still be in the CURLM.
  void Note(CURL* easy);
  // Returns whether something has arrived on the kept connection from this port. Returns false if
  // the connection is not known.
  bool HasUnread(int local_port) const noexcept;
  // Returns whether, with this version of libcurl, kept connections to `url` have to be checked for
  // unread bytes. Under TLS unread bytes are usually the protocol's own.
  static bool AreNeeded(unsigned libcurl_version, std::string_view url) noexcept;

 private:
  std::unordered_map<long, curl_socket_t> by_port_;
};

// A libcurl handle with the buffers that a request and its answer need. An exchange is not
// thread-safe.
class Exchange {
 public:
  // `options` and `kept`, which belongs to the exchange's CURLM, must outlive the exchange. Throws
  // std::runtime_error if libcurl has no memory.
  Exchange(const IssuerOptions& options, KeptSockets& kept);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Sets the handle up for a request of `path`; a POST sends `request` as its body. Returns false
  // if the URL would be too long.
  [[nodiscard]] bool Prepare(const std::string& path, bool post, const std::string& token);

  // Call this when the transfer has ended, before the transfer leaves the CURLM.
  void Ended() {
    if (checks_kept_) kept_.Note(easy_);
  }

  // Returns what has become of the transfer that ended with `code`; the status includes what the
  // server's error body says.
  IssuerStatus Finish(CURLcode code);

  // Returns whether the transfer ended with `code` before the request was sent, because the kept
  // connection was no longer good. The caller must then send the request once more; libcurl has
  // closed that connection.
  bool WantsFreshConnection(CURLcode code) noexcept;

  // Returns up to `max_size` bytes of what the server says, with an ellipsis wherever it repeats
  // the token that the request was sent with. No token has the ellipsis's bytes, so an ellipsis
  // never completes another token.
  std::string WithoutToken(std::string_view text,
                           std::size_t max_size = std::string_view::npos) const;

  CURL* easy() const noexcept { return easy_; }

  std::string request;
  std::string body;
  JsonScratch scratch;  // is large enough for the body once Finish(CURLE_OK) has returned

 private:
  static std::size_t OnBody(char* bytes, std::size_t, std::size_t size, void* self) noexcept;
  static int OnConnection(void* self, char*, char*, int, int) noexcept;
  void ReadErrorBody(IssuerStatus& status);

  const IssuerOptions& options_;
  KeptSockets& kept_;
  const bool checks_kept_;
  CURL* easy_ = nullptr;
  curl_slist* headers_ = nullptr;
  std::string headers_token_;  // the token in the headers
  bool body_too_large_ = false;
  bool is_refused_ = false;  // OnConnection() has refused the connection
  std::array<char, CURL_ERROR_SIZE> fault_;
};

}  // namespace ffgrant::http::internal

#endif  // FFGRANT_HTTP_INTERNAL_EXCHANGE_H_
