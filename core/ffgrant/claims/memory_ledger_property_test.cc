// SPDX-License-Identifier: Apache-2.0
//
// Runs long random histories on the embedded ledger and on the model side by side.

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "testing/model/ledger_pair.h"
#include "testing/naive/sanitized.h"

namespace ffgrant {
namespace {

using testing::LedgerPair;

LedgerPair::Choose RandomChoices(std::uint32_t seed) {
  return [random = std::mt19937(seed)](std::uint32_t bound) mutable {
    return static_cast<std::uint32_t>(random() % bound);
  };
}

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

// What contract 7 lets a call answer in a state. A row says that each of its operations may have
// each of its outcomes in each of its states.
struct Expected {
  const char* operations;
  const char* states;
  const char* outcomes;
};

constexpr char kTerminal[] = "completed failed failed_granted";
constexpr char kRunnable[] =
    "created created_granted created_delayed resumed resumed_granted "
    "resumed_delayed retry retry_granted retry_delayed";
constexpr char kOwned[] = "leased due expired expired_granted revoked revoked_granted";

const Expected kExpected[] = {
    // Creation. A terminal execution with a grant was reclaimed too often.
    {"create", "absent", "waiting delayed"},
    {"create", kRunnable, "duplicate"},
    {"create", kOwned, "duplicate"},
    {"create", "suspended", "duplicate"},
    {"create", kTerminal, "duplicate"},
    {"create_badly", "any", "invalid_input"},

    // Every ttl and the delay of a resume are checked first.
    {"issue claim claim_resumed renew issue_reclaim reclaim resume", "absent", "invalid_input"},
    {"issue claim claim_resumed renew issue_reclaim reclaim resume", kRunnable, "invalid_input"},
    {"issue claim claim_resumed renew issue_reclaim reclaim resume", kOwned, "invalid_input"},
    {"issue claim claim_resumed renew issue_reclaim reclaim resume", "suspended", "invalid_input"},
    {"issue claim claim_resumed renew issue_reclaim reclaim resume", kTerminal, "invalid_input"},
    {"claim_for_worker", "any", "none no_eligible_execution nothing_in_window invalid_input"},

    // Existence is checked next.
    {"issue claim claim_resumed renew revoke issue_reclaim reclaim suspend resume complete "
     "complete_override fail fail_override forget mark_expired",
     "absent", "execution_not_found"},

    // 7.1
    {"issue", "created resumed retry", "none execution_not_in_eligible_set capability_mismatch"},
    {"issue", "created_granted resumed_granted retry_granted", "grant_already_exists"},
    {"issue", "created_delayed resumed_delayed retry_delayed suspended", "execution_not_eligible"},
    {"issue", kOwned, "execution_not_eligible"},
    {"issue", kTerminal, "execution_not_eligible"},

    // 7.2
    {"claim", "created retry", "invalid_claim_grant"},
    {"claim", "created_granted retry_granted", "none invalid_claim_grant"},
    {"claim", "resumed resumed_granted", "use_claim_resumed_execution"},
    {"claim", "created_delayed resumed_delayed retry_delayed suspended", "execution_not_leaseable"},
    {"claim", kOwned, "execution_not_leaseable"},
    {"claim", kTerminal, "execution_not_leaseable"},

    // 7.3
    {"claim_resumed", "created created_granted created_delayed", "not_a_resumed_execution"},
    {"claim_resumed", "retry retry_granted retry_delayed", "not_a_resumed_execution"},
    {"claim_resumed", "resumed resumed_delayed", "invalid_claim_grant"},
    {"claim_resumed", "resumed_granted", "none invalid_claim_grant"},
    {"claim_resumed", "suspended", "execution_not_leaseable"},
    {"claim_resumed", kOwned, "execution_not_leaseable"},
    {"claim_resumed", kTerminal, "execution_not_leaseable"},

    // 7.4, and the other calls that need a fence
    {"renew suspend complete fail", kRunnable, "fence_required partial_fence_triple"},
    {"renew suspend complete fail", kOwned, "fence_required partial_fence_triple"},
    {"renew suspend complete fail", "suspended", "fence_required partial_fence_triple"},
    {"renew suspend complete fail", kTerminal, "fence_required partial_fence_triple"},
    {"complete_override fail_override", kRunnable, "partial_fence_triple"},
    {"complete_override fail_override", kOwned, "partial_fence_triple"},
    {"complete_override fail_override", "suspended", "partial_fence_triple"},
    {"complete_override fail_override", kTerminal, "partial_fence_triple"},
    {"renew suspend complete complete_override fail fail_override", kRunnable,
     "execution_not_active"},
    {"renew suspend complete complete_override fail fail_override", "suspended",
     "execution_not_active"},
    {"renew suspend complete complete_override fail fail_override", kTerminal,
     "execution_not_active"},
    {"renew suspend complete complete_override fail fail_override", "leased", "none stale_lease"},
    {"renew suspend complete complete_override fail fail_override", "due expired expired_granted",
     "lease_expired"},
    {"renew suspend complete complete_override fail fail_override", "revoked revoked_granted",
     "lease_revoked"},
    {"fail fail_override", "leased", "retry"},

    // 7.5
    {"mark_expired", kRunnable, "not_active"},
    {"mark_expired", "suspended", "not_active"},
    {"mark_expired", kTerminal, "not_active"},
    {"mark_expired", "leased", "not_yet_expired"},
    {"mark_expired", "due", "none"},
    {"mark_expired", "expired expired_granted", "already_expired"},
    {"mark_expired", "revoked revoked_granted", "already_revoked"},
    {"revoke", kRunnable, "execution_not_active"},
    {"revoke", "suspended", "execution_not_active"},
    {"revoke", kTerminal, "execution_not_active"},
    {"revoke", "leased due", "none stale_lease"},
    {"revoke", "expired expired_granted", "already_expired"},
    {"revoke", "revoked revoked_granted", "already_revoked"},

    // 7.6
    {"issue_reclaim", kRunnable, "execution_not_reclaimable"},
    {"issue_reclaim", "suspended leased due", "execution_not_reclaimable"},
    {"issue_reclaim", kTerminal, "execution_not_reclaimable"},
    {"issue_reclaim", "expired revoked", "none capability_mismatch"},
    {"issue_reclaim", "expired_granted revoked_granted", "grant_already_exists"},
    {"reclaim", kRunnable, "execution_not_reclaimable"},
    {"reclaim", "suspended leased due", "execution_not_reclaimable"},
    {"reclaim", kTerminal, "execution_not_reclaimable"},
    {"reclaim", "expired revoked", "invalid_claim_grant max_retries_exhausted"},
    {"reclaim", "expired_granted revoked_granted",
     "none invalid_claim_grant max_retries_exhausted"},

    {"resume", "suspended", "none delayed"},
    {"resume", kRunnable, "execution_not_suspended"},
    {"resume", kOwned, "execution_not_suspended"},
    {"resume", kTerminal, "execution_not_suspended"},

    {"forget", kTerminal, "none"},
    {"forget", kRunnable, "invalid_input"},
    {"forget", kOwned, "invalid_input"},
    {"forget", "suspended", "invalid_input"},
    {"maintain", "any", "nothing expired promoted"},
};

std::set<std::string> ExpectedSightings() {
  std::set<std::string> expected;
  for (const Expected& row : kExpected) {
    for (const std::string& operation : Words(row.operations)) {
      for (const std::string& state : Words(row.states)) {
        for (const std::string& outcome : Words(row.outcomes)) {
          expected.insert(state + " " + operation + " " + outcome);
        }
      }
    }
  }
  return expected;
}

TEST(MemoryLedgerPropertyTest, AgreesWithTheModel) {
  constexpr int kHistories = 16;
  constexpr int kCalls = testing::kIsSanitized ? 5'000 : 25'000;
  std::set<std::string> seen;
  for (std::uint32_t seed = 1; seed <= kHistories; ++seed) {
    LedgerPair pair(RandomChoices(seed));
    for (int call = 0; call < kCalls; ++call) {
      ASSERT_TRUE(pair.Step()) << "seed " << seed << ", call " << call << ": " << pair.problem();
    }
    seen.insert(pair.seen().begin(), pair.seen().end());
  }
  // Each expected sighting must have been seen, or else it was not tested. No other sighting is
  // allowed.
  const std::set<std::string> expected = ExpectedSightings();
  for (const std::string& sighting : expected) {
    if (testing::kIsSanitized) break;  // some are too rare for fewer calls
    EXPECT_EQ(seen.count(sighting), 1u) << "never seen: " << sighting;
  }
  for (const std::string& sighting : seen) {
    EXPECT_EQ(expected.count(sighting), 1u) << "not expected: " << sighting;
  }
}

template <std::size_t... kIndex>
std::set<std::string> CallNames(std::index_sequence<kIndex...>) {
  return {std::string(std::variant_alternative_t<kIndex, testing::calls::Any>::kName)...};
}

// A call that is not among the choices is not tested. The calls that are put into the set by hand
// look at the state, or move the clock.
TEST(MemoryLedgerPropertyTest, EveryCallIsChosen) {
  LedgerPair pair(RandomChoices(1));
  for (int call = 0; call < 2000; ++call) ASSERT_TRUE(pair.Step()) << pair.problem();
  std::set<std::string> chosen = {"inspect", "inspect_names", "size", "advance"};
  for (const std::string& sighting : pair.seen()) chosen.insert(Words(sighting)[1]);
  for (const std::string& name : CallNames(std::make_index_sequence<testing::kCallKinds>())) {
    EXPECT_EQ(chosen.count(name), 1u) << name;
  }
}

// Runs short histories from many seeds, since the first calls matter as much as
// the later ones.
TEST(MemoryLedgerPropertyTest, ManyShortHistories) {
  for (std::uint32_t seed = 1000; seed < 1500; ++seed) {
    LedgerPair pair(RandomChoices(seed));
    for (int call = 0; call < 60; ++call) {
      ASSERT_TRUE(pair.Step()) << "seed " << seed << ", call " << call << ": " << pair.problem();
    }
  }
}

// Runs a history in a ledger with little room. Adds the calls that found the ledger full to `full`.
void RunInLittleRoom(std::uint32_t seed, LedgerPair::Room room, std::set<std::string>& full) {
  LedgerPair pair(RandomChoices(seed), room);
  for (int call = 0; call < 2000; ++call) {
    ASSERT_TRUE(pair.Step()) << "seed " << seed << ", call " << call << ": " << pair.problem();
  }
  ASSERT_TRUE(pair.Settle()) << "seed " << seed << ": " << pair.problem();
  for (const std::string& sighting : pair.seen()) {
    const std::vector<std::string> words = Words(sighting);
    if (words[2] == "ledger_full") full.insert(words[1]);
  }
}

// A ledger that has no room for names or texts says so when it must, and only then.
TEST(MemoryLedgerPropertyTest, FewNames) {
  std::set<std::string> full;
  for (std::uint32_t seed = 2000; seed < 2040; ++seed) {
    RunInLittleRoom(seed, {.max_names = 1 + seed % 8}, full);
  }
  EXPECT_EQ(full, (std::set<std::string>{"issue", "issue_reclaim", "claim_for_worker", "claim",
                                         "claim_resumed", "reclaim"}));
}

TEST(MemoryLedgerPropertyTest, LittleRoomForTexts) {
  std::set<std::string> full;
  for (std::uint32_t seed = 3000; seed < (testing::kIsSanitized ? 3012 : 3040); ++seed) {
    RunInLittleRoom(seed, {.max_text_pieces = 1 + seed % 12}, full);
    RunInLittleRoom(seed, {.max_names = 1 + seed % 5, .max_text_pieces = 1 + seed % 7}, full);
  }
  EXPECT_EQ(full, (std::set<std::string>{"issue", "issue_reclaim", "claim_for_worker", "claim",
                                         "claim_resumed", "reclaim"}));
}

// A creation that is refused holds nothing. So a ledger that forgets all executions has all of its
// room again.
TEST(MemoryLedgerPropertyTest, FewExecutionsLanesAndSets) {
  std::set<std::string> full;
  for (std::uint32_t seed = 4000; seed < (testing::kIsSanitized ? 4015 : 4060); ++seed) {
    RunInLittleRoom(seed,
                    {.max_executions = 1 + seed % 3,
                     .max_lanes = 1 + seed % 2,
                     .max_capability_sets = 1 + seed % 5},
                    full);
  }
  EXPECT_EQ(full, std::set<std::string>{"create"});
}

}  // namespace
}  // namespace ffgrant
