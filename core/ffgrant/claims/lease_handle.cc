// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/lease_handle.h"

#include <cassert>
#include <cstring>

namespace ffgrant {
namespace {

constexpr unsigned char kNewerForm = 0x02;
constexpr unsigned char kNewerFormVersion = 0x01;
constexpr unsigned char kOlderForm = 0x01;

// The size of the newer form without its five texts: three bytes in front, the five lengths, the
// attempt index, the epoch and the ttl.
constexpr std::size_t kFixedSize = 3 + 5 * 4 + 4 + 8 + 8;

unsigned char BackendByte(HandleBackend backend) noexcept {
  switch (backend) {
    case HandleBackend::kValkey:
      return 1;
    case HandleBackend::kPostgres:
      return 2;
    case HandleBackend::kSqlite:
      return 3;
  }
  // Never reached: each handle is made with one of these backends, which debug builds check.
  return assert(false && "a backend that there is not"), static_cast<unsigned char>(0);
}

bool BackendFromByte(unsigned char byte, HandleBackend& backend) noexcept {
  for (const HandleBackend candidate :
       {HandleBackend::kValkey, HandleBackend::kPostgres, HandleBackend::kSqlite}) {
    if (BackendByte(candidate) == byte) {
      backend = candidate;
      return true;
    }
  }
  return false;
}

// Accepts the sequences of Unicode's table 3-7: no overlong ones, no
// surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) noexcept {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t i = 0;
  while (i < text.size()) {
    const unsigned char lead = byte(i++);
    if (lead < 0x80) {
      continue;
    }
    if (lead < 0xC2 || lead > 0xF4) {
      return false;
    }
    const std::size_t continuation = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (text.size() - i < continuation) {
      return false;
    }
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (byte(i) < low || byte(i) > high) {
      return false;
    }
    for (std::size_t k = 1; k < continuation; ++k) {
      if ((byte(i + k) & 0xC0) != 0x80) {
        return false;
      }
    }
    i += continuation;
  }
  return true;
}

// Reads a handle field by field. The first error is kept, and the reads after it do nothing.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : bytes_(bytes) {}

  LeaseHandleError error() const noexcept { return error_; }
  std::size_t offset() const noexcept { return field_; }
  bool failed() const noexcept { return error_ != LeaseHandleError::kNone; }

  // Notes where a field begins: this offset is reported if the field fails.
  void BeginField() noexcept {
    if (!failed()) {
      field_ = position_;
    }
  }
  void Fail(LeaseHandleError error) noexcept {
    if (!failed()) {
      error_ = error;
    }
  }

  std::string_view Take(std::size_t size) noexcept {
    if (failed()) {
      return {};
    }
    if (bytes_.size() - position_ < size) {
      Fail(LeaseHandleError::kTruncated);
      return {};
    }
    const std::string_view taken = bytes_.substr(position_, size);
    position_ += size;
    return taken;
  }

  unsigned char Byte() noexcept {
    BeginField();
    const std::string_view taken = Take(1);
    return taken.empty() ? static_cast<unsigned char>(0) : static_cast<unsigned char>(taken[0]);
  }

  // Reads a little-endian number, whatever this machine's byte order is; returns 0 after a failure.
  std::uint64_t Number(std::size_t size) noexcept {
    const std::string_view taken = Take(size);
    std::uint64_t value = 0;
    for (std::size_t i = taken.size(); i > 0; --i) {
      value = value << 8 | static_cast<unsigned char>(taken[i - 1]);
    }
    return value;
  }

  std::string_view Text() noexcept {
    BeginField();
    const std::string_view text = Take(static_cast<std::size_t>(Number(4)));
    if (!failed() && !IsUtf8(text)) {
      Fail(LeaseHandleError::kInvalidUtf8);
    }
    return text;
  }

  Uuid UuidText() noexcept {
    const std::string_view text = Text();
    if (failed()) {
      return {};
    }
    const UuidResult result = ParseUuid(text, ParseMode::kLenient);
    if (!result) {
      Fail(LeaseHandleError::kInvalidUuid);
    }
    return result.uuid;
  }

  ExecutionIdView ExecutionIdText() noexcept {
    const std::string_view text = Text();
    if (failed()) {
      return {};
    }
    const ExecutionIdResult result = ParseExecutionId(text, ParseMode::kLenient);
    if (!result) {
      Fail(LeaseHandleError::kInvalidExecutionId);
    }
    return result.id;
  }

  void End() noexcept {
    BeginField();
    if (!failed() && position_ != bytes_.size()) {
      Fail(LeaseHandleError::kTrailingBytes);
    }
  }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
  std::size_t field_ = 0;
  LeaseHandleError error_ = LeaseHandleError::kNone;
};

