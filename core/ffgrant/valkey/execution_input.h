// SPDX-License-Identifier: Apache-2.0
//
// An ExecutionInput holds what a claimed execution is about: its payload, kind and tags, and how
// its attempt came about (core/contract/live-observed.md, 4).

#ifndef FFGRANT_VALKEY_EXECUTION_INPUT_H_
#define FFGRANT_VALKEY_EXECUTION_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/config.h"
#include "ffgrant/ids.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// Holds one buffer, which ValkeyLedger::ReadInput() fills again and again, and gives views into
// this buffer. Once the buffer has grown to the largest input, this object allocates nothing.
//
//   ExecutionInput input(64 << 10);
//   if (ledger.ReadInput(id, claim.lease.attempt_index, input)) Work(input.payload());
//
// The views are valid until the next ReadInput() into this object, or until the object dies. Before
// the first ReadInput() they are empty. Only one thread at a time may use the object.
class ExecutionInput {
 public:
  struct Tag {
    std::string_view name;
    std::string_view value;
    friend bool operator==(const Tag&, const Tag&) = default;
  };

  // `max_bytes` is the limit for payload, kind, tags, attempt type and reason together. ReadInput()
  // refuses a larger input with kInvalidInput, and this buffer never grows beyond the limit.
  explicit ExecutionInput(std::size_t max_bytes = std::size_t{1} << 20) : max_bytes_(max_bytes) {}
  ExecutionInput(const ExecutionInput&) = delete;
  ExecutionInput& operator=(const ExecutionInput&) = delete;

  std::size_t max_bytes() const noexcept { return max_bytes_; }

  std::string_view payload() const noexcept { return View(payload_); }  // any bytes
  std::string_view kind() const noexcept { return View(kind_); }
  // Tags are in no particular order.
  std::size_t tag_count() const noexcept { return tags_.size() / 2; }
  Tag tag(std::size_t i) const noexcept { return {View(tags_[2 * i]), View(tags_[2 * i + 1])}; }
  // Returns the value of the tag `name`, or nothing if there is no such tag.
  std::optional<std::string_view> FindTag(std::string_view name) const noexcept;

  // The next three functions return the kind of the attempt ("initial", "retry", "reclaim" or
  // "replay"), why the attempt was made, and which attempt it follows. An initial attempt has
  // neither a reason nor an earlier attempt.
  std::string_view attempt_type() const noexcept { return View(attempt_type_); }
  std::string_view attempt_reason() const noexcept { return View(attempt_reason_); }
  std::optional<AttemptIndex> previous_attempt() const noexcept { return previous_attempt_; }

 private:
  friend class ValkeyLedger;

  struct Span {
    std::size_t begin = 0;
    std::size_t size = 0;
  };
  std::string_view View(Span span) const noexcept {
    return std::string_view(bytes_).substr(span.begin, span.size);
  }
  void Clear() noexcept;
  // Adds `text` to the buffer and sets `span` to its place. Returns false, and changes nothing, if
  // the buffer would then hold more than max_bytes().
  bool Append(std::string_view text, Span& span);

  const std::size_t max_bytes_;
  std::string bytes_;
  Span payload_;
  Span kind_;
  std::vector<Span> tags_;  // name, value, name, value...
  Span attempt_type_;
  Span attempt_reason_;
  std::optional<AttemptIndex> previous_attempt_;
};

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_EXECUTION_INPUT_H_
