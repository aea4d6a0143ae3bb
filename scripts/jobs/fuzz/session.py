# SPDX-License-Identifier: Apache-2.0
"""Fuzzes one target for a time: a fast build explores, a sanitized build judges."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.fuzz import afl, findings, libfuzzer

_MOST_CRASHES = 10  # after this many crashes, a build is not started again


class EngineError(Exception):
    """A fuzzer ended in a way that is no finding."""


@dataclass(frozen=True)
class Tools:
    """The binaries of one target, and where its files go."""
    fast: Path
    sanitized: Path
    work: Path  # the working corpus
    scratch: Path  # seeds, logs, artifacts
    wrapper: tuple = ()  # words before the command of a sanitized program


@dataclass
class Role:
    """One build at work, and what its runs did: the runs that ended and the present run."""
    name: str
    child: Any = None
    status: libfuzzer.Status = field(default_factory=libfuzzer.Status)
    started: float = 0
    seconds: float = 0  # the sum over the ended runs
    executions: int = 0  # the sum over the ended runs
    crashes: int = 0
    runs: int = 0
    output: str = ""  # the output of the run that ended last

    def total(self):
        return self.executions + (self.status.executions if self.child else 0)

    def rate(self, now):
        seconds = self.seconds + (now - self.started if self.child else 0)
        return self.total() / seconds if seconds > 0 else 0

    def end(self, now):
        self.executions = self.total()
        self.seconds += now - self.started
        self.output = self.child.output()
        self.child = None


class Session:
    """Fuzzes one target. The caller calls step() a few times a second until it returns False."""

    def __init__(self, target, tools, seconds, children, *, engine="libfuzzer", pair=True, seed=0,
                 clock=time.monotonic):
        self.target, self.tools, self.seconds = target, tools, seconds
        self.findings = findings.Findings()
        self.events = []  # texts for the reader
        self._children, self._engine, self._seed, self._clock = children, engine, seed, clock
        self.fast, self.sanitized, self.last = Role("fast"), Role("sanitized"), Role("judge")
        # Each phase has roles that work at the same time, and the phase's share of the time.
        self._phases: list[tuple[tuple[Role, ...], float]]
        if engine == "afl":
            self._phases = [((self.fast,), 1.0)]
        elif pair:
            self._phases = [((self.fast, self.sanitized), 1.0)]
        else:
            self._phases = [((self.fast,), 2 / 3), ((self.sanitized,), 1 / 3)]
        self._running: tuple[Role, ...] = ()
        self._deadline = 0
        self.begun = None
        self.first_edges = None
        self._seeds = tools.scratch / "seeds"

    def _prepare(self):
        shutil.rmtree(self.tools.scratch, ignore_errors=True)
        self._seeds.mkdir(parents=True)
        self.tools.work.mkdir(parents=True, exist_ok=True)
        if self._engine == "afl":
            afl.prepare_seeds(self.target, self._seeds)
            return
        # The corpus is a copy, so that an input that crashes can be left out of the next run.
        for path in self.target.seeds():
            data = path.read_bytes()
            (self._seeds / libfuzzer.digest(data)).write_bytes(data)

    def _start(self, role):
        role.runs += 1
        role.status = libfuzzer.Status()
        role.started = self._clock()
        left = max(1, round(self._deadline - role.started))
        log = self.tools.scratch / f"{role.name}-{role.runs}.log"
        fast = role is self.fast
        if self._engine == "afl" and fast:
            command = afl.command(self.tools.fast, self.target, self._seeds, self._afl_out(), left,
                                  self._seed)
            role.child = self._children.start(command, log=log, env=afl.environment(),
                                              cwd=self.tools.scratch)
            return
        flags = ["-runs=0"] if role is self.last else [f"-max_total_time={left}"]
        if self._seed:
            # Each run gets another seed, or the second run would do what the first did.
            flags.append(f"-seed={self._seed + 1000 * role.runs + (0 if fast else 1)}")
        command = libfuzzer.command(
            self.tools.fast if fast else self.tools.sanitized, self.target,
            self.tools.scratch / f"{role.name}-", (self.tools.work, self._seeds), flags,
            () if fast else self.tools.wrapper)
        role.child = self._children.start(command, log=log, env=libfuzzer.environment(),
                                          cwd=self.tools.scratch)

    def _afl_out(self):
        return self.tools.scratch / "afl"

    def step(self):
        now = self._clock()
        if self.begun is None:
            self.begun = now
            self._prepare()
        if not self._running:
            if not self._next_phase(now):
                return False
        for role in self._running:
            self._look_after(role)
        self._running = tuple(role for role in self._running if role.child)
        return True

    def _next_phase(self, now):
        if self._phases:
            self._running, share = self._phases.pop(0)
            self._deadline = now + self.seconds * share
        elif not self.last.runs:
            if self._engine == "afl":
                self._import_from_afl()
            self._running = (self.last,)
            self._deadline = now
        else:
            return False
        for role in self._running:
            self._start(role)
        return True

    def _look_after(self, role):
        """Reads what a role printed, ends the role if it is late, and restarts it after a crash."""
        status = role.child.status()  # asked first, so that the last output is not missed
        self._read(role)
        now = self._clock()
        if status is None:
            # An engine ends by itself when its time is up, but only between two executions.
            if role is not self.last and now > self._deadline + 30:
                role.child.end()
            return
        role.end(now)
        if status in (0, libfuzzer.INTERRUPTED):
            return
        if role.status.artifact is None:
            tail = "\n".join(role.output.splitlines()[-15:])
            raise EngineError(f"{self.target.name}, {role.name}: status {status}\n{tail}")
        self._crashed(role)
        role.crashes += 1
        if self.target.is_canary:  # the canary has only one finding
            self._deadline = now - 30
            self._phases.clear()
        wanted = role is self.last or self._deadline - now > 1
        if wanted and role.crashes < _MOST_CRASHES:
            self._start(role)

    def _read(self, role):
        if self._engine == "afl" and role is self.fast:
            stats = afl.stats(self._afl_out())
            role.status.executions = int(stats.get("execs_done", 0))
            role.status.edges = int(stats.get("edges_found", 0))
            role.status.counters = int(stats.get("total_edges", 0))
            role.status.corpus = int(stats.get("corpus_count", 0))
        else:
            for line in role.child.new_lines():
                role.status.read(line)
        if role.status.edges and self.first_edges is None:
            self.first_edges = role.status.edges

    def _crashed(self, role):
        fast = role is self.fast
        binary, wrapper = ((self.tools.fast, ()) if fast
                           else (self.tools.sanitized, self.tools.wrapper))
        data = self._artifact(role, binary, wrapper)
        self._found(data, role.output, binary, wrapper)
        # The input is removed, because it would end the next run before that run begins.
        for folder in (self.tools.work, self._seeds):
            (folder / libfuzzer.digest(data)).unlink(missing_ok=True)

    def _artifact(self, role, binary, wrapper):
        """The input that failed; raises if the fuzzer died while no input was running.

        If the fuzzer died that way, libFuzzer leaves an empty file, as it does if the empty input
        failed. A run on the empty file tells the two cases apart.
        """
        path = role.status.artifact
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"{self.target.name}, {role.name}: no input to read: {error}") from error
        finding = findings.Finding("", data, "", binary, wrapper)
        if not data and findings.run_on(finding, path)[0] == 0:
            tail = "\n".join(role.output.splitlines()[-15:])
            raise EngineError(f"{self.target.name}, {role.name}: died while no input was running, "
                              f"perhaps in its mutator\n{tail}")
        return data

    def _found(self, data, output, binary, wrapper):
        new = self.findings.add(data, output, binary, wrapper)
        if new:
            self.events.append(f"{self.target.name}: FOUND {new.signature}")

    def _import_from_afl(self):
        """Adds AFL++'s queue to the working corpus. The first 50 crashes and the first 50 hangs
        that AFL++ has found are run once more right away."""
        for path in afl.inputs(self._afl_out(), "queue"):
            data = path.read_bytes()
            (self.tools.work / libfuzzer.digest(data)).write_bytes(data)
        for kind in ("crashes", "hangs"):
            for path in afl.inputs(self._afl_out(), kind)[:50]:
                self._confirm(path)

    def _confirm(self, path):
        """Runs once more an input that AFL++ has found, because AFL++ keeps no output. The
        sanitized build's output says most; if that build does not fail, the build that AFL++ ran
        gives the output."""
        for binary, wrapper in ((self.tools.sanitized, self.tools.wrapper), (self.tools.fast, ())):
            status, output = findings.run_on(findings.Finding("", b"", "", binary, wrapper), path)
            if status != 0:
                self._found(path.read_bytes(), output, binary, wrapper)
                return
        self.events.append(f"{self.target.name}: failed under AFL++ only, perhaps too slow: {path}")

    def describe(self):
        """A text for the progress line."""
        now = self._clock()
        status = self.fast.status if self.fast.child else self.sanitized.status
        if self.last.child:
            return f"{self.target.subject}: the sanitized build runs the working corpus"
        new = max(0, status.edges - (self.first_edges or status.edges))
        return (f"{self.target.subject} {now - (self.begun or now):.0f}/{self.seconds:.0f} s  "
                f"{short(self.fast.rate(now))} + {short(self.sanitized.rate(now))} exec/s  "
                f"cov {status.edges} (+{new})  ft {status.features}  corp {status.corpus}  "
                f"found {len(self.findings)}")


def short(number):
    """A number with three digits at most: 1.25 M, 812 k, 93."""
    for limit, letter in ((1e6, " M"), (1e3, " k")):
        if number >= limit:
            value = number / limit
            return (f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95
                    else f"{value:.0f}") + letter
    return f"{number:.0f}"
