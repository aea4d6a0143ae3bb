// SPDX-License-Identifier: Apache-2.0
//
// Tests when exactly the embedded ledger may say that it is full: when a call needs a name or text
// that is not stored yet, and there is no room for it. A worker whose name is stored needs no room
// for a name.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/text_pool.h"
#include "ffgrant/claims/memory_ledger.h"
#include "testing/calls/ledger_calls.h"

namespace ffgrant::testing {
namespace {

constexpr int kWorkers = 4;
constexpr int kExecutions = 40;

class MemoryLedgerRoomTest : public ::testing::Test {
 protected:
  static MemoryLedgerOptions Options(const Clock& clock) {
    MemoryLedgerOptions options = SmallOptions(clock);
    options.max_executions = 64;
    options.max_names = kWorkers;
    return options;
  }
  static std::string IdOf(int number) {
    const std::string digits = std::to_string(100 + number);
    return "{fp:1}:aaaaaaaa-0000-4000-8000-000000000" + digits;
  }
  // Known() returns a worker whose name the ledger keeps, Unknown() a worker whose name it does not
  // keep.
  WorkerIdentity Known(int number) const {
    const std::string& name = names_[static_cast<std::size_t>(number % kWorkers)];
    return {{name}, {name}};
  }
  static WorkerIdentity Unknown() { return {{"nobody"}, {"nobody"}}; }

  void ExpectFullOfNames(ClaimError error, const std::string& id, const ExecutionState& before) {
    EXPECT_EQ(error, ClaimError::kLedgerFull) << id;
    EXPECT_EQ(calls_.Details(), std::vector<std::string>{"names"}) << id;
    EXPECT_EQ(calls_.State(id), before) << id;
  }

