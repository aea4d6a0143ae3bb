# SPDX-License-Identifier: Apache-2.0

import math
import random
import unittest

from jobs.perf import decide
from jobs.perf.decide import (
    CLEAN,
    IMPROVED,
    INCONCLUSIVE,
    INVALID,
    REGRESSED,
    SUSPECTED,
    Decision,
    Rules,
)


class Source(decide.Source):
    """A source of rounds in which the logarithms of the times are normally distributed, and those
    of head and copy are shifted."""

    def __init__(self, head, noise=0.003, copy=0.0, seed=1, rounds=10_000):
        self.head = head  # name -> shift, a number, or a function of the round's number
        self.noise = noise
        self.copy = copy
        self.random = random.Random(seed)
        self.left = rounds
        self.asked = []  # (names, count)
        self.number = 0
        self.freshened = []  # (names, how often rounds had been asked for)

    def fresh(self, names):
        self.freshened.append((names, len(self.asked)))

    def take(self, names, count):
        self.asked.append((names, count))
        count = min(count, self.left)
        self.left -= count
        rounds = []
        for _ in range(count):
            self.number += 1
            rounds.append({name: tuple(100 * math.exp(shift + self.random.gauss(0, self.noise))
                                       for shift in (0, self.copy, self.shift(name)))
                           for name in names})
        return rounds

    def shift(self, name):
        shift = self.head[name]
        return shift(self.number) if callable(shift) else shift


class BoundsTest(unittest.TestCase):
    def test_are_the_sign_tests(self):
        # For Bin(10, 1/2), P(X < k) is 1/1024 for k = 1, 11/1024 for k = 2, 56/1024 for k = 3.
        values = list(range(10))
        self.assertEqual(decide.bounds(values, 1 / 1024), (0, 9))
        self.assertEqual(decide.bounds(values, 0.0107), (0, 9))
        self.assertEqual(decide.bounds(values, 0.0108), (1, 8))
        self.assertEqual(decide.bounds(values, 0.05), (1, 8))
        self.assertEqual(decide.bounds(values, 0.055), (2, 7))

    def test_too_few_values_bound_nothing(self):
        self.assertEqual(decide.bounds([1.0] * 8, 0.002), (-math.inf, math.inf))

    def test_cover_the_median_as_often_as_they_say(self):
        source = random.Random(7)
        missed = 0
        for _ in range(4000):
            low, _ = decide.bounds([source.gauss(0, 1) for _ in range(20)], 0.025)
            missed += low > 0
        # By the binomial distribution, 5 or fewer of 20 values lie below the median 20,700 times in
        # a million.
        self.assertAlmostEqual(missed / 4000, 0.0207, delta=0.008)


