// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/resp_command.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace ffgrant::valkey::internal {
namespace {

TEST(RespCommand, WritesArgumentsByTheirSize) {
  std::string out;
  RespCommand command(out);
  command.Begin(7);
  command.Arg("SET");
  command.Arg("");
  command.Arg(std::string_view("a\r\n\0b", 5));
  command.Arg(std::int64_t{-42});
  command.Arg(std::uint64_t{18446744073709551615u});
  command.Arg(Uuid{});
  command.Key([](std::span<char> to) {
    if (to.size() < 1) return WriteResult{1, WriteError::kBufferTooSmall};
    to[0] = 'k';
    return WriteResult{1, WriteError::kNone};
  });
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(out,
            "*7\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\na\r\n\0b\r\n$3\r\n-42\r\n"
            "$20\r\n18446744073709551615\r\n"
            "$36\r\n00000000-0000-0000-0000-000000000000\r\n$1\r\nk\r\n"sv);
}

TEST(AppendCommand, NamesAFunctionAsItsLibraryDoes) {
  const auto appended = [](bool with_function, bool own) {
    std::string bytes;
    RespCommand command(bytes);
    command.Begin(3);
    command.Arg("FCALL");
    with_function ? command.Function("ff_renew_lease") : command.Arg("ff_renew_lease");
    command.Arg("0");
    std::string out = "before";
    AppendCommand(out, bytes, command.function(), own);
    return out;
  };
  const std::string theirs = "before*3\r\n$5\r\nFCALL\r\n$14\r\nff_renew_lease\r\n$1\r\n0\r\n";
  const std::string ours = "before*3\r\n$5\r\nFCALL\r\n$19\r\nffgrant_renew_lease\r\n$1\r\n0\r\n";
  EXPECT_EQ(appended(true, false), theirs);
  EXPECT_EQ(appended(true, true), ours);
  EXPECT_EQ(appended(false, true), theirs);
}

TEST(RespCommand, CountsWhatACallHas) {
  const auto call = [](std::size_t keys, std::size_t arguments, std::string_view instead) {
    std::string out = "before";
    RespCommand command(out);
    command.BeginCall("ff_x", instead);
    for (std::size_t i = 0; i < keys; ++i) {
      command.Key([&](std::span<char> to) {
        const std::size_t size = i == 0 ? 300 : 1;  // the first key is long
        if (to.size() < size) return WriteResult{size, WriteError::kBufferTooSmall};
        std::fill_n(to.begin(), size, 'k');
        return WriteResult{size, WriteError::kNone};
      });
    }
    for (std::size_t i = 0; i < arguments; ++i) command.Arg("a");
    command.EndCall();
    if (instead.empty()) {
      EXPECT_EQ(
          out.substr(command.function().begin, command.function().end - command.function().begin),
          "$4\r\nff_x\r\n");
    }
    return out;
  };
  for (const std::string_view instead : {std::string_view(), std::string_view("other")}) {
    for (const std::size_t keys : {0, 1, 9, 10, 99, 100}) {
      for (const std::size_t arguments : {0, 1, 6, 7, 97, 1000}) {
        std::string expected = "before*" + std::to_string(3 + keys + arguments) +
                               "\r\n$5\r\nFCALL\r\n" +
                               (instead.empty() ? "$4\r\nff_x\r\n" : "$5\r\nother\r\n");
        const std::string number = std::to_string(keys);
        expected += "$" + std::to_string(number.size()) + "\r\n" + number + "\r\n";
        for (std::size_t i = 0; i < keys; ++i) {
          expected += i == 0 ? "$300\r\n" + std::string(300, 'k') + "\r\n" : "$1\r\nk\r\n";
        }
        for (std::size_t i = 0; i < arguments; ++i) expected += "$1\r\na\r\n";
        EXPECT_EQ(call(keys, arguments, instead), expected) << keys << " " << arguments;
      }
    }
  }
}

TEST(RespCommand, WritesKeysLongerThanItsRoom) {
  std::string out;
  RespCommand command(out);
  const std::string key(1000, 'x');
  command.Begin(1);
  command.Key([&](std::span<char> to) {
    if (to.size() < key.size()) return WriteResult{key.size(), WriteError::kBufferTooSmall};
    key.copy(to.data(), key.size());
    return WriteResult{key.size(), WriteError::kNone};
  });
  EXPECT_EQ(out, "*1\r\n$1000\r\n" + key + "\r\n");
}

}  // namespace
}  // namespace ffgrant::valkey::internal
