// SPDX-License-Identifier: Apache-2.0
//
// A LeaseKeeper renews leases in time, and tells in time that a lease is lost (contract 7.4).
//
//   LeaseKeeper keeper(ledger);
//   const std::int64_t sent = keeper.NowMs();
//   WorkerClaim claim = worker.ClaimFromGrant(grant, lane);
//   KeptLease kept = keeper.Keep(id, claim.lease, 30'000, sent);
//   while (Work()) if (kept.lost()) return;  // another worker may have the execution by now
//   CompleteOnce(ledger, {.execution_id = id, .fence = claim.lease.fence}, result);
//   kept.Release();
//
// A server ends a lease by its own clock. The keeper counts from the moment before a claim or a
// renewal was sent, on a clock that nobody sets. So the keeper regards a lease as lost before the
// server does, never after, unless the server's clock gains more than `margin_ms` on the keeper's
// clock in a lease's time.
//
// A lease is lost for good when
//   - a renewal is refused: kStaleLease, kLeaseExpired, kLeaseRevoked, kExecutionNotActive,
//     kExecutionNotFound, or any other error but kUnavailable and kUnknownOutcome;
//   - no renewal has succeeded by the moment that is `margin_ms` before the lease's end. After
//     kUnavailable and kUnknownOutcome the keeper tries again until that moment. From then on
//     lost() is true, even if a call of the ledger is still waiting.
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

// A lease that is being kept, until it is released or this object dies. The object is moveable. Its
// keeper must live until then. Thread-safe except for moving.
class KeptLease {
 public:
  KeptLease() = default;
  KeptLease(KeptLease&& other) noexcept;
  KeptLease& operator=(KeptLease&& other) noexcept;
  ~KeptLease() { Release(); }

  // Returns whether the lease is lost. If it is, work on the execution must stop. Reads a clock and
  // does not wait.
  bool lost() const noexcept;
  // Returns why the lease is lost: the renewal's error, or kLeaseExpired if time ran out here;
  // kNone while the lease is held, and if this object keeps no lease.
  ClaimError error() const noexcept;
  // Returns how many ms longer the lease is certainly held if it is not renewed again; 0 if it is
  // lost or this object keeps no lease.
  std::int64_t LeftMs() const noexcept;
  // Ends the keeping: no renewal is begun after this call. A renewal that is under way may still be
  // sent and arrive; a server refuses it once the execution has ended.
  void Release() noexcept;
  // Returns whether this object keeps a lease, be it lost or not.
  explicit operator bool() const noexcept;

 private:
  friend class LeaseKeeper;
  KeptLease(LeaseKeeper* keeper, std::shared_ptr<internal::KeptEntry> entry) noexcept;

  LeaseKeeper* keeper_ = nullptr;
  // Release() does not change this pointer, since other threads may use it meanwhile.
  std::shared_ptr<internal::KeptEntry> entry_;
};

struct LeaseKeeperOptions {
  // A lease is renewed after this part of its ttl; FlowFabric's SDK takes a third, too. But with a
  // large `margin_ms` it is renewed earlier: at the latest after half of the time for which it is
  // held without a renewal (the ttl less the margin), or after this part of that time, if this part
  // is more than a half. A random share of the time, at most `jitter`, is taken off, so that leases
  // that began at the same moment are not renewed at the same moment.
  double renew_after = 1.0 / 3;  // 0.05..0.9
  double jitter = 0.1;           // 0..0.5
  // How long before its end a lease counts as lost. At least 0.
  std::int64_t margin_ms = 100;
  // The time between tries of a renewal that did not get through. At least 1.
  std::int64_t retry_ms = 250;
  // Whether the keeper has threads of its own: `renewers` of them renew, and one watches the time.
  // Without threads the caller has to call RunDue(), and a lease that is lost between two of these
  // calls shows it only in its KeptLease.
  bool has_threads = true;
  // The largest number of renewals that are under way at once, 1..64. A renewal on a server that
  // does not answer takes the ledger's whole time limit. When all renewers wait for such a server,
  // leases on healthy servers wait, too. So (leases on the dead server / renewers) * (the time
  // limit) should stay below 2/3 of the ttl.
  std::size_t renewers = 4;
  // The keeper calls this once for each lease that it finds lost and that is not released, on a
  // thread of its own or in RunDue(), and holds no lock meanwhile. Several of the keeper's threads
  // may call the function at once. It may call lost() and Keep(), and must not release leases or
  // end the keeper.
  std::function<void(const ExecutionIdView& id, ClaimError why)> on_lost = {};
  // For tests: returns the milliseconds of a clock that never steps. If this is empty, the clock is
  // CLOCK_BOOTTIME, which goes on while a machine sleeps.
  std::function<std::int64_t()> now_ms = {};
};

class LeaseKeeper {
 public:
  // `ledger` must outlive the keeper. Throws std::invalid_argument for options out of range,
  // std::system_error if the system gives no threads.
  explicit LeaseKeeper(ClaimLedger& ledger, LeaseKeeperOptions options = {});
  // Waits for the renewals that are under way, at most for the ledger's time limit, and for a call
  // of `on_lost` that is under way.
  ~LeaseKeeper() = default;
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  std::int64_t NowMs() const;

  // Keeps `lease` from here on, and renews it for `ttl_ms` each time. `sent_ms` is what NowMs()
  // returned before the claim was sent. Allocates. A lease that has already ended is lost at once.
  KeptLease Keep(const ExecutionIdView& id, const Lease& lease, std::int64_t ttl_ms,
                 std::int64_t sent_ms);

  // Renews the leases that are due, one after the other, calls `on_lost` for those that are lost,
  // and returns in how many ms to call again, 1..1000. Each due lease is renewed once; leases that
  // fall due meanwhile are left to the next call. So the renewals take at most the ledger's time
  // limit for each lease that is kept. This call is for a keeper without threads.
  std::int64_t RunDue();

  // The number of leases that are kept and not lost.
  std::size_t size() const;

 private:
  friend class KeptLease;
  using Entry = internal::KeptEntry;
  using Lock = std::unique_lock<std::mutex>;

  void Release(const std::shared_ptr<Entry>& entry) noexcept;
  // Returns how many ms after a claim or a renewal the next renewal is due.
  std::int64_t Interval(std::int64_t ttl_ms) const;
  // Returns the entry that has been due for renewal for longest at `now`; null if no entry is due.
  // Lowers `next` to the time at which the first renewal is due. Entries that are being renewed
  // count for neither.
  std::shared_ptr<Entry> FirstDue(std::int64_t now, std::int64_t& next) const;
  void Renew(Lock& lock, const std::shared_ptr<Entry>& entry);
  // Calls Lose() for the leases whose time has passed, or that lost() has called lost. Lowers
  // `next` to the time at which the next lease will be lost.
  void LoseOverdue(Lock& lock, std::int64_t now, std::int64_t& next);
  // Ends the keeping of a lease that is lost, and calls `on_lost`. `why` counts unless the lease
  // has a reason already.
  void Lose(Lock& lock, const std::shared_ptr<Entry>& entry, ClaimError why);
  void RenewLoop();
  void WatchLoop();

  ClaimLedger& ledger_;
  const LeaseKeeperOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Entry>> entries_;
  bool ends_ = false;
  // `threads_` is the last member, so that the threads end before the members that they use, even
  // if not all threads could be started.
  struct Threads {
    LeaseKeeper& keeper;
    std::vector<std::thread> all = {};
    ~Threads();
  } threads_{*this};
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_LEASE_KEEPER_H_
