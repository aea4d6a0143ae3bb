// SPDX-License-Identifier: Apache-2.0
//
// Embeds the parser: reads claim grants as they come over the wire, and says of each what is wrong
// with it, if anything is. Nothing is allocated after Reserve().

#include <iostream>
#include <string_view>

#include "ffgrant/id_text.h"
#include "ffgrant/ingress.h"
#include "ffgrant/json/claim_response.h"

namespace {

// Examples of HTTP responses of the scheduler. A response may hold anything.
constexpr std::string_view kBodies[] = {
    R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{fp:7}",)"
    R"("grant_key":"g","expires_at_ms":1700000000000})",
    R"({"execution_id":)",
    R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{fp:8}",)"
    R"("grant_key":"g","expires_at_ms":1700000000000})",
};

void Judge(std::string_view body, ffgrant::JsonScratch& scratch) {
  using namespace ffgrant;
  ClaimGrantView grant;  // the grant's texts point into `body` and `scratch`
  const GrantJsonResult read = ParseClaimGrant(body, scratch, grant);
  if (!read.json) {
    std::cout << "refused: "
              << (read.json.error_class() == JsonErrorClass::kSyntax ? "syntax" : "data")
              << " error, " << ErrorName(read.json.error) << " at byte " << read.json.offset
              << '\n';
    return;
  }
  if (!read) {
    std::cout << "refused: execution id, " << ErrorName(read.execution_id) << '\n';
    return;
  }
  // A grant can be well-formed and still not belong to this deployment.
  const IngressError ingress = CheckIngress(grant, PartitionConfig{});
  if (ingress != IngressError::kNone) {
    std::cout << "refused: " << ErrorName(ingress) << '\n';
    return;
  }
  std::cout << "accepted: " << grant.execution_id << ", partition "
            << grant.partition(ParseMode::kStrict).partition.index << '\n';
}

}  // namespace

int main() {
  ffgrant::JsonScratch scratch;  // one for each thread
  scratch.Reserve();
  for (const std::string_view body : kBodies) Judge(body, scratch);
}
