// SPDX-License-Identifier: Apache-2.0
//
// Test only: has members of the DTOs as JSON, from which tests build documents. The constants
// E, P, K, X, L and G are named as in the contract's vectors (section 13).

#ifndef FFGRANT_TESTING_NAIVE_JSON_DOCUMENTS_H_
#define FFGRANT_TESTING_NAIVE_JSON_DOCUMENTS_H_

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

namespace ffgrant::testing {

inline constexpr char kIdText[] = "{fp:7}:11111111-1111-4111-8111-111111111111";
inline constexpr char kGrantKeyText[] =
    "ff:exec:{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111:claim_grant";

inline const std::string E = std::string(R"("execution_id":")") + kIdText + '"';
inline const std::string P = R"("partition_key":"{fp:7}")";
inline const std::string K = std::string(R"("grant_key":")") + kGrantKeyText + '"';
inline const std::string X = R"("expires_at_ms":1700000000000)";
inline const std::string L = R"("lane_id":"main")";
inline const std::string G = R"("status":"granted")";

// Returns the members in braces, with commas between them.
inline std::string Object(std::initializer_list<std::string_view> members) {
  std::string json = "{";
  for (const std::string_view member : members) {
    if (json.size() > 1) json += ',';
    json += member;
  }
  return json + '}';
}

// Returns the document with an escape in place of each byte inside its strings. The document must
// have neither escapes nor bytes above 0x7F.
inline std::string WithEscapes(std::string_view json) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string escaped;
  bool is_in_string = false;
  for (const char c : json) {
    if (c == '"') is_in_string = !is_in_string;
    if (c == '"' || !is_in_string) {
      escaped += c;
    } else {
      (escaped += "\\u00") += {kHex[c / 16], kHex[c % 16]};
    }
  }
  return escaped;
}

inline std::string NestedArrays(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_NAIVE_JSON_DOCUMENTS_H_
