# SPDX-License-Identifier: Apache-2.0
"""Several child processes at once, each writing to a log file of its own."""

import contextlib
import os
import signal
import subprocess

_GRACE_SECONDS = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """A process in a group of its own; its output goes to a file that is read as it grows."""

    def __init__(self, command, log, env=None, cwd=None, before=None):
        """before: called in the child right before the program."""
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
        """The exit status, None while it runs."""
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
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def end(self, at_once=False):
        """Ends the process and what it started, first politely; does nothing if it has ended."""
        if at_once:
            self.signal(signal.SIGKILL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None and number != signal.SIGKILL:
                continue
            self.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)


class Children:
    """Starts children; leaving the context ends those that still run, whatever the reason."""

    def __init__(self):
        self._all = []

    def start(self, *arguments, **options):
        child = Child(*arguments, **options)
        self._all = [other for other in self._all if other.status() is None] + [child]
        return child

    def __enter__(self):
        return self

    def __exit__(self, *_reason):
        # Further signals must not cut this short.
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
        for child in self._all:
            if child.status() is None:
                child.signal(signal.SIGINT)
        for child in self._all:
            child.end()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        return False
