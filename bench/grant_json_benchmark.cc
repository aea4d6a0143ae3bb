// SPDX-License-Identifier: Apache-2.0
//
// Times reading grants from JSON and writing grants as JSON. One of the figures to reach
// (scripts/jobs/common/bars.py) compares ParseGrant_Core with ParseGrant_SimdjsonOnDemand, which
// reads the four members but does not parse their texts. ParseGrant_SimdjsonOnDemandTyped also
// parses the id and the partition key, as Core does. simdjson_grant_reader.h says what both
// simdjson readers leave out.

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "bench/bench_main.h"
#include "bench/grant_baselines.h"
#include "bench/grant_inputs.h"
#include "bench/inputs.h"
#include "bench/latencies.h"
#include "bench/simdjson_grant_reader.h"
#include "ffgrant/grant.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/json_scratch.h"

namespace ffgrant::bench {
namespace {

constexpr std::array kCases = {
    GrantCase::kCanonical,     GrantCase::kReordered,    GrantCase::kWhitespace,
    GrantCase::kEscaped,       GrantCase::kEarlyReject,  GrantCase::kLateReject,
    GrantCase::kUnknownMember, GrantCase::kPostgresKey,  GrantCase::kSqliteKey,
    GrantCase::kTime10Digits,  GrantCase::kTimeAnyDigits};

// The cases whose documents ParseClaimResponse reads in one step instead of member by member.
constexpr std::array kReadAtOnce = {GrantCase::kCanonical, GrantCase::kPostgresKey,
                                    GrantCase::kSqliteKey, GrantCase::kTime10Digits,
                                    GrantCase::kTimeAnyDigits};

// The buffer is larger than any document of the sets.
constexpr std::size_t kBufferSize = 512;

bool SameMembers(const plain::GrantMembers& a, const ClaimResponseView& b) {
  return a.execution_id == b.execution_id && a.partition_key == b.partition_key &&
         a.grant_key == b.grant_key && a.expires_at_ms == b.expires_at_ms;
}

void CheckParse() {
  JsonScratch scratch;
  plain::SimdjsonGrantReader reader;
  for (const GrantCase which : kCases) {
    const TextSet& documents = GrantDocuments(which);
    const bool valid = which != GrantCase::kEarlyReject && which != GrantCase::kLateReject;
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const std::string_view json = documents[i];
      ClaimResponseView response;
      ClaimGrantView grant;
      plain::TypedGrant expected;
      SelfCheck(reader.ReadTyped(json, expected) == valid, "grant: simdjson's verdict", json);
      SelfCheck(static_cast<bool>(ParseClaimResponse(json, scratch, response)) == valid,
                "grant: core's verdict", json);
      SelfCheck(!valid || SameMembers(expected.members, response), "grant: members differ", json);
      SelfCheck(static_cast<bool>(ParseClaimGrant(json, scratch, grant)) == valid,
                "grant: core's verdict on the typed grant", json);
      if (!valid) continue;
      const PartitionKeyResult partition = grant.partition();
      SelfCheck(SameMembers(expected.members, {grant.execution_id.text(), grant.partition_key,
                                               grant.grant_key, grant.expires_at_ms}) &&
                    grant.execution_id.uuid() == expected.execution_id.uuid &&
                    grant.execution_id.partition().index == expected.execution_id.index &&
                    partition && partition.partition == expected.partition,
                "grant: typed values differ", json);
    }
  }
}

void CheckSerialize() {
  std::array<char, kBufferSize> out;
  std::string expected;
  for (const bool wants_escapes : {false, true}) {
    const GrantSet& set = Grants(wants_escapes);
    for (std::size_t i = 0; i < kInputCount; ++i) {
      expected.clear();
      plain::AppendGrantJson(set.members[i], expected);
      const WriteResult written = SerializeClaimGrant(set.grants[i], out);
      SelfCheck(written && expected == std::string_view(out.data(), written.size),
                "grant: JSON differs", expected);
      SelfCheck(wants_escapes || expected == GrantDocuments(GrantCase::kCanonical)[i],
                "grant: JSON is not the document it came from", expected);
    }
  }
}

void Check() {
  CheckParse();
  CheckSerialize();
}

// Returns a scratch that has already allocated its memory. Without memory the sequential path would
// read canonical documents in another way.
std::shared_ptr<JsonScratch> UsedScratch() {
  auto scratch = std::make_shared<JsonScratch>();
  ClaimResponseView unused;
  SelfCheck(!ParseClaimResponse("[0]", *scratch, unused), "grant: a list of a number is taken", "");
  return scratch;
}

void RegisterParse() {
  const auto scratch = UsedScratch();
  const auto reader = std::make_shared<plain::SimdjsonGrantReader>();
  const auto buffer = std::make_shared<std::array<char, kBufferSize>>();
  for (const GrantCase which : kCases) {
    const auto set = [which]() -> const TextSet& { return GrantDocuments(which); };
    const std::string name(CaseName(which));
    RegisterOverTexts("ParseGrant_Core/" + name, set, [scratch](std::string_view json) {
      ClaimGrantView grant;
      if (!ParseClaimGrant(json, *scratch, grant)) return false;
      PartitionKeyResult partition = grant.partition();
      benchmark::DoNotOptimize(grant);
      benchmark::DoNotOptimize(partition);
      return static_cast<bool>(partition);
    });
    RegisterOverTexts("ParseGrantMembers_Core/" + name, set, [scratch](std::string_view json) {
      ClaimResponseView response;
      const JsonResult result = ParseClaimResponse(json, *scratch, response);
      benchmark::DoNotOptimize(response);
      return result;
    });
    if (std::find(kReadAtOnce.begin(), kReadAtOnce.end(), which) != kReadAtOnce.end()) {
      RegisterOverTexts("ParseGrantMembers_Sequential/" + name, set,
                        [scratch](std::string_view json) {
                          ClaimResponseView response;
                          const JsonResult result =
                              internal::ParseClaimResponseSequential(json, *scratch, response);
                          benchmark::DoNotOptimize(response);
                          return result;
                        });
    }
    RegisterOverTexts("ParseGrant_SimdjsonOnDemand/" + name, set, [reader](std::string_view json) {
      plain::GrantMembers members;
      const bool ok = reader->ReadMembers(json, members);
      benchmark::DoNotOptimize(members);
      return ok;
    });
    RegisterOverTexts("ParseGrant_SimdjsonOnDemandTyped/" + name, set,
                      [reader](std::string_view json) {
                        plain::TypedGrant grant;
                        const bool ok = reader->ReadTyped(json, grant);
                        benchmark::DoNotOptimize(grant);
                        return ok;
                      });
    RegisterOverTexts("ParseGrant_Memcpy/" + name, set, [buffer](std::string_view json) {
      std::memcpy(buffer->data(), json.data(), json.size());
      benchmark::DoNotOptimize(*buffer);
      return json.size();
    });
  }
}

// Times one call at a time. A worker waits for a single call, and the averages of the other
// benchmarks hide how long a single call can take.
void RegisterLatency() {
  const auto scratch = UsedScratch();
  const auto reader = std::make_shared<plain::SimdjsonGrantReader>();
  const auto add = [](const std::string& impl, GrantCase which, auto operation) {
    benchmark::RegisterBenchmark(
        ("BM_ParseGrantLatency_" + impl + "/" + std::string(CaseName(which))).c_str(),
        [=](benchmark::State& state) {
          RunLatencyOverTexts(state, GrantDocuments(which), operation);
        })
        ->UseManualTime();
  };
  for (const GrantCase which : kCases) {
    add("Core", which, [scratch](std::string_view json) {
      ClaimGrantView grant;
      if (!ParseClaimGrant(json, *scratch, grant)) return false;
      const PartitionKeyResult partition = grant.partition();
      benchmark::DoNotOptimize(grant);
      return static_cast<bool>(partition);
    });
    add("SimdjsonOnDemandTyped", which, [reader](std::string_view json) {
      plain::TypedGrant grant;
      const bool ok = reader->ReadTyped(json, grant);
      benchmark::DoNotOptimize(grant);
      return ok;
    });
  }
}

// Times `operation(set, i)`.
template <class Operation>
void RegisterSerializer(const std::string& impl, bool wants_escapes, Operation operation) {
  const std::string name =
      "BM_SerializeGrant_" + impl + (wants_escapes ? "/escaped" : "/canonical");
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    const GrantSet& set = Grants(wants_escapes);
    std::size_t i = 0;
    LoopCounters counters(state);
    for (auto _ : state) {
      benchmark::DoNotOptimize(operation(set, i));
      i = (i + 1) % kInputCount;
    }
    counters.Report(set.average_json_size);
  });
}

