// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/reclaim_request.h"

#include <array>

#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;

constexpr std::array<internal::MemberSpec, 8> kMembers = {{
    {.name = "worker_id"},
    {.name = "worker_instance_id"},
    {.name = "lane_id"},
    {.name = "capability_hash", .kind = MemberKind::kOptionalText, .required = false},
    {.name = "grant_ttl_ms", .kind = MemberKind::kUint64},
    {.name = "route_snapshot_json", .kind = MemberKind::kOptionalText, .required = false},
    {.name = "admission_summary", .kind = MemberKind::kOptionalText, .required = false},
    {.name = "worker_capabilities", .kind = MemberKind::kTextList, .required = false},
}};
constexpr internal::StructSpec kSpec = {kMembers};

}  // namespace

JsonResult ParseReclaimRequest(std::string_view json, JsonScratch& scratch,
                               ReclaimRequestView& out) noexcept {
  std::array<internal::MemberValue, kMembers.size()> values;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values](internal::JsonReader& reader) {
        return internal::DecodeStruct(reader, kSpec, values.data());
      });
  if (result) {
    out = {.worker_id = values[0].text,
           .worker_instance_id = values[1].text,
           .lane_id = values[2].text,
           .capability_hash = values[3].optional_text(),
           .grant_ttl_ms = values[4].number,
           .route_snapshot_json = values[5].optional_text(),
           .admission_summary = values[6].optional_text(),
           .worker_capabilities = values[7].list()};
  }
  return result;
}

WriteResult SerializeReclaimRequest(const ReclaimRequestView& request,
                                    std::span<char> out) noexcept {
  return internal::WriteJson(out, [&request](auto& sink) {
    const auto optional = [&sink](std::string_view name, std::optional<std::string_view> text) {
      if (!text) return;
      sink.Raw(name);
      sink.Text(*text);
    };
    sink.Raw(R"({"worker_id":)");
    sink.Text(request.worker_id);
    sink.Raw(R"(,"worker_instance_id":)");
    sink.Text(request.worker_instance_id);
    sink.Raw(R"(,"lane_id":)");
    sink.Text(request.lane_id);
    optional(R"(,"capability_hash":)", request.capability_hash);
    sink.Raw(R"(,"grant_ttl_ms":)");
    sink.Number(request.grant_ttl_ms);
    optional(R"(,"route_snapshot_json":)", request.route_snapshot_json);
    optional(R"(,"admission_summary":)", request.admission_summary);
    sink.Raw(R"(,"worker_capabilities":)");
    internal::EmitList(sink, request.worker_capabilities);
    sink.Raw("}");
  });
}

}  // namespace ffgrant
