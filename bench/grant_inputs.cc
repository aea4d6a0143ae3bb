// SPDX-License-Identifier: Apache-2.0

#include "bench/grant_inputs.h"

#include <cstddef>
#include <string_view>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/simdjson_grant_reader.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/parse_mode.h"

namespace ffgrant::bench {
namespace {

GrantSet MakeGrantSet(bool wants_escapes) {
  GrantSet set;
  plain::SimdjsonGrantReader reader;
  const TextSet& documents = GrantDocuments(GrantCase::kCanonical);
  Random random(9);
  set.grant_keys.reserve(documents.size());
  std::string json;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    plain::GrantMembers members;
    SelfCheck(reader.ReadMembers(documents[i], members), "a document is not read", documents[i]);
    // The texts that simdjson returns lie in its own buffer. `in_document` finds the same bytes in
    // the document.
    const auto in_document = [&](std::string_view text, std::string_view after) {
      const std::size_t begin = documents[i].find(after) + after.size();
      return documents[i].substr(begin, text.size());
    };
    members.execution_id = in_document(members.execution_id, "\"execution_id\":\"");
    members.partition_key = in_document(members.partition_key, "\"partition_key\":\"");
    members.grant_key = in_document(members.grant_key, "\"grant_key\":\"");
    if (wants_escapes) {
      std::string key(members.grant_key);
      key[random.Below(key.size())] = "\"\\\n\x01"[random.Below(4)];
      set.grant_keys.push_back(key);
      members.grant_key = set.grant_keys.back();
    }
    const ExecutionIdResult id = ParseExecutionId(members.execution_id, ParseMode::kLenient);
    SelfCheck(static_cast<bool>(id), "an id is rejected", members.execution_id);
    set.members.push_back(members);
    set.grants.push_back({id.id, members.partition_key, members.grant_key, members.expires_at_ms});
    json.clear();
    plain::AppendGrantJson(members, json);
    set.average_json_size += static_cast<double>(json.size()) / kInputCount;
  }
  return set;
}

}  // namespace

const GrantSet& Grants(bool wants_escapes) {
  static const auto* const plain_set = new GrantSet(MakeGrantSet(false));
  static const auto* const escaped_set = new GrantSet(MakeGrantSet(true));
  return wants_escapes ? *escaped_set : *plain_set;
}

}  // namespace ffgrant::bench
