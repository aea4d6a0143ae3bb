// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/retry_policy.h"

#include <ctype.h>
#include <locale.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include "ffgrant/json/internal/json_struct.h"

namespace ffgrant {
namespace {

using internal::JsonReader;

// FlowFabric reads the value of a policy's member to this depth.
constexpr std::size_t kMaxDepth = 126;

// Calls `use(name, value)` for each member of the object `json`, with the value's text. Returns
// false, perhaps after some calls, if `json` is no JSON object or has a value that is nested too
// deeply. Returns false also if no memory is left.
template <class Use>
bool ForEachMember(std::string_view json, const Use& use) {
  JsonScratch scratch(json.size() + 1);
  return static_cast<bool>(internal::DecodeDocument(json, scratch, [&](JsonReader& reader) {
    if (reader.Peek() != '{') return reader.FailUnexpected();
    reader.Advance();
    for (bool first = true;; first = false) {
      const JsonReader::Next next = reader.NextMember(first);
      if (next == JsonReader::Next::kError) return false;
      if (next == JsonReader::Next::kEnd) {
        reader.Advance();
        return true;
      }
      std::string_view name;
      if (!reader.ReadString(name) || !reader.Expect(':')) return false;
      (void)reader.Peek();
      const char* const begin = reader.position();
      if (!reader.CheckValue(kMaxDepth)) return false;
      use(name, std::string_view(begin, static_cast<std::size_t>(reader.position() - begin)));
    }
  }));
}

// Returns true if Lua 5.1's tonumber() accepts `text`: a number that strtod() reads, also a
// hexadecimal one, with blanks around it or without. The server's locale is C.
bool IsLuaNumber(const char* text) {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  char* end = nullptr;
  (void)strtod_l(text, &end, c_locale);
  if (end == text) return false;
  while (isspace_l(static_cast<unsigned char>(*end), c_locale) != 0) ++end;
  return *end == '\0';
}

// Returns true if Lua can turn the JSON value `json` into a number.
bool IsNumber(std::string_view json) {
  if (json.front() == '-' || (json.front() >= '0' && json.front() <= '9')) return true;
  if (json.front() != '"') return false;
  JsonScratch scratch(json.size() + 1);
  std::string_view text;
  (void)internal::DecodeDocument(json, scratch,
                                 [&](JsonReader& reader) { return reader.ReadString(text); });
  // IsLuaNumber() reads up to the first NUL, which may also be one within the text.
  return IsLuaNumber(std::string(text).c_str());
}

}  // namespace

std::string_view FindRetryPolicy(std::string_view policy) {
  std::string_view found;
  const bool is_json = ForEachMember(policy, [&](std::string_view name, std::string_view value) {
    if (name == "retry_policy") found = value;
  });
  return is_json ? found : std::string_view();
}

std::string_view FaultOfRetryPolicy(std::string_view retry_policy) {
  // If a member is repeated, Lua keeps the last one.
  bool are_retries_right = true;
  bool is_backoff_right = true;
  (void)ForEachMember(retry_policy, [&](std::string_view name, std::string_view value) {
    if (name == "max_retries") are_retries_right = value == "false" || IsNumber(value);
    if (name == "backoff") {
      is_backoff_right =
          value == "false" || value.front() == '{' || value.front() == '[' || value.front() == '"';
    }
  });
  if (!are_retries_right) return "retry_policy: max_retries is no number";
  return is_backoff_right ? std::string_view() : "retry_policy: backoff is no object";
}

}  // namespace ffgrant
