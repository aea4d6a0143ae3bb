// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/argument_checks.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace ffgrant::valkey::internal {
namespace {

constexpr PartitionConfig kPartitions = {.num_flow_partitions = 8};
constexpr std::string_view kGood = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kBeyond = "{fp:8}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kOtherSpelling = "{fp:07}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kBoth = "{fp:08}:11111111-1111-4111-8111-111111111111";

ExecutionIdView IdOf(std::string_view text) {
  const auto parsed = ParseExecutionId(text, ParseMode::kLenient);
  EXPECT_TRUE(parsed) << text;
  return parsed.id;
}

// Returns the error's name, and after it all texts in `details`.
std::string Shown(ClaimError error, const ErrorDetails& details) {
  std::string shown(ErrorName(error));
  for (std::size_t i = 0; i < details.size(); ++i) shown += ": " + std::string(details[i]);
  return shown;
}

TEST(ArgumentChecks, AnIdThatCantHaveBeenCreatedIsNotFound) {
  EXPECT_EQ(CheckId(IdOf(kGood), kPartitions), ClaimError::kNone);
  for (const std::string_view text : {kBeyond, kOtherSpelling, kBoth}) {
    EXPECT_EQ(CheckId(IdOf(text), kPartitions), ClaimError::kExecutionNotFound) << text;
  }
  EXPECT_EQ(CheckId(IdOf(kBeyond), {}), ClaimError::kNone);
}

TEST(ArgumentChecks, ATtlThatIsRefusedWinsOverTheId) {
  const struct {
    std::int64_t ttl_ms;
    std::string_view id;
    std::string_view expected;
  } kCases[] = {
      {0, kGood, "none"},
      {kMaxTtlMs, kGood, "none"},
      {-kMaxTtlMs, kGood, "none"},
      {kMaxTtlMs + 1, kGood, "invalid_input: too much"},
      {-kMaxTtlMs - 1, kGood, "invalid_input: too much"},
      {INT64_MIN, kBeyond, "invalid_input: too much"},
      {INT64_MAX, kOtherSpelling, "invalid_input: too much"},
      {kMaxTtlMs, kBeyond, "execution_not_found"},
      {0, kOtherSpelling, "execution_not_found"},
  };
  for (const auto& c : kCases) {
    ErrorDetails details;
    ASSERT_TRUE(details.Add("an earlier call's"));
    const ClaimError error = CheckTtlAndId(c.ttl_ms, "too much", IdOf(c.id), kPartitions, &details);
    EXPECT_EQ(Shown(error, details), c.expected) << c.ttl_ms << " " << c.id;
    EXPECT_EQ(CheckTtlAndId(c.ttl_ms, "too much", IdOf(c.id), kPartitions, nullptr), error);
  }
}

TEST(ArgumentChecks, WhatCantBeCreated) {
  const LaneIdView lane = ParseLaneId("main").lane;
  const auto at = [](std::int64_t value) { return std::optional(TimestampMs{value}); };
  const struct {
    std::string_view id;
    LaneIdView lane;
    std::optional<TimestampMs> delay_until;
    std::string_view expected;
  } kCases[] = {
      {kGood, lane, {}, "none"},
      {kGood, lane, at(0), "none"},
      {kGood, lane, at(kMaxTtlMs), "none"},
      {kGood, lane, at(-kMaxTtlMs), "none"},
      {kGood, lane, at(kMaxTtlMs + 1), "none"},
      {kGood, lane, at(-kMaxTtlMs - 1), "none"},
      {kGood, lane, at(INT64_MAX), "none"},
      {kGood, lane, at(INT64_MIN), "none"},
      // An error of the id wins over one of the lane, and a text that is not canonical over an
      // index out of range.
      {kBeyond, {}, at(INT64_MAX), "invalid_input: partition index is out of range"},
      {kBoth, {}, at(INT64_MAX), "invalid_input: execution_id is not canonical"},
  };
  for (const auto& c : kCases) {
    const CreateExecutionArgs args = {
        .execution_id = IdOf(c.id), .lane = c.lane, .delay_until = c.delay_until};
    ErrorDetails details;
    ASSERT_TRUE(details.Add("an earlier call's"));
    const ClaimError error = CheckCreate(args, kPartitions, &details);
    EXPECT_EQ(Shown(error, details), c.expected);
    EXPECT_EQ(CheckCreate(args, kPartitions, nullptr), error);
  }
  // No parser has checked this lane.
  ErrorDetails details;
  const ClaimError error =
      CheckCreate({.execution_id = IdOf(kGood), .lane = {}, .delay_until = at(INT64_MAX)},
                  kPartitions, &details);
  EXPECT_EQ(error, ClaimError::kInvalidInput);
  ASSERT_EQ(details.size(), 1u);
  EXPECT_EQ(details[0], "lane_id is empty");
}

}  // namespace
}  // namespace ffgrant::valkey::internal
