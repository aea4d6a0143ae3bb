# SPDX-License-Identifier: Apache-2.0

import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

from jobs.common import terminal

_SCRIPTS = Path(__file__).resolve().parents[2]


class RunMainTest(unittest.TestCase):
    def test_hands_on_the_exit_status(self):
        self.assertEqual(terminal.run_main(lambda: 3), 3)

    def test_ends_quietly_where_nobody_reads(self):
        program = ("import sys\n"
                   "from jobs.common.terminal import Terminal, run_main\n"
                   "def main():\n"
                   "  sys.stdin.readline()\n"
                   "  Terminal().line('unread')\n"
                   "sys.exit(run_main(main))\n")
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, PYTHONPATH=str(_SCRIPTS))) as job:
            job.stdout.close()
            job.stdin.write("go on\n")
            job.stdin.close()
            self.assertEqual(job.stderr.read(), "")
            self.assertEqual(job.wait(10), 128 + signal.SIGPIPE)


if __name__ == "__main__":
    unittest.main()
