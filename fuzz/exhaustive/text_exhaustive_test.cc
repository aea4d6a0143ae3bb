// SPDX-License-Identifier: Apache-2.0
//
// Tries every partition key and execution id of those kinds of which all can be tried, so that
// nothing depends on chance. The oracles are the naive parsers and, for keys, the table of all
// texts that strict mode may accept. --long adds tests that take minutes.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "ffgrant/execution_id.h"
#include "ffgrant/partition_key.h"
#include "harness/failure.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_partition_key.h"

namespace ffgrant::fuzz {
namespace {

using testing::ForEachSingleByteEdit;
using testing::GuardedBuffer;
using testing::NaiveParseExecutionId;
using testing::NaiveParsePartitionKey;
using testing::NaivePartitionTag;

struct Tally {
  std::uint64_t inputs = 0;
  std::uint64_t accepted = 0;
};

// The second oracle of keys: a table of all canonical keys, made from their definition.
class CanonicalKeys {
 public:
  CanonicalKeys() {
    for (const PartitionFamily family :
         {PartitionFamily::kFlow, PartitionFamily::kBudget, PartitionFamily::kQuota}) {
      for (std::uint32_t index = 0; index <= 65535; ++index) {
        const Partition partition{family, static_cast<std::uint16_t>(index)};
        keys_.emplace(NaivePartitionTag(partition), partition);
      }
    }
  }
  const Partition* Find(std::string_view text) const {
    const auto found = keys_.find(std::string(text));
    return found == keys_.end() ? nullptr : &found->second;
  }
  const std::unordered_map<std::string, Partition>& all() const { return keys_; }

