// SPDX-License-Identifier: Apache-2.0
//
// One server as the client sees it: its connection, what was sent on it, and
// what is still to be answered.

#ifndef FFGRANT_VALKEY_INTERNAL_NODE_H_
#define FFGRANT_VALKEY_INTERNAL_NODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/reply.h"
#include "ffgrant/valkey/network.h"
#include "ffgrant/valkey/server_info.h"

namespace ffgrant::valkey::internal {

// What the client asks on its own behalf. From kAuth to kSlots in this order on
// a new connection, each only where there is a reason; then it is ready.
enum class Errand : std::uint8_t {
  kNone,
  kAuth,        // AUTH [user] password
  kInfo,        // INFO server replication: who is it
  kClientId,    // CLIENT ID, by which this connection can be fenced one day
  kFence,       // CLIENT KILL ID of the one before
  kOwnVersion,  // FCALL ffgrant_version 0
  kVersion,     // FCALL ff_version 0
  kLoad,        // FUNCTION LOAD
  kReplace,     // FUNCTION LOAD REPLACE
  kSlots,       // CLUSTER SLOTS
};

// What the next reply belongs to.
struct Expected {
  enum class Kind : std::uint8_t { kRequest, kAsking, kErrand };
  Kind kind = Kind::kRequest;
  std::uint32_t request = 0;
  std::uint64_t end = 0;  // of its bytes, in all that was ever written here
};

// A queue in a ring that grows to the power of two it needs and no more.
class ExpectedQueue {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  const Expected& front() const noexcept { return ring_[begin_]; }
  void pop() noexcept {
    begin_ = (begin_ + 1) & (ring_.size() - 1);
    --size_;
  }
  void push(const Expected& expected) {
    if (size_ == ring_.size()) Grow();
    ring_[(begin_ + size_++) & (ring_.size() - 1)] = expected;
  }
  void clear() noexcept { begin_ = size_ = 0; }

 private:
  void Grow() {
    std::vector<Expected> larger(ring_.empty() ? 16 : 2 * ring_.size());
    for (std::size_t i = 0; i < size_; ++i) larger[i] = ring_[(begin_ + i) & (ring_.size() - 1)];
    ring_ = std::move(larger);
    begin_ = 0;
  }

  std::vector<Expected> ring_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

// Bytes to be written, which go in at the end and out at the front. What went
// out makes room again also if it never becomes empty.
class OutputBuffer {
 public:
  // To append to, and nothing else.
  std::string& end() noexcept { return bytes_; }
  std::string_view pending() const noexcept { return std::string_view(bytes_).substr(begin_); }
  bool empty() const noexcept { return begin_ == bytes_.size(); }
  std::size_t size() const noexcept { return bytes_.size() - begin_; }
  std::size_t capacity() const noexcept { return bytes_.capacity(); }

  // Removes the first `size` pending bytes.
  void Consume(std::size_t size) noexcept {
    begin_ += size;
    // Moved seldom enough to cost less than one copy a byte.
    if (begin_ == bytes_.size() || (begin_ >= kMoveSize && begin_ >= bytes_.size() / 2)) {
      bytes_.erase(0, begin_);
      begin_ = 0;
    }
  }
  void clear() noexcept {
    bytes_.clear();
    begin_ = 0;
  }

 private:
  static constexpr std::size_t kMoveSize = std::size_t{64} << 10;
  std::string bytes_;
  std::size_t begin_ = 0;
};

struct Node {
  enum class State : std::uint8_t { kDown, kConnecting, kGreeting, kReady };

  Node(int number, Endpoint where, std::unique_ptr<Stream> s, const ReplyLimits& limits)
      : index(number), endpoint(std::move(where)), stream(std::move(s)), reader(limits) {}

  bool up() const noexcept { return state == State::kGreeting || state == State::kReady; }
  // What is appended to `out` from here on ends at this place of the stream.
  std::uint64_t appended() const noexcept { return written + out.size(); }

  const int index;
  Endpoint endpoint;
  std::unique_ptr<Stream> stream;
  State state = State::kDown;
  ReplyReader reader;
  OutputBuffer out;
  std::uint64_t written = 0;  // bytes, over this connection
  ExpectedQueue expected;
  Errand errand = Errand::kNone;  // the one that is under way

  bool wanted = false;  // a request waits for it
  std::uint32_t failures = 0;
  std::int64_t retry_at = 0;
  std::int64_t deadline = 0;  // of connecting and greeting
  std::string down_reason;

  // Who this is, and who the connection is there; run_id changes with the process.
  std::string run_id;
  std::int64_t client_id = 0;
  bool replica = false;
  bool library_checked = false;  // on this connection
  // The broken connection to be fenced: 0 if none, kUnfenceable if there is one
  // that can't be (an ACL forbids to ask for its id, or to kill it).
  static constexpr std::int64_t kUnfenceable = -1;
  std::string fence_run_id;
  std::int64_t fence_client_id = 0;

  void WantFence() {
    fence_run_id = run_id;
    fence_client_id = client_id > 0 && !run_id.empty() ? client_id : kUnfenceable;
  }
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_NODE_H_
