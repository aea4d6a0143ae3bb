# SPDX-License-Identifier: Apache-2.0

import json
import tempfile
import unittest
from pathlib import Path

from jobs.page import testing

testing.needs()

from jobs.common import documents  # noqa: E402
from jobs.common.tables import Table  # noqa: E402
from jobs.coverage import job as coverage_job, notes  # noqa: E402
from jobs.mutants import summary  # noqa: E402
from jobs.page import evidence, markdown, recorded  # noqa: E402
from jobs.page.recorded import ReportError  # noqa: E402


class ReadTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.path = Path(temporary.name, "x.md")

    def test_reads_what_a_job_writes(self):
        documents.Document(
            "A title", [("date", "today"), ("command", "`x`")], "It is so.",
            [Table("A table", "a note", ["", "n", "text"], flush_left=(2,),
                   rows=[["a | b", "1", "x"], ["", "", "y"]])], {"numbers": [1]}).write(self.path)
        document = recorded.read(self.path)
        self.assertEqual((document.path, document.title, document.date, document.summary),
                         (self.path, "A title", "today", "It is so."))
        table = document.table("A table")
        self.assertEqual(table.right, [False, True, False])
        self.assertEqual(table.rows, [["a | b", "1", "x; y"]])
        self.assertEqual(document.figure("numbers"), [1])

    def test_a_renamed_heading_is_an_error_with_its_name(self):
        document = recorded.from_json(testing.MUTANTS, self.path)
        with self.assertRaisesRegex(ReportError, "x.json: there is no table 'By file'"):
            document.table("By file")
        with self.assertRaisesRegex(ReportError, "x.json: there are no figures 'totals'"):
            document.figure("totals")
        for part in ("tables", "figures"):
            lacking = recorded.from_json({**testing.MUTANTS, part: []}, self.path)
            with self.assertRaisesRegex(ReportError, "x.json"):
                evidence.mutants(lacking)
        with self.assertRaisesRegex(ReportError, "no figures 'totals'"):
            evidence.coverage(recorded.from_json(testing.MUTANTS, self.path))

    def test_a_missing_file_is_an_error_with_its_name(self):
        self.path.write_text("# Only a view\n")
        with self.assertRaisesRegex(ReportError, "x.json: the figures behind x.md are missing"):
            recorded.read(self.path)

    def test_another_form_is_an_error(self):
        for text in ("", "{", "[]", "{}", json.dumps({**testing.MUTANTS, "format": 2}),
                     json.dumps({**testing.MUTANTS, "tables": [{"section": "x"}]})):
            self.path.with_suffix(".json").write_text(text)
            with self.assertRaisesRegex(ReportError, "x.json"):
                recorded.read(self.path)

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
        made = summary.document(results, {"a.cc:7": "it makes no difference at all"}, [])
        document = recorded.from_json(made.as_json(), "mutants.md")
        score = summary.score(results, {"a.cc:7": ""})
        self.assertEqual(evidence.mutant_counts(document), {
            "killed in 10 s": score.fast, "later": score.slow, "survived": score.left,
            "equivalent": score.equivalent})
        self.assertEqual(score.fast, 5)
        self.assertTrue(evidence.mutants(document).plots)

    def test_totals_are_those_that_the_coverage_job_writes(self):
        counts = [notes.Counts(), notes.Counts()]
        counts[0].lines, counts[1].lines = (9, 10), (1000, 1001)
        figures = coverage_job.totals(["tests", "both"], counts)
        self.assertEqual(evidence.coverage_totals(recorded.from_json(
            testing.made("C", {}, figures={"totals": figures}), "coverage.md")),
            [("lines", "tests", 0.9, 1001), ("lines", "both", 99.9, 1001)])
        self.assertEqual([evidence.mutant_counts(None), evidence.coverage_totals(None)], [None, []])
        self.assertTrue(evidence.mutants(None).missing)
        self.assertTrue(evidence.coverage(None).missing)

    def test_wilson_s_interval(self):
        # The bounds are those of Wilson's score interval of 190 of 200, worked out by hand from the
        # formula.
        found = evidence.share_estimate(190, 200)
        self.assertAlmostEqual(found.value, 95)
        self.assertAlmostEqual(found.low, 91.04, delta=0.01)
        self.assertAlmostEqual(found.high, 97.26, delta=0.01)


if __name__ == "__main__":
    unittest.main()
