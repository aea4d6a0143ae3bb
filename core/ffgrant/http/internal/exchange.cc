// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/internal/exchange.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <new>
#include <stdexcept>
#include <utility>

#include "ffgrant/internal/write_into.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"

namespace ffgrant::http::internal {
namespace {

bool IsHeaderText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

IssuerError ErrorOf(long status) {
  switch (status) {
    case 400:
    case 415:
    case 422:
      return IssuerError::kBadRequest;
    case 401:
    case 403:
      return IssuerError::kUnauthorized;
    case 404:
      return IssuerError::kNotFound;
    case 409:
      return IssuerError::kConflict;
    case 413:
      return IssuerError::kTooLarge;
    case 429:
      return IssuerError::kTooManyRequests;
    case 503:
      return IssuerError::kServerUnavailable;
    default:
      return status >= 500 ? IssuerError::kServerFault : IssuerError::kUnexpectedStatus;
  }
}

IssuerError ErrorOf(CURLcode code, bool sent) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return sent ? IssuerError::kTimeout : IssuerError::kNotConnected;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:  // Never true: the client has no certificate of its own
    case CURLE_SSL_CIPHER:       // Never true: the client names no ciphers
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:  // Never true: this libcurl has both protocols that URLs name
      // If a kept connection breaks, libcurl connects again, which may fail although the request
      // was sent on the kept connection.
      return sent ? IssuerError::kConnectionLost : IssuerError::kNotConnected;
    default:
      return IssuerError::kConnectionLost;
  }
}

}  // namespace

void InitCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  // Never true: libcurl refuses only without memory.
  if (code != CURLE_OK) throw std::runtime_error("ffgrant: libcurl can't be initialised");
}

IssuerOptions Checked(IssuerOptions o) {
  const bool is_http = o.url.starts_with("http://") || o.url.starts_with("https://");
  const std::string_view rest = std::string_view(o.url).substr(is_http ? o.url.find("//") + 2 : 0);
  // A URL with a user name would put credentials on a command line.
  if (!is_http || rest.empty() || rest.front() == '/' || !IsHeaderText(o.url) ||
      rest.find_first_of("@?#") != std::string_view::npos) {
    throw std::invalid_argument("ffgrant: the issuer's URL must be http://HOST:PORT or https://");
  }
  while (o.url.ends_with('/')) o.url.pop_back();
  constexpr std::int64_t kLongestMs = 86'400'000;
  constexpr std::size_t kLongestResponse = std::size_t{1} << 29;
  if (o.connect_timeout_ms < 1 || o.connect_timeout_ms > kLongestMs || o.request_timeout_ms < 1 ||
      o.request_timeout_ms > kLongestMs || o.connections < 1 || o.connections > 1024 ||
      o.max_response_bytes < 1 || o.max_response_bytes > kLongestResponse) {
    throw std::invalid_argument("ffgrant: the issuer's options are out of range");
  }
  if (!o.token_variable.empty() && !o.token_file.empty()) {
    throw std::invalid_argument("ffgrant: a token comes from a variable or from a file");
  }
  return o;
}

std::string ReadToken(const IssuerOptions& options) {
  std::string token;
  if (!options.token_variable.empty()) {
    const char* const value = std::getenv(options.token_variable.c_str());
    if (value == nullptr || *value == '\0') {
      throw std::runtime_error("ffgrant: the variable " + options.token_variable + " is not set");
    }
    token = value;
  } else if (!options.token_file.empty()) {
    std::ifstream file(options.token_file);
    if (!file || !std::getline(file, token) || token.empty()) {
      throw std::runtime_error("ffgrant: no token can be read from " + options.token_file);
    }
    while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
    if (token.empty()) {
      throw std::runtime_error("ffgrant: the first line of " + options.token_file + " is no token");
    }
  }
  if (!IsHeaderText(token)) {
    throw std::runtime_error("ffgrant: the token has bytes that no header may have");
  }
  return token;
}

IssuerStatus Refused(IssuerError error, std::string message) {
  IssuerStatus status;
  status.error = error;
  status.message = std::move(message);
  return status;
}
IssuerStatus NotUtf8() {
  return Refused(IssuerError::kInvalidRequest, "a text of the request is no UTF-8");
}
IssuerStatus NoUrl() {
  return Refused(IssuerError::kInvalidRequest, "a name is too long for a URL");
}
IssuerStatus NoSegment() {
  return Refused(IssuerError::kInvalidRequest, "a name that can't stand in a path");
}

IssuerStatus Malformed(IssuerStatus status, std::string message) {
  status.error = IssuerError::kMalformedResponse;
  status.message = std::move(message);
  return status;
}

