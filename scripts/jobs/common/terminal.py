# SPDX-License-Identifier: Apache-2.0
"""Shows colour and progress: a line that rewrites itself on a terminal, a few lines elsewhere."""

import os
import shutil
import signal
import sys
import time

WIDTH = 100
_SECONDS_BETWEEN_LINES = 15  # if the output is a pipe or a file


def duration(seconds):
    """Seconds as text: 12.3 s, 4 min 05 s."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def run_main(main):
    """Returns main()'s exit status, or a broken pipe's exit status if nobody reads the output any
    more."""
    try:
        return main()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would report the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


class Terminal:
    """Prints lines to a stream, and a progress line, which is erased before the next line."""

    def __init__(self, stream=None, clock=time.monotonic):
        self._stream = stream or sys.stdout
        self._clock = clock
        self.is_tty = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self.is_tty and "NO_COLOR" not in os.environ
        self._shown = False
        self._last = clock()

    def _paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self._colour else text

    def bold(self, text):
        return self._paint("1", text)

    def good(self, text):
        return self._paint("32", text)

    def bad(self, text):
        return self._paint("31", text)

    def dim(self, text):
        return self._paint("2", text)

    def line(self, text=""):
        self.clear()
        self._stream.write(text + "\n")
        self._stream.flush()
        self._last = self._clock()

    def progress(self, text):
        """Shows what is going on now; on a pipe at most one line in 15 seconds."""
        if self.is_tty:
            width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns - 1)
            self._stream.write("\r" + text[:width] + "\033[K")
            self._stream.flush()
            self._shown = True
        elif self._clock() - self._last >= _SECONDS_BETWEEN_LINES:
            self.line(text[:WIDTH])

    def clear(self):
        if self._shown:
            self._stream.write("\r\033[K")
            self._shown = False
