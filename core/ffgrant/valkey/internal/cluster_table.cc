// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/cluster_table.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <utility>

#include "ffgrant/hash_slot.h"

namespace ffgrant::valkey::internal {
namespace {

bool ById(const Member& a, const Member& b) noexcept { return a.id < b.id; }

std::string_view TakeWord(std::string_view& line) noexcept {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

bool HasFlag(std::string_view flags, std::string_view flag) noexcept {
  while (!flags.empty()) {
    const std::size_t end = std::min(flags.find(','), flags.size());
    if (flags.substr(0, end) == flag) return true;
    flags.remove_prefix(std::min(end + 1, flags.size()));
  }
  return false;
}

// Reads a line of CLUSTER NODES:
//   ID HOST:PORT@BUS[,HOSTNAME...] FLAG[,FLAG...] PRIMARY|- PING PONG EPOCH LINK [SLOTS...]
// Returns nothing for any other line, and for a node that has just been met, whose id is not known
// yet.
std::optional<Member> ReadMember(std::string_view line, const Endpoint& own, bool& is_own) {
  Member member;
  member.id = TakeWord(line);
  std::string_view address = TakeWord(line);
  const std::string_view flags = TakeWord(line);
  for (int i = 0; i < 3; ++i) (void)TakeWord(line);
  const std::string_view epoch = TakeWord(line);
  const auto [end, error] =
      std::from_chars(epoch.data(), epoch.data() + epoch.size(), member.epoch);
  if (member.id.empty() || error != std::errc() || end != epoch.data() + epoch.size() ||
      HasFlag(flags, "handshake")) {
    return std::nullopt;
  }
  is_own = HasFlag(flags, "myself");
  member.primary = HasFlag(flags, "master");
  address = address.substr(0, address.find_first_of("@,"));
  member.endpoint.port = 0;  // the address is not known yet
  if (is_own) {
    member.endpoint = own;
  } else {
    (void)ParseEndpoint(address, member.endpoint);
  }
  return member;
}

std::optional<std::int64_t> IntegerIn(const Reply& reply, std::int64_t least,
                                      std::int64_t most) noexcept {
  if (!reply.is(Reply::Type::kInteger) || reply.integer < least || reply.integer > most) {
    return std::nullopt;
  }
  return reply.integer;
}

// Reads a node in CLUSTER SLOTS: [host, port, id, ...]. A nil or empty host stands for the host of
// the node that answers; "?" says that this node doesn't know the host.
std::optional<Member> ReadSlotNode(const Reply& node, const std::string& own_host) {
  if (node.elements().size() < 2) return std::nullopt;
  const Reply& host = node.elements()[0];
  const auto port = IntegerIn(node.elements()[1], 1, 65535);
  if (!port || host.text == "?" || host.text.starts_with('/')) return std::nullopt;
  if (!host.is(Reply::Type::kString) && !host.is(Reply::Type::kNil)) return std::nullopt;
  Member member;
  member.id = node.TextAt(2).value_or("");
  member.endpoint = {.host = host.text.empty() ? own_host : std::string(host.text),
                     .port = static_cast<std::uint16_t>(*port)};
  return member;
}

}  // namespace

bool HasIds(const std::vector<Member>& members) noexcept {
  return !members.empty() && !members.back().id.empty();
}

bool HasId(const std::vector<Member>& members, std::string_view id) noexcept {
  const auto found =
      std::lower_bound(members.begin(), members.end(), id,
                       [](const Member& m, std::string_view wanted) { return m.id < wanted; });
  return found != members.end() && found->id == id;
}

void ReadMembers(std::string_view text, const Endpoint& own, std::vector<Member>& members,
                 std::string& own_id) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    bool is_own = false;
    auto member = ReadMember(line, own, is_own);
    if (!member) continue;
    if (is_own) own_id = member->id;
    members.push_back(*std::move(member));
  }
  std::sort(members.begin(), members.end(), ById);
}

bool HasSlots(const Reply& table, const std::string& own_host) {
  return table.is(Reply::Type::kArray) &&
         std::any_of(table.elements().begin(), table.elements().end(),
                     [&](const Reply& range) { return ReadRange(range, own_host).has_value(); });
}

std::optional<SlotRange> ReadRange(const Reply& range, const std::string& own_host) {
  if (range.elements().size() < 3) return std::nullopt;
  const auto first = IntegerIn(range.elements()[0], 0, kHashSlotCount - 1);
  const auto last = IntegerIn(range.elements()[1], 0, kHashSlotCount - 1);
  auto primary = ReadSlotNode(range.elements()[2], own_host);
  if (!first || !last || *first > *last || !primary) return std::nullopt;
  primary->primary = true;
  return SlotRange{*first, *last, *std::move(primary)};
}

void AddTable(const Reply& table, const std::string& own_host, std::vector<Member>& members) {
  const bool known = !members.empty();
  std::unordered_map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < members.size(); ++i) seen.emplace(members[i].id, i);
  for (const Reply& range : table.elements()) {
    for (std::size_t i = 2; i < range.elements().size(); ++i) {
      auto node = ReadSlotNode(range.elements()[i], own_host);
      if (!node) continue;
      node->primary = i == 2;
      if (known) {
        const auto found = seen.find(node->id);
        if (found != seen.end()) members[found->second].endpoint = node->endpoint;
        continue;
      }
      const std::string key =
          node->id + " " + node->endpoint.host + " " + std::to_string(node->endpoint.port);
      if (seen.emplace(key, members.size()).second) members.push_back(*std::move(node));
    }
  }
  std::sort(members.begin(), members.end(), ById);
}

}  // namespace ffgrant::valkey::internal
