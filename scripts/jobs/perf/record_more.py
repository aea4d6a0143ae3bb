# SPDX-License-Identifier: Apache-2.0
"""Measures what scripts/perf record can add to the times: peak memory, sizes, compile time."""

import math
import statistics

from jobs.perf import compiling, decide, history_files, metrics, process_pairs, sizes
from jobs.perf.memory import Memory

_ALPHA = 0.025  # one-sided, for intervals of 95 %


def of_bytes(values, metric):
    """The history's entry made from the bytes of several processes."""
    low, high = decide.bounds(values, _ALPHA)
    return history_files.Measurement(statistics.median(values), low, high, None, None, len(values),
                                     metric)


def of_times(pairs, metric=metrics.TIME):
    """The history's entry made from (time, the reference kernel's time) of several rounds."""
    found = decide.interval([math.log(time / reference) for time, reference in pairs], _ALPHA)
    return history_files.Measurement(
        found.ratio, found.low, found.high, statistics.median(time for time, _ in pairs),
        statistics.median(reference for _, reference in pairs), len(pairs), metric)


class More:
    """Measures what is asked for. suites: the process_pairs.Suite of the programs, without the
    kernel's. reference: the Benchmark of the reference kernel, which live measures."""

    def __init__(self, terminal, live, clock, pairs, seed):
        self._terminal = terminal
        self._live = live
        self._clock = clock
        self._pairs = pairs
        self._seed = seed
        self.measured = {}  # Benchmark -> history_files.Measurement
        self.unmeasured = []
        self.lacking = []  # Benchmarks for which there was no time

    def _keep(self, source, values, entry):
        self.unmeasured += source.unmeasured
        for name, found in values.items():
            made = entry(found) if len(found) >= process_pairs.FEWEST_PAIRS else None
            if made and math.isfinite(made.low) and math.isfinite(made.high):
                self.measured[name] = made
            elif name not in source.lost:
                self.lacking.append(name)

    def memory(self, reference):
        source = Memory(self._terminal, self._live, self._clock, self._seed)
        source.benchmarks = [name for name in source.benchmarks if name.suite != reference.suite]
        values = {name: [] for name in source.benchmarks}
        while True:
            names = tuple(name for name in values if name not in source.lost
                          and len(values[name]) < self._pairs)
            rounds = source.take(names, self._pairs) if names else []
            for made in rounds:
                for name, found in made.items():
                    if len(values[name]) < self._pairs:
                        values[name].append(found[0])
            if not rounds:
                break
        self._keep(source, values, lambda found: of_bytes(found, metrics.MEMORY))

    def sizes(self, suites, sections):
        source = sizes.Sizes(suites, sections)
        values = {name: [found[0] for made in source.take((name,), self._pairs)
                         for found in made.values()] for name in source.benchmarks}
        self._keep(source, values, lambda found: of_bytes(found, metrics.SIZE))

    def compile_time(self, command, folder, suite, reference):
        """Measures compile time, as a multiple of the reference kernel's time, which is measured
        after each compilation."""
        source = compiling.Compiling(self._terminal, {"head": (command, folder)}, self._clock,
                                     self._seed, suite)
        values = {name: [] for name in source.benchmarks}
        for name in values:
            for _ in range(self._pairs):
                made = source.take((name,), 1)
                kernel = self._live.take((reference,), 1) if made else None
                if not made or not kernel:
                    break
                values[name].append((made[0][name][0], kernel[0][reference][0]))
        self._keep(source, values, lambda found: of_times(found, metrics.COMPILE))
