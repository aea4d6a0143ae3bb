// SPDX-License-Identifier: Apache-2.0
//
// Test only: a TCP proxy that forgets its connections as a NAT does, either when it is told to or
// when they have been silent for a while. Whatever is sent on a forgotten connection is lost, and
// neither side is told.

#ifndef FFGRANT_TESTING_LIVE_SILENT_PROXY_H_
#define FFGRANT_TESTING_LIVE_SILENT_PROXY_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::testing {

class SilentProxy {
 public:
  using Clock = std::chrono::steady_clock;

  explicit SilentProxy(const Endpoint& server, Clock::duration patience = std::chrono::hours(24))
      : server_(server), patience_(patience), listener_(Socket()) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, generic, size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~SilentProxy() {
    stop_ = true;
    thread_.join();
    for (const Pair& pair : pairs_) {
      close(pair.client);
      close(pair.server);
    }
    close(listener_);
  }
  SilentProxy(const SilentProxy&) = delete;

  Endpoint endpoint() const { return {"127.0.0.1", port_}; }
  // Forgets all connections that exist now; new connections work.
  void Forget() {
    const std::size_t before = forgotten_;
    forget_ = true;
    while (forgotten_ == before) std::this_thread::yield();
  }
  std::size_t accepted() const { return accepted_; }
  // Returns the number of connections that the proxy forgot because they were silent.
  std::size_t forgotten_in_silence() const { return forgotten_in_silence_; }

 private:
  struct Pair {
    int client;
    int server;
    Clock::time_point heard_at;
    bool forgotten = false;
  };

  static int Socket() { return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }
  static sockaddr_in Loopback(std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void Run() {
    while (!stop_) {
      if (forget_.exchange(false)) {
        for (Pair& pair : pairs_) pair.forgotten = true;
        ++forgotten_;
      }
      ForgetTheSilent();
      std::vector<pollfd> polled = {{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const Pair& pair : pairs_) {
        // poll() passes over a negative descriptor.
        polled.push_back({.fd = pair.forgotten ? -1 : pair.client, .events = POLLIN, .revents = 0});
        polled.push_back({.fd = pair.forgotten ? -1 : pair.server, .events = POLLIN, .revents = 0});
      }
      if (poll(polled.data(), polled.size(), 2) <= 0) continue;
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        Pair& pair = pairs_[i];
        if (polled[1 + 2 * i].revents != 0) Move(pair, pair.client, pair.server);
        if (polled[2 + 2 * i].revents != 0) Move(pair, pair.server, pair.client);
      }
      if (polled[0].revents != 0) Accept();
    }
  }
  void ForgetTheSilent() {
    const Clock::time_point now = Clock::now();
    for (Pair& pair : pairs_) {
      if (pair.forgotten || now - pair.heard_at < patience_) continue;
      pair.forgotten = true;
      ++forgotten_in_silence_;
    }
  }
  void Accept() {
    const int client = accept(listener_, nullptr, nullptr);
    const int server = Socket();
    const sockaddr_in address = Loopback(server_.port);
    EXPECT_EQ(connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    pairs_.push_back({client, server, Clock::now()});
    ++accepted_;
  }
  static void Move(Pair& pair, int from, int to) {
    std::array<char, 65536> bytes;
    const ssize_t size = recv(from, bytes.data(), bytes.size(), 0);
    if (size <= 0) {
      shutdown(to, SHUT_WR);
      pair.forgotten = true;
      return;
    }
    pair.heard_at = Clock::now();
    for (ssize_t sent = 0; sent < size;) {
      const ssize_t more =
          send(to, bytes.data() + sent, static_cast<std::size_t>(size - sent), MSG_NOSIGNAL);
      if (more <= 0) return;
      sent += more;
    }
  }

  const Endpoint server_;
  const Clock::duration patience_;
  const int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> forget_ = false;
  std::atomic<std::size_t> forgotten_ = 0;  // the number of calls of Forget() that were carried out
  std::atomic<std::size_t> accepted_ = 0;
  std::atomic<std::size_t> forgotten_in_silence_ = 0;
  std::vector<Pair> pairs_;  // while `thread_` runs, no other thread uses them
  std::thread thread_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_LIVE_SILENT_PROXY_H_
