// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/issuer_bodies.h"

#include <array>

#include "ffgrant/internal/write_into.h"
#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::EmitSigned;
using internal::JsonReader;
using internal::MemberSpec;
using internal::MemberValue;
using internal::StructSpec;
using internal::VariantSpec;

template <class Emit>
bool WriteBody(std::string& out, const Emit& emit) {
  return internal::WriteInto(out,
                             [&](std::span<char> to) { return internal::WriteJson(to, emit); });
}

template <class Sink>
void EmitMember(Sink& sink, std::string_view name_and_colon, std::string_view text) {
  sink.Raw(name_and_colon);
  sink.Text(text);
}

template <class Sink>
void EmitBytes(Sink& sink, std::string_view bytes) {
  sink.Raw("[");
  bool first = true;
  for (const char byte : bytes) {
    if (!first) sink.Raw(",");
    first = false;
    sink.Number(static_cast<unsigned char>(byte));
  }
  sink.Raw("]");
}

constexpr std::array<MemberSpec, 2> kCreatedMembers = {
    {{.name = "execution_id"}, {.name = "public_state"}}};
constexpr std::array<MemberSpec, 1> kDuplicateMembers = {{{.name = "execution_id"}}};
constexpr std::array<MemberSpec, 2> kAcceptedMembers = {
    {{.name = "signal_id"}, {.name = "effect"}}};
constexpr std::array<MemberSpec, 1> kRepeatedMembers = {{{.name = "existing_signal_id"}}};
constexpr StructSpec kCreated = {kCreatedMembers};
constexpr StructSpec kDuplicate = {kDuplicateMembers};
constexpr StructSpec kAccepted = {kAcceptedMembers};
constexpr StructSpec kRepeated = {kRepeatedMembers};
constexpr std::array<VariantSpec, 2> kCreateResults = {
    {{"Created", &kCreated}, {"Duplicate", &kDuplicate}}};
constexpr std::array<VariantSpec, 1> kCancelResults = {{{"Cancelled", &kCreated}}};
constexpr std::array<VariantSpec, 2> kSignalResults = {
    {{"Accepted", &kAccepted}, {"Duplicate", &kRepeated}}};

JsonResult Decode(std::string_view json, JsonScratch& scratch,
                  std::span<const VariantSpec> variants, MemberValue* values, std::size_t& which) {
  return internal::DecodeDocument(json, scratch, [&](JsonReader& reader) {
    return internal::DecodeVariant(reader, variants, values, which);
  });
}

}  // namespace

bool WriteCreateBody(const CreateRequest& request, std::uint16_t partition, std::int64_t now_ms,
                     std::string& out) {
  return WriteBody(out, [&](auto& sink) {
    EmitMember(sink, R"({"execution_id":)", request.execution_id);
    EmitMember(sink, R"(,"namespace":)", request.ns);
    EmitMember(sink, R"(,"lane_id":)", request.lane_id);
    EmitMember(sink, R"(,"execution_kind":)", request.execution_kind);
    sink.Raw(R"(,"input_payload":)");
    EmitBytes(sink, request.payload);
    sink.Raw(R"(,"payload_encoding":null,"priority":)");
    EmitSigned(sink, request.priority);
    EmitMember(sink, R"(,"creator_identity":)", request.creator_identity);
    sink.Raw(R"(,"tags":{)");
    bool first = true;
    for (const auto& [name, value] : request.tags) {
      if (!first) sink.Raw(",");
      first = false;
      sink.Text(name);
      EmitMember(sink, ":", value);
    }
    sink.Raw("}");
    if (!request.policy_json.empty()) {
      sink.Raw(R"(,"policy":)");
      sink.Raw(request.policy_json);
    }
    if (request.delay_until) {
      sink.Raw(R"(,"delay_until":)");
      EmitSigned(sink, request.delay_until->value);
    }
    sink.Raw(R"(,"partition_id":)");
    sink.Number(partition);
    sink.Raw(R"(,"now":)");
    EmitSigned(sink, now_ms);
    sink.Raw("}");
  });
}

bool WriteCancelBody(std::string_view execution_id, const CancelRequest& request,
                     std::int64_t now_ms, std::string& out) {
  return WriteBody(out, [&](auto& sink) {
    EmitMember(sink, R"({"execution_id":)", execution_id);
    EmitMember(sink, R"(,"reason":)", request.reason);
    EmitMember(sink, R"(,"source":)", request.source);
    sink.Raw(R"(,"now":)");
    EmitSigned(sink, now_ms);
    sink.Raw("}");
  });
}

bool WriteSignalBody(std::string_view execution_id, const SignalRequest& request,
                     std::int64_t now_ms, std::string& out) {
  return WriteBody(out, [&](auto& sink) {
    EmitMember(sink, R"({"execution_id":)", execution_id);
    EmitMember(sink, R"(,"waitpoint_id":)", request.waitpoint_id);
    EmitMember(sink, R"(,"signal_id":)", request.signal_id);
    EmitMember(sink, R"(,"signal_name":)", request.name);
    EmitMember(sink, R"(,"signal_category":)", request.category);
    EmitMember(sink, R"(,"source_type":)", request.source_type);
    EmitMember(sink, R"(,"source_identity":)", request.source_identity);
    if (!request.payload.empty()) {
      sink.Raw(R"(,"payload":)");
      EmitBytes(sink, request.payload);
    }
    EmitMember(sink, R"(,"target_scope":)", request.target_scope);
    EmitMember(sink, R"(,"waitpoint_token":)", request.waitpoint_token);
    sink.Raw(R"(,"now":)");
    EmitSigned(sink, now_ms);
    sink.Raw("}");
  });
}

JsonResult ParseCreated(std::string_view json, JsonScratch& scratch, bool& created) {
  std::array<MemberValue, 2> values;
  std::size_t which = 0;
  const JsonResult result = Decode(json, scratch, kCreateResults, values.data(), which);
  if (result) created = which == 0;
  return result;
}

JsonResult ParseCancelled(std::string_view json, JsonScratch& scratch) {
  std::array<MemberValue, 2> values;
  std::size_t which = 0;
  return Decode(json, scratch, kCancelResults, values.data(), which);
}

JsonResult ParseSignalled(std::string_view json, JsonScratch& scratch, std::string& effect) {
  std::array<MemberValue, 2> values;
  std::size_t which = 0;
  const JsonResult result = Decode(json, scratch, kSignalResults, values.data(), which);
  if (result) effect.assign(which == 0 ? values[1].text : std::string_view());
  return result;
}

JsonResult ParseTextBody(std::string_view json, JsonScratch& scratch, std::string& out) {
  std::string_view text;
  const JsonResult result = internal::DecodeDocument(json, scratch, [&](JsonReader& reader) {
    return reader.Peek() == '"' ? reader.ReadString(text) : reader.FailWrongType();
  });
  if (result) out.assign(text);
  return result;
}

}  // namespace ffgrant
