# SPDX-License-Identifier: Apache-2.0

import io
import unittest

from jobs.common import bars, report
from jobs.common.gbench_test import entry, results_of
from jobs.common.terminal import WIDTH, Terminal

try:
    from jobs.bench import peers
except ImportError:  # scipy is a part of scripts/bootstrap --for peers
    peers = None

CORE, LIMIT = "BM_ParseKey_Core/random", "BM_ParseKey_CacheLines/random"
SENTENCES = """
[[row]]
op = "ParseKey"
peer = "FromChars|Re2"
case = "rand.*"
text = "It checks less."
"""


def rounds_of(times, count=6):
    """The entries of `count` rounds. times: name -> ns, or a list with the ns of each round."""
    return [[entry(name, ns[i] if isinstance(ns, list) else ns, allocs_per_op=0.0)
             for name, ns in times.items()] for i in range(count)]


def groups_of(times, sentences="", count=6):
    results = results_of(*rounds_of(times, count))
    return results, peers.groups(results, peers.read_sentences(sentences))


@unittest.skipUnless(peers, "no scipy here")
class GroupsTest(unittest.TestCase):
    def test_a_ratio_is_taken_within_the_rounds(self):
        _, found = groups_of({CORE: [1, 2, 3, 4, 5, 6], LIMIT: 1,
                              "BM_ParseKey_Re2/random": [3, 6, 9, 12, 15, 24]})
        self.assertEqual(found[0].rows[0].ratio, (3, 3, 4))

    def test_the_reference_leads_and_the_limit_comes_last(self):
        _, found = groups_of({CORE: 1, LIMIT: 1, "BM_ParseKey_FromChars/random": 2,
                              "BM_ParseKey_Reference/random": 2, "BM_ParseKey_AbslX/random": 2})
        self.assertEqual([row.name.impl for row in found[0].rows],
                         ["Reference", "AbslX", "FromChars", "CacheLines"])

    def test_the_border_of_the_reference_is_a_limit_and_no_rival(self):
        _, found = groups_of({CORE: 1, LIMIT: 0.5, "BM_ParseKey_ReferenceNothing/random": 0.3,
                              "BM_ParseKey_Reference/random": 2})
        self.assertEqual([(row.name.impl, row.is_limit) for row in found[0].rows],
                         [("Reference", False), ("ReferenceNothing", True), ("CacheLines", True)])

    def test_only_the_same_figure_case_and_threads_stand_together(self):
        _, found = groups_of({
            "BM_A_Core/x": 1, "BM_A_Re2/x": 2, "BM_A_Re2/y": 3, "BM_B_Re2/x": 4,
            "BM_A_Re2/x/threads:2": 5})
        self.assertEqual([[row.ratio.median for row in group.rows] for group in found], [[2]])

    def test_ahead_is_what_all_of_the_interval_says(self):
        _, found = groups_of({CORE: 10, LIMIT: 1,
                              "BM_ParseKey_A/random": [12, 12, 12, 12, 12, 9],
                              "BM_ParseKey_B/random": [12, 12, 12, 12, 12, 11]})
        self.assertEqual([row.is_ahead for row in found[0].rows], [False, True, False])

    def test_with_few_rounds_the_median_says_it(self):
        _, found = groups_of({CORE: 10, "BM_ParseKey_A/random": [12, 12, 9]}, count=3)
        self.assertIsNone(found[0].rows[0].ratio.low)
        self.assertTrue(found[0].rows[0].is_ahead)


