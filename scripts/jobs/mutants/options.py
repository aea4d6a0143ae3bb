# SPDX-License-Identifier: Apache-2.0
"""Reads the options of scripts/mutants."""

from jobs.common import options

PARTS = ("core", "client", "functions")
GRADERS = ("tests", "replay", "sanitized", "threads", "fuzz")
_ABOUT = """\
Draws mutants of core by lot, a sample over files and operators, builds each and runs
the fuzz targets that reach it, from an empty corpus, with five seeds. Says how many are
killed in 10 s and in 60 s. Then tests, the replay of the corpora and thread tests look
for what the targets have let live; what is left has survived. This takes hours; a few
files or a smaller count take minutes. Writes results/mutants.md unless --file, --only or --plain
narrows it.

With --part client or --part functions the mutants are of what talks to a server, or of
the Lua functions that run in one. Tests look for them, then the replay of the corpora,
for the client thread tests, and then the fuzz targets. Writes results/mutants-client.md
or results/mutants-functions.md unless --file or --only narrows it.

With --by-hand the faults are those of fuzz/mutants, of the kinds that people make, in
core, the client and the server functions; tests and the replay of the corpora look for
them, then both with sanitizers, thread tests and the fuzz targets for what is alive.
Writes results/mutants-by-hand.md unless --kind, --only or --grader narrows it.

fuzz/equivalent_mutants.toml lists mutants that behave as the original, with the
argument why."""

_ENDING = """\
Exit status: 0 at least 95 % killed in 10 s and every survivor is listed there;
1 it isn't so, or the list is wrong, or a target fails on the original; 2 wrong usage.
For the client and the functions: 0 every mutant is killed or listed there; 1 one is not,
or the list is wrong, or a grader fails on the original. With --by-hand: 0 every fault is
killed; 1 one is not, or the catalogue is wrong, or a grader fails on the original."""


def parser():
    made = options.Parser("mutants", _ABOUT, _ENDING)
    made.choice("--part", PARTS, "core: parser, serializer and the embedded ledger (the default); "
                "client: the client of a Valkey server and of an HTTP server, and the worker of a "
                "deployment; functions: the Lua functions that a server runs", default="core")
    made.option("--count", "N", "how many mutants (220)", options.positive, default=220)
    made.option("--seed", "N", "seed of the draw (1)", options.natural, default=1)
    made.option("--jobs", "N", "workers, each with a copy of the tree and one core (1); with "
                "--by-hand, for the client and for the functions: how many tests and targets run "
                "at once, in one copy", options.positive, default=1)
    made.option("--seconds", "N", "the most seconds of CPU that a target gets with a seed (60; 10 "
                "with --by-hand, for the client and for the functions)", options.positive)
    made.flag("--resume", "take over the results of earlier runs, below build/, except those that "
              "depend on something that has changed, such as --seconds")
    made.option("--file", "PATH", "only mutants of this file below core/ffgrant; may be repeated",
                action="append", default=[])
    made.option("--only", "ID", "only this mutant; may be repeated", action="append", default=[])
    made.flag("--plain", "fuzz without sanitizers")
    made.flag("--list", "print all mutants: id, line and what changes")
    made.option("--diff", "ID", "print what a mutant changes", default="")
    made.flag("--by-hand", "grade by the faults of fuzz/mutants in place of drawn mutants")
    made.option("--kind", "KIND", "with --by-hand: only this kind, a file in fuzz/mutants; may be "
                "repeated", action="append", default=[])
    made.choice("--grader", GRADERS, "with --by-hand: only this grader; may be repeated. For core, "
                "fuzz leaves out the tests, and the result says so", action="append", default=[])
    return made


def parse(argv):
    made = parser()
    found = made.parse_args(argv)
    targets_only = found.part == "core" and found.grader == ["fuzz"]
    if not found.by_hand and (found.kind or (found.grader and not targets_only)):
        made.error("--kind and --grader go with --by-hand, and --grader fuzz with --part core")
    drawn = made.parse_args([])
    drawn_only = ("diff", "file", "plain", "part", "count", "seed")
    if found.by_hand and any(getattr(found, name) != getattr(drawn, name) for name in drawn_only):
        made.error("--by-hand goes with --kind, --grader, --only, --jobs, --seconds, --resume and "
                   "--list")
    if found.part != "core" and found.plain:
        made.error("--plain goes with --part core")
    brief = found.by_hand or found.part != "core"
    found.seconds = found.seconds or (10 if brief else 60)
    return found, options.Start(
        "mutants-by-hand" if found.by_hand else "mutants",
        # The tools for coverage find out which code each target reaches.
        () if found.list or found.diff else ("fuzz", "coverage"), unready=1, at_root=True)
