// SPDX-License-Identifier: Apache-2.0
//
// Whether what a worker offers suffices, remembered.

#ifndef FFGRANT_CLAIMS_INTERNAL_CAPABILITY_VERDICTS_H_
#define FFGRANT_CLAIMS_INTERNAL_CAPABILITY_VERDICTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/spin_lock.h"

namespace ffgrant::internal {

// Verdicts by what is offered, a text, and what is required, a name of a pool.
// Kept are the kOffers that were offered last in each of kStripes; threads use
// different stripes, as far as there are enough. A set that is kept is
// recognised by all of its text, so that a verdict is never another set's.
class CapabilityVerdicts {
 public:
  explicit CapabilityVerdicts(const NamePool& required);

  // A stripe, locked, turned to what one worker offers.
  class Offer {
   public:
    Offer(CapabilityVerdicts& verdicts, std::string_view offered) noexcept;
    ~Offer();
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

    // `required` is held by the caller.
    bool Satisfies(NameId required) noexcept {
      if (required == 0) return true;
      Verdict& verdict = verdicts_[required];
      if (verdict == Verdict::kUnknown) [[unlikely]]
        verdict = Judge(required);
      return verdict == Verdict::kYes;
    }

   private:
    friend class CapabilityVerdicts;
    enum class Verdict : std::uint8_t { kUnknown, kNo, kYes };
    [[gnu::noinline]] Verdict Judge(NameId required) const noexcept;

    const NamePool& required_;
    std::string_view offered_;
    SpinLock& lock_;
    Verdict* verdicts_;
  };

 private:
  static constexpr std::size_t kStripes = kScheduled ? 1 : 16;
  static constexpr std::size_t kOffers = 4;
  using Verdict = Offer::Verdict;

  struct Kept {
    std::uint16_t size = 0;
    bool is_used = false;
    std::uint64_t freed = 0;  // as the pool had when the verdicts were begun
  };
  struct alignas(64) Stripe {
    SpinLock lock;
    std::size_t last = 0;
    std::array<Kept, kOffers> kept;
  };

  const NamePool& required_;
  std::unique_ptr<Stripe[]> stripes_;
  // Of each stripe and kept set, under the stripe's lock.
  std::unique_ptr<char[]> texts_;
  std::unique_ptr<Verdict[]> verdicts_;  // by name
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_CAPABILITY_VERDICTS_H_
