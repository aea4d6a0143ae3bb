// SPDX-License-Identifier: Apache-2.0

#include "testing/model/linearizability.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <utility>

#include "testing/calls/make.h"

namespace ffgrant::testing {
namespace {

using Units = std::uint64_t;
constexpr std::size_t kMaxUnits = 64;

// A step of the search: a call, or a part of a call that takes several steps.
struct Unit {
  std::size_t entry = 0;
  std::uint8_t execution = 0;  // the only execution that a part concerns
  bool is_part = false;
  Units before = 0;  // the units that must be done before this one
};

// The state of the search, without the set of units that are done: the model, and what each round
// of maintenance has found so far.
struct Place {
  explicit Place(const ModelLedger& m) : model(m) {}
  ModelLedger model;
  std::vector<std::pair<std::size_t, Maintained>> found;

  bool Same(const Place& other) const {
    return found == other.found && model.SameState(other.model);
  }
  Maintained& FoundBy(std::size_t entry) {
    for (auto& [of, counts] : found) {
      if (of == entry) return counts;
    }
    return found.emplace_back(entry, Maintained{}).second;
  }
};

bool IsScanInVain(const HistoryEntry& entry) {
  return entry.call.kind() == CallKind::kClaimForWorker &&
         entry.answer.error == ClaimError::kNoEligibleExecution;
}

bool NeedsNames(CallKind kind) {
  switch (kind) {
    case CallKind::kCreate:
    case CallKind::kIssue:
    case CallKind::kClaimForWorker:
    case CallKind::kClaim:
    case CallKind::kClaimResumed:
    case CallKind::kIssueReclaim:
    case CallKind::kReclaim:
      return true;
    default:
      return false;
  }
}

class Search {
 public:
  Search(const History& history, ManualClock& clock, const Circumstances& circumstances)
      : history_(history), clock_(clock), start_(clock.Now()), circumstances_(circumstances) {
    MakeUnits();
  }
  ~Search() { clock_.Set(start_); }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  bool Find(const ModelLedger& start) {
    Place place(start);
    if (Straight(place)) return true;
    return From(0, Place(start));
  }

 private:
  void MakeUnits();
  // Tries only one order: the order in which the calls seem to have acted.
  bool Straight(Place& place);
  bool From(Units done, Place place);
  // Returns the step that must come next; null if there is none or a choice, or if the next step is
  // a part of a call.
  const Unit* OnlyStep(Units done) const;
  // Does a step. Returns false if the step is not possible now. Sets `again` to whether the same
  // step may be done once more.
  bool Do(const Unit& unit, Units done, Place& place, bool& again);
  bool DoPart(const Unit& unit, Units done, Place& place, bool& again);
  bool DoCall(const HistoryEntry& entry, Place& place);
  void SetClock(Units done);

  const History& history_;
  ManualClock& clock_;
  const TimestampMs start_;
  const Circumstances& circumstances_;
  std::vector<Unit> units_;
  Units all_ = 0;
  std::unordered_map<Units, std::vector<std::unique_ptr<Place>>> been_;
};

void Search::MakeUnits() {
  std::vector<std::size_t> order(history_.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return history_[a].acted_at < history_[b].acted_at;
  });
  for (const std::size_t i : order) {
    const HistoryEntry& entry = history_[i];
    if (entry.call.kind() == CallKind::kMaintain || IsScanInVain(entry)) {
      for (std::uint8_t e = 0; e < kExecutions; ++e) units_.push_back({i, e, true, 0});
    } else {
      units_.push_back({i, 0, false, 0});
    }
  }
  if (units_.size() > kMaxUnits) std::abort();
  for (Unit& unit : units_) {
    const HistoryEntry& later = history_[unit.entry];
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const HistoryEntry& earlier = history_[units_[i].entry];
      const bool same_batch = later.call.in_batch && earlier.call.in_batch &&
                              later.fiber == earlier.fiber && later.called_at == earlier.called_at;
      if (earlier.returned_at < later.called_at || (same_batch && units_[i].entry < unit.entry)) {
        unit.before |= Units{1} << i;
      }
    }
  }
  all_ = units_.size() == kMaxUnits ? ~Units{0} : (Units{1} << units_.size()) - 1;
}

