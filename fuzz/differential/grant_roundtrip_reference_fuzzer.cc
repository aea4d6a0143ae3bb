// SPDX-License-Identifier: Apache-2.0
//
// Lets our code and the reference write values that the input chooses. The JSON of every DTO and
// every key name must be the same, byte for byte, and both must read the JSON back as the same
// values.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "differential/verdict.h"
#include "ffgrant/json/partition_config.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/text_mutation.h"
#include "harness/value_choices.h"
#include "harness/view_choices.h"
#include "roundtrip_grammar.h"
#include "testing/reference/key_roles.h"

namespace ffgrant::fuzz {
namespace {

std::string& Buffer() {
  static std::string buffer(4096, '\0');
  return buffer;
}

// Calls `write` with the buffer, which grows if the text does not fit. Returns the text's size, or
// the error.
template <class Write>
WriteResult Written(Write write) {
  WriteResult written = write(std::span<char>(Buffer()));
  if (written.error == WriteError::kBufferTooSmall) {
    Buffer().resize(written.size);
    written = write(std::span<char>(Buffer()));
  }
  return written;
}

template <class View, class Parse, class Write>
void Check(const View& view, Parse parse, Write write) {
  static reference::DtoValues values;
  static reference::DtoValues again;
  reference::Comparer& comparer = TheComparer();
  reference::Fill(view, values);
  const WriteResult written = Written([&](std::span<char> out) { return write(view, out); });
  const std::string_view json(Buffer().data(), written ? written.size : 0);
  Expect(json, comparer.Written(values, written.error, json));
  if (!written) return;
  View parsed = {};
  const JsonResult result = parse(json, WarmScratch(json.size()), parsed);
  reference::Fill(parsed, again);
  if (!result || !reference::SameValues(values.view(), again.view())) {
    Fail("parsed again", json, reference::Shown(values.variant, values.view()),
         ErrorName(result.error));
  }
  Expect(json, comparer.Document(values.dto, FFREF_AS_CLIENT, json, result, again));
  Observe(json);
}

// Checks the writer of grants: a grant must be written as the claim response that has the same
// values.
void CheckGrant(ValueChoices& values) {
  const ExecutionIdView id = values.Id();
  const std::string_view partition_key = values.Text();
  const std::string_view grant_key = values.Text();
  const ClaimGrantView grant = {id, partition_key, grant_key, values.U64()};
  const ClaimResponseView response = {id.text(), partition_key, grant_key, grant.expires_at_ms};
  Check(response, ParseClaimResponse, [&](const ClaimResponseView&, std::span<char> out) {
    return SerializeClaimGrant(grant, out);
  });
}

void CheckKeyNames(ValueChoices& values) {
  const ExecutionIdView id = values.Id();
  const std::string_view lane = values.Name(80);
  const std::string_view instance = values.Name(300);
  const std::string_view name_space = values.Name(40);
  const std::string_view idempotency_key = values.Text();
  const reference::KeySubject subject = {
      id, LaneIdView::Unchecked(lane), {instance}, {name_space}, idempotency_key, {values.U32()}};
  // Checks every sixth role, since all roles together take as long as twenty other inputs.
  const ffref_key_subject raw = reference::ToRaw(subject);
  const std::uint32_t first = values.choices().Below(6);
  for (std::uint32_t key = first; key <= FFREF_KEY_PARTITION_CONFIG; key += 6) {
    const auto role = static_cast<ffref_key>(key);
    const WriteResult written =
        Written([&](std::span<char> out) { return reference::FormatKeyOf(role, subject, out); });
    const std::string_view ours(Buffer().data(), written ? written.size : 0);
    Expect(id.text(), TheComparer().SameText(reference::KeyRoleName(role), ours,
                                             TheComparer().reference().KeyName(role, raw)));
    Observe(ours);
  }
}

void CheckSubject(ValueChoices& values) {
  switch (values.choices().Below(10)) {
    case 0:
    case 1:
      return Check(SomeClaimResponse(values), ParseClaimResponse, SerializeClaimResponse);
    case 2:
      return Check(SomeClaimRequest(values), ParseClaimRequest, SerializeClaimRequest);
    case 3:
      return Check(SomeReclaimRequest(values), ParseReclaimRequest, SerializeReclaimRequest);
    case 4:
      return Check(SomeReclaimResponse(values), ParseReclaimResponse, SerializeReclaimResponse);
    case 5:
      return Check(SomeErrorBody(values), ParseErrorBody, SerializeErrorBody);
    case 6:
      return Check(SomeRevokeResult(values), ParseRevokeLeaseResult, SerializeRevokeLeaseResult);
    case 7:
      Check(SomeClaimed(values), ParseClaimedResult, SerializeClaimedResult);
      Check(SomePartitionConfig(values), ParsePartitionConfig, SerializePartitionConfig);
      Check(RenewLeaseResult{{values.I64()}}, ParseRenewLeaseResult, SerializeRenewLeaseResult);
      return Check(SomeLeaseFence(values), ParseLeaseFence, SerializeLeaseFence);
    case 8:
      return CheckGrant(values);
    default:
      return CheckKeyNames(values);
  }
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Choices choices(data, size);
  ValueChoices values(choices);
  CheckSubject(values);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kRoundtripGrammar)
