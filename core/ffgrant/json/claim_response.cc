// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/json/claim_response.h"

#include <array>
#include <bit>
#include <cstring>

#include "ffgrant/internal/canonical_execution_id.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/execution_id_access.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/internal/json_object.h"
#include "ffgrant/json/internal/json_struct.h"
#include "ffgrant/json/internal/json_writer.h"

namespace ffgrant {
namespace internal {
namespace {

// The literals before each value of a canonical document, and the literal after the last value.
constexpr char kBeforeExecutionId[] = R"({"execution_id":")";
constexpr char kBeforePartitionKey[] = R"(","partition_key":")";
constexpr char kBeforeGrantKey[] = R"(","grant_key":")";
constexpr char kBeforeExpiresAt[] = R"(","expires_at_ms":)";
constexpr char kBehind[] = "}";

constexpr std::size_t kMaxDigits = 20;

template <std::size_t kSizeWithNul>
constexpr std::size_t Size(const char (&)[kSizeWithNul]) noexcept {
  return kSizeWithNul - 1;
}

constexpr std::size_t kPunctuation = Size(kBeforeExecutionId) + Size(kBeforePartitionKey) +
                                     Size(kBeforeGrantKey) + Size(kBeforeExpiresAt) + Size(kBehind);
static_assert(kPunctuation + kMaxDigits == kClaimResponseJsonOverhead);

// Returns true if the literal is at `p`. Compares words; the last word overlaps the word before it.
// A call of memcmp would cost more than this comparison.
template <std::size_t kSizeWithNul>
inline bool BeginsWith(const char* p, const char (&literal)[kSizeWithNul]) noexcept {
  constexpr std::size_t kSize = kSizeWithNul - 1;
  static_assert(kSize >= 8);
  std::uint64_t difference = Load64(p + kSize - 8) ^ Load64(literal + kSize - 8);
  for (std::size_t i = 0; i + 8 < kSize; i += 8) difference |= Load64(p + i) ^ Load64(literal + i);
  return difference == 0;
}

template <std::size_t kSizeWithNul>
inline char* Put(char* to, const char (&literal)[kSizeWithNul]) noexcept {
  std::memcpy(to, literal, kSizeWithNul - 1);
  return to + kSizeWithNul - 1;
}

// Reads a string of plain bytes up to the literal, whose first byte is the string's closing quote.
template <std::size_t kSizeWithNul>
inline bool TakeText(const char*& p, const char* end, const char (&literal)[kSizeWithNul],
                     std::string_view& text) noexcept {
  const char* const special = FindSpecial<NonAscii::kSpecial>(p, end);
  if (static_cast<std::size_t>(end - special) < kSizeWithNul - 1 || !BeginsWith(special, literal)) {
    return false;
  }
  text = {p, static_cast<std::size_t>(special - p)};
  p = special + kSizeWithNul - 1;
  return true;
}

// Reads [p, end), which must be a number of 1 to 20 digits; returns false for anything else. At
// least 7 bytes before `p` must be readable.
inline bool TakeNumber(const char* p, const char* end, std::uint64_t& value) noexcept {
  const auto digits = static_cast<std::size_t>(end - p);
  if (digits - 1 >= kMaxDigits || (*p == '0' && digits > 1)) return false;
  bool ok = true;
  if (digits <= 8) {
    TakePath(Path::kNumberOf8, digits);
    value = ParseUpTo8Digits(Load64(end - 8), static_cast<unsigned>(digits), ok);
    return ok;
  }
  const std::uint64_t low = ParseUpTo8Digits(Load64(end - 8), 8, ok);
  if (digits <= 16) {
    TakePath(Path::kNumberOf16, digits);
    const auto high_digits = static_cast<unsigned>(digits - 8);
    value = ParseUpTo8Digits(Load64(end - 16), high_digits, ok) * 100'000'000 + low;
    return ok;
  }
  TakePath(Path::kNumberOf20, digits);
  // The largest value of 64 bits is 1844 67440737 09551615.
  const std::uint64_t middle = ParseUpTo8Digits(Load64(end - 16), 8, ok);
  const std::uint64_t top =
      ParseUpTo8Digits(Load64(end - 24), static_cast<unsigned>(digits - 16), ok);
  if (!ok || top > 1844) return false;
  const std::uint64_t high = top * 100'000'000 + middle;
  if (high > 184'467'440'737u || (high == 184'467'440'737u && low > 9'551'615u)) return false;
  value = high * 100'000'000 + low;
  return true;
}

