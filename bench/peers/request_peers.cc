// SPDX-License-Identifier: Apache-2.0
//
// Claim requests and large grants: core, simdjson as in simdjson_peer.cc, and a
// std::string that keeps its capacity.

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>

#include "bench/grant_baselines.h"
#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"
#include "bench/peers/request_figures.h"
#include "bench/peers/simdjson_readers.h"
#include "ffgrant/json/claim_request.h"

namespace ffgrant::bench::peers {

template <>
struct CorePeer<ParseRequest> : CoreImpl {
  struct Result {
    bool ok = false;
    ClaimRequestView request;
  };
  Result operator()(std::string_view json) {
    Result result;
    result.ok = static_cast<bool>(ParseClaimRequest(json, scratch_, result.request));
    return result;
  }
  static ParseRequest::Value ValueOf(const Result& result) {
    if (!result.ok) return std::nullopt;
    RequestMembers members{result.request.lane_id,
                           result.request.worker_instance_id,
                           {},
                           0,
                           result.request.grant_ttl_ms};
    for (const std::string_view capability : result.request.capabilities) {
      if (members.capability_count == RequestMembers::kMaxCapabilities) return std::nullopt;
      members.capabilities[members.capability_count++] = capability;
    }
    return members;
  }

 private:
  JsonScratch scratch_;
};

template <>
struct CorePeer<SerializeRequest> : CoreWriter<1024> {
  std::string_view operator()(std::size_t i) {
    const RequestMembers& request = Requests().members[i];
    return Written(SerializeClaimRequest(
        {.lane_id = request.lane_id,
         .worker_instance_id = request.worker_instance_id,
         .capabilities = StringList({request.capabilities.data(), request.capability_count}),
         .grant_ttl_ms = request.grant_ttl_ms},
        out_));
  }
};

template <>
struct CorePeer<ParseLargeGrant> : CorePeer<ParseGrantMembers> {};

namespace {

struct RequestResult {
  bool ok = false;
  RequestMembers request;
};

class OnDemandRequest {
 public:
  static constexpr std::string_view kImpl = "SimdjsonOnDemand";
  RequestResult operator()(std::string_view json) {
    RequestResult result;
    result.ok = Read(json, result.request);
    return result;
  }
  static ParseRequest::Value ValueOf(const RequestResult& result) {
    return result.ok ? ParseRequest::Value(result.request) : std::nullopt;
  }

 private:
  bool Read(std::string_view json, RequestMembers& out) {
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    if (parser_.iterate(padded).get(document) != simdjson::SUCCESS) return false;
    simdjson::ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) return false;
    if (object["lane_id"].get_string().get(out.lane_id) != simdjson::SUCCESS ||
        object["worker_instance_id"].get_string().get(out.worker_instance_id) !=
            simdjson::SUCCESS) {
      return false;
    }
    simdjson::ondemand::array capabilities;
    if (object["capabilities"].get_array().get(capabilities) != simdjson::SUCCESS) return false;
    for (auto capability : capabilities) {
      if (out.capability_count == RequestMembers::kMaxCapabilities ||
          capability.get_string().get(out.capabilities[out.capability_count++]) !=
              simdjson::SUCCESS) {
        return false;
      }
    }
    return object["grant_ttl_ms"].get_uint64().get(out.grant_ttl_ms) == simdjson::SUCCESS;
  }

  simdjson::ondemand::parser parser_;
};

// The on-demand reader with core's duties.
class CheckedRequest {
 public:
  static constexpr std::string_view kImpl = "SimdjsonChecked";
  RequestResult operator()(std::string_view json) {
    RequestResult result;
    result.ok = Read(json, result.request);
    return result;
  }
  static ParseRequest::Value ValueOf(const RequestResult& result) {
    return OnDemandRequest::ValueOf(result);
  }

 private:
  bool Read(std::string_view json, RequestMembers& out) {
    static constexpr std::array<std::string_view, 4> kNames = {"lane_id", "worker_instance_id",
                                                               "capabilities", "grant_ttl_ms"};
    return object_.ReadAll(json, kNames, [&](std::size_t place, simdjson::ondemand::value value) {
      switch (place) {
        case 0:
          return value.get_string().get(out.lane_id) == simdjson::SUCCESS;
        case 1:
          return value.get_string().get(out.worker_instance_id) == simdjson::SUCCESS;
        case 2:
          return ReadCapabilities(value, out);
        default:
          return value.get_uint64().get(out.grant_ttl_ms) == simdjson::SUCCESS;
      }
    });
  }

