# SPDX-License-Identifier: Apache-2.0

import tempfile
import unittest
from pathlib import Path

from jobs.mutants import Journal


class JournalTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "sub" / "results.jsonl"
        first = Journal(self.path, "state 1", False)
        first.add({"id": "a", "outcome": "killed-10"})
        first.add({"id": "b", "outcome": "survived"})

    def test_goes_on_where_it_was(self):
        second = Journal(self.path, "state 1", True)
        self.assertEqual(list(second.results), ["a", "b"])
        self.assertEqual(second.results["b"]["outcome"], "survived")

    def test_results_of_other_sources_do_not_count(self):
        self.assertEqual(Journal(self.path, "state 2", True).results, {})

    def test_begins_anew_unless_told_to_go_on(self):
        self.assertEqual(Journal(self.path, "state 1", False).results, {})
        self.assertEqual(Journal(self.path, "state 1", True).results, {})

    def test_a_line_that_was_cut_off_is_forgotten(self):
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write('{"state": "state 1", "id": "c", "outc')
        journal = Journal(self.path, "state 1", True)
        self.assertEqual(list(journal.results), ["a", "b"])
        journal.add({"id": "d", "outcome": "unreached"})
        self.assertEqual(list(Journal(self.path, "state 1", True).results), ["a", "b", "d"])


if __name__ == "__main__":
    unittest.main()