void Search::SetClock(Units done) {
  std::int64_t now = start_.value;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const auto* advance = history_[units_[i].entry].call.As<calls::Advance>();
    if ((done >> i & 1) != 0 && advance != nullptr) now += advance->args;
  }
  clock_.Set({now});
}

bool Search::DoCall(const HistoryEntry& entry, Place& place) {
  const Call& call = entry.call;
  const CallKind kind = call.kind();
  if (kind == CallKind::kAdvance) return true;
  if (entry.answer.error == ClaimError::kLedgerFull) {
    // At the end of a race there is room for names again, so only the threads' calls may have found
    // none.
    const bool racing = entry.fiber >= 0;
    if (racing && circumstances_.names_may_run_out && NeedsNames(kind)) return true;
    return kind == CallKind::kCreate &&
           entry.answer.details == std::vector<std::string>{"executions"} &&
           place.model.size() >= circumstances_.max_executions &&
           !place.model.Inspect(call.execution()).has_value();
  }
  if (const auto* scan = call.As<calls::ClaimForWorker>(); scan != nullptr && entry.answer.chosen) {
    const ChosenGrant& chosen = *entry.answer.chosen;
    const std::vector<std::string> allowed = place.model.AllowedChoices(scan->args);
    if (std::count(allowed.begin(), allowed.end(), chosen.execution_id.text()) == 0) return false;
    const IssueOutcome issued =
        place.model.IssueClaimGrant(GrantFor(scan->args, chosen.execution_id.view()));
    return issued && static_cast<std::uint64_t>(issued.expires_at.value) == chosen.expires_at_ms;
  }
  // A ledger without room refuses a creation that the model accepts.
  if (kind == CallKind::kCreate && place.model.size() >= circumstances_.max_executions &&
      !place.model.Inspect(call.execution()).has_value()) {
    return false;
  }
  return Make(place.model, call) == entry.answer;
}

bool Search::DoPart(const Unit& unit, Units done, Place& place, bool& again) {
  const HistoryEntry& entry = history_[unit.entry];
  const ExecutionIdView id = ExecutionAt(unit.execution);
  if (IsScanInVain(entry)) {
    return !place.model.IsToBeHad(entry.call.As<calls::ClaimForWorker>()->args,
                                  std::string(id.text()));
  }
  const ModelLedger::MaintenanceResult result = place.model.RunMaintenance(id);
  const Maintained told = *entry.answer.maintained;
  Maintained& found = place.FoundBy(unit.entry);
  found.leases_expired += result.leases_expired;
  found.promoted += result.promoted;
  // A round looks at each slot once, but an execution may move to another slot and be looked at
  // again.
  again = result.leases_expired + result.promoted != 0;
  if (found.leases_expired > told.leases_expired || found.promoted > told.promoted) return false;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    const bool is_this = &units_[i] == &unit;
    if (units_[i].entry == unit.entry && !is_this && (done >> i & 1) == 0) return true;
  }
  return again || found == told;
}

bool Search::Do(const Unit& unit, Units done, Place& place, bool& again) {
  SetClock(done);
  again = false;
  return unit.is_part ? DoPart(unit, done, place, again) : DoCall(history_[unit.entry], place);
}

bool Search::Straight(Place& place) {
  Units done = 0;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    bool again = false;
    if ((units_[i].before & ~done) != 0 || !Do(units_[i], done, place, again)) return false;
    done |= Units{1} << i;
  }
  for (auto& [entry, counts] : place.found) {
    if (counts != history_[entry].answer.maintained) return false;
  }
  return true;
}

const Unit* Search::OnlyStep(Units done) const {
  const Unit* only = nullptr;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if ((done >> i & 1) != 0 || (units_[i].before & ~done) != 0) continue;
    if (only != nullptr || units_[i].is_part) return nullptr;
    only = &units_[i];
  }
  return only;
}

bool Search::From(Units done, Place place) {
  // Steps without an alternative are done in this loop, since the search never has to undo them.
  while (const Unit* const only = OnlyStep(done)) {
    bool again = false;
    if (!Do(*only, done, place, again)) return false;
    done |= Units{1} << (only - units_.data());
  }
  if (done == all_) {
    return std::all_of(place.found.begin(), place.found.end(), [&](const auto& found) {
      return found.second == history_[found.first].answer.maintained;
    });
  }
  auto& places = been_[done];
  for (const auto& been : places) {
    if (been->Same(place)) return false;
  }
  places.push_back(std::make_unique<Place>(place));
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if ((done >> i & 1) != 0 || (units_[i].before & ~done) != 0) continue;
    Place next(place);
    bool again = false;
    if (!Do(units_[i], done, next, again)) continue;
    if (again && From(done, next)) return true;
    if (From(done | Units{1} << i, std::move(next))) return true;
  }
  return false;
}

}  // namespace

