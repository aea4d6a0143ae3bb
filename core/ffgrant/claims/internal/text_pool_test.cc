// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/text_pool.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ffgrant::internal {
namespace {

constexpr std::size_t kPiece = TextPool::kPieceBytes;

// Returns a text of which no two neighbouring pieces are equal.
std::string TextOf(std::size_t size, char first = 'a') {
  std::string text(size, first);
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>('a' + (static_cast<std::size_t>(first) + i * 7 + i / kPiece) % 26);
  }
  return text;
}

std::string Kept(const TextPool& pool, TextPool::Place place, std::size_t size) {
  std::string text(size, '\0');
  pool.Copy(place, 0, size, text.data());
  return text;
}

TEST(TextPoolTest, TakesTextsUpToTheLastByte) {
  constexpr std::size_t kPieces = 3;
  for (std::size_t size = 0; size <= kPieces * kPiece + 2; ++size) {
    for (const std::size_t split : {std::size_t{0}, size / 2, size}) {
      TextPool pool(kPieces * kPiece);
      const std::string text = TextOf(size);
      const std::string_view view = text;
      const TextPool::Place place = pool.Keep(view.substr(0, split), view.substr(split));
      if (size > kPieces * kPiece) {
        EXPECT_EQ(place, TextPool::kFull) << size;
        EXPECT_EQ(pool.free_pieces(), kPieces);
        continue;
      }
      ASSERT_NE(place, TextPool::kFull) << size;
      EXPECT_EQ(place == 0, size == 0);
      EXPECT_EQ(pool.free_pieces(), kPieces - TextPool::PiecesOf(size)) << size;
      EXPECT_EQ(Kept(pool, place, size), text);
      pool.Free(place);
      EXPECT_EQ(pool.free_pieces(), kPieces);
    }
  }
}

TEST(TextPoolTest, RoomIsRoundedUpToWholePieces) {
  for (const std::size_t bytes : {std::size_t{1}, kPiece - 1, kPiece, kPiece + 1}) {
    EXPECT_EQ(TextPool(bytes).free_pieces(), TextPool::PiecesOf(bytes)) << bytes;
  }
  EXPECT_EQ(TextPool::PiecesOf(0), 0u);
  EXPECT_EQ(TextPool::PiecesOf(1), 1u);
  EXPECT_EQ(TextPool::PiecesOf(kPiece), 1u);
  EXPECT_EQ(TextPool::PiecesOf(kPiece + 1), 2u);
}

// A sum of the two sizes would overflow.
TEST(TextPoolTest, HugeTextsAreRefused) {
  TextPool pool(4 * kPiece);
  const std::string text = TextOf(kPiece);
  const std::string_view huge(text.data(), static_cast<std::size_t>(-1) - kPiece / 2);
  EXPECT_EQ(pool.Keep(text, huge), TextPool::kFull);
  EXPECT_EQ(pool.Keep(huge, text), TextPool::kFull);
  EXPECT_EQ(pool.free_pieces(), 4u);
}

// A pool of the most bytes that a ledger may have is too large for a test.
TEST(TextPoolTest, NoRoomIsEnoughForTextsWhoseSizeNeedsMoreThan32Bits) {
  constexpr std::size_t kMost = 0xFFFFFFFF;
  constexpr std::size_t kPieces = TextPool::PiecesOf(kMost + 1);
  ASSERT_GT(kPieces * kPiece, kMost + 1);
  for (const std::size_t pieces : {kPieces, 2 * kPieces}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kMost / 2, kMost - 1, kMost}) {
      EXPECT_TRUE(TextPool::IsEnough(pieces, size, kMost - size)) << size;
      EXPECT_FALSE(TextPool::IsEnough(pieces, size, kMost - size + 1)) << size;
    }
    EXPECT_FALSE(TextPool::IsEnough(pieces, kMost + 1, 0));
    EXPECT_FALSE(TextPool::IsEnough(pieces, kMost + 2, static_cast<std::size_t>(-1)));
  }
}

TEST(TextPoolTest, ReadsAPartAtAnyPlace) {
  TextPool pool(4 * kPiece);
  const std::string text = TextOf(3 * kPiece + 5);
  const TextPool::Place place = pool.Keep(text);
  for (std::size_t offset = 0; offset <= text.size(); ++offset) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPiece, text.size()}) {
      const std::string part = text.substr(offset, size);
      std::string copy(part.size(), '\0');
      pool.Copy(place, offset, part.size(), copy.data());
      EXPECT_EQ(copy, part) << offset;
      EXPECT_TRUE(pool.Has(place, offset, part)) << offset;
      if (part.empty()) continue;
      for (const std::size_t at : {std::size_t{0}, part.size() / 2, part.size() - 1}) {
        std::string other = part;
        other[at] = '!';
        EXPECT_FALSE(pool.Has(place, offset, other)) << offset << ' ' << at;
      }
    }
  }
  EXPECT_TRUE(pool.Has(0, 0, ""));
}

TEST(TextPoolTest, OverwritesOneText) {
  TextPool pool(3 * kPiece);
  const TextPool::Place first = pool.Keep(TextOf(kPiece));
  const TextPool::Place second = pool.Keep(TextOf(kPiece, 'b'));
  const std::string changed = TextOf(kPiece, 'c');
  pool.Overwrite(first, changed);
  EXPECT_EQ(Kept(pool, first, kPiece), changed);
  EXPECT_EQ(Kept(pool, second, kPiece), TextOf(kPiece, 'b'));
  EXPECT_EQ(pool.free_pieces(), 1u);
}

// Texts come and go in any order. Each keeps its bytes, and exactly the pieces that no text uses
// are free.
TEST(TextPoolTest, AgreesWithAPlainModel) {
  constexpr std::size_t kPieces = 12;
  std::mt19937 random(1);
  TextPool pool(kPieces * kPiece);
  std::vector<std::pair<TextPool::Place, std::string>> kept;
  std::size_t used = 0;
  std::size_t refused = 0;
  std::size_t exact = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (!kept.empty() && random() % 2 == 0) {
      const std::size_t at = random() % kept.size();
      used -= TextPool::PiecesOf(kept[at].second.size());
      pool.Free(kept[at].first);
      kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      // About every fourth text fills whole pieces.
      std::size_t size = random() % (5 * kPiece);
      if (random() % 4 == 0) size -= size % kPiece;
      const std::string text = TextOf(size, static_cast<char>('a' + random() % 26));
      const TextPool::Place place = pool.Keep(text);
      const std::size_t needed = TextPool::PiecesOf(size);
      ASSERT_EQ(place == TextPool::kFull, used + needed > kPieces) << step;
      exact += used + needed == kPieces && size % kPiece == 0 && needed > 0;
      if (place == TextPool::kFull) {
        ++refused;
      } else {
        used += needed;
        kept.emplace_back(place, text);
      }
    }
    ASSERT_EQ(pool.free_pieces(), kPieces - used) << step;
    for (const auto& [place, text] : kept) ASSERT_EQ(Kept(pool, place, text.size()), text) << step;
  }
  EXPECT_GT(refused, 100u);
  EXPECT_GT(exact, 100u);
}

}  // namespace
}  // namespace ffgrant::internal
