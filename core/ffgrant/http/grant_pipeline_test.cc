// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/grant_pipeline.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "testing/live/http_server.h"
#include "testing/naive/pipe.h"

namespace ffgrant::http {
namespace {

using testing::AlwaysAnswers;
using testing::HttpResponse;
using testing::HttpServer;
using testing::MsSince;
using testing::Pipe;

const std::string kGrant =
    R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":"{fp:7}",)"
    R"("grant_key":"k","expires_at_ms":1700000000000})";

std::string GrantOf(std::uint64_t number) {
  return R"({"execution_id":"{fp:7}:11111111-1111-4111-8111-111111111111","partition_key":)"
         R"("{fp:7}","grant_key":"key)" +
         std::to_string(number) + R"(","expires_at_ms":5})";
}

IssuerOptions To(const HttpServer& server, std::size_t connections = 4) {
  IssuerOptions options;
  options.url = server.url();
  options.request_timeout_ms = 10'000;
  options.connections = connections;
  return options;
}
ClaimRequestView Claiming() {
  return {
      .lane_id = "main", .worker_instance_id = "w1-i1", .capabilities = {}, .grant_ttl_ms = 5000};
}

// Polls until no request is under way. Returns the completions by their tags.
std::map<std::uint64_t, GrantPipeline::Completion> All(GrantPipeline& grants) {
  std::map<std::uint64_t, GrantPipeline::Completion> all;
  do {
    for (const GrantPipeline::Completion& done : grants.Poll(-1)) {
      EXPECT_TRUE(all.emplace(done.tag, done).second) << "two completions of " << done.tag;
    }
  } while (grants.in_flight() > 0);
  return all;
}

TEST(GrantPipeline, ARequestIsThatOfIssuerClient) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(server));
  EXPECT_EQ(grants.capacity(), 4u);
  ASSERT_TRUE(grants.Submit("w 1", Claiming(), 9));
  EXPECT_EQ(grants.in_flight(), 1u);
  const auto all = All(grants);
  ASSERT_EQ(all.size(), 1u);
  const GrantPipeline::Completion& done = all.at(9);
  ASSERT_TRUE(done.status) << done.status.message;
  EXPECT_EQ(done.status.http_status, 200);
  EXPECT_EQ(done.grant.view().partition_key, "{fp:7}");
  EXPECT_EQ(done.grant.view().expires_at_ms, 1700000000000u);
  ClaimGrant grant;
  ASSERT_TRUE(IssuerClient(To(server)).Claim("w 1", Claiming(), grant));
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_EQ(server.requests()[0], server.requests()[1]);
}

TEST(GrantPipeline, EachAnswerGoesToItsRequest) {
  // The instance's number decides what the server answers.
  HttpServer server([](const std::string& request) {
    const std::size_t at = request.find(R"("worker_instance_id":"i)");
    const std::uint64_t number = std::strtoull(request.c_str() + at + 23, nullptr, 10);
    switch (number % 4) {
      case 0:
        return HttpResponse(200, GrantOf(number));
      case 1:
        return std::string("HTTP/1.1 204 No Content\r\n\r\n");
      case 2:
        return HttpResponse(409, R"({"error":"no","kind":"k)" + std::to_string(number) + R"("})");
      default:
        return HttpResponse(200, "{}");
    }
  });
  GrantPipeline grants(To(server, 16));
  std::map<std::uint64_t, GrantPipeline::Completion> all;
  std::uint64_t next = 0;
  const auto submit = [&] {
    const std::string instance = "i" + std::to_string(next);
    ClaimRequestView request = Claiming();
    request.worker_instance_id = instance;
    if (next == 200 || !grants.Submit("w", request, next)) return false;
    ++next;
    return true;
  };
  while (all.size() < 200) {
    while (submit()) {
    }
    for (const auto& done : grants.Poll(-1)) EXPECT_TRUE(all.emplace(done.tag, done).second);
  }
  EXPECT_EQ(grants.in_flight(), 0u);
  for (const auto& [number, done] : all) {
    const IssuerError expected[] = {IssuerError::kNone, IssuerError::kNothingInWindow,
                                    IssuerError::kConflict, IssuerError::kMalformedResponse};
    EXPECT_EQ(done.status.error, expected[number % 4]) << number;
    if (number % 4 == 0) {
      EXPECT_EQ(done.grant.view().grant_key, "key" + std::to_string(number));
    }
    if (number % 4 == 2) {
      EXPECT_EQ(done.status.kind, "k" + std::to_string(number));
    }
  }
  EXPECT_EQ(server.requests().size(), 200u);
  EXPECT_LE(server.connections(), 16) << "connections are kept";
}

