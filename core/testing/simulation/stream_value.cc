// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/stream_value.h"

#include <algorithm>

#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

// The server's defaults: stream-node-max-bytes, stream-node-max-entries, and how many entries one
// MAXLEN ~ removes at most.
constexpr std::size_t kNodeBytes = 4096;
constexpr std::size_t kNodeEntries = 100;
constexpr std::size_t kTrimLimit = 100 * kNodeEntries;

// Returns how many bytes an element of a listpack has if its header and content take `size` bytes.
// Behind these bytes stands their number, with seven bits of the number in a byte.
std::size_t WithBackLength(std::size_t size) {
  return size + (size <= 127 ? 1 : size < 16383 ? 2 : size < 2097151 ? 3 : 4);
}

std::size_t IntegerBytes(std::int64_t value) {
  if (value >= 0 && value <= 127) return WithBackLength(1);
  if (value >= -4096 && value <= 4095) return WithBackLength(2);
  if (value >= INT16_MIN && value <= INT16_MAX) return WithBackLength(3);
  if (value >= -8388608 && value <= 8388607) return WithBackLength(4);
  if (value >= INT32_MIN && value <= INT32_MAX) return WithBackLength(5);
  return WithBackLength(9);
}

// A text that is a whole number is stored as a number.
std::size_t TextBytes(std::string_view text) {
  if (text.size() <= 20) {
    if (const auto number = ParseInteger(text)) return IntegerBytes(*number);
  }
  const std::size_t header = text.size() < 64 ? 1 : text.size() < 4096 ? 2 : 5;
  return WithBackLength(header + text.size());
}

// Returns the size of an empty listpack and of the entry at its front that names the fields.
std::size_t NewNodeBytes(std::span<const std::string_view> words) {
  std::size_t bytes = 7 + IntegerBytes(1) + IntegerBytes(0) +
                      IntegerBytes(static_cast<std::int64_t>(words.size() / 2)) + IntegerBytes(0);
  for (std::size_t i = 0; i < words.size(); i += 2) bytes += TextBytes(words[i]);
  return bytes;
}

bool SameFields(const std::vector<std::string>& fields, std::span<const std::string_view> words) {
  if (2 * fields.size() != words.size()) return false;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i] != words[2 * i]) return false;
  }
  return true;
}

std::size_t EntryBytes(StreamId id, StreamId first, bool same_fields,
                       std::span<const std::string_view> words) {
  const auto fields = static_cast<std::int64_t>(words.size() / 2);
  std::size_t bytes = IntegerBytes(same_fields ? 2 : 0) +
                      IntegerBytes(static_cast<std::int64_t>(id.ms - first.ms)) +
                      IntegerBytes(static_cast<std::int64_t>(id.sequence - first.sequence)) +
                      IntegerBytes(same_fields ? fields + 3 : 2 * fields + 4);
  if (!same_fields) bytes += IntegerBytes(fields);
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i % 2 == 1 || !same_fields) bytes += TextBytes(words[i]);
  }
  return bytes;
}

}  // namespace

StreamId StreamValue::NextId(std::int64_t now_ms) const {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now_ms, 0));
  if (ms > last_id_.ms) return {ms, 0};
  if (last_id_.sequence == UINT64_MAX) return {last_id_.ms + 1, 0};
  return {last_id_.ms, last_id_.sequence + 1};
}

void StreamValue::Add(StreamId id, std::span<const std::string_view> words) {
  std::size_t total = 0;
  for (const std::string_view word : words) total += word.size();
  const bool full = nodes_.empty() || nodes_.back().bytes + total >= kNodeBytes ||
                    nodes_.back().count >= kNodeEntries;
  if (full) {
    nodes_.emplace_back();
    Node& made = nodes_.back();
    made.bytes = NewNodeBytes(words);
    made.first_id = id;
    for (std::size_t i = 0; i < words.size(); i += 2) made.fields.emplace_back(words[i]);
  }
  Node& node = nodes_.back();
  node.bytes += EntryBytes(id, node.first_id, SameFields(node.fields, words), words);
  node.entries.push_back({id, {words.begin(), words.end()}});
  ++node.count;
  ++size_;
  last_id_ = id;
}

void StreamValue::TrimAbout(std::uint64_t max_length) {
  std::size_t removed = 0;
  while (!nodes_.empty() && size_ > max_length) {
    const std::size_t entries = nodes_.front().entries.size();
    if (removed + entries > kTrimLimit || size_ - entries < max_length) break;
    nodes_.erase(nodes_.begin());
    size_ -= entries;
    removed += entries;
  }
}

void StreamValue::TrimExactly(std::uint64_t max_length) {
  while (!nodes_.empty() && size_ > max_length) {
    Node& node = nodes_.front();
    if (size_ - node.entries.size() >= max_length) {
      size_ -= node.entries.size();
      nodes_.erase(nodes_.begin());
    } else {
      const auto surplus = static_cast<std::ptrdiff_t>(size_ - max_length);
      node.entries.erase(node.entries.begin(), node.entries.begin() + surplus);
      size_ = max_length;
    }
  }
}

}  // namespace ffgrant::valkey::testing
