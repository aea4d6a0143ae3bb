// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/http/issuer_client.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <latch>
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

constexpr std::string_view kId = "{fp:7}:11111111-1111-4111-8111-111111111111";

IssuerOptions To(const HttpServer& server) {
  IssuerOptions options;
  options.url = server.url();
  options.request_timeout_ms = 2000;
  return options;
}
ClaimRequestView Claiming() {
  return {
      .lane_id = "main", .worker_instance_id = "w1-i1", .capabilities = {}, .grant_ttl_ms = 5000};
}
const std::string kGrant =
    R"({"execution_id":")" + std::string(kId) +
    R"(","partition_key":"{fp:7}","grant_key":"k","expires_at_ms":1700000000000})";

TEST(IssuerClient, AClaimIsWhatTheContractSays) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  IssuerClient issuer(To(server));
  ClaimGrant grant;
  const std::string_view capabilities[] = {"gpu"};
  ClaimRequestView request = Claiming();
  request.capabilities = StringList(capabilities);
  const IssuerStatus status = issuer.Claim("w 1/\xc3\xa9", request, grant);
  ASSERT_TRUE(status) << status.message;
  EXPECT_EQ(status.http_status, 200);
  EXPECT_EQ(grant.view().execution_id.text(), kId);
  EXPECT_EQ(grant.view().partition_key, "{fp:7}");
  EXPECT_EQ(grant.view().expires_at_ms, 1700000000000u);
  const std::string sent = server.requests().at(0);
  EXPECT_TRUE(sent.starts_with("POST /v1/workers/w%201%2F%C3%A9/claim HTTP/1.1\r\n")) << sent;
  EXPECT_NE(sent.find("Content-Type: application/json\r\n"), std::string::npos);
  EXPECT_EQ(sent.find("Authorization"), std::string::npos);
  EXPECT_TRUE(
      sent.ends_with(R"({"lane_id":"main","worker_instance_id":"w1-i1","capabilities":["gpu"],)"
                     R"("grant_ttl_ms":5000})"));
}

TEST(IssuerClient, NothingInTheWindowIsNoFault) {
  HttpServer server(
      [](const std::string&) { return std::string("HTTP/1.1 204 No Content\r\n\r\n"); });
  IssuerClient issuer(To(server));
  ClaimGrant grant;
  const IssuerStatus status = issuer.Claim("w1", Claiming(), grant);
  EXPECT_EQ(status.error, IssuerError::kNothingInWindow);
  EXPECT_EQ(status.http_status, 204);
}

TEST(IssuerClient, EveryStatusIsAnErrorOfItsOwn) {
  const struct {
    int status;
    IssuerError error;
  } kCases[] = {{400, IssuerError::kBadRequest},       {401, IssuerError::kUnauthorized},
                {403, IssuerError::kUnauthorized},     {404, IssuerError::kNotFound},
                {409, IssuerError::kConflict},         {413, IssuerError::kTooLarge},
                {415, IssuerError::kBadRequest},       {422, IssuerError::kBadRequest},
                {429, IssuerError::kTooManyRequests},  {500, IssuerError::kServerFault},
                {502, IssuerError::kServerFault},      {503, IssuerError::kServerUnavailable},
                {300, IssuerError::kUnexpectedStatus}, {302, IssuerError::kUnexpectedStatus},
                {418, IssuerError::kUnexpectedStatus}, {499, IssuerError::kUnexpectedStatus},
                {599, IssuerError::kServerFault}};
  for (const auto& c : kCases) {
    HttpServer server(AlwaysAnswers(
        c.status,
        R"({"error":"state_conflict: GrantAlreadyExists","kind":"k","retryable":false})"));
    IssuerClient issuer(To(server));
    ClaimGrant grant;
    const IssuerStatus status = issuer.Claim("w1", Claiming(), grant);
    EXPECT_EQ(status.error, c.error) << c.status;
    EXPECT_EQ(status.http_status, c.status);
    EXPECT_EQ(status.message, "state_conflict: GrantAlreadyExists");
    EXPECT_EQ(status.kind, "k");
    EXPECT_EQ(status.retryable, false);
  }
  // The server changes the protocol, which nobody has asked for.
  HttpServer* self = nullptr;
  HttpServer other([&](const std::string&) {
    self->SendUnasked("HTTP/1.1 101 Switching Protocols\r\n\r\nx");
    return std::string("close");
  });
  self = &other;
  const IssuerStatus changed = IssuerClient(To(other)).Health();
  EXPECT_EQ(changed.error, IssuerError::kUnexpectedStatus) << changed.message;
  EXPECT_EQ(changed.http_status, 101);
  // A body that is no error body becomes the message.
  HttpServer plain(AlwaysAnswers(400, "Invalid URL"));
  IssuerClient issuer(To(plain));
  std::string text;
  const IssuerStatus status = issuer.Result(kId, text);
  EXPECT_EQ(status.message, "Invalid URL");
  EXPECT_EQ(status.retryable, std::nullopt);
}