TEST(GrantPipeline, NoMoreThanItsCapacity) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(server, 2));
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_TRUE(grants.Submit("w", Claiming(), 2));
  EXPECT_FALSE(grants.Submit("w", Claiming(), 3));
  EXPECT_EQ(All(grants).size(), 2u);
  // Requests that have completed also count until Poll() returns them.
  EXPECT_TRUE(grants.Submit("..", Claiming(), 3));
  EXPECT_TRUE(grants.Submit("..", Claiming(), 4));
  EXPECT_EQ(grants.in_flight(), 0u);
  EXPECT_FALSE(grants.Submit("w", Claiming(), 5));
  EXPECT_EQ(grants.Poll(-1).size(), 2u);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 5));
  EXPECT_EQ(All(grants).size(), 1u);
}

TEST(GrantPipeline, WhatCantBeSentIsNotSent) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(server));
  ClaimRequestView bad = Claiming();
  bad.lane_id = "\xff";
  EXPECT_TRUE(grants.Submit("..", Claiming(), 1));
  EXPECT_TRUE(grants.Submit("w", bad, 2));
  EXPECT_EQ(grants.in_flight(), 0u);
  EXPECT_EQ(grants.PrepareWait(), 0) << "there are completions";
  const auto all = All(grants);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all.at(1).status.error, IssuerError::kInvalidRequest);
  EXPECT_EQ(all.at(2).status.error, IssuerError::kInvalidRequest);
  EXPECT_TRUE(server.requests().empty());
  EXPECT_TRUE(grants.Poll(-1).empty()) << "nothing is under way, so nothing is waited for";
}

TEST(GrantPipeline, ASilentServerIsLeftInTime) {
  HttpServer server([](const std::string&) { return std::string(); });
  IssuerOptions options = To(server);
  options.request_timeout_ms = 200;
  GrantPipeline grants(options);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_TRUE(grants.Poll(0).empty());
  EXPECT_TRUE(grants.Poll(20).empty());
  EXPECT_LT(MsSince(begin), 200);
  const auto all = All(grants);
  EXPECT_EQ(all.at(1).status.error, IssuerError::kTimeout);
  EXPECT_GE(MsSince(begin), 200);
  EXPECT_LT(MsSince(begin), 5000);
}

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// A request's time runs from its submission, however late the caller polls.
TEST(GrantPipeline, ARequestWhoseTimeIsUpIsNotSent) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  IssuerOptions options = To(server);
  options.request_timeout_ms = 50;
  GrantPipeline grants(options);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  SleepMs(60);
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kNotConnected);
  EXPECT_TRUE(server.requests().empty());
  // The same holds if there is a connection already.
  options.request_timeout_ms = 1000;
  GrantPipeline connected(options);
  EXPECT_TRUE(connected.Submit("w", Claiming(), 1));
  EXPECT_TRUE(All(connected).at(1).status);
  EXPECT_TRUE(connected.Submit("late", Claiming(), 2));
  SleepMs(1010);
  EXPECT_EQ(All(connected).at(2).status.error, IssuerError::kNotConnected);
  EXPECT_TRUE(connected.Submit("w", Claiming(), 3));
  EXPECT_TRUE(All(connected).at(3).status);
  EXPECT_EQ(server.requests().size(), 2u) << "the late request was sent";
}

