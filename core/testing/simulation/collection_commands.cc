// SPDX-License-Identifier: Apache-2.0
//
// Executes the commands on hashes, sets and sorted sets.

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "testing/simulation/key_commands.h"
#include "testing/simulation/number_text.h"

namespace ffgrant::valkey::testing {
namespace {

void BulkNumber(ReplySink& reply, double number) {
  std::array<char, kMaxNumberText> text;
  reply.Bulk({text.data(), FormatNumber(number, text)});
}

// Removes the members, or fields, that words 2, 3, ... name; removes the key together with the last
// of them.
template <class T>
void RemoveMembers(CommandCall& call) {
  bool wrong_type = false;
  T* const collection = call.keys.FindAs<T>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  std::int64_t removed = 0;
  if (collection != nullptr) {
    for (const std::string_view member : call.words.subspan(2)) {
      removed += collection->Remove(member);
    }
    if (collection->size() == 0) call.keys.Remove(call.words[1]);
  }
  call.changed = removed > 0;
  call.reply.Integer(removed);
}

}  // namespace

void RunHset(CommandCall& call) {
  if (call.words.size() % 2 != 0) {
    return call.reply.Error("ERR wrong number of arguments for 'hset' command");
  }
  bool wrong_type = false;
  auto* const hash = call.keys.FindOrMake<HashValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  std::int64_t added = 0;
  hash->Reserve(call.words.size() / 2);
  for (std::size_t i = 2; i < call.words.size(); i += 2) {
    added += hash->Set(call.words[i], call.words[i + 1]);
  }
  call.changed = true;
  call.reply.Integer(added);
}

void RunHget(CommandCall& call) {
  bool wrong_type = false;
  const auto* const hash = call.keys.FindAs<HashValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  const std::string* const value = hash == nullptr ? nullptr : hash->Find(call.words[2]);
  value == nullptr ? call.reply.Nil() : call.reply.Bulk(*value);
}

void RunHmget(CommandCall& call) {
  bool wrong_type = false;
  const auto* const hash = call.keys.FindAs<HashValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Array(call.words.size() - 2);
  for (const std::string_view field : call.words.subspan(2)) {
    const std::string* const value = hash == nullptr ? nullptr : hash->Find(field);
    value == nullptr ? call.reply.Nil() : call.reply.Bulk(*value);
  }
}

void RunHgetall(CommandCall& call) {
  bool wrong_type = false;
  const auto* const hash = call.keys.FindAs<HashValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Array(hash == nullptr ? 0 : 2 * hash->size());
  if (hash == nullptr) return;
  for (const auto& [field, value] : hash->fields()) {
    call.reply.Bulk(field);
    call.reply.Bulk(value);
  }
}

void RunHdel(CommandCall& call) { RemoveMembers<HashValue>(call); }

void RunSadd(CommandCall& call) {
  bool wrong_type = false;
  auto* const set = call.keys.FindOrMake<SetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  std::int64_t added = 0;
  for (const std::string_view member : call.words.subspan(2)) added += set->Add(member);
  call.changed = added > 0;
  call.reply.Integer(added);
}

void RunSrem(CommandCall& call) { RemoveMembers<SetValue>(call); }

void RunSmembers(CommandCall& call) {
  bool wrong_type = false;
  const auto* const set = call.keys.FindAs<SetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Array(set == nullptr ? 0 : set->size());
  if (set == nullptr) return;
  for (const std::string_view member : set->Sorted()) call.reply.Bulk(member);
}

void RunSismember(CommandCall& call) {
  bool wrong_type = false;
  const auto* const set = call.keys.FindAs<SetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Integer(set != nullptr && set->Has(call.words[2]) ? 1 : 0);
}

// ZADD key score member [score member ...]
void RunZadd(CommandCall& call) {
  if (call.words.size() % 2 != 0) return call.reply.Error(kSyntax);
  std::vector<double> scores;
  for (std::size_t i = 2; i < call.words.size(); i += 2) {
    const auto score = ParseScore(call.words[i]);
    if (!score) return call.reply.Error("ERR value is not a valid float");
    scores.push_back(*score);
  }
  bool wrong_type = false;
  auto* const set = call.keys.FindOrMake<SortedSetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  std::int64_t added = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    added += set->Set(call.words[2 * i + 3], scores[i]);
  }
  call.changed = true;
  call.reply.Integer(added);
}

void RunZrem(CommandCall& call) { RemoveMembers<SortedSetValue>(call); }

void RunZscore(CommandCall& call) {
  bool wrong_type = false;
  const auto* const set = call.keys.FindAs<SortedSetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  const double* const score = set == nullptr ? nullptr : set->Score(call.words[2]);
  score == nullptr ? call.reply.Nil() : BulkNumber(call.reply, *score);
}

// ZRANGE key first last [WITHSCORES], by place
void RunZrange(CommandCall& call) {
  const bool with_scores = call.words.size() == 5 && SameWord(call.words[4], "WITHSCORES");
  if (call.words.size() > 4 && !with_scores) return call.reply.Error(kSyntax);
  const auto given_first = ParseInteger(call.words[2]);
  const auto given_last = ParseInteger(call.words[3]);
  if (!given_first || !given_last) return call.reply.Error(kNoInteger);
  bool wrong_type = false;
  const auto* const set = call.keys.FindAs<SortedSetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  const auto size = static_cast<std::int64_t>(set == nullptr ? 0 : set->size());
  const std::int64_t first =
      *given_first < 0 ? std::max<std::int64_t>(*given_first + size, 0) : *given_first;
  const std::int64_t last = std::min(*given_last < 0 ? *given_last + size : *given_last, size - 1);
  const std::int64_t count = std::max<std::int64_t>(last - first + 1, 0);
  call.reply.Array(static_cast<std::size_t>(with_scores ? 2 * count : count));
  if (count == 0) return;
  auto at = std::next(set->ordered().begin(), first);
  for (std::int64_t i = 0; i < count; ++i, ++at) {
    call.reply.Bulk(at->second);
    if (with_scores) BulkNumber(call.reply, at->first);
  }
}

void RunZcard(CommandCall& call) {
  bool wrong_type = false;
  const auto* const set = call.keys.FindAs<SortedSetValue>(call.words[1], wrong_type);
  if (wrong_type) return call.reply.Error(kWrongType);
  call.reply.Integer(static_cast<std::int64_t>(set == nullptr ? 0 : set->size()));
}

}  // namespace ffgrant::valkey::testing
