// SPDX-License-Identifier: Apache-2.0

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/internal/name_resolver.h"
#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey {

using internal::NameResolver;
using internal::Wakeup;

namespace {

static_assert(EWOULDBLOCK == EAGAIN);

IoStatus FromErrno(int error) noexcept {
  if (error == EAGAIN) return IoStatus::kWouldBlock;
  if (error == EINTR) return IoStatus::kInterrupted;
  return IoStatus::kFailed;
}

// A stream tries at most this many addresses of a name.
constexpr std::size_t kMostAddresses = 64;
// How long the stream waits before it tries a unix socket with a full backlog again.
constexpr std::int64_t kFullBacklogMs = 5;
// The longest wait before the next address is tried; RFC 8305 calls this wait the connection
// attempt delay.
constexpr std::int64_t kLongestStepMs = 250;

std::int64_t SteadyMs() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

struct Address {
  sockaddr_storage bytes = {};
  socklen_t size = 0;
  std::string text;
};

// Returns the address that `text` is, or nothing if `text` is no address. Looks nothing up.
std::optional<Address> ParseAddress(const std::string& text, std::uint16_t port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(text.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return std::nullopt;
  }
  Address address;
  std::memcpy(&address.bytes, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  address.text = text;
  freeaddrinfo(found);
  return address;
}

// Returns the address of a unix socket, or nothing if the path is longer than such a path may be.
std::optional<Address> UnixAddress(const std::string& path) {
  sockaddr_un unix_address = {};
  if (path.size() >= sizeof unix_address.sun_path) return std::nullopt;
  unix_address.sun_family = AF_UNIX;
  path.copy(unix_address.sun_path, path.size());
  Address address;
  std::memcpy(&address.bytes, &unix_address, sizeof unix_address);
  address.size = sizeof unix_address;
  address.text = path;
  return address;
}

constexpr int kKeepaliveProbes = 3;

// Sets the options of a TCP socket. An option that can't be set stays as the system has it.
void SetTcpOptions(int fd, const SocketOptions& options) noexcept {
  const auto set = [fd](int level, int name, int value) {
    (void)setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.keepalive_s <= 0) return;
  const auto idle = static_cast<int>(std::min<std::int64_t>(options.keepalive_s, 32767));
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, idle);
  set(IPPROTO_TCP, TCP_KEEPINTVL, std::max(idle / (2 * kKeepaliveProbes), 1));
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveProbes);
}

// A descriptor to wait for. The system may give the number of a closed descriptor to a new one, but
// each has a serial of its own.
struct Watched {
  int fd;
  bool readable;
  bool writable;
  std::uint64_t serial;
  friend bool operator==(const Watched&, const Watched&) = default;
};

// The set of descriptors that Network::Descriptor() waits for. A network and its streams share it:
// a stream may be closed after its network's end.
class WatchedSet {
 public:
  WatchedSet() = default;
  ~WatchedSet() {
    if (fd_ >= 0) close(fd_);
  }
  WatchedSet(const WatchedSet&) = delete;
  WatchedSet& operator=(const WatchedSet&) = delete;

  int fd() const noexcept { return fd_; }
  void Make() noexcept {
    fd_ = epoll_create1(EPOLL_CLOEXEC);
    owner_ = getpid();
  }
  bool Change(int how, const Watched& watched) const noexcept {
    epoll_event event = {};
    event.events = (watched.readable ? EPOLLIN : 0u) | (watched.writable ? EPOLLOUT : 0u);
    event.data.fd = watched.fd;
    return epoll_ctl(fd_, how, watched.fd, &event) == 0;
  }
  // Takes a descriptor out that is about to be closed. Closing alone does that only if no child of
  // fork() has the descriptor, too. A child that closes its copy must not do that to its parent,
  // with which it shares the set.
  void Remove(int fd) const noexcept {
    // Never false: `getpid() == owner_`: nothing counts what a child of the tests executes.
    if (fd_ >= 0 && getpid() == owner_) (void)epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr);
  }

 private:
  int fd_ = -1;
  pid_t owner_ = -1;  // the process that has made the set
};

class SocketNetwork;

class SocketStream final : public Stream {
 public:
  SocketStream(SocketNetwork& network, std::shared_ptr<const WatchedSet> watched)
      : network_(network), watched_(std::move(watched)) {}
  ~SocketStream() override { Close(); }

