// SPDX-License-Identifier: Apache-2.0
//
// Parses a grant and serializes it again, with nothing but the installed headers and libraries.
// Exits with 0 if the text is the same as before, and the version and the ids are right.

#include <array>
#include <cstdio>
#include <sstream>
#include <string_view>
#include <unordered_set>

#include "ffgrant/grant.h"
#include "ffgrant/id_format.h"
#include "ffgrant/id_text.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/json_scratch.h"
#include "ffgrant/version.h"

static_assert(FFGRANT_VERSION ==
              FFGRANT_VERSION_MAJOR * 10000 + FFGRANT_VERSION_MINOR * 100 + FFGRANT_VERSION_PATCH);

int main() {
  constexpr std::string_view kBody =
      R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111",)"
      R"("partition_key":"{fp:7}","grant_key":"g","expires_at_ms":1700000000000})";

  ffgrant::JsonScratch scratch;
  ffgrant::ClaimGrantView grant;
  if (!ffgrant::ParseClaimGrant(kBody, scratch, grant)) return 1;
  const ffgrant::PartitionKeyResult partition = grant.partition(ffgrant::ParseMode::kStrict);
  if (!partition || partition.partition.index != 7) return 2;

  std::array<char, 512> out;
  const ffgrant::WriteResult written = ffgrant::SerializeClaimGrant(grant, out);
  if (!written || std::string_view(out.data(), written.size) != kBody) return 3;
  std::ostringstream text;
  text << FFGRANT_VERSION_MAJOR << '.' << FFGRANT_VERSION_MINOR << '.' << FFGRANT_VERSION_PATCH;
  if (text.view() != FFGRANT_VERSION_STRING) return 4;
#ifdef PACKAGE_VERSION
  if (text.view() != PACKAGE_VERSION) return 5;
#endif

  const auto id = ffgrant::ParseExecutionId(grant.execution_id.text(), ffgrant::ParseMode::kStrict);
  const std::unordered_set<ffgrant::ExecutionId> ids = {ffgrant::ExecutionId(id.id)};
  text.str("");
  text << id.id;
  if (!ids.contains(ffgrant::ExecutionId(grant.execution_id)) || text.view() != id.id.text()) {
    return 6;
  }
  std::puts("a grant came through the installed package whole");
}
