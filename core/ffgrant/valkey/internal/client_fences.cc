// SPDX-License-Identifier: Apache-2.0
//
// Notes the connections that a command was lost on, and shuts them on their servers.

#include <algorithm>

#include "ffgrant/valkey/internal/client.h"

namespace ffgrant::valkey::internal {
namespace {

// How many ms pass until a settling looks again for connections that other clients have shut
// meanwhile.
constexpr std::int64_t kSettleEveryMs = 20;

}  // namespace

void Client::Lose(Node& node, CommandKey key, bool open) {
  if (node.lost != 0) {
    deployment_->lost.AddKey(node.lost, key);
  } else {
    node.lost = deployment_->lost.Add(node.identity(), node.client_id, node.heard_at, key, open);
  }
}

bool Client::FenceNext(Node& node) {
  if (network_->NowMs() < node.fence_again_at) return false;
  const auto fence = deployment_->lost.NextFence(node.run_id);
  if (!fence) return false;
  node.fencing = *fence;
  Run(node, Errand::kFence);
  return true;
}

void Client::OnFenceReply(Node& node, const Reply& reply) {
  if (reply.is(Reply::Type::kInteger)) {  // 0: the connection was gone already
    deployment_->lost.Resolve(node.fencing.number);
    counts_.fences.Add();
  } else if (IsRefusedForNow(reply.text)) {
    node.fence_again_at = network_->NowMs() + kSettleEveryMs;
  } else {
    deployment_->lost.SetUnfenceable(node.fencing.number);
  }
}

void Client::SubmitSettling(CommandKey key, std::int64_t deadline, const CallTarget& target) {
  settlings_.push_back({.key = key,
                        .began = network_->NowMs(),
                        .deadline = deadline,
                        .failed_attempts = nodes_.front()->failed_attempts,
                        .cancels = cancels(),
                        .target = target});
  ++in_flight_;
  // Servers may have moved, so the client asks for the newest addresses.
  deployment_->lost.List(key, targets_);
  if (!slots_.empty() && !targets_.empty()) RefreshSoon();
}

void Client::AdvanceSettlings(std::int64_t now) noexcept {
  settle_again_at_ = kNever;
  if (settlings_.empty() && !pursues_) return;
  for (const auto& node : nodes_) node->pursued = false;
  pursues_ = !settlings_.empty();
  for (std::size_t i = 0; i < settlings_.size();) {
    const Settling settling = settlings_[i];
    deployment_->lost.List(settling.key, targets_);
    bool hopeful = false;
    for (const LostConnections::Target& target : targets_) hopeful |= Pursue(target, settling);
    if (hopeful && now < settling.deadline) {
      settle_again_at_ = std::min({settle_again_at_, settling.deadline, now + kSettleEveryMs});
      ++i;
      continue;
    }
    settlings_.erase(settlings_.begin() + static_cast<std::ptrdiff_t>(i));
    --in_flight_;
    ++ended_;
    Reply reply;
    reply.type = Reply::Type::kInteger;
    reply.integer = deployment_->lost.IsSettled(settling.key) ? 1 : 0;
    (void)settling.target.on_reply(settling.target.self, settling.target.tag, reply);
  }
}

bool Client::Pursue(const LostConnections::Target& target, const Settling& settling) {
  if (target.open) return true;  // an answer may still come on this connection
  // The node is looked for at its address in the newest table. If that table has none, it is looked
  // for where it was before.
  const auto member = std::find_if(members_.begin(), members_.end(), [&](const Member& m) {
    return !m.id.empty() && m.id == target.node_id && m.endpoint.port != 0;
  });
  Node* node = FindNode(member == members_.end() ? target.endpoint : member->endpoint);
  if (node == nullptr) {
    node = NodeAt(member == members_.end() ? target.endpoint : member->endpoint);
    if (node == nullptr) return false;
    node->leaving = has_leaving_ = true;  // the node is of no other use
  }
  node->pursued = true;
  if (node->state == Node::State::kReady) {
    if (!target.fenceable || node->run_id != target.run_id) return IsElsewhere(target, settling);
    if (node->errand == Errand::kNone && node->abandoned == 0) (void)FenceNext(*node);
    return true;
  }
  if (node->state != Node::State::kDown) return true;
  // Each address is tried once.
  if (node->unreachable_at >= settling.began || node->retry_at >= settling.deadline) {
    return IsElsewhere(target, settling);
  }
  node->wanted = true;
  return true;
}

// Whether the target's process may be found at another address than the one that was tried. A table
// may name another address, or the process may be at another of the servers that the client tries
// in turn.
bool Client::IsElsewhere(const LostConnections::Target& target, const Settling& settling) {
  if (!slots_.empty()) return needed_since_ != kNever;
  Node& first = *nodes_.front();
  if (first.state == Node::State::kReady) {
    if (!target.fenceable || first.run_id != target.run_id) return false;
    if (first.errand == Errand::kNone && first.abandoned == 0) (void)FenceNext(first);
    return true;
  }
  if (first.state != Node::State::kDown) return true;
  if (first.failed_attempts - settling.failed_attempts >= options_.servers.size() ||
      first.retry_at >= settling.deadline) {
    return false;
  }
  first.wanted = true;
  return true;
}

}  // namespace ffgrant::valkey::internal
