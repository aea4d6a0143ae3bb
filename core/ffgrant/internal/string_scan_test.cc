// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/string_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/packed_string.h"
#include "ffgrant/internal/utf8.h"
#include "testing/naive/guarded_buffer.h"

namespace ffgrant::internal {
namespace {

using ffgrant::testing::GuardedBuffer;

bool NaiveIsSpecial(char c, bool non_ascii) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 31 || byte == 34 || byte == 92 || (non_ascii && byte > 127);
}

TEST(StringScanTest, EveryByteInEveryPlace) {
  GuardedBuffer memory;
  for (std::size_t size = 0; size <= 50; ++size) {
    for (std::size_t place = 0; place < std::max<std::size_t>(size, 1); ++place) {
      for (int value = 0; value < 256; ++value) {
        std::string text(size, ' ');
        if (size > 0) text[place] = static_cast<char>(value);
        const std::string_view view = memory.AtEnd(text);
        const char* const end = view.data() + view.size();
        for (const bool non_ascii : {false, true}) {
          const auto naive = static_cast<std::size_t>(
              std::find_if(text.begin(), text.end(),
                           [=](char c) { return NaiveIsSpecial(c, non_ascii); }) -
              text.begin());
          const char* const found = non_ascii ? FindSpecial<NonAscii::kSpecial>(view.data(), end)
                                              : FindSpecial<NonAscii::kPlain>(view.data(), end);
          ASSERT_EQ(static_cast<std::size_t>(found - view.data()), naive) << size << ' ' << value;
          const char* const portable =
              non_ascii ? FindSpecialPortable<NonAscii::kSpecial>(view.data(), end)
                        : FindSpecialPortable<NonAscii::kPlain>(view.data(), end);
          ASSERT_EQ(portable, found) << size << ' ' << value;
#ifdef FFGRANT_HAS_AVX2_PATHS
          if (non_ascii && (DetectCpuFeatures() & kCpuAvx2) != 0) {
            ASSERT_EQ(Avx2Scan::FindSpecial(view.data(), end), found) << size << ' ' << value;
          }
#endif
          if (!non_ascii) continue;
          ASSERT_EQ(IsPlainText(view), naive == size) << size << ' ' << place << ' ' << value;
          if (size >= 16) {
            ASSERT_EQ(PlainPrefix16(view.data()), std::min<std::size_t>(naive, 16));
          }
        }
      }
    }
  }
}

// Searches long texts with each set of instructions. One text has at most one special byte among
// plain bytes; the other has the same byte among blanks.
TEST(StringScanTest, FarAway) {
  GuardedBuffer memory;
  for (const unsigned features : kCpuFeatureSets) {
    const ForceCpuFeatures force(features);
    for (std::size_t size = 0; size <= 400; ++size) {
      for (std::size_t place : {size, size / 2, size - size / 3, size / 7, size - size / 9}) {
        std::string text(size, 'a');
        std::string blanks(size, ' ');
        for (std::size_t i = 0; i < size; ++i) blanks[i] = " \n\r\t"[i * i % 4];
        for (const char byte : {'"', '\\', '\x1F', '\x80', '\xFF', '\0'}) {
          if (place < size) {
            text[place] = byte;
            blanks[place] = byte;
          }
          std::string_view view = memory.AtEnd(text);
          const char* end = view.data() + size;
          ASSERT_EQ(FindSpecial<NonAscii::kSpecial>(view.data(), end), view.data() + place);
          ASSERT_EQ(FindSpecialFar(view.data(), end), view.data() + place);
#ifdef FFGRANT_HAS_AVX2_PATHS
          if ((features & DetectCpuFeatures() & kCpuAvx2) != 0) {
            ASSERT_EQ(Avx2Scan::FindSpecial(view.data(), end), view.data() + place);
          }
#endif
          const bool is_plain = static_cast<unsigned char>(byte) >= 0x80;
          ASSERT_EQ(FindSpecial<NonAscii::kPlain>(view.data(), end),
                    view.data() + (is_plain ? size : place));
          view = memory.AtEnd(blanks);
          end = view.data() + size;
          ASSERT_EQ(SkipBlanks(view.data(), end), view.data() + place);
          ASSERT_EQ(SkipBlanksFar(view.data(), end), view.data() + place);
        }
      }
    }
  }
}

// The result must be right whatever number of blanks is expected.
TEST(StringScanTest, SameBlanks) {
  GuardedBuffer memory;
  for (std::size_t blanks = 0; blanks <= 40; ++blanks) {
    for (const char* behind : {"", "\"", "x ", "\x01 ", "\" 34567890123456"}) {
      std::string text;
      for (std::size_t i = 0; i < blanks; ++i) text += " \n\r\t"[i * i % 4];
      text += behind;
      const std::string_view view = memory.AtEnd(text);
      const char* const end = view.data() + view.size();
      for (std::size_t expected = 0; expected <= 40; ++expected) {
        ASSERT_EQ(SkipSameBlanks(view.data(), end, expected), view.data() + blanks)
            << blanks << ' ' << expected;
      }
    }
  }
}

// Tests SpecialBits(), with which words of eight bytes are searched.
TEST(StringScanTest, TheLowestSpecialBitIsRight) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {
          'a', static_cast<char>(first), static_cast<char>(second), 'b', 'c', 'd', 'e', 'f'};
      for (const bool non_ascii : {false, true}) {
        const std::uint64_t bits = non_ascii ? SpecialBits<NonAscii::kSpecial>(Load64(text.data()))
                                             : SpecialBits<NonAscii::kPlain>(Load64(text.data()));
        const std::size_t naive = NaiveIsSpecial(text[1], non_ascii)   ? 1
                                  : NaiveIsSpecial(text[2], non_ascii) ? 2
                                                                       : 8;
        ASSERT_EQ(static_cast<std::size_t>(std::countr_zero(bits)) / 8, naive);
      }
    }
  }
}

