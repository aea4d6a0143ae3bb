// SPDX-License-Identifier: Apache-2.0
//
// Implements the claim path on SQLite in memory, with one table and with statements that are
// prepared once. Issuing is one UPDATE with its checks in the WHERE clause, and the ledger asks for
// the reason of a refusal only if this UPDATE found no row. Claiming is a SELECT and an UPDATE. The
// ledger follows the advice of https://www.sqlite.org/np1queryprob.html, /withoutrowid.html and
// /pragma.html. Its connection is used by one thread and has no mutexes, and there is no journal,
// since nothing is rolled back. The table is stored in the order of its key. Texts and blobs are
// bound without a copy.
//
// By default each statement is a transaction of its own. Begin() and Commit() put many calls into
// one transaction.

#ifndef FFGRANT_BENCH_PEERS_SQLITE_LEDGER_H_
#define FFGRANT_BENCH_PEERS_SQLITE_LEDGER_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"
#include "ffgrant/claims/clock.h"

namespace ffgrant::bench::peers {

// Serves one thread at a time. The functions have the same declarations as the
// functions of StoreLedger (bench/map_ledger.h).
class SqliteLedger {
 public:
  SqliteLedger(std::size_t max_executions, const Clock& clock);

  CreateOutcome CreateExecution(const CreateExecutionArgs& args);
  IssueOutcome IssueClaimGrant(const IssueGrantArgs& args);
  ClaimOutcome Claim(const ClaimArgs& args);
  Outcome Complete(const ExecutionIdView& id, const LeaseFence& fence);
  Outcome Forget(const ExecutionIdView& id);

  void Begin();
  void Commit();

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close(database); }
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  void Execute(const char* sql);
  Statement Prepare(std::string_view sql);

  // Each makes the checks in the contract's order and returns why a call was refused.
  // WhyNotCompleted() also marks an active execution whose lease has expired.
  ClaimError WhyNotIssued(const IssueGrantArgs& args, std::int64_t now);
  ClaimError WhyNotCompleted(const ExecutionIdView& id, std::int64_t now);

  const Clock& clock_;
  std::unique_ptr<sqlite3, Close> database_;
  Statement create_, issue_, claim_, complete_, expire_, forget_, state_, begin_, commit_;
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_SQLITE_LEDGER_H_
