// SPDX-License-Identifier: Apache-2.0
//
// Tries every limit and every kind of text of the contract's table on every engine.

#include "testing/contract/contract_table.h"

#include <string>
#include <string_view>

#include "testing/scenarios/run.h"
#include "testing/scenarios/scenario.h"

namespace ffgrant::claims_conformance {
namespace {

ExpectedAnswer RefusedTtl(const char* name) {
  return {ClaimError::kInvalidInput, {std::string(name) + " is out of range"}};
}

// ---- durations -------------------------------------------------------------------

void EveryDurationOfAGrant(Run& run) {
  for (const auto& [ttl, taken] : testing::kDurationRows) {
    const ExpectedAnswer answer = taken ? ExpectedAnswer() : RefusedTtl("grant_ttl_ms");
    run.Issue(run.Create(), {.ttl_ms = ttl}, answer);
    run.IssueReclaim(run.RevokedOne(), {.worker = kWorker2, .ttl_ms = ttl}, answer);
  }
}

void EveryDurationOfALease(Run& run) {
  for (const auto& [ttl, taken] : testing::kDurationRows) {
    const ExpectedAnswer answer = taken ? ExpectedAnswer() : RefusedTtl("lease_ttl_ms");
    Execution& claimed = run.Create();
    run.Issue(claimed);
    run.Claim(claimed, {.ttl_ms = ttl}, answer);
    // A server's lease hash outlives the lease by a grace (7.4). If a renewal's ttl is so negative
    // that this grace is over too, the hash is gone at once; the embedded ledger, which has no such
    // hash, still shows the lease.
    if (!taken || ttl >= -1) run.Renew(run.Leased(), {.ttl_ms = ttl}, answer);
    Execution& resumed = run.Interrupted();
    run.Issue(resumed);
    run.ClaimResumed(resumed, {.ttl_ms = ttl}, answer);
    Execution& reclaimed = run.RevokedOne();
    run.IssueReclaim(reclaimed);
    run.Reclaim(reclaimed, {.worker = kWorker2, .ttl_ms = ttl}, answer);
  }
}

void EveryDurationOfADelay(Run& run) {
  for (const auto& [delay, taken] : testing::kDurationRows) {
    Execution& e = run.Leased();
    run.Suspend(e);
    run.Resume(e, delay, taken ? ExpectedAnswer() : RefusedTtl("delay_ms"));
  }
}

void EveryDurationOfAScan(Run& run) {
  const Worker worker = run.Named(kWorker1);
  const std::string lane = run.Name("nobody's");
  for (const auto& [ttl, taken] : testing::kDurationRows) {
    ClaimForWorkerArgs args;
    args.worker = {{worker.id}, {worker.instance}};
    args.lane = LaneIdView::Unchecked(lane);
    args.grant_ttl_ms = ttl;
    run.CheckEqual("scan with a ttl of " + std::to_string(ttl),
                   taken ? "no_eligible_execution" : "invalid_input",
                   std::string(ErrorName(run.ledger().ClaimForWorker(args).error)));
  }
}

// ---- counts ----------------------------------------------------------------------

void EveryPriority(Run& run) {
  for (const auto& [given, kept] : testing::kPriorityRows) {
    Execution& e = run.Create({.priority = given});
    const auto state = run.ledger().Inspect(e.id());
    run.CheckEqual("priority " + std::to_string(given), std::to_string(kept),
                   state ? std::to_string(state->priority) : "none");
  }
}

void EveryReclaimCap(Run& run) {
  for (const std::uint32_t cap : testing::kReclaimCaps) {
    const ExpectedAnswer exhausted = {ClaimError::kMaxRetriesExhausted, {std::to_string(cap)}};
    // First the execution's own cap is tried, then a call's cap.
    for (const bool own : {true, false}) {
      Execution& e = run.RevokedOne(own ? std::optional(cap) : std::nullopt);
      const ClaimOptions options = {.worker = kWorker2,
                                    .cap = own ? std::nullopt : std::optional(cap)};
      for (std::uint32_t reclaims = 0; reclaims < 3; ++reclaims) {
        run.IssueReclaim(e);
        if (reclaims >= cap) {
          run.Reclaim(e, options, exhausted);
          break;
        }
        run.Reclaim(e, options);
        run.Revoke(e);
      }
    }
  }
}

void EveryIndexAndUuid(Run& run) {
  const std::uint32_t count = run.engine().partition_count();
  for (const std::uint32_t index : {0u, 1u, count - 1, count, count + 1, 65'535u}) {
    Execution& e = run.New();
    const std::string tag = "{fp:" + std::to_string(index) + "}:";
    const std::string id = tag + e.expected.id.substr(e.expected.id.find("}:") + 2);
    CreateExecutionArgs args;
    args.execution_id = ParseExecutionId(id, ParseMode::kLenient).id;
    args.lane = LaneIdView::Unchecked(e.lane());
    const bool taken = index < count;
    if (taken) {
      run.Create({.id = id});
      continue;
    }
    ErrorDetails details;
    run.CheckEqual("creation in partition " + std::to_string(index), "invalid_input",
                   std::string(ErrorName(run.ledger().CreateExecution(args, &details).error)));
    run.CheckEqual("detail", "partition index is out of range",
                   details.size() == 1 ? std::string(details[0]) : "");
  }
}

void EveryRenewalOfAnAttempt(Run& run) {
  for (const std::uint32_t index : {1u, 2u, 255u, 256u, 65'536u, UINT32_MAX}) {
    Execution& e = run.Leased();
    run.Renew(e, {.attempt_index = AttemptIndex{index}}, ClaimError::kStaleLease);
    run.Renew(e);
  }
}

// ---- texts -----------------------------------------------------------------------

// Returns a lane of `size` bytes. It begins with as much as fits of a name that only this run uses.
std::string LaneOf(Run& run, std::size_t size) {
  const std::string own = run.Name("l-");
  std::string lane(size, 'l');
  return lane.replace(0, std::min(size, own.size()), own, 0, std::min(size, own.size()));
}

void LeaseOnLane(Run& run, const std::string& lane) {
  Execution& e = run.Create({.lane = lane});
  run.Issue(e);
  run.Claim(e);
  run.Complete(e);
}

void RefuseLane(Run& run, const std::string& lane, const std::string& detail) {
  Execution& e = run.New();
  CreateExecutionArgs args;
  args.execution_id = e.id();
  args.lane = LaneIdView::Unchecked(lane);
  ErrorDetails details;
  run.CheckEqual("creation: " + detail, "invalid_input",
                 std::string(ErrorName(run.ledger().CreateExecution(args, &details).error)));
  run.CheckEqual("detail", detail, details.size() == 1 ? std::string(details[0]) : "");
  run.CheckStored(e);
}

void EveryLane(Run& run) {
  for (const auto& [size, taken] : testing::kLaneSizeRows) {
    if (taken) {
      LeaseOnLane(run, LaneOf(run, size));
    } else {
      RefuseLane(run, std::string(size, 'l'),
                 size == 0 ? "lane_id is empty"
                           : "lane_id exceeds 64 bytes (got " + std::to_string(size) + ")");
    }
  }
  for (const auto& [byte, taken] : testing::kLaneByteRows) {
    for (const std::size_t at : {0, 1, 31, 32, 62, 63}) {
      std::string lane = LaneOf(run, 64);
      lane[at] = static_cast<char>(byte);
      if (taken) {
        LeaseOnLane(run, lane);
      } else {
        RefuseLane(run, lane,
                   "lane_id contains non-ASCII-printable byte at index " + std::to_string(at));
      }
    }
  }
}

void EveryOpaqueText(Run& run) {
  for (const std::string& text : testing::OpaqueTexts()) {
    const Worker worker = {text, text + "-i"};
    Execution& e = run.Create();
    run.Issue(e, {.worker = worker,
                  .capability_hash = text,
                  .route_snapshot_json = text + "1",
                  .admission_summary = text + "2"});
    run.Claim(e, {.worker = {text + "x", text + "-i"}}, ClaimError::kInvalidClaimGrant);
    run.Claim(e, {.worker = {text.substr(1), text + "-i"}}, ClaimError::kInvalidClaimGrant);
    run.Claim(e, {.worker = worker});
    run.Renew(e);
    run.Revoke(e);
    run.IssueReclaim(e, {.worker = worker, .admission_summary = text});
    run.Reclaim(e, {.worker = worker});
    run.Complete(e);
  }
}

void EveryToken(Run& run) {
  for (const std::string_view view : testing::kTokens) {
    const std::string token(view);
    const ExpectedAnswer missing = {ClaimError::kCapabilityMismatch, {token}};
    Execution& e = run.Create({.required = token});
    run.Issue(e, {}, missing);
    run.Issue(e, {.offered = token + "x"}, missing);
    run.Issue(e, {.offered = token + "-"}, missing);
    run.Issue(e, {.offered = "x" + token}, missing);
    run.Issue(e, {.offered = token.substr(1)}, missing);
    run.Issue(e, {.offered = token.substr(0, token.size() - 1)}, missing);
    for (std::size_t i = 0; i < token.size(); ++i) {
      // Each byte of a token counts.
      std::string other = token;
      other[i] = static_cast<char>(other[i] ^ 1);
      if (other[i] == ',' || other[i] == ' ') other[i] = 'Z';
      run.Issue(e, {.offered = other}, missing);
    }
    run.Issue(e, {.offered = "!!," + token + ",\xFF\xFF"});
    run.Claim(e);
    run.Revoke(e);
    run.IssueReclaim(e, {.worker = kWorker2, .offered = token + "x"}, missing);
    run.IssueReclaim(e, {.worker = kWorker2, .offered = token});
  }
}

void EverySizeOfCapabilities(Run& run) {
  struct {
    std::string text;
    bool taken;
    const char* detail;
  } rows[6];
  std::size_t n = 0;
  for (const auto& [bytes, taken] : testing::kCapabilityBytesRows) {
    rows[n++] = {testing::CapabilitiesOfBytes(bytes), taken, "too_many_bytes"};
  }
  for (const auto& [count, taken] : testing::kCapabilityCountRows) {
    rows[n++] = {testing::CapabilitiesOfCount(count), taken, "too_many_tokens"};
  }
  for (const auto& row : rows) {
    CapabilitySet offered;
    run.Check(row.detail,
              (offered.AssignOfferedCsv(row.text) == CapabilityError::kNone) == row.taken);
    if (!row.taken) continue;
    Execution& e = run.Create({.required = row.text});
    const std::size_t last = row.text.rfind(',');
    run.Issue(e, {.offered = row.text.substr(0, last)},
              {ClaimError::kCapabilityMismatch, {row.text.substr(last + 1)}});
    run.Issue(e, {.offered = row.text.substr(row.text.find(',') + 1)},
              {ClaimError::kCapabilityMismatch, {row.text.substr(0, row.text.find(','))}});
    run.Issue(e, {.offered = row.text});
  }
}

}  // namespace

void AddContractTableScenarios(std::vector<Scenario>& to) {
  to.push_back({"9.5", "every_duration_of_a_grant", EveryDurationOfAGrant});
  to.push_back({"9.5", "every_duration_of_a_lease", EveryDurationOfALease});
  to.push_back({"9.5", "every_duration_of_a_delay", EveryDurationOfADelay});
  to.push_back({"9.5", "every_duration_of_a_scan", EveryDurationOfAScan});
  to.push_back({"3", "every_priority", EveryPriority});
  to.push_back({"7.6", "every_reclaim_cap", EveryReclaimCap});
  to.push_back({"1.4", "every_partition_at_the_edge", EveryIndexAndUuid});
  to.push_back({"7.4", "every_attempt_but_the_own", EveryRenewalOfAnAttempt});
  to.push_back({"1.7", "every_lane", EveryLane});
  to.push_back({"1.7", "every_opaque_text", EveryOpaqueText});
  to.push_back({"6", "every_capability_token", EveryToken});
  to.push_back({"6", "every_size_of_capabilities", EverySizeOfCapabilities});
}

}  // namespace ffgrant::claims_conformance
