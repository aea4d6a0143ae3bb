// SPDX-License-Identifier: Apache-2.0

#include "oracles/naive_resp.h"

#include <optional>

namespace ffgrant::fuzz {
namespace {

class Decoder {
 public:
  Decoder(std::string_view text, const NaiveRespLimits& limits) : rest_(text), limits_(limits) {}

  // Decodes one reply. If there is no whole reply, returns how the text ends instead.
  std::optional<NaiveRespEnd> Reply(NaiveReply& reply, int depth) {
    if (rest_.empty()) return NaiveRespEnd::kNeedMore;
    // A reply far below the limit must be accepted. Exactly how much memory a reply takes is the
    // reader's own choice.
    size_ += 1;
    const char type = rest_[0];
    if (std::string_view("+-:$*").find(type) == std::string_view::npos) {
      // These are types of RESP 3, which some readers know.
      return std::string_view("_#,(!=%~>|").find(type) != std::string_view::npos
                 ? NaiveRespEnd::kOpen
                 : NaiveRespEnd::kMalformed;
    }
    const std::size_t end = rest_.find("\r\n", 1);
    if (end == std::string_view::npos) return NaiveRespEnd::kNeedMore;
    const std::string_view line = rest_.substr(1, end - 1);
    if (type == '+' || type == '-') {
      // hiredis accepted a line with a single CR or LF before version 1.0 and refuses it since.
      if (line.find_first_of("\r\n") != std::string_view::npos) return NaiveRespEnd::kOpen;
      reply.kind = type == '+' ? NaiveReply::Kind::kStatus : NaiveReply::Kind::kError;
      reply.text = std::string(line);
      text_ += line.size();
      rest_ = rest_.substr(end + 2);
      return Large() ? std::optional(NaiveRespEnd::kOpen) : std::nullopt;
    }
    if (const auto open = Doubtful(line)) return open;
    const long long number = Number(line);
    if (type == ':') {
      reply.kind = NaiveReply::Kind::kInteger;
      reply.integer = number;
      rest_ = rest_.substr(end + 2);
      return Large() ? std::optional(NaiveRespEnd::kOpen) : std::nullopt;
    }
    if (number < -1) return NaiveRespEnd::kMalformed;
    return type == '$' ? BulkText(reply, end, number) : Elements(reply, end, number, depth);
  }

  std::string_view rest() const { return rest_; }
  void StartReply() { size_ = text_ = 0; }

 private:
  // Digits with or without a minus are a number. Readers differ on very long numbers, on other
  // spellings of a number and on an empty line; anything else is wrong.
  static std::optional<NaiveRespEnd> Doubtful(std::string_view line) {
    std::string_view digits = line;
    bool odd = false;
    if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
      odd = digits[0] == '+' || digits == "-0";
      digits = digits.substr(1);
    }
    if (digits.empty()) return NaiveRespEnd::kOpen;
    for (const char c : digits) {
      if (c < '0' || c > '9') return NaiveRespEnd::kMalformed;
    }
    if (odd || (digits.size() > 1 && digits[0] == '0') || digits.size() > 18) {
      return NaiveRespEnd::kOpen;
    }
    return std::nullopt;
  }

  static long long Number(std::string_view line) {
    const bool negative = line[0] == '-';
    long long number = 0;
    for (const char c : line.substr(negative ? 1 : 0)) number = number * 10 + (c - '0');
    return negative ? -number : number;
  }

  std::optional<NaiveRespEnd> BulkText(NaiveReply& reply, std::size_t end, long long size) {
    if (size == -1) {
      rest_ = rest_.substr(end + 2);
      return Large() ? std::optional(NaiveRespEnd::kOpen) : std::nullopt;
    }
    const std::string_view behind = rest_.substr(end + 2);
    if (static_cast<unsigned long long>(size) > limits_.max_bytes) return NaiveRespEnd::kOpen;
    const auto bytes = static_cast<std::size_t>(size);
    text_ += bytes;
    if (Large()) return NaiveRespEnd::kOpen;
    if (behind.size() < bytes + 2) return NaiveRespEnd::kNeedMore;
    if (behind.substr(bytes, 2) != "\r\n") return NaiveRespEnd::kOpen;
    reply.kind = NaiveReply::Kind::kString;
    reply.text = std::string(behind.substr(0, bytes));
    rest_ = behind.substr(bytes + 2);
    return std::nullopt;
  }

  std::optional<NaiveRespEnd> Elements(NaiveReply& reply, std::size_t end, long long count,
                                       int depth) {
    rest_ = rest_.substr(end + 2);
    if (count == -1) return Large() ? std::optional(NaiveRespEnd::kOpen) : std::nullopt;
    if (depth > limits_.max_depth) return NaiveRespEnd::kMalformed;
    reply.kind = NaiveReply::Kind::kArray;
    if (static_cast<unsigned long long>(count) > limits_.max_bytes) return NaiveRespEnd::kOpen;
    size_ += static_cast<std::size_t>(count);
    if (Large()) return NaiveRespEnd::kOpen;
    for (long long i = 0; i < count; ++i) {
      reply.elements.emplace_back();
      if (const auto ended = Reply(reply.elements.back(), depth + 1)) return ended;
    }
    return std::nullopt;
  }

  bool Large() const { return size_ * 128 + 2 * text_ > limits_.max_bytes; }

  std::string_view rest_;
  NaiveRespLimits limits_;
  std::size_t size_ = 0;  // the number of the reply's values; elements of arrays count twice
  std::size_t text_ = 0;
};

}  // namespace

NaiveResp NaiveDecodeResp(std::string_view text, const NaiveRespLimits& limits) {
  NaiveResp resp;
  Decoder decoder(text, limits);
  for (;;) {
    decoder.StartReply();
    NaiveReply reply;
    if (const auto ended = decoder.Reply(reply, 1)) {
      resp.end = *ended;
      return resp;
    }
    resp.replies.push_back(std::move(reply));
  }
}

std::string Shown(const NaiveReply& reply) {
  switch (reply.kind) {
    case NaiveReply::Kind::kNil:
      return "nil";
    case NaiveReply::Kind::kStatus:
      return "+" + reply.text;
    case NaiveReply::Kind::kError:
      return "-" + reply.text;
    case NaiveReply::Kind::kString:
      return '"' + reply.text + '"';
    case NaiveReply::Kind::kInteger:
      return "i" + std::to_string(reply.integer);
    case NaiveReply::Kind::kArray: {
      std::string shown = "[";
      for (const NaiveReply& element : reply.elements) shown += Shown(element) + ",";
      return shown + "]";
    }
  }
  return "?";
}

}  // namespace ffgrant::fuzz
