// SPDX-License-Identifier: Apache-2.0
//
// Commands as RESP arrays of bulk strings, written into a buffer that keeps
// its memory from one command to the next:
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
  // Appends to `out`, which must outlive this.
  explicit RespCommand(std::string& out) noexcept : out_(out) {}

  // Starts a command of `arguments` arguments, its name among them. Exactly as
  // many Arg() and Key() calls must follow.
  void Begin(std::size_t arguments) { Header('*', arguments); }

  void Arg(std::string_view bytes) {
    Header('$', bytes.size());
    out_.append(bytes);
    out_.append("\r\n", 2);
  }
  void Arg(const char* text) { Arg(std::string_view(text)); }
  void Arg(std::int64_t number);
  void Arg(std::uint64_t number);
  void Arg(const Uuid& uuid);

  // The name of one of FlowFabric's functions, "ff_renew_lease". The client calls
  // ours, "ffgrant_renew_lease", on a server where it uses our library: see
  // AppendCommand(). The name begins with "ff_". At most once for a command.
  void Function(std::string_view name) {
    function_.begin = out_.size();
    Arg(name);
    function_.end = out_.size();
  }

  // Where the bytes of that argument are in the output; empty without Function().
  struct FunctionArg {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  const FunctionArg& function() const noexcept { return function_; }

  // The key that `format(std::span<char>)` writes: one of key_names.h's
  // functions, bound to its arguments.
  template <class Format>
  void Key(const Format& format) {
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

  // Names without a limit of their own are in some keys.
  template <class Format>
  void LongKey(std::size_t size, const Format& format) {
    Header('$', size);
    const std::size_t begin = out_.size();
    out_.resize(begin + size);
    (void)format(std::span<char>(out_.data() + begin, size));
    out_.append("\r\n", 2);
  }

  std::string& out_;
  FunctionArg function_;
};

// Appends `command`, whose function is named at `function`, to `out`: as it is, or
// with `own` as a call of our library. Our functions are called like FlowFabric's
// but for the prefix: "ff_x" is "ffgrant_x".
void AppendCommand(std::string& out, std::string_view command,
                   const RespCommand::FunctionArg& function, bool own);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_RESP_COMMAND_H_
