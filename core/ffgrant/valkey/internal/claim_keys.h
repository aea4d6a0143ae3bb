// SPDX-License-Identifier: Apache-2.0
//
// Writes the keys that calls about one execution need into a command. Except for the keys of a
// suspension, key_names.h has their names.

#ifndef FFGRANT_VALKEY_INTERNAL_CLAIM_KEYS_H_
#define FFGRANT_VALKEY_INTERNAL_CLAIM_KEYS_H_

#include <initializer_list>
#include <string_view>

#include "ffgrant/execution_id.h"
#include "ffgrant/internal/concat.h"
#include "ffgrant/key_names.h"
#include "ffgrant/valkey/internal/resp_command.h"

namespace ffgrant::valkey::internal {

class ClaimKeys {
 public:
  ClaimKeys(RespCommand& command, const ExecutionIdView& id, LaneIdView lane = {})
      : command_(command), id_(id), lane_(lane), tag_(id.partition()) {}

  void Execution(ExecutionKey role) {
    command_.Key([&](std::span<char> out) { return FormatKey(role, id_, out); });
  }
  void Attempt(AttemptKey role, std::uint32_t index) {
    command_.Key(
        [&](std::span<char> out) { return FormatKey(role, id_, AttemptIndex{index}, out); });
  }
  void Lane(LaneKey role) { Lane(role, lane_); }
  void Lane(LaneKey role, LaneIdView lane) {
    command_.Key([&](std::span<char> out) { return FormatKey(role, id_.partition(), lane, out); });
  }
  void Index(PartitionIndexKey role) {
    command_.Key([&](std::span<char> out) { return FormatKey(role, id_.partition(), out); });
  }
  void WorkerLeases(std::string_view instance) {
    command_.Key([&](std::span<char> out) {
      return FormatWorkerLeasesKey(id_.partition(), WorkerInstanceIdView{instance}, out);
    });
  }
  // Writes <family>:T:<rest>, where T is the partition's tag, for the keys of a suspension.
  void Tagged(std::string_view family, std::string_view rest) {
    command_.Key([&](std::span<char> out) {
      return ffgrant::internal::Concat(out, {family, ":", tag_.view(), ":", rest});
    });
  }
  // ExecutionRest() writes ff:exec:T:E:<rest>, where E is the execution id. Waitpoint() writes
  // ff:wp:T:<waitpoint><rest>.
  void ExecutionRest(std::string_view rest) {
    command_.Key([&](std::span<char> out) {
      return ffgrant::internal::Concat(out, {"ff:exec:", tag_.view(), ":", id_.text(), ":", rest});
    });
  }
  void Waitpoint(std::string_view waitpoint, std::string_view rest = {}) {
    command_.Key([&](std::span<char> out) {
      return ffgrant::internal::Concat(out, {"ff:wp:", tag_.view(), ":", waitpoint, rest});
    });
  }

 private:
  RespCommand& command_;
  const ExecutionIdView& id_;
  LaneIdView lane_;
  PartitionTag tag_;
};

}  // namespace ffgrant::valkey::internal

#endif  // FFGRANT_VALKEY_INTERNAL_CLAIM_KEYS_H_
