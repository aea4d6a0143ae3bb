// SPDX-License-Identifier: Apache-2.0

#include "testing/simulation/scripted_network.h"

#include <algorithm>
#include <set>

namespace ffgrant::valkey::testing {

class ScriptedStream final : public Stream {
 public:
  explicit ScriptedStream(ScriptedNetwork& network) : network_(network) {}
  ~ScriptedStream() override { Close(); }

  IoStatus Open(const Endpoint& endpoint) noexcept override {
    Close();
    network_.connections_.push_back(std::make_unique<ScriptedNetwork::Connection>());
    connection_ = network_.connections_.back().get();
    connection_->id = static_cast<std::int64_t>(network_.connections_.size());
    connection_->endpoint = endpoint;
    return FinishOpen();
  }

  IoStatus FinishOpen() noexcept override {
    if (connection_ == nullptr) return IoStatus::kFailed;
    const Fault fault = network_.Ask(Operation::kOpen);
    if (fault.kind == Fault::Kind::kRefused) {
      Close();
      return IoStatus::kFailed;
    }
    if (fault.kind == Fault::Kind::kWouldBlock) return IoStatus::kWouldBlock;
    const ServerEnd::Accept accept =
        network_.server_.Connect(connection_->id, connection_->endpoint);
    if (accept == ServerEnd::Accept::kNo) {
      Close();
      return IoStatus::kFailed;
    }
    connection_->pending = accept == ServerEnd::Accept::kPending;
    return connection_->pending ? IoStatus::kWouldBlock : IoStatus::kDone;
  }

  IoResult Read(std::span<char> into) noexcept override {
    if (Dead()) return {IoStatus::kFailed, 0};
    network_.Arrive(*connection_, false);
    std::string& bytes = connection_->to_client;
    if (!network_.server_.Hears(connection_->id)) return {IoStatus::kWouldBlock, 0};
    if (bytes.empty() && connection_->killed) return {IoStatus::kClosed, 0};
    if (bytes.empty() || connection_->readable_at > network_.now_) {
      return {IoStatus::kWouldBlock, 0};
    }
    return Move(Operation::kRead, std::min(bytes.size(), into.size()), [&](std::size_t size) {
      bytes.copy(into.data(), size);
      bytes.erase(0, size);
    });
  }

  IoResult Write(std::string_view bytes) noexcept override {
    if (Dead()) return {IoStatus::kFailed, 0};
    return Move(Operation::kWrite, bytes.size(), [&](std::size_t size) {
      connection_->to_server.append(bytes.substr(0, size));
      network_.bytes_to_server_ += size;
    });
  }

  void Close() noexcept override {
    if (connection_ != nullptr) {
      connection_->closed = true;
      if (connection_->to_server.empty()) network_.server_.Leave(connection_->id);
    }
    connection_ = nullptr;
  }

  bool Ready(bool or_writable) const {
    if (connection_ == nullptr) return false;
    if (connection_->pending) {
      return network_.server_.Connect(connection_->id, connection_->endpoint) !=
             ServerEnd::Accept::kPending;
    }
    if (or_writable || connection_->closed) return true;
    if (!network_.server_.Hears(connection_->id)) return false;
    if (connection_->killed || !network_.server_.Stands(connection_->id)) return true;
    return (!connection_->to_client.empty() && connection_->readable_at <= network_.now_) ||
           !connection_->to_server.empty();
  }
  std::int64_t readable_at() const {
    return connection_ != nullptr && !connection_->to_client.empty() ? connection_->readable_at
                                                                     : INT64_MAX;
  }

 private:
  bool Dead() const { return connection_ == nullptr || connection_->closed; }

  template <class Transfer>
  IoResult Move(Operation operation, std::size_t size, const Transfer& transfer) {
    const Fault fault = network_.Ask(operation);
    switch (fault.kind) {
      case Fault::Kind::kWouldBlock:
        return {IoStatus::kWouldBlock, 0};
      case Fault::Kind::kInterrupted:
        return {IoStatus::kInterrupted, 0};
      case Fault::Kind::kPipeBroken:
        return {IoStatus::kFailed, 0};
      case Fault::Kind::kReset:
        connection_->closed = true;
        return {IoStatus::kFailed, 0};
      case Fault::Kind::kPartial:
        size = std::min(size, std::max<std::size_t>(fault.size, 1));
        break;
      default:
        break;
    }
    transfer(size);
    return {IoStatus::kDone, size};
  }

  ScriptedNetwork& network_;
  ScriptedNetwork::Connection* connection_ = nullptr;
};

std::unique_ptr<Stream> ScriptedNetwork::NewStream() {
  return std::make_unique<ScriptedStream>(*this);
}

void ScriptedNetwork::Wait(std::span<const StreamInterest> interests,
                           std::int64_t timeout_ms) noexcept {
  std::int64_t until = std::min(now_ + timeout_ms, server_.NextEvent());
  for (const StreamInterest& interest : interests) {
    const auto& stream = static_cast<const ScriptedStream&>(*interest.stream);
    if (stream.Ready(interest.or_writable)) {
      until = now_ + server_.TickMs();  // so that time goes on during an endless fault
      break;
    }
    until = std::min(until, stream.readable_at());
  }
  now_ = std::max(now_ + server_.TickMs(), until);
  server_.OnTime(now_);
}

void ScriptedNetwork::DeliverAll() {
  for (std::size_t i = 0; i < connections_.size(); ++i) Arrive(*connections_[i], true);
}

void ScriptedNetwork::Arrive(Connection& connection, bool without_faults) {
  if (!server_.Hears(connection.id)) return;
  if (!server_.Stands(connection.id)) connection.killed = true;
  if (connection.to_server.empty()) return;
  if (!without_faults && Ask(Operation::kArrive).kind == Fault::Kind::kHold) return;
  connection.unread += connection.to_server;
  connection.to_server.clear();
  for (const Words& command : TakeCommands(connection.unread)) {
    if (connection.killed) return;
    std::set<std::int64_t> killed;
    const std::string reply = server_.Execute(connection.id, command, now_, killed);
    for (const std::int64_t id : killed) {
      if (id > 0 && id <= static_cast<std::int64_t>(connections_.size())) {
        connections_[static_cast<std::size_t>(id - 1)]->killed = true;
      }
    }
    if (!server_.Stands(connection.id)) connection.killed = true;
    if (!connection.closed) {
      Answer(connection, reply, without_faults ? Fault{} : Ask(Operation::kAnswer));
    }
  }
  if (connection.closed) server_.Leave(connection.id);
}

void ScriptedNetwork::Answer(Connection& connection, const std::string& reply, const Fault& fault) {
  if (connection.silent) return;
  const std::size_t before = connection.to_client.size();
  switch (fault.kind) {
    case Fault::Kind::kSilence:
      connection.silent = true;
      break;
    case Fault::Kind::kTwice:
      connection.to_client += reply + reply;
      break;
    case Fault::Kind::kOversized:
      connection.to_client += Bulk(std::string(fault.size, 'x'));
      break;
    case Fault::Kind::kGarbage:
      connection.to_client += "?what\r\n";
      break;
    case Fault::Kind::kLate:
      connection.to_client += reply;
      connection.readable_at = now_ + static_cast<std::int64_t>(fault.size);
      break;
    default:
      connection.to_client += reply;
      break;
  }
  bytes_to_client_ += connection.to_client.size() - before;
}

}  // namespace ffgrant::valkey::testing
