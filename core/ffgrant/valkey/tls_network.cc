// SPDX-License-Identifier: Apache-2.0
//
// Implements a stream that speaks TLS over another stream. OpenSSL sees the other stream as a BIO.
// So OpenSSL makes no system call of its own for a connection, and the faults of a test's network
// reach OpenSSL too.

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ffgrant/internal/throw.h"
#include "ffgrant/valkey/tls_options.h"

namespace ffgrant::valkey {
namespace {

// ---- what failed, in words -----------------------------------------------------------

std::string LastError() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason == nullptr ? "no reason given" : reason;
}

// Whether a host is an address. A certificate names addresses and host names separately.
bool IsAddress(const std::string& name) noexcept {
  std::array<unsigned char, sizeof(in6_addr)> bytes;
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

// Says why the server's certificate, or at `depth` > 0 a certificate of its chain, was not
// believed.
std::string CertificateFault(long fault, int depth, const std::string& name) {
  const std::string whose =
      depth == 0 ? "the server's certificate" : "a certificate in the server's chain";
  switch (fault) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not valid yet";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "the server's certificate is not for " + name;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "the server's certificate is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    // Never true: OpenSSL says so only if it goes on after another fault.
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the server's certificate is of an authority that is not known here";
    default:
      return whose + ": " + X509_verify_cert_error_string(fault);
  }
}

// What an alert says that the server sent.
struct Alert {
  std::string why;           // in words; empty: there is no alert
  bool is_for_good = false;  // the server will say so on every new connection
};

Alert AlertIn(unsigned long error, bool has_certificate) {
  // Never false: the SSL part of OpenSSL reports last, because it ends the connection.
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  // Never true: `reason > SSL_AD_REASON_OFFSET + 255`: OpenSSL gives such numbers to a lack of
  // memory and to faults of its own.
  if (reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255) return {};
  const int alert = reason - SSL_AD_REASON_OFFSET;
  const std::string name = SSL_alert_desc_string_long(alert);
  const std::string ended = "the server ended the TLS connection: " + name;
  switch (alert) {
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return {"the server wants a client certificate", true};
    case SSL_AD_HANDSHAKE_FAILURE:
      if (has_certificate) return {ended, true};
      return {"the server refused the handshake; it may want a client certificate", true};
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
      return {"the server refused the client certificate: " + name, true};
    // What the server does not let us do, or what the two don't have in common, stays so.
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_PROTOCOL_VERSION:
    case SSL_AD_INSUFFICIENT_SECURITY:
    case SSL_AD_UNRECOGNIZED_NAME:
      return {ended, true};
    // The rest is about this connection, or about the server's state now: for example a fault
    // inside the server, bytes that were damaged on the way, or a server that ends.
    default:
      return {ended, false};
  }
}

// ---- the stream below as OpenSSL sees it ---------------------------------------------

struct BelowStream {
  Stream* stream = nullptr;
  bool closed = false;  // the peer closed it
};

int ReadBelow(BIO* bio, char* into, int size) {
  auto& below = *static_cast<BelowStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const IoResult result = below.stream->Read({into, static_cast<std::size_t>(size)});
  switch (result.status) {
    case IoStatus::kDone:
      return static_cast<int>(result.size);
    case IoStatus::kWouldBlock:
    case IoStatus::kInterrupted:
      BIO_set_retry_read(bio);
      return -1;
    case IoStatus::kClosed:
      below.closed = true;
      return 0;
    default:
      return -1;
  }
}

int WriteBelow(BIO* bio, const char* bytes, int size) {
  auto& below = *static_cast<BelowStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const IoResult result = below.stream->Write({bytes, static_cast<std::size_t>(size)});
  if (result.status == IoStatus::kDone) return static_cast<int>(result.size);
  if (result.status == IoStatus::kWouldBlock || result.status == IoStatus::kInterrupted) {
    BIO_set_retry_write(bio);
  }
  return -1;
}

long ControlBelow(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<BelowStream*>(BIO_get_data(bio))->closed;
  return 0;
}

int CreateBelow(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

// Returns an object that lives as long as the process.
const BIO_METHOD* BelowMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ffgrant stream");
    // Never true: no test makes the system run out of memory.
    if (made == nullptr) return made;
    BIO_meth_set_read(made, ReadBelow);
    BIO_meth_set_write(made, WriteBelow);
    BIO_meth_set_ctrl(made, ControlBelow);
    BIO_meth_set_create(made, CreateBelow);
    return made;
  }();
  return method;
}

