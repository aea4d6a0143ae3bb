// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/json_scratch.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant {
namespace {

// Not canonical, so that it needs a scratch.
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
  // What was moved from takes a new one.
  JsonScratch other(std::move(scratch));
  scratch = JsonScratch();
  EXPECT_TRUE(Parses(scratch));
  EXPECT_TRUE(Parses(other));
}

// Their memory has no size that a number could say.
TEST(JsonScratchTest, SizesThatOverflow) {
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  EXPECT_THROW(JsonScratch{kMax}, std::bad_alloc);
  EXPECT_THROW(JsonScratch{kMax / 2 + 1}, std::bad_alloc);
}

TEST(JsonScratchTest, EveryAllocationMayFail) {
  if (!testing::kFailsMalloc) GTEST_SKIP() << "another malloc";
  { const JsonScratch first; }  // which allocates what simdjson keeps for all
  const std::size_t needed = testing::CountAllocations([] { JsonScratch scratch; });
  ASSERT_GT(needed, 2u);
  for (std::size_t nth = 1; nth <= needed; ++nth) {
    testing::FailAllocation(nth);
    EXPECT_THROW(JsonScratch{}, std::bad_alloc) << nth;
  }
  testing::FailAllocation(0);
  JsonScratch scratch;
  EXPECT_TRUE(Parses(scratch));
}

// Larger than simdjson can take: the reader does without it.
TEST(JsonScratchTest, DocumentsOfMoreThanFourGigabytes) {
  if (!testing::kFailsMalloc) GTEST_SKIP() << "a sanitizer touches what it allocates";
  std::optional<JsonScratch> scratch;
  try {
    scratch.emplace(std::size_t{1} << 32);
  } catch (const std::bad_alloc&) {
    GTEST_SKIP() << "not even the addresses";
  }
  EXPECT_EQ(scratch->max_document_size(), std::size_t{1} << 32);
  EXPECT_TRUE(Parses(*scratch));
  std::string json(kDocument);
  json.append(5000, ' ');
  ClaimResponseView response;
  EXPECT_FALSE(internal::ParseClaimResponseSimdjson(json, *scratch, response));
  EXPECT_TRUE(ParseClaimResponse(json, *scratch, response));
  EXPECT_EQ(response.grant_key, "k");
}

}  // namespace
}  // namespace ffgrant
