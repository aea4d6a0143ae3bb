// SPDX-License-Identifier: Apache-2.0
//
// What the embedded ledger is made of, each part by itself beside a map: the
// table of executions, with hashes that collide as the input likes; the pool of
// names, which runs full and is swept; the eligible sets in the order of
// contract 3. All three are small, so that bounds and full places come up.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
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

constexpr std::size_t kHeader = 2;  // which part, and its size
constexpr std::size_t kWidth = 4;
constexpr std::size_t kMaxRecords = 96;

using Step = std::array<std::uint8_t, kWidth>;

// ---- table -------------------------------------------------------------------

constexpr unsigned kExecutions = 40;

// The first is all zeros, as a record is that was never written.
MintedExecutionId IdOf(unsigned number) {
  Uuid uuid;
  uuid.bytes.fill(static_cast<std::uint8_t>(number / 2));
  if (number % 8 >= 6) uuid.bytes[number % 16] ^= 0x80;
  return MintedExecutionId(static_cast<std::uint16_t>(number % 2), uuid);
}

class TableRun {
 public:
  TableRun(std::string_view input, std::uint8_t size) : input_(input), table_(1 + size % 32) {}

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
          table_.Erase(HashOf(number), held->second);
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
  // Few tags and few words, so that executions get in one another's way.
  static std::uint64_t HashOf(unsigned number) {
    constexpr std::uint64_t kTags[] = {0, 1, 2, 0x7F};
    constexpr std::uint64_t kMiddles[] = {0, 0xFFFFFFFF, 0x80000000};
    return kTags[number % 4] << 56 | kMiddles[number / 4 % 3] << 16;
  }