inline bool TakeCanonical(std::string_view json, ClaimResponseView& out) noexcept {
  if (json.size() < kPunctuation + 1) return false;
  TakePath(Path::kCanonicalResponse, json.size());
  const char* p = json.data();
  const char* const end = p + json.size();
  if (!BeginsWith(p, kBeforeExecutionId)) return false;
  p += Size(kBeforeExecutionId);
  return TakeText(p, end, kBeforePartitionKey, out.execution_id) &&
         TakeText(p, end, kBeforeGrantKey, out.partition_key) &&
         TakeText(p, end, kBeforeExpiresAt, out.grant_key) && p < end && end[-1] == '}' &&
         TakeNumber(p, end - 1, out.expires_at_ms);
}

constexpr std::size_t kUsualDigits = 13;    // the digits of a time from the year 2001 until 2286
constexpr std::size_t kAroundKeyIndex = 5;  // the bytes of `{fp:` and `}`
// The largest offset that the grant key can have, plus the bytes after the grant key except the
// digits of the time.
constexpr std::size_t kMinUsualSize =
    Size(kBeforeExecutionId) + kMaxExecutionIdSize + Size(kBeforePartitionKey) +
    kMaxPartitionTagSize + Size(kBeforeGrantKey) + Size(kBeforeExpiresAt) + Size(kBehind);

// Returns the number of digits right before `end`; 24 or more count as 24. At least 24 bytes before
// `end` must be readable.
inline std::size_t DigitsBefore(const char* end) noexcept {
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  for (std::size_t behind = 0; behind < 24; behind += 8) {
    const std::uint64_t digits = Load64(end - behind - 8) ^ kOnes * '0';
    // Sets the high bit of each byte that is not 0 to 9. No sum carries into the next byte.
    const std::uint64_t others = (((digits & kOnes * 0x7F) + kOnes * 0x76) | digits) & kOnes * 0x80;
    if (others != 0) return behind + static_cast<std::size_t>(std::countl_zero(others)) / 8;
  }
  return 24;
}

enum class Usual : std::uint8_t {
  kNo,
  kUpToTheEnd,  // all but the last byte is right, and that byte cannot continue a number
  kYes,
};

// Reads canonical documents in their usual form: with a canonical id, and a partition key as long
// as the id's tag. The number of digits in the id's tag, the number of digits in the time and the
// size of the document then tell where each text is, so all texts are checked at once instead of
// one after the other. The id itself is not checked here: the caller parses or scans it.
inline Usual TakeUsual(std::string_view json, ClaimResponseView& out) noexcept {
  if (json.size() <= kMinUsualSize || !BeginsWith(json.data(), kBeforeExecutionId)) {
    return Usual::kNo;
  }
  TakePath(Path::kUsualResponse, json.size());
  const char* const id = json.data() + Size(kBeforeExecutionId);
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  const std::uint64_t brace = Load64(id + kExecutionTagBeginSize) ^ kOnes * '}';
  const std::uint64_t brace_bits = (brace - kOnes) & ~brace & (kOnes << 7);
  // If `digits` is 8, there is no brace. Even then the places of the literals before the grant key
  // are within the document.
  const auto digits = static_cast<std::size_t>(std::countr_zero(brace_bits)) / 8;
  const std::size_t id_size = kAroundExecutionIndex + digits;
  const std::size_t key_size = kAroundKeyIndex + digits;
  const char* const partition_key = id + id_size + Size(kBeforePartitionKey);
  const char* const grant_key = partition_key + key_size + Size(kBeforeGrantKey);
  // Uses & instead of &&, to have one branch instead of three: nothing predicts which check an
  // unusual document fails first.
  bool ok = digits - 1 < 5;
  ok &= BeginsWith(id + id_size, kBeforePartitionKey);
  ok &= BeginsWith(partition_key + key_size, kBeforeGrantKey);
  if (!ok) return Usual::kNo;

  const char* const end = json.data() + json.size();
  const char* const time_end = end - Size(kBehind);
  const bool usual_time = time_end[-static_cast<std::ptrdiff_t>(kUsualDigits) - 1] == ':';
  const std::size_t time_digits = usual_time ? kUsualDigits : DigitsBefore(time_end);
  if (time_digits - 1 >= kMaxDigits || json.size() < kMinUsualSize + time_digits) return Usual::kNo;
  const char* const time = time_end - time_digits;
  const char* const grant_key_end = time - Size(kBeforeExpiresAt);
  out.execution_id = {id, id_size};
  out.partition_key = {partition_key, key_size};
  out.grant_key = {grant_key, static_cast<std::size_t>(grant_key_end - grant_key)};

  if (usual_time) [[likely]] {
    ok = *time != '0';
    out.expires_at_ms = ParseUpTo8Digits(Load64(time - 3), 5, ok) * 100'000'000;
    out.expires_at_ms += ParseUpTo8Digits(Load64(time + 5), 8, ok);
  } else {
    ok = TakeNumber(time, time_end, out.expires_at_ms);
  }
  ok &= BeginsWith(grant_key_end, kBeforeExpiresAt);
  if (!ok) return Usual::kNo;
  ok = PlainPrefix16(partition_key) == key_size;
  ok &= IsPlainText(out.grant_key);
  if (!ok) return Usual::kNo;
  const char last = end[-1];
  if (last == '}') [[likely]]
    return Usual::kYes;
  const bool goes_on = (last >= '0' && last <= '9') || last == '.' || (last | 0x20) == 'e';
  return goes_on ? Usual::kNo : Usual::kUpToTheEnd;
}

