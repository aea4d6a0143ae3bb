// SPDX-License-Identifier: Apache-2.0
//
// Commands to a server or a cluster, many at once, each with exactly one end:
//
//   Submit --> waiting --> sent --> on_reply    the server's answer
//                ^  |        | `--> on_failure  kUnknownOutcome: it was sent, and
//                |  |        |                  its answer will never come
//                |  `--------|----> on_failure  kUnavailable: it did not happen
//                `-----------'
//       redirected (MOVED, ASK), refused for now (TRYAGAIN, LOADING, ...), or
//       the connection broke before all of it was sent
//
// A command is repeated by itself only if the server can't have executed it, or
// if it only reads. A broken connection on which something may still have been
// under way is fenced: the next one kills it on the server (CLIENT KILL ID)
// before anything else is asked, so that what is then read is final.
//
// One thread at a time. Allocates nothing once buffers and nodes are there.

#ifndef FFGRANT_VALKEY_INTERNAL_CLIENT_H_
#define FFGRANT_VALKEY_INTERNAL_CLIENT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/client_options.h"
#include "ffgrant/valkey/internal/node.h"
#include "ffgrant/valkey/internal/reply.h"
#include "ffgrant/valkey/internal/resp_command.h"

namespace ffgrant::valkey::internal {

enum class CallFailure : std::uint8_t { kUnknownOutcome, kUnavailable };

// Who is told how a command ended. Called from within Poll(), Settle() and
// Close(), the destructor's too, but never Submit(); must not call the client.
struct CallTarget {
  void* self = nullptr;
  // False, and nothing remembered: this can't be the answer to that command.
  // The stream is then out of step: the connection is given up, and the
  // command's end is on_failure.
  bool (*on_reply)(void* self, std::uint64_t tag, const Reply& reply) noexcept = nullptr;
  void (*on_failure)(void* self, std::uint64_t tag, CallFailure failure,
                     std::string_view text) noexcept = nullptr;
  std::uint64_t tag = 0;
};

class Client {
 public:
  // Throws std::invalid_argument for options out of range.
  Client(const ClientOptions& options, std::unique_ptr<Network> network);
  ~Client();  // everything under way ends as by Close()
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `write(RespCommand&)` writes one command whose keys are all in `slot`.
  // False, and nothing written, if max_in_flight commands are under way.
  template <class Write>
  bool Submit(std::uint16_t slot, bool read_only, const CallTarget& target, const Write& write) {
    Request* const request = NewRequest(slot, read_only, target);
    if (request == nullptr) return false;
    RespCommand command(request->bytes);
    write(command);
    Enqueue(*request);
    return true;
  }

  std::size_t in_flight() const noexcept { return in_flight_; }

  // Sends, receives, connects and repeats what is due. Returns once a command
  // has ended, nothing is under way any more, or `timeout_ms` have passed.
  void Poll(std::int64_t timeout_ms) noexcept;

  // Tries, for at most `timeout_ms`, to fence every broken connection. True if
  // none is left that may still be executing something that would be seen.
  bool Settle(std::int64_t timeout_ms) noexcept;

  // Whether there is a broken connection to that server which Settle() let be,
  // since a table of the cluster says that the server has no slots. Tables may be
  // old: who is answered by that server knows better.
  bool HasWaivedFenceAt(const Endpoint& server) const noexcept;
  // The server whose reply is being handed on; within on_reply only.
  const Endpoint& answering() const noexcept { return nodes_[answering_]->endpoint; }

  // Ends everything under way.
  void Close() noexcept;

  // By the network's clock, which waiting goes by.
  std::int64_t NowMs() const noexcept { return network_->NowMs(); }
  const ServerInfo& server() const noexcept { return server_; }
  std::uint64_t connects() const noexcept { return connects_; }
  std::uint64_t redirections() const noexcept { return redirections_; }

