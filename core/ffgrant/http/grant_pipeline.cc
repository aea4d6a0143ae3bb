// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/grant_pipeline.h"

#include <curl/curl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ffgrant/http/internal/exchange.h"

namespace ffgrant::http {
namespace {

using SteadyClock = std::chrono::steady_clock;

// Returns the whole milliseconds until `moment`, rounded up: a wait that ends too early would have
// to be repeated.
int MsUntil(SteadyClock::time_point moment) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(moment - SteadyClock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

// Returns the shorter one of two waits, where a negative wait has no end.
int ShorterWait(int a, int b) {
  if (a < 0) return b;
  return b < 0 ? a : std::min(a, b);
}

}  // namespace

class GrantPipeline::Impl {
 public:
  explicit Impl(const IssuerOptions& options)
      : options_(internal::Checked(options)), token_(internal::ReadToken(options_)) {
    internal::InitCurl();
    multi_ = curl_multi_init();
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (multi_ == nullptr || epoll_ < 0) {
      Free();
      throw std::runtime_error("ffgrant: no memory or no descriptor for a GrantPipeline");
    }
    try {
      requests_.reserve(options_.connections);
      for (std::size_t i = 0; i < options_.connections; ++i) {
        requests_.push_back(std::make_unique<Request>(options_));
        curl_easy_setopt(requests_.back()->easy(), CURLOPT_PRIVATE, requests_.back().get());
        free_.push_back(requests_.back().get());
      }
      done_.reserve(options_.connections);
      taken_.reserve(options_.connections);
    } catch (...) {
      Free();
      throw;
    }
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &OnSocket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &OnTimer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections));
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    WatchStop();
  }

  ~Impl() {
    for (const std::unique_ptr<Request>& each : requests_) {
      if (each->is_under_way) curl_multi_remove_handle(multi_, each->easy());
    }
    Free();
  }

  bool Submit(std::string_view worker_id, const ClaimRequestView& request, std::uint64_t tag) {
    if (done_.size() + in_flight() >= requests_.size()) return false;
    Request& r = *free_.back();
    r.tag = tag;
    r.until = SteadyClock::now() + std::chrono::milliseconds(options_.request_timeout_ms);
    if (IsStopped()) {
      Complete(r, internal::Refused(IssuerError::kStopped, "asked to stop"));
    } else if (!internal::ClaimPath(worker_id, r.path)) {
      Complete(r, internal::NoSegment());
    } else if (!internal::WriteClaimBody(request, r.request)) {
      Complete(r, internal::NotUtf8());
    } else {
      free_.pop_back();
      r.is_second_try = false;
      Send(r);
    }
    return true;
  }

  std::span<const Completion> Poll(std::int64_t timeout_ms) {
    taken_.clear();
    const bool is_endless = timeout_ms < 0;
    // A longer wait than a day is cut up; the loop below goes on with it.
    const SteadyClock::time_point until =
        SteadyClock::now() +
        std::chrono::milliseconds(std::clamp<std::int64_t>(timeout_ms, 0, kLongestWaitMs));
    for (bool first = true;; first = false) {
      RunTimer();
      Collect();
      const bool may_wait = done_.empty() && in_flight() > 0;
      if (!may_wait && !first) break;
      const int left = is_endless ? -1 : MsUntil(until);
      const int wait = may_wait ? ShorterWait(left, timer_ ? MsUntil(*timer_) : -1) : 0;
      if (in_flight() > 0) Take(wait);
      Collect();
      if (!done_.empty() || in_flight() == 0 || (!is_endless && SteadyClock::now() >= until)) {
        break;
      }
    }
    std::swap(done_, taken_);
    return taken_;
  }

  int PrepareWait() {
    RunTimer();
    Collect();
    if (!done_.empty()) return 0;
    return timer_ ? MsUntil(*timer_) : -1;
  }

  int descriptor() const noexcept { return epoll_; }
  std::size_t in_flight() const noexcept { return requests_.size() - free_.size(); }
  std::size_t capacity() const noexcept { return requests_.size(); }

 private:
  static constexpr std::int64_t kLongestWaitMs = 86'400'000;

  struct Request : internal::Exchange {
    using Exchange::Exchange;
    std::uint64_t tag = 0;
    std::string path;
    std::string token;  // the token that the request was sent with
    SteadyClock::time_point until;
    bool is_under_way = false;
    bool is_second_try = false;
  };

  void Free() {
    requests_.clear();
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
    if (epoll_ >= 0) close(epoll_);
  }

  // ---- the stop descriptor

  // The epoll descriptor stays readable as long as the stop descriptor is. So the stop descriptor
  // is taken out once everything has ended for it, and put back with the next request that it does
  // not end.
  void WatchStop() {
    if (options_.stop_descriptor < 0 || is_stop_watched_) return;
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = options_.stop_descriptor;
    is_stop_watched_ = epoll_ctl(epoll_, EPOLL_CTL_ADD, options_.stop_descriptor, &event) == 0;
  }

