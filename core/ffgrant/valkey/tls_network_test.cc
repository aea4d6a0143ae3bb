// SPDX-License-Identifier: Apache-2.0
//
// Tests TLS with a server in the same process, so that the test decides what one read brings. The
// live tests check the handshake with real servers.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/tls_options.h"
#include "testing/live/tls_credentials.h"
#include "testing/simulation/scripted_rig.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::testing {
namespace {

using ffgrant::testing::Credential;
using ffgrant::testing::MakeCredential;
using ffgrant::testing::MakeServerContext;
using ffgrant::testing::Owned;
using ffgrant::testing::Wanted;

// The server's end of a connection.
class Peer {
 public:
  explicit Peer(SSL_CTX* context) : ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
  }
  // Takes what the client has sent. The client must not find the server's OpenSSL errors among its
  // own.
  void Take(std::string_view bytes) {
    ERR_set_mark();
    (void)BIO_write(SSL_get_rbio(ssl_.get()), bytes.data(), static_cast<int>(bytes.size()));
    std::array<char, 4096> text;
    for (int size = 0; (size = SSL_read(ssl_.get(), text.data(), text.size())) > 0;) {
      heard.append(text.data(), static_cast<std::size_t>(size));
    }
    ERR_pop_to_mark();
    Send();
  }
  void Say(std::string_view text) {
    (void)SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    Send();
  }
  // Ends TLS, and leaves the connection below open.
  void EndTls() {
    (void)SSL_shutdown(ssl_.get());
    Send();
    ended = true;
  }
  // Closes the connection below.
  void Close() { ended = closed = true; }

  std::string heard;
  std::string sent;  // what the client has not read yet
  bool ended = false;
  bool closed = false;

 private:
  void Send() {
    std::array<char, 4096> bytes;
    for (int size = 0;
         (size = BIO_read(SSL_get_wbio(ssl_.get()), bytes.data(), bytes.size())) > 0;) {
      sent.append(bytes.data(), static_cast<std::size_t>(size));
    }
  }

  const Owned<SSL> ssl_;
};

// A network below TLS. Whatever the client writes reaches the peer at once.
class PeerNetwork final : public Network {
 public:
  using Heard = std::function<void(Peer& peer, std::int64_t connection)>;

  // `heard` is called when the client has written.
  explicit PeerNetwork(Heard heard = {}, Owned<SSL_CTX> context = MakeServerContext())
      : heard_(std::move(heard)), context_(std::move(context)) {}

  std::unique_ptr<Stream> NewStream() override { return std::make_unique<PeerStream>(*this); }
  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override {
    waited_for.assign(interests.begin(), interests.end());
    bool any = false;
    for (const auto& peer : peers_) any |= !peer->sent.empty() || peer->closed;
    now_ += any ? 1 : timeout_ms;
  }
  int Descriptor() noexcept override { return 17; }
  std::int64_t Arm(std::span<const StreamInterest> interests,
                   std::int64_t timeout_ms) noexcept override {
    waited_for.assign(interests.begin(), interests.end());
    return timeout_ms - 1;
  }
  void Wake() noexcept override { ++wakes; }
  std::int64_t NowMs() noexcept override { return now_; }
  std::uint64_t Random() noexcept override { return ++random_; }

  std::size_t connections() const { return peers_.size(); }
  Peer& last() { return *peers_.back(); }

  // How the next operations of a stream end; with kDone they work. Open() and FinishOpen() both use
  // `opens`.
  std::deque<IoStatus> opens;
  std::deque<IoStatus> reads;
  std::deque<IoStatus> writes;
  // If set, the peer sends this text once the client has written, and reads nothing.
  std::optional<std::string> bare_answer;
  std::vector<StreamInterest> waited_for;  // what the last Wait() or Arm() was given
  std::int64_t open_limit_ms = 0;          // what the last SetOpenLimit() was given
  int wakes = 0;

 private:
  static IoStatus Next(std::deque<IoStatus>& planned) {
    if (planned.empty()) return IoStatus::kDone;
    const IoStatus status = planned.front();
    planned.pop_front();
    return status;
  }

