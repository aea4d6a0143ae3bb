// SPDX-License-Identifier: Apache-2.0

#include "testing/faults/history_writer.h"

#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdlib>

namespace ffgrant::claims_faults {

HistoryWriter::HistoryWriter(const std::string& path)
    : path_(path), file_(std::fopen(path.c_str(), "w")) {
  Check(file_ != nullptr);
}

HistoryWriter::~HistoryWriter() { Check(std::fclose(file_) == 0); }

void HistoryWriter::Check(bool well) {
  if (well) return;
  std::perror(path_.c_str());
  std::_Exit(3);
}

// Ids, codes and worker names need no escaping.
void HistoryWriter::Write(const RecordedCall& call) {
  std::array<char, kUuidTextSize + 1> lease{};
  if (call.lease.uuid != Uuid()) {
    FormatUuid(call.lease.uuid, std::span(lease).first<kUuidTextSize>());
  }
  Check(std::fprintf(file_,
                     "{\"op\":\"%s\",\"execution\":\"%s\",\"worker\":\"%s\",\"called\":%" PRId64
                     ",\"returned\":%" PRId64
                     ",\"outcome\":\"%s\",\"lease\":\"%s\",\"epoch\":%" PRIu64 ",\"index\":%" PRId64
                     ",\"expires\":%" PRId64 ",\"ttl\":%" PRId64
                     ",\"resolved\":\"%s\",\"confirmed\":%s}\n",
                     call.op, call.execution.c_str(), call.worker.c_str(), call.called,
                     call.returned, call.outcome.c_str(), lease.data(), call.epoch, call.index,
                     call.expires, call.ttl, call.resolved, call.confirmed ? "true" : "false") > 0);
}

std::int64_t MonotonicNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace ffgrant::claims_faults
