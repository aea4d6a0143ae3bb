// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/client.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <stdexcept>
#include <utility>

#include "ffgrant/internal/throw.h"

namespace ffgrant::valkey::internal {
namespace {

constexpr std::size_t kReadSize = std::size_t{64} << 10;
// Once there is this much output, it is sent without waiting for the next Poll().
constexpr std::size_t kFlushSize = std::size_t{64} << 10;
// This many EINTR in a row count as a fault.
constexpr int kMaxInterrupts = 64;
constexpr std::size_t kMaxNodes = 1024;

constexpr std::size_t kMaxNameSize = 256;

bool IsInOrder(const Backoff& backoff) noexcept {
  return backoff.first_ms > 0 && backoff.longest_ms >= backoff.first_ms;
}

// Returns whether CLIENT SETNAME takes this name.
bool IsConnectionName(std::string_view name) noexcept {
  return name.size() <= kMaxNameSize &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '!' && c <= '~'; });
}

}  // namespace

std::unique_ptr<Network> MakeNetwork(const ClientOptions& options) {
  std::unique_ptr<Network> network =
      options.make_network ? options.make_network()
                           : MakeSocketNetwork({}, {.keepalive_s = options.keepalive_s});
  if (!options.tls.enabled) return network;
  return MakeTlsNetwork(std::move(network), options.tls);
}

Client::Client(const ClientOptions& options, std::unique_ptr<Network> network,
               std::shared_ptr<Deployment> deployment)
    : options_(options),
      network_(std::move(network)),
      deployment_(deployment ? std::move(deployment) : std::make_shared<Deployment>()),
      read_buffer_(kReadSize),
      log_(options.log, deployment_.get()) {
  if (options.servers.empty() || options.max_in_flight == 0 || options.max_in_flight > 65536 ||
      options.request_timeout_ms <= 0 || options.connect_timeout_ms <= 0 ||
      options.refusal_pause_ms <= 0 || options.contract_versions.empty() ||
      options.keepalive_s < 0 || options.keepalive_s > 32767 || options.probe_idle_ms <= 0 ||
      options.probe_limit_ms <= 0 || !IsConnectionName(options.connection_name) ||
      !IsInOrder(options.reconnect) || !IsInOrder(options.retry)) {
    ffgrant::internal::Throw<std::invalid_argument>("ffgrant: client options out of range");
  }
  const auto is_unix = [](const Endpoint& endpoint) { return endpoint.is_unix(); };
  if (options.tls.enabled && options.tls.verify && options.tls.server_name.empty() &&
      std::any_of(options.servers.begin(), options.servers.end(), is_unix)) {
    ffgrant::internal::Throw<std::invalid_argument>(
        "ffgrant: TLS over a unix socket needs tls.server_name");
  }
  requests_.resize(options.max_in_flight);
  free_.reserve(requests_.size());
  waiting_.reserve(requests_.size());
  for (std::size_t i = requests_.size(); i > 0; --i) {
    free_.push_back(static_cast<std::uint32_t>(i - 1));
  }
  (void)NodeAt(options_.servers.front());
}

Client::~Client() { Close(); }

void Client::Close() noexcept {
  // In a forked child nobody waits for what is under way, and the calls' threads do not exist. They
  // may have held any lock, so the child takes none. The streams close their descriptors.
  // Never true: `getpid() != owner_`: nothing counts what a child of the tests executes.
  if (getpid() != owner_) return;
  for (const auto& node : nodes_) Down(*node, "the client was closed");
  for (Request& request : requests_) {  // Down() may have put some of them back to be sent again
    if (request.state == Request::State::kWaiting) {
      Fail(request, CallFailure::kUnavailable, "the client was closed");
    }
  }
  waiting_.clear();
  for (const Settling& settling : std::exchange(settlings_, {})) {
    --in_flight_;
    settling.target.on_failure(settling.target.self, settling.target.tag, CallFailure::kUnavailable,
                               "the client was closed");
  }
}

// ---- requests ----------------------------------------------------------------

