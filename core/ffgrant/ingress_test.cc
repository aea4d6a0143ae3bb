// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/ingress.h"

#include <gtest/gtest.h>

#include <string_view>

#include "ffgrant/execution_id.h"

namespace ffgrant {
namespace {

#define U "11111111-1111-4111-8111-111111111111"

using enum IngressError;

ClaimGrantView Grant(std::string_view id, std::string_view key, std::string_view grant_key) {
  const ExecutionIdResult parsed = ParseExecutionId(id, ParseMode::kLenient);
  EXPECT_TRUE(parsed) << id;
  return {parsed.id, key, grant_key, 1'700'000'000'000};
}

struct Row {
  std::string_view id;
  std::string_view partition_key;
  std::string_view grant_key;
  IngressError error;
};

#define KEY "ff:exec:{fp:7}:{fp:7}:" U ":claim_grant"

constexpr Row kRows[] = {
    {"{fp:7}:" U, "{fp:7}", KEY, kNone},
    {"{fp:0}:" U, "{fp:0}", "ff:exec:{fp:0}:{fp:0}:" U ":claim_grant", kNone},
    {"{fp:255}:" U, "{fp:255}", "ff:exec:{fp:255}:{fp:255}:" U ":claim_grant", kNone},

    {"{fp:+7}:" U, "{fp:7}", KEY, kNonCanonicalExecutionId},
    {"{fp:07}:" U, "{fp:7}", KEY, kNonCanonicalExecutionId},
    {"{fp:7}:{" U "}", "{fp:7}", KEY, kNonCanonicalExecutionId},
    {"{fp:7}:1111111111114111811111111111111A", "{fp:7}", KEY, kNonCanonicalExecutionId},

    {"{fp:7}:" U, "", KEY, kInvalidPartitionKey},
    {"{fp:7}:" U, "{zz:0}", KEY, kInvalidPartitionKey},
    {"{fp:7}:" U, "{fp:65536}", KEY, kInvalidPartitionKey},
    {"{fp:7}:" U, "{fp:7", KEY, kInvalidPartitionKey},

    {"{fp:7}:" U, "{fp:+7}", KEY, kNonCanonicalPartitionKey},
    {"{fp:7}:" U, "{fp:007}", KEY, kNonCanonicalPartitionKey},

    {"{fp:256}:" U, "{fp:256}", "", kPartitionOutOfRange},
    {"{fp:65535}:" U, "{fp:65535}", "", kPartitionOutOfRange},

    {"{fp:7}:" U, "{fp:8}", KEY, kTagMismatch},
    {"{fp:7}:" U, "{b:7}", KEY, kTagMismatch},
    {"{fp:7}:" U, "{q:7}", KEY, kTagMismatch},

    {"{fp:7}:" U, "{fp:7}", "ff:exec:", kGrantKeyMismatch},
    {"{fp:7}:" U, "{fp:7}", "ff:exec:{fp:7}:{fp:7}:" U ":core", kGrantKeyMismatch},
    {"{fp:7}:" U, "{fp:7}", KEY "x", kGrantKeyMismatch},
    {"{fp:7}:" U, "{fp:7}", "ff:exec:{fp:7}:{fp:7}:" U ":claim_gran", kGrantKeyMismatch},
    {"{fp:7}:" U, "{fp:7}", "ff:exec:{fp:8}:{fp:7}:" U ":claim_grant", kGrantKeyMismatch},
    {"{fp:7}:" U, "{fp:7}",
     "ff:exec:{fp:7}:{fp:7}:21111111-1111-4111-8111-111111111111:claim_grant", kGrantKeyMismatch},

    // A grant key of another ledger is opaque.
    {"{fp:7}:" U, "{fp:7}", "", kNone},
    {"{fp:7}:" U, "{fp:7}", "pg:{fp:8}:x:1:k:00", kNone},
    {"{fp:7}:" U, "{fp:7}", "ff:exec", kNone},
    {"{fp:7}:" U, "{fp:7}", "FF:EXEC:{fp:8}", kNone},
    {"{fp:7}:" U, "{fp:7}", " " KEY "x", kNone},

    // If several checks fail, the first one is reported.
    {"{fp:0256}:" U, "{zz:0}", "ff:exec:x", kNonCanonicalExecutionId},
    {"{fp:256}:" U, "{zz:0}", "ff:exec:x", kInvalidPartitionKey},
    {"{fp:256}:" U, "{fp:+8}", "ff:exec:x", kNonCanonicalPartitionKey},
    {"{fp:256}:" U, "{fp:256}", "ff:exec:x", kPartitionOutOfRange},
    // Only the index of the partition key is checked against the range. If the tags are equal, the
    // id has the same index.
    {"{fp:7}:" U, "{fp:256}", "ff:exec:x", kPartitionOutOfRange},
    {"{fp:7}:" U, "{b:32}", "ff:exec:x", kPartitionOutOfRange},
    {"{fp:256}:" U, "{fp:8}", "ff:exec:x", kTagMismatch},
    {"{fp:7}:" U, "{fp:8}", "ff:exec:x", kTagMismatch},
};

TEST(IngressTest, ChecksInOrder) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.id);
    SCOPED_TRACE(row.partition_key);
    SCOPED_TRACE(row.grant_key);
    const ClaimGrantView grant = Grant(row.id, row.partition_key, row.grant_key);
    EXPECT_EQ(ErrorName(CheckIngress(grant, PartitionConfig{})), ErrorName(row.error));
  }
}

TEST(IngressTest, TheRangeIsTheDeployments) {
  const ClaimGrantView grant = Grant("{fp:300}:" U, "{fp:300}", "");
  EXPECT_EQ(CheckIngress(grant, {300, 32, 32}), kPartitionOutOfRange);
  EXPECT_EQ(CheckIngress(grant, {301, 32, 32}), IngressError::kNone);
  EXPECT_EQ(CheckIngress(grant, {65535, 1, 1}), IngressError::kNone);
  EXPECT_EQ(CheckIngress(grant, {0, 32, 32}), kPartitionOutOfRange);
}

TEST(IngressTest, ANonCanonicalIdIsRefusedEvenWithItsOwnGrantKey) {
  const ClaimGrantView grant =
      Grant("{fp:+7}:" U, "{fp:7}", "ff:exec:{fp:7}:{fp:+7}:" U ":claim_grant");
  EXPECT_EQ(CheckIngress(grant, PartitionConfig{}), kNonCanonicalExecutionId);
}

TEST(IngressTest, AnElapsedGrantPasses) {
  ClaimGrantView grant = Grant("{fp:7}:" U, "{fp:7}", KEY);
  grant.expires_at_ms = 0;
  EXPECT_EQ(CheckIngress(grant, PartitionConfig{}), IngressError::kNone);
}

TEST(IngressTest, ErrorsHaveDistinctNames) {
  constexpr IngressError kErrors[] = {IngressError::kNone,  kNonCanonicalExecutionId,
                                      kInvalidPartitionKey, kNonCanonicalPartitionKey,
                                      kPartitionOutOfRange, kTagMismatch,
                                      kGrantKeyMismatch};
  for (const IngressError a : kErrors) {
    EXPECT_FALSE(ErrorName(a).empty());
    for (const IngressError b : kErrors) {
      EXPECT_EQ(ErrorName(a) == ErrorName(b), a == b);
    }
  }
}

#undef KEY
#undef U

}  // namespace
}  // namespace ffgrant
