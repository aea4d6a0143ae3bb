// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/retry_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace ffgrant {
namespace {

TEST(RetryPolicyJson, IsFoundAsItStands) {
  EXPECT_EQ(FindRetryPolicy(R"({"priority":0,"retry_policy":{"max_retries":2} ,"x":[1,{}]})"),
            R"({"max_retries":2})");
  EXPECT_EQ(FindRetryPolicy(" { \"retry_policy\" : null } "), "null");
  EXPECT_EQ(FindRetryPolicy(R"({"retry\u005fpolicy":{"a":"\u00e9"}})"), R"({"a":"\u00e9"})");
  EXPECT_EQ(FindRetryPolicy(R"({"retry_policy":1,"retry_policy":2})"), "2");
  // A "retry_policy" within another member does not count.
  EXPECT_EQ(FindRetryPolicy(R"({"a":{"retry_policy":{}}})"), "");
}

TEST(RetryPolicyJson, IsEmptyWhereThereIsNone) {
  for (const std::string_view policy :
       {"", "{}", "[]", "null", "5", "\"retry_policy\"", "{\"retry_policy\":{\"max_retries\":2}",
        "{\"retry_policy\":{}}x", "{\"retry_policy\":}", "{\"retry_policy\":1,}", "{", "x",
        "{\"retry_policy\":\"\xff\"}", "{retry_policy:1}", "{\"retry_policy\" 1}",
        "{\"retry_policy\":2,\"x", "{\"retry_policy\":2,\"\xff\":1}",
        "{\"retry_policy\":2,\"\\q\":1}"}) {
    EXPECT_EQ(FindRetryPolicy(policy), "") << policy;
  }
  // This nesting is deeper than FlowFabric reads.
  const std::string deep =
      "{\"retry_policy\":" + std::string(200, '[') + std::string(200, ']') + "}";
  EXPECT_EQ(FindRetryPolicy(deep), "");
}

TEST(RetryPolicyJson, FaultsAreTheOnesThatEndTheFunctionHalfWay) {
  for (const std::string_view good : {"",
                                      "null",
                                      "[]",
                                      "{}",
                                      "5",
                                      R"({"max_retries":2,"backoff":{}})",
                                      R"({"max_retries":-1})",
                                      R"({"max_retries":"2"})",
                                      R"({"max_retries":"1.5"})",
                                      R"({"max_retries":false})",
                                      R"({"backoff":"x"})",
                                      R"({"backoff":[]})",
                                      R"({"backoff":false})",
                                      R"({"retryable_categories":null})",
                                      R"({"max_retries":"0x10"})",
                                      R"({"max_retries":"0XfF "})",
                                      R"({"max_retries":"2\u0000 3"})",
                                      R"({"max_retries":"-0x1p4"})",
                                      R"({"max_retries":" +2 "})",
                                      R"({"max_retries":"\u0032"})",
                                      R"({"max_retries":"1e3"})",
                                      R"({"max_retries":"\t\n\u000b\f\r 3 \t\n\u000b\f\r"})",
                                      R"({"max_retries":null,"max_retries":2})",
                                      R"({"backoff":7,"backoff":{}})"}) {
    EXPECT_EQ(FaultOfRetryPolicy(good), "") << good;
  }
  for (const std::string_view bad :
       {R"({"max_retries":null})", R"({"max_retries":true})", R"({"max_retries":{}})",
        R"({"max_retries":"two"})", R"({"max_retries":""})", R"({"max_retries":[]})",
        R"({"max_retries":"2 3"})", R"({"max_retries":"0xg"})", R"({"max_retries":"0X"})",
        R"({"max_retries":"5x1"})", R"({"max_retries":" "})",
        R"({"max_retries":2,"max_retries":null})"}) {
    EXPECT_EQ(FaultOfRetryPolicy(bad), "retry_policy: max_retries is no number") << bad;
  }
  for (const std::string_view bad :
       {R"({"backoff":null})", R"({"backoff":true})", R"({"max_retries":1,"backoff":7})"}) {
    EXPECT_EQ(FaultOfRetryPolicy(bad), "retry_policy: backoff is no object") << bad;
  }
}

}  // namespace
}  // namespace ffgrant
