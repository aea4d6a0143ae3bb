// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/lua_engine.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <lua5.1/lua.hpp>
#include <mutex>
#include <utility>

#include "testing/simulation/lua_api.h"
#include "testing/simulation/lua_heap.h"

namespace ffgrant::valkey::testing {
namespace {

int OnPanic(lua_State*) { std::abort(); }

std::string OwnText(lua_State* state, int index) {
  std::size_t size = 0;
  const char* const text = lua_tolstring(state, index, &size);
  return text == nullptr ? "" : std::string(text, size);
}

// Reads a field of the table on the top of the stack without asking its metamethods, because
// nothing would catch their failure.
std::string TopField(lua_State* state, const char* name) {
  lua_pushstring(state, name);
  lua_rawget(state, -2);
  std::string text = lua_isstring(state, -1) ? OwnText(state, -1) : "";
  lua_pop(state, 1);
  return text;
}

void PushArray(lua_State* state, Arguments texts) {
  lua_createtable(state, static_cast<int>(texts.size()), 0);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    lua_pushlstring(state, texts[i].data(), texts[i].size());
    lua_rawseti(state, -2, static_cast<int>(i + 1));
  }
}

bool IsName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_';
  });
}

// Reads `#!lua name=NAME`, the first line of a library. Returns "" or what is wrong.
std::string ReadFirstLine(std::string_view line, std::string& name) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t end = std::min(line.find(' '), line.size());
    if (end > 0) words.push_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  bool given = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("name=")) return "ERR Invalid metadata value given: " + std::string(word);
    if (given) return "ERR Invalid metadata value, name argument was given multiple times";
    given = true;
    name = word.substr(5);
  }
  if (!given) return "ERR Library name was not given";
  if (!IsName(name)) {
    return "ERR Library names can only contain letters, numbers, or underscores(_) and must be at "
           "least one character long";
  }
  const std::string engine(words.front().substr(2));
  return SameWord(engine, "lua") ? "" : "ERR Engine '" + engine + "' not found";
}

// The counts of the engine whose lines are counted. The pointer is global because Lua gives a hook
// nothing but the state and the place in the code.
thread_local std::vector<std::uint64_t>* counting = nullptr;

void CountLine(lua_State*, lua_Debug* place) {
  const auto line = static_cast<std::size_t>(place->currentline);
  if (counting->size() <= line) counting->resize(line + 1);
  ++(*counting)[line];
}

// Collects, for scripts/coverage, the counts of our library's lines from all engines of the
// process. If the environment names a directory, the process leaves a file there, with "LINE COUNT"
// for each line that holds code.
class CountsOfProcess {
 public:
  CountsOfProcess() {
    if (const char* const directory = std::getenv("FFGRANT_LUA_COUNTS")) directory_ = directory;
  }
  ~CountsOfProcess() {
    if (totals_.empty()) return;
    std::ofstream file(directory_ + "/" + std::to_string(getpid()));
    for (const auto& [line, count] : totals_) file << line << ' ' << count << '\n';
  }
  bool wanted() const { return !directory_.empty(); }
  void Add(const std::map<int, std::uint64_t>& counts) {
    const std::scoped_lock lock(mutex_);
    for (const auto& [line, count] : counts) totals_[line] += count;
  }

 private:
  std::string directory_;
  std::mutex mutex_;
  std::map<int, std::uint64_t> totals_;
};

CountsOfProcess& OfProcess() {
  static CountsOfProcess counts;
  return counts;
}

}  // namespace

void LuaEngine::Close::operator()(lua_State* state) const { lua_close(state); }

LuaEngine::LuaEngine(ScriptHost& host)
    : host_(host),
      heap_(std::make_unique<LuaHeap>()),
      state_(lua_newstate(&LuaHeap::Allocate, heap_.get())) {
  lua_atpanic(state_.get(), &OnPanic);
  LuaApi::Open(*this, state_.get());
  if (OfProcess().wanted()) CountLines("ffgrant");
}

LuaEngine::~LuaEngine() {
  if (OfProcess().wanted() && counted_library_ == "ffgrant") OfProcess().Add(LineCounts());
}

const LuaEngine::Function* LuaEngine::Find(std::string_view function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() ? nullptr : &found->second;
}

std::string LuaEngine::Load(std::string_view code, bool replace, std::string& name) {
  if (!code.starts_with("#!")) return "ERR Missing library metadata";
  const std::size_t end = code.find('\n');
  if (end == std::string_view::npos) return "ERR Invalid library metadata";
  name.clear();
  std::string error = ReadFirstLine(code.substr(0, end), name);
  if (error.empty() && libraries_.contains(name) && !replace) {
    error = "ERR Library '" + name + "' already exists";
  }
  // The first line break stays, so that lines keep their numbers.
  if (error.empty()) error = Run(code.substr(end), name);
  if (error.empty() && pending_.empty()) error = "ERR No functions registered";
  for (const auto& [function, unused] : pending_) {
    const Function* const there = Find(function);
    if (error.empty() && there != nullptr && there->library != name) {
      error = "ERR Function " + function + " already exists";
    }
  }
  if (!error.empty()) {
    DropPending();
    return error;
  }
  Unlink(name);
  for (auto& [function, made] : pending_) {
    made.library = name;
    functions_.emplace(function, made);
  }
  pending_.clear();
  libraries_[name] = code;
  return "";
}

