// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/reply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/internal/poison.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::internal {
namespace {

using Status = ReplyReader::Status;
using Type = Reply::Type;

// Shows a reply as text: i7, "t", +OK, -ERR, nil, [..].
std::string Shown(const Reply& reply) {
  switch (reply.type) {
    case Type::kNil:
      return "nil";
    case Type::kStatus:
      return "+" + std::string(reply.text);
    case Type::kError:
      return "-" + std::string(reply.text);
    case Type::kString:
      return '"' + std::string(reply.text) + '"';
    case Type::kInteger:
      return "i" + std::to_string(reply.integer);
    case Type::kArray: {
      std::string shown = "[";
      for (const Reply& element : reply.elements()) shown += Shown(element) + ",";
      return shown + "]";
    }
  }
  return "?";
}

std::vector<std::string> ReadAll(ReplyReader& reader, std::string_view bytes, std::size_t chunk) {
  std::vector<std::string> replies;
  while (!bytes.empty()) {
    reader.Feed(bytes.substr(0, chunk));
    bytes.remove_prefix(std::min(chunk, bytes.size()));
    for (;;) {
      const Status status = reader.Next();
      if (status == Status::kNeedMore) break;
      if (status == Status::kMalformed) {
        replies.push_back("malformed");
        return replies;
      }
      replies.push_back(Shown(reader.reply()));
    }
  }
  return replies;
}

constexpr std::string_view kStream =
    "+OK\r\n:-12\r\n$-1\r\n$0\r\n\r\n$5\r\na\r\nbc\r\n*-1\r\n*0\r\n-ERR what\r\n"
    "*3\r\n:1\r\n$2\r\nOK\r\n*2\r\n$1\r\nx\r\n$-1\r\n:9223372036854775807\r\n";

TEST(ReplyReader, ReadsEveryTypeInWhateverPieces) {
  const std::vector<std::string> expected = {"+OK",
                                             "i-12",
                                             "nil",
                                             "\"\"",
                                             "\"a\r\nbc\"",
                                             "nil",
                                             "[]",
                                             "-ERR what",
                                             "[i1,\"OK\",[\"x\",nil,],]",
                                             "i9223372036854775807"};
  for (std::size_t chunk = 1; chunk <= kStream.size(); ++chunk) {
    ReplyReader reader;
    EXPECT_EQ(ReadAll(reader, kStream, chunk), expected) << chunk;
    EXPECT_FALSE(reader.has_rest());
  }
}

TEST(ReplyReader, KnowsOfBytesThatNoReplyHasUsed) {
  ReplyReader reader;
  EXPECT_FALSE(reader.has_rest());
  reader.Feed("+OK\r\n$");
  EXPECT_EQ(reader.Next(), Status::kReply);
  EXPECT_TRUE(reader.has_rest());
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  EXPECT_TRUE(reader.has_rest());
  reader.Reset();
  EXPECT_FALSE(reader.has_rest());
  EXPECT_EQ(ReadAll(reader, ":5\r\n", 1), std::vector<std::string>{"i5"});
}

// A connection may be given up at any byte, whether the replies that have come were taken or not.
// What is left of them is no answer to anything that is asked on the next connection.
TEST(ReplyReader, BeginsAnewWhereverItWasReset) {
  ReplyReader reader;
  for (std::size_t fed = 0; fed <= kStream.size(); ++fed) {
    for (std::size_t asked = 0; asked <= 11; ++asked) {  // there are ten replies
      reader.Feed(kStream.substr(0, fed));
      for (std::size_t i = 0; i < asked; ++i) (void)reader.Next();
      reader.Reset();
      EXPECT_FALSE(reader.has_rest());
      EXPECT_EQ(ReadAll(reader, ":5\r\n", 1), std::vector<std::string>{"i5"})
          << fed << " bytes, asked " << asked << " times";
    }
  }
}

TEST(ReplyReader, GivesUpOnWhatIsNoResp2) {
  for (const std::string_view bytes :
       {"?\r\n", "hello\r\n", "*2\r\n:1\r\nx\r\n", "*99999999999999\r\n",
        "$99999999999999999999\r\n", ":12x\r\n", "%1\r\n+a\r\n+b\r\n"}) {
    ReplyReader reader;
    EXPECT_EQ(ReadAll(reader, bytes, 100), std::vector<std::string>{"malformed"}) << bytes;
    EXPECT_EQ(reader.Next(), Status::kMalformed);
    reader.Feed("+OK\r\n");
    EXPECT_EQ(reader.Next(), Status::kMalformed);
    reader.Reset();
    EXPECT_EQ(ReadAll(reader, "+OK\r\n", 1), std::vector<std::string>{"+OK"});
  }
}

TEST(ReplyReader, KeepsToItsLimits) {
  const ReplyLimits limits = {.max_bytes = 10'000, .max_depth = 2};
  const auto verdict = [&](std::string_view bytes, std::size_t chunk) {
    ReplyReader reader(limits);
    return ReadAll(reader, bytes, chunk).back();
  };
  EXPECT_EQ(verdict("*1\r\n*1\r\n:1\r\n", 3), "[[i1,],]");
  EXPECT_EQ(verdict("*1\r\n*1\r\n*1\r\n:1\r\n", 3), "malformed");
  EXPECT_EQ(verdict(testing::Bulk(std::string(9000, 'x')), 100).size(), 9002u);
  EXPECT_EQ(verdict(testing::Bulk(std::string(10'000, 'x')), 100), "malformed");
  // The array is refused because of its size, before its elements come.
  EXPECT_EQ(verdict("*1000\r\n", 100), "malformed");
  // The memory of earlier replies does not count.
  ReplyReader reader(limits);
  std::string many;
  for (int i = 0; i < 50; ++i) many += testing::Bulk(std::string(2000, 'x'));
  EXPECT_EQ(ReadAll(reader, many, 500).size(), 50u);
}

TEST(ReplyReader, TellsWhatIsTooLargeFromWhatIsNoReply) {
  ReplyReader reader({.max_bytes = 10'000, .max_depth = 2});
  const struct {
    std::string bytes;
    bool is_too_large;
  } kCases[] = {
      {testing::Bulk(std::string(10'000, 'x')), true},
      {"$100000\r\n" + std::string(11'000, 'x'), true},
      {"*200\r\n" + std::string(200 * 4, ':'), false},
      {"*1000\r\n", true},
      {"*1\r\n*1\r\n*1\r\n:1\r\n", false},
      {"?what\r\n", false},
      {"$4\r\nfine\r\n", false},
  };
  for (const auto& c : kCases) {
    (void)ReadAll(reader, c.bytes, 100);
    EXPECT_EQ(reader.too_large(), c.is_too_large) << c.bytes.substr(0, 20);
    reader.Reset();
    EXPECT_FALSE(reader.too_large());
  }
}

// The limit holds for one reply, not for several that come together.
TEST(ReplyReader, ReadsMoreRepliesAtOnceThanOneMayBeLong) {
  const ReplyLimits limits = {.max_bytes = 1000};
  std::string many;
  for (int i = 0; i < 1000; ++i) many += testing::Bulk(std::to_string(i));
  for (const std::size_t chunk :
       {std::size_t{999}, std::size_t{1000}, std::size_t{1001}, std::size_t{2500}, many.size()}) {
    ReplyReader reader(limits);
    const std::vector<std::string> replies = ReadAll(reader, many, chunk);
    ASSERT_EQ(replies.size(), 1000u) << chunk;
    EXPECT_EQ(replies.back(), "\"999\"");
    // The limit also holds after these replies.
    EXPECT_EQ(ReadAll(reader, "$100000\r\n" + std::string(1100, 'x'), 50).back(), "malformed");
  }
}

TEST(ReplyReader, RefusesByWhatAReplyIsMadeOf) {
  // Each reply takes 48 bytes for each of its values, and the size of each of its texts, rounded up
  // to a multiple of 8.
  const struct {
    std::size_t max_bytes;
    std::string bytes;
    std::string_view expected;
  } kCases[] = {
      {48, ":1\r\n", "i1"},
      {47, ":1\r\n", "malformed"},
      {47, "$-1\r\n", "malformed"},
      {47, "*0\r\n", "malformed"},
      {48, "*0\r\n", "[]"},
      {47, "+OK\r\n", "malformed"},
      {47, "$0\r\n\r\n", "malformed"},
      {48, "$0\r\n\r\n", "\"\""},
      {48, "+OK\r\n", "malformed"},
      {56, "+OK\r\n", "+OK"},
      // All elements count as soon as their array begins, and each text when it comes.
      {48 + 96, "*2\r\n:1\r\n:2\r\n", "[i1,i2,]"},
      {48 + 95, "*2\r\n:1\r\n:2\r\n", "malformed"},
      {48 + 96 + 8, "*2\r\n+a\r\n:2\r\n", "[+a,i2,]"},
      {48 + 96 + 7, "*2\r\n+a\r\n:2\r\n", "malformed"},
      // Each array fits by itself.
      {48 + 96 + 96, "*2\r\n*1\r\n:1\r\n*1\r\n:2\r\n", "[[i1,],[i2,],]"},
      {48 + 96 + 95, "*2\r\n*1\r\n:1\r\n*1\r\n:2\r\n", "malformed"},
  };
  for (const auto& c : kCases) {
    ReplyReader reader({.max_bytes = c.max_bytes});
    EXPECT_EQ(ReadAll(reader, c.bytes, 1), std::vector<std::string>{std::string(c.expected)})
        << c.max_bytes << " " << c.bytes;
  }
}

TEST(ReplyReader, TakesNothingFromNothing) {
  ReplyReader reader;
  reader.Feed("");
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  EXPECT_FALSE(reader.has_rest());
  reader.Feed("+O");
  reader.Feed("");
  EXPECT_EQ(reader.Next(), Status::kNeedMore);
  reader.Feed("K\r\n");
  ASSERT_EQ(reader.Next(), Status::kReply);
  EXPECT_EQ(Shown(reader.reply()), "+OK");
}

// Some of the replies are larger than the chunk of memory in which they begin.
TEST(ReplyReader, KeepsEveryPartOfALargeReplyInItsPlace) {
  ReplyReader reader;
  for (const std::size_t size : {std::size_t{30'000}, std::size_t{70'000}, std::size_t{100},
                                 std::size_t{200'000}, std::size_t{65'536}}) {
    std::string bytes = "*6\r\n";
    std::string expected = "[";
    for (char c = 'a'; c < 'f'; ++c) {
      bytes += testing::Bulk(std::string(size, c));
      expected += '"' + std::string(size, c) + "\",";
    }
    bytes += ":7\r\n";
    EXPECT_EQ(ReadAll(reader, bytes, 50'000), std::vector<std::string>{expected + "i7,]"}) << size;
  }
}

// In builds with AddressSanitizer a text that is read or written beyond its end is noticed, and so
// is a reply that is read after it was given back.
TEST(ReplyArena, AreasHaveGapsBetweenThem) {
  ReplyArena arena(1 << 20);
  std::vector<std::pair<char*, std::size_t>> areas;
  for (std::size_t size = 1; size <= 100; ++size) {
    areas.emplace_back(static_cast<char*>(arena.Take(size)), size);
  }
  const bool has_gaps = ffgrant::internal::kGapBytes != 0;
  for (const auto& [area, size] : areas) {
    EXPECT_TRUE(ffgrant::internal::MayTouch(area)) << size;
    EXPECT_TRUE(ffgrant::internal::MayTouch(area + size - 1)) << size;
    EXPECT_EQ(ffgrant::internal::MayTouch(area + size), !has_gaps) << size;
    const char* const in_gap = area + size + ffgrant::internal::kGapBytes / 2;
    EXPECT_EQ(ffgrant::internal::MayTouch(in_gap), !has_gaps) << size;
  }
  arena.Reset();
  for (const auto& [area, size] : areas) {
    EXPECT_EQ(ffgrant::internal::MayTouch(area), !has_gaps) << size;
  }
}

TEST(ReplyArena, HoldsNoMoreThanWhatOneReplyTook) {
  constexpr std::size_t kMax = std::size_t{1} << 20;
  ReplyArena arena(kMax);
  EXPECT_EQ(arena.held(), 0u);
  EXPECT_EQ(arena.Take(kMax + 1), nullptr);
  // Each reply is a little larger than the one before.
  for (std::size_t size = 1 << 10; size < kMax / 2; size += 1 << 10) {
    ASSERT_NE(arena.Take(48), nullptr);
    ASSERT_NE(arena.Take(size), nullptr);
    ASSERT_NE(arena.Take(size), nullptr);
    ASSERT_EQ(arena.Take(kMax), nullptr);
    arena.Reset();
    ASSERT_LE(arena.held(), 2 * size + (1 << 17)) << size;
  }
  // A reply that fits into the memory held already takes no more.
  void* const first = arena.Take(1000);
  arena.Reset();
  const std::size_t held = arena.held();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(arena.Take(1000), first);
    ASSERT_NE(arena.Take(kMax / 2), nullptr);
    arena.Reset();
  }
  EXPECT_EQ(arena.held(), held);
}

TEST(Reply, TextOfAnElement) {
  ReplyReader reader;
  reader.Feed("*4\r\n$1\r\na\r\n:1\r\n+b\r\n$0\r\n\r\n");
  ASSERT_EQ(reader.Next(), Status::kReply);
  const Reply& reply = reader.reply();
  EXPECT_EQ(reply.TextAt(0), "a");
  EXPECT_EQ(reply.TextAt(1), std::nullopt);
  EXPECT_EQ(reply.TextAt(2), std::nullopt);
  EXPECT_EQ(reply.TextAt(3), "");
  EXPECT_EQ(reply.TextAt(4), std::nullopt);
  EXPECT_EQ(Reply().TextAt(0), std::nullopt);
}

}  // namespace
}  // namespace ffgrant::valkey::internal
