// SPDX-License-Identifier: Apache-2.0
//
// Compares one parser of a DTO with the naive decoder.

#ifndef FFGRANT_FUZZ_HARNESS_JSON_CHECK_H_
#define FFGRANT_FUZZ_HARNESS_JSON_CHECK_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "harness/allocation_trap.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "oracles/naive_dtos.h"

namespace ffgrant::fuzz {

// Returns a scratch for documents of `size` bytes. If `size` is small, the scratch has room for
// exactly `size` bytes, so that writes past its end are noticed.
inline JsonScratch& ScratchFor(std::size_t size) {
  static thread_local std::array<std::unique_ptr<JsonScratch>, 1024> exact;
  static thread_local std::unique_ptr<JsonScratch> large;
  std::unique_ptr<JsonScratch>& scratch = size < exact.size() ? exact[size] : large;
  if (scratch == nullptr || scratch->max_document_size() < size) {
    scratch = std::make_unique<JsonScratch>(size < exact.size() ? size : 2 * size);
    scratch->Reserve();
  }
  return *scratch;
}

inline std::string Shown(const JsonResult& result) {
  return std::string(ErrorName(result.error)) + " at " + std::to_string(result.offset) +
         ", member '" + std::string(result.member) + "'";
}

// `parse(json, scratch, out)` must give the result that `expected` has, and leave `out` alone if it
// fails. Returns the values of an accepted document; they live until `scratch` is used again.
template <class View, class Parse>
View CheckParse(std::string_view what, std::string_view json, const NaiveDocument& expected,
                const View& untouched, JsonScratch& scratch, Parse parse) {
  View view = untouched;
  const JsonResult result =
      WithoutAllocation(json, [&]() noexcept { return parse(json, scratch, view); });
  if (result != expected.result) {
    Fail(std::string(what) + ": result", json, Shown(expected.result), Shown(result));
  }
  if (result.error_class() != ErrorClass(result.error)) Fail("error class", json);
  if (result) {
    if (result.offset != 0 || !result.member.empty()) Fail("a place beside no error", json);
    if (!Holds(expected, view)) Fail(std::string(what) + ": values", json);
  } else if (!(view == untouched)) {
    Fail(std::string(what) + ": touched on failure", json);
  }
  Observe(static_cast<std::uint64_t>(result.error) << 32 | result.offset);
  Observe(result.member);
  return view;
}

// Parses with a scratch that is one byte too small.
template <class View, class Parse>
void CheckTooLarge(std::string_view json, const View& untouched, Parse parse) {
  if (json.empty()) return;
  View view = untouched;
  const std::size_t limit = json.size() - 1;
  // ScratchFor() may return a scratch that is larger than a large document.
  JsonScratch& scratch = ScratchFor(limit);
  if (scratch.max_document_size() != limit) return;
  const JsonResult result =
      WithoutAllocation(json, [&]() noexcept { return parse(json, scratch, view); });
  const JsonResult expected = {JsonError::kDocumentTooLarge, limit, ""};
  if (result != expected || !(view == untouched)) {
    Fail("a document larger than its scratch", json, Shown(expected), Shown(result));
  }
}

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_JSON_CHECK_H_
