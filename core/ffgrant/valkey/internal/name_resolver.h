// SPDX-License-Identifier: Apache-2.0
//
// Looks up names of hosts without making the caller wait. A look-up may take many seconds if a DNS
// server is silent, so look-ups run in threads of their own.

#ifndef FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_
#define FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// Ends a network's wait, with a descriptor that becomes readable.
class Wakeup {
 public:
  Wakeup();  // valid() is false if the system has no descriptor left
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  bool valid() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }
  void Notify() noexcept;  // may be called from any thread
  void Clear() noexcept;

 private:
  int fd_;
};

// Looks names up by `look_up`; a name is never looked up twice at the same time, however many
// callers ask for it. An answer is kept for kKeepMs after a caller first got it, and no longer,
// because a name's addresses change when a server is replaced. (An answer that no caller has got
// yet is kept for kKeepUnusedMs, because a look-up may take longer than any caller waits.) At most
// kMostThreads names are looked up at once; up to kMostNames further names wait. So a name whose
// DNS server is silent holds up other names only if there are kMostThreads such names at once.
//
// If a look-up hangs, neither the destructor nor the end of the process waits for it. Thread-safe;
// allocates.
class NameResolver {
 public:
  static constexpr std::int64_t kKeepMs = 1000;
  static constexpr std::int64_t kKeepUnusedMs = 60'000;
  static constexpr std::size_t kMostThreads = 16;
  static constexpr std::size_t kMostNames = 1024;

  explicit NameResolver(NameLookup look_up);
  ~NameResolver();
  NameResolver(const NameResolver&) = delete;
  NameResolver& operator=(const NameResolver&) = delete;

  // Returns the answer if there is one, or an error if too many names wait already or the system
  // has no thread for the look-up. Otherwise returns nothing, and notifies `wakeup` once there is
  // an answer; the caller then has to ask again. Never blocks.
  std::optional<NameAddresses> Find(const std::string& name, const std::weak_ptr<Wakeup>& wakeup);

  // Forgets what was found for `name`. A caller does this if it can connect to none of the
  // addresses.
  void Forget(const std::string& name);

  // The resolver of the process, which uses getaddrinfo(). After fork() the child has another one.
  static NameResolver& OfProcess();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Looks up the addresses of `name` with getaddrinfo(), for TCP, IPv4 and IPv6. They are in the
// order in which getaddrinfo() returns them.
NameAddresses LookUpWithSystem(const std::string& name);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_
