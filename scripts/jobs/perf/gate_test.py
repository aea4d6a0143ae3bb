# SPDX-License-Identifier: Apache-2.0

import contextlib
import dataclasses
import datetime
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import (
    answer,
    answer_text,
    decide,
    fake,
    gate,
    known as perf_known,
    metrics,
    process_pairs,
    texts,
)
from jobs.perf.account import Benchmark, Unmeasured
from jobs.perf.error import PerfError
from jobs.perf.first_run import FirstRun
from jobs.perf.gbench_json import Key

# Makes an error of each row that a fake program has written.
_FAILS = """sed -i 's/"threads"/"error_occurred": true, "error_message": "no", &/g' "$out"\n"""


class GateTest(unittest.TestCase):
    """Tests the whole command, with scripts in place of programs: their times do not vary."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.base = fake.program(self.directory / "base", nanoseconds=10.0).path
        # There are fewer looks, because 40 rounds of scripts take long.
        rules = decide.Rules(looks=(10,), alphas=(0.002,), confirm_alphas=(0.01,))
        patch = mock.patch.object(gate.measure, "__defaults__", (rules,))
        patch.start()
        self.addCleanup(patch.stop)

    def gate(self, head, *more):
        output = io.StringIO()
        arguments = ["--base-bin", str(self.base), "--head-bin", str(head), *more]
        with contextlib.redirect_stdout(output):
            status = gate.main(arguments)
        return status, output.getvalue()

    def head(self, nanoseconds, **options):
        return fake.program(self.directory / "head", nanoseconds=nanoseconds, **options).path

    def test_what_is_slower_is_status_1_and_told(self):
        json_file, markdown = self.directory / "out.json", self.directory / "new" / "out.md"
        status, output = self.gate(self.head(10.6), "--json", str(json_file),
                                   "--markdown", str(markdown))
        self.assertEqual(status, 1)
        self.assertIn("2 regressed", output)
        self.assertRegex(output, r"BM_A +10 ns +\+6.0% +\+6.0% to \+6.0% +10\+10  REGRESSED")
        document = json.loads(json_file.read_text(encoding="utf-8"))
        self.assertEqual((document["format"], document["verdict"]), (3, "regressed"))
        self.assertEqual([entry["name"] for entry in document["benchmarks"]], ["BM_A", "BM_B/1"])
        first = document["benchmarks"][0]
        self.assertEqual((first["verdict"], first["pairs"], first["suite"]),
                         ("regressed", 10, "head"))
        self.assertAlmostEqual(first["low"], 1.06)
        self.assertEqual(first["same"]["ratio"], 1.0)
        self.assertEqual(first["confirmation"]["verdict"], "regressed")
        text = markdown.read_text(encoding="utf-8")
        self.assertTrue(text.startswith(
            "## Slower\n\n**Look at these**: slower: `BM_A` +6.0%, `BM_B/1` +6.0%.\n"))
        self.assertIn("| `BM_A` | 10 ns | 10.6 ns | +6.0% |", text)

    def test_what_is_as_fast_is_status_0(self):
        markdown = self.directory / "out.md"
        status, output = self.gate(self.head(10.0), "--markdown", str(markdown))
        self.assertEqual(status, 0)
        self.assertIn("2 clean", output)
        self.assertIn("<summary>2 clean</summary>", markdown.read_text(encoding="utf-8"))

    def test_what_is_faster_is_status_0(self):
        status, output = self.gate(self.head(9.0))
        self.assertEqual(status, 0)
        self.assertIn("2 improved", output)

    def test_no_time_is_status_3(self):
        status, output = self.gate(self.head(10.6), "--budget", "0.0001")
        self.assertEqual(status, 3)
        self.assertIn("nothing measured", output)
        self.assertRegex(output, "Measure again with --budget")

    def test_a_head_that_uses_up_the_budget_is_no_pass(self):
        """No benchmark takes too long by itself, but together they leave no time for a pair, or for
        enough pairs."""
        now = [0.0]
        first, clock = FirstRun.trial, process_pairs.Clock

        def trial(self, suite, arm):
            made = first(self, suite, arm)
            made.seconds = {"base": 1.0, "head": seconds}[arm]
            now[0] += made.seconds
            return made

        with mock.patch.object(FirstRun, "trial", trial), \
                mock.patch.object(process_pairs, "Clock",
                                  lambda budget: clock(budget, lambda: now[0])):
            for nanoseconds, seconds, status, text in (
                    (300.0, 59.5, 2, "Look at these: not measured: BM_A, BM_B/1."),
                    (300.0, 2.5, 1, "2 regressed"),
                    (20.0, 59.5, 3, "Measure again with --budget"),  # slower, but not that much
                    (10.0, 59.5, 3, "Measure again with --budget")):
                now[0] = 0.0
                got, output = self.gate(self.head(nanoseconds), "--budget", "61")
                self.assertEqual((got, seconds), (status, seconds), output)
                self.assertIn(text, output)
                self.assertEqual(status == 2, "not measured: BM_A: head: takes 30 times as long as "
                                 "in the base" in output)

    def test_what_only_the_head_has_is_named(self):
        status, output = self.gate(self.head(10.0, names=("BM_A", "BM_B/1", "BM_C")))
        self.assertEqual(status, 0)
        self.assertIn("not measured: BM_C: base: is not in it", output)

    def test_what_the_base_has_and_the_head_lacks_is_no_pass(self):
        status, output = self.gate(self.head(10.0, names=("BM_A",)))
        self.assertEqual(status, 2)
        self.assertIn("not measured: BM_B/1: head: is not in it", output)
        self.assertIn("Look at these: not measured: BM_B/1.", output)

    def test_no_match_is_an_error(self):
        with self.assertRaisesRegex(PerfError, "no benchmark"):
            self.gate(self.head(10.0), "--filter", "BM_X")

    def test_each_metric_needs_a_result(self):
        """A run that measured the size and no time, although both were asked for, does not pass."""
        both = ("--metric", "time", "--metric", "size")
        status, output = self.gate(self.head(10.0), "--filter", "BM_typo", *both)
        self.assertEqual(status, 2)
        self.assertIn("Look at these: failed: no benchmark matches 'BM_typo'; time could not be "
                      "measured.", output)
        self.base = fake.program(self.base, extra=_FAILS).path
        status, output = self.gate(self.head(10.0, extra=_FAILS), *both)
        self.assertEqual(status, 2)
        self.assertIn("Look at these: time could not be measured.", output)
        status, output = self.gate(self.head(10.0), "--metric", "size")
        self.assertEqual(status, 0)
        status, output = self.gate(self.head(10.0), "--budget", "0.0001", *both)
        self.assertEqual(status, 3)

    def test_programs_that_list_nothing_are_named(self):
        empty = self.directory / "empty"
        empty.write_text("#!/bin/sh\n", encoding="utf-8")
        empty.chmod(0o755)
        more = ("--base-bin", str(empty), "--head-bin", str(empty))
        status, output = self.gate(self.head(10.0), *more)
        self.assertEqual(status, 2)
        self.assertIn("empty: the programs list no benchmark", output)
        status, output = self.gate(self.head(10.0), *more, "--filter", "BM_A")
        self.assertEqual(status, 0)

    def test_a_program_that_fails_is_no_pass(self):
        status, output = self.gate(self.head(10.0, extra="echo no good; exit 1"))
        self.assertEqual(status, 2)
        self.assertIn("head: the program ended with status 1 after its last benchmark", output)
        self.assertIn("no good", output)
        with self.assertRaisesRegex(PerfError, "no such program"):
            self.gate(self.directory / "none")

    def test_several_programs_at_once(self):
        other = fake.program(self.directory / "other", names=("BM_A",), nanoseconds=5.0).path
        status, output = self.gate(self.head(10.0), "--base-bin", str(other), "--head-bin",
                                   str(other))
        self.assertEqual(status, 0)
        self.assertIn("other: BM_A", output)
        self.assertIn("3 clean", output)

    def test_several_programs_of_one_file_name(self):
        bases = [fake.program(self.directory / "old" / name / "bench", nanoseconds=10.0).path
                 for name in "xy"]
        heads = [fake.program(self.directory / "new" / name / "bench", nanoseconds=nanoseconds).path
                 for name, nanoseconds in (("x", 13.0), ("y", 10.0))]
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = gate.main(["--base-bin", *map(str, bases), "--head-bin", *map(str, heads),
                                "--metric", "time", "--metric", "size"])
        self.assertEqual(status, 1)
        self.assertRegex(output.getvalue(), "x/bench: BM_A .*REGRESSED")
        self.assertRegex(output.getvalue(), "y/bench: BM_A .*clean")
        self.assertRegex(output.getvalue(), r"x/bench: bench \[size\] .*clean")

    def test_what_is_known_is_excused(self):
        known = self.directory / "known.json"
        known.write_text(json.dumps([
            {"benchmark": "BM_B/*", "reason": "removed", "until": "2999-01-01"},
            {"benchmark": "BM_Z", "reason": "old", "until": "2001-01-01"},
            {"benchmark": "BM_Y", "reason": "gone", "until": "2999-01-01"}]), encoding="utf-8")
        status, output = self.gate(self.head(10.0, names=("BM_A",)), "--known", str(known))
        self.assertEqual(status, 0)
        self.assertIn("known until 2999-01-01: removed", output)
        self.assertIn("'BM_Z' of --known is past its day", output)
        self.assertIn("'BM_Y' of --known matches no benchmark", output)
        known.write_text('[{"benchmark": "x", "until": "2999-01-01"}]', encoding="utf-8")
        with self.assertRaisesRegex(PerfError, "entry 1: needs benchmark, reason and until"):
            self.gate(self.head(10.0), "--known", str(known))

    def test_what_seemed_slower_and_then_failed_is_not_excused(self):
        known = self.directory / "known.json"
        known.write_text(json.dumps([{"benchmark": "*", "reason": "noisy", "until": "2999-01-01"}]),
                         encoding="utf-8")
        # The trial and ten rounds work, and the confirmation does not.
        fails = f'[ "$(wc -l <"{self.directory}/head.log")" -le 11 ] || {_FAILS}'
        head = self.head(10.6, extra=fails)
        status, output = self.gate(head, "--known", str(known))
        self.assertEqual(status, 4)
        self.assertIn("seemed slower, not confirmed: BM_A +6.0%", output)
        self.assertIn("not measured: BM_A: head: failed: no (known until", output)

    def test_files_are_written_even_if_nobody_reads_the_output(self):
        json_file, markdown = self.directory / "out.json", self.directory / "out.md"
        files = ("--json", str(json_file), "--markdown", str(markdown))
        with mock.patch.object(answer_text, "print_text", side_effect=BrokenPipeError), \
                self.assertRaises(BrokenPipeError):
            self.gate(self.head(10.6), *files)
        self.assertEqual(json.loads(json_file.read_text(encoding="utf-8"))["verdict"], "regressed")
        self.assertIn("REGRESSED", markdown.read_text(encoding="utf-8"))

    def test_the_answer_is_printed_even_if_no_file_can_be_written(self):
        with contextlib.redirect_stdout(io.StringIO()) as output, self.assertRaises(OSError):
            gate.main([str(self.base), str(self.base), "--json", str(self.directory)])
        self.assertIn("2 clean", output.getvalue())

    def test_wrong_usage(self):
        for arguments in (["--base-bin", "x"], ["--base", "x", "--base-bin", "y"], ["--what"]):
            with self.assertRaises(SystemExit) as stop, \
                    contextlib.redirect_stderr(io.StringIO()):
                gate.main(arguments)
            self.assertEqual(stop.exception.code, 2)
        with self.assertRaisesRegex(PerfError, "positive"):
            self.gate(self.head(10.0), "--budget", "0")


class OutcomeTest(unittest.TestCase):
    def outcome(self, *verdicts):
        interval = decide.Interval(1.0, 0.99, float("inf"))
        result = decide.Result("clean", interval, interval, 1.02, 1.0, 10, 10.0, 10.0)
        results = {Benchmark("suite", Key(f"b{number}")): dataclasses.replace(
            result, verdict=verdict) for number, verdict in enumerate(verdicts)}
        return answer.Outcome(None, "", 1.0, "old", "new", {}, "", results)

    def test_the_worst_verdict_decides(self):
        for verdicts, status in ((("clean", "improved"), 0), (("clean", "inconclusive"), 3),
                                 (("invalid", "clean"), 3), ((), 2),
                                 (("suspected", "inconclusive"), 4),
                                 (("inconclusive", "regressed", "clean"), 1)):
            self.assertEqual(self.outcome(*verdicts).exit_status, status)

    def test_what_is_known_needs_no_time(self):
        entry = perf_known.Entry("b*", "noisy", datetime.date(2999, 1, 1))
        name, other = Benchmark("suite", Key("b9")), Benchmark("suite", Key("c"))
        late = Unmeasured(name, {"head": "was not tried: the time was up"}, False, True)
        for changes in ({"listed": [name]}, {"unmeasured": [late]}):
            outcome = dataclasses.replace(self.outcome("clean", "inconclusive"), **changes)
            self.assertEqual(outcome.exit_status, 3)
            self.assertIn("2 could not be told", answer.action(outcome))
            excused = dataclasses.replace(outcome, known=perf_known.Known((entry,)))
            self.assertEqual(excused.exit_status, 0)
            self.assertIn("known until 2999-01-01: noisy", answer_text.markdown(dataclasses.replace(
                excused, date=datetime.datetime(2026, 1, 1))))
            more = dataclasses.replace(excused, listed=[*excused.listed, other])
            self.assertEqual(more.exit_status, 3)
            self.assertIn("1 could not be told", answer.action(more))

    def test_no_entry_excuses_what_has_become_slower(self):
        entry = perf_known.Entry("b*", "noisy", datetime.date(2999, 1, 1))
        name = Benchmark("suite", Key("b1"))
        for slower, status in ((True, 2), (False, 0)):
            one = Unmeasured(name, {"head": "takes 10 times as long"}, True, slower=slower)
            outcome = dataclasses.replace(self.outcome("clean", "inconclusive"), unmeasured=[one],
                                          known=perf_known.Known((entry,)),
                                          date=datetime.datetime(2026, 1, 1))
            self.assertEqual(outcome.exit_status, status)
            (told,) = answer.document(outcome)["unmeasured"]
            self.assertEqual(told["known"] is None, slower)

    def test_the_worst_comes_first(self):
        made = answer_text.table(self.outcome("clean", "inconclusive", "regressed"))
        self.assertEqual([row[-1] for row in made.rows], ["REGRESSED", "inconclusive", "clean"])

    def test_an_open_bound_is_null(self):
        self.assertIn("-1.0% to ?", answer_text.table(self.outcome("clean")).rows[0])

    def test_the_first_line_names_the_slowest_first(self):
        outcome = self.outcome("regressed", "regressed", "clean")
        second = list(outcome.results)[1]
        outcome.results[second] = dataclasses.replace(
            outcome.results[second], head=decide.Interval(1.3, 1.2, 1.4))
        self.assertEqual(answer.action(outcome),
                         "**Look at these**: slower: `b1` +30.0%, `b0` +0.0%.")

    def test_names_are_code_whatever_they_hold(self):
        for name, text in (("BM_fill<int>", "`BM_fill<int>`"), ("a`b", "``a`b``"),
                           ("`", "`` ` ``"), ("a\nb", "`a\\nb`"), ("\udcff", "`\\xff`"),
                           ("BM_x ", "`BM_x `")):
            self.assertEqual(texts.code(name), text)

    def test_units(self):
        for value, text in ((28.44, "28.4 ns"), (1270, "1.27 us"), (5e6, "5 ms"), (2e9, "2 s")):
            self.assertEqual(metrics.shown(value, metrics.TIME), text)


if __name__ == "__main__":
    unittest.main()
