// SPDX-License-Identifier: Apache-2.0
//
// Speaks TLS with a server in the same process: "with TLS the certificate is always checked".

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "ffgrant/http/issuer_client.h"

namespace ffgrant::http {
namespace {

struct Free {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// A key and a certificate for `name` that is signed with it, which is also in a file.
class Certificate {
 public:
  explicit Certificate(const char* name) {
    const Owned<EVP_PKEY_CTX> generator(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
    EVP_PKEY* made = nullptr;
    EXPECT_EQ(EVP_PKEY_keygen_init(generator.get()), 1);
    EXPECT_EQ(EVP_PKEY_keygen(generator.get(), &made), 1);
    key_.reset(made);
    X509* const x = certificate_.get();
    X509_set_version(x, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME* const subject = X509_get_subject_name(x);
    EXPECT_EQ(
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("issuer"), -1, -1, 0),
        1);
    EXPECT_EQ(X509_set_issuer_name(x, subject), 1);
    const Owned<X509_EXTENSION> names(
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name));
    EXPECT_EQ(X509_add_ext(x, names.get(), -1), 1);
    EXPECT_EQ(X509_set_pubkey(x, key_.get()), 1);
    EXPECT_GT(X509_sign(x, key_.get(), nullptr), 0);
    std::FILE* const out = std::fopen(file_.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(out, x), 1);
    (void)std::fclose(out);
  }
  ~Certificate() { std::remove(file_.c_str()); }

  const std::string& file() const { return file_; }
  Owned<SSL_CTX> ServerContext() const {
    Owned<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate_.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key_.get()), 1);
    return context;
  }

 private:
  static inline int made_ = 0;
  const std::string file_ = ::testing::TempDir() + "ffgrant_certificate_" +
                            std::to_string(getpid()) + "_" + std::to_string(++made_);
  Owned<EVP_PKEY> key_;
  const Owned<X509> certificate_{X509_new()};
};

// Answers one request on each connection, one connection after the other. Without a context it
// answers whatever it gets in plain text.
class Server {
 public:
  explicit Server(Owned<SSL_CTX> context) : context_(std::move(context)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (int one = -1; (one = accept(listener_, nullptr, nullptr)) >= 0; close(one)) Serve(one);
    });
  }
  ~Server() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }
  int requests() const { return requests_; }

 private:
  static constexpr std::string_view kAnswer =
      "HTTP/1.1 200 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

  void Serve(int connection) {
    std::array<char, 4096> bytes;
    if (context_ == nullptr) {
      if (read(connection, bytes.data(), bytes.size()) > 0) {
        (void)send(connection, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      }
      return;
    }
    const Owned<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), connection);
    if (SSL_accept(ssl.get()) != 1) return;
    std::string in;
    while (in.find("\r\n\r\n") == std::string::npos) {
      const int size = SSL_read(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (size <= 0) return;
      in.append(bytes.data(), static_cast<std::size_t>(size));
    }
    ++requests_;
    (void)SSL_write(ssl.get(), kAnswer.data(), static_cast<int>(kAnswer.size()));
    (void)SSL_shutdown(ssl.get());
  }

  const Owned<SSL_CTX> context_;
  const int listener_ = socket(AF_INET, SOCK_STREAM, 0);
  std::uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

class IssuerTls : public ::testing::Test {
 protected:
  IssuerTls() { (void)signal(SIGPIPE, SIG_IGN); }
  static IssuerStatus Ask(const Server& server, const std::string& ca_file) {
    return IssuerClient({.url = server.url(), .ca_file = ca_file}).Health();
  }
};

TEST_F(IssuerTls, ACertificateThatIsTrustedIsTaken) {
  const Certificate own("IP:127.0.0.1");
  const Server server(own.ServerContext());
  const IssuerStatus status = Ask(server, own.file());
  EXPECT_TRUE(status) << status.message;
  EXPECT_EQ(server.requests(), 1);
  // A client that has to connect again asks again.
  IssuerClient client({.url = server.url(), .ca_file = own.file()});
  EXPECT_TRUE(client.Health());
  EXPECT_TRUE(client.Health());
  EXPECT_EQ(server.requests(), 3);
}

// Nothing is sent to a server whose certificate is not trusted: neither the token nor a request.
TEST_F(IssuerTls, AnotherCertificateIsRefusedBeforeAnythingIsSent) {
  const Certificate own("IP:127.0.0.1");
  const Certificate another("IP:127.0.0.1");
  const Certificate of_another_host("IP:127.0.0.2,DNS:localhost");
  const Server server(own.ServerContext());
  for (const std::string& trusted : {std::string(), another.file()}) {
    const IssuerStatus status = Ask(server, trusted);
    EXPECT_EQ(status.error, IssuerError::kNotConnected) << status.message;
    EXPECT_EQ(status.http_status, 0);
  }
  EXPECT_EQ(server.requests(), 0);
  const Server wrong(of_another_host.ServerContext());
  const IssuerStatus status = Ask(wrong, of_another_host.file());
  EXPECT_EQ(status.error, IssuerError::kNotConnected) << status.message;
  EXPECT_EQ(wrong.requests(), 0);
}

TEST_F(IssuerTls, AServerWithoutTlsAndAFileWithoutCertificatesAreNoConnection) {
  const Server plain(nullptr);
  const IssuerStatus status = Ask(plain, "");
  EXPECT_EQ(status.error, IssuerError::kNotConnected) << status.message;
  EXPECT_EQ(Ask(plain, "/nowhere").error, IssuerError::kNotConnected);
}

}  // namespace
}  // namespace ffgrant::http