TEST(IssuerClient, EveryRouteReturnsTheServersError) {
  HttpServer server(AlwaysAnswers(503, R"({"error":"not now","retryable":true})"));
  IssuerClient issuer(To(server));
  ClaimGrant claim;
  ReclaimGrant reclaim;
  std::string text = "as it was";
  bool created = true;
  const IssuerStatus all[] = {issuer.Claim("w", Claiming(), claim),
                              issuer.Reclaim(kId, {}, reclaim),
                              issuer.Revoke(kId, text),
                              issuer.Result(kId, text),
                              issuer.State(kId, text),
                              issuer.Cancel(kId, {}),
                              issuer.Signal(kId, {}, text),
                              issuer.Create({.execution_id = kId}, created),
                              issuer.Health()};
  for (const IssuerStatus& status : all) {
    EXPECT_EQ(status.error, IssuerError::kServerUnavailable);
    EXPECT_EQ(status.message, "not now");
    EXPECT_EQ(status.retryable, true);
  }
  EXPECT_EQ(server.requests().size(), std::size(all));
  EXPECT_EQ(text, "as it was");
  EXPECT_TRUE(created);
}

TEST(IssuerClient, ErrorsHaveTheirNames) {
  constexpr std::string_view kNames[] = {"none",
                                         "nothing_in_window",
                                         "not_reclaimable",
                                         "reclaim_cap_exceeded",
                                         "bad_request",
                                         "unauthorized",
                                         "not_found",
                                         "too_large",
                                         "conflict",
                                         "too_many_requests",
                                         "server_fault",
                                         "server_unavailable",
                                         "unexpected_status",
                                         "malformed_response",
                                         "response_too_large",
                                         "not_connected",
                                         "timeout",
                                         "connection_lost",
                                         "stopped",
                                         "invalid_request"};
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    EXPECT_EQ(ErrorName(static_cast<IssuerError>(i)), kNames[i]);
  }
  EXPECT_EQ(std::size(kNames), static_cast<std::size_t>(IssuerError::kInvalidRequest) + 1);
}

TEST(IssuerClient, ABodyThatIsNoneOfTheRoutesIsMalformed) {
  for (const std::string body : {"", "{}", "null", "{\"Created\":{}}", "\"text\" x", "[1]"}) {
    HttpServer server(AlwaysAnswers(200, body));
    IssuerClient issuer(To(server));
    ClaimGrant claim;
    ReclaimGrant reclaim;
    std::string text;
    bool created = false;
    EXPECT_EQ(issuer.Claim("w", Claiming(), claim).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.Reclaim(kId, {}, reclaim).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.Revoke(kId, text).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.Cancel(kId, {}).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.Signal(kId, {}, text).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.State(kId, text).error, IssuerError::kMalformedResponse) << body;
    EXPECT_EQ(issuer.Create({.execution_id = kId}, created).error, IssuerError::kMalformedResponse)
        << body;
  }
  HttpServer bad_id(AlwaysAnswers(
      200, R"({"execution_id":"x","partition_key":"{fp:7}","grant_key":"k","expires_at_ms":1})"));
  IssuerClient issuer(To(bad_id));
  ClaimGrant grant;
  EXPECT_EQ(issuer.Claim("w", Claiming(), grant).error, IssuerError::kMalformedResponse);
  const auto reclaimed = [](std::string_view id, const std::string& lane) {
    return R"({"status":"granted","execution_id":")" + std::string(id) +
           R"(","partition_key":"{fp:7}","grant_key":"k","expires_at_ms":5,"lane_id":")" + lane +
           "\"}";
  };
  for (const std::string& body : {reclaimed("x", "main"), reclaimed(kId, "")}) {
    HttpServer bad(AlwaysAnswers(200, body));
    ReclaimGrant reclaim;
    EXPECT_EQ(IssuerClient(To(bad)).Reclaim(kId, {}, reclaim).error,
              IssuerError::kMalformedResponse)
        << body;
  }
}

