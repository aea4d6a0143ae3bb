// SPDX-License-Identifier: Apache-2.0

#include "harness/value_choices.h"

#include <cctype>
#include <iterator>
#include <utility>

#include "harness/failure.h"
#include "testing/naive/naive_partition_key.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

constexpr std::string_view kWords[] = {"",         "main",
                                       "w1-i1",    "gpu",
                                       "default",  "lane with space",
                                       "{fp:+7}",  "{b:31}",
                                       "{zz:0}",   "capability_mismatch: a,b",
                                       "ff:exec:", "pg:{fp:7}:x:1:k:00",
                                       "/a/b",     "already_revoked"};

// JSON has escapes for many of these pieces. Most of the others border on such a piece or lie at a
// limit of UTF-8.
constexpr std::string_view kPieces[] = {"\"",
                                        "\\",
                                        "/",
                                        "\b",
                                        "\t",
                                        "\n",
                                        "\f",
                                        "\r",
                                        "\x0B",
                                        "\x1F",
                                        "\x7F",
                                        "\x01",
                                        " ",
                                        "}",
                                        "\xC2\x80",
                                        "\xC3\xA9",
                                        "\xDF\xBF",
                                        "\xE0\xA0\x80",
                                        "\xE2\x80\xA8",
                                        "\xED\x9F\xBF",
                                        "\xEE\x80\x80",
                                        "\xEF\xBF\xBF",
                                        "\xF0\x90\x80\x80",
                                        "\xF0\x9F\x98\x80",
                                        "\xF4\x8F\xBF\xBF"};

constexpr std::string_view kNotUtf8[] = {"\xFF",
                                         "\x80",
                                         "\xC0\xAF",
                                         "\xC1\xBF",
                                         "\xC2",
                                         "\xE0\x9F\xBF",
                                         "\xE2\x82",
                                         "\xED\xA0\x80",
                                         "\xF0\x8F\xBF\xBF",
                                         "\xF0\x9F\x98",
                                         "\xF4\x90\x80\x80",
                                         "\xF5\x80\x80\x80"};

}  // namespace

std::string ValueChoices::IdText(bool canonical) {
  std::string uuid = testing::NaiveUuidText(SomeUuid());
  std::string index = std::to_string(U16());
  if (!canonical) {
    const std::uint32_t zeros = choices_.Below(4);
    index = std::string(choices_.OneIn(2) ? "+" : "") + std::string(zeros, '0') + index;
    switch (choices_.Below(4)) {
      case 0:
        uuid = "{" + uuid + "}";
        break;
      case 1:
        uuid = "urn:uuid:" + uuid;
        break;
      case 2:
        std::erase(uuid, '-');
        break;
      default:
        for (char& c : uuid) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        break;
    }
  }
  return "{fp:" + index + "}:" + uuid;
}

std::string ValueChoices::Mixed() {
  std::string text;
  const std::uint32_t parts = choices_.Below(8);
  for (std::uint32_t i = 0; i < parts; ++i) {
    switch (choices_.Below(4)) {
      case 0:
        // The lengths cover those that matter to code that copies 8, 16 or 32 bytes at a time.
        text.append(choices_.Below(70), 'a');
        break;
      case 1:
        text += static_cast<char>(choices_.Below(128));
        break;
      default:
        text += OneOf(choices_, kPieces);
        break;
    }
  }
  if (choices_.Byte() > 250) {
    const std::string_view wrong = OneOf(choices_, kNotUtf8);
    text.insert(choices_.Below(static_cast<std::uint32_t>(text.size()) + 1), wrong);
  }
  return text;
}

std::string_view ValueChoices::Text() {
  switch (choices_.Below(8)) {
    case 0:
      return OneOf(choices_, kWords);
    case 1:
      return Keep(IdText(!choices_.OneIn(4)));
    case 2:
      return Keep(testing::NaivePartitionTag(SomePartition()));
    default:
      return Keep(Mixed());
  }
}

std::optional<std::string_view> ValueChoices::OptionalText() {
  if (choices_.OneIn(3)) return std::nullopt;
  return Text();
}

StringList ValueChoices::Texts() {
  std::vector<std::string_view>& list = lists_.emplace_back();
  for (std::uint32_t left = choices_.Below(5); left > 0; --left) list.push_back(Text());
  return StringList(list);
}

std::string_view ValueChoices::Name(std::size_t max_size) {
  const auto limit = static_cast<std::uint32_t>(max_size) + 1;
  std::string name(choices_.OneIn(4) ? max_size : choices_.Below(limit), 'n');
  for (std::size_t i = 0; i < name.size() && i < 4; ++i) {
    name[i] = static_cast<char>(0x20 + choices_.Below(95));
  }
  return Keep(std::move(name));
}

std::string_view ValueChoices::Bytes() {
  return Keep(std::string(choices_.Take(choices_.Below(20))));
}

Uuid ValueChoices::SomeUuid() {
  Uuid uuid;
  const std::uint32_t kind = choices_.Below(8);
  for (std::uint8_t& byte : uuid.bytes) {
    byte = kind == 0 ? std::uint8_t{0} : kind == 1 ? std::uint8_t{0xFF} : choices_.Byte();
  }
  return uuid;
}

ExecutionIdView ValueChoices::Id() {
  const std::string_view text = Keep(IdText(!choices_.OneIn(4)));
  const ExecutionIdResult parsed = ParseExecutionId(text, ParseMode::kLenient);
  if (!parsed) Fail("an execution id made from values", text);
  return parsed.id;
}

Partition ValueChoices::SomePartition() {
  const auto family = static_cast<PartitionFamily>(choices_.Below(4));
  return {family, U16()};
}

std::uint64_t ValueChoices::U64() {
  constexpr std::uint64_t kLimits[] = {0,
                                       1,
                                       7,
                                       9,
                                       10,
                                       99,
                                       100,
                                       9'999,
                                       10'000,
                                       65'535,
                                       99'999'999,
                                       100'000'000,
                                       2'147'483'647,
                                       4'294'967'295,
                                       4'294'967'296,
                                       1'700'000'000'000,
                                       9'007'199'254'740'993,
                                       9'999'999'999'999'999,
                                       10'000'000'000'000'000,
                                       9'223'372'036'854'775'807,
                                       9'223'372'036'854'775'808u,
                                       9'999'999'999'999'999'999u,
                                       10'000'000'000'000'000'000u,
                                       18'446'744'073'709'551'614u,
                                       18'446'744'073'709'551'615u};
  if (choices_.OneIn(2)) return OneOf(choices_, kLimits);
  return choices_.Word() >> choices_.Below(64);
}

}  // namespace ffgrant::fuzz
