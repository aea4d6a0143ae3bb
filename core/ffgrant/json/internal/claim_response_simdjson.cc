// SPDX-License-Identifier: Apache-2.0

#include <array>
#include <cstring>

#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/internal/json_scratch_state.h"

namespace ffgrant::internal {
namespace {

namespace dom = simdjson::dom;

// A member that was found twice, or isn't of its type, makes the document one
// for the sequential reader, which alone knows what to report.
bool TakeText(dom::element value, std::string_view& out, unsigned& seen, unsigned bit) noexcept {
  if ((seen & bit) != 0) return false;
  seen |= bit;
  return value.get_string().get(out) == simdjson::SUCCESS;
}

bool TakeNumber(dom::element value, std::uint64_t& out, unsigned& seen, unsigned bit) noexcept {
  if ((seen & bit) != 0) return false;
  seen |= bit;
  // simdjson reads -0 as 0, which the sequential reader tells apart.
  return value.get_uint64().get(out) == simdjson::SUCCESS && out != 0;
}

bool TakeMember(std::string_view name, dom::element value, ClaimResponseView& out,
                unsigned& seen) noexcept {
  if (name == "execution_id") return TakeText(value, out.execution_id, seen, 1);
  if (name == "partition_key") return TakeText(value, out.partition_key, seen, 2);
  if (name == "grant_key") return TakeText(value, out.grant_key, seen, 4);
  if (name == "expires_at_ms") return TakeNumber(value, out.expires_at_ms, seen, 8);
  return true;
}

bool TakeElement(std::size_t i, dom::element value, ClaimResponseView& out,
                 unsigned& seen) noexcept {
  switch (i) {
    case 0:
      return TakeText(value, out.execution_id, seen, 1);
    case 1:
      return TakeText(value, out.partition_key, seen, 2);
    case 2:
      return TakeText(value, out.grant_key, seen, 4);
    case 3:
      return TakeNumber(value, out.expires_at_ms, seen, 8);
    default:
      return false;
  }
}

bool BeginsWithBracket(std::string_view json) noexcept {
  const std::size_t first = json.find_first_not_of(" \t\n\r");
  return first != std::string_view::npos && (json[first] == '{' || json[first] == '[');
}

// simdjson joins halves of surrogate pairs that don't belong together.
bool HasUnicodeEscape(std::string_view json) noexcept {
  const char* p = json.data();
  const char* const end = p + json.size();
  while ((p = static_cast<const char*>(std::memchr(p, '\\', static_cast<std::size_t>(end - p)))) !=
         nullptr) {
    // Behind an escaped backslash `u` is a letter; taking it for an escape
    // costs only time.
    if (++p == end || *p == 'u') return true;
  }
  return false;
}

}  // namespace

bool ParseClaimResponseSimdjson(std::string_view json, JsonScratch& scratch,
                                ClaimResponseView& out) noexcept {
  JsonScratch::State& state = scratch.state();
  if (json.empty() || json.size() > state.parser.capacity()) return false;
  // simdjson allocates for a document that is a number, and newer versions of
  // it skip a byte order mark, which contract 4 rejects.
  if (!BeginsWithBracket(json) || HasUnicodeEscape(json)) return false;
  std::memcpy(state.padded, json.data(), json.size());
  std::memset(state.padded + json.size(), ' ', simdjson::SIMDJSON_PADDING);
  dom::element root;
  if (state.parser.parse(state.padded, json.size(), false).get(root) != simdjson::SUCCESS) {
    return false;
  }
  unsigned seen = 0;
  ClaimResponseView view;
  dom::object object;
  dom::array array;
  if (root.get_object().get(object) == simdjson::SUCCESS) {
    for (const dom::key_value_pair member : object) {
      if (!TakeMember(member.key, member.value, view, seen)) return false;
    }
    // Never false: what begins with a bracket is one of the two.
  } else if (root.get_array().get(array) == simdjson::SUCCESS) {
    std::size_t i = 0;
    for (const dom::element element : array) {
      if (!TakeElement(i++, element, view, seen)) return false;
    }
  }
  if (seen != 15) return false;
  out = view;
  return true;
}

}  // namespace ffgrant::internal