  class PeerStream final : public Stream {
   public:
    explicit PeerStream(PeerNetwork& network) : network_(network) {}
    IoStatus Open(const Endpoint&) noexcept override {
      network_.peers_.push_back(std::make_unique<Peer>(network_.context_.get()));
      peer_ = network_.peers_.back().get();
      return Next(network_.opens);
    }
    IoStatus FinishOpen() noexcept override { return Next(network_.opens); }
    void SetOpenLimit(std::int64_t limit_ms) noexcept override {
      network_.open_limit_ms = limit_ms;
    }
    std::string_view WhyNotOpen() const noexcept override { return "words of the stream below"; }
    IoResult Read(std::span<char> into) noexcept override {
      if (const IoStatus status = Next(network_.reads); status != IoStatus::kDone) {
        return {status, 0};
      }
      std::string& bytes = peer_->sent;
      if (bytes.empty()) return {peer_->closed ? IoStatus::kClosed : IoStatus::kWouldBlock, 0};
      const std::size_t size = bytes.copy(into.data(), into.size());
      bytes.erase(0, size);
      return {IoStatus::kDone, size};
    }
    IoResult Write(std::string_view bytes) noexcept override {
      if (const IoStatus status = Next(network_.writes); status != IoStatus::kDone) {
        return {status, 0};
      }
      if (peer_->closed) return {IoStatus::kFailed, 0};
      if (network_.bare_answer) {
        peer_->sent += std::exchange(*network_.bare_answer, "");
        return {IoStatus::kDone, bytes.size()};
      }
      peer_->Take(bytes);
      if (network_.heard_) {
        network_.heard_(*peer_, static_cast<std::int64_t>(network_.connections()));
      }
      return {IoStatus::kDone, bytes.size()};
    }
    void Close() noexcept override {}

   private:
    PeerNetwork& network_;
    Peer* peer_ = nullptr;
  };

  const Heard heard_;
  const Owned<SSL_CTX> context_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::int64_t now_ = 1'000'000;
  std::uint64_t random_ = 0;
};

// Options of a client that takes any certificate.
TlsOptions Trusting() {
  TlsOptions options;
  options.enabled = true;
  options.verify = false;
  return options;
}

// Returns the text that one Read() brings.
std::string ReadText(Stream& stream, IoStatus& status) {
  std::array<char, 256> into;
  const IoResult result = stream.Read(into);
  status = result.status;
  return {into.data(), result.size};
}

// A stream of TLS over a network of peers.
class TlsClient {
 public:
  explicit TlsClient(const TlsOptions& options, Owned<SSL_CTX> context = MakeServerContext()) {
    auto inner = std::make_unique<PeerNetwork>(PeerNetwork::Heard(), std::move(context));
    below = inner.get();
    network = MakeTlsNetwork(std::move(inner), options);
    stream = network->NewStream();
  }
  // Opens the stream, and waits until it is open or has failed.
  IoStatus Open(const std::string& host = "db.test") {
    IoStatus status = stream->Open({host, 1});
    for (int i = 0; i < 10 && status == IoStatus::kWouldBlock; ++i) status = stream->FinishOpen();
    return status;
  }
  // Returns what the network below is told to wait for.
  StreamInterest Interest(bool or_writable) {
    const StreamInterest interest = {stream.get(), or_writable};
    network->Wait({&interest, 1}, 1);
    const std::vector<StreamInterest> waited_for = below->waited_for;
    EXPECT_EQ(network->Arm({&interest, 1}, 5000), 4999);
    EXPECT_EQ(waited_for.size(), 1u);
    EXPECT_EQ(below->waited_for.size(), 1u);
    EXPECT_EQ(below->waited_for[0].stream, waited_for[0].stream);
    EXPECT_EQ(below->waited_for[0].or_writable, waited_for[0].or_writable);
    EXPECT_NE(waited_for[0].stream, stream.get());
    return waited_for[0];
  }

  PeerNetwork* below = nullptr;
  std::unique_ptr<Network> network;
  std::unique_ptr<Stream> stream;
};

// Keeps certificates and keys in files.
class TlsFiles : public ::testing::Test {
 protected:
  TlsFiles() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
  ~TlsFiles() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  template <class Write>
  std::string File(const std::string& name, const Write& write) const {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(Path(name).c_str(), "w"),
                                                               &std::fclose);
    EXPECT_EQ(write(file.get()), 1) << name;
    return Path(name);
  }
  // Writes the certificate, and the certificates of `chain` behind it, into a file.
  std::string CertificateFile(const std::string& name, const Credential& credential,
                              const std::vector<const Credential*>& chain = {}) const {
    return File(name, [&](std::FILE* file) {
      int written = PEM_write_X509(file, credential.certificate.get());
      for (const Credential* const other : chain) {
        written &= PEM_write_X509(file, other->certificate.get());
      }
      return written;
    });
  }
  std::string KeyFile(const std::string& name, const Credential& credential,
                      const char* passphrase = nullptr) const {
    return File(name, [&](std::FILE* file) {
      const EVP_CIPHER* const cipher = passphrase == nullptr ? nullptr : EVP_aes_128_cbc();
      return PEM_write_PKCS8PrivateKey(file, credential.key.get(), cipher, nullptr, 0, nullptr,
                                       const_cast<char*>(passphrase));
    });
  }

 private:
  std::string folder_ = "/tmp/ffgrant-tls-XXXXXX";
};

// ---- certificates ------------------------------------------------------------------

