// SPDX-License-Identifier: Apache-2.0
//
// Lets many threads make calls through few connections. A call borrows a session, whose client it
// shares with other calls. The commands of all these calls are under way together on the client's
// connections. So no call waits for another call to give up a connection, and a server that does
// not answer holds up only the calls that ask it.
//
// At each client one of the threads leads: it waits for the network on behalf of all, and tells
// every other thread when that thread's answers are there. When the leader's own call has ended,
// the thread that has waited longest leads. The other threads send by themselves on a connection
// that is in use already, and leave everything else to the leader. A thread that is alone always
// leads.

#ifndef FFGRANT_VALKEY_INTERNAL_SESSION_H_
#define FFGRANT_VALKEY_INTERNAL_SESSION_H_

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/claims/claim_error.h"
#include "ffgrant/valkey/internal/claim_commands.h"
#include "ffgrant/valkey/internal/client.h"
#include "ffgrant/valkey/internal/partition_scan.h"

namespace ffgrant::valkey::internal {

class Session;

// A client, and the calls that use it now.
class SharedClient {
 public:
  SharedClient(const ClientOptions& options, std::unique_ptr<Network> network,
               std::shared_ptr<Deployment> deployment);
  ~SharedClient();
  SharedClient(const SharedClient&) = delete;

  // Returns how many calls use this client, as a hint for choosing among several clients.
  std::size_t users() const noexcept { return users_.load(std::memory_order_relaxed); }

 private:
  friend class Session;
  friend class SessionPool;

  std::mutex mutex_;  // protects what is below; a waiting leader releases it
  Session* leader_ = nullptr;
  std::int64_t leader_waits_until_ = 0;
  std::vector<Session*> inbox_;    // sessions that have commands for the leader
  std::vector<Session*> waiting_;  // sessions that wait for the leader, the longest first
  std::vector<Session*> done_;     // done sessions for the leader to wake; only it uses this
  std::vector<std::unique_ptr<Session>> idle_;
  std::atomic<std::size_t> users_ = 0;  // needs no mutex
  const std::int64_t limit_ms_;
  const std::size_t window_;
  // Only the leader, or TurnIdle() while nobody leads, opens and closes connections, since a leader
  // may be waiting for these connections.
  Client client_;
};

// The place of one call at a client, and what else the call needs. Only one thread at a time may
// use a session. The thread that leads, or that has called TurnIdle(), calls the targets, one after
// the other.
class Session {
 public:
  explicit Session(SharedClient& shared) : scan(*this), shared_(shared) {}
  Session(const Session&) = delete;

  // Begin() starts a call; from then on the call has the client's request_timeout_ms for all that
  // it does. End() ends the call. When End() is called, no command may be under way but those that
  // were submitted to be left behind.
  void Begin() noexcept;
  void End() noexcept;

  // Does what Client::Submit() does, within the time limit of the call. The target must call
  // Ended() for each end of a command, but not for a reply that it refuses because the reply can't
  // be the answer. First waits while max_in_flight commands of this call are under way, not
  // counting those that may be left behind.
  template <class Write>
  void Submit(std::uint16_t slot, bool read_only, const CallTarget& target, const Write& write,
              CommandKey key = kNoKey) {
    WaitFor(shared_.window_, kNoEnd);
    Send(slot, read_only, target, write, 1, key);
  }
  // Submits a command that the call may leave behind. Does not wait first, as Submit() may; only
  // WaitForEnd() waits for the command's end. The target must call LeftEnded() in place of Ended(),
  // must live as long as the session, and may be called by any thread at any time.
  template <class Write>
  void SubmitToLeave(std::uint16_t slot, bool read_only, const CallTarget& target,
                     const Write& write) {
    unsent_ = true;
    Send(slot, read_only, target, write, 0, kNoKey);
  }
  void LeftEnded() noexcept { OnEnd(0); }
  void SubmitSettling(CommandKey key, std::int64_t deadline, const CallTarget& target);
  void Ended() noexcept { OnEnd(1); }
  // Waits until everything has ended, except commands that may be left behind.
  void Wait() noexcept { WaitFor(1, kNoEnd); }
  // Does what Wait() does, but not beyond `until`, a time on the clock of NowMs(). Returns whether
  // everything has ended.
  bool WaitUntil(std::int64_t until) noexcept;
  // ends() says how many commands of this session have ended so far. WaitForEnd() waits until more
  // than `after` commands have ended, but not beyond `until`, a time on the clock of NowMs(); if
  // `until` is given, the wait may also end earlier. Some commands must be under way. Every command
  // ends by the deadline of the call that submitted it.
  std::uint64_t ends() const noexcept;
  void WaitForEnd(std::uint64_t after, std::int64_t until = Client::kNever) noexcept {
    WaitFor(0, after, until);
  }

