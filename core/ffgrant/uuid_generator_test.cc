// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/uuid_generator.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

namespace ffgrant {
namespace {

bool IsVersion4(const Uuid& uuid) { return uuid.bytes[6] >> 4 == 4 && uuid.bytes[8] >> 6 == 2; }

TEST(UuidGeneratorTest, MakesVersion4) {
  UuidGenerator generator(7);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(IsVersion4(generator.Next()));
    EXPECT_TRUE(IsVersion4(RandomUuid()));
  }
}

TEST(UuidGeneratorTest, ASeedGivesOneStream) {
  UuidGenerator a(42);
  UuidGenerator b(42);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(a.Next(), b.Next());
  }
}

// The expected UUIDs were computed with another implementation of SplitMix64 and xoshiro256++,
// which was checked against published outputs of both. Words are little-endian.
TEST(UuidGeneratorTest, KnownAnswers) {
  constexpr Uuid kExpected[] = {
      {{0x9f, 0x68, 0x76, 0x44, 0x4f, 0x4d, 0x46, 0xd0, 0x91, 0x37, 0x6f, 0x57, 0x74, 0x41, 0x9e,
        0x51}},
      {{0x8c, 0xed, 0x24, 0x0c, 0xfb, 0x7c, 0x40, 0xfb, 0xb8, 0x35, 0xd8, 0x0c, 0x60, 0x9f, 0x7d,
        0xb3}},
      {{0x73, 0x6a, 0x84, 0x74, 0x38, 0x1c, 0x43, 0xcb, 0xbd, 0xde, 0x50, 0x4e, 0x00, 0x9f, 0x8d,
        0x96}},
  };
  UuidGenerator generator(42);
  for (const Uuid& expected : kExpected) EXPECT_EQ(generator.Next(), expected);
}

TEST(UuidGeneratorTest, SeedsGiveDifferentStreams) {
  std::set<Uuid> seen;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    UuidGenerator generator(seed);
    for (int i = 0; i < 10; ++i) {
      seen.insert(generator.Next());
    }
  }
  EXPECT_EQ(seen.size(), 10'000u);
}

TEST(UuidGeneratorTest, CopiesContinueAlike) {
  UuidGenerator a(3);
  (void)a.Next();
  UuidGenerator b = a;
  EXPECT_EQ(a.Next(), b.Next());
}

TEST(UuidGeneratorTest, EveryFreeBitTakesBothValues) {
  UuidGenerator generator(99);
  Uuid all_ones;
  all_ones.bytes.fill(0xFF);
  Uuid any_ones;
  for (int i = 0; i < 1000; ++i) {
    const Uuid uuid = generator.Next();
    for (std::size_t b = 0; b < 16; ++b) {
      all_ones.bytes[b] &= uuid.bytes[b];
      any_ones.bytes[b] |= uuid.bytes[b];
    }
  }
  for (std::size_t b = 0; b < 16; ++b) {
    SCOPED_TRACE(b);
    EXPECT_EQ(all_ones.bytes[b], b == 6 ? 0x40 : b == 8 ? 0x80 : 0x00);
    EXPECT_EQ(any_ones.bytes[b], b == 6 ? 0x4F : b == 8 ? 0xBF : 0xFF);
  }
}

TEST(UuidGeneratorTest, EntropyDiffersEveryTime) {
  std::set<Uuid> seen;
  for (int i = 0; i < 100; ++i) {
    UuidGenerator generator = UuidGenerator::FromEntropy();
    seen.insert(generator.Next());
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(UuidGeneratorTest, ThreadsHaveStreamsOfTheirOwn) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kEach = 1000;
  std::vector<std::vector<Uuid>> made(kThreads);
  std::vector<std::thread> threads;
  for (std::vector<Uuid>& mine : made) {
    threads.emplace_back([&mine] {
      for (std::size_t i = 0; i < kEach; ++i) mine.push_back(RandomUuid());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<Uuid> seen;
  for (const std::vector<Uuid>& mine : made) seen.insert(mine.begin(), mine.end());
  EXPECT_EQ(seen.size(), kThreads * kEach);
}

void WriteId(int out) {
  const Uuid uuid = RandomUuid();
  if (write(out, uuid.bytes.data(), uuid.bytes.size()) != static_cast<ssize_t>(uuid.bytes.size())) {
    std::_Exit(1);
  }
}

// Each process of a family runs this function. `generations` is the number of generations that the
// process has below it. If that is above 0, the process forks two children, one after the other,
// and waits for each. Then it writes one id. If `before_forking` is true, it also writes one at
// first.
void Live(int generations, int out, bool before_forking) {
  if (before_forking) WriteId(out);
  for (int i = 0; generations > 0 && i < 2; ++i) {
    const pid_t child = fork();
    if (child < 0) std::_Exit(1);
    if (child == 0) {
      Live(generations - 1, out, before_forking);
      std::_Exit(0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child || status != 0) std::_Exit(1);
  }
  WriteId(out);
}

// No process repeats an id of its parent, of a sibling or of any other relative, whether or not its
// parent has made ids before the fork.
TEST(UuidGeneratorTest, NoProcessOfAFamilyRepeatsAnother) {
  (void)RandomUuid();  // the first call seeds the stream that fork() copies
  for (const bool before_forking : {false, true}) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    Live(2, pipe_ends[1], before_forking);
    close(pipe_ends[1]);
    std::set<Uuid> seen;
    Uuid uuid;
    while (read(pipe_ends[0], uuid.bytes.data(), uuid.bytes.size()) ==
           static_cast<ssize_t>(uuid.bytes.size())) {
      EXPECT_TRUE(IsVersion4(uuid));
      EXPECT_TRUE(seen.insert(uuid).second) << "id " << seen.size();
    }
    close(pipe_ends[0]);
    EXPECT_EQ(seen.size(), before_forking ? 14u : 7u);
  }
}

}  // namespace
}  // namespace ffgrant
