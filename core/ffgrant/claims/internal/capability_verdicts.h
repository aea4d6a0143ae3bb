// SPDX-License-Identifier: Apache-2.0
//
// Remembers which offered capabilities suffice for which required set.

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

// A verdict says whether the capabilities of an offered text suffice for a required set. The set is
// a name of a NamePool. Each of kStripes stripes keeps the verdicts of up to kOffers texts that
// were offered. The first kStripes threads of the process that ask for verdicts have a stripe each,
// which later threads share. A kept offer is recognised by its whole text, so that a verdict is
// never used for another offer.
class CapabilityVerdicts {
 public:
  explicit CapabilityVerdicts(const NamePool& required);

  // Answers for which required sets one worker's offer suffices. Holds a stripe's lock as long as
  // it exists.
  class Offer {
   public:
    Offer(CapabilityVerdicts& verdicts, std::string_view offered) noexcept;
    ~Offer();
    Offer(const Offer&) = delete;
    Offer& operator=(const Offer&) = delete;

    // Returns whether the offer suffices for `required`. This name must be held by somebody
    // meanwhile, and must not be the empty name.
    bool Satisfies(NameId required) noexcept {
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
    std::uint64_t freed = 0;  // required_.freed() when the verdicts were begun
  };
  struct alignas(64) Stripe {
    SpinLock lock{LockKind::kVerdicts};
    std::size_t last = 0;
    std::array<Kept, kOffers> kept;
  };

  const NamePool& required_;
  std::unique_ptr<Stripe[]> stripes_;
  // For each offer that a stripe can keep, `texts_` has room for the offer's text, and `verdicts_`
  // has one verdict for each name of the pool. The stripe's lock guards both.
  std::unique_ptr<char[]> texts_;
  std::unique_ptr<Verdict[]> verdicts_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_CAPABILITY_VERDICTS_H_
