// SPDX-License-Identifier: Apache-2.0
//
// Opens the libraries of Lua that scripts have. Replaces or removes some of their functions, as the
// server does or so that each run is the same.

#include <lua5.1/lua.hpp>

#include "testing/simulation/lua_api.h"

extern "C" int luaopen_cjson(lua_State* state);

namespace ffgrant::valkey::testing {
namespace {

// Does what pcall() of Lua does, except that an error of the server becomes the error's text.
int ProtectedCall(lua_State* state) {
  const int arguments = lua_gettop(state);
  lua_pushboolean(state, 1);
  lua_insert(state, 1);
  if (lua_pcall(state, arguments - 1, LUA_MULTRET, 0) != 0) {
    lua_remove(state, 1);
    if (lua_istable(state, -1)) {
      lua_getfield(state, -1, "err");
      if (lua_isstring(state, -1)) lua_replace(state, -2);
    }
    lua_pushboolean(state, 0);
    lua_insert(state, 1);
  }
  return lua_gettop(state);
}

// Does what tostring() of Lua does, except that all tables, functions and threads have the same
// address, since true addresses differ from run to run.
int ToString(lua_State* state) {
  luaL_checkany(state, 1);
  const int type = lua_type(state, 1);
  if ((type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TTHREAD) &&
      luaL_callmeta(state, 1, "__tostring") == 0) {
    lua_pushfstring(state, "%s: 0x0", luaL_typename(state, 1));
    return 1;
  }
  lua_pushvalue(state, lua_upvalueindex(1));
  lua_pushvalue(state, 1);
  lua_call(state, 1, 1);
  return 1;
}

int Clock(lua_State* state) {
  lua_pushnumber(state, 0);
  return 1;
}

void Open(lua_State* state, const char* name, lua_CFunction open) {
  lua_pushcfunction(state, open);
  lua_pushstring(state, name);
  lua_call(state, 1, 0);
}

}  // namespace

void OpenLuaLibraries(lua_State* state) {
  Open(state, "", &luaopen_base);
  Open(state, LUA_TABLIBNAME, &luaopen_table);
  Open(state, LUA_STRLIBNAME, &luaopen_string);
  Open(state, LUA_MATHLIBNAME, &luaopen_math);
  lua_getglobal(state, "math");
  for (const char* const name : {"random", "randomseed"}) {
    lua_pushnil(state);
    lua_setfield(state, -2, name);
  }
  lua_pop(state, 1);
  for (const char* const name : {"dofile", "loadfile", "print"}) {
    lua_pushnil(state);
    lua_setglobal(state, name);
  }
  lua_pushcfunction(state, &luaopen_cjson);
  lua_call(state, 0, 1);
  lua_setglobal(state, "cjson");
  PushBitLibrary(state);
  lua_setglobal(state, "bit");
  lua_newtable(state);
  lua_pushcfunction(state, &Clock);
  lua_setfield(state, -2, "clock");
  lua_setglobal(state, "os");
  lua_pushcfunction(state, &ProtectedCall);
  lua_setglobal(state, "pcall");
  lua_getglobal(state, "tostring");
  lua_pushcclosure(state, &ToString, 1);
  lua_setglobal(state, "tostring");
}

}  // namespace ffgrant::valkey::testing
