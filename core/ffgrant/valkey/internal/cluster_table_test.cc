// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/cluster_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace ffgrant::valkey::internal {
namespace {

const Endpoint kOwn = {.host = "here", .port = 1234};

std::vector<Member> Read(const std::string& text, std::string* own_id = nullptr) {
  std::vector<Member> members;
  std::string id;
  ReadMembers(text, kOwn, members, id);
  if (own_id != nullptr) *own_id = id;
  return members;
}

TEST(ReadMembers, TakesWhatServersSay) {
  std::string own;
  const auto members = Read(
      "bb 10.0.0.2:7000@17000,host-2,shard-id=1 master - 0 1426238316232 7 connected 5461-10922\n"
      "cc :7001@17001 myself,slave bb 0 0 7 connected\r\n"
      "aa ::1:7002@17002 master,fail? - 0 0 18446744073709551615 connected 0-5460 [1->-bb]\n"
      "dd :0@0 master,noaddr - 0 0 0 disconnected\n"
      "ee 10.0.0.9:6379 slave,fail bb 0 0 3 connected",
      &own);
  ASSERT_EQ(members.size(), 5u);
  EXPECT_EQ(own, "cc");
  EXPECT_EQ(members[0].id, "aa");
  EXPECT_EQ(members[0].endpoint, (Endpoint{"::1", 7002}));
  EXPECT_TRUE(members[0].primary);
  EXPECT_EQ(members[0].epoch, UINT64_MAX);
  EXPECT_EQ(members[1].endpoint, (Endpoint{"10.0.0.2", 7000}));
  EXPECT_EQ(members[1].epoch, 7u);
  EXPECT_EQ(members[2].endpoint, kOwn) << "where it was found";
  EXPECT_FALSE(members[2].primary);
  EXPECT_EQ(members[3].endpoint.port, 0) << "nobody knows where";
  EXPECT_EQ(members[4].endpoint, (Endpoint{"10.0.0.9", 6379}));
  EXPECT_TRUE(HasIds(members));
  EXPECT_TRUE(HasId(members, "dd"));
  EXPECT_FALSE(HasId(members, "d"));
  EXPECT_FALSE(HasId(members, "zz"));
}

TEST(ReadMembers, PassesOverWhatIsNone) {
  EXPECT_TRUE(Read("").empty());
  EXPECT_TRUE(Read("\n\r\n \n").empty());
  EXPECT_TRUE(Read("aa 10.0.0.2:7000@17000 master - 0 0").empty()) << "no epoch";
  EXPECT_TRUE(Read("aa 10.0.0.2:7000@17000 master - 0 0 x connected").empty());
  EXPECT_TRUE(Read("aa 10.0.0.2:7000@17000 master - 0 0 -1 connected").empty());
  EXPECT_TRUE(Read("aa 10.0.0.2:7000@17000 master - 0 0 1x connected").empty());
  EXPECT_TRUE(Read(" 10.0.0.2:7000@17000 master - 0 0 1 connected").empty()) << "no id";
  EXPECT_TRUE(Read("aa 10.0.0.2:7000@17000 master,handshake - 0 0 1 connected").empty());
  const auto members = Read("x\naa 10.0.0.2:7000@17000 handshaken - 0 0 1 connected\ny\n");
  ASSERT_EQ(members.size(), 1u) << "a flag that only begins like one";
  EXPECT_FALSE(members[0].primary);
  for (const std::string address : {"", "@", "nowhere", "10.0.0.2:", "10.0.0.2:0@1", ",host"}) {
    const auto one = Read("aa " + address + " master - 0 0 1 connected");
    ASSERT_EQ(one.size(), 1u) << address;
    EXPECT_EQ(one[0].endpoint.port, 0) << address;
  }
}

Reply Text(std::string_view text) {
  Reply reply;
  reply.type = Reply::Type::kString;
  reply.text = text;
  return reply;
}
Reply Number(std::int64_t value) {
  Reply reply;
  reply.type = Reply::Type::kInteger;
  reply.integer = value;
  return reply;
}
Reply List(const std::vector<Reply>& elements) {
  Reply reply;
  reply.type = Reply::Type::kArray;
  reply.SetElements(elements);
  return reply;
}

TEST(ReadRange, TakesTheWholeRangeOfSlotsAndPorts) {
  const std::vector<Reply> node = {Text("h"), Number(65535), Text("id")};
  const std::vector<Reply> range = {Number(0), Number(16383), List(node)};
  const auto read = ReadRange(List(range), "own");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->first, 0);
  EXPECT_EQ(read->last, 16383);
  EXPECT_EQ(read->primary.endpoint, (Endpoint{"h", 65535}));
  EXPECT_EQ(read->primary.id, "id");
  EXPECT_TRUE(read->primary.primary);
  const std::vector<Reply> all = {Number(1), List(range)};
  EXPECT_TRUE(HasSlots(List(all), "own"));
  EXPECT_FALSE(HasSlots(List({}), "own"));
  EXPECT_FALSE(HasSlots(Text("x"), "own"));
}

