// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/execution_id.h"

#include <gtest/gtest.h>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/uuid.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::GuardedBuffer;
using testing::Writes;

using enum ExecutionIdError;

// These are the abbreviations of contract 12.
#define U "550e8400-e29b-41d4-a716-446655440000"
#define UPPER_U "550E8400-E29B-41D4-A716-446655440000"
#define S "550e8400e29b41d4a716446655440000"

constexpr Uuid kU{{0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55,
                   0x44, 0x00, 0x00}};

struct AcceptedRow {
  std::string_view text;
  std::uint16_t index;
  Uuid uuid;
  // The verdict of strict mode, with offset and payload.
  ExecutionIdError strict = kNone;
  std::size_t offset = 0;
  std::string_view payload = {};
};

constexpr AcceptedRow kAccepted[] = {
    {"{fp:0}:" U, 0, kU},
    {"{fp:42}:" U, 42, kU},
    {"{fp:65535}:" U, 65535, kU},
    {"{fp:300}:" U, 300, kU},
    {"{fp:7}:00000000-0000-0000-0000-000000000000", 7, Uuid{}},
    {"{fp:7}:" UPPER_U, 7, kU, kUppercaseUuid, 10, UPPER_U},
    {"{fp:7}:" S, 7, kU, kNonCanonicalUuidForm, 7, S},
    {"{fp:7}:{" U "}", 7, kU, kNonCanonicalUuidForm, 7, "{" U "}"},
    {"{fp:7}:urn:uuid:" U, 7, kU, kNonCanonicalUuidForm, 7, "urn:uuid:" U},
    {"{fp:7}:urn:uuid:" UPPER_U, 7, kU, kNonCanonicalUuidForm, 7, "urn:uuid:" UPPER_U},
    {"{fp:+7}:" U, 7, kU, kPlusSign, 4, "+7"},
    {"{fp:007}:" U, 7, kU, kLeadingZero, 4, "007"},
    // The rows from here on are not in the contract. The first three say which strict error wins.
    {"{fp:+007}:" UPPER_U, 7, kU, kPlusSign, 4, "+007"},
    {"{fp:007}:{" U "}", 7, kU, kLeadingZero, 4, "007"},
    {"{fp:00}:" UPPER_U, 0, kU, kLeadingZero, 4, "00"},
    {"{fp:65535}:" S, 65535, kU, kNonCanonicalUuidForm, 11, S},
    // The parser reads an index of up to eight digits in one step. The next four indices have
    // seven, eight, eight and nine digits.
    {"{fp:0012345}:" S, 12345, kU, kLeadingZero, 4, "0012345"},
    {"{fp:00012345}:" U, 12345, kU, kLeadingZero, 4, "00012345"},
    {"{fp:+00065432}:" S, 65432, kU, kPlusSign, 4, "+00065432"},
    {"{fp:000012345}:" U, 12345, kU, kLeadingZero, 4, "000012345"},
    {"{fp:65535}:" UPPER_U, 65535, kU, kUppercaseUuid, 14, UPPER_U},
};

TEST(ExecutionIdTest, AcceptsTheContractsRowsAndKeepsTheirText) {
  for (const AcceptedRow& row : kAccepted) {
    SCOPED_TRACE(row.text);
    const ExecutionIdResult result = ParseExecutionId(row.text, ParseMode::kLenient);
    ASSERT_TRUE(result);
    EXPECT_EQ(result.error, kNone);
    EXPECT_EQ(result.offset, 0u);
    EXPECT_EQ(result.payload, "");
    EXPECT_EQ(result.id.text(), row.text);
    EXPECT_EQ(result.id.text().data(), row.text.data());
    EXPECT_EQ(result.id.uuid(), row.uuid);
    EXPECT_EQ(result.id.partition(), (Partition{PartitionFamily::kExecution, row.index}));
    EXPECT_EQ(result.id.is_canonical(), row.strict == kNone);
  }
}

TEST(ExecutionIdTest, StrictAcceptsCanonicalTextAlone) {
  for (const AcceptedRow& row : kAccepted) {
    SCOPED_TRACE(row.text);
    const ExecutionIdResult strict = ParseExecutionId(row.text, ParseMode::kStrict);
    EXPECT_EQ(ErrorName(strict.error), ErrorName(row.strict));
    EXPECT_EQ(strict.offset, row.offset);
    EXPECT_EQ(strict.payload, row.payload);
    EXPECT_EQ(strict.id.text(), row.strict == kNone ? row.text : "");
    const MintedExecutionId canonical(row.index, row.uuid);
    EXPECT_EQ(canonical.text() == row.text, row.strict == kNone);
  }
}

