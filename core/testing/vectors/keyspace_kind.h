// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_TESTING_VECTORS_KEYSPACE_KIND_H_
#define FFGRANT_TESTING_VECTORS_KEYSPACE_KIND_H_

#include "testing/vectors/vector_case.h"

namespace ffgrant::conformance {

// Checks vectors of the kind `keyspace`: the Valkey keys of an execution, a lane, a worker instance
// and an attempt, by role.
void CheckKeyspace(Object& vector, Case& result);

}  // namespace ffgrant::conformance

#endif  // FFGRANT_TESTING_VECTORS_KEYSPACE_KIND_H_