  IoStatus Open(const Endpoint& endpoint) noexcept override {
    Close();
    why_.clear();
    endpoint_ = endpoint;
    opening_ = true;
    auto address = endpoint.is_unix() ? UnixAddress(endpoint.host)
                                      : ParseAddress(endpoint.host, endpoint.port);
    if (address) {
      addresses_.push_back(*std::move(address));
      Prepare();
    } else if (endpoint.is_unix()) {
      why_ = "the path of the unix socket is too long";
      return Fail();
    }
    return FinishOpen();
  }

  IoStatus FinishOpen() noexcept override;

  void SetOpenLimit(std::int64_t limit_ms) noexcept override { limit_ms_ = limit_ms; }
  std::string_view WhyNotOpen() const noexcept override { return why_; }

  IoResult Read(std::span<char> into) noexcept override {
    if (fd_ < 0) return {IoStatus::kFailed, 0};
    const ssize_t size = recv(fd_, into.data(), into.size(), 0);
    if (size > 0) return {IoStatus::kDone, static_cast<std::size_t>(size)};
    if (size == 0) return {IoStatus::kClosed, 0};
    return {FromErrno(errno), 0};
  }

  IoResult Write(std::string_view bytes) noexcept override {
    if (fd_ < 0) return {IoStatus::kFailed, 0};
    const ssize_t size = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size > 0) return {IoStatus::kDone, static_cast<std::size_t>(size)};
    return {size == 0 ? IoStatus::kWouldBlock : FromErrno(errno), 0};
  }

  void Close() noexcept override {
    for (const Attempt& attempt : attempts_) CloseDescriptor(attempt.fd);
    attempts_.clear();
    addresses_.clear();
    next_address_ = 0;
    opening_ = false;
    if (fd_ >= 0) CloseDescriptor(fd_);
    fd_ = -1;
  }

  // Adds the stream's descriptors to `watched`.
  void AddTo(std::vector<Watched>& watched, bool or_writable) const {
    if (fd_ >= 0) watched.push_back({fd_, true, or_writable, serial_});
    for (const Attempt& attempt : attempts_) {
      watched.push_back({attempt.fd, false, true, attempt.serial});
    }
  }
  // The time at which FinishOpen() goes on to the next address, even if nothing happens before.
  std::int64_t next_step_at() const noexcept {
    return next_address_ < addresses_.size() ? next_step_at_ : INT64_MAX;
  }

 private:
  struct Attempt {
    int fd;
    std::size_t address;
    std::uint64_t serial;
  };

  // Gets ready to try the addresses, once they are known.
  void Prepare() noexcept {
    if (addresses_.size() > kMostAddresses) addresses_.resize(kMostAddresses);
    // The last address gets two steps.
    const auto parts = static_cast<std::int64_t>(addresses_.size()) + 1;
    step_ms_ = std::clamp<std::int64_t>(limit_ms_ / parts, 1, kLongestStepMs);
    next_step_at_ = SteadyMs();
    why_.clear();
  }
  void CloseDescriptor(int fd) const noexcept {
    watched_->Remove(fd);
    close(fd);
  }
  bool LookUp() noexcept;
  // Begins to connect to addresses_[number]. Returns false, and begins nothing, if this address has
  // to be tried again in a while. Returns true also if the address has failed at once.
  bool Begin(std::size_t number) noexcept;
  bool TakeFirstConnected() noexcept;
  void Failed(std::size_t number, int error) noexcept {
    why_.assign(addresses_[number].text).append(": ").append(std::strerror(error));
  }
  IoStatus Fail() noexcept {
    Close();
    return IoStatus::kFailed;
  }

  SocketNetwork& network_;
  const std::shared_ptr<const WatchedSet> watched_;
  std::int64_t limit_ms_ = 2000;
  std::string why_;
  int fd_ = -1;               // the connection, once it is open
  std::uint64_t serial_ = 0;  // the serial of fd_

  // The fields below are used while the stream is being opened.
  bool opening_ = false;
  Endpoint endpoint_;
  std::vector<Address> addresses_;  // empty while the name is looked up
  std::size_t next_address_ = 0;
  std::vector<Attempt> attempts_;
  std::int64_t step_ms_ = 0;
  std::int64_t next_step_at_ = 0;
};