// ---- TLS ---------------------------------------------------------------------------

struct Free {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};
using Ssl = std::unique_ptr<SSL, Free>;
using SslContext = std::unique_ptr<SSL_CTX, Free>;

// Remembers the depth of the first certificate that was not believed.
int OnCertificate(int believed, X509_STORE_CTX* chain) {
  if (believed == 0) {
    const auto* const ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
    *static_cast<int*>(SSL_get_app_data(ssl)) = X509_STORE_CTX_get_error_depth(chain);
  }
  return believed;
}

class TlsStream final : public Stream {
 public:
  TlsStream(std::unique_ptr<Stream> inner, SSL_CTX& context, const TlsOptions& options)
      : inner_(std::move(inner)), context_(context), options_(options) {}
  ~TlsStream() override { Close(); }

  IoStatus Open(const Endpoint& endpoint) noexcept override {
    Close();
    why_.clear();
    name_ = !options_.server_name.empty() ? options_.server_name
                                          : endpoint.host.substr(0, endpoint.host.find('%'));
    state_ = State::kConnecting;
    return AfterInner(inner_->Open(endpoint));
  }
  IoStatus FinishOpen() noexcept override {
    switch (state_) {
      case State::kConnecting:
        return AfterInner(inner_->FinishOpen());
      case State::kShakingHands:
        return ShakeHands();
      default:
        return state_ == State::kOpen ? IoStatus::kDone : IoStatus::kFailed;
    }
  }
  void SetOpenLimit(std::int64_t limit_ms) noexcept override { inner_->SetOpenLimit(limit_ms); }
  std::string_view WhyNotOpen() const noexcept override {
    if (state_ == State::kConnecting || why_.empty()) return inner_->WhyNotOpen();
    return why_;
  }

