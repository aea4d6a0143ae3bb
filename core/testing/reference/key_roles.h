// SPDX-License-Identifier: Apache-2.0
//
// Selects ffgrant's key names by the reference's numbers for them (ffref_key).

#ifndef FFGRANT_TESTING_REFERENCE_KEY_ROLES_H_
#define FFGRANT_TESTING_REFERENCE_KEY_ROLES_H_

#include <span>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/ids.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/write_result.h"
#include "testing/reference/ffgrant_reference.h"

namespace ffgrant::reference {

struct KeySubject {
  ExecutionIdView id;
  LaneIdView lane;
  WorkerInstanceIdView instance;
  NamespaceView name_space;
  std::string_view idempotency_key;
  AttemptIndex attempt;
};

ffref_key_subject ToRaw(const KeySubject& subject);

WriteResult FormatKeyOf(ffref_key key, const KeySubject& subject, std::span<char> out);

// Returns "key core" and the like, as a literal.
std::string_view KeyRoleName(ffref_key key);

}  // namespace ffgrant::reference

#endif  // FFGRANT_TESTING_REFERENCE_KEY_ROLES_H_
