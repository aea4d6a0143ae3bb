// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/uuid_generator.h"

#include <pthread.h>
#include <sys/random.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ffgrant {
namespace {

// Makes a step of SplitMix64, which xoshiro's authors recommend for seeding.
std::uint64_t NextSeedWord(std::uint64_t& state) noexcept {
  state += 0x9E3779B97F4A7C15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

std::array<std::uint64_t, 4> StateFromSeed(std::uint64_t seed) noexcept {
  std::array<std::uint64_t, 4> state;
  for (std::uint64_t& word : state) word = NextSeedWord(seed);
  return state;
}

// Counts forks, so that a child does not go on with its parent's stream.
std::atomic<std::uint64_t> fork_count{0};

void CountFork() { fork_count.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

UuidGenerator::UuidGenerator(std::uint64_t seed) noexcept : state_(StateFromSeed(seed)) {}

UuidGenerator UuidGenerator::FromEntropy() noexcept {
  std::array<std::uint64_t, 4> state;
  static_assert(sizeof state <= 256, "getrandom() gives up to 256 bytes without interruption");
  // Never true: the system has entropy, and no signal comes in between.
  while (getrandom(state.data(), sizeof state, 0) != static_cast<ssize_t>(sizeof state))
    // Without entropy there are no unique ids: nothing can go on.
    // Never reached: as above.
    if (errno != EINTR) std::abort();
  return UuidGenerator(state);
}

Uuid UuidGenerator::Next() noexcept {
  // The loop makes two steps of xoshiro256++ (Blackman and Vigna).
  std::array<std::uint64_t, 2> words;
  for (std::uint64_t& word : words) {
    word = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
  }
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), words.data(), uuid.bytes.size());
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0F) | 0x40);  // version 4
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3F) | 0x80);  // RFC 4122
  return uuid;
}

Uuid RandomUuid() noexcept {
  // A child that went on with its parent's stream would repeat the parent's ids.
  [[maybe_unused]] static const bool registered = [] {
    // Never true: pthread_atfork() fails only if there are not even a few bytes of memory.
    if (pthread_atfork(nullptr, nullptr, CountFork) != 0) std::abort();
    return true;
  }();
  struct Stream {
    UuidGenerator generator = UuidGenerator::FromEntropy();
    std::uint64_t forks = fork_count.load(std::memory_order_relaxed);
  };
  thread_local Stream stream;
  if (stream.forks != fork_count.load(std::memory_order_relaxed)) [[unlikely]]
    stream = Stream();
  return stream.generator.Next();
}

}  // namespace ffgrant
