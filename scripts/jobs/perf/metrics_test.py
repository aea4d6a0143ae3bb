# SPDX-License-Identifier: Apache-2.0
"""Tests peak memory, size and compile time: the gate finds known changes, and a point of the
history holds the values."""

import contextlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import bounded
from jobs.common.terminal import Terminal
from jobs.perf import (
    clock,
    compiling,
    decide,
    fake,
    gate,
    history_files,
    metric_trials,
    metrics,
    record,
    schema,
    sizes,
    validate,
)
from jobs.perf.memory import Memory, Peak
from jobs.perf.outside.case import OutsideCase
from jobs.perf.process_pairs import Live, Suite
from jobs.perf.samples import Effort

_WORK = "i=0; while [ $i -lt {} ]; do i=$((i + 1)); done"  # takes processor time of sh itself


class ShownTest(unittest.TestCase):
    def test_values(self):
        for value, metric, text in ((28.44, metrics.TIME, "28.4 ns"),
                                    (3.2e9, metrics.COMPILE, "3.2 s"),
                                    (900, metrics.SIZE, "900 B"), (1536, metrics.SIZE, "1.5 KiB"),
                                    (20.5 * 2**20, metrics.MEMORY, "20.5 MiB"),
                                    (3 * 2**30, metrics.MEMORY, "3 GiB")):
            self.assertEqual(metrics.shown(value, metric), text)


class SectionsTest(unittest.TestCase):
    def test_reads_what_a_compiler_wrote(self):
        found = sizes.sections(Path(sys.executable).resolve().read_bytes())
        self.assertGreater(found[".text"], 10_000)

    def test_anything_else_has_none(self):
        head = b"\x7fELF\x02\x01\x01" + bytes(9)
        for data in (b"", b"#!/bin/sh\n", b"\x7fELF", head + bytes(48), head + b"\xff" * 60,
                     head + bytes(24) + struct.pack("<Q", 1 << 60) + bytes(10)
                     + struct.pack("<HHH", 64, 9, 1)):
            self.assertFalse(sizes.sections(data))

    def test_both_kinds_of_order_and_width(self):
        for wide in (True, False):
            for order in "<>":
                form = struct.Struct(order + ("IIQQQQ" if wide else "IIIIII"))
                names = b"\0.text\0.names\0"
                start = 64 + 3 * form.size
                rows = [form.pack(0, 0, 0, 0, 0, 0), form.pack(1, 1, 0, 0, 64, 123),
                        form.pack(7, 3, 0, 0, start, len(names))]
                head = bytearray(64)
                head[:6] = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2])
                struct.pack_into(order + ("Q" if wide else "I"), head, 40 if wide else 32, 64)
                struct.pack_into(order + "HHH", head, 58 if wide else 46, form.size, 3, 2)
                found = sizes.sections(bytes(head) + b"".join(rows) + names)
                self.assertEqual(found[".text"], 123)


class SizesTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)

    def verdict(self, base, head, *wanted):
        for name, data in (("base", base), ("head", head)):
            (self.folder / name).write_bytes(data)
        arms = {arm: fake.Program(self.folder / file)
                for arm, file in (("base", "base"), ("copy", "base"), ("head", "head"))}
        source = sizes.Sizes([Suite("bench", arms)], wanted)
        results = decide.decide(source.benchmarks, source, sizes.RULES)
        return [result.verdict for result in results.values()], source.unmeasured

    def test_half_a_percent_counts(self):
        self.assertEqual(self.verdict(b"x" * 10_000, b"x" * 10_049)[0], [decide.CLEAN])
        self.assertEqual(self.verdict(b"x" * 10_000, b"x" * 10_060)[0], [decide.REGRESSED])
        self.assertEqual(self.verdict(b"x" * 10_060, b"x" * 10_000)[0], [decide.IMPROVED])

    def test_a_section_that_is_not_there_is_named(self):
        verdicts, unmeasured = self.verdict(b"#!/bin/sh\n", b"#!/bin/sh\n", ".text")
        self.assertEqual(verdicts, [])
        self.assertIn("no ELF file", unmeasured[0].text)


