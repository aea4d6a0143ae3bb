// SPDX-License-Identifier: Apache-2.0
//
// Tests the network of MakeSocketNetwork() with TCP sockets on the loopback and with unix sockets.
// Such sockets don't fail on request, so the test replaces the system calls (linked with --wrap)
// where they are to fail.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <future>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey {
namespace {

// A fault that replaces the next call of a function: the call returns `result` with errno `error`.
struct Fault {
  int result = -1;
  int error = 0;
};
struct Faults {
  std::optional<Fault> recv, send, poll, getsockopt, socket, eventfd, epoll_add;
  std::optional<int> socket_error;  // what getsockopt() reports
};
Faults faults;

// If a fault is planned, uses it up, sets `result` and errno by it, and returns true.
bool Fails(std::optional<Fault>& planned, int& result) {
  if (!planned) return false;
  result = planned->result;
  errno = planned->error;
  planned.reset();
  return true;
}

}  // namespace

extern "C" {

ssize_t __real_recv(int fd, void* to, std::size_t size, int flags);
ssize_t __wrap_recv(int fd, void* to, std::size_t size, int flags) {
  int result = 0;
  return Fails(faults.recv, result) ? result : __real_recv(fd, to, size, flags);
}

ssize_t __real_send(int fd, const void* from, std::size_t size, int flags);
ssize_t __wrap_send(int fd, const void* from, std::size_t size, int flags) {
  int result = 0;
  return Fails(faults.send, result) ? result : __real_send(fd, from, size, flags);
}

int __real_poll(pollfd* fds, nfds_t count, int timeout_ms);
int __wrap_poll(pollfd* fds, nfds_t count, int timeout_ms) {
  int result = 0;
  return Fails(faults.poll, result) ? result : __real_poll(fds, count, timeout_ms);
}

int __real_getsockopt(int fd, int level, int name, void* value, socklen_t* size);
int __wrap_getsockopt(int fd, int level, int name, void* value, socklen_t* size) {
  int result = 0;
  if (Fails(faults.getsockopt, result)) return result;
  result = __real_getsockopt(fd, level, name, value, size);
  if (faults.socket_error) *static_cast<int*>(value) = *std::exchange(faults.socket_error, {});
  return result;
}

int __real_eventfd(unsigned int value, int flags);
int __wrap_eventfd(unsigned int value, int flags) {
  int result = 0;
  return Fails(faults.eventfd, result) ? result : __real_eventfd(value, flags);
}

int __real_epoll_ctl(int epoll, int how, int fd, epoll_event* event);
int __wrap_epoll_ctl(int epoll, int how, int fd, epoll_event* event) {
  int result = 0;
  if (how == EPOLL_CTL_ADD && Fails(faults.epoll_add, result)) return result;
  return __real_epoll_ctl(epoll, how, fd, event);
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol) {
  int result = 0;
  return Fails(faults.socket, result) ? result : __real_socket(domain, type, protocol);
}

int without_delay = 0;                           // how often TCP_NODELAY was set
std::map<std::pair<int, int>, int> options_set;  // the values, by level and name
int __real_setsockopt(int fd, int level, int name, const void* value, socklen_t size);
int __wrap_setsockopt(int fd, int level, int name, const void* value, socklen_t size) {
  without_delay += level == IPPROTO_TCP && name == TCP_NODELAY;
  if (size == sizeof(int)) options_set[{level, name}] = *static_cast<const int*>(value);
  return __real_setsockopt(fd, level, name, value, size);
}

}  // extern "C"

namespace {

// Owns a descriptor and closes it.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// A listener on the other side, at a port of the system's choice, or at a given port of another
// loopback address.
class Listener {
 public:
  explicit Listener(int backlog = 8, const std::string& host = "127.0.0.1", std::uint16_t port = 0)
      : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(inet_pton(AF_INET, host.c_str(), &address.sin_addr), 1);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_.get(), generic, size), 0);
    EXPECT_EQ(listen(socket_.get(), backlog), 0);
    EXPECT_EQ(getsockname(socket_.get(), generic, &size), 0);
    endpoint_ = {host, ntohs(address.sin_port)};
  }
  const Endpoint& endpoint() const { return endpoint_; }
  Descriptor Accept() { return Descriptor(accept(socket_.get(), nullptr, nullptr)); }

 private:
  Descriptor socket_;
  Endpoint endpoint_;
};

// A listener on the other side, at a path in a folder of its own.
class UnixListener {
 public:
  explicit UnixListener(int backlog = 8) {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    path_ = folder_ + "/server.sock";
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(socket_.get(), backlog), 0);
  }
  ~UnixListener() { std::filesystem::remove_all(folder_); }
  Endpoint endpoint() const { return {path_, 0}; }
  Descriptor Accept() { return Descriptor(accept(socket_.get(), nullptr, nullptr)); }

 private:
  Descriptor socket_ = Descriptor(socket(AF_UNIX, SOCK_STREAM, 0));
  std::string folder_ = "/tmp/ffgrant-unix-XXXXXX";
  std::string path_;
};

