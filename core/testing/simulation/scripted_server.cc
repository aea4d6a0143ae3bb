// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/scripted_server.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace ffgrant::valkey::testing {
namespace {

const char kNil[] = "$-1\r\n";

// Reads the number after the first byte of a line, and moves `at` past the end of the line. Returns
// false if the line has no end yet.
bool TakeHeader(const std::string& bytes, std::size_t& at, std::size_t& number) {
  const std::size_t end = bytes.find("\r\n", at);
  if (end == std::string::npos) return false;
  number = static_cast<std::size_t>(std::atoll(bytes.c_str() + at + 1));
  at = end + 2;
  return true;
}

// ff:exec:{fp:7}:<id>:core -> <id>; the id itself begins with a tag
std::string IdOfKey(const std::string& key) {
  const std::size_t begin = key.find("}:") + 2;
  const std::size_t uuid = key.find("}:", begin) + 2;
  return key.substr(begin, uuid + 36 - begin);
}

// Returns element `i` of a call's ARGV; the first is 1.
const std::string& Argument(const Words& command, std::size_t i) {
  return command[2 + static_cast<std::size_t>(std::atoll(command[2].c_str())) + i];
}

}  // namespace

std::vector<Words> TakeCommands(std::string& bytes) {
  std::vector<Words> commands;
  std::size_t done = 0;
  while (done < bytes.size()) {
    std::size_t at = done;
    std::size_t count = 0;
    if (!TakeHeader(bytes, at, count)) break;
    Words words;
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t size = 0;
      if (at >= bytes.size() || !TakeHeader(bytes, at, size) || bytes.size() - at < size + 2) break;
      words.push_back(bytes.substr(at, size));
      at += size + 2;
    }
    if (words.size() != count) break;
    commands.push_back(words);
    done = at;
  }
  bytes.erase(0, done);
  return commands;
}

Words WithFlowFabricName(Words command) {
  if (command[0] != "FCALL" || command.size() < 2) return command;
  std::string& name = command[1];
  if (name != "ffgrant_version" && name.starts_with("ffgrant_")) name.replace(0, 8, "ff_");
  return command;
}

std::string Bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

std::string Integer(std::int64_t value) { return ":" + std::to_string(value) + "\r\n"; }

std::string Array(const std::vector<std::string>& encoded) {
  std::string reply = "*" + std::to_string(encoded.size()) + "\r\n";
  for (const std::string& element : encoded) reply += element;
  return reply;
}

std::string OkReply(const Words& fields) {
  std::vector<std::string> all = {Integer(1), Bulk("OK")};
  for (const std::string& field : fields) all.push_back(Bulk(field));
  return Array(all);
}

std::string RejectedReply(std::string_view code) { return Array({Integer(0), Bulk(code)}); }

std::string ScriptedServer::Execute(std::int64_t client_id, const Words& command, std::int64_t now,
                                    std::set<std::int64_t>& killed) {
  std::string reply = Answer(client_id, command, now, killed);
  if (edit_reply) edit_reply(WithFlowFabricName(command), reply);
  return reply;
}

std::string ScriptedServer::Answer(std::int64_t client_id, const Words& command, std::int64_t now,
                                   std::set<std::int64_t>& killed) {
  if (command[0] == "FCALL") called.emplace_back(client_id, command[1]);
  if (answer) {
    std::optional<std::string> reply = answer(client_id, WithFlowFabricName(command));
    if (reply) return *std::move(reply);
  }
  const std::string& name = command[0];
  if (name == "INFO") {
    return Bulk(
        "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.9.9\r\n"
        "redis_mode:" +
        mode + "\r\nuptime_in_seconds:0\r\nrun_id:process" + std::to_string(process_) +
        "\r\n# Replication\r\nrole:master\r\n");
  }
  if (name == "CLIENT" && forbidden.count(command[1]) != 0) return "-NOPERM no permissions\r\n";
  if (name == "CLIENT" && command[1] == "ID") return Integer(client_id);
  if (name == "CLIENT" && command[1] == "KILL") {
    killed.insert(std::atoll(command[3].c_str()));
    return Integer(1);
  }
  if (name == "PING") return "+PONG\r\n";
  if (name == "TIME") return Array({Bulk(std::to_string(now / 1000)), Bulk("0")});
  if (name == "FUNCTION") return Library(command);
  if (name == "FCALL") return Call(command, now);
  if (name == "HMGET" || name == "HGET" || name == "XREVRANGE" || name == "EXISTS") {
    return Read(command);
  }
  if (name == "ZRANGE" || name == "ZSCORE") return ReadSet(command);
  return "-ERR unknown command\r\n";
}

