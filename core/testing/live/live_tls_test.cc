// SPDX-License-Identifier: Apache-2.0
//
// Uses TLS to a real server, with right and wrong certificates that scripts/claim-server makes:
//
//   scripts/claim-server --engine redis --transport tls -- live_tls_test

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/server_url.h"
#include "testing/live/live_server.h"
#include "testing/live/silent_proxy.h"

namespace ffgrant::valkey::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

std::string File(const std::string& name) { return Variable("FFGRANT_TLS_FOLDER") + "/" + name; }

ClientOptions OverTls() {
  ClientOptions options;
  EXPECT_EQ(SetServers(Variable("FFGRANT_SERVER_URL"), options), "");
  options.tls.ca_file = File("ca.pem");
  options.request_timeout_ms = 10'000;
  options.connect_timeout_ms = 5000;
  return options;
}

std::string Connected(const ClientOptions& options) {
  ValkeyLedger ledger({.client = options});
  ServerInfo info;
  ErrorDetails details;
  const Outcome connected = ledger.Connect(info, &details);
  std::string text(ErrorName(connected.error));
  for (std::size_t i = 0; i < details.size(); ++i) text += ": " + std::string(details[i]);
  return text;
}

// Connects to a server that has TLS itself, or to a tunnel in front of a server.
class LiveTls : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(Variable("FFGRANT_TLS_FOLDER"), "") << "run this by scripts/claim-server";
    if (!HasTls()) GTEST_SKIP() << "the library was built without TLS";
  }
};

// Changes the certificate of a server that has TLS itself. `admin_` is null if a tunnel has the
// TLS.
class LiveTlsServer : public LiveTls {
 protected:
  void SetUp() override {
    LiveTls::SetUp();
    if (IsSkipped() || Variable("FFGRANT_SERVER_TLS") != "own") return;
    admin_ = std::make_unique<Operator>(Variable("FFGRANT_SERVER"));
  }
  void TearDown() override {
    if (admin_ == nullptr) return;
    Set("tls-auth-clients", "no");
    Set("tls-protocols", "");
    UseCertificate("server");
  }
  void Set(const std::string& name, const std::string& value) {
    ASSERT_EQ(admin_->Do({"CONFIG", "SET", name, value}), "OK");
  }
  void UseCertificate(const std::string& name) {
    ASSERT_EQ(admin_->Do({"CONFIG", "SET", "tls-cert-file", File(name + ".pem"), "tls-key-file",
                          File(name + ".key")}),
              "OK");
  }
  // Expects that the call ends at once, and not only when its time limit has passed.
  static void ExpectRefused(const ClientOptions& options, const std::string& why) {
    const Clock::time_point begin = Clock::now();
    EXPECT_EQ(Connected(options), "unavailable: " + why);
    EXPECT_LE(MsSince(begin), 4000) << "of a limit of 10 s";
  }

  std::unique_ptr<Operator> admin_;
};

