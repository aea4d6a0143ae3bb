// SPDX-License-Identifier: Apache-2.0
//
// Puts FlowFabric's own code (ff-core 0.15.0 from crates.io, serde_json 1.0.149) behind a C
// interface. Tests, fuzz targets and benchmarks compare ffgrant with this code. reference.h offers
// the same in C++.
//
// The code comes from these places. Partition keys, execution ids, lanes, UUIDs, partitions, key
// names, lease results, fences and partition counts are ff-core's types and functions. The bodies
// of the claim path (contract 5.1 - 5.4, 5.6) live in crates that are servers and clients. Here
// these bodies are structs with the same members. The structs are decoded and written by the serde
// and serde_json that those crates use. ff-core has no cluster slots. Here the crate crc16 computes
// a slot over the hash tag, as Valkey documents it.
//
// Rules of the border:
//   - Texts go in as pointer and size. The reference accepts only UTF-8, so the answer for any
//     other text is FFREF_NOT_UTF8. JSON documents are bytes.
//   - A view that comes out lies in the scratch of the call, or is a literal. It is valid until the
//     next call with this scratch. A scratch serves one thread at a time. Calls without a scratch
//     may run on any thread.
//   - No panic crosses the border. A call in which the reference panics returns FFREF_PANICKED,
//     prints on stderr where it panicked, and leaves the scratch usable. Out parameters are then
//     unspecified.
//   - The reference allocates by itself. Callers must free only scratches and prepared inputs. A
//     scratch keeps its memory from call to call.
//   - Pointers must be valid and not null, except that the pointer of a text of size 0 may be null.
//     Every other use is defined.
//
// A call costs the time of the reference and some nanoseconds more.

#ifndef FFGRANT_TESTING_REFERENCE_FFGRANT_REFERENCE_H_
#define FFGRANT_TESTING_REFERENCE_FFGRANT_REFERENCE_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ffref_status {
  FFREF_OK = 0,
  FFREF_REJECTED = 1,          // the reference refuses; an out parameter, if there is one, says why
  FFREF_NOT_UTF8 = 2,          // the reference can't be asked
  FFREF_PANICKED = 3,          // it panicked, for example for a partition count of 0
  FFREF_INVALID_ARGUMENT = 4,  // an enumerator does not exist, or values or a range do not fit
} ffref_status;

// Bytes that others own: the caller owns the bytes that go in, and the rules above say where the
// bytes lie that come out. data may be null if size is 0.
typedef struct ffref_view {
  const char* data;
  size_t size;
} ffref_view;

typedef struct ffref_scratch ffref_scratch;
ffref_scratch* ffref_scratch_new(void);
// `scratch` may be null.
void ffref_scratch_free(ffref_scratch* scratch);

// Returns "ff-core 0.15.0, serde_json 1.0.149, ...", a literal.
ffref_view ffref_versions(void);

// Panics on purpose and returns FFREF_PANICKED, to test the border.
ffref_status ffref_panic_on_purpose(void);

// Gives the Display text of the error that the last call with this scratch returned as
// FFREF_REJECTED. Returns FFREF_INVALID_ARGUMENT if the last call returned something else.
ffref_status ffref_error_text(ffref_scratch* scratch, ffref_view* text);

// --- partition keys (contract 1.1 - 1.3) ---

typedef enum ffref_family {
  FFREF_FLOW = 0,
  FFREF_EXECUTION = 1,
  FFREF_BUDGET = 2,
  FFREF_QUOTA = 3,
} ffref_family;

typedef struct ffref_partition {
  uint32_t family;  // ffref_family
  uint16_t index;
} ffref_partition;

typedef enum ffref_partition_key_error {
  FFREF_KEY_MISSING_BRACES = 1,
  FFREF_KEY_MALFORMED_BODY = 2,
  FFREF_KEY_UNKNOWN_FAMILY_PREFIX = 3,  // payload: the prefix
  FFREF_KEY_INVALID_INDEX = 4,          // payload: the index text
} ffref_partition_key_error;

