// SPDX-License-Identifier: Apache-2.0
//
// Test only: reads and writes numbers as a Valkey 9 server does.

#ifndef FFGRANT_TESTING_SIMULATION_NUMBER_TEXT_H_
#define FFGRANT_TESTING_SIMULATION_NUMBER_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ffgrant::valkey::testing {

inline constexpr std::size_t kMaxNumberText = 40;

// Reads a whole number without leading zero, plus sign or space, such as an expiry or a length.
std::optional<std::int64_t> ParseInteger(std::string_view text);

// Reads a score: decimal digits with an optional sign, fraction and exponent, or an infinity. NaN,
// hexadecimal digits and numbers that a double cannot hold are refused.
std::optional<double> ParseScore(std::string_view text);

// Writes a score, or a number that a script passes to a command, and returns the size. A whole
// number from -2^62 to 2^62 gets all of its digits. Any other number gets the fewest digits from
// which it can be read back. An exponent is written only where the server writes one.
std::size_t FormatNumber(double number, std::span<char, kMaxNumberText> out);

// Returns the integer reply for a script's number: the number cut towards zero, or the smallest
// integer if it does not fit.
std::int64_t TruncateNumber(double number);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_NUMBER_TEXT_H_
