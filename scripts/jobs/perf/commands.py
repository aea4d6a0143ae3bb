# SPDX-License-Identifier: Apache-2.0
"""The commands of scripts/perf: each is a module with main(argv), argv without the command's name.

main returns the exit status (scripts/perf --help). It may raise Interrupted, BuildError and
PerfError; what they mean to the caller is decided here, once.
"""

import importlib
import sys

from jobs.common import processes
from jobs.common.build import BuildError
from jobs.common.terminal import run_main
from jobs.perf.error import PerfError

CLEAN, REGRESSION, HARNESS_ERROR, INCONCLUSIVE = 0, 1, 2, 3

COMMANDS = {
    "gate": "jobs.perf.gate",
    "counts": "jobs.perf.counts",
    "record": "jobs.perf.record",
    "trend": "jobs.perf.trend",
    "bisect": "jobs.perf.bisect",
    "report": "jobs.page.job",
    "selftest": "jobs.perf.selftest",
}


def run(argv):
    """Runs a command and returns its exit status."""
    if not argv or argv[0] not in COMMANDS:
        print(f"perf: one of {', '.join(COMMANDS)} is needed", file=sys.stderr)
        return HARNESS_ERROR
    command = argv[0]
    processes.raise_on_signals()
    try:
        return importlib.import_module(COMMANDS[command]).main(argv[1:])
    except processes.Interrupted as interrupted:
        print(f"perf {command}: stopped by {interrupted}", file=sys.stderr)
        return interrupted.exit_status
    except BuildError as error:
        print(f"perf {command}: {error} failed", file=sys.stderr)
        return HARNESS_ERROR
    except PerfError as error:
        print(f"perf {command}: {error}", file=sys.stderr)
        return HARNESS_ERROR


if __name__ == "__main__":
    sys.exit(run_main(lambda: run(sys.argv[1:])))
