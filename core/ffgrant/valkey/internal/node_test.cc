// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/node.h"

#include <gtest/gtest.h>

#include <string>

namespace ffgrant::valkey::internal {
namespace {

TEST(OutputBuffer, GivesOutWhatWentInHoweverMuchOfItAtATime) {
  std::string all;
  while (all.size() < 1'000'000) all += std::to_string(all.size()) + ",";
  // These piece sizes lie around the two limits at which the buffer moves its rest to the front: 64
  // KiB, and half of its bytes. The inner loop consumes pieces of `size` bytes while more than one
  // piece is left.
  for (const std::size_t size : {std::size_t{65'535}, std::size_t{65'536}, std::size_t{100'000},
                                 std::size_t{499'999}, std::size_t{600'000}}) {
    OutputBuffer buffer;
    buffer.end().append(all);
    std::size_t out = 0;
    while (all.size() - out > size) {
      buffer.Consume(size);
      out += size;
      ASSERT_EQ(buffer.size(), all.size() - out);
      ASSERT_TRUE(buffer.pending() == std::string_view(all).substr(out)) << size << " " << out;
      ASSERT_FALSE(buffer.empty());
    }
    buffer.end().append("end");
    EXPECT_TRUE(buffer.pending().ends_with(all.substr(out + 1) + "end"));
    buffer.clear();
    EXPECT_TRUE(buffer.empty());
  }
}

TEST(OutputBuffer, StaysSmallAlsoIfItIsNeverEmpty) {
  OutputBuffer buffer;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (int i = 0; i < 20'000; ++i) {
    for (int j = 0; j < 1000; ++j) buffer.end().push_back(static_cast<char>(in++ % 251));
    const std::size_t size = i == 0 ? 500 : 1000;
    for (const char c : buffer.pending().substr(0, size)) {
      ASSERT_EQ(c, static_cast<char>(out++ % 251));
    }
    buffer.Consume(size);
    ASSERT_EQ(buffer.size(), 500u);
  }
  EXPECT_LT(buffer.capacity(), 300'000u);
  buffer.Consume(500);
  EXPECT_TRUE(buffer.empty());
}

TEST(Node, ServesOnlyWhereNothingSpeaksAgainstIt) {
  const struct {
    std::string what;
    void (*change)(Node& node);
  } kCases[] = {
      {"greeting", [](Node& node) { node.state = Node::State::kGreeting; }},
      {"a stranger", [](Node& node) { node.stranger = true; }},
      {"its functions were not looked for", [](Node& node) { node.has_library = false; }},
      {"to be closed", [](Node& node) { node.draining = true; }},
      {"perhaps dead", [](Node& node) { node.abandoned = 1; }},
      {"asked whether it is there", [](Node& node) { node.errand = Errand::kPing; }},
  };
  for (const auto& c : kCases) {
    Node node(0, {}, nullptr, {});
    EXPECT_FALSE(node.serves()) << "not connected";
    node.state = Node::State::kReady;
    node.has_library = true;
    EXPECT_TRUE(node.serves());
    c.change(node);
    EXPECT_FALSE(node.serves()) << c.what;
  }
}

}  // namespace
}  // namespace ffgrant::valkey::internal
