# SPDX-License-Identifier: Apache-2.0
"""Tests of scripts/bootstrap on a machine that has nothing but a shell and a false apt."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.common import build

_COMMANDS = ("sh", "sed", "grep", "cat", "cut", "tail", "rm", "mktemp", "mkdir", "dirname",
             "readlink", "sleep", "env")
_PROGRAMS = {
    "id": "echo 0",
    # The lists name valkey-tools only once they were updated. An installation fails, so that
    # nothing else runs.
    "apt-get": 'echo "$*" >>"$LOG"\ncase " $* " in *" update "*) ;; *) exit 1 ;; esac',
    "apt-cache": 'case "$*" in "madison valkey-tools")\n'
                 '  ! grep -q update "$LOG" || [ -z "$KNOWS_VALKEY" ] || echo valkey-tools ;; esac',
    "dpkg-query": "exit 1",
}


class Bootstrap(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = self.folder / "log"
        self.log.touch()
        for name in _COMMANDS:
            (self.folder / name).symlink_to(shutil.which(name))
        for name, text in _PROGRAMS.items():
            self._add(name, text)

    def _add(self, name, text):
        (self.folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        (self.folder / name).chmod(0o755)

    def _installed(self, job, **variables):
        """The packages that bootstrap asks apt for on this machine."""
        done = subprocess.run(
            [build.ROOT / "scripts/bootstrap", "--for", job], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=60, check=False,
            env={"PATH": str(self.folder), "LOG": str(self.log), "TMPDIR": str(self.folder),
                 "FFGRANT_BUILD_DIR": str(self.folder / "build"), **variables})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("apt-get failed", done.stderr)
        asked = self.log.read_text(encoding="ascii").splitlines()
        self.assertIn(" update", asked[0])
        self.assertIn(" install ", asked[1])
        return asked[1].split(" install ")[1].split()

    def test_the_new_lists_tell_whether_there_is_a_package_of_valkey(self):
        self.assertIn("valkey-tools", self._installed("valkey", KNOWS_VALKEY="yes"))

    def test_a_distribution_without_that_package_is_not_asked_for_it(self):
        packages = self._installed("valkey", KNOWS_VALKEY="")
        self.assertNotIn("valkey-tools", packages)
        self.assertIn("redis-tools", packages)

    def test_a_valkey_that_is_there_is_enough(self):
        for name in ("valkey-server", "valkey-check-rdb"):
            with self.subTest(name):
                self.log.write_text("", encoding="ascii")
                self._add(name, "exit 0")
                self.assertNotIn("valkey-tools", self._installed("valkey", KNOWS_VALKEY="yes"))
                os.unlink(self.folder / name)

    def test_other_jobs_need_no_server(self):
        self.assertNotIn("valkey-tools", self._installed("bench", KNOWS_VALKEY="yes"))


if __name__ == "__main__":
    unittest.main()
