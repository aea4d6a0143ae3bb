// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/partition_config.h"

#include <array>
#include <cstdint>

#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;

constexpr std::array<internal::MemberSpec, 3> kMembers = {{
    {.name = "num_flow_partitions", .kind = MemberKind::kUint16},
    {.name = "num_budget_partitions", .kind = MemberKind::kUint16},
    {.name = "num_quota_partitions", .kind = MemberKind::kUint16},
}};
constexpr internal::StructSpec kSpec = {kMembers};

}  // namespace

JsonResult ParsePartitionConfig(std::string_view json, JsonScratch& scratch,
                                PartitionConfig& out) noexcept {
  std::array<internal::MemberValue, kMembers.size()> values;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values](internal::JsonReader& reader) {
        return internal::DecodeStruct(reader, kSpec, values.data());
      });
  if (result) {
    out = {.num_flow_partitions = static_cast<std::uint16_t>(values[0].number),
           .num_budget_partitions = static_cast<std::uint16_t>(values[1].number),
           .num_quota_partitions = static_cast<std::uint16_t>(values[2].number)};
  }
  return result;
}

WriteResult SerializePartitionConfig(const PartitionConfig& config, std::span<char> out) noexcept {
  return internal::WriteJson(out, [&config](auto& sink) {
    sink.Raw(R"({"num_flow_partitions":)");
    sink.Number(config.num_flow_partitions);
    sink.Raw(R"(,"num_budget_partitions":)");
    sink.Number(config.num_budget_partitions);
    sink.Raw(R"(,"num_quota_partitions":)");
    sink.Number(config.num_quota_partitions);
    sink.Raw("}");
  });
}

}  // namespace ffgrant
