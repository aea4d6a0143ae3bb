// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/reclaim_response.h"

#include <array>
#include <cstddef>

#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;

constexpr std::string_view kTag = "status";

constexpr std::array<internal::MemberSpec, 5> kGrantedMembers = {{
    {.name = "execution_id"},
    {.name = "partition_key"},
    {.name = "grant_key"},
    {.name = "expires_at_ms", .kind = MemberKind::kUint64},
    {.name = "lane_id"},
}};
constexpr std::array<internal::MemberSpec, 2> kNotReclaimableMembers = {{
    {.name = "execution_id"},
    {.name = "detail"},
}};
constexpr std::array<internal::MemberSpec, 2> kCapExceededMembers = {{
    {.name = "execution_id"},
    {.name = "reclaim_count", .kind = MemberKind::kUint32},
}};
constexpr internal::StructSpec kGranted = {kGrantedMembers};
constexpr internal::StructSpec kNotReclaimable = {kNotReclaimableMembers};
constexpr internal::StructSpec kCapExceeded = {kCapExceededMembers};

// The variants in the order of the alternatives of ReclaimResponseView.
constexpr std::array<internal::VariantSpec, 3> kVariants = {{
    {"granted", &kGranted},
    {"not_reclaimable", &kNotReclaimable},
    {"reclaim_cap_exceeded", &kCapExceeded},
}};

template <class Sink>
void Emit(Sink& sink, const ReclaimGrantedView& granted) noexcept {
  sink.Raw(R"({"status":"granted","execution_id":)");
  sink.Text(granted.grant.execution_id);
  sink.Raw(R"(,"partition_key":)");
  sink.Text(granted.grant.partition_key);
  sink.Raw(R"(,"grant_key":)");
  sink.Text(granted.grant.grant_key);
  sink.Raw(R"(,"expires_at_ms":)");
  sink.Number(granted.grant.expires_at_ms);
  sink.Raw(R"(,"lane_id":)");
  sink.Text(granted.lane_id);
  sink.Raw("}");
}

template <class Sink>
void Emit(Sink& sink, const NotReclaimableView& refusal) noexcept {
  sink.Raw(R"({"status":"not_reclaimable","execution_id":)");
  sink.Text(refusal.execution_id);
  sink.Raw(R"(,"detail":)");
  sink.Text(refusal.detail);
  sink.Raw("}");
}

template <class Sink>
void Emit(Sink& sink, const ReclaimCapExceededView& refusal) noexcept {
  sink.Raw(R"({"status":"reclaim_cap_exceeded","execution_id":)");
  sink.Text(refusal.execution_id);
  sink.Raw(R"(,"reclaim_count":)");
  sink.Number(refusal.reclaim_count);
  sink.Raw("}");
}

}  // namespace

JsonResult ParseReclaimResponse(std::string_view json, JsonScratch& scratch,
                                ReclaimResponseView& out) noexcept {
  std::array<internal::MemberValue, kGrantedMembers.size()> values;
  std::size_t which = 0;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values, &which](internal::JsonReader& reader) {
        return internal::DecodeTagged(reader, kTag, kVariants, values.data(), which);
      });
  if (!result) return result;
  switch (which) {
    case 0:
      out = ReclaimGrantedView{{values[0].text, values[1].text, values[2].text, values[3].number},
                               values[4].text};
      break;
    case 1:
      out = NotReclaimableView{values[0].text, values[1].text};
      break;
    default:
      out = ReclaimCapExceededView{values[0].text, static_cast<std::uint32_t>(values[1].number)};
      break;
  }
  return result;
}

WriteResult SerializeReclaimResponse(const ReclaimResponseView& response,
                                     std::span<char> out) noexcept {
  return internal::WriteJson(out, [&response](auto& sink) {
    if (const auto* granted = std::get_if<ReclaimGrantedView>(&response)) {
      Emit(sink, *granted);
    } else if (const auto* refusal = std::get_if<NotReclaimableView>(&response)) {
      Emit(sink, *refusal);
      // Never false: there are three alternatives.
    } else if (const auto* exceeded = std::get_if<ReclaimCapExceededView>(&response)) {
      Emit(sink, *exceeded);
    }
  });
}

ReclaimGrantConversion ToReclaimGrant(const ReclaimGrantedView& granted,
                                      ReclaimGrantView& out) noexcept {
  ClaimGrantView grant;
  ReclaimGrantConversion conversion;
  conversion.execution_id = ToClaimGrant(granted.grant, grant).error;
  if (conversion.execution_id != ExecutionIdError::kNone) return conversion;
  const LaneIdResult lane = ParseLaneId(granted.lane_id);
  conversion.lane_id = lane.error;
  if (lane) out = {grant, lane.lane};
  return conversion;
}

}  // namespace ffgrant
