// SPDX-License-Identifier: Apache-2.0
//
// Checks routing (contract 1.4, 1.7, 2): partitions of uuids and lanes, minted ids, scan starts,
// lane names and random uuids. The input gives the counts of partitions, a uuid and a name. Naive
// arithmetic computes once more every result that is not random.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid_generator.h"
#include "harness/allocation_trap.h"
#include "harness/choices.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/random.h"
#include "harness/text_mutation.h"
#include "harness/write_check.h"
#include "testing/naive/naive_hash.h"
#include "testing/naive/naive_uuid.h"
#include "testing/naive/naive_uuid_generator.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaiveCrc16;
using testing::NaiveUuidText;

// The input's layout: three counts, a uuid, a mode, and a name, which is the rest.
constexpr std::size_t kCountBytes = 6;
constexpr std::size_t kUuidBytes = 16;
constexpr std::size_t kHeader = kCountBytes + kUuidBytes + 1;

std::uint16_t Count(Choices& choices) { return static_cast<std::uint16_t>(choices.Below(65536)); }

std::string Shown(const std::optional<Partition>& partition) {
  if (!partition) return "none";
  return std::string(FamilyName(partition->family)) + " " + std::to_string(partition->index);
}

// The partition must be `crc` modulo the count; there must be none if the count is 0.
void CheckPartition(std::string_view what, std::string_view input, PartitionFamily family,
                    std::uint16_t crc, std::uint16_t count, const std::optional<Partition>& got) {
  std::optional<Partition> expected;
  if (count != 0) expected = Partition{family, static_cast<std::uint16_t>(crc % count)};
  if (got != expected) Fail(what, input, Shown(expected), Shown(got));
  Observe(got ? got->index + 1u : 0u);
}

void CheckMinted(std::string_view what, std::string_view input,
                 const std::optional<Partition>& partition, const Uuid& uuid,
                 const std::optional<MintedExecutionId>& got) {
  if (got.has_value() != partition.has_value()) Fail(what, input);
  if (!got) return;
  const std::string expected =
      "{fp:" + std::to_string(partition->index) + "}:" + NaiveUuidText(uuid);
  if (got->text() != expected) Fail(what, input, expected, got->text());
}

// A random id must be in the given partition, have version 4, and differ from the id before it.
void CheckRandom(std::string_view what, std::string_view input,
                 const std::optional<Partition>& partition,
                 const std::optional<MintedExecutionId>& got) {
  static thread_local Uuid last;
  if (got.has_value() != partition.has_value()) Fail(what, input);
  if (!got) return;
  const Uuid uuid = got->view().uuid();
  CheckMinted(what, input, partition, uuid, got);
  if (uuid == last) Fail("the same random id twice", input);
  if (uuid.bytes[6] >> 4 != 4 || uuid.bytes[8] >> 6 != 2) Fail("not a version 4 uuid", input);
  last = uuid;
}