// The reason why a text was rejected. `payload` is empty for errors without a payload.
typedef struct ffref_rejection {
  uint32_t error;
  ffref_view payload;
} ffref_rejection;

// Calls PartitionKey::parse.
ffref_status ffref_partition_key_parse(ffref_scratch* scratch, ffref_view text,
                                       ffref_partition* partition, ffref_rejection* rejection);
// Calls Partition::hash_tag, which writes for example `{fp:7}`.
ffref_status ffref_partition_format(ffref_scratch* scratch, ffref_partition partition,
                                    ffref_view* tag);

// --- UUIDs, execution ids, lanes (contract 1.5 - 1.7) ---

typedef struct ffref_uuid {
  uint8_t bytes[16];  // in the order of the text
} ffref_uuid;

// Calls Uuid::parse_str. The reference drops the error of this function, so there is no error here.
ffref_status ffref_uuid_parse(ffref_view text, ffref_uuid* uuid);
// Writes the text that Uuid's Display writes.
ffref_status ffref_uuid_format(ffref_scratch* scratch, const ffref_uuid* uuid, ffref_view* text);

typedef enum ffref_execution_id_error {
  FFREF_ID_MISSING_TAG = 1,              // payload: the whole text
  FFREF_ID_INVALID_PARTITION_INDEX = 2,  // payload: the index text
  FFREF_ID_INVALID_UUID = 3,             // payload: the UUID text
} ffref_execution_id_error;

typedef struct ffref_execution_id {
  ffref_view text;  // the text as it was spelled in the input
  uint16_t index;   // ExecutionId::partition
  ffref_uuid uuid;
} ffref_execution_id;

// Calls ExecutionId::parse.
ffref_status ffref_execution_id_parse(ffref_scratch* scratch, ffref_view text,
                                      ffref_execution_id* id, ffref_rejection* rejection);
// The next two functions call ExecutionId::deterministic_for_flow and deterministic_solo. The lane
// is not checked. A count of 0 panics.
ffref_status ffref_execution_id_for_flow(ffref_scratch* scratch, const ffref_uuid* flow,
                                         uint16_t num_flow_partitions, const ffref_uuid* uuid,
                                         ffref_view* text);
ffref_status ffref_execution_id_solo(ffref_scratch* scratch, ffref_view lane,
                                     uint16_t num_flow_partitions, const ffref_uuid* uuid,
                                     ffref_view* text);

typedef enum ffref_lane_error {
  FFREF_LANE_EMPTY = 1,
  FFREF_LANE_TOO_LONG = 2,       // number: its size
  FFREF_LANE_NON_PRINTABLE = 3,  // number: offset of the first such byte
} ffref_lane_error;

// Calls LaneId::try_new.
ffref_status ffref_lane_check(ffref_scratch* scratch, ffref_view text, uint32_t* error,
                              size_t* number);

// --- hashing (contract 2) ---

// Calls flow_partition, budget_partition or quota_partition, depending on `family`; the family
// execution is invalid. A count of 0 panics.
ffref_status ffref_uuid_partition(uint32_t family, const ffref_uuid* id, uint16_t count,
                                  uint16_t* index);
// Calls solo_partition.
ffref_status ffref_lane_partition(ffref_view lane, uint16_t num_flow_partitions, uint16_t* index);
// Computes CRC16-XMODEM of any bytes with the crate that ff-core uses for hashing.
ffref_status ffref_crc16(ffref_view bytes, uint16_t* crc);
// Computes the cluster slot of any bytes, taken as a key.
ffref_status ffref_hash_slot(ffref_view key, uint16_t* slot);

// --- key names (contract 3) ---

