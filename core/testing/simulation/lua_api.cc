// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/lua_api.h"

#include <algorithm>
#include <cstring>
#include <lua5.1/lua.hpp>
#include <string>

#include "testing/simulation/sha1.h"

namespace ffgrant::valkey::testing {
namespace {

const char kSelf = 0;     // its address is the engine's key in the registry
const char kRunning = 0;  // key of the globals that functions see
const char kLoading = 0;  // key of the globals that a library sees while it is loaded

void* Key(const char& name) { return const_cast<char*>(&name); }

std::string_view TextAt(lua_State* state, int index) {
  std::size_t size = 0;
  const char* const text = lua_tolstring(state, index, &size);
  return text == nullptr ? std::string_view() : std::string_view(text, size);
}

// Puts a reply onto the stack of a script.
class LuaSink final : public ReplySink {
 public:
  explicit LuaSink(lua_State* state) : state_(state) {}
  void Integer(std::int64_t value) override {
    lua_pushnumber(state_, static_cast<lua_Number>(value));
    Done();
  }
  void Bulk(std::string_view text) override {
    lua_pushlstring(state_, text.data(), text.size());
    Done();
  }
  void Nil() override {
    lua_pushboolean(state_, 0);
    Done();
  }
  void NilArray() override { Nil(); }
  void Status(std::string_view text) override {
    lua_createtable(state_, 0, 1);
    lua_pushlstring(state_, text.data(), text.size());
    lua_setfield(state_, -2, "ok");
    Done();
  }
  void Error(std::string_view text) override {
    PushScriptError(state_, text);
    failed_ = depth_ == 0;
    Done();
  }
  void Array(std::size_t size) override {
    lua_createtable(state_, static_cast<int>(size), 0);
    if (size == 0) return Done();
    open_[depth_++] = {size, 0};
  }
  bool failed() const { return failed_; }

 private:
  static constexpr int kMaxDepth = 8;
  struct Open {
    std::size_t size;
    std::size_t done;
  };

  // Is called when the value on the top of the stack is complete: moves the value into the array
  // around it.
  void Done() {
    while (depth_ > 0) {
      Open& open = open_[depth_ - 1];
      lua_rawseti(state_, -2, static_cast<int>(++open.done));
      if (open.done < open.size) return;
      --depth_;
    }
  }

