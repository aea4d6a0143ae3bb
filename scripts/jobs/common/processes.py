# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive this one: an interrupt ends the whole process group."""

import contextlib
import os
import select
import signal
import subprocess

_TICK_SECONDS = 0.5
_GRACE_SECONDS = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; not an Exception, so that nobody swallows it."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_status = 128 + number


def raise_on_signals():
    def handler(number, _frame):
        raise Interrupted(number)

    for number in _SIGNALS:
        signal.signal(number, handler)


def _end(process):
    """Ends the process group, first politely."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)


def run(command, cwd=None, env=None, on_line=None, on_tick=None):
    """Runs a command to its end. Returns (exit status, all it printed).

    on_line gets each line of output as it appears, on_tick is called about twice a second.
    """
    process = subprocess.Popen(
        command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True)
    assert process.stdout
    try:
        output = _read_all(process.stdout.fileno(), on_line, on_tick)
        return process.wait(), output
    except BaseException as reason:
        # Further signals must not cut this short.
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
        _end(process)
        if not isinstance(reason, Interrupted):  # the job may go on, and be interrupted later
            for number, handler in handlers.items():
                signal.signal(number, handler)
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
