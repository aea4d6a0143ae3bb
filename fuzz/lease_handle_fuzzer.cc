// SPDX-License-Identifier: Apache-2.0
//
// Decodes any bytes as lease handles (contract 9.1) and compares the results with those of a
// decoder that follows a table of the fields. Accepted handles are encoded again.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "ffgrant/claims/lease_handle.h"
#include "harness/allocation_trap.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/input_copies.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "harness/write_check.h"
#include "oracles/naive_json_reader.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaiveParseExecutionId;
using testing::NaiveParseUuid;

// One field of the layout: its kind, and the value that was found.
struct Field {
  enum Kind { kNumber, kText, kUuid, kId } kind = kText;
  std::size_t size = 0;  // the size of a number in bytes
  std::uint64_t number = 0;
  std::string_view text = {};
};

struct NaiveHandle {
  LeaseHandleError error = LeaseHandleError::kNone;
  std::size_t offset = 0;
  int backend = 0;
  Field fields[8] = {{Field::kId, 0},   {Field::kNumber, 4}, {Field::kUuid, 0},
                     {Field::kUuid, 0}, {Field::kNumber, 8}, {Field::kNumber, 8},
                     {Field::kText, 0}, {Field::kText, 0}};
};

bool TakeNumber(std::string_view& rest, std::size_t size, std::uint64_t& number) {
  if (rest.size() < size) return false;
  number = 0;
  std::uint64_t weight = 1;
  for (std::size_t i = 0; i < size; ++i, weight *= 256) {
    number += static_cast<std::uint8_t>(rest[i]) * weight;
  }
  rest = rest.substr(size);
  return true;
}

LeaseHandleError TakeField(std::string_view& rest, Field& field) {
  if (field.kind == Field::kNumber) {
    return TakeNumber(rest, field.size, field.number) ? LeaseHandleError::kNone
                                                      : LeaseHandleError::kTruncated;
  }
  std::uint64_t length = 0;
  if (!TakeNumber(rest, 4, length) || rest.size() < length) return LeaseHandleError::kTruncated;
  field.text = rest.substr(0, length);
  rest = rest.substr(length);
  if (!NaiveIsUtf8(field.text)) return LeaseHandleError::kInvalidUtf8;
  if (field.kind == Field::kUuid && !NaiveParseUuid(field.text, ParseMode::kLenient)) {
    return LeaseHandleError::kInvalidUuid;
  }
  if (field.kind == Field::kId &&
      NaiveParseExecutionId(field.text, ParseMode::kLenient).error != ExecutionIdError::kNone) {
    return LeaseHandleError::kInvalidExecutionId;
  }
  return LeaseHandleError::kNone;
}

NaiveHandle NaiveDecode(std::string_view bytes) {
  NaiveHandle handle;
  std::string_view rest = bytes;
  const auto fail = [&](LeaseHandleError error, std::size_t offset) {
    handle.error = error;
    handle.offset = offset;
    return handle;
  };
  if (bytes.empty()) return fail(LeaseHandleError::kEmpty, 0);
  if (bytes[0] == 1) {
    handle.backend = 1;
    rest = bytes.substr(1);
  } else {
    if (bytes[0] != 2) return fail(LeaseHandleError::kUnknownVersion, 0);
    if (bytes.size() < 2) return fail(LeaseHandleError::kTruncated, 1);
    if (bytes[1] != 1) return fail(LeaseHandleError::kUnknownVersion, 1);
    if (bytes.size() < 3) return fail(LeaseHandleError::kTruncated, 2);
    handle.backend = static_cast<std::uint8_t>(bytes[2]);
    if (handle.backend < 1 || handle.backend > 3) {
      return fail(LeaseHandleError::kUnknownBackend, 2);
    }
    rest = bytes.substr(3);
  }
  for (Field& field : handle.fields) {
    const std::size_t begin = bytes.size() - rest.size();
    const LeaseHandleError error = TakeField(rest, field);
    if (error != LeaseHandleError::kNone) return fail(error, begin);
  }
  if (!rest.empty()) return fail(LeaseHandleError::kTrailingBytes, bytes.size() - rest.size());
  return handle;
}

