// SPDX-License-Identifier: Apache-2.0

#include "bench/grant_baselines.h"

#include <array>
#include <charconv>
#include <optional>

#include "bench/simd_uuid.h"

namespace ffgrant::bench::plain {

void AppendJsonText(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text, copied, i - copied);
    copied = i + 1;
    out += '\\';
    switch (byte) {
      case '"':
      case '\\':
        out += text[i];
        break;
      case '\b':
        out += 'b';
        break;
      case '\t':
        out += 't';
        break;
      case '\n':
        out += 'n';
        break;
      case '\f':
        out += 'f';
        break;
      case '\r':
        out += 'r';
        break;
      default:
        out += "u00";
        out += kHex[byte >> 4];
        out += kHex[byte & 15];
    }
  }
  out.append(text, copied);
  out += '"';
}

bool UnderstandMembers(TypedGrant& grant) {
  const std::optional<PlainExecutionId> id =
      ParseExecutionIdLenientSimd(grant.members.execution_id);
  if (!id) return false;
  const std::optional<Partition> partition = ParsePartitionKeyLenient(grant.members.partition_key);
  if (!partition) return false;
  grant.execution_id = *id;
  grant.partition = *partition;
  return true;
}

void AppendGrantJson(const GrantMembers& grant, std::string& out) {
  out += "{\"execution_id\":";
  AppendJsonText(grant.execution_id, out);
  out += ",\"partition_key\":";
  AppendJsonText(grant.partition_key, out);
  out += ",\"grant_key\":";
  AppendJsonText(grant.grant_key, out);
  out += ",\"expires_at_ms\":";
  std::array<char, 20> digits;
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), grant.expires_at_ms).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out += '}';
}

}  // namespace ffgrant::bench::plain
