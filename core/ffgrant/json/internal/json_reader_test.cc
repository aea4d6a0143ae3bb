// SPDX-License-Identifier: Apache-2.0
//
// Tests the promises of the reader itself. The tests of the DTOs show which documents the reader
// accepts.

#include "ffgrant/json/internal/json_reader.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/internal/json_digits.h"
#include "ffgrant/json/json_scratch.h"
#include "testing/naive/guarded_buffer.h"

namespace ffgrant::internal {
namespace {

class JsonReaderTest : public ::testing::Test {
 protected:
  // The document ends where the readable memory ends.
  JsonReader Reader(std::string_view json) {
    return JsonReader(memory_.AtEnd(json), JsonMemory::Of(scratch_));
  }
  JsonResult Skimmed(std::string_view json) {
    JsonReader reader = Reader(json);
    const bool good = reader.SkimValue();
    EXPECT_EQ(good, reader.result().error == JsonError::kNone);
    return reader.result();
  }
  JsonResult Checked(std::string_view json, std::size_t max_depth = 8) {
    JsonReader reader = Reader(json);
    const bool good = reader.CheckValue(max_depth);
    EXPECT_EQ(good, reader.result().error == JsonError::kNone);
    return reader.result();
  }

  testing::GuardedBuffer memory_{4096};
  JsonScratch scratch_;
};

TEST_F(JsonReaderTest, WhiteSpaceAloneMayFollowTheValue) {
  for (const std::string_view rest : {"", " ", "\n\r\t "}) {
    JsonReader reader = Reader(rest);
    EXPECT_TRUE(reader.ReadEnd());
    EXPECT_EQ(reader.result(), JsonResult());
  }
  for (const std::string_view rest : {" x", "\v", ",", "}"}) {
    JsonReader reader = Reader(rest);
    EXPECT_FALSE(reader.ReadEnd());
    EXPECT_EQ(reader.result(), (JsonResult{JsonError::kTrailingBytes, rest.size() - 1, {}}));
  }
}

// A string that is skimmed, checked or read fails at the document's end if its own end is missing.
// But if a UTF-8 sequence is cut off, checking and reading fail at the beginning of the sequence.
TEST_F(JsonReaderTest, StringsThatAreCutOff) {
  const std::string whole = "\"a\\n\xC3\xA9\\ud83d\\ude00\xF0\x9F\x98\x80\\u0041\"";
  EXPECT_TRUE(Skimmed(whole));
  EXPECT_TRUE(Checked(whole));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    const bool in_sequence = size == 5 || (size > 18 && size < 22);
    const JsonResult expected = {in_sequence ? JsonError::kInvalidUtf8 : JsonError::kUnexpectedEnd,
                                 size == 5     ? 4
                                 : in_sequence ? 18
                                               : size,
                                 {}};
    JsonReader reader = Reader(cut);
    std::string_view text;
    EXPECT_FALSE(reader.ReadString(text));
    EXPECT_EQ(reader.result(), expected) << size;
    EXPECT_EQ(Checked(cut), expected) << size;
    // Skimming accepts halves of surrogate pairs and any bytes that are not ASCII, so only the
    // missing end is an error.
    EXPECT_EQ(Skimmed(cut), (JsonResult{JsonError::kUnexpectedEnd, size, {}})) << size;
  }
  JsonReader reader = Reader(whole);
  std::string_view text;
  EXPECT_TRUE(reader.ReadString(text));
  EXPECT_EQ(text, "a\n\xC3\xA9\xF0\x9F\x98\x80\xF0\x9F\x98\x80\x41");
  EXPECT_TRUE(reader.ReadEnd());
}

// Reads strings whose escapes are 0 to 70 bytes apart, with few and with many bytes after them.
// Some escapes are followed by 2, 62, 64 or 66 bytes that are not ASCII. The reader steps over such
// bytes without a search; a search sees at most 64 bytes at once.
TEST_F(JsonReaderTest, EscapesAtEveryDistance) {
  struct Piece {
    std::string json;
    std::string text;
  };
  std::vector<Piece> pieces = {{"\\n", "\n"},
                               {"\\\"", "\""},
                               {"\\u0041", "A"},
                               {"\\u00e9", "\xC3\xA9"},
                               {"\\ud83d\\ude00", "\xF0\x9F\x98\x80"}};
  for (const int count : {1, 31, 32, 33}) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "\xC3\xA9";
    pieces.push_back({"\\\\" + text, "\\" + text});
  }
  for (const std::size_t before : {0, 1, 32, 63, 64}) {
    for (std::size_t between = 0; between <= 70; ++between) {
      for (const std::size_t behind : {0, 1, 30, 31, 62, 90}) {
        for (const Piece& first : pieces) {
          for (const Piece& second : pieces) {
            const std::string plain(between, 'b');
            const std::string json = '"' + std::string(before, 'a') + first.json + plain +
                                     second.json + plain + '"' + std::string(behind, ' ');
            const std::string expected =
                std::string(before, 'a') + first.text + plain + second.text + plain;
            JsonReader reader = Reader(json);
            const char* const begin = reader.begin() + 1;
            std::string_view text;
            reader.set_position(begin + before);
            ASSERT_TRUE(reader.ReadEscapedString(begin, text)) << json;
            ASSERT_EQ(text, expected) << json;
            ASSERT_EQ(reader.position(), reader.end() - behind) << json;
#ifdef FFGRANT_HAS_AVX2_PATHS
            if ((DetectCpuFeatures() & kCpuAvx2) == 0) continue;
            reader.set_position(begin + before);
            ASSERT_TRUE(reader.ReadEscapedStringAvx2(begin, text)) << json;
            ASSERT_EQ(text, expected) << json;
            ASSERT_EQ(reader.position(), reader.end() - behind) << json;
#endif
          }
        }
      }
    }
  }
}