TEST(GrantPipeline, TheLimitCountsFromTheSubmission) {
  HttpServer server([](const std::string&) { return std::string(); });
  IssuerOptions options = To(server);
  options.request_timeout_ms = 3000;
  GrantPipeline grants(options);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  SleepMs(2000);
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kTimeout);
  EXPECT_LT(MsSince(begin), 4500) << "3 s, and not 3 s after the first Poll()";
}

// A later request may have taken the place of one that has completed.
TEST(GrantPipeline, TheFirstLimitIsThatOfTheOldestRequest) {
  HttpServer server([](const std::string& request) {
    return request.find("/quick/") != std::string::npos ? HttpResponse(200, kGrant) : std::string();
  });
  for (const bool quick_is_first : {true, false}) {
    IssuerOptions options = To(server, 2);
    options.request_timeout_ms = 1500;  // libcurl has timers of its own, which are longer
    GrantPipeline grants(options);
    EXPECT_TRUE(grants.Submit(quick_is_first ? "quick" : "hangs", Claiming(), 1));
    EXPECT_TRUE(grants.Submit(quick_is_first ? "hangs" : "quick", Claiming(), 2));
    while (grants.in_flight() == 2) (void)grants.Poll(-1);
    const std::size_t before = server.requests().size();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_TRUE(grants.Submit("hangs", Claiming(), 3));
    while (server.requests().size() == before) (void)grants.Poll(1);
    const int wait = grants.PrepareWait();
    EXPECT_GE(wait, 0);
    EXPECT_LE(wait, 1500 - 200);
  }
}

// Submits `count` requests with the tags from 1 on. Returns when the server has got them all.
void SubmitAndSend(GrantPipeline& grants, HttpServer& server, std::uint64_t count) {
  for (std::uint64_t tag = 1; tag <= count; ++tag) {
    EXPECT_TRUE(grants.Submit("w", Claiming(), tag));
    // The server's backlog has room for 64 connections.
    while (tag % 32 == 0 && server.requests().size() < tag) EXPECT_TRUE(grants.Poll(0).empty());
  }
  while (server.requests().size() < count) EXPECT_TRUE(grants.Poll(0).empty());
}

// One look at the sockets finds at most 64 that are ready.
TEST(GrantPipeline, AnAnswerThatHasArrivedIsTakenHoweverLate) {
  for (const int count : {1, 100}) {
    std::atomic<bool> may_answer{false};
    HttpServer server([&](const std::string&) {
      may_answer.wait(false);  // when the answer comes, nobody polls any more
      return HttpResponse(200, kGrant);
    });
    IssuerOptions options = To(server, 100);
    options.request_timeout_ms = 3000;
    options.connect_timeout_ms = 60'000;  // else libcurl looks at all sockets after this time
    GrantPipeline grants(options);
    SubmitAndSend(grants, server, static_cast<std::uint64_t>(count));
    may_answer = true;
    may_answer.notify_all();
    while (server.answers() < count) std::this_thread::yield();
    SleepMs(3010);
    EXPECT_EQ(grants.PrepareWait(), 0);
    const auto done = grants.Poll(0);
    EXPECT_EQ(done.size(), static_cast<std::size_t>(count));
    for (const auto& each : done) EXPECT_TRUE(each.status) << each.tag << each.status.message;
  }
}

TEST(GrantPipeline, WithoutAServerNothingWasSent) {
  IssuerOptions options;
  {
    const HttpServer server(AlwaysAnswers(200, ""));
    options = To(server);
  }
  GrantPipeline grants(options);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kNotConnected);
}

TEST(GrantPipeline, ALostConnectionIsNoAnswer) {
  HttpServer server([](const std::string&) { return std::string("close"); });
  GrantPipeline grants(To(server));
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kConnectionLost);
}

TEST(GrantPipeline, AResponseIsBounded) {
  std::string body(2000, ' ');
  HttpServer server([&](const std::string&) { return HttpResponse(200, body); });
  IssuerOptions options = To(server, 1);
  options.max_response_bytes = 1999;
  GrantPipeline grants(options);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kResponseTooLarge);
  // Each answer is judged without regard to the answers before it.
  body = kGrant;
  EXPECT_TRUE(grants.Submit("w", Claiming(), 2));
  EXPECT_TRUE(All(grants).at(2).status);
}

