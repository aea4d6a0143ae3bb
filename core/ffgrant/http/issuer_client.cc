// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/issuer_client.h"

#include <curl/curl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <span>
#include <stdexcept>
#include <variant>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/internal/write_into.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_response.h"

namespace ffgrant::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

// libcurl must be initialised once in a process, before any thread uses it.
void InitCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK) throw std::runtime_error("ffgrant: libcurl can't be initialised");
}

// Appends `text` as a path segment. Writes bytes that can't stand there as %XX. The bytes that can
// stand there are RFC 3986's unreserved ones, and ':', which every execution id has.
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

bool IsHeaderText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
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
  }
  if (!IsHeaderText(token)) {
    throw std::runtime_error("ffgrant: the token has bytes that no header may have");
  }
  return token;
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
  if (o.connect_timeout_ms < 1 || o.connect_timeout_ms > kLongestMs || o.request_timeout_ms < 1 ||
      o.request_timeout_ms > kLongestMs || o.connections < 1 || o.connections > 1024 ||
      o.max_response_bytes < 1) {
    throw std::invalid_argument("ffgrant: an IssuerClient's options are out of range");
  }
  if (!o.token_variable.empty() && !o.token_file.empty()) {
    throw std::invalid_argument("ffgrant: a token comes from a variable or from a file");
  }
  return o;
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
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      // If a kept connection breaks, libcurl connects again, which may fail although the request
      // was sent on the kept connection.
      return sent ? IssuerError::kConnectionLost : IssuerError::kNotConnected;
    default:
      return IssuerError::kConnectionLost;
  }
}

IssuerStatus Refused(IssuerError error, std::string message) {
  IssuerStatus status;
  status.error = error;
  status.message = std::move(message);
  return status;
}

}  // namespace

std::string_view ErrorName(IssuerError error) noexcept {
  switch (error) {
    case IssuerError::kNone:
      return "none";
    case IssuerError::kNothingInWindow:
      return "nothing_in_window";
    case IssuerError::kNotReclaimable:
      return "not_reclaimable";
    case IssuerError::kReclaimCapExceeded:
      return "reclaim_cap_exceeded";
    case IssuerError::kBadRequest:
      return "bad_request";
    case IssuerError::kUnauthorized:
      return "unauthorized";
    case IssuerError::kNotFound:
      return "not_found";
    case IssuerError::kTooLarge:
      return "too_large";
    case IssuerError::kConflict:
      return "conflict";
    case IssuerError::kTooManyRequests:
      return "too_many_requests";
    case IssuerError::kServerFault:
      return "server_fault";
    case IssuerError::kServerUnavailable:
      return "server_unavailable";
    case IssuerError::kUnexpectedStatus:
      return "unexpected_status";
    case IssuerError::kMalformedResponse:
      return "malformed_response";
    case IssuerError::kResponseTooLarge:
      return "response_too_large";
    case IssuerError::kNotConnected:
      return "not_connected";
    case IssuerError::kTimeout:
      return "timeout";
    case IssuerError::kConnectionLost:
      return "connection_lost";
    case IssuerError::kStopped:
      return "stopped";
    case IssuerError::kInvalidRequest:
      return "invalid_request";
  }
  // Never reached: every enumerator has a case.
  return "unknown";
}

class IssuerClient::Impl {
 public:
  explicit Impl(const IssuerOptions& o) : options(Checked(o)) {
    InitCurl();
    token_ = ReadToken(options);
    for (std::size_t i = 0; i < options.connections; ++i) {
      idle_.push_back(std::make_unique<Connection>(*this));
    }
  }

  // A connection, and the buffers that a request needs.
  struct Connection {
    explicit Connection(Impl& owner);
    ~Connection();
    Connection(const Connection&) = delete;

    static std::size_t OnBody(char* bytes, std::size_t, std::size_t size, void* self) noexcept;

    Impl& impl;
    CURLM* multi = nullptr;
    CURL* easy = nullptr;
    curl_slist* headers = nullptr;
    std::string headers_token;  // the token in the headers
    std::string request;
    std::string body;
    bool body_too_large = false;
    JsonScratch scratch;
    std::array<char, CURL_ERROR_SIZE> fault;
  };

