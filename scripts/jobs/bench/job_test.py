# SPDX-License-Identifier: Apache-2.0
"""Tests the job with a stand-in for a benchmark program. The stand-in needs no build and measures
nothing."""

import contextlib
import io
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.bench import job, merged, options
from jobs.common import build, machine
from jobs.common.gbench import parse_name
from jobs.common.processes import Interrupted
from jobs.common.tables import row_name

# This program reads its options as Google Benchmark does, and its times from the file "times"
# beside it.
_PROGRAM = """#!/usr/bin/env python3
import json, pathlib, re, sys
options = dict(a[2:].split("=", 1) for a in sys.argv[1:] if "=" in a)
times = json.loads((pathlib.Path(__file__).parent / "times").read_text())
names = [n for n in times if re.search(options["benchmark_filter"], n)]
if options.get("benchmark_list_tests") == "true":
    print("\\n".join(names))
    sys.exit()
entries = [dict(name=n, run_name=n, run_type="iteration", threads=1, iterations=9, time_unit="ns",
                real_time=times[n], cpu_time=times[n], allocs_per_op=0.0) for n in names]
pathlib.Path(options["benchmark_out"]).write_text(
    json.dumps({"context": {"load_avg": [0.5]}, "benchmarks": entries})[:times.get("cut")])
sys.exit(times.get("status", 0))
"""
_TIMES = {"BM_ParseGrant_Core/canonical": 4.0, "BM_ParseGrant_FromChars/canonical": 40.0,
          "BM_ParseGrant_Core/spellings[x]": 8.0, "BM_HashSlot_Core/random": 2.0}


class JobTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.out = self.folder / "out"
        self.program = self.folder / "key_benchmark"
        self.program.write_text(_PROGRAM)
        self.program.chmod(0o755)
        self.times(**_TIMES)
        for name, value in (("_paths", lambda _suite: [self.program]),):
            self.enter(mock.patch.object(job, name, value))
        for name in ("configure", "build"):
            self.enter(mock.patch.object(build, name, lambda *_unused: None))
        self.enter(mock.patch.object(machine, "describe", lambda *_unused: [("CPU", "x " * 99)]))

    def enter(self, context):
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def times(self, **times):
        (self.folder / "times").write_text(json.dumps(times))

    def run_job(self, *arguments):
        """Returns (exit status, standard output)."""
        output = io.StringIO()
        parsed, _ = options.parse(["--quick", f"--out={self.out}", *arguments])
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            return job.main(parsed), output.getvalue()

    def files(self):
        return sorted(path.name for path in self.out.iterdir()) if self.out.exists() else []

    def test_list_prints_raw_names_and_nothing_else(self):
        self.assertEqual(self.run_job("--list"), (0, "\n".join(_TIMES) + "\n"))
        self.assertEqual(self.run_job("--list", "--filter=HashSlot"),
                         (0, "BM_HashSlot_Core/random\n"))
        self.assertEqual(self.files(), [])

    def test_names_of_the_tables_choose_a_row_with_its_baselines(self):
        self.assertEqual(row_name(parse_name("BM_ParseGrant_Core/canonical")),
                         "parse grant: canonical")
        self.assertEqual(self.run_job("--list", "--filter=Parse grant: canonical")[1].split(),
                         ["BM_ParseGrant_Core/canonical", "BM_ParseGrant_FromChars/canonical"])
        # Characters with a meaning in regular expressions stand for themselves.
        self.assertEqual(self.run_job("--list", "--filter=parse grant: spellings[x]")[1].split(),
                         ["BM_ParseGrant_Core/spellings[x]"])

    def test_what_is_no_regular_expression_and_what_fits_nothing_is_told(self):
        status, output = self.run_job("--filter=Parse(")
        self.assertEqual(status, 1)
        self.assertIn("--filter Parse(: no regular expression (missing ), unterminated", output)
        status, output = self.run_job("--filter=nothing")
        self.assertEqual(status, 1)
        self.assertIn("no benchmark has such a name; --list prints all names", output)

    def test_a_run_leaves_its_files_and_one_for_all(self):
        self.assertEqual(self.run_job()[0], 0)
        self.assertEqual(self.files(), ["key.json", "key.round2.json", "key.round3.json",
                                        "merged.json", "summary.json", "summary.md"])
        document = json.loads((self.out / merged.FILE).read_text())
        self.assertEqual({entry["name"]: entry["real_time"] for entry in document["benchmarks"]},
                         _TIMES)
        self.assertEqual(document["context"]["merged_from"], 3)
        self.assertEqual(self.run_job("--filter=HashSlot")[0], 0)
        self.assertEqual(len(json.loads((self.out / merged.FILE).read_text())["benchmarks"]), 1)

    def test_a_run_that_fails_or_is_stopped_leaves_the_last_one(self):
        self.run_job()
        before = {name: (self.out / name).read_bytes() for name in self.files()}
        for more in ({"status": 1}, {"cut": 20}):  # a cut file is as if the disk were full
            self.times(**_TIMES, **more)
            status, output = self.run_job("--filter=BM_")
            self.assertEqual(status, 1, output)
        with mock.patch.object(job, "measure", side_effect=Interrupted(2)):
            self.assertEqual(self.run_job()[0], 130)
        with mock.patch.object(job.Document, "write", side_effect=OSError(28, "No space left")):
            self.times(**_TIMES)
            status, output = self.run_job()
            self.assertEqual((status, "can't be kept" in output), (1, True))
        self.assertEqual({name: (self.out / name).read_bytes() for name in self.files()}, before)

    def test_a_log_has_whole_lines_and_not_this_projects_goals(self):
        _, output = self.run_job()
        self.assertIn("CPU: " + "x " * 99, output)
        self.assertNotIn("Figures to reach", output)
        self.assertIn("from_chars 10.0x", output)  # 40 ns / our 4 ns: 10 times as fast
        self.assertIn("Figures to reach", (self.out / "summary.md").read_text())


class OthersTest(unittest.TestCase):
    def others(self, passed, busy, own):
        readings = iter([(10.0, 1.0), (10.0 + busy, 1.0 + own)] * 2)
        times = iter([0.0, passed] * 2)
        return machine.Others(lambda: next(readings), lambda: next(times), cpus=2)

    def test_what_this_process_used_is_not_others(self):
        self.assertEqual(self.others(10, 15, 5).processors(), 1.0)
        self.assertEqual(self.others(10, 5, 5).text(), "0.00 of 2")
        # A process can seem to use more than all together, since the two are read one by one.
        self.assertEqual(self.others(10, 5, 6).text(), "0.00 of 2")
        self.assertFalse(self.others(10, 6.5, 5).are_many())
        self.assertTrue(self.others(10, 7.5, 5).are_many())

    def test_this_machine_has_readings(self):
        busy, own = machine._cpu_seconds()
        self.assertGreaterEqual(busy, 0)
        self.assertGreater(own, 0)
        self.assertGreaterEqual(machine.Others(cpus=os.cpu_count()).processors(), 0)


if __name__ == "__main__":
    unittest.main()
