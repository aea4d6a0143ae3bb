// SPDX-License-Identifier: Apache-2.0
//
// Test only: runs function libraries by Lua 5.1 in this process, as a Valkey 9 server runs them.
// The libraries, the globals, the conversion of numbers, texts and replies, and the texts of errors
// are the same.
//
// README.md here lists what differs from the server.
//
// An engine serves one thread at a time. It throws nothing; it ends the program if it runs out of
// memory.

#ifndef FFGRANT_TESTING_SIMULATION_LUA_ENGINE_H_
#define FFGRANT_TESTING_SIMULATION_LUA_ENGINE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/key_commands.h"
#include "testing/simulation/number_text.h"
#include "testing/simulation/reply_sink.h"

struct lua_State;

namespace ffgrant::valkey::testing {

// Executes what a script hands to redis.call() and redis.pcall().
class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  // Executes `words`, which is not empty, and gives exactly one reply. If the reply is an error,
  // redis.call() fails with it.
  virtual void ExecuteInScript(Arguments words, ReplySink& reply) = 0;
  // Returns whether the script's caller has the right to run `words`, which is not empty.
  virtual bool MayRunInScript(Arguments words) const = 0;
};

class LuaHeap;

class LuaEngine {
 public:
  struct Function {
    std::string library;
    int reference = 0;  // the function's index in Lua's registry
    bool no_writes = false;
  };

  explicit LuaEngine(ScriptHost& host);
  ~LuaEngine();
  LuaEngine(const LuaEngine&) = delete;
  LuaEngine& operator=(const LuaEngine&) = delete;

  // Does FUNCTION LOAD. If this succeeds, returns "" and sets `name` to the library's name;
  // otherwise returns the error's text and leaves the loaded libraries as they are.
  std::string Load(std::string_view code, bool replace, std::string& name);
  bool Delete(std::string_view library);
  void Flush();

  const Function* Find(std::string_view function) const;
  // Returns the functions by name. The member `library` of a function is the name of its library.
  const TextMap<Function>& functions() const { return functions_; }
  const std::map<std::string, std::string>& libraries() const { return libraries_; }  // -> code

  void Call(const Function& function, Arguments keys, Arguments args, ReplySink& reply);

  // Collects what is garbage, and returns how many KiB are left in use.
  int CollectGarbage();

  // From now on counts how often each line of `library` is executed, by calls and by the loading
  // itself, as long as the library is loaded. An empty `library` ends the counting. Counting takes
  // about as long as executing.
  void CountLines(std::string_view library);
  // Returns how often each line that holds code has run; lines are counted from 1 as in the loaded
  // text.
  std::map<int, std::uint64_t> LineCounts() const;

 private:
  friend struct LuaApi;
  struct Close {
    void operator()(lua_State* state) const;
  };

  std::string Run(std::string_view body, std::string_view library);
  // Begins to count lines if `library` is the one that is counted. Returns whether the counting has
  // begun.
  bool BeginCounting(std::string_view library);
  void DropPending();
  void Unlink(std::string_view library);
  void Reply(ReplySink& reply, int depth);
  void ReplyToFailure(ReplySink& reply);

  ScriptHost& host_;
  std::unique_ptr<LuaHeap> heap_;
  std::unique_ptr<lua_State, Close> state_;
  TextMap<Function> functions_;
  std::map<std::string, std::string> libraries_;
  TextMap<Function> pending_;  // registered by the library that is being loaded
  bool loading_ = false;
  std::vector<std::string_view> words_;  // of redis.call(); a member so that its memory is kept
  std::vector<std::array<char, kMaxNumberText>> numbers_;
  std::string counted_library_;
  std::vector<std::uint64_t> counts_;  // by line
};

// Returns the lines of `code` that hold code, also in functions that are never called. Returns none
// if `code` does not compile.
std::vector<int> LinesWithCode(std::string_view code);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_LUA_ENGINE_H_
