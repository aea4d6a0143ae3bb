# SPDX-License-Identifier: Apache-2.0
"""Grades tests, corpora and fuzz targets by faults of the kinds that people really make.

Started by scripts/mutants --by-hand. fuzz/mutants/KIND.toml lists the faults of a kind. Each is an
edit of one source that a person has thought of. It makes one lock or one limit wrong, or one path
only, or one length only. The operators (operators.py) make faults that are easier to find.
"""

import argparse
import concurrent.futures
import datetime
import hashlib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.common import build, machine, processes, report
from jobs.common.documents import Document
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.tables import Table
from jobs.common.terminal import Terminal
from jobs.mutants import runner, trees

CATALOGUE = build.ROOT / "fuzz" / "mutants"
LEAST = 8  # the least number of mutants of a kind
GRADERS = {
    "tests": "all tests of ctest but replays and those that take minutes",
    "replay": "the replay of the seed corpora",
    "threads": "the thread tests under ThreadSanitizer",
    "fuzz": "the fuzz targets from an empty corpus, one seed",
}
_ROOT = build.BUILD / "mutants-by-hand"
_TEST_SECONDS = 300  # the most that one test may take


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
    """The faults that can't be applied any more, as texts."""
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


@dataclass
class Result:
    """What each grader said about a fault: "killed" and by what, or "survived"."""
    id: str
    kind: str
    state: str  # digest of the sources on which the fault was graded
    verdicts: dict[str, str] = field(default_factory=dict)
    killers: dict[str, str] = field(default_factory=dict)
    executed_by: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        return "killed" in self.verdicts.values()


class Journal:
    """Keeps the results, one on each line, so that an interrupted run can go on."""

    def __init__(self, path: Path, state: str, resume: bool) -> None:
        self._path = path
        self._found: dict[str, Result] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if resume and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    result = Result(**json.loads(line))
                except (ValueError, TypeError):
                    continue  # the line was cut off
                if result.state == state:
                    self._found[result.id] = result
        else:
            path.unlink(missing_ok=True)

    def result(self, fault: Fault, state: str) -> Result:
        return self._found.setdefault(fault.id, Result(fault.id, fault.kind, state))

    def add(self, result: Result) -> None:
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(result.__dict__) + "\n")


# Matches what ctest prints: "The following tests FAILED:\n\t 12 - Name (Failed)".
_FAILED = re.compile(r"^\s*\d+ - (\S+) \((?:Failed|Timeout|SEGFAULT|Subprocess aborted|ILLEGAL|"
                     r"BUS|SIGTRAP|Not Run|Child aborted|\w+)\)", re.MULTILINE)


def failed_tests(output: str) -> list[str]:
    return _FAILED.findall(output)


def program_digests(directory: Path) -> dict[str, str]:
    """The programs of a build, below its directory, each with a digest of its bytes."""
    found = {}
    for path in directory.rglob("*"):
        if "CMakeFiles" in path.parts or not path.is_file() or not path.stat().st_mode & 0o100:
            continue
        content = path.read_bytes()
        if content.startswith(b"\x7fELF"):
            found[str(path)] = hashlib.sha256(content).hexdigest()
    return found


