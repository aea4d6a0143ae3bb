// SPDX-License-Identifier: Apache-2.0
//
// Proves by counting that core allocates nothing when it parses, writes, hashes, routes and mints,
// except for the memory of a JsonScratch, which is allocated once.

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/crc16.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/grant.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/ingress.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/json_error.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/partition_config.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/key_names.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid.h"
#include "ffgrant/uuid_generator.h"
#include "testing/naive/allocation_counter.h"

namespace ffgrant {
namespace {

using testing::CountAllocations;

#define U "11111111-1111-4111-8111-111111111111"

// Keeps the compiler from removing the code that made `value`.
template <class T>
void Use(T&& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

TEST(AllocationTest, TheCounterCounts) {
  EXPECT_EQ(CountAllocations([] {}), 0u);
  EXPECT_EQ(CountAllocations([] {
              const std::string text(100, 'x');
              Use(text);
            }),
            1u);
  EXPECT_EQ(CountAllocations([] {
              const std::unique_ptr<char[]> block(new char[1]);
              Use(*block.get());
            }),
            1u);
  struct alignas(64) Wide {
    char bytes[64];
  };
  EXPECT_EQ(CountAllocations([] {
              const auto wide = std::make_unique<Wide>();
              Use(*wide);
            }),
            1u);
  EXPECT_EQ(CountAllocations([] {
              const std::unique_ptr<int> block(new (std::nothrow) int(1));
              Use(*block);
            }),
            1u);
}

#if FFGRANT_REPLACES_MALLOC
TEST(AllocationTest, TheCounterCountsMalloc) {
  const auto counts = [](void* (*allocate)()) {
    void* block = nullptr;
    const std::size_t count = CountAllocations([&] { block = allocate(); });
    Use(*static_cast<char*>(block));
    std::free(block);
    return count;
  };
  EXPECT_EQ(counts([] { return std::malloc(10); }), 1u);
  EXPECT_EQ(counts([] { return std::calloc(2, 5); }), 1u);
  EXPECT_EQ(counts([] { return std::realloc(nullptr, 10); }), 1u);
  EXPECT_EQ(counts([] { return std::aligned_alloc(64, 64); }), 1u);
  EXPECT_EQ(counts([] {
              void* block = nullptr;
              return posix_memalign(&block, 64, 64) == 0 ? block : nullptr;
            }),
            1u);
}
#endif

constexpr std::string_view kKeys[] = {"{fp:7}", "{b:31}", "{q:65535}", "{fp:+007}", "{fp:}",
                                      "{zz:0}", "{fp:x}", "fp:7",      "{fp}",      ""};
constexpr std::string_view kIds[] = {"{fp:7}:" U,      "{fp:65535}:" U,     "{fp:+007}:" U,
                                     "{fp:7}:{" U "}", "{fp:x}:" U,         "{fp:7}:x",
                                     "{b:7}:" U,       "{fp:7}:urn:uuid:" U};

TEST(AllocationTest, ParsingAndErrorTextsDoNotAllocate) {
  char buffer[256];
  EXPECT_EQ(CountAllocations([&] {
              for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
                for (const std::string_view text : kKeys) {
                  const PartitionKeyResult result = ParsePartitionKey(text, mode);
                  Use(FormatPartitionKeyError(result, buffer));
                  Use(FormatPartitionTag(result.partition, buffer));
                  Use(PartitionTag(result.partition).view());
                }
                for (const std::string_view text : kIds) {
                  const ExecutionIdResult result = ParseExecutionId(text, mode);
                  Use(FormatExecutionIdError(result, buffer));
                }
                Use(ParseUuid(U, mode));
                Use(ParseUuid("{" U "}", mode));
                Use(ParseUuid("x", mode));
              }
              for (const std::string_view text : {"main", "", "\n"}) {
                Use(FormatLaneIdError(ParseLaneId(text), buffer));
              }
            }),
            0u);
}

TEST(AllocationTest, HashingRoutingAndMintingDoNotAllocate) {
  Use(RandomUuid());  // the first call seeds the thread's stream
  EXPECT_EQ(CountAllocations([] {
              const PartitionConfig config;
              Use(Crc16Xmodem(U));
              Use(HashSlot("{fp:7}:" U));
              Use(HashSlot(Partition{}));
              Use(FlowPartition(FlowId{}, config));
              Use(BudgetPartition(BudgetId{}, config));
              Use(QuotaPartition(QuotaPolicyId{}, config));
              Use(LanePartition(LaneIdView::Unchecked("main"), config));
              Use(MintExecutionId(FlowId{}, config));
              Use(MintExecutionId(FlowId{}, config, Uuid{}));
              Use(MintExecutionId(LaneIdView::Unchecked("main"), config));
              Use(ScanStart({"w1-i1"}, 256));
              UuidGenerator generator(1);
              Use(generator.Next());
              UuidGenerator seeded = UuidGenerator::FromEntropy();
              Use(seeded.Next());
            }),
            0u);
}

TEST(AllocationTest, KeyNamesDoNotAllocate) {
  char buffer[512];
  EXPECT_EQ(CountAllocations([&] {
              const MintedExecutionId minted(7, Uuid{});
              const ExecutionIdView id = minted.view();
              const Partition partition = id.partition();
              const LaneIdView lane = LaneIdView::Unchecked("main");
              for (const std::span<char> out : {std::span<char>(buffer), std::span<char>()}) {
                Use(FormatKey(ExecutionKey::kClaimGrant, id, out));
                Use(FormatKey(AttemptKey::kPolicy, id, AttemptIndex{4294967295}, out));
                Use(FormatKey(LaneKey::kEligible, partition, lane, out));
                Use(FormatKey(PartitionIndexKey::kNoop, partition, out));
                Use(FormatWorkerLeasesKey(partition, {"w1-i1"}, out));
                Use(FormatIdempotencyKey(partition, {"default"}, "k1", out));
                Use(FormatLaneConfigKey(lane, out));
                Use(FormatKey(WorkerKey::kCaps, {"default"}, {"w1-i1"}, out));
                Use(FormatWorkerIndexKey({"default"}, out));
              }
            }),
            0u);
}

TEST(AllocationTest, IngressDoesNotAllocate) {
  EXPECT_EQ(
      CountAllocations([] {
        for (const std::string_view text : kIds) {
          const ExecutionIdResult id = ParseExecutionId(text, ParseMode::kLenient);
          const ClaimGrantView grant{id.id, "{fp:7}", "ff:exec:{fp:7}:{fp:7}:" U ":claim_grant", 1};
          Use(CheckIngress(grant, PartitionConfig{}));
          Use(grant.partition());
        }
      }),
      0u);
}

TEST(AllocationTest, JsonDoesNotAllocateOnceTheScratchIsMade) {
  constexpr std::string_view kCanonical =
      R"({"execution_id":"{fp:7}:)" U R"(","partition_key":"{fp:7}",)"
      R"("grant_key":"ff:exec:{fp:7}:{fp:7}:)" U R"(:claim_grant","expires_at_ms":1700000000000})";
  const std::string deep = R"({"x":)" + std::string(10'000, '[');
  const std::string_view documents[] = {
      kCanonical,
      R"( {"grant_key" : "\ud83d\ude00\n", "partition_key":"{zz:0}" ,"extra":{"a":[1,null]},)"
      R"("expires_at_ms":1, "execution_id":"" } )",
      R"(["{fp:7}:)" U R"(","\u007bfp:7}","k",18446744073709551615])",
      R"({"execution_id":"\ud83d"})",
      R"({"execution_id":1,,,)",
      "\xFF",
      "",
      deep,
  };
  char buffer[1024];
  JsonScratch scratch;
  scratch.Reserve();
  EXPECT_EQ(CountAllocations([&] {
              for (const std::string_view document : documents) {
                ClaimResponseView response;
                const JsonResult parsed = ParseClaimResponse(document, scratch, response);
                Use(parsed);
                Use(SerializeClaimResponse(response, buffer));
                ClaimGrantView grant;
                if (ParseClaimGrant(document, scratch, grant)) {
                  Use(SerializeClaimGrant(grant, buffer));
                  Use(SerializeClaimGrant(grant, {}));
                }
              }
            }),
            0u);
}

TEST(AllocationTest, ALargeClaimResponseDoesNotAllocate) {
  // The document begins with a blank, so it does not take the canonical path.
  const std::string document =
      R"( {"extra":[)" + std::string(5000, ' ') +
      R"(1,{"a":"\n"},2.5,null],"grant_key":"k\t",)"
      R"("expires_at_ms":1,"partition_key":"{fp:7}","execution_id":"{fp:7}:)" U R"("})";
  JsonScratch scratch;
  scratch.Reserve();
  ClaimResponseView response;
  ClaimGrantView grant;
  bool parsed = false;
  bool converted = false;
  EXPECT_EQ(CountAllocations([&] {
              parsed = static_cast<bool>(ParseClaimResponse(document, scratch, response));
              converted = static_cast<bool>(ParseClaimGrant(document, scratch, grant));
            }),
            0u);
  EXPECT_TRUE(parsed);
  EXPECT_TRUE(converted);
  EXPECT_EQ(response.grant_key, "k\t");
}

TEST(AllocationTest, ALargeDocumentThatIsNoClaimResponseDoesNotAllocate) {
  JsonScratch scratch;
  scratch.Reserve();
  ClaimResponseView response;
  for (const std::string_view value : {"7", "-1.5e3", "null", "\"text\""}) {
    const std::string document = std::string(value) + std::string(5000, ' ');
    JsonResult result;
    EXPECT_EQ(CountAllocations([&] { result = ParseClaimResponse(document, scratch, response); }),
              0u)
        << value;
    EXPECT_EQ(result.error, JsonError::kWrongType) << value;
  }
}

// Counts the allocations of one DTO's parser and writer. The parser gets `document`, each of its
// prefixes and a document of the wrong type; the writer gets a buffer that suffices and one that
// does not.
template <class Value, class Parse, class Serialize>
std::size_t JsonAllocations(std::string_view document, const Parse& parse,
                            const Serialize& serialize) {
  JsonScratch scratch;
  scratch.Reserve();
  Value value{};
  char buffer[1024];
  bool parsed = false;
  bool written = false;
  const std::size_t count = CountAllocations([&] {
    Use(parse("7", scratch, value));
    for (std::size_t size = 0; size < document.size(); ++size) {
      Use(parse(document.substr(0, size), scratch, value));
    }
    parsed = static_cast<bool>(parse(document, scratch, value));
    written = static_cast<bool>(serialize(value, std::span<char>(buffer)));
    Use(serialize(value, std::span<char>()));
  });
  EXPECT_TRUE(parsed) << document;
  EXPECT_TRUE(written) << document;
  return count;
}

TEST(AllocationTest, TheOtherDtosDoNotAllocate) {
  EXPECT_EQ(JsonAllocations<ClaimRequestView>(
                R"({"lane_id":"m\u0061in","worker_instance_id":"\ud83d\ude00","x":[[{}]],)"
                R"("capabilities":["gpu","","\n"],"grant_ttl_ms":5000})",
                ParseClaimRequest, SerializeClaimRequest),
            0u);
  EXPECT_EQ(JsonAllocations<ReclaimRequestView>(
                R"({"worker_id":"w","worker_instance_id":"i","lane_id":"\t","grant_ttl_ms":1,)"
                R"("capability_hash":null,"route_snapshot_json":"{\"a\":1}",)"
                R"("admission_summary":"s","worker_capabilities":["a","b"]})",
                ParseReclaimRequest, SerializeReclaimRequest),
            0u);
  for (const std::string_view document :
       {R"({"lane_id":"main","expires_at_ms":1,"execution_id":"e\n","partition_key":"{fp:7}",)"
        R"("grant_key":"k","status":"granted"})",
        R"({"status":"not_reclaimable","execution_id":"e","detail":"\u00e9","x":{"y":[]}})",
        R"(["reclaim_cap_exceeded","e",4294967295])"}) {
    EXPECT_EQ(JsonAllocations<ReclaimResponseView>(document, ParseReclaimResponse,
                                                   SerializeReclaimResponse),
              0u);
  }
  EXPECT_EQ(JsonAllocations<ErrorBodyView>(R"({"error":"\n","kind":"k","retryable":false})",
                                           ParseErrorBody, SerializeErrorBody),
            0u);
  EXPECT_EQ(JsonAllocations<PartitionConfig>("[256,32,32]", ParsePartitionConfig,
                                             SerializePartitionConfig),
            0u);
}

TEST(AllocationTest, ConvertingAReclaimGrantDoesNotAllocate) {
  const ReclaimGrantedView granted[] = {{{"{fp:7}:" U, "{fp:7}", "k", 1}, "main"},
                                        {{"{fp:x}:" U, "{fp:7}", "k", 1}, "main"},
                                        {{"{fp:7}:" U, "{fp:7}", "k", 1}, ""}};
  EXPECT_EQ(CountAllocations([&] {
              ReclaimGrantView grant;
              for (const ReclaimGrantedView& view : granted) Use(ToReclaimGrant(view, grant));
            }),
            0u);
}

TEST(AllocationTest, LeaseResultsDoNotAllocate) {
  for (const std::string_view document : {R"({"Revoked":{"lease_id":"\u0031","lease_epoch":"2"}})",
                                          R"({"AlreadySatisfied":{"reason":"already_revoked"}})"}) {
    EXPECT_EQ(JsonAllocations<RevokeLeaseResultView>(document, ParseRevokeLeaseResult,
                                                     SerializeRevokeLeaseResult),
              0u);
  }
  EXPECT_EQ(JsonAllocations<RenewLeaseResult>(R"({"Renewed":{"expires_at":-1}})",
                                              ParseRenewLeaseResult, SerializeRenewLeaseResult),
            0u);
  EXPECT_EQ(JsonAllocations<ClaimedView>(
                R"({"Claimed":{"execution_id":"{fp:7}:)" U R"(","lease_id":")" U
                R"(","lease_epoch":1,"attempt_index":0,"attempt_id":"{)" U
                R"(}","attempt_type":"initial","lease_expires_at":1,)"
                R"("handle":{"backend":"Valkey","kind":"Fresh","opaque":[2,1,255]}}})",
                ParseClaimedResult, SerializeClaimedResult),
            0u);
  EXPECT_EQ(JsonAllocations<LeaseFence>(R"({"lease_id":")" U R"(","lease_epoch":1,"attempt_id":")" U
                                        R"("})",
                                        ParseLeaseFence, SerializeLeaseFence),
            0u);
}

#undef U

}  // namespace
}  // namespace ffgrant
