// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/network.h"

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string_view>

namespace ffgrant::valkey {
namespace {

TEST(ParseEndpoint, TakesHostAndPort) {
  Endpoint endpoint;
  ASSERT_TRUE(ParseEndpoint("127.0.0.1:7000", endpoint));
  EXPECT_EQ(endpoint, (Endpoint{"127.0.0.1", 7000}));
  ASSERT_TRUE(ParseEndpoint("[::1]:65535", endpoint));
  EXPECT_EQ(endpoint, (Endpoint{"::1", 65535}));
  ASSERT_TRUE(ParseEndpoint("h:1", endpoint));
  EXPECT_EQ(endpoint, (Endpoint{"h", 1}));
  ASSERT_TRUE(ParseEndpoint("::1:6379", endpoint));
  EXPECT_EQ(endpoint, (Endpoint{"::1", 6379}));
  for (const std::string_view bad : {"",           ":",           "host",      "host:",
                                     "host:0",     "host:65536",  "host:1x",   ":6379",
                                     "host:-1",    "host: 1",     "[]:6379",   "[:6379",
                                     "]:6379",     "[::1:6379",   "::1]:6379", "[[::1]]:6379",
                                     "]::1[:6379", "[::1]x:6379", "[::1]",     "/run/valkey.sock:1",
                                     "a/b:1"}) {
    EXPECT_FALSE(ParseEndpoint(bad, endpoint)) << bad;
    EXPECT_EQ(endpoint, (Endpoint{"::1", 6379}));
  }
}

// A network that implements only the functions that every network must have.
class BareNetwork final : public Network {
 public:
  class BareStream final : public Stream {
   public:
    IoStatus Open(const Endpoint&) noexcept override { return IoStatus::kFailed; }
    IoStatus FinishOpen() noexcept override { return IoStatus::kFailed; }
    IoResult Read(std::span<char>) noexcept override { return {IoStatus::kFailed, 0}; }
    IoResult Write(std::string_view) noexcept override { return {IoStatus::kFailed, 0}; }
    void Close() noexcept override {}
  };

  std::unique_ptr<Stream> NewStream() override { return std::make_unique<BareStream>(); }
  void Wait(std::span<const StreamInterest>, std::int64_t) noexcept override {}
  std::int64_t NowMs() noexcept override { return 0; }
  std::uint64_t Random() noexcept override { return 0; }
};

TEST(Network, NeedsNeitherADescriptorNorReasons) {
  const std::unique_ptr<Network> network = std::make_unique<BareNetwork>();
  EXPECT_EQ(network->Descriptor(), -1);
  const std::unique_ptr<Stream> stream = network->NewStream();
  const StreamInterest interest = {stream.get(), true};
  for (const std::int64_t timeout_ms : {std::int64_t{0}, std::int64_t{7}, INT64_MAX}) {
    EXPECT_EQ(network->Arm({&interest, 1}, timeout_ms), timeout_ms);
  }
  network->Wake();
  stream->SetOpenLimit(1);
  EXPECT_EQ(stream->WhyNotOpen(), "");
}

}  // namespace
}  // namespace ffgrant::valkey
