// SPDX-License-Identifier: Apache-2.0
//
// Writes compact JSON into a caller's buffer (contract 4 "String output"). A function of the caller
// describes the document by calls of a sink. This function runs twice: first to check the texts and
// add up the size, then to write.

#ifndef FFGRANT_JSON_INTERNAL_JSON_WRITER_H_
#define FFGRANT_JSON_INTERNAL_JSON_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/string_list.h"
#include "ffgrant/write_result.h"

namespace ffgrant::internal {

// Sets `size` to the number of bytes that `text` needs between its quotes. Returns false if `text`
// isn't UTF-8.
bool EscapedSize(std::string_view text, std::size_t& size) noexcept;

// Writes `text` escaped, without quotes; returns the end.
char* WriteEscaped(char* to, std::string_view text) noexcept;

class JsonSizer {
 public:
  void Raw(std::string_view json) noexcept { size_ += json.size(); }
  void Text(std::string_view text) noexcept {
    std::size_t size = text.size();
    if (!IsPlainText(text)) {
      plain_ = false;
      valid_ &= EscapedSize(text, size);
    }
    size_ += size + 2;
  }
  void Number(std::uint64_t value) noexcept { size_ += DigitCount(value); }

  bool valid() const noexcept { return valid_; }
  // Returns true if all texts are ASCII and need no escape.
  bool plain() const noexcept { return plain_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
  bool valid_ = true;
  bool plain_ = true;
};

template <bool kPlain>
class JsonAppender {
 public:
  explicit JsonAppender(char* to) noexcept : to_(to) {}

  void Raw(std::string_view json) noexcept { to_ = CopyText(to_, json); }
  void Text(std::string_view text) noexcept {
    *to_++ = '"';
    to_ = kPlain ? CopyText(to_, text) : WriteEscaped(to_, text);
    *to_++ = '"';
  }
  void Number(std::uint64_t value) noexcept { to_ = WriteDigits(to_, value, DigitCount(value)); }

 private:
  char* to_;
};

// `emit` takes either sink by reference and must do the same with both.
template <class Emit>
WriteResult WriteJson(std::span<char> out, const Emit& emit) noexcept {
  JsonSizer sizer;
  emit(sizer);
  if (!sizer.valid()) return {0, WriteError::kInvalidUtf8};
  if (sizer.size() > out.size()) return {sizer.size(), WriteError::kBufferTooSmall};
  if (sizer.plain()) [[likely]] {
    JsonAppender<true> appender(out.data());
    emit(appender);
  } else {
    JsonAppender<false> appender(out.data());
    emit(appender);
  }
  return {sizer.size(), WriteError::kNone};
}

template <class Sink>
void EmitList(Sink& sink, const StringList& list) noexcept {
  sink.Raw("[");
  bool first = true;
  for (const std::string_view text : list) {
    if (!first) sink.Raw(",");
    first = false;
    sink.Text(text);
  }
  sink.Raw("]");
}

template <class Sink>
void EmitSigned(Sink& sink, std::int64_t value) noexcept {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value < 0) sink.Raw("-");
  sink.Number(value < 0 ? 0 - bits : bits);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_JSON_INTERNAL_JSON_WRITER_H_
