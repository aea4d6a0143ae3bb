# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import tempfile
import unittest
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import cast
from unittest import mock

from jobs.mutants import by_tests, parts
from jobs.mutants.by_tests import Result
from jobs.mutants.graders import Grader

_FILE = "valkey/functions/a.lua"
_EQUIVALENTS = {"valkey/functions/a.lua:logic:1.1": "Both sides of the condition are the same."}


class _Grader:
    """Stands in for a Grader: one way kills, or does not build."""
    seconds = 7

    def __init__(self, way: str, killer: str | None = "A.B", same: bool = False) -> None:
        self._way = way
        self._killer = killer
        self._same = same
        self.asked: list[str] = []

    def synchronize(self, _: list[str]) -> str:
        return "s"

    def control(self, ways: list[str]) -> None:
        self.asked.append("control")

    @contextlib.contextmanager
    def changed(self, file: str, text: str) -> Iterator[None]:
        self.asked.append(file)
        yield

    def judge(self, name: str, _: str) -> str | None:
        self.asked.append(name)
        return self._killer if name == self._way else ""

    def same_tests(self) -> bool:
        return self._same

    def executed_by(self, _: str, line: int) -> list[str]:
        return [f"C.D at {line}"]


class JudgeTest(unittest.TestCase):
    def _judge(self, way: str, killer: str | None = "A.B",
               same: bool = False) -> tuple[Result, list[str]]:
        text = "local function f(x)\n  return x == 'a'\nend\n"
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "core" / "ffgrant" / _FILE
            path.parent.mkdir(parents=True)
            path.write_text(text, encoding="utf-8")
            [mutant] = parts.mutants_of(_FILE, text)
            grader = _Grader(way, killer, same)
            result = by_tests.judge(cast(Grader, grader), mutant, "s", by_tests.WAYS["functions"],
                                    Path(name))
            return result, grader.asked

    def test_the_first_killer_ends_it(self) -> None:
        result, asked = self._judge("replay")
        self.assertEqual((result.way, result.killer), ("replay", "A.B"))
        self.assertEqual(asked, ["core/ffgrant/valkey/functions/a.lua", "tests", "replay"])
        self.assertIn("+  return x ~= 'a'", result.diff)
        self.assertEqual(result.executed_by, [])

    def test_a_build_that_fails_is_no_survivor(self) -> None:
        for way in by_tests.WAYS["functions"]:
            result, _ = self._judge(way, None)
            self.assertEqual((result.way, result.unusable), ("", "does-not-compile"), way)

    def test_a_mutant_of_the_same_programs_is_no_survivor(self) -> None:
        result, asked = self._judge("", same=True)
        self.assertEqual((result.way, result.unusable), ("", "identical"))
        self.assertEqual(asked[1:], ["tests"])

    def test_a_survivor_names_the_tests_that_execute_it(self) -> None:
        result, asked = self._judge("")
        self.assertEqual((result.way, result.killer), ("", ""))
        self.assertEqual(asked[1:], ["tests", "replay", "fuzz"])
        self.assertEqual(result.executed_by, ["C.D at 2"])

    def test_says_how_long_the_targets_had(self) -> None:
        for way, seconds in (("tests", 0), ("fuzz", 7), ("", 7)):
            self.assertEqual(self._judge(way)[0].fuzz_seconds, seconds)


class ResumeTest(unittest.TestCase):
    def test_what_the_targets_said_holds_with_the_same_time(self) -> None:
        [mutant] = parts.mutants_of(_FILE, "local function f(x)\n  return x == 'a'\nend\n")
        for way, holds in (("", [True, True, False]), ("fuzz", [False, True, True]),
                           ("tests", [True, True, True])):
            known = Result(mutant.id, _FILE, mutant.operator, mutant.line, "s", way,
                           fuzz_seconds=0 if way == "tests" else 10)
            found = []
            for seconds in (5, 10, 20):
                with tempfile.TemporaryDirectory() as folder:
                    journal = Path(folder) / "results.jsonl"
                    journal.write_text(json.dumps(asdict(known)) + "\n", encoding="utf-8")
                    grader = _Grader("replay", "E.F")
                    grader.seconds = seconds
                    judge_of = by_tests.Judge(cast(Grader, grader), by_tests.WAYS["functions"],
                                              journal, True)
                    with mock.patch.object(by_tests, "judge") as judge:
                        judge.return_value = known
                        judge_of.result(mutant)
                    found.append(not judge.called)
            self.assertEqual(found, holds, way)


class DocumentTest(unittest.TestCase):
    def _result(self, number: int, way: str = "") -> Result:
        return Result(f"valkey/functions/a.lua:logic:1.{number}", "valkey/functions/a.lua", "logic",
                      7, "s", way, "A.B" if way else "", ["-a", "+b"])

    def test_says_what_is_left(self) -> None:
        results = [self._result(1), self._result(2), self._result(3, "tests"),
                   self._result(4, "fuzz")]
        text = by_tests.document("functions", results, _EQUIVALENTS,
                                 [("date", "today")]).markdown()
        self.assertIn("**4 mutants: 2 killed (66.7 % of those that are not equivalent), "
                      "1 survived, 1 equivalent.**", text)
        self.assertIn("| logic | 4 | 1 | 0 | 1 | 1 | 1 | 66.7 |", text)
        survivors, _, equivalent = text.partition("## Equivalent")
        self.assertIn("### valkey/functions/a.lua:logic:1.2\n\nLine 7, executed by: no test.",
                      survivors)
        self.assertIn("Both sides of the condition are the same.", equivalent)

    def test_nothing_is_left(self) -> None:
        text = by_tests.document("functions", [self._result(1, "tests")], {}, []).markdown()
        self.assertEqual(text.count("None."), 2)

    def test_a_wrong_list_is_an_error(self) -> None:
        ids = {"valkey/functions/a.lua:logic:1.1"}
        check = by_tests.errors_of
        self.assertEqual(check([self._result(1)], _EQUIVALENTS, ids), [])
        self.assertEqual(len(check([self._result(1, "tests")], _EQUIVALENTS, ids)), 1)
        self.assertEqual(len(check([], _EQUIVALENTS, set())), 1)
        others = {"uuid.cc:logic:1.1": "It is of another part."}
        self.assertEqual(check([], others, set(others)), [])


if __name__ == "__main__":
    unittest.main()
