// SPDX-License-Identifier: Apache-2.0
//
// Has small helpers of the model. The model stores each field of a hash as a text.

#ifndef FFGRANT_TESTING_MODEL_MODEL_TEXTS_H_
#define FFGRANT_TESTING_MODEL_MODEL_TEXTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/claims/claim_error.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/uuid.h"

namespace ffgrant::testing::model {

// Compares sizes first. In builds that check memory, the sanitizer and the fuzzing engine inspect
// each call of memcmp, and most field names differ in size.
struct FieldOrder {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const {
    if (a.size() != b.size()) {
      return a.size() < b.size();
    }
    std::size_t i = 0;
    while (i < a.size() && a[i] == b[i]) {
      ++i;
    }
    return i < a.size() && a[i] < b[i];
  }
};

// A hash as a server has it. A read by [] adds a field that does not exist, as an empty text; at()
// must be given a field that exists.
struct Hash : std::map<std::string, std::string, FieldOrder> {
  using map::map;
  std::string& operator[](std::string_view name) {
    const auto field = lower_bound(name);
    const bool found = field != end() && field->first == name;
    return found ? field->second : emplace_hint(field, name, "")->second;
  }
  const std::string& at(std::string_view name) const {
    const auto field = find(name);
    if (field == end()) std::abort();
    return field->second;
  }
};

inline void Set(Hash& hash, std::initializer_list<std::pair<const char*, std::string>> fields) {
  for (const auto& [name, value] : fields) {
    hash[name] = value;
  }
}

inline std::string Text(std::int64_t number) { return std::to_string(number); }
inline std::int64_t Number(const std::string& text) { return text.empty() ? 0 : std::stoll(text); }

inline std::string Text(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  return {text.data(), text.size()};
}

inline Uuid UuidOf(const std::string& text) { return ParseUuid(text, ParseMode::kStrict).uuid; }

inline std::string IdText(const ExecutionIdView& id) { return std::string(id.text()); }

inline std::int64_t FloorTwoThirds(std::int64_t ttl) {
  const std::int64_t twice = 2 * ttl;
  return twice / 3 - (twice % 3 < 0 ? 1 : 0);
}

inline void AddDetails(ErrorDetails* details, std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) {
    if (details != nullptr) {
      details->Add(std::string_view(text));
    }
  }
}

inline void Clear(ErrorDetails* details) {
  if (details != nullptr) {
    details->clear();
  }
}

// Every call that has a ttl makes this check first, and so does Resume() for its delay.
inline bool TtlInRange(std::int64_t ttl, const char* name, ErrorDetails* details) {
  if (ttl >= -kMaxTtlMs && ttl <= kMaxTtlMs) {
    return true;
  }
  AddDetails(details, {std::string(name) + " is out of range"});
  return false;
}

template <class T>
T Refuse(ClaimError error) {
  T outcome;
  outcome.error = error;
  return outcome;
}

}  // namespace ffgrant::testing::model

#endif  // FFGRANT_TESTING_MODEL_MODEL_TEXTS_H_
