// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/server_url.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace ffgrant::valkey {
namespace {

// A word that no answer may repeat.
constexpr std::string_view kSecret = "hunter2";

ClientOptions Taken(std::string_view text) {
  ClientOptions options;
  EXPECT_EQ(SetServers(text, options), "") << text;
  return options;
}

std::string Refused(std::string_view text) {
  ClientOptions options;
  options.servers = {{"before", 1}};
  options.username = "before";
  const std::string problem = SetServers(text, options);
  EXPECT_NE(problem, "") << text;
  EXPECT_EQ(problem.find(kSecret), std::string::npos) << problem;
  EXPECT_EQ(options.servers, (std::vector<Endpoint>{{"before", 1}})) << text;
  EXPECT_EQ(options.username, "before") << text;
  return problem;
}

using Endpoints = std::vector<Endpoint>;

TEST(SetServers, TakesHostAndPort) {
  EXPECT_EQ(Taken("db:7000").servers, (Endpoints{{"db", 7000}}));
  EXPECT_EQ(Taken("[::1]:7000").servers, (Endpoints{{"::1", 7000}}));
  EXPECT_EQ(Taken("a:1,b:2,c:3").servers, (Endpoints{{"a", 1}, {"b", 2}, {"c", 3}}));
}

TEST(SetServers, TakesUrls) {
  for (const std::string_view text :
       {"valkey://db", "redis://db", "VALKEY://db", "valkey://db:6379", "valkey://db/",
        "valkey://db/0", "valkey://db:6379/0", "valkey://db?db=0", "valkey://db/?db=0",
        "valkey://db/0?db=0", "valkey://db?", "valkey://@db"}) {
    const ClientOptions options = Taken(text);
    EXPECT_EQ(options.servers, (Endpoints{{"db", 6379}})) << text;
    EXPECT_EQ(options.username, "") << text;
  }
  EXPECT_EQ(Taken("valkey://[::1]").servers, (Endpoints{{"::1", 6379}}));
  EXPECT_EQ(Taken("valkey://[::1]:7/0").servers, (Endpoints{{"::1", 7}}));
  EXPECT_EQ(Taken("valkey://worker@db:7").username, "worker");
  EXPECT_EQ(Taken("valkey://a%40b%3Ac%2f@db:7").username, "a@b:c/");
  EXPECT_EQ(Taken("valkey://%09%19%aA%Ff@db:7").username, "\t\x19\xaa\xff");
  EXPECT_EQ(Taken("valkey://a@b@db:7").username, "a@b");
  EXPECT_EQ(Taken("valkey://w@a:1,valkey://w@b:2").servers, (Endpoints{{"a", 1}, {"b", 2}}));
}

TEST(SetServers, TakesUnixSockets) {
  const ClientOptions options = Taken("unix:///run/valkey/a%20b.sock");
  EXPECT_EQ(options.servers, (Endpoints{{"/run/valkey/a b.sock", 0}}));
  EXPECT_TRUE(options.servers[0].is_unix());
  EXPECT_EQ(Taken("unix://worker@/run/v.sock?db=0").username, "worker");
  const std::string longest = "/" + std::string(106, 'x');
  EXPECT_EQ(Taken("unix://" + longest).servers[0].host, longest);
  EXPECT_EQ(Refused("unix://" + longest + "x"), "the path of a unix socket has 2 to 107 bytes");
  EXPECT_EQ(Refused("unix:///"), "the path of a unix socket has 2 to 107 bytes");
  for (const std::string_view text : {"unix://", "unix://run/v.sock", "unix://db:1/run/v.sock"}) {
    EXPECT_EQ(Refused(text), "unix:// takes an absolute path: unix:///PATH") << text;
  }
  for (const std::string_view text :
       {"unix:///%", "unix:///%2", "unix:///%zz", "unix:///a%00b", "unix:///%/0", "unix:///%0/",
        "unix:///%:0", "unix:///%0:", "unix:///%@0", "unix:///%0`", "unix:///%G0", "unix:///%0g"}) {
    EXPECT_EQ(Refused(text), "the path in the URL has a broken %XX") << text;
  }
}

TEST(SetServers, TakesUrlsOfTls) {
  if (!HasTls()) {
    for (const std::string_view text : {"valkeys://db", "rediss://db:1"}) {
      EXPECT_EQ(Refused(text),
                "valkeys:// means TLS, and this library was built without it (CMake option "
                "FFGRANT_TLS)");
    }
    return;
  }
  for (const std::string_view text : {"valkeys://worker@db:7/0", "rediss://worker@db:7"}) {
    const ClientOptions options = Taken(text);
    EXPECT_EQ(options.servers, (Endpoints{{"db", 7}}));
    EXPECT_EQ(options.username, "worker");
    EXPECT_TRUE(options.tls.enabled);
    EXPECT_TRUE(options.tls.verify);
  }
  EXPECT_FALSE(Taken("valkey://db").tls.enabled);
  // TLS that the caller has enabled stays enabled.
  for (const std::string_view text : {"valkey://db", "db:7", "valkeys://db"}) {
    ClientOptions options;
    options.tls.enabled = true;
    EXPECT_EQ(SetServers(text, options), "") << text;
    EXPECT_TRUE(options.tls.enabled) << text;
  }
  for (const std::string_view text :
       {"valkeys://a,valkey://b", "a:1,valkeys://b", "unix:///run/v.sock,valkeys://b"}) {
    EXPECT_EQ(Refused(text), "all servers of one client speak TLS, or none") << text;
  }
}

TEST(SetServers, KeepsAUserThatWasSetOtherwise) {
  ClientOptions options;
  options.username = "worker";
  EXPECT_EQ(SetServers("valkey://db", options), "");
  EXPECT_EQ(options.username, "worker");
}

TEST(SetServers, RefusesAPasswordAndNeverShowsIt) {
  const std::string secret(kSecret);
  for (const std::string& text : std::vector<std::string>{
           "valkey://u:" + secret + "@db", "redis://:" + secret + "@db:6379/0",
           "valkeys://u:" + secret + "@db", "unix://u:" + secret + "@/run/v.sock",
           "valkey://db,valkey://u:" + secret + "@db", "valkey://u:@db",
           "valkey://u:x/" + secret + "@db", "valkey://u:1/" + secret + "@db:1/0",
           "valkey://u:" + secret + "@" + secret + "@db", "valkey://u:p?" + secret + "@db",
           "valkey://u:p#" + secret + "@db", "valkey://db?x=" + secret + "@db"}) {
    const std::string problem = Refused(text);
    EXPECT_TRUE(
        problem.starts_with("a password does not belong in a URL: put it into "
                            "FFGRANT_PASSWORD, "))
        << problem;
  }
  // These texts are refused too, whichever fault is found first, and no answer repeats the secret.
  for (const std::string& text : std::vector<std::string>{
           "u:" + secret + "@db", secret, secret + "://db", "valkey://" + secret + "?" + secret,
           "valkey://db/" + secret, "valkey://u:12," + secret + "@db:1", secret + "@db:6379",
           "valkey://db?password=" + secret, "valkey://u:p#" + secret + "@db",
           "valkey:// " + secret + ":1", "unix://" + secret}) {
    (void)Refused(text);
  }
}

TEST(SetServers, RefusesByName) {
  for (const std::string_view text :
       {"valkey://db/1", "valkey://db/00", "valkey://db/x", "valkey://db?db=1", "valkey://db/0/0",
        "unix:///run/v.sock?db=3"}) {
    EXPECT_EQ(Refused(text), "only database 0 is supported") << text;
  }
  for (const std::string_view text : {"redis+sentinel://db:26379", "redis-sentinel://db",
                                      "sentinel://db", "Valkey+Sentinel://d"}) {
    EXPECT_EQ(Refused(text),
              "Sentinel is not supported: name the servers themselves, several with commas");
  }
  EXPECT_EQ(Refused("valkey://db?timeout=3"), "of a URL's parameters only db=0 is known");
  EXPECT_EQ(Refused("valkey://db#x"), "a server's URL has no fragment");
  EXPECT_EQ(Refused("http://db"),
            "of URLs valkey://, valkeys:// (or redis://, rediss://) and unix:// are known");
  EXPECT_EQ(Refused("valkey://%@db"), "the user in the URL has a broken %XX");
  // The last group of such an address would be taken for a port, and what is before it for a host.
  for (const std::string_view text :
       {"::1", "::1:6379", "fe80::1", "a:1,::1", "2001:db8::8:800:200c:417a", "valkey://::1",
        "valkey://u@fe80::1/0", "valkey://::1:6379", "db:1:2", "valkey://db:1:2"}) {
    EXPECT_EQ(Refused(text), "an IPv6 address stands in brackets: [::1]:6379") << text;
  }
  for (const std::string_view text : {"",
                                      ",",
                                      "db",
                                      "db:",
                                      "db:0",
                                      "db:65536",
                                      "a:1,",
                                      ",a:1",
                                      "valkey://",
                                      "valkey://:1",
                                      "valkey://db:",
                                      "valkey://db:x",
                                      "valkey://[::1",
                                      "valkey://a b",
                                      "/run/v.sock",
                                      "/run/v.sock:1",
                                      "a\x01:1",
                                      "a\x7f:1",
                                      "valkey://a\x7f",
                                      "valkey://u@",
                                      "://db:1"}) {
    (void)Refused(text);
  }
}

// A user that only some servers of a list name would be sent to the others too.
TEST(SetServers, TakesOneUserForAllServers) {
  const std::string users[] = {"", "a@", "b@"};
  for (const std::string& first : users) {
    for (const std::string& second : users) {
      for (const std::string& third : users) {
        const std::string text =
            "valkey://" + first + "x,valkey://" + second + "y,valkey://" + third + "z";
        if (first == second && second == third) {
          ClientOptions options;
          EXPECT_EQ(SetServers(text, options), "") << text;
          EXPECT_EQ(options.username, first.substr(0, first.find('@'))) << text;
        } else {
          EXPECT_EQ(Refused(text), "all servers of one client have the same user") << text;
        }
      }
    }
  }
  EXPECT_EQ(Refused("valkey://a@x,y:1"), "all servers of one client have the same user");
  EXPECT_EQ(Refused("y:1,valkey://a@x"), "all servers of one client have the same user");
}

// ---- passwords -----------------------------------------------------------------------

class Passwords : public ::testing::Test {
 protected:
  Passwords() { EXPECT_NE(mkdtemp(folder_.data()), nullptr); }
  ~Passwords() override {
    std::filesystem::remove_all(folder_);
    unsetenv("FFGRANT_PASSWORD");
    unsetenv("FFGRANT_PASSWORD_FILE");
  }
  std::string File(const std::string& text) {
    const std::string path = folder_ + "/password";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }

