// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/deployment/run_worker.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "ffgrant/claims/ending.h"
#include "ffgrant/internal/utf8.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/server_url.h"

namespace ffgrant::deployment {
namespace {

using Event = Report::Event;

// The pause between two tries of a call that UntilLost() repeats. The lease is running meanwhile.
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

// Repeats a call until it gets through or the lease is lost, but for no longer than a lease lasts.
// If the call does not get through in all that time although renewals do, the call never will: its
// reply may be larger than the client takes, for example.
template <class Call>
auto UntilLost(const valkey::Work& work, std::int64_t lease_ttl_ms, const Call& call) {
  using Steady = std::chrono::steady_clock;
  const Steady::time_point begin = Steady::now();
  const auto is_over = [&] {
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - begin);
    return spent.count() >= lease_ttl_ms;
  };
  for (;;) {
    auto outcome = call();
    if (!MayPass(outcome.error) || work.lost() || is_over()) return outcome;
    std::this_thread::sleep_for(kEndingPause);
    if (work.lost()) return outcome;
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

// Returns the options of the worker itself, with an instance id and with room for the inputs.
valkey::DeploymentWorkerOptions ForWorker(const RunOptions& o) {
  valkey::DeploymentWorkerOptions options = o.worker;
  valkey::ClientOptions& client = options.ledger.client;
  client.load_library = false;
  // ReadInput() takes a payload of at most half of max_reply_bytes.
  constexpr std::size_t kHalf = std::numeric_limits<std::size_t>::max() / 2;
  client.max_reply_bytes = std::max(client.max_reply_bytes, 2 * std::min(o.max_input_bytes, kHalf));
  std::string& instance = options.worker.worker_instance_id;
  if (instance.empty()) {
    std::array<char, kUuidTextSize> text;
    FormatUuid(RandomUuid(), text);
    instance = options.worker.worker_id + "-" + std::string(text.data(), text.size());
  }
  return options;
}

bool IsUtf8(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const std::size_t size = ffgrant::internal::Utf8SequenceSize(at, end);
    if (size == 0) return false;
    at += size;
  }
  return true;
}

// Returns what is wrong with the options; "" if nothing is.
std::string Problem(const RunOptions& o) {
  if (o.worker.lanes.empty()) return "worker.lanes: there must be a lane";
  if (o.worker.worker.permits < 1 || o.worker.worker.permits > 1024) {
    return "worker.worker.permits must be in 1..1024";
  }
  const WorkerOptions& worker = o.worker.worker;
  // The next three texts stand in each request for a grant. If a request can't hold one of them,
  // the worker never gets a grant.
  if (worker.worker_id.empty() || worker.worker_id == "." || worker.worker_id == ".." ||
      !IsUtf8(worker.worker_id)) {
    return "worker.worker.worker_id can't be in a request";
  }
  if (!IsUtf8(worker.worker_instance_id)) {
    return "worker.worker.worker_instance_id can't be in a request";
  }
  if (!IsUtf8(o.worker.offered.csv())) return "worker.offered can't be in a request";
  // A lease that lasts no longer than the margin counts as lost from its beginning.
  if (worker.lease_ttl_ms <= o.worker.keeper.margin_ms || worker.lease_ttl_ms > kMaxTtlMs) {
    return "worker.worker.lease_ttl_ms must be more than worker.keeper.margin_ms, and at most "
           "kMaxTtlMs";
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

std::uint64_t Random() noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, RandomUuid().bytes.data(), sizeof bits);
  return bits;
}

// Returns the tokens of a comma-joined text.
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
  // Throws what the constructors of the members throw.
  Running(const RunOptions& options, const StopSignals& stop, const Handler& handler)
      : options_(options),
        named_(ForWorker(options)),
        stop_(stop),
        handler_(handler),
        capabilities_(Tokens(named_.offered.csv())),
        worker_(named_),
        issuer_(ForThreads(options.issuer, named_.worker.permits, stop.descriptor())) {}

