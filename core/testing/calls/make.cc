// SPDX-License-Identifier: Apache-2.0

#include "testing/calls/make.h"

#include <cstdlib>
#include <type_traits>

namespace ffgrant::testing {
namespace {

template <class Kind, class Outcome, class Args>
std::vector<Answer> MakeAll(ClaimLedger& ledger, std::span<const Call> calls,
                            void (ClaimLedger::*method)(std::span<const Args>,
                                                        std::span<Outcome>)) {
  std::vector<Args> args;
  for (const Call& call : calls) args.push_back(call.As<Kind>()->args);
  std::vector<Outcome> outcomes(calls.size());
  (ledger.*method)(args, outcomes);
  std::vector<Answer> answers;
  for (const Outcome& outcome : outcomes) answers.push_back(AnswerOf(outcome));
  return answers;
}

}  // namespace

std::vector<Answer> MakeBatch(ClaimLedger& ledger, std::span<const Call> calls) {
  if (calls.empty()) return {};
  return calls.front().kind() == CallKind::kIssue
             ? MakeAll<calls::Issue, IssueOutcome, IssueGrantArgs>(ledger, calls,
                                                                   &ClaimLedger::IssueClaimGrants)
             : MakeAll<calls::Claim, ClaimOutcome, ClaimArgs>(ledger, calls,
                                                              &ClaimLedger::ClaimBatch);
}

Answer Make(ClaimLedger& ledger, const Call& call) {
  if (call.in_batch) return MakeBatch(ledger, {&call, 1}).front();
  ErrorDetails details;
  Answer answer = std::visit(
      [&]<class Kind>(const Kind& kind) -> Answer {
        if constexpr (!requires { Kind::kMethod; }) {
          std::abort();
        } else if constexpr (std::is_invocable_v<decltype(Kind::kMethod), ClaimLedger&,
                                                 decltype((kind.args)), ErrorDetails*>) {
          details.Add("of an earlier call");  // every call clears this
          return AnswerOf((ledger.*Kind::kMethod)(kind.args, &details));
        } else {
          return AnswerOf((ledger.*Kind::kMethod)(kind.args));
        }
      },
      call.any());
  for (std::size_t i = 0; i < details.size(); ++i) answer.details.emplace_back(details[i]);
  return answer;
}

}  // namespace ffgrant::testing
