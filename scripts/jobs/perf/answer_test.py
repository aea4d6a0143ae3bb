# SPDX-License-Identifier: Apache-2.0
import datetime
import unittest
from types import SimpleNamespace

from jobs.perf import metrics
from jobs.perf.account import Benchmark
from jobs.perf.answer import Outcome
from jobs.perf.decide import CLEAN, IMPROVED, INCONCLUSIVE, INVALID, REGRESSED


class EmptyTest(unittest.TestCase):
    def setUp(self):
        self.benchmark = Benchmark("suite", "BM_x")
        self.outcome = self.at(2000)

    @staticmethod
    def at(mhz):
        return Outcome(datetime.datetime(2026, 1, 1), "command", 1.0, "base", "head",
                       contexts={"suite": {"mhz_per_cpu": mhz}})

    def test_about_a_cycle_is_nothing(self):
        for nanoseconds, empty in ((0.3, True), (0.5, True), (0.6, True), (0.61, False),
                                   (5.0, False)):
            self.assertEqual(self.outcome.is_empty(self.benchmark, nanoseconds), empty,
                             nanoseconds)

    def test_a_clock_that_cannot_be_is_taken_for_3_ghz(self):
        for mhz in (None, True, "fast", 0, 500, 10_000):
            self.assertTrue(self.at(mhz).is_empty(self.benchmark, 0.4), mhz)
            self.assertFalse(self.at(mhz).is_empty(self.benchmark, 0.41), mhz)

    def test_other_metrics_have_no_cycles(self):
        memory = Benchmark("suite", "BM_x", metric=metrics.MEMORY)
        self.assertFalse(self.outcome.is_empty(memory, 0.1))

    def test_what_became_nothing(self):
        for verdict, base, head, vanished in ((IMPROVED, 2.0, 0.5, True),
                                              (IMPROVED, 1.5, 0.5, False),
                                              (IMPROVED, 9.0, 0.8, False),
                                              (IMPROVED, 0.5, 0.1, False),
                                              (IMPROVED, 600.0, 1.5, True),
                                              (IMPROVED, 600.0, 1.6, False),
                                              (IMPROVED, 31.0, 1.5, True),
                                              (IMPROVED, 30.0, 1.5, False),
                                              (INCONCLUSIVE, 435.0, 0.5, True),
                                              (INCONCLUSIVE, 1.5, 0.5, False),
                                              (INVALID, 435.0, 0.5, True),
                                              (CLEAN, 2.0, 0.5, False),
                                              (REGRESSED, 2.0, 0.5, False)):
            result = SimpleNamespace(verdict=verdict, base_ns=base, head_ns=head, base_least=base,
                                     head_least=head)
            self.assertEqual(self.outcome.vanished(self.benchmark, result), vanished,
                             (verdict, base, head))

    def test_the_fastest_process_tells(self):
        result = SimpleNamespace(base_ns=5.0, head_ns=1.3, base_least=4.0, head_least=0.5)
        self.assertEqual(self.outcome.empty_sides(self.benchmark, result), ["head"])
        result.verdict = INCONCLUSIVE
        result.head_ns = 4.0  # most processes were disturbed
        self.assertTrue(self.outcome.vanished(self.benchmark, result))


if __name__ == "__main__":
    unittest.main()
