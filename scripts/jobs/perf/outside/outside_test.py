# SPDX-License-Identifier: Apache-2.0
"""Runs the outside corpus: odd programs and situations, each with the right verdict. Without
scripts/test --long those that take long are left out."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from jobs.common import wheels
from jobs.perf import callgrind
from jobs.perf.outside import case, situations
from jobs.perf.outside.case import IS_LONG, OutsideCase
from jobs.perf.outside.situations import CLEAN, ERROR, REGRESSION


class SituationsTest(OutsideCase):
    """Runs the situations on the system's Google Benchmark, in C++."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.odd = cls.compiled()
        (cls.folder / "odd-beside").touch()

    def run_all(self, group):
        for situation in group:
            if not situation.short and not IS_LONG:
                continue
            with self.subTest(situation.what):
                self.judge(situation, self.odd, self.odd)

    def test_times(self):
        self.run_all(situations.TIMES)

    def test_names(self):
        self.run_all(situations.NAMES)

    def test_listing(self):
        self.run_all(situations.LISTING)

    def test_outcomes(self):
        self.run_all(situations.OUTCOMES)

    def test_processes(self):
        self.run_all(situations.PROCESSES)

    @unittest.skipUnless(callgrind.is_installed(), "no valgrind")
    def test_counts(self):
        self.run_all(situations.COUNTS)

    def test_there_are_enough(self):
        self.assertGreaterEqual(len(situations.ALL), 60)
        self.assertEqual(len({situation.what for situation in situations.ALL}),
                         len(situations.ALL))

    def test_the_most_slowed_down_comes_first(self):
        _, document, markdown, _ = self.gate(
            self.odd, self.odd, "--head-env", "ODD_NS=13000", "--env", "ODD=order")
        self.assertEqual(document["verdict"], "regressed")
        self.assertLess(markdown.index("BM_much"), markdown.index("BM_little"))

    def gate(self, base, head, *more, **options):
        return self.command("gate", "--base-bin", str(base), "--head-bin", str(head),
                            "--budget", "30", "--repetitions", "2", "--min-time", "0.0001",
                            *more, **options)

    def test_what_a_name_looks_like_in_markdown(self):
        _, _, markdown, _ = self.gate(self.odd, self.odd, "--env", "ODD=signs")
        for text in ("`BM_<b>&amp;/manual_time`", "``BM_`ticks`/manual_time``",
                     "`BM_a\\|b/manual_time`"):
            self.assertIn(text, markdown)