TEST_F(LiveTls, CallsGoThrough) {
  ValkeyLedger ledger({.client = OverTls()});
  const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
  const LaneIdView lane = ParseLaneId("live-tls").lane;
  // Many commands that are sent together are more than one TLS record holds.
  std::vector<MintedExecutionId> ids;
  for (int i = 0; i < 300; ++i) {
    ids.emplace_back(static_cast<std::uint16_t>(i % 256), RandomUuid());
    ASSERT_TRUE(ledger.CreateExecution({.execution_id = ids.back().view(), .lane = lane}));
  }
  std::vector<IssueGrantArgs> issues;
  std::vector<ClaimArgs> claims;
  for (const MintedExecutionId& id : ids) {
    issues.push_back(
        {.execution_id = id.view(), .worker = worker, .lane = lane, .grant_ttl_ms = 60'000});
    claims.push_back({.execution_id = id.view(),
                      .worker = worker,
                      .lane = lane,
                      .lease_id = {RandomUuid()},
                      .lease_ttl_ms = 60'000,
                      .attempt_id = {RandomUuid()}});
  }
  std::vector<IssueOutcome> issued(ids.size());
  ledger.IssueClaimGrants(issues, issued);
  for (const IssueOutcome& outcome : issued) ASSERT_TRUE(outcome) << ErrorName(outcome.error);
  std::vector<ClaimOutcome> claimed(ids.size());
  ledger.ClaimBatch(claims, claimed);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < ids.size(); i += 8) {
        ASSERT_TRUE(claimed[i]) << ErrorName(claimed[i].error);
        EXPECT_TRUE(
            ledger.Complete({.execution_id = ids[i].view(), .fence = claimed[i].lease.fence}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// The client may have decrypted the end of an answer together with the bytes before the end. Then
// the socket has no more bytes of the answer for which the client could wait.
TEST_F(LiveTls, AnAnswerOfManyRecordsIsReadToItsEnd) {
  ValkeyLedger ledger({.client = OverTls()});
  const LaneIdView lane = ParseLaneId("live-tls").lane;
  ExecutionInput input;
  // The client reads 65,536 bytes at a time, and the answer has some bytes beside the payload.
  std::vector<std::size_t> sizes = {16'384, 100'001, 200'002, 900'003};
  for (std::size_t size = 65'100; size <= 65'600; ++size) sizes.push_back(size);
  for (const std::size_t size : sizes) {
    const MintedExecutionId id(7, RandomUuid());
    std::string payload(size, 'x');
    payload.back() = 'y';
    ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane},
                                       ExecutionContent{.payload = payload}));
    const Outcome read = ledger.ReadInput(id.view(), AttemptIndex{0}, input);
    ASSERT_TRUE(read) << size << ": " << ErrorName(read.error);
    EXPECT_TRUE(input.payload() == payload) << size;
  }
}

TEST_F(LiveTls, TheNameThatWasConnectedToIsTheOneThatIsChecked) {
  ClientOptions options = OverTls();
  options.servers[0].host = "localhost";
  EXPECT_EQ(Connected(options), "none");
  options.tls.server_name = "elsewhere.example";
  EXPECT_EQ(Connected(options),
            "unavailable: the server's certificate is not for elsewhere.example");
  // Uses a name that the certificate does not have, for a loopback address.
  options = OverTls();
  options.make_network = [] {
    return MakeSocketNetwork([](const std::string&) { return NameAddresses{{"127.0.0.1"}, ""}; });
  };
  options.servers[0].host = "db.test";
  EXPECT_EQ(Connected(options), "unavailable: the server's certificate is not for db.test");
  options.tls.server_name = "localhost";
  EXPECT_EQ(Connected(options), "none");
}

TEST_F(LiveTls, AnAuthorityThatIsNotKnownHereIsNotBelieved) {
  ClientOptions options = OverTls();
  for (const std::string& file : {File("stranger.pem"), std::string()}) {
    options.tls.ca_file = file;
    EXPECT_EQ(Connected(options),
              "unavailable: the server's certificate is of an authority that is not known here");
  }
  options.tls.verify = false;
  EXPECT_EQ(Connected(options), "none");
}

TEST_F(LiveTls, AServerWithoutTlsIsFoundOutWithinTheLimit) {
  ClientOptions options = OverTls();
  Endpoint plain;
  ASSERT_TRUE(ParseEndpoint(Variable("FFGRANT_SERVER"), plain));
  options.servers = {plain};
  options.connect_timeout_ms = 300;
  options.request_timeout_ms = 400;
  const Clock::time_point begin = Clock::now();
  const std::string end = Connected(options);
  // A server that waits for the end of a line says nothing. A server that finds an end of a line in
  // the handshake answers with an error.
  EXPECT_TRUE(end.ends_with("no answer to the TLS handshake; the server may not speak TLS") ||
              end == "unavailable: the server does not speak TLS")
      << end;
  EXPECT_LE(MsSince(begin), 2000);
}

// Here the server uses TLS and the client does not: the server ends a connection that does not
// begin with a handshake.
TEST_F(LiveTls, AServerOfTlsIsNotTalkedToInTheClear) {
  ClientOptions options = OverTls();
  options.tls.enabled = false;
  options.request_timeout_ms = 500;
  const std::string end = Connected(options);
  EXPECT_TRUE(end == "unavailable: the connection broke" ||
              end.starts_with("unavailable: the server "))
      << end;
}

TEST_F(LiveTls, AHandshakeThatHangsKeepsTheLimit) {
  ClientOptions options = OverTls();
  SilentProxy proxy(options.servers[0]);
  options.servers = {proxy.endpoint()};
  options.request_timeout_ms = 400;
  ValkeyLedger ledger({.client = options, .connections = 1});
  ServerInfo info;
  ASSERT_TRUE(ledger.Connect(info)) << "through the proxy all is well";
  // Nobody accepts the connections of this listener.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  options.servers = {{"127.0.0.1", ntohs(address.sin_port)}};
  const Clock::time_point begin = Clock::now();
  EXPECT_EQ(
      Connected(options),
      "unavailable: no connection in time: no answer to the TLS handshake; the server may not "
      "speak TLS");
  EXPECT_LE(MsSince(begin), 1400);
  close(listener);
}

TEST_F(LiveTls, FilesThatAreOfNoUseAreRefusedAtOnce) {
  const auto problem = [](const TlsOptions& tls) -> std::string {
    ClientOptions options = OverTls();
    options.tls = tls;
    options.tls.enabled = true;
    try {
      const ValkeyLedger ledger({.client = options});
      return "";
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
  };
  const std::string certificate = File("client.pem");
  const std::string key = File("client.key");
  EXPECT_EQ(problem({.certificate_file = certificate, .key_file = key}), "");
  EXPECT_EQ(problem({.certificate_file = certificate}),
            "ffgrant: TLS: certificate_file and key_file go together");
  EXPECT_EQ(problem({.key_file = key}), "ffgrant: TLS: certificate_file and key_file go together");
  for (const TlsOptions& tls :
       std::vector<TlsOptions>{{.ca_file = File("none.pem")},
                               {.ca_file = key},
                               {.certificate_file = File("none.pem"), .key_file = key},
                               {.certificate_file = key, .key_file = key},
                               {.certificate_file = certificate, .key_file = File("none.key")},
                               {.certificate_file = certificate, .key_file = certificate},
                               {.certificate_file = certificate, .key_file = File("server.key")}}) {
    const std::string why = problem(tls);
    EXPECT_TRUE(why.starts_with("ffgrant: TLS: ")) << why;
    EXPECT_EQ(why.find("BEGIN"), std::string::npos) << why;
  }
  EXPECT_EQ(problem({.certificate_file = certificate, .key_file = File("server.key")}),
            "ffgrant: TLS: key_file " + File("server.key") + ": key values mismatch");
}

TEST_F(LiveTlsServer, EveryFaultOfACertificateHasItsWords) {
  if (admin_ == nullptr) GTEST_SKIP() << "a tunnel has one certificate";
  for (const auto& [name, why] : std::vector<std::pair<std::string, std::string>>{
           {"expired", "the server's certificate has expired"},
           {"future", "the server's certificate is not valid yet"},
           {"elsewhere", "the server's certificate is not for 127.0.0.1"},
           {"selfsigned", "the server's certificate is self-signed"},
           {"unknown", "the server's certificate is of an authority that is not known here"}}) {
    UseCertificate(name);
    ExpectRefused(OverTls(), why);
    ClientOptions careless = OverTls();
    careless.tls.verify = false;
    EXPECT_EQ(Connected(careless), "none") << name;
  }
  UseCertificate("elsewhere");
  ClientOptions options = OverTls();
  options.tls.server_name = "elsewhere.example";
  EXPECT_EQ(Connected(options), "none");
  UseCertificate("selfsigned");
  options = OverTls();
  options.tls.ca_file = File("selfsigned.pem");
  EXPECT_EQ(Connected(options), "none") << "whoever believes it as its own authority";
}

// A client that is running notices by itself that the certificate has been corrected.
TEST_F(LiveTlsServer, ACertificateThatWasPutRightIsNoticed) {
  if (admin_ == nullptr) GTEST_SKIP() << "a tunnel has one certificate";
  UseCertificate("expired");
  ClientOptions options = OverTls();
  options.refusal_pause_ms = 100;
  ValkeyLedger ledger({.client = options});
  ServerInfo info;
  EXPECT_EQ(ledger.Connect(info).error, ClaimError::kUnavailable);
  UseCertificate("server");
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_EQ(ledger.Connect(info).error, ClaimError::kNone);
}

TEST_F(LiveTlsServer, AClientCertificateIsShownWhereItIsWanted) {
  if (admin_ == nullptr) GTEST_SKIP() << "the tunnel wants none";
  Set("tls-auth-clients", "yes");
  ClientOptions options = OverTls();
  ExpectRefused(options, "the server wants a client certificate");
  options.tls.certificate_file = File("foreign.pem");
  options.tls.key_file = File("foreign.key");
  ExpectRefused(options, "the server refused the client certificate: unknown CA");
  options.tls.certificate_file = File("client.pem");
  options.tls.key_file = File("client.key");
  EXPECT_EQ(Connected(options), "none");
  // With TLS 1.2 the refusal has other words.
  Set("tls-protocols", "TLSv1.2");
  EXPECT_EQ(Connected(options), "none");
  ExpectRefused(OverTls(), "the server refused the handshake; it may want a client certificate");
}

// To a client that speaks TLS, the nodes of a cluster name their TLS ports.
TEST(ClusterTls, EveryNodeIsSpokenToByTls) {
  if (!HasTls()) GTEST_SKIP() << "the library was built without TLS";
  ClientOptions options = OverTls();
  options.connection_name = "ffgrant-tls-test";
  ValkeyLedger ledger({.client = options});
  const LaneIdView lane = ParseLaneId("live-tls").lane;
  for (std::uint16_t partition = 0; partition < 64; ++partition) {
    const MintedExecutionId id(partition, RandomUuid());
    ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane})) << partition;
  }
  const std::vector<std::string> nodes = Split(Variable("FFGRANT_CLUSTER"));
  ASSERT_GE(nodes.size(), 3u);
  for (const std::string& node : nodes) {
    const std::string list = Operator(node).Do({"CLIENT", "LIST"});
    std::size_t found = 0;
    for (std::size_t at = 0; (at = list.find("laddr=", at)) != std::string::npos; ++at) {
      const std::string line = list.substr(at, list.find('\n', at) - at);
      if (line.find(" name=ffgrant-tls-test ") == std::string::npos) continue;
      ++found;
      EXPECT_FALSE(line.starts_with("laddr=" + node + " ")) << line;
    }
    EXPECT_GE(found, 1u) << node << "\n" << list;
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
