// SPDX-License-Identifier: Apache-2.0

#include "harness/json_generation.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "harness/text_mutation.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kValues[] = {
    // Most of these integers are at or near the limits of 8, 16, 32 and 64 bits.
    "0", "1", "7", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295",
    "4294967296", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "9999999999999999999", "18446744073709551614", "18446744073709551615", "18446744073709551616",
    "18446744073709551620", "18446744073800000000", "99999999999999999999", "100000000000000000000",
    "-0", "-1", "-5", "-9223372036854775807", "-9223372036854775808", "-9223372036854775809",
    "-18446744073709551616",
    // These are numbers that are not integers, and texts that only look like numbers.
    "1.0", "0.0", "1e3", "0e0", "1E+2", "-1.5e-3", "1e308", "1e309", "1e400", "-1e309", "0e999",
    "1e-999", "10e308", "0.1e-99999999999", "1e99999999999", "17976931348623157e292",
    "179769313486231570000e288", "18446744073709551615e289", "18446744073709551616.5",
    "0.00000000000000000001e329", "1e2147483647", "1e2147483648", "1e-2147483649", "01", "00",
    "-01", "+1", ".5", "1.", "1.e5", "1e", "1e+", "-", "--1", "0x1", "NaN", "Infinity", "12a",
    // These are values of the other types, and texts that only look like values.
    "null", "true", "false", "nul", "tru", "fals", "nullx", "Null", "\"\"", "\"1\"", "\"x\"", "'x'",
    "[]", "{}", "[ ]", "{ }", "[null]", "[1,\"2\"]", "[\"a\",\"b\"]", "[1,]", "[,1]", "[1 2]",
    "[\"a\",]", "[", "{", "]", "}", "{\"a\":1}", "{\"a\":1,}", "{\"a\"}", "{1:2}",
    "{\"a\":{\"b\":[{}]}}", "{\"a\":1,\"a\":2}", "[}", "{]", "[256]", "[255,0]", "[-1]", "[1.0]",
    "{\"retry\":null}", "{\"retry\":1}", "{\"Valkey\":null}", "{\"Fresh\":null,}", "\"Fresh\"",
    "\"retry\"", "\"granted\"", "[\"Valkey\",\"Fresh\",[1]]", ""};

constexpr std::string_view kStringParts[] = {"a",
                                             "0",
                                             " ",
                                             "}",
                                             "{",
                                             ":",
                                             "[",
                                             "]",
                                             ",",
                                             "\x7F",
                                             "\\\"",
                                             "\\\\",
                                             "\\/",
                                             "\\b",
                                             "\\f",
                                             "\\n",
                                             "\\r",
                                             "\\t",
                                             "\\u0000",
                                             "\\u001f",
                                             "\\u0041",
                                             "\\u007f",
                                             "\\u0080",
                                             "\\u00e9",
                                             "\\u07ff",
                                             "\\u0800",
                                             "\\ud7ff",
                                             "\\ue000",
                                             "\\uFFFF",
                                             "\\ud83d\\ude00",
                                             "\\uD800\\uDC00",
                                             "\\udbff\\udfff",
                                             "\xC3\xA9",
                                             "\xC2\x80",
                                             "\xDF\xBF",
                                             "\xE0\xA0\x80",
                                             "\xE2\x80\xA8",
                                             "\xED\x9F\xBF",
                                             "\xEE\x80\x80",
                                             "\xEF\xBF\xBF",
                                             "\xF0\x90\x80\x80",
                                             "\xF0\x9F\x98\x80",
                                             "\xF4\x8F\xBF\xBF",
                                             "abcdefgh",
                                             "0123456789abcdef"};

