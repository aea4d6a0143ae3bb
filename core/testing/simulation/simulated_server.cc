// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/simulated_server.h"

#include <algorithm>
#include <utility>

#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

// Returns the words of a command that are its keys.
Arguments KeysOf(const KeyCommand& command, Arguments words) {
  if (command.first_key == 0) return {};
  const auto first = static_cast<std::size_t>(command.first_key);
  const std::size_t last =
      command.last_key < 0 ? words.size() - 1 : static_cast<std::size_t>(command.last_key);
  return words.subspan(first, last - first + 1);
}

std::string UnknownCommand(Arguments words) {
  std::string text = "ERR unknown command '" + std::string(words[0].substr(0, 128)) +
                     "', with args beginning with: ";
  std::size_t room = 128;
  for (const std::string_view word : words.subspan(1)) {
    if (room == 0) break;
    const std::string_view part = word.substr(0, room);
    text += "'" + std::string(part) + "' ";
    room -= std::min(room, part.size());
  }
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return lower;
}

std::vector<std::string_view> Views(const std::vector<std::string>& words) {
  return {words.begin(), words.end()};
}

}  // namespace

SimulatedServer::SimulatedServer(Options options)
    : options_(std::move(options)), lua_(std::make_unique<LuaEngine>(*this)) {
  history_ = options_.run_id + "-history-0";
}

SimulatedServer::~SimulatedServer() {
  LeavePrimary();
  for (SimulatedServer* const replica : replicas_) replica->primary_ = nullptr;
}

void SimulatedServer::Restart(std::string run_id, bool keeps_data) {
  options_.run_id = std::move(run_id);
  CloseConnections();
  if (keeps_data) return;
  keys_.Clear();
  lua_ = std::make_unique<LuaEngine>(*this);
}

void SimulatedServer::CloseConnections() {
  for (const auto& [client, connection] : connections_) closed_.insert(client);
  connections_.clear();
}

void SimulatedServer::CloseConnection(std::int64_t client) {
  if (connections_.erase(client) != 0) closed_.insert(client);
}

void SimulatedServer::Move(const Endpoint& address) {
  options_.address = address;
  if (cluster) cluster->me().address = address;
}

SimulatedServer::Connection& SimulatedServer::ConnectionOf(std::int64_t client) {
  const auto [at, is_new] = connections_.try_emplace(client);
  if (is_new) {
    const auto found = users.find("default");
    const bool open = users.empty() || (found != users.end() && found->second.password.empty());
    at->second.user = open ? "default" : "";
  }
  return at->second;
}

std::string SimulatedServer::Execute(std::int64_t client, const std::vector<std::string>& command,
                                     std::int64_t now_us) {
  if (answer) {
    if (std::optional<std::string> reply = answer(client, command)) return *std::move(reply);
  }
  now_us_ = now_us;
  keys_.SetNow(now_us / 1000);
  std::string text;
  RespSink reply(text);
  if (connections_.count(client) == 0 && connections_.size() >= max_clients) {
    closed_.insert(client);
    reply.Error("ERR max number of clients reached");
    return text;
  }
  current_client_ = client;
  const std::uint64_t calls_before = function_calls;
  const std::vector<std::string_view> words = Views(command);
  if (!words.empty()) Run(ConnectionOf(client), words, reply);
  SendChanges();
  if (on_function && function_calls != calls_before) on_function(command, text);
  return text;
}

SimulatedServer::Parsed SimulatedServer::Parse(Arguments words) const {
  Parsed parsed;
  parsed.key_command = FindKeyCommand(words[0]);
  if (parsed.key_command == nullptr) parsed.server_command = FindServerCommand(words[0]);
  if (parsed.key_command == nullptr && parsed.server_command == nullptr) {
    parsed.error = UnknownCommand(words);
    return parsed;
  }
  const int arity =
      parsed.key_command != nullptr ? parsed.key_command->arity : parsed.server_command->arity;
  const auto count = static_cast<int>(words.size());
  if (arity >= 0 ? count != arity : count < -arity) {
    parsed.error = "ERR wrong number of arguments for '" + Lower(words[0]) + "' command";
    return parsed;
  }
  if (parsed.key_command != nullptr) {
    parsed.keys = KeysOf(*parsed.key_command, words);
    parsed.writes = parsed.key_command->writes;
  } else if (parsed.server_command->run == &SimulatedServer::RunFcall) {
    const auto keys = ParseInteger(words[2]);
    if (keys && *keys > 0 && *keys <= count - 3) {
      parsed.keys = words.subspan(3, static_cast<std::size_t>(*keys));
    }
    const LuaEngine::Function* const function = lua_->Find(words[1]);
    parsed.writes = function != nullptr && !function->no_writes;
  }
  return parsed;
}

void SimulatedServer::Run(Connection& connection, Arguments words, ReplySink& reply) {
  const Parsed parsed = Parse(words);
  std::string refused = Refusal(connection, parsed, words);
  const bool asking_itself = SameWord(words[0], "ASKING");
  if (!asking_itself) connection.asking = false;
  if (!refused.empty()) {
    connection.aborts = connection.in_transaction;
    return reply.Error(refused);
  }
  const bool ends = SameWord(words[0], "EXEC") || SameWord(words[0], "DISCARD");
  if (connection.in_transaction && !ends) {
    connection.queued.emplace_back(words.begin(), words.end());
    return reply.Status("QUEUED");
  }
  RunParsed(connection, parsed, words, reply);
}

