// SPDX-License-Identifier: Apache-2.0
//
// Runs a whole worker of a FlowFabric deployment. The worker asks the server for grants over HTTP,
// claims on Valkey, renews, gives each execution to a function of yours, and reports what the
// function returns, until the worker is told to stop (contract 5.1, 7.2, 7.4;
// core/contract/live-observed.md 1 to 5, 9 and 13).
//
//   deployment::RunOptions options;
//   options.issuer.url = "https://flowfabric.example:9090";
//   options.worker.ledger.client.servers = {{"valkey.example", 6379}};
//   options.worker.worker = {.worker_id = "resizer", .worker_instance_id = "resizer-1"};
//   options.worker.lanes = {"images"};
//   StopSignals stop;                                    // SIGTERM and SIGINT
//   const deployment::RunResult ran =
//       deployment::RunWorker(options, stop, [](const deployment::Task& task) {
//         std::string picture;
//         return Resize(task.input.payload(), picture) ? deployment::Completed(picture)
//                                                      : deployment::Failed("no picture");
//       });
//   if (!ran) std::fprintf(stderr, "%s\n", ran.message.c_str());
//
// RunWorker() consists of http::IssuerClient and valkey::DeploymentWorker. A program that needs
// another loop puts these two together itself.

#ifndef FFGRANT_DEPLOYMENT_RUN_WORKER_H_
#define FFGRANT_DEPLOYMENT_RUN_WORKER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "ffgrant/claims/claim_error.h"
#include "ffgrant/claims/stop_signals.h"
#include "ffgrant/config.h"
#include "ffgrant/http/issuer_client.h"
#include "ffgrant/ids.h"
#include "ffgrant/valkey/backoff.h"
#include "ffgrant/valkey/deployment_worker.h"
#include "ffgrant/valkey/execution_input.h"

FFGRANT_API_BEGIN
namespace ffgrant::deployment {

// A claimed execution, for as long as the handler's call lasts.
struct Task {
  ExecutionIdView id;
  const valkey::ExecutionInput& input;  // payload, kind, tags, and how the attempt came about
  const valkey::Work& work;             // the lease and its fence

  // Whether the lease is lost, so that another worker may have the execution by now. Once the lease
  // is lost, the server will most likely refuse what the handler returns. So a handler whose work
  // takes long should call lost() now and then, and give up if the lease is lost. lost() only reads
  // a clock.
  bool lost() const noexcept { return work.lost(); }
};

// What became of the work.
struct Ending {
  bool completed = false;
  std::string text;      // the result, any bytes; or why the work failed
  std::string category;  // a failure's category; FlowFabric stores it, but decides nothing by it
};
inline Ending Completed(std::string result = {}) { return {true, std::move(result), {}}; }
// The execution's retry policy decides whether the execution is tried again.
inline Ending Failed(std::string reason, std::string category = "failed") {
  return {false, std::move(reason), std::move(category)};
}

// Does the work of one execution. A handler may take as long as it likes, since the lease is
// renewed meanwhile. An exception that leaves the handler counts as a Failed() with the exception's
// words and the category "exception". If `worker.worker.permits` is more than 1, several threads of
// RunWorker() call the handler at once.
using Handler = std::function<Ending(const Task&)>;

// Something that has happened to a worker.
struct Report {
  enum class Event : std::uint8_t {
    kCompleted,
    kToBeRetried,    // the attempt has failed, and the retry policy has scheduled another attempt
    kFailed,         // the execution has failed for good
    kNotCompleted,   // the result was refused, or could not be delivered in time; or the lease was
                     // lost before the handler began
    kNotFailed,      // a failure was refused, or could not be delivered in time
    kNotClaimed,     // the worker could not turn a grant into a lease
    kNotTakenOver,   // TakeOver() got no grant for this execution and its lane, or could not turn
                     // the grant into a lease
    kNoGrant,        // the server has refused to give a grant, has answered with something else, or
                     // can't be reached. A 204, which says that there was nothing, is not reported,
                     // nor is a request that a stop has ended.
    kNotRegistered,  // the registration was not refreshed; `why` has the error of
                     // DeploymentWorker::registration()
  };
  Event event = Event::kCompleted;
  std::string_view execution_id;  // Empty if no execution is concerned. The view is valid until
                                  // the function that gets the report returns.
  std::string why;                // empty, or what went wrong: an error's name and words, or words