std::string ScriptedServer::Library(const Words& command) {
  const bool replace = command[2] == "REPLACE";
  if (has_library && !replace) return "-ERR Library 'ffgrant' already exists\r\n";
  has_library = true;
  own_version = kFunctionLibraryVersion;
  ++(replace ? replaces : loads);
  return Bulk("ffgrant");
}

int ScriptedServer::Executions(std::string_view function, std::string_view id) const {
  const auto found = calls_.find(std::string(function) + " " + std::string(id));
  return found == calls_.end() ? 0 : found->second;
}

bool ScriptedServer::WasCalled(std::string_view name) const {
  return std::any_of(called.begin(), called.end(),
                     [name](const auto& call) { return call.second == name; });
}

bool ScriptedServer::HasFunction(std::string_view name) const {
  const bool old = std::atoll(own_version.c_str()) < 4;
  if (name.starts_with("ff_")) return foreign_library || (has_library && old);
  return has_library && (!old || name == "ffgrant_version");
}

std::string ScriptedServer::Call(Words command, std::int64_t now) {
  if (!HasFunction(command[1])) return "-ERR Function not found\r\n";
  if (command[1] == "ffgrant_version") return Bulk(own_version);
  if (command[1] == "ffgrant_refused_commands") return Array({});
  if (command[1] == "ff_version") return Bulk(foreign_library ? contract_version : "34");
  command = WithFlowFabricName(std::move(command));
  const std::string& function = command[1];
  if (!refusals.empty()) {
    const std::string refusal = refusals.front();
    refusals.erase(refusals.begin());
    return "-" + refusal + "\r\n";
  }
  const std::string& id = Argument(command, 1);
  ++calls_[function + " " + id];
  if (function == "ff_create_execution") {
    const bool is_new = executions_.emplace(id, Execution{}).second;
    executions_[id].lane = Argument(command, 3);
    return is_new ? OkReply({id, "waiting"}) : Array({Integer(1), Bulk("DUPLICATE"), Bulk(id)});
  }
  const auto found = executions_.find(id);
  if (found == executions_.end()) return RejectedReply("execution_not_found");
  return CallOf(found->second, command, now);
}

std::string ScriptedServer::CallOf(Execution& execution, const Words& command, std::int64_t now) {
  const std::string& function = command[1];
  if (function == "ff_issue_claim_grant") {
    if (!execution.lease_id.empty()) return RejectedReply("execution_not_eligible");
    if (!execution.grant_worker.empty()) return RejectedReply("grant_already_exists");
    execution.grant_worker = Argument(command, 2);
    return OkReply({Argument(command, 1)});
  }
  if (function == "ff_claim_execution") {
    if (!execution.lease_id.empty()) return RejectedReply("execution_not_leaseable");
    if (execution.grant_worker != Argument(command, 2)) return RejectedReply("invalid_claim_grant");
    return Claim(execution, command, 9, now);
  }
  if (function == "ff_issue_grant_and_claim") {
    if (!execution.lease_id.empty()) return RejectedReply("execution_not_eligible");
    (void)Claim(execution, command, 8, now);
    return OkReply({execution.lease_id, std::to_string(execution.epoch), "0"});
  }
  if (function == "ff_complete_execution") {
    if (execution.lease_id != Argument(command, 2)) return RejectedReply("stale_lease");
    execution.lease_id = "ended";
    return OkReply({"completed"});
  }
  return "-ERR Function not found\r\n";
}

