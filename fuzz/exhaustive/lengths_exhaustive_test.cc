// SPDX-License-Identifier: Apache-2.0
//
// Tries every length and every byte place of every fast path. A fault that people really make
// concerns one path at one length: for example, in a text of 13 bytes the path does not look at
// byte 8. So each text of the documents below gets every length from 0 to beyond the widest block.
// At every length, each byte of the text is replaced by each byte that matters, and the result is
// read with every set of instructions. Numbers get every count of digits, and each of their digits
// is replaced by each byte that matters. The oracles are naive code. With --paths, in a build that
// counts paths (internal/paths.h) and on a processor that has all of them, the program fails unless
// each path was taken with each length that it can have, and with no other.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ffgrant/claims/capabilities.h"
#include "ffgrant/crc16.h"
#include "ffgrant/execution_id.h"
#include "ffgrant/hash_slot.h"
#include "ffgrant/internal/cpu.h"
#include "ffgrant/internal/decimal_digits.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/internal/string_scan.h"
#include "ffgrant/json/claim_request.h"
#include "ffgrant/json/claim_response.h"
#include "ffgrant/json/error_body.h"
#include "ffgrant/json/internal/claim_response_paths.h"
#include "ffgrant/json/lease_results.h"
#include "ffgrant/json/reclaim_request.h"
#include "ffgrant/json/reclaim_response.h"
#include "ffgrant/key_names.h"
#include "ffgrant/lane_id.h"
#include "ffgrant/partition_key.h"
#include "ffgrant/uuid.h"
#include "harness/failure.h"
#include "harness/json_check.h"
#include "oracles/naive_dtos.h"
#include "oracles/naive_json_writer.h"
#include "testing/naive/guarded_buffer.h"
#include "testing/naive/mutate.h"
#include "testing/naive/naive_execution_id.h"
#include "testing/naive/naive_hash.h"
#include "testing/naive/naive_partition_key.h"
#include "testing/naive/naive_uuid.h"

namespace ffgrant::fuzz {
namespace {

using testing::GuardedBuffer;
using testing::NaiveExecutionId;
using testing::NaiveParseExecutionId;

std::uint64_t checked = 0;

// These bytes lie at the limits that the paths distinguish, or differ by only one bit from a byte
// that matters.
constexpr char kBytes[] = {'"',    '\\',   '\x00', '\x09', '\x1F', '\x20', '\x21', '\x23', '\x5B',
                           '\x5D', '\x7F', '\x80', '\xA2', '\xDC', '\xE2', '\xFF', 'n',    '}'};

constexpr std::string_view kIdText = "{fp:7}:550e8400-e29b-41d4-a716-446655440000";
constexpr std::string_view kOtherIdText = "{fp:65535}:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

GuardedBuffer& Memory() {
  static GuardedBuffer memory(1 << 16);
  return memory;
}

// ---- writers -------------------------------------------------------------------

template <class View>
using Writer = WriteResult (*)(const View&, std::span<char>) noexcept;
template <class View>
using Parser = JsonResult (*)(std::string_view, JsonScratch&, View&) noexcept;

template <class View>
void CheckWritten(const View& view, Writer<View> write) {
  ++checked;
  const std::string json = NaiveJson(view);
  const bool is_utf8 = NaiveIsUtf8(json);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    static std::string out;
    out.assign(json.size(), '~');
    const WriteResult written = write(view, out);
    if (!is_utf8) {
      if (written != WriteResult{0, WriteError::kInvalidUtf8}) Fail("not refused", json);
      continue;
    }
    if (written != WriteResult{json.size(), WriteError::kNone} || out != json) {
      Fail("written", json, json, out);
    }
    out.assign(json.size() - 1, '~');
    if (write(view, out) != WriteResult{json.size(), WriteError::kBufferTooSmall}) {
      Fail("written into too little room", json);
    }
  }
}

// Checks the reader of canonical documents. It must accept the documents that
// SerializeClaimResponse() writes for texts of plain bytes, and no others. Parsers use this reader
// only if the scratch is too small or has no memory, so this check calls the reader directly.
// `parsed` has the values of `json`, or is null if `json` is invalid.
void CheckCanonical(std::string_view json, const ClaimResponseView* parsed) {
  ClaimResponseView view;
  const bool taken = internal::ParseClaimResponseCanonical(json, view);
  const bool is_plain = std::all_of(json.begin(), json.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x80 && c != '\\';
  });
  if (taken != (parsed != nullptr && is_plain && NaiveJson(*parsed) == json)) {
    Fail("canonical or not", json);
  }
  if (taken && !(view == *parsed)) Fail("values of a canonical document", json);
}

// Reads `text` with every set of instructions.
template <class View>
void CheckRead(NaiveDto dto, std::string_view text, Parser<View> parse) {
  ++checked;
  const std::string_view json = Memory().AtEnd(text);
  const NaiveDocument expected = NaiveDecode(dto, json);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    View view;
    const JsonResult result = parse(json, ScratchFor(json.size()), view);
    if (result != expected.result) Fail("read", json, Shown(expected.result), Shown(result));
    if (result && !Holds(expected, view)) Fail("values", json);
    if constexpr (std::is_same_v<View, ClaimResponseView>) {
      CheckCanonical(json, result ? &view : nullptr);
    }
  }
}

// A document with one text left to choose: `make(text)` returns the view that has `text` in this
// place.
template <class View>
struct OpenText {
  const char* name;
  std::function<View(std::string_view text)> make;
};

constexpr std::size_t kMostBytes = 100;
// The largest length of a text in documents other than claim responses. Fewer lengths will do in
// these documents, since the code that reads their texts also reads the texts of claim responses.
constexpr std::size_t kFewerBytes = 66;

