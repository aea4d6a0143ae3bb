// SPDX-License-Identifier: Apache-2.0
//
// Mutates JSON documents. The mutations know where members, elements, names, texts and numbers lie,
// even in documents that are not well-formed.

#ifndef FFGRANT_FUZZ_HARNESS_JSON_MUTATION_H_
#define FFGRANT_FUZZ_HARNESS_JSON_MUTATION_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "harness/random.h"
#include "oracles/naive_dtos.h"

namespace ffgrant::fuzz {

// Edits a document of `dto` once or a few times, or writes a new one. If the document is larger
// than `max_size`, which happens when an engine minimises, the document loses parts until it fits,
// mostly without another change. A document that is not larger than `max_size` may become so. The
// result is not empty unless max_size is 0.
void MutateJson(Random& random, NaiveDto dto, std::string& json, std::size_t max_size);

// Returns the document `a` with parts of the document `b`. The result is empty only if both inputs
// are.
std::string CrossOverJson(Random& random, std::string_view a, std::string_view b);

// Copies as much of `text` as fits, for LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver.
std::size_t StoreText(std::string_view text, std::uint8_t* out, std::size_t max_size);

// Defines both callbacks for a target whose input is a document of `dto`.
#define FFGRANT_FUZZ_DOCUMENT_MUTATORS(dto)                                                       \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,            \
                                                 std::size_t max_size, unsigned int seed) {       \
    ::ffgrant::fuzz::Random random(seed);                                                         \
    std::string json(reinterpret_cast<const char*>(data), size);                                  \
    ::ffgrant::fuzz::MutateJson(random, dto, json, max_size);                                     \
    return ::ffgrant::fuzz::StoreText(json, data, max_size);                                      \
  }                                                                                               \
  extern "C" std::size_t LLVMFuzzerCustomCrossOver(                                               \
      const std::uint8_t* data1, std::size_t size1, const std::uint8_t* data2, std::size_t size2, \
      std::uint8_t* out, std::size_t max_out_size, unsigned int seed) {                           \
    ::ffgrant::fuzz::Random random(seed);                                                         \
    const std::string json =                                                                      \
        ::ffgrant::fuzz::CrossOverJson(random, {reinterpret_cast<const char*>(data1), size1},     \
                                       {reinterpret_cast<const char*>(data2), size2});            \
    return ::ffgrant::fuzz::StoreText(json, out, max_out_size);                                   \
  }

}  // namespace ffgrant::fuzz

#endif  // FFGRANT_FUZZ_HARNESS_JSON_MUTATION_H_
