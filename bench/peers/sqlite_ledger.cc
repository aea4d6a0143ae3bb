// SPDX-License-Identifier: Apache-2.0

#include "bench/peers/sqlite_ledger.h"

#include <array>
#include <cstring>
#include <string>

#include "bench/bench_main.h"
#include "bench/map_ledger.h"
#include "bench/plain_execution.h"

namespace ffgrant::bench::peers {
namespace {

// The columns are the id and the fields of PlainExecution except terminal_, which phase 2 stands
// for. phase: 0 runnable, 1 active, 2 terminal; ownership: 0 unowned, 1 leased, 2 expired;
// attempt: 0 pending, 1 running, 2 interrupted, 3 terminal. A row takes some 250 bytes. The table
// is stored in the order of its key, since an index beside the table would cost one more lookup for
// each call.
constexpr const char* kSchema = R"sql(
  CREATE TABLE executions(
    id BLOB PRIMARY KEY,
    phase INTEGER, ownership INTEGER, eligible INTEGER, attempt INTEGER,
    in_eligible INTEGER, has_grant INTEGER,
    total_attempt_count INTEGER, lease_epoch INTEGER,
    grant_created_at INTEGER, grant_expires_at INTEGER,
    grant_worker TEXT, grant_instance TEXT,
    lease_id BLOB, attempt_id BLOB, attempt_index INTEGER,
    acquired_at INTEGER, renewed_at INTEGER, expires_at INTEGER, renewal_deadline INTEGER,
    lease_worker TEXT, lease_instance TEXT,
    required TEXT, lane TEXT, priority INTEGER, created_at INTEGER
  ) WITHOUT ROWID)sql";

// ?1 is the id, ?2 is the current time. The calls that bind the other parameters show what these
// are.
constexpr std::string_view kCreate = R"sql(
  INSERT INTO executions VALUES(?1, 0,0,1,0, 1,0, 0,0, 0,0,'','', x'',x'',0, 0,0,0,0, '','',
    ?3, ?4, ?5, ?2) ON CONFLICT DO NOTHING)sql";
constexpr std::string_view kIssue = R"sql(
  UPDATE executions SET has_grant = ?3, grant_created_at = ?2, grant_expires_at = ?4,
    grant_worker = ?5, grant_instance = ?6
  WHERE id = ?1 AND phase = 0 AND eligible AND NOT (has_grant AND grant_expires_at >= ?2)
    AND in_eligible AND lane = ?7 AND (required = '' OR has_all(required, ?8)))sql";
// Runs after a SELECT of the row, since RETURNING would cost three times as much as this SELECT.
constexpr std::string_view kClaim = R"sql(
  UPDATE executions SET has_grant = 0, phase = 1, ownership = 1, eligible = 0, attempt = 1,
    in_eligible = 0, lease_epoch = ?9, attempt_index = ?10, total_attempt_count = ?10 + 1,
    lease_id = ?3, attempt_id = ?4,
    acquired_at = ?2, renewed_at = ?2, expires_at = ?5, renewal_deadline = ?6,
    lease_worker = ?7, lease_instance = ?8
  WHERE id = ?1)sql";
constexpr std::string_view kComplete = R"sql(
  UPDATE executions SET phase = 2, ownership = 0, attempt = 3
  WHERE id = ?1 AND phase = 1 AND ownership = 1 AND expires_at > ?2
    AND lease_id = ?3 AND lease_epoch = ?4 AND attempt_id = ?5)sql";
constexpr std::string_view kExpire =
    "UPDATE executions SET ownership = 2, attempt = 2 WHERE id = ?1";
constexpr std::string_view kForget = "DELETE FROM executions WHERE id = ?1 AND phase = 2";
constexpr std::string_view kState = R"sql(
  SELECT phase, ownership, eligible, attempt, in_eligible,
    has_grant AND grant_expires_at >= ?2, grant_worker, lane, expires_at,
    lease_epoch, total_attempt_count
  FROM executions WHERE id = ?1)sql";

// The columns of the row that kState selects.
enum StateColumn {
  kPhase,
  kOwnership,
  kEligible,
  kAttempt,
  kInEligible,
  kHasGrant,
  kGrantWorker,
  kLane,
  kExpiresAt,
  kLeaseEpoch,
  kTotalAttemptCount
};

[[noreturn]] void Fail(sqlite3* database, std::string_view what) {
  SelfCheckFailed(std::string("SQLite: ") + sqlite3_errmsg(database), what);
}

// An id as a blob: partition and uuid, which identify a canonical id.
class IdBlob {
 public:
  explicit IdBlob(const ExecutionIdView& id) {
    const std::uint16_t index = id.partition().index;
    bytes_[0] = static_cast<std::uint8_t>(index >> 8);
    bytes_[1] = static_cast<std::uint8_t>(index);
    std::memcpy(bytes_.data() + 2, id.uuid().bytes.data(), 16);
  }
  const void* data() const { return bytes_.data(); }
  int size() const { return static_cast<int>(bytes_.size()); }