TEST_F(TlsFiles, AServersCertificateIsForItsNameAndOfAKnownAuthority) {
  const Credential root = MakeCredential({.is_authority = true});
  const Credential middle = MakeCredential({.is_authority = true}, &root);
  const Credential late = MakeCredential({.until_s = -60, .is_authority = true}, &root);
  const Credential stranger = MakeCredential({.is_authority = true});
  const std::string known = CertificateFile("root.pem", root);
  const std::string half_known = CertificateFile("middle.pem", middle);
  const char* const kOurs = "DNS:db.test";
  const std::string kUnknown = "the server's certificate is of an authority that is not known here";
  const struct {
    std::string what;
    Wanted wanted;
    const Credential* issuer;
    std::vector<const Credential*> chain;
    std::string why;  // empty: the server is believed
    std::string host = "db.test";
    std::string server_name = "";
    const std::string* ca_file = nullptr;
  } kCases[] = {
      {"all is right", {kOurs}, &root, {}, ""},
      {"a chain", {kOurs}, &middle, {&middle}, ""},
      {"another name", {kOurs}, &root, {}, "the server's certificate is not for a.test", "a.test"},
      {"the name that is wanted", {kOurs}, &root, {}, "", "a.test", "db.test"},
      {"not the name that is wanted",
       {kOurs},
       &root,
       {},
       "the server's certificate is not for a.test",
       "db.test",
       "a.test"},
      {"no name", {}, &root, {}, "the server's certificate is not for db.test"},
      {"any name of a domain", {"DNS:*.db.test"}, &root, {}, "", "a.db.test"},
      {"a part of a name",
       {"DNS:d*.test"},
       &root,
       {},
       "the server's certificate is not for db.test"},
      {"an address", {"IP:10.0.0.1"}, &root, {}, "", "10.0.0.1"},
      {"another address",
       {"IP:10.0.0.1"},
       &root,
       {},
       "the server's certificate is not for 10.0.0.2",
       "10.0.0.2"},
      {"an address of six", {"IP:::1"}, &root, {}, "", "::1"},
      {"another address of six",
       {"IP:::1"},
       &root,
       {},
       "the server's certificate is not for ::2",
       "::2"},
      {"an address in a zone", {"IP:fe80::1"}, &root, {}, "", "fe80::1%eth0"},
      {"a name that looks like an address",
       {"DNS:10.0.0.1"},
       &root,
       {},
       "the server's certificate is not for 10.0.0.1",
       "10.0.0.1"},
      {"too late", {kOurs, -3600, -60}, &root, {}, "the server's certificate has expired"},
      {"too early", {kOurs, 60, 3600}, &root, {}, "the server's certificate is not valid yet"},
      {"an authority that is too late",
       {kOurs},
       &late,
       {&late},
       "a certificate in the server's chain has expired"},
      {"nobody else's", {kOurs}, nullptr, {}, "the server's certificate is self-signed"},
      {"a stranger's", {kOurs}, &stranger, {}, kUnknown},
      {"a stranger's with the stranger", {kOurs}, &stranger, {&stranger}, kUnknown},
      {"an authority between that is not shown", {kOurs}, &middle, {}, kUnknown},
      {"an authority without its own", {kOurs}, &middle, {}, kUnknown, "db.test", "", &half_known},
      {"a client's",
       {.names = kOurs, .purpose = "clientAuth"},
       &root,
       {},
       "the server's certificate: " +
           std::string(X509_verify_cert_error_string(X509_V_ERR_INVALID_PURPOSE))},
  };
  for (const auto& c : kCases) {
    const Credential own = MakeCredential(c.wanted, c.issuer);
    for (const bool verify : {true, false}) {
      TlsOptions options;
      options.enabled = true;
      options.ca_file = c.ca_file == nullptr ? known : *c.ca_file;
      options.server_name = c.server_name;
      options.verify = verify;
      TlsClient client(options, MakeServerContext(own, c.chain));
      const bool is_believed = c.why.empty() || !verify;
      EXPECT_EQ(client.Open(c.host), is_believed ? IoStatus::kDone : IoStatus::kRefused) << c.what;
      EXPECT_EQ(client.stream->WhyNotOpen(), is_believed ? "words of the stream below" : c.why)
          << c.what;
      EXPECT_EQ(client.stream->FinishOpen(), is_believed ? IoStatus::kDone : IoStatus::kFailed);
    }
  }
}

// The client reports the server's refusal as such, although it does not look at the server's
// certificate.
TEST_F(TlsFiles, AServerThatWantsACertificateSaysSo) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Owned<SSL_CTX> context = MakeServerContext();
    (void)SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    TlsClient client(Trusting(), std::move(context));
    IoStatus status = client.Open();
    if (version == TLS1_3_VERSION) {
      // The client has finished its part before the server looks for the certificate.
      EXPECT_EQ(status, IoStatus::kDone);
      EXPECT_EQ(ReadText(*client.stream, status), "");
      EXPECT_EQ(client.stream->WhyNotOpen(), "the server wants a client certificate");
    } else {
      EXPECT_EQ(client.stream->WhyNotOpen(),
                "the server refused the handshake; it may want a client certificate");
    }
    EXPECT_EQ(status, IoStatus::kRefused);
  }
}

