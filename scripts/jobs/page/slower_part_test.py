# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.page import testing

testing.needs((*testing.MODULES, "statsmodels"))

from jobs.page import history_part, slower_part  # noqa: E402 (after what skips)
from jobs.page.history_part import Change, Line  # noqa: E402
from jobs.page.parts import Link  # noqa: E402
from jobs.page.testing import gate_document, gate_entry, history_points  # noqa: E402

_HUB = "https://github.com/o/r"


def line(changes, **more):
    return Line("cpu-0", "suite", "BM_ParseGrant_Core/canonical", history_points(**more), changes)


class SlowerTest(unittest.TestCase):
    def rows(self, *arguments):
        section = slower_part.slower(*arguments)
        return section.tables[0].rows if section.tables else []

    def test_says_what_by_how_much_and_since_when(self):
        ((name, by, since, who),) = self.rows(None, None, [line([Change(12, 8.0)])], _HUB)
        self.assertEqual((name, by, who), ("BM_ParseGrant_Core/canonical", ("+8.0 %", "bad"),
                                           "the history of suite"))
        self.assertEqual(since, Link("2026-10-13, 00000000100b..00000000100c",
                                     f"{_HUB}/compare/00000000100b...00000000100c"))

    def test_what_became_faster_or_well_again_is_not_slower(self):
        self.assertEqual(self.rows(None, None, [line([Change(12, -8.0)], percent=-8.0)]), [])
        points = history_points(count=36)
        for point in points[24:]:
            one = point.benchmarks["BM_ParseGrant_Core/canonical"]
            point.benchmarks["BM_ParseGrant_Core/canonical"] = type(one)(
                7.3, 7.2, 7.4, 28.0, 3.9, 10)
        again = Line("cpu-0", "suite", "BM_ParseGrant_Core/canonical", points,
                     [Change(12, 8.0), Change(24, -7.4)])
        self.assertEqual(self.rows(None, None, [again]), [])

    def test_the_gate_s_answer_and_its_suspects(self):
        document = gate_document(gate_entry("BM_<a>", 1.3, "regressed"),
                                 gate_entry("BM_b", 1.1, "suspected"),
                                 gate_entry("BM_c", 1.4, "inconclusive"))
        section = slower_part.slower(document, None, [])
        self.assertEqual([row[:2] for row in section.tables[0].rows],
                         [["BM_<a>", ("+30.0 %", "bad")], ["BM_b", ("+10.0 %", "bad")]])
        self.assertIn("not confirmed", section.tables[0].rows[1][3])
        self.assertIn("the gate could not tell for 1", section.lead[-1])

    def test_silence_is_no_good_news(self):
        section = slower_part.slower(None, None, [])
        self.assertIn("Nothing is known yet", section.lead[0])
        clean = gate_document(gate_entry("BM_a", 1.0, "clean"))
        section = slower_part.slower(clean, None, [])
        self.assertIn("Nothing, as far as can be told: by the gate's answer of 2026-11-25 on 1",
                      section.lead[0])
        section = slower_part.slower(None, None, [line(None)])
        self.assertNotIn("as far as can be told", " ".join(section.lead))
        clean["unmeasured"] = [{"name": "BM_x"}]
        self.assertIn("did not measure 1", slower_part.slower(clean, None, []).lead[-1])

    def test_what_failed_is_no_good_news(self):
        emptied = gate_entry("BM_a", 0.01, "improved", measures_nothing=["head"],
                             vanished=True)
        entry = gate_entry("BM_a", 1.0, "clean")
        for entries, more, text in (
                ([entry], {"incidents": ["head: a process died"] * 2}, "head: a process died"),
                ([emptied], {}, "the head measures nothing any more: BM_a"),
                ([entry], {"interrupted": "SIGINT", "verdict": "inconclusive"},
                 "stopped by SIGINT"),
                ([entry], {"verdict": "unmeasured", "unmeasured": [
                    {"name": "BM_x", "blocks": True, "known": None}]}, "not measured: BM_x"),
                ([], {"verdict": "unmeasured"}, "nothing could be measured"),
                ([], {"verdict": "error", "error": "no such program\nmore"},
                 "no such program")):
            with self.subTest(text):
                document = dict(gate_document(*entries), **more)
                for section in (slower_part.slower(document, None, []),
                                slower_part.slower(document, None, [line([])])):
                    said = " ".join(section.lead)
                    self.assertIn(text, said)
                    self.assertNotIn("as far as can be told", said)
                    self.assertNotIn("Nothing is known", said)
        document = dict(gate_document(gate_entry("BM_a", 1.3, "regressed")),
                        incidents=["head: a process died"])
        section = slower_part.slower(document, None, [])
        self.assertEqual(len(section.tables), 1)
        self.assertIn("head: a process died", section.lead[-1])

    def test_the_latest_comes_first_and_not_all_of_many(self):
        lines = [Line("cpu-0", "s", f"BM_{number}", [
            type(point)(**{**vars(point), "benchmarks": {f"BM_{number}": next(iter(
                point.benchmarks.values()))}}) for point in history_points(step=number + 2)],
            [Change(number + 2, 8.0)]) for number in range(15)]
        section = slower_part.slower(None, None, lines)
        self.assertEqual(section.tables[0].rows[0][0], "BM_14")
        self.assertEqual(len(section.tables[0].rows), 12)
        self.assertIn("15 slowdowns", section.lead[0])


class SinglePointTest(unittest.TestCase):
    def test_one_measurement_is_a_line_of_text(self):
        section = history_part.history([line([], count=1)])
        (plot,) = section.plots
        self.assertEqual((plot.svg, plot.png), ("", b""))
        self.assertIn("One measurement, and so no line yet", plot.text)


if __name__ == "__main__":
    unittest.main()
