// SPDX-License-Identifier: Apache-2.0
//
// Tests which functions the client calls on a server, and when it loads our library there.

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/client_rig.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::valkey::testing {
namespace {

using Call = ClaimPipeline::Call;
using Way = ScriptedRig::Way;

// Each case says which libraries a server has before a call, which function the client calls, how
// it loads our library, and which version of our library it then says that it uses.
TEST(ClientFunctions, CallsFlowFabricsWhereTheyAreAndOursElsewhere) {
  struct Case {
    std::string what;
    bool ours;
    bool theirs;
    std::string own_version;
    bool load_library;
    std::string called;  // the function that creates the execution; empty: none does
    int loads;
    int replaces;
    std::string library_version;
  };
  const std::string kNow(kFunctionLibraryVersion);
  const std::vector<Case> cases = {
      {"neither", false, false, kNow, true, "ffgrant_create_execution", 1, 0, kNow},
      {"neither, no leave", false, false, kNow, false, "", 0, 0, ""},
      {"ours", true, false, kNow, true, "ffgrant_create_execution", 0, 0, kNow},
      {"ours, no leave", true, false, kNow, false, "ffgrant_create_execution", 0, 0, kNow},
      {"a later one of ours", true, false, "99", true, "ffgrant_create_execution", 0, 0, "99"},
      {"FlowFabric's", false, true, kNow, true, "ff_create_execution", 0, 0, ""},
      {"both", true, true, kNow, true, "ff_create_execution", 0, 0, ""},
      {"an earlier one of ours", true, false, "4", true, "ffgrant_create_execution", 0, 1, kNow},
      {"an earlier one, no leave", true, false, "4", false, "ffgrant_create_execution", 0, 0, "4"},
      // An old library of ours has FlowFabric's names; replacing the library frees these names.
      {"an old one of ours", true, false, "3", true, "ffgrant_create_execution", 0, 1, kNow},
      {"an old one of ours, no leave", true, false, "3", false, "ff_create_execution", 0, 0, "3"},
  };
  for (const Case& c : cases) {
    ScriptedServer server;
    ScriptedNetwork* network = nullptr;
    server.has_library = c.ours;
    server.foreign_library = c.theirs;
    server.own_version = c.own_version;
    ClientOptions options = ScriptedOptions(server, network);
    options.load_library = c.load_library;
    ClaimPipeline pipeline(options);
    const Way way(1);
    ASSERT_TRUE(pipeline.SubmitCreate(
        {.execution_id = way.execution.view(), .lane = ParseLaneId("main").lane}, "", 1));
    std::vector<ClaimPipeline::Completion> all;
    while (all.empty()) {
      for (const auto& done : pipeline.Poll(50)) all.push_back(done);
    }
    EXPECT_EQ(all[0].error, c.called.empty() ? ClaimError::kUnavailable : ClaimError::kNone)
        << c.what << ": " << pipeline.last_error();
    for (const std::string name : {"ff_create_execution", "ffgrant_create_execution"}) {
      // Even on a server without any functions the client calls FlowFabric's function, in case that
      // function has been loaded meanwhile.
      EXPECT_EQ(server.WasCalled(name),
                name == c.called || (c.called.empty() && name.starts_with("ff_")))
          << c.what << ": " << name;
    }
    EXPECT_EQ(server.loads, c.loads) << c.what;
    EXPECT_EQ(server.replaces, c.replaces) << c.what;
    EXPECT_EQ(pipeline.server().library_version, c.library_version) << c.what;
    EXPECT_EQ(pipeline.server().contract_version, c.called.empty() ? "" : "34") << c.what;
  }
}

TEST(ClientFunctions, FlowFabricsLibraryMayComeLater) {
  ScriptedRig rig;
  rig.server.has_library = false;
  const Way way(1);
  ASSERT_TRUE(rig.Run(way, Call::kCreate));
  EXPECT_EQ(rig.server.loads, 1);
  rig.server.foreign_library = true;
  ASSERT_TRUE(rig.Run(way, Call::kIssue)) << "a client that has begun goes on";
  EXPECT_TRUE(rig.server.WasCalled("ffgrant_issue_claim_grant"));
  rig.network->HangUp(1);
  ASSERT_TRUE(rig.Run(way, Call::kClaim)) << "a new connection looks again";
  EXPECT_TRUE(rig.server.WasCalled("ff_claim_execution"));
  // FlowFabric's functions go away again. Ours are still there.
  rig.server.foreign_library = false;
  ASSERT_TRUE(rig.Run(way, Call::kComplete));
  EXPECT_TRUE(rig.server.WasCalled("ffgrant_complete_execution"));
  EXPECT_EQ(rig.server.loads + rig.server.replaces, 1);
}

TEST(ClientFunctions, EitherLibraryIsFoundAgainWithoutLeaveToLoad) {
  ScriptedRig rig([](ClientOptions options) {
    options.load_library = false;
    return options;
  });
  const Way way(1);
  ASSERT_TRUE(rig.Run(way, Call::kCreate));
  rig.server.has_library = false;
  rig.server.foreign_library = true;
  EXPECT_TRUE(rig.Run(way, Call::kIssue));
  EXPECT_TRUE(rig.server.WasCalled("ff_issue_claim_grant"));
  rig.server.foreign_library = false;
  const std::int64_t begin = rig.network->NowMs();
  EXPECT_EQ(rig.Run(way, Call::kClaim).error, ClaimError::kUnavailable);
  EXPECT_EQ(rig.pipeline().last_error(), "the server has no functions of the claim path");
  EXPECT_LE(rig.network->NowMs() - begin, 30) << "not at once";
  rig.server.has_library = true;
  EXPECT_TRUE(rig.Run(way, Call::kClaim));
}

// The connection stays, however many other servers are configured: looking for the functions again
// has a time limit of its own.
TEST(ClientFunctions, AreLookedForAgainOnTheSameConnection) {
  using Change = ClientOptions (*)(ClientOptions);
  constexpr Change kAlone = [](ClientOptions options) { return options; };
  constexpr Change kOneOfThree = [](ClientOptions options) {
    options.servers = {{"127.0.0.1", 1}, {"127.0.0.1", 2}, {"127.0.0.1", 3}};
    return options;
  };
  for (const Change change : {kAlone, kOneOfThree}) {
    ScriptedRig rig(change);
    ASSERT_TRUE(rig.Run(Way(1), Call::kCreate));
    rig.network->SetScript([](Operation asked) -> Fault {
      if (asked == Operation::kAnswer) return {Fault::Kind::kLate, 5};
      return {};
    });
    // After the two longer waits the greeting's own limit is over. After the longest wait the
    // client first asks whether the server is there.
    std::uint64_t number = 1;
    for (const std::int64_t idle_ms : {0, 3000, 60'000}) {
      rig.network->Wait({}, idle_ms);
      rig.server.has_library = false;
      EXPECT_TRUE(rig.Run(Way(++number), Call::kCreate)) << idle_ms;
      EXPECT_TRUE(rig.server.has_library) << idle_ms;
    }
    EXPECT_EQ(rig.network->connections(), 1u) << (change == kAlone);
  }
}

TEST(ClientFunctions, AnotherContractIsRefused) {
  ScriptedServer server;
  ScriptedNetwork* network = nullptr;
  server.foreign_library = true;
  server.contract_version = "12";
  server.has_library = false;
  ClientOptions options = ScriptedOptions(server, network);
  const Way way(1);
  const auto create = [&](ClaimPipeline& pipeline) {
    EXPECT_TRUE(pipeline.SubmitCreate(
        {.execution_id = way.execution.view(), .lane = ParseLaneId("main").lane}, "", 1));
    for (;;) {
      for (const auto& done : pipeline.Poll(50)) return done.error;
    }
  };
  ClaimPipeline pipeline(options);
  const std::int64_t begin = network->NowMs();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(create(pipeline), ClaimError::kUnavailable);
    EXPECT_EQ(pipeline.last_error(),
              "the server's functions follow another contract: ff_version answers 12, not 34");
  }
  EXPECT_LE(network->NowMs() - begin, 30);
  EXPECT_EQ(network->connections(), 1u) << "asked again";
  EXPECT_EQ(server.loads + server.replaces, 0);
  EXPECT_FALSE(server.WasCalled("ff_create_execution"));
  EXPECT_EQ(pipeline.server().contract_version, "");

  // An operator who knows that more versions will do names them in the options.
  server.contract_version = "13";
  options.contract_versions = {"34", "12"};
  ClaimPipeline knows_two(options);
  EXPECT_EQ(create(knows_two), ClaimError::kUnavailable);
  EXPECT_TRUE(knows_two.last_error().ends_with("ff_version answers 13, not 34 or 12"));
  server.contract_version = "12";
  ClaimPipeline knows(options);
  EXPECT_EQ(create(knows), ClaimError::kNone);
  EXPECT_EQ(knows.server().contract_version, "12");
}

// A server that answers in one of these ways is no server of FlowFabric's, whatever the text looks
// like.
TEST(ClientFunctions, AVersionThatIsNoneIsNotBelieved) {
  for (const std::string& reply :
       {Bulk(""), Bulk("x"), Bulk("34x"), std::string(":34\r\n"), std::string("+34\r\n"),
        std::string("$-1\r\n"), std::string("*0\r\n"), Array({Bulk("34")})}) {
    ClientRig rig;
    rig.server.foreign_library = true;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] != "FCALL" || command[1] != "ff_version") return std::nullopt;
      return reply;
    };
    EXPECT_EQ(rig.Do({"FCALL", "ff_x", "0"}, false, 0),
              "unavailable: ff_version answers what is no version")
        << reply;
    EXPECT_FALSE(rig.server.WasCalled("ff_x"));
    EXPECT_EQ(rig.server.loads + rig.server.replaces, 0);
  }
}

