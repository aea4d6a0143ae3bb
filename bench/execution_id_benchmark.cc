// SPDX-License-Identifier: Apache-2.0

#include "ffgrant/execution_id.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "bench/bench_main.h"
#include "bench/inputs.h"
#include "bench/plain_baselines.h"
#include "ffgrant/parse_mode.h"
#include "ffgrant/routing.h"
#include "ffgrant/uuid.h"
#include "ffgrant/uuid_generator.h"

namespace ffgrant::bench {
namespace {

constexpr std::array kCases = {IdCase::kValid, IdCase::kEarlyReject, IdCase::kLateReject,
                               IdCase::kSpellings};

void CheckParse(std::string_view text, ParseMode mode,
                const std::optional<plain::PlainExecutionId>& expected) {
  const ExecutionIdResult got = ParseExecutionId(text, mode);
  SelfCheck(static_cast<bool>(got) == expected.has_value(), "execution id: accepted by one", text);
  SelfCheck(!expected || (got.id.partition().index == expected->index &&
                          got.id.uuid() == expected->uuid && got.id.text() == text),
            "execution id: values differ", text);
}

void CheckIds() {
  for (const IdCase which : kCases) {
    const TextSet& ids = ExecutionIds(which);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      CheckParse(ids[i], ParseMode::kStrict, plain::ParseExecutionIdStrictFromChars(ids[i]));
      CheckParse(ids[i], ParseMode::kStrict, plain::ParseExecutionIdStrictLoop(ids[i]));
      CheckParse(ids[i], ParseMode::kLenient, plain::ParseExecutionIdLenient(ids[i]));
    }
  }
  const TextSet& valid = ExecutionIds(IdCase::kValid);
  SelfCheck(plain::ParseExecutionIdStrictLoop(valid[0]).has_value(), "valid ids are rejected",
            valid[0]);
  const TextSet& spelled = ExecutionIds(IdCase::kSpellings);
  SelfCheck(plain::ParseExecutionIdLenient(spelled[0]).has_value(), "spellings are rejected",
            spelled[0]);
}

void CheckUuidsAndMinting() {
  const TextSet& texts = UuidTexts();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const UuidResult got = ParseUuid(texts[i], ParseMode::kStrict);
    const std::optional<Uuid> by_chars = plain::ParseUuidStrictFromChars(texts[i]);
    const std::optional<Uuid> by_loop = plain::ParseUuidStrictLoop(texts[i]);
    SelfCheck(got && by_chars == got.uuid && by_loop == got.uuid, "uuid: values differ", texts[i]);
    std::array<char, kUuidTextSize> out;
    FormatUuid(got.uuid, out);
    SelfCheck(texts[i] == std::string_view(out.data(), out.size()), "uuid: texts differ", texts[i]);
    plain::FormatUuid(got.uuid, out.data());
    SelfCheck(texts[i] == std::string_view(out.data(), out.size()), "uuid: plain texts differ",
              texts[i]);
  }
  const Uuid id_uuid = Uuids().front();
  for (const Uuid& flow : Uuids()) {
    const std::string_view raw(reinterpret_cast<const char*>(flow.bytes.data()), 16);
    const auto index = static_cast<std::uint16_t>(plain::Crc16Bitwise(raw) % 256);
    const auto minted = MintExecutionId(FlowId{flow}, PartitionConfig{}, id_uuid);
    SelfCheck(minted && minted->text() == plain::ExecutionIdString(index, id_uuid),
              "minted id: texts differ", PlainUuidText(flow));
  }
}

void Check() {
  CheckIds();
  CheckUuidsAndMinting();
}

void RegisterParse() {
  for (const IdCase which : kCases) {
    const auto set = [which]() -> const TextSet& { return ExecutionIds(which); };
    const std::string name(CaseName(which));
    RegisterOverTexts("ParseExecutionIdStrict_Core/" + name, set, [](std::string_view text) {
      return ParseExecutionId(text, ParseMode::kStrict);
    });
    RegisterOverTexts("ParseExecutionIdStrict_FromChars/" + name, set,
                      kDirect<plain::ParseExecutionIdStrictFromChars>);
    RegisterOverTexts("ParseExecutionIdStrict_Loop/" + name, set,
                      kDirect<plain::ParseExecutionIdStrictLoop>);
    RegisterOverTexts("ParseExecutionIdLenient_Core/" + name, set, [](std::string_view text) {
      return ParseExecutionId(text, ParseMode::kLenient);
    });
    RegisterOverTexts("ParseExecutionIdLenient_FromChars/" + name, set,
                      kDirect<plain::ParseExecutionIdLenient>);
  }
  const auto texts = []() -> const TextSet& { return UuidTexts(); };
  RegisterOverTexts("ParseUuidStrict_Core/valid", texts,
                    [](std::string_view text) { return ParseUuid(text, ParseMode::kStrict); });
  RegisterOverTexts("ParseUuidStrict_FromChars/valid", texts,
                    kDirect<plain::ParseUuidStrictFromChars>);
  RegisterOverTexts("ParseUuidStrict_Loop/valid", texts, kDirect<plain::ParseUuidStrictLoop>);
}

void RegisterFormatAndMint() {
  const auto uuids = []() -> const std::vector<Uuid>& { return Uuids(); };
  std::array<char, kUuidTextSize> out{};
  RegisterOverValues("FormatUuid_Core/random", uuids, [out](const Uuid& uuid) mutable {
    FormatUuid(uuid, out);
    benchmark::DoNotOptimize(out);
    return out[0];
  });
  RegisterOverValues("FormatUuid_Loop/random", uuids, [out](const Uuid& uuid) mutable {
    plain::FormatUuid(uuid, out.data());
    benchmark::DoNotOptimize(out);
    return out[0];
  });
  RegisterOverValues("FormatExecutionId_Core/random", uuids, [](const Uuid& uuid) {
    const auto index = static_cast<std::uint16_t>(uuid.bytes[0] << 8 | uuid.bytes[1]);
    return MintedExecutionId(index, uuid);
  });
  RegisterOverValues("FormatExecutionId_StdString/random", uuids, [](const Uuid& uuid) {
    const auto index = static_cast<std::uint16_t>(uuid.bytes[0] << 8 | uuid.bytes[1]);
    return plain::ExecutionIdString(index, uuid);
  });
  RegisterOverValues("MintExecutionId_Core/deterministic", uuids, [](const Uuid& flow) {
    return MintExecutionId(FlowId{flow}, PartitionConfig{}, flow);
  });
  RegisterOverValues("MintExecutionId_StdString/deterministic", uuids, [](const Uuid& flow) {
    const std::string_view raw(reinterpret_cast<const char*>(flow.bytes.data()), 16);
    return plain::ExecutionIdString(static_cast<std::uint16_t>(plain::Crc16Table(raw) % 256), flow);
  });
  RegisterOverValues("MintExecutionId_Core/random", uuids, [](const Uuid& flow) {
    return MintExecutionId(FlowId{flow}, PartitionConfig{});
  });
  RegisterOverValues("GenerateUuid_Core/random", uuids, [](const Uuid&) { return RandomUuid(); });
}

}  // namespace
}  // namespace ffgrant::bench

int main(int argc, char** argv) {
  ffgrant::bench::RegisterParse();
  ffgrant::bench::RegisterFormatAndMint();
  return ffgrant::bench::RunBenchmarks(argc, argv, ffgrant::bench::Check);
}
