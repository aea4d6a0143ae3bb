// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/internal/exchange.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "ffgrant/http/grant_pipeline.h"
#include "testing/live/http_server.h"

namespace {

// Whether look-ups of the name "hangs.test" end, and how many have begun. libcurl's look-ups call
// the getaddrinfo() below, since a function of the program takes precedence over the C library's.
std::atomic<bool> g_may_answer{false};
std::atomic<int> g_look_ups{0};
// Whether the system refuses to watch another descriptor, and whether it refuses another epoll
// descriptor.
std::atomic<bool> g_is_full{false};
std::atomic<bool> g_has_no_epoll{false};
// Whether the system watches other sockets than libcurl believes: it still watches a descriptor's
// number for a socket that was closed before, or has forgotten a socket. g_mistakes counts such
// cases.
std::atomic<bool> g_is_mistaken{false};
std::atomic<int> g_mistakes{0};

template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int epoll_ctl(int epoll, int operation, int descriptor, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_ADD && g_is_full) {
    errno = ENOSPC;
    return -1;
  }
  auto* const next = Next<int(int, int, int, epoll_event*)>("epoll_ctl");
  static bool is_tried_again = false;  // after each mistake one call works
  if (g_is_mistaken && operation != EPOLL_CTL_DEL && !std::exchange(is_tried_again, false)) {
    is_tried_again = true;
    epoll_event none = {};
    const bool is_there = operation == EPOLL_CTL_ADD;
    g_mistakes +=
        next(epoll, is_there ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, descriptor, &none) == 0 ? 1 : 0;
  }
  return next(epoll, operation, descriptor, event);
}

extern "C" int epoll_create1(int flags) noexcept {
  if (g_has_no_epoll) {
    errno = EMFILE;
    return -1;
  }
  return Next<int(int)>("epoll_create1")(flags);
}

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (name != nullptr && std::strcmp(name, "hangs.test") == 0) {
    ++g_look_ups;
    while (!g_may_answer) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return EAI_AGAIN;
  }
  if (name != nullptr && std::strcmp(name, "none.test") == 0) return EAI_NONAME;
  return Next<int(const char*, const char*, const addrinfo*, addrinfo**)>("getaddrinfo")(
      name, service, hints, found);
}

