// SPDX-License-Identifier: Apache-2.0
//
// All public headers but version.h include this file, or include a header that does. It refuses
// machines that ffgrant is not made for, and defines the macros that mark public declarations.

#ifndef FFGRANT_CONFIG_H_
#define FFGRANT_CONFIG_H_

#include <bit>

static_assert(std::endian::native == std::endian::little,
              "ffgrant needs a little-endian processor: it reads texts as little-endian words");
static_assert(sizeof(void*) == 8,
              "ffgrant needs a 64-bit processor: its tables and limits assume 64-bit sizes");

// A shared ffgrant exports what is declared between these two macros, and all the rest only if it
// is built with tests or tools. A static ffgrant exports nothing, so that a library that contains
// it does not export it either. CMake and pkg-config define FFGRANT_SHARED for the users of a
// shared ffgrant.
#ifdef FFGRANT_SHARED
#define FFGRANT_API_BEGIN _Pragma("GCC visibility push(default)")
#define FFGRANT_API_END _Pragma("GCC visibility pop")
#else
#define FFGRANT_API_BEGIN
#define FFGRANT_API_END
#endif

#endif  // FFGRANT_CONFIG_H_
