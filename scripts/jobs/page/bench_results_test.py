# SPDX-License-Identifier: Apache-2.0

import json
import tempfile
import unittest
from pathlib import Path

from jobs.page import testing

testing.needs()

from jobs.common import gbench  # noqa: E402 (after what skips)
from jobs.page import bench_results  # noqa: E402 (after what skips)
from jobs.page.bench_results import ReportError, estimate  # noqa: E402
from jobs.page.testing import document, entry  # noqa: E402


class EstimateTest(unittest.TestCase):
    def test_nothing_has_no_estimate(self):
        self.assertIsNone(estimate([]))

    def test_one_value_has_no_confidence(self):
        found = estimate([4.0])
        self.assertEqual((found.value, found.low, found.high), (4, 4, 4))
        self.assertEqual((found.confidence, found.count), (0, 1))

    def test_few_values_give_their_range_and_say_how_sure_it_is(self):
        # The true median lies outside of the range only if all values lie on one side of it.
        for count in (2, 3, 4, 5):
            found = estimate(range(count, 0, -1))
            self.assertEqual((found.low, found.high), (1, count))
            self.assertAlmostEqual(found.confidence, 1 - 2 / 2 ** count)

    def test_many_values_leave_out_the_ends_but_keep_95_percent(self):
        # These are the order statistics that tables give for the median at 95 %: 1 and 6 for n = 6,
        # 2 and 9 for n = 10, 6 and 15 for n = 20, 14 and 27 for n = 40.
        for count, low, high in ((6, 1, 6), (10, 2, 9), (20, 6, 15), (40, 14, 27)):
            found = estimate(range(1, count + 1))
            self.assertEqual((found.low, found.high), (low, high), count)
            self.assertGreaterEqual(found.confidence, 0.95)
            self.assertLess(found.confidence, 0.98)

    def test_order_does_not_matter(self):
        self.assertEqual(estimate([3, 1, 2]), estimate([1, 2, 3]))


def results_of(*rounds):
    results = gbench.Results()
    for number, entries in enumerate(rounds, 1):
        results.add(document(*entries), number)
    return results


class ComparisonsTest(unittest.TestCase):
    def only(self, *rounds):
        found = bench_results.comparisons(results_of(*rounds))
        self.assertEqual(len(found), 1)
        return found[0]

    def test_half_of_the_time_is_twice_as_fast(self):
        one = self.only(*[[entry("BM_A_Core/x", 10), entry("BM_A_Plain/x", 20)]] * 5)
        self.assertEqual((one.baseline, one.times.value), ("Plain", 2))
        self.assertEqual(one.verdict, "ahead")

    def test_twice_the_claims_is_twice_as_fast(self):
        one = self.only(*[[entry("BM_P_Ledger/live:10", 1, items_per_second=4e6),
                           entry("BM_P_Plain/live:10", 1, items_per_second=2e6)]] * 5)
        self.assertEqual((one.times.value, one.verdict), (2, "ahead"))

    def test_is_taken_within_a_round(self):
        one = self.only([entry("BM_A_Core/x", 1), entry("BM_A_Plain/x", 2)],
                        [entry("BM_A_Core/x", 10), entry("BM_A_Plain/x", 20)],
                        [entry("BM_A_Core/x", 10), entry("BM_A_Plain/x", 40)])
        self.assertEqual((one.times.value, one.times.low, one.times.high), (2, 2, 4))

    def test_verdicts(self):
        for theirs, verdict in (((20, 21, 22), "ahead"), ((5, 6, 7), "behind"),
                                ((9, 10, 11), "undecided"), ((20,), "undecided")):
            one = self.only(*([entry("BM_A_Core/x", 10), entry("BM_A_Plain/x", ns)]
                              for ns in theirs))
            self.assertEqual(one.verdict, verdict, theirs)

    def test_another_case_or_number_of_threads_is_no_baseline(self):
        self.assertEqual(bench_results.comparisons(results_of(
            [entry("BM_A_Core/x", 1), entry("BM_A_Plain/y", 1), entry("BM_B_Plain/x", 1),
             entry("BM_A_Plain/x/threads:2", 1, 2), entry("BM_A_CoreOther/z", 1)])), [])

    def test_the_reference_leads_and_limits_come_last(self):
        found = bench_results.comparisons(results_of([
            entry(f"BM_A_{impl}/x", 1) for impl in ("Memcpy", "Plain", "Reference", "Core",
                                                    "Re2", "ReferenceReused")]))
        self.assertEqual([one.baseline for one in found],
                         ["Reference", "ReferenceReused", "Plain", "Re2", "Memcpy"])

    def test_copies_are_limits(self):
        for impl in ("Memcpy", "CacheLines"):
            self.assertTrue(
                self.only([entry("BM_A_Core/x", 2), entry(f"BM_A_{impl}/x", 1)]).is_limit)
        self.assertFalse(self.only([entry("BM_A_Core/x", 2), entry("BM_A_Plain/x", 1)]).is_limit)