class FilesTest(OutsideCase):
    """Tests programs that can't be run, links, scripts and folders in place of programs, and what
    surrounds a run: folders, usage, an interrupt."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.odd = cls.compiled()

    gate = SituationsTest.gate

    def fails(self, head, said):
        status, document, markdown, output = self.gate(self.odd, head)
        self.assertEqual(status, ERROR, output)
        self.check(document, markdown)
        self.assertIn(said, json.dumps(document), output)

    def copy(self, name):
        return Path(shutil.copy2(self.odd, self.folder / name))

    def test_programs_that_cannot_be_run(self):
        without_bit = self.copy("without-bit")
        without_bit.chmod(0o644)
        self.fails(without_bit, "not executable")
        self.fails(self.folder / "none", "no such program")
        text = self.folder / "text"
        text.write_bytes(b"no program at all\n" * 10)
        text.chmod(0o755)
        self.fails(text, "")
        other = self.copy("other-architecture")
        data = bytearray(other.read_bytes())
        data[18:20] = b"\xb7\x00" if data[18:20] != b"\xb7\x00" else b"\x3e\x00"
        other.write_bytes(data)
        self.fails(other, "can't be run")
        empty = self.folder / "empty"
        empty.touch(0o755)
        self.fails(empty, "")

    def test_programs_that_are_no_benchmarks(self):
        for name in ("true", "echo", "cat", "false"):
            status, document, markdown, output = self.gate(shutil.which(name), shutil.which(name))
            self.assertEqual(status, ERROR, output)
            self.check(document, markdown)

    def test_links_spaces_and_the_same_file(self):
        link = self.folder / "link"
        link.symlink_to(self.odd.name)
        spaced = self.copy("größe und mehr")
        for head in (link, spaced, self.odd):
            self.assertEqual(self.gate(self.odd, head)[0], CLEAN)

    def test_a_script_around_a_program(self):
        script = self.folder / "script"
        script.write_text(f'#!/bin/sh\nexec "{self.odd}" "$@"\n', encoding="utf-8")
        script.chmod(0o755)
        self.assertEqual(self.gate(self.odd, script)[0], CLEAN)
        self.assertEqual(self.gate(script, script, "--head-env", "ODD_NS=13000")[0], REGRESSION)

    def test_folders_of_programs(self):
        old, new = self.folder / "old", self.folder / "new"
        for folder in (old, new):
            folder.mkdir()
            for name in ("one", "two"):
                shutil.copy2(self.odd, folder / name)
        status, document, _, _ = self.gate(old, new)
        self.assertEqual((status, len(document["benchmarks"])), (CLEAN, 4))
        self.assertEqual({each["suite"] for each in document["benchmarks"]}, {"one", "two"})
        (new / "two").unlink()
        status, document, _, output = self.gate(old, new)
        self.assertEqual(status, ERROR, output)
        self.assertEqual(len(document["benchmarks"]), 2)
        self.assertIn("the head lacks it", json.dumps(document))

    def test_a_working_folder(self):
        (self.folder / "odd-data").touch()
        self.assertEqual(self.gate(self.odd, self.odd, "--env", "ODD=needs folder",
                                   "--cwd", str(self.folder))[0], CLEAN)
        if callgrind.is_installed():
            self.assertEqual(self.command(
                "counts", "--base-bin", str(self.odd), "--head-bin", str(self.odd),
                "--env", "ODD=needs folder", "--cwd", str(self.folder))[0], CLEAN)

    def test_no_room_for_temporary_files(self):
        with unittest.mock.patch("tempfile.tempdir", str(self.folder / "nowhere")):
            status, document, markdown, _ = self.gate(self.odd, self.odd)
        self.assertEqual(status, ERROR)
        self.check(document, markdown)

    def test_wrong_usage_is_written_too(self):
        status, document, markdown, _ = self.command("gate", "--base-bin", str(self.odd))
        self.assertEqual(status, ERROR)
        self.check(document, markdown)

    @unittest.skipUnless(callgrind.is_installed(), "no valgrind")
    def test_a_stripped_program_is_counted_by_the_symbols_of_a_shared_library(self):
        stripped = self.compiled("stripped", "-s")
        self.assertEqual(self.command("counts", "--base-bin", str(stripped), "--head-bin",
                                      str(stripped), "--env", "ODD=real")[0], CLEAN)

    @unittest.skipUnless(callgrind.is_installed(), "no valgrind")
    def test_a_program_in_python_behind_a_script_is_counted_too(self):
        versions = wheels.benchmark_versions()
        if not versions:
            self.skipTest("no wheels of google-benchmark for this Python: scripts/bootstrap "
                          "--for test fetches them")
        program = case.wheel_program(self.folder, versions[-1][1])
        status, document, _, output = self.command(
            "counts", "--base-bin", str(program), "--head-bin", str(program), "--filter", "BM_a")
        self.assertEqual(status, CLEAN, output)
        self.assertEqual(len(document["benchmarks"]), 1)

    def test_ctrl_c_leaves_an_answer(self):
        out = self.folder / "interrupted.json"
        child = subprocess.Popen(
            [sys.executable, str(Path(case.__file__).parents[1] / "__main__.py"), "gate",
             "--base-bin", str(self.odd), "--head-bin", str(self.odd), "--json", str(out),
             "--budget", "100", "--env", "ODD=slow start"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        end = time.monotonic() + 30
        while not children.read_text(encoding="ascii") and time.monotonic() < end:
            time.sleep(0.05)  # until a program runs
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, output)
        document = json.loads(out.read_text(encoding="utf-8"))
        self.assertTrue(document.get("interrupted") == "SIGINT"
                        or "SIGINT" in (document.get("error") or ""), document)

    def test_needs_nothing_of_the_build(self):
        """A comparison of two programs imports neither this project's build nor its other jobs."""
        program = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from jobs.perf import commands\n"
            "status = commands.run(sys.argv[2:])\n"
            "found = [name for name in sys.modules if name.startswith('jobs.')\n"
            "         and not name.startswith(('jobs.perf', 'jobs.common'))]\n"
            "found += [name for name in sys.modules\n"
            "          if name in ('jobs.perf.revisions', 'jobs.common.build')]\n"
            "sys.exit(f'imported: {found}' if found else status)\n")
        done = subprocess.run(
            [sys.executable, "-c", program, str(Path(case.__file__).parents[3]), "gate",
             "--base-bin", str(self.odd), "--head-bin", str(self.odd), "--repetitions", "2",
             "--min-time", "0.0001"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, cwd="/", env={"PATH": os.defpath})
        self.assertEqual(done.returncode, 0, done.stdout)


class WheelsTest(OutsideCase):
    """Tests that the verdicts are right on the versions of Google Benchmark whose wheels were
    fetched: on all of them with --long, else on the oldest and the newest."""

    def test_every_version(self):
        versions = wheels.benchmark_versions()
        if not versions:
            self.skipTest("no wheels of google-benchmark for this Python: scripts/bootstrap "
                          "--for test fetches them")
        chosen = versions if IS_LONG else [versions[0], versions[-1]]
        for version, folders in chosen:
            program = case.wheel_program(self.folder, folders)
            few = situations.WHEELS[:4 if version == versions[0][0] else 2]
            for situation in situations.WHEELS if IS_LONG else few:
                with self.subTest(f"{version}: {situation.what}"):
                    self.judge(situation, program, program)

    def test_two_versions_side_by_side(self):
        versions = wheels.benchmark_versions()
        if len(versions) < 2:
            self.skipTest("no wheels of google-benchmark for this Python: scripts/bootstrap "
                          "--for test fetches them")
        programs = []
        for version, folders in (versions[0], versions[-1]):
            (self.folder / version).mkdir()
            programs.append(case.wheel_program(self.folder / version, folders))
        self.judge(situations.WHEELS[0], *programs)


if __name__ == "__main__":
    unittest.main()
