// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/session.h"

#include <functional>
#include <stdexcept>
#include <thread>

namespace ffgrant::valkey::internal {

SessionPool::SessionPool(const ClientOptions& options, std::size_t size) {
  if (size == 0 || size > 1024) throw std::invalid_argument("ffgrant: 1 to 1024 connections");
  for (std::size_t i = 0; i < size; ++i) {
    sessions_.push_back(std::make_unique<Session>(
        options, options.make_network ? options.make_network() : MakeSocketNetwork()));
  }
}

SessionPool::Lease SessionPool::Take() noexcept {
  for (const auto& session : sessions_) {
    std::unique_lock lock(session->mutex, std::try_to_lock);
    if (lock) return {*session, std::move(lock)};
  }
  const std::size_t own = std::hash<std::thread::id>{}(std::this_thread::get_id());
  Session& session = *sessions_[own % sessions_.size()];
  return {session, std::unique_lock(session.mutex)};
}

}  // namespace ffgrant::valkey::internal
