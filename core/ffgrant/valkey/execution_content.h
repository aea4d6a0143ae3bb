// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_EXECUTION_CONTENT_H_
#define FFGRANT_VALKEY_EXECUTION_CONTENT_H_

#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// What a new execution is about (core/contract/live-observed.md, 4).
struct ExecutionContent {
  std::string_view payload = {};      // any bytes
  std::string_view kind = {};         // empty: ClaimDefaults::execution_kind
  std::string_view tags_json = "{}";  // a JSON object of texts, such as {"team":"x"}
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_EXECUTION_CONTENT_H_