typedef enum ffref_key {
  // These keys are made from an execution id.
  FFREF_KEY_CORE,
  FFREF_KEY_CLAIM_GRANT,
  FFREF_KEY_PAYLOAD,
  FFREF_KEY_RESULT,
  FFREF_KEY_POLICY,
  FFREF_KEY_TAGS,
  FFREF_KEY_LEASE_CURRENT,
  FFREF_KEY_LEASE_HISTORY,
  FFREF_KEY_ATTEMPTS,
  // These keys are made from an execution id and an attempt.
  FFREF_KEY_ATTEMPT,
  FFREF_KEY_ATTEMPT_USAGE,
  FFREF_KEY_ATTEMPT_POLICY,
  FFREF_KEY_STREAM_META,
  // These keys are made from the id's partition and a lane.
  FFREF_KEY_LANE_ELIGIBLE,
  FFREF_KEY_LANE_ACTIVE,
  FFREF_KEY_LANE_DELAYED,
  FFREF_KEY_LANE_TERMINAL,
  FFREF_KEY_LANE_SUSPENDED,
  FFREF_KEY_LANE_BLOCKED_ROUTE,
  FFREF_KEY_LANE_BLOCKED_BUDGET,
  FFREF_KEY_LANE_BLOCKED_QUOTA,
  FFREF_KEY_LANE_BLOCKED_OPERATOR,
  FFREF_KEY_LANE_BLOCKED_DEPENDENCIES,
  // These keys are made from the id's partition; two of them need the values named beside them too.
  FFREF_KEY_LEASE_EXPIRY,
  FFREF_KEY_ATTEMPT_TIMEOUT,
  FFREF_KEY_EXECUTION_DEADLINE,
  FFREF_KEY_ALL_EXECUTIONS,
  FFREF_KEY_NOOP,
  FFREF_KEY_WORKER_LEASES,  // needs worker_instance too
  FFREF_KEY_IDEMPOTENCY,    // needs name_space and idempotency_key too
  // These keys are made only from the values named beside them.
  FFREF_KEY_LANE_CONFIG,   // lane
  FFREF_KEY_WORKER_ALIVE,  // name_space, worker_instance
  FFREF_KEY_WORKER_CAPS,   // name_space, worker_instance
  FFREF_KEY_WORKER_INDEX,  // name_space
  FFREF_KEY_LANE_REGISTRY,
  FFREF_KEY_PARTITION_CONFIG,
} ffref_key;

typedef struct ffref_key_subject {
  ffref_view execution_id;  // must parse, else FFREF_REJECTED, for every role
  ffref_view lane;          // not checked
  ffref_view worker_instance;
  ffref_view name_space;
  ffref_view idempotency_key;
  uint32_t attempt;
} ffref_key_subject;

// Writes the name that ff-core's key builders give.
ffref_status ffref_key_name(ffref_scratch* scratch, uint32_t key, const ffref_key_subject* subject,
                            ffref_view* name);

// --- bodies (contract 4, 5) ---

// The brackets list the members, in the order of `values`.
typedef enum ffref_dto {
  FFREF_CLAIM_REQUEST,   // [lane_id, worker_instance_id, capabilities, grant_ttl_ms]
  FFREF_CLAIM_RESPONSE,  // [execution_id, partition_key, grant_key, expires_at_ms]
  // [worker_id, worker_instance_id, lane_id, capability_hash, grant_ttl_ms, route_snapshot_json,
  // admission_summary, worker_capabilities]
  FFREF_RECLAIM_REQUEST,
  // 0 granted [execution_id, partition_key, grant_key, expires_at_ms, lane_id];
  // 1 not_reclaimable [execution_id, detail]; 2 reclaim_cap_exceeded [execution_id, reclaim_count]
  FFREF_RECLAIM_RESPONSE,
  FFREF_ERROR_BODY,  // [error, kind, retryable]
  // 0 Revoked [lease_id, lease_epoch]; 1 AlreadySatisfied [reason]
  FFREF_REVOKE_LEASE_RESULT,
  FFREF_RENEW_LEASE_RESULT,  // [expires_at]
  // [execution_id, lease_id, lease_epoch, attempt_index, attempt_id, attempt_type,
  // lease_expires_at, handle.backend, handle.kind, handle.opaque]
  FFREF_CLAIMED_RESULT,
  FFREF_LEASE_FENCE,       // [lease_id, lease_epoch, attempt_id]
  FFREF_PARTITION_CONFIG,  // [num_flow_partitions, num_budget_partitions, num_quota_partitions]
} ffref_dto;
#define FFREF_DTO_COUNT 10
#define FFREF_MAX_VALUES 10

