// SPDX-License-Identifier: Apache-2.0
//
// Tests connections that were idle for so long that something between the client and a real server
// has forgotten the connections. Also tests how an operator finds a client's connections on the
// server.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "testing/live/behind_proxy.h"

namespace ffgrant::valkey::testing {
namespace {

class LiveIdle : public BehindProxy {
 protected:
  LiveIdle() : BehindProxy(2000) {
    options_.client.probe_idle_ms = 100;
    options_.client.probe_limit_ms = 200;
  }
};

TEST_F(LiveIdle, AForgottenConnectionCostsNoClaim) {
  ValkeyLedger ledger(options_);
  ASSERT_TRUE(ledger.Claim(ArgsFor(Granted())));
  for (int i = 0; i < 3; ++i) {
    proxy_.Forget();
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    ErrorDetails details;
    const ClaimOutcome claimed = ledger.Claim(ArgsFor(Granted()), &details);
    EXPECT_TRUE(claimed) << ErrorName(claimed.error) << " "
                         << (details.size() > 0 ? details[0] : "");
  }
  EXPECT_EQ(proxy_.accepted(), 4u);
}

// This test shows that the one above would notice a lost command.
TEST_F(LiveIdle, WithoutProbesItsOutcomeIsUnknown) {
  options_.client.probe_idle_ms = INT64_MAX;
  options_.client.request_timeout_ms = 500;
  ValkeyLedger ledger(options_);
  ASSERT_TRUE(ledger.Claim(ArgsFor(Granted())));
  proxy_.Forget();
  EXPECT_EQ(ledger.Claim(ArgsFor(Granted())).error, ClaimError::kUnknownOutcome);
}

// If FFGRANT_IDLE_SECONDS is set, the silence lasts that long, and the client has its default
// settings. (In `scripts/test --long` it is set to an hour.) If the variable is not set, the
// silence lasts a second, and the client has the settings that LiveIdle() makes. The proxy forgets
// a connection after a third of the silence, but after 30 s at most.
TEST_F(LiveIdle, ALongSilenceCostsNoClaim) {
  constexpr std::size_t kConnections = 4;
  const std::string given = Variable("FFGRANT_IDLE_SECONDS");
  const std::chrono::seconds silence(given.empty() ? 1 : std::atoi(given.c_str()));
  ASSERT_GT(silence.count(), 0) << given;
  SilentProxy proxy(Where().servers[0],
                    std::min<std::chrono::milliseconds>(std::chrono::milliseconds(silence) / 3,
                                                        std::chrono::seconds(30)));
  if (!given.empty()) options_.client = ClientOptions{};
  options_.client.servers = {proxy.endpoint()};
  options_.connections = kConnections;
  ValkeyLedger ledger(options_);
  // All threads begin to claim at the same time, so that several connections are used.
  const auto claim_with_all = [&] {
    std::barrier begin(kConnections);
    std::atomic<std::size_t> claimed = 0;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kConnections; ++i) {
      threads.emplace_back([&] {
        std::vector<MintedExecutionId> ids;
        for (int k = 0; k < 16; ++k) ids.push_back(Granted());
        begin.arrive_and_wait();
        for (const MintedExecutionId& id : ids) claimed += ledger.Claim(ArgsFor(id)) ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) thread.join();
    return claimed.load();
  };
  EXPECT_EQ(claim_with_all(), 16 * kConnections);
  const std::size_t before = proxy.accepted();
  std::this_thread::sleep_for(silence);
  EXPECT_GE(proxy.forgotten_in_silence(), 1u);
  EXPECT_EQ(claim_with_all(), 16 * kConnections);
  EXPECT_GT(proxy.accepted(), before);
}

TEST_F(LiveIdle, AnOperatorFindsConnectionsByTheirName) {
  options_.client = Where();
  options_.client.connection_name = "ffgrant-live-test";
  ValkeyLedger ledger(options_);
  ServerInfo info;
  ASSERT_TRUE(ledger.Connect(info));
  const std::string list = Operator(Variable("FFGRANT_SERVER")).Do({"CLIENT", "LIST"});
  EXPECT_NE(list.find(" name=ffgrant-live-test "), std::string::npos) << list;
}

}  // namespace
}  // namespace ffgrant::valkey::testing
