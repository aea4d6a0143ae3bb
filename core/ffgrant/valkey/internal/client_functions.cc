// SPDX-License-Identifier: Apache-2.0
//
// Decides whether the client calls FlowFabric's functions or ours on a server. function_library.h
// has the rules.

#include <algorithm>
#include <string>
#include <string_view>

#include "ffgrant/valkey/function_library.h"
#include "ffgrant/valkey/internal/claim_replies.h"
#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {
namespace {

// In earlier versions of our library the functions had FlowFabric's names.
constexpr std::int64_t kFirstVersionWithOwnNames = 4;

// Whether FUNCTION LOAD says that another client has loaded the library first, which is just as
// good. If only a function "already exists", it is another library's, and ours is not there.
bool IsThereAlready(std::string_view error) noexcept {
  return error.starts_with("ERR Library ") && error.ends_with(" already exists");
}

}  // namespace

void Client::GreetAgain(Node& node) noexcept {
  node.deadline = Later(network_->NowMs(), ConnectLimit());
  node.state = Node::State::kGreeting;
}

void Client::AskWhoItIs(Node& node) noexcept {
  GreetAgain(node);
  Run(node, Errand::kInfo);
}

void Client::CheckFunctions(Node& node) noexcept {
  if (node.state != Node::State::kGreeting) GreetAgain(node);
  node.load_tried = false;
  node.own_version.clear();
  node.library_refusal.clear();
  if (node.replica) {
    // A replica has the functions of its primary, and refuses to run those that write. Once the
    // replica is promoted, FlowFabric's functions are called there; if one of them is not found,
    // the client asks the server again who it is.
    node.functions = Functions::kUnchecked;
    AfterLibrary(node);
  } else {
    Run(node, Errand::kOwnVersion);
  }
}

bool Client::MayLoad(const Node& node) const noexcept {
  return options_.load_library && !node.load_tried;
}

void Client::OnOwnVersion(Node& node, const Reply& reply) noexcept {
  const bool there = reply.is(Reply::Type::kString);
  node.own_version.assign(there ? reply.text : std::string_view());
  const auto version = ReadInteger(node.own_version);
  if (version && *version < kFirstVersionWithOwnNames && MayLoad(node)) {
    Run(node, Errand::kReplace);
  } else {
    Run(node, Errand::kVersion);
  }
}

void Client::OnContract(Node& node, const Reply& reply) noexcept {
  if (reply.is(Reply::Type::kError)) {
    if (IsMissingFunction(reply.text)) {
      UseOwn(node);
    } else {
      UseFunctions(node, Functions::kNone, reply.text);
    }
    return;
  }
  if (!reply.is(Reply::Type::kString) || !ReadInteger(reply.text)) {
    Down(node, "ff_version answers what is no version");
    return;
  }
  const auto& known = options_.contract_versions;
  if (std::find(known.begin(), known.end(), reply.text) != known.end()) {
    server_.contract_version.assign(reply.text);
    UseFunctions(node, Functions::kFlowFabric);
    return;
  }
  std::string reason = "the server's functions follow another contract: ff_version answers ";
  reason.append(reply.text).append(", not ");
  for (const std::string& version : known) {
    reason.append(&version == &known.front() ? "" : " or ").append(version);
  }
  server_.contract_version.clear();
  server_.library_version.clear();
  server_.function_prefix.clear();
  Refuse(node, reason);
}

// Is called if FlowFabric's functions are not there.
void Client::UseOwn(Node& node) noexcept {
  const auto there = ReadInteger(node.own_version);
  const auto ours = ReadInteger(kFunctionLibraryVersion).value_or(0);
  if (node.own_version.empty() && MayLoad(node)) {
    Run(node, Errand::kLoad);
  } else if (there && *there < ours && MayLoad(node)) {
    Run(node, Errand::kReplace);
  } else if (!node.own_version.empty()) {
    server_.contract_version.assign(kFunctionContractVersion);
    UseFunctions(node, Functions::kOwn);
  } else {
    const std::string_view why = node.library_refusal;
    UseFunctions(node, Functions::kNone,
                 why.empty() ? "the server has no functions of the claim path" : why);
  }
}

void Client::OnLoaded(Node& node, Errand errand, const Reply& reply) noexcept {
  node.load_tried = true;
  if (reply.is(Reply::Type::kError) && !IsThereAlready(reply.text)) {
    node.library_refusal.assign(reply.text);
  } else {
    node.own_version.assign(kFunctionLibraryVersion);
    counts_.libraries_loaded.Add();
    Log(LogLevel::kInfo, "functions loaded: version ", kFunctionLibraryVersion);
  }
  if (errand == Errand::kReplace) {
    Run(node, Errand::kVersion);  // asks for FlowFabric's functions, even if nothing was replaced
  } else {
    UseOwn(node);
  }
}

void Client::UseFunctions(Node& node, Functions functions, std::string_view refusal) noexcept {
  node.functions = functions;
  node.library_refusal.assign(refusal);
  const auto version = ReadInteger(node.own_version);
  const bool old = version && *version < kFirstVersionWithOwnNames;
  const bool own = functions == Functions::kOwn || (functions == Functions::kFlowFabric && old);
  server_.library_version.assign(own ? std::string_view(node.own_version) : std::string_view());
  if (functions == Functions::kNone) server_.contract_version.clear();
  server_.function_prefix = functions == Functions::kOwn    ? "ffgrant_"
                            : functions == Functions::kNone ? ""
                                                            : "ff_";
  AfterLibrary(node);
}

}  // namespace ffgrant::valkey::internal
