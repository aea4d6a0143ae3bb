# SPDX-License-Identifier: Apache-2.0

import unittest
from types import SimpleNamespace

from jobs.page import testing

testing.needs((*testing.MODULES, "statsmodels"))

from jobs.page import recorded, selftest_part  # noqa: E402
from jobs.perf import replay, selftest  # noqa: E402


def tally(**verdicts):
    made = replay.Tally()
    for verdict, count in verdicts.items():
        for _ in range(count):
            made.add(SimpleNamespace(verdict=verdict, pairs=20))
    return made


def document():
    """A document as scripts/perf selftest writes it."""
    cells = [replay.Cell("plain", 0, 200, 1, equal=tally(clean=1195, regressed=2, suspected=3)),
             replay.Cell("plain", 5, 200, 0, tally(regressed=98, clean=2), tally(regressed=50),
                         tally(clean=300)),
             replay.Cell("hog", 0, 200, 0, equal=tally(clean=1200)),
             replay.Cell("hog", 5, 200, 0, tally(regressed=95, inconclusive=5),
                         tally(regressed=40, inconclusive=10), tally(clean=300))]
    return recorded.from_json(
        testing.made("The gate, measured", {"recorded": "2026-11-25 03:00 UTC"},
                     figures=selftest.figures(cells)), "perf-selftest.md")


class SelftestTest(unittest.TestCase):
    def test_reads_what_the_selftest_writes(self):
        measured = selftest_part.power(document())
        self.assertEqual([(condition, slower, memory, share.value)
                          for condition, slower, memory, share in measured],
                         [("plain", 5, "in cache", 98), ("plain", 5, "shared", 100),
                          ("hog", 5, "in cache", 95), ("hog", 5, "shared", 80)])
        share = measured[0][3]
        self.assertTrue(90 < share.low < 98 < share.high < 100, share)

    def test_false_alarms_are_those_where_nothing_is_slower(self):
        self.assertEqual(selftest_part.false_alarms(document()), (2, 3, 2400))

    def test_an_older_result_says_nothing_of_what_was_suspected(self):
        made = document()
        for row in made.figure("false alarms"):
            del row["suspected"]
        self.assertEqual(selftest_part.false_alarms(made), (2, None, 2400))
        self.assertIn("2 regressed in 2,400 verdicts", " ".join(selftest_part.selftest(made).lead))

    def test_the_section_says_both(self):
        section = selftest_part.selftest(document())
        self.assertIn("2 regressed and 3 suspected in 2,400 verdicts", " ".join(section.lead))
        self.assertIn("5 % slower, in cache, machine as it is: 98 %", section.plots[0].text)
        self.assertIn("100 %", section.plots[0].svg)

    def test_figures_of_another_name_are_an_error(self):
        foreign = recorded.from_json(testing.made("T", {}), "perf-selftest.md")
        with self.assertRaisesRegex(recorded.ReportError, "no figures 'power'"):
            selftest_part.selftest(foreign)
        self.assertEqual(selftest_part.selftest(None).missing[0].command,
                         "./scripts/perf selftest")


if __name__ == "__main__":
    unittest.main()
