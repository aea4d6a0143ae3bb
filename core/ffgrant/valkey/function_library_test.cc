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

TEST(FunctionLibrary, AnswersTheVersionsThatTheHeaderNames) {
  const auto constant = [](std::string_view name, std::string_view value) {
    return "local " + std::string(name) + " = '" + std::string(value) + "'\n";
  };
  EXPECT_NE(FunctionLibrarySource().find(constant("LIBRARY_VERSION", kFunctionLibraryVersion)),
            std::string_view::npos);
  EXPECT_NE(FunctionLibrarySource().find(constant("CONTRACT_VERSION", kFunctionContractVersion)),
            std::string_view::npos);
}

TEST(FunctionLibrary, HasEveryFunctionOfTheClaimPath) {
  for (const std::string_view name :
       {"ff_version", "ff_create_execution", "ff_issue_claim_grant", "ff_claim_execution",
        "ff_claim_resumed_execution", "ff_issue_grant_and_claim", "ff_renew_lease",
        "ff_mark_lease_expired_if_due", "ff_revoke_lease", "ff_issue_reclaim_grant",
        "ff_reclaim_execution", "ff_complete_execution", "ff_suspend_execution",
        "ff_resume_execution", "ff_promote_delayed"}) {
    EXPECT_NE(FunctionLibrarySource().find("('" + std::string(name) + "', "),
              std::string_view::npos)
        << name;
  }
}

}  // namespace
}  // namespace ffgrant::valkey
