# SPDX-License-Identifier: Apache-2.0

import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.common.terminal import Terminal
from jobs.perf import fake, process_pairs
from jobs.perf.account import Benchmark
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import Key
from jobs.perf.process_pairs import Clock, Live, Suite
from jobs.perf.samples import Effort

A, B = (Benchmark("suite", Key(name)) for name in ("BM_A", "BM_B/1"))


class LiveTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.directory = Path(temporary.name)
        self.base = fake.program(self.directory / "old" / "program", nanoseconds=10.0)
        self.head = fake.program(self.directory / "new" / "program", nanoseconds=11.0)
        self.now = 0.0

    def suite(self, name="suite", **arms):
        return Suite(name, arms or {"base": self.base, "copy": self.base, "head": self.head})

    def live(self, *suites, filter_text="", budget=100.0, **options):
        return Live(Terminal(io.StringIO()), suites or (self.suite(),), filter_text,
                    Effort(2, 0.5), Clock(budget, lambda: self.now), seed=1, **options)

    def test_a_round_has_the_times_of_all_arms_in_their_order(self):
        with self.live() as live:
            self.assertEqual(live.benchmarks, [A, B])
            self.assertEqual(live.take((A, B), 2),
                             [{A: (10.0, 10.0, 11.0), B: (10.0, 10.0, 11.0)}] * 2)
            self.assertEqual(live.take((A,), 1), [{A: (10.0, 10.0, 11.0)}])

    def test_only_what_is_undecided_runs(self):
        with self.live() as live:
            live.take((B,), 1)
        self.assertIn("--benchmark_filter=^(BM_B/1)$ --benchmark_repetitions=2",
                      fake.starts(self.head)[-1])

    def test_the_order_is_drawn_by_chance_and_repeated_by_the_seed(self):
        def order():
            for made in (self.base, self.head):
                Path(f"{made.path}.log").unlink(missing_ok=True)
            with self.live() as live:
                live.take((A,), 12)
            # The folder of each process' arm: 00 is the base, 01 is the copy.
            return [Path(line.split()[0]).parent.name for line in fake.starts(self.base)]

        first = order()
        self.assertEqual(order(), first)
        self.assertEqual(sorted(first[1:]), ["00"] * 12 + ["01"] * 12)  # one was the trial
        self.assertGreater(len({tuple(first[i:i + 2]) for i in range(1, 25, 2)}), 1)

    def test_paths_are_of_one_length_and_copies_are_renewed(self):
        with self.live() as live:
            live.take((A,), 11)
            live.fresh((A,))
            live.take((A,), 1)
            paths = {line.split()[0] for made in (self.base, self.head)
                     for line in fake.starts(made)}
            self.assertEqual(len({len(path) for path in paths}), 1)
            # There are two arms of the base and one of the head. Copies are made at the start,
            # after 10 rounds, and when fresh ones are asked for.
            self.assertEqual(len(paths), 9)
            self.assertNotIn(str(self.base.path), paths)
        self.assertFalse(any(Path(path).exists() for path in paths))

    def test_a_program_that_runs_only_from_its_place_is_linked_to(self):
        self.base.path.write_text(
            self.base.path.read_text(encoding="utf-8").replace(
                "out= filter=", 'out= filter=; [ -e "$(dirname "$(readlink -f "$0")")/library" ]'
                                ' || exit 127'), encoding="utf-8")
        (self.base.path.parent / "library").touch()
        with self.live() as live:
            self.assertEqual(live.take((A,), 1), [{A: (10.0, 10.0, 11.0)}])

    def test_a_program_keeps_its_link_if_its_own_place_is_no_better(self):
        fails = """sed -i 's/"BM_A"/&, "error_occurred": true/' "$out"\n"""
        self.base = fake.program(self.base.path, extra=fails)
        self.base.path.write_text(
            self.base.path.read_text(encoding="utf-8").replace(
                "out= filter=", 'out= filter=; [ -e "$(dirname "$(readlink -f "$0")")/library" ]'
                                ' || exit 127'), encoding="utf-8")
        (self.base.path.parent / "library").touch()
        with self.live() as live:
            self.assertEqual(live.benchmarks, [B])
            self.assertNotEqual(live.program("suite", "base").path, self.base.path)
            self.assertEqual(live.take((B,), 1), [{B: (10.0, 10.0, 11.0)}])

    def test_a_benchmark_that_works_only_beside_its_files_is_measured_there(self):
        """The benchmark says that it failed or was skipped, and the program itself ends well."""
        for field in ("error_occurred", "skipped"):
            fails = (f"""sed -i 's/"BM_A"/&, "{field}": true/' "$out"\n""")
            extra = '[ -e "$(dirname "$0")/library" ] || ' + fails
            self.base = fake.program(self.base.path, extra=extra)
            (self.base.path.parent / "library").touch()
            with self.live() as live:
                self.assertEqual(live.benchmarks, [A, B])
                self.assertEqual(live.program("suite", "copy").path, self.base.path)
                self.assertEqual(live.take((A,), 1), [{A: (10.0, 10.0, 11.0)}])
            # What fails everywhere runs from a copy, as everything else does.
            self.base = fake.program(self.base.path, extra=fails)
            with self.live() as live:
                self.assertEqual(live.benchmarks, [B])
                self.assertNotEqual(live.program("suite", "base").path, self.base.path)

    def test_compares_what_all_arms_have_and_names_the_rest(self):
        self.head = fake.program(self.head.path, ("BM_B/1", "BM_C"))
        with self.live() as live:
            self.assertEqual(live.benchmarks, [B])
            self.assertEqual([(str(one.benchmark), one.text, one.blocks)
                              for one in live.unmeasured],
                             [("BM_A", "head: is not in it", True),
                              ("BM_C", "base: is not in it", False)])

    def test_a_name_may_be_in_two_suites(self):
        with self.live(self.suite("one"), self.suite("two")) as live:
            self.assertEqual(len(live.benchmarks), 4)
            (times,) = live.take(tuple(live.benchmarks), 1)
            self.assertEqual(len(times), 4)

    def test_programs_of_one_file_name_have_copies_of_their_own(self):
        other = fake.program(self.directory / "old" / "y" / "program", nanoseconds=20.0)
        newer = fake.program(self.directory / "new" / "y" / "program", nanoseconds=30.0)
        suites = (self.suite("x/program"),
                  self.suite("y/program", base=other, copy=other, head=newer))
        raw = self.directory / "raw"
        with self.live(*suites, raw=raw) as live:
            (times,) = live.take(tuple(live.benchmarks), 1)
            self.assertEqual([times[Benchmark(suite.name, Key("BM_A"))] for suite in suites],
                             [(10.0, 10.0, 11.0), (20.0, 20.0, 30.0)])
            paths = {(suite.name, arm): live.program(suite.name, arm).path
                     for suite in suites for arm in suite.arms}
            for suite in suites:
                for arm, program in suite.arms.items():
                    self.assertEqual(paths[suite.name, arm].read_bytes(),
                                     program.path.read_bytes())
        self.assertEqual(len(set(paths.values())), 6)
        self.assertEqual(len({len(str(path)) for path in paths.values()}), 1)
        self.assertEqual(len({path.name.split(".")[0] for path in raw.iterdir()}), 2)

    def test_one_program_of_several_that_fails_does_not_take_the_others_with_it(self):
        broken = fake.program(self.directory / "broken", extra="")
        broken.path.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
        with self.live(self.suite(), self.suite("two", base=broken, head=broken)) as live:
            self.assertEqual(live.benchmarks, [A, B])
            self.assertRegex(live.facts.incidents[0], "ended with status 3")

    def test_no_round_begins_that_would_not_end_in_time(self):
        with self.live(budget=100.0) as live:
            def slow():
                for pace in live._paces.values():
                    pace.start, pace.rate, pace.last = 0.0, 5.0, (0, 0.0)

            slow()
            self.now = 65.0
            self.assertEqual(len(live.take((A, B), 1)), 1)
            slow()
            self.now = 75.0
            self.assertEqual((live.affords((A, B), 5), live.affords((A,), 5)), (0, 1))
            self.assertEqual(live.take((A, B), 1), [])
            self.assertEqual(len(live.take((A,), 1)), 1)  # half a round still fits

    def test_a_benchmark_that_dies_in_the_rounds_is_lost_and_the_others_go_on(self):
        raw = self.directory / "raw"
        with self.live(raw=raw) as live:
            text = self.head.path.read_text(encoding="utf-8")
            dying = 'case $names in *BM_A*) kill -SEGV $$ ;; esac\nseparator='
            self.head.path.write_text(text.replace("separator=\n", dying + "\n", 1),
                                      encoding="utf-8")
            live.fresh((A, B))
            self.assertEqual(live.take((A, B), 1), [{}])
            self.assertEqual(live.lost, {A})
            self.assertEqual(live.unmeasured[0].text, "head: ended by SIGSEGV")
            self.assertEqual(live.take((B,), 1), [{B: (10.0, 10.0, 11.0)}])
            self.assertEqual(live.facts.incidents, ["head: a process of suite ended by SIGSEGV"])
        self.assertIn("suite.blame.head.json", [path.name for path in raw.iterdir()])

    def test_a_benchmark_that_hangs_in_the_rounds_is_lost_and_the_others_go_on(self):
        with self.live() as live:
            text = self.head.path.read_text(encoding="utf-8")
            hanging = 'case $names in *BM_A*) exec sleep 60 ;; esac\nseparator='
            self.head.path.write_text(text.replace("separator=\n", hanging + "\n", 1),
                                      encoding="utf-8")
            live.fresh((A, B))
            with mock.patch.object(process_pairs, "stall", return_value=2.0), \
                    mock.patch.object(live, "seconds", return_value=0.02):
                self.assertEqual(live.take((A, B), 1), [{}])
            self.assertEqual(live.lost, {A})
            self.assertEqual(live.take((B,), 1), [{B: (10.0, 10.0, 11.0)}])

    def test_checks_itself_once_and_no_more(self):
        extra = f'echo "${{{process_pairs.SKIP_CHECK}-checked}}" >>"{self.directory}/checks"'
        self.base = fake.program(self.base.path, extra=extra)
        self.base.environment[process_pairs.SKIP_CHECK] = "1"
        with self.live() as live:
            live.take((A,), 1)
        self.assertEqual((self.directory / "checks").read_text(encoding="utf-8").split(),
                         ["checked", "1", "1"])

    def test_keeps_the_json_of_every_process(self):
        raw = self.directory / "raw"
        with self.live(raw=raw) as live:
            live.take((A,), 1)
            live.fresh((A,))
            live.take((A,), 1)
        # The base and its copy are one program, which is tried once.
        self.assertEqual(sorted(path.name for path in raw.iterdir()), sorted(
            ["suite.trial.base.json", "suite.trial.head.json"]
            + [f"suite.{phase}01.{arm}.json" for phase in "ab"
               for arm in ("base", "copy", "head")]))
        with self.assertRaisesRegex(PerfError, "not empty"):
            self.live(raw=raw).__enter__()


class BenchMainTest(unittest.TestCase):
    def test_the_programs_know_the_variable(self):
        from jobs.common import build
        self.assertIn(f'getenv("{process_pairs.SKIP_CHECK}")',
                      (build.ROOT / "bench" / "bench_main.cc").read_text(encoding="utf-8"))

    def test_all_arms_skip_the_check_or_none(self):
        with tempfile.TemporaryDirectory() as temporary:
            old, new = Path(temporary) / "old", Path(temporary) / "ledger_benchmark"
            old.write_bytes(b"\x7fELF nothing")
            new.write_bytes(b"\x7fELF " + process_pairs.SKIP_CHECK.encode() + b"\0")
            self.assertNotIn(process_pairs.SKIP_CHECK, process_pairs.environment_of([old, new]))
            both = process_pairs.environment_of([new, new])
            self.assertEqual(both.pop(process_pairs.SKIP_CHECK), "1")
            self.assertEqual(list(both), ["GLIBC_TUNABLES"])  # scripts/bench sets it as well


if __name__ == "__main__":
    unittest.main()
