// SPDX-License-Identifier: Apache-2.0
//
// Test only: what scripts see of the server. For lua_engine.cc alone.
//
// Lua leaves a function that fails by longjmp(): no function here may hold an
// object with a destructor when it calls lua_error().

#ifndef FFGRANT_TESTING_SIMULATION_LUA_API_H_
#define FFGRANT_TESTING_SIMULATION_LUA_API_H_

#include <string_view>

#include "testing/simulation/lua_engine.h"

struct lua_State;

namespace ffgrant::valkey::testing {

struct LuaApi {
  // Opens the libraries, and makes the two tables that globals are looked up in: one
  // while a library is loaded, one while a function runs.
  static void Open(LuaEngine& engine, lua_State* state);
  // Which of the two it is from now on.
  static void SeeLoading(lua_State* state, bool loading);
  // Makes a failure a table with err, source and line.
  static int OnError(lua_State* state);

  static int Call(lua_State* state);
  static int Pcall(lua_State* state);
  static int RegisterFunction(lua_State* state);

 private:
  static LuaEngine& Self(lua_State* state);
  static int Execute(lua_State* state, bool raise);
  static bool Run(LuaEngine& engine, lua_State* state);
  static const char* Register(LuaEngine& engine, lua_State* state);
};

// {err = `text`}, with ERR before a text that has no code.
void PushScriptError(lua_State* state, std::string_view text);

// The libraries that scripts have, as globals.
void OpenLuaLibraries(lua_State* state);

// The functions of `bit` on the top of the stack.
void PushBitLibrary(lua_State* state);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_LUA_API_H_
