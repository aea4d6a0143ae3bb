// SPDX-License-Identifier: Apache-2.0
//
// Calls one of FlowFabric's routes from an installed package. Exits with 0 if the client says that
// it cannot connect. Nothing listens on port 1.

#include <cstdio>
#include <string>

#include "ffgrant/http/grant_pipeline.h"
#include "ffgrant/http/issuer_client.h"

int main() {
  ffgrant::http::IssuerOptions options;
  options.url = "http://127.0.0.1:1";
  ffgrant::http::IssuerClient issuer(options);
  const ffgrant::http::IssuerStatus status = issuer.Health();
  std::printf("%s\n", std::string(ffgrant::http::ErrorName(status.error)).c_str());
  ffgrant::http::GrantPipeline grants(options);
  return status.error == ffgrant::http::IssuerError::kNotConnected && grants.in_flight() == 0 ? 0
                                                                                              : 1;
}