  // Runs `use(connection, status)` with a free connection, or says that there was none in time.
  template <class Use>
  IssuerStatus With(const Use& use) {
    const auto until = SteadyClock::now() + std::chrono::milliseconds(options.request_timeout_ms);
    std::unique_ptr<Connection> connection;
    {
      std::unique_lock lock(mutex_);
      while (idle_.empty()) {
        // The stop descriptor does not end this wait. But it ends at once the calls that hold the
        // connections.
        if (freed_.wait_until(lock, until) == std::cv_status::timeout && idle_.empty()) {
          return Refused(IssuerError::kNotConnected, "no connection became free in time");
        }
      }
      connection = std::move(idle_.back());
      idle_.pop_back();
    }
    // The connection is also given back if `use` throws.
    const auto give_back = [this](Connection* used) {
      {
        const std::lock_guard lock(mutex_);
        idle_.emplace_back(used);  // idle_ has room: the connection came from there
      }
      freed_.notify_one();
    };
    const std::unique_ptr<Connection, decltype(give_back)> used(connection.release(), give_back);
    return use(*used, until);
  }

  // Makes one request; connection.body gets the body of the answer. An error is described in full.
  IssuerStatus Ask(Connection& c, const std::string& path, bool post,
                   SteadyClock::time_point until) {
    std::string token = CurrentToken();
    IssuerStatus status = AskOnce(c, path, post, token, until);
    if (status.error == IssuerError::kUnauthorized && !options.token_file.empty()) {
      // The file may have got a new token.
      std::string fresh;
      try {
        fresh = ReadToken(options);
      } catch (const std::runtime_error&) {
        return status;
      }
      if (fresh == token) return status;
      {
        const std::lock_guard lock(mutex_);
        token_ = fresh;
      }
      status = AskOnce(c, path, post, fresh, until);
    }
    return status;
  }

  const IssuerOptions options;

 private:
  std::string CurrentToken() {
    const std::lock_guard lock(mutex_);
    return token_;
  }

  IssuerStatus AskOnce(Connection& c, const std::string& path, bool post, const std::string& token,
                       SteadyClock::time_point until);
  CURLcode Perform(Connection& c, SteadyClock::time_point until, bool& stopped) const;
  static void ReadErrorBody(Connection& c, IssuerStatus& status);

  std::mutex mutex_;
  std::condition_variable freed_;
  std::string token_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

IssuerClient::Impl::Connection::Connection(Impl& owner)
    : impl(owner),
      multi(curl_multi_init()),
      easy(curl_easy_init()),
      scratch(owner.options.max_response_bytes) {
  if (multi == nullptr || easy == nullptr)
    throw std::runtime_error("ffgrant: libcurl has no memory");
  const IssuerOptions& o = impl.options;
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fault.data());
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(o.connect_timeout_ms));
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // Whatever a URL says, libcurl may use only these two protocols, and read no file.
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  if (!o.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, o.ca_file.c_str());
}

IssuerClient::Impl::Connection::~Connection() {
  curl_slist_free_all(headers);
  curl_easy_cleanup(easy);
  curl_multi_cleanup(multi);
}

std::size_t IssuerClient::Impl::Connection::OnBody(char* bytes, std::size_t, std::size_t size,
                                                   void* self) noexcept {
  auto& c = *static_cast<Connection*>(self);
  if (size > c.impl.options.max_response_bytes - c.body.size()) {
    c.body_too_large = true;
    return 0;
  }
  c.body.append(bytes, size);
  return size;
}

