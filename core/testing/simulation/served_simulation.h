// SPDX-License-Identifier: Apache-2.0
//
// Test only: serves a simulated server on a port of the loopback, in real time, for clients that
// have threads and sockets of their own.
//
//   ServedSimulation served;
//   ValkeyLedger ledger({.client = {.servers = {served.endpoint()}}});

#ifndef FFGRANT_TESTING_SIMULATION_SERVED_SIMULATION_H_
#define FFGRANT_TESTING_SIMULATION_SERVED_SIMULATION_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "testing/simulation/scripted_server.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {

// Serves each connection in a thread of its own. Thread-safe.
class ServedSimulation {
 public:
  using Command = std::vector<std::string>;
  // The fate of a command.
  enum class Fate {
    kServed,
    kLostBefore,  // the connection ends, and nothing is executed
    kLostAfter,   // the command is executed, and the connection ends without the reply
    kSilent,      // from here on the connection stays open, and nothing happens any more
  };

  ServedSimulation() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_, generic, size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
    accepter_ = std::thread([this] { Accept(); });
  }
  ~ServedSimulation() {
    ends_ = true;
    accepter_.join();
    for (std::thread& thread : threads_) thread.join();
    close(listener_);
  }
  ServedSimulation(const ServedSimulation&) = delete;

  Endpoint endpoint() const { return {"127.0.0.1", port_}; }

  // From here on `decide` says what becomes of each command. It is called with the server locked.
  void Decide(std::function<Fate(const Command&)> decide) {
    const std::lock_guard lock(mutex_);
    decide_ = std::move(decide);
  }
  // Forgets the function of an Answer() when it dies. A command may arrive late, after the end of
  // the call that sent it. So the object has to die before the variables that the function uses.
  class [[nodiscard]] Answering {
   public:
    explicit Answering(ServedSimulation& served) : served_(served) {}
    ~Answering() { served_.SetAnswer(nullptr); }
    Answering(const Answering&) = delete;
    Answering& operator=(const Answering&) = delete;

   private:
    ServedSimulation& served_;
  };
  // For as long as the object lives, `answer` is called before each command. If it returns a reply
  // in RESP, this reply is sent, and the server executes nothing (SimulatedServer::answer).
  Answering Answer(const std::function<std::optional<std::string>(const Command&)>& answer) {
    SetAnswer([answer](std::int64_t, const Command& command) { return answer(command); });
    return Answering(*this);
  }
  // Executes the command whose fate is being decided. If its fate is to be served, it is executed
  // twice. Only `decide` may call this, because `decide` runs with the server locked.
  void Repeat(const Command& command) { (void)server_.Execute(kOperator, command, NowUs()); }
  // Runs a bare command on the server's keys, as an operator does, and returns the reply in RESP.
  std::string Do(const Command& words) {
    const std::lock_guard lock(mutex_);
    return server_.Execute(kOperator, words, NowUs());
  }

 private:
  static constexpr std::int64_t kOperator = 1'000'000;

  void SetAnswer(decltype(SimulatedServer::answer) answer) {
    const std::lock_guard lock(mutex_);
    server_.answer = std::move(answer);
  }
  static std::int64_t NowUs() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  bool IsReadable(int descriptor) const {
    pollfd one = {descriptor, POLLIN, 0};
    while (!ends_) {
      if (poll(&one, 1, 10) > 0) return true;
    }
    return false;
  }
  void Accept() {
    std::int64_t clients = 0;
    while (IsReadable(listener_)) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      const std::int64_t client = ++clients;
      threads_.emplace_back([this, connection, client] { Serve(connection, client); });
    }
  }
  void Serve(int connection, std::int64_t client) {
    std::string in;
    bool is_open = true;
    bool is_silent = false;
    while (is_open && !ends_) {
      pollfd one = {connection, POLLIN, 0};
      if (poll(&one, 1, 10) <= 0) {
        // Another connection may have killed this one.
        const std::lock_guard lock(mutex_);
        is_open = !server_.HasClosed(client);
        continue;
      }
      std::array<char, 65536> bytes;
      const ssize_t size = read(connection, bytes.data(), bytes.size());
      if (size <= 0) break;
      in.append(bytes.data(), static_cast<std::size_t>(size));
      std::string out;
      for (const Command& command : TakeCommands(in)) {
        const std::lock_guard lock(mutex_);
        const Fate fate = decide_ ? decide_(command) : Fate::kServed;
        is_silent |= fate == Fate::kSilent;
        if (is_silent) continue;
        if (fate != Fate::kLostBefore) {
          std::string reply = server_.Execute(client, command, NowUs());
          if (fate == Fate::kServed) out += reply;
        }
        is_open = fate == Fate::kServed && !server_.HasClosed(client);
        if (!is_open) break;
      }
      for (std::size_t sent = 0; sent < out.size();) {
        const ssize_t more = send(connection, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (more <= 0) break;
        sent += static_cast<std::size_t>(more);
      }
    }
    close(connection);
    const std::lock_guard lock(mutex_);
    if (!server_.HasClosed(client)) server_.CloseConnection(client);
  }

  std::mutex mutex_;
  SimulatedServer server_{{.run_id = std::string(40, 'a'), .address = {"127.0.0.1", 1}}};
  std::function<Fate(const Command&)> decide_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ends_{false};
  std::list<std::thread> threads_;  // only accepter_ adds to it
  std::thread accepter_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SERVED_SIMULATION_H_