void SimulatedServer::RunParsed(Connection& connection, const Parsed& parsed, Arguments words,
                                ReplySink& reply) {
  if (parsed.key_command != nullptr) {
    RunKeyCommand(*parsed.key_command, words, reply);
  } else {
    (this->*parsed.server_command->run)(connection, words, reply);
  }
}

std::string SimulatedServer::Refusal(Connection& connection, const Parsed& parsed,
                                     Arguments words) {
  if (!parsed.error.empty()) return parsed.error;
  const bool login = SameWord(words[0], "AUTH") || SameWord(words[0], "HELLO");
  if (connection.user.empty() && !login) return "NOAUTH Authentication required.";
  if (connection.in_transaction && SameWord(words[0], "MULTI")) {
    return "ERR Command 'multi' not allowed inside a transaction";
  }
  const std::string denial = login ? "" : Denial(connection, words);
  if (!denial.empty()) return "NOPERM " + denial;
  if (cluster) {
    std::string elsewhere = cluster->Refusal(
        {parsed.keys, parsed.writes, connection.asking, connection.readonly}, keys_);
    if (!elsewhere.empty()) return elsewhere;
  }
  const bool always = parsed.server_command != nullptr && parsed.server_command->always;
  if (!refusal.empty() && !always) {
    const bool of_writes = refusal.starts_with("OOM ") || refusal.starts_with("MISCONF ") ||
                           refusal.starts_with("NOREPLICAS ");
    if (!of_writes || parsed.writes) return refusal;
  }
  if (is_replica() && parsed.writes) return "READONLY You can't write against a read only replica.";
  return "";
}

std::string SimulatedServer::Denial(const Connection& connection, Arguments words) const {
  const auto user = users.find(connection.user);
  if (user == users.end() || user->second.denied.empty()) return "";
  const std::string name = Lower(words[0]);
  const std::string full = words.size() > 1 ? name + "|" + Lower(words[1]) : name;
  for (const std::string& denied : {name, full}) {
    if (user->second.denied.count(denied) != 0) {
      return "User " + connection.user + " has no permissions to run the '" + denied + "' command";
    }
  }
  return "";
}

void SimulatedServer::RunKeyCommand(const KeyCommand& command, Arguments words, ReplySink& reply) {
  CommandCall call = {keys_, words, reply, now_us_};
  command.run(call);
  if (on_publish && command.name == "publish") on_publish(words[1], words[2]);
  if (call.changed) Propagate(words);
}

// ---- scripts -------------------------------------------------------------------

void SimulatedServer::RunFcall(Connection& connection, Arguments words, ReplySink& reply) {
  const LuaEngine::Function* const function = lua_->Find(words[1]);
  if (function == nullptr) return reply.Error("ERR Function not found");
  const auto given = ParseInteger(words[2]);
  if (!given) return reply.Error("ERR Bad number of keys provided");
  if (*given > static_cast<std::int64_t>(words.size()) - 3) {
    return reply.Error("ERR Number of keys can't be greater than number of args");
  }
  if (*given < 0) return reply.Error("ERR Number of keys can't be negative");
  const bool read_only = SameWord(words[0], "FCALL_RO");
  if (read_only && !function->no_writes) {
    return reply.Error("ERR Can not execute a script with write flag using *_ro command.");
  }
  const auto keys = static_cast<std::size_t>(*given);
  caller_ = &connection;
  read_only_script_ = function->no_writes;
  script_slot_ = keys > 0 && cluster ? SlotOf(words[3]) : -1;
  ++function_calls;
  lua_->Call(*function, words.subspan(3, keys), words.subspan(3 + keys), reply);
  caller_ = nullptr;
}

std::string SimulatedServer::ScriptRefusal(const KeyCommand& command, Arguments words) {
  if (!command.Takes(words.size())) {
    return "ERR Wrong number of args calling command from script";
  }
  const std::string denial = Denial(*caller_, words);
  if (!denial.empty()) return "ERR ACL failure in script: " + denial;
  if (read_only_script_ && (command.writes || command.name == "publish")) {
    return "ERR Write commands are not allowed from read-only scripts.";
  }
  if (!cluster) return "";
  const Arguments keys = KeysOf(command, words);
  if (keys.empty()) return "";
  const std::string elsewhere =
      cluster->Refusal({keys, command.writes, caller_->asking, caller_->readonly}, keys_);
  if (elsewhere.starts_with("TRYAGAIN")) {
    return "ERR Unable to execute command '" + std::string(command.name) +
           "' in script because undeclared keys were accessed during rehashing of the slot";
  }
  if (elsewhere.starts_with("CROSSSLOT")) {
    return "ERR Command '" + std::string(command.name) +
           "' in script attempted to access keys that don't hash to the same slot";
  }
  if (!elsewhere.empty()) {
    return "ERR Script attempted to access a non local key in a cluster node";
  }
  const int slot = SlotOf(keys.front());
  if (script_slot_ >= 0 && slot != script_slot_) {
    return "ERR Script attempted to access keys that do not hash to the same slot";
  }
  script_slot_ = slot;
  return "";
}

void SimulatedServer::ExecuteInScript(Arguments words, ReplySink& reply) {
  const KeyCommand* const command = FindKeyCommand(words[0]);
  if (command == nullptr) {
    return reply.Error(FindServerCommand(words[0]) == nullptr
                           ? "ERR Unknown command called from script"
                           : "ERR This Valkey command is not allowed from script");
  }
  const std::string refused = ScriptRefusal(*command, words);
  if (!refused.empty()) return reply.Error(refused);
  RunKeyCommand(*command, words, reply);
}

bool SimulatedServer::MayRunInScript(Arguments words) const {
  return Denial(*caller_, words).empty();
}

}  // namespace ffgrant::valkey::testing
