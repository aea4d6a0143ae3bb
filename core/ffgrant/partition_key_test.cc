// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition_key.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::GuardedBuffer;
using testing::Writes;

using enum PartitionKeyError;

// The rows of contract 11 that parse.
struct AcceptedRow {
  std::string_view text;
  Partition partition;
  int slot;  // the slot of the text as spelled; -1 if the contract names none
  PartitionKeyError strict;
};

constexpr Partition Flow(std::uint16_t i) { return {PartitionFamily::kFlow, i}; }
constexpr Partition Budget(std::uint16_t i) { return {PartitionFamily::kBudget, i}; }
constexpr Partition Quota(std::uint16_t i) { return {PartitionFamily::kQuota, i}; }

constexpr AcceptedRow kAccepted[] = {
    {"{fp:7}", Flow(7), 2729, kNone},
    {"{fp:0}", Flow(0), 14926, kNone},
    {"{fp:65535}", Flow(65535), 10558, kNone},
    {"{b:0}", Budget(0), 10502, kNone},
    {"{b:31}", Budget(31), 106, kNone},
    {"{q:31}", Quota(31), 17, kNone},
    {"{q:65535}", Quota(65535), 7212, kNone},
    {"{fp:+7}", Flow(7), 2272, kPlusSign},
    {"{fp:007}", Flow(7), 3513, kLeadingZero},
    {"{fp:+007}", Flow(7), 12854, kPlusSign},
    {"{fp:00}", Flow(0), 10126, kLeadingZero},
    {"{fp:0000000000000000000000000000000000000000065535}", Flow(65535), 12372, kLeadingZero},
    {"{b:+1}", Budget(1), 2736, kPlusSign},
    {"{q:01}", Quota(1), 5442, kLeadingZero},
    // The rows from here on are not in the contract: the limits 0 and 65535 in more keys, and more
    // indices of five digits.
    {"{b:65535}", Budget(65535), -1, kNone},
    {"{fp:+0}", Flow(0), -1, kPlusSign},
    {"{fp:+65535}", Flow(65535), -1, kPlusSign},
    {"{fp:10000}", Flow(10000), -1, kNone},
    {"{fp:00000}", Flow(0), -1, kLeadingZero},
    {"{fp:01234}", Flow(1234), -1, kLeadingZero},
};

TEST(PartitionKeyTest, AcceptsTheContractsRows) {
  for (const AcceptedRow& row : kAccepted) {
    SCOPED_TRACE(row.text);
    const PartitionKeyResult lenient = ParsePartitionKey(row.text, ParseMode::kLenient);
    EXPECT_TRUE(lenient);
    EXPECT_EQ(lenient, (PartitionKeyResult{row.partition, kNone, 0, {}}));
    if (row.slot >= 0) {
      EXPECT_EQ(HashSlot(row.text), row.slot);
    }
  }
}

TEST(PartitionKeyTest, StrictAcceptsCanonicalTextAlone) {
  for (const AcceptedRow& row : kAccepted) {
    SCOPED_TRACE(row.text);
    const PartitionKeyResult strict = ParsePartitionKey(row.text, ParseMode::kStrict);
    const bool canonical = PartitionTag(row.partition).view() == row.text;
    EXPECT_EQ(static_cast<bool>(strict), canonical);
    EXPECT_EQ(strict.error, row.strict);
    if (canonical) {
      EXPECT_EQ(strict, ParsePartitionKey(row.text, ParseMode::kLenient));
    } else {
      const std::size_t index = row.text.find(':') + 1;
      const std::string_view payload = row.text.substr(index, row.text.size() - index - 1);
      EXPECT_EQ(strict, (PartitionKeyResult{Partition{}, row.strict, index, payload}));
    }
  }
}

// The rows of contract 11 that don't parse. The offsets are those that partition_key.h defines.
struct RejectedRow {
  std::string_view text;
  PartitionKeyError error;
  std::size_t offset;
  std::string_view payload;
};

constexpr std::string_view operator""_b(const char* bytes, std::size_t size) {
  return {bytes, size};
}

