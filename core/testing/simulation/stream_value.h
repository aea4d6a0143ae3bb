// SPDX-License-Identifier: Apache-2.0
//
// Test only: models a stream as the server stores it. `MAXLEN ~ N` removes only whole nodes. How
// many entries a history keeps therefore depends on how large its entries are, so the nodes are
// modelled to the byte.

#ifndef FFGRANT_TESTING_SIMULATION_STREAM_VALUE_H_
#define FFGRANT_TESTING_SIMULATION_STREAM_VALUE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::valkey::testing {

struct StreamId {
  std::uint64_t ms = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const StreamId&, const StreamId&) = default;
  std::string Text() const { return std::to_string(ms) + "-" + std::to_string(sequence); }
};

class StreamValue {
 public:
  struct Entry {
    StreamId id;
    std::vector<std::string> words;  // field, value, field, value, ...
  };
  struct Node {
    std::size_t bytes = 0;  // size of its listpack
    std::size_t count = 0;  // number of its entries, including those that were trimmed
    StreamId first_id;
    std::vector<std::string> fields;  // fields of its first entry
    std::vector<Entry> entries;
  };

  // Returns the id that `*` stands for at `now_ms`. This id is later than all ids before it.
  StreamId NextId(std::int64_t now_ms) const;
  // Adds an entry. `id` must be later than last_id(). `words` is a list of fields and values.
  void Add(StreamId id, std::span<const std::string_view> words);
  // Does MAXLEN ~ `max_length`: removes whole nodes from the front, as long as at least
  // `max_length` entries are left. Removes at most 10,000 entries.
  void TrimAbout(std::uint64_t max_length);
  // Does MAXLEN `max_length`: removes entries from the front, also a part of a node's entries.
  void TrimExactly(std::uint64_t max_length);

  std::size_t size() const { return size_; }
  StreamId last_id() const { return last_id_; }
  const std::vector<Node>& nodes() const { return nodes_; }

 private:
  std::vector<Node> nodes_;
  std::size_t size_ = 0;
  StreamId last_id_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_STREAM_VALUE_H_
