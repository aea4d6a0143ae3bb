// SPDX-License-Identifier: Apache-2.0
//
// Test only: plays an operator's connection to a simulated server, at a time that the test sets.

#ifndef FFGRANT_TESTING_SIMULATION_SERVER_CONSOLE_H_
#define FFGRANT_TESTING_SIMULATION_SERVER_CONSOLE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "testing/simulation/simulated_server.h"

namespace ffgrant::valkey::testing {

// Shows a RESP reply as `:1`, `+OK`, `-ERR text`, `nil`, a text as it is, or `[a, b]`.
class RespText {
 public:
  static std::string Of(std::string_view resp) { return RespText(resp).Read(); }
  // Returns the elements of an array, or the one reply that there is, without the marks `:`, `+`,
  // `-`. A nil is an empty text.
  static std::vector<std::string> Elements(std::string_view resp) {
    RespText reader(resp);
    std::size_t count = 1;
    if (resp.starts_with('*')) {
      count = static_cast<std::size_t>(std::max(std::atoi(std::string(resp.substr(1)).c_str()), 0));
      reader.rest_.remove_prefix(std::min(resp.find('\n') + 1, resp.size()));
    }
    std::vector<std::string> elements;
    for (; count > 0; --count) {
      const char type = reader.rest_.empty() ? ' ' : reader.rest_[0];
      std::string text = reader.Read();
      if (type == ':' || type == '+' || type == '-') text.erase(0, 1);
      elements.push_back(type == '$' && text == "nil" ? "" : text);
    }
    return elements;
  }

 private:
  explicit RespText(std::string_view resp) : rest_(resp) {}

  std::string Read() {
    const std::size_t end = rest_.find("\r\n");
    if (end == std::string_view::npos) return "(no reply)";
    const std::string line(rest_.substr(0, end));
    rest_.remove_prefix(end + 2);
    if (line[0] != '$' && line[0] != '*') return line;
    const int size = std::atoi(line.c_str() + 1);
    if (size < 0) return "nil";
    if (line[0] == '$') {
      const std::string text(rest_.substr(0, static_cast<std::size_t>(size)));
      rest_.remove_prefix(std::min(rest_.size(), static_cast<std::size_t>(size) + 2));
      return text;
    }
    std::string text = "[";
    for (int i = 0; i < size; ++i) text += (i == 0 ? "" : ", ") + Read();
    return text + "]";
  }

  std::string_view rest_;
};

class ServerConsole {
 public:
  explicit ServerConsole(SimulatedServer& server, std::int64_t client = 1)
      : server_(server), client_(client) {}

  std::string Do(const std::vector<std::string>& words) {
    return RespText::Of(server_.Execute(client_, words, 1000 * now_ms));
  }
  // Loads a library `t` whose function `f` has this body.
  std::string Load(const std::string& body, const std::string& options = "") {
    const std::string function = "function(keys, args) " + body + "\nend";
    const std::string call =
        options.empty() ? "redis.register_function('f', " + function + ")"
                        : "redis.register_function{function_name='f', callback=" + function + ", " +
                              options + "}";
    return Do({"FUNCTION", "LOAD", "REPLACE", "#!lua name=t\n" + call});
  }
  // Returns the answer of a function with this body to keys and arguments.
  std::string Run(const std::string& body, const std::vector<std::string>& keys = {},
                  const std::vector<std::string>& args = {}) {
    const std::string loaded = Load(body);
    if (loaded != "t") return loaded;
    std::vector<std::string> words = {"FCALL", "f", std::to_string(keys.size())};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), args.begin(), args.end());
    return Do(words);
  }

  std::int64_t now_ms = 1'700'000'000'000;

 private:
  SimulatedServer& server_;
  std::int64_t client_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_SERVER_CONSOLE_H_
