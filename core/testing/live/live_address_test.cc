// SPDX-License-Identifier: Apache-2.0
//
// Tests the forms of an address (server_url.h) with the server that scripts/claim-server has
// started with --transport.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "ffgrant/valkey/server_url.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

constexpr const char* kSecret = "hunter2-of-this-test";

std::string Connected(const ClientOptions& options) {
  ValkeyLedger ledger({.client = options});
  ServerInfo info;
  ErrorDetails details;
  const Outcome connected = ledger.Connect(info, &details);
  std::string text(ErrorName(connected.error));
  for (std::size_t i = 0; i < details.size(); ++i) text += ": " + std::string(details[i]);
  return text;
}

class LiveAddress : public LiveServer {
 protected:
  ~LiveAddress() override {
    unsetenv("FFGRANT_PASSWORD");
    if (!has_user_) return;
    Operator(Variable("FFGRANT_SERVER")).Do({"ACL", "DELUSER", "worker"});
  }
  // Makes a user with a password, on one server.
  void SetUser() {
    has_user_ = true;
    ASSERT_EQ(Operator(Variable("FFGRANT_SERVER"))
                  .Do({"ACL", "SETUSER", "worker", "reset", "on", std::string(">") + kSecret, "~*",
                       "&*", "+@all"}),
              "OK");
  }
  ClientOptions At(const std::string& url) {
    ClientOptions options;
    EXPECT_EQ(SetServers(url, options), "") << url;
    EXPECT_EQ(SetPasswordFromEnvironment(options), "");
    EXPECT_EQ(SetTlsFromEnvironment(options), "");
    return options;
  }

  bool has_user_ = false;
};

TEST_F(LiveAddress, EveryFormThatNamesTheServerReachesIt) {
  const std::string address = Variable("FFGRANT_SERVER");
  for (const std::string& text :
       std::vector<std::string>{address, "valkey://" + address, "redis://" + address + "/0",
                                Variable("FFGRANT_SERVER_URL"), "127.0.0.1:1," + address}) {
    EXPECT_EQ(Connected(At(text)), "none") << text;
  }
}

TEST_F(LiveAddress, CallsGoThroughByTheTransport) {
  ValkeyLedger ledger({.client = At(Variable("FFGRANT_SERVER_URL"))});
  const MintedExecutionId id(11, RandomUuid());
  ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane_}));
  ASSERT_TRUE(ledger.IssueClaimGrant(
      {.execution_id = id.view(), .worker = worker_, .lane = lane_, .grant_ttl_ms = 5000}));
  const ClaimOutcome claimed = ledger.Claim(ArgsFor(id));
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(ledger.Complete({.execution_id = id.view(), .fence = claimed.lease.fence}));
}

TEST_F(LiveAddress, AUserIsNamedInTheUrlAndThePasswordInTheEnvironment) {
  if (!Variable("FFGRANT_CLUSTER").empty()) GTEST_SKIP() << "users are a server's own";
  SetUser();
  std::string url = Variable("FFGRANT_SERVER_URL");
  if (url.find("://") == std::string::npos) url.insert(0, "valkey://");
  url.insert(url.find("://") + 3, "worker@");
  setenv("FFGRANT_PASSWORD", kSecret, 1);
  EXPECT_EQ(Connected(At(url)), "none");
  setenv("FFGRANT_PASSWORD", (std::string(kSecret) + "x").c_str(), 1);
  const std::string refused = Connected(At(url));
  EXPECT_TRUE(refused.starts_with("unavailable: WRONGPASS ")) << refused;
  EXPECT_EQ(refused.find("hunter2"), std::string::npos) << refused;
}

TEST_F(LiveAddress, AnAddressWhereNobodyIsSaysSo) {
  for (const auto& [url, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"unix:///no/such/server.sock",
            "unavailable: can't connect: /no/such/server.sock: No such file or directory"},
           {"unix:///dev/null", "unavailable: can't connect: /dev/null: Connection refused"},
           {"valkey://127.0.0.1:1", "unavailable: can't connect: 127.0.0.1: Connection refused"}}) {
    ClientOptions options = At(url);
    options.request_timeout_ms = 300;
    EXPECT_EQ(Connected(options), wanted);
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
