// SPDX-License-Identifier: Apache-2.0
//
// Speaks TLS with a server in the same process, so that the test decides what one read brings. The
// live tests hold the handshake to real servers.

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/valkey/claim_pipeline.h"
#include "ffgrant/valkey/tls_options.h"
#include "testing/simulation/scripted_rig.h"
#include "testing/simulation/scripted_server.h"

namespace ffgrant::valkey::testing {
namespace {

struct Free {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// Makes what a server needs for TLS, with a certificate that it has signed itself.
Owned<SSL_CTX> MakeServerContext() {
  const Owned<EVP_PKEY_CTX> generator(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* made = nullptr;
  EXPECT_EQ(EVP_PKEY_keygen_init(generator.get()), 1);
  EXPECT_EQ(EVP_PKEY_keygen(generator.get(), &made), 1);
  const Owned<EVP_PKEY> key(made);
  const Owned<X509> certificate(X509_new());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  EXPECT_EQ(X509_set_pubkey(certificate.get(), key.get()), 1);
  EXPECT_GT(X509_sign(certificate.get(), key.get(), nullptr), 0);
  Owned<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  return context;
}

// The server's end of a connection.
class Peer {
 public:
  explicit Peer(SSL_CTX* context) : ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl_.get());
  }
  // Takes what the client has sent. The client must not find the server's errors among its own.
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
  explicit PeerNetwork(Heard heard = {}) : heard_(std::move(heard)) {}

  std::unique_ptr<Stream> NewStream() override { return std::make_unique<PeerStream>(*this); }
  void Wait(std::span<const StreamInterest>, std::int64_t timeout_ms) noexcept override {
    bool any = false;
    for (const auto& peer : peers_) any |= !peer->sent.empty() || peer->closed;
    now_ += any ? 1 : timeout_ms;
  }
  std::int64_t NowMs() noexcept override { return now_; }
  std::uint64_t Random() noexcept override { return ++random_; }

  std::size_t connections() const { return peers_.size(); }
  Peer& last() { return *peers_.back(); }

 private:
  class PeerStream final : public Stream {
   public:
    explicit PeerStream(PeerNetwork& network) : network_(network) {}
    IoStatus Open(const Endpoint&) noexcept override {
      network_.peers_.push_back(std::make_unique<Peer>(network_.context_.get()));
      peer_ = network_.peers_.back().get();
      return IoStatus::kDone;
    }
    IoStatus FinishOpen() noexcept override { return IoStatus::kDone; }
    IoResult Read(std::span<char> into) noexcept override {
      std::string& bytes = peer_->sent;
      if (bytes.empty()) return {peer_->closed ? IoStatus::kClosed : IoStatus::kWouldBlock, 0};
      const std::size_t size = bytes.copy(into.data(), into.size());
      bytes.erase(0, size);
      return {IoStatus::kDone, size};
    }
    IoResult Write(std::string_view bytes) noexcept override {
      if (peer_->closed) return {IoStatus::kFailed, 0};
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
  const Owned<SSL_CTX> context_ = MakeServerContext();
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

// A stream that has ended for reading can't be written to either, because nobody would answer. One
// read may bring both the last bytes and the end.
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

// Such a call has not been sent, so it goes out on a new connection, and its outcome is known.
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
        // The server ends while it still owes the answer to the third call.
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
