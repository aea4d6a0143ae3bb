# SPDX-License-Identifier: Apache-2.0
"""Tests that a script finds its parts when it is started through a symlink, by its path or with
sh."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from jobs.common import build

SCRIPTS = sorted(path for path in (build.ROOT / "scripts").iterdir() if path.is_file())


class ThroughASymlink(unittest.TestCase):
    def test_a_script_finds_its_parts(self):
        with tempfile.TemporaryDirectory(prefix="ffgrant-link-") as folder:
            link, second = Path(folder) / "a", Path(folder) / "b"
            second.symlink_to(build.ROOT / "scripts" / "perf")
            link.symlink_to("b")
            for command in ([str(link)], ["sh", "a"]):
                done = subprocess.run([*command, "gate", "--help"], cwd=folder, text=True,
                                      stdin=subprocess.DEVNULL, capture_output=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("usage: scripts/perf gate", done.stdout)

    def test_so_do_all_others(self):
        self.assertGreater(len(SCRIPTS), 10)
        for path in SCRIPTS:
            self.assertRegex(path.read_text(encoding="utf-8"),
                             r'(?m)^(scripts|root)=\$\(.*"\$\(readlink -f -- "\$0"\)"\)', path.name)


if __name__ == "__main__":
    unittest.main()
