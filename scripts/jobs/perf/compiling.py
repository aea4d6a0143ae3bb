# SPDX-License-Identifier: Apache-2.0
"""Measures compile time for the gate, in rounds: the processor time of a command and of all
processes that it starts and waits for.

There is a command of the base and a command of the head; each is a line for sh. A command has to do
all of its work each time: nothing is measured if the command skips a file that is already there.
So each command is tried twice, and a run that takes less than a fifth of a try's time is an error.
ccache, distcc and icecc are switched off. The work of a server that compiles for others, such as
sccache's, is no work of the command's processes and can't be told from the work for other clients:
a run during which such a server worked is an error. A short command runs a few times in a round,
and the least time counts, as with a benchmark's repetitions.
"""

import contextlib
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


# With these variables the command's own processes compile.
_NO_HELPERS = {"CCACHE_DISABLE": "1", "DISTCC_HOSTS": "localhost", "ICECC": "disable"}
# Processes whose names begin like this compile for other processes.
_SERVERS = ("sccache", "distccd", "iceccd", "bazel", "java", "buildkitd", "dockerd")
_SERVERS_SHARE = 0.1  # a server that takes more than this share of the command's time worked for it


def _processor_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _servers(proc=Path("/proc")):
    """(process id, name) -> processor time in seconds, for each server that may compile for
    others."""
    found = {}
    for name in filter(str.isdigit, os.listdir(proc)):
        with contextlib.suppress(OSError, IndexError, ValueError):
            text = (proc / name / "stat").read_text(encoding="utf-8", errors="replace")
            called = text[text.index("(") + 1:text.rindex(")")]
            if called.startswith(_SERVERS):
                fields = text[text.rindex(")") + 2:].split()
                ticks = int(fields[11]) + int(fields[12])
                found[name, called] = ticks / os.sysconf("SC_CLK_TCK")
    return found


def _busiest(before, after):
    """(the name of the server that has worked most between two calls of _servers(), seconds)."""
    worked = {who: seconds - before.get(who, 0.0) for who, seconds in after.items()}
    who = max(worked, key=lambda each: worked[each], default=("", ""))
    return who[1], worked.get(who, 0.0)


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
        servers, before = _servers(), _processor_time()
        ended = bounded.run(["sh", "-e", "-c", line], max(0.05, self._clock.left()),
                            cwd=folder, env={**os.environ, **_NO_HELPERS})
        seconds = _processor_time() - before
        helper, helped = _busiest(servers, _servers())
        if ended.stopped and self._clock.left() <= 0:
            self._lose(arm, "the time was up before it had ended", late=True)
        elif ended.failed:
            self._lose(arm, f"the command {ended.why()}: {ended.words(3)}")
        elif helped > max(_SERVERS_SHARE * seconds, 2 / os.sysconf("SC_CLK_TCK")):
            self._lose(arm, f"{helper} worked meanwhile, perhaps for the command, and the work of "
                            "such a server can't be counted: the command has to do without it")
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