class Grader:
    """A copy of the sources, with the builds that the graders need.

    A fault changes few programs. A program that equals the original's does what the original's
    does, so the graders run the changed ones only.
    """

    def __init__(self, terminal: Terminal, seconds: int, jobs: int = 1, root: Path = build.ROOT,
                 work: Path = _ROOT) -> None:
        self._terminal = terminal
        self._seconds = seconds
        self._jobs = jobs
        self._root = root
        self._work = work
        self._children = runner.Children()
        self._source = work / "src"
        self._wrapper = sanitizer_wrapper()
        self._configured: set[str] = set()
        self._changed: str | None = None
        self._originals: dict[str, dict[str, str]] = {}  # build -> its programs
        self._kills: Counter[str] = Counter()  # fuzz target -> faults that it has found

    # ---- sources ----

    def synchronize(self, names: Sequence[str]) -> str:
        """Makes the copy equal to the sources; returns a digest of them."""
        state = {}
        for name in names:
            target, content = self._source / name, (self._root / name).read_bytes()
            state[name] = hashlib.sha256(content).hexdigest()
            if not target.exists() or target.read_bytes() != content:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        for path in self._source.rglob("*"):
            if path.is_file() and str(path.relative_to(self._source)) not in state:
                path.unlink()
        return trees.joint(state)

    def write(self, fault: Fault) -> None:
        text = (self._root / fault.file).read_text(encoding="utf-8")
        (self._source / fault.file).write_text(fault.apply(text), encoding="utf-8")
        self._changed = fault.file

    def probe(self, fault: Fault) -> bool:
        """Puts a trap at the start of the function around the fault. Returns False if there is no
        such function."""
        text = (self._root / fault.file).read_text(encoding="utf-8")
        line = text[:text.index(fault.before)].count("\n") + 1
        trapped = trees.probe(text, line, "__builtin_trap();")
        if not fault.file.endswith((".cc", ".h")) or trapped is None:
            return False
        (self._source / fault.file).write_text(trapped, encoding="utf-8")
        self._changed = fault.file
        return True

    def restore(self) -> None:
        if self._changed is not None:
            (self._source / self._changed).write_bytes((self._root / self._changed).read_bytes())
            self._changed = None

    # ---- builds ----

    def _run(self, command: Sequence[str]) -> tuple[int | None, str]:
        log = self._work / "log"
        status, _, _ = self._children.run([*self._wrapper, *command], cwd=self._work, output=log,
                                          env=build.environment())
        return status, log.read_text(encoding="utf-8", errors="replace")

    def _build(self, name: str, options: Sequence[str], target: str) -> bool:
        directory = self._work / name
        if name not in self._configured:
            status, output = self._run(["cmake", "-S", str(self._source), "-B", str(directory),
                                        "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={build.clang()}",
                                        "-DCMAKE_BUILD_TYPE=None", "-DFFGRANT_INSTALL=OFF",
                                        "-DFFGRANT_BUILD_BENCHMARKS=OFF",
                                        "-DFFGRANT_REFERENCE=OFF", *options])
            if status != 0:
                raise CatalogueError(f"cmake failed:\n{output[-2000:]}")
            self._configured.add(name)
        status, _ = self._run(["ninja", "-C", str(directory), "-j", str(self._jobs), target])
        return status == 0

    def _equal_to_original(self, name: str) -> set[str]:
        """The programs of a build that the fault has not changed."""
        original = self._originals.get(name, {})
        return {path for path, digest in program_digests(self._work / name).items()
                if original.get(path) == digest}

    def _list_tests(self, name: str, filters: Sequence[str]) -> dict[str, str]:
        """The tests that ctest's filters choose: the name of each and the words of its command."""
        status, listed = self._run(["ctest", "--test-dir", str(self._work / name),
                                    "--show-only=json-v1", *filters])
        if status != 0:
            raise CatalogueError(f"ctest could not list its tests:\n{listed[-2000:]}")
        return {test["name"]: json.dumps(test) for test in json.loads(listed)["tests"]}

    def _chosen(self, name: str, filters: Sequence[str]) -> list[str]:
        """The numbers of the tests that ctest's filters choose, except tests whose programs all
        equal the original's."""
        numbers = {test: str(number)
                   for number, test in enumerate(self._list_tests(name, ()), 1)}
        tests = self._list_tests(name, filters)
        if not tests:
            raise CatalogueError(f"ctest could not run: no test fits {' '.join(filters)}")
        equal = self._equal_to_original(name)
        chosen = []
        for test, command in tests.items():
            programs = {path for path in self._originals.get(name, ()) if f'"{path}"' in command}
            if not programs or programs - equal:
                chosen.append(numbers[test])
        return chosen

    def _ctest(self, name: str, filters: Sequence[str], to_the_end: bool = False) -> list[str]:
        """The tests that fail: only the first of them, unless all tests are run."""
        chosen = self._chosen(name, ["-LE", "long", *filters])
        if not chosen:
            return []
        # The filters change ctest's numbers, so ctest gets the numbers alone, in a file.
        path = self._work / "numbers"
        path.write_text(f"0,0,0,{','.join(chosen)}\n", encoding="utf-8")
        status, output = self._run(["ctest", "--test-dir", str(self._work / name),
                                    "-I", str(path), "-j", str(self._jobs),
                                    *([] if to_the_end else ["--stop-on-failure"]),
                                    "--no-tests=error", "--timeout", str(_TEST_SECONDS)])
        failed = failed_tests(output)
        if status != 0 and not failed:  # else the fault would count as survived
            raise CatalogueError(f"ctest could not run:\n{output[-2000:]}")
        return failed

    # ---- graders: the killer's name, "" if the fault survived, None if it does not compile ----

    def tests(self) -> str | None:
        if not self._build("tests", ["-DCMAKE_CXX_FLAGS=-O1", "-DFFGRANT_BUILD_TESTS=ON"], "all"):
            return None
        return next(iter(self._ctest("tests", ["-E", "_replay$|_callbacks$"])), "")

    def replay(self) -> str | None:
        if not self._build("tests", ["-DCMAKE_CXX_FLAGS=-O1", "-DFFGRANT_BUILD_TESTS=ON"],
                           "ffgrant_tests_fuzz"):
            return None
        return next(iter(self._ctest("tests", ["-R", "_replay$"])), "")

    def threads(self) -> str | None:
        if not self._build("tsan", ["-DCMAKE_CXX_FLAGS=-O1 -fsanitize=thread",
                                    "-DFFGRANT_BUILD_TESTS=ON"], "ffgrant_tests_threads"):
            return None
        return next(iter(self._ctest("tsan", ["-L", "threads"])), "")

    def fuzz(self) -> str | None:
        if not self._build("fuzz", [f"-DCMAKE_CXX_FLAGS={trees.FUZZ.flags}",
                                    "-DFFGRANT_BUILD_TESTS=OFF", "-DFFGRANT_BUILD_FUZZERS=ON",
                                    f"-DFFGRANT_FUZZ_ENGINE={trees.FUZZ.engine}"],
                           "ffgrant_fuzzers"):
            return None
        binaries = self._work / "fuzz" / "fuzz"
        equal = self._equal_to_original("fuzz")
        names = sorted(path.name for path in binaries.glob("*_fuzzer")
                       if not path.name.startswith("canary") and str(path) not in equal)
        names.sort(key=lambda name: -self._kills[name])  # the likeliest killer comes first
        with concurrent.futures.ThreadPoolExecutor(self._jobs) as pool:
            for first in range(0, len(names), self._jobs):
                for run in pool.map(self._fuzz, names[first:first + self._jobs]):
                    if run.killed:
                        self._kills[run.target] += 1
                        return f"{run.target}: {run.note}"
        return ""

    def _fuzz(self, name: str) -> runner.Run:
        fuzzing = runner.Fuzzing(self._children, self._work / "fuzz" / "fuzz",
                                 self._work / "scratch" / name, self._wrapper)
        target = runner.make_target(name, self._source / "fuzz")
        return fuzzing.run(target, runner.SEEDS[0], self._seconds)

    def ways(self) -> dict[str, Callable[[], str | None]]:
        return {"tests": self.tests, "replay": self.replay, "threads": self.threads,
                "fuzz": self.fuzz}

    def control(self, graders: Sequence[str]) -> None:
        """Runs the graders on the original sources, where none may find anything: a grader that
        does would kill every mutant."""
        for name in graders:
            self._terminal.progress(f"the original: {name}")
            killer = self.ways()[name]()
            if killer is None or killer:
                raise CatalogueError(f"{name} on the original: {killer or 'does not compile'}")
        for name in self._configured:
            self._originals[name] = program_digests(self._work / name)

    def executed_by(self, fault: Fault) -> list[str]:
        """The tests that execute the function around the fault: a trap in the function makes them
        fail."""
        try:
            if not self.probe(fault) or self.tests() is None:
                return []
            return self._ctest("tests", ["-E", "_callbacks$"], to_the_end=True)
        finally:
            self.restore()

    def grade(self, fault: Fault, result: Result, graders: Sequence[str]) -> None:
        self.write(fault)
        try:
            for name in graders:
                if name in result.verdicts:
                    continue
                self._terminal.progress(f"{fault.kind}/{fault.id}: {name}")
                killer = self.ways()[name]()
                if killer is None:
                    raise CatalogueError(f"{fault.kind}/{fault.id}: does not compile")
                result.verdicts[name] = "killed" if killer else "survived"
                result.killers[name] = killer
        finally:
            self.restore()