constexpr RejectedRow kRejected[] = {
    {"{fp:65536}", kInvalidIndex, 8, "65536"},
    {"{fp:-1}", kInvalidIndex, 4, "-1"},
    {"{fp:-0}", kInvalidIndex, 4, "-0"},
    {"{fp:+-7}", kInvalidIndex, 5, "+-7"},
    {"{fp:+}", kInvalidIndex, 5, "+"},
    {"{fp:}", kInvalidIndex, 4, ""},
    {"{fp: 7}", kInvalidIndex, 4, " 7"},
    {"{fp:7 }", kInvalidIndex, 5, "7 "},
    {"{fp:7\n}", kInvalidIndex, 5, "7\n"},
    {"{fp:7\0}"_b, kInvalidIndex, 5, "7\0"_b},
    {"{fp:0x7}", kInvalidIndex, 5, "0x7"},
    {"{fp:1_0}", kInvalidIndex, 5, "1_0"},
    {"{fp:\xEF\xBC\x97}", kInvalidIndex, 4, "\xEF\xBC\x97"},
    {"{fp:1:2}", kInvalidIndex, 5, "1:2"},
    {"{fp::7}", kInvalidIndex, 4, ":7"},
    {"{fp:7}}", kInvalidIndex, 5, "7}"},
    {"{fp:{7}}", kInvalidIndex, 4, "{7}"},
    {"{b:}", kInvalidIndex, 3, ""},
    {"{{fp:7}", kUnknownFamilyPrefix, 1, "{fp"},
    {"{{fp:7}}", kUnknownFamilyPrefix, 1, "{fp"},
    {"{}{fp:7}", kUnknownFamilyPrefix, 1, "}{fp"},
    {"{:}", kUnknownFamilyPrefix, 1, ""},
    {"{:7}", kUnknownFamilyPrefix, 1, ""},
    {"{FP:7}", kUnknownFamilyPrefix, 1, "FP"},
    {"{p:7}", kUnknownFamilyPrefix, 1, "p"},
    {"{flow:7}", kUnknownFamilyPrefix, 1, "flow"},
    {"{fp :7}", kUnknownFamilyPrefix, 1, "fp "},
    {"{zz:0}", kUnknownFamilyPrefix, 1, "zz"},
    {"{zz:xx}", kUnknownFamilyPrefix, 1, "zz"},
    {"{\xC3\xA9:1}", kUnknownFamilyPrefix, 1, "\xC3\xA9"},
    {"{}", kMalformedBody, 1, ""},
    {"{{}", kMalformedBody, 2, ""},
    {"{}}", kMalformedBody, 2, ""},
    {"{fp}", kMalformedBody, 3, ""},
    {"{fp\xEF\xBC\x9A"
     "7}",
     kMalformedBody, 7, ""},
    {"{zz}", kMalformedBody, 3, ""},
    {"{", kMissingBraces, 1, ""},
    {"}", kMissingBraces, 0, ""},
    {"", kMissingBraces, 0, ""},
    {"}{", kMissingBraces, 0, ""},
    {"fp:7", kMissingBraces, 0, ""},
    {"{fp:7", kMissingBraces, 5, ""},
    {"fp:7}", kMissingBraces, 0, ""},
    {" {fp:7}", kMissingBraces, 0, ""},
    {"{fp:7}\n", kMissingBraces, 7, ""},
    {"{fp:7}:x", kMissingBraces, 8, ""},
    {"\xEF\xBB\xBF{fp:7}", kMissingBraces, 0, ""},
    {"zz:xx", kMissingBraces, 0, ""},
    // The rows from here on are not in the contract: overflows of several lengths, bad bytes in the
    // index, and families that are nearly right.
    {"{fp:65536x}", kInvalidIndex, 8, "65536x"},
    {"{fp:6553x}", kInvalidIndex, 8, "6553x"},
    {"{fp:0000065536}", kInvalidIndex, 13, "0000065536"},
    {"{fp:+99999999999999999999}", kInvalidIndex, 9, "+99999999999999999999"},
    {"{fp:4294967296}", kInvalidIndex, 9, "4294967296"},
    {"{fp:18446744073709551616}", kInvalidIndex, 9, "18446744073709551616"},
    {"{fp:++7}", kInvalidIndex, 5, "++7"},
    {"{fp:7+}", kInvalidIndex, 5, "7+"},
    {"{q:/}", kInvalidIndex, 3, "/"},
    {"{q::}", kInvalidIndex, 3, ":"},
    {"{q:\xB7}", kInvalidIndex, 3, "\xB7"},
    {"{B:1}", kUnknownFamilyPrefix, 1, "B"},
    {"{bb:1}", kUnknownFamilyPrefix, 1, "bb"},
    {"{fpb:1}", kUnknownFamilyPrefix, 1, "fpb"},
    {"{f:1}", kUnknownFamilyPrefix, 1, "f"},
    {"{fq:1}", kUnknownFamilyPrefix, 1, "fq"},
};