// Unwanted values are searched in blocks of 64 bytes. Each kind of value stands at each place of a
// block, behind blanks, a string or numbers, with few and with many bytes after it.
TEST_F(JsonReaderTest, UnwantedValuesAtEveryPlaceOfABlock) {
  using enum JsonError;
  struct Piece {
    std::string json;
    JsonError error = kNone;
    std::size_t offset = 0;     // of the fault in `json`
    bool only_checked = false;  // skimming accepts the piece
  };
  const std::vector<Piece> pieces = {
      {"0"},
      {"10"},
      {"1.5"},
      {"0.25"},
      {"1e5"},
      {"1E5"},
      {"0E-1"},
      {"12E+3"},
      {"-7"},
      {std::string(63, '3')},
      {std::string(64, '3')},
      {std::string(65, '3')},
      {std::string(130, '3')},
      {"00", kInvalidNumber, 1},
      {"01", kInvalidNumber, 1},
      {"0" + std::string(45, '3'), kInvalidNumber, 1},
      {"0" + std::string(70, '3'), kInvalidNumber, 1},
      {"1.", kInvalidNumber, 2},
      {"1E", kInvalidNumber, 2},
      {"1/", kUnexpectedByte, 1},
      {"1:", kUnexpectedByte, 1},
      {"1f", kUnexpectedByte, 1},
      {R"("")"},
      {R"("a\n\"b")"},
      {R"("\x")", kInvalidEscape, 1},
      {"\"\x1F\"", kControlCharacter, 1},
      {"\" \x7F\""},
      {"\"\xC3\xA9\""},
      {"\"\x80\"", kInvalidUtf8, 1, true},
      {'"' + std::string(62, 's') + '"'},
      {'"' + std::string(130, 's') + '"'},
      {'"' + std::string(130, 's') + "\x1F\"", kControlCharacter, 131},
      {R"({"a":1,"bc" :[]})"},
      {R"({"a\t":{}})"},
      {R"({"a"1})", kUnexpectedByte, 4},
      {"true"},
      {"nulL", kUnexpectedByte, 3},
  };
  for (const unsigned features : kCpuFeatureSets) {
    const ForceCpuFeatures force(features);
    for (std::size_t before = 0; before <= 130; ++before) {
      std::string numbers = "[";
      while (numbers.size() < before) numbers += "1,";
      for (const std::string& begin :
           {'[' + std::string(before, ' '), "[\"" + std::string(before, 's') + "\",", numbers}) {
        for (const Piece& piece : pieces) {
          for (const std::size_t behind : {0, 62, 63, 64}) {
            const std::string json = begin + piece.json + ']' + std::string(behind, ' ');
            const JsonResult expected =
                piece.error == kNone ? JsonResult()
                                     : JsonResult{piece.error, begin.size() + piece.offset, {}};
            ASSERT_EQ(Checked(json), expected) << json;
            ASSERT_EQ(Skimmed(json), piece.only_checked ? JsonResult() : expected) << json;
          }
        }
      }
    }
  }
}

