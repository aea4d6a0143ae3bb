// SPDX-License-Identifier: Apache-2.0
//
// Adds simdjson as a peer: https://github.com/simdjson/simdjson/blob/master/doc/performance.md
// There is one parser for all documents, and the input is followed by simdjson's padding, so
// nothing is copied. simdjson takes no part in the figures that write JSON.
//
// This file is compiled twice: with the system's simdjson, and with the newest one. One program
// holds both, so CMakeLists.txt gives other names to what the two would share: to simdjson's
// namespace and to SimdjsonGrantReader. The function that adds the peers has a name for each, and
// all else here is in the unnamed namespace.
//
// The on-demand reader of grants has a source of its own: where one source uses on-demand objects
// in many places, the compiler inlines less, and the reader was 5 % slower.

#include <simdjson.h>

#include <string_view>

#include "bench/grant_baselines.h"
#include "bench/inputs.h"
#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/simdjson_grant_reader.h"

namespace ffgrant::bench::peers {
namespace {

static_assert(simdjson::SIMDJSON_PADDING <= TextSet::kPadding);

#if FFGRANT_FOR_NEWEST_SIMDJSON
constexpr std::string_view kOnDemand = "SimdjsonNewest";
constexpr std::string_view kDom = "SimdjsonNewestDom";
#else
constexpr std::string_view kOnDemand = "SimdjsonOnDemand";
constexpr std::string_view kDom = "SimdjsonDom";
#endif

// Each of the two parsers opens a document, which holds the object.
class OnDemand {
 public:
  using Document = simdjson::ondemand::document;
  using Object = simdjson::ondemand::object;
  using Array = simdjson::ondemand::array;
  bool Open(std::string_view json, Document& document, Object& object) {
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + simdjson::SIMDJSON_PADDING);
    return parser_.iterate(padded).get(document) == simdjson::SUCCESS &&
           document.get_object().get(object) == simdjson::SUCCESS;
  }

 private:
  simdjson::ondemand::parser parser_;
};

class Dom {
 public:
  using Document = simdjson::dom::element;
  using Object = simdjson::dom::object;
  using Array = simdjson::dom::array;
  bool Open(std::string_view json, Document& document, Object& object) {
    // The last argument says not to copy, since the padding is there.
    return parser_.parse(json.data(), json.size(), false).get(document) == simdjson::SUCCESS &&
           document.get_object().get(object) == simdjson::SUCCESS;
  }

 private:
  simdjson::dom::parser parser_;
};

struct OnDemandGrants {
  static constexpr std::string_view kImpl = kOnDemand;
  bool Read(std::string_view json, plain::GrantMembers& out) {
    return reader.ReadMembers(json, out);
  }
  plain::SimdjsonGrantReader reader;
};

class DomGrants {
 public:
  static constexpr std::string_view kImpl = kDom;
  bool Read(std::string_view json, plain::GrantMembers& out) {
    simdjson::dom::element document;
    simdjson::dom::object object;
    return dom_.Open(json, document, object) &&
           object["execution_id"].get_string().get(out.execution_id) == simdjson::SUCCESS &&
           object["partition_key"].get_string().get(out.partition_key) == simdjson::SUCCESS &&
           object["grant_key"].get_string().get(out.grant_key) == simdjson::SUCCESS &&
           object["expires_at_ms"].get_uint64().get(out.expires_at_ms) == simdjson::SUCCESS;
  }

 private:
  Dom dom_;
};

template <class Parser, const std::string_view& kName>
class RequestReader {
 public:
  static constexpr std::string_view kImpl = kName;

  bool Read(std::string_view json, RequestMembers& out) {
    typename Parser::Document document;
    typename Parser::Object object;
    typename Parser::Array capabilities;
    if (!parser_.Open(json, document, object) ||
        object["lane_id"].get_string().get(out.lane_id) != simdjson::SUCCESS ||
        object["worker_instance_id"].get_string().get(out.worker_instance_id) !=
            simdjson::SUCCESS ||
        object["capabilities"].get_array().get(capabilities) != simdjson::SUCCESS) {
      return false;
    }
    for (auto capability : capabilities) {
      if (out.capability_count == RequestMembers::kMaxCapabilities ||
          capability.get_string().get(out.capabilities[out.capability_count++]) !=
              simdjson::SUCCESS) {
        return false;
      }
    }
    return object["grant_ttl_ms"].get_uint64().get(out.grant_ttl_ms) == simdjson::SUCCESS;
  }

 private:
  Parser parser_;
};

template <class Grants, class Parser>
void AddParser(Registry& registry) {
  AddGrantReader<Grants>(registry);
  AddPeer<ParseRequest, RequestPeer<RequestReader<Parser, Grants::kImpl>>>(registry);
  AddPeer<ParseLargeGrant, MembersPeer<Grants>>(registry);
}

}  // namespace

#if FFGRANT_FOR_NEWEST_SIMDJSON
void AddNewestSimdjsonPeers(Registry& registry) {
  registry.AddVersion("newest simdjson", SIMDJSON_VERSION);
#else
void AddSimdjsonPeers(Registry& registry) {
  registry.AddVersion("simdjson", SIMDJSON_STRINGIFY(SIMDJSON_VERSION));
  registry.AddBuild("the code that calls simdjson, and of the newest one", FFGRANT_SIMDJSON_FLAGS);
#endif
  AddParser<OnDemandGrants, OnDemand>(registry);
  AddParser<DomGrants, Dom>(registry);
}

}  // namespace ffgrant::bench::peers
