// SPDX-License-Identifier: Apache-2.0

#include "harness/key_name_check.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/hash_slot.h"
#include "ffgrant/key_names.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/write_check.h"
#include "testing/naive/naive_hash.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaivePartitionTag;

constexpr std::size_t kNoLimit = ~std::size_t{0};

template <class Write>
void CheckKey(const std::string& expected, std::size_t max_size, Write write) {
  CheckWrite("key name", expected, expected, expected.size() * 7, write);
  if (expected.size() > max_size) Fail("maximum size of a key", expected);
  Observe(expected);
}

// The maximum must be the size of the longest key of its kind.
void CheckLongest(const std::string& key, std::size_t max_size) {
  if (key.size() != max_size) {
    Fail("size of the longest key", key, std::to_string(max_size), std::to_string(key.size()));
  }
}
bool IsLongest(Partition partition) { return NaivePartitionTag(partition).size() == 10; }

// Does what CheckKey() does, for a key that must lie in the slot of its partition.
template <class Write>
void CheckRoutedKey(const std::string& expected, Partition partition, std::size_t max_size,
                    Write write) {
  CheckKey(expected, max_size, write);
  if (testing::NaiveHashSlot(expected) != HashSlot(partition)) Fail("slot of a key", expected);
}

void CheckExecutionKeys(ValueChoices& values) {
  constexpr std::string_view kRoles[] = {"core",          "claim_grant",   "payload",
                                         "result",        "policy",        "tags",
                                         "lease:current", "lease:history", "attempts"};
  const ExecutionIdView id = values.Id();
  const std::size_t max_size = id.is_canonical() ? kMaxExecutionKeySize : kNoLimit;
  const std::string stem =
      "ff:exec:" + NaivePartitionTag(id.partition()) + ":" + std::string(id.text()) + ":";
  for (std::size_t i = 0; i < std::size(kRoles); ++i) {
    CheckRoutedKey(stem + std::string(kRoles[i]), id.partition(), max_size,
                   [&](std::span<char> out) noexcept {
                     return FormatKey(static_cast<ExecutionKey>(i), id, out);
                   });
  }
  if (id.is_canonical() && IsLongest(id.partition())) {
    CheckLongest(stem + "lease:current", kMaxExecutionKeySize);
  }
}

void CheckAttemptKeys(ValueChoices& values) {
  const ExecutionIdView id = values.Id();
  const AttemptIndex attempt = {values.U32()};
  const std::size_t max_size = id.is_canonical() ? kMaxAttemptKeySize : kNoLimit;
  const std::string rest = NaivePartitionTag(id.partition()) + ":" + std::string(id.text()) + ":" +
                           std::to_string(attempt.value);
  const std::string keys[] = {"ff:attempt:" + rest, "ff:attempt:" + rest + ":usage",
                              "ff:attempt:" + rest + ":policy", "ff:stream:" + rest + ":meta"};
  for (std::size_t i = 0; i < std::size(keys); ++i) {
    CheckRoutedKey(keys[i], id.partition(), max_size, [&](std::span<char> out) noexcept {
      return FormatKey(static_cast<AttemptKey>(i), id, attempt, out);
    });
  }
  if (id.is_canonical() && IsLongest(id.partition()) && attempt.value >= 1'000'000'000) {
    CheckLongest(keys[2], kMaxAttemptKeySize);
  }
}

void CheckLaneKeys(ValueChoices& values) {
  constexpr std::string_view kRoles[] = {"eligible",         "active",
                                         "delayed",          "terminal",
                                         "suspended",        "blocked:route",
                                         "blocked:budget",   "blocked:quota",
                                         "blocked:operator", "blocked:dependencies"};
  const Partition partition = values.SomePartition();
  const bool checked = !values.choices().OneIn(4);
  const std::string_view name = checked ? values.Name(kMaxLaneIdSize) : values.Text();
  const LaneIdView lane = LaneIdView::Unchecked(name);
  const std::string stem =
      "ff:idx:" + NaivePartitionTag(partition) + ":lane:" + std::string(name) + ":";
  for (std::size_t i = 0; i < std::size(kRoles); ++i) {
    CheckRoutedKey(stem + std::string(kRoles[i]), partition, checked ? kMaxLaneKeySize : kNoLimit,
                   [&](std::span<char> out) noexcept {
                     return FormatKey(static_cast<LaneKey>(i), partition, lane, out);
                   });
  }
  CheckKey("ff:lane:" + std::string(name) + ":config", checked ? kMaxLaneConfigKeySize : kNoLimit,
           [&](std::span<char> out) noexcept { return FormatLaneConfigKey(lane, out); });
  if (checked && name.size() == kMaxLaneIdSize && IsLongest(partition)) {
    CheckLongest(stem + "blocked:dependencies", kMaxLaneKeySize);
  }
}

void CheckPartitionKeys(ValueChoices& values) {
  const Partition partition = values.SomePartition();
  const std::string tag = NaivePartitionTag(partition);
  const std::string keys[] = {"ff:idx:" + tag + ":lease_expiry",
                              "ff:idx:" + tag + ":attempt_timeout",
                              "ff:idx:" + tag + ":execution_deadline",
                              "ff:idx:" + tag + ":all_executions", "ff:noop:" + tag};
  for (std::size_t i = 0; i < std::size(keys); ++i) {
    CheckRoutedKey(keys[i], partition, kMaxPartitionIndexKeySize,
                   [&](std::span<char> out) noexcept {
                     return FormatKey(static_cast<PartitionIndexKey>(i), partition, out);
                   });
  }
  if (IsLongest(partition)) CheckLongest(keys[2], kMaxPartitionIndexKeySize);
}

void CheckNamedKeys(ValueChoices& values) {
  const Partition partition = values.SomePartition();
  const std::string tag = NaivePartitionTag(partition);
  const bool checked = !values.choices().OneIn(4);
  const std::string name(checked ? values.Name(kMaxWorkerNameSize) : values.Text());
  const std::string space(values.Text());
  const WorkerInstanceIdView instance = {name};
  const NamespaceView ns = {space};
  CheckRoutedKey("ff:idx:" + tag + ":worker:" + name + ":leases", partition,
                 checked ? kMaxWorkerLeasesKeySize : kNoLimit, [&](std::span<char> out) noexcept {
                   return FormatWorkerLeasesKey(partition, instance, out);
                 });
  CheckRoutedKey(
      "ff:idem:" + tag + ":" + space + ":" + name, partition, kNoLimit,
      [&](std::span<char> out) noexcept { return FormatIdempotencyKey(partition, ns, name, out); });
  const std::string stem = "ff:worker:" + space + ":" + name;
  CheckKey(stem + ":alive", kNoLimit, [&](std::span<char> out) noexcept {
    return FormatKey(WorkerKey::kAlive, ns, instance, out);
  });
  CheckKey(stem + ":caps", kNoLimit, [&](std::span<char> out) noexcept {
    return FormatKey(WorkerKey::kCaps, ns, instance, out);
  });
  CheckKey("ff:idx:" + space + ":workers", kNoLimit,
           [&](std::span<char> out) noexcept { return FormatWorkerIndexKey(ns, out); });
}

}  // namespace

void CheckKeyNames(ValueChoices& values) {
  switch (values.choices().Below(5)) {
    case 0:
      return CheckExecutionKeys(values);
    case 1:
      return CheckAttemptKeys(values);
    case 2:
      return CheckLaneKeys(values);
    case 3:
      return CheckPartitionKeys(values);
    default:
      return CheckNamedKeys(values);
  }
}

}  // namespace ffgrant::fuzz