Client::Request* Client::NewRequest(std::uint16_t slot, bool read_only, const CallTarget& target,
                                    std::int64_t deadline, CommandKey key) {
  if (free_.empty()) return nullptr;
  Request& request = requests_[free_.back()];
  free_.pop_back();
  request.read_only = read_only;
  request.slot = slot;
  request.node = request.ask_node = nullptr;
  request.tries = request.loads = 0;
  request.key = key;
  request.deadline = deadline;
  request.target = target;
  request.bytes.clear();
  request.refusal.clear();
  request.cancels = cancels();
  ++in_flight_;
  return &request;
}

bool Client::SubmitWritten(std::uint16_t slot, bool read_only, const CallTarget& target,
                           std::string& bytes, const RespCommand::FunctionArg& function,
                           std::int64_t deadline, CommandKey key) {
  Request* const request = NewRequest(slot, read_only, target, deadline, key);
  if (request == nullptr) return false;
  request->bytes.swap(bytes);
  request->function = function;
  Enqueue(*request);
  return true;
}

void Client::MakeRoom() {
  if (!free_.empty()) return;
  const std::size_t size = requests_.size();
  requests_.resize(2 * size);
  free_.reserve(requests_.size());
  waiting_.reserve(requests_.size());
  for (std::size_t i = requests_.size(); i > size; --i) {
    free_.push_back(static_cast<std::uint32_t>(i - 1));
  }
}

void Client::Enqueue(Request& request) noexcept {
  counts_.commands.Add();
  const std::int64_t now = network_->NowMs();
  request.deadline = std::min(request.deadline, Later(now, options_.request_timeout_ms));
  // If a command waits already, the new one waits behind it. So commands of one caller are sent in
  // their order, unless one of them has to wait longer than the others.
  if (!waiting_.empty() || request.deadline <= now || !TrySend(request)) Wait(request, now);
}

void Client::Wait(Request& request, std::int64_t retry_at) noexcept {
  if (request.state == Request::State::kSent) counts_.retries.Add();
  request.waits_since = network_->NowMs();
  request.state = Request::State::kWaiting;
  request.retry_at = retry_at;
  waiting_.push_back(static_cast<std::uint32_t>(&request - requests_.data()));
}

void Client::CountWaiting(const Request& request, std::int64_t now) noexcept {
  counts_.unsent_ms.Add(
      static_cast<std::uint64_t>(std::max<std::int64_t>(now - request.waits_since, 0)));
}

void Client::GiveBack(Request& request) noexcept {
  request.state = Request::State::kFree;
  free_.push_back(static_cast<std::uint32_t>(&request - requests_.data()));
  --in_flight_;
}

void Client::Release(Request& request) noexcept {
  GiveBack(request);
  ++ended_;
}

void Client::Fail(Request& request, CallFailure failure, std::string_view text) noexcept {
  const CallTarget target = request.target;
  if (request.state == Request::State::kWaiting) CountWaiting(request, network_->NowMs());
  (failure == CallFailure::kUnavailable ? counts_.unavailable : counts_.unknown_outcomes).Add();
  Release(request);
  target.on_failure(target.self, target.tag, failure, text);
}

// ---- nodes -------------------------------------------------------------------

Node* Client::FindNode(const Endpoint& endpoint) const noexcept {
  for (const auto& node : nodes_) {
    if (node->endpoint == endpoint) return node.get();
  }
  return nullptr;
}

Node* Client::NodeAt(const Endpoint& endpoint) {
  if (Node* const node = FindNode(endpoint)) return node;
  const auto staying =
      std::count_if(nodes_.begin(), nodes_.end(), [](const auto& node) { return !node->leaving; });
  if (static_cast<std::size_t>(staying) >= kMaxNodes) return nullptr;
  ReplyLimits limits;
  limits.max_bytes = options_.max_reply_bytes;
  nodes_.push_back(std::make_unique<Node>(static_cast<int>(nodes_.size()), endpoint,
                                          network_->NewStream(), limits));
  return nodes_.back().get();
}

