// SPDX-License-Identifier: Apache-2.0
//
// Makes the inputs of the figures for which bench/inputs.h has no suitable inputs.

#include "bench/peers/name_figures.h"

#include "bench/bench_main.h"
#include "bench/peers/id_figures.h"
#include "ffgrant/parse_mode.h"

namespace ffgrant::bench::peers {
namespace {

const TextSet& RawUuids() {
  static const TextSet* const set = [] {
    std::vector<std::string> texts;
    for (const Uuid& uuid : Uuids()) {
      texts.emplace_back(reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size());
    }
    return new TextSet(texts);
  }();
  return *set;
}

}  // namespace

const std::vector<FlowId>& MintId::Inputs(std::size_t) {
  static const std::vector<FlowId>* const flows = [] {
    auto* const made = new std::vector<FlowId>;
    for (const Uuid& uuid : Uuids()) made->push_back(FlowId{uuid});
    return made;
  }();
  return *flows;
}

const TextSet& Crc16::Inputs(std::size_t case_index) {
  return case_index == 0 ? RawUuids() : case_index == 1 ? GrantKeys() : Lanes();
}

const std::vector<ExecutionIdView>& FormatGrantKey::Inputs(std::size_t) {
  static const std::vector<ExecutionIdView>* const ids = [] {
    auto* const made = new std::vector<ExecutionIdView>;
    const TextSet& texts = ExecutionIds(IdCase::kValid);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const ExecutionIdResult parsed = ParseExecutionId(texts[i], ParseMode::kStrict);
      SelfCheck(static_cast<bool>(parsed), "a valid id is rejected", texts[i]);
      made->push_back(parsed.id);
    }
    return made;
  }();
  return *ids;
}

}  // namespace ffgrant::bench::peers
