// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_VALKEY_INTERNAL_RETRY_POLICY_JSON_H_
#define FFGRANT_VALKEY_INTERNAL_RETRY_POLICY_JSON_H_

#include <string>

#include "ffgrant/claims/retry_policy.h"

namespace ffgrant::valkey::internal {

// Appends `policy` as the JSON that json/retry_policy.h finds and checks, for example
// {"max_retries":3,"backoff":{"type":"fixed","delay_ms":500},"retryable_categories":[]}
void AppendRetryPolicy(const RetryPolicy& policy, std::string& out);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_RETRY_POLICY_JSON_H_
