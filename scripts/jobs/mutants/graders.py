# SPDX-License-Identifier: Apache-2.0
"""Grades one changed source by tests, by the replay of the corpora, by thread tests and by fuzzing.

Three modules use the graders. by_hand.py gives them the faults that people have thought of.
by_tests.py gives them the mutants of the client and of the Lua functions. job.py gives them the
mutants of core that the fuzz targets let live.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from jobs.common import build
from jobs.common.sanitizers import sanitizer_wrapper
from jobs.common.terminal import Terminal
from jobs.mutants import lua, runner, trees

GRADERS = {
    "tests": "all tests of ctest but replays and those that take minutes",
    "replay": "the replay of the seed corpora",
    "sanitized": "tests of core and claims, and the replay, under AddressSanitizer and UBSan",
    "threads": "the thread tests under ThreadSanitizer",
    "fuzz": "the fuzz targets from an empty corpus, one seed",
}
_TEST_SECONDS = 300  # the most that one test may take
_QUICK_SECONDS = 0.5  # the most that a quick test takes
# The most that a test may take if a function has a trap: a worker in a test may then try again for
# ever.
_TRAPPED_SECONDS = 20
# This limit is there because a fault may let a test allocate for ever. Builds with sanitizers run
# without it, since a sanitizer reserves more memory than the limit from the start.
_MEMORY_LIMIT = ("sh", "-c", 'ulimit -v 8388608; exec "$@"', "sh")


class GraderError(Exception):
    """A grader cannot judge: a program does not build, or the original fails."""


class Graded(Protocol):
    """The result of a mutant, as a journal keeps it on a line."""
    id: str
    state: str  # digest of the sources on which the mutant was graded


R = TypeVar("R", bound=Graded)


def read_results(path: Path, make: Callable[..., R], state: str, resume: bool) -> dict[str, R]:
    """The results of earlier runs on the same sources, by id. Without `resume` there are none, and
    the journal begins anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        path.unlink(missing_ok=True)
    found: dict[str, R] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            result = make(**json.loads(line))
        except (ValueError, TypeError):
            continue  # the line was cut off
        if result.state == state:
            found[result.id] = result
    return found


def fuzz_verdict_holds(killed: bool, given: float, seconds: float) -> bool:
    """Whether what the fuzz targets said of a mutant when each had the `given` seconds says what
    they would say with `seconds`: a kill holds with more time, a survival with less. given is 0 if
    nobody knows how long they had."""
    return given > 0 and (given <= seconds if killed else given >= seconds)


# Matches what ctest prints: "The following tests FAILED:\n\t 12 - Name (Failed)". A parameter's
# value may follow the name: "12 - All/Name.Holds/1  # GetParam() = (1, false) (Failed)".
_FAILED = re.compile(r"^\s*(\d+) - (\S+)(?:  # .*)? \([\w ]+\)$", re.MULTILINE)


# Before what a test printed, ctest prints "6/7 Test #6: Name ...***Failed    0.01 sec".
_TEST = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): ", re.MULTILINE)
_REPORT = re.compile(r"runtime error: |(?:ERROR|WARNING): \w+Sanitizer")


def failed_tests(output: str) -> dict[str, str]:
    """The tests that failed: number -> name."""
    return dict(_FAILED.findall(output))


# What ctest prints of a test in a line: "6/7 Test #6: Name ...***Failed    0.01 sec".
_SECONDS = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): .*?([\d.]+) sec", re.MULTILINE)


def seconds_of(output: str) -> dict[str, float]:
    """How long each test took: number -> seconds."""
    return {number: float(seconds) for number, seconds in _SECONDS.findall(output)}


def reported_tests(output: str) -> set[str]:
    """The numbers of the tests in whose output a sanitizer reports an error."""
    parts = _TEST.split(output)
    return {number for number, said in zip(parts[1::2], parts[2::2]) if _REPORT.search(said)}


