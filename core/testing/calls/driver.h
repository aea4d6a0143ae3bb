// SPDX-License-Identifier: Apache-2.0
//
// A driver makes calls, one after another, and has the answers judged. Its users differ in how a
// call is made (on which ledger, and who moves the ledger's clock) and in who judges. Each line
// names a user, its ledger, and after the semicolon its judges:
//
//   the pair           the embedded ledger; the model beside it, the observer,
//                      the count of names
//   a race's thread    the embedded ledger, between a scheduler's points; the
//                      history, which is searched for an order later
//   a scenario         any engine; the answer and the stored state that the
//                      contract wants
//   a random history   any engine, or the functions in a fuzz target; the model
//                      beside it, for the answer and the stored state
//   a benchmark        the embedded ledger; the baseline beside it
//   the load           a server under faults; the file that is checked later

#ifndef FFGRANT_TESTING_CALLS_DRIVER_H_
#define FFGRANT_TESTING_CALLS_DRIVER_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "testing/calls/answer.h"
#include "testing/calls/call.h"
#include "testing/calls/make.h"

namespace ffgrant::testing {

class Driver {
 public:
  using Maker = std::function<Answer(const Call&)>;
  // Returns an empty text, or what is wrong with the answer.
  using Judge = std::function<std::string(const Call&, const Answer&)>;

  Driver(Maker make, std::vector<Judge> judges)
      : make_(std::move(make)), judges_(std::move(judges)) {}

  // Makes the call. The judges are asked in order, until one has found a problem; after the first
  // problem no judge is asked about any later call.
  Answer Do(const Call& call) {
    Answer answer = make_(call);
    for (const Judge& judge : judges_) {
      if (!problem_.empty()) break;
      if (const std::string problem = judge(call, answer); !problem.empty()) {
        problem_ = Describe(call) + " -> " + Describe(answer) + "\n  " + problem;
      }
    }
    return answer;
  }

  // Returns the first problem; an empty text while there is none.
  const std::string& problem() const { return problem_; }
  void Blame(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

 private:
  Maker make_;
  std::vector<Judge> judges_;
  std::string problem_;
};

// A function that returns the part of an answer that can be compared with another ledger's answer.
using Comparable = Answer (*)(Answer);

// Returns a judge that makes the call with `other` too, and wants the same answer from it.
inline Driver::Judge SameAs(std::string name, Driver::Maker other,
                            Comparable comparable = nullptr) {
  return [=](const Call& call, const Answer& answer) -> std::string {
    const Answer others = other(call);
    const bool same =
        comparable == nullptr ? answer == others : comparable(answer) == comparable(others);
    return same ? "" : name + " answers " + Describe(others);
  };
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CALLS_DRIVER_H_