TEST(ExecutionIdTest, SpellingsOfAnIndexHashToOtherSlots) {
  EXPECT_EQ(HashSlot("{fp:7}:" U), 2729);
  EXPECT_EQ(HashSlot("{fp:+7}:" U), 2272);
  EXPECT_EQ(HashSlot("{fp:007}:" U), 3513);
  const ExecutionIdResult result = ParseExecutionId("{fp:+7}:" U, ParseMode::kLenient);
  EXPECT_EQ(HashSlot(result.id.partition()), 2729);
}

// The offsets are those that execution_id.h defines; for kMissingTag the payload is the whole text.
struct RejectedRow {
  std::string_view text;
  ExecutionIdError error;
  std::size_t offset;
  std::string_view payload;
};

constexpr RejectedRow MissingTag(std::string_view text, std::size_t offset) {
  return {text, kMissingTag, offset, text};
}
constexpr RejectedRow Index(std::string_view text, std::size_t offset, std::string_view payload) {
  return {text, kInvalidPartitionIndex, offset, payload};
}
// Makes a row for an id that begins with `{fp:7}:`.
constexpr RejectedRow BadUuid(std::string_view text, std::size_t offset) {
  return {text, kInvalidUuid, offset, text.substr(7)};
}

constexpr RejectedRow kRejected[] = {
    BadUuid("{fp:7}:URN:UUID:" U, 7),
    BadUuid("{fp:7}:urn:uuid:" S, 7 + 41),
    BadUuid("{fp:7}:{" S "}", 7 + 34),
    BadUuid("{fp:7}:{" U, 7 + 37),
    BadUuid("{fp:7}:" U "}", 7 + 37),
    BadUuid("{fp:7}:", 7),
    BadUuid("{fp:7}: " U, 7 + 37),
    BadUuid("{fp:7}:" U "\n", 7 + 37),
    BadUuid("{fp:7}:not-a-uuid", 7 + 10),
    BadUuid("{fp:7}:550e8400-e29b-41d4-a716-44665544000g", 7 + 35),
    BadUuid("{fp:7}:550e8400-e29b-41d4a716-4466-55440000", 7 + 18),
    BadUuid("{fp:7}::" U, 7 + 37),
    BadUuid("{fp:7}:{fp:8}:" U, 7 + 43),
    BadUuid("{fp:7}:{" U "}:x", 7 + 40),
    Index("{fp:65536}:" U, 8, "65536"),
    Index("{fp:-1}:" U, 4, "-1"),
    Index("{fp:}:" U, 4, ""),
    Index("{fp:xx}:" U, 4, "xx"),
    Index("{fp: 7}:" U, 4, " 7"),
    Index("{fp:7:8}:" U, 5, "7:8"),
    Index("{fp:7}}:" U, 5, "7}"),
    Index("{fp:{7}:" U, 4, "{7"),
    Index("{fp:xx}:not-a-uuid", 4, "xx"),
    Index("{fp:}:}:x", 4, ""),
    MissingTag("{fp:7}-" U, 7 + 36),
    MissingTag("{fp:7} :" U, 8 + 36),
    MissingTag("{fp:7}" U, 6 + 36),
    MissingTag("{fp:7}", 6),
    MissingTag("{fp:", 4),
    MissingTag("", 0),
    MissingTag(U, 0),
    MissingTag("{{fp:7}:" U, 1),
    MissingTag(" {fp:7}:" U, 0),
    MissingTag("{FP:7}:" U, 1),
    MissingTag("{b:7}:" U, 1),
    MissingTag("{p:7}:" U, 1),
    MissingTag("}:", 0),
    // The rows from here on are not in the contract: short texts, `}:` at the very end, an index
    // that is too large, and wrong bytes in other places.
    MissingTag("{", 1),
    MissingTag("{f", 2),
    MissingTag("{fp", 3),
    MissingTag("{fq:7}:" U, 2),
    MissingTag("{fp;7}:" U, 3),
    MissingTag("{fp:}", 5),
    MissingTag("{fp::}", 6),
    Index("{fp:}:", 4, ""),
    Index("{fp:+}:" U, 5, "+"),
    Index("{fp:+-7}:" U, 5, "+-7"),
    Index("{fp:000065536}:" U, 12, "000065536"),
    Index("{fp:\xEF\xBC\x97}:" U, 4, "\xEF\xBC\x97"),
    BadUuid("{fp:7}:550e8400-e29b-41d4-a716_446655440000", 7 + 23),
    BadUuid("{fp:7}:g50e8400e29b41d4a716446655440000", 7),
};

