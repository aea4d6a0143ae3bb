// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant {
namespace {

using Tokens = std::vector<std::string_view>;

std::string Offered(const Tokens& tokens) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignOffered(tokens), CapabilityError::kNone);
  return std::string(set.csv());
}

std::string Required(const Tokens& tokens) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignRequired(tokens), CapabilityError::kNone);
  return std::string(set.csv());
}

std::string Missing(std::string_view required, std::string_view offered) {
  std::string out(required.size(), '\xEE');
  out.resize(MissingCapabilities(required, offered, out));
  return out;
}

// Returns `count` distinct tokens of `size` bytes.
std::vector<std::string> DistinctTokens(std::size_t count, std::size_t size) {
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    std::string token = std::to_string(i);
    token.insert(0, size - token.size(), '0');
    tokens.push_back(token);
  }
  return tokens;
}

Tokens Views(const std::vector<std::string>& tokens) {
  return Tokens(tokens.begin(), tokens.end());
}

TEST(CapabilitySetTest, DefaultIsEmpty) {
  const CapabilitySet set;
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.csv(), "");
}

TEST(CapabilitySetTest, OfferedIsSortedWithoutRepeats) {
  EXPECT_EQ(Offered({"gpu", "arm", "gpu", "big"}), "arm,big,gpu");
  EXPECT_EQ(Offered({"b", "B", "a"}), "B,a,b");
  EXPECT_EQ(Offered({}), "");
}

TEST(CapabilitySetTest, SortsByUnsignedBytes) {
  EXPECT_EQ(Offered({"\xC3\xA9", "z", "~"}), "z,~,\xC3\xA9");
  EXPECT_EQ(Required({"\xC3\xA9", "z", "~"}), "z,~,\xC3\xA9");
}

// `a+b` sorts before `a,...` as text, but after `a` as a token.
TEST(CapabilitySetTest, SortsTokensNotText) {
  EXPECT_EQ(Offered({"a+b", "a"}), "a,a+b");
  EXPECT_TRUE(CapabilitiesSatisfied("a,a+b", "a,a+,a+b"));
}

TEST(CapabilitySetTest, OfferedIsLenient) {
  EXPECT_EQ(Offered({"", "gpu", "", ""}), "gpu");
  EXPECT_EQ(Offered({"cuda,gpu"}), "cuda,gpu");
  EXPECT_EQ(Offered({"gpu,cuda", "arm"}), "arm,cuda,gpu");
  EXPECT_EQ(Offered({",,a,,b,"}), "a,b");
  EXPECT_EQ(Offered({"with space", "tab\there"}), "tab\there,with space");
}

TEST(CapabilitySetTest, OfferedCsvIsTheSame) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignOfferedCsv("gpu,,arm,gpu"), CapabilityError::kNone);
  EXPECT_EQ(set.csv(), "arm,gpu");
  EXPECT_EQ(set.AssignOfferedCsv(""), CapabilityError::kNone);
  EXPECT_TRUE(set.empty());
}

TEST(CapabilitySetTest, TakesItsOwnText) {
  CapabilitySet set;
  ASSERT_EQ(set.AssignOfferedCsv("b,a,d,c"), CapabilityError::kNone);
  ASSERT_EQ(set.AssignOfferedCsv(set.csv().substr(4)), CapabilityError::kNone);
  EXPECT_EQ(set.csv(), "c,d");
  // Three of the tokens that are assigned lie in the set's own bytes. `other` sorts before, between
  // or behind these three.
  for (const std::string other : {"a", "bb", "cc", "e", "aaaaaaaaaaaaaaaa"}) {
    for (const bool required : {false, true}) {
      ASSERT_EQ(set.AssignOfferedCsv("b,c,d"), CapabilityError::kNone);
      const std::string_view own = set.csv();
      const std::string_view tokens[] = {own.substr(4), other, own.substr(0, 1), own.substr(2, 1)};
      std::set<std::string> wanted(std::begin(tokens), std::end(tokens));
      std::string joined;
      for (const std::string& token : wanted) joined += (joined.empty() ? "" : ",") + token;
      ASSERT_EQ(required ? set.AssignRequired(tokens) : set.AssignOffered(tokens),
                CapabilityError::kNone);
      EXPECT_EQ(set.csv(), joined);
    }
  }
}

TEST(CapabilitySetTest, OfferedTokenLimitIsInclusive) {
  const auto tokens = DistinctTokens(257, 3);
  const Tokens views = Views(tokens);
  CapabilitySet set;
  EXPECT_EQ(set.AssignOffered(std::span(views).first(256)), CapabilityError::kNone);
  EXPECT_EQ(set.csv().size(), 256u * 4 - 1);
  EXPECT_EQ(set.AssignOffered(views), CapabilityError::kTooManyTokens);
  EXPECT_TRUE(set.empty());
}

