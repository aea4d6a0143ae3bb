# SPDX-License-Identifier: Apache-2.0

import json
import random
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from jobs.perf import replay, selftest
from jobs.perf.error import PerfError

NAMES = ["BM_A", "BM_B", "BM_C", "BM_D"]


def recording(rounds=40, noise=0.003, names=NAMES, slowdown=1.0):
    """A recording as the self-test makes it, with normal noise. slowdown: a factor on the injected
    slowdown."""
    source = random.Random(5)

    def times():
        return [[round(1000 * (1 + slowdown * percent / 100) * (1 + source.gauss(0, noise)), 1)
                 for percent in replay.ARMS.values()] for _ in names]

    return {"format": 1, "date": "2026-11-25T02:40:11Z",
            "machine": {"cpu": "CPU", "cpus": "2", "kernel": "6", "compiler": "g++"},
            "arms": list(replay.ARMS), "benchmarks": list(names),
            "conditions": {condition: {"load": [0.1, 1.2], "seconds_a_process": 1.0,
                                       "rounds": [times() for _ in range(rounds)]}
                           for condition in replay.CONDITIONS}}


class FileTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name) / "recording.json"

    def test_what_was_written_is_read(self):
        made = recording(3)
        self.path.write_text(replay.dump(made), encoding="utf-8")
        self.assertEqual(replay.load(self.path), made)

    def test_refuses_what_is_not_whole(self):
        made = recording(3)
        made["conditions"]["hog"]["rounds"][2][1].pop()
        for text in (json.dumps(made), "{}", "[]", "{"):
            self.path.write_text(text, encoding="utf-8")
            with self.assertRaises(PerfError):
                replay.load(self.path)


class SourceTest(unittest.TestCase):
    def source(self, slower=("BM_A",), start=0, rounds=5):
        made = recording(rounds)
        # The times say where they come from: round * 100 + benchmark * 10 + arm.
        for number, times in enumerate(made["conditions"]["plain"]["rounds"], 1):
            for name, each in enumerate(times):
                each[:] = [number * 100 + name * 10 + arm for arm in range(len(each))]
        return replay.Source(made, "plain", ("b", "a", "c"), set(slower), 5, start)

    def test_arms_have_the_roles_that_were_drawn(self):
        # The indexes of the arms are: a 0, b 1, c 2, 3 % slower 3, 5 % slower 4. Base is b and its
        # copy is a; the head of BM_A is the arm that is 5 % slower, and the head of BM_B is c.
        self.assertEqual(self.source().take(("BM_A", "BM_B"), 1),
                         [{"BM_A": (101, 100, 104), "BM_B": (111, 110, 112)}])

    def test_goes_on_where_it_was_around_the_end_and_sees_no_round_twice(self):
        source = self.source(start=3)

        def take(count):
            return [each["BM_B"][0] // 100 for each in source.take(("BM_B",), count)]

        self.assertEqual([take(2), take(9), take(1)], [[4, 5], [1, 2], []])  # 1 of 5 is kept back
        source.fresh(("BM_B",))
        self.assertEqual([take(9), take(1)], [[3], []])


class CellsTest(unittest.TestCase):
    def test_what_is_slower_is_found_and_what_is_equal_is_not(self):
        cells = replay.cells(recording(), 20, random.Random(1))
        self.assertEqual([(cell.condition, cell.slowdown) for cell in cells], [
            (condition, slowdown) for condition in ("plain", "hog") for slowdown in (0, 3, 5, 10)])
        for cell in cells:
            self.assertEqual((cell.replays, cell.false_suites), (20, 0))
            self.assertEqual(cell.equal.count("regressed"), 0)
            self.assertEqual(cell.near.total, 20 if cell.slowdown else 0)
            if cell.slowdown:
                self.assertEqual(cell.near.share("regressed"), 1.0)

    def test_what_is_suspected_though_it_is_equal_is_counted(self):
        """As if the head is slower by chance until its fresh pairs, which are lost in noise."""
        result = SimpleNamespace(verdict="suspected", pairs=10)
        clean = SimpleNamespace(verdict="clean", pairs=10)
        for verdicts, suites in (({"BM_A": result, "BM_B": clean}, 1), ({"BM_A": clean}, 0)):
            cell = replay.Cell("plain", 0)
            with mock.patch.object(replay.decide, "decide", lambda *_: verdicts):  # noqa: B023
                replay.replay(recording(), cell, random.Random(1))
            self.assertEqual((cell.false_suites, cell.suspected_suites, cell.equal.total),
                             (0, suites, len(verdicts)))
        cell = replay.Cell("plain", 0, replays=1, suspected_suites=1)
        cell.equal.add(result)
        cell.equal.add(clean)
        row = selftest.false_table([cell]).rows[0]
        self.assertEqual([row[at] for at in (2, 3, 5, 7, 8, 10)], ["2", "0", "1", "1", "0", "1"])
        (figures,) = selftest.figures([cell])["false alarms"]
        self.assertEqual((figures["suspected"], figures["suspected suites"]), (1, 1))

    def test_a_recording_without_slowdowns_has_none_found(self):
        for cell in replay.cells(recording(slowdown=0.0), 5, random.Random(1)):
            self.assertEqual(cell.near.count("regressed"), 0)

    def test_the_exact_interval(self):
        low, high = replay.proportion(0, 200)
        self.assertEqual(low, 0.0)
        self.assertAlmostEqual(high, 0.0183, places=4)  # 1 - 0.025 ** (1 / 200)


class ReportTest(unittest.TestCase):
    def text(self, made, counted):
        made["counts"] = counted
        cells = replay.cells(made, 10, random.Random(1))
        document, met = selftest.document(made, cells, "./scripts/perf selftest")
        return document.markdown(), met

    def test_says_which_bars_are_met(self):
        text, met = self.text(recording(), (20, 20))
        self.assertTrue(met)
        self.assertIn("| 5% found, in cache, hog | 100.0% | >= 95% | met |", text)
        self.assertIn("| plain | 5% | in cache | 100.0% |", text)
        self.assertNotIn("MISSED", text)

    def test_says_which_are_missed(self):
        text, met = self.text(recording(slowdown=0.0), None)
        self.assertFalse(met)
        self.assertIn("| 5% found, in cache, plain | 0.0% | >= 95% | MISSED |", text)
        _, met = self.text(recording(), (19, 20))
        self.assertFalse(met)


if __name__ == "__main__":
    unittest.main()