 private:
  std::array<std::uint8_t, 18> bytes_;
};

// Binds and steps a statement once, and resets it at the end. The bound values must outlive the
// Call.
class Call {
 public:
  Call(sqlite3_stmt* statement, const IdBlob& id) : statement_(statement) {
    sqlite3_bind_blob(statement, 1, id.data(), id.size(), SQLITE_STATIC);
  }
  ~Call() { sqlite3_reset(statement_); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Call& Number(int place, std::int64_t value) {
    sqlite3_bind_int64(statement_, place, value);
    return *this;
  }
  Call& Text(int place, std::string_view text) {
    sqlite3_bind_text(statement_, place, text.data() != nullptr ? text.data() : "",
                      static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
  }
  Call& Bytes(int place, const Uuid& uuid) {
    sqlite3_bind_blob(statement_, place, uuid.bytes.data(), 16, SQLITE_STATIC);
    return *this;
  }
  // Returns true if there is a row.
  bool Step() {
    const int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) {
      Fail(sqlite3_db_handle(statement_), sqlite3_sql(statement_));
    }
    return result == SQLITE_ROW;
  }
  std::int64_t Column(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string_view TextColumn(int column) const {
    const auto* const text = sqlite3_column_text(statement_, column);
    return {reinterpret_cast<const char*>(text),
            static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
  }

 private:
  sqlite3_stmt* statement_;
};

// Implements has_all(required, offered) of the statements.
void HasAll(sqlite3_context* context, int, sqlite3_value** values) {
  const auto text = [](sqlite3_value* value) -> std::string_view {
    const auto* const bytes = sqlite3_value_text(value);
    return {reinterpret_cast<const char*>(bytes),
            static_cast<std::size_t>(sqlite3_value_bytes(value))};
  };
  sqlite3_result_int(context, PlainExecution::HasAll(text(values[0]), text(values[1])) ? 1 : 0);
}

// Returns why the execution in the row that kState has selected can't be claimed; kNone if it can.
ClaimError WhyNotClaimed(const Call& row, const ClaimArgs& args) {
  if (row.Column(kPhase) != 0) return ClaimError::kExecutionNotLeaseable;
  if (row.Column(kOwnership) != 0) return ClaimError::kLeaseConflict;
  if (row.Column(kEligible) == 0) return ClaimError::kExecutionNotLeaseable;
  if (row.Column(kAttempt) == 1) return ClaimError::kActiveAttemptExists;
  if (row.Column(kAttempt) == 2) return ClaimError::kUseClaimResumedExecution;
  const bool granted =
      row.Column(kHasGrant) != 0 && row.TextColumn(kGrantWorker) == args.worker.worker_id.text;
  return granted ? ClaimError::kNone : ClaimError::kInvalidClaimGrant;
}

std::string_view Csv(const CapabilitySet* set) {
  return set != nullptr ? set->csv() : std::string_view();
}

}  // namespace

SqliteLedger::SqliteLedger(std::size_t, const Clock& clock) : clock_(clock) {
  sqlite3* database = nullptr;
  const int opened =
      sqlite3_open_v2(":memory:", &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(database);
  if (opened != SQLITE_OK) Fail(database, ":memory:");
  Execute("PRAGMA journal_mode = OFF");
  Execute("PRAGMA temp_store = MEMORY");
  if (sqlite3_create_function(database, "has_all", 2,
                              SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, nullptr,
                              HasAll, nullptr, nullptr) != SQLITE_OK) {
    Fail(database, "has_all");
  }
  Execute(kSchema);
  create_ = Prepare(kCreate);
  issue_ = Prepare(kIssue);
  claim_ = Prepare(kClaim);
  complete_ = Prepare(kComplete);
  expire_ = Prepare(kExpire);
  forget_ = Prepare(kForget);
  state_ = Prepare(kState);
  begin_ = Prepare("BEGIN");
  commit_ = Prepare("COMMIT");
}

void SqliteLedger::Execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    Fail(database_.get(), sql);
  }
}

SqliteLedger::Statement SqliteLedger::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    Fail(database_.get(), sql);
  }
  return Statement(statement);
}

void SqliteLedger::Begin() {
  sqlite3_step(begin_.get());
  sqlite3_reset(begin_.get());
}

void SqliteLedger::Commit() {
  sqlite3_step(commit_.get());
  if (sqlite3_reset(commit_.get()) != SQLITE_OK) Fail(database_.get(), "COMMIT");
}

