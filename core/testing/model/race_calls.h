// SPDX-License-Identifier: Apache-2.0
//
// The small population that races are about, and its calls in short form.

#ifndef FFGRANT_TESTING_MODEL_RACE_CALLS_H_
#define FFGRANT_TESTING_MODEL_RACE_CALLS_H_

#include <cstdint>
#include <optional>

#include "testing/calls/call.h"

namespace ffgrant::testing {

// Three executions in one lane, the first and the last in one partition; the
// second one needs a capability, and the last one is tried again once after a
// failure, 2 ms later. And three workers, of which the last one has
// none.
inline constexpr std::uint8_t kExecutions = 3;
inline constexpr std::uint8_t kWorkers = 3;
inline constexpr std::uint16_t kPartitions = 2;
inline constexpr TimestampMs kRaceStart = {1'700'000'000'000};
ExecutionIdView ExecutionAt(std::uint8_t number);
// kExecutions if it is none of them.
std::uint8_t NumberOf(const ExecutionIdView& id);

// What a fenced call presents.
enum class FenceKind : std::uint8_t { kLatest, kAbsent, kPartial, kWrongLease, kWrongEpoch };
inline constexpr std::uint8_t kFenceKinds = 5;

// A call before it is known which fence there is.
struct PlannedCall {
  // Stands for the execution that this thread was last given by ClaimForWorker,
  // the first one if by none.
  static constexpr std::uint8_t kGiven = kExecutions;

  CallKind kind = CallKind::kCreate;
  std::uint8_t execution = 0;
  std::uint8_t worker = 0;    // of a creation: the priority
  bool batch = false;         // kIssue, kClaim: on all executions, from this one on
  bool own_instance = false;  // the worker comes with an instance of its own
  bool with_text = false;     // the grant comes with an opaque text
  bool other_lane = false;
  bool flag = false;    // operator override; expected lease id; a delay at creation
  std::int64_t ms = 3;  // ttl, delay or what the clock advances by
  std::optional<std::uint32_t> cap = {};
  FenceKind fence = FenceKind::kLatest;

  bool is_fenced() const {
    return kind == CallKind::kRenew || kind == CallKind::kSuspend || kind == CallKind::kComplete ||
           kind == CallKind::kFail || kind == CallKind::kRevoke;
  }
};

// The call. Lease id, attempt id, the worker's instance and the opaque text are
// told apart by `number`; `latest` is the execution's last lease, as far as is
// known.
Call CallOf(const PlannedCall& planned, std::uint8_t number,
            const std::optional<Lease>& latest = {});

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_RACE_CALLS_H_
