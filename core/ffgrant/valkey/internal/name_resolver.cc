// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/valkey/internal/name_resolver.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "ffgrant/internal/blocked_signals.h"

namespace ffgrant::valkey::internal {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

Wakeup::Wakeup() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

Wakeup::~Wakeup() {
  if (fd_ >= 0) close(fd_);
}

void Wakeup::Notify() noexcept {
  const std::uint64_t one = 1;
  // The write fails only if there were very many notifications already, or if there is no
  // descriptor.
  (void)!write(fd_, &one, sizeof one);
}

void Wakeup::Clear() noexcept {
  std::uint64_t count = 0;
  (void)!read(fd_, &count, sizeof count);
}

// The state outlives the resolver as long as a thread of the resolver is in a look-up.
struct NameResolver::State {
  struct Name {
    bool known = false;
    Clock::time_point until;  // has a meaning if `known`
    bool used = false;
    NameAddresses addresses;
    std::vector<std::weak_ptr<Wakeup>> waiting;
  };

  explicit State(NameLookup look) : look_up(std::move(look)) {}

  const NameLookup look_up;
  std::mutex mutex;
  bool abandoned = false;
  std::size_t threads = 0;
  std::map<std::string, Name> names;
  std::deque<std::string> queue;  // names that were asked for, and that no thread has taken yet

  // Does the work of one thread: looks up the names in the queue until none is left or the resolver
  // is destroyed.
  static void Work(const std::shared_ptr<State>& state) {
    std::unique_lock lock(state->mutex);
    while (!state->abandoned && !state->queue.empty()) {
      const std::string name = std::move(state->queue.front());
      state->queue.pop_front();
      lock.unlock();
      NameAddresses found = state->look_up(name);
      lock.lock();
      state->Found(name, std::move(found));
    }
    --state->threads;
  }

  void Found(const std::string& name, NameAddresses&& addresses) {
    Name& entry = names[name];
    entry.known = true;
    entry.until = Clock::now() + std::chrono::milliseconds(kKeepUnusedMs);
    entry.addresses = std::move(addresses);
    for (const std::weak_ptr<Wakeup>& waiting : entry.waiting) {
      if (const std::shared_ptr<Wakeup> wakeup = waiting.lock()) wakeup->Notify();
    }
    entry.waiting.clear();
  }

  // Returns false if the system has no thread left. std::thread is not used, because in this case
  // it could only throw.
  static bool StartThread(const std::shared_ptr<State>& state) {
    const ffgrant::internal::BlockedSignals blocked;
    auto shared = std::make_unique<std::shared_ptr<State>>(state);
    const auto run = [](void* argument) -> void* {
      const std::unique_ptr<std::shared_ptr<State>> owned(
          static_cast<std::shared_ptr<State>*>(argument));
      Work(*owned);
      return nullptr;
    };
    pthread_t thread;
    // Never true: no test makes the system run out of threads.
    if (pthread_create(&thread, nullptr, run, shared.get()) != 0) return false;
    (void)shared.release();  // the thread owns it now
    pthread_detach(thread);
    return true;
  }

  // Never reached: StartThread() returns false in no test.
  std::optional<NameAddresses> FindWithoutThread(std::map<std::string, Name>::iterator at) {
    if (threads > 0) return std::nullopt;  // a thread that is running will look up the name
    queue.pop_back();
    names.erase(at);
    return NameAddresses{{}, "there is no thread for the look-up"};
  }

  // Removes the names whose answers have been kept for long enough.
  void RemoveOld(Clock::time_point now) {
    std::erase_if(
        names, [now](const auto& name) { return name.second.known && name.second.until <= now; });
  }
};

NameResolver::NameResolver(NameLookup look_up)
    : state_(std::make_shared<State>(std::move(look_up))) {}

NameResolver::~NameResolver() {
  const std::scoped_lock lock(state_->mutex);
  state_->abandoned = true;
}

std::optional<NameAddresses> NameResolver::Find(const std::string& name,
                                                const std::weak_ptr<Wakeup>& wakeup) {
  State& state = *state_;
  const std::scoped_lock lock(state.mutex);
  const Clock::time_point now = Clock::now();
  state.RemoveOld(now);
  const auto [at, is_new] = state.names.try_emplace(name);
  State::Name& entry = at->second;
  if (entry.known) {
    if (!entry.used) entry.until = now + std::chrono::milliseconds(kKeepMs);
    entry.used = true;
    return entry.addresses;
  }
  std::erase_if(entry.waiting, [](const auto& waiting) { return waiting.expired(); });
  const bool waits =
      std::any_of(entry.waiting.begin(), entry.waiting.end(), [&wakeup](const auto& waiting) {
        return !waiting.owner_before(wakeup) && !wakeup.owner_before(waiting);
      });
  if (!waits) entry.waiting.push_back(wakeup);
  if (!is_new) return std::nullopt;
  if (state.queue.size() >= kMostNames) {
    state.names.erase(at);
    return NameAddresses{{}, "too many names are being looked up"};
  }
  state.queue.push_back(name);
  if (state.threads >= kMostThreads) return std::nullopt;
  // Never true: no test makes the system run out of threads.
  if (!State::StartThread(state_)) return state.FindWithoutThread(at);
  ++state.threads;
  return std::nullopt;
}

void NameResolver::Forget(const std::string& name) {
  const std::scoped_lock lock(state_->mutex);
  const auto found = state_->names.find(name);
  if (found != state_->names.end() && found->second.known) state_->names.erase(found);
}

NameResolver& NameResolver::OfProcess() {
  // The resolver is never destroyed, because its threads may outlive main(). A child process has
  // none of the threads, so a name that one of them was looking up would never be found there.
  struct Owned {
    explicit Owned(pid_t owner) : pid(owner), resolver(LookUpWithSystem) {}
    const pid_t pid;
    NameResolver resolver;
  };
  static std::atomic<Owned*> current = nullptr;
  const pid_t pid = getpid();
  Owned* owned = current.load(std::memory_order_acquire);
  // Never true: `owned->pid != pid`: only a child of fork() finds another process's resolver, and
  // nothing counts what a child of the tests executes.
  if (owned == nullptr || owned->pid != pid) {
    auto made = std::make_unique<Owned>(pid);
    // If another thread of this process was quicker, `owned` becomes that thread's resolver.
    // Never false: no test makes two threads the first at once.
    if (current.compare_exchange_strong(owned, made.get(), std::memory_order_acq_rel))
      owned = made.release();
  }
  return owned->resolver;
}

NameAddresses LookUpWithSystem(const std::string& name) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  NameAddresses found;
  const int error = getaddrinfo(name.c_str(), nullptr, &hints, &all);
  if (error != 0) {
    found.error = gai_strerror(error);
    return found;
  }
  for (const addrinfo* one = all; one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> text;
    // Never false: an address that was found can be written as text.
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text.data(), text.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      found.addresses.emplace_back(text.data());
    }
  }
  freeaddrinfo(all);
  return found;
}

}  // namespace ffgrant::valkey::internal
