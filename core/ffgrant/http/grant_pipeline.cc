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
  // Never true: the libcurl that coverage is measured with wants no timer without a request.
  return b < 0 ? a : std::min(a, b);
}

}  // namespace

class GrantPipeline::Impl {
 public:
  explicit Impl(const IssuerOptions& options)
      : options_(internal::Checked(options)), token_(internal::ReadToken(options_)) {
    internal::InitCurl();
    multi_ = internal::NewMulti();
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    try {
      if (epoll_ < 0) {
        throw std::runtime_error("ffgrant: no descriptor is left for a GrantPipeline");
      }
      requests_.reserve(options_.connections);
      fresh_.reserve(options_.connections);
      free_.reserve(options_.connections);
      done_.reserve(options_.connections);
      taken_.reserve(options_.connections);
      for (std::size_t i = 0; i < options_.connections; ++i) {
        requests_.push_back(std::make_unique<Request>(options_, kept_));
        curl_easy_setopt(requests_.back()->easy(), CURLOPT_PRIVATE, requests_.back().get());
        free_.push_back(requests_.back().get());
      }
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
    r.is_second_try = false;
    if (IsStopped()) {
      Complete(r, internal::Refused(IssuerError::kStopped, "asked to stop"));
    } else if (!internal::ClaimPath(worker_id, r.path)) {
      Complete(r, internal::NoSegment());
    } else if (!internal::WriteClaimBody(request, r.request)) {
      Complete(r, internal::NotUtf8());
    } else if (IssuerStatus refused = Send(r); !refused) {
      Complete(r, std::move(refused));
    } else {
      free_.pop_back();
    }
    return true;
  }

  std::span<const Completion> Poll(std::int64_t timeout_ms) {
    taken_.clear();
    // Each request ends within a day, so it makes no difference if a longer wait is cut to a day.
    const SteadyClock::time_point until =
        SteadyClock::now() + std::chrono::milliseconds(std::clamp<std::int64_t>(
                                 timeout_ms < 0 ? kLongestWaitMs : timeout_ms, 0, kLongestWaitMs));
    // Poll() takes what has arrived before it looks at limits and timers: an answer counts even if
    // the caller comes late for it.
    Take(0);
    for (;;) {
      Advance();
      if (!done_.empty() || in_flight() == 0 || SteadyClock::now() >= until) break;
      Take(ShorterWait(MsUntil(until), MsUntilDue()));
    }
    std::swap(done_, taken_);
    return taken_;
  }

  int PrepareWait() {
    // A request whose time is up is left to Poll(), which first looks whether the request's answer
    // has arrived.
    if (!done_.empty() || MsUntilLimit() == 0) return 0;
    RunTimer();
    Collect();
    return done_.empty() ? MsUntilDue() : 0;
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
    bool is_started = false;  // libcurl has begun with the request
    bool is_second_try = false;
    bool is_unwatched = false;  // its socket can't be watched
  };

  void Free() {
    requests_.clear();
    curl_multi_cleanup(multi_);
    if (epoll_ >= 0) close(epoll_);
  }

  // ---- the stop descriptor

  // The epoll descriptor stays readable as long as the stop descriptor is. So the stop descriptor
  // is taken out of the epoll descriptor once a stop request has ended everything. The next
  // Submit() that finds no stop request puts it back.
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
      if (each->is_under_way) {
        End(*each, internal::Refused(IssuerError::kStopped, "asked to stop"));
      }
    }
  }

  // ---- requests

  // Hands the request to libcurl, which begins the request in the next RunTimer().
  IssuerStatus Send(Request& r) {
    r.token = token_;
    if (!r.Prepare(r.path, true, r.token)) return internal::NoUrl();
    // Never true: libcurl refuses only without memory.
    if (curl_multi_add_handle(multi_, r.easy()) != CURLM_OK) {
      // Never reached: as above.
      return internal::Refused(IssuerError::kNotConnected, "libcurl takes no request");
    }
    r.is_under_way = true;
    r.is_started = r.is_unwatched = false;
    fresh_.push_back(&r);
    return {};
  }

  // Takes a request out of libcurl. The request can be used again.
  void TakeOut(Request& r) {
    curl_multi_remove_handle(multi_, r.easy());
    r.is_under_way = false;
    std::erase(fresh_, &r);
  }

  void Complete(Request& r, IssuerStatus status) {
    Completion done;
    done.tag = r.tag;
    done.status = internal::ReadClaim(std::move(status), r, done.grant);
    done_.push_back(std::move(done));  // done_ has room for it
  }

  void End(Request& r, IssuerStatus status) {
    TakeOut(r);
    free_.push_back(&r);
    Complete(r, std::move(status));
  }

  // Returns whether the server has refused the request's token, and the token file has another one.
  // A request is tried with two tokens at most.
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

  // Ends the requests whose transfers libcurl has ended, or sends them again.
  void Collect() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
      // Never true: libcurl has no other message.
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      char* self = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
      auto& r = *reinterpret_cast<Request*>(self);
      r.Ended();
      IssuerStatus status = r.Finish(code);
      if (r.WantsFreshConnection(code) || HasFreshToken(r, status)) {
        TakeOut(r);
        IssuerStatus refused = Send(r);
        // Never false: the request's path was not too long before, and there is memory.
        if (refused) continue;
        // Never reached: as above.
        status = std::move(refused);
      }
      End(r, std::move(status));
    }
  }

  // Ends the requests whose time is up, and those whose sockets can't be watched.
  void Expire() {
    const SteadyClock::time_point now = SteadyClock::now();
    for (const std::unique_ptr<Request>& each : requests_) {
      Request& r = *each;
      if (!r.is_under_way || (!r.is_unwatched && now < r.until)) continue;
      if (!r.is_started) {
        End(r, internal::Refused(IssuerError::kNotConnected, "the time was up before it was sent"));
      } else if (r.is_unwatched) {
        IssuerStatus status = r.Finish(CURLE_RECV_ERROR);
        status.message = "the system can't watch another descriptor";
        End(r, std::move(status));
      } else {
        End(r, r.Finish(CURLE_OPERATION_TIMEDOUT));
      }
    }
  }

  // Does for all requests what needs neither a wait nor a look at the sockets.
  void Advance() {
    Collect();
    Expire();
    RunTimer();
    Collect();
    Expire();
  }

  // Returns after how many milliseconds Expire() has something to do; -1: never.
  int MsUntilLimit() const {
    std::optional<SteadyClock::time_point> first;
    for (const std::unique_ptr<Request>& each : requests_) {
      if (!each->is_under_way) continue;
      if (each->is_unwatched) return 0;
      first = first ? std::min(*first, each->until) : each->until;
    }
    return first ? MsUntil(*first) : -1;
  }
  // Returns after how many milliseconds Advance() has something to do; -1: never.
  int MsUntilDue() const { return ShorterWait(timer_ ? MsUntil(*timer_) : -1, MsUntilLimit()); }

  // ---- libcurl

  void RunTimer() {
    if (!timer_ || SteadyClock::now() < *timer_) return;
    timer_.reset();
    int running = 0;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    for (Request* each : fresh_) each->is_started = true;
    fresh_.clear();
  }

  // Waits for sockets that are ready, and lets libcurl use them. One look finds at most as many
  // sockets as `events` has room for. So there is another look as long as this room is filled. But
  // bytes may go on arriving, so there are at most one or two looks more than all sockets need.
  void Take(int wait_ms) {
    std::array<epoll_event, 64> events;
    std::size_t looks = requests_.size() / events.size() + 2;
    bool is_stopped = false;
    for (bool may_be_more = true; may_be_more; wait_ms = 0) {
      const int found = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms);
      const std::size_t count = static_cast<std::size_t>(std::max(found, 0));
      for (std::size_t i = 0; i < count; ++i) is_stopped |= Use(events[i]);
      // Never false: `--looks > 0`: the servers of the tests don't send that much.
      may_be_more = count == events.size() && --looks > 0;
    }
    if (!is_stopped) return;
    Collect();  // the answers that have arrived are not lost
    Stop();
  }

  // Lets libcurl use the socket of `event`. Does nothing and returns true if `event` is about the
  // stop descriptor.
  bool Use(const epoll_event& event) {
    if (event.data.fd == options_.stop_descriptor) return true;
    const int ready = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                      ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                      ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
    int running = 0;
    curl_multi_socket_action(multi_, event.data.fd, ready, &running);
    return false;
  }

  // Never returns an error, since libcurl would then do nothing more for any request.
  static int OnSocket(CURL* easy, curl_socket_t socket, int what, void* self,
                      void* known) noexcept {
    auto& impl = *static_cast<Impl*>(self);
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(impl.epoll_, EPOLL_CTL_DEL, socket, nullptr);  // a closed socket has left epoll
      return 0;
    }
    epoll_event event = {};
    event.events =
        ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) | ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    event.data.fd = socket;
    const int first = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    const int second = known == nullptr ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(impl.epoll_, first, socket, &event) == 0 ||
        epoll_ctl(impl.epoll_, second, socket, &event) == 0) {
      curl_multi_assign(impl.multi_, socket, &impl);
      return 0;
    }
    char* request = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
    // Never false: the libcurl that coverage is measured with makes no transfers of its own.
    if (request != nullptr) reinterpret_cast<Request*>(request)->is_unwatched = true;
    return 0;
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
  internal::KeptSockets kept_;
  std::optional<SteadyClock::time_point> timer_;  // when libcurl wants to be called
  bool is_stop_watched_ = false;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<Request*> free_;
  std::vector<Request*> fresh_;  // requests that libcurl has but has not begun
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
