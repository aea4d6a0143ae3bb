// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/key_space.h"

#include <algorithm>
#include <array>
#include <utility>

#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

std::string SortedAndJoined(std::vector<std::string> parts) {
  std::sort(parts.begin(), parts.end());
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

struct Describe {
  std::string operator()(const std::string& text) const { return Quoted(text); }
  std::string operator()(const HashValue& hash) const {
    std::vector<std::string> parts;
    for (const auto& [field, value] : hash.fields()) {
      parts.push_back(" " + Quoted(field) + "=" + Quoted(value));
    }
    return SortedAndJoined(std::move(parts));
  }
  std::string operator()(const SetValue& set) const {
    std::vector<std::string> parts;
    for (const std::string_view member : set.Sorted()) parts.push_back(" " + Quoted(member));
    return SortedAndJoined(std::move(parts));
  }
  std::string operator()(const SortedSetValue& set) const {
    std::string text;
    for (const auto& [score, member] : set.ordered()) {
      std::array<char, kMaxNumberText> number;
      const std::size_t size = FormatNumber(score, number);
      text += " " + Quoted(member) + "=" + Quoted({number.data(), size});
    }
    return text;
  }
  std::string operator()(const StreamValue& stream) const {
    std::string text;
    for (const StreamValue::Node& node : stream.nodes()) {
      for (const StreamValue::Entry& entry : node.entries) {
        text += " " + Quoted(entry.id.Text()) + ":";
        for (const std::string& word : entry.words) text += Quoted(word);
      }
    }
    return text;
  }
};

}  // namespace

KeySpace::Entry* KeySpace::Find(std::string_view key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  if (found->second.expires_at != kNever && now_ > found->second.expires_at) {
    entries_.erase(found);
    return nullptr;
  }
  return &found->second;
}

void KeySpace::Put(std::string_view key, KeyValue value, std::int64_t expires_at) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) {
    entries_.emplace(key, Entry{std::move(value), expires_at});
  } else {
    found->second.value = std::move(value);
    found->second.expires_at = expires_at;
  }
}

bool KeySpace::Remove(std::string_view key) {
  if (Find(key) == nullptr) return false;
  entries_.erase(entries_.find(key));
  return true;
}

std::vector<std::string> KeySpace::Keys() {
  std::vector<std::string> keys;
  for (const auto& [key, entry] : entries_) {
    if (entry.expires_at == kNever || now_ <= entry.expires_at) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::map<std::string, std::string> KeySpace::Dump() {
  std::map<std::string, std::string> lines;
  for (const std::string& key : Keys()) lines[key] = DumpKey(key);
  return lines;
}

std::string KeySpace::DumpKey(std::string_view key) {
  const Entry* const entry = Find(key);
  if (entry == nullptr) return "none";
  return std::string(TypeName(entry->value)) + " " + std::to_string(entry->expires_at) + " " +
         std::visit(Describe{}, entry->value);
}

std::string Quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || c == '"' || c == '\\') {
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace ffgrant::valkey::testing
