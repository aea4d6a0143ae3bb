// SPDX-License-Identifier: Apache-2.0
//
// Makes a call on a ledger. The call is given as a value.

#ifndef FFGRANT_TESTING_CALLS_MAKE_H_
#define FFGRANT_TESTING_CALLS_MAKE_H_

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/calls/answer.h"
#include "testing/calls/call.h"

namespace ffgrant::testing {

// Makes any call that ClaimLedger has; ends the process for any other call.
Answer Make(ClaimLedger& ledger, const Call& call);

// Makes several calls of one kind, Issue or Claim, in one batch. Their answers have no details.
std::vector<Answer> MakeBatch(ClaimLedger& ledger, std::span<const Call> calls);

// A ledger from which executions are removed by hand and which is maintained by hand: the embedded
// ledger, and its model.
template <class Ledger>
concept KeptByHand = requires(Ledger& ledger, const ExecutionIdView& id) {
  ledger.Forget(id);
  ledger.size();
};

// Makes any call but Advance.
template <KeptByHand Ledger>
Answer Make(Ledger& ledger, const Call& call) {
  if (const auto* forget = call.As<calls::Forget>()) return AnswerOf(ledger.Forget(forget->args));
  Answer answer;
  if (call.As<calls::Maintain>() != nullptr) {
    const auto maintain = [&] {
      if constexpr (requires { ledger.RunMaintenance(); }) {
        return ledger.RunMaintenance();
      } else {
        constexpr std::size_t kAllPlaces = 1 << 20;
        return ledger.RunMaintenance(kAllPlaces);
      }
    };
    const auto result = maintain();
    answer.maintained = {result.leases_expired, result.promoted};
    return answer;
  }
  if (call.As<calls::Size>() != nullptr) {
    answer.size = ledger.size();
    return answer;
  }
  return Make(static_cast<ClaimLedger&>(ledger), call);
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_MAKE_H_
