# SPDX-License-Identifier: Apache-2.0

import os
import re
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from jobs.common import bounded


def run(program, limit=20.0, **options):
    return bounded.run([sys.executable, "-c", program], limit, **options)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class RunTest(unittest.TestCase):
    def test_tells_the_outputs_apart_and_how_it_ended(self):
        ended = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
        self.assertEqual((ended.stdout, ended.status, ended.stopped), (b"out\n", 3, ""))
        self.assertTrue(ended.failed)
        self.assertEqual(ended.why(), "ended with status 3")
        self.assertEqual(ended.words(), "err")
        self.assertEqual(run("print('out')").words(), "out")
        self.assertEqual(ended.words(leave_out=re.compile("err")), "out")

    def test_a_signal_has_a_name(self):
        self.assertEqual(run("import os; os.kill(os.getpid(), 11)").why(), "ended by SIGSEGV")

    def test_ends_what_does_not_end(self):
        ended = run("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", 0.5)
        self.assertRegex(ended.stopped, "had not ended after")
        self.assertLess(ended.seconds, 15)

    def test_ends_what_does_not_get_on(self):
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "file"
            path.touch()
            ended = bounded.run(
                    [sys.executable, "-c", "import sys, time\n"
                     "for _ in range(4):\n"
                     "    open(sys.argv[1], 'a').write('x'); time.sleep(0.3)\n"
                     "time.sleep(60)", str(path)], 30.0, stall=2.0,
                    progress=lambda: path.stat().st_size)
            self.assertRegex(ended.stopped, "hung")
            self.assertEqual(path.stat().st_size, 4)

    def test_does_not_wait_for_a_child_that_holds_the_output(self):
        start = time.monotonic()
        ended = run("import subprocess; subprocess.Popen(['sleep', '60']); print('done')")
        self.assertEqual((ended.stdout, ended.status), (b"done\n", 0))
        self.assertLess(time.monotonic() - start, 15)

    def test_ends_children_that_left_the_group(self):
        ended = run("import os, time\n"
                    "if os.fork() == 0:\n"
                    "    os.setsid()\n"
                    "    if os.fork() == 0:\n"
                    "        print(os.getpid(), flush=True); time.sleep(60)\n"
                    "    os._exit(0)\n"
                    "time.sleep(0.5)")
        pid = int(ended.stdout)
        self.assertFalse(is_alive(pid))

    def test_much_output_neither_blocks_nor_fills_memory(self):
        ended = run("import sys\nfor _ in range(1000): sys.stdout.write('x' * 100_000)\n"
                    "print('\\nend')")
        self.assertLessEqual(len(ended.stdout), 65 * 2**20)
        self.assertTrue(ended.is_cut)
        self.assertEqual(ended.words()[-3:], "end")

    def test_processes_that_end_while_it_looks_for_others_are_no_errors(self):
        gone = ProcessLookupError(3, "No such process")
        with mock.patch("os.stat", side_effect=gone), mock.patch(
                "jobs.common.bounded.Path.read_bytes", side_effect=gone):
            self.assertEqual(bounded._marked("a mark"), [])

    def test_reads_nothing_from_the_terminal(self):
        self.assertEqual(run("import sys; print(repr(sys.stdin.read()))").stdout, b"''\n")

    def test_what_cannot_be_started_is_an_oserror(self):
        with self.assertRaises(OSError):
            bounded.run(["/no/such/program"], 1.0)

    def test_environment_and_folder(self):
        with tempfile.TemporaryDirectory() as temporary:
            ended = run("import os; print(os.getcwd(), os.environ['A'])",
                        env={**os.environ, "A": "b"}, cwd=temporary)
            self.assertEqual(ended.stdout.decode().split(), [os.path.realpath(temporary), "b"])


if __name__ == "__main__":
    unittest.main()
