// SPDX-License-Identifier: Apache-2.0
//
// A Network gives the client what it needs of the world outside: byte streams, a clock, and random
// numbers. The client itself makes no system call, so that tests and fuzzers can put every fault
// and every delay where they want it.

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

// A host that begins with '/' is the path of a unix socket, and then the port means nothing. No
// server can lead the client to such an endpoint: ParseEndpoint() and the reader of slot tables
// refuse paths.
struct Endpoint {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  bool is_unix() const noexcept { return host.starts_with('/'); }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Parses HOST:PORT, with a port of 1..65535. The host may hold colons itself (IPv6), with or
// without brackets around it, but no slash. Returns false, and leaves `out` untouched, for anything
// else. server_url.h parses URLs.
bool ParseEndpoint(std::string_view text, Endpoint& out);

enum class IoStatus : std::uint8_t {
  kDone,
  kWouldBlock,   // nothing happened; Network::Wait() says when to try again
  kInterrupted,  // nothing happened; try again at once (EINTR)
  kClosed,       // the peer ended the stream
  kFailed,       // the connection was reset or refused, there is no such host, ...
  kRefused,      // the next try will fail too: the other end is not who it should be, or refuses us
};

struct IoResult {
  IoStatus status = IoStatus::kDone;
  std::size_t size = 0;  // bytes moved; at least 1 with kDone
};

// One byte stream. None of its functions blocks, throws, or raises SIGPIPE. Only one thread at a
// time may use a stream.
class Stream {
 public:
  virtual ~Stream() = default;
  // Begins to look up the host, if the host is a name, and to connect. Returns kDone, kWouldBlock
  // (then call FinishOpen() until it returns something else), kFailed or kRefused.
  virtual IoStatus Open(const Endpoint& endpoint) noexcept = 0;
  virtual IoStatus FinishOpen() noexcept = 0;
  // Sets how long the caller of the next Open() will wait for the connection. The addresses of a
  // name are tried within that time.
  virtual void SetOpenLimit(std::int64_t /*limit_ms*/) noexcept {}
  // Returns why the last Open() failed or what it is waiting for, or why reading or writing failed.
  // Returns an empty text if there is nothing to tell. The text is valid until the next call on
  // this stream.
  virtual std::string_view WhyNotOpen() const noexcept { return {}; }
  virtual IoResult Read(std::span<char> into) noexcept = 0;
  virtual IoResult Write(std::string_view bytes) noexcept = 0;
  // Open() may be called again after Close().
  virtual void Close() noexcept = 0;
};

// Network::Wait() waits until the stream can be read, until it can be written (only with
// `or_writable`), or until FinishOpen() has something to do. A stream that was not opened is never
// ready.
struct StreamInterest {
  Stream* stream = nullptr;
  bool or_writable = false;
};

class Network {
 public:
  virtual ~Network() = default;
  // After the network has ended, the stream may only be closed.
  virtual std::unique_ptr<Stream> NewStream() = 0;
  // Returns when one of the streams is ready, after Wake(), or when `timeout_ms` (>= 0) have
  // passed. May also return earlier for no reason.
  virtual void Wait(std::span<const StreamInterest> interests,
                    std::int64_t timeout_ms) noexcept = 0;
  // Ends the Wait() that is under way, or the next one if none is. May be called from any thread.
  // The default does nothing, which is right for a network that one thread uses.
  virtual void Wake() noexcept {}
  // Returns a descriptor for an event loop that the caller already has, or -1 if this network has
  // no descriptor. The descriptor is readable whenever one of the streams that Arm() was last given
  // is ready, and after Wake() until the next Wait(). Do not read or close it.
  virtual int Descriptor() noexcept { return -1; }
  // Sets the streams that make Descriptor() readable. Returns how many ms the caller may wait for
  // the descriptor: `timeout_ms`, or less, for example if FinishOpen() has something to do earlier.
  virtual std::int64_t Arm(std::span<const StreamInterest> /*interests*/,
                           std::int64_t timeout_ms) noexcept {
    return timeout_ms;
  }
  // Returns a time in milliseconds that never goes back. Its origin is arbitrary, and it is never
  // negative. May be called from any thread.
  virtual std::int64_t NowMs() noexcept = 0;
  // Returns 64 random bits, for the jitter of waits.
  virtual std::uint64_t Random() noexcept = 0;
};

// What a look-up of a name found: addresses as "127.0.0.1", "::1", "fe80::1%eth0", the preferred
// ones first. If there are none, `error` says why.
struct NameAddresses {
  std::vector<std::string> addresses;
  std::string error;
};

// Looks a name up, and may take as long as it likes. The network calls this function from threads
// of its own, for several names at once. The function must not throw.
using NameLookup = std::function<NameAddresses(const std::string& name)>;

struct SocketOptions {
  // After this many seconds of silence TCP asks whether the other end is there. TCP asks three
  // times in all. If no answer comes, the connection fails about half of `keepalive_s`, and at
  // least 3 s, after the first question. 0: never.
  std::int64_t keepalive_s = 60;
};

// Makes a network of TCP streams without delay (TCP_NODELAY) and of unix sockets. Its clock is the
// monotonic clock. One object serves one client.
//
// Names are looked up by getaddrinfo(), or by `look_up`, in threads that nobody waits for, not even
// at the end of the process. What a look-up found is used for a second; all networks that use
// getaddrinfo() share it. Addresses need no look-up. A stream tries the addresses of a name in the
// order in which the look-up returned them, but no more than 64. If an address fails, for example
// because it refuses the connection, the stream tries the next address at once. If an address does
// not answer within a part of the stream's open limit (250 ms at most), the stream also tries the
// next address, and goes on waiting for the earlier addresses. The first address that connects is
// taken.
std::unique_ptr<Network> MakeSocketNetwork(NameLookup look_up = {},
                                           const SocketOptions& options = {});

}  // namespace ffgrant::valkey
FFGRANT_API_END

#endif  // FFGRANT_VALKEY_NETWORK_H_
