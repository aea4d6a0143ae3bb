// SPDX-License-Identifier: Apache-2.0
//
// Decodes any bytes, in any pieces, as replies of a server. The result must be the same as for the
// bytes in one piece, and the same as that of a naive decoder, which follows RESP's grammar. Limits
// of depth and size must hold. A reply that is read as a claim's answer must answer that claim
// (contract 7.2).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/claim_replies.h"
#include "ffgrant/valkey/internal/reply.h"
#include "harness/engine.h"
#include "harness/failure.h"
#include "harness/observations.h"
#include "harness/text_mutation.h"
#include "oracles/naive_resp.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

using testing::NaiveParseUuid;
using testing::NaiveUuidText;
using valkey::internal::Reply;
using valkey::internal::ReplyLimits;
using valkey::internal::ReplyReader;

constexpr ReplyLimits kLimits = {.max_bytes = 1 << 14, .max_depth = 3};
constexpr std::string_view kLease = "22222222-2222-4222-8222-222222222222";
constexpr std::string_view kAttempt = "33333333-3333-4333-8333-333333333333";

// Returns the reply's content as text. Adds to `size` the least memory that the reply takes, and
// raises `deepest` to the depth of its arrays.
std::string ShownReply(const Reply& reply, int depth, std::size_t& size, int& deepest) {
  size += sizeof(Reply) + reply.text.size();
  switch (reply.type) {
    case Reply::Type::kNil:
      return "nil";
    case Reply::Type::kStatus:
      return "+" + std::string(reply.text);
    case Reply::Type::kError:
      return "-" + std::string(reply.text);
    case Reply::Type::kString:
      return '"' + std::string(reply.text) + '"';
    case Reply::Type::kInteger:
      return "i" + std::to_string(reply.integer);
    case Reply::Type::kArray: {
      deepest = std::max(deepest, depth);
      std::string shown = "[";
      for (const Reply& element : reply.elements()) {
        shown += ShownReply(element, depth + 1, size, deepest) + ",";
      }
      return shown + "]";
    }
  }
  return "?";
}

// Whether the reply is surely a claim's answer, judged by its content alone.
bool IsClaimAnswer(const NaiveReply& reply) {
  if (reply.kind == NaiveReply::Kind::kError) return true;
  if (reply.kind != NaiveReply::Kind::kArray || reply.elements.size() < 2 ||
      reply.elements[0].kind != NaiveReply::Kind::kInteger) {
    return false;
  }
  for (std::size_t i = 1; i < reply.elements.size(); ++i) {
    if (reply.elements[i].kind != NaiveReply::Kind::kString) return false;
  }
  if (reply.elements[0].integer == 0) return true;
  const auto text = [&](std::size_t i) { return reply.elements[i].text; };
  const auto number = [&](std::size_t i) {
    return !text(i).empty() && text(i).size() <= 9 &&
           text(i).find_first_not_of("0123456789") == std::string::npos;
  };
  if (reply.elements[0].integer != 1 || reply.elements.size() < 8 || text(1) != "OK") return false;
  constexpr std::string_view kKinds[] = {"initial", "retry", "replay", "resumed", "reclaim"};
  return text(2) == kLease && number(3) && number(4) && text(5) == kAttempt && number(6) &&
         std::find(std::begin(kKinds), std::end(kKinds), text(7)) != std::end(kKinds);
}

void CheckClaim(std::string_view input, const Reply& reply, const NaiveReply& naive) {
  const LeaseId lease = {ParseUuid(kLease, ParseMode::kStrict).uuid};
  const AttemptId attempt = {ParseUuid(kAttempt, ParseMode::kStrict).uuid};
  ErrorDetails details;
  ClaimOutcome outcome;
  const bool read = ReadClaim(reply, lease, attempt, &details, outcome);
  Observe(static_cast<std::uint64_t>(read));
  Observe(static_cast<std::uint64_t>(outcome.error));
  if (IsClaimAnswer(naive) && !read) Fail("an answer was not taken", input, Shown(naive));
  if (!read) {
    if (outcome.error != ClaimError::kNone || outcome.lease != Lease{}) {
      Fail("no answer, but something was written", input);
    }
    return;
  }
  const bool success = naive.kind == NaiveReply::Kind::kArray && naive.elements[0].integer == 1;
  if (success != (outcome.error == ClaimError::kNone)) {
    Fail("success and failure confused", input, Shown(naive), ErrorName(outcome.error));
  }
  // On success the reply must have this claim's lease and attempt ids, in any spelling.
  if (success &&
      (NaiveUuidText(NaiveParseUuid(naive.elements[2].text, ParseMode::kLenient).uuid) != kLease ||
       NaiveUuidText(NaiveParseUuid(naive.elements[5].text, ParseMode::kLenient).uuid) !=
           kAttempt)) {
    Fail("another's lease", input, Shown(naive));
  }
  if (naive.kind == NaiveReply::Kind::kError &&
      (details.size() != 1 || details[0] != std::string_view(naive.text).substr(0, 4608))) {
    if (naive.text.size() <= 4608) Fail("a fault's text is lost", input, naive.text);
  }
}

