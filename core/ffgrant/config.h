// SPDX-License-Identifier: Apache-2.0
//
// The public headers include this file. It refuses machines that ffgrant is not made for, and says
// which declarations a shared library shows to others.

#ifndef FFGRANT_CONFIG_H_
#define FFGRANT_CONFIG_H_

#include <bit>

static_assert(std::endian::native == std::endian::little,
              "ffgrant needs a little-endian processor: it reads texts as little-endian words");
static_assert(sizeof(void*) == 8,
              "ffgrant needs a 64-bit processor: its tables and limits assume 64-bit sizes");

// Only declarations between these two macros are public; everything else is hidden, so that a
// library that contains ffgrant does not show it to others. CMake and pkg-config define
// FFGRANT_SHARED for the users of a shared ffgrant.
#ifdef FFGRANT_SHARED
#define FFGRANT_API_BEGIN _Pragma("GCC visibility push(default)")
#define FFGRANT_API_END _Pragma("GCC visibility pop")
#else
#define FFGRANT_API_BEGIN
#define FFGRANT_API_END
#endif

#endif  // FFGRANT_CONFIG_H_
