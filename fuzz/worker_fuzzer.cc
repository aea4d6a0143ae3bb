// SPDX-License-Identifier: Apache-2.0
//
// Runs the worker (contract 7.2 worker side, 7.6). Grants are handed in one after the other,
// permits are released and moved in any order, and the ledger answers as the input says. A naive
// count of permits and a list of the expected calls judge the worker. Every error code must keep
// its name and classes (contract 8). The clocks are checked once in each process.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/claims/clock.h"
#include "ffgrant/claims/worker.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/text_mutation.h"
#include "oracles/error_codes.h"
#include "testing/model/scripted_ledger.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::fuzz {
namespace {

using testing::ScriptedLedger;

constexpr std::string_view kIds[] = {"{fp:7}:11111111-1111-4111-8111-111111111111",
                                     "{fp:7}:22222222-2222-4222-8222-222222222222"};
constexpr std::string_view kLanes[] = {"main", "gpu"};
constexpr std::string_view kKeys[] = {"{fp:7}", "{fp:+7}", "{fp:65536}", "fp:7", "{b:1}", ""};
constexpr std::int64_t kTtl = 12345;
constexpr std::size_t kClaims = 4;

// One run: a worker, the claims that it holds, and the state that is expected.
class Session {
 public:
  Session(std::string_view input, Choices& choices)
      : input_(input),
        choices_(choices),
        permits_(choices.Below(4)),
        worker_(ledger_, clock_, {"w1", "w1-i1", permits_, kTtl}) {
    ledger_.watched = &worker_;
  }

  void Step() {
    switch (choices_.Below(6)) {
      case 0:
        Drop();
        break;
      case 1:
        Move();
        break;
      case 2:
        ClaimResumed();
        break;
      case 3:
        Reclaim();
        break;
      default:
        Claim();
        break;
    }
    if (worker_.permits_in_use() != Held()) {
      Fail("permits in use", input_, std::to_string(Held()),
           std::to_string(worker_.permits_in_use()));
    }
    Observe(Held());
  }

 private:
  std::uint32_t Held() const {
    std::uint32_t held = 0;
    for (const bool holds : holds_) held += holds ? 1 : 0;
    return held;
  }
  ExecutionIdView ChooseId() {
    return ParseExecutionId(kIds[choices_.Below(2)], ParseMode::kLenient).id;
  }
  LaneIdView ChooseLane() { return LaneIdView::Unchecked(kLanes[choices_.Below(2)]); }
  ClaimGrantView ChooseGrant() {
    ClaimGrantView grant;
    grant.execution_id = ChooseId();
    grant.partition_key = kKeys[choices_.OneIn(2) ? choices_.Below(std::size(kKeys)) : 0];
    grant.grant_key = "opaque";
    constexpr std::uint64_t kTimes[] = {0, 999, 1000, 1001, ~std::uint64_t{0}};
    grant.expires_at_ms = kTimes[choices_.Below(std::size(kTimes))];
    return grant;
  }
  ClaimError ChooseAnswer() {
    switch (choices_.Below(4)) {
      case 0: {
        const std::size_t code = choices_.Below(std::size(kErrorCodes) + 1);
        return code == std::size(kErrorCodes) ? ClaimError::kUnknownOutcome
                                              : kErrorCodes[code].error;
      }
      case 1:
        return ClaimError::kUseClaimResumedExecution;
      default:
        return ClaimError::kNone;
    }
  }

  void Drop() {
    const std::size_t slot = choices_.Below(kClaims);
    claims_[slot].permit.Release();
    claims_[slot].permit.Release();  // a second release changes nothing
    holds_[slot] = false;
  }
  void Move() {
    const std::size_t from = choices_.Below(kClaims);
    const std::size_t to = choices_.Below(kClaims);
    if (choices_.OneIn(2)) {
      claims_[to].permit = std::move(claims_[from].permit);
    } else {  // moves the permit through a third object
      WorkerPermit permit(std::move(claims_[from].permit));
      claims_[to].permit = std::move(permit);
    }
    // A permit that is moved onto itself stays where it is, whether it is moved directly or through
    // a third object.
    if (from != to) holds_[to] = std::exchange(holds_[from], false);
    if (static_cast<bool>(claims_[to].permit) != holds_[to] ||
        static_cast<bool>(claims_[from].permit) != holds_[from]) {
      Fail("a permit was lost or doubled by a move", input_);
    }
  }

