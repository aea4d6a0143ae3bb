# SPDX-License-Identifier: Apache-2.0
"""The gate's procedure: from process pairs to a verdict for each benchmark. Runs nothing itself.

decide() asks for rounds of processes until it can tell; where they come from (programs that run
now, or a recording) is the caller's. A round gives a benchmark three numbers: the base's time, that
of a second copy of the base, and the head's. The unit is the pair: log(head / base), and for the
A/A arm log(copy / base).

A look after 10, 20 and 40 pairs. At each:

- A/A: its interval of 95 % says how well the machine can tell today; the margin is 2 % or three
  times its half-width, whichever is more. An A/A interval wholly beyond 2 % makes the benchmark's
  timing invalid: two copies of one program differ.
- regressed, if the interval of log(head / base) lies above the margin, also after the correction
  for the number of benchmarks (Benjamini-Hochberg); improved, if below the negative margin.
- clean, if the interval lies between the margins, and the margin is not wider than what the gate
  promises to find; at the last look it may reach below: that is no regression.
- else more pairs, and after the last look inconclusive.

Each look spends a part of the error probability, so that looking three times is not three tests.
What regressed is measured once more from the start with fresh pairs, from fresh copies of the
programs; only what regresses there too stays regressed.

Intervals and p-values are those of the sign test, i.e. of the median: they need no distribution,
and a pair that a neighbour spoilt weighs no more than any other. With the order within a round
drawn by chance, log(head / base) of equal programs is as often positive as negative.
"""

import math
import statistics
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Optional

from scipy.stats import binom
from statsmodels.stats.multitest import fdrcorrection

REGRESSED, IMPROVED, CLEAN = "regressed", "improved", "clean"
INCONCLUSIVE, INVALID = "inconclusive", "invalid"


@dataclass(frozen=True)
class Rules:
    """alphas: one-sided error probability that each look may spend; 1 % in all, 5 % to confirm."""
    looks: tuple = (10, 20, 40)
    alphas: tuple = (0.002, 0.003, 0.005)
    confirm_alphas: tuple = (0.01, 0.015, 0.025)
    floor: float = math.log(1.02)
    noise_factor: float = 3.0
    noise_alpha: float = 0.025  # one-sided, of the A/A interval that the margin is made of
    widest: float = math.log(1.05)  # beyond this margin nothing is called clean


@dataclass(frozen=True)
class Interval:
    """Of a ratio: the median's estimate and the bounds of its confidence interval."""
    ratio: float
    low: float
    high: float


@dataclass(frozen=True)
class Result:
    """What is known about one benchmark. margin is a ratio, e.g. 1.02; p is after the correction
    for the number of benchmarks; base_ns and head_ns are medians over the processes."""
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


@lru_cache(maxsize=None)
def _rank(count, alpha):
    """How many of `count` values may lie below the median's lower bound: the largest k with
    P(X < k) <= alpha for the number X of values below the median."""
    rank = int(binom.ppf(alpha, count, 0.5))
    return rank if binom.cdf(rank, count, 0.5) > alpha else rank + 1


@lru_cache(maxsize=None)
def _tail(beyond, count):
    """P(X >= beyond): the p-value of the sign test."""
    return float(binom.sf(beyond - 1, count, 0.5))


def bounds(logs, alpha):
    """Confidence bounds of the median of `logs`, each wrong with a probability of at most alpha."""
    rank = _rank(len(logs), alpha)
    if rank == 0:  # too few values to say anything at this level
        return -math.inf, math.inf
    ordered = sorted(logs)
    return ordered[rank - 1], ordered[-rank]


def interval(logs, alpha):
    low, high = bounds(logs, alpha)
    return Interval(math.exp(statistics.median(logs)), math.exp(low), math.exp(high))


@dataclass
class Samples:
    """Nanoseconds of one benchmark, a process each; equal indices belong to one round."""
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
class _Look:
    """One benchmark's figures at one look, all in logarithms."""
    low: float
    high: float
    same_low: float
    same_high: float
    margin: float
    slower_p: float
    faster_p: float
    differ_p: float  # of the A/A arm, two-sided


