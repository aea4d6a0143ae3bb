// SPDX-License-Identifier: Apache-2.0
//
// Gives core itself the peers' interface. The parsers of keys, ids and uuids return the whole
// result that a caller of core gets.

#ifndef FFGRANT_BENCH_PEERS_CORE_PEER_H_
#define FFGRANT_BENCH_PEERS_CORE_PEER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "bench/peers/grant_figures.h"
#include "bench/peers/id_figures.h"
#include "bench/peers/key_figures.h"
#include "bench/peers/name_figures.h"
#include "bench/peers/peer.h"
#include "bench/peers/request_figures.h"
#include "ffgrant/crc16.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/json/string_list.h"
#include "ffgrant/key_names.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::peers {

struct CoreImpl {
  static constexpr std::string_view kImpl = "Core";
};

template <ParseMode kMode>
struct CoreKeyParser : CoreImpl {
  PartitionKeyResult operator()(std::string_view text) const {
    return ParsePartitionKey(text, kMode);
  }
  static std::optional<Partition> ValueOf(const PartitionKeyResult& result) {
    return result ? std::optional(result.partition) : std::nullopt;
  }
};
template <>
struct CorePeer<ParsePartitionKeyLenient> : CoreKeyParser<ParseMode::kLenient> {};
template <>
struct CorePeer<ParsePartitionKeyStrict> : CoreKeyParser<ParseMode::kStrict> {};

template <ParseMode kMode>
struct CoreIdParser : CoreImpl {
  ExecutionIdResult operator()(std::string_view text) const {
    return ParseExecutionId(text, kMode);
  }
  static std::optional<plain::PlainExecutionId> ValueOf(const ExecutionIdResult& result) {
    if (!result) return std::nullopt;
    return plain::PlainExecutionId{result.id.partition().index, result.id.uuid()};
  }
};
template <>
struct CorePeer<ParseExecutionIdLenient> : CoreIdParser<ParseMode::kLenient> {};
template <>
struct CorePeer<ParseExecutionIdStrict> : CoreIdParser<ParseMode::kStrict> {};

template <ParseMode kMode>
struct CoreIdExplainer : CoreImpl {
  ExecutionIdResult operator()(std::string_view text) const {
    return ParseExecutionId(text, kMode);
  }
  static plain::IdOutcome ValueOf(const ExecutionIdResult& result) {
    return {CoreIdParser<kMode>::ValueOf(result), result.error, result.offset, result.payload};
  }
};
template <>
struct CorePeer<ExplainExecutionIdLenient> : CoreIdExplainer<ParseMode::kLenient> {};
template <>
struct CorePeer<ExplainExecutionIdStrict> : CoreIdExplainer<ParseMode::kStrict> {};

template <>
struct CorePeer<ParseUuidStrict> : CoreImpl {
  UuidResult operator()(std::string_view text) const { return ParseUuid(text, ParseMode::kStrict); }
  static std::optional<Uuid> ValueOf(const UuidResult& result) {
    return result ? std::optional(result.uuid) : std::nullopt;
  }
};

// Holds the buffer into which core writes.
template <std::size_t kSize>
class CoreWriter : public CoreImpl, public ResultIsValue<std::string_view> {
 protected:
  std::string_view Written(const WriteResult& written) const {
    return {out_.data(), written ? written.size : 0};
  }
  std::array<char, kSize> out_;
};

template <>
struct CorePeer<FormatPartitionKey> : CoreWriter<kMaxPartitionTagSize> {
  std::string_view operator()(Partition partition) {
    return Written(FormatPartitionTag(partition, out_));
  }
};

template <>
struct CorePeer<FormatUuidText> : CoreWriter<kUuidTextSize> {
  std::string_view operator()(const Uuid& uuid) {
    FormatUuid(uuid, out_);
    return {out_.data(), out_.size()};
  }
};

template <>
struct CorePeer<FormatExecutionId> : CoreImpl {
  MintedExecutionId operator()(const Uuid& uuid) const {
    return MintedExecutionId(FormatExecutionId::IndexOf(uuid), uuid);
  }
  static std::string_view ValueOf(const MintedExecutionId& id) { return id.text(); }
};

template <>
struct CorePeer<MintId> : CoreImpl {
  std::optional<MintedExecutionId> operator()(const FlowId& flow) const {
    return MintExecutionId(flow, PartitionConfig{}, flow.uuid);
  }
  static std::string_view ValueOf(const std::optional<MintedExecutionId>& id) {
    return id ? id->text() : std::string_view();
  }
};

template <>
class CorePeer<MintAndUse> : public CoreImpl, public ResultIsValue<std::string_view> {
 public:
  std::string_view operator()(const FlowId& flow) {
    const auto id = MintExecutionId(flow, PartitionConfig{}, flow.uuid);
    if (!id) return {};
    const std::string_view text = id->text();
    std::memcpy(out_.data(), text.data(), text.size());
    return {out_.data(), text.size()};
  }

