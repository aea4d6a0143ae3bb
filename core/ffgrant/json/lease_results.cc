// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/lease_results.h"

#include <array>
#include <cstddef>

#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace {

using internal::MemberKind;
using internal::MemberSpec;
using internal::MemberValue;
using internal::StructSpec;
using internal::VariantSpec;

constexpr std::array<MemberSpec, 2> kRevokedMembers = {{
    {.name = "lease_id"},
    {.name = "lease_epoch"},
}};
constexpr std::array<MemberSpec, 1> kAlreadySatisfiedMembers = {{{.name = "reason"}}};
constexpr StructSpec kRevoked = {kRevokedMembers};
constexpr StructSpec kAlreadySatisfied = {kAlreadySatisfiedMembers};
// The variants in the order of the alternatives of RevokeLeaseResultView.
constexpr std::array<VariantSpec, 2> kRevokeResults = {{
    {"Revoked", &kRevoked},
    {"AlreadySatisfied", &kAlreadySatisfied},
}};

constexpr std::array<MemberSpec, 1> kRenewedMembers = {
    {{.name = "expires_at", .kind = MemberKind::kInt64}}};
constexpr StructSpec kRenewed = {kRenewedMembers};
constexpr std::array<VariantSpec, 1> kRenewResults = {{{"Renewed", &kRenewed}}};

// The names in these three tables are in the order of their enumerators.
constexpr std::array<VariantSpec, 5> kAttemptTypes = {
    {{"initial"}, {"retry"}, {"reclaim"}, {"replay"}, {"fallback"}}};
constexpr std::array<VariantSpec, 3> kHandleBackends = {{{"Valkey"}, {"Postgres"}, {"Sqlite"}}};
constexpr std::array<VariantSpec, 4> kHandleKinds = {
    {{"Fresh"}, {"Resumed"}, {"Suspended"}, {"Reclaimed"}}};

constexpr std::array<MemberSpec, 3> kHandleMembers = {{
    {.name = "backend", .kind = MemberKind::kVariant, .variants = kHandleBackends},
    {.name = "kind", .kind = MemberKind::kVariant, .variants = kHandleKinds},
    {.name = "opaque", .kind = MemberKind::kBytes},
}};
constexpr StructSpec kHandle = {kHandleMembers};

constexpr std::size_t kHandleValues = 8;  // the index of the handle's first value
constexpr std::array<MemberSpec, kHandleValues> kClaimedMembers = {{
    {.name = "execution_id", .kind = MemberKind::kExecutionId},
    {.name = "lease_id", .kind = MemberKind::kUuid},
    {.name = "lease_epoch", .kind = MemberKind::kUint64},
    {.name = "attempt_index", .kind = MemberKind::kUint32},
    {.name = "attempt_id", .kind = MemberKind::kUuid},
    {.name = "attempt_type", .kind = MemberKind::kVariant, .variants = kAttemptTypes},
    {.name = "lease_expires_at", .kind = MemberKind::kInt64},
    {.name = "handle",
     .kind = MemberKind::kStruct,
     .required = false,
     .nested = &kHandle,
     .nested_values = kHandleValues},
}};
constexpr StructSpec kClaimed = {kClaimedMembers};
constexpr std::array<VariantSpec, 1> kClaimResults = {{{"Claimed", &kClaimed}}};

constexpr std::array<MemberSpec, 3> kFenceMembers = {{
    {.name = "lease_id", .kind = MemberKind::kUuid},
    {.name = "lease_epoch", .kind = MemberKind::kUint64},
    {.name = "attempt_id", .kind = MemberKind::kUuid},
}};
constexpr StructSpec kFence = {kFenceMembers};

template <std::size_t kValues>
JsonResult DecodeResult(std::string_view json, JsonScratch& scratch,
                        std::span<const VariantSpec> variants,
                        std::array<MemberValue, kValues>& values, std::size_t& which) noexcept {
  return internal::DecodeDocument(
      json, scratch, [variants, &values, &which](internal::JsonReader& reader) {
        return internal::DecodeVariant(reader, variants, values.data(), which);
      });
}

// Parses a text that the decoder has already found to be a uuid.
Uuid UuidOf(const MemberValue& value) noexcept {
  return ParseUuid(value.text, ParseMode::kLenient).uuid;
}

// Returns the name of `value`, or an empty text if `value` is no enumerator.
template <std::size_t kSize, class Enum>
std::string_view NameOf(const std::array<VariantSpec, kSize>& variants, Enum value) noexcept {
  const auto i = static_cast<std::size_t>(value);
  return i < kSize ? variants[i].name : std::string_view();
}

template <class Sink>
void EmitUuid(Sink& sink, const Uuid& uuid) noexcept {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  sink.Text({text.data(), text.size()});
}

template <class Sink>
void EmitHandle(Sink& sink, const HandleView& handle) noexcept {
  sink.Raw(R"({"backend":)");
  sink.Text(NameOf(kHandleBackends, handle.backend));
  sink.Raw(R"(,"kind":)");
  sink.Text(NameOf(kHandleKinds, handle.kind));
  sink.Raw(R"(,"opaque":[)");
  bool first = true;
  for (const char byte : handle.opaque) {
    if (!first) sink.Raw(",");
    first = false;
    sink.Number(static_cast<unsigned char>(byte));
  }
  sink.Raw("]}");
}

}  // namespace

std::string_view AttemptTypeName(AttemptType type) noexcept { return NameOf(kAttemptTypes, type); }

