// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/partition_key.h"

#include <array>
#include <optional>
#include <span>
#include <string>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/partition.h"

namespace ffgrant::bench {
namespace {

constexpr std::array kCases = {KeyCase::kRandom, KeyCase::kDistinct, KeyCase::kEarlyReject,
                               KeyCase::kLateReject, KeyCase::kSpellings};

void CheckParse(std::string_view text, ParseMode mode, const std::optional<Partition>& expected) {
  const PartitionKeyResult got = ParsePartitionKey(text, mode);
  SelfCheck(static_cast<bool>(got) == expected.has_value(), "partition key: accepted by one", text);
  SelfCheck(!expected || got.partition == *expected, "partition key: values differ", text);
}

void Check() {
  for (const KeyCase which : kCases) {
    const TextSet& keys = PartitionKeys(which);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      CheckParse(keys[i], ParseMode::kStrict, plain::ParsePartitionKeyStrict(keys[i]));
      CheckParse(keys[i], ParseMode::kLenient, plain::ParsePartitionKeyLenient(keys[i]));
    }
  }
  const TextSet& valid = PartitionKeys(KeyCase::kRandom);
  SelfCheck(plain::ParsePartitionKeyStrict(valid[0]).has_value(), "valid keys are rejected",
            valid[0]);
  const TextSet& rejected = PartitionKeys(KeyCase::kLateReject);
  SelfCheck(!plain::ParsePartitionKeyLenient(rejected[0]), "wrong keys are accepted", rejected[0]);
  for (const Partition partition : Partitions()) {
    const std::string expected = plain::FormatPartitionKeyString(partition);
    std::array<char, kMaxPartitionTagSize> out;
    const WriteResult written = FormatPartitionTag(partition, out);
    SelfCheck(written && expected == std::string_view(out.data(), written.size),
              "partition tag: texts differ", expected);
    SelfCheck(expected == std::string_view(out.data(),
                                           plain::FormatPartitionKeyToChars(partition, out.data())),
              "partition tag: plain texts differ", expected);
  }
}

void RegisterAll() {
  for (const KeyCase which : kCases) {
    const auto set = [which]() -> const TextSet& { return PartitionKeys(which); };
    const std::string name(CaseName(which));
    RegisterOverTexts("ParsePartitionKeyStrict_Core/" + name, set, [](std::string_view text) {
      return ParsePartitionKey(text, ParseMode::kStrict);
    });
    RegisterOverTexts("ParsePartitionKeyStrict_FromChars/" + name, set,
                      kDirect<plain::ParsePartitionKeyStrict>);
    RegisterOverTexts("ParsePartitionKeyLenient_Core/" + name, set, [](std::string_view text) {
      return ParsePartitionKey(text, ParseMode::kLenient);
    });
    RegisterOverTexts("ParsePartitionKeyLenient_FromChars/" + name, set,
                      kDirect<plain::ParsePartitionKeyLenient>);
  }
  const auto set = []() -> const std::vector<Partition>& { return Partitions(); };
  std::array<char, kMaxPartitionTagSize> out{};
  RegisterOverValues("FormatPartitionKey_Core/random", set, [out](Partition partition) mutable {
    const WriteResult written = FormatPartitionTag(partition, out);
    benchmark::DoNotOptimize(out);
    return written;
  });
  RegisterOverValues("FormatPartitionKey_ToChars/random", set, [out](Partition partition) mutable {
    const std::size_t size = plain::FormatPartitionKeyToChars(partition, out.data());
    benchmark::DoNotOptimize(out);
    return size;
  });
  RegisterOverValues("FormatPartitionKey_StdString/random", set,
                     kDirect<plain::FormatPartitionKeyString>);
}

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  ffgrant::bench::RegisterAll();
  return ffgrant::bench::RunBenchmarks(argc, argv, ffgrant::bench::Check);
}
