// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/name_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ffgrant::internal {
namespace {

using Name = std::pair<std::string, std::string>;

class NamePoolTest : public ::testing::Test {
 protected:
  static Name NameAt(const NamePool& pool, NameId id) { return {pool.First(id), pool.Second(id)}; }

  TextPool texts_{4 * TextPool::kPieceBytes};
};

TEST_F(NamePoolTest, ANameIsAPair) {
  NamePool pool(8, 1, texts_);
  EXPECT_EQ(pool.Hold(""), 0u);
  EXPECT_EQ(pool.Hold("", ""), 0u);
  std::vector<NameId> ids;
  const std::vector<Name> names = {{"ab", ""}, {"a", "b"}, {"", "ab"}, {"b", "a"}, {"ab", "ab"}};
  for (const auto& [first, second] : names) ids.push_back(pool.Hold(first, second));
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(NameAt(pool, ids[i]), names[i]);
    EXPECT_EQ(pool.Hold(names[i].first, names[i].second), ids[i]);
    for (std::size_t k = 0; k < names.size(); ++k) {
      EXPECT_EQ(pool.Is(ids[i], names[k].first, names[k].second), i == k);
      EXPECT_EQ(pool.FirstIs(ids[i], names[k].first), names[i].first == names[k].first);
      EXPECT_EQ(pool.SecondIs(ids[i], names[k].second), names[i].second == names[k].second);
    }
  }
}

TEST_F(NamePoolTest, RunsOutOfNames) {
  NamePool pool(2, 1, texts_);
  const NameId a = pool.Hold("a");
  const NameId b = pool.Hold("b");
  EXPECT_EQ(pool.free_names(), 0u);
  EXPECT_EQ(pool.Hold("c"), NamePool::kFull);
  EXPECT_EQ(pool.Hold("a"), a);
  EXPECT_EQ(pool.Hold("b"), b);
  EXPECT_EQ(pool.Hold(""), 0u);
}

TEST_F(NamePoolTest, GuessingHoldsNothing) {
  NamePool pool(2, 1, texts_);
  EXPECT_EQ(pool.Guess("a"), 0u);
  const NameId a = pool.Hold("a");
  const NameId b = pool.Hold("b");
  EXPECT_EQ(pool.Guess("a"), a);
  EXPECT_EQ(pool.Guess("b"), b);
  EXPECT_EQ(pool.Guess("c"), 0u);
  pool.Release(a);
  EXPECT_EQ(pool.free_names(), 1u);
  EXPECT_EQ(pool.Guess("a"), 0u);
  EXPECT_EQ(pool.Hold("c"), a);
  EXPECT_EQ(pool.Guess("c"), a);
}

// A name of up to 48 bytes is stored in its entry. A longer name is stored in pieces of 60 bytes.
TEST_F(NamePoolTest, LongNamesTakePieces) {
  NamePool pool(8, 1, texts_);
  const auto pieces_of = [&](std::size_t first, std::size_t second) {
    const std::size_t before = texts_.free_pieces();
    const std::string a(first, 'a');
    const std::string b(second, 'b');
    const NameId id = pool.Hold(a, b);
    if (id == NamePool::kFull) return std::size_t{99};
    EXPECT_EQ(NameAt(pool, id), Name(a, b));
    EXPECT_TRUE(pool.Is(id, a, b));
    EXPECT_FALSE(pool.Is(id, a, std::string(second, 'a')));
    EXPECT_FALSE(pool.FirstIs(id, std::string(first, 'b')));
    EXPECT_TRUE(pool.SecondIs(id, b));
    EXPECT_EQ(pool.Hold(a, b), id);
    const std::size_t used = before - texts_.free_pieces();
    pool.Add(id, -2);
    EXPECT_EQ(texts_.free_pieces(), before);
    return used;
  };
  EXPECT_EQ(pieces_of(48, 1), 1u);
  EXPECT_EQ(pieces_of(24, 24), 0u);
  EXPECT_EQ(pieces_of(24, 25), 1u);
  EXPECT_EQ(pieces_of(60, 60), 2u);
  EXPECT_EQ(pieces_of(61, 60), 3u);
  EXPECT_EQ(pieces_of(1, 239), 4u);
  EXPECT_EQ(pieces_of(1, 240), 99u);
  EXPECT_EQ(pieces_of(241, 1), 99u);
  EXPECT_EQ(pool.free_names(), 8u);
}