IssuerStatus Malformed(IssuerStatus status, const JsonResult& result) {
  return Malformed(std::move(status), "the body at byte " + std::to_string(result.offset) + ": " +
                                          std::string(ErrorName(result.error)) +
                                          (result.member.empty() ? "" : " in ") +
                                          std::string(result.member));
}

// The bytes that are not written as %XX are RFC 3986's unreserved ones, and ':', which every
// execution id has.
bool AppendSegment(std::string_view text, std::string& path) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  if (text.empty()) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                       (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' ||
                       byte == '~' || byte == ':';
    if (plain) {
      path.push_back(c);
    } else {
      path.push_back('%');
      path.push_back(kHex[byte >> 4]);
      path.push_back(kHex[byte & 15]);
    }
  }
  // The segments "." and ".." can't be names in a URL: they are resolved away.
  return text != "." && text != "..";
}

bool ClaimPath(std::string_view worker_id, std::string& path) {
  path = "/v1/workers/";
  if (!AppendSegment(worker_id, path)) return false;
  path += "/claim";
  return true;
}

bool WriteClaimBody(const ClaimRequestView& request, std::string& out) {
  return ffgrant::internal::WriteInto(
      out, [&](std::span<char> to) { return SerializeClaimRequest(request, to); });
}

IssuerStatus ReadClaim(IssuerStatus answered, Exchange& exchange, ClaimGrant& grant) {
  if (!answered) return answered;
  if (answered.http_status == 204) {
    answered.error = IssuerError::kNothingInWindow;
    return answered;
  }
  ClaimGrantView view;
  const GrantJsonResult parsed = ParseClaimGrant(exchange.body, exchange.scratch, view);
  if (!parsed.json) return Malformed(std::move(answered), parsed.json);
  if (!parsed) return Malformed(std::move(answered), "the grant's execution_id is none");
  grant.assign(view);
  return answered;
}

CURLM* NewMulti() {
  CURLM* const multi = curl_multi_init();
  // Never true: there is memory.
  if (multi == nullptr) throw std::runtime_error("ffgrant: libcurl has no memory");
#if LIBCURL_VERSION_NUM >= 0x081400
  curl_multi_setopt(multi, CURLMOPT_QUICK_EXIT, 1L);  // as CURLOPT_QUICK_EXIT below
#endif
  return multi;
}

namespace {

// Opens a socket that exec() closes, so that the program that takes the place of this one does not
// inherit it.
curl_socket_t OpenSocket(void*, curlsocktype, curl_sockaddr* address) noexcept {
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

}  // namespace

bool KeptSockets::AreNeeded(unsigned libcurl_version, std::string_view url) noexcept {
  return libcurl_version >= 0x075700 && libcurl_version < 0x080000 && url.starts_with("http://");
}

void KeptSockets::Note(CURL* easy) {
  curl_socket_t socket = CURL_SOCKET_BAD;
  long port = 0;
  curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &socket);
  curl_easy_getinfo(easy, CURLINFO_LOCAL_PORT, &port);
  if (socket != CURL_SOCKET_BAD) by_port_[port] = socket;
}

bool KeptSockets::HasUnread(int local_port) const noexcept {
  const auto found = by_port_.find(local_port);
  if (found == by_port_.end()) return false;
  pollfd asked = {found->second, POLLIN, 0};
  return poll(&asked, 1, 0) > 0;
}

Exchange::Exchange(const IssuerOptions& options, KeptSockets& kept)
    : options_(options),
      kept_(kept),
      checks_kept_(
          KeptSockets::AreNeeded(curl_version_info(CURLVERSION_NOW)->version_num, options.url)),
      easy_(curl_easy_init()) {
  // Never true: there is memory.
  if (easy_ == nullptr) throw std::runtime_error("ffgrant: libcurl has no memory");
  curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, fault_.data());
  curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options_.connect_timeout_ms));
  curl_easy_setopt(easy_, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy_, CURLOPT_OPENSOCKETFUNCTION, &OpenSocket);
#if LIBCURL_VERSION_NUM >= 0x075000
  if (checks_kept_) {
    curl_easy_setopt(easy_, CURLOPT_PREREQFUNCTION, &OnConnection);
    curl_easy_setopt(easy_, CURLOPT_PREREQDATA, this);
  }
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  // libcurl would wait for its thread that looks a name up, even when the time is over. With this
  // option libcurl lets go of the thread, which ends by itself.
  curl_easy_setopt(easy_, CURLOPT_QUICK_EXIT, 1L);
