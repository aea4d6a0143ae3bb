// SPDX-License-Identifier: Apache-2.0
//
// Names the paths of core, most of them fast, whose faults may show at single lengths. Each path
// reports when it is taken, and with which length. Builds that look for faults (CMake option
// FFGRANT_COUNT_PATHS) note these reports. "This path with this length" is then coverage that
// libFuzzer sees like an edge, and a test can ask whether every length of every path was visited.
// Coverage of edges alone does not suffice: faults made by people often show at just one length of
// one path, and inputs of other lengths cover the same edges. In builds without FFGRANT_COUNT_PATHS
// TakePath() does nothing.

#ifndef FFGRANT_INTERNAL_PATHS_H_
#define FFGRANT_INTERNAL_PATHS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ffgrant::internal {

enum class Path : std::uint8_t {
  // For string_scan.h the length is the size of the text that is left. For kPlain and kCopy it is
  // the
  // size of the whole text.
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
  // For keys and ids the length is that of the whole text. Canonical keys are read inline in a
  // header that everybody includes, so the fuzz target for keys counts their lengths itself.
  kAnyKey,
  kKeyDigits,  // the length is the number of digits
  kCanonicalId,
  kCanonicalIdAvx2,
  kAnyId,
  kAnyIdAvx2,
  kShortIndex,
  kShortIndexAvx2,
  kCanonicalUuid,
  kUuidAvx2,
  kUuidLoop,
  // For claim responses the length is the size of the document. For kNumberOf it is the number of
  // digits, and for kWriteAny the size of the grant key.
  kUsualResponse,
  kCanonicalResponse,
  kAnyGrant,
  kIssuedGrant,
  kNumberOf8,
  kNumberOf16,
  kNumberOf20,
  kWritePlain,
  kWriteAny,
  // For numbers that json_digits.h reads the length is the number of digits; in the paths with
  // `Left` it is the number of bytes that the document has left.
  kTakeDigits,
  kTakeDigitsLeft,
  kTakeDigitsAvx2,
  kTakeDigitsAvx2Left,
  // For unwanted values the length is the number of bytes that the document has left.
  kSkimBlockAvx2,
  // For checksums the length is that of the text.
  kCrcClmul,
  kCrcTable,
  kCount,
};

inline constexpr std::size_t kPathLengths = 256;  // lengths above 255 count as 255

#ifdef FFGRANT_COUNT_PATHS
// libFuzzer reads this section as coverage and clears it before each input.
__attribute__((section("__libfuzzer_extra_counters"))) inline volatile std::uint8_t
    path_counters[static_cast<std::size_t>(Path::kCount)][kPathLengths];

inline void TakePath(Path path, std::size_t length) noexcept {
  path_counters[static_cast<std::size_t>(path)][length < kPathLengths ? length : kPathLengths - 1] =
      1;
}
#else
inline void TakePath(Path /*path*/, std::size_t /*length*/) noexcept {}
#endif

}  // namespace ffgrant::internal

#endif  // FFGRANT_INTERNAL_PATHS_H_
