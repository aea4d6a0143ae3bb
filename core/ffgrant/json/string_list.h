// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_JSON_STRING_LIST_H_
#define FFGRANT_JSON_STRING_LIST_H_

#include <cstddef>
#include <iterator>
#include <span>
#include <string_view>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A list of strings that somebody else keeps alive: either the caller's array, or the strings that
// a parse left in its scratch. In the scratch each string follows its length, so a document of any
// shape fits. The list can be iterated but has no random access.
class StringList {
 public:
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    iterator() = default;
    std::string_view operator*() const noexcept;
    iterator& operator++() noexcept;
    iterator operator++(int) noexcept {
      iterator old = *this;
      ++*this;
      return old;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept {
      return a.left_ == b.left_;
    }

   private:
    friend class StringList;
    const std::string_view* array_ = nullptr;  // the next element of the caller's array, or null
    const char* packed_ = nullptr;             // the next length in the scratch, or null
    std::size_t left_ = 0;
  };

  StringList() = default;
  // `strings` must outlive the list.
  explicit StringList(std::span<const std::string_view> strings) noexcept
      : array_(strings.data()), size_(strings.size()) {}
  // Makes a list of `count` strings that PackString() packed (internal/packed_string.h).
  static StringList Packed(const char* first, std::size_t count) noexcept {
    StringList list;
    list.packed_ = first;
    list.size_ = count;
    return list;
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  iterator begin() const noexcept {
    iterator it;
    it.array_ = array_;
    it.packed_ = packed_;
    it.left_ = size_;
    return it;
  }
  iterator end() const noexcept { return {}; }

  // Two lists are equal if they have the same strings in the same order.
  friend bool operator==(const StringList& a, const StringList& b) noexcept;

 private:
  const std::string_view* array_ = nullptr;
  const char* packed_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_JSON_STRING_LIST_H_
