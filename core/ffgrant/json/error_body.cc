// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/error_body.h"

#include <array>

#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;

constexpr std::array<internal::MemberSpec, 3> kMembers = {{
    {.name = "error"},
    {.name = "kind", .kind = MemberKind::kOptionalText, .required = false},
    {.name = "retryable", .kind = MemberKind::kOptionalBool, .required = false},
}};
constexpr internal::StructSpec kSpec = {kMembers};

}  // namespace

JsonResult ParseErrorBody(std::string_view json, JsonScratch& scratch,
                          ErrorBodyView& out) noexcept {
  std::array<internal::MemberValue, kMembers.size()> values;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values](internal::JsonReader& reader) {
        return internal::DecodeStruct(reader, kSpec, values.data());
      });
  if (result) {
    out = {.error = values[0].text,
           .kind = values[1].optional_text(),
           .retryable = values[2].present ? std::optional(values[2].number != 0) : std::nullopt};
  }
  return result;
}

WriteResult SerializeErrorBody(const ErrorBodyView& body, std::span<char> out) noexcept {
  return internal::WriteJson(out, [&body](auto& sink) {
    sink.Raw(R"({"error":)");
    sink.Text(body.error);
    if (body.kind) {
      sink.Raw(R"(,"kind":)");
      sink.Text(*body.kind);
    }
    if (body.retryable) {
      sink.Raw(*body.retryable ? R"(,"retryable":true)" : R"(,"retryable":false)");
    }
    sink.Raw("}");
  });
}

}  // namespace ffgrant
