// SPDX-License-Identifier: Apache-2.0
//
// Adds nlohmann JSON as a peer: https://json.nlohmann.me/features/parsing/
// The library runs without exceptions. There is a peer that makes a DOM, and one that uses the SAX
// interface, which the library's author advises where no DOM is needed. Both copy every text into a
// std::string.

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "bench/peers/add_peers.h"
#include "bench/peers/core_peer.h"

namespace ffgrant::bench::peers {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kNlohmannInputs = 16384;

class Dom {
 public:
  static constexpr std::string_view kImpl = "NlohmannDom";
  static constexpr std::size_t kInputsATurn = kNlohmannInputs;

  bool Read(std::string_view json, plain::GrantMembers& out) {
    document_ = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
    if (!document_.is_object()) return false;  // invalid JSON is no object either
    return Text("execution_id", out.execution_id) && Text("partition_key", out.partition_key) &&
           Text("grant_key", out.grant_key) && Number(out.expires_at_ms);
  }

 private:
  bool Text(const char* name, std::string_view& out) const {
    const auto member = document_.find(name);
    const auto* const text =
        member == document_.end() ? nullptr : member->get_ptr<const std::string*>();
    if (text == nullptr) return false;
    out = *text;
    return true;
  }
  bool Number(std::uint64_t& out) const {
    const auto member = document_.find("expires_at_ms");
    const auto* const number =
        member == document_.end() ? nullptr : member->get_ptr<const std::uint64_t*>();
    if (number == nullptr) return false;
    out = *number;
    return true;
  }

  Json document_;
};

// Keeps the grant's members as the parser hands them over.
class Handler : public Json::json_sax_t {
 public:
  bool null() override { return place_ == kUnknown; }
  bool boolean(bool) override { return place_ == kUnknown; }
  bool number_integer(number_integer_t) override { return place_ == kUnknown; }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != 3) return place_ == kUnknown;
    expires_at_ms = value;
    return true;
  }
  bool number_float(number_float_t, const string_t&) override { return place_ == kUnknown; }
  bool string(string_t& text) override {
    if (place_ > 2) return place_ == kUnknown;
    texts[place_].swap(text);
    return true;
  }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return depth_++ == 0 || place_ == kUnknown; }
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    if (name == "execution_id") {
      place_ = 0;
    } else if (name == "partition_key") {
      place_ = 1;
    } else if (name == "grant_key") {
      place_ = 2;
    } else if (name == "expires_at_ms") {
      place_ = 3;
    } else {
      place_ = kUnknown;
      return true;
    }
    ++seen_;
    return true;
  }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override { return depth_++ != 0 && place_ == kUnknown; }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception&) override {
    return false;
  }

  void Begin() {
    depth_ = seen_ = 0;
    place_ = kUnknown;
  }
  bool complete() const { return seen_ == 4; }

  std::string texts[3];
  std::uint64_t expires_at_ms = 0;

 private:
  static constexpr std::size_t kUnknown = 4;

  std::size_t place_ = kUnknown;
  int depth_ = 0;
  int seen_ = 0;
};

class Sax {
 public:
  static constexpr std::string_view kImpl = "NlohmannSax";
  static constexpr std::size_t kInputsATurn = kNlohmannInputs;

  bool Read(std::string_view json, plain::GrantMembers& out) {
    handler_.Begin();
    if (!Json::sax_parse(json.begin(), json.end(), &handler_) || !handler_.complete()) return false;
    out = {handler_.texts[0], handler_.texts[1], handler_.texts[2], handler_.expires_at_ms};
    return true;
  }

 private:
  Handler handler_;
};

// An ordered_json keeps the members in the wire's order. The object is made once, and its values
// are assigned.
class JsonWriter {
 public:
  static constexpr std::string_view kImpl = "Nlohmann";

  std::string_view Write(const plain::GrantMembers& grant) {
    Text(0) = grant.execution_id;
    Text(1) = grant.partition_key;
    Text(2) = grant.grant_key;
    *number_ = grant.expires_at_ms;
    json_ = document_.dump();
    return json_;
  }

 private:
  std::string& Text(std::size_t place) { return *texts_[place]; }

  nlohmann::ordered_json document_ = {{"execution_id", std::string()},
                                      {"partition_key", std::string()},
                                      {"grant_key", std::string()},
                                      {"expires_at_ms", std::uint64_t{0}}};
  std::string* texts_[3] = {document_["execution_id"].get_ptr<std::string*>(),
                            document_["partition_key"].get_ptr<std::string*>(),
                            document_["grant_key"].get_ptr<std::string*>()};
  std::uint64_t* number_ = document_["expires_at_ms"].get_ptr<std::uint64_t*>();
  std::string json_;
};

#define FFGRANT_TEXT_OF(x) #x
#define FFGRANT_VERSION_TEXT(a, b, c) \
  FFGRANT_TEXT_OF(a) "." FFGRANT_TEXT_OF(b) "." FFGRANT_TEXT_OF(c)

}  // namespace

void AddNlohmannPeers(Registry& registry) {
  registry.AddVersion("nlohmann JSON",
                      FFGRANT_VERSION_TEXT(NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                           NLOHMANN_JSON_VERSION_PATCH));
  AddGrantReader<Dom>(registry);
  AddGrantReader<Sax>(registry);
  AddGrantWriter<JsonWriter>(registry);
}

}  // namespace ffgrant::bench::peers
