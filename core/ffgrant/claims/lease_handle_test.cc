// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/claims/lease_handle.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant {
namespace {

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";
constexpr std::string_view kAttempt = "22222222-2222-4222-8222-222222222222";
constexpr std::string_view kLease = "33333333-3333-4333-8333-333333333333";

std::string Number(std::uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(value % 256));
    value /= 256;
  }
  return bytes;
}

std::string Text(std::string_view text) { return Number(text.size(), 4) + std::string(text); }

// The fields of one handle, each as its bytes.
struct Fields {
  std::string lead = std::string("\x02\x01\x01", 3);
  std::string id = Text(kId);
  std::string attempt_index = Number(0x01020304, 4);
  std::string attempt_id = Text(kAttempt);
  std::string lease_id = Text(kLease);
  std::string epoch = Number(0x1112131415161718, 8);
  std::string ttl = Number(30000, 8);
  std::string lane = Text("main");
  std::string instance = Text("w1-i1");

  std::string Bytes() const {
    return lead + id + attempt_index + attempt_id + lease_id + epoch + ttl + lane + instance;
  }
};

Uuid UuidOf(std::string_view text) { return ParseUuid(text, ParseMode::kStrict).uuid; }

LeaseHandleView Handle() {
  LeaseHandleView handle;
  handle.execution_id = ParseExecutionId(kId, ParseMode::kStrict).id;
  handle.attempt_index.value = 0x01020304;
  handle.attempt_id.uuid = UuidOf(kAttempt);
  handle.lease_id.uuid = UuidOf(kLease);
  handle.lease_epoch.value = 0x1112131415161718;
  handle.lease_ttl_ms = 30000;
  handle.lane_id = LaneIdView::Unchecked("main");
  handle.worker_instance_id.text = "w1-i1";
  return handle;
}

std::string Encoded(const LeaseHandleView& handle) {
  std::string out(1024, '\0');
  const WriteResult result = EncodeLeaseHandle(handle, out);
  EXPECT_TRUE(result) << ErrorName(result.error);
  out.resize(result.size);
  return out;
}

void ExpectFails(const std::string& bytes, LeaseHandleError error, std::size_t offset) {
  // The copy on the heap has the exact size, so that a sanitizer sees a read past the end.
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const LeaseHandleResult result = DecodeLeaseHandle({copy.data(), copy.size()});
  EXPECT_FALSE(result);
  EXPECT_EQ(ErrorName(result.error), ErrorName(error));
  EXPECT_EQ(result.offset, offset);
  EXPECT_EQ(result.handle, LeaseHandleView());
}

TEST(DecodeLeaseHandleTest, NewerForm) {
  const std::string bytes = Fields().Bytes();
  const LeaseHandleResult result = DecodeLeaseHandle(bytes);
  ASSERT_TRUE(result);
  EXPECT_EQ(result.offset, 0u);
  EXPECT_EQ(result.handle, Handle());
  EXPECT_EQ(result.handle.execution_id.partition().index, 7);
}

TEST(DecodeLeaseHandleTest, EveryBackend) {
  Fields fields;
  fields.lead[2] = 2;
  EXPECT_EQ(DecodeLeaseHandle(fields.Bytes()).handle.backend, HandleBackend::kPostgres);
  fields.lead[2] = 3;
  EXPECT_EQ(DecodeLeaseHandle(fields.Bytes()).handle.backend, HandleBackend::kSqlite);
}

TEST(DecodeLeaseHandleTest, OlderForm) {
  Fields fields;
  fields.lead = "\x01";
  const std::string bytes = fields.Bytes();
  const LeaseHandleResult result = DecodeLeaseHandle(bytes);
  ASSERT_TRUE(result);
  EXPECT_EQ(result.handle, Handle());
}

