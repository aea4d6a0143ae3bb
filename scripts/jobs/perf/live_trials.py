# SPDX-License-Identifier: Apache-2.0
"""scripts/perf selftest --live tells whether the gate, within minutes, finds a slowdown in a
crowded suite.

Ten benchmarks stay in a core's own caches, and one of them is slower by a known amount. Three
others are so noisy that nothing can be told about them. One core is busy, and the budget is two
minutes, unless --budget says otherwise. Each try is a whole run of the gate on programs that run
now. A finished try is saved immediately, so that an interrupted run goes on where it was, as long
as gate, program, budget and machine are the same.
"""

import contextlib
import datetime
import json
import os
import random
import sys
from pathlib import Path

from jobs.common import build
from jobs.common.children import Children
from jobs.common.documents import Document
from jobs.common.tables import Table
from jobs.common.terminal import duration
from jobs.perf import (
    choice,
    commands,
    decide,
    fingerprint,
    gate,
    measuring,
    process_pairs,
    replay,
    revisions,
    samples,
)
from jobs.perf.known import Known

REPORT = build.results_directory() / "perf-selftest-live.md"
_KEPT = revisions.PERF / "selftest-live.json"
_BUSY = "while True: pass"
_FILTER = "BM_(Scan|Hash)_Selftest|BM_Digits_Selftest/(64|512)$|BM_Noise_Crowded"
_SLOWDOWNS = (5, 10, 30)
_FEWEST = {5: 0.95}  # percent -> the share of tries that must find the slowdown, if not all


@contextlib.contextmanager
def hog(wanted):
    """A context with a process that keeps a core busy; without the process unless `wanted` is
    true."""
    with Children() as children:
        if wanted:
            children.start([sys.executable, "-c", _BUSY], revisions.PERF / "hog.log")
        yield


def add_options(parser):
    parser.add_argument("--live", action="store_true",
                        help="instead: run the gate on a crowded suite, with one core busy, for "
                             "each slowdown; writes results/perf-selftest-live.md; goes on where "
                             "it was interrupted")
    parser.add_argument("--tries", type=int, default=20, metavar="N",
                        help="with --live or --metrics: tries of each slowdown or growth "
                             "(%(default)s)")
    parser.add_argument("--budget", type=float, default=120, metavar="SECONDS",
                        help="with --live or --metrics: seconds for each try (%(default)s)")
    parser.add_argument("--fresh", action="store_true",
                        help="with --live or --metrics: forget the tries that are kept")


def _read(settings):
    try:
        kept = json.loads(_KEPT.read_text(encoding="utf-8"))
        if kept["settings"] == settings:
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return {"settings": settings, "tries": []}


def one_try(terminal, program, percent, number, budget):
    """Runs the gate once. Returns the record of the try."""
    names = [str(key) for key in program.listing(_FILTER).keys if "Noise" not in key.name]
    slow = random.Random(1000 * percent + number).choice(names)
    # The variables of both sides have the same length, since the environment's length moves the
    # stack.
    arms = [samples.Program(program.path, (), {"FFGRANT_SLOW": slow,
                                               "FFGRANT_SLOW_PERCENT": f"{value:02}"})
            for value in (0, percent)]
    chosen = choice.Chosen([process_pairs.Suite("perf_crowded", choice.arms_of(*arms))], "", "",
                           _FILTER, "", "", directory=revisions.PERF / "run", known=Known())

    class Arguments:  # what measuring.measure() reads of a command line
        budget = 0.0
        seed = None
        repetitions = samples.Effort.repetitions
        min_time = samples.Effort.min_time

    Arguments.budget = budget
    load = os.getloadavg()[0]
    clock = process_pairs.Clock(budget)
    with hog(True):
        measured = measuring.measure(terminal, chosen, Arguments)
    if measured.interrupted:
        raise measured.interrupted
    verdicts = {str(name): result.verdict for name, result in measured.results.items()}
    return {"percent": percent, "slow": slow, "found": verdicts.get(slow, "nothing"),
            "false": sorted(name for name, verdict in verdicts.items()
                            if verdict == decide.REGRESSED and name != slow),
            "suspected": sorted(name for name, verdict in verdicts.items()
                                if verdict == decide.SUSPECTED and name != slow),
            "seconds": round(clock.elapsed(), 1), "load": round(load, 1)}