CreateOutcome SqliteLedger::CreateExecution(const CreateExecutionArgs& args) {
  CreateOutcome outcome;
  if (!args.execution_id.is_canonical() || args.execution_id.partition().index >= kMapPartitions) {
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  const IdBlob id(args.execution_id);
  Call call(create_.get(), id);
  call.Number(2, clock_.Now().value)
      .Text(3, Csv(args.required))
      .Text(4, args.lane.text())
      .Number(5, args.priority)
      .Step();
  if (sqlite3_changes(database_.get()) == 0) outcome.status = CreateOutcome::Status::kDuplicate;
  return outcome;
}

IssueOutcome SqliteLedger::IssueClaimGrant(const IssueGrantArgs& args) {
  IssueOutcome outcome;
  if (args.grant_ttl_ms > kMaxTtlMs) {
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  const std::int64_t now = clock_.Now().value;
  const IdBlob id(args.execution_id);
  Call call(issue_.get(), id);
  call.Number(2, now)
      .Number(3, args.grant_ttl_ms > 0 ? 1 : 0)
      .Number(4, now + args.grant_ttl_ms)
      .Text(5, args.worker.worker_id.text)
      .Text(6, args.worker.worker_instance_id.text)
      .Text(7, args.lane.text())
      .Text(8, Csv(args.offered))
      .Step();
  if (sqlite3_changes(database_.get()) == 0) {
    outcome.error = WhyNotIssued(args, now);
  } else {
    outcome.expires_at.value = now + args.grant_ttl_ms;
  }
  return outcome;
}

ClaimOutcome SqliteLedger::Claim(const ClaimArgs& args) {
  ClaimOutcome outcome;
  if (args.lease_ttl_ms > kMaxTtlMs) {
    outcome.error = ClaimError::kInvalidInput;
    return outcome;
  }
  const std::int64_t now = clock_.Now().value;
  const IdBlob id(args.execution_id);
  std::int64_t epoch = 0;
  std::int64_t attempt_index = 0;
  {
    Call row(state_.get(), id);
    outcome.error =
        row.Number(2, now).Step() ? WhyNotClaimed(row, args) : ClaimError::kExecutionNotFound;
    if (!outcome) return outcome;
    epoch = row.Column(kLeaseEpoch) + 1;
    attempt_index = row.Column(kTotalAttemptCount);
  }
  Call call(claim_.get(), id);
  call.Number(2, now)
      .Bytes(3, args.lease_id.uuid)
      .Bytes(4, args.attempt_id.uuid)
      .Number(5, now + args.lease_ttl_ms)
      .Number(6, now + args.lease_ttl_ms * 2 / 3)
      .Text(7, args.worker.worker_id.text)
      .Text(8, args.worker.worker_instance_id.text)
      .Number(9, epoch)
      .Number(10, attempt_index)
      .Step();
  outcome.lease.fence = {args.lease_id, {static_cast<std::uint64_t>(epoch)}, args.attempt_id};
  outcome.lease.attempt_index.value = static_cast<std::uint32_t>(attempt_index);
  outcome.lease.expires_at.value = now + args.lease_ttl_ms;
  return outcome;
}

Outcome SqliteLedger::Complete(const ExecutionIdView& execution, const LeaseFence& fence) {
  const std::int64_t now = clock_.Now().value;
  const IdBlob id(execution);
  Call call(complete_.get(), id);
  call.Number(2, now)
      .Bytes(3, fence.lease_id.uuid)
      .Number(4, static_cast<std::int64_t>(fence.lease_epoch.value))
      .Bytes(5, fence.attempt_id.uuid)
      .Step();
  if (sqlite3_changes(database_.get()) != 0) return {};
  return {WhyNotCompleted(execution, now)};
}

Outcome SqliteLedger::Forget(const ExecutionIdView& execution) {
  const IdBlob id(execution);
  Call call(forget_.get(), id);
  call.Step();
  if (sqlite3_changes(database_.get()) != 0) return {};
  Call state(state_.get(), id);
  return {state.Number(2, 0).Step() ? ClaimError::kInvalidInput : ClaimError::kExecutionNotFound};
}

ClaimError SqliteLedger::WhyNotIssued(const IssueGrantArgs& args, std::int64_t now) {
  const IdBlob id(args.execution_id);
  Call row(state_.get(), id);
  if (!row.Number(2, now).Step()) return ClaimError::kExecutionNotFound;
  if (row.Column(kPhase) != 0 || row.Column(kEligible) == 0) {
    return ClaimError::kExecutionNotEligible;
  }
  if (row.Column(kHasGrant) != 0) return ClaimError::kGrantAlreadyExists;
  if (row.Column(kInEligible) == 0 || row.TextColumn(kLane) != args.lane.text()) {
    return ClaimError::kExecutionNotInEligibleSet;
  }
  return ClaimError::kCapabilityMismatch;
}

ClaimError SqliteLedger::WhyNotCompleted(const ExecutionIdView& execution, std::int64_t now) {
  const IdBlob id(execution);
  {
    Call row(state_.get(), id);
    if (!row.Number(2, now).Step()) return ClaimError::kExecutionNotFound;
    if (row.Column(kPhase) != 1) return ClaimError::kExecutionNotActive;
    if (row.Column(kOwnership) != 2 && row.Column(kExpiresAt) > now) {
      return ClaimError::kStaleLease;
    }
  }
  Call(expire_.get(), id).Step();
  return ClaimError::kLeaseExpired;
}

}  // namespace ffgrant::bench::peers
