# SPDX-License-Identifier: Apache-2.0

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jobs.bench.runs import Run
from jobs.common import build

PATTERN = r"(?:key|grant)(?:\.round\d+)?\.json|summary\.md"


class RunTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.out = Path(scratch.name) / "latest"
        self.out.mkdir()
        for name in ("key.json", "key.round2.json", "summary.md"):
            (self.out / name).write_text("old")
        (self.out / "mine.json").write_text("mine")

    def texts(self):
        return {path.name: path.read_text() if path.is_file() else "folder"
                for path in self.out.iterdir()}

    def test_a_run_takes_the_last_ones_place_as_a_whole(self):
        with Run(self.out, PATTERN) as run:
            (run.folder / "key.json").write_text("new")
            (run.folder / "summary.md").write_text("new")
            self.assertEqual((self.out / "key.json").read_text(), "old")  # until keep()
            run.keep()
        self.assertEqual(self.texts(),
                         {"key.json": "new", "summary.md": "new", "mine.json": "mine"})

    def test_a_run_that_fails_changes_nothing(self):
        before = self.texts()
        with self.assertRaises(KeyError), Run(self.out, PATTERN) as run:
            (run.folder / "key.json").write_text("half")
            raise KeyError
        self.assertEqual(self.texts(), before)

    def test_of_two_at_once_the_last_one_is_there_as_a_whole(self):
        with Run(self.out, PATTERN) as first, Run(self.out, PATTERN) as second:
            self.assertNotEqual(first.folder, second.folder)
            (first.folder / "key.json").write_text("first")
            (first.folder / "key.round2.json").write_text("first")
            (second.folder / "key.json").write_text("second")
            second.keep()
            first.keep()
        self.assertEqual(self.texts(), {"key.json": "first", "key.round2.json": "first",
                                        "mine.json": "mine"})

    def test_a_full_disk_changes_nothing(self):
        if not Path("/dev/full").exists():
            self.skipTest("no /dev/full here")
        before = self.texts()
        with self.assertRaises(OSError), Run(self.out, PATTERN) as run:
            (run.folder / "key.json").symlink_to("/dev/full")
            (run.folder / "key.json").write_text("new")
            run.keep()
        self.assertEqual(self.texts(), before)

    def test_what_a_killed_run_left_goes_with_the_next_one(self):
        before = self.texts()
        killed = subprocess.Popen(
            [sys.executable, "-c",
             "import sys, time; from pathlib import Path; from jobs.bench.runs import Run\n"
             "with Run(Path(sys.argv[1]), 'x') as run:\n"
             "    print(run.folder, flush=True); time.sleep(60)\n", str(self.out)],
            env=dict(os.environ, PYTHONPATH=str(build.ROOT / "scripts")), stdout=subprocess.PIPE,
            text=True)
        assert killed.stdout
        folder = Path(killed.stdout.readline().strip())
        with Run(self.out, PATTERN):
            self.assertTrue(folder.is_dir())  # the folder's process still runs
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        self.assertTrue(folder.is_dir())
        with Run(self.out, PATTERN):
            self.assertFalse(folder.exists())
        self.assertEqual(self.texts(), before)


if __name__ == "__main__":
    unittest.main()
