# SPDX-License-Identifier: Apache-2.0
"""Holds the command ffgrant-perf: the gate of the ffgrant project, for programs of any project.

The modules below the folder of this package are modules of scripts/jobs, unchanged. They are
imported from there under their own name, so that no package "jobs" gets into the user's
site-packages.
"""

import os
import sys

_COMMANDS = {
    "gate": ("jobs.perf.gate", "is HEAD slower than BASE? ffgrant-perf gate BASE HEAD"),
    "counts": ("jobs.perf.counts", "instructions of both under callgrind, exact"),
    "record": ("jobs.perf.record", "measures and appends a point to a history"),
    "trend": ("jobs.perf.trend", "when did the history change, and by how much?"),
    "history": ("jobs.perf.history", "keeps the history on a branch; repairs it"),
    "report": ("jobs.page.job", "one HTML page: what got slower, by how much, since when"),
    "validate": ("jobs.perf.validate", "are these files answers and histories as they must be?"),
}


def _usage():
    lines = [f"usage: ffgrant-perf {'|'.join(_COMMANDS)} [ARGUMENT...]",
             "       ffgrant-perf COMMAND --help | --version", ""]
    lines += [f"  {name:<9} {text}" for name, (_, text) in _COMMANDS.items()]
    return "\n".join([
        *lines, "",
        "Exit status: 0 clean or done; 1 regression; 2 wrong usage, or something could not be",
        "measured; 3 inconclusive; 4 something seemed slower and could not be confirmed;",
        "128 + signal if interrupted."])


def main():
    """Runs the command that the arguments name, and returns its exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] in (["-h"], ["--help"]):
        print(_usage())
        return 0
    if arguments == ["--version"]:
        from importlib import metadata
        print(f"ffgrant-perf {metadata.version('ffgrant-perf')}")
        return 0
    if not arguments or arguments[0] not in _COMMANDS:
        if arguments:
            print(f"ffgrant-perf: unknown command: {arguments[0]}", file=sys.stderr)
        print(_usage(), file=sys.stderr)
        return 2
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from jobs.common.terminal import run_main
    from jobs.perf import commands
    sys.stdout.reconfigure(errors="backslashreplace")
    table = {name: module for name, (module, _) in _COMMANDS.items()}
    return run_main(lambda: commands.run(arguments, table))
