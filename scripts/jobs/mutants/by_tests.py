# SPDX-License-Identifier: Apache-2.0
"""Grades tests, corpora and fuzz targets by mutants of the code that talks to a server or runs in
one.

Started by scripts/mutants --part client and --part functions. Scripted servers and networks play
most of what can happen between a client and its server, so tests look for these mutants first. The
tests run the Lua functions in process, in a simulated server. job.py uses the class Judge too, for
the mutants of core that the targets let live.
"""

import argparse
import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobs.common import build, machine, report
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import Terminal
from jobs.mutants import parts, sampling, trees
from jobs.mutants.graders import GRADERS, Grader, fuzz_verdict_holds, read_results
from jobs.mutants.sampling import Mutant

# The graders of each part. A grader gets the mutants that the graders before it let live.
WAYS = {"client": ("tests", "replay", "threads", "fuzz"), "functions": ("tests", "replay", "fuzz")}
_TITLES = {"client": "Mutants of the client", "functions": "Mutants of the server functions"}
UNUSABLE = {"does-not-compile": "did not compile", "identical": "compiled to the same programs"}


@dataclass
class Result:
    """What became of a mutant. way and killer are "" if no grader killed it."""
    id: str
    file: str
    operator: str
    line: int
    state: str  # digest of the sources on which the mutant was graded
    way: str = ""  # the grader that killed it
    killer: str = ""
    diff: list[str] = field(default_factory=list)
    executed_by: list[str] = field(default_factory=list)
    unusable: str = ""  # why the mutant cannot be graded: a key of UNUSABLE
    fuzz_seconds: float = 0  # the seconds that each fuzz target had; 0 if none was asked

    def holds_with(self, seconds: float) -> bool:
        """Whether the result would be the same if each fuzz target had that many seconds, where
        fuzz targets are among the graders."""
        if self.unusable or self.way not in ("fuzz", ""):
            return True
        return fuzz_verdict_holds(self.way == "fuzz", self.fuzz_seconds, seconds)


def judge(grader: Grader, mutant: Mutant, state: str, ways: Sequence[str],
          root: Path = build.ROOT) -> Result:
    """Grades one mutant."""
    file = f"core/ffgrant/{mutant.file}"
    original = (root / file).read_text(encoding="utf-8")
    result = Result(mutant.id, mutant.file, mutant.operator, mutant.line, state,
                    diff=sampling.diff(mutant, original))
    with grader.changed(file, mutant.text):
        for way in ways:
            killer = grader.judge(way, mutant.id)
            if way == "fuzz":
                result.fuzz_seconds = grader.seconds
            if killer is None:
                result.unusable = "does-not-compile"
            elif killer:
                result.way, result.killer = way, killer
            elif grader.same_tests():
                result.unusable = "identical"
            if killer or result.unusable:
                return result
    result.executed_by = grader.executed_by(file, mutant.line)
    return result


class Judge:
    """Grades mutants by some graders, and writes each result down, so that an interrupted run can
    go on."""

    def __init__(self, grader: Grader, ways: Sequence[str], journal: Path, resume: bool) -> None:
        self._grader = grader
        self._ways = ways
        self._journal = journal
        self._state = grader.synchronize(
            trees.source_files(("CMakeLists.txt", "core", "fuzz", "corpus")))
        self._known = read_results(journal, Result, self._state, resume)
        self._is_controlled = False

    def result(self, mutant: Mutant) -> Result:
        """The result of a mutant, which an earlier run may have found. The graders run on the
        original before they judge the first mutant."""
        known = self._known.get(mutant.id)
        if known is not None and ("fuzz" not in self._ways
                                  or known.holds_with(self._grader.seconds)):
            return known
        if not self._is_controlled:
            self._grader.control(self._ways)
            self._is_controlled = True
        result = judge(self._grader, mutant, self._state, self._ways)
        with self._journal.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(result)) + "\n")
        return result


# ---- the results as a table and a document ----

def _table(by: str, results: Sequence[Result], equivalents: Mapping[str, str],
           ways: Sequence[str]) -> Table:
    rows = []
    for name in [*sorted({str(getattr(r, by)) for r in results}), "all"]:
        chosen = [r for r in results if name in (getattr(r, by), "all")]
        left = [r for r in chosen if not r.way]
        equal = sum(r.id in equivalents for r in left)
        killed = len(chosen) - len(left)
        rows.append([name, str(len(chosen)),
                     *(str(sum(r.way == way for r in chosen)) for way in ways),
                     str(len(left) - equal), str(equal),
                     f"{100 * killed / (len(chosen) - equal):.1f}" if len(chosen) > equal else "-"])
    return Table(f"By {by}", "killed by each grader, of what those before it leave alive",
                 [by, "mutants", *ways, "survived", "equivalent", "% killed"], rows=rows)


