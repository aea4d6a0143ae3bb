// SPDX-License-Identifier: Apache-2.0
//
// Decodes a UUID in any of its forms, with uppercase or lowercase digits, and finds the first
// invalid byte. All digits are decoded in one step.

#ifndef FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_
#define FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_

#include "ffgrant/internal/cpu.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// Marks which of 32 bytes are hex digits, and which of these digits are uppercase letters.
struct DigitMasks {
  std::uint32_t digits;
  std::uint32_t uppercase;
};

FFGRANT_AVX2 inline DigitMasks ClassifyDigits(__m256i text) noexcept {
  const __m256i decimal = _mm256_sub_epi8(text, Load256(&kHexConstants.first_decimal));
  const __m256i is_decimal =
      _mm256_cmpeq_epi8(_mm256_min_epu8(decimal, Load256(&kHexConstants.letter_offset)), decimal);
  const __m256i letter = _mm256_sub_epi8(_mm256_or_si256(text, Load256(&kHexConstants.case_bit)),
                                         Load256(&kHexConstants.first_letter));
  const __m256i is_letter =
      _mm256_cmpeq_epi8(_mm256_min_epu8(letter, Load256(&kHexConstants.five)), letter);
  const auto letters = static_cast<std::uint32_t>(_mm256_movemask_epi8(is_letter));
  // Bit 5 of each byte is shifted to the top.
  const auto lowercase =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(text, 2)));
  return {static_cast<std::uint32_t>(_mm256_movemask_epi8(is_decimal)) | letters,
          letters & ~lowercase};
}

