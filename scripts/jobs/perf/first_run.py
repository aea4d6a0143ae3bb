# SPDX-License-Identifier: Apache-2.0
"""Runs each program of a gate for the first time: lists the program's benchmarks and tries each of
them once, from a path where the program works (copies.py)."""

from dataclasses import replace

from jobs.perf import trial as perf_trial
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import FAILED, SKIPPED

_LEAST_STALL = 5.0  # seconds
_STALL_SHARE = 0.1  # share of the budget; a slower benchmark leaves no time for ten pairs
# See bench/bench_main.cc: a program that has checked itself once need not do so in each process.
SKIP_CHECK = "FFGRANT_BENCH_SKIP_CHECK"


def stall(clock):
    """The seconds within which a benchmark must write its row."""
    return max(_LEAST_STALL, _STALL_SHARE * clock.budget)


def _may_miss_files(trial):
    """Whether a program may have looked in vain for files beside itself: a process of it died, or a
    benchmark says that it failed or was skipped."""
    return trial.died or any(reason.startswith((FAILED, SKIPPED))
                             for reason in trial.reasons.values())


class FirstRun:
    """Tries programs. keep(suite, label, arm, data), if given, gets the JSON of each process."""

    def __init__(self, terminal, copies, filter_text, effort, clock, target, keep=None):
        self._terminal = terminal
        self._copies = copies
        self._filter = filter_text
        self._effort = effort
        self._clock = clock
        self._target = target
        self._keep = keep

    def trial(self, suite, arm):
        """The trial.Trial of an arm, run from a path where the program works. Raises PerfError."""
        while self._copies.loads_others(suite, arm) and self._copies.next_way(suite, arm):
            pass
        while True:
            try:
                trial = self._here(suite, arm)
                break
            except PerfError:
                if self._clock.left() <= 0 or not self._copies.next_way(suite, arm):
                    raise
        if not _may_miss_files(trial) or self._clock.left() <= 0 \
                or not self._copies.in_place(suite, arm):
            return trial
        try:
            again = self._here(suite, arm)  # the program may miss files beside it
            if len(again.times) > len(trial.times):
                return again
        except PerfError:
            pass
        self._copies.back(suite, arm)
        return trial

    def _here(self, suite, arm):
        program = self._copies.programs[suite.name, arm]
        program = replace(program, environment={
            key: value for key, value in program.environment.items() if key != SKIP_CHECK})
        original = suite.arms[arm]
        self._terminal.progress(f"listing {original.name}")
        start = self._clock.elapsed()
        listing = program.listing(self._filter, max(1.0, min(self._clock.left(),
                                                             10 + stall(self._clock))))
        listed = self._clock.elapsed() - start
        self._terminal.progress(f"trying {original.name}, {arm}")
        limits = perf_trial.Limits(self._clock.left, stall(self._clock) + 2 * listed)
        pieces = []
        trial = perf_trial.run(
            program, listing.keys, self._effort, self._target, limits,
            keep=pieces.append if self._keep else None, everything=not self._filter)
        for number, data in enumerate(pieces, 1):
            self._keep(suite.name, f"trial{'' if number == 1 else number}", arm, data)
        trial.start = min(listed / 2, trial.seconds)
        if listing.doubt:
            perf_trial.leave_out_noise(program, trial, listing.doubt, max(1.0, self._clock.left()))
        return trial
