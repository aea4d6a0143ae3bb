// SPDX-License-Identifier: Apache-2.0
//
// Which execution a scheduler takes next: the eligible sets in their order.

#ifndef FFGRANT_CLAIMS_INTERNAL_READY_QUEUES_H_
#define FFGRANT_CLAIMS_INTERNAL_READY_QUEUES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ffgrant/claims/internal/execution_table.h"
#include "ffgrant/claims/internal/schedule_point.h"
#include "ffgrant/claims/internal/spin_lock.h"
#include "ffgrant/uuid.h"

namespace ffgrant::internal {

// For each lane and partition, one heap a set of required capabilities, so
// that an execution that few workers can take holds up no other. The order in
// a heap is contract 3's: score = -(priority * 1e12) + created_at_ms, lowest
// first, equal scores by id.
//
// A claim doesn't touch the heaps: what is no longer eligible is dropped when
// it comes to a heap's top, or found valid again if it became eligible
// meanwhile, as its score never changes. What is eligible and holds a grant is
// parked when it comes to the top: one more heap for each lane and partition, by
// when the grants end. So a slot stands in at most one heap at most once, and the
// nodes, one a slot, are all the memory there is.
//
// Every call needs the partition's lock, which is taken before a region's, but
// for NextNonEmpty().
class ReadyQueues {
 public:
  ReadyQueues(const ExecutionTable& table, std::size_t lanes, std::size_t partitions);

  SpinLock& LockOf(std::uint16_t partition) noexcept { return locks_[partition % kLocks].lock; }

  // Does nothing if the slot is queued already; one that is parked is not.
  void Push(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept;
  // Takes the slot out, if it is in or parked.
  void Remove(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept;
  // Parks a slot that is queued, whose grant is good up to and including `until`.
  void Park(std::uint16_t lane, std::uint16_t partition, Slot slot, std::int64_t until) noexcept;
  // The parked one whose grant ends first, and its end; kNoSlot if there is none.
  Slot FirstParked(std::uint16_t lane, std::uint16_t partition) const noexcept {
    AssertHeld(partition);
    return parked_[IndexOf(lane, partition)];
  }
  std::int64_t ParkedUntil(Slot parked) const noexcept { return ScoreOf(nodes_[parked].key); }

  // The heaps of a lane and partition, each by its top; kNoSlot ends.
  Slot FirstTop(std::uint16_t lane, std::uint16_t partition) const noexcept {
    AssertHeld(partition);
    return tops_[IndexOf(lane, partition)];
  }
  Slot NextTop(Slot top) const noexcept { return nodes_[top].link; }
  bool Before(Slot a, Slot b) const noexcept;
  // Among the tops for which suffices(required) is true, the one that comes first in order; kNoSlot
  // if there is none.
  template <class Suffices>
  Slot Best(std::uint16_t lane, std::uint16_t partition, Suffices suffices) const noexcept {
    Slot best = kNoSlot;
    for (Slot top = FirstTop(lane, partition); top != kNoSlot; top = NextTop(top)) {
      if ((best == kNoSlot || Before(top, best)) && suffices(NameId{nodes_[top].required})) {
        best = top;
      }
    }
    return best;
  }

  // Without the lock, and so a hint: the first partition at or behind `from`
  // that has a heap for this lane, parked ones included; `partitions` if there is none.
  std::size_t NextNonEmpty(std::uint16_t lane, std::size_t from) const noexcept;

 private:
  static constexpr std::size_t kLocks = kScheduled ? 4 : 256;
  struct alignas(64) Lock {
    SpinLock lock;
  };

  // A leftist heap's node: no child comes before its parent, and of two
  // children the left one has the greater rank. Rank 1 + the right child's, so
  // that paths to the right are logarithmic, and with them every single push
  // and removal, whatever the order of pushes; a pairing heap, which is that on
  // average only, has been seen to hold its lock for most of a second.
  //
  // Nodes lie all over the memory, and each one that is looked at costs a cache miss. So a change
  // looks only at the nodes of a path: a node knows its children's ranks, and of two equal scores
  // the keys mostly tell already which id is less.
  struct Node {
    std::int64_t key;  // KeyOf(score, uuid)
    Slot left;
    Slot right;
    Slot link;               // the parent; of a heap's top: the next heap's top
    std::uint16_t required;  // as the record's
    std::uint8_t rank;
    bool queued : 1;  // or parked
    bool parked : 1;
    bool is_top : 1;  // of a heap of queued ones
    std::uint8_t left_rank : 5;
  };
  static_assert(sizeof(Node) == 24);
  // A rank r takes 2^r - 1 nodes, and there are less than 2^32.
  static constexpr int kMaxRank = 31;

  // The score over the first bits of the uuid: ordered as (score, uuid), up to equal keys. The
  // score of a parked one is the end of its grant.
  static constexpr int kUuidBits = 9;
  static std::int64_t KeyOf(std::int64_t score, const Uuid& uuid) noexcept {
    const int first_bits = uuid.bytes[0] << 1 | uuid.bytes[1] >> 7;
    return score * (1 << kUuidBits) + first_bits;
  }
  static constexpr std::int64_t ScoreOf(std::int64_t key) noexcept { return key >> kUuidBits; }

  void AssertHeld(std::uint16_t partition) const noexcept {
    locks_[partition % kLocks].lock.AssertHeld();
  }
  std::size_t IndexOf(std::uint16_t lane, std::uint16_t partition) const noexcept {
    return lane * partitions_ + partition;
  }
  Node NewNode(Slot slot, std::int64_t score) const noexcept;
  Slot ParentOf(Slot slot) const noexcept {
    return nodes_[slot].is_top ? kNoSlot : nodes_[slot].link;
  }
  Slot Meld(Slot a, Slot b) noexcept;
  // Puts `now` in the place of the child `before`, which may be the same one with another rank, and
  // swaps the children if need be. False if the node's own rank is what it was.
  bool ReplaceChild(Slot slot, Slot before, Slot now) noexcept;
  std::uint8_t RankOf(Slot slot) const noexcept { return slot == kNoSlot ? 0 : nodes_[slot].rank; }
  // The top of the heap that has this slot's requirements; kNoSlot if none.
  Slot TopLike(std::size_t index, Slot slot) const noexcept;
  // Takes a slot out of its heap, and returns what is left of the part below it.
  Slot Detach(Slot slot) noexcept;
  // Puts `now` in the place of the top `before`, which `next` follows; kNoSlot
  // removes the heap.
  void ReplaceTop(std::size_t index, Slot before, Slot next, Slot now) noexcept;
  void MarkNonEmpty(std::uint16_t lane, std::uint16_t partition, bool non_empty) noexcept;

  const ExecutionTable& table_;
  std::size_t partitions_;
  std::size_t words_per_lane_;
  std::vector<Slot> tops_;
  std::vector<Slot> parked_;
  std::unique_ptr<Node[]> nodes_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> non_empty_;  // a bit a partition
  std::unique_ptr<Lock[]> locks_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_READY_QUEUES_H_
