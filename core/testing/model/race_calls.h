// SPDX-License-Identifier: Apache-2.0
//
// Has the small set of executions and workers that races are about, and short forms of their calls.

#ifndef FFGRANT_TESTING_MODEL_RACE_CALLS_H_
#define FFGRANT_TESTING_MODEL_RACE_CALLS_H_

#include <cstdint>
#include <optional>

#include "testing/calls/call.h"

namespace ffgrant::testing {

// There are three executions in one lane; the first and the last are in one partition. The second
// one needs a capability, and the last one is tried again once after a failure, 2 ms later. There
// are three workers, and the last of them offers no capability.
inline constexpr std::uint8_t kExecutions = 3;
inline constexpr std::uint8_t kWorkers = 3;
inline constexpr std::uint16_t kPartitions = 2;
inline constexpr TimestampMs kRaceStart = {1'700'000'000'000};
ExecutionIdView ExecutionAt(std::uint8_t number);
// Returns kExecutions if the id is none of the three.
std::uint8_t NumberOf(const ExecutionIdView& id);

// The fence that a fenced call presents.
enum class FenceKind : std::uint8_t { kLatest, kAbsent, kPartial, kWrongLease, kWrongEpoch };
inline constexpr std::uint8_t kFenceKinds = 5;

// A call for which the fence is not yet known.
struct PlannedCall {
  // Stands for the execution that ClaimForWorker last gave to this thread, or for the first
  // execution if it gave none.
  static constexpr std::uint8_t kGiven = kExecutions;

  CallKind kind = CallKind::kCreate;
  std::uint8_t execution = 0;
  std::uint8_t worker = 0;    // for a creation this is the priority
  bool batch = false;         // kIssue, kClaim: a call for every execution, this one first
  bool own_instance = false;  // whether no other call has this worker instance
  bool with_text = false;     // whether the grant has an opaque text, or the failure a reason
  bool other_lane = false;
  bool flag = false;    // operator override; expected lease id; a delay at creation
  std::int64_t ms = 3;  // ttl, delay, or how far the clock advances
  std::optional<std::uint32_t> cap = {};
  FenceKind fence = FenceKind::kLatest;

  bool is_fenced() const {
    return kind == CallKind::kRenew || kind == CallKind::kSuspend || kind == CallKind::kComplete ||
           kind == CallKind::kFail || kind == CallKind::kRevoke;
  }
};

// Returns the call. `number` makes the lease id and attempt id differ from those of other calls,
// and also the worker instance and the text if `planned` asks for its own. `latest` is the
// execution's last lease, if it is known.
Call CallOf(const PlannedCall& planned, std::uint8_t number,
            const std::optional<Lease>& latest = {});

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_RACE_CALLS_H_
