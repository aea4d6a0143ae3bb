// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/claim_replies.h"

#include <locale.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace ffgrant::valkey::internal {
namespace {

template <class Number>
std::optional<Number> Parse(std::optional<std::string_view> text) noexcept {
  Number number{};
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return number;
}

// Parses a decimal number with or without a fraction and an exponent, as Lua's tostring() writes
// it. libc++ has no std::from_chars() for such numbers before version 20.
std::optional<double> ParseDecimal(std::string_view text) noexcept {
  static const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  std::array<char, 64> ended{};
  if (text.empty() || text.size() >= ended.size() || text.front() == '+' ||
      text.find_first_not_of("+-.0123456789Ee") != std::string_view::npos) {
    return std::nullopt;
  }
  text.copy(ended.data(), text.size());
  char* end = nullptr;
  errno = 0;
  const double number = strtod_l(ended.data(), &end, c_locale);
  if (errno != 0 || end != ended.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Uuid> ParseId(std::optional<std::string_view> text) noexcept {
  if (!text) return std::nullopt;
  const UuidResult parsed = ParseUuid(*text, ParseMode::kLenient);
  if (!parsed) return std::nullopt;
  return parsed.uuid;
}

std::optional<LeaseKind> ParseKind(std::optional<std::string_view> word) noexcept {
  for (const LeaseKind kind : {LeaseKind::kInitial, LeaseKind::kRetry, LeaseKind::kReplay,
                               LeaseKind::kResumed, LeaseKind::kReclaim}) {
    if (word == LeaseKindName(kind)) return kind;
  }
  return std::nullopt;
}

std::optional<AlreadySatisfied> ParseReason(std::optional<std::string_view> word) noexcept {
  for (const AlreadySatisfied reason :
       {AlreadySatisfied::kExecutionNotFound, AlreadySatisfied::kNotActive,
        AlreadySatisfied::kAlreadyExpired, AlreadySatisfied::kAlreadyRevoked,
        AlreadySatisfied::kUnowned, AlreadySatisfied::kNotYetExpired}) {
    if (word == ReasonWord(reason)) return reason;
  }
  return std::nullopt;
}

// Writes the outcome of a rejection to `out`; any other answer is returned for the caller to read.
// Returns nothing if the reply was a rejection, or if `reply` is no answer at all (then `valid` is
// false).
std::optional<FunctionReply> ReadOk(const Reply& reply, ErrorDetails* details, Outcome& out,
                                    bool& valid) noexcept {
  const std::optional<FunctionReply> read = ReadFunctionReply(reply, details);
  valid = read.has_value();
  if (!read) return std::nullopt;
  if (read->kind == FunctionReply::Kind::kRejected) {
    out.error = read->error;
    return std::nullopt;
  }
  return read;
}

// Does what ReadOk() does, for the reply to a claim. A reply that is an error becomes
// kUnknownOutcome, because the function may have written the lease before it failed.
std::optional<FunctionReply> ReadOkOfClaim(const Reply& reply, ErrorDetails* details,
                                           ClaimOutcome& out, bool& valid) noexcept {
  const std::optional<FunctionReply> read = ReadOk(reply, details, out, valid);
  if (reply.is(Reply::Type::kError)) out.error = ClaimError::kUnknownOutcome;
  return read;
}

void AddDetail(ErrorDetails* details, std::string_view text) noexcept {
  if (details == nullptr) return;
  // A text that is too long for a detail is cut, not lost.
  if (!details->Add(text)) (void)details->Add(text.substr(0, 512));
}

}  // namespace

std::optional<std::int64_t> ReadInteger(std::string_view text) noexcept {
  return Parse<std::int64_t>(text);
}

std::optional<TimestampMs> ReadTimeToCome(std::string_view text) noexcept {
  if (const auto whole = ReadInteger(text)) return TimestampMs{*whole};
  const auto time = ParseDecimal(text);
  if (!time) return std::nullopt;
  const double rounded = std::ceil(*time);
  // The number must fit into 64 bits.
  if (rounded < -0x1p63 || rounded >= 0x1p63) return std::nullopt;
  return TimestampMs{static_cast<std::int64_t>(rounded)};
}

std::optional<FunctionReply> ReadFunctionReply(const Reply& reply, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  FunctionReply read;
  if (reply.is(Reply::Type::kError)) {
    read.kind = FunctionReply::Kind::kRejected;
    read.error = ClaimError::kUnknownCode;
    AddDetail(details, reply.text);
    return read;
  }
  if (!reply.is(Reply::Type::kArray) || reply.elements().size() < 2 ||
      !reply.elements()[0].is(Reply::Type::kInteger)) {
    return std::nullopt;
  }
  for (const Reply& element : reply.elements().subspan(1)) {
    if (!element.is(Reply::Type::kString)) return std::nullopt;
  }
  const std::string_view word = reply.elements()[1].text;
  read.fields = reply.elements().subspan(2);
  if (reply.elements()[0].integer == 1) {
    if (word == "OK") {
      read.kind = FunctionReply::Kind::kOk;
    } else if (word == "DUPLICATE") {
      read.kind = FunctionReply::Kind::kDuplicate;
    } else if (word == "ALREADY_SATISFIED") {
      read.kind = FunctionReply::Kind::kAlreadySatisfied;
    } else {
      return std::nullopt;
    }
    return read;
  }
  if (reply.elements()[0].integer != 0) return std::nullopt;
  read.kind = FunctionReply::Kind::kRejected;
  const std::optional<ClaimError> known = ClaimErrorFromCode(word);
  read.error = known.value_or(ClaimError::kUnknownCode);
  if (!known) AddDetail(details, word);
  for (const Reply& field : read.fields) AddDetail(details, field.text);
  return read;
}

bool ReadCreate(const Reply& reply, const ExecutionIdView& id, ErrorDetails* details,
                CreateOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->Field(0) != id.text()) return false;
  if (read->kind == FunctionReply::Kind::kDuplicate) {
    out.status = CreateOutcome::Status::kDuplicate;
  } else if (read->kind != FunctionReply::Kind::kOk) {
    return false;
  } else if (read->Field(1) == "delayed") {
    out.status = CreateOutcome::Status::kDelayed;
  } else if (read->Field(1) == "waiting") {
    out.status = CreateOutcome::Status::kWaiting;
  } else {
    return false;
  }
  out.error = ClaimError::kNone;
  return true;
}

bool ReadIssue(const Reply& reply, std::string_view id, bool has_expiry, ErrorDetails* details,
               IssueOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->kind != FunctionReply::Kind::kOk || read->Field(0) != id) return false;
  if (has_expiry) {
    const auto expires_at = Parse<std::int64_t>(read->Field(1));
    if (!expires_at) return false;
    out.expires_at = {*expires_at};
  }
  out.error = ClaimError::kNone;
  return true;
}