// Runs the body of a library, which registers its functions.
std::string LuaEngine::Run(std::string_view body, std::string_view library) {
  lua_State* const state = state_.get();
  if (luaL_loadbuffer(state, body.data(), body.size(), "@user_function") != 0) {
    const std::string error = "ERR Error compiling function: " + OwnText(state, -1);
    lua_pop(state, 1);
    return error;
  }
  loading_ = true;
  LuaApi::SeeLoading(state, true);
  const bool counts = BeginCounting(library);
  const bool failed = lua_pcall(state, 0, 0, 0) != 0;
  if (counts) lua_sethook(state, nullptr, 0, 0);
  LuaApi::SeeLoading(state, false);
  loading_ = false;
  if (!failed) return "";
  const std::string text =
      lua_istable(state, -1) ? TopField(state, "err") : "ERR " + OwnText(state, -1);
  lua_pop(state, 1);
  // Errors about a function's name are reported as they are.
  const bool told = text.starts_with("ERR Function ");
  return told ? text : "ERR Error registering functions: " + text;
}

void LuaEngine::DropPending() {
  for (const auto& [name, function] : pending_) {
    luaL_unref(state_.get(), LUA_REGISTRYINDEX, function.reference);
  }
  pending_.clear();
}

void LuaEngine::Unlink(std::string_view library) {
  for (auto at = functions_.begin(); at != functions_.end();) {
    if (at->second.library != library) {
      ++at;
      continue;
    }
    luaL_unref(state_.get(), LUA_REGISTRYINDEX, at->second.reference);
    at = functions_.erase(at);
  }
}

bool LuaEngine::Delete(std::string_view library) {
  const auto found = libraries_.find(std::string(library));
  if (found == libraries_.end()) return false;
  Unlink(library);
  libraries_.erase(found);
  return true;
}

void LuaEngine::Flush() {
  while (!libraries_.empty()) Delete(std::string(libraries_.begin()->first));
}

bool LuaEngine::BeginCounting(std::string_view library) {
  if (counted_library_.empty() || library != counted_library_) return false;
  counting = &counts_;
  lua_sethook(state_.get(), &CountLine, LUA_MASKLINE, 0);
  return true;
}

int LuaEngine::CollectGarbage() {
  lua_gc(state_.get(), LUA_GCCOLLECT, 0);
  return lua_gc(state_.get(), LUA_GCCOUNT, 0);
}

void LuaEngine::Call(const Function& function, Arguments keys, Arguments args, ReplySink& reply) {
  lua_State* const state = state_.get();
  const bool counts = BeginCounting(function.library);
  lua_pushcfunction(state, &LuaApi::OnError);
  lua_rawgeti(state, LUA_REGISTRYINDEX, function.reference);
  PushArray(state, keys);
  PushArray(state, args);
  const bool failed = lua_pcall(state, 2, 1, -4) != 0;
  if (counts) lua_sethook(state, nullptr, 0, 0);
  failed ? ReplyToFailure(reply) : Reply(reply, 0);
  lua_settop(state, 0);
}

void LuaEngine::ReplyToFailure(ReplySink& reply) {
  lua_State* const state = state_.get();
  if (!lua_istable(state, -1)) return reply.Error("ERR Error running script");
  std::string text = TopField(state, "err");
  if (text.empty()) text = "ERR unknown error";
  const std::string line = TopField(state, "line");
  const std::string source = TopField(state, "source");
  if (!line.empty() && !source.empty()) text += " script: on " + source + ":" + line + ".";
  reply.Error(text);
}

// Turns the value on the top of the stack into a reply; the value stays there.
void LuaEngine::Reply(ReplySink& reply, int depth) {
  lua_State* const state = state_.get();
  if (depth > 100 || lua_checkstack(state, 4) == 0) {
    return reply.Error("ERR reached lua stack limit");
  }
  switch (lua_type(state, -1)) {
    case LUA_TSTRING:
      return reply.Bulk(OwnText(state, -1));
    case LUA_TBOOLEAN:
      return lua_toboolean(state, -1) != 0 ? reply.Integer(1) : reply.Nil();
    case LUA_TNUMBER:
      return reply.Integer(TruncateNumber(lua_tonumber(state, -1)));
    case LUA_TTABLE:
      break;
    default:
      return reply.Nil();
  }
  for (const char* const field : {"err", "ok"}) {
    lua_pushstring(state, field);
    lua_rawget(state, -2);
    const bool there = lua_type(state, -1) == LUA_TSTRING;
    const std::string text = there ? OwnText(state, -1) : "";
    lua_pop(state, 1);
    if (there) return *field == 'e' ? reply.Error(text) : reply.Status(text);
  }
  // An array ends before its first nil.
  int size = 0;
  for (bool there = true; there;) {
    lua_rawgeti(state, -1, size + 1);
    there = !lua_isnil(state, -1);
    size += there;
    lua_pop(state, 1);
  }
  reply.Array(static_cast<std::size_t>(size));
  for (int i = 1; i <= size; ++i) {
    lua_rawgeti(state, -1, i);
    Reply(reply, depth + 1);
    lua_pop(state, 1);
  }
}

void LuaEngine::CountLines(std::string_view library) {
  counted_library_ = library;
  counts_.clear();
}

std::map<int, std::uint64_t> LuaEngine::LineCounts() const {
  std::map<int, std::uint64_t> lines;
  const auto found = libraries_.find(counted_library_);
  if (found == libraries_.end()) return lines;
  for (const int line : LinesWithCode(found->second)) {
    const auto place = static_cast<std::size_t>(line);
    lines[line] = place < counts_.size() ? counts_[place] : 0;
  }
  return lines;
}

}  // namespace ffgrant::valkey::testing
