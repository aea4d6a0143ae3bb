// SPDX-License-Identifier: Apache-2.0
//
// RecordTexts keeps texts that only few records have.

#ifndef FFGRANT_CLAIMS_INTERNAL_RECORD_TEXTS_H_
#define FFGRANT_CLAIMS_INTERNAL_RECORD_TEXTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ffgrant/claims/internal/text_pool.h"

namespace ffgrant::internal {

// The kinds of texts that a record may have. A lane is kept only if it is not the execution's own
// lane.
enum class RecordText : std::uint8_t {
  kLeaseLane,
  kGrantLane,
  kCapabilityHash,
  kRouteSnapshot,
  kAdmissionSummary,
};

// Each record refers to its texts by one number, which is 0 if the record has none. A thread that
// holds the record's lock may read and change these texts; the texts of other records may change
// meanwhile.
class RecordTexts {
 public:
  using Id = TextPool::Place;
  static constexpr std::size_t kKinds = 5;
  static constexpr std::size_t kGrantKinds = 4;
  using GrantTexts = std::array<std::string_view, kGrantKinds>;  // from kGrantLane on

  explicit RecordTexts(std::size_t max_bytes) : pool_(max_bytes) {}

  // Replaces the texts of the grant with `texts`. Returns false, and changes nothing, if there is
  // no room.
  bool SetGrant(Id& id, const GrantTexts& texts) noexcept;
  // Puts `lane` in the place of the lease's lane, and drops the grant's texts. Returns false, and
  // changes nothing, if there is no room.
  bool SetLease(Id& id, std::string_view lane) noexcept;
  void DropGrant(Id& id) noexcept;
  void DropLease(Id& id) noexcept;

  std::string Text(Id id, RecordText kind) const;
  // Returns how often a text of a record was freed.
  std::uint64_t freed() const noexcept { return freed_.load(std::memory_order_relaxed); }

 private:
  struct Kept {
    TextPool::Place place = 0;
    std::uint32_t size = 0;
  };
  // The places and sizes of a record's texts. Each record with texts has one piece that stores this
  // list.
  using List = std::array<Kept, kKinds>;
  static_assert(sizeof(List) <= TextPool::kPieceBytes);

  List Load(Id id) const noexcept;
  bool Store(Id& id, const List& list) noexcept;
  bool Replace(Id& id, std::size_t first, const std::string_view* texts,
               std::size_t count) noexcept;
  void Drop(Id& id, std::size_t first, std::size_t count) noexcept;
  void Free(const Kept& kept) noexcept {
    if (kept.size == 0) return;
    pool_.Free(kept.place);
    freed_.fetch_add(1, std::memory_order_relaxed);
  }

  TextPool pool_;
  std::atomic<std::uint64_t> freed_{0};
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_RECORD_TEXTS_H_
