// SPDX-License-Identifier: Apache-2.0
//
// Adds FlowFabric's own code (core/testing/reference/) as a peer. The results are compared call by
// call. The timing is different: a timed run goes over 1024 inputs that Rust holds in its own
// types. The time of a run therefore includes no conversion of inputs and almost nothing of what
// crossing the border between the languages costs. A row of its own shows what is left of this
// cost. All inputs of a case lie in one block of memory, on both sides of the border. A checksum
// over all inputs shows that a run does the same as the compared calls.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "testing/reference/reference.h"

namespace ffgrant::bench::peers {
namespace {

using reference::Status;

// A crossing of the border takes some nanoseconds, which do not matter for this many inputs.
constexpr std::size_t kInputsACall = 1024;
static_assert(kInputCount % kInputsACall == 0);

constexpr std::uint16_t kFlowPartitions = PartitionConfig{}.num_flow_partitions;

// ---- call by call -----------------------------------------------------------

struct ReferenceImpl {
  static constexpr std::string_view kImpl = "Reference";
  reference::Reference reference;
};

struct KeyParser : ReferenceImpl {
  auto operator()(std::string_view text) { return reference.ParsePartitionKey(text); }
  static std::optional<Partition> ValueOf(const reference::ParsedPartitionKey& key) {
    return key.status == Status::kOk ? std::optional(key.partition) : std::nullopt;
  }
};

struct IdParser : ReferenceImpl {
  auto operator()(std::string_view text) { return reference.ParseExecutionId(text); }
  static std::optional<plain::PlainExecutionId> ValueOf(const reference::ParsedExecutionId& id) {
    if (id.status != Status::kOk) return std::nullopt;
    return plain::PlainExecutionId{id.index, id.uuid};
  }
};

struct UuidParser : ReferenceImpl {
  auto operator()(std::string_view text) { return reference::ParseUuid(text); }
  static std::optional<Uuid> ValueOf(const reference::ParsedUuid& uuid) {
    return uuid.status == Status::kOk ? std::optional(uuid.uuid) : std::nullopt;
  }
};

struct Writer : ReferenceImpl {
  static std::string_view ValueOf(const reference::Text& text) {
    return text.status == Status::kOk ? text.text : std::string_view();
  }
};
struct KeyWriter : Writer {
  auto operator()(Partition partition) { return reference.FormatPartition(partition); }
};
struct UuidWriter : Writer {
  auto operator()(const Uuid& uuid) { return reference.FormatUuid(uuid); }
};
struct Minter : Writer {
  auto operator()(const FlowId& flow) {
    return reference.MintForFlow(flow.uuid, kFlowPartitions, flow.uuid);
  }
};
struct GrantKeyWriter : Writer {
  auto operator()(const ExecutionIdView& id) {
    ffref_key_subject subject = {};
    subject.execution_id = reference::ToView(id.text());
    return reference.KeyName(FFREF_KEY_CLAIM_GRANT, subject);
  }
};
struct GrantJsonWriter : Writer {
  auto operator()(const SerializeGrant::Input& input) {
    const plain::GrantMembers& grant = input.set->members[input.place];
    const ffref_value values[] = {
        reference::TextValue(grant.execution_id), reference::TextValue(grant.partition_key),
        reference::TextValue(grant.grant_key), reference::NumberValue(grant.expires_at_ms)};
    return reference.WriteJson(FFREF_CLAIM_RESPONSE, 0, values);
  }
};

struct Crc : ReferenceImpl, ResultIsValue<std::uint16_t> {
  std::uint16_t operator()(std::string_view bytes) const { return reference::Crc16(bytes); }
};
struct Slot : ReferenceImpl, ResultIsValue<std::uint16_t> {
  std::uint16_t operator()(std::string_view key) const { return reference::HashSlot(key); }
};

plain::GrantMembers MembersOf(const ffref_document& document) {
  const ffref_value* const values = document.values;
  return {reference::ToText(values[0].text), reference::ToText(values[1].text),
          reference::ToText(values[2].text), values[3].number};
}

struct MembersReader : ReferenceImpl {
  auto operator()(std::string_view json) {
    return reference.ParseJson(FFREF_CLAIM_RESPONSE, FFREF_AS_CLIENT, json);
  }
  static ParseGrantMembers::Value ValueOf(const reference::ParsedDocument& result) {
    if (result.status != Status::kOk) return std::nullopt;
    return MembersOf(result.document);
  }
};

struct GrantParser : ReferenceImpl {
  auto operator()(std::string_view json) { return reference.ParseClaimGrant(json); }
  static ParseGrant::Value ValueOf(const reference::ParsedGrant& result) {
    const ffref_grant& grant = result.grant;
    if (result.status != Status::kOk || grant.key_rejection.error != 0) return std::nullopt;
    return plain::TypedGrant{MembersOf(grant.document),
                             {grant.id.index, reference::ToUuid(grant.id.uuid)},
                             reference::ToPartition(grant.partition)};
  }
};

// ---- many inputs a call -----------------------------------------------------

class Prepared {
 public:
  Prepared(ffref_operation operation, const std::vector<std::string_view>& inputs) {
    std::vector<ffref_view> views;
    for (const std::string_view input : inputs) views.push_back(reference::ToView(input));
    prepared_.reset(ffref_prepared_new(operation, views.data(), views.size()));
    SelfCheck(prepared_ != nullptr, "the reference does not take the inputs", inputs.front());
  }

