// SPDX-License-Identifier: Apache-2.0
//
// Compares how our code and the reference parse execution ids and UUIDs. For any text, the verdict,
// error, payload, the error's message, partition and UUID must be the same. Strict mode must accept
// exactly the text that the reference mints from partition and UUID. The UUID parser is also
// compared by itself.

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
  // Compares the UUID parsers on the text that the id parser hands to the UUID parser or, if there
  // is no tag, on the whole text.
  const std::size_t tag_end = text.find("}:");
  const std::string_view uuid = tag_end == text.npos ? text : text.substr(tag_end + 2);
  Expect(text, comparer.Uuid(uuid, ParseUuid(uuid, ParseMode::kLenient)));
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kExecutionIdGrammar)
