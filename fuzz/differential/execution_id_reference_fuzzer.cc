// SPDX-License-Identifier: Apache-2.0
//
// Execution ids and UUIDs against the reference: any text, verdict, error,
// payload, text of the error, partition and UUID; strict mode accepts exactly
// what is minted of them; the UUID parser by itself, too.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "differential/verdict.h"
#include "execution_id_grammar.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/uuid.h"
#include "harness/engine.h"
#include "harness/text_mutation.h"

using namespace ffgrant;
using namespace ffgrant::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  reference::Comparer& comparer = TheComparer();
  Expect(text, comparer.ExecutionId(text, ParseExecutionId(text, ParseMode::kLenient),
                                    ParseExecutionId(text, ParseMode::kStrict)));
  // What the parser of ids hands to that of UUIDs, and the whole text.
  const std::size_t tag_end = text.find("}:");
  const std::string_view uuid = tag_end == text.npos ? text : text.substr(tag_end + 2);
  Expect(text, comparer.Uuid(uuid, ParseUuid(uuid, ParseMode::kLenient)));
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kExecutionIdGrammar)
