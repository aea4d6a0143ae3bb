// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/server_url.h"

#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ffgrant::valkey {
namespace {

constexpr std::uint16_t kDefaultPort = 6379;
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kMaxPasswordSize = 4096;

constexpr const char* kPasswordInUrl =
    "a password does not belong in a URL: put it into FFGRANT_PASSWORD, or into a file that "
    "FFGRANT_PASSWORD_FILE names";
constexpr const char* kNoAddress =
    "a server is HOST:PORT, valkey://[USER@]HOST[:PORT][/0], valkeys:// (TLS) or unix:///PATH";
constexpr const char* kBareIpv6 = "an IPv6 address stands in brackets: [::1]:6379";

// What the text of one server says, or why this text can't be used.
struct Server {
  Endpoint endpoint;
  std::string username;
  bool tls = false;
  std::string problem;
};

Server Problem(std::string text) {
  Server server;
  server.problem = std::move(text);
  return server;
}

char Lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int HexDigit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Returns `text` with %XX decoded; nothing if a %XX is broken or the result would hold a zero byte.
std::optional<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = high < 0 ? -1 : HexDigit(text[i + 2]);
      if (low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

// Cuts `text` off before the first `end`, and returns what comes after that `end`. If there is no
// `end`, leaves `text` whole and returns an empty text.
std::string_view CutAt(std::string_view& text, char end) {
  const std::size_t at = std::min(text.find(end), text.size());
  const std::string_view rest = text.substr(std::min(at + 1, text.size()));
  const bool found = at < text.size();
  text = text.substr(0, at);
  return found ? rest : std::string_view();
}

// Whether a text can be a host. Without this check, other texts would be looked up, and shown in
// errors.
bool IsHost(std::string_view host) noexcept {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return c > ' ' && c < '\x7f' &&
           std::string_view("/?#@\\\"<>").find(c) == std::string_view::npos;
  });
}

// Whether `where` is an IPv6 address without brackets. Its last group of digits can't be told from
// a port.
bool IsBareIpv6(std::string_view where) noexcept {
  return !where.starts_with('[') && where.find(':') != where.rfind(':');
}

Server ReadUrl(std::string_view scheme_text, std::string_view rest) {
  std::string scheme(scheme_text);
  std::transform(scheme.begin(), scheme.end(), scheme.begin(), Lower);
  if (scheme.find("sentinel") != std::string::npos) {
    return Problem("Sentinel is not supported: name the servers themselves, several with commas");
  }
  const bool is_unix = scheme == "unix";
  const bool tls = scheme == "valkeys" || scheme == "rediss";
  if (!is_unix && !tls && scheme != "valkey" && scheme != "redis") {
    return Problem("of URLs valkey://, valkeys:// (or redis://, rediss://) and unix:// are known");
  }

  Server server;
  server.tls = tls;
  const std::size_t path_at = std::min(rest.find_first_of("/?#"), rest.size());
  // A password may hold any byte, so the @ may come after what looks like the end of the host.
  if (!is_unix && rest.find('@', path_at) != std::string_view::npos) return Problem(kPasswordInUrl);
  const std::size_t at = rest.substr(0, path_at).rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view user = rest.substr(0, at);
    if (user.find(':') != std::string_view::npos) return Problem(kPasswordInUrl);
    auto decoded = Decoded(user);
    if (!decoded) return Problem("the user in the URL has a broken %XX");
    server.username = *std::move(decoded);
    rest.remove_prefix(at + 1);
  }
  if (rest.find('#') != std::string_view::npos) return Problem("a server's URL has no fragment");
  const std::string_view query = CutAt(rest, '?');
  if (!query.empty() && query != "db=0") {
    return Problem(query.starts_with("db=") ? "only database 0 is supported"
                                            : "of a URL's parameters only db=0 is known");
  }
  if (is_unix) {
    if (!rest.starts_with('/')) return Problem("unix:// takes an absolute path: unix:///PATH");
    auto path = Decoded(rest);
    if (!path) return Problem("the path in the URL has a broken %XX");
    if (path->size() < 2 || path->size() > kMaxUnixPath) {
      return Problem("the path of a unix socket has 2 to " + std::to_string(kMaxUnixPath) +
                     " bytes");
    }
    server.endpoint = {.host = *std::move(path), .port = 0};
    return server;
  }
  const std::string_view database = CutAt(rest, '/');
  if (!database.empty() && database != "0") return Problem("only database 0 is supported");
  if (!IsHost(rest)) return Problem(kNoAddress);
  if (IsBareIpv6(rest)) return Problem(kBareIpv6);
  std::string where(rest);
  const bool ends_in_bracket = where.ends_with(']');
  if (ends_in_bracket || where.find(':') == std::string::npos) {
    where += ":" + std::to_string(kDefaultPort);
  }
  if (!ParseEndpoint(where, server.endpoint)) return Problem(kNoAddress);
  return server;
}