Node* Client::Route(const Request& request) const noexcept {
  if (request.ask_node != nullptr) return request.ask_node;
  if (slots_.empty()) return nodes_.front().get();
  const std::int16_t index = slots_[request.slot];
  if (index >= 0) return nodes_[static_cast<std::size_t>(index)].get();
  return tables_forbidden_ ? AnyNode() : nullptr;
}

Node* Client::AnyNode() const noexcept {
  Node* replica = nullptr;
  Node* on_its_way = nullptr;
  for (const auto& node : nodes_) {
    if (node->serves()) {
      // A command without keys is not redirected, and a replica refuses it.
      if (!node->replica) return node.get();
      replica = node.get();
    } else if (node->state != Node::State::kDown && !node->stranger && !node->leaving) {
      on_its_way = node.get();
    }
  }
  if (replica != nullptr) return replica;
  // The configured servers are asked for tables all the same, so the first node's connection is on
  // its way, if the first node does not refuse the client.
  return on_its_way != nullptr ? on_its_way : nodes_.front().get();
}

bool Client::TrySend(Request& request) noexcept {
  Node* const route = Route(request);
  if (route == nullptr) {
    RefreshSoon();
    return false;
  }
  Node& node = *route;
  node.wanted = true;
  if (node.stranger) RefreshSoon();
  if (!node.serves()) return false;
  if (node.expected.empty()) {
    // If the server has closed the connection in the meantime, or has sent something unasked, the
    // client finds out before it sends the command and not after.
    Receive(node);
    if (!node.serves()) return false;
  }
  const std::int64_t now = network_->NowMs();
  if (Probes(node, now)) return false;
  const auto number = static_cast<std::uint32_t>(&request - requests_.data());
  if (request.ask_node != nullptr) {
    RespCommand asking(node.out.end());
    asking.Begin(1);
    asking.Arg("ASKING");
    node.expected.push({Expected::Kind::kAsking, 0, node.appended(), now});
    request.ask_node = nullptr;
  }
  AppendCommand(node.out.end(), request.bytes, request.function, node.functions == Functions::kOwn);
  node.expected.push({Expected::Kind::kRequest, number, node.appended(), now});
  if (request.state == Request::State::kWaiting) CountWaiting(request, now);
  counts_.commands_sent.Add();
  request.state = Request::State::kSent;
  request.node = &node;
  next_deadline_ = std::min(next_deadline_, request.deadline);
  // If the flush fails here, it fails again in Progress(), which reports the failure. No target is
  // called from here.
  if (node.out.size() >= kFlushSize) (void)Flush(node);
  return true;
}

bool Client::Probes(Node& node, std::int64_t now) noexcept {
  if (now - node.heard_at < options_.probe_idle_ms) return false;
  const std::int64_t limit =
      Later(now, std::min(options_.probe_limit_ms,
                          options_.request_timeout_ms / 2 + options_.request_timeout_ms % 2));
  if (node.expected.empty()) {
    counts_.probes.Add();
    Run(node, Errand::kPing);
    node.deadline = limit;
    return true;
  }
  if (node.errand == Errand::kNone || node.expected.size() != 1) return false;
  // The errand's reply will show whether the connection is alive. From here on a command waits for
  // it, so it has no more time than a PING.
  node.deadline = std::min(node.deadline, limit);
  return true;
}

std::string Client::WhyUnsent(const Request& request) const {
  if (!request.refusal.empty()) return request.refusal;
  const Node* const node = Route(request);
  if (node != nullptr && node->state == Node::State::kConnecting &&
      !node->stream->WhyNotOpen().empty()) {
    return "no connection in time: " + std::string(node->stream->WhyNotOpen());
  }
  if (node != nullptr && !node->down_reason.empty()) return node->down_reason;
  if (node == nullptr) {  // no table says which node has the slot
    if (!slots_refusal_.empty()) return slots_refusal_;
    for (const auto& other : nodes_) {
      if (!other->down_reason.empty()) return other->down_reason;
    }
  }
  return "no reply in time";
}

std::string_view Client::WhyHeldBack(const Request& request, std::int64_t now) noexcept {
  Node* const node = Route(request);
  if (node == nullptr) return WhyNobodyTells(now);
  return IsHeldBack(*node, now) ? std::string_view(node->down_reason) : std::string_view();
}