class PeakTest(unittest.TestCase):
    def peak(self, *command):
        found = Peak()
        ended = bounded.run(command, 60, on_start=found.start, on_tick=found.look, every=0.002)
        self.assertEqual(ended.status, 0)
        return found.bytes

    def test_is_the_process_s_own_and_of_what_it_started(self):
        allocates = "import time; x = bytearray(64 << 20); time.sleep(0.05)"
        ours = sum(map(len, [bytes(200 << 20)]))  # must not count in a child's peak
        self.assertEqual(ours, 200 << 20)
        small = self.peak("sleep", "0.1")
        large = self.peak(sys.executable, "-S", "-c", allocates)
        beneath = self.peak("sh", "-c", f"{sys.executable} -S -c '{allocates}'; true")
        self.assertLess(small, 8 << 20)
        self.assertGreater(large, 64 << 20)
        self.assertLess(large, 100 << 20)
        self.assertAlmostEqual(beneath / large, 1, delta=0.1)


class MemoryTest(unittest.TestCase):
    def test_a_benchmark_that_fails_has_no_figure(self):
        """It worked when it was tried, and gives up half-way in a round."""
        for text, reason in (('"error_occurred": true, "error_message": "no room"',
                              "failed: no room"),
                             ('"skipped": true, "skip_message": "too old"', "skipped: too old")):
            with tempfile.TemporaryDirectory() as folder, self.subTest(reason):
                base = fake.program(Path(folder) / "base", ("BM_A",), extra="sleep 0.1")
                head = Path(folder) / "head"
                # The trial is the first start.
                fails = (f"""[ "$(wc -l <"{head}.log")" -le 1 ] || """
                         f"""sed -i 's/"threads"/{text}, &/g' "$out"; sleep 0.1""")
                arms = {"base": base, "copy": base,
                        "head": fake.program(head, ("BM_A",), extra=fails)}
                terminal, budget = Terminal(io.StringIO()), clock.Clock(60.0)
                with Live(terminal, [Suite("s", arms)], "", Effort(2, 0.5), budget) as live:
                    memory = Memory(terminal, live, budget)
                    (name,) = memory.benchmarks
                    self.assertEqual(memory.take((name,), 1), [{}])
                self.assertEqual([(one.benchmark, one.text, one.blocks)
                                  for one in memory.unmeasured], [(name, f"head: {reason}", True)])

    def test_keeps_the_json_of_every_process_and_its_peak(self):
        with tempfile.TemporaryDirectory() as folder:
            base = fake.program(Path(folder) / "base", extra="sleep 0.1")
            terminal, budget, raw = Terminal(io.StringIO()), clock.Clock(60.0), Path(folder) / "raw"
            with Live(terminal, [Suite("s", {"base": base, "head": base})], "", Effort(2, 0.5),
                      budget, raw=raw) as live:
                memory = Memory(terminal, live, budget)
                names = tuple(memory.benchmarks)
                (made,) = memory.take(names, 1)
                memory.fresh(names)
                memory.take(names[1:], 1)
            kept = sorted(path.name for path in raw.glob("s.memory-*.json")
                          if ".more" not in path.name)
            self.assertEqual(kept, [f"s.memory-{place}.{arm}.json"
                                    for place in ("a01.001", "a01.002", "b01.002")
                                    for arm in ("base", "head")])
            peaks = {int(path.read_text(encoding="ascii")) for path in raw.glob("*-a01.001*.bytes")}
            self.assertLessEqual(set(made[names[0]]), peaks)
            self.assertIn('"BM_A"', (raw / kept[0]).read_text(encoding="utf-8"))


