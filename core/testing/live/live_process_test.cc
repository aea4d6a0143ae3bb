// SPDX-License-Identifier: Apache-2.0
//
// Tests what a process that has a ledger may do: fork, end, and get signals (valkey_ledger.h says
// what is allowed).

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "ffgrant/valkey/server_url.h"
#include "testing/live/live_server.h"

namespace ffgrant::valkey::testing {
namespace {

// Returns the options for the transport that claim-server was told to use.
ClientOptions Here() {
  ClientOptions options;
  EXPECT_EQ(SetServers(Variable("FFGRANT_SERVER_URL"), options), "");
  EXPECT_EQ(SetTlsFromEnvironment(options), "");
  options.request_timeout_ms = 10'000;
  return options;
}

class LiveProcess : public LiveServer {
 protected:
  bool ClaimBy(ValkeyLedger& ledger) {
    const MintedExecutionId id(7, RandomUuid());
    return ledger.CreateExecution({.execution_id = id.view(), .lane = lane_}) &&
           ledger.IssueClaimGrant({.execution_id = id.view(),
                                   .worker = worker_,
                                   .lane = lane_,
                                   .grant_ttl_ms = 60'000}) &&
           ledger.Claim(ArgsFor(id));
  }
  // Runs `in_child` in a child process. Returns the child's exit status, or at least 1000 if a
  // signal ended the child.
  template <class InChild>
  static int Forked(const InChild& in_child) {
    const pid_t child = fork();
    if (child == 0) _exit(in_child());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
  }
};

TEST_F(LiveProcess, AForkTouchesNoConnectionOfTheParent) {
  auto ledger = std::make_unique<ValkeyLedger>(ValkeyLedgerOptions{.client = Here()});
  ASSERT_TRUE(ClaimBy(*ledger));
  const std::uint64_t connects = ledger->counters().connects;
  EXPECT_EQ(Forked([] { return 0; }), 0);
  ASSERT_TRUE(ClaimBy(*ledger));
  EXPECT_EQ(Forked([&] {
              ledger.reset();  // closes the child's copies of the connections; sends nothing
              return 0;
            }),
            0);
  ASSERT_TRUE(ClaimBy(*ledger));
  EXPECT_EQ(ledger->counters().connects, connects) << "the same connection all the time";
}

TEST_F(LiveProcess, AChildHasALedgerOfItsOwn) {
  ValkeyLedger ledger({.client = Here()});
  ASSERT_TRUE(ClaimBy(ledger));
  EXPECT_EQ(Forked([&] {
              ClientOptions client = Here();
              // Names are looked up in threads, and a child has none of its parent's threads. So
              // the child connects to a name here.
              if (!client.servers[0].is_unix()) client.servers[0].host = "localhost";
              ValkeyLedger own({.client = client});
              return ClaimBy(own) && ClaimBy(own) ? 0 : 1;
            }),
            0);
  EXPECT_TRUE(ClaimBy(ledger));
}

TEST_F(LiveProcess, AStaticLedgerMayOutliveMain) {
  // exit() destroys `last` before the ledger. The destructor of `last` still uses the ledger.
  EXPECT_EXIT(
      {
        static ValkeyLedger ledger({.client = Here()});
        static struct Last {
          ValkeyLedger& ledger;
          ~Last() {
            ServerInfo info;
            if (!ledger.Connect(info)) _exit(3);
          }
        } last{ledger};
        std::exit(ClaimBy(ledger) ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

volatile sig_atomic_t alarms = 0;
extern "C" void OnAlarm(int /*number*/) { alarms = alarms + 1; }

// Installs the handler without SA_RESTART, so that system calls end with EINTR.
TEST_F(LiveProcess, SignalsInterruptNoCall) {
  ValkeyLedger ledger({.client = Here()});
  struct sigaction action = {};
  action.sa_handler = OnAlarm;
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  const itimerval often = {{0, 500}, {0, 500}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  for (int i = 0; i < 200 || (alarms < 50 && i < 100'000); ++i) ASSERT_TRUE(ClaimBy(ledger)) << i;
  const itimerval never = {};
  ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
  ASSERT_EQ(sigaction(SIGALRM, &before, nullptr), 0);
  EXPECT_GE(alarms, 50);
}

// SIGPIPE ends a process by default.
TEST_F(LiveProcess, AConnectionThatTheServerClosesRaisesNoSigpipe) {
  EXPECT_EQ(Forked([&] {
              signal(SIGPIPE, SIG_DFL);
              ValkeyLedger ledger({.client = Here()});
              bool good = ClaimBy(ledger);
              for (int i = 0; i < 20 && good; ++i) {
                Operator(Variable("FFGRANT_SERVER"))
                    .Do({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
                good = ClaimBy(ledger);
              }
              return good ? 0 : 1;
            }),
            0);
  struct sigaction now = {};
  ASSERT_EQ(sigaction(SIGPIPE, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL) << "the library sets no handler";
}

}  // namespace
}  // namespace ffgrant::valkey::testing