TEST(ClientFunctions, EachNodeOfAClusterHasItsOwn) {
  const std::string slots = Array({Range(0, 99, 1), Range(100, 199, 2), Range(200, 16383, 3)});
  ClientRig rig;
  std::vector<std::string> called;
  bool loaded = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION" && port == 3) loaded = true;
    if (command[0] != "FCALL") return Cluster(slots)(port, command);
    const bool theirs = port == 1;
    const bool ours = port == 2 || (port == 3 && loaded);
    if (command[1] == "ff_version") return theirs ? Bulk("34") : kMissing;
    if (command[1] == "ffgrant_version") return ours ? Bulk(kFunctionLibraryVersion) : kMissing;
    return Bulk(std::to_string(port));
  };
  rig.server.has_library = false;
  const std::vector<std::pair<std::uint16_t, std::string>> owners = {
      {0, "1"}, {100, "2"}, {200, "3"}, {0, "1"}};
  for (const auto& [slot, port] : owners) {
    EXPECT_EQ(rig.Do({"FCALL", "ff_x", "0"}, false, slot), port);
  }
  std::vector<std::string> names;
  for (const auto& [id, name] : rig.server.called) {
    if (name.ends_with("_x")) {
      names.push_back(std::to_string(rig.network->endpoint(id).port) + " " + name);
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"1 ff_x", "2 ffgrant_x", "3 ffgrant_x", "1 ff_x"}));
  EXPECT_EQ(rig.server.loads, 1);
}

