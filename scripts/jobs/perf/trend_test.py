# SPDX-License-Identifier: Apache-2.0

import contextlib
import dataclasses
import datetime
import importlib.util
import io
import json
import random
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import history_files, metrics, trend
from jobs.perf.error import PerfError
from jobs.perf.history_files import Measurement, Point

_START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
_OTAVA = importlib.util.find_spec("otava") is not None


def level(count, value, noise=0.005, seed=1):
    source = random.Random(seed)
    return [value * (1 + source.gauss(0, noise)) for _ in range(count)]


def points(ratios, machine="AMD EPYC", benchmark="BM_A"):
    return [Point(_START + datetime.timedelta(days=day), f"{day:012x}", "suite", "record",
                  {"cpu": machine},
                  {benchmark: Measurement(ratio, ratio, ratio, ratio * 10, 10.0, 10)})
            for day, ratio in enumerate(ratios)]


@unittest.skipUnless(_OTAVA, "Apache Otava is not installed")
class ChangePointsTest(unittest.TestCase):
    def test_finds_a_step_and_where_it_is(self):
        ((index, before, after, p),) = trend.change_points(
            level(25, 1.0) + level(25, 1.05, seed=2))
        self.assertEqual(index, 25)
        self.assertAlmostEqual(after / before, 1.05, delta=0.005)
        self.assertLess(p, 1e-5)

    def test_finds_no_step_in_noise(self):
        for seed in range(100):
            self.assertEqual(trend.change_points(level(60, 1.0, 0.01, seed)), [])

    def test_is_seldom_wrong_about_spikes(self):
        found = 0
        for seed in range(200):
            source = random.Random(seed)
            spiky = [value * (1 + source.uniform(0.1, 0.4) * (source.random() < 0.05))
                     for value in level(60, 1.0, 0.01, seed)]
            found += bool(trend.change_points(spiky))
        self.assertLessEqual(found, 20)

    def test_finds_each_step_of_5_percent(self):
        for seed in range(50):
            series = level(30, 1.0, 0.01, seed) + level(30, 1.05, 0.01, 1000 + seed)
            self.assertNotEqual(trend.change_points(series), [])

    def test_a_spike_is_no_step(self):
        self.assertEqual(trend.change_points(level(30, 1.0) + [1.4] + level(29, 1.0, seed=2)),
                         [])

    def test_a_step_of_less_than_3_percent_is_left_out(self):
        self.assertEqual(
            trend.change_points(level(30, 1.0, 0.001) + level(30, 1.02, 0.001, 2)), [])

    def test_finds_two(self):
        found = trend.change_points(level(30, 1.0) + level(30, 1.1, seed=2)
                                    + level(30, 1.0, seed=3))
        self.assertEqual([index for index, *_ in found], [30, 60])

    def test_few_points_say_nothing(self):
        for count in range(4):
            self.assertEqual(trend.change_points([1.0] * count), [])


