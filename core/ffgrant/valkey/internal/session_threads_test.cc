// SPDX-License-Identifier: Apache-2.0
//
// Makes calls from many threads through few connections, to servers on this machine. Some of the
// servers answer, some are frozen. Other tests run on a scripted network: they hold the thread that
// leads while another thread hands in its commands, or sends them itself.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/internal/session.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/simulation/scripted_rig.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::testing {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t MsSince(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

// A scripted server behind real sockets, in a thread of its own.
class SocketServer {
 public:
  SocketServer() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 512), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SocketServer() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    for (const auto& [fd, unread] : unread_) close(fd);
    close(listener_);
  }
  void Start() {
    thread_ = std::thread([this] { Run(); });
  }
  // A frozen server reads nothing, like a process that was stopped.
  void Freeze(bool frozen) { frozen_ = frozen; }

  std::uint16_t port() const { return port_; }
  ScriptedServer server;  // use it before Start(), or from the server's thread

 private:
  void Run() {
    while (!stop_) {
      std::vector<pollfd> all = {{listener_, POLLIN, 0}};
      for (const auto& [fd, unread] : unread_) all.push_back({fd, POLLIN, 0});
      (void)poll(all.data(), all.size(), 5);
      if (frozen_) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        continue;
      }
      if (all[0].revents != 0) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        unread_[fd].clear();
        ids_[fd] = ++last_id_;
      }
      for (std::size_t i = 1; i < all.size(); ++i) {
        if (all[i].revents != 0) Serve(all[i].fd);
      }
    }
  }
  void Serve(int fd) {
    char bytes[65536];
    const ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (size <= 0) {
      close(fd);
      unread_.erase(fd);
      ids_.erase(fd);
      return;
    }
    std::string& unread = unread_[fd];
    unread.append(bytes, static_cast<std::size_t>(size));
    std::string replies;
    const auto now =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch());
    std::set<std::int64_t> killed;
    for (const Words& command : TakeCommands(unread)) {
      replies += server.Execute(ids_[fd], command, now.count(), killed);
    }
    for (const auto& [other, id] : ids_) {
      if (killed.count(id) != 0) shutdown(other, SHUT_RDWR);
    }
    (void)!send(fd, replies.data(), replies.size(), MSG_NOSIGNAL);
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::map<int, std::string> unread_;  // by descriptor
  std::map<int, std::int64_t> ids_;    // client ids; none is used twice
  std::int64_t last_id_ = 0;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> frozen_ = false;
  std::thread thread_;
};

constexpr std::int64_t kLimitMs = 1500;
// The longest delay that a busy machine and a sanitizer may add.
constexpr std::int64_t kTickMs = 700;

class ManyThreads : public ::testing::Test {
 protected:
  ValkeyLedgerOptions Options(std::size_t connections) const {
    ValkeyLedgerOptions options;
    options.connections = connections;
    options.client.servers = {{"127.0.0.1", one_.port()}};
    options.client.request_timeout_ms = options.client.connect_timeout_ms = kLimitMs;
    return options;
  }
  // The first server has the lower half of the slots, the second server the other half.
  void FormCluster() {
    const auto node = [](const SocketServer& s, std::string_view id) {
      return Array({Bulk("127.0.0.1"), Integer(s.port()), Bulk(id)});
    };
    const std::string slots = Array({Array({Integer(0), Integer(8191), node(one_, "a")}),
                                     Array({Integer(8192), Integer(16383), node(two_, "b")})});
    for (SocketServer* const s : {&one_, &two_}) {
      s->server.answer = [s, this, slots](std::int64_t,
                                          const Words& command) -> std::optional<std::string> {
        const std::string id = s == &one_ ? "a" : "b";
        if (command[0] == "INFO") {
          return Bulk("valkey_version:9\r\nredis_mode:cluster\r\nrole:master\r\nrun_id:" + id +
                      "\r\n");
        }
        if (command[0] != "CLUSTER") return std::nullopt;
        return command[1] == "SLOTS" ? slots : command[1] == "MYID" ? Bulk(id) : "-NOPERM no\r\n";
      };
    }
  }
  void Start() {
    one_.Start();
    two_.Start();
  }
  static std::uint16_t PartitionOn(bool second) {
    for (std::uint16_t p = 0; p < 256; ++p) {
      if ((HashSlot(Partition{PartitionFamily::kExecution, p}) >= 8192) == second) return p;
    }
    return 0;
  }
  CreateOutcome Create(ValkeyLedger& ledger, std::uint16_t partition,
                       ErrorDetails* details = nullptr) const {
    const MintedExecutionId id(partition, RandomUuid());
    return ledger.CreateExecution({.execution_id = id.view(), .lane = lane_}, details);
  }

