// SPDX-License-Identifier: Apache-2.0
//
// Executes the commands that are about the simulated server itself, its connections and libraries.

#include <algorithm>
#include <string>

#include "testing/simulation/number_text.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {
namespace {

std::string Unknown(std::string_view command, std::string_view subcommand) {
  return "ERR unknown subcommand '" + std::string(subcommand) + "'. Try " + std::string(command) +
         " HELP.";
}

}  // namespace

const SimulatedServer::ServerCommand* SimulatedServer::FindServerCommand(std::string_view name) {
  using Server = SimulatedServer;
  static constexpr ServerCommand kCommands[] = {
      {"ASKING", 1, true, &Server::RunState},        {"AUTH", -2, true, &Server::RunAuth},
      {"CLIENT", -2, true, &Server::RunClient},      {"CLUSTER", -2, true, &Server::RunCluster},
      {"DISCARD", 1, false, &Server::RunExec},       {"EXEC", 1, false, &Server::RunExec},
      {"FCALL", -3, false, &Server::RunFcall},       {"FCALL_RO", -3, false, &Server::RunFcall},
      {"FUNCTION", -2, false, &Server::RunFunction}, {"HELLO", -1, true, &Server::RunHello},
      {"INFO", -1, true, &Server::RunInfo},          {"MULTI", 1, false, &Server::RunExec},
      {"PING", -1, false, &Server::RunPing},         {"READONLY", 1, true, &Server::RunState},
      {"READWRITE", 1, true, &Server::RunState},     {"WAIT", 3, false, &Server::RunWait},
  };
  for (const ServerCommand& command : kCommands) {
    if (SameWord(command.name, name)) return &command;
  }
  return nullptr;
}

// ---- who is there --------------------------------------------------------------

void SimulatedServer::Login(Connection& connection, std::string_view user,
                            std::string_view password, ReplySink& reply, bool say_ok) {
  const auto found = users.find(std::string(user));
  const bool known = users.empty() ? user == "default" : found != users.end();
  const bool right = known && (users.empty() || found->second.password.empty() ||
                               found->second.password == password);
  if (!right) {
    return reply.Error("WRONGPASS invalid username-password pair or user is disabled.");
  }
  connection.user = user;
  if (say_ok) reply.Status("OK");
}

void SimulatedServer::RunAuth(Connection& connection, Arguments words, ReplySink& reply) {
  if (words.size() > 3) return reply.Error(kSyntax);
  if (words.size() == 3) return Login(connection, words[1], words[2], reply, true);
  const auto found = users.find("default");
  if (users.empty() || (found != users.end() && found->second.password.empty())) {
    return reply.Error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  Login(connection, "default", words[1], reply, true);
}

// HELLO [2 [AUTH user password]]
void SimulatedServer::RunHello(Connection& connection, Arguments words, ReplySink& reply) {
  if (words.size() > 1) {
    const auto protocol = ParseInteger(words[1]);
    if (!protocol) return reply.Error("ERR Protocol version is not an integer or out of range");
    if (*protocol != 2) return reply.Error("NOPROTO unsupported protocol version");
  }
  if (words.size() == 5 && SameWord(words[2], "AUTH")) {
    const std::string before = connection.user;
    connection.user.clear();
    Login(connection, words[3], words[4], reply, false);
    if (connection.user.empty()) {
      connection.user = before;
      return;
    }
  } else if (words.size() > 2) {
    return reply.Error("ERR Syntax error in HELLO option '" + std::string(words[2]) + "'");
  }
  if (connection.user.empty()) {
    return reply.Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "
        "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "
        "RESP protocol version at the same time");
  }
  reply.Array(14);
  reply.Bulk("server");
  reply.Bulk("valkey");
  reply.Bulk("version");
  reply.Bulk(options_.version);
  reply.Bulk("proto");
  reply.Integer(2);
  reply.Bulk("id");
  reply.Integer(current_client_);
  reply.Bulk("mode");
  reply.Bulk(cluster ? "cluster" : "standalone");
  reply.Bulk("role");
  reply.Bulk(is_replica() ? "replica" : "master");
  reply.Bulk("modules");
  reply.Array(0);
}

