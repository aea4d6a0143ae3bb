// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_ANY_UUID_H_
#define FFGRANT_INTERNAL_ANY_UUID_H_

#include <cstddef>
#include <string_view>

#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// Decodes `text` as lenient mode does, whatever its form. If the text is accepted and has uppercase
// digits, `uppercase` becomes the offset of the first uppercase digit; in all other cases
// `uppercase` means nothing.
UuidResult ParseAnyUuid(std::string_view text, std::size_t& uppercase) noexcept;

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_ANY_UUID_H_
