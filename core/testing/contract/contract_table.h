// SPDX-License-Identifier: Apache-2.0
//
// Has the limits and the alphabets of the wire contract as data. The table has each limit and the
// values next to it. The texts of a kind come from all over what its grammar allows. Scenarios read
// this table, so that every engine gets all of its rows: the embedded ledger, the shipped
// functions, real servers. No test should use a smaller alphabet of its own. The numbers are copied
// from the contract, not from the code under test.

#ifndef FFGRANT_TESTING_CONTRACT_CONTRACT_TABLE_H_
#define FFGRANT_TESTING_CONTRACT_CONTRACT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::testing {

template <class T>
struct LimitRow {
  T value;
  bool taken;  // whether the contract accepts the value
};

// Durations in milliseconds. Contract 9.5 keeps sums below 1e14; the clock may use half of this
// range.
inline constexpr LimitRow<std::int64_t> kDurationRows[] = {
    {INT64_MIN, false},          {-50'000'000'000'001, false}, {-50'000'000'000'000, true},
    {-49'999'999'999'999, true}, {-1, true},                   {0, true},
    {1, true},                   {49'999'999'999'999, true},   {50'000'000'000'000, true},
    {50'000'000'000'001, false}, {INT64_MAX, false}};

// Texts that a client of another make may send to a server function as a number. A duration is
// added to the time, so it has the limits of kDurationRows. A time is stored as it is, so it may be
// any time of 64 bits, or what a double makes of it (valkey/functions/README.md). Neither may have
// a fraction (contract 9.6).
struct NumberTextRow {
  std::string_view text;
  bool is_duration;
  bool is_time;
};
inline constexpr NumberTextRow kNumberTextRows[] = {
    {"1", true, true},
    {"-1", true, true},
    {"50000000000000", true, true},
    {"50000000000001", false, true},
    {"-50000000000000", true, true},
    {"-50000000000001", false, true},
    {"9223372036854775807", false, true},
    {"9223372036854777856", false, false},
    {"-9223372036854775808", false, true},
    {"-9223372036854777856", false, false},
    {"1.5", false, false},
    {"-0.5", false, false},
    {"1e300", false, false},
    {"inf", false, false},
    {"-inf", false, false},
    {"nan", false, false},
    {"soon", false, false}};

// Contract 3: priorities outside 0..9000 are clamped.
struct PriorityRow {
  std::int64_t given;
  std::int64_t kept;
};
inline constexpr PriorityRow kPriorityRows[] = {{INT64_MIN, 0}, {-1, 0},      {0, 0},
                                                {1, 1},         {8999, 8999}, {9000, 9000},
                                                {9001, 9000},   {INT64_MAX, 9000}};

// Contract 7.6: reclaim caps are 32 bits wide.
inline constexpr std::uint32_t kReclaimCaps[] = {0, 1, 2, UINT32_MAX - 1, UINT32_MAX};

// Contract 1.7: a lane has 1 to 64 bytes, each of 0x20..0x7E.
inline constexpr LimitRow<std::size_t> kLaneSizeRows[] = {
    {0, false}, {1, true}, {2, true}, {63, true}, {64, true}, {65, false}, {66, false}};
inline constexpr LimitRow<unsigned char> kLaneByteRows[] = {
    {0x00, false}, {0x1F, false}, {0x20, true},  {0x21, true},
    {0x7D, true},  {0x7E, true},  {0x7F, false}, {0x80, false}, {0xFF, false}};

// Contract 6: the comma-joined tokens have at most 4,096 bytes, and there are at most 256 tokens.
inline constexpr LimitRow<std::size_t> kCapabilityBytesRows[] = {
    {4'095, true}, {4'096, true}, {4'097, false}};
inline constexpr LimitRow<std::size_t> kCapabilityCountRows[] = {
    {255, true}, {256, true}, {257, false}};

// Capability tokens from all over the grammar. Hyphens, percent signs, brackets and the like have a
// meaning in patterns, so code that matched patterns instead of bytes would fail here.
inline constexpr std::string_view kTokens[] = {
    "g",       "gpu",         "us-east-1", "us-east-",   "-",       "a.b",      "a%b",
    "%d+",     "[a-z]*",      "^gpu$",     "(gpu)",      "a+b?",    "a|b",      "GPU",
    "{fp:7}",  "\"quoted\"",  "back\\slash", "a:b",      "a/b",     "a=b;c",    "caf\xC3\xA9",
    "\xE6\xBC\xA2\xE5\xAD\x97", "\xF0\x9F\x98\x80",     "0",       "00",       "1e3",
    "nil",     "~",           "!",         "#{}",        "a_b",     "'",        "\xC2\x80",
    "a-token-of-forty-one-bytes-with-hyphens-x"};

// Texts for arguments that may be any bytes and are stored unchanged: worker ids, instances,
// hashes, snapshots.
inline const std::vector<std::string>& OpaqueTexts() {
  using namespace std::string_literals;
  static const std::vector<std::string> texts = {
      "x",
      "w-1",
      "worker 1",
      "arbeiter-\xC3\xBC",
      "\xE5\xB7\xA5\xE4\xBA\xBA",
      "\xF0\x9F\x98\x80-i1",
      "{fp:7}",
      "}{",
      "a:b:leases",
      "%s%d%%",
      "[^a-z]*",
      "$1.00",
      "\"quoted\"",
      "back\\slash\\",
      "tab\tline\nreturn\r",
      "\r\n$5\r\n",
      "nul\0inside"s,
      "\x7F\x01\x1F",
      "\xFF\xFE no UTF-8",
      "-1",
      "0",
      "1e308",
      "nil",
      R"({"a":[1,null,"\u0000"]})",
      std::string(255, 'n'),
      std::string(256, 'n'),
      std::string(257, 'n'),
  };
  return texts;
}

// Returns a comma-joined list of `bytes` bytes. The list has two tokens: `a`, and one that fills
// the rest.
inline std::string CapabilitiesOfBytes(std::size_t bytes) {
  std::string csv(bytes - 2, 'x');
  return "a," + csv;
}

// Returns a comma-joined list of `count` different tokens, sorted by their bytes.
inline std::string CapabilitiesOfCount(std::size_t count) {
  std::string csv;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string digits = std::to_string(1000 + i);
    csv += (i == 0 ? "t-" : ",t-") + digits;
  }
  return csv;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_CONTRACT_CONTRACT_TABLE_H_
