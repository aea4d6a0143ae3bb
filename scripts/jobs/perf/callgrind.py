# SPDX-License-Identifier: Apache-2.0
"""Counts what a benchmark's loop executes, exactly, for any program that uses Google Benchmark.

Google Benchmark finds out how often to repeat by trying 1, 10, 100, ... iterations until the time
is a tenth of what was asked for. Asked for a day it tries them all: callgrind's counters are set to
zero when the loop begins (State::StartKeepRunning) and dumped when it ends (FinishKeepRunning), so
that part k of its output is the loop of 10^(k-1) iterations, set-up left out, at whatever speed.
After the part that is wanted the process is ended. A benchmark with a fixed number of iterations
makes one part and ends by itself.

What it takes: a program of one thread, not stripped of those two symbols; code that valgrind knows
(3.19: no AVX-512, so x86-64-v3 at most).
"""

import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.perf import samples
from jobs.perf.error import PerfError

EVENTS = ("Ir", "Dr", "Dw")
_PARTS = 5  # 10,000 iterations
_ENOUGH = 20_000_000  # instructions; a slow benchmark needs no more iterations
_DAY = 86_400
_FLAGS = (
    # The sizes are fixed; of the simulated caches only the numbers of accesses are used.
    "--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64",
    "--compress-strings=no", "--compress-pos=no",
    "--zero-before=benchmark::State::StartKeepRunning()",
    "--dump-before=benchmark::State::FinishKeepRunning()")


@dataclass(frozen=True)
class Counts:
    """Of one loop. events: name -> number; file is callgrind's part, for the annotation."""
    part: int
    events: dict
    file: Path
    fixed: bool  # the benchmark itself says how many iterations; else 10 ** (part - 1)

    @property
    def iterations(self):
        return 1 if self.fixed else 10 ** (self.part - 1)


def read_events(text):
    """name -> number from the head of callgrind's file; None if it is not all there."""
    if not re.search(r"^totals: ", text, re.MULTILINE):
        return None
    names = re.search(r"^events: (.+)$", text, re.MULTILINE)
    numbers = re.search(r"^summary: (.+)$", text, re.MULTILINE)
    if not names or not numbers:
        return None
    values = [int(number) for number in numbers[1].split()]
    values += [0] * (len(names[1].split()) - len(values))  # zeros at the end are left out
    return dict(zip(names[1].split(), values))


class Counter:
    """One benchmark under callgrind, begun at once; poll() until it says what was counted."""

    def __init__(self, children, program, benchmark, directory, limit):
        """directory: its own and empty; limit: seconds. The program is run by a path that is the
        same for all, and with an environment of nothing that shifts its stack."""
        self._directory = directory
        self.benchmark = benchmark
        directory.mkdir(parents=True)
        (directory / "program").symlink_to(program.path)
        environment = {"PATH": os.defpath, "LC_ALL": "C", **program.environment}
        if "LD_LIBRARY_PATH" in os.environ:
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        self._end = time.monotonic() + limit
        self._limit = limit
        self._child = children.start(
            ["valgrind", "--tool=callgrind", *_FLAGS, "--callgrind-out-file=part", "./program",
             *program.arguments, f"--benchmark_filter={samples.exactly([benchmark])}",
             f"--benchmark_min_time={_DAY}"],
            directory / "log", environment, directory)

    def _part(self, number):
        path = self._directory / f"part.{number}"
        try:
            events = read_events(path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None
        return events and Counts(number, events, path, fixed=False)

    def poll(self):
        """The counts, None while it runs; PerfError if it ended without, or took too long."""
        status = self._child.status()
        parts = [part for part in map(self._part, range(1, _PARTS + 1)) if part]
        if parts and (len(parts) == _PARTS or parts[-1].events["Ir"] >= _ENOUGH):
            self._child.signal(signal.SIGKILL)
            self._child.end()
            return parts[-1]
        if status == 0 and parts:
            last = parts[-1]
            return Counts(last.part, last.events, last.file, fixed=True)
        if status is not None:
            tail = "\n".join(self._child.output().rstrip().splitlines()[-15:])
            raise PerfError(f"{self.benchmark}: nothing was counted (status {status}):\n{tail}")
        if time.monotonic() > self._end:
            self._child.end()
            if parts:
                return parts[-1]
            raise PerfError(f"{self.benchmark}: no loop came to its end in {self._limit:g} s. "
                            "Either it takes a longer --limit, or the program is stripped of "
                            "benchmark::State::FinishKeepRunning()")
        return None


def read_lines(path, event="Ir"):
    """(file, function, line) -> the event's own cost there, without what it calls."""
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