  std::string folder_ = "/tmp/ffgrant-passwords-XXXXXX";
  ClientOptions options_;
};

TEST_F(Passwords, AreReadFromAFile) {
  for (const std::string end : {"", "\n", "\r\n"}) {
    options_.password.clear();
    EXPECT_EQ(SetPasswordFromFile(File(" hunter2 " + end), options_), "");
    EXPECT_EQ(options_.password, " hunter2 ");
  }
  const std::string longest(4096, 'x');
  EXPECT_EQ(SetPasswordFromFile(File(longest + "\r\n"), options_), "");
  EXPECT_EQ(options_.password, longest);
}

TEST_F(Passwords, AreNotReadFromWhatHasNone) {
  const std::string what = "the password file " + File("");
  EXPECT_EQ(SetPasswordFromFile(File(""), options_), what + " is empty");
  EXPECT_EQ(SetPasswordFromFile(File("\n"), options_), what + " is empty");
  EXPECT_EQ(SetPasswordFromFile(File("hunter2\nhunter2\n"), options_), what + " has several lines");
  EXPECT_EQ(SetPasswordFromFile(File("hunter2\n\n"), options_), what + " has several lines");
  EXPECT_EQ(SetPasswordFromFile(File(std::string(4097, 'x')), options_),
            what + " is too large for one");
  EXPECT_EQ(SetPasswordFromFile(File(std::string(10'000, 'x')), options_),
            what + " is too large for one");
  EXPECT_EQ(SetPasswordFromFile(folder_ + "/none", options_),
            "the password file " + folder_ + "/none: No such file or directory");
  EXPECT_EQ(SetPasswordFromFile(folder_, options_),
            "the password file " + folder_ + ": Is a directory");
  EXPECT_EQ(options_.password, "");
}

TEST_F(Passwords, AreReadFromTheEnvironment) {
  options_.password = "before";
  EXPECT_EQ(SetPasswordFromEnvironment(options_), "");
  EXPECT_EQ(options_.password, "before");
  setenv("FFGRANT_PASSWORD", "", 1);
  setenv("FFGRANT_PASSWORD_FILE", "", 1);
  EXPECT_EQ(SetPasswordFromEnvironment(options_), "");
  EXPECT_EQ(options_.password, "before");
  setenv("FFGRANT_PASSWORD", "hunter2", 1);
  EXPECT_EQ(SetPasswordFromEnvironment(options_), "");
  EXPECT_EQ(options_.password, "hunter2");
  setenv("FFGRANT_PASSWORD_FILE", File("hunter3\n").c_str(), 1);
  EXPECT_EQ(SetPasswordFromEnvironment(options_),
            "FFGRANT_PASSWORD and FFGRANT_PASSWORD_FILE are both set");
  EXPECT_EQ(options_.password, "hunter2");
  unsetenv("FFGRANT_PASSWORD");
  EXPECT_EQ(SetPasswordFromEnvironment(options_), "");
  EXPECT_EQ(options_.password, "hunter3");
}

// ---- TLS -------------------------------------------------------------------------------

class TlsVariables : public ::testing::Test {
 protected:
  ~TlsVariables() override {
    for (const char* const name : kNames) unsetenv(name);
  }
  static constexpr std::array kNames = {"FFGRANT_TLS_CA_FILE", "FFGRANT_TLS_SERVER_NAME",
                                        "FFGRANT_TLS_CERTIFICATE_FILE", "FFGRANT_TLS_KEY_FILE"};
};

TEST_F(TlsVariables, AreRead) {
  ClientOptions options;
  options.tls.ca_file = "before";
  EXPECT_EQ(SetTlsFromEnvironment(options), "");
  EXPECT_EQ(options.tls.ca_file, "before");
  for (const char* const name : kNames) setenv(name, name + std::strlen("FFGRANT_"), 1);
  EXPECT_EQ(SetTlsFromEnvironment(options), "");
  EXPECT_EQ(options.tls.ca_file, "TLS_CA_FILE");
  EXPECT_EQ(options.tls.server_name, "TLS_SERVER_NAME");
  EXPECT_EQ(options.tls.certificate_file, "TLS_CERTIFICATE_FILE");
  EXPECT_EQ(options.tls.key_file, "TLS_KEY_FILE");
  EXPECT_FALSE(options.tls.enabled);
  for (const char* const name : {"FFGRANT_TLS_CERTIFICATE_FILE", "FFGRANT_TLS_KEY_FILE"}) {
    ClientOptions other;
    setenv(name, "", 1);
    EXPECT_EQ(SetTlsFromEnvironment(other),
              "FFGRANT_TLS_CERTIFICATE_FILE and FFGRANT_TLS_KEY_FILE go together");
    EXPECT_EQ(other.tls.ca_file, "");
    setenv(name, "x", 1);
  }
}

}  // namespace
}  // namespace ffgrant::valkey