@unittest.skipUnless(peers, "no scipy here")
class ProblemsTest(unittest.TestCase):
    def test_a_row_behind_without_a_sentence_is_flagged(self):
        results, found = groups_of({CORE: 10, LIMIT: 1, "BM_ParseKey_FromChars/random": 8})
        self.assertEqual(len(peers.problems(found)), 1)
        self.assertIn("not ahead of from_chars", peers.problems(found)[0])
        self.assertIn("NOT AHEAD, and nothing says why", peers.peers_table(results, found).rows)

    def test_a_sentence_answers_for_the_rows_it_fits(self):
        results, found = groups_of({CORE: 10, LIMIT: 1, "BM_ParseKey_FromChars/random": 8},
                                   SENTENCES)
        self.assertEqual(peers.problems(found), [])
        self.assertIn("It checks less.", peers.peers_table(results, found).rows)
        _, other = groups_of({CORE: 10, LIMIT: 1, "BM_ParseKey_Loop/random": 8}, SENTENCES)
        self.assertEqual(len(peers.problems(other)), 1)

    def test_the_report_ends_with_the_rows_that_no_experiment_explains(self):
        times = {CORE: 10, LIMIT: 1, "BM_ParseKey_FromChars/random": 8, "BM_ParseKey_Re2/random": 9,
                 "BM_ParseKey_Loop/random": 20}
        _, found = groups_of(times, SENTENCES)
        self.assertEqual(peers.facts([], found)[-1], (
            "behind, and no experiment shows that nothing can be gained",
            "parse key, random: from_chars; parse key, random: RE2"))

    def test_an_experiment_is_a_peer_with_cores_duties_that_core_is_ahead_of(self):
        times = {CORE: 10, LIMIT: 1, "BM_ParseKey_FromChars/random": 8,
                 "BM_ParseKey_Re2/random": 9}
        shown = SENTENCES + 'experiment = "SimdErrors"\n'
        ahead = {**times, "BM_ParseKey_SimdErrors/random": 15}
        results, found = groups_of(ahead, shown)
        self.assertEqual(peers.without_experiment(found), [])
        self.assertEqual(len(peers.facts([], found)), 1)
        self.assertIn("It checks less. Experiment: simd, with core's errors, 1.50x.",
                      peers.peers_table(results, found).rows)
        # The experiment shows nothing if core is behind it too, or if it was not measured.
        unshown = [("parse key, random", "from_chars"), ("parse key, random", "RE2")]
        _, found = groups_of({**times, "BM_ParseKey_SimdErrors/random": 9}, shown)
        self.assertEqual(peers.without_experiment(found)[:2], unshown)
        _, found = groups_of(times, shown)
        self.assertEqual(peers.without_experiment(found), unshown)

    def test_a_row_that_rounds_disagree_about_is_undecided(self):
        results, found = groups_of({CORE: 10, LIMIT: 1,
                                    "BM_ParseKey_FromChars/random": [12, 12, 12, 12, 12, 9]},
                                   SENTENCES)
        self.assertEqual(peers.problems(found), [])
        rows = peers.peers_table(results, found).rows
        self.assertTrue(any(isinstance(row, str) and "Undecided" in row for row in rows))
        self.assertNotIn("It checks less.", rows)

    def test_a_sentence_stands_only_where_core_is_not_ahead(self):
        results, found = groups_of({CORE: 10, LIMIT: 1, "BM_ParseKey_Re2/random": 80}, SENTENCES)
        self.assertNotIn("It checks less.", peers.peers_table(results, found).rows)

    def test_a_figure_without_a_limit_is_flagged(self):
        _, found = groups_of({CORE: 1, "BM_ParseKey_Re2/random": 2})
        self.assertEqual(peers.problems(found), ["parse key, random: no limit beside it"])

    def test_nothing_may_be_faster_than_its_limit(self):
        # Core is faster than the limit in every round, RE2 in one, and the loop in five of six.
        _, found = groups_of({CORE: 10, LIMIT: 11,
                              "BM_ParseKey_Re2/random": [20, 9, 30, 40, 30, 20],
                              "BM_ParseKey_Loop/random": [12, 10, 9, 10, 9, 9]}, SENTENCES)
        self.assertEqual(
            [text for text in peers.problems(found) if "limit" in text],
            ["parse key, random: core (4 bytes of each cache line) is faster than its limit, "
             "which is none"])

    def test_a_limit_needs_no_sentence(self):
        _, found = groups_of({CORE: 10, LIMIT: 1})
        self.assertEqual(peers.problems(found), [])

    def test_the_reviewed_sentences_can_be_read(self):
        sentences = peers.read_sentences(peers.SENTENCES.read_text(encoding="utf-8"))
        for sentence in sentences:
            self.assertRegex(sentence.text, r"^\S.*\.$")