// A replica is promoted while the client's connection to it stands. The client finds our functions
// there, or loads them, as it does on any other primary.
TEST(ClientFunctions, AReplicaThatWasPromotedIsAskedForThem) {
  for (const bool there : {true, false}) {
    ClientRig rig;
    rig.server.has_library = there;
    std::string role = "slave";
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("x", role, "cluster");
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
      if (command[0] != "FCALL" || command[1] != "ff_x") return std::nullopt;
      return rig.server.WasCalled("ffgrant_x") ? Bulk("done") : kMissing;
    };
    ASSERT_EQ(rig.Get(), "a of 1");
    EXPECT_EQ(rig.Count("1 FCALL"), 0) << "a replica is not asked";
    role = "master";
    EXPECT_EQ(rig.Do({"FCALL", "ff_x", "0"}), "done") << there;
    EXPECT_EQ(rig.server.loads, there ? 0 : 1);
    EXPECT_EQ(rig.network->connections(), 1u);
  }
}

// ---- the library -----------------------------------------------------------------

TEST(Client, LoadsTheLibraryWhereItMay) {
  struct Case {
    std::string what;
    std::string own;    // the answer of ffgrant_version
    std::string other;  // the answer of ff_version
    std::string mode;
    std::string role;
    bool load_library;
    int loads;
    int replaces;
  };
  const std::string old = Bulk("1");
  const std::vector<Case> cases = {
      {"none", kMissing, kMissing, "standalone", "master", true, 1, 0},
      {"none, no leave", kMissing, kMissing, "standalone", "master", false, 0, 0},
      {"none, on a replica", kMissing, kMissing, "cluster", "slave", true, 0, 0},
      {"another fault", kMissing, "-ERR out of order\r\n", "standalone", "master", true, 0, 0},
      {"FlowFabric's", kMissing, Bulk("34"), "standalone", "master", true, 0, 0},
      {"FlowFabric's beside ours", Bulk(kFunctionLibraryVersion), Bulk("34"), "standalone",
       "master", true, 0, 0},
      {"ours", Bulk(kFunctionLibraryVersion), kMissing, "standalone", "master", true, 0, 0},
      {"a later one", Bulk("99"), kMissing, "standalone", "master", true, 0, 0},
      {"a later one of two digits", Bulk("10"), kMissing, "standalone", "master", true, 0, 0},
      {"a later one of three", Bulk("100"), kMissing, "standalone", "master", true, 0, 0},
      {"old", old, Bulk("34"), "standalone", "master", true, 0, 1},
      {"old, no leave", old, Bulk("34"), "standalone", "master", false, 0, 0},
      {"old, on a replica", old, Bulk("34"), "cluster", "slave", true, 0, 0},
      {"no number", Bulk("one"), Bulk("34"), "standalone", "master", true, 0, 0},
      {"not only a number", Bulk("1a"), Bulk("34"), "standalone", "master", true, 0, 0},
  };
  for (const Case& c : cases) {
    ClientOptions options = RigOptions();
    options.load_library = c.load_library;
    ClientRig rig(options);
    rig.server.has_library = c.own != kMissing;
    rig.play = [&](std::uint16_t, const Words& command) -> std::optional<std::string> {
      if (command[0] == "INFO") return Info("x", c.role, c.mode);
      if (command[0] == "CLUSTER") return Array({Range(0, 16383, 1)});
      if (command[0] == "FCALL") return command[1] == "ffgrant_version" ? c.own : c.other;
      return std::nullopt;
    };
    EXPECT_EQ(rig.Get(), "a of 1") << c.what;
    EXPECT_EQ(rig.server.loads, c.loads) << c.what;
    EXPECT_EQ(rig.server.replaces, c.replaces) << c.what;
  }
}

