// SPDX-License-Identifier: Apache-2.0
//
// Test only: computes SHA-1 (FIPS 180-4), for redis.sha1hex().

#ifndef FFGRANT_TESTING_SIMULATION_SHA1_H_
#define FFGRANT_TESTING_SIMULATION_SHA1_H_

#include <array>
#include <string_view>

namespace ffgrant::valkey::testing {

// Returns 40 lower-case hexadecimal digits.
std::array<char, 40> Sha1Hex(std::string_view text);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SHA1_H_