TEST(StringScanTest, CopiesEverySizeAndNothingElse) {
  GuardedBuffer memory;
  for (std::size_t size = 0; size <= 100; ++size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + i % 90);
    std::string out(size + 2, '~');
    EXPECT_EQ(CopyText(out.data() + 1, memory.AtEnd(text)), out.data() + 1 + size);
    EXPECT_EQ(out, "~" + text + "~");
  }
}

// The test tries all pairs of the first two bytes, and the edges of all ranges as third and fourth
// byte.
TEST(Utf8Test, SequencesOfUpToFourBytes) {
  // The oracle decodes a sequence. The sequence is right if its value is a scalar value that takes
  // as many bytes.
  const auto naive = [](std::string_view s) -> std::size_t {
    const auto byte = [s](std::size_t i) { return static_cast<unsigned>(s[i] & 0xFF); };
    const std::size_t size = byte(0) < 0x80 ? 1 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : 4;
    if (s.size() < size) return 0;
    unsigned value = size == 1 ? byte(0) : byte(0) & (0x7Fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
      if (byte(i) / 64 != 2) return 0;
      value = value * 64 + byte(i) % 64;
    }
    if (byte(0) >= 0x80 && byte(0) < 0xC0) return 0;
    if (byte(0) >= 0xF8) return 0;
    const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    return value < least[size] || value > 0x10FFFF || surrogate ? 0 : size;
  };
  const unsigned char edges[] = {0x00, 0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      for (const unsigned char c : edges) {
        for (const unsigned char d : edges) {
          const char bytes[] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                                static_cast<char>(d)};
          for (std::size_t size = 1; size <= 4; ++size) {
            ASSERT_EQ(Utf8SequenceSize(bytes, bytes + size), naive({bytes, size}))
                << a << ' ' << b << ' ' << int{c} << ' ' << int{d} << ' ' << size;
          }
        }
      }
    }
  }
}

TEST(DecimalDigitsTest, AgreesWithTheLibraryAroundPowers) {
  std::uint64_t power = 1;
  for (int digits = 1; digits <= 20; ++digits, power *= 10) {
    for (const std::uint64_t value : {power - 1, power, power + 1, power / 9 * 7, ~power}) {
      const std::string text = std::to_string(value);
      EXPECT_EQ(DigitCount(value), text.size()) << text;
      std::string out(text.size() + 2, '~');
      EXPECT_EQ(WriteDigits(out.data() + 1, value, DigitCount(value)),
                out.data() + 1 + text.size());
      EXPECT_EQ(out, "~" + text + "~");
    }
  }
  EXPECT_EQ(DigitCount(0), 1u);
}

TEST(DecimalDigitsTest, ParsesDigitsAlone) {
  for (unsigned count = 0; count <= 8; ++count) {
    std::string text =
        "\xFF"
        "!a~}{\"\\";
    text.replace(8 - count, count, std::string("91827364").substr(0, count));
    bool ok = true;
    EXPECT_EQ(ParseUpTo8Digits(Load64(text.data()), count, ok),
              count == 0 ? 0u : std::stoull(text.substr(8 - count)));
    EXPECT_TRUE(ok) << count;
    for (unsigned place = 8 - count; place < 8; ++place) {
      for (int value = 0; value < 256; ++value) {
        std::string edited = text;
        edited[place] = static_cast<char>(value);
        ok = true;
        (void)ParseUpTo8Digits(Load64(edited.data()), count, ok);
        EXPECT_EQ(ok, value >= '0' && value <= '9') << count << ' ' << place << ' ' << value;
      }
    }
  }
}

TEST(PackedStringTest, RoundTripsInPlace) {
  for (const std::size_t size : {0u, 1u, 127u, 128u, 16'383u, 16'384u, 2'097'151u, 2'097'152u}) {
    std::string memory(size + 10, '~');
    // The text overlaps the place that it is packed into.
    for (std::size_t i = 0; i < size; ++i) memory[i] = static_cast<char>('a' + i % 26);
    const std::string text = memory.substr(0, size);
    const char* const end = PackString(memory.data(), {memory.data(), size});
    EXPECT_EQ(UnpackString(memory.data()), text);
    EXPECT_EQ(UnpackString(memory.data()).data() + size, end);
    EXPECT_EQ(*end, '~');
    EXPECT_LE(static_cast<std::size_t>(end - memory.data()), PackedCapacity(size));
  }
}

}  // namespace
}  // namespace ffgrant::internal
