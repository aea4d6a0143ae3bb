// SPDX-License-Identifier: Apache-2.0
//
// Test only: has the values that a key of the simulated server can have.

#ifndef FFGRANT_TESTING_SIMULATION_KEY_VALUES_H_
#define FFGRANT_TESTING_SIMULATION_KEY_VALUES_H_

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "testing/simulation/stream_value.h"

namespace ffgrant::valkey::testing {

// With this hash, a map with texts as keys can be searched without making a string.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
template <class T>
using TextMap = std::unordered_map<std::string, T, TextHash, std::equal_to<>>;

// A hash with its fields in the order in which they came, as in a small hash of the server.
class HashValue {
 public:
  const std::string* Find(std::string_view field) const;
  // Returns true if the field is new.
  bool Set(std::string_view field, std::string_view value);
  bool Remove(std::string_view field);
  // If the hash is empty, makes room for `count` fields.
  void Reserve(std::size_t count) {
    if (fields_.empty()) fields_.reserve(count);
  }
  std::size_t size() const { return fields_.size(); }
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  // A hash with at most this many fields is searched from its front.
  static constexpr std::size_t kSmall = 96;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
  std::size_t PlaceOf(std::string_view field) const;

  std::vector<std::pair<std::string, std::string>> fields_;
  TextMap<std::size_t> places_;  // places of the fields; empty in a small hash
};

class SetValue {
 public:
  bool Add(std::string_view member);  // true if the member is new
  bool Remove(std::string_view member);
  bool Has(std::string_view member) const { return members_.find(member) != members_.end(); }
  std::size_t size() const { return members_.size(); }
  std::vector<std::string_view> Sorted() const;

 private:
  TextMap<char> members_;
};

class SortedSetValue {
 public:
  bool Set(std::string_view member, double score);  // true if the member is new
  bool Remove(std::string_view member);
  const double* Score(std::string_view member) const;
  std::size_t size() const { return scores_.size(); }
  // Returns the members, ordered by score and then by their bytes.
  const std::set<std::pair<double, std::string_view>>& ordered() const { return ordered_; }

  SortedSetValue() = default;
  SortedSetValue(const SortedSetValue& other);
  SortedSetValue& operator=(const SortedSetValue&) = delete;
  SortedSetValue(SortedSetValue&&) = default;
  SortedSetValue& operator=(SortedSetValue&&) = default;

 private:
  TextMap<double> scores_;
  std::set<std::pair<double, std::string_view>> ordered_;  // the texts point to the keys of scores_
};

using KeyValue = std::variant<std::string, HashValue, SetValue, SortedSetValue, StreamValue>;

// Returns "string", "hash", "set", "zset" or "stream", as TYPE answers.
std::string_view TypeName(const KeyValue& value);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_KEY_VALUES_H_
