// SPDX-License-Identifier: Apache-2.0
//
// This small HTTP server is for tests of clients. It keeps the requests that it gets, and gives the
// answers that a test wants.
//
//   HttpServer server(AlwaysAnswers(200, "{}"));
//   Connect(server.url());
//   EXPECT_EQ(server.requests().size(), 1u);

#ifndef FFGRANT_TESTING_LIVE_HTTP_SERVER_H_
#define FFGRANT_TESTING_LIVE_HTTP_SERVER_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace ffgrant::testing {

inline std::int64_t MsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin)
      .count();
}

// Serves each connection in a thread of its own. Thread-safe.
class HttpServer {
 public:
  // Returns the bytes to send. Nothing is sent for an empty text. "close" closes the connection;
  // "crash" closes it and stops listening.
  using Answer = std::function<std::string(const std::string& request)>;

  explicit HttpServer(Answer answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    accepter_ = std::thread([this] { Accept(); });
  }
  ~HttpServer() {
    ends_ = true;
    accepter_.join();
    for (std::thread& thread : threads_) thread.join();
    close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() const { return connections_; }
  // The number of answers that have been sent. They have arrived, too: see SendUnasked().
  int answers() const { return answers_; }
  // Sends bytes on every open connection. On the loopback interface the bytes have arrived when
  // send() has returned. The client may have closed some of these connections, although the threads
  // that serve them have not noticed this yet.
  void SendUnasked(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    for (const int connection : open_) {
      const ssize_t sent = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) continue;
      EXPECT_EQ(sent, static_cast<ssize_t>(bytes.size()));
    }
  }

 private:
  bool IsReadable(int descriptor) const {
    pollfd one = {descriptor, POLLIN, 0};
    while (!ends_) {
      if (poll(&one, 1, 10) > 0) return true;
    }
    return false;
  }
  void Accept() {
    while (IsReadable(listener_)) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;  // the server no longer listens
      ++connections_;
      threads_.emplace_back([this, connection] { Serve(connection); });
    }
  }
  void Serve(int connection) {
    {
      const std::lock_guard lock(mutex_);
      open_.insert(connection);
    }
    std::string in;
    while (IsReadable(connection)) {
      char bytes[4096];
      const ssize_t size = read(connection, bytes, sizeof bytes);
      if (size <= 0) break;
      in.append(bytes, static_cast<std::size_t>(size));
      const std::size_t end = in.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::size_t at = in.find("Content-Length: ");
      const std::size_t body =
          at < end ? static_cast<std::size_t>(std::atoi(in.c_str() + at + 16)) : 0;
      if (in.size() < end + 4 + body) continue;
      std::string out;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(in);
      }
      out = answer_(in);
      in.clear();
      if (out.empty()) continue;  // the test wants no answer
      if (out == "close") break;
      if (out == "crash") {
        shutdown(listener_, SHUT_RDWR);
        break;
      }
      EXPECT_EQ(write(connection, out.data(), out.size()), static_cast<ssize_t>(out.size()));
      ++answers_;
    }
    {
      const std::lock_guard lock(mutex_);
      open_.erase(connection);
    }
    close(connection);
  }

  const Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ends_{false};
  std::atomic<int> connections_{0};
  std::atomic<int> answers_{0};
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::set<int> open_;  // connections
  std::vector<std::thread> threads_;
  std::thread accepter_;
};

inline std::string HttpResponse(int status, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline HttpServer::Answer AlwaysAnswers(int status, const std::string& body) {
  return [=](const std::string&) { return HttpResponse(status, body); };
}
}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_LIVE_HTTP_SERVER_H_