namespace ffgrant::http::internal {
namespace {

TEST(Exchange, APathSegmentIsEscaped) {
  std::string path = "/v1/";
  EXPECT_TRUE(AppendSegment("{fp:7}:a-B_c.d~ /%\xff", path));
  EXPECT_EQ(path, "/v1/%7Bfp:7%7D:a-B_c.d~%20%2F%25%FF");
  path.clear();
  EXPECT_TRUE(AppendSegment("@AZ[`az{/09:;^_,-.}~\x7f", path)) << "the limits of the ranges";
  EXPECT_EQ(path, "%40AZ%5B%60az%7B%2F09:%3B%5E_%2C-.%7D~%7F");
  path.clear();
  EXPECT_TRUE(AppendSegment("w%2F1%c3%A9%", path)) << "a name, and not an encoded one";
  EXPECT_EQ(path, "w%252F1%25c3%25A9%25");
  for (const char* const none : {"", ".", ".."}) EXPECT_FALSE(AppendSegment(none, path)) << none;
  EXPECT_TRUE(ClaimPath("...", path));
  EXPECT_EQ(path, "/v1/workers/.../claim");
}

TEST(Exchange, OnlySomeVersionsHaveToLookAtKeptConnections) {
  const struct {
    unsigned version;
    bool expected;
  } kCases[] = {{0x075600, false}, {0x0756FF, false}, {0x075700, true}, {0x075801, true},
                {0x07FFFF, true},  {0x080000, false}, {0x080E01, false}};
  for (const auto& c : kCases) {
    EXPECT_EQ(KeptSockets::AreNeeded(c.version, "http://h"), c.expected) << std::hex << c.version;
    EXPECT_FALSE(KeptSockets::AreNeeded(c.version, "https://h")) << std::hex << c.version;
  }
  EXPECT_FALSE(KeptSockets().HasUnread(1)) << "a connection that is not known";
}

// The memory for a parse is measured by the answer that came, not by the longest answer allowed.
TEST(Exchange, AParseTakesMemoryForTheBodyThatCame) {
  const IssuerOptions options = {.url = "http://h", .max_response_bytes = std::size_t{1} << 29};
  KeptSockets kept;
  Exchange exchange(options, kept);
  for (const std::size_t size : {100, 65'536, 65'537, 200'000}) {
    exchange.body.assign(size, 'x');
    (void)exchange.Finish(CURLE_OK);
    EXPECT_GE(exchange.scratch.max_document_size(), size);
    EXPECT_LE(exchange.scratch.max_document_size(), std::max(size, kDefaultMaxDocumentSize));
  }
}

// Nothing was sent, so the caller can make the call again immediately.
TEST(Exchange, WhatComesBeforeTheRequestIsNoConnection) {
  ffgrant::testing::HttpServer server(ffgrant::testing::AlwaysAnswers(200, "{}"));
  const std::string port = server.url().substr(server.url().rfind(':'));
  const auto error = [](const std::string& url, const std::string& ca_file = "") {
    const IssuerStatus status = IssuerClient({.url = url, .ca_file = ca_file}).Health();
    EXPECT_EQ(status.http_status, 0) << url;
    EXPECT_FALSE(status.message.empty()) << url;
    return status.error;
  };
  EXPECT_EQ(error("http://none.test:1"), IssuerError::kNotConnected);
  EXPECT_EQ(error("http://127.0.0.1:99999"), IssuerError::kNotConnected) << "no port";
  EXPECT_EQ(error("https://127.0.0.1" + port, "/nowhere"), IssuerError::kNotConnected)
      << "no certificates";
  ASSERT_EQ(setenv("http_proxy", "http://none.test:1", 1), 0);
  const IssuerError behind_proxy = error("http://h.test:1");
  ASSERT_EQ(unsetenv("http_proxy"), 0);
  EXPECT_EQ(behind_proxy, IssuerError::kNotConnected);
  for (const std::string& request : server.requests()) {
    EXPECT_EQ(request.find("/healthz"), std::string::npos) << request;
  }
}

// Calls and destructors do not wait for a name server that never answers.
class HangingNames : public ::testing::Test {
 protected:
  void SetUp() override {
    // An older libcurl waits for the look-up whatever the limit is.
    if (curl_version_info(CURLVERSION_NOW)->version_num < 0x075700) GTEST_SKIP() << "old libcurl";
    g_may_answer = false;
    g_look_ups = 0;
    begin_ = std::chrono::steady_clock::now();
    helper_ = std::thread([this] {  // a call that waits for the look-up must not hang the test
      for (int i = 0; i < 5000 && !ends_; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      g_may_answer = true;
    });
  }
  void TearDown() override {
    ends_ = true;
    if (helper_.joinable()) helper_.join();
  }
  static bool HasAnswered() { return g_may_answer; }
  std::int64_t Ms() const { return ffgrant::testing::MsSince(begin_); }
  static IssuerOptions Options() {
    IssuerOptions options;
    options.url = "http://hangs.test:1";
    options.request_timeout_ms = 100;
    return options;
  }

  static ClaimRequestView Claiming() {
    return {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5000};
  }

  std::atomic<bool> ends_{false};
  std::chrono::steady_clock::time_point begin_;
  std::thread helper_;
};

TEST_F(HangingNames, EndNoCallLate) {
  {
    IssuerClient issuer(Options());
    EXPECT_EQ(issuer.Health().error, IssuerError::kNotConnected);
    EXPECT_EQ(issuer.Health().error, IssuerError::kNotConnected);
  }
  EXPECT_FALSE(HasAnswered()) << "a call has waited for the look-up";
  EXPECT_GE(g_look_ups, 1);
  EXPECT_GE(Ms(), 200) << "each call has its limit";
}

TEST_F(HangingNames, EndNoRequestLate) {
  {
    GrantPipeline grants(Options());
    ASSERT_TRUE(grants.Submit("w", Claiming(), 5));
    const auto done = grants.Poll(60'000);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].tag, 5u);
    EXPECT_EQ(done[0].status.error, IssuerError::kNotConnected);
    // One request is still under way when the pipeline ends.
    ASSERT_TRUE(grants.Submit("w", Claiming(), 6));
    EXPECT_GE(grants.PrepareWait(), 0);
  }
  EXPECT_FALSE(HasAnswered()) << "a request has waited for the look-up";
  EXPECT_GE(g_look_ups, 1);
  EXPECT_GE(Ms(), 100);
}

const std::string kGrant =
    R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{fp:7}",)"
    R"("grant_key":"k","expires_at_ms":1700000000000})";

TEST(Exchange, WithoutRoomToWatchASocketARequestEnds) {
  ffgrant::testing::HttpServer server(ffgrant::testing::AlwaysAnswers(200, kGrant));
  IssuerOptions options;
  options.url = server.url();
  GrantPipeline grants(options);
  g_is_full = true;
  ASSERT_TRUE(grants.Submit(
      "w", {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5},
      1));
  const auto failed = grants.Poll(-1);
  g_is_full = false;
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].status.error, IssuerError::kConnectionLost);
  EXPECT_NE(failed[0].status.message.find("watch"), std::string::npos) << failed[0].status.message;
  // The caller's own loop is told to call Poll() immediately, since the descriptor will never be
  // readable.
  g_is_full = true;
  ASSERT_TRUE(grants.Submit(
      "w", {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5},
      3));
  EXPECT_EQ(grants.PrepareWait(), 0);
  const auto again = grants.Poll(0);
  g_is_full = false;
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].status.error, IssuerError::kConnectionLost);
  // The pipeline goes on.
  ASSERT_TRUE(grants.Submit(
      "w", {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5},
      2));
  const auto done = grants.Poll(-1);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(done[0].status) << done[0].status.message;
}

TEST(Exchange, WithoutAnotherDescriptorThereIsNoPipeline) {
  g_has_no_epoll = true;
  EXPECT_THROW(GrantPipeline({.url = "http://127.0.0.1:1"}), std::runtime_error);
  g_has_no_epoll = false;
}

// libcurl may close a socket without telling, and open another with the same number.
TEST(Exchange, ASocketIsWatchedWhateverTheSystemHasWatchedBefore) {
  ffgrant::testing::HttpServer server(ffgrant::testing::AlwaysAnswers(200, kGrant));
  IssuerOptions options;
  options.url = server.url();
  GrantPipeline grants(options);
  g_is_mistaken = true;
  for (std::uint64_t tag = 0; tag < 3; ++tag) {
    ASSERT_TRUE(grants.Submit(
        "w", {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5},
        tag));
    const auto done = grants.Poll(5000);
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].tag, tag);
    EXPECT_TRUE(done[0].status) << done[0].status.message;
  }
  g_is_mistaken = false;
  EXPECT_GE(g_mistakes, 2);
}

