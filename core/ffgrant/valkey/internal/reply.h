// SPDX-License-Identifier: Apache-2.0
//
// Replies of a server (RESP 2), read with hiredis' reader into memory that is
// used again and again, so that reading one allocates nothing once the largest
// of them has been seen.

#ifndef FFGRANT_VALKEY_INTERNAL_REPLY_H_
#define FFGRANT_VALKEY_INTERNAL_REPLY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

struct redisReader;

namespace ffgrant::valkey::internal {

struct Reply {
  enum class Type : std::uint8_t { kNil, kStatus, kError, kString, kInteger, kArray };

  Type type = Type::kNil;
  std::int64_t integer = 0;         // kInteger
  std::string_view text;            // kStatus, kError, kString
  std::span<const Reply> elements;  // kArray

  bool is(Type t) const noexcept { return type == t; }
  // The text of element `i`; empty if there is none.
  std::optional<std::string_view> TextAt(std::size_t i) const noexcept {
    if (i >= elements.size() || elements[i].type != Type::kString) return std::nullopt;
    return elements[i].text;
  }
};

// What a reply may take at most. Beyond them reading fails, before the memory
// is asked for.
struct ReplyLimits {
  // The most bytes that are kept of what is not yet a whole reply, and that one reply may be made
  // of (48 bytes for each value, and its text), however many are fed at once.
  std::size_t max_bytes = std::size_t{4} << 20;
  // Arrays within arrays; 1 for a flat one. hiredis' own limit is 7.
  int max_depth = 5;
};

// Memory in chunks that stay where they are and are given back all at once. What
// took several is followed by one that holds as much.
class ReplyArena {
 public:
  explicit ReplyArena(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

  // `size` bytes aligned for a Reply; null beyond the limit, or without memory.
  void* Take(std::size_t size) noexcept;
  // All of it can be taken again.
  void Reset() noexcept;
  // Bytes of all chunks, taken or not.
  std::size_t held() const noexcept;

 private:
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };
  std::size_t max_bytes_;
  std::vector<Chunk> chunks_;                       // taken from: the last
  std::size_t chunk_size_ = std::size_t{64} << 10;  // of the next, at least
  std::size_t used_ = 0;                            // of the last
  std::size_t taken_ = 0;                           // in all
};

// Bytes in, replies out. Not thread-safe.
//
//   reader.Feed(bytes);
//   while (reader.Next() == ReplyReader::Status::kReply) Use(reader.reply());
class ReplyReader {
 public:
  enum class Status : std::uint8_t {
    kReply,     // reply() holds it until the next call
    kNeedMore,  // what was fed does not end a reply
    // The stream can't be read on: it is no RESP 2, or a limit was exceeded.
    // Every later call says so too, until Reset().
    kMalformed,
  };

  explicit ReplyReader(const ReplyLimits& limits = {});
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  void Feed(std::string_view bytes) noexcept;
  Status Next() noexcept;
  const Reply& reply() const noexcept { return *reply_; }
  // Whether bytes were fed that no reply has used.
  bool has_rest() const noexcept { return unused_ != 0; }
  // Forgets everything fed: for a new connection.
  void Reset() noexcept;

  // hiredis' calls, one for each value; `this` is their private data.
  class Builder;

 private:
  void MakeReader();

  ReplyLimits limits_;
  ReplyArena arena_;
  redisReader* reader_ = nullptr;
  const Reply* reply_ = nullptr;
  bool failed_ = false;
  std::size_t unused_ = 0;  // bytes fed behind the end of the last reply
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_REPLY_H_
