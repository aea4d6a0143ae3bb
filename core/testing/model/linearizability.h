// SPDX-License-Identifier: Apache-2.0
//
// Whether what several threads were told can have come about one call at a
// time: the search of Wing and Gong ("Testing and verifying concurrent
// objects", 1993) over the model, with a memory of where it was.
//
// Time is part of what is searched: moving the clock is a call like the others,
// and a call sees the time that it is at its place in the order. So a call that
// answers by a time that was over at every place it can have is found.
//
// Three calls are not one step, and are searched as what they are:
//   a batch             its calls, in order
//   maintenance         a look at each execution, at any moments of the call
//   ClaimForWorker that found nothing
//                       for each execution a moment of the call at which it was
//                       not to be had; what it did find, it granted in one step

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

// A call and its answer. Events are numbered as they happened; a call that
// returned before another began comes before it.
struct HistoryEntry {
  Call call;
  Answer answer;
  std::uint8_t execution = kExecutions;  // NumberOf() the one that the call is about
  std::uint8_t number = 0;               // tells calls apart
  std::uint32_t called_at = 0;
  std::uint32_t returned_at = 0;
  std::uint32_t acted_at = 0;  // a guess at its place: a hint where to begin
  int fiber = 0;
};
using History = std::vector<HistoryEntry>;

struct Circumstances {
  std::size_t max_executions = kExecutions;
  // Names are few: any call that needs some may answer kLedgerFull.
  bool names_may_run_out = false;
};

// Empty if there is an order, else the history as text. `start` is the model in
// the state in which the history begins, and looks at `clock`, which is moved.
std::string CheckLinearizable(const History& history, const ModelLedger& start, ManualClock& clock,
                              const Circumstances& circumstances);

// Contract 7.7 from calls and answers alone, without the model: epochs and
// attempts grow, a grant is consumed once, no two leases live at a time. Empty
// if it holds. `before` is what led to the start.
std::string CheckInvariants(const History& history, const History& before = {});

std::string Describe(const History& history);

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LINEARIZABILITY_H_
