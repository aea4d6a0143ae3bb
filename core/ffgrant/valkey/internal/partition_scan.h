// SPDX-License-Identifier: Apache-2.0
//
// The heads of the partitions' eligible sets, asked for from many servers at once.

#ifndef FFGRANT_VALKEY_INTERNAL_PARTITION_SCAN_H_
#define FFGRANT_VALKEY_INTERNAL_PARTITION_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {

class Session;

// What one session has asked the partitions, and what they have said. A call need not wait for
// all of its questions: those that are open when it returns stay here, and their answers are
// thrown away. So a server that does not answer holds up no call that finds something
// elsewhere, and only the first that does not.
//
// A partition that did not answer in time is late: later calls pass it over. Each of them asks
// one late partition again, without waiting. The first answer of a late one ends lateness for
// all: whatever was wrong is over, and what is still wrong shows again.
//
// A part of its session. One thread at a time, which has the answers put here by whichever
// thread leads at the client: the mutex is for these two, and is never held while the session
// is called.
class PartitionScan {
 public:
  struct Head {
    bool unreachable = false;  // no answer
    bool fault = false;        // an error instead of an answer
    bool there = false;        // the eligible set has a first member
    bool canonical = false;    // its id; others can't be claimed
    bool granted = true;
    bool suits = false;
    Uuid uuid;
  };

  // A partition that a call waits for, by its place in the call's window.
  struct Waiting {
    enum class Step : std::uint8_t {
      kAgain,  // until what a call before has asked is over: then it is asked
      kHead,
      kState,
    };
    std::uint32_t offset;
    Step step;
  };
  // The current call's; here so that their memory is kept.
  std::vector<Waiting> active;
  std::vector<Waiting> aside;

  explicit PartitionScan(Session& session) : session_(session) {}
  PartitionScan(const PartitionScan&) = delete;

  // A new call, of always as many partitions; nobody is interested in what earlier ones asked.
  // `offered` is looked at until End(), then nobody is interested in this call's either.
  void Begin(std::uint16_t partitions, std::string_view offered);
  void End() noexcept;

  // Asks for the head, where nothing is open; then for the grant and the requirements of the
  // head that was found.
  void AskForHead(std::uint16_t partition, LaneIdView lane);
  void AskForState(std::uint16_t partition);

  // Whether an answer is outstanding, of whichever call's question.
  bool IsOpen(std::uint16_t partition) const noexcept {
    const Lock lock(mutex_);
    return places_[partition].open != 0;
  }
  // What was said to this call, once nothing is open.
  Head head(std::uint16_t partition) const noexcept {
    const Lock lock(mutex_);
    return places_[partition].head;
  }

  bool IsLate(std::uint16_t partition) const noexcept {
    const Lock lock(mutex_);
    return IsLateLocked(partition);
  }
  void MarkLate(std::uint16_t partition) noexcept {
    const Lock lock(mutex_);
    MarkLateLocked(partition);
  }
  void ForgetLateness() noexcept {
    const Lock lock(mutex_);
    ForgetLatenessLocked();
  }
  std::size_t late() const noexcept {
    const Lock lock(mutex_);
    return late_;
  }
  std::uint32_t call() const noexcept {
    const Lock lock(mutex_);
    return call_;
  }

 private:
  enum class Question : std::uint8_t { kHead, kGrant, kRequirements };
  struct Place {
    Head head;
    std::uint32_t call = 0;        // whose question it was
    std::uint32_t late_since = 0;  // the epoch
    std::uint8_t open = 0;
  };
  using Lock = std::lock_guard<std::mutex>;

  // What is open has been counted by then.
  template <class Write>
  void Ask(std::uint16_t partition, Question question, const Write& write);
  // With the lock.
  bool IsLateLocked(std::uint16_t partition) const noexcept {
    return places_[partition].late_since == epoch_;
  }
  void MarkLateLocked(std::uint16_t partition) noexcept;
  void ForgetLatenessLocked() noexcept;
  bool Read(std::uint16_t partition, Question question, const Reply& reply, Head& head) const;
  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept;
  static void OnFailure(void* self, std::uint64_t tag, CallFailure, std::string_view) noexcept;

  Session& session_;
  mutable std::mutex mutex_;   // of all below
  std::vector<Place> places_;  // one a partition
  std::string_view offered_;   // the current call's
  std::uint32_t call_ = 0;
  std::uint32_t epoch_ = 1;  // of lateness
  std::size_t late_ = 0;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_PARTITION_SCAN_H_