TEST_F(NamePoolTest, TheLastOneThatLetsGoMakesRoom) {
  NamePool pool(2, 1, texts_);
  const NameId a = pool.Hold("a");
  const NameId b = pool.Hold("b", "bb");
  EXPECT_EQ(pool.Hold("a"), a);
  pool.Release(a);
  EXPECT_EQ(pool.freed(), 0u);
  EXPECT_EQ(pool.Hold("c"), NamePool::kFull);
  pool.Release(a);
  EXPECT_EQ(pool.freed(), 1u);
  EXPECT_EQ(pool.HoldIfThere("a"), 0u);
  EXPECT_EQ(pool.Hold("c"), a);
  EXPECT_EQ(NameAt(pool, b), Name("b", "bb"));
  pool.Add(b, 3);
  pool.Add(b, -4);
  EXPECT_EQ(pool.freed(), 2u);
  pool.Release(0);  // the empty name, which is not held
  EXPECT_EQ(pool.HoldIfThere("c"), a);
  EXPECT_EQ(pool.HoldIfThere(""), 0u);
}

// There are so many names that two of them have the same hash of 32 bits. Once the first of the two
// is freed, the second, which comes after it in the table, is still found.
TEST_F(NamePoolTest, NamesThatHashAlike) {
  NamePool pool(8, 1, texts_);
  std::unordered_map<std::uint32_t, std::string> by_hash;
  std::string one;
  std::string other;
  for (int i = 0; i < 10'000'000 && other.empty(); ++i) {
    const std::string name = "worker-" + std::to_string(i);
    const auto [it, is_new] = by_hash.emplace(pool.HashOf(name, ""), name);
    if (is_new) continue;
    one = it->second;
    other = name;
  }
  ASSERT_FALSE(other.empty());
  const NameId first = pool.Hold(one);
  const NameId second = pool.Hold(other);
  EXPECT_NE(first, second);
  EXPECT_EQ(pool.Hold(one), first);
  EXPECT_EQ(pool.Hold(other), second);
  EXPECT_EQ(pool.First(first), one);
  EXPECT_EQ(pool.First(second), other);
  pool.Add(first, -2);
  EXPECT_EQ(pool.HoldIfThere(one), 0u);
  EXPECT_EQ(pool.HoldIfThere(other), second);
}

// The test hashes texts with one seed and finds texts with equal hashes. Under another seed these
// texts have different hashes. No text has a hash that does not depend on the seed.
TEST_F(NamePoolTest, WhatCollidesDependsOnTheSeed) {
  NamePool pool(8, 1, texts_);
  NamePool other(8, 2, texts_);
  std::unordered_map<std::uint32_t, std::string> by_hash;
  int pairs = 0;
  int still_alike = 0;
  for (int i = 0; i < 400'000; ++i) {
    const std::string name = "worker-with-a-long-name-" + std::to_string(i);
    const auto [it, is_new] = by_hash.emplace(pool.HashOf(name, ""), name);
    if (is_new) continue;
    ++pairs;
    still_alike += other.HashOf(name, "") == other.HashOf(it->second, "") ? 1 : 0;
  }
  EXPECT_GT(pairs, 0);
  EXPECT_EQ(still_alike, 0);
  // Each text has the eight bytes of a constant of the hash at one end or at both ends.
  for (const std::uint64_t constant : {kMixA, kMixB, kMixA ^ kMixB}) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &constant, sizeof constant);
    for (const std::string& text : {bytes, bytes + "12345678", "12345678" + bytes, bytes + bytes}) {
      EXPECT_NE(pool.HashOf(text, ""), other.HashOf(text, ""));
    }
  }
}

}  // namespace
}  // namespace ffgrant::internal