 private:
  std::unordered_map<std::string, Partition> keys_;
};

const CanonicalKeys& Canonical() {
  static const CanonicalKeys keys;
  return keys;
}

void CheckKey(std::string_view text, Tally& tally) {
  const PartitionKeyResult lenient = ParsePartitionKey(text, ParseMode::kLenient);
  if (lenient != NaiveParsePartitionKey(text, ParseMode::kLenient)) Fail("lenient key", text);
  const PartitionKeyResult strict = ParsePartitionKey(text, ParseMode::kStrict);
  if (strict != NaiveParsePartitionKey(text, ParseMode::kStrict)) Fail("strict key", text);
  ++tally.inputs;
  if (!lenient) return;
  ++tally.accepted;
  // Only a text that lenient mode accepts can be canonical.
  const Partition* const canonical = Canonical().Find(text);
  if (static_cast<bool>(strict) != (canonical != nullptr)) Fail("not as in the table", text);
  if (canonical != nullptr && *canonical != strict.partition) Fail("another partition", text);
}

// Checks every canonical key, and many keys whose index is too large.
Tally EveryKey() {
  Tally tally;
  GuardedBuffer buffer;
  for (const auto& [text, partition] : Canonical().all()) {
    CheckKey(buffer.AtEnd(text), tally);
    if (PartitionTag(partition).view() != text) Fail("written", text);
  }
  if (tally.accepted != 3 * 65536) Fail("keys that were not accepted", "");
  for (const std::string_view prefix : {"{fp:", "{b:", "{q:"}) {
    for (std::uint32_t index = 65536; index < 200'000; ++index) {
      CheckKey(buffer.AtEnd(std::string(prefix) + std::to_string(index) + "}"), tally);
    }
  }
  return tally;
}

// Checks every string of `size` symbols of `alphabet` after `prefix`. The threads share the work by
// the strings' first symbols.
template <class Check>
Tally EveryString(std::string_view prefix, std::string_view alphabet, std::size_t size,
                  Check check) {
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> inputs{0};
  std::atomic<std::uint64_t> accepted{0};
  const auto work = [&] {
    GuardedBuffer buffer;
    std::string first(prefix);
    first.resize(prefix.size() + size, alphabet[0]);
    Tally tally;
    for (std::size_t i = next++; i < (size == 0 ? 1 : alphabet.size()); i = next++) {
      char* const text = const_cast<char*>(buffer.AtEnd(first).data());
      char* const symbols = text + prefix.size();
      std::array<std::size_t, 8> digits{};
      if (size > 0) symbols[0] = alphabet[i];
      for (;;) {
        check(std::string_view(text, first.size()), tally);
        std::size_t at = size;  // makes the next string; the last symbol changes fastest
        while (at > 1 && ++digits[at - 1] == alphabet.size()) {
          digits[at - 1] = 0;
          symbols[at - 1] = alphabet[0];
          --at;
        }
        if (at <= 1) break;
        symbols[at - 1] = alphabet[digits[at - 1]];
      }
    }
    inputs += tally.inputs;
    accepted += tally.accepted;
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  return {inputs, accepted};
}

std::string AllBytes() {
  std::string bytes(256, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i);
  return bytes;
}

Tally operator+(Tally a, Tally b) { return {a.inputs + b.inputs, a.accepted + b.accepted}; }

Tally EveryShortKey(std::string_view prefix, std::string_view alphabet, std::size_t max_size) {
  Tally tally;
  for (std::size_t size = 0; size <= max_size; ++size) {
    tally = tally + EveryString(prefix, alphabet, size, CheckKey);
  }
  return tally;
}

void CheckId(std::string_view text, Tally& tally) {
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    const ExecutionIdResult got = ParseExecutionId(text, mode);
    const auto expected = NaiveParseExecutionId(text, mode);
    if (got.error != expected.error || got.offset != expected.offset ||
        got.payload != expected.payload || got.id.uuid() != expected.uuid ||
        got.id.partition().index != expected.index || got.id.is_canonical() != expected.canonical) {
      Fail(mode == ParseMode::kStrict ? "strict id" : "lenient id", text);
    }
    tally.accepted += mode == ParseMode::kLenient && got ? 1 : 0;
  }
  ++tally.inputs;
}

constexpr std::string_view kUuid = "550e8400-e29b-41d4-a716-446655440000";

// Returns ids with an index of every length and a uuid in every form.
std::vector<std::string> Ids() {
  std::string simple(kUuid);
  std::erase(simple, '-');
  std::vector<std::string> ids;
  for (const std::string_view index : {"7", "42", "256", "4096", "65535", "+7", "007"}) {
    for (const std::string& uuid :
         {std::string(kUuid), std::string("FFFFFFFF-AAAA-4BBB-8CCC-DDDDDDDDDDDD"), simple,
          "{" + std::string(kUuid) + "}", "urn:uuid:" + std::string(kUuid)}) {
      ids.push_back("{fp:" + std::string(index) + "}:" + uuid);
    }
  }
  return ids;
}

Tally EveryEditOfAnId() {
  Tally tally;
  GuardedBuffer buffer;
  for (const std::string& id : Ids()) {
    ForEachSingleByteEdit(id, [&](const std::string& text) { CheckId(buffer.AtEnd(text), tally); });
  }
  return tally;
}

// Checks every index text of up to five symbols within an id.
Tally EveryShortIndexOfAnId() {
  constexpr std::string_view kSymbols = "0123456789+}:- ";
  Tally tally;
  for (std::size_t size = 0; size <= 5; ++size) {
    tally = tally + EveryString("", kSymbols, size, [](std::string_view index, Tally& counted) {
              static thread_local GuardedBuffer buffer;
              std::string id = "{fp:";
              id += index;
              id += "}:";
              id += kUuid;
              CheckId(buffer.AtEnd(id), counted);
            });
  }
  return tally;
}

// Checks every pair of replaced bytes of a canonical id.
Tally EveryPairOfEditsOfAnId() {
  Tally tally;
  GuardedBuffer buffer;
  const std::string id = "{fp:42}:" + std::string(kUuid);
  for (std::size_t i = 0; i < id.size(); ++i) {
    for (std::size_t j = i + 1; j < id.size(); ++j) {
      char* const text = const_cast<char*>(buffer.AtEnd(id).data());
      for (int a = 0; a < 256; ++a) {
        text[i] = static_cast<char>(a);
        for (int b = 0; b < 256; ++b) {
          text[j] = static_cast<char>(b);
          CheckId({text, id.size()}, tally);
        }
      }
    }
  }
  return tally;
}

template <class Section>
void Run(const char* title, Section section) {
  const auto start = std::chrono::steady_clock::now();
  const Tally tally = section();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%-58s %13llu inputs %11llu accepted %7.1f s\n", title,
              static_cast<unsigned long long>(tally.inputs),
              static_cast<unsigned long long>(tally.accepted), took.count());
  std::fflush(stdout);
}

}  // namespace
}  // namespace ffgrant::fuzz

int main(int argc, char** argv) {
  using namespace ffgrant::fuzz;
  const bool is_long = argc == 2 && std::string_view(argv[1]) == "--long";
  if (argc > 1 && !is_long) {
    std::fprintf(stderr, "usage: %s [--long]\n", argv[0]);
    return 2;
  }
  constexpr std::string_view kAlphabet = "{}:fpbq+0165-";
  Run("keys: all 3 x 65,536, and up to index 200,000", EveryKey);
  Run("keys: all strings of up to 3 bytes", [] { return EveryShortKey("", AllBytes(), 3); });
  Run("keys: all strings of 4 bytes that begin with {",
      [] { return EveryString("{", AllBytes(), 3, CheckKey); });
  Run("keys: all strings of up to 7 of 13 symbols",
      [&] { return EveryShortKey("", kAlphabet, 7); });
  Run("keys: all of up to 5 symbols behind {fp:",
      [] { return EveryShortKey("{fp:", "0123456789+-}: ", 5); });
  Run("ids: all edits of one byte, 35 ids", EveryEditOfAnId);
  Run("ids: all of up to 5 symbols as an index", EveryShortIndexOfAnId);
  if (is_long) {
    Run("keys: all 256^4 strings of 4 bytes",
        [] { return EveryString("", AllBytes(), 4, CheckKey); });
    Run("keys: all of 6 symbols behind {fp:",
        [] { return EveryString("{fp:", "0123456789+-}: ", 6, CheckKey); });
    Run("ids: all pairs of replaced bytes of an id", EveryPairOfEditsOfAnId);
  }
  return 0;
}
