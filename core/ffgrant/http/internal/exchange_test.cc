// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/internal/exchange.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "ffgrant/http/grant_pipeline.h"

namespace {

// Whether look-ups of the name "hangs.test" end. libcurl's look-ups come here, since this program's
// function wins over the C library's.
std::atomic<bool> g_may_answer{false};

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  if (name != nullptr && std::strcmp(name, "hangs.test") == 0) {
    while (!g_may_answer) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return EAI_AGAIN;
  }
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}

namespace ffgrant::http::internal {
namespace {

TEST(Exchange, APathSegmentIsEscaped) {
  std::string path = "/v1/";
  EXPECT_TRUE(AppendSegment("{fp:7}:a-B_c.d~ /%\xff", path));
  EXPECT_EQ(path, "/v1/%7Bfp:7%7D:a-B_c.d~%20%2F%25%FF");
  for (const char* const none : {"", ".", ".."}) EXPECT_FALSE(AppendSegment(none, path)) << none;
  EXPECT_TRUE(ClaimPath("...", path));
  EXPECT_EQ(path, "/v1/workers/.../claim");
}

// A name server that never answers: the limit of a call holds, and so does that of its end.
class HangingNames : public ::testing::Test {
 protected:
  void SetUp() override {
    // An older libcurl waits for the look-up whatever the limit is.
    if (curl_version_info(CURLVERSION_NOW)->version_num < 0x075700) GTEST_SKIP() << "old libcurl";
    g_may_answer = false;
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
  bool HasAnswered() const { return g_may_answer; }
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
  std::thread helper_;
};

TEST_F(HangingNames, EndNoCallLate) {
  {
    IssuerClient issuer(Options());
    EXPECT_EQ(issuer.Health().error, IssuerError::kNotConnected);
    EXPECT_EQ(issuer.Health().error, IssuerError::kNotConnected);
  }
  EXPECT_FALSE(HasAnswered()) << "a call has waited for the look-up";
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
}

}  // namespace
}  // namespace ffgrant::http::internal
