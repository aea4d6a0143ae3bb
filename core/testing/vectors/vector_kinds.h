// SPDX-License-Identifier: Apache-2.0
//
// Checks conformance vectors, each by the rules of its kind. corpus/vectors/README.md describes the
// format.

#ifndef FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_
#define FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_

#include <simdjson.h>

#include <string>
#include <string_view>

#include "testing/vectors/vector_case.h"

namespace ffgrant::conformance {

// The kind under which a line that is not a vector, or a file that has no vectors, is counted.
inline constexpr std::string_view kNoKind = "(not a vector)";

struct Outcome {
  std::string_view kind = kNoKind;
  Case result;
};

// Checks one line of a vector file.
Outcome CheckVector(const std::string& line, simdjson::dom::parser& parser);

}  // namespace ffgrant::conformance

#endif  // FFGRANT_TESTING_VECTORS_VECTOR_KINDS_H_
