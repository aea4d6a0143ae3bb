# SPDX-License-Identifier: Apache-2.0
"""Starts scripts/perf report when Python runs this file. The package page may import the package
perf, which has the other commands; perf must not import page."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
sys.path.insert(0, os.path.dirname(os.path.dirname(_HERE)))

from jobs.common.terminal import run_main  # noqa: E402 (after the path is right)
from jobs.page import options  # noqa: E402
from jobs.perf import commands  # noqa: E402

if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[2:]):
        options.parse(sys.argv[2:])  # options imports nothing that draws
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run_main(lambda: commands.run(sys.argv[1:], {"report": "jobs.page.job"})))
