// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/capability_verdicts.h"

#include <algorithm>
#include <cstring>

namespace ffgrant::internal {
namespace {

// Returns the calling thread's number. Threads are numbered in the order in which they first need a
// number.
std::size_t ThreadNumber() noexcept {
  static std::atomic<std::size_t> threads{0};
  static thread_local const std::size_t number = threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

}  // namespace

CapabilityVerdicts::CapabilityVerdicts(const NamePool& required)
    : required_(required),
      stripes_(new Stripe[kStripes]),
      texts_(new char[kStripes * kOffers * kMaxCapabilityCsvSize]),
      verdicts_(new Verdict[kStripes * kOffers * (required.max_names() + 1)]()) {}

CapabilityVerdicts::Offer::Offer(CapabilityVerdicts& all, std::string_view offered) noexcept
    : required_(all.required_),
      offered_(offered),
      lock_(all.stripes_[ThreadNumber() % kStripes].lock) {
  lock_.lock();
  const std::size_t number = ThreadNumber() % kStripes;
  Stripe& stripe = all.stripes_[number];
  const auto text_at = [&](std::size_t place) {
    return all.texts_.get() + (number * kOffers + place) * kMaxCapabilityCsvSize;
  };
  const auto is_kept = [&](std::size_t place) {
    const Kept& kept = stripe.kept[place];
    return kept.is_used && std::string_view(text_at(place), kept.size) == offered;
  };
  std::size_t tries = 0;
  while (tries < kOffers && !is_kept((stripe.last + tries) % kOffers)) ++tries;
  const bool is_new = tries == kOffers;
  // A new offer takes the place behind the place that was used last.
  const std::size_t place = (stripe.last + (is_new ? 1 : tries)) % kOffers;
  stripe.last = place;
  Kept& kept = stripe.kept[place];
  const std::size_t names = required_.max_names() + 1;
  verdicts_ = all.verdicts_.get() + (number * kOffers + place) * names;
  // If names have been freed since these verdicts were begun, the number of a freed name may now
  // belong to another required set.
  const std::uint64_t freed = required_.freed();
  if (is_new || kept.freed != freed) {
    std::fill_n(verdicts_, names, Verdict::kUnknown);
    kept.freed = freed;
  }
  if (is_new) {
    kept.is_used = true;
    kept.size = static_cast<std::uint16_t>(offered.size());
    if (!offered.empty()) std::memcpy(text_at(place), offered.data(), offered.size());
  }
}

CapabilityVerdicts::Offer::~Offer() { lock_.unlock(); }

CapabilityVerdicts::Offer::Verdict CapabilityVerdicts::Offer::Judge(
    NameId required) const noexcept {
  std::array<char, kMaxCapabilityCsvSize> text;
  const std::size_t size = required_.FirstSize(required);
  required_.CopyFirst(required, text.data());
  return CapabilitiesSatisfied({text.data(), size}, offered_) ? Verdict::kYes : Verdict::kNo;
}

}  // namespace ffgrant::internal
