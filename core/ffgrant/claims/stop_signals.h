// SPDX-License-Identifier: Apache-2.0
//
// A StopSignals lets all parts of a program wait for a stop request, which comes by SIGTERM, Ctrl-C
// or a call of Stop().
//
//   StopSignals stop;
//   while (!stop.stopped()) {
//     if (!Claim()) stop.Wait(pause_ms);  // ends at once when asked to stop
//   }

#ifndef FFGRANT_CLAIMS_STOP_SIGNALS_H_
#define FFGRANT_CLAIMS_STOP_SIGNALS_H_

#include <signal.h>

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant {

// A process has at most one StopSignals at a time. Thread-safe except for its constructor and
// destructor. A forked child keeps the handlers, which do nothing there: a signal to the child
// stops neither the child nor its parent.
class StopSignals {
 public:
  // Handles these signals from here on, with SA_RESTART; the destructor puts back the handlers that
  // were there before. Leaves out numbers that are no signals, and signals that nobody can handle.
  // Throws std::logic_error if there is a StopSignals already, std::system_error if the system
  // gives no descriptor.
  explicit StopSignals(std::initializer_list<int> signals = {SIGTERM, SIGINT});
  // Waits for handlers that other threads still run. Don't call it from a signal handler.
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Asks for a stop, as a signal does. Safe in signal handlers.
  void Stop() noexcept;
  bool stopped() const noexcept;
  // Waits for `ms`, or until there is a stop request; returns whether there is one. Does not wait
  // if `ms` is 0 or less.
  bool Wait(std::int64_t ms) const noexcept;
  // Returns a descriptor for poll(), which is readable once there is a stop request. Don't read
  // from the descriptor.
  int descriptor() const noexcept { return read_end_; }

 private:
  struct Handled {
    int signal;
    struct sigaction before;
  };

  int read_end_ = -1;
  int write_end_ = -1;
  std::vector<Handled> handled_;
};

}  // namespace ffgrant
FFGRANT_API_END

#endif  // FFGRANT_CLAIMS_STOP_SIGNALS_H_
