// SPDX-License-Identifier: Apache-2.0
//
// Test only: takes the reply of a simulated command and puts it into RESP for a client, or onto the
// stack of a Lua script.

#ifndef FFGRANT_TESTING_SIMULATION_REPLY_SINK_H_
#define FFGRANT_TESTING_SIMULATION_REPLY_SINK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ffgrant::valkey::testing {

// A sink gets exactly one reply: one call of a method, or Array(n) and then n replies.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void Integer(std::int64_t value) = 0;
  virtual void Bulk(std::string_view text) = 0;
  virtual void Nil() = 0;
  virtual void NilArray() = 0;
  virtual void Status(std::string_view text) = 0;
  // `text` begins with its code: "ERR no such thing".
  virtual void Error(std::string_view text) = 0;
  virtual void Array(std::size_t size) = 0;
};

// Appends RESP2 to a string, which must outlive the sink.
class RespSink final : public ReplySink {
 public:
  explicit RespSink(std::string& out) : out_(out) {}
  void Integer(std::int64_t value) override { Line(':', std::to_string(value)); }
  void Bulk(std::string_view text) override {
    Line('$', std::to_string(text.size()));
    out_.append(text).append("\r\n");
  }
  void Nil() override { out_ += "$-1\r\n"; }
  void NilArray() override { out_ += "*-1\r\n"; }
  void Status(std::string_view text) override { Line('+', OneLine(text)); }
  void Error(std::string_view text) override {
    while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
    Line('-', OneLine(text));
  }
  void Array(std::size_t size) override { Line('*', std::to_string(size)); }

 private:
  void Line(char type, std::string_view text) {
    out_ += type;
    out_.append(text).append("\r\n");
  }
  // A line cannot contain a line end, so the server writes spaces instead.
  static std::string OneLine(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
      if (c == '\r' || c == '\n') c = ' ';
    }
    return line;
  }

  std::string& out_;
};

}  // namespace ffgrant::valkey::testing

#endif  // FFGRANT_TESTING_SIMULATION_REPLY_SINK_H_
