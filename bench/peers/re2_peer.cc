// SPDX-License-Identifier: Apache-2.0
//
// Adds RE2 as a peer: https://github.com/google/re2/blob/main/re2/re2.h
// Expressions are compiled once and matched by FullMatch, which is anchored at both ends. RE2
// itself converts the decimal and hexadecimal numbers that it captured. The lenient expression for
// ids captures the uuid as a whole, in any of its forms. By then the uuid's digits are known to be
// digits, so the peer reads them by hand.

#include <re2/re2.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/plain_baselines.h"

namespace ffgrant::bench::peers {
namespace {

struct Re2Impl {
  static constexpr std::string_view kImpl = "Re2";

 protected:
  static RE2::Options Options() {
    RE2::Options options;
    options.set_encoding(RE2::Options::EncodingLatin1);  // bytes, so that no UTF-8 is decoded
    return options;
  }
  static re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }
};

class KeyParser : public Re2Impl {
 public:
  explicit KeyParser(const char* expression) : expression_(expression, Options()) {}

  std::optional<Partition> operator()(std::string_view text) const {
    re2::StringPiece family;
    std::uint16_t index = 0;
    if (!RE2::FullMatch(Piece(text), expression_, &family, &index)) return std::nullopt;
    return Partition{family[0] == 'f'   ? PartitionFamily::kFlow
                     : family[0] == 'b' ? PartitionFamily::kBudget
                                        : PartitionFamily::kQuota,
                     index};
  }

 private:
  RE2 expression_;
};

struct StrictKey : KeyParser, ResultIsValue<ParsePartitionKeyStrict::Value> {
  StrictKey() : KeyParser(R"(\{(fp|b|q):(0|[1-9][0-9]{0,4})\})") {}
};
// RE2 converts numbers with leading zeros but none with a plus sign, so the plus sign is not
// captured.
struct LenientKey : KeyParser, ResultIsValue<ParsePartitionKeyLenient::Value> {
  LenientKey() : KeyParser(R"(\{(fp|b|q):\+?([0-9]+)\})") {}
};

#define FFGRANT_HEX_GROUPS "([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})"

// The contents of a uuid's five groups.
struct Groups {
  std::uint32_t a = 0;
  std::uint16_t b = 0;
  std::uint16_t c = 0;
  std::uint16_t d = 0;
  std::uint64_t e = 0;

  Uuid ToUuid() const {
    Uuid uuid;
    const std::uint64_t high = std::uint64_t{a} << 32 | std::uint64_t{b} << 16 | c;
    const std::uint64_t low = std::uint64_t{d} << 48 | e;
    for (std::size_t i = 0; i < 8; ++i) {
      uuid.bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
      uuid.bytes[8 + i] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return uuid;
  }
};

class StrictUuid : public Re2Impl, public ResultIsValue<ParseUuidStrict::Value> {
 public:
  std::optional<Uuid> operator()(std::string_view text) const {
    Groups g;
    if (!RE2::FullMatch(Piece(text), expression_, RE2::Hex(&g.a), RE2::Hex(&g.b), RE2::Hex(&g.c),
                        RE2::Hex(&g.d), RE2::Hex(&g.e))) {
      return std::nullopt;
    }
    return g.ToUuid();
  }

 private:
  RE2 expression_{FFGRANT_HEX_GROUPS, Options()};
};

class StrictId : public Re2Impl, public ResultIsValue<ParseExecutionIdStrict::Value> {
 public:
  std::optional<plain::PlainExecutionId> operator()(std::string_view text) const {
    std::uint16_t index = 0;
    Groups g;
    if (!RE2::FullMatch(Piece(text), expression_, &index, RE2::Hex(&g.a), RE2::Hex(&g.b),
                        RE2::Hex(&g.c), RE2::Hex(&g.d), RE2::Hex(&g.e))) {
      return std::nullopt;
    }
    return plain::PlainExecutionId{index, g.ToUuid()};
  }

 private:
  RE2 expression_{R"(\{fp:(0|[1-9][0-9]{0,4})\}:)" FFGRANT_HEX_GROUPS, Options()};
};

class LenientId : public Re2Impl, public ResultIsValue<ParseExecutionIdLenient::Value> {
 public:
  std::optional<plain::PlainExecutionId> operator()(std::string_view text) const {
    std::uint16_t index = 0;
    re2::StringPiece uuid_text;
    if (!RE2::FullMatch(Piece(text), expression_, &index, &uuid_text)) return std::nullopt;
    return plain::PlainExecutionId{index, Digits({uuid_text.data(), uuid_text.size()})};
  }

 private:
  // Reads the uuid of a text that the expression has matched.
  static Uuid Digits(std::string_view text) {
    if (text.front() == '{') text.remove_prefix(1);
    if (text.front() == 'u') text.remove_prefix(9);
    Uuid uuid;
    for (std::uint8_t& byte : uuid.bytes) {
      if (text.front() == '-') text.remove_prefix(1);
      byte = static_cast<std::uint8_t>(Digit(text[0]) << 4 | Digit(text[1]));
      text.remove_prefix(2);
    }
    return uuid;
  }
  static int Digit(char c) { return (c & 15) + (c > '9' ? 9 : 0); }

  static constexpr const char* kExpression =
      R"(\{fp:\+?([0-9]+)\}:()"
      R"([0-9A-Fa-f]{32}|)"
      R"((?:urn:uuid:)?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|)"
      R"(\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}))";
  RE2 expression_{kExpression, Options()};
};

}  // namespace

void AddRe2Peers(Registry& registry) {
  registry.AddVersion("RE2", "package libre2-dev");  // its headers name no version
  AddPeer<ParsePartitionKeyStrict, StrictKey>(registry);
  AddPeer<ParsePartitionKeyLenient, LenientKey>(registry);
  AddPeer<ParseExecutionIdStrict, StrictId>(registry);
  AddPeer<ParseExecutionIdLenient, LenientId>(registry);
  AddPeer<ParseUuidStrict, StrictUuid>(registry);
}

}  // namespace ffgrant::bench::peers
