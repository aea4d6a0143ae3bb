# SPDX-License-Identifier: Apache-2.0
"""Starts a command of scripts/perf when Python runs this file. So the caller's PYTHONPATH need not
name this project, and the programs that the command starts see PYTHONPATH unchanged."""

import os
import sys

# Takes this folder out of the path before the imports below, because this folder holds a bisect.py.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
sys.path.insert(0, os.path.dirname(os.path.dirname(_HERE)))

from jobs.common.terminal import run_main  # noqa: E402 (after the path is right)
from jobs.perf import commands  # noqa: E402

if __name__ == "__main__":
    # Names and paths may hold any byte, and must be printable all the same.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run_main(lambda: commands.run(sys.argv[1:])))
