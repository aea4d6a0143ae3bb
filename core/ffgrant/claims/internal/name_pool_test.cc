// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/name_pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ffgrant::internal {
namespace {

using Name = std::pair<std::string, std::string>;

Name NameAt(const NamePool& pool, NameId id) {
  return {std::string(pool.First(id)), std::string(pool.Second(id))};
}

TEST(NamePoolTest, ANameIsAPair) {
  NamePool pool(8, 64);
  EXPECT_EQ(pool.Intern(""), 0u);
  EXPECT_EQ(pool.Intern("", ""), 0u);
  std::vector<NameId> ids;
  const std::vector<Name> names = {{"ab", ""}, {"a", "b"}, {"", "ab"}, {"b", "a"}, {"ab", "ab"}};
  for (const auto& [first, second] : names) ids.push_back(pool.Intern(first, second));
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(NameAt(pool, ids[i]), names[i]);
    EXPECT_EQ(pool.Intern(names[i].first, names[i].second), ids[i]);
    for (std::size_t k = 0; k < names.size(); ++k) {
      EXPECT_EQ(pool.Is(ids[i], names[k].first, names[k].second), i == k);
    }
  }
}

TEST(NamePoolTest, RunsOutOfNames) {
  NamePool pool(2, 64);
  const NameId a = pool.Intern("a");
  const NameId b = pool.Intern("b");
  EXPECT_EQ(pool.Intern("c"), NamePool::kFull);
  EXPECT_EQ(pool.Intern("a"), a);
  EXPECT_EQ(pool.Intern("b"), b);
  EXPECT_EQ(pool.Intern(""), 0u);
}

TEST(NamePoolTest, RunsOutOfBytes) {
  NamePool pool(8, 10);
  EXPECT_EQ(pool.Intern("12345678901"), NamePool::kFull);
  EXPECT_EQ(pool.Intern("123456", "78901"), NamePool::kFull);
  EXPECT_EQ(pool.Intern("", "12345678901"), NamePool::kFull);
  const NameId id = pool.Intern("123456", "7890");
  EXPECT_EQ(NameAt(pool, id), (Name{"123456", "7890"}));
  EXPECT_EQ(pool.Intern("x"), NamePool::kFull);
  EXPECT_EQ(pool.Intern("", "x"), NamePool::kFull);
  EXPECT_EQ(pool.freed(), 0u);
}

TEST(NamePoolTest, KeepFreesTheOthersAndClosesTheGaps) {
  NamePool pool(4, 12);
  const NameId a = pool.Intern("aaa");
  const NameId b = pool.Intern("b", "bb");
  const NameId c = pool.Intern("", "ccc");
  const NameId d = pool.Intern("ddd");
  ASSERT_EQ(pool.Intern("e"), NamePool::kFull);
  std::vector<std::uint8_t> in_use(5, 0);
  in_use[0] = in_use[b] = in_use[d] = 1;
  pool.Keep(in_use);
  EXPECT_EQ(pool.freed(), 2u);
  EXPECT_EQ(NameAt(pool, b), (Name{"b", "bb"}));
  EXPECT_EQ(NameAt(pool, d), (Name{"ddd", ""}));
  EXPECT_EQ(pool.Intern("b", "bb"), b);
  const NameId e = pool.Intern("eeee", "ff");
  EXPECT_TRUE(e == a || e == c);
  EXPECT_EQ(NameAt(pool, e), (Name{"eeee", "ff"}));
  EXPECT_EQ(NameAt(pool, b), (Name{"b", "bb"}));
  EXPECT_EQ(NameAt(pool, d), (Name{"ddd", ""}));
  EXPECT_EQ(pool.Intern("x"), NamePool::kFull);  // there are numbers, but no bytes
  // Nothing more to free.
  in_use[e] = 1;
  pool.Keep(in_use);
  EXPECT_EQ(pool.freed(), 2u);
}

// Two names with the same 32 bits of hash: there are some among so many.
TEST(NamePoolTest, NamesThatHashAlike) {
  std::unordered_map<std::uint32_t, std::string> by_hash;
  std::string one;
  std::string other;
  for (int i = 0; i < 10'000'000 && other.empty(); ++i) {
    const std::string name = "worker-" + std::to_string(i);
    // As Intern() hashes a first text without a second.
    const auto hash = static_cast<std::uint32_t>(HashText("", HashText(name, kMixA)));
    const auto [it, is_new] = by_hash.emplace(hash, name);
    if (is_new) continue;
    one = it->second;
    other = name;
  }
  ASSERT_FALSE(other.empty());
  NamePool pool(8, 64);
  const NameId first = pool.Intern(one);
  const NameId second = pool.Intern(other);
  EXPECT_NE(first, second);
  EXPECT_EQ(pool.Intern(one), first);
  EXPECT_EQ(pool.Intern(other), second);
  EXPECT_EQ(pool.First(first), one);
  EXPECT_EQ(pool.First(second), other);
}

}  // namespace
}  // namespace ffgrant::internal
