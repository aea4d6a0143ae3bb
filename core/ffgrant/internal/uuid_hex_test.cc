// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/uuid_hex.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace ffgrant::internal {
namespace {

constexpr std::string_view kText = "550e8400-e29b-41d4-a716-446655440fff";

// Puts every byte value at every place. Both implementations must find a byte in a digit's place
// that is no lowercase digit, and a byte in a hyphen's place that is no hyphen.
TEST(UuidHexTest, BothImplementationsFindEveryWrongByte) {
  for (std::size_t place = 0; place < kText.size(); ++place) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(kText);
      text[place] = static_cast<char>(byte);
      const bool hyphen_place = kText[place] == '-';
      const bool hex = std::string_view("0123456789abcdef").find(text[place]) != std::string::npos;
      const bool expected = hyphen_place ? byte == '-' : hex;
      Uuid one;
      Uuid other;
      ASSERT_EQ(ParseCanonicalUuid(text.data(), one), expected) << text;
      ASSERT_EQ(ParseCanonicalUuidPortable(text.data(), other), expected) << text;
      if (!expected) continue;
      EXPECT_EQ(one, other);
      std::string written(kUuidTextSize, '?');
      WriteCanonicalUuid(one, written.data());
      EXPECT_EQ(written, text);
    }
  }
}

}  // namespace
}  // namespace ffgrant::internal