// Gives a text every length, and replaces each of its bytes by each byte that matters.
template <class View>
void SweepText(NaiveDto dto, const OpenText<View>& open, Writer<View> write, Parser<View> parse) {
  const std::size_t most = dto == NaiveDto::kClaimResponse ? kMostBytes : kFewerBytes;
  for (std::size_t size = 0; size <= most; ++size) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
    const View plain = open.make(text);
    CheckWritten(plain, write);
    const std::string json = NaiveJson(plain);
    CheckRead(dto, json, parse);
    const std::size_t begin = json.find('"' + text + '"');
    for (std::size_t place = 0; place < size; ++place) {
      for (const char byte : kBytes) {
        std::string other = text;
        other[place] = byte;
        CheckWritten(open.make(other), write);
        if (begin != std::string::npos) {
          std::string edited = json;
          edited[begin + 1 + place] = byte;
          CheckRead(dto, edited, parse);
        }
      }
    }
    // Two bytes in this text need an escape: the first must not hide the second.
    for (std::size_t place = 0; place + 1 < size; ++place) {
      std::string other = text;
      other[place] = '\n';
      other[size - 1] = '"';
      CheckWritten(open.make(other), write);
    }
  }
}

template <class View>
void Sweep(NaiveDto dto, const std::vector<OpenText<View>>& texts, Writer<View> write,
           Parser<View> parse) {
  for (const OpenText<View>& open : texts) SweepText(dto, open, write, parse);
}

ClaimResponseView Response(std::string_view id, std::string_view key, std::string_view grant) {
  return {id, key, grant, 1'700'000'000'123};
}

void ClaimResponses() {
  using View = ClaimResponseView;
  Sweep<View>(NaiveDto::kClaimResponse,
              {{"execution_id", [](std::string_view t) { return Response(t, "{fp:7}", "k"); }},
               {"partition_key", [](std::string_view t) { return Response(kIdText, t, "k"); }},
               {"grant_key", [](std::string_view t) { return Response(kIdText, "{fp:7}", t); }}},
              SerializeClaimResponse, ParseClaimResponse);
}

void ClaimRequests() {
  using View = ClaimRequestView;
  static std::string_view token[3];
  Sweep<View>(NaiveDto::kClaimRequest,
              {{"lane_id",
                [](std::string_view t) {
                  return View{t, "w1-i1", {}, 5};
                }},
               {"worker_instance_id",
                [](std::string_view t) {
                  return View{"main", t, {}, 5};
                }},
               {"capabilities",
                [](std::string_view t) {
                  token[0] = "gpu";
                  token[1] = t;
                  token[2] = "arm";
                  return View{"main", "w1-i1", StringList(token), 5};
                }}},
              SerializeClaimRequest, ParseClaimRequest);
}

void ReclaimRequests() {
  using View = ReclaimRequestView;
  static const auto base = [] {
    View view;
    view.worker_id = "w1";
    view.worker_instance_id = "w1-i1";
    view.lane_id = "main";
    view.grant_ttl_ms = 30'000;
    return view;
  };
  static std::string_view token[1];
  const auto with = [](std::string_view View::*member) {
    return [member](std::string_view t) {
      View view = base();
      view.*member = t;
      return view;
    };
  };
  const auto with_optional = [](std::optional<std::string_view> View::*member) {
    return [member](std::string_view t) {
      View view = base();
      view.*member = t;
      return view;
    };
  };
  Sweep<View>(NaiveDto::kReclaimRequest,
              {{"worker_id", with(&View::worker_id)},
               {"worker_instance_id", with(&View::worker_instance_id)},
               {"lane_id", with(&View::lane_id)},
               {"capability_hash", with_optional(&View::capability_hash)},
               {"route_snapshot_json", with_optional(&View::route_snapshot_json)},
               {"admission_summary", with_optional(&View::admission_summary)},
               {"worker_capabilities",
                [](std::string_view t) {
                  View view = base();
                  token[0] = t;
                  view.worker_capabilities = StringList(token);
                  return view;
                }}},
              SerializeReclaimRequest, ParseReclaimRequest);
}

void ReclaimResponses() {
  using View = ReclaimResponseView;
  Sweep<View>(NaiveDto::kReclaimResponse,
              {{"execution_id",
                [](std::string_view t) {
                  return View(ReclaimGrantedView{Response(t, "{fp:7}", "k"), "main"});
                }},
               {"partition_key",
                [](std::string_view t) {
                  return View(ReclaimGrantedView{Response(kIdText, t, "k"), "main"});
                }},
               {"grant_key",
                [](std::string_view t) {
                  return View(ReclaimGrantedView{Response(kIdText, "{fp:7}", t), "main"});
                }},
               {"lane_id",
                [](std::string_view t) {
                  return View(ReclaimGrantedView{Response(kIdText, "{fp:7}", "k"), t});
                }},
               {"detail",
                [](std::string_view t) {
                  return View(NotReclaimableView{kIdText, t});
                }},
               {"of a detail",
                [](std::string_view t) {
                  return View(NotReclaimableView{t, "d"});
                }},
               {"of a cap",
                [](std::string_view t) {
                  return View(ReclaimCapExceededView{t, 1000});
                }}},
              SerializeReclaimResponse, ParseReclaimResponse);
}

void ErrorBodies() {
  using View = ErrorBodyView;
  Sweep<View>(NaiveDto::kErrorBody,
              {{"error",
                [](std::string_view t) {
                  return View{t, "contention", true};
                }},
               {"kind",
                [](std::string_view t) {
                  return View{"e", t, false};
                }}},
              SerializeErrorBody, ParseErrorBody);
}

