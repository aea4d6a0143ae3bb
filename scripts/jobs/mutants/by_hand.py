# SPDX-License-Identifier: Apache-2.0
"""Grades tests, corpora and fuzz targets by faults of the kinds that people really make.

Started by scripts/mutants --by-hand. fuzz/mutants/KIND.toml lists the faults of a kind. Each fault
is an edit of one source that a person has thought of. The edit makes one thing wrong, such as one
lock, one limit, one path or one length. The operators (operators.py) make faults that are easier to
find.
"""

import argparse
import datetime
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import build, machine, processes, report
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import Terminal
from jobs.mutants import trees
from jobs.mutants.graders import GRADERS, Grader, GraderError, fuzz_verdict_holds, read_results

CATALOGUE = build.ROOT / "fuzz" / "mutants"
LEAST = 8  # the least number of mutants of a kind
# These graders judge only the faults that the graders before them let live. To judge all faults
# would take twice the time.
_LAST_RESORTS = ("sanitized", "threads", "fuzz")
_ROOT = build.BUILD / "mutants-by-hand"


class CatalogueError(Exception):
    """The catalogue says something that cannot be done."""


@dataclass(frozen=True)
class Fault:
    """One mutant: an edit of one source."""
    id: str
    kind: str
    file: str  # below the root
    before: str
    after: str
    why: str

    def apply(self, text: str) -> str:
        """The source with the fault. `before` must occur in it exactly once."""
        found = text.count(self.before)
        if found != 1:
            raise CatalogueError(
                f"{self.kind}/{self.id}: its text is in {self.file} {found} times, not once")
        return text.replace(self.before, self.after)

    def line(self, text: str) -> int:
        """The line at which the fault begins in the source."""
        return text[:text.index(self.before)].count("\n") + 1


def read_catalogue(folder: Path = CATALOGUE) -> list[Fault]:
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise CatalogueError(f"{path.name}: {error}") from error
        for entry in entries:
            if set(entry) != {"id", "file", "before", "after", "why"}:
                raise CatalogueError(f"{path.name}: {entry.get('id', entry)}: needs id, file, "
                                     "before, after and why, and nothing else")
            faults.append(Fault(kind=path.stem, **entry))
    names = [fault.id for fault in faults]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CatalogueError(f"{twice[0]}: there are two of that id")
    return faults


def stale(faults: Sequence[Fault], root: Path = build.ROOT) -> list[str]:
    """The faults that can't be applied any more or that change nothing, as texts."""
    errors = []
    for fault in faults:
        try:
            changed = fault.apply((root / fault.file).read_text(encoding="utf-8"))
        except (CatalogueError, OSError) as error:
            errors.append(str(error))
            continue
        if not changed or fault.before == fault.after:
            errors.append(f"{fault.kind}/{fault.id}: changes nothing")
    return errors


def choose(faults: Sequence[Fault], kinds: Sequence[str], ids: Sequence[str]) -> list[Fault]:
    """The faults that --kind and --only name; all if they name none. An id is ID, or KIND/ID as it
    is printed."""
    unknown = set(kinds) - {fault.kind for fault in faults}
    if unknown:
        raise CatalogueError(f"--kind {', '.join(sorted(unknown))}: no such file in fuzz/mutants")
    chosen = [fault for fault in faults if not kinds or fault.kind in kinds]
    unknown = set(ids) - {name for fault in chosen
                          for name in (fault.id, f"{fault.kind}/{fault.id}")}
    if unknown:
        raise CatalogueError(f"--only {', '.join(sorted(unknown))}: no such mutant"
                             f"{' of that kind' if kinds else ''} (see --list)")
    return [fault for fault in chosen
            if not ids or fault.id in ids or f"{fault.kind}/{fault.id}" in ids]


@dataclass
class Result:
    """What each grader said about a fault: "killed" and by what, or "survived"."""
    id: str
    kind: str
    state: str  # digest of the sources on which the fault was graded
    verdicts: dict[str, str] = field(default_factory=dict)
    killers: dict[str, str] = field(default_factory=dict)
    executed_by: list[str] = field(default_factory=list)
    fuzz_seconds: float = 0  # the seconds that each fuzz target had; 0 if none was asked

    @property
    def killed(self) -> bool:
        return "killed" in self.verdicts.values()


class Journal:
    """Keeps the results, one on each line, so that an interrupted run can go on. What fuzz targets
    said is forgotten if they had too little time, or too much, for it to hold with `seconds`."""

    def __init__(self, path: Path, state: str, resume: bool, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._found = read_results(path, Result, state, resume)

    def result(self, fault: Fault, state: str) -> Result:
        result = self._found.setdefault(fault.id, Result(fault.id, fault.kind, state))
        if "fuzz" in result.verdicts and not fuzz_verdict_holds(
                result.verdicts["fuzz"] == "killed", result.fuzz_seconds, self._seconds):
            del result.verdicts["fuzz"]
            result.killers.pop("fuzz", None)
        return result

    def add(self, result: Result) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(result.__dict__) + "\n")


def grade(grader: Grader, fault: Fault, result: Result, graders: Sequence[str],
          root: Path = build.ROOT) -> None:
    """Lets each of the graders judge the fault, unless the result has that grader's verdict
    already, or the grader is a last resort and another one has killed the fault."""
    text = (root / fault.file).read_text(encoding="utf-8")
    with grader.changed(fault.file, fault.apply(text)):
        for name in graders:
            if name in result.verdicts:
                continue
            if name in _LAST_RESORTS and any(result.verdicts.get(g) == "killed" for g in graders):
                continue
            killer = grader.judge(name, f"{fault.kind}/{fault.id}")
            if killer is None:
                raise CatalogueError(f"{fault.kind}/{fault.id}: does not compile")
            result.verdicts[name] = "killed" if killer else "survived"
            result.killers[name] = killer
            if name == "fuzz":
                result.fuzz_seconds = grader.seconds
    if not result.killed and not result.executed_by:
        result.executed_by = grader.executed_by(fault.file, fault.line(text))


