// SPDX-License-Identifier: Apache-2.0
//
// Has the fixture of tests that run on the embedded ledger and on the model.

#ifndef FFGRANT_TESTING_MODEL_LEDGER_TEST_FIXTURE_H_
#define FFGRANT_TESTING_MODEL_LEDGER_TEST_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>

#include "ffgrant/claims/memory_ledger.h"
#include "testing/calls/ledger_calls.h"
#include "testing/model/model_ledger.h"

namespace ffgrant::testing {

// A base that stands before Calls, so that it is constructed before Calls.
struct LedgerUnderTest {
  explicit LedgerUnderTest(bool model) {
    const MemoryLedgerOptions options = SmallOptions(clock_);
    if (model) {
      ledger_ = std::make_unique<ModelLedger>(clock_, options.partitions);
    } else {
      ledger_ = std::make_unique<MemoryLedger>(options);
    }
  }
  ManualClock clock_{TimestampMs{kNow}};
  std::unique_ptr<ClaimLedger> ledger_;
};

class LedgerTest : public ::testing::TestWithParam<bool>, private LedgerUnderTest, public Calls {
 protected:
  LedgerTest() : LedgerUnderTest(GetParam()), Calls(*ledger_, clock_) {}
};

}  // namespace ffgrant::testing

#endif  // FFGRANT_TESTING_MODEL_LEDGER_TEST_FIXTURE_H_
