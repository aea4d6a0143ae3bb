// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/grant.h"

namespace ffgrant {

ClaimGrant::ClaimGrant(const ClaimGrantView& view)
    : execution_id_(view.execution_id),
      partition_key_(view.partition_key),
      grant_key_(view.grant_key),
      expires_at_ms_(view.expires_at_ms) {}

void ClaimGrant::assign(const ClaimGrantView& view) {
  execution_id_.assign(view.execution_id);
  partition_key_.assign(view.partition_key);
  grant_key_.assign(view.grant_key);
  expires_at_ms_ = view.expires_at_ms;
}

ClaimGrantView ClaimGrant::view() const& noexcept {
  return {execution_id_.view(), partition_key_.text(), grant_key_, expires_at_ms_};
}

}  // namespace ffgrant