// The server knows only the root, so the client has to send the certificates between the root and
// its own certificate (tls_options.h).
TEST_F(TlsFiles, AClientsCertificateGoesOutWithItsChain) {
  const Credential root = MakeCredential({.is_authority = true});
  const Credential middle = MakeCredential({.is_authority = true}, &root);
  const struct {
    std::string what;
    const Credential* issuer;
    std::vector<const Credential*> chain;
    bool is_believed;
  } kCases[] = {{"of the root", &root, {}, true},
                {"with its chain", &middle, {&middle}, true},
                {"with its chain and the root", &middle, {&middle, &root}, true},
                {"without its chain", &middle, {}, false},
                {"of a stranger", nullptr, {}, false}};
  for (const auto& c : kCases) {
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      Owned<SSL_CTX> context = MakeServerContext();
      (void)SSL_CTX_set_max_proto_version(context.get(), version);
      SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      EXPECT_EQ(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.certificate.get()),
                1);
      const Credential own = MakeCredential({}, c.issuer);
      TlsOptions options = Trusting();
      options.certificate_file = CertificateFile("client.pem", own, c.chain);
      options.key_file = KeyFile("client.key", own);
      TlsClient client(options, std::move(context));
      // With TLS 1.3 the client has finished its part before the server looks at the certificate.
      if (client.Open() == IoStatus::kDone) (void)client.stream->Write("question");
      EXPECT_EQ(client.below->last().heard, c.is_believed ? "question" : "") << c.what;
    }
  }
}

TEST_F(TlsFiles, ThatAreOfNoUseAreRefused) {
  const Credential own = MakeCredential();
  const Credential other = MakeCredential();
  const std::string certificate = CertificateFile("own.pem", own);
  const std::string key = KeyFile("own.key", own);
  const std::string locked = KeyFile("locked.key", own, "passphrase");
  const std::string others = KeyFile("other.key", other);
  const std::string none = Path("none.pem");
  const struct {
    TlsOptions options;
    std::string why;  // how the text of the problem begins; empty: there is no problem
  } kCases[] = {
      {{}, ""},
      {{.ca_file = certificate}, ""},
      {{.certificate_file = certificate, .key_file = key}, ""},
      {{.ca_file = none}, "ca_file " + none + ": "},
      {{.ca_file = key}, "ca_file " + key + ": "},
      {{.ca_file = none, .verify = false}, ""},
      {{.certificate_file = certificate}, "certificate_file and key_file go together"},
      {{.key_file = key}, "certificate_file and key_file go together"},
      {{.certificate_file = none, .key_file = key}, "certificate_file " + none + ": "},
      {{.certificate_file = key, .key_file = key}, "certificate_file " + key + ": "},
      {{.certificate_file = certificate, .key_file = none}, "key_file " + none + ": "},
      {{.certificate_file = certificate, .key_file = others}, "key_file " + others + ": "},
      {{.certificate_file = certificate, .key_file = locked}, "key_file " + locked + ": "},
  };
  for (const auto& c : kCases) {
    std::string problem;
    TlsOptions options = c.options;
    // Reading the system's authorities takes a while, so the refused options name a file.
    if (options.ca_file.empty() && !c.why.empty()) options.ca_file = certificate;
    try {
      (void)MakeTlsNetwork(std::make_unique<PeerNetwork>(), options);
    } catch (const std::invalid_argument& error) {
      problem = error.what();
    }
    EXPECT_EQ(problem.empty(), c.why.empty()) << problem;
    if (c.why.empty()) continue;
    EXPECT_TRUE(problem.starts_with("ffgrant: TLS: " + c.why)) << problem;
    EXPECT_FALSE(problem.ends_with(": ")) << problem;
    EXPECT_FALSE(problem.ends_with("no reason given")) << problem;
  }
}

// ---- how a handshake ends ----------------------------------------------------------

// Returns an alert in the clear, as a server sends it before it has agreed on keys.
std::string Alert(bool is_fatal, int description) {
  std::string bytes("\x15\x03\x03\0\x02", 5);
  bytes += is_fatal ? '\x02' : '\x01';
  bytes += static_cast<char>(description);
  return bytes;
}

