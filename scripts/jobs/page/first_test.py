# SPDX-License-Identifier: Apache-2.0

import json
import tempfile
import unittest
from pathlib import Path

from jobs.page import testing

testing.needs()

from jobs.page import bench_results, first, recorded  # noqa: E402
from jobs.page.testing import document, entry, gate_document, gate_entry  # noqa: E402


def documents(**made):
    """For bench=JSON returns {"bench.md": the Document that the JSON holds}."""
    named = {f"{name.replace('_', '-')}.md": document for name, document in made.items()}
    return {name: recorded.from_json(document, name) for name, document in named.items()}


class FirstTest(unittest.TestCase):
    def bench(self, *rounds, summary=None, load=0.5):
        with tempfile.TemporaryDirectory() as folder:
            for number, entries in enumerate(rounds, 1):
                Path(folder, f"a.round{number}.json").write_text(
                    json.dumps(document(*entries, load=load)))
            if summary:
                testing.write_document(Path(folder, "summary.md"), summary)
            return bench_results.read_bench(folder)

    def warnings(self, *rounds, **more):
        return " ".join(first.warnings(self.bench(*rounds, **more), {}))

    def test_warns_of_what_spoils_figures(self):
        five = [[entry("BM_A_Core/x", 1)]] * 5
        self.assertEqual(self.warnings(*five, summary=testing.SUMMARY), "")
        self.assertIn("ran 4 rounds", self.warnings(*five[:4]))
        self.assertIn("ran 1 round:", self.warnings(*five[:1]))
        self.assertIn("load up to 7.5 on 2 cores", self.warnings(*five, load=7.5))
        self.assertIn("in no commit", self.warnings(
            *five, summary=testing.made("S", {"revision": "0729f with uncommitted changes"})))
        self.assertIn("A benchmark failed: BM_B_Core/x: bad", self.warnings(*[[
            entry("BM_A_Core/x", 1), entry("BM_B_Core/x", 0, error_occurred=True,
                                           error_message="bad")]] * 5))
        self.assertIn("Left out, since not named BM_<Op>_<Impl>/<case>: `BM_mine/8`",
                      self.warnings(*[[entry("BM_A_Core/x", 1), entry("BM_mine/8", 1)]] * 5))

    def test_says_that_a_recorded_run_is_there(self):
        self.assertIn("`./scripts/bench`",
                      first.warnings(None, documents(bench=testing.made("B", {})))[0])
        self.assertEqual(first.warnings(None, {}), [])

    def third(self, gate, **texts):
        figure = first.figures(None, gate, documents(**texts))[2]
        return figure.link

    def test_what_is_slower_matters_more_than_how_good_the_gate_is(self):
        selftest = testing.made("T", {}, figures={"false alarms": [], "power": [
            {"condition": "plain", "slowdown": 5, "memory": "in cache", "found": 0.98,
             "low": 0.95, "high": 0.995}]})
        clean = gate_document(gate_entry("BM_A_Core/x", 1, "clean"))
        failed = dict(clean, incidents=["head: a process died"])
        self.assertEqual([first.figures(None, each, documents())[2].good
                          for each in (clean, failed)], [True, None])
        slower = gate_document(gate_entry("BM_A_Core/x", 1.1, "regressed"))
        self.assertEqual(self.third(slower, perf_selftest=selftest), "gate")
        self.assertEqual(self.third(clean, perf_selftest=selftest), "selftest")
        self.assertEqual(self.third(clean), "gate")
        self.assertEqual(self.third(None, coverage=testing.COVERAGE), "coverage")

    def test_figures_without_data_name_their_command(self):
        figures = first.figures(None, None, {})
        self.assertTrue(all(figure.missing for figure in figures))
        self.assertEqual([figure.sure.split(" measures")[0] for figure in figures], [
            "./scripts/bench", "./scripts/bench", "./scripts/coverage", "./scripts/mutants"])

    def test_one_round_has_no_interval(self):
        bench = self.bench([entry("BM_ParseGrant_Core/canonical", 30),
                            entry("BM_ParseGrant_SimdjsonOnDemand/canonical", 60)])
        figure = first.figures(bench, None, {})[1]
        self.assertEqual((figure.value, figure.unit, figure.good), ("30.0", "ns", None))
        self.assertEqual(figure.sure, "one round: no interval; 2.00× as fast as simdjson")

    def test_facts_name_each_file_s_date_revision_and_command_once(self):
        facts = dict(first.facts(
            self.bench([entry("BM_A_Core/x", 1)], summary=testing.SUMMARY),
            documents(coverage=testing.COVERAGE, mutants=testing.COVERAGE,
                      bench=testing.MUTANTS)))
        self.assertEqual(facts["measured"], [
            "benchmarks: 2026-11-25 02:00 UTC, revision 0729f9c13a5b",
            "coverage.md: 2026-11-24 00:25 UTC, revision a47ee51cfe65",
            "mutants.md: 2026-11-24 00:25 UTC, revision a47ee51cfe65"])
        self.assertEqual(facts["commands"], ["`./scripts/bench`", "`./scripts/coverage`",
                                             "`./scripts/perf report` (this page)"])


if __name__ == "__main__":
    unittest.main()
