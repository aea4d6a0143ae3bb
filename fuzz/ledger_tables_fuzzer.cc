// SPDX-License-Identifier: Apache-2.0
//
// Compares three parts of the embedded ledger with maps and sets: the table of executions, whose
// hashes collide; the pool of names, which runs out of names and of bytes; and the eligible sets,
// in the order of contract 3. The table and the pool are small, so that inputs fill them up; the
// partitions of the eligible sets lie at the borders of 64-bit words.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ffgrant/claims/internal/execution_table.h"
#include "ffgrant/claims/internal/name_pool.h"
#include "ffgrant/claims/internal/ready_queues.h"
#include "ffgrant/execution_id.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/record_mutation.h"

namespace ffgrant::fuzz {
namespace {

using internal::ExecutionTable;
using internal::kNoSlot;
using internal::NameId;
using internal::NamePool;
using internal::ReadyQueues;
using internal::Slot;
using internal::TextPool;

constexpr std::size_t kHeader = 2;  // the part under test, and its size
constexpr std::size_t kWidth = 4;
constexpr std::size_t kMaxRecords = 96;

using Step = std::array<std::uint8_t, kWidth>;

// ---- table -------------------------------------------------------------------

constexpr unsigned kExecutions = 40;

// The first id is all zeros, like a record that was never written.
MintedExecutionId IdOf(unsigned number) {
  Uuid uuid;
  uuid.bytes.fill(static_cast<std::uint8_t>(number / 2));
  if (number % 8 >= 6) uuid.bytes[number % 16] ^= 0x80;
  return MintedExecutionId(static_cast<std::uint16_t>(number % 2), uuid);
}

class TableRun {
 public:
  TableRun(std::string_view input, std::uint8_t size) : input_(input), table_(1 + size % 32, 0) {}

  void Take(const Step& step) {
    const unsigned number = step[1] % kExecutions;
    const auto held = slots_.find(number);
    switch (step[0] % 4) {
      case 0:
      case 1:
        if (held == slots_.end()) Insert(number);
        break;
      case 2:
        if (held != slots_.end()) {
          Erase(number, held->second);
          slots_.erase(held);
        }
        break;
      default:
        table_.PrefetchTags(HashOf(number));
        table_.PrefetchRecord(HashOf(number));
        break;
    }
    Check();
  }

 private:
  // There are only twelve hashes, so executions collide.
  static std::uint64_t HashOf(unsigned number) {
    constexpr std::uint64_t kTags[] = {0, 1, 2, 0x7F};
    constexpr std::uint64_t kMiddles[] = {0, 0xFFFFFFFF, 0x80000000};
    return kTags[number % 4] << 56 | kMiddles[number / 4 % 3] << 16;
  }

  void Erase(unsigned number, Slot slot) {
    const std::scoped_lock lock(table_.LockOf(HashOf(number)));
    table_.Erase(HashOf(number), slot);
  }

  void Insert(unsigned number) {
    const std::scoped_lock lock(table_.LockOf(HashOf(number)));
    const Slot slot = table_.Insert(HashOf(number));
    if ((slot == kNoSlot) != (slots_.size() == table_.max_executions())) {
      Fail("insert", input_, std::to_string(slots_.size()), std::to_string(slot));
    }
    if (slot == kNoSlot) return;
    if (slot >= table_.slot_count() ||
        std::any_of(slots_.begin(), slots_.end(), [&](auto& e) { return e.second == slot; })) {
      Fail("insert: taken", input_, "a free slot", std::to_string(slot));
    }
    const MintedExecutionId id = IdOf(number);
    table_[slot].uuid = id.view().uuid();
    table_[slot].partition = id.view().partition().index;
    slots_[number] = slot;
  }

  void Check() {
    if (table_.size() != slots_.size()) {
      Fail("size", input_, std::to_string(slots_.size()), std::to_string(table_.size()));
    }
    std::set<Slot> taken;
    for (unsigned number = 0; number < kExecutions; ++number) {
      const auto held = slots_.find(number);
      const Slot expected = held == slots_.end() ? kNoSlot : held->second;
      const MintedExecutionId id = IdOf(number);
      const std::scoped_lock lock(table_.LockOf(HashOf(number)));
      const Slot found = table_.Find(HashOf(number), id.view());
      if (found != expected) {
        Fail("find", input_, std::to_string(expected), std::to_string(found));
      }
      if (expected != kNoSlot) taken.insert(expected);
    }
    for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
      const std::scoped_lock lock(table_.LockOfSlot(slot));
      if (table_.IsTaken(slot) != (taken.count(slot) != 0)) {
        Fail("is taken", input_, std::to_string(taken.count(slot)), std::to_string(slot));
      }
    }
    Observe(slots_.size());
  }

