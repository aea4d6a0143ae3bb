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
  // Of the data's history, and of the one that it goes on from since this server
  // was promoted.
  std::string history;
  std::string former_history;
  std::int64_t client_id = 0;
  bool replica = false;
  bool asked = false;  // behind ASKING, on this connection
  std::string library_refusal;  // why the library could not be loaded, on this connection

  // The broken connection to be fenced: 0 if none, kUnfenceable if there is one
  // that can't be (an ACL forbids to ask for its id, or to kill it). It was to
  // the server at fence_endpoint, which need not be the one that is asked now.
  static constexpr std::int64_t kUnfenceable = -1;
  std::int64_t fence_client_id = 0;
  // False: this node of a cluster has no slots any more, so that what it still
  // executes is no part of what survives. If it is asked once more after all, the
  // connection is shut before.
  bool fence_matters = true;
  // Of what was sent behind ASKING, that doesn't hold: the slot was on its way to
  // this node, and no table had it yet.
  bool fence_was_asked = false;
  Endpoint fence_endpoint;
  std::string fence_run_id;
  std::string fence_history;

  // For the connection that breaks.
  void WantFence() {
    fence_matters = true;
    fence_was_asked = asked || (fence_client_id != 0 && fence_was_asked);
    if (fence_client_id == 0) {
      fence_client_id = client_id > 0 && !run_id.empty() ? client_id : kUnfenceable;
      fence_endpoint = endpoint;
      fence_run_id = run_id;
      fence_history = history;
      return;
    }
    // There is an older one still. One at a time can be shut; both are gone only
    // with the process, if it is the same one.
    fence_client_id = kUnfenceable;
    if (fence_run_id != run_id) {
      fence_run_id.clear();
      fence_history.clear();
    }
  }
  bool has_open_fence() const noexcept { return fence_client_id != 0 && fence_matters; }
  // Whether that connection can be shut here.
  bool CanFence() const noexcept { return fence_client_id > 0 && fence_run_id == run_id; }
  // Whether nothing of what it still carries can ever be seen: it went with its
  // process, in whose place is another one now; or here is a replica of that
  // server, promoted in its stead.
  bool FenceIsPast() const noexcept {
    if (fence_run_id.empty() || run_id.empty() || fence_run_id == run_id) return false;
    if (fence_endpoint == endpoint) return true;
    return !fence_history.empty() && fence_history == former_history;
  }
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_NODE_H_