TEST(ExecutionIdTest, RejectsTheContractsRowsInBothModes) {
  for (const RejectedRow& row : kRejected) {
    SCOPED_TRACE(::testing::PrintToString(row.text));
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const ExecutionIdResult result = ParseExecutionId(row.text, mode);
      EXPECT_FALSE(result);
      EXPECT_EQ(ErrorName(result.error), ErrorName(row.error));
      EXPECT_EQ(result.offset, row.offset);
      EXPECT_EQ(result.payload, row.payload);
      EXPECT_EQ(result.id.text(), "");
    }
  }
}

TEST(ExecutionIdTest, ReadsNothingOutsideOfItsInput) {
  GuardedBuffer buffer;
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    for (const AcceptedRow& row : kAccepted) {
      const ExecutionIdError expected = mode == ParseMode::kStrict ? row.strict : kNone;
      EXPECT_EQ(ParseExecutionId(buffer.AtEnd(row.text), mode).error, expected);
      EXPECT_EQ(ParseExecutionId(buffer.AtStart(row.text), mode).error, expected);
    }
    for (const RejectedRow& row : kRejected) {
      EXPECT_EQ(ParseExecutionId(buffer.AtEnd(row.text), mode).error, row.error);
      EXPECT_EQ(ParseExecutionId(buffer.AtStart(row.text), mode).error, row.error);
    }
  }
}

// No path reads past the end of a text, whatever the index is, and whether one text is parsed or
// many.
TEST(ExecutionIdTest, TextsThatAreCutOff) {
  GuardedBuffer buffer;
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    for (const std::string index : {"7", "+7", "65535", "+0065535", "00012345", "+00012345"}) {
      const std::string whole = "{fp:" + index + "}:" U;
      const std::size_t uuid_begin = whole.size() - kUuidTextSize;
      for (std::size_t size = 0; size < whole.size(); ++size) {
        const std::string cut = whole.substr(0, size);
        SCOPED_TRACE(cut);
        // A uuid text of 32 bytes must be in the simple form, so its first hyphen is wrong.
        const bool simple = size == uuid_begin + 32;
        for (const std::string_view text : {buffer.AtStart(cut), buffer.AtEnd(cut)}) {
          const ExecutionIdResult result = ParseExecutionId(text, ParseMode::kLenient);
          EXPECT_EQ(result.error, size < uuid_begin ? kMissingTag : kInvalidUuid);
          EXPECT_EQ(result.offset, simple ? uuid_begin + 8 : size);
          EXPECT_EQ(result.payload, size < uuid_begin ? text : text.substr(uuid_begin));
          std::array<ExecutionIdView, 1> ids;
          const ExecutionIdsResult many =
              ParseExecutionIds(std::span(&text, 1), ParseMode::kLenient, ids);
          EXPECT_EQ(many.count, 0u);
          EXPECT_EQ(many.failure.error, result.error);
          EXPECT_EQ(many.failure.offset, result.offset);
          EXPECT_EQ(many.failure.payload, result.payload);
        }
      }
    }
  }
}

TEST(ExecutionIdTest, HasNoLengthLimit) {
  const std::string zeros(1 << 20, '0');
  const std::string text = "{fp:" + zeros + "42}:" U;
  const ExecutionIdResult result = ParseExecutionId(text, ParseMode::kLenient);
  ASSERT_TRUE(result);
  EXPECT_EQ(result.id.partition().index, 42);
  EXPECT_EQ(result.id.text(), text);
  const std::string open = "{fp:" + std::string(1 << 20, '}');
  EXPECT_EQ(ParseExecutionId(open, ParseMode::kLenient).offset, open.size());
}

TEST(ExecutionIdTest, ErrorsHaveNames) {
  EXPECT_EQ(ErrorName(ExecutionIdError::kNone), "none");
  EXPECT_EQ(ErrorName(kMissingTag), "missing_tag");
  EXPECT_EQ(ErrorName(kInvalidPartitionIndex), "invalid_partition_index");
  EXPECT_EQ(ErrorName(kInvalidUuid), "invalid_uuid");
  EXPECT_EQ(ErrorName(kPlusSign), "plus_sign");
  EXPECT_EQ(ErrorName(kLeadingZero), "leading_zero");
  EXPECT_EQ(ErrorName(kNonCanonicalUuidForm), "non_canonical_uuid_form");
  EXPECT_EQ(ErrorName(kUppercaseUuid), "uppercase_uuid");
}

