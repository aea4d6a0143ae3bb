// SPDX-License-Identifier: Apache-2.0
//
// Finds and checks retry policies as FlowFabric stores them, in the member "retry_policy" of an
// execution's policy (core/contract/live-observed.md, 2).

#ifndef FFGRANT_JSON_RETRY_POLICY_H_
#define FFGRANT_JSON_RETRY_POLICY_H_

#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// Returns the text of the member "retry_policy", which points into `policy`. If the member is
// repeated, the last one counts. The result is empty if the member is missing, if `policy` is no
// JSON object or is nested more deeply than FlowFabric reads, or if no memory is left. Allocates
// about 9/8 byte for each byte of `policy`. Safe to call from any thread.
//
//   FindRetryPolicy(R"({"priority":0,"retry_policy":{"max_retries":2}})") == R"({"max_retries":2})"
std::string_view FindRetryPolicy(std::string_view policy);

// Checks a policy that FindRetryPolicy() has found. FlowFabric's function would fail half-way at a
// policy that has a fault. Returns the fault as a literal, or an empty text if there is none.
// Allocates as FindRetryPolicy() does. Safe to call from any thread.
std::string_view FaultOfRetryPolicy(std::string_view retry_policy);

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_RETRY_POLICY_H_
