// SPDX-License-Identifier: Apache-2.0
//
// Asks many servers at once for the heads of a lane's eligible sets, and about the grants and the
// requirements of these heads.

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

// What one session has asked the partitions, and what they have said. A call need not wait for the
// answers to all of its questions. Questions that are still open when the call returns stay here,
// and their answers are thrown away. So a server that does not answer does not hold up a call that
// finds something elsewhere. A call that finds nothing elsewhere waits for such a server only if it
// is the first such call, or if it has no other server to ask.
//
// A partition that did not answer in time is late, and later calls pass it over, unless all
// partitions of a call's window are late. Each call asks one late partition of its window again,
// without waiting for it. Once a late partition answers, no partition is late any more: either the
// trouble has ended, or partitions become late anew.
//
// A scan is a part of its session. One thread at a time uses the scan, and the thread that leads at
// the client stores the answers here. The mutex protects these two threads from each other. No
// thread holds the mutex while it calls the session.
class PartitionScan {
 public:
  struct Head {
    bool unreachable = false;  // there was no answer
    bool fault = false;        // there was an error instead of an answer
    bool there = false;        // the eligible set has a first member
    bool canonical = false;    // its id is canonical and of this partition; an execution with
                               // another id can't be claimed
    bool granted = true;
    bool suits = false;
    Uuid uuid;
  };

  // A partition that a call waits for, by its place in the call's window.
  struct Waiting {
    enum class Step : std::uint8_t {
      kAgain,  // an earlier call's question is still open; the head is asked for once that question
               // has been answered
      kHead,
      kState,
    };
    std::uint32_t offset;
    Step step;
  };
  // Lists that the current call uses. They are members of the scan so that each call uses their
  // memory again.
  std::vector<Waiting> active;
  std::vector<Waiting> aside;
  // The late partition that a call of this session asked again last.
  std::uint16_t asked_again = 0;

  explicit PartitionScan(Session& session) : session_(session) {}
  PartitionScan(const PartitionScan&) = delete;

  // Begin() starts a new call; `partitions` must be the same number in every call. From then on,
  // answers to earlier calls' questions only end or begin lateness. `offered` must live until
  // End(). After End() the same holds for the answers to this call's questions.
  void Begin(std::uint16_t partitions, std::string_view offered);
  void End() noexcept;

  // AskForHead() asks for the partition's head. It may be called only while no question to the
  // partition is open. AskForState() then asks for the grant and the requirements of the head that
  // was found.
  void AskForHead(std::uint16_t partition, LaneIdView lane);
  void AskForState(std::uint16_t partition);

  // Whether an answer is outstanding, whichever call asked.
  bool IsOpen(std::uint16_t partition) const noexcept {
    const Lock lock(mutex_);
    return places_[partition].open != 0;
  }
  // Returns what the partition has said to this call. May be called only while no question to the
  // partition is open.
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

 private:
  enum class Question : std::uint8_t { kHead, kGrant, kRequirements };
  struct Place {
    Head head;
    std::uint32_t call = 0;        // the number of the call that asked last
    std::uint32_t late_since = 0;  // the epoch in which the partition became late
    std::uint8_t open = 0;
  };
  using Lock = std::lock_guard<std::mutex>;

  // The caller of Ask() must already have counted the question in `open`.
  template <class Write>
  void Ask(std::uint16_t partition, Question question, const Write& write);
  // The caller must hold the lock.
  bool IsLateLocked(std::uint16_t partition) const noexcept {
    return places_[partition].late_since == epoch_;
  }
  void MarkLateLocked(std::uint16_t partition) noexcept;
  void ForgetLatenessLocked() noexcept;
  bool Read(std::uint16_t partition, Question question, const Reply& reply, Head& head) const;
  // Takes an answer, and stores it if the current call has asked for it. Returns false, and takes
  // nothing, if `reply` can't be the answer.
  bool Take(std::uint16_t partition, Question question, const Reply& reply);
  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept;
  static void OnFailure(void* self, std::uint64_t tag, CallFailure, std::string_view) noexcept;

  Session& session_;
  mutable std::mutex mutex_;   // protects all below
  std::vector<Place> places_;  // one for each partition
  std::string_view offered_;   // the capabilities that the current call offers
  std::uint32_t call_ = 0;
  std::uint32_t epoch_ = 1;  // a new epoch ends all lateness
  std::size_t late_ = 0;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_PARTITION_SCAN_H_