std::string_view Client::WhyNobodyTells(std::int64_t now) noexcept {
  const auto is_refused = [&](const Endpoint& endpoint) {
    return deployment_->refusals.Find(endpoint, now).has_value();
  };
  if (!std::all_of(options_.servers.begin(), options_.servers.end(), is_refused)) return {};
  for (const Member& member : members_) {
    if (member.endpoint.port != 0 && !is_refused(member.endpoint)) return {};
  }
  Node* refused = nullptr;
  for (const auto& node : nodes_) {
    if (!IsHeldBack(*node, now)) return {};
    refused = node.get();
  }
  return refused->down_reason;
}

void Client::SendWaiting(std::int64_t now) noexcept {
  // Looks only at the requests that wait now: a request that begins to wait meanwhile stays behind
  // them.
  std::size_t kept = 0;
  const std::size_t count = waiting_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t number = waiting_[i];
    Request& request = requests_[number];
    if (request.deadline == kCancelledDeadline) {
      counts_.cancelled.Add();
      Fail(request, CallFailure::kUnavailable, kCancelled);
    } else if (request.deadline <= now) {
      Fail(request, CallFailure::kUnavailable, WhyUnsent(request));
    } else if (const std::string_view refusal = WhyHeldBack(request, now); !refusal.empty()) {
      Fail(request, CallFailure::kUnavailable, refusal);
    } else if (request.retry_at > now || !TrySend(request)) {
      waiting_[kept++] = number;
    }
  }
  waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(kept),
                 waiting_.begin() + static_cast<std::ptrdiff_t>(count));
}

// Gives up each connection on which an answer has been missing for the client's whole limit,
// because the server may be dead. Down() then ends the requests under way there, or lets them wait
// to be sent again. A connection is also given up if a request whose time is up has not been
// written completely. If only the time of a request's own call is up, that request ends alone, and
// the other requests keep the connection.
void Client::FailLate(std::int64_t now) noexcept {
  if (now < next_deadline_) return;
  // If Poll() was not called for a while, the answers may be here already.
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->up() && !nodes_[i]->expected.empty()) Receive(*nodes_[i]);
  }
  const std::int64_t limit = options_.request_timeout_ms;
  for (std::uint32_t i = 0; i < requests_.size(); ++i) {
    Request& request = requests_[i];
    if (request.state != Request::State::kSent || request.deadline > now) continue;
    Node& node = *request.node;
    Expected& expected = node.expected.of_request(i);
    if (Later(expected.sent_at, limit) <= now || expected.end > node.written) {
      Down(node, "no reply in time");
    } else {
      Abandon(node, request, expected, "no reply in time");
    }
  }
  next_deadline_ = kNever;
  for (const auto& node : nodes_) {
    if (node->abandoned == 0) continue;
    // The oldest expected reply may also be that of an errand sent before the abandoned request.
    const std::int64_t end = Later(node->expected.front().sent_at, limit);
    if (end <= now) {
      Down(*node, "no reply in time");
    } else {
      next_deadline_ = std::min(next_deadline_, end);
    }
  }
  for (const Request& request : requests_) {
    if (request.state == Request::State::kSent) {
      next_deadline_ = std::min(next_deadline_, request.deadline);
    }
  }
}

void Client::Abandon(Node& node, Request& request, Expected& expected,
                     std::string_view why) noexcept {
  expected.kind = Expected::Kind::kAbandoned;
  ++node.abandoned;
  if (request.read_only) {
    Fail(request, CallFailure::kUnavailable, why);
  } else {
    Log(LogLevel::kWarning, "a command to ", NameOf(node.endpoint),
        " has an unknown outcome: ", why);
    Lose(node, request.key, true);
    Fail(request, CallFailure::kUnknownOutcome, why);
  }
}