TEST(PartitionKeyTest, RejectsTheContractsRowsInBothModes) {
  for (const RejectedRow& row : kRejected) {
    SCOPED_TRACE(::testing::PrintToString(row.text));
    const PartitionKeyResult expected{Partition{}, row.error, row.offset, row.payload};
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const PartitionKeyResult result = ParsePartitionKey(row.text, mode);
      EXPECT_FALSE(result);
      EXPECT_EQ(ErrorName(result.error), ErrorName(row.error));
      EXPECT_EQ(result.offset, row.offset);
      EXPECT_EQ(result.payload, row.payload);
      EXPECT_EQ(result, expected);
    }
  }
}

TEST(PartitionKeyTest, PayloadsPointIntoTheInput) {
  for (const RejectedRow& row : kRejected) {
    const PartitionKeyResult result = ParsePartitionKey(row.text, ParseMode::kLenient);
    if (result.payload.empty()) continue;
    EXPECT_GE(result.payload.data(), row.text.data());
    EXPECT_LE(result.payload.data() + result.payload.size(), row.text.data() + row.text.size());
  }
}

TEST(PartitionKeyTest, ReadsNothingOutsideOfItsInput) {
  GuardedBuffer buffer;
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    for (const AcceptedRow& row : kAccepted) {
      const PartitionKeyResult expected = ParsePartitionKey(row.text, mode);
      EXPECT_EQ(ParsePartitionKey(buffer.AtEnd(row.text), mode), expected);
      EXPECT_EQ(ParsePartitionKey(buffer.AtStart(row.text), mode), expected);
    }
    for (const RejectedRow& row : kRejected) {
      const PartitionKeyResult expected = ParsePartitionKey(row.text, mode);
      EXPECT_EQ(ParsePartitionKey(buffer.AtEnd(row.text), mode), expected);
      EXPECT_EQ(ParsePartitionKey(buffer.AtStart(row.text), mode), expected);
    }
  }
}

// Canonical keys usually take a faster path; this test shows that the slower path, which checks
// rule by rule, accepts them too.
TEST(PartitionKeyTest, TheRulesTakeCanonicalKeys) {
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    for (const std::string_view key : {"{fp:0}", "{fp:65535}", "{b:31}", "{q:7}"}) {
      const PartitionKeyResult result = internal::ParseAnyPartitionKey(key, mode);
      EXPECT_TRUE(result) << key;
      EXPECT_EQ(result.partition, ParsePartitionKey(key, mode).partition) << key;
      EXPECT_EQ(result.partition.index, std::stoi(std::string(key.substr(key.find(':') + 1))));
    }
  }
}

