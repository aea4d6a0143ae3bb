// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/function_library.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ffgrant::valkey {
namespace {

TEST(FunctionLibrary, BeginsWithItsNameAsServersWantIt) {
  EXPECT_TRUE(FunctionLibrarySource().starts_with(
      "#!lua name=" + std::string(kFunctionLibraryName) + "\n"));
}

TEST(FunctionLibrary, AnswersTheVersionThatTheHeaderNames) {
  EXPECT_NE(FunctionLibrarySource().find("local LIBRARY_VERSION = '" +
                                         std::string(kFunctionLibraryVersion) + "'\n"),
            std::string_view::npos);
}

// Functions are registered by names in quotes, so no text in quotes may begin with ff_.
TEST(FunctionLibrary, HasNoNameOfFlowFabrics) {
  EXPECT_EQ(FunctionLibrarySource().find("'ff_"), std::string_view::npos);
  EXPECT_EQ(FunctionLibrarySource().find("\"ff_"), std::string_view::npos);
}

TEST(FunctionLibrary, HasEveryFunctionOfTheClaimPath) {
  for (const std::string_view name :
       {"create_execution", "issue_claim_grant", "claim_execution", "claim_resumed_execution",
        "issue_grant_and_claim", "renew_lease", "mark_lease_expired_if_due", "revoke_lease",
        "issue_reclaim_grant", "reclaim_execution", "complete_execution", "fail_execution",
        "suspend_execution", "resume_execution", "promote_delayed",
        "rotate_waitpoint_hmac_secret"}) {
    EXPECT_NE(FunctionLibrarySource().find("('ffgrant_" + std::string(name) + "', "),
              std::string_view::npos)
        << name;
  }
}

}  // namespace
}  // namespace ffgrant::valkey
