// SPDX-License-Identifier: Apache-2.0
//
// Test only: connects a ledger through a proxy that can forget the ledger's one connection.

#ifndef FFGRANT_TESTING_LIVE_BEHIND_PROXY_H_
#define FFGRANT_TESTING_LIVE_BEHIND_PROXY_H_

#include "testing/live/live_server.h"
#include "testing/live/silent_proxy.h"

namespace ffgrant::valkey::testing {

class BehindProxy : public LiveServer {
 protected:
  explicit BehindProxy(std::int64_t limit_ms) : proxy_(Where().servers[0]) {
    options_.client = Where(limit_ms);
    options_.client.servers = {proxy_.endpoint()};
    options_.connections = 1;
  }
  void SetUp() override {
    if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "nodes name their own ports";
  }
  MintedExecutionId Granted() {
    const MintedExecutionId id = Create();
    EXPECT_TRUE(Issue(id));
    return id;
  }

  SilentProxy proxy_;
  ValkeyLedgerOptions options_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_LIVE_BEHIND_PROXY_H_
