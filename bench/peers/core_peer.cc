// SPDX-License-Identifier: Apache-2.0

#include "bench/peers/core_peer.h"

#include <span>
#include <vector>

#include "bench/peers/add_peers.h"

namespace ffgrant::bench::peers {
namespace {

template <class... Figures>
void AddEach(Registry& registry) {
  // The check that AddPeer() adds here compares core with itself. The checks of the other peers
  // compare core with other code.
  (AddPeer<Figures, CorePeer<Figures>>(registry), ...);
  (AddLimit<Figures>(registry), ...);
}

// The number of texts in one call of core's functions that parse many texts at once. These
// functions are timed beside core's calls with one text each.
constexpr std::size_t kBatch = 256;

template <class Value, auto parse_many, class Figure>
void AddMany(Registry& registry) {
  registry.AddTimed(
      Figure::kOp, "CoreMany", Figure::kCases[0],
      [](benchmark::State& state) {
        std::vector<std::string_view> texts;
        for (std::size_t i = 0; i < kInputCount; ++i) texts.push_back(Figure::Inputs(0)[i]);
        std::vector<Value> out(kBatch);
        std::size_t first = 0;
        const auto parse_next = [&] {
          auto result = parse_many(std::span(texts).subspan(first, kBatch), ParseMode::kStrict,
                                   std::span<Value>(out));
          benchmark::DoNotOptimize(result.count);
          benchmark::DoNotOptimize(*out.data());
          benchmark::ClobberMemory();
          first = (first + kBatch) % kInputCount;
        };
        // As in RunWarm(), untimed calls bring the caches into the same state before each run.
        for (std::size_t i = 0; i < 16 * kInputCount; i += kBatch) parse_next();
        LoopCounters counters(state);
        while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(kBatch))) {
          parse_next();
        }
        counters.Report();
      },
      kInputCount);
}

}  // namespace

void AddCoreAndLimits(Registry& registry) {
  AddEach<ParsePartitionKeyStrict, ParsePartitionKeyLenient, FormatPartitionKey,
          ParseExecutionIdStrict, ParseExecutionIdLenient, ParseUuidStrict, FormatUuidText,
          FormatExecutionId, MintId, MintAndUse, MintRandomId, ParseGrant, ParseGrantMembers,
          SerializeGrant, Crc16, KeySlot, PartitionSlot, FormatGrantKey, FormatEligibleKey>(
      registry);
  AddMany<Partition, ParsePartitionKeys, ParsePartitionKeyStrict>(registry);
  AddMany<ExecutionIdView, ParseExecutionIds, ParseExecutionIdStrict>(registry);
}

}  // namespace ffgrant::bench::peers
