// SPDX-License-Identifier: Apache-2.0
//
// Describes one server as the client sees it: the connection to the server, what was sent on this
// connection, and what is still to be answered.

#ifndef FFGRANT_VALKEY_INTERNAL_NODE_H_
#define FFGRANT_VALKEY_INTERNAL_NODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/cluster_table.h"
#include "ffgrant/valkey/internal/lost_connections.h"
#include "ffgrant/valkey/internal/reply.h"
#include "ffgrant/valkey/network.h"
#include "ffgrant/valkey/server_info.h"

namespace ffgrant::valkey::internal {

// What the client asks a server for its own use, not for a caller. On a new connection the client
// runs the errands kAuth to kSlots, each only if there is a reason, and mostly in this order. There
// are two exceptions: kReplace is followed by kVersion, and a stranger is asked for kMembers and
// kSlots before kOwnVersion. Then the connection is ready.
enum class Errand : std::uint8_t {
  kNone,
  kAuth,        // AUTH [user] password; if either is given
  kSetName,     // CLIENT SETNAME; if a name is given
  kInfo,        // INFO server replication: who is the server?
  kClientId,    // CLIENT ID: the id by which this connection can be fenced one day
  kNodeId,      // CLUSTER MYID; only for a node of a cluster
  kFence,       // CLIENT KILL ID of a lost connection; once for each
  kOwnVersion,  // FCALL ffgrant_version 0
  kVersion,     // FCALL ff_version 0
  kLoad,        // FUNCTION LOAD
  kReplace,     // FUNCTION LOAD REPLACE
  kMembers,     // CLUSTER NODES: who is in the cluster?
  kSlots,       // CLUSTER SLOTS: who serves which slots?
  kPing,        // PING: is the connection alive? Only on a ready connection
};

// Which functions are called on a server (function_library.h).
enum class Functions : std::uint8_t {
  kUnchecked,   // not known yet, or the server is a replica, where FlowFabric's are called
  kFlowFabric,  // ff_x
  kOwn,         // ffgrant_x
  kNone,        // no functions can be called; `library_refusal` says why
};

// What an expected reply belongs to.
struct Expected {
  enum class Kind : std::uint8_t {
    kRequest,
    kAbandoned,  // a request that has already ended: its time was up, or it was cancelled
    kAsking,
    kErrand,
  };
  Kind kind = Kind::kRequest;
  std::uint32_t request = 0;
  std::uint64_t end = 0;  // where the command's bytes end, counted from the first byte written on
                          // this connection
  std::int64_t sent_at = 0;
};

// A queue in a ring. A ring that is full doubles its size, from 0 to 16 the first time. So the size
// is a power of two, or 0.
class ExpectedQueue {
 public:
  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  const Expected& front() const noexcept { return ring_[begin_]; }
  // The entry of the request with the index `number`. This entry must be in the queue.
  Expected& of_request(std::uint32_t number) noexcept {
    std::size_t i = begin_;
    while (ring_[i].kind != Expected::Kind::kRequest || ring_[i].request != number) {
      i = (i + 1) & (ring_.size() - 1);
    }
    return ring_[i];
  }
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

// Bytes to be written: they are added at the end and removed at the front. Removed bytes make room
// again even if the buffer never becomes empty.
class OutputBuffer {
 public:
  // The caller may only append to this text.
  std::string& end() noexcept { return bytes_; }
  std::string_view pending() const noexcept { return std::string_view(bytes_).substr(begin_); }
  bool empty() const noexcept { return begin_ == bytes_.size(); }
  std::size_t size() const noexcept { return bytes_.size() - begin_; }
  std::size_t capacity() const noexcept { return bytes_.capacity(); }

  // Removes the first `size` pending bytes.
  void Consume(std::size_t size) noexcept {
    begin_ += size;
    // A move copies no more bytes than were removed since the last move.
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

  void BecomeReady() noexcept {
    state = State::kReady;
    greeted = true;
  }
  bool up() const noexcept { return state == State::kGreeting || state == State::kReady; }
  // Where the bytes that are in `out` now end, counted from the first byte written on this
  // connection.
  std::uint64_t appended() const noexcept { return written + out.size(); }

  int index;  // in the client's list of nodes
  Endpoint endpoint;
  std::unique_ptr<Stream> stream;
  State state = State::kDown;
  bool greeted = false;  // this connection has been ready; it may be greeting again
  ReplyReader reader;
  OutputBuffer out;
  std::uint64_t written = 0;  // bytes written on this connection
  ExpectedQueue expected;
  Errand errand = Errand::kNone;  // the errand that is under way

  bool wanted = false;                // the client wants a connection to this node
  bool refused = false;               // the node is down, and the client must not ask it for now
  std::uint32_t failures = 0;         // failures in a row since the last answer to a call
  std::uint64_t failed_attempts = 0;  // failed tries to connect or greet, in all
  std::int64_t retry_at = 0;
  std::int64_t deadline = 0;  // for connecting, greeting, and an errand
  std::string down_reason;

  // Who the server is, and the connection's id there. run_id changes with the process.
  std::string node_id;
  std::string run_id;
  bool cluster = false;
  // The server says that it is no node of a cluster. Without INFO this and `cluster` are both
  // false.
  bool standalone = false;
  std::int64_t latest_start = -1;  // see ServerIdentity
  std::int64_t client_id = 0;
  bool replica = false;

  // The functions of the server, as found on this connection.
  bool has_library = false;  // the client has looked for the functions
  Functions functions = Functions::kUnchecked;
  bool load_tried = false;      // loading was tried since the last look for the functions
  std::string own_version;      // the version of our library; empty if it isn't there
  std::string library_refusal;  // why `functions` is kNone, if it is

  // The node's place in the cluster.
  std::string announced_id;  // the id that the last good table has for this address; may be empty
  // The server here is not known to belong to the cluster, so no caller's command is sent there
  // yet. Once the server is known to belong to it, the client looks for the functions, unless it
  // has done so before.
  bool stranger = false;
  // The newest table does not need this node, the node was disowned, or it is there only to shut a
  // lost connection. ForgetIdle() forgets it once it is idle.
  bool leaving = false;
  bool pursued = false;              // a lost connection is to be shut there
  std::int64_t unreachable_at = -1;  // when connecting or greeting failed last
  // When this node last gave no table that could be accepted; -1: not since the last good table.
  std::int64_t refused_at = -1;
  bool forbids_tables = false;  // its last answer was that the user may not ask for tables
  // What CLUSTER NODES has answered, kept until CLUSTER SLOTS has answered as well.
  std::vector<Member> told;
  std::string told_own_id;

  // Nothing more is sent on this connection. What is under way still gets its answers; then the
  // connection is closed, for `drain_reason`.
  bool draining = false;
  std::string drain_reason;

  // How many requests under way here have already been ended. No request is sent after them,
  // because the server may be dead.
  std::size_t abandoned = 0;
  std::int64_t heard_at = 0;        // when anything was last received
  std::uint64_t lost = 0;           // this connection's number among the lost ones; 0: none
  LostConnections::Fence fencing;   // the connection that kFence shuts
  std::int64_t fence_again_at = 0;  // until then kFence is not run, since it was refused for now

  ServerIdentity identity() const noexcept {
    return {.node_id = node_id,
            .run_id = run_id,
            .endpoint = endpoint,
            .cluster = cluster,
            .latest_start = latest_start};
  }
  // Whether a request can be sent now.
  bool serves() const noexcept {
    return state == State::kReady && !stranger && has_library && !draining && abandoned == 0 &&
           errand != Errand::kPing;
  }
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_NODE_H_
