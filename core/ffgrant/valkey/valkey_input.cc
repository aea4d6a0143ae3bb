// SPDX-License-Identifier: Apache-2.0
//
// Reads the content of an execution for the worker that has claimed it.

#include <algorithm>
#include <array>
#include <charconv>

#include "ffgrant/valkey/execution_input.h"
#include "ffgrant/valkey/internal/stored_execution.h"
#include "ffgrant/valkey/internal/valkey_ledger_impl.h"

namespace ffgrant::valkey {

using namespace internal;  // NOLINT: the whole file uses the stored fields

std::optional<std::string_view> ExecutionInput::FindTag(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < tag_count(); ++i) {
    if (tag(i).name == name) return tag(i).value;
  }
  return std::nullopt;
}

void ExecutionInput::Clear() noexcept {
  bytes_.clear();
  tags_.clear();
  payload_ = kind_ = attempt_type_ = attempt_reason_ = {};
  previous_attempt_.reset();
}

bool ExecutionInput::Append(std::string_view text, Span& span) {
  if (text.size() > max_bytes_ - bytes_.size()) return false;
  span = {bytes_.size(), text.size()};
  bytes_.append(text);
  return true;
}

namespace {

constexpr std::array<std::string_view, 2> kAboutFields = {"lane_id", "execution_kind"};
// The type of the attempt, then the reason and the previous attempt of a retry or a reclaim, and
// then those of a replay. An attempt has one reason and one previous attempt at most.
constexpr std::array<std::string_view, 6> kAttemptFields = {
    "attempt_type",           "retry_reason",  "reclaim_reason",
    "previous_attempt_index", "replay_reason", "replayed_from_attempt_index"};

// Returns the greatest size of a payload: input.max_bytes(), or half of `max_reply_bytes` if that
// is less. A reply of more than `max_reply_bytes` would end its connection, and the payload is not
// all that the reply takes.
std::size_t LargestText(std::size_t max_reply_bytes, const ExecutionInput& input) noexcept {
  return std::min(max_reply_bytes / 2, input.max_bytes());
}

// Whether `reply` is an array of texts; nils are allowed if `may_be_nil`.
bool IsTexts(const Reply& reply, bool may_be_nil) noexcept {
  return reply.is(Reply::Type::kArray) &&
         std::all_of(reply.elements().begin(), reply.elements().end(), [&](const Reply& element) {
           return element.is(Reply::Type::kString) || (may_be_nil && element.is(Reply::Type::kNil));
         });
}

}  // namespace