TEST(DecodeLeaseHandleTest, AcceptsWhatTheParsersAccept) {
  Fields fields;
  fields.id = Text("{fp:+007}:urn:uuid:11111111-1111-4111-8111-111111111111");
  fields.attempt_id = Text("22222222222242228222222222222222");
  fields.lease_id = Text("{33333333-3333-4333-8333-333333333333}");
  fields.lane = Text("");
  fields.instance = Text("\xC3\xA9\xED\x9F\xBF\xF4\x8F\xBF\xBF");
  const std::string bytes = fields.Bytes();
  const LeaseHandleResult result = DecodeLeaseHandle(bytes);
  ASSERT_TRUE(result);
  EXPECT_EQ(result.handle.execution_id.text(),
            "{fp:+007}:urn:uuid:11111111-1111-4111-8111-111111111111");
  EXPECT_EQ(result.handle.attempt_id.uuid, UuidOf(kAttempt));
  EXPECT_EQ(result.handle.lease_id.uuid, UuidOf(kLease));
  EXPECT_EQ(result.handle.lane_id.text(), "");
  EXPECT_EQ(result.handle.worker_instance_id.text, "\xC3\xA9\xED\x9F\xBF\xF4\x8F\xBF\xBF");
}

TEST(DecodeLeaseHandleTest, LeadBytes) {
  ExpectFails("", LeaseHandleError::kEmpty, 0);
  for (int byte = 0; byte < 256; ++byte) {
    Fields fields;
    fields.lead[0] = static_cast<char>(byte);
    if (byte != 1 && byte != 2) {
      ExpectFails(fields.Bytes(), LeaseHandleError::kUnknownVersion, 0);
    }
    fields.lead = std::string("\x02\x01\x01", 3);
    fields.lead[1] = static_cast<char>(byte);
    if (byte != 1) {
      ExpectFails(fields.Bytes(), LeaseHandleError::kUnknownVersion, 1);
    }
    fields.lead = std::string("\x02\x01\x01", 3);
    fields.lead[2] = static_cast<char>(byte);
    if (byte < 1 || byte > 3) {
      ExpectFails(fields.Bytes(), LeaseHandleError::kUnknownBackend, 2);
    }
  }
}

TEST(DecodeLeaseHandleTest, EveryTruncation) {
  const Fields fields;
  const std::string bytes = fields.Bytes();
  std::vector<std::size_t> starts = {0, 1, 2, 3};
  for (const std::string* field : {&fields.id, &fields.attempt_index, &fields.attempt_id,
                                   &fields.lease_id, &fields.epoch, &fields.ttl, &fields.lane}) {
    starts.push_back(starts.back() + field->size());
  }
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    std::size_t start = 0;
    for (const std::size_t candidate : starts) {
      start = candidate <= size ? candidate : start;
    }
    ExpectFails(bytes.substr(0, size), LeaseHandleError::kTruncated, start);
  }
}

TEST(DecodeLeaseHandleTest, TrailingBytes) {
  const std::string bytes = Fields().Bytes();
  ExpectFails(bytes + '\0', LeaseHandleError::kTrailingBytes, bytes.size());
  ExpectFails(bytes + bytes, LeaseHandleError::kTrailingBytes, bytes.size());
}

TEST(DecodeLeaseHandleTest, HugeLengths) {
  Fields fields;
  fields.id.replace(0, 4, Number(0xFFFFFFFF, 4));
  ExpectFails(fields.Bytes(), LeaseHandleError::kTruncated, 3);
}

TEST(DecodeLeaseHandleTest, BadFields) {
  Fields fields;
  fields.id = Text("{b:7}:11111111-1111-4111-8111-111111111111");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidExecutionId, 3);
  fields = {};
  fields.id = Text("");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidExecutionId, 3);
  fields = {};
  fields.attempt_id = Text("not-a-uuid");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidUuid, 3 + fields.id.size() + 4);
  fields = {};
  fields.lease_id = Text("");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidUuid,
              3 + fields.id.size() + 4 + fields.attempt_id.size());
  // The first bad field is reported.
  fields.id = Text("x");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidExecutionId, 3);
}

TEST(DecodeLeaseHandleTest, Utf8IsCheckedBeforeMeaning) {
  Fields fields;
  fields.id = Text("\xFF");
  ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidUtf8, 3);
  const std::size_t lane = 3 + Fields().id.size() + 4 + 40 + 40 + 16;
  for (const std::string_view bad :
       {"\x80", "\xC0\xAF", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82\x28", "\xC3\x28"}) {
    fields = {};
    fields.lane = Text(bad);
    ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidUtf8, lane);
    fields = {};
    fields.instance = Text(bad);
    ExpectFails(fields.Bytes(), LeaseHandleError::kInvalidUtf8, lane + 8);
  }
}

