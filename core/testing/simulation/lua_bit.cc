// SPDX-License-Identifier: Apache-2.0
//
// Has the functions of `bit`, except tohex, rol, ror and bswap. Numbers are taken modulo 2^32, and
// the results are signed.

#include <bit>
#include <cstdint>
#include <lua5.1/lua.hpp>

#include "testing/simulation/lua_api.h"

namespace ffgrant::valkey::testing {
namespace {

std::uint32_t BitsAt(lua_State* state, int index) {
  // Adding 2^52 + 2^51 rounds a double to a whole number, which then stands in its low bits.
  return static_cast<std::uint32_t>(
      std::bit_cast<std::uint64_t>(luaL_checknumber(state, index) + 6755399441055744.0));
}

int Push(lua_State* state, std::uint32_t bits) {
  lua_pushnumber(state, static_cast<std::int32_t>(bits));
  return 1;
}

template <class Join>
int Fold(lua_State* state, Join join) {
  std::uint32_t bits = BitsAt(state, 1);
  for (int i = lua_gettop(state); i > 1; --i) bits = join(bits, BitsAt(state, i));
  return Push(state, bits);
}

int ToBit(lua_State* state) { return Push(state, BitsAt(state, 1)); }
int Not(lua_State* state) { return Push(state, ~BitsAt(state, 1)); }
int And(lua_State* state) {
  return Fold(state, [](std::uint32_t a, std::uint32_t b) { return a & b; });
}
int Or(lua_State* state) {
  return Fold(state, [](std::uint32_t a, std::uint32_t b) { return a | b; });
}
int Xor(lua_State* state) {
  return Fold(state, [](std::uint32_t a, std::uint32_t b) { return a ^ b; });
}
int ShiftLeft(lua_State* state) { return Push(state, BitsAt(state, 1) << (BitsAt(state, 2) & 31)); }
int ShiftRight(lua_State* state) {
  return Push(state, BitsAt(state, 1) >> (BitsAt(state, 2) & 31));
}
int ShiftRightSigned(lua_State* state) {
  const auto bits = static_cast<std::int32_t>(BitsAt(state, 1));
  return Push(state, static_cast<std::uint32_t>(bits >> (BitsAt(state, 2) & 31)));
}

}  // namespace

void PushBitLibrary(lua_State* state) {
  static constexpr luaL_Reg kFunctions[] = {
      {"tobit", &ToBit},       {"bnot", &Not},
      {"band", &And},          {"bor", &Or},
      {"bxor", &Xor},          {"lshift", &ShiftLeft},
      {"rshift", &ShiftRight}, {"arshift", &ShiftRightSigned},
  };
  lua_newtable(state);
  for (const luaL_Reg& function : kFunctions) {
    lua_pushcfunction(state, function.func);
    lua_setfield(state, -2, function.name);
  }
}

}  // namespace ffgrant::valkey::testing