void RevokeResults() {
  using View = RevokeLeaseResultView;
  Sweep<View>(NaiveDto::kRevokeLeaseResult,
              {{"lease_id",
                [](std::string_view t) {
                  return View(RevokedView{t, "2"});
                }},
               {"lease_epoch",
                [](std::string_view t) {
                  return View(RevokedView{"id", t});
                }},
               {"reason", [](std::string_view t) { return View(AlreadySatisfiedView{t}); }}},
              SerializeRevokeLeaseResult, ParseRevokeLeaseResult);
}

// ---- grants --------------------------------------------------------------------

void CheckGrantWritten(const ClaimGrantView& grant) {
  ++checked;
  const std::string json = NaiveJson(ClaimResponseView{
      grant.execution_id.text(), grant.partition_key, grant.grant_key, grant.expires_at_ms});
  const bool is_utf8 = NaiveIsUtf8(json);
  static std::string out;
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    out.assign(json.size(), '~');
    const WriteResult written = SerializeClaimGrant(grant, out);
    if (!is_utf8) {
      if (written != WriteResult{0, WriteError::kInvalidUtf8}) Fail("grant not refused", json);
      continue;
    }
    if (written != WriteResult{json.size(), WriteError::kNone} || out != json) {
      Fail("grant written", json, json, out);
    }
  }
}

// Reads a claim response as a grant and compares the result of the JSON and the grant's four
// members.
void CheckGrantRead(std::string_view text) {
  ++checked;
  const std::string_view json = Memory().AtEnd(text);
  const NaiveDocument expected = NaiveDecode(NaiveDto::kClaimResponse, json);
  NaiveExecutionId id;
  if (expected.result) id = NaiveParseExecutionId(expected.values[0].text, ParseMode::kLenient);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    ClaimGrantView grant;
    const GrantJsonResult result = ParseClaimGrant(json, ScratchFor(json.size()), grant);
    if (result.json != expected.result) {
      Fail("grant read", json, Shown(expected.result), Shown(result.json));
    }
    if (result.execution_id != id.error) {
      Fail("grant's id read", json, ErrorName(id.error), ErrorName(result.execution_id));
    }
    if (!result) continue;
    const ClaimResponseView view = {grant.execution_id.text(), grant.partition_key, grant.grant_key,
                                    grant.expires_at_ms};
    if (!Holds(expected, view)) Fail("grant's values", json);
    const ExecutionIdView& got = grant.execution_id;
    if (got.uuid() != id.uuid || got.is_canonical() != id.canonical ||
        got.partition() != Partition{PartitionFamily::kExecution, id.index}) {
      Fail("grant's id", json);
    }
  }
}

void Grants() {
  const std::string_view ids[] = {kIdText, kOtherIdText};
  for (const std::string_view id_text : ids) {
    ClaimGrantView grant;
    grant.execution_id = ParseExecutionId(id_text, ParseMode::kStrict).id;
    grant.expires_at_ms = 1'700'000'000'123;
    for (std::size_t size = 0; size <= kMostBytes; ++size) {
      std::string text(size, 'k');
      for (std::size_t place = 0; place < std::max<std::size_t>(size, 1); ++place) {
        for (const char byte : kBytes) {
          std::string edited = text;
          if (size > 0) edited[place] = byte;
          grant.partition_key = "{fp:7}";
          grant.grant_key = edited;
          CheckGrantWritten(grant);
          grant.partition_key = edited;
          grant.grant_key = "ff:exec:{fp:7}:claim_grant";
          CheckGrantWritten(grant);
        }
      }
    }
  }
}

// Tries claim responses in which the execution id or the grant key has each size from 0 to 330.
void DocumentSizes() {
  for (std::size_t size = 0; size <= 330; ++size) {
    std::string text(size, 'k');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
    for (const std::size_t place : {std::size_t{0}, size / 2, size - 1}) {
      for (const char byte : {'k', '"', '\x80'}) {
        if (size > 0) text[place] = byte;
        for (const ClaimResponseView& view :
             {ClaimResponseView{"", "", text, 0}, ClaimResponseView{"\n", "", text, 0},
              ClaimResponseView{text, "{fp:7}", "k", 1'700'000'000'123},
              ClaimResponseView{kIdText, "{fp:7}", text, 1'700'000'000'123}}) {
          CheckWritten(view, SerializeClaimResponse);
          const std::string json = NaiveJson(view);
          CheckRead(NaiveDto::kClaimResponse, json, ParseClaimResponse);
          CheckGrantRead(json);
        }
        if (size == 0) break;
        text[place] = 'k';
      }
      if (size == 0) break;
    }
  }
}

// Tries documents as issuers write them, with indexes of every number of digits. At each place the
// byte is replaced by each byte that matters, or removed, or doubled, or the document ends before
// it.
void IssuedDocuments() {
  for (const std::string_view index : {"0", "42", "255", "4096", "65535"}) {
    const std::string tag = "{fp:" + std::string(index) + "}";
    const std::string id = tag + ":01234567-89ab-cdef-fedc-ba9876543210";
    for (const std::string& key : {"ff:exec:" + tag + ":" + id + ":claim_grant",
                                   "pg:" + id + ":1700000000123:k1:0badcafe", std::string("k")}) {
      const std::string json = NaiveJson(ClaimResponseView{id, tag, key, 1'700'000'000'123});
      for (std::size_t place = 0; place < json.size(); ++place) {
        for (const char byte : kBytes) {
          std::string edited = json;
          edited[place] = byte;
          CheckGrantRead(edited);
        }
        for (const char byte : {'0', '1', '9', 'a', 'f', 'F', 'g', ':', '/', '-', '{', ','}) {
          std::string edited = json;
          edited[place] = byte;
          CheckGrantRead(edited);
        }
        std::string shorter = json;
        shorter.erase(place, 1);
        CheckGrantRead(shorter);
        std::string longer = json;
        longer.insert(place, 1, longer[place]);
        CheckGrantRead(longer);
        CheckGrantRead(std::string_view(json).substr(0, place));
      }
    }
  }
}