// Waits until the answer is there, the time is up, or the stop descriptor is readable.
CURLcode IssuerClient::Impl::Perform(Connection& c, SteadyClock::time_point until,
                                     bool& stopped) const {
  CURLcode code = CURLE_OPERATION_TIMEDOUT;
  // The descriptor is looked at first, because on a kept connection the first step already sends.
  pollfd asked = {options.stop_descriptor, POLLIN, 0};
  if (options.stop_descriptor >= 0 && poll(&asked, 1, 0) > 0) {
    stopped = true;
    return code;
  }
  curl_multi_add_handle(c.multi, c.easy);
  for (int running = 1;;) {
    if (curl_multi_perform(c.multi, &running) != CURLM_OK) {
      code = CURLE_RECV_ERROR;
      break;
    }
    if (running == 0) {
      int left = 0;
      while (const CURLMsg* const message = curl_multi_info_read(c.multi, &left)) {
        if (message->msg == CURLMSG_DONE) code = message->data.result;
      }
      break;
    }
    const auto wait =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - SteadyClock::now()).count();
    if (wait < 0) break;
    curl_waitfd stop = {options.stop_descriptor, CURL_WAIT_POLLIN, 0};
    curl_multi_poll(c.multi, &stop, options.stop_descriptor < 0 ? 0 : 1,
                    static_cast<int>(std::min<std::int64_t>(wait + 1, 60'000)), nullptr);
    if ((stop.revents & CURL_WAIT_POLLIN) != 0) {
      stopped = true;
      break;
    }
  }
  curl_multi_remove_handle(c.multi, c.easy);
  return code;
}

IssuerStatus IssuerClient::Impl::AskOnce(Connection& c, const std::string& path, bool post,
                                         const std::string& token, SteadyClock::time_point until) {
  c.body.clear();
  c.body_too_large = false;
  c.fault[0] = '\0';
  if (c.headers == nullptr || c.headers_token != token) {
    curl_slist_free_all(c.headers);
    c.headers = curl_slist_append(nullptr, "Content-Type: application/json");
    // Without this header, libcurl would wait for the server's permission before it sends the body.
    c.headers = curl_slist_append(c.headers, "Expect:");
    if (!token.empty()) {
      c.headers = curl_slist_append(c.headers, ("Authorization: Bearer " + token).c_str());
    }
    c.headers_token = token;
  }
  curl_easy_setopt(c.easy, CURLOPT_HTTPHEADER, c.headers);
  curl_easy_setopt(c.easy, CURLOPT_URL, (options.url + path).c_str());
  if (post) {
    curl_easy_setopt(c.easy, CURLOPT_POST, 1L);
    curl_easy_setopt(c.easy, CURLOPT_POSTFIELDS, c.request.data());
    curl_easy_setopt(c.easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(c.request.size()));
  } else {
    curl_easy_setopt(c.easy, CURLOPT_HTTPGET, 1L);
  }
  bool stopped = false;
  const CURLcode code = Perform(c, until, stopped);
  IssuerStatus status;
  long http_status = 0;
  curl_easy_getinfo(c.easy, CURLINFO_RESPONSE_CODE, &http_status);
  status.http_status = static_cast<int>(http_status);
  if (stopped) {
    status.error = IssuerError::kStopped;
    status.message = "asked to stop";
    return status;
  }
  if (c.body_too_large) {
    status.error = IssuerError::kResponseTooLarge;
    status.message = "the response has more than max_response_bytes";
    return status;
  }
  if (code != CURLE_OK) {
    curl_off_t connected = 0;
    curl_easy_getinfo(c.easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    status.error = ErrorOf(code, connected > 0);
    status.message = c.fault[0] != '\0' ? c.fault.data() : curl_easy_strerror(code);
    return status;
  }
  if (http_status < 200 || http_status > 299) {
    status.error = ErrorOf(http_status);
    ReadErrorBody(c, status);
  }
  return status;
}

// Contract 5.6: a body that is no error body becomes the message itself.
void IssuerClient::Impl::ReadErrorBody(Connection& c, IssuerStatus& status) {
  ErrorBodyView view;
  if (!ParseErrorBody(c.body, c.scratch, view)) {
    status.message = c.body.substr(0, 1024);
    return;
  }
  status.message.assign(view.error);
  status.kind.assign(view.kind.value_or(""));
  status.retryable = view.retryable;
}

namespace {

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

bool WriteClaimBody(const ClaimRequestView& request, std::string& out) {
  return internal::WriteInto(
      out, [&](std::span<char> to) { return SerializeClaimRequest(request, to); });
}
bool WriteReclaimBody(const ReclaimRequestView& request, std::string& out) {
  return internal::WriteInto(
      out, [&](std::span<char> to) { return SerializeReclaimRequest(request, to); });
}

IssuerStatus NotUtf8() {
  return Refused(IssuerError::kInvalidRequest, "a text of the request is no UTF-8");
}
IssuerStatus NoSegment() {
  return Refused(IssuerError::kInvalidRequest, "a name that can't stand in a path");
}

bool ExecutionPath(std::string_view execution_id, std::string_view rest, std::string& path) {
  path = "/v1/executions/";
  if (!AppendSegment(execution_id, path)) return false;
  path += rest;
  return true;
}

}  // namespace

IssuerClient::IssuerClient(const IssuerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
IssuerClient::~IssuerClient() = default;

IssuerStatus IssuerClient::Create(const CreateRequest& request, bool& created) {
  // The server stores whatever partition the request names, so the client takes it from the id.
  const ExecutionIdResult id = ParseExecutionId(request.execution_id, ParseMode::kLenient);
  if (!id) return Refused(IssuerError::kInvalidRequest, "execution_id is none");
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!WriteCreateBody(request, id.id.partition().index, SystemClock().Now().value, c.request)) {
      return NotUtf8();
    }
    IssuerStatus status = impl_->Ask(c, "/v1/executions", true, until);
    if (!status) return status;
    const JsonResult parsed = ParseCreated(c.body, c.scratch, created);
    return parsed ? status : Malformed(std::move(status), parsed);
  });
}

IssuerStatus IssuerClient::Claim(std::string_view worker_id, const ClaimRequestView& request,
                                 ClaimGrant& grant) {
  std::string path = "/v1/workers/";
  if (!AppendSegment(worker_id, path)) return NoSegment();
  path += "/claim";
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!WriteClaimBody(request, c.request)) return NotUtf8();
    IssuerStatus status = impl_->Ask(c, path, true, until);
    if (!status) return status;
    if (status.http_status == 204) {
      status.error = IssuerError::kNothingInWindow;
      return status;
    }
    ClaimGrantView view;
    const GrantJsonResult parsed = ParseClaimGrant(c.body, c.scratch, view);
    if (!parsed.json) return Malformed(std::move(status), parsed.json);
    if (!parsed) return Malformed(std::move(status), "the grant's execution_id is none");
    grant.assign(view);
    return status;
  });
}

