// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
#define FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_

#include "ffgrant/execution_id.h"

namespace ffgrant {

// Makes views of texts that are known to be ids, for the library's own use.
struct ExecutionIdAccess {
  // For making a canonical id where it is to be. Small parts put together in a
  // local and then copied as a whole cost a parse some 10 ns: the wide loads of
  // the copy have to wait for the narrow stores before them.
  static constexpr void FillCanonical(ExecutionIdView& id, std::string_view text,
                                      std::uint16_t index) noexcept {
    id.text_ = text;
    id.index_ = index;
    id.canonical_ = true;
  }
  static constexpr Uuid& UuidOf(ExecutionIdView& id) noexcept { return id.uuid_; }

  static constexpr ExecutionIdView Make(std::string_view text, const Uuid& uuid,
                                        std::uint16_t index, bool canonical) noexcept {
    return ExecutionIdView(text, uuid, index, canonical);
  }
};

}  // namespace ffgrant

#endif  // FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
