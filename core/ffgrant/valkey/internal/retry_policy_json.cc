// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/retry_policy_json.h"

#include <array>
#include <charconv>

namespace ffgrant::valkey::internal {
namespace {

template <class Number>
void AppendNumber(Number number, std::string& out) {
  std::array<char, 32> digits;
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), written.ptr);
}

}  // namespace

void AppendRetryPolicy(const RetryPolicy& policy, std::string& out) {
  out.append(R"({"max_retries":)");
  AppendNumber(policy.max_retries, out);
  if (policy.backoff == RetryPolicy::Backoff::kFixed) {
    out.append(R"(,"backoff":{"type":"fixed","delay_ms":)");
    AppendNumber(policy.delay_ms, out);
  } else {
    out.append(R"(,"backoff":{"type":"exponential","initial_delay_ms":)");
    AppendNumber(policy.delay_ms, out);
    out.append(R"(,"max_delay_ms":)");
    AppendNumber(policy.max_delay_ms, out);
    out.append(R"(,"multiplier":)");
    // Powers of the multiplier may be infinite, and 0 times infinity is not a number.
    AppendNumber(policy.delay_ms == 0 ? 1 : policy.multiplier, out);
    out.append(R"(,"jitter":false)");
  }
  out.append(R"(},"retryable_categories":[]})");
}

}  // namespace ffgrant::valkey::internal
