// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/write_result.h"

#include <gtest/gtest.h>

namespace ffgrant {
namespace {

TEST(WriteResultTest, ErrorsHaveNames) {
  EXPECT_EQ(ErrorName(WriteError::kNone), "none");
  EXPECT_EQ(ErrorName(WriteError::kBufferTooSmall), "buffer_too_small");
  EXPECT_EQ(ErrorName(WriteError::kInvalidUtf8), "invalid_utf8");
}

TEST(WriteResultTest, IsTrueWithoutAnError) {
  EXPECT_TRUE(WriteResult());
  EXPECT_TRUE((WriteResult{7, WriteError::kNone}));
  EXPECT_FALSE((WriteResult{7, WriteError::kBufferTooSmall}));
  EXPECT_FALSE((WriteResult{0, WriteError::kInvalidUtf8}));
  EXPECT_EQ((WriteResult{7, WriteError::kNone}), (WriteResult{7, WriteError::kNone}));
  EXPECT_FALSE((WriteResult{7, WriteError::kNone}) == (WriteResult{8, WriteError::kNone}));
  EXPECT_FALSE((WriteResult{0, WriteError::kInvalidUtf8}) == WriteResult());
}

}  // namespace
}  // namespace ffgrant
