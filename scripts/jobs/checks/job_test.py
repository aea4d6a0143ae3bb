# SPDX-License-Identifier: Apache-2.0

import io
import os
import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.checks import job
from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.server import flowfabric


def junit(*cases):
    return f"<testsuite>{''.join(cases)}</testsuite>"


PASSED = '<testcase name="A.Passes" status="run"><system-out/></testcase>'
FAILED = ('<testcase name="A.Fails" status="fail"><failure message=""/>'
          '<system-out>expected 1, got 2</system-out></testcase>')
SKIPPED = ('<testcase name="A.Skips" status="notrun">'
           '<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>')
NOT_STARTED = ('<testcase name="a_NOT_BUILT" status="notrun">'
               '<skipped message="Unable to find executable"/></testcase>')
ON_SERVERS = ('<testcase name="live" status="run"><system-out>'
              '[ RUN      ] B.One\n/x/b.cc:3: Skipped\na cluster has\nmany\n\n'
              '[  SKIPPED ] B.One (0 ms)\n[ RUN      ] B.Two\n[       OK ] B.Two (0 ms)\n'
              '[ RUN      ] B/C.X/0\n/x/b.cc:9: Skipped\n\n'
              '[  SKIPPED ] B/C.X/0, where GetParam() = 1 (0 ms)\n'
              '[ RUN      ] B.Three\n/x/b.cc:3: Skipped\na cluster has\nmany\n\n'
              '[  SKIPPED ] B.Three (0 ms)\n'
              '[  SKIPPED ] 3 tests, listed below:\n[  SKIPPED ] B.One\n</system-out></testcase>')
DISABLED = ('<testcase name="A.DISABLED_B" status="disabled">'
            '<skipped message="Disabled"/></testcase>')


class ReadJunitTest(unittest.TestCase):
    def test_counts_what_ran(self):
        tally = job.read_junit(junit(PASSED, FAILED, PASSED, SKIPPED, DISABLED))
        self.assertEqual((tally.passed, tally.failed), (2, 1))

    def test_shows_the_output_of_failures(self):
        tally = job.read_junit(junit(PASSED, FAILED))
        self.assertEqual(tally.problems, ["FAILED A.Fails\nexpected 1, got 2"])

    def test_a_test_that_could_not_start_failed(self):
        self.assertEqual(job.read_junit(junit(NOT_STARTED)).failed, 1)

    def test_what_is_left_out_says_why_and_is_counted_by_reason(self):
        tally = job.read_junit(junit(PASSED, ON_SERVERS, SKIPPED))
        self.assertEqual((tally.passed, tally.failed), (2, 0))
        self.assertEqual(tally.left_out, ["a cluster has many (2 tests, such as B.One)",
                                          "no reason given (2 tests, such as B/C.X/0)"])
        self.assertEqual(job.read_junit(junit(PASSED, DISABLED)).left_out,
                         ["disabled (A.DISABLED_B)"])


class CtestTest(unittest.TestCase):
    def tally(self, *cases):
        """The tally of a run of ctest with these results."""
        with tempfile.TemporaryDirectory() as folder:
            def run(command, **_):
                self.command = command
                (Path(folder) / "junit.xml").write_text(junit(*cases), encoding="utf-8")
                return 0, ""

            with mock.patch.object(job.processes, "run", run):
                return job._ctest(Terminal(io.StringIO()), "a preset", Path(folder))

    def test_the_output_of_tests_that_pass_is_kept(self):
        self.assertEqual(self.tally(PASSED, ON_SERVERS).passed, 2)
        self.assertIn("--test-output-size-passed", self.command)

    def test_a_run_in_which_all_tests_are_left_out_fails(self):
        tally = self.tally(SKIPPED)
        self.assertEqual((tally.passed, tally.failed), (0, 1))
        self.assertEqual(tally.problems, ["FAILED a preset: all tests were left out"])
        self.assertEqual(tally.left_out, ["no reason given (A.Skips)"])


class ReadCountsTest(unittest.TestCase):
    def test_reads_the_last_line(self):
        tally = job.read_counts("1 passed, 1 failed\nkind a 7\n3250 passed, 0 failed\n")
        self.assertEqual((tally.passed, tally.failed), (3250, 0))
        self.assertEqual(job.read_counts("1 passed, 2 failed\n").failed, 2)

    def test_without_it_there_is_no_tally(self):
        for output in ("", "crashed", "1 passed, 0 failed\nand then it crashed"):
            self.assertIsNone(job.read_counts(output))