TEST(IssuerClient, TheOtherRoutes) {
  std::string answer;
  HttpServer server([&](const std::string&) { return HttpResponse(200, answer); });
  IssuerClient issuer(To(server));
  const auto last = [&] { return server.requests().back(); };
  const std::string path = "/v1/executions/%7Bfp:7%7D:11111111-1111-4111-8111-111111111111";

  answer = R"({"Created":{"execution_id":"e","public_state":"waiting"}})";
  bool created = false;
  const std::pair<std::string_view, std::string_view> tags[] = {{"a.b", "c\"d"}, {"n", ""}};
  ASSERT_TRUE(issuer.Create({.execution_id = kId,
                             .lane_id = "main",
                             .payload = std::string_view("\0\xff", 2),
                             .priority = -5,
                             .tags = tags,
                             .policy_json = R"({"priority":0})",
                             .delay_until = TimestampMs{17}},
                            created));
  EXPECT_TRUE(created);
  EXPECT_TRUE(last().starts_with("POST /v1/executions HTTP"));
  EXPECT_NE(last().find(R"({"execution_id":")" + std::string(kId) +
                        R"(","namespace":"default","lane_id":"main","execution_kind":"task",)"
                        R"("input_payload":[0,255],"payload_encoding":null,"priority":-5,)"
                        R"("creator_identity":"ffgrant","tags":{"a.b":"c\"d","n":""},)"
                        R"("policy":{"priority":0},"delay_until":17,"partition_id":7,"now":)"),
            std::string::npos)
      << last();
  answer = R"({"Duplicate":{"execution_id":"e"}})";
  ASSERT_TRUE(issuer.Create({.execution_id = kId}, created));
  EXPECT_FALSE(created);

  answer = R"({"status":"granted","execution_id":")" + std::string(kId) +
           R"(","partition_key":"{fp:7}","grant_key":"k","expires_at_ms":5,"lane_id":"main"})";
  ReclaimGrant reclaim;
  ASSERT_TRUE(issuer.Reclaim(kId, {}, reclaim));
  EXPECT_TRUE(last().starts_with("POST " + path + "/reclaim HTTP"));
  EXPECT_EQ(reclaim.view().lane_id.text(), "main");
  answer = R"({"status":"not_reclaimable","execution_id":"e","detail":"why"})";
  const IssuerStatus no = issuer.Reclaim(kId, {}, reclaim);
  EXPECT_EQ(no.error, IssuerError::kNotReclaimable);
  EXPECT_EQ(no.message, "why");
  answer = R"({"status":"reclaim_cap_exceeded","execution_id":"e","reclaim_count":3})";
  EXPECT_EQ(issuer.Reclaim(kId, {}, reclaim).error, IssuerError::kReclaimCapExceeded);

  std::string text = "x";
  answer = R"({"Revoked":{"lease_id":"l","lease_epoch":"1"}})";
  ASSERT_TRUE(issuer.Revoke(kId, text));
  EXPECT_EQ(text, "");
  EXPECT_TRUE(last().starts_with("POST " + path + "/revoke-lease HTTP"));
  EXPECT_TRUE(last().ends_with("\r\n\r\n")) << "the call before had a body: " << last();
  answer = R"({"AlreadySatisfied":{"reason":"already_revoked"}})";
  ASSERT_TRUE(issuer.Revoke(kId, text));
  EXPECT_EQ(text, "already_revoked");

  answer = std::string("\0\xff{", 3);
  ASSERT_TRUE(issuer.Result(kId, text));
  EXPECT_EQ(text, answer);
  EXPECT_TRUE(last().starts_with("GET " + path + "/result HTTP"));
  answer = "\"completed\"";
  ASSERT_TRUE(issuer.State(kId, text));
  EXPECT_EQ(text, "completed");

  answer = R"({"Cancelled":{"execution_id":"e","public_state":"cancelled"}})";
  ASSERT_TRUE(issuer.Cancel(kId, {.reason = "no\nmore"}));
  EXPECT_NE(last().find(R"("reason":"no\nmore","source":"operator_override","now":)"),
            std::string::npos);
  answer = R"({"Accepted":{"signal_id":"s","effect":"resume_condition_satisfied"}})";
  ASSERT_TRUE(issuer.Signal(kId, {.waitpoint_id = "w", .signal_id = "s", .name = "go"}, text));
  EXPECT_EQ(text, "resume_condition_satisfied");
  EXPECT_EQ(last().find("\"payload\""), std::string::npos);
  answer = R"({"Duplicate":{"existing_signal_id":"s"}})";
  ASSERT_TRUE(issuer.Signal(kId, {.waitpoint_id = "w", .signal_id = "s", .name = "go"}, text));
  EXPECT_EQ(text, "") << "the effect of the answer before";
  EXPECT_TRUE(issuer.Health());
  // All requests used one connection.
  EXPECT_EQ(server.connections(), 1);
}

