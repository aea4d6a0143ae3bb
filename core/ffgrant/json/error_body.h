// SPDX-License-Identifier: Apache-2.0
//
// Reads and writes error bodies (contract 5.6): {"error":"...","kind":"...","retryable":true}. The
// last two members are omitted when unset.

#ifndef FFGRANT_JSON_ERROR_BODY_H_
#define FFGRANT_JSON_ERROR_BODY_H_

#include <optional>
#include <span>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct ErrorBodyView {
  std::string_view error;
  std::optional<std::string_view> kind;
  std::optional<bool> retryable;
  friend constexpr bool operator==(const ErrorBodyView&, const ErrorBodyView&) = default;
};

// Decodes `json`, which may be any bytes. `out` is untouched on failure; the reference's client
// then shows the raw text as the message.
JsonResult ParseErrorBody(std::string_view json, JsonScratch& scratch, ErrorBodyView& out) noexcept;

// Writes compact JSON. Fails with kInvalidUtf8 if a text isn't UTF-8.
WriteResult SerializeErrorBody(const ErrorBodyView& body, std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_ERROR_BODY_H_
