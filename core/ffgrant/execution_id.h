// SPDX-License-Identifier: Apache-2.0
//
// Execution ids (contract 1.6, strict mode 1.8).
//
//   id = "{fp:" index "}:" uuid         ; index as in partition_key.h,
//                                       ; uuid as in uuid.h
//
//   {fp:7}:11111111-1111-4111-8111-111111111111
//   `-tag-' `------------- uuid --------------'
//
// An accepted text is kept as it was spelled: equality, order, hashing, JSON
// and Valkey's keys all use the text. Two spellings of one id are two records
// on a Valkey server (contract 1.8).

#ifndef FFGRANT_EXECUTION_ID_H_
#define FFGRANT_EXECUTION_ID_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/ids.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"
#include "ffgrant/write_result.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A canonical id: `{fp:65535}` + `:` + 36. Texts that only lenient mode
// accepts can be longer.
inline constexpr std::size_t kMaxExecutionIdSize = kMaxPartitionTagSize + 1 + kUuidTextSize;

// If a text breaks several rules, the error that comes first here is reported.
enum class ExecutionIdError : std::uint8_t {
  kNone,
  kMissingTag,
  kInvalidPartitionIndex,
  kInvalidUuid,
  // Only strict mode reports these; lenient mode accepts the same text.
  kPlusSign,
  kLeadingZero,
  kNonCanonicalUuidForm,
  kUppercaseUuid,
};

// "missing_tag", "invalid_partition_index", "invalid_uuid", "plus_sign",
// "leading_zero", "non_canonical_uuid_form", "uppercase_uuid"; "none".
std::string_view ErrorName(ExecutionIdError error) noexcept;

// A parsed id whose text somebody else keeps alive. Only a parse or a mint
// makes one, so it always holds a valid id (default: no id, empty text).
class ExecutionIdView {
 public:
  constexpr ExecutionIdView() = default;

  constexpr std::string_view text() const noexcept { return text_; }
  constexpr const Uuid& uuid() const noexcept { return uuid_; }
  // Family kExecution, the index as spelled in the text, whatever the
  // deployment's count.
  constexpr Partition partition() const noexcept { return {PartitionFamily::kExecution, index_}; }
  // True if strict mode accepts the text.
  constexpr bool is_canonical() const noexcept { return canonical_; }

  friend constexpr bool operator==(const ExecutionIdView& a, const ExecutionIdView& b) noexcept {
    return a.text_ == b.text_;
  }
  // By compare(): texts have no <=> in libc++ 14.
  friend constexpr std::strong_ordering operator<=>(const ExecutionIdView& a,
                                                    const ExecutionIdView& b) noexcept {
    return a.text_.compare(b.text_) <=> 0;
  }

 private:
  friend struct ExecutionIdAccess;
  constexpr ExecutionIdView(std::string_view text, const Uuid& uuid, std::uint16_t index,
                            bool canonical) noexcept
      : text_(text), uuid_(uuid), index_(index), canonical_(canonical) {}

  std::string_view text_;
  Uuid uuid_;
  std::uint16_t index_ = 0;
  bool canonical_ = false;
};

struct [[nodiscard]] ExecutionIdResult {
  ExecutionIdView id;  // points into the input; empty on failure
  ExecutionIdError error = ExecutionIdError::kNone;
  // Byte offset of the failure; 0 on success:
  //   kMissingTag             of the first byte that differs from `{fp:`, or
  //                           the input's size if `}:` is missing
  //   kInvalidPartitionIndex  as PartitionKeyError::kInvalidIndex; the `}` if
  //                           a digit is missing
  //   kInvalidUuid            of the first byte that breaks the uuid, or the
  //                           input's size for a length that no form has
  //   kPlusSign, kLeadingZero, kUppercaseUuid    of that byte
  //   kNonCanonicalUuidForm   where the uuid begins
  std::size_t offset = 0;
  // View into the input: all of it for kMissingTag, the index text for
  // kInvalidPartitionIndex, kPlusSign and kLeadingZero, the uuid text for the
  // other errors.
  std::string_view payload;

  constexpr explicit operator bool() const noexcept { return error == ExecutionIdError::kNone; }
};

// Parses `text`: any bytes, any length. Linear, no allocation, canonical ids
// without a loop. Any thread.
//
//   auto r = ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
//                             ParseMode::kStrict);
//   r.id.partition().index == 7
ExecutionIdResult ParseExecutionId(std::string_view text, ParseMode mode) noexcept;

struct [[nodiscard]] ExecutionIdsResult {
  std::size_t count = 0;      // ids that were parsed, from the first text on
  ExecutionIdResult failure;  // of text `count`, if that is what ended the parse

  constexpr explicit operator bool() const noexcept { return static_cast<bool>(failure); }
};

// Parses many texts in one call, for gateways and replays: each as
// ParseExecutionId does, in order, until one fails or either span ends. Elements of
// `out` from `count` on are untouched. To go on behind a text that failed, call it
// again with what follows. Linear, no allocation. Any thread.
//
//   std::vector<ExecutionIdView> ids(texts.size());
//   const auto r = ParseExecutionIds(texts, ParseMode::kStrict, ids);
//   if (!r) report(texts[r.count], r.failure.error);
ExecutionIdsResult ParseExecutionIds(std::span<const std::string_view> texts, ParseMode mode,
                                     std::span<ExecutionIdView> out) noexcept;

// Writes the reference's message, as
// `execution_id partition index is not a valid u16: x`; payload unescaped.
WriteResult FormatExecutionIdError(const ExecutionIdResult& result, std::span<char> out) noexcept;

// A canonical id held by value: what minting returns.
class MintedExecutionId {
 public:
  MintedExecutionId(std::uint16_t partition_index, const Uuid& uuid) noexcept;

  // Points into this object.
  ExecutionIdView view() const& noexcept;
  ExecutionIdView view() const&& = delete;
  std::string_view text() const& noexcept { return {bytes_, size_}; }
  std::string_view text() const&& = delete;

 private:
  char bytes_[kMaxExecutionIdSize];
  std::uint8_t size_;
  std::uint16_t index_;
  Uuid uuid_;
};

// An owned id, canonical or not. Copy assignment reuses capacity.
class ExecutionId {
 public:
  ExecutionId() = default;
  explicit ExecutionId(const ExecutionIdView& view)
      : text_(view.text()),
        uuid_(view.uuid()),
        index_(view.partition().index),
        canonical_(view.is_canonical()) {}

  void assign(const ExecutionIdView& view);

  ExecutionIdView view() const& noexcept;
  ExecutionIdView view() const&& = delete;
  std::string_view text() const& noexcept { return text_; }
  std::string_view text() const&& = delete;

  friend bool operator==(const ExecutionId& a, const ExecutionId& b) noexcept {
    return a.text_ == b.text_;
  }

 private:
  std::string text_;
  Uuid uuid_;
  std::uint16_t index_ = 0;
  bool canonical_ = false;
};

}  // namespace ffgrant
FFGRANT_API_END

// Hashes the text, since ids are equal if their texts are.
template <>
struct std::hash<ffgrant::ExecutionIdView> {
  std::size_t operator()(const ffgrant::ExecutionIdView& id) const noexcept {
    return std::hash<std::string_view>()(id.text());
  }
};

template <>
struct std::hash<ffgrant::ExecutionId> {
  std::size_t operator()(const ffgrant::ExecutionId& id) const noexcept {
    return std::hash<std::string_view>()(id.text());
  }
};

#endif  // FFGRANT_EXECUTION_ID_H_
