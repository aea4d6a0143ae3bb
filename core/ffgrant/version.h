// SPDX-License-Identifier: Apache-2.0
//
// Says which version these headers have. Until 1.0 a new minor version may change the interface.

#ifndef FFGRANT_VERSION_H_
#define FFGRANT_VERSION_H_

#define FFGRANT_VERSION_MAJOR 0
#define FFGRANT_VERSION_MINOR 1
#define FFGRANT_VERSION_PATCH 0

// The version as a number for comparisons: 10,000 x major + 100 x minor + patch.
//
//   #if FFGRANT_VERSION >= 200
#define FFGRANT_VERSION \
  (FFGRANT_VERSION_MAJOR * 10000 + FFGRANT_VERSION_MINOR * 100 + FFGRANT_VERSION_PATCH)

#define FFGRANT_VERSION_STRING "0.1.0"

#endif  // FFGRANT_VERSION_H_
