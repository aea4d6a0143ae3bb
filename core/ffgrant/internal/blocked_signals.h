// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_INTERNAL_BLOCKED_SIGNALS_H_
#define FFGRANT_INTERNAL_BLOCKED_SIGNALS_H_

#include <signal.h>

namespace ffgrant::internal {

// While one of these lives, its thread blocks all signals, and so do for good the threads that it
// starts: the program's own threads handle them.
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
