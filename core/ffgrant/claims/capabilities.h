// SPDX-License-Identifier: Apache-2.0
//
// Capability tokens say what an execution requires and what a worker offers (contract 6 "Capability
// tokens", 7.1).

#ifndef FFGRANT_CLAIMS_CAPABILITIES_H_
#define FFGRANT_CLAIMS_CAPABILITIES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

inline constexpr std::size_t kMaxCapabilityTokens = 256;
inline constexpr std::size_t kMaxCapabilityCsvSize = 4096;

enum class CapabilityError : std::uint8_t {
  kNone,
  kEmptyToken,           // required side only
  kCommaInToken,         // required side only
  kControlOrWhitespace,  // required side only: a byte <= 0x20, or 0x7F
  kTooManyTokens,        // > 256
  kTooManyBytes,         // > 4096, comma-joined
};

// RequiredDetail() and WorkerDetail() return the detail text that goes with an error, such as
// "required:comma_in_token" and "worker:too_many_bytes"; "" for kNone.
std::string_view RequiredDetail(CapabilityError error) noexcept;
std::string_view WorkerDetail(CapabilityError error) noexcept;

// A set of tokens. The tokens are sorted by bytes, without repeats, and joined by commas. The set
// is held by value in memory of a fixed size, and no function here allocates.
class CapabilitySet {
 public:
  // If this constructor were defaulted, `CapabilitySet{}` would clear all the bytes, and a const
  // set without an initializer would not compile.
  CapabilitySet() noexcept {}  // NOLINT(modernize-use-equals-default)

  // The set is empty after a failure of any of the three functions below. Both limits are
  // inclusive, and repeated tokens count.
  //
  // Assigns the tokens that a worker offers, as leniently as FlowFabric's functions take them:
  // empty tokens are skipped, and a comma inside a token makes two tokens of it. Checks the size of
  // the comma-joined tokens, the empty ones included, and then the number of tokens.
  [[nodiscard]] CapabilityError AssignOffered(std::span<const std::string_view> tokens) noexcept;
  // Assigns the tokens of a comma-joined text, as AssignOffered() does.
  [[nodiscard]] CapabilityError AssignOfferedCsv(std::string_view csv) noexcept;
  // Assigns the tokens that an execution requires. Checks each token, in the caller's order, then
  // the number of tokens, and then the size of the comma-joined tokens.
  // Bytes beyond ASCII are not checked. But a server keeps the tokens and the retry policy in one
  // JSON text, so that tokens that are not UTF-8 make the policy unreadable.
  [[nodiscard]] CapabilityError AssignRequired(std::span<const std::string_view> tokens) noexcept;

  std::string_view csv() const noexcept { return {bytes_.data(), size_}; }
  bool empty() const noexcept { return size_ == 0; }

 private:
  std::array<char, kMaxCapabilityCsvSize> bytes_;
  std::uint16_t size_ = 0;
};

// Returns whether every token of `required` is in `offered`. Both must be
// sorted and comma-joined, as CapabilitySet::csv() gives them. Takes linear
// time.
bool CapabilitiesSatisfied(std::string_view required, std::string_view offered) noexcept;

// Writes the tokens of `required` that `offered` lacks, comma-joined, into
// `out`, which must hold required.size() bytes. Returns the number of bytes
// written.
std::size_t MissingCapabilities(std::string_view required, std::string_view offered,
                                std::span<char> out) noexcept;

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_CAPABILITIES_H_
