// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_json_number.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace ffgrant::fuzz {
namespace {

constexpr std::int64_t kMaxExponent = 2'147'483'647;
constexpr std::uint64_t kMaxSignificand = 18'446'744'073'709'551'615u;

struct Parts {
  std::uint64_t significand = 0;
  std::int64_t exponent = 0;
};

bool IsDigit(std::string_view text, std::size_t at) {
  return at < text.size() && text[at] >= '0' && text[at] <= '9';
}

bool Append(char digit, std::uint64_t* significand) {
  const auto value = static_cast<std::uint64_t>(digit - '0');
  if (*significand > (kMaxSignificand - value) / 10) return false;
  *significand = *significand * 10 + value;
  return true;
}

// Returns the power of ten as a literal of the compiler would give it: rounded once.
double PowerOfTen(std::int64_t exponent) {
  static const std::array<double, 309> powers = [] {
    std::array<double, 309> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
      table[i] = std::strtod(("1e" + std::to_string(i)).c_str(), nullptr);
    }
    return table;
  }();
  return powers[static_cast<std::size_t>(exponent)];
}

bool Overflows(Parts parts) {
  double value = static_cast<double>(parts.significand);
  for (;;) {
    if (parts.exponent >= -308 && parts.exponent <= 308) {
      if (parts.exponent >= 0) value *= PowerOfTen(parts.exponent);
      return std::isinf(value);
    }
    if (value == 0.0) return false;
    if (parts.exponent > 0) return true;
    value /= 1e308;
    parts.exponent += 308;
  }
}

// Reads up to the exponent's `e`, if there is one. Returns where it stopped.
std::size_t ReadSignificand(std::string_view text, Parts* parts) {
  std::size_t at = 0;
  if (text[at] == '-') ++at;
  bool full = false;
  for (; IsDigit(text, at); ++at) {
    if (!full && !Append(text[at], &parts->significand)) full = true;
    if (full) ++parts->exponent;
  }
  if (at == text.size() || text[at] != '.') return at;
  full = false;
  for (++at; IsDigit(text, at); ++at) {
    if (!full && !Append(text[at], &parts->significand)) full = true;
    if (!full) --parts->exponent;
  }
  return at;
}

}  // namespace

bool NaiveNumberIsOutOfRange(std::string_view number) {
  Parts parts;
  std::size_t at = ReadSignificand(number, &parts);
  if (at == number.size()) return Overflows(parts);
  ++at;  // the `e`
  const bool negative = number[at] == '-';
  if (number[at] == '-' || number[at] == '+') ++at;
  std::int64_t exponent = 0;
  for (; at < number.size(); ++at) {
    exponent = exponent * 10 + (number[at] - '0');
    if (exponent > kMaxExponent) return parts.significand != 0 && !negative;
  }
  // The reference saturates this sum, but only far outside the range of a double.
  parts.exponent += negative ? -exponent : exponent;
  return Overflows(parts);
}

}  // namespace ffgrant::fuzz
