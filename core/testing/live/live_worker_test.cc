// SPDX-License-Identifier: Apache-2.0
//
// Runs the worker of core/examples as a process, beside a real server and a stand-in for
// FlowFabric's HTTP server that only gives out grants.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/reclaim_response.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

// Answers each request for a claim with a grant or with 204, and each request for a reclaim with a
// grant for `lost`.
class GrantServer {
 public:
  GrantServer(ValkeyLedger& ledger, LaneIdView lane) : ledger_(ledger), lane_(lane) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  ~GrantServer() {
    ends_ = true;
    thread_.join();
    close(listener_);
  }
  GrantServer(const GrantServer&) = delete;

  std::string url;
  MintedExecutionId lost{0, {}};  // set before any worker asks

 private:
  void Serve() {
    while (!ends_) {
      pollfd wanted = {listener_, POLLIN, 0};
      if (poll(&wanted, 1, 50) != 1) continue;
      const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      const std::string reply = Answer(Read(client));
      EXPECT_EQ(write(client, reply.data(), reply.size()), static_cast<ssize_t>(reply.size()));
      close(client);
    }
  }
  // Returns the head of a request and its body, whose length the head tells.
  static std::string Read(int client) {
    std::string request;
    std::array<char, 4096> bytes;
    for (;;) {
      const std::size_t head = request.find("\r\n\r\n");
      const std::size_t length = request.find("Content-Length: ");
      if (head != std::string::npos && length != std::string::npos &&
          request.size() >= head + 4 + std::stoul(request.substr(length + 16))) {
        return request;
      }
      const ssize_t got = read(client, bytes.data(), bytes.size());
      if (got <= 0) return request;
      request.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  std::string Answer(const std::string& request) {
    const std::string end = "Connection: close\r\n";
    constexpr std::string_view kName = R"("worker_instance_id":")";
    const std::size_t name = request.find(kName);
    const bool is_reclaim = request.starts_with("POST /v1/executions/");
    if (!(is_reclaim || request.starts_with("POST /v1/workers/cpp/claim ")) ||
        name == std::string::npos) {
      return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n" + end + "\r\n";
    }
    const std::size_t begin = name + kName.size();
    const std::string instance = request.substr(begin, request.find('"', begin) - begin);
    const WorkerIdentity worker = {{"cpp"}, {instance}};
    std::array<char, 1024> body;
    WriteResult written;
    if (is_reclaim) {
      const IssueOutcome issued = ledger_.IssueReclaimGrant(
          {.execution_id = lost.view(), .worker = worker, .lane = lane_, .grant_ttl_ms = 5000});
      EXPECT_TRUE(issued) << ErrorName(issued.error);
      const IssuedGrant grant(lost.view(), issued.expires_at);
      const ClaimGrantView view = grant.view();
      written = SerializeReclaimResponse(
          ReclaimGrantedView{
              {view.execution_id.text(), view.partition_key, view.grant_key, view.expires_at_ms},
              lane_.text()},
          body);
    } else {
      const ClaimForWorkerOutcome chosen =
          ledger_.ClaimForWorker({.worker = worker, .lane = lane_, .grant_ttl_ms = 5000});
      if (!chosen) return "HTTP/1.1 204 No Content\r\n" + end + "\r\n";
      written = SerializeClaimGrant(chosen.grant.view(), body);
    }
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(written.size) + "\r\n" + end + "\r\n" +
           std::string(body.data(), written.size);
  }

  ValkeyLedger& ledger_;
  LaneIdView lane_;
  int listener_ = -1;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

class LiveWorker : public LiveServer {
 protected:
  MintedExecutionId CreateWith(std::string_view payload, std::string_view kind) {
    const MintedExecutionId id(7, RandomUuid());
    EXPECT_TRUE(
        ledger_.CreateExecution({.execution_id = id.view(),
                                 .lane = lane_,
                                 .retry = RetryPolicy{.max_retries = 1, .delay_ms = 60'000}},
                                ExecutionContent{.payload = payload, .kind = kind}));
    return id;
  }
  std::string PublicState(const MintedExecutionId& id) {
    return std::string(ledger_.Inspect(id.view()).value_or(ExecutionState()).public_state);
  }
  bool Becomes(const MintedExecutionId& id, std::string_view state) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (PublicState(id) != state) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  static std::string Key(const MintedExecutionId& id, std::string_view role) {
    return "ff:exec:{fp:7}:" + std::string(id.text()) + ":" + std::string(role);
  }

  Operator admin_{Variable("FFGRANT_SERVER")};
};

TEST_F(LiveWorker, WorksUntilItIsToldToStop) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "the example knows one server";
  const MintedExecutionId first = CreateWith("abc \xff", "task");
  const MintedExecutionId fails = CreateWith("abc", "fail");
  GrantServer server(ledger_, lane_);
  const std::string where = Variable("FFGRANT_SERVER");
  const pid_t child = fork();
  if (child == 0) {
    execl(FFGRANT_EXAMPLE_WORKER, "example_worker", server.url.c_str(), where.c_str(),
          lane_text_.c_str(), nullptr);
    _exit(127);
  }
  EXPECT_TRUE(Becomes(first, "completed"));
  EXPECT_TRUE(Becomes(fails, "delayed"));
  EXPECT_EQ(admin_.Do({"GET", Key(first, "result")}), "ABC \xff");
  EXPECT_EQ(admin_.Do({"HGET", Key(fails, "core"), "failure_reason"}), "asked to fail");
  const std::string instance = "cpp-" + std::to_string(child);
  const std::string alive = "ff:worker:default:" + instance + ":alive";
  EXPECT_EQ(admin_.Do({"EXISTS", alive}), "1");
  EXPECT_EQ(admin_.Do({"SISMEMBER", "ff:idx:default:workers", instance}), "1");
  EXPECT_EQ(admin_.Do({"HGET", "ff:worker:default:" + instance + ":caps", "lanes_csv"}),
            lane_text_);
  // The worker also does an execution that comes while it waits. On SIGTERM it then ends well, and
  // it is no longer registered.
  const MintedExecutionId second = CreateWith("d", "task");
  EXPECT_TRUE(Becomes(second, "completed"));
  EXPECT_EQ(kill(child, SIGTERM), 0);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(admin_.Do({"EXISTS", alive}), "0");
  EXPECT_EQ(admin_.Do({"SISMEMBER", "ff:idx:default:workers", instance}), "0");
}

TEST_F(LiveWorker, TakesOverWhatADeadWorkerHasLeft) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "the example knows one server";
  const MintedExecutionId left = CreateWith("abc", "task");
  const ClaimForWorkerOutcome chosen =
      ledger_.ClaimForWorker({.worker = {{"x"}, {"x-1"}}, .lane = lane_, .grant_ttl_ms = 5000});
  ASSERT_TRUE(chosen);
  ASSERT_TRUE(ledger_.Claim({.execution_id = left.view(),
                             .worker = {{"x"}, {"x-1"}},
                             .lane = lane_,
                             .lease_id = {RandomUuid()},
                             .lease_ttl_ms = 60'000,
                             .attempt_id = {RandomUuid()}}));
  ASSERT_TRUE(ledger_.Revoke({.execution_id = left.view()}));  // an expiry would do as well
  GrantServer server(ledger_, lane_);
  server.lost = left;
  const std::string where = Variable("FFGRANT_SERVER");
  const pid_t child = fork();
  if (child == 0) {
    execl(FFGRANT_EXAMPLE_WORKER, "example_worker", server.url.c_str(), where.c_str(),
          lane_text_.c_str(), std::string(left.text()).c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(PublicState(left), "completed");
  EXPECT_EQ(admin_.Do({"GET", Key(left, "result")}), "ABC");
  EXPECT_EQ(admin_.Do({"HGET", Key(left, "core"), "total_attempt_count"}), "2");
}

}  // namespace
}  // namespace ffgrant::valkey::testing
