// SPDX-License-Identifier: Apache-2.0
//
// Renews leases in time, and says in time when one is lost (contract 7.4).
//
//   LeaseKeeper keeper(ledger);
//   const std::int64_t sent = keeper.NowMs();
//   WorkerClaim claim = worker.ClaimFromGrant(grant, lane);
//   KeptLease kept = keeper.Keep(id, claim.lease, 30'000, sent);
//   while (Work()) if (kept.lost()) return;  // somebody else may have it by now
//   CompleteOnce(ledger, {.execution_id = id, .fence = claim.lease.fence}, result);
//   kept.Release();
//
// What a server calls a lease's end is told by its own clock. The keeper counts from the moment
// before a claim or a renewal was sent, on a clock that nobody sets, and so takes a lease for
// lost before the server does, never after: unless this process's clock runs slower than the
// server's by more than `margin_ms` in a lease's time.
//
// A lease is lost for good when
//   - a renewal is refused: kStaleLease, kLeaseExpired, kLeaseRevoked, kExecutionNotActive,
//     kExecutionNotFound, or any other answer of the ledger's;
//   - its time is over less the margin, and no renewal has got through: kUnavailable and
//     kUnknownOutcome are tried again until then. lost() says so at that moment, whatever
//     the ledger's calls are waiting for.
// A lost lease is never renewed again.

#ifndef FFGRANT_CLAIMS_LEASE_KEEPER_H_
#define FFGRANT_CLAIMS_LEASE_KEEPER_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

class LeaseKeeper;

namespace internal {
struct KeptEntry;
}

// A lease that is being kept, until it is released or this dies. Moveable; its keeper must
// outlive it. Thread-safe but for moving.
class KeptLease {
 public:
  KeptLease() = default;
  KeptLease(KeptLease&& other) noexcept;
  KeptLease& operator=(KeptLease&& other) noexcept;
  ~KeptLease() { Release(); }

  // Whether the execution must be let go of. Reads a clock and waits for nobody.
  bool lost() const noexcept;
  // Why: the renewal's error, or kLeaseExpired if time ran out here; kNone while it is held.
  ClaimError error() const noexcept;
  // How long it is held for certain without another renewal; 0 when it is lost.
  std::int64_t LeftMs() const noexcept;
  // Ends the keeping: no renewal is sent from here on. One that is under way may still
  // arrive, which a server refuses once the execution has ended.
  void Release() noexcept;
  explicit operator bool() const noexcept { return entry_ != nullptr; }

 private:
  friend class LeaseKeeper;
  KeptLease(LeaseKeeper* keeper, std::shared_ptr<internal::KeptEntry> entry) noexcept;

  LeaseKeeper* keeper_ = nullptr;
  std::shared_ptr<internal::KeptEntry> entry_;
};

struct LeaseKeeperOptions {
  // A lease is renewed after this part of its ttl, as FlowFabric's SDK does, less up to `jitter`
  // of that time, so that leases of one moment are not renewed in one moment.
  double renew_after = 1.0 / 3;  // 0.05..0.9
  double jitter = 0.1;           // 0..0.5
  // How long before a lease's time is over it counts as lost. At least 0.
  std::int64_t margin_ms = 100;
  // Between tries of a renewal that did not get through. At least 1.
  std::int64_t retry_ms = 250;
  // Threads of its own: `renewers` of them renew, and one watches the time. Without them the
  // caller calls RunDue(), and lost() alone tells.
  bool has_threads = true;
  // How many renewals are under way at once. A renewal on a server that does not answer takes a
  // whole limit of the ledger's: with so many of them, leases on healthy servers wait, and
  // (leases on the dead server / renewers) * limit should stay below 2/3 of the ttl. 1..64.
  std::size_t renewers = 4;
  // Called once for a lease that is lost, on the keeper's thread or in RunDue(), without a
  // lock: it may call lost(), and must not release leases or end the keeper.
  std::function<void(const ExecutionIdView& id, ClaimError why)> on_lost = {};
  // For tests: milliseconds of a clock that never steps. Empty: CLOCK_BOOTTIME, which goes on
  // while a machine sleeps.
  std::function<std::int64_t()> now_ms = {};
};

class LeaseKeeper {
 public:
  // `ledger` must outlive the keeper. Throws std::invalid_argument for options out of range,
  // std::system_error if there are no threads to be had.
  explicit LeaseKeeper(ClaimLedger& ledger, LeaseKeeperOptions options = {});
  // Waits for the renewals that are under way: for one limit of the ledger's.
  ~LeaseKeeper() = default;
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  std::int64_t NowMs() const;

  // Keeps `lease` from here on, renewed for `ttl_ms` each time. `sent_ms`: NowMs() before the
  // claim was sent. Allocates. A lease that is over by now is lost at once.
  KeptLease Keep(const ExecutionIdView& id, const Lease& lease, std::int64_t ttl_ms,
                 std::int64_t sent_ms);

  // Renews what is due, one after the other, and returns in how many ms to call again; at most
  // 1000. For a keeper without threads.
  std::int64_t RunDue();

  // Leases that are kept and not lost.
  std::size_t size() const;

 private:
  friend class KeptLease;
  using Entry = internal::KeptEntry;
  using Lock = std::unique_lock<std::mutex>;

  void Release(const std::shared_ptr<Entry>& entry) noexcept;
  std::int64_t Interval(std::int64_t ttl_ms) const;
  // The entry that is due first, or null; and the time of the first that will be.
  std::shared_ptr<Entry> FirstDue(std::int64_t now, std::int64_t& next) const;
  void Renew(Lock& lock, const std::shared_ptr<Entry>& entry);
  // Those whose time is over; and the time of the first whose time will be.
  void LoseOverdue(Lock& lock, std::int64_t now, std::int64_t& next);
  void Lose(Lock& lock, const std::shared_ptr<Entry>& entry, ClaimError why);
  void RenewLoop();
  void WatchLoop();

  ClaimLedger& ledger_;
  const LeaseKeeperOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Entry>> entries_;
  bool ends_ = false;
  // The last member, so that the threads end before what they use, also if one can't be had.
  struct Threads {
    LeaseKeeper& keeper;
    std::vector<std::thread> all = {};
    ~Threads();
  } threads_{*this};
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_LEASE_KEEPER_H_
