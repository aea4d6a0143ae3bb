// SPDX-License-Identifier: Apache-2.0
//
// Sends commands to a server or a cluster; many commands can be under way together. Each command
// has exactly one end:
//
//   Submit --> waiting --> sent --> on_reply    the server's answer
//                ^  |        | `--> on_failure  kUnknownOutcome: it was sent, and no answer
//                |  |        |                  that fits came in time
//                |  `--------+----> on_failure  kUnavailable: it did not happen, or it only reads
//                `-----------'
//       redirected (MOVED, ASK), refused for now (TRYAGAIN, LOADING, ...), or its function was
//       missing, or the connection broke before all of it was sent, or while it only read
//
// The client repeats a command only if the server can't have executed the command, or if the
// command only reads. If a connection broke after a command that writes was sent on it, the client
// fences that connection: when the client connects to that server again, it first shuts the broken
// connection there (CLIENT KILL ID). What the client reads afterwards is final
// (lost_connections.h).
//
// In a cluster the client accepts a table of slots from the members of the last good table. If no
// member can give a table, the client accepts one from the servers that it was configured with
// (client_topology.cc). The client forgets servers to which the newest table gives no slots.
//
// Only one thread at a time may use a client, except for NowMs(), Wake(), Cancel(), cancels(),
// counts() and TellLog(). Once a client has made its buffers and nodes, it allocates nothing for a
// command that is answered at the first try.

#ifndef FFGRANT_VALKEY_INTERNAL_CLIENT_H_
#define FFGRANT_VALKEY_INTERNAL_CLIENT_H_

#include <unistd.h>

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

// Whether a server's error says that the server does not know the command, or forbids it to this
// user.
inline bool IsForbidden(std::string_view error) noexcept {
  return error.starts_with("NOPERM ") || error.starts_with("ERR unknown command");
}

