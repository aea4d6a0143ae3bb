// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
#define FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_

#include <cstdint>
#include <string_view>

#include "ffgrant/execution_id.h"

namespace ffgrant {

// Lets the library make views of texts that it knows to be ids.
struct ExecutionIdAccess {
  // Fills in an id in place, part by part. If the parts were put together in a local and
  // then copied as a whole, the wide loads of the copy would wait for the narrow stores before
  // them.
  static constexpr void Fill(ExecutionIdView& id, std::string_view text, std::uint16_t index,
                             const Uuid& uuid, bool canonical = true) noexcept {
    id.text_ = text;
    id.uuid_ = uuid;
    id.index_ = index;
    id.canonical_ = canonical;
  }

  static constexpr ExecutionIdView Make(std::string_view text, const Uuid& uuid,
                                        std::uint16_t index, bool canonical) noexcept {
    return ExecutionIdView(text, uuid, index, canonical);
  }
};

namespace internal {

// Does what ParseExecutionId() does on machines without AVX2.
ExecutionIdResult ParseExecutionIdWithoutAvx2(std::string_view text, ParseMode mode) noexcept;

}  // namespace internal
}  // namespace ffgrant

#endif  // FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
