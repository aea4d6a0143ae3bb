// SPDX-License-Identifier: Apache-2.0
//
// Writes the KEYS and ARGV of each call, both usual and odd ones.

#include <string>
#include <utility>
#include <vector>

#include "testing/simulation/function_calls.h"

namespace ffgrant::valkey::testing {

// ---- names ---------------------------------------------------------------------

std::string FunctionCalls::X(std::string_view rest) const {
  return "ff:exec:" + e_->tag + ":" + e_->id + ":" + std::string(rest);
}
std::string FunctionCalls::I(std::string_view rest) const {
  return "ff:idx:" + e_->tag + ":" + std::string(rest);
}
std::string FunctionCalls::L(std::string_view rest) const {
  return I("lane:" + e_->lane + ":" + std::string(rest));
}
std::string FunctionCalls::Attempt(std::size_t index) const {
  return "ff:attempt:" + e_->tag + ":" + e_->id + ":" + std::to_string(index);
}
std::string FunctionCalls::Leases(const std::string& instance) const {
  return I("worker:" + instance + ":leases");
}
std::string FunctionCalls::Waitpoint(std::string_view rest) const {
  return "ff:wp:" + e_->tag + ":" + e_->waitpoint + std::string(rest);
}

// ---- arguments -----------------------------------------------------------------

std::string FunctionCalls::Ttl() {
  return OneIn(6) ? Pick({"20", "2"})
         : Odd(3) ? Pick({"20", "2", "0", "-5", "abc", "", "1e3", "0x20", "50000000000000",
                          "50000000000001", "-50000000000001", "1.5", "nan", "inf", " 7 "})
                  : "30000";
}

std::string FunctionCalls::Policy() {
  if (!odd_) {
    return Pick({"", "{}", "{\"max_reclaim_count\":3,\"n\":1,\"deep\":{\"a\":[1,2]}}",
                 "{\"routing_requirements\":{\"required_capabilities\":[\"gpu\",\"us-east-1\"]}}"});
  }
  return Pick({"", "{}", "{\"max_reclaim_count\":1}", "{\"max_reclaim_count\":\"two\"}",
               "{\"max_reclaim_count\":1.5}", "{", "[]", "null", "5", "\"text\"",
               "{\"routing_requirements\":5}",
               "{\"routing_requirements\":{\"required_capabilities\":[\"gpu\",\"us-east-1\"]}}",
               "{\"routing_requirements\":{\"required_capabilities\":[\"a,b\"]}}",
               "{\"routing_requirements\":{\"required_capabilities\":[7]}}",
               "{\"routing_requirements\":{\"required_capabilities\":[\"x x\"]}}",
               "{\"routing_requirements\":{\"required_capabilities\":[\"\"]}}",
               "{\"routing_requirements\":{\"required_capabilities\":{\"a\":1}}}",
               "{\"n\":1,\"x\":0.1,\"deep\":{\"a\":[1,2,{\"b\":null}]},\"t\":true}",
               "{\"big\":123456789012345678,\"e\":1e300,\"s\":\"\\u00e9\\n\\\"\"}"});
}

std::string FunctionCalls::Capabilities() {
  if (Odd(6)) return std::string(4097, 'x');
  std::string many;
  for (int i = Odd(6) ? 300 : 0; i > 0; --i) many += "y,";
  if (!many.empty()) return many;
  return PickOdd("us-east-1,gpu", {"", "gpu", ",,gpu,,us-east-1", "us.east-1,gpu"});
}

void FunctionCalls::ChooseWorker() {
  if (OneIn(8)) {
    e_->worker = Pick({"w1", "w2"});
    e_->instance = e_->worker + Pick({"-i1", "-i2"});
  }
  new_lease_ = NewName("lease-");
  new_attempt_ = NewName("attempt-");
}

std::vector<std::string> FunctionCalls::WorkerArgs() const {
  return {e_->id, e_->worker, e_->instance, e_->lane};
}

// Adds a lease id, an epoch and an attempt id, which are mostly those of the last claim.
void FunctionCalls::AddFence(std::vector<std::string>& args) {
  args.push_back(Odd(4) ? Pick({"", "other"}) : e_->lease);
  args.push_back(Odd(4) ? Pick({"", "99", "1"}) : e_->epoch);
  args.push_back(Odd(4) ? Pick({"", "other"}) : e_->attempt_id);
}

// ---- calls ---------------------------------------------------------------------

FunctionCall FunctionCalls::Create(std::int64_t now_ms) {
  const std::string delay = Odd(3)     ? Pick({"5", "1999999999999", "abc", "1e15"})
                            : OneIn(4) ? std::to_string(now_ms + 3)
                                       : "";
  const bool remembered = OneIn(3);
  return {
      "create_execution",
      {X("core"), X("payload"), X("policy"), X("tags"), L(delay.empty() ? "eligible" : "delayed"),
       remembered ? "ff:idem:" + e_->tag + ":default:k" + std::to_string(Below(2))
                  : "ff:noop:" + e_->tag,
       I("execution_deadline"), I("all_executions")},
      {e_->id, "default", e_->lane, "task",
       PickOdd("0", {"5", "9999", "-3", "0.1", "1e-7", "8999.7", "nan", "abc", "inf", "0x1f"}),
       "me", Policy(), Pick({"payload", "", "\r\n"}), delay,
       PickOdd("20", {"", "60000", "0", "-1", "1.5", "abc", "1e4"}),
       PickOdd("{\"team\":\"x\",\"n\":3}",
               {"{}", "", "{\"team\":\"x\",\"n\":3,\"f\":0.1}", "{", "[1,2]", "7",
                "{\"o\":{\"p\":1}}", "{\"u\":null,\"b\":false}"}),
       PickOdd("", {"1999999999999", "soon", "1.5"}), "7"}};
}

FunctionCall FunctionCalls::Issue(bool reclaim) {
  std::vector<std::string> args = WorkerArgs();
  for (std::string& arg : std::vector<std::string>{Pick({"", "hash"}), Ttl(), Pick({"", "{}"}),
                                                   Pick({"", "admitted"}), Capabilities()}) {
    args.push_back(std::move(arg));
  }
  return {reclaim ? "issue_reclaim_grant" : "issue_claim_grant",
          {X("core"), X("claim_grant"), reclaim ? I("lease_expiry") : L("eligible")},
          args};
}

FunctionCall FunctionCalls::Claim() {
  const std::string attempt = Attempt(e_->attempt);
  FunctionCall call = {
      "claim_execution",
      {X("core"), X("claim_grant"), L("eligible"), I("lease_expiry"), Leases(e_->instance), attempt,
       attempt + ":usage", attempt + ":policy", X("attempts"), X("lease:current"),
       X("lease:history"), L("active"), I("attempt_timeout"), I("execution_deadline")},
      WorkerArgs()};
  for (const std::string& arg :
       {std::string(), new_lease_, Ttl(), Ttl(), new_attempt_, OneIn(3) ? Policy() : "",
        PickOdd("9000", {"", "0", "soon"}), PickOdd("", {"0", "1999999999999", "1.5"})}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::ClaimResumed() {
  FunctionCall call = {
      "claim_resumed_execution",
      {X("core"), X("claim_grant"), L("eligible"), I("lease_expiry"), Leases(e_->instance),
       Attempt(e_->attempt), X("lease:current"), X("lease:history"), L("active"),
       I("attempt_timeout"), I("execution_deadline")},
      WorkerArgs()};
  for (const std::string& arg :
       {std::string(), new_lease_, Ttl(), PickOdd("9000", {"", "-1", "abc"})}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::IssueAndClaim() {
  FunctionCall call = {"issue_grant_and_claim",
                       {X("core"), X("claim_grant"), L("eligible"), I("lease_expiry"),
                        Leases(e_->instance), X("attempts"), X("lease:current"), X("lease:history"),
                        L("active"), I("attempt_timeout"), I("execution_deadline")},
                       WorkerArgs()};
  for (const std::string& arg :
       {std::string(), new_lease_, Ttl(), new_attempt_, OneIn(3) ? Policy() : "",
        Pick({"", "9000"}), Pick({"", "1999999999999"})}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::Complete() {
  FunctionCall call = {
      "complete_execution",
      {X("core"), Attempt(e_->attempt), I("lease_expiry"), Leases(e_->instance), L("terminal"),
       X("lease:current"), X("lease:history"), L("active"),
       "ff:stream:" + e_->tag + ":" + e_->id + ":" + std::to_string(e_->attempt) + ":meta",
       X("result"), I("attempt_timeout"), I("execution_deadline")},
      {e_->id}};
  AddFence(call.args);
  call.args.push_back(Pick({"", "done"}));
  call.args.push_back(Odd(3) ? "operator_override" : "");
  return call;
}

FunctionCall FunctionCalls::Fail() {
  FunctionCall call = {
      "fail_execution",
      {X("core"), Attempt(e_->attempt), I("lease_expiry"), Leases(e_->instance), L("terminal"),
       L("delayed"), X("lease:current"), X("lease:history"), L("active"),
       "ff:stream:" + e_->tag + ":" + e_->id + ":" + std::to_string(e_->attempt) + ":meta",
       I("attempt_timeout"), I("execution_deadline")},
      {e_->id}};
  AddFence(call.args);
  call.args.push_back(Pick({"", "boom", "a\r\nb"}));
  call.args.push_back(Pick({"", "transient"}));
  call.args.push_back(PickOdd(
      "{\"max_retries\":2,\"backoff\":{\"type\":\"fixed\",\"delay_ms\":3}}",
      {"", "{}", "null", "[]", "{", "{\"max_retries\":\"2\"}", "{\"max_retries\":null}",
       "{\"max_retries\":1.5,\"backoff\":\"x\"}", "{\"max_retries\":2,\"backoff\":null}",
       "{\"max_retries\":9,\"backoff\":{\"type\":\"exponential\",\"multiplier\":1.5}}",
       "{\"max_retries\":9,\"backoff\":{\"type\":\"fixed\",\"delay_ms\":0.5}}",
       "{\"max_retries\":9,\"backoff\":{\"type\":\"fixed\",\"delay_ms\":1e15}}",
       "{\"max_retries\":9,\"backoff\":{\"type\":\"exponential\",\"initial_delay_ms\":-1e300,"
       "\"multiplier\":-1e300}}"}));
  call.args.push_back(Odd(3) ? "operator_override" : "");
  return call;
}

FunctionCall FunctionCalls::RenewLease() {
  FunctionCall call = {"renew_lease",
                       {X("core"), X("lease:current"), X("lease:history"), I("lease_expiry")},
                       {e_->id, Odd(4) ? "7" : std::to_string(e_->attempt)}};
  std::vector<std::string> fence;
  AddFence(fence);
  for (const std::string& arg : {fence[2], fence[0], fence[1], Ttl(), Ttl()}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::MarkExpired() {
  return {"mark_lease_expired_if_due",
          {X("core"), X("lease:current"), I("lease_expiry"), X("lease:history")},
          {e_->id}};
}

FunctionCall FunctionCalls::Revoke() {
  return {
      "revoke_lease",
      {X("core"), X("lease:current"), X("lease:history"), I("lease_expiry"), Leases(e_->instance)},
      {e_->id, OneIn(2) ? e_->lease : PickOdd("", {"other"}), PickOdd("operator", {""})}};
}

FunctionCall FunctionCalls::Reclaim() {
  const std::string attempt = Attempt(e_->attempt + 1);
  FunctionCall call = {
      "reclaim_execution",
      {X("core"), X("claim_grant"), Attempt(e_->attempt),
       "ff:stream:" + e_->tag + ":" + e_->id + ":" + std::to_string(e_->attempt) + ":meta", attempt,
       attempt + ":usage", X("attempts"), X("lease:current"), X("lease:history"), I("lease_expiry"),
       Leases(e_->instance), L("active"), I("attempt_timeout"), I("execution_deadline")},
      WorkerArgs()};
  for (const std::string& arg :
       {new_lease_, Ttl(), new_attempt_, std::string(), PickOdd("1000", {"1", "0.5", "x"})}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::Suspend(std::int64_t now_ms) {
  e_->waitpoint = NewName("wp-");
  FunctionCall call = {
      "suspend_execution",
      {X("core"), Attempt(e_->attempt), X("lease:current"), X("lease:history"), I("lease_expiry"),
       Leases(e_->instance), X("suspension:current"), Waitpoint(""), Waitpoint(":signals"),
       I("suspension_timeout"), I("pending_waitpoint_expiry"), L("active"), L("suspended"),
       X("waitpoints"), Waitpoint(":condition"), I("attempt_timeout"),
       "ff:sec:" + e_->tag + ":waitpoint_hmac", "ff:noop:" + e_->tag},
      {e_->id, Odd(4) ? "7" : std::to_string(e_->attempt)}};
  std::vector<std::string> fence;
  AddFence(fence);
  for (const std::string& arg :
       {fence[2], fence[0], fence[1], NewName("susp-"), e_->waitpoint, std::string("key-1"),
        Pick({"waiting_for_approval", "manual_pause", "unheard of"}), std::string("worker"),
        OneIn(3) ? std::to_string(now_ms + 5000) : PickOdd("", {"soon"}),
        PickOdd("{\"required_signal_names\":[\"a\",\"b\"],\"signal_match_mode\":\"all\"}",
                {"{}", "{\"required_signal_names\":[1,true]}", "{\"required_signal_names\":5}", "{",
                 "7", "{\"composite\":{}}", "{\"minimum_signal_count\":2.5}",
                 "{\"minimum_signal_count\":\"x\"}", "{\"condition_type\":false}"}),
        std::string("{}"), std::string(), Odd(5) ? std::string("1") : std::string(),
        std::string("fail"), PickOdd("1000", {"0", "1", "-1", "1e3", "x"}),
        Odd(5) ? std::string("idem") : std::string(), std::string("0"),
        Odd(5) ? std::string("2") : std::string("0")}) {
    call.args.push_back(arg);
  }
  return call;
}

FunctionCall FunctionCalls::Resume() {
  return {"resume_execution",
          {X("core"), X("suspension:current"), Waitpoint(""), Waitpoint(":signals"),
           I("suspension_timeout"), L("eligible"), L("delayed"), L("suspended")},
          {e_->id, "operator", PickOdd("0", {"3", "30000", "-1", "abc", "1.5"})}};
}

FunctionCall FunctionCalls::Promote(std::int64_t now_ms) {
  return {
      "promote_delayed",
      {X("core"), L("delayed"), L("eligible")},
      {e_->id, Odd(3) ? Pick({"1000", "1999999999999", "abc", "1.5"}) : std::to_string(now_ms)}};
}

FunctionCall FunctionCalls::Rotate() {
  return {"rotate_waitpoint_hmac_secret",
          {"ff:sec:" + e_->tag + ":waitpoint_hmac"},
          {PickOdd("k1", {"k2", "k3", "", "a:b"}), PickOdd("00ff", {"0", "zz", ""}),
           PickOdd("1000", {"0", "2", "-1", "1.5", "abc"})}};
}

FunctionCall FunctionCalls::Version() { return {"version", {}, {}}; }

}  // namespace ffgrant::valkey::testing
