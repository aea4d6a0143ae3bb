// SPDX-License-Identifier: Apache-2.0
//
// Does the claim path as plainly as possible, and is the oracle of tests and fuzz targets. As on a
// Valkey server, an execution is a hash of texts, and each of the contract's sorted sets is a set
// of members with scores. Every call makes the contract's checks one by one, in the contract's
// order. The model is slow and single-threaded. It shares nothing with the embedded ledger but core
// (ids, uuids), the interface and the text of capability sets.

#ifndef FFGRANT_TESTING_MODEL_MODEL_LEDGER_H_
#define FFGRANT_TESTING_MODEL_MODEL_LEDGER_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"
#include "ffgrant/partition.h"
#include "testing/model/model_texts.h"

namespace ffgrant::testing {

// The model also has those rules of the embedded ledger that go beyond the contract: it takes only
// canonical ids, configured partitions and checked lanes; ttls are within +-kMaxTtlMs; a grant's
// record is gone once its time has ended; the delay of a resume is kept by the delayed set's score;
// a lease hash has no expiry of its own. The model has no limit of capacity, so it never answers
// kLedgerFull.
class ModelLedger final : public ClaimLedger {
 public:
  explicit ModelLedger(const Clock& clock, PartitionConfig partitions = {});

  CreateOutcome CreateExecution(const CreateExecutionArgs& args,
                                ErrorDetails* details = nullptr) noexcept override;
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args,
                               ErrorDetails* details = nullptr) noexcept override;
  // A worker instance's first call on a lane begins at ScanStart(); each later call begins after
  // the last partition that the call before it looked at. From there the call looks at up to
  // `max_partitions` partitions in a ring.
  ClaimForWorkerOutcome ClaimForWorker(const ClaimForWorkerArgs& args) noexcept override;
  ClaimOutcome Claim(const ClaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome ClaimResumed(const ClaimResumedArgs& args,
                            ErrorDetails* details = nullptr) noexcept override;
  RenewOutcome Renew(const RenewArgs& args, ErrorDetails* details = nullptr) noexcept override;
  MarkExpiredOutcome MarkLeaseExpiredIfDue(const ExecutionIdView& id) noexcept override;
  RevokeOutcome Revoke(const RevokeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  IssueOutcome IssueReclaimGrant(const IssueGrantArgs& args,
                                 ErrorDetails* details = nullptr) noexcept override;
  ClaimOutcome Reclaim(const ReclaimArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Suspend(const SuspendArgs& args, ErrorDetails* details = nullptr) noexcept override;
  ResumeOutcome Resume(const ResumeArgs& args, ErrorDetails* details = nullptr) noexcept override;
  Outcome Complete(const CompleteArgs& args, ErrorDetails* details = nullptr) noexcept override;
  FailOutcome Fail(const FailArgs& args, ErrorDetails* details = nullptr) noexcept override;
  std::optional<ExecutionState> Inspect(const ExecutionIdView& id) noexcept override;
  std::optional<ExecutionNames> InspectNames(const ExecutionIdView& id) override;
  void IssueClaimGrants(std::span<const IssueGrantArgs> args,
                        std::span<IssueOutcome> outcomes) noexcept override;
  void ClaimBatch(std::span<const ClaimArgs> args,
                  std::span<ClaimOutcome> outcomes) noexcept override;

  // These are the embedded ledger's own calls. A round of maintenance looks at everything.
  struct MaintenanceResult {
    std::size_t leases_expired = 0;
    std::size_t promoted = 0;
  };
  MaintenanceResult RunMaintenance();
  // Does the part of a round that concerns one execution.
  MaintenanceResult RunMaintenance(const ExecutionIdView& id);
  Outcome Forget(const ExecutionIdView& id);

  // Returns the executions that ClaimForWorker may choose now, wherever its search begins: in each
  // partition the first execution of the eligible set for which IsToBeHad() is true.
  std::vector<std::string> AllowedChoices(const ClaimForWorkerArgs& args);
  // Returns whether the execution is in the lane's eligible set, has no live grant and has its
  // requirements met.
  bool IsToBeHad(const ClaimForWorkerArgs& args, const std::string& id);

  std::size_t size() const { return cores_.size(); }

  // Returns whether both models store the same. The places where workers' next searches begin may
  // differ. A copy of the model reads the clock that the original reads.
  bool SameState(const ModelLedger& other) const {
    return cores_ == other.cores_ && retry_policies_ == other.retry_policies_ &&
           grants_ == other.grants_ && leases_ == other.leases_ && lane_sets_ == other.lane_sets_ &&
           lease_expiry_ == other.lease_expiry_;
  }

 private:
  using Hash = model::Hash;
  struct SortedSet {
    std::map<std::string, std::int64_t> scores;
    bool Has(const std::string& member) const { return scores.count(member) != 0; }
    // Orders members by score, then by text.
    std::vector<std::string> InOrder() const;
    friend bool operator==(const SortedSet&, const SortedSet&) = default;
  };
  // The sets of one lane in one partition.
  struct LaneSets {
    SortedSet eligible;
    SortedSet delayed;
    SortedSet active;
    SortedSet suspended;
    SortedSet terminal;
    friend bool operator==(const LaneSets&, const LaneSets&) = default;
  };
  // The three parts of a fence as texts, empty where absent.
  struct FenceTexts {
    std::string lease_id;
    std::string lease_epoch;
    std::string attempt_id;
    int present = 0;
  };
  struct NewLease {
    std::string worker_id;
    std::string worker_instance_id;
    std::string lane;
    std::string lease_id;
    std::string attempt_id;
    std::string attempt_index;
    std::int64_t ttl_ms = 0;
    LeaseKind kind = LeaseKind::kInitial;
  };

  // A time after 5e13 counts as 5e13, and a time before -5e13 as -5e13.
  std::int64_t Now() const {
    const std::int64_t now = clock_.Now().value;
    return now > 50'000'000'000'000    ? 50'000'000'000'000
           : now < -50'000'000'000'000 ? -50'000'000'000'000
                                       : now;
  }
  Hash* Core(const ExecutionIdView& id);
  // Returns the grant's hash, or null if there is no live grant. Deletes a grant whose time has
  // ended.
  Hash* Grant(const std::string& id);
  LaneSets& SetsOf(const Hash& core);
  SortedSet& LeaseExpiry(const Hash& core);

  static FenceTexts TextsOf(const OptionalFence& fence);
  ClaimError CheckLease(Hash& core, const FenceTexts& fence, ErrorDetails* details);
  // Makes the checks of complete and fail: of the fence, which an operator may leave out, and of
  // the lease.
  ClaimError CheckLeaseToEnd(Hash& core, const OptionalFence& given, bool by_operator,
                             ErrorDetails* details);
  void MarkExpired(Hash& core);
  void ReleaseLease(Hash& core);
  ClaimError CheckCapabilities(Hash& core, const CapabilitySet* offered, ErrorDetails* details);
  TimestampMs WriteGrant(const IssueGrantArgs& args);
  Lease WriteLease(Hash& core, const NewLease& lease);
  void MakeEligible(Hash& core);
  MaintenanceResult Maintain(const std::string& id, Hash& core);
  std::optional<std::string> ChoiceIn(int partition, const ClaimForWorkerArgs& args);
  void FailTerminally(Hash& core);

  const Clock& clock_;
  PartitionConfig partitions_;
  std::map<std::string, Hash> cores_;
  std::map<std::string, Hash> grants_;
  std::map<std::string, RetryPolicy> retry_policies_;  // of executions that have one
  std::map<std::string, Hash> leases_;                 // lease:current
  std::map<std::pair<std::string, std::string>, LaneSets> lane_sets_;  // by partition and lane
  std::map<std::string, SortedSet> lease_expiry_;                      // by partition
  // The partition where the next ClaimForWorker() begins, by worker instance and lane.
  std::map<std::pair<std::string, std::string>, int> next_partition_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_MODEL_LEDGER_H_