// The value of a member. The member's type tells which fields have a meaning.
typedef struct ffref_value {
  uint8_t present;         // 0 for an optional member that is absent or null
  uint64_t number;         // unsigned; signed as two's complement; bool as 0 or 1; for an enum the
                           // place of the name in the reference's declaration
  ffref_view text;         // text; 16 bytes of a UUID; bytes of an opaque handle
  const ffref_view* list;  // a list of texts
  size_t list_size;
} ffref_value;

typedef enum ffref_json_class {
  FFREF_JSON_SYNTAX = 1,  // HTTP 400
  FFREF_JSON_EOF = 2,     // HTTP 400: the document ends too early
  FFREF_JSON_DATA = 3,    // HTTP 422
} ffref_json_class;

// The kind of an error. It is derived from the messages of serde and serde_json, which tell it in
// no other way.
typedef enum ffref_json_error {
  FFREF_JSON_OTHER = 0,
  FFREF_JSON_UNEXPECTED_END,
  FFREF_JSON_EXPECTED_TOKEN,  // a value, a literal, `:`, `,`, a name or an end is missing
  FFREF_JSON_INVALID_NUMBER,
  FFREF_JSON_NUMBER_OUT_OF_RANGE,
  FFREF_JSON_INVALID_ESCAPE,
  FFREF_JSON_LONE_SURROGATE,
  FFREF_JSON_CONTROL_CHARACTER,
  FFREF_JSON_INVALID_UTF8,
  FFREF_JSON_TRAILING_CHARACTERS,
  FFREF_JSON_TRAILING_COMMA,
  FFREF_JSON_TOO_DEEP,
  FFREF_JSON_INVALID_TYPE,
  FFREF_JSON_INVALID_VALUE,
  FFREF_JSON_INVALID_LENGTH,
  FFREF_JSON_MISSING_FIELD,    // member: the field's name
  FFREF_JSON_DUPLICATE_FIELD,  // member: the field's name
  FFREF_JSON_UNKNOWN_VARIANT,
  FFREF_JSON_INVALID_UUID,
  FFREF_JSON_INVALID_EXECUTION_ID,
  FFREF_JSON_NUMBER_OF_ERRORS
} ffref_json_error;

typedef struct ffref_document {
  // These fields are set for a rejected document.
  uint32_t error_class;  // ffref_json_class
  uint32_t error;        // ffref_json_error
  ffref_view member;     // empty if the message names no member
  size_t line;           // counted from 1
  size_t column;
  // These fields are set for an accepted document.
  uint32_t variant;  // 0 if there is only one variant
  const ffref_value* values;
  size_t value_count;
} ffref_document;

typedef enum ffref_reader {
  FFREF_AS_CLIENT = 0,  // serde_json::from_slice, as the client reads responses
  // serde_path_to_error over a Deserializer, then the Deserializer's end(), as the server's
  // extractor does. The document's member is the one that the error names. If the error names none,
  // it is the innermost name of the path, or, if the path has no names, the path's first position.
  FFREF_AS_SERVER = 1,
} ffref_reader;

ffref_status ffref_json_parse(ffref_scratch* scratch, uint32_t dto, uint32_t reader,
                              ffref_view json, ffref_document* document);
