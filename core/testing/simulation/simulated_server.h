// SPDX-License-Identifier: Apache-2.0
//
// Test only: one server process in this one. It answers as Valkey 9 does what the
// client and the functions ask, and runs the function libraries that are loaded into
// it. Its clock is given to it with every command, so that it lives in whatever
// time a test has. The same commands at the same times have the same replies.
//
//   SimulatedServer server({.run_id = "run-1", .address = {"10.0.0.1", 6379}});
//   server.Execute(1, {"FUNCTION", "LOAD", source}, now_us);
//   server.Execute(1, {"FCALL", "ffgrant_version", "0"}, now_us);  // "$1\r\n4\r\n"
//
// One thread at a time. Not to be moved: scripts and replicas keep its address.

#ifndef FFGRANT_TESTING_SIMULATION_SIMULATED_SERVER_H_
#define FFGRANT_TESTING_SIMULATION_SIMULATED_SERVER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/network.h"
#include "testing/simulation/cluster_state.h"
#include "testing/simulation/key_space.h"
#include "testing/simulation/lua_engine.h"

namespace ffgrant::valkey::testing {

struct SimulatedUser {
  std::string password;  // empty: any will do
  // "hset", or "client|kill": commands that the user may not send, scripts included.
  std::set<std::string> denied;
};

class SimulatedServer final : public ScriptHost {
 public:
  struct Options {
    std::string run_id;
    Endpoint address;
    std::string version = "9.1.2";
  };

  explicit SimulatedServer(Options options);
  ~SimulatedServer() override;
  SimulatedServer(const SimulatedServer&) = delete;

  // Executes a command that came on connection `client`, and returns the reply in
  // RESP2. A connection exists from its first command on.
  std::string Execute(std::int64_t client, const std::vector<std::string>& command,
                      std::int64_t now_us);
  // Whether the server has closed that connection. Ids are never used twice.
  bool HasClosed(std::int64_t client) const { return closed_.count(client) != 0; }

  // Another process in its place: with another run id, with all connections closed,
  // and with or without what was stored and loaded.
  void Restart(std::string run_id, bool keeps_data);
  void CloseConnections();
  void CloseConnection(std::int64_t client);

  // Replication. A replica gets a copy of everything now, and from then on each
  // change; a link that is not open keeps the changes for later.
  void BecomeReplicaOf(SimulatedServer& primary);
  void Promote();  // changes that its link still keeps are lost to it
  bool is_replica() const { return primary_ != nullptr; }
  void SetLinkOpen(bool open);  // of a replica; opening it delivers what it keeps
  std::size_t waiting_changes() const { return link_.size(); }
  // Delivers what the next `count` commands that the link keeps have changed.
  void Deliver(std::size_t count);
  // Replicas get a copy of the keys once more, after somebody has changed them from
  // outside.
  void Resync();

  KeySpace& keys() { return keys_; }
  LuaEngine& lua() { return *lua_; }
  const std::string& run_id() const { return options_.run_id; }
  const Endpoint& address() const { return options_.address; }
  void Move(const Endpoint& address);
  // Where it executes nothing but what it has to, as if it were told
  // `-ERROR text`: LOADING, MASTERDOWN, OOM, MISCONF, BUSY. Empty: as usual.
  std::string refusal;
  // Users by name. Without any, everybody may do everything. A connection begins as
  // `default` if that has no password.
  std::map<std::string, SimulatedUser> users;
  std::size_t max_clients = SIZE_MAX;
  std::optional<ClusterState> cluster;
  // Asked before each command; what it returns is answered in RESP, and nothing is
  // executed.
  std::function<std::optional<std::string>(std::int64_t client,
                                           const std::vector<std::string>& command)>
      answer;
  std::uint64_t function_calls = 0;
  // Told of each function that a client's command has run, with the reply in RESP.
  std::function<void(const std::vector<std::string>& command, const std::string& reply)>
      on_function;

 private:
  struct Connection {
    std::string user;  // empty: nobody yet
    bool asking = false;
    bool readonly = false;
    bool in_transaction = false;
    bool aborts = false;  // the transaction: something in it was refused
    std::vector<std::vector<std::string>> queued;
  };
  // A command of the server itself; scripts may not send it.
  struct ServerCommand {
    std::string_view name;
    int arity;
    bool always = false;  // executed also while the server refuses to serve
    void (SimulatedServer::*run)(Connection&, Arguments, ReplySink&);
  };
  // What the words of a command say, before it is executed.
  struct Parsed {
    const KeyCommand* key_command = nullptr;
    const ServerCommand* server_command = nullptr;
    std::string error;
    Arguments keys;
    bool writes = false;
  };

  static const ServerCommand* FindServerCommand(std::string_view name);
  Parsed Parse(Arguments words) const;
  Connection& ConnectionOf(std::int64_t client);
  void Run(Connection& connection, Arguments words, ReplySink& reply);
  void RunParsed(Connection& connection, const Parsed& parsed, Arguments words, ReplySink& reply);
  // Why a command is not executed; empty: it is.
  std::string Refusal(Connection& connection, const Parsed& parsed, Arguments words);
  std::string Denial(const Connection& connection, Arguments words) const;  // by the user's rights
  void RunKeyCommand(const KeyCommand& command, Arguments words, ReplySink& reply);
  void ExecuteInScript(Arguments words, ReplySink& reply) override;
  std::string ScriptRefusal(const KeyCommand& command, Arguments words);

  void RunAuth(Connection& connection, Arguments words, ReplySink& reply);
  void RunHello(Connection& connection, Arguments words, ReplySink& reply);
  void RunInfo(Connection& connection, Arguments words, ReplySink& reply);
  void RunClient(Connection& connection, Arguments words, ReplySink& reply);
  void RunCluster(Connection& connection, Arguments words, ReplySink& reply);
  void RunFunction(Connection& connection, Arguments words, ReplySink& reply);
  void RunFcall(Connection& connection, Arguments words, ReplySink& reply);
  void RunPing(Connection& connection, Arguments words, ReplySink& reply);
  void RunState(Connection& connection, Arguments words, ReplySink& reply);
  void RunExec(Connection& connection, Arguments words, ReplySink& reply);
  void RunWait(Connection& connection, Arguments words, ReplySink& reply);
  void ListFunctions(Arguments words, ReplySink& reply) const;
  void Login(Connection& connection, std::string_view user, std::string_view password,
             ReplySink& reply, bool say_ok);

  void Propagate(Arguments words);
  void SendChanges();
  void Apply(const std::vector<std::string>& words);
  void LeavePrimary();

  Options options_;
  KeySpace keys_;
  std::unique_ptr<LuaEngine> lua_;
  std::map<std::int64_t, Connection> connections_;
  std::set<std::int64_t> closed_;
  std::int64_t now_us_ = 0;
  std::int64_t current_client_ = 0;

  // While a function runs.
  Connection* caller_ = nullptr;
  bool read_only_script_ = false;
  int script_slot_ = -1;

  SimulatedServer* primary_ = nullptr;
  std::vector<SimulatedServer*> replicas_;
  bool link_open_ = true;
  using Change = std::vector<std::string>;
  std::deque<std::vector<Change>> link_;  // on their way from the primary, by command
  std::vector<Change> changes_;           // of the command that is being executed
  std::string history_;                   // master_replid
  std::string former_history_;            // master_replid2
  std::uint64_t histories_ = 0;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SIMULATED_SERVER_H_
