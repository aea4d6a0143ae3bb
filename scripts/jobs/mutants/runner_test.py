# SPDX-License-Identifier: Apache-2.0

import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from jobs.mutants import runner
from jobs.mutants.runner import Run, Target

A, B = Target("a_fuzzer", ()), Target("b_fuzzer", ())


def made(target, seed, seconds=None, executions=100):
    killed = seconds is not None
    return Run(target.name, seed, killed, "check" if killed else "", 300.0, seconds or 60.0,
               executions, "")


class JudgeOutputTest(unittest.TestCase):
    def how(self, output, status=77):
        return runner.judge_output(status, output)[0]

    def test_each_way_to_end(self):
        self.assertEqual(self.how("Done 5 runs in 1 second(s)", 0), "")
        self.assertEqual(self.how("libFuzzer: run interrupted; exiting", 72), "")
        self.assertEqual(self.how("==7== ERROR: libFuzzer: deadly signal"), "check")
        self.assertEqual(self.how("==7==ERROR: AddressSanitizer: heap-buffer-overflow on"),
                         "sanitizer")
        self.assertEqual(self.how("a.cc:3:4: runtime error: signed integer overflow"), "sanitizer")
        self.assertEqual(self.how("==7== ERROR: libFuzzer: timeout after 5 seconds"), "time-out")
        self.assertEqual(self.how("==7== ERROR: libFuzzer: out-of-memory (used: 3000Mb)"), "memory")
        self.assertEqual(self.how("Segmentation fault", -11), "exit")
        self.assertEqual(self.how("", None), "time-out")

    def test_a_check_speaks_for_itself(self):
        output = ("INFO: Seed: 1\n#2\tINITED\nFINDING: strict parse\n  for \"{b:07}\"\n"
                  "==7== ERROR: libFuzzer: deadly signal\n")
        self.assertEqual(runner.judge_output(77, output), ("check", "strict parse"))

    def test_notes_name_no_directory_or_address(self):
        _, note = runner.judge_output(
            77, "/tmp/x/core/a.h:3:4: runtime error: load of address 0x7ffe12345678\n")
        self.assertEqual(note, "a.h:3:4: runtime error: load of address")


class ExecutionsTest(unittest.TestCase):
    def test_from_the_statistics_or_the_last_line(self):
        self.assertEqual(runner.executions("#5\tNEW\nstat::number_of_executed_units: 77\n"), 77)
        self.assertEqual(runner.executions("#5\tNEW\n#64\tpulse\nbroken"), 64)
        self.assertEqual(runner.executions(""), 0)


class TargetTest(unittest.TestCase):
    def test_options_are_those_of_libfuzzer(self):
        self.assertEqual(runner.read_options(
            "[asan]\nx = 1\n[libfuzzer]\nmax_len = 64\n# y = 2\nonly_ascii=1\n"),
            ["-max_len=64", "-only_ascii=1"])

    def test_dictionary_is_taken_along(self):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            self.assertEqual(runner.make_target("a_fuzzer", directory), A)
            (directory / "a_fuzzer.dict").write_text('"x"\n', encoding="utf-8")
            self.assertEqual(runner.make_target("a_fuzzer", directory).flags,
                             (f"-dict={directory / 'a_fuzzer.dict'}",))


