# SPDX-License-Identifier: Apache-2.0
"""scripts/perf record measures, and appends a point for each suite to the history
(history_files)."""

import argparse
import datetime
import os
import shlex
from pathlib import Path

from jobs.common.terminal import Terminal, duration
from jobs.perf import (
    answer,
    choice,
    fingerprint,
    gate,
    history_files,
    home,
    kernel,
    metrics,
    options,
    process_pairs,
    record_more,
    samples,
    statuses,
)
from jobs.perf.error import PerfError
from jobs.perf.gbench_json import printable

REFERENCE = "BM_ReferenceKernel"
_REFERENCE_SUITE = "reference kernel"
_PAIRS = 12


def _pairs(live, count, clock):
    """Benchmark -> [(nanoseconds, the kernel's nanoseconds)], with one pair for each round.

    The kernel is a suite of its own with one benchmark. The times of a round stand beside the
    kernel's time in that round, by which record_more.of_times() divides them.
    """
    (reference,) = [name for name in live.benchmarks if name.suite == _REFERENCE_SUITE]
    found = {name: [] for name in live.benchmarks if name != reference}
    while True:
        wanted = [name for name in found if name not in live.lost and len(found[name]) < count]
        if not wanted or reference in live.lost or clock.left() <= 0:
            return found
        lost, done = len(live.lost), 0
        rounds = min(count - len(found[name]) for name in wanted)
        seconds = live.round_seconds((*wanted, reference))
        if seconds:
            rounds = min(rounds, int(clock.left() / seconds))
        for times in live.take((*wanted, reference), rounds):
            done += 1
            for name in wanted:
                if name in times and reference in times:
                    found[name].append((times[name][0], times[reference][0]))
        if not done and len(live.lost) == lost:
            return found  # the time is up


def measure(terminal, programs, reference, filter_text, arguments, directory=None, sources=None):
    """Measures programs (suite -> Program). sources: the folder in which --compile runs. Returns
    the measurements (Benchmark -> Measurement), and the process_pairs.Live and the record_more.More
    that took them."""
    suites = [process_pairs.Suite(name, {"head": program}) for name, program in programs.items()]
    # The kernel is a suite of its own, with its own filter, so that no filter leaves it out.
    suites.append(process_pairs.Suite(_REFERENCE_SUITE, {"head": reference},
                                      f"^{REFERENCE}$" if filter_text else ""))
    clock = process_pairs.Clock(arguments.budget)
    wanted = {metrics.ARGUMENTS[name] for name in arguments.metric}
    slow = 1 + len(wanted & {metrics.MEMORY, metrics.COMPILE})  # these metrics take time
    with process_pairs.Live(terminal, suites, filter_text, options.effort_of(arguments), clock,
                            arguments.seed, directory=directory) as live:
        if not any(name.suite == _REFERENCE_SUITE for name in live.benchmarks):
            if clock.left() <= 0:
                raise PerfError("the budget was up before a single pair")
            raise PerfError("the reference kernel could not be measured")
        if len(live.benchmarks) < 2 and not live.unmeasured:
            raise PerfError("; ".join(live.facts.incidents)
                            or f"no benchmark matches {filter_text!r}")
        seconds = live.round_seconds(live.benchmarks)
        terminal.line(f"{len(live.benchmarks) - 1} benchmarks, {arguments.pairs} pairs: about "
                      f"{duration(seconds * arguments.pairs)}")
        pairs = _pairs(live, arguments.pairs, clock.share(clock.left() / slow))
        more = _more(terminal, live, clock, wanted, suites[:-1], arguments, sources)
    done = max(map(len, pairs.values()), default=0)
    if pairs and done < process_pairs.FEWEST_PAIRS:
        raise PerfError(f"the budget was up after {done} pairs; "
                        f"{process_pairs.FEWEST_PAIRS} are needed")
    measured = {name: record_more.of_times(values) for name, values in pairs.items()
                if len(values) >= process_pairs.FEWEST_PAIRS}
    return {**measured, **more.measured}, live, more


