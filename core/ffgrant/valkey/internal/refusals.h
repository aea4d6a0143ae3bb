// SPDX-License-Identifier: Apache-2.0
//
// Remembers which servers have refused the client for good, for example because of a wrong password
// or because of functions of another contract. To ask such a server again changes nothing: it only
// costs the server a line in its ACL log, and the caller time. So the server is not asked again for
// a while.

#ifndef FFGRANT_VALKEY_INTERNAL_REFUSALS_H_
#define FFGRANT_VALKEY_INTERNAL_REFUSALS_H_

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// Shared by the clients of one ledger; all must use one clock. Thread-safe.
class Refusals {
 public:
  struct Refusal {
    std::int64_t until = 0;  // on the clock of Network::NowMs()
    std::string text;        // the reason, in the server's words or in ours
  };

  // Notes that `server` must not be asked again before `until`.
  void Add(const Endpoint& server, std::int64_t now, std::int64_t until, std::string_view text) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(all_, [&](const Entry& entry) {
      return entry.server == server || entry.refusal.until <= now;
    });
    all_.push_back({server, {until, std::string(text)}});
    any_.store(true, std::memory_order_release);
  }

  // Returns the refusal of `server` if `server` must not be asked at `now`.
  std::optional<Refusal> Find(const Endpoint& server, std::int64_t now) const {
    if (!any_.load(std::memory_order_acquire)) return std::nullopt;
    const std::scoped_lock lock(mutex_);
    for (const Entry& entry : all_) {
      if (entry.server == server && entry.refusal.until > now) return entry.refusal;
    }
    return std::nullopt;
  }

 private:
  struct Entry {
    Endpoint server;
    Refusal refusal;
  };

  std::atomic<bool> any_ = false;  // whether there has ever been a refusal
  mutable std::mutex mutex_;
  std::vector<Entry> all_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_REFUSALS_H_
