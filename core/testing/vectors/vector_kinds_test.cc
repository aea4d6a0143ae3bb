// SPDX-License-Identifier: Apache-2.0
//
// Tests that a vector with a wrong member fails, whichever member is wrong.

#include "testing/vectors/vector_kinds.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace ffgrant::conformance {
namespace {

#define U "11111111-1111-4111-8111-111111111111"
#define E "{fp:7}:" U

Outcome Check(std::string_view line) {
  simdjson::dom::parser parser;
  return CheckVector(std::string(line), parser);
}

std::string Differences(const Case& result) {
  std::string text;
  for (const Difference& difference : result.differences()) {
    text +=
        difference.what + ": expected " + difference.expected + ", got " + difference.got + "\n";
  }
  return text;
}

// Returns `line` with its only `from` replaced by `to`.
std::string Replaced(std::string_view line, std::string_view from, std::string_view to) {
  const std::size_t at = line.find(from);
  EXPECT_NE(at, std::string_view::npos) << from;
  EXPECT_EQ(line.find(from, at + 1), std::string_view::npos) << from << " stands there twice";
  return std::string(line).replace(at, from.size(), to);
}

constexpr std::string_view kGood[] = {
    R"({"kind":"partition_key","input":"{fp:07}","ok":{"family":"flow","index":7,)"
    R"("tag":"{fp:7}","canonical":false,"slot":5993}})",
    R"({"kind":"partition_key","input":"{fp:7}","ok":{"family":"flow","index":7,)"
    R"("tag":"{fp:7}","canonical":true,"slot":2729}})",
    R"({"kind":"partition_key","input":"{zz:0}","err":{"code":"unknown_family_prefix",)"
    R"("payload":"zz",)"
    R"x("display":"unknown partition family prefix 'zz' (expected 'fp', 'b', 'q')"}})x",
    R"({"kind":"partition_key","input":"{fp}","err":{"code":"malformed_body",)"
    R"("payload":null,"display":"partition key body must be '<prefix>:<index>'"}})",
    R"({"kind":"execution_id","input":"{fp:+7}:)" U R"(","ok":{"partition":7,)"
    R"("uuid":")" U R"(","canonical":false}})",
    R"({"kind":"execution_id","input":"{fp:x}:y","err":{"code":"invalid_partition_index",)"
    R"("payload":"x","display":"execution_id partition index is not a valid u16: x"}})",
    R"({"kind":"claim_response","doc":"[\")" E
    R"(\",\"{fp:7}\",\"\\u0000\",18446744073709551615]",)"
    R"("ok":{"execution_id":")" E R"(","partition_key":"{fp:7}","grant_key":"\u0000",)"
    R"("expires_at_ms":18446744073709551615,"converts":true}})",
    R"({"kind":"claim_response","doc":"[\"\",\"\",\"\",0]","ok":{"execution_id":"",)"
    R"("partition_key":"","grant_key":"","expires_at_ms":0,"converts":false}})",
    R"({"kind":"claim_response","doc":"[","err":{"class":"syntax"}})",
    R"({"kind":"claim_response","doc_hex":"5b5d","err":{"class":"data"}})",
    R"({"kind":"claim_serialize","grant":{"execution_id":"e","partition_key":"\u001f",)"
    R"("grant_key":"/","expires_at_ms":1},"json":"{\"execution_id\":\"e\",)"
    R"(\"partition_key\":\"\\u001f\",\"grant_key\":\"/\",\"expires_at_ms\":1}"})",
    R"({"kind":"flow_partition","flow_id":"550e8400-e29b-41d4-a716-446655440000",)"
    R"("num_flow_partitions":256,"mint_uuid":")" U R"(","index":24,"execution_id":"{fp:24}:)" U
    R"("})",
    R"({"kind":"lane_partition","lane":"gpu","num_flow_partitions":256,"index":144})",
    R"({"kind":"key_slot","key":"foo{bar}{zap}","slot":5061})",
};

TEST(VectorKindsTest, GoodVectorsPass) {
  for (const std::string_view line : kGood) {
    const Outcome outcome = Check(line);
    EXPECT_TRUE(outcome.result.passed()) << line << "\n" << Differences(outcome.result);
    EXPECT_NE(outcome.kind, kNoKind);
  }
}

