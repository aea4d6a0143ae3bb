# SPDX-License-Identifier: Apache-2.0

import dataclasses
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import history_files
from jobs.perf.history_files import HistoryError, Measurement, Point

MACHINE = {"cpu": "AMD EPYC (1.5)", "kernel": "6.1.0", "compiler": "g++ 12.2.0"}
DATE = datetime.datetime(2026, 11, 25, 2, 40, 11, tzinfo=datetime.timezone.utc)


def point(**changes):
    made = Point(date=DATE, revision="0729f9c13a5b", suite="grant_json",
                 command="./scripts/perf record", machine=dict(MACHINE),
                 benchmarks={"BM_A/x": Measurement(2.0, 1.9, 2.1, 20.0, 10.0, 10)})
    return dataclasses.replace(made, **changes)


def line(**changes):
    """The text of a point as another program might have written it."""
    document = {"date": "2026-11-25T02:40:11Z", "revision": "0729f9c13a5b", "suite": "grant_json",
                "command": "./scripts/perf record", "machine": MACHINE,
                "benchmarks": {"BM_A/x": {"ratio": 2.0, "low": 1.9, "high": 2.1, "time_ns": 20.0,
                                          "reference_ns": 10.0, "pairs": 10}}}
    document.update(changes)
    return json.dumps(document)


class FingerprintTest(unittest.TestCase):
    def test_names_the_cpu_and_digests_the_rest(self):
        text = history_files.fingerprint(MACHINE)
        self.assertRegex(text, r"^amd-epyc-1-5-[0-9a-f]{12}$")
        for changed in (dict(MACHINE, compiler="g++ 13"), dict(MACHINE, caches="L1"),
                        dict(MACHINE, cpu_flags="avx2")):
            self.assertNotEqual(history_files.fingerprint(changed), text)

    def test_outlives_the_kernel_and_what_else_leaves_times_comparable(self):
        text = history_files.fingerprint(dict(MACHINE, cpu_flags="avx2 nopl"))
        for changed in (dict(MACHINE, kernel="6.1.1"), dict(MACHINE, libc="2.36"),
                        dict(MACHINE, benchmark_library="1.9")):
            changed["cpu_flags"] = "avx2 rdpid"  # a newer kernel lists rdpid
            self.assertEqual(history_files.fingerprint(changed), text)

    def test_does_not_depend_on_the_order(self):
        self.assertEqual(history_files.fingerprint(dict(reversed(MACHINE.items()))),
                         history_files.fingerprint(MACHINE))


class ParsePointTest(unittest.TestCase):
    def test_reads_every_field(self):
        self.assertEqual(history_files.parse_point(line()), point())
        self.assertEqual(history_files.parse_point(line(revision="0729f9c13a5b+")).revision,
                         "0729f9c13a5b+")

    def test_refuses_what_is_not_of_the_form(self):
        measurement = {"ratio": 2.0, "low": 1.9, "high": 2.1, "time_ns": 20.0,
                       "reference_ns": 10.0, "pairs": 10}
        for text, problem in (
                ("{", "not JSON"),
                ("[]", "not an object"),
                ("[" * 100_000, "not JSON"),
                ("{}", "needs exactly"),
                (line(more=1), "needs exactly"),
                (line(date="2026-11-25 02:40"), "date"),
                (line(date=5), "date"),
                (line(revision="main"), "revision"),
                (line(suite="../up"), "suite"),
                (line(machine={}), "machine"),
                (line(machine={"cpu": 1}), "machine"),
                (line(benchmarks={}), "no benchmarks"),
                (line(benchmarks={"BM_A/x": dict(measurement, more=1)}), "BM_A/x"),
                (line(benchmarks={"BM_A/x": dict(measurement, ratio="2")}), "ratio"),
                (line(benchmarks={"BM_A/x": dict(measurement, ratio=0)}), "ratio"),
                (line(benchmarks={"BM_A/x": dict(measurement, time_ns=float("nan"))}), "time_ns"),
                (line(benchmarks={"BM_A/x": dict(measurement, time_ns=10**400)}), "time_ns"),
                (line(benchmarks={"BM_A/x": dict(measurement, pairs=True)}), "pairs"),
                (line(benchmarks={"BM_A/x": dict(measurement, pairs=1.5)}), "pairs"),
                (line(benchmarks={"BM_A/x": dict(measurement, low=2.05)}), "interval")):
            with self.subTest(text=text[-99:]), self.assertRaisesRegex(HistoryError, problem):
                history_files.parse_point(text)


class FileTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)

    def test_what_was_appended_is_read(self):
        later = point(date=DATE + datetime.timedelta(days=1))
        other = point(suite="ledger", machine=dict(MACHINE, cpu="ARM"))
        path = history_files.append(point(), self.root)
        self.assertEqual(history_files.append(later, self.root), path)
        history_files.append(other, self.root)
        self.assertEqual(history_files.read(path), [point(), later])
        self.assertEqual(list(history_files.read_all(self.root).values()),
                         [[point(), later], [other]])

    def test_appending_leaves_what_is_there(self):
        path = history_files.append(point(), self.root)
        before = path.read_bytes()
        history_files.append(point(), self.root)
        self.assertTrue(path.read_bytes().startswith(before))

    def test_does_not_write_what_it_would_not_read(self):
        with self.assertRaisesRegex(HistoryError, "suite"):
            history_files.append(point(suite="a/b"), self.root)
        self.assertEqual(list(self.root.iterdir()), [])

    def test_an_unfinished_line_costs_that_line_alone(self):
        path = history_files.append(point(), self.root)
        path.write_bytes(path.read_bytes()[:-20])
        later = point(date=DATE + datetime.timedelta(days=1))
        history_files.append(later, self.root)
        problems = []
        self.assertEqual(history_files.read(path, problems), [later])
        self.assertEqual(len(problems), 1)
        history = history_files.read_all(self.root)
        self.assertEqual(list(history.values()), [[later]])
        self.assertRegex(history.problems[0], r"grant_json\.jsonl:1: not JSON")

    def test_a_repair_takes_out_what_is_damaged_and_keeps_it_beside(self):
        path = history_files.append(point(), self.root)
        with open(path, "ab") as file:
            file.write(b"\xff\n{}\n")
        history_files.append(point(), self.root)
        self.assertEqual(history_files.repair(path), 2)
        self.assertEqual(history_files.read(path), [point(), point()])
        self.assertEqual(path.with_name(path.name + ".damaged").read_bytes(), b"\xff\n{}\n")
        self.assertEqual(history_files.repair(path), 0)

    def test_writers_at_once_lose_nothing(self):
        program = (
            "import sys, datetime\n"
            "from jobs.perf import history_files_test as its, history_files\n"
            "for number in range(40):\n"
            "    history_files.append(its.point(command=f'{sys.argv[2]} {number}'), sys.argv[1])\n")
        writers = [subprocess.Popen([sys.executable, "-c", program, str(self.root), str(number)])
                   for number in range(3)]
        self.assertEqual([writer.wait(60) for writer in writers], [0, 0, 0])
        (points,) = history_files.read_all(self.root).values()
        self.assertEqual(len({one.command for one in points}), 120)

    def test_a_writer_follows_a_folder_that_was_moved_while_it_waited(self):
        path = history_files.append(point(), self.root)
        moved = self.root.parent / f"{self.root.name}.moved"
        self.addCleanup(shutil.rmtree, moved, ignore_errors=True)
        with history_files.locked(path.parent):
            writer = threading.Thread(target=history_files.append, args=(point(), self.root))
            writer.start()
            time.sleep(0.2)
            path.parent.rename(moved)
            path.parent.mkdir()
            with history_files.locked(path.parent):
                pass
        writer.join(60)
        self.assertEqual(len(history_files.read(path)), 1)

    def test_versions_of_a_file_are_put_together_line_by_line(self):
        for base, ours, theirs, found in (
                ("", "", "", ""), ("", "a", "b", "ba"), ("", "a", "a", "a"),
                ("a", "ab", "ac", "acb"), ("a", "ab", "a", "ab"), ("xa", "ab", "xac", "acb"),
                ("xa", "xab", "ac", "acb"), ("xa", "a", "a", "a"), ("", "aa", "a", "aa"),
                ("a", "a", "", ""), ("aa", "aab", "a", "ab")):
            with self.subTest(base=base, ours=ours, theirs=theirs):
                made = history_files.merged(*("\n".join(text).encode()
                                              for text in (base, ours, theirs)))
                self.assertEqual(made.decode(), "".join(f"{line}\n" for line in found))

    def test_a_write_that_fails_leaves_the_file_as_it_was(self):
        path = history_files.append(point(), self.root)
        before = path.read_bytes()
        with mock.patch("os.fsync", side_effect=OSError("disk full")), \
                self.assertRaisesRegex(OSError, "disk full"):
            history_files.append(point(), self.root)
        self.assertEqual((path.read_bytes(), len(list(path.parent.iterdir()))), (before, 1))

    def test_what_a_killed_writer_left_is_cleared_away(self):
        path = history_files.append(point(), self.root)
        (path.parent / ".writing-x").touch()
        history_files.append(point(), self.root)
        self.assertEqual(list(path.parent.iterdir()), [path])

    def test_what_could_not_be_appended_is_told_before(self):
        history_files.check("suite", "0729f9c13a5b", root=self.root / "new")
        for suite, revision in (("../up", "0729f9c13a5b"), ("suite", "main")):
            with self.assertRaises(HistoryError):
                history_files.check(suite, revision, root=self.root)
        (self.root / "file").touch()
        with self.assertRaisesRegex(HistoryError, "can't be written"):
            history_files.check("suite", "0729f9c13a5b", root=self.root / "file")

    def test_an_old_history_is_taken_over_once(self):
        old = self.root / "old" / "amd-epyc-0123456789ab"
        old.mkdir(parents=True)
        (old / "grant_json.jsonl").write_text(line() + "\nbroken\n", encoding="utf-8")
        new = self.root / "new"
        added, problems = history_files.migrate(self.root / "old", new)
        self.assertEqual((added, len(problems)), (1, 1))
        self.assertEqual(list(history_files.read_all(new).values()), [[point()]])
        self.assertEqual(history_files.migrate(self.root / "old", new)[0], 0)

    def test_says_where_a_file_is_wrong(self):
        path = history_files.append(point(), self.root)
        with open(path, "a", encoding="utf-8") as file:
            file.write(line(revision="x") + "\n")
        with self.assertRaisesRegex(HistoryError, r"grant_json\.jsonl:2: revision"):
            history_files.read(path)

    def test_a_point_of_another_machine_or_suite_is_an_error(self):
        path = history_files.append(point(), self.root)
        for text in (line(machine=dict(MACHINE, compiler="7")), line(suite="ledger")):
            path.write_text(text + "\n", encoding="utf-8")
            with self.assertRaisesRegex(HistoryError, ":1: the (machine|suite) is not that of the"):
                history_files.read(path)

    def test_no_history_is_empty(self):
        self.assertEqual(history_files.read_all(self.root / "none"), {})


