// SPDX-License-Identifier: Apache-2.0
//
// Checks whether the answers that several threads got can come from calls that were made one at a
// time: the search of Wing and Gong ("Testing and verifying concurrent objects", 1993) over the
// model. The search remembers the states in which it has been.
//
// The search covers time too: moving the clock is a call like the others, and a call sees the time
// at its place in the order. So the search also rejects an answer that relies on a time which its
// call cannot see at any possible place.
//
// Three kinds of calls are not one step. The search splits them into these steps:
//   a batch             its calls, in order
//   maintenance         one or more looks at each execution, at any moments of the call
//   ClaimForWorker that answers kNoEligibleExecution
//                       for each execution a moment of the call at which it could not be chosen
// A ClaimForWorker with another answer is one step.

#ifndef FFGRANT_TESTING_MODEL_LINEARIZABILITY_H_
#define FFGRANT_TESTING_MODEL_LINEARIZABILITY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ffgrant/claims/clock.h"
#include "testing/calls/answer.h"
#include "testing/calls/call.h"
#include "testing/model/model_ledger.h"
#include "testing/model/race_calls.h"

namespace ffgrant::testing {

// A call and its answer. Events are numbered as they happened. A call that returned before another
// call began comes before that call in every order.
struct HistoryEntry {
  Call call;
  Answer answer;
  std::uint8_t execution = kExecutions;  // what NumberOf() returns for the call's id
  std::uint8_t number = 0;               // tells calls apart
  std::uint32_t called_at = 0;
  std::uint32_t returned_at = 0;
  std::uint32_t acted_at = 0;  // when the call seems to have acted; the search tries this first
  int fiber = 0;
};
using History = std::vector<HistoryEntry>;

struct Circumstances {
  std::size_t max_executions = kExecutions;
  // Whether names are few: then each of the threads' calls that needs a name may answer
  // kLedgerFull.
  bool names_may_run_out = false;
};

// Returns an empty text if some order of the calls, made one at a time, explains the answers; else
// the history as text. `start` is the model in the state in which the history begins. The model
// reads `clock`, which the search moves.
std::string CheckLinearizable(const History& history, const ModelLedger& start, ManualClock& clock,
                              const Circumstances& circumstances);

// Checks contract 7.7 from calls and answers alone, without the model: epochs and attempts grow, a
// grant is consumed once, no two leases live at a time. Returns an empty text if all of this holds.
// `before` has the calls that led to the start.
std::string CheckInvariants(const History& history, const History& before = {});

std::string Describe(const History& history);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LINEARIZABILITY_H_
