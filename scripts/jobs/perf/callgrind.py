# SPDX-License-Identifier: Apache-2.0
"""Counts exactly what a benchmark's loop executes, for any program that uses Google Benchmark.

To find out how many iterations it needs, Google Benchmark tries 1, 10, 100, ... iterations until
they take a tenth of the time that was asked for. If a day was asked for, Google Benchmark tries all
of these numbers. callgrind's counters are set to zero when the loop begins
(State::StartKeepRunning) and dumped when the loop ends (FinishKeepRunning). So the k-th dump is the
loop of 10^(k-1) iterations without the set-up, whatever its speed. What a loop does between
PauseTiming and ResumeTiming counts, because callgrind does not know that this is no work. The
process is ended after the dump that is wanted. A benchmark with a fixed number of iterations makes
one dump and ends by itself; its name says that it has one. A benchmark that fails also makes one
dump and ends by itself, and its JSON says that it failed.

A program with Google Benchmark 1.9.3 or later starts itself anew if addresses are randomised, and
Valgrind would lose the new process. So programs are started without the randomisation, and Valgrind
follows a program that executes another.

Requirements: the benchmark has one thread, the program is not stripped of the symbols of
StartKeepRunning and FinishKeepRunning, and valgrind knows the code (version 3.19 knows no AVX-512,
so x86-64-v3 at most).
"""

import ctypes
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.perf import gbench_json, samples
from jobs.perf.error import PerfError

EVENTS = ("Ir", "Dr", "Dw")  # instructions; reads and writes of memory where they are asked for
_PARTS = 4  # the fourth dump has 1,000 iterations
_ENOUGH = 2_000_000  # instructions; after this many no further iterations are needed
_DAY = 86_400
# Parts of the names of benchmarks that set the iterations, the time or the repetitions themselves.
_SETS_ITERATIONS, _SETS_TIME, _REPEATS = "/iterations:", "/min_time:", "/repeats:"
_NO_RANDOMISATION = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)
# The sizes of the simulated caches are fixed, because only the numbers of accesses are used.
_MEMORY = ("--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64")
_FLAGS = (
    "--compress-strings=no", "--compress-pos=no", "--trace-children=yes",
    "--zero-before=benchmark::State::StartKeepRunning()",
    "--dump-before=benchmark::State::FinishKeepRunning()")
_TRIGGER = "desc: Trigger: --dump-before=benchmark::State::FinishKeepRunning()"
_HEAD = 4096  # the first bytes of a dump, with its description


@dataclass(frozen=True)
class Counts:
    """The counts of one loop. events: name -> number; file is callgrind's dump, for the
    annotation."""
    part: int
    events: dict
    file: Path
    fixed: bool  # whether the benchmark sets the iterations; else they are 10 ** (part - 1)
    files: tuple = ()  # the dumps of all parts up to this one

    @property
    def iterations(self):
        return 1 if self.fixed else 10 ** (self.part - 1)

    def of_one(self):
        """The instructions of one iteration, without what the start and the end of the loop take;
        None if the benchmark sets the iterations."""
        if self.fixed:
            return None
        if self.part == 1:
            return self.events["Ir"]
        before = self.at(self.part - 1)
        return (self.events["Ir"] - before.events["Ir"]) / (self.iterations - before.iterations)

    def at(self, part):
        """The counts of this part or an earlier one."""
        if part == self.part:
            return self
        path = self.files[part - 1]
        return Counts(part, read_events(path.read_text(encoding="utf-8", errors="replace")), path,
                      self.fixed, self.files[:part])


def read_events(text):
    """Reads name -> number from the head of callgrind's file; None if the head is incomplete."""
    if not re.search(r"^totals: ", text, re.MULTILINE):
        return None
    names = re.search(r"^events: (.+)$", text, re.MULTILINE)
    numbers = re.search(r"^summary: (.+)$", text, re.MULTILINE)
    if not names or not numbers:
        return None
    values = [int(number) for number in numbers[1].split()]
    values += [0] * (len(names[1].split()) - len(values))  # zeros at the end are left out
    return dict(zip(names[1].split(), values))


def _without_randomisation():
    """Switches address randomisation off in the child before the program starts, as `setarch -R`
    does. If the child may not do that, the program may not either, and so does not start itself
    anew."""
    ctypes.CDLL(None).personality(_NO_RANDOMISATION)


def is_installed():
    return shutil.which("valgrind") is not None