TEST(EncodeLeaseHandleTest, Bytes) {
  EXPECT_EQ(Encoded(Handle()), Fields().Bytes());
  EXPECT_EQ(Encoded(Handle()).size(), 3 + 40 + kId.size() + 36 + 36 + 4 + 5);
  LeaseHandleView handle = Handle();
  handle.backend = HandleBackend::kSqlite;
  EXPECT_EQ(Encoded(handle)[2], 3);
}

TEST(EncodeLeaseHandleTest, EmptyTexts) {
  LeaseHandleView handle = Handle();
  handle.lane_id = LaneIdView::Unchecked("");
  handle.worker_instance_id.text = "";
  Fields fields;
  fields.lane = fields.instance = Text("");
  EXPECT_EQ(Encoded(handle), fields.Bytes());
  EXPECT_EQ(DecodeLeaseHandle(fields.Bytes()).handle.lane_id.text(), "");
}

TEST(EncodeLeaseHandleTest, KeepsTheSpellingOfTheExecutionId) {
  LeaseHandleView handle = Handle();
  handle.execution_id =
      ParseExecutionId("{fp:007}:11111111111141118111111111111111", ParseMode::kLenient).id;
  EXPECT_EQ(DecodeLeaseHandle(Encoded(handle)).error, LeaseHandleError::kNone);
  const std::string bytes = Encoded(handle);
  EXPECT_EQ(DecodeLeaseHandle(bytes).handle, handle);
}

TEST(EncodeLeaseHandleTest, EveryShortBuffer) {
  const std::size_t needed = Fields().Bytes().size();
  for (std::size_t size = 0; size < needed; ++size) {
    std::vector<char> out(size, '\xEE');
    const WriteResult result = EncodeLeaseHandle(Handle(), out);
    EXPECT_EQ(result.error, WriteError::kBufferTooSmall);
    EXPECT_EQ(result.size, needed);
    EXPECT_EQ(out, std::vector<char>(size, '\xEE'));
  }
}

TEST(EncodeLeaseHandleTest, RefusesWhatNobodyCouldDecode) {
  std::vector<char> out(1024, '\xEE');
  LeaseHandleView handle = Handle();
  handle.lane_id = LaneIdView::Unchecked("\xFF");
  EXPECT_EQ(EncodeLeaseHandle(handle, out).error, WriteError::kInvalidUtf8);
  handle = Handle();
  handle.worker_instance_id.text = "\xED\xA0\x80";
  EXPECT_EQ(EncodeLeaseHandle(handle, out).error, WriteError::kInvalidUtf8);
  EXPECT_EQ(out, std::vector<char>(1024, '\xEE'));
}

// A handle that was decoded is the same after it was encoded and decoded again. No function reads
// past its input.
TEST(LeaseHandleTest, RandomEditsRoundTrip) {
  std::mt19937 random(11);
  int decoded = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string bytes = Fields().Bytes();
    bytes[random() % bytes.size()] = static_cast<char>(random());
    const std::vector<char> copy(bytes.begin(), bytes.end());
    const LeaseHandleResult result = DecodeLeaseHandle({copy.data(), copy.size()});
    if (!result) {
      ASSERT_EQ(result.handle, LeaseHandleView());
      continue;
    }
    ++decoded;
    const std::string again = Encoded(result.handle);
    ASSERT_EQ(DecodeLeaseHandle(again).handle, result.handle);
  }
  EXPECT_GT(decoded, 1000);
}

TEST(LeaseHandleErrorTest, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(LeaseHandleError::kInvalidUuid); ++i) {
    names.insert(ErrorName(static_cast<LeaseHandleError>(i)));
  }
  EXPECT_EQ(names.size(), 9u);
  EXPECT_EQ(ErrorName(LeaseHandleError::kTrailingBytes), "trailing_bytes");
}

}  // namespace
}  // namespace ffgrant