// The bytes before the first escape are copied in blocks of 64 or 16 bytes, or without a byte too
// many near the document's end.
TEST_F(JsonReaderTest, StringsBeforeTheirFirstEscape) {
  for (std::size_t before = 0; before <= 70; ++before) {
    for (std::size_t behind = 0; behind <= 70; ++behind) {
      std::string text;
      for (std::size_t i = 0; i < before + behind; ++i) text += static_cast<char>('A' + i % 50);
      std::string json = '"' + text + '"';
      for (char& c : json) c = c == '\\' ? '~' : c;
      std::string expected = json.substr(1, text.size());
      json.insert(1 + before, "\\n");
      expected.insert(before, "\n");
      JsonReader reader = Reader(json);
      const char* const begin = reader.begin() + 1;
      std::string_view read;
      reader.set_position(begin + before);
      ASSERT_TRUE(reader.ReadEscapedString(begin, read)) << json;
      ASSERT_EQ(read, expected) << json;
#ifdef FFGRANT_HAS_AVX2_PATHS
      if ((DetectCpuFeatures() & kCpuAvx2) == 0) continue;
      reader.set_position(begin + before);
      ASSERT_TRUE(reader.ReadEscapedStringAvx2(begin, read)) << json;
      ASSERT_EQ(read, expected) << json;
#endif
    }
  }
}

// Behind an escape, bytes that no string may hold are found wherever the document's end is.
TEST_F(JsonReaderTest, FaultsBehindAnEscape) {
  struct Fault {
    std::string_view bytes;
    JsonError error;
  };
  for (const Fault fault : {Fault{"\x1F", JsonError::kControlCharacter},
                            {"\x80", JsonError::kInvalidUtf8},
                            {"\xC3(", JsonError::kInvalidUtf8},
                            {"\\x", JsonError::kInvalidEscape}}) {
    for (std::size_t between = 0; between <= 70; ++between) {
      for (std::size_t behind = 0; behind <= 70; ++behind) {
        const std::string json = "\"\\n" + std::string(between, 'b') + std::string(fault.bytes) +
                                 std::string(behind, 'c') + '"';
        const JsonResult expected = {fault.error, 3 + between, {}};
        std::string_view text;
        JsonReader reader = Reader(json);
        const char* const begin = reader.begin() + 1;
        reader.set_position(begin);
        ASSERT_FALSE(reader.ReadEscapedString(begin, text)) << json;
        ASSERT_EQ(reader.result(), expected) << json;
#ifdef FFGRANT_HAS_AVX2_PATHS
        if ((DetectCpuFeatures() & kCpuAvx2) == 0) continue;
        JsonReader avx2 = Reader(json);
        avx2.set_position(begin);
        ASSERT_FALSE(avx2.ReadEscapedStringAvx2(begin, text)) << json;
        ASSERT_EQ(avx2.result(), expected) << json;
#endif
      }
    }
  }
}

