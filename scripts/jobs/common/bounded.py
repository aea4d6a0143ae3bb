# SPDX-License-Identifier: Apache-2.0
"""Runs other people's programs, each within a time limit, whatever the program does.

run() returns when the program has ended or its time is up, even if a child that the program left
behind holds the output open. Before run() returns, it ends all processes that the program started.
These are the program's process group, and every process that has inherited the mark which run()
puts into the environment, such as a daemon in a session of its own.
"""

import contextlib
import itertools
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.common import processes

_TICK_SECONDS = 0.25
_GRACE_SECONDS = 1.0
_KEPT = 64 * 2**20  # bytes of standard output that we keep; a listing of a million names is shorter
_TAIL = 8192  # the last bytes kept for a message: of both outputs together, and of standard error
# The variable that marks a program's processes. Its value always has the same length: the length
# of the environment decides where a program's stack lies, and so may change its speed.
_MARK = "FFGRANT_PERF_RUN"
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Ended:
    """How a program ended. `stopped` says why run() ended the program, and is empty if the program
    ended by itself."""
    status: int  # exit status; -N after signal N
    stdout: bytes  # all, or the first 64 MiB and perhaps a little more: see is_cut
    tail: bytes  # the last bytes of both outputs together, as the program printed them
    errors: bytes  # the last bytes that the program printed on standard error
    seconds: float
    stopped: str = ""
    idle: float = 0.0  # seconds without progress before run() ended the program

    @property
    def is_cut(self):
        """Whether the program may have printed more than stdout holds."""
        return len(self.stdout) >= _KEPT

    @property
    def failed(self):
        return bool(self.stopped) or self.status != 0

    def why(self):
        """How the program failed, in words: 'ended by SIGSEGV'."""
        if self.stopped:
            return self.stopped
        if self.status < 0:
            try:
                return f"ended by {signal.Signals(-self.status).name}"
            except ValueError:
                return f"ended by signal {-self.status}"
        return f"ended with status {self.status}"

    def words(self, lines=12, leave_out=None):
        """The last lines that the program printed: those of standard error if it has any, else
        those of both outputs together. leave_out: a pattern of lines that say nothing."""
        kept = []
        for data in (self.errors, self.tail):
            text = data.decode("utf-8", "backslashreplace")
            kept = kept or [line for line in text.splitlines()
                            if line.strip() and not (leave_out and leave_out.match(line))][-lines:]
        return "\n".join(line[:300] for line in kept)


def _marked(mark):
    """The processes that have this mark in their environment."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    # Path.glob() would raise an error if a process ended during the search.
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return found


def _end_left_over(group, mark):
    """Ends the processes that the program left behind, so that they disturb nobody, and waits for
    up to 0.2 s until they are gone."""
    processes.signal_group(group, signal.SIGKILL)
    for _ in range(20):
        left = [pid for pid in _marked(mark) if pid != os.getpid()]
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


class _Reader:
    """Reads what a process prints, as it comes."""

    def __init__(self, process):
        self.stdout = bytearray()
        self.tail = bytearray()
        self.errors = bytearray()
        self._first = process.stdout.fileno()
        self._poll = select.poll()
        self.open = {self._first, process.stderr.fileno()}
        for descriptor in self.open:
            os.set_blocking(descriptor, False)
            self._poll.register(descriptor, select.POLLIN)
        self._pidfd = None
        try:
            self._pidfd = os.pidfd_open(process.pid)
            self._poll.register(self._pidfd, select.POLLIN)
        except (AttributeError, OSError):
            pass  # an old kernel has no pidfd: the next tick notices the end of the process

    def wait(self, seconds):
        """Waits for output for at most this time, and reads it. Also returns when the process
        ends."""
        for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000):
            if descriptor in self.open:
                self._read(descriptor)
            elif descriptor == self._pidfd:
                self._poll.unregister(descriptor)

    def _read(self, descriptor):
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        if not chunk:
            self.open.discard(descriptor)
            self._poll.unregister(descriptor)
            return False
        if descriptor == self._first and len(self.stdout) < _KEPT:
            self.stdout += chunk
        for kept in (self.tail, *(() if descriptor == self._first else (self.errors,))):
            kept += chunk
            del kept[:-_TAIL]
        return True

    def drain(self):
        """Reads what is still in the pipes, and does not wait for a child that holds them open."""
        for descriptor in tuple(self.open):
            for _ in range(4096):
                if not self._read(descriptor):
                    break

    def close(self):
        if self._pidfd is not None:
            os.close(self._pidfd)


def _watch(process, reader, end, stall, progress, on_tick, every):
    """Waits for the end of the process. Returns (why the process has to be ended, the seconds
    without progress). The first is empty if the process ended by itself."""
    now = start = time.monotonic()
    seen, since = progress() if progress else None, now
    tick = min(0.05, every)
    while process.poll() is None:
        now = time.monotonic()
        if now >= end:
            return f"had not ended after {now - start:.3g} s", now - since
        if progress:
            state = progress()
            if state != seen:
                seen, since = state, now
            elif now - since >= stall:
                return f"hung: nothing came of it for {now - since:.3g} s", now - since
        if on_tick:
            on_tick()
        reader.wait(min(tick, end - now))
        tick = every
    return "", 0.0


def run(command, limit, *, env=None, cwd=None, stall=None, progress=None, on_tick=None,
        before=None, on_start=None, every=_TICK_SECONDS):
    """Runs a command for at most `limit` seconds, and returns how it ended. Raises OSError if the
    command cannot be started.

    env: the whole environment; None stands for this process's own. progress: a function whose
    value changes while the program gets on. If the value stays the same for `stall` seconds, the
    program is ended. on_tick is called at least once in `every` seconds, on_start once, with the
    process's id. before: a function that the child process calls right before it becomes the
    program.
    """
    mark = f"{os.getpid():010}-{next(_NUMBERS):010}"
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=cwd, env=dict(os.environ if env is None else env, **{_MARK: mark}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=before)
    assert process.stdout and process.stderr
    reader = None
    try:
        reader = _Reader(process)
        if on_start:
            on_start(process.pid)
        stopped, idle = _watch(process, reader, start + limit, stall, progress, on_tick, every)
        if stopped:
            processes.end_group(process, grace=_GRACE_SECONDS)
        seconds = time.monotonic() - start
        reader.drain()
        return Ended(process.wait(), bytes(reader.stdout), bytes(reader.tail),
                     bytes(reader.errors), seconds, stopped, idle)
    except BaseException as reason:
        processes.end_because(reason, process, _GRACE_SECONDS)
        raise
    finally:
        _end_left_over(process.pid, mark)
        if reader:
            reader.close()
        process.stdout.close()
        process.stderr.close()
