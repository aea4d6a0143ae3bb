// SPDX-License-Identifier: Apache-2.0
//
// Test only: lets an HttpServer answer on the two routes of FlowFabric's server that give out
// grants.
//
//   HttpServer server(GrantRoutes(ledger, lane));

#ifndef FFGRANT_TESTING_LIVE_GRANT_ROUTES_H_
#define FFGRANT_TESTING_LIVE_GRANT_ROUTES_H_

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/valkey/valkey_ledger.h"
#include "testing/live/http_server.h"

namespace ffgrant::testing {

// Returns the text between the first `begin` and the next `end`. Without an `end` it reaches to the
// end of `text`; without a `begin` it is empty.
inline std::string Between(const std::string& text, std::string_view begin, std::string_view end) {
  const std::size_t at = text.find(begin);
  if (at == std::string::npos) return "";
  const std::size_t from = at + begin.size();
  return text.substr(from, text.find(end, from) - from);
}

// Returns a function that answers requests. A request for a claim gets a grant by `ledger` in
// `lane`, or 204 if `ledger` grants nothing. A request for a reclaim gets a grant or the ledger's
// error. All other requests get 404. `ledger` must outlive the function, and several threads may
// use `ledger` at the same time.
inline HttpServer::Answer GrantRoutes(valkey::ValkeyLedger& ledger, LaneIdView lane) {
  return [&ledger, lane](const std::string& request) -> std::string {
    const std::string instance = Between(request, R"("worker_instance_id":")", "\"");
    std::string worker = Between(request, "POST /v1/workers/", "/claim ");
    const std::string execution = Between(request, "POST /v1/executions/", "/reclaim ");
    std::array<char, 1024> body;
    if (!worker.empty()) {
      const ClaimForWorkerOutcome chosen = ledger.ClaimForWorker(
          {.worker = {{worker}, {instance}}, .lane = lane, .grant_ttl_ms = 5000});
      if (!chosen) return "HTTP/1.1 204 No Content\r\n\r\n";
      const WriteResult written = SerializeClaimGrant(chosen.grant.view(), body);
      return HttpResponse(200, std::string(body.data(), written.size));
    }
    // The ids that tests use come through a URL's path with their braces as %7B and %7D.
    std::string id = execution;
    for (const auto& [escaped, plain] : {std::pair("%7B", "{"), std::pair("%7D", "}")}) {
      const std::size_t at = id.find(escaped);
      if (at != std::string::npos) id.replace(at, 3, plain);
    }
    const ExecutionIdResult parsed = ParseExecutionId(id, ParseMode::kStrict);
    if (!parsed) return HttpResponse(404, R"({"error":"no such route"})");
    worker = Between(request, R"("worker_id":")", "\"");
    const IssueOutcome issued = ledger.IssueReclaimGrant({.execution_id = parsed.id,
                                                          .worker = {{worker}, {instance}},
                                                          .lane = lane,
                                                          .grant_ttl_ms = 5000});
    if (!issued) {
      return HttpResponse(200, R"({"status":"not_reclaimable","execution_id":")" + id +
                                   R"(","detail":")" + std::string(ErrorName(issued.error)) +
                                   "\"}");
    }
    const IssuedGrant grant(parsed.id, issued.expires_at);
    const ClaimGrantView view = grant.view();
    const WriteResult written = SerializeReclaimResponse(
        ReclaimGrantedView{
            {view.execution_id.text(), view.partition_key, view.grant_key, view.expires_at_ms},
            lane.text()},
        body);
    return HttpResponse(200, std::string(body.data(), written.size));
  };
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_LIVE_GRANT_ROUTES_H_
