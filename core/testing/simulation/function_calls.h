// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes calls of the function library as bare commands. A seed chooses the calls, which
// lead executions through whole lives. In between come arguments and stored states that no client
// of ours would make. The key names and the orders of the arguments are those of
// functions/README.md. They are written down here once more; nothing comes from the client.

#ifndef FFGRANT_TESTING_SIMULATION_FUNCTION_CALLS_H_
#define FFGRANT_TESTING_SIMULATION_FUNCTION_CALLS_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::valkey::testing {

struct FunctionCall {
  std::string function;
  std::vector<std::string> keys;
  std::vector<std::string> args;
  // FCALL function count KEYS ARGV
  std::vector<std::string> Command() const;
};

class FunctionCalls {
 public:
  // Makes calls about a few executions; `seed` chooses the calls. Each function's name begins with
  // `prefix`.
  FunctionCalls(std::uint64_t seed, std::string prefix);

  // Returns the next command: mostly a function call, sometimes a command that changes the stored
  // state without a function.
  std::vector<std::string> Next(std::int64_t now_ms);
  // Returns the functions that Next() may call, by their names without the prefix.
  static const std::vector<std::string_view>& Names();
  // Reads the reply to the last command, as texts. If the command has claimed an execution, later
  // calls take their fences from this reply.
  void Learn(const std::vector<std::string>& reply);

 private:
  struct Execution {
    std::string tag;
    std::string id;
    std::string lane;
    std::string lease;
    std::string attempt_id;
    std::string epoch = "1";
    std::size_t attempt = 0;
    std::string waitpoint = "wp-0";
    std::string worker = "w1";
    std::string instance = "w1-i1";
    std::string last;  // the last success that changes what can come next; "claim" for any claim
  };

  std::size_t Below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }
  bool OneIn(std::size_t n) { return Below(n) == 0; }
  std::string Pick(std::initializer_list<const char*> texts) {
    return texts.begin()[Below(texts.size())];
  }
  // If the call may be odd, returns true one time in `n`. In a usual call always returns false.
  bool Odd(std::size_t n) { return odd_ && OneIn(n); }
  std::string PickOdd(const char* usual, std::initializer_list<const char*> odd) {
    return Odd(3) ? Pick(odd) : usual;
  }
  std::string NewName(const char* stem) { return stem + std::to_string(++names_); }

  std::string X(std::string_view rest) const;
  std::string I(std::string_view rest) const;
  std::string L(std::string_view rest) const;
  std::string Attempt(std::size_t index) const;
  std::string Leases(const std::string& instance) const;
  std::string Waitpoint(std::string_view rest) const;

  std::string Ttl();
  std::string Policy();
  std::string Capabilities();
  void ChooseWorker();
  void AddFence(std::vector<std::string>& args);
  std::vector<std::string> WorkerArgs() const;

  FunctionCall Create(std::int64_t now_ms);
  FunctionCall Issue(bool reclaim);
  FunctionCall Claim();
  FunctionCall ClaimResumed();
  FunctionCall IssueAndClaim();
  FunctionCall Complete();
  FunctionCall Fail();
  FunctionCall RenewLease();
  FunctionCall MarkExpired();
  FunctionCall Revoke();
  FunctionCall Reclaim();
  FunctionCall Suspend(std::int64_t now_ms);
  FunctionCall Resume();
  FunctionCall Promote(std::int64_t now_ms);
  FunctionCall Rotate();
  FunctionCall Version();
  FunctionCall Make(std::string_view name, std::int64_t now_ms);
  std::string_view Choose();
  void Replace(Execution& execution);
  void Break(FunctionCall& call);
  std::vector<std::string> Disturb(std::int64_t now_ms);

  std::mt19937_64 random_;
  std::string prefix_;
  std::vector<Execution> executions_;
  Execution* e_ = nullptr;  // the execution that the call is about
  bool odd_ = false;
  std::string new_lease_;
  std::string new_attempt_;
  std::string last_function_;
  std::vector<std::string> last_keys_;
  std::size_t names_ = 0;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_FUNCTION_CALLS_H_