constexpr std::string_view kWrongStringParts[] = {"\\x41",
                                                  "\\u12",
                                                  "\\u00g0",
                                                  "\\U0041",
                                                  "\\u",
                                                  "\\ud800",
                                                  "\\udc00",
                                                  "\\ud83d\\u0041",
                                                  "\\ud83dx",
                                                  "\\ud83d\\n",
                                                  "\\ud83d\\ud83d",
                                                  "\\udbff\\ue000",
                                                  "\\ud800\\udbff",
                                                  "\t",
                                                  "\n",
                                                  "\x1F",
                                                  "\0"sv,
                                                  "\xFF",
                                                  "\x80",
                                                  "\xBF",
                                                  "\xC0\xAF",
                                                  "\xC1\xBF",
                                                  "\xC2",
                                                  "\xE0\x80\xAF",
                                                  "\xE0\x9F\xBF",
                                                  "\xE2\x82",
                                                  "\xED\xA0\x80",
                                                  "\xED\xBF\xBF",
                                                  "\xF0\x80\x80\x80",
                                                  "\xF0\x8F\xBF\xBF",
                                                  "\xF0\x9F\x98",
                                                  "\xF4\x90\x80\x80",
                                                  "\xF5\x80\x80\x80",
                                                  "\xF8\x88\x80",
                                                  "\xC3(",
                                                  "\xE2(\xA1",
                                                  "\"",
                                                  "\\"};

constexpr std::string_view kWords[] = {"main",    "w1-i1",  "",         "gpu",
                                       "default", "{fp:7}", "{fp:+7}",  "{b:31}",
                                       "{zz:0}",  "k",      "ff:exec:", "lane with space"};

constexpr std::string_view kUnknownNames[] = {"extra",
                                              "",
                                              "Execution_id",
                                              "execution_id ",
                                              "execution-id",
                                              "status_",
                                              "lane_id\\u0000",
                                              "partition_family",
                                              "worker_id",
                                              "detail",
                                              "expires_at_ms",
                                              "status",
                                              "type",
                                              "lane_id",
                                              "$serde_json::private::RawValue",
                                              "kind",
                                              "\\ud83d\\ude00",
                                              "a\\nb"};

std::string Copied(std::string_view text) { return std::string(text); }

template <std::size_t kSize>
std::string_view OneOf(Random& random, const std::string_view (&words)[kSize]) {
  return words[random.Below(kSize)];
}

// Returns a number about as large as the largest double, written with 1 to 40 digits and an
// exponent. Some of the digits may stand after a point.
std::string HugeNumber(Random& random) {
  std::string digits;
  const std::size_t size = 1 + random.Below(40);
  const bool at_the_limit = random.OneIn(2);
  for (std::size_t i = 0; i < size; ++i) {
    constexpr std::string_view kLimit = "17976931348623157";
    const bool like_the_limit = at_the_limit && i < kLimit.size();
    digits += like_the_limit ? kLimit[i] : static_cast<char>('0' + random.Below(10));
  }
  if (digits[0] == '0') digits[0] = '1';
  const std::size_t whole = 1 + random.Below(size);
  const std::size_t magnitude = 304 + random.Below(8);
  std::string json = (random.OneIn(4) ? "-" : "") + digits.substr(0, whole);
  if (whole < size) json += "." + digits.substr(whole);
  return json + "e" + std::to_string(magnitude - whole + 1);
}

// Returns the text that `append` appends to a TextBuffer.
template <class Append>
std::string Appended(Append append) {
  std::uint8_t bytes[64];
  TextBuffer text(bytes, 0, sizeof bytes);
  append(text);
  return std::string(text.view());
}

std::string SomeCanonicalUuid(Random& random) {
  Uuid uuid;
  for (std::uint8_t& byte : uuid.bytes) byte = static_cast<std::uint8_t>(random.Next());
  return testing::NaiveUuidText(uuid);
}

// Writes one document.
class Generator {
 public:
  explicit Generator(Random& random)
      : random_(random),
        spaced_(random.OneIn(4)),
        escaped_(random.OneIn(4)),
        faulty_(random.OneIn(2)),
        issued_(random.OneIn(3)),
        one_byte_wrong_(issued_ && faulty_ && random.OneIn(2)),
        index_(Appended([&](TextBuffer& text) {
          if (issued_) return text.AppendNumber(random.Below(65536) >> random.Below(17));
          AppendIndex(random, text);
        })),
        uuid_(issued_ ? SomeCanonicalUuid(random)
                      : Appended([&](TextBuffer& text) { AppendUuid(random, text); })) {
    if (issued_) spaced_ = escaped_ = false;
    if (one_byte_wrong_) faulty_ = false;
  }

