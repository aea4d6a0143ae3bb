// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/string_list.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/internal/packed_string.h"

namespace ffgrant {
namespace {

using Texts = std::vector<std::string_view>;

// Holds texts in the packed form.
class PackedTexts {
 public:
  explicit PackedTexts(const Texts& texts) : count_(texts.size()) {
    std::size_t size = 0;
    for (const std::string_view text : texts) size += internal::PackedCapacity(text.size());
    bytes_.resize(size);
    char* to = bytes_.data();
    for (const std::string_view text : texts) to = internal::PackString(to, text);
  }
  StringList list() const { return StringList::Packed(bytes_.data(), count_); }

 private:
  std::string bytes_;
  std::size_t count_;
};

Texts AllOf(const StringList& list) { return {list.begin(), list.end()}; }

TEST(StringListTest, BothFormsGiveTheSameTexts) {
  // The lengths of these two texts take two and three bytes. Those of the short texts below take
  // one.
  const std::string medium(200, 'm');
  const std::string large(20'000, 'l');
  for (const Texts& texts : {Texts{}, Texts{""}, Texts{"a"}, Texts{"", "a", ""},
                             Texts{"one", medium, "two", large, "three"}}) {
    const PackedTexts packed(texts);
    for (const StringList& list : {StringList(texts), packed.list()}) {
      EXPECT_EQ(list.size(), texts.size());
      EXPECT_EQ(list.empty(), texts.empty());
      EXPECT_EQ(AllOf(list), texts);
    }
    EXPECT_EQ(StringList(texts), packed.list());
  }
}

TEST(StringListTest, TheDefaultIsEmpty) {
  const StringList list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.begin(), list.end());
  EXPECT_EQ(list, StringList(Texts{}));
}

TEST(StringListTest, EqualityIsThatOfTextsInOrder) {
  const Texts texts = {"a", "b"};
  for (const Texts& other :
       {Texts{}, Texts{"a"}, Texts{"a", "b", "c"}, Texts{"b", "a"}, Texts{"a", "B"}, Texts{"ab"}}) {
    const PackedTexts packed(other);
    EXPECT_FALSE(StringList(texts) == StringList(other));
    EXPECT_FALSE(StringList(texts) == packed.list());
    EXPECT_FALSE(packed.list() == StringList(texts));
  }
}

TEST(StringListTest, PostIncrementGivesTheOldPlace) {
  const Texts texts = {"a", "b"};
  const PackedTexts packed(texts);
  for (const StringList& list : {StringList(texts), packed.list()}) {
    StringList::iterator it = list.begin();
    EXPECT_EQ(*it++, "a");
    EXPECT_EQ(*it, "b");
    EXPECT_EQ(*it++, "b");
    EXPECT_EQ(it, list.end());
  }
}

}  // namespace
}  // namespace ffgrant
