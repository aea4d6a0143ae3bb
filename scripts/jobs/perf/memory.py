# SPDX-License-Identifier: Apache-2.0
"""The gate's rounds for peak memory: a process for each benchmark, whose high-water mark of resident
memory is what counts.

The mark is read from /proc while the process runs, all two milliseconds, for the process and what it
started: it never falls, so that the last reading has every peak but those of the last moment. A
benchmark therefore repeats three times, and the first one's peak is seen for certain. What the system
reports of a process that has ended (ru_maxrss) is of no use here: it is at least what the process
held that started it, this one.

A peak holds the program itself and its libraries too: a benchmark that takes little memory beside
them has to take much more before it shows.
"""

import random
import re
from pathlib import Path

from jobs.perf import decide, metrics, samples
from jobs.perf.account import Benchmark, Unmeasured

_EVERY = 0.002  # seconds
_EFFORT = samples.Effort(3, 0.005)
_MARK = re.compile(rb"^VmHWM:\s+([0-9]+) kB$", re.MULTILINE)


class Peak:
    """The most that a process, or one that it started, held at once. start() and look() go to
    bounded.run as on_start and on_tick."""

    def __init__(self):
        self._process = None
        self.bytes = 0

    def start(self, process):
        self._process = process
        self.look()

    def look(self):
        for process in _family(self._process):
            try:
                found = _MARK.search(Path(f"/proc/{process}/status").read_bytes())
            except OSError:
                continue  # it has ended
            if found:
                self.bytes = max(self.bytes, int(found[1]) * 1024)


def _family(process):
    """A process and all that descend from it."""
    found, waiting = [], [process]
    while waiting:
        one = waiting.pop()
        found.append(one)
        try:
            text = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="ascii")
        except OSError:
            continue
        waiting += map(int, text.split())
    return found


class Memory(decide.Source):
    """Rounds of processes, one a benchmark. live: a process_pairs.Live, which knows the programs and
    which benchmarks work."""

    metric = metrics.MEMORY

    def __init__(self, terminal, live, clock, seed=None):
        self._terminal = terminal
        self._live = live
        self._clock = clock
        self._random = random.Random(seed)
        self._seconds = {}  # Benchmark -> what its last round took
        self.lost = set()
        self.unmeasured = []
        self.benchmarks = [Benchmark(name.suite, name.key, self.metric)
                           for name in live.benchmarks]

    def round_seconds(self, names):
        """What a round with these benchmarks takes: what the last ones took; 0 if none ran yet."""
        known = list(self._seconds.values())
        return sum(self._seconds.get(name, sum(known) / len(known)) for name in names) \
            if known else 0.0

    def affords(self, names, count):
        seconds = self.round_seconds(names)
        if not seconds:
            return count if self._clock.left() > 0 else 0
        return max(0, min(count, int(self._clock.left() / seconds)))

    def take(self, names, count):
        rounds = []
        for number in range(count):
            made = {}
            for name in names:
                if name in self.lost:
                    continue
                if self._clock.left() <= 0:
                    return rounds
                self._terminal.progress(
                    f"{self.metric}: pair {number + 1} of {count}, {len(names)} benchmarks")
                values = self._one(name)
                if values:
                    made[name] = values
            rounds.append(made)
            if self.lost & set(names):
                break
        return rounds

    def fresh(self, names):
        self._live.renew()

    def _one(self, name):
        begun = self._clock.elapsed()
        arms = self._live.arms(name.suite)
        found = {}
        for arm in self._random.sample(arms, len(arms)):
            found[arm] = self._measure(name, arm)
            if found[arm] is None:
                return None
        self._seconds[name] = self._clock.elapsed() - begun
        return tuple(found[arm] for arm in arms)

    def _measure(self, name, arm):
        peak = Peak()
        run = self._live.program(name.suite, arm).measure(
            [name.key.name], _EFFORT, self._live.target, max(0.05, self._clock.left()),
            on_start=peak.start, on_tick=peak.look, every=_EVERY)
        if run.ended.failed or name.key not in run.readings or not peak.bytes:
            if run.ended.stopped and self._clock.left() <= 0:
                return None
            why = run.ended.why() if run.ended.failed else "left no row"
            self.lost.add(name)
            self.unmeasured.append(Unmeasured(name, {"base" if arm == "copy" else arm: why}, True))
            return None
        return peak.bytes