  std::string Document(NaiveDto dto) {
    const std::span<const NaiveField> variants = NaiveVariants(dto);
    const NaiveField& variant = variants[random_.Below(variants.size())];
    std::string json = Space();
    if (dto == NaiveDto::kReclaimResponse) {
      json += Struct(variant.fields, variant.name);
    } else if (variant.name.empty()) {
      json += Struct(variant.fields, "");
    } else if (FaultHere(12)) {
      json += Literal(variant.name);
    } else {
      json += '{' + Space() + Literal(variant.name) + Space() + ':' + Space();
      json += FaultHere(8) ? SomeValue(random_) : Struct(variant.fields, "");
      json += Space() + (FaultHere(8) ? ",\"x\":1}" : "}");
    }
    json += Space();
    if (FaultHere(16)) json += OneOf(random_, kTrailing);
    if (FaultHere(10)) json.resize(random_.Below(json.size() + 1));
    if (!json.empty() && (one_byte_wrong_ || FaultHere(3)))
      MakeOneByteWrong(json[random_.Below(json.size())]);
    return json;
  }

 private:
  static constexpr std::string_view kTrailing[] = {"x", ",", "}", "]", "\0"sv, "\f", "{}", "null"};

  // If one bit is wrong in a name, the name is nearly right, and readers that compare whole words
  // must notice the difference. A quote, a backslash or a control character ends a text or makes it
  // invalid, and readers that look at many bytes at once must see it at every place.
  void MakeOneByteWrong(char& byte) {
    constexpr std::string_view kSpecial = "\"\\\0\n\x1F"sv;
    byte = random_.OneIn(2) ? static_cast<char>(byte ^ (1 << random_.Below(8)))
                            : kSpecial[random_.Below(kSpecial.size())];
  }

  // Returns true at most once for a document, so that no such fault is hidden by another.
  // SomeString() and SomeValue() may bring in more faults.
  bool FaultHere(std::size_t one_in) {
    if (!faulty_ || !random_.OneIn(one_in)) return false;
    faulty_ = false;
    return true;
  }
  std::string Space() { return spaced_ ? SomeSpace(random_) : std::string(); }
  std::string Literal(std::string_view text) {
    return Spelt(random_, text, escaped_ ? 4 : ~std::size_t{0});
  }

  std::string Text(std::string_view name) {
    if (name == "execution_id" && (issued_ || !random_.OneIn(8))) {
      return Literal("{fp:" + index_ + "}:" + uuid_);
    }
    if (name == "partition_key" && (issued_ || !random_.OneIn(4)))
      return Literal("{fp:" + index_ + "}");
    if (name == "grant_key" && (issued_ || !random_.OneIn(4))) {
      const std::string tag = "{fp:" + index_ + "}";
      return Literal("ff:exec:" + tag + ":" + tag + ":" + uuid_ + ":claim_grant");
    }
    return random_.OneIn(2) ? SomeString(random_) : Literal(OneOf(random_, kWords));
  }

  std::string Number(const NaiveField& field) {
    std::uint64_t number = (random_.Next() >> random_.Below(64)) & field.max;
    switch (random_.Below(8)) {
      case 0:
        return std::to_string(field.max - random_.Below(2));
      case 1:
        return std::to_string(random_.Below(2));
      case 2:
      case 3:
        return "1700000000000";
      case 4:  // a power of ten, or one less, which has one digit fewer
        number = 1;
        for (std::size_t zeros = random_.Below(20); zeros > 0; --zeros) number *= 10;
        number -= random_.Below(2);
        break;
      default:
        break;
    }
    if (FaultHere(4)) return WrongNumber(random_.OneIn(4) ? number : field.max);
    return std::to_string(number);
  }

  // Returns something that readers mostly refuse. `number` may be a limit; the result is a larger
  // number, a huge or a negative one, or a text that is not an integer.
  std::string WrongNumber(std::uint64_t number) {
    std::string digits = std::to_string(number);
    constexpr std::string_view kBehind[] = {".0", "e0", ".", "e", "0", "E-1", "x"};
    constexpr std::string_view kInFront[] = {"-", "0", "+", "00", "-0"};
    constexpr std::string_view kShort[] = {"00", "01", "09", "-0", "-1", "+1", ".1"};
    switch (random_.Below(7)) {
      case 6:
        return HugeNumber(random_);
      case 0:
        return digits + Copied(OneOf(random_, kBehind));
      case 1:
        return Copied(OneOf(random_, kInFront)) + digits;
      case 2:
        return Copied(OneOf(random_, kShort));
      case 3: {  // raises one digit, if it is not 9, and makes the later digits random
        std::size_t at = random_.Below(digits.size());
        if (digits[at] != '9') ++digits[at];
        while (++at < digits.size()) digits[at] = static_cast<char>('0' + random_.Below(10));
        return digits;
      }
      default:
        for (std::size_t more = 1 + random_.Below(6); more > 0; --more) Increment(digits);
        return digits;
    }
  }

