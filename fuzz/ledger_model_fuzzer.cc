// SPDX-License-Identifier: Apache-2.0
//
// Runs the embedded ledger and the model side by side (contract 7). One byte says how much room the
// ledger has for names and other things. Then each record of 16 bytes is one operation: its bytes
// choose the execution, the operation and the arguments. After each operation, answers, details and
// stored state must be the same, and the invariants of 7.7 must hold (ledger_pair.h). At the end
// the clock moves on so far that all but the longest times run out, maintenance runs, and
// everything is compared again.
//
//   | room |
//   | alias? | execution | operation | arguments ... |
//
// An operation uses only bytes of its own record, so inserting or removing a record does not change
// the meaning of the others.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/record_mutation.h"
#include "harness/state_counters.h"
#include "testing/model/ledger_pair.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::size_t kHeader = 1;
constexpr std::size_t kWidth = 16;
constexpr std::size_t kMaxRecords = 64;

// The indexes of the bytes from which LedgerPair::Step() takes these choices.
constexpr std::size_t kAliasAt = 0;
constexpr std::size_t kExecutionAt = 1;
constexpr std::size_t kOperationAt = 2;

// Returns ample room, or so little room that it runs out.
testing::LedgerPair::Room RoomOf(std::uint8_t header) {
  if (header % 2 == 0) return {};
  const std::size_t few = 1 + header / 2 % 4u;
  testing::LedgerPair::Room room = {.max_names = few};
  if (header >= 0xC0) room.max_text_pieces = 3 * few;
  if ((header & 0x08) != 0) room.max_executions = few;
  if ((header & 0x10) != 0) room.max_lanes = 1;
  if ((header & 0x20) != 0) room.max_capability_sets = few;
  return room;
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

// Operations by the numbers that LedgerPair::Step() gives them. The generator chooses the
// operations in kOftener more often than Step() would, above all those that let time pass.
constexpr std::uint8_t kMoveClock = 33;
constexpr std::uint8_t kFail = 34;
constexpr std::uint8_t kOperations = 38;
constexpr std::uint8_t kOftener[] = {kMoveClock, kMoveClock, kMoveClock, kMoveClock, 9,  17,
                                     18,         20,         22,         31,         32, kFail};
// As an argument, this byte chooses nothing unusual: the right fence and all capabilities.
constexpr std::uint8_t kUsual = 11;

void GenerateHeader(Random& random, std::span<std::uint8_t> header) {
  header[0] = random.OneIn(2) ? 0 : static_cast<std::uint8_t>(random.Next() | 1);
}

// Makes the record move the clock to the moment at which something of the execution ends, or to
// just before or just after this moment.
void PointClock(Random& random, std::span<std::uint8_t> record) {
  record[3] = kUsual;
  record[4] = 1;
  record[5] = record[kExecutionAt];
  record[6] = static_cast<std::uint8_t>(random.Below(3));
}

void GenerateRecord(Random& random, std::span<std::uint8_t> record) {
  const bool usual = random.OneIn(2);
  for (std::uint8_t& byte : record) {
    byte = usual && !random.OneIn(8) ? kUsual : static_cast<std::uint8_t>(random.Next() >> 32);
  }
  if (!random.OneIn(64)) record[kAliasAt] = 1;
  // Most operations are on one of two executions, so that their histories get longer.
  record[kExecutionAt] = static_cast<std::uint8_t>(random.Below(random.OneIn(4) ? 4 : 2));
  record[kOperationAt] = random.OneIn(3) ? kOftener[random.Below(std::size(kOftener))]
                                         : static_cast<std::uint8_t>(random.Below(kOperations));
  if (record[kOperationAt] == kMoveClock && !random.OneIn(4)) PointClock(random, record);
}

// Sequences of operations that lead through the life of one execution.
enum : std::uint8_t {
  kCreate = 0,
  kIssue = 3,
  kSchedule = 7,
  kClaim = 9,
  kClaimResumed = 13,
  kMark = 17,
  kRevoke = 18,
  kIssueReclaim = 19,
  kReclaim = 22,
  kSuspend = 24,
  kResume = 26,
  kComplete = 28,
  kForget = 30,
  kMaintain = 31,
  kChurn = 32,
};
constexpr std::uint8_t kRows[][5] = {
    {kCreate, kIssue, kClaim, kComplete, kForget},
    {kCreate, kIssue, kClaim, kRevoke, kIssueReclaim},
    {kCreate, kIssue, kClaim, kSuspend, kResume},
    {kCreate, kIssue, kClaim, kMoveClock, kMark},
    {kCreate, kIssue, kClaim, kMoveClock, kMaintain},
    {kIssueReclaim, kReclaim, kRevoke, kIssueReclaim, kReclaim},
    {kIssue, kClaimResumed, kSuspend, kResume, kMaintain},
    {kCreate, kSchedule, kMoveClock, kClaim, kSchedule},
    {kForget, kCreate, kSchedule, kClaim, kComplete},
    {kSuspend, kResume, kSchedule, kClaimResumed, kComplete},
    {kCreate, kIssue, kClaim, kFail, kMoveClock},
    {kMoveClock, kMaintain, kIssue, kClaim, kFail},
    {kFail, kMaintain, kSchedule, kClaim, kFail},
};

std::size_t GenerateRow(Random& random, std::span<std::uint8_t> records) {
  const auto& row = kRows[random.Below(std::size(kRows))];
  const auto execution = static_cast<std::uint8_t>(random.Below(4));
  for (std::size_t i = 0; i < std::size(row); ++i) {
    const std::span<std::uint8_t> record = records.subspan(i * kWidth, kWidth);
    GenerateRecord(random, record);
    std::fill(record.begin() + 3, record.end(), kUsual);
    if (random.OneIn(2))
      record[3 + random.Below(kWidth - 3)] = static_cast<std::uint8_t>(random.Next());
    record[kAliasAt] = 1;
    record[kExecutionAt] = execution;
    record[kOperationAt] = row[i];
    if (row[i] == kMoveClock) PointClock(random, record);
  }
  return std::size(row);
}

constexpr RecordFormat kFormat = {kHeader,        kWidth,      kMaxRecords,   GenerateHeader,
                                  GenerateRecord, GenerateRow, GenerateHeader};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (size == 0) return 0;
  RecordStream stream;
  ffgrant::testing::LedgerPair pair([&stream](std::uint32_t bound) { return stream.Below(bound); },
                                    RoomOf(data[0]));
  std::span<const std::uint8_t> left(data + kHeader,
                                     std::min(size - kHeader, kWidth * kMaxRecords));
  while (!left.empty()) {
    const std::span<const std::uint8_t> record = left.first(std::min(kWidth, left.size()));
    left = left.subspan(record.size());
    stream.Begin(record);
    if (!pair.Step()) Fail(pair.problem(), input);
  }
  if (!pair.Settle()) Fail(pair.problem(), input);
  for (const std::string& seen : pair.seen()) {
    Observe(seen);
    CountState(std::hash<std::string>()(seen));
  }
  return 0;
}

FFGRANT_FUZZ_RECORD_MUTATORS(kFormat)
