// SPDX-License-Identifier: Apache-2.0
//
// Throws the few exceptions of core, the claim path and the Valkey client. All of them come from
// constructors and other calls that set something up.

#ifndef FFGRANT_INTERNAL_THROW_H_
#define FFGRANT_INTERNAL_THROW_H_

#include <cstdlib>

namespace ffgrant::internal {

// Throws E(arguments...). A library compiled without exceptions ends the process instead: a
// constructor that failed must not return an object.
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
