// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/retry_policy_json.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ffgrant::valkey::internal {
namespace {

std::string Appended(const RetryPolicy& policy) {
  std::string text = "x";
  AppendRetryPolicy(policy, text);
  return text.substr(1);
}

TEST(RetryPolicyJson, IsWhatFlowFabricWrites) {
  EXPECT_EQ(Appended({}),
            R"({"max_retries":3,"backoff":{"type":"exponential","initial_delay_ms":1000,)"
            R"("max_delay_ms":60000,"multiplier":2,"jitter":false},"retryable_categories":[]})");
  EXPECT_EQ(Appended({.max_retries = 4294967295, .delay_ms = 0, .multiplier = 1.5}),
            R"({"max_retries":4294967295,"backoff":{"type":"exponential","initial_delay_ms":0,)"
            R"("max_delay_ms":60000,"multiplier":1,"jitter":false},"retryable_categories":[]})");
  EXPECT_EQ(Appended({.max_retries = 1, .delay_ms = 1, .multiplier = 1.5}),
            R"({"max_retries":1,"backoff":{"type":"exponential","initial_delay_ms":1,)"
            R"("max_delay_ms":60000,"multiplier":1.5,"jitter":false},"retryable_categories":[]})");
  EXPECT_EQ(Appended({.max_retries = 0, .backoff = RetryPolicy::Backoff::kFixed, .delay_ms = 5}),
            R"({"max_retries":0,"backoff":{"type":"fixed","delay_ms":5},)"
            R"("retryable_categories":[]})");
}

}  // namespace
}  // namespace ffgrant::valkey::internal
