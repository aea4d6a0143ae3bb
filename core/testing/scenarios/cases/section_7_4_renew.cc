// SPDX-License-Identifier: Apache-2.0
//
// Tests how a lease is renewed (contract 7.4).

#include <cstdint>
#include <string>

#include "testing/calls/answer.h"
#include "testing/scenarios/cases/fences.h"
#include "testing/scenarios/cases/raw_calls.h"
#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

void IsFromNowAndKeepsIdAndEpoch(Run& run) {
  Execution& e = run.Leased();
  run.Pass(2);
  run.Renew(e);
  run.Pass(2);
  run.Renew(e, {.ttl_ms = kLong / 2 + 1});  // shorter than the time that is left
  run.Renew(e, {.ttl_ms = kLong + 2});
}

void ChecksInOrder(Run& run) { FencedChecksInOrder(run, RenewWith); }
void OldFence(Run& run) { OldFenceIsStale(run, RenewWith); }

void TtlComesFirst(Run& run) {
  run.Renew(run.New(), {.ttl_ms = kMaxTtlMs + 1},
            {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
  Execution& e = run.Leased();
  run.Renew(e, {.fence = OptionalFence(), .ttl_ms = -kMaxTtlMs - 1},
            {ClaimError::kInvalidInput, {"lease_ttl_ms is out of range"}});
}

void TheAttemptIndexMustMatch(Run& run) {
  Execution& e = run.Leased();
  run.Renew(e, {.attempt_index = AttemptIndex{1}}, ClaimError::kStaleLease);
  run.Renew(e);
  Execution& reclaimed = run.RevokedOne();
  run.IssueReclaim(reclaimed);
  run.Reclaim(reclaimed);
  run.Renew(reclaimed, {.attempt_index = AttemptIndex{0}}, ClaimError::kStaleLease);
  run.Renew(reclaimed);
}

void ToNothingExpiresAtOnce(Run& run) {
  Execution& e = run.Leased();
  run.Renew(e, {.ttl_ms = 0});
  run.Renew(e, {}, ClaimError::kLeaseExpired);
}

void OfARenewedLease(Run& run) {
  Execution& e = run.Leased(kSoon);
  run.Renew(e);
  run.Pass(kSoon + 1);  // past the first expiry
  run.MarkExpired(e, AlreadySatisfied::kNotYetExpired);
  run.Complete(e);
}

void AtTheEdge(Run& run) {
  Execution& e = run.Leased(100);
  run.Pass(99);
  run.Renew(e, {.ttl_ms = 100});
  run.Pass(100);  // 7.7 (6): a lease is good until just before its expiry
  run.Renew(e, {}, ClaimError::kLeaseExpired);
}

// The lease's hash outlives the lease by the grace that its last renewal has named. With a grace of
// 0 the hash ends with the lease.
void TheLeaseHashLastsForTheGrace(Run& run) {
  Execution& e = run.Leased();
  const Expected& x = e.expected;
  const std::string lease = x.ExecutionKey("lease:current");
  for (const std::int64_t ttl : {kLong, 2 * kLong, kLong / 2}) {
    for (const std::int64_t grace : {0, 5000, 1, 0, 60'000}) {
      const RawStore::Answer answer =
          run.store().Call("ff_renew_lease",
                           {x.ExecutionKey("core"), lease, x.ExecutionKey("lease:history"),
                            x.IndexKey("lease_expiry")},
                           {x.id, "0", testing::UuidText(e.fence.attempt_id->uuid),
                            testing::UuidText(e.fence.lease_id->uuid), "1", std::to_string(ttl),
                            std::to_string(grace)});
      const std::string what =
          "with ttl " + std::to_string(ttl) + ", grace " + std::to_string(grace);
      run.CheckEqual("renew " + what, "1 OK", FirstTexts(answer));
      if (answer.is_error || answer.texts.size() != 3) return;
      const auto until = run.store().ExpireTime(lease);
      run.CheckEqual("the hash's end " + what, std::to_string(std::stoll(answer.texts[2]) + grace),
                     until ? std::to_string(*until) : "never");
    }
  }
}

}  // namespace

void AddRenewScenarios(std::vector<Scenario>& to) {
  to.push_back({"7.4", "renew_is_from_now_and_keeps_id_and_epoch", IsFromNowAndKeepsIdAndEpoch});
  to.push_back({"7.4", "renew_checks_in_order", ChecksInOrder});
  to.push_back({"7.4", "renew_checks_the_ttl_first", TtlComesFirst});
  to.push_back({"7.4", "renew_compares_the_attempt_index", TheAttemptIndexMustMatch});
  to.push_back({"7.4", "renew_to_nothing_expires_at_once", ToNothingExpiresAtOnce});
  to.push_back({"7.4", "renewed_lease_outlives_its_first_expiry", OfARenewedLease});
  to.push_back({"7.4", "renew_at_the_edge", AtTheEdge, kExactTime});
  to.push_back(
      {"7.4", "renewed_lease_hash_lasts_for_the_grace", TheLeaseHashLastsForTheGrace, kStoredKeys});
  to.push_back({"7.7", "renew_with_the_fence_of_before_a_reclaim", OldFence});
}

}  // namespace ffgrant::claims_conformance
