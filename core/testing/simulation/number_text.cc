// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

namespace ffgrant::valkey::testing {
namespace {

// Stands for `text`, which has only digits, times ten to the power of `exponent`.
struct Digits {
  std::string text;
  int exponent;
};

Digits ShortestDigits(double number) {
  char scientific[64];
  const char* const end = std::to_chars(scientific, scientific + sizeof scientific, number,
                                        std::chars_format::scientific)
                              .ptr;
  const char* const e = std::find(static_cast<const char*>(scientific), end, 'e');
  Digits digits = {{}, std::stoi(std::string(e + 1, end))};
  for (const char* p = scientific; p != e; ++p) {
    if (*p != '.') digits.text += *p;
  }
  while (digits.text.size() > 1 && digits.text.back() == '0') digits.text.pop_back();
  digits.exponent -= static_cast<int>(digits.text.size()) - 1;
  return digits;
}

std::string PlainText(const Digits& digits) {
  const int count = static_cast<int>(digits.text.size());
  const int place = digits.exponent + count;  // where the point is, counted from the first digit
  if (digits.exponent >= 0) return digits.text + std::string(digits.exponent, '0');
  if (place <= 0) return "0." + std::string(-place, '0') + digits.text;
  return digits.text.substr(0, place) + "." + digits.text.substr(place);
}

std::string ScientificText(const Digits& digits) {
  const int exponent = digits.exponent + static_cast<int>(digits.text.size()) - 1;
  std::string text = digits.text.substr(0, 1);
  if (digits.text.size() > 1) text += "." + digits.text.substr(1);
  return text + (exponent < 0 ? "e-" : "e+") + std::to_string(std::abs(exponent));
}

std::size_t Copy(std::string_view text, std::span<char, kMaxNumberText> out) {
  std::memcpy(out.data(), text.data(), text.size());
  return text.size();
}

}  // namespace

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits[0] == '0' && text != "0")) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseScore(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::isnan(value)) {
    return std::nullopt;
  }
  return value;
}

std::size_t FormatNumber(double number, std::span<char, kMaxNumberText> out) {
  constexpr double kSafe = 4611686018427387904.0;  // 2^62
  if (number >= -kSafe && number <= kSafe) {
    const auto whole = static_cast<std::int64_t>(number);
    if (static_cast<double>(whole) == number) {
      return static_cast<std::size_t>(
          std::to_chars(out.data(), out.data() + out.size(), whole).ptr - out.data());
    }
  }
  if (std::isnan(number)) return Copy(std::signbit(number) ? "-nan" : "nan", out);
  if (std::isinf(number)) return Copy(number < 0 ? "-inf" : "inf", out);
  const Digits digits = ShortestDigits(std::fabs(number));
  const int count = static_cast<int>(digits.text.size());
  const int magnitude = std::abs(digits.exponent + count - 1);
  const bool plain =
      digits.exponent >= 0 ? magnitude < count + 7 : digits.exponent > -7 || magnitude < 4;
  std::string text = number < 0 ? "-" : "";
  text += plain ? PlainText(digits) : ScientificText(digits);
  return Copy(text, out);
}

std::int64_t TruncateNumber(double number) {
  if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0)) return INT64_MIN;
  return static_cast<std::int64_t>(number);
}

}  // namespace ffgrant::valkey::testing
