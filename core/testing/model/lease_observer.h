// SPDX-License-Identifier: Apache-2.0
//
// Checks the invariants of contract 7.7 from a ledger's calls, their answers and their times alone.
// The observer reads no stored state and uses no model.

#ifndef FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_
#define FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "testing/calls/answer.h"
#include "testing/calls/call.h"

namespace ffgrant::testing {

class LeaseObserver {
 public:
  // Notes a call that was made at `now`, and its answer. Returns the first invariant that was ever
  // broken; an empty text while all of them hold.
  const std::string& Saw(const Call& call, const Answer& answer, TimestampMs now);

 private:
  // The facts about one execution that the observer knows.
  struct Execution {
    struct Grant {
      std::string worker_id;
      std::int64_t expires_at = 0;
    };
    std::optional<Grant> grant;            // issued and not consumed; it may have run out
    std::optional<Lease> lease;            // not given up, revoked or replaced; it may have run out
    bool revoked = false;                  // whether its last lease was revoked
    bool over = false;                     // completed, or failed for good
    std::optional<std::int64_t> retry_at;  // when the retry that nobody has claimed yet is due
    std::uint64_t last_epoch = 0;
    std::optional<AttemptIndex> last_attempt_index;
    std::optional<AttemptId> last_attempt_id;
    std::vector<LeaseFence> ended;  // fences that must never be good again
  };

  void GrantIssued(std::string_view id, const WorkerIdentity& worker, std::int64_t ttl_ms,
                   std::int64_t expires_at);
  void LeaseCreated(const Call& call, std::int64_t ttl_ms, const Lease& lease);
  // Notes a Renew(), Suspend(), Complete() or Fail(), whether or not the ledger refused the call.
  void Fenced(const Call& call, const OptionalFence& fence, const Answer& answer,
              bool operator_override = false);
  void Revoked(std::string_view id, const LeaseFence& revoked);
  void MarkedExpired(std::string_view id);
  // Notes that an execution has failed because it was reclaimed too often.
  void Failed(std::string_view id);

  void Check(bool good, std::string_view id, const char* what);
  void EndLease(Execution& execution);

  std::int64_t now_ = 0;
  std::map<std::string, Execution, std::less<>> executions_;
  std::set<Uuid> lease_ids_;
  std::string problem_;
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEASE_OBSERVER_H_