# ---- the results as a table and a document ----

def _count(results: Sequence[Result], grader: str) -> str:
    """Says how many faults a grader killed, and of how many, if the grader did not judge all."""
    verdicts = [r.verdicts[grader] for r in results if grader in r.verdicts]
    killed = verdicts.count("killed")
    return f"{killed}" if len(verdicts) == len(results) else f"{killed} of {len(verdicts)}"


def table(results: Sequence[Result], graders: Sequence[str]) -> Table:
    rows = []
    kinds = sorted({result.kind for result in results})
    for kind in [*kinds, "all"]:
        chosen = [r for r in results if kind in (r.kind, "all")]
        killed = sum(r.killed for r in chosen)
        rows.append([kind, str(len(chosen)),
                     *(_count(chosen, name) for name in graders),
                     str(killed), f"{100 * killed / len(chosen):.0f}"])
    return Table("By kind", "killed by each grader, then by any of them; \"1 of 2\": the grader "
                 "killed one of the two that those before it had let live",
                 ["kind", "mutants", *graders, "any", "%"], rows=rows)


def document(results: Sequence[Result], faults: Sequence[Fault], graders: Sequence[str],
             facts: Sequence[tuple[str, str]]) -> Document:
    by_id = {fault.id: fault for fault in faults}
    killed = sum(result.killed for result in results)
    lines = ["## Survivors", ""]
    left = [result for result in results if not result.killed]
    for result in left:
        fault = by_id[result.id]
        lines += [f"### {fault.kind}/{fault.id}", "", f"{fault.file}: {fault.why}", "",
                  "Executed by: " + (", ".join(result.executed_by) or "not found out") + ".", "",
                  "```diff", *(f"-{line}" for line in fault.before.splitlines()),
                  *(f"+{line}" for line in fault.after.splitlines()), "```", ""]
    if not left:
        lines += ["None.", ""]
    return Document(
        "Mutants made by hand", [*facts, *((name, GRADERS[name]) for name in graders)],
        f"{len(results)} mutants: {killed} killed ({100 * killed / len(results):.1f} %).",
        [table(results, graders), "\n".join(lines)],
        {"mutants": len(results), "killed": killed})


# ---- the job ----

def _facts(seconds: int) -> list[tuple[str, str]]:
    now = datetime.datetime.now(datetime.timezone.utc)
    return [("date", now.strftime("%Y-%m-%d %H:%M UTC")),
            ("command", f"`./scripts/mutants --by-hand --seconds={seconds}`"), *machine.basic(),
            ("method", "each fault of fuzz/mutants is built into a copy of the sources, and each "
             "grader then runs until it finds something wrong; "
             f"{', '.join(_LAST_RESORTS)} judge only what those before them let live; a fuzz "
             f"target has {seconds} s of CPU")]


def _job(terminal: Terminal, arguments: argparse.Namespace) -> int:
    faults = read_catalogue()
    errors = stale(faults)
    for error in errors:
        terminal.line(terminal.bad(error))
    if errors:
        return 1
    chosen = choose(faults, arguments.kind, arguments.only)
    if arguments.list:
        for fault in chosen:
            terminal.line(f"{fault.kind}/{fault.id}  {fault.file}: {fault.why}")
        return 0
    graders = arguments.grader or list(GRADERS)
    grader = Grader(terminal, arguments.seconds, arguments.jobs, _ROOT)
    state = grader.synchronize(trees.source_files(("CMakeLists.txt", "core", "fuzz", "corpus")))
    journal = Journal(_ROOT / "results.jsonl", state, arguments.resume, arguments.seconds)
    grader.control(graders)
    results = []
    # Faults of one file follow one another, so that ninja rebuilds what reads the file only once
    # for each fault.
    for fault in sorted(chosen, key=lambda fault: fault.file):
        result = journal.result(fault, state)
        grade(grader, fault, result, graders)
        journal.add(result)
        results.append(result)
        verdicts = "  ".join(f"{name}: {result.verdicts[name]} {result.killers[name]}"[:60]
                             for name in graders if name in result.verdicts)
        line = f"{fault.kind}/{fault.id}  {verdicts}"
        terminal.line(line if result.killed else terminal.bad(line))
    results.sort(key=lambda result: (result.kind, result.id))
    for line in report.as_text(table(results, graders), terminal):
        terminal.line(line)
    if len(chosen) == len(faults) and set(graders) == set(GRADERS):
        path = build.results_directory() / "mutants-by-hand.md"
        document(results, faults, graders, _facts(arguments.seconds)).write(path)
        terminal.line(f"written: {build.shown(path)}")
    return 0 if all(result.killed for result in results) else 1


def main(arguments: argparse.Namespace) -> int:
    terminal = Terminal()
    processes.raise_on_signals()
    try:
        with build.locked(terminal, "mutants"):
            return _job(terminal, arguments)
    except processes.Interrupted as interrupted:
        terminal.line(f"mutants: stopped by {interrupted}; --resume goes on")
        return interrupted.exit_status
    except (CatalogueError, GraderError) as error:
        terminal.line(f"mutants: {error}")
        return 1
