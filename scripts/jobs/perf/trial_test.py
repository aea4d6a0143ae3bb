# SPDX-License-Identifier: Apache-2.0

import dataclasses
import tempfile
import unittest
from pathlib import Path

from jobs.perf import trial
from jobs.perf.account import Benchmark, account, slowed
from jobs.perf.gbench_json import Key
from jobs.perf.samples import Effort, Program

# This program writes JSON as the library does: each row as soon as it is known. MODE says what goes
# wrong, in most modes at "bad".
_PROGRAM = r"""#!/usr/bin/python3
import os, re, sys, time
flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
pattern = re.compile(flags["benchmark_filter"])
mode = "MODE"
out = open(flags["benchmark_out"], "w")
if mode == "no rows":
    if any(pattern.search(name) for name in ("bad",)):
        os.kill(os.getpid(), 11)
if mode == "start":
    sys.exit("no configuration")
out.write('{"context": {"num_cpus": 2}, "benchmarks": [\n')
comma = ""
for name in ("a", "bad", "b", "c"):
    if not pattern.search(name):
        continue
    if name == "bad":
        if mode == "segv": os.kill(os.getpid(), 11)
        if mode == "hang": time.sleep(60)
        if mode == "slow": time.sleep(0.1 * int(flags["benchmark_repetitions"]))
        if mode == "exit": sys.exit(0)
        if mode == "leave out": continue
    out.write(comma + '{"run_name": "%s", "cpu_time": 5.0}' % name)
    out.flush()
    comma = ","
out.write("]}")
out.close()
if mode == "late": sys.exit(7)
"""


class TrialTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.left = 30.0

    def run_mode(self, mode, stall=20.0, names=("a", "bad", "b", "c")):
        path = self.directory / "program"
        path.write_text(_PROGRAM.replace("MODE", mode), encoding="utf-8")
        path.chmod(0o755)
        made = trial.run(Program(path), [Key(name) for name in names], Effort(),
                         self.directory / "out.json", trial.Limits(lambda: self.left, stall))
        self.assertEqual(set(made.times) | set(made.reasons), {Key(name) for name in names})
        return made

    def test_all_is_well(self):
        made = self.run_mode("")
        self.assertEqual((len(made.times), made.reasons, made.died), (4, {}, False))

    def test_one_that_dies_is_named_and_the_rest_is_measured(self):
        for mode, reason in (("segv", "ended by SIGSEGV"), ("no rows", "ended by SIGSEGV"),
                             ("exit", "ended early with status 0: its JSON breaks off"),
                             ("leave out", "is listed, but left no row")):
            made = self.run_mode(mode)
            self.assertEqual(made.reasons, {Key("bad"): reason}, mode)
            self.assertEqual(made.without_row, {Key("bad")})

    def test_one_that_hangs_is_ended(self):
        made = self.run_mode("hang", stall=1.0)
        self.assertRegex(made.reasons[Key("bad")], "hung: nothing came of it")
        self.assertEqual(len(made.times), 3)
        self.assertLess(made.seconds, 10)  # without the wait for "bad", which hangs

    def test_one_that_is_slow_does_not_hang(self):
        made = self.run_mode("slow", stall=1.0)
        self.assertEqual(made.late, {Key("bad")})
        self.assertIn("--repetitions 1, or a larger --budget", made.reasons[Key("bad")])

    def test_a_head_that_became_too_slow_blocks(self):
        slow, quick = self.run_mode("slow", stall=1.0), self.run_mode("")
        compared, left_out = account("", {"base": quick, "head": slow})
        self.assertEqual([name.key for name in compared], [key for key in quick.times
                                                           if key in slow.times])
        self.assertEqual([(one.benchmark.key, one.blocks, one.late) for one in left_out],
                         [(key, True, False) for key in slow.too_slow])
        self.assertTrue(slow.too_slow)
        for trials in ({"base": slow, "head": slow}, {"base": slow, "head": quick}):
            _, left_out = account("", trials)  # a larger budget is enough for these
            self.assertEqual([(one.blocks, one.late) for one in left_out],
                             [(False, True)] * len(slow.too_slow))

    def test_what_became_several_times_slower_and_used_up_the_time_blocks(self):
        a, b, c = (Key(name) for name in "abc")
        names = [Benchmark("", key) for key in (a, b, c)]
        base = trial.Trial((a, b, c), {a: 10.0, b: 10.0, c: 10.0}, seconds=10.0)
        whole = trial.Trial((a, b, c), {a: 300.0, b: 11.0, c: 30.0}, seconds=100.0)
        cut = trial.Trial((a, b, c), {a: 300.0, b: 11.0}, seconds=11.0)
        cut.give_up([c], "the time was up before it had been tried", late=True)
        brief = dataclasses.replace(cut, seconds=9.0)  # the base used up the time
        mild = dataclasses.replace(whole, seconds=20.0)
        for head, blocking in ((whole, [a, c]), (cut, [a]), (brief, []), (mild, [])):
            found = slowed({"base": base, "copy": base, "head": head}, names, {})
            self.assertEqual([(one.benchmark.key, one.blocks, one.late) for one in found],
                             [(key, True, False) for key in blocking])
        self.assertEqual(slowed({"base": base, "copy": base, "head": whole}, names[1:2], {}), [])

    def test_pairs_tell_more_than_a_trial(self):
        a, b = (Key(name) for name in "ab")
        names = [Benchmark("", key) for key in (a, b)]
        base = trial.Trial((a, b), {a: 10.0, b: 10.0}, seconds=10.0)
        disturbed = trial.Trial((a, b), {a: 31.0, b: 10.0}, seconds=100.0)
        equal = dataclasses.replace(disturbed, seconds=11.0)
        for head in (disturbed, equal):
            found = slowed({"base": base, "copy": base, "head": head}, names,
                           {names[0]: 1.0, names[1]: 30.0})
            self.assertEqual([(one.benchmark, one.blocks, one.slower) for one in found],
                             [(names[1], True, True)])

    def test_a_program_that_never_starts_is_given_up(self):
        made = self.run_mode("start")
        self.assertEqual(made.times, {})
        self.assertIn("status 1", made.reasons[Key("c")])
        self.assertEqual(made.words, "no configuration")

    def test_a_failure_after_the_last_benchmark_spoils_them_all(self):
        made = self.run_mode("late")
        self.assertEqual(made.times, {})
        self.assertIn("status 7 after its last benchmark", made.reasons[Key("a")])

    def test_no_time_is_named_as_such(self):
        self.left = 0.0
        made = self.run_mode("")
        self.assertEqual(made.late, {Key(name) for name in ("a", "bad", "b", "c")})


if __name__ == "__main__":
    unittest.main()