TEST(ExecutionIdTest, ErrorsReadAsTheReferences) {
  struct Row {
    std::string_view text;
    std::string_view message;
  };
  constexpr Row kRows[] = {
      {"{b:7}:x", "execution_id is missing the `{fp:N}:` hash-tag prefix: {b:7}:x"},
      {"", "execution_id is missing the `{fp:N}:` hash-tag prefix: "},
      {"{fp:xx}:" U, "execution_id partition index is not a valid u16: xx"},
      {"{fp:}:" U, "execution_id partition index is not a valid u16: "},
      {"{fp:7}:not\n", "execution_id UUID suffix is not a valid UUID: not\n"},
      {"{fp:7}:", "execution_id UUID suffix is not a valid UUID: "},
  };
  for (const Row& row : kRows) {
    const ExecutionIdResult result = ParseExecutionId(row.text, ParseMode::kLenient);
    EXPECT_TRUE(Writes(row.message,
                       [&](std::span<char> out) { return FormatExecutionIdError(result, out); }));
  }
}

TEST(ExecutionIdTest, StrictErrorsHaveMessagesToo) {
  for (const AcceptedRow& row : kAccepted) {
    if (row.strict == kNone) continue;
    const ExecutionIdResult strict = ParseExecutionId(row.text, ParseMode::kStrict);
    std::string message(FormatExecutionIdError(strict, {}).size, '\0');
    ASSERT_TRUE(FormatExecutionIdError(strict, message));
    EXPECT_NE(message.find(row.payload), std::string::npos) << message;
  }
}

TEST(ExecutionIdTest, EqualityAndOrderAreThoseOfTheText) {
  const ExecutionIdView plain = ParseExecutionId("{fp:7}:" U, ParseMode::kLenient).id;
  const ExecutionIdView padded = ParseExecutionId("{fp:07}:" U, ParseMode::kLenient).id;
  const std::string copy("{fp:7}:" U);
  EXPECT_EQ(plain, ParseExecutionId(copy, ParseMode::kLenient).id);
  EXPECT_NE(plain, padded);
  EXPECT_LT(padded, plain);
  EXPECT_EQ(plain <=> padded, plain.text() <=> padded.text());
}

TEST(ExecutionIdTest, MintsCanonicalIdsForEveryIndex) {
  for (std::uint32_t i = 0; i <= 65535; ++i) {
    const MintedExecutionId minted(static_cast<std::uint16_t>(i), kU);
    ASSERT_EQ(minted.text(), "{fp:" + std::to_string(i) + "}:" U);
    ASSERT_LE(minted.text().size(), kMaxExecutionIdSize);
    const ExecutionIdResult parsed = ParseExecutionId(minted.text(), ParseMode::kStrict);
    ASSERT_TRUE(parsed);
    ASSERT_EQ(parsed.id, minted.view());
    ASSERT_EQ(minted.view().partition().index, i);
    ASSERT_EQ(minted.view().partition().family, PartitionFamily::kExecution);
    ASSERT_EQ(minted.view().uuid(), kU);
    ASSERT_TRUE(minted.view().is_canonical());
  }
}

TEST(ExecutionIdTest, MintedIdsCanBeCopied) {
  MintedExecutionId minted(7, kU);
  const MintedExecutionId copy = minted;
  minted = MintedExecutionId(65535, Uuid{});
  EXPECT_EQ(copy.text(), "{fp:7}:" U);
  EXPECT_EQ(copy.view().text().data(), copy.text().data());
  EXPECT_EQ(minted.view().partition().index, 65535);
}

TEST(ExecutionIdTest, OwnedIdsOutliveTheirText) {
  for (const AcceptedRow& row : kAccepted) {
    std::string source(row.text);
    const ExecutionId id(ParseExecutionId(source, ParseMode::kLenient).id);
    source.assign(source.size(), 'x');
    EXPECT_EQ(id.text(), row.text);
    EXPECT_EQ(id.view().text(), row.text);
    EXPECT_EQ(id.view().uuid(), row.uuid);
    EXPECT_EQ(id.view().partition().index, row.index);
    EXPECT_EQ(id.view().is_canonical(), row.strict == kNone);
  }
}

TEST(ExecutionIdTest, AnIdThatWasMovedFromIsEmpty) {
  const std::string text = "{fp:7}:11111111-1111-4111-8111-111111111111";
  ExecutionId id(ParseExecutionId(text, ParseMode::kStrict).id);
  const ExecutionId moved = std::move(id);
  EXPECT_EQ(moved.view().text(), text);
  const ExecutionIdView left = id.view();  // NOLINT: what is left of it
  EXPECT_EQ(left.text(), "");
  EXPECT_EQ(left.uuid(), Uuid());
  EXPECT_EQ(left.partition(), ExecutionIdView().partition());
  EXPECT_EQ(left.is_canonical(), ExecutionIdView().is_canonical());
}

