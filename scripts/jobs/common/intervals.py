# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals, by scipy."""

from typing import NamedTuple

from scipy import stats

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A median, and between what the true one lies; None where the values are too few to say."""
    median: float
    low: float | None
    high: float | None


def of_median(values, confidence=CONFIDENCE):
    """Distribution-free: between which of the sorted values the median lies.

    The number of values below the true median is binomial, whatever they are distributed like.
    Six values are the least for 95 %.
    """
    ordered = sorted(values)
    count = len(ordered)
    middle = count // 2
    median = ordered[middle] if count % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    # Values to leave out at either end.
    rank = int(stats.binom.ppf((1 - confidence) / 2, count, 0.5))
    if rank < 1:
        return Interval(median, None, None)
    return Interval(median, ordered[rank - 1], ordered[count - rank])