TEST(Client, SomebodyElseMayHaveLoadedTheLibrary) {
  ClientRig rig;
  rig.server.has_library = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION") rig.server.has_library = true;  // another client loads it first
    return FunctionOf(rig.server)(port, command);
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  EXPECT_EQ(rig.Count("1 FUNCTION LOAD"), 1);
  EXPECT_EQ(rig.server.loads, 0);
  EXPECT_FALSE(rig.client.server().library_version.empty());
  EXPECT_EQ(rig.client.counts().libraries_loaded.value(), 1u);
}

// A library of somebody else's has a function of our names, so ours can't be loaded.
TEST(Client, AFunctionOfAnotherLibraryIsNotOurs) {
  for (const std::string refusal :
       {"ERR Function ffgrant_renew_lease already exists",
        "ERR Library names can only contain letters, numbers, or underscores(_)"}) {
    ClientRig rig;
    rig.server.has_library = false;
    rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
      if (command[0] == "FUNCTION") return "-" + refusal + "\r\n";
      return FunctionOf(rig.server)(port, command);
    };
    EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: " + refusal);
    EXPECT_EQ(rig.client.server().library_version, "");
    EXPECT_EQ(rig.client.counts().libraries_loaded.value(), 0u);
  }
}

TEST(Client, SaysWhyTheLibraryCouldNotBeLoaded) {
  ClientRig rig;
  rig.server.has_library = false;
  bool allowed = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FUNCTION" && !allowed) return "-NOPERM no FUNCTION for you\r\n";
    return FunctionOf(rig.server)(port, command);
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: NOPERM no FUNCTION for you");
  EXPECT_EQ(rig.client.server().library_version, "");
  allowed = true;
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
  // A reason that no longer holds is not given.
  allowed = false;
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") return kMissing;
    return std::nullopt;
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: ERR Function not found");
}

TEST(Client, AFunctionThatStaysMissingIsGivenUp) {
  ClientRig rig;
  rig.play = [](std::uint16_t, const Words& command) -> std::optional<std::string> {
    if (command[0] == "FCALL" && command[1] == "f") return kMissing;
    return std::nullopt;
  };
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "unavailable: ERR Function not found");
  EXPECT_EQ(rig.Count("1 FCALL f 0"), 4);
  EXPECT_EQ(rig.Get(), "a of 1");
}

// Redirections on the way to a node say nothing of its library.
TEST(Client, ARedirectedCallMayLoadTheLibraryToo) {
  ClientRig rig;
  rig.server.mode = "cluster";
  int redirections = 0;
  bool missed = false;
  rig.play = [&](std::uint16_t port, const Words& command) -> std::optional<std::string> {
    if (command[0] == "CLUSTER") return Array({Range(0, 16383, port)});
    if (command[0] != "FCALL" || command[1] != "f") return std::nullopt;
    if (redirections < 4) {
      return "-MOVED 0 :" + std::to_string(++redirections % 2 + 1) + "\r\n";
    }
    return std::exchange(missed, true) ? Bulk("done") : kMissing;
  };
  ASSERT_EQ(rig.Get(), "a of 1");
  EXPECT_EQ(rig.Do({"FCALL", "f", "0"}), "done");
}

TEST(Client, CallsThatMissTheLibraryTogetherLoadItOnce) {
  ClientRig rig;
  ASSERT_EQ(rig.Get(), "a of 1");
  rig.server.has_library = false;
  rig.play = FunctionOf(rig.server);
  for (const std::uint64_t tag : {1, 2, 3}) ASSERT_TRUE(rig.Submit(tag, {"FCALL", "f", "0"}));
  for (int i = 0; i < 100 && rig.client.in_flight() > 0; ++i) rig.client.Poll(50);
  for (const std::uint64_t tag : {1, 2, 3}) EXPECT_EQ(rig.ends[tag], "done");
  EXPECT_EQ(rig.server.loads, 1);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