  // Checks the outcome of a call. `early` is the error with which the worker itself refuses, or
  // kNone. If `early` is kNone, the worker must call the ledger once, or twice if a claim's first
  // answer is kUseClaimResumedExecution. Each of these calls gets the next answer.
  template <class Call>
  void Expect(ClaimError early, std::string_view call_name, const ExecutionIdView& id,
              LaneIdView lane, Call call) {
    const std::array<ClaimError, 2> answers = {ChooseAnswer(), ChooseAnswer()};
    ledger_.answers.assign(answers.begin(), answers.end());
    ledger_.calls.clear();
    const std::size_t slot = choices_.Below(kClaims);
    ErrorDetails details;
    details.Add("left over");
    const bool wants_details = choices_.OneIn(2);
    const std::uint32_t held = Held();
    WorkerClaim claim = call(wants_details ? &details : nullptr);

    std::size_t calls = 0;
    ClaimError expected = early;
    if (early == ClaimError::kNone) {
      calls = 1;
      expected = answers[0];
      if (call_name == "claim" && expected == ClaimError::kUseClaimResumedExecution) {
        calls = 2;
        expected = answers[1];
      }
    }
    if (claim.error != expected || static_cast<bool>(claim.permit) != !Refused(expected) ||
        ledger_.calls.size() != calls) {
      Fail(
          "a claim's outcome", input_,
          std::string(ErrorName(expected)) + ", calls: " + std::to_string(calls),
          std::string(ErrorName(claim.error)) + ", calls: " + std::to_string(ledger_.calls.size()));
    }
    // A refusal by the ledger has a detail, and so has the worker's own refusal of a partition key.
    // No other answer has one.
    const bool is_explained = early == ClaimError::kInvalidPartitionKey ||
                              (early == ClaimError::kNone && Refused(expected));
    if (wants_details && details.size() != (is_explained ? 1u : 0u)) Fail("details", input_);
    for (std::size_t i = 0; i < calls; ++i) {
      CheckCall(ledger_.calls[i], i == 0 ? call_name : "claim_resumed", id, lane, held);
    }
    if (calls == 2 && ledger_.calls[0].lease_id != ledger_.calls[1].lease_id) {
      Fail("another lease id on the resume path", input_);
    }
    if (!Refused(expected) && (claim.lease.fence.lease_id != ledger_.calls[calls - 1].lease_id ||
                               claim.lease.fence.lease_epoch.value != 9)) {
      Fail("the ledger's lease was not handed on", input_);
    }
    if (Refused(expected)) {
      // After a lost answer the claim names the lease that was asked for, and nothing else.
      Lease named;
      if (expected == ClaimError::kUnknownOutcome) {
        named.fence.lease_id = ledger_.calls[calls - 1].lease_id;
      }
      if (claim.lease != named) Fail("the lease of a claim that was refused", input_);
    }
    // If the slot held a permit before, the assignment releases it.
    holds_[slot] = !Refused(expected);
    claims_[slot] = std::move(claim);
    Observe(static_cast<std::uint64_t>(expected));
  }
  static bool Refused(ClaimError error) { return error != ClaimError::kNone; }

  void CheckCall(const ScriptedLedger::Asked& call, std::string_view name,
                 const ExecutionIdView& id, LaneIdView lane, std::uint32_t held) {
    const bool new_attempt = name != "claim_resumed";
    if (call.name != name || call.id != id.text() || call.lane != lane ||
        call.worker.worker_id.text != "w1" || call.worker.worker_instance_id.text != "w1-i1" ||
        call.lease_ttl_ms != kTtl || call.lease_id.uuid == Uuid() ||
        (call.attempt_id.uuid == Uuid()) == new_attempt ||
        call.lease_id.uuid == call.attempt_id.uuid || call.permits_in_use != held + 1 ||
        (name != "reclaim" && call.max_reclaim_count.has_value())) {
      Fail("a call to the ledger", input_, name, call.name);
    }
  }

  ClaimError Early(const ClaimGrantView& grant) const {
    if (Held() >= permits_) return ClaimError::kWorkerAtCapacity;
    const auto key = testing::NaiveParsePartitionKey(grant.partition_key, ParseMode::kLenient);
    return key ? ClaimError::kNone : ClaimError::kInvalidPartitionKey;
  }

  void Claim() {
    const ClaimGrantView grant = ChooseGrant();
    const LaneIdView lane = ChooseLane();
    Expect(Early(grant), "claim", grant.execution_id, lane,
           [&](ErrorDetails* details) { return worker_.ClaimFromGrant(grant, lane, details); });
  }
  void ClaimResumed() {
    const ResumeGrantView grant = {ChooseGrant(), ChooseLane()};
    Expect(Early(grant.grant), "claim_resumed", grant.grant.execution_id, grant.lane_id,
           [&](ErrorDetails* details) { return worker_.ClaimFromResumeGrant(grant, details); });
  }
  void Reclaim() {
    const ReclaimGrantView grant = {ChooseGrant(), ChooseLane()};
    Worker::ReclaimTarget target = {grant.grant.execution_id, grant.lane_id, std::nullopt};
    if (choices_.OneIn(4)) target.execution_id = ChooseId();
    if (choices_.OneIn(4)) target.lane = ChooseLane();
    if (choices_.OneIn(2)) target.max_reclaim_count = choices_.Below(4);
    constexpr std::int64_t kNows[] = {1000, 0, -5, 999, 1001};
    const std::int64_t now = kNows[choices_.Below(std::size(kNows))];
    clock_.Set({now});

    ClaimError early = Early(grant.grant);
    const std::uint64_t clamped = now < 0 ? 0 : static_cast<std::uint64_t>(now);
    if (clamped >= grant.grant.expires_at_ms) early = ClaimError::kClaimGrantExpired;
    if (target.execution_id.text() != grant.grant.execution_id.text() ||
        target.lane.text() != grant.lane_id.text()) {
      early = ClaimError::kGrantMismatch;
    }
    Expect(early, "reclaim", target.execution_id, target.lane, [&](ErrorDetails* details) {
      return worker_.ClaimFromReclaimGrant(grant, target, details);
    });
    if (early == ClaimError::kNone &&
        ledger_.calls[0].max_reclaim_count != target.max_reclaim_count) {
      Fail("the reclaim cap was not handed on", input_);
    }
  }

