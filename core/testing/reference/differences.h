// SPDX-License-Identifier: Apache-2.0
//
// Compares ffgrant with the reference. The caller passes what ffgrant answered; the comparer asks
// the reference the same question and reports any difference in verdict, error, payload, the
// error's message, values or bytes.
//
// Every function returns an Answer:
//   kSame       the reference was asked and gives the same answer
//   kNotAsked   the reference accepts no such input (bytes that are not UTF-8)
//   kKnown      the reference answers something else, and that is intended: known() names the row
//               of fuzz/known_differences.md that says why
//   kDifferent  difference() tells what differs, with both answers
// A panic of the reference is a difference. All differences that are answered with kKnown are in
// the names of JSON errors and their members; there are none in verdict, class, values, payloads,
// messages or bytes. Offsets of errors, except in lanes, and the errors of strict mode are
// ffgrant's own, so they are not compared.
//
// Cost: a comparison costs little more than its calls of the reference. In the long run, the
// comparer allocates only for differences.
// Threads: a Comparer serves one thread at a time.

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
  // Valid after kDifferent.
  const Difference& difference() const { return difference_; }
  // Valid after kKnown. The text is a literal.
  std::string_view known() const { return known_; }
  Reference& reference() { return reference_; }

  // `lenient` and `strict` are the results of ParsePartitionKey in these modes. Strict mode must
  // accept exactly the texts that the reference writes. Strict mode's own errors have no
  // counterpart in the reference.
  Answer PartitionKey(std::string_view text, const PartitionKeyResult& lenient,
                      const PartitionKeyResult& strict);
  // Does the same for ParseExecutionId, and for the id that is minted from the parsed values.
  Answer ExecutionId(std::string_view text, const ExecutionIdResult& lenient,
                     const ExecutionIdResult& strict);
  // `lenient` is the result of ParseUuid.
  Answer Uuid(std::string_view text, const UuidResult& lenient);
  Answer Lane(std::string_view text, const LaneIdResult& ours);
  // Compares any text that must be the same. `what` is a literal.
  Answer SameText(std::string_view what, std::string_view ours, const Text& reference);
  Answer SameNumber(std::string_view what, std::uint64_t ours, std::uint64_t reference);

  // `result` is the result of the parse. If the parse succeeded, `ours` has the values in the order
  // of Fill().
  Answer Document(ffref_dto dto, ffref_reader reader, std::string_view json,
                  const JsonResult& result, const DtoValues& ours);
  // `ours` is the text that was written for these values. If `error` is kInvalidUtf8, the reference
  // must refuse the values for the same reason, and the answer is kNotAsked.
  Answer Written(const DtoValues& values, WriteError error, std::string_view ours);
  // `result` is the result of ParseClaimGrant. The grant's partition() in lenient mode is compared
  // too.
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

// True if `error` (ffref_json_error) is the reference's name for `ours`. The reference has fewer
// names than ffgrant for some errors, and more for others.
bool SameJsonError(JsonError ours, std::uint32_t error);

// If the two names mean different errors, returns the known difference between them; empty if it is
// not a known one.
std::string_view KnownJsonDifference(JsonError ours, std::uint32_t error);

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_DIFFERENCES_H_
