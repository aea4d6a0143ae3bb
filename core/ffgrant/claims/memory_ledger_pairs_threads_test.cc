// SPDX-License-Identifier: Apache-2.0
//
// Runs each two of the embedded ledger's calls at once, also a call beside itself, on the same few
// executions of one partition. If one of the two calls touches plain data without the lock that
// guards it, ThreadSanitizer and the locks' own assertions see this. Tests in testing/model judge
// what the calls answer.

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "ffgrant/claims/memory_ledger.h"
#include "testing/calls/ledger_calls.h"

namespace ffgrant::testing {
namespace {

constexpr int kRounds = 12;
constexpr std::array<std::string_view, 4> kIds = {kA, kB, kC,
                                                  "{fp:1}:dddddddd-0000-4000-8000-000000000004"};

// One thread's calls. A thread knows only of the last lease that it got itself, so some of its
// calls are refused.
class Thread {
 public:
  Thread(MemoryLedger& ledger, ManualClock& clock, std::uint8_t number)
      : ledger_(ledger), clock_(clock), next_(number) {}

  void Create(std::string_view id) {
    CreateExecutionArgs args;
    args.execution_id = Id(id);
    args.lane = kMain;
    args.required = next_ % 2 == 0 ? &gpu_ : nullptr;
    args.delay_until = TimestampMs{clock_.Now().value + (next_ % 3 == 0 ? 1 : -1)};
    if (next_ % 2 == 1) args.retry = RetryPolicy{.max_retries = 1, .delay_ms = 1};
    (void)ledger_.CreateExecution(args, &details_);
  }
  IssueGrantArgs GrantArgs(std::string_view id) {
    IssueGrantArgs args;
    args.execution_id = Id(id);
    args.worker = kW1;
    args.lane = next_ % 5 == 0 ? kOtherLane : kMain;
    args.grant_ttl_ms = 1 + next_ % 3;
    args.offered = &gpu_;
    args.capability_hash = next_ % 2 == 0 ? "hash" : "";
    return args;
  }
  void Issue(std::string_view id) { (void)ledger_.IssueClaimGrant(GrantArgs(id), &details_); }
  void IssueMany(std::string_view) {
    std::vector<IssueGrantArgs> args;
    for (const std::string_view id : kIds) args.push_back(GrantArgs(id));
    std::vector<IssueOutcome> outcomes(args.size());
    ledger_.IssueClaimGrants(args, outcomes);
  }
  void Schedule(std::string_view) {
    ClaimForWorkerArgs args;
    args.worker = kW1;
    args.lane = kMain;
    args.grant_ttl_ms = 2;
    args.offered = &gpu_;
    (void)ledger_.ClaimForWorker(args);
  }
  ClaimArgs LeaseArgs(std::string_view id) {
    const WorkerIdentity worker = next_ % 4 == 0 ? kW1Other : kW1;
    return {Id(id), worker, kMain, {UuidOf(++next_)}, 2, {UuidOf(++next_)}};
  }
  void Claim(std::string_view id) { Keep(ledger_.Claim(LeaseArgs(id), &details_)); }
  void ClaimMany(std::string_view) {
    std::vector<ClaimArgs> args;
    for (const std::string_view id : kIds) args.push_back(LeaseArgs(id));
    std::vector<ClaimOutcome> outcomes(args.size());
    ledger_.ClaimBatch(args, outcomes);
    for (const ClaimOutcome& outcome : outcomes) Keep(outcome);
  }
  void ClaimResumed(std::string_view id) {
    Keep(ledger_.ClaimResumed({Id(id), kW1, kMain, {UuidOf(++next_)}, 2}, &details_));
  }
  void Renew(std::string_view id) {
    (void)ledger_.Renew({Id(id), lease_.attempt_index, lease_.fence, 3}, &details_);
  }
  void MarkExpired(std::string_view id) { (void)ledger_.MarkLeaseExpiredIfDue(Id(id)); }
  void Revoke(std::string_view id) { (void)ledger_.Revoke({Id(id)}, &details_); }
  void IssueReclaim(std::string_view id) {
    (void)ledger_.IssueReclaimGrant(GrantArgs(id), &details_);
  }
  void Reclaim(std::string_view id) {
    Keep(ledger_.Reclaim({Id(id), kW1, kMain, {UuidOf(++next_)}, 2, {UuidOf(++next_)}, {}},
                         &details_));
  }
  void Suspend(std::string_view id) { (void)ledger_.Suspend({Id(id), lease_.fence}, &details_); }
  void Resume(std::string_view id) {
    (void)ledger_.Resume({Id(id), next_ % 2 == 0 ? 1 : 0}, &details_);
  }
  void Complete(std::string_view id) {
    (void)ledger_.Complete({Id(id), OptionalFence(), true}, &details_);
  }
  void Fail(std::string_view id) {
    (void)ledger_.Fail({Id(id), OptionalFence(), "reason", "category", true}, &details_);
  }
  void Inspect(std::string_view id) { (void)ledger_.Inspect(Id(id)); }
  void InspectNames(std::string_view id) { (void)ledger_.InspectNames(Id(id)); }
  void Forget(std::string_view id) { (void)ledger_.Forget(Id(id)); }
  void Maintain(std::string_view) { (void)ledger_.RunMaintenance(100); }
  void Size(std::string_view) { EXPECT_LE(ledger_.size(), ledger_.capacity()); }

