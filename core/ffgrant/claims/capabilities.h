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

// RequiredDetail() and WorkerDetail() return the reference's detail text, for example
// "required:comma_in_token" or "worker:too_many_bytes".
std::string_view RequiredDetail(CapabilityError error) noexcept;
std::string_view WorkerDetail(CapabilityError error) noexcept;

// A set of tokens. The tokens are sorted by bytes, without repeats, and joined by commas. The set
// is held by value in memory of a fixed size. It is built once, and neither building nor comparing
// it allocates.
class CapabilitySet {
 public:
  // This constructor is not defaulted, so that the bytes beyond size_ stay unset, also in a const
  // set.
  CapabilitySet() noexcept {}  // NOLINT(modernize-use-equals-default)

  // Assigns the tokens that a worker offers. The function is as lenient as the ledger is: empty
  // tokens are skipped, and a comma inside a token makes two tokens of it. Only the number of
  // tokens and the number of bytes are checked: kMaxCapabilityTokens and kMaxCapabilityCsvSize are
  // still allowed.
  [[nodiscard]] CapabilityError AssignOffered(std::span<const std::string_view> tokens) noexcept;
  // Assigns the tokens of a comma-joined text, as AssignOffered() does.
  [[nodiscard]] CapabilityError AssignOfferedCsv(std::string_view csv) noexcept;
  // Assigns the tokens that an execution requires. The tokens are checked in
  // the caller's order. The set is empty after a failure.
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
