// SPDX-License-Identifier: Apache-2.0
//
// Defines what the two kinds of load on a FlowFabric deployment share: the executions, the plan of
// a load, and the measurements (flowfabric_load.cc, flowfabric_fleet.h).

#ifndef FFGRANT_BENCH_FLOWFABRIC_WORK_H_
#define FFGRANT_BENCH_FLOWFABRIC_WORK_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_format.h"
#include "ffgrant/grant.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/json/claim_response.h"

namespace ffgrant::bench {

using SteadyClock = std::chrono::steady_clock;

// These times are so long that no grant and no lease expires while a worker uses it. The job that
// starts the program removes the executions that are left over.
inline constexpr std::int64_t kGrantTtlMs = 60'000;
inline constexpr std::int64_t kLeaseTtlMs = 3'600'000;
// If no worker gets a grant for this long, executions have been lost.
inline constexpr std::chrono::seconds kPatience{60};

[[noreturn]] inline void Die(const std::string& why) {
  static std::mutex mutex;  // only one thread prints its reason and ends the process
  const std::lock_guard lock(mutex);
  std::fprintf(stderr, "flowfabric_load: %s\n", why.c_str());
  std::fflush(stderr);
  std::_Exit(1);
}

[[noreturn]] inline void Fail(std::string_view what, const http::IssuerStatus& status) {
  Die(absl::StrFormat("%s: %s %s", what, http::ErrorName(status.error), status.message));
}

enum Stage : std::size_t { kGrant, kDecode, kClaim, kRenew, kComplete, kWhole, kStages };
inline constexpr std::array<std::string_view, kStages> kStageNames = {"grant", "decode",   "claim",
                                                                      "renew", "complete", "whole"};
enum class Steps { kGrant, kPair, kCycle };

inline double Micros(SteadyClock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

// The measurements of one worker, or of several.
struct Figures {
  std::array<std::vector<float>, kStages> micros;
  std::uint64_t asked = 0;
  std::uint64_t nothing = 0;  // answers with status 204

  void Take(Stage stage, SteadyClock::time_point from, SteadyClock::time_point to) {
    micros[stage].push_back(static_cast<float>(Micros(to - from)));
  }
  void Merge(const Figures& other) {
    for (std::size_t i = 0; i < kStages; ++i) {
      micros[i].insert(micros[i].end(), other.micros[i].begin(), other.micros[i].end());
    }
    asked += other.asked;
    nothing += other.nothing;
  }
};

struct Execution {
  std::string id;
  std::atomic<std::uint32_t> claimed{0};
  std::atomic<std::uint32_t> completed{0};

  void Claimed() {
    if (claimed.fetch_add(1) != 0) Die("an execution was claimed twice");
  }
};

// The executions that the load program may touch.
class Executions {
 public:
  void Add(std::string id) {
    all_.push_back(std::make_unique<Execution>());
    all_.back()->id = std::move(id);
    by_id_.emplace(all_.back()->id, all_.back().get());
  }
  std::size_t size() const { return all_.size(); }
  Execution& operator[](std::size_t i) { return *all_[i]; }

  // Returns the execution that the grant is for.
  Execution& Of(const ClaimGrantView& grant) const {
    const auto found = by_id_.find(grant.execution_id.text());
    if (found == by_id_.end()) {
      Die("the lane is not ours alone: a grant for an execution that was not created here");
    }
    return *found->second;
  }

 private:
  std::vector<std::unique_ptr<Execution>> all_;
  std::unordered_map<std::string_view, Execution*> by_id_;
};

// Returns the result with which a worker completes the execution `id`.
inline std::string ResultOf(std::string_view id) {
  return absl::StrFormat("{\"done\":\"%s\"}", id);
}

// Says how many executions the workers may begin and, for an open load, at which moment each is to
// begin.
struct Plan {
  std::vector<SteadyClock::time_point> moments;  // empty for a closed load
  std::size_t count = 0;
  std::atomic<std::size_t> next{0};
  std::atomic<std::int64_t> last_grant{0};  // when a worker last got a grant

  void GotGrant(SteadyClock::time_point at) { last_grant = at.time_since_epoch().count(); }
  void GotNothing(SteadyClock::time_point at) const {
    const SteadyClock::duration quiet =
        at.time_since_epoch() - SteadyClock::duration(last_grant.load());
    if (quiet > kPatience) Die("no grant for a minute, though executions are left");
  }
};

// The pauses of a worker after answers without a grant. They are random and grow: the server looks
// for work in a window of partitions, which moves on every 250 ms.
class Pauses {
 public:
  explicit Pauses(std::uint64_t seed) : random_(seed) {}
  void Restart() { longest_us_ = kShortestUs; }
  std::chrono::microseconds Next() {
    const std::chrono::microseconds pause(
        std::uniform_int_distribution<std::int64_t>(longest_us_ / 2, longest_us_)(random_));
    longest_us_ = std::min(2 * longest_us_, kLongestUs);
    return pause;
  }

 private:
  static constexpr std::int64_t kShortestUs = 2'000;
  static constexpr std::int64_t kLongestUs = 100'000;

  std::mt19937_64 random_;
  std::int64_t longest_us_ = kShortestUs;
};

// Writes the grant as the server sends it, and times the decoding of this body. The figure says how
// much of the time that a worker waits for a grant goes into decoding.
inline void Decode(const ClaimGrantView& grant, JsonScratch& scratch, Figures& figures) {
  std::array<char, 1024> body{};
  const WriteResult written = SerializeClaimGrant(grant, body);
  if (!written) Die("a grant of more than 1024 bytes");
  ClaimGrantView again;
  const SteadyClock::time_point from = SteadyClock::now();
  const bool good = static_cast<bool>(
      ParseClaimGrant(std::string_view(body.data(), written.size), scratch, again));
  figures.Take(kDecode, from, SteadyClock::now());
  if (!good || !(again == grant)) Die("a grant was not read back");
}

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_FLOWFABRIC_WORK_H_