IssuerStatus IssuerClient::Reclaim(std::string_view execution_id, const ReclaimRequestView& request,
                                   ReclaimGrant& grant) {
  std::string path;
  if (!ExecutionPath(execution_id, "/reclaim", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!WriteReclaimBody(request, c.request)) return NotUtf8();
    IssuerStatus status = impl_->Ask(c, path, true, until);
    if (!status) return status;
    ReclaimResponseView view;
    const JsonResult parsed = ParseReclaimResponse(c.body, c.scratch, view);
    if (!parsed) return Malformed(std::move(status), parsed);
    if (const auto* const no = std::get_if<NotReclaimableView>(&view)) {
      status.error = IssuerError::kNotReclaimable;
      status.message.assign(no->detail);
      return status;
    }
    if (const auto* const cap = std::get_if<ReclaimCapExceededView>(&view)) {
      status.error = IssuerError::kReclaimCapExceeded;
      status.message = "reclaimed " + std::to_string(cap->reclaim_count) + " times";
      return status;
    }
    ReclaimGrantView granted;
    if (!ToReclaimGrant(std::get<ReclaimGrantedView>(view), granted)) {
      return Malformed(std::move(status), "the grant's execution_id or lane_id is none");
    }
    grant.assign(granted);
    return status;
  });
}

IssuerStatus IssuerClient::Revoke(std::string_view execution_id, std::string& already) {
  std::string path;
  if (!ExecutionPath(execution_id, "/revoke-lease", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    c.request.clear();
    IssuerStatus status = impl_->Ask(c, path, true, until);
    if (!status) return status;
    RevokeLeaseResultView view;
    const JsonResult parsed = ParseRevokeLeaseResult(c.body, c.scratch, view);
    if (!parsed) return Malformed(std::move(status), parsed);
    const auto* const satisfied = std::get_if<AlreadySatisfiedView>(&view);
    already.assign(satisfied == nullptr ? std::string_view() : satisfied->reason);
    return status;
  });
}

IssuerStatus IssuerClient::Result(std::string_view execution_id, std::string& result) {
  std::string path;
  if (!ExecutionPath(execution_id, "/result", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    IssuerStatus status = impl_->Ask(c, path, false, until);
    if (status) result = c.body;
    return status;
  });
}

IssuerStatus IssuerClient::State(std::string_view execution_id, std::string& state) {
  std::string path;
  if (!ExecutionPath(execution_id, "/state", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    IssuerStatus status = impl_->Ask(c, path, false, until);
    if (!status) return status;
    const JsonResult parsed = ParseTextBody(c.body, c.scratch, state);
    return parsed ? status : Malformed(std::move(status), parsed);
  });
}

IssuerStatus IssuerClient::Cancel(std::string_view execution_id, const CancelRequest& request) {
  std::string path;
  if (!ExecutionPath(execution_id, "/cancel", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!WriteCancelBody(execution_id, request, SystemClock().Now().value, c.request)) {
      return NotUtf8();
    }
    IssuerStatus status = impl_->Ask(c, path, true, until);
    if (!status) return status;
    const JsonResult parsed = ParseCancelled(c.body, c.scratch);
    return parsed ? status : Malformed(std::move(status), parsed);
  });
}

IssuerStatus IssuerClient::Signal(std::string_view execution_id, const SignalRequest& request,
                                  std::string& effect) {
  std::string path;
  if (!ExecutionPath(execution_id, "/signal", path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!WriteSignalBody(execution_id, request, SystemClock().Now().value, c.request)) {
      return NotUtf8();
    }
    IssuerStatus status = impl_->Ask(c, path, true, until);
    if (!status) return status;
    const JsonResult parsed = ParseSignalled(c.body, c.scratch, effect);
    return parsed ? status : Malformed(std::move(status), parsed);
  });
}

IssuerStatus IssuerClient::Health() {
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    return impl_->Ask(c, "/healthz", false, until);
  });
}

}  // namespace ffgrant::http
