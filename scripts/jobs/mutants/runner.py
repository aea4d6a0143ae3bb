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

from jobs.common import processes
from jobs.fuzz import libfuzzer

SEEDS = (1, 2, 3, 4, 5)
FAST_SECONDS = 10
_UNIT_TIMEOUT = 5  # seconds an input; an execution takes microseconds
_GRACE = 30  # seconds that a fuzzer may take to end at its time limit
_SLOWEST = 10  # seconds of the clock for one second of CPU, on a busy machine
_TO_END = 10  # seconds that an interrupted child may take to end
_TICK = 0.1  # seconds between two looks at the CPU time of a child


class Stopped(Exception):
    """The job is being ended."""


class Children:
    """The child processes of several threads. stop() ends them all."""

    def __init__(self):
        self._lock = threading.Lock()
        self._running = set()
        self._stopped = threading.Event()

    def run(self, command, cwd, output, timeout=None, env=None, cpu_limit=None):
        """Runs a command, whose output goes to a file. Returns (exit status, or None if the command
        was killed after `timeout`; seconds; seconds of CPU). A command that has used cpu_limit is
        interrupted. A command that does not end then is killed: its signal handler may run in the
        middle of an allocation, and wait for ever for the allocator. The status of a fuzzer that
        was interrupted, and perhaps killed, is libfuzzer.INTERRUPTED."""
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
                process.returncode = 0  # os.wait4() has waited for the process
        if self._stopped.is_set():
            raise Stopped
        seconds = time.monotonic() - start
        code = os.waitstatus_to_exitcode(status)
        if interrupted.is_set() and code == -signal.SIGKILL:
            code = libfuzzer.INTERRUPTED
        late = timeout is not None and seconds >= timeout and code == -signal.SIGKILL
        return None if late else code, seconds, usage.ru_utime + usage.ru_stime

    def wait(self, seconds):
        """Sleeps for a time; raises Stopped if the job ends."""
        if self._stopped.wait(seconds):
            raise Stopped

    def _watch(self, pid, ended, timeout, cpu_limit, interrupted):
        """Kills a child after `timeout`, and interrupts a child that has used `cpu_limit`."""
        start = time.monotonic()
        while not ended.wait(_TICK):
            if timeout and time.monotonic() - start >= timeout:
                self._signal(pid, signal.SIGKILL)
                return
            if cpu_limit and (processes.cpu_seconds(pid) or 0) >= cpu_limit:
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
    note: str  # a line of the target's output

    @property
    def cost(self):
        """The seconds of CPU that a run cost. Other processes don't make these more, as they do
        with the seconds of the clock. A target that hangs may use no CPU, so a time-out costs at
        least the limit for one input."""
        return max(self.cpu_seconds, _UNIT_TIMEOUT) if self.how == "time-out" else self.cpu_seconds

    def as_dict(self):
        return asdict(self)


_ENDINGS = (  # pairs (how, pattern); the first pattern that fits decides
    ("time-out", r"ERROR: libFuzzer: timeout.*"),
    ("memory", r"ERROR: libFuzzer: out-of-memory.*"),
    ("sanitizer", r".*runtime error: .*"),
    ("sanitizer", r".*ERROR: (?:Address|Leak|Undefined)\w*Sanitizer.*"),
    ("check", r".*deadly signal.*"),
    ("exit", r".*fuzz target (?:exited|overwrites).*"),
)


_ENGINE_LINE = re.compile(r"^(?:#\d|INFO:|WARNING:|==\d|Running:|\t).*$", re.MULTILINE)


def judge_output(status, output):
    """Returns (how, note) by a fuzzer's exit status and output; how is "" if nothing was found."""
    if status in (0, libfuzzer.INTERRUPTED):
        return "", ""
    if status is None:
        return "time-out", "it did not end in time"
    for how, pattern in _ENDINGS:
        match = re.search(pattern, output)
        if match:
            # The line in which a check says what does not hold comes before the engine's own lines.
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
    name: str  # the name, with _fuzzer at its end
    flags: tuple


def make_target(name, fuzz_directory):
    """A target with the flags that its options file and its dictionary call for."""
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
        """Runs until `seconds` of CPU time are used, and then interrupts the target."""
        return self._run(target, seed, seconds, _SLOWEST * seconds)

    def run_to_its_end(self, target, seed, seconds, environment):
        """Runs for `seconds` of the clock. The target ends by itself, so that it does what it has
        to do at its end, such as writing a profile."""
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
    """"killed-10", "killed-60" (whatever `seconds` is) or "survived". The median of the seeds
    decides: what three of the five seeds did."""
    kills = fastest_kills(runs)
    majority = len(SEEDS) // 2 + 1
    if sum(kill.cost <= FAST_SECONDS for kill in kills) >= majority:
        return "killed-10"
    if sum(kill.cost <= seconds + _GRACE for kill in kills) >= majority:
        return "killed-60"
    return "survived"


def median_kill(runs):
    """Returns (seconds, executions) that killing took, or None if most seeds didn't kill. The
    seconds are the median over all seeds, where a seed that didn't kill counts as the slowest. The
    executions are the median over the seeds that killed."""
    kills = sorted(fastest_kills(runs), key=lambda run: run.cost)
    place = len(SEEDS) // 2
    if len(kills) <= place:
        return None
    return kills[place].cost, statistics.median_low(run.executions for run in kills)


def grade(run, targets, seconds):
    """All runs of one mutant. `run(target, seed, seconds)` -> Run.

    First each target gets FAST_SECONDS with each seed. Then, if too few seeds killed, each
    target gets all of the time. A seed that killed needs no further target.
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
                    order.insert(0, target)  # is likely to kill with the next seed too
                    break
            else:
                missed += 1
                if missed >= majority and limit == seconds:
                    return runs  # the mutant survived, whatever the other seeds do
        if len(fastest_kills(runs)) >= majority:
            return runs
    return runs


