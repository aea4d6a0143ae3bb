// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/network.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace ffgrant::valkey
