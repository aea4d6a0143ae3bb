// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/string_list.h"

#include <algorithm>

#include "ffgrant/internal/packed_string.h"

namespace ffgrant {

std::string_view StringList::iterator::operator*() const noexcept {
  return array_ != nullptr ? *array_ : internal::UnpackString(packed_);
}

StringList::iterator& StringList::iterator::operator++() noexcept {
  if (array_ != nullptr) {
    ++array_;
  } else {
    const std::string_view text = internal::UnpackString(packed_);
    packed_ = text.data() + text.size();
  }
  --left_;
  return *this;
}

bool operator==(const StringList& a, const StringList& b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

}  // namespace ffgrant
