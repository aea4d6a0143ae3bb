# SPDX-License-Identifier: Apache-2.0
"""Rounds of processes for jobs.perf.decide, run now: base, a second copy of it, head, and more.

In a round every program runs once with all benchmarks that are still undecided, in an order drawn
by chance. Programs run from copies whose paths are of one length (a path moves the stack), and
fresh copies are made now and then: which pages of memory a file happens to lie in is a difference
between two programs that no number of processes averages out.
"""

import random
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.common.terminal import duration
from jobs.perf import revisions, samples
from jobs.perf.error import PerfError

_ROUNDS_PER_COPY = 10


@dataclass(frozen=True)
class Suite:
    """Programs with the same benchmarks: arm -> Program; the first arm is the base."""
    name: str
    arms: dict


class Clock:
    """The time that a run may take."""

    def __init__(self, budget, now=time.monotonic):
        self._now = now
        self._start = now()
        self.budget = budget

    def elapsed(self):
        return self._now() - self._start

    def left(self):
        return self.budget - self.elapsed()


class Copies:
    """Copies of the programs of all suites, in folders whose names are of one length."""

    def __init__(self, suites, directory):
        self._suites = suites
        self._directory = Path(directory)
        self._linked = set()  # programs that run only from where they are
        self._generation = 0
        self.programs = {}  # (suite, arm) -> Program
        self.renew()

    def renew(self):
        """Makes new files of all programs, and removes the old ones."""
        old = self._directory / f"{self._generation:04}"
        self._generation += 1
        for suite in self._suites:
            for number, (arm, program) in enumerate(suite.arms.items()):
                target = (self._directory / f"{self._generation:04}" / f"{number:02}"
                          / program.path.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                self.programs[suite.name, arm] = self._copy(program, target)
        shutil.rmtree(old, ignore_errors=True)

    def _copy(self, program, target):
        target.unlink(missing_ok=True)
        if program.path not in self._linked:
            shutil.copy2(program.path, target)
            copy = replace(program, path=target)
            if self._generation > 1:
                return copy
            try:
                copy.benchmarks()
                return copy
            except (PerfError, OSError):  # it looks for its libraries beside itself, say
                self._linked.add(program.path)
                target.unlink()
        target.symlink_to(program.path.resolve())
        return replace(program, path=target)


class Live:
    """Runs rounds. Use as a context; take() is what decide.decide asks."""

    def __init__(self, terminal, suites, filter_text, effort, clock, seed=None, raw=None):
        """raw: a folder that gets the JSON of every process."""
        self._terminal = terminal
        self._suites = suites
        self._filter = filter_text
        self._effort = effort
        self._clock = clock
        self._random = random.Random(seed)
        self._raw = raw
        self._seconds = {}  # suite -> (seconds of its last round, benchmarks in it)
        self._done = 0
        self._phase = 0
        self.stage = "measuring"
        self.rounds_wanted = None
        self.contexts = {}  # suite -> the last "context" that Google Benchmark wrote
        self.missing = {}  # suite -> names that not every arm has
        self.names = {}  # benchmark -> suite

    def __enter__(self):
        run = revisions.PERF / "run"
        run.mkdir(parents=True, exist_ok=True)
        self._temporary = tempfile.TemporaryDirectory(prefix="", dir=run)
        try:
            self._directory = Path(self._temporary.name)
            self._copies = Copies(self._suites, self._directory)
            if self._raw:
                self._raw.mkdir(parents=True, exist_ok=True)
                if any(self._raw.iterdir()):
                    raise PerfError(f"{self._raw} is not empty")
            self._prepare()
        except BaseException:
            self._temporary.cleanup()
            raise
        return self

    def __exit__(self, *_reason):
        self._temporary.cleanup()
        self._terminal.clear()
        return False

    def _prepare(self):
        """Lists the benchmarks, and runs each arm's once: with checks, and to know the time."""
        for suite in self._suites:
            lists = {}
            for arm, program in suite.arms.items():
                self._terminal.progress(f"listing {program.name}")
                lists[arm] = program.benchmarks(self._filter)
            everywhere = [name for name in next(iter(lists.values()))
                          if all(name in names for names in lists.values())]
            self.missing[suite.name] = sorted(set().union(*lists.values()) - set(everywhere))
            if not everywhere:
                continue
            start = self._clock.elapsed()
            measured = set(everywhere)
            for arm, program in {str(p.path): (a, p) for a, p in suite.arms.items()}.values():
                self._terminal.progress(f"trying {program.name}, {arm}")
                measured &= set(self._process(suite, arm, everywhere, "trial", checked=True))
            programs = len({str(program.path) for program in suite.arms.values()})
            self._seconds[suite.name] = (
                (self._clock.elapsed() - start) * len(suite.arms) / programs, len(everywhere))
            for name in everywhere:
                if name in measured:
                    if name in self.names:
                        raise PerfError(f"{name} is in {self.names[name]} and in {suite.name}")
                    self.names[name] = suite.name
        if not self.names:
            raise PerfError(f"no benchmark that all have matches {self._filter or '.'!r}")

    def _process(self, suite, arm, names, label, checked=False):
        program = self._copies.programs[suite.name, arm]
        if checked:
            program = replace(program, environment={
                key: value for key, value in program.environment.items() if key != SKIP_CHECK})
        target = (self._raw or self._directory) / (
            f"{suite.name}.{label}.{arm}.json" if self._raw else "out.json")
        document = program.measure(names, self._effort, target, self._show)
        self.contexts[suite.name] = document.get("context", {})
        return samples.reduce(document)

    def round_seconds(self, names):
        """What a round with these benchmarks will take."""
        total = 0.0
        for suite, (seconds, count) in self._seconds.items():
            asked = sum(self.names[name] == suite for name in names)
            total += seconds * asked / count
        return total

    def _show(self):
        wanted = f" of {self.rounds_wanted}" if self.rounds_wanted else ""
        self._terminal.progress(
            f"{self.stage}: pair {self._done + 1}{wanted}, {duration(self._clock.elapsed())} gone, "
            f"{self._left_text}")

    _left_text = ""

    def take(self, names, count):
        rounds = []
        self.rounds_wanted = self._done + count
        for number in range(count):
            seconds = self.round_seconds(names)
            if seconds > self._clock.left():
                break
            self._left_text = (f"{len(names)} benchmarks undecided, next look in about "
                               f"{duration(seconds * (count - number))}")
            if self._done and self._done % _ROUNDS_PER_COPY == 0:
                self._copies.renew()
            rounds.append(self._round(names))
            self._done += 1
        return rounds

    def fresh(self, stage):
        """From now on new copies of all programs."""
        self.stage = stage
        self._phase += 1
        self._done = 0
        self._copies.renew()

    def _round(self, names):
        """name -> its times, in the order of the arms."""
        times = {}
        suites = list(self._suites)
        self._random.shuffle(suites)
        for suite in suites:
            asked = [name for name in names if self.names[name] == suite.name]
            if not asked:
                continue
            arms = list(suite.arms)
            self._random.shuffle(arms)
            start = self._clock.elapsed()
            label = f"{'abcd'[self._phase]}{self._done + 1:02}"
            of_arm = {arm: self._process(suite, arm, asked, label) for arm in arms}
            self._seconds[suite.name] = (self._clock.elapsed() - start, len(asked))
            for name in asked:
                for arm in arms:
                    if name not in of_arm[arm]:
                        raise PerfError(f"{name}: nothing was measured")
                times[name] = tuple(of_arm[arm][name] for arm in suite.arms)
        return times


# bench/bench_main.cc: a program that was checked once need not be in each of its processes.
SKIP_CHECK = "FFGRANT_BENCH_SKIP_CHECK"


def environment_of(paths):
    """What programs of this project, of which there is one of each arm, get in their environment.

    They skip the check only if all know how to: one that checks itself before it measures leaves
    its memory in another state, and is faster or slower by percents for it.
    """
    from jobs.bench import job as bench  # not at the top: bench imports what this does not need
    environment = dict(bench.ENVIRONMENT.get(paths[0].name, {}))
    if all(SKIP_CHECK.encode() in path.read_bytes() for path in paths):
        environment[SKIP_CHECK] = "1"
    return environment
