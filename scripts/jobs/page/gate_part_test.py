# SPDX-License-Identifier: Apache-2.0

import datetime
import json
import math
import tempfile
import unittest
from pathlib import Path

from jobs.page import testing

testing.needs((*testing.MODULES, "statsmodels"))

from jobs.page import gate_part  # noqa: E402
from jobs.page.bench_results import ReportError  # noqa: E402
from jobs.page.testing import gate_document, gate_entry  # noqa: E402
from jobs.perf import (  # noqa: E402
    answer,
    callgrind,
    counts as perf_counts,
    decide,
)
from jobs.perf.account import Benchmark, Unmeasured  # noqa: E402
from jobs.perf.gbench_json import Key  # noqa: E402


class ReadGateTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def write(self, name, document):
        (self.folder / name).write_text(json.dumps(document))

    def read(self):
        return gate_part.read_answer("time", self.folder / "absent", self.folder)

    def test_the_newest_counts(self):
        self.write("b.json", dict(gate_document(), date="2026-11-24T00:00:00Z"))
        self.write("a.json", dict(gate_document(), date="2026-11-25T00:00:00Z"))
        self.assertEqual(self.read()["date"], "2026-11-25T00:00:00Z")

    def test_an_error_is_the_newest_answer_too(self):
        self.write("b.json", dict(gate_document(), date="2026-11-24T00:00:00Z"))
        self.write("a.json", answer.error_document(
            "time", "./scripts/perf gate", datetime.datetime(2026, 11, 25), "no such program"))
        document = self.read()
        self.assertEqual((document["error"], document["benchmarks"]), ("no such program", []))
        (missing,) = gate_part.gate(document).missing
        self.assertIn("no such program", missing.what)

    def test_other_files_are_none(self):
        self.assertIsNone(self.read())
        self.write("bench.json", {"context": {}, "benchmarks": []})
        self.write("counts.json", {"lane": "counts", "benchmarks": []})
        self.assertIsNone(self.read())

    def test_what_it_does_not_know_is_an_error(self):
        self.write("a.json", gate_document(gate_entry("BM_A", 1, "perhaps")))
        with self.assertRaisesRegex(ReportError, "a.json.*perhaps"):
            self.read()
        self.write("a.json", gate_document({"name": "BM_A", "verdict": "clean"}))
        with self.assertRaisesRegex(ReportError, "a.json: BM_A: lacks base_ns"):
            self.read()


class ContractTest(unittest.TestCase):
    def test_reads_what_the_gate_writes(self):
        interval = decide.Interval(1.05, 1.04, math.inf)
        result = decide.Result(decide.REGRESSED, interval,
                               decide.Interval(1.0, 0.99, 1.01), 1.02, 0.001, 20, 30, 31)
        outcome = answer.Outcome(
            datetime.datetime(2026, 11, 25, tzinfo=datetime.timezone.utc), "./scripts/perf gate",
            60.0, "a", "b", {"cpu": "x"}, "load 0.1",
            {Benchmark("suite", Key("BM_A_Core/x")): result})
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "any.json").write_text(json.dumps(answer.document(outcome)))
            document = gate_part.read_answer("time", Path(folder))
        section = gate_part.gate(document)
        self.assertEqual(section.plots[0].table.rows[0][:4], [
            "BM_A_Core/x", ("regressed", "bad"), "+5.0 %", "+4.0 % to open"])


