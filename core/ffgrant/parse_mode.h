// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_PARSE_MODE_H_
#define FFGRANT_PARSE_MODE_H_

#include <cstdint>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Partition keys, uuids and execution ids are parsed in one of two modes.
enum class ParseMode : std::uint8_t {
  // Accepts and rejects exactly what the reference does, with its errors and
  // payloads (contract 1.1-1.6). Accepts spellings such as `{fp:+7}`, which
  // mean the same partition but hash to another Valkey slot.
  kLenient,
  // Accepts canonical text only: what formatting the parse result would write
  // (contract 1.8). What lenient rejects is rejected with the same error; what
  // lenient alone accepts is rejected with an error that says why.
  kStrict,
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_PARSE_MODE_H_