class CompilingTest(unittest.TestCase):
    def source(self, base, head, budget=60.0):
        return compiling.Compiling(Terminal(io.StringIO()), compiling.commands(base, head),
                                   clock.Clock(budget))

    def test_counts_what_the_command_waits_for_and_no_waiting(self):
        source = self.source("sleep 1; " + _WORK.format(50_000), "sleep 0; "
                             + _WORK.format(50_000))
        ((base, _, head),) = [times[source.name] for times in source.take((source.name,), 1)]
        self.assertLess(base, 0.9e9)
        self.assertAlmostEqual(base / head, 1, delta=0.6)

    def test_what_fails_or_does_nothing_is_no_pass(self):
        for base, head, why in (("true", "true", "no time"),
                                (_WORK.format(10_000), "echo no such header >&2; exit 3",
                                 "status 3: no such header")):
            # On a busy machine the start of a shell may take longer than the least time that
            # counts.
            with mock.patch.object(compiling, "_LEAST", 0.05 if why == "no time" else 1e-3):
                source = self.source(base, head)
            self.assertEqual(source.benchmarks, [])
            self.assertTrue(source.unmeasured[0].blocks)
            self.assertIn(why, source.unmeasured[0].text)

    def test_a_server_that_compiles_for_the_command_is_no_pass(self):
        """A server that has nothing to do is none of the gate's business."""
        with tempfile.TemporaryDirectory() as folder:
            server = Path(folder) / "sccache"  # the kernel knows a process by its file's name
            shutil.copy2("/bin/sh", server)
            line = ('[ "$CCACHE_DISABLE$DISTCC_HOSTS$ICECC" = 1localhostdisable ] || exit 9; '
                    + _WORK.format(20_000))
            for task, text in (("sleep 60; :", ""),
                               ("while :; do :; done", "sccache worked meanwhile")):
                with subprocess.Popen([server, "-c", task], start_new_session=True) as running:
                    try:
                        while Path(f"/proc/{running.pid}/comm").read_text() != "sccache\n":
                            time.sleep(0.01)
                        source = self.source(line, line)
                    finally:
                        os.killpg(running.pid, signal.SIGKILL)
                self.assertEqual(bool(source.unmeasured), bool(text), task)
                self.assertIn(text, source.unmeasured[0].text if text else "")

    def test_what_works_only_the_first_time_is_no_pass(self):
        """The commands are like builds that find all their files there the second time. Finding
        them takes some time too."""
        with tempfile.TemporaryDirectory() as folder:
            base, head = (f"cd {folder}; [ -e {side} ] || {{ touch {side}; "
                          f"{_WORK.format(200_000)}; }}; {_WORK.format(5_000)}"
                          for side in ("base", "head"))
            with contextlib.redirect_stdout(io.StringIO()) as output:
                status = gate.main(["--metric", "compile", "--base-compile", base,
                                    "--head-compile", head, "--budget", "60"])
        self.assertEqual(status, 2)
        self.assertIn("base: the command did not do its work again", output.getvalue())

    def test_what_works_no_longer_in_a_round_is_no_pass(self):
        with tempfile.TemporaryDirectory() as folder:
            line = (f"cd {folder}; [ -e done ] || {{ {_WORK.format(200_000)}; }}; "
                    f"{_WORK.format(5_000)}")
            source = self.source(line, line)
            self.assertEqual(source.benchmarks, [source.name])
            (Path(folder) / "done").touch()
            self.assertEqual(source.take((source.name,), 1), [])
        self.assertEqual(source.lost, {source.name})
        self.assertTrue(source.unmeasured[0].blocks)

    def test_the_budget_is_a_bound(self):
        begun = time.monotonic()
        source = self.source("sleep 30", "sleep 30", 0.5)
        self.assertLess(time.monotonic() - begun, 10)
        self.assertTrue(source.unmeasured[0].late)


