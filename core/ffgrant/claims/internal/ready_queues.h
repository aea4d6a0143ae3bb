// SPDX-License-Identifier: Apache-2.0
//
// ReadyQueues has the eligible sets in their order, which says which execution a scheduler takes
// next.

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

// Each lane and partition has one heap for each name of requirements (a set of required
// capabilities with a retry policy), so that an execution that few workers can take holds up no
// other. The order in a heap is contract 3's: score = -(priority * 1e12) + created_at_ms, lowest
// first, equal scores by id.
//
// A claim doesn't touch the heaps. A search that finds a slot at the top of a heap, although its
// execution is no longer eligible, removes the slot. If an execution was claimed and is eligible
// again before its slot comes to the top, the slot's place is still right, because its score never
// changes. A search that finds an eligible execution with a grant at the top parks it. For parked
// executions each lane and partition has one more heap, which is ordered by the ends of the grants.
// So a slot stands in at most one heap, and there at most once. The nodes, one for each slot, are
// all the memory that the heaps need.
//
// Every function but LockOf() and NextNonEmpty() needs the partition's lock, which is taken before
// a region's lock.
class ReadyQueues {
 public:
  ReadyQueues(const ExecutionTable& table, std::size_t lanes, std::size_t partitions);

  SpinLock& LockOf(std::uint16_t partition) noexcept { return locks_[partition % kLocks].lock; }

  // Queues the slot; does nothing if it is queued already. A parked slot does not count as queued:
  // Push() queues it, and NextNonEmpty() shows the slot's lane and partition all the while.
  void Push(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept;
  // Takes the slot out, whether it is queued or parked.
  void Remove(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept;
  // Parks `slot`, which must be the top of a heap. Its grant is good up to and including `until`.
  void Park(std::uint16_t lane, std::uint16_t partition, Slot slot, std::int64_t until) noexcept;
  // Returns the parked slot whose grant ends first; kNoSlot if there is none. ParkedUntil() returns
  // the end of this grant.
  Slot FirstParked(std::uint16_t lane, std::uint16_t partition) const noexcept {
    AssertHeld(partition);
    return parked_[IndexOf(lane, partition)];
  }
  std::int64_t ParkedUntil(Slot parked) const noexcept { return ScoreOf(nodes_[parked].key); }

  // FirstTop() and NextTop() list the heaps of a lane and partition, except the heap of parked
  // slots, each by its top. kNoSlot ends the list.
  Slot FirstTop(std::uint16_t lane, std::uint16_t partition) const noexcept {
    AssertHeld(partition);
    return tops_[IndexOf(lane, partition)];
  }
  Slot NextTop(Slot top) const noexcept { return nodes_[top].link; }
  bool Before(Slot a, Slot b) const noexcept;
  // Returns the first top in order for which suffices(required) is true; kNoSlot if there is none.
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

  // Returns the first partition from `from` on that has a heap for this lane, a heap of parked
  // slots included; the number of partitions if there is none. Needs no lock, so the result is a
  // hint.
  std::size_t NextNonEmpty(std::uint16_t lane, std::size_t from) const noexcept;

 private:
  static constexpr std::size_t kLocks = kScheduled ? 4 : 256;
  struct alignas(64) Lock {
    SpinLock lock{LockKind::kQueue};
  };

  // A node of a leftist heap. No child comes before its parent, and the rank of the left child is
  // never less than the rank of the right child. A node's rank is 1 + the rank of its right child.
  // So the length of the paths to the right is logarithmic, and so is the cost of every single push
  // and removal once the heap's top is found, whatever the order of the pushes. In a pairing heap
  // this cost is logarithmic on average only: with a pairing heap a lock was once held for most of
  // a second.
  //
  // Nodes lie all over the memory, and each one that is looked at costs a cache miss. So a change
  // looks only at the nodes on the paths that it takes, and not at their other children. To make
  // this possible, a node stores the ranks of its children, and a key that mostly tells which of
  // two ids is less if their scores are equal.
  struct Node {
    std::int64_t key;  // KeyOf(score, uuid)
    Slot left;
    Slot right;
    Slot link;               // the parent; for a top, the top of the next heap
    std::uint16_t required;  // the same set as in the record
    std::uint8_t rank;
    bool queued : 1;  // in a heap; also true for a parked slot
    bool parked : 1;
    bool is_top : 1;  // the top of a heap, but not of the heap of parked slots
    std::uint8_t left_rank : 5;
  };
  static_assert(sizeof(Node) == 24);
  // A heap whose top has rank r has at least 2^r - 1 nodes, and there are less than 2^32 - 1 nodes.
  static constexpr int kMaxRank = 31;

  // The key is the score followed by the first bits of the uuid. So keys are ordered as (score,
  // uuid) is, except that two keys may be equal. The score of a parked slot is the end of its
  // grant.
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
  // Puts `now` in the place of `before`, which is a child of `slot`, and swaps the children of
  // `slot` if their ranks are then in the wrong order. `now` may be `before` itself after its rank
  // has changed. Returns whether the rank of `slot` has changed.
  bool ReplaceChild(Slot slot, Slot before, Slot now) noexcept;
  std::uint8_t RankOf(Slot slot) const noexcept { return slot == kNoSlot ? 0 : nodes_[slot].rank; }
  // Returns the top of the heap that has this slot's requirements; kNoSlot if there is none.
  Slot TopLike(std::size_t index, Slot slot) const noexcept;
  // Takes a queued or parked slot out, but does not mark its lane and partition as empty. If they
  // were marked between a removal and a push, a search that holds no lock would miss the slot.
  void Take(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept;
  // Takes a slot out of its heap, and returns the top of the slots that were below it; kNoSlot if
  // there were none.
  Slot Detach(Slot slot) noexcept;
  // Puts `now` in the place of the top `before`; `next` is the top of the next heap. If `now` is
  // kNoSlot, removes the heap.
  void ReplaceTop(std::size_t index, Slot before, Slot next, Slot now) noexcept;
  void MarkNonEmpty(std::uint16_t lane, std::uint16_t partition, bool non_empty) noexcept;

  const ExecutionTable& table_;
  std::size_t partitions_;
  std::size_t words_per_lane_;
  std::vector<Slot> tops_;
  std::vector<Slot> parked_;
  std::unique_ptr<Node[]> nodes_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> non_empty_;  // one bit for each lane and partition
  std::unique_ptr<Lock[]> locks_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_CLAIMS_INTERNAL_READY_QUEUES_H_
