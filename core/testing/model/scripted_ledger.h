// SPDX-License-Identifier: Apache-2.0
//
// Test only: plays a ledger for tests of code that calls a ledger.

#ifndef FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_
#define FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/claims/worker.h"
#include "testing/calls/calling_ledger.h"

namespace ffgrant::testing {

// Takes its answers to a worker's three calls (Claim, ClaimResumed and Reclaim) from a script, and
// notes these calls with their arguments. Once the script is over, every call succeeds.
class ScriptedLedger final : public CallingLedger {
 public:
  struct Asked {
    Call call;
    std::string_view name;
    std::string_view id;
    WorkerIdentity worker;
    LaneIdView lane;
    LeaseId lease_id;
    std::int64_t lease_ttl_ms = 0;
    AttemptId attempt_id;
    std::optional<std::uint32_t> max_reclaim_count;
    std::uint32_t permits_in_use = 0;
  };

  std::deque<ClaimError> answers;
  std::vector<Asked> calls;
  const Worker* watched = nullptr;

  Answer Do(const Call& call) override {
    Asked& asked = calls.emplace_back();
    asked.call = call;  // keeps the texts that the other fields view
    LeaseKind kind = LeaseKind::kInitial;
    if (const auto* claim = call.As<calls::Claim>()) {
      Note(claim->args, asked);
      asked.attempt_id = claim->args.attempt_id;
    } else if (const auto* resumed = call.As<calls::ClaimResumed>()) {
      Note(resumed->args, asked);
      kind = LeaseKind::kResumed;
    } else if (const auto* reclaim = call.As<calls::Reclaim>()) {
      Note(reclaim->args, asked);
      asked.attempt_id = reclaim->args.attempt_id;
      asked.max_reclaim_count = reclaim->args.max_reclaim_count;
      kind = LeaseKind::kReclaim;
    } else {
      std::fputs("not a worker's call\n", stderr);
      std::abort();
    }
    Answer answer;
    if (!answers.empty()) {
      answer.error = answers.front();
      answers.pop_front();
    }
    if (answer.ok()) {
      answer.lease = Lease{{asked.lease_id, {9}, {}}, {}, {}, kind};
    } else {
      answer.details = {"why"};
    }
    return answer;
  }

 private:
  template <class Args>
  void Note(const Args& args, Asked& asked) const {
    asked.name = asked.call.name();
    asked.id = args.execution_id.text();
    asked.worker = args.worker;
    asked.lane = args.lane;
    asked.lease_id = args.lease_id;
    asked.lease_ttl_ms = args.lease_ttl_ms;
    if (watched != nullptr) asked.permits_in_use = watched->permits_in_use();
  }
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_SCRIPTED_LEDGER_H_
