// SPDX-License-Identifier: Apache-2.0

#include "bench/plain_baselines.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <system_error>

namespace ffgrant::bench::plain {
namespace {

std::optional<std::uint16_t> ParseIndex(std::string_view text, bool strict) {
  if (!strict && !text.empty() && text.front() == '+') text.remove_prefix(1);
  if (strict && text.size() > 1 && text.front() == '0') return std::nullopt;
  std::uint16_t index = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, index);
  if (error != std::errc() || stop != end) return std::nullopt;
  return index;
}

std::optional<Partition> ParsePartitionKey(std::string_view text, bool strict) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view prefix = text.substr(0, colon);
  PartitionFamily family;
  if (prefix == "fp") {
    family = PartitionFamily::kFlow;
  } else if (prefix == "b") {
    family = PartitionFamily::kBudget;
  } else if (prefix == "q") {
    family = PartitionFamily::kQuota;
  } else {
    return std::nullopt;
  }
  const std::optional<std::uint16_t> index = ParseIndex(text.substr(colon + 1), strict);
  if (!index) return std::nullopt;
  return Partition{family, *index};
}

bool IsHyphenPlace(std::size_t i) { return i == 8 || i == 13 || i == 18 || i == 23; }

bool IsUpper(char c) { return c >= 'A' && c <= 'F'; }

// Parses 36 bytes with hyphens in their places. `parse_byte(digits, byte)` parses two hex digits
// into a byte.
template <class ParseByte>
std::optional<Uuid> ParseHyphenated(std::string_view text, ParseByte parse_byte) {
  if (text.size() != 36) return std::nullopt;
  Uuid uuid;
  std::size_t byte = 0;
  for (std::size_t i = 0; i < 36;) {
    if (IsHyphenPlace(i)) {
      if (text[i] != '-') return std::nullopt;
      ++i;
      continue;
    }
    if (!parse_byte(text.data() + i, uuid.bytes[byte])) return std::nullopt;
    ++byte;
    i += 2;
  }
  return uuid;
}

bool ByteFromChars(const char* digits, std::uint8_t& byte) {
  const auto [stop, error] = std::from_chars(digits, digits + 2, byte, 16);
  return error == std::errc() && stop == digits + 2;
}

bool LowerByteFromChars(const char* digits, std::uint8_t& byte) {
  return !IsUpper(digits[0]) && !IsUpper(digits[1]) && ByteFromChars(digits, byte);
}

int LowerHexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool LowerByteByComparison(const char* digits, std::uint8_t& byte) {
  const int high = LowerHexDigit(digits[0]);
  const int low = LowerHexDigit(digits[1]);
  if (high < 0 || low < 0) return false;
  byte = static_cast<std::uint8_t>(high << 4 | low);
  return true;
}

std::optional<Uuid> ParseAnyUuid(std::string_view text) {
  if (text.size() == 32) {
    Uuid uuid;
    for (std::size_t i = 0; i < 16; ++i) {
      if (!ByteFromChars(text.data() + 2 * i, uuid.bytes[i])) return std::nullopt;
    }
    return uuid;
  }
  if (text.size() == 38) {
    if (text.front() != '{' || text.back() != '}') return std::nullopt;
    text = text.substr(1, 36);
  } else if (text.size() == 45) {
    if (text.substr(0, 9) != "urn:uuid:") return std::nullopt;
    text.remove_prefix(9);
  }
  return ParseHyphenated(text, ByteFromChars);
}

template <class ParseUuidText>
std::optional<PlainExecutionId> ParseId(std::string_view text, bool strict,
                                        ParseUuidText parse_uuid) {
  if (text.substr(0, 4) != "{fp:") return std::nullopt;
  const std::size_t end = text.find("}:", 4);
  if (end == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint16_t> index = ParseIndex(text.substr(4, end - 4), strict);
  if (!index) return std::nullopt;
  const std::optional<Uuid> uuid = parse_uuid(text.substr(end + 2));
  if (!uuid) return std::nullopt;
  return PlainExecutionId{*index, *uuid};
}

constexpr std::array<std::uint16_t, 256> kCrcTable = [] {
  std::array<std::uint16_t, 256> table{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    unsigned crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
    table[byte] = static_cast<std::uint16_t>(crc);
  }
  return table;
}();

std::string_view Prefix(PartitionFamily family) {
  switch (family) {
    case PartitionFamily::kFlow:
    case PartitionFamily::kExecution:
      return "fp";
    case PartitionFamily::kBudget:
      return "b";
    case PartitionFamily::kQuota:
      return "q";
  }
  return "";
}

}  // namespace