TEST_F(TlsFiles, WhatAServerSaysInPlaceOfAHandshakeHasItsWords) {
  const Credential own = MakeCredential();
  const std::string certificate = CertificateFile("own.pem", own);
  const std::string key = KeyFile("own.key", own);
  constexpr IoStatus kRefused = IoStatus::kRefused;
  constexpr IoStatus kFailed = IoStatus::kFailed;
  const std::string kEnded = "the server ended the TLS connection: ";
  const std::string kOurs = "the server refused the client certificate: ";
  const struct {
    std::string answer;
    IoStatus status;
    std::string why;
    std::string with_certificate = "";  // why, with a client certificate; empty: as `why`
  } kCases[] = {
      {Alert(true, 116), kRefused, "the server wants a client certificate"},
      {Alert(true, 40), kRefused,
       "the server refused the handshake; it may want a client certificate",
       kEnded + "handshake failure"},
      {Alert(true, 42), kRefused, kOurs + "bad certificate"},
      {Alert(true, 43), kRefused, kOurs + "unsupported certificate"},
      {Alert(true, 44), kRefused, kOurs + "certificate revoked"},
      {Alert(true, 45), kRefused, kOurs + "certificate expired"},
      {Alert(true, 46), kRefused, kOurs + "certificate unknown"},
      {Alert(true, 48), kRefused, kOurs + "unknown CA"},
      {Alert(true, 49), kRefused, kEnded + "access denied"},
      {Alert(true, 70), kRefused, kEnded + "protocol version"},
      {Alert(true, 71), kRefused, kEnded + "insufficient security"},
      {Alert(true, 112), kRefused, kEnded + "unrecognized name"},
      // These say nothing of the next connection.
      {Alert(true, 10), kFailed, kEnded + "unexpected_message"},
      {Alert(true, 20), kFailed, kEnded + "bad record mac"},
      {Alert(true, 22), kFailed, kEnded + "record overflow"},
      {Alert(true, 47), kFailed, kEnded + "illegal parameter"},
      {Alert(true, 50), kFailed, kEnded + "decode error"},
      {Alert(true, 51), kFailed, kEnded + "decrypt error"},
      {Alert(true, 80), kFailed, kEnded + "internal error"},
      {Alert(true, 90), kFailed, kEnded + "user canceled"},
      {Alert(true, 100), kFailed, kEnded + "no renegotiation"},
      {"-ERR unknown command\r\n", kRefused, "the server does not speak TLS"},
      {"HTTP/1.1 400 Bad Request\r\n", kRefused, "the server does not speak TLS"},
      // A record that holds a ServerHello of no bytes.
      {std::string("\x16\x03\x03\0\x04\x02\0\0\0", 9), kFailed, "the TLS handshake failed: *"},
  };
  for (const auto& c : kCases) {
    for (const bool has_certificate : {false, true}) {
      TlsOptions options;
      options.ca_file = certificate;
      if (has_certificate) {
        options.certificate_file = certificate;
        options.key_file = key;
      }
      TlsClient client(options);
      client.below->bare_answer = c.answer;
      EXPECT_EQ(client.Open(), c.status) << c.why;
      std::string_view why =
          has_certificate && !c.with_certificate.empty() ? c.with_certificate : c.why;
      if (why.ends_with('*')) {
        why.remove_suffix(1);
        EXPECT_TRUE(client.stream->WhyNotOpen().starts_with(why)) << client.stream->WhyNotOpen();
        EXPECT_GT(client.stream->WhyNotOpen().size(), why.size());
      } else {
        EXPECT_EQ(client.stream->WhyNotOpen(), why);
      }
      EXPECT_EQ(client.stream->FinishOpen(), IoStatus::kFailed);
      EXPECT_EQ(client.stream->Write("x").status, IoStatus::kFailed);
    }
  }
}

TEST(TlsStream, AHandshakeEndsWithTheConnection) {
  const std::string kBroke = "the connection broke in the TLS handshake";
  const std::string kClosed = "the server closed the connection in the TLS handshake";
  const struct {
    std::deque<IoStatus> reads;
    std::deque<IoStatus> writes;
    std::string why;
  } kCases[] = {
      {{IoStatus::kFailed}, {}, kBroke},
      {{IoStatus::kRefused}, {}, kBroke},
      {{IoStatus::kWouldBlock, IoStatus::kFailed}, {}, kBroke},
      {{IoStatus::kClosed}, {}, kClosed},
      {{IoStatus::kInterrupted, IoStatus::kClosed}, {}, kClosed},
      {{}, {IoStatus::kFailed}, kBroke},
      {{}, {IoStatus::kWouldBlock, IoStatus::kFailed}, kBroke},
  };
  for (const auto& c : kCases) {
    TlsClient client(Trusting());
    client.below->reads = c.reads;
    client.below->writes = c.writes;
    EXPECT_EQ(client.Open(), IoStatus::kFailed);
    EXPECT_EQ(client.stream->WhyNotOpen(), c.why);
    // The failure does not affect the next connection.
    client.below->reads.clear();
    client.below->writes.clear();
    EXPECT_EQ(client.Open(), IoStatus::kDone);
  }
}

TEST(TlsStream, AConnectionThatFailsIsNoMatterOfTls) {
  for (const IoStatus end : {IoStatus::kFailed, IoStatus::kRefused}) {
    for (const bool at_once : {true, false}) {
      TlsClient client(Trusting());
      if (!at_once) client.below->opens = {IoStatus::kWouldBlock, IoStatus::kWouldBlock};
      client.below->opens.push_back(end);
      EXPECT_EQ(client.Open(), end);
      EXPECT_EQ(client.stream->WhyNotOpen(), "words of the stream below");
      EXPECT_EQ(client.stream->FinishOpen(), IoStatus::kFailed);
      EXPECT_EQ(client.below->last().sent, "");
      EXPECT_EQ(client.Open(), IoStatus::kDone);
    }
  }
}

