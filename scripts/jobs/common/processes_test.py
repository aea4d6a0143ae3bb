# SPDX-License-Identifier: Apache-2.0

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from jobs.common import processes

_SCRIPTS = Path(__file__).resolve().parents[2]


def alive(pid):
    """True if the process runs. A process that has ended and waits for its parent does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


class RunTest(unittest.TestCase):
    def test_returns_status_and_output_of_both_streams(self):
        self.assertEqual(processes.run(["sh", "-c", "echo a; echo b >&2; exit 3"]), (3, "a\nb\n"))

    def test_hands_over_each_line_and_keeps_an_unfinished_last_one(self):
        lines = []
        _, output = processes.run(["printf", "one\\ntwo\\nrest"], on_line=lines.append)
        self.assertEqual(lines, ["one", "two"])
        self.assertEqual(output, "one\ntwo\nrest")

    def test_gives_no_input(self):
        self.assertEqual(processes.run(["cat"]), (0, ""))

    def test_after_an_error_signals_are_handled_as_before(self):
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = [signal.getsignal(number) for number in numbers]

        def broken():
            raise OSError("no more of it")

        with self.assertRaises(OSError):
            processes.run(["sleep", "60"], on_tick=broken)
        self.assertEqual([signal.getsignal(number) for number in numbers], before)

    def test_an_interrupt_ends_children_and_grandchildren(self):
        program = ("from jobs.common import processes\n"
                   "processes.raise_on_signals()\n"
                   "try:\n"
                   "  processes.run(['sh', '-c', 'sleep 60 & echo $!; wait'],\n"
                   "                on_line=lambda text: print(text, flush=True))\n"
                   "except processes.Interrupted as stop:\n"
                   "  raise SystemExit(stop.exit_status)\n")
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE,
                                  text=True, env=dict(os.environ, PYTHONPATH=str(_SCRIPTS))) as job:
                grandchild = int(job.stdout.readline())
                self.assertTrue(alive(grandchild))
                job.send_signal(number)
                self.assertEqual(job.wait(10), 128 + number)
            deadline = time.monotonic() + 5
            while alive(grandchild) and time.monotonic() < deadline:
                time.sleep(0.02)
            self.assertFalse(alive(grandchild))


class EndTest(unittest.TestCase):
    def start(self, script, **more):
        process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True, **more)
        self.addCleanup(process.stdout.close)
        return process, process.stdout.readline().strip()

    def gone(self, pid):
        deadline = time.monotonic() + 5
        while alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        return not alive(pid)

    def test_a_child_that_outlives_its_leader_is_ended_too(self):
        process, child = self.start("sleep 60 & echo $!", start_new_session=True)
        process.wait()
        self.assertTrue(alive(int(child)))
        processes.end_group(process)
        self.assertTrue(self.gone(int(child)))

    def test_who_ignores_polite_signals_is_killed(self):
        for more, end in (({"start_new_session": True}, processes.end_group),
                          ({}, processes.end_one)):
            process, _ = self.start("trap '' INT TERM; echo ready; while :; do sleep 0.1; done",
                                    **more)
            end(process, grace=0.3)
            self.assertEqual(process.returncode, -signal.SIGKILL)

    def test_a_polite_signal_lets_a_process_say_its_last_words(self):
        process, _ = self.start("trap 'exit 7' INT; echo ready; while :; do sleep 0.1; done",
                                start_new_session=True)
        processes.end_group(process, (signal.SIGINT, signal.SIGTERM), grace=5)
        self.assertEqual(process.returncode, 7)

    def test_who_is_gone_is_no_error(self):
        process, _ = self.start("echo", start_new_session=True)
        process.wait()
        processes.end_group(process)
        processes.end_one(process)


if __name__ == "__main__":
    unittest.main()
