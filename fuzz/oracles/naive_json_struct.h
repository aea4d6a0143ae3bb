// SPDX-License-Identifier: Apache-2.0
//
// Test only: reads the structs and enums that the DTOs are made of, each told
// as a table of its members (contract 4; observed 0.3, 0.4 and 2).
//
// What an error's offset means, beyond naive_json_reader.h:
//   kMissingField, kTooFewElements  of the closing bracket
//   kTooManyElements                of the comma
//   kSurplusElement                 of the comma
//   kDuplicateField                 of the second name's quote
//   of a value, all others          where the value begins
// A failure names a member from its name on, or from the comma in front of its
// element on, to the end of its value.

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
  kUnitEnum,  // one of `names`
  kStruct,    // of `fields`
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
  bool present = false;  // neither absent nor null
  bool flag = false;
  std::uint64_t number = 0;
  std::int64_t signed_number = 0;
  std::size_t name_index = 0;  // which of the field's names
  Uuid uuid;
  std::string text;  // and the bytes of a byte list
  std::vector<std::string> texts;
  std::vector<NaiveValue> members;
};

// One value each field, in declaration order.
bool NaiveReadStruct(std::span<const NaiveField> fields, NaiveJsonReader& reader,
                     std::vector<NaiveValue>* values);

// {"<Variant>":{...}}: `variants` has one field a variant, of kind kStruct.
bool NaiveReadTaggedOutside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                            std::size_t* variant, std::vector<NaiveValue>* values);

// {"status":"<variant>",...}, the rest buffered.
bool NaiveReadTaggedInside(std::span<const NaiveField> variants, NaiveJsonReader& reader,
                           std::size_t* variant, std::vector<NaiveValue>* values);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_JSON_STRUCT_H_