std::string LittleEndian(std::uint64_t number, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i, number /= 256) bytes += static_cast<char>(number % 256);
  return bytes;
}

std::string NaiveEncode(const NaiveHandle& handle) {
  std::string bytes = "\x02\x01";
  bytes += static_cast<char>(handle.backend);
  for (const Field& field : handle.fields) {
    if (field.kind == Field::kNumber) {
      bytes += LittleEndian(field.number, field.size);
      continue;
    }
    std::string text(field.text);
    if (field.kind == Field::kUuid) {  // uuids are written in the canonical form
      text = testing::NaiveUuidText(NaiveParseUuid(text, ParseMode::kLenient).uuid);
    }
    bytes += LittleEndian(text.size(), 4) + text;
  }
  return bytes;
}

int BackendNumber(HandleBackend backend) {
  if (backend == HandleBackend::kValkey) return 1;
  if (backend == HandleBackend::kPostgres) return 2;
  return backend == HandleBackend::kSqlite ? 3 : 0;
}

void CheckFields(std::string_view input, const LeaseHandleView& got, const NaiveHandle& expected) {
  const Field(&f)[8] = expected.fields;
  const auto id = NaiveParseExecutionId(f[0].text, ParseMode::kLenient);
  if (BackendNumber(got.backend) != expected.backend) Fail("backend", input);
  if (got.execution_id.text() != f[0].text || got.execution_id.uuid() != id.uuid ||
      got.execution_id.partition().index != id.index ||
      got.execution_id.is_canonical() != id.canonical) {
    Fail("execution id", input, f[0].text, got.execution_id.text());
  }
  if (got.attempt_index.value != f[1].number) Fail("attempt index", input);
  if (got.attempt_id.uuid != NaiveParseUuid(f[2].text, ParseMode::kLenient).uuid) {
    Fail("attempt id", input);
  }
  if (got.lease_id.uuid != NaiveParseUuid(f[3].text, ParseMode::kLenient).uuid) {
    Fail("lease id", input);
  }
  if (got.lease_epoch.value != f[4].number) Fail("epoch", input);
  if (got.lease_ttl_ms != f[5].number) Fail("lease ttl", input);
  if (got.lane_id.text() != f[6].text) Fail("lane", input);
  if (got.worker_instance_id.text != f[7].text) Fail("instance id", input);
}

// Checks that all fields of a handle are zero or empty, as they must be after an error.
void CheckEmpty(std::string_view input, const LeaseHandleView& handle) {
  if (handle.backend != HandleBackend::kValkey || !handle.execution_id.text().empty() ||
      handle.attempt_index.value != 0 || handle.attempt_id.uuid != Uuid() ||
      handle.lease_id.uuid != Uuid() || handle.lease_epoch.value != 0 || handle.lease_ttl_ms != 0 ||
      !handle.lane_id.text().empty() || !handle.worker_instance_id.text.empty()) {
    Fail("a handle beside an error", input);
  }
}

// Checks that a handle with a name that is not UTF-8 can't be written. The writer must report this
// error even if the buffer is too small.
void CheckBadNames(std::string_view input, LeaseHandleView handle) {
  const std::string_view tail = input.substr(input.size() - input.size() / 4);
  if (NaiveIsUtf8(tail)) return;
  char out[8];
  LeaseHandleView other = handle;
  handle.lane_id = LaneIdView::Unchecked(tail);
  other.worker_instance_id.text = tail;
  for (const LeaseHandleView& bad : {handle, other}) {
    const WriteResult result = EncodeLeaseHandle(bad, out);
    if (result.error != WriteError::kInvalidUtf8 || result.size != 0) {
      Fail("a name that is no UTF-8 was taken", tail);
    }
  }
}

