// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/issuer_client.h"

#include <curl/curl.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <span>
#include <stdexcept>
#include <variant>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "ffgrant/http/internal/exchange.h"
#include "ffgrant/internal/write_into.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_response.h"

namespace ffgrant::http {
namespace {

using SteadyClock = std::chrono::steady_clock;
using internal::Exchange;
using internal::Malformed;
using internal::NoSegment;
using internal::NotUtf8;
using internal::Refused;

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

void SetFromEnvironment(IssuerOptions& options) {
  const auto text = [](const char* name) {
    const char* const value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (std::string file = text("FF_API_TOKEN_FILE"); !file.empty()) {
    options.token_file = std::move(file);
    options.token_variable.clear();
  } else if (!text("FF_API_TOKEN").empty()) {
    options.token_variable = "FF_API_TOKEN";
    options.token_file.clear();
  }
  if (std::string file = text("FF_API_CA_FILE"); !file.empty()) options.ca_file = std::move(file);
}

class IssuerClient::Impl {
 public:
  explicit Impl(const IssuerOptions& o) : options(internal::Checked(o)) {
    internal::InitCurl();
    token_ = internal::ReadToken(options);
    for (std::size_t i = 0; i < options.connections; ++i) {
      idle_.push_back(std::make_unique<Connection>(options));
    }
  }

  // An exchange on a connection of its own: libcurl keeps connections with the `multi`.
  struct Connection : private internal::KeptSockets, Exchange {
    explicit Connection(const IssuerOptions& o)
        : Exchange(o, static_cast<KeptSockets&>(*this)), multi(internal::NewMulti()) {}
    ~Connection() { curl_multi_cleanup(multi); }

    CURLM* multi = nullptr;
  };

  // Runs `use(connection, until)` with a free connection, or returns kNotConnected if no connection
  // becomes free in time.
  template <class Use>
  IssuerStatus With(const Use& use) {
    const auto until = SteadyClock::now() + std::chrono::milliseconds(options.request_timeout_ms);
    std::unique_ptr<Connection> connection;
    {
      std::unique_lock lock(mutex_);
      // The stop descriptor does not end this wait itself, but it immediately ends the calls that
      // hold the connections.
      if (!freed_.wait_until(lock, until, [this] { return !idle_.empty(); })) {
        return Refused(IssuerError::kNotConnected, "no connection became free in time");
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

  // Makes a request, and makes it again if the server refuses the token and the token file has
  // another one. `c.body` gets the body of the answer. The status describes an error in full.
  IssuerStatus Ask(Connection& c, const std::string& path, bool post,
                   SteadyClock::time_point until) {
    std::string token = CurrentToken();
    IssuerStatus status = AskOnce(c, path, post, token, until);
    if (status.error == IssuerError::kUnauthorized && !options.token_file.empty()) {
      // The file may have got a new token.
      std::string fresh;
      try {
        fresh = internal::ReadToken(options);
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

  std::mutex mutex_;
  std::condition_variable freed_;
  std::string token_;
  std::vector<std::unique_ptr<Connection>> idle_;
};

// Lets libcurl make the request, until the answer is there, the time is up, or the stop descriptor
// is readable; `stopped` becomes true in the last case.
CURLcode IssuerClient::Impl::Perform(Connection& c, SteadyClock::time_point until,
                                     bool& stopped) const {
  CURLcode code = CURLE_OPERATION_TIMEDOUT;
  // The stop descriptor is checked first, because libcurl's first step already sends the request if
  // there is a kept connection.
  pollfd asked = {options.stop_descriptor, POLLIN, 0};
  if (options.stop_descriptor >= 0 && poll(&asked, 1, 0) > 0) {
    stopped = true;
    return code;
  }
  curl_multi_add_handle(c.multi, c.easy());
  for (int running = 1;;) {
    // Never true: libcurl refuses only without memory.
    if (curl_multi_perform(c.multi, &running) != CURLM_OK) {
      // Never reached: as above.
      code = CURLE_RECV_ERROR;
      // Never reached: as above.
      break;
    }
    if (running == 0) {
      int left = 0;
      while (const CURLMsg* const message = curl_multi_info_read(c.multi, &left)) {
        // Never false: libcurl has no other message.
        if (message->msg == CURLMSG_DONE) code = message->data.result;
      }
      c.Ended();
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
  curl_multi_remove_handle(c.multi, c.easy());
  return code;
}

IssuerStatus IssuerClient::Impl::AskOnce(Connection& c, const std::string& path, bool post,
                                         const std::string& token, SteadyClock::time_point until) {
  if (!c.Prepare(path, post, token)) return internal::NoUrl();
  bool stopped = false;
  CURLcode code = Perform(c, until, stopped);
  if (c.WantsFreshConnection(code)) code = Perform(c, until, stopped);
  return stopped ? Refused(IssuerError::kStopped, "asked to stop") : c.Finish(code);
}

namespace {

bool WriteReclaimBody(const ReclaimRequestView& request, std::string& out) {
  return ffgrant::internal::WriteInto(
      out, [&](std::span<char> to) { return SerializeReclaimRequest(request, to); });
}

bool ExecutionPath(std::string_view execution_id, std::string_view rest, std::string& path) {
  path = "/v1/executions/";
  if (!internal::AppendSegment(execution_id, path)) return false;
  path += rest;
  return true;
}

}  // namespace

IssuerClient::IssuerClient(const IssuerOptions& options) : impl_(std::make_unique<Impl>(options)) {}
IssuerClient::~IssuerClient() = default;

IssuerStatus IssuerClient::Create(const CreateRequest& request, bool& created) {
  // The server stores whatever partition the request names, so the client takes the partition from
  // the id.
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
  std::string path;
  if (!internal::ClaimPath(worker_id, path)) return NoSegment();
  return impl_->With([&](Impl::Connection& c, SteadyClock::time_point until) {
    if (!internal::WriteClaimBody(request, c.request)) return NotUtf8();
    return internal::ReadClaim(impl_->Ask(c, path, true, until), c, grant);
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
      status.message = c.WithoutToken(no->detail);
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
