// SPDX-License-Identifier: Apache-2.0
//
// Reads the documents that a Valkey-backed issuer writes. These documents are canonical: the
// partition key is the id's own tag, the grant key follows from the id (contract 3), and the time
// has 13 digits. The size of the document tells the number of digits of the index, and so where
// everything is. The document holds the time, and copies of the id and of its index. All other
// bytes are then known in advance.
//
//   {"execution_id":"{fp:7}:<uuid>","partition_key":"{fp:7}",
//    "grant_key":"ff:exec:{fp:7}:{fp:7}:<uuid>:claim_grant","expires_at_ms":1700000000000}

#include "ffgrant/internal/cpu.h"

#ifdef FFGRANT_HAS_AVX2_PATHS

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ffgrant/internal/canonical_execution_id_avx2.h"
#include "ffgrant/internal/execution_id_access.h"
#include "ffgrant/internal/load.h"
#include "ffgrant/internal/paths.h"
#include "ffgrant/json/internal/claim_response_paths.h"

namespace ffgrant::internal {
namespace {

constexpr std::string_view kBegin = R"({"execution_id":"{fp:)";
constexpr std::string_view kBehindId = R"(","partition_key":"{fp:)";
constexpr std::string_view kBehindPartitionIndex = R"(}","grant_key":"ff:exec:{fp:)";
constexpr std::string_view kBehindGrantIndex = "}:";
constexpr std::string_view kBehindGrantId = R"(:claim_grant","expires_at_ms":)";
constexpr std::string_view kGrantKeyBegin = "ff:exec:{fp:";
constexpr std::string_view kGrantKeyEnd = ":claim_grant";
constexpr std::size_t kTimeDigits = 13;
constexpr std::size_t kTagBegin = kExecutionTagBeginSize;

// The size of the document without its four copies of the index.
constexpr std::size_t kAroundIndices = kBegin.size() - kTagBegin + kAroundExecutionIndex +
                                       kBehindId.size() + kBehindPartitionIndex.size() +
                                       kBehindGrantIndex.size() + kAroundExecutionIndex +
                                       kBehindGrantId.size() + kTimeDigits + 1;

// A literal within a block of 32 bytes of the document.
struct alignas(32) Block {
  std::array<char, 32> text{};
  std::array<char, 32> mask{};
};

// Never reached: computed at compile time.
constexpr Block MakeBlock(std::size_t before, std::string_view literal) noexcept {
  Block block;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    block.text[before + i] = literal[i];
    block.mask[before + i] = -1;
  }
  return block;
}

// Every block but the first ends where its literal ends, so no block reaches past the document.
// Never reached: computed at compile time.
constexpr std::size_t Before(std::string_view literal) noexcept { return 32 - literal.size(); }
constexpr Block kBeginBlock = MakeBlock(0, kBegin);
constexpr Block kBehindIdBlock = MakeBlock(Before(kBehindId), kBehindId);
constexpr Block kBehindPartitionIndexBlock =
    MakeBlock(Before(kBehindPartitionIndex), kBehindPartitionIndex);
constexpr Block kBehindGrantIdBlock = MakeBlock(Before(kBehindGrantId), kBehindGrantId);

FFGRANT_AVX2 inline __m256i Differs(const char* p, const Block& block) noexcept {
  return _mm256_and_si256(_mm256_xor_si256(Load256(p), Load256(&block.text)), Load256(&block.mask));
}

// The last 16 bytes are `":`, 13 digits and `}`; the first digit is no zero. A byte is right if it
// is `least` to `least` + `range`.
struct alignas(16) TimeTables {
  std::array<char, 16> least = {'"', ':', '1', '0', '0', '0', '0', '0',
                                '0', '0', '0', '0', '0', '0', '0', '}'};
  std::array<std::uint8_t, 16> range = {0, 0, 8, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0};
  std::array<std::int8_t, 16> byte_weights = {0, 0, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 10, 1, 1, 0};
  // The weights join pairs to numbers of 2, 4, 4 and 3 digits, and these numbers to numbers of 6
  // and 7 digits.
  std::array<std::int16_t, 8> pair_weights = {0, 1, 100, 1, 100, 1, 10, 1};
  std::array<std::int16_t, 8> number_weights = {10000, 1, 1000, 1, 0, 0, 0, 0};
};
constexpr TimeTables kTime;

