// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/crc16.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/crc16_clmul.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/naive_hash.h"

namespace ffgrant {
namespace {

using testing::GuardedBuffer;
using testing::NaiveCrc16;

std::string RandomBytes(std::size_t size, std::mt19937_64& random) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(Crc16Test, GivesTheContractsCheckValues) {
  EXPECT_EQ(Crc16Xmodem("123456789"), 0x31C3);
  EXPECT_EQ(Crc16Xmodem(""), 0x0000);
  EXPECT_EQ(Crc16Xmodem("a"), 0x7C87);
  EXPECT_EQ(Crc16Xmodem("foo"), 0xAF96);
  EXPECT_EQ(Crc16Xmodem("default"), 0xD656);
  EXPECT_EQ(Crc16Xmodem("fp:0"), 0x7A4E);
  EXPECT_EQ(Crc16Xmodem("fp:7"), 0x0AA9);
}

TEST(Crc16Test, AgreesWithTheBitwiseFormOnAllPairsOfBytes) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const char bytes[] = {static_cast<char>(a), static_cast<char>(b)};
      ASSERT_EQ(Crc16Xmodem({bytes, 2}), NaiveCrc16({bytes, 2}));
      ASSERT_EQ(Crc16Xmodem({bytes, 1}), NaiveCrc16({bytes, 1}));
    }
  }
}

TEST(Crc16Test, AgreesWithTheBitwiseFormAtEveryLengthAndAlignment) {
  GuardedBuffer buffer;
  std::mt19937_64 random(1);
  for (std::size_t size = 0; size <= 300; ++size) {
    const std::string bytes = RandomBytes(size, random);
    const std::uint16_t expected = NaiveCrc16(bytes);
    for (const unsigned features : internal::kCpuFeatureSets) {
      const internal::ForceCpuFeatures force(features);
      ASSERT_EQ(Crc16Xmodem(buffer.AtEnd(bytes)), expected) << size;
      ASSERT_EQ(Crc16Xmodem(buffer.AtStart(bytes)), expected) << size;
    }
#ifdef FFGRANT_HAS_AVX2_PATHS
    // Tests Crc16Clmul also for sizes at which Crc16Xmodem prefers the tables.
    if (size >= internal::kMinClmulSize && internal::HasClmul()) {
      const std::string_view at_end = buffer.AtEnd(bytes);
      ASSERT_EQ(internal::Crc16Clmul(at_end.data(), size), expected) << size;
    }
#endif
  }
}

TEST(Crc16Test, EveryByteOfALongInputCounts) {
  std::mt19937_64 random(2);
  std::string bytes = RandomBytes(64, random);
  for (char& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte = static_cast<char>(byte ^ (1 << bit));
      ASSERT_EQ(Crc16Xmodem(bytes), NaiveCrc16(bytes));
      byte = static_cast<char>(byte ^ (1 << bit));
    }
  }
}

TEST(Crc16Test, IsLinear) {
  std::mt19937_64 random(3);
  for (std::size_t size = 0; size < 100; ++size) {
    const std::string a = RandomBytes(size, random);
    const std::string b = RandomBytes(size, random);
    std::string both(size, '\0');
    for (std::size_t i = 0; i < size; ++i) both[i] = static_cast<char>(a[i] ^ b[i]);
    ASSERT_EQ(Crc16Xmodem(both), Crc16Xmodem(a) ^ Crc16Xmodem(b));
  }
}

}  // namespace
}  // namespace ffgrant