std::string ScriptedServer::Claim(Execution& execution, const Words& command,
                                  std::size_t attempt_argument, std::int64_t now) {
  execution.grant_worker.clear();
  execution.lease_id = Argument(command, 6);
  execution.attempt_id = Argument(command, attempt_argument);
  execution.expires_at = now + std::atoll(Argument(command, 7).c_str());
  ++execution.epoch;
  execution.history.push_back(execution.lease_id);
  leases_.insert(execution.lease_id);
  return OkReply({execution.lease_id, std::to_string(execution.epoch),
                  std::to_string(execution.expires_at), execution.attempt_id, "0", "initial"});
}

// Answers ZRANGE of a lane's eligible set, in the order of the ids, and ZSCORE of any set. An
// execution that has had no lease counts as eligible.
std::string ScriptedServer::ReadSet(const Words& command) const {
  const std::string& key = command[1];
  if (command[0] == "ZRANGE") {
    const auto first = static_cast<std::size_t>(std::atoll(command[2].c_str()));
    const auto last = static_cast<std::size_t>(std::atoll(command[3].c_str()));
    std::vector<std::string> found;
    std::size_t place = 0;
    for (const auto& [id, execution] : executions_) {
      const std::string tag = id.substr(0, id.find('}') + 1);
      if (!execution.lease_id.empty() ||
          key != "ff:idx:" + tag + ":lane:" + execution.lane + ":eligible") {
        continue;
      }
      if (place >= first && place <= last) found.push_back(Bulk(id));
      ++place;
    }
    return Array(found);
  }
  const auto found = executions_.find(command[2]);
  if (found == executions_.end()) return kNil;
  const std::string set = key.substr(key.rfind(':') + 1);
  const std::string& lease = found->second.lease_id;
  const bool in = set == "eligible"                          ? lease.empty()
                  : set == "active" || set == "lease_expiry" ? lease.size() == 36
                  : set == "terminal"                        ? lease == "ended"
                                                             : false;
  return in ? Bulk("1") : kNil;
}

std::string ScriptedServer::Read(const Words& command) const {
  const auto found = executions_.find(IdOfKey(command[1]));
  const Execution none;
  const Execution& execution = found == executions_.end() ? none : found->second;
  if (command[0] == "XREVRANGE") {
    std::vector<std::string> entries;
    for (const std::string& lease : execution.history) {
      entries.push_back(Array(
          {Bulk("1-1"), Array({Bulk("event"), Bulk("acquired"), Bulk("lease_id"), Bulk(lease)})}));
    }
    return Array(entries);
  }
  if (command[0] == "EXISTS") {
    const bool grant = command[1].ends_with(":claim_grant");
    return Integer(grant ? !execution.grant_worker.empty() : execution.lease_id.size() == 36);
  }
  const auto field = [&](const std::string& name) -> std::string {
    if (found == executions_.end()) return kNil;
    const auto given = given_fields.find(name);
    if (given != given_fields.end()) return given->second;
    const bool active = execution.lease_id.size() == 36;
    if (name == "lifecycle_phase") return Bulk(active ? "active" : "runnable");
    if (name == "ownership_state") return Bulk(active ? "leased" : "unowned");
    if (name == "current_lease_id") return Bulk(active ? execution.lease_id : "");
    if (name == "current_attempt_id") return Bulk(execution.attempt_id);
    if (name == "current_attempt_index") return Bulk(execution.epoch == 0 ? "" : "0");
    if (name == "attempt_type") return Bulk("initial");
    if (name == "worker_id") {
      return execution.grant_worker.empty() ? kNil : Bulk(execution.grant_worker);
    }
    if (name == "current_lease_epoch") return Bulk(std::to_string(execution.epoch));
    if (name == "lease_expires_at") return Bulk(std::to_string(execution.expires_at));
    if (name == "grant_expires_at") return execution.grant_worker.empty() ? kNil : Bulk("9000");
    if (name == "lane_id" || name == "current_lane") return Bulk("main");
    return Bulk("");
  };
  if (command[0] == "HGET") return field(command[2]);
  std::vector<std::string> fields;
  for (std::size_t i = 2; i < command.size(); ++i) fields.push_back(field(command[i]));
  return Array(fields);
}

}  // namespace ffgrant::valkey::testing
