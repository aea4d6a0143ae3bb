# SPDX-License-Identifier: Apache-2.0
"""Reads Google Benchmark's JSON of several rounds, and computes medians, spreads and ratios.

A benchmark is named BM_<Op>_<Impl>/<case>, e.g. BM_ParseGrant_Core/canonical. A round is one
process of each binary. Repetitions inside a process are not independent, so they are first reduced
to their median. The spread says how much the rounds differ. A ratio is taken inside a round, where
both sides met the same conditions.
"""

import re
import statistics
from dataclasses import dataclass, field
from typing import NamedTuple

_NAME = re.compile(r"^BM_(?P<op>\w+)_(?P<impl>[A-Za-z0-9]+)(?:/(?P<case>.*))?$")
# The parts, other than threads:N, that Google Benchmark itself adds to a name.
_DECORATION = re.compile(
    r"^(?:real_time|process_time|manual_time|(?:iterations|repeats|min_time|min_warmup_time):.*)$")
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


class Name(NamedTuple):
    op: str
    impl: str
    case: str
    threads: int

    @property
    def live(self):
        """The number N of live:N in the case, or None."""
        found = re.search(r"(?:^|/)live:(\d+)", self.case)
        return int(found[1]) if found else None


def parse_name(text):
    """The parts of a benchmark's name, or None if the name does not follow the convention."""
    match = _NAME.match(text)
    if not match:
        return None
    threads = 1
    kept = []
    for part in (match["case"] or "").split("/"):
        if part.startswith("threads:"):
            threads = int(part[len("threads:"):])
        elif part and not _DECORATION.match(part):
            kept.append(part)
    return Name(match["op"], match["impl"], "/".join(kept), threads)


class Stat(NamedTuple):
    """A median and the range it came from."""
    median: float
    low: float
    high: float

    @property
    def spread(self):
        """Half of the range as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


def stat(values):
    return Stat(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class Series:
    """The values measured under one name: metric -> round -> one value for each repetition."""
    metrics: dict = field(default_factory=dict)

    def add(self, metric, round_number, value):
        self.metrics.setdefault(metric, {}).setdefault(round_number, []).append(float(value))

    def per_round(self, metric):
        return {number: statistics.median(values)
                for number, values in self.metrics.get(metric, {}).items()}

    def stat(self, metric) -> Stat | None:
        """The median over the rounds, or over the repetitions if there is only one round."""
        rounds = self.metrics.get(metric, {})
        if len(rounds) == 1:
            return stat(next(iter(rounds.values())))
        return stat(list(self.per_round(metric).values()))


def ratio(ours, baseline, metric) -> Stat | None:
    """The ratio ours / baseline, taken in each round that both have and in which the baseline is
    above 0; None if there is no such round."""
    mine, theirs = ours.per_round(metric), baseline.per_round(metric)
    return stat([mine[number] / theirs[number]
                 for number in sorted(mine.keys() & theirs.keys()) if theirs[number] > 0])


class Results:
    """The measurements of all binaries and rounds."""

    def __init__(self):
        self.series = {}  # Name -> Series, in the order in which they were first seen
        self.errors = []  # texts
        self.unnamed = []  # names outside the convention

    def add(self, document, round_number):
        """Takes in one parsed JSON file of Google Benchmark."""
        for entry in document.get("benchmarks", []):
            if entry.get("run_type", "iteration") != "iteration":
                continue
            text = entry.get("run_name", entry["name"])
            if entry.get("error_occurred"):
                self.errors.append(f"{text}: {entry.get('error_message', 'failed')}")
                continue
            name = parse_name(text)
            if name is None:
                if text not in self.unnamed:
                    self.unnamed.append(text)
                continue
            series = self.series.setdefault(name, Series())
            series.add("ns", round_number, _nanoseconds(entry, text, name.threads))
            for metric, value in entry.items():
                if isinstance(value, (int, float)) and metric not in _NOT_METRICS:
                    series.add(metric, round_number, value)

    def find(self, op, impl, case, threads=1):
        return self.series.get(Name(op, impl, case, threads))


_NOT_METRICS = frozenset((
    "family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads",
    "iterations", "real_time", "cpu_time"))


def _nanoseconds(entry, text, threads):
    """Returns the real time if several threads work or the benchmark's name says so. In all other
    cases returns the CPU time, because other programs disturb CPU time less."""
    wants_real = threads > 1 or re.search(r"/(?:real_time|manual_time)(?:/|$)", text)
    value = entry["real_time"] if wants_real else entry["cpu_time"]
    return value * _NANOSECONDS[entry.get("time_unit", "ns")]