 private:
  struct Request {
    enum class State : std::uint8_t { kFree, kWaiting, kSent };
    State state = State::kFree;
    bool read_only = false;
    std::uint16_t slot = 0;
    int node = -1;            // where it was sent
    int ask_node = -1;        // where ASK wants it next
    std::uint32_t tries = 0;  // that were refused for now, or redirected
    std::uint32_t loads = 0;  // of the library
    std::int64_t deadline = 0;
    std::int64_t retry_at = 0;
    CallTarget target;
    std::string bytes;
    std::string refusal;  // the last one
  };
  static constexpr std::int64_t kNever = INT64_MAX;

  Request* NewRequest(std::uint16_t slot, bool read_only, const CallTarget& target);
  void Enqueue(Request& request) noexcept;
  void Release(Request& request) noexcept;
  void Fail(Request& request, CallFailure failure, std::string_view text) noexcept;
  void Wait(Request& request, std::int64_t retry_at) noexcept;

  // `ms` from `now` on; what is too far away is never.
  static std::int64_t Later(std::int64_t now, std::int64_t ms) noexcept {
    return now + std::min(ms, kNever - now);
  }

  // -1: it would be one too many.
  int NodeAt(const Endpoint& endpoint);
  int Route(const Request& request) const noexcept;
  void RefreshSoon() noexcept;
  bool TrySend(Request& request) noexcept;
  void SendWaiting(std::int64_t now) noexcept;
  void FailLate(std::int64_t now) noexcept;

  // Where a node stands (client.cc) and what it says (client_replies.cc).
  void Connect(Node& node, std::int64_t now) noexcept;
  void Greet(Node& node);
  void Progress(Node& node, std::int64_t now) noexcept;
  // False if the connection broke, which is then left to the caller.
  bool Flush(Node& node) noexcept;
  void Receive(Node& node) noexcept;
  // `lost`: whether it is known already that something may still be executed.
  void Down(Node& node, std::string_view reason, bool lost = false) noexcept;
  void Run(Node& node, Errand errand);
  void Advance(std::int64_t now) noexcept;
  void Exchange(std::int64_t wait_ms) noexcept;
  std::int64_t NextTimer() const noexcept;
  void RefreshSlots(std::int64_t now) noexcept;
  void AskForSlots(Node& node);

  // False once the node is down.
  bool OnReply(Node& node, const Reply& reply) noexcept;
  bool OnCallReply(Node& node, Request& request, const Reply& reply) noexcept;
  // True if the refusal was no answer yet, or ended the call by itself.
  bool OnRefusal(Node& node, Request& request, std::string_view text) noexcept;
  bool OnRedirection(Node& node, Request& request, std::string_view text, bool ask) noexcept;
  void OnErrandReply(Node& node, const Reply& reply) noexcept;
  bool OnInfo(Node& node, std::string_view text) noexcept;
  void AfterIdentity(Node& node) noexcept;
  void OnVersionReply(Node& node, Errand errand, const Reply& reply) noexcept;
  void OnLoaded(Node& node, const Reply& reply) noexcept;
  void AfterLibrary(Node& node) noexcept;
  void OnSlots(Node& node, const Reply& reply) noexcept;

  ClientOptions options_;
  std::unique_ptr<Network> network_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> waiting_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<StreamInterest> interests_;
  std::vector<char> read_buffer_;
  std::vector<std::int16_t> slots_;  // node of each, -1 if unknown; empty until a cluster is seen
  std::size_t in_flight_ = 0;
  std::size_t ended_ = 0;      // since Poll() began
  std::size_t answering_ = 0;  // node
  std::size_t next_server_ = 0;
  std::size_t next_asked_ = 0;           // for the slots
  std::int64_t next_deadline_ = kNever;  // no sent command's is before it
  std::int64_t refresh_at_ = kNever;     // when the slots are asked for again; of clusters only
  std::int64_t refreshed_at_ = 0;
  std::uint64_t connects_ = 0;
  std::uint64_t redirections_ = 0;
  ServerInfo server_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLIENT_H_