std::string CheckLinearizable(const History& history, const ModelLedger& start, ManualClock& clock,
                              const Circumstances& circumstances) {
  Search search(history, clock, circumstances);
  if (search.Find(start)) return {};
  return "no order of these calls explains the answers:\n" + Describe(history);
}

std::string CheckInvariants(const History& history, const History& before) {
  struct Seen {
    std::vector<const HistoryEntry*> leases;  // leases that were created
    std::size_t grants = 0;                   // grants that were issued
    bool forgotten = false;
  };
  std::array<Seen, kExecutions + 1> seen;  // the last element is for calls about no execution
  std::vector<const HistoryEntry*> all;
  for (const HistoryEntry& entry : before) all.push_back(&entry);
  for (const HistoryEntry& entry : history) all.push_back(&entry);
  for (const HistoryEntry* each : all) {
    const HistoryEntry& entry = *each;
    if (entry.answer.chosen) ++seen[NumberOf(entry.answer.chosen->execution_id.view())].grants;
    Seen& s = seen[entry.execution];
    if (entry.answer.lease) s.leases.push_back(&entry);
    if (!entry.answer.ok()) continue;
    const CallKind kind = entry.call.kind();
    if (kind == CallKind::kIssue || kind == CallKind::kIssueReclaim) ++s.grants;
    if (kind == CallKind::kForget) s.forgotten = true;
  }
  for (Seen& s : seen) {
    if (s.leases.size() > s.grants) return "a grant was consumed twice:\n" + Describe(history);
    if (s.forgotten) continue;  // a new execution begins, whose epochs start anew
    std::sort(s.leases.begin(), s.leases.end(), [](const HistoryEntry* a, const HistoryEntry* b) {
      return a->answer.lease->fence.lease_epoch < b->answer.lease->fence.lease_epoch;
    });
    for (std::size_t i = 1; i < s.leases.size(); ++i) {
      const HistoryEntry& older = *s.leases[i - 1];
      const HistoryEntry& newer = *s.leases[i];
      const auto both = [&] { return ":\n" + Describe(History{older, newer}); };
      const Lease& old_lease = *older.answer.lease;
      const Lease& new_lease = *newer.answer.lease;
      if (new_lease.fence.lease_epoch.value != old_lease.fence.lease_epoch.value + 1) {
        return "an epoch came twice, or was left out" + both();
      }
      if (newer.returned_at < older.called_at) return "epochs did not grow with time" + both();
      const bool resumed = new_lease.kind == LeaseKind::kResumed;
      if (new_lease.attempt_index.value != old_lease.attempt_index.value + (resumed ? 0 : 1)) {
        return "the attempt index is wrong" + both();
      }
      // The older lease must have ended: by suspension, failure, revocation or time.
      const bool ended = std::any_of(all.begin(), all.end(), [&](const HistoryEntry* each) {
        const HistoryEntry& e = *each;
        if (e.called_at > newer.returned_at) return false;
        if (e.answer.maintained && e.answer.maintained->leases_expired != 0) return true;
        if (e.execution != older.execution) return false;
        const bool did = e.answer.ok();
        return (did && e.answer.revoked &&
                e.answer.revoked->lease_epoch == old_lease.fence.lease_epoch) ||
               (did && e.call.kind() == CallKind::kSuspend) ||
               (did && e.call.kind() == CallKind::kFail) ||
               (did && e.call.kind() == CallKind::kMarkExpired) ||
               e.answer.error == ClaimError::kLeaseExpired;
      });
      if (!ended) return "two leases at a time" + both();
    }
  }
  return {};
}

std::string Describe(const History& history) {
  std::string text;
  for (const HistoryEntry& entry : history) {
    text += "  " + std::to_string(entry.called_at) + ".." + std::to_string(entry.returned_at) +
            " fiber " + std::to_string(entry.fiber) + ": " + Describe(entry.call) + " -> " +
            Describe(entry.answer) + "\n";
  }
  return text;
}

}  // namespace ffgrant::testing
