// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition.h"

#include <charconv>

#include "ffgrant/internal/concat.h"

namespace ffgrant {

std::string_view FamilyName(PartitionFamily family) noexcept {
  switch (family) {
    case PartitionFamily::kFlow:
      return "flow";
    case PartitionFamily::kExecution:
      return "execution";
    case PartitionFamily::kBudget:
      return "budget";
    case PartitionFamily::kQuota:
      return "quota";
  }
  // Never reached: every enumerator has a case.
  return "unknown";
}

std::string_view FamilyTagPrefix(PartitionFamily family) noexcept {
  switch (family) {
    case PartitionFamily::kFlow:
    case PartitionFamily::kExecution:
      return "fp";
    case PartitionFamily::kBudget:
      return "b";
    case PartitionFamily::kQuota:
      return "q";
  }
  // Never reached: every enumerator has a case.
  return "";  // a tag has no room for more than two bytes
}

PartitionTag::PartitionTag(Partition partition) noexcept {
  const std::string_view prefix = FamilyTagPrefix(partition.family);
  char* to = bytes_.data();
  *to++ = '{';
  for (char c : prefix) *to++ = c;
  *to++ = ':';
  to = std::to_chars(to, bytes_.data() + bytes_.size(), partition.index).ptr;
  *to++ = '}';
  size_ = static_cast<std::uint8_t>(to - bytes_.data());
}

WriteResult FormatPartitionTag(Partition partition, std::span<char> out) noexcept {
  return internal::Concat(out, {PartitionTag(partition).view()});
}

}  // namespace ffgrant