#endif
  // Whatever a URL says, libcurl uses only http and https for it, and so reads no local file.
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy_, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  if (!options_.ca_file.empty()) {
    curl_easy_setopt(easy_, CURLOPT_CAINFO, options_.ca_file.c_str());
  }
}

Exchange::~Exchange() {
  curl_slist_free_all(headers_);
  curl_easy_cleanup(easy_);
}

std::size_t Exchange::OnBody(char* bytes, std::size_t, std::size_t size, void* self) noexcept {
  auto& exchange = *static_cast<Exchange*>(self);
  if (size > exchange.options_.max_response_bytes - exchange.body.size()) {
    exchange.body_too_large_ = true;
    return 0;
  }
  try {
    exchange.body.append(bytes, size);
  } catch (const std::bad_alloc&) {
    // Never reached: there is memory. No exception may leave a function that libcurl calls.
    return 0;
  }
  return size;
}

// libcurl calls this function before it sends a request. The function refuses a kept connection on
// which something has arrived.
int Exchange::OnConnection(void* self, char*, char*, int, int local_port) noexcept {
  auto& exchange = *static_cast<Exchange*>(self);
  long connects = 0;
  curl_easy_getinfo(exchange.easy_, CURLINFO_NUM_CONNECTS, &connects);
  if (connects > 0 || !exchange.kept_.HasUnread(local_port)) return CURL_PREREQFUNC_OK;
  exchange.is_refused_ = true;
  return CURL_PREREQFUNC_ABORT;
}

bool Exchange::WantsFreshConnection(CURLcode code) noexcept {
  // Never false: `std::exchange(is_refused_, false)`: no other callback ends a transfer.
  return code == CURLE_ABORTED_BY_CALLBACK && std::exchange(is_refused_, false);
}

bool Exchange::Prepare(const std::string& path, bool post, const std::string& token) {
  body.clear();
  body_too_large_ = false;
  fault_[0] = '\0';
  if (headers_ == nullptr || headers_token_ != token) {
    curl_slist_free_all(headers_);
    headers_ = curl_slist_append(nullptr, "Content-Type: application/json");
    // This line makes libcurl leave the header Expect out. With that header, libcurl would wait for
    // the server's permission before it sends a large body.
    headers_ = curl_slist_append(headers_, "Expect:");
    if (!token.empty()) {
      headers_ = curl_slist_append(headers_, ("Authorization: Bearer " + token).c_str());
    }
    headers_token_ = token;
  }
  curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
  if (curl_easy_setopt(easy_, CURLOPT_URL, (options_.url + path).c_str()) != CURLE_OK) return false;
  if (post) {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, request.data());
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.size()));
  } else {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
  }
  return true;
}

IssuerStatus Exchange::Finish(CURLcode code) {
  IssuerStatus status;
  long http_status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &http_status);
  status.http_status = static_cast<int>(http_status);
  if (body_too_large_) {
    status.error = IssuerError::kResponseTooLarge;
    status.message = "the response has more than max_response_bytes";
    return status;
  }
  if (code != CURLE_OK) {
    curl_off_t sent_after = 0;
    curl_easy_getinfo(easy_, CURLINFO_PRETRANSFER_TIME_T, &sent_after);
    status.error = ErrorOf(code, sent_after > 0);
    status.message = fault_[0] != '\0' ? fault_.data() : curl_easy_strerror(code);
    return status;
  }
  if (body.size() > scratch.max_document_size()) scratch = JsonScratch(body.size());
  if (http_status < 200 || http_status > 299) {
    status.error = ErrorOf(http_status);
    ReadErrorBody(status);
  }
  return status;
}

std::string Exchange::WithoutToken(std::string_view text, std::size_t max_size) const {
  constexpr std::string_view kEllipsis = "\xe2\x80\xa6";
  std::string out;
  while (out.size() < max_size) {
    const std::size_t at = headers_token_.empty() ? text.npos : text.find(headers_token_);
    out.append(text.substr(0, std::min(at, max_size)));
    if (at == text.npos) break;
    out.append(kEllipsis);
    text.remove_prefix(at + headers_token_.size());
  }
  if (out.size() > max_size) out.resize(max_size);
  return out;
}

// Contract 5.6: a body that is no error body becomes the message itself, up to 1024 bytes of it.
void Exchange::ReadErrorBody(IssuerStatus& status) {
  ErrorBodyView view;
  if (!ParseErrorBody(body, scratch, view)) {
    status.message = WithoutToken(body, 1024);
    return;
  }
  status.message = WithoutToken(view.error);
  status.kind = WithoutToken(view.kind.value_or(""));
  status.retryable = view.retryable;
}

}  // namespace ffgrant::http::internal
