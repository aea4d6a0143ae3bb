// SPDX-License-Identifier: Apache-2.0
//
// Checks the hashing of any bytes (contract 2): CRC16, hash tags and slots. CRC16 is compared with
// a naive CRC16, which is computed bit by bit. The code must also obey a law that needs no second
// implementation: CRC16 is linear over XOR. Tags are compared with a naive scan. The keys of an
// execution and of its partition must lie in one slot, since that is what tags are for (contract
// 3).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/crc16.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/key_names.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "hash_slot_grammar.h"
#include "testing/naive/naive_hash.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaiveCrc16;
using testing::NaiveHashSlot;
using testing::NaiveHashTag;

std::uint16_t Crc(std::string_view text) {
  return WithoutAllocation(text, [&]() noexcept { return Crc16Xmodem(text); });
}

void CheckCrc(const InputCopies& input) {
  const std::string_view text = input.exact();
  const std::uint16_t crc = Crc(text);
  if (crc != NaiveCrc16(text)) {
    Fail("crc16", text, std::to_string(NaiveCrc16(text)), std::to_string(crc));
  }
  if (Crc(input.at_page_end()) != crc) Fail("crc16 at a page's end", text);
  {
    const internal::ForceCpuFeatures force(0);
    if (Crc(text) != crc) Fail("crc16 by table", text);
  }
  // The CRC begins at 0, so leading zeros change nothing, and the CRC is linear: crc(a xor b) =
  // crc(a) xor crc(b) for texts of one size.
  const std::size_t half = text.size() / 2;
  std::string sum(text.substr(0, half));
  for (std::size_t i = 0; i < half; ++i) sum[i] = static_cast<char>(sum[i] ^ text[half + i]);
  const int parts = Crc(text.substr(0, half)) ^ Crc(text.substr(half, half));
  if (Crc(sum) != parts) Fail("crc16 is not linear", text);
  if (Crc(std::string(3, '\0').append(text)) != crc) Fail("leading zeros change crc16", text);
  Observe(crc);
}

void CheckSlot(const InputCopies& input) {
  const std::string_view key = input.at_page_end();
  const std::string_view tag = WithoutAllocation(key, [&]() noexcept { return HashTag(key); });
  const std::string_view expected = NaiveHashTag(key);
  if (tag != expected || (!tag.empty() && tag.data() != expected.data())) {
    Fail("hash tag", key, Quoted(expected), Quoted(tag));
  }
  const std::uint16_t slot = WithoutAllocation(key, [&]() noexcept { return HashSlot(key); });
  if (slot != NaiveHashSlot(key)) {
    Fail("slot", key, std::to_string(NaiveHashSlot(key)), std::to_string(slot));
  }
  if (HashSlot(input.exact()) != slot) Fail("slot of a copy", key);
  Observe(tag);
  Observe(slot);
}

void CheckKeysOfAnExecution(std::string_view input) {
  const ExecutionIdResult id = ParseExecutionId(input, ParseMode::kLenient);
  if (!id) return;
  // Keys carry the canonical tag even if the id was spelled in another way.
  const std::string tag = "fp:" + std::to_string(id.id.partition().index);
  const std::uint16_t slot = NaiveCrc16(tag) % kHashSlotCount;
  char out[kMaxExecutionKeySize + 256];
  const auto check = [&](const WriteResult& written) {
    if (written.error != WriteError::kNone) return;  // an id can be too long for the buffer
    if (!written) Fail("a key was written, but not taken for it", input);
    if (HashSlot({out, written.size}) != slot) Fail("a key in another slot", {out, written.size});
  };
  for (int role = 0; role <= static_cast<int>(ExecutionKey::kAttempts); ++role) {
    check(FormatKey(static_cast<ExecutionKey>(role), id.id, out));
  }
  check(FormatKey(AttemptKey::kAttempt, id.id, AttemptIndex{slot}, out));
  check(FormatKey(LaneKey::kEligible, id.id.partition(), LaneIdView::Unchecked("{other}"), out));
  check(FormatKey(PartitionIndexKey::kLeaseExpiry, id.id.partition(), out));
  if (HashSlot(id.id.partition()) != slot) Fail("a partition's slot", input);
}

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies input(data, size);
  CheckCrc(input);
  CheckSlot(input);
  CheckKeysOfAnExecution(input.exact());
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kHashSlotGrammar)
