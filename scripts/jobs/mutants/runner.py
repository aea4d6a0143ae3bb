# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz targets from an empty corpus and tells how each run ended."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from jobs.common import processes
from jobs.fuzz import libfuzzer

SEEDS = (1, 2, 3, 4, 5)
FAST_SECONDS = 10
_UNIT_TIMEOUT = 5  # seconds an input; an execution takes microseconds
_GRACE = 30  # seconds that a fuzzer may take to end
_SLOWEST = 10  # seconds of the clock that one of CPU may take on a busy machine
_TO_END = 10  # seconds that one that was interrupted may take to end
_TICK = 0.1  # seconds between two looks at what a child has used
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Stopped(Exception):
    """The job is being ended."""


class Children:
    """Child processes of several threads, all of which end when the job does."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = set()
        self._stopped = threading.Event()

    def run(self, command, cwd, output, timeout=None, env=None, cpu_limit=None):
        """Runs a command, what it prints going to a file. Returns (exit status, or None if it had
        to be ended; seconds; seconds of CPU). One that has used cpu_limit is interrupted, and ended
        if that doesn't end it: a handler that the signal calls amid an allocation may wait for
        ever for that to be done. Its status is libfuzzer.INTERRUPTED then too."""
        start = time.monotonic()
        with output.open("wb") as stream:
            with self._lock:
                if self._stopped.is_set():
                    raise Stopped
                process = subprocess.Popen(
                    command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=stream,
                    stderr=subprocess.STDOUT, start_new_session=True)
                self._running.add(process.pid)
            ended, interrupted = threading.Event(), threading.Event()
            watcher = threading.Thread(
                target=self._watch, daemon=True,
                args=(process.pid, ended, timeout, cpu_limit, interrupted))
            if timeout or cpu_limit:
                watcher.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            finally:
                ended.set()
                with self._lock:
                    self._running.discard(process.pid)
                process.returncode = 0  # waited for
        if self._stopped.is_set():
            raise Stopped
        seconds = time.monotonic() - start
        code = os.waitstatus_to_exitcode(status)
        if interrupted.is_set() and code == -signal.SIGKILL:
            code = libfuzzer.INTERRUPTED
        late = timeout is not None and seconds >= timeout and code == -signal.SIGKILL
        return None if late else code, seconds, usage.ru_utime + usage.ru_stime

    def wait(self, seconds):
        """Sleeps; raises Stopped if the job ends."""
        if self._stopped.wait(seconds):
            raise Stopped

    def _watch(self, pid, ended, timeout, cpu_limit, interrupted):
        """Ends a child after `timeout`, and asks it to end when it has used its CPU."""
        start = time.monotonic()
        while not ended.wait(_TICK):
            if timeout and time.monotonic() - start >= timeout:
                self._signal(pid, signal.SIGKILL)
                return
            if cpu_limit and _cpu_seconds(pid) >= cpu_limit:
                interrupted.set()
                self._signal(pid, signal.SIGINT)
                if not ended.wait(_TO_END):
                    self._signal(pid, signal.SIGKILL)
                return

    def _signal(self, pid, number):
        with self._lock:
            if pid in self._running:
                processes.signal_group(pid, number)

    def stop(self):
        self._stopped.set()
        with self._lock:
            for pid in self._running:
                processes.signal_group(pid, signal.SIGKILL)


def _cpu_seconds(pid):
    """What a process has used so far; 0 if it has ended."""
    try:
        # The name, which may hold spaces, ends with the last parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


@dataclass(frozen=True)
class Run:
    """How one run of one target ended."""
    target: str
    seed: int
    killed: bool
    how: str  # "check", "sanitizer", "time-out", "memory", "exit"; "" if it went on to the end
    seconds: float
    cpu_seconds: float
    executions: int
    note: str  # a line of what it printed

    @property
    def cost(self):
        """Seconds of CPU, which other processes don't make more; one that hangs may use none."""
        return max(self.cpu_seconds, _UNIT_TIMEOUT) if self.how == "time-out" else self.cpu_seconds

    def as_dict(self):
        return asdict(self)


_ENDINGS = (  # the first that fits; how, and what says so
    ("time-out", r"ERROR: libFuzzer: timeout.*"),
    ("memory", r"ERROR: libFuzzer: out-of-memory.*"),
    ("sanitizer", r".*runtime error: .*"),
    ("sanitizer", r".*ERROR: (?:Address|Leak|Undefined)\w*Sanitizer.*"),
    ("check", r".*deadly signal.*"),
    ("exit", r".*fuzz target (?:exited|overwrites).*"),
)


_ENGINE_LINE = re.compile(r"^(?:#\d|INFO:|WARNING:|==\d|Running:|\t).*$", re.MULTILINE)


def judge_output(status, output):
    """(how, note) of what a fuzzer's exit status and output say; how is "" if it found nothing."""
    if status in (0, libfuzzer.INTERRUPTED):
        return "", ""
    if status is None:
        return "time-out", "it did not end in time"
    for how, pattern in _ENDINGS:
        match = re.search(pattern, output)
        if match:
            # A check says in its own words what does not hold, before the engine's.
            said = _ENGINE_LINE.split(output[:match.start()])[-1].strip().splitlines()
            note = said[0] if how == "check" and said else match[0]
            note = re.sub(r"^FINDING: |==\d+==\s*|0x[0-9a-f]{6,}", "", note)
            note = re.sub(r"^\S*/(?=[\w.]+:\d+)", "", note)
            return how, "".join(c if c.isprintable() else "?" for c in note.strip())[:120]
    return "exit", f"ended with status {status}"


