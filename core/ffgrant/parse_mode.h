// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_PARSE_MODE_H_
#define FFGRANT_PARSE_MODE_H_

#include <cstdint>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Partition keys, uuids and execution ids are parsed in one of two modes.
enum class ParseMode : std::uint8_t {
  // Accepts and rejects exactly what the reference accepts and rejects, with the same errors and
  // payloads (contract 1.1-1.6). This mode accepts spellings such as `{fp:+7}`, which mean the same
  // partition as `{fp:7}` but hash to another Valkey slot.
  kLenient,
  // Accepts only canonical text: the text that formatting the parsed value would write (contract
  // 1.8). A text that lenient mode rejects is rejected with the same error. A text that only
  // lenient mode accepts is rejected with an error that says why.
  kStrict,
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_PARSE_MODE_H_
