# SPDX-License-Identifier: Apache-2.0
"""scripts/perf record: measures and appends a point a suite to the history (history_files)."""

import argparse
import datetime
import math
import os
import shlex
import statistics
from pathlib import Path

from jobs.common.terminal import Terminal, duration
from jobs.perf import (commands, decide, fingerprint, gate, history_files, process_pairs, revisions,
                       samples)
from jobs.perf.error import PerfError

REFERENCE = "BM_ReferenceKernel"
_ALPHA = 0.025  # one-sided: intervals of 95 %
_PAIRS = 12
_FEWEST_PAIRS = 6  # with fewer there is no interval


class _WithReference(process_pairs.Live):
    """Rounds of a suite's programs and the reference kernel's, in random order.

    The kernel is a suite of its own with one benchmark; what it took in a round is what the
    round's other times are divided by.
    """

    def pairs(self, count):
        """benchmark -> [(nanoseconds, the kernel's nanoseconds)], a round each."""
        found = {name: [] for name in self.names if name != REFERENCE}
        for times in self.take(tuple(self.names), count):
            (reference,) = times[REFERENCE]
            for name, values in found.items():
                values.append((times[name][0], reference))
        return found


def measurement(pairs):
    """The history's entry for one benchmark, of its (time, reference) in each round."""
    logs = [math.log(time / reference) for time, reference in pairs]
    interval = decide.interval(logs, _ALPHA)
    return history_files.Measurement(
        interval.ratio, interval.low, interval.high,
        statistics.median(time for time, _ in pairs),
        statistics.median(reference for _, reference in pairs), len(pairs))


def measure(terminal, programs, reference, filter_text, arguments):
    """programs: suite -> Program. Returns (benchmark -> Measurement, live)."""
    suites = [process_pairs.Suite(name, {"head": program}) for name, program in programs.items()]
    # A suite apart, that no filter leaves out.
    kernel = process_pairs.Suite("reference", {"head": reference})
    clock = process_pairs.Clock(arguments.budget)
    pattern = f"({filter_text or '.'})|^{REFERENCE}$"
    with _WithReference(terminal, [*suites, kernel], pattern,
                        gate.effort_of(arguments), clock, arguments.seed) as live:
        if len(live.names) < 2:
            raise PerfError(f"no benchmark matches {filter_text!r}")
        seconds = live.round_seconds(list(live.names))
        terminal.line(f"{len(live.names) - 1} benchmarks, {arguments.pairs} pairs: about "
                      f"{duration(seconds * arguments.pairs)}")
        pairs = live.pairs(arguments.pairs)
    done = len(next(iter(pairs.values())))
    if done < _FEWEST_PAIRS:
        raise PerfError(f"the budget was up after {done} pairs; {_FEWEST_PAIRS} are needed")
    return {name: measurement(values) for name, values in pairs.items()}, live


def _parser():
    parser = argparse.ArgumentParser(
        prog="scripts/perf record",
        description="Measures a suite and appends a point to its history. Times are stated as "
                    "multiples of the frozen reference kernel's (bench/perf), which runs in the "
                    "same pairs.",
        epilog="Exit status: 0 recorded; 2 wrong usage, or it could not be measured.")
    parser.add_argument("--revision", metavar="REV",
                        help="measure this one (the working tree)")
    parser.add_argument("--bin", metavar="FILE", type=Path,
                        help="measure any program that uses Google Benchmark; needs --suite, and "
                             "--revision says of what (not looked up)")
    parser.add_argument("--suite", metavar="NAME", help="of --bin: the history's file")
    parser.add_argument("--history", metavar="DIR", type=Path, default=history_files.ROOT,
                        help="where points go (results/history)")
    parser.add_argument("--pairs", type=int, default=_PAIRS, metavar="N",
                        help="(%(default)s)")
    gate.add_effort(parser)
    return parser


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    if bool(arguments.bin) != bool(arguments.suite):
        parser.error("--bin and --suite go together")
    if arguments.bin and not arguments.revision:
        parser.error("--bin needs --revision: 12 or more hexadecimal digits")
    if arguments.pairs < _FEWEST_PAIRS:
        parser.error(f"--pairs: {_FEWEST_PAIRS} or more")
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    here = revisions.working_tree()
    if arguments.bin:
        program = gate.program_at(arguments.bin)
        programs, revision = {arguments.suite: program}, arguments.revision
        compiler, flags = fingerprint.compiler_of(program.path), "unknown"
        filter_text = arguments.filter or ""
        folder = revisions.directory_of(terminal, here)
    else:
        chosen = revisions.resolve(arguments.revision) if arguments.revision else here
        folder = revisions.directory_of(terminal, chosen)
        programs = {name: samples.Program(path, (), process_pairs.environment_of([path]))
                    for name, path in revisions.suites(folder).items()}
        revision = chosen.commit[:12]
        if chosen.changed:
            revision = revisions.resolve("HEAD").short + "+"
        compiler, flags = fingerprint.compiler_version(revisions.COMPILER), revisions.FLAGS
        filter_text = gate.OURS if arguments.filter is None else arguments.filter
    kernel = folder / "reference_kernel"
    if not kernel.is_file():  # a revision from before there was one
        kernel = revisions.directory_of(terminal, here) / "reference_kernel"
    measured, live = measure(terminal, programs, samples.Program(kernel), filter_text,
                             arguments)
    command = shlex.join(["./scripts/perf", "record", *argv])
    for suite in programs:
        entries = {name: value for name, value in measured.items() if live.names[name] == suite}
        if not entries:
            continue
        machine = fingerprint.identity(live.contexts[suite], compiler, flags)
        path = history_files.append(history_files.Point(date, revision, suite, command, machine,
                                                        entries), arguments.history)
        terminal.line(f"{len(entries):3} benchmarks at {revision}: {os.path.relpath(path)}")
    return commands.CLEAN
