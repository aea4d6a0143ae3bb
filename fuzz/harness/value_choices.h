// SPDX-License-Identifier: Apache-2.0
//
// Makes values for the members of DTOs. A fuzzer's bytes choose the values.

#ifndef FFGRANT_FUZZ_HARNESS_VALUE_CHOICES_H_
#define FFGRANT_FUZZ_HARNESS_VALUE_CHOICES_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/execution_id.h"
#include "ffgrant/json/string_list.h"
#include "ffgrant/partition.h"
#include "ffgrant/uuid.h"
#include "harness/choices.h"

namespace ffgrant::fuzz {

// The returned texts live as long as this object.
class ValueChoices {
 public:
  explicit ValueChoices(Choices& choices) : choices_(choices) {}

  Choices& choices() { return choices_; }

  // Returns a word of the claim path, an execution id, a partition's tag, or a mix of bytes that
  // JSON writes in different ways. A few texts are not UTF-8.
  std::string_view Text();
  std::optional<std::string_view> OptionalText();
  StringList Texts();
  // Returns a printable text of up to `max_size` bytes, as a checked lane or name is, or an empty
  // one.
  std::string_view Name(std::size_t max_size);
  std::string_view Bytes();
  Uuid SomeUuid();
  // Returns an id that the lenient parser accepts. Most are canonical, the rest in any spelling.
  ExecutionIdView Id();
  Partition SomePartition();

  // Returns a number that is often at a limit.
  std::uint64_t U64();
  std::uint32_t U32() { return static_cast<std::uint32_t>(U64()); }
  std::uint16_t U16() { return static_cast<std::uint16_t>(U64()); }
  std::int64_t I64() { return static_cast<std::int64_t>(U64()); }

 private:
  std::string_view Keep(std::string text) { return texts_.emplace_back(std::move(text)); }
  std::string IdText(bool canonical);
  std::string Mixed();

  Choices& choices_;
  std::deque<std::string> texts_;
  std::deque<std::vector<std::string_view>> lists_;
};

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_VALUE_CHOICES_H_