void SimulatedServer::RunInfo(Connection&, Arguments, ReplySink& reply) {
  std::string text =
      "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:" +
      options_.version + "\r\nserver_mode:" + (cluster ? "cluster" : "standalone") +
      "\r\nrun_id:" + options_.run_id + "\r\ntcp_port:" + std::to_string(options_.address.port) +
      "\r\nserver_time_usec:" + std::to_string(now_us_) +
      "\r\n\r\n# Replication\r\nrole:" + (is_replica() ? "slave" : "master") + "\r\n";
  if (is_replica()) {
    text += "master_host:" + primary_->address().host +
            "\r\nmaster_port:" + std::to_string(primary_->address().port) +
            "\r\nmaster_link_status:" + (link_open_ ? "up" : "down") + "\r\n";
  }
  const std::string former = former_history_.empty() ? std::string(40, '0') : former_history_;
  text += "connected_slaves:" + std::to_string(replicas_.size()) + "\r\nmaster_replid:" + history_ +
          "\r\nmaster_replid2:" + former + "\r\n";
  reply.Bulk(text);
}

// CLIENT ID, CLIENT KILL ID n, CLIENT SETNAME | SETINFO ...
void SimulatedServer::RunClient(Connection&, Arguments words, ReplySink& reply) {
  if (SameWord(words[1], "ID") && words.size() == 2) return reply.Integer(current_client_);
  if (SameWord(words[1], "SETNAME") || SameWord(words[1], "SETINFO")) return reply.Status("OK");
  if (!SameWord(words[1], "KILL")) return reply.Error(Unknown("CLIENT", words[1]));
  if (words.size() != 4 || !SameWord(words[2], "ID")) return reply.Error(kSyntax);
  const auto id = ParseInteger(words[3]);
  if (!id) return reply.Error(kSyntax);
  if (*id <= 0) return reply.Error("ERR client-id should be greater than 0");
  const bool there = connections_.count(*id) != 0;
  if (there) {
    closed_.insert(*id);
    if (*id != current_client_) connections_.erase(*id);
  }
  reply.Integer(there ? 1 : 0);
}

void SimulatedServer::RunCluster(Connection&, Arguments words, ReplySink& reply) {
  if (!cluster) return reply.Error("ERR This instance has cluster support disabled");
  if (SameWord(words[1], "KEYSLOT") && words.size() == 3) return reply.Integer(SlotOf(words[2]));
  cluster->Reply(words[1], reply);
}

void SimulatedServer::RunPing(Connection&, Arguments words, ReplySink& reply) {
  if (words.size() > 2) return reply.Error("ERR wrong number of arguments for 'ping' command");
  words.size() == 2 ? reply.Bulk(words[1]) : reply.Status("PONG");
}

// ASKING, READONLY, READWRITE: these commands set the state of the client's connection.
void SimulatedServer::RunState(Connection& connection, Arguments words, ReplySink& reply) {
  if (SameWord(words[0], "ASKING")) {
    if (!cluster) return reply.Error("ERR This instance has cluster support disabled");
    connection.asking = true;
  } else {
    connection.readonly = SameWord(words[0], "READONLY");
  }
  reply.Status("OK");
}

