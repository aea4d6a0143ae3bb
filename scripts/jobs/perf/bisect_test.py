# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import unittest
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.perf import bisect as perf_bisect, commands, fake
from jobs.perf.error import PerfError

# This is the command for git bisect run. It ends with the status in the revision's file `status`.
_STEP = ["sh", "-c", 'exit "$(git show BISECT_HEAD:status)"']


class BisectTest(fake.RepositoryCase):
    def commits(self, *statuses):
        made = []
        for number, status in enumerate(statuses):
            (self.root / "status").write_text(f"{status}\n", encoding="utf-8")
            (self.root / "number").write_text(f"{number}\n", encoding="utf-8")
            self.git("add", "--all")
            self.git("commit", "--quiet", "--message", f"commit {number}")
            made.append(self.git("rev-parse", "HEAD"))
        return made

    def bisect(self, *statuses):
        commits = self.commits(*statuses)
        self.output = io.StringIO()
        found = perf_bisect.bisect(Terminal(self.output), commits[0], commits[-1], _STEP,
                                   self.root / "build" / "perf" / "bisect")
        return sorted(commits.index(commit) for commit in found)

    def test_finds_the_first_bad_revision(self):
        self.assertEqual(self.bisect(0, 0, 0, 1, 1, 1, 1), [3])
        self.assertEqual(self.bisect(0, 1), [1])

    def test_goes_around_what_is_skipped(self):
        self.assertEqual(self.bisect(0, 0, 125, 0, 1, 125, 1), [4])

    def test_names_all_that_skipped_ones_leave_open(self):
        self.assertEqual(self.bisect(0, 0, 125, 125, 1, 1), [2, 3, 4])

    def test_an_abort_is_an_error_and_leaves_nothing_behind(self):
        with self.assertRaisesRegex(PerfError, "git bisect ended"):
            self.bisect(0, 255, 255, 1)
        self.assertEqual(len(self.git("worktree", "list").splitlines()), 1)
        self.assertEqual(self.git("branch", "--show-current"), "main")

    def test_the_whole_command(self):
        commits = self.commits(0, 0, 1, 1)

        def gate(argv):
            """Takes the place of commands.run in the first comparison."""
            self.assertEqual(argv[:5], ["gate", "--base", commits[0], "--head", commits[3]])
            self.assertEqual(argv[5:7], ["--filter", "^(BM_A/1)$"])
            self.assertEqual(argv[7:], ["--budget", "90.0"])
            return self.status

        def bisect(_terminal, good, bad, command, path):
            self.assertIn("--step", command)
            self.assertEqual(command[command.index("--budget"):], ["--budget", "90.0"])
            return perf_bisect_bisect(_terminal, good, bad, _STEP, path)

        perf_bisect_bisect = perf_bisect.bisect
        for self.status, expected, text in (
                (commands.REGRESSION, 0, "commit 2"), (commands.CLEAN, 3, "not slower"),
                (commands.INCONCLUSIVE, 3, "not slower"), (commands.HARNESS_ERROR, 2, ""),
                (commands.SUSPICION, 3, "seemed slower than at"), (130, 130, ""), (143, 143, "")):
            output = io.StringIO()
            with mock.patch.object(commands, "run", gate), \
                    mock.patch.object(perf_bisect, "bisect", bisect), \
                    contextlib.redirect_stdout(output):
                status = perf_bisect.main(["--good", commits[0], "--bad", "main",
                                           "--benchmark", "BM_A/1", "--budget", "90"])
            self.assertEqual(status, expected)
            self.assertIn(text, output.getvalue())
            if not text:
                self.assertEqual(output.getvalue(), "")
            self.assertEqual("not slower" in output.getvalue(), text == "not slower")


class VerdictTest(unittest.TestCase):
    def test_what_git_is_told(self):
        for status, expected in ((0, 0), (1, 1), (2, 125), (3, 125), (130, 255), (143, 255)):
            self.assertEqual(perf_bisect.verdict_of(status), expected)


if __name__ == "__main__":
    unittest.main()