TEST(GrantPipeline, AStopRequestEndsAllRequestsAtOnce) {
  HttpServer server([](const std::string&) { return std::string(); });
  const Pipe stop;
  IssuerOptions options = To(server);
  options.request_timeout_ms = 60'000;
  options.stop_descriptor = stop.descriptor();
  GrantPipeline grants(options);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_TRUE(grants.Submit("w", Claiming(), 2));
  std::thread stopper([&] {
    while (server.requests().size() < 2) std::this_thread::yield();
    EXPECT_TRUE(stop.PutByte());
  });
  const auto all = All(grants);
  stopper.join();
  EXPECT_EQ(all.at(1).status.error, IssuerError::kStopped);
  EXPECT_EQ(all.at(2).status.error, IssuerError::kStopped);
  // Now the pipeline's descriptor is not readable, although the stop descriptor still is.
  pollfd one = {grants.descriptor(), POLLIN, 0};
  EXPECT_EQ(poll(&one, 1, 0), 0);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 3));
  EXPECT_EQ(All(grants).at(3).status.error, IssuerError::kStopped);
  EXPECT_EQ(server.requests().size(), 2u);
  // A stop request that was taken back ends nothing more; the next one does.
  ASSERT_TRUE(stop.TakeByte());
  EXPECT_TRUE(grants.Submit("w", Claiming(), 4));
  EXPECT_TRUE(grants.Poll(20).empty());
  EXPECT_TRUE(stop.PutByte());
  EXPECT_EQ(All(grants).at(4).status.error, IssuerError::kStopped);
  // With nothing under way, the next Poll() quiets the descriptor.
  ASSERT_TRUE(stop.TakeByte());
  EXPECT_TRUE(grants.Submit("..", Claiming(), 5));
  EXPECT_EQ(grants.Poll(0).size(), 1u);
  EXPECT_TRUE(stop.PutByte());
  EXPECT_EQ(poll(&one, 1, 0), 1);
  EXPECT_TRUE(grants.Poll(0).empty());
  EXPECT_EQ(poll(&one, 1, 0), 0);
}

// One wait may find both an answer and the stop request, and there may be more answers than one
// look at the sockets finds.
TEST(GrantPipeline, AnAnswerThatHasArrivedOutlivesAStopRequest) {
  for (const int count : {1, 100}) {
    std::atomic<bool> may_answer{false};
    HttpServer server([&](const std::string& request) {
      if (request.find("/workers/silent/") != std::string::npos) return std::string();
      may_answer.wait(false);
      return HttpResponse(200, kGrant);
    });
    const Pipe stop;
    IssuerOptions options = To(server, 101);
    options.request_timeout_ms = 60'000;
    options.stop_descriptor = stop.descriptor();
    GrantPipeline grants(options);
    const auto all_answered = static_cast<std::uint64_t>(count);
    SubmitAndSend(grants, server, all_answered);
    EXPECT_TRUE(grants.Submit("silent", Claiming(), all_answered + 1));
    while (server.requests().size() <= all_answered) EXPECT_TRUE(grants.Poll(0).empty());
    EXPECT_TRUE(stop.PutByte());  // the wait finds the stop request first
    may_answer = true;
    may_answer.notify_all();
    while (server.answers() < count) std::this_thread::yield();
    const auto all = All(grants);
    for (const auto& [tag, done] : all) {
      EXPECT_EQ(done.status.error, tag <= all_answered ? IssuerError::kNone : IssuerError::kStopped)
          << tag << done.status.message;
    }
    EXPECT_EQ(all.size(), all_answered + 1);
    EXPECT_EQ(all.at(1).grant.view().expires_at_ms, 1700000000000u);
  }
}