FFGRANT_AVX2 inline std::uint64_t DecodeTime(const char* end, __m256i& wrong) noexcept {
  const __m128i text = _mm_sub_epi8(Load128(end - 16), Load128(&kTime.least));
  const __m128i out_of_range = _mm_subs_epu8(text, Load128(&kTime.range));
  wrong = _mm256_or_si256(wrong, _mm256_zextsi128_si256(out_of_range));
  const __m128i pairs = _mm_maddubs_epi16(text, Load128(&kTime.byte_weights));
  const __m128i numbers = _mm_madd_epi16(pairs, Load128(&kTime.pair_weights));
  const __m128i halves =
      _mm_madd_epi16(_mm_packus_epi32(numbers, numbers), Load128(&kTime.number_weights));
  const auto both = static_cast<std::uint64_t>(_mm_cvtsi128_si64(halves));
  // The range check counted the first digit from 1, so the missing 10^12 is added here.
  return (both & 0xFFFFFFFF) * 10'000'000 + (both >> 32) + 1'000'000'000'000;
}

}  // namespace

FFGRANT_AVX2 bool ParseIssuedGrantAvx2(std::string_view json, ClaimGrantView& out) noexcept {
  const std::size_t beyond_least = json.size() - (kAroundIndices + 4);
  if (beyond_least > 4 * 4 || beyond_least % 4 != 0 || json.front() != '{') return false;
  TakePath(Path::kIssuedGrant, json.size());
  const std::size_t digits = beyond_least / 4 + 1;
  const std::size_t id_size = kAroundExecutionIndex + digits;
  const char* const id = json.data() + kBegin.size() - kTagBegin;
  const char* const partition_index = id + id_size + kBehindId.size();
  const char* const grant_index = partition_index + digits + kBehindPartitionIndex.size();
  const char* const grant_id = grant_index + digits + kBehindGrantIndex.size();
  const char* const time = grant_id + id_size + kBehindGrantId.size();

  __m256i wrong = Differs(json.data(), kBeginBlock);
  wrong = _mm256_or_si256(wrong, Differs(partition_index - 32, kBehindIdBlock));
  wrong = _mm256_or_si256(wrong, Differs(grant_index - 32, kBehindPartitionIndexBlock));
  wrong = _mm256_or_si256(wrong, Differs(time - 32, kBehindGrantIdBlock));
  // Compares the second copy of the id: its first 32 bytes, then its last 32.
  wrong = _mm256_or_si256(wrong, _mm256_xor_si256(Load256(grant_id), Load256(id)));
  wrong = _mm256_or_si256(
      wrong, _mm256_xor_si256(Load256(grant_id + id_size - 32), Load256(id + id_size - 32)));
  // Compares two more copies of the index, the second one together with the `}:` after it.
  const std::uint64_t index_text = Load64(id + kTagBegin);
  const std::uint64_t other_index =
      (Load64(partition_index) ^ index_text) << 16 | (Load64(grant_index) ^ index_text);
  const std::uint64_t expires_at_ms = DecodeTime(json.data() + json.size(), wrong);
  Uuid uuid;
  const std::uint32_t index = DecodeExecutionIdAvx2(id, digits, uuid, wrong);
  if (_mm256_testz_si256(wrong, wrong) == 0 || other_index << (48 - 8 * digits) != 0 ||
      index > 65535) {
    return false;
  }
  ExecutionIdAccess::Fill(out.execution_id, {id, id_size}, static_cast<std::uint16_t>(index), uuid);
  out.partition_key = {partition_index - kTagBegin, kTagBegin + digits + 1};
  const char* const grant_key = grant_index - kGrantKeyBegin.size();
  out.grant_key = {grant_key,
                   static_cast<std::size_t>(grant_id + id_size + kGrantKeyEnd.size() - grant_key)};
  out.expires_at_ms = expires_at_ms;
  return true;
}

FFGRANT_AVX2 GrantJsonResult ParseClaimGrantAvx2(std::string_view json, JsonScratch& scratch,
                                                 ClaimGrantView& out) noexcept {
  if (ParseIssuedGrantAvx2(json, out)) [[likely]]
    return {};
  if (IsRejectedAtOnce(json, scratch)) [[unlikely]]
    return {.json = {.error = JsonError::kUnexpectedByte, .offset = 0, .member = {}}};
  return ParseAnyClaimGrant(json, scratch, out);
}

}  // namespace ffgrant::internal

#endif  // FFGRANT_HAS_AVX2_PATHS
