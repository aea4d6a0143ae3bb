// SPDX-License-Identifier: Apache-2.0
//
// Offers ffgrant_reference.h in C++: FlowFabric's own code, with ffgrant's types where they fit.
// ffgrant_reference.h says which code comes from where, what calls cost, and what happens with
// texts that are not UTF-8.
//
// Every call that can fail returns its Status beside its answer. kPanicked means that the reference
// has a bug, or that an argument was not allowed (a partition count of 0). This status must never
// be ignored.
//
//   reference::Reference reference;
//   const auto key = reference.ParsePartitionKey("{fp:7 }");
//   // key.status == Status::kRejected, key.error == 4, key.payload == "7 "
//   reference.ErrorText();  // "partition index '7 ' is not a valid u16"
//
// Views live until the next call on the same Reference. Threads: a Reference serves one thread at a
// time.

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

// The answer of a writer. The text is empty unless the status is kOk.
struct Text {
  Status status = Status::kOk;
  std::string_view text;
};

// For kOk the partition is set. For kRejected, error and payload are set; the payload is empty for
// errors without one.
struct ParsedPartitionKey {
  Status status = Status::kOk;
  Partition partition;
  std::uint32_t error = 0;  // ffref_partition_key_error
  std::string_view payload;
};

// For kOk, the text as it was spelled, the index and the UUID are set; for kRejected, the error and
// the payload are set.
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

// For kRejected the error is set, and the number that belongs to it.
struct CheckedLane {
  Status status = Status::kOk;
  std::uint32_t error = 0;  // ffref_lane_error
  std::size_t number = 0;
};

struct Number {
  Status status = Status::kOk;
  std::uint16_t value = 0;
};

// For kOk, the variant and the values are set; for kRejected, the class, the error, the member and
// the place are set.
struct ParsedDocument {
  Status status = Status::kOk;
  ffref_document document = {};
  std::span<const ffref_value> values() const { return {document.values, document.value_count}; }
};

// For kOk the grant is set. For kRejected, the document's error_class tells what was rejected: the
// document if error_class is not 0, and otherwise the id in the document.
struct ParsedGrant {
  Status status = Status::kOk;
  ffref_grant grant = {};
};

class Reference {
 public:
  Reference() : scratch_(ffref_scratch_new()) {}

  // Returns the Display text of the last call's error if its status was kRejected; otherwise an
  // empty text.
  std::string_view ErrorText();

  // Contract 1.3. `text` may be any UTF-8 text.
  ParsedPartitionKey ParsePartitionKey(std::string_view text);
  // Contract 1.2. Writes for example `{fp:7}`.
  Text FormatPartition(Partition partition);

  // Contract 1.6. `text` may be any UTF-8 text.
  ParsedExecutionId ParseExecutionId(std::string_view text);
  // Deterministic minting of contract 1.6. If num_flow_partitions is 0, the status is kPanicked.
  // The lane is not checked.
  Text MintForFlow(const Uuid& flow, std::uint16_t num_flow_partitions, const Uuid& uuid);
  Text MintSolo(std::string_view lane, std::uint16_t num_flow_partitions, const Uuid& uuid);
  Text FormatUuid(const Uuid& uuid);
  // Contract 1.7.
  CheckedLane CheckLane(std::string_view text);

  // Contract 3. The status is kRejected if the subject's execution id does not parse.
  Text KeyName(ffref_key key, const ffref_key_subject& subject);

  // Contract 4 and 5. Parses any bytes as one of the bodies.
  ParsedDocument ParseJson(ffref_dto dto, ffref_reader reader, std::string_view json);
  // `values` are those of the dto's variant, in order. The status is kInvalidArgument if there is
  // no such variant, if there are too few or too many values, or if one exceeds its member's range.
  // It is kNotUtf8 if a text is not UTF-8, and kRejected if the execution id of a claimed result
  // does not parse.
  Text WriteJson(ffref_dto dto, std::uint32_t variant, std::span<const ffref_value> values);
  // Contract 5.5.
  ParsedGrant ParseClaimGrant(std::string_view json);

 private:
  struct Free {
    void operator()(ffref_scratch* scratch) const { ffref_scratch_free(scratch); }
  };
  std::unique_ptr<ffref_scratch, Free> scratch_;
};

// The functions from here on need no Reference and may be called from any thread.

// Contract 1.5. The status is kOk, kRejected or kNotUtf8; the reference does not tell why it
// rejects.
ParsedUuid ParseUuid(std::string_view text);
// Contract 2. The status is kPanicked for a `count` of 0, and kInvalidArgument for the family
// kExecution.
Number UuidPartition(PartitionFamily family, const Uuid& id, std::uint16_t count);
Number LanePartition(std::string_view lane, std::uint16_t num_flow_partitions);
// Crc16() and HashSlot() accept any bytes.
std::uint16_t Crc16(std::string_view bytes);
std::uint16_t HashSlot(std::string_view key);

// Values to write.
inline ffref_value NumberValue(std::uint64_t number) { return {1, number, {}, nullptr, 0}; }
inline ffref_value TextValue(std::string_view text) { return {1, 0, ToView(text), nullptr, 0}; }
inline ffref_value AbsentValue() { return {}; }
// `uuid` must outlive the value.
inline ffref_value UuidValue(const Uuid& uuid) {
  return TextValue({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
}

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_REFERENCE_H_
