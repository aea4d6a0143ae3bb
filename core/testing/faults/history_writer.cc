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

// The texts are ids, codes and worker names, which need no escaping.
void HistoryWriter::Write(const HistoryLine& line) {
  std::array<char, kUuidTextSize + 1> lease{};
  if (line.lease.uuid != Uuid()) {
    FormatUuid(line.lease.uuid, std::span(lease).first<kUuidTextSize>());
  }
  Check(std::fprintf(file_,
                     "{\"op\":\"%.*s\",\"execution\":\"%s\",\"worker\":\"%s\",\"called\":%" PRId64
                     ",\"returned\":%" PRId64
                     ",\"outcome\":\"%s\",\"lease\":\"%s\",\"epoch\":%" PRIu64 ",\"index\":%" PRId64
                     ",\"expires\":%" PRId64 ",\"ttl\":%" PRId64
                     ",\"resolved\":\"%s\",\"confirmed\":%s}\n",
                     static_cast<int>(line.op.size()), line.op.data(), line.execution.c_str(),
                     line.worker.c_str(), line.called, line.returned, line.outcome.c_str(),
                     lease.data(), line.epoch, line.index, line.expires, line.ttl, line.resolved,
                     line.confirmed ? "true" : "false") > 0);
}

std::int64_t MonotonicNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace ffgrant::claims_faults