class QuantilesTest(unittest.TestCase):
    def test_are_read_from_the_counters_names(self):
        results = results_of([entry("BM_L_Ledger/live:1", 1, p999_ns=30, p50_ns=10, p99_ns=20,
                                    p9999_ns=40, timer_ns=5)])
        found = bench_results.quantiles(results.find("L", "Ledger", "live:1"))
        self.assertEqual([(share, one.value) for share, one in found],
                         [(0.5, 10), (0.99, 20), (0.999, 30), (0.9999, 40)])


class ReadBenchTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def test_an_empty_folder_has_none(self):
        self.assertIsNone(bench_results.read_bench(self.folder))
        self.assertIsNone(bench_results.read_bench(self.folder / "absent"))

    def test_rounds_subjects_and_facts(self):
        testing.write_results(self.folder)
        bench = bench_results.read_bench(self.folder / "latest")
        self.assertEqual(sorted(bench.subjects), ["grant_json", "ledger"])
        self.assertEqual((bench.rounds, len(bench.contexts)), (5, 10))
        self.assertEqual(bench.facts["revision"], "0729f9c13a5b")
        self.assertEqual(bench.date, "2026-11-25 02:00 UTC")
        series = bench.together.find("ParseGrant", "Core", "canonical")
        self.assertEqual(bench_results.series_estimate(series, "ns").count, 5)

    def test_other_json_is_left_alone(self):
        (self.folder / "gate.json").write_text('{"verdict": "clean"}')
        (self.folder / "list.json").write_text("[]")
        self.assertIsNone(bench_results.read_bench(self.folder))
        (self.folder / "a.json").write_text(json.dumps(document(entry("BM_A_Core/x", 1))))
        self.assertEqual(list(bench_results.read_bench(self.folder).subjects), ["a"])

    def test_a_file_of_all_programs_counts_no_benchmark_again(self):
        (self.folder / "key.json").write_text(json.dumps(document(entry("BM_A_Core/x", 1))))
        merged = document(entry("BM_A_Core/x", 1))
        merged["context"]["merged_from"] = 1
        (self.folder / "merged.json").write_text(json.dumps(merged))
        self.assertEqual(list(bench_results.read_bench(self.folder).subjects), ["key"])

    def test_suites_are_not_mixed(self):
        for name, executable, ns in (("grant", "./build/bench/bench/grant_benchmark", 1),
                                     ("claim", "./build/bench/bench/peers/grant_benchmark", 2),
                                     ("any", "/usr/bin/any", 3)):
            made = document(entry(f"BM_{name}_Core/x", ns), entry("BM_A_Core/x", ns))
            made["context"]["executable"] = executable
            (self.folder / f"{name}.json").write_text(json.dumps(made))
        testing.write_document(self.folder / "peers.md", testing.made("Peers", {"date": "today"}))
        self.assertEqual(set(bench_results.read_bench(self.folder).subjects), {"any", "grant"})
        peers = bench_results.read_bench(self.folder, "peers")
        self.assertEqual((set(peers.subjects), peers.date), ({"claim"}, "today"))
        self.assertEqual(peers.together.find("A", "Core", "x").stat("ns").median, 2)

    def test_a_broken_file_is_named(self):
        (self.folder / "a.json").write_text('{"context": {')
        with self.assertRaisesRegex(ReportError, "a.json"):
            bench_results.read_bench(self.folder)
        (self.folder / "a.json").write_text(json.dumps(document({"name": "BM_A_Core/x"})))
        with self.assertRaisesRegex(ReportError, "a.json.*cpu_time"):
            bench_results.read_bench(self.folder)


if __name__ == "__main__":
    unittest.main()
