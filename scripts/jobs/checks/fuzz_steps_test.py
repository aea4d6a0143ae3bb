# SPDX-License-Identifier: Apache-2.0

import io
import json
import signal
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from jobs.checks import fuzz_steps
from jobs.checks.job import Tally
from jobs.common import children, processes
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
                (True, 77, ran, 0),
                (True, -9, f"{ran}x; Test unit written to /x/crash-1\n", 0)):
            tally = Tally()
            watched = fuzz_steps.Watched("a", SimpleNamespace(output=lambda text=output: text), 9,
                                         3)
            watched.used_its_share, watched.status = used, status
            fuzz_steps.judge_smoke(tally, watched, lambda path, _: f"kept: {path}")
            self.assertEqual((tally.passed, tally.failed), (passed, 1 - passed))
            self.assertEqual("kept: /x/crash-1" in "".join(tally.problems), "written" in output)

    def test_a_target_gets_the_time_that_its_slowest_mutant_asks_for(self):
        grading = {"figures": {"targets": [{"target": "a_fuzzer", "seconds": 12.5},
                                           {"target": "b_fuzzer", "seconds": 0.1},
                                           {"target": "c_fuzzer", "seconds": 44.0},
                                           {"target": "gone_fuzzer", "seconds": 20.0}]}}
        given, cut = fuzz_steps.shares(grading, ["a_fuzzer", "b_fuzzer", "c_fuzzer", "new_fuzzer"])
        self.assertEqual(given, {"a_fuzzer": 12.5, "b_fuzzer": fuzz_steps.LEAST_SECONDS,
                                 "c_fuzzer": fuzz_steps.MOST_SECONDS,
                                 "new_fuzzer": fuzz_steps.UNGRADED_SECONDS})
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
            fuzz_steps.run_watched(Terminal(), "a test", [lambda: watched], 1, id)
            self.assertTrue(watched.used_its_share)
            self.assertLess(time.monotonic() - begun, 60)
            idle = fuzz_steps.Watched("idle", started.start(["sleep", "60"],
                                                            log=Path(folder) / "idle"), -30, 0.2)
            fuzz_steps.run_watched(Terminal(), "a test", [lambda: idle], 1, id)
            self.assertFalse(idle.used_its_share)
            self.assertIsNotNone(idle.status)


# This program behaves like a target that finds something. If its last argument is a file, it only
# replays the file, and fails if the file is not empty.
FAKE = """\
#!/usr/bin/env python3
import os, sys
if os.path.isfile(sys.argv[-1]):
    sys.exit(77 if os.path.getsize(sys.argv[-1]) else 0)
prefix = next(a[17:] for a in sys.argv if a.startswith("-artifact_prefix="))
open(prefix + "crash-1", "wb").write(DATA)
print("FINDING: hash tag")
print("artifact_prefix='x'; Test unit written to " + prefix + "crash-1")
sys.exit(77)
"""


class FindingTest(unittest.TestCase):
    """Lets smoke() run a single target, whose program is FAKE."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.target = targets.Target("a_fuzzer", self.root)
        self.target.corpus.mkdir(parents=True)
        self.tally = Tally()
        self.grading = self.root / "mutants.json"
        self.grading.write_text('{"figures": {"targets": []}}', encoding="utf-8")

    def smoke(self, data):
        program = self.root / "fuzz" / "a_fuzzer"
        program.parent.mkdir(exist_ok=True)
        program.write_text(FAKE.replace("DATA", repr(data)), encoding="utf-8")
        program.chmod(0o755)
        with mock.patch.object(targets, "all_targets", return_value=[self.target]), \
                mock.patch.object(fuzz_steps, "GRADING", self.grading), \
                mock.patch.object(fuzz_steps.reference, "lacking", return_value="no Rust"), \
                mock.patch.object(fuzz_steps.build, "build_directory", return_value=self.root):
            fuzz_steps.smoke(Terminal(io.StringIO()), self.tally, "asan-ubsan", ())
        regressions = self.target.regressions
        return sorted(regressions.iterdir()) if regressions.is_dir() else []

    def test_is_kept_among_the_regressions_and_named(self):
        [kept] = self.smoke(b"input")
        self.assertEqual(kept.read_bytes(), b"input")
        [problem] = self.tally.problems
        self.assertIn("FAILED fuzz smoke a: status 77", problem)
        self.assertRegex(problem.splitlines()[-1],
                         rf"kept, to replay by: .*a_fuzzer .*regressions/{kept.name}$")

    def test_a_fuzzer_that_dies_in_its_mutator_has_no_input(self):
        self.assertEqual(self.smoke(b""), [])
        self.assertIn("no input was running", self.tally.problems[0].splitlines()[-1])

    def test_fails_if_it_can_not_be_kept(self):
        with mock.patch.object(fuzz_steps.findings, "keep", side_effect=OSError("no room")):
            self.smoke(b"input")
        self.assertEqual(self.tally.failed, 1)
        self.assertIn("not kept: no room", self.tally.problems[0].splitlines()[-1])

    def test_is_kept_before_the_other_targets_end(self):
        judged = []

        def interrupted():
            if judged:
                raise processes.Interrupted(signal.SIGINT)
            return SimpleNamespace(name="b", over=lambda: False)

        starts = [lambda: SimpleNamespace(name="a", over=lambda: True), interrupted, interrupted]
        with self.assertRaises(processes.Interrupted):
            fuzz_steps.run_watched(Terminal(io.StringIO()), "a test", starts, 2, judged.append)
        self.assertEqual([watched.name for watched in judged], ["a"])


if __name__ == "__main__":
    unittest.main()