  bool IsStopped() {
    if (options_.stop_descriptor < 0) return false;
    pollfd asked = {options_.stop_descriptor, POLLIN, 0};
    if (poll(&asked, 1, 0) > 0) return true;
    WatchStop();
    return false;
  }

  void Stop() {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, options_.stop_descriptor, nullptr);
    is_stop_watched_ = false;
    for (const std::unique_ptr<Request>& each : requests_) {
      if (!each->is_under_way) continue;
      TakeOut(*each);
      Complete(*each, internal::Refused(IssuerError::kStopped, "asked to stop"));
    }
  }

  // ---- libcurl

  void Send(Request& r) {
    r.token = token_;
    r.Prepare(r.path, true, r.token);
    // 0 would be no limit.
    curl_easy_setopt(r.easy(), CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max(1, MsUntil(r.until))));
    curl_multi_add_handle(multi_, r.easy());
    r.is_under_way = true;
  }

  // Takes a request out of libcurl. The request can be used again.
  void TakeOut(Request& r) {
    curl_multi_remove_handle(multi_, r.easy());
    r.is_under_way = false;
    free_.push_back(&r);
  }

  void Complete(Request& r, IssuerStatus status) {
    Completion& done = done_.emplace_back();
    done.tag = r.tag;
    done.status = internal::ReadClaim(std::move(status), r, done.grant);
  }

  // Returns whether the token file has another token than the one that the server has refused to
  // this request. A request gets a second token once.
  bool HasFreshToken(Request& r, const IssuerStatus& status) {
    if (status.error != IssuerError::kUnauthorized || options_.token_file.empty()) return false;
    if (std::exchange(r.is_second_try, true)) return false;
    if (token_ != r.token) return true;  // an earlier completion has read the file
    try {
      token_ = internal::ReadToken(options_);
    } catch (const std::runtime_error&) {
      return false;
    }
    return token_ != r.token;
  }

  void Collect() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      char* self = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
      auto& r = *reinterpret_cast<Request*>(self);
      IssuerStatus status = r.Finish(code);
      if (HasFreshToken(r, status)) {
        curl_multi_remove_handle(multi_, r.easy());
        Send(r);
        continue;
      }
      TakeOut(r);
      Complete(r, std::move(status));
    }
  }

  void RunTimer() {
    if (!timer_ || SteadyClock::now() < *timer_) return;
    timer_.reset();
    int running = 0;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }

  // Waits for sockets that are ready, and lets libcurl use them.
  void Take(int wait_ms) {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (event.data.fd == options_.stop_descriptor) {
        Stop();
        continue;
      }
      const int ready = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                        ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                        ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
      int running = 0;
      curl_multi_socket_action(multi_, event.data.fd, ready, &running);
    }
    RunTimer();
  }

  static int OnSocket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept {
    const auto& impl = *static_cast<const Impl*>(self);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(impl.epoll_, EPOLL_CTL_DEL, socket, nullptr);  // a closed socket is out already
      return 0;
    }
    epoll_event event = {};
    event.events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    event.data.fd = socket;
    if (epoll_ctl(impl.epoll_, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
    return epoll_ctl(impl.epoll_, EPOLL_CTL_ADD, socket, &event) == 0 ? 0 : -1;
  }

  static int OnTimer(CURLM*, long timeout_ms, void* self) noexcept {
    auto& impl = *static_cast<Impl*>(self);
    if (timeout_ms < 0) {
      impl.timer_.reset();
    } else {
      impl.timer_ = SteadyClock::now() + std::chrono::milliseconds(timeout_ms);
    }
    return 0;
  }

  const IssuerOptions options_;
  std::string token_;
  CURLM* multi_ = nullptr;
  int epoll_ = -1;
  std::optional<SteadyClock::time_point> timer_;  // when libcurl wants to be called
  bool is_stop_watched_ = false;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<Request*> free_;
  std::vector<Completion> done_;
  std::vector<Completion> taken_;
};

GrantPipeline::GrantPipeline(const IssuerOptions& options)
    : impl_(std::make_unique<Impl>(options)) {}
GrantPipeline::~GrantPipeline() = default;

bool GrantPipeline::Submit(std::string_view worker_id, const ClaimRequestView& request,
                           std::uint64_t tag) {
  return impl_->Submit(worker_id, request, tag);
}
std::span<const GrantPipeline::Completion> GrantPipeline::Poll(std::int64_t timeout_ms) {
  return impl_->Poll(timeout_ms);
}
int GrantPipeline::descriptor() const noexcept { return impl_->descriptor(); }
int GrantPipeline::PrepareWait() { return impl_->PrepareWait(); }
std::size_t GrantPipeline::in_flight() const noexcept { return impl_->in_flight(); }
std::size_t GrantPipeline::capacity() const noexcept { return impl_->capacity(); }

}  // namespace ffgrant::http
