// SPDX-License-Identifier: Apache-2.0
//
// Brings changes from a simulated primary to its replicas, or loses them.

#include <algorithm>
#include <string>

#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {

void SimulatedServer::BecomeReplicaOf(SimulatedServer& primary) {
  LeavePrimary();
  primary_ = &primary;
  primary.replicas_.push_back(this);
  link_open_ = true;
  keys_ = primary.keys_;
  lua_->Flush();
  for (const auto& [name, code] : primary.lua_->libraries()) {
    std::string loaded;
    (void)lua_->Load(code, true, loaded);
  }
  history_ = primary.history_;
  former_history_ = primary.former_history_;
}

void SimulatedServer::Promote() {
  LeavePrimary();
  former_history_ = history_;
  history_ = options_.run_id + "-history-" + std::to_string(++histories_);
}

void SimulatedServer::LeavePrimary() {
  if (primary_ == nullptr) return;
  std::erase(primary_->replicas_, this);
  primary_ = nullptr;
  link_.clear();
}

void SimulatedServer::SetLinkOpen(bool open) {
  link_open_ = open;
  if (open) Deliver(link_.size());
}

void SimulatedServer::Deliver(std::size_t count) {
  for (; count > 0 && !link_.empty(); --count) {
    for (const std::vector<std::string>& change : link_.front()) Apply(change);
    link_.pop_front();
    SendChanges();
  }
}

// The `*` of XADD, the PX of SET and the time of PEXPIRE depend on the moment. In their place the
// replicas get the entry's id and the time of the expiry, or DEL if PEXPIRE has deleted the key.
void SimulatedServer::Propagate(Arguments words) {
  if (replicas_.empty()) return;
  std::vector<std::string> change(words.begin(), words.end());
  const KeySpace::Entry* const entry = words.size() > 1 ? keys_.Find(words[1]) : nullptr;
  if (SameWord(words[0], "XADD")) {
    const auto star = std::find(change.begin(), change.end(), "*");
    if (star != change.end() && entry != nullptr) {
      *star = std::get<StreamValue>(entry->value).last_id().Text();
    }
  } else if (SameWord(words[0], "SET") && words.size() >= 5 &&
             SameWord(words[words.size() - 2], "PX")) {
    change[words.size() - 2] = "PXAT";
    change.back() = std::to_string(entry->expires_at);
  } else if (SameWord(words[0], "PEXPIRE")) {
    change = entry == nullptr ? std::vector<std::string>{"DEL", change[1]}
                              : std::vector<std::string>{"PEXPIREAT", change[1],
                                                         std::to_string(entry->expires_at)};
  } else if (SameWord(words[0], "FUNCTION") && SameWord(words[1], "LOAD") && words.size() == 3) {
    change.insert(change.begin() + 2, "REPLACE");
  }
  changes_.push_back(std::move(change));
}

// Sends the changes of one command to each replica, as a whole.
void SimulatedServer::SendChanges() {
  if (changes_.empty()) return;
  for (SimulatedServer* const replica : replicas_) {
    replica->now_us_ = now_us_;
    replica->keys_.SetNow(keys_.now());
    replica->link_.push_back(changes_);
    if (replica->link_open_) replica->Deliver(replica->link_.size());
  }
  changes_.clear();
}

void SimulatedServer::Resync() {
  for (SimulatedServer* const replica : replicas_) {
    replica->link_.clear();
    replica->keys_ = keys_;
    replica->Resync();
  }
}

void SimulatedServer::Apply(const std::vector<std::string>& change) {
  const std::vector<std::string_view> words(change.begin(), change.end());
  std::string ignored;
  RespSink reply(ignored);
  if (const KeyCommand* const command = FindKeyCommand(words[0])) {
    RunKeyCommand(*command, words, reply);
    return;
  }
  std::string name;
  if (SameWord(words[1], "LOAD")) {
    (void)lua_->Load(words.back(), true, name);
  } else if (SameWord(words[1], "DELETE")) {
    lua_->Delete(words[2]);
  } else {
    lua_->Flush();
  }
  Propagate(words);
}

}  // namespace ffgrant::valkey::testing