// If all bytes of a command have been written, the command ends as if its time were up, and its
// connection stays. If a part of a command has not been written yet, its connection is given up, so
// that the whole command never goes out.
void Client::CancelIfAsked(std::int64_t now) noexcept {
  const std::uint64_t asked = cancels();
  if (asked == seen_cancels_) return;
  seen_cancels_ = asked;
  for (std::uint32_t i = 0; i < requests_.size(); ++i) {
    Request& request = requests_[i];
    if (request.state != Request::State::kSent || request.cancels == asked) continue;
    const Expected& expected = request.node->expected.of_request(i);
    if (expected.end > request.node->written) Down(*request.node, kCancelled);
  }
  for (std::uint32_t i = 0; i < requests_.size(); ++i) {
    Request& request = requests_[i];
    if (request.state != Request::State::kSent || request.cancels == asked) continue;
    counts_.cancelled.Add();
    Abandon(*request.node, request, request.node->expected.of_request(i), kCancelled);
    next_deadline_ = now;  // lets FailLate() find the abandoned requests now
  }
  std::size_t kept = 0;
  for (const std::uint32_t number : waiting_) {
    Request& request = requests_[number];
    if (request.cancels == asked) {
      waiting_[kept++] = number;
      continue;
    }
    counts_.cancelled.Add();
    Fail(request, CallFailure::kUnavailable, kCancelled);
  }
  waiting_.resize(kept);
  for (Settling& settling : settlings_) {
    if (settling.cancels != asked) settling.deadline = now;
  }
}

// ---- connections ---------------------------------------------------------------

void Client::Connect(Node& node, std::int64_t now) noexcept {
  if (members_.empty()) LearnMembers();
  node.reader.Reset();
  node.out.clear();
  node.written = 0;
  node.expected.clear();
  node.errand = Errand::kNone;
  node.refused = false;
  node.has_library = false;
  node.functions = Functions::kUnchecked;
  node.stranger = false;
  node.draining = false;
  node.abandoned = 0;
  node.deadline = Later(now, ConnectLimit());
  node.stream->SetOpenLimit(ConnectLimit());
  node.fence_again_at = 0;
  node.greeted = false;
  node.state = Node::State::kConnecting;
  counts_.connects.Add();
  const IoStatus status = node.stream->Open(node.endpoint);
  if (status == IoStatus::kDone) {
    Greet(node);
  } else if (status != IoStatus::kWouldBlock) {
    FailedToOpen(node, status);
  }
}

bool Client::SharesTime() const noexcept { return slots_.empty() && options_.servers.size() > 1; }

// While several servers share a call's time, connecting has only a part of that time. So a call
// whose first server can't be reached still gets to the others.
std::int64_t Client::ConnectLimit() const noexcept {
  if (!SharesTime()) return options_.connect_timeout_ms;
  const std::int64_t part =
      options_.request_timeout_ms / static_cast<std::int64_t>(options_.servers.size());
  return std::clamp<std::int64_t>(part, 1, options_.connect_timeout_ms);
}

void Client::Greet(Node& node) {
  node.state = Node::State::kGreeting;
  const bool anonymous = options_.username.empty() && options_.password.empty();
  if (anonymous) {
    AfterLogin(node);
  } else {
    Run(node, Errand::kAuth);
  }
}

void Client::AfterLogin(Node& node) {
  Run(node, options_.connection_name.empty() ? Errand::kInfo : Errand::kSetName);
}

// Returns whether the deadline of `node` counts. If calls are under way together with an errand,
// the limits of the calls are enough.
bool Client::HasDeadline(const Node& node) noexcept {
  return node.state != Node::State::kReady ||
         (node.errand != Errand::kNone && node.expected.size() == 1);
}

