// SPDX-License-Identifier: Apache-2.0
//
// Connections that were idle for so long that something between the client and a real server has
// forgotten them; and how an operator finds such connections on the server.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

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

// This shows that the test above would notice a lost command.
TEST_F(LiveIdle, WithoutProbesItsOutcomeIsUnknown) {
  options_.client.probe_idle_ms = INT64_MAX;
  options_.client.request_timeout_ms = 500;
  ValkeyLedger ledger(options_);
  ASSERT_TRUE(ledger.Claim(ArgsFor(Granted())));
  proxy_.Forget();
  EXPECT_EQ(ledger.Claim(ArgsFor(Granted())).error, ClaimError::kUnknownOutcome);
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