# ---- the results as a table and a document ----

def table(results: Sequence[Result], graders: Sequence[str]) -> Table:
    rows = []
    kinds = sorted({result.kind for result in results})
    for kind in [*kinds, "all"]:
        chosen = [r for r in results if kind in (r.kind, "all")]
        killed = sum(r.killed for r in chosen)
        rows.append([kind, str(len(chosen)),
                     *(str(sum(r.verdicts.get(name) == "killed" for r in chosen))
                       for name in graders),
                     str(killed), f"{100 * killed / len(chosen):.0f}"])
    return Table("By kind", "killed by each grader, then by any of them",
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
             "grader then runs until it finds something wrong; a fuzz target has "
             f"{seconds} s of CPU")]


def _job(terminal: Terminal, arguments: argparse.Namespace) -> int:
    faults = read_catalogue()
    errors = stale(faults)
    for error in errors:
        terminal.line(terminal.bad(error))
    if errors:
        return 1
    unknown = set(arguments.kind) - {fault.kind for fault in faults}
    if unknown:
        raise CatalogueError(f"--kind {', '.join(sorted(unknown))}: no such file in fuzz/mutants")
    chosen = [fault for fault in faults
              if (not arguments.kind or fault.kind in arguments.kind)
              and (not arguments.only or fault.id in arguments.only)]
    if arguments.list:
        for fault in chosen:
            terminal.line(f"{fault.kind}/{fault.id}  {fault.file}: {fault.why}")
        return 0
    graders = arguments.grader or list(GRADERS)
    grader = Grader(terminal, arguments.seconds, arguments.jobs)
    state = grader.synchronize(trees.source_files(("CMakeLists.txt", "core", "fuzz", "corpus")))
    journal = Journal(_ROOT / "results.jsonl", state, arguments.resume)
    grader.control(graders)
    results = []
    # Faults of one file follow one another, so that ninja rebuilds what reads it once for each.
    for fault in sorted(chosen, key=lambda fault: fault.file):
        result = journal.result(fault, state)
        grader.grade(fault, result, graders)
        if not result.killed and not result.executed_by:
            result.executed_by = grader.executed_by(fault)
        journal.add(result)
        results.append(result)
        verdicts = "  ".join(f"{name}: {result.verdicts[name]} {result.killers[name]}"[:60]
                             for name in graders)
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
    except CatalogueError as error:
        terminal.line(f"mutants: {error}")
        return 1