// Writes a response, all of whose texts must be plain.
inline WriteResult WritePlain(const ClaimResponseView& r, std::span<char> out) noexcept {
  const unsigned digits = DigitCount(r.expires_at_ms);
  const std::size_t size =
      kPunctuation + digits + r.execution_id.size() + r.partition_key.size() + r.grant_key.size();
  TakePath(Path::kWritePlain, size);
  if (size > out.size()) return {size, WriteError::kBufferTooSmall};
  char* to = Put(out.data(), kBeforeExecutionId);
  to = Put(CopyText(to, r.execution_id), kBeforePartitionKey);
  to = Put(CopyText(to, r.partition_key), kBeforeGrantKey);
  to = Put(CopyText(to, r.grant_key), kBeforeExpiresAt);
  Put(WriteDigits(to, r.expires_at_ms, digits), kBehind);
  return {size, WriteError::kNone};
}

WriteResult WriteAny(const ClaimResponseView& r, std::span<char> out) noexcept {
  TakePath(Path::kWriteAny, r.grant_key.size());
  return WriteJson(out, [&r](auto& sink) {
    sink.Raw(R"({"execution_id":)");
    sink.Text(r.execution_id);
    sink.Raw(R"(,"partition_key":)");
    sink.Text(r.partition_key);
    sink.Raw(R"(,"grant_key":)");
    sink.Text(r.grant_key);
    sink.Raw(R"(,"expires_at_ms":)");
    sink.Number(r.expires_at_ms);
    sink.Raw("}");
  });
}

constexpr std::array<MemberSpec, 4> kMembers = {{
    {.name = "execution_id"},
    {.name = "partition_key"},
    {.name = "grant_key"},
    {.name = "expires_at_ms", .kind = MemberKind::kUint64},
}};

// Rejects a document that is right except for its last byte, which should be `}` and does not
// continue the number before it.
[[gnu::noinline]] JsonResult RejectLastByte(std::string_view json, JsonScratch& scratch) noexcept {
  return DecodeDocument(json, scratch, [](JsonReader& reader) {
    const char* const last = reader.end() - 1;
    // After a comma or a blank something else must follow, so the fault is at the document's end.
    reader.set_position(*last == ',' || IsBlank(*last) ? last + 1 : last);
    return reader.FailUnexpected();
  });
}

// Reads any document. Returns false after a failure; `result` then holds the error. On success
// `result` stays as it was, and `out` is set member by member: a copy of the whole object would be
// wide loads, which have to wait for the narrow stores before them.
[[gnu::noinline]] bool DecodeSequentially(std::string_view json, JsonScratch& scratch,
                                          ClaimResponseView& out, JsonResult& result) noexcept {
  if (IsRejectedAtOnce(json, scratch)) {
    result.error = JsonError::kUnexpectedByte;
    return false;
  }
  // A canonical document needs no scratch, so it is read even if the scratch is too small or has no
  // memory yet.
  if (json.size() > scratch.max_document_size() || !JsonMemory::IsThere(scratch)) [[unlikely]] {
    ClaimResponseView view;
    if (TakeCanonical(json, view)) {
      out = view;
      return true;
    }
  }
  std::array<MemberValue, kMembers.size()> values;
  const auto decode = [&values](JsonReader& reader) {
    return DecodeStructOf<kMembers>(reader, values.data());
  };
  if (!DecodeDocument(json, scratch, decode, result)) return false;
  out.execution_id = values[0].text;
  out.partition_key = values[1].text;
  out.grant_key = values[2].text;
  out.expires_at_ms = values[3].number;
  return true;
}

}  // namespace

