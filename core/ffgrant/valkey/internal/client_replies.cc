// SPDX-License-Identifier: Apache-2.0
//
// Reads what servers answer, and decides what the client does with it.

#include <algorithm>
#include <cassert>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {
namespace {

// A command follows this many redirections without waiting; after that it waits as after a refusal.
constexpr std::uint32_t kFastRedirections = 5;
constexpr std::uint32_t kMaxLoads = 3;

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Returns the text after `name:` at the beginning of a line of INFO.
std::string_view InfoField(std::string_view info, std::string_view name) noexcept {
  while (!info.empty()) {
    const std::size_t end = std::min(info.find('\n'), info.size());
    std::string_view line = info.substr(0, end);
    info.remove_prefix(std::min(end + 1, info.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(name) && line.substr(name.size()).starts_with(':')) {
      return line.substr(name.size() + 1);
    }
  }
  return {};
}

// Whether the error came out of a function that was running, as in "... script: ff_x, on
// @user_function:7." Whatever the code of such an error says, the function may have written before.
bool IsOfAFunction(std::string_view error) noexcept {
  return error.find(" script: ") != std::string_view::npos &&
         error.find("@user_") != std::string_view::npos;
}

// Whether the error says that the command was not executed, and would hardly be if it were sent
// again soon.
bool IsRefused(std::string_view error) noexcept {
  for (const std::string_view code : {"NOAUTH ", "WRONGPASS ", "OOM ", "MISCONF ", "NOREPLICAS "}) {
    if (error.starts_with(code)) return true;
  }
  return IsForbidden(error);
}

// Whether the error is one that the server would repeat on every new connection.
bool IsRefusedForGood(std::string_view error) noexcept {
  for (const std::string_view code : {"NOAUTH ", "WRONGPASS ", "DENIED "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

// Removes the password from an answer to AUTH. A server that does not know the command repeats the
// command's arguments, and may cut them short.
std::string WithoutSecrets(std::string_view error, const ClientOptions& options) {
  std::string text(error.substr(0, error.find(", with args beginning with")));
  const std::string& secret = options.password;
  for (std::size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != text.npos;) {
    text.replace(at, secret.size(), "***");
    at += 3;
  }
  return text;
}

// Whether the error says that the server has no room for the connection now.
bool IsFull(std::string_view error) noexcept {
  return error.find("max number of clients") != std::string_view::npos;
}

}  // namespace

bool Client::OnReply(Node& node, const Reply& reply) noexcept {
  if (node.expected.empty() || node.expected.front().end > node.written) {
    // An error may come unasked, for example `-ERR max number of clients reached`.
    if (!reply.is(Reply::Type::kError)) {
      Down(node, "an answer to nothing that was asked");
    } else if (IsRefusedForGood(reply.text)) {
      Refuse(node, reply.text);
    } else {
      Down(node, reply.text);
    }
    return false;
  }
  const Expected expected = node.expected.front();
  node.expected.pop();
  // Never true: the cases are all kinds that there are.
  switch (expected.kind) {
    case Expected::Kind::kRequest:
      if (!OnCallReply(node, requests_[expected.request], reply)) return false;
      break;
    case Expected::Kind::kAbandoned:
      // The command has been executed or refused; nobody waits for it any more.
      counts_.late_replies.Add();
      if (--node.abandoned == 0 && node.lost != 0)
        deployment_->lost.Resolve(std::exchange(node.lost, 0));
      break;
    case Expected::Kind::kAsking:
      break;  // the reply to the next command tells whether ASKING worked
    case Expected::Kind::kErrand:
      OnErrandReply(node, reply);
      break;
  }
  if (node.up() && node.draining && node.expected.empty()) Down(node, node.drain_reason);
  return node.up();
}

bool Client::OnCallReply(Node& node, Request& request, const Reply& reply) noexcept {
  node.failures = 0;
  counts_.replies.Add();
  if (reply.is(Reply::Type::kError) && OnRefusal(node, request, reply.text)) return node.up();
  const CallTarget& target = request.target;
  answering_ = &node;
  if (target.on_reply(target.self, target.tag, reply)) {
    Release(request);
    return true;
  }
  // The stream may be out of step, so nothing on it can be trusted any more.
  Log(LogLevel::kWarning, "an answer that does not fit its command");
  const auto failure = request.read_only ? CallFailure::kUnavailable : CallFailure::kUnknownOutcome;
  Lose(node, kEveryKey, true);
  Fail(request, failure, "an answer that does not fit its command");
  Down(node, "an answer that does not fit its command");
  return false;
}

bool Client::OnRefusal(Node& node, Request& request, std::string_view text) noexcept {
  if (IsOfAFunction(text)) return false;  // the function may have written before
  const std::string_view code = text.substr(0, text.find(' '));
  if (code == "MOVED" || code == "ASK") {
    OnRedirection(node, request, text, code == "ASK");
    return true;
  }
  const std::int64_t now = network_->NowMs();
  if (IsMissingFunction(text)) {
    const bool none = node.functions == Functions::kNone && request.loads > 0;
    if (none || request.loads >= kMaxLoads) {
      Fail(request, CallFailure::kUnavailable, none ? node.library_refusal : text);
      return true;
    }
    ++request.loads;
    request.refusal.assign(text);
    Wait(request, now);
    // Nothing more is sent to this server until the client has found out which functions the server
    // has.
    if (node.state == Node::State::kReady && node.errand == Errand::kNone) {
      if (node.replica) {
        // The server may have been promoted since it said that it was a replica.
        AskWhoItIs(node);
      } else {
        CheckFunctions(node);
      }
    }
    return true;
  }
  if (IsRefused(text)) {
    Fail(request, CallFailure::kUnavailable, text);
    return true;
  }
  if (!IsRefusedForNow(text)) return false;
  ++request.tries;
  request.refusal.assign(text);
  Wait(request, Later(now, options_.retry.DelayMs(request.tries, network_->Random())));
  const bool elsewhere = text.starts_with("READONLY ") || text.starts_with("CLUSTERDOWN ") ||
                         text.starts_with("MASTERDOWN ");
  if (!slots_.empty()) {
    if (elsewhere) RefreshSoon();
  } else if (text.starts_with("READONLY ") && !node.draining) {
    // The server was demoted: the next of the configured servers may be the primary now. The
    // commands under way here get their answers first.
    node.draining = true;
    node.drain_reason.assign(text);
  }
  return true;
}

// Handles `MOVED SLOT HOST:PORT` and `ASK SLOT HOST:PORT`. An empty host stands for the node's own
// host; "?" says that the node doesn't know the host. Wherever a redirection leads, it says that
// the command was not executed. If the redirection leads nowhere, the client waits and asks again:
// the node may know the host by then, or a new table may name another node.
void Client::OnRedirection(Node& node, Request& request, std::string_view text, bool ask) noexcept {
  if (node.standalone) {
    // If the client followed the redirection, it would next send its password to the server that
    // the redirection names.
    std::string reason(text);
    reason.append(", from a server that calls itself standalone");
    Fail(request, CallFailure::kUnavailable, reason);
    return;
  }
  request.refusal.assign(text);
  ++request.tries;
  const std::int64_t now = network_->NowMs();
  const std::string_view rest = text.substr(std::min(text.size(), std::size_t{ask ? 4u : 6u}));
  const std::size_t space = std::min(rest.find(' '), rest.size());
  const auto slot = ParseNumber<std::uint16_t>(rest.substr(0, space));
  std::string where(rest.substr(std::min(space + 1, rest.size())));
  if (where.rfind(':') == 0) where.insert(0, HostBeside(node.endpoint));
  Endpoint endpoint;
  Node* target = nullptr;
  if (slot && *slot < kHashSlotCount && ParseEndpoint(where, endpoint) && endpoint.host != "?") {
    target = NodeAt(endpoint);
  }
  if (target == nullptr) {
    if (!slots_.empty()) RefreshSoon();
    Wait(request, Later(now, options_.retry.DelayMs(request.tries, network_->Random())));
    return;
  }
  counts_.redirections.Add();
  if (slots_.empty()) slots_.assign(kHashSlotCount, std::int16_t{-1});
  if (ask) {
    request.ask_node = target;
  } else {
    slots_[*slot] = static_cast<std::int16_t>(target->index);
    target->leaving = false;
    RefreshSoon();
  }
  Wait(request, request.tries <= kFastRedirections
                    ? now
                    : Later(now, options_.retry.DelayMs(request.tries - kFastRedirections,
                                                        network_->Random())));
}

// ---- on the client's own behalf ------------------------------------------------

void Client::Run(Node& node, Errand errand) {
  RespCommand command(node.out.end());
  const auto words = [&command](std::initializer_list<std::string_view> all) {
    command.Begin(all.size());
    for (const std::string_view word : all) command.Arg(word);
  };
  switch (errand) {
    case Errand::kAuth:
      if (options_.username.empty()) {
        words({"AUTH", options_.password});
      } else {
        words({"AUTH", options_.username, options_.password});
      }
      break;
    case Errand::kSetName:
      words({"CLIENT", "SETNAME", options_.connection_name});
      break;
    case Errand::kPing:
      words({"PING"});
      break;
    case Errand::kInfo:
      words({"INFO", "server", "replication"});
      break;
    case Errand::kClientId:
      words({"CLIENT", "ID"});
      break;
    case Errand::kNodeId:
      words({"CLUSTER", "MYID"});
      break;
    case Errand::kFence:
      command.Begin(4);
      command.Arg("CLIENT");
      command.Arg("KILL");
      command.Arg("ID");
      command.Arg(node.fencing.client_id);
      break;
    case Errand::kOwnVersion:
      words({"FCALL", "ffgrant_version", "0"});
      break;
    case Errand::kVersion:
      words({"FCALL", "ff_version", "0"});
      break;
    case Errand::kLoad:
      words({"FUNCTION", "LOAD", FunctionLibrarySource()});
      break;
    case Errand::kReplace:
      words({"FUNCTION", "LOAD", "REPLACE", FunctionLibrarySource()});
      break;
    case Errand::kMembers:
      words({"CLUSTER", "NODES"});
      break;
    case Errand::kSlots:
      words({"CLUSTER", "SLOTS"});
      break;
    // Never reached: nobody runs kNone, which debug builds check.
    default:
      return assert(false && "no errand");
  }
  node.errand = errand;
  // While servers share a call's time, the greeting as a whole has one limit, which is set already.
  if (node.state != Node::State::kGreeting || !SharesTime()) {
    node.deadline = Later(network_->NowMs(), options_.connect_timeout_ms);
  }
  node.expected.push({Expected::Kind::kErrand, 0, node.appended(), network_->NowMs()});
}

void Client::OnErrandReply(Node& node, const Reply& reply) noexcept {
  const Errand errand = node.errand;
  node.errand = Errand::kNone;
  const bool greets = node.state == Node::State::kGreeting && errand != Errand::kNodeId &&
                      errand != Errand::kMembers && errand != Errand::kSlots;
  if (reply.is(Reply::Type::kError) && IsRefusedForNow(reply.text) && greets) {
    Down(node, reply.text);
    return;
  }
  switch (errand) {
    case Errand::kAuth:
      if (!reply.is(Reply::Type::kError)) {
        AfterLogin(node);
      } else if (IsFull(reply.text)) {
        Down(node, reply.text);
      } else {
        Refuse(node, WithoutSecrets(reply.text, options_));
      }
      break;
    case Errand::kSetName:
      // An ACL may forbid CLIENT SETNAME; the connection then has no name.
      if (!reply.is(Reply::Type::kError)) {
        Run(node, Errand::kInfo);
      } else if (IsRefusedForGood(reply.text)) {
        Refuse(node, reply.text);
      } else if (IsFull(reply.text)) {
        Down(node, reply.text);
      } else {
        Run(node, Errand::kInfo);
      }
      break;
    case Errand::kPing:
      break;  // any answer shows that the connection is alive
    case Errand::kInfo:
      OnInfoReply(node, reply);
      break;
    case Errand::kClientId:
      // An ACL may forbid CLIENT ID; then the connection can't be fenced.
      node.client_id = reply.is(Reply::Type::kInteger) ? reply.integer : 0;
      node.node_id.clear();
      if (node.cluster) {
        Run(node, Errand::kNodeId);
      } else {
        AfterIdentity(node);
      }
      break;
    case Errand::kNodeId:
      // An ACL may forbid CLUSTER MYID. Then node_id stays empty: MemberOf() goes by the address,
      // and LostConnections can know the server only by its run id.
      if (reply.is(Reply::Type::kString)) node.node_id.assign(reply.text);
      AfterIdentity(node);
      break;
    case Errand::kFence:
      OnFenceReply(node, reply);
      if (node.state == Node::State::kGreeting) ContinueGreeting(node);
      break;
    case Errand::kOwnVersion:
      OnOwnVersion(node, reply);
      break;
    case Errand::kVersion:
      OnContract(node, reply);
      break;
    case Errand::kLoad:
    case Errand::kReplace:
      OnLoaded(node, errand, reply);
      break;
    case Errand::kMembers:
      OnMembers(node, reply);
      break;
    case Errand::kSlots:
      OnSlots(node, reply);
      if (!node.up() || node.errand != Errand::kNone) break;
      if (node.has_library || node.stranger) {
        node.BecomeReady();
      } else {
        CheckFunctions(node);
      }
      break;
    // Never reached: what is answered was run, which debug builds check.
    default:
      return assert(false && "an answer to no errand");
  }
}

void Client::OnInfoReply(Node& node, const Reply& reply) noexcept {
  if (reply.is(Reply::Type::kString)) {
    OnInfo(node, reply.text);
    Run(node, Errand::kClientId);
  } else if (!reply.is(Reply::Type::kError)) {
    Down(node, "INFO was answered by what is no text");
  } else if (IsRefusedForGood(reply.text)) {
    Refuse(node, reply.text);
  } else if (!IsForbidden(reply.text)) {
    Down(node, reply.text);
  } else {
    // The server forbids INFO, so the client does not know who the server is. server_ then has
    // neither a name nor a version, and calls the server a cluster if the client knows slots.
    OnInfo(node, {});
    Run(node, Errand::kClientId);
    server_.name.clear();
    server_.cluster = !slots_.empty();
  }
}

void Client::OnInfo(Node& node, std::string_view text) noexcept {
  node.run_id.assign(InfoField(text, "run_id"));
  const std::string_view valkey = InfoField(text, "valkey_version");
  server_.name.assign(valkey.empty() ? "redis" : "valkey");
  server_.version.assign(valkey.empty() ? InfoField(text, "redis_version") : valkey);
  const std::string_view redis_mode = InfoField(text, "redis_mode");
  const std::string_view mode = redis_mode.empty() ? InfoField(text, "server_mode") : redis_mode;
  server_.cluster = node.cluster = mode == "cluster";
  node.standalone = !mode.empty() && !node.cluster;
  node.replica = InfoField(text, "role") == "slave";
  // The uptime counts whole seconds, and the first of them may be only a part of a second.
  const auto uptime = ParseNumber<std::int64_t>(InfoField(text, "uptime_in_seconds"));
  node.latest_start = -1;
  if (uptime && *uptime >= 0 && *uptime < network_->NowMs() / 1000) {
    node.latest_start = network_->NowMs() - (*uptime - 1) * 1000;
  }
  if (server_.cluster && slots_.empty()) {
    slots_.assign(kHashSlotCount, std::int16_t{-1});
    refresh_at_ = network_->NowMs();
  }
}

void Client::AfterIdentity(Node& node) noexcept {
  deployment_->lost.OnServer(node.identity());
  ContinueGreeting(node);
}

void Client::ContinueGreeting(Node& node) noexcept {
  if (FenceNext(node)) return;
  if (slots_.empty() && node.replica) {
    Down(node, "the server is a replica");
    return;
  }
  if (!slots_.empty() && node.standalone) {
    // The client has found a server that stands alone at the address of a node of the cluster.
    Disown(node, "the server is not a node of the cluster");
    return;
  }
  node.stranger = !slots_.empty() && IsStranger(node);
  if (node.stranger) {
    RefreshSoon();
    AskForSlots(node);
  } else {
    CheckFunctions(node);
  }
}

void Client::AfterLibrary(Node& node) noexcept {
  node.has_library = true;
  Log(LogLevel::kInfo, "connected: ", NameOf(node.endpoint), ": ", server_.name, " ",
      server_.version);
  if (refresh_at_ != kNever && MayTell(node)) {
    AskForSlots(node);
  } else {
    node.BecomeReady();
  }
}

}  // namespace ffgrant::valkey::internal
