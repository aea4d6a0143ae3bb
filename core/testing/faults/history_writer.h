// SPDX-License-Identifier: Apache-2.0
//
// Writes each call as one line of JSON, in the form that scripts/jobs/claims/history_check.py
// reads.

#ifndef FFGRANT_TESTING_FAULTS_HISTORY_WRITER_H_
#define FFGRANT_TESTING_FAULTS_HISTORY_WRITER_H_

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "ffgrant/claims/claim_ledger.h"

namespace ffgrant::claims_faults {

struct HistoryLine {
  std::string_view op;
  std::string execution;
  std::string worker;
  std::int64_t called = 0;    // ns, CLOCK_MONOTONIC
  std::int64_t returned = 0;  // ns
  std::string outcome;        // ok, already, unknown, unavailable, or an error code
  LeaseId lease;
  std::uint64_t epoch = 0;
  std::int64_t index = -1;
  std::int64_t expires = 0;
  std::int64_t ttl = 0;
  // Whether a claim with an unknown outcome has happened: happened, not_happened, or empty if that
  // could not be found out. Empty for all other calls.
  const char* resolved = "";
  bool confirmed = false;
};

// The file of one thread. Writes are buffered; the file is complete once this object is destroyed.
class HistoryWriter {
 public:
  // Ends the process if the file can't be written, since a history with gaps proves nothing.
  explicit HistoryWriter(const std::string& path);
  ~HistoryWriter();
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;

  void Write(const HistoryLine& line);

 private:
  void Check(bool well);
  std::string path_;
  std::FILE* file_;
};

std::int64_t MonotonicNs();

}  // namespace ffgrant::claims_faults

#endif  // FFGRANT_TESTING_FAULTS_HISTORY_WRITER_H_