TEST(IssuerClient, WhatCantBeSentIsNotSent) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  IssuerClient issuer(To(server));
  ClaimGrant grant;
  ReclaimGrant reclaim;
  std::string text;
  for (const std::string_view name : {"", ".", ".."}) {
    EXPECT_EQ(issuer.Claim(name, Claiming(), grant).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.Result(name, text).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.Reclaim(name, {}, reclaim).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.Revoke(name, text).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.State(name, text).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.Cancel(name, {}).error, IssuerError::kInvalidRequest);
    EXPECT_EQ(issuer.Signal(name, {}, text).error, IssuerError::kInvalidRequest);
  }
  ClaimRequestView request = Claiming();
  request.lane_id = "\xff";
  EXPECT_EQ(issuer.Claim("w", request, grant).error, IssuerError::kInvalidRequest);
  EXPECT_EQ(issuer.Cancel(kId, {.reason = "\xff"}).error, IssuerError::kInvalidRequest);
  bool created = false;
  EXPECT_EQ(issuer.Create({.execution_id = "no id"}, created).error, IssuerError::kInvalidRequest);
  EXPECT_EQ(issuer.Create({.execution_id = kId, .lane_id = "\xff"}, created).error,
            IssuerError::kInvalidRequest);
  ReclaimRequestView reclaiming;
  reclaiming.worker_id = "\xff";
  EXPECT_EQ(issuer.Reclaim(kId, reclaiming, reclaim).error, IssuerError::kInvalidRequest);
  EXPECT_EQ(issuer.Signal(kId, {.name = "\xff"}, text).error, IssuerError::kInvalidRequest);
  EXPECT_TRUE(server.requests().empty());
}

TEST(IssuerClient, WithoutAServerNothingWasSent) {
  IssuerOptions options;
  {
    const HttpServer server(AlwaysAnswers(200, ""));
    options.url = server.url();
  }
  IssuerClient issuer(options);
  const IssuerStatus status = issuer.Health();
  EXPECT_EQ(status.error, IssuerError::kNotConnected);
  EXPECT_EQ(status.http_status, 0);
  EXPECT_FALSE(status.message.empty());
}

TEST(IssuerClient, ASilentServerIsLeftInTime) {
  HttpServer server([](const std::string&) { return std::string(); });
  IssuerOptions options = To(server);
  options.request_timeout_ms = 200;
  options.connections = 1;
  IssuerClient issuer(options);
  const auto begin = std::chrono::steady_clock::now();
  // Two threads make this call at once. The second call waits until the first one gives the
  // connection back, and the time of this wait counts against the second call's own limit. If this
  // limit ends before the second call gets the connection, it sends nothing.
  const auto ask = [&] {
    const IssuerError error = issuer.Health().error;
    EXPECT_TRUE(error == IssuerError::kTimeout || error == IssuerError::kNotConnected)
        << ErrorName(error);
  };
  std::thread other(ask);
  ask();
  other.join();
  EXPECT_GE(MsSince(begin), 200);
  EXPECT_LT(MsSince(begin), 5000);
  EXPECT_EQ(issuer.Health().error, IssuerError::kTimeout) << "alone, it was sent";
}

// A call that gets a connection late has only what is left of its time.
TEST(IssuerClient, AWaitForAConnectionCountsInTheLimit) {
  // A machine that is too slow for one limit is given a longer one.
  for (int limit_ms = 400;; limit_ms *= 2) {
    std::atomic<int> asked{0};
    std::atomic<bool> may_answer{false};
    HttpServer server([&](const std::string&) {
      if (++asked > 1) return std::string();
      while (!may_answer) std::this_thread::yield();
      return HttpResponse(200, "{}");
    });
    IssuerOptions options = To(server);
    options.request_timeout_ms = limit_ms;
    options.connections = 1;
    IssuerClient issuer(options);
    std::thread first([&] { (void)issuer.Health(); });
    while (asked == 0) std::this_thread::yield();
    const auto begin = std::chrono::steady_clock::now();
    std::thread answering([&] {
      std::this_thread::sleep_until(begin + std::chrono::milliseconds(limit_ms * 3 / 4));
      may_answer = true;
    });
    const IssuerError error = issuer.Health().error;
    const auto taken_ms = MsSince(begin);
    first.join();
    answering.join();
    EXPECT_TRUE(error == IssuerError::kTimeout || error == IssuerError::kNotConnected)
        << ErrorName(error);
    if (error == IssuerError::kTimeout && taken_ms < limit_ms * 3 / 2) break;
    ASSERT_LT(limit_ms, 4000) << "the last call took " << taken_ms << " ms";
  }
}