void CheckUuidRoutes(std::string_view input, const PartitionConfig& config, const Uuid& uuid) {
  const std::uint16_t crc =
      NaiveCrc16({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
  const FlowId flow{uuid};
  const auto partition =
      WithoutAllocation(input, [&]() noexcept { return FlowPartition(flow, config); });
  CheckPartition("flow partition", input, PartitionFamily::kFlow, crc, config.num_flow_partitions,
                 partition);
  CheckPartition("budget partition", input, PartitionFamily::kBudget, crc,
                 config.num_budget_partitions, BudgetPartition({uuid}, config));
  CheckPartition("quota partition", input, PartitionFamily::kQuota, crc,
                 config.num_quota_partitions, QuotaPartition({uuid}, config));

  Uuid other = uuid;  // any uuid may be used for minting
  other.bytes[0] ^= 0xFF;
  CheckMinted(
      "minted for a flow", input, partition, other,
      WithoutAllocation(input, [&]() noexcept { return MintExecutionId(flow, config, other); }));
  CheckRandom("random id for a flow", input, partition,
              WithoutAllocation(input, [&]() noexcept { return MintExecutionId(flow, config); }));
}

// A partitioner whose answer is always the index that its constructor was given, right or wrong.
class FixedPartitioner final : public LanePartitioner {
 public:
  explicit FixedPartitioner(std::uint16_t index) : index_(index) {}
  std::uint16_t PartitionOf(LaneIdView /*lane*/, std::uint16_t /*count*/) const noexcept override {
    return index_;
  }

 private:
  std::uint16_t index_;
};

void CheckLaneRoutes(std::string_view input, const PartitionConfig& config, const Uuid& uuid,
                     std::string_view name) {
  const LaneIdView lane = LaneIdView::Unchecked(name);
  const std::uint16_t count = config.num_flow_partitions;
  const auto partition =
      WithoutAllocation(input, [&]() noexcept { return LanePartition(lane, config); });
  CheckPartition("lane partition", input, PartitionFamily::kExecution, NaiveCrc16(name), count,
                 partition);
  CheckMinted("minted for a lane", input, partition, uuid, MintExecutionId(lane, config, uuid));
  CheckRandom("random id for a lane", input, partition, MintExecutionId(lane, config));

  // If a partitioner's answer is not below the count, there is no partition. An answer that is
  // exactly the count is tried too, since chance would rarely choose it.
  for (const std::uint16_t index :
       {config.num_budget_partitions, count, static_cast<std::uint16_t>(count - 1)}) {
    std::optional<Partition> expected;
    if (index < count) expected = Partition{PartitionFamily::kExecution, index};
    const FixedPartitioner partitioner(index);
    const auto got = LanePartition(lane, config, partitioner);
    if (got != expected) Fail("injected partitioner", input, Shown(expected), Shown(got));
    CheckRandom("random id by an injected partitioner", input, expected,
                MintExecutionId(lane, config, partitioner));
  }

  const std::uint64_t start = testing::NaiveFnv1a64(name) % 65536;
  const std::uint64_t expected = count == 0 ? 0 : start % count;
  const std::uint16_t got =
      WithoutAllocation(input, [&]() noexcept { return ScanStart({name}, count); });
  if (got != expected) {
    Fail("scan start", input, std::to_string(expected), std::to_string(got));
  }
}

void CheckLaneName(std::string_view input, std::string_view name) {
  LaneIdError error = LaneIdError::kNone;
  std::size_t offset = 0;
  std::string text;
  if (name.empty()) {
    error = LaneIdError::kEmpty;
    text = "lane_id is empty";
  } else if (name.size() > 64) {
    error = LaneIdError::kTooLong;
    offset = name.size();
    text = "lane_id exceeds 64 bytes (got " + std::to_string(name.size()) + ")";
  } else {
    while (offset < name.size() && name[offset] >= 0x20 && name[offset] <= 0x7E) ++offset;
    if (offset < name.size()) {
      error = LaneIdError::kNotPrintable;
      text = "lane_id contains non-ASCII-printable byte at index " + std::to_string(offset);
    } else {
      offset = 0;
    }
  }
  const LaneIdResult got = WithoutAllocation(input, [&]() noexcept { return ParseLaneId(name); });
  if (got.error != error || got.offset != offset ||
      got.lane.text() != (got ? name : std::string_view())) {
    Fail("lane name", name, text,
         std::string(ErrorName(got.error)) + " at " + std::to_string(got.offset));
  }
  if (!got && ObservedOneIn(8)) {
    CheckWrite("lane error text", name, text, name.size() * 5,
               [&](std::span<char> out) noexcept { return FormatLaneIdError(got, out); });
  }
  Observe(static_cast<std::uint64_t>(got.error) << 32 | got.offset);
}

void CheckUuidStream(std::string_view input, std::uint64_t seed) {
  UuidGenerator generator(seed);
  testing::NaiveUuidGenerator naive(seed);
  for (int i = 0; i < 3; ++i) {
    const Uuid got = generator.Next();
    const Uuid expected = naive.Next();
    if (got != expected) Fail("uuid stream", input, NaiveUuidText(expected), NaiveUuidText(got));
  }
}

void Generate(Random& random, TextBuffer& text) {
  constexpr std::uint16_t kCounts[] = {0, 1, 2, 3, 32, 255, 256, 257, 16384, 65535};
  for (int i = 0; i < 3; ++i) {
    const std::uint16_t count = random.OneIn(2) ? kCounts[random.Below(std::size(kCounts))]
                                                : static_cast<std::uint16_t>(random.Next());
    text.Append(static_cast<char>(count >> 8));
    text.Append(static_cast<char>(count & 0xFF));
  }
  const bool nil = random.OneIn(8);
  for (std::size_t i = 0; i < kUuidBytes + 1; ++i) {
    text.Append(static_cast<char>(nil ? 0 : random.Next()));
  }
  constexpr std::size_t kSizes[] = {0, 1, 7, 8, 63, 64, 65, 66};
  const std::size_t size =
      random.OneIn(2) ? kSizes[random.Below(std::size(kSizes))] : random.Below(70);
  const std::size_t name = text.size();
  for (std::size_t i = 0; i < size; ++i) text.Append(static_cast<char>(0x20 + random.Below(95)));
  // Replaces one byte of some names by a bad one, often by one at the limits of the good ones.
  constexpr char kBad[] = {'\x1F', '\x7F', '\x80', '\0', '\xFF'};
  if (random.OneIn(3) && size > 0) {
    const std::size_t at = name + random.Below(size);
    text.Set(at, kBad[random.Below(std::size(kBad))]);
  }
}

constexpr std::string_view kPieces[] = {"default", "main", "workers-a", "lane with space",
                                        "\x1F",    "\x7F", "{}",        ":"};
constexpr TextGrammar kGrammar = {Generate, kPieces, " ~a:{}\x1F\x7F\x80\xFF"};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies copies(data, size);
  const std::string_view input = copies.at_page_end();
  Choices choices(input);
  const PartitionConfig config = {Count(choices), Count(choices), Count(choices)};
  Uuid uuid;
  for (std::uint8_t& byte : uuid.bytes) byte = choices.Byte();
  const bool stream = choices.OneIn(4);
  const std::string_view name = input.substr(std::min(input.size(), kHeader));
  if (config.IsValid() != (config.num_flow_partitions != 0 && config.num_budget_partitions != 0 &&
                           config.num_quota_partitions != 0)) {
    Fail("valid counts", input);
  }
  CheckUuidRoutes(input, config, uuid);
  CheckLaneName(input, name);
  CheckLaneRoutes(input, config, uuid, name);
  if (stream) {
    std::uint64_t seed;
    std::memcpy(&seed, uuid.bytes.data(), sizeof seed);
    CheckUuidStream(input, seed);
  }
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