// If no name at all were checked, anybody's certificate would do.
TEST(TlsStream, WithoutANameToCheckTlsDoesNotBegin) {
  for (const bool verify : {true, false}) {
    TlsOptions options = Trusting();
    options.verify = verify;
    for (const std::string host : {"", "%eth0"}) {
      TlsClient client(options);
      EXPECT_EQ(client.Open(host), IoStatus::kFailed);
      EXPECT_TRUE(client.stream->WhyNotOpen().starts_with("TLS can't begin: "));
    }
    TlsClient client(options);
    EXPECT_EQ(client.Open(std::string(256, 'x')), IoStatus::kFailed);
    EXPECT_TRUE(client.stream->WhyNotOpen().starts_with("TLS can't begin: "));
  }
  TlsOptions options;
  options.server_name = std::string("db.test\0.elsewhere", 18);
  TlsClient client(options);
  EXPECT_EQ(client.Open(), IoStatus::kFailed);
  EXPECT_TRUE(client.stream->WhyNotOpen().starts_with("TLS can't begin: "))
      << client.stream->WhyNotOpen();
}

// ---- what a stream waits for -------------------------------------------------------

TEST(TlsStream, WaitsForWhatTheHandshakeNeeds) {
  TlsClient client(Trusting());
  Stream& stream = *client.stream;
  char byte = 0;
  EXPECT_EQ(stream.FinishOpen(), IoStatus::kFailed);
  EXPECT_EQ(stream.Read({&byte, 1}).status, IoStatus::kFailed);
  EXPECT_EQ(stream.Write("x").status, IoStatus::kFailed);

  client.below->opens = {IoStatus::kWouldBlock, IoStatus::kWouldBlock};
  EXPECT_EQ(stream.Open({"db.test", 1}), IoStatus::kWouldBlock);
  EXPECT_EQ(stream.WhyNotOpen(), "words of the stream below");
  EXPECT_TRUE(client.Interest(false).or_writable) << "it is written to once it has connected";
  EXPECT_EQ(stream.FinishOpen(), IoStatus::kWouldBlock);
  client.below->writes = {IoStatus::kWouldBlock, IoStatus::kInterrupted};
  client.below->reads = {IoStatus::kWouldBlock, IoStatus::kInterrupted};
  for (const bool or_writable : {true, true, false, false}) {
    EXPECT_EQ(stream.FinishOpen(), IoStatus::kWouldBlock);
    EXPECT_EQ(client.Interest(false).or_writable, or_writable);
    EXPECT_EQ(stream.WhyNotOpen(), "no answer to the TLS handshake; the server may not speak TLS");
    EXPECT_EQ(stream.Read({&byte, 1}).status, IoStatus::kFailed);
    EXPECT_EQ(stream.Write("x").status, IoStatus::kFailed);
  }
  EXPECT_EQ(stream.FinishOpen(), IoStatus::kDone);
  EXPECT_EQ(stream.FinishOpen(), IoStatus::kDone);
  EXPECT_TRUE(client.Interest(true).or_writable);
  EXPECT_FALSE(client.Interest(false).or_writable);
}

// Before the client tries again, it may have moved its bytes elsewhere, and may have added more.
TEST(TlsStream, WritesARecordOnceHoweverOftenItHasToTry) {
  for (const std::string added : {"", " and more"}) {
    SCOPED_TRACE(added);
    TlsClient client(Trusting());
    Stream& stream = *client.stream;
    ASSERT_EQ(client.Open(), IoStatus::kDone);
    Peer& peer = client.below->last();
    EXPECT_EQ(stream.Write("").status, IoStatus::kWouldBlock);
    client.below->writes = {IoStatus::kWouldBlock, IoStatus::kInterrupted, IoStatus::kWouldBlock};
    std::deque<std::string> texts = {"question"};  // each stays where it is
    for (int i = 0; i < 3; ++i) {
      const IoResult result = stream.Write(texts.back());
      EXPECT_EQ(result.status, IoStatus::kWouldBlock);
      EXPECT_EQ(result.size, 0u);
      EXPECT_EQ(peer.heard, "");
      texts.push_back(texts.back() + added);
    }
    const IoResult result = stream.Write(texts.back());
    EXPECT_EQ(result.status, IoStatus::kDone) << stream.WhyNotOpen();
    EXPECT_GE(result.size, texts.front().size());
    EXPECT_EQ(peer.heard, texts.back().substr(0, result.size));
    const std::string heard = peer.heard;
    client.below->writes = {IoStatus::kFailed};
    EXPECT_EQ(stream.Write("more").status, IoStatus::kFailed);
    EXPECT_EQ(peer.heard, heard);
  }
}