 private:
  std::array<char, kMaxExecutionIdSize> out_;
};

template <>
struct CorePeer<MintRandomId> : CoreImpl {
  std::optional<MintedExecutionId> operator()(const FlowId& flow) const {
    return MintExecutionId(flow, PartitionConfig{});
  }
  static MintRandomId::Value ValueOf(const std::optional<MintedExecutionId>& id) {
    return id ? MintRandomId::IndexOf(id->text()) : MintRandomId::kNoId;
  }
};

template <>
struct CorePeer<Crc16> : CoreImpl, ResultIsValue<std::uint16_t> {
  std::uint16_t operator()(std::string_view bytes) const { return Crc16Xmodem(bytes); }
};

template <>
struct CorePeer<KeySlot> : CoreImpl, ResultIsValue<std::uint16_t> {
  std::uint16_t operator()(std::string_view key) const { return HashSlot(key); }
};

template <>
struct CorePeer<PartitionSlot> : CoreImpl, ResultIsValue<std::uint16_t> {
  std::uint16_t operator()(Partition partition) const { return HashSlot(partition); }
};

template <>
struct CorePeer<FormatGrantKey> : CoreWriter<kMaxExecutionKeySize> {
  std::string_view operator()(const ExecutionIdView& id) {
    return Written(FormatKey(ExecutionKey::kClaimGrant, id, out_));
  }
};

template <>
struct CorePeer<FormatEligibleKey> : CoreWriter<kMaxLaneKeySize> {
  std::string_view operator()(std::string_view lane) {
    return Written(FormatKey(LaneKey::kEligible, FormatEligibleKey::kPartition,
                             LaneIdView::Unchecked(lane), out_));
  }
};

template <>
struct CorePeer<ParseGrantMembers> : CoreImpl {
  struct Result {
    bool ok = false;
    ClaimResponseView response;
  };

  Result operator()(std::string_view json) {
    Result result;
    result.ok = static_cast<bool>(ParseClaimResponse(json, scratch_, result.response));
    return result;
  }
  static ParseGrantMembers::Value ValueOf(const Result& result) {
    if (!result.ok) return std::nullopt;
    const ClaimResponseView& r = result.response;
    return plain::GrantMembers{r.execution_id, r.partition_key, r.grant_key, r.expires_at_ms};
  }

 private:
  JsonScratch scratch_;
};

template <>
struct CorePeer<ParseGrant> : CoreImpl {
  struct Result {
    bool ok = false;
    ClaimGrantView grant;
    Partition partition;
  };

  Result operator()(std::string_view json) {
    Result result;
    if (!ParseClaimGrant(json, scratch_, result.grant)) return result;
    const PartitionKeyResult key = result.grant.partition();
    result.ok = static_cast<bool>(key);
    result.partition = key.partition;
    return result;
  }
  static ParseGrant::Value ValueOf(const Result& result) {
    if (!result.ok) return std::nullopt;
    const ClaimGrantView& g = result.grant;
    return plain::TypedGrant{{g.execution_id.text(), g.partition_key, g.grant_key, g.expires_at_ms},
                             {g.execution_id.partition().index, g.execution_id.uuid()},
                             result.partition};
  }

 private:
  JsonScratch scratch_;
};

template <>
struct CorePeer<SerializeGrant> : CoreWriter<512> {
  std::string_view operator()(const SerializeGrant::Input& input) {
    return Written(SerializeClaimGrant(input.set->grants[input.place], out_));
  }
};

template <>
struct CorePeer<ParseRequest> : CoreImpl {
  struct Result {
    bool ok = false;
    ClaimRequestView request;
  };
  Result operator()(std::string_view json) {
    Result result;
    result.ok = static_cast<bool>(ParseClaimRequest(json, scratch_, result.request));
    return result;
  }
  static ParseRequest::Value ValueOf(const Result& result) {
    if (!result.ok) return std::nullopt;
    RequestMembers members{result.request.lane_id,
                           result.request.worker_instance_id,
                           {},
                           0,
                           result.request.grant_ttl_ms};
    for (const std::string_view capability : result.request.capabilities) {
      if (members.capability_count == RequestMembers::kMaxCapabilities) return std::nullopt;
      members.capabilities[members.capability_count++] = capability;
    }
    return members;
  }

 private:
  JsonScratch scratch_;
};

template <>
struct CorePeer<SerializeRequest> : CoreWriter<1024> {
  std::string_view operator()(std::size_t i) {
    const RequestMembers& request = Requests().members[i];
    return Written(SerializeClaimRequest(
        {.lane_id = request.lane_id,
         .worker_instance_id = request.worker_instance_id,
         .capabilities = StringList({request.capabilities.data(), request.capability_count}),
         .grant_ttl_ms = request.grant_ttl_ms},
        out_));
  }
};

template <>
struct CorePeer<ParseLargeGrant> : CorePeer<ParseGrantMembers> {};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_CORE_PEER_H_
