// SPDX-License-Identifier: Apache-2.0
//
// Makes std::format take ids. An id takes the options of a text ({:>40}), a counter takes the
// options of a number ({:05}). Where the standard library has no <format>, as with gcc 12,
// __cpp_lib_format is undefined and this file defines nothing. id_text.h works everywhere.

#ifndef FFGRANT_ID_FORMAT_H_
#define FFGRANT_ID_FORMAT_H_

#include <version>

#include "ffgrant/id_text.h"

#ifdef __cpp_lib_format
#include <format>

namespace ffgrant::internal {
// The standard type whose formatter an id uses.
template <class T>
struct FormattedAs {
  using Type = std::string_view;
};
template <class Tag, class Rep>
struct FormattedAs<Counter<Tag, Rep>> {
  using Type = Rep;
};
}  // namespace ffgrant::internal

template <ffgrant::Id T>
struct std::formatter<T> : std::formatter<typename ffgrant::internal::FormattedAs<T>::Type> {
  template <class Context>
  auto format(const T& id, Context& context) const {
    using Type = typename ffgrant::internal::FormattedAs<T>::Type;
    if constexpr (requires { ffgrant::IdText(id).view(); }) {
      return std::formatter<Type>::format(ffgrant::IdText(id).view(), context);
    } else {
      return std::formatter<Type>::format(ffgrant::IdText(id), context);
    }
  }
};
#endif

#endif  // FFGRANT_ID_FORMAT_H_
