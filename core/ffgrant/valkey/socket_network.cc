// SPDX-License-Identifier: Apache-2.0

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey {
namespace {

static_assert(EWOULDBLOCK == EAGAIN);

IoStatus FromErrno(int error) noexcept {
  if (error == EAGAIN) return IoStatus::kWouldBlock;
  if (error == EINTR) return IoStatus::kInterrupted;
  return IoStatus::kFailed;
}

class SocketStream final : public Stream {
 public:
  ~SocketStream() override { Close(); }

  IoStatus Open(const Endpoint& endpoint) noexcept override {
    Close();
    context_ = redisConnectNonBlock(endpoint.host.c_str(), endpoint.port);
    if (context_ == nullptr) return IoStatus::kFailed;
    if (context_->err != 0) {
      Close();
      return IoStatus::kFailed;
    }
    return FinishOpen();
  }

  IoStatus FinishOpen() noexcept override {
    if (context_ == nullptr) return IoStatus::kFailed;
    pollfd writable = {.fd = context_->fd, .events = POLLOUT, .revents = 0};
    const int ready = poll(&writable, 1, 0);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return IoStatus::kWouldBlock;
    int error = 0;
    socklen_t size = sizeof error;
    if (ready < 0 || getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 ||
        error != 0) {
      Close();
      return IoStatus::kFailed;
    }
    return IoStatus::kDone;
  }

  IoResult Read(std::span<char> into) noexcept override {
    if (context_ == nullptr) return {IoStatus::kFailed, 0};
    const ssize_t size = recv(context_->fd, into.data(), into.size(), 0);
    if (size > 0) return {IoStatus::kDone, static_cast<std::size_t>(size)};
    if (size == 0) return {IoStatus::kClosed, 0};
    return {FromErrno(errno), 0};
  }

  IoResult Write(std::string_view bytes) noexcept override {
    if (context_ == nullptr) return {IoStatus::kFailed, 0};
    const ssize_t size = send(context_->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size > 0) return {IoStatus::kDone, static_cast<std::size_t>(size)};
    return {size == 0 ? IoStatus::kWouldBlock : FromErrno(errno), 0};
  }

  void Close() noexcept override {
    if (context_ != nullptr) redisFree(context_);
    context_ = nullptr;
  }

  int fd() const noexcept { return context_ == nullptr ? -1 : context_->fd; }

 private:
  redisContext* context_ = nullptr;
};

class SocketNetwork final : public Network {
 public:
  SocketNetwork() : wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~SocketNetwork() override {
    if (wake_ >= 0) close(wake_);
  }
  std::unique_ptr<Stream> NewStream() override { return std::make_unique<SocketStream>(); }

  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override {
    polled_.clear();
    for (const StreamInterest& interest : interests) {
      const auto* const stream = static_cast<const SocketStream*>(interest.stream);
      polled_.push_back(
          {.fd = stream->fd(),
           .events = static_cast<short>(interest.or_writable ? POLLIN | POLLOUT : POLLIN),
           .revents = 0});
    }
    polled_.push_back({.fd = wake_, .events = POLLIN, .revents = 0});
    // Without a descriptor to be woken by (there were too many), it looks up often.
    const std::int64_t longest = wake_ >= 0 ? 60'000 : 10;
    (void)poll(polled_.data(), polled_.size(), static_cast<int>(std::min(timeout_ms, longest)));
    std::uint64_t count = 0;
    if (polled_.back().revents != 0) (void)!read(wake_, &count, sizeof count);
  }

  void Wake() noexcept override {
    constexpr std::uint64_t kOne = 1;
    if (wake_ >= 0) (void)!write(wake_, &kOne, sizeof kOne);
  }

  std::int64_t NowMs() noexcept override {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }

  std::uint64_t Random() noexcept override {
    std::uint64_t bits = 0;
    const Uuid uuid = RandomUuid();
    std::memcpy(&bits, uuid.bytes.data() + 8, sizeof bits);
    std::uint64_t more = 0;
    std::memcpy(&more, uuid.bytes.data(), sizeof more);
    return bits ^ (more << 6);  // over the two fixed bits of the variant, the lowest but six
  }

 private:
  const int wake_;
  std::vector<pollfd> polled_;
};

}  // namespace

std::unique_ptr<Network> MakeSocketNetwork() { return std::make_unique<SocketNetwork>(); }

bool ParseEndpoint(std::string_view text, Endpoint& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return false;
  if (host.empty() || host.find_first_of("[]") != std::string_view::npos) return false;
  out.host.assign(host);
  out.port = port;
  return true;
}

}  // namespace ffgrant::valkey
