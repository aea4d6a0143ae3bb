// SPDX-License-Identifier: Apache-2.0
//
// Defines the counters of a client, which one thread at a time writes and any thread reads, and its
// lines for the log.

#ifndef FFGRANT_VALKEY_INTERNAL_COUNTING_H_
#define FFGRANT_VALKEY_INTERNAL_COUNTING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/client_counters.h"
#include "ffgrant/valkey/client_options.h"

namespace ffgrant::valkey::internal {

// A counter that costs as little as a plain integer, because it has one writer at a time.
class Count {
 public:
  void Add(std::uint64_t more = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

struct Counts {
  Count connects, connects_failed, connections_lost, refusals, probes, probes_failed, commands,
      commands_sent, replies, redirections, retries, unknown_outcomes, unavailable, cancelled,
      late_replies, fences, slot_tables, libraries_loaded, bytes_sent, bytes_received, unsent_ms,
      log_lines_lost;

  void AddTo(ClientCounters& sum) const noexcept {
    sum.connects += connects.value();
    sum.connects_failed += connects_failed.value();
    sum.connections_lost += connections_lost.value();
    sum.refusals += refusals.value();
    sum.probes += probes.value();
    sum.probes_failed += probes_failed.value();
    sum.commands += commands.value();
    sum.commands_sent += commands_sent.value();
    sum.replies += replies.value();
    sum.redirections += redirections.value();
    sum.retries += retries.value();
    sum.unknown_outcomes += unknown_outcomes.value();
    sum.unavailable += unavailable.value();
    sum.cancelled += cancelled.value();
    sum.late_replies += late_replies.value();
    sum.fences += fences.value();
    sum.slot_tables += slot_tables.value();
    sum.libraries_loaded += libraries_loaded.value();
    sum.bytes_sent += bytes_sent.value();
    sum.bytes_received += bytes_received.value();
    sum.unsent_ms += unsent_ms.value();
    sum.log_lines_lost += log_lines_lost.value();
  }
};

// Returns the name that a server has in a line of the log.
inline std::string NameOf(const Endpoint& endpoint) {
  return endpoint.is_unix() ? endpoint.host : endpoint.host + ":" + std::to_string(endpoint.port);
}

// Keeps the lines that the client wants to log, until a thread that holds no lock passes them to
// the hook.
class LogLines {
 public:
  // At most this many lines are kept. Further lines are lost, and the client counts them.
  static constexpr std::size_t kMaxLines = 256;

  // `group` is the same for all clients that one caller can't tell apart.
  LogLines(LogHook hook, const void* group) : hook_(std::move(hook)), group_(group) {}
  bool wanted() const noexcept { return hook_ != nullptr; }

  // Returns false if there is no room.
  bool Add(LogLevel level, std::string text) {
    const std::scoped_lock lock(mutex_);
    if (lines_.size() >= kMaxLines) return false;
    lines_.emplace_back(level, std::move(text));
    has_lines_.store(true, std::memory_order_relaxed);
    return true;
  }

  // Calls the hook with the lines that were kept, in their order, except for lines that another
  // thread passes to the hook at the same time. Does nothing if the hook of this group is what
  // makes the call: a later call passes the lines on. The caller must hold no lock.
  void Tell() noexcept {
    if (!has_lines_.load(std::memory_order_relaxed)) return;
    for (const Telling* outer = innermost_; outer != nullptr; outer = outer->outer) {
      if (outer->group == group_) return;
    }
    std::vector<std::pair<LogLevel, std::string>> told;
    {
      const std::scoped_lock lock(mutex_);
      told.swap(lines_);
      has_lines_.store(false, std::memory_order_relaxed);
    }
    const Telling telling = {group_, innermost_};
    innermost_ = &telling;
    for (const auto& [level, text] : told) hook_(level, text);
    innermost_ = telling.outer;
  }

 private:
  // A hook that a thread runs now. It may use another ledger, and so run that one's hook.
  struct Telling {
    const void* group;
    const Telling* outer;
  };
  static inline thread_local const Telling* innermost_ = nullptr;

  const LogHook hook_;
  const void* const group_;
  std::atomic<bool> has_lines_ = false;
  std::mutex mutex_;
  std::vector<std::pair<LogLevel, std::string>> lines_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_COUNTING_H_
