// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/capabilities.h"

#include <algorithm>
#include <cstring>

namespace ffgrant {
namespace {

// Takes the next non-empty token off the front of comma-joined `rest`; returns an empty text when
// no token is left.
std::string_view NextToken(std::string_view& rest) noexcept {
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    const std::string_view token = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    if (!token.empty()) {
      return token;
    }
  }
  return {};
}

bool IsControlOrWhitespace(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte == 0x7F;
}

// Returns whether the tokens, comma-joined as they are, exceed the byte limit.
// Stops early, so that the sum of the sizes never overflows.
bool JoinedTooLarge(std::span<const std::string_view> tokens) noexcept {
  std::size_t used = 0;
  bool first = true;
  for (const std::string_view token : tokens) {
    const std::size_t comma = first ? 0 : 1;
    if (token.size() > kMaxCapabilityCsvSize ||
        used + comma + token.size() > kMaxCapabilityCsvSize) {
      return true;
    }
    used += comma + token.size();
    first = false;
  }
  return false;
}

CapabilityError CheckRequiredToken(std::string_view token) noexcept {
  if (token.empty()) {
    return CapabilityError::kEmptyToken;
  }
  if (token.find(',') != std::string_view::npos) {
    return CapabilityError::kCommaInToken;
  }
  if (std::any_of(token.begin(), token.end(), IsControlOrWhitespace)) {
    return CapabilityError::kControlOrWhitespace;
  }
  return CapabilityError::kNone;
}

// Up to kMaxCapabilityTokens tokens, in the order in which they came.
struct TokenList {
  std::array<std::string_view, kMaxCapabilityTokens> tokens;
  std::size_t size = 0;

  // Appends the tokens of comma-joined `csv`; returns false if there are too many. A repeated token
  // counts each time, as it does in FlowFabric's functions.
  bool AppendCsv(std::string_view csv) noexcept {
    for (std::string_view token = NextToken(csv); !token.empty(); token = NextToken(csv)) {
      if (size == tokens.size()) {
        return false;
      }
      tokens[size++] = token;
    }
    return true;
  }
};

// Sorts the tokens, drops repeats, joins the rest into `out` and returns the
// size. `out` holds kMaxCapabilityCsvSize bytes, enough for tokens that passed
// the byte limit. The tokens may lie in `out`, so they are first joined
// elsewhere.
std::uint16_t JoinSorted(TokenList& list, char* out) noexcept {
  const auto begin = list.tokens.begin();
  std::sort(begin, begin + list.size);
  const auto end = std::unique(begin, begin + list.size);
  char joined[kMaxCapabilityCsvSize];
  std::size_t size = 0;
  for (auto token = begin; token != end; ++token) {
    if (size != 0) {
      joined[size++] = ',';
    }
    std::memcpy(joined + size, token->data(), token->size());
    size += token->size();
  }
  std::memcpy(out, joined, size);
  return static_cast<std::uint16_t>(size);
}

std::string_view Pick(bool required, std::string_view required_text,
                      std::string_view worker_text) noexcept {
  return required ? required_text : worker_text;
}

std::string_view Detail(CapabilityError error, bool required) noexcept {
  switch (error) {
    case CapabilityError::kNone:
      return "";
    case CapabilityError::kEmptyToken:
      return Pick(required, "required:empty_token", "worker:empty_token");
    case CapabilityError::kCommaInToken:
      return Pick(required, "required:comma_in_token", "worker:comma_in_token");
    case CapabilityError::kControlOrWhitespace:
      return Pick(required, "required:control_or_whitespace", "worker:control_or_whitespace");
    case CapabilityError::kTooManyTokens:
      return Pick(required, "required:too_many_tokens", "worker:too_many_tokens");
    case CapabilityError::kTooManyBytes:
      return Pick(required, "required:too_many_bytes", "worker:too_many_bytes");
  }
  // Any number may be cast to an enumeration.
  return "";
}

// Calls `missing` with each token of `required` that `offered` lacks, until `missing` returns
// false. Walks the two sorted lists side by side.
template <class Missing>
void ForEachMissing(std::string_view required, std::string_view offered, Missing missing) noexcept {
  std::string_view have = NextToken(offered);
  for (std::string_view want = NextToken(required); !want.empty(); want = NextToken(required)) {
    while (!have.empty() && have < want) {
      have = NextToken(offered);
    }
    // Never alone: `!missing(want)`: one caller stops at once, the other one never does.
    if (have != want && !missing(want)) {
      return;
    }
  }
}

}  // namespace

std::string_view RequiredDetail(CapabilityError error) noexcept { return Detail(error, true); }

std::string_view WorkerDetail(CapabilityError error) noexcept { return Detail(error, false); }

CapabilityError CapabilitySet::AssignOffered(std::span<const std::string_view> tokens) noexcept {
  // FlowFabric's functions get one comma-joined text and measure it before they look at the tokens.
  // So the bytes of all tokens and commas are counted first, even for empty and repeated tokens.
  TokenList list;
  CapabilityError error = CapabilityError::kNone;
  if (JoinedTooLarge(tokens)) {
    error = CapabilityError::kTooManyBytes;
  }
  for (std::size_t i = 0; error == CapabilityError::kNone && i < tokens.size(); ++i) {
    if (!list.AppendCsv(tokens[i])) {
      error = CapabilityError::kTooManyTokens;
    }
  }
  size_ = error == CapabilityError::kNone ? JoinSorted(list, bytes_.data()) : std::uint16_t{0};
  return error;
}

CapabilityError CapabilitySet::AssignOfferedCsv(std::string_view csv) noexcept {
  return AssignOffered({&csv, 1});
}

CapabilityError CapabilitySet::AssignRequired(std::span<const std::string_view> tokens) noexcept {
  TokenList list;
  CapabilityError error = CapabilityError::kNone;
  for (std::size_t i = 0; error == CapabilityError::kNone && i < tokens.size(); ++i) {
    error = CheckRequiredToken(tokens[i]);
    if (i < list.tokens.size()) {
      list.tokens[list.size++] = tokens[i];
    }
  }
  if (error == CapabilityError::kNone && tokens.size() > kMaxCapabilityTokens) {
    error = CapabilityError::kTooManyTokens;
  }
  if (error == CapabilityError::kNone && JoinedTooLarge(tokens)) {
    error = CapabilityError::kTooManyBytes;
  }
  size_ = error == CapabilityError::kNone ? JoinSorted(list, bytes_.data()) : std::uint16_t{0};
  return error;
}

bool CapabilitiesSatisfied(std::string_view required, std::string_view offered) noexcept {
  bool satisfied = true;
  ForEachMissing(required, offered, [&satisfied](std::string_view) noexcept {
    satisfied = false;
    return false;
  });
  return satisfied;
}

std::size_t MissingCapabilities(std::string_view required, std::string_view offered,
                                std::span<char> out) noexcept {
  std::size_t size = 0;
  ForEachMissing(required, offered, [&size, out](std::string_view token) noexcept {
    if (size != 0) {
      out[size++] = ',';
    }
    std::memcpy(out.data() + size, token.data(), token.size());
    size += token.size();
    return true;
  });
  return size;
}

}  // namespace ffgrant
