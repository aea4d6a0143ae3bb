// SPDX-License-Identifier: Apache-2.0
//
// Adds RapidJSON as a peer: https://rapidjson.org/md_doc_performance.html
// The library runs with its SSE4.2 code, and in situ, as its authors advise. In-situ parsing
// destroys what it reads, so it works on a copy of the input, and the copying is timed too. The
// buffer for the copy, the memory pools, the stack and the output buffer are kept between calls.
// There is a DOM peer, and a SAX peer with a handler for the four members.

#include <rapidjson/document.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"

namespace ffgrant::bench::peers {
namespace {

using Pool = rapidjson::MemoryPoolAllocator<>;
using Document = rapidjson::GenericDocument<rapidjson::UTF8<>, Pool, Pool>;

constexpr std::size_t kDocumentSize = 1024;

// The buffer in which in-situ parsing works.
class Buffer {
 public:
  char* Fill(std::string_view json) {
    if (json.size() >= bytes_.size()) return nullptr;
    std::memcpy(bytes_.data(), json.data(), json.size());
    bytes_[json.size()] = '\0';
    return bytes_.data();
  }

 private:
  std::array<char, kDocumentSize> bytes_;
};

class InSitu {
 public:
  static constexpr std::string_view kImpl = "RapidjsonDom";

  bool Read(std::string_view json, plain::GrantMembers& out) {
    char* const text = buffer_.Fill(json);
    if (text == nullptr) return false;
    values_.Clear();
    stack_.Clear();
    Document document(&values_, kDocumentSize, &stack_);
    document.ParseInsitu(text);
    if (document.HasParseError() || !document.IsObject()) return false;
    return Text(document, "execution_id", out.execution_id) &&
           Text(document, "partition_key", out.partition_key) &&
           Text(document, "grant_key", out.grant_key) && Number(document, out.expires_at_ms);
  }

 private:
  static bool Text(const Document& document, const char* name, std::string_view& out) {
    const auto member = document.FindMember(name);
    if (member == document.MemberEnd() || !member->value.IsString()) return false;
    out = {member->value.GetString(), member->value.GetStringLength()};
    return true;
  }
  static bool Number(const Document& document, std::uint64_t& out) {
    const auto member = document.FindMember("expires_at_ms");
    if (member == document.MemberEnd() || !member->value.IsUint64()) return false;
    out = member->value.GetUint64();
    return true;
  }

  Buffer buffer_;
  std::array<char, 4096> value_memory_;
  std::array<char, 4096> stack_memory_;
  Pool values_{value_memory_.data(), value_memory_.size()};
  Pool stack_{stack_memory_.data(), stack_memory_.size()};
};

// Takes the four members of one object and skips all others.
class Handler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Handler> {
 public:
  explicit Handler(plain::GrantMembers& out) : out_(out) {}

  bool Default() { return IsUnknown(); }
  bool StartObject() { return depth_++ == 0 || IsUnknown(); }
  bool EndObject(rapidjson::SizeType) {
    --depth_;
    return true;
  }
  bool StartArray() { return depth_++ != 0 && IsUnknown(); }
  bool EndArray(rapidjson::SizeType) {
    --depth_;
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (depth_ != 1) return true;
    const std::string_view name(text, size);
    text_ = nullptr;
    number_ = nullptr;
    if (name == "execution_id") {
      text_ = &out_.execution_id;
    } else if (name == "partition_key") {
      text_ = &out_.partition_key;
    } else if (name == "grant_key") {
      text_ = &out_.grant_key;
    } else if (name == "expires_at_ms") {
      number_ = &out_.expires_at_ms;
    } else {
      return true;
    }
    ++seen_;
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (text_ == nullptr) return IsUnknown();
    *text_ = {text, size};
    return true;
  }
  bool Uint(unsigned value) { return Uint64(value); }
  bool Uint64(std::uint64_t value) {
    if (number_ == nullptr) return IsUnknown();
    *number_ = value;
    return true;
  }
  bool complete() const { return seen_ == 4; }

 private:
  bool IsUnknown() const { return text_ == nullptr && number_ == nullptr; }

  plain::GrantMembers& out_;
  std::string_view* text_ = nullptr;
  std::uint64_t* number_ = nullptr;
  int depth_ = 0;
  int seen_ = 0;
};

class Sax {
 public:
  static constexpr std::string_view kImpl = "RapidjsonSax";

  bool Read(std::string_view json, plain::GrantMembers& out) {
    char* const text = buffer_.Fill(json);
    if (text == nullptr) return false;
    rapidjson::InsituStringStream stream(text);
    Handler handler(out);
    return reader_.Parse<rapidjson::kParseInsituFlag>(stream, handler) && handler.complete();
  }

 private:
  Buffer buffer_;
  rapidjson::Reader reader_;
};

class JsonWriter {
 public:
  static constexpr std::string_view kImpl = "Rapidjson";

  std::string_view Write(const plain::GrantMembers& grant) {
    buffer_.Clear();
    writer_.Reset(buffer_);
    writer_.StartObject();
    Member("execution_id", grant.execution_id);
    Member("partition_key", grant.partition_key);
    Member("grant_key", grant.grant_key);
    Name("expires_at_ms");
    writer_.Uint64(grant.expires_at_ms);
    writer_.EndObject();
    return {buffer_.GetString(), buffer_.GetSize()};
  }

 private:
  void Name(std::string_view name) {
    writer_.Key(name.data(), static_cast<rapidjson::SizeType>(name.size()));
  }
  void Member(std::string_view name, std::string_view text) {
    Name(name);
    writer_.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
  }

  rapidjson::StringBuffer buffer_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_;
};

}  // namespace

void AddRapidjsonPeers(Registry& registry) {
  registry.AddVersion("RapidJSON", RAPIDJSON_VERSION_STRING);
  AddGrantReader<InSitu>(registry);
  AddGrantReader<Sax>(registry);
  AddGrantWriter<JsonWriter>(registry);
}

}  // namespace ffgrant::bench::peers