def _look(samples, alpha, rules):
    logs, same = samples.head_logs, samples.same_logs
    noise_low, noise_high = bounds(same, rules.noise_alpha)
    margin = max(rules.floor, rules.noise_factor * (noise_high - noise_low) / 2)
    return _Look(*bounds(logs, alpha), *bounds(same, alpha), margin,
                 _tail(sum(value > margin for value in logs), len(logs)),
                 _tail(sum(value < -margin for value in logs), len(logs)),
                 min(1.0, 2 * _tail(max(sum(value > rules.floor for value in same),
                                        sum(value < -rules.floor for value in same)), len(same))))


def _verdict(look, p, alpha, last, rules):
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


def _result(verdict, samples, look, alpha, p, note=""):
    return Result(verdict, interval(samples.head_logs, alpha), interval(samples.same_logs, alpha),
                  math.exp(look.margin), p, len(samples), statistics.median(samples.base),
                  statistics.median(samples.head), note)


def _note(verdict, look, rules):
    if verdict == INVALID:
        return "two copies of the base differ"
    if verdict == INCONCLUSIVE and look.margin > rules.widest:
        return f"too noisy: copies of the base differ by up to {math.expm1(look.margin):.0%}"
    return ""


class _P(NamedTuple):
    """p-values after the correction."""
    slower: float
    faster: float
    differ: float


def _adjusted(looks, adjust):
    """name -> its p-values, each corrected over all names."""
    table = [(look.slower_p, look.faster_p, look.differ_p) for look in looks.values()]
    if adjust and len(table) > 1:
        table = zip(*(fdrcorrection(column)[1] for column in zip(*table)))
    return {name: _P(*map(float, row)) for name, row in zip(looks, table)}


def _stage(names, take, alphas, rules, adjust):
    """Looks until every benchmark has a verdict. Returns name -> Result."""
    samples = {name: Samples() for name in names}
    looks, results, active = {}, {}, list(names)
    for number, (wanted, alpha) in enumerate(zip(rules.looks, alphas)):
        missing = wanted - min(len(samples[name]) for name in active)
        rounds = take(tuple(active), missing)
        for times in rounds:
            for name in active:
                samples[name].add(*times[name])
        out_of_time = len(rounds) < missing
        last = out_of_time or number == len(rules.looks) - 1
        if not len(samples[active[0]]):
            return {}
        # What has a verdict keeps its last p-value, so that the family stays the whole suite.
        looks.update((name, _look(samples[name], alpha, rules)) for name in active)
        adjusted = _adjusted(looks, adjust)
        for name in active:
            look = looks[name]
            p = adjusted[name]
            verdict = _verdict(look, p, alpha, last, rules)
            if verdict:
                note = _note(verdict, look, rules)
                if verdict == INCONCLUSIVE and out_of_time:
                    note = note or "the time was up"
                results[name] = _result(verdict, samples[name], look, alpha,
                                        p.faster if verdict == IMPROVED else p.slower, note)
        active = [name for name in active if name not in results]
        if not active:
            break
    return results


def _confirmed(first, second):
    """The result after the confirmation: the first one's figures, the second's verdict."""
    if second is None:
        verdict, note = INCONCLUSIVE, "seemed slower; no time was left to confirm it"
    elif second.verdict == REGRESSED:
        verdict, note = REGRESSED, ""
    elif second.verdict in (CLEAN, IMPROVED):
        verdict, note = CLEAN, "seemed slower, not so in fresh pairs"
    else:
        verdict, note = INCONCLUSIVE, "seemed slower; fresh pairs could not tell"
    return Result(verdict, first.head, first.same, first.margin, first.p, first.pairs,
                  first.base_ns, first.head_ns, note, second)


def decide(names, take, rules=Rules(), on_suspects=None):
    """The verdicts: name -> Result, empty if there was no time for a single round.

    take(names, count) gives up to `count` new rounds, each name -> (base, copy, head) in
    nanoseconds; fewer if the time is up. on_suspects(names) is called before what seems slower is
    measured again; rounds taken from then on have to be fresh in every respect.
    """
    results = _stage(names, take, rules.alphas, rules, adjust=True)
    suspects = [name for name, result in results.items() if result.verdict == REGRESSED]
    if suspects:
        if on_suspects:
            on_suspects(tuple(suspects))
        fresh = _stage(suspects, take, rules.confirm_alphas, rules, adjust=False)
        for name in suspects:
            results[name] = _confirmed(results[name], fresh.get(name))
    return {name: results[name] for name in names if name in results}
