// SPDX-License-Identifier: Apache-2.0

#include "testing/vectors/vector_case.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ffgrant::conformance {
namespace {

constexpr std::string_view FlagText(bool flag) { return flag ? "true" : "false"; }

// Given `size` bytes, `write` must ask for `needed` bytes and leave the buffer untouched.
void CheckShortBuffer(std::string_view what,
                      const std::function<WriteResult(std::span<char>)>& write, std::size_t size,
                      std::size_t needed, Case& result) {
  const std::string untouched(size, '\xA5');
  const std::unique_ptr<char[]> buffer(new char[size]);
  std::copy(untouched.begin(), untouched.end(), buffer.get());
  const WriteResult written = write(std::span<char>(buffer.get(), size));
  const std::string name = std::string(what) + " into " + std::to_string(size) + " bytes";
  result.SameText(name + ": error", ErrorName(WriteError::kBufferTooSmall),
                  ErrorName(written.error));
  result.SameNumber(name + ": size needed", needed, written.size);
  result.Holds(name + ": buffer is untouched",
               std::string_view(buffer.get(), size) == std::string_view(untouched));
}

}  // namespace

void Case::Fail(std::string_view what, std::string_view expected, std::string_view got) {
  differences_.push_back({std::string(what), std::string(expected), std::string(got)});
}

void Case::SameText(std::string_view what, std::string_view expected, std::string_view got) {
  if (expected != got) {
    Fail(what, expected, got);
  }
}

void Case::SameNumber(std::string_view what, std::uint64_t expected, std::uint64_t got) {
  if (expected != got) {
    Fail(what, std::to_string(expected), std::to_string(got));
  }
}

void Case::SameFlag(std::string_view what, bool expected, bool got) {
  if (expected != got) {
    Fail(what, FlagText(expected), FlagText(got));
  }
}

void Case::Holds(std::string_view what, bool holds) { SameFlag(what, true, holds); }

Object::Object(const simdjson::dom::element& element, std::string path, Case& result)
    : path_(std::move(path)), result_(result) {
  simdjson::dom::object object;
  if (element.get(object) != simdjson::SUCCESS) {
    // The caller that looked for a missing object has already reported it.
    if (!element.is_null()) {
      result_.Fail(path_, "an object", "another type");
    }
    return;
  }
  for (const auto& [name, value] : object) {
    if (Has(name)) {
      result_.Fail(path_ + std::string(name), "once", "a repeated member");
    }
    members_.push_back({name, value, false});
  }
}

Object::~Object() {
  for (const Member& member : members_) {
    if (!member.read) {
      result_.Fail(path_ + std::string(member.name), "no such member", "an unknown member");
    }
  }
}

bool Object::Has(std::string_view name) const {
  return std::any_of(members_.begin(), members_.end(),
                     [name](const Member& member) { return member.name == name; });
}

std::string_view Object::Text(std::string_view name) {
  std::string_view text;
  if (Find(name).get(text) != simdjson::SUCCESS) {
    WrongType(name, "a string");
  }
  return text;
}

std::optional<std::string_view> Object::TextOrNull(std::string_view name) {
  const simdjson::dom::element& value = Find(name);
  std::string_view text;
  if (value.get(text) == simdjson::SUCCESS) {
    return text;
  }
  if (!Has(name) || !value.is_null()) {
    WrongType(name, "a string or null");
  }
  return std::nullopt;
}

std::uint64_t Object::Number(std::string_view name, std::uint64_t max) {
  std::uint64_t number = 0;
  if (Find(name).get(number) != simdjson::SUCCESS || number > max) {
    WrongType(name, "an integer from 0 to " + std::to_string(max));
    return 0;
  }
  return number;
}

bool Object::Flag(std::string_view name) {
  bool flag = false;
  if (Find(name).get(flag) != simdjson::SUCCESS) {
    WrongType(name, "true or false");
  }
  return flag;
}

Object Object::Child(std::string_view name) {
  if (!Has(name)) {
    WrongType(name, "an object");
  }
  return Object(Find(name), path_ + std::string(name) + ".", result_);
}

// A missing member is represented by the null of a document of its own.
const simdjson::dom::element& Object::Find(std::string_view name) {
  static simdjson::dom::parser* const parser = new simdjson::dom::parser();
  static const simdjson::dom::element missing =
      parser->parse(std::string_view("null")).value_unsafe();
  const auto member = std::find_if(members_.begin(), members_.end(),
                                   [name](const Member& m) { return m.name == name; });
  if (member == members_.end()) {
    return missing;
  }
  member->read = true;
  return member->value;
}

void Object::WrongType(std::string_view name, std::string_view expected) {
  result_.Fail(path_ + std::string(name), expected,
               Has(name) ? "a value of another type or range" : "a missing member");
}

ExactCopy::ExactCopy(std::string_view text) : size_(text.size()), bytes_(new char[text.size()]) {
  std::copy(text.begin(), text.end(), bytes_.get());
}

std::string Written(std::string_view what, const std::function<WriteResult(std::span<char>)>& write,
                    Case& result) {
  const WriteResult asked = write({});
  if (asked.error != WriteError::kBufferTooSmall) {
    if (!asked || asked.size != 0) {
      result.Fail(what, "the size needed", ErrorName(asked.error));
    }
    return "";
  }
  if (asked.size == 0) {
    result.Fail(what, "the size needed", "0 bytes");
    return "";
  }
  CheckShortBuffer(what, write, asked.size - 1, asked.size, result);
  const std::unique_ptr<char[]> buffer(new char[asked.size]);
  const WriteResult written = write(std::span<char>(buffer.get(), asked.size));
  if (!written) {
    result.Fail(what, "a text", ErrorName(written.error));
    return "";
  }
  result.SameNumber(std::string(what) + ": size", asked.size, written.size);
  return std::string(buffer.get(), asked.size);
}

}  // namespace ffgrant::conformance