TEST(GrantPipeline, ARefusedTokenIsReadAgainOnce) {
  // A gateway in front of the server may refuse the token with 403.
  std::atomic<int> refusals{0};
  HttpServer server([&](const std::string& request) {
    return request.find("Authorization: Bearer new\r\n") != std::string::npos
               ? HttpResponse(200, kGrant)
               : HttpResponse(++refusals % 2 == 1 ? 401 : 403,
                              R"({"error":"missing or invalid Authorization header"})");
  });
  IssuerOptions options = To(server);
  options.token_file = ::testing::TempDir() + "ffgrant_grants_" + std::to_string(getpid());
  std::ofstream(options.token_file) << "old\n";
  {
    GrantPipeline grants(options);
    EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
    EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kUnauthorized);
    EXPECT_EQ(server.requests().size(), 1u) << "the file has no other token";
    std::ofstream(options.token_file) << "new\n";
    EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
    EXPECT_TRUE(grants.Submit("w", Claiming(), 2));
    const auto all = All(grants);
    EXPECT_TRUE(all.at(1).status) << all.at(1).status.message;
    EXPECT_TRUE(all.at(2).status) << all.at(2).status.message;
    EXPECT_LE(server.requests().size(), 5u);
  }
  {
    // The token file no longer exists when the server refuses the token.
    std::ofstream(options.token_file) << "old\n";
    GrantPipeline grants(options);
    std::remove(options.token_file.c_str());
    EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
    EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kUnauthorized);
  }
  {
    // The options name no token file.
    GrantPipeline grants(To(server));
    const std::size_t before = server.requests().size();
    EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
    EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kUnauthorized);
    EXPECT_EQ(server.requests().size(), before + 1);
  }
  for (const char* const line : {"", "\n", " \r\n", "a b\n"}) {
    std::ofstream(options.token_file) << line;
    EXPECT_THROW(GrantPipeline{options}, std::runtime_error) << '"' << line << '"';
    EXPECT_THROW(IssuerClient{options}, std::runtime_error) << '"' << line << '"';
  }
  std::remove(options.token_file.c_str());
  EXPECT_THROW(GrantPipeline{options}, std::runtime_error);
}

// The server refuses the token while nobody polls, and the caller comes back when the time is up.
// By then the file's new token is of no use.
TEST(GrantPipeline, ASecondTryHasOnlyTheTimeThatIsLeft) {
  std::atomic<bool> may_answer{false};
  HttpServer server([&](const std::string& request) {
    if (request.find("Authorization: Bearer new\r\n") != std::string::npos) {
      return HttpResponse(200, kGrant);
    }
    while (!may_answer) std::this_thread::yield();
    return HttpResponse(401, "{}");
  });
  IssuerOptions options = To(server);
  options.token_file = ::testing::TempDir() + "ffgrant_second_" + std::to_string(getpid());
  // A machine that is too slow to send the request in time gets more time.
  for (options.request_timeout_ms = 100;; options.request_timeout_ms *= 2) {
    std::ofstream(options.token_file) << "old\n";
    GrantPipeline grants(options);
    std::ofstream(options.token_file) << "new\n";
    EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(options.request_timeout_ms);
    const std::size_t before = server.requests().size();
    bool is_late = false;
    while (server.requests().size() == before && !is_late) is_late = !grants.Poll(0).empty();
    if (is_late) continue;
    may_answer = true;
    pollfd one = {grants.descriptor(), POLLIN, 0};
    ASSERT_EQ(poll(&one, 1, 30'000), 1) << "the answer has not arrived";
    std::this_thread::sleep_until(end);
    const auto all = All(grants);
    EXPECT_FALSE(all.at(1).status);
    EXPECT_EQ(server.requests().size(), before + 1) << "it was not sent again";
    break;
  }
  std::remove(options.token_file.c_str());
}

TEST(GrantPipeline, ATokenMayChangeAgainAndAgain) {
  const std::string file = ::testing::TempDir() + "ffgrant_changes_" + std::to_string(getpid());
  std::string good = "0";
  HttpServer server([&](const std::string& request) {
    return request.find("Authorization: Bearer " + good + "\r\n") != std::string::npos
               ? HttpResponse(200, kGrant)
               : HttpResponse(401, "{}");
  });
  std::ofstream(file) << good << "\n";
  IssuerOptions options = To(server, 1);
  options.token_file = file;
  GrantPipeline grants(options);
  IssuerClient issuer(options);
  for (std::uint64_t i = 1; i <= 3; ++i) {
    good = std::to_string(i);
    std::ofstream(file) << good << "\n";
    EXPECT_TRUE(grants.Submit("w", Claiming(), i));
    const IssuerStatus status = All(grants).at(i).status;
    EXPECT_TRUE(status) << i << " " << status.message;
    ClaimGrant grant;
    EXPECT_TRUE(issuer.Claim("w", Claiming(), grant)) << i;
  }
  EXPECT_EQ(server.requests().size(), 12u) << "each change costs one more request each";
  std::remove(file.c_str());
}

TEST(GrantPipeline, ATokenIsReadAgainOnlyOnceForARequest) {
  const std::string file = ::testing::TempDir() + "ffgrant_tokens_" + std::to_string(getpid());
  std::ofstream(file) << "token0\n";
  int refused = 0;
  HttpServer server([&](const std::string&) {  // there is always a newer token
    std::ofstream(file) << "token" << ++refused << "\n";
    return HttpResponse(401, "{}");
  });
  IssuerOptions options = To(server, 1);
  options.token_file = file;
  GrantPipeline grants(options);
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_EQ(All(grants).at(1).status.error, IssuerError::kUnauthorized);
  EXPECT_EQ(server.requests().size(), 2u);
  std::remove(file.c_str());
}

TEST(GrantPipeline, ANameThatNoUrlCanHoldIsRefused) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(server));
  const std::string name(9'000'000, 'w');
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_TRUE(All(grants).at(1).status);
  EXPECT_TRUE(grants.Submit(name, Claiming(), 2));
  const GrantPipeline::Completion done = All(grants).at(2);
  EXPECT_EQ(done.status.error, IssuerError::kInvalidRequest);
  EXPECT_EQ(done.status.http_status, 0);
  ClaimGrant grant;
  EXPECT_EQ(IssuerClient(To(server)).Claim(name, Claiming(), grant).error,
            IssuerError::kInvalidRequest);
}

