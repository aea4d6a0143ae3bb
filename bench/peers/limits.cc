// SPDX-License-Identifier: Apache-2.0
//
// Makes the texts that the limits of formatting figures (all but SerializeRequest) copy and that
// the limit of PartitionSlot reads. Core writes these texts once.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/peers/core_peer.h"

namespace ffgrant::bench::peers {
namespace {

template <class Figure>
const TextSet& Written(std::size_t case_index = 0) {
  static const auto* const sets = [] {
    auto* const made = new std::vector<std::unique_ptr<const TextSet>>;
    for (std::size_t which = 0; which < Figure::kCases.size(); ++which) {
      CorePeer<Figure> core;
      std::vector<std::string> texts;
      for (std::size_t i = 0; i < kInputCount; ++i) {
        const auto result = core(Figure::Inputs(which)[i]);
        texts.emplace_back(CorePeer<Figure>::ValueOf(result));
      }
      made->push_back(std::make_unique<const TextSet>(texts));
    }
    return made;
  }();
  return *(*sets)[case_index];
}

}  // namespace

std::string_view FormatPartitionKey::Limit(std::size_t, std::size_t i) {
  return Written<FormatPartitionKey>()[i];
}
std::string_view FormatUuidText::Limit(std::size_t, std::size_t i) {
  return Written<FormatUuidText>()[i];
}
std::string_view FormatExecutionId::Limit(std::size_t, std::size_t i) {
  return Written<FormatExecutionId>()[i];
}
std::string_view MintId::Limit(std::size_t, std::size_t i) { return Written<MintId>()[i]; }
std::string_view FormatGrantKey::Limit(std::size_t, std::size_t i) {
  return Written<FormatGrantKey>()[i];
}
std::string_view FormatEligibleKey::Limit(std::size_t, std::size_t i) {
  return Written<FormatEligibleKey>()[i];
}
std::string_view SerializeGrant::Limit(std::size_t case_index, std::size_t i) {
  return Written<SerializeGrant>(case_index)[i];
}
std::string_view PartitionSlot::Limit(std::size_t, std::size_t i) {
  return Written<FormatPartitionKey>()[i];
}

}  // namespace ffgrant::bench::peers
