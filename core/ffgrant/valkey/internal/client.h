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
// if it only reads. A connection that broke with something on it is fenced: whoever
// next connects to that server shuts it there (CLIENT KILL ID) before anything else
// is asked, so that what is then read is final (lost_connections.h).
//
// In a cluster the client believes the members of the last good table of slots, and, where
// none of them can tell, the servers that it was configured with (client_topology.cc). Servers
// that the newest table doesn't name are forgotten.
//
// One thread at a time, but for NowMs(), Wake(), Cancel(), counts() and TellLog(). Allocates
// nothing once buffers and nodes are there.

#ifndef FFGRANT_VALKEY_INTERNAL_CLIENT_H_
#define FFGRANT_VALKEY_INTERNAL_CLIENT_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/client_options.h"
#include "ffgrant/valkey/internal/counting.h"
#include "ffgrant/valkey/internal/deployment.h"
#include "ffgrant/valkey/internal/node.h"
#include "ffgrant/valkey/internal/reply.h"
#include "ffgrant/valkey/internal/resp_command.h"

namespace ffgrant::valkey::internal {

// Whether a server's error says that it has no such function.
inline bool IsMissingFunction(std::string_view error) noexcept {
  return error.starts_with("ERR Function not found");
}

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

// The network that the options ask for.
std::unique_ptr<Network> MakeNetwork(const ClientOptions& options);

class Client {
 public:
  static constexpr std::int64_t kNever = INT64_MAX;
  // The deadline of a command whose call has been cancelled: it ends at the next turn, unsent.
  static constexpr std::int64_t kCancelledDeadline = -1;

  // `deployment` is shared with other clients that speak to the same servers; null: it
  // is the client's own. Throws std::invalid_argument for options out of range.
  Client(const ClientOptions& options, std::unique_ptr<Network> network,
         std::shared_ptr<Deployment> deployment = nullptr);
  ~Client();  // everything under way ends as by Close()
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `write(RespCommand&)` writes one command whose keys are all in `slot`. It ends
  // at `deadline` (NowMs()) or after the client's own limit, whichever is earlier.
  // SubmitSettling() can ask for it by `key`, if it writes and its end is unknown.
  // False, and nothing written, if max_in_flight commands are under way.
  template <class Write>
  bool Submit(std::uint16_t slot, bool read_only, const CallTarget& target, const Write& write,
              std::int64_t deadline = kNever, CommandKey key = kNoKey) {
    Request* const request = NewRequest(slot, read_only, target, deadline, key);
    if (request == nullptr) return false;
    RespCommand command(request->bytes);
    write(command);
    request->function = command.function();
    Enqueue(*request);
    return true;
  }
  // The same for a command that has been written already: `bytes` is swapped for a
  // buffer of the client's.
  bool SubmitWritten(std::uint16_t slot, bool read_only, const CallTarget& target,
                     std::string& bytes, const RespCommand::FunctionArg& function,
                     std::int64_t deadline, CommandKey key);
  // The next Submit() succeeds, however many commands are under way. Not from a target.
  void MakeRoom();

  // Tries until `deadline` to shut what may still carry the command `key`. Ends with
  // on_reply: the integer 1 if nothing is left that has to be shut, else 0; earlier
  // than the deadline if trying on is of no use for now. Never on_failure but by
  // Close().
  void SubmitSettling(CommandKey key, std::int64_t deadline, const CallTarget& target);

  std::size_t in_flight() const noexcept { return in_flight_; }

  // Sends, receives, connects and repeats what is due. Returns once a command
  // has ended, nothing is under way any more, or `timeout_ms` have passed.
  void Poll(std::int64_t timeout_ms) noexcept;
  // The same in parts, for one wait: what is due is done, and returned how long there
  // is nothing to do; -1 if a command has ended, or nothing is under way. Then the wait
  // itself, which Wake() ends too. Meanwhile other threads may use CanSend(), MakeRoom(),
  // Submit() and SendNow(), one at a time. Then what has come is read.
  std::int64_t BeginTurn() noexcept;
  void WaitInTurn(std::int64_t ms) noexcept { network_->Wait(interests_, ms); }
  void EndTurn() noexcept;
  // For a loop of somebody else's, in place of the wait: does what is due, and has
  // Descriptor() tell when there is more to be done. Returns after how many milliseconds
  // Poll(0) has to be called if it does not; -1: never.
  int PrepareWait() noexcept;
  // -1 if the network has none.
  int Descriptor() noexcept { return network_->Descriptor(); }
  // Whether Submit() would put a command of `slot` on a connection that is in use.
  bool CanSend(std::uint16_t slot) const noexcept;
  // Writes what Submit() has put there. False if some of it has to be written later.
  bool SendNow() noexcept;
  // Ends the wait of a turn under way, or else the next one. From any thread.
  void Wake() noexcept { network_->Wake(); }
  // By the network's clock, which waiting goes by. From any thread.
  std::int64_t NowMs() const noexcept { return network_->NowMs(); }