std::size_t OpenDescriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Expects at its end that as many descriptors are open as at its beginning. A thread that looks up
// a name may close its last descriptor a little later.
class NoDescriptorIsLeft {
 public:
  ~NoDescriptorIsLeft() {
    for (int i = 0; i < 500 && OpenDescriptors() != before_; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(OpenDescriptors(), before_);
  }

 private:
  const std::size_t before_ = OpenDescriptors();
};

class SocketNetworkTest : public ::testing::Test {
 private:
  NoDescriptorIsLeft none_is_left_;  // is destroyed last

 protected:
  void SetUp() override { faults = {}; }
  void TearDown() override { faults = {}; }

  void WaitFor(Stream& which, bool or_writable, std::int64_t timeout_ms = 10'000) {
    const StreamInterest interest = {&which, or_writable};
    network->Wait({&interest, 1}, timeout_ms);
  }
  // Waits until the stream has connected or failed, but for about 10 s at most.
  IoStatus Finish(Stream& which, IoStatus status) {
    for (int i = 0; i < 1000 && status == IoStatus::kWouldBlock; ++i) {
      WaitFor(which, true, 10);
      status = which.FinishOpen();
    }
    return status;
  }
  IoStatus Open(Stream& which, const Endpoint& endpoint) {
    return Finish(which, which.Open(endpoint));
  }
  // Reads until reading would block, ends or fails.
  std::pair<std::string, IoStatus> ReadAll(Stream& which) {
    std::string all;
    char bytes[4096];
    for (;;) {
      const IoResult result = which.Read(bytes);
      if (result.status != IoStatus::kDone) {
        EXPECT_EQ(result.size, 0u);
        return {all, result.status};
      }
      EXPECT_GE(result.size, 1u);
      all.append(bytes, result.size);
    }
  }
  // Expects that the stream, which is not open, can't be used.
  void ExpectNotOpen(Stream& which) {
    char byte = 0;
    EXPECT_EQ(which.FinishOpen(), IoStatus::kFailed);
    EXPECT_EQ(which.Read({&byte, 1}).status, IoStatus::kFailed);
    EXPECT_EQ(which.Write("x").status, IoStatus::kFailed);
  }

