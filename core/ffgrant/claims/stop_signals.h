// SPDX-License-Identifier: Apache-2.0
//
// A stop request that everything can wait for: SIGTERM, Ctrl-C, or a call.
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

// One at a time in a process. Thread-safe but for its constructor and destructor. A forked child
// keeps the handlers, which do nothing there: it stops neither itself nor its parent.
class StopSignals {
 public:
  // Handles these signals from here on, with SA_RESTART; the destructor puts back who did
  // before. Throws std::logic_error if there is one already, std::system_error if the
  // system gives no descriptor.
  explicit StopSignals(std::initializer_list<int> signals = {SIGTERM, SIGINT});
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // As a signal does. Safe in signal handlers.
  void Stop() noexcept;
  bool stopped() const noexcept;
  // Waits for so long, or until it is stopped; returns whether it is. 0 or less: no wait.
  bool Wait(std::int64_t ms) const noexcept;
  // Readable once it is stopped, for poll(). Don't read it.
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