  std::vector<std::string> names_ = {"w0", "w1", "w2", "w3"};
  ManualClock clock_{TimestampMs{kNow}};
  MemoryLedger ledger_{Options(clock_)};
  Calls calls_{ledger_, clock_};
};

TEST_F(MemoryLedgerRoomTest, WhoHasANameNeedsNoRoom) {
  for (int i = 0; i < kExecutions; ++i) ASSERT_TRUE(calls_.Create(IdOf(i)));
  // The first four workers take all names. From then on each of these workers still gets grants, in
  // whatever region an execution is, and no other worker does.
  for (int i = 0; i < kExecutions; ++i) {
    const std::string id = IdOf(i);
    if (i >= kWorkers) {
      const ExecutionState before = calls_.State(id);
      ExpectFullOfNames(calls_.Issue(id, Unknown(), 1000), id, before);
    }
    ASSERT_EQ(calls_.Issue(id, Known(i), 1000), ClaimError::kNone) << id;
  }
  std::vector<LeaseFence> fences;
  for (int i = 0; i < kExecutions; ++i) {
    const std::string id = IdOf(i);
    const ExecutionState before = calls_.State(id);
    // Another instance of the worker may use the grant, but its name is not stored.
    const WorkerIdentity other = {Known(i).worker_id, {"another instance"}};
    ExpectFullOfNames(calls_.Claim(id, other).error, id, before);
    const ClaimOutcome claimed = calls_.Claim(id, Known(i), 10);
    ASSERT_TRUE(claimed) << id;
    fences.push_back(claimed.lease.fence);
  }
  // The leases run out, and still hold their workers' names. Then reclaim grants are issued and
  // used.
  clock_.Advance(10);
  for (int i = 0; i < kExecutions; ++i) {
    const std::string id = IdOf(i);
    EXPECT_EQ(ledger_.MarkLeaseExpiredIfDue(Id(id)).already, AlreadySatisfied::kNo);
    const ExecutionState before = calls_.State(id);
    ExpectFullOfNames(calls_.IssueReclaim(id, Unknown(), 1000), id, before);
    ASSERT_EQ(calls_.IssueReclaim(id, Known(i + 1), 1000), ClaimError::kNone) << id;
  }
  for (int i = 0; i < kExecutions; ++i) {
    const ClaimOutcome reclaimed = calls_.Reclaim(IdOf(i), Known(i + 1));
    ASSERT_TRUE(reclaimed);
    fences[static_cast<std::size_t>(i)] = reclaimed.lease.fence;
  }
  // The end of the last lease of one of the four workers makes room for one name, and not for a
  // second name.
  for (int i = 0; i < kExecutions; ++i) {
    if ((i + 1) % kWorkers != 0) continue;
    ASSERT_EQ(calls_.Complete(IdOf(i), fences[static_cast<std::size_t>(i)]), ClaimError::kNone);
  }
  ASSERT_TRUE(calls_.Create(IdOf(kExecutions)));
  ASSERT_TRUE(calls_.Create(IdOf(kExecutions + 1)));
  // The clock moves on, because the ledger does not search again right after a search that found no
  // room.
  clock_.Advance(1000);
  EXPECT_EQ(calls_.Issue(IdOf(kExecutions), Unknown(), 1000), ClaimError::kNone);
  EXPECT_EQ(calls_.Issue(IdOf(kExecutions + 1), {{"second"}, {"second"}}, 1000),
            ClaimError::kLedgerFull);
  EXPECT_EQ(calls_.Issue(IdOf(kExecutions + 1), Unknown(), 1000), ClaimError::kNone);
}

// After a search that has found nothing, no search is made for 100 ms. This pause ends at once if
// somebody sets the clock back; it does not last until the clock has reached the old time again.
TEST_F(MemoryLedgerRoomTest, APauseBetweenSearchesEndsWhenTheClockIsSetBack) {
  constexpr std::int64_t kHour = 3'600'000;
  struct Case {
    std::int64_t after_ms;  // the clock's time, counted from the search in vain
    bool searches;
  };
  for (const auto& [after_ms, searches] : std::initializer_list<Case>{
           {-kHour, true}, {-1, true}, {0, false}, {99, false}, {100, true}, {kHour, true}}) {
    SCOPED_TRACE(after_ms);
    clock_.Set({kNow});
    MemoryLedgerOptions options = Options(clock_);
    options.max_names = 1;
    MemoryLedger ledger(options);
    Calls calls(ledger, clock_);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(calls.Create(IdOf(i)));
    ASSERT_EQ(calls.Issue(IdOf(0), Known(0)), ClaimError::kNone);
    const ClaimOutcome claimed = calls.Claim(IdOf(0), Known(0), 2 * kHour);
    ASSERT_TRUE(claimed);
    ASSERT_EQ(calls.Issue(IdOf(2), Unknown()), ClaimError::kLedgerFull);
    // A grant to the same worker holds the name, too. The lease ends, and the grant runs out later,
    // so nobody frees the name.
    clock_.Set({kNow + after_ms - 10});
    ASSERT_EQ(calls.Issue(IdOf(1), Known(0), 5), ClaimError::kNone);
    ASSERT_EQ(calls.Complete(IdOf(0), claimed.lease.fence), ClaimError::kNone);
    clock_.Set({kNow + after_ms});
    EXPECT_EQ(calls.Issue(IdOf(2), Unknown()),
              searches ? ClaimError::kNone : ClaimError::kLedgerFull);
  }
}

// A grant without texts of its own needs no room for texts.
TEST_F(MemoryLedgerRoomTest, WhoHasNoTextsNeedsNoRoom) {
  MemoryLedgerOptions options = Options(clock_);
  options.max_text_bytes = 120;  // room for one text, and for the list with its place
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(calls.Create(IdOf(i)));
  const auto issue = [&](int i, std::string_view hash) {
    IssueGrantArgs args = calls.IssueArgs(IdOf(i), Known(0), 1000, nullptr, kMain);
    args.capability_hash = hash;
    return ledger.IssueClaimGrant(args, &calls.details).error;
  };
  ASSERT_EQ(issue(0, "hash"), ClaimError::kNone);
  EXPECT_EQ(issue(1, "hash"), ClaimError::kLedgerFull);
  EXPECT_EQ(calls.Details(), std::vector<std::string>{"texts"});
  EXPECT_EQ(issue(1, ""), ClaimError::kNone);
  EXPECT_EQ(issue(2, "h"), ClaimError::kLedgerFull);
  EXPECT_TRUE(calls.Claim(IdOf(0), Known(0)));  // this frees the grant's texts
  EXPECT_EQ(issue(2, "h"), ClaimError::kNone);
  EXPECT_EQ(issue(3, ""), ClaimError::kNone);
}

// Each of the three calls that begin a lease says whether it had no room for the worker's name or
// for the lane's text. A call that succeeds leaves no detail behind.
TEST_F(MemoryLedgerRoomTest, ALeaseWithoutRoomSaysWhatIsMissing) {
  MemoryLedgerOptions options = Options(clock_);
  options.max_names = 1;
  options.max_text_bytes = 60;  // room for a text, but not also for the list with its place
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  const std::string id = IdOf(0);
  const WorkerIdentity other_instance = {Known(0).worker_id, {"another instance"}};
  const auto expect_full = [&](const ClaimOutcome& outcome, std::string_view of) {
    EXPECT_EQ(outcome.error, ClaimError::kLedgerFull);
    EXPECT_EQ(calls.Details(), std::vector<std::string>{std::string(of)});
  };
  ASSERT_TRUE(calls.Create(id));
  ASSERT_EQ(calls.Issue(id, Known(0), 1000), ClaimError::kNone);
  expect_full(calls.Claim(id, other_instance), "names");
  expect_full(calls.Claim(id, Known(0), 1000, kOtherLane), "texts");
  const ClaimOutcome claimed = calls.Claim(id, Known(0));
  ASSERT_TRUE(claimed);
  EXPECT_TRUE(calls.Details().empty());

  ASSERT_TRUE(ledger.Suspend({Id(id), claimed.lease.fence}));
  ASSERT_TRUE(ledger.Resume({Id(id), 0}));
  ASSERT_EQ(calls.Issue(id, Known(0), 1000), ClaimError::kNone);
  expect_full(calls.ClaimResumed(id, other_instance), "names");
  expect_full(
      ledger.ClaimResumed({Id(id), Known(0), kOtherLane, {UuidOf(1)}, 1000}, &calls.details),
      "texts");
  ASSERT_TRUE(calls.ClaimResumed(id, Known(0), 10));
  EXPECT_TRUE(calls.Details().empty());

  clock_.Advance(10);
  ASSERT_TRUE(ledger.MarkLeaseExpiredIfDue(Id(id)));
  ASSERT_EQ(calls.IssueReclaim(id, Known(0), 1000), ClaimError::kNone);
  expect_full(calls.Reclaim(id, other_instance), "names");
  expect_full(ledger.Reclaim({Id(id), Known(0), kOtherLane, {UuidOf(1)}, 1000, {UuidOf(2)}, {}},
                             &calls.details),
              "texts");
  ASSERT_TRUE(calls.Reclaim(id, Known(0)));
  EXPECT_TRUE(calls.Details().empty());
}

// The bytes of a worker's long name can be freed once the worker's grant has run out, and a
// creation that needs bytes for its own long texts looks for such grants. The detail says that
// bytes for names are missing, and not a set or a lane.
TEST_F(MemoryLedgerRoomTest, ACreationTakesTheBytesOfAGrantThatHasRunOut) {
  const std::string worker(49, 'w');
  const CapabilitySet set = Caps(std::string(49, 'c'));
  const std::string lane(49, 'l');
  const struct {
    LaneIdView lane;
    const CapabilitySet* required;
  } kCases[] = {{kMain, &set}, {ParseLaneId(lane).lane, nullptr}};
  for (const auto& c : kCases) {
    clock_.Set({kNow});
    MemoryLedgerOptions options = Options(clock_);
    options.max_name_bytes = 60;  // one long name
    MemoryLedger ledger(options);
    Calls calls(ledger, clock_);
    ASSERT_TRUE(calls.Create(IdOf(0)));
    ASSERT_EQ(calls.Issue(IdOf(0), {{worker}, {"i"}}, 1000), ClaimError::kNone);
    for (int tries = 0; tries < 2; ++tries) {
      EXPECT_EQ(calls.Create(IdOf(1), c.lane, 0, c.required).error, ClaimError::kLedgerFull);
      EXPECT_EQ(calls.Details(), std::vector<std::string>{"names"});
      EXPECT_EQ(ledger.size(), 1u);
    }
    clock_.Advance(1001);
    EXPECT_TRUE(calls.Create(IdOf(1), c.lane, 0, c.required));
    // Now an execution has these bytes, and keeps them.
    clock_.Advance(1001);
    EXPECT_EQ(calls.Issue(IdOf(0), {{worker}, {"i"}}, 1000), ClaimError::kLedgerFull);
    EXPECT_EQ(calls.Issue(IdOf(0), Known(0), 1000), ClaimError::kNone);
  }
}

// Two workers' names may have the same hash of 32 bits. Each grant still has the worker that it was
// issued to.
TEST_F(MemoryLedgerRoomTest, WorkersWhoseNamesHashAlikeAreTwo) {
  MemoryLedgerOptions options = Options(clock_);
  options.hash_seed = 1;
  internal::TextPool texts(60);
  const internal::NamePool pool(1, *options.hash_seed, texts);
  std::unordered_map<std::uint32_t, std::string> by_hash;
  std::string one;
  std::string other;
  for (int i = 0; i < 10'000'000 && other.empty(); ++i) {
    const std::string name = "worker-" + std::to_string(i);
    const auto [it, is_new] = by_hash.emplace(pool.HashOf(name, "i"), name);
    if (is_new) continue;
    one = it->second;
    other = name;
  }
  ASSERT_FALSE(other.empty());
  MemoryLedger ledger(options);
  Calls calls(ledger, clock_);
  const auto worker_of = [&](int i) { return i % 3 == 0 ? "third" : i % 3 == 1 ? one : other; };
  for (int i = 0; i < kExecutions; ++i) {
    ASSERT_TRUE(calls.Create(IdOf(i)));
    const std::string worker = worker_of(i);
    ASSERT_EQ(calls.Issue(IdOf(i), {{worker}, {"i"}}), ClaimError::kNone);
  }
  for (int i = 0; i < kExecutions; ++i) {
    const auto names = ledger.InspectNames(Id(IdOf(i)));
    ASSERT_TRUE(names.has_value());
    EXPECT_EQ(names->grant_worker_id, worker_of(i)) << i;
    const std::string wrong = worker_of(i + 1);
    EXPECT_EQ(calls.Claim(IdOf(i), {{wrong}, {"i"}}).error, ClaimError::kInvalidClaimGrant) << i;
    const std::string right = worker_of(i);
    EXPECT_TRUE(calls.Claim(IdOf(i), {{right}, {"i"}})) << i;
  }
}

}  // namespace
}  // namespace ffgrant::testing