class SocketNetwork final : public Network {
 public:
  SocketNetwork(NameLookup look_up, const SocketOptions& options)
      : own_(look_up ? std::make_unique<NameResolver>(std::move(look_up)) : nullptr),
        options_(options) {}

  std::unique_ptr<Stream> NewStream() override {
    return std::make_unique<SocketStream>(*this, set_);
  }

  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override {
    timeout_ms = Collect(interests, watched_, timeout_ms);
    polled_.clear();
    for (const Watched& watched : watched_) {
      const int events = (watched.readable ? POLLIN : 0) | (watched.writable ? POLLOUT : 0);
      polled_.push_back({.fd = watched.fd, .events = static_cast<short>(events), .revents = 0});
    }
    polled_.push_back({.fd = wakeup_->fd(), .events = POLLIN, .revents = 0});
    // If the system had no descriptor left by which this wait could be woken, the wait is kept
    // short.
    const std::int64_t longest = wakeup_->valid() ? 60'000 : kWithoutWakeupMs;
    (void)poll(polled_.data(), polled_.size(), static_cast<int>(std::min(timeout_ms, longest)));
    if (polled_.back().revents != 0) wakeup_->Clear();
  }

  int Descriptor() noexcept override {
    if (set_->fd() < 0) {
      set_->Make();
      if (wakeup_->valid()) (void)set_->Change(EPOLL_CTL_ADD, {wakeup_->fd(), true, false, 0});
    }
    return set_->fd();
  }

  std::int64_t Arm(std::span<const StreamInterest> interests,
                   std::int64_t timeout_ms) noexcept override {
    (void)Descriptor();
    timeout_ms = Collect(interests, watched_, timeout_ms);
    for (const Watched& old : armed_) {
      const bool stays = std::any_of(watched_.begin(), watched_.end(),
                                     [&old](const Watched& w) { return w.fd == old.fd; });
      // Fails if the descriptor was closed meanwhile.
      if (!stays) (void)set_->Change(EPOLL_CTL_DEL, old);
    }
    // A descriptor that can't be watched is left out of `armed_`, so the next Arm() tries it again.
    // The caller is then told to wait only for a short time.
    const auto refused = std::remove_if(watched_.begin(), watched_.end(), [&](const Watched& w) {
      return std::find(armed_.begin(), armed_.end(), w) == armed_.end() &&
             !set_->Change(EPOLL_CTL_MOD, w) && !set_->Change(EPOLL_CTL_ADD, w);
    });
    const bool all = refused == watched_.end();
    watched_.erase(refused, watched_.end());
    armed_.swap(watched_);
    return all && wakeup_->valid() ? timeout_ms
                                   : std::min<std::int64_t>(timeout_ms, kWithoutWakeupMs);
  }

  void Wake() noexcept override { wakeup_->Notify(); }
  std::uint64_t NewSerial() noexcept { return ++serial_; }

  std::int64_t NowMs() noexcept override { return SteadyMs(); }

  std::uint64_t Random() noexcept override {
    std::uint64_t bits = 0;
    const Uuid uuid = RandomUuid();
    std::memcpy(&bits, uuid.bytes.data() + 8, sizeof bits);
    std::uint64_t more = 0;
    std::memcpy(&more, uuid.bytes.data(), sizeof more);
    return bits ^ (more << 6);  // makes the variant's two fixed bits, 6 and 7, random
  }

  const SocketOptions& options() const noexcept { return options_; }
  NameResolver& resolver() noexcept { return own_ ? *own_ : NameResolver::OfProcess(); }
  const std::shared_ptr<Wakeup>& wakeup() const noexcept { return wakeup_; }

 private:
  static constexpr std::int64_t kWithoutWakeupMs = 10;

  // Collects the descriptors to watch; returns how long to wait at most.
  static std::int64_t Collect(std::span<const StreamInterest> interests,
                              std::vector<Watched>& watched, std::int64_t timeout_ms) {
    watched.clear();
    const std::int64_t now = SteadyMs();
    for (const StreamInterest& interest : interests) {
      const auto* const stream = static_cast<const SocketStream*>(interest.stream);
      stream->AddTo(watched, interest.or_writable);
      timeout_ms = std::min(timeout_ms, std::max<std::int64_t>(stream->next_step_at() - now, 0));
    }
    return timeout_ms;
  }