  // Reads until `into` is full or nothing more has come, because Network::Wait() can't see bytes
  // that OpenSSL has kept.
  IoResult Read(std::span<char> into) noexcept override {
    if (state_ != State::kOpen) return {IoStatus::kFailed, 0};
    std::size_t total = 0;
    while (total < into.size() && broken_ == IoStatus::kDone) {
      std::size_t size = 0;
      ERR_clear_error();
      const int done = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &size);
      if (done == 1) {
        total += size;
      } else if (const IoStatus status = StatusOf(done); status == IoStatus::kWouldBlock) {
        break;
      } else {
        broken_ = status;
      }
    }
    if (total > 0) return {IoStatus::kDone, total};
    return {broken_ == IoStatus::kDone ? IoStatus::kWouldBlock : broken_, 0};
  }

  // A record counts as written once all of it has been written to the stream below, because a
  // server can't read a part of a record.
  IoResult Write(std::string_view bytes) noexcept override {
    if (state_ != State::kOpen || broken_ != IoStatus::kDone) return {IoStatus::kFailed, 0};
    if (bytes.empty()) return {IoStatus::kWouldBlock, 0};
    std::size_t size = 0;
    ERR_clear_error();
    const int done = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size);
    if (done == 1) return {IoStatus::kDone, size};
    return {StatusOf(done), 0};
  }

  void Close() noexcept override {
    // A forked child shares the connection and must not end it.
    // Never false: `getpid() == owner_`: nothing counts what a child of the tests executes.
    if (state_ == State::kOpen && broken_ == IoStatus::kDone && getpid() == owner_) {
      ERR_clear_error();
      (void)SSL_shutdown(ssl_.get());  // ends TLS properly, if there is room for it
    }
    ssl_.reset();
    inner_->Close();
    below_ = {};
    broken_ = IoStatus::kDone;
    depth_ = 0;
    state_ = State::kClosed;
  }

  StreamInterest InnerInterest(bool or_writable) const noexcept {
    switch (state_) {
      case State::kConnecting:
        return {inner_.get(), true};
      case State::kShakingHands:
        return {inner_.get(), SSL_want_write(ssl_.get())};
      default:
        return {inner_.get(), or_writable};
    }
  }

 private:
  enum class State : std::uint8_t { kClosed, kConnecting, kShakingHands, kOpen };

  IoStatus AfterInner(IoStatus status) noexcept {
    if (status == IoStatus::kWouldBlock) return status;
    if (status != IoStatus::kDone) {
      why_.assign(inner_->WhyNotOpen());
      Close();
      return status;
    }
    if (!Prepare()) return Fail("TLS can't begin: " + LastError());
    state_ = State::kShakingHands;
    why_ = "no answer to the TLS handshake; the server may not speak TLS";
    return ShakeHands();
  }

  bool Prepare() {
    ERR_clear_error();
    ssl_.reset(SSL_new(&context_));
    // Never true: no test makes the system run out of memory.
    BIO* const bio = ssl_ == nullptr ? nullptr : BIO_new(BelowMethod());
    // Never true: no test makes the system run out of memory.
    if (bio == nullptr) return false;
    below_ = {inner_.get(), false};
    BIO_set_data(bio, &below_);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), &depth_);
    const bool is_address = IsAddress(name_);
    if (!is_address && SSL_set_tlsext_host_name(ssl_.get(), name_.c_str()) != 1) return false;
    if (!options_.verify) return true;
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(wanted, name_.c_str())
                       : X509_VERIFY_PARAM_set1_host(wanted, name_.data(), name_.size())) == 1;
  }

  IoStatus ShakeHands() noexcept {
    ERR_clear_error();
    const int done = SSL_connect(ssl_.get());
    if (done == 1) {
      state_ = State::kOpen;
      why_.clear();
      return IoStatus::kDone;
    }
    const int error = SSL_get_error(ssl_.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return IoStatus::kWouldBlock;
    const long fault = SSL_get_verify_result(ssl_.get());
    if (options_.verify && fault != X509_V_OK) {
      return Fail(CertificateFault(fault, depth_, name_), IoStatus::kRefused);
    }
    if (below_.closed) return Fail("the server closed the connection in the TLS handshake");
    if (error != SSL_ERROR_SSL) return Fail("the connection broke in the TLS handshake");
    const unsigned long last = ERR_peek_last_error();
    if (Alert alert = AlertIn(last, HasCertificate()); !alert.why.empty()) {
      return Fail(std::move(alert.why), alert.is_for_good ? IoStatus::kRefused : IoStatus::kFailed);
    }
    if (ERR_GET_REASON(last) == SSL_R_WRONG_VERSION_NUMBER) {
      return Fail("the server does not speak TLS", IoStatus::kRefused);
    }
    return Fail("the TLS handshake failed: " + LastError());
  }

  bool HasCertificate() const noexcept { return !options_.certificate_file.empty(); }

  IoStatus Fail(std::string why, IoStatus status = IoStatus::kFailed) noexcept {
    why_ = std::move(why);
    Close();
    return status;
  }

  // Says what the result of a failed SSL_read or SSL_write means; `why_` gets a description of a
  // fault of TLS.
  IoStatus StatusOf(int done) noexcept {
    switch (SSL_get_error(ssl_.get(), done)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return IoStatus::kWouldBlock;
      case SSL_ERROR_ZERO_RETURN:
        return IoStatus::kClosed;
      case SSL_ERROR_SSL: {
        // If the peer closed the stream without ending TLS, this still counts as the end, because
        // replies say how long they are.
        if (below_.closed) return IoStatus::kClosed;
        Alert alert = AlertIn(ERR_peek_last_error(), HasCertificate());
        why_ = alert.why.empty() ? "TLS: " + LastError() : std::move(alert.why);
        return alert.is_for_good ? IoStatus::kRefused : IoStatus::kFailed;
      }
      default:
        // Never true: only OpenSSL before 3.0 takes a stream that was just closed for a failure of
        // the system.
        return below_.closed ? IoStatus::kClosed : IoStatus::kFailed;
    }
  }

  const std::unique_ptr<Stream> inner_;
  const pid_t owner_ = getpid();
  SSL_CTX& context_;
  const TlsOptions& options_;
  State state_ = State::kClosed;
  std::string name_;  // the name that the certificate must have
  std::string why_;
  int depth_ = 0;  // the place in the server's chain of a certificate that was not believed
  BelowStream below_;
  Ssl ssl_;
  IoStatus broken_ = IoStatus::kDone;  // how reading ended; kDone: it has not
};

