# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.checks import fuzz_steps
from jobs.checks.job import Tally


class StepsTest(unittest.TestCase):
    def test_the_canary_counts_only_if_its_own_oracle_spoke(self):
        for output, found in (("FINDING: the canary, as it should be\n", 1),
                              ("SUMMARY: AddressSanitizer: heap-buffer-overflow\n", 0),
                              ("Done 100 runs in 30 second(s)\n", 0), ("", 0)):
            tally = Tally()
            fuzz_steps.judge_canary(tally, "an engine", output)
            self.assertEqual((tally.passed, tally.failed), (found, 1 - found))

    def test_a_smoke_run_must_have_run(self):
        for status, output, passed in ((0, "Done 9 runs in 1 second(s)", 1), (0, "", 0),
                                       (77, "Done 9 runs", 0)):
            tally = Tally()
            fuzz_steps.judge_smoke(tally, "a", status, output)
            self.assertEqual((tally.passed, tally.failed), (passed, 1 - passed))


if __name__ == "__main__":
    unittest.main()