  void Insert(unsigned number) {
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
      const Slot found = table_.Find(HashOf(number), id.view());
      if (found != expected) {
        Fail("find", input_, std::to_string(expected), std::to_string(found));
      }
      if (expected != kNoSlot) taken.insert(expected);
    }
    for (Slot slot = 0; slot < table_.slot_count(); ++slot) {
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

class NamesRun {
 public:
  NamesRun(std::string_view input, std::uint8_t size)
      : input_(input),
        max_names_(1 + size % 8),
        max_bytes_(4 + size / 8 * 3u),
        pool_(max_names_, max_bytes_) {}

  void Take(const Step& step) {
    if (step[0] % 4 == 0) {
      Keep(step[1]);
    } else {
      Intern(TextOf(step[1]), TextOf(step[2]));
    }
    Check();
  }

 private:
  // Some begin or end like others; up to 20 bytes.
  static std::string_view TextOf(std::uint8_t choice) {
    constexpr std::string_view kText = "aaaaaaaabaaaaaaaacaaaaaaaabaaaaaaaab";
    const std::size_t size = choice % 21;
    return kText.substr(choice / 21, size);
  }

  void Intern(std::string_view first, std::string_view second) {
    const NameId id = pool_.Intern(first, second);
    const auto known = std::find_if(names_.begin(), names_.end(), [&](const auto& entry) {
      return entry.second == std::pair(std::string(first), std::string(second));
    });
    NameId expected = id;  // any that is free
    if (first.empty() && second.empty()) {
      expected = 0;
    } else if (known != names_.end()) {
      expected = known->first;
    } else if (names_.size() == max_names_ || Bytes() + first.size() + second.size() > max_bytes_) {
      expected = NamePool::kFull;
    } else if (id == 0 || id > max_names_ || names_.count(id) != 0) {
      Fail("a new name's number", input_, "a free one", std::to_string(id));
    } else {
      names_[id] = {std::string(first), std::string(second)};
    }
    if (id != expected) Fail("intern", input_, std::to_string(expected), std::to_string(id));
    Observe(id);
  }

  void Keep(std::uint8_t kept) {
    std::vector<std::uint8_t> in_use(max_names_ + 1);
    for (std::size_t id = 1; id <= max_names_; ++id) in_use[id] = kept >> (id - 1) & 1;
    pool_.Keep(in_use);
    for (auto it = names_.begin(); it != names_.end();) {
      if (in_use[it->first]) {
        ++it;
      } else {
        it = names_.erase(it);
        ++freed_;
      }
    }
  }

  std::size_t Bytes() const {
    std::size_t bytes = 0;
    for (const auto& [id, name] : names_) bytes += name.first.size() + name.second.size();
    return bytes;
  }

  void Check() {
    if (pool_.freed() != freed_) {
      Fail("freed", input_, std::to_string(freed_), std::to_string(pool_.freed()));
    }
    for (NameId id = 0; id <= max_names_; ++id) {
      const auto it = names_.find(id);
      const std::pair<std::string, std::string> name =
          it == names_.end() ? std::pair<std::string, std::string>() : it->second;
      if (pool_.First(id) != name.first || pool_.Second(id) != name.second ||
          !pool_.Is(id, name.first, name.second) || pool_.Is(id, name.first + "b", name.second) ||
          pool_.Is(id, name.first, name.second + "a")) {
        Fail("name", input_, name.first + " " + name.second,
             std::string(pool_.First(id)) + " " + std::string(pool_.Second(id)));
      }
    }
  }

  std::string_view input_;
  std::size_t max_names_;
  std::size_t max_bytes_;
  NamePool pool_;
  std::map<NameId, std::pair<std::string, std::string>> names_;
  std::uint64_t freed_ = 0;
};

// ---- eligible sets -----------------------------------------------------------

class QueuesRun {
 public:
  QueuesRun(std::string_view input, std::uint8_t size)
      : input_(input), table_(kMembers), queues_(table_, kLanes, kPartitions) {
    for (unsigned number = 0; number < kMembers; ++number) {
      // The order among equal scores is that of the uuids, not of the slots.
      const unsigned place = (number * 7 + size) % kMembers;
      Uuid uuid;
      uuid.bytes[15] = static_cast<std::uint8_t>(place);
      const Slot slot = table_.Insert(number * 0x9E3779B97F4A7C15u);
      internal::ExecutionRecord& record = table_[slot];
      record.uuid = uuid;
      record.required = number % 3;
      record.priority = static_cast<std::uint16_t>(number / 3 % 3 * 4500);
      record.created_at = 1'700'000'000'000 + number / 9 % 2;
      // contract 3
      const std::int64_t score =
          -(std::int64_t{record.priority} * 1'000'000'000'000) + record.created_at;
      members_.push_back({slot, record.required, {score, place, slot}});
    }
  }

  void Take(const Step& step) {
    const Member& member = members_[step[1] % kMembers];
    // Each stands in one lane and partition, as an execution does.
    const unsigned number = step[1] % kMembers;
    const auto lane = static_cast<std::uint16_t>(number % 5 == 0);
    const std::uint16_t partition = kPlaces[number / 5 % std::size(kPlaces)];
    Sets& sets = expected_[{lane, partition}];
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
        if (!sets.empty()) {  // the best of one kind
          auto kind = sets.begin();
          std::advance(kind, step[2] % sets.size());
          const Order best = *kind->second.begin();
          queues_.Remove(lane, partition, std::get<2>(best));
          Drop(sets, *std::find_if(members_.begin(), members_.end(),
                                   [&](const Member& m) { return m.order == best; }));
        }
        break;
    }
    Check();
  }

 private:
  static constexpr unsigned kMembers = 36;
  static constexpr std::size_t kLanes = 2;
  static constexpr std::uint16_t kPartitions = 130;
  static constexpr std::uint16_t kPlaces[] = {0, 63, 64, 129};
  using Order = std::tuple<std::int64_t, unsigned, Slot>;  // score, uuid
  using Sets = std::map<NameId, std::set<Order>>;          // by what is required
  struct Member {
    Slot slot;
    NameId required;
    Order order;
  };

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

// Several of one kind, which fill what there is to fill.
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

// A byte says which part, one how large, then records of four: a step each.
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