  std::string_view input_;
  ExecutionTable table_;
  std::map<unsigned, Slot> slots_;
};

// ---- names -------------------------------------------------------------------

// The pool of names and its pool of long texts. The input may hold one name several times.
class NamesRun {
 public:
  NamesRun(std::string_view input, std::uint8_t size)
      : input_(input),
        max_names_(1 + size % 8),
        max_pieces_(1 + size / 8 % 8u),
        long_texts_(max_pieces_ * TextPool::kPieceBytes),
        pool_(max_names_, 0, long_texts_) {}

  void Take(const Step& step) {
    switch (step[0] % 4) {
      case 0:
        Release(step[1], step[2]);
        break;
      case 1:
        HoldIfThere(TextOf(step[1]));
        break;
      default:
        Hold(TextOf(step[1]), TextOf(step[2]));
        break;
    }
    Check();
  }

 private:
  using Pair = std::pair<std::string, std::string>;
  struct Name {
    Pair texts;
    std::int32_t holds = 0;
  };

  // Some of the texts share a beginning or an end. Their sizes lie around the limits between names
  // that need no piece, one piece and two pieces.
  static std::string_view TextOf(std::uint8_t choice) {
    static const std::string text = [] {
      std::string made;
      while (made.size() < 200) made += "aaaaaaaabaaaaaaaacaaaaaaaabaaaaaaaab";
      return made;
    }();
    constexpr std::size_t kSizes[] = {0,  1,  2,  7,  8,  9,  15, 16,  17,
                                      40, 47, 48, 49, 60, 61, 72, 120, 121};
    return std::string_view(text).substr(choice / std::size(kSizes),
                                         kSizes[choice % std::size(kSizes)]);
  }

  static std::size_t PiecesOf(const Pair& texts) {
    const std::size_t size = texts.first.size() + texts.second.size();
    return size <= 48 ? 0 : (size + 59) / 60;
  }

  auto Find(const Pair& texts) {
    return std::find_if(names_.begin(), names_.end(),
                        [&](const auto& entry) { return entry.second.texts == texts; });
  }

  void Hold(std::string_view first, std::string_view second) {
    const Pair texts(first, second);
    const NameId id = pool_.Hold(first, second);
    const auto known = Find(texts);
    NameId expected = id;  // any free number
    if (first.empty() && second.empty()) {
      expected = 0;
    } else if (known != names_.end()) {
      expected = known->first;
      ++known->second.holds;
    } else if (names_.size() == max_names_ || Pieces() + PiecesOf(texts) > max_pieces_) {
      expected = NamePool::kFull;
    } else if (id == 0 || id > max_names_ || names_.count(id) != 0) {
      Fail("a new name's number", input_, "a free one", std::to_string(id));
    } else {
      names_[id] = {texts, 1};
    }
    if (id != expected) Fail("hold", input_, std::to_string(expected), std::to_string(id));
    Observe(id);
  }

  void HoldIfThere(std::string_view first) {
    const auto known = Find({std::string(first), ""});
    const NameId expected = known == names_.end() ? 0 : known->first;
    const NameId id = pool_.HoldIfThere(first);
    if (id != expected) Fail("hold if there", input_, std::to_string(expected), std::to_string(id));
    if (known != names_.end()) ++known->second.holds;
  }

  // Changes how often one of the names is held: by -5 to 2, but never to less than 0.
  void Release(std::uint8_t which, std::uint8_t count) {
    if (names_.empty()) return;
    auto it = names_.begin();
    std::advance(it, which % names_.size());
    const std::int32_t change = std::max<std::int32_t>(2 - count % 8, -it->second.holds);
    pool_.Add(it->first, change);
    it->second.holds += change;
    if (it->second.holds != 0) return;
    names_.erase(it);
    ++freed_;
  }

  std::size_t Pieces() const {
    std::size_t pieces = 0;
    for (const auto& [id, name] : names_) pieces += PiecesOf(name.texts);
    return pieces;
  }

