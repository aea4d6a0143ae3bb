# SPDX-License-Identifier: Apache-2.0

import contextlib
import functools
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build
from jobs.mutants import job, parts, sampling, summary
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


class _Grader:
    """Stands in for a Grader. The replay kills the mutant of line 2. The mutant of line 3 changes
    no program."""

    def __init__(self, *_):
        self.asked = []
        self._line = 0

    def synchronize(self, _):
        return "s"

    def control(self, ways):
        self.asked.append(("control", *ways))

    @contextlib.contextmanager
    def changed(self, _, text):
        self._line = next(i for i, line in enumerate(text.splitlines(), 1) if "!=" in line)
        yield

    def judge(self, way, _):
        self.asked.append((way, self._line))
        return "A.B" if way == "replay" and self._line == 2 else ""

    def same_tests(self):
        return self._line == 3

    def executed_by(self, _, line):
        return [f"C.D at {line}"]


class AskTestsTest(unittest.TestCase):
    def test_what_targets_let_live_goes_on_to_the_tests(self):
        text = "bool f(int a) {\nif (a == 1) g();\nif (a == 2) g();\nif (a == 3) g();\n}\n"
        mutants = [sampling.Mutant(
            f"x.cc:{line}", "x.cc", "comparison", line, (1, 5),
            text.replace(f"a == {line - 1}", f"a != {line - 1}")) for line in (2, 3, 4)]
        results = [{"id": mutant.id, "line": mutant.line, "outcome": outcome}
                   for mutant, outcome in zip(mutants, ("survived", "unreached", "survived"),
                                              strict=True)]
        results += [{"id": "x.cc:5", "line": 5, "outcome": "killed-10"},
                    {"id": "x.cc:6", "line": 6, "outcome": "survived"}]
        grading = types.SimpleNamespace(results=results, by_file={"x.cc": mutants})
        arguments = types.SimpleNamespace(seconds=1, jobs=1, resume=False, grader=[])
        grader = _Grader()
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch.object(job, "Grader", lambda *_: grader), \
                mock.patch.object(job.trees, "ROOT", Path(folder)), \
                mock.patch.object(job.by_tests, "judge", functools.partial(
                    job.by_tests.judge, root=self._sources(folder, text))):
            job._ask_tests(mock.Mock(), arguments, grading, {"x.cc:6": "an argument"})
        self.assertEqual([result["outcome"] for result in results],
                         ["killed-by-tests", "unreached", "survived", "killed-10", "survived"])
        self.assertEqual(results[0]["killer"], "replay: A.B")
        self.assertEqual(results[1]["tests_said"], "compiled to the same programs")
        self.assertEqual(results[2]["executed_by"], ["C.D at 4"])
        self.assertEqual(grader.asked[0][0], "control")
        self.assertEqual(grader.asked[1:4], [("tests", 2), ("replay", 2), ("tests", 3)])
        self.assertEqual(grader.asked[4:], [(way, 4) for way in job._TESTS])

    def _sources(self, folder, text):
        path = Path(folder) / "core" / "ffgrant" / "x.cc"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
        return Path(folder)


class EquivalentMutantsTest(unittest.TestCase):
    def test_a_mutant_has_each_id(self):
        """If a function changes, its mutants get other ids. An entry of equivalent_mutants.toml
        with an old id then belongs to no mutant, and this test finds such an entry."""
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
