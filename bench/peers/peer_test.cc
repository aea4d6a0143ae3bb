// SPDX-License-Identifier: Apache-2.0
//
// The check of a peer against core must find a wrong peer, even if it is wrong about only one of
// 65,536 inputs, about what it rejects, or about one byte that it writes.

#include "bench/peers/peer.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "bench/peers/core_peer.h"
#include "bench/plain_baselines.h"

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

}  // namespace
}  // namespace ffgrant::bench::peers
