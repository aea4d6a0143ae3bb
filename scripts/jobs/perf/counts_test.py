# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import callgrind, choice, counts as perf_counts, known
from jobs.perf.account import Benchmark, Unmeasured
from jobs.perf.callgrind import Counts
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import Key
from jobs.perf.samples import Program

A, B = (Benchmark("suite", Key(name)) for name in "ab")

PART = """# callgrind format
version: 1
positions: line
events: Ir Dr Dw I1mr
summary: {total} 40

ob=/program
fl=a.cc
fn=Parse(char const*)
10 60 20
cob=/libc.so
cfi=memchr.S
cfn=memchr
calls=3 0
11 30 9
fi=a.h
7 5
fe=a.cc
12 {extra} 11

fl=???
fn=Other
0 5
totals: {total} 40
"""


def part(directory, number, total, extra=30):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"part.{number}"
    path.write_text(PART.format(total=total, extra=extra), encoding="utf-8")
    files = tuple(directory / f"part.{each}" for each in range(1, number + 1))
    for each, file in enumerate(files, 1):
        if not file.exists():
            file.write_text(PART.format(total=total // 10 ** (number - each), extra=extra),
                            encoding="utf-8")
    return Counts(number, callgrind.read_events(path.read_text(encoding="utf-8")), path, False,
                  files)


class ReadTest(unittest.TestCase):
    def test_events_with_the_zeros_that_are_left_out(self):
        self.assertEqual(callgrind.read_events(PART.format(total=100, extra=1)),
                         {"Ir": 100, "Dr": 40, "Dw": 0, "I1mr": 0})

    def test_a_file_that_is_being_written_has_none(self):
        text = PART.format(total=100, extra=1)
        self.assertIsNone(callgrind.read_events(text[:text.index("totals")]))
        self.assertIsNone(callgrind.read_events(""))

    def test_own_costs_by_file_function_and_line(self):
        with tempfile.TemporaryDirectory() as temporary:
            counts = part(Path(temporary), 1, 100)
            self.assertEqual(callgrind.read_lines(counts.file), {
                ("a.cc", "Parse(char const*)", 10): 60, ("a.h", "Parse(char const*)", 7): 5,
                ("a.cc", "Parse(char const*)", 12): 30, ("???", "Other", 0): 5})
            self.assertEqual(callgrind.read_lines(counts.file, "Dr"), {
                ("a.cc", "Parse(char const*)", 10): 20, ("a.cc", "Parse(char const*)", 12): 11})


class FakeChild:
    """A process under callgrind, in place of the real one."""

    def __init__(self):
        self.ended = None

    def start(self, *_arguments, **_options):
        return self

    def status(self):
        return self.ended

    def end(self, at_once=False):
        self.ended = -9


class CounterTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.number = 0

    def counts(self, name, totals, ends):
        """What a Counter says of a benchmark whose loops took so many instructions, and whether
        the process ended by itself before the first poll."""
        self.number += 1
        folder, child = self.directory / str(self.number), FakeChild()
        counter = callgrind.Counter(child, Program(Path("/bin/true")), Key(name), folder, 60.0)
        for number, total in enumerate(totals, 1):
            (folder / f"part.7.{number}").write_text(
                f"{callgrind._TRIGGER}\n{PART.format(total=total, extra=30)}", encoding="utf-8")
        if ends:
            child.ended = 0
            (folder / "out.json").write_text(
                '{"benchmarks": [{"run_name": "NAME", "cpu_time": 5.0}]}'.replace("NAME", name),
                encoding="utf-8")
        found = counter.poll()
        return found and (found.fixed, found.part, found.events["Ir"])

    def test_it_does_not_matter_when_the_end_is_seen(self):
        for name, totals, counted in (
                ("a/iterations:3000", [12_000_000], (True, 1, 12_000_000)),
                ("a/iterations:3000/repeats:2", [12_000_000, 9], (True, 1, 12_000_000)),
                # The last loop has as many iterations as the clock allowed.
                ("a/min_time:0.5", [3_000_000], (False, 1, 3_000_000)),
                ("a/min_time:0.5", [300_000, 3_000_000, 5_000_000], (False, 2, 3_000_000))):
            for ends in (False, True):
                self.assertEqual(self.counts(name, totals, ends), counted, (name, ends))

    def test_waits_until_it_can_tell(self):
        for name, totals in (("a/iterations:3", [14_000]), ("a", [100, 1_000, 10_000]),
                             ("a/min_time:0.5", [300_000, 5_000_000])):
            self.assertIsNone(self.counts(name, totals, False), name)
        self.assertEqual(self.counts("a/iterations:3", [14_000], True), (True, 1, 14_000))
        for name in ("a", "a/iterations:3"):  # the second is an argument that has this name
            self.assertEqual(self.counts(name, [100, 1_000, 10_000, 100_000], False),
                             (False, 4, 100_000))


class FakeRunner:
    """Returns what it was given: for each (name, side) a list of Counts or PerfError, one for each
    call of count(). The last element of a list is returned again and again."""

    def __init__(self, results):
        self.results = results

    def count(self, tasks, memory=False):
        return {key: self.results[key].pop(0) if len(self.results[key]) > 1
                else self.results[key][0] for key, _, _ in tasks}


class CompareTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.number = 0

    def counts(self, total, number=4, **options):
        self.number += 1
        return part(self.directory / str(self.number), number, total, **options)

    def compare(self, base, head):
        runner = FakeRunner({(A, 0): base, (A, 1): head})
        comparisons, errors, _ = perf_counts.compare(runner, {A: ("base", "head")})
        return comparisons, errors

    def status(self, comparisons, errors=()):
        unmeasured = tuple(Unmeasured(name, reasons, True)
                           for name, reasons in dict(errors).items())
        return perf_counts.Outcome(None, "", 1.0, "", "", tuple(comparisons),
                                   unmeasured).exit_status

    def test_one_hundredth_more_is_a_regression(self):
        (found,), errors = self.compare([self.counts(10_000), self.counts(10_000)],
                                        [self.counts(10_100), self.counts(10_100)])
        self.assertEqual((found.verdict, errors), ("regressed", {}))
        self.assertAlmostEqual(found.change(), 0.01)
        self.assertEqual(self.status([found]), 1)

    def test_up_to_half_a_hundredth_is_clean_and_not_counted_again(self):
        (found,), _ = self.compare([self.counts(10_000)], [self.counts(10_050)])
        self.assertEqual(found.verdict, "clean")
        self.assertEqual(self.status([found]), 0)

    def test_less_is_an_improvement(self):
        (found,), _ = self.compare([self.counts(10_000), self.counts(10_000)],
                                   [self.counts(9_900), self.counts(9_900)])
        self.assertEqual(found.verdict, "improved")

    def loop(self, start, an_iteration, number=4):
        """The counts of a loop whose start takes some instructions itself."""
        self.number += 1
        directory = self.directory / str(self.number)
        for each in range(1, number):
            part(directory, each, start + an_iteration * 10 ** (each - 1))
        return part(directory, number, start + an_iteration * 10 ** (number - 1))

    def test_a_loop_that_does_nothing_any_more_is_no_improvement(self):
        for base, head, status in (
                (self.loop(250, 46), self.loop(246, 0), 2),  # the loop is gone altogether
                (self.loop(250, 46), self.loop(246, 2), 2),
                (self.loop(250, 3_000_000, 1), self.loop(246, 2), 2),
                (self.loop(250, 146), self.loop(250, 5), 2),  # what KeepRunning() takes
                (self.loop(250, 46), self.loop(250, 5), 0),
                (self.loop(250, 46), self.loop(250, 3), 0),
                (self.loop(250, 6), self.loop(250, 2), 0),
                (self.loop(250, 2), self.loop(250, 0), 0)):
            (found,), _ = self.compare([base], [head])
            self.assertEqual((found.verdict, self.status([found])), ("improved", status))
            outcome = perf_counts.Outcome(None, "", 1.0, "", "", (found,))
            self.assertEqual("the head does nothing any more: `a`" in perf_counts.action(outcome),
                             status == 2)
            self.assertEqual("does nothing" in found.note, status == 2)
            entry = known.Entry("a", "removed", datetime.date(2999, 1, 1))
            self.assertEqual(dataclasses.replace(
                outcome, known=known.Known((entry,))).exit_status, 0)

    def test_a_loop_that_is_gone_is_told_also_if_the_base_counts_by_chance(self):
        gone = self.loop(246, 0)
        (found,), _ = self.compare([self.loop(250, 46), self.loop(250, 50)], [gone, gone])
        self.assertEqual((found.verdict, found.gone, self.status([found])),
                         ("inconclusive", True, 2))

    def test_what_counts_by_chance_is_inconclusive(self):
        (found,), _ = self.compare([self.counts(10_000), self.counts(10_000)],
                                   [self.counts(10_100), self.counts(10_000)])
        self.assertEqual(found.verdict, "inconclusive")
        self.assertIn("differently", found.note)
        self.assertEqual(self.status([found]), 3)

    def test_compares_at_the_iterations_that_both_have(self):
        base = self.counts(20_000_000, 3)
        head = self.counts(99, 4)
        part(head.file.parent, 3, 20_000_000)
        (found,), _ = self.compare([base], [head])
        self.assertEqual((found.base.part, found.head.part, found.verdict), (3, 3, "clean"))
        self.assertEqual(found.base.iterations, 100)

    def test_what_could_not_be_counted_is_an_error(self):
        found, errors = self.compare([self.counts(1)], [PerfError("nothing was counted")])
        self.assertEqual((found, errors), ([], {A: {"head": "nothing was counted"}}))
        self.assertEqual(self.status(found, errors), 2)

    def test_what_agrees_with_itself_once_by_chance_is_inconclusive(self):
        (found,), _ = self.compare([self.counts(10_000)] * 3,
                                   [self.counts(10_100), self.counts(10_100), self.counts(10_050)])
        self.assertEqual(found.verdict, "inconclusive")

    def test_what_is_not_counted_a_second_time_is_suspected(self):
        (found,), _ = self.compare([self.counts(10_000), PerfError("hung")],
                                   [self.counts(10_100), self.counts(10_100)])
        self.assertEqual(found.verdict, "suspected")
        self.assertEqual(self.status([found]), 4)

    def test_nothing_counted_is_no_pass(self):
        self.assertEqual(self.status([]), 2)

    def test_what_is_known_needs_no_time(self):
        (found,), _ = self.compare([self.counts(10_000)], [self.counts(10_000)])
        late = Unmeasured(B, {"base and head": "no time was left to count it"}, False, True)
        entry = known.Entry("b", "slow", datetime.date(2999, 1, 1))
        for entries, status in (((), 3), ((entry,), 0)):
            self.assertEqual(perf_counts.Outcome(
                None, "", 1.0, "", "", (found,), (late,), (), known.Known(entries)).exit_status,
                status)

    def test_annotates_by_function_and_line(self):
        roots = [self.directory / "old", self.directory / "new"]
        for root, lines in zip(roots, (9, 9)):
            root.mkdir()
            (root / "a.cc").write_text("\n" * lines + "one\ntwo\nthree\n", encoding="utf-8")
        base, head = self.counts(10_000, 2), self.counts(10_100, 2, extra=130)
        found = perf_counts.Comparison(A, base, head, "regressed")
        self.assertEqual(perf_counts.annotate(found, roots), [
            "a: 1,000.00 to 1,010.00 instructions an iteration",
            "  by function",
            "          +10.00  Parse(char const*)  (a.cc)",
            "  by line",
            "          +10.00  a.cc: three"])

    def test_programs_built_in_two_folders_have_their_files_in_common(self):
        base, head = self.counts(10_000, 2), self.counts(10_100, 2, extra=130)
        for number, counts in enumerate((base, head)):
            text = counts.file.read_text(encoding="utf-8")
            counts.file.write_text(text.replace("a.cc", f"/build{number}/./core/a.cc"),
                                   encoding="utf-8")
        found = perf_counts.Comparison(A, base, head, "regressed")
        self.assertEqual(perf_counts.annotate(found)[1:], [
            "  by function", "          +10.00  Parse(char const*)  (core/a.cc)",
            "  by line", "          +10.00  core/a.cc: line 12"])

    def test_without_one_side_s_sources_lines_have_numbers(self):
        """As if the base is a build that was kept: no line is there as a text and as a number."""
        roots = [self.directory / "gone", self.directory / "new"]
        roots[1].mkdir()
        (roots[1] / "a.cc").write_text("\n" * 9 + "one\ntwo\nthree\n", encoding="utf-8")
        base, head = self.counts(10_000, 2), self.counts(10_100, 2, extra=130)
        found = perf_counts.Comparison(A, base, head, "regressed")
        self.assertEqual(perf_counts.annotate(found, roots)[3:],
                         ["  by line", "          +10.00  a.cc: line 12"])

    def test_a_line_that_moved_does_not_show(self):
        roots = [self.directory / "old", self.directory / "new"]
        for root, text in zip(roots, ("one\ntwo\nthree", "three\ntwo\none")):
            root.mkdir()
            (root / "a.cc").write_text("\n" * 9 + text + "\n", encoding="utf-8")
        base, head = self.counts(100, 1), self.counts(100, 1)
        head.file.write_text(head.file.read_text(encoding="utf-8").replace("\n10 60", "\n12 60")
                             .replace("\n12 30", "\n10 30"), encoding="utf-8")
        found = perf_counts.Comparison(A, base, head, "clean")
        self.assertEqual(perf_counts.annotate(found, roots)[1:], ["  by function"])


class CommandTest(unittest.TestCase):
    def test_files_are_written_even_if_nobody_reads_the_output(self):
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(callgrind, "is_installed", return_value=True), \
                mock.patch.object(choice, "choose", return_value=choice.Chosen(
                    [], "old", "new", "", "", "")), \
                mock.patch.object(perf_counts, "_print", side_effect=BrokenPipeError):
            files = [Path(folder) / name for name in ("out.json", "out.md")]
            with self.assertRaises(BrokenPipeError):
                perf_counts.main(["--json", str(files[0]), "--markdown", str(files[1])])
            for path in files:
                self.assertIn("Nothing was compared", path.read_text(encoding="utf-8"))


class TableTest(unittest.TestCase):
    def test_the_worst_comes_first(self):
        counts = Counts(3, {"Ir": 200, "Dr": 100, "Dw": 0}, None, False)
        more = Counts(3, {"Ir": 204, "Dr": 100, "Dw": 1}, None, False)
        rows = perf_counts.table([
            perf_counts.Comparison(A, counts, counts, "clean"),
            perf_counts.Comparison(B, counts, more, "regressed")]).rows
        self.assertEqual(rows, [
            ["b", "2.0", "2.0", "+2.00%", "+0.00%", "+100.00%", "REGRESSED"],
            ["a", "2.0", "2.0", "+0.00%", "+0.00%", "+0.00%", "clean"]])


if __name__ == "__main__":
    unittest.main()
