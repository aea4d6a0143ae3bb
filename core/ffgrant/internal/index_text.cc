// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/internal/index_text.h"

namespace ffgrant::internal {

IndexText ParseIndexText(std::string_view text) noexcept {
  const bool plus = !text.empty() && text[0] == '+';
  std::size_t i = plus ? 1 : 0;
  if (i == text.size()) return {IndexSpelling::kInvalid, 0, i};
  const bool leading_zero = text[i] == '0' && text.size() - i > 1;
  unsigned value = 0;
  for (; i < text.size(); ++i) {
    const unsigned digit = static_cast<unsigned char>(text[i]) - unsigned{'0'};
    if (digit > 9) return {IndexSpelling::kInvalid, 0, i};
    value = value * 10 + digit;
    // Stops here, so that the value can't wrap around however many digits follow.
    if (value > 65535) return {IndexSpelling::kInvalid, 0, i};
  }
  const IndexSpelling spelling = plus           ? IndexSpelling::kPlusSign
                                 : leading_zero ? IndexSpelling::kLeadingZero
                                                : IndexSpelling::kCanonical;
  return {spelling, static_cast<std::uint16_t>(value), 0};
}

}  // namespace ffgrant::internal
