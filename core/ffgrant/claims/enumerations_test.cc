// SPDX-License-Identifier: Apache-2.0
//
// Any number may be cast to an enumeration. For such a number the functions that name enumerators
// still return a text, and do not read past their tables.

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <string_view>

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/claims/claim_error.h"
#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/lease_handle.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/ingress.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/key_names.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/uuid.h"
#include "ffgrant/write_result.h"

namespace ffgrant {
namespace {

// Checks that each enumerator up to `last` has a name of its own, and that every other number has
// the name `otherwise`.
template <class Enum>
void CheckNames(std::string_view (*name)(Enum) noexcept, Enum last, std::string_view otherwise) {
  std::set<std::string_view> names;
  for (int number = 0; number < 256; ++number) {
    const std::string_view text = name(static_cast<Enum>(number));
    if (number <= static_cast<int>(last)) {
      EXPECT_TRUE(names.insert(text).second) << text;
    } else {
      EXPECT_EQ(text, otherwise) << number;
    }
  }
}

TEST(EnumerationsTest, NamesOfAnyNumber) {
  CheckNames<UuidError>(ErrorName, UuidError::kUppercaseDigit, "unknown");
  CheckNames<PartitionKeyError>(ErrorName, PartitionKeyError::kLeadingZero, "unknown");
  CheckNames<ExecutionIdError>(ErrorName, ExecutionIdError::kUppercaseUuid, "unknown");
  CheckNames<LaneIdError>(ErrorName, LaneIdError::kNotPrintable, "unknown");
  CheckNames<LeaseHandleError>(ErrorName, LeaseHandleError::kInvalidUuid, "");
  CheckNames<ClaimError>(ErrorName, ClaimError::kUnavailable, "unknown_code");
  CheckNames<ErrorClassification>(ErrorClassificationName, ErrorClassification::kBug, "unknown");
  CheckNames<LeaseKind>(LeaseKindName, LeaseKind::kReclaim, "unknown");
  CheckNames<AlreadySatisfied>(ReasonWord, AlreadySatisfied::kNotYetExpired, "unknown");
  CheckNames<PartitionFamily>(FamilyName, PartitionFamily::kQuota, "unknown");
  CheckNames<CapabilityError>(RequiredDetail, CapabilityError::kTooManyBytes, "");
  CheckNames<CapabilityError>(WorkerDetail, CapabilityError::kTooManyBytes, "");
}

// Here one number stands for all numbers that are no enumerators.
TEST(EnumerationsTest, NamesOfNumbersThatNoEnumeratorHas) {
  EXPECT_EQ(ErrorName(static_cast<JsonError>(255)), "unknown");
  EXPECT_EQ(ErrorClassName(static_cast<JsonErrorClass>(255)), "unknown");
  EXPECT_EQ(ErrorName(static_cast<WriteError>(255)), "unknown");
  EXPECT_EQ(ErrorName(static_cast<IngressError>(255)), "unknown");
  EXPECT_EQ(ScriptClass(static_cast<ClaimError>(255)), ScriptClass(ClaimError::kUnknownCode));
  EXPECT_EQ(EngineClass(static_cast<ClaimError>(255)), EngineClass(ClaimError::kUnknownCode));
}

TEST(EnumerationsTest, TextsOfNumbersThatNoEnumeratorHas) {
  std::array<char, 256> out;
  PartitionKeyResult key;
  key.error = static_cast<PartitionKeyError>(255);
  EXPECT_EQ(FormatPartitionKeyError(key, out), WriteResult());
  ExecutionIdResult id;
  id.error = static_cast<ExecutionIdError>(255);
  EXPECT_EQ(FormatExecutionIdError(id, out), WriteResult());
  LaneIdResult lane;
  lane.error = static_cast<LaneIdError>(255);
  EXPECT_EQ(FormatLaneIdError(lane, out), WriteResult());

  const ExecutionIdView execution =
      ParseExecutionId("{fp:7}:11111111-1111-4111-8111-111111111111", ParseMode::kStrict).id;
  const Partition partition = execution.partition();
  const auto text = [&](const WriteResult& written) {
    return std::string(out.data(), written ? written.size : 0);
  };
  const std::string stem = "{fp:7}:{fp:7}:11111111-1111-4111-8111-111111111111";
  EXPECT_EQ(text(FormatKey(static_cast<ExecutionKey>(255), execution, out)), "ff:exec:" + stem);
  EXPECT_EQ(text(FormatKey(static_cast<AttemptKey>(255), execution, AttemptIndex{3}, out)),
            "ff:attempt:" + stem + ":3");
  EXPECT_EQ(text(FormatKey(static_cast<LaneKey>(255), partition, LaneIdView::Unchecked("m"), out)),
            "ff:idx:{fp:7}:lane:m");
  EXPECT_EQ(text(FormatKey(static_cast<PartitionIndexKey>(255), partition, out)), "ff:idx:{fp:7}");
}

}  // namespace
}  // namespace ffgrant