  static bool ReadCapabilities(simdjson::ondemand::value value, RequestMembers& out) {
    simdjson::ondemand::array capabilities;
    if (value.get_array().get(capabilities) != simdjson::SUCCESS) return false;
    for (auto capability : capabilities) {
      if (out.capability_count == RequestMembers::kMaxCapabilities ||
          capability.get_string().get(out.capabilities[out.capability_count++]) !=
              simdjson::SUCCESS) {
        return false;
      }
    }
    return true;
  }

  CheckedSimdjsonObject object_;
};

class DomRequest {
 public:
  static constexpr std::string_view kImpl = "SimdjsonDom";
  RequestResult operator()(std::string_view json) {
    RequestResult result;
    result.ok = Read(json, result.request);
    return result;
  }
  static ParseRequest::Value ValueOf(const RequestResult& result) {
    return OnDemandRequest::ValueOf(result);
  }

 private:
  bool Read(std::string_view json, RequestMembers& out) {
    simdjson::dom::object object;
    simdjson::dom::array capabilities;
    if (parser_.parse(json.data(), json.size(), false).get_object().get(object) !=
            simdjson::SUCCESS ||
        object["lane_id"].get_string().get(out.lane_id) != simdjson::SUCCESS ||
        object["worker_instance_id"].get_string().get(out.worker_instance_id) !=
            simdjson::SUCCESS ||
        object["capabilities"].get_array().get(capabilities) != simdjson::SUCCESS) {
      return false;
    }
    for (const simdjson::dom::element capability : capabilities) {
      if (out.capability_count == RequestMembers::kMaxCapabilities ||
          capability.get_string().get(out.capabilities[out.capability_count++]) !=
              simdjson::SUCCESS) {
        return false;
      }
    }
    return object["grant_ttl_ms"].get_uint64().get(out.grant_ttl_ms) == simdjson::SUCCESS;
  }

  simdjson::dom::parser parser_;
};

void AppendRequest(const RequestMembers& request, std::string& out) {
  out += "{\"lane_id\":";
  plain::AppendJsonText(request.lane_id, out);
  out += ",\"worker_instance_id\":";
  plain::AppendJsonText(request.worker_instance_id, out);
  out += ",\"capabilities\":[";
  for (std::size_t i = 0; i < request.capability_count; ++i) {
    if (i != 0) out += ',';
    plain::AppendJsonText(request.capabilities[i], out);
  }
  out += "],\"grant_ttl_ms\":";
  std::array<char, 20> digits;
  const char* const end =
      std::to_chars(digits.data(), digits.data() + digits.size(), request.grant_ttl_ms).ptr;
  out.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  out += '}';
}

class ReusedRequestWriter : public ResultIsValue<std::string_view> {
 public:
  static constexpr std::string_view kImpl = "StdStringReused";
  std::string_view operator()(std::size_t i) {
    json_.clear();
    AppendRequest(Requests().members[i], json_);
    return json_;
  }

 private:
  std::string json_;
};

}  // namespace

void AddRequestPeers(Registry& registry) {
  AddPeer<ParseRequest, CorePeer<ParseRequest>>(registry);
  AddPeer<SerializeRequest, CorePeer<SerializeRequest>>(registry);
  AddPeer<ParseLargeGrant, CorePeer<ParseLargeGrant>>(registry);
  AddLimit<ParseRequest>(registry);
  AddLimit<SerializeRequest>(registry);
  AddLimit<ParseLargeGrant>(registry);
  AddPeer<ParseRequest, OnDemandRequest>(registry);
  AddPeer<ParseRequest, CheckedRequest>(registry);
  AddPeer<ParseRequest, DomRequest>(registry);
  AddPeer<SerializeRequest, ReusedRequestWriter>(registry);
  AddPeer<ParseLargeGrant, MembersPeer<SimdjsonOnDemandReader>>(registry);
  AddPeer<ParseLargeGrant, MembersPeer<SimdjsonCheckedReader>>(registry);
  AddPeer<ParseLargeGrant, MembersPeer<SimdjsonDomReader>>(registry);
}

}  // namespace ffgrant::bench::peers