  // Whether the call has been cancelled.
  bool cancelled() const noexcept { return cancels_ != shared_.client_.cancels(); }
  std::int64_t deadline() const noexcept { return deadline_; }  // on the clock of NowMs()
  std::int64_t NowMs() const noexcept { return shared_.client_.NowMs(); }
  // While a Sooner lives, commands are submitted with `deadline` in place of the call's own
  // deadline. It must not be later than that one.
  class Sooner {
   public:
    Sooner(Session& session, std::int64_t deadline) noexcept
        : session_(session), before_(session.SetDeadline(deadline)) {}
    ~Sooner() { (void)session_.SetDeadline(before_); }
    Sooner(const Sooner&) = delete;
    Sooner& operator=(const Sooner&) = delete;

   private:
    Session& session_;
    const std::int64_t before_;
  };
  ServerInfo server() const;
  // Use this function only within a target.
  const Client& client() const noexcept { return shared_.client_; }

  std::string scratch;
  CoreHints hints;
  PartitionScan scan;

 private:
  friend class SharedClient;

  struct Written {
    std::uint16_t slot = 0;
    bool read_only = false;
    bool settles = false;
    CommandKey key = kNoKey;
    std::int64_t deadline = 0;
    CallTarget target;
    std::string bytes;
    RespCommand::FunctionArg function;  // where `bytes` names the function
  };

  static constexpr std::uint64_t kNoEnd = UINT64_MAX;
  // Targets run while the leader holds this lock.
  using Lock = std::unique_lock<std::mutex>;

  template <class Write>
  void Send(std::uint16_t slot, bool read_only, const CallTarget& target, const Write& write,
            std::size_t open, CommandKey key) {
    const Lock lock(shared_.mutex_);
    open_ += open;
    Client& client = shared_.client_;
    if (leads_ || (written_size_ == 0 && client.CanSend(slot))) {
      client.MakeRoom();
      (void)client.Submit(slot, read_only, target, write, DeadlineNow(), key);
      return;
    }
    Written& written = AddWritten(slot, read_only, target, key);
    RespCommand command(written.bytes);
    write(command);
    written.function = command.function();
  }
  // Returns the deadline before.
  std::int64_t SetDeadline(std::int64_t deadline) noexcept;
  Written& AddWritten(std::uint16_t slot, bool read_only, const CallTarget& target, CommandKey key);
  void OnEnd(std::size_t open) noexcept;
  // Waits until the leader has taken what this session has written, and until fewer than `below`
  // commands are open or more than `after` have ended, but not beyond `until`.
  void WaitFor(std::size_t below, std::uint64_t after,
               std::int64_t until = Client::kNever) noexcept;

  // The call's deadline, or kCancelledDeadline if the call has been cancelled.
  std::int64_t DeadlineNow() const noexcept {
    return cancelled() ? Client::kCancelledDeadline : deadline_;
  }

  // The callers of the next functions must hold the lock.
  bool HasWhatItWants() const noexcept { return open_ < wants_below_ || ends_ > wants_after_; }
  bool IsDone() const noexcept { return written_size_ == 0 && HasWhatItWants(); }
  bool TryLead() noexcept;
  void HandOver(Lock& lock) noexcept;
  void WakeTheDone(Lock& lock) noexcept;
  void HandIn() noexcept;
  void TellTheLeader() noexcept;
  void WaitForLeader(Lock& lock, std::int64_t until) noexcept;
  void Lead(Lock& lock, std::int64_t until) noexcept;

  SharedClient& shared_;
  // The session's thread changes the deadline while it holds the lock, because the leader may read
  // the deadline of a session whose commands it takes.
  std::int64_t deadline_ = 0;
  std::uint64_t cancels_ = 0;  // the client's cancels() when the call began
  // Whether the session's thread leads. Other threads set this member only while the session's
  // thread waits.
  bool leads_ = false;
  bool unsent_ = false;  // a command to be left behind may be unsent
  // The client's mutex protects the members below.
  std::size_t open_ = 0;          // commands that have not ended, and are waited for
  std::uint64_t ends_ = 0;        // how many commands have ended
  std::vector<Written> written_;  // the first written_size_ are for the leader
  std::size_t written_size_ = 0;
  std::size_t wants_below_ = 0;         // the session waits until fewer commands are open
  std::uint64_t wants_after_ = kNoEnd;  // or until more commands have ended
  bool waits_ = false;
  std::condition_variable changed_;
};

// Sends several commands together. A reader of an answer is `bool(const Reply&)`; it returns false
// if the reply can't be the answer to its command. Another thread may call a reader while the
// thread that added the reader waits.
class Group {
 public:
  static constexpr std::size_t kMaxSize = 96;

