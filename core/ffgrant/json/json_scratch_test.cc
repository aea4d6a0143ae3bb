// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_scratch.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "ffgrant/internal/poison.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/json_memory.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant {
namespace {

// The document is not canonical, so it needs a scratch.
constexpr std::string_view kDocument =
    R"( {"execution_id":"\u0065","partition_key":"p","grant_key":"k","expires_at_ms":1})";

bool Parses(JsonScratch& scratch) {
  ClaimResponseView response;
  const JsonResult result = ParseClaimResponse(kDocument, scratch, response);
  return result && response == ClaimResponseView{"e", "p", "k", 1};
}

TEST(JsonScratchTest, KnowsItsSize) {
  EXPECT_EQ(JsonScratch().max_document_size(), kDefaultMaxDocumentSize);
  for (const std::size_t size : {0, 1, 31, 32, 100'000}) {
    EXPECT_EQ(JsonScratch(size).max_document_size(), size);
  }
}

TEST(JsonScratchTest, CanBeAssigned) {
  JsonScratch scratch(8);
  EXPECT_FALSE(Parses(scratch));
  scratch = JsonScratch(kDocument.size());
  EXPECT_EQ(scratch.max_document_size(), kDocument.size());
  EXPECT_TRUE(Parses(scratch));
  // A moved-from scratch can be assigned a new one.
  JsonScratch other(std::move(scratch));
  scratch = JsonScratch();
  EXPECT_TRUE(Parses(scratch));
  EXPECT_TRUE(Parses(other));
}

// No block of memory can be as large as these sizes need.
TEST(JsonScratchTest, SizesThatOverflow) {
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  EXPECT_THROW(JsonScratch{kMax}, std::bad_alloc);
  EXPECT_THROW(JsonScratch{kMax / 2 + 1}, std::bad_alloc);
}

TEST(JsonScratchTest, AllocatesOnFirstNeedAndOnce) {
  JsonScratch scratch;
  EXPECT_EQ(testing::CountAllocations([] { JsonScratch unused; }), 0u);
  ClaimResponseView response;
  constexpr std::string_view kCanonical =
      R"({"execution_id":"e","partition_key":"p","grant_key":"k","expires_at_ms":1})";
  EXPECT_EQ(testing::CountAllocations(
                [&] { EXPECT_TRUE(ParseClaimResponse(kCanonical, scratch, response)); }),
            0u);
  EXPECT_EQ(testing::CountAllocations([&] { EXPECT_TRUE(Parses(scratch)); }), 1u);
  EXPECT_EQ(testing::CountAllocations([&] { EXPECT_TRUE(Parses(scratch)); }), 0u);
  JsonScratch reserved;
  EXPECT_EQ(testing::CountAllocations([&] { reserved.Reserve(); }), 1u);
  EXPECT_EQ(testing::CountAllocations([&] { EXPECT_TRUE(Parses(reserved)); }), 0u);
}

TEST(JsonScratchTest, TheAllocationMayFail) {
  if (!testing::kFailsMalloc) GTEST_SKIP() << "another malloc";
  JsonScratch scratch;
  testing::FailAllocation(1);
  EXPECT_THROW(scratch.Reserve(), std::bad_alloc);
  ClaimResponseView response = {"before", "", "", 0};
  testing::FailAllocation(1);
  const JsonResult result = ParseClaimResponse(kDocument, scratch, response);
  testing::FailAllocation(0);
  EXPECT_EQ(result, (JsonResult{JsonError::kOutOfMemory, 0, {}}));
  EXPECT_EQ(response.execution_id, "before");
  // The first byte of this document is at fault, but the scratch is looked at before that byte.
  testing::FailAllocation(1);
  const JsonResult not_json = ParseClaimResponse("x", scratch, response);
  testing::FailAllocation(1);
  ClaimGrantView grant;
  const JsonResult no_grant = ParseClaimGrant("x", scratch, grant).json;
  testing::FailAllocation(0);
  EXPECT_EQ(not_json, result);
  EXPECT_EQ(no_grant, result);
  EXPECT_TRUE(Parses(scratch));
}

// In builds with AddressSanitizer an overrun from one area into the next is found.
TEST(JsonScratchTest, AreasHaveAGapBetweenThem) {
  for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 65'536u}) {
    JsonScratch scratch(size);
    scratch.Reserve();
    const auto memory = internal::JsonMemory::Of(scratch);
    const auto* const nesting = reinterpret_cast<const char*>(memory.nesting);
    for (const char* p = nesting; p != memory.text; ++p) {
      const bool in_gap = p >= memory.text - internal::kGapBytes;
      ASSERT_EQ(internal::MayTouch(p), !in_gap) << size << ' ' << p - nesting;
    }
    EXPECT_GE(8 * static_cast<std::size_t>(memory.text - internal::kGapBytes - nesting), size);
    EXPECT_TRUE(internal::MayTouch(memory.text));
    EXPECT_TRUE(internal::MayTouch(memory.text + size + internal::JsonMemory::kSlack));
  }
}

}  // namespace
}  // namespace ffgrant
