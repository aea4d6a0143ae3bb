# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.common import gbench
from jobs.common.gbench import Name, parse_name


def entry(name, ns, **more):
    """One benchmark as Google Benchmark writes it."""
    return {"name": name, "run_name": name, "run_type": "iteration", "repetitions": 1,
            "repetition_index": 0, "threads": 1, "iterations": 1000, "real_time": ns,
            "cpu_time": ns, "time_unit": "ns", **more}


def results_of(*rounds):
    results = gbench.Results()
    for number, entries in enumerate(rounds, 1):
        results.add({"context": {}, "benchmarks": entries}, number)
    return results


class ParseNameTest(unittest.TestCase):
    def test_takes_a_name_apart(self):
        self.assertEqual(parse_name("BM_ParsePartitionKeyStrict_FromChars/random"),
                         Name("ParsePartitionKeyStrict", "FromChars", "random", 1))

    def test_keeps_threads_and_live_apart(self):
        name = parse_name("BM_ClaimPairs_Ledger/live:1000000/real_time/threads:2")
        self.assertEqual(name, Name("ClaimPairs", "Ledger", "live:1000000", 2))
        self.assertEqual(name.live, 1_000_000)

    def test_drops_what_google_benchmark_adds(self):
        for decoration in ("iterations:100", "repeats:3", "min_time:0.500", "manual_time",
                           "process_time/real_time", "min_warmup_time:1.0"):
            self.assertEqual(parse_name(f"BM_A_Core/x/{decoration}"), Name("A", "Core", "x", 1))

    def test_case_may_be_absent(self):
        self.assertEqual(parse_name("BM_A_Core"), Name("A", "Core", "", 1))

    def test_refuses_names_outside_the_convention(self):
        for text in ("BM_Only/x", "ParseGrant_Core/x", "", "BM_"):
            self.assertIsNone(parse_name(text))


class ResultsTest(unittest.TestCase):
    def test_repetitions_become_their_median_before_rounds_are_compared(self):
        results = results_of([entry("BM_A_Core/x", ns) for ns in (1, 2, 90)],
                             [entry("BM_A_Core/x", ns) for ns in (4, 4, 4)],
                             [entry("BM_A_Core/x", ns) for ns in (6, 1, 8)])
        self.assertEqual(results.find("A", "Core", "x").stat("ns"), gbench.Stat(4, 2, 6))

    def test_a_single_round_spreads_over_its_repetitions(self):
        results = results_of([entry("BM_A_Core/x", ns) for ns in (1, 2, 90)])
        self.assertEqual(results.find("A", "Core", "x").stat("ns"), gbench.Stat(2, 1, 90))

    def test_aggregates_are_left_out(self):
        mean = entry("BM_A_Core/x", 99, run_type="aggregate", aggregate_name="mean")
        results = results_of([entry("BM_A_Core/x", 5), mean])
        self.assertEqual(results.find("A", "Core", "x").stat("ns").median, 5)

    def test_time_units_become_nanoseconds(self):
        results = results_of([entry("BM_A_Core/x", 1.5, time_unit="us")])
        self.assertEqual(results.find("A", "Core", "x").stat("ns").median, 1500)

    def test_one_thread_counts_cpu_time_and_several_count_real_time(self):
        results = results_of([
            entry("BM_A_Core/x", 0, real_time=10, cpu_time=7),
            entry("BM_A_Core/y/threads:2", 0, real_time=10, cpu_time=7, threads=2),
            entry("BM_A_Core/z/real_time", 0, real_time=10, cpu_time=7)])
        times = [results.find("A", "Core", case, threads).stat("ns").median
                 for case, threads in (("x", 1), ("y", 2), ("z", 1))]
        self.assertEqual(times, [7, 10, 10])

    def test_counters_are_kept_by_their_name(self):
        results = results_of([entry("BM_A_Core/x", 5, items_per_second=2e6, allocs_per_op=0.0)])
        series = results.find("A", "Core", "x")
        self.assertEqual(series.stat("items_per_second").median, 2e6)
        self.assertEqual(series.stat("allocs_per_op").median, 0)
        self.assertIsNone(series.stat("p50_ns"))
        self.assertIsNone(series.stat("iterations"))

    def test_errors_are_collected_and_not_measured(self):
        results = results_of([entry("BM_A_Core/x", 0, error_occurred=True, error_message="bad")])
        self.assertEqual(results.errors, ["BM_A_Core/x: bad"])
        self.assertIsNone(results.find("A", "Core", "x"))

    def test_names_outside_the_convention_are_reported_once(self):
        results = results_of([entry("other", 1)], [entry("other", 1)])
        self.assertEqual(results.unnamed, ["other"])


class RatioTest(unittest.TestCase):
    def test_is_taken_within_a_round(self):
        # The machine becomes ten times slower with each round. The ratio of the medians would be
        # 10 / 40, and a ratio across rounds even farther off.
        results = results_of([entry("BM_A_Core/x", 1), entry("BM_A_Plain/x", 2)],
                             [entry("BM_A_Core/x", 10), entry("BM_A_Plain/x", 40)],
                             [entry("BM_A_Core/x", 100), entry("BM_A_Plain/x", 100)])
        found = gbench.ratio(results.find("A", "Core", "x"), results.find("A", "Plain", "x"), "ns")
        self.assertEqual(found, gbench.Stat(0.5, 0.25, 1.0))

    def test_uses_only_rounds_that_both_have(self):
        results = results_of([entry("BM_A_Core/x", 1)],
                             [entry("BM_A_Core/x", 3), entry("BM_A_Plain/x", 6)])
        found = gbench.ratio(results.find("A", "Core", "x"), results.find("A", "Plain", "x"), "ns")
        self.assertEqual(found, gbench.Stat(0.5, 0.5, 0.5))

    def test_without_a_common_round_there_is_none(self):
        results = results_of([entry("BM_A_Core/x", 1)], [entry("BM_A_Plain/x", 6)])
        self.assertIsNone(gbench.ratio(
            results.find("A", "Core", "x"), results.find("A", "Plain", "x"), "ns"))

    def test_spread_is_half_of_the_range_over_the_median(self):
        self.assertAlmostEqual(gbench.Stat(10, 9, 11).spread, 0.1)
        self.assertEqual(gbench.Stat(0, 0, 0).spread, 0)


if __name__ == "__main__":
    unittest.main()