constexpr std::string_view kUuidText = "550e8400-e29b-41d4-a716-446655440000";
constexpr std::string_view kTexts[] = {"",
                                       "main",
                                       "w1-i1",
                                       "\xC3\xA4",
                                       "\xE2\x82\xAC",
                                       "\xF0\x9F\x98\x80",
                                       "\xED\xA0\x80",
                                       "\xC0\x80",
                                       "\xF4\x90\x80\x80",
                                       "\xE0\x9F\xBF",
                                       "\xE0\xA0\x80",
                                       "\xF0\x8F\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "\xED\x9F\xBF",
                                       "\x7F",
                                       "\x80",
                                       "\xC1\xBF",
                                       "\xC2\x80",
                                       "\xF5\x80\x80\x80",
                                       "\xE2\x82",
                                       "\xEF\xBF\xBF"};

void AppendSized(TextBuffer& text, std::string_view field) {
  text.Append(LittleEndian(field.size(), 4));
  text.Append(field);
}

void AppendUuidField(Random& random, TextBuffer& text) {
  const std::size_t at = text.size();
  text.Append(std::string_view("\0\0\0\0", 4));
  AppendUuid(random, text);
  text.Set(at, static_cast<char>(text.size() - at - 4));
}

void Generate(Random& random, TextBuffer& text) {
  if (random.OneIn(3)) {
    text.Append('\x01');
  } else {
    text.Append("\x02\x01");
    text.Append(static_cast<char>(random.OneIn(8) ? random.Below(6) : 1 + random.Below(3)));
  }
  const std::size_t at = text.size();
  text.Append(std::string_view("\0\0\0\0", 4));
  text.Append("{fp:");
  AppendIndex(random, text);
  text.Append("}:");
  AppendUuid(random, text);
  text.Set(at, static_cast<char>(text.size() - at - 4));
  const auto number = [&](std::size_t size) {
    text.Append(LittleEndian(random.OneIn(2) ? random.Next() : random.Below(300), size));
  };
  number(4);
  AppendUuidField(random, text);
  AppendUuidField(random, text);
  number(8);
  number(8);
  AppendSized(text, kTexts[random.Below(std::size(kTexts))]);
  AppendSized(text, kTexts[random.Below(std::size(kTexts))]);
}

constexpr std::string_view kPieces[] = {std::string_view("\0\0\0\0", 4),
                                        "\xFF\xFF\xFF\xFF",
                                        std::string_view("\x24\0\0\0", 4),
                                        "\x02\x01\x01",
                                        "{fp:7}:",
                                        kUuidText,
                                        "\xC3\xA4",
                                        "\xED\xA0\x80",
                                        "\xF0\x9F\x98\x80"};
constexpr TextGrammar kGrammar = {Generate, kPieces,
                                  std::string_view("\0\x01\x02\x03\x04{}:-a0\x80\xBF\xC2\xF4", 15)};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const InputCopies copies(data, size);
  const NaiveHandle expected = NaiveDecode(copies.exact());
  for (const std::string_view input : {copies.exact(), copies.at_page_end()}) {
    const LeaseHandleResult got =
        WithoutAllocation(input, [&]() noexcept { return DecodeLeaseHandle(input); });
    if (got.error != expected.error || got.offset != expected.offset) {
      Fail("decode", input,
           std::string(ErrorName(expected.error)) + " at " + std::to_string(expected.offset),
           std::string(ErrorName(got.error)) + " at " + std::to_string(got.offset));
    }
    if (got) {
      CheckFields(input, got.handle, expected);
    } else {
      CheckEmpty(input, got.handle);
    }
    Observe(static_cast<std::uint64_t>(got.error) << 32 | got.offset);
    if (!got) continue;
    const std::string again = NaiveEncode(expected);
    CheckWrite("encode", input, again, size * 3,
               [&](std::span<char> out) noexcept { return EncodeLeaseHandle(got.handle, out); });
    CheckBadNames(input, got.handle);
    Observe(again);
  }
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
