// SPDX-License-Identifier: Apache-2.0
//
// ffgrant held against the reference: what ffgrant said is handed over, the reference is asked the
// same, and any difference is told: verdict, error, payload, text of the error, values, bytes.
//
// Every function returns an Answer:
//   kSame       the reference was asked and says the same
//   kNotAsked   it takes no such input (bytes that are not UTF-8)
//   kKnown      it says something else, which is meant to be: known() names the row of
//               fuzz/known_differences.md that says why
//   kDifferent  difference() says what, what ffgrant says and what the reference does
// A panic of the reference is a difference. Verdict, class, values, payloads, texts and bytes have
// no known ones: they are in names of JSON errors and their members. Offsets of errors and the
// errors of strict mode are ffgrant's own, so they are not compared.
//
// Cost: that of the reference, and no allocation of its own in the long run, but for differences.
// Threads: one at a time for a Comparer.

#ifndef FFGRANT_TESTING_REFERENCE_DIFFERENCES_H_
#define FFGRANT_TESTING_REFERENCE_DIFFERENCES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/uuid.h"
#include "ffgrant/write_result.h"
#include "testing/reference/dto_values.h"
#include "testing/reference/reference.h"

namespace ffgrant::reference {

enum class Answer : std::uint8_t { kSame, kNotAsked, kKnown, kDifferent };

struct Difference {
  std::string_view what;  // a literal
  std::string ours;
  std::string reference;
};

class Comparer {
 public:
  // After kDifferent.
  const Difference& difference() const { return difference_; }
  // After kKnown: a literal.
  std::string_view known() const { return known_; }
  Reference& reference() { return reference_; }

  // `lenient` and `strict`: what ParsePartitionKey says in these modes. Strict must accept exactly
  // the texts that the reference writes; its own errors have no counterpart.
  Answer PartitionKey(std::string_view text, const PartitionKeyResult& lenient,
                      const PartitionKeyResult& strict);
  // The same of ParseExecutionId, and of the id that is minted of the values.
  Answer ExecutionId(std::string_view text, const ExecutionIdResult& lenient,
                     const ExecutionIdResult& strict);
  // `lenient`: of ParseUuid.
  Answer Uuid(std::string_view text, const UuidResult& lenient);
  Answer Lane(std::string_view text, const LaneIdResult& ours);
  // Any text that is to be the same; `what` is a literal.
  Answer SameText(std::string_view what, std::string_view ours, const Text& reference);
  Answer SameNumber(std::string_view what, std::uint64_t ours, std::uint64_t reference);

  // `result`, and the values of what was parsed, if it was, as Fill() lists them.
  Answer Document(ffref_dto dto, ffref_reader reader, std::string_view json,
                  const JsonResult& result, const DtoValues& ours);
  // `ours`: what was written of these values; kInvalidUtf8 where the reference can't be asked.
  Answer Written(const DtoValues& values, WriteError error, std::string_view ours);
  // What ParseClaimGrant says, and the grant's partition() in lenient mode.
  Answer Grant(std::string_view json, const GrantJsonResult& result, const ClaimGrantView& grant);

 private:
  Answer Differ(std::string_view what, std::string_view ours, std::string_view reference);
  Answer Panicked(std::string_view what) { return Differ(what, "", "panics"); }
  Answer DocumentError(ffref_dto dto, const JsonResult& result, const ffref_document& document);
  template <class Result, class Format>
  Answer ErrorText(std::string_view what, const Result& result, Format format);

  Reference reference_;
  Difference difference_;
  std::string_view known_;
  std::string buffer_;
};

// Whether the reference calls by `error` (ffref_json_error) what ffgrant calls `ours`: it has fewer
// names for some things, and more for others.
bool SameJsonError(JsonError ours, std::uint32_t error);

// The known difference between the two, where they are no names of the same; empty if unknown.
std::string_view KnownJsonDifference(JsonError ours, std::uint32_t error);

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_DIFFERENCES_H_
