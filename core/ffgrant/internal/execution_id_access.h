// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
#define FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_

#include "ffgrant/execution_id.h"

namespace ffgrant {

// Makes views of texts that are known to be ids, for the library's own use.
struct ExecutionIdAccess {
  static constexpr ExecutionIdView Make(std::string_view text, const Uuid& uuid,
                                        std::uint16_t index, bool canonical) noexcept {
    return ExecutionIdView(text, uuid, index, canonical);
  }
};

}  // namespace ffgrant

#endif  // FFGRANT_INTERNAL_EXECUTION_ID_ACCESS_H_
