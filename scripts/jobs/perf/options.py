# SPDX-License-Identifier: Apache-2.0
"""Adds the options that several commands share. choice.py turns the options into what is
compared."""

import argparse
import math
from pathlib import Path

from jobs.perf import home, metrics, samples
from jobs.perf.error import PerfError

BUDGET = 600  # seconds


def parser(name, description, epilog):
    return argparse.ArgumentParser(prog=f"{home.PROGRAM} {name}", description=description,
                                   epilog=epilog, allow_abbrev=False)


def add_effort(parser):
    """The options that say which benchmarks are measured, and how much."""
    parser.add_argument("--filter", metavar="RE", default=None,
                        help="only benchmarks whose names match (default with programs: all; with "
                             "revisions: core, and the ledger with few executions and one thread)")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="SECONDS",
                        help="measure no longer than this, not counting builds (%(default)s)")
    parser.add_argument("--repetitions", type=int, metavar="N",
                        default=samples.Effort.repetitions,
                        help="repetitions in each process; the least time counts (%(default)s)")
    parser.add_argument("--min-time", type=float, metavar="SECONDS",
                        default=samples.Effort.min_time,
                        help="least time of a repetition (%(default)s)")
    parser.add_argument("--seed", type=int, help="seed of the order in which programs run")


def add_metrics(parser, sides=("base", "head"), given="what is compared (time)"):
    """The options that say which metrics of the programs are measured. given: how the help of
    --metric begins."""
    parser.add_argument("--metric", choices=tuple(metrics.ARGUMENTS), action="append", default=[],
                        help=f"{given}; may be repeated. memory: the peak of each "
                             "benchmark's process; size: the programs' size; compile: the time "
                             "of --compile")
    parser.add_argument("--section", metavar="NAME", action="append", default=[],
                        help="for --metric size: a section of the program (.text) in place of the "
                             "whole file; may be repeated")
    parser.add_argument("--compile", metavar="COMMAND",
                        help="for --metric compile: a line for sh that compiles everything that "
                             "counts, each time anew"
                             + ("; it runs in each revision's folder. Without revisions, "
                                "--base-compile and --head-compile are needed" if sides else
                                "; it runs in the revision's folder, or with --bin in --cwd"))
    for side in sides:
        parser.add_argument(f"--{side}-compile", metavar="COMMAND",
                            help=f"the same, for the {side} alone")


def effort_of(arguments):
    if arguments.repetitions < 1 or not arguments.min_time >= 0 or not (
            0 < arguments.budget < math.inf):
        raise PerfError("--repetitions, --min-time and --budget have to be positive")
    return samples.Effort(arguments.repetitions, arguments.min_time)


def add_surroundings(parser, sides=()):
    """The options that say which arguments, environment and working folder programs get. gate,
    counts and record have these options."""
    parser.add_argument("--argument", metavar="TEXT", action="append", default=[],
                        help="an argument for the programs; --argument=--flag for one that begins "
                             "with a dash; may be repeated")
    for option, who in (("env", "the programs"), *((f"{side}-env", side) for side in sides)):
        parser.add_argument(f"--{option}", metavar="NAME=TEXT", action="append", default=[],
                            help=f"a variable in the environment of {who}; may be repeated")
    parser.add_argument("--cwd", metavar="DIR", type=Path,
                        help="the programs' working folder (this one)")


def add_programs(parser):
    """The options that say what is compared."""
    parser.add_argument("programs", metavar="PROGRAM", type=Path, nargs="*",
                        help="base and head: two programs that use Google Benchmark, or two "
                             "folders of such programs")
    parser.add_argument("--base", metavar="REV",
                        help="the base revision (merge base with main)")
    parser.add_argument("--head", metavar="REV", help="the head revision (the working tree)")
    parser.add_argument("--build", metavar="COMMAND",
                        help="build both revisions of the repository in this folder with this "
                             "line for sh; needs --program")
    parser.add_argument("--program", metavar="PATH", action="append", default=[],
                        help="what --build makes: a program or a folder of programs, from the "
                             "repository's top folder; may be repeated")
    if home.IN_TREE:
        parser.add_argument("--baseline", metavar="FILE", type=Path,
                            help="a build that scripts/perf baseline kept, in place of --base")
    else:
        parser.set_defaults(baseline=None)
    parser.add_argument("--base-bin", metavar="FILE", type=Path, nargs="+", action="extend",
                        default=[], help="the base's programs, if there are several")
    parser.add_argument("--head-bin", metavar="FILE", type=Path, nargs="+", action="extend",
                        default=[], help="as many programs of the head, in the same order")
    add_surroundings(parser, ("base", "head"))
    parser.add_argument("--known", metavar="FILE", type=Path,
                        help="a list of benchmarks that are known for noise or for failing, with "
                             "the reasons")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the answer to FILE too")
    parser.add_argument("--markdown", metavar="FILE", type=Path)