class Counter:
    """Runs one benchmark under callgrind. The constructor starts the run; the caller then calls
    poll() until poll() returns the counts."""

    def __init__(self, children, program, key, directory, limit, memory=False):
        """directory: a folder for this benchmark alone, which does not exist yet; the folders of
        all benchmarks have names of one length. limit: seconds. memory: whether reads and writes
        are counted too, which takes twice the time. The path by which the program is run also has
        the same length for all. The environment is made as for the gate's processes."""
        self._directory = directory
        self.key = key
        directory.mkdir(parents=True)
        link = directory / "program"
        link.symlink_to(program.path.absolute())
        self._out = directory / "out.json"
        self._limit = limit
        self._end = time.monotonic() + limit
        self._known = {}  # path -> events, for the complete dumps
        self._child = children.start(
            ["valgrind", "--tool=callgrind", *(_MEMORY if memory else ()), *_FLAGS,
             f"--callgrind-out-file={directory}/part.%p", str(link), *program.arguments,
             f"--benchmark_filter={samples.exactly([key.name])}",
             f"--benchmark_min_time={_DAY}", "--benchmark_repetitions=1",
             f"--benchmark_out={self._out}", "--benchmark_out_format=json"],
            directory / "log", program.whole_environment(), program.directory,
            before=_without_randomisation)

    def _dumps(self):
        """The dumps of the loops, in their order."""
        found = []
        for path in self._directory.glob("part.*.*"):
            if path not in self._known:
                text = path.read_text(encoding="utf-8", errors="replace")
                if _TRIGGER not in text[:_HEAD]:
                    if "\ndesc: Trigger:" in text[:_HEAD]:
                        self._known[path] = None
                    continue
                events = read_events(text)
                if events is None:
                    continue  # this dump is still being written
                self._known[path] = events
            if self._known[path] is not None:
                found.append(path)
        return sorted(found, key=lambda path: int(path.suffix[1:]))

    def _counts(self, dumps, fixed):
        return Counts(len(dumps), self._known[dumps[-1]], dumps[-1], fixed, tuple(dumps))

    def _so_far(self, dumps):
        """Returns (the dumps that count, whether the benchmark sets the iterations). The result
        does not depend on whether the program still runs: a name says what the benchmark sets."""
        if _SETS_TIME in self.key.name:
            # The length of the last loop depends on the clock; the loops before it have 1, 10, ...
            # iterations. Any dump but the first may be that of the last loop.
            return dumps[:-1][:_PARTS] or dumps, False
        # An argument of the benchmark may have this name too. Then there are more dumps.
        fixed = _SETS_ITERATIONS in self.key.name and (
            len(dumps) < _PARTS or _REPEATS in self.key.name)
        return dumps[:1 if fixed else _PARTS], fixed

    def poll(self):
        """The counts; None while the program runs. Raises PerfError if the benchmark failed or was
        skipped, if the program ended without counts, or if no loop came to its end within the
        limit."""
        status = self._child.status()
        dumps = self._dumps()  # after the status: a process that has ended writes no more
        if status is not None:
            return self._ended(status, dumps)
        dumps, fixed = self._so_far(dumps)
        if dumps and (len(dumps) >= _PARTS or self._known[dumps[-1]]["Ir"] >= _ENOUGH):
            self._child.end(at_once=True)
            return self._counts(dumps, fixed)
        if time.monotonic() > self._end:
            self._child.end()
            if dumps:
                return self._counts(dumps, fixed)
            raise PerfError(f"no loop came to its end in {self._limit:g} s. Either it takes a "
                            "longer --limit, or the program has no symbol "
                            "benchmark::State::FinishKeepRunning(): it is stripped, or its "
                            "library hides it")
        return None

    def _ended(self, status, dumps):
        """The counts of a process that ended by itself. Its benchmark has a fixed number of
        iterations or a least time in the code, failed, or was skipped."""
        try:
            document = gbench_json.parse(self._out.read_bytes())
        except OSError:
            document = gbench_json.Document()
        reading = gbench_json.readings(document).get(self.key)
        if reading is not None and reading.ns is None and reading.reason.startswith(
                ("failed", "skipped")):
            raise PerfError(reading.reason)
        if status == 0 and reading is not None and dumps:
            if _SETS_TIME in self.key.name or _SETS_ITERATIONS in self.key.name:
                return self._counts(*self._so_far(dumps))
            return self._counts(dumps, fixed=True)
        if status == 0 and reading is not None:
            raise PerfError("nothing was counted: the program has no symbol "
                            "benchmark::State::FinishKeepRunning(): it is stripped, or its "
                            "library hides it")
        text = [line for line in self._child.output().rstrip().splitlines()
                if not samples.BANNER.match(line)]
        raise PerfError(f"nothing was counted: it ended with status {status}:\n"
                        + "\n".join(text[-15:]))


def read_lines(path, event="Ir"):
    """(file, function, line) -> the event's cost there, without the cost of called functions."""
    costs = {}
    file = function = ""
    column = None
    after_call = False
    with open(path, encoding="utf-8", errors="replace") as text:
        for line in text:
            if line.startswith("events: "):
                column = line.split()[1:].index(event) + 1
            elif line.startswith(("fl=", "fi=", "fe=")):
                file = line[3:].strip()
            elif line.startswith("fn="):
                function = line[3:].strip()
            elif line.startswith("calls="):
                after_call = True  # the next line is the cost of the call
            elif line[:1].isdigit():
                fields = line.split()
                if not after_call and column and len(fields) > column:
                    key = (file, function, int(fields[0]))
                    costs[key] = costs.get(key, 0) + int(fields[column])
                after_call = False
    return costs