  void Check() {
    if (pool_.freed() != freed_) {
      Fail("freed", input_, std::to_string(freed_), std::to_string(pool_.freed()));
    }
    if (pool_.free_names() != max_names_ - names_.size()) {
      Fail("free names", input_, std::to_string(max_names_ - names_.size()),
           std::to_string(pool_.free_names()));
    }
    if (long_texts_.free_pieces() != max_pieces_ - Pieces()) {
      Fail("free pieces", input_, std::to_string(max_pieces_ - Pieces()),
           std::to_string(long_texts_.free_pieces()));
    }
    for (const auto& [id, name] : names_) CheckName(id, name.texts.first, name.texts.second);
    CheckName(0, "", "");
  }

  void CheckName(NameId id, const std::string& first, const std::string& second) {
    std::string copy(pool_.FirstSize(id), 'x');
    pool_.CopyFirst(id, copy.data());
    const auto changed = [](std::string text) {
      text.back() ^= 1;
      return text;
    };
    const bool right =
        pool_.First(id) == first && pool_.Second(id) == second && copy == first &&
        pool_.Is(id, first, second) && pool_.FirstIs(id, first) && pool_.SecondIs(id, second) &&
        !pool_.Is(id, first + "b", second) && !pool_.Is(id, first, second + "a") &&
        !pool_.FirstIs(id, first + "b") && !pool_.SecondIs(id, second + "b") &&
        (first.empty() ||
         (!pool_.Is(id, changed(first), second) && !pool_.FirstIs(id, changed(first)))) &&
        (second.empty() ||
         (!pool_.Is(id, first, changed(second)) && !pool_.SecondIs(id, changed(second))));
    if (!right) {
      Fail("name", input_, first + " " + second, pool_.First(id) + " " + pool_.Second(id));
    }
  }

  std::string_view input_;
  std::size_t max_names_;
  std::size_t max_pieces_;
  TextPool long_texts_;
  NamePool pool_;
  std::map<NameId, Name> names_;
  std::uint64_t freed_ = 0;
};

// ---- eligible sets -----------------------------------------------------------

class QueuesRun {
 public:
  QueuesRun(std::string_view input, std::uint8_t size)
      : input_(input), table_(kMembers, 0), queues_(table_, kLanes, kPartitions) {
    for (unsigned number = 0; number < kMembers; ++number) {
      // Executions with equal scores are ordered by uuid, not by slot.
      const unsigned place = (number * 7 + size) % kMembers;
      Uuid uuid;
      uuid.bytes[15] = static_cast<std::uint8_t>(place);
      const std::uint64_t hash = number * 0x9E3779B97F4A7C15u;
      const std::scoped_lock lock(table_.LockOf(hash));
      const Slot slot = table_.Insert(hash);
      internal::ExecutionRecord& record = table_[slot];
      record.uuid = uuid;
      record.required = number % 3;
      record.priority = static_cast<std::uint16_t>(number / 3 % 3 * 4500);
      const std::int64_t created_at = 1'700'000'000'000 + number / 9 % 2;
      table_.extra(slot).created_at.Set(created_at);
      // Contract 3 defines the score.
      const std::int64_t score = -(std::int64_t{record.priority} * 1'000'000'000'000) + created_at;
      members_.push_back({slot, record.required, {score, place, slot}});
    }
  }

  void Take(const Step& step) {
    Change(step);
    Check();
  }

 private:
  static constexpr unsigned kMembers = 36;
  static constexpr std::size_t kLanes = 2;
  static constexpr std::uint16_t kPartitions = 130;
  static constexpr std::uint16_t kPlaces[] = {0, 63, 64, 129};
  using Order = std::tuple<std::int64_t, unsigned, Slot>;  // score, place by uuid, slot
  using Sets = std::map<NameId, std::set<Order>>;          // by what an execution requires
  struct Member {
    Slot slot;
    NameId required;
    Order order;
  };

