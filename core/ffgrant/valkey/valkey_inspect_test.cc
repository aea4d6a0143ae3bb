// SPDX-License-Identifier: Apache-2.0
//
// Tests that Inspect() and InspectNames() read back what is stored, or nothing.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/scripted_ledger.h"

namespace ffgrant::valkey::testing {
namespace {

using Way = ScriptedLedger::Way;

std::string Array27(const std::string& element) {
  return Array(std::vector<std::string>(27, element));
}
std::string Array8(const std::string& element) {
  return Array(std::vector<std::string>(8, element));
}

TEST(InspectReplies, AreWhatIsStored) {
  ScriptedLedger rig;
  const Way way(1);
  const ExecutionIdView id = way.execution.view();
  EXPECT_FALSE(rig.ledger->Inspect(id));
  EXPECT_FALSE(rig.ledger->InspectNames(id));

  rig.Create(way);
  auto state = rig.ledger->Inspect(id);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->lifecycle_phase, "runnable");
  EXPECT_TRUE(state->in_eligible);
  EXPECT_FALSE(state->has_grant || state->lease_current || state->in_active ||
               state->in_lease_expiry || state->in_terminal || state->in_delayed ||
               state->in_suspended);

  ASSERT_TRUE(rig.ledger->IssueClaimGrant(rig.IssueArgs(way)));
  state = rig.ledger->Inspect(id);
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->has_grant);
  EXPECT_EQ(state->grant_expires_at, TimestampMs{9000});
  EXPECT_FALSE(state->lease_current);
  EXPECT_EQ(rig.ledger->InspectNames(id)->grant_worker_id, "w1");

  ASSERT_TRUE(rig.ledger->Claim(rig.ArgsFor(way)));
  state = rig.ledger->Inspect(id);
  ASSERT_TRUE(state);
  EXPECT_EQ(state->ownership_state, "leased");
  EXPECT_EQ(state->current_lease_id, way.lease_id);
  EXPECT_TRUE(state->lease_current && state->in_active && state->in_lease_expiry);
  EXPECT_FALSE(state->in_eligible || state->has_grant);
  EXPECT_EQ(rig.ledger->InspectNames(id)->grant_worker_id, "");
  EXPECT_EQ(rig.ledger->InspectNames(id)->current_lane, "main");
}

// A claim may be made with another lane than the execution's own. The two lanes' sets are told
// apart, except that a terminal execution may be in the set of either lane.
TEST(InspectReplies, SayInWhichSetsTheExecutionIs) {
  struct Case {
    std::string set;
    bool ExecutionState::*is_in;  // null: Inspect() must not count this set
  };
  const Case kCases[] = {
      {"lane:main:eligible", &ExecutionState::in_eligible},
      {"lane:main:delayed", &ExecutionState::in_delayed},
      {"lane:main:active", nullptr},
      {"lane:main:suspended", nullptr},
      {"lane:main:terminal", &ExecutionState::in_terminal},
      {"lane:other:eligible", nullptr},
      {"lane:other:delayed", nullptr},
      {"lane:other:active", &ExecutionState::in_active},
      {"lane:other:suspended", &ExecutionState::in_suspended},
      {"lane:other:terminal", &ExecutionState::in_terminal},
      {"lease_expiry", &ExecutionState::in_lease_expiry},
      {"", nullptr},
  };
  constexpr bool ExecutionState::*kFlags[] = {
      &ExecutionState::in_eligible,  &ExecutionState::in_delayed,  &ExecutionState::in_active,
      &ExecutionState::in_suspended, &ExecutionState::in_terminal, &ExecutionState::in_lease_expiry,
  };
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.server.given_fields = {{"lane_id", Bulk("main")}, {"current_lane", Bulk("other")}};
  for (const Case& c : kCases) {
    rig.server.answer = [&](std::int64_t, const Words& command) -> std::optional<std::string> {
      if (command[0] != "ZSCORE") return std::nullopt;
      return command[1] == "ff:idx:{fp:7}:" + c.set ? Bulk("1") : kNil;
    };
    const auto state = rig.ledger->Inspect(way.execution.view());
    ASSERT_TRUE(state) << c.set;
    for (std::size_t i = 0; i < std::size(kFlags); ++i) {
      EXPECT_EQ((*state).*kFlags[i], kFlags[i] == c.is_in) << c.set << ", flag " << i;
    }
  }
}

TEST(InspectReplies, OfStatesThatAreNoWordsOfTheContractAreUnknown) {
  ScriptedLedger rig;
  const Way way(1);
  rig.Create(way);
  rig.server.given_fields = {{"blocking_reason", Bulk("blocked_by_the_moon")},
                             {"public_state", Bulk("")},
                             {"terminal_outcome", kNil}};
  const auto state = rig.ledger->Inspect(way.execution.view());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->blocking_reason, "unknown");
  EXPECT_EQ(state->public_state, "");
  EXPECT_EQ(state->terminal_outcome, "");
}

TEST(InspectReplies, OfIdsThatNoServerKnowsAreNotAskedFor) {
  ScriptedLedger rig;
  for (const std::string_view id : kUnaskedIds) {
    EXPECT_FALSE(rig.ledger->Inspect(UnaskedId(id)));
    EXPECT_FALSE(rig.ledger->InspectNames(UnaskedId(id)));
  }
  EXPECT_EQ(rig.commands.size(), 0u);
}

TEST(InspectReplies, ThatSayNothingAreNoState) {
  const std::string kNoHashes[] = {":1\r\n", "+OK\r\n", kNil, Bulk("x"), "*0\r\n", kFault};
  struct Case {
    std::string word;
    std::vector<std::string> replies;
    bool names;  // whether InspectNames() reads this reply too
  };
  std::vector<Case> cases = {
      {"lifecycle_phase", {Array27(":1\r\n"), Array8(kNil), Array27(kNil)}, true},
      {"route_snapshot_json", {Array8("*0\r\n"), Array27(kNil)}, true},
      {"EXISTS", {kNil, Bulk("1"), "+OK\r\n", "*0\r\n", kFault}, false},
      {"ZSCORE", {":1\r\n", "+1\r\n", "*0\r\n", kFault}, false},
  };
  for (std::size_t i = 0; i < 2; ++i) {
    cases[i].replies.insert(cases[i].replies.end(), std::begin(kNoHashes), std::end(kNoHashes));
  }
  ScriptedLedger rig;
  const Way way(1);
  const ExecutionIdView id = way.execution.view();
  rig.Create(way);
  for (const Case& c : cases) {
    for (const std::string& reply : c.replies) {
      // With ZSCORE, the reply takes the place of each set's reply in turn.
      const std::size_t places = c.word == "ZSCORE" ? 7 : 1;
      for (std::size_t place = 0; place < places; ++place) {
        rig.Restore();
        rig.Answer(c.word, reply, place, 1);
        EXPECT_FALSE(rig.ledger->Inspect(id)) << c.word << " " << place << " " << reply;
      }
      if (!c.names) continue;
      rig.Restore();
      rig.Answer(c.word, reply);
      EXPECT_FALSE(rig.ledger->InspectNames(id)) << c.word << " " << reply;
    }
    rig.Restore();
    rig.Silence(c.word);
    EXPECT_FALSE(rig.ledger->Inspect(id)) << c.word;
    EXPECT_EQ(rig.ledger->InspectNames(id).has_value(), !c.names) << c.word;
  }
  rig.Restore();
  EXPECT_TRUE(rig.ledger->Inspect(id));
  EXPECT_TRUE(rig.ledger->InspectNames(id));
}

}  // namespace
}  // namespace ffgrant::valkey::testing
