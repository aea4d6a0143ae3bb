// SPDX-License-Identifier: Apache-2.0
//
// Keeps connections that ended, or may end, with a command on them whose fate nobody knows: the
// command may still reach its server, however late. What is read about the command becomes final
// only when, for each such connection, one of these has happened: the connection has been shut on
// its server, the server's process has ended, or the answer to the command has come after all. It
// is not enough that another node has the command's slot now, or that a replica has been promoted
// in place of the server: the server may get the slot back before the command arrives.
//
// A server is known by what it says of itself: the run id of its process, and in a cluster its node
// id. A server is never known by its address alone: one server can have several addresses, and an
// address can be given to another server. If a server does not say who it is, a connection to it
// stays here for good, unless the answers still come.

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
#include <unordered_set>
#include <vector>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// What a server said about itself. A text that the server did not give is empty.
struct ServerIdentity {
  std::string_view node_id = {};  // set for a node of a cluster
  std::string_view run_id = {};   // the run id of the server's process
  Endpoint endpoint = {};         // where the server was found; decides nothing in a cluster
  bool cluster = false;
  // The server's process started no later than this, by the client's clock; -1 if unknown.
  std::int64_t latest_start = -1;
};

// The key by which a caller asks for a command later; a command that nobody will ask for has
// kNoKey. If two commands share a key, every answer about the key is about both.
using CommandKey = std::uint64_t;
inline constexpr CommandKey kNoKey = 0;
inline constexpr CommandKey kEveryKey = UINT64_MAX;  // any command may be lost on the connection

// Shared by the clients of one ledger. Thread-safe; every function holds a lock, but only for a
// short time.
class LostConnections {
 public:
  // If one of these limits is reached, an Add() that needs a new entry first gives up the oldest
  // connections. AddKey(), and an Add() that finds an entry, give up their key if there are
  // kMaxKeys already, or if the connection of AddKey() is not here any more. What was given up
  // can't be settled any more.
  static constexpr std::size_t kMaxEntries = 4096;
  static constexpr std::size_t kMaxKeys = std::size_t{1} << 18;

  // Notes that the command `key`, which writes, is lost on connection `client_id` to `server`.
  // `client_id` must be 0 if the connection's id is unknown, or if the connection may not be shut.
  // `heard_at` is when the server was last heard of. `open` says whether the connection still
  // stands, so that its answers may still come; see Resolve(). Returns the number that the
  // connection has in this object.
  std::uint64_t Add(const ServerIdentity& server, std::int64_t client_id, std::int64_t heard_at,
                    CommandKey key, bool open);
  // Notes that another command is lost on the connection `number`.
  void AddKey(std::uint64_t number, CommandKey key);
  // Notes that this side has closed the connection `number`.
  void Close(std::uint64_t number);
  // Notes that no command on the connection `number` can be executed any more.
  void Resolve(std::uint64_t number);
  // Notes that the connection `number` can't be shut by its id, because the server refused CLIENT
  // KILL.
  void SetUnfenceable(std::uint64_t number);

  // Notes that `server` has been reached: forgets the connections that ended together with an
  // earlier process of this server.
  void OnServer(const ServerIdentity& server);

  struct Fence {
    std::uint64_t number = 0;
    std::int64_t client_id = 0;
  };
  // Returns a connection to the process `run_id` that this side has closed and that can be shut on
  // that process; returns nothing if there is none.
  std::optional<Fence> NextFence(std::string_view run_id) const;

  // A lost connection, and where it led to.
  struct Target {
    std::uint64_t number = 0;
    std::string node_id;
    std::string run_id;
    Endpoint endpoint;
    bool fenceable = false;  // this side has closed it, and its id is known
    bool open = false;
  };
  // Sets `targets` to the connections that may still carry the command `key`. Connections and keys
  // that were given up are missing there; IsSettled() takes them into account.
  void List(CommandKey key, std::vector<Target>& targets) const;
  // Whether it is certain that no connection still carries the command `key`.
  bool IsSettled(CommandKey key) const;

  std::size_t size() const;

 private:
  static constexpr std::size_t kGivenUpBits = std::size_t{1} << 16;
  struct Entry {
    std::uint64_t number = 0;
    std::string node_id;
    std::string run_id;
    Endpoint endpoint;
    bool cluster = false;
    std::int64_t client_id = 0;
    std::int64_t heard_at = 0;
    bool open = false;
    bool every_key = false;
    std::unordered_set<CommandKey> keys;

    bool Has(CommandKey key) const noexcept;
  };
  static bool IsGone(const Entry& entry, const ServerIdentity& server) noexcept;
  Entry* Find(std::uint64_t number) noexcept;
  void AddTo(Entry& entry, CommandKey key);
  void GiveUp(CommandKey key) noexcept;
  void GiveUpTheOldest();
  bool IsGivenUp(CommandKey key) const noexcept;
  void Remove(const Entry& entry) noexcept { keys_ -= entry.keys.size(); }

  mutable std::mutex mutex_;
  std::deque<Entry> entries_;  // sorted by number
  std::uint64_t next_number_ = 1;
  std::size_t keys_ = 0;  // how many keys the entries have in all
  // Marks the keys that were given up; the lowest bits of a key choose its mark.
  std::bitset<kGivenUpBits> given_up_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_LOST_CONNECTIONS_H_
