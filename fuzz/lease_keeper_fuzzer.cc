// SPDX-License-Identifier: Apache-2.0
//
// Keeps leases (lease_keeper.h) on a clock that the input moves, with a ledger that answers as the
// input says and takes its time. A naive list of leases knows until when each is held and when its
// next renewal is due, and judges each renewal, each loss that is told, and every answer of the
// keeper. Then the target ends an attempt (ending.h) on a ledger whose answers are lost as the
// input says. A naive reading of these answers says how often the call is made and what comes of
// it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/claims/ending.h"
#include "ffgrant/claims/lease_keeper.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/text_mutation.h"
#include "testing/calls/calling_ledger.h"

namespace ffgrant::fuzz {
namespace {

using testing::Answer;
using testing::Call;

// ---- the keeper ----------------------------------------------------------------

// What the keeper must say about one lease.
struct Expected {
  std::string id;
  std::uint64_t epoch = 0;
  std::int64_t ttl_ms = 0;
  std::int64_t held_until = 0;
  // The next renewal is due within these bounds; rounding decides when.
  std::int64_t due_first = 0;
  std::int64_t due_last = 0;
  bool renewed = false;  // in the RunDue() that is under way
  bool must_renew = false;
  ClaimError error = ClaimError::kNone;  // why it is lost
  bool is_released = false;
  int told = 0;  // how often on_lost was called
};

class Keeping : public testing::CallingLedger {
 public:
  Keeping(std::string_view input, Choices& choices) : input_(input), choices_(choices) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double usual_parts[] = {1.0 / 3, 0.05, 0.5, 0.9, 0.7};
    const std::int64_t margins[] = {0, 100, 1, 250, 5000};
    const std::int64_t retries[] = {250, 1, 1000};
    const std::size_t renewers[] = {1, 4, 64};
    options_.renew_after = OneOf(choices_, usual_parts);
    options_.jitter = 0;  // a jitter is drawn by chance, and a target does the same each time
    options_.margin_ms = OneOf(choices_, margins);
    options_.retry_ms = OneOf(choices_, retries);
    options_.renewers = OneOf(choices_, renewers);
    const double bad_parts[] = {0.049, 0.91, nan};
    const double bad_jitters[] = {-0.01, 0.51, nan};
    const std::size_t bad_renewers[] = {0, 65};
    switch (choices_.Below(32)) {
      case 31:
        Refused(options_.renew_after, OneOf(choices_, bad_parts));
        return;
      case 30:
        Refused(options_.jitter, OneOf(choices_, bad_jitters));
        return;
      case 29:
        Refused(options_.renewers, OneOf(choices_, bad_renewers));
        return;
      case 28:
        Refused(options_.margin_ms, std::int64_t{-1});
        return;
      case 27:
        Refused(options_.retry_ms, std::int64_t{0});
        return;
      default:
        break;
    }
    keeper_ = Made();
  }

