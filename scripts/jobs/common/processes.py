# SPDX-License-Identifier: Apache-2.0
"""Runs child processes. If this process is interrupted, run() ends the child's whole process group.

Most code that starts processes ends them by the functions of this module. run() is for one process
at a time, children.py for several with logs, and bounded.py for other people's programs under a
time limit.
"""

import contextlib
import os
import select
import signal
import subprocess
from pathlib import Path

_TICK_SECONDS = 0.5
GRACE_SECONDS = 3
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Raised when SIGINT, SIGTERM or SIGHUP arrives. Interrupted is not derived from Exception, so
    that no `except Exception` catches it."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


def raise_on_signals():
    def handler(number, _frame):
        raise Interrupted(number)

    for number in SIGNALS:
        signal.signal(number, handler)


def signal_group(leader, number):
    """Sends a signal to the process group that a process leads. Does nothing if the group is
    gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def cpu_seconds(pid):
    """The CPU time that a process has used so far; None if there is no such process any more."""
    try:
        # The name, which may hold spaces, ends with the last parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end_group(process, polite=(signal.SIGTERM,), grace=GRACE_SECONDS):
    """Ends a process that leads a group, and its group: with polite signals first, then by force.
    The group is killed in any case, since a child may outlive the leader. After each signal the
    function waits for the leader, at most as long as the grace.
    """
    for number in (*polite, signal.SIGKILL):
        if process.poll() is not None and number != signal.SIGKILL:
            continue
        signal_group(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)


def end_one(process, grace=GRACE_SECONDS):
    """Ends a process that leads no group, first politely, and waits for it."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def ignore_signals():
    """Ignores further signals, so that they can't interrupt the ending of processes. Returns the
    handlers for restore_signals()."""
    return {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}


def restore_signals(handlers):
    for number, handler in handlers.items():
        signal.signal(number, handler)


def end_because(reason, process, grace=GRACE_SECONDS):
    """Ends a group because an exception was raised. After an interrupt, signals stay ignored, since
    the job is about to end. After any other exception the job may go on, and may be interrupted
    later."""
    handlers = ignore_signals()
    end_group(process, grace=grace)
    if not isinstance(reason, Interrupted):
        restore_signals(handlers)


def run(command, cwd=None, env=None, on_line=None, on_tick=None):
    """Runs a command to its end. Returns (exit status, all that the command printed).

    on_line gets each line of output once it is complete, on_tick is called at least twice a second.
    """
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    assert process.stdout
    try:
        output = _read_all(process.stdout.fileno(), on_line, on_tick)
        return process.wait(), output
    except BaseException as reason:
        end_because(reason, process)
        raise
    finally:
        process.stdout.close()


def _read_all(descriptor, on_line, on_tick):
    output = bytearray()
    line_start = 0
    while True:
        ready, _, _ = select.select([descriptor], [], [], _TICK_SECONDS)
        if on_tick:
            on_tick()
        if not ready:
            continue
        chunk = os.read(descriptor, 65536)
        output += chunk
        while on_line:
            line_end = output.find(b"\n", line_start)
            if line_end < 0:
                break
            on_line(output[line_start:line_end].decode(errors="replace").rstrip("\r"))
            line_start = line_end + 1
        if not chunk:
            return output.decode(errors="replace")