def _blocks(results: Sequence[Result], equivalents: Mapping[str, str]) -> Iterator[str]:
    left = [result for result in results if not result.way]
    for title, listed in (("Survivors", False), ("Equivalent", True)):
        lines = [f"## {title}", ""]
        for result in left:
            if (result.id in equivalents) is listed:
                said = equivalents[result.id] if listed else (
                    f"Line {result.line}, executed by: "
                    f"{', '.join(result.executed_by) or 'no test'}.")
                lines += [f"### {result.id}", "", said, "", "```diff", *result.diff, "```", ""]
        yield "\n".join([*lines, "None.", ""] if len(lines) == 2 else lines)


def document(part: str, results: Sequence[Result], equivalents: Mapping[str, str],
             facts: list[tuple[str, str]]) -> Document:
    killed = sum(bool(result.way) for result in results)
    equal = sum(not result.way and result.id in equivalents for result in results)
    return Document(
        _TITLES[part], facts,
        f"{len(results)} mutants: {killed} killed ({100 * killed / (len(results) - equal):.1f} % "
        f"of those that are not equivalent), {len(results) - killed - equal} survived, {equal} "
        "equivalent.",
        [_table("file", results, equivalents, WAYS[part]),
         _table("operator", results, equivalents, WAYS[part]),
         *_blocks(results, equivalents)],
        {"mutants": len(results), "killed": killed, "equivalent": equal})


def _unusable(results: Sequence[Result]) -> str:
    return ", ".join(f"{sum(r.unusable == why for r in results)} {text}"
                     for why, text in UNUSABLE.items())


def errors_of(results: Sequence[Result], equivalents: Mapping[str, str],
              known_ids: set[str]) -> list[str]:
    """What is wrong with the list of equivalent mutants."""
    wrong = [f"{name}: listed as equivalent, but there is no such mutant (any more)"
             for name in equivalents if name not in known_ids]
    return wrong + [f"{result.id}: listed as equivalent, but {result.killer} killed it"
                    for result in results if result.way and result.id in equivalents]


# ---- the job ----

def _facts(arguments: argparse.Namespace, unusable: str) -> list[tuple[str, str]]:
    part = arguments.part
    now = datetime.datetime.now(datetime.timezone.utc)
    operators = "lua.py" if part == "functions" else "operators.py"
    return [("date", now.strftime("%Y-%m-%d %H:%M UTC")),
            ("command", f"`./scripts/mutants --part={part} --count={arguments.count} "
             f"--seed={arguments.seed} --seconds={arguments.seconds}`"), *machine.basic(),
            ("sources", parts.NAMES[part]),
            ("method", f"mutants are drawn by lot (seed {arguments.seed}) from all edits that "
             f"scripts/jobs/mutants/{operators} makes in those sources; files get shares in "
             "proportion to their edits, at least one each, and in a file the operators take "
             "turns. Each mutant is built into a copy of the sources, and each grader runs until "
             "it finds something wrong; a fuzz target has "
             f"{arguments.seconds} s of CPU. A mutant that does not compile, or compiles (-O1) to "
             "the same programs, gives way to the next of its file and operator"),
            *((name, GRADERS[name]) for name in WAYS[part]), ("replaced by others", unusable)]


def run(terminal: Terminal, arguments: argparse.Namespace, sample: sampling.Sample,
        equivalents: Mapping[str, str], known_ids: set[str]) -> int:
    part, ways = arguments.part, WAYS[arguments.part]
    work = build.BUILD / f"mutants-{part}"
    judge_of = Judge(Grader(terminal, arguments.seconds, arguments.jobs, work), ways,
                     work / "results.jsonl", arguments.resume)
    judged = []
    while (mutant := sample.draw()) is not None:
        result = judge_of.result(mutant)
        sample.put_back(mutant, not result.unusable)
        judged.append(result)
        if not result.unusable:
            alive = "equivalent" if result.id in equivalents else "SURVIVED"
            line = (f"{sample.done()} of {sample.count}  {result.way or alive}  {result.id} "
                    f"(line {result.line})  {result.killer}")[:120]
            terminal.line(terminal.bad(line) if alive == "SURVIVED" and not result.way else line)
    results = sorted((r for r in judged if not r.unusable), key=lambda result: result.id)
    for by in ("file", "operator"):
        for line in report.as_text(_table(by, results, equivalents, ways), terminal):
            terminal.line(line)
    terminal.line(f"replaced by others: {_unusable(judged)}")
    errors = errors_of(results, equivalents, known_ids)
    for error in errors:
        terminal.line(terminal.bad(error))
    if not arguments.file and not arguments.only:
        path = build.results_directory() / f"mutants-{part}.md"
        document(part, results, equivalents, _facts(arguments, _unusable(judged))).write(path)
        terminal.line(f"written: {build.shown(path)}")
    left = [r for r in results if not r.way and r.id not in equivalents]
    return 1 if left or errors else 0
