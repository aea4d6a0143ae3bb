// SPDX-License-Identifier: Apache-2.0
//
// Defines the three kinds of grants (contract 5.5). A scheduler hands a grant to a worker, and the
// worker hands it back. Each kind exists as a view, whose texts somebody else keeps alive, and as
// an owning value, whose copy assignment reuses its capacity.
//
// A ClaimGrant has no lane, since the worker named the lane when it asked for the grant; resume and
// reclaim grants carry their lane.
//
// In the reference's versions 0.3 to 0.11 the name ReclaimGrant stood for what
// is now ResumeGrant (contract 10).

#ifndef FFGRANT_GRANT_H_
#define FFGRANT_GRANT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition_key.h"

FFGRANT_API_BEGIN
namespace ffgrant {

struct ClaimGrantView {
  ExecutionIdView execution_id;
  std::string_view partition_key;   // opaque until partition() parses it
  std::string_view grant_key;       // opaque; on Valkey the grant hash's key
  std::uint64_t expires_at_ms = 0;  // Unix milliseconds, the issuer's clock

  // Parses partition_key, leniently by default as the reference does. The key of a kExecution
  // partition gives the kFlow partition of the same index (see CollapseAlias).
  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const noexcept {
    return ParsePartitionKey(partition_key, mode);
  }

  // Compares field by field, texts byte by byte.
  friend constexpr bool operator==(const ClaimGrantView&, const ClaimGrantView&) = default;
};

// A resume grant and a reclaim grant have the members of a claim grant, and the lane.
struct ResumeGrantView {
  ClaimGrantView grant;
  LaneIdView lane_id;

  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const noexcept {
    return grant.partition(mode);
  }
  friend constexpr bool operator==(const ResumeGrantView&, const ResumeGrantView&) = default;
};

struct ReclaimGrantView {
  ClaimGrantView grant;
  LaneIdView lane_id;

  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const noexcept {
    return grant.partition(mode);
  }
  friend constexpr bool operator==(const ReclaimGrantView&, const ReclaimGrantView&) = default;
};

class ClaimGrant {
 public:
  ClaimGrant() = default;
  explicit ClaimGrant(const ClaimGrantView& view);
  // Reuses the capacity, so it allocates only if a text does not fit.
  void assign(const ClaimGrantView& view);

  ClaimGrantView view() const& noexcept;
  ClaimGrantView view() const&& = delete;
  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const& noexcept {
    return partition_key_.Parse(mode);
  }
  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const&& = delete;

  friend bool operator==(const ClaimGrant&, const ClaimGrant&) = default;

 private:
  ExecutionId execution_id_;
  PartitionKey partition_key_;
  std::string grant_key_;
  std::uint64_t expires_at_ms_ = 0;
};

namespace internal {
// The members that ResumeGrant and ReclaimGrant share; the two stay distinct types.
template <class View>
class LaneGrant {
 public:
  LaneGrant() = default;
  explicit LaneGrant(const View& view) : grant_(view.grant), lane_id_(view.lane_id.text()) {}
  void assign(const View& view) {
    grant_.assign(view.grant);
    lane_id_.assign(view.lane_id.text());
  }

  View view() const& noexcept { return {grant_.view(), LaneIdView::Unchecked(lane_id_)}; }
  View view() const&& = delete;
  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const& noexcept {
    return grant_.partition(mode);
  }
  PartitionKeyResult partition(ParseMode mode = ParseMode::kLenient) const&& = delete;

  friend bool operator==(const LaneGrant&, const LaneGrant&) = default;

 private:
  ClaimGrant grant_;
  std::string lane_id_;
};
}  // namespace internal

class ResumeGrant : public internal::LaneGrant<ResumeGrantView> {
 public:
  using LaneGrant::LaneGrant;
};

class ReclaimGrant : public internal::LaneGrant<ReclaimGrantView> {
 public:
  using LaneGrant::LaneGrant;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_GRANT_H_
