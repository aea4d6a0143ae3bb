// SPDX-License-Identifier: Apache-2.0
//
// Test only: keeps the keys of one simulated server, with their expiries.

#ifndef FFGRANT_TESTING_SIMULATION_KEY_SPACE_H_
#define FFGRANT_TESTING_SIMULATION_KEY_SPACE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/key_values.h"

namespace ffgrant::valkey::testing {

class KeySpace {
 public:
  struct Entry {
    KeyValue value;
    std::int64_t expires_at = kNever;  // in ms; the key is gone once the clock is past this time
  };
  static constexpr std::int64_t kNever = -1;

  // Sets the clock, which stands still while a command or a script is executed.
  void SetNow(std::int64_t now_ms) { now_ = now_ms; }
  std::int64_t now() const { return now_; }

  // Returns null if there is no such key. A key that has expired is deleted first.
  Entry* Find(std::string_view key);
  // Returns the value of a key. If there is no such key, makes it with the value `T()`. Returns
  // null and sets `wrong_type` if the value is no `T`.
  template <class T>
  T* FindOrMake(std::string_view key, bool& wrong_type) {
    Entry* entry = Find(key);
    if (entry == nullptr) entry = &entries_.emplace(key, Entry{T(), kNever}).first->second;
    T* const value = std::get_if<T>(&entry->value);
    wrong_type = value == nullptr;
    return value;
  }
  // If the result is null and `wrong_type` is false, there is no such key.
  template <class T>
  T* FindAs(std::string_view key, bool& wrong_type) {
    Entry* const entry = Find(key);
    wrong_type = entry != nullptr && !std::holds_alternative<T>(entry->value);
    return entry == nullptr ? nullptr : std::get_if<T>(&entry->value);
  }
  void Put(std::string_view key, KeyValue value, std::int64_t expires_at = kNever);
  bool Remove(std::string_view key);
  void Clear() { entries_.clear(); }

  // Returns the keys that have not expired, in the order of their bytes. Goes through all keys.
  std::vector<std::string> Keys();
  // Returns the type, expiry and content of a key as text. Every part of the content is quoted, and
  // these parts stand in a fixed order, so that equal texts mean equal values. The text is "none"
  // if there is no such key.
  std::string DumpKey(std::string_view key);
  // Returns DumpKey() of every key, by the key's name.
  std::map<std::string, std::string> Dump();

 private:
  std::int64_t now_ = 0;
  TextMap<Entry> entries_;
};

// Returns `text` in double quotes. Double quotes, backslashes and all bytes that are not printable
// ASCII become \xHH.
std::string Quoted(std::string_view text);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_KEY_SPACE_H_
