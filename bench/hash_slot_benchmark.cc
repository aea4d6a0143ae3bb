// SPDX-License-Identifier: Apache-2.0
//
// Times CRC16, cluster slots and key names.

#include "ffgrant/hash_slot.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "ffgrant/crc16.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/key_names.h"
#include "ffgrant/parse_mode.h"

namespace ffgrant::bench {
namespace {

std::string_view Raw(const Uuid& uuid) {
  return {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()};
}

// The views point into ExecutionIds(kValid).
const std::vector<ExecutionIdView>& Ids() {
  static const std::vector<ExecutionIdView>* const ids = [] {
    auto* result = new std::vector<ExecutionIdView>;
    const TextSet& texts = ExecutionIds(IdCase::kValid);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const ExecutionIdResult parsed = ParseExecutionId(texts[i], ParseMode::kStrict);
      SelfCheck(static_cast<bool>(parsed), "a valid id is rejected", texts[i]);
      result->push_back(parsed.id);
    }
    return result;
  }();
  return *ids;
}

void CheckHashes(std::string_view bytes) {
  const std::uint16_t crc = Crc16Xmodem(bytes);
  SelfCheck(crc == plain::Crc16Bitwise(bytes) && crc == plain::Crc16Table(bytes),
            "crc16: values differ", bytes);
  SelfCheck(HashSlot(bytes) == plain::HashSlot(bytes), "hash slot: values differ", bytes);
}

void Check() {
  for (const TextSet* set : {&GrantKeys(), &Lanes(), &PartitionKeys(KeyCase::kRandom)}) {
    for (std::size_t i = 0; i < set->size(); ++i) CheckHashes((*set)[i]);
  }
  for (const Uuid& uuid : Uuids()) CheckHashes(Raw(uuid));
  for (const Partition partition : Partitions()) {
    SelfCheck(HashSlot(partition) == plain::HashSlot(partition), "slot of a partition differs",
              plain::FormatPartitionKeyString(partition));
  }
  for (std::size_t i = 0; i < kInputCount; ++i) {
    const ExecutionIdView& id = Ids()[i];
    std::array<char, kMaxExecutionKeySize> out;
    WriteResult written = FormatKey(ExecutionKey::kClaimGrant, id, out);
    SelfCheck(written && plain::GrantKeyString(id.partition(), id.text()) ==
                             std::string_view(out.data(), written.size),
              "grant key: texts differ", id.text());
    std::array<char, kMaxLaneKeySize> lane_out;
    const LaneIdView lane = LaneIdView::Unchecked(Lanes()[i]);
    written = FormatKey(LaneKey::kEligible, id.partition(), lane, lane_out);
    SelfCheck(written && plain::EligibleKeyString(id.partition(), lane.text()) ==
                             std::string_view(lane_out.data(), written.size),
              "eligible key: texts differ", lane.text());
  }
}

void RegisterCrc() {
  const auto uuids = []() -> const std::vector<Uuid>& { return Uuids(); };
  const auto register_uuid = [&](const std::string& impl, auto crc) {
    RegisterOverValues("Crc16_" + impl + "/uuid", uuids,
                       [crc](const Uuid& uuid) { return crc(Raw(uuid)); });
    RegisterOverTexts("Crc16_" + impl + "/grant_key", GrantKeys, crc);
    RegisterOverTexts("Crc16_" + impl + "/lane", Lanes, crc);
  };
  register_uuid("Core", kDirect<Crc16Xmodem>);
  register_uuid("Table", kDirect<plain::Crc16Table>);
  register_uuid("Bitwise", kDirect<plain::Crc16Bitwise>);
}

void RegisterSlots() {
  RegisterOverTexts("HashSlot_Core/grant_key", GrantKeys,
                    [](std::string_view key) { return HashSlot(key); });
  RegisterOverTexts("HashSlot_Table/grant_key", GrantKeys,
                    [](std::string_view key) { return plain::HashSlot(key); });
  const auto partitions = []() -> const std::vector<Partition>& { return Partitions(); };
  RegisterOverValues("HashSlot_Core/partition", partitions,
                     [](Partition partition) { return HashSlot(partition); });
  RegisterOverValues("HashSlot_Table/partition", partitions,
                     [](Partition partition) { return plain::HashSlot(partition); });
}

void RegisterKeyNames() {
  std::array<char, kMaxExecutionKeySize> out{};
  RegisterOverValues("FormatKey_Core/claim_grant", Ids, [out](const ExecutionIdView& id) mutable {
    const WriteResult written = FormatKey(ExecutionKey::kClaimGrant, id, out);
    benchmark::DoNotOptimize(out);
    return written;
  });
  RegisterOverValues("FormatKey_StdString/claim_grant", Ids, [](const ExecutionIdView& id) {
    return plain::GrantKeyString(id.partition(), id.text());
  });
  RegisterOverValues("FormatKey_StdStringReused/claim_grant", Ids,
                     [text = std::string()](const ExecutionIdView& id) mutable {
                       text.clear();
                       plain::AppendGrantKey(id.partition(), id.text(), text);
                       benchmark::DoNotOptimize(text.data());
                       return text.size();
                     });
  std::array<char, kMaxLaneKeySize> lane_out{};
  RegisterOverValues("FormatKey_Core/lane_eligible", Lanes,
                     [lane_out](std::string_view lane) mutable {
                       const WriteResult written =
                           FormatKey(LaneKey::kEligible, Partition{PartitionFamily::kFlow, 42},
                                     LaneIdView::Unchecked(lane), lane_out);
                       benchmark::DoNotOptimize(lane_out);
                       return written;
                     });
  RegisterOverValues("FormatKey_StdString/lane_eligible", Lanes, [](std::string_view lane) {
    return plain::EligibleKeyString(Partition{PartitionFamily::kFlow, 42}, lane);
  });
}

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  ffgrant::bench::RegisterCrc();
  ffgrant::bench::RegisterSlots();
  ffgrant::bench::RegisterKeyNames();
  return ffgrant::bench::RunBenchmarks(argc, argv, ffgrant::bench::Check);
}