def executions(output):
    match = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    if match:
        return int(match[1])
    counts = re.findall(r"^#(\d+)\t", output, re.MULTILINE)
    return int(counts[-1]) if counts else 0


def read_options(text):
    """The flags in the [libfuzzer] section of a `.options` file."""
    section, flags = "", []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[libfuzzer]" and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            flags.append(f"-{name.strip()}={value.strip()}")
    return flags


@dataclass(frozen=True)
class Target:
    name: str  # with _fuzzer
    flags: tuple


def make_target(name, fuzz_directory):
    """A target with its dictionary and options, which are part of it."""
    flags = []
    options, dictionary = fuzz_directory / f"{name}.options", fuzz_directory / f"{name}.dict"
    if options.exists():
        flags += [flag for flag in read_options(options.read_text(encoding="utf-8"))
                  if not flag.startswith("-dict=")]
    if dictionary.exists():
        flags.append(f"-dict={dictionary}")
    return Target(name, tuple(flags))


class Fuzzing:
    """Runs targets of one build, in a directory of its own."""

    def __init__(self, children, binaries, scratch, wrapper=()):
        self._children = children
        self._binaries = binaries
        self._scratch = scratch
        self._wrapper = wrapper

    def run(self, target, seed, seconds):
        """Fuzzes for so many seconds of CPU; who has used them is interrupted."""
        return self._run(target, seed, seconds, _SLOWEST * seconds)

    def run_to_its_end(self, target, seed, seconds, environment):
        """Fuzzes for so many seconds of the clock; it ends by itself, so that what the program does
        at its end, as writing a profile, is done."""
        return self._run(target, seed, _SLOWEST * seconds, seconds, environment)

    def _run(self, target, seed, cpu_seconds, clock_seconds, environment=None):
        corpus = self._scratch / "corpus"
        shutil.rmtree(self._scratch, ignore_errors=True)
        corpus.mkdir(parents=True)
        log = self._scratch / "log"
        env = dict(os.environ, ASAN_OPTIONS="symbolize=0:malloc_context_size=0",
                   UBSAN_OPTIONS="symbolize=0",
                   **(environment or {}))
        status, elapsed, cpu = self._children.run(
            [*self._wrapper, str(self._binaries / target.name), *target.flags,
             f"-seed={seed}", f"-max_total_time={clock_seconds}",
             f"-timeout={_UNIT_TIMEOUT}", "-rss_limit_mb=2048", "-print_final_stats=1",
             f"-artifact_prefix={self._scratch}/", str(corpus)],
            cwd=self._scratch, output=log, timeout=clock_seconds + _GRACE, env=env,
            cpu_limit=cpu_seconds)
        output = log.read_text(encoding="utf-8", errors="replace")
        how, note = judge_output(status, output)
        return Run(target.name, seed, bool(how), how, round(elapsed, 3), round(cpu, 3),
                   executions(output), note)


def _fastest(runs, seed):
    kills = [run for run in runs if run.seed == seed and run.killed]
    return min(kills, key=lambda run: run.cost, default=None)


def fastest_kills(runs):
    """The fastest kill of each seed that killed, in the order of the seeds."""
    return [kill for kill in (_fastest(runs, seed) for seed in SEEDS) if kill]


def outcome(runs, seconds):
    """"killed-10", "killed-60" (whatever `seconds` is) or "survived": by the median of the seeds,
    that is, by what three of five did."""
    kills = fastest_kills(runs)
    majority = len(SEEDS) // 2 + 1
    if sum(kill.cost <= FAST_SECONDS for kill in kills) >= majority:
        return "killed-10"
    if sum(kill.cost <= seconds + _GRACE for kill in kills) >= majority:
        return "killed-60"
    return "survived"


def median_kill(runs):
    """(seconds, executions) to kill, medians over the seeds; seeds that didn't count as slowest."""
    kills = sorted(fastest_kills(runs), key=lambda run: run.cost)
    place = len(SEEDS) // 2
    if len(kills) <= place:
        return None
    return kills[place].cost, statistics.median_low(run.executions for run in kills)


def grade(run, targets, seconds):
    """All runs of one mutant. `run(target, seed, seconds)` -> Run.

    First each target gets FAST_SECONDS with each seed, then, where too few seeds killed, all of
    the time. A seed that killed needs no further target.
    """
    runs, majority = [], len(SEEDS) // 2 + 1
    order = list(targets)
    for limit in dict.fromkeys((min(FAST_SECONDS, seconds), seconds)):
        missed = 0
        for seed in SEEDS:
            if _fastest(runs, seed):
                continue
            for target in list(order):
                runs.append(run(target, seed, limit))
                if runs[-1].killed:
                    order.remove(target)
                    order.insert(0, target)  # likely to kill with the next seed too
                    break
            else:
                missed += 1
                if missed >= majority and limit == seconds:
                    return runs  # whatever the other seeds do, it survived
        if len(fastest_kills(runs)) >= majority:
            return runs
    return runs


