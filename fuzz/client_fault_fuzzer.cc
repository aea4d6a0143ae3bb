// SPDX-License-Identifier: Apache-2.0
//
// Runs the client on a network where anything may go wrong anywhere. The input chooses calls and
// faults. Each outcome is compared with the effects of the call on a simple server (contract 7.2,
// 7.7), including effects that came late. Each call must end once. A call must not report success
// if its effect did not happen, nor failure if it did. No call may be executed twice. When the
// faults stop, the client must work again. A claim that FindClaim() reports as held must have been
// made. A claim that it reports as finally not made must never be made, not even by a request that
// comes late.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/valkey_ledger.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/record_mutation.h"
#include "harness/state_counters.h"
#include "testing/simulation/scripted_rig.h"

namespace ffgrant::fuzz {
namespace {

using valkey::ClaimPipeline;
using valkey::testing::Fault;
using valkey::testing::Operation;
using valkey::testing::ScriptedRig;
using Call = ClaimPipeline::Call;
using Way = ScriptedRig::Way;

constexpr std::size_t kWidth = 4;
constexpr std::size_t kMaxRecords = 64;
constexpr std::size_t kWays = 6;

// A fault that strikes after `left` more occurrences of its operation.
struct Armed {
  Operation operation;
  std::uint32_t left;
  Fault fault;
};

class Faults {
 public:
  void Arm(const Armed& armed) {
    // Replies have no numbers in RESP, so a reply that comes twice looks like the reply to the next
    // call. TCP never repeats data, but a broken proxy might.
    misleads_ |= armed.fault.kind == Fault::Kind::kTwice;
    armed_.push_back(armed);
  }
  Fault Next(Operation operation) {
    for (auto it = armed_.begin(); it != armed_.end(); ++it) {
      if (it->operation != operation) continue;
      if (it->left-- != 0) continue;
      const Fault fault = it->fault;
      armed_.erase(it);
      return fault;
    }
    return {};
  }
  bool misleads() const { return misleads_; }

 private:
  std::deque<Armed> armed_;
  bool misleads_ = false;
};

Armed ArmedBy(std::uint8_t kind, std::uint8_t where) {
  constexpr Fault::Kind kOfBytes[] = {Fault::Kind::kPartial, Fault::Kind::kWouldBlock,
                                      Fault::Kind::kInterrupted, Fault::Kind::kReset};
  constexpr Fault::Kind kOfAnswers[] = {Fault::Kind::kTwice, Fault::Kind::kSilence,
                                        Fault::Kind::kLate, Fault::Kind::kOversized,
                                        Fault::Kind::kGarbage};
  const std::uint32_t left = where % 12;
  const std::size_t size = std::size_t{1} << (kind >> 4);  // 1 to 32768
  switch (where / 12 % 5) {
    case 0:
      return {Operation::kOpen,
              left % 3,
              {kind % 2 == 0 ? Fault::Kind::kRefused : Fault::Kind::kWouldBlock}};
    case 1:
      return {Operation::kRead, left, {kOfBytes[kind % 4], size}};
    case 2:
      return {Operation::kWrite, left, {kOfBytes[kind % 4], size}};
    case 3:
      return {Operation::kArrive, left, {Fault::Kind::kHold}};
    default:
      return {Operation::kAnswer, left, {kOfAnswers[kind % 5], size * 4}};
  }
}

// Makes one of four events happen on the server or the network; `what` chooses the event.
void Happen(ScriptedRig& rig, std::uint8_t what) {
  constexpr std::string_view kRefusals[] = {"LOADING data",     "TRYAGAIN keys",   "BUSY script",
                                            "CLUSTERDOWN hash", "NOPERM no",       "OOM command",
                                            "ERR something",    "READONLY replica"};
  switch (what % 4) {
    case 0:
      rig.server.Restart();
      break;
    case 1:
      rig.server.has_library = false;
      break;
    case 2:
      rig.server.refusals.emplace_back(kRefusals[what / 4 % std::size(kRefusals)]);
      break;
    default:
      rig.network->DeliverAll();
      break;
  }
}

struct Made {
  std::size_t way;
  Call call;
  int ended = 0;
  ClaimPipeline::Completion done;
};

class PipelineRun {
 public:
  explicit PipelineRun(std::string_view input) : input_(input) {
    for (std::uint64_t seed = 0; seed < kWays; ++seed) ways_.emplace_back(seed);
    rig_.network->SetScript([this](Operation operation) { return faults_.Next(operation); });
  }