class SeriesTest(unittest.TestCase):
    def test_a_benchmark_has_the_points_that_have_it(self):
        value = Measurement(2.0, 1.9, 2.1, 20.0, 10.0, 10)
        both, one = point(benchmarks={"a": value, "b": value}), point(benchmarks={"b": value})
        self.assertEqual(history_files.series([both, one]), {"a": [both], "b": [both, one]})

    def test_says_where_a_series_ended_and_why(self):
        old = point()
        new = point(date=DATE + datetime.timedelta(days=9), machine=dict(MACHINE, compiler="13"))
        value = Measurement(2.0, 1.9, 2.1, 20.0, 10.0, 10)
        more = point(benchmarks={"BM_A/x": value, "BM_B": value})
        history = {("old", "s"): [more, old], ("new", "s"): [new]}
        said = history_files.ended(history)
        self.assertIn("s on old ended on 2026-11-25; it goes on as new: compiler: g++ 12.2.0 to 13",
                      said)
        self.assertIn("BM_B of s on old ended on 2026-11-25: later points lack it", said)

    def test_the_series_of_the_newest_point_goes_on_wherever_the_point_stands(self):
        def on(days, compiler):
            return point(date=DATE + datetime.timedelta(days=days),
                         machine=dict(MACHINE, compiler=compiler))

        new, gone = [on(9, "13"), on(1, "13")], on(2, "12")
        for points in (new, new[::-1]):
            (said,) = history_files.ended({("old", "s"): [gone], ("new", "s"): points})
            self.assertIn("s on old ended", said)

    def test_says_where_the_surroundings_changed(self):
        new = point(machine=dict(MACHINE, kernel="6.2"))
        self.assertEqual(history_files.changes_around([point(), point(), new]),
                         {2: ["kernel: 6.1.0 to 6.2"]})


if __name__ == "__main__":
    unittest.main()
