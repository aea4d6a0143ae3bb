// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/uuid.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant {
namespace {

using testing::ForEachSingleByteEdit;
using testing::GuardedBuffer;
using testing::Mutated;
using testing::NaiveParseUuid;
using testing::NaiveUuidText;

constexpr Uuid kUuid{{0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55,
                      0x44, 0x00, 0x00}};

std::string Text(const Uuid& uuid) {
  std::string text(kUuidTextSize, '\0');
  FormatUuid(uuid, std::span<char, kUuidTextSize>(text.data(), kUuidTextSize));
  return text;
}

struct Row {
  std::string_view text;
  UuidError lenient;
  std::size_t lenient_offset;
  UuidError strict;
  std::size_t strict_offset;
};

using enum UuidError;

// kUuid in all four forms that contract 1.5 accepts, with digits in either case.
constexpr Row kAccepted[] = {
    {"550e8400-e29b-41d4-a716-446655440000", kNone, 0, kNone, 0},
    {"550E8400-E29B-41D4-A716-446655440000", kNone, 0, kUppercaseDigit, 3},
    {"550e8400-e29B-41d4-a716-446655440000", kNone, 0, kUppercaseDigit, 12},
    {"550e8400e29b41d4a716446655440000", kNone, 0, kNonCanonicalForm, 0},
    {"550E8400E29B41D4A716446655440000", kNone, 0, kNonCanonicalForm, 0},
    {"{550e8400-e29b-41d4-a716-446655440000}", kNone, 0, kNonCanonicalForm, 0},
    {"{550E8400-E29B-41D4-A716-446655440000}", kNone, 0, kNonCanonicalForm, 0},
    {"urn:uuid:550e8400-e29b-41d4-a716-446655440000", kNone, 0, kNonCanonicalForm, 0},
    {"urn:uuid:550E8400-E29B-41D4-A716-446655440000", kNone, 0, kNonCanonicalForm, 0},
};

TEST(UuidTest, AcceptsFourFormsInEitherCase) {
  for (const Row& row : kAccepted) {
    SCOPED_TRACE(row.text);
    EXPECT_EQ(ParseUuid(row.text, ParseMode::kLenient), (UuidResult{kUuid, kNone, 0}));
  }
}

TEST(UuidTest, StrictAcceptsLowercaseHyphenatedAlone) {
  for (const Row& row : kAccepted) {
    SCOPED_TRACE(row.text);
    const UuidResult strict = ParseUuid(row.text, ParseMode::kStrict);
    EXPECT_EQ(strict.error, row.strict);
    EXPECT_EQ(strict.offset, row.strict_offset);
    if (strict) {
      EXPECT_EQ(strict.uuid, kUuid);
    }
  }
}

constexpr Row Rejected(std::string_view text, UuidError error, std::size_t offset) {
  return {text, error, offset, error, offset};
}

constexpr Row kRejected[] = {
    Rejected("", kInvalidLength, 0),
    Rejected("5", kInvalidLength, 1),
    Rejected("550e8400-e29b-41d4-a716-44665544000", kInvalidLength, 35),
    Rejected("550e8400-e29b-41d4-a716-4466554400000", kInvalidLength, 37),
    Rejected(" 550e8400-e29b-41d4-a716-446655440000", kInvalidLength, 37),
    Rejected("550e8400-e29b-41d4-a716-446655440000\n", kInvalidLength, 37),
    Rejected("{550e8400e29b41d4a716446655440000}", kInvalidLength, 34),
    Rejected("urn:uuid:550e8400e29b41d4a716446655440000", kInvalidLength, 41),
    Rejected("550e8400e29b41d4a71644665544000", kInvalidLength, 31),
    Rejected("550e8400e29b41d4a7164466554400000", kInvalidLength, 33),
    Rejected("URN:UUID:550e8400-e29b-41d4-a716-446655440000", kInvalidCharacter, 0),
    Rejected("Urn:uuid:550e8400-e29b-41d4-a716-446655440000", kInvalidCharacter, 0),
    Rejected("urn:uuiD:550e8400-e29b-41d4-a716-446655440000", kInvalidCharacter, 7),
    Rejected("urn:uuid-550e8400-e29b-41d4-a716-446655440000", kInvalidCharacter, 8),
    Rejected("(550e8400-e29b-41d4-a716-446655440000)", kInvalidCharacter, 0),
    Rejected("{550e8400-e29b-41d4-a716-446655440000)", kInvalidCharacter, 37),
    Rejected(" 550e8400-e29b-41d4-a716-446655440000 ", kInvalidCharacter, 0),
    Rejected("{550e8400-e29b-41d4-a716-44665544000g}", kInvalidCharacter, 36),
    Rejected("550e8400-e29b-41d4-a716-44665544000g", kInvalidCharacter, 35),
    Rejected("550e8400-e29b-41d4a716-4466-55440000", kInvalidCharacter, 18),
    Rejected("550e8400_e29b-41d4-a716-446655440000", kInvalidCharacter, 8),
    Rejected("550e8400-e29b-41d4-a716-4466554400-0", kInvalidCharacter, 34),
    Rejected("550e8400-e29b41d4-a716-446655440000-", kInvalidCharacter, 13),
    Rejected("550e8400e29b41d4a71644665544000-", kInvalidCharacter, 31),
    Rejected("x50e8400-e29b-41d4-a716-44665544000g", kInvalidCharacter, 0),
    Rejected("550e8400-e29b-41d4-a716-44665544000\xC3", kInvalidCharacter, 35),
    Rejected("550e8400-e29b-41d4-a716-4466554400\xC3\xA9", kInvalidCharacter, 34),
    // A broken text has the same error in strict mode as in lenient mode.
    Rejected("550E8400-e29b-41d4-a716-44665544000g", kInvalidCharacter, 35),
    Rejected("{550e8400-e29b-41d4-a716-446655440000{", kInvalidCharacter, 37),
};

TEST(UuidTest, RejectsEverythingElseInBothModes) {
  for (const Row& row : kRejected) {
    SCOPED_TRACE(::testing::PrintToString(row.text));
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const UuidResult result = ParseUuid(row.text, mode);
      EXPECT_FALSE(result);
      EXPECT_EQ(ErrorName(result.error), ErrorName(row.lenient));
      EXPECT_EQ(result.offset, row.lenient_offset);
    }
  }
}

