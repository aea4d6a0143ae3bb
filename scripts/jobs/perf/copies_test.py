# SPDX-License-Identifier: Apache-2.0

import errno
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from jobs.perf import fake
from jobs.perf.copies import Copies, same_size
from jobs.perf.error import PerfError
from jobs.perf.process_pairs import Suite
from jobs.perf.samples import Program


class Case(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name).resolve()


def sizes(program):
    """How much memory the command and the environment of a program take, and how many variables
    the environment has."""
    ended = program.run([], 10)
    path, *variables = ended.stdout.split(b"\n")[:-1]
    return len(path), len(variables), sum(map(len, variables))


class SizeTest(Case):
    def program(self, path, **environment):
        """A program that prints how it was called, and its environment without what a shell adds
        to it."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text('#!/bin/sh\necho "$0"; env -u _ -u PWD -u OLDPWD -u SHLVL | cat\n',
                          encoding="utf-8")
        target.chmod(0o755)
        return Program(target, environment=environment)

    def test_commands_and_environments_take_as_much_memory(self):
        for variables in (({}, {}), ({"X": "1"}, {"X": "22"}), ({"X": "1"}, {}),
                          ({}, {"X": "", "YY": "é" * 100}), ({"PATH": os.environ["PATH"]}, {})):
            programs = same_size([self.program("a/p", **variables[0]),
                                  self.program("a/p", **variables[0]),
                                  self.program("much/longer/program", **variables[1])])
            with self.subTest(variables):
                self.assertEqual(len(set(map(sizes, programs))), 1)
                for program, own in zip(programs, (variables[0], variables[0], variables[1])):
                    self.assertLessEqual(own.items(), program.environment.items())
                    self.assertEqual(os.path.normpath(program.called), str(program.path))

    def test_equal_ones_stay_as_they_are(self):
        one = self.program("a/p", X="1")
        self.assertEqual([each.environment for each in same_size([one, one])], [{"X": "1"}] * 2)
        self.assertEqual(same_size([one])[0].called, str(one.path))


class CopiesTest(Case):
    def copies(self, base, head):
        suite = Suite("suite", {"base": base, "copy": base, "head": head})
        made = Copies([suite], self.folder / "copies")
        made.renew()
        return suite, made

    def test_programs_in_their_own_places_are_called_by_names_of_one_length(self):
        suite, copies = self.copies(fake.program(self.folder / "a" / "p"),
                                    fake.program(self.folder / "another" / "p"))
        for arm in ("base", "head"):
            self.assertTrue(copies.in_place(suite, arm))
        called = [copies.programs["suite", arm].called for arm in suite.arms]
        self.assertEqual(len(set(map(len, called))), 1)
        self.assertEqual([os.path.normpath(path) for path in called],
                         [str(program.path) for program in suite.arms.values()])

    def build(self, folder, number):
        """A program in FOLDER/bin and its library in FOLDER/lib, which the program finds relative
        to its own file."""
        for name in ("bin", "lib"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "x.c").write_text(f"int x(void) {{ return {number}; }}\n", encoding="utf-8")
        (folder / "p.c").write_text("int x(void);\nint main(void) { return x(); }\n",
                                    encoding="utf-8")
        for words in (["-shared", "-fPIC", "-o", "lib/libffgrant-x.so", "x.c"],
                      ["-o", "bin/p", "p.c", "-Llib", "-lffgrant-x",
                       "-Wl,--disable-new-dtags,-rpath,$ORIGIN/../lib"]):
            subprocess.run(["cc", *words], cwd=folder, check=True)
        return folder / "bin" / "p"

    @unittest.skipUnless(shutil.which("cc") and shutil.which("ldd"), "no compiler, or no ldd")
    def test_a_copy_that_would_load_an_installed_library_is_a_link(self):
        """All copies would load the library that is installed, and so all arms would run the same
        code."""
        self.build(self.folder / "installed", 9)
        installed = {"LD_LIBRARY_PATH": str(self.folder / "installed" / "lib")}
        base, head = (Program(self.build(self.folder / name, number), environment=installed)
                      for name, number in (("old", 1), ("new", 2)))
        suite, copies = self.copies(base, head)
        self.assertEqual(copies.programs["suite", "head"].run([], 10).status, 9)
        for arm in ("base", "head"):
            self.assertTrue(copies.loads_others(suite, arm))
            self.assertTrue(copies.next_way(suite, arm))
            self.assertFalse(copies.loads_others(suite, arm))
        self.assertEqual([copies.programs["suite", arm].run([], 10).status for arm in suite.arms],
                         [1, 1, 2])
        script = fake.program(self.folder / "script")
        suite, copies = self.copies(script, script)
        self.assertFalse(copies.loads_others(suite, "head"))

    def test_a_full_disk_loses_no_more_than_it_must(self):
        program = fake.program(self.folder / "p")
        _, copies = self.copies(program, program)
        first = copies.programs["suite", "head"].path
        copy, left = shutil.copy2, [1]

        def full(source, target):
            if left:
                left.pop()
                raise OSError(errno.ENOSPC, "No space left on device")
            self.assertFalse(first.exists(), "the old copies make room for the new ones")
            return copy(source, target)

        with mock.patch.object(shutil, "copy2", full):
            copies.renew()
        self.assertTrue(copies.programs["suite", "head"].path.exists())
        left += [1, 1]
        with mock.patch.object(shutil, "copy2", full), \
                self.assertRaisesRegex(PerfError, "could not be copied.*No space left.*TMPDIR"):
            copies.renew()


if __name__ == "__main__":
    unittest.main()
