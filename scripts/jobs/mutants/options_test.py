# SPDX-License-Identifier: Apache-2.0
"""Tests of the options of scripts/mutants."""

import contextlib
import io
import unittest

from jobs.mutants import options, summary


class Grader(unittest.TestCase):
    def _refused(self, *argv: str) -> None:
        with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(io.StringIO()):
            options.parse([*argv])
        self.assertEqual(ended.exception.code, 2, argv)

    def test_the_targets_alone_may_grade_core(self) -> None:
        self.assertEqual(options.parse(["--grader", "fuzz"])[0].grader, ["fuzz"])
        self._refused("--grader", "tests")
        self._refused("--grader", "fuzz", "--grader", "tests")
        self._refused("--grader", "fuzz", "--part", "client")
        self._refused("--grader", "fuzz", "--kind", "missing-lock")

    def test_any_grader_may_grade_the_faults_made_by_hand(self) -> None:
        for name in options.GRADERS:
            self.assertEqual(options.parse(["--by-hand", "--grader", name])[0].grader, [name])

    def test_the_result_says_whether_tests_were_asked(self) -> None:
        asked = "built into the tests"
        self.assertIn(asked, summary.method(options.parse([])[0]))
        alone = summary.method(options.parse(["--grader=fuzz"])[0])
        self.assertNotIn(asked, alone)
        self.assertIn("No test was asked", alone)


if __name__ == "__main__":
    unittest.main()
