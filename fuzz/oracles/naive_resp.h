// SPDX-License-Identifier: Apache-2.0
//
// Decodes RESP 2 naively: by the grammar, from the whole text at once.

#ifndef FFGRANT_FUZZ_ORACLES_NAIVE_RESP_H_
#define FFGRANT_FUZZ_ORACLES_NAIVE_RESP_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::fuzz {

struct NaiveReply {
  enum class Kind { kNil, kStatus, kError, kString, kInteger, kArray } kind = Kind::kNil;
  long long integer = 0;
  std::string text;
  std::vector<NaiveReply> elements;
};

enum class NaiveRespEnd {
  kNeedMore,   // the text ends within a reply, or after one
  kMalformed,  // the next bytes are not RESP 2, or are nested too deep
  // A decoder may accept or reject the next bytes: the grammar leaves the case open, decoders
  // differ, or the reply is near the limit of its size.
  kOpen,
};

struct NaiveResp {
  std::vector<NaiveReply> replies;
  NaiveRespEnd end = NaiveRespEnd::kNeedMore;
};

struct NaiveRespLimits {
  int max_depth;
  std::size_t max_bytes;
};

NaiveResp NaiveDecodeResp(std::string_view text, const NaiveRespLimits& limits);

// Writes the reply as `i7`, `"t"`, `+OK`, `-ERR`, `nil` or `[..,]`.
std::string Shown(const NaiveReply& reply);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_RESP_H_
