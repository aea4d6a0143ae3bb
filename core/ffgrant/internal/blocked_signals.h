// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_BLOCKED_SIGNALS_H_
#define FFGRANT_INTERNAL_BLOCKED_SIGNALS_H_

#include <signal.h>

namespace ffgrant::internal {

// While a BlockedSignals lives, its thread blocks all signals. The threads that this thread starts
// meanwhile block all signals for good: the program's own threads handle signals.
class BlockedSignals {
 public:
  BlockedSignals() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_BLOCKED_SIGNALS_H_
