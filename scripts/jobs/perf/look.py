# SPDX-License-Identifier: Apache-2.0
"""Makes one look of the gate at one benchmark: turns pairs into intervals, and intervals into a
verdict. decide.py has the procedure and its reasons."""

import math
import statistics
from dataclasses import dataclass, field
from functools import cache
from typing import Optional

REGRESSED, IMPROVED, CLEAN = "regressed", "improved", "clean"
INCONCLUSIVE, INVALID = "inconclusive", "invalid"
SUSPECTED = "suspected"  # the benchmark seemed slower, but this could not be confirmed


@dataclass(frozen=True)
class Rules:
    """alphas, confirm_alphas: the one-sided error probability that each look may spend, in the
    first measurement (1 % in all) and in the confirmation (5 % in all)."""
    looks: tuple = (10, 20, 40)
    alphas: tuple = (0.002, 0.003, 0.005)
    confirm_alphas: tuple = (0.01, 0.015, 0.025)
    floor: float = math.log(1.02)
    noise_factor: float = 3.0
    noise_alpha: float = 0.025  # one-sided, of the A/A interval from which the margin is made
    widest: float = math.log(1.05)  # with a wider margin nothing is called clean
    promising: float = 0.02  # an uncorrected p-value, up to which a benchmark looks slower
    share: float = 0.65  # a look of the first measurement may use this share of the time left


@dataclass(frozen=True)
class Interval:
    """A ratio: the estimate of its median and the bounds of its confidence interval."""
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """What is known about one benchmark. margin is a ratio, e.g. 1.02; p is after the correction
    for the number of benchmarks; base_ns and head_ns are medians over the processes, in bytes for
    memory and sizes."""
    verdict: str
    head: Interval
    same: Interval  # the A/A arm
    margin: float
    p: float
    pairs: int
    base_ns: float
    head_ns: float
    note: str = ""
    confirmation: Optional["Result"] = None
    out_of_time: bool = False  # whether more time might have told more
    # Nanoseconds (or bytes) of the fastest (or smallest) process of each side: other programs can
    # only make a process slower.
    base_least: float = 0.0
    head_least: float = 0.0


@cache
def _tail(beyond, count):
    """The p-value of the sign test, P(X >= beyond)."""
    from scipy.stats import binom
    return float(binom.sf(beyond - 1, count, 0.5))


def bounds(logs, alpha):
    """Confidence bounds of the median of `logs`, each wrong with a probability of at most alpha."""
    from jobs.common import intervals
    rank = intervals.median_rank(len(logs), alpha)
    if rank == 0:  # too few values to say anything at this level
        return -math.inf, math.inf
    ordered = sorted(logs)
    return ordered[rank - 1], ordered[-rank]


def interval(logs, alpha):
    low, high = bounds(logs, alpha)
    return Interval(math.exp(statistics.median(logs)), math.exp(low), math.exp(high))


@dataclass
class Samples:
    """The nanoseconds, or the bytes, of one benchmark, one value for each process. Equal indices
    belong to one round."""
    base: list = field(default_factory=list)
    copy: list = field(default_factory=list)
    head: list = field(default_factory=list)

    def add(self, base, copy, head):
        self.base.append(base)
        self.copy.append(copy)
        self.head.append(head)

    def __len__(self):
        return len(self.base)

    @property
    def head_logs(self):
        return [math.log(head / base) for base, head in zip(self.base, self.head)]

    @property
    def same_logs(self):
        return [math.log(copy / base) for base, copy in zip(self.base, self.copy)]


@dataclass(frozen=True)
class Look:
    """One benchmark's figures at one look. The bounds and the margin are logarithms of ratios."""
    low: float
    high: float
    same_low: float
    same_high: float
    margin: float
    slower_p: float
    faster_p: float
    differ_p: float  # two-sided p-value of the A/A arm


def look_at(samples, alpha, rules):
    logs, same = samples.head_logs, samples.same_logs
    noise_low, noise_high = bounds(same, rules.noise_alpha)
    margin = max(rules.floor, rules.noise_factor * (noise_high - noise_low) / 2)
    low, high = bounds(logs, alpha)
    same_low, same_high = bounds(same, alpha)
    return Look(low, high, same_low, same_high, margin,
                 _tail(sum(value > margin for value in logs), len(logs)),
                 _tail(sum(value < -margin for value in logs), len(logs)),
                 min(1.0, 2 * _tail(max(sum(value > rules.floor for value in same),
                                        sum(value < -rules.floor for value in same)), len(same))))


def verdict_of(look, p, alpha, last, rules):
    """The verdict at a look, None if more pairs are wanted."""
    if p.differ <= 2 * alpha and (look.same_low > rules.floor or look.same_high < -rules.floor):
        return INVALID
    if p.slower <= alpha and look.low > look.margin:
        return REGRESSED
    if p.faster <= alpha and look.high < -look.margin:
        return IMPROVED
    if look.margin <= rules.widest and look.high < look.margin and (
            last or look.low > -look.margin):
        return CLEAN
    return INCONCLUSIVE if last else None


def result_of(verdict, samples, look, alpha, p, note="", out_of_time=False):
    return Result(verdict, interval(samples.head_logs, alpha), interval(samples.same_logs, alpha),
                  math.exp(look.margin), p, len(samples), statistics.median(samples.base),
                  statistics.median(samples.head), note, None, out_of_time,
                  min(samples.base), min(samples.head))


def note_of(verdict, look, pairs, out_of_time, rules):
    """Why a benchmark has no useful verdict; empty if it has one."""
    if verdict == INVALID:
        return "two copies of the base differ"
    if verdict != INCONCLUSIVE:
        return ""
    noisy = look.margin > rules.widest and pairs >= rules.looks[0]
    said = f"copies of the base differ by up to {math.expm1(look.margin):.0%}" if noisy else ""
    if out_of_time:
        return f"the time was up after {pairs} pairs" + (f"; {said}" if said else "")
    return f"too noisy: {said}" if said else "too close to the margin to tell"
