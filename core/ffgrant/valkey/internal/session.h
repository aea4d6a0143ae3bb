// SPDX-License-Identifier: Apache-2.0
//
// Commands whose answers are waited for: one, or a group that is under way
// together.

#ifndef FFGRANT_VALKEY_INTERNAL_SESSION_H_
#define FFGRANT_VALKEY_INTERNAL_SESSION_H_

#include <array>
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

// A client and what calls through it need besides. Whoever has the mutex uses it.
struct Session {
  Session(const ClientOptions& options, std::unique_ptr<Network> network)
      : client(options, std::move(network)) {}

  std::mutex mutex;
  PartitionScan scan;  // before the client, which may end what it has asked
  Client client;
  std::string scratch;
  CoreHints hints;
};

// A reader of an answer: `bool(const Reply&)`, false if it can't be one.
class Group {
 public:
  static constexpr std::size_t kMaxSize = 96;

  // `details`: of the first command that fails.
  Group(Session& session, ErrorDetails* details) : session_(session), details_(details) {}
  Group(const Group&) = delete;

  // `read` must live until Wait() returns. At most kMaxSize times.
  template <class Write, class Read>
  void Add(std::uint16_t slot, bool read_only, const Write& write, Read& read) {
    Item& item = items_[size_];
    item.read = &read;
    item.invoke = [](void* self, const Reply& reply) noexcept {
      return (*static_cast<Read*>(self))(reply);
    };
    const CallTarget target = {
        .self = this, .on_reply = &OnReply, .on_failure = &OnFailure, .tag = size_};
    ++size_;
    ++open_;
    while (!session_.client.Submit(slot, read_only, target, write)) session_.client.Poll(kLong);
  }

  // Until each has its answer. kNone, or how the first that failed did:
  // kUnknownOutcome or kUnavailable.
  ClaimError Wait() noexcept {
    while (open_ > 0) session_.client.Poll(kLong);
    return failure_;
  }

 private:
  // Every command has a deadline of its own.
  static constexpr std::int64_t kLong = 60'000;
  struct Item {
    void* read = nullptr;
    bool (*invoke)(void* self, const Reply& reply) noexcept = nullptr;
  };

  static bool OnReply(void* self, std::uint64_t tag, const Reply& reply) noexcept {
    auto& group = *static_cast<Group*>(self);
    const Item& item = group.items_[tag];
    if (!item.invoke(item.read, reply)) return false;
    --group.open_;
    return true;
  }
  static void OnFailure(void* self, std::uint64_t, CallFailure failure,
                        std::string_view text) noexcept {
    auto& group = *static_cast<Group*>(self);
    --group.open_;
    // What may have happened outweighs what has not.
    if (failure == CallFailure::kUnknownOutcome) {
      if (group.failure_ != ClaimError::kUnknownOutcome) group.Explain(text);
      group.failure_ = ClaimError::kUnknownOutcome;
    } else if (group.failure_ == ClaimError::kNone) {
      group.Explain(text);
      group.failure_ = ClaimError::kUnavailable;
    }
  }
  void Explain(std::string_view text) noexcept {
    if (details_ == nullptr) return;
    details_->clear();
    (void)details_->Add(text.substr(0, 512));
  }

  Session& session_;
  ErrorDetails* details_;
  std::size_t size_ = 0;
  std::size_t open_ = 0;
  ClaimError failure_ = ClaimError::kNone;
  std::array<Item, kMaxSize> items_;
};

// One command.
template <class Write, class Read>
ClaimError CallAndWait(Session& session, std::uint16_t slot, bool read_only, ErrorDetails* details,
                       const Write& write, Read read) {
  Group group(session, details);
  group.Add(slot, read_only, write, read);
  return group.Wait();
}

// As many as there are threads that call at once, up to a fixed number.
class SessionPool {
 public:
  SessionPool(const ClientOptions& options, std::size_t size);

  struct Lease {
    Session& session;
    std::unique_lock<std::mutex> lock;
    Session* operator->() noexcept { return &session; }
  };
  // One that is free; else waits for one.
  Lease Take() noexcept;

  std::size_t size() const noexcept { return sessions_.size(); }
  Session& operator[](std::size_t i) noexcept { return *sessions_[i]; }

 private:
  std::vector<std::unique_ptr<Session>> sessions_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_SESSION_H_
