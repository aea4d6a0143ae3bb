// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/retry_policy.h"

#include <charconv>
#include <cstddef>

#include "ffgrant/json/internal/json_struct.h"

namespace ffgrant {
namespace {

using internal::JsonReader;

// As deep as FlowFabric reads a policy.
constexpr std::size_t kMaxDepth = 126;

// Calls `use(name, value)` for each member of the object `json`, with the value's text.
// False if it is no object, or no JSON.
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

// Whether Lua makes a number of the text `value`, a JSON value's.
bool IsNumber(std::string_view value) {
  if (value.front() == '-' || (value.front() >= '0' && value.front() <= '9')) return true;
  if (value.front() != '"') return false;
  double number = 0;
  const char* const end = value.data() + value.size() - 1;
  const auto [at, error] = std::from_chars(value.data() + 1, end, number);
  return error == std::errc() && at == end;
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
  std::string_view fault;
  (void)ForEachMember(retry_policy, [&](std::string_view name, std::string_view value) {
    if (name == "max_retries" && value != "false" && !IsNumber(value)) {
      fault = "retry_policy: max_retries is no number";
    }
    if (name == "backoff" && value != "false" && value.front() != '{' && value.front() != '[' &&
        value.front() != '"') {
      fault = "retry_policy: backoff is no object";
    }
  });
  return fault;
}

}  // namespace ffgrant