TEST(IssuerClient, AStopRequestEndsACallAtOnce) {
  std::atomic<int> asked{0};
  HttpServer server(
      [&](const std::string&) { return ++asked == 1 ? std::string() : HttpResponse(200, "{}"); });
  const Pipe stop;
  IssuerOptions options = To(server);
  options.connections = 1;
  options.request_timeout_ms = 60'000;
  options.stop_descriptor = stop.descriptor();
  IssuerClient issuer(options);
  std::thread stopper([&] {
    while (server.requests().empty()) std::this_thread::yield();
    EXPECT_TRUE(stop.PutByte());
  });
  EXPECT_EQ(issuer.Health().error, IssuerError::kStopped);
  stopper.join();
  // While the stop request stands, every call ends with kStopped, and sends nothing.
  EXPECT_EQ(issuer.Health().error, IssuerError::kStopped);
  EXPECT_EQ(server.requests().size(), 1u);
  // Once the stop request is taken back, calls work as before. The call that was stopped is under
  // way no more.
  ASSERT_TRUE(stop.TakeByte());
  EXPECT_TRUE(issuer.Health());
  EXPECT_EQ(server.requests().size(), 2u);
}

// On a kept connection libcurl could send the request immediately.
TEST(IssuerClient, AfterAStopRequestNothingIsSentOnAKeptConnection) {
  HttpServer server(AlwaysAnswers(200, "{}"));
  const Pipe stop;
  IssuerOptions options = To(server);
  options.connections = 1;
  options.stop_descriptor = stop.descriptor();
  IssuerClient issuer(options);
  EXPECT_TRUE(issuer.Health());
  EXPECT_TRUE(stop.PutByte());
  EXPECT_EQ(issuer.Health().error, IssuerError::kStopped);
  ASSERT_TRUE(stop.TakeByte());
  EXPECT_TRUE(issuer.Health());
  EXPECT_EQ(server.requests().size(), 2u) << "the stopped one was sent";
}

