// SPDX-License-Identifier: Apache-2.0
//
// Parses and stores execution ids (contract 1.6, strict mode 1.8).
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

// The size of the longest canonical id: `{fp:65535}`, `:` and a uuid of 36 bytes. Texts that only
// lenient mode accepts can be longer.
inline constexpr std::size_t kMaxExecutionIdSize = kMaxPartitionTagSize + 1 + kUuidTextSize;

// If a text breaks several rules, the error that comes first here is reported.
enum class ExecutionIdError : std::uint8_t {
  kNone,
  kMissingTag,
  kInvalidPartitionIndex,
  kInvalidUuid,
  // Only strict mode reports the errors from here on; lenient mode accepts such texts.
  kPlusSign,
  kLeadingZero,
  kNonCanonicalUuidForm,
  kUppercaseUuid,
};

// Returns "missing_tag", "invalid_partition_index", "invalid_uuid", "plus_sign", "leading_zero",
// "non_canonical_uuid_form" or "uppercase_uuid"; "none" for kNone.
std::string_view ErrorName(ExecutionIdError error) noexcept;

// A parsed id whose text somebody else keeps alive. Only parsed and minted ids have views, so a
// view holds a valid id, unless it is default-constructed: then it has no id and an empty text.
class ExecutionIdView {
 public:
  constexpr ExecutionIdView() = default;

  constexpr std::string_view text() const noexcept { return text_; }
  constexpr const Uuid& uuid() const noexcept { return uuid_; }
  // The family is kExecution. The index is the one in the text, even if it is not below the
  // deployment's count.
  constexpr Partition partition() const noexcept { return {PartitionFamily::kExecution, index_}; }
  // True if strict mode accepts the text.
  constexpr bool is_canonical() const noexcept { return canonical_; }

  friend constexpr bool operator==(const ExecutionIdView& a, const ExecutionIdView& b) noexcept {
    return a.text_ == b.text_;
  }
  // Uses compare(), since string_view has no <=> in libc++ 14.
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
  // The byte offset of the failure; 0 on success. The offset points at
  //   kMissingTag             the first byte that differs from `{fp:`, or the
  //                           end of the input if a part of `{fp:`, or the
  //                           `}:` after it, is missing
  //   kInvalidPartitionIndex  the same byte as PartitionKeyError::kInvalidIndex;
  //                           the `}` if a digit is missing
  //   kInvalidUuid            the first byte that breaks the uuid, or the end of
  //                           the input if no form has the uuid's length
  //   kPlusSign, kLeadingZero, kUppercaseUuid    the offending byte
  //   kNonCanonicalUuidForm   the first byte of the uuid
  std::size_t offset = 0;
  // A view into the input: the whole input for kMissingTag; the index text for
  // kInvalidPartitionIndex, kPlusSign and kLeadingZero; the uuid text for the other errors.
  std::string_view payload;

  constexpr explicit operator bool() const noexcept { return error == ExecutionIdError::kNone; }
};

// Parses `text`, which may be any bytes of any length. Takes time linear in the input and allocates
// nothing; canonical ids are parsed without a loop. Any thread may call the function.
//
//   auto r = ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111",
//                             ParseMode::kStrict);
//   r.id.partition().index == 7
ExecutionIdResult ParseExecutionId(std::string_view text, ParseMode mode) noexcept;

struct [[nodiscard]] ExecutionIdsResult {
  std::size_t count = 0;      // how many texts were parsed before the end or the failure
  ExecutionIdResult failure;  // the result for texts[count], if that text failed

  constexpr explicit operator bool() const noexcept { return static_cast<bool>(failure); }
};

// Parses many texts in one call, for gateways and replays. Each text is parsed as ParseExecutionId
// parses it, in order, until a text fails or either span ends. Elements of `out` from `count` on
// are untouched. To go on after a text that failed, call again with the texts that follow it. Takes
// time linear in the input and allocates nothing; any thread may call the function.
//
//   std::vector<ExecutionIdView> ids(texts.size());
//   const auto r = ParseExecutionIds(texts, ParseMode::kStrict, ids);
//   if (!r) report(texts[r.count], r.failure.error);
ExecutionIdsResult ParseExecutionIds(std::span<const std::string_view> texts, ParseMode mode,
                                     std::span<ExecutionIdView> out) noexcept;

// Writes the reference's message, for example `execution_id partition index is not a valid u16: x`.
// The payload is not escaped. Nothing is written for kNone. The reference has no strict errors, so
// the messages of strict errors are our own.
WriteResult FormatExecutionIdError(const ExecutionIdResult& result, std::span<char> out) noexcept;

// A canonical id held by value, as MintExecutionId() makes it.
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

// Hashes the text, since ids are equal if their texts are equal.
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