void Client::Progress(Node& node, std::int64_t now) noexcept {
  if (node.state == Node::State::kDown) {
    if (!node.wanted || node.retry_at > now) return;
    if (!IsHeldBack(node, now)) {
      Connect(node, now);
      return;
    }
    // The refusal that is remembered counts as a failed try to connect: the server would only
    // repeat it.
    node.wanted = false;
    node.unreachable_at = now;
    ++node.failed_attempts;
    return;
  }
  if (node.state == Node::State::kConnecting) {
    const IoStatus status = node.stream->FinishOpen();
    if (status == IoStatus::kDone) {
      Greet(node);
    } else if (status != IoStatus::kWouldBlock) {
      FailedToOpen(node, status);
      return;
    }
  }
  if (HasDeadline(node) && node.deadline <= now) {
    // If Poll() was not called for a while, the answer may be here already.
    if (node.up()) Receive(node);
    if (node.state == Node::State::kDown) return;
    if (HasDeadline(node) && node.deadline <= now) {
      const bool probed = node.errand == Errand::kPing;
      if (probed) counts_.probes_failed.Add();
      DownUnconnected(node, probed ? "the idle connection was dead" : "no connection in time");
      return;
    }
  }
  if (node.up() && !Flush(node)) FailedToFlush(node);
}

void Client::FailedToOpen(Node& node, IoStatus status) noexcept {
  if (status == IoStatus::kRefused) {
    Refuse(node, std::string(node.stream->WhyNotOpen()));
  } else {
    DownUnconnected(node, "can't connect");
  }
}

void Client::DownUnconnected(Node& node, std::string_view what) noexcept {
  std::string reason(what);
  const std::string_view why =
      node.state == Node::State::kConnecting ? node.stream->WhyNotOpen() : std::string_view();
  if (!why.empty()) reason.append(": ").append(why);
  Down(node, reason);
}

// A server that sends a client away says why, and closes the connection at once. So the server's
// reason may be ready to be read although nothing can be written any more.
void Client::FailedToFlush(Node& node) noexcept {
  Receive(node);
  Down(node, "the connection broke");
}

bool Client::Flush(Node& node) noexcept {
  for (int interrupts = 0; !node.out.empty();) {
    const IoResult result = node.stream->Write(node.out.pending());
    if (result.status == IoStatus::kWouldBlock) break;
    if (result.status == IoStatus::kInterrupted && ++interrupts < kMaxInterrupts) continue;
    if (result.status != IoStatus::kDone) return false;
    interrupts = 0;
    node.out.Consume(result.size);
    node.written += result.size;
    counts_.bytes_sent.Add(result.size);
  }
  return true;
}

void Client::Receive(Node& node) noexcept {
  for (int interrupts = 0;;) {
    const IoResult result = node.stream->Read(read_buffer_);
    if (result.status == IoStatus::kWouldBlock) return;
    if (result.status == IoStatus::kInterrupted && ++interrupts < kMaxInterrupts) continue;
    if (result.status != IoStatus::kDone) {
      FailedToRead(node, result.status);
      return;
    }
    interrupts = 0;
    node.heard_at = network_->NowMs();
    counts_.bytes_received.Add(result.size);
    node.reader.Feed({read_buffer_.data(), result.size});
    for (;;) {
      const ReplyReader::Status status = node.reader.Next();
      if (status == ReplyReader::Status::kNeedMore) break;
      if (status == ReplyReader::Status::kMalformed) {
        FailedToParse(node);
        return;
      }
      if (!OnReply(node, node.reader.reply())) return;
    }
    if (result.size < read_buffer_.size()) return;  // nothing more is there
  }
}

void Client::FailedToParse(Node& node) noexcept {
  if (!node.reader.too_large()) {
    Down(node, "the server does not speak RESP");
    return;
  }
  if (!node.expected.empty() && node.expected.front().kind == Expected::Kind::kRequest &&
      node.expected.front().end <= node.written) {
    Request& request = requests_[node.expected.front().request];
    if (request.read_only) {
      node.expected.pop();
      Fail(request, CallFailure::kUnavailable, kReplyTooLarge);
    }
  }
  Down(node, kReplyTooLarge);
}

void Client::FailedToRead(Node& node, IoStatus status) noexcept {
  const std::string why(node.stream->WhyNotOpen());
  if (status == IoStatus::kRefused) {
    Refuse(node, why);
  } else if (status == IoStatus::kClosed) {
    Down(node, "the server closed the connection");
  } else {
    Down(node, why.empty() ? "the connection broke" : "the connection broke: " + why);
  }
}

