// SPDX-License-Identifier: Apache-2.0
//
// Claims in a loop that belongs to the program: epoll waits for the pipeline and for a
// timer of the program's own, in one thread.
//
//   claim_with_epoll ADDRESS [CLAIMS]     ADDRESS as in server_url.h
//
// Creates CLAIMS executions (1000 by default), grants and claims each of them, and completes it.
// The last line is "N claims, N ticks"; the exit status is 0 if every execution was claimed and
// completed.

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ffgrant/routing.h"
#include "ffgrant/uuid_generator.h"
#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/server_url.h"

namespace {

using namespace ffgrant;
using valkey::ClaimPipeline;

constexpr WorkerIdentity kWorker = {{"worker-1"}, {"worker-1-a"}};

class Program {
 public:
  Program(const valkey::ClientOptions& options, std::size_t count)
      : pipeline_(options), lane_(ParseLaneId("example").lane) {
    for (std::size_t i = 0; i < count; ++i) {
      executions_.push_back(*MintExecutionId(lane_, PartitionConfig{}));
    }
  }

  int Run() {
    const int loop = epoll_create1(EPOLL_CLOEXEC);
    const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    const itimerspec every_ms = {{0, 1'000'000}, {0, 1'000'000}};
    timerfd_settime(timer, 0, &every_ms, nullptr);
    for (const int descriptor : {pipeline_.descriptor(), timer}) {
      epoll_event wanted = {};
      wanted.events = EPOLLIN;
      wanted.data.fd = descriptor;
      if (epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &wanted) != 0) std::perror("epoll_ctl");
    }
    while (finished_ < executions_.size() && failed_ == 0) {
      Submit();
      epoll_event event = {};
      const int ready = epoll_wait(loop, &event, 1, pipeline_.PrepareWait());
      if (ready == 1 && event.data.fd == timer) {
        std::uint64_t ticks = 0;
        if (read(timer, &ticks, sizeof ticks) == sizeof ticks) ticks_ += ticks;
      }
      // Whatever has ended the wait, the loop looks at the pipeline, since a look is cheap.
      for (const ClaimPipeline::Completion& done : pipeline_.Poll(0)) Next(done);
    }
    close(timer);
    close(loop);
    std::printf("%zu claims, %llu ticks\n", finished_, static_cast<unsigned long long>(ticks_));
    return failed_ == 0 ? 0 : 1;
  }

 private:
  // Submits new executions, as long as there is room.
  void Submit() {
    while (begun_ < executions_.size() &&
           pipeline_.SubmitCreate({.execution_id = executions_[begun_].view(), .lane = lane_}, "{}",
                                  begun_)) {
      ++begun_;
    }
  }

  // Submits the step that follows a completed step. The completed step has left the pipeline, so
  // the pipeline has room for the next step.
  void Next(const ClaimPipeline::Completion& done) {
    if (!done) {
      std::fprintf(stderr, "%s %s\n", std::string(ErrorName(done.error)).c_str(),
                   std::string(pipeline_.last_error()).c_str());
      ++failed_;
      return;
    }
    const ExecutionIdView id = executions_[done.tag].view();
    switch (done.call) {
      case ClaimPipeline::Call::kCreate:
        pipeline_.SubmitIssueAndClaim({.execution_id = id,
                                       .worker = kWorker,
                                       .lane = lane_,
                                       .lease_id = {RandomUuid()},
                                       .lease_ttl_ms = 30'000,
                                       .attempt_id = {RandomUuid()}},
                                      done.tag);
        break;
      case ClaimPipeline::Call::kIssueAndClaim:
        // ... the work ...
        pipeline_.SubmitComplete({.execution_id = id, .fence = done.lease.fence},
                                 {done.lease.attempt_index, lane_, kWorker.worker_instance_id},
                                 done.tag);
        break;
      default:
        ++finished_;
    }
  }

  ClaimPipeline pipeline_;
  const LaneIdView lane_;
  std::vector<MintedExecutionId> executions_;
  std::size_t begun_ = 0;
  std::size_t finished_ = 0;
  std::size_t failed_ = 0;
  std::uint64_t ticks_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  valkey::ClientOptions options;
  if (argc < 2 || argc > 3) {
    std::fputs("usage: claim_with_epoll ADDRESS [CLAIMS]\n", stderr);
    return 2;
  }
  std::string problem = valkey::SetServers(argv[1], options);
  if (problem.empty()) problem = valkey::SetPasswordFromEnvironment(options);
  if (problem.empty()) problem = valkey::SetTlsFromEnvironment(options);
  if (!problem.empty()) {
    std::fprintf(stderr, "claim_with_epoll: %s\n", problem.c_str());
    return 2;
  }
  const long count = argc == 3 ? std::atol(argv[2]) : 1000;
  return Program(options, static_cast<std::size_t>(count > 0 ? count : 0)).Run();
}