// Stores the bytes that 32 hex digits stand for, in the order of the text.
FFGRANT_AVX2 inline void StoreDigits(__m256i digits, Uuid& uuid) noexcept {
  // Bit 6 is set in letters. The value of a letter is its low half plus 9.
  const __m256i is_letter =
      _mm256_and_si256(_mm256_srli_epi16(digits, 6), Load256(&kHexConstants.one));
  const __m256i nine = _mm256_add_epi8(_mm256_slli_epi16(is_letter, 3), is_letter);
  const __m256i value =
      _mm256_add_epi8(_mm256_and_si256(digits, Load256(&kHexConstants.low_half)), nine);
  const __m256i bytes = _mm256_maddubs_epi16(value, Load256(&kHexConstants.weights));
  _mm_storeu_si128(
      reinterpret_cast<__m128i*>(uuid.bytes.data()),
      _mm_packus_epi16(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
}

// Where the digits of a form are, and what is around them.
struct alignas(64) UuidForm {
  std::array<std::uint8_t, 32> places{};  // shuffles the bytes from `begin` + `middle` on
  // The offset in the text of each digit, then the offset of the digits' end.
  std::array<std::uint8_t, 33> byte_of_digit{};
  std::uint8_t begin = 0;     // the offset of the first digit
  std::uint8_t middle = 0;    // from `begin` to where `places` begins: 2 with hyphens, else 0
  std::uint8_t colon = 0;     // 0xFF if byte 8 of the text must be a colon
  std::uint8_t brace = 0;     // 0xFF if the last byte must be a brace
  std::uint32_t hyphens = 0;  // bit i: a hyphen must be at `begin` + `middle` + i
  // What the first eight bytes must be, in the bits that `head_mask` has.
  std::uint64_t head = 0;
  std::uint64_t head_mask = 0;
};

// Never reached: computed at compile time.
constexpr UuidForm MakeUuidForm(std::string_view before, bool hyphenated, bool braced) noexcept {
  UuidForm form;
  form.begin = static_cast<std::uint8_t>(before.size());
  form.middle = hyphenated ? 2 : 0;
  form.colon = before.size() > 8 ? 0xFF : 0;
  form.brace = braced ? 0xFF : 0;
  for (std::size_t i = 0; i < 8 && i < before.size(); ++i) {
    form.head |= std::uint64_t{static_cast<unsigned char>(before[i])} << (8 * i);
    form.head_mask |= std::uint64_t{0xFF} << (8 * i);
  }
  std::size_t at = 0;
  for (std::size_t digit = 0; digit <= 32; ++digit, ++at) {
    if (hyphenated && (digit == 8 || digit == 12 || digit == 16 || digit == 20)) {
      form.hyphens |= 1u << (at - form.middle);
      ++at;
    }
    form.byte_of_digit[digit] = static_cast<std::uint8_t>(form.begin + at);
    if (digit < 32) {
      // Each half of a vector is shuffled on its own. The two digits at either end come from other
      // loads if there are hyphens.
      const std::size_t place = at - form.middle;
      const bool in_half = at >= form.middle && place / 16 == digit / 16;
      form.places[digit] = in_half ? static_cast<std::uint8_t>(place % 16) : 0x80;
    }
  }
  return form;
}

inline constexpr std::array<UuidForm, 4> kUuidForms = {
    MakeUuidForm("", false, false), MakeUuidForm("", true, false), MakeUuidForm("{", true, true),
    MakeUuidForm("urn:uuid:", true, false)};

inline constexpr std::uint8_t kNoUuidForm = 4;
// For each size of a text: the place of its form in kUuidForms, or kNoUuidForm.
inline constexpr std::array<std::uint8_t, 64> kUuidFormOfSize = [] {
  std::array<std::uint8_t, 64> forms{};
  forms.fill(kNoUuidForm);
  forms[32] = 0;
  forms[kUuidTextSize] = 1;
  forms[kUuidTextSize + 2] = 2;
  forms[kUuidTextSize + 9] = 3;
  return forms;
}();

inline std::uint8_t UuidFormOfSize(std::size_t size) noexcept {
  return size < kUuidFormOfSize.size() ? kUuidFormOfSize[size] : kNoUuidForm;
}

// Decodes a text of the given form, which follows from the text's size. Returns the offset of the
// first byte that breaks the form, or the text's size if there is none. `uppercase` becomes the
// offset of the first uppercase digit if there is one, else the offset of the digits' end. There is
// no branch on the form, since nothing predicts which form a text has.
FFGRANT_AVX2 [[gnu::always_inline]] inline std::size_t DecodeUuidForm(
    std::string_view text, const UuidForm& form, Uuid& uuid, std::size_t& uppercase) noexcept {
  constexpr std::uint64_t kEnd = std::uint64_t{1} << 32;
  const char* const digits = text.data() + form.begin;
  const __m256i middle = Load256(digits + form.middle);
  // These are the same steps as in DecodeUuidAvx2. Without hyphens all three loads read the same
  // bytes.
  __m256i in_order = _mm256_shuffle_epi8(middle, Load256(&form.places));
  in_order = _mm256_blend_epi32(in_order, Load256(digits), 0x01);
  in_order = _mm256_blend_epi32(in_order, Load256(digits + 2 * form.middle), 0x80);
  const DigitMasks masks = ClassifyDigits(in_order);
  StoreDigits(in_order, uuid);
  uppercase =
      form.byte_of_digit[static_cast<std::size_t>(std::countr_zero(masks.uppercase | kEnd))];
  const auto hyphens = static_cast<std::uint32_t>(
      _mm256_movemask_epi8(_mm256_cmpeq_epi8(middle, Load256(&kHexConstants.hyphens))));
  const std::uint32_t no_hyphen = form.hyphens & ~hyphens;
  const std::uint64_t head = (Load64(text.data()) ^ form.head) & form.head_mask;
  const unsigned colon = (static_cast<unsigned char>(text[8]) ^ unsigned{':'}) & form.colon;
  const unsigned brace = (static_cast<unsigned char>(text.back()) ^ unsigned{'}'}) & form.brace;
  if ((~masks.digits | no_hyphen | head | colon | brace) == 0) [[likely]]
    return text.size();
  if (head != 0) return static_cast<std::size_t>(std::countr_zero(head)) / 8;
  if (colon != 0) return 8;
  const std::size_t digit =
      form.byte_of_digit[static_cast<std::size_t>(std::countr_one(std::uint64_t{masks.digits}))];
  // Place 40 is behind all digits. If all digits are right, `digit` is the offset of the digits'
  // end, where a braced UUID has its brace.
  const auto hyphen =
      static_cast<std::size_t>(std::countr_zero(no_hyphen | std::uint64_t{1} << 40));
  return std::min(digit, hyphen + form.begin + form.middle);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS

#endif  // FFGRANT_INTERNAL_ANY_CASE_UUID_AVX2_H_