  void Step(const std::array<std::uint8_t, kWidth>& record) {
    switch (record[0] % 8) {
      case 5:
        Take(record[1]);
        break;
      case 6:
        faults_.Arm(ArmedBy(record[1], record[2]));
        break;
      case 7:
        Happen(rig_, record[1]);
        refused_ |= record[1] % 4 == 2;
        break;
      default:
        Submit(record[1] % kWays, valkey::testing::kWay[record[0] % 4]);
        break;
    }
  }

  void Finish() {
    rig_.network->SetScript(nullptr);
    rig_.server.refusals.clear();
    for (int i = 0; i < 10'000 && rig_.pipeline().in_flight() > 0; ++i) Take(50);
    if (rig_.pipeline().in_flight() > 0) Fail("a call without an end", input_);
    Take(0);
    if (!Recovers()) Fail("no recovery", input_);
    rig_.network->DeliverAll();
    for (const Made& made : made_) {
      if (made.ended != 1) Fail("a call that did not end once", input_);
      Check(made);
    }
  }

 private:
  // Returns whether all calls work again, after a few that may still fail: the client notices a
  // silent connection only when a call gets no answer, and the next call may fail because the
  // client has to wait before it reconnects.
  bool Recovers() {
    if (AllCallsWork(1000)) return true;
    // If the reply with the version of our library comes twice, the client takes the second one for
    // the version of FlowFabric's functions, and refuses the server. It asks the server again only
    // after a pause.
    if (!faults_.misleads()) return false;
    rig_.network->Wait({}, valkey::ClientOptions().refusal_pause_ms);
    return AllCallsWork(2000);
  }

  // Tries up to twenty executions, one after the other. Returns whether all calls of one of them
  // work.
  bool AllCallsWork(std::uint64_t first_seed) {
    for (std::uint64_t seed = first_seed; seed < first_seed + 20; ++seed) {
      const Way way(seed);
      const auto works = [&](Call call) { return bool(rig_.Run(way, call)); };
      if (std::all_of(std::begin(valkey::testing::kWay), std::end(valkey::testing::kWay), works)) {
        return true;
      }
    }
    return false;
  }

  void Submit(std::size_t way, Call call) {
    for (const Made& made : made_) {
      if (made.way == way && made.call == call) return;  // makes each call only once
    }
    if (!rig_.Submit(ways_[way], call, made_.size())) return;
    made_.push_back({way, call, 0, {}});
  }

  void Take(std::int64_t timeout_ms) {
    for (const auto& done : rig_.pipeline().Poll(timeout_ms)) {
      Made& made = made_.at(done.tag);
      ++made.ended;
      made.done = done;
      Observe(static_cast<std::uint64_t>(done.error));
      CountState(static_cast<std::uint64_t>(done.error) * 8 +
                 static_cast<std::uint64_t>(made.call));
      Check(made);
    }
  }

  void Check(const Made& made) const {
    const ClaimError error = made.done.error;
    if (refused_ && error == ClaimError::kUnknownCode) return;
    if (faults_.misleads()) {
      // After a reply that came twice, a call may get another call's reply. Only a claim that
      // succeeds can still be judged, since its reply names the claim.
      if (made.call != Call::kClaim || error != ClaimError::kNone) return;
      std::array<char, kUuidTextSize> lease;
      FormatUuid(ways_[made.way].lease_id.uuid, lease);
      if (!rig_.server.WasClaimed({lease.data(), lease.size()})) {
        Fail("success without a lease", input_);
      }
      return;
    }
    const std::string wrong = rig_.Contradiction(ways_[made.way], made.done);
    if (!wrong.empty()) Fail(wrong, input_, ScriptedRig::Function(made.call), ErrorName(error));
  }

  std::string_view input_;
  Faults faults_;
  bool refused_ = false;
  std::vector<Way> ways_;
  std::vector<Made> made_;
  ScriptedRig rig_;
};

// Makes one call after the other. If the outcome of a claim is lost, the run asks FindClaim() for
// the outcome.
class LedgerRun {
 public:
  explicit LedgerRun(std::string_view input) : input_(input) {
    valkey::ValkeyLedgerOptions options;
    options.client = valkey::testing::ScriptedOptions(server_, network_);
    options.connections = 1;
    ledger_ = std::make_unique<valkey::ValkeyLedger>(options);
    network_->SetScript([this](Operation operation) { return faults_.Next(operation); });
  }