  // Returns one line, such as "completed {fp:7}:..." or "no grant: unauthorized ...", in which a
  // space stands for each control character.
  std::string Text() const;
};
// Returns "completed", "to be retried", "failed", "not completed" and so on.
std::string_view EventName(Report::Event event) noexcept;

struct RunOptions {
  // The worker ignores `stop_descriptor`, and keeps at least as many connections as there are
  // permits.
  http::IssuerOptions issuer = {};
  // The worker asks for grants in each of `lanes` in turn, with the capabilities in `offered`;
  // there must be at least one lane. `worker.permits` is how many executions the worker works on at
  // once, each in a thread of its own. No two workers of a deployment may have the same instance
  // id; an empty `worker.worker_instance_id` stands for the worker id and a random UUID.
  // `ledger.client.load_library` is ignored, since a deployment has its own functions. `has_thread`
  // and `keeper.has_threads` must be true. A reply may always have twice max_input_bytes, even if
  // `ledger.client.max_reply_bytes` is smaller.
  valkey::DeploymentWorkerOptions worker = {};
  // See ExecutionInput. An execution with a larger input fails.
  std::size_t max_input_bytes = std::size_t{1} << 20;
  std::int64_t grant_ttl_ms = 5000;  // 1..60'000
  // The pause after a round in which no lane led to a claim, be it that there was no work or that
  // there was an error. The pause grows until there is a claim.
  valkey::Backoff pause = {.first_ms = 20, .longest_ms = 1000};
  // The worker tells this function what happens. Several threads may call `report` at once, and it
  // must not throw.
  std::function<void(const Report&)> report = {};
};

// Sets what does not belong on a command line: the bearer token and the certificates to trust for
// https:// (http::SetFromEnvironment()), Valkey's password and the texts for TLS
// (valkey::SetPasswordFromEnvironment(), valkey::SetTlsFromEnvironment()). Also sets the worker's
// instance id, which differs between the processes of one service, from FF_WORKER_INSTANCE_ID. A
// variable that is not set, or is empty, changes nothing. Returns "", or the reason for a failure.
// Reads the environment: do not call it while another thread may call setenv().
std::string SetFromEnvironment(RunOptions& options);

struct [[nodiscard]] RunResult : Outcome {
  std::string message;  // what went wrong, in words; empty after success
  std::uint64_t completed = 0;
  std::uint64_t retried = 0;  // failed, and to be tried again
  std::uint64_t failed = 0;   // failed for good
  // Claimed, and then neither completed nor failed by this worker.
  std::uint64_t lost = 0;
};

// Works until there is a stop request. Then the call claims nothing more, lets the handlers that
// run return, reports what they return, unregisters the worker, and returns. Nothing is lost by a
// stop: an execution whose grant was under way is granted anew once that grant has expired.
//
// Threads: handlers run in the caller's thread and in `worker.worker.permits` - 1 more, and
// DeploymentWorker has threads of its own; all threads but the caller's have ended when the call
// returns. Several workers with instance ids of their own may run at once in one process, and share
// `stop`.
// Blocking: a stop request immediately ends a wait for a grant, or a pause. A claim that is under
// way ends within three times ledger.client.request_timeout_ms. An ending that does not get through
// is tried again until the lease is lost, but for no longer than worker.worker.lease_ttl_ms; the
// try that is then under way ends within three times ledger.client.request_timeout_ms. The reading
// of an input is tried again in the same way; if the lease is still held after that, the execution
// fails. The start takes at most six times ledger.client.request_timeout_ms.
// Ownership: `options`, `stop` and `handler` must live until the call returns.
// Cost: the call allocates; each execution takes at least one request over HTTP and three calls on
// Valkey.
//
// An error of a single execution is reported, and the worker goes on. RunWorker() returns the
// errors of the worker's start and of its end:
//   kInvalidInput                   options out of range, no lane, an empty handler, an id or a
//                                   capability that is no UTF-8, no token to be read, or an error
//                                   of Start(): counts or a lane that are not valid, an instance id
//                                   that another process has registered
//   kUnavailable, kUnknownOutcome   the Valkey can't be reached, or refuses to serve, at the start
//                                   or at the end; at the end the registration then runs out by
//                                   itself
//   kUnknownCode                    the Valkey answers with another error, at the start or at the
//                                   end; or its user lacks a right that the work needs, which shows
//                                   if the user may ask for it (ServerInfo::refused_calls)
// Throws std::system_error if the system gives no threads; then nothing was claimed.
RunResult RunWorker(const RunOptions& options, const StopSignals& stop, const Handler& handler);

// Takes over executions whose workers have died, as DeploymentWorker::Reclaim() does, and does
// their work, one after the other in the caller's thread. Then it returns. All these executions
// must be in the first lane of `worker.lanes`. A deployment takes over no execution by itself. An
// execution that can't be taken over is reported, for example because its lease is held, it has
// ended, or it does not exist. All else is as with RunWorker(). After a stop request the call takes
// over no further execution.
RunResult TakeOver(const RunOptions& options, std::span<const std::string> execution_ids,
                   const StopSignals& stop, const Handler& handler);

}  // namespace ffgrant::deployment
FFGRANT_API_END

#endif  // FFGRANT_DEPLOYMENT_RUN_WORKER_H_