// Tries unknown members that are longer than what the reader remembers at once. The number of
// blanks before the values varies, so that each byte of the values comes to lie at the end and at
// the beginning of what the reader remembers. Each byte of the values is replaced by each byte that
// matters.
void UnwantedValues() {
  const std::string values =
      R"({"name":"n17","list":[1,-20,3.5,4e10,0,true,null],"":{}},"a\u00e9b","\n",[[]],123456789,)"
      R"("a longer text of more than sixty-four bytes, so that it reaches from one block to the next",)"
      R"(12345678901234567890123456789012345678901234567890123456789012345678901234567890,{"x":false})";
  const std::string behind =
      R"(],"execution_id":"i","partition_key":"p","grant_key":"g","expires_at_ms":1})";
  const auto check = [](const std::string& json) {
    CheckRead(NaiveDto::kClaimResponse, json, ParseClaimResponse);
  };
  for (std::size_t blanks = 0; blanks <= 70; ++blanks) {
    const std::string json = "{\"x\":[" + std::string(blanks, ' ') + values + behind;
    check(json);
    const std::size_t begin = 6 + blanks;
    for (std::size_t place = begin; place <= begin + values.size(); ++place) {
      for (const char byte : kBytes) {
        std::string edited = json;
        edited[place] = byte;
        check(edited);
      }
      check(json.substr(0, place));
    }
    // The reader checks unwanted values of a claim response only by their form, but those of a
    // reclaim response in full.
    CheckRead(NaiveDto::kReclaimResponse,
              "{\"status\":\"reclaim_cap_exceeded\",\"x\":[" + std::string(blanks, ' ') + values +
                  R"(],"execution_id":"i","reclaim_count":1})",
              ParseReclaimResponse);
  }
}

// ---- numbers -------------------------------------------------------------------

// Gives a number each possible length, and replaces each digit by each byte that matters. The rest
// of the document stays the same, but for its end.
void Numbers() {
  static const char kDigits[] = "0123456789/:;-+.eE \",}]\x30";
  for (std::size_t digits = 1; digits <= 22; ++digits) {
    for (const std::string_view all : {"9182736455463728190173", "1844674407370955161599",
                                       "1000000000000000000000", "9999999999999999999999"}) {
      const std::string number(all.substr(0, digits));
      for (std::size_t place = 0; place < digits; ++place) {
        for (const char c : std::string_view(kDigits)) {
          std::string edited = number;
          edited[place] = c;
          const std::string around[] = {"}", " }", ",\"x\":1}"};
          for (const std::string& end : around) {
            const std::string response = "{\"execution_id\":\"" + std::string(kIdText) +
                                         "\",\"partition_key\":\"{fp:7}\",\"grant_key\":\"k\","
                                         "\"expires_at_ms\":" +
                                         edited + end;
            CheckGrantRead(response);
            CheckRead<ClaimResponseView>(NaiveDto::kClaimResponse, response, ParseClaimResponse);
            CheckRead<ClaimRequestView>(
                NaiveDto::kClaimRequest,
                "{\"lane_id\":\"m\",\"worker_instance_id\":\"i\",\"grant_ttl_ms\":" + edited + end,
                ParseClaimRequest);
          }
          CheckRead<ReclaimResponseView>(
              NaiveDto::kReclaimResponse,
              "{\"status\":\"reclaim_cap_exceeded\",\"execution_id\":\"" + std::string(kIdText) +
                  "\",\"reclaim_count\":" + edited + "}",
              ParseReclaimResponse);
          CheckRead<RenewLeaseResult>(NaiveDto::kRenewLeaseResult,
                                      "{\"Renewed\":{\"expires_at\":" + edited + "}}",
                                      ParseRenewLeaseResult);
        }
      }
    }
  }
  // Tries each number of digits with each number of bytes after the digits.
  for (std::size_t digits = 0; digits <= 17; ++digits) {
    for (std::size_t behind = 0; behind <= 270; ++behind) {
      const std::string number = std::string("92345678901234567").substr(0, digits);
      for (const char first : {'}', ' ', '.'}) {
        std::string tail(behind, ' ');
        if (behind > 0) tail.front() = first;
        if (behind > 1 && first == ' ') tail.back() = '}';
        CheckRead<ClaimRequestView>(
            NaiveDto::kClaimRequest,
            "{\"lane_id\":\"m\",\"worker_instance_id\":\"i\",\"grant_ttl_ms\":" + number + tail,
            ParseClaimRequest);
      }
    }
  }
  // Each digit must count by its place in the number. All digits are tried in all places.
  for (unsigned count = 1; count <= 8; ++count) {
    for (unsigned place = 0; place < count; ++place) {
      for (char digit = '0'; digit <= '9'; ++digit) {
        std::string text = "zzzzzzzz";
        for (unsigned i = 8 - count; i < 8; ++i) text[i] = static_cast<char>('0' + i * 7 % 10);
        text[8 - count + place] = digit;
        bool ok = true;
        const std::uint64_t value =
            internal::ParseUpTo8Digits(internal::Load64(text.data()), count, ok);
        if (!ok || value != std::stoull(text.substr(8 - count))) Fail("digits", text);
        ++checked;
      }
    }
  }
}

// ---- scans and hashes ----------------------------------------------------------

