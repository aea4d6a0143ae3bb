# SPDX-License-Identifier: Apache-2.0

import json
import unittest

from jobs.perf import gbench_json
from jobs.perf.gbench_json import Document, Key, Reading


def entry(name, cpu, real=None, **more):
    return {"name": name, "run_name": name, "run_type": "iteration", "cpu_time": cpu,
            "real_time": real or cpu, "time_unit": "ns", "threads": 1, **more}


def times(*rows):
    return {key.name: reading.ns
            for key, reading in gbench_json.readings(Document({}, list(rows), True)).items()}


def only(*rows):
    (reading,) = gbench_json.readings(Document({}, list(rows), True)).values()
    return reading


class ReadingsTest(unittest.TestCase):
    def test_takes_the_least_cpu_time_of_the_repetitions(self):
        self.assertEqual(times(entry("a", 12.0, 9.0), entry("a", 11.0, 30.0), entry("b", 5.0)),
                         {"a": 11.0, "b": 5.0})

    def test_takes_real_time_where_cpu_time_says_little(self):
        self.assertEqual(times(
            entry("a/real_time", 1.0, 9.0), entry("b/manual_time", 1.0, 8.0),
            entry("c/threads:2", 1.0, 7.0, threads=2), entry("d/real_time_in_its_name", 1.0, 9.0)),
            {"a/real_time": 9.0, "b/manual_time": 8.0, "c/threads:2": 7.0,
             "d/real_time_in_its_name": 1.0})

    def test_knows_the_units(self):
        self.assertEqual(times(entry("a", 2.0, time_unit="us"), entry("b", 2.0, time_unit="s")),
                         {"a": 2e3, "b": 2e9})

    def test_aggregates_stand_in_only_where_there_is_nothing_else(self):
        mean = dict(entry("a", 1.0), run_type="aggregate", aggregate_name="mean")
        median = dict(entry("a", 2.0), run_type="aggregate", aggregate_name="median")
        self.assertEqual(times(mean, entry("a", 3.0)), {"a": 3.0})
        self.assertEqual(only(mean, median)[:2], (2.0, ""))
        self.assertIn("aggregates only", only(mean, median).note)
        self.assertEqual(only(mean).ns, 1.0)
        spread = dict(mean, aggregate_name="cv")
        self.assertEqual(only(spread), Reading(None, "its row has no time"))

    def test_complexity_is_no_benchmark(self):
        rows = [entry("a/8", 1.0), {"name": "a_BigO", "run_name": "a", "run_type": "aggregate",
                                    "aggregate_name": "BigO", "cpu_coefficient": 1.0}]
        self.assertEqual(times(*rows), {"a/8": 1.0})

    def test_a_counter_may_have_the_name_of_a_field(self):
        """A program may count what it likes: rms is what a benchmark of audio would count."""
        for name in ("rms", "big_o", "RMS", "BigO", "aggregate_name", "cpu_coefficient", "median",
                     "skipped", "error_occurred", "mean", "stddev", "cv", "label"):
            self.assertEqual(times({**entry("a", 2.0), name: 0.5}), {"a": 2.0}, name)
        no_run_name = {key: value for key, value in entry("a", 2.0).items() if key != "run_name"}
        self.assertEqual(times({**no_run_name, "aggregate_name": 0.5}), {"a": 2.0})

    def test_what_is_no_time_has_a_reason(self):
        for value, reason in ((0.0, "its time is 0"), (float("nan"), "no finite number"),
                              (float("inf"), "no finite number"), (-1.0, "negative"),
                              ("1", "no finite number"), (1e-6, "measures nothing")):
            reading = only(entry("a", value, 1.0))
            self.assertIsNone(reading.ns, value)
            self.assertIn(reason, reading.reason)

    def test_a_failed_or_skipped_benchmark_says_why(self):
        self.assertEqual(only(dict(entry("a", 0.0), error_occurred=True,
                                   error_message="no memory")), Reading(None, "failed: no memory"))
        self.assertEqual(only(entry("a", 1.0), dict(entry("a", 0.0), error_occurred=True)),
                         Reading(None, "failed: no message"))
        self.assertEqual(only(dict(entry("a", 0.0), skipped=True, skip_message="no GPU")),
                         Reading(None, "skipped: no GPU"))

    def test_a_name_that_repeats_is_told_apart_by_its_place(self):
        rows = [dict(entry("a", ns), family_index=family, per_family_instance_index=index)
                for ns, family, index in ((5.0, 1, 0), (1.0, 0, 0), (3.0, 0, 1), (0.9, 0, 0))]
        self.assertEqual({key: reading.ns for key, reading in gbench_json.readings(
            Document({}, rows, True)).items()},
            {Key("a"): 0.9, Key("a", 2): 3.0, Key("a", 3): 5.0})


class ParseTest(unittest.TestCase):
    TEXT = json.dumps({"context": {"num_cpus": 2}, "benchmarks": [entry("a", 1.0),
                                                                  entry("b", 2.0)]}, indent=1)

    def test_a_whole_file(self):
        found = gbench_json.parse(self.TEXT.encode())
        self.assertEqual((found.context, len(found.rows), found.whole),
                         ({"num_cpus": 2}, 2, True))

    def test_a_file_that_breaks_off_has_the_rows_that_are_complete(self):
        for cut, rows in ((len(self.TEXT) - 3, 2), (self.TEXT.index('"b"') + 5, 1),
                          (self.TEXT.index('"a"'), 0), (10, 0), (0, 0)):
            found = gbench_json.parse(self.TEXT[:cut].encode())
            self.assertEqual((len(found.rows), found.whole), (rows, False), cut)
        self.assertEqual(gbench_json.parse(self.TEXT[:-3].encode()).context, {"num_cpus": 2})

    def test_anything_else_is_nothing(self):
        for data in (b"[]", b"{}", b'{"benchmarks": 1}', b"\xff\xfe", b"[" * 100_000, b"null"):
            self.assertEqual(gbench_json.parse(data).rows, [])

    def test_a_counter_does_not_hide_what_the_library_says(self):
        data = b'{"benchmarks": [{"run_name": "a", "cpu_time": 2.0, "cpu_time": 9.0}]}'
        self.assertEqual(gbench_json.parse(data).rows[0]["cpu_time"], 2.0)

    def test_names_may_hold_any_byte(self):
        data = self.TEXT.replace('"run_name": "a"', '"run_name": "a\x01\udcff"').encode(
            "utf-8", "surrogateescape")
        found = gbench_json.readings(gbench_json.parse(data))
        self.assertIn(Key("a\x01\udcff"), found)
        self.assertEqual(str(Key("a\x01\udcff", 2)), "a\\x01\\xff #2")


if __name__ == "__main__":
    unittest.main()