@unittest.skipUnless(peers, "no scipy here")
class ReportTest(unittest.TestCase):
    def setUp(self):
        results, found = groups_of({
            CORE: 10, LIMIT: 1, "BM_ParseKey_FromChars/random": 8,
            "BM_ClaimPairs_Ledger/live:1000/manual_time/threads:1": 100,
            "BM_ClaimPairs_Sqlite/live:1000/manual_time/threads:1": 5000}, SENTENCES)
        self.table = peers.peers_table(results, found)

    def test_rows(self):
        self.assertEqual(self.table.rows[:3], [
            ["parse key, random"],
            ["  ffgrant", "10.0", "", "100 M", "0", "", ""],
            ["  from_chars", "8.00", "", "125 M", "0", "0.80x", "0.80-0.80"]])
        self.assertIn(["grants issued and claimed, 1,000 live"], self.table.rows)
        self.assertIn(["  SQLite", "5000", "", "200 k", "0", "50.0x", "50.0-50.0"],
                      self.table.rows)

    def test_text_wraps_sentences_and_markdown_keeps_its_cells(self):
        self.table.rows[3] = type(self.table.rows[3])("Word. " * 60)
        lines = report.as_text(self.table, Terminal(io.StringIO()))
        self.assertLessEqual(max(map(len, lines)), WIDTH)
        rows = [line for line in report.as_markdown(self.table) if line.startswith("|")]
        self.assertEqual({line.count("|") for line in rows}, {len(self.table.columns) + 1})
        self.assertTrue(any(line.startswith("| *Word. Word.") for line in rows))


@unittest.skipUnless(peers, "no scipy here")
class BarsTest(unittest.TestCase):
    def verdicts(self, ns):
        table = peers.bars_table(results_of(*rounds_of({
            "BM_ParseExecutionIdLenient_Core/valid": 10,
            "BM_ParseExecutionIdLenient_Reference/valid": ns})))
        return {row[0]: row[-1] for row in table.rows} if table else None

    def test_the_interval_decides(self):
        self.assertEqual(self.verdicts(60)["execution id parse"], "met")
        self.assertEqual(self.verdicts(59)["execution id parse"], "MISSED")
        self.assertEqual(self.verdicts([59, 61, 61, 61, 61, 61])["execution id parse"],
                         "undecided")
        self.assertEqual(self.verdicts(60)["grant decode"], "-")

    def test_no_reference_no_table(self):
        self.assertIsNone(peers.bars_table(results_of(*rounds_of({CORE: 1}))))

    def test_bars_name_rows_of_their_own(self):
        keys = [(bar.op, bar.case, bar.reference) for bar in bars.REFERENCE_BARS]
        self.assertEqual(len(keys), len(set(keys)))


@unittest.skipUnless(peers, "no scipy here")
class FactsTest(unittest.TestCase):
    def test_versions_and_what_was_left_out(self):
        contexts = [{"version of simdjson": "3.0.1", "load_avg": [1.0]},
                    {"version of SQLite": "3.40", "left out RE2": "libre2-dev"}]
        self.assertEqual(peers.facts(contexts, []), [
            ("peers", "simdjson 3.0.1, SQLite 3.40"),
            ("left out, since they are not here", "RE2 (libre2-dev)")])

    def test_how_a_peer_was_compiled(self):
        self.assertEqual(peers.facts([{"version of the reference": "ff-core 0.15.0",
                                       "build of the reference": "lto = fat"}], []), [
            ("peers", "the reference ff-core 0.15.0"),
            ("build of the reference", "lto = fat")])


if __name__ == "__main__":
    unittest.main()
