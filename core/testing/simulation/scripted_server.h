// SPDX-License-Identifier: Apache-2.0
//
// Test only: plays a server in a few lines. The server knows only the parts of the claim path about
// which the client makes promises: which worker has a grant, which leases were given, and which
// calls were executed. The server is deterministic; its clock is given to it.

#ifndef FFGRANT_TESTING_SIMULATION_SCRIPTED_SERVER_H_
#define FFGRANT_TESTING_SIMULATION_SCRIPTED_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/simulation/server_end.h"

namespace ffgrant::valkey::testing {

// Returns the commands that `bytes` begins with, and removes their bytes. This function is naive
// and uses no part of the client.
std::vector<Words> TakeCommands(std::string& bytes);

// Returns `command` with FlowFabric's name of the function that it calls; only `ffgrant_version`
// keeps its name. Tests use these names, whichever library the client uses.
Words WithFlowFabricName(Words command);

// These write RESP in the naive way.
std::string Bulk(std::string_view text);
std::string Integer(std::int64_t value);
std::string Array(const std::vector<std::string>& encoded);
// These return [1,"OK",fields...] and [0,code].
std::string OkReply(const Words& fields);
std::string RejectedReply(std::string_view code);

class ScriptedServer final : public ServerEnd {
 public:
  // Executes a command of connection `client_id` and returns its reply. `killed` gets the ids that
  // CLIENT KILL named.
  std::string Execute(std::int64_t client_id, const Words& command, std::int64_t now,
                      std::set<std::int64_t>& killed) override;

  // Is called before each command, and gets the command as WithFlowFabricName() returns it. If the
  // function returns a reply in RESP, the server answers with this reply, and executes nothing.
  std::function<std::optional<std::string>(std::int64_t client_id, const Words& command)> answer;

  // Replaces the process by another with the same data and another run id.
  void Restart() { ++process_; }

  // These functions say what has really happened on the server.
  bool WasCreated(const std::string& id) const { return executions_.count(id) != 0; }
  bool WasClaimed(const std::string& lease_id) const { return leases_.count(lease_id) != 0; }
  // Returns how often `function` was executed for execution `id`. `function` is FlowFabric's name;
  // calls by our name count too.
  int Executions(std::string_view function, std::string_view id) const;

  std::string mode = "standalone";  // or "cluster"
  // Whether our library is loaded. In its versions before 4 the functions have FlowFabric's names.
  bool has_library = true;
  bool foreign_library = false;  // whether FlowFabric's own library is loaded
  std::string own_version{kFunctionLibraryVersion};
  std::string contract_version{kFunctionContractVersion};  // of FlowFabric's own library
  int loads = 0;
  int replaces = 0;
  // Subcommands of CLIENT that an ACL forbids.
  std::set<std::string> forbidden;
  // The functions that were called, whether they exist or not, in the order of the calls. Each
  // entry has the call's connection, and the name that was sent.
  std::vector<std::pair<std::int64_t, std::string>> called;
  bool WasCalled(std::string_view name) const;
  // Error texts that answer the next calls about executions; these calls are not executed.
  std::vector<std::string> refusals;
  // Is called after each command, which it gets as WithFlowFabricName() returns it. It may change
  // the reply.
  std::function<void(const Words& command, std::string& reply)> edit_reply;
  // Replies in RESP, by field name. A read of one of these fields of an execution that exists gets
  // the reply, whatever is stored.
  std::map<std::string, std::string> given_fields;

 private:
  struct Execution {
    std::string lane;
    std::string grant_worker;  // empty: there is no grant
    std::string lease_id;      // of the current lease; "ended" once the execution is completed
    std::string attempt_id;
    std::uint64_t epoch = 0;
    std::int64_t expires_at = 0;
    std::vector<std::string> history;  // lease ids
  };

  std::string Answer(std::int64_t client_id, const Words& command, std::int64_t now,
                     std::set<std::int64_t>& killed);
  bool HasFunction(std::string_view name) const;
  std::string Call(Words command, std::int64_t now);
  std::string CallOf(Execution& execution, const Words& command, std::int64_t now);
  std::string Library(const Words& command);
  std::string Claim(Execution& execution, const Words& command, std::size_t attempt_argument,
                    std::int64_t now);
  std::string Read(const Words& command) const;
  std::string ReadSet(const Words& command) const;

  int process_ = 1;
  std::map<std::string, Execution> executions_;
  std::set<std::string> leases_;
  std::map<std::string, int> calls_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SCRIPTED_SERVER_H_