  std::string_view input_;
  Choices& choices_;
  std::uint32_t permits_;
  ManualClock clock_{TimestampMs{1000}};
  ScriptedLedger ledger_;
  Worker worker_;
  std::array<WorkerClaim, kClaims> claims_;  // declared after the worker, so destroyed before it
  std::array<bool, kClaims> holds_{};
};

// Checks the name of every code in both directions, and the code's classes. No other text may be
// taken for a code.
void CheckCodes(std::string_view input) {
  bool known = false;
  for (const ErrorCode& row : kErrorCodes) {
    if (ErrorName(row.error) != row.code) Fail("code", row.code, row.code, ErrorName(row.error));
    if (ClaimErrorFromCode(row.code) != row.error) Fail("error from code", row.code);
    if (ErrorClassificationName(ScriptClass(row.error)) != row.script_class ||
        ErrorClassificationName(EngineClass(row.error)) != row.engine_class) {
      Fail("classes", row.code);
    }
    known = known || row.code == input;
  }
  if (ClaimErrorFromCode(input).has_value() != known) Fail("a code that is none", input);
  for (const std::string_view ours :
       {"none", "ledger_full", "worker_at_capacity", "unknown_code", "unknown_outcome",
        "unavailable", "grant_mismatch", "invalid_partition_key"}) {
    if (ClaimErrorFromCode(ours).has_value()) Fail("our own code taken for a store's", ours);
  }
}

void CheckDetails(std::string_view input, Choices choices) {
  ErrorDetails details;
  std::string texts[ErrorDetails::kMaxDetails];
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (int i = 0; i < 6; ++i) {
    std::string text;
    bool added = false;
    if (choices.OneIn(4)) {
      const std::uint64_t number = choices.Word() >> choices.Below(64);
      text = std::to_string(number);
      added = details.Add(number);
    } else {
      constexpr std::size_t kSizes[] = {0, 1, 5, 2304, 4607, 4608, 4609};
      text.assign(kSizes[choices.Below(std::size(kSizes))], static_cast<char>('a' + i));
      added = details.Add(text);
    }
    const bool fits = count < ErrorDetails::kMaxDetails && bytes + text.size() <= 4608;
    if (added != fits) Fail("a detail's room", input);
    if (fits) {
      texts[count++] = text;
      bytes += text.size();
    }
    if (details.size() != count) Fail("number of details", input);
    for (std::size_t k = 0; k < count; ++k) {
      if (details[k] != texts[k]) Fail("detail", input, texts[k], details[k]);
    }
  }
}

// Compares our clocks with the standard library's.
void CheckClocks() {
  using std::chrono::milliseconds;
  const auto now = [] {
    return std::chrono::floor<milliseconds>(std::chrono::system_clock::now())
        .time_since_epoch()
        .count();
  };
  const std::int64_t before = now();
  const std::int64_t read = SystemClock().Now().value;
  const std::int64_t coarse = CoarseClock().Now().value;
  const std::int64_t after = now();
  if (after < before) return;  // somebody has set the clock back
  if (read < before || read > after) {
    Fail("the system's clock", "", std::to_string(before), std::to_string(read));
  }
  constexpr std::int64_t kLongestTick = 10;
  if (coarse < before - kLongestTick || coarse > after) {
    Fail("the coarse clock", "", std::to_string(before), std::to_string(coarse));
  }
}

constexpr std::string_view kPieces[] = {"execution_not_found", "grant_already_exists",
                                        "lease_expired", "stale_lease", "unknown_outcome"};

void Generate(Random& random, TextBuffer& text) {
  for (std::size_t bytes = random.Below(96); bytes > 0; --bytes) {
    text.Append(static_cast<char>(random.OneIn(2) ? random.Below(6) : random.Below(256)));
  }
}

constexpr TextGrammar kGrammar = {Generate, kPieces,
                                  std::string_view("\0\x01\x02\x03\x04\x05\x06\xFF", 8)};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const bool clocks_checked = (CheckClocks(), true);
  static_cast<void>(clocks_checked);
  Choices choices(input);
  CheckDetails(input, choices);
  {
    Session session(input, choices);
    for (int steps = 0; steps < 64 && !choices.empty(); ++steps) session.Step();
  }
  CheckCodes(input);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