  void Step() {
    if (keeper_ == nullptr) return;
    const std::int64_t passes[] = {0, 1, 10, 99, 100, 250, 333, 334, 1000, 10'000};
    switch (choices_.Below(8)) {
      case 0:
      case 1:
        Keep();
        break;
      case 2:
      case 3:
        now_ += OneOf(choices_, passes);
        break;
      case 4:
        if (!leases_.empty()) Release(choices_.Below(static_cast<std::uint32_t>(leases_.size())));
        break;
      case 5:
        CheckSize();
        break;
      default:
        RunDue();
        break;
    }
    for (std::size_t i = 0; i < leases_.size(); ++i) CheckLease(i);
  }

  // Answers a renewal. A server takes its time, and other leases may run out meanwhile.
  Answer Do(const Call& call) override {
    const auto* const renew = call.As<testing::calls::Renew>();
    if (renew == nullptr) fuzz::Fail("a call that is no renewal", input_);
    Expected* found = nullptr;
    for (Expected& lease : expected_) {
      if (lease.id == renew->args.execution_id.text()) found = &lease;
    }
    if (found == nullptr || !renew->args.fence.lease_epoch ||
        renew->args.fence.lease_epoch->value != found->epoch ||
        renew->args.attempt_index.value != found->epoch + 1 ||
        renew->args.lease_ttl_ms != found->ttl_ms) {
      fuzz::Fail("the arguments of a renewal", input_);
    }
    Pass(0);
    if (found->error != ClaimError::kNone || found->is_released) {
      fuzz::Fail("a lost or released lease is renewed", input_);
    }
    if (found->renewed || found->due_first > begin_) fuzz::Fail("it is not due", input_);
    for (const Expected& other : expected_) {
      if (IsHeld(other) && !other.renewed && other.due_last < found->due_first) {
        fuzz::Fail("another lease has been due for longer", input_);
      }
    }
    found->renewed = true;
    const std::int64_t sent = now_;
    const ClaimError errors[] = {ClaimError::kNone,         ClaimError::kNone,
                                 ClaimError::kUnavailable,  ClaimError::kUnknownOutcome,
                                 ClaimError::kStaleLease,   ClaimError::kLeaseRevoked,
                                 ClaimError::kLeaseExpired, ClaimError::kExecutionNotActive,
                                 ClaimError::kInvalidInput};
    const std::int64_t takes[] = {0, 0, 0, 1, 100, 2000};
    Answer answer;
    answer.error = OneOf(choices_, errors);
    if (answer.ok()) answer.expires_at = TimestampMs{1};  // by a clock that is not the keeper's
    Pass(OneOf(choices_, takes));
    if (found->error != ClaimError::kNone) return answer;  // it has run out
    if (answer.ok()) {
      found->held_until = sent + found->ttl_ms - options_.margin_ms;
      SetDue(*found, sent);
    } else if (answer.error == ClaimError::kUnavailable ||
               answer.error == ClaimError::kUnknownOutcome) {
      found->due_first = found->due_last = now_ + options_.retry_ms;
    } else {
      found->error = answer.error;
    }
    return answer;
  }

 private:
  static bool IsHeld(const Expected& lease) {
    return lease.error == ClaimError::kNone && !lease.is_released;
  }

  std::unique_ptr<LeaseKeeper> Made() {
    options_.has_threads = false;
    options_.now_ms = [this] { return now_; };
    options_.on_lost = [this](const ExecutionIdView& id, ClaimError why) { Told(id, why); };
    return std::make_unique<LeaseKeeper>(*this, options_);
  }

  template <class T>
  void Refused(T& option, T value) {
    option = value;
    try {
      (void)Made();
    } catch (const std::invalid_argument&) {
      return;
    }
    fuzz::Fail("options out of range are taken", input_);
  }

  // Lets the clock go on. A lease whose time is over is lost for good.
  void Pass(std::int64_t ms) {
    now_ += ms;
    for (Expected& lease : expected_) {
      if (IsHeld(lease) && lease.held_until <= now_) lease.error = ClaimError::kLeaseExpired;
    }
  }

  // The header's rule: a part of the ttl, but at the latest a half, or that part if it is more, of
  // the time without the margin. Milliseconds are rounded up or down.
  void SetDue(Expected& lease, std::int64_t sent) {
    const auto ttl = static_cast<double>(lease.ttl_ms);
    const double held = ttl - static_cast<double>(options_.margin_ms);
    const double full =
        std::min(ttl * options_.renew_after, held * std::max(options_.renew_after, 0.5));
    const auto first = static_cast<std::int64_t>(std::floor(full));
    const auto last = static_cast<std::int64_t>(std::ceil(full));
    lease.due_first = sent + std::max<std::int64_t>(1, first);
    lease.due_last = sent + std::max<std::int64_t>(1, last);
  }

  void Keep() {
    if (leases_.size() >= 5) return;
    const std::int64_t ttls[] = {3000, 1, 99, 100, 101, 333, 1000, 30'000};
    const std::int64_t ages[] = {0, 0, 1, 50, 500};
    auto& lease = *expected_.emplace(expected_.end());
    lease.id = "{fp:7}:11111111-1111-4111-8111-11111111111" + std::to_string(leases_.size());
    lease.epoch = leases_.size() + 1;
    lease.ttl_ms = OneOf(choices_, ttls);
    const std::int64_t sent = now_ - OneOf(choices_, ages);
    lease.held_until = sent + lease.ttl_ms - options_.margin_ms;
    SetDue(lease, sent);
    Lease taken;
    taken.fence.lease_epoch = {lease.epoch};
    taken.attempt_index = {static_cast<std::uint32_t>(lease.epoch + 1)};
    // The keeper copies the id, so the text may go at once.
    const std::string text = lease.id;
    const ExecutionIdView id = ParseExecutionId(text, ParseMode::kStrict).id;
    leases_.push_back(keeper_->Keep(id, taken, lease.ttl_ms, sent));
  }

  void Release(std::size_t i) {
    if (choices_.OneIn(4)) {  // a lease that is moved stays kept
      KeptLease moved = std::move(leases_[i]);
      if (leases_[i]) fuzz::Fail("a lease that was moved away is kept", input_);
      leases_[i] = std::move(moved);
      return;
    }
    leases_[i].Release();
    expected_[i].is_released = true;
  }

  void Told(const ExecutionIdView& id, ClaimError why) {
    for (Expected& lease : expected_) {
      if (lease.id != id.text()) continue;
      Pass(0);
      if (lease.is_released || lease.told++ > 0 || lease.error == ClaimError::kNone ||
          lease.error != why) {
        fuzz::Fail("a loss that is told", input_, ErrorName(lease.error), ErrorName(why));
      }
      return;
    }
    fuzz::Fail("a loss of nothing", input_);
  }

  void RunDue() {
    Pass(0);
    begin_ = now_;
    for (Expected& lease : expected_) {
      lease.renewed = false;
      lease.must_renew = IsHeld(lease) && lease.due_last <= begin_;
    }
    const std::int64_t wait = keeper_->RunDue();
    Pass(0);
    std::int64_t first = 1000;
    std::int64_t last = 1000;
    for (const Expected& lease : expected_) {
      if (!IsHeld(lease)) {
        if (!lease.is_released && lease.told != 1) fuzz::Fail("a loss is not told", input_);
        continue;
      }
      if (lease.must_renew && !lease.renewed) fuzz::Fail("a due lease is not renewed", input_);
      first = std::min({first, lease.due_first - now_, lease.held_until - now_});
      last = std::min({last, lease.due_last - now_, lease.held_until - now_});
    }
    first = std::max<std::int64_t>(first, 1);
    last = std::max<std::int64_t>(last, 1);
    if (wait < first || wait > last) {
      fuzz::Fail("when to call again", input_, std::to_string(first) + ".." + std::to_string(last),
                 std::to_string(wait));
    }
    Observe(static_cast<std::uint64_t>(wait == first));
  }

  void CheckSize() {
    Pass(0);
    const auto held =
        static_cast<std::size_t>(std::count_if(expected_.begin(), expected_.end(), IsHeld));
    if (keeper_->size() != held) {
      fuzz::Fail("the number of leases", input_, std::to_string(held),
                 std::to_string(keeper_->size()));
    }
  }

  void CheckLease(std::size_t i) {
    Pass(0);
    const KeptLease& kept = leases_[i];
    const Expected& lease = expected_[i];
    const ClaimError error = lease.is_released ? ClaimError::kNone : lease.error;
    const std::int64_t left = IsHeld(lease) ? lease.held_until - now_ : 0;
    if (kept.error() != error || kept.lost() != (error != ClaimError::kNone) ||
        static_cast<bool>(kept) == lease.is_released || kept.LeftMs() != left) {
      fuzz::Fail(
          "a kept lease", input_,
          std::string(ErrorName(error)) + ", " + std::to_string(left) + " ms",
          std::string(ErrorName(kept.error())) + ", " + std::to_string(kept.LeftMs()) + " ms");
    }
    Observe(static_cast<std::uint64_t>(left));
  }

  std::string_view input_;
  Choices& choices_;
  LeaseKeeperOptions options_;
  std::int64_t now_ = 50'000;
  std::int64_t begin_ = 0;  // of the RunDue() that is under way
  std::vector<Expected> expected_;
  std::unique_ptr<LeaseKeeper> keeper_;
  std::vector<KeptLease> leases_;
};

// ---- the end of an attempt -------------------------------------------------------

struct Reply {
  ClaimError error = ClaimError::kNone;
  std::vector<std::string> details;
};

// A ledger whose answers are given beforehand.
struct Script {
  std::vector<Reply> replies;
  std::size_t asked = 0;

  template <class Result>
  Result Next(ErrorDetails* details) {
    const Reply& reply = replies[asked++ % replies.size()];
    details->clear();
    for (const std::string& detail : reply.details) details->Add(std::string_view(detail));
    Result result;
    result.error = reply.error;
    return result;
  }
  Outcome Complete(const CompleteArgs&, std::string_view, ErrorDetails* details) {
    return Next<Outcome>(details);
  }
  FailOutcome Fail(const FailArgs&, ErrorDetails* details) { return Next<FailOutcome>(details); }
};

// What an answer says about an earlier call with the same fence (live-observed.md, 1 and 3).
enum class Earlier : std::uint8_t { kNothing, kEnded, kRetried };

Earlier EarlierCall(const Reply& reply, bool completes, const std::string& epoch,
                    const std::string& attempt) {
  if (reply.error != ClaimError::kExecutionNotActive || reply.details.size() != 4 ||
      epoch.empty() || reply.details[1] != epoch) {
    return Earlier::kNothing;
  }
  const std::string& outcome = reply.details[0];
  const std::string& phase = reply.details[2];
  const bool same_attempt = !attempt.empty() && reply.details[3] == attempt;
  if (completes) return outcome == "success" && same_attempt ? Earlier::kEnded : Earlier::kNothing;
  if (phase == "terminal" && outcome == "failed" && same_attempt) return Earlier::kEnded;
  // A retry that waits has no attempt.
  return phase == "runnable" && reply.details[3].empty() ? Earlier::kRetried : Earlier::kNothing;
}

void CheckEnding(std::string_view input, Choices& choices) {
  const std::string own_attempt = "11111111-1111-4111-8111-111111111111";
  const ClaimError errors[] = {ClaimError::kExecutionNotActive, ClaimError::kUnknownOutcome,
                               ClaimError::kUnavailable, ClaimError::kNone,
                               ClaimError::kStaleLease};
  const std::string outcomes[] = {"success", "failed", "cancelled", ""};
  const std::string epochs[] = {"7", "8", ""};
  const std::string phases[] = {"terminal", "runnable", "active"};
  const std::string attempts[] = {own_attempt, "", "22222222-2222-4222-8222-222222222222"};
  Script script;
  for (int i = 0; i < 4; ++i) {
    Reply reply;
    reply.error = OneOf(choices, errors);
    reply.details = {OneOf(choices, outcomes), OneOf(choices, epochs), OneOf(choices, phases),
                     OneOf(choices, attempts)};
    if (choices.OneIn(8)) reply.details.resize(choices.Below(4));
    script.replies.push_back(std::move(reply));
  }
  OptionalFence fence;
  if (!choices.OneIn(8)) fence.lease_epoch = LeaseEpoch{7};
  if (!choices.OneIn(8)) {
    fence.attempt_id = AttemptId{ParseUuid(own_attempt, ParseMode::kStrict).uuid};
  }
  const bool completes = choices.OneIn(2);

  std::size_t asked = 0;
  ClaimError error = ClaimError::kNone;
  Earlier earlier = Earlier::kNothing;
  for (bool again = true; again && asked < 3;) {
    const Reply& reply = script.replies[asked++];
    earlier = EarlierCall(reply, completes, fence.lease_epoch ? "7" : "",
                          fence.attempt_id ? own_attempt : "");
    error = earlier == Earlier::kNothing ? reply.error : ClaimError::kNone;
    again = error == ClaimError::kUnknownOutcome || error == ClaimError::kUnavailable;
  }
  ClaimError got;
  bool retried = false;
  if (completes) {
    got = CompleteOnce(script, {.execution_id = {}, .fence = fence}, "done").error;
  } else {
    const FailOutcome outcome = FailOnce(script, {.execution_id = {}, .fence = fence});
    got = outcome.error;
    retried = outcome.retried;
    if (outcome.delay_until.value != 0) Fail("the end of a delay that nobody knows", input);
  }
  if (got != error || script.asked != asked || retried != (earlier == Earlier::kRetried)) {
    Fail("the end of an attempt", input,
         std::string(ErrorName(error)) + " after " + std::to_string(asked),
         std::string(ErrorName(got)) + " after " + std::to_string(script.asked));
  }
  Observe(static_cast<std::uint64_t>(got));
}

void Generate(Random& random, TextBuffer& text) {
  for (std::size_t bytes = 8 + random.Below(120); bytes > 0; --bytes) {
    text.Append(static_cast<char>(random.OneIn(2) ? random.Below(8) : random.Below(256)));
  }
}

constexpr TextGrammar kGrammar = {
    Generate, {}, std::string_view("\0\x01\x02\x03\x04\x05\x06\x07", 8)};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Choices choices(input);
  CheckEnding(input, choices);
  Keeping keeping(input, choices);
  for (int steps = 0; steps < 64 && !choices.empty(); ++steps) keeping.Step();
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