  SocketServer one_;
  SocketServer two_;
  const LaneIdView lane_ = ParseLaneId("main").lane;
};

TEST_F(ManyThreads, EachCallHasItsOwnAnswer) {
  Start();
  ValkeyLedger ledger(Options(2));
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const MintedExecutionId id(7, RandomUuid());
        const CreateExecutionArgs args = {.execution_id = id.view(), .lane = lane_};
        // The first answer says that the execution waits, the second that the execution was there
        // already.
        const CreateOutcome first = ledger.CreateExecution(args);
        const CreateOutcome second = ledger.CreateExecution(args);
        right += first && first.status == CreateOutcome::Status::kWaiting && second &&
                 second.status == CreateOutcome::Status::kDuplicate;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 16 * 200);
}

TEST_F(ManyThreads, EveryCallToAFrozenServerEndsWithinItsLimit) {
  Start();
  ValkeyLedger ledger(Options(4));
  ASSERT_TRUE(Create(ledger, 7));
  one_.Freeze(true);
  std::vector<std::thread> threads;
  std::vector<std::int64_t> took(64);
  std::vector<ClaimError> errors(64);
  for (std::size_t t = 0; t < took.size(); ++t) {
    threads.emplace_back([&, t] {
      const auto begin = Clock::now();
      errors[t] = Create(ledger, 7).error;
      took[t] = MsSince(begin);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(*std::max_element(took.begin(), took.end()), kLimitMs + kTickMs);
  for (const ClaimError error : errors) {
    EXPECT_TRUE(error == ClaimError::kUnknownOutcome || error == ClaimError::kUnavailable);
  }
  one_.Freeze(false);
  EXPECT_TRUE(Create(ledger, 7));
}

TEST_F(ManyThreads, AFrozenShardHoldsUpNobodyWhoAsksAnother) {
  FormCluster();
  Start();
  ValkeyLedger ledger(Options(4));
  ASSERT_TRUE(Create(ledger, PartitionOn(false)));
  ASSERT_TRUE(Create(ledger, PartitionOn(true)));
  two_.Freeze(true);
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&] {
      while (!stop) (void)Create(ledger, PartitionOn(true));
    });
  }
  std::vector<std::int64_t> longest(8);
  std::atomic<int> failed = 0;
  std::atomic<int> calls = 0;
  for (std::size_t t = 0; t < longest.size(); ++t) {
    threads.emplace_back([&, t] {
      while (!stop) {
        const auto begin = Clock::now();
        failed += !Create(ledger, PartitionOn(false));
        longest[t] = std::max(longest[t], MsSince(begin));
        ++calls;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(2 * kLimitMs));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(calls, 100);
  EXPECT_LE(*std::max_element(longest.begin(), longest.end()), kTickMs);
}

// A search that finds something does not wait for answers from the frozen shard. It leaves the
// questions that it has asked there to whichever thread leads.
TEST_F(ManyThreads, SearchesFindWhatTheOtherShardHas) {
  FormCluster();
  Start();
  ValkeyLedger ledger(Options(2));
  int there = 0;
  for (std::uint16_t p = 0; p < 256; ++p) {
    if (HashSlot(Partition{PartitionFamily::kExecution, p}) >= 8192 || there == 40) continue;
    ASSERT_TRUE(Create(ledger, p));
    ++there;
  }
  ASSERT_TRUE(Create(ledger, PartitionOn(true)));
  two_.Freeze(true);
  std::mutex mutex;
  std::set<std::string> given;
  std::int64_t longest = 0;
  int again = 0;
  std::set<std::string> errors;
  const auto claim = [&](const std::string& instance) {
    const auto begin = Clock::now();
    const ClaimForWorkerOutcome outcome = ledger.ClaimForWorker(
        {.worker = {{"w"}, {instance}}, .lane = lane_, .grant_ttl_ms = 600'000});
    const std::scoped_lock lock(mutex);
    longest = std::max(longest, MsSince(begin));
    if (outcome) {
      again += !given.emplace(outcome.grant.view().execution_id.text()).second;
    } else {
      errors.insert(std::string(ErrorName(outcome.error)) + " seen " +
                    std::to_string(outcome.partitions_seen) + " away " +
                    std::to_string(outcome.partitions_unreachable));
    }
    return outcome;
  };
  const auto is_over = [&, begin = Clock::now()] {
    const std::scoped_lock lock(mutex);
    return given.size() == 40 || MsSince(begin) > 30'000;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, instance = "i" + std::to_string(t)] {
      while (!is_over()) (void)claim(instance);
      (void)claim(instance);  // finds nothing
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(given.size(), 40u);
  EXPECT_EQ(again, 0);
  for (const std::string& error : errors) {
    // On a busy machine a call may get no answer from any partition.
    EXPECT_TRUE(error.starts_with("nothing_in_window") || error.starts_with("unavailable seen 0 "))
        << error;
  }
  EXPECT_LE(longest, kLimitMs + kTickMs);
  two_.Freeze(false);
  for (int i = 0; i < 50 && given.size() < 41; ++i) {
    (void)claim("i0");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(given.size(), 41u);
}

TEST_F(ManyThreads, FindClaimHasOneLimitHoweverManyConnectionsAreLost) {
  Start();
  ValkeyLedger ledger(Options(16));
  const WorkerIdentity worker = {{"w"}, {"i"}};
  std::vector<MintedExecutionId> ids;
  std::vector<ClaimArgs> claims;
  for (int i = 0; i < 16; ++i) ids.emplace_back(7, RandomUuid());
  for (const MintedExecutionId& id : ids) {
    ASSERT_TRUE(ledger.CreateExecution({.execution_id = id.view(), .lane = lane_}));
    ASSERT_TRUE(ledger.IssueClaimGrant(
        {.execution_id = id.view(), .worker = worker, .lane = lane_, .grant_ttl_ms = 600'000}));
    claims.push_back({.execution_id = id.view(),
                      .worker = worker,
                      .lane = lane_,
                      .lease_id = {RandomUuid()},
                      .lease_ttl_ms = 600'000,
                      .attempt_id = {RandomUuid()}});
  }
  const auto all = [&](auto call) {
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < ids.size(); ++i) threads.emplace_back([&, i] { call(i); });
    for (std::thread& thread : threads) thread.join();
  };
  all([&](std::size_t i) {  // makes all the connections
    for (int k = 0; k < 50; ++k) (void)ledger.Inspect(ids[i].view());
  });
  one_.Freeze(true);
  std::atomic<int> unknown = 0;
  all([&](std::size_t i) {
    unknown += ledger.Claim(claims[i]).error == ClaimError::kUnknownOutcome;
  });
  EXPECT_GT(unknown, 0);
  const auto begin = Clock::now();
  const FoundClaim frozen = ledger.FindClaim(ids[0].view(), claims[0].lease_id);
  EXPECT_LE(MsSince(begin), kLimitMs + kTickMs);
  EXPECT_EQ(frozen.error, ClaimError::kUnavailable);
  EXPECT_FALSE(frozen.final);
  one_.Freeze(false);
  // The clients connect again one after the other, and late on a busy machine. Until the connection
  // on which a claim was lost has been shut, the answer about this claim may not be final.
  std::atomic<int> final = 0;
  all([&](std::size_t i) {
    for (const auto start = Clock::now(); MsSince(start) < 30'000;) {
      const FoundClaim found = ledger.FindClaim(ids[i].view(), claims[i].lease_id);
      if (found && found.final) {
        ++final;
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  EXPECT_EQ(final, 16);
}

// ---- commands that are handed in -----------------------------------------------------

using internal::CallFailure;
using internal::CallTarget;
using internal::Reply;
using internal::RespCommand;
using internal::Session;
using internal::SessionPool;

// Holds every wait on a scripted network until LetGo(), even if somebody calls Wake().
class HeldNetwork final : public Network {
 public:
  explicit HeldNetwork(std::unique_ptr<Network> inner) : inner_(std::move(inner)) {}

  void AwaitWait() { Await(waits_); }
  void AwaitWake() { Await(woken_); }
  void LetGo() { Set(let_go_); }
  // After this call every wait is held again, until the next LetGo().
  void Hold() {
    const std::scoped_lock lock(mutex_);
    waits_ = woken_ = let_go_ = false;
  }
  bool woken() {
    const std::scoped_lock lock(mutex_);
    return woken_;
  }

  std::unique_ptr<Stream> NewStream() override { return inner_->NewStream(); }
  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override {
    Set(waits_);
    Await(let_go_);
    inner_->Wait(interests, timeout_ms);
  }
  void Wake() noexcept override { Set(woken_); }
  std::int64_t NowMs() noexcept override { return inner_->NowMs(); }
  std::uint64_t Random() noexcept override { return inner_->Random(); }

 private:
  void Set(bool& flag) {
    const std::scoped_lock lock(mutex_);
    flag = true;
    changed_.notify_all();
  }
  void Await(const bool& flag) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&flag] { return flag; });
  }

  const std::unique_ptr<Network> inner_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool waits_ = false;
  bool woken_ = false;
  bool let_go_ = false;
};

// One thread leads and is in the network's wait, since there is no connection yet. The call of
// another thread then writes commands for the leader: one that reads or writes, and one that
// settles a command which may still be executed. In one test only the second is written.
class HandedIn : public ::testing::Test {
 protected:
  static constexpr std::int64_t kLimitMs = 200;
  enum Command : std::uint64_t { kCommand, kSettling };
  struct End {
    std::optional<CallFailure> failure;  // empty: there was an answer
    std::int64_t at = 0;
  };

  HandedIn() {
    const auto make_scripted = options_.make_network;
    options_.request_timeout_ms = kLimitMs;
    options_.make_network = [this, make_scripted] {
      auto made = std::make_unique<HeldNetwork>(make_scripted());
      held_ = made.get();
      return made;
    };
    pool_ = std::make_unique<SessionPool>(options_, 1);
    scripted_->SetScript([this](Operation operation) -> Fault {
      if (operation == Operation::kOpen && !connects_) return {Fault::Kind::kWouldBlock};
      const bool asked = operation == Operation::kAnswer && silent_ &&
                         (pinged_ || server_.Executions("ff_create_execution", Id()) != 0);
      return {asked ? Fault::Kind::kSilence : Fault::Kind::kNone};
    });
    server_.answer = [this](std::int64_t, const Words& command) -> std::optional<std::string> {
      pinged_ |= command[0] == "PING";
      return std::nullopt;
    };
    (void)pool_->lost().Add({.run_id = "process1"}, 1, scripted_->NowMs(), kKey, true);
    Begin();
  }
  ~HandedIn() override { EndCalls(); }

  void Begin() {
    first_ = std::thread([this] {
      const SessionPool::Lease lease = pool_->Take();
      (void)internal::CallAndWait(lease.session, 0, true, nullptr, Ping,
                                  [](const Reply&) { return true; });
    });
    held_->AwaitWait();
    lease_.reset(new SessionPool::Lease(pool_->Take()));
  }
  // Begins two more calls after EndCalls(), without a connection. Each of these calls takes the
  // session that the other call had before.
  void BeginAgain() {
    connects_ = false;
    scripted_->HangUp(static_cast<std::int64_t>(scripted_->connections()));
    held_->Hold();
    ends_.clear();
    Begin();
  }

  std::string Id() const { return std::string(way_.execution.text()); }
  Session& session() { return lease_->session; }

  CallTarget Target(Command command) {
    return {.self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = command};
  }
  void Submit(bool writes) {
    session().Submit(7, !writes, Target(kCommand), [&](RespCommand& command) {
      if (!writes) return Ping(command);
      internal::WriteCreate(
          command, {.execution_id = way_.execution.view(), .lane = ParseLaneId("main").lane}, {},
          {}, session().scratch);
    });
    SubmitSettling();
  }
  void SubmitSettling() { session().SubmitSettling(kKey, session().deadline(), Target(kSettling)); }
  // Starts a thread that waits for the ends of the commands. Returns once that thread has told the
  // leading thread of the commands.
  void HandIn() {
    second_ = std::thread([this] { session().Wait(); });
    held_->AwaitWake();
  }
  // Lets the leading thread go on, and waits until all calls have ended.
  void EndCalls() {
    held_->LetGo();
    for (std::thread* const thread : {&first_, &second_}) {
      if (thread->joinable()) thread->join();
    }
    lease_.reset();
  }

  static void Ping(RespCommand& command) {
    command.Begin(1);
    command.Arg("PING");
  }
  static bool OnReply(void* self, std::uint64_t tag, const Reply&) noexcept {
    static_cast<HandedIn*>(self)->OnEnd(tag, std::nullopt);
    return true;
  }
  static void OnFailure(void* self, std::uint64_t tag, CallFailure failure,
                        std::string_view) noexcept {
    static_cast<HandedIn*>(self)->OnEnd(tag, failure);
  }
  void OnEnd(std::uint64_t tag, std::optional<CallFailure> failure) {
    ends_[tag] = {failure, scripted_->NowMs()};
    session().Ended();
  }

  static constexpr internal::CommandKey kKey = 77;
  const ScriptedRig::Way way_{1};
  ScriptedServer server_;
  ScriptedNetwork* scripted_ = nullptr;
  HeldNetwork* held_ = nullptr;
  ClientOptions options_ = ScriptedOptions(server_, scripted_);
  bool connects_ = false;
  bool silent_ = false;
  bool pinged_ = false;
  std::unique_ptr<SessionPool> pool_;
  std::unique_ptr<SessionPool::Lease> lease_;
  std::map<std::uint64_t, End> ends_;
  std::thread first_;
  std::thread second_;
};

TEST_F(HandedIn, CommandsAreAnswered) {
  connects_ = true;
  Submit(true);
  HandIn();
  EndCalls();
  EXPECT_EQ(ends_.size(), 2u);
  EXPECT_EQ(ends_[kCommand].failure, std::nullopt);
  EXPECT_EQ(server_.Executions("ff_create_execution", Id()), 1);
}

// A session keeps the places of the commands that it has handed in. The next call uses these places
// again, whether it only settles or also sends a command.
TEST_F(HandedIn, NothingOfAnEarlierCallIsLeftInAPlace) {
  connects_ = true;
  for (const bool settles_alone : {false, true, false, true, false}) {
    SCOPED_TRACE(settles_alone);
    for (int turn = 0; turn < 2; ++turn) {  // the two sessions take turns
      const int before = server_.Executions("ff_create_execution", Id());
      const std::int64_t deadline = session().deadline();
      settles_alone ? SubmitSettling() : Submit(true);
      HandIn();
      EndCalls();
      EXPECT_GE(scripted_->NowMs(), deadline) << "the next call must begin after this one's limit";
      EXPECT_EQ(ends_.size(), settles_alone ? 1u : 2u);
      EXPECT_EQ(ends_[kCommand].failure, std::nullopt);
      EXPECT_EQ(server_.Executions("ff_create_execution", Id()), before + !settles_alone);
      BeginAgain();
      connects_ = true;
    }
  }
}

// The second thread's call has used up a part of its time before it hands in the commands.
class HandedInLate : public HandedIn,
                     public ::testing::WithParamInterface<std::tuple<bool, bool>> {};
TEST_P(HandedInLate, CommandsHaveWhatIsLeftOfTheirCall) {
  const auto [writes, connects] = GetParam();
  connects_ = connects;
  silent_ = true;
  scripted_->Wait({}, 3 * kLimitMs / 4);
  Submit(writes);
  HandIn();
  const std::int64_t deadline = session().deadline();
  EndCalls();
  EXPECT_EQ(ends_[kCommand].at, deadline);
  EXPECT_EQ(ends_[kCommand].failure,
            writes && connects ? CallFailure::kUnknownOutcome : CallFailure::kUnavailable);
  EXPECT_EQ(server_.Executions("ff_create_execution", Id()), writes && connects ? 1 : 0);
  EXPECT_EQ(ends_[kSettling].at, deadline);
}
INSTANTIATE_TEST_SUITE_P(AllWays, HandedInLate,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool()));

// The commands are cancelled while the leading thread is held, so that it has not taken them yet.
// They are cancelled after that thread was told of the commands, or even before.
class HandedInAndCancelled : public HandedIn,
                             public ::testing::WithParamInterface<std::tuple<bool, bool>> {};
TEST_P(HandedInAndCancelled, CommandsNeverGoOut) {
  const auto [writes, told] = GetParam();
  connects_ = true;
  const std::int64_t deadline = session().deadline();
  Submit(writes);
  if (told) HandIn();
  pool_->Cancel();
  if (!told) HandIn();
  EndCalls();
  EXPECT_EQ(ends_[kCommand].failure, CallFailure::kUnavailable);
  EXPECT_LT(ends_[kCommand].at, deadline - kLimitMs / 2);
  EXPECT_EQ(server_.Executions("ff_create_execution", Id()), 0);
  EXPECT_EQ(ends_.count(kSettling), 1u);
  EXPECT_LT(ends_[kSettling].at, deadline - kLimitMs / 2);
}
INSTANTIATE_TEST_SUITE_P(AllWays, HandedInAndCancelled,
                         ::testing::Combine(::testing::Bool(), ::testing::Bool()));

// ---- commands that are sent beside a leader ---------------------------------------------

// One thread leads and is in the network's wait, for an answer on a connection that is in use. The
// call of another thread ends, and leaves a command behind.
class BesideALeader : public ::testing::Test {
 protected:
  BesideALeader() {
    const auto make_scripted = options_.make_network;
    options_.make_network = [this, make_scripted] {
      auto made = std::make_unique<HeldNetwork>(make_scripted());
      held_ = made.get();
      return made;
    };
    pool_ = std::make_unique<SessionPool>(options_, 1);
    held_->LetGo();
    Call();  // connects
    Lead();
  }
  ~BesideALeader() override { EndCalls(); }

  void Lead() {
    held_->Hold();
    scripted_->SetScript([](Operation operation) -> Fault {
      return {operation == Operation::kArrive ? Fault::Kind::kHold : Fault::Kind::kNone};
    });
    leader_ = std::thread([this] { Call(); });
    held_->AwaitWait();
  }
  void Call() {
    const SessionPool::Lease lease = pool_->Take();
    (void)internal::CallAndWait(lease.session, 0, true, nullptr, Ping,
                                [](const Reply&) { return true; });
  }
  std::unique_ptr<SessionPool::Lease> Begin() {
    return std::unique_ptr<SessionPool::Lease>(new SessionPool::Lease(pool_->Take()));
  }
  // Asks something in a call, and ends the call without waiting for the answer.
  void Leave(std::unique_ptr<SessionPool::Lease> lease) {
    left_.session = &lease->session;
    left_.session->SubmitToLeave(
        0, true,
        {.self = &left_, .on_reply = &Left::OnReply, .on_failure = &Left::OnFailure, .tag = 0},
        Ping);
  }
  void EndCalls() {
    held_->LetGo();
    if (leader_.joinable()) leader_.join();
  }

  struct Left {
    Session* session = nullptr;
    int answers = 0;
    int failures = 0;
    static bool OnReply(void* self, std::uint64_t, const Reply&) noexcept {
      auto& left = *static_cast<Left*>(self);
      ++left.answers;
      left.session->LeftEnded();
      return true;
    }
    static void OnFailure(void* self, std::uint64_t, CallFailure, std::string_view) noexcept {
      auto& left = *static_cast<Left*>(self);
      ++left.failures;
      left.session->LeftEnded();
    }
  };
  static void Ping(RespCommand& command) {
    command.Begin(1);
    command.Arg("PING");
  }

  ScriptedServer server_;
  ScriptedNetwork* scripted_ = nullptr;
  HeldNetwork* held_ = nullptr;
  ClientOptions options_ = ScriptedOptions(server_, scripted_);
  std::unique_ptr<SessionPool> pool_;
  Left left_;
  std::thread leader_;
};

TEST_F(BesideALeader, WhatACallLeavesBehindIsWrittenAtItsEnd) {
  const std::size_t before = scripted_->bytes_to_server();
  Leave(Begin());
  EXPECT_GT(scripted_->bytes_to_server(), before);
  EXPECT_FALSE(held_->woken()) << "there is nothing for the leader to do";
  scripted_->SetScript(nullptr);
  EndCalls();
  Call();  // the command left behind is answered before this call
  EXPECT_EQ(left_.answers, 1);
}

// The call that leaves a command behind began before the leader's call. So its time is up before
// the leader would look again.
TEST_F(BesideALeader, WhatEndsBeforeTheLeaderLooksAgainIsItsMatter) {
  const std::int64_t limit = options_.request_timeout_ms;
  scripted_->Wait({}, limit / 2);
  std::unique_ptr<SessionPool::Lease> early = Begin();
  scripted_->SetScript(nullptr);
  EndCalls();
  scripted_->Wait({}, limit / 2);  // the time of the first leader's call is up
  Lead();
  const std::size_t before = scripted_->bytes_to_server();
  Leave(std::move(early));
  EXPECT_GT(scripted_->bytes_to_server(), before);
  EXPECT_TRUE(held_->woken());
  scripted_->SetScript(nullptr);
  EndCalls();
  Call();
  EXPECT_EQ(left_.answers, 1);
}

TEST_F(BesideALeader, WhatCantBeWrittenAtOnceIsTheLeadersMatter) {
  scripted_->SetScript([](Operation operation) -> Fault {
    return {operation == Operation::kWrite ? Fault::Kind::kWouldBlock : Fault::Kind::kNone};
  });
  const std::size_t before = scripted_->bytes_to_server();
  Leave(Begin());
  EXPECT_EQ(scripted_->bytes_to_server(), before);
  EXPECT_TRUE(held_->woken());
  scripted_->SetScript(nullptr);
  EndCalls();
  Call();
  EXPECT_EQ(left_.answers, 1);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