def program_digests(directory: Path) -> dict[str, str]:
    """Returns the programs below the directory of a build: path -> digest of the program's
    bytes."""
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
    does, so the graders run the changed programs only.
    """

    def __init__(self, terminal: Terminal, seconds: int, jobs: int, work: Path,
                 root: Path = build.ROOT) -> None:
        self._terminal = terminal
        self.seconds = seconds
        self._jobs = jobs
        self._root = root
        self._work = work
        self._children = runner.Children()
        self._source = work / "src"
        self._wrapper = sanitizer_wrapper()
        self._configured: set[str] = set()
        self._originals: dict[str, dict[str, str]] = {}  # build -> its programs
        self._kills: Counter[str] = Counter()  # fuzz target -> faults that it has found
        # build -> number of a test that has found a fault -> the seconds that the test took then
        self._found: dict[str, dict[str, float]] = {}

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

    @contextlib.contextmanager
    def changed(self, file: str, text: str) -> Iterator[None]:
        """Gives the copy another text of a file, and takes the text back at the end."""
        target = self._source / file
        target.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            target.write_bytes((self._root / file).read_bytes())

    # ---- builds ----

    def _run(self, command: Sequence[str]) -> tuple[int | None, str]:
        log = self._work / "log"
        status, _, _ = self._children.run([*self._wrapper, *command], cwd=self._work, output=log,
                                          env=build.environment())
        return status, log.read_text(encoding="utf-8", errors="replace")

    def _build(self, name: str, options: Sequence[str], *targets: str) -> bool:
        directory = self._work / name
        if name not in self._configured:
            status, output = self._run(["cmake", "-S", str(self._source), "-B", str(directory),
                                        "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={build.clang()}",
                                        "-DCMAKE_BUILD_TYPE=None", "-DFFGRANT_INSTALL=OFF",
                                        "-DFFGRANT_BUILD_BENCHMARKS=OFF",
                                        "-DFFGRANT_REFERENCE=OFF", "-DFFGRANT_LLD=ON", *options])
            if status != 0:
                raise GraderError(f"cmake failed:\n{output[-2000:]}")
            self._configured.add(name)
        status, _ = self._run(["ninja", "-C", str(directory), "-j", str(self._jobs), *targets])
        return status == 0

    def _equal_to_original(self, name: str) -> set[str]:
        """The programs of a build that the fault has not changed."""
        original = self._originals.get(name, {})
        return {path for path, digest in program_digests(self._work / name).items()
                if original.get(path) == digest}

    def same_tests(self) -> bool:
        """Whether the fault has changed no program of the tests."""
        return self._equal_to_original("tests") == set(self._originals["tests"])

    def _list_tests(self, name: str, filters: Sequence[str]) -> dict[str, str]:
        """The tests that ctest's filters choose: name -> all that ctest says of it, as JSON."""
        status, listed = self._run(["ctest", "--test-dir", str(self._work / name),
                                    "--show-only=json-v1", *filters])
        if status != 0:
            raise GraderError(f"ctest could not list its tests:\n{listed[-2000:]}")
        return {test["name"]: json.dumps(test) for test in json.loads(listed)["tests"]}

    def _chosen(self, name: str, filters: Sequence[str]) -> list[str]:
        """The numbers of the tests that ctest's filters choose, except tests whose programs all
        equal the original's."""
        numbers = {test: str(number)
                   for number, test in enumerate(self._list_tests(name, ()), 1)}
        tests = self._list_tests(name, filters)
        if not tests:
            raise GraderError(f"ctest could not run: no test fits {' '.join(filters)}")
        equal = self._equal_to_original(name)
        chosen = []
        for test, command in tests.items():
            programs = {path for path in self._originals.get(name, ()) if f'"{path}"' in command}
            if not programs or programs - equal:
                chosen.append(numbers[test])
        return chosen

    def _run_tests(self, name: str, numbers: Sequence[str], to_the_end: bool = False) -> str:
        """Runs the tests with these numbers and returns what ctest prints."""
        # With filters ctest numbers the tests in another way, so here it gets the numbers alone, in
        # a file.
        path = self._work / "numbers"
        path.write_text(f"0,0,0,{','.join(numbers)}\n", encoding="utf-8")
        status, output = self._run([*(_MEMORY_LIMIT if name == "tests" else ()),
                                    "ctest", "--test-dir", str(self._work / name), "-I", str(path),
                                    "-j", str(self._jobs), "--output-on-failure",
                                    *([] if to_the_end else ["--stop-on-failure"]),
                                    "--no-tests=error", "--timeout",
                                    str(_TRAPPED_SECONDS if to_the_end else _TEST_SECONDS)])
        if status != 0 and not failed_tests(output):  # else the fault would count as survived
            raise GraderError(f"ctest could not run:\n{output[-2000:]}")
        return output

    def _ctest(self, name: str, filters: Sequence[str], to_the_end: bool = False) -> list[str]:
        """Returns the tests that fail: only the first one, unless all tests run `to_the_end`. The
        first one must fail a second time, alone: a test may fail for another reason than the fault,
        such as a busy machine. A test need not fail again if a sanitizer has reported what is
        wrong, since a race is not seen each time."""
        chosen = self._chosen(name, ["-LE", "long", *filters])
        if to_the_end:
            output = self._run_tests(name, chosen, True) if chosen else ""
            return list(failed_tests(output).values())
        # The tests that have found another fault come first, because they are the likeliest to find
        # this one; and of these the quick ones.
        found = dict(self._found.setdefault(name, {}))
        likely = [number for number in chosen if number in found]
        for numbers in ([number for number in likely if found[number] <= _QUICK_SECONDS],
                        [number for number in likely if found[number] > _QUICK_SECONDS],
                        [number for number in chosen if number not in found]):
            failed = self._first_failure(name, numbers)
            if failed:
                return failed
        return []

    def _first_failure(self, name: str, numbers: list[str]) -> list[str]:
        while numbers:
            output = self._run_tests(name, numbers)
            failed = failed_tests(output)
            if not failed:
                break
            reported = reported_tests(output) if name != "tests" else set()
            for number, test in failed.items():
                if number in reported or failed_tests(self._run_tests(name, [number])):
                    self._found[name][number] = seconds_of(output).get(number, 0.0)
                    return [test]
            # ctest has stopped at a failure that says nothing. The other tests judge.
            numbers = [number for number in numbers if number not in failed]
        return []

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

    def sanitized(self) -> str | None:
        if not self._build("sanitized", ["-DCMAKE_CXX_FLAGS=-O1 -fsanitize=address,undefined "
                                         "-fno-sanitize-recover=all",
                                         "-DFFGRANT_BUILD_TESTS=ON"],
                           "ffgrant_tests_core", "ffgrant_tests_claims", "ffgrant_tests_fuzz"):
            return None
        return next(iter(self._ctest("sanitized", ["-L", "^(core|claims|fuzz)$",
                                                   "-E", "_callbacks$"])), "")

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
        return fuzzing.run(target, runner.SEEDS[0], self.seconds)

    def judge(self, name: str, what: str) -> str | None:
        """What the grader of that name says of the sources as they are."""
        self._terminal.progress(f"{what}: {name}")
        ways: dict[str, Callable[[], str | None]] = {
            "tests": self.tests, "replay": self.replay, "sanitized": self.sanitized,
            "threads": self.threads, "fuzz": self.fuzz}
        return ways[name]()

    def control(self, graders: Sequence[str]) -> None:
        """Runs the graders on the original sources, where none may find anything: a grader that
        finds something there would kill every mutant. Then notes the programs of their builds."""
        for name in graders:
            killer = self.judge(name, "the original")
            if killer is None or killer:
                raise GraderError(f"{name} on the original: {killer or 'does not compile'}")
        for name in self._configured:
            self._originals[name] = program_digests(self._work / name)

    def executed_by(self, file: str, line: int) -> list[str]:
        """The tests that execute the function around a line: a trap in the function makes them
        fail, or go on for too long. The list is empty if there is no such function."""
        text = (self._root / file).read_text(encoding="utf-8")
        if file.endswith(".lua"):
            trapped = lua.probe(text, line)
        elif file.endswith((".cc", ".h")):
            trapped = trees.probe(text, line, "__builtin_trap();")
        else:
            trapped = None
        if trapped is None:
            return []
        with self.changed(file, trapped):
            if self.tests() is None:
                return []
            return self._ctest("tests", ["-E", "_callbacks$"], to_the_end=True)
