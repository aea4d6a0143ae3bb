// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/stop_signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "ffgrant/internal/throw.h"

namespace ffgrant {
namespace {

// The handler uses these variables, except g_exists. It may touch nothing that has a lock.
std::atomic<bool> g_exists{false};
std::atomic<bool> g_stopped{false};
std::atomic<int> g_write_end{-1};
// The process that handler and pipe belong to: a forked child has the same handler and pipe.
std::atomic<pid_t> g_process{0};
// How many threads are in RequestStop() and may use the pipe.
std::atomic<int> g_users{0};
static_assert(std::atomic<pid_t>::is_always_lock_free);
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void RequestStop() noexcept {
  // Never true: only in a forked child, whose counts are lost.
  if (getpid() != g_process.load()) return;
  ++g_users;
  // The pipe is read before `g_stopped` is set: a request that comes late, after the end of the
  // StopSignals, then changes nothing of the next one, whose pipe it does not know.
  const int end = g_write_end.load();
  if (end >= 0 && !g_stopped.exchange(true)) {
    const int saved = errno;
    const char byte = 1;
    // The pipe is empty, so one byte always fits.
    // Never true: `write(end, &byte, 1) < 0`: nothing interrupts a write that does not wait.
    while (write(end, &byte, 1) < 0 && errno == EINTR) {
    }
    errno = saved;
  }
  --g_users;
}

void Handle(int) { RequestStop(); }

}  // namespace

StopSignals::StopSignals(std::initializer_list<int> signals) {
  if (g_exists.exchange(true))
    internal::Throw<std::logic_error>("ffgrant: there is a StopSignals already");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    const int error = errno;
    g_exists = false;
    internal::Throw<std::system_error>(error, std::generic_category(), "ffgrant: pipe");
  }
  read_end_ = ends[0];
  write_end_ = ends[1];
  g_stopped = false;
  // A fork() may have copied the count while another thread was counted, which the child has not.
  if (g_process.load() != getpid()) g_users = 0;
  g_process = getpid();
  g_write_end = write_end_;
  for (const int signal : signals) {
    struct sigaction action = {};
    action.sa_handler = &Handle;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    Handled handled{signal, {}};
    if (sigaction(signal, &action, &handled.before) == 0) handled_.push_back(handled);
  }
}

StopSignals::~StopSignals() {
  // The handler that was replaced last is restored first, because a signal may have been named
  // twice.
  for (auto handled = handled_.rbegin(); handled != handled_.rend(); ++handled)
    (void)sigaction(handled->signal, &handled->before, nullptr);
  g_write_end = -1;
  // A handler that another thread still runs may be about to write into the pipe. Once the pipe is
  // closed, its number may be another file's.
  // Never false: `getpid() == g_process.load()`: only in a forked child, whose counts are lost.
  while (getpid() == g_process.load() && g_users.load() > 0) (void)sched_yield();
  (void)close(read_end_);
  (void)close(write_end_);
  g_exists = false;
}

void StopSignals::Stop() noexcept { RequestStop(); }

bool StopSignals::stopped() const noexcept { return g_stopped.load(); }

bool StopSignals::Wait(std::int64_t ms) const noexcept {
  using Steady = std::chrono::steady_clock;
  // The wait is at most about thirty years, so that the sum does not overflow.
  const auto until =
      Steady::now() + std::chrono::milliseconds(std::clamp<std::int64_t>(ms, 0, 1'000'000'000'000));
  while (!stopped()) {
    const Steady::time_point now = Steady::now();
    if (now >= until) break;
    const std::int64_t left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - now).count();
    pollfd one = {read_end_, POLLIN, 0};
    // The time is rounded up, so that the last part of a millisecond is not spent in a loop.
    (void)poll(&one, 1,
               static_cast<int>(std::min<std::int64_t>(left + 1, std::numeric_limits<int>::max())));
  }
  return stopped();
}

}  // namespace ffgrant
