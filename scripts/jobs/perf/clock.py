# SPDX-License-Identifier: Apache-2.0
"""Keeps the time that a run may take, and estimates the time that its processes take."""

import time
from dataclasses import dataclass


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

    def share(self, seconds):
        """Another clock, whose time is up after this many seconds, or when this clock's time is
        up."""
        return _Share(self, seconds)


class _Share(Clock):
    def __init__(self, whole, seconds):
        super().__init__(seconds, whole._now)
        self._whole = whole

    def left(self):
        return min(super().left(), self._whole.left())


@dataclass
class Pace:
    """An estimate of how long a process of an arm takes, made from the trial and from the last
    process."""
    start: float  # seconds of a process that runs no benchmark
    rate: float  # seconds for one more benchmark
    last: tuple = (0, 0.0)  # (benchmarks, seconds) of the last process

    def seconds(self, count):
        return self.last[1] if count == self.last[0] else self.start + self.rate * count

    def saw(self, count, seconds):
        self.last = (count, seconds)
        self.start = min(self.start, seconds)
