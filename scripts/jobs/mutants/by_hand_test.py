# SPDX-License-Identifier: Apache-2.0

import argparse
import contextlib
import io
import tempfile
import unittest
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.mutants import by_hand
from jobs.mutants.by_hand import CatalogueError, Fault, Journal, Result
from jobs.mutants.graders import Grader


def _fault(before: str = "a < b", after: str = "a <= b") -> Fault:
    return Fault("x", "a-kind", "source.cc", before, after, "why")


class CatalogueTest(unittest.TestCase):
    def test_every_fault_can_be_applied(self) -> None:
        self.assertEqual(by_hand.stale(by_hand.read_catalogue()), [])

    def test_every_kind_has_enough(self) -> None:
        counts = Counter(fault.kind for fault in by_hand.read_catalogue())
        self.assertEqual([kind for kind, count in counts.items() if count < by_hand.LEAST], [])

    def _read(self, text: str) -> list[Fault]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a-kind.toml").write_text(text, encoding="utf-8")
            return by_hand.read_catalogue(Path(folder))

    def test_reads_what_is_written(self) -> None:
        entry = ('[[mutant]]\nid = "x"\nfile = "source.cc"\nbefore = "a < b"\n'
                 'after = "a <= b"\nwhy = "why"\n')
        self.assertEqual(self._read(entry), [_fault()])
        for wrong in (entry + entry, entry.replace("why", "because", 1), "x = [", ""):
            with self.assertRaises(CatalogueError):
                self._read(wrong)

    def test_a_text_must_be_there_once(self) -> None:
        self.assertEqual(_fault().apply("if (a < b)"), "if (a <= b)")
        for text in ("", "a < b || a < b"):
            with self.assertRaises(CatalogueError):
                _fault().apply(text)

    def test_stale_ones_are_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "source.cc").write_text("a < b", encoding="utf-8")
            self.assertEqual(by_hand.stale([_fault()], Path(folder)), [])
            for fault in (_fault("b < a"), _fault(after="a < b")):
                self.assertEqual(len(by_hand.stale([fault], Path(folder))), 1)


class ChooseTest(unittest.TestCase):
    FAULTS = [Fault(name, kind, "source.cc", "1", "2", "why")
              for name, kind in (("x", "a-kind"), ("y", "a-kind"), ("z", "another"))]

    def test_by_kind_and_id(self) -> None:
        for kinds, ids, wanted in (([], [], "xyz"), (["a-kind"], [], "xy"), ([], ["z", "x"], "xz"),
                                   ([], ["another/z", "z"], "z"), (["a-kind"], ["y"], "y")):
            chosen = by_hand.choose(self.FAULTS, kinds, ids)
            self.assertEqual("".join(fault.id for fault in chosen), wanted)

    def test_what_is_not_there_is_an_error(self) -> None:
        for kinds, ids, said in ((["b-kind"], [], "--kind b-kind: no such file"),
                                 ([], ["x", "typo"], "--only typo: no such mutant"),
                                 ([], ["another/x"], "--only another/x: no such mutant"),
                                 (["another"], ["x"], "--only x: no such mutant of that kind")):
            with self.assertRaisesRegex(CatalogueError, said):
                by_hand.choose(self.FAULTS, kinds, ids)

    def test_no_grader_runs_before_the_ids_are_known(self) -> None:
        arguments = argparse.Namespace(kind=[], only=["typo"], list=False, grader=[], seconds=1,
                                       jobs=1, resume=False)
        with mock.patch.object(by_hand, "Grader") as grader, \
                self.assertRaisesRegex(CatalogueError, "--only typo"):
            by_hand._job(Terminal(io.StringIO()), arguments)
        grader.assert_not_called()


class _Grader:
    """Stands in for a Grader: notes what it has to judge."""
    seconds = 7

    def __init__(self, killers: dict[str, str | None]) -> None:
        self._killers = killers
        self.texts: list[str] = []

    @contextlib.contextmanager
    def changed(self, file: str, text: str) -> Iterator[None]:
        self.texts.append(f"{file}: {text}")
        yield

    def judge(self, name: str, what: str) -> str | None:
        self.texts.append(f"{what}: {name}")
        return self._killers[name]

    def executed_by(self, file: str, line: int) -> list[str]:
        return [f"{file}:{line}"]


