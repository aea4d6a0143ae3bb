# SPDX-License-Identifier: Apache-2.0
"""Grades tests and fuzz targets by mutants of the Lua functions that ffgrant ships.

Started by scripts/mutants --part functions. The tests run the functions in process, in a
simulated server, so no server is needed.
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
from jobs.mutants import lua, sampling, trees
from jobs.mutants.graders import GRADERS, Grader, GraderError, read_results
from jobs.mutants.sampling import Mutant

FOLDER = "core/ffgrant/valkey/functions"
_ROOT = build.BUILD / "mutants-functions"
_WAYS = ("tests", "replay", "fuzz")  # each gets what the ones before it leave alive


@dataclass
class Result:
    """What became of a mutant. killer is "" if it survived."""
    id: str
    file: str
    operator: str
    line: int
    state: str  # digest of the sources on which the mutant was graded
    way: str = ""  # the grader that killed it
    killer: str = ""
    diff: list[str] = field(default_factory=list)
    executed_by: list[str] = field(default_factory=list)


def mutants(root: Path = build.ROOT) -> dict[str, list[Mutant]]:
    """All mutants, by their file below core/ffgrant."""
    found = {}
    for path in sorted((root / FOLDER).glob("*.lua")):
        name = str(path.relative_to(root / "core" / "ffgrant"))
        found[name] = lua.mutants_of(name, path.read_text(encoding="utf-8"))
    return found


def judge(grader: Grader, mutant: Mutant, state: str, root: Path = build.ROOT) -> Result:
    """Grades one mutant."""
    file = f"core/ffgrant/{mutant.file}"
    original = (root / file).read_text(encoding="utf-8")
    result = Result(mutant.id, mutant.file, mutant.operator, mutant.line, state,
                    diff=sampling.diff(mutant, original))
    with grader.changed(file, mutant.text):
        for way in _WAYS:
            killer = grader.judge(way, mutant.id)
            if killer is None:  # an edit of a Lua source can't hinder the C++ compiler
                raise GraderError(f"{mutant.id}: it does not build for the grader {way}")
            if killer:
                result.way, result.killer = way, killer
                return result
    result.executed_by = grader.executed_by(file, mutant.line)
    return result


# ---- the results as a table and a document ----

def _table(title: str, by: str, results: Sequence[Result], equivalents: Mapping[str, str]) -> Table:
    rows = []
    for name in [*sorted({str(getattr(r, by)) for r in results}), "all"]:
        chosen = [r for r in results if name in (getattr(r, by), "all")]
        left = [r for r in chosen if not r.way]
        equal = sum(r.id in equivalents for r in left)
        killed = len(chosen) - len(left)
        rows.append([name, str(len(chosen)),
                     *(str(sum(r.way == way for r in chosen)) for way in _WAYS),
                     str(len(left) - equal), str(equal),
                     f"{100 * killed / (len(chosen) - equal):.1f}" if len(chosen) > equal else "-"])
    return Table(title, "killed by the tests, by the replay of what they leave, by fuzzing of what "
                 "both leave", [by, "mutants", *_WAYS, "survived", "equivalent", "% killed"],
                 rows=rows)


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


def document(results: Sequence[Result], equivalents: Mapping[str, str],
             facts: list[tuple[str, str]]) -> Document:
    killed = sum(bool(result.way) for result in results)
    equal = sum(not result.way and result.id in equivalents for result in results)
    return Document(
        "Mutants of the server functions", facts,
        f"{len(results)} mutants: {killed} killed ({100 * killed / (len(results) - equal):.1f} % "
        f"of those that are not equivalent), {len(results) - killed - equal} survived, {equal} "
        "equivalent.",
        [_table("By file", "file", results, equivalents),
         _table("By operator", "operator", results, equivalents),
         *_blocks(results, equivalents)],
        {"mutants": len(results), "killed": killed, "equivalent": equal})


def errors_of(results: Sequence[Result], equivalents: Mapping[str, str],
              ids: set[str]) -> list[str]:
    """What is wrong with the list of equivalent mutants."""
    wrong = [f"{name}: listed as equivalent, but there is no such mutant (any more)"
             for name in equivalents if name.startswith("valkey/functions/") and name not in ids]
    return wrong + [f"{result.id}: listed as equivalent, but {result.killer} killed it"
                    for result in results if result.way and result.id in equivalents]


# ---- the job ----

def _facts(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return [("date", now.strftime("%Y-%m-%d %H:%M UTC")),
            ("command", f"`./scripts/mutants --part=functions --count={arguments.count} "
             f"--seed={arguments.seed} --seconds={arguments.seconds}`"), *machine.basic(),
            ("method", f"mutants are drawn by lot (seed {arguments.seed}) from all edits that "
             "scripts/jobs/mutants/lua.py makes in the Lua sources; files get shares in proportion "
             "to their edits, and in a file the operators take turns. Each mutant is built into a "
             "copy of the sources, and each grader runs until it finds something wrong; a fuzz "
             f"target has {arguments.seconds} s of CPU"),
            *((name, GRADERS[name]) for name in _WAYS)]


def run(terminal: Terminal, arguments: argparse.Namespace, equivalents: Mapping[str, str]) -> int:
    by_file = mutants()
    everything = [mutant for found in by_file.values() for mutant in found]
    if arguments.list or arguments.diff:
        for mutant in everything:
            text = (build.ROOT / "core" / "ffgrant" / mutant.file).read_text(encoding="utf-8")
            changed = sampling.diff(mutant, text)
            if mutant.id == arguments.diff:
                terminal.line("\n".join(changed))
            elif arguments.list and (not arguments.file or mutant.file in arguments.file):
                added = [line[1:].strip() for line in changed if line.startswith("+")]
                terminal.line(f"{mutant.id}  {mutant.line}  {' '.join(added)}")
        return 0
    by_file = {file: [m for m in found if not arguments.only or m.id in arguments.only]
               for file, found in by_file.items()
               if not arguments.file or file in arguments.file}
    by_file = {file: found for file, found in by_file.items() if found}
    grader = Grader(terminal, arguments.seconds, arguments.jobs, _ROOT)
    state = grader.synchronize(trees.source_files(("CMakeLists.txt", "core", "fuzz", "corpus")))
    journal = _ROOT / "results.jsonl"
    known = read_results(journal, Result, state, arguments.resume)
    grader.control(_WAYS)
    sample = sampling.Sample(by_file, arguments.count, arguments.seed)
    results = []
    while (mutant := sample.draw()) is not None:
        result = known.get(mutant.id)
        if result is None:
            result = judge(grader, mutant, state)
            with journal.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(result)) + "\n")
        sample.put_back(mutant, True)
        results.append(result)
        line = (f"{sample.done()} of {sample.count}  {result.way or 'SURVIVED'}  {result.id} "
                f"(line {result.line})  {result.killer}")[:120]
        terminal.line(line if result.way else terminal.bad(line))
    results.sort(key=lambda result: result.id)
    for by in ("file", "operator"):
        for line in report.as_text(_table(f"By {by}", by, results, equivalents), terminal):
            terminal.line(line)
    errors = errors_of(results, equivalents, {mutant.id for mutant in everything})
    for error in errors:
        terminal.line(terminal.bad(error))
    if not arguments.file and not arguments.only:
        path = build.results_directory() / "mutants-functions.md"
        document(results, equivalents, _facts(arguments)).write(path)
        terminal.line(f"written: {build.shown(path)}")
    left = [r for r in results if not r.way and r.id not in equivalents]
    return 1 if left or errors else 0
