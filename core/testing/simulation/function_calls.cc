// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/function_calls.h"

#include <cstdlib>
#include <map>
#include <utility>

namespace ffgrant::valkey::testing {

std::vector<std::string> FunctionCall::Command() const {
  std::vector<std::string> words = {"FCALL", function, std::to_string(keys.size())};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  return words;
}

FunctionCalls::FunctionCalls(std::uint64_t seed, std::string prefix)
    : random_(seed), prefix_(std::move(prefix)) {
  executions_.resize(3);
  for (Execution& execution : executions_) {
    execution.tag = "{fp:" + std::to_string(seed % 256) + "}";
    Replace(execution);
  }
  e_ = &executions_.front();
}

// Puts another execution, which has not been created yet, in the place of `execution`.
void FunctionCalls::Replace(Execution& execution) {
  const std::string digits = std::to_string(100'000'000'000 + ++names_);
  Execution made;
  made.tag = execution.tag;
  made.id = made.tag + ":11111111-1111-4111-8111-" + digits;
  made.lane = OneIn(3) ? "a:b {x}" : "main";
  execution = made;
}

const std::vector<std::string_view>& FunctionCalls::Names() {
  static const std::vector<std::string_view> kNames = {"create_execution",
                                                       "issue_claim_grant",
                                                       "issue_reclaim_grant",
                                                       "claim_execution",
                                                       "claim_resumed_execution",
                                                       "issue_grant_and_claim",
                                                       "complete_execution",
                                                       "fail_execution",
                                                       "renew_lease",
                                                       "mark_lease_expired_if_due",
                                                       "revoke_lease",
                                                       "reclaim_execution",
                                                       "suspend_execution",
                                                       "resume_execution",
                                                       "promote_delayed",
                                                       "rotate_waitpoint_hmac_secret",
                                                       "version"};
  return kNames;
}

FunctionCall FunctionCalls::Make(std::string_view name, std::int64_t now_ms) {
  if (name == "create_execution") return Create(now_ms);
  if (name == "issue_claim_grant") return Issue(false);
  if (name == "issue_reclaim_grant") return Issue(true);
  if (name == "claim_execution") return Claim();
  if (name == "claim_resumed_execution") return ClaimResumed();
  if (name == "issue_grant_and_claim") return IssueAndClaim();
  if (name == "complete_execution") return Complete();
  if (name == "fail_execution") return Fail();
  if (name == "renew_lease") return RenewLease();
  if (name == "mark_lease_expired_if_due") return MarkExpired();
  if (name == "revoke_lease") return Revoke();
  if (name == "reclaim_execution") return Reclaim();
  if (name == "suspend_execution") return Suspend(now_ms);
  if (name == "resume_execution") return Resume();
  if (name == "promote_delayed") return Promote(now_ms);
  if (name == "rotate_waitpoint_hmac_secret") return Rotate();
  return Version();
}

// Mostly chooses a call that can follow the last call that succeeded; otherwise chooses any call.
std::string_view FunctionCalls::Choose() {
  static const std::map<std::string_view, std::vector<std::string_view>> kAfter = {
      {"", {"create_execution", "create_execution", "rotate_waitpoint_hmac_secret"}},
      {"create_execution",
       {"issue_claim_grant", "issue_claim_grant", "issue_grant_and_claim", "promote_delayed"}},
      {"issue_claim_grant", {"claim_execution", "claim_execution", "claim_resumed_execution"}},
      {"claim",
       {"renew_lease", "renew_lease", "suspend_execution", "suspend_execution", "revoke_lease",
        "mark_lease_expired_if_due", "complete_execution", "fail_execution"}},
      {"fail_execution", {"promote_delayed", "promote_delayed", "issue_claim_grant"}},
      {"mark_lease_expired_if_due", {"issue_reclaim_grant"}},
      {"revoke_lease", {"issue_reclaim_grant"}},
      {"issue_reclaim_grant", {"reclaim_execution"}},
      {"suspend_execution", {"resume_execution"}},
      {"resume_execution", {"issue_claim_grant", "promote_delayed", "issue_grant_and_claim"}},
  };
  const auto found = kAfter.find(e_->last);
  if (found == kAfter.end() || OneIn(4)) return Names()[Below(Names().size())];
  return found->second[Below(found->second.size())];
}

// ---- what no client would do ---------------------------------------------------

void FunctionCalls::Break(FunctionCall& call) {
  if (call.args.empty()) return;
  const std::size_t i = Below(call.args.size());
  switch (Below(6)) {
    case 0:
      call.args.resize(i);
      break;
    case 1:
      call.keys.resize(Below(call.keys.size() + 1));
      break;
    case 2:
      std::swap(call.keys[Below(call.keys.size())], call.keys[Below(call.keys.size())]);
      break;
    case 3:
      call.args[i] = std::string("\0\xff\r\n{", 5);
      break;
    case 4:
      call.args.push_back("one more");
      break;
    default:
      call.args[i] = Pick({"", "0", "-1", "1e3", "0x10", "nan", "inf", "1.5", "9007199254740993",
                           "99999999999999999999", " 1", "{", "[]", "null", "\xc3\xa9"});
      break;
  }
}

// Returns a command that changes the stored state as only an operator could.
std::vector<std::string> FunctionCalls::Disturb(std::int64_t now_ms) {
  static constexpr const char* kFields[] = {"lifecycle_phase",
                                            "ownership_state",
                                            "eligibility_state",
                                            "attempt_state",
                                            "terminal_outcome",
                                            "current_lease_epoch",
                                            "total_attempt_count",
                                            "started_at",
                                            "current_attempt_index",
                                            "current_attempt_id",
                                            "current_lease_id",
                                            "lease_expires_at",
                                            "lease_reclaim_count",
                                            "retry_count",
                                            "flow_id",
                                            "required_capabilities",
                                            "lane_id",
                                            "priority",
                                            "created_at",
                                            "delay_until",
                                            "lease_revoked_at",
                                            "pending_retry_reason",
                                            "pending_previous_attempt_index"};
  const std::string field = kFields[Below(std::size(kFields))];
  const std::string odd = Pick({"runnable",
                                "active",
                                "suspended",
                                "terminal",
                                "leased",
                                "unowned",
                                "lease_revoked",
                                "eligible_now",
                                "pending_retry_attempt",
                                "pending_replay_attempt",
                                "running_attempt",
                                "attempt_interrupted",
                                "none",
                                "",
                                "abc",
                                "-5",
                                "0.5",
                                "1e15",
                                "99",
                                "100",
                                "9007199254740993",
                                "99999999999999999999",
                                "gpu,us-east-1",
                                "nan"});
  const std::string key = last_keys_.empty() ? X("core") : last_keys_[Below(last_keys_.size())];
  switch (Below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return {"HSET", X("core"), field, odd};
    case 4:
      return {"HDEL", X("core"), field};
    case 5:
      return {"DEL", key};
    case 6:
      return OneIn(2) ? std::vector<std::string>{"SET", key, "text"}
                      : std::vector<std::string>{"HSET", key, "field", "value"};
    case 7:
      return {"PEXPIREAT", key, std::to_string(now_ms + static_cast<std::int64_t>(Below(5)))};
    case 8:
      return {"SET", X("policy"), Policy()};
    case 9:
      return {"HSET",
              "ff:stream:" + e_->tag + ":" + e_->id + ":" + std::to_string(e_->attempt) + ":meta",
              Pick({"closed_at", "opened_at"}), Pick({"", "5"})};
    case 10:
      return {"HSET", "ff:sec:" + e_->tag + ":waitpoint_hmac", Pick({"secret:k1", "expires_at:k1"}),
              Pick({"zz", "0", std::string(130, 'a').c_str(), "1"})};
    default:
      return {"HSET", X("suspension:current"), "additional_waitpoints_json",
              Pick({"[]", "[{\"waitpoint_id\":\"wp-1\"}]", "{", "[7]", "[{\"waitpoint_id\":7}]"})};
  }
}

std::vector<std::string> FunctionCalls::Next(std::int64_t now_ms) {
  e_ = &executions_[Below(executions_.size())];
  if (e_->last == "complete_execution" && OneIn(2)) Replace(*e_);
  last_function_.clear();
  if (OneIn(12)) return Disturb(now_ms);
  odd_ = OneIn(3);
  ChooseWorker();
  FunctionCall call = Make(Choose(), now_ms);
  last_function_ = call.function;
  last_keys_ = call.keys;
  call.function = prefix_ + call.function;
  if (Odd(4)) Break(call);
  return call.Command();
}

void FunctionCalls::Learn(const std::vector<std::string>& reply) {
  if (last_function_.empty() || reply.size() < 2 || reply[0] != "1") {
    // Sometimes leaves this execution as it is and goes on with a new one.
    if (OneIn(30)) Replace(*e_);
    return;
  }
  const bool fused = last_function_ == "issue_grant_and_claim";
  const bool claim = fused || last_function_ == "claim_execution" ||
                     last_function_ == "reclaim_execution" ||
                     last_function_ == "claim_resumed_execution";
  if (reply[1] == "OK" && last_function_ != "renew_lease" && last_function_ != "promote_delayed" &&
      last_function_ != "rotate_waitpoint_hmac_secret") {
    e_->last = claim ? "claim" : last_function_;
  }
  if (!claim || reply.size() < 5) return;
  e_->lease = reply[2];
  e_->epoch = reply[3];
  e_->attempt_id = fused ? new_attempt_ : reply[5];
  const std::string& index = reply[fused ? 4 : 6];
  e_->attempt = index.size() < 6 ? static_cast<std::size_t>(std::atoi(index.c_str())) : 0;
}

}  // namespace ffgrant::valkey::testing