// MULTI, EXEC, DISCARD
void SimulatedServer::RunExec(Connection& connection, Arguments words, ReplySink& reply) {
  if (SameWord(words[0], "MULTI")) {
    connection.in_transaction = true;
    return reply.Status("OK");
  }
  const bool exec = SameWord(words[0], "EXEC");
  if (!connection.in_transaction) {
    return reply.Error(exec ? "ERR EXEC without MULTI" : "ERR DISCARD without MULTI");
  }
  const auto queued = std::move(connection.queued);
  const bool aborted = connection.aborts;
  connection.queued.clear();
  connection.in_transaction = connection.aborts = false;
  if (!exec) return reply.Status("OK");
  if (aborted) {
    return reply.Error("EXECABORT Transaction discarded because of previous errors.");
  }
  reply.Array(queued.size());
  for (const std::vector<std::string>& command : queued) {
    const std::vector<std::string_view> views(command.begin(), command.end());
    RunParsed(connection, Parse(views), views, reply);
  }
}

// Answers how many replicas have got all changes; does not wait for more replicas.
void SimulatedServer::RunWait(Connection&, Arguments, ReplySink& reply) {
  reply.Integer(std::count_if(replicas_.begin(), replicas_.end(),
                              [](SimulatedServer* replica) { return replica->link_.empty(); }));
}

// ---- libraries -----------------------------------------------------------------

// FUNCTION LOAD [REPLACE] code | DELETE name | FLUSH | LIST [LIBRARYNAME name]
void SimulatedServer::RunFunction(Connection&, Arguments words, ReplySink& reply) {
  if (SameWord(words[1], "LIST")) return ListFunctions(words, reply);
  const bool load = SameWord(words[1], "LOAD");
  const bool remove = SameWord(words[1], "DELETE");
  const bool flush = SameWord(words[1], "FLUSH");
  if (!load && !remove && !flush) return reply.Error(Unknown("FUNCTION", words[1]));
  if ((load && words.size() < 3) || (remove && words.size() != 3)) {
    return reply.Error("ERR wrong number of arguments for 'function|" +
                       std::string(load ? "load" : "delete") + "' command");
  }
  if (is_replica()) {
    return reply.Error("READONLY You can't write against a read only replica.");
  }
  if (flush) {
    lua_->Flush();
    reply.Status("OK");
  } else if (remove) {
    if (!lua_->Delete(words[2])) return reply.Error("ERR Library not found");
    reply.Status("OK");
  } else {
    const bool replace = words.size() > 3 && SameWord(words[2], "REPLACE");
    if (words.size() > (replace ? 4 : 3)) {
      return reply.Error("ERR Unknown option given: " + std::string(words[replace ? 3 : 2]));
    }
    std::string name;
    const std::string error = lua_->Load(words.back(), replace, name);
    if (!error.empty()) return reply.Error(error);
    reply.Bulk(name);
  }
  Propagate(words);
}

// Lists functions in the order of their names; a real server may list them in any order.
void SimulatedServer::ListFunctions(Arguments words, ReplySink& reply) const {
  const bool one = words.size() == 4 && SameWord(words[2], "LIBRARYNAME");
  if (words.size() > 2 && !one) return reply.Error("ERR Unknown argument " + std::string(words[2]));
  std::vector<std::string> libraries;
  for (const auto& [name, code] : lua_->libraries()) {
    if (!one || name == words[3]) libraries.push_back(name);
  }
  reply.Array(libraries.size());
  for (const std::string& library : libraries) {
    std::map<std::string, bool> functions;
    for (const auto& [name, function] : lua_->functions()) {
      if (function.library == library) functions[name] = function.no_writes;
    }
    reply.Array(6);
    reply.Bulk("library_name");
    reply.Bulk(library);
    reply.Bulk("engine");
    reply.Bulk("LUA");
    reply.Bulk("functions");
    reply.Array(functions.size());
    for (const auto& [name, no_writes] : functions) {
      reply.Array(6);
      reply.Bulk("name");
      reply.Bulk(name);
      reply.Bulk("description");
      reply.Nil();
      reply.Bulk("flags");
      reply.Array(no_writes ? 1 : 0);
      if (no_writes) reply.Bulk("no-writes");
    }
  }
}

}  // namespace ffgrant::valkey::testing
