// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/hash_slot.h"

#include <bit>
#include <cstddef>
#include <cstdint>

#include "ffgrant/crc16.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/crc16_of_word.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/partition_tag_text.h"

#ifdef FFGRANT_HAS_SSE2
#include <emmintrin.h>
#endif

namespace ffgrant {

namespace {

#ifdef FFGRANT_HAS_SSE2
// Bit i of the result is set if p[i] is `byte`, for i < 32.
inline std::uint32_t PlacesOf(char byte, const char* p) noexcept {
  const __m128i wanted = _mm_set1_epi8(byte);
  const auto mask = [wanted](const char* at) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted)));
  };
  return mask(p) | mask(p + 16) << 16;
}
#endif

std::string_view FindHashTag(std::string_view key) noexcept {
  const std::size_t open = key.find('{');
  if (open == std::string_view::npos) return key;
  const std::size_t close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

// With SSE2, needs no loop for a key of at least 32 bytes whose first 32 bytes hold both braces. An
// execution's keys are such keys.
inline std::string_view HashTagOf(std::string_view key) noexcept {
#ifdef FFGRANT_HAS_SSE2
  if (key.size() >= 32) {
    const std::uint32_t opens = PlacesOf('{', key.data());
    // Keeps the closing braces that come after the first opening brace.
    const std::uint32_t closes = PlacesOf('}', key.data()) & ~(opens ^ (opens - 1));
    if (opens != 0 && closes != 0) {
      const auto open = static_cast<std::size_t>(std::countr_zero(opens));
      const auto close = static_cast<std::size_t>(std::countr_zero(closes));
      return close == open + 1 ? key : key.substr(open + 1, close - open - 1);
    }
  }
#endif
  return FindHashTag(key);
}

}  // namespace

std::string_view HashTag(std::string_view key) noexcept { return HashTagOf(key); }

std::uint16_t HashSlot(std::string_view key) noexcept {
  const std::string_view tag = HashTagOf(key);
  // A tag of one to eight bytes is loaded as one word, which can reach up to seven bytes past the
  // tag: the key must have those bytes.
  if (tag.size() - 1 < 8 && tag.data() + 8 <= key.data() + key.size()) {
    const std::uint64_t word = internal::Load64(tag.data()) << (64 - 8 * tag.size());
    return internal::Crc16OfWord(word) & (kHashSlotCount - 1);
  }
  return Crc16Xmodem(tag) & (kHashSlotCount - 1);
}

std::uint16_t HashSlot(Partition partition) noexcept {
  // The text between the braces has three to eight bytes.
  const internal::PartitionTagText tag = internal::TagText(partition);
  const std::size_t size = tag.size - 2;
  return internal::Crc16OfWord(tag.From(1) << (64 - 8 * size)) & (kHashSlotCount - 1);
}

}  // namespace ffgrant