struct Read {
  std::vector<std::string> replies;
  bool malformed = false;
};

// Reads `text` in pieces of 1 to 64 bytes, whose sizes `pieces` gives. If more pieces are needed,
// `pieces` is used again from its beginning. If `pieces` is empty, `text` is one piece.
Read ReadInPieces(std::string_view input, std::string_view text, std::string_view pieces,
                  const NaiveResp* naive) {
  static thread_local ReplyReader reader(kLimits);
  reader.Reset();
  Read read;
  std::size_t piece = 0;
  while (!text.empty() && !read.malformed) {
    const std::size_t size =
        pieces.empty() ? text.size()
                       : 1 + static_cast<std::uint8_t>(pieces[piece++ % pieces.size()]) % 64;
    reader.Feed(text.substr(0, size));
    text.remove_prefix(std::min(size, text.size()));
    for (;;) {
      const ReplyReader::Status status = reader.Next();
      if (status == ReplyReader::Status::kNeedMore) break;
      if (status == ReplyReader::Status::kMalformed) {
        read.malformed = true;
        break;
      }
      std::size_t bytes = 0;
      int deepest = 0;
      read.replies.push_back(ShownReply(reader.reply(), 1, bytes, deepest));
      if (bytes > kLimits.max_bytes) Fail("larger than allowed", input);
      if (deepest > kLimits.max_depth) Fail("deeper than allowed", input);
      if (naive != nullptr && read.replies.size() <= naive->replies.size()) {
        CheckClaim(input, reader.reply(), naive->replies[read.replies.size() - 1]);
      }
    }
  }
  return read;
}

void Generate(Random& random, TextBuffer& text) {
  const auto bulk = [&](std::string_view t) {
    text.Append('$');
    text.AppendNumber(t.size());
    text.Append("\r\n");
    text.Append(t);
    text.Append("\r\n");
  };
  text.Append(static_cast<char>(random.Below(8)));
  for (std::size_t i = 0; i <= random.Below(3); ++i) {
    if (random.OneIn(4)) {
      text.Append("*3\r\n:0\r\n");
      bulk("capability_mismatch");
      bulk("a,b");
    } else if (random.OneIn(4)) {
      text.Append("*2\r\n*1\r\n*1\r\n:1\r\n$-1\r\n");
    } else {
      text.Append("*8\r\n:1\r\n");
      bulk("OK");
      bulk(kLease);
      bulk("1");
      bulk("99");
      bulk(kAttempt);
      bulk("0");
      bulk("initial");
    }
  }
}

constexpr std::string_view kPieces[] = {
    "\r\n",        "*",           "$",          ":",          "+OK\r\n",
    "-ERR x\r\n",  "$-1\r\n",     "*-1\r\n",    "*0\r\n",     "$0\r\n\r\n",
    "*1\r\n",      "*8\r\n",      ":1\r\n",     ":0\r\n",     "$2\r\nOK\r\n",
    "*3\r\n",      "$1\r\n0\r\n", "*99999\r\n", "$99999\r\n", ":-12\r\n",
    "*1\r\n*1\r\n"};
constexpr TextGrammar kGrammar = {Generate, kPieces, "$*:+-0123456789\r\n"};

}  // namespace
}  // namespace ffgrant::fuzz

using namespace ffgrant::fuzz;

// The first byte says how many of the next bytes (0 to 7) are sizes of pieces; the rest is the
// stream.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (input.empty()) return 0;
  const std::size_t count = std::min<std::size_t>(data[0] % 8, size - 1);
  const std::string_view pieces = input.substr(1, count);
  const std::string_view text = input.substr(1 + count);
  const NaiveResp naive = NaiveDecodeResp(text, {kLimits.max_depth, kLimits.max_bytes});
  const Read whole = ReadInPieces(input, text, {}, &naive);
  for (const std::string& reply : whole.replies) Observe(reply);

  for (std::size_t i = 0; i < naive.replies.size(); ++i) {
    const std::string expected = Shown(naive.replies[i]);
    if (i >= whole.replies.size()) Fail("a reply is missing", input, expected);
    if (whole.replies[i] != expected) Fail("another reply", input, expected, whole.replies[i]);
  }
  if (naive.end != NaiveRespEnd::kOpen) {
    if (whole.replies.size() != naive.replies.size()) {
      Fail("a reply too many", input, {}, whole.replies.back());
    }
    if (whole.malformed != (naive.end == NaiveRespEnd::kMalformed)) {
      Fail(whole.malformed ? "taken for malformed" : "not taken for malformed", input);
    }
  }
  const std::string every_size = "\0";
  for (const std::string_view sizes : {pieces, std::string_view(every_size.data(), 1)}) {
    if (sizes.empty()) continue;
    const Read cut = ReadInPieces(input, text, sizes, nullptr);
    if (cut.replies != whole.replies || cut.malformed != whole.malformed) {
      Fail("pieces give something else than the whole", input);
    }
  }
  return 0;
}

FFGRANT_FUZZ_TEXT_MUTATORS(kGrammar)