def _more(terminal, live, clock, wanted, suites, arguments, sources):
    """Measures the other metrics that are asked for."""
    (reference,) = [name for name in live.benchmarks if name.suite == _REFERENCE_SUITE]
    more = record_more.More(terminal, live, clock, arguments.pairs, arguments.seed)
    if metrics.SIZE in wanted:
        more.sizes(suites, tuple(arguments.section))
    if metrics.MEMORY in wanted:
        more.memory(reference)
    if metrics.COMPILE in wanted:
        more.compile_time(arguments.compile, sources, suites[0].name, reference)
    return more


def _parser():
    parser = argparse.ArgumentParser(
        prog=f"{home.PROGRAM} record", allow_abbrev=False,
        description="Measures a suite and appends a point to its history. Times are stated as "
                    "multiples of the frozen reference kernel's (bench/perf), which runs in the "
                    "same pairs.",
        epilog="Exit status: 0 recorded; 2 wrong usage, or something could not be measured or "
               "recorded.")
    parser.add_argument("--revision", metavar="REV",
                        help="measure this revision (the working tree)" if home.IN_TREE else
                        "the program's revision (the commit in this folder)")
    parser.add_argument("--bin", metavar="FILE", type=Path,
                        help="measure any program that uses Google Benchmark; needs --suite. "
                             "--revision then names the program's revision, which is not looked "
                             "up (default: the commit of the repository in this folder)")
    parser.add_argument("--suite", metavar="NAME",
                        help="with --bin: the name of the history's file")
    parser.add_argument("--kernel", metavar="FILE", type=Path,
                        help="a ready reference kernel (built from bench/perf/reference_kernel.cc)")
    parser.add_argument("--history", metavar="DIR", type=Path, default=history_files.ROOT,
                        help=f"where points go ({home.HISTORY_TEXT}: the branch perf-history)")
    parser.add_argument("--pairs", type=int, default=_PAIRS, metavar="N",
                        help="number of process pairs (%(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path)
    options.add_effort(parser)
    options.add_surroundings(parser)
    options.add_metrics(parser, sides=(), given="beside the times")
    return parser


def _here(parser):
    """The commit of the repository in this folder; with a "+" if files were changed."""
    from jobs.perf import repository
    try:
        commit = repository.commit_of("HEAD", ".")[:12]
        changed = repository.git("status", "--porcelain", "--untracked-files=no", directory=".")
    except PerfError:
        parser.error("--bin needs --revision where there is no repository: 12 or more hexadecimal "
                     "digits")
    return commit + ("+" if changed else "")


class _Plan:
    """What is measured, and what the points of the history say about it."""

    def __init__(self, terminal, arguments):
        self.directory = None
        self.sources = arguments.cwd  # of a ready program, only the user knows the sources
        if arguments.bin:
            program = choice.program_at(arguments.bin, arguments)
            self.programs, self.revision = {arguments.suite: program}, arguments.revision
            self.compiler, self.flags = fingerprint.compiler_of(program.path), "unknown"
            self.filter = arguments.filter or ""
            history_files.check(arguments.suite, self.revision, root=arguments.history)
            self.kernel = arguments.kernel or kernel.program()
            return
        from jobs.perf import revisions
        chosen = (revisions.resolve(arguments.revision) if arguments.revision
                  else revisions.working_tree())
        self.revision = chosen.commit[:12]
        if chosen.changed:
            self.revision = revisions.resolve("HEAD").short + "+"
        history_files.check("suite", self.revision, root=arguments.history)
        folder = revisions.directory_of(terminal, chosen)
        self.sources = revisions.source_of(folder)
        if arguments.compile and not self.sources.is_dir():  # a build of scripts/perf baseline
            raise PerfError(f"there are no sources of {chosen.label} to compile: remove {folder}, "
                            "which is then built anew")
        self.programs = {
            name: samples.Program(path, tuple(arguments.argument), {
                **process_pairs.environment_of([path]), **choice.environment(arguments.env)},
                arguments.cwd) for name, path in revisions.suites(folder).items()}
        self.compiler = fingerprint.compiler_version(revisions.COMPILER)
        self.flags = revisions.FLAGS
        self.filter = choice.OURS if arguments.filter is None else arguments.filter
        self.directory = revisions.PERF / "run"
        self.kernel = arguments.kernel or folder / "reference_kernel"
        if not self.kernel.is_file():  # the revision is older than the kernel
            self.kernel = kernel.program()


def _append(plan, arguments, date, command, measured, live):
    """Appends a point for each suite. If a point can't be appended, the other points still are.
    Returns (entries for the answer, lines for the reader, texts of failures)."""
    told, lines, failures = [], [], []
    for suite in plan.programs:
        entries = {str(name): value for name, value in measured.items() if name.suite == suite}
        if not entries:
            continue
        machine = fingerprint.identity(live.contexts[suite], plan.compiler, plan.flags)
        point = history_files.Point(date, plan.revision, suite, command, machine, entries)
        try:
            path = history_files.keep(point, arguments.history)
        except history_files.HistoryError as error:
            failures.append(str(error))
            continue
        lines.append(f"{len(entries):3} benchmarks at {plan.revision}: {os.path.relpath(path)}")
        told.append({"suite": suite, "fingerprint": path.parent.name, "file": str(path),
                     "machine": machine,
                     "benchmarks": {name: value.fields for name, value in entries.items()}})
    return told, lines, failures


def main(argv):
    parser = _parser()
    arguments = parser.parse_args(argv)
    if bool(arguments.bin) != bool(arguments.suite):
        parser.error("--bin and --suite go together")
    if not arguments.bin and not home.IN_TREE:
        parser.error("--bin and --suite are needed: the program, and the name of its history")
    if arguments.bin and not arguments.revision:
        arguments.revision = _here(parser)
    if ("compile" in arguments.metric) != bool(arguments.compile):
        parser.error("--metric compile and --compile go together")
    if arguments.pairs < process_pairs.FEWEST_PAIRS:
        parser.error(f"--pairs: {process_pairs.FEWEST_PAIRS} or more")
    terminal = Terminal()
    date = datetime.datetime.now(datetime.timezone.utc)
    command = shlex.join([home.COMMAND, "record", *argv])
    options.effort_of(arguments)
    plan = _Plan(terminal, arguments)
    measured, live, more = measure(terminal, plan.programs, samples.Program(plan.kernel),
                                   plan.filter,
                                   arguments, plan.directory, plan.sources)
    told, lines, failures = _append(plan, arguments, date, command, measured, live)
    lacking = [name for name in live.benchmarks if name not in measured
               and name not in live.lost and name.suite != _REFERENCE_SUITE] + more.lacking
    unmeasured = [*live.unmeasured, *more.unmeasured]
    lines += [f"not measured: {one.benchmark}: {printable(one.text)}" for one in unmeasured]
    lines += [f"not measured: {name}: too few pairs in the budget" for name in lacking]
    failures += live.facts.incidents
    failures += [f"{one.benchmark}: {one.text}" for one in unmeasured if one.blocks or one.late]
    failures += [f"{name}: too few pairs in the budget" for name in lacking]
    if not told and not failures:
        failures.append("nothing could be measured")
    status = statuses.HARNESS_ERROR if failures else statuses.CLEAN
    document = {
        "format": answer.FORMAT, "lane": "record", "date": date.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": command, "verdict": "unmeasured" if failures else "clean",
        "exit_status": status, "error": None, "revision": plan.revision,
        "action": f"Look at these: {printable(failures[0])}" if failures else
                  "Nothing to do: all that was measured is recorded.",
        "points": told, "incidents": [printable(text) for text in failures],
        "unmeasured": [
            {"name": str(one.benchmark), "suite": printable(one.benchmark.suite),
             "reasons": {arm: printable(reason) for arm, reason in one.reasons.items()},
             "blocks": one.blocks, "late": one.late, "known": None}
            for one in unmeasured] + [
            {"name": str(name), "suite": printable(name.suite),
             "reasons": {"head": "too few pairs in the budget"}, "blocks": False,
             "late": True, "known": None} for name in lacking]}
    try:  # the points and the file come first, because perhaps nobody reads the output any more
        if arguments.json:
            gate.write_json(arguments.json, document)
    finally:
        for line in lines:
            terminal.line(line)
        for text in failures:
            terminal.line(terminal.bad(printable(text)))
    return status
