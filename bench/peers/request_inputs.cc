// SPDX-License-Identifier: Apache-2.0

#include <algorithm>
#include <memory>
#include <utility>

#include "bench/peers/request_figures.h"

namespace ffgrant::bench::peers {
namespace {

std::string Quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Returns `text` with one byte written as an escape.
std::string Escaped(std::string_view text, Random& random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const std::size_t at = random.Below(text.size());
  const auto byte = static_cast<unsigned char>(text[at]);
  return std::string(text.substr(0, at)) + "\\u00" + kHex[byte >> 4] + kHex[byte & 15] +
         std::string(text.substr(at + 1));
}

std::string RequestJson(const RequestMembers& request, std::size_t case_index, Random& random) {
  const auto text = [&](std::string_view plain) {
    return Quoted(case_index == 3 ? Escaped(plain, random) : std::string(plain));
  };
  std::string list = "[";
  for (std::size_t i = 0; i < request.capability_count; ++i) {
    if (i != 0) list += ',';
    list += text(request.capabilities[i]);
  }
  list += "]";
  std::vector<std::string> members = {"\"lane_id\":" + text(request.lane_id),
                                      "\"worker_instance_id\":" + text(request.worker_instance_id),
                                      "\"capabilities\":" + list,
                                      "\"grant_ttl_ms\":" + std::to_string(request.grant_ttl_ms)};
  if (case_index == 1) Shuffle(members, random);
  if (case_index == 2) {
    members.insert(members.begin() + static_cast<std::ptrdiff_t>(random.Below(5)),
                   "\"worker_id\":" + text(request.lane_id));
  }
  std::string json = "{";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i != 0) json += ',';
    json += members[i];
  }
  return json + "}";
}

std::string LargeGrant(std::size_t shape, std::size_t size, std::string_view grant,
                       Random& random) {
  std::string json(grant);
  const std::size_t missing = size - grant.size();
  std::string filler;
  switch (shape) {
    case 0: {
      // Adds indentation: a quarter of the missing bytes behind the opening brace and behind each
      // comma.
      const std::string blanks = "\n" + std::string(missing / 4 - 1, ' ');
      for (std::size_t at = 1, i = 0; i < 4; ++i) {
        json.insert(at, blanks);
        at = json.find(",\"", at + blanks.size() + 1);
        if (at == std::string::npos) break;
        ++at;
      }
      return json;
    }
    case 1:
      for (std::size_t i = 0; i < missing - 7; ++i) {
        filler += static_cast<char>('a' + random.Below(26));
      }
      return json.insert(1, "\"x\":\"" + filler + "\",");
    case 2:
      while (filler.size() + 60 < missing) {
        filler += "{\"name\":\"n" + std::to_string(random.Below(1000)) +
                  "\",\"value\":" + std::to_string(random.Below(1'000'000)) + "},";
      }
      return json.insert(1, "\"x\":[" + filler + "null],");
    default:
      for (std::size_t i = 0; i < missing; ++i) {
        filler += shape == 4 && i % 16 == 0 ? '\n' : static_cast<char>('a' + random.Below(26));
      }
      for (std::size_t at = 0; (at = filler.find('\n', at)) != std::string::npos; at += 2) {
        filler.replace(at, 1, "\\n");
      }
      filler.resize(missing - (shape == 4 ? 8 : 0));
      if (filler.back() == '\\') filler.back() = 'x';
      return json.insert(json.find("\"grant_key\":\"") + 13, filler);
  }
}

}  // namespace

const RequestSet& Requests() {
  static const RequestSet* const set = [] {
    auto* const made = new RequestSet;
    Random random(11);
    for (std::size_t i = 0; i < kInputCount; ++i) {
      made->lanes.emplace_back(Lanes()[i]);
      made->instances.push_back("worker-" + std::to_string(random.Below(1000)) + "-" +
                                PlainUuidText(random.NextUuid()).substr(0, 8));
      std::vector<std::string> capabilities;
      for (std::size_t n = random.Below(4); n > 0; --n) {
        constexpr const char* kNames[] = {"gpu", "eu-west-1", "avx512", "large-memory"};
        capabilities.emplace_back(kNames[random.Below(4)]);
      }
      made->capabilities.push_back(std::move(capabilities));
    }
    for (std::size_t i = 0; i < kInputCount; ++i) {
      RequestMembers request{
          made->lanes[i], made->instances[i], {}, 0, 1000 + random.Below(59'000)};
      for (const std::string& name : made->capabilities[i]) {
        request.capabilities[request.capability_count++] = name;
      }
      made->members.push_back(request);
    }
    return made;
  }();
  return *set;
}

const TextSet& ParseRequest::Inputs(std::size_t case_index) {
  static std::array<std::unique_ptr<const TextSet>, kCases.size()> sets;
  if (!sets[case_index]) {
    Random random(12);
    std::vector<std::string> texts;
    for (const RequestMembers& request : Requests().members) {
      texts.push_back(RequestJson(request, case_index, random));
    }
    sets[case_index] = std::make_unique<const TextSet>(texts);
  }
  return *sets[case_index];
}

const TextSet& ParseLargeGrant::Inputs(std::size_t case_index) {
  static std::array<std::unique_ptr<const TextSet>, kCases.size()> sets;
  if (!sets[case_index]) {
    constexpr std::size_t kSizes[] = {1024, 8192, 65536};
    Random random(13);
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < InputCount(case_index); ++i) {
      texts.push_back(LargeGrant(case_index / 3, kSizes[case_index % 3],
                                 GrantDocuments(GrantCase::kCanonical)[i], random));
    }
    sets[case_index] = std::make_unique<const TextSet>(texts);
  }
  return *sets[case_index];
}

}  // namespace ffgrant::bench::peers
