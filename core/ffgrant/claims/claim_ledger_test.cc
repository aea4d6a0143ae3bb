// SPDX-License-Identifier: Apache-2.0
//
// Tests the words for kinds of leases and for reasons, and grants that were made without an
// execution, such as the grant of a call that was refused. The scenarios
// (core/testing/scenarios/cases) test what the calls answer and store, on the embedded ledger, the
// model and servers.

#include "ffgrant/claims/claim_ledger.h"

#include <gtest/gtest.h>

namespace ffgrant {
namespace {

TEST(LeaseKindTest, Names) {
  EXPECT_EQ(LeaseKindName(LeaseKind::kInitial), "initial");
  EXPECT_EQ(LeaseKindName(LeaseKind::kRetry), "retry");
  EXPECT_EQ(LeaseKindName(LeaseKind::kReplay), "replay");
  EXPECT_EQ(LeaseKindName(LeaseKind::kResumed), "resumed");
  EXPECT_EQ(LeaseKindName(LeaseKind::kReclaim), "reclaim");
}

TEST(AlreadySatisfiedTest, ReasonWords) {
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNo), "");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kExecutionNotFound), "execution_not_found");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNotActive), "not_active");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kAlreadyExpired), "already_expired");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kAlreadyRevoked), "already_revoked");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kUnowned), "unowned");
  EXPECT_EQ(ReasonWord(AlreadySatisfied::kNotYetExpired), "not_yet_expired");
}

TEST(IssuedGrantTest, WithoutAnExecutionItIsEmpty) {
  IssuedGrant none;
  EXPECT_EQ(none.view(), ClaimGrantView());
  EXPECT_FALSE(none.view().execution_id.is_canonical());
  ClaimForWorkerOutcome refused;
  EXPECT_EQ(refused.grant.view(), ClaimGrantView());
}

}  // namespace
}  // namespace ffgrant
