// SPDX-License-Identifier: Apache-2.0
//
// Checks the oracle itself against the reference's conformance vectors and, where these have no
// case, against the rows of the contract (section 13).

#include "oracles/naive_dtos.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <fstream>
#include <string>
#include <string_view>

#include "oracles/naive_json_writer.h"

namespace ffgrant::fuzz {
namespace {

using simdjson::dom::element;

// Calls `check` with every vector of a kind.
template <class Check>
void ForEachVector(const std::string& kind, Check check) {
  std::ifstream file(std::string(FFGRANT_VECTORS_DIR "/") + kind + ".jsonl");
  ASSERT_TRUE(file) << kind;
  simdjson::dom::parser parser;
  std::size_t count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    element vector;
    ASSERT_EQ(parser.parse(line).get(vector), simdjson::SUCCESS) << line;
    check(vector);
    ASSERT_FALSE(::testing::Test::HasFailure()) << line;
  }
  EXPECT_GE(count, 200u);
}

std::string_view Text(element object, std::string_view name) {
  return object[name].get_string().value();
}

ClaimResponseView Grant(element members) {
  return {Text(members, "execution_id"), Text(members, "partition_key"), Text(members, "grant_key"),
          members["expires_at_ms"].get_uint64().value()};
}

std::string Document(element vector) {
  std::string_view text;
  if (vector["doc"].get(text) == simdjson::SUCCESS) return std::string(text);
  std::string bytes;
  const std::string_view hex = Text(vector, "doc_hex");
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string_view Verdict(const NaiveDocument& document) {
  return ErrorClassName(ErrorClass(document.result.error));
}

TEST(NaiveDtosTest, ClaimResponseVectors) {
  ForEachVector("claim_response", [](element vector) {
    const NaiveDocument document = NaiveDecode(NaiveDto::kClaimResponse, Document(vector));
    element ok;
    if (vector["ok"].get(ok) == simdjson::SUCCESS) {
      EXPECT_EQ(Verdict(document), "none");
      EXPECT_TRUE(document.result && Holds(document, Grant(ok)));
    } else {
      EXPECT_EQ(Verdict(document), Text(vector["err"], "class"));
    }
  });
}

TEST(NaiveDtosTest, ClaimSerializeVectors) {
  ForEachVector("claim_serialize", [](element vector) {
    const ClaimResponseView grant = Grant(vector["grant"]);
    const std::string_view json = Text(vector, "json");
    EXPECT_EQ(NaiveJson(grant), json);
    const NaiveDocument document = NaiveDecode(NaiveDto::kClaimResponse, json);
    EXPECT_TRUE(document.result && Holds(document, grant));
  });
}

#define GRANT R"("execution_id":"e","partition_key":"p","grant_key":"k","expires_at_ms":5)"
#define ONES "11111111-1111-4111-8111-111111111111"

struct Row {
  NaiveDto dto;
  std::string_view json;
  std::string_view verdict;
};

constexpr Row kRows[] = {
    {NaiveDto::kClaimRequest, R"({"lane_id":"m","worker_instance_id":"w","grant_ttl_ms":5})",
     "none"},
    {NaiveDto::kClaimRequest, R"(["main","w1-i1",["gpu"],5000])", "none"},
    {NaiveDto::kClaimRequest, R"(["main","w1-i1",5000])", "data"},
    {NaiveDto::kClaimRequest, R"(["main","w1-i1",["gpu",],5000])", "syntax"},
    {NaiveDto::kReclaimRequest, R"(["w1","w1-i1","main",null,30000])", "none"},
    {NaiveDto::kReclaimRequest, R"({"capability_hash":null,"capability_hash":"b"})", "data"},
    {NaiveDto::kReclaimRequest, R"({"worker_capabilities":null})", "data"},
    {NaiveDto::kReclaimResponse, R"({)" GRANT R"(,"lane_id":"","status":"granted"})", "none"},
    {NaiveDto::kReclaimResponse, R"({)" GRANT R"(,"lane_id":""})", "data"},
    {NaiveDto::kReclaimResponse, R"({"status":"granted",)" GRANT R"(,"lane_id":"","d":1e999})",
     "syntax"},
    {NaiveDto::kReclaimResponse, R"({"status":"granted","execution_id":5,bad)", "syntax"},
    {NaiveDto::kReclaimResponse, R"({"status":"zz", bad)", "data"},
    {NaiveDto::kReclaimResponse, R"(["reclaim_cap_exceeded","e",4294967295])", "none"},
    {NaiveDto::kReclaimResponse, R"(["reclaim_cap_exceeded","e",4294967296])", "data"},
    {NaiveDto::kReclaimResponse, R"(["granted",1,2,3,4,5,6]x)", "data"},
    {NaiveDto::kErrorBody, R"({"error":"x","kind":null,"retryable":null})", "none"},
    {NaiveDto::kErrorBody, R"(["x","k",true])", "none"},
    {NaiveDto::kErrorBody, R"({"error":null})", "data"},
    {NaiveDto::kRevokeLeaseResult, R"({"AlreadySatisfied":["r"]})", "none"},
    {NaiveDto::kRevokeLeaseResult, R"({"Revoked":{"lease_id":"l","lease_epoch":"2"},"x":1})",
     "syntax"},
    {NaiveDto::kRevokeLeaseResult, "null", "syntax"},
    {NaiveDto::kRevokeLeaseResult, R"("Revoked"x)", "data"},
    {NaiveDto::kRenewLeaseResult, R"({"Renewed":{"expires_at":-9223372036854775808}})", "none"},
    {NaiveDto::kRenewLeaseResult, R"({"Renewed":{"expires_at":9223372036854775808}})", "data"},
    {NaiveDto::kRenewLeaseResult, R"({"Renewed":{"expires_at":-01}})", "syntax"},
    {NaiveDto::kClaimedResult,
     R"({"Claimed":["{fp:7}:)" ONES R"(",")" ONES R"(",1,0,")" ONES R"(",{"retry":null},-5]})",
     "none"},
    {NaiveDto::kClaimedResult,
     R"({"Claimed":["{fp:7}:)" ONES R"(",")" ONES R"(",1,0,")" ONES R"(",null)", "syntax"},
    {NaiveDto::kClaimedResult, R"({"Claimed":["{fp:x}:)" ONES R"(")", "data"},
    {NaiveDto::kLeaseFence, R"({"lease_id":"zz"bad)", "data"},
    {NaiveDto::kPartitionConfig, "[1,2,65535]", "none"},
    {NaiveDto::kPartitionConfig, "[1,2,65536]", "data"},
    {NaiveDto::kPartitionConfig, "[1,2,3,", "syntax"},
};

TEST(NaiveDtosTest, RowsOfTheContract) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Verdict(NaiveDecode(row.dto, row.json)), row.verdict) << row.json;
  }
}

// The tagged response's own pass accepts 126 levels and rejects 127.
TEST(NaiveDtosTest, DepthOfTheTaggedResponse) {
  for (const std::size_t depth : {126u, 127u}) {
    const std::string json = R"({"status":"granted",)" GRANT R"(,"lane_id":"l","d":)" +
                             std::string(depth, '[') + std::string(depth, ']') + "}";
    EXPECT_EQ(Verdict(NaiveDecode(NaiveDto::kReclaimResponse, json)),
              depth == 126 ? "none" : "syntax");
  }
}

}  // namespace
}  // namespace ffgrant::fuzz
