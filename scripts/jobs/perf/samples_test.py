# SPDX-License-Identifier: Apache-2.0

import re
import tempfile
import unittest
from pathlib import Path

from jobs.perf import samples
from jobs.perf.error import PerfError
from jobs.perf.samples import Effort, Program


def entry(name, cpu, real=None, **more):
    return {"name": name, "run_name": name, "run_type": "iteration", "cpu_time": cpu,
            "real_time": real or cpu, "time_unit": "ns", "threads": 1, **more}


class ReduceTest(unittest.TestCase):
    def test_takes_the_least_cpu_time_of_the_repetitions(self):
        document = {"benchmarks": [entry("a", 12.0, 9.0), entry("a", 11.0, 30.0), entry("b", 5.0)]}
        self.assertEqual(samples.reduce(document), {"a": 11.0, "b": 5.0})

    def test_takes_real_time_where_cpu_time_says_little(self):
        document = {"benchmarks": [entry("a/real_time", 1.0, 9.0), entry("b/manual_time", 1.0, 8.0),
                                   entry("c/threads:2", 1.0, 7.0, threads=2),
                                   entry("d/real_time_in_its_name", 1.0, 9.0)]}
        self.assertEqual(samples.reduce(document), {
            "a/real_time": 9.0, "b/manual_time": 8.0, "c/threads:2": 7.0,
            "d/real_time_in_its_name": 1.0})

    def test_knows_the_units(self):
        document = {"benchmarks": [entry("a", 2.0, time_unit="us"), entry("b", 2.0, time_unit="s")]}
        self.assertEqual(samples.reduce(document), {"a": 2e3, "b": 2e9})

    def test_aggregates_are_no_measurements(self):
        mean = dict(entry("a", 1.0), run_type="aggregate", aggregate_name="mean")
        old = dict(entry("a", 1.0), aggregate_name="mean")
        del old["run_type"]  # Google Benchmark before 1.5
        self.assertEqual(samples.reduce({"benchmarks": [mean, old, entry("a", 3.0)]}),
                         {"a": 3.0})

    def test_a_clock_too_coarse_has_measured_nothing(self):
        self.assertEqual(samples.reduce({"benchmarks": [entry("a", 0.0)]}), {})

    def test_a_failed_benchmark_is_an_error(self):
        failed = dict(entry("a", 0.0), error_occurred=True, error_message="no memory")
        with self.assertRaisesRegex(PerfError, "a: no memory"):
            samples.reduce({"benchmarks": [failed]})


class ExactlyTest(unittest.TestCase):
    def test_matches_these_names_alone(self):
        names = ["BM_A/1", "BM_Vector<std::pair<int, int>>/2", "BM_C+(x)[y]{z}.^$|\\*?"]
        pattern = samples.exactly(names)
        for name in names:
            self.assertTrue(re.search(pattern, name))
        for name in ("BM_A/10", "xBM_A/1", "BM_CC"):
            self.assertFalse(re.search(pattern, name))


class ProgramTest(unittest.TestCase):
    """With a shell script in place of a benchmark program."""

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
        program = self.program('[ "$2" = --benchmark_filter=A ] && printf "BM_A/1\\n\\nBM_A/2\\n"')
        self.assertEqual(program.benchmarks("A"), ["BM_A/1", "BM_A/2"])

    def test_no_match_is_no_benchmark(self):
        program = self.program('echo "Failed to match any benchmarks against regex: x" >&2')
        self.assertEqual(program.benchmarks("x"), [])

    def test_a_process_that_fails_is_an_error_with_its_output(self):
        with self.assertRaisesRegex(PerfError, "status 3:\nself-check failed"):
            self.program("echo self-check failed; exit 3").benchmarks()

    def test_measures(self):
        program = self.program(
            'for a in "$@"; do case $a in --benchmark_out=*) out=${a#*=};; esac; done\n'
            'printf \'{"benchmarks": [], "context": {"arguments": "%s"}}\' "$*" >"$out"\n')
        document = program.measure(["a"], Effort(3, 0.5), self.directory / "out.json")
        self.assertIn("--benchmark_filter=^(a)$ --benchmark_repetitions=3 "
                      "--benchmark_min_time=0.5", document["context"]["arguments"])

    def test_no_json_is_an_error(self):
        (self.directory / "out.json").write_text('{"benchmarks": []}', encoding="utf-8")  # old
        with self.assertRaisesRegex(PerfError, "left no JSON"):
            self.program("exit 0").measure(["a"], Effort(), self.directory / "out.json")


if __name__ == "__main__":
    unittest.main()
