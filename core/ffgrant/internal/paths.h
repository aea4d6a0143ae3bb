// SPDX-License-Identifier: Apache-2.0
//
// The fast paths of core by name. Each says when it is taken and for how many bytes; in builds that
// look for faults (CMake option FFGRANT_COUNT_PATHS) that is counted, so that "this path with this
// length" is coverage that libFuzzer sees like an edge, and a test can ask whether every length of
// every path was visited. A fault that people make concerns one path at one length, where all edges
// have long been covered. In all other builds nothing here does anything.

#ifndef FFGRANT_INTERNAL_PATHS_H_
#define FFGRANT_INTERNAL_PATHS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::internal {

enum class Path : std::uint8_t {
  // string_scan.h: the length is of the text that is left.
  kFindFirst16,
  kFind32,
  kFindLast16,
  kFindWord,
  kFindByte,
  kFindFar64,
  kFindFar16,
  kFindAvx2Block,
  kFindAvx2Last,
  kFindAvx2Short,
  kSkipOneBlank,
  kSkipFirst16,
  kSkipFar64,
  kSkipFar16,
  kSkipByte,
  kSameBlanks,  // the length is the number of blanks
  kPlainIn16s,
  kPlainIn8s,
  kPlainIn4s,
  kPlainBytes,
  kCopyIn16s,
  kCopyIn8s,
  kCopyIn4s,
  kCopyBytes,
  // Keys and ids: of the text. Canonical keys are read inline in a header that all include; their
  // target counts their lengths by itself.
  kAnyKey,
  kKeyDigits,
  kCanonicalId,
  kCanonicalIdAvx2,
  kAnyId,
  kShortIndex,
  kCanonicalUuid,
  kUuidAvx2,
  kUuidLoop,
  // Claim responses: of the document, of a number's digits, of a text.
  kUsualResponse,
  kCanonicalResponse,
  kAnyGrant,
  kIssuedGrant,
  kNumberOf8,
  kNumberOf16,
  kNumberOf20,
  kWritePlain,
  kWriteAny,
  // Numbers in all other bodies: the number of digits, and how many bytes the document still has.
  kTakeDigits,
  kTakeDigitsLeft,
  kTakeDigitsAvx2,
  kTakeDigitsAvx2Left,
  // Checksums: of the text.
  kCrcClmul,
  kCrcTable,
  kCount,
};

inline constexpr std::size_t kPathLengths = 256;  // longer ones count as the last

#ifdef FFGRANT_COUNT_PATHS
// libFuzzer looks at this section, and clears it before each input.
__attribute__((section("__libfuzzer_extra_counters"))) inline volatile std::uint8_t
    path_counters[static_cast<std::size_t>(Path::kCount)][kPathLengths];

inline void TakePath(Path path, std::size_t length) noexcept {
  path_counters[static_cast<std::size_t>(path)][length < kPathLengths ? length
                                                                      : kPathLengths - 1] = 1;
}
#else
inline void TakePath(Path /*path*/, std::size_t /*length*/) noexcept {}
#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_PATHS_H_