std::size_t NaiveFirstSpecial(std::string_view text, bool non_ascii) {
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 32 || byte == 34 || byte == 92 || (non_ascii && byte > 127)) break;
  }
  return i;
}

void Scans() {
  for (std::size_t size = 0; size <= 330; ++size) {
    for (std::size_t place = 0; place <= size; ++place) {
      // There is a second special byte further on, which must not be taken for the first.
      for (const char byte : {'"', '\\', '\x1F', '\x80', '\xFF', '\x00'}) {
        std::string text(size, 'a');
        if (place < size) text[place] = byte;
        if (place + 3 < size) text[size - 1] = '"';
        const std::string_view view = Memory().AtEnd(text);
        const char* const end = view.data() + view.size();
        for (const unsigned features : internal::kCpuFeatureSets) {
          const internal::ForceCpuFeatures force(features);
          ++checked;
          using internal::NonAscii;
          const std::size_t special = NaiveFirstSpecial(text, true);
          const std::size_t plain = NaiveFirstSpecial(text, false);
          const auto offset = [&](const char* p) {
            return static_cast<std::size_t>(p - view.data());
          };
          if (offset(internal::FindSpecial<NonAscii::kSpecial>(view.data(), end)) != special ||
              offset(internal::FindSpecialFar(view.data(), end)) != special ||
              offset(internal::FindSpecialPortable<NonAscii::kSpecial>(view.data(), end)) !=
                  special) {
            Fail("the first special byte", text);
          }
          if (offset(internal::FindSpecial<NonAscii::kPlain>(view.data(), end)) != plain ||
              offset(internal::FindSpecialFarPlain(view.data(), end)) != plain ||
              offset(internal::FindSpecialPortable<NonAscii::kPlain>(view.data(), end)) != plain) {
            Fail("the first byte to escape", text);
          }
          if (internal::IsPlainText(view) != (special == size)) Fail("plain or not", text);
#ifdef FFGRANT_HAS_AVX2_PATHS
          if (internal::HasAvx2() &&
              offset(internal::Avx2Scan::FindSpecial(view.data(), end)) != special) {
            Fail("the first special byte by AVX2", text);
          }
#endif
        }
      }
    }
  }
}

// Checks a text that begins with `count` blanks.
void CheckBlanks(const std::string& text, std::size_t count) {
  const std::string_view view = Memory().AtEnd(text);
  const char* const end = view.data() + view.size();
  const char* const behind = view.data() + count;
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    ++checked;
    if (internal::SkipBlanks(view.data(), end) != behind ||
        internal::SkipBlanksFar(view.data(), end) != behind) {
      Fail("behind the blanks", text);
    }
    if (count > 20) continue;
    // The result must not depend on `expected`, the number of blanks that the reader expects.
    for (std::size_t expected = 0; expected <= 18; ++expected) {
      if (internal::SkipSameBlanks(view.data(), end, expected) != behind) {
        Fail("behind the blanks that were expected", text, std::to_string(expected));
      }
    }
  }
}

void Blanks() {
  constexpr std::string_view kBlanks = " \t\n\r";
  for (std::size_t size = 0; size <= 330; ++size) {
    for (std::size_t place = 0; place <= size; ++place) {
      for (const char byte : {'{', '\x0B', '\x0C', '\x00', '\x08', '\x1F', '!', '\x89', '\xA0'}) {
        std::string text(size, ' ');
        for (std::size_t i = 0; i < size; ++i) text[i] = kBlanks[(i + size) % 4];
        if (place < size) text[place] = byte;
        CheckBlanks(text, place);
        if (place > 20) continue;
        // The text begins with `place` blanks, all the same. Nothing follows, or only bytes that
        // are no blanks.
        for (const char blank : kBlanks) {
          text.assign(place, blank);
          text.resize(size, byte);
          CheckBlanks(text, place);
        }
      }
    }
  }
}

void Copies() {
  for (std::size_t size = 0; size <= 330; ++size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(1 + i * 31 % 255);
    std::string out(size + 2, '\0');
    if (internal::CopyText(out.data() + 1, Memory().AtEnd(text)) != out.data() + 1 + size ||
        out != '\0' + text + '\0') {
      Fail("copied", text);
    }
    ++checked;
  }
}

// The checksum is linear, so single bits at every place of every length determine it. In texts of
// more than 200 bytes only the highest bit of each byte is tried.
void Checksums() {
  for (std::size_t size = 0; size <= 330; ++size) {
    std::string text(size, '\0');
    for (std::size_t place = 0; place < size; ++place) {
      for (int bit = size <= 200 ? 0 : 7; bit < 8; ++bit) {
        text[place] = static_cast<char>(1 << bit);
        const std::uint16_t expected = testing::NaiveCrc16(text);
        const std::string_view view = Memory().AtEnd(text);
        for (const unsigned features : internal::kCpuFeatureSets) {
          const internal::ForceCpuFeatures force(features);
          ++checked;
          if (Crc16Xmodem(view) != expected) Fail("checksum", text);
        }
      }
      text[place] = '\0';
    }
  }
}

// Tries keys of every length: with `{` and `}` at each pair of places, with only one of the two,
// and with neither.
void Slots() {
  for (std::size_t size = 0; size <= 40; ++size) {
    for (std::size_t open = 0; open <= size; ++open) {
      for (std::size_t close = 0; close <= size; ++close) {
        std::string key(size, 'k');
        for (std::size_t i = 0; i < size; ++i) key[i] = static_cast<char>('a' + i % 26);
        if (open < size) key[open] = '{';
        if (close < size) key[close] = '}';
        const std::string_view view = Memory().AtEnd(key);
        ++checked;
        if (HashTag(view) != testing::NaiveHashTag(view) ||
            HashSlot(view) != testing::NaiveHashSlot(view)) {
          Fail("slot", key);
        }
      }
    }
  }
}

