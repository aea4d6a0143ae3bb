# SPDX-License-Identifier: Apache-2.0
"""Measures compile time for the gate, in rounds: the processor time of a command and of all
processes that it starts and waits for.

There is a command of the base and a command of the head; each is a line for sh. A command has to do
all of its work each time: nothing is measured if the command skips a file that is already there.
So each command is tried twice, and a run that takes less than a fifth of a try's time is an error.
ccache is switched off. A short command runs a few times in a round, and the least time counts, as
with a benchmark's repetitions.
"""

import os
import random
import resource
from pathlib import Path

from jobs.common import bounded
from jobs.perf import decide, metrics
from jobs.perf.account import Benchmark, Unmeasured
from jobs.perf.gbench_json import Key

SUITE = "build"  # the gate's texts do not show this name, since there is only one such suite
_LEAST = 1e-3  # seconds; for less time the kernel's clock is too coarse
_SAME_WORK = 0.2  # the least share of a try's processor time that each run of its arm has to take
_ENOUGH = 2.0  # seconds that an arm's runs in a round may take, if there is more than one
_MOST_RUNS = 5


def _processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Compiling(decide.Source):
    """Rounds in which each arm's command runs. commands: arm -> (line for sh, folder). The gate's
    first arm is the base, and "copy" is the base once more; record has only the arm "head"."""

    def __init__(self, terminal, commands, clock, seed=None, suite=SUITE):
        self._terminal = terminal
        self._commands = commands
        self._clock = clock
        self._random = random.Random(seed)
        self._seconds = 0.0
        self._work = {}  # arm -> the most seconds of its tries
        self._runs = 1  # the number of runs of each arm in a round
        self.name = Benchmark(suite, Key("build"), metrics.COMPILE)
        self.benchmarks, self.unmeasured = [self.name], []
        self.lost: set = set()
        self._try()

    def _try(self):
        """Runs each command twice. The first time also brings its files into memory."""
        tried = [arm for arm in self._commands if arm != "copy"]
        for _ in range(2):
            begun = self._clock.elapsed()
            for arm in tried:
                nanoseconds = self._once(arm)
                if self.lost:
                    self.benchmarks = []
                    return
                self._work[arm] = max(self._work.get(arm, 0.0), nanoseconds * 1e-9)
        a_run = (self._clock.elapsed() - begun) / len(tried)
        self._runs = max(1, min(_MOST_RUNS, int(_ENOUGH / max(a_run, 1e-3))))
        self._seconds = a_run * self._runs * len(self._commands)

    def round_seconds(self, _names):
        return self._seconds

    def affords(self, names, count):
        return max(0, min(count, int(self._clock.left() / max(self._seconds, 1e-9))))

    def take(self, names, count):
        rounds = []
        for number in range(count):
            begun = self._clock.elapsed()
            self._terminal.progress(f"compile time: pair {number + 1} of {count}")
            found = {arm: [] for arm in self._commands}
            for _ in range(self._runs):  # in turn, so that a busy second hits all arms
                for arm in self._random.sample(list(self._commands), len(self._commands)):
                    found[arm].append(self._once(arm))
                    if found[arm][-1] is None:
                        return rounds
            self._seconds = self._clock.elapsed() - begun
            rounds.append({self.name: tuple(map(min, found.values()))})
        return rounds

    def _once(self, arm):
        """The nanoseconds of one run; None if the command failed, did not do all of its work, or
        had not ended when the time was up."""
        line, folder = self._commands[arm]
        before = _processor_time()
        ended = bounded.run(["sh", "-e", "-c", line], max(0.05, self._clock.left()),
                            cwd=folder, env={**os.environ, "CCACHE_DISABLE": "1"})
        seconds = _processor_time() - before
        if ended.stopped and self._clock.left() <= 0:
            self._lose(arm, "the time was up before it had ended", late=True)
        elif ended.failed:
            self._lose(arm, f"the command {ended.why()}: {ended.words(3)}")
        elif seconds < _LEAST:
            self._lose(arm, "the command takes no time: it has to do all of its work each time")
        elif seconds < _SAME_WORK * self._work.get("base" if arm == "copy" else arm, 0.0):
            self._lose(arm, "the command did not do its work again: it has to do all of its work "
                            "each time")
        else:
            return seconds * 1e9
        return None

    def _lose(self, arm, why, late=False):
        if late and self._seconds:
            return  # only finished rounds count
        self.lost.add(self.name)
        side = "base" if arm == "copy" else arm
        self.unmeasured.append(Unmeasured(self.name, {side: why}, not late, late))


def commands(base, head, base_folder=None, head_folder=None):
    """The commands for Compiling, made from a line for each side."""
    folders = [Path(folder) if folder else None for folder in (base_folder, head_folder)]
    return {"base": (base, folders[0]), "copy": (base, folders[0]), "head": (head, folders[1])}