  // Whether our functions are called on the server whose reply is being handed on; within
  // on_reply of a command only.
  bool answering_has_own_functions() const noexcept {
    return answering_->functions == Functions::kOwn;
  }
  // The number of the node that has the slot, as far as it is known; -1 if it isn't.
  int NodeOf(std::uint16_t slot) const noexcept { return slots_.empty() ? 0 : slots_[slot]; }

  // Ends everything under way.
  void Close() noexcept;

  // Has all that is under way end at the next turn, which begins at once if one waits:
  // kUnavailable, or kUnknownOutcome for what was sent and writes. What is submitted from
  // now on is not touched. From any thread.
  void Cancel() noexcept {
    cancels_.fetch_add(1, std::memory_order_relaxed);
    Wake();
  }
  // How often that was asked for. From any thread.
  std::uint64_t cancels() const noexcept { return cancels_.load(std::memory_order_relaxed); }

  const ServerInfo& server() const noexcept { return server_; }
  std::uint64_t connects() const noexcept { return counts_.connects.value(); }
  std::uint64_t redirections() const noexcept { return counts_.redirections.value(); }
  // From any thread.
  const Counts& counts() const noexcept { return counts_; }
  // Calls the log hook with what there is to tell. From any thread, without a lock.
  void TellLog() noexcept { log_.Tell(); }
  std::size_t nodes() const noexcept { return nodes_.size(); }

 private:
  struct Request {
    enum class State : std::uint8_t { kFree, kWaiting, kSent };
    State state = State::kFree;
    bool read_only = false;
    std::uint16_t slot = 0;
    Node* node = nullptr;      // where it was sent
    Node* ask_node = nullptr;  // where ASK wants it next
    std::uint32_t tries = 0;   // that were refused for now, or redirected
    std::uint32_t loads = 0;   // of the library
    CommandKey key = kNoKey;
    std::int64_t deadline = 0;
    std::int64_t retry_at = 0;
    CallTarget target;
    std::string bytes;
    RespCommand::FunctionArg function;  // in them
    std::string refusal;                // the last one
    std::int64_t waits_since = 0;       // while it waits
    std::uint64_t cancels = 0;          // when it was submitted
  };
  struct Settling {
    CommandKey key = kNoKey;
    std::int64_t began = 0;
    std::int64_t deadline = 0;
    std::uint64_t failed_attempts = 0;  // of the first node, when it began
    std::uint64_t cancels = 0;          // when it was submitted
    CallTarget target;
  };

  Request* NewRequest(std::uint16_t slot, bool read_only, const CallTarget& target,
                      std::int64_t deadline, CommandKey key);
  void Enqueue(Request& request) noexcept;
  void Release(Request& request) noexcept;
  void Fail(Request& request, CallFailure failure, std::string_view text) noexcept;
  void Wait(Request& request, std::int64_t retry_at) noexcept;
  void CountWaiting(const Request& request, std::int64_t now) noexcept;

  // Ends all that is under way if somebody cancelled it.
  void CancelIfAsked(std::int64_t now) noexcept;
  // A line for the log, of parts; nothing is made of them if nobody wants it.
  template <class... Parts>
  void Log(LogLevel level, const Parts&... parts) {
    if (!log_.wanted()) return;
    std::string text;
    (text.append(parts), ...);
    if (!log_.Add(level, std::move(text))) counts_.log_lines_lost.Add();
  }

  // `ms` from `now` on; what is too far away is never.
  static std::int64_t Later(std::int64_t now, std::int64_t ms) noexcept {
    return now + std::min(ms, kNever - now);
  }

  // Null: it would be one too many.
  Node* NodeAt(const Endpoint& endpoint);
  Node* FindNode(const Endpoint& endpoint) const noexcept;
  Node* Route(const Request& request) const noexcept;
  void RefreshSoon() noexcept;
  bool TrySend(Request& request) noexcept;
  // Whether the connection has been silent for so long that it may be dead; it is then
  // being asked, and nothing is sent there until it has answered.
  bool Probes(Node& node, std::int64_t now) noexcept;
  std::string WhyUnsent(const Request& request) const;
  void SendWaiting(std::int64_t now) noexcept;
  void FailLate(std::int64_t now) noexcept;
  void Abandon(Node& node, Request& request, Expected& expected, std::string_view why) noexcept;

  // What may still be executed on connections that broke (client_fences.cc).
  void Lose(Node& node, CommandKey key, bool open);
  // Shuts the next lost connection to `node`'s process; false if there is none.
  bool FenceNext(Node& node);
  void OnFenceReply(Node& node, const Reply& reply);
  void AdvanceSettlings(std::int64_t now) noexcept;
  // Whether there is hope that this resolves `target`.
  bool Pursue(const LostConnections::Target& target, const Settling& settling);
  bool IsElsewhere(const LostConnections::Target& target, const Settling& settling);