// Calls serde_json::to_writer. Returns FFREF_NOT_UTF8 if a text is not UTF-8, FFREF_REJECTED if the
// execution id of a claimed result does not parse, and FFREF_INVALID_ARGUMENT for numbers beyond a
// member's type and for names that do not exist.
ffref_status ffref_json_write(ffref_scratch* scratch, uint32_t dto, uint32_t variant,
                              const ffref_value* values, size_t value_count, ffref_view* json);

// A claim response, converted to a ClaimGrant as the client does it (contract 5.5), and the grant's
// partition().
typedef struct ffref_grant {
  ffref_document document;
  // For an accepted document: 0, or an ffref_execution_id_error. If it is not 0, there is no grant.
  ffref_rejection id_rejection;
  ffref_execution_id id;
  // 0, or an ffref_partition_key_error.
  ffref_rejection key_rejection;
  ffref_partition partition;
} ffref_grant;
// Returns FFREF_OK for a grant, FFREF_REJECTED if the document or its id was rejected.
// ffref_error_text() then gives the error of the document or of the id.
ffref_status ffref_claim_grant_parse(ffref_scratch* scratch, ffref_view json, ffref_grant* grant);

// --- for benchmarks ---

// The operations that a benchmark times. An operation makes one call of the reference for each
// input; the inputs have been prepared.
typedef enum ffref_operation {
  FFREF_RUN_PARTITION_KEY_PARSE,     // texts; PartitionKey::parse
  FFREF_RUN_PARTITION_FORMAT,        // partition keys that parse; Partition::hash_tag
  FFREF_RUN_EXECUTION_ID_PARSE,      // texts; ExecutionId::parse
  FFREF_RUN_UUID_PARSE,              // texts; Uuid::parse_str
  FFREF_RUN_UUID_FORMAT,             // UUIDs that parse; to_string
  FFREF_RUN_MINT_FOR_FLOW,           // UUIDs; ExecutionId::for_flow, 256 partitions
  FFREF_RUN_MINT_FOR_FLOW_GIVEN,     // UUIDs; deterministic_for_flow with the flow's own UUID
  FFREF_RUN_MINT_SOLO,               // lanes; ExecutionId::solo, 256 partitions
  FFREF_RUN_CRC16,                   // bytes
  FFREF_RUN_HASH_SLOT,               // bytes
  FFREF_RUN_CLAIM_RESPONSE_DECODE,   // bytes; serde_json::from_slice
  FFREF_RUN_GRANT_DECODE,            // bytes; the same, then the conversion to a ClaimGrant
  FFREF_RUN_GRANT_DECODE_AS_SERVER,  // bytes; through serde_path_to_error, then the conversion
  FFREF_RUN_GRANT_ENCODE,            // claim responses that parse; serde_json::to_vec
  FFREF_RUN_GRANT_ENCODE_INTO,       // the same; serde_json::to_writer into one buffer
  FFREF_RUN_CLAIM_GRANT_KEY,         // execution ids that parse; ExecKeyContext::new, claim_grant
  FFREF_RUN_NOTHING,                 // texts; reads their sizes: what the border and the loop cost
  FFREF_NUMBER_OF_OPERATIONS
} ffref_operation;

typedef struct ffref_prepared ffref_prepared;

// Returns null if the operation does not exist or an input can't be prepared, because it is not
// UTF-8 or does not parse where it must.
ffref_prepared* ffref_prepared_new(uint32_t operation, const ffref_view* inputs, size_t count);
// `prepared` may be null.
void ffref_prepared_free(ffref_prepared* prepared);

// Runs the operation on the inputs [first, first + count) in one crossing of the border. The few
// nanoseconds of a crossing do not matter if count is large. Each result is read and then dropped;
// `checksum` depends on every result. Returns FFREF_INVALID_ARGUMENT if the inputs do not exist.
ffref_status ffref_prepared_run(ffref_prepared* prepared, size_t first, size_t count,
                                uint64_t* checksum);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FFGRANT_TESTING_REFERENCE_FFGRANT_REFERENCE_H_
