// SPDX-License-Identifier: Apache-2.0
//
// Tests that the check of a peer against core finds a wrong peer, even if the peer is wrong about
// only one of 65,536 inputs, only about what it rejects, only about a byte that it writes, or only
// about the place of an error. Tests also that a peer that serves as an experiment does all that
// core does, even where no input of a benchmark asks for it.

#include "bench/peers/peer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "bench/inputs.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/simdjson_checked.h"
#include "bench/plain_baselines.h"
#include "bench/simd_uuid.h"
#include "bench/simdjson_grant_reader.h"

namespace ffgrant::bench::peers {
namespace {

struct RightKeys : ResultIsValue<ParsePartitionKeyStrict::Value> {
  static constexpr std::string_view kImpl = "Right";
  std::optional<Partition> operator()(std::string_view text) {
    return plain::ParsePartitionKeyStrict(text);
  }
};

struct WrongOnce : ResultIsValue<ParsePartitionKeyStrict::Value> {
  static constexpr std::string_view kImpl = "WrongOnce";
  std::optional<Partition> operator()(std::string_view text) {
    std::optional<Partition> key = plain::ParsePartitionKeyStrict(text);
    if (++calls == kInputCount) key->index ^= 1;
    return key;
  }
  std::size_t calls = 0;
};

// Accepts texts that strict mode rejects.
struct TooLenient : ResultIsValue<ParsePartitionKeyStrict::Value> {
  static constexpr std::string_view kImpl = "TooLenient";
  std::optional<Partition> operator()(std::string_view text) {
    return plain::ParsePartitionKeyLenient(text);
  }
};

struct UppercaseUuids : ResultIsValue<std::string_view> {
  static constexpr std::string_view kImpl = "Uppercase";
  std::string_view operator()(const Uuid& uuid) {
    plain::FormatUuid(uuid, out.data());
    for (char& c : out) c = c == 'f' ? 'F' : c;
    return {out.data(), out.size()};
  }
  std::array<char, kUuidTextSize> out;
};

// Reports uppercase digits of a uuid at a place that is one byte too far.
struct WrongOffset : ResultIsValue<plain::IdOutcome> {
  static constexpr std::string_view kImpl = "WrongOffset";
  plain::IdOutcome operator()(std::string_view text) {
    plain::IdOutcome outcome = plain::ExplainExecutionIdSimd(text, ParseMode::kStrict);
    if (outcome.error == ExecutionIdError::kUppercaseUuid) ++outcome.offset;
    return outcome;
  }
};

TEST(PeerTest, APeerThatIsRightPasses) { CheckAgainstCore<ParsePartitionKeyStrict, RightKeys>(); }

TEST(PeerDeathTest, APeerThatIsWrongOnceIsFound) {
  EXPECT_EXIT((CheckAgainstCore<ParsePartitionKeyStrict, WrongOnce>()),
              ::testing::ExitedWithCode(1), "ParsePartitionKeyStrict, random: core and WrongOnce");
}

TEST(PeerDeathTest, APeerThatTakesTooMuchIsFound) {
  EXPECT_EXIT((CheckAgainstCore<ParsePartitionKeyStrict, TooLenient>()),
              ::testing::ExitedWithCode(1), "spellings: core and TooLenient differ");
}

TEST(PeerDeathTest, APeerThatWritesAnotherByteIsFound) {
  EXPECT_EXIT((CheckAgainstCore<FormatUuidText, UppercaseUuids>()), ::testing::ExitedWithCode(1),
              "FormatUuid, random: core and Uppercase differ");
}

TEST(PeerDeathTest, APeerThatReportsAnotherPlaceIsFound) {
  EXPECT_EXIT((CheckAgainstCore<ExplainExecutionIdStrict, WrongOffset>()),
              ::testing::ExitedWithCode(1), "spellings: core and WrongOffset differ");
}

TEST(ExperimentTest, TheSimdParserReportsTheErrorsOfCore) {
  const std::string uuid = "01234567-89ab-CDEF-fedc-ba9876543210";
  for (const std::string& id :
       {"{fp:7}:" + uuid, "{fp:+65535}:{" + uuid + "}", "{fp:007}:urn:uuid:" + uuid,
        std::string("{fp:65536}:0123456789abcdeffedcba9876543210")}) {
    for (std::size_t place = 0; place < id.size(); ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text = id;
        text[place] = static_cast<char>(byte);
        for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
          const plain::IdOutcome expected =
              CoreIdExplainer<ParseMode::kStrict>::ValueOf(ParseExecutionId(text, mode));
          ASSERT_EQ(plain::ExplainExecutionIdSimd(text, mode), expected) << text;
        }
      }
      const std::string cut = id.substr(0, place);
      ASSERT_EQ(
          plain::ExplainExecutionIdSimd(cut, ParseMode::kStrict),
          CoreIdExplainer<ParseMode::kStrict>::ValueOf(ParseExecutionId(cut, ParseMode::kStrict)))
          << cut;
    }
  }
}

TEST(ExperimentTest, SimdjsonRefusesWhatCoreRefuses) {
  constexpr std::string_view kMembers =
      R"("execution_id":"i","partition_key":"p","grant_key":"g","expires_at_ms":1)";
  SimdjsonCheckedReader checked;
  plain::SimdjsonGrantReader unchecked;
  const auto check = [&](const std::string& json, bool valid) {
    const TextSet set({json});
    JsonScratch scratch;
    ClaimResponseView response;
    plain::GrantMembers members;
    EXPECT_EQ(static_cast<bool>(ParseClaimResponse(set[0], scratch, response)), valid) << json;
    EXPECT_EQ(checked.Read(set[0], members), valid) << json;
    // The plain reader, which skips what it does not need, accepts all of these documents.
    EXPECT_TRUE(unchecked.ReadMembers(set[0], members)) << json;
  };
  const std::string all(kMembers);
  check("{" + all + "}", true);
  check("{\"x\":[{\"y\":[1,-2.5,true,null,\"\\u00e9\"]}]," + all + "}", true);
  check("{" + all + ",\"execution_id\":\"j\"}", false);
  check("{" + all + "}{}", false);
  check("{\"x\":[1,2,tru]," + all + "}", false);
  check("{\"x\":{\"y\" 1}," + all + "}", false);
  check("{\"x\":[01]," + all + "}", false);
  check("{\"x\":\"\\q\"," + all + "}", false);
}

}  // namespace
}  // namespace ffgrant::bench::peers