void Client::CountEnd(const Node& node) noexcept {
  (node.greeted ? counts_.connections_lost : counts_.connects_failed).Add();
}

void Client::Down(Node& node, std::string_view reason) noexcept {
  if (node.state == Node::State::kDown) return;
  const bool greeted = node.greeted;
  CountEnd(node);
  Log(LogLevel::kWarning, greeted ? "connection lost: " : "no connection: ", NameOf(node.endpoint),
      ": ", reason);
  node.stream->Close();
  node.state = Node::State::kDown;
  node.errand = Errand::kNone;
  node.wanted = false;
  node.down_reason.assign(reason);
  const std::int64_t now = network_->NowMs();
  if (!greeted) {
    node.unreachable_at = now;
    ++node.failed_attempts;
  }
  ++node.failures;
  // If the connection had worked, the first new try is made at once.
  node.retry_at = greeted && node.failures == 1
                      ? now
                      : Later(now, options_.reconnect.DelayMs(node.failures, network_->Random()));
  while (!node.expected.empty()) {
    const Expected expected = node.expected.front();
    node.expected.pop();
    if (expected.kind != Expected::Kind::kRequest) continue;
    Request& request = requests_[expected.request];
    const bool sent = expected.end <= node.written;
    if (!sent || request.read_only) {
      Wait(request, now);
    } else {
      Lose(node, request.key, false);
      Log(LogLevel::kWarning, "a command to ", NameOf(node.endpoint),
          " has an unknown outcome: ", reason);
      Fail(request, CallFailure::kUnknownOutcome, reason);
    }
  }
  node.abandoned = 0;
  if (node.lost != 0) deployment_->lost.Close(std::exchange(node.lost, 0));
  if (!slots_.empty()) {
    RefreshSoon();
    // Without tables, only the other servers can tell who has the slots of this one by now.
    if (tables_forbidden_ && !greeted) ForgetSlotsOf(node);
  } else if ((!greeted || node.draining) && options_.servers.size() > 1 && node.index == 0) {
    // A connection that drained was ready, but its server is a replica now.
    next_server_ = (next_server_ + 1) % options_.servers.size();
    node.endpoint = options_.servers[next_server_];
  }
}

void Client::Refuse(Node& node, std::string_view text) noexcept {
  counts_.refusals.Add();
  Log(LogLevel::kError, "refused for good: ", NameOf(node.endpoint), ": ", text);
  const std::int64_t now = network_->NowMs();
  deployment_->refusals.Add(node.endpoint, now, Later(now, options_.refusal_pause_ms), text);
  Down(node, text);
  (void)IsHeldBack(node, now);
}

bool Client::IsHeldBack(Node& node, std::int64_t now) noexcept {
  node.refused = false;
  if (node.state != Node::State::kDown) return false;
  const auto refusal = deployment_->refusals.Find(node.endpoint, now);
  if (!refusal) return false;
  // Outside a cluster only the first node may move to another configured server. Any other node is
  // there to shut a connection that was lost at its address.
  if (slots_.empty() && node.index == 0) {
    for (std::size_t i = 1; i < options_.servers.size(); ++i) {
      const std::size_t other = (next_server_ + i) % options_.servers.size();
      if (deployment_->refusals.Find(options_.servers[other], now)) continue;
      next_server_ = other;
      node.endpoint = options_.servers[other];
      return false;
    }
  }
  node.refused = true;
  node.down_reason = refusal->text;
  return true;
}

// ---- the loop ------------------------------------------------------------------

void Client::Advance(std::int64_t now) noexcept {
  CancelIfAsked(now);
  ForgetIdle();
  FailLate(now);
  SendWaiting(now);
  RefreshSlots(now);
  AdvanceSettlings(now);
  // The loop counts by index, because a node may be added meanwhile.
  for (std::size_t i = 0; i < nodes_.size(); ++i) Progress(*nodes_[i], now);
}