  // Adds one to a decimal number of any length.
  static void Increment(std::string& digits) {
    for (std::size_t i = digits.size(); i > 0; --i) {
      if (digits[i - 1] != '9') {
        ++digits[i - 1];
        return;
      }
      digits[i - 1] = '0';
    }
    digits.insert(0, "1");
  }

  std::string List(const NaiveField& field) {
    std::string json = "[";
    for (std::size_t left = random_.Below(4); left > 0; --left) {
      if (json.size() > 1) json += Space() + ",";
      json += Space();
      if (FaultHere(8)) {
        json += SomeValue(random_);
      } else {
        json +=
            field.kind == NaiveKind::kTextList ? ListText() : std::to_string(random_.Below(256));
      }
    }
    return json + Space() + (FaultHere(12) ? ",]" : "]");
  }

  // When a list has been read, the length of each text is stored in one byte if it is below 128,
  // else in two.
  std::string ListText() {
    return random_.OneIn(4) ? Literal(std::string(126 + random_.Below(4), 'a')) : Text("");
  }

  std::string Enum(const NaiveField& field) {
    const std::string name = Literal(field.names[random_.Below(field.names.size())]);
    if (!random_.OneIn(4)) return name;
    return "{" + Space() + name + Space() + ":" + Space() +
           (FaultHere(4) ? SomeValue(random_) : "null") + Space() + "}";
  }

  std::string Value(const NaiveField& field) {
    if (FaultHere(8)) return SomeValue(random_);
    switch (field.kind) {
      case NaiveKind::kText:
        return Text(field.name);
      case NaiveKind::kOptionalText:
        return random_.OneIn(3) ? "null" : Text(field.name);
      case NaiveKind::kOptionalBool:
        return Copied(std::array{"null"sv, "true"sv, "false"sv}[random_.Below(3)]);
      case NaiveKind::kUnsigned:
        return Number(field);
      case NaiveKind::kSigned: {
        constexpr std::string_view kSigned[] = {"-9223372036854775808", "9223372036854775807", "-1",
                                                "0", "1700000000000"};
        return Copied(OneOf(random_, kSigned));
      }
      case NaiveKind::kTextList:
      case NaiveKind::kByteList:
        return List(field);
      case NaiveKind::kUuid:
        return Literal(Appended([&](TextBuffer& text) { AppendUuid(random_, text); }));
      case NaiveKind::kExecutionId:
        return Literal("{fp:" + index_ + "}:" + uuid_);
      case NaiveKind::kUnitEnum:
        return Enum(field);
      case NaiveKind::kStruct:
        return Struct(field.fields, "");
    }
    return {};
  }

  std::string Member(std::string_view name, const std::string& value) {
    return Literal(name) + Space() + (FaultHere(24) ? " " : ":") + Space() + value;
  }

  std::string Extra() {
    const std::string value = random_.OneIn(2)   ? SomeValue(random_)
                              : random_.OneIn(2) ? SomeString(random_)
                                                 : Nested(random_, random_.Below(5));
    // A reader that begins by looking for the tag reads each name twice. Long names with escapes
    // show whether such a reader needs the memory for a name twice.
    const std::string name = random_.OneIn(8) ? "\\n" + std::string(random_.Below(600), 'a')
                                              : Copied(OneOf(random_, kUnknownNames));
    return '"' + name + "\":" + Space() + value;
  }

