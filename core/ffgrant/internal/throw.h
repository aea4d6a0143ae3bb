// SPDX-License-Identifier: Apache-2.0
//
// The few exceptions of ffgrant, all from constructors and other calls that set something up.

#ifndef FFGRANT_INTERNAL_THROW_H_
#define FFGRANT_INTERNAL_THROW_H_

#include <cstdlib>

namespace ffgrant::internal {

// Throws E(arguments...). Compiled without exceptions, it ends the process: no object may come out
// of a constructor that failed.
template <class E, class... Arguments>
[[noreturn]] void Throw([[maybe_unused]] const Arguments&... arguments) {
#ifdef __cpp_exceptions
  throw E(arguments...);
#else
  std::abort();
#endif
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_THROW_H_
