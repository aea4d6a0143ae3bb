// SPDX-License-Identifier: Apache-2.0
//
// RESP 2 decoded the plain way: by the grammar, from the whole text at once.

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
  kMalformed,  // what follows is no RESP 2, or nested too deep
  // What follows can be taken either way: the grammar leaves it open, readers
  // differ, or it is near the limit of a reply's size.
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

// As `i7`, `"t"`, `+OK`, `-ERR`, `nil`, `[..,]`.
std::string Shown(const NaiveReply& reply);

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_ORACLES_NAIVE_RESP_H_