  std::string Struct(std::span<const NaiveField> fields, std::string_view tag) {
    const bool positional = !issued_ && random_.OneIn(5);
    std::vector<std::string> parts;
    if (!tag.empty()) {
      const std::string value = FaultHere(8) ? SomeValue(random_) : Literal(tag);
      parts.push_back(positional ? value : Member("status", value));
    }
    for (const NaiveField& field : fields) {
      if (FaultHere(12)) continue;
      if (!positional && field.has_default && random_.OneIn(3)) continue;
      parts.push_back(positional ? Value(field) : Member(field.name, Value(field)));
    }
    if (positional) {
      // The last element may be missing if it has a default.
      if (!parts.empty() && fields.back().has_default && random_.OneIn(2)) parts.pop_back();
      if (FaultHere(8)) parts.push_back(SomeValue(random_));
    } else {
      if (!issued_ && random_.OneIn(3)) parts.push_back(Extra());
      if (!parts.empty() && FaultHere(8)) parts.push_back(parts[random_.Below(parts.size())]);
      if (parts.size() > 1 && !issued_ && random_.OneIn(3)) {
        for (std::size_t i = parts.size(); i > 1; --i) {
          std::swap(parts[i - 1], parts[random_.Below(i)]);
        }
      }
    }
    std::string json = positional ? "[" : "{";
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) json += Space() + (FaultHere(24) ? " " : ",");
      json += Space() + parts[i];
    }
    json += Space();
    if (FaultHere(16)) json += ',';
    return json + (positional != FaultHere(24) ? "]" : "}");
  }

  Random& random_;
  bool spaced_;
  bool escaped_;
  bool faulty_;
  // If true, the document is as a server writes it: canonical, with texts that go together.
  bool issued_;
  // If true, the only fault of an issued document is one wrong byte anywhere.
  bool one_byte_wrong_;
  std::string index_;
  std::string uuid_;
};

}  // namespace

std::string GenerateDocument(Random& random, NaiveDto dto) {
  return Generator(random).Document(dto);
}

std::string SomeValue(Random& random) {
  switch (random.Below(8)) {
    case 2:
      return random.OneIn(2) ? HugeNumber(random) : Copied(OneOf(random, kValues));
    case 0:
      return SomeString(random);
    case 1:
      return Nested(random, random.OneIn(4) ? 123 + random.Below(8) : random.Below(4));
    default:
      return Copied(OneOf(random, kValues));
  }
}

std::string SomeString(Random& random) {
  std::string json = "\"";
  const bool wrong = random.OneIn(4);
  // Some texts are short and some are long, since readers take 8, 16 or 32 bytes at a time.
  const std::size_t parts = random.Below(random.OneIn(4) ? 40 : 6);
  const std::size_t wrong_at = wrong ? random.Below(parts + 1) : parts + 1;
  for (std::size_t i = 0; i <= parts; ++i) {
    if (i == wrong_at) json += OneOf(random, kWrongStringParts);
    if (i < parts) json += random.OneIn(3) ? "a" : OneOf(random, kStringParts);
  }
  if (random.OneIn(8)) json.append(120 + random.Below(16), 'a');
  return json + '"';
}

std::string Spelt(Random& random, std::string_view text, std::size_t one_in) {
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool must = byte < 0x20 || c == '"' || c == '\\';
    if (!must && (byte >= 0x80 || !random.OneIn(one_in))) {
      json += c;
    } else if ((c == '/' || c == '"' || c == '\\') && random.OneIn(2)) {
      json += '\\';
      json += c;
    } else {
      const std::string_view digits = random.OneIn(2) ? "0123456789abcdef" : "0123456789ABCDEF";
      json += "\\u00";
      json += digits[byte / 16];
      json += digits[byte % 16];
    }
  }
  return json + '"';
}

std::string SomeSpace(Random& random) {
  std::string space;
  while (random.OneIn(2)) space += " \t\n\r"[random.Below(4)];
  return space;
}

std::string Nested(Random& random, std::size_t depth) {
  const std::size_t objects = random.Below(3);  // 0: only arrays, 1: only objects, 2: both
  std::string open;
  std::string close;
  for (; depth > 0; --depth) {
    const bool object = objects == 1 || (objects == 2 && random.OneIn(2));
    open += object ? "{\"a\":" : "[";
    close += object ? '}' : ']';
  }
  std::reverse(close.begin(), close.end());
  if (open.empty() || open.back() == ':') open += "1";
  return open + close;
}

}  // namespace ffgrant::fuzz