def _rows(tries):
    """Returns for each slowdown (percent, tries, found, false alarms, benchmarks that were
    suspected though they are equal, seconds of the longest try, whether the bar was met)."""
    rows = []
    for percent in sorted({each["percent"] for each in tries}):
        its = [each for each in tries if each["percent"] == percent]
        found = sum(each["found"] == decide.REGRESSED for each in its)
        false, suspected = (sum(len(each[what]) for each in its)
                            for what in ("false", "suspected"))
        rows.append((percent, len(its), found, false, suspected,
                     max(each["seconds"] for each in its),
                     found >= _FEWEST.get(percent, 1.0) * len(its) and not false))
    return rows


def document(kept, command):
    settings = kept["settings"]
    loads = [each["load"] for each in kept["tries"]]
    made = Table("Found", "", ["slower by", "tries", "found", "interval", "false alarms",
                               "suspected", "longest", ""], flush_left=(7,))
    for percent, tries, found, false, suspected, seconds, met in _rows(kept["tries"]):
        low, high = replay.proportion(found, tries)
        made.rows.append([f"{percent}%", str(tries), str(found), f"{low:.1%} - {high:.1%}",
                          str(false), str(suspected), duration(seconds),
                          "met" if met else "MISSED"])
    return Document("The gate in a crowded suite, live", [
        ("command", f"`{command}`"),
        ("date", f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"),
        ("machine", f"{settings['cpu']}, {settings['cpus']} CPUs; load {min(loads):g} to "
         f"{max(loads):g} when the tries began, and one core kept busy"),
        ("budget of a try", f"{settings['budget']:g} s")], blocks=[
        "In each try one of ten benchmarks, drawn by chance, is slower; three others are drawn "
        "anew in each process, between 1 and 2 times their work. Bars: 5 % found in 95 of 100 "
        "tries, 10 % and 30 % in all, no false alarm. A false alarm is a benchmark that is "
        "equal and regressed; suspected counts those that are equal and seemed slower, which fresh "
        "pairs did not confirm or deny. Intervals are Clopper-Pearson's of 95 %.",
        made], figures={"tries": [
            {"slower by percent": percent, "tries": tries, "found": found, "false alarms": false,
             "suspected": suspected}
            for percent, tries, found, false, suspected, *_ in _rows(kept["tries"])]})


def run(terminal, arguments, command):
    folder = revisions.directory_of(terminal, revisions.working_tree())
    program = samples.Program(Path(folder) / "perf_crowded")
    # The folder's name tells the program's sources and its compiler.
    settings = {"folder": folder.name, "gate": fingerprint.code_of_gate(),
                "budget": arguments.budget, "cpu": fingerprint.identity({}, "", "")["cpu"],
                "cpus": len(os.sched_getaffinity(0))}
    if arguments.fresh:
        _KEPT.unlink(missing_ok=True)
    kept = _read(settings)
    for number in range(arguments.tries):
        for percent in _SLOWDOWNS:
            done = sum(each["percent"] == percent for each in kept["tries"])
            if done > number:
                continue
            found = one_try(terminal, program, percent, number, arguments.budget)
            kept["tries"].append(found)
            gate.write_json(_KEPT, kept)
            terminal.line(f"try {number + 1} of {arguments.tries}, {percent}%: {found['slow']} "
                          f"{found['found']} after {duration(found['seconds'])}"
                          + (f"; FALSE: {', '.join(found['false'])}" if found["false"] else ""))
    made = document(kept, command)
    made.write(arguments.out if arguments.out.name != "perf-selftest.md" else REPORT)
    terminal.line(made.markdown())
    return commands.CLEAN if all(met for *_, met in _rows(kept["tries"])) else commands.REGRESSION
