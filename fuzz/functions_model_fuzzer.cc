// SPDX-License-Identifier: Apache-2.0
//
// Runs the shipped functions on a simulated server in this process, calls them through the client,
// and compares them with the plain model (contract 7). Each record of 16 bytes is one call: its
// bytes choose the execution, the call and the arguments. Both sides have the same clock, so after
// each call the whole answer and the whole stored state of the call's execution must be the same,
// times included. Names, lanes and capability tokens come from the contract's whole grammar
// (testing/contract/contract_table.h).
//
//   | execution | call | arguments ... |
//
// A call uses only bytes of its own record, so inserting or removing a call does not change the
// meaning of the others.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/claims/clock.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/record_mutation.h"
#include "harness/state_counters.h"
#include "testing/calls/call_generator.h"
#include "testing/calls/driver.h"
#include "testing/calls/make.h"
#include "testing/contract/contract_table.h"
#include "testing/model/model_ledger.h"
#include "testing/simulation/server_console.h"
#include "testing/simulation/simulated_world.h"

namespace ffgrant::fuzz {
namespace {

using testing::Answer;
using testing::Call;
using testing::CallKind;

constexpr std::size_t kWidth = 16;
constexpr std::size_t kMaxRecords = 48;
// kLong is longer than all the time that one history can let pass.
constexpr std::int64_t kLong = 600'000;
// On a server, the hash of a lease that was renewed lives on for this long after the lease's end
// (contract 7.4). In the model a hash never ends. kMaxTtlMs is the longest grace there is.
constexpr std::int64_t kGraceMs = kMaxTtlMs;

// A server that is used for all histories, since loading the library takes longer than a history.
// The server's keys are removed before each history.
class Functions {
 public:
  Functions() {
    world_.tick_ms = 0;
    valkey::testing::SimulatedServer& server = world_.Start({"10.0.0.1", 6379});
    valkey::ValkeyLedgerOptions options;
    options.client.servers = {server.address()};
    options.client.make_network = [this] { return world_.NewNetwork(); };
    options.connections = 1;
    options.defaults.lease_history_grace_ms = kGraceMs;
    options.waitpoint_secret_hex = std::string(63, '0') + "1";
    ledger_ = std::make_unique<valkey::ValkeyLedger>(options);
    static_cast<void>(server.Execute(
        -1, {"FUNCTION", "LOAD", std::string(valkey::FunctionLibrarySource())}, 1000 * Now()));
  }

  void ForgetAll() { world_.servers().front()->keys().Clear(); }
  ClaimLedger& ledger() { return *ledger_; }
  std::int64_t Now() const { return world_.now(); }
  void Pass(std::int64_t ms) { world_.Pass(ms); }

 private:
  valkey::testing::SimulatedWorld world_;
  std::unique_ptr<valkey::ValkeyLedger> ledger_;
};

Functions& Server() {
  static Functions functions;
  return functions;
}

class RecordStream {
 public:
  void Begin(std::span<const std::uint8_t> record) { left_ = record; }
  std::uint32_t Below(std::uint32_t bound) {
    if (left_.empty()) return bound - 1;  // not 0, which OneIn() takes for the rare case
    const std::uint8_t byte = left_.front();
    left_ = left_.subspan(1);
    return byte % bound;
  }

