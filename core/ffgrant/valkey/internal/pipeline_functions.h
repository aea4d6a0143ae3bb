// SPDX-License-Identifier: Apache-2.0
//
// Lets a benchmark that measures limits call other functions in place of a call's own.

#ifndef FFGRANT_VALKEY_INTERNAL_PIPELINE_FUNCTIONS_H_
#define FFGRANT_VALKEY_INTERNAL_PIPELINE_FUNCTIONS_H_

#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/valkey/claim_pipeline.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey::internal {

struct PipelineFunctions {
  // From now on `call` calls `function` with the KEYS and ARGV of the call's own function. The
  // answer of `function` must have the same form. If `function` is empty, `call` calls its own
  // function again. Only kIssue, kClaim, kIssueAndClaim and kComplete can be changed. The text of
  // `function` is not copied.
  static void Use(ClaimPipeline& pipeline, ClaimPipeline::Call call,
                  std::string_view function) noexcept;
};

}  // namespace ffgrant::valkey::internal
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_INTERNAL_PIPELINE_FUNCTIONS_H_
