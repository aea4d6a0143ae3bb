// SPDX-License-Identifier: Apache-2.0
//
// Has the checks of the conformance vectors, one for each kind. corpus/vectors/README.md describes
// the format.

#ifndef FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_
#define FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_

#include <simdjson.h>

#include <string>
#include <string_view>

#include "testing/vectors/vector_case.h"

namespace ffgrant::conformance {

// The kind of a line that is not a vector.
inline constexpr std::string_view kNoKind = "(not a vector)";

struct Outcome {
  std::string_view kind = kNoKind;
  Case result;
};

// Checks one line of a vector file.
Outcome CheckVector(const std::string& line, simdjson::dom::parser& parser);

}  // namespace ffgrant::conformance

#endif  // FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_