// ---- lanes and capabilities ----------------------------------------------------

void Lanes() {
  for (std::size_t size = 0; size <= 70; ++size) {
    for (std::size_t place = 0; place < std::max<std::size_t>(size, 1); ++place) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text(size, 'l');
        if (size > 0) text[place] = static_cast<char>(byte);
        ++checked;
        const bool bad = size > 0 && (byte < 0x20 || byte > 0x7E);
        const LaneIdResult expected =
            size == 0   ? LaneIdResult{{}, LaneIdError::kEmpty, 0}
            : size > 64 ? LaneIdResult{{}, LaneIdError::kTooLong, size}
            : bad       ? LaneIdResult{{}, LaneIdError::kNotPrintable, place}
                        : LaneIdResult{LaneIdView::Unchecked(text), LaneIdError::kNone, 0};
        if (ParseLaneId(Memory().AtEnd(text)) != expected) Fail("lane", text);
        // If two bytes are bad, the first one is reported.
        if (bad && size <= 64 && place + 1 < size) {
          text[size - 1] = '\x7F';
          if (ParseLaneId(Memory().AtEnd(text)) != expected) Fail("lane", text);
        }
      }
    }
  }
}

void Capabilities() {
  for (std::size_t size = 1; size <= 80; ++size) {
    std::string token(size, 't');
    for (std::size_t i = 0; i < size; ++i) token[i] = static_cast<char>('b' + i % 20);
    const auto check = [&](const std::string& offered, bool satisfied) {
      ++checked;
      CapabilitySet set;
      if (set.AssignOfferedCsv("aa," + offered + ",zz") != CapabilityError::kNone) {
        Fail("offered", offered);
      }
      if (CapabilitiesSatisfied(token, set.csv()) != satisfied) Fail("satisfied", offered, token);
      std::string missing(size, '~');
      const std::size_t written = MissingCapabilities(token, set.csv(), missing);
      missing.resize(written);
      if (missing != (satisfied ? "" : token)) Fail("missing", offered, token, missing);
    };
    check(token, true);
    check(token + "x", false);
    check("x" + token, false);
    if (size > 1) check(token.substr(1), false);
    if (size > 1) check(token.substr(0, size - 1), false);
    for (std::size_t place = 0; place < size; ++place) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string other = token;
        other[place] = static_cast<char>(other[place] ^ (1 << bit));
        if (other[place] != ',') check(other, false);
      }
    }
  }
}

// Checks key names with lanes of every length: the bytes of the lane appear in the key unchanged.
void Keys() {
  const Partition partition = {PartitionFamily::kExecution, 65535};
  for (std::size_t size = 0; size <= 80; ++size) {
    std::string text(size, 'l');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + i * 7 % 90);
    const std::string expected = "ff:idx:{fp:65535}:lane:" + text + ":eligible";
    for (std::size_t room = 0; room <= expected.size() + 1; ++room) {
      std::string out(room, '~');
      const WriteResult written =
          FormatKey(LaneKey::kEligible, partition, LaneIdView::Unchecked(text), out);
      ++checked;
      const bool fits = room >= expected.size();
      if (written.size != expected.size() ||
          written.error != (fits ? WriteError::kNone : WriteError::kBufferTooSmall) ||
          out != (fits ? expected + std::string(room - expected.size(), '~')
                       : std::string(room, '~'))) {
        Fail("key", expected, expected, out);
      }
    }
  }
}

// ---- keys and ids --------------------------------------------------------------

void CheckKey(std::string_view text) {
  ++checked;
  const std::string_view key = Memory().AtEnd(text);
  for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
    if (ParsePartitionKey(key, mode) != testing::NaiveParsePartitionKey(key, mode)) {
      Fail("key", key);
    }
  }
}

void CheckId(std::string_view text) {
  ++checked;
  const std::string_view id = Memory().AtEnd(text);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      const ExecutionIdResult got = ParseExecutionId(id, mode);
      const auto expected = testing::NaiveParseExecutionId(id, mode);
      if (got.error != expected.error || got.offset != expected.offset ||
          got.payload != expected.payload || got.id.uuid() != expected.uuid ||
          got.id.partition().index != expected.index ||
          got.id.is_canonical() != expected.canonical) {
        Fail("id", id);
      }
    }
  }
}

void CheckUuid(std::string_view text) {
  ++checked;
  const std::string_view uuid = Memory().AtEnd(text);
  for (const unsigned features : internal::kCpuFeatureSets) {
    const internal::ForceCpuFeatures force(features);
    for (const ParseMode mode : {ParseMode::kLenient, ParseMode::kStrict}) {
      if (ParseUuid(uuid, mode) != testing::NaiveParseUuid(uuid, mode)) Fail("uuid", uuid);
    }
  }
}

// Checks `text` and every text that one edit of a byte makes from it.
template <class Check>
void WithEdits(const std::string& text, Check check) {
  check(text);
  testing::ForEachSingleByteEdit(text, check);
}

// The forms of a uuid that strict mode refuses.
std::vector<std::string> OtherForms(const std::string& uuid) {
  std::string simple = uuid;
  std::erase(simple, '-');
  return {simple, "{" + uuid + "}", "urn:uuid:" + uuid};
}

