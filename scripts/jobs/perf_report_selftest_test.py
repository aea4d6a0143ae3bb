# SPDX-License-Identifier: Apache-2.0

import unittest
from types import SimpleNamespace

from jobs import perf_report_testing

perf_report_testing.needs((*perf_report_testing.MODULES, "statsmodels"))

from jobs import (perf_replay, perf_report_markdown, perf_report_selftest,  # noqa: E402
                  perf_selftest, report)


def tally(**verdicts):
    made = perf_replay.Tally()
    for verdict, count in verdicts.items():
        for _ in range(count):
            made.add(SimpleNamespace(verdict=verdict, pairs=20))
    return made


def document():
    """As scripts/perf selftest writes it."""
    cells = [perf_replay.Cell("plain", 0, 200, 1, equal=tally(clean=1198, regressed=2)),
             perf_replay.Cell("plain", 5, 200, 0, tally(regressed=98, clean=2), tally(regressed=50),
                              tally(clean=300)),
             perf_replay.Cell("hog", 0, 200, 0, equal=tally(clean=1200)),
             perf_replay.Cell("hog", 5, 200, 0, tally(regressed=95, inconclusive=5),
                              tally(regressed=40, inconclusive=10), tally(clean=300))]
    lines = ["# The gate, measured", "", "- recorded: 2026-11-25 03:00 UTC", ""]
    for made in (perf_selftest.power_table(cells), perf_selftest.false_table(cells)):
        lines += [*report.as_markdown(made), ""]
    return perf_report_markdown.parse("\n".join(lines), "perf-selftest.md")


class SelftestTest(unittest.TestCase):
    def test_reads_what_the_selftest_writes(self):
        measured = perf_report_selftest.power(document())
        self.assertEqual([(condition, slower, memory, share.value)
                          for condition, slower, memory, share in measured],
                         [("plain", 5, "in cache", 98), ("plain", 5, "shared", 100),
                          ("hog", 5, "in cache", 95), ("hog", 5, "shared", 80)])
        share = measured[0][3]
        self.assertTrue(90 < share.low < 98 < share.high < 100, share)

    def test_false_alarms_are_those_where_nothing_is_slower(self):
        self.assertEqual(perf_report_selftest.false_alarms(document()), (2, 2400))

    def test_the_section_says_both(self):
        section = perf_report_selftest.selftest(document())
        self.assertIn("2 in 2,400 verdicts", " ".join(section.lead))
        self.assertIn("5 % slower, in cache, machine as it is: 98 %", section.plots[0].text)
        self.assertIn("100 %", section.plots[0].svg)

    def test_another_form_is_shown_as_it_is(self):
        foreign = perf_report_markdown.parse("# T\n\n## Slowdowns that the gate finds\n\n"
                                             "| a |\n|--|\n| b |\n")
        section = perf_report_selftest.selftest(foreign)
        self.assertEqual((section.plots, section.documents), ([], [foreign]))
        self.assertEqual(perf_report_selftest.selftest(None).missing[0].command,
                         "./scripts/perf selftest")


if __name__ == "__main__":
    unittest.main()
