// SPDX-License-Identifier: Apache-2.0
//
// Defines the figures of reading grants from JSON and of writing grants as JSON. A JSON library
// takes part with classes that have one method each: a reader for all figures that read, and a
// writer for the figure that writes:
//
//   struct XyzReader {
//     static constexpr std::string_view kImpl = "Xyz";
//     // `json` is followed by TextSet::kPadding readable bytes. `out` may point
//     // into `json` or into this reader, until the reader's next use.
//     bool Read(std::string_view json, plain::GrantMembers& out);
//   };
//   struct XyzWriter {
//     static constexpr std::string_view kImpl = "Xyz";
//     std::string_view Write(const plain::GrantMembers& grant);
//   };

#ifndef FFGRANT_BENCH_PEERS_GRANT_FIGURES_H_
#define FFGRANT_BENCH_PEERS_GRANT_FIGURES_H_

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/grant_baselines.h"
#include "bench/grant_inputs.h"
#include "bench/inputs.h"
#include "bench/peers/peer.h"

namespace ffgrant::bench::peers {

// Reads the four members of a grant and does not parse their texts.
struct ParseGrantMembers {
  static constexpr std::string_view kOp = "ParseGrantMembers";
  static constexpr std::array<std::string_view, 11> kCases = {
      "canonical",    "reordered",      "whitespace",         "escaped",
      "early_reject", "late_reject",    "unknown_member",     "postgres_key",
      "sqlite_key",   "time_10_digits", "time_1_to_20_digits"};
  using Value = std::optional<plain::GrantMembers>;

  static const TextSet& Inputs(std::size_t case_index) {
    constexpr std::array kSets = {
        GrantCase::kCanonical,     GrantCase::kReordered,    GrantCase::kWhitespace,
        GrantCase::kEscaped,       GrantCase::kEarlyReject,  GrantCase::kLateReject,
        GrantCase::kUnknownMember, GrantCase::kPostgresKey,  GrantCase::kSqliteKey,
        GrantCase::kTime10Digits,  GrantCase::kTimeAnyDigits};
    return GrantDocuments(kSets[case_index]);
  }
  static std::string Describe(std::string_view json) { return std::string(json); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

// Reads what a worker needs of a grant: the members, the id's uuid and partition, and the partition
// that the key names.
struct ParseGrant : ParseGrantMembers {
  static constexpr std::string_view kOp = "ParseGrant";
  using Value = std::optional<plain::TypedGrant>;
};

// An input is a set of Grants() and an index into it. Each peer finds there the form from which it
// writes.
struct SerializeGrant {
  static constexpr std::string_view kOp = "SerializeGrant";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 2> kCases = {"canonical", "escaped"};
  using Value = std::string_view;

  struct Input {
    const GrantSet* set = nullptr;
    std::size_t place = 0;
  };
  struct Places {
    const GrantSet* set;
    Input operator[](std::size_t i) const { return {set, i}; }
  };

  static Places Inputs(std::size_t case_index) { return {&Grants(case_index == 1)}; }
  static std::string Describe(const Input& input) {
    return std::string(input.set->members[input.place].execution_id);
  }
  static std::string_view Limit(std::size_t case_index, std::size_t i);
};

template <class R>
concept GrantReader = requires(R& reader, std::string_view json, plain::GrantMembers& out) {
  { R::kImpl } -> std::convertible_to<std::string_view>;
  { reader.Read(json, out) } -> std::same_as<bool>;
};

template <class W>
concept GrantWriter = requires(W& writer, const plain::GrantMembers& grant) {
  { W::kImpl } -> std::convertible_to<std::string_view>;
  { writer.Write(grant) } -> std::same_as<std::string_view>;
};

// The number of inputs in a repetition, if the reader sets it (peer.h).
template <GrantReader Reader>
struct TurnOf {};
template <GrantReader Reader>
requires requires { Reader::kInputsATurn; }
struct TurnOf<Reader> {
  static constexpr std::size_t kInputsATurn = Reader::kInputsATurn;
};

template <GrantReader Reader>
class MembersPeer : public TurnOf<Reader> {
 public:
  static constexpr std::string_view kImpl = Reader::kImpl;
  struct Result {
    bool ok = false;
    plain::GrantMembers members;
  };

  Result operator()(std::string_view json) {
    Result result;
    result.ok = reader_.Read(json, result.members);
    return result;
  }
  static ParseGrantMembers::Value ValueOf(const Result& result) {
    return result.ok ? ParseGrantMembers::Value(result.members) : std::nullopt;
  }

 private:
  Reader reader_;
};

// The library reads the members, and plain::UnderstandMembers parses the id and the partition key.
template <GrantReader Reader>
class TypedPeer : public TurnOf<Reader> {
 public:
  static constexpr std::string_view kImpl = Reader::kImpl;
  struct Result {
    bool ok = false;
    plain::TypedGrant grant;
  };

  Result operator()(std::string_view json) {
    Result result;
    result.ok = reader_.Read(json, result.grant.members) && plain::UnderstandMembers(result.grant);
    return result;
  }
  static ParseGrant::Value ValueOf(const Result& result) {
    return result.ok ? ParseGrant::Value(result.grant) : std::nullopt;
  }

 private:
  Reader reader_;
};

template <GrantWriter Writer>
class WriterPeer : public ResultIsValue<std::string_view> {
 public:
  static constexpr std::string_view kImpl = Writer::kImpl;
  std::string_view operator()(const SerializeGrant::Input& input) {
    return writer_.Write(input.set->members[input.place]);
  }

 private:
  Writer writer_;
};

template <GrantReader Reader>
void AddGrantReader(Registry& registry) {
  AddPeer<ParseGrantMembers, MembersPeer<Reader>>(registry);
  AddPeer<ParseGrant, TypedPeer<Reader>>(registry);
}

template <GrantWriter Writer>
void AddGrantWriter(Registry& registry) {
  AddPeer<SerializeGrant, WriterPeer<Writer>>(registry);
}

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_GRANT_FIGURES_H_
