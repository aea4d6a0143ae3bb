// SPDX-License-Identifier: Apache-2.0
//
// Implements ClaimForWorker(), which chooses an execution although some of the servers may not
// answer.

#include <algorithm>
#include <array>
#include <vector>

#include "ffgrant/internal/fnv1a.h"
#include "ffgrant/valkey/internal/candidates.h"
#include "ffgrant/valkey/internal/partition_scan.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using internal::Candidate;
using internal::kCandidatesAtOnce;
using internal::PartitionScan;
using internal::Session;

namespace {

// How many partitions are active in a search at once: kAtFirst at first, and one more for each
// partition that has nothing, up to kAtMost. Once the search has set partitions aside, kAtMost are.
constexpr std::size_t kAtFirst = 4;
constexpr std::size_t kAtMost = 32;
// If no answer has let the search go on for this long, it sets the active partitions aside: it asks
// further partitions, and takes what the partitions after the silent ones have.
constexpr std::int64_t kPatienceMs = 10;
// The search of one call. `Impl` is ValkeyLedger's private Impl.
template <class Impl>
class Search {
 public:
  Search(Impl& impl, Session& session, const ClaimForWorkerArgs& args,
         const ffgrant::internal::ScanWindow& window)
      : impl_(impl),
        session_(session),
        scan_(session.scan),
        args_(args),
        window_(window),
        active_(session.scan.active),
        aside_(session.scan.aside),
        deadline_(session.deadline()),
        room_(std::max<std::size_t>(impl.options.client.max_in_flight / 2, 1)) {
    outcome.partitions = window.count;
    active_.clear();
    aside_.clear();
  }

  // Returns how many of the window's partitions the search has finished with or passed over. The
  // next window begins after these.
  std::uint32_t Run() noexcept {
    scan_.Begin(impl_.partitions().num_flow_partitions, offered());
    // If all partitions of the window are late, the call asks and awaits them like any others.
    if (scan_.late() != 0 && AllAreLate()) scan_.ForgetLateness();
    AskOneThatIsLate();
    std::int64_t heard_at = session_.NowMs();
    bool cancelled = false;
    while (!done_) {
      cancelled = session_.cancelled();
      if (cancelled) break;
      AskOn();
      if (active_.empty() && aside_.empty()) break;  // nothing is left to be asked
      const std::uint64_t ends = session_.ends();
      const bool any = Proceed();
      const std::int64_t now = session_.NowMs();
      if (any) {
        heard_at = now;
        continue;
      }
      if (now >= deadline_) {
        GiveUpWaiting();
        break;
      }
      const bool can_go_on = (next_ < window_.size || held_) && !active_.empty();
      if (can_go_on && now >= heard_at + kPatienceMs) {
        SetAside();
        continue;
      }
      session_.WaitForEnd(ends,
                          std::min(deadline_, can_go_on ? heard_at + kPatienceMs : deadline_));
    }
    scan_.End();
    if (!done_) outcome.error = cancelled ? ClaimError::kUnavailable : Verdict();
    return done_ || cancelled ? looked_at_ : next_;
  }

  ClaimForWorkerOutcome outcome;

 private:
  using Waiting = PartitionScan::Waiting;
  using Step = Waiting::Step;
  // The result of looking at a partition, or at one of its executions.
  enum class Found : std::uint8_t { kNothing, kNotAll, kUnreachable, kDone };

  std::uint16_t IndexAt(std::uint32_t offset) const noexcept {
    return static_cast<std::uint16_t>(window_.At(offset));
  }
  std::string_view offered() const noexcept {
    return args_.offered == nullptr ? std::string_view() : args_.offered->csv();
  }
  bool TimeIsUp() const noexcept { return session_.NowMs() >= deadline_; }

  bool AllAreLate() const noexcept {
    for (std::uint32_t i = 0; i < window_.size; ++i) {
      if (!scan_.IsLate(IndexAt(i))) return false;
    }
    return true;
  }

  // Asks a late partition of the window again, without waiting for it: the first one after the
  // partition that was asked again last. So every late partition has its turn, wherever the windows
  // of the calls begin. A partition whose last question is still open is passed over.
  void AskOneThatIsLate() noexcept {
    if (scan_.late() == 0) return;
    std::uint32_t nearest = window_.count;
    for (std::uint32_t i = 0; i < window_.size; ++i) {
      const std::uint16_t partition = IndexAt(i);
      if (!scan_.IsLate(partition) || scan_.IsOpen(partition)) continue;
      nearest =
          std::min(nearest, (partition + window_.count - 1 - scan_.asked_again) % window_.count);
    }
    if (nearest == window_.count) return;
    scan_.asked_again =
        static_cast<std::uint16_t>((scan_.asked_again + 1 + nearest) % window_.count);
    scan_.AskForHead(scan_.asked_again, args_.lane);
  }

