// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/network.h"

#include <charconv>
#include <system_error>

namespace ffgrant::valkey {

bool ParseEndpoint(std::string_view text, Endpoint& out) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) return false;
  if (host.empty() || host.find_first_of("[]/") != std::string_view::npos) return false;
  out.host.assign(host);
  out.port = port;
  return true;
}

}  // namespace ffgrant::valkey
