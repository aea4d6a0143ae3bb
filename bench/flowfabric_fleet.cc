// SPDX-License-Identifier: Apache-2.0

#include "bench/flowfabric_fleet.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <optional>

#include "absl/strings/str_format.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant::bench {
namespace {

valkey::ClientOptions ForMany(valkey::ClientOptions options, std::size_t workers) {
  options.max_in_flight = std::max(options.max_in_flight, workers);
  return options;
}

// Ends the program if a pipeline did not take a request or call. A pipeline is never full, since a
// worker has only one request or call at a time.
void Expect(bool taken) {
  if (!taken) Die("a worker has two requests");
}

}  // namespace

Fleet::Fleet(const FleetOptions& options, const Executions& executions)
    : options_(options),
      executions_(executions),
      grants_(options.issuer),
      calls_(ForMany(options.valkey, options.issuer.connections),
             {.partitions = options.partitions}) {
  for (std::size_t i = 0; i < options.issuer.connections; ++i) {
    members_.emplace_back(absl::StrFormat("%s-%d", options.worker_id, i), options.seed + i);
  }
  if (calls_.descriptor() < 0) Die("no descriptor is left");
}

Figures Fleet::Run(std::size_t workers, Plan& plan, Steps steps) {
  if (workers > members_.size()) Die("more workers than --workers");
  plan_ = &plan;
  steps_ = steps;
  figures_ = {};
  busy_ = workers;
  for (std::size_t i = 0; i < workers; ++i) Begin(i);
  while (busy_ > 0) {
    Wait();
    if (are_grants_ready_) {
      for (const auto& done : grants_.Poll(0)) Granted(done.tag, done);
    }
    if (are_calls_ready_) {
      for (const auto& done : calls_.Poll(0)) Answered(done.tag, done);
    }
    for (const Moment now = SteadyClock::now(); !timers_.empty() && timers_.top().first <= now;) {
      const std::size_t number = timers_.top().second;
      timers_.pop();
      Ask(number);
    }
  }
  return std::move(figures_);
}

// Lets the worker with this number begin the plan's next execution, or ends the worker's part in
// the load if none is left.
void Fleet::Begin(std::size_t number) {
  const std::size_t i = plan_->next.fetch_add(1);
  if (i >= plan_->count) {
    --busy_;
    return;
  }
  Member& member = members_[number];
  member.pauses.Restart();
  if (plan_->moments.empty()) {
    member.begin = SteadyClock::now();
    Ask(number);
  } else {
    member.begin = plan_->moments[i];
    timers_.emplace(member.begin, number);
  }
}

void Fleet::Ask(std::size_t number) {
  Member& member = members_[number];
  member.from = SteadyClock::now();
  ++figures_.asked;
  Expect(grants_.Submit(options_.worker_id,
                        {.lane_id = options_.lane.text(),
                         .worker_instance_id = member.instance,
                         .capabilities = {},
                         .grant_ttl_ms = kGrantTtlMs},
                        number));
}

void Fleet::Granted(std::size_t number, const http::GrantPipeline::Completion& done) {
  Member& member = members_[number];
  const Moment now = SteadyClock::now();
  if (done.status.error == http::IssuerError::kNothingInWindow) {
    ++figures_.nothing;
    plan_->GotNothing(now);
    timers_.emplace(now + member.pauses.Next(), number);
    return;
  }
  if (!done.status) Fail("claim", done.status);
  figures_.Take(kGrant, member.from, now);
  plan_->GotGrant(now);
  member.grant = done.grant;
  const ClaimGrantView grant = member.grant.view();
  Decode(grant, scratch_, figures_);
  member.execution = &executions_.Of(grant);
  if (steps_ == Steps::kGrant) return End(number, SteadyClock::now());
  const IngressError ingress = CheckIngress(grant, options_.partitions);
  if (ingress != IngressError::kNone) Die(absl::StrFormat("a grant: %s", ErrorName(ingress)));
  member.from = SteadyClock::now();
  Expect(calls_.SubmitClaim({.execution_id = grant.execution_id,
                             .worker = {{options_.worker_id}, {member.instance}},
                             .lane = options_.lane,
                             .lease_id = {RandomUuid()},
                             .lease_ttl_ms = kLeaseTtlMs,
                             .attempt_id = {RandomUuid()}},
                            number));
}

void Fleet::Answered(std::size_t number, const valkey::ClaimPipeline::Completion& done) {
  using Call = valkey::ClaimPipeline::Call;
  Member& member = members_[number];
  const Moment now = SteadyClock::now();
  if (!done) {
    Die(absl::StrFormat("%s: %s %s",
                        done.call == Call::kClaim   ? "claim"
                        : done.call == Call::kRenew ? "renew"
                                                    : "complete",
                        ErrorName(done.error), calls_.last_error()));
  }
  const ExecutionIdView id = member.grant.view().execution_id;
  switch (done.call) {
    case Call::kClaim:
      figures_.Take(kClaim, member.from, now);
      member.execution->Claimed();
      member.lease = done.lease;
      if (steps_ == Steps::kPair) return End(number, now);
      member.from = now;
      Expect(calls_.SubmitRenew({.execution_id = id,
                                 .attempt_index = member.lease.attempt_index,
                                 .fence = member.lease.fence,
                                 .lease_ttl_ms = kLeaseTtlMs},
                                number));
      return;
    case Call::kRenew:
      figures_.Take(kRenew, member.from, now);
      member.from = SteadyClock::now();
      Expect(calls_.SubmitComplete({.execution_id = id, .fence = member.lease.fence},
                                   {member.lease.attempt_index, options_.lane, {member.instance}},
                                   number, ResultOf(member.execution->id)));
      return;
    default:
      figures_.Take(kComplete, member.from, now);
      member.execution->completed.fetch_add(1);
      End(number, now);
  }
}

void Fleet::End(std::size_t number, Moment now) {
  figures_.Take(kWhole, members_[number].begin, now);
  Begin(number);
}

// Waits until a pipeline or a worker's timer has something to do.
void Fleet::Wait() {
  const int grants_ms = grants_.PrepareWait();
  const int calls_ms = calls_.PrepareWait();
  const Moment now = SteadyClock::now();
  std::optional<Moment> until;
  const auto no_later_than = [&](Moment moment) {
    until = until ? std::min(*until, moment) : moment;
  };
  if (grants_ms >= 0) no_later_than(now + std::chrono::milliseconds(grants_ms));
  if (calls_ms >= 0) no_later_than(now + std::chrono::milliseconds(calls_ms));
  if (!timers_.empty()) no_later_than(timers_.top().first);
  timespec left = {};
  if (until) {
    const auto ns = std::max<std::int64_t>(std::chrono::nanoseconds(*until - now).count(), 0);
    left.tv_sec = ns / 1'000'000'000;
    left.tv_nsec = ns % 1'000'000'000;
  }
  std::array<pollfd, 2> polled = {
      {{grants_.descriptor(), POLLIN, 0}, {calls_.descriptor(), POLLIN, 0}}};
  if (ppoll(polled.data(), polled.size(), until ? &left : nullptr, nullptr) < 0 && errno != EINTR) {
    Die("ppoll() fails");
  }
  const Moment after = SteadyClock::now();
  const auto is_due = [&](int ms) {
    return ms >= 0 && after >= now + std::chrono::milliseconds(ms);
  };
  are_grants_ready_ = polled[0].revents != 0 || is_due(grants_ms);
  are_calls_ready_ = polled[1].revents != 0 || is_due(calls_ms);
}

}  // namespace ffgrant::bench
