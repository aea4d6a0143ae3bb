// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/claim_request.h"

#include <array>

#include "ffgrant/json/internal/json_object.h"
#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;

constexpr std::array<internal::MemberSpec, 4> kMembers = {{
    {.name = "lane_id"},
    {.name = "worker_instance_id"},
    {.name = "capabilities", .kind = MemberKind::kTextList, .required = false},
    {.name = "grant_ttl_ms", .kind = MemberKind::kUint64},
}};

}  // namespace

JsonResult ParseClaimRequest(std::string_view json, JsonScratch& scratch,
                             ClaimRequestView& out) noexcept {
  std::array<internal::MemberValue, kMembers.size()> values;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values](internal::JsonReader& reader) {
        return internal::DecodeStructOf<kMembers>(reader, values.data());
      });
  if (result) {
    out = {.lane_id = values[0].text,
           .worker_instance_id = values[1].text,
           .capabilities = values[2].list(),
           .grant_ttl_ms = values[3].number};
  }
  return result;
}

WriteResult SerializeClaimRequest(const ClaimRequestView& request, std::span<char> out) noexcept {
  return internal::WriteJson(out, [&request](auto& sink) {
    sink.Raw(R"({"lane_id":)");
    sink.Text(request.lane_id);
    sink.Raw(R"(,"worker_instance_id":)");
    sink.Text(request.worker_instance_id);
    sink.Raw(R"(,"capabilities":)");
    internal::EmitList(sink, request.capabilities);
    sink.Raw(R"(,"grant_ttl_ms":)");
    sink.Number(request.grant_ttl_ms);
    sink.Raw("}");
  });
}

}  // namespace ffgrant
