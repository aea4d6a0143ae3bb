// SPDX-License-Identifier: Apache-2.0
//
// Finds out which lines of a text hold code, by reading the compiled form. This form has the line
// of every instruction, also in functions that are never called.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <lua5.1/lua.hpp>
#include <set>
#include <string>

#include "testing/simulation/lua_engine.h"

namespace ffgrant::valkey::testing {
namespace {

// Reads the form that lua_dump() of Lua 5.1 writes on this machine.
class CompiledReader {
 public:
  explicit CompiledReader(std::string_view bytes) : rest_(bytes) { Skip(12); }  // header

  void ReadFunction(std::set<int>& lines) {
    SkipText();                 // source
    Skip(2 * sizeof(int) + 4);  // first and last line; upvalues, parameters, varargs, stack size
    Skip(ReadInt() * sizeof(std::uint32_t));  // instructions
    for (std::size_t i = ReadInt(); i > 0; --i) SkipConstant();
    for (std::size_t i = ReadInt(); i > 0; --i) ReadFunction(lines);
    const std::size_t count = ReadInt();
    for (std::size_t i = 0; i < count; ++i) {
      const int line = static_cast<int>(ReadInt());
      // The last instruction is a return that Lua has added, on the line of `end`.
      if (i + 1 < count) lines.insert(line);
    }
    for (std::size_t i = ReadInt(); i > 0; --i) {  // locals
      SkipText();
      Skip(2 * sizeof(int));
    }
    for (std::size_t i = ReadInt(); i > 0; --i) SkipText();  // names of upvalues
  }

 private:
  void Skip(std::size_t size) { rest_.remove_prefix(std::min(size, rest_.size())); }
  template <class T>
  T Take() {
    T value{};
    if (rest_.size() >= sizeof value) std::memcpy(&value, rest_.data(), sizeof value);
    Skip(sizeof value);
    return value;
  }
  std::size_t ReadInt() { return static_cast<std::size_t>(std::max(Take<int>(), 0)); }
  void SkipText() { Skip(Take<std::size_t>()); }
  void SkipConstant() {
    switch (Take<char>()) {
      case LUA_TBOOLEAN:
        return Skip(1);
      case LUA_TNUMBER:
        return Skip(sizeof(lua_Number));
      case LUA_TSTRING:
        return SkipText();
      default:
        return;
    }
  }

  std::string_view rest_;
};

int Append(lua_State*, const void* bytes, std::size_t size, void* out) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return 0;
}

}  // namespace

std::vector<int> LinesWithCode(std::string_view code) {
  std::set<int> lines;
  // The first line of a library is not Lua.
  if (code.starts_with("#!")) code.remove_prefix(std::min(code.find('\n'), code.size()));
  lua_State* const state = luaL_newstate();
  if (state != nullptr && luaL_loadbuffer(state, code.data(), code.size(), "=") == 0) {
    std::string compiled;
    lua_dump(state, &Append, &compiled);
    CompiledReader(compiled).ReadFunction(lines);
  }
  if (state != nullptr) lua_close(state);
  return {lines.begin(), lines.end()};
}

}  // namespace ffgrant::valkey::testing