std::int64_t Client::NextTimer() const noexcept {
  std::int64_t next = std::min({next_deadline_, refresh_at_, settle_again_at_});
  for (const auto& node : nodes_) {
    if (node->state == Node::State::kDown) {
      if (node->wanted) next = std::min(next, node->retry_at);
    } else if (HasDeadline(*node)) {
      next = std::min(next, node->deadline);
    }
  }
  for (const std::uint32_t number : waiting_) {
    const Request& request = requests_[number];
    next = std::min(next, request.deadline);
    const Node* const node = Route(request);
    if (node == nullptr) continue;
    // A connection that is being made has a deadline of its own.
    if (node->refused) {
      next = 0;  // the request ends now
    } else if (node->serves()) {
      // A command that waits for the client's own question goes out once the answer has come.
      const bool waits_for_errand = HasDeadline(*node) && request.retry_at <= network_->NowMs();
      if (!waits_for_errand) next = std::min(next, request.retry_at);
    } else if (node->state == Node::State::kDown) {
      next = std::min(next, std::max(request.retry_at, node->retry_at));
    }
  }
  return next;
}

void Client::CollectInterests() noexcept {
  interests_.clear();
  for (const auto& node : nodes_) {
    if (node->state == Node::State::kDown) continue;
    const bool connecting = node->state == Node::State::kConnecting;
    interests_.push_back({node->stream.get(), connecting || !node->out.empty()});
  }
}

void Client::ReceiveAll() noexcept {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->up()) Receive(*nodes_[i]);
  }
  SendErrands();
}

// Sends the errands now, because it may take long until anybody calls the client again, and a
// server whose errand was not sent would seem to be silent.
void Client::SendErrands() noexcept {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = *nodes_[i];
    if (node.up() && node.errand != Errand::kNone && !Flush(node)) FailedToFlush(node);
  }
}

void Client::Poll(std::int64_t timeout_ms) noexcept {
  std::int64_t now = network_->NowMs();
  const std::int64_t end = Later(now, std::max<std::int64_t>(timeout_ms, 0));
  ended_ = 0;
  for (;;) {
    Advance(now);
    if (ended_ != 0 || in_flight_ == 0) {
      SendErrands();
      break;
    }
    // If there is no time to wait, the loop takes what has come by now.
    if (timeout_ms > 0) {
      CollectInterests();
      network_->Wait(interests_, std::max<std::int64_t>(std::min(end, NextTimer()) - now, 0));
    }
    ReceiveAll();
    now = network_->NowMs();
    if (ended_ != 0 || now >= end) break;
  }
  // After what has come, it may be possible to send a command that waits.
  if (!waiting_.empty()) Advance(now);
}

std::int64_t Client::BeginTurn() noexcept {
  const std::int64_t now = network_->NowMs();
  ended_ = 0;
  Advance(now);
  if (ended_ != 0 || in_flight_ == 0) {
    SendErrands();
    return -1;
  }
  CollectInterests();
  return std::max<std::int64_t>(NextTimer() - now, 0);
}

int Client::PrepareWait() noexcept {
  network_->Wait({}, 0);  // clears Wake(): this turn does what Wake() was called for
  std::int64_t ms = BeginTurn();
  if (in_flight_ == 0) {
    interests_.clear();  // nobody would read what comes
    ms = kNever;
  } else if (ms < 0) {  // a command has ended
    CollectInterests();
    ms = 0;
  }
  ms = network_->Arm(interests_, ms);
  return ms == kNever ? -1 : static_cast<int>(std::min<std::int64_t>(ms, INT_MAX));
}

void Client::EndTurn() noexcept {
  ended_ = 0;
  ReceiveAll();
}

bool Client::CanSend(std::uint16_t slot) const noexcept {
  const std::int16_t index = slots_.empty() ? std::int16_t{0} : slots_[slot];
  if (index < 0 || !waiting_.empty()) return false;
  const Node& node = *nodes_[static_cast<std::size_t>(index)];
  return node.serves() && !node.expected.empty();
}

bool Client::SendNow() noexcept {
  bool all = true;
  for (const auto& node : nodes_) {
    if (node->up() && !node->out.empty()) all &= Flush(*node) && node->out.empty();
  }
  return all;
}

}  // namespace ffgrant::valkey::internal