 private:
  std::span<const std::uint8_t> left_;
};

constexpr CallKind kKinds[] = {
    CallKind::kCreate,       CallKind::kCreate,       CallKind::kIssue,   CallKind::kIssue,
    CallKind::kClaim,        CallKind::kClaim,        CallKind::kSuspend, CallKind::kResume,
    CallKind::kClaimResumed, CallKind::kRenew,        CallKind::kRevoke,  CallKind::kMarkExpired,
    CallKind::kIssueReclaim, CallKind::kIssueReclaim, CallKind::kReclaim, CallKind::kComplete,
    CallKind::kAdvance,      CallKind::kFail};

// As an argument, this byte chooses nothing unusual.
constexpr std::uint8_t kUsual = 251;
static_assert(kUsual % 50 < 2 && kUsual % 100 >= 40 && kUsual % 100 < 68);

testing::Choices MakeChoices() {
  testing::Choices choices;
  choices.kinds.assign(std::begin(kKinds), std::end(kKinds));
  // Two of the executions are in one partition. The partitions include the first and the last one,
  // and the uuids include the least and the greatest one. One lane has bytes that have a meaning in
  // keys, formats and patterns, and another lane has the full length.
  choices.executions = {{"{fp:0}:22222222-2222-4222-8222-222222222222", "main"},
                        {"{fp:0}:11111111-1111-4111-8111-111111111111", "main"},
                        {"{fp:255}:ffffffff-ffff-ffff-ffff-ffffffffffff", "a:b {c}%s-[d]*"},
                        {"{fp:10}:00000000-0000-0000-0000-000000000000", std::string(64, '~')}};
  choices.outside = "{fp:256}:22222222-2222-4222-8222-222222222222";
  choices.workers = {{"w1", "w1-i1"}, {"w1", "w1-i2"}};
  for (const std::string& text : testing::OpaqueTexts()) choices.workers.push_back({text, text});
  choices.has_nameless_workers = true;
  choices.lanes = {"main", "other-lane"};
  // The functions know no lane but the caller's (testing/scenarios/differences.cc).
  choices.claims_in_own_lane = true;
  // With the argument kUsual an execution requires no capabilities, and a worker offers all tokens.
  choices.required.resize(2);
  std::string all;
  for (const std::string_view token : testing::kTokens) {
    all += (all.empty() ? "" : ",") + std::string(token);
    choices.required.push_back(testing::Choices::Set(token));
    choices.offered.push_back(choices.required.back());
    choices.offered.push_back(testing::Choices::Set(std::string(token) + "-"));
  }
  for (auto* table : {&choices.required, &choices.offered}) {
    table->push_back(testing::Choices::Set(testing::CapabilitiesOfCount(256)));
    table->push_back(testing::Choices::Set(testing::CapabilitiesOfBytes(4096)));
  }
  choices.required.resize(50);
  choices.offered.insert(choices.offered.begin() + 40, 100 - choices.offered.size(),
                         testing::Choices::Set(all));
  for (const testing::PriorityRow& row : testing::kPriorityRows) {
    choices.priorities.push_back(row.given);
  }
  constexpr auto kFixed = RetryPolicy::Backoff::kFixed;
  choices.retries = {RetryPolicy{.max_retries = 2, .backoff = kFixed, .delay_ms = 5},
                     RetryPolicy{.delay_ms = 1, .max_delay_ms = 3, .multiplier = 2},
                     RetryPolicy{.max_retries = 0}, std::nullopt};
  choices.delay_ms = kLong;
  choices.odd_ttl_one_in = 4;
  for (const auto& row : testing::kDurationRows) choices.odd_ttls.push_back(row.value);
  choices.has_batches = true;
  return choices;
}

const testing::Choices& TheChoices() {
  static const testing::Choices choices = MakeChoices();
  return choices;
}

// Runs the functions and the model on one clock.
class Pair {
 public:
  explicit Pair(RecordStream& stream)
      : clock_(TimestampMs{Server().Now()}),
        model_(clock_, PartitionConfig{}),
        generator_([&stream](std::uint32_t bound) { return stream.Below(bound); }, TheChoices(),
                   clock_, [this](const ExecutionIdView& id) { return model_.Inspect(id); }),
        driver_(
            [this](const Call& call) { return Make(call); },
            {[this](const Call& call, const Answer& answer) { return BesideModel(call, answer); },
             [this](const Call& call, const Answer&) { return StoredDifference(call); }}) {}

  // Returns false if the functions and the model differ; problem() then says how they differ.
  bool Step() {
    Call call = generator_.Next();
    const Answer answer = driver_.Do(call);
    generator_.Learn(call, answer);
    if (!driver_.problem().empty()) return false;
    const std::string reached =
        std::string(call.name()) + " " + std::string(ErrorName(answer.error)) + " " + before_;
    Observe(reached);
    CountState(std::hash<std::string>()(reached));
    return true;
  }
  const std::string& problem() const { return driver_.problem(); }

 private:
  Answer Make(const Call& call) {
    const auto state = model_.Inspect(generator_.target());
    before_ = !state
                  ? "absent"
                  : std::string(state->public_state) + " " + std::string(state->ownership_state) +
                        (state->has_grant ? " granted" : "");
    const auto* advance = call.As<testing::calls::Advance>();
    if (advance == nullptr) return testing::Make(Server().ledger(), call);
    Server().Pass(advance->args);
    clock_.Set(TimestampMs{Server().Now()});
    return {};
  }

