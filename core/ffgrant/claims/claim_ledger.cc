// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/claim_ledger.h"

#include <cstring>

#include "ffgrant/internal/execution_id_access.h"

namespace ffgrant {
namespace {

constexpr std::string_view kKeyBegin = "ff:exec:";
constexpr std::string_view kKeyEnd = ":claim_grant";

}  // namespace

IssuedGrant::IssuedGrant(const ExecutionIdView& id, TimestampMs expires_at) noexcept
    : tag_size_(static_cast<std::uint8_t>(id.text().size() - 1 - kUuidTextSize)),
      index_(id.partition().index),
      uuid_(id.uuid()),
      expires_at_ms_(expires_at.value < 0 ? 0 : static_cast<std::uint64_t>(expires_at.value)) {
  // A canonical id begins with its own tag. The pieces are copied in fixed sizes, and each piece
  // overwrites the unused end of the piece before.
  char* to = grant_key_.data();
  std::memcpy(to, kKeyBegin.data(), kKeyBegin.size());
  to += kKeyBegin.size();
  std::memcpy(to, id.text().data(), 16);
  to += tag_size_;
  *to++ = ':';
  std::memcpy(to, id.text().data(), 16);
  to += tag_size_;
  std::memcpy(to, id.text().data() + tag_size_, 1 + kUuidTextSize);
  to += 1 + kUuidTextSize;
  std::memcpy(to, kKeyEnd.data(), kKeyEnd.size());
}

ClaimGrantView IssuedGrant::view() const& noexcept {
  if (tag_size_ == 0) [[unlikely]]
    return {};
  const char* const tag = grant_key_.data() + kKeyBegin.size();
  const std::string_view id(tag + tag_size_ + 1, tag_size_ + 1 + kUuidTextSize);
  const std::size_t key_size = kKeyBegin.size() + tag_size_ + 1 + id.size() + kKeyEnd.size();
  return {ExecutionIdAccess::Make(id, uuid_, index_, true),
          {tag, tag_size_},
          {grant_key_.data(), key_size},
          expires_at_ms_};
}

std::string_view LeaseKindName(LeaseKind kind) noexcept {
  switch (kind) {
    case LeaseKind::kInitial:
      return "initial";
    case LeaseKind::kRetry:
      return "retry";
    case LeaseKind::kReplay:
      return "replay";
    case LeaseKind::kResumed:
      return "resumed";
    case LeaseKind::kReclaim:
      return "reclaim";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

std::string_view ReasonWord(AlreadySatisfied reason) noexcept {
  switch (reason) {
    case AlreadySatisfied::kNo:
      return "";
    case AlreadySatisfied::kExecutionNotFound:
      return "execution_not_found";
    case AlreadySatisfied::kNotActive:
      return "not_active";
    case AlreadySatisfied::kAlreadyExpired:
      return "already_expired";
    case AlreadySatisfied::kAlreadyRevoked:
      return "already_revoked";
    case AlreadySatisfied::kUnowned:
      return "unowned";
    case AlreadySatisfied::kNotYetExpired:
      return "not_yet_expired";
  }
  // Any number may be cast to an enumeration.
  return "unknown";
}

}  // namespace ffgrant
