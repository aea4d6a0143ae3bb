// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/resp_command.h"

#include <charconv>

namespace ffgrant::valkey::internal {

void RespCommand::Header(char kind, std::size_t count) {
  std::array<char, 24> text;
  text[0] = kind;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, count).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out_.append(text.data(), static_cast<std::size_t>(end - text.data()));
}

namespace {
// These texts hold the places of the two numbers that EndCall() fills in; most of these numbers
// have two digits.
constexpr std::string_view kArgumentsLater = "*00\r\n";
constexpr std::string_view kKeysLater = "$2\r\n00\r\n";
}  // namespace

void RespCommand::BeginCall(std::string_view function, std::string_view instead) {
  call_begin_ = out_.size();
  out_.append(kArgumentsLater);
  arguments_ = keys_ = 0;
  Arg("FCALL");
  instead.empty() ? Function(function) : Arg(instead);
  keys_begin_ = out_.size();
  out_.append(kKeysLater);
  ++arguments_;
}

void RespCommand::EndCall() {
  std::string number;  // the text is so short that it allocates nothing
  RespCommand writer(number);
  writer.Arg(std::uint64_t{keys_});
  out_.replace(keys_begin_, kKeysLater.size(), number);
  number.clear();
  writer.Header('*', arguments_);
  out_.replace(call_begin_, kArgumentsLater.size(), number);
  // If Function() has not written a name, both places are 0.
  if (function_.end == 0) return;
  function_.begin += number.size() - kArgumentsLater.size();
  function_.end += number.size() - kArgumentsLater.size();
}

void RespCommand::Arg(std::int64_t number) {
  std::array<char, 24> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  Arg(std::string_view(text.data(), static_cast<std::size_t>(end - text.data())));
}

void RespCommand::Arg(std::uint64_t number) {
  std::array<char, 24> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
  Arg(std::string_view(text.data(), static_cast<std::size_t>(end - text.data())));
}

void RespCommand::Arg(const Uuid& uuid) {
  std::array<char, kUuidTextSize> text;
  FormatUuid(uuid, text);
  Arg(std::string_view(text.data(), text.size()));
}

void AppendCommand(std::string& out, std::string_view command,
                   const RespCommand::FunctionArg& function, bool own) {
  if (!own || function.begin == function.end) {
    out.append(command);
    return;
  }
  constexpr std::string_view kTheirs = "ff_";
  constexpr std::string_view kOurs = "ffgrant_";
  // For example, only `renew_lease\r\n` is kept of the argument `$14\r\nff_renew_lease\r\n`.
  const std::string_view argument = command.substr(function.begin, function.end - function.begin);
  const std::string_view rest = argument.substr(argument.find('\n') + 1 + kTheirs.size());
  out.append(command.substr(0, function.begin));
  RespCommand(out).Header('$', kOurs.size() + rest.size() - 2);
  out.append(kOurs);
  out.append(rest);
  out.append(command.substr(function.end));
}

}  // namespace ffgrant::valkey::internal
