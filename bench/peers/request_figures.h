// SPDX-License-Identifier: Apache-2.0
//
// Defines the figures of reading claim requests from JSON, of writing claim requests as JSON, and
// of reading grants in large documents.

#ifndef FFGRANT_BENCH_PEERS_REQUEST_FIGURES_H_
#define FFGRANT_BENCH_PEERS_REQUEST_FIGURES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/inputs.h"
#include "bench/peers/grant_figures.h"
#include "ffgrant/json/claim_request.h"

namespace ffgrant::bench::peers {

// A claim request with at most kMaxCapabilities capabilities.
struct RequestMembers {
  static constexpr std::size_t kMaxCapabilities = 8;

  std::string_view lane_id;
  std::string_view worker_instance_id;
  std::array<std::string_view, kMaxCapabilities> capabilities;
  std::size_t capability_count = 0;
  std::uint64_t grant_ttl_ms = 0;
  friend bool operator==(const RequestMembers&, const RequestMembers&) = default;
};

// The texts that the requests are made of, and the requests.
struct RequestSet {
  std::vector<std::string> lanes;
  std::vector<std::string> instances;
  std::vector<std::vector<std::string>> capabilities;
  std::vector<RequestMembers> members;
};
const RequestSet& Requests();

struct ParseRequest {
  static constexpr std::string_view kOp = "ParseClaimRequest";
  static constexpr std::array<std::string_view, 4> kCases = {"canonical", "reordered",
                                                             "unknown_member", "escaped"};
  using Value = std::optional<RequestMembers>;

  static const TextSet& Inputs(std::size_t case_index);
  static std::string Describe(std::string_view json) { return std::string(json); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

// Turns a reader of requests into a peer. A reader has kImpl and Read(json, members); Read()
// returns whether the request could be read.
template <class Reader>
class RequestPeer {
 public:
  static constexpr std::string_view kImpl = Reader::kImpl;
  struct Result {
    bool ok = false;
    RequestMembers request;
  };

  Result operator()(std::string_view json) {
    Result result;
    result.ok = reader_.Read(json, result.request);
    return result;
  }
  static ParseRequest::Value ValueOf(const Result& result) {
    return result.ok ? ParseRequest::Value(result.request) : std::nullopt;
  }

 private:
  Reader reader_;
};

// An input is an index into the members of Requests().
struct SerializeRequest {
  static constexpr std::string_view kOp = "SerializeClaimRequest";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 1> kCases = {"canonical"};
  using Value = std::string_view;

  struct Places {
    std::size_t operator[](std::size_t i) const { return i; }
  };
  static Places Inputs(std::size_t) { return {}; }
  static std::string Describe(std::size_t i) { return Requests().lanes[i]; }
  static std::string_view Limit(std::size_t, std::size_t i) { return ParseRequest::Limit(0, i); }
};

// Parses one grant in a document of 1 to 64 KiB. The document is large for one of these reasons:
// blanks between the members, an unknown member with a long text or with many values, a long grant
// key, or a long grant key in which every 16th character is an escape.
struct ParseLargeGrant {
  static constexpr std::string_view kOp = "ParseLargeGrant";
  static constexpr std::array<std::string_view, 15> kCases = {
      "blanks/1KiB", "blanks/8KiB", "blanks/64KiB", "text/1KiB",    "text/8KiB",
      "text/64KiB",  "values/1KiB", "values/8KiB",  "values/64KiB", "key/1KiB",
      "key/8KiB",    "key/64KiB",   "escapes/1KiB", "escapes/8KiB", "escapes/64KiB"};
  using Value = std::optional<plain::GrantMembers>;

  // All documents of a case together have about 8 MiB.
  static std::size_t InputCount(std::size_t case_index) {
    constexpr std::size_t kCounts[] = {8192, 1024, 128};
    return kCounts[case_index % 3];
  }
  static const TextSet& Inputs(std::size_t case_index);
  static std::string Describe(std::string_view json) { return std::string(json.substr(0, 200)); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_REQUEST_FIGURES_H_
