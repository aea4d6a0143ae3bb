// SPDX-License-Identifier: Apache-2.0
//
// Connections that ended, or may end, with a command on them whose fate nobody
// knows: it may still reach its server, however late. What is read of that command's
// slot is final only once each such connection has been shut on its server, or
// its server's process is gone.
//
// A server is known by what it says of itself: the run id of its process, and in a
// cluster its node id. It is never known by its address: one server can have
// several, and an address can be given to another server. A connection to a server
// that does not say who it is stays here for good.

#ifndef FFGRANT_VALKEY_INTERNAL_LOST_CONNECTIONS_H_
#define FFGRANT_VALKEY_INTERNAL_LOST_CONNECTIONS_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/hash_slot.h"
#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// What a server said of itself. Texts that it did not tell are empty.
struct ServerIdentity {
  std::string_view node_id = {};  // of a node of a cluster
  std::string_view run_id = {};   // of the process
  // Of the data's history (master_replid), and of the one that this server went on
  // from when it was promoted (master_replid2).
  std::string_view history = {};
  std::string_view former_history = {};
  Endpoint endpoint = {};  // where it was found; decides nothing in a cluster
  bool cluster = false;
  // Its process did not start after this time, by the client's clock; -1 if unknown.
  std::int64_t latest_start = -1;
};

// Shared by the clients of one ledger. Thread-safe; every call takes a short lock.
class LostConnections {
 public:
  // Entries beyond these are given up: their slots are unresolved for good.
  static constexpr std::size_t kMaxEntries = 4096;
  // An entry that names more slots than these stands for all slots.
  static constexpr std::size_t kMaxSlots = 1024;

  // A command that writes is lost on connection `client_id` (0: unknown, or it may not
  // be shut) to `server`, which was heard of at `heard_at` for the last time. Without
  // a slot: of any slot. `open`: the connection stands, and its answers may still
  // come; see Resolve(). Returns the connection's number here.
  std::uint64_t Add(const ServerIdentity& server, std::int64_t client_id, std::int64_t heard_at,
                    std::optional<std::uint16_t> slot, bool open);
  // Another command is lost on the connection `number`.
  void AddSlot(std::uint64_t number, std::optional<std::uint16_t> slot);
  // The connection `number` was closed by this side.
  void Close(std::uint64_t number);
  // Nothing of the connection `number` can be executed any more.
  void Resolve(std::uint64_t number);
  // The connection `number` can't be shut by its id: the server forbids it.
  void SetUnfenceable(std::uint64_t number);

  // `server` has been reached: forgets what went with an earlier process of its own.
  void OnServer(const ServerIdentity& server);

  struct Fence {
    std::uint64_t number = 0;
    std::int64_t client_id = 0;
  };
  // A closed connection to the process `run_id` that can be shut there.
  std::optional<Fence> NextFence(std::string_view run_id) const;

  // Numbers below it have been given so far.
  std::uint64_t next_number() const;

  // A lost connection, and where it led to.
  struct Target {
    std::uint64_t number = 0;
    std::string node_id;
    std::string run_id;
    std::string history;
    Endpoint endpoint;
    bool fenceable = false;  // closed by this side, and its id is known
    bool open = false;
  };
  // Fills in those that may still carry a command of `slot` and have numbers below
  // `before`. False if there are others, which have been given up.
  bool List(std::uint16_t slot, std::uint64_t before, std::vector<Target>& targets) const;

  // Whether a command on one of `lost` may still change what `reader` answered to a
  // read that was sent after they had been listed. One that was lost to the server
  // which `reader` has replaced as its promoted replica can't: what that server still
  // writes by itself is discarded when it comes back.
  static bool MayStillChange(const std::vector<Target>& lost,
                             const ServerIdentity& reader) noexcept;

  std::size_t size() const;

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::string node_id;
    std::string run_id;
    std::string history;
    Endpoint endpoint;
    bool cluster = false;
    std::int64_t client_id = 0;
    std::int64_t heard_at = 0;
    bool open = false;
    bool any_slot = false;
    std::vector<std::uint16_t> slots;

    bool Has(std::uint16_t slot) const noexcept;
    void AddSlot(std::optional<std::uint16_t> slot);
  };
  static bool IsGone(const Entry& entry, const ServerIdentity& server) noexcept;
  Entry* Find(std::uint64_t number) noexcept;
  void GiveUp(const Entry& entry);

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // by number
  std::uint64_t next_number_ = 1;
  std::bitset<kHashSlotCount> unresolved_;  // slots of entries that were given up
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_LOST_CONNECTIONS_H_
