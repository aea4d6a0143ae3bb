# SPDX-License-Identifier: Apache-2.0
"""Runs several child processes at once, each of which writes to a log file of its own."""

import signal
import subprocess

from jobs.common import processes

_GRACE_SECONDS = 5
# On an interrupt, libFuzzer and AFL++ still write down what they have.
_POLITE = (signal.SIGINT, signal.SIGTERM)


class Child:
    """A process in a group of its own; its output goes to a file that is read as it grows."""

    def __init__(self, command, log, env=None, cwd=None, before=None):
        """before: a function that the child calls right before it becomes the program."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._offset = 0
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=before)

    @property
    def pid(self):
        return self._process.pid

    def status(self):
        """The exit status; None while the process runs."""
        return self._process.poll()

    def new_lines(self):
        """The lines that were completed since the last call."""
        with open(self.log, "rb") as output:
            output.seek(self._offset)
            chunk = output.read()
        whole = chunk[:chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode(errors="replace").splitlines()

    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def signal(self, number):
        processes.signal_group(self._process.pid, number)

    def end(self, at_once=False):
        """Ends the process and what it started: politely at first, unless at_once is true. If the
        process has ended, what it left behind is killed."""
        if at_once:
            self.signal(signal.SIGKILL)
        processes.end_group(self._process, _POLITE, _GRACE_SECONDS)


class Children:
    """Starts children. When the context is left, whatever the reason, the children that still run
    are ended."""

    def __init__(self):
        self._all = []

    def start(self, *arguments, **options):
        child = Child(*arguments, **options)
        self._all = [other for other in self._all if other.status() is None] + [child]
        return child

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        handlers = processes.ignore_signals()
        for child in self._all:
            if child.status() is None:
                child.signal(signal.SIGINT)
        for child in self._all:
            child.end()
        processes.restore_signals(handlers)
        return False
