// SPDX-License-Identifier: Apache-2.0
//
// Writes commands as RESP arrays of bulk strings into a buffer that keeps its memory from one
// command to the next:
//
//   *3\r\n $4\r\nHGET\r\n $1\r\nk\r\n $1\r\nf\r\n      (without the spaces)
//
// An argument may hold any bytes. Allocates only while the buffer still grows.

#ifndef FFGRANT_VALKEY_INTERNAL_RESP_COMMAND_H_
#define FFGRANT_VALKEY_INTERNAL_RESP_COMMAND_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/uuid.h"
#include "ffgrant/write_result.h"

namespace ffgrant::valkey::internal {

class RespCommand {
 public:
  // Appends the command to `out`, which must outlive this object.
  explicit RespCommand(std::string& out) noexcept : out_(out) {}

  // Starts a command of `arguments` arguments, its name among them. Exactly as many calls of Arg(),
  // Function() and Key() must follow.
  void Begin(std::size_t arguments) { Header('*', arguments); }

  // Begins a call of a function, "FCALL <function> <number of keys> <keys> <arguments>": Key() must
  // follow for each key, then Arg() for each argument, and then EndCall(), which fills in how many
  // of them there are. If `instead` is given, it is called in place of `function`. A command may
  // have only one call of a function.
  void BeginCall(std::string_view function, std::string_view instead);
  void EndCall();

  void Arg(std::string_view bytes) {
    ++arguments_;
    Header('$', bytes.size());
    out_.append(bytes);
    out_.append("\r\n", 2);
  }
  void Arg(const char* text) { Arg(std::string_view(text)); }
  void Arg(std::int64_t number);
  void Arg(std::uint64_t number);
  void Arg(const Uuid& uuid);

  // Writes the name of one of FlowFabric's functions, such as "ff_renew_lease"; the name must begin
  // with "ff_". On a server where the client uses our library, the client calls
  // "ffgrant_renew_lease" instead: see AppendCommand(). A command may have only one such name.
  void Function(std::string_view name) {
    function_.begin = out_.size();
    Arg(name);
    function_.end = out_.size();
  }

  // Where the argument that names the function begins and ends in the output; both are 0 if
  // Function() has not written a name.
  struct FunctionArg {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  const FunctionArg& function() const noexcept { return function_; }

  // Writes the key that `format(std::span<char>)` makes; `format` is one of key_names.h's
  // functions, bound to its arguments.
  template <class Format>
  void Key(const Format& format) {
    ++keys_;
    std::array<char, 256> room;
    const WriteResult written = format(std::span<char>(room));
    if (written) {
      Arg(std::string_view(room.data(), written.size));
    } else {
      LongKey(written.size, format);
    }
  }

 private:
  friend void AppendCommand(std::string& out, std::string_view command, const FunctionArg& function,
                            bool own);

  void Header(char kind, std::size_t count);

  // Writes a key that is longer than the room in Key(). There are such keys, because some contain
  // names that have no greatest length.
  template <class Format>
  void LongKey(std::size_t size, const Format& format) {
    ++arguments_;
    Header('$', size);
    const std::size_t begin = out_.size();
    out_.resize(begin + size);
    (void)format(std::span<char>(out_.data() + begin, size));
    out_.append("\r\n", 2);
  }

  std::string& out_;
  FunctionArg function_;
  std::size_t arguments_ = 0;  // how many arguments there are so far, keys among them
  std::size_t keys_ = 0;
  std::size_t call_begin_ = 0;  // where in the output the call begins
  std::size_t keys_begin_ = 0;  // where in the output the call's number of keys begins
};

// Appends `command` to `out`. If `own` is set and `function` says where a function is named, the
// command becomes a call of our library; otherwise it stays as it is. Our functions have the names
// of FlowFabric's except for the prefix: "ff_x" is "ffgrant_x".
void AppendCommand(std::string& out, std::string_view command,
                   const RespCommand::FunctionArg& function, bool own);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_RESP_COMMAND_H_