struct Edit {
  std::size_t line;  // the index of the line in kGood
  std::string_view from;
  std::string_view to;
};

constexpr Edit kWrong[] = {
    {0, R"("flow")", R"("budget")"},
    {0, R"("index":7)", R"("index":8)"},
    {0, R"("tag":"{fp:7}")", R"("tag":"{fp:07}")"},
    {0, "false", "true"},
    {0, "5993", "5994"},
    {0, R"("ok")", R"("err")"},
    {1, "true", "false"},
    {1, "2729", "2730"},
    {2, R"("code":"unknown_family_prefix")", R"("code":"invalid_index")"},
    {2, R"("payload":"zz")", R"("payload":"z")"},
    {2, R"("payload":"zz")", R"("payload":null)"},
    {2, "(expected", "( expected"},
    {3, R"("payload":null)", R"("payload":"")"},
    {3, "malformed_body", "missing_braces"},
    {4, R"("partition":7)", R"("partition":8)"},
    {4, R"("uuid":"1)", R"("uuid":"2)"},
    {4, "false", "true"},
    {5, R"("code":"invalid_partition_index")", R"("code":"missing_tag")"},
    {5, R"("payload":"x")", R"("payload":"")"},
    {5, "u16: x", "u16: y"},
    {6, R"("execution_id":"{fp:7})", R"("execution_id":"{fp:8})"},
    {6, R"("partition_key":"{fp:7})", R"("partition_key":"{fp:8})"},
    {6, R"("grant_key":"\u0000")", R"("grant_key":"")"},
    {6, R"("expires_at_ms":18446744073709551615)", R"("expires_at_ms":18446744073709551614)"},
    {6, "true", "false"},
    {7, "false", "true"},
    {8, "syntax", "data"},
    {8, "syntax", "none"},
    {9, "data", "syntax"},
    {9, "5b5d", "5b"},
    {9, "5b5d", "5b5"},
    {9, "5b5d", "5b5x"},
    {10, R"("json":"{)", R"("json":" {)"},
    {10, R"("partition_key":"\u001f")", R"("partition_key":"\u001e")"},
    {11, R"("index":24)", R"("index":25)"},
    {11, R"("{fp:24}:1)", R"("{fp:24}:2)"},
    {11, R"("flow_id":"5)", R"("flow_id":"x)"},
    {12, "144", "145"},
    {12, "gpu", "cpu"},
    {13, "5061", "5062"},
};

TEST(VectorKindsTest, AWrongValueFails) {
  for (const Edit& edit : kWrong) {
    const std::string line = Replaced(kGood[edit.line], edit.from, edit.to);
    EXPECT_FALSE(Check(line).result.passed()) << line;
  }
}

// A renamed member counts as a missing member and as an unknown one.
TEST(VectorKindsTest, AMissingOrUnknownMemberFails) {
  for (const std::string_view line : kGood) {
    for (std::size_t colon = line.find("\":"); colon != std::string_view::npos;
         colon = line.find("\":", colon + 1)) {
      if (line[colon - 1] == '\\') continue;  // this colon is inside a text
      std::string renamed(line);
      renamed.insert(colon, "_");
      EXPECT_FALSE(Check(renamed).result.passed()) << renamed;
    }
    for (std::size_t brace = line.find(":{\""); brace != std::string_view::npos;
         brace = line.find(":{\"", brace + 1)) {
      std::string extended(line);
      extended.insert(brace + 2, R"("more":0,)");
      EXPECT_FALSE(Check(extended).result.passed()) << extended;
    }
    EXPECT_FALSE(Check(Replaced(line, R"({"kind")", R"({"more":0,"kind")")).result.passed());
    EXPECT_FALSE(
        Check(Replaced(line, R"({"kind")", R"({"err":{},"err":{},"kind")")).result.passed());
  }
}

TEST(VectorKindsTest, AValueOfAnotherTypeFails) {
  constexpr Edit kEdits[] = {
      {0, R"("index":7)", R"("index":"7")"},
      {0, R"("index":7)", R"("index":7.0)"},
      {0, R"("index":7)", R"("index":-7)"},
      {0, R"("index":7)", R"("index":65543)"},
      {0, "false", "0"},
      {0, R"("flow")", "null"},
      {3, R"("payload":null)", R"("payload":0)"},
      {8, R"({"class":"syntax"})", R"("syntax")"},
      {8, R"("[")", "[]"},
      {12, R"("gpu")", "{}"},
      {12, "256", "65792"},
      {12, "256", "0"},
  };
  for (const Edit& edit : kEdits) {
    const std::string line = Replaced(kGood[edit.line], edit.from, edit.to);
    EXPECT_FALSE(Check(line).result.passed()) << line;
  }
}

TEST(VectorKindsTest, WhatIsNotAVectorFails) {
  for (const std::string_view line :
       {"", "{", "[]", "1", "{}", R"({"kind":1})", R"({"kind":"partition"})",
        R"({"kind":"Partition_key","input":"","err":{}})", "{\"kind\":\"key_slot\"} {}"}) {
    const Outcome outcome = Check(line);
    EXPECT_FALSE(outcome.result.passed()) << line;
    EXPECT_EQ(outcome.kind, kNoKind) << line;
  }
}

std::string Keyspace(std::string_view role, std::string_view replacement) {
  std::string line = R"({"kind":"keyspace","execution_id":")" E
                     R"(","lane":"main","worker_instance_id":"w1-i1","attempt":0,"keys":{)";
  constexpr std::string_view kKeys[][2] = {
      {"core", "ff:exec:{fp:7}:" E ":core"},
      {"claim_grant", "ff:exec:{fp:7}:" E ":claim_grant"},
      {"payload", "ff:exec:{fp:7}:" E ":payload"},
      {"result", "ff:exec:{fp:7}:" E ":result"},
      {"policy", "ff:exec:{fp:7}:" E ":policy"},
      {"tags", "ff:exec:{fp:7}:" E ":tags"},
      {"lease_current", "ff:exec:{fp:7}:" E ":lease:current"},
      {"lease_history", "ff:exec:{fp:7}:" E ":lease:history"},
      {"attempts", "ff:exec:{fp:7}:" E ":attempts"},
      {"attempt", "ff:attempt:{fp:7}:" E ":0"},
      {"attempt_usage", "ff:attempt:{fp:7}:" E ":0:usage"},
      {"attempt_policy", "ff:attempt:{fp:7}:" E ":0:policy"},
      {"stream_meta", "ff:stream:{fp:7}:" E ":0:meta"},
      {"lane_eligible", "ff:idx:{fp:7}:lane:main:eligible"},
      {"lane_active", "ff:idx:{fp:7}:lane:main:active"},
      {"lane_delayed", "ff:idx:{fp:7}:lane:main:delayed"},
      {"lane_terminal", "ff:idx:{fp:7}:lane:main:terminal"},
      {"lease_expiry", "ff:idx:{fp:7}:lease_expiry"},
      {"attempt_timeout", "ff:idx:{fp:7}:attempt_timeout"},
      {"execution_deadline", "ff:idx:{fp:7}:execution_deadline"},
      {"all_executions", "ff:idx:{fp:7}:all_executions"},
      {"noop", "ff:noop:{fp:7}"},
      {"worker_leases", "ff:idx:{fp:7}:worker:w1-i1:leases"},
  };
  bool first = true;
  for (const auto& [name, key] : kKeys) {
    if (!first) line += ",";
    first = false;
    line +=
        "\"" + std::string(name) + "\":\"" + std::string(name == role ? replacement : key) + "\"";
  }
  return line + "}}";
}

TEST(VectorKindsTest, EveryKeyOfAKeyspaceIsCompared) {
  const Outcome good = Check(Keyspace("", ""));
  EXPECT_TRUE(good.result.passed()) << Differences(good.result);
  for (const std::string_view role :
       {"core",           "claim_grant",   "payload",         "result",
        "policy",         "tags",          "lease_current",   "lease_history",
        "attempts",       "attempt",       "attempt_usage",   "attempt_policy",
        "stream_meta",    "lane_eligible", "lane_active",     "lane_delayed",
        "lane_terminal",  "lease_expiry",  "attempt_timeout", "execution_deadline",
        "all_executions", "noop",          "worker_leases"}) {
    EXPECT_FALSE(Check(Keyspace(role, "ff:other")).result.passed()) << role;
  }
}

#undef E
#undef U

}  // namespace
}  // namespace ffgrant::conformance
