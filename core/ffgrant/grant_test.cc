// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/grant.h"

#include <gtest/gtest.h>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "testing/naive/allocation_counter.h"

namespace ffgrant {
namespace {

using testing::CountAllocations;

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kGrantKey =
    "ff:exec:{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111:claim_grant";

ClaimGrantView Claim(std::string_view id = kId, std::string_view partition_key = "{fp:7}",
                     std::string_view grant_key = kGrantKey,
                     std::uint64_t expires_at_ms = 1'700'000'000'000) {
  const ExecutionIdResult parsed = ParseExecutionId(id, ParseMode::kLenient);
  EXPECT_TRUE(parsed);
  return {parsed.id, partition_key, grant_key, expires_at_ms};
}

LaneIdView Lane(std::string_view text) { return LaneIdView::Unchecked(text); }

TEST(GrantTest, EqualityIsFieldByField) {
  EXPECT_EQ(Claim(), Claim());
  EXPECT_NE(Claim(), Claim("{fp:07}:11111111-1111-4111-8111-111111111111"));
  EXPECT_NE(Claim(), Claim(kId, "{fp:+7}"));
  EXPECT_NE(Claim(), Claim(kId, "{fp:7}", ""));
  EXPECT_NE(Claim(), Claim(kId, "{fp:7}", kGrantKey, 0));
  EXPECT_EQ((ResumeGrantView{Claim(), Lane("a")}), (ResumeGrantView{Claim(), Lane("a")}));
  EXPECT_NE((ResumeGrantView{Claim(), Lane("a")}), (ResumeGrantView{Claim(), Lane("b")}));
  EXPECT_NE((ReclaimGrantView{Claim(), Lane("a")}), (ReclaimGrantView{Claim(), Lane("b")}));
  EXPECT_NE((ReclaimGrantView{Claim(), Lane("a")}),
            (ReclaimGrantView{Claim(kId, "{b:1}"), Lane("a")}));
}

TEST(GrantTest, PartitionParsesTheKeyAndComesBackAsFlow) {
  const ClaimGrantView grant = Claim();
  EXPECT_EQ(grant.execution_id.partition(), (Partition{PartitionFamily::kExecution, 7}));
  const Partition flow{PartitionFamily::kFlow, 7};
  EXPECT_EQ(grant.partition().partition, flow);
  EXPECT_EQ(grant.partition().partition, CollapseAlias(grant.execution_id.partition()));
  EXPECT_EQ((ResumeGrantView{grant, Lane("a")}).partition().partition, flow);
  EXPECT_EQ((ReclaimGrantView{grant, Lane("a")}).partition().partition, flow);
}

TEST(GrantTest, PartitionIsLenientUnlessToldOtherwise) {
  const ClaimGrantView padded = Claim(kId, "{fp:07}");
  EXPECT_TRUE(padded.partition());
  EXPECT_EQ(padded.partition(ParseMode::kStrict).error, PartitionKeyError::kLeadingZero);
  const ClaimGrantView unknown = Claim(kId, "{zz:0}");
  EXPECT_EQ(unknown.partition().error, PartitionKeyError::kUnknownFamilyPrefix);
  EXPECT_EQ(unknown.partition().payload, "zz");
  const ResumeGrant owned(ResumeGrantView{padded, Lane("a")});
  EXPECT_TRUE(owned.partition());
  EXPECT_EQ(owned.partition(ParseMode::kStrict).error, PartitionKeyError::kLeadingZero);
}

TEST(GrantTest, OwnedGrantsOutliveTheirTexts) {
  std::string id(kId);
  std::string partition_key = "{fp:7}";
  std::string grant_key(kGrantKey);
  std::string lane = "main";
  const ClaimGrantView view = Claim(id, partition_key, grant_key);
  const ClaimGrant claim(view);
  const ResumeGrant resume(ResumeGrantView{view, Lane(lane)});
  const ReclaimGrant reclaim(ReclaimGrantView{view, Lane(lane)});
  for (std::string* text : {&id, &partition_key, &grant_key, &lane}) {
    text->assign(text->size(), 'x');
  }
  EXPECT_EQ(claim.view(), Claim());
  EXPECT_EQ(resume.view(), (ResumeGrantView{Claim(), Lane("main")}));
  EXPECT_EQ(reclaim.view(), (ReclaimGrantView{Claim(), Lane("main")}));
  EXPECT_EQ(claim.view().execution_id.partition().index, 7);
  EXPECT_TRUE(claim.view().execution_id.is_canonical());
}

TEST(GrantTest, OwnedGrantsCompareByValue) {
  const ClaimGrant a(Claim());
  ClaimGrant b;
  EXPECT_NE(a, b);
  b.assign(Claim());
  EXPECT_EQ(a, b);
  const ReclaimGrant on_a(ReclaimGrantView{Claim(), Lane("a")});
  EXPECT_EQ(on_a, ReclaimGrant(ReclaimGrantView{Claim(), Lane("a")}));
  EXPECT_NE(on_a, ReclaimGrant(ReclaimGrantView{Claim(), Lane("b")}));
  EXPECT_NE(on_a, ReclaimGrant(ReclaimGrantView{Claim(kId, "{b:1}"), Lane("a")}));
}

TEST(GrantTest, TextsAreCopiedVerbatim) {
  const std::string_view odd("\0\xFF{\n", 4);
  const ClaimGrant grant(Claim(kId, odd, odd));
  EXPECT_EQ(grant.view().partition_key, odd);
  EXPECT_EQ(grant.view().grant_key, odd);
}

TEST(GrantTest, AssigningReusesCapacity) {
  const std::string long_key(200, 'k');
  ClaimGrant claim(Claim(kId, long_key, long_key));
  ResumeGrant resume(ResumeGrantView{Claim(kId, long_key, long_key), Lane(long_key)});
  const ReclaimGrant source(ReclaimGrantView{Claim(), Lane("main")});
  ReclaimGrant reclaim(ReclaimGrantView{Claim(kId, long_key, long_key), Lane(long_key)});
  const ClaimGrantView view = Claim();
  EXPECT_EQ(CountAllocations([&] {
              claim.assign(view);
              resume.assign(ResumeGrantView{view, Lane("main")});
              reclaim = source;
            }),
            0u);
  EXPECT_EQ(claim.view(), view);
  EXPECT_EQ(resume.view(), (ResumeGrantView{view, Lane("main")}));
  EXPECT_EQ(reclaim, source);
}

TEST(GrantTest, CopyingDoesAllocate) {
  const ClaimGrant claim(Claim());
  EXPECT_GT(CountAllocations([&] {
              const ClaimGrant copy = claim;
              EXPECT_EQ(copy.view().grant_key, kGrantKey);
            }),
            0u);
}

TEST(GrantTest, MovingDoesNotAllocate) {
  ClaimGrant claim(Claim());
  EXPECT_EQ(CountAllocations([&] {
              const ClaimGrant moved = std::move(claim);
              EXPECT_EQ(moved.view().grant_key, kGrantKey);
            }),
            0u);
}

template <class T>
concept GivesView = requires(T grant) {
  static_cast<T&&>(grant).view();
};
template <class T>
concept GivesPartition = requires(T grant) {
  static_cast<T&&>(grant).partition();
};

static_assert(GivesView<const ClaimGrant&> && GivesPartition<const ClaimGrant&>);
static_assert(GivesView<const ResumeGrant&> && GivesPartition<const ResumeGrant&>);
static_assert(GivesView<const ReclaimGrant&> && GivesPartition<const ReclaimGrant&>);
static_assert(!GivesView<ClaimGrant> && !GivesPartition<ClaimGrant>, "would dangle");
static_assert(!GivesView<const ClaimGrant> && !GivesPartition<const ClaimGrant>, "would dangle");
static_assert(!GivesView<ResumeGrant> && !GivesPartition<ResumeGrant>, "would dangle");
static_assert(!GivesView<ReclaimGrant> && !GivesPartition<ReclaimGrant>, "would dangle");

// A resume grant does not convert to a reclaim grant, and an id cannot be made without a parse.
static_assert(!std::is_convertible_v<ResumeGrant, ReclaimGrant>);
static_assert(!std::is_constructible_v<ReclaimGrant, ResumeGrant>);
static_assert(!std::is_constructible_v<ReclaimGrant, ResumeGrantView>);
static_assert(!std::equality_comparable_with<ResumeGrant, ReclaimGrant>);
static_assert(!std::is_constructible_v<ExecutionIdView, std::string_view>);
static_assert(!std::is_convertible_v<std::string_view, LaneIdView>);

}  // namespace
}  // namespace ffgrant