  // `details`, which may be null, gets the text of the failure that Wait() returns.
  Group(Session& session, ErrorDetails* details) : session_(session), details_(details) {}
  Group(const Group&) = delete;

  // Submits one command. Add() may be called at most kMaxSize times, and `read` must live until
  // Wait() returns.
  template <class Write, class Read>
  void Add(std::uint16_t slot, bool read_only, const Write& write, Read& read,
           CommandKey key = kNoKey) {
    Item& item = items_[size_];
    item.read = &read;
    item.invoke = [](void* self, const Reply& reply) noexcept {
      return (*static_cast<Read*>(self))(reply);
    };
    const CallTarget target = {
        .self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = size_};
    ++size_;
    session_.Submit(slot, read_only, target, write, key);
  }

  // Waits until each command has ended. Returns kNone if each has its answer, kUnknownOutcome if
  // the outcome of a command is unknown, and otherwise kUnavailable.
  ClaimError Wait() noexcept {
    session_.Wait();
    return failure_;
  }

 private:
  struct Item {
    void* read = nullptr;
    bool (*invoke)(void* self, const Reply& reply) noexcept = nullptr;
  };

  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
    auto& group = *static_cast<Group*>(self);
    const Item& item = group.items_[tag];
    if (!item.invoke(item.read, reply)) return false;
    group.session_.Ended();
    return true;
  }
  static void OnFailure(void* self, std::uint64_t, CallFailure failure,
                        std::string_view text) noexcept {
    auto& group = *static_cast<Group*>(self);
    // A command that may have happened outweighs one that has not.
    if (failure == CallFailure::kUnknownOutcome) {
      if (group.failure_ != ClaimError::kUnknownOutcome) group.Explain(text);
      group.failure_ = ClaimError::kUnknownOutcome;
    } else if (group.failure_ == ClaimError::kNone) {
      group.Explain(text);
      group.failure_ = ClaimError::kUnavailable;
    }
    group.session_.Ended();
  }
  void Explain(std::string_view text) noexcept {
    if (details_ == nullptr) return;
    details_->clear();
    (void)details_->Add(text.substr(0, 512));
  }

  Session& session_;
  ErrorDetails* details_;
  std::size_t size_ = 0;
  ClaimError failure_ = ClaimError::kNone;
  std::array<Item, kMaxSize> items_;
};

// Sends one command and waits for its answer.
template <class Write, class Read>
ClaimError CallAndWait(Session& session, std::uint16_t slot, bool read_only, ErrorDetails* details,
                       const Write& write, Read read, CommandKey key = kNoKey) {
  Group group(session, details);
  group.Add(slot, read_only, write, read, key);
  return group.Wait();
}

// A fixed number of clients; each has as many sessions as calls want.
class SessionPool {
 public:
  SessionPool(const ClientOptions& options, std::size_t size);

  class Lease {
   public:
    Lease(SharedClient& shared, std::unique_ptr<Session> owned)
        : session(*owned), shared_(shared), owned_(std::move(owned)) {
      session.Begin();
    }
    ~Lease();
    Lease(const Lease&) = delete;

    Session& session;

   private:
    SharedClient& shared_;
    std::unique_ptr<Session> owned_;
  };
  // Takes a session at the client that the fewest calls use. Does not wait.
  Lease Take() noexcept;
  // Gives one turn to each client at which nobody leads, so that the client reads answers that have
  // come after their calls had ended. Does not wait.
  void TurnIdle() noexcept;

  // Ends the calls under way, as Client::Cancel() does, and also what they would do next. May be
  // called from any thread.
  void Cancel() noexcept {
    for (const auto& client : clients_) client->client_.Cancel();
  }
  // May be called from any thread; does not wait.
  ClientCounters counters() const noexcept {
    ClientCounters sum;
    for (const auto& client : clients_) client->client_.counts().AddTo(sum);
    return sum;
  }

  std::size_t size() const noexcept { return clients_.size(); }
  LostConnections& lost() noexcept { return deployment_->lost; }

 private:
  std::shared_ptr<Deployment> deployment_ = std::make_shared<Deployment>();
  std::vector<std::unique_ptr<SharedClient>> clients_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_SESSION_H_
