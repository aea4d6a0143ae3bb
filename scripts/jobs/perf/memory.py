# SPDX-License-Identifier: Apache-2.0
"""Measures peak memory for the gate, in rounds: each benchmark has a process of its own, and the
high-water mark of the process' resident memory counts.

The mark is read from /proc every two milliseconds while the process runs, for the process and all
that it started. The mark never falls, so the last reading has every peak except those of the last
moment. Therefore a benchmark runs in three repetitions: any reading after the first repetition has
the benchmark's peak. If a process ends so soon that no reading is late enough, it is run again, and
for longer if its life was short. The figure that the system reports after a process has ended
(ru_maxrss) is of no use here: it is at least as large as the memory of this process, which started
the measured process.

A peak includes the program itself and its libraries. A benchmark that takes little memory compared
with the program and the libraries has to take much more before the growth shows.
"""

import random
import re
import time
from dataclasses import replace
from pathlib import Path

from jobs.perf import decide, metrics, samples
from jobs.perf.account import Benchmark, Unmeasured

_EVERY = 0.002  # seconds
_EFFORT = samples.Effort(3, 0.005)
_LATE = 0.6  # a reading is late after this share of the process's life
_SHORT = 0.05  # seconds: in a shorter life any reading may come too early
_LONGER = 8  # a process that ended too soon runs this many times as long
_MOST_TRIES = 12
_SHARED = "has the name of another benchmark, whose process is its own too"
_MARK = re.compile(rb"^VmHWM:\s+([0-9]+) kB$", re.MULTILINE)


class Peak:
    """The most memory that a process, or a process that it started, held at once. start() and
    look() go to bounded.run as on_start and on_tick."""

    def __init__(self):
        self._process = None
        self._start = self._last = 0.0
        self.bytes = 0

    def start(self, process):
        self._process = process
        self._start = self._last = time.monotonic()
        self.look()

    def is_late(self, seconds):
        """Whether the last reading was late enough in a process' life of this many seconds."""
        return self.bytes > 0 and self._last - self._start >= _LATE * seconds

    def look(self):
        for process in _family(self._process):
            try:
                found = _MARK.search(Path(f"/proc/{process}/status").read_bytes())
            except OSError:
                continue  # the process has ended
            if found:
                self._last = time.monotonic()
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
    """Rounds of processes, one process for each benchmark. live: a process_pairs.Live, which knows
    the programs and which benchmarks work."""

    metric = metrics.MEMORY

    def __init__(self, terminal, live, clock, seed=None):
        self._terminal = terminal
        self._live = live
        self._clock = clock
        self._random = random.Random(seed)
        self._seconds = {}  # Benchmark -> the seconds of its last round
        self._efforts = {}  # Benchmark -> samples.Effort, if it was made longer
        self._life = 0.0  # seconds that the last process took
        self._phase = 0
        self._done = 0  # rounds of this phase
        self.lost: set = set()
        asked = [Benchmark(name.suite, name.key, self.metric) for name in live.benchmarks]
        self.benchmarks = [name for name in asked if name.key.nth == 1]
        # A filter has only names, so benchmarks of one name run in one process.
        self.unmeasured = [Unmeasured(name, {"base and head": _SHARED}, False)
                           for name in asked if name.key.nth > 1]

    def round_seconds(self, names):
        """The seconds of a round with these benchmarks, by their last rounds or by the trial's
        pace."""
        return sum(self._seconds.get(name) or sum(
            self._live.seconds(name.suite, arm, 1) for arm in self._live.arms(name.suite))
            for name in names)

    def affords(self, names, count):
        return max(0, min(count, int(self._clock.left() / max(self.round_seconds(names), 1e-9))))

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
            self._done += 1
            if self.lost & set(names):
                break
        return rounds

    def fresh(self, names):
        self._live.renew()
        self._phase += 1
        self._done = 0

    def _one(self, name):
        """The peaks of one round; None if there are none. If a process ended too soon, the round
        begins anew, so that all arms do the same."""
        arms = self._live.arms(name.suite)
        for _ in range(_MOST_TRIES):
            begun = self._clock.elapsed()
            effort = self._efforts.get(name, _EFFORT)
            found = {}
            for arm in self._random.sample(arms, len(arms)):
                found[arm] = self._measure(name, arm, effort)
                if not found[arm]:
                    break
            if found[arm] is None:
                return None
            if found[arm]:
                self._seconds[name] = self._clock.elapsed() - begun
                return tuple(found[arm] for arm in arms)
            if self._life < _SHORT:
                self._efforts[name] = replace(effort, min_time=effort.min_time * _LONGER)
        self._lose(name, arm, "ends before its memory can be read")
        return None

    def _lose(self, name, arm, why):
        self.lost.add(name)
        self.unmeasured.append(Unmeasured(name, {"base" if arm == "copy" else arm: why}, True))

    def _measure(self, name, arm, effort):
        """The peak in bytes; 0 if the process ended too soon, None if it failed or the time was
        up."""
        peak = Peak()
        run = self._live.program(name.suite, arm).measure(
            [name.key.name], effort, self._live.target, max(0.05, self._clock.left()),
            on_start=peak.start, on_tick=peak.look, every=_EVERY)
        self._life = run.ended.seconds
        kept = self._live.keep(
            name.suite, f"memory-{samples.round_name(self._phase, self._done)}."
            f"{self.benchmarks.index(name) + 1:03}", arm, run.data)
        if kept:
            kept.with_suffix(".bytes").write_text(f"{peak.bytes}\n", encoding="ascii")
        if run.ended.stopped and self._clock.left() <= 0:
            return None
        if run.ended.failed or name.key not in run.readings:
            self._lose(name, arm, run.ended.why() if run.ended.failed else "left no row")
            return None
        if not run.readings[name.key].has_run:  # the memory is that of a part of its work
            self._lose(name, arm, run.readings[name.key].reason)
            return None
        return peak.bytes if peak.is_late(run.ended.seconds) else 0