JsonResult ParseRevokeLeaseResult(std::string_view json, JsonScratch& scratch,
                                  RevokeLeaseResultView& out) noexcept {
  std::array<MemberValue, kRevokedMembers.size()> values;
  std::size_t which = 0;
  const JsonResult result = DecodeResult(json, scratch, kRevokeResults, values, which);
  if (!result) return result;
  if (which == 0) {
    out = RevokedView{values[0].text, values[1].text};
  } else {
    out = AlreadySatisfiedView{values[0].text};
  }
  return result;
}

JsonResult ParseRenewLeaseResult(std::string_view json, JsonScratch& scratch,
                                 RenewLeaseResult& out) noexcept {
  std::array<MemberValue, kRenewedMembers.size()> values;
  std::size_t which = 0;
  const JsonResult result = DecodeResult(json, scratch, kRenewResults, values, which);
  if (result) out.expires_at.value = static_cast<std::int64_t>(values[0].number);
  return result;
}

JsonResult ParseClaimedResult(std::string_view json, JsonScratch& scratch,
                              ClaimedView& out) noexcept {
  std::array<MemberValue, kClaimedMembers.size() + kHandleMembers.size()> values;
  std::size_t which = 0;
  const JsonResult result = DecodeResult(json, scratch, kClaimResults, values, which);
  if (!result) return result;
  out = {.execution_id = ParseExecutionId(values[0].text, ParseMode::kLenient).id,
         .lease_id = {UuidOf(values[1])},
         .lease_epoch = {values[2].number},
         .attempt_index = {static_cast<std::uint32_t>(values[3].number)},
         .attempt_id = {UuidOf(values[4])},
         .attempt_type = static_cast<AttemptType>(values[5].number),
         .lease_expires_at = {static_cast<std::int64_t>(values[6].number)},
         // Values that were not read are 0 or empty, which makes the default handle.
         .handle = {.backend = static_cast<HandleBackend>(values[kHandleValues].number),
                    .kind = static_cast<HandleKind>(values[kHandleValues + 1].number),
                    .opaque = values[kHandleValues + 2].text}};
  return result;
}

JsonResult ParseLeaseFence(std::string_view json, JsonScratch& scratch, LeaseFence& out) noexcept {
  std::array<MemberValue, kFenceMembers.size()> values;
  const JsonResult result =
      internal::DecodeDocument(json, scratch, [&values](internal::JsonReader& reader) {
        return internal::DecodeStruct(reader, kFence, values.data());
      });
  if (result) out = {{UuidOf(values[0])}, {values[1].number}, {UuidOf(values[2])}};
  return result;
}

WriteResult SerializeRevokeLeaseResult(const RevokeLeaseResultView& result,
                                       std::span<char> out) noexcept {
  return internal::WriteJson(out, [&result](auto& sink) {
    if (const auto* revoked = std::get_if<RevokedView>(&result)) {
      sink.Raw(R"({"Revoked":{"lease_id":)");
      sink.Text(revoked->lease_id);
      sink.Raw(R"(,"lease_epoch":)");
      sink.Text(revoked->lease_epoch);
      // Never false: there are two alternatives.
    } else if (const auto* satisfied = std::get_if<AlreadySatisfiedView>(&result)) {
      sink.Raw(R"({"AlreadySatisfied":{"reason":)");
      sink.Text(satisfied->reason);
    }
    sink.Raw("}}");
  });
}

WriteResult SerializeRenewLeaseResult(const RenewLeaseResult& result,
                                      std::span<char> out) noexcept {
  return internal::WriteJson(out, [&result](auto& sink) {
    sink.Raw(R"({"Renewed":{"expires_at":)");
    internal::EmitSigned(sink, result.expires_at.value);
    sink.Raw("}}");
  });
}

WriteResult SerializeClaimedResult(const ClaimedView& result, std::span<char> out) noexcept {
  return internal::WriteJson(out, [&result](auto& sink) {
    sink.Raw(R"({"Claimed":{"execution_id":)");
    sink.Text(result.execution_id.text());
    sink.Raw(R"(,"lease_id":)");
    EmitUuid(sink, result.lease_id.uuid);
    sink.Raw(R"(,"lease_epoch":)");
    sink.Number(result.lease_epoch.value);
    sink.Raw(R"(,"attempt_index":)");
    sink.Number(result.attempt_index.value);
    sink.Raw(R"(,"attempt_id":)");
    EmitUuid(sink, result.attempt_id.uuid);
    sink.Raw(R"(,"attempt_type":)");
    sink.Text(AttemptTypeName(result.attempt_type));
    sink.Raw(R"(,"lease_expires_at":)");
    internal::EmitSigned(sink, result.lease_expires_at.value);
    sink.Raw(R"(,"handle":)");
    EmitHandle(sink, result.handle);
    sink.Raw("}}");
  });
}

WriteResult SerializeLeaseFence(const LeaseFence& fence, std::span<char> out) noexcept {
  return internal::WriteJson(out, [&fence](auto& sink) {
    sink.Raw(R"({"lease_id":)");
    EmitUuid(sink, fence.lease_id.uuid);
    sink.Raw(R"(,"lease_epoch":)");
    sink.Number(fence.lease_epoch.value);
    sink.Raw(R"(,"attempt_id":)");
    EmitUuid(sink, fence.attempt_id.uuid);
    sink.Raw("}");
  });
}

}  // namespace ffgrant