class GradeTest(unittest.TestCase):
    """`script`: (target name, seed) -> seconds to kill; a pair that isn't there survives."""

    def grade(self, script, targets=(A, B), seconds=60):
        def run(target, seed, limit):
            needed = script.get((target.name, seed))
            return made(target, seed, needed if needed is not None and needed <= limit else None)

        runs = runner.grade(run, targets, seconds)
        return runs, runner.outcome(runs, seconds)

    def test_three_of_five_in_ten_seconds(self):
        _, outcome = self.grade({("a_fuzzer", 1): 1, ("a_fuzzer", 3): 2, ("a_fuzzer", 5): 9})
        self.assertEqual(outcome, "killed-10")

    def test_any_target_will_do(self):
        _, outcome = self.grade({("a_fuzzer", 1): 1, ("b_fuzzer", 2): 1, ("b_fuzzer", 3): 1})
        self.assertEqual(outcome, "killed-10")

    def test_later(self):
        runs, outcome = self.grade({("a_fuzzer", 1): 1, ("a_fuzzer", 2): 1, ("a_fuzzer", 3): 40})
        self.assertEqual(outcome, "killed-60")
        self.assertEqual(runner.median_kill(runs), (40, 100))

    def test_two_of_five_is_survival(self):
        runs, outcome = self.grade({("a_fuzzer", 1): 1, ("a_fuzzer", 2): 1})
        self.assertEqual(outcome, "survived")
        self.assertIsNone(runner.median_kill(runs))

    def test_each_target_gets_all_the_time_before_a_mutant_survives(self):
        runs, outcome = self.grade({})
        self.assertEqual(outcome, "survived")
        # There are five seeds with 10 s, then three with 60 s: the other two can't change the
        # outcome.
        self.assertEqual(len(runs), 5 * 2 + 3 * 2)

    def test_a_seed_that_killed_runs_no_more(self):
        runs, _ = self.grade({("a_fuzzer", seed): 1 for seed in runner.SEEDS})
        self.assertEqual(len(runs), 5)

    def test_the_killer_goes_first_with_the_next_seed(self):
        runs, _ = self.grade({("b_fuzzer", seed): 1 for seed in runner.SEEDS})
        self.assertEqual([run.target for run in runs], ["a_fuzzer", *["b_fuzzer"] * 5])

    def test_median_of_the_seeds(self):
        runs, _ = self.grade({("a_fuzzer", s): s for s in runner.SEEDS})
        self.assertEqual(runner.median_kill(runs)[0], 3)


class RunTest(unittest.TestCase):
    def test_costs_what_it_used_not_what_it_waited_for(self):
        self.assertEqual(made(A, 1, 2).cost, 2)

    def test_one_that_hangs_costs_the_time_out(self):
        self.assertEqual(Run("a_fuzzer", 1, True, "time-out", 6.0, 0.1, 9, "").cost, 5)


class ChildrenTest(unittest.TestCase):
    def test_status_and_output(self):
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "log"
            status, seconds, _ = runner.Children().run(
                [sys.executable, "-c", "print('x'); raise SystemExit(3)"], name, log)
            self.assertEqual((status, log.read_text()), (3, "x\n"))
            self.assertGreater(seconds, 0)

    def test_what_takes_too_long_is_ended(self):
        with tempfile.TemporaryDirectory() as name:
            status, seconds, _ = runner.Children().run(
                ["sleep", "60"], name, Path(name) / "log", timeout=0.2)
            self.assertIsNone(status)
            self.assertLess(seconds, 30)

    def test_what_has_used_its_cpu_is_interrupted(self):
        endless = ("import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(72))\n"
                   "print('ready', flush=True)\nwhile True: pass")
        with tempfile.TemporaryDirectory() as name:
            log = Path(name) / "log"
            status, _, cpu = runner.Children().run(
                [sys.executable, "-c", endless], name, log, timeout=60, cpu_limit=0.5)
            self.assertEqual(status, 72)
            self.assertGreater(cpu, 0.4)

    def test_what_an_interrupt_does_not_end_is_ended_and_no_finding(self):
        endless = ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
                   "while True: pass")
        with tempfile.TemporaryDirectory() as name, \
                mock.patch.object(runner, "_TO_END", 0.2):
            status, _, _ = runner.Children().run(
                [sys.executable, "-c", endless], name, Path(name) / "log", timeout=60,
                cpu_limit=0.3)
            self.assertEqual(runner.judge_output(status, ""), ("", ""))

    def test_what_waits_uses_none(self):
        with tempfile.TemporaryDirectory() as name:
            status, _, _ = runner.Children().run(
                ["sleep", "0.5"], name, Path(name) / "log", timeout=60, cpu_limit=0.2)
            self.assertEqual(status, 0)

    def test_stop_ends_all_and_lets_nothing_begin(self):
        children = runner.Children()
        with tempfile.TemporaryDirectory() as name:
            timer = threading.Timer(0.2, children.stop)
            timer.start()
            start = time.monotonic()
            with self.assertRaises(runner.Stopped):
                children.run(["sleep", "60"], name, Path(name) / "log")
            self.assertLess(time.monotonic() - start, 30)
            with self.assertRaises(runner.Stopped):
                children.run(["true"], name, Path(name) / "log")


if __name__ == "__main__":
    unittest.main()
