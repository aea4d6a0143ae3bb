// SPDX-License-Identifier: Apache-2.0
//
// Proves by counting that the embedded ledger allocates nothing once it is made. Only
// InspectNames() allocates, and this test does not call it.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/memory_ledger.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/uuid_generator.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant {
namespace {

using testing::CountAllocations;

constexpr std::size_t kExecutions = 200;
constexpr WorkerIdentity kWorker{{"w1"}, {"w1-i1"}};
constexpr WorkerIdentity kOther{{"w2"}, {"w2-i1"}};

class MemoryLedgerAllocationTest : public ::testing::Test {
 protected:
  MemoryLedgerAllocationTest() : ledger_(Options()), lane_(LaneIdView::Unchecked("main")) {
    UuidGenerator generator(5);
    for (std::size_t i = 0; i < kExecutions; ++i) {
      ids_.emplace_back(static_cast<std::uint16_t>(i % 256), generator.Next());
    }
  }

  MemoryLedgerOptions Options() const {
    MemoryLedgerOptions options;
    options.max_executions = kExecutions;
    options.clock = &clock_;
    return options;
  }

  IssueGrantArgs Issue(const ExecutionIdView& id, const WorkerIdentity& worker) const {
    IssueGrantArgs args;
    args.execution_id = id;
    args.worker = worker;
    args.lane = lane_;
    args.grant_ttl_ms = 5000;
    args.capability_hash = "0123456789abcdef";
    args.route_snapshot_json = R"({"route":1})";
    args.admission_summary = "admitted, with a text that is longer than any small string";
    return args;
  }

  // Takes an execution from creation through claim, resume and reclaim to its end. Returns whether
  // every step succeeded; if one did not, the steps after it were not measured.
  bool WholeLife(const ExecutionIdView& id) {
    CreateExecutionArgs create;
    create.execution_id = id;
    create.lane = lane_;
    if (!ledger_.CreateExecution(create)) return false;
    if (!ledger_.IssueClaimGrant(Issue(id, kWorker))) return false;
    const ClaimOutcome claimed =
        ledger_.Claim({id, kWorker, lane_, LeaseId{uuids_.Next()}, 1000, AttemptId{uuids_.Next()}});
    if (!claimed) return false;
    if (!ledger_.Renew({id, claimed.lease.attempt_index, claimed.lease.fence, 1000})) return false;
    if (!ledger_.Suspend({id, claimed.lease.fence})) return false;
    if (!ledger_.Resume({id, 0})) return false;
    if (!ledger_.IssueClaimGrant(Issue(id, kWorker))) return false;
    const ClaimOutcome resumed =
        ledger_.ClaimResumed({id, kWorker, lane_, LeaseId{uuids_.Next()}, 1000});
    if (!resumed) return false;
    clock_.Advance(1001);
    if (!ledger_.MarkLeaseExpiredIfDue(id)) return false;
    if (!ledger_.IssueReclaimGrant(Issue(id, kOther))) return false;
    const ClaimOutcome reclaimed = ledger_.Reclaim(
        {id, kOther, lane_, LeaseId{uuids_.Next()}, 1000, AttemptId{uuids_.Next()}, {}});
    if (!reclaimed) return false;
    return ledger_.Complete({id, reclaimed.lease.fence, false}) && ledger_.Inspect(id).has_value();
  }

  ManualClock clock_{TimestampMs{1'700'000'000'000}};
  MemoryLedger ledger_;
  LaneIdView lane_;
  UuidGenerator uuids_{6};
  std::vector<MintedExecutionId> ids_;
};

TEST_F(MemoryLedgerAllocationTest, AWholeLifeAllocatesNothing) {
  for (const MintedExecutionId& id : ids_) {
    bool succeeded = false;
    EXPECT_EQ(CountAllocations([&] { succeeded = WholeLife(id.view()); }), 0u);
    ASSERT_TRUE(succeeded);
  }
}

TEST_F(MemoryLedgerAllocationTest, ForgettingAndFillingAgainAllocatesNothing) {
  std::size_t lives = 0;
  EXPECT_EQ(CountAllocations([&] {
              for (int round = 0; round < 3; ++round) {
                for (const MintedExecutionId& id : ids_) {
                  lives += WholeLife(id.view()) ? 1 : 0;
                }
                (void)ledger_.RunMaintenance(1000);
                for (const MintedExecutionId& id : ids_) {
                  lives += ledger_.Forget(id.view()) ? 1 : 0;
                }
              }
            }),
            0u);
  EXPECT_EQ(lives, 3 * 2 * kExecutions);
}

TEST_F(MemoryLedgerAllocationTest, TheSchedulersChoiceAllocatesNothing) {
  std::size_t granted = 0;
  EXPECT_EQ(CountAllocations([&] {
              for (const MintedExecutionId& id : ids_) {
                CreateExecutionArgs create;
                create.execution_id = id.view();
                create.lane = lane_;
                (void)ledger_.CreateExecution(create);
              }
              for (std::size_t i = 0; i < kExecutions + 1; ++i) {
                const ClaimForWorkerOutcome outcome =
                    ledger_.ClaimForWorker({kWorker, lane_, 5000, nullptr});
                granted += outcome ? 1 : 0;
              }
            }),
            0u);
  EXPECT_EQ(granted, kExecutions);
}

TEST_F(MemoryLedgerAllocationTest, RefusalsAllocateNothing) {
  const ExecutionIdView id = ids_[0].view();
  EXPECT_EQ(CountAllocations([&] {
              EXPECT_FALSE(ledger_.IssueClaimGrant(Issue(id, kWorker)));
              EXPECT_FALSE(ledger_.Claim({id, kWorker, lane_, {}, 1000, {}}));
              EXPECT_FALSE(ledger_.Renew({id, {}, {}, 1000}));
              EXPECT_FALSE(ledger_.Reclaim({id, kWorker, lane_, {}, 1000, {}, {}}));
            }),
            0u);
}

}  // namespace
}  // namespace ffgrant
