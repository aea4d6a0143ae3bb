// SPDX-License-Identifier: Apache-2.0
//
// Holds the time of a call as far as a caller can know it: the time lies between two readings of
// the store's clock. All times that the call stored are computed from the same moment. So the first
// stored time that is seen pins the moment, and all others must then agree to the millisecond.
//
//   const Moment claimed(before, after);
//   claimed.Is(acquired_at);            // within the range, which it pins
//   claimed.Is(expires_at - lease_ttl); // exactly the same now

#ifndef FFGRANT_TESTING_SCENARIOS_MOMENT_H_
#define FFGRANT_TESTING_SCENARIOS_MOMENT_H_

#include <cstdint>
#include <memory>
#include <string>

namespace ffgrant::claims_conformance {

// Copies share what is known. Times are in ms since the Unix epoch.
class Moment {
 public:
  Moment() : Moment(0, 0) {}
  Moment(std::int64_t earliest, std::int64_t latest)
      : range_(std::make_shared<Range>(Range{earliest, latest})) {}

  std::int64_t earliest() const { return range_->earliest; }
  std::int64_t latest() const { return range_->latest; }

  // Returns whether the moment can have been at `time`. If so, `time` pins it.
  bool Is(std::int64_t time) const {
    if (time < range_->earliest || time > range_->latest) return false;
    *range_ = {time, time};
    return true;
  }

  std::string Text(std::int64_t offset = 0) const {
    const std::string first = std::to_string(range_->earliest + offset);
    return range_->earliest == range_->latest
               ? first
               : first + ".." + std::to_string(range_->latest + offset);
  }

 private:
  struct Range {
    std::int64_t earliest;
    std::int64_t latest;
  };
  std::shared_ptr<Range> range_;
};

}  // namespace ffgrant::claims_conformance

#endif  // FFGRANT_TESTING_SCENARIOS_MOMENT_H_