  // Starts the worker, lets `work` do all that is to be done, and stops the worker. `claims` names
  // the calls that claim.
  template <class Work>
  RunResult Run(std::span<const std::string_view> claims, const Work& work) {
    RunResult result;
    ErrorDetails details;
    const Outcome started = worker_.Start(&details);
    if (!started) {
      result.error = started.error;
      result.message = "the start: " + Words(started.error, details);
      return result;
    }
    if (const std::string missing = MissingRight(claims); !missing.empty()) {
      result.error = ClaimError::kUnknownCode;
      result.message = "the start: " + missing;
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

  // Lets all threads ask for grants, and work on what they claim, until there is a stop request.
  void WorkOnGrants() {
    struct Others {
      ~Others() {
        // After a stop request the threads end by themselves. After an exception this destructor
        // ends them.
        all.ends_ = true;
        all.Begin();
        for (std::thread& thread : threads) thread.join();
      }
      Running& all;
      std::vector<std::thread> threads;
    } others{*this, {}};
    // No thread begins to work before all threads have started: a worker that can't start all of
    // them claims nothing.
    for (std::uint32_t i = 1; i < named_.worker.permits; ++i) {
      others.threads.emplace_back([this] {
        may_begin_.wait(false);
        Loop(false);
      });
    }
    Begin();
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
      if (stop_.stopped()) return;
      ReclaimGrant grant;
      const http::IssuerStatus status = issuer_.Reclaim(id, request, grant);
      if (status.error == http::IssuerError::kStopped) return;
      if (!status) {
        Tell(Event::kNotTakenOver, id, Words(status));
        continue;
      }
      const std::string_view wrong = WrongIn(grant.view(), id);
      if (!wrong.empty()) {
        Tell(Event::kNotTakenOver, id, std::string(wrong));
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

  // Returns what is wrong with the grant that came when the worker asked to take over `id`; "" if
  // nothing is.
  std::string_view WrongIn(const ReclaimGrantView& grant, std::string_view id) const noexcept {
    const ExecutionIdResult asked = ParseExecutionId(id, ParseMode::kLenient);
    const ExecutionIdView& granted = grant.grant.execution_id;
    // The server may spell the id in another way.
    if (!asked || asked.id.partition() != granted.partition() ||
        asked.id.uuid() != granted.uuid()) {
      return "the grant is for another execution";
    }
    return grant.lane_id == lanes_.front() ? "" : "the grant is for another lane";
  }

  // Returns in words a right that the work needs and the Valkey's user lacks; "" if no right is
  // known to be missing. Without the rights for ReadInput(), for example, each execution would
  // fail.
  std::string MissingRight(std::span<const std::string_view> claims) const {
    constexpr std::string_view kAlways[] = {"Renew", "ReadInput", "Complete", "Fail"};
    const auto is_in = [](std::span<const std::string_view> calls, const std::string& call) {
      return std::find(calls.begin(), calls.end(), call) != calls.end();
    };
    for (const valkey::RefusedCall& refused : worker_.server().refused_calls) {
      if (!is_in(kAlways, refused.call) && !is_in(claims, refused.call)) continue;
      std::string text = "the user may not run what " + refused.call + "() needs:";
      for (const std::string& command : refused.commands) text.append(" ").append(command);
      return text;
    }
    return "";
  }

  void Begin() noexcept {
    may_begin_ = true;
    may_begin_.notify_all();
  }

  void Loop(bool is_first) {
    valkey::ExecutionInput input(options_.max_input_bytes);
    std::uint32_t in_vain = 0;  // rounds in a row in which no lane led to a claim
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
      stop_.Wait(options_.pause.DelayMs(++in_vain, Random()));
    }
  }

  // Returns whether the worker claimed an execution of the lane.
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
    const std::int64_t ttl = named_.worker.lease_ttl_ms;
    const Outcome read = UntilLost(work, ttl, [&] { return work.ReadInput(input, &details); });
    if ((read || MayPass(read.error)) && work.lost()) {
      // Nothing is wrong with the execution, and another worker may have it by now.
      ++lost_;
      Tell(Event::kNotCompleted, work.id().text(),
           read ? "the lease was lost before the input was read"
                : "the input can't be read: " + Words(read.error, details));
      return;
    }
    const Ending ending =
        read ? Handle(handler_, {work.id(), input, work})
             : Failed("the input can't be read: " + Words(read.error, details), "input");
    if (ending.completed) {
      const Outcome completed = UntilLost(work, ttl, [&] {
        return CompleteOnce(worker_.ledger(),
                            {.execution_id = work.id(), .fence = work.lease().fence}, ending.text,
                            &details);
      });
      Count(completed.error, completed_, Event::kCompleted, Event::kNotCompleted, work, details);
    } else {
      const FailOutcome failed = UntilLost(work, ttl, [&] {
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

  // Reports an error of the last refresh of the registration, unless this function found the same
  // error the last time.
  void LookAtRegistration() {
    const ClaimError now = worker_.registration().error;
    if (now == std::exchange(registration_, now) || now == ClaimError::kNone) return;
    Tell(Event::kNotRegistered, {}, std::string(ErrorName(now)));
  }

  const RunOptions& options_;
  const valkey::DeploymentWorkerOptions named_;
  const StopSignals& stop_;
  const Handler& handler_;
  const std::vector<std::string_view> capabilities_;  // views into named_
  valkey::DeploymentWorker worker_;
  http::IssuerClient issuer_;
  std::vector<LaneIdView> lanes_;  // views into named_
  ClaimError registration_ = ClaimError::kNone;
  std::atomic<bool> may_begin_{false};
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
               std::span<const std::string_view> claims, const Use& use) {
  if (!handler) return Refused("there must be a handler");
  std::string problem = Problem(options);
  if (!problem.empty()) return Refused(std::move(problem));
  std::optional<Running> running;
  try {
    running.emplace(options, stop, handler);
  } catch (const std::invalid_argument& error) {
    return Refused(error.what());
  } catch (const std::runtime_error& error) {
    return Refused(error.what());
  }
  return running->Run(claims, [&] { use(*running); });
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
  const auto is_control = [](unsigned char c) { return c < ' ' || c == '\x7f'; };
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  // The other control characters, from U+0080 to U+009F, have two bytes in UTF-8.
  for (std::size_t at = 0; (at = text.find('\xc2', at)) != text.npos; ++at) {
    const std::string_view second = std::string_view(text).substr(at + 1, 1);
    if (second >= "\x80" && second <= "\x9f") text.replace(at, 2, 1, ' ');
  }
  return text;
}

std::string SetFromEnvironment(RunOptions& options) {
  http::SetFromEnvironment(options.issuer);
  if (const char* const instance = std::getenv("FF_WORKER_INSTANCE_ID");
      instance != nullptr && *instance != '\0') {
    options.worker.worker.worker_instance_id = instance;
  }
  valkey::ClientOptions& client = options.worker.ledger.client;
  std::string problem = valkey::SetPasswordFromEnvironment(client);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(client);
  return problem;
}

RunResult RunWorker(const RunOptions& options, const StopSignals& stop, const Handler& handler) {
  constexpr std::string_view kClaims[] = {"Claim", "ClaimResumed"};
  return With(options, stop, handler, kClaims, [](Running& running) { running.WorkOnGrants(); });
}

RunResult TakeOver(const RunOptions& options, std::span<const std::string> execution_ids,
                   const StopSignals& stop, const Handler& handler) {
  constexpr std::string_view kClaims[] = {"Reclaim"};
  return With(options, stop, handler, kClaims,
              [&](Running& running) { running.TakeOver(execution_ids); });
}

}  // namespace ffgrant::deployment