  // Where a node stands (client.cc) and what it says (client_replies.cc).
  void Connect(Node& node, std::int64_t now) noexcept;
  void Greet(Node& node);
  void AfterLogin(Node& node);
  static bool HasDeadline(const Node& node) noexcept;
  void Progress(Node& node, std::int64_t now) noexcept;
  // With several servers each has its part of a call's time.
  std::int64_t ConnectLimit() const noexcept;
  // False if the connection broke, which is then left to the caller.
  bool Flush(Node& node) noexcept;
  // The connection broke while it was written to.
  void FailedToFlush(Node& node) noexcept;
  void Receive(Node& node) noexcept;
  // `lost`: whether it is known already that something may still be executed.
  void Down(Node& node, std::string_view reason, bool lost = false) noexcept;
  void FailedToOpen(Node& node, IoStatus status) noexcept;
  void FailedToRead(Node& node, IoStatus status) noexcept;
  // As Down(), of a connection that was not made; says why, if it is known.
  void DownUnconnected(Node& node, std::string_view what) noexcept;
  // As Down(), by a server that will say the same to whoever asks again.
  void Refuse(Node& node, std::string_view text) noexcept;
  // Whether `node`, which is down, is not to be asked for now; its down_reason then
  // says why. Goes on to the next of the configured servers where it may.
  bool IsHeldBack(Node& node, std::int64_t now) noexcept;
  void Run(Node& node, Errand errand);
  void Advance(std::int64_t now) noexcept;
  void CollectInterests() noexcept;
  void ReceiveAll() noexcept;
  std::int64_t NextTimer() const noexcept;

  // Who is in the cluster, and who may say so (client_topology.cc).
  void RefreshSlots(std::int64_t now) noexcept;
  void AskForSlots(Node& node);
  void LearnMembers() noexcept;
  const Member* MemberOf(const Node& node) const noexcept;
  bool IsConfigured(const Node& node) const noexcept;
  bool MayTell(const Node& node) const noexcept;
  bool IsStranger(const Node& node) const noexcept;
  Node* NextToTell(std::int64_t now) noexcept;
  bool AwaitMembers(bool connect) noexcept;
  void WantConfigured() noexcept;
  bool IsOurCluster(const std::vector<Member>& told) const noexcept;
  void OnMembers(Node& node, const Reply& reply);
  void OnSlots(Node& node, const Reply& reply) noexcept;
  void Adopt(Node& teller, const Reply& reply, std::vector<Member> told);
  void Disown(Node& node, std::string_view reason) noexcept;
  void ForgetIdle() noexcept;

  // False once the node is down.
  bool OnReply(Node& node, const Reply& reply) noexcept;
  bool OnCallReply(Node& node, Request& request, const Reply& reply) noexcept;
  // True if the refusal was no answer yet, or ended the call by itself.
  bool OnRefusal(Node& node, Request& request, std::string_view text) noexcept;
  void OnRedirection(Node& node, Request& request, std::string_view text, bool ask) noexcept;
  void OnErrandReply(Node& node, const Reply& reply) noexcept;
  void OnInfoReply(Node& node, const Reply& reply) noexcept;
  void OnInfo(Node& node, std::string_view text) noexcept;
  void AfterIdentity(Node& node) noexcept;
  void ContinueGreeting(Node& node) noexcept;
  void AfterLibrary(Node& node) noexcept;

  // These decide whether FlowFabric's functions or ours are called on a server
  // (client_functions.cc).
  void CheckFunctions(Node& node) noexcept;
  bool MayLoad(const Node& node) const noexcept;
  void OnOwnVersion(Node& node, const Reply& reply) noexcept;
  void OnContract(Node& node, const Reply& reply) noexcept;
  void OnLoaded(Node& node, Errand errand, const Reply& reply) noexcept;
  void UseOwn(Node& node) noexcept;
  void UseFunctions(Node& node, Functions functions, std::string_view refusal = {}) noexcept;

  ClientOptions options_;
  std::unique_ptr<Network> network_;
  std::shared_ptr<Deployment> deployment_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> waiting_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<StreamInterest> interests_;
  std::vector<char> read_buffer_;
  std::vector<std::int16_t> slots_;  // node of each, -1 if unknown; empty until a cluster is seen
  std::vector<Member> members_;      // of the last good table, by id
  std::uint64_t table_number_ = 0;   // of that table, in the deployment
  std::vector<Settling> settlings_;
  std::vector<LostConnections::Target> targets_;  // for one use at a time
  std::size_t in_flight_ = 0;
  std::size_t ended_ = 0;  // since Poll() began
  const Node* answering_ = nullptr;
  std::size_t next_server_ = 0;
  std::size_t next_asked_ = 0;           // for the slots
  std::int64_t next_deadline_ = kNever;  // no sent command's is before it
  std::int64_t refresh_at_ = kNever;     // when the slots are asked for again; of clusters only
  std::int64_t refreshed_at_ = 0;
  std::int64_t needed_since_ = kNever;  // since when a new table is needed
  bool configured_turn_ = false;        // no member can tell
  bool has_leaving_ = false;
  bool pursues_ = false;       // a node may be marked so
  std::string slots_refusal_;  // why the last table was no good
  std::int64_t settle_again_at_ = kNever;
  std::atomic<std::uint64_t> cancels_ = 0;
  std::uint64_t seen_cancels_ = 0;
  Counts counts_;
  LogLines log_;
  ServerInfo server_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLIENT_H_