// Several connections become free at the same moment, and as many calls wait for one. With many
// connections, some are given back before a call that was woken has taken the first one.
TEST(IssuerClient, EachFreeConnectionWakesACall) {
  constexpr int kConnections = 12;
  std::atomic<int> asked{0};
  std::atomic<int> answered{0};  // how many requests may be answered
  HttpServer server([&](const std::string&) {
    const int number = ++asked;
    for (int so_far = answered; so_far < number; so_far = answered) answered.wait(so_far);
    return HttpResponse(200, "{}");
  });
  IssuerOptions options = To(server);
  options.connections = kConnections;
  options.request_timeout_ms = 20'000;
  IssuerClient issuer(options);
  for (int round = 0; round < 20 && !::testing::Test::HasFailure(); ++round) {
    const int before = asked;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2 * kConnections; ++i) {
      threads.emplace_back([&] {
        const auto begin = std::chrono::steady_clock::now();
        EXPECT_TRUE(issuer.Health());
        EXPECT_LT(MsSince(begin), 10'000) << "of a limit of 20 s: the call was woken";
      });
    }
    while (asked < before + kConnections) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // by now the other calls wait
    answered = before + 2 * kConnections;
    answered.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
}

// If a kept connection breaks, libcurl connects once more. A failure to connect then says nothing
// about the request, which the server has received.
TEST(IssuerClient, AServerThatCrashesWithARequestMayHaveExecutedIt) {
  int asked = 0;
  HttpServer server([&](const std::string&) {
    return ++asked == 1 ? std::string("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                        : std::string("crash");
  });
  IssuerOptions options = To(server);
  options.connections = 1;
  IssuerClient issuer(options);
  EXPECT_EQ(issuer.Health().error, IssuerError::kNone);
  EXPECT_EQ(issuer.Health().error, IssuerError::kConnectionLost);
  EXPECT_EQ(server.requests().size(), 2u);
  // Now the server has gone, so nothing is sent any more.
  EXPECT_EQ(issuer.Health().error, IssuerError::kNotConnected);
}

TEST(IssuerClient, ALostConnectionIsNoAnswer) {
  HttpServer server([](const std::string&) { return std::string("close"); });
  IssuerClient issuer(To(server));
  EXPECT_EQ(issuer.Health().error, IssuerError::kConnectionLost);
  EXPECT_EQ(server.requests().size(), 1u) << "the server may have done what it was asked";
  HttpServer cut([](const std::string&) {
    return std::string("HTTP/1.1 200 X\r\nContent-Length: 5\r\nConnection: close\r\n\r\nab");
  });
  IssuerOptions options = To(cut);
  options.request_timeout_ms = 300;
  std::string text;
  EXPECT_NE(IssuerClient(options).Result(kId, text).error, IssuerError::kNone);
}

TEST(IssuerClient, AResponseIsBounded) {
  HttpServer server(AlwaysAnswers(200, std::string(2000, 'x')));
  IssuerOptions options = To(server);
  options.max_response_bytes = 1999;
  std::string text;
  EXPECT_EQ(IssuerClient(options).Result(kId, text).error, IssuerError::kResponseTooLarge);
  options.max_response_bytes = 2000;
  EXPECT_TRUE(IssuerClient(options).Result(kId, text));

  // Each answer is judged without regard to the answers before it.
  std::size_t size = 2000;
  HttpServer other([&](const std::string&) { return HttpResponse(200, std::string(size, 'x')); });
  options = To(other);
  options.max_response_bytes = 1999;
  options.connections = 1;
  IssuerClient issuer(options);
  EXPECT_EQ(issuer.Result(kId, text).error, IssuerError::kResponseTooLarge);
  size = 1999;
  EXPECT_TRUE(issuer.Result(kId, text));
  EXPECT_EQ(text.size(), 1999u);
}

// Answers and error bodies of any length up to the limit are understood.
TEST(IssuerClient, AWholeResponseIsRead) {
  int status = 200;
  std::string body;
  HttpServer server([&](const std::string&) { return HttpResponse(status, body); });
  IssuerOptions options = To(server);
  options.max_response_bytes = 300'000;
  IssuerClient issuer(options);
  // Returns a body of `size` bytes that begins with the members of `json` and goes on with a text.
  const auto padded = [](std::string json, std::size_t size) {
    json.back() = ',';
    json += R"("x":")";
    return json + std::string(size - json.size() - 2, '\x7f') + "\"}";
  };
  for (const std::size_t size : {65'535, 65'536, 65'537, 131'073, 300'000}) {
    status = 200;
    body = padded(kGrant, size);
    ClaimGrant grant;
    const IssuerStatus claimed = issuer.Claim("w", Claiming(), grant);
    EXPECT_TRUE(claimed) << size << " " << claimed.message;
    EXPECT_EQ(grant.view().execution_id.text(), kId);
    status = 409;
    body = padded(R"({"error":"why","kind":"k","retryable":true})", size);
    const IssuerStatus refused = issuer.Claim("w", Claiming(), grant);
    EXPECT_EQ(refused.message, "why") << size;
    EXPECT_EQ(refused.kind, "k") << size;
    EXPECT_EQ(refused.retryable, true) << size;
  }
}

TEST(IssuerClient, ATokenComesFromTheEnvironmentOrAFile) {
  HttpServer server([](const std::string& request) {
    return HttpResponse(
        request.find("Authorization: Bearer new\r\n") == std::string::npos ? 401 : 200,
        R"({"error":"missing or invalid Authorization header"})");
  });
  ASSERT_EQ(setenv("FFGRANT_TEST_TOKEN", "new", 1), 0);
  IssuerOptions options = To(server);
  options.token_variable = "FFGRANT_TEST_TOKEN";
  EXPECT_TRUE(IssuerClient(options).Health());

  options.token_variable.clear();
  options.token_file = ::testing::TempDir() + "ffgrant_token_" + std::to_string(getpid());
  std::ofstream(options.token_file) << "old\r\nsecond line\n";
  {
    IssuerClient issuer(options);
    const IssuerStatus status = issuer.Health();
    EXPECT_EQ(status.error, IssuerError::kUnauthorized);
    EXPECT_EQ(status.message.find("old"), std::string::npos);
    // The file gets a new token while the client runs.
    std::ofstream(options.token_file) << "new\n";
    EXPECT_TRUE(issuer.Health());
  }
  {
    // The token file no longer exists when the server refuses the token.
    std::ofstream(options.token_file) << "old\n";
    IssuerClient issuer(options);
    std::remove(options.token_file.c_str());
    EXPECT_EQ(issuer.Health().error, IssuerError::kUnauthorized);
  }
  EXPECT_THROW(IssuerClient{options}, std::runtime_error);
  options.token_file.clear();
  options.token_variable = "FFGRANT_TEST_NO_SUCH_VARIABLE";
  EXPECT_THROW(IssuerClient{options}, std::runtime_error);
  options.token_variable = "FFGRANT_TEST_TOKEN";
  for (const char* const token : {"", "a\r\nX: y", "a b", "a\x7f", "\xc3\xa9"}) {
    ASSERT_EQ(setenv("FFGRANT_TEST_TOKEN", token, 1), 0);
    EXPECT_THROW(IssuerClient{options}, std::runtime_error) << token;
  }
  ASSERT_EQ(setenv("FFGRANT_TEST_TOKEN", "!~", 1), 0);
  EXPECT_NO_THROW(IssuerClient{options}) << "the first and the last byte that a header may have";
}

// A server or a gateway may send back in its answer what it was sent. The token gets into no
// message, wherever it stands in the answer.
TEST(IssuerClient, AMessageNeverHasTheToken) {
  std::string body;
  int status = 401;
  HttpServer server([&](const std::string& request) {
    const std::size_t at = request.find("Bearer ") + 7;
    const std::string token = request.substr(at, request.find("\r\n", at) - at);
    std::string answer = body;
    for (std::size_t x; (x = answer.find('#')) != std::string::npos;) answer.replace(x, 1, token);
    return HttpResponse(status, answer);
  });
  ASSERT_EQ(setenv("FFGRANT_TEST_TOKEN", "s3cret", 1), 0);
  IssuerOptions options = To(server);
  options.token_variable = "FFGRANT_TEST_TOKEN";
  IssuerClient issuer(options);
  const std::string dots = "\xe2\x80\xa6";
  body = R"({"error":"refused: Bearer #, \u0073\u0033cret.","kind":"#"})";
  IssuerStatus refused = issuer.Health();
  EXPECT_EQ(refused.message, "refused: Bearer " + dots + ", " + dots + ".");
  EXPECT_EQ(refused.kind, dots);
  body = "##s3cre# s3cre";
  EXPECT_EQ(issuer.Health().message, dots + dots + "s3cre" + dots + " s3cre");
  // A message from a body that is no error body ends after 1024 bytes, and nothing of a token is
  // left there.
  for (const std::size_t before : {1017, 1018, 1019, 1020, 1021, 1022, 1023, 1024, 1025}) {
    body = std::string(before, 'x') + "#" + std::string(100, '#');
    const std::string message = issuer.Health().message;
    EXPECT_LE(message.size(), 1024u);
    EXPECT_EQ(message.find('s'), std::string::npos) << before;
    EXPECT_EQ(message.rfind('x'), std::min<std::size_t>(before, 1024) - 1);
  }
  status = 200;
  body = R"({"status":"not_reclaimable","execution_id":"x","detail":"no # here"})";
  ReclaimGrant grant;
  refused = issuer.Reclaim(kId, {}, grant);
  EXPECT_EQ(refused.error, IssuerError::kNotReclaimable) << refused.message;
  EXPECT_EQ(refused.message, "no " + dots + " here");
  // Without a token nothing is left out.
  status = 401;
  options.token_variable.clear();
  body = "a s3cret";
  EXPECT_EQ(IssuerClient(options).Health().message, "a s3cret");
}

TEST(IssuerClient, OptionsOutOfRangeAreRefused) {
  for (const char* url : {"", "127.0.0.1:9090", "ftp://h", "http://", "http:///v1",
                          "http://user:secret@h", "http://h/?q", "http://h\n"}) {
    EXPECT_THROW(IssuerClient({.url = url}), std::invalid_argument) << url;
  }
  const auto is_taken = [](auto member, auto value) {
    IssuerOptions options = {.url = "https://h"};
    options.*member = value;
    try {
      const IssuerClient client(options);
      return true;
    } catch (const std::invalid_argument&) {
      return false;
    }
  };
  for (const auto member :
       {&IssuerOptions::connect_timeout_ms, &IssuerOptions::request_timeout_ms}) {
    for (const std::int64_t taken : {1, 86'400'000}) EXPECT_TRUE(is_taken(member, taken));
    for (const std::int64_t refused : {-1, 0, 86'400'001}) EXPECT_FALSE(is_taken(member, refused));
  }
  EXPECT_TRUE(is_taken(&IssuerOptions::connections, 1));
  EXPECT_TRUE(is_taken(&IssuerOptions::connections, 1024));
  EXPECT_FALSE(is_taken(&IssuerOptions::connections, 0));
  EXPECT_FALSE(is_taken(&IssuerOptions::connections, 1025));
  EXPECT_TRUE(is_taken(&IssuerOptions::max_response_bytes, 1));
  EXPECT_TRUE(is_taken(&IssuerOptions::max_response_bytes, std::size_t{1} << 29));
  EXPECT_FALSE(is_taken(&IssuerOptions::max_response_bytes, 0));
  EXPECT_FALSE(is_taken(&IssuerOptions::max_response_bytes, (std::size_t{1} << 29) + 1));
  EXPECT_FALSE(is_taken(&IssuerOptions::max_response_bytes, SIZE_MAX));
  EXPECT_THROW(IssuerClient({.url = "http://h", .token_variable = "A", .token_file = "b"}),
               std::invalid_argument);
}

TEST(IssuerClient, AUrlMayEndInSlashesAndHaveAPath) {
  HttpServer server(AlwaysAnswers(200, "{}"));
  for (const char* const end : {"", "/", "//", "/api", "/api/"}) {
    EXPECT_TRUE(IssuerClient({.url = server.url() + end}).Health());
  }
  const std::vector<std::string> requests = server.requests();
  ASSERT_EQ(requests.size(), 5u);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_TRUE(requests[i].starts_with(i < 3 ? "GET /healthz " : "GET /api/healthz "))
        << requests[i];
  }
}

// The file gets another token after the client has read the old one. Two calls are then refused at
// the same moment, and each call is sent again.
TEST(IssuerClient, ANewTokenIsForEveryCallThatWasRefused) {
  const std::string file = ::testing::TempDir() + "ffgrant_two_" + std::to_string(getpid());
  std::latch both(2);
  HttpServer server([&](const std::string& request) {
    if (request.find("Authorization: Bearer new\r\n") != std::string::npos) {
      return HttpResponse(200, "{}");
    }
    both.arrive_and_wait();
    return HttpResponse(401, "{}");
  });
  std::ofstream(file) << "old\n";
  IssuerOptions options = To(server);
  options.token_file = file;
  IssuerClient issuer(options);
  std::ofstream(file) << "new\n";
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      const IssuerStatus status = issuer.Health();
      EXPECT_TRUE(status) << status.message;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.requests().size(), 4u);
  std::remove(file.c_str());
}

