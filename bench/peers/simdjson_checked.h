// SPDX-License-Identifier: Apache-2.0
//
// Makes simdjson's on-demand reader do all that core does. The readers here are experiments: they
// stand beside rows in which the plain on-demand reader, which skips what it does not need, is
// faster than core. Like simdjson_peer.cc, simdjson_checked_peer.cc is compiled twice, and
// CMakeLists.txt gives the classes of this header other names for the newest simdjson.

#ifndef FFGRANT_BENCH_PEERS_SIMDJSON_CHECKED_H_
#define FFGRANT_BENCH_PEERS_SIMDJSON_CHECKED_H_

#include <simdjson.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "bench/grant_baselines.h"

namespace ffgrant::bench::peers {

#if FFGRANT_FOR_NEWEST_SIMDJSON
constexpr std::string_view kCheckedName = "SimdjsonNewestChecked";
#else
constexpr std::string_view kCheckedName = "SimdjsonChecked";
#endif

// Steps over any value and checks all of it, as core does: simdjson leaves a value unchecked until
// somebody asks for it.
inline bool CheckSimdjsonValue(simdjson::ondemand::value value) {
  simdjson::ondemand::json_type type;
  if (value.type().get(type) != simdjson::SUCCESS) return false;
  switch (type) {
    case simdjson::ondemand::json_type::object: {
      simdjson::ondemand::object object;
      if (value.get_object().get(object) != simdjson::SUCCESS) return false;
      for (auto field : object) {
        std::string_view name;
        if (field.unescaped_key().get(name) != simdjson::SUCCESS ||
            !CheckSimdjsonValue(field.value())) {
          return false;
        }
      }
      return true;
    }
    case simdjson::ondemand::json_type::array: {
      simdjson::ondemand::array array;
      if (value.get_array().get(array) != simdjson::SUCCESS) return false;
      for (auto element : array) {
        simdjson::ondemand::value item;
        if (element.get(item) != simdjson::SUCCESS || !CheckSimdjsonValue(item)) return false;
      }
      return true;
    }
    case simdjson::ondemand::json_type::string: {
      std::string_view text;
      return value.get_string().get(text) == simdjson::SUCCESS;
    }
    case simdjson::ondemand::json_type::number: {
      simdjson::ondemand::number number;
      return value.get_number().get(number) == simdjson::SUCCESS;
    }
    case simdjson::ondemand::json_type::boolean: {
      bool boolean;
      return value.get_bool().get(boolean) == simdjson::SUCCESS;
    }
    case simdjson::ondemand::json_type::null: {
      bool null;
      return value.is_null().get(null) == simdjson::SUCCESS && null;
    }
    default:
      return false;
  }
}

// Reads an object with simdjson's on-demand reader and checks what core checks: each member's name
// is read, members may come in any order, a member of `names` that is repeated or missing is
// refused, unknown members are checked to their end, and nothing may follow the document.
// `read(place, value)` reads the member whose name stands at `place` in `names`. Like core, this
// reader checks everything in front of a fault before it refuses the document.
class CheckedSimdjsonObject {
 public:
  template <std::size_t kCount, class Read>
  bool ReadAll(std::string_view json, const std::array<std::string_view, kCount>& names,
               Read read) {
    const simdjson::padded_string_view padded(json.data(), json.size(),
                                              json.size() + simdjson::SIMDJSON_PADDING);
    simdjson::ondemand::document document;
    if (parser_.iterate(padded).get(document) != simdjson::SUCCESS) return false;
    simdjson::ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) return false;
    unsigned seen = 0;
    for (auto field : object) {
      // Names mostly have no escape, so the raw name is compared first.
      simdjson::ondemand::raw_json_string raw;
      if (field.key().get(raw) != simdjson::SUCCESS) return false;
      std::size_t place = 0;
      while (place < kCount && !raw.unsafe_is_equal(names[place])) ++place;
      if (place == kCount) {
        std::string_view name;
        if (field.unescaped_key().get(name) != simdjson::SUCCESS) return false;
        place = 0;
        while (place < kCount && names[place] != name) ++place;
      }
      if (place == kCount) {
        if (!CheckSimdjsonValue(field.value())) return false;
        continue;
      }
      if ((seen >> place & 1) != 0 || !read(place, field.value())) return false;
      seen |= 1u << place;
    }
    // simdjson has a current location unless the document has ended.
    const char* next;
    return seen == (1u << kCount) - 1 &&
           document.current_location().get(next) == simdjson::OUT_OF_BOUNDS;
  }

 private:
  simdjson::ondemand::parser parser_;
};

struct SimdjsonCheckedReader {
  static constexpr std::string_view kImpl = kCheckedName;
  bool Read(std::string_view json, plain::GrantMembers& out) {
    static constexpr std::array<std::string_view, 4> kNames = {"execution_id", "partition_key",
                                                               "grant_key", "expires_at_ms"};
    const std::array<std::string_view*, 3> texts = {&out.execution_id, &out.partition_key,
                                                    &out.grant_key};
    return object.ReadAll(json, kNames, [&](std::size_t place, simdjson::ondemand::value value) {
      return place < texts.size() ? value.get_string().get(*texts[place]) == simdjson::SUCCESS
                                  : value.get_uint64().get(out.expires_at_ms) == simdjson::SUCCESS;
    });
  }
  CheckedSimdjsonObject object;
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_SIMDJSON_CHECKED_H_
