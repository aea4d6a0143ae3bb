// SPDX-License-Identifier: Apache-2.0

#ifndef FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
#define FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_

namespace ffgrant::bench {

// Plays one long random history against the ledger and both map baselines and
// compares every outcome. Ends the process at the first difference.
void CheckLedgersAgree();

}  // namespace ffgrant::bench

#endif  // FFGRANT_BENCH_LEDGER_HISTORY_CHECK_H_
