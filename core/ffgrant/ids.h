// SPDX-License-Identifier: Apache-2.0
//
// Defines the small identifiers and counters of contract 1.7. Each of them is a type of its own, so
// that a lease id can't be passed where an attempt id is expected.

#ifndef FFGRANT_IDS_H_
#define FFGRANT_IDS_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/config.h"
#include "ffgrant/uuid.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// An id backed by a UUID. In JSON it is a string: the canonical form on output, any of the four
// forms on input.
template <class Tag>
struct UuidId {
  Uuid uuid;
  friend constexpr auto operator<=>(const UuidId&, const UuidId&) = default;
};

using FlowId = UuidId<struct FlowIdTag>;
using BudgetId = UuidId<struct BudgetIdTag>;
using QuotaPolicyId = UuidId<struct QuotaPolicyIdTag>;
using LeaseId = UuidId<struct LeaseIdTag>;
using AttemptId = UuidId<struct AttemptIdTag>;
using SignalId = UuidId<struct SignalIdTag>;
using WaitpointId = UuidId<struct WaitpointIdTag>;
using SuspensionId = UuidId<struct SuspensionIdTag>;
using EdgeId = UuidId<struct EdgeIdTag>;

// A name without a rule of its own. Somebody else keeps the text alive.
template <class Tag>
struct NameView {
  std::string_view text;
  friend constexpr bool operator==(const NameView&, const NameView&) = default;
};

using WorkerIdView = NameView<struct WorkerIdTag>;
using WorkerInstanceIdView = NameView<struct WorkerInstanceIdTag>;
using NamespaceView = NameView<struct NamespaceTag>;

// A number with a type of its own. In JSON it is a plain number, except for the epoch in
// RevokedView, which is a text.
template <class Tag, class Rep>
struct Counter {
  Rep value = 0;
  friend constexpr auto operator<=>(const Counter&, const Counter&) = default;
};

// The epoch grows by one with every lease of an execution; it is 0 before the first lease.
using LeaseEpoch = Counter<struct LeaseEpochTag, std::uint64_t>;
// The first attempt of an execution has index 0.
using AttemptIndex = Counter<struct AttemptIndexTag, std::uint32_t>;
// Milliseconds since the Unix epoch.
using TimestampMs = Counter<struct TimestampMsTag, std::int64_t>;

// With these three values a lease holder proves that it still holds the execution's current lease.
// All three values must match.
struct LeaseFence {
  LeaseId lease_id;
  LeaseEpoch lease_epoch;
  AttemptId attempt_id;
  friend constexpr bool operator==(const LeaseFence&, const LeaseFence&) = default;
};

}  // namespace ffgrant
FFGRANT_API_END

template <class Tag>
struct std::hash<ffgrant::UuidId<Tag>> {
  std::size_t operator()(const ffgrant::UuidId<Tag>& id) const noexcept {
    return std::hash<ffgrant::Uuid>()(id.uuid);
  }
};

template <class Tag>
struct std::hash<ffgrant::NameView<Tag>> {
  std::size_t operator()(const ffgrant::NameView<Tag>& name) const noexcept {
    return std::hash<std::string_view>()(name.text);
  }
};

template <class Tag, class Rep>
struct std::hash<ffgrant::Counter<Tag, Rep>> {
  std::size_t operator()(const ffgrant::Counter<Tag, Rep>& counter) const noexcept {
    return std::hash<Rep>()(counter.value);
  }
};

#endif  // FFGRANT_IDS_H_