  lua_State* state_;
  Open open_[kMaxDepth];
  int depth_ = 0;
  bool failed_ = false;
};

int Sha1HexOf(lua_State* state) {
  if (lua_gettop(state) != 1) {
    PushScriptError(state, "ERR wrong number of arguments");
    return lua_error(state);
  }
  const auto hex = Sha1Hex(TextAt(state, 1));
  lua_pushlstring(state, hex.data(), hex.size());
  return 1;
}

bool IsOneText(lua_State* state) {
  return lua_gettop(state) == 1 && lua_type(state, 1) == LUA_TSTRING;
}

int ErrorReply(lua_State* state) {
  if (!IsOneText(state)) {
    PushScriptError(state, "ERR wrong number or type of arguments");
    return 1;
  }
  std::string_view text = TextAt(state, 1);
  if (text.starts_with('-')) text.remove_prefix(1);
  PushScriptError(state, text);
  return 1;
}

int StatusReply(lua_State* state) {
  if (!IsOneText(state)) {
    PushScriptError(state, "ERR wrong number or type of arguments");
    return 1;
  }
  lua_createtable(state, 0, 1);
  lua_pushvalue(state, 1);
  lua_setfield(state, -2, "ok");
  return 1;
}

int NoSuchGlobal(lua_State* state) {
  return luaL_error(state, "Script attempted to access nonexistent global variable '%s'",
                    luaL_optstring(state, 2, "?"));
}

int NoWrite(lua_State* state) { return luaL_error(state, "Attempt to modify a readonly table"); }

// Makes it an error to read a field that the table on the top of the stack lacks.
void RefuseMissing(lua_State* state) {
  lua_createtable(state, 0, 1);
  lua_pushcfunction(state, &NoSuchGlobal);
  lua_setfield(state, -2, "__index");
  lua_setmetatable(state, -2);
}

void SetFunction(lua_State* state, const char* name, lua_CFunction function) {
  lua_pushcfunction(state, function);
  lua_setfield(state, -2, name);
}

// Pushes a field of the table at index 1 of the stack, without asking the table's metamethods,
// which could fail.
void PushRawField(lua_State* state, const char* name) {
  lua_pushstring(state, name);
  lua_rawget(state, 1);
}

}  // namespace

void PushScriptError(lua_State* state, std::string_view text) {
  lua_createtable(state, 0, 3);
  const bool has_code = text.find(' ') != std::string_view::npos;
  lua_pushlstring(state, has_code ? "" : "ERR ", has_code ? 0 : 4);
  lua_pushlstring(state, text.data(), text.size());
  lua_concat(state, 2);
  lua_setfield(state, -2, "err");
}

LuaEngine& LuaApi::Self(lua_State* state) {
  lua_pushlightuserdata(state, Key(kSelf));
  lua_rawget(state, LUA_REGISTRYINDEX);
  auto* const engine = static_cast<LuaEngine*>(lua_touserdata(state, -1));
  lua_pop(state, 1);
  return *engine;
}

void LuaApi::Open(LuaEngine& engine, lua_State* state) {
  lua_pushlightuserdata(state, Key(kSelf));
  lua_pushlightuserdata(state, &engine);
  lua_rawset(state, LUA_REGISTRYINDEX);
  OpenLuaLibraries(state);

  lua_newtable(state);
  SetFunction(state, "call", &LuaApi::Call);
  SetFunction(state, "pcall", &LuaApi::Pcall);
  SetFunction(state, "sha1hex", &Sha1HexOf);
  SetFunction(state, "error_reply", &ErrorReply);
  SetFunction(state, "status_reply", &StatusReply);
  SetFunction(state, "acl_check_cmd", &LuaApi::AclCheckCmd);
  lua_pushvalue(state, -1);
  lua_setglobal(state, "redis");
  lua_setglobal(state, "server");
  lua_pushlightuserdata(state, Key(kRunning));
  lua_pushvalue(state, LUA_GLOBALSINDEX);
  RefuseMissing(state);
  lua_rawset(state, LUA_REGISTRYINDEX);

  lua_pushlightuserdata(state, Key(kLoading));
  lua_newtable(state);
  lua_newtable(state);
  SetFunction(state, "register_function", &LuaApi::RegisterFunction);
  RefuseMissing(state);
  lua_pushvalue(state, -1);
  lua_setfield(state, -3, "redis");
  lua_setfield(state, -2, "server");
  RefuseMissing(state);
  lua_rawset(state, LUA_REGISTRYINDEX);

  // The table of globals that code sees is empty: each global is read from one of the two tables.
  lua_newtable(state);
  lua_newtable(state);
  SetFunction(state, "__newindex", &NoWrite);
  lua_setmetatable(state, -2);
  lua_replace(state, LUA_GLOBALSINDEX);
  SeeLoading(state, false);
}

void LuaApi::SeeLoading(lua_State* state, bool loading) {
  lua_getmetatable(state, LUA_GLOBALSINDEX);
  lua_pushlightuserdata(state, Key(loading ? kLoading : kRunning));
  lua_rawget(state, LUA_REGISTRYINDEX);
  lua_setfield(state, -2, "__index");
  lua_pop(state, 1);
}

int LuaApi::OnError(lua_State* state) {
  lua_Debug place;
  bool known = lua_getstack(state, 1, &place) != 0 && lua_getinfo(state, "Sl", &place) != 0;
  if (known && std::strcmp(place.what, "C") == 0) {
    known = lua_getstack(state, 2, &place) != 0 && lua_getinfo(state, "Sl", &place) != 0;
  }
  if (!lua_istable(state, 1)) {
    lua_createtable(state, 0, 3);
    lua_pushliteral(state, "ERR ");
    lua_pushstring(state, lua_isstring(state, 1) ? lua_tostring(state, 1) : "nil");
    lua_concat(state, 2);
    lua_setfield(state, -2, "err");
    lua_replace(state, 1);
  }
  lua_settop(state, 1);
  if (known) {
    lua_pushstring(state, place.source);
    lua_setfield(state, 1, "source");
    lua_pushinteger(state, place.currentline);
    lua_setfield(state, 1, "line");
  }
  return 1;
}

int LuaApi::Call(lua_State* state) { return Execute(state, true); }
int LuaApi::Pcall(lua_State* state) { return Execute(state, false); }

int LuaApi::Execute(lua_State* state, bool raise) {
  const bool failed = Run(Self(state), state);
  return failed && raise ? lua_error(state) : 1;
}

int LuaApi::AclCheckCmd(lua_State* state) {
  LuaEngine& engine = Self(state);
  if (!TakeWords(engine, state)) return lua_error(state);
  lua_pushboolean(state, engine.host_.MayRunInScript(engine.words_) ? 1 : 0);
  return 1;
}

// Leaves the reply on the stack. Returns true if the reply is an error.
bool LuaApi::Run(LuaEngine& engine, lua_State* state) {
  if (!TakeWords(engine, state)) return true;
  LuaSink sink(state);
  engine.host_.ExecuteInScript(engine.words_, sink);
  return sink.failed();
}

bool LuaApi::TakeWords(LuaEngine& engine, lua_State* state) {
  const int count = lua_gettop(state);
  luaL_checkstack(state, 16, "no room for a reply");
  if (count == 0) {
    PushScriptError(state, "ERR Please specify at least one argument for this call");
    return false;
  }
  engine.words_.clear();
  if (engine.numbers_.size() < static_cast<std::size_t>(count)) {
    engine.numbers_.resize(static_cast<std::size_t>(count));
  }
  for (int i = 1; i <= count; ++i) {
    if (lua_type(state, i) == LUA_TNUMBER) {
      auto& text = engine.numbers_[static_cast<std::size_t>(i - 1)];
      engine.words_.emplace_back(text.data(), FormatNumber(lua_tonumber(state, i), text));
    } else if (lua_type(state, i) == LUA_TSTRING) {
      engine.words_.push_back(TextAt(state, i));
    } else {
      PushScriptError(state, "ERR Command arguments must be strings or integers");
      return false;
    }
  }
  return true;
}

int LuaApi::RegisterFunction(lua_State* state) {
  const char* const error = Register(Self(state), state);
  if (error == nullptr) return 0;
  PushScriptError(state, error);
  return lua_error(state);
}

// register_function(name, callback), or one table with function_name, callback and flags. Returns
// null, or what is wrong.
const char* LuaApi::Register(LuaEngine& engine, lua_State* state) {
  if (!engine.loading_) {
    return "ERR server.register_function can only be called on FUNCTION LOAD command";
  }
  const int count = lua_gettop(state);
  if (count < 1 || count > 2) {
    return "ERR wrong number of arguments to server.register_function";
  }
  LuaEngine::Function function;
  if (count == 1) {
    if (!lua_istable(state, 1)) {
      return "ERR calling server.register_function with a single argument is only applicable to "
             "Lua table (representing named arguments).";
    }
    PushRawField(state, "flags");
    for (int i = 1; lua_istable(state, -1) && i <= static_cast<int>(lua_objlen(state, -1)); ++i) {
      lua_rawgeti(state, -1, i);
      const std::string_view flag = TextAt(state, -1);
      if (flag != "no-writes") return "ERR unknown flag given";
      function.no_writes = true;
      lua_pop(state, 1);
    }
    PushRawField(state, "function_name");
    PushRawField(state, "callback");
    lua_replace(state, 1);
    lua_replace(state, 2);
    lua_settop(state, 2);
    lua_insert(state, 1);
  }
  if (!lua_isstring(state, 1)) {
    return "ERR first argument to server.register_function must be a string";
  }
  if (!lua_isfunction(state, 2)) {
    return "ERR second argument to server.register_function must be a function";
  }
  const std::string_view name = TextAt(state, 1);
  if (name.empty() || !std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_';
      })) {
    return "ERR Function names can only contain letters, numbers, or underscores(_) and must be at "
           "least one character long";
  }
  if (engine.pending_.contains(name)) return "ERR Function already exists in the library";
  function.reference = luaL_ref(state, LUA_REGISTRYINDEX);
  engine.pending_.emplace(name, function);
  return nullptr;
}

}  // namespace ffgrant::valkey::testing
