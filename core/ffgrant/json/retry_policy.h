// SPDX-License-Identifier: Apache-2.0
//
// Retry policies as FlowFabric stores them: the member "retry_policy" of an execution's
// policy (core/contract/live-observed.md, 2).

#ifndef FFGRANT_JSON_RETRY_POLICY_H_
#define FFGRANT_JSON_RETRY_POLICY_H_

#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// The text of that member, which points into `policy`; empty if there is none, or if
// `policy` is no JSON. Of several the last. Allocates 9/8 byte a byte of `policy`; without
// memory it is empty, too. Any thread.
//
//   FindRetryPolicy(R"({"priority":0,"retry_policy":{"max_retries":2}})") == R"({"max_retries":2})"
std::string_view FindRetryPolicy(std::string_view policy);

// What FlowFabric's function would fail at, half-way, in a policy that FindRetryPolicy()
// has found; a literal, empty if nothing. Allocates likewise. Any thread.
std::string_view FaultOfRetryPolicy(std::string_view retry_policy);

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_RETRY_POLICY_H_
