# SPDX-License-Identifier: Apache-2.0

import math
import random
import statistics
import unittest

try:
    from jobs.common import intervals
except ImportError:  # scipy is a part of scripts/bootstrap --for peers
    intervals = None


@unittest.skipUnless(intervals, "no scipy here")
class OfMedianTest(unittest.TestCase):
    def test_ranks_are_those_of_the_tables(self):
        # For example, in Conover, Practical Nonparametric Statistics, the bounds are the extremes
        # for n = 6, and the third and the tenth value for n = 12.
        self.assertEqual(intervals.of_median([3, 1, 2, 6, 5, 4]), (3.5, 1, 6))
        self.assertEqual(intervals.of_median(range(1, 13)), (6.5, 3, 10))
        self.assertEqual(intervals.of_median(range(1, 10)), (5, 2, 8))

    def test_a_bound_misses_the_median_as_seldom_as_it_says(self):
        # `below` has P(X < k) of the binomial distribution with one half, added up by hand.
        for count in range(1, 30):
            below = [sum(math.comb(count, x) for x in range(k)) / 2**count
                     for k in range(count + 1)]
            for alpha in (0.025, 0.05, 0.002, 2.0**-count):
                self.assertEqual(intervals.median_rank(count, alpha),
                                 max(k for k, chance in enumerate(below) if chance <= alpha),
                                 (count, alpha))
            self.assertAlmostEqual(intervals.confidence_of(count, 1),
                                   max(0, 1 - 2 / 2**count))

    def test_few_values_say_nothing(self):
        self.assertEqual(intervals.of_median([1, 2, 3, 4, 9]), (3, None, None))
        self.assertEqual(intervals.of_median([7]), (7, None, None))

    def test_covers_the_median_as_often_as_it_says(self):
        chance = random.Random(1)
        runs = 2000
        inside = 0
        for _ in range(runs):
            values = [chance.expovariate(1) for _ in range(12)]  # the true median is log 2
            found = intervals.of_median(values)
            self.assertEqual(found.median, statistics.median(values))
            inside += found.low <= 0.6931471805599453 <= found.high
        self.assertGreater(inside / runs, 0.95)


if __name__ == "__main__":
    unittest.main()
