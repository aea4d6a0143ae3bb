# SPDX-License-Identifier: Apache-2.0

import json
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

from jobs.checks import fuzz_steps
from jobs.checks.job import Tally
from jobs.common import children
from jobs.common.terminal import Terminal
from jobs.fuzz import targets


class StepsTest(unittest.TestCase):
    def test_the_canary_counts_only_if_its_own_oracle_spoke(self):
        for output, found in (("FINDING: the canary, as it should be\n", 1),
                              ("SUMMARY: AddressSanitizer: heap-buffer-overflow\n", 0),
                              ("Done 100 runs in 30 second(s)\n", 0), ("", 0)):
            tally = Tally()
            fuzz_steps.judge_canary(tally, "an engine", output)
            self.assertEqual((tally.passed, tally.failed), (found, 1 - found))

    def test_a_smoke_run_must_have_run(self):
        ran = "#9\tDONE   cov: 1 ft: 2 corp: 3/4b exec/s: 5\nstat::number_of_executed_units: 9\n"
        for used, status, output, passed in (
                (True, 72, ran, 1),
                (True, -9, "#8\tpulse  cov: 1 ft: 2 corp: 3/4b exec/s: 5\n", 1),
                (False, 72, ran, 0),  # it was ended because it was late
                (False, 0, ran, 0),
                (True, 72, "", 0),
                (True, 72, "stat::number_of_executed_units: 0\n", 0),
                (True, 77, ran, 0)):
            tally = Tally()
            watched = fuzz_steps.Watched("a", SimpleNamespace(output=lambda text=output: text), 9,
                                         3)
            watched.used_its_share, watched.status = used, status
            fuzz_steps.judge_smoke(tally, watched)
            self.assertEqual((tally.passed, tally.failed), (passed, 1 - passed))

    def test_a_target_gets_the_time_that_its_slowest_mutant_asks_for(self):
        grading = {"figures": {"targets": [{"target": "a_fuzzer", "seconds": 12.5},
                                           {"target": "b_fuzzer", "seconds": 0.1},
                                           {"target": "c_fuzzer", "seconds": 44.0},
                                           {"target": "gone_fuzzer", "seconds": 20.0}]}}
        given, cut = fuzz_steps.shares(grading, ["a_fuzzer", "b_fuzzer", "c_fuzzer", "new_fuzzer"])
        self.assertEqual(given, {"a_fuzzer": 12.5, "b_fuzzer": fuzz_steps.LEAST_SECONDS,
                                 "c_fuzzer": fuzz_steps.MOST_SECONDS,
                                 "new_fuzzer": fuzz_steps.LEAST_SECONDS})
        self.assertEqual(cut, {"c_fuzzer": 44.0})

    def test_the_recorded_grading_says_what_targets_need(self):
        grading = json.loads(fuzz_steps.GRADING.read_text(encoding="utf-8"))
        names = [target.name for target in targets.all_targets() if not target.is_canary]
        given, _ = fuzz_steps.shares(grading, names)
        self.assertEqual(sorted(given), sorted(names))
        graded = {need["target"] for need in grading["figures"]["targets"]}
        self.assertLessEqual(graded, set(names))

    def test_a_child_ends_when_it_has_used_its_share(self):
        with tempfile.TemporaryDirectory() as folder, children.Children() as started:
            child = started.start([sys.executable, "-c", "while True: pass"],
                                  log=Path(folder) / "log")
            begun = time.monotonic()
            watched = fuzz_steps.Watched("busy", child, 60, 0.2)
            fuzz_steps.run_watched(Terminal(), "a test", [lambda: watched], 1)
            self.assertTrue(watched.used_its_share)
            self.assertLess(time.monotonic() - begun, 60)
            idle = fuzz_steps.Watched("idle", started.start(["sleep", "60"],
                                                            log=Path(folder) / "idle"), -30, 0.2)
            fuzz_steps.run_watched(Terminal(), "a test", [lambda: idle], 1)
            self.assertFalse(idle.used_its_share)
            self.assertIsNotNone(idle.status)


if __name__ == "__main__":
    unittest.main()