void ReadLead(Reader& reader, HandleBackend& backend) noexcept {
  const unsigned char form = reader.Byte();
  if (form == kOlderForm) {
    backend = HandleBackend::kValkey;
    return;
  }
  if (form != kNewerForm) {
    reader.Fail(LeaseHandleError::kUnknownVersion);
    return;
  }
  if (reader.Byte() != kNewerFormVersion) {
    reader.Fail(LeaseHandleError::kUnknownVersion);
  }
  if (!BackendFromByte(reader.Byte(), backend)) {
    reader.Fail(LeaseHandleError::kUnknownBackend);
  }
}

// Writes fields into a buffer, which must be large enough for all of them.
class Writer {
 public:
  explicit Writer(char* out) noexcept : out_(out) {}

  void Number(std::uint64_t value, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; ++i) {
      *out_++ = static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
    }
  }
  void Text(std::string_view text) noexcept {
    Number(text.size(), 4);
    if (!text.empty()) {
      std::memcpy(out_, text.data(), text.size());
      out_ += text.size();
    }
  }
  void UuidText(const Uuid& uuid) noexcept {
    Number(kUuidTextSize, 4);
    FormatUuid(uuid, std::span<char, kUuidTextSize>(out_, kUuidTextSize));
    out_ += kUuidTextSize;
  }

 private:
  char* out_;
};

}  // namespace

std::string_view ErrorName(LeaseHandleError error) noexcept {
  switch (error) {
    case LeaseHandleError::kNone:
      return "none";
    case LeaseHandleError::kEmpty:
      return "empty";
    case LeaseHandleError::kUnknownVersion:
      return "unknown_version";
    case LeaseHandleError::kUnknownBackend:
      return "unknown_backend";
    case LeaseHandleError::kTruncated:
      return "truncated";
    case LeaseHandleError::kTrailingBytes:
      return "trailing_bytes";
    case LeaseHandleError::kInvalidUtf8:
      return "invalid_utf8";
    case LeaseHandleError::kInvalidExecutionId:
      return "invalid_execution_id";
    case LeaseHandleError::kInvalidUuid:
      return "invalid_uuid";
  }
  // Any number may be cast to an enumeration.
  return "";
}

LeaseHandleResult DecodeLeaseHandle(std::string_view bytes) noexcept {
  LeaseHandleResult result;
  if (bytes.empty()) {
    result.error = LeaseHandleError::kEmpty;
    return result;
  }
  Reader reader(bytes);
  LeaseHandleView handle;
  ReadLead(reader, handle.backend);
  handle.execution_id = reader.ExecutionIdText();
  reader.BeginField();
  handle.attempt_index.value = static_cast<std::uint32_t>(reader.Number(4));
  handle.attempt_id.uuid = reader.UuidText();
  handle.lease_id.uuid = reader.UuidText();
  reader.BeginField();
  handle.lease_epoch.value = reader.Number(8);
  reader.BeginField();
  handle.lease_ttl_ms = reader.Number(8);
  handle.lane_id = LaneIdView::Unchecked(reader.Text());
  handle.worker_instance_id.text = reader.Text();
  reader.End();
  if (reader.failed()) {
    result.error = reader.error();
    result.offset = reader.offset();
    return result;
  }
  result.handle = handle;
  return result;
}

WriteResult EncodeLeaseHandle(const LeaseHandleView& handle, std::span<char> out) noexcept {
  const std::string_view id = handle.execution_id.text();
  const std::string_view lane = handle.lane_id.text();
  const std::string_view instance = handle.worker_instance_id.text;
  if (!IsUtf8(lane) || !IsUtf8(instance)) {
    return {0, WriteError::kInvalidUtf8};
  }
  const std::size_t size =
      kFixedSize + id.size() + 2 * kUuidTextSize + lane.size() + instance.size();
  if (out.size() < size) {
    return {size, WriteError::kBufferTooSmall};
  }
  Writer writer(out.data());
  writer.Number(kNewerForm, 1);
  writer.Number(kNewerFormVersion, 1);
  writer.Number(BackendByte(handle.backend), 1);
  writer.Text(id);
  writer.Number(handle.attempt_index.value, 4);
  writer.UuidText(handle.attempt_id.uuid);
  writer.UuidText(handle.lease_id.uuid);
  writer.Number(handle.lease_epoch.value, 8);
  writer.Number(handle.lease_ttl_ms, 8);
  writer.Text(lane);
  writer.Text(instance);
  return {size, WriteError::kNone};
}

}  // namespace ffgrant
