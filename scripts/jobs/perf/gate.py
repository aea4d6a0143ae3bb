# SPDX-License-Identifier: Apache-2.0
"""scripts/perf gate: is head slower than base? Runs both side by side until it can tell."""

import argparse
import datetime
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.common.terminal import Terminal, duration
from jobs.perf import (answer, commands, decide, fingerprint, process_pairs,
                       revisions as perf_revisions, samples)
from jobs.perf.error import PerfError

# What this project makes fast; its baselines are there to be compared with. Of the ledger, one
# thread on few executions: a million are set up for seconds before each repetition.
OURS = "_Core(/|$)|_Ledger[A-Za-z]*/live:1000/(clock:coarse/)?manual_time/threads:1$"
BUDGET = 600


def add_effort(parser):
    """The options that say how much is measured."""
    parser.add_argument("--filter", metavar="RE", default=None,
                        help="only benchmarks whose names match (default with programs: all; with "
                             "revisions: core, and the ledger with few executions and one thread)")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="SECONDS",
                        help="measure no longer than this, builds aside (%(default)s)")
    parser.add_argument("--repetitions", type=int, metavar="N",
                        default=samples.Effort.repetitions,
                        help="in each process, of which the least counts (%(default)s)")
    parser.add_argument("--min-time", type=float, metavar="SECONDS",
                        default=samples.Effort.min_time,
                        help="of a repetition (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the order in which programs run")


def effort_of(arguments):
    if arguments.repetitions < 1 or arguments.min_time < 0 or arguments.budget <= 0:
        raise PerfError("--repetitions, --min-time and --budget have to be positive")
    return samples.Effort(arguments.repetitions, arguments.min_time)


def _parser():
    parser = argparse.ArgumentParser(
        prog="scripts/perf gate",
        description="Tells whether HEAD is slower than BASE, benchmark by benchmark.",
        epilog="Exit status: 0 nothing slower; 1 something is; 2 wrong usage, or it could not be "
               "measured; 3 inconclusive, e.g. too noisy or no time left.")
    parser.add_argument("--base", metavar="REV", help="revision (merge base with main)")
    parser.add_argument("--head", metavar="REV", help="revision (the working tree)")
    parser.add_argument("--base-bin", metavar="FILE", type=Path,
                        help="any program that uses Google Benchmark, in place of a revision")
    parser.add_argument("--head-bin", metavar="FILE", type=Path)
    add_effort(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result there too")
    parser.add_argument("--markdown", metavar="FILE", type=Path)
    parser.add_argument("--raw", metavar="DIR", type=Path,
                        help="keep Google Benchmark's JSON of every process in this empty folder")
    return parser


def program_at(path):
    """A program of somebody else's."""
    path = path.resolve()
    if not path.is_file():
        raise PerfError(f"{path}: no such program")
    return samples.Program(path)


def arms_of(base, head):
    """base, a second copy of it, and head, in the order that decide.decide takes."""
    return {"base": base, "copy": base, "head": head}


def suites_of(folders):
    """The suites are the benchmark programs that base's and head's folders both have."""
    found = [perf_revisions.suites(folder) for folder in folders]
    suites = []
    for name in found[0].keys() & found[1].keys():
        environment = process_pairs.environment_of([paths[name] for paths in found])
        programs = [samples.Program(paths[name], (), environment) for paths in found]
        suites.append(process_pairs.Suite(name, arms_of(*programs)))
    if not suites:
        raise PerfError("the revisions have no benchmark program in common")
    return sorted(suites, key=lambda suite: suite.name)


def forecast(live, looks, clock):
    """What the run will take."""
    seconds = live.round_seconds(list(live.names))
    affordable = max(0, int(clock.left() / seconds))
    limit = f"; the budget allows {affordable} pairs" if affordable < looks[-1] else ""
    return (f"{len(live.names)} benchmarks, {duration(seconds)} a pair with its A/A: "
            f"{duration(seconds * looks[0])} if all is clear, {duration(seconds * looks[-1])} "
            f"if nothing is{limit}")


def measure(terminal, suites, filter_text, arguments, rules=decide.Rules()):
    """Runs rounds and decides. Returns (results, live): the verdicts and what was learnt."""
    clock = process_pairs.Clock(arguments.budget)
    with process_pairs.Live(terminal, suites, filter_text, effort_of(arguments), clock,
                            arguments.seed, getattr(arguments, "raw", None)) as live:
        terminal.line(forecast(live, rules.looks, clock))
        results = decide.decide(
            list(live.names), live.take, rules,
            lambda names: live.fresh(f"confirming {len(names)}"))
        return results, live


def _revisions(arguments):
    base = (perf_revisions.resolve(arguments.base) if arguments.base
            else perf_revisions.default_base())
    head = (perf_revisions.resolve(arguments.head) if arguments.head
            else perf_revisions.working_tree())
    return base, head


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Chosen:
    """What is compared; suites is empty if both are the same files."""
    suites: list
    base: str
    head: str
    filter: str
    compiler: str
    flags: str
    sources: tuple = (None, None)  # folders that the programs' names of sources start from


def choose(terminal, arguments, parser):
    """Builds or finds what the arguments of gate and counts ask for."""
    with_programs = bool(arguments.base_bin or arguments.head_bin)
    if with_programs and (arguments.base or arguments.head):
        parser.error("--base and --head are revisions, --base-bin and --head-bin programs: either")
    if with_programs and not (arguments.base_bin and arguments.head_bin):
        parser.error("--base-bin and --head-bin go together")
    if with_programs:
        programs = [program_at(path) for path in (arguments.base_bin, arguments.head_bin)]
        return Chosen([process_pairs.Suite(programs[1].name, arms_of(*programs))],
                      str(arguments.base_bin), str(arguments.head_bin), arguments.filter or "",
                      fingerprint.compiler_of(programs[1].path), "unknown")
    revisions = _revisions(arguments)
    base, head = (revision.label for revision in revisions)
    filter_text = OURS if arguments.filter is None else arguments.filter
    if revisions[0].content == revisions[1].content:
        terminal.line(f"{base} and {head} are the same files: nothing to compare")
        return Chosen([], base, head, filter_text, "", "")
    folders = [perf_revisions.directory_of(terminal, revision) for revision in revisions]
    return Chosen(suites_of(folders), base, head, filter_text,
                  fingerprint.compiler_version(perf_revisions.COMPILER), perf_revisions.FLAGS,
                  tuple(map(perf_revisions.source_of, folders)))


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    chosen = choose(terminal, arguments, parser)
    if not chosen.suites:
        return commands.CLEAN
    start = time.monotonic()
    results, live = measure(terminal, chosen.suites, chosen.filter, arguments)
    context = next(iter(live.contexts.values()))
    outcome = answer.Outcome(
        date, shlex.join(["./scripts/perf", "gate", *argv]), time.monotonic() - start,
        chosen.base, chosen.head,
        fingerprint.identity(context, chosen.compiler, chosen.flags),
        fingerprint.conditions(context), results, live.names,
        sorted(sum(live.missing.values(), [])))
    answer.print_text(outcome, terminal)
    if arguments.json:
        write(arguments.json, json.dumps(answer.document(outcome), indent=1) + "\n")
    if arguments.markdown:
        write(arguments.markdown, answer.markdown(outcome))
    return outcome.exit_status