bool ReadClaim(const Reply& reply, const LeaseId& lease_id,
               const std::optional<AttemptId>& attempt_id, ErrorDetails* details,
               ClaimOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOkOfClaim(reply, details, out, valid);
  if (!read) return valid;
  const auto lease = ParseId(read->Field(0));
  const auto epoch = Parse<std::uint64_t>(read->Field(1));
  const auto expires_at = Parse<std::int64_t>(read->Field(2));
  const auto attempt = ParseId(read->Field(3));
  const auto index = Parse<std::uint32_t>(read->Field(4));
  const auto kind = ParseKind(read->Field(5));
  if (read->kind != FunctionReply::Kind::kOk || lease != lease_id.uuid || !epoch || !expires_at ||
      !attempt || !index || !kind || (attempt_id && *attempt != attempt_id->uuid)) {
    return false;
  }
  out.error = ClaimError::kNone;
  out.lease = {.fence = {.lease_id = lease_id, .lease_epoch = {*epoch}, .attempt_id = {*attempt}},
               .attempt_index = {*index},
               .expires_at = {*expires_at},
               .kind = *kind};
  return true;
}

bool ReadIssueAndClaim(const Reply& reply, const LeaseId& lease_id, const AttemptId& attempt_id,
                       ErrorDetails* details, ClaimOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOkOfClaim(reply, details, out, valid);
  if (!read) return valid;
  const auto lease = ParseId(read->Field(0));
  const auto epoch = Parse<std::uint64_t>(read->Field(1));
  const auto index = Parse<std::uint32_t>(read->Field(2));
  if (read->kind != FunctionReply::Kind::kOk || lease != lease_id.uuid || !epoch || !index) {
    return false;
  }
  out.error = ClaimError::kNone;
  out.lease = {.fence = {.lease_id = lease_id, .lease_epoch = {*epoch}, .attempt_id = attempt_id},
               .attempt_index = {*index},
               .expires_at = {},
               .kind = LeaseKind::kInitial};
  return true;
}

