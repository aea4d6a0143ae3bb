# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of a median, distribution-free, by scipy: the one way in which all jobs
take them.

The number of values below the true median is binomial, whatever they are distributed like. So the
interval's bounds are values of the sample, and its confidence is exact.
"""

import statistics
from functools import cache
from typing import NamedTuple

from scipy import stats

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A median, and between what the true one lies; None where the values are too few to say."""
    median: float
    low: float | None
    high: float | None


@cache
def median_rank(count, alpha):
    """Which of `count` sorted values, counted from 1, is the lower bound of an interval that misses
    the median on this side with a probability of at most alpha; 0 if the values are too few.

    The largest k with P(X < k) <= alpha for the number X of values below the median.
    """
    rank = int(stats.binom.ppf(alpha, count, 0.5))
    return rank if stats.binom.cdf(rank, count, 0.5) > alpha else rank + 1


def confidence_of(count, rank):
    """The chance that the interval from value number rank to the one as far from the end holds the
    median; none for a single value."""
    return max(0.0, 1 - 2 * float(stats.binom.cdf(rank - 1, count, 0.5)))


def of_median(values, confidence=CONFIDENCE):
    """Six values are the least for 95 %."""
    ordered = sorted(values)
    rank = median_rank(len(ordered), (1 - confidence) / 2)
    if rank < 1:
        return Interval(statistics.median(ordered), None, None)
    return Interval(statistics.median(ordered), ordered[rank - 1], ordered[-rank])
