// SPDX-License-Identifier: Apache-2.0
//
// Compares our hashing with the reference's. The input's CRC16 and slot are compared. If the input
// is UTF-8, it is taken as a lane, whose check and partition are compared. The first bytes are
// taken as a UUID. Its partitions in all families are compared, and so are the ids that are minted
// for the flow with this UUID and for the lane.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "differential/verdict.h"
#include "ffgrant/crc16.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid.h"
#include "harness/engine.h"
#include "harness/text_mutation.h"
#include "hash_slot_grammar.h"

namespace ffgrant::fuzz {
namespace {

using reference::Answer;
using reference::Comparer;
using reference::Number;
using reference::Status;

// For a count of 0 there is no partition, and the reference panics.
Answer SamePartition(std::string_view what, const std::optional<Partition>& ours, Number theirs) {
  if (theirs.status == Status::kNotUtf8) return Answer::kNotAsked;
  if (!ours || theirs.status != Status::kOk) {
    return TheComparer().SameNumber(what, ours.has_value(), theirs.status == Status::kOk);
  }
  return TheComparer().SameNumber(what, ours->index, theirs.value);
}

Answer SameMint(std::string_view what, const std::optional<MintedExecutionId>& ours,
                const reference::Text& theirs) {
  return TheComparer().SameText(what, ours ? ours->text() : std::string_view(), theirs);
}

void CheckText(std::string_view text, std::uint16_t count) {
  Comparer& comparer = TheComparer();
  Expect(text, comparer.SameNumber("crc16", Crc16Xmodem(text), reference::Crc16(text)));
  Expect(text, comparer.SameNumber("slot", HashSlot(text), reference::HashSlot(text)));
  Expect(text, comparer.Lane(text, ParseLaneId(text)));
  const LaneIdView lane = LaneIdView::Unchecked(text);
  const PartitionConfig config = {count, count, count};
  Expect(text, SamePartition("partition of a lane", LanePartition(lane, config),
                             reference::LanePartition(text, count)));
}

void CheckUuid(std::string_view text, std::uint16_t count) {
  Uuid uuid;
  std::copy_n(text.begin(), std::min(text.size(), uuid.bytes.size()), uuid.bytes.begin());
  const PartitionConfig config = {count, count, count};
  const auto theirs = [&](PartitionFamily family) {
    return reference::UuidPartition(family, uuid, count);
  };
  Expect(text, SamePartition("partition of a flow", FlowPartition({uuid}, config),
                             theirs(PartitionFamily::kFlow)));
  Expect(text, SamePartition("partition of a budget", BudgetPartition({uuid}, config),
                             theirs(PartitionFamily::kBudget)));
  Expect(text, SamePartition("partition of a quota", QuotaPartition({uuid}, config),
                             theirs(PartitionFamily::kQuota)));
  reference::Reference& them = TheComparer().reference();
  Uuid other = uuid;
  std::reverse(other.bytes.begin(), other.bytes.end());
  Expect(text, SameMint("id of a flow", MintExecutionId(FlowId{uuid}, config, other),
                        them.MintForFlow(uuid, count, other)));
  Expect(text, SameMint("id of a lane", MintExecutionId(LaneIdView::Unchecked(text), config, other),
                        them.MintSolo(text, count, other)));
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // Any count except 0, for which the reference panics; reference_test.cc covers 0.
  std::uint16_t count = 256;
  if (size >= 2) count = static_cast<std::uint16_t>(data[size - 2] << 8 | data[size - 1]);
  if (count == 0) count = 65535;
  CheckText(text, count);
  CheckUuid(text, count);
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kHashSlotGrammar)