class GateTest(OutsideCase):
    """Tests the whole command on a real program."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.small = cls.compiled("small", source=metric_trials.SOURCE)
        cls.large = cls.compiled("large", "-DFFGRANT_GROWTH_PERCENT=20",
                                 source=metric_trials.SOURCE)

    def run_gate(self, base, head, *more):
        out = self.folder / "out.json"
        with contextlib.redirect_stdout(io.StringIO()):
            status = gate.main([str(base), str(head), "--budget", "60", "--json", str(out), *more])
        document = json.loads(out.read_text(encoding="utf-8"))
        schema.check(document)
        return status, document

    def verdicts(self, document):
        return {each["name"]: each["verdict"] for each in document["benchmarks"]}

    def test_a_known_growth_is_found(self):
        status, document = self.run_gate(
            self.small, self.large, "--metric", "memory")
        self.assertEqual(status, 1)
        self.assertEqual(self.verdicts(document), {
            "BM_Grown_Growth/manual_time [peak memory]": "regressed",
            "BM_Same_Growth/manual_time [peak memory]": "clean"})
        grown = document["benchmarks"][0]
        self.assertEqual((grown["unit"], grown["base_ns"]), ("bytes", None))
        self.assertAlmostEqual(grown["head_value"] - grown["base_value"], 0.2 * 2**24,
                               delta=800 * 1024)
        self.assertIn("larger: BM_Grown_Growth/manual_time [peak memory]", document["action"])

    def test_what_cannot_be_told_apart_or_has_no_time_is_named(self):
        odd = self.compiled("odd")
        out = self.folder / "out.json"
        with contextlib.redirect_stdout(io.StringIO()):
            gate.main([str(odd), str(odd), "--metric", "memory", "--env", "ODD=twice", "--budget",
                       "60", "--json", str(out)])
            document = json.loads(out.read_text(encoding="utf-8"))
            schema.check(document)
            self.assertTrue([one for one in document["unmeasured"] if "#2" in one["name"]
                             and "name of another" in str(one["reasons"])])
            status = gate.main([str(odd), str(odd), "--metric", "memory", "--env", "ODD=many",
                                "--env", "ODD_COUNT=200", "--budget", "8", "--json", str(out)])
        document = json.loads(out.read_text(encoding="utf-8"))
        schema.check(document)
        self.assertEqual([one for one in document["unmeasured"] if not one["late"]], [])
        self.assertEqual(status, 3)
        # The benchmarks for which the time suffices have a verdict, and the others have a reason.
        self.assertTrue(document["benchmarks"])
        self.assertEqual(len(document["benchmarks"]) + len(document["unmeasured"]), 200)

    def test_a_larger_section_is_found_and_other_sections_are_not(self):
        status, document = self.run_gate(self.small, self.large, "--metric", "size", "--section",
                                         ".growth", "--section", ".text")
        self.assertEqual(status, 1)
        self.assertEqual(self.verdicts(document), {"small .growth [size]": "regressed",
                                                   "small .text [size]": "clean"})
        self.assertEqual(self.run_gate(self.small, self.large, "--metric", "size")[0], 1)
        self.assertEqual(self.run_gate(self.small, self.small, "--metric", "size")[0], 0)

    def test_the_selftest_s_tries(self):
        terminal = Terminal(io.StringIO())
        tries = [metric_trials.one_try(terminal, self.folder, metric, percent, 60)
                 for metric in (metrics.MEMORY, metrics.SIZE) for percent in (0, 10)]
        self.assertEqual([(each["found"], each["false"]) for each in tries],
                         [(False, []), (True, [])] * 2, tries)
        text = metric_trials.document(tries, {"cpu": "x", "cpus": 2, "budget": 60}, "x").markdown()
        self.assertEqual(text.count("| met |"), 4)

    def test_compile_time_needs_no_program(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(gate.main([
                "--metric", "compile", "--base-compile", _WORK.format(10_000), "--head-compile",
                _WORK.format(30_000), "--budget", "60"]), 1)

    def test_a_point_of_the_history_has_them_too(self):
        kernel = fake.program(self.folder / "kernel", (record.REFERENCE,), 4.0).path
        root = self.folder / "history"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = record.main([
                "--bin", str(self.small), "--suite", "mine", "--revision", "a" * 12, "--history",
                str(root), "--kernel", str(kernel), "--metric", "memory", "--metric", "size",
                "--metric", "compile", "--compile", _WORK.format(10_000), "--repetitions", "2",
                "--min-time",
                "0.0001", "--pairs", "6", "--json",
                str(self.folder / "record.json")])
        self.assertEqual(status, 0, output.getvalue())
        schema.check(json.loads((self.folder / "record.json").read_text(encoding="utf-8")))
        ((_, (point,)),) = history_files.read_all(root).items()
        self.assertEqual(set(point.benchmarks), {
            "BM_Grown_Growth/manual_time", "BM_Same_Growth/manual_time",
            "BM_Grown_Growth/manual_time [peak memory]",
            "BM_Same_Growth/manual_time [peak memory]", "small [size]", "build [compile time]"})
        self.assertEqual(point.benchmarks["small [size]"].ratio, self.small.stat().st_size)
        self.assertGreater(point.benchmarks["BM_Grown_Growth/manual_time [peak memory]"].ratio,
                           2**24)
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(validate.main([str(root)]), 0)

    def test_wrong_usage(self):
        for argv in (["--metric", "compile"], ["--compile", "true"], ["--section", ".text"]):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                gate.main([str(self.small), str(self.small), *argv])


if __name__ == "__main__":
    unittest.main()
