// SPDX-License-Identifier: Apache-2.0
//
// Adds the standard library as a peer, used as a competent developer uses it: std::from_chars and
// std::to_chars, new and reused std::string, loops, and a table of 256 CRCs
// (bench/plain_baselines.h, bench/grant_baselines.h). Adds also the SIMD parser of
// bench/simd_uuid.h.

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/plain_baselines.h"
#include "bench/simd_uuid.h"

namespace ffgrant::bench::peers {
namespace {

struct FromChars {
  static constexpr std::string_view kImpl = "FromChars";
};
struct Loop {
  static constexpr std::string_view kImpl = "Loop";
};
struct Simd {
  static constexpr std::string_view kImpl = "Simd";
};
struct Table {
  static constexpr std::string_view kImpl = "Table";
};

// Calls `function`, which returns the figure's value. The call is direct, not through a pointer.
template <class Name, class Figure, auto function>
struct Call : Name, ResultIsValue<typename Figure::Value> {
  auto operator()(const InputOf<Figure>& input) const { return function(input); }
};

// Makes a new string for each call.
template <class Figure, auto function>
struct FreshString {
  static constexpr std::string_view kImpl = "StdString";
  std::string operator()(const InputOf<Figure>& input) const { return function(input); }
  static std::string_view ValueOf(const std::string& text) { return text; }
};

struct ToCharsKey : ResultIsValue<std::string_view> {
  static constexpr std::string_view kImpl = "ToChars";
  std::string_view operator()(Partition partition) {
    return {out.data(), plain::FormatPartitionKeyToChars(partition, out.data())};
  }
  std::array<char, kMaxPartitionTagSize> out;
};

struct LoopUuid : Loop, ResultIsValue<std::string_view> {
  std::string_view operator()(const Uuid& uuid) {
    plain::FormatUuid(uuid, out.data());
    return {out.data(), out.size()};
  }
  std::array<char, kUuidTextSize> out;
};

std::string IdString(const Uuid& uuid) {
  return plain::ExecutionIdString(FormatExecutionId::IndexOf(uuid), uuid);
}

std::uint16_t PartitionOf(const FlowId& flow) {
  const auto& bytes = flow.uuid.bytes;
  return plain::Crc16Table({reinterpret_cast<const char*>(bytes.data()), bytes.size()}) % 256;
}

std::string MintedString(const FlowId& flow) {
  return plain::ExecutionIdString(PartitionOf(flow), flow.uuid);
}

struct RandomMinter {
  static constexpr std::string_view kImpl = "StdString";
  std::string operator()(const FlowId& flow) {
    Uuid uuid;
    const std::uint64_t halves[2] = {random(), random()};
    std::memcpy(uuid.bytes.data(), halves, sizeof halves);
    uuid.bytes[6] = static_cast<std::uint8_t>(0x40 | (uuid.bytes[6] & 0x0F));  // version 4
    uuid.bytes[8] = static_cast<std::uint8_t>(0x80 | (uuid.bytes[8] & 0x3F));
    return plain::ExecutionIdString(PartitionOf(flow), uuid);
  }
  static MintRandomId::Value ValueOf(const std::string& id) { return MintRandomId::IndexOf(id); }
  std::mt19937_64 random{std::random_device()()};
};

std::string GrantKeyString(const ExecutionIdView& id) {
  return plain::GrantKeyString(id.partition(), id.text());
}

std::string EligibleKeyString(std::string_view lane) {
  return plain::EligibleKeyString(FormatEligibleKey::kPartition, lane);
}

constexpr auto kTableSlotOfKey = [](std::string_view key) { return plain::HashSlot(key); };
constexpr auto kTableSlotOfPartition = [](Partition p) { return plain::HashSlot(p); };

struct ReusedGrantKey : ResultIsValue<std::string_view> {
  static constexpr std::string_view kImpl = "StdStringReused";
  std::string_view operator()(const ExecutionIdView& id) {
    text.clear();
    plain::AppendGrantKey(id.partition(), id.text(), text);
    return text;
  }
  std::string text;
};

struct FreshWriter {
  static constexpr std::string_view kImpl = "StdString";
  std::string operator()(const SerializeGrant::Input& input) const {
    std::string json;
    plain::AppendGrantJson(input.set->members[input.place], json);
    return json;
  }
  static std::string_view ValueOf(const std::string& json) { return json; }
};

struct ReusedWriter {
  static constexpr std::string_view kImpl = "StdStringReused";
  std::string_view Write(const plain::GrantMembers& grant) {
    json.clear();
    plain::AppendGrantJson(grant, json);
    return json;
  }
  std::string json;
};

// The SIMD parser, made to report errors as core does. It is an experiment beside rows in which a
// parser that reports no error, such as the plain SIMD parser, is faster than core.
template <ParseMode kMode>
struct SimdErrors : ResultIsValue<plain::IdOutcome> {
  static constexpr std::string_view kImpl = "SimdErrors";
  plain::IdOutcome operator()(std::string_view text) const {
    return plain::ExplainExecutionIdSimd(text, kMode);
  }
};

}  // namespace

void AddPlainPeers(Registry& registry) {
  using ParseKeyStrict = ParsePartitionKeyStrict;
  using ParseKeyLenient = ParsePartitionKeyLenient;
  AddPeer<ParseKeyStrict, Call<FromChars, ParseKeyStrict, plain::ParsePartitionKeyStrict>>(
      registry);
  AddPeer<ParseKeyLenient, Call<FromChars, ParseKeyLenient, plain::ParsePartitionKeyLenient>>(
      registry);
  AddPeer<FormatPartitionKey, ToCharsKey>(registry);
  AddPeer<FormatPartitionKey, FreshString<FormatPartitionKey, plain::FormatPartitionKeyString>>(
      registry);

  using ParseIdStrict = ParseExecutionIdStrict;
  using ParseIdLenient = ParseExecutionIdLenient;
  AddPeer<ParseIdStrict, Call<FromChars, ParseIdStrict, plain::ParseExecutionIdStrictFromChars>>(
      registry);
  AddPeer<ParseIdStrict, Call<Loop, ParseIdStrict, plain::ParseExecutionIdStrictLoop>>(registry);
  AddPeer<ParseIdLenient, Call<FromChars, ParseIdLenient, plain::ParseExecutionIdLenient>>(
      registry);
  AddPeer<ParseUuidStrict, Call<FromChars, ParseUuidStrict, plain::ParseUuidStrictFromChars>>(
      registry);
  AddPeer<ParseUuidStrict, Call<Loop, ParseUuidStrict, plain::ParseUuidStrictLoop>>(registry);
  AddPeer<ParseIdStrict, Call<Simd, ParseIdStrict, plain::ParseExecutionIdStrictSimd>>(registry);
  AddPeer<ParseIdLenient, Call<Simd, ParseIdLenient, plain::ParseExecutionIdLenientSimd>>(registry);
  AddPeer<ExplainExecutionIdStrict, SimdErrors<ParseMode::kStrict>>(registry);
  AddPeer<ExplainExecutionIdLenient, SimdErrors<ParseMode::kLenient>>(registry);
  AddPeer<ParseUuidStrict, Call<Simd, ParseUuidStrict, plain::ParseUuidStrictSimd>>(registry);
  AddPeer<FormatUuidText, LoopUuid>(registry);
  AddPeer<FormatExecutionId, FreshString<FormatExecutionId, IdString>>(registry);
  AddPeer<MintId, FreshString<MintId, MintedString>>(registry);
  AddPeer<MintAndUse, FreshString<MintAndUse, MintedString>>(registry);
  AddPeer<MintRandomId, RandomMinter>(registry);

  AddPeer<Crc16, Call<Table, Crc16, plain::Crc16Table>>(registry);
  AddPeer<KeySlot, Call<Table, KeySlot, kTableSlotOfKey>>(registry);
  AddPeer<PartitionSlot, Call<Table, PartitionSlot, kTableSlotOfPartition>>(registry);
  AddPeer<FormatGrantKey, FreshString<FormatGrantKey, GrantKeyString>>(registry);
  AddPeer<FormatGrantKey, ReusedGrantKey>(registry);
  AddPeer<FormatEligibleKey, FreshString<FormatEligibleKey, EligibleKeyString>>(registry);

  AddPeer<SerializeGrant, FreshWriter>(registry);
  AddGrantWriter<ReusedWriter>(registry);
}

}  // namespace ffgrant::bench::peers