// Tries keys and ids with indexes of many lengths, and every text that one edit of a byte makes
// from such a key or id. Each digit of an index also takes each value.
void KeysAndIds() {
  const auto check_key = [](const std::string& text) { CheckKey(text); };
  const auto check_id = [](const std::string& text) { CheckId(text); };
  const std::string uuid(kIdText.substr(kIdText.find("}:") + 2));
  for (const std::string_view index :
       {"", "0", "7", "42", "255", "4096", "65535", "65536", "99999", "065535", "0000007",
        "00000042", "000000042", "+7", "+65535", "0000000000000000000065535"}) {
    for (const std::string_view family : {"{fp:", "{b:", "{q:"}) {
      WithEdits(std::string(family) + std::string(index) + "}", check_key);
    }
    const std::string tag = "{fp:" + std::string(index) + "}:";
    WithEdits(tag + uuid, check_id);
    for (const std::string& other : OtherForms(uuid)) WithEdits(tag + other, check_id);
    for (std::size_t place = 0; place < index.size(); ++place) {
      for (char digit = '0'; digit <= '9'; ++digit) {
        std::string other(index);
        other[place] = digit;
        for (const std::string_view family : {"{fp:", "{b:", "{q:"}) {
          CheckKey(std::string(family) + other + "}");
        }
        CheckId("{fp:" + other + "}:" + uuid);
      }
    }
  }
}

// Tries texts of every size. Most of the texts are not keys or ids, and a few only just are.
void KeyAndIdSizes() {
  const std::string uuid(kIdText.substr(kIdText.find("}:") + 2));
  for (std::size_t size = 0; size <= 270; ++size) {
    std::string text(size, 'x');
    CheckKey(text);
    CheckId(text);
    CheckUuid(text);
    CheckId("{fp:" + text);
    if (size == 0) continue;
    text.front() = '{';
    CheckKey(text);
    CheckId(text);
    text.back() = '}';
    CheckKey(text);
    CheckId(text);
    for (const std::size_t colon : {std::size_t{1}, std::size_t{2}, size / 2, size - 2}) {
      if (colon == 0 || colon >= size - 1) continue;
      std::string other = text;
      other[colon] = ':';
      CheckKey(other);
      CheckId(other);
    }
    const std::string zeros(size, '0');
    for (const std::string_view family : {"{fp:", "{b:", "{q:"}) {
      CheckKey(std::string(family) + zeros + "7}");
      CheckKey(std::string(family) + "+" + zeros + "7}");
    }
    CheckId("{fp:" + zeros + "7}:" + uuid);
    CheckId("{fp:7}:" + uuid + zeros);
    CheckId("{fp:7}:" + zeros);
  }
}

void Uuids() {
  const std::string uuid = "01234567-89ab-cdef-FEDC-BA9876543210";
  const auto check = [](const std::string& text) { CheckUuid(text); };
  for (const std::string& text : OtherForms(uuid)) WithEdits(text, check);
  for (const std::string& text : {uuid, std::string("00000000-0000-0000-0000-000000000000"),
                                  std::string("ffffffff-ffff-ffff-ffff-ffffffffffff")}) {
    WithEdits(text, check);
  }
}

// ---- what was visited ----------------------------------------------------------

#ifdef FFGRANT_COUNT_PATHS
// The lengths with which a path can be taken, `step` apart. A path may have several rows. If `last`
// is the last length that is counted, the path can also be taken with longer lengths.
struct Lengths {
  internal::Path path;
  const char* name;
  std::size_t first;
  std::size_t last;
  std::size_t step = 1;
};
constexpr std::size_t kMost = internal::kPathLengths - 1;
using internal::Path;
constexpr Lengths kLengths[] = {
    {Path::kFindFirst16, "find: first 16", 16, kMost},
    {Path::kFind32, "find: 32", 32, kMost},
    {Path::kFindLast16, "find: last 16", 16, 31},
    {Path::kFindWord, "find: word", 8, kMost},
    {Path::kFindByte, "find: byte", 0, 7},
    {Path::kFindFar64, "find far: 64", 0, kMost},
    {Path::kFindFar16, "find far: 16", 16, kMost},
    {Path::kFindAvx2Block, "find by AVX2: 32", 32, kMost},
    {Path::kFindAvx2Last, "find by AVX2: last 32", 0, 31},
    {Path::kFindAvx2Short, "find by AVX2: short", 0, 31},
    {Path::kSkipOneBlank, "one blank", 2, kMost},
    {Path::kSkipFirst16, "blanks: first 16", 16, kMost},
    {Path::kSkipFar64, "blanks: 64", 0, kMost},
    {Path::kSkipFar16, "blanks: 16", 16, kMost},
    {Path::kSkipByte, "blanks: byte", 0, 15},
    {Path::kSameBlanks, "blanks: as many as before", 0, 15},
    {Path::kPlainIn16s, "plain: 16", 16, kMost},
    {Path::kPlainIn8s, "plain: 8", 13, 15},
    {Path::kPlainIn4s, "plain: 4", 4, 12},
    {Path::kPlainBytes, "plain: byte", 0, 3},
    {Path::kCopyIn16s, "copy: 16", 16, kMost},
    {Path::kCopyIn8s, "copy: 8", 13, 15},
    {Path::kCopyIn4s, "copy: 4", 4, 12},
    {Path::kCopyBytes, "copy: byte", 0, 3},
    {Path::kAnyKey, "any key", 0, kMost},
    {Path::kKeyDigits, "digits of a key", 1, 12},
    {Path::kCanonicalId, "canonical id", 43, 47},
    {Path::kCanonicalIdAvx2, "canonical id by AVX2", 43, 47},
    {Path::kAnyId, "any id", 0, kMost},
    {Path::kAnyIdAvx2, "any id by AVX2", 39, 60},
    {Path::kShortIndex, "short index", 15, kMost},
    {Path::kShortIndexAvx2, "short index by AVX2", 21, kMost},
    {Path::kCanonicalUuid, "uuid", 0, kMost},
    {Path::kUuidAvx2, "uuid by AVX2", 32, 32},
    {Path::kUuidAvx2, "uuid by AVX2", 36, 36},
    {Path::kUuidAvx2, "uuid by AVX2", 38, 38},
    {Path::kUuidAvx2, "uuid by AVX2", 45, 45},
    {Path::kUuidLoop, "uuid by loop", 32, 32},
    {Path::kUuidLoop, "uuid by loop", 36, 36},
    {Path::kUuidLoop, "uuid by loop", 38, 38},
    {Path::kUuidLoop, "uuid by loop", 45, 45},
    {Path::kUsualResponse, "usual response", 128, kMost},
    {Path::kCanonicalResponse, "canonical response", 71, kMost},
    {Path::kAnyGrant, "any grant", 0, kMost},
    {Path::kIssuedGrant, "issued grant", 202, 218, 4},
    {Path::kNumberOf8, "number of 8 digits", 1, 8},
    {Path::kNumberOf16, "number of 16 digits", 9, 16},
    {Path::kNumberOf20, "number of 20 digits", 17, 20},
    {Path::kWritePlain, "write plain", 71, kMost},
    {Path::kWriteAny, "write any", 0, kMost},
    {Path::kTakeDigits, "digits of a number", 0, 15},
    {Path::kTakeDigitsLeft, "number: bytes left", 1, kMost},
    {Path::kTakeDigitsAvx2, "digits of a number by AVX2", 0, 16},
    {Path::kTakeDigitsAvx2Left, "number by AVX2: bytes left", 1, kMost},
    {Path::kSkimBlockAvx2, "unwanted value by AVX2: bytes left", 64, kMost},
    {Path::kCrcClmul, "checksum by CLMUL", 24, kMost},
    {Path::kCrcTable, "checksum by table", 0, kMost},
};