// An index of zeros and one 1 is a power of ten. The fifth digit after the 1 makes the index too
// large.
TEST(PartitionKeyTest, AOneAmongZeros) {
  GuardedBuffer buffer;
  for (const std::string begin : {"{fp:", "{b:", "{q:", "{fp:+", "{b:+", "{q:+"}) {
    const bool plus = begin.back() == '+';
    for (std::size_t count = 1; count <= 20; ++count) {
      for (std::size_t place = 0; place < count; ++place) {
        std::string index(count, '0');
        index[place] = '1';
        SCOPED_TRACE(begin + index);
        const std::string_view text = buffer.AtEnd(begin + index + '}');
        const std::string_view payload = text.substr(begin.size() - plus, count + plus);
        const PartitionKeyResult lenient = ParsePartitionKey(text, ParseMode::kLenient);
        const PartitionKeyResult strict = ParsePartitionKey(text, ParseMode::kStrict);
        if (count - place > 5) {
          EXPECT_EQ(lenient,
                    (PartitionKeyResult{{}, kInvalidIndex, begin.size() + place + 5, payload}));
          EXPECT_EQ(strict, lenient);
          continue;
        }
        ASSERT_TRUE(lenient);
        int value = 1;
        for (std::size_t i = place + 1; i < count; ++i) value *= 10;
        EXPECT_EQ(lenient.partition.index, value);
        const PartitionKeyError error = plus ? kPlusSign : place > 0 ? kLeadingZero : kNone;
        EXPECT_EQ(strict.error, error);
        EXPECT_EQ(strict.payload, error == kNone ? "" : payload);
      }
    }
  }
}

// The first byte that is no digit is the one at fault, wherever it stands.
TEST(PartitionKeyTest, AnyOtherByteAmongZeros) {
  GuardedBuffer buffer;
  for (const std::string begin : {"{fp:", "{b:", "{fp:+", "{q:+"}) {
    for (std::size_t count = 1; count <= 16; ++count) {
      for (std::size_t place = 0; place < count; ++place) {
        for (int byte = 0; byte < 256; ++byte) {
          const bool sign = byte == '+' && place == 0 && begin.back() == ':';
          if (sign || (byte >= '0' && byte <= '9')) continue;
          std::string index(count, '0');
          index[place] = static_cast<char>(byte);
          const std::string_view text = buffer.AtEnd(begin + index + '}');
          const PartitionKeyResult result = ParsePartitionKey(text, ParseMode::kLenient);
          ASSERT_EQ(result.error, kInvalidIndex) << text;
          ASSERT_EQ(result.offset, begin.size() + place) << text;
        }
      }
    }
  }
}

TEST(PartitionKeyTest, HasNoLengthLimit) {
  const std::string zeros(1 << 20, '0');
  EXPECT_EQ(ParsePartitionKey("{q:" + zeros + "42}", ParseMode::kLenient).partition, Quota(42));
  const std::string over = "{q:" + zeros + "65536}";
  const PartitionKeyResult result = ParsePartitionKey(over, ParseMode::kLenient);
  EXPECT_EQ(result.error, kInvalidIndex);
  EXPECT_EQ(result.offset, over.size() - 2);
  EXPECT_EQ(result.payload.size(), over.size() - 4);
}

TEST(PartitionKeyTest, ErrorsHaveNames) {
  EXPECT_EQ(ErrorName(PartitionKeyError::kNone), "none");
  EXPECT_EQ(ErrorName(kMissingBraces), "missing_braces");
  EXPECT_EQ(ErrorName(kMalformedBody), "malformed_body");
  EXPECT_EQ(ErrorName(kUnknownFamilyPrefix), "unknown_family_prefix");
  EXPECT_EQ(ErrorName(kInvalidIndex), "invalid_index");
  EXPECT_EQ(ErrorName(kPlusSign), "plus_sign");
  EXPECT_EQ(ErrorName(kLeadingZero), "leading_zero");
}

TEST(PartitionKeyTest, ErrorsReadAsTheReferences) {
  struct Row {
    std::string_view text;
    std::string_view message;
  };
  constexpr Row kRows[] = {
      {"fp:7", "partition key must be wrapped in '{...}'"},
      {"{fp}", "partition key body must be '<prefix>:<index>'"},
      {"{zz:0}", "unknown partition family prefix 'zz' (expected 'fp', 'b', 'q')"},
      {"{:0}", "unknown partition family prefix '' (expected 'fp', 'b', 'q')"},
      {"{'\n:0}", "unknown partition family prefix ''\n' (expected 'fp', 'b', 'q')"},
      {"{fp:}", "partition index '' is not a valid u16"},
      {"{fp:65536}", "partition index '65536' is not a valid u16"},
      {"{fp:7\0}"_b, "partition index '7\0' is not a valid u16"_b},
  };
  for (const Row& row : kRows) {
    const PartitionKeyResult result = ParsePartitionKey(row.text, ParseMode::kLenient);
    EXPECT_TRUE(Writes(row.message,
                       [&](std::span<char> out) { return FormatPartitionKeyError(result, out); }));
  }
}

