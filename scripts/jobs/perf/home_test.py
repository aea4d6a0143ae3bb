# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from jobs.common import build

# Prints the folders of a run in a checkout that is read-only.
_FOLDERS = """
import os
os.access = lambda *_: False
from jobs.perf import home, live_trials, metric_trials, revisions, selftest
for path in (home.HISTORY, home.cache(), revisions.PERF, live_trials.REPORT, metric_trials.REPORT,
             selftest.REPORT, home.HISTORY_TEXT):
    print(path)
"""


class HomeTest(unittest.TestCase):
    def test_everything_follows_the_folder_for_builds(self):
        with tempfile.TemporaryDirectory() as folder:
            asked = {name: text for name, text in os.environ.items()
                     if name != "FFGRANT_PERF_CACHE"}
            done = subprocess.run(
                [sys.executable, "-c", _FOLDERS], text=True, capture_output=True, check=True,
                env={**asked, "FFGRANT_BUILD_DIR": folder,
                     "PYTHONPATH": str(Path(build.__file__).parents[2])})
            self.assertEqual(done.stdout.splitlines(), [
                f"{folder}/{name}" for name in (
                    "perf/history", "perf", "perf", "results/perf-selftest-live.md",
                    "results/perf-selftest-metrics.md", "results/perf-selftest.md",
                    "perf/history")])


if __name__ == "__main__":
    unittest.main()
