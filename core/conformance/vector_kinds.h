// SPDX-License-Identifier: Apache-2.0
//
// The checks of the conformance vectors, one a kind (corpus/vectors/README.md
// has the format).

#ifndef FFGRANT_CONFORMANCE_VECTOR_KINDS_H_
#define FFGRANT_CONFORMANCE_VECTOR_KINDS_H_

#include <span>
#include <string_view>

#include "conformance/vector_case.h"

namespace ffgrant::conformance {

struct VectorKind {
  std::string_view name;
  // Reads every member of `vector` but `kind`, runs ffgrant::core on what is
  // given, and records in `result` what differs from what is expected.
  void (*check)(Object& vector, Case& result);
};

// Every kind there is.
std::span<const VectorKind> VectorKinds();

// The kind of that name, or null.
const VectorKind* FindVectorKind(std::string_view name);

}  // namespace ffgrant::conformance

#endif  // FFGRANT_CONFORMANCE_VECTOR_KINDS_H_
