// SPDX-License-Identifier: Apache-2.0
//
// What the client needs of the world outside: byte streams, a clock, and
// chance. The client itself makes no system call, so that tests and fuzzers can
// put every fault and every delay where they want it.

#ifndef FFGRANT_VALKEY_NETWORK_H_
#define FFGRANT_VALKEY_NETWORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ffgrant/config.h"

FFGRANT_API_BEGIN
namespace ffgrant::valkey {

// A host that begins with '/' is the path of a unix socket, whose port counts for
// nothing. No server can name such a one: ParseEndpoint() and tables of slots have none.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  bool is_unix() const noexcept { return host.starts_with('/'); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Parses HOST:PORT; the host may hold colons itself (IPv6), in a pair of brackets
// or not. A host with a slash is none. URLs: server_url.h.
// False, and `out` untouched, for anything else.
bool ParseEndpoint(std::string_view text, Endpoint& out);

enum class IoStatus : std::uint8_t {
  kDone,
  kWouldBlock,   // nothing happened; Network::Wait() says when to try again
  kInterrupted,  // nothing happened; try again at once (EINTR)
  kClosed,       // the peer ended the stream
  kFailed,       // reset, refused, no such host, ...
  kRefused,      // and will again: the other end is not who it should be, or refuses us
};

struct IoResult {
  IoStatus status = IoStatus::kDone;
  std::size_t size = 0;  // bytes moved, with kDone: at least 1
};

// One byte stream. None of the calls blocks, throws, or raises SIGPIPE. One thread
// at a time.
class Stream {
 public:
  virtual ~Stream() = default;
  // Begins to look the host up, where it is a name, and to connect. kDone,
  // kWouldBlock (then FinishOpen() until it says otherwise), kFailed or kRefused.
  virtual IoStatus Open(const Endpoint& endpoint) noexcept = 0;
  virtual IoStatus FinishOpen() noexcept = 0;
  // For the next Open(): how long its caller will wait for it. The addresses that a
  // name has are tried within that time.
  virtual void SetOpenLimit(std::int64_t /*limit_ms*/) noexcept {}
  // Why the last Open() failed, or what it is waiting for, or why reading or writing
  // failed. Empty if there is nothing to tell. Until the next call.
  virtual std::string_view WhyNotOpen() const noexcept { return {}; }
  virtual IoResult Read(std::span<char> into) noexcept = 0;
  virtual IoResult Write(std::string_view bytes) noexcept = 0;
  // Open() may be called again after it.
  virtual void Close() noexcept = 0;
};

// What is waited for: that the stream can be read, or also that it can be
// written, or that FinishOpen() has something to do. One that was not opened is
// never ready.
struct StreamInterest {
  Stream* stream = nullptr;
  bool or_writable = false;
};

class Network {
 public:
  virtual ~Network() = default;
  virtual std::unique_ptr<Stream> NewStream() = 0;
  // Returns when one of the streams is ready or `timeout_ms` (>= 0) have
  // passed, or earlier for no reason.
  virtual void Wait(std::span<const StreamInterest> interests,
                    std::int64_t timeout_ms) noexcept = 0;
  // Ends the Wait() under way, or else the next one. From any thread. By default
  // it does nothing: for a network that one thread uses.
  virtual void Wake() noexcept {}
  // For a loop of somebody else's. A descriptor that is readable whenever a Wait() for what
  // Arm() was last given would return because of a stream, or after Wake() until the next
  // Wait(); -1: this network has none. Not to be read or closed.
  virtual int Descriptor() noexcept { return -1; }
  // Returns `timeout_ms`, or less if FinishOpen() has something to do before.
  virtual std::int64_t Arm(std::span<const StreamInterest> /*interests*/,
                           std::int64_t timeout_ms) noexcept {
    return timeout_ms;
  }
  // Milliseconds that only grow, from any beginning that is not negative. From any
  // thread.
  virtual std::int64_t NowMs() noexcept = 0;
  // 64 random bits, for the jitter of waits.
  virtual std::uint64_t Random() noexcept = 0;
};

// What a look-up of a name found: addresses as "127.0.0.1", "::1", "fe80::1%eth0",
// those to be preferred first; without any, `error` says why.
struct NameAddresses {
  std::vector<std::string> addresses;
  std::string error;
};

// Looks a name up, and may take as long as it likes. Called from threads of its own,
// of several names at once; must not throw.
using NameLookup = std::function<NameAddresses(const std::string& name)>;

struct SocketOptions {
  // Seconds of silence after which TCP asks whether the other end is there, and then
  // thrice in half of that time in all; 0: never.
  std::int64_t keepalive_s = 60;
};

// TCP without delay (TCP_NODELAY), and unix sockets; the monotonic clock. One object
// serves one client.
//
// Names are looked up by getaddrinfo(), or by `look_up`, in threads that nobody
// waits for, not even at the end of the process; several networks share what one
// found, for a second. Addresses need no look-up. All addresses of a name are tried
// in the order that was found: the next one at once when one is refused, else after
// a part of the stream's open limit (250 ms at most), while the earlier ones are
// still tried; the first that connects is taken.
std::unique_ptr<Network> MakeSocketNetwork(NameLookup look_up = {},
                                           const SocketOptions& options = {});

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_NETWORK_H_
