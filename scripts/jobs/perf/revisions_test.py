# SPDX-License-Identifier: Apache-2.0

import io
import os
import shlex
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import build
from jobs.common.terminal import Terminal
from jobs.perf import fake, revisions
from jobs.perf.error import PerfError


class RevisionTest(fake.RepositoryCase):
    def setUp(self):
        super().setUp()
        self.built = []
        self.replace(build, "run_step", self.run_step)
        (self.root / "core").mkdir()
        self.write("core/file", "one")
        self.write(".gitignore", "/build/")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "one")
        self.first = self.git("rev-parse", "HEAD")

    def write(self, name, text):
        (self.root / name).write_text(text, encoding="utf-8")

    def run_step(self, _terminal, _label, command):
        """Stands in for a build: makes programs of the text of core/file."""
        if command[1] == "-S":
            self.source = Path(command[2])
        else:
            tree = Path(command[2])
            (tree / "bench" / "perf").mkdir(parents=True)
            self.built.append((self.source / "core" / "file").read_text(encoding="utf-8"))
            for name in ("bench/a_benchmark", "bench/perf/reference_kernel"):
                (tree / name).write_text(self.built[-1], encoding="utf-8")
                (tree / name).chmod(0o755)
            (tree / "bench" / "cmake_install.cmake").touch()

    def directory(self, revision):
        return revisions.directory_of(Terminal(io.StringIO()), revision)

    def test_an_unchanged_working_tree_is_head(self):
        self.assertEqual(revisions.working_tree().commit, self.first)
        self.assertFalse(revisions.working_tree().changed)

    def test_changes_and_new_files_make_a_revision_that_stays_the_same(self):
        self.write("core/file", "two")
        one = revisions.working_tree()
        self.assertTrue(one.changed)
        self.assertEqual(revisions.working_tree(), one)
        self.write("new", "x")
        self.assertNotEqual(revisions.working_tree().commit, one.commit)
        # The repository is as it was before: nothing is staged, and no branch has moved.
        self.assertEqual(self.git("diff", "--cached", "--name-only"), "")
        self.assertEqual(self.git("rev-parse", "HEAD"), self.first)

    def test_builds_in_a_worktree_of_its_own_and_once(self):
        self.write("core/file", "two")
        old, new = revisions.resolve("HEAD"), revisions.working_tree()
        folders = [self.directory(revision) for revision in (old, new, old, new)]
        self.assertEqual(self.built, ["one", "two"])
        self.assertEqual(folders[:2], folders[2:])
        self.assertEqual(len(folders[0].name), len(folders[1].name))
        self.assertEqual(list(revisions.suites(folders[1])), ["a"])
        self.assertEqual((folders[1] / "reference_kernel").read_text(encoding="utf-8"), "two")
        self.assertEqual(
            (revisions.source_of(folders[0]) / "core" / "file").read_text(encoding="utf-8"), "one")

    def test_what_the_build_does_not_read_needs_no_new_one(self):
        first = self.directory(revisions.working_tree())
        self.write("README.md", "new")
        documented = revisions.working_tree()
        self.assertNotEqual(documented.commit, self.first)
        self.assertEqual(self.directory(documented), first)
        self.assertEqual(self.built, ["one"])

    def test_a_build_that_failed_is_none(self):
        with mock.patch.object(build, "run_step", side_effect=build.BuildError("x")), \
                self.assertRaises(build.BuildError):
            self.directory(revisions.resolve("HEAD"))
        self.directory(revisions.resolve("HEAD"))
        self.assertEqual(self.built, ["one"])

    def test_other_flags_are_another_build(self):
        revision = revisions.resolve("HEAD")
        terminal = Terminal(io.StringIO())
        self.assertNotEqual(revisions.directory_of(terminal, revision),
                            revisions.directory_of(terminal, revision, flags="-O3"))
        usual = self.directory(revision)
        for name in ("LDFLAGS", "RUSTFLAGS", "CXXFLAGS"):
            with mock.patch.dict(os.environ, {name: "-x"}):
                self.assertNotEqual(self.directory(revision), usual, name)

    def test_blanks_in_the_checkout_s_path_stay_in_one_flag(self):
        self.replace(revisions, "PERF", self.root / "build" / "my perf")
        commands = []

        def step(terminal, label, command):
            commands.append(command)
            self.run_step(terminal, label, command)
        self.replace(build, "run_step", step)
        self.directory(revisions.resolve("HEAD"))
        source, tree = commands[0][2], commands[0][4]
        (flags,) = [word.partition("=")[2] for word in commands[0]
                    if word.startswith("-DCMAKE_CXX_FLAGS=")]
        self.assertIn("my perf", source)
        self.assertTrue(flags.startswith("-"))  # CMake removes quotes around a whole value
        self.assertEqual(shlex.split(flags),  # CMake hands the flags to a shell
                         [f"-ffile-prefix-map={source}=.", f"-ffile-prefix-map={tree}=."])

    def test_the_base_is_where_head_left_main(self):
        self.git("checkout", "--quiet", "-b", "topic")
        self.write("core/file", "two")
        self.git("commit", "--quiet", "--all", "--message", "two")
        self.assertEqual(revisions.default_base().commit, self.first)
        self.git("branch", "--move", "main", "other")
        with self.assertRaisesRegex(PerfError, "--base"):
            revisions.default_base()

    def test_an_unknown_revision_is_an_error(self):
        for text in ("nothing", "--help", self.first[:-1] + "x"):
            with self.assertRaises(PerfError):
                revisions.resolve(text)


if __name__ == "__main__":
    unittest.main()