// An unwanted value that is cut off fails at the document's end, wherever that is.
TEST_F(JsonReaderTest, UnwantedValuesThatAreCutOff) {
  const std::string whole = R"({"name":[12,"text",{"a":true,"b" :{}}],"other":[[],null],"c":{"d":)"
                            R"("a text that ends behind the second border of a block of bytes"}})";
  for (const unsigned features : kCpuFeatureSets) {
    const ForceCpuFeatures force(features);
    for (std::size_t blanks = 0; blanks < 64; ++blanks) {
      const std::string moved = std::string(blanks, ' ') + whole;
      EXPECT_TRUE(Skimmed(moved));
      for (std::size_t size = 0; size < moved.size(); ++size) {
        const std::string cut = moved.substr(0, size);
        const JsonResult expected = {JsonError::kUnexpectedEnd, size, {}};
        ASSERT_EQ(Skimmed(cut), expected) << cut;
        ASSERT_EQ(Checked(cut), expected) << cut;
      }
    }
  }
}

TEST_F(JsonReaderTest, DepthIsLimitedWhereAsked) {
  EXPECT_TRUE(Checked("[{\"a\":[]}]", 3));
  EXPECT_EQ(Checked("[{\"a\":[]}]", 2), (JsonResult{JsonError::kTooDeep, 6, {}}));
  EXPECT_TRUE(Checked("1", 0));
  EXPECT_EQ(Checked("[]", 0), (JsonResult{JsonError::kTooDeep, 0, {}}));
  EXPECT_TRUE(Skimmed(std::string(2000, '[') + std::string(2000, ']')));
}

// Checks TakeDigits() and TakeDigitsAvx2() against std::from_chars. Both functions accept JSON's
// integers of 1 to 15 digits without a sign, and nothing else.
TEST(JsonDigitsTest, EveryCountAndEveryByteBehind) {
  testing::GuardedBuffer memory{256};
  const std::string digits = "90817263544536271890";
  for (std::size_t count = 0; count <= digits.size(); ++count) {
    for (const bool zero : {false, true}) {
      for (int behind = -1; behind < 256; ++behind) {
        for (const char* rest : {"", "5", "}", "\n          }", "0123456789012345678"}) {
          if (count == 0 && behind < 0) continue;
          std::string number = digits.substr(0, count);
          if (zero && count > 0) number[0] = '0';
          std::string text = "{\"123456789012\":" + number;
          const std::size_t begin = text.size() - number.size();
          if (behind >= 0) text += static_cast<char>(behind);
          if (behind >= 0) text += rest;
          const std::string_view view = memory.AtEnd(text);
          const char* const p = view.data() + begin;
          const char* const end = view.data() + view.size();
          std::uint64_t expected = 0;
          const auto [stop, error] = std::from_chars(p, end, expected);
          const char* must = stop;
          if (error != std::errc() || stop - p > 15 || (*p == '0' && stop - p > 1)) must = nullptr;
          if (must != nullptr && stop != end && (*stop == '.' || *stop == 'e' || *stop == 'E')) {
            must = nullptr;
          }
          std::uint64_t value = 0;
          ASSERT_EQ(TakeDigits(p, end, value), must) << text;
          if (must != nullptr) {
            ASSERT_EQ(value, expected) << text;
          }
#ifdef FFGRANT_HAS_AVX2_PATHS
          if ((DetectCpuFeatures() & kCpuAvx2) == 0) continue;
          value = 0;
          ASSERT_EQ(TakeDigitsAvx2(p, end, value), must) << text;
          if (must != nullptr) {
            ASSERT_EQ(value, expected) << text;
          }
#endif
        }
      }
    }
  }
}

}  // namespace
}  // namespace ffgrant::internal
