// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition.h"

#include <cassert>

#include "ffgrant/internal/partition_tag_text.h"

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
  // Any number may be cast to an enumeration.
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
  // Never reached: a partition has one of these families, which debug builds check.
  return assert(false && "a family that there is not"), "";  // short enough for every buffer
}

PartitionTag::PartitionTag(Partition partition) noexcept {
  const internal::PartitionTagText text = internal::TagText(partition);
  text.WriteWhole(bytes_.data());
  size_ = static_cast<std::uint8_t>(text.size);
}

WriteResult FormatPartitionTag(Partition partition, std::span<char> out) noexcept {
  const internal::PartitionTagText text = internal::TagText(partition);
  if (text.size > out.size()) return {text.size, WriteError::kBufferTooSmall};
  text.Write(out.data());
  return {text.size, WriteError::kNone};
}

}  // namespace ffgrant