class DecideTest(unittest.TestCase):
    def verdicts(self, source, names=None, rules=Rules()):
        self.results = decide.decide(names or list(source.head), source, rules)
        return {name: result.verdict for name, result in self.results.items()}

    def test_equal_programs_are_clean_at_the_first_look(self):
        source = Source({"a": 0.0, "b": 0.0})
        self.assertEqual(self.verdicts(source), {"a": CLEAN, "b": CLEAN})
        self.assertEqual(source.asked, [(("a", "b"), 10)])
        self.assertEqual(self.results["a"].pairs, 10)

    def test_a_regression_is_confirmed_with_fresh_pairs(self):
        source = Source({"a": math.log(1.05)})
        self.assertEqual(self.verdicts(source), {"a": REGRESSED})
        self.assertEqual(source.asked, [(("a",), 10), (("a",), 10)])
        result = self.results["a"]
        self.assertEqual(result.confirmation.verdict, REGRESSED)
        self.assertLess(result.head.low, 1.05)
        self.assertGreater(result.head.high, 1.05)
        self.assertAlmostEqual(result.head_ns / result.base_ns, 1.05, delta=0.005)

    def test_one_regression_among_many_takes_more_pairs(self):
        shifts = {f"b{i}": 0.0 for i in range(39)} | {"a": math.log(1.05)}
        source = Source(shifts)
        verdicts = self.verdicts(source)
        self.assertEqual(verdicts.pop("a"), REGRESSED)
        self.assertEqual(set(verdicts.values()), {CLEAN})
        self.assertEqual(self.results["a"].pairs, 20)  # 10 pairs have p = 1 / 1024 * 40: too large
        self.assertEqual([len(names) for names, _ in source.asked], [40, 1, 1])

    def test_the_whole_suite_counts_however_few_are_looked_at_together(self):
        """The time may not suffice for all benchmarks at once. What is looked at alone needs as
        many pairs as among all others."""
        class InTurn(Source):
            def affords(self, names, count):
                return count if len(names) == 1 else 0

        source = InTurn({f"b{i}": 0.0 for i in range(39)} | {"a": math.log(1.05)})
        verdicts = self.verdicts(source)
        self.assertEqual(verdicts.pop("a"), REGRESSED)
        self.assertEqual(set(verdicts.values()), {CLEAN})
        self.assertEqual(self.results["a"].pairs, 20)
        self.assertTrue(all(len(names) == 1 for names, _ in source.asked))

    def test_what_went_away_is_not_a_regression(self):
        source = Source({"a": lambda number: math.log(1.1) if number <= 10 else 0.0})
        self.assertEqual(self.verdicts(source), {"a": CLEAN})
        self.assertEqual(self.results["a"].confirmation.verdict, CLEAN)
        self.assertIn("not so in fresh pairs", self.results["a"].note)

    def test_the_source_hears_of_suspects_before_fresh_pairs(self):
        source = Source({"a": math.log(1.05), "b": 0.0})
        decide.decide(["a", "b"], source)
        self.assertEqual(source.freshened, [(("a",), 1)])

    def test_an_improvement_is_told(self):
        self.assertEqual(self.verdicts(Source({"a": math.log(0.93)})), {"a": IMPROVED})

    def test_a_change_within_the_margin_is_clean(self):
        self.assertEqual(self.verdicts(Source({"a": 0.01, "b": -0.01}, noise=0.002)),
                         {"a": CLEAN, "b": CLEAN})

    def test_a_change_at_the_margin_is_inconclusive_after_the_last_look(self):
        source = Source({"a": math.log(1.02)}, noise=0.002)
        self.assertEqual(self.verdicts(source), {"a": INCONCLUSIVE})
        self.assertEqual([count for _, count in source.asked], [10, 10, 20])
        self.assertEqual(self.results["a"].pairs, 40)

    def test_a_noisy_machine_does_not_call_clean_what_it_cannot_see(self):
        for shift in (0.0, math.log(1.05)):
            self.assertEqual(self.verdicts(Source({"a": shift}, noise=0.1)), {"a": INCONCLUSIVE})
            self.assertIn("too noisy", self.results["a"].note)

    def test_noise_widens_the_margin(self):
        self.verdicts(Source({"a": 0.0}, noise=0.001))
        self.assertAlmostEqual(self.results["a"].margin, 1.02)
        self.verdicts(Source({"a": 0.0}, noise=0.02))
        self.assertGreater(self.results["a"].margin, 1.02)

    def test_copies_that_differ_make_the_timing_invalid(self):
        """This comes before all else, also before what seems to be slower."""
        for shift in (0.0, 0.2):
            self.assertEqual(self.verdicts(Source({"a": shift, "b": shift}, copy=0.05)),
                             {"a": INVALID, "b": INVALID})

    def test_no_time_is_inconclusive(self):
        self.assertEqual(self.verdicts(Source({"a": 0.018}, rounds=12)), {"a": INCONCLUSIVE})
        self.assertEqual(self.results["a"].note, "the time was up after 12 pairs")
        self.assertTrue(self.results["a"].out_of_time)
        self.assertEqual(self.verdicts(Source({"a": 0.05}, rounds=4)), {"a": INCONCLUSIVE})
        self.assertEqual(self.results["a"].note, "the time was up after 4 pairs")
        self.assertEqual(self.verdicts(Source({"a": 0.05}, rounds=0)), {})

    def test_too_few_pairs_for_an_interval_are_no_noise(self):
        self.verdicts(Source({"a": 0.05}, noise=0.2, rounds=4))
        self.assertNotIn("inf", self.results["a"].note)
        self.assertNotIn("noisy", self.results["a"].note)

    def test_what_seemed_slower_and_was_not_confirmed_is_suspected(self):
        self.assertEqual(self.verdicts(Source({"a": 0.05}, rounds=10)), {"a": SUSPECTED})
        self.assertIn("no time was left to confirm", self.results["a"].note)
        # The benchmark is slower for ten rounds and then lost in noise: fresh pairs can't tell.
        noise = Source({"a": lambda number: math.log(1.3) if number <= 10 else 0.0})
        quiet = noise.random.gauss
        noise.random.gauss = lambda mean, sigma: quiet(mean, sigma if noise.number <= 10 else 0.2)
        self.assertEqual(self.verdicts(noise), {"a": SUSPECTED})
        self.assertIn("fresh pairs could not tell", self.results["a"].note)

    def test_suspects_are_confirmed_before_noise_gets_more_pairs(self):
        """A benchmark that seems 30 % slower is confirmed before any further look at the noisy
        benchmarks beside it."""
        shifts = {f"noisy{i}": 0.0 for i in range(5)} | {"slow": math.log(1.3)}
        source = Source(shifts)
        normal = source.random.gauss
        calls = []

        def gauss(mean, sigma):
            calls.append(None)
            column = (len(calls) - 1) // 3 % len(source.asked[-1][0])
            return normal(mean, 0.3 if "noisy" in source.asked[-1][0][column] else 0.001)

        source.random.gauss = gauss
        self.assertEqual(self.verdicts(source)["slow"], REGRESSED)
        self.assertEqual(source.asked[:3], [
            (tuple(shifts), 10), (("slow",), 10), (("slow",), 10)])
        self.assertEqual(source.freshened[0], (("slow",), 2))

    def test_what_is_known_for_its_noise_waits_to_the_end(self):
        source = Source({"a": 0.0, "b": 0.0})
        decide.decide(["a", "b"], source, late=("a",))
        self.assertEqual([names for names, _ in source.asked], [("b",), ("a",)])

    def test_a_budget_too_small_for_all_is_spent_on_some(self):
        class Costly(Source):
            def affords(self, names, count):
                return min(count, self.left // len(names))

            def take(self, names, count):
                count = self.affords(names, count)
                rounds = super().take(names, count)
                self.left -= count * (len(names) - 1)
                return rounds

        source = Costly({f"b{i}": 0.0 for i in range(50)}, rounds=100)
        verdicts = self.verdicts(source)
        self.assertGreaterEqual(sum(verdict == CLEAN for verdict in verdicts.values()), 6)

    def test_what_is_lost_has_no_result_and_the_others_go_on(self):
        class Losing(Source):
            def take(self, names, count):
                rounds = super().take(names, min(count, 3) if "b" in names else count)
                if "b" in names:
                    self.lost = {"b"}
                return rounds

        self.assertEqual(self.verdicts(Losing({"a": 0.0, "b": 0.0})), {"a": CLEAN})
        self.assertEqual(self.results["a"].pairs, 10)

    def test_what_is_lost_while_it_is_confirmed_stays_suspected(self):
        class Losing(Source):
            def take(self, names, count):
                rounds = super().take(names, count)
                if self.freshened:
                    self.lost = {"a"}
                    return rounds[:3]
                return rounds

        self.assertEqual(self.verdicts(Losing({"a": 0.05, "b": 0.0})), {"a": SUSPECTED, "b": CLEAN})
        self.assertEqual(self.results["a"].note, "seemed slower; it failed in fresh pairs")
        self.assertFalse(self.results["a"].out_of_time)

    def test_results_may_be_asked_before_the_end(self):
        class Stopped(Source):
            def take(self, names, count):
                if len(self.asked) == 1:
                    raise KeyboardInterrupt
                return super().take(names, count)

        decision = Decision(["a", "b"], Stopped({"a": math.log(1.05), "b": 0.0}))
        with self.assertRaises(KeyboardInterrupt):
            decision.run()
        self.assertEqual({name: result.verdict for name, result in decision.results().items()},
                         {"a": SUSPECTED, "b": CLEAN})
        self.assertEqual(decision.pairs_to_settle(), {"a": 20})

    def test_false_alarms_are_rare_where_noise_is_heavy(self):
        """In 200 suites of equal programs with outliers there is not one regression."""
        for noise in (0.01, 0.03):
            for seed in range(100):
                source = Source({f"b{i}": 0.0 for i in range(5)}, noise, seed=seed)
                normal = source.random.gauss
                source.random.gauss = lambda mean, sigma, normal=normal, source=source: (
                    normal(mean, sigma * (10 if source.random.random() < 0.1 else 1)))
                self.assertFalse({REGRESSED, IMPROVED, INVALID} & set(
                    self.verdicts(source).values()))


if __name__ == "__main__":
    unittest.main()
