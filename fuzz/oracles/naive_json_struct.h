// SPDX-License-Identifier: Apache-2.0
//
// Test only: reads the structs and enums that the DTOs are made of. Each struct and each enum is
// described by a table of its members (contract 4; observed 0.3, 0.4 and 2).
//
// Beyond the table in naive_json_reader.h, an error's offset is:
//   kMissingField, kTooFewElements  the closing bracket
//   kTooManyElements                the comma
//   kSurplusElement                 the comma
//   kDuplicateField                 the quote of the second name
//   all other errors of a value     where the value begins
// A failure names a member if the failure lies after the member's name or, for an element, after
// the comma or bracket before it, and not after the member's value. A `]` after a comma belongs to
// no element. kMissingField, kTooFewElements and kDuplicateField name their member too.

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_JSON_STRUCT_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_JSON_STRUCT_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/uuid.h"
#include "oracles/naive_json_reader.h"

namespace ffgrant::fuzz {

enum class NaiveKind {
  kText,
  kOptionalText,
  kOptionalBool,
  kUnsigned,  // 0..max
  kSigned,    // 64 bits
  kTextList,
  kByteList,
  kUuid,
  kExecutionId,
  kUnitEnum,  // one of `names`, as a text or as {"name":null}
  kStruct,    // a struct with the members `fields`
};

struct NaiveField {
  std::string_view name;
  NaiveKind kind = NaiveKind::kText;
  bool has_default = false;
  std::uint64_t max = 0;
  std::span<const std::string_view> names = {};
  std::span<const NaiveField> fields = {};
};

struct NaiveValue {
  bool present = false;  // the member is neither absent nor null
  bool flag = false;
  std::uint64_t number = 0;
  std::int64_t signed_number = 0;
  std::size_t name_index = 0;  // the index in the field's names
  Uuid uuid;
  std::string text;  // a text, or the bytes of a byte list
  std::vector<std::string> texts;
  std::vector<NaiveValue> members;
};

// Stores one value for each field, in declaration order.
bool NaiveReadStruct(std::span<const NaiveField> fields, NaiveJsonReader& reader,
                     std::vector<NaiveValue>* values);

// Reads {"<Variant>":{...}}. `variants` has one field of kind kStruct for each variant.
bool NaiveReadTaggedOutside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                            std::size_t* variant, std::vector<NaiveValue>* values);

// Reads {"status":"<variant>",...} or ["<variant>",...], and buffers everything but the variant's
// name.
bool NaiveReadTaggedInside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                           std::size_t* variant, std::vector<NaiveValue>* values);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_STRUCT_H_