  void Change(const Step& step) {
    const Member& member = members_[step[1] % kMembers];
    // Each execution stands in one lane and one partition.
    const unsigned number = step[1] % kMembers;
    const auto lane = static_cast<std::uint16_t>(number % 5 == 0);
    const std::uint16_t partition = kPlaces[number / 5 % std::size(kPlaces)];
    Sets& sets = expected_[{lane, partition}];
    const std::scoped_lock lock(queues_.LockOf(partition));
    switch (step[0] % 4) {
      case 0:
      case 1:
        queues_.Push(lane, partition, member.slot);
        sets[member.required].insert(member.order);
        break;
      case 2:
        queues_.Remove(lane, partition, member.slot);
        Drop(sets, member);
        break;
      default:
        if (!sets.empty()) {  // takes the best of the executions that require the same
          auto kind = sets.begin();
          std::advance(kind, step[2] % sets.size());
          const Order best = *kind->second.begin();
          queues_.Remove(lane, partition, std::get<2>(best));
          Drop(sets, *std::find_if(members_.begin(), members_.end(),
                                   [&](const Member& m) { return m.order == best; }));
        }
        break;
    }
  }

  static void Drop(Sets& sets, const Member& member) {
    const auto kind = sets.find(member.required);
    if (kind == sets.end()) return;
    kind->second.erase(member.order);
    if (kind->second.empty()) sets.erase(kind);
  }

  void Check() {
    for (std::uint16_t lane = 0; lane < kLanes; ++lane) {
      for (const std::uint16_t partition : kPlaces) {
        const Sets& sets = expected_[{lane, partition}];
        std::set<Slot> tops;
        for (const auto& [required, orders] : sets) tops.insert(std::get<2>(*orders.begin()));
        const std::scoped_lock lock(queues_.LockOf(partition));
        std::set<Slot> found;
        for (Slot top = queues_.FirstTop(lane, partition); top != kNoSlot;
             top = queues_.NextTop(top)) {
          if (!found.insert(top).second) Fail("a top comes twice", input_);
        }
        if (found != tops) {
          Fail("tops", input_, std::to_string(tops.size()), std::to_string(found.size()));
        }
        Observe(found.size());
      }
      for (const std::size_t from : {0, 1, 63, 64, 65, 128, 129}) {
        std::size_t next = kPartitions;
        for (const std::uint16_t partition : kPlaces) {
          if (partition >= from && !expected_[{lane, partition}].empty()) {
            next = std::min<std::size_t>(next, partition);
          }
        }
        const std::size_t found = queues_.NextNonEmpty(lane, from);
        if (found != next) {
          Fail("next non-empty", input_, std::to_string(next), std::to_string(found));
        }
      }
    }
    for (const Member& a : members_) {
      const Member& b = members_[a.slot % kMembers];
      if (queued(a) && queued(b) && queues_.Before(a.slot, b.slot) != (a.order < b.order)) {
        Fail("before", input_, std::to_string(a.order < b.order));
      }
    }
  }

  bool queued(const Member& member) const {
    return std::any_of(expected_.begin(), expected_.end(), [&](const auto& entry) {
      const auto kind = entry.second.find(member.required);
      return kind != entry.second.end() && kind->second.count(member.order) != 0;
    });
  }

  std::string_view input_;
  ExecutionTable table_;
  ReadyQueues queues_;
  std::vector<Member> members_;
  std::map<std::pair<std::uint16_t, std::uint16_t>, Sets> expected_;  // by lane and partition
};

template <class Run>
void RunAll(std::string_view input) {
  Run run(input, input.size() > 1 ? static_cast<std::uint8_t>(input[1]) : 0);
  ForEachRecord<kWidth>(input.substr(std::min(kHeader, input.size())), kMaxRecords,
                        [&run](const Step& step) { run.Take(step); });
}

// Makes several steps of one kind in a row, so that the part under test fills up.
std::size_t GenerateRow(Random& random, std::span<std::uint8_t> records) {
  const auto what = static_cast<std::uint8_t>(random.Next());
  for (std::size_t i = 0; i < RecordFormat::kMaxRow; ++i) {
    AnyBytes(random, records.subspan(i * kWidth, kWidth));
    records[i * kWidth] = what;
  }
  return RecordFormat::kMaxRow;
}
constexpr RecordFormat kFormat = {kHeader,  kWidth,      kMaxRecords, AnyBytes,
                                  AnyBytes, GenerateRow, AnyBytes};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

// The first byte chooses the part, the second its size. Then each record of four bytes is a step.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  switch (data[0] % 3) {
    case 0:
      RunAll<TableRun>(input);
      break;
    case 1:
      RunAll<NamesRun>(input);
      break;
    default:
      RunAll<QueuesRun>(input);
      break;
  }
  return 0;
}

FFGRANT_FUZZ_RECORD_MUTATORS(kFormat)
