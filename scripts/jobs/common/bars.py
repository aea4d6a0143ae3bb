# SPDX-License-Identifier: Apache-2.0
"""Lists the figures to reach, and reads each figure from the results."""

import re
from dataclasses import dataclass

from jobs.common.gbench import Stat, ratio


@dataclass(frozen=True)
class Bar:
    """A figure to reach, with two bars: `first`, and `goal`, which is as hard or harder. If several
    benchmarks fit, the worst one counts."""
    what: str
    op: str  # op, impl and case are regular expressions that have to match the whole text
    impl: str
    case: str
    metric: str
    first: float
    goal: float
    at_most: bool  # whether the figure must not exceed a bar; else it must reach the bar
    baseline: str = ""  # implementation to divide by; empty: the metric itself
    inverse: bool = False  # whether the ratio is baseline / ours, not ours / baseline
    unit: str = "x"
    scale: float = 1.0
    threads: int = 1  # of the benchmark; 0: any number
    # How many threads the baseline's row has; 0: as many as the row itself. With another number the
    # baseline may be the row's own implementation.
    baseline_threads: int = 0


BARS = (
    Bar("strict key parse: time / from_chars",
        "ParsePartitionKeyStrict", "Core", "random", "ns", 0.5, 0.2, True, "FromChars"),
    Bar("execution id parse (3 GHz core)",
        "ParseExecutionId(Strict)?", "Core", "valid|random|canonical", "ns", 8, 4, True,
        unit=" ns"),
    Bar("grant from JSON: speed / simdjson",
        "ParseGrant", "Core", "canonical", "ns", 2.5, 5, False, "SimdjsonOnDemand", inverse=True),
    Bar("grant to JSON: time / memcpy",
        "SerializeGrant", "Core", "canonical", "ns", 6, 3, True, "Memcpy"),
    Bar("pairs, 1 M live: x Abseil, text",
        "ClaimPairs", "Ledger", "live:1000000", "items_per_second", 1.8, 1.8, False,
        "AbslMapString"),
    Bar("pairs, 1 M live: x Abseil, uuid",
        "ClaimPairs", "Ledger", "live:1000000", "items_per_second", 1.8, 1.8, False,
        "AbslMapUuid"),
    Bar("pairs, 1,000 live: 2 threads x 1",
        "ClaimPairs", "Ledger", "live:1000", "items_per_second", 1.7, 1.7, False, "Ledger",
        threads=2, baseline_threads=1),
    Bar("pairs, 16,384 live: 2 threads x 1",
        "ClaimPairs", "Ledger", "live:16384", "items_per_second", 1.7, 1.7, False, "Ledger",
        threads=2, baseline_threads=1),
    Bar("full cycle, hot, 1 thread",
        "ClaimCycle", "Ledger", "live:1000", "items_per_second", 4, 8, False,
        unit=" M/s", scale=1e-6),
    Bar("grant to one with 32 capabilities",
        "IssueGrant", "Ledger", r"live:\d+/capabilities:32", "ns", 300, 300, True, unit=" ns"),
    Bar("claim for worker, 512 requirement sets",
        "ClaimForWorker", "Ledger", r"live:\d+/sets_in_a_partition:512", "ns", 5, 5, True,
        unit=" us", scale=1e-3),
    Bar("memory of an execution, 1 M live",
        "LedgerMemory", "Ledger", "live:1000000", "bytes_per_execution", 200, 200, True,
        unit=" B"),
    Bar("allocations per operation, at most",
        ".*", "Core.*|Ledger.*", ".*", "allocs_per_op", 0, 0, True, unit="", threads=0),
)


@dataclass(frozen=True)
class ReferenceBar:
    """A figure to reach in ./scripts/bench --peers: core has to be at least `at_least` times as
    fast as the reference."""
    what: str
    op: str
    case: str
    at_least: float
    reference: str = "Reference"  # the implementation's name

    def verdict(self, interval):
        """Judges the whole confidence interval, or the median if there is no interval, and returns
        the verdict."""
        low = interval.median if interval.low is None else interval.low
        high = interval.median if interval.high is None else interval.high
        if low >= self.at_least:
            return "met"
        return "MISSED" if high < self.at_least else "undecided"


REFERENCE_BARS = (
    ReferenceBar("partition key parse", "ParsePartitionKeyLenient", "random", 2),
    ReferenceBar("execution id parse", "ParseExecutionIdLenient", "valid", 6),
    ReferenceBar("grant decode", "ParseGrant", "canonical", 8),
    ReferenceBar("grant encode", "SerializeGrant", "canonical", 5),
    ReferenceBar("grant encode, the reference's buffer reused", "SerializeGrant", "canonical", 5,
                 "ReferenceReused"),
    ReferenceBar("mint, uuid given", "MintExecutionId", "deterministic", 6),
    ReferenceBar("mint, random uuid", "MintExecutionIdRandom", "random", 6),
)


@dataclass(frozen=True)
class Verdict:
    bar: Bar
    value: Stat | None  # None where nothing was measured

    def meets(self, limit):
        if self.value is None:
            return None
        median = self.value.median
        return median <= limit if self.bar.at_most else median >= limit

    def limit_text(self, limit):
        return f"{'<=' if self.bar.at_most else '>='} {limit:g}{self.bar.unit}"


def _value(bar, results, name, series) -> Stat | None:
    if not bar.baseline:
        found = series.stat(bar.metric)
    else:
        baseline = results.find(name.op, bar.baseline, name.case,
                                bar.baseline_threads or name.threads)
        if baseline is None:
            return None
        pair = (baseline, series) if bar.inverse else (series, baseline)
        found = ratio(*pair, bar.metric)
    return found and Stat(*(value * bar.scale for value in found))


def judge(results, bars=BARS):
    """A Verdict for each bar."""
    verdicts = []
    for bar in bars:
        values = []
        for name, series in results.series.items():
            fits = (re.fullmatch(bar.op, name.op) and re.fullmatch(bar.impl, name.impl)
                    and re.fullmatch(bar.case, name.case)
                    and (not bar.threads or name.threads == bar.threads))
            value = _value(bar, results, name, series) if fits else None
            if value is not None:
                values.append(value)
        worst = max if bar.at_most else min
        verdicts.append(Verdict(bar, worst(values, key=lambda v: v.median) if values else None))
    return verdicts
