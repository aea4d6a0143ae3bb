// SPDX-License-Identifier: Apache-2.0
//
// Reads what a node of a cluster says of the cluster.

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

// A node, as a table of the cluster describes it.
struct Member {
  std::string id;     // empty: the table doesn't tell the id
  Endpoint endpoint;  // port 0: the address is not known
  bool primary = false;
  std::uint64_t epoch = 0;  // the configuration epoch of the node, or of a replica's primary
};

// Returns the host of a server on the same machine as the server at `endpoint`: 127.0.0.1 for a
// unix socket.
inline std::string HostBeside(const Endpoint& endpoint) {
  return endpoint.is_unix() ? "127.0.0.1" : endpoint.host;
}

// HasIds() says whether the members have ids; either all have one, or none has. HasId() says
// whether one of the members has `id`.
bool HasIds(const std::vector<Member>& members) noexcept;
bool HasId(const std::vector<Member>& members, std::string_view id) noexcept;

// `text` is an answer to CLUSTER NODES. Appends the nodes listed in it to `members`, and then sorts
// `members` by id. `own` is the address of the node that has answered; `own_id` gets this node's
// id. Lines that describe no node are passed over, and so are nodes that have just been met, whose
// ids are not known yet.
void ReadMembers(std::string_view text, const Endpoint& own, std::vector<Member>& members,
                 std::string& own_id);

struct SlotRange {
  std::int64_t first;  // 0..16383
  std::int64_t last;   // not below `first`
  Member primary;
};

// Reads an element of CLUSTER SLOTS: [first, last, primary, replica...], where a node is [host,
// port, id, ...]. A nil or empty host stands for `own_host`, the host of the node that answers; "?"
// says that this node doesn't know the host. Returns nothing if `range` is no such element, or if
// the address of its primary is not known. A path is refused as a host: no server may lead the
// client to a unix socket.
std::optional<SlotRange> ReadRange(const Reply& range, const std::string& own_host);
// Whether `table`, an answer to CLUSTER SLOTS, has a range that ReadRange() can read.
bool HasSlots(const Reply& table, const std::string& own_host);

// Gives `members` the addresses that the table has for them; these addresses are the ones to use.
// If `members` is empty, all nodes that the table names with an address become the members. The
// result is sorted by id.
void AddTable(const Reply& table, const std::string& own_host, std::vector<Member>& members);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLUSTER_TABLE_H_
