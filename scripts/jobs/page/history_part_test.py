# SPDX-License-Identifier: Apache-2.0

import importlib.util
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.page import testing

testing.needs()

from jobs.page import history_part  # noqa: E402 (after what skips)
from jobs.page.parts import Link  # noqa: E402
from jobs.page.testing import history_points  # noqa: E402
from jobs.perf import history_files, trend  # noqa: E402 (after what skips)
from jobs.perf.error import PerfError  # noqa: E402

_FOUND = [(12, 7.3, 7.3 * 1.08, 1e-9)]  # in the form of trend.change_points()


class HistoryTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)

    def lines(self, points, found):
        for point in points:
            history_files.append(point, self.root)
        with mock.patch.object(trend, "change_points", found):
            return history_part.read_lines(self.root)

    def test_without_a_history_it_is_missing(self):
        section = history_part.history(history_part.read_lines(self.root))
        self.assertEqual(section.missing[0].command, "./scripts/perf record")

    def test_changes_are_marked_and_listed(self):
        section = history_part.history(self.lines(history_points(), lambda _: _FOUND))
        (plot,) = section.plots
        self.assertIn("+8.0 % at 00000000100c (2026-10-13)", plot.text)
        self.assertIn("+8.0 %", plot.svg)
        self.assertEqual(section.tables[0].rows[0][:4], [
            "BM_ParseGrant_Core/canonical", "2026-10-13",
            Link("00000000100b..00000000100c"), ("+8.0 %", "bad")])

    def test_without_changes_it_says_so(self):
        section = history_part.history(self.lines(history_points(), lambda _: []))
        self.assertIn("No change points in 1 benchmark", section.lead[-1])
        self.assertEqual(section.tables, [])

    def test_without_otava_no_change_is_claimed_and_none_denied(self):
        section = history_part.history(self.lines(
            history_points(), mock.Mock(side_effect=PerfError("missing"))))
        self.assertIn("Change points are not marked", section.lead[-1])
        self.assertNotIn("No change", section.plots[0].text)

    def test_a_new_kernel_is_told_and_a_series_that_ended_too(self):
        points = [history_files.Point(**{**vars(point), "machine": {
            **point.machine, "kernel": "6.1" if number < 10 else "6.2"}})
            for number, point in enumerate(history_points())]
        section = history_part.history(self.lines(points, lambda _: []), self.root)
        self.assertIn("kernel: 6.1 to 6.2", section.plots[0].text)
        self.assertEqual(section.sources, [])
        later = history_points(count=1)[0]
        history_files.append(history_files.Point(**{
            **vars(later), "date": points[-1].date.replace(year=2027),
            "machine": {**later.machine, "compiler": "another"}}), self.root)
        with open(next(self.root.glob("*/*.jsonl")), "a", encoding="utf-8") as file:
            file.write("{\n")
        section = history_part.history(self.lines([], lambda _: []), self.root)
        self.assertEqual([what for what, _ in section.sources], ["left out", "ended"])

    def test_is_in_the_order_of_time_whatever_the_order_in_the_file(self):
        seen = []
        points = history_points(count=6, step=3)
        (line,) = self.lines(points[::-1], lambda values: seen.append(values) or [])
        self.assertEqual([point.date for point in line.points], [point.date for point in points])
        self.assertEqual(seen, [[point.benchmarks[line.name].ratio for point in points]])

    def test_changed_ones_are_drawn_first_and_not_all_of_many(self):
        for number in range(10):
            for point in history_points(f"BM_Op{number}_Core/x", 8, 8):
                history_files.append(
                    history_files.Point(**{**vars(point), "suite": f"suite{number}"}), self.root)
        lines = self.lines([], mock.Mock(side_effect=[[]] * 9 + [[(4, 1.0, 0.9, 1e-9)]]))
        section = history_part.history(lines)
        self.assertEqual(len(section.plots), 8)
        self.assertEqual(section.plots[0].title, "BM_Op9_Core/x")
        self.assertIn("Drawn: 8 of 10", section.lead[-1])

    @unittest.skipUnless(importlib.util.find_spec("otava"),
                         "no Apache Otava: ./scripts/bootstrap --for perf")
    def test_otava_finds_what_is_there(self):
        for point in history_points(count=40, step=20):
            history_files.append(point, self.root)
        (line,) = history_part.read_lines(self.root)
        self.assertEqual([change.index for change in line.changes], [20])
        self.assertAlmostEqual(line.changes[0].percent, 8, delta=0.3)


if __name__ == "__main__":
    unittest.main()