class GateTest(unittest.TestCase):
    def test_an_answer_that_compared_nothing_says_so(self):
        document = {"lane": "time", "benchmarks": [], "verdict": "clean",
                    "action": "Nothing was compared: base (a) and head (b) are the same files."}
        for part in (gate_part.gate, gate_part.instructions):
            self.assertEqual(part(document).missing[0].what, "the last answer says: Nothing was "
                             "compared: base (a) and head (b) are the same files")

    def test_without_an_answer_it_is_missing(self):
        for document in (None, gate_document()):
            section = gate_part.gate(document)
            self.assertIn("./scripts/perf gate", section.missing[0].command)

    def test_what_failed_is_said(self):
        document = dict(gate_document(gate_entry("BM_A", 1.0, "clean")),
                        incidents=["head: a process died"], interrupted="SIGINT")
        said = " ".join(gate_part.gate(document).lead)
        self.assertIn("head: a process died", said)
        self.assertIn("stopped by SIGINT", said)

    def test_worst_comes_first(self):
        section = gate_part.gate(gate_document(
            gate_entry("BM_A_Core/x", 1.0, "clean"), gate_entry("BM_B_Core/x", 1.05, "regressed"),
            gate_entry("BM_C_Core/x", 1.30, "regressed"), gate_entry("BM_D_Core", 1, "invalid")))
        self.assertIn("2 regressed, 1 invalid, 1 clean", section.lead[0])
        (plot,) = section.plots
        self.assertIn("the worst is BM_C_Core/x, +30.0 %", plot.text)
        self.assertEqual([row[0] for row in plot.table.rows],
                         ["BM_C_Core/x", "BM_B_Core/x", "BM_D_Core", "BM_A_Core/x"])
        self.assertEqual(plot.table.rows[0][1:5],
                         [("regressed", "bad"), "+30.0 %", "+29.0 % to +31.0 %", "±2.0 %"])

    def test_each_program_has_a_figure(self):
        section = gate_part.gate(gate_document(
            gate_entry("BM_A_Core/x", 1, "clean"),
            gate_entry("a/1", 1, "clean", suite="./My_Bench"),
            gate_entry("BM_B_Core/x", 1, "clean")))
        self.assertEqual([(plot.name, len(plot.table.rows)) for plot in section.plots],
                         [("gate-grant-json", 2), ("gate--my-bench", 1)])

    def test_percent(self):
        for ratio, text in ((1.0512, "+5.1 %"), (0.9, "−10.0 %"), (1.0002, "0.0 %"),
                            (0.9998, "0.0 %"), (None, "open"), (3.9, "+290 %"),
                            (104.0, "+10,300 %")):
            self.assertEqual(gate_part.percent(ratio), text)

    def test_open_bounds_are_said_and_drawn(self):
        section = gate_part.gate(gate_document(
            gate_entry("any name", 1.01, "inconclusive", low=None, high=None)))
        self.assertEqual(section.plots[0].table.rows[0][3], "open to open")
        self.assertNotIn("inf", section.plots[0].svg)

    def test_a_long_suite_is_drawn_in_parts(self):
        entries = [gate_entry(f"BM_A{number}_Core/x", 1, "clean") for number in range(71)]
        section = gate_part.gate(gate_document(*entries))
        self.assertEqual([plot.name for plot in section.plots],
                         ["gate-grant-json", "gate-grant-json-2"])
        self.assertEqual([len(plot.table.rows) for plot in section.plots], [70, 1])


class InstructionsTest(unittest.TestCase):
    def test_reads_what_counts_writes(self):
        def counts(ir, reads=100):
            memory = {} if reads is None else {"Dr": reads, "Dw": 0}
            return callgrind.Counts(4, {"Ir": ir, **memory}, Path("x"), False)
        comparisons = [
            perf_counts.Comparison(Benchmark("s", Key("BM_A_Core/x")), counts(1000, None),
                                   counts(1000, None), "clean"),
            perf_counts.Comparison(Benchmark("s", Key("BM_B_Core/x")), counts(1000), counts(1012),
                                   "regressed")]
        made = perf_counts.document(perf_counts.Outcome(
            datetime.datetime(2026, 11, 25), "./scripts/perf counts", 1.0, "a", "b",
            tuple(comparisons), (Unmeasured(Benchmark("s", Key("BM_C")), {"head": "failed: x"},
                                            True),)))
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "any.json").write_text(json.dumps(made))
            self.assertIsNone(gate_part.read_answer("time", Path(folder)))
            document = gate_part.read_answer("counts", Path(folder))
        section = gate_part.instructions(document)
        self.assertIn("1 regressed, 1 clean", section.lead[0])
        self.assertEqual(section.tables[0].rows, [
            ["BM_B_Core/x", ("regressed", "bad"), "+1.20 %", "0.00 %", "0.00 %", "1,000", "1,012"],
            ["BM_A_Core/x", ("clean", ""), "0.00 %", "", "", "1,000", "1,000"]])
        self.assertEqual(section.sources[-1], ("not counted", "BM_C: head: failed: x"))

    def test_without_them_they_are_missing(self):
        self.assertIn("./scripts/perf counts",
                      gate_part.instructions(None).missing[0].command)


if __name__ == "__main__":
    unittest.main()
