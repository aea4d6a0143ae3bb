// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/reclaim_request.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "testing/naive/json_documents.h"
#include "testing/naive/write_checks.h"

namespace ffgrant {
namespace {

using testing::Writes;
using enum JsonError;

constexpr char kMinimal[] =
    R"("worker_id":"w1","worker_instance_id":"w1-i1","lane_id":"main","grant_ttl_ms":30000)";

class ReclaimRequestTest : public ::testing::Test {
 protected:
  JsonResult Parse(std::string_view json) {
    document_ = json;
    request_ = {};
    request_.worker_id = "before";
    const JsonResult result = ParseReclaimRequest(document_, scratch_, request_);
    if (!result) {
      EXPECT_EQ(request_.worker_id, "before") << json;
    }
    return result;
  }
  JsonResult With(const std::string& members) {
    return Parse("{" + std::string(kMinimal) + "," + members + "}");
  }

  std::string document_;
  JsonScratch scratch_;
  ReclaimRequestView request_;
};

// The numbers at the ends of lines are those of the contract's vectors, section 13.

TEST_F(ReclaimRequestTest, AbsentAndNullAreOne) {
  EXPECT_TRUE(Parse("{" + std::string(kMinimal) + "}"));  // 59
  const ReclaimRequestView minimal{"w1", "w1-i1", "main", {}, 30'000, {}, {}, {}};
  EXPECT_EQ(request_, minimal);
  EXPECT_TRUE(With(R"("capability_hash":null,"route_snapshot_json":null,"admission_summary":null,)"
                   R"("worker_capabilities":[])"));  // 60
  EXPECT_EQ(request_, minimal);
  EXPECT_EQ(With(R"("worker_capabilities":null)").error, kWrongType);                         // 61
  EXPECT_EQ(With(R"("capability_hash":null,"capability_hash":"b")").error, kDuplicateField);  // 62
  EXPECT_EQ(With(R"("capability_hash":nul)").error, kUnexpectedByte);
  EXPECT_EQ(With(R"("capability_hash":5)"),
            (JsonResult{kWrongType, sizeof kMinimal + 19, "capability_hash"}));
}

TEST_F(ReclaimRequestTest, PositionalForm) {
  EXPECT_TRUE(Parse(R"(["w1","w1-i1","main",null,30000])"));  // 63
  EXPECT_EQ(request_.capability_hash, std::nullopt);
  EXPECT_TRUE(Parse(R"(["w1","w1-i1","main","h",1,null,"s",["a"]])"));
  EXPECT_EQ(request_.capability_hash, "h");
  EXPECT_EQ(request_.admission_summary, "s");
  EXPECT_EQ(request_.worker_capabilities.size(), 1u);
  EXPECT_EQ(Parse(R"(["w1","w1-i1","main",null])").error, kTooFewElements);
  EXPECT_EQ(Parse(R"(["w1","w1-i1","main",null,1,null,null,null])").error, kWrongType);
  EXPECT_EQ(Parse(R"(["w1","w1-i1","main",null,1,null,null,[],1])").error, kTooManyElements);
}

TEST_F(ReclaimRequestTest, WritesWhatIsSet) {
  const std::string_view tokens[] = {"gpu"};
  ReclaimRequestView request{"w1",   "w1-i1",      "main", "h",
                             30'000, R"({"a":1})", "",     StringList(tokens)};
  const std::string json =
      R"({"worker_id":"w1","worker_instance_id":"w1-i1","lane_id":"main","capability_hash":"h",)"
      R"("grant_ttl_ms":30000,"route_snapshot_json":"{\"a\":1}","admission_summary":"",)"
      R"("worker_capabilities":["gpu"]})";
  const auto write = [&](std::span<char> out) { return SerializeReclaimRequest(request, out); };
  EXPECT_TRUE(Writes(json, write));
  EXPECT_TRUE(Parse(json));
  EXPECT_EQ(request_, request);
  request.capability_hash = {};
  request.route_snapshot_json = {};
  request.admission_summary = {};
  request.worker_capabilities = {};
  EXPECT_TRUE(Writes(R"({"worker_id":"w1","worker_instance_id":"w1-i1","lane_id":"main",)"
                     R"("grant_ttl_ms":30000,"worker_capabilities":[]})",
                     write));
  request.admission_summary = "\x80";
  EXPECT_EQ(SerializeReclaimRequest(request, {}).error, WriteError::kInvalidUtf8);
}

TEST_F(ReclaimRequestTest, EveryTextMayHaveEscapes) {
  const std::string json =
      R"({"worker_capabilities":["gpu","b"],"admission_summary":"sum","lane_id":"main",)"
      R"("route_snapshot_json":"[1]","capability_hash":"h","worker_instance_id":"w1-i1",)"
      R"("worker_id":"w1","grant_ttl_ms":30000})";
  EXPECT_TRUE(Parse(testing::WithEscapes(json)));
  const std::string_view tokens[] = {"gpu", "b"};
  EXPECT_EQ(request_, (ReclaimRequestView{"w1", "w1-i1", "main", "h", 30'000, "[1]", "sum",
                                          StringList(tokens)}));
}

// A text that is no UTF-8 is refused wherever it stands, whether the other texts are ASCII or not.
TEST_F(ReclaimRequestTest, RefusesToWriteWhatIsNotUtf8) {
  for (const std::string_view other : {"plain", "a\"b", "\xC3\xA9"}) {
    for (int place = 0; place < 7; ++place) {
      std::string_view texts[7];
      for (int i = 0; i < 7; ++i) texts[i] = i == place ? "\x80" : other;
      const ReclaimRequestView request{texts[0], texts[1], texts[2], texts[3],
                                       30'000,   texts[4], texts[5], StringList({&texts[6], 1})};
      std::array<char, 512> out;
      EXPECT_EQ(SerializeReclaimRequest(request, out).error, WriteError::kInvalidUtf8)
          << place << other;
      EXPECT_EQ(SerializeReclaimRequest(request, {}).error, WriteError::kInvalidUtf8)
          << place << other;
    }
  }
}

}  // namespace
}  // namespace ffgrant