class GradeTest(unittest.TestCase):
    def _grade(self, killers: dict[str, str | None],
               verdicts: dict[str, str]) -> tuple[Result, list[str]]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "source.cc").write_text("\na < b", encoding="utf-8")
            result, grader = Result("x", "a-kind", "s", verdicts), _Grader(killers)
            by_hand.grade(cast(Grader, grader), _fault(), result, list(killers), Path(folder))
        return result, grader.texts

    def test_takes_over_what_is_known(self) -> None:
        result, said = self._grade({"tests": "", "replay": "A.B"}, {"tests": "survived"})
        self.assertEqual(said, ["source.cc: \na <= b", "a-kind/x: replay"])
        self.assertEqual(result.verdicts, {"tests": "survived", "replay": "killed"})
        self.assertEqual((result.killers, result.executed_by), ({"replay": "A.B"}, []))

    def test_last_resorts_judge_what_the_others_let_live(self) -> None:
        for killers, asked in (({"tests": "A.B", "threads": "", "fuzz": ""}, ["tests"]),
                               ({"tests": "", "threads": "C.D", "fuzz": ""}, ["tests", "threads"]),
                               ({"tests": "", "threads": "", "fuzz": "x: crash"},
                                ["tests", "threads", "fuzz"])):
            result, _ = self._grade(killers, {})
            self.assertEqual(list(result.verdicts), asked)
        result, _ = self._grade({"threads": "C.D"}, {"tests": "killed"})  # the only grader asked
        self.assertEqual(result.verdicts["threads"], "killed")

    def test_says_how_long_the_targets_had(self) -> None:
        for killers, seconds in (({"tests": ""}, 0), ({"tests": "", "fuzz": ""}, 7)):
            self.assertEqual(self._grade(killers, {})[0].fuzz_seconds, seconds)

    def test_says_who_executes_a_survivor(self) -> None:
        result, _ = self._grade({"tests": ""}, {})
        self.assertEqual(result.executed_by, ["source.cc:2"])

    def test_a_fault_has_to_compile(self) -> None:
        with self.assertRaisesRegex(CatalogueError, "a-kind/x: does not compile"):
            self._grade({"tests": None}, {})


class JournalTest(unittest.TestCase):
    def test_goes_on_where_the_sources_are_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "results.jsonl"
            result = Journal(path, "state", False, 1).result(_fault(), "state")
            result.verdicts["tests"] = "killed"
            Journal(path, "state", True, 1).add(result)
            for state, resume, wanted in (("state", True, True), ("other", True, False),
                                          ("state", False, False)):
                again = Journal(path, state, resume, 1).result(_fault(), state)
                self.assertEqual(again.killed, wanted)

    def test_a_verdict_of_the_targets_holds_with_the_same_time(self) -> None:
        for verdict, holds in (("survived", [True, True, False]),
                               ("killed", [False, True, True])):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "results.jsonl"
                Journal(path, "s", False, 10).add(Result(
                    "x", "a-kind", "s", {"tests": "survived", "fuzz": verdict},
                    {"tests": "", "fuzz": "y"}, ["C.D"], 10))
                again = [Journal(path, "s", True, seconds).result(_fault(), "s")
                         for seconds in (5, 10, 20)]
            self.assertEqual(["fuzz" in result.verdicts for result in again], holds)
            self.assertEqual(["fuzz" in result.killers for result in again], holds)
            self.assertTrue(all("tests" in result.verdicts for result in again))


class TextsTest(unittest.TestCase):
    def test_says_who_survived_and_who_executes_it(self) -> None:
        killed = Result("x", "a-kind", "s", {"tests": "killed"}, {"tests": "A.B"})
        left = Result("y", "a-kind", "s", {"tests": "survived"}, {"tests": ""}, ["C.D"])
        other = Fault("y", "a-kind", "source.cc", "1", "2", "one limit")
        text = by_hand.document([killed, left], [_fault(), other], ["tests"],
                                [("date", "today")]).markdown()
        self.assertIn("**2 mutants: 1 killed (50.0 %).**", text)
        self.assertIn("| a-kind | 2 | 1 | 1 | 50 |", text)
        self.assertIn("### a-kind/y", text)
        left.verdicts["fuzz"] = "survived"
        (row, _) = by_hand.table([killed, left], ["tests", "fuzz"]).rows
        self.assertEqual(row, ["a-kind", "2", "1", "0 of 1", "1", "50"])
        self.assertNotIn("### a-kind/x", text)
        self.assertIn("Executed by: C.D.", text)


if __name__ == "__main__":
    unittest.main()
