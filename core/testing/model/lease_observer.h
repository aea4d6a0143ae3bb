// SPDX-License-Identifier: Apache-2.0
//
// Watches calls and outcomes of a ledger from outside and checks the
// invariants of contract 7.7 from them alone: it looks at no state, and knows
// no model.

#ifndef FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_
#define FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::testing {

class LeaseObserver {
 public:
  // What became known of one execution.
  struct Execution {
    struct Grant {
      std::string worker_id;
      std::int64_t expires_at = 0;
    };
    std::optional<Grant> grant;  // issued and not consumed, maybe elapsed
    std::optional<Lease> lease;  // created and not ended, maybe elapsed
    bool revoked = false;        // its last lease was
    std::uint64_t last_epoch = 0;
    std::optional<AttemptIndex> last_attempt_index;
    std::optional<AttemptId> last_attempt_id;
    std::vector<LeaseFence> ended;  // fences that must never be good again
  };

  // Empty while every invariant holds.
  const std::string& problem() const { return problem_; }
  const Execution& Of(std::string_view id) { return executions_[std::string(id)]; }

  void Forgotten(std::string_view id) { executions_.erase(std::string(id)); }
  void GrantIssued(std::string_view id, std::string_view worker_id, std::int64_t ttl_ms,
                   std::int64_t now, TimestampMs expires_at);
  void LeaseCreated(std::string_view id, std::string_view worker_id, std::int64_t ttl_ms,
                    std::int64_t now, const Lease& lease);
  // Renewed, suspended or completed, or refused.
  enum class FencedCall { kRenew, kSuspend, kComplete };
  void Fenced(FencedCall call, std::string_view id, const OptionalFence& fence,
              bool operator_override, std::int64_t now, ClaimError error,
              std::optional<TimestampMs> new_expiry);
  void Revoked(std::string_view id, const RevokeOutcome& outcome);
  // Reported expired by anybody.
  void MarkedExpired(std::string_view id, std::int64_t now);
  // Reclaimed too often.
  void Failed(std::string_view id, std::int64_t now);

 private:
  void Check(bool good, std::string_view id, const char* what);
  void EndLease(Execution& execution);

  std::map<std::string, Execution> executions_;
  std::set<Uuid> lease_ids_;
  std::string problem_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_
