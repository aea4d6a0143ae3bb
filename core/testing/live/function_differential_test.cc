// SPDX-License-Identifier: Apache-2.0
//
// Compares the simulated server with a real Valkey: both get the same calls at the same
// microsecond, and then the reply and all keys have to be the same, byte for byte.
//
// The real server's clock cannot be set, so the simulated server's clock is set to the real
// server's time. Each call goes to the real server as MULTI, TIME, call, EXEC, during which the
// server's time stands still.
//
// The two servers may differ in the following things, which the test therefore makes alike:
//  - the order of the fields of a hash and of the members of a set;
//  - the address that tostring() gives a table, such as `table: 0x55813d53c3f0`.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ffgrant/valkey/function_library.h"
#include "testing/live/real_server.h"
#include "testing/simulation/function_calls.h"
#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {
namespace {

class Differential {
 public:
  explicit Differential(std::uint64_t seed)
      : prefix_(FunctionLibrarySource().find("'ff_create_execution'") == std::string_view::npos
                    ? "ffgrant_"
                    : "ff_"),
        calls_(seed, prefix_),
        simulated_({.run_id = "run", .address = {}}) {
    const std::string source(FunctionLibrarySource());
    for (const Command& command :
         {Command{"FLUSHALL"}, Command{"FUNCTION", "LOAD", "REPLACE", source}}) {
      EXPECT_EQ(Describe(*real_.Do(command)), Describe(*Read(simulated_.Execute(1, command, 1))));
    }
  }

  // Makes the next call and returns what differs after it; empty if nothing does.
  std::string Step() {
    const Command command = calls_.Next(now_us_ / 1000);
    const ReplyPointer real = real_.At(command, now_us_);
    const ReplyPointer simulated = Read(simulated_.Execute(1, command, now_us_));
    if (real == nullptr || simulated == nullptr) return "no reply";
    const std::string call = "\n  " + Describe(command) + "\n    -> " + Describe(*real);
    if (Describe(*real) != Describe(*simulated)) {
      return "reply: real " + Describe(*real) + "\n  simulated " + Describe(*simulated) + call;
    }
    Count(command, *real);
    calls_.Learn(Texts(*real));
    const std::string state = Compare();
    return state.empty() ? "" : state + call;
  }

  static std::map<std::string, std::size_t>& answers() {
    static std::map<std::string, std::size_t> counted;
    return counted;
  }

 private:
  // Counts how often each function had each answer: `error` for an error reply, the second element
  // of an array (`OK`, `DUPLICATE`, the code of a rejection...), and `text` for any other reply.
  static void Count(const Command& command, const redisReply& reply) {
    if (command[0] != "FCALL") return;
    const std::vector<std::string> texts = Texts(reply);
    const std::string code = reply.type == REDIS_REPLY_ERROR ? "error"
                             : texts.size() > 1              ? texts[1]
                                                             : "text";
    ++answers()[command[1] + " " + code];
  }

  std::string Compare() {
    const auto real = real_.Dump(now_us_);
    simulated_.keys().SetNow(now_us_ / 1000);
    return Difference(real, simulated_.keys().Dump());
  }

  std::string prefix_;
  FunctionCalls calls_;
  RealServer real_;
  SimulatedServer simulated_;
  std::int64_t now_us_ = 1;
};

TEST(FunctionDifferential, SameRepliesAndSameKeys) {
  const std::string wanted = Variable("FFGRANT_DIFFERENTIAL_CALLS");
  const int calls = wanted.empty() ? 3000 : std::atoi(wanted.c_str());
  constexpr int kWalk = 100;
  for (int walk = 0; walk < calls / kWalk; ++walk) {
    Differential differential(static_cast<std::uint64_t>(walk));
    for (int i = 0; i < kWalk; ++i) {
      const std::string difference = differential.Step();
      ASSERT_TRUE(difference.empty()) << "seed " << walk << ", call " << i << "\n" << difference;
    }
  }
  for (const std::string_view name : FunctionCalls::Names()) {
    std::size_t taken = 0;
    for (const auto& [answer, count] : Differential::answers()) {
      if (answer.find(std::string(name) + " ") != std::string::npos &&
          (answer.ends_with(" OK") || answer.ends_with(" text"))) {
        taken += count;
      }
    }
    EXPECT_GT(taken, 0u) << name << " never succeeded";
  }
  if (!Variable("FFGRANT_DIFFERENTIAL_CALLS").empty()) {
    for (const auto& [answer, count] : Differential::answers()) {
      std::printf("%8zu %s\n", count, answer.c_str());
    }
  }
}

}  // namespace
}  // namespace ffgrant::valkey::testing