  Listener listener;
  std::unique_ptr<Network> network = MakeSocketNetwork();
  std::unique_ptr<Stream> stream = network->NewStream();
};

TEST_F(SocketNetworkTest, CarriesBytesBothWaysUntilThePeerCloses) {
  without_delay = 0;
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  EXPECT_EQ(without_delay, 1);
  EXPECT_EQ(stream->FinishOpen(), IoStatus::kDone) << "open already";
  Descriptor peer = listener.Accept();
  EXPECT_EQ(ReadAll(*stream), (std::pair{std::string(), IoStatus::kWouldBlock}));

  const IoResult written = stream->Write("to the server");
  EXPECT_EQ(written.status, IoStatus::kDone);
  EXPECT_EQ(written.size, 13u);
  char bytes[64];
  ASSERT_EQ(recv(peer.get(), bytes, sizeof bytes, 0), 13);
  EXPECT_EQ(std::string_view(bytes, 13), "to the server");

  ASSERT_EQ(send(peer.get(), "back", 4, 0), 4);
  WaitFor(*stream, false);
  EXPECT_EQ(ReadAll(*stream), (std::pair{std::string("back"), IoStatus::kWouldBlock}));

  ASSERT_EQ(send(peer.get(), "last", 4, 0), 4);
  peer.Close();
  std::string last;
  IoStatus status = IoStatus::kWouldBlock;
  while (status == IoStatus::kWouldBlock) {
    WaitFor(*stream, false);
    std::string more;
    std::tie(more, status) = ReadAll(*stream);
    last += more;
  }
  EXPECT_EQ(last, "last");
  EXPECT_EQ(status, IoStatus::kClosed);
}

TEST_F(SocketNetworkTest, CarriesBytesOverAUnixSocket) {
  UnixListener here;
  without_delay = 0;
  ASSERT_EQ(Open(*stream, here.endpoint()), IoStatus::kDone);
  EXPECT_EQ(without_delay, 0) << "an option of TCP";
  Descriptor peer = here.Accept();
  EXPECT_EQ(stream->Write("there").size, 5u);
  char bytes[64];
  ASSERT_EQ(recv(peer.get(), bytes, sizeof bytes, 0), 5);
  ASSERT_EQ(send(peer.get(), "back", 4, 0), 4);
  peer.Close();
  EXPECT_EQ(ReadAll(*stream), (std::pair{std::string("back"), IoStatus::kClosed}));
}

TEST_F(SocketNetworkTest, KeepsSilentConnectionsAlive) {
  using Options = std::map<std::pair<int, int>, int>;
  for (const auto& [seconds, between] : {std::pair{60, 10}, {1, 1}, {32767, 5461}}) {
    options_set.clear();
    const auto other = MakeSocketNetwork({}, {.keepalive_s = seconds});
    const auto alive = other->NewStream();
    ASSERT_EQ(Open(*alive, listener.endpoint()), IoStatus::kDone);
    EXPECT_EQ(options_set, (Options{{{IPPROTO_TCP, TCP_NODELAY}, 1},
                                    {{SOL_SOCKET, SO_KEEPALIVE}, 1},
                                    {{IPPROTO_TCP, TCP_KEEPIDLE}, seconds},
                                    {{IPPROTO_TCP, TCP_KEEPINTVL}, between},
                                    {{IPPROTO_TCP, TCP_KEEPCNT}, 3}}));
  }
  options_set.clear();
  const auto other = MakeSocketNetwork({}, {.keepalive_s = 0});
  ASSERT_EQ(Open(*other->NewStream(), listener.endpoint()), IoStatus::kDone);
  EXPECT_EQ(options_set, (Options{{{IPPROTO_TCP, TCP_NODELAY}, 1}}));
}

TEST_F(SocketNetworkTest, AUnixSocketThatIsNotThereSaysSo) {
  EXPECT_EQ(stream->Open({"/tmp/no/such.sock", 0}), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "/tmp/no/such.sock: " + std::string(std::strerror(ENOENT)));
  EXPECT_EQ(stream->Open({"/" + std::string(107, 'x'), 0}), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "the path of the unix socket is too long");
  EXPECT_EQ(stream->Open({"/" + std::string(106, 'x'), 0}), IoStatus::kFailed) << "long enough";
  EXPECT_NE(stream->WhyNotOpen(), "the path of the unix socket is too long");
  ExpectNotOpen(*stream);
}

// connect() to a unix socket with a full backlog fails with EAGAIN, whereas TCP would go on by
// itself.
TEST_F(SocketNetworkTest, AUnixSocketWithAFullBacklogIsTriedAgain) {
  UnixListener full(0);
  std::vector<std::unique_ptr<Stream>> streams;
  IoStatus status = IoStatus::kDone;
  while (status == IoStatus::kDone) {
    ASSERT_LT(streams.size(), 1000u) << "a queue without an end";
    streams.push_back(network->NewStream());
    status = streams.back()->Open(full.endpoint());
  }
  Stream& last = *streams.back();
  ASSERT_EQ(status, IoStatus::kWouldBlock);
  EXPECT_EQ(last.WhyNotOpen(), full.endpoint().host + ": too many wait to be accepted there");
  EXPECT_EQ(last.FinishOpen(), IoStatus::kWouldBlock);
  std::vector<Descriptor> peers;
  for (std::size_t i = 0; i + 1 < streams.size(); ++i) peers.push_back(full.Accept());
  EXPECT_EQ(Finish(last, IoStatus::kWouldBlock), IoStatus::kDone);
}

TEST_F(SocketNetworkTest, MovesNothingBeforeItIsOpenNorAfterItWasClosed) {
  ExpectNotOpen(*stream);
  stream->Close();
  ExpectNotOpen(*stream);
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
    EXPECT_EQ(stream->Write("x").status, IoStatus::kDone);
    stream->Close();
    ExpectNotOpen(*stream);
    WaitFor(*stream, true, 0);  // a stream that is not open is never ready, which is no failure
  }
  // Opening a stream closes the connection that it had.
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  (void)listener.Accept();
  (void)listener.Accept();
  Descriptor third = listener.Accept();
  char byte = 0;
  EXPECT_EQ(recv(third.get(), &byte, 1, 0), 0);
}

TEST_F(SocketNetworkTest, AnAddressThatNobodyCanConnectToFailsAtOnce) {
  // TCP can't connect to a broadcast address.
  EXPECT_EQ(stream->Open({"255.255.255.255", 6379}), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "255.255.255.255: " + std::string(std::strerror(ENETUNREACH)));
  ExpectNotOpen(*stream);
  EXPECT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
}

TEST_F(SocketNetworkTest, WhereNobodyListensItFailsSoonerOrLater) {
  Endpoint nobody;
  {
    Listener gone;
    nobody = gone.endpoint();
  }
  EXPECT_EQ(Open(*stream, nobody), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "127.0.0.1: " + std::string(std::strerror(ECONNREFUSED)));
  ExpectNotOpen(*stream);
}