@unittest.skipUnless(_OTAVA, "Apache Otava is not installed")
class TrendTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)

    def trend(self, *more):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            status = trend.main(["--history", str(self.root), *more])
        return status, output.getvalue()

    def test_says_what_changed_when_by_how_much_and_where(self):
        for point in points(level(20, 2.0) + level(20, 2.2, seed=2)):
            history_files.append(point, self.root)
        status, output = self.trend("--json", str(self.root / "out.json"))
        self.assertEqual(status, 0)
        self.assertRegex(output, r"BM_A  2026-01-21  000000000013\.\.000000000014 +2 +2\.197 ")
        self.assertIn("amd-epyc-", output)
        self.assertIn("1 changes in 40 points of 1 machines", output)
        (found,) = json.loads((self.root / "out.json").read_text(encoding="utf-8"))["changes"]
        self.assertEqual((found["benchmark"], found["revision"]), ("BM_A", f"{20:012x}"))
        self.assertAlmostEqual(found["change"], 0.1, delta=0.01)

    def test_memory_grows_and_is_told_in_bytes(self):
        mib = 1 << 20
        for point in points(level(20, 2.0 * mib) + level(20, 3.0 * mib, seed=2)):
            (found,) = point.benchmarks.values()
            history_files.append(dataclasses.replace(point, benchmarks={
                "BM_A": dataclasses.replace(
                    found, metric=metrics.MEMORY, time_ns=None, reference_ns=None)}), self.root)
        for point in points(level(20, 2.0) + level(20, 2.2, seed=2), benchmark="BM_T"):
            history_files.append(dataclasses.replace(point, suite="times"), self.root)
        _, output = self.trend("--json", str(self.root / "out.json"))
        self.assertRegex(output, r"BM_A .* 2(\.\d+)? MiB +(3|2\.99\d?)(\.\d+)? MiB ")
        action = json.loads((self.root / "out.json").read_text(encoding="utf-8"))["action"]
        self.assertIn("1 became slower, BM_T the most: ", action)
        self.assertIn("1 became larger, BM_A the most: ", action)

    def test_the_file_is_written_even_if_nobody_reads_the_output(self):
        for point in points(level(20, 2.0)):
            history_files.append(point, self.root)
        with mock.patch.object(trend, "_print", side_effect=BrokenPipeError), \
                self.assertRaises(BrokenPipeError):
            self.trend("--json", str(self.root / "out.json"))
        self.assertTrue((self.root / "out.json").is_file())

    def test_nothing_is_said_before_it_is_known(self):
        """Without Otava no line says that all is well."""
        with mock.patch.object(history_files, "ROOT", self.root), \
                mock.patch.object(trend, "changes", side_effect=PerfError("no Otava")), \
                contextlib.redirect_stdout(io.StringIO()) as output, self.assertRaises(PerfError):
            trend.main([])
        self.assertEqual(output.getvalue(), "")

    def test_another_machine_is_another_series(self):
        for point in (*points(level(20, 2.0)), *points(level(20, 3.0), "Xeon")):
            history_files.append(point, self.root)
        self.assertIn("0 changes in 40 points of 2 machines", self.trend()[1])

    def test_a_step_on_the_day_of_a_new_kernel_is_seen_and_the_kernel_told(self):
        for day, point in enumerate(points(level(30, 2.0) + level(30, 2.6, seed=2))):
            history_files.append(dataclasses.replace(point, machine={
                **point.machine, "kernel": "6.1" if day < 30 else "6.2"}), self.root)
        _, output = self.trend()
        self.assertIn("1 changes in 60 points of 1 machines", output)
        self.assertIn("changed with it: kernel: 6.1 to 6.2", output)
        self.assertIn("suite goes on over 2026-01-31", output)

    def test_a_damaged_line_stops_nothing(self):
        for point in points(level(20, 2.0) + level(20, 2.2, seed=2)):
            path = history_files.append(point, self.root)
        with open(path, "a", encoding="utf-8") as file:
            file.write("{\n")
        status, output = self.trend()
        self.assertEqual(status, 0)
        self.assertIn("1 changes in 40 points", output)
        self.assertIn("suite.jsonl:41: not JSON", output)
        self.assertIn("history repair", output)

    def test_dates_order_the_points_not_their_lines(self):
        made = points(level(20, 2.0) + level(20, 2.2, seed=2))
        for point in reversed(made):
            history_files.append(point, self.root)
        self.assertIn("1 changes", self.trend()[1])

    def test_no_history_is_an_error_where_one_was_asked_for(self):
        with self.assertRaisesRegex(PerfError, "no history"):
            self.trend()
        with mock.patch.object(history_files, "ROOT", self.root):
            with self.assertRaisesRegex(PerfError, "no history"):
                self.trend()  # asked for by its name, although it is the usual folder
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                status = trend.main([])
        self.assertEqual(status, 0)
        self.assertIn("record begins one", output.getvalue())

    def test_a_history_of_which_nothing_can_be_read_is_an_error(self):
        (point,) = points([1.0])
        path = history_files.append(point, self.root)
        path.write_text("{\n", encoding="utf-8")
        with self.assertRaisesRegex(PerfError, r"suite\.jsonl:1: not JSON"):
            self.trend()
        with mock.patch.object(history_files, "ROOT", self.root), \
                self.assertRaisesRegex(PerfError, "history repair"):
            trend.main([])

    def test_a_damaged_line_does_not_hide_what_became_slower(self):
        for point in points(level(20, 2.0) + level(20, 2.2, seed=2)):
            path = history_files.append(point, self.root)
        with open(path, "a", encoding="utf-8") as file:
            file.write("{\n")
        self.trend("--json", str(self.root / "out.json"))
        action = json.loads((self.root / "out.json").read_text(encoding="utf-8"))["action"]
        self.assertIn("1 became slower, BM_A the most", action)
        self.assertIn("history repair", action)


class WithoutOtavaTest(unittest.TestCase):
    def test_says_how_to_get_it(self):
        with mock.patch.dict("sys.modules", {"otava": None, "otava.analysis": None}), \
                self.assertRaisesRegex(PerfError, "bootstrap --for perf"):
            trend.change_points([1.0, 1.0])


if __name__ == "__main__":
    unittest.main()
