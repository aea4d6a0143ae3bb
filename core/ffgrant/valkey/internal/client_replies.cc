// SPDX-License-Identifier: Apache-2.0
//
// What servers answer, and what the client makes of it.

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {
namespace {

// Redirections that are followed at once; then they wait as refusals do.
constexpr std::uint32_t kFastRedirections = 5;
constexpr std::uint32_t kMaxLoads = 3;

template <class Number>
std::optional<Number> ParseNumber(std::string_view text) noexcept {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// What stands behind `name:` at the beginning of a line of INFO.
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

bool IsMissingFunction(std::string_view error) noexcept {
  return error.starts_with("ERR Function not found");
}

// The command was not executed, and may be in a while.
bool IsRefusedForNow(std::string_view error) noexcept {
  for (const std::string_view code :
       {"TRYAGAIN ", "LOADING ", "CLUSTERDOWN ", "BUSY ", "MASTERDOWN ", "READONLY "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

// The command was not executed, and will not be by asking again.
bool IsRefused(std::string_view error) noexcept {
  for (const std::string_view code :
       {"NOAUTH ", "NOPERM ", "WRONGPASS ", "OOM ", "MISCONF ", "NOREPLICAS "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

std::optional<std::int64_t> IntegerIn(const Reply& reply, std::int64_t least,
                                      std::int64_t most) noexcept {
  if (!reply.is(Reply::Type::kInteger) || reply.integer < least || reply.integer > most) {
    return std::nullopt;
  }
  return reply.integer;
}

struct SlotRange {
  std::int64_t first;
  std::int64_t last;
  Endpoint primary;
};

// An element of CLUSTER SLOTS: [first, last, [host, port, ...], replica...]. The
// host is nil or empty where it is that of the node itself, and "?" where the
// node doesn't know it.
std::optional<SlotRange> ReadRange(const Reply& range, const std::string& own_host) {
  if (range.elements.size() < 3) return std::nullopt;
  const std::span<const Reply> primary = range.elements[2].elements;
  if (primary.size() < 2) return std::nullopt;
  const auto first = IntegerIn(range.elements[0], 0, kHashSlotCount - 1);
  const auto last = IntegerIn(range.elements[1], 0, kHashSlotCount - 1);
  const auto port = IntegerIn(primary[1], 1, 65535);
  const Reply& host = primary[0];
  if (!first || !last || *first > *last || !port || host.text == "?") return std::nullopt;
  if (!host.is(Reply::Type::kString) && !host.is(Reply::Type::kNil)) return std::nullopt;
  return SlotRange{*first,
                   *last,
                   {.host = host.text.empty() ? own_host : std::string(host.text),
                    .port = static_cast<std::uint16_t>(*port)}};
}

}  // namespace

bool Client::OnReply(Node& node, const Reply& reply) noexcept {
  if (node.expected.empty() || node.expected.front().end > node.written) {
    // As `-ERR max number of clients reached`, which comes unasked.
    Down(node, reply.is(Reply::Type::kError) ? reply.text : "an answer to nothing that was asked");
    return false;
  }
  const Expected expected = node.expected.front();
  node.expected.pop();
  if (expected.kind == Expected::Kind::kRequest) {
    return OnCallReply(node, requests_[expected.request], reply);
  }
  // What is answered to ASKING doesn't matter: the command behind it tells.
  if (expected.kind == Expected::Kind::kErrand) OnErrandReply(node, reply);
  return node.up();
}

bool Client::OnCallReply(Node& node, Request& request, const Reply& reply) noexcept {
  node.failures = 0;
  if (reply.is(Reply::Type::kError) && OnRefusal(node, request, reply.text)) return node.up();
  const CallTarget& target = request.target;
  answering_ = static_cast<std::size_t>(node.index);
  if (target.on_reply(target.self, target.tag, reply)) {
    Release(request);
    return true;
  }
  // The stream may be out of step: nothing on it can be trusted any more.
  const auto failure = request.read_only ? CallFailure::kUnavailable : CallFailure::kUnknownOutcome;
  Fail(request, failure, "an answer that does not fit its command");
  Down(node, "an answer that does not fit its command", true);
  return false;
}

bool Client::OnRefusal(Node& node, Request& request, std::string_view text) noexcept {
  if (text.starts_with("MOVED ")) return OnRedirection(node, request, text.substr(6), false);
  if (text.starts_with("ASK ")) return OnRedirection(node, request, text.substr(4), true);
  const std::int64_t now = network_->NowMs();
  if (IsMissingFunction(text)) {
    if (!options_.load_library || request.loads >= kMaxLoads) {
      const std::string& why = node.library_refusal;
      Fail(request, CallFailure::kUnavailable, why.empty() ? text : why);
      return true;
    }
    ++request.loads;
    request.refusal.assign(text);
    Wait(request, now);
    // Nothing more is sent there until its library has been looked after.
    if (node.state == Node::State::kReady && node.errand == Errand::kNone) {
      node.state = Node::State::kGreeting;
      Run(node, Errand::kOwnVersion);
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
  } else if (text.starts_with("READONLY ")) {
    Down(node, text);  // demoted: the next of the servers may be the primary now
  }
  return true;
}

// `SLOT HOST:PORT`; the host is empty where it is that of the node itself, and
// "?" where the node doesn't know it.
bool Client::OnRedirection(Node& node, Request& request, std::string_view text, bool ask) noexcept {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return false;
  const auto slot = ParseNumber<std::uint16_t>(text.substr(0, space));
  std::string where(text.substr(space + 1));
  if (where.rfind(':') == 0) where.insert(0, node.endpoint.host);
  Endpoint endpoint;
  if (!slot || *slot >= kHashSlotCount || !ParseEndpoint(where, endpoint) || endpoint.host == "?") {
    return false;
  }
  const int index = NodeAt(endpoint);
  if (index < 0) return false;
  ++redirections_;
  ++request.tries;
  request.refusal = ask ? "ASK " : "MOVED ";
  request.refusal.append(text);
  if (slots_.empty()) slots_.assign(kHashSlotCount, std::int16_t{-1});
  if (ask) {
    request.ask_node = index;
  } else {
    slots_[*slot] = static_cast<std::int16_t>(index);
    RefreshSoon();
  }
  const std::int64_t now = network_->NowMs();
  Wait(request, request.tries <= kFastRedirections
                    ? now
                    : Later(now, options_.retry.DelayMs(request.tries - kFastRedirections,
                                                        network_->Random())));
  return true;
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
    case Errand::kInfo:
      words({"INFO", "server", "replication"});
      break;
    case Errand::kClientId:
      words({"CLIENT", "ID"});
      break;
    case Errand::kFence:
      command.Begin(4);
      command.Arg("CLIENT");
      command.Arg("KILL");
      command.Arg("ID");
      command.Arg(node.fence_client_id);
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
    case Errand::kSlots:
      words({"CLUSTER", "SLOTS"});
      break;
    // Never reached: nobody runs kNone.
    default:
      return;
  }
  node.errand = errand;
  node.deadline = Later(network_->NowMs(), options_.connect_timeout_ms);
  node.expected.push({Expected::Kind::kErrand, 0, node.appended()});
}

void Client::OnErrandReply(Node& node, const Reply& reply) noexcept {
  const Errand errand = node.errand;
  node.errand = Errand::kNone;
  if (reply.is(Reply::Type::kError) && IsRefusedForNow(reply.text) && errand != Errand::kSlots) {
    Down(node, reply.text);
    return;
  }
  switch (errand) {
    case Errand::kAuth:
      if (reply.is(Reply::Type::kError)) {
        Down(node, reply.text);
      } else {
        Run(node, Errand::kInfo);
      }
      break;
    case Errand::kInfo:
      if (reply.is(Reply::Type::kError) && reply.text.starts_with("NOAUTH")) {
        Down(node, reply.text);
      } else if (OnInfo(node, reply.text)) {
        Run(node, Errand::kClientId);
      }
      break;
    case Errand::kClientId:
      // An ACL may forbid it; nothing can then be fenced.
      node.client_id = reply.is(Reply::Type::kInteger) ? reply.integer : 0;
      AfterIdentity(node);
      break;
    case Errand::kFence:
      node.fence_client_id = reply.is(Reply::Type::kInteger) ? 0 : Node::kUnfenceable;
      Run(node, Errand::kOwnVersion);
      break;
    case Errand::kOwnVersion:
    case Errand::kVersion:
      OnVersionReply(node, errand, reply);
      break;
    case Errand::kLoad:
    case Errand::kReplace:
      OnLoaded(node, reply);
      break;
    case Errand::kSlots:
      OnSlots(node, reply);
      node.state = Node::State::kReady;
      break;
    // Never reached: what is answered was run.
    default:
      break;
  }
}

bool Client::OnInfo(Node& node, std::string_view text) noexcept {
  node.run_id.assign(InfoField(text, "run_id"));
  node.history.assign(InfoField(text, "master_replid"));
  node.former_history.assign(InfoField(text, "master_replid2"));
  const std::string_view valkey = InfoField(text, "valkey_version");
  server_.name.assign(valkey.empty() ? "redis" : "valkey");
  server_.version.assign(valkey.empty() ? InfoField(text, "redis_version") : valkey);
  server_.cluster =
      InfoField(text, "redis_mode") == "cluster" || InfoField(text, "server_mode") == "cluster";
  node.replica = InfoField(text, "role") == "slave";
  if (server_.cluster && slots_.empty()) {
    slots_.assign(kHashSlotCount, std::int16_t{-1});
    refresh_at_ = network_->NowMs();
  }
  if (!server_.cluster && node.replica) {
    Down(node, "the server is a replica");
    return false;
  }
  return true;
}

void Client::AfterIdentity(Node& node) noexcept {
  if (node.FenceIsPast()) node.fence_client_id = 0;
  Run(node, node.CanFence() ? Errand::kFence : Errand::kOwnVersion);
}

void Client::OnVersionReply(Node& node, Errand errand, const Reply& reply) noexcept {
  const bool own = errand == Errand::kOwnVersion;
  std::string& version = own ? server_.library_version : server_.contract_version;
  if (reply.is(Reply::Type::kString)) {
    version.assign(reply.text);
    const auto there = ParseNumber<std::uint64_t>(reply.text);
    const auto ours = ParseNumber<std::uint64_t>(kFunctionLibraryVersion).value_or(0);
    if (own && there && *there < ours && options_.load_library && !node.replica) {
      Run(node, Errand::kReplace);
    } else if (own) {
      Run(node, Errand::kVersion);
    } else {
      AfterLibrary(node);
    }
    return;
  }
  version.clear();
  if (own) {
    Run(node, Errand::kVersion);
  } else if (reply.is(Reply::Type::kError) && IsMissingFunction(reply.text) &&
             options_.load_library && !node.replica) {
    Run(node, Errand::kLoad);
  } else {
    AfterLibrary(node);
  }
}

void Client::OnLoaded(Node& node, const Reply& reply) noexcept {
  // Somebody may have been faster, which is as well.
  if (reply.is(Reply::Type::kError) && reply.text.find("already exists") == std::string::npos) {
    node.library_refusal.assign(reply.text);
  } else {
    node.library_refusal.clear();
    server_.library_version.assign(kFunctionLibraryVersion);
    server_.contract_version.assign(kFunctionContractVersion);
  }
  AfterLibrary(node);
}

void Client::AfterLibrary(Node& node) noexcept {
  if (refresh_at_ != kNever) {
    AskForSlots(node);
  } else {
    node.state = Node::State::kReady;
  }
}

void Client::OnSlots(Node& node, const Reply& reply) noexcept {
  if (!reply.is(Reply::Type::kArray)) return;  // asked again by the timer
  std::fill(slots_.begin(), slots_.end(), std::int16_t{-1});
  bool whole = true;
  for (const Reply& element : reply.elements) {
    const auto range = ReadRange(element, node.endpoint.host);
    const int index = range ? NodeAt(range->primary) : -1;
    if (index < 0) {
      whole = false;
      continue;
    }
    std::fill(slots_.begin() + range->first, slots_.begin() + range->last + 1,
              static_cast<std::int16_t>(index));
  }
  const auto has = [this](int index) {
    return std::find(slots_.begin(), slots_.end(), index) != slots_.end();
  };
  whole = whole && !has(-1);
  for (const auto& other : nodes_) {
    other->fence_matters = !whole || has(other->index) || other->fence_was_asked;
  }
  // A slot without an owner is asked for again by whoever needs it.
  refresh_at_ = whole ? kNever : refreshed_at_ + 1000;
}

}  // namespace ffgrant::valkey::internal