class ReadUnittestTest(unittest.TestCase):
    def test_a_failure_is_shown_though_another_process_printed_behind_it(self):
        failure = ("=" * 70 + "\nFAIL: test_x (jobs.a_test.A.test_x)\n" + "-" * 70
                   + "\nTraceback (most recent call last):\nAssertionError: 1 != 2\n\n" + "-" * 70
                   + "\nRan 3 tests in 0.1s\n\nFAILED (failures=1)\npart 0 ended with status 1\n")
        others = "test_y (jobs.b_test.B.test_y) ... ok\n" * 100
        tally = job.read_unittest(f"{failure}{others}\nRan 100 tests in 0.1s\n\nOK\n")
        self.assertEqual((tally.passed, tally.failed), (102, 1))
        [problem] = tally.problems
        self.assertTrue(problem.startswith("FAIL: test_x (jobs.a_test.A.test_x)\n"), problem)
        self.assertIn("\nAssertionError: 1 != 2", problem)
        self.assertLess(len(problem.splitlines()), 10)

    def test_each_failure_is_a_problem_of_its_own(self):
        failures = "".join(f"{'=' * 70}\nFAIL: test_{i} (jobs.a_test.A.test_{i})\n{'-' * 70}\n"
                           "Traceback\n" + "  a line\n" * 30 for i in range(5))
        tally = job.read_unittest(f"{failures}{'-' * 70}\nRan 9 tests in 0.1s\n\n"
                                  "FAILED (failures=5)\n")
        self.assertEqual([problem.split()[1] for problem in tally.problems],
                         [f"test_{i}" for i in range(5)])

    def test_success(self):
        tally = job.read_unittest("...\nRan 12 tests in 0.1s\n\nOK (skipped=2)\n")
        self.assertEqual((tally.passed, tally.failed), (10, 0))

    def test_what_is_left_out_says_why(self):
        tally = job.read_unittest(
            "unittest.loader.ModuleSkipped.jobs.a_test ... skipped 'no x: ./scripts/bootstrap'\n"
            "test_b (jobs.b_test.B.test_b) ... skipped \"b's machine\"\n"
            "test_c (jobs.b_test.B.test_c) ... skipped \"b's machine\"\n"
            "test_d (jobs.b_test.B.test_d) ... ok\nRan 4 tests in 0.1s\n\nOK (skipped=3)\n")
        self.assertEqual((tally.passed, tally.failed), (1, 0))
        self.assertEqual(tally.left_out, ["no x: ./scripts/bootstrap", "b's machine"])

    def test_failures_and_errors(self):
        tally = job.read_unittest("Ran 5 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n")
        self.assertEqual((tally.passed, tally.failed), (2, 3))

    def test_expected_failures_did_not_fail(self):
        tally = job.read_unittest("Ran 5 tests in 0.1s\n\nOK (expected failures=1)\n")
        self.assertEqual((tally.passed, tally.failed), (5, 0))
        tally = job.read_unittest("Ran 5 tests in 0.1s\n\n"
                                  "FAILED (failures=1, expected failures=2, "
                                  "unexpected successes=1)\n")
        self.assertEqual((tally.passed, tally.failed), (3, 2))

    def test_no_run_is_no_tally(self):
        self.assertIsNone(job.read_unittest("python3: No module named unittest"))


class RunStepsTest(unittest.TestCase):
    def run_steps(self, *steps):
        stream = io.StringIO()
        counts = job.run_steps(Terminal(stream), [job.Step("step", "it is so", step)
                                                  for step in steps])
        return counts, stream.getvalue()

    def test_sums_all_steps(self):
        counts, _ = self.run_steps(lambda _: job.Tally(3), lambda _: job.Tally(4, 2, ["why"]))
        self.assertEqual(counts, (7, 2))

    def test_says_what_a_step_proves_and_how_busy_the_machine_was(self):
        _, output = self.run_steps(lambda _: job.Tally(3))
        self.assertRegex(output, r"\[1/1\] step +3 passed +0\.0 s +\d+\.\d cores +ok\n +it is so\n")
        for step in job.steps(long=True):
            self.assertRegex(step.proves, r"^[\w].{20,110}$", step.title)

    def test_says_what_was_left_out(self):
        counts, output = self.run_steps(lambda _: job.Tally(3, left_out=["no browser"]))
        self.assertEqual(counts, (3, 0))
        self.assertIn("left out, not counted: no browser", output)

    def test_a_step_that_cannot_run_here_says_so_and_counts_nothing(self):
        with mock.patch.dict(os.environ, {"FFGRANT_FF_SERVER": ""}), \
                mock.patch.object(flowfabric.wheels, "CACHE", Path("/nowhere")):
            counts, output = self.run_steps(job.live_step, job.fleet_step, lambda _: job.Tally(1))
        self.assertEqual(counts, (1, 0))
        self.assertEqual(len(re.findall(r"left out, not counted: ff-server .* --build", output)), 2)
        self.assertEqual(re.findall(r"cores +(\w+)", output), ["none", "none", "ok"])

    def test_a_step_without_tests_fails(self):
        counts, output = self.run_steps(lambda _: job.Tally())
        self.assertEqual(counts, (0, 1))
        self.assertIn("ran no tests", output)

    def test_a_broken_build_fails_and_the_other_steps_still_run(self):
        def broken(_):
            raise build.BuildError("gcc: build")

        counts, output = self.run_steps(broken, lambda _: job.Tally(1))
        self.assertEqual(counts, (1, 1))
        self.assertIn("gcc: build failed", output)

    def test_ends_where_nobody_reads(self):
        def unread(_):
            raise BrokenPipeError

        with self.assertRaises(BrokenPipeError):
            self.run_steps(unread, lambda _: self.fail("went on"))


if __name__ == "__main__":
    unittest.main()