// A caller's own loop waits only for the descriptor, and for no longer than PrepareWait() says.
TEST(GrantPipeline, ServesAnEventLoop) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(server, 8));
  EXPECT_EQ(grants.PrepareWait(), -1) << "there is nothing to wait for";
  std::set<std::uint64_t> tags;
  for (std::uint64_t next = 0; tags.size() < 100;) {
    while (next < 100 && grants.Submit("w", Claiming(), next)) ++next;
    pollfd one = {grants.descriptor(), POLLIN, 0};
    const int ms = grants.PrepareWait();
    const auto begin = std::chrono::steady_clock::now();
    poll(&one, 1, ms);
    EXPECT_LT(MsSince(begin), 5000) << "of a limit of 10 s: the descriptor tells of the answers";
    for (const auto& done : grants.Poll(0)) {
      EXPECT_TRUE(done.status) << done.status.message;
      tags.insert(done.tag);
    }
  }
  EXPECT_EQ(server.requests().size(), 100u);
}

// The server may close a connection on which nothing is under way. The pipeline then has nothing to
// do.
TEST(GrantPipeline, AnIdleConnectionThatEndsWakesNobody) {
  auto server = std::make_unique<HttpServer>(AlwaysAnswers(200, kGrant));
  GrantPipeline grants(To(*server));
  EXPECT_TRUE(grants.Submit("w", Claiming(), 1));
  EXPECT_TRUE(All(grants).at(1).status);
  EXPECT_TRUE(grants.Poll(0).empty());
  server.reset();
  SleepMs(20);
  pollfd one = {grants.descriptor(), POLLIN, 0};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(poll(&one, 1, 0), 0) << i;
    EXPECT_TRUE(grants.Poll(0).empty());
  }
}

TEST(GrantPipeline, OptionsOutOfRangeAreRefused) {
  EXPECT_THROW(GrantPipeline({.url = "ftp://h"}), std::invalid_argument);
  EXPECT_THROW(GrantPipeline({.url = "http://h", .connections = 0}), std::invalid_argument);
}

}  // namespace
}  // namespace ffgrant::http