  // Takes the execution through some of its states, so that the call under test now and then has
  // something to do.
  void LiveOn(std::string_view id) {
    Create(id);
    Issue(id);
    Claim(id);
    if (next_ % 3 == 0) Suspend(id);
    if (next_ % 3 == 1) Revoke(id);
    if (next_ % 7 == 0) Complete(id);
    if (next_ % 7 == 1) Fail(id);
    if (next_ % 5 == 0) clock_.Advance(1);
  }

 private:
  void Keep(const ClaimOutcome& outcome) {
    if (outcome) lease_ = outcome.lease;
  }

  MemoryLedger& ledger_;
  ManualClock& clock_;
  ErrorDetails details_;
  CapabilitySet gpu_ = Caps("gpu");
  Lease lease_;
  std::uint8_t next_;
};

using Method = void (Thread::*)(std::string_view id);
constexpr Method kMethods[] = {&Thread::Create,   &Thread::Issue,        &Thread::IssueMany,
                               &Thread::Schedule, &Thread::Claim,        &Thread::ClaimMany,
                               &Thread::Renew,    &Thread::ClaimResumed, &Thread::MarkExpired,
                               &Thread::Revoke,   &Thread::Reclaim,      &Thread::IssueReclaim,
                               &Thread::Suspend,  &Thread::Resume,       &Thread::Complete,
                               &Thread::Fail,     &Thread::Inspect,      &Thread::InspectNames,
                               &Thread::Forget,   &Thread::Maintain,     &Thread::Size};

TEST(MemoryLedgerPairs, EachTwoCallsAtOnce) {
  for (std::size_t a = 0; a < std::size(kMethods); ++a) {
    for (std::size_t b = a; b < std::size(kMethods); ++b) {
      ManualClock clock{TimestampMs{kNow}};
      MemoryLedgerOptions options = SmallOptions(clock);
      options.max_names = 2;  // so that calls search for room
      options.max_text_bytes = 180;
      MemoryLedger ledger(options);
      std::latch begin(2);
      const auto run = [&](Method method, std::uint8_t number) {
        Thread thread(ledger, clock, number);
        begin.arrive_and_wait();
        for (int round = 0; round < kRounds; ++round) {
          for (const std::string_view id : kIds) {
            thread.LiveOn(id);
            (thread.*method)(id);
          }
        }
      };
      std::thread other([&] { run(kMethods[a], 1); });
      run(kMethods[b], 100);
      other.join();
    }
  }
}

}  // namespace
}  // namespace ffgrant::testing