  std::uint64_t Run(std::size_t first, std::size_t count) {
    std::uint64_t checksum = 0;
    SelfCheck(ffref_prepared_run(prepared_.get(), first, count, &checksum) == FFREF_OK,
              "the reference does not run", "");
    return checksum;
  }

 private:
  struct Free {
    void operator()(ffref_prepared* prepared) const { ffref_prepared_free(prepared); }
  };
  std::unique_ptr<ffref_prepared, Free> prepared_;
};

// Each overload returns the number that one result adds to a run's checksum (ffref_prepared_run).
std::uint64_t Share(const std::optional<Partition>& key) { return key ? key->index : 1; }
std::uint64_t Share(const std::optional<Uuid>& uuid) {
  if (!uuid) return 1;
  return std::accumulate(uuid->bytes.begin() + 8, uuid->bytes.end(), std::uint64_t{0},
                         [](std::uint64_t sum, std::uint8_t byte) { return sum << 8 | byte; });
}
std::uint64_t Share(std::string_view written) { return written.size(); }
std::uint64_t Share(std::uint16_t number) { return number; }
std::uint64_t Share(const ParseGrantMembers::Value& grant) {
  return grant ? grant->expires_at_ms : 1;
}
std::uint64_t Share(const ParseGrant::Value& grant) {
  return grant ? grant->members.expires_at_ms : 1;
}

// Adds a benchmark with the name `impl` that times `operation` on `input(case, i)`, and a check of
// its checksum. `share(value, input)` is the number that a result adds to the checksum.
template <class Figure, class Input, class ShareOf>
void AddRun(Registry& registry, std::string_view impl, ffref_operation operation, Input input,
            ShareOf share) {
  for (std::size_t which = 0; which < Figure::kCases.size(); ++which) {
    const auto prepare = [=] {
      std::vector<std::string_view> inputs;
      for (std::size_t i = 0; i < kInputCount; ++i) inputs.push_back(input(which, i));
      return Prepared(operation, inputs);
    };
    registry.AddCheck([=] {
      CorePeer<Figure> core;
      std::uint64_t expected = 0;
      for (std::size_t i = 0; i < kInputCount; ++i) {
        const auto result = core(Figure::Inputs(which)[i]);
        expected += share(CorePeer<Figure>::ValueOf(result), input(which, i));
      }
      SelfCheck(prepare().Run(0, kInputCount) == expected,
                "the reference's run: the checksum is not core's", Figure::kOp);
    });
    registry.AddTimed(
        Figure::kOp, impl, Figure::kCases[which],
        // The inputs are written right before they are read. So they are in the caches, as far as
        // they fit there.
        [=](benchmark::State& state) {
          Prepared prepared = prepare();
          std::size_t first = 0;
          LoopCounters counters(state);
          while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(kInputsACall))) {
            benchmark::DoNotOptimize(prepared.Run(first, kInputsACall));
            first = (first + kInputsACall) % kInputCount;
          }
          counters.Report();
        },
        kInputCount);
  }
}