  std::string BesideModel(const Call& call, const Answer& answer) {
    if (call.kind() == CallKind::kAdvance) return {};
    if (Server().Now() != clock_.Now().value) return "time passed";
    const Answer models = testing::Make(model_, call);
    return answer == models ? "" : "the model answers " + Describe(models);
  }

  std::string StoredDifference(const Call&) {
    const ExecutionIdView& id = generator_.target();
    const auto state = Server().ledger().Inspect(id);
    auto expected = model_.Inspect(id);
    // With the least ttl of all, -kMaxTtlMs, a lease has ended so long ago that even the longest
    // grace is over.
    if (state && expected && expected->lease_expires_at &&
        expected->lease_expires_at->value + kGraceMs <= Server().Now()) {
      expected->lease_current = state->lease_current;
    }
    if (state != expected) {
      return "state\n    model     " + testing::Describe(expected) + "\n    functions " +
             testing::Describe(state);
    }
    const auto names = Server().ledger().InspectNames(id);
    if (const auto models = model_.InspectNames(id); names != models) {
      return "names\n    model     " + testing::Describe(models) + "\n    functions " +
             testing::Describe(names);
    }
    return {};
  }

  ManualClock clock_;
  testing::ModelLedger model_;
  testing::CallGenerator generator_;
  testing::Driver driver_;
  std::string before_;
};

// ---- mutations -----------------------------------------------------------------

std::uint8_t PlaceOf(CallKind kind) {
  return static_cast<std::uint8_t>(std::find(std::begin(kKinds), std::end(kKinds), kind) -
                                   std::begin(kKinds));
}

void GenerateRecord(Random& random, std::span<std::uint8_t> record) {
  const bool usual = random.OneIn(2);
  for (std::uint8_t& byte : record) {
    byte = usual && !random.OneIn(6) ? kUsual : static_cast<std::uint8_t>(random.Next() >> 32);
  }
  record[0] = static_cast<std::uint8_t>(random.Below(random.OneIn(4) ? 4 : 2));
  record[1] = static_cast<std::uint8_t>(random.Below(std::size(kKinds)));
}

// Sequences of calls that lead through the life of one execution.
constexpr CallKind kRows[][5] = {
    {CallKind::kCreate, CallKind::kIssue, CallKind::kClaim, CallKind::kRenew, CallKind::kComplete},
    {CallKind::kCreate, CallKind::kIssue, CallKind::kClaim, CallKind::kRevoke,
     CallKind::kIssueReclaim},
    {CallKind::kIssue, CallKind::kClaim, CallKind::kSuspend, CallKind::kResume, CallKind::kIssue},
    {CallKind::kIssue, CallKind::kClaimResumed, CallKind::kAdvance, CallKind::kMarkExpired,
     CallKind::kIssueReclaim},
    {CallKind::kIssueReclaim, CallKind::kReclaim, CallKind::kRevoke, CallKind::kIssueReclaim,
     CallKind::kReclaim},
    {CallKind::kIssue, CallKind::kClaim, CallKind::kFail, CallKind::kAdvance, CallKind::kIssue}};

std::size_t GenerateRow(Random& random, std::span<std::uint8_t> records) {
  const auto& row = kRows[random.Below(std::size(kRows))];
  const auto execution = static_cast<std::uint8_t>(random.Below(4));
  for (std::size_t i = 0; i < std::size(row); ++i) {
    const std::span<std::uint8_t> record = records.subspan(i * kWidth, kWidth);
    std::fill(record.begin(), record.end(), kUsual);
    if (random.OneIn(2)) {
      record[2 + random.Below(kWidth - 2)] = static_cast<std::uint8_t>(random.Next());
    }
    record[0] = execution;
    record[1] = PlaceOf(row[i]);
  }
  return std::size(row);
}

constexpr RecordFormat kFormat = {0,           kWidth,  kMaxRecords, AnyBytes, GenerateRecord,
                                  GenerateRow, AnyBytes};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Server().ForgetAll();
  RecordStream stream;
  Pair pair(stream);
  std::span<const std::uint8_t> left(data, std::min(size, kWidth * kMaxRecords));
  while (!left.empty()) {
    const std::span<const std::uint8_t> record = left.first(std::min(kWidth, left.size()));
    left = left.subspan(record.size());
    stream.Begin(record);
    if (!pair.Step()) Fail(pair.problem(), input);
  }
  return 0;
}

FFGRANT_FUZZ_RECORD_MUTATORS(kFormat)