  void Step(const std::array<std::uint8_t, kWidth>& record) {
    if (record[0] % 4 != 0) {
      const Armed armed = ArmedBy(record[1], record[2]);
      if (armed.fault.kind != Fault::Kind::kTwice) faults_.Arm(armed);
      return;
    }
    const Way way(record[1]);
    if (!seen_.insert(record[1]).second) return;
    const ExecutionIdView id = way.execution.view();
    const LaneIdView lane = ParseLaneId("main").lane;
    const WorkerIdentity worker = {{"w1"}, {"w1-i1"}};
    if (!ledger_->CreateExecution({.execution_id = id, .lane = lane})) return;
    if (!ledger_->IssueClaimGrant(
            {.execution_id = id, .worker = worker, .lane = lane, .grant_ttl_ms = 5000})) {
      return;
    }
    const ClaimOutcome claim = ledger_->Claim({.execution_id = id,
                                               .worker = worker,
                                               .lane = lane,
                                               .lease_id = way.lease_id,
                                               .lease_ttl_ms = 5000,
                                               .attempt_id = way.attempt_id});
    Observe(static_cast<std::uint64_t>(claim.error));
    std::array<char, kUuidTextSize> lease;
    FormatUuid(way.lease_id.uuid, lease);
    const std::string lease_text(lease.data(), lease.size());
    const auto claimed = [&] { return server_.WasClaimed(lease_text); };
    if (claim && !claimed()) Fail("success without a lease", input_);
    if (claim.error != ClaimError::kUnknownOutcome) {
      network_->DeliverAll();
      if (!claim && claimed()) Fail("failure with a lease", input_, {}, ErrorName(claim.error));
      return;
    }
    const valkey::FoundClaim found = ledger_->FindClaim(id, way.lease_id);
    Observe(static_cast<std::uint64_t>(found.error) * 8 + static_cast<std::uint64_t>(found.fate));
    CountState(1000 + static_cast<std::uint64_t>(found.error) * 8 +
               static_cast<std::uint64_t>(found.fate) * 2 + found.final);
    if (!found) return;
    if (found.fate == valkey::ClaimFate::kHeld && !claimed()) Fail("held without a lease", input_);
    network_->DeliverAll();
    if (found.fate == valkey::ClaimFate::kNotClaimed && found.final && claimed()) {
      Fail("claimed after all", input_);
    }
  }

  void Finish() const {}

 private:
  std::string_view input_;
  Faults faults_;
  std::set<std::uint8_t> seen_;
  valkey::testing::ScriptedServer server_;
  valkey::testing::ScriptedNetwork* network_ = nullptr;
  std::unique_ptr<valkey::ValkeyLedger> ledger_;
};

template <class Run>
void RunAll(std::string_view input, std::string_view records) {
  Run run(input);
  ForEachRecord<kWidth>(records, kMaxRecords, [&run](const auto& record) { run.Step(record); });
  run.Finish();
}

void GenerateHeader(Random& random, std::span<std::uint8_t> header) {
  header[0] = static_cast<std::uint8_t>(random.Below(2));
}
// Makes a row of the calls of one execution, with a fault before them.
std::size_t GenerateRow(Random& random, std::span<std::uint8_t> records) {
  const auto way = static_cast<std::uint8_t>(random.Next());
  const std::uint8_t operations[] = {6, 0, 5, 1, 5, 2, 5, 3};
  for (std::size_t i = 0; i < std::size(operations); ++i) {
    AnyBytes(random, records.subspan(i * kWidth, kWidth));
    records[i * kWidth] = operations[i];
    if (operations[i] < 4) records[i * kWidth + 1] = way;
  }
  return std::size(operations);
}
constexpr RecordFormat kFormat = {1,        kWidth,      kMaxRecords,   GenerateHeader,
                                  AnyBytes, GenerateRow, GenerateHeader};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

// The first byte chooses pipeline or ledger; then come records of four bytes.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  if (data[0] % 2 == 0) {
    RunAll<PipelineRun>(input, input.substr(1));
  } else {
    RunAll<LedgerRun>(input, input.substr(1));
  }
  return 0;
}

FFGRANT_FUZZ_RECORD_MUTATORS(kFormat)
