// SPDX-License-Identifier: Apache-2.0
//
// Writes the calls of the claim path as commands: function name, KEYS and ARGV (contract "The claim
// path as Valkey Functions", 2, and contract 7).

#ifndef FFGRANT_VALKEY_INTERNAL_CLAIM_COMMANDS_H_
#define FFGRANT_VALKEY_INTERNAL_CLAIM_COMMANDS_H_

#include <string>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/valkey/client_options.h"
#include "ffgrant/valkey/execution_content.h"
#include "ffgrant/valkey/internal/resp_command.h"

namespace ffgrant::valkey::internal {

// Some calls need these values of an execution to name their keys. The values are read from the
// core hash before the call; for a ClaimPipeline the caller gives them. If a value changes between
// the read and a call with a fence, the call is refused, because the fence has then changed as
// well. A call without a fence may then name an old key. For this, the execution must have been
// claimed again in between.
struct CoreHints {
  std::uint32_t attempt_index = 0;
  std::string lane;          // the execution's own lane
  std::string current_lane;  // the lane of the execution's last lease
  std::string worker_instance_id;
  std::string waitpoint_id;
};

// Throws std::invalid_argument if a value is out of range.
void CheckDefaults(const ClaimDefaults& defaults);

// Each of the next functions writes one call. If `function` is given (by a benchmark), it is called
// in place of the call's own function.
void WriteCreate(RespCommand& command, const CreateExecutionArgs& args,
                 const ExecutionContent& content, const ClaimDefaults& defaults,
                 std::string& scratch);
void WriteIssue(RespCommand& command, const IssueGrantArgs& args, std::string_view function = {});
void WriteIssueReclaim(RespCommand& command, const IssueGrantArgs& args);
void WriteClaim(RespCommand& command, const ClaimArgs& args, std::string_view function = {});
void WriteIssueAndClaim(RespCommand& command, const ClaimArgs& args,
                        std::string_view function = {});
void WriteClaimResumed(RespCommand& command, const ClaimResumedArgs& args,
                       std::uint32_t attempt_index);
void WriteRenew(RespCommand& command, const RenewArgs& args, const ClaimDefaults& defaults);
void WriteMarkExpired(RespCommand& command, const ExecutionIdView& id);
void WriteRevoke(RespCommand& command, const RevokeArgs& args, const CoreHints& hints,
                 const ClaimDefaults& defaults);
void WriteReclaim(RespCommand& command, const ReclaimArgs& args, std::uint32_t old_attempt_index);
void WriteSuspend(RespCommand& command, const SuspendArgs& args, const CoreHints& hints,
                  const Uuid& suspension_id, const Uuid& waitpoint_id);
void WriteInstallWaitpointSecret(RespCommand& command, const ExecutionIdView& id,
                                 std::string_view secret_hex);
void WriteResume(RespCommand& command, const ResumeArgs& args, const CoreHints& hints);
void WriteComplete(RespCommand& command, const CompleteArgs& args, const CoreHints& hints,
                   std::string_view function = {}, std::string_view result = {});

// `retry_policy` is the text that FindRetryPolicy() has found, or empty.
void WriteFail(RespCommand& command, const FailArgs& args, const CoreHints& hints,
               std::string_view retry_policy);

// Writes HMGET of the core hash for CoreHints: lane_id, current_attempt_index,
// current_worker_instance_id, current_waitpoint_id, current_lane.
void WriteReadHints(RespCommand& command, const ExecutionIdView& id);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLAIM_COMMANDS_H_
