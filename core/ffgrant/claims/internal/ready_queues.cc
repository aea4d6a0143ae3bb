// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/internal/ready_queues.h"

#include <array>
#include <bit>
#include <cassert>
#include <utility>

namespace ffgrant::internal {
namespace {

constexpr std::int64_t kPriorityWeight = 1'000'000'000'000;
// A key has room for the largest score, followed by 9 bits of a uuid.
static_assert(kMaxPriority * kPriorityWeight + 2 * kMaxTtlMs < std::int64_t{1} << (63 - 9));

}  // namespace

ReadyQueues::ReadyQueues(const ExecutionTable& table, std::size_t lanes, std::size_t partitions)
    : table_(table),
      partitions_(partitions),
      words_per_lane_((partitions + 63) / 64),
      tops_(lanes * partitions, kNoSlot),
      parked_(lanes * partitions, kNoSlot),
      nodes_(new Node[table.slot_count()]()),
      non_empty_(new std::atomic<std::uint64_t>[lanes * words_per_lane_]()),
      locks_(new Lock[kLocks]) {}

bool ReadyQueues::Before(Slot a, Slot b) const noexcept {
  if (nodes_[a].key != nodes_[b].key) return nodes_[a].key < nodes_[b].key;
  // Within one partition, ids are ordered as their uuids are.
  return table_.fixed(a).uuid < table_.fixed(b).uuid;
}

bool ReadyQueues::ReplaceChild(Slot slot, Slot before, Slot now) noexcept {
  Node& node = nodes_[slot];
  int left_rank = node.left_rank;
  int right_rank = node.rank - 1;
  if (node.left == before) {
    node.left = now;
    left_rank = RankOf(now);
  } else {
    node.right = now;
    right_rank = RankOf(now);
  }
  if (left_rank < right_rank) {
    std::swap(node.left, node.right);
    std::swap(left_rank, right_rank);
  }
  assert(left_rank <= kMaxRank);
  node.left_rank = static_cast<std::uint8_t>(left_rank) & kMaxRank;
  const bool changes = node.rank != right_rank + 1;
  node.rank = static_cast<std::uint8_t>(right_rank + 1);
  return changes;
}

// Merges the two heaps along the paths that lead from their tops to the right. Each path has at
// most kMaxRank nodes. The link of the new top does not change.
Slot ReadyQueues::Meld(Slot a, Slot b) noexcept {
  std::array<Slot, 64> path;
  std::size_t size = 0;
  while (a != kNoSlot && b != kNoSlot) {
    if (Before(b, a)) std::swap(a, b);
    path[size++] = a;
    a = nodes_[a].right;
  }
  Slot below = a == kNoSlot ? b : a;  // not kNoSlot if there is a path
  while (size > 0) {
    const Slot slot = path[--size];
    nodes_[below].link = slot;
    ReplaceChild(slot, nodes_[slot].right, below);
    below = slot;
  }
  return below;
}

Slot ReadyQueues::TopLike(std::size_t index, Slot slot) const noexcept {
  Slot top = tops_[index];
  while (top != kNoSlot && nodes_[top].required != nodes_[slot].required) top = nodes_[top].link;
  return top;
}

void ReadyQueues::ReplaceTop(std::size_t index, Slot before, Slot next, Slot now) noexcept {
  Slot* link = &tops_[index];
  while (*link != before) link = &nodes_[*link].link;
  nodes_[before].is_top = false;
  if (now == kNoSlot) {
    *link = next;
    return;
  }
  *link = now;
  nodes_[now].link = next;
  nodes_[now].is_top = true;
}

void ReadyQueues::MarkNonEmpty(std::uint16_t lane, std::uint16_t partition,
                               bool non_empty) noexcept {
  ScheduleWrite(Shared::kNonEmpty);
  std::atomic<std::uint64_t>& word = non_empty_[lane * words_per_lane_ + partition / 64];
  const std::uint64_t bit = std::uint64_t{1} << partition % 64;
  if (non_empty) {
    word.fetch_or(bit, std::memory_order_relaxed);
  } else {
    word.fetch_and(~bit, std::memory_order_relaxed);
  }
}

void ReadyQueues::Push(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept {
  AssertHeld(partition);
  Node& node = nodes_[slot];
  if (node.queued && !node.parked) return;
  if (node.queued) Take(lane, partition, slot);
  const ExecutionRecord& record = table_.fixed(slot);
  node = NewNode(slot, table_.created_at(slot) - record.priority * kPriorityWeight);
  const std::size_t index = IndexOf(lane, partition);
  if (tops_[index] == kNoSlot) MarkNonEmpty(lane, partition, true);
  const Slot top = TopLike(index, slot);
  if (top == kNoSlot) {
    node.link = tops_[index];
    node.is_top = true;
    tops_[index] = slot;
    return;
  }
  const Slot next = nodes_[top].link;
  if (Before(top, slot)) {
    Meld(top, slot);
  } else {
    // The top is replaced first, because Meld() changes the links.
    ReplaceTop(index, top, next, slot);
    Meld(top, slot);
  }
}

ReadyQueues::Node ReadyQueues::NewNode(Slot slot, std::int64_t score) const noexcept {
  const ExecutionRecord& record = table_.fixed(slot);
  return {.key = KeyOf(score, record.uuid),
          .left = kNoSlot,
          .right = kNoSlot,
          .link = kNoSlot,
          .required = static_cast<std::uint16_t>(record.required),
          .rank = 1,
          .queued = true,
          .parked = false,
          .is_top = false,
          .left_rank = 0};
}

// A slot without a parent is the top of its heap; the caller then replaces the top.
Slot ReadyQueues::Detach(Slot slot) noexcept {
  const Node& node = nodes_[slot];
  // One of the two children takes the slot's place, and its record may be read soon.
  for (const Slot child : {node.left, node.right}) {
    if (child != kNoSlot) table_.PrefetchSlot(child);
  }
  const Slot orphans = Meld(node.left, node.right);
  Slot parent = ParentOf(slot);
  if (orphans != kNoSlot) nodes_[orphans].link = parent;
  if (parent == kNoSlot) return orphans;
  bool changes = ReplaceChild(parent, slot, orphans);
  for (Slot child = parent; changes && (parent = ParentOf(child)) != kNoSlot; child = parent) {
    changes = ReplaceChild(parent, child, child);
  }
  return orphans;
}

void ReadyQueues::Remove(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept {
  AssertHeld(partition);
  if (!nodes_[slot].queued) return;
  Take(lane, partition, slot);
  const std::size_t index = IndexOf(lane, partition);
  if (tops_[index] == kNoSlot && parked_[index] == kNoSlot) MarkNonEmpty(lane, partition, false);
}

void ReadyQueues::Take(std::uint16_t lane, std::uint16_t partition, Slot slot) noexcept {
  Node& node = nodes_[slot];
  node.queued = false;
  const std::size_t index = IndexOf(lane, partition);
  const bool is_parked_top = parked_[index] == slot;
  const Slot orphans = Detach(slot);
  if (node.is_top) {
    ReplaceTop(index, slot, node.link, orphans);
  } else if (is_parked_top) {
    parked_[index] = orphans;
  }
}

void ReadyQueues::Park(std::uint16_t lane, std::uint16_t partition, Slot slot,
                       std::int64_t until) noexcept {
  AssertHeld(partition);
  Node& node = nodes_[slot];
  const std::size_t index = IndexOf(lane, partition);
  const Slot orphans = Detach(slot);
  ReplaceTop(index, slot, node.link, orphans);
  node = NewNode(slot, until);
  node.parked = true;
  parked_[index] = Meld(parked_[index], slot);
  nodes_[parked_[index]].link = kNoSlot;
}

std::size_t ReadyQueues::NextNonEmpty(std::uint16_t lane, std::size_t from) const noexcept {
  SchedulePoint(Shared::kNonEmpty);
  for (std::size_t word = from / 64; word < words_per_lane_; ++word) {
    std::uint64_t bits = non_empty_[lane * words_per_lane_ + word].load(std::memory_order_relaxed);
    if (word == from / 64) bits &= ~std::uint64_t{0} << from % 64;
    if (bits != 0) return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
  }
  return partitions_;
}

}  // namespace ffgrant::internal