void RegisterSerialize() {
  const auto buffer = std::make_shared<std::array<char, kBufferSize>>();
  const auto text = std::make_shared<std::string>();
  for (const bool wants_escapes : {false, true}) {
    RegisterSerializer("Core", wants_escapes, [buffer](const GrantSet& set, std::size_t i) {
      const WriteResult written = SerializeClaimGrant(set.grants[i], *buffer);
      benchmark::DoNotOptimize(*buffer);
      return written.size;
    });
    RegisterSerializer("StdString", wants_escapes, [](const GrantSet& set, std::size_t i) {
      std::string json;
      plain::AppendGrantJson(set.members[i], json);
      benchmark::DoNotOptimize(json.data());
      return json.size();
    });
    RegisterSerializer("StdStringReused", wants_escapes,
                       [text](const GrantSet& set, std::size_t i) {
                         text->clear();
                         plain::AppendGrantJson(set.members[i], *text);
                         benchmark::DoNotOptimize(text->data());
                         return text->size();
                       });
  }
  RegisterSerializer("Memcpy", false, [buffer](const GrantSet&, std::size_t i) {
    const std::string_view json = GrantDocuments(GrantCase::kCanonical)[i];
    std::memcpy(buffer->data(), json.data(), json.size());
    benchmark::DoNotOptimize(*buffer);
    return json.size();
  });
}

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  ffgrant::bench::RegisterParse();
  ffgrant::bench::RegisterLatency();
  ffgrant::bench::RegisterSerialize();
  return ffgrant::bench::RunBenchmarks(argc, argv, ffgrant::bench::Check);
}
