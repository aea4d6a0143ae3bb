# SPDX-License-Identifier: Apache-2.0
"""Tells what has to be installed for a command line of scripts/perf. The commands read their
options themselves."""

import sys

COMMANDS = {
    "gate": "is HEAD slower than BASE? Runs both side by side until it can tell",
    "counts": "instructions and memory accesses of both under callgrind, exact",
    "record": "measures and appends a point to the history, build/perf/history",
    "trend": "when did the history change, and by how much?",
    "history": "gets and keeps the branch perf-history; repairs and migrates the history",
    "baseline": "keeps a revision's build in a file, for gates that need not build it",
    "bisect": "the first revision at which a benchmark became slower",
    "report": "one HTML page and its plots of what results/ holds",
    "selftest": "measures the gate itself: false alarms, and slowdowns that it finds",
    "validate": "are these files answers and histories as they have to be?",
}
# With one of these options scripts/perf builds no revision of this project.
_READY = ("--base-bin", "--head-bin", "--bin", "--build")


def usage():
    return "\n".join([
        f"usage: scripts/perf {'|'.join(COMMANDS)}", "                    [ARGUMENT...]",
        "       scripts/perf COMMAND --help", "",
        *(f"  {name:<9} {text}" for name, text in COMMANDS.items()), "",
        "gate and counts also serve any program that uses Google Benchmark: scripts/perf gate OLD "
        "NEW.", "scripts/packaging/ffgrant-perf makes a package of it that needs nothing of this "
        "project.", "",
        "Exit status: 0 clean or done; 1 regression; 2 wrong usage, or something could not be",
        "measured; 3 inconclusive; 4 something seemed slower and could not be confirmed;",
        "128 + signal if interrupted."])


def needs(argv):
    """The job for scripts/bootstrap --for; None if only help is asked for."""
    command, rest = argv[0], argv[1:]
    if any(argument in ("-h", "--help") for argument in rest):
        return None
    ready = any(argument.split("=")[0] in _READY for argument in rest)
    if command in ("gate", "counts") and rest and not rest[0].startswith("-"):
        ready = True  # gate OLD NEW: two ready programs need nothing that builds this project
    if command in ("trend", "history"):
        return "trend"
    if command in ("validate", "report"):
        return {"validate": "compare", "report": "perf"}[command]
    if ready and command in ("gate", "counts", "record"):
        return {"gate": "compare"}.get(command, command)
    return "gate"


def wrong(argv):
    """The exit status if no command is to be started; None if a command is."""
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if not argv or argv[0] not in COMMANDS:
        if argv:
            print(f"perf: unknown command: {argv[0]}", file=sys.stderr)
        print(usage(), file=sys.stderr)
        return 2
    return None
