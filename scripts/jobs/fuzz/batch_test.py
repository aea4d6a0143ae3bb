# SPDX-License-Identifier: Apache-2.0

import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.fuzz import batch
from jobs.fuzz.targets import Target


class ChunkSizesTest(unittest.TestCase):
    def test_they_add_up_and_none_is_empty(self):
        for executions in (1, 2, 19, 20, 21, 999, 10**9):
            with self.subTest(executions):
                sizes = batch.chunk_sizes(executions)
                self.assertEqual(sum(sizes), executions)
                self.assertGreater(min(sizes), 0)
                self.assertLessEqual(len(sizes), 20)
                self.assertEqual(len(set(sizes[:-1])), min(1, len(sizes) - 1))


class ReadDoneTest(unittest.TestCase):
    def test_reads_what_the_replay_main_prints(self):
        text = ("29 inputs, run twice, the same each time\n"
                "explored: 3000000 executions, 1156181 a second, in 2.60 s; "
                "0.71 s of processor time\n")
        self.assertEqual(batch.read_done(text), (3000000, 2.6, 0.71))

    def test_a_run_that_found_something_is_not_done(self):
        self.assertIsNone(batch.read_done("FINDING: strict parse\n  input: \"\"\n"))
        self.assertIsNone(batch.read_done(""))


class ReadAnswersTest(unittest.TestCase):
    def test_reads_what_a_target_reports(self):
        text = "the reference: 123 times the same, 4 known to differ, 56 not asked\n"
        self.assertEqual(batch.read_answers("explored\n" + text), [123, 4, 56])
        self.assertIsNone(batch.read_answers("explored\n"))


class RowTest(unittest.TestCase):
    def test_the_rate_is_of_the_processors_time(self):
        row = batch.Row(Target("a_reference_fuzzer"), 3_000_000, 9.6, 1.5, [4, 5, 6])
        self.assertEqual(row.cells(),
                         ["a_reference", "3,000,000", "10", "1.5", "2.00 M", "4-6", "-", "-", "-",
                          "0"])

    def test_answers_add_up(self):
        row = batch.Row(Target("a_reference_fuzzer"))
        row.add_answers([10_000_000, 2, 3])
        row.add_answers(None)
        row.add_answers([10_000_000, 0, 4])
        self.assertEqual(row.cells()[6:9], ["20.0 M", "2", "7"])

    def test_a_target_that_never_ran_has_no_rate(self):
        row = batch.Row(Target("a_fuzzer"), finding="FINDING")
        self.assertEqual(row.cells()[1:], ["0", "0", "0.0", "0", "-", "-", "-", "-", "1"])


class ChunkTest(unittest.TestCase):
    def test_a_target_that_dies_in_silence_is_a_finding(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(batch.build, "BUILD", Path(folder)), \
                mock.patch.object(batch.processes, "run", return_value=(-11, "")):
            made = batch.Batch(Terminal(io.StringIO()), [Target("a_fuzzer", Path(folder))], 1, 1)
            made.run()
            self.assertEqual(made.rows[0].finding, "status -11, no output")


class KeepFindingTest(unittest.TestCase):
    def test_goes_to_the_regressions_of_the_plain_target(self):
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "finding"
            found.write_bytes(b"input")
            kept = batch.keep_finding(Target("a_reference_fuzzer", Path(folder)), found)
            self.assertEqual(kept.parent, Path(folder) / "corpus" / "a_fuzzer" / "regressions")
            self.assertEqual(kept.read_bytes(), b"input")
            self.assertFalse(found.exists())

    def test_nothing_where_nothing_was_written(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIsNone(batch.keep_finding(Target("a_fuzzer", Path(folder)),
                                                 Path(folder) / "finding"))

    def test_the_canarys_findings_are_kept_nowhere(self):
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / "finding"
            found.write_bytes(b"input")
            self.assertIsNone(batch.keep_finding(Target("canary_fuzzer", Path(folder)), found))


if __name__ == "__main__":
    unittest.main()