Outcome ValkeyLedger::ReadInput(const ExecutionIdView& id, AttemptIndex attempt,
                                ExecutionInput& out, ErrorDetails* details) noexcept {
  if (details != nullptr) details->clear();
  out.Clear();
  Outcome outcome = {CheckId(id, impl_->partitions())};
  if (!outcome) return outcome;
  SessionPool::Lease lease = impl_->sessions.Take();
  const std::uint16_t slot = HashSlot(id.partition());
  const std::size_t largest = LargestText(impl_->options.client.max_reply_bytes, out);
  // Why the read fails. The first of several reasons is kept, unless a later one is
  // kExecutionNotFound.
  ClaimError refusal = ClaimError::kNone;
  ErrorDetails why;  // the server's words, if `refusal` is kUnknownCode
  const auto refuse = [&](ClaimError error, const Reply* fault) {
    if (refusal != ClaimError::kNone && error != ClaimError::kExecutionNotFound) return;
    if (fault != nullptr) (void)UnknownText(*fault, &why);
    refusal = error;
  };
  const auto is_fault = [&](const Reply& reply) {
    if (reply.is(Reply::Type::kError)) refuse(ClaimError::kUnknownCode, &reply);
    return reply.is(Reply::Type::kError);
  };
  const auto keep = [&](std::string_view text, ExecutionInput::Span& span) {
    if (!out.Append(text, span)) refuse(ClaimError::kInvalidInput, nullptr);
  };
  auto read_core = [&](const Reply& reply) {
    if (is_fault(reply)) return true;
    if (!IsTexts(reply, true) || reply.elements().size() != kAboutFields.size()) return false;
    if (reply.elements()[0].is(Reply::Type::kNil)) {
      refuse(ClaimError::kExecutionNotFound, nullptr);
    } else {
      keep(reply.elements()[1].text, out.kind_);
    }
    return true;
  };
  auto read_payload = [&](const Reply& reply) {
    if (is_fault(reply)) return true;
    if (!reply.is(Reply::Type::kString)) return false;
    if (reply.text.size() > largest) {
      refuse(ClaimError::kInvalidInput, nullptr);
    } else {
      keep(reply.text, out.payload_);
    }
    return true;
  };
  auto read_tags = [&](const Reply& reply) {
    if (is_fault(reply)) return true;
    if (!IsTexts(reply, false) || reply.elements().size() % 2 != 0) return false;
    for (const Reply& element : reply.elements()) {
      ExecutionInput::Span span;
      keep(element.text, span);
      out.tags_.push_back(span);
    }
    return true;
  };
  auto read_attempt = [&](const Reply& reply) {
    if (is_fault(reply)) return true;
    if (!IsTexts(reply, true) || reply.elements().size() != kAttemptFields.size()) return false;
    const auto text_of_either = [&](std::size_t i, std::size_t j) {
      const std::string_view text = reply.elements()[i].text;
      return text.empty() ? reply.elements()[j].text : text;
    };
    const std::string_view previous = text_of_either(3, 5);
    std::uint32_t index = 0;
    const auto [end, error] =
        std::from_chars(previous.data(), previous.data() + previous.size(), index);
    if (error == std::errc() && end == previous.data() + previous.size()) {
      out.previous_attempt_ = AttemptIndex{index};
    }
    const std::string_view of_retry = reply.elements()[1].text;
    keep(reply.elements()[0].text, out.attempt_type_);
    keep(of_retry.empty() ? text_of_either(2, 4) : of_retry, out.attempt_reason_);
    return true;
  };
  ErrorDetails failed;  // why the group fails
  Group group(lease.session, &failed);
  group.Add(
      slot, true,
      [&](RespCommand& command) { WriteFields(command, id, ExecutionKey::kCore, kAboutFields); },
      read_core);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        // Asks for one byte more than is allowed: if that byte comes, the payload is too large.
        ClaimKeys keys(command, id);
        command.Begin(4);
        command.Arg("GETRANGE");
        keys.Execution(ExecutionKey::kPayload);
        command.Arg("0");
        command.Arg(std::uint64_t{largest});
      },
      read_payload);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(2);
        command.Arg("HGETALL");
        keys.Execution(ExecutionKey::kTags);
      },
      read_tags);
  group.Add(
      slot, true,
      [&](RespCommand& command) {
        ClaimKeys keys(command, id);
        command.Begin(2 + kAttemptFields.size());
        command.Arg("HMGET");
        keys.Attempt(AttemptKey::kAttempt, attempt.value);
        for (const std::string_view field : kAttemptFields) command.Arg(field);
      },
      read_attempt);
  const ClaimError failure = group.Wait();
  outcome.error = failure != ClaimError::kNone ? failure : refusal;
  // All of these commands only read, so each failure is kUnavailable and has a text.
  if (failure != ClaimError::kNone && failed[0] == kReplyTooLarge) {
    outcome.error = ClaimError::kInvalidInput;
  } else if (failure != ClaimError::kNone && details != nullptr) {
    *details = failed;
  }
  if (details != nullptr && outcome.error == ClaimError::kUnknownCode) *details = why;
  if (details != nullptr && outcome.error == ClaimError::kInvalidInput) {
    (void)details->Add("the input is larger than its buffer may be");
  }
  if (!outcome) out.Clear();
  return outcome;
}

}  // namespace ffgrant::valkey