bool ReadRenew(const Reply& reply, ErrorDetails* details, RenewOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  const auto expires_at = Parse<std::int64_t>(read->Field(0));
  if (read->kind != FunctionReply::Kind::kOk || !expires_at) return false;
  out.error = ClaimError::kNone;
  out.expires_at = {*expires_at};
  return true;
}

bool ReadMarkExpired(const Reply& reply, MarkExpiredOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, nullptr, out, valid);
  if (!read) return valid;
  if (read->kind == FunctionReply::Kind::kAlreadySatisfied) {
    const auto reason = ParseReason(read->Field(0));
    if (!reason) return false;
    out.already = *reason;
  } else if (read->kind != FunctionReply::Kind::kOk || read->Field(0) != "marked_expired") {
    return false;
  }
  out.error = ClaimError::kNone;
  return true;
}

bool ReadRevoke(const Reply& reply, ErrorDetails* details, RevokeOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->kind == FunctionReply::Kind::kAlreadySatisfied) {
    const auto reason = ParseReason(read->Field(0));
    if (!reason) return false;
    out.already = *reason;
    out.error = ClaimError::kNone;
    return true;
  }
  const auto lease = ParseId(read->Field(1));
  const auto epoch = Parse<std::uint64_t>(read->Field(2));
  if (read->kind != FunctionReply::Kind::kOk || read->Field(0) != "revoked" || !lease || !epoch) {
    return false;
  }
  out.error = ClaimError::kNone;
  out.lease_id = {*lease};
  out.lease_epoch = {*epoch};
  return true;
}

bool ReadResume(const Reply& reply, ErrorDetails* details, ResumeOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->kind != FunctionReply::Kind::kOk) return false;
  if (read->Field(0) != "waiting" && read->Field(0) != "delayed") return false;
  out.error = ClaimError::kNone;
  out.delayed = read->Field(0) == "delayed";
  return true;
}

bool ReadFail(const Reply& reply, ErrorDetails* details, FailOutcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->kind != FunctionReply::Kind::kOk) return false;
  if (read->Field(0) == "retry_scheduled") {
    const auto delay_until = ReadTimeToCome(read->Field(1).value_or(""));
    if (!delay_until) return false;
    out.retried = true;
    out.delay_until = *delay_until;
  } else if (read->Field(0) != "terminal_failed") {
    return false;
  }
  out.error = ClaimError::kNone;
  return true;
}

bool ReadWord(const Reply& reply, std::string_view word, ErrorDetails* details,
              Outcome& out) noexcept {
  bool valid = false;
  const auto read = ReadOk(reply, details, out, valid);
  if (!read) return valid;
  if (read->kind != FunctionReply::Kind::kOk || read->fields.empty()) return false;
  if (!word.empty() && read->Field(0) != word) return false;
  out.error = ClaimError::kNone;
  return true;
}

bool ReadHints(const Reply& reply, CoreHints& out, ClaimError& error) noexcept {
  if (reply.is(Reply::Type::kError)) {
    error = ClaimError::kUnknownCode;
    return true;
  }
  if (!reply.is(Reply::Type::kArray) || reply.elements().size() != 5) return false;
  for (const Reply& element : reply.elements()) {
    if (!element.is(Reply::Type::kString) && !element.is(Reply::Type::kNil)) return false;
  }
  const Reply& lane = reply.elements()[0];
  if (lane.is(Reply::Type::kNil)) {
    error = ClaimError::kExecutionNotFound;
    return true;
  }
  // The index is empty before the first attempt.
  const auto index = Parse<std::uint32_t>(reply.elements()[1].text);
  if (!index && !reply.elements()[1].text.empty()) return false;
  error = ClaimError::kNone;
  out.attempt_index = index.value_or(0);
  out.lane.assign(lane.text);
  out.worker_instance_id.assign(reply.elements()[2].text);
  out.waitpoint_id.assign(reply.elements()[3].text);
  out.current_lane.assign(reply.elements()[4].text);
  if (out.current_lane.empty()) out.current_lane = out.lane;
  return true;
}

}  // namespace ffgrant::valkey::internal
