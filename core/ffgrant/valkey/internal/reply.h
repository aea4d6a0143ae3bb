// SPDX-License-Identifier: Apache-2.0
//
// Reads replies of a server (RESP 2) with hiredis' reader, into memory that is used again and
// again. Reading allocates nothing once the largest reply, and one after it, have been read.

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

class Reply {
 public:
  enum class Type : std::uint8_t { kNil, kStatus, kError, kString, kInteger, kArray };

  Type type = Type::kNil;
  std::int64_t integer = 0;  // kInteger
  std::string_view text;     // kStatus, kError, kString

  bool is(Type t) const noexcept { return type == t; }
  // Returns the text of element `i`, or nothing if there is no such element or it is no kString.
  std::optional<std::string_view> TextAt(std::size_t i) const noexcept {
    if (i >= elements().size() || elements()[i].type != Type::kString) return std::nullopt;
    return elements()[i].text;
  }

  // kArray
  std::span<const Reply> elements() const noexcept { return {first_element_, element_count_}; }
  // The elements must outlive the reply.
  void SetElements(std::span<const Reply> elements) noexcept {
    first_element_ = elements.data();
    element_count_ = elements.size();
  }

 private:
  // A member of type std::span would need Reply to be complete: libc++ checks this.
  const Reply* first_element_ = nullptr;
  std::size_t element_count_ = 0;
};

// The limits of one reply. If a reply is larger, reading fails, and no values are made beyond the
// limits.
struct ReplyLimits {
  // A reply may take at most `max_bytes` of memory: 48 bytes for each of its values, and the size
  // of each of their texts, rounded up to a multiple of 8. If the input ends in the middle of a
  // reply, at most `max_bytes` of the input may be in no value yet. Several replies that are fed
  // together may be longer.
  std::size_t max_bytes = std::size_t{4} << 20;
  // How deep arrays may be nested; 1 for a flat one.
  int max_depth = 5;
};

// Memory in chunks that stay where they are and are given back all at once. After a reply that took
// several chunks, the next chunk has room for all that this reply took.
class ReplyArena {
 public:
  explicit ReplyArena(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}

  // Returns `size` bytes aligned for a Reply; null if this would exceed the limit, or if there is
  // no memory.
  void* Take(std::size_t size) noexcept;
  // Gives all the memory back, to be taken again.
  void Reset() noexcept;
  // Whether a Take() since the last Reset() would have exceeded the limit.
  bool exceeded() const noexcept { return exceeded_; }
  // The size of all chunks, whether their bytes are taken or not.
  std::size_t held() const noexcept;

 private:
  struct Chunk {
    std::unique_ptr<char[]> bytes;
    std::size_t size;
  };
  std::size_t max_bytes_;
  std::vector<Chunk> chunks_;                       // memory is taken from the last one
  std::size_t chunk_size_ = std::size_t{64} << 10;  // the least size of the next chunk
  std::size_t used_ = 0;                            // bytes taken from the last chunk
  std::size_t taken_ = 0;                           // bytes taken in all
  std::size_t gaps_ = 0;                            // bytes of the gaps after taken areas, in all
  bool exceeded_ = false;
};

// Takes bytes, and makes replies of them. Not thread-safe.
//
//   reader.Feed(bytes);
//   while (reader.Next() == ReplyReader::Status::kReply) Use(reader.reply());
class ReplyReader {
 public:
  enum class Status : std::uint8_t {
    kReply,     // reply() has the reply until the next call of Next() or Reset()
    kNeedMore,  // the bytes so far hold no further whole reply
    // The stream can't be read any further: it is not RESP 2, a limit was exceeded, or there was no
    // memory. From then on Next() returns kMalformed every time, until Reset().
    kMalformed,
  };

  explicit ReplyReader(const ReplyLimits& limits = {});
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  void Feed(std::string_view bytes) noexcept;
  Status Next() noexcept;
  const Reply& reply() const noexcept { return *reply_; }
  // Whether the stream can't be read any further because a reply is larger than `max_bytes`.
  bool too_large() const noexcept { return too_large_; }
  // Whether some of the bytes that were fed are not used by any reply yet.
  bool has_rest() const noexcept { return unused_ != 0; }
  // Forgets everything that was fed; call it for a new connection.
  void Reset() noexcept;

  // Has the functions by which hiredis makes the values of a reply. hiredis hands them this reader
  // as their private data.
  class Builder;

 private:
  void MakeReader();

  ReplyLimits limits_;
  ReplyArena arena_;
  redisReader* reader_ = nullptr;
  const Reply* reply_ = nullptr;
  bool failed_ = false;
  bool too_large_ = false;
  std::size_t unused_ = 0;  // bytes fed after the end of the last reply
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_REPLY_H_
