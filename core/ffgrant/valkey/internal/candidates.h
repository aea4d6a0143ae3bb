// SPDX-License-Identifier: Apache-2.0
//
// Reads members of a partition's eligible set, and what decides whether a worker can have them.

#ifndef FFGRANT_VALKEY_INTERNAL_CANDIDATES_H_
#define FFGRANT_VALKEY_INTERNAL_CANDIDATES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition.h"
#include "ffgrant/valkey/internal/session.h"

namespace ffgrant::valkey::internal {

// How many candidates of one partition are looked at together.
inline constexpr std::size_t kCandidatesAtOnce = 32;

struct Candidate {
  std::array<char, kMaxExecutionIdSize> text;
  std::size_t size = 0;  // 0: the id is not canonical, so nobody may claim it
  bool granted = true;
  bool suits = false;
  bool fault = false;  // the server answered a question about the candidate with an error

  ExecutionIdView id() const noexcept {
    return ParseExecutionId({text.data(), size}, ParseMode::kStrict).id;
  }
};

// Reads the members at the places [first, last] of an eligible set into `candidates`, which must
// have room for all of them, and sets `count` to their number. Sets `fault` to whether the server
// answered with an error; then `count` stays as it was. Returns kNone, or kUnavailable with the
// reason in `why`.
ClaimError ReadRange(Session& session, Partition partition, LaneIdView lane, std::uint64_t first,
                     std::uint64_t last, std::span<Candidate> candidates, std::size_t& count,
                     bool& fault, ErrorDetails& why) noexcept;

// Finds out, for up to kCandidatesAtOnce candidates, whether they have a grant and whether
// `offered` meets their requirements. Returns kNone, or kUnavailable with the reason in `why`.
ClaimError ReadStates(Session& session, std::span<Candidate> candidates, std::string_view offered,
                      ErrorDetails& why) noexcept;

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CANDIDATES_H_
