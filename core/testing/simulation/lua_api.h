// SPDX-License-Identifier: Apache-2.0
//
// Test only: has the functions and values by which scripts see the server. Only the files lua_*.cc
// use it.
//
// If a Lua function fails, longjmp() leaves it. So no function here may hold an object with a
// destructor when it calls lua_error().

#ifndef FFGRANT_TESTING_SIMULATION_LUA_API_H_
#define FFGRANT_TESTING_SIMULATION_LUA_API_H_

#include <string_view>

#include "testing/simulation/lua_engine.h"

struct lua_State;

namespace ffgrant::valkey::testing {

struct LuaApi {
  // Opens Lua's libraries, and makes the two tables in which globals are looked up. One is used
  // while a function library is loaded, the other while a function runs.
  static void Open(LuaEngine& engine, lua_State* state);
  // Chooses which of the two tables is used from now on.
  static void SeeLoading(lua_State* state, bool loading);
  // Turns a failure into a table with err, source and line.
  static int OnError(lua_State* state);

  static int Call(lua_State* state);
  static int Pcall(lua_State* state);
  static int RegisterFunction(lua_State* state);
  static int AclCheckCmd(lua_State* state);

 private:
  static LuaEngine& Self(lua_State* state);
  static int Execute(lua_State* state, bool raise);
  static bool Run(LuaEngine& engine, lua_State* state);
  // Takes the words of a command from the stack. Pushes an error and returns false if there are
  // none, or if one is neither a text nor a number.
  static bool TakeWords(LuaEngine& engine, lua_State* state);
  static const char* Register(LuaEngine& engine, lua_State* state);
};

// Pushes {err = `text`}; puts ERR before a text without a space, since such a text has no code.
void PushScriptError(lua_State* state, std::string_view text);

// Opens the libraries that scripts have, as globals.
void OpenLuaLibraries(lua_State* state);

// Pushes a table with the functions of `bit`.
void PushBitLibrary(lua_State* state);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_LUA_API_H_