// Whether a server's error says that the command was not executed now, but may be executed later.
inline bool IsRefusedForNow(std::string_view error) noexcept {
  for (const std::string_view code :
       {"TRYAGAIN ", "LOADING ", "CLUSTERDOWN ", "BUSY ", "MASTERDOWN ", "READONLY "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

// Whether a server's error says that the server has no such function.
inline bool IsMissingFunction(std::string_view error) noexcept {
  return error.starts_with("ERR Function not found");
}

// The text with which a command of a cancelled call ends.
inline constexpr std::string_view kCancelled = "the call was cancelled";

// The text with which a command ends if its reply is larger than max_reply_bytes. Even a command
// that only reads is not sent again, because every connection would give the same reply.
inline constexpr std::string_view kReplyTooLarge = "the reply is larger than max_reply_bytes";

enum class CallFailure : std::uint8_t { kUnknownOutcome, kUnavailable };

// Learns how a command ended. A target is called from within Poll(), BeginTurn(), EndTurn(),
// PrepareWait(), Close() and the destructor, but never from within Submit(). A target may call only
// const functions of the client.
struct CallTarget {
  void* self = nullptr;
  // Returns false, and remembers nothing, if `reply` can't be the answer to this command. The
  // stream is then out of step: the client gives up the connection and ends the command with
  // on_failure.
  bool (*on_reply)(void* self, std::uint64_t tag, const Reply& reply) noexcept = nullptr;
  void (*on_failure)(void* self, std::uint64_t tag, CallFailure failure,
                     std::string_view text) noexcept = nullptr;
  std::uint64_t tag = 0;
};

// Makes the network that the options ask for.
std::unique_ptr<Network> MakeNetwork(const ClientOptions& options);

class Client {
 public:
  static constexpr std::int64_t kNever = INT64_MAX;
  // The deadline of a command whose call has been cancelled. Such a command ends at the next turn,
  // and is not sent.
  static constexpr std::int64_t kCancelledDeadline = -1;

  // `deployment` is shared with other clients that speak to the same servers. If it is null, the
  // client has one of its own. Throws std::invalid_argument for options out of range.
  Client(const ClientOptions& options, std::unique_ptr<Network> network,
         std::shared_ptr<Deployment> deployment = nullptr);
  ~Client();  // does what Close() does
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // `write(RespCommand&)` must write one command, whose keys must all be in `slot`. The command
  // ends no later than `deadline`, a time on the clock of NowMs(), and no later than the client's
  // own limit. If the command writes and its outcome is unknown, `key` names the command to
  // SubmitSettling(). Returns false, and writes nothing, if the client has no room for another
  // command: there is room for max_in_flight commands, unless MakeRoom() has made more. If
  // `write` throws, nothing is submitted.
  template <class Write>
  bool Submit(std::uint16_t slot, bool read_only, const CallTarget& target, const Write& write,
              std::int64_t deadline = kNever, CommandKey key = kNoKey) {
    Request* const request = NewRequest(slot, read_only, target, deadline, key);
    if (request == nullptr) return false;
    // Gives the place back if `write` throws.
    struct Place {
      Client& client;
      Request* unwritten;
      ~Place() {
        if (unwritten != nullptr) client.GiveBack(*unwritten);
      }
    } place{*this, request};
    RespCommand command(request->bytes);
    write(command);
    place.unwritten = nullptr;
    request->function = command.function();
    Enqueue(*request);
    return true;
  }
  // Does what Submit() does, for a command that has already been written to `bytes`. Swaps `bytes`
  // with a buffer of the client's.
  bool SubmitWritten(std::uint16_t slot, bool read_only, const CallTarget& target,
                     std::string& bytes, const RespCommand::FunctionArg& function,
                     std::int64_t deadline, CommandKey key);
  // Makes sure that the next Submit() finds room, however many commands are under way.
  void MakeRoom();

  // Tries until `deadline` to shut the connections that may still carry the command `key`. The
  // settling ends with on_reply, which gets the integer 1 if no such connection is left and none
  // was given up, and else 0. The settling ends before the deadline if further tries are of no use
  // for now. Only Close() ends a settling with on_failure.
  void SubmitSettling(CommandKey key, std::int64_t deadline, const CallTarget& target);

  std::size_t in_flight() const noexcept { return in_flight_; }

  // Does what is due: sends, receives, connects, and sends commands again. Returns once a command
  // has ended, nothing is under way any more, or `timeout_ms` have passed.
  void Poll(std::int64_t timeout_ms) noexcept;
  // BeginTurn(), WaitInTurn() and EndTurn() together do what Poll() does, with one wait.
  // BeginTurn() does what is due. It returns the number of milliseconds for which there is nothing
  // more to do, or -1 if a command has ended or nothing is under way. WaitInTurn() then waits for
  // the network; Wake() ends this wait, too. During the wait other threads may use CanSend(),
  // MakeRoom(), Submit() and SendNow(), one at a time. EndTurn() then reads what has come.
  std::int64_t BeginTurn() noexcept;
  void WaitInTurn(std::int64_t ms) noexcept { network_->Wait(interests_, ms); }
  void EndTurn() noexcept;
  // Is for a caller that waits in an event loop of its own. Does what is due, and sets up the
  // descriptor of Descriptor() to become readable when there is more to do. Returns the number of
  // milliseconds after which the caller has to call Poll(0) even if the descriptor is not readable,
  // or -1 if that is not needed.
  int PrepareWait() noexcept;
  // Returns -1 if the network has no descriptor.
  int Descriptor() noexcept { return network_->Descriptor(); }
  // Whether Submit() would put a command for `slot` on a connection on which something is under way
  // already.
  bool CanSend(std::uint16_t slot) const noexcept;
  // Writes what Submit() has put on connections. Returns false if some of it has to be written
  // later.
  bool SendNow() noexcept;
  // Ends the wait of a turn. If no turn waits now, the next wait ends at once. May be called from
  // any thread.
  void Wake() noexcept { network_->Wake(); }
  // The time on the network's clock, which all waits use. May be called from any thread.
  std::int64_t NowMs() const noexcept { return network_->NowMs(); }

  // Whether our functions are called on the server whose reply is being read. Only a command's
  // on_reply may call this.
  bool answering_has_own_functions() const noexcept {
    return answering_->functions == Functions::kOwn;
  }
  // The index of the node that has the slot; -1 if that node is not known. Outside a cluster node 0
  // has every slot.
  int NodeOf(std::uint16_t slot) const noexcept { return slots_.empty() ? 0 : slots_[slot]; }

  // Ends everything under way. Does nothing in a child of the process that made the client.
  void Close() noexcept;

  // Ends all commands under way at the next turn; a turn that waits stops waiting at once. A
  // command that was sent and writes ends with kUnknownOutcome, any other with kUnavailable.
  // Commands that are submitted after this call are not touched. May be called from any thread.
  void Cancel() noexcept {
    cancels_.fetch_add(1, std::memory_order_relaxed);
    Wake();
  }
  // How often Cancel() was called. May be called from any thread.
  std::uint64_t cancels() const noexcept { return cancels_.load(std::memory_order_relaxed); }

  const ServerInfo& server() const noexcept { return server_; }
  std::uint64_t connects() const noexcept { return counts_.connects.value(); }
  std::uint64_t redirections() const noexcept { return counts_.redirections.value(); }
  // May be called from any thread.
  const Counts& counts() const noexcept { return counts_; }
  // Calls the log hook with the lines that are kept. May be called from any thread that holds no
  // lock.
  void TellLog() noexcept { log_.Tell(); }
  std::size_t nodes() const noexcept { return nodes_.size(); }

 private:
  struct Request {
    enum class State : std::uint8_t { kFree, kWaiting, kSent };
    State state = State::kFree;
    bool read_only = false;
    std::uint16_t slot = 0;
    Node* node = nullptr;      // the node that it was sent to
    Node* ask_node = nullptr;  // the node to which ASK leads it next
    std::uint32_t tries = 0;   // how often it was refused for now, or redirected
    std::uint32_t loads = 0;   // how often a server lacked its function
    CommandKey key = kNoKey;
    std::int64_t deadline = 0;
    std::int64_t retry_at = 0;
    CallTarget target;
    std::string bytes;
    RespCommand::FunctionArg function;  // where `bytes` names the function
    std::string refusal;                // the text of the last refusal
    std::int64_t waits_since = 0;       // since when it waits
    std::uint64_t cancels = 0;          // the value of cancels() at the submission
  };
  struct Settling {
    CommandKey key = kNoKey;
    std::int64_t began = 0;
    std::int64_t deadline = 0;
    std::uint64_t failed_attempts = 0;  // the first node's failed_attempts when the settling began
    std::uint64_t cancels = 0;          // the value of cancels() at the submission
    CallTarget target;
  };

  Request* NewRequest(std::uint16_t slot, bool read_only, const CallTarget& target,
                      std::int64_t deadline, CommandKey key);
  void Enqueue(Request& request) noexcept;
  void GiveBack(Request& request) noexcept;
  void Release(Request& request) noexcept;
  void Fail(Request& request, CallFailure failure, std::string_view text) noexcept;
  void Wait(Request& request, std::int64_t retry_at) noexcept;
  void CountWaiting(const Request& request, std::int64_t now) noexcept;

  // Ends the commands under way that were cancelled.
  void CancelIfAsked(std::int64_t now) noexcept;
  // Logs a line made of parts; makes no line if there is no log hook.
  template <class... Parts>
  void Log(LogLevel level, const Parts&... parts) {
    if (!log_.wanted()) return;
    std::string text;
    (text.append(parts), ...);
    if (!log_.Add(level, std::move(text))) counts_.log_lines_lost.Add();
  }

  // The time `ms` after `now`; kNever if it is too far away.
  static std::int64_t Later(std::int64_t now, std::int64_t ms) noexcept {
    return now + std::min(ms, kNever - now);
  }

  // Returns the node at `endpoint`, and makes it if there is none. Returns null if there are too
  // many nodes already.
  Node* NodeAt(const Endpoint& endpoint);
  Node* FindNode(const Endpoint& endpoint) const noexcept;
  Node* Route(const Request& request) const noexcept;
  // Returns a node that may be sent a command whose slot is no known node's, because nobody gives a
  // table: the node says by a redirection where the slot is.
  Node* AnyNode() const noexcept;
  void RefreshSoon() noexcept;
  bool TrySend(Request& request) noexcept;
  // Whether the client must not send a command to `node` yet, because the connection has been
  // silent for so long that it may be dead. If so, a question of the client's own is alone under
  // way there, and the client sends nothing else on the connection until the answer has come.
  bool Probes(Node& node, std::int64_t now) noexcept;
  std::string WhyUnsent(const Request& request) const;
  // If no server will take the request for now, because the server that has the request's slot, or
  // every server that could say who has the slot, refuses the client: the reason of one of them.
  // Otherwise an empty text.
  std::string_view WhyHeldBack(const Request& request, std::int64_t now) noexcept;
  std::string_view WhyNobodyTells(std::int64_t now) noexcept;
  void SendWaiting(std::int64_t now) noexcept;
  void FailLate(std::int64_t now) noexcept;
  void Abandon(Node& node, Request& request, Expected& expected, std::string_view why) noexcept;

  // The next functions deal with broken connections whose commands may still be executed
  // (client_fences.cc).
  void Lose(Node& node, CommandKey key, bool open);
  // Asks `node` to shut the next lost connection that led to the node's own process. Returns false
  // if there is no such connection, or if the node has just refused that for now.
  bool FenceNext(Node& node);
  void OnFenceReply(Node& node, const Reply& reply);
  void AdvanceSettlings(std::int64_t now) noexcept;
  // Takes the next step to get the lost connection `target` resolved. Returns whether further steps
  // may still succeed.
  bool Pursue(const LostConnections::Target& target, const Settling& settling);
  bool IsElsewhere(const LostConnections::Target& target, const Settling& settling);

  // The next functions deal with the state of a node (client.cc) and with what the node says
  // (client_replies.cc).
  void Connect(Node& node, std::int64_t now) noexcept;
  void Greet(Node& node);
  void AfterLogin(Node& node);
  static bool HasDeadline(const Node& node) noexcept;
  void Progress(Node& node, std::int64_t now) noexcept;
  // Whether several servers share a call's time, because none of them is known to be the right one.
  bool SharesTime() const noexcept;
  // How long connecting may take; while servers share a call's time, connecting and greeting
  // together.
  std::int64_t ConnectLimit() const noexcept;
  // Returns false if the connection broke; the caller then has to deal with it.
  bool Flush(Node& node) noexcept;
  // Is called when a connection broke while the client wrote to it.
  void FailedToFlush(Node& node) noexcept;
  void Receive(Node& node) noexcept;
  // Counts the end of the connection to `node`, which must not be down.
  void CountEnd(const Node& node) noexcept;
  void Down(Node& node, std::string_view reason) noexcept;
  void FailedToOpen(Node& node, IoStatus status) noexcept;
  void FailedToRead(Node& node, IoStatus status) noexcept;
  void FailedToParse(Node& node) noexcept;
  // Does what Down() does, with `what` as the reason. If the connection was still being made, also
  // says why it could not be made, if the stream knows this.
  void DownUnconnected(Node& node, std::string_view what) noexcept;
  // Does what Down() does, for a server that would give the same refusal to every new connection.
  // All clients of the deployment keep the refusal for refusal_pause_ms.
  void Refuse(Node& node, std::string_view text) noexcept;
  // Whether the client must not ask `node` for now. Only a node that is down can be held back; its
  // down_reason then says why. Outside a cluster, if the first node would be held back, it goes on
  // to the next configured server that may be asked; it is held back only if there is none.
  bool IsHeldBack(Node& node, std::int64_t now) noexcept;
  void Run(Node& node, Errand errand);
  void Advance(std::int64_t now) noexcept;
  void CollectInterests() noexcept;
  void ReceiveAll() noexcept;
  void SendErrands() noexcept;
  std::int64_t NextTimer() const noexcept;

  // The next functions find out which nodes are in the cluster, and decide which servers may say so
  // (client_topology.cc).
  void RefreshSlots(std::int64_t now) noexcept;
  void AskForSlots(Node& node);
  void LearnMembers() noexcept;
  const Member* MemberOf(const Node& node) const noexcept;
  bool IsConfigured(const Node& node) const noexcept;
  bool MayTell(const Node& node) const noexcept;
  bool IsStranger(const Node& node) const noexcept;
  bool MayBeginAnew(const Node& node, const std::vector<Member>& told) const noexcept;
  Node* NextToTell(std::int64_t now) noexcept;
  bool AwaitMembers(bool connect) noexcept;
  void WantConfigured() noexcept;
  bool IsOurCluster(const std::vector<Member>& told) const noexcept;
  void OnMembers(Node& node, const Reply& reply);
  void OnSlots(Node& node, const Reply& reply) noexcept;
  void Adopt(Node& teller, const Reply& reply, std::vector<Member> told);
  void Disown(Node& node, std::string_view reason) noexcept;
  void ForgetSlotsOf(const Node& node) noexcept;
  void ForgetIdle() noexcept;

  // Returns false if the node is down afterwards.
  bool OnReply(Node& node, const Reply& reply) noexcept;
  bool OnCallReply(Node& node, Request& request, const Reply& reply) noexcept;
  // Returns false if the error is an answer that the call's target has to read. If it returns true,
  // the command has been ended, or waits to be sent again.
  bool OnRefusal(Node& node, Request& request, std::string_view text) noexcept;
  void OnRedirection(Node& node, Request& request, std::string_view text, bool ask) noexcept;
  void OnErrandReply(Node& node, const Reply& reply) noexcept;
  void OnInfoReply(Node& node, const Reply& reply) noexcept;
  void OnInfo(Node& node, std::string_view text) noexcept;
  void AfterIdentity(Node& node) noexcept;
  void ContinueGreeting(Node& node) noexcept;
  void AfterLibrary(Node& node) noexcept;

  // The next functions decide whether FlowFabric's functions or ours are called on a server
  // (client_functions.cc).
  // Lets a connection that was ready greet again, with a limit of its own.
  void GreetAgain(Node& node) noexcept;
  // Lets such a connection ask again who the server is, and then for the rest of the greeting.
  void AskWhoItIs(Node& node) noexcept;
  void CheckFunctions(Node& node) noexcept;
  bool MayLoad(const Node& node) const noexcept;
  void OnOwnVersion(Node& node, const Reply& reply) noexcept;
  void OnContract(Node& node, const Reply& reply) noexcept;
  void OnLoaded(Node& node, Errand errand, const Reply& reply) noexcept;
  void UseOwn(Node& node) noexcept;
  void UseFunctions(Node& node, Functions functions, std::string_view refusal = {}) noexcept;

  ClientOptions options_;
  const pid_t owner_ = getpid();  // the process that made the client
  std::unique_ptr<Network> network_;
  std::shared_ptr<Deployment> deployment_;
  std::vector<Request> requests_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> waiting_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<StreamInterest> interests_;
  std::vector<char> read_buffer_;
  std::vector<std::int16_t> slots_;  // each slot's node by its index, or -1; empty until a cluster
                                     // is seen
  std::vector<Member> members_;      // the members of the last good table, sorted by id
  std::uint64_t table_number_ = 0;   // the number of that table in the deployment
  std::vector<Settling> settlings_;
  std::vector<LostConnections::Target> targets_;  // each use fills it anew
  std::size_t in_flight_ = 0;
  std::size_t ended_ = 0;  // commands ended since Poll(), BeginTurn() or EndTurn() began
  const Node* answering_ = nullptr;
  std::size_t next_server_ = 0;
  std::size_t next_asked_ = 0;           // this, modulo the number of nodes, is the index of the
                                         // node that is asked next for the slots
  std::int64_t next_deadline_ = kNever;  // no later than the deadline of any command that was sent
  std::int64_t refresh_at_ = kNever;     // when to ask for the slots again; only for clusters
  std::int64_t refreshed_at_ = 0;
  std::int64_t needed_since_ = kNever;    // since when a new table is needed
  bool configured_turn_ = false;          // no member can give a table: ask configured servers
  std::int64_t members_lost_for_ms_ = 0;  // how long it was the configured servers' turn, while the
                                          // client was in use
  bool has_leaving_ = false;
  bool pursues_ = false;           // whether a node may be marked as pursued
  std::string slots_refusal_;      // why the last table was not accepted
  bool tables_forbidden_ = false;  // a server forbids tables, and no other has given one since
  std::int64_t settle_again_at_ = kNever;
  std::atomic<std::uint64_t> cancels_ = 0;
  std::uint64_t seen_cancels_ = 0;
  Counts counts_;
  LogLines log_;
  ServerInfo server_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLIENT_H_