template <class Figure, class Peer, class Input>
void AddBoth(Registry& registry, ffref_operation operation, Input input) {
  static_assert(PeerOf<Peer, Figure>);
  registry.AddCheck(CheckAgainstCore<Figure, Peer>);
  AddRun<Figure>(registry, Peer::kImpl, operation, input,
                 [](const auto& value, std::string_view) { return Share(value); });
}

}  // namespace

void AddReferencePeers(Registry& registry) {
  registry.AddVersion("the reference", reference::ToText(ffref_versions()));
  registry.AddBuild("the reference", FFGRANT_REFERENCE_PROFILE);
  constexpr auto kKeys = ParsePartitionKeyLenient::Limit;
  AddBoth<ParsePartitionKeyLenient, KeyParser>(registry, FFREF_RUN_PARTITION_KEY_PARSE, kKeys);
  AddRun<ParsePartitionKeyLenient>(
      registry, "ReferenceNothing", FFREF_RUN_NOTHING, kKeys,
      [](const auto& /*key*/, std::string_view text) { return text.size(); });
  AddBoth<FormatPartitionKey, KeyWriter>(registry, FFREF_RUN_PARTITION_FORMAT,
                                         FormatPartitionKey::Limit);

  constexpr auto kIds = ParseExecutionIdLenient::Limit;
  registry.AddCheck(CheckAgainstCore<ParseExecutionIdLenient, IdParser>);
  AddRun<ParseExecutionIdLenient>(
      registry, "Reference", FFREF_RUN_EXECUTION_ID_PARSE, kIds,
      [](const auto& id, std::string_view text) -> std::uint64_t { return id ? text.size() : 1; });
  AddBoth<ParseUuidStrict, UuidParser>(registry, FFREF_RUN_UUID_PARSE, ParseUuidStrict::Limit);
  constexpr auto kUuids = FormatUuidText::Limit;
  AddBoth<FormatUuidText, UuidWriter>(registry, FFREF_RUN_UUID_FORMAT, kUuids);
  AddBoth<MintId, Minter>(registry, FFREF_RUN_MINT_FOR_FLOW_GIVEN, kUuids);
  // When the reference mints an id, it also makes the text, on the heap. So the operation that is
  // timed here is the same as for MintId.
  AddBoth<MintAndUse, Minter>(registry, FFREF_RUN_MINT_FOR_FLOW_GIVEN, kUuids);
  // Ids with random uuids can't be compared; their sizes can.
  AddRun<MintRandomId>(registry, "Reference", FFREF_RUN_MINT_FOR_FLOW, kUuids,
                       [](std::uint16_t index, std::string_view) {
                         return plain::ExecutionIdString(index, Uuid()).size();
                       });

  AddBoth<ParseGrantMembers, MembersReader>(registry, FFREF_RUN_CLAIM_RESPONSE_DECODE,
                                            ParseGrantMembers::Limit);
  AddBoth<ParseGrant, GrantParser>(registry, FFREF_RUN_GRANT_DECODE, ParseGrant::Limit);
  AddBoth<SerializeGrant, GrantJsonWriter>(registry, FFREF_RUN_GRANT_ENCODE, SerializeGrant::Limit);
  AddRun<SerializeGrant>(registry, "ReferenceReused", FFREF_RUN_GRANT_ENCODE_INTO,
                         SerializeGrant::Limit,
                         [](std::string_view json, std::string_view) { return json.size(); });

  AddBoth<Crc16, Crc>(registry, FFREF_RUN_CRC16, Crc16::Limit);
  AddBoth<KeySlot, Slot>(registry, FFREF_RUN_HASH_SLOT, KeySlot::Limit);
  AddBoth<FormatGrantKey, GrantKeyWriter>(
      registry, FFREF_RUN_CLAIM_GRANT_KEY,
      [](std::size_t which, std::size_t i) { return FormatGrantKey::Inputs(which)[i].text(); });
}

}  // namespace ffgrant::bench::peers
