// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/short_text.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace ffgrant::internal {
namespace {

// Copies a text to memory of exactly the text's size, so that a sanitizer sees a read behind the
// text.
class Copy {
 public:
  explicit Copy(std::string_view text) : bytes_(new char[text.size()]), size_(text.size()) {
    text.copy(bytes_.get(), size_);
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  std::size_t size_;
};

TEST(ShortTextTest, EveryByteOfEverySizeCounts) {
  for (std::size_t size = 0; size <= 40; ++size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 26);
    const Copy one(text);
    const Copy same(text);
    EXPECT_TRUE(TextEqual(one.view(), same.view())) << size;
    EXPECT_EQ(HashText(one.view(), 1, kMixA), HashText(same.view(), 1, kMixA)) << size;
    for (std::size_t place = 0; place < size; ++place) {
      for (const char changed : {'\0', '-', static_cast<char>(text[place] ^ '\x80')}) {
        std::string other = text;
        other[place] = changed;
        const Copy two(other);
        EXPECT_FALSE(TextEqual(one.view(), two.view())) << size << " " << place;
        EXPECT_NE(HashText(one.view(), 1, kMixA), HashText(two.view(), 1, kMixA))
            << size << " " << place;
      }
    }
    const Copy longer(text + '\0');
    EXPECT_FALSE(TextEqual(one.view(), longer.view())) << size;
    EXPECT_NE(HashText(one.view(), 1, kMixA), HashText(longer.view(), 1, kMixA)) << size;
  }
}

TEST(ShortTextTest, SeedAndSecretChangeTheHash) {
  for (const std::string_view text : {"", "w1", "worker-1", "worker-1-instance-12"}) {
    EXPECT_NE(HashText(text, 1, kMixA), HashText(text, 2, kMixA)) << text;
    EXPECT_NE(HashText(text, 1, kMixA), HashText(text, 1, kMixB)) << text;
  }
}

}  // namespace
}  // namespace ffgrant::internal