TEST(ExecutionIdTest, OwnedIdsCanBeReassigned) {
  ExecutionId id;
  EXPECT_EQ(id.text(), "");
  EXPECT_EQ(id.view().text(), "");
  EXPECT_FALSE(id.view().is_canonical());
  for (const AcceptedRow& row : kAccepted) {
    id.assign(ParseExecutionId(row.text, ParseMode::kLenient).id);
    EXPECT_EQ(id, ExecutionId(ParseExecutionId(row.text, ParseMode::kLenient).id));
    EXPECT_EQ(id.view().partition().index, row.index);
    EXPECT_EQ(id.view().uuid(), row.uuid);
    EXPECT_EQ(id.view().is_canonical(), row.strict == kNone);
  }
}

template <class T>
concept GivesView = requires(T id) {
  static_cast<T&&>(id).view();
};
template <class T>
concept GivesText = requires(T id) {
  static_cast<T&&>(id).text();
};

static_assert(GivesView<const ExecutionId&> && GivesView<const MintedExecutionId&>);
static_assert(GivesText<const ExecutionId&> && GivesText<const MintedExecutionId&>);
static_assert(!GivesView<ExecutionId> && !GivesView<const ExecutionId>, "would dangle");
static_assert(!GivesView<MintedExecutionId> && !GivesView<const MintedExecutionId>, "would dangle");
static_assert(!GivesText<ExecutionId> && !GivesText<MintedExecutionId>, "would dangle");
static_assert(kMaxExecutionIdSize == std::string_view("{fp:65535}:" U).size());

#undef U
#undef UPPER_U
#undef S

// Parsing many texts at once gives what parsing them one by one gives, up to the first failure.
TEST(ExecutionIdsTest, AreThoseOfOneCallEach) {
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) {
    texts.push_back((i % 11 == 10 ? "[fp:" : "{fp:") + std::string(i % 7 == 0 ? "+" : "") +
                    std::to_string(i * 600) + "}:550e8400-e29b-41d4-a716-4466554400" +
                    (i % 5 == 0 ? "FF" : "1f"));
  }
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      std::vector<std::string_view> views(texts.begin(), texts.end());
      std::size_t next = 0;
      while (next < views.size()) {
        std::vector<ExecutionIdView> ids(views.size());
        const ExecutionIdsResult result =
            ParseExecutionIds(std::span(views).subspan(next), mode, ids);
        ASSERT_EQ(static_cast<bool>(result), next + result.count == views.size());
        for (std::size_t i = 0; i < ids.size(); ++i) {
          if (i >= result.count) {
            ASSERT_EQ(ids[i].text().data(), nullptr);
            continue;
          }
          const ExecutionIdResult one = ParseExecutionId(views[next + i], mode);
          ASSERT_TRUE(one);
          ASSERT_EQ(ids[i].text().data(), views[next + i].data());
          ASSERT_EQ(ids[i], one.id);
          ASSERT_EQ(ids[i].uuid(), one.id.uuid());
          ASSERT_EQ(ids[i].partition(), one.id.partition());
          ASSERT_EQ(ids[i].is_canonical(), one.id.is_canonical());
        }
        next += result.count;
        if (result) break;
        const ExecutionIdResult one = ParseExecutionId(views[next], mode);
        ASSERT_EQ(result.failure.error, one.error);
        ASSERT_EQ(result.failure.offset, one.offset);
        ASSERT_EQ(result.failure.payload, one.payload);
        ++next;
      }
    }
  }
}

TEST(ExecutionIdsTest, EndWithTheShorterSpan) {
  const std::string_view texts[] = {"{fp:7}:550e8400-e29b-41d4-a716-446655440000", "x"};
  std::array<ExecutionIdView, 1> ids;
  EXPECT_EQ(ParseExecutionIds(texts, ParseMode::kStrict, ids).count, 1u);
  EXPECT_TRUE(ParseExecutionIds(texts, ParseMode::kStrict, ids));
  EXPECT_TRUE(ParseExecutionIds({}, ParseMode::kStrict, ids));
  EXPECT_EQ(ParseExecutionIds(texts, ParseMode::kStrict, {}).count, 0u);
}

}  // namespace
}  // namespace ffgrant
