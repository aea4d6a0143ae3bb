# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.mutants import summary

ARGUMENT = "The fast path falls back to the full parser."


def result(name, outcome, seconds=None):
    runs = [{"target": "a_fuzzer", "seed": seed, "killed": seconds is not None,
             "how": "check" if seconds is not None else "", "seconds": 300.0,
             "cpu_seconds": seconds or 60.0, "executions": 1000 * seed, "note": "x != y"}
            for seed in (1, 2, 3, 4, 5)]
    return {"id": name, "file": "a.cc", "operator": "boundary", "line": 3, "outcome": outcome,
            "targets": ["a_fuzzer"], "runs": runs, "diff": ["-a < b", "+a <= b"]}


RESULTS = [result("k1", "killed-10", 1.0), result("k2", "killed-10", 3.0),
           result("k3", "killed-60", 30.0), result("s1", "survived"), result("s2", "survived"),
           {**result("u1", "identical"), "runs": []}]


class EquivalentsTest(unittest.TestCase):
    def test_reads_ids_and_arguments(self):
        text = f'[[mutant]]\nid = "a"\nargument = """{ARGUMENT}\n More."""\n'
        self.assertEqual(summary.read_equivalents(text), {"a": ARGUMENT + " More."})
        self.assertEqual(summary.read_equivalents(""), {})

    def test_each_needs_an_argument_and_is_there_once(self):
        entry = f'[[mutant]]\nid = "a"\nargument = "{ARGUMENT}"\n'
        for text in ('[[mutant]]\nid = "a"\n', '[[mutant]]\nid = "a"\nargument = "yes"\n',
                     entry + 'note = "b"\n', entry + entry, "[[mutant"):
            with self.assertRaises(summary.ListError):
                summary.read_equivalents(text)

    def test_a_killed_one_and_a_stale_one_are_errors(self):
        errors = summary.list_errors({"k1": ARGUMENT, "s1": ARGUMENT, "gone": ARGUMENT},
                                     RESULTS, {"k1", "s1"})
        self.assertEqual(len(errors), 2)
        self.assertIn("a_fuzzer killed it", "".join(errors))
        self.assertIn("gone", "".join(errors))


class ScoreTest(unittest.TestCase):
    def test_equivalents_are_not_held_against_the_targets(self):
        total = summary.score(RESULTS, {"s1": ARGUMENT})
        self.assertEqual((total.graded, total.fast, total.slow, total.left, total.equivalent),
                         (5, 2, 1, 1, 1))
        self.assertEqual(total.share, 50)

    def test_a_killed_mutant_is_no_equivalent(self):
        self.assertEqual(summary.score(RESULTS, {"k1": ARGUMENT}).equivalent, 0)

    def test_to_kill(self):
        rows = summary.to_kill(summary.graded(RESULTS)).rows
        self.assertEqual(rows[0], ["seconds", "3", "24.6", "30"])
        self.assertEqual(rows[1][3], "3 k")

    def test_what_a_target_needs_is_that_of_its_slowest_mutant(self):
        seldom = result("k4", "killed-10", 4.0)
        for run in seldom["runs"][:2]:  # these two seeds looked for ten seconds in vain
            run.update(killed=False, how="", cpu_seconds=10.0)
        other = result("k5", "killed-10", 0.5)
        for run in other["runs"]:
            run["target"] = "b_fuzzer"
        first, second = summary.needs([*RESULTS[:2], seldom, other, RESULTS[3]])
        self.assertEqual((first.target, first.mutants, first.slowest), ("a_fuzzer", 3, "k4"))
        self.assertAlmostEqual(first.mean, 32 / 3)
        self.assertAlmostEqual(first.seconds, 31.95, places=2)
        self.assertEqual((second.target, second.mutants, second.mean), ("b_fuzzer", 1, 0.5))
        self.assertEqual(summary.figures([other], {})["targets"],
                         [{"target": "b_fuzzer", "slowest": "k5", "seconds": 1.5}])

    def test_tables_add_up(self):
        for table in summary.tables(RESULTS, {}):
            self.assertEqual(table.rows[-1], ["all", "5", "2", "1", "0", "2", "0", "40.0"])

    def test_what_tests_kill_does_not_count_for_the_targets(self):
        seen = {**result("s1", "killed-by-tests"), "killer": "tests: A.B"}
        self.assertEqual(summary.score([RESULTS[0], seen], {}).share, 50)
        table = summary.tables([RESULTS[0], seen], {})[0]
        self.assertEqual(table.rows[-1], ["all", "2", "1", "0", "1", "0", "0", "50.0"])
        self.assertEqual([need.mutants for need in summary.needs([RESULTS[0], seen])], [1])


class MarkdownTest(unittest.TestCase):
    def test_shows_survivors_and_arguments(self):
        text = summary.document(RESULTS, {"s1": ARGUMENT}, [("date", "today")]).markdown()
        self.assertIn("### s2", text)
        self.assertIn("+a <= b", text)
        self.assertIn(ARGUMENT, text)
        survivors, equivalent = text.split("## Equivalent")
        self.assertIn("### s1", equivalent)
        self.assertNotIn("### s1", survivors)

    def test_says_which_test_kills_and_which_only_execute(self):
        seen = {**result("t1", "killed-by-tests"), "killer": "tests: A.B"}
        left = {**result("s1", "survived"), "executed_by": ["C.D"]}
        by_tests, _, survivors = summary.document([seen, left], {}, []).markdown().partition(
            "## Survivors")
        self.assertIn("### t1", by_tests)
        self.assertIn("Killed by tests: A.B.", by_tests)
        self.assertIn("Tests that execute the function: C.D.", survivors)
        self.assertNotIn("### t1", survivors)

    def test_a_seed_that_killed_a_survivor_is_told(self):
        partly = result("s3", "survived")
        partly["runs"][1]["killed"] = True
        self.assertIn("seed 2 did kill it", summary.document([partly], {}, []).markdown())


if __name__ == "__main__":
    unittest.main()