// The first of the calls finds no room. Until there is room, many more are made, so that the bytes
// of the first one are moved to a larger buffer.
TEST(TlsStream, CallsThatAreMadeWhileThereIsNoRoomGoOutOnTheSameConnection) {
  constexpr std::uint64_t kCalls = 200;
  ScriptedServer server;
  PeerNetwork* network = nullptr;
  ClientOptions options;
  options.tls = Trusting();
  options.make_network = [&] {
    auto made = std::make_unique<PeerNetwork>([&](Peer& peer, std::int64_t connection) {
      for (const Words& command : TakeCommands(peer.heard)) {
        std::set<std::int64_t> killed;
        peer.Say(server.Execute(connection, command, network->NowMs(), killed));
      }
    });
    network = made.get();
    return made;
  };
  ClaimPipeline pipeline(options);
  std::map<std::uint64_t, ClaimError> ends;
  const auto poll = [&](std::int64_t timeout_ms) {
    for (const auto& done : pipeline.Poll(timeout_ms)) ends[done.tag] = done.error;
  };
  for (std::uint64_t number = 0; number < kCalls; ++number) {
    const ScriptedRig::Way way(number);
    ASSERT_TRUE(pipeline.SubmitCreate(
        {.execution_id = way.execution.view(), .lane = ParseLaneId("main").lane}, {}, number));
    if (number == 0) {
      while (ends.empty()) poll(50);
      network->writes.assign(1000, IoStatus::kWouldBlock);
    }
    if (number == 1) poll(0);
  }
  EXPECT_EQ(ends.size(), 1u) << "there was room";
  EXPECT_LT(network->writes.size(), 1000u) << "nothing was tried";
  network->writes.clear();
  for (int i = 0; i < 1000 && pipeline.in_flight() > 0; ++i) poll(50);
  EXPECT_EQ(ends.size(), kCalls);
  for (const auto& [number, error] : ends) EXPECT_EQ(error, ClaimError::kNone) << number;
  EXPECT_EQ(network->connections(), 1u) << pipeline.last_error();
}

