// SPDX-License-Identifier: Apache-2.0
//
// Mutates inputs whose first byte, from '0' on, chooses a DTO and whose rest is a document of this
// DTO. Claim responses are not among these DTOs.

#ifndef FFGRANT_FUZZ_CHOSEN_DTO_H_
#define FFGRANT_FUZZ_CHOSEN_DTO_H_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>

#include "harness/json_mutation.h"
#include "harness/random.h"
#include "oracles/naive_dtos.h"

namespace ffgrant::fuzz {

inline constexpr NaiveDto kChosenDtos[] = {
    NaiveDto::kClaimRequest,  NaiveDto::kReclaimRequest,    NaiveDto::kReclaimResponse,
    NaiveDto::kErrorBody,     NaiveDto::kRevokeLeaseResult, NaiveDto::kRenewLeaseResult,
    NaiveDto::kClaimedResult, NaiveDto::kLeaseFence,        NaiveDto::kPartitionConfig,
};

inline NaiveDto ChosenDto(std::uint8_t byte) {
  return kChosenDtos[static_cast<std::uint8_t>(byte - '0') % std::size(kChosenDtos)];
}

// These two functions serve LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver.
inline std::size_t MutateChosenDto(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                   unsigned int seed) {
  if (max_size == 0) return 0;
  Random random(seed);
  std::string json;
  if (size > 0) json.assign(reinterpret_cast<const char*>(data) + 1, size - 1);
  // If the DTO changes, the old document makes no sense, so a new document is written.
  if (size == 0 || (size <= max_size && random.OneIn(8))) {
    data[0] = static_cast<std::uint8_t>('0' + random.Below(std::size(kChosenDtos)));
    json.clear();
  }
  MutateJson(random, ChosenDto(data[0]), json, max_size - 1);
  return 1 + StoreText(json, data + 1, max_size - 1);
}

inline std::size_t CrossOverChosenDto(std::span<const std::uint8_t> a,
                                      std::span<const std::uint8_t> b, std::span<std::uint8_t> out,
                                      unsigned int seed) {
  if (out.empty() || (a.empty() && b.empty())) return 0;
  if (a.empty()) a = b;
  if (b.empty()) b = a;
  Random random(seed);
  out[0] = a[0];
  const std::string json =
      CrossOverJson(random, {reinterpret_cast<const char*>(a.data()) + 1, a.size() - 1},
                    {reinterpret_cast<const char*>(b.data()) + 1, b.size() - 1});
  return 1 + StoreText(json, out.data() + 1, out.size() - 1);
}

// Defines both callbacks.
#define FFGRANT_FUZZ_CHOSEN_DTO_MUTATORS()                                                        \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,            \
                                                 std::size_t max_size, unsigned int seed) {       \
    return ::ffgrant::fuzz::MutateChosenDto(data, size, max_size, seed);                          \
  }                                                                                               \
  extern "C" std::size_t LLVMFuzzerCustomCrossOver(                                               \
      const std::uint8_t* data1, std::size_t size1, const std::uint8_t* data2, std::size_t size2, \
      std::uint8_t* out, std::size_t max_out_size, unsigned int seed) {                           \
    return ::ffgrant::fuzz::CrossOverChosenDto({data1, size1}, {data2, size2},                    \
                                               {out, max_out_size}, seed);                        \
  }

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_CHOSEN_DTO_H_
