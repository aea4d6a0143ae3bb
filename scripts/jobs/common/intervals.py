# SPDX-License-Identifier: Apache-2.0
"""Computes distribution-free confidence intervals of a median, with scipy. All jobs compute such
intervals by this module.

The number of values below the true median is binomial, whatever the distribution of the values. So
the interval's bounds are values of the sample, and its confidence is exact.
"""

import statistics
from functools import cache
from typing import NamedTuple

from scipy import stats

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A median and the bounds between which the true median lies. The bounds are None if there are
    too few values."""
    median: float
    low: float | None
    high: float | None


@cache
def median_rank(count, alpha):
    """The place, counted from 1, that the interval's lower bound has among the sorted values. The
    true median lies below this bound with a probability of at most alpha. The place is 0 if `count`
    values are too few.

    The place is the largest k with P(X < k) <= alpha, where X is the number of values below the
    median.
    """
    rank = int(stats.binom.ppf(alpha, count, 0.5))
    return rank if stats.binom.cdf(rank, count, 0.5) > alpha else rank + 1


def confidence_of(count, rank):
    """The chance that the median lies between the value number `rank` from the start and the value
    number `rank` from the end; 0 for a single value."""
    return max(0.0, 1 - 2 * float(stats.binom.cdf(rank - 1, count, 0.5)))


def of_median(values, confidence=CONFIDENCE):
    """The median with its interval. An interval of 95 % needs at least six values."""
    ordered = sorted(values)
    rank = median_rank(len(ordered), (1 - confidence) / 2)
    if rank < 1:
        return Interval(statistics.median(ordered), None, None)
    return Interval(statistics.median(ordered), ordered[rank - 1], ordered[-rank])
