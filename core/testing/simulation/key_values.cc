// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/key_values.h"

#include <algorithm>

namespace ffgrant::valkey::testing {

std::size_t HashValue::PlaceOf(std::string_view field) const {
  if (!places_.empty()) {
    const auto found = places_.find(field);
    return found == places_.end() ? kNowhere : found->second;
  }
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].first == field) return i;
  }
  return kNowhere;
}

const std::string* HashValue::Find(std::string_view field) const {
  const std::size_t place = PlaceOf(field);
  return place == kNowhere ? nullptr : &fields_[place].second;
}

bool HashValue::Set(std::string_view field, std::string_view value) {
  const std::size_t place = PlaceOf(field);
  if (place != kNowhere) {
    fields_[place].second.assign(value);
    return false;
  }
  fields_.emplace_back(field, value);
  if (!places_.empty()) {
    places_.emplace(field, fields_.size() - 1);
  } else if (fields_.size() > kSmall) {
    for (std::size_t i = 0; i < fields_.size(); ++i) places_.emplace(fields_[i].first, i);
  }
  return true;
}

bool HashValue::Remove(std::string_view field) {
  const std::size_t place = PlaceOf(field);
  if (place == kNowhere) return false;
  fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(place));
  if (!places_.empty()) {
    places_.clear();
    if (fields_.size() > kSmall) {
      for (std::size_t i = 0; i < fields_.size(); ++i) places_.emplace(fields_[i].first, i);
    }
  }
  return true;
}

bool SetValue::Add(std::string_view member) {
  return members_.find(member) == members_.end() && members_.emplace(member, 0).second;
}

bool SetValue::Remove(std::string_view member) {
  const auto found = members_.find(member);
  if (found == members_.end()) return false;
  members_.erase(found);
  return true;
}

std::vector<std::string_view> SetValue::Sorted() const {
  std::vector<std::string_view> sorted;
  sorted.reserve(members_.size());
  for (const auto& [member, unused] : members_) sorted.push_back(member);
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

SortedSetValue::SortedSetValue(const SortedSetValue& other) : scores_(other.scores_) {
  for (const auto& [member, score] : scores_) ordered_.emplace(score, member);
}

bool SortedSetValue::Set(std::string_view member, double score) {
  const auto found = scores_.find(member);
  if (found == scores_.end()) {
    const auto made = scores_.emplace(member, score).first;
    ordered_.emplace(score, made->first);
    return true;
  }
  if (found->second != score) {
    ordered_.erase({found->second, found->first});
    found->second = score;
    ordered_.emplace(score, found->first);
  }
  return false;
}

bool SortedSetValue::Remove(std::string_view member) {
  const auto found = scores_.find(member);
  if (found == scores_.end()) return false;
  ordered_.erase({found->second, found->first});
  scores_.erase(found);
  return true;
}

const double* SortedSetValue::Score(std::string_view member) const {
  const auto found = scores_.find(member);
  return found == scores_.end() ? nullptr : &found->second;
}

std::string_view TypeName(const KeyValue& value) {
  static constexpr std::string_view kNames[] = {"string", "hash", "set", "zset", "stream"};
  return kNames[value.index()];
}

}  // namespace ffgrant::valkey::testing