TEST(UuidTest, VersionAndVariantAreNotLookedAt) {
  const std::string_view nil = "00000000-0000-0000-0000-000000000000";
  const std::string_view max = "ffffffff-ffff-ffff-ffff-ffffffffffff";
  EXPECT_EQ(ParseUuid(nil, ParseMode::kStrict), (UuidResult{Uuid{}, kNone, 0}));
  const UuidResult result = ParseUuid(max, ParseMode::kStrict);
  ASSERT_TRUE(result);
  for (const std::uint8_t byte : result.uuid.bytes) {
    EXPECT_EQ(byte, 0xFF);
  }
}

// Compares the parser with the oracle on `text`.
void Compare(std::string_view text, GuardedBuffer& buffer) {
  for (const std::string_view input : {buffer.AtEnd(text), buffer.AtStart(text)}) {
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const UuidResult expected = NaiveParseUuid(text, mode);
      const UuidResult got = ParseUuid(input, mode);
      ASSERT_EQ(ErrorName(got.error), ErrorName(expected.error)) << text;
      ASSERT_EQ(got.offset, expected.offset) << text;
      if (expected) {
        ASSERT_EQ(got.uuid, expected.uuid) << text;
      }
    }
  }
}

TEST(UuidTest, AgreesWithTheOracleOnEverySingleByteEdit) {
  GuardedBuffer buffer;
  for (const Row& row : kAccepted) {
    ForEachSingleByteEdit(row.text, [&](const std::string& text) { Compare(text, buffer); });
  }
}

// If two bytes of a text are wrong, the error names the place of the first one.
TEST(UuidTest, TheFirstOfTwoWrongBytesIsReported) {
  GuardedBuffer buffer;
  for (const std::string_view form :
       {"550e8400-e29b-41d4-a716-446655440000", "550e8400e29b41d4a716446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000"}) {
    for (std::size_t first = 0; first < form.size(); ++first) {
      for (std::size_t second = first + 1; second < form.size(); ++second) {
        std::string text(form);
        text[first] = text[second] = '_';
        Compare(text, buffer);
        const UuidResult result = ParseUuid(text, ParseMode::kLenient);
        ASSERT_EQ(result.error, kInvalidCharacter) << text;
        ASSERT_EQ(result.offset, first) << text;
      }
    }
  }
}

TEST(UuidTest, AgreesWithTheOracleOnMutations) {
  GuardedBuffer buffer;
  std::mt19937_64 random(1);
  for (int i = 0; i < 50'000; ++i) {
    const std::string_view text = kAccepted[random() % std::size(kAccepted)].text;
    Compare(Mutated(std::string(text), "0123456789abcdefABCDEF-{}:gG", random), buffer);
  }
}

TEST(UuidTest, AgreesWithTheOracleAtEveryLength) {
  GuardedBuffer buffer;
  for (std::size_t size = 0; size <= 64; ++size) {
    Compare(std::string(size, 'a'), buffer);
    Compare(std::string(size, '-'), buffer);
    Compare(std::string("urn:uuid:550e8400-e29b-41d4-a716-446655440000").substr(0, size), buffer);
    Compare(std::string("{550e8400-e29b-41d4-a716-446655440000}").substr(0, size), buffer);
  }
}

TEST(UuidTest, FormatsEveryByteInEveryPlace) {
  for (std::size_t place = 0; place < 16; ++place) {
    for (int value = 0; value < 256; ++value) {
      Uuid uuid = kUuid;
      uuid.bytes[place] = static_cast<std::uint8_t>(value);
      ASSERT_EQ(Text(uuid), NaiveUuidText(uuid));
      ASSERT_EQ(ParseUuid(Text(uuid), ParseMode::kStrict), (UuidResult{uuid, kNone, 0}));
    }
  }
}

TEST(UuidTest, ErrorsHaveDistinctNames) {
  constexpr UuidError kErrors[] = {kNone, kInvalidLength, kInvalidCharacter, kNonCanonicalForm,
                                   kUppercaseDigit};
  for (const UuidError a : kErrors) {
    EXPECT_FALSE(ErrorName(a).empty());
    for (const UuidError b : kErrors) {
      EXPECT_EQ(ErrorName(a) == ErrorName(b), a == b);
    }
  }
}

TEST(UuidTest, OrdersAsItsTextDoes) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 1000; ++i) {
    Uuid a;
    Uuid b;
    for (std::uint8_t& byte : a.bytes) byte = static_cast<std::uint8_t>(random());
    for (std::uint8_t& byte : b.bytes) byte = static_cast<std::uint8_t>(random());
    b.bytes[0] = a.bytes[0];
    EXPECT_EQ(a < b, Text(a) < Text(b));
  }
}

}  // namespace
}  // namespace ffgrant
