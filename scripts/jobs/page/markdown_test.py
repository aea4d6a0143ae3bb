# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.page import testing

testing.needs()

from jobs.common import report  # noqa: E402
from jobs.common.tables import Table  # noqa: E402
from jobs.mutants import summary  # noqa: E402
from jobs.page import evidence, markdown  # noqa: E402


class ParseTest(unittest.TestCase):
    def test_takes_the_project_s_form_apart(self):
        document = markdown.parse(testing.MUTANTS)
        self.assertEqual(document.title, "Mutants")
        self.assertEqual(document.facts, {"date": "2026-11-25 01:00 UTC",
                                          "command": "`./scripts/mutants`"})
        self.assertTrue(document.bold.startswith("200 mutants: 180 killed"))
        table = document.table("By operator")
        self.assertEqual(table.columns[:2], ["operator", "mutants"])
        self.assertEqual(table.right[:2], [False, True])
        self.assertEqual([row[0] for row in table.rows], ["relational", "constant", "all"])
        self.assertIsNone(document.table("By file"))

    def test_reads_what_report_writes(self):
        made = Table("A title", "a note", ["", "n", "text"], flush_left=(2,),
                     rows=[["a | b", "1", "x"], ["", "", "y"]])
        document = markdown.parse("\n".join(["# T", "", *report.as_markdown(made)]))
        table = document.table("A title")
        self.assertEqual(table.right, [False, True, False])
        self.assertEqual(table.rows, [["a | b", "1", "x; y"]])

    def test_reads_the_facts_of_a_summary(self):
        text = report.summary([], [("CPU", "AMD EPYC, 2 cores")], "./scripts/bench", "today", "how")
        self.assertEqual(markdown.parse(text).facts, {
            "date": "today", "command": "`./scripts/bench`", "method": "how",
            "CPU": "AMD EPYC, 2 cores"})

    def test_only_the_list_below_the_title_holds_facts(self):
        document = markdown.parse("# T\n\n- date: now\n- a: b: c\n\n## S\n\n- x: y\n")
        self.assertEqual(document.facts, {"date": "now", "a": "b: c"})

    def test_foreign_text_is_no_error(self):
        for text in ("", "plain", "# only a title", "|a|\n|--|\n", "- list",
                     "<b>bold</b>\n\n    code"):
            markdown.parse(text)

    def test_html_in_a_cell_stays_text(self):
        self.assertEqual(markdown.inline("<script>a</script> `b<c>`"),
                         "&lt;script&gt;a&lt;/script&gt; <code>b&lt;c&gt;</code>")


class EvidenceTest(unittest.TestCase):
    def test_counts_are_those_that_the_grading_writes(self):
        def result(number, outcome):
            return {"id": f"a.cc:{number}", "file": "a.cc", "operator": f"op{number % 2}",
                    "outcome": outcome, "line": 1, "targets": [], "runs": [], "diff": []}
        results = [result(number, outcome) for number, outcome in enumerate(
            ["killed-10"] * 5 + ["survived"] * 3 + ["does-not-compile"])]
        text = summary.markdown(results, {"a.cc:7": "it makes no difference at all"}, [])
        counts = evidence.mutant_counts(markdown.parse(text))
        score = summary.score(results, {"a.cc:7": ""})
        self.assertEqual(counts, {"killed in 10 s": score.fast, "later": score.slow,
                                  "survived": score.left, "equivalent": score.equivalent})
        self.assertEqual(counts["killed in 10 s"], 5)

    def test_coverage_totals(self):
        document = markdown.parse(testing.COVERAGE)
        self.assertEqual(evidence.coverage_totals(document), [
            ("lines", "tests", 99.9, 4681), ("lines", "corpora", 89.6, 4681),
            ("lines", "both", 100, 4681), ("branches", "tests", 98.0, 2320),
            ("branches", "corpora", 78.2, 2320), ("branches", "both", 99.1, 2320)])

    def test_files_of_another_form_give_nothing(self):
        for text in ("", "# T\n\n## Coverage of core/ffgrant\n\n| a | b |\n|--|--|\n| c | d |\n"):
            document = markdown.parse(text)
            self.assertEqual(evidence.coverage_totals(document), [])
            self.assertIsNone(evidence.mutant_counts(document))
        self.assertTrue(evidence.mutants(None).missing)
        self.assertTrue(evidence.coverage(None).missing)

    def test_wilson_s_interval(self):
        # Wilson's score interval of 190 of 200, worked out by hand from its formula.
        found = evidence.share_estimate(190, 200)
        self.assertAlmostEqual(found.value, 95)
        self.assertAlmostEqual(found.low, 91.04, delta=0.01)
        self.assertAlmostEqual(found.high, 97.26, delta=0.01)


if __name__ == "__main__":
    unittest.main()
