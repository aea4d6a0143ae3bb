// SPDX-License-Identifier: Apache-2.0
//
// Writes values that the input chooses and reads them back (contract 3 - 5). The JSON of every DTO
// must be, byte for byte, what naive concatenation makes. The parser and the naive decoder must
// give the values back, published sizes must hold, and a buffer that is too short must stay
// untouched. Key names and the bodies of the issuer's requests must be what naive concatenation
// makes, too. Owning grants must keep the values that they got.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/grant.h"
#include "ffgrant/ids.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/issuer_bodies.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/partition_config.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "harness/allocation_trap.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/json_check.h"
#include "harness/key_name_check.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "harness/value_choices.h"
#include "harness/view_choices.h"
#include "harness/write_check.h"
#include "oracles/naive_dtos.h"
#include "oracles/naive_json_writer.h"
#include "roundtrip_grammar.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::fuzz {
namespace {

// Checks a writer that must refuse: the writer must write nothing, whatever the size of the buffer.
template <class Write>
void CheckRefused(std::string_view json, std::size_t room, Write write) {
  std::string buffer(room, '\xA5');
  const std::span<char> out(buffer);
  const WriteResult result = WithoutAllocation(json, [&] { return write(out); });
  if (result != WriteResult{0, WriteError::kInvalidUtf8} || buffer != std::string(room, '\xA5')) {
    Fail("a text that is not UTF-8", json, "invalid_utf8", ErrorName(result.error));
  }
}

template <class View, class Parse, class Write>
void CheckDto(NaiveDto dto, const View& view, ValueChoices& values, Parse parse, Write write) {
  const std::string json = NaiveJson(view);
  const auto write_view = [&](std::span<char> out) noexcept { return write(view, out); };
  Observe(json);
  if (!NaiveIsUtf8(json)) {
    CheckRefused(json, 0, write_view);
    CheckRefused(json, json.size() + 1, write_view);
    return;
  }
  CheckWrite("serialize", json, json, values.choices().Word(), write_view);
  // Trying all sizes of the buffer has a quadratic cost, so all are tried only for some inputs, and
  // never for long documents.
  if (json.size() < 400 && values.choices().Below(64) == 63) {
    for (std::size_t room = 0; room < json.size(); ++room) {
      CheckWriteInto(room, "serialize", json, json, write_view);
    }
  }
  const NaiveDocument document = NaiveDecode(dto, json);
  if (!document.result || !Holds(document, view)) {
    Fail("the naive decoder reads something else", json, Shown(document.result));
  }
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    const View again =
        CheckParse("parse again", json, document, View{}, ScratchFor(json.size()), parse);
    if (!(again == view)) Fail("parsed again", json);
  }
}

void CheckClaimResponse(ValueChoices& values) {
  const ClaimResponseView view = SomeClaimResponse(values);
  CheckDto(NaiveDto::kClaimResponse, view, values, ParseClaimResponse, SerializeClaimResponse);
  if (NaiveJson(view).size() > MaxClaimResponseJsonSize(view))
    Fail("maximum size", NaiveJson(view));
}

// Checks the names of the attempt types. Any other number may be cast to the enumeration too, and
// must have no name.
void CheckNames(ValueChoices& values) {
  constexpr std::string_view kTypes[] = {"initial", "retry", "reclaim", "replay", "fallback"};
  const std::uint8_t number =
      values.choices().OneIn(2) ? values.choices().Byte() : std::uint8_t{std::size(kTypes)};
  const std::string_view expected = number < std::size(kTypes) ? kTypes[number] : "";
  const std::string_view name = AttemptTypeName(static_cast<AttemptType>(number));
  if (name != expected) Fail("name of an attempt type", std::to_string(number), expected, name);
}