TEST(ReadRange, RefusesWhatIsNone) {
  const Reply nil;
  const std::vector<Reply> good = {Text("h"), Number(1), Text("id")};
  const std::vector<std::vector<Reply>> nodes = {{Text("h")},
                                                 {Text("?"), Number(1)},
                                                 {Text("/run/v.sock"), Number(1)},
                                                 {Number(1), Number(1)},
                                                 {Text("h"), Number(0)},
                                                 {Text("h"), Number(65536)},
                                                 {Text("h"), Text("1")},
                                                 {}};
  for (const auto& node : nodes) {
    const std::vector<Reply> range = {Number(0), Number(1), List(node)};
    EXPECT_FALSE(ReadRange(List(range), "own"));
  }
  const std::vector<std::vector<Reply>> ranges = {
      {Number(-1), Number(1), List(good)}, {Number(0), Number(16384), List(good)},
      {Number(2), Number(1), List(good)},  {Text("0"), Number(1), List(good)},
      {Number(0), Text("1"), List(good)},  {Number(0), Number(1)},
      {Number(0), Number(1), Number(1)}};
  for (const auto& range : ranges) EXPECT_FALSE(ReadRange(List(range), "own"));
  for (const Reply& own_host : {nil, Text("")}) {
    const std::vector<Reply> node = {own_host, Number(1)};
    const std::vector<Reply> range = {Number(0), Number(1), List(node)};
    const auto read = ReadRange(List(range), "own");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->primary.endpoint.host, "own");
    EXPECT_EQ(read->primary.id, "");
  }
}

TEST(HostBeside, AServerAtAUnixSocketIsOnThisMachine) {
  EXPECT_EQ(HostBeside({"db", 1}), "db");
  EXPECT_EQ(HostBeside({"/run/v.sock", 0}), "127.0.0.1");
}

TEST(AddTable, GivesMembersTheAddressesToBeUsed) {
  const std::vector<Reply> a = {Text("name-a"), Number(1), Text("aa")};
  const std::vector<Reply> b = {Text("name-b"), Number(2), Text("bb")};
  const std::vector<Reply> d = {Text("name-d"), Number(4), Text("dd")};
  const std::vector<Reply> first = {Number(0), Number(1), List(a), List(b), List(d)};
  const std::vector<Reply> second = {Number(2), Number(3), List(b)};
  const std::vector<Reply> table = {List(first), List(second)};
  std::vector<Member> members = Read(
      "aa 10.0.0.1:7@1 master - 0 0 5 connected\n"
      "cc 10.0.0.3:7@1 master - 0 0 6 connected\n"
      "dd 10.0.0.4:7@1 slave aa 0 0 5 connected\n");
  AddTable(List(table), "own", members);
  ASSERT_EQ(members.size(), 3u) << "who is a member, the other reply says";
  EXPECT_EQ(members[0].endpoint, (Endpoint{"name-a", 1}));
  EXPECT_EQ(members[0].epoch, 5u);
  EXPECT_EQ(members[1].endpoint, (Endpoint{"10.0.0.3", 7})) << "it has no slots";
  EXPECT_EQ(members[2].endpoint, (Endpoint{"name-d", 4})) << "a replica has its address there, too";
  EXPECT_FALSE(members[2].primary);
  std::vector<Member> none;
  AddTable(List(table), "own", none);
  ASSERT_EQ(none.size(), 3u);
  EXPECT_EQ(none[0].id, "aa");
  EXPECT_TRUE(none[0].primary);
  EXPECT_EQ(none[1].endpoint, (Endpoint{"name-b", 2}));
  EXPECT_EQ(none[2].endpoint, (Endpoint{"name-d", 4}));
  EXPECT_FALSE(none[2].primary);
}

// Whoever compares two tables goes through both in the order of the ids.
TEST(AddTable, SortsMembersById) {
  const auto node = [](const std::string& id, std::int64_t port) {
    return std::vector<Reply>{Text("host"), Number(port), Text(id)};
  };
  for (const bool known : {false, true}) {
    std::vector<std::string> ids = {"aa", "bb", "cc", "dd"};
    do {
      const std::vector<Reply> nodes[] = {node(ids[0], 1), node(ids[1], 2), node(ids[2], 3),
                                          node(ids[3], 4)};
      const std::vector<Reply> first = {Number(0), Number(1), List(nodes[0]), List(nodes[1])};
      const std::vector<Reply> second = {Number(2), Number(3), List(nodes[2]), List(nodes[3])};
      const std::vector<Reply> table = {List(first), List(second)};
      std::vector<Member> members;
      if (known) {
        members = Read(
            "bb 10.0.0.2:7@1 master - 0 0 5 connected\n"
            "dd 10.0.0.4:7@1 master - 0 0 5 connected\n"
            "cc 10.0.0.3:7@1 master - 0 0 5 connected\n"
            "aa 10.0.0.1:7@1 master - 0 0 5 connected\n");
      }
      AddTable(List(table), "own", members);
      std::vector<std::string> found;
      for (const Member& member : members) found.push_back(member.id);
      EXPECT_EQ(found, (std::vector<std::string>{"aa", "bb", "cc", "dd"}));
    } while (std::next_permutation(ids.begin(), ids.end()));
  }
}

// A node whose address nobody knows is no reason to do without the others.
TEST(AddTable, PassesOverNodesThatHaveNoAddress) {
  const std::vector<Reply> unknown = {Text("?"), Number(1), Text("aa")};
  const std::vector<Reply> no_port = {Text("name-b"), Number(0), Text("bb")};
  const std::vector<Reply> good = {Text("name-c"), Number(3), Text("cc")};
  const std::vector<Reply> range = {Number(0),     Number(1), List(unknown),
                                    List(no_port), Number(7), List(good)};
  const std::vector<Reply> table = {List(range)};
  std::vector<Member> members;
  AddTable(List(table), "own", members);
  ASSERT_EQ(members.size(), 1u);
  EXPECT_EQ(members[0].id, "cc");
  EXPECT_FALSE(members[0].primary);
  std::vector<Member> known = Read("aa 10.0.0.1:7@1 master - 0 0 5 connected\n");
  AddTable(List(table), "own", known);
  ASSERT_EQ(known.size(), 1u);
  EXPECT_EQ(known[0].endpoint, (Endpoint{"10.0.0.1", 7})) << "the address of the other reply";
}

}  // namespace
}  // namespace ffgrant::valkey::internal
