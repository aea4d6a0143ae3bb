// SPDX-License-Identifier: Apache-2.0

#include "bench/inputs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <memory>
#include <utility>

namespace ffgrant::bench {
namespace {

constexpr std::array<const char*, 3> kPrefixes = {"fp", "b", "q"};
constexpr std::array<PartitionFamily, 3> kFamilies = {
    PartitionFamily::kFlow, PartitionFamily::kBudget, PartitionFamily::kQuota};

// Returns an index of 1 to 5 digits. Each length is equally likely.
std::uint16_t RandomIndex(Random& random) {
  constexpr std::array<std::uint32_t, 6> kBounds = {0, 10, 100, 1000, 10000, 65536};
  const std::size_t digits = random.Below(5);
  const std::uint32_t low = kBounds[digits];
  return static_cast<std::uint16_t>(low + random.Below(kBounds[digits + 1] - low));
}

std::string KeyText(std::size_t family, unsigned index) {
  return std::string("{") + kPrefixes[family] + ":" + std::to_string(index) + "}";
}

std::string IdText(unsigned index, const Uuid& uuid) {
  return "{fp:" + std::to_string(index) + "}:" + PlainUuidText(uuid);
}

char OtherByte(Random& random) { return "[(<f7\"\\x"[random.Below(8)]; }

std::string RandomKey(KeyCase which, Random& random) {
  const std::size_t family = random.Below(3);
  std::string text = KeyText(family, RandomIndex(random));
  switch (which) {
    case KeyCase::kRandom:
    case KeyCase::kDistinct:
      break;
    case KeyCase::kEarlyReject:
      text.front() = OtherByte(random);
      break;
    case KeyCase::kLateReject:
      text[text.size() - 1 - random.Below(2)] = "]x/:"[random.Below(4)];
      break;
    case KeyCase::kSpellings: {
      const std::size_t digits = text.find(':') + 1;
      text.insert(digits, random.Below(8), '0');
      if (random.Below(2) != 0) text.insert(digits, 1, '+');
      break;
    }
  }
  return text;
}

std::vector<std::string> DistinctKeys(Random& random) {
  std::vector<std::uint32_t> all(3 * 65536);
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  Shuffle(all, random);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < kInputCount; ++i) {
    texts.push_back(KeyText(all[i] >> 16, all[i] & 0xFFFF));
  }
  return texts;
}

std::string RandomUuidSpelling(Random& random) {
  std::string text = PlainUuidText(random.NextUuid());
  if (random.Below(2) != 0) {
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  switch (random.Below(4)) {
    case 0:
      text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
      return text;
    case 1:
      return "{" + text + "}";
    case 2:
      return "urn:uuid:" + text;
    default:
      return text;
  }
}

std::string RandomId(IdCase which, Random& random) {
  const std::uint16_t index = RandomIndex(random);
  if (which == IdCase::kSpellings) {
    return "{fp:" + std::string(random.Below(2), '+') + std::string(random.Below(4), '0') +
           std::to_string(index) + "}:" + RandomUuidSpelling(random);
  }
  std::string text = IdText(index, random.NextUuid());
  if (which == IdCase::kEarlyReject) text[random.Below(2)] = "[(<F7\"\\x"[random.Below(8)];
  if (which == IdCase::kLateReject) text.back() = "gz-}/:G "[random.Below(8)];
  return text;
}

// Writes two bytes of `text` as escapes. If chance chooses the first byte of `text` first, only
// this byte is written as an escape.
std::string Escaped(std::string text, Random& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (int i = 0; i < 2; ++i) {
    // Chooses a byte before the first escape, so that no escape is changed.
    const std::size_t end = std::min(text.find('\\'), text.size());
    if (end == 0) break;
    const std::size_t at = random.Below(end);
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::string escape = {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
    text.replace(at, 1, escape);
  }
  return text;
}

// Returns a grant key in the form of the reference's PostgreSQL backend (contract 9). Random digits
// stand for the signature.
std::string PostgresKey(const std::string& key, Random& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "pg:" + key + ":" + PlainUuidText(random.NextUuid()) + ":" +
                     std::to_string(1'700'000'000'000 + random.Below(1u << 31)) + ":k" +
                     std::to_string(random.Below(10)) + ":";
  for (int i = 0; i < 64; ++i) text += kHex[random.Below(16)];
  return text;
}

// Returns a member that a newer server might add.
std::string UnknownMember(Random& random) {
  const std::string number = std::to_string(random.Below(100'000));
  switch (random.Below(4)) {
    case 0:
      return "\"trace_id\":\"" + PlainUuidText(random.NextUuid()) + "\"";
    case 1:
      return "\"priority\":" + number;
    case 2:
      return "\"labels\":[\"gpu\",\"eu-" + number + "\",null]";
    default:
      return "\"queue\":{\"depth\":" + number + ",\"paused\":false}";
  }
}

std::string RandomTime(GrantCase which, Random& random) {
  if (which == GrantCase::kTime10Digits) {
    return std::to_string(1'000'000'000 + random.Below(9'000'000'000));
  }
  if (which == GrantCase::kTimeAnyDigits) {
    std::uint64_t first = 1;
    for (std::size_t digits = random.Below(20); digits > 0; --digits) first *= 10;
    // Not all numbers of 20 digits fit into 64 bits.
    const bool fits = first < 10'000'000'000'000'000'000u;
    return std::to_string(first + random.Below(fits ? 9 * first : first / 10 * 8));
  }
  return std::to_string(1'700'000'000'000 + random.Below(1u << 31));
}

std::string RandomGrant(GrantCase which, Random& random) {
  // Deployments have 256 partitions by default, so an index has one to three digits.
  const auto index = static_cast<unsigned>(random.Below(256));
  std::string id = IdText(index, random.NextUuid());
  std::string key = KeyText(0, index);
  std::string grant_key = "ff:exec:" + key + ":" + id + ":claim_grant";
  if (which == GrantCase::kPostgresKey) grant_key = PostgresKey(key, random);
  if (which == GrantCase::kSqliteKey) grant_key = PlainUuidText(random.NextUuid());
  if (which == GrantCase::kEscaped) {
    for (std::string* text : {&id, &key, &grant_key}) *text = Escaped(*text, random);
  }
  const bool indented = which == GrantCase::kWhitespace;
  const std::string colon = indented ? ": " : ":";
  std::vector<std::string> members = {
      "\"execution_id\"" + colon + "\"" + id + "\"",
      "\"partition_key\"" + colon + "\"" + key + "\"",
      "\"grant_key\"" + colon + "\"" + grant_key + "\"",
      "\"expires_at_ms\"" + colon + RandomTime(which, random),
  };
  if (which == GrantCase::kReordered) {
    for (std::size_t i = members.size(); i > 1; --i) {
      std::swap(members[i - 1], members[random.Below(i)]);
    }
  }
  if (which == GrantCase::kUnknownMember) {
    members.insert(members.begin() + static_cast<std::ptrdiff_t>(random.Below(5)),
                   UnknownMember(random));
  }
  std::string text = "{";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i != 0) text += ',';
    if (indented) text += "\n  ";
    text += members[i];
  }
  text += indented ? "\n}" : "}";
  if (which == GrantCase::kEarlyReject) text.front() = "x(<}],:/"[random.Below(8)];
  if (which == GrantCase::kLateReject) text.back() = ']';
  return text;
}

template <class Make>
std::vector<std::string> Texts(Random& random, Make make) {
  std::vector<std::string> texts;
  texts.reserve(kInputCount);
  for (std::size_t i = 0; i < kInputCount; ++i) texts.push_back(make(random));
  return texts;
}

// There is one set for each case. It is made when it is first asked for, and kept.
template <class Case, class Make>
const TextSet& CachedSet(Case which, Make make) {
  static std::array<std::unique_ptr<const TextSet>, 16> sets;
  std::unique_ptr<const TextSet>& set = sets[static_cast<std::size_t>(which)];
  if (!set) set = std::make_unique<const TextSet>(make());
  return *set;
}

}  // namespace

TextSet::TextSet(const std::vector<std::string>& texts) {
  std::size_t size = kPadding;
  for (const std::string& text : texts) size += text.size();
  bytes_.reserve(size);
  for (const std::string& text : texts) bytes_ += text;
  bytes_.append(kPadding, '\0');
  std::size_t begin = 0;
  views_.reserve(texts.size());
  for (const std::string& text : texts) {
    views_.emplace_back(bytes_.data() + begin, text.size());
    begin += text.size();
  }
}

double TextSet::average_size() const {
  return static_cast<double>(bytes_.size() - kPadding) / static_cast<double>(views_.size());
}

std::uint64_t Random::Next() {
  state_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

Uuid Random::NextUuid() {
  Uuid uuid;
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t bits = Next();
    for (std::size_t i = 0; i < 8; ++i, bits >>= 8) {
      uuid.bytes[8 * half + i] = static_cast<std::uint8_t>(bits);
    }
  }
  uuid.bytes[6] = static_cast<std::uint8_t>(0x40 | (uuid.bytes[6] & 0x0F));
  uuid.bytes[8] = static_cast<std::uint8_t>(0x80 | (uuid.bytes[8] & 0x3F));
  return uuid;
}

const TextSet& PartitionKeys(KeyCase which) {
  return CachedSet(which, [which] {
    Random random(1);
    if (which == KeyCase::kDistinct) return DistinctKeys(random);
    return Texts(random, [which](Random& r) { return RandomKey(which, r); });
  });
}

const TextSet& ExecutionIds(IdCase which) {
  return CachedSet(which, [which] {
    Random random(2);
    return Texts(random, [which](Random& r) { return RandomId(which, r); });
  });
}

const TextSet& GrantDocuments(GrantCase which) {
  return CachedSet(which, [which] {
    Random random(3);
    return Texts(random, [which](Random& r) { return RandomGrant(which, r); });
  });
}

const TextSet& UuidTexts() {
  static const TextSet* const set = [] {
    Random random(4);
    return new TextSet(Texts(random, [](Random& r) { return PlainUuidText(r.NextUuid()); }));
  }();
  return *set;
}

const TextSet& Lanes() {
  static const TextSet* const set = [] {
    Random random(5);
    return new TextSet(Texts(random, [](Random& r) {
      std::string lane = "lane-";
      for (std::size_t n = 1 + r.Below(24); n > 0; --n) {
        lane += static_cast<char>('a' + r.Below(26));
      }
      return lane + std::to_string(r.Below(kInputCount));
    }));
  }();
  return *set;
}

const TextSet& GrantKeys() {
  static const TextSet* const set = [] {
    Random random(6);
    return new TextSet(Texts(random, [](Random& r) {
      const std::uint16_t index = RandomIndex(r);
      return "ff:exec:" + KeyText(0, index) + ":" + IdText(index, r.NextUuid()) + ":claim_grant";
    }));
  }();
  return *set;
}

const std::vector<Uuid>& Uuids() {
  static const std::vector<Uuid>* const uuids = [] {
    Random random(7);
    auto* result = new std::vector<Uuid>(kInputCount);
    for (Uuid& uuid : *result) uuid = random.NextUuid();
    return result;
  }();
  return *uuids;
}

const std::vector<Partition>& Partitions() {
  static const std::vector<Partition>* const partitions = [] {
    Random random(8);
    auto* result = new std::vector<Partition>(kInputCount);
    for (Partition& p : *result) p = {kFamilies[random.Below(3)], RandomIndex(random)};
    return result;
  }();
  return *partitions;
}

std::string_view CaseName(KeyCase which) {
  switch (which) {
    case KeyCase::kRandom:
      return "random";
    case KeyCase::kDistinct:
      return "distinct";
    case KeyCase::kEarlyReject:
      return "early_reject";
    case KeyCase::kLateReject:
      return "late_reject";
    case KeyCase::kSpellings:
      return "spellings";
  }
  return "";
}

std::string_view CaseName(IdCase which) {
  switch (which) {
    case IdCase::kValid:
      return "valid";
    case IdCase::kEarlyReject:
      return "early_reject";
    case IdCase::kLateReject:
      return "late_reject";
    case IdCase::kSpellings:
      return "spellings";
  }
  return "";
}

std::string_view CaseName(GrantCase which) {
  switch (which) {
    case GrantCase::kCanonical:
      return "canonical";
    case GrantCase::kReordered:
      return "reordered";
    case GrantCase::kWhitespace:
      return "whitespace";
    case GrantCase::kEscaped:
      return "escaped";
    case GrantCase::kEarlyReject:
      return "early_reject";
    case GrantCase::kLateReject:
      return "late_reject";
    case GrantCase::kUnknownMember:
      return "unknown_member";
    case GrantCase::kPostgresKey:
      return "postgres_key";
    case GrantCase::kSqliteKey:
      return "sqlite_key";
    case GrantCase::kTime10Digits:
      return "time_10_digits";
    case GrantCase::kTimeAnyDigits:
      return "time_1_to_20_digits";
  }
  return "";
}

std::string PlainUuidText(const Uuid& uuid) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += kHex[uuid.bytes[i] >> 4];
    text += kHex[uuid.bytes[i] & 15];
  }
  return text;
}

}  // namespace ffgrant::bench