[[noreturn]] void Refuse(const std::string& why) {
  ffgrant::internal::Throw<std::invalid_argument>("ffgrant: TLS: " + why);
}

// Refuses a key with a passphrase, instead of asking for the passphrase at a terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

class TlsNetwork final : public Network {
 public:
  TlsNetwork(std::unique_ptr<Network> inner, const TlsOptions& options)
      : inner_(std::move(inner)), options_(options), context_(SSL_CTX_new(TLS_client_method())) {
    ERR_clear_error();
    SSL_CTX* const context = context_.get();
    // Never true: `context == nullptr`: no test makes the system run out of memory.
    // Never true: `BelowMethod() == nullptr`: no test makes the system run out of memory.
    if (context == nullptr || BelowMethod() == nullptr) Refuse("OpenSSL: " + LastError());
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       options.verify ? &OnCertificate : nullptr);
    SSL_CTX_set_default_passwd_cb(context, &NoPassphrase);
    UseAuthorities(context);
    UseCertificate(context);
  }

  std::unique_ptr<Stream> NewStream() override {
    return std::make_unique<TlsStream>(inner_->NewStream(), *context_, options_);
  }
  void Wait(std::span<const StreamInterest> interests, std::int64_t timeout_ms) noexcept override {
    inner_->Wait(OfInner(interests), timeout_ms);
  }
  int Descriptor() noexcept override { return inner_->Descriptor(); }
  std::int64_t Arm(std::span<const StreamInterest> interests,
                   std::int64_t timeout_ms) noexcept override {
    return inner_->Arm(OfInner(interests), timeout_ms);
  }
  void Wake() noexcept override { inner_->Wake(); }
  std::int64_t NowMs() noexcept override { return inner_->NowMs(); }
  std::uint64_t Random() noexcept override { return inner_->Random(); }

 private:
  std::span<const StreamInterest> OfInner(std::span<const StreamInterest> interests) {
    waited_.clear();
    for (const StreamInterest& interest : interests) {
      const auto* const stream = static_cast<const TlsStream*>(interest.stream);
      waited_.push_back(stream->InnerInterest(interest.or_writable));
    }
    return waited_;
  }
  void UseAuthorities(SSL_CTX* context) const {
    if (!options_.verify) return;
    if (options_.ca_file.empty()) {
      // Never true: no test makes the system run out of memory.
      if (SSL_CTX_set_default_verify_paths(context) != 1) Refuse("the system's authorities");
      return;
    }
    if (SSL_CTX_load_verify_locations(context, options_.ca_file.c_str(), nullptr) != 1) {
      Refuse("ca_file " + options_.ca_file + ": " + LastError());
    }
  }
  void UseCertificate(SSL_CTX* context) const {
    const std::string& certificate = options_.certificate_file;
    const std::string& key = options_.key_file;
    if (certificate.empty() != key.empty()) {
      Refuse("certificate_file and key_file go together");
    }
    if (certificate.empty()) return;
    if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
      Refuse("certificate_file " + certificate + ": " + LastError());
    }
    // This also refuses a key that belongs to another certificate.
    if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
      Refuse("key_file " + key + ": " + LastError());
    }
  }

  const std::unique_ptr<Network> inner_;
  const TlsOptions options_;
  const SslContext context_;
  std::vector<StreamInterest> waited_;
};

}  // namespace

bool HasTls() noexcept { return true; }

std::unique_ptr<Network> MakeTlsNetwork(std::unique_ptr<Network> inner, const TlsOptions& options) {
  return std::make_unique<TlsNetwork>(std::move(inner), options);
}

}  // namespace ffgrant::valkey