std::optional<Partition> ParsePartitionKeyStrict(std::string_view text) {
  return ParsePartitionKey(text, true);
}

std::optional<Partition> ParsePartitionKeyLenient(std::string_view text) {
  return ParsePartitionKey(text, false);
}

std::size_t FormatPartitionKeyToChars(Partition partition, char* out) {
  const std::string_view prefix = Prefix(partition.family);
  char* at = out;
  *at++ = '{';
  at = std::copy(prefix.begin(), prefix.end(), at);
  *at++ = ':';
  at = std::to_chars(at, at + 5, partition.index).ptr;
  *at++ = '}';
  return static_cast<std::size_t>(at - out);
}

std::string FormatPartitionKeyString(Partition partition) {
  std::string text = "{";
  text += Prefix(partition.family);
  text += ':';
  text += std::to_string(partition.index);
  text += '}';
  return text;
}

std::optional<PlainExecutionId> ParseExecutionIdStrictFromChars(std::string_view text) {
  return ParseId(text, true, ParseUuidStrictFromChars);
}

std::optional<PlainExecutionId> ParseExecutionIdStrictLoop(std::string_view text) {
  return ParseId(text, true, ParseUuidStrictLoop);
}

std::optional<PlainExecutionId> ParseExecutionIdLenient(std::string_view text) {
  return ParseId(text, false, ParseAnyUuid);
}

std::optional<Uuid> ParseUuidStrictFromChars(std::string_view text) {
  return ParseHyphenated(text, LowerByteFromChars);
}

std::optional<Uuid> ParseUuidStrictLoop(std::string_view text) {
  return ParseHyphenated(text, LowerByteByComparison);
}

void FormatUuid(const Uuid& uuid, char* out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
    *out++ = kHex[uuid.bytes[i] >> 4];
    *out++ = kHex[uuid.bytes[i] & 15];
  }
}

std::string ExecutionIdString(std::uint16_t index, const Uuid& uuid) {
  std::array<char, 36> text;
  FormatUuid(uuid, text.data());
  std::string id = "{fp:" + std::to_string(index) + "}:";
  id.append(text.data(), text.size());
  return id;
}

std::uint16_t Crc16Bitwise(std::string_view bytes) {
  unsigned crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned>(static_cast<unsigned char>(c)) << 8;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1;
    }
  }
  return static_cast<std::uint16_t>(crc);
}

std::uint16_t Crc16Table(std::string_view bytes) {
  std::uint16_t crc = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    crc = static_cast<std::uint16_t>((crc << 8) ^ kCrcTable[(crc >> 8) ^ byte]);
  }
  return crc;
}

std::uint16_t HashSlot(std::string_view key) {
  const std::size_t open = key.find('{');
  if (open != std::string_view::npos) {
    const std::size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) {
      key = key.substr(open + 1, close - open - 1);
    }
  }
  return Crc16Table(key) % 16384;
}

std::uint16_t HashSlot(Partition partition) {
  std::array<char, 10> text;
  return HashSlot({text.data(), FormatPartitionKeyToChars(partition, text.data())});
}

std::string GrantKeyString(Partition partition, std::string_view execution_id) {
  return "ff:exec:" + FormatPartitionKeyString(partition) + ":" + std::string(execution_id) +
         ":claim_grant";
}

void AppendGrantKey(Partition partition, std::string_view execution_id, std::string& out) {
  std::array<char, 10> tag;
  out += "ff:exec:";
  out.append(tag.data(), FormatPartitionKeyToChars(partition, tag.data()));
  out += ':';
  out += execution_id;
  out += ":claim_grant";
}

std::string EligibleKeyString(Partition partition, std::string_view lane) {
  return "ff:idx:" + FormatPartitionKeyString(partition) + ":lane:" + std::string(lane) +
         ":eligible";
}

}  // namespace ffgrant::bench::plain