TEST(CapabilitySetTest, OfferedCountsRepeatsButNotEmptyTokens) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignOffered(Tokens(257, "gpu")), CapabilityError::kTooManyTokens);
  Tokens tokens(1000, "");
  tokens.insert(tokens.end(), 256, "gpu");
  EXPECT_EQ(set.AssignOffered(tokens), CapabilityError::kNone);
  EXPECT_EQ(set.csv(), "gpu");
}

TEST(CapabilitySetTest, OfferedByteLimitIsInclusive) {
  const std::string fits(4096, 'x');
  const std::string exceeds(4097, 'x');
  CapabilitySet set;
  EXPECT_EQ(set.AssignOfferedCsv(fits), CapabilityError::kNone);
  EXPECT_EQ(set.csv(), fits);
  EXPECT_EQ(set.AssignOfferedCsv(exceeds), CapabilityError::kTooManyBytes);
  EXPECT_TRUE(set.empty());
  // Commas count towards the limit on bytes.
  const std::string half(2048, 'x');
  EXPECT_EQ(set.AssignOffered(Tokens{half, half}), CapabilityError::kTooManyBytes);
  EXPECT_EQ(set.AssignOffered(Tokens{half, std::string_view(half).substr(1)}),
            CapabilityError::kNone);
  // The commas beside empty tokens count too, before and behind the token that is not empty.
  for (const std::size_t empty : {1, 2, 5}) {
    for (const bool first : {true, false}) {
      for (const std::size_t size : {4096 - empty, 4097 - empty}) {
        std::vector<std::string_view> tokens(empty + 1);
        (first ? tokens.back() : tokens.front()) = std::string_view(fits).substr(0, size);
        EXPECT_EQ(set.AssignOffered(tokens),
                  size + empty > 4096 ? CapabilityError::kTooManyBytes : CapabilityError::kNone)
            << empty << first << size;
      }
    }
  }
}

TEST(CapabilitySetTest, OfferedMeasuresBytesBeforeTokens) {
  const auto tokens = DistinctTokens(300, 20);
  CapabilitySet set;
  EXPECT_EQ(set.AssignOffered(Views(tokens)), CapabilityError::kTooManyBytes);
  EXPECT_EQ(set.AssignOfferedCsv(std::string(4097, ',')), CapabilityError::kTooManyBytes);
  EXPECT_EQ(set.AssignOfferedCsv(std::string(4096, ',')), CapabilityError::kNone);
}

TEST(CapabilitySetTest, RequiredIsSortedWithoutRepeats) {
  EXPECT_EQ(Required({"gpu", "arm", "gpu"}), "arm,gpu");
  EXPECT_EQ(Required({}), "");
  EXPECT_EQ(Required({"\xE6\x9D\xB1-gpu", "!"}), "!,\xE6\x9D\xB1-gpu");
}

TEST(CapabilitySetTest, RequiredIsStrict) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignRequired(Tokens{"a", ""}), CapabilityError::kEmptyToken);
  EXPECT_EQ(set.AssignRequired(Tokens{"a", "b,c"}), CapabilityError::kCommaInToken);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = {'a', static_cast<char>(byte), 'b'};
    const CapabilityError expected = byte == ',' ? CapabilityError::kCommaInToken
                                     : byte <= 0x20 || byte == 0x7F
                                         ? CapabilityError::kControlOrWhitespace
                                         : CapabilityError::kNone;
    EXPECT_EQ(set.AssignRequired(Tokens{token}), expected) << byte;
    EXPECT_EQ(set.csv(), expected == CapabilityError::kNone ? token : "") << byte;
  }
}

TEST(CapabilitySetTest, RequiredReportsTheFirstBadToken) {
  CapabilitySet set;
  EXPECT_EQ(set.AssignRequired(Tokens{"z", "a b", "", ","}), CapabilityError::kControlOrWhitespace);
  EXPECT_EQ(set.AssignRequired(Tokens{"z", ", ", ""}), CapabilityError::kCommaInToken);
  // A bad token is reported before the limits, wherever it stands.
  Tokens tokens(300, "x");
  tokens.push_back("");
  EXPECT_EQ(set.AssignRequired(tokens), CapabilityError::kEmptyToken);
}

