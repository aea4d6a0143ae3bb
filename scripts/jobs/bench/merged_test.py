# SPDX-License-Identifier: Apache-2.0

import unittest

from jobs.bench.merged import merge
from jobs.common.gbench_test import entry


def document(*entries, executable="./bench/key_benchmark"):
    return {"context": {"date": "2026-01-01", "executable": executable, "num_cpus": 2},
            "benchmarks": list(entries)}


class MergeTest(unittest.TestCase):
    def test_each_benchmark_is_there_once_with_the_medians_of_its_runs(self):
        a = [entry("BM_A_Core/x", ns, items_per_second=1e9 / ns) for ns in (4.0, 1.0, 2.0)]
        merged = merge([document(a[0], entry("BM_B_Core", 7.0)), document(a[1]), document(a[2])])
        self.assertEqual([(b["name"], b["real_time"], b["cpu_time"]) for b in merged["benchmarks"]],
                         [("BM_A_Core/x", 2.0, 2.0), ("BM_B_Core", 7.0, 7.0)])
        self.assertEqual(merged["benchmarks"][0]["items_per_second"], 5e8)
        self.assertEqual(merged["benchmarks"][0]["time_unit"], "ns")
        self.assertEqual(merged["context"]["merged_from"], 3)
        self.assertEqual(merged["context"]["num_cpus"], 2)

    def test_it_has_what_others_read(self):
        # Bencher's adapter and github-action-benchmark read these fields of a benchmark.
        wanted = {"name": str, "run_type": str, "iterations": int, "real_time": float,
                  "cpu_time": float, "time_unit": str, "threads": int}
        for benchmark in merge([document(entry("BM_A_Core", 4.0), entry("BM_A_Core", 3.0))])[
                "benchmarks"]:
            for key, kind in wanted.items():
                self.assertIsInstance(benchmark[key], kind, key)

    def test_aggregates_of_one_program_are_no_runs(self):
        aggregate = entry("BM_A_Core_mean", 9.0, run_type="aggregate", run_name="BM_A_Core")
        merged = merge([document(entry("BM_A_Core", 4.0), aggregate)])
        self.assertEqual([b["real_time"] for b in merged["benchmarks"]], [4.0])


if __name__ == "__main__":
    unittest.main()
