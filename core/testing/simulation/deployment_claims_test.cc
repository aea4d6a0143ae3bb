// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/deployment_claims.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "testing/naive/sanitized.h"

namespace ffgrant::valkey::testing {
namespace {

TEST(DeploymentClaims, EveryAnswerIsTrueAndInTimeWhateverHappens) {
  DeploymentRun all;
  for (std::uint64_t seed = 1; seed <= (ffgrant::testing::kIsSanitized ? 10 : 40); ++seed) {
    const DeploymentRun run = RunDeployment(seed, 500);
    ASSERT_EQ(run.problem, "") << "simulated_claims --first " << seed << " --calls 500";
    all.calls += run.calls;
    all.claims += run.claims;
    all.unknown += run.unknown;
    all.unavailable += run.unavailable;
    all.ruled_out += run.ruled_out;
    all.losses += run.losses;
    for (const auto& [name, count] : run.happened) all.happened[name] += count;
    for (const auto& [name, count] : run.answers) all.answers[name] += count;
  }
  if (ffgrant::testing::kIsSanitized) return;
  // The results say little if little has happened.
  EXPECT_GT(all.claims, all.calls / 20);
  EXPECT_GT(all.unknown, 100u);
  EXPECT_GT(all.unavailable, 100u);
  EXPECT_GT(all.ruled_out, 50u);
  EXPECT_GT(all.losses, 0u);
  for (const char* const event : {"cut off", "fail over", "freeze", "kill", "leave", "migrate",
                                  "move", "move slots", "split"}) {
    EXPECT_GT(all.happened[event], 20u) << event;
  }
  for (const char* const call :
       {"create none", "issue none", "claim_for_worker none", "claim none", "claim_resumed none",
        "renew none", "mark_expired none", "revoke none", "issue_reclaim none", "reclaim none",
        "suspend none", "resume none", "complete none", "find none", "promote none",
        "issue and claim none"}) {
    EXPECT_GE(all.answers[call], 10u) << call;
  }
}

TEST(DeploymentClaims, ASeedIsTheSameEachTime) {
  const DeploymentRun one = RunDeployment(7, 300);
  const DeploymentRun again = RunDeployment(7, 300);
  EXPECT_EQ(one.answers, again.answers);
  EXPECT_EQ(one.executed, again.executed);
  EXPECT_EQ(one.happened, again.happened);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
