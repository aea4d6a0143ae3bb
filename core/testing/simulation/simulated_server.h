// SPDX-License-Identifier: Apache-2.0
//
// Test only: plays a server process within this process. As Valkey 9 does, the server answers the
// commands that the client and the functions send, and runs the function libraries that are loaded
// into it. The server is given the time with every command, so a test can choose any time. The same
// commands at the same times have the same replies.
//
//   SimulatedServer server({.run_id = "run-1", .address = {"10.0.0.1", 6379}});
//   server.Execute(1, {"FUNCTION", "LOAD", source}, now_us);
//   server.Execute(1, {"FCALL", "ffgrant_version", "0"}, now_us);  // "$1\r\n5\r\n"
//
// A server serves one thread at a time. It must not be moved, because scripts and replicas keep its
// address.

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
  std::string password;  // empty: any password will do
  // Commands that the user may not send, neither alone nor by a script: "hset", or "client|kill".
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

  // Executes a command that came on connection `client`, and returns the reply in RESP2. A
  // connection exists from its first command on.
  std::string Execute(std::int64_t client, const std::vector<std::string>& command,
                      std::int64_t now_us);
  // Returns whether the server has closed this connection. Ids are never used twice.
  bool HasClosed(std::int64_t client) const { return closed_.count(client) != 0; }

  // Replaces the process by a new one with another run id. All connections are closed. `keeps_data`
  // says whether the new process has what was stored and loaded.
  void Restart(std::string run_id, bool keeps_data);
  void CloseConnections();
  void CloseConnection(std::int64_t client);

  // Makes this server a replica. It gets a copy of everything now, and each change from then on. A
  // link that is not open keeps the changes for later.
  void BecomeReplicaOf(SimulatedServer& primary);
  void Promote();  // loses the changes that the link still keeps
  bool is_replica() const { return primary_ != nullptr; }
  void SetLinkOpen(bool open);  // for a replica; opening the link delivers the kept changes
  std::size_t waiting_changes() const { return link_.size(); }
  // Delivers the changes of the next `count` commands that the link keeps.
  void Deliver(std::size_t count);
  // Gives replicas a copy of the keys once more. Call this after keys were changed from outside.
  void Resync();

  KeySpace& keys() { return keys_; }
  LuaEngine& lua() { return *lua_; }
  const std::string& run_id() const { return options_.run_id; }
  const Endpoint& address() const { return options_.address; }
  void Move(const Endpoint& address);
  // The error that the server answers instead of serving, such as `LOADING ...` or `BUSY ...`;
  // empty if it serves. OOM, MISCONF and NOREPLICAS refuse only commands that write. Any other
  // error refuses all commands but those that a server always executes (ServerCommand::always).
  std::string refusal;
  // The users by name. If there are none, everybody may do everything. A connection begins as
  // `default` if that user has no password.
  std::map<std::string, SimulatedUser> users;
  std::size_t max_clients = SIZE_MAX;
  std::optional<ClusterState> cluster;
  // Is called before each command. If the function returns a reply in RESP, the server answers with
  // this reply, and executes nothing.
  std::function<std::optional<std::string>(std::int64_t client,
                                           const std::vector<std::string>& command)>
      answer;
  std::uint64_t function_calls = 0;
  // Is called after each command by which a client has run a function, with the reply in RESP.
  std::function<void(const std::vector<std::string>& command, const std::string& reply)>
      on_function;
  // Is called with each message that is published, by a client or by a function. There are no
  // subscribers.
  std::function<void(std::string_view channel, std::string_view text)> on_publish;

 private:
  struct Connection {
    std::string user;  // empty: nobody has logged in yet
    bool asking = false;
    bool readonly = false;
    bool in_transaction = false;
    bool aborts = false;  // whether a command of the transaction was refused
    std::vector<std::vector<std::string>> queued;
  };
  // A command of the server itself; scripts may not send it.
  struct ServerCommand {
    std::string_view name;
    int arity;
    bool always = false;  // whether the command is executed even while the server refuses to serve
    void (SimulatedServer::*run)(Connection&, Arguments, ReplySink&);
  };
  // The meaning of a command's words, which is found out before the command is executed.
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
  // Returns why a command is not executed; empty if it is executed.
  std::string Refusal(Connection& connection, const Parsed& parsed, Arguments words);
  std::string Denial(const Connection& connection, Arguments words) const;  // by the user's rights
  void RunKeyCommand(const KeyCommand& command, Arguments words, ReplySink& reply);
  void ExecuteInScript(Arguments words, ReplySink& reply) override;
  bool MayRunInScript(Arguments words) const override;
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

  // These members are set while a function runs.
  Connection* caller_ = nullptr;
  bool read_only_script_ = false;
  int script_slot_ = -1;

  SimulatedServer* primary_ = nullptr;
  std::vector<SimulatedServer*> replicas_;
  bool link_open_ = true;
  using Change = std::vector<std::string>;
  std::deque<std::vector<Change>> link_;  // changes on their way from the primary, by command
  std::vector<Change> changes_;           // changes of the command that is being executed
  std::string history_;                   // master_replid
  std::string former_history_;            // master_replid2
  std::uint64_t histories_ = 0;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SIMULATED_SERVER_H_