// What the server sends on a kept connection before it is asked is no answer to the next request.
TEST(Exchange, UnaskedBytesOnAKeptConnectionAreNoAnswer) {
  using ffgrant::testing::HttpResponse;
  ffgrant::testing::HttpServer server([](const std::string& request) {
    return HttpResponse(200, request.find("/claim ") == std::string::npos ? "\"own\"" : kGrant);
  });
  IssuerOptions options;
  options.url = server.url();
  options.connections = 1;
  IssuerClient issuer(options);
  std::string text;
  const std::string id = "{fp:7}:11111111-1111-4111-8111-111111111111";
  ASSERT_TRUE(issuer.State(id, text));
  EXPECT_EQ(text, "own");
  EXPECT_EQ(server.connections(), 1);
  server.SendUnasked(HttpResponse(200, "\"foreign\""));
  ASSERT_TRUE(issuer.Result(id, text));
  EXPECT_EQ(text, "\"own\"");
  EXPECT_EQ(server.connections(), 2);
  ASSERT_TRUE(issuer.Result(id, text));
  EXPECT_EQ(server.connections(), 2) << "without such bytes a connection is kept";

  GrantPipeline grants(options);
  for (const int connections : {3, 4}) {
    ASSERT_TRUE(grants.Submit(
        "w", {.lane_id = "main", .worker_instance_id = "i", .capabilities = {}, .grant_ttl_ms = 5},
        1));
    const auto done = grants.Poll(-1);
    ASSERT_EQ(done.size(), 1u);
    ASSERT_TRUE(done[0].status) << done[0].status.message;
    EXPECT_EQ(done[0].grant.view().grant_key, "k");
    EXPECT_EQ(server.connections(), connections);
    server.SendUnasked(HttpResponse(200, "\"foreign\""));
  }
}

}  // namespace
}  // namespace ffgrant::http::internal