// ThreadSanitizer sees whether a call copies the token while another call replaces it.
TEST(IssuerClient, TheTokenMayChangeWhileManyThreadsCall) {
  const std::string file = ::testing::TempDir() + "ffgrant_many_" + std::to_string(getpid());
  std::atomic<int> good{0};
  HttpServer server([&](const std::string& request) {
    const std::string wanted = "Authorization: Bearer " + std::to_string(good) + "\r\n";
    return HttpResponse(request.find(wanted) != std::string::npos ? 200 : 401, "{}");
  });
  std::ofstream(file) << "0\n";
  IssuerOptions options = To(server);
  options.token_file = file;
  IssuerClient issuer(options);
  std::atomic<int> taken{0};
  std::atomic<bool> ends{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!ends) taken += issuer.Health() ? 1 : 0;
    });
  }
  for (int token = 1; token <= 30; ++token) {
    // A reader of the file sees the old token or the new one.
    std::ofstream(file + ".new") << token << '\n';
    ASSERT_EQ(std::rename((file + ".new").c_str(), file.c_str()), 0);
    good = token;
    const int before = taken;
    while (taken < before + 8) std::this_thread::yield();
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  std::remove(file.c_str());
}

TEST(IssuerClient, ManyThreadsShareTheConnections) {
  HttpServer server(AlwaysAnswers(200, kGrant));
  IssuerOptions options = To(server);
  options.connections = 3;
  options.request_timeout_ms = 60'000;
  IssuerClient issuer(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      ClaimGrant grant;
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(issuer.Claim("w", Claiming(), grant));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.requests().size(), 160u);
  EXPECT_LE(server.connections(), 3);
}

}  // namespace
}  // namespace ffgrant::http
