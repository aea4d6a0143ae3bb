# SPDX-License-Identifier: Apache-2.0
"""Tests which clang bootstrap chooses, with fake compilers in a PATH of the test's own, which
presets use that clang, where builds and results go, and the lock of a build folder."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build


class ChosenClang(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ffgrant-clang-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("dirname", "readlink"):
            (self.folder / name).symlink_to(shutil.which(name))

    def install(self, name, says):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        return str(path)

    def chosen(self, wanted=None):
        """Returns what bootstrap --clang prints, and its error messages."""
        env = {"PATH": str(self.folder), **({"FFGRANT_CLANG": wanted} if wanted else {})}
        done = subprocess.run([build.ROOT / "scripts" / "bootstrap", "--clang"], env=env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode == 0, not done.stderr)
        return done.stdout.strip(), done.stderr

    def test_the_system_s_own_comes_first_by_the_name_with_its_version(self):
        for version in (14, 19):
            self.install(f"clang++-{version}", f"Debian clang version {version}.0.6")
        self.install("clang++", "Debian clang version 19.0.6 (3+b1)")
        self.assertEqual(self.chosen(), ("clang++-19", ""))
        self.install("clang++", "clang version 21.1.0-rc1")
        self.assertEqual(self.chosen(), ("clang++", ""))

    def test_else_the_oldest_that_will_do(self):
        self.install("clang++", "Ubuntu clang version 13.0.1-2ubuntu2")
        for version in (13, 18, 16):
            self.install(f"clang++-{version}", f"Ubuntu clang version {version}.1.3 (1)")
        self.assertEqual(self.chosen(), ("clang++-16", ""))

    def test_a_wish_is_granted_or_refused(self):
        self.install("clang++", "Debian clang version 19.0.6")
        self.install("clang++-17", "Debian clang version 17.0.6")
        self.assertEqual(self.chosen("clang++-17"), ("clang++-17", ""))
        path = self.install("mine", "clang version 18.0.0")
        self.assertEqual(self.chosen(path), (path, ""))
        self.install("clang++-13", "Debian clang version 13.0.1")
        self.install("g++", "g++ (Debian 14.2.0-19) 14.2.0")
        for name in ("clang++-18", "clang++-13", "g++", "nothing"):
            with self.subTest(name):
                chosen, error = self.chosen(name)
                self.assertEqual(chosen, "")
                self.assertIn(f"FFGRANT_CLANG={name}: there is no clang++ from 14 up", error)

    def test_none(self):
        self.assertIn("there is no clang++ from 14 up", self.chosen()[1])


class Presets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="ffgrant-build-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_those_with_a_chosen_clang(self):
        for name in ("clang-debug", "clang-release", "asan-ubsan", "tsan", "fuzz", "fuzz-fast"):
            self.assertTrue(build.is_clang_preset(name), name)
        for name in ("gcc-debug", "gcc-release", "bench", "coverage", "fuzz-afl"):
            self.assertFalse(build.is_clang_preset(name), name)

    def test_paths_are_counted_where_a_test_wants_each_of_them(self):
        presets = json.loads((build.ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
        counting = {preset["name"] for preset in presets["configurePresets"]
                    if preset.get("cacheVariables", {}).get("FFGRANT_COUNT_PATHS") == "ON"}
        self.assertEqual(counting, {"clang-release"})

    def test_threads_lose_no_counts_of_coverage(self):
        # What a branch did otherwise is a difference of counts, which a lost count makes wrong.
        presets = json.loads((build.ROOT / "CMakePresets.json").read_text(encoding="utf-8"))
        counting = {}
        for preset in presets["configurePresets"]:
            flags = preset.get("cacheVariables", {}).get("CMAKE_CXX_FLAGS", "").split()
            if "-fprofile-instr-generate" in flags:
                counting[preset["name"]] = "-fprofile-update=atomic" in flags
        self.assertEqual(counting, {"coverage": True})

    def test_a_build_of_another_clang_starts_afresh(self):
        for preset, compiler, fresh in (("tsan", "/opt/clang++-19", True), ("tsan", "here", False),
                                        ("tsan", None, False),
                                        ("gcc-release", "/opt/clang++-19", False)):
            def cache(_, compiler=compiler):
                if compiler is None:
                    raise FileNotFoundError
                return {"CMAKE_CXX_COMPILER": compiler}

            commands = []
            with self.subTest((preset, compiler)), \
                    mock.patch.object(build, "cache", cache), \
                    mock.patch.object(build, "clang", lambda: "sh"), \
                    mock.patch.object(build.shutil, "which", lambda _: "here"), \
                    mock.patch.object(build, "BUILD", self.folder), \
                    mock.patch.object(build, "run_step", lambda _, label, command, to=commands:
                                      to.append(command)):
                build.configure(None, preset, ("setarch", "-R"))
                self.assertTrue((self.folder / f"{preset}.lock").exists())
                self.assertEqual(commands, [["setarch", "-R", "cmake", "--preset", preset, "-B",
                                             str(build.build_directory(preset)),
                                             *(["--fresh"] if fresh else [])]])


class ReadOnlyCheckout(unittest.TestCase):
    def test_results_go_beside_the_builds(self):
        self.assertEqual(build.results_directory(), build.ROOT / "results")
        with mock.patch.object(build.os, "access", lambda *_: False):
            self.assertEqual(build.results_directory(), build.BUILD / "results")

    def test_paths_for_the_reader(self):
        self.assertEqual(build.shown(build.ROOT / "results" / "a.md"), Path("results/a.md"))
        self.assertEqual(build.shown(Path("/elsewhere/a.md")), Path("/elsewhere/a.md"))


class BuildFolder(unittest.TestCase):
    def test_an_absolute_path_is_taken_and_another_refused(self):
        for given, status in (("/elsewhere", 0), ("elsewhere", 1)):
            done = subprocess.run(
                [build.ROOT / "scripts" / "bootstrap", "--python"], text=True, check=False,
                env=dict(os.environ, FFGRANT_BUILD_DIR=given), stdin=subprocess.DEVNULL,
                capture_output=True)
            self.assertEqual(done.returncode, status)
        self.assertIn("FFGRANT_BUILD_DIR=elsewhere has to be an absolute path", done.stderr)
        done = subprocess.run(
            [sys.executable, "-c", "from jobs.common import build; print(build.BUILD)"], text=True,
            cwd=build.ROOT / "scripts", env=dict(os.environ, FFGRANT_BUILD_DIR="/elsewhere"),
            stdin=subprocess.DEVNULL, capture_output=True, check=True)
        self.assertEqual(done.stdout, "/elsewhere\n")


class TwoRuns(unittest.TestCase):
    def test_the_second_waits_for_the_first(self):
        order, waits = [], threading.Event()

        class Terminal:
            @staticmethod
            def progress(text):
                order.append(text.split(",")[0])
                waits.set()

        def second():
            with build.locked(Terminal, "tsan"):
                order.append("second")

        with tempfile.TemporaryDirectory(prefix="ffgrant-build-") as folder, \
                mock.patch.object(build, "BUILD", Path(folder)):
            with build.locked(Terminal, "tsan"):
                thread = threading.Thread(target=second)
                thread.start()
                self.assertTrue(waits.wait(20))
                with build.locked(Terminal, "gcc-release"):
                    order.append("another folder")
                order.append("first")
            thread.join()
        self.assertEqual([text for i, text in enumerate(order) if text not in order[:i]],
                         ["tsan: in use by another run", "another folder", "first", "second"])


if __name__ == "__main__":
    unittest.main()
