// SPDX-License-Identifier: Apache-2.0
//
// Has the tools of the checks in vector_kinds.h, which read a vector's members one by one and
// collect the differences between a vector and the results of core.

#ifndef FFGRANT_TESTING_VECTORS_VECTOR_CASE_H_
#define FFGRANT_TESTING_VECTORS_VECTOR_CASE_H_

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/write_result.h"

namespace ffgrant::conformance {

struct Difference {
  std::string what;
  std::string expected;
  std::string got;
};

// Collects the differences of one vector. A vector passes if there are none.
class Case {
 public:
  void Fail(std::string_view what, std::string_view expected, std::string_view got);

  void SameText(std::string_view what, std::string_view expected, std::string_view got);
  void SameNumber(std::string_view what, std::uint64_t expected, std::uint64_t got);
  void SameFlag(std::string_view what, bool expected, bool got);
  // Checks something that must be true of every vector of the kind.
  void Holds(std::string_view what, bool holds);

  bool passed() const { return differences_.empty(); }
  const std::vector<Difference>& differences() const { return differences_; }

 private:
  std::vector<Difference> differences_;
};

// The members of an object in a vector. Each member must be read: the destructor fails the case for
// every member that nobody has read, so an unknown member can't go unnoticed. A missing member, a
// member of another type and a repeated member fail the case too. In the place of the first two,
// the methods return an empty value, 0 or false.
class Object {
 public:
  Object(const simdjson::dom::element& element, std::string path, Case& result);
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object();

  bool Has(std::string_view name) const;
  std::string_view Text(std::string_view name);
  // Returns the text, or no value for null.
  std::optional<std::string_view> TextOrNull(std::string_view name);
  std::uint64_t Number(std::string_view name, std::uint64_t max);
  bool Flag(std::string_view name);
  Object Child(std::string_view name);

 private:
  struct Member {
    std::string_view name;
    simdjson::dom::element value;
    bool read = false;
  };

  const simdjson::dom::element& Find(std::string_view name);
  void WrongType(std::string_view name, std::string_view expected);

  std::vector<Member> members_;
  std::string path_;
  Case& result_;
};

// A copy of a text. The copy ends where its allocation ends, so that AddressSanitizer notices if a
// parser reads past its input.
class ExactCopy {
 public:
  explicit ExactCopy(std::string_view text);
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<char[]> bytes_;
};

// Calls `write` without a buffer, then with a buffer of exactly the size that it asks for, and
// returns the text. Fails the case if `write`, without a buffer, neither asks for a size nor has an
// empty text to write. Fails the case also if `write`, given a buffer that is one byte short,
// writes into the buffer or doesn't ask for the same size.
std::string Written(std::string_view what, const std::function<WriteResult(std::span<char>)>& write,
                    Case& result);

}  // namespace ffgrant::conformance

#endif  // FFGRANT_TESTING_VECTORS_VECTOR_CASE_H_
