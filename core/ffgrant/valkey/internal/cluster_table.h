// SPDX-License-Identifier: Apache-2.0
//
// What a node of a cluster says of the cluster, read from its replies.

#ifndef FFGRANT_VALKEY_INTERNAL_CLUSTER_TABLE_H_
#define FFGRANT_VALKEY_INTERNAL_CLUSTER_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/valkey/internal/reply.h"
#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// A node as a table of the cluster names it.
struct Member {
  std::string id;     // empty: the table doesn't tell
  Endpoint endpoint;  // port 0: nobody knows where it is
  bool primary = false;
  std::uint64_t epoch = 0;  // of a primary's configuration
};

// The host of a server beside the one at `endpoint`, on its machine: this one, if that was
// found at a unix socket.
inline std::string HostBeside(const Endpoint& endpoint) {
  return endpoint.is_unix() ? "127.0.0.1" : endpoint.host;
}

// Whether the members have ids (all of them have, or none), and whether one of them has `id`.
bool HasIds(const std::vector<Member>& members) noexcept;
bool HasId(const std::vector<Member>& members, std::string_view id) noexcept;

// Appends what CLUSTER NODES says to `members`, which are then sorted by id; `own` is the
// address of the node that says so, `own_id` gets its id. Lines that are none are
// passed over, and so are nodes that have just been met, whose ids are not known yet.
void ReadMembers(std::string_view text, const Endpoint& own, std::vector<Member>& members,
                 std::string& own_id);

struct SlotRange {
  std::int64_t first;  // 0..16383
  std::int64_t last;   // not below `first`
  Member primary;
};

// An element of CLUSTER SLOTS: [first, last, primary, replica...], where a node is
// [host, port, id, ...]. The host is nil or empty where it is `own_host`, that of the
// node which answers, and "?" where that node doesn't know it. Empty if `range` is
// none, or its primary's address is not known. No server is at a path: none may lead the
// client to a unix socket.
std::optional<SlotRange> ReadRange(const Reply& range, const std::string& own_host);
// Whether `table`, which CLUSTER SLOTS answered, has a range at all.
bool HasSlots(const Reply& table, const std::string& own_host);

// `members` gets the addresses that the table has for them, which are the ones to be
// used. Without any, all nodes that the table names are the members. Sorted by id.
void AddTable(const Reply& table, const std::string& own_host, std::vector<Member>& members);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLUSTER_TABLE_H_