Server Read(std::string_view text) {
  const std::size_t scheme_end = text.find("://");
  if (scheme_end != std::string_view::npos) {
    return ReadUrl(text.substr(0, scheme_end), text.substr(scheme_end + 3));
  }
  if (!IsHost(text)) return Problem(kNoAddress);
  if (IsBareIpv6(text)) return Problem(kBareIpv6);
  Server server;
  if (!ParseEndpoint(text, server.endpoint)) return Problem(kNoAddress);
  return server;
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::string SetServers(std::string_view text, ClientOptions& options) {
  std::vector<Endpoint> servers;
  std::string username;
  bool tls = false;
  for (bool more = true; more;) {
    more = text.find(',') != std::string_view::npos;
    std::string_view item = text;
    text = CutAt(item, ',');
    Server server = Read(item);
    if (!server.problem.empty()) return server.problem;
    if (!servers.empty() && server.username != username) {
      return "all servers of one client have the same user";
    }
    if (!servers.empty() && server.tls != tls)
      return "all servers of one client speak TLS, or none";
    username = std::move(server.username);
    tls = server.tls;
    servers.push_back(std::move(server.endpoint));
  }
  // Never alone: `tls`: the libraries that coverage is measured with have TLS.
  // Never true: `!HasTls()`: the libraries that coverage is measured with have TLS.
  if (tls && !HasTls())
    // Never reached: the libraries that coverage is measured with have TLS.
    return "valkeys:// means TLS, and this library was built without it (CMake option FFGRANT_TLS)";
  options.servers = std::move(servers);
  options.tls.enabled |= tls;
  if (!username.empty()) options.username = std::move(username);
  return "";
}

std::string SetPasswordFromFile(const std::string& path, ClientOptions& options) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  const std::string what = "the password file " + path;
  if (file == nullptr) return what + ": " + std::strerror(errno);
  std::array<char, kMaxPasswordSize + 3> bytes;  // room for the line end, and for one byte too many
  const std::size_t size = std::fread(bytes.data(), 1, bytes.size(), file.get());
  if (std::ferror(file.get()) != 0) return what + ": " + std::strerror(errno);
  std::string_view text(bytes.data(), size);
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return what + " is empty";
  if (text.size() > kMaxPasswordSize) return what + " is too large for one";
  if (text.find_first_of("\r\n") != std::string_view::npos) return what + " has several lines";
  options.password.assign(text);
  return "";
}

std::string SetPasswordFromEnvironment(ClientOptions& options) {
  const std::string password = Variable("FFGRANT_PASSWORD");
  const std::string path = Variable("FFGRANT_PASSWORD_FILE");
  if (!password.empty() && !path.empty()) {
    return "FFGRANT_PASSWORD and FFGRANT_PASSWORD_FILE are both set";
  }
  if (!path.empty()) return SetPasswordFromFile(path, options);
  if (!password.empty()) options.password = password;
  return "";
}

std::string SetTlsFromEnvironment(ClientOptions& options) {
  const std::string certificate = Variable("FFGRANT_TLS_CERTIFICATE_FILE");
  const std::string key = Variable("FFGRANT_TLS_KEY_FILE");
  if (certificate.empty() != key.empty()) {
    return "FFGRANT_TLS_CERTIFICATE_FILE and FFGRANT_TLS_KEY_FILE go together";
  }
  const auto set = [](std::string& option, std::string value) {
    if (!value.empty()) option = std::move(value);
  };
  set(options.tls.ca_file, Variable("FFGRANT_TLS_CA_FILE"));
  set(options.tls.server_name, Variable("FFGRANT_TLS_SERVER_NAME"));
  set(options.tls.certificate_file, certificate);
  set(options.tls.key_file, key);
  return "";
}

}  // namespace ffgrant::valkey
