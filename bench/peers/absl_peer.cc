// SPDX-License-Identifier: Apache-2.0
//
// Adds Abseil's string functions as a peer: https://abseil.io/docs/cpp/guides/strings
// StrAppend takes all parts in one call and makes room for all of them before it writes. It appends
// to a string that keeps its capacity.

#include <absl/base/config.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"

namespace ffgrant::bench::peers {
namespace {

// Uses Abseil's own string_view, since an Abseil that was built for C++14 does not take
// std::string_view.
absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::string_view Prefix(PartitionFamily family) {
  switch (family) {
    case PartitionFamily::kBudget:
      return "{b:";
    case PartitionFamily::kQuota:
      return "{q:";
    case PartitionFamily::kFlow:
    case PartitionFamily::kExecution:
      break;
  }
  return "{fp:";
}

struct AbslWriter : ResultIsValue<std::string_view> {
  static constexpr std::string_view kImpl = "AbslStrAppend";
  std::string text;
};

struct KeyWriter : AbslWriter {
  std::string_view operator()(Partition partition) {
    text.clear();
    absl::StrAppend(&text, Prefix(partition.family), partition.index, "}");
    return text;
  }
};

struct GrantKeyWriter : AbslWriter {
  std::string_view operator()(const ExecutionIdView& id) {
    text.clear();
    absl::StrAppend(&text, "ff:exec:", Prefix(id.partition().family), id.partition().index,
                    "}:", View(id.text()), ":claim_grant");
    return text;
  }
};

struct EligibleKeyWriter : AbslWriter {
  std::string_view operator()(std::string_view lane) {
    constexpr Partition kPartition = FormatEligibleKey::kPartition;
    text.clear();
    absl::StrAppend(&text, "ff:idx:", Prefix(kPartition.family), kPartition.index,
                    "}:lane:", View(lane), ":eligible");
    return text;
  }
};

}  // namespace

void AddAbslPeers(Registry& registry) {
  registry.AddVersion("Abseil", std::to_string(ABSL_LTS_RELEASE_VERSION));
  AddPeer<FormatPartitionKey, KeyWriter>(registry);
  AddPeer<FormatGrantKey, GrantKeyWriter>(registry);
  AddPeer<FormatEligibleKey, EligibleKeyWriter>(registry);
}

}  // namespace ffgrant::bench::peers
