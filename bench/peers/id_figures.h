// SPDX-License-Identifier: Apache-2.0
//
// Defines the figures of uuids and execution ids.

#ifndef FFGRANT_BENCH_PEERS_ID_FIGURES_H_
#define FFGRANT_BENCH_PEERS_ID_FIGURES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "bench/simd_uuid.h"
#include "ffgrant/ids.h"
#include "ffgrant/uuid.h"

namespace ffgrant::bench::peers {

struct ParseExecutionIdLenient {
  static constexpr std::string_view kOp = "ParseExecutionIdLenient";
  static constexpr std::array<std::string_view, 4> kCases = {"valid", "early_reject", "late_reject",
                                                             "spellings"};
  using Value = std::optional<plain::PlainExecutionId>;

  static const TextSet& Inputs(std::size_t case_index) {
    constexpr std::array kSets = {IdCase::kValid, IdCase::kEarlyReject, IdCase::kLateReject,
                                  IdCase::kSpellings};
    return ExecutionIds(kSets[case_index]);
  }
  static std::string Describe(std::string_view text) { return std::string(text); }
  static std::string_view Limit(std::size_t case_index, std::size_t i) {
    return Inputs(case_index)[i];
  }
};

struct ParseExecutionIdStrict : ParseExecutionIdLenient {
  static constexpr std::string_view kOp = "ParseExecutionIdStrict";
};

// These two figures are for peers that report errors as core does. They have the kOp of the two
// figures above, so the peers of all four stand in the same rows of the table.
struct ExplainExecutionIdLenient : ParseExecutionIdLenient {
  using Value = plain::IdOutcome;
};
struct ExplainExecutionIdStrict : ParseExecutionIdStrict {
  using Value = plain::IdOutcome;
};

struct ParseUuidStrict {
  static constexpr std::string_view kOp = "ParseUuidStrict";
  static constexpr std::array<std::string_view, 1> kCases = {"valid"};
  using Value = std::optional<Uuid>;

  static const TextSet& Inputs(std::size_t) { return UuidTexts(); }
  static std::string Describe(std::string_view text) { return std::string(text); }
  static std::string_view Limit(std::size_t, std::size_t i) { return UuidTexts()[i]; }
};

// The figures that write a text from a uuid.
struct FromUuid {
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  using Value = std::string_view;

  static const std::vector<Uuid>& Inputs(std::size_t) { return Uuids(); }
  static std::string Describe(const Uuid& uuid) { return PlainUuidText(uuid); }
};

struct FormatUuidText : FromUuid {
  static constexpr std::string_view kOp = "FormatUuid";
  static constexpr bool kFormats = true;
  static std::string_view Limit(std::size_t, std::size_t i);
};

// The index may be any u16; here it is the first two bytes of the uuid.
struct FormatExecutionId : FromUuid {
  static constexpr std::string_view kOp = "FormatExecutionId";
  static constexpr bool kFormats = true;
  static std::uint16_t IndexOf(const Uuid& uuid) {
    return static_cast<std::uint16_t>(uuid.bytes[0] << 8 | uuid.bytes[1]);
  }
  static std::string_view Limit(std::size_t, std::size_t i);
};

// Mints an id in the partition of a flow. The caller gives the id's uuid, since otherwise no two
// implementations would write the same id. Here this uuid is the flow's own.
struct MintId {
  static constexpr std::string_view kOp = "MintExecutionId";
  static constexpr bool kFormats = true;
  static constexpr std::array<std::string_view, 1> kCases = {"deterministic"};
  using Value = std::string_view;

  static const std::vector<FlowId>& Inputs(std::size_t);
  static std::string Describe(const FlowId& flow) { return PlainUuidText(flow.uuid); }
  static std::string_view Limit(std::size_t, std::size_t i);
};

// Mints an id whose text is used at once, as code that writes a command uses it. Core's peer copies
// the text into a buffer.
struct MintAndUse : MintId {
  static constexpr std::string_view kOp = "MintExecutionIdAndUse";
};

// Mints an id with a random uuid that the implementation makes. Only the partition can be compared,
// but a text that is not an id is noticed too.
struct MintRandomId : MintId {
  static constexpr std::string_view kOp = "MintExecutionIdRandom";
  static constexpr std::array<std::string_view, 1> kCases = {"random"};
  using Value = std::uint16_t;  // the partition's index; kNoId if the text is not an id
  static constexpr Value kNoId = 65535;
  static Value IndexOf(std::string_view id) {
    const auto parsed = plain::ParseExecutionIdStrictFromChars(id);
    return parsed ? parsed->index : kNoId;
  }
};

}  // namespace ffgrant::bench::peers

#endif  // FFGRANT_BENCH_PEERS_ID_FIGURES_H_
