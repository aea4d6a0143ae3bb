// SPDX-License-Identifier: Apache-2.0
//
// Test only: makes certificates while a test runs, and the SSL_CTX with which a server shows them.

#ifndef FFGRANT_TESTING_LIVE_TLS_CREDENTIALS_H_
#define FFGRANT_TESTING_LIVE_TLS_CREDENTIALS_H_

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ffgrant::testing {

struct FreeOfOpenSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(X509_EXTENSION* extension) const noexcept { X509_EXTENSION_free(extension); }
};
template <class T>
using Owned = std::unique_ptr<T, FreeOfOpenSsl>;

// A certificate and its key.
struct Credential {
  Owned<X509> certificate;
  Owned<EVP_PKEY> key;
};
struct Wanted {
  const char* names = nullptr;  // as "DNS:db.test" or "IP:10.0.0.1"
  std::int64_t from_s = -3600;  // this and `until_s` in seconds from now
  std::int64_t until_s = 3600;
  bool is_authority = false;
  const char* purpose = nullptr;
};

// Makes a credential that `issuer` has signed, or that has signed itself.
inline Credential MakeCredential(const Wanted& wanted = {}, const Credential* issuer = nullptr) {
  static int serial = 0;
  const Owned<EVP_PKEY_CTX> generator(EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr));
  EVP_PKEY* made = nullptr;
  EXPECT_EQ(EVP_PKEY_keygen_init(generator.get()), 1);
  EXPECT_EQ(EVP_PKEY_keygen(generator.get(), &made), 1);
  Credential credential = {Owned<X509>(X509_new()), Owned<EVP_PKEY>(made)};
  X509* const certificate = credential.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wanted.from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.until_s);
  const std::string name = "certificate " + std::to_string(serial);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const Credential& signer = issuer == nullptr ? credential : *issuer;
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  EXPECT_EQ(X509_set_pubkey(certificate, credential.key.get()), 1);
  const auto extend = [&](int kind, const char* value) {
    if (value == nullptr) return;
    const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, nullptr, kind, value));
    EXPECT_EQ(X509_add_ext(certificate, extension.get(), -1), 1) << value;
  };
  extend(NID_basic_constraints, wanted.is_authority ? "critical,CA:TRUE" : "CA:FALSE");
  extend(NID_subject_alt_name, wanted.names);
  extend(NID_ext_key_usage, wanted.purpose);
  EXPECT_GT(X509_sign(certificate, signer.key.get(), nullptr), 0);
  return credential;
}

// Makes what a server needs for TLS. The server sends the certificates of `chain` after its own.
inline Owned<SSL_CTX> MakeServerContext(const Credential& own = MakeCredential(),
                                        const std::vector<const Credential*>& chain = {}) {
  Owned<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), own.certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), own.key.get()), 1);
  for (const Credential* const other : chain) {
    EXPECT_EQ(SSL_CTX_add1_chain_cert(context.get(), other->certificate.get()), 1);
  }
  return context;
}

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_LIVE_TLS_CREDENTIALS_H_
