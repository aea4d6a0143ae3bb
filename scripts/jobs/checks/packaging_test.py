# SPDX-License-Identifier: Apache-2.0
"""Tests scripts/packaging. Makes a release of this version, and tries to make releases that have to
be refused. Checks the answers to --help and to wrong usage, and that each toolchain is named
once."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.common import build

PACKAGING = build.ROOT / "scripts" / "packaging"
_FILES = ("CMakeLists.txt", "CHANGELOG.md", "core/ffgrant/version.h",
          "scripts/packaging/ffgrant-perf/pyproject.toml", "scripts/packaging/debian/changelog",
          "scripts/packaging/release")


def run(*command, **more):
    """Returns (exit status, all that was printed)."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    return done.returncode, done.stdout + done.stderr


@unittest.skipUnless(shutil.which("git"), "no git here")
class ReleaseTest(unittest.TestCase):
    """Works in a small repository that has only the script `release` and the files that name the
    version. Its CMakeLists.txt builds nothing."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name) / "repository"
        for name in _FILES:
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(build.ROOT / name, target)
        text = (self.root / "CMakeLists.txt").read_text()
        self.version = re.search(r"project\(ffgrant VERSION ([\d.]+)", text)[1]
        self.write("CMakeLists.txt", "cmake_minimum_required(VERSION 3.25)\n"
                   f"project(ffgrant VERSION {self.version} LANGUAGES NONE)\n")
        self.git("init", "--quiet")
        self.commit()

    def write(self, name, text):
        (self.root / name).write_text(text)

    def git(self, *arguments):
        status, output = run("git", "-C", str(self.root), "-c", "user.name=n",
                             "-c", "user.email=e@example.invalid", *arguments)
        self.assertEqual(status, 0, output)

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=c")

    def release(self, out="out"):
        script = self.root / "scripts" / "packaging" / "release"
        return run(str(script), "--out", str(self.root.parent / out),
                   env=dict(os.environ, CMAKE_GENERATOR="Ninja"))

    def test_makes_archive_notes_and_checksums_that_are_the_same_each_time(self):
        for out in ("one", "two"):
            status, output = self.release(out)
            self.assertEqual(status, 0, output)
        one, two = self.root.parent / "one", self.root.parent / "two"
        name = f"ffgrant-{self.version}"
        self.assertEqual({path.name for path in one.iterdir()},
                         {f"{name}.tar.gz", f"{name}.md", "SHA256SUMS"})
        for path in one.iterdir():
            self.assertEqual(path.read_bytes(), (two / path.name).read_bytes(), path.name)
        self.assertEqual(run("sha256sum", "--check", "SHA256SUMS", cwd=one)[0], 0)
        notes = (one / f"{name}.md").read_text()
        self.assertTrue(notes.startswith(f"# ffgrant {self.version}\n"))
        self.assertNotIn("[Unreleased]", notes)

    def test_refuses_files_that_disagree_and_a_tag_that_is_elsewhere(self):
        self.git("tag", f"v{self.version}")
        header = "core/ffgrant/version.h"
        whole = (self.root / header).read_text()
        self.write(header, whole.replace(f'"{self.version}"', '"9.9.9"'))
        self.commit()
        status, output = self.release()
        self.assertEqual((status, "version.h says '9.9.9'" in output), (1, True), output)
        self.write(header, whole + "\n")
        self.commit()
        status, output = self.release()
        self.assertEqual((status, f"the tag v{self.version} is" in output), (1, True), output)
        self.assertFalse((self.root.parent / "out").exists())

    def test_refuses_a_version_without_notes(self):
        self.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n- x\n")
        self.commit()
        status, output = self.release()
        self.assertEqual((status, "has no section" in output), (1, True), output)


class UsageTest(unittest.TestCase):
    def scripts(self):
        return sorted(path for path in PACKAGING.iterdir()
                      if path.is_file() and os.access(path, os.X_OK))

    def test_each_script_says_what_it_does_also_through_a_link(self):
        with tempfile.TemporaryDirectory() as scratch:
            for script in self.scripts():
                link = Path(scratch) / script.name
                link.symlink_to(script)
                status, output = run(str(link), "--help")
                self.assertEqual(status, 0, script.name)
                self.assertRegex(output, rf"^usage: scripts/packaging/{script.name}\b")
                self.assertEqual(run(str(link), "--no-such-option")[0], 2, script.name)

    def test_toolchains_have_names_of_their_own(self):
        script = str(PACKAGING / "try-toolchains")
        status, output = run(script, "--list")
        names = [line.split()[0] for line in output.splitlines()]
        self.assertEqual((status, len(set(names))), (0, len(names)))
        self.assertGreater(len(names), 25)
        self.assertEqual(run(script, "--list", "gcc-12-c++23")[1].split()[0], "gcc-12-c++23")
        status, output = run(script, "--list", "gcc-1")
        self.assertEqual((status, "no such toolchain: gcc-1" in output), (2, True))


if __name__ == "__main__":
    unittest.main()
