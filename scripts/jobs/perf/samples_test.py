# SPDX-License-Identifier: Apache-2.0

import re
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import samples
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import Key
from jobs.perf.samples import Effort, Program


class ExactlyTest(unittest.TestCase):
    def test_matches_these_names_alone(self):
        names = ["BM_A/1", "BM_Vector<std::pair<int, int>>/2", "BM_C+(x)[y]{z}.^$|\\*?"]
        pattern = samples.exactly(names)
        for name in names:
            self.assertTrue(re.search(pattern, name))
        for name in ("BM_A/10", "xBM_A/1", "BM_CC"):
            self.assertFalse(re.search(pattern, name))

    def test_no_backslash_before_what_libstdcxx_refuses(self):
        self.assertEqual(samples.exactly(["BM_fill<int[16]>", "a{1}"]),
                         "^(BM_fill<int\\[16]>|a\\{1})$")

    def test_batches_are_short_enough_and_whole(self):
        names = [f"BM_SomeReasonablyLongName/size:{number}" for number in range(2500)]
        found = samples.batches(names)
        self.assertGreater(len(found), 1)
        self.assertEqual([name for group in found for name in group], names)
        self.assertLess(max(len(samples.exactly(group)) for group in found), 40_000)
        self.assertEqual(samples.batches(["a", "b", "a"]), [["a", "b"]])


class NamesTest(unittest.TestCase):
    """Tests which lines of a program's listing are names."""

    def names(self, text, noise):
        lines, doubt = samples._names_between(text, noise)
        return [line for line in lines if line], doubt

    def test_without_noise_every_line_is_a_name(self):
        self.assertEqual(self.names("a \nb\n", ""), (["a ", "b"], ""))

    def test_noise_before_behind_and_around(self):
        for before, behind in (("log\n", ""), ("", "bye\n"), ("log\n", "bye\n"),
                               ("a\n", "b\n"), ("loading... ", "")):
            self.assertEqual(self.names(f"{before}bm_a\nbm_b\n{behind}", before + behind),
                             (["bm_a", "bm_b"], ""), (before, behind))

    def test_noise_that_changes_leaves_a_doubt(self):
        self.assertEqual(self.names("at 12:01\na\n", "at 12:02\n"),
                         (["at 12:01", "a"], "lines"))

    def test_a_program_that_ignores_the_filter_leaves_a_doubt(self):
        self.assertEqual(self.names("a\nb\n", "a\nb\n"), (["a", "b"], "all"))


class ProgramTest(unittest.TestCase):
    """Tests Program with a shell script in place of a benchmark program."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)

    def program(self, text):
        path = self.directory / "program"
        path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
        path.chmod(0o755)
        return Program(path)

    def test_lists_its_benchmarks(self):
        program = self.program(
            'case $2 in *=A) printf "BM_A/1\\n\\nBM_A/2 \\nBM_A/1\\n" ;; esac')
        listing = program.listing("A")
        self.assertEqual(listing.keys, (Key("BM_A/1"), Key("BM_A/2 "), Key("BM_A/1", 2)))
        self.assertEqual(listing.doubt, "")

    def test_what_goes_to_stderr_is_no_name(self):
        program = self.program('echo "Failed to match any benchmarks against regex: x" >&2')
        self.assertEqual(program.listing("x").keys, ())

    def test_a_filter_that_is_none_is_an_error(self):
        program = self.program('echo "Could not compile benchmark re: Unmatched [" >&2')
        with self.assertRaisesRegex(PerfError, "is no regular expression"):
            program.listing("[")

    def test_a_process_that_fails_is_an_error_with_its_output(self):
        with self.assertRaisesRegex(PerfError, "status 3:\nself-check failed"):
            self.program("echo self-check failed; exit 3").listing()

    def test_a_process_that_hangs_is_ended(self):
        with self.assertRaisesRegex(PerfError, "had not ended after"):
            self.program("sleep 60").listing("", 0.3)

    def test_measures(self):
        program = self.program(
            'for a in "$@"; do case $a in --benchmark_out=*) out=${a#*=};; esac; done\n'
            'printf \'{"benchmarks": [], "context": {"arguments": "%s"}}\' "$*" >"$out"\n')
        run = program.measure(["a"], Effort(3, 0.5), self.directory / "out.json", 10)
        self.assertTrue(run.whole)
        self.assertIn("--benchmark_filter=^(a)$ --benchmark_repetitions=3 "
                      "--benchmark_min_time=0.5", run.context["arguments"])

    def test_an_old_json_is_not_taken_for_a_new_one(self):
        (self.directory / "out.json").write_text('{"benchmarks": []}', encoding="utf-8")
        run = self.program("exit 0").measure(["a"], Effort(), self.directory / "out.json", 10)
        self.assertFalse(run.whole)

    def test_the_callers_flags_do_not_reach_the_program(self):
        program = self.program('env >"$PWD/env"; exit 0')
        program = samples.Program(program.path, (), {"MINE": "1"}, self.directory)
        with mock.patch.dict("os.environ", {"BENCHMARK_FILTER": "x", "BENCHMARK_OTHER": "y"}):
            program.listing()
        text = (self.directory / "env").read_text(encoding="utf-8")
        self.assertNotIn("BENCHMARK_FILTER", text)
        self.assertIn("BENCHMARK_OTHER=y\n", text)
        self.assertIn("MINE=1\n", text)


if __name__ == "__main__":
    unittest.main()