// Checks the values that nobody has set: texts and lists are empty, optional members absent,
// numbers and uuids zero, and enumerators the first.
void CheckUnset() {
  const ClaimRequestView claim;
  const ClaimResponseView granted;
  const ReclaimRequestView reclaim;
  const ClaimedView claimed;
  const LeaseFence fence;
  const ClaimGrantView grant;
  const ClaimGrant owned;
  for (const std::string_view text :
       {claim.lane_id, claim.worker_instance_id, granted.execution_id, granted.partition_key,
        granted.grant_key, reclaim.worker_id, reclaim.worker_instance_id, reclaim.lane_id,
        grant.partition_key, grant.grant_key, grant.execution_id.text(), owned.view().partition_key,
        owned.view().grant_key, owned.view().execution_id.text()}) {
    if (!text.empty()) Fail("a text that nobody has set", text);
  }
  if (claim.capabilities.size() != 0 || reclaim.worker_capabilities.size() != 0 ||
      reclaim.capability_hash || reclaim.route_snapshot_json || reclaim.admission_summary ||
      claim.grant_ttl_ms != 0 || granted.expires_at_ms != 0 || reclaim.grant_ttl_ms != 0 ||
      grant.expires_at_ms != 0 || owned.view().expires_at_ms != 0 || fence.lease_epoch.value != 0 ||
      fence.lease_id.uuid != Uuid() || claimed.lease_epoch.value != 0 ||
      claimed.attempt_index.value != 0 || claimed.lease_expires_at.value != 0 ||
      claimed.attempt_type != AttemptType::kInitial ||
      claimed.handle.backend != HandleBackend::kValkey ||
      claimed.handle.kind != HandleKind::kFresh || RenewLeaseResult().expires_at.value != 0) {
    Fail("a value that nobody has set", "");
  }
}

void CheckNumbers(ValueChoices& values) {
  CheckNames(values);

  CheckDto(NaiveDto::kPartitionConfig, SomePartitionConfig(values), values, ParsePartitionConfig,
           SerializePartitionConfig);
  const RenewLeaseResult renewed = {{values.I64()}};
  CheckDto(NaiveDto::kRenewLeaseResult, renewed, values, ParseRenewLeaseResult,
           SerializeRenewLeaseResult);
  CheckDto(NaiveDto::kLeaseFence, SomeLeaseFence(values), values, ParseLeaseFence,
           SerializeLeaseFence);
}

// --- grants ---

// Checks that an owning grant made from a view keeps the view's texts, and keeps the room for them,
// so that a later assign() does not allocate.
template <class Grant, class View>
void CheckOwned(const View& view, std::string_view partition_key) {
  Grant grant(view);
  if (grant.view() != view) Fail("owning grant", partition_key);
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    const PartitionKeyResult expected = testing::NaiveParsePartitionKey(partition_key, mode);
    if (grant.partition(mode) != expected || view.partition(mode) != expected) {
      Fail("partition of a grant", partition_key);
    }
  }
  Grant fresh;
  fresh.assign(view);
  if (!(fresh == grant)) Fail("owning grant, made empty and assigned", partition_key);
  const Grant same = grant;
  WithoutAllocation(partition_key, [&] {
    grant.assign(view);
    return true;
  });
  if (!(grant == same) || grant.view() != view) Fail("owning grant, assigned", partition_key);
}

void CheckGrants(ValueChoices& values) {
  const ExecutionIdView id = values.Id();
  const std::string_view partition_key = values.Text();
  const std::string_view grant_key = values.Text();
  const ClaimGrantView claim = {id, partition_key, grant_key, values.U64()};
  const LaneIdView lane = LaneIdView::Unchecked(values.Text());
  CheckOwned<ClaimGrant>(claim, partition_key);
  CheckOwned<ResumeGrant>(ResumeGrantView{claim, lane}, partition_key);
  CheckOwned<ReclaimGrant>(ReclaimGrantView{claim, lane}, partition_key);

  const std::string json =
      NaiveJson(ClaimResponseView{id.text(), partition_key, grant_key, claim.expires_at_ms});
  const auto write = [&](std::span<char> out) noexcept { return SerializeClaimGrant(claim, out); };
  if (NaiveIsUtf8(json)) {
    CheckWrite("serialize grant", json, json, values.choices().Word(), write);
  } else {
    CheckRefused(json, json.size(), write);
  }
  Observe(json);
}