  std::unique_ptr<NameResolver> own_;
  const SocketOptions options_;
  // Wake() and each look-up that has an answer notify this object.
  const std::shared_ptr<Wakeup> wakeup_ = std::make_shared<Wakeup>();
  std::vector<Watched> watched_;
  std::vector<pollfd> polled_;
  const std::shared_ptr<WatchedSet> set_ = std::make_shared<WatchedSet>();
  std::vector<Watched> armed_;
  std::uint64_t serial_ = 0;
};

// Returns false if the look-up failed. If the look-up has not ended yet, returns true and leaves
// addresses_ empty.
bool SocketStream::LookUp() noexcept {
  const auto found = network_.resolver().Find(endpoint_.host, network_.wakeup());
  if (!found) {
    why_ = "looking up " + endpoint_.host + " takes too long";
    return true;
  }
  for (const std::string& text : found->addresses) {
    if (auto address = ParseAddress(text, endpoint_.port)) {
      addresses_.push_back(*std::move(address));
    }
  }
  if (addresses_.empty()) {
    why_ = endpoint_.host + ": " + (found->error.empty() ? "has no address" : found->error);
    return false;
  }
  Prepare();
  return true;
}

bool SocketStream::Begin(std::size_t number) noexcept {
  const Address& address = addresses_[number];
  const bool is_unix = address.bytes.ss_family == AF_UNIX;
  const int fd = socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        is_unix ? 0 : IPPROTO_TCP);
  if (fd < 0) {
    Failed(number, errno);
    return true;
  }
  if (!is_unix) SetTcpOptions(fd, network_.options());
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address.bytes);
  if (connect(fd, generic, address.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    close(fd);
    Failed(number, error);
    if (!is_unix || error != EAGAIN) return true;
    why_.assign(address.text).append(": too many wait to be accepted there");
    return false;
  }
  attempts_.push_back({fd, number, network_.NewSerial()});
  why_.assign(address.text).append(": no answer");
  return true;
}

// Returns true once one of the attempts has connected, and makes its connection the stream's.
// Removes the attempts that failed.
bool SocketStream::TakeFirstConnected() noexcept {
  for (std::size_t i = 0; i < attempts_.size();) {
    const Attempt attempt = attempts_[i];
    pollfd writable = {.fd = attempt.fd, .events = POLLOUT, .revents = 0};
    const int ready = poll(&writable, 1, 0);
    if (ready == 0 || (ready < 0 && errno == EINTR)) {
      ++i;
      continue;
    }
    int error = ready < 0 ? errno : 0;
    socklen_t size = sizeof error;
    if (ready > 0 && getsockopt(attempt.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
    attempts_.erase(attempts_.begin() + static_cast<std::ptrdiff_t>(i));
    if (error == 0) {
      Close();
      fd_ = attempt.fd;
      serial_ = attempt.serial;
      why_.clear();
      return true;
    }
    Failed(attempt.address, error);
    CloseDescriptor(attempt.fd);
    next_step_at_ = SteadyMs();  // try the next address now
  }
  return false;
}

IoStatus SocketStream::FinishOpen() noexcept {
  if (fd_ >= 0) return IoStatus::kDone;
  if (!opening_) return IoStatus::kFailed;
  if (addresses_.empty() && !LookUp()) return Fail();
  if (addresses_.empty()) return IoStatus::kWouldBlock;
  if (TakeFirstConnected()) return IoStatus::kDone;
  while (next_address_ < addresses_.size() && (attempts_.empty() || SteadyMs() >= next_step_at_)) {
    if (!Begin(next_address_)) {
      next_step_at_ = SteadyMs() + kFullBacklogMs;
      return IoStatus::kWouldBlock;
    }
    ++next_address_;
    next_step_at_ = SteadyMs() + step_ms_;
    if (TakeFirstConnected()) return IoStatus::kDone;
  }
  if (!attempts_.empty()) return IoStatus::kWouldBlock;
  // No address of this name can be reached; by now the name may have other addresses.
  network_.resolver().Forget(endpoint_.host);
  return Fail();
}

}  // namespace

std::unique_ptr<Network> MakeSocketNetwork(NameLookup look_up, const SocketOptions& options) {
  return std::make_unique<SocketNetwork>(std::move(look_up), options);
}

}  // namespace ffgrant::valkey