bool ParseClaimResponseCanonical(std::string_view json, ClaimResponseView& out) noexcept {
  return TakeCanonical(json, out);
}

JsonResult ParseClaimResponseSequential(std::string_view json, JsonScratch& scratch,
                                        ClaimResponseView& out) noexcept {
  JsonResult result;
  static_cast<void>(DecodeSequentially(json, scratch, out, result));
  return result;
}

}  // namespace internal

JsonResult ParseClaimResponse(std::string_view json, JsonScratch& scratch,
                              ClaimResponseView& out) noexcept {
  using internal::Usual;
  ClaimResponseView view;
  const Usual usual = internal::TakeUsual(json, view);
  if (usual != Usual::kNo && internal::IsPlainText(view.execution_id)) [[likely]] {
    if (usual == Usual::kUpToTheEnd) return internal::RejectLastByte(json, scratch);
    out = view;
    return {};
  }
  return internal::ParseClaimResponseSequential(json, scratch, out);
}

ExecutionIdResult ToClaimGrant(const ClaimResponseView& response, ClaimGrantView& out) noexcept {
  const ExecutionIdResult parsed = ParseExecutionId(response.execution_id, ParseMode::kLenient);
  if (parsed) {
    out = {parsed.id, response.partition_key, response.grant_key, response.expires_at_ms};
  }
  return parsed;
}

[[gnu::noinline]] GrantJsonResult internal::ParseAnyClaimGrant(std::string_view json,
                                                               JsonScratch& scratch,
                                                               ClaimGrantView& out) noexcept {
  TakePath(Path::kAnyGrant, json.size());
  GrantJsonResult result;
  ClaimResponseView view;
  std::uint16_t index;
  Uuid uuid;
  const Usual usual = TakeUsual(json, view);
  if (usual == Usual::kNo) {
    if (!DecodeSequentially(json, scratch, view, result.json)) return result;
  } else if (usual == Usual::kUpToTheEnd && IsPlainText(view.execution_id)) {
    result.json = RejectLastByte(json, scratch);
    return result;
  }
  // A canonical id has only plain bytes, so no search for special ones is needed.
  if (ParseCanonicalExecutionId(view.execution_id, index, uuid)) [[likely]] {
    ExecutionIdAccess::Fill(out.execution_id, view.execution_id, index, uuid);
    out.partition_key = view.partition_key;
    out.grant_key = view.grant_key;
    out.expires_at_ms = view.expires_at_ms;
    return result;
  }
  if (usual != Usual::kNo && !IsPlainText(view.execution_id)) {
    if (!DecodeSequentially(json, scratch, view, result.json)) return result;
  }
  result.execution_id = ToClaimGrant(view, out).error;
  return result;
}

GrantJsonResult ParseClaimGrant(std::string_view json, JsonScratch& scratch,
                                ClaimGrantView& out) noexcept {
#ifdef FFGRANT_HAS_AVX2_PATHS
  if (internal::HasAvx2()) [[likely]]
    return internal::ParseClaimGrantAvx2(json, scratch, out);
  return internal::ParseAnyClaimGrant(json, scratch, out);
#else
  return internal::ParseAnyClaimGrant(json, scratch, out);
#endif
}

WriteResult SerializeClaimResponse(const ClaimResponseView& response,
                                   std::span<char> out) noexcept {
  if (internal::IsPlainText(response.execution_id) &&
      internal::IsPlainText(response.partition_key) && internal::IsPlainText(response.grant_key)) {
    return internal::WritePlain(response, out);
  }
  return internal::WriteAny(response, out);
}

WriteResult SerializeClaimGrant(const ClaimGrantView& grant, std::span<char> out) noexcept {
  const ClaimResponseView response = {grant.execution_id.text(), grant.partition_key,
                                      grant.grant_key, grant.expires_at_ms};
  // No byte of an execution id needs an escape.
  if (internal::IsPlainText(response.partition_key) && internal::IsPlainText(response.grant_key))
      [[likely]] {
    return internal::WritePlain(response, out);
  }
  return internal::WriteAny(response, out);
}

}  // namespace ffgrant
