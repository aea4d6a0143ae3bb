# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.common import build
from jobs.mutants import parts, summary
from jobs.mutants.job import Journal


class JournalTest(unittest.TestCase):
    SETTINGS = ["fuzz", 1, 2]
    STATES = {"x_fuzzer": "1", "y_fuzzer": "2", "": "3"}

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "sub" / "results.jsonl"
        first = Journal(self.path, False)
        first.add(self.entry("a", "killed-10", "x_fuzzer"))
        first.add(self.entry("b", "survived", "x_fuzzer", "y_fuzzer"))

    def entry(self, name, outcome, *targets):
        return {"id": name, "outcome": outcome, "settings": self.SETTINGS, "seconds": 60,
                "states": {target: self.STATES[target] for target in targets}}

    def outcomes(self, journal, states=None, settings=None, seconds=60):
        found = (journal.result(name, {**self.STATES, **(states or {})}, settings or self.SETTINGS,
                                seconds)
                 for name in "abcd")
        return [result and result["outcome"] for result in found]

    def test_goes_on_where_it_was(self):
        self.assertEqual(self.outcomes(Journal(self.path, True)),
                         ["killed-10", "survived", None, None])

    def test_results_of_other_targets_do_not_count(self):
        journal = Journal(self.path, True)
        self.assertEqual(self.outcomes(journal, {"y_fuzzer": "9"}),
                         ["killed-10", None, None, None])
        self.assertEqual(self.outcomes(journal, {"x_fuzzer": "9"}), [None] * 4)
        self.assertEqual(self.outcomes(journal, settings=["plain", 1, 2]), [None] * 4)

    def test_what_came_fast_holds_for_other_limits(self):
        journal = Journal(self.path, True)
        self.assertEqual(self.outcomes(journal, seconds=10), ["killed-10", None, None, None])
        self.assertEqual(self.outcomes(journal, seconds=9), [None] * 4)

    def test_what_comes_later_holds(self):
        journal = Journal(self.path, True)
        journal.add(self.entry("b", "killed-60", "y_fuzzer"))
        for again in (journal, Journal(self.path, True)):
            self.assertEqual(self.outcomes(again), ["killed-10", "killed-60", None, None])

    def test_begins_anew_unless_told_to_go_on(self):
        self.assertEqual(self.outcomes(Journal(self.path, False)), [None] * 4)
        self.assertEqual(self.outcomes(Journal(self.path, True)), [None] * 4)

    def test_a_line_that_was_cut_off_is_forgotten(self):
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write('{"id": "c", "outc')
        journal = Journal(self.path, True)
        journal.add(self.entry("d", "unreached", ""))
        self.assertEqual(self.outcomes(Journal(self.path, True)),
                         ["killed-10", "survived", None, "unreached"])


class EquivalentMutantsTest(unittest.TestCase):
    def test_a_mutant_has_each_id(self):
        """If a source changes, its mutants get other ids. An argument under an old id is then for
        no mutant, and this test finds such an argument."""
        listed = summary.read_equivalents(
            (build.ROOT / "fuzz" / "equivalent_mutants.toml").read_text(encoding="utf-8"))
        self.assertGreater(len(listed), 10)
        known = set()
        for file in sorted({name.partition(":")[0] for name in listed}):
            text = (build.ROOT / "core" / "ffgrant" / file).read_text(encoding="utf-8")
            known.update(mutant.id for mutant in parts.mutants_of(file, text))
        self.assertEqual(sorted(set(listed) - known), [])


if __name__ == "__main__":
    unittest.main()
