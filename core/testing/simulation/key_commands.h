// SPDX-License-Identifier: Apache-2.0
//
// Test only: executes the commands on keys that the functions, the client and the tests use, with
// the arities, checks and texts of a Valkey 9 server. An option that none of these uses is refused,
// as the server refuses an unknown option.

#ifndef FFGRANT_TESTING_SIMULATION_KEY_COMMANDS_H_
#define FFGRANT_TESTING_SIMULATION_KEY_COMMANDS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "testing/simulation/key_space.h"
#include "testing/simulation/reply_sink.h"

namespace ffgrant::valkey::testing {

using Arguments = std::span<const std::string_view>;

struct CommandCall {
  KeySpace& keys;
  Arguments words;  // the command's name and its arguments; the arity is already checked
  ReplySink& reply;
  std::int64_t now_us = 0;
  bool changed = false;  // set if the command has written anything
};

struct KeyCommand {
  std::string_view name;
  int arity = 0;  // number of words, with the name; -n: at least n words
  bool writes = false;
  int first_key = 0;  // index of the word; 0: the command names no key
  int last_key = 0;   // index of the word; -1: the last word
  void (*run)(CommandCall&) = nullptr;

  bool Takes(std::size_t words) const {
    const int count = static_cast<int>(words);
    return arity >= 0 ? count == arity : count >= -arity;
  }
};

// Finds a command; the case of letters does not matter. Returns null if there is no such command.
const KeyCommand* FindKeyCommand(std::string_view name);

inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kNoInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kSyntax = "ERR syntax error";

// Returns whether `a` and `b` are equal apart from the case of ASCII letters.
bool SameWord(std::string_view a, std::string_view b);

// Each of these functions executes one command on a hash, a set, a sorted set or a stream.
// key_commands.cc lists all commands.
void RunHset(CommandCall& call);
void RunHget(CommandCall& call);
void RunHmget(CommandCall& call);
void RunHgetall(CommandCall& call);
void RunHdel(CommandCall& call);
void RunSadd(CommandCall& call);
void RunSrem(CommandCall& call);
void RunSmembers(CommandCall& call);
void RunSismember(CommandCall& call);
void RunZadd(CommandCall& call);
void RunZrem(CommandCall& call);
void RunZscore(CommandCall& call);
void RunZrange(CommandCall& call);
void RunZcard(CommandCall& call);
void RunXadd(CommandCall& call);
void RunXrange(CommandCall& call);
void RunXrevrange(CommandCall& call);
void RunXlen(CommandCall& call);

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_KEY_COMMANDS_H_
