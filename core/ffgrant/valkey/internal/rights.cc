// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/rights.h"

#include <algorithm>

#include "ffgrant/execution_id.h"
#include "ffgrant/valkey/internal/claim_keys.h"

namespace ffgrant::valkey::internal {
namespace {

// scripts/jobs/server/rights_test.py compares this table with the texts of the functions.
constexpr NeededRights kAll[] = {
    {"CreateExecution", "ff_create_execution", "HGET TIME ZADD ZREM",
     "EXISTS GET HSET SADD SET TIME ZADD", "EXISTS GET HSET SADD SET TIME ZADD"},
    {"IssueClaimGrant", "ff_issue_claim_grant", "HGET TIME",
     "EXISTS HMGET HSET PEXPIREAT TIME ZSCORE", "EXISTS HGETALL HSET PEXPIREAT TIME ZSCORE"},
    {"ClaimForWorker", "ff_issue_claim_grant", "EXISTS HGET TIME ZRANGE",
     "EXISTS HMGET HSET PEXPIREAT TIME ZSCORE", "EXISTS HGETALL HSET PEXPIREAT TIME ZSCORE"},
    {"Claim", "ff_claim_execution", "", "DEL EXISTS HGET HMGET HSET SADD TIME XADD ZADD ZREM",
     "DEL HGETALL HSET SADD TIME XADD ZADD ZREM"},
    {"ClaimResumed", "ff_claim_resumed_execution", "HMGET",
     "DEL EXISTS HMGET HSET SADD TIME XADD ZADD ZREM", "DEL HGETALL HSET SADD TIME XADD ZADD ZREM"},
    {"IssueGrantAndClaim", "ff_issue_grant_and_claim", "HGET HMGET",
     "DEL EXISTS HGET HMGET HSET SADD TIME XADD ZADD ZREM ZSCORE",
     "DEL EXISTS HGETALL HSET PEXPIRE SADD TIME XADD ZADD ZREM ZSCORE"},
    {"Renew", "ff_renew_lease", "", "EXISTS HGET HMGET HSET PEXPIREAT TIME XADD ZADD",
     "EXISTS HGET HGETALL HSET PEXPIREAT TIME XADD ZADD"},
    {"MarkLeaseExpiredIfDue", "ff_mark_lease_expired_if_due", "",
     "EXISTS HGET HMGET HSET TIME XADD ZREM", "EXISTS HGET HGETALL HSET TIME XADD ZREM"},
    {"Revoke", "ff_revoke_lease", "HMGET", "DEL EXISTS HMGET HSET SREM TIME XADD ZREM",
     "DEL HGETALL HSET SREM TIME XADD ZREM"},
    {"IssueReclaimGrant", "ff_issue_reclaim_grant", "", "EXISTS HMGET HSET PEXPIREAT TIME",
     "EXISTS HGETALL HSET PEXPIREAT TIME"},
    {"Reclaim", "ff_reclaim_execution", "HMGET",
     "DEL EXISTS GET HMGET HSET SADD SREM TIME XADD ZADD ZREM",
     "DEL EXISTS GET HGETALL HSET SADD SREM TIME XADD ZADD ZREM"},
    {"Suspend", "ff_suspend_execution", "HMGET",
     "DEL EXISTS HGET HMGET HSET SADD SREM TIME XADD ZADD ZREM",
     "DEL EXISTS HGET HGETALL HSET PEXPIRE SADD SREM TIME XADD XRANGE ZADD ZREM"},
    {"Resume", "ff_resume_execution", "HMGET", "DEL EXISTS HMGET HSET TIME ZADD ZREM",
     "DEL EXISTS HGETALL HSET TIME ZADD ZREM"},
    {"Complete", "ff_complete_execution", "HMGET",
     "DEL EXISTS HGET HMGET HSET SET SREM TIME XADD ZADD ZREM",
     "DEL EXISTS HGET HGETALL HSET SET SREM TIME XADD ZADD ZREM"},
    {"Fail", "ff_fail_execution", "GET HMGET",
     "DEL EXISTS HGET HMGET HSET SREM TIME XADD ZADD ZREM",
     "DEL EXISTS HGET HGETALL HSET SREM TIME XADD ZADD ZREM"},
    {"ReadInput", "", "GETRANGE HGETALL HMGET", "", ""},
    {"RegisterWorker", "", "GET HSET PEXPIRE SADD SET", "", "", false},
    {"RefreshWorker", "", "GET HSET PEXPIRE SADD SET", "", "", false},
    {"UnregisterWorker", "", "DEL GET SREM", "", "", false},
    {"ReadPartitions", "", "HMGET", "", "", false},
    {"PromoteDelayedIfDue", "ff_promote_delayed", "TIME", "EXISTS HMGET HSET ZADD ZREM ZSCORE",
     "HGETALL HSET ZADD ZREM"},
    {"FindClaim", "", "HGET HMGET XREVRANGE", "", ""},
    {"Inspect", "", "EXISTS HMGET ZSCORE", "", ""},
};

// Does what our function ffgrant_refused_commands does (functions/rights.lua).
constexpr std::string_view kScript =
    "local check = redis.acl_check_cmd local function may_run(command, key) "
    "local answered, allowed = pcall(check, command, key) "
    "if not answered then answered, allowed = pcall(check, command, key, '0') end "
    "if not answered then answered, allowed = pcall(check, command, key, '0', '0') end "
    "if not answered then answered, allowed = pcall(check, command, key, '0', '0', '0') end "
    "if not answered then return check(command) end return allowed end "
    "local refused = {} for i = 1, #ARGV do if not may_run(ARGV[i], KEYS[1]) then "
    "refused[#refused + 1] = ARGV[i] end end return refused";

template <class Use>
void ForEachWord(std::string_view words, const Use& use) {
  while (!words.empty()) {
    const std::size_t size = std::min(words.find(' '), words.size());
    use(words.substr(0, size));
    words.remove_prefix(std::min(size + 1, words.size()));
  }
}

std::string_view InFunction(const NeededRights& needed, bool own_functions) {
  return own_functions ? needed.ours : needed.theirs;
}

}  // namespace

std::span<const NeededRights> AllNeededRights() noexcept { return kAll; }

std::vector<std::string_view> AllNeededCommands(bool own_functions) {
  std::vector<std::string_view> all;
  const auto add = [&all](std::string_view command) { all.push_back(command); };
  for (const NeededRights& needed : kAll) {
    ForEachWord(needed.itself, add);
    ForEachWord(InFunction(needed, own_functions), add);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void WriteAskForRights(RespCommand& command, const Partition& partition, bool own_functions) {
  const std::vector<std::string_view> commands = AllNeededCommands(own_functions);
  const MintedExecutionId id(partition.index, Uuid{});
  const ExecutionIdView view = id.view();  // the keys refer to this view
  ClaimKeys keys(command, view);
  command.Begin(4 + commands.size());
  command.Arg(own_functions ? "FCALL" : "EVAL");
  command.Arg(own_functions ? std::string_view("ffgrant_refused_commands") : kScript);
  command.Arg("1");
  keys.Execution(ExecutionKey::kCore);
  for (const std::string_view name : commands) command.Arg(name);
}

std::vector<RefusedCall> RefusedCalls(const std::vector<std::string>& refused, bool own_functions) {
  std::vector<RefusedCall> all;
  for (const NeededRights& needed : kAll) {
    RefusedCall call{std::string(needed.call), {}};
    const auto check = [&](std::string_view command) {
      if (std::find(refused.begin(), refused.end(), command) == refused.end()) return;
      if (std::find(call.commands.begin(), call.commands.end(), command) != call.commands.end()) {
        return;
      }
      call.commands.emplace_back(command);
    };
    ForEachWord(needed.itself, check);
    ForEachWord(InFunction(needed, own_functions), check);
    if (!call.commands.empty()) all.push_back(std::move(call));
  }
  return all;
}

}  // namespace ffgrant::valkey::internal