TEST(CapabilitySetTest, RequiredLimits) {
  CapabilitySet set;
  const auto tokens = DistinctTokens(257, 20);
  const Tokens views = Views(tokens);
  EXPECT_EQ(set.AssignRequired(views), CapabilityError::kTooManyTokens);  // checked before bytes
  EXPECT_EQ(set.AssignRequired(std::span(views).first(256)), CapabilityError::kTooManyBytes);
  const auto fitting = DistinctTokens(256, 15);  // 256 * 16 - 1 bytes
  EXPECT_EQ(set.AssignRequired(Views(fitting)), CapabilityError::kNone);
  EXPECT_EQ(set.csv().size(), 4095u);
  EXPECT_EQ(set.AssignRequired(Tokens{std::string_view()}), CapabilityError::kEmptyToken);
  EXPECT_TRUE(set.empty());
}

TEST(CapabilityDetailTest, Texts) {
  EXPECT_EQ(RequiredDetail(CapabilityError::kEmptyToken), "required:empty_token");
  EXPECT_EQ(RequiredDetail(CapabilityError::kCommaInToken), "required:comma_in_token");
  EXPECT_EQ(RequiredDetail(CapabilityError::kControlOrWhitespace),
            "required:control_or_whitespace");
  EXPECT_EQ(RequiredDetail(CapabilityError::kTooManyTokens), "required:too_many_tokens");
  EXPECT_EQ(RequiredDetail(CapabilityError::kTooManyBytes), "required:too_many_bytes");
  EXPECT_EQ(WorkerDetail(CapabilityError::kTooManyTokens), "worker:too_many_tokens");
  EXPECT_EQ(WorkerDetail(CapabilityError::kTooManyBytes), "worker:too_many_bytes");
  EXPECT_EQ(RequiredDetail(CapabilityError::kNone), "");
  EXPECT_EQ(WorkerDetail(CapabilityError::kNone), "");
}

TEST(CapabilitiesSatisfiedTest, Subsets) {
  EXPECT_TRUE(CapabilitiesSatisfied("", ""));
  EXPECT_TRUE(CapabilitiesSatisfied("", "gpu"));
  EXPECT_FALSE(CapabilitiesSatisfied("gpu", ""));
  EXPECT_TRUE(CapabilitiesSatisfied("gpu", "gpu"));
  EXPECT_TRUE(CapabilitiesSatisfied("b,d", "a,b,c,d,e"));
  EXPECT_FALSE(CapabilitiesSatisfied("b,d", "a,b,c,e"));
  EXPECT_FALSE(CapabilitiesSatisfied("gpu", "gpu2"));
  EXPECT_FALSE(CapabilitiesSatisfied("gpu2", "gpu"));
  EXPECT_FALSE(CapabilitiesSatisfied("a,z", "a,b"));
}

TEST(MissingCapabilitiesTest, Lists) {
  EXPECT_EQ(Missing("", "a"), "");
  EXPECT_EQ(Missing("a,b,c", ""), "a,b,c");
  EXPECT_EQ(Missing("a,b,c", "b"), "a,c");
  EXPECT_EQ(Missing("a,b,c", "a,b,c,d"), "");
  EXPECT_EQ(Missing("b", "a,c"), "b");
}

// Compares random sets with std::set.
TEST(CapabilitySetTest, AgreesWithStdSet) {
  std::mt19937 random(7);
  const auto draw = [&random] {
    static constexpr std::string_view kPool[] = {"a", "b", "aa", "a.", "ab", "a-b", "\xFF", "!"};
    std::vector<std::string> tokens(random() % 7);
    for (auto& token : tokens) {
      token = kPool[random() % std::size(kPool)];
    }
    return tokens;
  };
  const auto join = [](const std::set<std::string>& tokens) {
    std::string csv;
    for (const auto& token : tokens) {
      csv += (csv.empty() ? "" : ",") + token;
    }
    return csv;
  };
  for (int round = 0; round < 20000; ++round) {
    const auto required = draw();
    const auto offered = draw();
    const std::set<std::string> required_set(required.begin(), required.end());
    const std::set<std::string> offered_set(offered.begin(), offered.end());
    std::set<std::string> missing;
    std::set_difference(required_set.begin(), required_set.end(), offered_set.begin(),
                        offered_set.end(), std::inserter(missing, missing.end()));
    ASSERT_EQ(Required(Views(required)), join(required_set));
    ASSERT_EQ(Offered(Views(offered)), join(offered_set));
    ASSERT_EQ(CapabilitiesSatisfied(join(required_set), join(offered_set)), missing.empty());
    ASSERT_EQ(Missing(join(required_set), join(offered_set)), join(missing));
  }
}

}  // namespace
}  // namespace ffgrant