// Checks that each path was taken with each of its lengths and with no other length. If another
// length occurs, the table or the path is wrong.
void CheckPaths() {
  constexpr std::size_t kPaths = static_cast<std::size_t>(Path::kCount);
  std::vector<std::vector<bool>> possible(kPaths, std::vector<bool>(kMost + 1));
  std::vector<const char*> names(kPaths);
  for (const Lengths& lengths : kLengths) {
    const auto path = static_cast<std::size_t>(lengths.path);
    names[path] = lengths.name;
    for (std::size_t length = lengths.first; length <= lengths.last; length += lengths.step) {
      possible[path][length] = true;
    }
  }
  int wrong = 0;
  for (std::size_t path = 0; path < kPaths; ++path) {
    if (names[path] == nullptr) Fail("a path that is not in the table", std::to_string(path));
    for (std::size_t length = 0; length <= kMost; ++length) {
      ++checked;
      const bool taken = internal::path_counters[path][length] != 0;
      if (taken == possible[path][length]) continue;
      ++wrong;
      std::fprintf(stderr, "%s: length %zu was %s\n", names[path], length,
                   taken ? "visited, and is not in the table" : "not visited");
    }
  }
  if (wrong != 0) Fail("paths and their lengths", std::to_string(wrong));
}
#endif

void Run(const char* title, void (*section)()) {
  const auto start = std::chrono::steady_clock::now();
  checked = 0;
  section();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%-58s %13llu inputs %7.1f s\n", title, static_cast<unsigned long long>(checked),
              took.count());
  std::fflush(stdout);
}

}  // namespace
}  // namespace ffgrant::fuzz

int main(int argc, char** argv) {
  using namespace ffgrant::fuzz;
  bool wants_paths = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    if (argument == "--paths") {
      wants_paths = true;
    } else if (argument != "--long") {  // ctest passes --long to all such programs
      std::fputs("usage: lengths_exhaustive_test [--paths] [--long]\n", stderr);
      return 2;
    }
  }
  Run("scans: sizes to 330, all places", Scans);
  Run("blanks: sizes to 330, all places", Blanks);
  Run("copies: sizes to 330", Copies);
  Run("checksums: sizes to 330, all places", Checksums);
  Run("slots: sizes to 40, braces at all places", Slots);
  Run("lanes: sizes to 70, all bytes", Lanes);
  Run("capabilities: sizes to 80, each bit", Capabilities);
  Run("keys: sizes to 80, any room", Keys);
  Run("keys and ids: every number of digits, all edits", KeysAndIds);
  Run("keys and ids: sizes to 270", KeyAndIdSizes);
  Run("uuids: every form, all edits", Uuids);
  Run("numbers: 1 to 22 digits, all places", Numbers);
  Run("claim responses: ids and keys to 330", DocumentSizes);
  Run("claim responses: texts to 100, all places", ClaimResponses);
  Run("claim requests: texts to 66", ClaimRequests);
  Run("reclaim requests: texts to 66", ReclaimRequests);
  Run("reclaim responses: texts to 66", ReclaimResponses);
  Run("error bodies: texts to 66", ErrorBodies);
  Run("revocations: texts to 66", RevokeResults);
  Run("grants: texts to 100, all places", Grants);
  Run("issued documents: all places, gone, doubled, cut", IssuedDocuments);
  Run("unwanted values: all places, bytes and blocks", UnwantedValues);
  if (wants_paths) {
#ifdef FFGRANT_COUNT_PATHS
    const unsigned all = ffgrant::internal::kCpuFeatureSets.back();
    if (ffgrant::internal::DetectCpuFeatures() != all) {
      std::puts("paths with their lengths: not checked, this processor has not all of them");
    } else {
      Run("paths with each of their lengths", CheckPaths);
    }
#else
    std::fputs("--paths: this program was built without FFGRANT_COUNT_PATHS\n", stderr);
    return 1;
#endif
  }
  return 0;
}
