// SPDX-License-Identifier: Apache-2.0

#include "testing/reference/reference.h"

namespace ffgrant::reference {
namespace {

Status ToStatus(ffref_status status) { return static_cast<Status>(status); }

}  // namespace

Partition ToPartition(const ffref_partition& raw) {
  constexpr PartitionFamily kFamilies[] = {PartitionFamily::kFlow, PartitionFamily::kExecution,
                                           PartitionFamily::kBudget, PartitionFamily::kQuota};
  return {kFamilies[raw.family], raw.index};
}

ffref_partition ToRaw(Partition partition) {
  switch (partition.family) {
    case PartitionFamily::kFlow:
      return {FFREF_FLOW, partition.index};
    case PartitionFamily::kExecution:
      return {FFREF_EXECUTION, partition.index};
    case PartitionFamily::kBudget:
      return {FFREF_BUDGET, partition.index};
    case PartitionFamily::kQuota:
      return {FFREF_QUOTA, partition.index};
  }
  return {FFREF_FLOW, partition.index};
}

std::string_view Reference::ErrorText() {
  ffref_view text = {};
  return ffref_error_text(scratch_.get(), &text) == FFREF_OK ? ToText(text) : std::string_view();
}

ParsedPartitionKey Reference::ParsePartitionKey(std::string_view text) {
  ffref_partition partition = {};
  ffref_rejection rejection = {};
  const ffref_status status =
      ffref_partition_key_parse(scratch_.get(), ToView(text), &partition, &rejection);
  return {ToStatus(status), ToPartition(partition), rejection.error, ToText(rejection.payload)};
}

Text Reference::FormatPartition(Partition partition) {
  ffref_view tag = {};
  const ffref_status status = ffref_partition_format(scratch_.get(), ToRaw(partition), &tag);
  return {ToStatus(status), ToText(tag)};
}

ParsedExecutionId Reference::ParseExecutionId(std::string_view text) {
  ffref_execution_id id = {};
  ffref_rejection rejection = {};
  const ffref_status status =
      ffref_execution_id_parse(scratch_.get(), ToView(text), &id, &rejection);
  return {ToStatus(status), ToText(id.text), id.index,
          ToUuid(id.uuid),  rejection.error, ToText(rejection.payload)};
}

Text Reference::MintForFlow(const Uuid& flow, std::uint16_t num_flow_partitions, const Uuid& uuid) {
  const ffref_uuid raw_flow = ToRaw(flow);
  const ffref_uuid raw_uuid = ToRaw(uuid);
  ffref_view text = {};
  const ffref_status status =
      ffref_execution_id_for_flow(scratch_.get(), &raw_flow, num_flow_partitions, &raw_uuid, &text);
  return {ToStatus(status), ToText(text)};
}

Text Reference::MintSolo(std::string_view lane, std::uint16_t num_flow_partitions,
                         const Uuid& uuid) {
  const ffref_uuid raw_uuid = ToRaw(uuid);
  ffref_view text = {};
  const ffref_status status =
      ffref_execution_id_solo(scratch_.get(), ToView(lane), num_flow_partitions, &raw_uuid, &text);
  return {ToStatus(status), ToText(text)};
}

Text Reference::FormatUuid(const Uuid& uuid) {
  const ffref_uuid raw = ToRaw(uuid);
  ffref_view text = {};
  const ffref_status status = ffref_uuid_format(scratch_.get(), &raw, &text);
  return {ToStatus(status), ToText(text)};
}

CheckedLane Reference::CheckLane(std::string_view text) {
  CheckedLane lane;
  lane.status = ToStatus(ffref_lane_check(scratch_.get(), ToView(text), &lane.error, &lane.number));
  return lane;
}

Text Reference::KeyName(ffref_key key, const ffref_key_subject& subject) {
  ffref_view name = {};
  const ffref_status status = ffref_key_name(scratch_.get(), key, &subject, &name);
  return {ToStatus(status), ToText(name)};
}

ParsedDocument Reference::ParseJson(ffref_dto dto, ffref_reader reader, std::string_view json) {
  ParsedDocument parsed;
  parsed.status =
      ToStatus(ffref_json_parse(scratch_.get(), dto, reader, ToView(json), &parsed.document));
  return parsed;
}

Text Reference::WriteJson(ffref_dto dto, std::uint32_t variant,
                          std::span<const ffref_value> values) {
  ffref_view json = {};
  const ffref_status status =
      ffref_json_write(scratch_.get(), dto, variant, values.data(), values.size(), &json);
  return {ToStatus(status), ToText(json)};
}

ParsedGrant Reference::ParseClaimGrant(std::string_view json) {
  ParsedGrant parsed;
  parsed.status = ToStatus(ffref_claim_grant_parse(scratch_.get(), ToView(json), &parsed.grant));
  return parsed;
}

ParsedUuid ParseUuid(std::string_view text) {
  ffref_uuid raw = {};
  const ffref_status status = ffref_uuid_parse(ToView(text), &raw);
  return {ToStatus(status), ToUuid(raw)};
}

Number UuidPartition(PartitionFamily family, const Uuid& id, std::uint16_t count) {
  const ffref_uuid raw = ToRaw(id);
  Number index;
  index.status =
      ToStatus(ffref_uuid_partition(ToRaw(Partition{family, 0}).family, &raw, count, &index.value));
  return index;
}

Number LanePartition(std::string_view lane, std::uint16_t num_flow_partitions) {
  Number index;
  index.status = ToStatus(ffref_lane_partition(ToView(lane), num_flow_partitions, &index.value));
  return index;
}

std::uint16_t Crc16(std::string_view bytes) {
  std::uint16_t crc = 0;
  ffref_crc16(ToView(bytes), &crc);
  return crc;
}

std::uint16_t HashSlot(std::string_view key) {
  std::uint16_t slot = 0;
  ffref_hash_slot(ToView(key), &slot);
  return slot;
}

}  // namespace ffgrant::reference
