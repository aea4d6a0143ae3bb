// SPDX-License-Identifier: Apache-2.0
//
// ffgrant_reference.h in C++: FlowFabric's own code, with ffgrant's types where they fit. That file
// says what is whose, what it costs and what is not UTF-8.
//
// Every function returns the call's Status beside its answer. kPanicked is a bug of the reference
// or a call outside of its contract (a partition count of 0), never to be ignored.
//
//   reference::Reference reference;
//   const auto key = reference.ParsePartitionKey("{fp:7 }");
//   // key.status == Status::kRejected, key.error == 4, key.payload == "7 "
//   reference.ErrorText();  // "partition index '7 ' is not a valid u16"
//
// Views live until the next call on the same Reference. Threads: one at a time for a Reference.

#ifndef FFGRANT_TESTING_REFERENCE_REFERENCE_H_
#define FFGRANT_TESTING_REFERENCE_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"
#include "testing/reference/ffgrant_reference.h"

namespace ffgrant::reference {

enum class Status : std::uint8_t {
  kOk = FFREF_OK,
  kRejected = FFREF_REJECTED,
  kNotUtf8 = FFREF_NOT_UTF8,
  kPanicked = FFREF_PANICKED,
  kInvalidArgument = FFREF_INVALID_ARGUMENT,
};

inline std::string_view ToText(ffref_view view) { return {view.data, view.size}; }
inline ffref_view ToView(std::string_view text) { return {text.data(), text.size()}; }
inline ffref_uuid ToRaw(const Uuid& uuid) {
  ffref_uuid raw;
  for (std::size_t i = 0; i < sizeof raw.bytes; ++i) raw.bytes[i] = uuid.bytes[i];
  return raw;
}
inline Uuid ToUuid(const ffref_uuid& raw) {
  Uuid uuid;
  for (std::size_t i = 0; i < sizeof raw.bytes; ++i) uuid.bytes[i] = raw.bytes[i];
  return uuid;
}
Partition ToPartition(const ffref_partition& raw);
ffref_partition ToRaw(Partition partition);

// What a writer returns. The text is empty unless the status is kOk.
struct Text {
  Status status = Status::kOk;
  std::string_view text;
};

// kOk: the partition. kRejected: error and payload, empty for errors that carry none.
struct ParsedPartitionKey {
  Status status = Status::kOk;
  Partition partition;
  std::uint32_t error = 0;  // ffref_partition_key_error
  std::string_view payload;
};

// kOk: text as spelt, index and UUID. kRejected: error and payload.
struct ParsedExecutionId {
  Status status = Status::kOk;
  std::string_view text;
  std::uint16_t index = 0;
  Uuid uuid;
  std::uint32_t error = 0;  // ffref_execution_id_error
  std::string_view payload;
};

struct ParsedUuid {
  Status status = Status::kOk;
  Uuid uuid;
};

// kRejected: error, and the number that it carries.
struct CheckedLane {
  Status status = Status::kOk;
  std::uint32_t error = 0;  // ffref_lane_error
  std::size_t number = 0;
};

struct Number {
  Status status = Status::kOk;
  std::uint16_t value = 0;
};

// kOk: variant and values. kRejected: class, error, member, place.
struct ParsedDocument {
  Status status = Status::kOk;
  ffref_document document = {};
  std::span<const ffref_value> values() const { return {document.values, document.value_count}; }
};

// kOk: a grant. kRejected: the document was (its error_class is not 0), or the id in it.
struct ParsedGrant {
  Status status = Status::kOk;
  ffref_grant grant = {};
};

class Reference {
 public:
  Reference() : scratch_(ffref_scratch_new()) {}

  // The Display text of the last call's error if that was kRejected; empty otherwise.
  std::string_view ErrorText();

  // Contract 1.3. Any UTF-8 text.
  ParsedPartitionKey ParsePartitionKey(std::string_view text);
  // Contract 1.2, as `{fp:7}`.
  Text FormatPartition(Partition partition);

  // Contract 1.6. Any UTF-8 text.
  ParsedExecutionId ParseExecutionId(std::string_view text);
  // Deterministic minting, contract 1.6. num_flow_partitions 0: kPanicked. The lane is not checked.
  Text MintForFlow(const Uuid& flow, std::uint16_t num_flow_partitions, const Uuid& uuid);
  Text MintSolo(std::string_view lane, std::uint16_t num_flow_partitions, const Uuid& uuid);
  Text FormatUuid(const Uuid& uuid);
  // Contract 1.7.
  CheckedLane CheckLane(std::string_view text);

  // Contract 3. kRejected: the subject's execution id does not parse.
  Text KeyName(ffref_key key, const ffref_key_subject& subject);

  // Contract 4, 5: any bytes, as one of the bodies.
  ParsedDocument ParseJson(ffref_dto dto, ffref_reader reader, std::string_view json);
  // `values`: those of the dto's variant, in order. kInvalidArgument: too few, too many, beyond a
  // member's range. kNotUtf8: a text is not. kRejected: an execution id that does not parse.
  Text WriteJson(ffref_dto dto, std::uint32_t variant, std::span<const ffref_value> values);
  // Contract 5.5.
  ParsedGrant ParseClaimGrant(std::string_view json);

 private:
  struct Free {
    void operator()(ffref_scratch* scratch) const { ffref_scratch_free(scratch); }
  };
  std::unique_ptr<ffref_scratch, Free> scratch_;
};

// These calls need no scratch and may come from any thread.
// Contract 1.5: kOk or kRejected, since the reference drops why; kNotUtf8.
ParsedUuid ParseUuid(std::string_view text);
// Contract 2. `count` 0: kPanicked; family kExecution: kInvalidArgument.
Number UuidPartition(PartitionFamily family, const Uuid& id, std::uint16_t count);
Number LanePartition(std::string_view lane, std::uint16_t num_flow_partitions);
// Both take any bytes.
std::uint16_t Crc16(std::string_view bytes);
std::uint16_t HashSlot(std::string_view key);

// Values to write.
inline ffref_value NumberValue(std::uint64_t number) { return {1, number, {}, nullptr, 0}; }
inline ffref_value TextValue(std::string_view text) { return {1, 0, ToView(text), nullptr, 0}; }
inline ffref_value AbsentValue() { return {}; }
// `uuid` must outlive it.
inline ffref_value UuidValue(const Uuid& uuid) {
  return TextValue({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
}

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_REFERENCE_H_
