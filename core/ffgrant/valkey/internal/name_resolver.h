// SPDX-License-Identifier: Apache-2.0
//
// Names of hosts to addresses, without anybody waiting for it: a look-up may take
// as long as the system lets it (20 s where a DNS server is silent), and runs in a
// thread of its own.

#ifndef FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_
#define FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ffgrant/valkey/network.h"

namespace ffgrant::valkey::internal {

// Ends the wait for a network by a descriptor that becomes readable.
class Wakeup {
 public:
  Wakeup();  // valid() is false if the system has no descriptor left
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  bool valid() const noexcept { return fd_ >= 0; }
  int fd() const noexcept { return fd_; }
  void Notify() noexcept;  // from any thread
  void Clear() noexcept;

 private:
  int fd_;
};

// Looks names up by `look_up`, a name once at a time however many ask for it. What
// was found is kept for kKeepMs after it was asked for, no longer: a name's addresses
// change when a server is replaced. (It is kept longer until somebody asks, up to
// kKeepUnusedMs: a look-up may take longer than any call.) At most kMostThreads names are looked up
// at once; further ones wait, up to kMostNames. So a DNS server that is silent for one zone does
// not hold up the others.
//
// A look-up that hangs is left to itself: neither the destructor nor the end of
// the process waits for it. Thread-safe; allocates.
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

  // The answer, if there is one. Else nothing, and `wakeup` is notified when there
  // is: ask again then. Never blocks.
  std::optional<NameAddresses> Find(const std::string& name, const std::weak_ptr<Wakeup>& wakeup);

  // Forgets what was found for `name`: none of its addresses can be connected to.
  void Forget(const std::string& name);

  // The process' own, which uses getaddrinfo(). After fork() the child has another.
  static NameResolver& OfProcess();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// By getaddrinfo(): TCP, both families, in the order that the system prefers.
NameAddresses LookUpWithSystem(const std::string& name);

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_NAME_RESOLVER_H_
