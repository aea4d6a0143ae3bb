// SPDX-License-Identifier: Apache-2.0
//
// Compares how our code and the reference parse claim responses. The reference decodes any bytes
// either as its client or as its server does. Verdict, class, error, member and values must be the
// same. The same bytes are also parsed as a grant, whose id and partition are compared.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "differential/verdict.h"
#include "ffgrant/json/claim_response.h"
#include "harness/engine.h"
#include "harness/json_mutation.h"

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static reference::DtoValues values;
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  reference::Comparer& comparer = TheComparer();
  JsonScratch& scratch = WarmScratch(size);
  ClaimGrantView grant;
  const GrantJsonResult result = ParseClaimGrant(json, scratch, grant);
  Expect(json, comparer.Grant(json, result, grant));

  ClaimResponseView response;
  const JsonResult parsed = ParseClaimResponse(json, scratch, response);
  reference::Fill(response, values);
  Observe(static_cast<std::uint64_t>(parsed.error) << 32 | parsed.offset);
  const ffref_reader reader = ObservedOneIn(2) ? FFREF_AS_SERVER : FFREF_AS_CLIENT;
  Expect(json, comparer.Document(FFREF_CLAIM_RESPONSE, reader, json, parsed, values));
  return 0;
}

FFGRANT_FUZZ_DOCUMENT_MUTATORS(NaiveDto::kClaimResponse)