// What the peer has received counts as written, even if there is no room for the rest. If it did
// not count, the client would send again commands that the server has executed.
TEST(TlsStream, CountsTheRecordsThatHaveGoneOut) {
  TlsClient client(Trusting());
  Stream& stream = *client.stream;
  ASSERT_EQ(client.Open(), IoStatus::kDone);
  Peer& peer = client.below->last();
  const std::string text(100'000, 'q');
  std::size_t written = 0;
  for (std::size_t room = 1; written < text.size(); ++room) {
    ASSERT_LT(room, 100u);
    client.below->writes.assign(room, IoStatus::kDone);
    client.below->writes.push_back(IoStatus::kWouldBlock);
    const IoResult result = stream.Write(std::string_view(text).substr(written));
    written += result.size;
    EXPECT_EQ(written, peer.heard.size());
  }
  EXPECT_EQ(peer.heard, text);
}

TEST(TlsStream, ReadsAllThatHasComeAsFarAsThereIsRoom) {
  TlsClient client(Trusting());
  Stream& stream = *client.stream;
  ASSERT_EQ(client.Open(), IoStatus::kDone);
  Peer& peer = client.below->last();
  IoStatus status = IoStatus::kDone;
  EXPECT_EQ(ReadText(stream, status), "");
  peer.Say("some");
  peer.Say("thing");
  std::array<char, 6> into;
  IoResult result = stream.Read(into);
  EXPECT_EQ(std::string_view(into.data(), result.size), "someth");
  result = stream.Read(into);
  EXPECT_EQ(result.status, IoStatus::kDone);
  EXPECT_EQ(std::string_view(into.data(), result.size), "ing");
  for (const IoStatus nothing : {IoStatus::kWouldBlock, IoStatus::kInterrupted}) {
    client.below->reads = {nothing};
    EXPECT_EQ(ReadText(stream, status), "");
    EXPECT_EQ(status, IoStatus::kWouldBlock);
  }
  peer.Say("last");
  client.below->reads = {IoStatus::kFailed};
  EXPECT_EQ(ReadText(stream, status), "");
  EXPECT_EQ(status, IoStatus::kFailed);
  EXPECT_EQ(stream.Write("more").status, IoStatus::kFailed) << "nobody would read the answer";
}

TEST(TlsNetwork, LeavesTheRestToTheNetworkBelow) {
  TlsClient client(Trusting());
  EXPECT_EQ(client.network->Descriptor(), 17);
  client.network->Wake();
  EXPECT_EQ(client.below->wakes, 1);
  EXPECT_EQ(client.network->NowMs(), client.below->NowMs());
  const std::uint64_t first = client.network->Random();
  EXPECT_EQ(client.below->Random(), first + 1);
  client.stream->SetOpenLimit(123);
  EXPECT_EQ(client.below->open_limit_ms, 123) << "several addresses share this time";
}

// ---- the end of a stream -----------------------------------------------------------

// Once reading has found the end of a stream, the stream can't be written to either, because nobody
// would answer. One read may bring both the last bytes and the end.
TEST(TlsStream, NothingIsWrittenAfterTheEnd) {
  const struct {
    std::string_view what;
    void (*end)(Peer& peer);
    IoStatus status;
  } kCases[] = {
      {"the end of TLS", [](Peer& peer) { peer.EndTls(); }, IoStatus::kClosed},
      {"a closed connection", [](Peer& peer) { peer.Close(); }, IoStatus::kClosed},
      {"both",
       [](Peer& peer) {
         peer.EndTls();
         peer.Close();
       },
       IoStatus::kClosed},
      {"bytes that are no TLS", [](Peer& peer) { peer.sent += "-ERR what?\r\n"; },
       IoStatus::kFailed},
  };
  for (const auto& c : kCases) {
    for (const std::string text : {"", "answer"}) {
      auto inner = std::make_unique<PeerNetwork>();
      PeerNetwork& below = *inner;
      const auto network = MakeTlsNetwork(std::move(inner), Trusting());
      const auto stream = network->NewStream();
      // The second connection shows that the end of the first is forgotten.
      for (int connection = 0; connection < 2; ++connection) {
        IoStatus status = stream->Open({});
        for (int i = 0; i < 10 && status == IoStatus::kWouldBlock; ++i) {
          status = stream->FinishOpen();
        }
        ASSERT_EQ(status, IoStatus::kDone) << c.what;
        Peer& peer = below.last();
        EXPECT_EQ(ReadText(*stream, status), "") << c.what;
        EXPECT_EQ(status, IoStatus::kWouldBlock) << c.what;
        EXPECT_EQ(stream->Write("question").status, IoStatus::kDone) << c.what;
        EXPECT_EQ(peer.heard, "question") << c.what;
        if (!text.empty()) peer.Say(text);
        c.end(peer);
        EXPECT_EQ(ReadText(*stream, status), text) << c.what;
        EXPECT_EQ(status, text.empty() ? c.status : IoStatus::kDone) << c.what;
        EXPECT_EQ(stream->Write("more").status, IoStatus::kFailed) << c.what << " after " << text;
        EXPECT_EQ(peer.heard, "question") << c.what;
        EXPECT_EQ(ReadText(*stream, status), "") << c.what;
        EXPECT_EQ(status, c.status) << c.what << ": " << stream->WhyNotOpen();
        stream->Close();
      }
    }
  }
}

// A call that is made after the end is not sent on the old connection. It goes out on a new
// connection, and its outcome is known.
TEST(TlsStream, ACallAfterTheEndIsMadeOnANewConnection) {
  using Way = ScriptedRig::Way;
  const Way ways[] = {Way(1), Way(2), Way(3), Way(4)};
  ScriptedServer server;
  PeerNetwork* network = nullptr;
  ClientOptions options;
  options.tls = Trusting();
  options.make_network = [&] {
    auto made = std::make_unique<PeerNetwork>([&](Peer& peer, std::int64_t connection) {
      for (const Words& command : TakeCommands(peer.heard)) {
        if (peer.ended) return;
        std::set<std::int64_t> killed;
        peer.Say(server.Execute(connection, command, network->NowMs(), killed));
        // The server ends TLS while it still owes the answer to the third call.
        if (server.Executions("ff_create_execution", ways[1].execution.text()) == 1 &&
            connection == 1) {
          peer.EndTls();
        }
      }
    });
    network = made.get();
    return made;
  };
  ClaimPipeline pipeline(options);
  const auto create = [&](std::uint64_t number) {
    ASSERT_TRUE(pipeline.SubmitCreate(
        {.execution_id = ways[number].execution.view(), .lane = ParseLaneId("main").lane}, {},
        number));
  };
  std::map<std::uint64_t, ClaimError> ends;
  const auto poll_until = [&](std::uint64_t number) {
    for (int i = 0; i < 1000 && ends.count(number) == 0; ++i) {
      for (const auto& done : pipeline.Poll(50)) ends[done.tag] = done.error;
    }
  };
  create(0);
  poll_until(0);
  create(1);
  create(2);
  poll_until(1);
  EXPECT_EQ(ends.size(), 2u) << "the end was found before the last call was made";
  create(3);
  poll_until(3);
  poll_until(2);
  EXPECT_EQ(ends, (std::map<std::uint64_t, ClaimError>{{0, ClaimError::kNone},
                                                       {1, ClaimError::kNone},
                                                       {2, ClaimError::kUnknownOutcome},
                                                       {3, ClaimError::kNone}}));
  EXPECT_EQ(server.Executions("ff_create_execution", ways[3].execution.text()), 1);
  EXPECT_EQ(network->connections(), 2u);
}

}  // namespace
}  // namespace ffgrant::valkey::testing