  void AskOn() noexcept {
    while (active_.size() < std::min(at_once_, kAtMost) && active_.size() + aside_.size() < room_ &&
           next_ < window_.size) {
      const std::uint16_t partition = IndexAt(next_);
      if (scan_.IsLate(partition)) {
        ++outcome.partitions_unreachable;
        ++next_;
        continue;
      }
      if (scan_.IsOpen(partition)) {  // a question of an earlier call has no answer yet
        aside_.push_back({next_++, Step::kAgain});
        continue;
      }
      scan_.AskForHead(partition, args_.lane);
      active_.push_back({next_++, Step::kHead});
    }
  }

  // Sets the active partitions aside. The search goes on waiting for them, but asks other
  // partitions meanwhile.
  void SetAside() noexcept {
    aside_.insert(aside_.end(), active_.begin(), active_.end());
    active_.clear();
    at_once_ = kAtMost;
  }

  // Goes on with the partitions that have answered. Returns false if there was nothing to do for
  // any of them.
  bool Proceed() noexcept {
    bool any = false;
    held_ = false;
    for (std::vector<Waiting>* const list : {&active_, &aside_}) {
      std::size_t kept = 0;
      for (std::size_t i = 0; i < list->size(); ++i) {
        Waiting waiting = (*list)[i];
        const bool is_behind = list == &active_
                                   ? kept != 0
                                   : !active_.empty() && active_.front().offset < waiting.offset;
        if (done_ || scan_.IsOpen(IndexAt(waiting.offset)) || !Answered(waiting, is_behind, any)) {
          (*list)[kept++] = waiting;
        }
      }
      list->resize(kept);
    }
    return any;
  }

  // Takes the next step at a partition that has answered, and sets `any` if there was one to take.
  // Returns true if the search waits for nothing more at this partition. Does not look at the
  // partition while the search waits for an earlier one (`is_behind`). If it did, a partition that
  // always has something, on the server that always answers first, would keep the partitions on
  // other servers waiting for ever.
  bool Answered(Waiting& waiting, bool is_behind, bool& any) noexcept {
    const std::uint16_t partition = IndexAt(waiting.offset);
    const PartitionScan::Head head = scan_.head(partition);
    if (waiting.step == Step::kAgain && !scan_.IsLate(partition)) {
      scan_.AskForHead(partition, args_.lane);
      waiting.step = Step::kHead;
      any = true;
      return false;
    }
    if (waiting.step == Step::kHead && head.there && head.canonical) {
      scan_.AskForState(partition);
      waiting.step = Step::kState;
      any = true;
      return false;
    }
    if (is_behind) {
      held_ = true;
      return false;
    }
    any = true;
    looked_at_ = waiting.offset + 1;
    Note(partition, scan_.IsLate(partition) || head.unreachable ? Found::kUnreachable
                                                                : LookAt(partition, head));
    return true;
  }

  void Note(std::uint16_t partition, Found found) noexcept {
    // Never true: the cases are all that can be found.
    switch (found) {
      case Found::kNothing:
        ++outcome.partitions_seen;
        ++at_once_;
        return;
      case Found::kNotAll:
        return;
      case Found::kUnreachable:
        if (!session_.cancelled()) scan_.MarkLate(partition);
        ++outcome.partitions_unreachable;
        return;
      case Found::kDone:
        done_ = true;
        return;
    }
  }

  // Looks at a partition whose head is `head`.
  Found LookAt(std::uint16_t partition, const PartitionScan::Head& head) noexcept {
    fault_ |= head.fault;
    if (!head.there) return head.fault ? Found::kNotAll : Found::kNothing;
    bool fault = head.fault;
    if (head.canonical && !head.granted && head.suits) {
      const MintedExecutionId id(partition, head.uuid);
      const Found found = Issue(id.view(), fault);
      if (found != Found::kNothing) return found;
    }
    const Found found = LookBehind({PartitionFamily::kExecution, partition}, fault);
    return found == Found::kNothing && fault ? Found::kNotAll : found;
  }

  // The server may have fallen silent since it has told its head. Half of the time that is left is
  // kept for what other partitions have.
  std::int64_t DeadlineBehind() const noexcept {
    const std::int64_t now = session_.NowMs();
    return window_.size > 1 ? now + (deadline_ - now) / 2 : deadline_;
  }