TEST_F(SocketNetworkTest, AServerThatDoesNotAcceptIsStillConnectedTo) {
  Listener full(0);
  std::vector<std::unique_ptr<Stream>> streams;
  for (int i = 0; i < 16; ++i) {
    streams.push_back(network->NewStream());
    Stream& last = *streams.back();
    IoStatus status = last.Open(full.endpoint());
    for (int tries = 0; tries < 10 && status == IoStatus::kWouldBlock; ++tries) {
      WaitFor(last, true, 1);
      status = last.FinishOpen();
    }
    if (status == IoStatus::kDone) continue;
    EXPECT_EQ(status, IoStatus::kWouldBlock);
    EXPECT_EQ(last.WhyNotOpen(), "127.0.0.1: no answer");
    EXPECT_GT(i, 0);
    last.Close();
    ExpectNotOpen(last);
    return;
  }
  FAIL() << "a queue without an end";
}

TEST_F(SocketNetworkTest, AResetIsAFailureAndNoSignal) {
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  Descriptor peer = listener.Accept();
  const linger reset = {.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(setsockopt(peer.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
  peer.Close();
  IoStatus status = IoStatus::kWouldBlock;
  while (status == IoStatus::kWouldBlock) {
    WaitFor(*stream, false);
    status = ReadAll(*stream).second;
  }
  EXPECT_EQ(status, IoStatus::kFailed);
  EXPECT_EQ(stream->Write("x").status, IoStatus::kFailed);
}

TEST_F(SocketNetworkTest, WritesUntilThereIsNoRoomAndGoesOnWhenThereIs) {
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  Descriptor peer = listener.Accept();
  const std::string bytes(1 << 16, 'x');
  std::size_t written = 0;
  IoResult result;
  while ((result = stream->Write(bytes)).status == IoStatus::kDone) {
    ASSERT_GE(result.size, 1u);
    written += result.size;
  }
  EXPECT_EQ(result.status, IoStatus::kWouldBlock);
  EXPECT_EQ(result.size, 0u);
  EXPECT_GT(written, 0u);
  std::string into(written, ' ');
  ASSERT_EQ(recv(peer.get(), into.data(), written, MSG_WAITALL), static_cast<ssize_t>(written));
  do {
    WaitFor(*stream, true);
    result = stream->Write(bytes);
  } while (result.status == IoStatus::kWouldBlock);
  EXPECT_EQ(result.status, IoStatus::kDone);
  // Writing nothing needs no room, but is not reported as done.
  EXPECT_EQ(stream->Write("").status, IoStatus::kWouldBlock);
}

TEST_F(SocketNetworkTest, WaitsForTheStreamsThatItIsGiven) {
  const std::unique_ptr<Stream> other = network->NewStream();
  const std::unique_ptr<Stream> closed = network->NewStream();
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  Descriptor peer = listener.Accept();
  ASSERT_EQ(Open(*other, listener.endpoint()), IoStatus::kDone);
  Descriptor other_peer = listener.Accept();
  const StreamInterest all[] = {{closed.get(), true}, {stream.get(), false}, {other.get(), false}};
  const std::int64_t before = network->NowMs();
  network->Wait(all, 2);
  EXPECT_EQ(ReadAll(*stream).second, IoStatus::kWouldBlock);
  EXPECT_GE(network->NowMs(), before);
  ASSERT_EQ(send(other_peer.get(), "x", 1, 0), 1);
  network->Wait(all, INT64_MAX);  // INT64_MAX is treated as a long time
  EXPECT_EQ(ReadAll(*other).first, "x");
}

TEST_F(SocketNetworkTest, WhatIsInterruptedHasNotHappened) {
  faults.poll = {-1, EINTR};
  const IoStatus first = stream->Open(listener.endpoint());
  EXPECT_EQ(first, IoStatus::kWouldBlock);
  EXPECT_EQ(Finish(*stream, first), IoStatus::kDone);
  Descriptor peer = listener.Accept();

  faults.send = {-1, EINTR};
  EXPECT_EQ(stream->Write("once").status, IoStatus::kInterrupted);
  EXPECT_EQ(stream->Write("once").status, IoStatus::kDone);
  char bytes[64];
  EXPECT_EQ(recv(peer.get(), bytes, sizeof bytes, 0), 4);

  ASSERT_EQ(send(peer.get(), "back", 4, 0), 4);
  WaitFor(*stream, false);
  faults.recv = {-1, EINTR};
  EXPECT_EQ(ReadAll(*stream), (std::pair{std::string(), IoStatus::kInterrupted}));
  EXPECT_EQ(ReadAll(*stream), (std::pair{std::string("back"), IoStatus::kWouldBlock}));
}

TEST_F(SocketNetworkTest, WhatTheSystemRefusesIsAFailure) {
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  faults.send = {-1, ENOBUFS};
  EXPECT_EQ(stream->Write("x").status, IoStatus::kFailed);
  faults.recv = {-1, ENOMEM};
  EXPECT_EQ(ReadAll(*stream).second, IoStatus::kFailed);

  // poll() says once that the stream is still connecting, which is no failure.
  faults.poll = {0, 0};
  const IoStatus open = stream->Open(listener.endpoint());
  EXPECT_EQ(open, IoStatus::kWouldBlock);
  ASSERT_EQ(Finish(*stream, open), IoStatus::kDone);
  const auto fails = [&](int error) {
    EXPECT_EQ(stream->Open(listener.endpoint()), IoStatus::kFailed);
    EXPECT_EQ(stream->WhyNotOpen(), "127.0.0.1: " + std::string(std::strerror(error)));
    ExpectNotOpen(*stream);
  };
  faults.poll = {-1, ENOMEM};
  fails(ENOMEM);
  faults.getsockopt = {-1, ENOBUFS};
  fails(ENOBUFS);
  faults.socket_error = ECONNREFUSED;
  fails(ECONNREFUSED);
  faults.socket = {-1, EMFILE};
  fails(EMFILE);
}

// ---- waking ------------------------------------------------------------------------

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

// Another thread may call Wake() just before this one begins to wait, or while it waits.
TEST_F(SocketNetworkTest, AWakeEndsAWaitWhicheverBeginsFirst) {
  constexpr std::int64_t kLongMs = 30'000;
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  const StreamInterest interest = {stream.get(), false};
  const std::span<const StreamInterest> none;
  for (const std::span<const StreamInterest> interests : {none, std::span(&interest, 1)}) {
    for (const int wakes : {1, 3}) {
      for (int i = 0; i < wakes; ++i) network->Wake();
      Clock::time_point begin = Clock::now();
      network->Wait(interests, kLongMs);
      ASSERT_LT(MsSince(begin), kLongMs) << wakes << " before the wait";

      std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        for (int i = 0; i < wakes; ++i) network->Wake();
      });
      begin = Clock::now();
      network->Wait(interests, kLongMs);
      EXPECT_LT(MsSince(begin), kLongMs) << wakes << " while it waits";
      other.join();
      network->Wait({}, 0);  // takes away a wake that came after the wait's end
    }
  }
}

// ---- the descriptor for an event loop ----------------------------------------------

class DescriptorTest : public SocketNetworkTest {
 protected:
  std::int64_t Arm(bool or_writable, std::int64_t timeout_ms = 5000) {
    const StreamInterest interest = {stream.get(), or_writable};
    return network->Arm({&interest, 1}, timeout_ms);
  }
  bool IsReadable(int timeout_ms = 0) {
    pollfd polled = {.fd = network->Descriptor(), .events = POLLIN, .revents = 0};
    return poll(&polled, 1, timeout_ms) == 1;
  }
};

TEST_F(DescriptorTest, IsReadableWheneverAWaitWouldEnd) {
  const int fd = network->Descriptor();
  EXPECT_GE(fd, 0);
  // In the second round the stream's new socket probably gets the same descriptor as in the first.
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
    Descriptor peer = listener.Accept();
    EXPECT_EQ(network->Descriptor(), fd);
    for (const std::int64_t timeout_ms : {0, 7, 60'000'000}) {
      EXPECT_EQ(Arm(false, timeout_ms), timeout_ms);
    }
    EXPECT_FALSE(IsReadable());
    ASSERT_EQ(send(peer.get(), "x", 1, 0), 1);
    EXPECT_TRUE(IsReadable(10'000));
    EXPECT_EQ(network->Arm({}, 5000), 5000);
    EXPECT_FALSE(IsReadable()) << "nobody is interested";
    Arm(false);
    EXPECT_TRUE(IsReadable());
    EXPECT_EQ(ReadAll(*stream).first, "x");
    EXPECT_FALSE(IsReadable());
    Arm(true);
    EXPECT_TRUE(IsReadable()) << "there is room to write";
    Arm(false);
    EXPECT_FALSE(IsReadable());
    network->Wake();
    EXPECT_TRUE(IsReadable());
    Arm(false);
    EXPECT_TRUE(IsReadable()) << "until the next wait";
    WaitFor(*stream, false);
    EXPECT_FALSE(IsReadable());
    stream->Close();
  }
}

// The network is woken before anybody asks for its descriptor.
TEST_F(DescriptorTest, IsReadableAlsoForAnEarlierWake) {
  network->Wake();
  EXPECT_TRUE(IsReadable());
  EXPECT_EQ(network->Arm({}, 5000), 5000);
  EXPECT_TRUE(IsReadable());
  network->Wait({}, 0);
  EXPECT_FALSE(IsReadable());
}

// A program that this process starts gets none of the library's descriptors.
TEST_F(DescriptorTest, NoneOutlivesExec) {
  const auto all = [] {
    std::set<int> found;
    for (int fd = 0; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) found.insert(fd);
    }
    return found;
  };
  const std::set<int> before = all();
  const std::unique_ptr<Network> made = MakeSocketNetwork();
  const std::unique_ptr<Stream> opened = made->NewStream();
  ASSERT_GE(made->Descriptor(), 0);
  ASSERT_EQ(Open(*opened, listener.endpoint()), IoStatus::kDone);
  std::size_t added = 0;
  for (const int fd : all()) {
    if (before.count(fd) != 0) continue;
    ++added;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  }
  EXPECT_GE(added, 3u) << "a socket, the descriptor to wait for, and what wakes it";
}

TEST_F(DescriptorTest, IsReadableWhenAStreamHasConnected) {
  faults.poll = {0, 0};
  ASSERT_EQ(stream->Open(listener.endpoint()), IoStatus::kWouldBlock);
  EXPECT_EQ(Arm(false), 5000);
  EXPECT_TRUE(IsReadable(10'000));
  EXPECT_EQ(stream->FinishOpen(), IoStatus::kDone);
  Arm(false);
  EXPECT_FALSE(IsReadable());
}

// A child has copies of the parent's descriptors, and shares what the parent waits for. The child
// neither keeps alive what the parent has closed, nor ends what the parent waits for.
TEST_F(DescriptorTest, AForkedChildChangesNothingOfWhatIsWaitedFor) {
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  Descriptor peer = listener.Accept();
  ASSERT_EQ(Arm(false), 5000);
  const pid_t closing = fork();
  if (closing == 0) {
    stream.reset();
    network.reset();
    _exit(0);
  }
  int status = -1;
  ASSERT_EQ(waitpid(closing, &status, 0), closing);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(IsReadable());
  ASSERT_EQ(send(peer.get(), "x", 1, 0), 1);
  EXPECT_TRUE(IsReadable(10'000));
  // This child keeps its copies for as long as the parent keeps the pipe open.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t keeping = fork();
  if (keeping == 0) {
    char byte;
    close(ends[1]);
    (void)!read(ends[0], &byte, 1);
    _exit(0);
  }
  close(ends[0]);
  stream->Close();
  peer.Close();
  EXPECT_EQ(network->Arm({}, 5000), 5000);
  EXPECT_FALSE(IsReadable(50)) << "of a connection that was closed";
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  EXPECT_EQ(Arm(false), 5000);
  EXPECT_FALSE(IsReadable(50)) << "of the connection before";
  close(ends[1]);
  ASSERT_EQ(waitpid(keeping, &status, 0), keeping);
}

// A caller that can't be told when a stream is ready looks again after a short time.
TEST_F(DescriptorTest, WhoCantBeToldWaitsForAShortTime) {
  ASSERT_EQ(Open(*stream, listener.endpoint()), IoStatus::kDone);
  Descriptor peer = listener.Accept();
  ASSERT_GE(network->Descriptor(), 0);
  for (const std::int64_t timeout_ms : {3, 5000}) {
    faults.epoll_add = Fault{.result = -1, .error = ENOSPC};
    EXPECT_EQ(Arm(false, timeout_ms), std::min<std::int64_t>(timeout_ms, 10));
    EXPECT_FALSE(faults.epoll_add.has_value());
  }
  EXPECT_EQ(Arm(false), 5000) << "it is tried again";
  ASSERT_EQ(send(peer.get(), "x", 1, 0), 1);
  EXPECT_TRUE(IsReadable(10'000));

  faults.eventfd = Fault{.result = -1, .error = EMFILE};
  const std::unique_ptr<Network> deaf = MakeSocketNetwork();
  EXPECT_FALSE(faults.eventfd.has_value());
  EXPECT_GE(deaf->Descriptor(), 0);
  EXPECT_EQ(deaf->Arm({}, 3), 3);
  EXPECT_EQ(deaf->Arm({}, 5000), 10);
}

// ---- names -------------------------------------------------------------------------

class NamesTest : public SocketNetworkTest {
 protected:
  // Makes a new network, in which the look-up of the name has this answer, and a new stream.
  void Resolve(std::vector<std::string> addresses, std::string error = "") {
    stream.reset();
    network = MakeSocketNetwork([this, addresses, error](const std::string& name) {
      EXPECT_EQ(name, "db.test");
      ++look_ups;
      return NameAddresses{addresses, error};
    });
    stream = network->NewStream();
  }
  Endpoint Named() const { return {"db.test", listener.endpoint().port}; }
  // Whether the stream is connected to `listener`, which is at 127.0.0.1.
  bool IsConnectedToTheListener() {
    Descriptor peer = listener.Accept();
    EXPECT_EQ(send(peer.get(), "x", 1, 0), 1);
    WaitFor(*stream, false);
    return ReadAll(*stream).first == "x";
  }

  std::atomic<int> look_ups = 0;
};

TEST_F(NamesTest, AreLookedUpOutsideOfTheCallersThread) {
  std::promise<void> go_on;
  network = MakeSocketNetwork([gone = go_on.get_future().share()](const std::string&) {
    gone.wait();
    return NameAddresses{{"127.0.0.1"}, ""};
  });
  stream = network->NewStream();
  const Clock::time_point begin = Clock::now();
  ASSERT_EQ(stream->Open(Named()), IoStatus::kWouldBlock);
  WaitFor(*stream, true, 20);
  EXPECT_EQ(stream->FinishOpen(), IoStatus::kWouldBlock);
  EXPECT_EQ(stream->WhyNotOpen(), "looking up db.test takes too long");
  // A stream to an address does not suffer from the slow look-up.
  const std::unique_ptr<Stream> other = network->NewStream();
  EXPECT_EQ(Open(*other, listener.endpoint()), IoStatus::kDone);
  (void)listener.Accept();
  EXPECT_LE(MsSince(begin), 2000);

  go_on.set_value();
  WaitFor(*stream, true, 60'000);
  EXPECT_LE(MsSince(begin), 30'000) << "not woken";
  EXPECT_EQ(Finish(*stream, stream->FinishOpen()), IoStatus::kDone);
  EXPECT_TRUE(IsConnectedToTheListener());
}

// The look-up has ended when the wait for it begins.
TEST_F(NamesTest, AreNotWaitedForOnceTheyAreFound) {
  constexpr std::int64_t kLongMs = 30'000;
  std::promise<void> go_on;
  network = MakeSocketNetwork([gone = go_on.get_future().share()](const std::string&) {
    gone.wait();
    return NameAddresses{{"127.0.0.1"}, ""};
  });
  stream = network->NewStream();
  pollfd told = {.fd = network->Descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(stream->Open(Named()), IoStatus::kWouldBlock);
  const StreamInterest interest = {stream.get(), true};
  ASSERT_EQ(network->Arm({&interest, 1}, kLongMs), kLongMs);
  go_on.set_value();
  ASSERT_EQ(poll(&told, 1, 10'000), 1);
  const Clock::time_point begin = Clock::now();
  network->Wait({&interest, 1}, kLongMs);
  EXPECT_LT(MsSince(begin), kLongMs);
  EXPECT_EQ(Finish(*stream, stream->FinishOpen()), IoStatus::kDone);
  EXPECT_TRUE(IsConnectedToTheListener());
}

TEST_F(NamesTest, NobodyWaitsForALookUpThatHangs) {
  std::promise<void> go_on;
  const Clock::time_point begin = Clock::now();
  {
    const std::unique_ptr<Network> hangs =
        MakeSocketNetwork([gone = go_on.get_future().share()](const std::string&) {
          gone.wait();
          return NameAddresses{};
        });
    const std::unique_ptr<Stream> one = hangs->NewStream();
    EXPECT_EQ(one->Open(Named()), IoStatus::kWouldBlock);
    one->Close();
    ExpectNotOpen(*one);
    EXPECT_EQ(one->Open({"other.test", 1}), IoStatus::kWouldBlock);
    EXPECT_EQ(Open(*one, listener.endpoint()), IoStatus::kDone);
    EXPECT_EQ(one->Open(Named()), IoStatus::kWouldBlock);
  }
  EXPECT_LE(MsSince(begin), 2000);
  go_on.set_value();
}

TEST_F(NamesTest, EveryAddressIsTried) {
  // Nobody listens at 127.0.0.9, and probably nobody at ::1.
  for (const std::vector<std::string>& addresses :
       std::vector<std::vector<std::string>>{{"127.0.0.1"},
                                             {"127.0.0.9", "127.0.0.1"},
                                             {"::1", "127.0.0.1"},
                                             {"127.0.0.9", "::1", "no address", "127.0.0.1"},
                                             {"127.0.0.1", "127.0.0.9"}}) {
    Resolve(addresses);
    const Clock::time_point begin = Clock::now();
    ASSERT_EQ(Open(*stream, Named()), IoStatus::kDone) << addresses.size();
    EXPECT_LE(MsSince(begin), 1000);
    EXPECT_TRUE(IsConnectedToTheListener());
  }
}

TEST_F(NamesTest, NoMoreThan64AddressesAreTried) {
  for (const std::size_t before : {63, 64}) {
    std::vector<std::string> addresses(before, "127.0.0.9");  // nobody listens there
    addresses.push_back("127.0.0.1");
    Resolve(addresses);
    EXPECT_EQ(Open(*stream, Named()), before < 64 ? IoStatus::kDone : IoStatus::kFailed);
  }
  EXPECT_EQ(stream->WhyNotOpen(), "127.0.0.9: " + std::string(std::strerror(ECONNREFUSED)));
}

TEST_F(NamesTest, OneThatDoesNotAnswerLeavesTimeForTheNext) {
  // A listener with a full queue drops new connections.
  Listener silent(0, "127.0.0.2", listener.endpoint().port);
  std::vector<std::unique_ptr<Stream>> queue;
  IoStatus status = IoStatus::kDone;
  while (status == IoStatus::kDone && queue.size() < 16) {
    queue.push_back(network->NewStream());
    status = queue.back()->Open(silent.endpoint());
    for (int i = 0; i < 10 && status == IoStatus::kWouldBlock; ++i) {
      WaitFor(*queue.back(), true, 1);
      status = queue.back()->FinishOpen();
    }
  }
  ASSERT_EQ(status, IoStatus::kWouldBlock);
  for (const std::int64_t limit_ms : {400, 2000}) {
    Resolve({"127.0.0.2", "127.0.0.2", "127.0.0.1"});
    stream->SetOpenLimit(limit_ms);
    const std::size_t descriptors = OpenDescriptors();
    const Clock::time_point begin = Clock::now();
    IoStatus opened = stream->Open(Named());
    while (opened == IoStatus::kWouldBlock && MsSince(begin) < 10'000) {
      WaitFor(*stream, true, 10'000);
      opened = stream->FinishOpen();
    }
    ASSERT_EQ(opened, IoStatus::kDone) << limit_ms;
    EXPECT_GE(MsSince(begin), limit_ms == 400 ? 150 : 450) << "the first ones had no time";
    EXPECT_LT(MsSince(begin), limit_ms);
    EXPECT_EQ(OpenDescriptors(), descriptors + 1) << "the other attempts are closed";
    EXPECT_TRUE(IsConnectedToTheListener());
  }
}

TEST_F(NamesTest, WithoutAnAddressThatConnectsItFails) {
  Resolve({}, "Name or service not known");
  EXPECT_EQ(Open(*stream, Named()), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "db.test: Name or service not known");
  ExpectNotOpen(*stream);
  Resolve({});
  EXPECT_EQ(Open(*stream, Named()), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "db.test: has no address");
  Resolve({"127.0.0.8", "127.0.0.9"});
  EXPECT_EQ(Open(*stream, Named()), IoStatus::kFailed);
  EXPECT_EQ(stream->WhyNotOpen(), "127.0.0.9: " + std::string(std::strerror(ECONNREFUSED)));
  ExpectNotOpen(*stream);
}

TEST_F(NamesTest, WhatWasFoundServesTheNextOneUnlessItIsOfNoUse) {
  Resolve({"127.0.0.1"});
  ASSERT_EQ(Open(*stream, Named()), IoStatus::kDone);
  ASSERT_EQ(Open(*stream, Named()), IoStatus::kDone);
  EXPECT_EQ(look_ups, 1);
  Resolve({"127.0.0.9"});
  look_ups = 0;
  EXPECT_EQ(Open(*stream, Named()), IoStatus::kFailed);
  EXPECT_EQ(Open(*stream, Named()), IoStatus::kFailed);
  EXPECT_EQ(look_ups, 2);
}

// A network that found no descriptor left when it was made has to look for answers often.
TEST_F(NamesTest, AreFoundAlsoIfNobodyCanBeWoken) {
  faults.eventfd = Fault{.result = -1, .error = EMFILE};
  Resolve({"127.0.0.1"});
  ASSERT_FALSE(faults.eventfd.has_value());
  const Clock::time_point begin = Clock::now();
  IoStatus status = stream->Open(Named());
  while (status == IoStatus::kWouldBlock && MsSince(begin) < 10'000) {
    WaitFor(*stream, true, 60'000);
    status = stream->FinishOpen();
  }
  EXPECT_EQ(status, IoStatus::kDone);
  EXPECT_LE(MsSince(begin), 10'000);
  network->Wake();
}

TEST_F(NamesTest, TheSystemKnowsTheLoopback) {
  ASSERT_EQ(Open(*stream, {"localhost", listener.endpoint().port}), IoStatus::kDone)
      << stream->WhyNotOpen();
  EXPECT_TRUE(IsConnectedToTheListener());
}

TEST_F(SocketNetworkTest, ChanceHasAllBits) {
  std::uint64_t ones = 0;
  std::uint64_t zeros = 0;
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t random = network->Random();
    ones |= random;
    zeros |= ~random;
  }
  EXPECT_EQ(ones, UINT64_MAX);
  EXPECT_EQ(zeros, UINT64_MAX);
}

}  // namespace
}  // namespace ffgrant::valkey