TEST(PartitionKeyTest, SuccessHasNoMessageAndStrictErrorsHaveOne) {
  const PartitionKeyResult success = ParsePartitionKey("{fp:7}", ParseMode::kStrict);
  EXPECT_TRUE(
      Writes("", [&](std::span<char> out) { return FormatPartitionKeyError(success, out); }));
  for (const std::string_view text : {"{fp:+7}", "{fp:07}"}) {
    const PartitionKeyResult strict = ParsePartitionKey(text, ParseMode::kStrict);
    const WriteResult asked = FormatPartitionKeyError(strict, {});
    EXPECT_EQ(asked.error, WriteError::kBufferTooSmall);
    std::string message(asked.size, '\0');
    ASSERT_TRUE(FormatPartitionKeyError(strict, message));
    EXPECT_NE(message.find(strict.payload), std::string::npos) << message;
  }
}

TEST(PartitionKeyTest, OwnedKeysTakeAnyTextUnchecked) {
  const PartitionKey key(std::string_view("{zz:0}"));
  EXPECT_EQ(key.text(), "{zz:0}");
  EXPECT_EQ(key.Parse(ParseMode::kLenient).error, kUnknownFamilyPrefix);
  EXPECT_NE(PartitionKey(std::string_view("{fp:+7}")), PartitionKey(std::string_view("{fp:7}")));
}

TEST(PartitionKeyTest, OwnedKeysOfPartitionsLoseExecution) {
  const PartitionKey key(Partition{PartitionFamily::kExecution, 7});
  EXPECT_EQ(key.text(), "{fp:7}");
  EXPECT_EQ(key.Parse(ParseMode::kStrict).partition, Flow(7));
  const PartitionKey quota(Quota(31));
  EXPECT_EQ(quota.text(), "{q:31}");
}

TEST(PartitionKeyTest, OwnedKeysCanBeReassigned) {
  PartitionKey key(Flow(65535));
  key.assign("{b:1}");
  EXPECT_EQ(key, PartitionKey(Budget(1)));
}

template <class T>
concept ParsesAsRvalue = requires(T key) {
  static_cast<T&&>(key).Parse(ParseMode::kLenient);
};
template <class Key>
concept TextAsRvalue = requires(Key&& key) {
  std::forward<Key>(key).text();
};
static_assert(TextAsRvalue<const PartitionKey&>);
static_assert(!TextAsRvalue<PartitionKey>, "the text would dangle");
static_assert(ParsesAsRvalue<const PartitionKey&>);
static_assert(!ParsesAsRvalue<PartitionKey>, "the payload would dangle");
static_assert(!ParsesAsRvalue<const PartitionKey>, "the payload would dangle");

// Parsing many texts at once gives what parsing them one by one gives, up to the first failure.
TEST(PartitionKeysTest, AreThoseOfOneCallEach) {
  const std::string_view texts[] = {"{fp:7}",          "{b:0}",      "{q:65535}", "{fp:+7}",
                                    "{q:00000000012}", "{fp:65536}", "{b:1}",     "",
                                    "{b:31}"};
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    std::size_t next = 0;
    while (next < std::size(texts)) {
      const Partition untouched = {PartitionFamily::kExecution, 9};
      std::vector<Partition> partitions(std::size(texts), untouched);
      const PartitionKeysResult result =
          ParsePartitionKeys(std::span(texts).subspan(next), mode, partitions);
      for (std::size_t i = 0; i < partitions.size(); ++i) {
        ASSERT_EQ(partitions[i], i < result.count
                                     ? ParsePartitionKey(texts[next + i], mode).partition
                                     : untouched);
      }
      next += result.count;
      if (result) break;
      ASSERT_EQ(result.failure, ParsePartitionKey(texts[next], mode));
      ++next;
    }
    ASSERT_EQ(next, std::size(texts));
  }
  EXPECT_EQ(ParsePartitionKeys(texts, ParseMode::kStrict, {}).count, 0u);
}

}  // namespace
}  // namespace ffgrant
