// SPDX-License-Identifier: Apache-2.0
//
// Mutates inputs that have a header and then records of one width, such as a list of operations.
// Whole records are inserted, removed, repeated, moved and exchanged, so that the records after
// them keep their meaning.

#ifndef FFGRANT_FUZZ_HARNESS_RECORD_MUTATION_H_
#define FFGRANT_FUZZ_HARNESS_RECORD_MUTATION_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "harness/engine.h"
#include "harness/random.h"

namespace ffgrant::fuzz {

struct RecordFormat {
  std::size_t header;  // bytes; may be 0
  std::size_t width;
  std::size_t max_records;
  // Fills in a header or a record that makes sense, at random.
  void (*generate_header)(Random& random, std::span<std::uint8_t> header);
  void (*generate_record)(Random& random, std::span<std::uint8_t> record);
  // Fills in a few records that make sense one after the other, and returns their number. May be
  // null.
  static constexpr std::size_t kMaxRow = 8;
  std::size_t (*generate_row)(Random& random, std::span<std::uint8_t> records);
  // Changes a header a little.
  void (*mutate_header)(Random& random, std::span<std::uint8_t> header);
};

// MutateRecords and CrossOverRecords implement the callbacks whose contract is in engine.h. If an
// input ends within a record, MutateRecords completes the record, but mostly not if an engine
// minimises the input. If not even one record fits, MutateRecords mutates bytes.
std::size_t MutateRecords(const RecordFormat& format, std::uint8_t* data, std::size_t size,
                          std::size_t max_size, unsigned int seed);
// The result has the header of `a` and records of one input or both. If not even one record fits,
// or if nothing would be left, the result is one of the inputs, cut to fit.
std::size_t CrossOverRecords(const RecordFormat& format, std::span<const std::uint8_t> a,
                             std::span<const std::uint8_t> b, std::uint8_t* out,
                             std::size_t max_out_size, unsigned int seed);

// Fills in a header or record in which any bytes make sense.
inline void AnyBytes(Random& random, std::span<std::uint8_t> bytes) {
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.Next());
}

// Calls `take` with each record in turn; the last record is padded with zeros.
template <std::size_t kWidth, class Take>
void ForEachRecord(std::string_view records, std::size_t max_records, Take take) {
  for (std::size_t i = 0; i < max_records && !records.empty(); ++i) {
    std::array<std::uint8_t, kWidth> record{};
    const std::size_t size = std::min(kWidth, records.size());
    std::copy_n(records.begin(), size, record.begin());
    records.remove_prefix(size);
    take(record);
  }
}

}  // namespace ffgrant::fuzz

#define FFGRANT_FUZZ_RECORD_MUTATORS(format)                                                      \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,            \
                                                 std::size_t max_size, unsigned int seed) {       \
    return ffgrant::fuzz::MutateRecords(format, data, size, max_size, seed);                      \
  }                                                                                               \
  extern "C" std::size_t LLVMFuzzerCustomCrossOver(                                               \
      const std::uint8_t* data1, std::size_t size1, const std::uint8_t* data2, std::size_t size2, \
      std::uint8_t* out, std::size_t max_out_size, unsigned int seed) {                           \
    return ffgrant::fuzz::CrossOverRecords(format, {data1, size1}, {data2, size2}, out,           \
                                           max_out_size, seed);                                   \
  }

#endif  // FFGRANT_FUZZ_HARNESS_RECORD_MUTATION_H_
