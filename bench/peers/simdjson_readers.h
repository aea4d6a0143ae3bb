// SPDX-License-Identifier: Apache-2.0
//
// simdjson's two readers of a grant:
// https://github.com/simdjson/simdjson/blob/master/doc/performance.md
// There is one parser for all documents, and the input is followed by simdjson's padding, so
// nothing is copied.

#ifndef FFGRANT_BENCH_PEERS_SIMDJSON_READERS_H_
#define FFGRANT_BENCH_PEERS_SIMDJSON_READERS_H_

#include <simdjson.h>

#include <string_view>

#include "bench/grant_baselines.h"
#include "bench/inputs.h"

namespace ffgrant::bench::peers {

static_assert(simdjson::SIMDJSON_PADDING <= TextSet::kPadding);

struct SimdjsonOnDemandReader {
  static constexpr std::string_view kImpl = "SimdjsonOnDemand";
  bool Read(std::string_view json, plain::GrantMembers& out) {
    return reader.ReadMembers(json, out);
  }
  plain::SimdjsonGrantReader reader;
};

struct SimdjsonDomReader {
  static constexpr std::string_view kImpl = "SimdjsonDom";
  bool Read(std::string_view json, plain::GrantMembers& out) {
    simdjson::dom::object object;
    // The last argument says not to copy, since the padding is there.
    if (parser.parse(json.data(), json.size(), false).get_object().get(object) !=
        simdjson::SUCCESS) {
      return false;
    }
    return object["execution_id"].get_string().get(out.execution_id) == simdjson::SUCCESS &&
           object["partition_key"].get_string().get(out.partition_key) == simdjson::SUCCESS &&
           object["grant_key"].get_string().get(out.grant_key) == simdjson::SUCCESS &&
           object["expires_at_ms"].get_uint64().get(out.expires_at_ms) == simdjson::SUCCESS;
  }
  simdjson::dom::parser parser;
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_SIMDJSON_READERS_H_
