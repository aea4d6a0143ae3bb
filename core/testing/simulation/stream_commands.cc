// SPDX-License-Identifier: Apache-2.0
//
// Executes the commands on streams.

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "testing/simulation/key_commands.h"
#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

constexpr std::string_view kInvalidId =
    "ERR Invalid stream ID specified as stream command argument";

std::optional<std::uint64_t> ParseUnsigned(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Reads MS-SEQUENCE, or MS alone, which stands for MS-`sequence`.
std::optional<StreamId> ParseId(std::string_view text, std::uint64_t sequence) {
  const std::size_t hyphen = text.find('-');
  const auto ms = ParseUnsigned(text.substr(0, hyphen));
  const auto given = hyphen == std::string_view::npos ? std::optional(sequence)
                                                      : ParseUnsigned(text.substr(hyphen + 1));
  if (!ms || !given) return std::nullopt;
  return StreamId{*ms, *given};
}

std::optional<StreamId> ParseBound(std::string_view text, std::uint64_t sequence) {
  if (text == "-") return StreamId{};
  if (text == "+") return StreamId{UINT64_MAX, UINT64_MAX};
  return ParseId(text, sequence);
}

struct Trim {
  bool wanted = false;
  bool about = false;
  std::int64_t length = 0;
};

// Reads [MAXLEN [~|=] n] from word `at` on, and moves `at` to the word after it. If there is an
// error, answers with the error and returns false.
bool ReadTrim(CommandCall& call, std::size_t& at, Trim& trim) {
  if (at + 1 >= call.words.size() || !SameWord(call.words[at], "MAXLEN")) return true;
  ++at;
  if (at + 1 < call.words.size() && (call.words[at] == "~" || call.words[at] == "=")) {
    trim.about = call.words[at++] == "~";
  }
  const auto length = ParseInteger(call.words[at++]);
  if (!length || *length < 0) {
    call.reply.Error(length ? "ERR The MAXLEN argument must be >= 0." : kNoInteger);
    return false;
  }
  trim.wanted = true;
  trim.length = *length;
  return true;
}

void Range(CommandCall& call, bool reverse) {
  const auto first = ParseBound(call.words[reverse ? 3 : 2], 0);
  const auto last = first ? ParseBound(call.words[reverse ? 2 : 3], UINT64_MAX) : first;
  if (!first || !last) return call.reply.Error(kInvalidId);
  std::size_t most = SIZE_MAX;
  if (call.words.size() > 4) {
    if (call.words.size() != 6 || !SameWord(call.words[4], "COUNT")) {
      return call.reply.Error(kSyntax);
    }
    const auto count = ParseInteger(call.words[5]);
    if (!count) return call.reply.Error(kNoInteger);
    most = static_cast<std::size_t>(std::max<std::int64_t>(*count, 0));
  }
  bool wrong_type = false;
  const auto* const stream = call.keys.FindAs<StreamValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  if (stream == nullptr) return call.reply.Array(0);
  if (most == 0) return call.reply.NilArray();
  std::vector<const StreamValue::Entry*> found;
  for (const StreamValue::Node& node : stream->nodes()) {
    for (const StreamValue::Entry& entry : node.entries) {
      if (entry.id >= *first && entry.id <= *last) found.push_back(&entry);
    }
  }
  if (reverse) std::reverse(found.begin(), found.end());
  if (found.size() > most) found.resize(most);
  call.reply.Array(found.size());
  for (const StreamValue::Entry* const entry : found) {
    call.reply.Array(2);
    call.reply.Bulk(entry->id.Text());
    call.reply.Array(entry->words.size());
    for (const std::string& word : entry->words) call.reply.Bulk(word);
  }
}

}  // namespace

// XADD key [MAXLEN [~|=] n] *|ID field value [field value ...]
void RunXadd(CommandCall& call) {
  std::size_t at = 2;
  Trim trim;
  if (!ReadTrim(call, at, trim)) return;
  std::optional<StreamId> given;
  if (at < call.words.size() && call.words[at] != "*") {
    given = ParseId(call.words[at], 0);
    if (!given) return call.reply.Error(kInvalidId);
  }
  const Arguments words = call.words.subspan(std::min(at + 1, call.words.size()));
  if (words.size() < 2 || words.size() % 2 == 1) {
    return call.reply.Error("ERR wrong number of arguments for 'xadd' command");
  }
  if (given && *given == StreamId{}) {
    return call.reply.Error("ERR The ID specified in XADD must be greater than 0-0");
  }
  bool wrong_type = false;
  auto* const stream = call.keys.FindOrMake<StreamValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  const StreamId id = given ? *given : stream->NextId(call.keys.now());
  if (id <= stream->last_id()) {
    return call.reply.Error(
        "ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  stream->Add(id, words);
  if (trim.wanted) {
    const auto length = static_cast<std::uint64_t>(trim.length);
    trim.about ? stream->TrimAbout(length) : stream->TrimExactly(length);
  }
  call.changed = true;
  call.reply.Bulk(id.Text());
}

void RunXrange(CommandCall& call) { Range(call, false); }

void RunXrevrange(CommandCall& call) { Range(call, true); }

void RunXlen(CommandCall& call) {
  bool wrong_type = false;
  const auto* const stream = call.keys.FindAs<StreamValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Integer(static_cast<std::int64_t>(stream == nullptr ? 0 : stream->size()));
}

}  // namespace ffgrant::valkey::testing
