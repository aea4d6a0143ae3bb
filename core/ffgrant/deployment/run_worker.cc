// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/deployment/run_worker.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include "ffgrant/claims/ending.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/server_url.h"

namespace ffgrant::deployment {
namespace {

using Event = Report::Event;

// The pause between two tries to end an execution, whose lease is running meanwhile.
constexpr std::chrono::milliseconds kEndingPause{100};

std::string Words(ClaimError error, const ErrorDetails& details) {
  std::string words(ErrorName(error));
  for (std::size_t i = 0; i < details.size(); ++i) words.append(" ").append(details[i]);
  return words;
}
std::string Words(const http::IssuerStatus& status) {
  return std::string(http::ErrorName(status.error)) + " " + status.message;
}

bool MayPass(ClaimError error) noexcept {
  return error == ClaimError::kUnavailable || error == ClaimError::kUnknownOutcome;
}

// Makes a call again and again, as long as it does not get through and the lease is held.
template <class Call>
auto UntilLost(const valkey::Work& work, const Call& call) {
  for (;;) {
    auto outcome = call();
    if (!MayPass(outcome.error) || work.lost()) return outcome;
    std::this_thread::sleep_for(kEndingPause);
  }
}

Ending Handle(const Handler& handler, const Task& task) {
  try {
    return handler(task);
  } catch (const std::exception& error) {
    return Failed(error.what(), "exception");
  } catch (...) {
    return Failed("something else than a std::exception was thrown", "exception");
  }
}

http::IssuerOptions ForThreads(http::IssuerOptions options, std::uint32_t threads, int stop) {
  options.connections = std::max<std::size_t>(options.connections, threads);
  options.stop_descriptor = stop;
  return options;
}

valkey::DeploymentWorkerOptions Named(valkey::DeploymentWorkerOptions options) {
  options.ledger.client.load_library = false;
  std::string& instance = options.worker.worker_instance_id;
  if (instance.empty()) {
    std::array<char, kUuidTextSize> text;
    FormatUuid(RandomUuid(), text);
    instance = options.worker.worker_id + "-" + std::string(text.data(), text.size());
  }
  return options;
}

// What is wrong with the options; "" if nothing is.
std::string Problem(const RunOptions& o) {
  if (o.worker.lanes.empty()) return "worker.lanes: there must be a lane";
  if (o.worker.worker.permits < 1 || o.worker.worker.permits > 1024) {
    return "worker.worker.permits must be in 1..1024";
  }
  if (!o.worker.has_thread || !o.worker.keeper.has_threads) {
    return "worker.has_thread and worker.keeper.has_threads must be true";
  }
  if (o.grant_ttl_ms < 1 || o.grant_ttl_ms > 60'000) return "grant_ttl_ms must be in 1..60'000";
  if (o.pause.first_ms < 1 || o.pause.longest_ms < o.pause.first_ms) {
    return "pause: 1 <= first_ms <= longest_ms";
  }
  return "";
}

// The tokens of a comma-joined text.
std::vector<std::string_view> Tokens(std::string_view csv) {
  std::vector<std::string_view> tokens;
  while (!csv.empty()) {
    const std::size_t comma = std::min(csv.find(','), csv.size());
    tokens.push_back(csv.substr(0, comma));
    csv.remove_prefix(std::min(comma + 1, csv.size()));
  }
  return tokens;
}

class Running {
 public:
  // Throws what the constructors of its parts throw.
  Running(const RunOptions& options, const StopSignals& stop, const Handler& handler)
      : options_(options),
        named_(Named(options.worker)),
        stop_(stop),
        handler_(handler),
        capabilities_(Tokens(named_.offered.csv())),
        worker_(named_),
        issuer_(ForThreads(options.issuer, named_.worker.permits, stop.descriptor())) {}

  // Starts, lets `work` do all that is to be done, and stops.
  template <class Work>
  RunResult Run(const Work& work) {
    RunResult result;
    ErrorDetails details;
    const Outcome started = worker_.Start(&details);
    if (!started) {
      result.error = started.error;
      result.message = "the start: " + Words(started.error, details);
      return result;
    }
    for (const std::string& text : named_.lanes) lanes_.push_back(ParseLaneId(text).lane);
    work();
    const Outcome stopped = worker_.Stop(&details);
    if (!stopped) {
      result.error = stopped.error;
      result.message = "the end of the registration: " + Words(stopped.error, details);
    }
    result.completed = completed_;
    result.retried = retried_;
    result.failed = failed_;
    result.lost = lost_;
    return result;
  }

  // Lets all threads ask for grants until there is a stop request.
  void WorkOnGrants() {
    struct Others {
      explicit Others(std::atomic<bool>& flag) : ends(flag) {}
      ~Others() { Join(); }
      void Join() {
        for (std::thread& thread : threads) thread.join();
        threads.clear();
      }
      std::atomic<bool>& ends;
      std::vector<std::thread> threads;
    } others(ends_);
    try {
      for (std::uint32_t i = 1; i < named_.worker.permits; ++i) {
        others.threads.emplace_back([this] { Loop(false); });
      }
    } catch (...) {
      ends_ = true;
      throw;  // after the threads that there are have ended
    }
    Loop(true);
  }

  void TakeOver(std::span<const std::string> ids) {
    valkey::ExecutionInput input(options_.max_input_bytes);
    ReclaimRequestView request;
    request.worker_id = named_.worker.worker_id;
    request.worker_instance_id = named_.worker.worker_instance_id;
    request.lane_id = named_.lanes.front();
    request.grant_ttl_ms = static_cast<std::uint64_t>(options_.grant_ttl_ms);
    request.worker_capabilities = StringList(capabilities_);
    for (const std::string& id : ids) {
      ReclaimGrant grant;
      const http::IssuerStatus status = issuer_.Reclaim(id, request, grant);
      if (status.error == http::IssuerError::kStopped) return;
      if (!status) {
        Tell(Event::kNotTakenOver, id, Words(status));
        continue;
      }
      ErrorDetails details;
      valkey::Work work = worker_.Reclaim(grant.view(), &details);
      if (work) {
        Do(work, input);
      } else {
        Tell(Event::kNotTakenOver, id, Words(work.error, details));
      }
    }
  }

 private:
  void Tell(Event event, std::string_view id, std::string why = {}) const {
    if (options_.report) options_.report({event, id, std::move(why)});
  }

  void Loop(bool is_first) {
    valkey::ExecutionInput input(options_.max_input_bytes);
    std::uint32_t in_vain = 0;  // rounds through the lanes in a row
    while (!stop_.stopped() && !ends_) {
      bool is_any = false;
      for (const LaneIdView lane : lanes_) {
        is_any |= ClaimOne(lane, input);
        if (is_first) LookAtRegistration();
      }
      if (is_any) {
        in_vain = 0;
        continue;
      }
      stop_.Wait(options_.pause.DelayMs(++in_vain, RandomUuid().bytes[2]));
    }
  }

  // Returns whether there was an execution in the lane.
  bool ClaimOne(LaneIdView lane, valkey::ExecutionInput& input) {
    ClaimGrant grant;
    const http::IssuerStatus status =
        issuer_.Claim(named_.worker.worker_id,
                      {.lane_id = lane.text(),
                       .worker_instance_id = named_.worker.worker_instance_id,
                       .capabilities = StringList(capabilities_),
                       .grant_ttl_ms = static_cast<std::uint64_t>(options_.grant_ttl_ms)},
                      grant);
    if (!status) {
      if (status.error != http::IssuerError::kNothingInWindow &&
          status.error != http::IssuerError::kStopped) {
        Tell(Event::kNoGrant, {}, Words(status));
      }
      return false;
    }
    ErrorDetails details;
    valkey::Work work = worker_.Claim(grant.view(), lane, &details);
    if (!work) {
      Tell(Event::kNotClaimed, grant.view().execution_id.text(), Words(work.error, details));
      return false;
    }
    Do(work, input);
    return true;
  }

  // Does the work of an execution that was claimed, and ends the execution.
  void Do(valkey::Work& work, valkey::ExecutionInput& input) {
    ErrorDetails details;
    const Outcome read = UntilLost(work, [&] { return work.ReadInput(input, &details); });
    const Ending ending =
        read ? Handle(handler_, {work.id(), input, work})
             : Failed("the input can't be read: " + Words(read.error, details), "input");
    if (ending.completed) {
      const Outcome completed = UntilLost(work, [&] {
        return CompleteOnce(worker_.ledger(),
                            {.execution_id = work.id(), .fence = work.lease().fence}, ending.text,
                            &details);
      });
      Count(completed.error, completed_, Event::kCompleted, Event::kNotCompleted, work, details);
    } else {
      const FailOutcome failed = UntilLost(work, [&] {
        return FailOnce(worker_.ledger(),
                        {.execution_id = work.id(),
                         .fence = work.lease().fence,
                         .reason = ending.text,
                         .category = ending.category},
                        &details);
      });
      Count(failed.error, failed.retried ? retried_ : failed_,
            failed.retried ? Event::kToBeRetried : Event::kFailed, Event::kNotFailed, work,
            details);
    }
  }

  void Count(ClaimError error, std::atomic<std::uint64_t>& counter, Event done, Event not_done,
             const valkey::Work& work, const ErrorDetails& details) {
    const bool is_done = error == ClaimError::kNone;
    ++(is_done ? counter : lost_);
    Tell(is_done ? done : not_done, work.id().text(),
         is_done ? std::string() : Words(error, details));
  }

  // Tells once that the registration is not refreshed, until it is refreshed again.
  void LookAtRegistration() {
    const ClaimError now = worker_.registration().error;
    if (now == std::exchange(registration_, now) || now == ClaimError::kNone) return;
    Tell(Event::kNotRegistered, {}, std::string(ErrorName(now)));
  }

  const RunOptions& options_;
  const valkey::DeploymentWorkerOptions named_;
  const StopSignals& stop_;
  const Handler& handler_;
  const std::vector<std::string_view> capabilities_;  // of named_
  valkey::DeploymentWorker worker_;
  http::IssuerClient issuer_;
  std::vector<LaneIdView> lanes_;  // of named_
  ClaimError registration_ = ClaimError::kNone;
  std::atomic<bool> ends_{false};
  std::atomic<std::uint64_t> completed_{0};
  std::atomic<std::uint64_t> retried_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<std::uint64_t> lost_{0};
};

RunResult Refused(std::string message) {
  RunResult result;
  result.error = ClaimError::kInvalidInput;
  result.message = std::move(message);
  return result;
}

template <class Use>
RunResult With(const RunOptions& options, const StopSignals& stop, const Handler& handler,
               const Use& use) {
  std::string problem = Problem(options);
  if (!problem.empty()) return Refused(std::move(problem));
  std::optional<Running> running;
  try {
    running.emplace(options, stop, handler);
  } catch (const std::system_error&) {
    throw;
  } catch (const std::invalid_argument& error) {
    return Refused(error.what());
  } catch (const std::runtime_error& error) {
    return Refused(error.what());
  }
  return running->Run([&] { use(*running); });
}

}  // namespace

std::string_view EventName(Event event) noexcept {
  switch (event) {
    case Event::kCompleted:
      return "completed";
    case Event::kToBeRetried:
      return "to be retried";
    case Event::kFailed:
      return "failed";
    case Event::kNotCompleted:
      return "not completed";
    case Event::kNotFailed:
      return "not failed";
    case Event::kNotClaimed:
      return "not claimed";
    case Event::kNotTakenOver:
      return "not taken over";
    case Event::kNoGrant:
      return "no grant";
    case Event::kNotRegistered:
      return "not registered";
  }
  // Never reached: every enumerator has a case.
  return "unknown";
}

std::string Report::Text() const {
  std::string text(EventName(event));
  if (!execution_id.empty()) text.append(" ").append(execution_id);
  if (!why.empty()) text.append(": ").append(why);
  return text;
}

std::string SetFromEnvironment(RunOptions& options) {
  http::SetFromEnvironment(options.issuer);
  valkey::ClientOptions& client = options.worker.ledger.client;
  std::string problem = valkey::SetPasswordFromEnvironment(client);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(client);
  return problem;
}

RunResult RunWorker(const RunOptions& options, const StopSignals& stop, const Handler& handler) {
  return With(options, stop, handler, [](Running& running) { running.WorkOnGrants(); });
}

RunResult TakeOver(const RunOptions& options, std::span<const std::string> execution_ids,
                   const StopSignals& stop, const Handler& handler) {
  return With(options, stop, handler, [&](Running& running) { running.TakeOver(execution_ids); });
}

}  // namespace ffgrant::deployment