  // Looks at the executions after the head.
  Found LookBehind(Partition partition, bool& fault) noexcept {
    std::array<Candidate, kCandidatesAtOnce> candidates;
    const std::uint64_t end = impl_.options.max_candidates;
    for (std::uint64_t begin = 1; begin < end; begin += kCandidatesAtOnce) {
      if (TimeIsUp()) return Found::kNotAll;
      const std::uint64_t last = std::min<std::uint64_t>(begin + kCandidatesAtOnce, end) - 1;
      std::size_t count = 0;
      bool no_range = false;
      {
        const Session::Sooner sooner(session_, DeadlineBehind());
        if (ReadRange(session_, partition, args_.lane, begin, last, candidates, count, no_range,
                      why_) != ClaimError::kNone ||
            ReadStates(session_, {candidates.data(), count}, offered(), why_) !=
                ClaimError::kNone) {
          return NotServed();
        }
      }
      fault_ |= no_range;
      if (no_range) return Found::kNotAll;
      const std::span<Candidate> found(candidates.data(), count);
      for (const Candidate& candidate : found) {
        fault |= candidate.fault;
        if (candidate.granted || !candidate.suits) continue;
        const Found issued = Issue(candidate.id(), fault);
        if (issued != Found::kNothing) return issued;
      }
      fault_ |= fault;
      if (count < last - begin + 1) return Found::kNothing;
    }
    return Found::kNotAll;
  }

  // Issues a grant. Returns kNothing if the server rejects the grant, for example because another
  // scheduler was faster, or answers with an error: another execution may still be granted.
  Found Issue(const ExecutionIdView& id, bool& fault) noexcept {
    if (TimeIsUp()) return Found::kNotAll;
    // A server that has fallen silent may have this partition, too.
    const Session::Sooner sooner(session_,
                                 outcome.partitions_unreachable > 0 ? DeadlineBehind() : deadline_);
    IssueOutcome issued;
    impl_.Issue(session_,
                {.execution_id = id,
                 .worker = args_.worker,
                 .lane = args_.lane,
                 .grant_ttl_ms = args_.grant_ttl_ms,
                 .offered = args_.offered},
                &why_, issued);
    outcome.error = issued.error;
    switch (issued.error) {
      case ClaimError::kNone:
        outcome.grant = IssuedGrant(id, issued.expires_at);
        ++outcome.partitions_seen;
        return Found::kDone;
      case ClaimError::kUnknownOutcome:
      case ClaimError::kInvalidCapabilities:
        return Found::kDone;
      case ClaimError::kUnavailable:
        return NotServed();
      case ClaimError::kUnknownCode:
        fault = fault_ = true;
        return Found::kNothing;
      default:
        return Found::kNothing;
    }
  }

  // Returns what counts as found in a partition if a command there ended with kUnavailable; why_
  // has the reason. If the user may not run the command, the server has answered, although with an
  // error.
  Found NotServed() noexcept {
    // Never true: `why_.size() == 0`: each call that ends in this way says why.
    if (why_.size() == 0 || !internal::IsForbidden(why_[0])) return Found::kUnreachable;
    fault_ = true;
    return Found::kNotAll;
  }

  void GiveUpWaiting() noexcept {
    for (const std::vector<Waiting>* const list : {&active_, &aside_}) {
      for (const Waiting& waiting : *list) Note(IndexAt(waiting.offset), Found::kUnreachable);
    }
  }

  ClaimError Verdict() const noexcept {
    if (fault_) return ClaimError::kUnknownCode;
    if (outcome.saw_all()) return ClaimError::kNoEligibleExecution;
    return outcome.partitions_seen == 0 && outcome.partitions_unreachable != 0
               ? ClaimError::kUnavailable
               : ClaimError::kNothingInWindow;
  }

  Impl& impl_;
  Session& session_;
  PartitionScan& scan_;
  const ClaimForWorkerArgs& args_;
  const ffgrant::internal::ScanWindow window_;
  std::vector<Waiting>& active_;  // partitions whose answer should come soon
  std::vector<Waiting>& aside_;   // partitions whose answer should have come by now
  const std::int64_t deadline_;
  const std::size_t room_;  // half of max_in_flight: the limit for both lists together
  std::size_t at_once_ = kAtFirst;
  std::uint32_t next_ = 0;       // the place in the window that is asked next
  std::uint32_t looked_at_ = 0;  // how many places the window has up to and including the last
                                 // one that was looked at
  bool held_ = false;            // a partition after a silent one has answered
  bool done_ = false;
  bool fault_ = false;
  ErrorDetails why_;
};

}  // namespace

ClaimForWorkerOutcome ValkeyLedger::ClaimForWorker(const ClaimForWorkerArgs& args) noexcept {
  Impl& m = *impl_;
  if (args.grant_ttl_ms < -kMaxTtlMs || args.grant_ttl_ms > kMaxTtlMs) {
    ClaimForWorkerOutcome outcome;
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  internal::SessionPool::Lease lease = m.sessions.Take();
  ffgrant::internal::ScanPlaces::Scan place(
      m.scans, ffgrant::internal::Fnv1a64(args.worker.worker_instance_id.text),
      ffgrant::internal::Fnv1a64(args.lane.text()), m.partitions().num_flow_partitions,
      args.max_partitions);
  Search search(m, lease.session, args, place.window());
  place.End(search.Run());
  return search.outcome;
}

}  // namespace ffgrant::valkey
