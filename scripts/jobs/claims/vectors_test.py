# SPDX-License-Identifier: Apache-2.0
"""Tests scripts/conformance and scripts/make-vectors. A fake cmake makes stand-ins for the tools
that the scripts build."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jobs.common import build

_CMAKE = """#!/bin/sh
echo "cmake $*"
[ "$1" = --build ] || exit 0
case $* in
  *run_vectors*) tool=$2/core/testing/vectors/run_vectors ;;
  *make_vectors*) tool=$2/core/testing/reference/make_vectors ;;
esac
mkdir -p "${tool%/*}"
printf '#!/bin/sh\\necho "$(basename "$0") $*"; exit ${STATUS-0}\\n' >"$tool"
chmod +x "$tool"
"""


class VectorsTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.cmake(_CMAKE)

    def cmake(self, text):
        path = self.folder / "bin" / "cmake"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run_script(self, *argv, **variables):
        done = subprocess.run(
            [sys.executable, str(build.ROOT / "scripts" / "jobs" / "__main__.py"), "--ready",
             *argv],
            env={**os.environ, **variables, "FFGRANT_BUILD_DIR": str(self.folder),
                 "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}, text=True, cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_the_tool_s_output_and_status_are_the_script_s(self):
        self.assertEqual(self.run_script("conformance", "a.jsonl", "b.jsonl"),
                         (0, "run_vectors a.jsonl b.jsonl\n", ""))
        self.assertEqual(self.run_script("conformance", "a.jsonl", STATUS="1")[0], 1)
        self.assertIn("--preset conformance", (self.folder / "conformance.log").read_text())

    def test_a_build_of_the_tests_has_the_tool_too(self):
        (self.folder / "gcc-release").mkdir()
        (self.folder / "gcc-release" / "build.ninja").touch()
        self.assertEqual(self.run_script("conformance", "a.jsonl")[0], 0)
        self.assertIn("--preset gcc-release", (self.folder / "conformance.log").read_text())

    def test_a_build_that_fails_says_so(self):
        self.cmake("#!/bin/sh\necho broken; exit 1\n")
        for script, status in (("conformance a.jsonl", 2), ("make-vectors --seed 1 --count 2", 3)):
            found, output, errors = self.run_script(*script.split())
            self.assertEqual((found, output), (status, ""))
            self.assertIn("broken\n", errors)
            self.assertIn("does not build, see ", errors)

    def test_made_vectors_are_written_whole_or_not_at_all(self):
        command = ("make-vectors", "--seed", "7", "--count", "3", "--out", "out.jsonl")
        self.assertEqual(self.run_script(*command[:5]), (0, "make_vectors 7 3\n", ""))
        out = self.folder / "out.jsonl"
        self.assertEqual(self.run_script(*command, STATUS="1"), (1, "", ""))
        self.assertEqual(out.read_text(), "make_vectors 7 3\n")
        out.unlink()
        self.assertEqual(self.run_script(*command, STATUS="2")[0], 2)
        self.assertEqual(sorted(path.name for path in self.folder.glob("out*")), [])


if __name__ == "__main__":
    unittest.main()
