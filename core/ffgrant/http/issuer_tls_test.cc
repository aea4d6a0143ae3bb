// SPDX-License-Identifier: Apache-2.0
//
// Tests that the client always checks a server's certificate, by speaking TLS with a server in the
// same process.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <thread>

#include "ffgrant/http/issuer_client.h"
#include "testing/live/tls_credentials.h"

namespace ffgrant::http {
namespace {

using testing::Credential;
using testing::MakeCredential;
using testing::Owned;

// A certificate for `names` that is signed with its own key, and a file that holds it.
class Certificate {
 public:
  explicit Certificate(const char* names)
      : credential_(MakeCredential({.names = names, .is_authority = true})) {
    std::FILE* const out = std::fopen(file_.c_str(), "w");
    EXPECT_EQ(PEM_write_X509(out, credential_.certificate.get()), 1);
    (void)std::fclose(out);
  }
  ~Certificate() { std::remove(file_.c_str()); }

  const std::string& file() const { return file_; }
  Owned<SSL_CTX> ServerContext() const { return testing::MakeServerContext(credential_); }

 private:
  static inline int made_ = 0;
  const std::string file_ = ::testing::TempDir() + "ffgrant_certificate_" +
                            std::to_string(getpid()) + "_" + std::to_string(++made_);
  const Credential credential_;
};

// Answers one request on each connection, one connection after the other. If the server has no
// context, it answers in plain text, whatever it receives.
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
  // A client connects again for its second request.
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