// --- bodies of the issuer's requests ---

// Checks that `write` replaces a string by `json`, or empties the string and refuses if a text of
// the request is not UTF-8. A payload is written as numbers, so `json` is UTF-8 if the texts are.
template <class Write>
void CheckBody(const std::string& json, Write write) {
  const bool is_utf8 = NaiveIsUtf8(json);
  std::string out = "before";
  if (write(out) != is_utf8 || out != (is_utf8 ? json : "")) {
    Fail("a request's body", json, is_utf8 ? "it is written" : "it is refused", out);
  }
  Observe(json);
}

void CheckIssuerBodies(ValueChoices& values) {
  const std::string_view id = values.Text();
  const std::int64_t now = values.I64();
  std::vector<std::pair<std::string_view, std::string_view>> tags;
  for (std::uint32_t i = values.choices().Below(4); i > 0; --i) {
    const std::string_view name = values.Text();
    tags.emplace_back(name, values.Text());
  }
  CreateRequest create;
  create.execution_id = id;
  create.ns = values.Text();
  create.lane_id = values.Text();
  create.execution_kind = values.Text();
  create.payload = values.Bytes();
  create.priority = static_cast<std::int32_t>(values.U32());
  create.creator_identity = values.Text();
  create.tags = tags;
  if (values.choices().OneIn(2)) create.policy_json = "{\"max_retries\":3}";
  if (values.choices().OneIn(2)) create.delay_until = TimestampMs{values.I64()};
  const std::uint16_t partition = values.U16();
  CheckBody(NaiveCreateBody(create, partition, now),
            [&](std::string& out) { return WriteCreateBody(create, partition, now, out); });

  const CancelRequest cancel = {.reason = values.Text(), .source = values.Text()};
  CheckBody(NaiveCancelBody(id, cancel, now),
            [&](std::string& out) { return WriteCancelBody(id, cancel, now, out); });

  SignalRequest signal;
  for (std::string_view* const text :
       {&signal.waitpoint_id, &signal.signal_id, &signal.name, &signal.category,
        &signal.source_type, &signal.source_identity, &signal.target_scope,
        &signal.waitpoint_token}) {
    *text = values.Text();
  }
  signal.payload = values.Bytes();
  CheckBody(NaiveSignalBody(id, signal, now),
            [&](std::string& out) { return WriteSignalBody(id, signal, now, out); });
}

void CheckSubject(ValueChoices& values) {
  switch (values.choices().Below(10)) {
    case 0:
    case 1:
      return CheckClaimResponse(values);
    case 2:
      return CheckDto(NaiveDto::kClaimRequest, SomeClaimRequest(values), values, ParseClaimRequest,
                      SerializeClaimRequest);
    case 3:
      return CheckDto(NaiveDto::kReclaimRequest, SomeReclaimRequest(values), values,
                      ParseReclaimRequest, SerializeReclaimRequest);
    case 4:
      return CheckDto(NaiveDto::kReclaimResponse, SomeReclaimResponse(values), values,
                      ParseReclaimResponse, SerializeReclaimResponse);
    case 5:
      return CheckDto(NaiveDto::kErrorBody, SomeErrorBody(values), values, ParseErrorBody,
                      SerializeErrorBody);
    case 6:
      return CheckDto(NaiveDto::kRevokeLeaseResult, SomeRevokeResult(values), values,
                      ParseRevokeLeaseResult, SerializeRevokeLeaseResult);
    case 7:
      CheckDto(NaiveDto::kClaimedResult, SomeClaimed(values), values, ParseClaimedResult,
               SerializeClaimedResult);
      return CheckNumbers(values);
    case 8:
      CheckGrants(values);
      return CheckIssuerBodies(values);
    default:
      return CheckKeyNames(values);
  }
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool unset_checked = (CheckUnset(), true);
  static_cast<void>(unset_checked);
  Choices choices(data, size);
  ValueChoices values(choices);
  CheckSubject(values);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kRoundtripGrammar)
